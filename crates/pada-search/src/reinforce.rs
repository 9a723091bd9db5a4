use pada_space::rand::Rng;
use pada_space::{Arch, SearchSpace, SubSpace};

use crate::Evaluated;
use crate::adam::{Adam, AdamConfig};
use crate::layout::Layout;
use crate::policy::Policy;
use crate::searcher::{AskError, History, MAX_ATTEMPTS, Outcome, Request, SearchView, Searcher};
use crate::settings::{InvalidSetting, at_least, not_negative, positive, within};

/// Settings of [`Reinforce`].
///
/// In files, a setting that is left out has the default of [`ReinforceConfig::nats_bench`], and in
/// [`SearchMethod::Enas`](crate::SearchMethod::Enas) that of [`ReinforceConfig::enas`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
pub struct ReinforceConfig {
    /// The number of architectures that the method asks for, with repetitions, at least 1.
    pub samples: usize,
    /// The policy. In files, the keys of an LSTM are a table: `policy = { lstm = { hidden = 32, … } }`.
    pub policy: PolicyConfig,
    /// Learning rate of Adam, larger than 0.
    pub learning_rate: f64,
    /// β₁ of Adam, from 0 to less than 1. β₂ is 0.999.
    pub beta1: f64,
    /// ε of Adam, larger than 0.
    pub epsilon: f64,
    /// The number of architectures per update of the policy, at least 1. Their gradients are averaged.
    pub batch: usize,
    /// Decay of the moving baseline of rewards, from 0 to less than 1.
    pub baseline_decay: f64,
    /// Weight of the policy's entropy (nats) in the reward, 0 or larger.
    pub entropy_weight: f64,
    /// The target T of the cost in MnasNet's reward, score/100 · (cost/T)^w. Without it, the reward is score/100.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub target: Option<f64>,
    /// The exponent w of MnasNet's reward. A negative one punishes expensive architectures.
    pub cost_exponent: f64,
}

/// The settings of [`ReinforceConfig`] in files of [`SearchMethod::Enas`](crate::SearchMethod::Enas), whose defaults differ.
#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(remote = "ReinforceConfig", deny_unknown_fields, default = "ReinforceConfig::enas")]
pub(crate) struct EnasConfig {
    samples: usize,
    policy: PolicyConfig,
    learning_rate: f64,
    beta1: f64,
    epsilon: f64,
    batch: usize,
    baseline_decay: f64,
    entropy_weight: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<f64>,
    cost_exponent: f64,
}

/// A policy of [`Reinforce`]: a distribution over architectures.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum PolicyConfig {
    /// One independent categorical distribution per decision.
    Softmax,
    /// An LSTM that makes one decision after the other, each with all earlier ones as its input.
    Lstm(LstmConfig),
}

/// Settings of an LSTM controller.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
pub struct LstmConfig {
    /// H, the size of a layer, from 1 to 1024.
    pub hidden: usize,
    /// The number of layers, from 1 to 8.
    pub layers: usize,
    /// The constant c in the logits c·tanh(z/T), larger than 0. It limits how sure the policy can be.
    pub tanh_constant: f64,
    /// The temperature T in the logits, larger than 0.
    pub temperature: f64,
}

impl Default for LstmConfig {
    /// Returns the controller for NAS-Bench-201 of D-X-Y/AutoDL-Projects: two layers of 32, tanh constant 2.5, temperature 5.
    fn default() -> Self {
        Self { hidden: 32, layers: 2, tanh_constant: 2.5, temperature: 5.0 }
    }
}

impl Default for ReinforceConfig {
    /// Returns [`ReinforceConfig::nats_bench`].
    fn default() -> Self {
        Self::nats_bench()
    }
}

impl ReinforceConfig {
    /// Returns the settings of NATS-Bench: independent distributions, an update after each architecture, Adam with 0.01, a baseline with decay
    /// 0.9, no entropy term.
    pub fn nats_bench() -> Self {
        Self {
            samples: 1_050,
            policy: PolicyConfig::Softmax,
            learning_rate: 0.01,
            beta1: 0.9,
            epsilon: 1e-8,
            batch: 1,
            baseline_decay: 0.9,
            entropy_weight: 0.0,
            target: None,
            cost_exponent: -0.07,
        }
    }

    fn adam(&self) -> AdamConfig {
        AdamConfig {
            learning_rate: self.learning_rate,
            beta1: self.beta1,
            epsilon: self.epsilon,
            weight_decay: 0.0,
        }
    }

