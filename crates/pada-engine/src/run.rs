//! A plan on a batch: level by level, chunk by chunk.

use pada_dist::DistError;
use pada_exec::{HostWeights, Images, Logits, LossSpec, StepStats, cross_entropy};
use pada_graph::Graph;
use rayon::prelude::*;

use crate::memory::{Memory, Scratch};
use crate::pass::{Pass, Place};
use crate::plan::{Backward, BufferId, Compiler, Machine, Mode, NormId, Plan};
use crate::share::{CHUNK, Share, add_lists, parts_of};
use crate::simd::{Number, Unit, Vector};
use crate::statistics::{Coefficients, alignment};
use crate::weights::{self, Packed};

/// Computes a batch, or this rank's share of one: logits, and to train the gradient, which is added to what is there.
pub(crate) fn run<V: Vector>(
    compiler: &mut Compiler,
    host: &mut HostWeights,
    memory: &mut Memory<V::Elem, V::Unit>,
    graph: &Graph,
    (batch, share): (&Images<'_>, &Share<'_>),
    task: Task<'_>,
) -> Result<StepStats, DistError> {
    let images = &batch.part(share.images.clone());
    let plan = compiler.compile(graph, Machine { lanes: V::LANES, per: V::Unit::PER }, task.mode());
    let Memory { dense, depthwise, .. } = memory;
    weights::pack(&plan, host, dense.get(plan.dense_len), depthwise.get(plan.depthwise_len));
    let (loss_scale, drop_path) = match task {
        Task::Train { loss, .. } => (f64::from(loss.scale), loss.drop_path),
        Task::Score | Task::Recalibrate(_) => (0.0, &[][..]),
    };
    let coefficients = Coefficients::new(&plan);
    let mut run = Run::<V> { plan: &plan, share, images, memory, coefficients, loss_scale, drop_path };
    match task {
        Task::Score => run.coefficients.load_running(&plan, host),
        Task::Recalibrate(_) | Task::Train { .. } => {}
    }
    run.forward(host)?;
    let logits = run.logits(plan.output)?;
    match task {
        Task::Score => {}
        Task::Recalibrate(newest) => run.coefficients.track(&plan, share.batch, Some(newest), host),
        Task::Train { .. } => {
            run.coefficients.join_moments(&plan, share)?;
            run.coefficients.track(&plan, share.batch, None, host);
        }
    }
    let Task::Train { labels, loss } = task else {
        return Ok(StepStats { loss: 0.0, logits, feature_norms: vec![], alignment: 0.0 });
    };
    let feature_norms = share.gather(run.feature_norms())?;
    let alignment = alignment(&plan, &run.memory.partial, share)?;
    let way = plan.backward.as_ref().expect("the plan was compiled to train");
    let (plain, slope) = cross_entropy(&logits, labels, loss);
    run.clear_slopes(way);
    run.add_slope(way, plan.output, &slope);
    for &(head, share) in &plan.auxiliary {
        let loss = LossSpec { scale: loss.scale * share, ..*loss };
        let (_, slope) = cross_entropy(&run.logits(head)?, labels, &loss);
        run.add_slope(way, head, &slope);
    }
    run.backward(way, host)?;
    host.touch(graph);
    Ok(StepStats { loss: plain, logits, feature_norms, alignment })
}

/// What a pass is for, and what it needs beside its images.
#[derive(Clone, Copy)]
pub(crate) enum Task<'a> {
    Score,
    /// The batch's share in the running statistics.
    Recalibrate(f64),
    Train {
        labels: &'a [u32],
        loss: &'a LossSpec<'a>,
    },
}

impl Task<'_> {
    fn mode(&self) -> Mode {
        match self {
            Self::Score => Mode::Forward,
            Self::Recalibrate(_) => Mode::Recalibrate,
            Self::Train { .. } => Mode::Train,
        }
    }
}

/// A plan on a batch.
struct Run<'a, V: Vector> {
    plan: &'a Plan,
    share: &'a Share<'a>,
    /// Those of this rank.
    images: &'a Images<'a>,
    memory: &'a mut Memory<V::Elem, V::Unit>,
    coefficients: Coefficients<V::Elem>,
    loss_scale: f64,
    drop_path: &'a [f32],
}

