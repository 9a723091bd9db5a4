mod attention;
mod perturbation;
mod second_order;
mod zeroth_order;

use std::sync::Arc;

pub use attention::{AttentionSearch, AttentionState};
use pada_exec::{Batch, Executor, LossSpec, SgdStep, UnusedWeights};
use pada_graph::{Graph, Lower, Mixtures, Owner, WeightId};
use pada_report::MixtureRecord;
use pada_sampler::{SamplerError, SavedState};
use pada_search::{ArchOptimizer, ArchParameters, CostTerm, Mixture, Relaxation, ZerothOrder};
use pada_space::{Arch, SearchSpace, SubSpace};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::search_images::{SearchBatch, SearchImages};
use super::{Nsas, NsasConfig, NsasState, StepContext, StepOutcome, TrainRule};
use crate::r#loop::schedule::RunPoint;
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
    /// Constraint paths that weigh in the loss of the weights, as in NSAS, for [`DifferentiableMethod::Gdas`]; `None` for none.
    pub constraints: Option<NsasConfig>,
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
    /// ZARTS: displacements of the logits are sampled around the negative gradient, the weights are trained for some steps after each of them,
    /// and displacements whose validation loss is low then weigh more.
    Zarts(Zarts),
    /// BaLeNAS: logits have a normal distribution, and each pass draws them from it. Their means and deviations are trained by a natural gradient.
    Variational,
}

/// Settings of [`DifferentiableMethod::Zarts`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Zarts {
    /// The number of displacements and how they weigh.
    pub rule: ZerothOrder,
    /// Number of steps of the weights per step of the logits, at least 1.
    pub every: usize,
    /// M, the number of steps of the weights after each displacement. They are undone afterwards.
    pub inner_steps: usize,
    /// σ, the standard deviation of displacements when the logits begin to be trained, above 0. It falls to 0 by a cosine.
    pub deviation: f64,
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
/// - ZARTS: Wang et al., NeurIPS 2022; `vicFigure/ZARTS` @38bb2a6, `cnn/train_search.py`.
/// - GDAS-NSAS: Zhang et al., *Overcoming Multi-Model Forgetting*, CVPR 2020: GDAS, whose weights are trained with the loss of [`Nsas`] on drawn paths.
/// - BaLeNAS: Zhang et al., CVPR 2022, of which no code is public. The update is that of Vadam (Khan et al., ICML 2018), on whose family the method
///   is built; whether it equals the authors' is not known.
///
/// - DIFFERS: the public code of GDAS adds the number 0 for each operation that was not drawn, so that these get the sum of the upstream gradient
///   as their gradient. Here it is 0, as in the same code for the space of NASNet.
/// - DIFFERS: FBNet trains weights and logits in alternating epochs on parts of 80 % and 20 %; here they alternate in each step.
/// - DIFFERS: DARTS-PT spreads its choices evenly over the epochs from [`DifferentiableMethod::Perturbation::start`] on. In the space of DARTS, the
///   public code then also chooses the inputs of a node by accuracy; here the probabilities of the chosen operations decide.
/// - DIFFERS: the public code of ProxylessNAS trains logits on validation images as they are, and an edge whose active operation is a skip gets no
///   gradient there; here images are augmented and every edge has a gradient.
/// - DIFFERS: the inner steps of ZARTS train the weights on training images, as in the paper. In the public code they take validation images, and
///   the optimizer does not hold the copied weights, so that these do not move.
/// - DIFFERS: the public code of SNAS drops mixed edges with probability .3 and clips the gradient of the logits at 10; here nothing is dropped or clipped.
/// - DIFFERS: the archive of GDAS-NSAS compares all edges of a cell, because a mixture chooses no inputs of nodes.
pub struct Differentiable {
    config: DifferentiableConfig,
    space: Box<dyn SearchSpace>,
    mixtures: Mixtures,
    inputs: SearchInputs,
    part: SubSpace,
    /// Constraint paths. A path is the list of the drawn operations, as places among the operations of each mixture.
    constraints: Option<Nsas>,
    state: DifferentiableState,
    /// The last graph, with the operations that it computes.
    graph: Option<(Vec<Vec<u8>>, Arc<Graph>)>,
}

