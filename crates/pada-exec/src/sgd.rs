use std::borrow::Cow;

use pada_graph::{Graph, WeightId, WeightLayout, WeightSpec};
use serde::{Deserialize, Serialize};

use crate::executor::State;

/// Treatment of weights that are not on any path of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnusedWeights {
    /// Also apply momentum and weight decay to weights that are not on the path, as the released code does.
    #[default]
    Decay,
    /// Keep unused weights and their momentum unchanged.
    Frozen,
}

/// The weights that weight decay applies to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decayed {
    /// All weights.
    #[default]
    All,
    /// Kernels of convolutions and linear layers only, not biases, scales and shifts.
    Kernels,
}

/// The rule by which a step changes the weights from a direction `d = scale·g + decay·w`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Optimizer {
    /// Stochastic gradient descent with momentum, as `torch.optim.SGD`: `m = momentum·m + d`, `w = w − lr·m`.
    #[default]
    Sgd,
    /// Stochastic gradient descent with Nesterov momentum, as `torch.optim.SGD(nesterov=True)`: `m = momentum·m + d`, `w = w − lr·(d + momentum·m)`.
    Nesterov,
    /// RMSprop, which divides the direction by the root of a moving average of its square.
    RmsProp(RmsProp),
}

/// Settings of RMSprop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    /// Decay α of the moving average of squares: `v = α·v + (1 − α)·d²`.
    pub decay: f32,
    /// ε, which keeps the divisor above 0.
    pub eps: f32,
    /// The order of root, ε and learning rate.
    pub form: RmsPropForm,
}

/// The two published forms of RMSprop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RmsPropForm {
    /// `torch.optim.RMSprop`: `m = momentum·m + d / (√v + ε)`, `w = w − lr·m`; v starts at 0.
    #[default]
    PyTorch,
    /// TensorFlow 1, as timm's `RMSpropTF`: `m = momentum·m + lr·d / √(v + ε)`, `w = w − m`. Its v starts at 1, so the buffer of
    /// [`State::SecondMoment`] must be filled with ones before the first step.
    TensorFlow,
}

/// One update of the weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdStep {
    /// The rule of the update.
    pub optimizer: Optimizer,
    /// Learning rate.
    pub lr: f32,
    /// Momentum.
    pub momentum: f32,
    /// L2 weight decay.
    pub weight_decay: f32,
    /// The weights that weight decay applies to.
    pub decayed: Decayed,
    /// Factor on the gradient, from gradient clipping.
    pub gradient_scale: f32,
    /// Treatment of weights that are not on any path of the step.
    pub unused: UnusedWeights,
}

impl Default for SgdStep {
    /// A step of plain SGD with learning rate 0 that applies to all weights.
    fn default() -> Self {
        Self {
            optimizer: Optimizer::Sgd,
            lr: 0.0,
            momentum: 0.0,
            weight_decay: 0.0,
            decayed: Decayed::All,
            gradient_scale: 1.0,
            unused: UnusedWeights::Decay,
        }
    }
}

impl SgdStep {
    /// Returns the step for one tensor, with the weight decay that applies to it.
    pub fn of(&self, spec: &WeightSpec) -> Self {
        let kernel = spec.shape.len() > 1;
        match self.decayed {
            Decayed::Kernels if !kernel => Self { weight_decay: 0.0, ..*self },
            _ => *self,
        }
    }

    /// The direction d of the update of a weight.
    fn direction(&self, weight: f32, gradient: f32) -> f32 {
        self.gradient_scale * gradient + self.weight_decay * weight
    }

    /// Updates one tensor by SGD with momentum, whatever the optimizer of the step is. The caller decides whether an unused tensor is
    /// updated.
    ///
    /// # Shapes
    /// All slices have the same length.
    pub fn apply_sgd(&self, weights: &mut [f32], momentum: &mut [f32], gradient: &[f32]) {
        for ((w, m), &g) in weights.iter_mut().zip(momentum).zip(gradient) {
            *m = self.momentum * *m + self.direction(*w, g);
            *w -= self.lr * *m;
        }
    }

    /// Updates one tensor by SGD with Nesterov momentum, whatever the optimizer of the step is.
    ///
    /// # Shapes
    /// All slices have the same length.
    pub fn apply_nesterov(&self, weights: &mut [f32], momentum: &mut [f32], gradient: &[f32]) {
        for ((w, m), &g) in weights.iter_mut().zip(momentum).zip(gradient) {
            let direction = self.direction(*w, g);
            *m = self.momentum * *m + direction;
            *w -= self.lr * (direction + self.momentum * *m);
        }
    }

    /// Updates one tensor by RMSprop, whatever the optimizer of the step is.
    ///
    /// # Shapes
    /// All slices have the same length; `second` is the moving average of squares.
    pub fn apply_rms_prop(
        &self,
        settings: RmsProp,
        weights: &mut [f32],
        [momentum, second]: [&mut [f32]; 2],
        gradient: &[f32],
    ) {
        let RmsProp { decay, eps, form } = settings;
        for (((w, m), v), &g) in weights.iter_mut().zip(momentum).zip(second).zip(gradient) {
            let direction = self.direction(*w, g);
            *v = decay * *v + (1.0 - decay) * direction * direction;
            match form {
                RmsPropForm::PyTorch => {
                    *m = self.momentum * *m + direction / (v.sqrt() + eps);
                    *w -= self.lr * *m;
                }
                RmsPropForm::TensorFlow => {
                    *m = self.momentum * *m + self.lr * direction / (*v + eps).sqrt();
                    *w -= *m;
                }
            }
        }
    }
}

