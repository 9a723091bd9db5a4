//! Statistics of batch norms: sums of each image are combined in a fixed order and turned into the coefficients that kernels apply.
//! Alignment losses are computed in the same way.

use pada_dist::DistError;
use pada_exec::{HostWeights, NormVariances};
use pada_graph::Statistics;

use crate::kernels::Affine;
use crate::plan::{Kind, Mode, NormId, NormSlot, Op, Plan};
use crate::shard::{Over, Shard};
use crate::simd::Number;

/// The coefficients that kernels apply for each batch norm, one number per channel.
#[derive(Debug, Default)]
pub(crate) struct Coefficients<T> {
    mean: Vec<T>,
    scale: Vec<T>,
    shift: Vec<T>,
    /// Coefficients a, b and c of the backward pass, see [`crate::kernels::NormGradient`].
    gradient: [Vec<T>; 3],
    /// 1/√(var + eps), in f64 for the backward pass.
    inv_std: Vec<f64>,
    /// Mean and biased variance of the batch, in f64 for the running statistics.
    moments: Vec<[f64; 2]>,
    /// Gradients of scale and shift of the channels whose backward pass is done.
    affine: Vec<(NormId, usize, [f64; 2])>,
    zeros: Vec<T>,
    ones: Vec<T>,
}

impl<T: Number> Coefficients<T> {
    pub(crate) fn new(plan: &Plan) -> Self {
        let zeros = |n| vec![T::ZERO; n];
        let n = plan.norm_channels;
        Self {
            mean: zeros(n),
            scale: zeros(n),
            shift: zeros(n),
            gradient: [zeros(n), zeros(n), zeros(n)],
            inv_std: vec![0.0; n],
            moments: vec![[0.0; 2]; n],
            affine: vec![],
            zeros: zeros(plan.widest),
            ones: vec![T::from_f64(1.0); plan.widest],
        }
    }

