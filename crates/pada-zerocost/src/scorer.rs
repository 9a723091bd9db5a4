use pada_exec::{Images, Inspect, Inspected, Inspection, Objective, State};
use pada_graph::{Graph, Op, WeightId};

use crate::score::{Score, ScoreValue};
use crate::{ZeroCostError, az_nas, grasp, jacobian, patterns, saliency, structural, synflow, zen, zico};

/// A batch of labelled images, normalised and not augmented.
#[derive(Clone, Copy, Debug)]
pub struct ScoringBatch<'a> {
    /// The images, B of them.
    pub images: Images<'a>,
    /// `[B]`, class of each image, below K.
    pub labels: &'a [u32],
}

/// The weights that a network is scored with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// Weights that were just initialised. Batch norms compute as if they had neither scale nor shift, which are 1 and 0 at the start.
    Initial,
    /// Weights that were trained. Scale and shift of batch norms are part of the network.
    Trained,
}

/// Computes one zero-cost score of many networks that share the weights of an executor.
///
/// All passes use batch statistics. The graphs should have no operations that cannot influence the output, because scores count them: an
/// architecture with dead edges should have the score of the architecture without them.
///
/// The executor's weights are those at the time of [`ZeroCostScorer::new`]. Some scores replace them during a call and put them back.
pub struct ZeroCostScorer<'a> {
    pub(crate) score: Score,
    pub(crate) executor: &'a mut dyn Inspect,
    pub(crate) batches: &'a [ScoringBatch<'a>],
    /// The weights that the executor was given.
    pub(crate) weights: Vec<f32>,
    kind: Weights,
    seed: u64,
}

impl<'a> ZeroCostScorer<'a> {
    /// Creates a scorer for the weights of an executor.
    ///
    /// `batches` has one batch; [`Score::Zico`] needs two or more and uses all of them. [`Score::Zen`] takes only shape and number of images
    /// from the batch, and draws weights and images from `seed`.
    ///
    /// # Errors
    /// Returns [`ZeroCostError::TooFew`] if there are too few batches or images, and [`ZeroCostError::OfList`] for a score of a list.
    pub fn new(
        score: Score,
        executor: &'a mut dyn Inspect,
        batches: &'a [ScoringBatch<'a>],
        kind: Weights,
        seed: u64,
    ) -> Result<Self, ZeroCostError> {
        if score.parts() != [score] {
            return Err(ZeroCostError::OfList(score));
        }
        let few = |what, found, needed| Err(ZeroCostError::TooFew { score, what, found, needed });
        let needed = if score == Score::Zico { 2 } else { usize::from(score.reads_images()) };
        if batches.len() < needed {
            return few("batches", batches.len(), needed);
        }
        let needed = if matches!(score, Score::Jacov | Score::Epe | Score::Nwot) { 2 } else { 1 };
        // Only ZiCo reads batches behind the first, and one image is enough for it.
        if let Some(found) = batches.first().map(|batch| batch.images.len()).filter(|&n| n < needed) {
            return few("images", found, needed);
        }
        let weights = executor.read(State::Weights);
        Ok(Self { score, executor, batches, weights, kind, seed })
    }

    /// Computes the score of a network.
    ///
    /// # Errors
    /// Returns [`ZeroCostError::Exec`] if the executor fails, and [`ZeroCostError::NoSuchPart`] if the network lacks what the score
    /// needs. A score that is not finite is not an error: [`ScoreValue::reason`] says why.
    pub fn score(&mut self, graph: &Graph) -> Result<ScoreValue, ZeroCostError> {
        if let Some(value) = structural(self.score, graph, self.executor.layout()) {
            return Ok(ScoreValue { value, reason: None });
        }
        let graph = lean(graph);
        let graph = &match self.kind {
            Weights::Initial => graph.with_plain_norms(),
            Weights::Trained => graph,
        };
        match self.score {
            Score::Synflow => synflow::synflow(self, graph),
            Score::Jacov => jacobian::jacov(self, graph),
            Score::Epe => jacobian::epe(self, graph),
            Score::Nwot => patterns::nwot(self, graph),
            Score::Swap => patterns::swap(self, graph),
            Score::GradNorm => saliency::grad_norm(self, graph),
            Score::Snip => saliency::snip(self, graph),
            Score::Plain => saliency::plain(self, graph),
            Score::Fisher => saliency::fisher(self, graph),
            Score::L2Norm => Ok(saliency::l2_norm(self, graph)),
            Score::Zen => zen::zen(self, graph, self.seed),
            Score::Zico => zico::zico(self, graph),
            Score::Grasp => grasp::grasp(self, graph),
            Score::AzNasExpressivity => az_nas::expressivity(self, graph),
            Score::AzNasProgressivity => az_nas::progressivity(self, graph),
            Score::AzNasTrainability => az_nas::trainability(self, graph, self.seed),
            Score::AzNas => unreachable!("`ZeroCostScorer::new` refuses it"),
            Score::Params | Score::Flops | Score::ActiveConvParams | Score::ConvDepth | Score::Pools => {
                unreachable!("`structural` has computed it")
            }
        }
    }

    /// Returns the only batch of all scores but zico.
    pub(crate) fn batch(&self) -> ScoringBatch<'a> {
        self.batches[0]
    }

    /// Inspects a pass over the batch.
    pub(crate) fn inspect(
        &mut self,
        graph: &Graph,
        inspection: &Inspection<'_>,
    ) -> Result<Inspected, ZeroCostError> {
        Ok(self.executor.inspect(graph, &self.batch().images, inspection)?)
    }

    /// Computes the gradient of the mean cross entropy of a batch with respect to the kernels of the graph, in the order of [`kernels`].
    pub(crate) fn gradients(
        &mut self,
        graph: &Graph,
        batch: ScoringBatch<'_>,
    ) -> Result<Vec<Vec<f32>>, ZeroCostError> {
        self.executor.zero_gradient();
        let objective = Some(Objective::CrossEntropy(batch.labels));
        let inspection = Inspection { objective, weight_gradient: true, ..Inspection::default() };
        self.executor.inspect(graph, &batch.images, &inspection)?;
        Ok(kernels(graph).into_iter().map(|id| self.executor.gradient(id).into_owned()).collect())
    }

    /// Returns the initial values of a weight.
    pub(crate) fn weight(&self, id: WeightId) -> &[f32] {
        &self.weights[self.executor.layout().range(id)]
    }
}

/// Returns the graph without zeros in sums that have other terms.
pub(crate) fn lean(graph: &Graph) -> Graph {
    let lean = graph.without_zero_terms();
    // Of a network that does not depend on its images, everything would go.
    let reads_images = lean.nodes().iter().any(|node| node.op == Op::Input);
    if reads_images { lean } else { graph.clone() }
}

/// Returns the weights of all convolutions and linear layers of a graph, without biases, each once.
pub(crate) fn kernels(graph: &Graph) -> Vec<WeightId> {
    let mut ids: Vec<WeightId> = Vec::new();
    for node in graph.nodes() {
        let id = match &node.op {
            Op::Conv(conv) => conv.weight,
            Op::Linear { weight, .. } => *weight,
            _ => continue,
        };
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}
