//! Runs a plan on a batch, level by level and chunk by chunk.

use pada_dist::DistError;
use pada_exec::{
    ChannelProducts, HostWeights, Images, Inspected, Inspection, Logits, LossSpec, Objective, Signs,
    StepStats, cross_entropy, cross_entropy_f64,
};
use pada_graph::{Graph, WeightLayout};
use rayon::prelude::*;

use crate::memory::{Memory, Scratch};
use crate::pass::{Pass, Place};
use crate::plan::{Backward, BufferId, Compiler, Kind, Machine, Mode, NormId, Op, Plan, Wanted};
use crate::shard::{CHUNK, Shard, add_lists, parts_of};
use crate::simd::{Number, Unit, Vector};
use crate::statistics::{Coefficients, alignment};
use crate::weights::{self, Kernels, Packed};

/// Computes a pass over the images of this process and returns the logits of the whole batch. [`Task::Train`] adds the gradient to the
/// accumulated one.
pub(crate) fn run<V: Vector>(
    memory: &mut Memory<V::Elem, V::Unit>,
    compiler: &mut Compiler,
    host: &mut HostWeights,
    graph: &Graph,
    (batch, shard): (&Images<'_>, &Shard<'_>),
    task: Task<'_>,
) -> Result<StepStats, DistError> {
    let images = &batch.part(shard.images.clone());
    let plan = compiler.compile(graph, Machine { lanes: V::LANES, per: V::Unit::PER }, task.mode());
    let mut run = Run::<V>::new(&plan, &Kernels::of(host), memory, images, shard);
    match task {
        Task::Score => run.coefficients.load_running(&plan, host),
        Task::Recalibrate(_) => {}
        Task::Train { loss, .. } => (run.loss_scale, run.drop_path) = (f64::from(loss.scale), loss.drop_path),
    }
    run.forward(&Kernels::of(host))?;
    let logits = run.logits(plan.output)?;
    match task {
        Task::Score => {}
        Task::Recalibrate(newest) => run.coefficients.track(&plan, shard.batch, Some(newest), host),
        Task::Train { .. } => {
            run.coefficients.join_moments(&plan, shard)?;
            run.coefficients.track(&plan, shard.batch, None, host);
        }
    }
    let Task::Train { labels, loss } = task else {
        return Ok(StepStats { loss: 0.0, logits, feature_norms: vec![], alignment: 0.0 });
    };
    let feature_norms = shard.all_gather(run.feature_norms())?;
    let alignment = alignment(&plan, &run.memory.partial, shard)?;
    let backward_plan = plan.backward.as_ref().expect("the plan was compiled to train");
    let (plain, output_grad) = cross_entropy(&logits, labels, loss);
    run.clear_output_grads(backward_plan);
    run.add_output_grad(backward_plan, plan.output, &output_grad);
    for &(head, share) in &plan.auxiliary {
        let loss = LossSpec { scale: loss.scale * share, ..*loss };
        let (_, output_grad) = cross_entropy(&run.logits(head)?, labels, &loss);
        run.add_output_grad(backward_plan, head, &output_grad);
    }
    run.backward(backward_plan, &Kernels::of(host))?;
    run.add_gradients(host)?;
    host.touch(graph);
    Ok(StepStats { loss: plain, logits, feature_norms, alignment })
}