    pub(crate) fn affine(&self, plan: &Plan, norm: NormId) -> Affine<'_, T> {
        let range = channels(plan, norm);
        Affine {
            mean: &self.mean[range.clone()],
            scale: &self.scale[range.clone()],
            shift: &self.shift[range],
        }
    }

    /// Returns coefficients that leave values unchanged.
    pub(crate) fn identity(&self, stride: usize) -> Affine<'_, T> {
        let zeros = &self.zeros[..stride];
        Affine { mean: zeros, scale: &self.ones[..stride], shift: zeros }
    }

    pub(crate) fn mean(&self, plan: &Plan, norm: NormId) -> &[T] {
        &self.mean[channels(plan, norm)]
    }

    pub(crate) fn gradient(&self, plan: &Plan, norm: NormId) -> [&[T]; 3] {
        let range = channels(plan, norm);
        self.gradient.each_ref().map(|list| &list[range.clone()])
    }

    /// Combines the moments of all chunks and computes the coefficients of these norms.
    pub(crate) fn finalize_stats(
        &mut self,
        plan: &Plan,
        norms: &[NormId],
        partial: &[f64],
        shard: &Shard<'_>,
        host: &HostWeights,
    ) -> Result<(), DistError> {
        let channels = channels_of(plan, norms);
        let of_chunk = |i: usize, chunk: usize| {
            let (norm, channel) = channels[i];
            let pixels = plan.buffers[plan.norms[norm].buffer].shape.pixels();
            let [mean, spread] = [0, 1].map(|part| sum_of(plan, partial, chunk, norm, part, channel));
            [(shard.chunk_images(chunk) * pixels) as f64, mean, spread]
        };
        let all = shard.reduce(Over::Norms, channels.len(), [0.0; 3], of_chunk, Running::joined)?;
        for (&(norm, channel), [count, mean, spread]) in channels.iter().zip(all) {
            // In a process without images, nothing reads these coefficients.
            if count > 0.0 {
                self.set(plan, norm, channel, [mean, spread / count], host);
            }
        }
        Ok(())
    }

    /// Replaces the moments of each process by those of the whole batch, because all processes share the running statistics. Does nothing if
    /// the norms used the whole batch already.
    pub(crate) fn join_moments(&mut self, plan: &Plan, shard: &Shard<'_>) -> Result<(), DistError> {
        if !shard.splits_norms() {
            return Ok(());
        }
        let tracked = |norm: &NormId| matches!(plan.norms[*norm].norm.statistics, Statistics::Running { .. });
        let channels = channels_of(plan, &(0..plan.norms.len()).filter(tracked).collect::<Vec<_>>());
        if channels.is_empty() {
            return Ok(());
        }
        let place = |&(norm, channel): &(NormId, usize)| plan.norms[norm].place + channel;
        let own = |at: &(NormId, usize)| {
            let count = (shard.images.len() * plan.buffers[plan.norms[at.0].buffer].shape.pixels()) as f64;
            let [mean, variance] = self.moments[place(at)];
            [count, mean, count * variance]
        };
        let mut all: Vec<[f64; 3]> = channels.iter().map(own).collect();
        shard.all_reduce(&mut all, Running::joined)?;
        for (at, [count, mean, spread]) in channels.iter().zip(all) {
            self.moments[place(at)] = [mean, spread / count];
        }
        Ok(())
    }

    /// Sets all coefficients of a channel from its mean and variance.
    fn set(
        &mut self,
        plan: &Plan,
        norm: NormId,
        channel: usize,
        [mean, variance]: [f64; 2],
        host: &HostWeights,
    ) {
        let slot = &plan.norms[norm];
        let inv_std = 1.0 / (variance + f64::from(slot.norm.eps)).sqrt();
        let (gamma, beta) = slot.norm.affine.map_or((1.0, 0.0), |(scale, shift)| {
            (f64::from(host.weight(scale)[channel]), f64::from(host.weight(shift)[channel]))
        });
        let place = slot.place + channel;
        self.moments[place] = [mean, variance];
        self.inv_std[place] = inv_std;
        self.mean[place] = T::from_f64(mean);
        self.scale[place] = T::from_f64(inv_std * gamma);
        self.shift[place] = T::from_f64(beta);
    }

    /// Computes the coefficients of all norms with running statistics from these, for evaluation mode.
    pub(crate) fn load_running(&mut self, plan: &Plan, host: &HostWeights) {
        for (norm, slot) in plan.norms.iter().enumerate() {
            let Statistics::Running { mean, var, .. } = slot.norm.statistics else { continue };
            for channel in 0..plan.buffers[slot.buffer].shape.channels {
                let moments = [mean, var].map(|id| f64::from(host.weight(id)[channel]));
                self.set(plan, norm, channel, moments, host);
            }
        }
    }

    /// Returns the biased variances of the norms in the order of the graph's nodes.
    pub(crate) fn variances(&self, plan: &Plan, images: usize) -> Vec<NormVariances> {
        let of = |slot: &NormSlot| {
            let shape = plan.buffers[slot.buffer].shape;
            let moments = &self.moments[slot.place..][..shape.channels];
            NormVariances {
                biased: moments.iter().map(|[_, variance]| *variance).collect(),
                count: images * shape.pixels(),
            }
        };
        plan.norms.iter().map(of).collect()
    }

    /// Updates running statistics with those of the batch. `share` is the weight of the batch, or `None` for the momentum of each norm.
    pub(crate) fn track(&self, plan: &Plan, images: usize, share: Option<f64>, host: &mut HostWeights) {
        for slot in &plan.norms {
            let Statistics::Running { mean, var, momentum } = slot.norm.statistics else { continue };
            let shape = plan.buffers[slot.buffer].shape;
            let moments = &self.moments[slot.place..slot.place + shape.channels];
            let share = share.unwrap_or(f64::from(momentum));
            host.track([mean, var], share, moments, images * shape.pixels());
        }
    }

    /// Adds up the gradient sums of all chunks, computes the backward coefficients of these norms, and stores the gradients of their scale
    /// and shift.
    pub(crate) fn finalize_norm_gradient(
        &mut self,
        plan: &Plan,
        norms: &[NormId],
        partial: &[f64],
        shard: &Shard<'_>,
    ) -> Result<(), DistError> {
        let channels = channels_of(plan, norms);
        let all = shard.add(Over::Norms, channels.len(), |i, chunk| {
            let (norm, channel) = channels[i];
            [0, 1].map(|part| sum_of(plan, partial, chunk, norm, part, channel))
        })?;
        for (&(norm, channel), [plain, product]) in channels.iter().zip(all) {
            let slot = &plan.norms[norm];
            let count = (shard.norm_images() * plan.buffers[slot.buffer].shape.pixels()) as f64;
            let place = slot.place + channel;
            let (inv_std, scale) = (self.inv_std[place], self.scale[place].to_f64());
            let [a, b, c] = &mut self.gradient;
            a[place] = self.scale[place];
            b[place] = T::from_f64(-scale * inv_std * inv_std * product / count);
            c[place] = T::from_f64(-scale * plain / count);
            if slot.norm.affine.is_some() {
                self.affine.push((norm, channel, [inv_std * product, plain]));
            }
        }
        Ok(())
    }

    /// Adds the stored gradients of scale and shift to the gradient. With local statistics they are summed over all processes first.
    pub(crate) fn add_affine(
        &mut self,
        plan: &Plan,
        shard: &Shard<'_>,
        host: &mut HostWeights,
    ) -> Result<(), DistError> {
        if shard.splits_norms() && !self.affine.is_empty() {
            let mut sums: Vec<f64> = self.affine.iter().flat_map(|(_, _, sums)| *sums).collect();
            shard.all_reduce_sum(&mut sums)?;
            let (pairs, _) = sums.as_chunks::<2>();
            self.affine.iter_mut().zip(pairs).for_each(|((_, _, sums), all)| *sums = *all);
        }
        for (norm, channel, gradient) in self.affine.drain(..) {
            let (scale, shift) =
                plan.norms[norm].norm.affine.expect("only norms with scale and shift are stored");
            for (weight, gradient) in [scale, shift].into_iter().zip(gradient) {
                host.gradient_mut(weight)[channel] += gradient as f32;
            }
        }
        Ok(())
    }
}

