use std::sync::Arc;

use pada_data::{Augment, DataLoader};
use pada_exec::{Batch, Executor, Images, LossSpec, Pixels, SgdStep, State, UnusedWeights};
use pada_graph::{Graph, Lower, Mixtures, Owner, WeightId};
use pada_report::MixtureRecord;
use pada_sampler::{SamplerError, SavedState};
use pada_search::{ArchOptimizer, ArchParameters, CostTerm, Mixture, Relaxation};
use pada_space::{Arch, SearchSpace, SubSpace};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::{StepContext, StepOutcome, TrainRule};
use crate::r#loop::schedule::RunPoint;
use crate::scoring::fixed_images::image_shape;
use crate::{NotFinite, TrainError};

/// Settings of [`Differentiable`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DifferentiableConfig {
    /// The method, which decides how the logits become factors and what their gradient is.
    pub method: DifferentiableMethod,
    /// Adam for the logits.
    pub optimizer: ArchOptimizer,
    /// The share of the epochs after which the logits are trained, in `0.0..1.0`. Before it, only the weights are.
    pub start: f64,
    /// The update that a step begins with.
    pub first: FirstUpdate,
    /// A preference for cheap architectures; `None` for none.
    pub cost: Option<CostTerm>,
}

/// The update that a step of a differentiable search begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FirstUpdate {
    /// The architecture parameters, as in the public code of DARTS.
    #[default]
    Architecture,
    /// The weights, as in the public code of NAS-Bench-201 and NATS-Bench.
    Weights,
}

/// A differentiable search method.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum DifferentiableMethod {
    /// DARTS, and with partial channels PC-DARTS: factors are softmax(α). The gradient of the validation loss is taken at the current weights
    /// (first order), or after a virtual step of the weights (second order).
    Darts {
        /// The order of the approximation.
        order: DartsOrder,
    },
    /// DARTS, and then DARTS-PT: the operations of one edge after the other are chosen by the accuracy that the supernet has without them.
    Perturbation {
        /// The share of the epochs after which edges are chosen, in `0.0..1.0`.
        start: f64,
        /// The learning rate of the weights from then on.
        lr: f64,
    },
    /// GDAS: a hard draw with Gumbel noise; the temperature falls linearly over the epochs.
    Gdas {
        /// First and last temperature.
        temperature: [f64; 2],
    },
    /// SNAS: a soft draw with Gumbel noise, and one loss of training images for weights and logits. The temperature falls linearly.
    Snas {
        /// First and last temperature.
        temperature: [f64; 2],
    },
    /// ProxylessNAS: weights are trained on one sampled path, logits on two of which one is active.
    Proxyless {
        /// Number of steps of the weights per step of the logits.
        every: usize,
    },
    /// FBNet: a soft draw with Gumbel noise; the temperature falls by a factor per epoch.
    FbNet {
        /// The first temperature.
        temperature: f64,
        /// The factor per epoch in which logits are trained.
        decay: f64,
    },
}

/// The order of DARTS's approximation of the gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DartsOrder {
    /// The weights count as optimal, so that the gradient is that of the validation loss.
    #[default]
    First,
    /// The gradient of the validation loss after one step of the weights, with finite differences for its second derivatives.
    Second,
}

