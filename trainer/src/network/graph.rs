//! A network as a list of named layers over earlier layers, with the shapes of its variables.
//!
//! Nodes are in topological order. Channel counts are known when a graph is built; heights and
//! widths are not, every layer works on any size that is a multiple of [`Graph::multiple`].

/// Momentum of Keras' batch norms, the encoder's and the decoder's.
pub const KERAS_MOMENTUM: f64 = 0.99;

/// Index of a node in its graph.
pub type NodeId = usize;

/// What a layer does. Padding is symmetric and with zeros; there is no dilation and no grouping.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LayerOp {
    /// The image batch.
    Input,
    /// Fixed normalisation of the input, (x - mean) / deviation per channel; nothing in it trains.
    Normalise {
        /// Mean per channel.
        mean: [f64; 3],
        /// Deviation per channel.
        deviation: [f64; 3],
    },
    /// Batch normalisation over the channel axis; `gamma` says whether it has a learned scale.
    BatchNorm {
        /// Added to the variance.
        epsilon: f64,
        /// Weight of the old value when a moving statistic takes in a batch's (Keras' sense: 1 - PyTorch's).
        momentum: f64,
        /// Whether a learned scale exists (`bn_data` has none).
        gamma: bool,
    },
    /// Square convolution (cross-correlation).
    Conv {
        /// Edge of the kernel.
        kernel: usize,
        /// Step between outputs.
        stride: usize,
        /// Zeros added on each side.
        padding: usize,
        /// Whether a bias exists (only `final_conv` and `input_adapter` have one).
        bias: bool,
    },
    /// max(x, 0).
    Relu,
    /// 3x3 maximum, stride 2, padding 1.
    MaxPool,
    /// Nearest-neighbour doubling of height and width.
    Upsample,
    /// Channels of the first input, then of the second.
    Concat,
    /// Element-wise sum.
    Add,
}

/// One layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Layer name of the reference implementation, or of torchvision for its encoders; unique in the graph.
    pub name: String,
    /// What it does.
    pub op: LayerOp,
    /// The layers it reads.
    pub inputs: Vec<NodeId>,
    /// Channels of its output.
    pub channels: usize,
}

/// Part a variable plays in its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Convolution kernel, OIHW.
    Kernel,
    /// Convolution bias.
    Bias,
    /// Learned batch-norm scale.
    Gamma,
    /// Learned batch-norm shift.
    Beta,
    /// Moving mean of a batch norm.
    MovingMean,
    /// Moving variance of a batch norm.
    MovingVariance,
}

impl Role {
    /// Name as Keras writes it behind the layer's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Bias => "bias",
            Self::Gamma => "gamma",
            Self::Beta => "beta",
            Self::MovingMean => "moving_mean",
            Self::MovingVariance => "moving_variance",
        }
    }

    /// False for the moving statistics, which the optimiser never touches.
    pub fn is_trainable(self) -> bool {
        !matches!(self, Self::MovingMean | Self::MovingVariance)
    }
}

/// A variable of the network: its layer, its part in it, and its shape (kernels OIHW).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The layer it belongs to.
    pub layer: String,
    /// What it is there.
    pub role: Role,
    /// `[out, in, height, width]` for kernels, `[channels]` for all others.
    pub shape: Vec<usize>,
}

impl Variable {
    /// `LAYER/ROLE`, as Keras names variables (without its `:0`).
    pub fn name(&self) -> String {
        format!("{}/{}", self.layer, self.role.name())
    }
}

/// A finished network description, which no longer changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    nodes: Vec<Node>,
    output: NodeId,
}

impl Graph {
    /// Layers in topological order; the first is the input.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The layer that gives the logits.
    pub fn output(&self) -> NodeId {
        self.output
    }

    /// Channels of the input images.
    pub fn channels(&self) -> usize {
        self.nodes[0].channels
    }

    /// Position of the layer called `name`.
    pub fn position(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().position(|n| n.name == name)
    }

    /// Height and width must be multiples of this: the product of all strides.
    pub fn multiple(&self) -> usize {
        let mut scale = vec![1; self.nodes.len()];
        for (id, node) in self.nodes.iter().enumerate().skip(1) {
            let from = scale[node.inputs[0]];
            scale[id] = match node.op {
                LayerOp::Conv { stride, .. } => from * stride,
                LayerOp::MaxPool => from * 2,
                LayerOp::Upsample => (from / 2).max(1),
                _ => from,
            };
        }
        scale.into_iter().max().unwrap_or(1)
    }