/// Weights, momentum and gradient of a supernet in host memory, each one flat buffer in the layout's order. What every
/// executor on the CPU keeps.
#[derive(Clone, Debug)]
pub struct HostWeights {
    layout: WeightLayout,
    weights: Vec<f32>,
    momentum: Vec<f32>,
    /// Empty until it is written or RMSprop needs it.
    second_moment: Vec<f32>,
    gradient: Vec<f32>,
    touched: Vec<bool>,
}

impl HostWeights {
    /// Creates weights with the given values, and with zero momentum and gradient.
    ///
    /// # Panics
    /// Panics if the number of values is not [`WeightLayout::numel`].
    pub fn new(layout: WeightLayout, weights: Vec<f32>) -> Self {
        assert_eq!(weights.len(), layout.numel(), "one value for every weight of the layout");
        let (n, tensors) = (layout.numel(), layout.len());
        Self {
            layout,
            weights,
            momentum: vec![0.0; n],
            second_moment: vec![],
            gradient: vec![0.0; n],
            touched: vec![false; tensors],
        }
    }

    /// Returns the weight layout.
    pub fn layout(&self) -> &WeightLayout {
        &self.layout
    }

    /// Returns one weight tensor.
    pub fn weight(&self, id: WeightId) -> &[f32] {
        &self.weights[self.layout.range(id)]
    }

    /// Overwrites one weight tensor.
    ///
    /// # Panics
    /// Panics if the number of values is not that of the tensor.
    pub fn write_weight(&mut self, id: WeightId, values: &[f32]) {
        self.weights[self.layout.range(id)].copy_from_slice(values);
    }

    /// Returns the gradient of one weight tensor.
    pub fn gradient(&self, id: WeightId) -> Cow<'_, [f32]> {
        Cow::Borrowed(&self.gradient[self.layout.range(id)])
    }

    /// Returns the gradient of one weight tensor for accumulation.
    pub fn gradient_mut(&mut self, id: WeightId) -> &mut [f32] {
        &mut self.gradient[self.layout.range(id)]
    }

    /// Marks the weights that a graph trains as used in this step.
    pub fn touch(&mut self, graph: &Graph) {
        for id in graph.trained_weights() {
            self.touched[id.0] = true;
        }
    }

    /// Starts a step: sets the gradient to zero and marks all weights as unused.
    pub fn zero_gradient(&mut self) {
        self.gradient.fill(0.0);
        self.touched.fill(false);
    }

    /// Returns the L2 norm of every gradient tensor, computed in f64.
    pub fn gradient_norms(&self) -> Vec<f64> {
        norms(&self.layout, &self.gradient)
    }

    /// Updates the running statistics of a norm with those of a batch: `r = (1 − share) · r + share · batch`.
    ///
    /// # Shapes
    /// `moments`: `[C]`, mean and biased variance of each channel over `count` values. The running variance is unbiased.
    pub fn track(&mut self, [mean, var]: [WeightId; 2], share: f64, moments: &[[f64; 2]], count: usize) {
        let unbiased = count as f64 / (count.max(2) - 1) as f64;
        for (id, part, factor) in [(mean, 0, 1.0), (var, 1, unbiased)] {
            let range = self.layout.range(id);
            for (running, batch) in self.weights[range].iter_mut().zip(moments) {
                let old = f64::from(*running);
                *running = ((1.0 - share) * old + share * factor * batch[part]) as f32;
            }
        }
    }

    /// Updates all weights by one step.
    pub fn update(&mut self, step: &SgdStep) {
        if matches!(step.optimizer, Optimizer::RmsProp(_)) && self.second_moment.is_empty() {
            self.second_moment = vec![0.0; self.layout.numel()];
        }
        for (id, spec) in self.layout.iter() {
            if !self.layout.is_trained(id) {
                continue;
            }
            if step.unused == UnusedWeights::Frozen && !self.touched[id.0] {
                continue;
            }
            let range = self.layout.range(id);
            let momentum = &mut self.momentum[range.clone()];
            let gradient = &self.gradient[range.clone()];
            let (step, weights) = (step.of(spec), &mut self.weights[range.clone()]);
            match step.optimizer {
                Optimizer::RmsProp(settings) => {
                    let second = &mut self.second_moment[range];
                    step.apply_rms_prop(settings, weights, [momentum, second], gradient);
                }
                Optimizer::Sgd => step.apply_sgd(weights, momentum, gradient),
                Optimizer::Nesterov => step.apply_nesterov(weights, momentum, gradient),
            }
        }
    }

    /// Returns a copy of a flat buffer, in the order of the layout.
    pub fn read(&self, state: State) -> Vec<f32> {
        match state {
            State::Weights => self.weights.clone(),
            State::Momentum => self.momentum.clone(),
            State::SecondMoment if self.second_moment.is_empty() => vec![0.0; self.layout.numel()],
            State::SecondMoment => self.second_moment.clone(),
            State::Gradient => self.gradient.clone(),
        }
    }

    /// Overwrites a flat buffer.
    ///
    /// # Panics
    /// Panics if the number of values is not [`WeightLayout::numel`].
    pub fn write(&mut self, state: State, values: &[f32]) {
        match state {
            State::Weights => self.weights.copy_from_slice(values),
            State::Momentum => self.momentum.copy_from_slice(values),
            State::SecondMoment => {
                assert_eq!(values.len(), self.layout.numel(), "one value for every weight of the layout");
                self.second_moment = values.to_vec();
            }
            State::Gradient => self.gradient.copy_from_slice(values),
        }
    }
}

/// Returns the L2 norm of every tensor of a flat buffer, computed in f64.
pub(crate) fn norms(layout: &WeightLayout, values: &[f32]) -> Vec<f64> {
    let norm = |(id, _)| {
        let squares = values[layout.range(id)].iter().map(|&v| f64::from(v) * f64::from(v));
        squares.sum::<f64>().sqrt()
    };
    layout.iter().map(norm).collect()
}