/// A differentiable search as a training rule: it trains the shared weights together with logits of operations, and ends in an architecture.
///
/// A step trains the weights on its batch, and the logits on as many images of the validation half, which are drawn anew in every step and
/// augmented like the training images. The paths of the step's outcome are the architecture that is strongest at the time.
///
/// # Source
/// - DARTS: Liu et al., ICLR 2019; `quark0/darts` @f276dd3, `cnn/architect.py`, `cnn/train_search.py`. With [`FirstUpdate::Weights`]:
///   `D-X-Y/AutoDL-Projects` @f46486e, `exps/NATS-algos/search-cell.py`.
/// - DARTS-PT: Wang et al., ICLR 2021; `ruocwang/darts-pt` @4ec3149, `nasbench201/projection.py`.
/// - GDAS: Dong & Yang, CVPR 2019; `AutoDL-Projects` @f46486e, `exps/NAS-Bench-201-algos/GDAS.py`.
/// - SNAS: Xie et al., ICLR 2019; `SNAS-Series/SNAS-Series` @9a43adb, `SNAS/train_search.py`.
/// - ProxylessNAS: Cai et al., ICLR 2019; `mit-han-lab/proxylessnas` @bf58b5c, `search/modules/mix_op.py`, mode `two`.
/// - FBNet: Wu et al., CVPR 2019. The authors published no code of the search.
///
/// - DIFFERS: the public code of GDAS adds the number 0 for each operation that was not drawn, so that these get the sum of the upstream gradient
///   as their gradient. Here it is 0, as in the same code for the space of NASNet.
/// - DIFFERS: FBNet trains weights and logits in alternating epochs on parts of 80 % and 20 %; here they alternate in each step.
/// - DIFFERS: DARTS-PT spreads its choices evenly over the epochs from [`DifferentiableMethod::Perturbation::start`] on. In the space of DARTS, the
///   public code then also chooses the inputs of a node by accuracy; here the probabilities of the chosen operations decide.
/// - DIFFERS: ProxylessNAS trains logits on validation images as they are, and an edge whose active operation is a skip gets no gradient.
/// - DIFFERS: SNAS drops mixed edges with probability .3 and clips the gradient of the logits at 10.
pub struct Differentiable {
    config: DifferentiableConfig,
    space: Box<dyn SearchSpace>,
    mixtures: Mixtures,
    validation: Option<ValidationImages>,
    costs: Option<OpCosts>,
    state: DifferentiableState,
    /// The last graph, with the operations that it computes.
    graph: Option<(Vec<Vec<u8>>, Arc<Graph>)>,
}

/// The images on which logits are trained.
pub struct ValidationImages {
    /// The images.
    pub images: DataLoader,
    /// Their augmentation.
    pub augment: Augment,
}

/// The cost of every operation, for [`DifferentiableConfig::cost`].
#[derive(Clone, Debug, PartialEq)]
pub struct OpCosts {
    /// The cost of the part of the network that is not searched.
    pub fixed: f64,
    /// For every mixture, the cost of each of its operations.
    pub ops: Vec<Vec<f64>>,
}

/// State of [`Differentiable`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DifferentiableState {
    /// Logits and the state of their optimizer.
    pub parameters: ArchParameters,
    /// The operation that was chosen for each mixture by DARTS-PT; `None` if the mixture is still open.
    pub chosen: Vec<Option<u8>>,
    /// Index of the epoch, and number of epochs.
    epoch: [usize; 2],
    /// Number of steps of the weights so far.
    steps: usize,
    /// Sums over the steps of the logits in this epoch.
    validation: ValidationSums,
}

/// Sums over validation batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ValidationSums {
    loss: f64,
    correct: usize,
    images: usize,
}

impl DifferentiableState {
    /// Kind of the [`SavedState`] that holds this state.
    pub const KIND: &str = "differentiable";
}

/// The gradient of a loss with respect to the factors of all mixtures, and to the weights of all edges.
struct FactorGradient {
    factors: Vec<Vec<f64>>,
    edges: Vec<f64>,
}

/// A batch of validation images.
struct ValidationBatch {
    pixels: Vec<f32>,
    labels: Vec<u32>,
}