    /// Returns the settings of ENAS: an LSTM, 10 architectures per update, Adam with 0.0035, β₁ = 0 and ε = 0.001, a baseline with decay 0.99, and
    /// an entropy weight of 0.0001.
    ///
    /// They are meant for tens of thousands of architectures, which a supernet scores on one batch each. A search over few architectures learns
    /// faster with a smaller `epsilon`, a larger `learning_rate` and a lower `temperature`.
    pub fn enas() -> Self {
        Self {
            policy: PolicyConfig::Lstm(LstmConfig::default()),
            learning_rate: 0.003_5,
            beta1: 0.0,
            epsilon: 1e-3,
            batch: 10,
            baseline_decay: 0.99,
            entropy_weight: 1e-4,
            ..Self::nats_bench()
        }
    }
}

/// A controller that learns by REINFORCE which architectures have high scores.
///
/// The policy draws an architecture a, gets the reward R = score/100 + w·H, where H is the entropy of the policy along a, and follows the
/// gradient of (R − b)·ln π(a) with Adam. The baseline b is the exponential moving average of the rewards, corrected for its start at 0, and
/// contains R already. Scores are percentages. The result of the search is the best architecture of the history; with a
/// [`target`](ReinforceConfig::target) the best one by reward.
///
/// # Source
/// Williams, *Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning*, 1992; Zoph et al., *Learning
/// Transferable Architectures for Scalable Image Recognition* (NASNet), CVPR 2018; Pham et al., *Efficient Neural Architecture Search via
/// Parameter Sharing* (ENAS), ICML 2018. [`ReinforceConfig::nats_bench`] follows D-X-Y/AutoDL-Projects @1c6c3e71, `exps/NATS-algos/reinforce.py`.
/// [`ReinforceConfig::enas`] follows melodyguan/enas @00787a5, `src/cifar10/micro_controller.py`, with the controller of AutoDL-Projects
/// @fac556c, `lib/models/cell_searchs/search_model_enas_utils.py`. The reward with a target is that of Tan et al., *MnasNet*, CVPR 2019, eq. 2
/// and 3, with α = β = w.
///
/// - DIFFERS: NASNet learns with proximal policy optimisation; this is plain REINFORCE.
/// - DIFFERS: the baseline of ENAS is not corrected for its start at 0.
/// - DIFFERS: embeddings and output layers are shared by all decisions of one kind with the same number of choices, the biases of the LSTM
///   are 0, and inputs of nodes are chosen by a softmax over their pairs and not by attention.
/// - None of the sources has constraints. Here, draws are repeated until one is feasible, so the gradient belongs to the policy given that the
///   architecture is feasible. The gradient of the share of feasible architectures is left out; with the mean reward as the baseline, its
///   mean is 0.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Reinforce {
    config: ReinforceConfig,
    asked: usize,
    /// The policy; `None` before the first request.
    policy: Option<Policy>,
    /// The probability and the gradient of the architecture that was asked for last.
    pending: Option<Pending>,
    baseline: Baseline,
    /// The sum of the gradients since the last update, and their number.
    gradient: Vec<f64>,
    in_batch: usize,
    adam: Adam,
}

#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Pending {
    entropy: f64,
    gradient: Vec<f64>,
}

/// An exponential moving average that is corrected for its start at 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Baseline {
    sum: f64,
    weight: f64,
}

impl Baseline {
    /// Adds a reward and returns the average.
    fn update(&mut self, reward: f64, decay: f64) -> f64 {
        self.sum = decay * self.sum + (1.0 - decay) * reward;
        self.weight = decay * self.weight + (1.0 - decay);
        self.sum / self.weight
    }
}

impl Reinforce {
    /// Creates the method.
    ///
    /// # Errors
    /// Returns [`InvalidSetting`] if a setting is out of its range.
    pub fn new(config: ReinforceConfig) -> Result<Self, InvalidSetting> {
        at_least("samples", config.samples, 1, "at least 1")?;
        at_least("batch", config.batch, 1, "at least 1")?;
        positive("learning_rate", config.learning_rate)?;
        positive("epsilon", config.epsilon)?;
        not_negative("entropy_weight", config.entropy_weight)?;
        for (name, value) in [("beta1", config.beta1), ("baseline_decay", config.baseline_decay)] {
            within(name, value, (0.0..1.0).contains(&value), "from 0 to less than 1")?;
        }
        if let Some(target) = config.target {
            positive("target", target)?;
        }
        within("cost_exponent", config.cost_exponent, config.cost_exponent.is_finite(), "finite")?;
        if let PolicyConfig::Lstm(LstmConfig { hidden, layers, tanh_constant, temperature }) = config.policy {
            within("hidden", hidden, (1..=1024).contains(&hidden), "from 1 to 1024")?;
            within("layers", layers, (1..=8).contains(&layers), "from 1 to 8")?;
            positive("tanh_constant", tanh_constant)?;
            positive("temperature", temperature)?;
        }
        Ok(Self {
            config,
            asked: 0,
            policy: None,
            pending: None,
            baseline: Baseline::default(),
            gradient: vec![],
            in_batch: 0,
            adam: Adam::default(),
        })
    }

