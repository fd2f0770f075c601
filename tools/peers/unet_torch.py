"""The trainer's network, loss and optimiser in PyTorch, for comparisons. See docs/training.md."""

import torch
import torch.nn as nn
import torch.nn.functional as F

ENCODER_EPSILON, DECODER_EPSILON = 2e-5, 1e-3
# Keras' 0.99 is the weight of the old statistic.
MOMENTUM = 0.01
DECODER = (256, 128, 64, 32, 16)
ENCODERS = {
    "resnet18": (False, (2, 2, 2, 2)),
    "resnet34": (False, (3, 4, 6, 3)),
    "resnet50": (True, (3, 4, 6, 3)),
    "resnet101": (True, (3, 4, 23, 3)),
    "resnet152": (True, (3, 8, 36, 3)),
}


def conv(inputs, outputs, kernel, stride=1, bias=False):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=bias)


def norm(channels, epsilon=ENCODER_EPSILON):
    return nn.BatchNorm2d(channels, epsilon, MOMENTUM)


class Unit(nn.Module):
    """Pre-activation residual unit; `plan` lists (kernel, channels, stride) of its convolutions."""

    def __init__(self, inputs, plan, stride, first):
        super().__init__()
        self.norms, self.convs = nn.ModuleList(), nn.ModuleList()
        channels = inputs
        for kernel, outputs, step in plan:
            self.norms.append(norm(channels))
            self.convs.append(conv(channels, outputs, kernel, step))
            channels = outputs
        self.shortcut = conv(inputs, channels, 1, stride) if first else None

    def forward(self, x):
        activated = F.relu(self.norms[0](x))
        shortcut = x if self.shortcut is None else self.shortcut(activated)
        y = self.convs[0](activated)
        for n, c in zip(self.norms[1:], self.convs[1:]):
            y = c(F.relu(n(y)))
        return y + shortcut, activated


class Up(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv1, self.norm1 = conv(inputs, outputs, 3), norm(outputs, DECODER_EPSILON)
        self.conv2, self.norm2 = conv(outputs, outputs, 3), norm(outputs, DECODER_EPSILON)

    def forward(self, x, skip):
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        if skip is not None:
            x = torch.cat([x, skip], 1)
        x = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(x)))


class Unet(nn.Module):
    def __init__(self, encoder, channels, classes=3):
        super().__init__()
        bottleneck, repeats = ENCODERS[encoder]
        self.norm_data = nn.BatchNorm2d(channels, ENCODER_EPSILON, MOMENTUM)
        self.norm_data.weight.requires_grad_(False)  # it learns a shift only
        self.conv0, self.norm0 = conv(channels, 64, 7, 2), norm(64)
        self.stages = nn.ModuleList()
        inputs, skips = 64, [64]
        for stage, count in enumerate(repeats):
            width = 64 << stage
            units = nn.ModuleList()
            for unit in range(count):
                stride = 2 if unit == 0 and stage > 0 else 1
                if bottleneck:
                    plan = [(1, width, 1), (3, width, stride), (1, 4 * width, 1)]
                else:
                    plan = [(3, width, stride), (3, width, 1)]
                if unit == 0 and stage > 0:
                    skips.append(inputs)
                units.append(Unit(inputs, plan, stride, unit == 0))
                inputs = plan[-1][1]
            self.stages.append(units)
        self.norm1 = norm(inputs)
        self.ups = nn.ModuleList()
        for outputs, skip in zip(DECODER, [*reversed(skips), 0]):
            self.ups.append(Up(inputs + skip, outputs))
            inputs = outputs
        self.head = conv(inputs, classes, 3, bias=True)
        self.initialise()

    def initialise(self):
        """Keras' distributions: He uniform, Glorot uniform for the head."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x):
        x = F.relu(self.norm0(self.conv0(self.norm_data(x))))
        skips = [x]
        x = F.max_pool2d(x, 3, 2, 1)
        for stage, units in enumerate(self.stages):
            for unit, module in enumerate(units):
                x, activated = module(x)
                if unit == 0 and stage > 0:
                    skips.append(activated)
        x = F.relu(self.norm1(x))
        for up, skip in zip(self.ups, [*reversed(skips), None]):
            x = up(x, skip)
        return self.head(x)


def focal_dice(logits, truth, weights, gamma=0.5, smooth=1e-5):
    """Mean over images of weight x sum over classes of (1 - Dice)^gamma."""
    p = logits.softmax(1)
    overlap = (p * truth).sum((2, 3))
    total = p.sum((2, 3)) + truth.sum((2, 3))
    dice = (2 * overlap + smooth) / (total + smooth)
    return ((1 - dice).clamp_min(1e-7).pow(gamma).sum(1) * weights).mean()


class KerasAdam:
    """Keras 2's Adam (epsilon joins the uncorrected root), through PyTorch's multi-tensor functions."""

    def __init__(self, parameters, beta1=0.9, beta2=0.999, epsilon=1e-7):
        self.parameters = [p for p in parameters if p.requires_grad]
        self.first = [torch.zeros_like(p) for p in self.parameters]
        self.second = [torch.zeros_like(p) for p in self.parameters]
        self.beta1, self.beta2, self.epsilon, self.steps = beta1, beta2, epsilon, 0

    @torch.no_grad()
    def step(self, rate):
        self.steps += 1
        gradients = [p.grad for p in self.parameters]
        torch._foreach_lerp_(self.first, gradients, 1 - self.beta1)
        torch._foreach_mul_(self.second, self.beta2)
        torch._foreach_addcmul_(self.second, gradients, gradients, 1 - self.beta2)
        rate *= (1 - self.beta2**self.steps) ** 0.5 / (1 - self.beta1**self.steps)
        roots = torch._foreach_sqrt(self.second)
        torch._foreach_add_(roots, self.epsilon)
        torch._foreach_addcdiv_(self.parameters, self.first, roots, -rate)