impl Differentiable {
    /// Creates the rule at the start of a run, with logits from 1e-3 · N(0, 1).
    ///
    /// `part` gives the operations of each mixture. `costs` are needed if [`DifferentiableConfig::cost`] is set.
    ///
    /// # Errors
    /// Returns [`TrainError::Setup`] if the network has no mixtures, or if images or costs are missing.
    pub fn new(
        config: DifferentiableConfig,
        space: Box<dyn SearchSpace>,
        part: &SubSpace,
        net: &dyn Lower,
        validation: Option<ValidationImages>,
        costs: Option<OpCosts>,
        rng: &mut dyn Rng,
    ) -> Result<Self, TrainError> {
        let setup = |reason: &str| TrainError::Setup { reason: reason.to_owned() };
        let mixtures = net.mixtures().cloned();
        let mixtures = mixtures.ok_or_else(|| setup("the network has no mixtures of operations"))?;
        if config.cost.is_some() && costs.is_none() {
            return Err(setup("a preference for cheap architectures needs the costs of all operations"));
        }
        let has_validation = validation.as_ref().is_some_and(|of| !of.images.source().is_empty());
        if !has_validation && !matches!(config.method, DifferentiableMethod::Snas { .. }) {
            return Err(setup(
                "the method trains architecture parameters on validation images, and there are none",
            ));
        }
        let ops = mixtures.decisions.iter().map(|of| part.allowed()[of.decision].clone()).collect();
        let nodes = mixtures.edges.map(|_| mixtures.decisions.iter().map(|of| of.node).collect());
        let parameters = ArchParameters::new(ops, nodes, rng);
        let state = DifferentiableState {
            chosen: vec![None; mixtures.decisions.len()],
            parameters,
            epoch: [0, 1],
            steps: 0,
            validation: ValidationSums::default(),
        };
        Ok(Self { config, space, mixtures, validation, costs, state, graph: None })
    }

    /// Returns the architecture that the search would end with now.
    pub fn strongest(&self) -> Arch {
        let mut strengths: Vec<Vec<f64>> =
            self.space.n_ops().iter().map(|&n| vec![f64::NEG_INFINITY; n]).collect();
        let own = self.state.parameters.strengths();
        let ops = self.state.parameters.ops();
        for (place, of) in self.mixtures.decisions.iter().enumerate() {
            for (&op, &strength) in ops[place].iter().zip(&own[place]) {
                let is_open = self.state.chosen[place].is_none_or(|chosen| chosen == op);
                strengths[of.decision][usize::from(op)] = if is_open { strength } else { f64::NEG_INFINITY };
            }
        }
        self.space.strongest(&strengths)
    }

    /// Returns logits, and everything else that a checkpoint keeps.
    pub fn search_state(&self) -> &DifferentiableState {
        &self.state
    }

    /// Returns whether logits are trained in this epoch.
    fn has_started(&self) -> bool {
        let [epoch, epochs] = self.state.epoch;
        epoch >= first_epoch(self.config.start, epochs)
    }

    /// The temperature of the epoch.
    fn temperature(&self) -> f64 {
        let [epoch, epochs] = self.state.epoch;
        match self.config.method {
            DifferentiableMethod::Gdas { temperature: [first, last] }
            | DifferentiableMethod::Snas { temperature: [first, last] } => {
                let share = epoch as f64 / epochs.saturating_sub(1).max(1) as f64;
                first * (1.0 - share) + last * share
            }
            DifferentiableMethod::FbNet { temperature, decay } => {
                let start = first_epoch(self.config.start, epochs);
                temperature * decay.powi(epoch.saturating_sub(start) as i32)
            }
            _ => 1.0,
        }
    }

    /// The rules for factors in steps of the weights and of the logits.
    fn relaxations(&self) -> [Relaxation; 2] {
        let temperature = self.temperature();
        match self.config.method {
            DifferentiableMethod::Darts { .. } | DifferentiableMethod::Perturbation { .. } => {
                [Relaxation::Softmax; 2]
            }
            DifferentiableMethod::Gdas { .. } => [Relaxation::HardGumbel { temperature }; 2],
            DifferentiableMethod::Snas { .. } | DifferentiableMethod::FbNet { .. } => {
                [Relaxation::Gumbel { temperature }; 2]
            }
            DifferentiableMethod::Proxyless { .. } => [Relaxation::Sampled, Relaxation::TwoPaths],
        }
    }

    /// The weights of the operations that a mixture computes.
    fn computed_weights(&self, net: &dyn Lower, mixture: &Mixture) -> Vec<WeightId> {
        let layout = net.weights();
        let is_computed = |owner: &Owner| {
            let place = self.mixtures.decisions.iter().position(|of| of.decision == owner.position);
            place.is_some_and(|place| mixture.computed[place].iter().any(|&op| usize::from(op) == owner.op))
        };
        let owned = layout.iter().filter(|(_, spec)| spec.owner.as_ref().is_some_and(is_computed));
        owned.map(|(id, _)| id).filter(|id| layout.is_trained(*id)).collect()
    }