/// Computes a pass that shows what happens inside it. The batch is not shared among processes.
pub(crate) fn inspect<V: Vector>(
    memory: &mut Memory<V::Elem, V::Unit>,
    compiler: &mut Compiler,
    host: &mut HostWeights,
    graph: &Graph,
    (images, shard): (&Images<'_>, &Shard<'_>),
    inspection: &Inspection<'_>,
) -> Result<Inspected, DistError> {
    let objective = inspection.objective;
    let wanted = Wanted {
        gradient: objective.is_some(),
        weights: objective.is_some() && (inspection.weight_gradient || inspection.moved_kernels.is_some()),
        images: objective.is_some() && inspection.image_gradient,
        signs: inspection.signs,
        products: objective.is_some() && inspection.products,
    };
    let plan = compiler.compile(graph, Machine { lanes: V::LANES, per: V::Unit::PER }, Mode::Inspect(wanted));
    let kernels = Kernels { host: &*host, moves: inspection.moved_kernels };
    let mut run = Run::<V>::new(&plan, &kernels, memory, images, shard);
    run.forward(&kernels)?;
    let output = run.numbers(plan.output, plan.places[plan.output]);
    let (mut image_gradient, mut kernel_gradient) = (vec![], vec![]);
    if let (Some(objective), Some(backward_plan)) = (objective, &plan.backward) {
        let output_grad = match objective {
            Objective::Sum => vec![1.0; output.len()],
            Objective::Weighted(factors) => factors.iter().map(|&factor| f64::from(factor)).collect(),
            Objective::CrossEntropy(labels) => {
                cross_entropy_f64(&output, graph.output().shape.channels, labels, &LossSpec::default()).1
            }
        };
        run.clear_output_grads(backward_plan);
        run.add_output_grad(backward_plan, plan.output, &output_grad);
        run.backward(backward_plan, &kernels)?;
        if inspection.moved_kernels.is_some() {
            kernel_gradient = run.kernel_gradient(host.layout());
        }
        if inspection.weight_gradient {
            run.add_gradients(host)?;
            host.touch(graph);
        }
        if wanted.images {
            image_gradient = match (plan.images(), plan.image_gradient(backward_plan)) {
                (Some(buffer), Some(gradient)) => to_f32(run.numbers(buffer, backward_plan.places[gradient])),
                _ => vec![0.0; images.len() * images.shape.numel()],
            };
        }
    }
    let variances = run.coefficients.variances(&plan, images.len());
    Ok(run.watched.into_inspected(
        &plan,
        images.len(),
        Inspected {
            output: to_f32(output),
            image_gradient,
            variances,
            kernel_gradient,
            ..Default::default()
        },
    ))
}

fn to_f32(numbers: Vec<f64>) -> Vec<f32> {
    numbers.into_iter().map(|number| number as f32).collect()
}

/// The lists that a pass writes to show what happens inside it: one per image, for whole chunks of images.
struct Watched {
    signs: Vec<u64>,
    products: Vec<f32>,
}

impl Watched {
    fn into_inspected(self, plan: &Plan, images: usize, rest: Inspected) -> Inspected {
        let Self { mut signs, products } = self;
        signs.truncate(images * plan.signs_len);
        let signs = Signs {
            words: signs,
            per_image: plan.signs_len,
            units: plan.relus.iter().map(|(_, bits)| bits).sum(),
            relus: plan.relus.clone(),
        };
        let layer = |op: &Op| {
            let weight = match &op.kind {
                Kind::Conv(conv) => conv.conv.weight,
                Kind::Linear { weight, .. } => *weight,
                _ => return None,
            };
            let (first, channels) = (op.products?, plan.buffers[op.out].shape.channels);
            let of_image = |image| &products[image * plan.products_len + first..][..channels];
            Some(ChannelProducts {
                weight,
                channels,
                values: (0..images).flat_map(of_image).copied().collect(),
            })
        };
        Inspected { signs, products: plan.ops.iter().filter_map(layer).collect(), ..rest }
    }
}

/// The purpose of a pass, with the inputs that it needs besides its images.
#[derive(Clone, Copy)]
pub(crate) enum Task<'a> {
    Score,
    /// Updates running statistics, in which the batch has this weight.
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

/// One pass of a plan over the images of this process.
struct Run<'a, V: Vector> {
    plan: &'a Plan,
    shard: &'a Shard<'a>,
    /// The images of this process.
    images: &'a Images<'a>,
    memory: &'a mut Memory<V::Elem, V::Unit>,
    coefficients: Coefficients<V::Elem>,
    watched: Watched,
    loss_scale: f64,
    drop_path: &'a [f32],
}

impl<'a, V: Vector> Run<'a, V> {
    /// Packs the weights and creates a pass without a loss.
    fn new(
        plan: &'a Plan,
        kernels: &Kernels<'_>,
        memory: &'a mut Memory<V::Elem, V::Unit>,
        images: &'a Images<'a>,
        shard: &'a Shard<'a>,
    ) -> Self {
        let Memory { dense, depthwise, tiled, .. } = memory;
        let (dense, depthwise) = (dense.get(plan.dense_len), depthwise.get(plan.depthwise_len));
        weights::pack::<_, _, V>(plan, kernels, dense, depthwise, tiled.get(plan.tiled_len));
        let count = shard.chunks() * CHUNK;
        let watched = Watched {
            signs: vec![0; count * plan.signs_len],
            products: vec![0.0; count * plan.products_len],
        };
        let coefficients = Coefficients::new(plan);
        Self { plan, shard, images, memory, coefficients, watched, loss_scale: 0.0, drop_path: &[] }
    }