    /// Variables of layer `id`, in Keras' order within a layer.
    pub fn variables_of(&self, id: NodeId) -> Vec<Variable> {
        let node = &self.nodes[id];
        let variable = |role, shape| Variable {
            layer: node.name.clone(),
            role,
            shape,
        };
        let vector = |role| variable(role, vec![node.channels]);
        match node.op {
            LayerOp::BatchNorm { gamma, .. } => {
                let roles = [
                    Role::Gamma,
                    Role::Beta,
                    Role::MovingMean,
                    Role::MovingVariance,
                ];
                roles
                    .into_iter()
                    .skip(usize::from(!gamma))
                    .map(vector)
                    .collect()
            }
            LayerOp::Conv { kernel, bias, .. } => {
                let from = self.nodes[node.inputs[0]].channels;
                let mut all = vec![variable(
                    Role::Kernel,
                    vec![node.channels, from, kernel, kernel],
                )];
                if bias {
                    all.push(vector(Role::Bias));
                }
                all
            }
            _ => Vec::new(),
        }
    }

    /// All variables, in layer order.
    pub fn variables(&self) -> Vec<Variable> {
        (0..self.nodes.len())
            .flat_map(|id| self.variables_of(id))
            .collect()
    }
}

/// Appends layers and keeps channel counts right.
pub struct GraphBuilder {
    nodes: Vec<Node>,
}

impl GraphBuilder {
    /// A graph that so far holds only its input of `channels` channels, named `data`.
    pub fn new(channels: usize) -> Self {
        let input = Node {
            name: "data".into(),
            op: LayerOp::Input,
            inputs: Vec::new(),
            channels,
        };
        Self { nodes: vec![input] }
    }

    /// The input layer.
    #[allow(clippy::unused_self)] // reads as one vocabulary with the other layers
    pub fn input(&self) -> NodeId {
        0
    }

    fn push(&mut self, name: &str, op: LayerOp, inputs: &[NodeId], channels: usize) -> NodeId {
        self.nodes.push(Node {
            name: name.into(),
            op,
            inputs: inputs.to_vec(),
            channels,
        });
        self.nodes.len() - 1
    }

    /// Batch normalisation with Keras' momentum.
    pub fn batch_norm(&mut self, name: &str, x: NodeId, epsilon: f64, gamma: bool) -> NodeId {
        let op = LayerOp::BatchNorm {
            epsilon,
            momentum: KERAS_MOMENTUM,
            gamma,
        };
        self.layer(name, x, op)
    }

    /// A layer with one input, of as many channels as that has.
    pub fn layer(&mut self, name: &str, x: NodeId, op: LayerOp) -> NodeId {
        let channels = self.nodes[x].channels;
        self.push(name, op, &[x], channels)
    }

    /// Position of the layer called `name`.
    pub fn position(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().position(|n| n.name == name)
    }

    /// Channels of the output of `x`.
    pub fn channels(&self, x: NodeId) -> usize {
        self.nodes[x].channels
    }

    /// Convolution without bias.
    pub fn conv(
        &mut self,
        name: &str,
        x: NodeId,
        out: usize,
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> NodeId {
        self.push(
            name,
            LayerOp::Conv {
                kernel,
                stride,
                padding,
                bias: false,
            },
            &[x],
            out,
        )
    }

    /// Convolution with bias.
    pub fn conv_with_bias(
        &mut self,
        name: &str,
        x: NodeId,
        out: usize,
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> NodeId {
        self.push(
            name,
            LayerOp::Conv {
                kernel,
                stride,
                padding,
                bias: true,
            },
            &[x],
            out,
        )
    }

    /// Rectifier.
    pub fn relu(&mut self, name: &str, x: NodeId) -> NodeId {
        self.layer(name, x, LayerOp::Relu)
    }

    /// 3x3 max pool, stride 2, padding 1.
    pub fn max_pool(&mut self, name: &str, x: NodeId) -> NodeId {
        self.layer(name, x, LayerOp::MaxPool)
    }

    /// Nearest-neighbour doubling.
    pub fn upsample(&mut self, name: &str, x: NodeId) -> NodeId {
        self.layer(name, x, LayerOp::Upsample)
    }

    /// Channels of `a`, then of `b`.
    pub fn concat(&mut self, name: &str, a: NodeId, b: NodeId) -> NodeId {
        let channels = self.nodes[a].channels + self.nodes[b].channels;
        self.push(name, LayerOp::Concat, &[a, b], channels)
    }

    /// Sum of two tensors of equal shape.
    pub fn add(&mut self, name: &str, a: NodeId, b: NodeId) -> NodeId {
        let channels = self.nodes[a].channels;
        self.push(name, LayerOp::Add, &[a, b], channels)
    }

    /// The finished graph with `output` as its logits.
    pub fn finish(self, output: NodeId) -> Graph {
        Graph {
            nodes: self.nodes,
            output,
        }
    }
}