    /// Draws a mixture, with the operations that were chosen already.
    fn mix(&self, relaxation: Relaxation, rng: &mut dyn Rng) -> Mixture {
        let mut mixture = self.state.parameters.mix(relaxation, rng);
        for (place, chosen) in self.state.chosen.iter().enumerate() {
            if let Some(op) = chosen {
                let ops = &self.state.parameters.ops()[place];
                mixture.computed[place] = vec![*op];
                mixture.factors[place] = ops.iter().map(|other| f64::from(u8::from(other == op))).collect();
            }
        }
        mixture
    }

    /// Writes the factors of a mixture into the executor.
    fn write_factors(&self, mixture: &Mixture, executor: &mut dyn Executor) {
        let layout = executor.layout();
        let mut factors = vec![0.0; layout.spec(self.mixtures.factors).numel()];
        for (place, of) in self.mixtures.decisions.iter().enumerate() {
            for (&op, &factor) in self.state.parameters.ops()[place].iter().zip(&mixture.factors[place]) {
                factors[self.mixtures.index(layout, of.decision, op)] = factor as f32;
            }
        }
        let edges = self.mixtures.edges.map(|id| {
            let mut weights = vec![1.0; layout.spec(id).numel()];
            for (of, &weight) in self.mixtures.decisions.iter().zip(&mixture.edges) {
                weights[of.decision] = weight as f32;
            }
            (id, weights)
        });
        executor.write_weight(self.mixtures.factors, &factors);
        if let Some((id, weights)) = edges {
            executor.write_weight(id, &weights);
        }
    }

    /// Reads the gradient with respect to factors and edge weights.
    fn factor_gradient(&self, executor: &dyn Executor) -> FactorGradient {
        let (layout, all) = (executor.layout(), executor.gradient(self.mixtures.factors));
        let of = |(place, decision): (usize, usize)| {
            let ops = self.state.parameters.ops()[place].iter();
            ops.map(|&op| f64::from(all[self.mixtures.index(layout, decision, op)])).collect()
        };
        let decisions = || self.mixtures.decisions.iter().map(|of| of.decision);
        let factors = decisions().enumerate().map(of).collect();
        let edges = self.mixtures.edges.map(|id| {
            let all = executor.gradient(id);
            decisions().map(|decision| f64::from(all[decision])).collect()
        });
        FactorGradient { factors, edges: edges.unwrap_or_default() }
    }

    /// Lowers a mixture, or takes the graph of the last one if it computes the same operations.
    fn graph(&mut self, net: &dyn Lower, computed: &[Vec<u8>]) -> Result<Arc<Graph>, TrainError> {
        if let Some((of, graph)) = &self.graph
            && of == computed
        {
            return Ok(Arc::clone(graph));
        }
        let graph = Arc::new(net.lower_mixture(computed)?.simplified());
        self.graph = Some((computed.to_vec(), Arc::clone(&graph)));
        Ok(graph)
    }

    /// Returns whether this step trains the logits.
    fn trains_logits(&self) -> bool {
        let every = match self.config.method {
            DifferentiableMethod::Proxyless { every } => every,
            // The logits of edges that are still open are trained to the end.
            _ => 1,
        };
        self.has_started() && self.state.steps.is_multiple_of(every)
    }

    /// The cost term's factor on the loss and the gradient of the loss with respect to the probabilities that it adds. 1 and zeros without it.
    fn cost(&self, mixture: &Mixture, loss: f64) -> (f64, Option<Vec<Vec<f64>>>) {
        let (Some(term), Some(costs)) = (&self.config.cost, &self.costs) else { return (1.0, None) };
        let (factor, slope) = term.factor(costs.fixed + mixture.expected_cost(&costs.ops));
        let slopes = costs.ops.iter().map(|of| of.iter().map(|cost| loss * slope * cost).collect());
        (factor, Some(slopes.collect()))
    }

