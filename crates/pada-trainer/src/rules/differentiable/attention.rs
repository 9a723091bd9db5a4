use std::sync::Arc;

use pada_exec::{Batch, Executor, Logits, LossSpec, cross_entropy};
use pada_graph::{Graph, Lower, Mixtures, NodeId, Op};
use pada_report::MixtureRecord;
use pada_sampler::{SamplerError, SavedState};
use pada_space::{Arch, SearchSpace, SubSpace};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{computed_weights, strongest};
use crate::rules::search_images::SearchImages;
use crate::rules::{StepContext, StepOutcome, TrainRule};
use crate::{NotFinite, TrainError};

/// AGNAS: a search without logits. The network weighs the channels of all operations of an edge by attention, which is trained together with the
/// weights on training images. After every epoch, the strength of an operation is the mean of its attention over all validation images, its channels,
/// and the cells that share the decision. The search ends in the strongest operations other than `none`.
///
/// The network must have attention: `MixtureSettings::Attention` of pada-models.
///
/// # Source
/// Sun et al., *AGNAS: Attention-Guided Micro- and Macro-Architecture Search*, ICML 2022; <https://github.com/Sunzh1996/AGNAS> @bbeb8a5,
/// `Darts_Search_Space/model_search.py` and `train_search.py`.
///
/// DIFFERS: the public code derives another cell for every stage of the network. Here all cells of a kind share an architecture, as in the search
/// spaces of this workspace. For NAS-Bench-201 no code is public.
pub struct AttentionSearch {
    space: Box<dyn SearchSpace>,
    mixtures: Mixtures,
    part: SubSpace,
    /// The operations of each mixture.
    ops: Vec<Vec<u8>>,
    validation: SearchImages,
    state: AttentionState,
    graphs: Option<Arc<Graphs>>,
}

/// State of [`AttentionSearch`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AttentionState {
    /// The mean attention of each operation of each mixture after the last epoch, in `0.0..=1.0`. It is 0.5 before the first.
    pub strengths: Vec<Vec<f64>>,
    /// Mean cross entropy (nats) and accuracy (percent) of the network with all operations on the validation images, after the last epoch.
    validation: Option<[f64; 2]>,
}

impl AttentionState {
    /// Kind of the [`SavedState`] that holds this state.
    pub const KIND: &str = "attention";
}

/// The supernet, and the arguments of the sigmoids of its attention.
struct Graphs {
    train: Graph,
    /// The arguments of all gates, one after the other, and then the logits.
    attention: Graph,
    gates: Vec<GateOfEdge>,
}

/// The attention of an edge of a cell.
struct GateOfEdge {
    /// Index of the mixture.
    place: usize,
    /// Number of channels of each operation.
    channels: usize,
}

impl AttentionSearch {
    /// Creates the rule at the start of a run. `part` gives the operations of each mixture.
    ///
    /// # Errors
    /// Returns [`TrainError::Setup`] if the network has no attention, or if there are no validation images.
    pub fn new(
        space: Box<dyn SearchSpace>,
        part: &SubSpace,
        net: &dyn Lower,
        validation: Option<SearchImages>,
    ) -> Result<Self, TrainError> {
        let setup = |reason: &str| TrainError::Setup { reason: reason.to_owned() };
        let mixtures = net.mixtures().filter(|mixtures| !mixtures.gates.is_empty()).cloned();
        let mixtures = mixtures.ok_or_else(|| setup("the network has no attention to operations"))?;
        let missing =
            || setup("the strengths of operations are measured on validation images, and there are none");
        let validation = validation.filter(|images| images.len() > 0).ok_or_else(missing)?;
        let ops: Vec<Vec<u8>> =
            mixtures.decisions.iter().map(|of| part.allowed()[of.decision].clone()).collect();
        let strengths = ops.iter().map(|ops| vec![0.5; ops.len()]).collect();
        let state = AttentionState { strengths, validation: None };
        Ok(Self { space, mixtures, part: part.clone(), ops, validation, state, graphs: None })
    }

    /// Returns the architecture that the search would end with now.
    pub fn strongest(&self) -> Arch {
        let none = self.space.op_names().iter().position(|&name| name == "none");
        let mut strengths = self.state.strengths.clone();
        for (strengths, ops) in strengths.iter_mut().zip(&self.ops).filter(|(_, ops)| ops.len() > 1) {
            let zero = ops.iter().position(|&op| Some(usize::from(op)) == none);
            zero.into_iter().for_each(|place| strengths[place] = f64::NEG_INFINITY);
        }
        strongest(self.space.as_ref(), &self.mixtures, &self.part, &self.ops, &strengths)
    }

    /// Returns everything that a checkpoint keeps besides the weights.
    pub fn search_state(&self) -> &AttentionState {
        &self.state
    }