/// The images and costs of a search.
#[derive(Default)]
pub struct SearchInputs {
    /// The images on which logits are trained. Only SNAS needs none.
    pub validation: Option<SearchImages>,
    /// The training images, from which ZARTS takes batches of its own. Other methods do not read them.
    pub training: Option<SearchImages>,
    /// The cost of every operation, for [`DifferentiableConfig::cost`].
    pub costs: Option<OpCosts>,
    /// Number of searched cells, which have equally many mixtures one after the other. GDAS-NSAS chooses the constraint paths of each cell
    /// separately. 0 stands for 1.
    pub cells: usize,
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
    /// The constraint paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    constraints: Option<NsasState>,
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

impl Differentiable {
    /// Creates the rule at the start of a run, with logits from 1e-3 · N(0, 1).
    ///
    /// `part` gives the operations of each mixture.
    ///
    /// # Errors
    /// Returns [`TrainError::Setup`] if the network has no mixtures, or if images or costs are missing.
    pub fn new(
        config: DifferentiableConfig,
        space: Box<dyn SearchSpace>,
        part: &SubSpace,
        net: &dyn Lower,
        inputs: SearchInputs,
        rng: &mut dyn Rng,
    ) -> Result<Self, TrainError> {
        let setup = |reason: &str| TrainError::Setup { reason: reason.to_owned() };
        let mixtures = net.mixtures().cloned();
        let mixtures = mixtures.ok_or_else(|| setup("the network has no mixtures of operations"))?;
        if config.cost.is_some() && inputs.costs.is_none() {
            return Err(setup("a preference for cheap architectures needs the costs of all operations"));
        }
        let has = |images: &Option<SearchImages>| images.as_ref().is_some_and(|of| of.len() > 0);
        if !has(&inputs.validation) && !matches!(config.method, DifferentiableMethod::Snas { .. }) {
            return Err(setup(
                "the method trains architecture parameters on validation images, and there are none",
            ));
        }
        if !has(&inputs.training) && matches!(config.method, DifferentiableMethod::Zarts(_)) {
            return Err(setup("ZARTS takes inner steps on training images, and there are none"));
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
            constraints: None,
        };
        let counts: Vec<usize> = state.parameters.ops().iter().map(Vec::len).collect();
        let constraints = match config.constraints {
            None => None,
            Some(nsas) => {
                let paths = SubSpace::from_op_counts(&counts).map_err(|error| setup(&error.to_string()))?;
                Some(Nsas::new(nsas, paths).with_cells(inputs.cells))
            }
        };
        let part = part.clone();
        Ok(Self { config, space, mixtures, inputs, part, constraints, state, graph: None })
    }

    /// Returns the architecture that the search would end with now.
    pub fn strongest(&self) -> Arch {
        let mut strengths = self.state.parameters.strengths();
        let open = strengths.iter_mut().zip(self.state.parameters.ops()).zip(&self.state.chosen);
        for ((strengths, ops), chosen) in open {
            let lost = |op: &u8| chosen.is_some_and(|chosen| chosen != *op);
            let own = strengths.iter_mut().zip(ops).filter(|(_, op)| lost(op));
            own.for_each(|(strength, _)| *strength = f64::NEG_INFINITY);
        }
        strongest(self.space.as_ref(), &self.mixtures, &self.part, self.state.parameters.ops(), &strengths)
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
            DifferentiableMethod::Darts { .. }
            | DifferentiableMethod::Perturbation { .. }
            | DifferentiableMethod::Zarts(_)
            | DifferentiableMethod::Variational => [Relaxation::Softmax; 2],
            DifferentiableMethod::Gdas { .. } => [Relaxation::HardGumbel { temperature }; 2],
            DifferentiableMethod::Snas { .. } | DifferentiableMethod::FbNet { .. } => {
                [Relaxation::Gumbel { temperature }; 2]
            }
            DifferentiableMethod::Proxyless { .. } => [Relaxation::Sampled, Relaxation::TwoPaths],
        }
    }

