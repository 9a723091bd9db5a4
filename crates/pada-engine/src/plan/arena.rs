use super::compile::ALIGN;
use super::{Activation, Kind, Plan, PoolKind, VALUE};

/// The lifetime of a buffer or gradient, both ends included, and its length.
#[derive(Clone, Copy, Debug)]
struct Life {
    first: usize,
    last: usize,
    len: usize,
}

impl Life {
    fn unused(len: usize) -> Self {
        Self { first: usize::MAX, last: 0, len: len.next_multiple_of(ALIGN) }
    }

    fn touch(&mut self, time: usize) {
        self.first = self.first.min(time);
        self.last = self.last.max(time);
    }

    fn meets(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Assigns an offset in the arena of an image to every buffer and gradient. Buffers whose lifetimes do not overlap may share memory.
///
/// Time counts operations, first forward, then backward.
pub(super) fn lay_out(plan: &mut Plan) {
    let n = plan.ops.len();
    let mut values: Vec<Life> = plan.buffers.iter().map(|buffer| Life::unused(buffer.len())).collect();
    for (time, op) in plan.ops.iter().enumerate() {
        values[op.out].touch(time);
        op.reads.iter().for_each(|source| values[source.buffer].touch(time));
    }
    values[plan.output].touch(n);
    plan.auxiliary.iter().for_each(|(logits, _)| values[*logits].touch(n));
    let mut gradients = Vec::new();
    if let Some(backward) = &plan.backward {
        gradients = backward.buffers.iter().map(|&b| Life::unused(plan.buffers[b].len())).collect();
        backward.starts.iter().for_each(|(_, start)| gradients[backward.roots[*start]].touch(n));
        if let Some(gradient) = plan.image_gradient(backward) {
            gradients[backward.roots[gradient]].touch(2 * n);
        }
        for (i, op) in plan.ops.iter().enumerate() {
            let time = 2 * n - 1 - i;
            let gradient = backward.of[op.out];
            let parts = [gradient.direct, gradient.norm.map(|(_, g)| g), gradient.total];
            let targets = backward.targets[i].iter().flatten().map(|target| target.gradient);
            for id in parts.into_iter().flatten().chain(targets) {
                gradients[backward.roots[id]].touch(time);
            }
            if gradient.norm.is_some() {
                values[op.out].touch(time);
            }
            for &norm in &backward.complete[i] {
                let buffer = plan.norms[norm].buffer;
                values[buffer].touch(time);
                if let Some((_, g)) = backward.of[buffer].norm {
                    gradients[backward.roots[g]].touch(time);
                }
            }
            if op.products.is_some() {
                values[op.out].touch(time);
            }
            match &op.kind {
                Kind::Difference { .. } if backward.targets[i][VALUE].is_some() => values[op.out].touch(time),
                // A value that only anchors read has no gradient.
                _ if !backward.reaches(op.out) => {}
                Kind::Combine { act: Activation::Relu | Activation::Relu6, .. } => values[op.out].touch(time),
                Kind::Conv(_)
                | Kind::GlobalPool { .. }
                | Kind::Gate
                | Kind::Linear { .. }
                | Kind::Scale { .. } => {
                    op.reads.iter().for_each(|source| values[source.buffer].touch(time));
                }
                Kind::Pool { kind: PoolKind::Maximum, source, .. } => values[*source].touch(time),
                _ => {}
            }
        }
    }
    let lives: Vec<Life> = values.iter().chain(&gradients).copied().collect();
    let (mut places, len) = place(&lives);
    let gradient_places = places.split_off(values.len());
    (plan.places, plan.image_len) = (places, len);
    if let Some(backward) = &mut plan.backward {
        backward.places = backward.roots.iter().map(|&root| gradient_places[root]).collect();
    }
}

/// Places the longest first, each at the lowest offset where it does not overlap one that is in use at the same time. Returns all offsets
/// and the total length.
fn place(lives: &[Life]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..lives.len()).filter(|&i| lives[i].first <= lives[i].last).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(lives[i].len), lives[i].first));
    let mut places = vec![0; lives.len()];
    let mut placed: Vec<usize> = Vec::new(); // by place
    let mut end = 0;
    for i in order {
        let mut at = 0;
        for &other in placed.iter().filter(|&&other| lives[other].meets(&lives[i])) {
            if at + lives[i].len <= places[other] {
                break;
            }
            at = at.max(places[other] + lives[other].len);
        }
        places[i] = at;
        end = end.max(at + lives[i].len);
        let behind = placed.partition_point(|&other| places[other] <= at);
        placed.insert(behind, i);
    }
    (places, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_that_live_together_do_not_overlap_and_others_share() {
        let life = |first, last, len| Life { first, last, len };
        let lives = [life(0, 2, 32), life(1, 3, 16), life(3, 4, 32), life(0, 9, 16), Life::unused(64)];
        let (places, len) = place(&lives);
        for (i, a) in lives.iter().enumerate().take(4) {
            for (j, b) in lives.iter().enumerate().take(4) {
                let apart = places[i] + a.len <= places[j] || places[j] + b.len <= places[i];
                assert!(i == j || !a.meets(b) || apart, "{i} and {j}: {places:?}");
            }
        }
        assert_eq!(len, 64);
    }
}