    fn graphs(&mut self, net: &dyn Lower) -> Result<Arc<Graphs>, TrainError> {
        if let Some(graphs) = &self.graphs {
            return Ok(Arc::clone(graphs));
        }
        let train = net.lower_mixture(&self.ops)?.simplified();
        let (mut read, mut gates) = (vec![], vec![]);
        let ops = net.weights().spec(self.mixtures.factors).shape[1];
        for (i, node) in train.nodes().iter().enumerate() {
            let Op::Linear { weight, out, .. } = node.op else { continue };
            let Some(gate) = self.mixtures.gates.iter().find(|gate| gate.weight == weight) else { continue };
            let place = self.mixtures.decisions.iter().position(|of| of.decision == gate.decision);
            gates.push(GateOfEdge { place: place.expect("a gate has a mixture"), channels: out / ops });
            read.push(NodeId(i));
        }
        read.push(NodeId(train.nodes().len() - 1));
        let attention = train.with_outputs(&read)?;
        let graphs = Arc::new(Graphs { train, attention, gates });
        self.graphs = Some(Arc::clone(&graphs));
        Ok(graphs)
    }
}

impl TrainRule for AttentionSearch {
    fn step(&mut self, ctx: &mut StepContext<'_>, batch: &Batch<'_>) -> Result<StepOutcome, TrainError> {
        let graphs = self.graphs(ctx.net)?;
        ctx.executor.zero_gradient();
        let passes = vec![ctx.pass_graph(self.strongest(), &graphs.train, 1.0, batch)?];
        let used = computed_weights(ctx.net, &self.mixtures, &self.ops);
        let sgd = ctx.sgd;
        ctx.descend_on(passes, &used, &sgd)
    }

    /// Measures the strengths on all validation images.
    fn end_epoch(
        &mut self,
        net: &dyn Lower,
        executor: &mut dyn Executor,
        batch: usize,
        rng: &mut dyn Rng,
    ) -> Result<(), TrainError> {
        let graphs = self.graphs(net)?;
        let mut sums: Vec<Vec<f64>> = self.ops.iter().map(|ops| vec![0.0; ops.len()]).collect();
        let mut counts = vec![0.0; sums.len()];
        let all: Vec<u32> = (0..self.validation.len() as u32).collect();
        let ops = net.weights().spec(self.mixtures.factors).shape[1];
        let (mut correct, mut loss) = (0, 0.0);
        for picks in all.chunks(batch) {
            let part = self.validation.take(picks, rng)?;
            let read = executor.logits(&graphs.attention, &part.images())?;
            let mut values = Vec::with_capacity(picks.len() * graphs.train.output().shape.channels);
            for image in read.values.chunks(graphs.attention.output().shape.channels) {
                let mut rest = image;
                for &GateOfEdge { place, channels } in &graphs.gates {
                    let (own, after) = rest.split_at(ops * channels);
                    rest = after;
                    counts[place] += 1.0;
                    for (sum, &op) in sums[place].iter_mut().zip(&self.ops[place]) {
                        let own = own[usize::from(op) * channels..][..channels].iter();
                        *sum += own.map(|&x| sigmoid(f64::from(x))).sum::<f64>() / channels as f64;
                    }
                }
                values.extend_from_slice(rest);
            }
            let logits = Logits { values, classes: graphs.train.output().shape.channels };
            correct += logits.correct(&part.labels);
            loss += cross_entropy(&logits, &part.labels, &LossSpec::default()).0 * picks.len() as f64;
        }
        for (place, (sums, count)) in sums.iter_mut().zip(counts).enumerate() {
            if count == 0.0 {
                // Every edge of this decision is zero, so that no attention is left of it, and its operations cannot be told apart.
                self.state.strengths[place].fill(0.5);
                continue;
            }
            sums.iter_mut().for_each(|sum| *sum /= count);
            if let Some(&value) = sums.iter().find(|sum| !sum.is_finite()) {
                return Err(NotFinite { what: "attention", value, path: self.strongest() }.into());
            }
            self.state.strengths[place].clone_from(sums);
        }
        let images = all.len() as f64;
        self.state.validation = Some([loss / images, 100.0 * correct as f64 / images]);
        Ok(())
    }

    fn mixture(&self) -> Option<MixtureRecord> {
        let share = |strengths: &Vec<f64>| {
            let all: f64 = strengths.iter().sum();
            strengths.iter().map(|strength| strength / all).collect()
        };
        Some(MixtureRecord {
            arch: self.strongest().to_string(),
            decisions: self.mixtures.decisions.iter().map(|of| of.decision).collect(),
            ops: self.ops.clone(),
            probabilities: self.state.strengths.iter().map(share).collect(),
            edge_weights: vec![],
            chosen: vec![],
            temperature: None,
            validation_loss: self.state.validation.map(|[loss, _]| loss),
            validation_accuracy: self.state.validation.map(|[_, accuracy]| accuracy),
        })
    }

    fn state(&self) -> SavedState {
        SavedState::new(AttentionState::KIND, &self.state)
    }

    fn restore(&mut self, state: &SavedState) -> Result<(), SamplerError> {
        let read: AttentionState = state.read(AttentionState::KIND)?;
        let [own, other] =
            [&self.state, &read].map(|state| state.strengths.iter().map(Vec::len).collect::<Vec<_>>());
        if own != other {
            let reason = "its mixtures have other operations than those of this network".to_owned();
            return Err(SamplerError::State { kind: AttentionState::KIND.to_owned(), reason });
        }
        self.state = read;
        Ok(())
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