/// Returns every channel of every norm.
fn channels_of(plan: &Plan, norms: &[NormId]) -> Vec<(NormId, usize)> {
    let of =
        |&norm: &NormId| (0..plan.buffers[plan.norms[norm].buffer].shape.channels).map(move |c| (norm, c));
    norms.iter().flat_map(of).collect()
}

/// Returns one of the two numbers that a chunk stores for a channel.
fn sum_of(plan: &Plan, partial: &[f64], chunk: usize, norm: NormId, part: usize, channel: usize) -> f64 {
    partial[chunk * plan.partial_len() + moment(plan, norm, part) + channel]
}

/// Returns whether a norm needs the statistics of the whole batch before its output can be read.
pub(crate) fn needs_batch(statistics: Statistics, mode: Mode) -> bool {
    statistics == Statistics::Batch || mode != Mode::Forward
}

fn channels(plan: &Plan, norm: NormId) -> std::ops::Range<usize> {
    let slot = &plan.norms[norm];
    slot.place..slot.place + plan.buffers[slot.buffer].stride
}

/// Returns the index of the first or second numbers that a chunk stores for the channels of a norm.
fn moment(plan: &Plan, norm: NormId, part: usize) -> usize {
    let slot = &plan.norms[norm];
    2 * slot.place + part * plan.buffers[slot.buffer].stride
}