    fn forward(&mut self, kernels: &Kernels<'_>) -> Result<(), DistError> {
        let host = kernels.host;
        for level in 0..self.plan.levels {
            self.each_image(kernels, 0, |pass, place, scratch| pass.forward(level, place, scratch));
            let ops = &self.plan.ops[self.plan.op_range(level)];
            let norms: Vec<NormId> = ops.iter().flat_map(|op| &op.norms).copied().collect();
            self.coefficients.finalize_stats(self.plan, &norms, &self.memory.partial, self.shard, host)?;
        }
        Ok(())
    }

    /// Computes the gradient, which [`Run::add_gradients`] adds to the accumulated one.
    fn backward(&mut self, backward_plan: &Backward, kernels: &Kernels<'_>) -> Result<(), DistError> {
        let total_len = self.total_len();
        let mut end = 0;
        for level in (0..self.plan.levels).rev() {
            let range = self.plan.op_range(level);
            let ops = &self.plan.ops[range.clone()];
            let sums_len = ops.iter().map(|op| op.sums_len).sum();
            self.each_image(kernels, sums_len, |pass, place, scratch| {
                pass.backward(backward_plan, level, place, scratch)
            });
            let start = end;
            end += sums_len;
            let Memory { sums, total, .. } = &mut *self.memory;
            add_lists(sums.get(self.shard.chunks() * sums_len), &mut total.get(total_len)[start..end]);
            let norms: Vec<NormId> = range.flat_map(|op| &backward_plan.complete[op]).copied().collect();
            self.coefficients.finalize_norm_gradient(self.plan, &norms, &self.memory.partial, self.shard)?;
        }
        // The gradient of all levels is summed in one message after the last level. Sending it level by level, overlapped with the
        // computation, could save at most the 2 % of a step that the message takes between processes of one machine, see
        // xtask/records/2026-11-25-ranks.
        self.shard.all_reduce_sum(self.memory.total.get(total_len))
    }

    /// Returns the number of gradient sums of all levels.
    fn total_len(&self) -> usize {
        self.plan.ops.iter().map(|op| op.sums_len).sum()
    }

    /// Adds the gradient to the accumulated one.
    fn add_gradients(&mut self, host: &mut HostWeights) -> Result<(), DistError> {
        self.each_sums(|plan, op, sums| weights::add_gradient(plan, op, sums, host));
        match self.plan.wanted.weights {
            true => self.coefficients.add_affine(self.plan, self.shard, host),
            false => Ok(()),
        }
    }

    /// Returns the gradient with respect to all kernels, `[weights]`.
    fn kernel_gradient(&mut self, layout: &WeightLayout) -> Vec<f64> {
        let mut gradient = vec![0.0; layout.numel()];
        self.each_sums(|plan, op, sums| weights::add_kernel_gradient(plan, op, sums, layout, &mut gradient));
        gradient
    }

    /// Calls `visit` for every operation with weights and its gradient sums.
    fn each_sums(&mut self, mut visit: impl FnMut(&Plan, &Op, &[V::Elem])) {
        let total_len = self.total_len();
        let mut rest = &*self.memory.total.get(total_len);
        for level in (0..self.plan.levels).rev() {
            for op in self.plan.ops[self.plan.op_range(level)].iter().filter(|op| op.sums_len > 0) {
                let sums;
                (sums, rest) = rest.split_at(op.sums_len);
                visit(self.plan, op, sums);
            }
        }
    }

    /// Calls `work` for every image, in parallel over chunks. Each chunk has `sums_len` sums, which start at zero.
    fn each_image(
        &mut self,
        kernels: &Kernels<'_>,
        sums_len: usize,
        work: impl Fn(&Pass<'_, V>, &mut Place<'_, V::Elem>, &mut Scratch<V::Elem, V::Unit>) + Sync,
    ) {
        let (plan, images) = (self.plan, self.images.len());
        let Memory { arena, dense, depthwise, tiled, sums, partial, pool, .. } = &mut *self.memory;
        let count = images.div_ceil(CHUNK);
        let partial_len = plan.partial_len();
        partial.resize(count * partial_len, 0.0);
        let pass = Pass {
            plan,
            kernels: *kernels,
            packed: Packed {
                dense: dense.get(plan.dense_len),
                depthwise: depthwise.get(plan.depthwise_len),
                tiled: tiled.get(plan.tiled_len),
            },
            coefficients: &self.coefficients,
            images: self.images,
            shard: self.shard,
            loss_scale: self.loss_scale,
            drop_path: self.drop_path,
        };
        let parts = arena.get(images * plan.image_len).par_chunks_mut(CHUNK * plan.image_len);
        let sums = parts_of(sums.get(count * sums_len), sums_len, count);
        let partial = parts_of(partial, partial_len, count);
        let signs = parts_of(&mut self.watched.signs, CHUNK * plan.signs_len, count);
        let products = parts_of(&mut self.watched.products, CHUNK * plan.products_len, count);
        let parts = parts.zip(sums).zip(partial).zip(signs).zip(products);
        parts.enumerate().for_each(|(chunk, ((((values, sums), partial), signs), products))| {
            sums.fill(V::Elem::ZERO);
            let last = values.len() / plan.image_len - 1;
            pool.with(|scratch| {
                for (seen, values) in values.chunks_exact_mut(plan.image_len).enumerate() {
                    let image = chunk * CHUNK + seen;
                    let signs = &mut signs[seen * plan.signs_len..][..plan.signs_len];
                    let products = &mut products[seen * plan.products_len..][..plan.products_len];
                    let is_last = seen == last;
                    let mut place = Place { image, seen, is_last, values, partial, sums, signs, products };
                    work(&pass, &mut place, scratch);
                }
            });
        });
    }

