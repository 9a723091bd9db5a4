use std::collections::HashMap;

use super::{ANCHOR, Activation, BufferId, Kind, NormId, Plan, Source, Term};
use crate::kernels::WriteMode;

/// Index of a gradient.
pub(crate) type GradientId = usize;

/// The memory that the backward pass of an operation writes for one of its inputs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) gradient: GradientId,
    pub(crate) write_mode: WriteMode,
}

/// The gradient of a buffer, by how the buffer is read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gradient {
    /// The gradient from operations that read the buffer without its batch norm.
    pub(crate) direct: Option<GradientId>,
    /// The gradient from operations that read the buffer through its batch norm, with respect to the normalised values.
    pub(crate) norm: Option<(NormId, GradientId)>,
    /// The sum of both. `None` for convolutions, whose kernels add the two while they pad them.
    pub(crate) total: Option<GradientId>,
}

/// The plan of the backward pass.
#[derive(Clone, Debug)]
pub(crate) struct Backward {
    /// Per gradient: the buffer it is the gradient of.
    pub(crate) buffers: Vec<BufferId>,
    /// Per gradient: the gradient whose memory it shares, or itself.
    pub(crate) roots: Vec<GradientId>,
    /// Per gradient: its offset in the arena of an image.
    pub(crate) places: Vec<usize>,
    /// Per buffer: its gradient.
    pub(crate) of: Vec<Gradient>,
    /// The gradients that losses set: of the logits of the output, then of auxiliary heads, each buffer once.
    pub(crate) starts: Vec<(BufferId, GradientId)>,
    /// Per operation and input: `None` if no gradient is needed, or if it shares the memory of the output's gradient.
    pub(crate) targets: Vec<Vec<Option<Target>>>,
    /// Per operation: the norms whose gradient is complete after its backward pass.
    pub(crate) complete: Vec<Vec<NormId>>,
}

/// Returns whether the gradient of an input equals the gradient of the output.
fn passes_through(kind: &Kind, input: usize) -> bool {
    match kind {
        Kind::Combine { terms, act: Activation::None } => matches!(terms[input], Term::Value(_)),
        _ => false,
    }
}

impl Backward {
    pub(super) fn new(plan: &Plan) -> Self {
        let needed = needed(plan);
        let mut readers: HashMap<(BufferId, Option<NormId>), usize> = HashMap::new();
        for source in plan.ops.iter().flat_map(|op| &op.reads) {
            *readers.entry((source.buffer, source.norm)).or_default() += 1;
        }
        let mut backward = Self {
            buffers: vec![],
            roots: vec![],
            places: vec![],
            of: vec![Gradient::default(); plan.buffers.len()],
            starts: vec![],
            targets: vec![vec![]; plan.ops.len()],
            complete: vec![vec![]; plan.ops.len()],
        };
        for logits in std::iter::once(plan.output).chain(plan.auxiliary.iter().map(|(logits, _)| *logits)) {
            if backward.of[logits].direct.is_none() {
                let start = backward.add(logits, None);
                backward.of[logits].direct = Some(start);
                backward.starts.push((logits, start));
            }
        }
        let mut first_reader: HashMap<NormId, usize> = HashMap::new();
        for (i, op) in plan.ops.iter().enumerate().rev() {
            let total = backward.set_total(op.out, &op.kind);
            // No operation reads a difference. Its backward pass starts from the alignment loss.
            let begins = matches!(op.kind, Kind::Difference { .. });
            if total.is_none() && !begins {
                continue;
            }
            for (input, &source) in op.reads.iter().enumerate() {
                let starts = backward.starts.iter().any(|(logits, _)| *logits == source.buffer);
                let only_reader = readers[&(source.buffer, source.norm)] == 1 && !starts;
                let shared = total.filter(|_| only_reader && passes_through(&op.kind, input));
                let is_anchor = begins && input == ANCHOR;
                let wanted = !is_anchor && (needed[source.buffer] || is_affine(plan, &source));
                let target = if wanted { backward.reach(source, shared) } else { None };
                backward.targets[i].push(target);
                if let (true, Some(norm)) = (wanted, source.norm) {
                    first_reader.insert(norm, i);
                }
            }
        }
        for (norm, op) in first_reader {
            backward.complete[op].push(norm);
        }
        backward.complete.iter_mut().for_each(|norms| norms.sort_unstable());
        backward
    }

    /// Returns whether a buffer has a gradient.
    pub(super) fn reaches(&self, buffer: BufferId) -> bool {
        self.of[buffer].direct.is_some() || self.of[buffer].norm.is_some()
    }

    /// Sets the total gradient of a buffer. Returns the gradient from which the operation computes those of its inputs, or `None` if no
    /// reader of the buffer has a gradient.
    fn set_total(&mut self, buffer: BufferId, kind: &Kind) -> Option<GradientId> {
        let Gradient { direct, norm, .. } = self.of[buffer];
        let total = match (direct, norm) {
            (None, None) => return None,
            (Some(direct), None) => direct,
            // The padding kernel of a convolution adds both parts.
            (_, Some((_, after))) if matches!(kind, Kind::Conv(_)) => after,
            (_, Some(_)) => self.add(buffer, None),
        };
        self.of[buffer].total = (!matches!(kind, Kind::Conv(_))).then_some(total);
        Some(total)
    }

    /// Adds a reader of a buffer. Returns where it writes its gradient, or `None` if `shared` contains this gradient already.
    fn reach(&mut self, source: Source, shared: Option<GradientId>) -> Option<Target> {
        let known = match source.norm {
            None => self.of[source.buffer].direct,
            Some(_) => self.of[source.buffer].norm.map(|(_, gradient)| gradient),
        };
        debug_assert!(shared.is_none() || known.is_none(), "only a lone reader shares");
        let (gradient, write_mode) = match known {
            Some(gradient) => (gradient, WriteMode::Accumulate),
            None => (self.add(source.buffer, shared), WriteMode::Store),
        };
        match source.norm {
            None => self.of[source.buffer].direct = Some(gradient),
            Some(norm) => self.of[source.buffer].norm = Some((norm, gradient)),
        }
        shared.is_none().then_some(Target { gradient, write_mode })
    }

    fn add(&mut self, buffer: BufferId, shares: Option<GradientId>) -> GradientId {
        let id = self.buffers.len();
        self.buffers.push(buffer);
        self.roots.push(shares.map_or(id, |other| self.roots[other]));
        id
    }
}

/// Returns, for each buffer, whether it depends on a weight, so that its gradient is needed.
fn needed(plan: &Plan) -> Vec<bool> {
    let mut needed = vec![false; plan.buffers.len()];
    for op in &plan.ops {
        needed[op.out] = match &op.kind {
            Kind::Conv(_) | Kind::Linear { .. } | Kind::Scale { .. } => true,
            Kind::Load => plan.wanted.images,
            _ => op.reads.iter().any(|source| is_affine(plan, source) || needed[source.buffer]),
        };
    }
    needed
}

fn is_affine(plan: &Plan, source: &Source) -> bool {
    source.norm.is_some_and(|norm| plan.norms[norm].norm.affine.is_some())
}