impl<V: Vector> Run<'_, V> {
    fn forward(&mut self, host: &HostWeights) -> Result<(), DistError> {
        for level in 0..self.plan.levels {
            self.each_image(host, 0, |pass, place, scratch| pass.forward(level, place, scratch));
            let ops = &self.plan.ops[self.plan.op_range(level)];
            let norms: Vec<NormId> = ops.iter().flat_map(|op| &op.norms).copied().collect();
            self.coefficients.finalize_stats(self.plan, &norms, &self.memory.partial, self.share, host)?;
        }
        Ok(())
    }

    fn backward(&mut self, way: &Backward, host: &mut HostWeights) -> Result<(), DistError> {
        let total_len = self.plan.ops.iter().map(|op| op.sums_len).sum();
        let mut end = 0;
        for level in (0..self.plan.levels).rev() {
            let range = self.plan.op_range(level);
            let ops = &self.plan.ops[range.clone()];
            let sums_len = ops.iter().map(|op| op.sums_len).sum();
            self.each_image(host, sums_len, |pass, place, scratch| pass.backward(way, level, place, scratch));
            let start = end;
            end += sums_len;
            let Memory { sums, total, .. } = &mut *self.memory;
            add_lists(sums.get(self.share.chunks() * sums_len), &mut total.get(total_len)[start..end]);
            let norms: Vec<NormId> = range.flat_map(|op| &way.complete[op]).copied().collect();
            self.coefficients.finalize_norm_gradient(self.plan, &norms, &self.memory.partial, self.share)?;
        }
        // One long message instead of one a level that is sent while the next is computed: it takes under 2 % of a step between ranks
        // of one machine, see xtask/records/2026-11-25-ranks.
        let total = self.memory.total.get(total_len);
        self.share.sum(total)?;
        let mut rest = &*total;
        for level in (0..self.plan.levels).rev() {
            for op in self.plan.ops[self.plan.op_range(level)].iter().filter(|op| op.sums_len > 0) {
                let sums;
                (sums, rest) = rest.split_at(op.sums_len);
                weights::add_gradient(self.plan, op, sums, host);
            }
        }
        self.coefficients.add_affine(self.plan, self.share, host)
    }

    /// Calls `work` for every image; each chunk has `sums_len` zeros to add to.
    fn each_image(
        &mut self,
        host: &HostWeights,
        sums_len: usize,
        work: impl Fn(&Pass<'_, V>, &mut Place<'_, V::Elem>, &mut Scratch<V::Elem, V::Unit>) + Sync,
    ) {
        let (plan, images) = (self.plan, self.images.len());
        let Memory { arena, dense, depthwise, sums, partial, pool, .. } = &mut *self.memory;
        let count = images.div_ceil(CHUNK);
        let partial_len = plan.partial_len();
        partial.resize(count * partial_len, 0.0);
        let pass = Pass {
            plan,
            host,
            packed: Packed { dense: dense.get(plan.dense_len), depthwise: depthwise.get(plan.depthwise_len) },
            coefficients: &self.coefficients,
            images: self.images,
            share: self.share,
            loss_scale: self.loss_scale,
            drop_path: self.drop_path,
        };
        let parts = arena.get(images * plan.image_len).par_chunks_mut(CHUNK * plan.image_len);
        let sums = parts_of(sums.get(count * sums_len), sums_len, count);
        let partial = parts_of(partial, partial_len, count);
        parts.zip(sums).zip(partial).enumerate().for_each(|(chunk, ((values, sums), partial))| {
            sums.fill(V::Elem::ZERO);
            pool.with(|scratch| {
                for (seen, values) in values.chunks_exact_mut(plan.image_len).enumerate() {
                    let image = chunk * CHUNK + seen;
                    work(&pass, &mut Place { image, seen, values, partial, sums }, scratch);
                }
            });
        });
    }

    /// Those of the output, or of an auxiliary head.
    fn logits(&mut self, head: BufferId) -> Result<Logits, DistError> {
        let plan = self.plan;
        let classes = plan.buffers[head].shape.channels;
        let arena = self.memory.arena.get(self.images.len() * plan.image_len);
        let rows =
            arena.chunks_exact(plan.image_len).flat_map(|image| &image[plan.places[head]..][..classes]);
        Ok(Logits { values: self.share.gather(rows.map(|v| v.to_f32()).collect())?, classes })
    }

    /// The L2 norm of what the classifier reads of each of this rank's images.
    fn feature_norms(&mut self) -> Vec<f32> {
        let plan = self.plan;
        let Some(source) = plan.classifier_input() else { return vec![] };
        let arena = self.memory.arena.get(self.images.len() * plan.image_len);
        let square = |v: &V::Elem| f64::from(v.to_f32()).powi(2);
        // Channels that only fill up a vector are zero.
        let norm =
            |image: &[V::Elem]| image[plan.range(source)].iter().map(square).sum::<f64>().sqrt() as f32;
        arena.chunks_exact(plan.image_len).map(norm).collect()
    }

    /// Zeros wherever the way back begins.
    fn clear_slopes(&mut self, way: &Backward) {
        let plan = self.plan;
        let arena = self.memory.arena.get(self.images.len() * plan.image_len);
        for image in arena.chunks_exact_mut(plan.image_len) {
            for &(logits, start) in &way.starts {
                image[way.places[start]..][..plan.buffers[logits].len()].fill(V::Elem::ZERO);
            }
        }
    }

    /// Adds the slope of a loss with respect to logits, `[B, K]`, where their way back begins.
    fn add_slope(&mut self, way: &Backward, logits: BufferId, slope: &[f64]) {
        let plan = self.plan;
        let arena = self.memory.arena.get(self.images.len() * plan.image_len);
        let start = way.starts.iter().find(|(buffer, _)| *buffer == logits);
        let place = way.places[start.expect("the way back begins at all logits").1];
        let classes = plan.buffers[logits].shape.channels;
        let slope = slope.chunks_exact(classes).skip(self.share.images.start);
        for (image, slope) in arena.chunks_exact_mut(plan.image_len).zip(slope) {
            image[place..].iter_mut().zip(slope).for_each(|(out, &s)| *out += V::Elem::from_f64(s));
        }
    }
}