    /// Draws a mixture, with the operations that were chosen already.
    fn mix(&self, relaxation: Relaxation, rng: &mut dyn Rng) -> Mixture {
        let parameters = &self.state.parameters;
        let mut mixture = match (self.config.method, &self.inputs.validation) {
            (DifferentiableMethod::Variational, Some(validation)) => {
                let drawn = parameters.draw(validation.len(), &self.config.optimizer, rng);
                parameters.with_logits(&drawn).mix(relaxation, rng)
            }
            _ => parameters.mix(relaxation, rng),
        };
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
            DifferentiableMethod::Proxyless { every } | DifferentiableMethod::Zarts(Zarts { every, .. }) => {
                every
            }
            // The logits of edges that are still open are trained to the end.
            _ => 1,
        };
        self.has_started() && self.state.steps.is_multiple_of(every)
    }

    /// The cost term's factor on the loss and the gradient of the loss with respect to the probabilities that it adds. 1 and zeros without it.
    fn cost(&self, mixture: &Mixture, loss: f64) -> (f64, Option<Vec<Vec<f64>>>) {
        let (Some(term), Some(costs)) = (&self.config.cost, &self.inputs.costs) else { return (1.0, None) };
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
        let (parameters, optimizer) = (&mut self.state.parameters, &self.config.optimizer);
        match (self.config.method, mixture.relaxation()) {
            (DifferentiableMethod::Variational, _) => parameters.descend_means(&gradient, optimizer),
            (_, Relaxation::TwoPaths) => parameters.descend_pairs(mixture, &gradient, optimizer),
            _ => parameters.descend(&gradient, optimizer),
        }
        self.check_logits()
    }

    fn check_logits(&self) -> Result<(), TrainError> {
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
        let scale = match &self.config.constraints {
            Some(nsas) => scale * (1.0 - nsas.beta),
            None => scale,
        };
        let passed = ctx.pass_graph(self.strongest(), &graph, scale, batch)?;
        let constraints = self.pass_constraints(ctx, &mixture, batch)?;
        if matches!(self.config.method, DifferentiableMethod::Snas { .. }) && self.trains_logits() {
            let gradient = self.factor_gradient(ctx.executor);
            self.descend(&mixture, gradient, passed.stats.loss)?;
        }
        let mut computed = mixture.computed.clone();
        for own in &constraints {
            computed.iter_mut().zip(own).for_each(|(all, own)| all.extend_from_slice(own));
        }
        let used = computed_weights(ctx.net, &self.mixtures, &computed);
        // Operations that were not computed do not move, as in ProxylessNAS.
        let unused = match self.config.method {
            DifferentiableMethod::Proxyless { .. } => UnusedWeights::Frozen,
            _ => ctx.sgd.unused,
        };
        ctx.descend_on(vec![passed], &used, &SgdStep { unused, ..ctx.sgd })
    }

    /// Adds the gradient of the constraint paths, and returns their operations.
    fn pass_constraints(
        &mut self,
        ctx: &mut StepContext<'_>,
        mixture: &Mixture,
        batch: &Batch<'_>,
    ) -> Result<Vec<Vec<Vec<u8>>>, TrainError> {
        let Some(nsas) = &mut self.constraints else { return Ok(vec![]) };
        let ops = self.state.parameters.ops();
        let place = |(ops, drawn): (&Vec<u8>, &Vec<u8>)| ops.iter().position(|op| drawn.contains(op));
        let drawn = ops.iter().zip(&mixture.computed).map(place);
        let drawn = drawn.map(|place| place.expect("every mixture computes one of its operations") as u8);
        let drawn: Vec<u8> = drawn.collect();
        nsas.consider(&Arch::new(drawn), ctx.rule_rng);
        let (paths, beta) = (nsas.constraints(ctx.rule_rng), nsas.config().beta);
        let scale = beta / paths.len() as f64;
        // A path reads the factor of its operations only.
        let mut all = mixture.clone();
        all.factors.iter_mut().for_each(|factors| factors.fill(1.0));
        self.write_factors(&all, ctx.executor);
        let mut all_computed = Vec::with_capacity(paths.len());
        for path in paths {
            let op = |(ops, &place): (&Vec<u8>, &u8)| vec![ops[usize::from(place)]];
            let computed: Vec<Vec<u8>> =
                self.state.parameters.ops().iter().zip(path.choices()).map(op).collect();
            let graph = ctx.net.lower_mixture(&computed)?.simplified();
            ctx.pass_graph(self.strongest(), &graph, scale, batch)?;
            all_computed.push(computed);
        }
        Ok(all_computed)
    }

    /// Trains the logits on validation images. `batch` is the training batch of the step, which the second order needs.
    fn logit_step(&mut self, ctx: &mut StepContext<'_>, batch: &Batch<'_>) -> Result<(), TrainError> {
        let Some(validation) = &mut self.inputs.validation else { return Ok(()) };
        let validation = validation.draw(batch.images.len(), ctx.rule_rng)?;
        let mixture = self.mix(self.relaxations()[1], ctx.rule_rng);
        self.write_factors(&mixture, ctx.executor);
        let graph = self.graph(ctx.net, &mixture.computed)?;
        let (loss, gradient) = match self.config.method {
            DifferentiableMethod::Darts { order: DartsOrder::Second } => {
                self.second_order(ctx, &graph, batch, &validation)?
            }
            _ => {
                let loss = self.validate(ctx, &graph, &validation)?;
                (loss, self.factor_gradient(ctx.executor))
            }
        };
        match self.config.method {
            DifferentiableMethod::Zarts(zarts) => {
                let gradient = self.state.parameters.gradient(&mixture, &gradient.factors, &gradient.edges);
                self.zeroth_order(ctx, &zarts, &graph, &gradient, &validation)
            }
            _ => self.descend(&mixture, gradient, loss),
        }
    }

    /// Computes the gradient of the validation loss and returns the loss, which is added to the sums of the epoch.
    fn validate(
        &mut self,
        ctx: &mut StepContext<'_>,
        graph: &Graph,
        validation: &SearchBatch,
    ) -> Result<f64, TrainError> {
        let (loss, correct) = self.loss(ctx, graph, validation)?;
        let (sums, images) = (&mut self.state.validation, validation.labels.len());
        sums.loss += loss * images as f64;
        sums.correct += correct;
        sums.images += images;
        Ok(loss)
    }

    /// Computes the gradient of the validation loss. Returns the loss and the number of correct images.
    fn loss(
        &self,
        ctx: &mut StepContext<'_>,
        graph: &Graph,
        validation: &SearchBatch,
    ) -> Result<(f64, usize), TrainError> {
        ctx.executor.zero_gradient();
        let ones = vec![1.0; graph.drop_path_slots() * validation.labels.len()];
        let loss = LossSpec { drop_path: &ones, ..LossSpec::default() };
        let stats = ctx.executor.gradients(graph, &validation.batch(), &loss)?;
        if !stats.loss.is_finite() {
            let (what, value) = ("validation loss", stats.loss);
            return Err(NotFinite { what, value, path: self.strongest() }.into());
        }
        Ok((stats.loss, stats.logits.correct(&validation.labels)))
    }
}