    /// Moves the logits against the gradient of the factors.
    fn descend(
        &mut self,
        mixture: &Mixture,
        FactorGradient { mut factors, edges }: FactorGradient,
        loss: f64,
    ) -> Result<(), TrainError> {
        let (scale, slopes) = self.cost(mixture, loss);
        factors.iter_mut().flatten().for_each(|slope| *slope *= scale);
        if let Some(slopes) = slopes {
            let own = factors.iter_mut().flatten().zip(slopes.into_iter().flatten());
            own.for_each(|(slope, more)| *slope += more);
        }
        for (place, _) in self.state.chosen.iter().enumerate().filter(|(_, chosen)| chosen.is_some()) {
            factors[place].fill(0.0);
        }
        let gradient = self.state.parameters.gradient(mixture, &factors, &edges);
        match mixture.relaxation() {
            Relaxation::TwoPaths => {
                self.state.parameters.descend_pairs(mixture, &gradient, &self.config.optimizer);
            }
            _ => self.state.parameters.descend(&gradient, &self.config.optimizer),
        }
        if self.state.parameters.is_finite() {
            return Ok(());
        }
        let (what, value) = ("architecture parameter", f64::NAN);
        Err(NotFinite { what, value, path: self.strongest() }.into())
    }

    /// Trains the weights on a batch, and with SNAS also the logits.
    fn weight_step(
        &mut self,
        ctx: &mut StepContext<'_>,
        batch: &Batch<'_>,
    ) -> Result<StepOutcome, TrainError> {
        let mixture = self.mix(self.relaxations()[0], ctx.rule_rng);
        self.write_factors(&mixture, ctx.executor);
        let graph = self.graph(ctx.net, &mixture.computed)?;
        ctx.executor.zero_gradient();
        // FBNet trains weights and logits with one loss.
        let scale = match self.config.method {
            DifferentiableMethod::FbNet { .. } => self.cost(&mixture, 0.0).0,
            _ => 1.0,
        };
        let passed = ctx.pass_graph(self.strongest(), &graph, scale, batch)?;
        if matches!(self.config.method, DifferentiableMethod::Snas { .. }) && self.trains_logits() {
            let gradient = self.factor_gradient(ctx.executor);
            self.descend(&mixture, gradient, passed.stats.loss)?;
        }
        let clipped = ctx.clip(std::slice::from_ref(&passed), ctx.clip_norm)?;
        let passes = vec![passed];
        let used = self.computed_weights(ctx.net, &mixture);
        (ctx.on_gradient)(&used, ctx.executor);
        // Operations that were not computed do not move, as in ProxylessNAS.
        let unused = match self.config.method {
            DifferentiableMethod::Proxyless { .. } => UnusedWeights::Frozen,
            _ => ctx.sgd.unused,
        };
        ctx.executor.update(&SgdStep { gradient_scale: clipped.factor as f32, unused, ..ctx.sgd });
        Ok(ctx.outcome(passes, &clipped))
    }

    /// Trains the logits on validation images. `batch` is the training batch of the step, which the second order needs.
    fn logit_step(&mut self, ctx: &mut StepContext<'_>, batch: &Batch<'_>) -> Result<(), TrainError> {
        let Some(validation) = self.validation_batch(batch.images.len(), ctx.rule_rng)? else {
            return Ok(());
        };
        let mixture = self.mix(self.relaxations()[1], ctx.rule_rng);
        self.write_factors(&mixture, ctx.executor);
        let graph = self.graph(ctx.net, &mixture.computed)?;
        let images = self.images(&validation);
        let validation = Batch { images, labels: &validation.labels };
        let is_second = self.config.method == DifferentiableMethod::Darts { order: DartsOrder::Second };
        let (loss, gradient) = match is_second {
            false => {
                let loss = self.validate(ctx, &graph, &validation)?;
                (loss, self.factor_gradient(ctx.executor))
            }
            true => self.second_order(ctx, &graph, batch, &validation)?,
        };
        self.descend(&mixture, gradient, loss)
    }