/// Adds the sums of one image ([`crate::kernels::Moments`]) to the moments of its chunk, which cover `seen` images so far.
pub(crate) fn add_moments<T: Number>(
    plan: &Plan,
    norm: NormId,
    sums: &[T],
    first_pixel: &[T],
    seen: usize,
    partial: &mut [f64],
) {
    let buffer = &plan.buffers[plan.norms[norm].buffer];
    let n = buffer.shape.pixels() as f64;
    let [mean_at, spread_at] = [0, 1].map(|part| moment(plan, norm, part));
    for channel in 0..buffer.shape.channels {
        let (plain, squares) = (sums[channel].to_f64(), sums[buffer.stride + channel].to_f64());
        let image = Running {
            count: n,
            mean: first_pixel[channel].to_f64() + plain / n,
            spread: (squares - plain * plain / n).max(0.0),
        };
        let mut all = match seen {
            0 => Running::default(),
            _ => Running {
                count: seen as f64 * n,
                mean: partial[mean_at + channel],
                spread: partial[spread_at + channel],
            },
        };
        all.join(&image);
        (partial[mean_at + channel], partial[spread_at + channel]) = (all.mean, all.spread);
    }
}

/// Adds the squared differences of one image ([`crate::kernels::Difference`]) to those of its chunk.
pub(crate) fn add_squares<T: Number>(
    plan: &Plan,
    alignment: usize,
    squares: &[T],
    seen: usize,
    partial: &mut [f64],
) {
    let image: f64 = squares.iter().map(|square| square.to_f64()).sum();
    let total = &mut partial[plan.squares(alignment)];
    *total = if seen == 0 { image } else { *total + image };
}

/// Returns the sum of all alignment losses, each times its factor. A loss is the mean squared difference over B, C, H and W.
pub(crate) fn alignment(plan: &Plan, partial: &[f64], shard: &Shard<'_>) -> Result<f64, DistError> {
    if plan.alignments == 0 {
        return Ok(0.0);
    }
    let squares =
        |alignment: usize, chunk: usize| [partial[chunk * plan.partial_len() + plan.squares(alignment)]];
    let squares = shard.add(Over::Batch, plan.alignments, squares)?;
    let of = |op: &Op| match op.kind {
        Kind::Difference { share: factor, alignment } => {
            let [squares] = squares[alignment];
            f64::from(factor) * squares / (shard.batch * plan.buffers[op.out].shape.numel()) as f64
        }
        _ => 0.0,
    };
    Ok(plan.ops.iter().map(of).sum())
}

/// Adds the sums of one image ([`crate::kernels::GradientSums`]) to those of its chunk.
pub(crate) fn add_gradient_sums<T: Number>(
    plan: &Plan,
    norm: NormId,
    sums: &[T],
    seen: usize,
    partial: &mut [f64],
) {
    let stride = plan.buffers[plan.norms[norm].buffer].stride;
    let partial = &mut partial[moment(plan, norm, 0)..][..2 * stride];
    for (total, sum) in partial.iter_mut().zip(sums) {
        *total = if seen == 0 { sum.to_f64() } else { *total + sum.to_f64() };
    }
}

/// Count, mean and sum of squared distances to the mean of a set of numbers.
#[derive(Clone, Copy, Debug, Default)]
struct Running {
    count: f64,
    mean: f64,
    spread: f64,
}

impl From<[f64; 3]> for Running {
    fn from([count, mean, spread]: [f64; 3]) -> Self {
        Self { count, mean, spread }
    }
}

impl Running {
    /// Combines two sets, given as `[count, mean, spread]`.
    fn joined(low: [f64; 3], high: [f64; 3]) -> [f64; 3] {
        let mut all = Self::from(low);
        all.join(&high.into());
        [all.count, all.mean, all.spread]
    }

    /// Adds another set, as in Chan, Golub & LeVeque (1979).
    fn join(&mut self, other: &Self) {
        if other.count == 0.0 {
            return;
        }
        let count = self.count + other.count;
        let distance = other.mean - self.mean;
        self.mean += distance * other.count / count;
        self.spread += other.spread + distance * distance * self.count * other.count / count;
        self.count = count;
    }
}