/// Returns the architecture of the strongest operations. `ops` and `strengths` have a list for every mixture.
fn strongest(
    space: &dyn SearchSpace,
    mixtures: &Mixtures,
    part: &SubSpace,
    ops: &[Vec<u8>],
    strengths: &[Vec<f64>],
) -> Arch {
    let mut all: Vec<Vec<f64>> = space.n_ops().iter().map(|&n| vec![f64::NEG_INFINITY; n]).collect();
    for (of, (ops, strengths)) in mixtures.decisions.iter().zip(ops.iter().zip(strengths)) {
        ops.iter().zip(strengths).for_each(|(&op, &own)| all[of.decision][usize::from(op)] = own);
    }
    let strongest = space.strongest(&all);
    // An edge that no node keeps has the first operation, which another part of the space may have.
    let choices = strongest.choices().iter().zip(part.allowed());
    let allowed = |(&choice, allowed): (&u8, &Vec<u8>)| match allowed.contains(&choice) {
        true => choice,
        false => allowed[0],
    };
    Arch::new(choices.map(allowed).collect::<Vec<_>>())
}

/// Returns the weights of the operations that are computed, in the order of the layout. `computed` has a list for every mixture.
fn computed_weights(net: &dyn Lower, mixtures: &Mixtures, computed: &[Vec<u8>]) -> Vec<WeightId> {
    let layout = net.weights();
    let is_computed = |owner: &Owner| {
        let place = mixtures.decisions.iter().position(|of| of.decision == owner.position);
        place.is_some_and(|place| computed[place].iter().any(|&op| usize::from(op) == owner.op))
    };
    let owned = layout.iter().filter(|(_, spec)| spec.owner.as_ref().is_some_and(is_computed));
    owned.map(|(id, _)| id).filter(|id| layout.is_trained(*id)).collect()
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
        let constraints = self.constraints.as_ref().map(Nsas::archive_state);
        SavedState::new(DifferentiableState::KIND, &DifferentiableState { constraints, ..self.state.clone() })
    }

    fn restore(&mut self, state: &SavedState) -> Result<(), SamplerError> {
        let read: DifferentiableState = state.read(DifferentiableState::KIND)?;
        let [own, other] = [&self.state, &read]
            .map(|state| (state.parameters.ops().to_vec(), state.parameters.logits().len()));
        if own != other || read.chosen.len() != self.state.chosen.len() {
            let reason = "its mixtures have other operations than those of this network".to_owned();
            return Err(SamplerError::State { kind: DifferentiableState::KIND.to_owned(), reason });
        }
        if let (Some(own), Some(constraints)) = (&mut self.constraints, &read.constraints) {
            own.restore(&SavedState::new(NsasState::KIND, constraints))?;
        }
        self.state = DifferentiableState { constraints: None, ..read };
        Ok(())
    }
}