    /// Computes the gradient of the validation loss and returns the loss.
    fn validate(
        &mut self,
        ctx: &mut StepContext<'_>,
        graph: &Graph,
        validation: &Batch<'_>,
    ) -> Result<f64, TrainError> {
        ctx.executor.zero_gradient();
        let ones = vec![1.0; graph.drop_path_slots() * validation.images.len()];
        let loss = LossSpec { drop_path: &ones, ..LossSpec::default() };
        let stats = ctx.executor.gradients(graph, validation, &loss)?;
        if !stats.loss.is_finite() {
            let (what, value) = ("validation loss", stats.loss);
            return Err(NotFinite { what, value, path: self.strongest() }.into());
        }
        let sums = &mut self.state.validation;
        sums.loss += stats.loss * validation.labels.len() as f64;
        sums.correct += stats.logits.correct(validation.labels);
        sums.images += validation.labels.len();
        Ok(stats.loss)
    }

    /// Computes the gradient of the validation loss at the weights after a virtual step on the training batch, with respect to the factors:
    /// d − ξ · (g(w + εv) − g(w − εv)) / 2ε. Weights and running statistics are restored.
    fn second_order(
        &mut self,
        ctx: &mut StepContext<'_>,
        graph: &Graph,
        batch: &Batch<'_>,
        validation: &Batch<'_>,
    ) -> Result<(f64, FactorGradient), TrainError> {
        let (start, momentum) = (ctx.executor.read(State::Weights), ctx.executor.read(State::Momentum));
        let layout = ctx.net.weights();
        let is_trained: Vec<bool> = {
            let flags = layout.iter().flat_map(|(id, spec)| vec![layout.is_trained(id); spec.numel()]);
            flags.collect()
        };
        let path = self.strongest();
        // The two passes that are subtracted must drop the same paths, so nothing is dropped.
        let dropping = ctx.drop_path.take();
        ctx.executor.zero_gradient();
        ctx.pass_graph(path.clone(), graph, 1.0, batch)?;
        let gradient = ctx.executor.read(State::Gradient);
        let SgdStep { lr, momentum: keep, weight_decay, .. } = ctx.sgd;
        let moved = |i: usize| match is_trained[i] {
            true => start[i] - lr * (keep * momentum[i] + gradient[i] + weight_decay * start[i]),
            false => start[i],
        };
        let virtual_weights: Vec<f32> = (0..start.len()).map(moved).collect();
        ctx.executor.write(State::Weights, &virtual_weights);
        let loss = self.validate(ctx, graph, validation)?;
        let FactorGradient { mut factors, mut edges } = self.factor_gradient(ctx.executor);
        let direction = ctx.executor.read(State::Gradient);
        let squares = direction.iter().zip(&is_trained).filter(|(_, trained)| **trained);
        let norm = squares.map(|(v, _)| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        if norm > 0.0 {
            let epsilon = 0.01 / norm;
            for sign in [1.0, -1.0] {
                let step = (sign * epsilon) as f32;
                let at = |i: usize| if is_trained[i] { start[i] + step * direction[i] } else { start[i] };
                let weights: Vec<f32> = (0..start.len()).map(at).collect();
                ctx.executor.write(State::Weights, &weights);
                ctx.executor.zero_gradient();
                ctx.pass_graph(path.clone(), graph, 1.0, batch)?;
                let other = self.factor_gradient(ctx.executor);
                let share = -f64::from(lr) * sign / (2.0 * epsilon);
                let own = factors.iter_mut().flatten().zip(other.factors.into_iter().flatten());
                own.for_each(|(slope, other)| *slope += share * other);
                edges.iter_mut().zip(other.edges).for_each(|(slope, other)| *slope += share * other);
            }
        }
        ctx.executor.write(State::Weights, &start);
        ctx.drop_path = dropping;
        Ok((loss, FactorGradient { factors, edges }))
    }

    /// Draws a batch of different validation images. `None` if the method has none.
    fn validation_batch(
        &mut self,
        images: usize,
        rng: &mut dyn Rng,
    ) -> Result<Option<ValidationBatch>, TrainError> {
        let Some(ValidationImages { images: loader, augment }) = &mut self.validation else {
            return Ok(None);
        };
        let all = loader.source().len();
        // The first draws of a Fisher-Yates shuffle, of which only the moved places are kept.
        let mut moved = std::collections::BTreeMap::new();
        let picks = (0..images.min(all)).map(|place| {
            let other = rng.random_range(place..all);
            let pick = moved.get(&other).copied().unwrap_or(other);
            let here = moved.get(&place).copied().unwrap_or(place);
            moved.insert(other, here);
            pick as u32
        });
        let picks: Vec<u32> = picks.collect();
        let loaded = loader.load(&picks, augment, rng)?;
        let labels = loader.source().labels();
        let labels = loaded.indices.iter().map(|&i| u32::from(labels[i as usize])).collect();
        Ok(Some(ValidationBatch { pixels: loaded.pixels, labels }))
    }

    fn images<'a>(&self, batch: &'a ValidationBatch) -> Images<'a> {
        let source = self.validation.as_ref().expect("a validation batch has a source");
        Images { pixels: Pixels::Given(&batch.pixels), shape: image_shape(source.images.source()) }
    }

    /// The number of mixtures that DARTS-PT has chosen an operation for by the end of the first step of this epoch.
    fn due_choices(&self) -> usize {
        let DifferentiableMethod::Perturbation { start, .. } = self.config.method else { return 0 };
        let ([epoch, epochs], mixtures) = (self.state.epoch, self.state.chosen.len());
        let first = first_epoch(start, epochs);
        match epoch.checked_sub(first) {
            None => 0,
            // At the end of the run everything is chosen.
            Some(passed) => (passed * mixtures / (epochs - first).max(1) + 1).min(mixtures),
        }
    }

    /// Chooses operations for mixtures, in random order, until as many are chosen as are due.
    fn choose(&mut self, ctx: &mut StepContext<'_>, batch: usize) -> Result<(), TrainError> {
        let last = self.state.epoch[0] + 1 == self.state.epoch[1];
        let due = if last { self.state.chosen.len() } else { self.due_choices() };
        if due > 0 && self.state.chosen.iter().all(Option::is_none) {
            // The weights start anew, with a small constant rate.
            let zeros = vec![0.0; ctx.net.weights().numel()];
            ctx.executor.write(State::Momentum, &zeros);
        }
        loop {
            let open: Vec<usize> =
                self.state.chosen.iter().enumerate().filter(|(_, op)| op.is_none()).map(|(i, _)| i).collect();
            if self.state.chosen.len() - open.len() >= due {
                return Ok(());
            }
            let place = open[ctx.rule_rng.random_range(0..open.len())];
            let ops = self.state.parameters.ops()[place].clone();
            let mut worst: Option<(usize, u8)> = None;
            for (index, &op) in ops.iter().enumerate() {
                let mut mixture = self.mix(Relaxation::Softmax, ctx.rule_rng);
                mixture.factors[place][index] = 0.0;
                let correct = self.accuracy(ctx, &mixture, batch)?;
                // The operation whose removal costs most; of equal ones the first.
                if worst.is_none_or(|(least, _)| correct < least) {
                    worst = Some((correct, op));
                }
            }
            self.state.chosen[place] = worst.map(|(_, op)| op);
        }
    }

    /// Counts the validation images that a mixture classifies correctly.
    fn accuracy(
        &mut self,
        ctx: &mut StepContext<'_>,
        mixture: &Mixture,
        batch: usize,
    ) -> Result<usize, TrainError> {
        self.write_factors(mixture, ctx.executor);
        let graph = self.graph(ctx.net, &mixture.computed)?;
        let Some(ValidationImages { images: loader, .. }) = &mut self.validation else { return Ok(0) };
        let (shape, count) = (image_shape(loader.source()), loader.source().len() as u32);
        let all: Vec<u32> = (0..count).collect();
        let mut correct = 0;
        for part in all.chunks(batch) {
            let loaded = loader.load(part, &Augment::NONE, ctx.rule_rng)?;
            let labels = loader.source().labels();
            let labels: Vec<u32> = loaded.indices.iter().map(|&i| u32::from(labels[i as usize])).collect();
            let images = Images { pixels: Pixels::Given(&loaded.pixels), shape };
            correct += ctx.executor.logits(&graph, &images)?.correct(&labels);
        }
        Ok(correct)
    }
}