    /// Returns the logits of a head, `[B, K]`: of the output, or of an auxiliary head.
    fn logits(&mut self, head: BufferId) -> Result<Logits, DistError> {
        let classes = self.plan.buffers[head].shape.channels;
        let own = to_f32(self.numbers(head, self.plan.places[head]));
        Ok(Logits { values: self.shard.all_gather(own)?, classes })
    }

    /// Returns the numbers with the shape of a buffer that are at `place` in the arena of every image of this process, as `[B, C, H, W]`.
    fn numbers(&mut self, buffer: BufferId, place: usize) -> Vec<f64> {
        let plan = self.plan;
        let (shape, stride) = (plan.buffers[buffer].shape, plan.buffers[buffer].stride);
        let arena = self.memory.arena.get(self.images.len() * plan.image_len);
        let mut numbers = Vec::with_capacity(self.images.len() * shape.numel());
        for image in arena.chunks_exact(plan.image_len) {
            for channel in 0..shape.channels {
                let pixels = image[place + channel..].iter().step_by(stride).take(shape.pixels());
                numbers.extend(pixels.map(|v| v.to_f64()));
            }
        }
        numbers
    }

    /// Returns the L2 norm of the classifier's input for each image of this process. Empty if the output is not a linear layer.
    fn feature_norms(&mut self) -> Vec<f32> {
        let plan = self.plan;
        let Some(source) = plan.classifier_input() else { return vec![] };
        let arena = self.memory.arena.get(self.images.len() * plan.image_len);
        let square = |v: &V::Elem| f64::from(v.to_f32()).powi(2);
        // Padding channels are zero, so they do not change the norm.
        let norm =
            |image: &[V::Elem]| image[plan.range(source)].iter().map(square).sum::<f64>().sqrt() as f32;
        arena.chunks_exact(plan.image_len).map(norm).collect()
    }

    /// Sets the gradients of all logits to zero.
    fn clear_output_grads(&mut self, backward_plan: &Backward) {
        let plan = self.plan;
        let arena = self.memory.arena.get(self.images.len() * plan.image_len);
        for image in arena.chunks_exact_mut(plan.image_len) {
            for &(logits, start) in &backward_plan.starts {
                image[backward_plan.places[start]..][..plan.buffers[logits].len()].fill(V::Elem::ZERO);
            }
        }
    }

    /// Adds the gradient with respect to the output or to logits, `[B, C, H, W]`, to the gradient of this buffer in the arena.
    fn add_output_grad(&mut self, backward_plan: &Backward, output: BufferId, output_grad: &[f64]) {
        let plan = self.plan;
        let arena = self.memory.arena.get(self.images.len() * plan.image_len);
        let start = backward_plan.starts.iter().find(|(buffer, _)| *buffer == output);
        let place = backward_plan.places[start.expect("all outputs have a gradient").1];
        let (shape, stride) = (plan.buffers[output].shape, plan.buffers[output].stride);
        let output_grad = output_grad.chunks_exact(shape.numel()).skip(self.shard.images.start);
        for (image, output_grad) in arena.chunks_exact_mut(plan.image_len).zip(output_grad) {
            for (c, channel) in output_grad.chunks_exact(shape.pixels()).enumerate() {
                let out = image[place + c..].iter_mut().step_by(stride);
                out.zip(channel).for_each(|(out, &s)| *out += V::Elem::from_f64(s));
            }
        }
    }
}
