/// β₂ of Adam.
const BETA_2: f64 = 0.999;

/// Settings of Adam.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct AdamConfig {
    pub(crate) learning_rate: f64,
    pub(crate) beta1: f64,
    pub(crate) epsilon: f64,
    /// L2 decay: this share of a parameter is added to its gradient, as `weight_decay` of `torch.optim.Adam`.
    pub(crate) weight_decay: f64,
}

/// The state of Adam (Kingma & Ba, 2015).
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Adam {
    mean: Vec<f64>,
    square: Vec<f64>,
    steps: i32,
}

impl Adam {
    /// Returns false if a gradient was too large, so that its square is infinite.
    pub(crate) fn is_finite(&self) -> bool {
        self.mean.iter().chain(&self.square).all(|moment| moment.is_finite())
    }

    /// Returns the number of updates so far.
    pub(crate) fn steps(&self) -> i32 {
        self.steps
    }

    /// Returns the moving average of the squared gradient of a parameter, without the correction of its start.
    pub(crate) fn square(&self, parameter: usize) -> f64 {
        self.square.get(parameter).copied().unwrap_or(0.0)
    }

    /// Moves the means of independent normal distributions whose parameters were drawn before the gradient was taken: Vadam. Its step is that of
    /// Adam, but the precision of the prior, `weight_decay` per example, is also added to the divisor, and its pull is no part of the square.
    pub(crate) fn variational_step(&mut self, means: &mut [f64], gradient: &[f64], config: &AdamConfig) {
        self.begin(gradient.len());
        let corrections = [config.beta1, BETA_2].map(|beta| 1.0 - beta.powi(self.steps));
        for (i, &g) in gradient.iter().enumerate() {
            let pulled = g + config.weight_decay * means[i];
            self.mean[i] = config.beta1 * self.mean[i] + (1.0 - config.beta1) * pulled;
            self.square[i] = BETA_2 * self.square[i] + (1.0 - BETA_2) * g * g;
            let (mean, square) = (self.mean[i] / corrections[0], self.square[i] / corrections[1]);
            means[i] -= config.learning_rate * mean / (square.sqrt() + config.weight_decay);
        }
    }

    fn begin(&mut self, parameters: usize) {
        self.mean.resize(parameters, 0.0);
        self.square.resize(parameters, 0.0);
        self.steps += 1;
    }

    /// Moves the parameters against a gradient.
    pub(crate) fn step(&mut self, parameters: &mut [f64], gradient: &[f64], config: &AdamConfig) {
        self.begin(gradient.len());
        let corrections = [config.beta1, BETA_2].map(|beta| 1.0 - beta.powi(self.steps));
        for (i, &g) in gradient.iter().enumerate() {
            let g = g + config.weight_decay * parameters[i];
            self.mean[i] = config.beta1 * self.mean[i] + (1.0 - config.beta1) * g;
            self.square[i] = BETA_2 * self.square[i] + (1.0 - BETA_2) * g * g;
            let (mean, square) = (self.mean[i] / corrections[0], self.square[i] / corrections[1]);
            parameters[i] -= config.learning_rate * mean / (square.sqrt() + config.epsilon);
        }
    }
}