    /// Draws an architecture from the policy, for a loop that is not a search by [`Searcher`], such as the training of shared weights in ENAS.
    ///
    /// # Errors
    /// Returns [`AskError::Diverged`] if a parameter of the policy is not finite.
    pub fn sample(
        &mut self,
        space: &dyn SearchSpace,
        sub_space: &SubSpace,
        rng: &mut dyn Rng,
    ) -> Result<Arch, AskError> {
        let layout = Layout::of(space, sub_space);
        let policy = self.policy.get_or_insert_with(|| Policy::new(self.config.policy, &layout, rng));
        let updates = self.adam.steps() as usize;
        policy.draw(&layout, rng).ok_or(AskError::Diverged { updates })
    }

    /// Learns from an architecture that [`sample`](Self::sample) drew since the last update, and its reward, such as the share of images that it
    /// classifies correctly. The entropy term is added here, and the policy is updated after every [`ReinforceConfig::batch`] architectures.
    ///
    /// # Errors
    /// Returns [`AskError::Diverged`] if the gradient is not finite.
    pub fn learn(
        &mut self,
        space: &dyn SearchSpace,
        sub_space: &SubSpace,
        arch: &Arch,
        reward: f64,
    ) -> Result<(), AskError> {
        let Some(policy) = &self.policy else { return Ok(()) };
        let likelihood = policy.likelihood(&Layout::of(space, sub_space), arch);
        let updates = self.adam.steps() as usize;
        if !likelihood.gradient.iter().all(|g| g.is_finite()) || !self.adam.is_finite() {
            return Err(AskError::Diverged { updates });
        }
        self.follow(&Pending { entropy: likelihood.entropy, gradient: likelihood.gradient }, reward);
        Ok(())
    }

    /// Returns the settings.
    pub fn config(&self) -> &ReinforceConfig {
        &self.config
    }

    /// Follows the gradient of an architecture by its reward without the entropy term.
    fn follow(&mut self, pending: &Pending, reward: f64) {
        let Some(policy) = &mut self.policy else { return };
        let reward = reward + self.config.entropy_weight * pending.entropy;
        if !reward.is_finite() {
            // Nothing can be learned from it, and the parameters would be lost.
            return;
        }
        let advantage = reward - self.baseline.update(reward, self.config.baseline_decay);
        self.gradient.resize(pending.gradient.len(), 0.0);
        // Adam goes down, and the reward shall grow.
        self.gradient.iter_mut().zip(&pending.gradient).for_each(|(sum, g)| *sum -= advantage * g);
        self.in_batch += 1;
        if self.in_batch == self.config.batch {
            let batch = std::mem::take(&mut self.in_batch) as f64;
            let gradient: Vec<f64> =
                std::mem::take(&mut self.gradient).into_iter().map(|g| g / batch).collect();
            self.adam.step(&mut policy.parameters, &gradient, &self.config.adam());
        }
    }

    /// Draws from the policy until an architecture is feasible. `updates` is the number of updates of the policy, for the error.
    fn draw(
        policy: &Policy,
        layout: &Layout,
        view: &mut SearchView<'_>,
        updates: usize,
    ) -> Result<Option<Arch>, AskError> {
        for _ in 0..MAX_ATTEMPTS {
            let arch = policy.draw(layout, view.rng).ok_or(AskError::Diverged { updates })?;
            if let Some(arch) = view.feasible(&arch)? {
                return Ok(Some(arch));
            }
        }
        if view.history.is_empty() {
            return Err(AskError::NothingFeasible { tried: MAX_ATTEMPTS });
        }
        Ok(None)
    }
}

impl Searcher for Reinforce {
    fn ask(&mut self, view: &mut SearchView<'_>) -> Result<Option<Request>, AskError> {
        if self.asked == self.config.samples {
            return Ok(None);
        }
        self.asked += 1;
        let layout = Layout::of(view.space, view.sub_space);
        let policy = self.policy.get_or_insert_with(|| Policy::new(self.config.policy, &layout, view.rng));
        let updates = self.adam.steps() as usize;
        if !self.adam.is_finite() {
            return Err(AskError::Diverged { updates });
        }
        let Some(arch) = Self::draw(policy, &layout, view, updates)? else { return Ok(None) };
        let likelihood = policy.likelihood(&layout, &arch);
        if !likelihood.gradient.iter().all(|g| g.is_finite()) {
            return Err(AskError::Diverged { updates });
        }
        self.pending = Some(Pending { entropy: likelihood.entropy, gradient: likelihood.gradient });
        Ok(Some(Request::full(arch)))
    }