/// Returns the first epoch after a share of all epochs.
fn first_epoch(share: f64, epochs: usize) -> usize {
    (share * epochs as f64).ceil() as usize
}

impl TrainRule for Differentiable {
    fn step(&mut self, ctx: &mut StepContext<'_>, batch: &Batch<'_>) -> Result<StepOutcome, TrainError> {
        if matches!(self.config.method, DifferentiableMethod::Perturbation { .. }) {
            self.choose(ctx, batch.images.len())?;
        }
        let is_joint = matches!(self.config.method, DifferentiableMethod::Snas { .. });
        let trains_logits = self.trains_logits() && !is_joint;
        if trains_logits && self.config.first == FirstUpdate::Architecture {
            self.logit_step(ctx, batch)?;
        }
        let outcome = self.weight_step(ctx, batch)?;
        if trains_logits && self.config.first == FirstUpdate::Weights {
            self.logit_step(ctx, batch)?;
        }
        self.state.steps += 1;
        Ok(outcome)
    }

    fn begin_epoch(&mut self, epoch: usize, epochs: usize) {
        self.state.epoch = [epoch, epochs];
        self.state.validation = ValidationSums::default();
    }

    fn schedule_point(&self, at: RunPoint) -> RunPoint {
        match self.config.method {
            // The schedule is that of the supernet, before operations are chosen.
            DifferentiableMethod::Perturbation { start, .. } => {
                let epochs = first_epoch(start, at.epochs).max(1);
                RunPoint { epoch: at.epoch.min(epochs), epochs, ..at }
            }
            _ => at,
        }
    }

