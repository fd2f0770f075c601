//! Weight averaging: a moving average of all variables over the steps, steadier than the last step's values.

use burn::tensor::Tensor;

use crate::network::Parameters;

/// Exponential moving average of a network's variables, moving statistics included.
///
/// After step t of weights w it is the sum over s of (1 - d) d^(t - s) w(s), divided by 1 - d^t so that the start, where
/// nothing has been seen, has no part in it. In one update: a(t) = a(t-1) + (w - a(t-1)) (1 - d) / (1 - d^t).
#[derive(Clone, Debug)]
pub struct Average {
    decay: f64,
    steps: u64,
    values: Vec<Tensor<1>>,
}

impl Average {
    /// An average that has seen nothing; `decay` d lies between 0 and 1.
    pub fn new(decay: f64) -> Self {
        Self {
            decay,
            steps: 0,
            values: Vec::new(),
        }
    }

    /// Takes in the variables after a step.
    pub fn update(&mut self, parameters: &Parameters) {
        self.steps += 1;
        let entries = parameters.entries().iter();
        if self.steps == 1 {
            self.values = entries.map(|p| p.value.clone()).collect();
            return;
        }
        let share = (1.0 - self.decay) / (1.0 - self.decay.powf(self.steps as f64));
        for (value, entry) in self.values.iter_mut().zip(entries) {
            let difference = entry.value.clone() - value.clone();
            *value = value.clone() + difference * share;
        }
    }

    /// `parameters` with the averaged values, or as they are while nothing has been seen.
    pub fn of(&self, parameters: &Parameters) -> Parameters {
        let mut averaged = parameters.clone();
        for (position, value) in self.values.iter().enumerate() {
            averaged.replace(position, value.clone());
        }
        averaged
    }

    /// The averaged values in the order of the variables; empty while nothing has been seen.
    pub fn values(&self) -> &[Tensor<1>] {
        &self.values
    }

    /// Goes on from saved values after `steps` steps.
    pub fn restore(&mut self, steps: u64, values: Vec<Tensor<1>>) {
        self.steps = steps;
        self.values = values;
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::network::{Encoder, UnetSpec};

    #[test]
    fn the_average_is_the_corrected_sum_over_all_steps() {
        let graph = UnetSpec::paper(Encoder::ResNet18, 1).graph();
        let mut parameters = Parameters::initialise(&graph, 1, &Device::flex());
        let name = parameters.entries()[0].variable.name();
        let length = parameters.entries()[0].value.dims()[0];
        let mut average = Average::new(0.9);
        let weights = [3.0_f64, -1.0, 4.0, 1.0, -5.0];
        for (t, &w) in (1..).zip(&weights) {
            parameters.set(&name, vec![w as f32; length]).unwrap();
            average.update(&parameters);
            let sum: f64 = (1..=t)
                .map(|s| 0.1 * 0.9_f64.powi(t - s) * weights[s as usize - 1])
                .sum();
            let expected = sum / (1.0 - 0.9_f64.powi(t));
            let found = f64::from(average.of(&parameters).read(0)[0]);
            assert!((found - expected).abs() < 1e-6, "{found}, not {expected}");
        }
    }
}