    fn tell(&mut self, history: &History, _: &Request, outcome: Outcome) {
        let Some(pending) = self.pending.take() else { return };
        let Outcome::Scored { index } = outcome else { return };
        let reward = self.config.reward(&history.evaluated()[index]);
        self.follow(&pending, reward);
    }

    fn value(&self, evaluated: &Evaluated) -> f64 {
        match self.config.target {
            Some(_) => self.config.reward(evaluated),
            None => evaluated.score,
        }
    }
}

impl ReinforceConfig {
    /// Computes the reward of an architecture without the entropy term.
    fn reward(&self, evaluated: &Evaluated) -> f64 {
        let accuracy = evaluated.score / 100.0;
        match self.target {
            // A cost of 0 means that the search has none.
            Some(target) if evaluated.cost > 0.0 => {
                accuracy * (evaluated.cost / target).powf(self.cost_exponent)
            }
            _ => accuracy,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use rand::SeedableRng;

    use super::*;

    /// Three steps of `torch.optim.Adam(lr=0.1)` on one parameter that starts at 1, with the gradients 0.5, −1 and 2, computed by hand from the
    /// formulas of its documentation.
    #[test]
    fn adam_takes_the_steps_of_its_formula() {
        let config = ReinforceConfig { learning_rate: 0.1, ..ReinforceConfig::nats_bench() };
        let (mut adam, mut parameters) = (Adam::default(), vec![1.0]);
        let (mut m, mut v, mut expected) = (0.0, 0.0, 1.0);
        for (step, g) in [0.5, -1.0, 2.0_f64].into_iter().enumerate() {
            adam.step(&mut parameters, &[g], &config.adam());
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            let t = step as i32 + 1;
            expected -= 0.1 * (m / (1.0 - 0.9_f64.powi(t))) / ((v / (1.0 - 0.999_f64.powi(t))).sqrt() + 1e-8);
            assert!((parameters[0] - expected).abs() < 1e-12, "{} instead of {expected}", parameters[0]);
            // The first step of Adam is the learning rate against the sign of the gradient.
            assert!(step > 0 || (parameters[0] - 0.9).abs() < 1e-8);
        }
    }

    /// The baseline of NATS-Bench: after the rewards 1 and 0 with decay 0.9 it is (0.09·1 + 0.1·0)/(0.09 + 0.1).
    #[test]
    fn the_baseline_contains_the_reward_and_is_corrected_for_its_start() {
        let mut baseline = Baseline::default();
        assert_eq!(baseline.update(1.0, 0.9), 1.0);
        assert!((baseline.update(0.0, 0.9) - 0.09 / 0.19).abs() < 1e-15);
    }

    /// A policy that is told rewards outside a search learns as in one: the same architectures and rewards leave the same parameters.
    #[test]
    fn a_loop_of_its_own_learns_as_a_search_does() {
        let (space, config) =
            (pada_space::Nb201::new(), ReinforceConfig { batch: 3, ..ReinforceConfig::enas() });
        let part = SubSpace::full(&space);
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let (mut own, mut other) = (Reinforce::new(config).unwrap(), Reinforce::new(config).unwrap());
        own.sample(&space, &part, &mut rng).unwrap();
        other.policy = own.policy.clone();
        for i in 0..7 {
            let arch = own.sample(&space, &part, &mut rng).unwrap();
            let reward = f64::from(arch.choices()[i % 6]) / 4.0;
            own.learn(&space, &part, &arch, reward).unwrap();
            let layout = Layout::of(&space, &part);
            let likelihood = other.policy.as_ref().unwrap().likelihood(&layout, &arch);
            other.pending = Some(Pending { entropy: likelihood.entropy, gradient: likelihood.gradient });
            let mut history = History::default();
            let outcome =
                history.add(arch.clone(), Evaluated { arch: arch.clone(), score: 100.0 * reward, cost: 0.0 });
            other.tell(&history, &Request::full(arch), outcome);
        }
        assert_eq!(own.policy, other.policy);
        assert_eq!(own.adam.steps(), 2);
    }

    /// The reward of MnasNet: twice the target costs a factor of 2^−0.07 = 0.9526.
    #[test]
    fn the_reward_of_an_expensive_architecture_is_smaller() {
        let config = ReinforceConfig { target: Some(50.0), ..ReinforceConfig::nats_bench() };
        let evaluated = |cost| Evaluated { arch: Arch::new([0]), score: 80.0, cost };
        assert_eq!(config.reward(&evaluated(50.0)), 0.8);
        assert!((config.reward(&evaluated(100.0)) - 0.8 * 0.952_638).abs() < 1e-6);
        let method = Reinforce::new(config).unwrap();
        assert!(method.value(&evaluated(25.0)) > method.value(&evaluated(50.0)));
        let plain = Reinforce::new(ReinforceConfig::enas()).unwrap();
        assert_eq!(plain.value(&evaluated(25.0)), 80.0);
    }
}