    fn learning_rate(&self, at: RunPoint) -> Option<f64> {
        match self.config.method {
            DifferentiableMethod::Perturbation { start, lr } => {
                (at.epoch >= first_epoch(start, at.epochs)).then_some(lr)
            }
            _ => None,
        }
    }

    fn mixture(&self) -> Option<MixtureRecord> {
        let ValidationSums { loss, correct, images } = self.state.validation;
        let per_image = |sum: f64| (images > 0).then(|| sum / images as f64);
        let chooses = matches!(self.config.method, DifferentiableMethod::Perturbation { .. });
        let uses_temperature = matches!(
            self.config.method,
            DifferentiableMethod::Gdas { .. }
                | DifferentiableMethod::Snas { .. }
                | DifferentiableMethod::FbNet { .. }
        );
        Some(MixtureRecord {
            arch: self.strongest().to_string(),
            decisions: self.mixtures.decisions.iter().map(|of| of.decision).collect(),
            ops: self.state.parameters.ops().to_vec(),
            probabilities: self.state.parameters.probabilities(),
            edge_weights: self.state.parameters.edge_weights(),
            chosen: if chooses { self.state.chosen.clone() } else { vec![] },
            temperature: uses_temperature.then(|| self.temperature()),
            validation_loss: per_image(loss),
            validation_accuracy: per_image(100.0 * correct as f64),
        })
    }

    fn state(&self) -> SavedState {
        SavedState::new(DifferentiableState::KIND, &self.state)
    }

    fn restore(&mut self, state: &SavedState) -> Result<(), SamplerError> {
        let read: DifferentiableState = state.read(DifferentiableState::KIND)?;
        let [own, other] = [&self.state, &read]
            .map(|state| (state.parameters.ops().to_vec(), state.parameters.logits().len()));
        if own != other || read.chosen.len() != self.state.chosen.len() {
            let reason = "its mixtures have other operations than those of this network".to_owned();
            return Err(SamplerError::State { kind: DifferentiableState::KIND.to_owned(), reason });
        }
        self.state = read;
        Ok(())
    }
}
