//! The work of a measurement on one engine: steps or forward passes over a fixed batch.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::ensure;
use pada_data::Normalize;
use pada_engine::cuda::KernelTiming;
use pada_exec::{
    Batch, ByteImages, Convolution, Decayed, DeviceDataset, Images, LossSpec, Pixels, SgdStep, State,
    UnusedWeights, upload_dataset,
};
use pada_graph::Lower;
use pada_space::Arch;
use pada_trainer::GradientVariance;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::device::{Device, Numbers, OnDevice};
use super::engine::Work;

/// Seed of paths, weights and images.
pub(super) const SEED: u64 = 0;
/// Mean and deviation of random bytes, which the batch consists of.
const NORMALIZE: Normalize = Normalize { mean: [0.5; 3], std: [0.29; 3] };
/// Minimum number of warm-up passes on the CPU.
const WARM_UP: usize = 4;
/// Duration of the warm-up on a GPU, which lets it reach its clock rate.
const WARM_UP_GPU: Duration = Duration::from_secs(1);
/// Largest L2 norm of a gradient.
const CLIP_NORM: f64 = 5.0;

/// A training step with or without gradient variance, which training computes in every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variance {
    Included,
    LeftOut,
}

/// An engine and the batch that it computes on.
pub(super) struct Workload<'a> {
    net: &'a dyn Lower,
    device: Device,
    pub(super) engine: OnDevice,
    weights: Vec<f32>,
    /// The uploaded images, if they fit into the memory of the device.
    held: Option<DeviceDataset>,
    pixels: Vec<f32>,
    labels: Vec<u32>,
    variance: Option<GradientVariance>,
    /// Sum of all logits since the warm-up. It shows that the work was done, and that it was the same work.
    pub(super) checksum: f64,
}

/// The settings of a workload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) device: Device,
    pub(super) numbers: Numbers,
    pub(super) convolution: Convolution,
    pub(super) timing: KernelTiming,
    pub(super) variance: Variance,
    /// B
    pub(super) batch: usize,
    /// K
    pub(super) classes: usize,
}

impl<'a> Workload<'a> {
    /// Opens the device and draws weights, images and labels.
    pub(super) fn new(net: &'a dyn Lower, setting: Setting) -> anyhow::Result<Self> {
        let Setting { device, numbers, convolution, timing, variance, batch, classes } = setting;
        let mut rng = ChaCha8Rng::seed_from_u64(SEED);
        let weights = pada_models::init_weights(net.weights(), &mut rng);
        let layout = net.weights().clone();
        let mut engine =
            device.engine(layout, weights.clone(), (numbers.precision(), convolution), timing)?;
        let shape = net.input();
        let bytes: Vec<u8> = (0..batch * shape.numel()).map(|_| rng.random()).collect();
        let labels: Vec<u32> = (0..batch).map(|_| rng.random_range(0..classes as u32)).collect();
        let values = NORMALIZE.values(shape.channels);
        let images = ByteImages { bytes: &bytes, labels: &labels, shape, values: &values };
        let held = upload_dataset(engine.executor(), &images)?;
        let plane = |i: usize| i / shape.pixels() % shape.channels;
        let pixels =
            bytes.iter().enumerate().map(|(i, &byte)| values[plane(i) * 256 + usize::from(byte)]).collect();
        let variance = (variance == Variance::Included).then(GradientVariance::default);
        Ok(Self { net, device, engine, weights, held, pixels, labels, variance, checksum: 0.0 })
    }

    /// Runs every path once. The CPU goes on until [`WARM_UP`] passes are done, a GPU for [`WARM_UP_GPU`]. Then the weights are
    /// what they were, so that later results do not depend on how long the warm-up took.
    pub(super) fn warm_up(&mut self, work: Work, paths: &[Arch]) -> anyhow::Result<()> {
        let mut seen = BTreeSet::new();
        let distinct: Vec<&Arch> = paths.iter().filter(|path| seen.insert(path.choices())).collect();
        ensure!(!distinct.is_empty(), "there is no path to run");
        let least = if self.device == Device::Cpu { WARM_UP } else { 1 };
        for path in distinct.iter().cycle().take(distinct.len().max(least)) {
            self.once(work, path)?;
        }
        let started = Instant::now();
        for path in distinct.iter().cycle() {
            if self.device == Device::Cpu || started.elapsed() >= WARM_UP_GPU {
                break;
            }
            self.once(work, path)?;
        }
        let zeros = vec![0.0; self.weights.len()];
        let executor = self.engine.executor();
        executor.write(State::Weights, &self.weights);
        executor.write(State::Momentum, &zeros);
        executor.deferred_error()?;
        self.variance = self.variance.take().map(|_| GradientVariance::default());
        self.checksum = 0.0;
        Ok(())
    }

    /// Runs all paths in turn, as often as `sweeps` says, and returns the seconds of each pass in that order.
    pub(super) fn time(&mut self, work: Work, paths: &[Arch], sweeps: usize) -> anyhow::Result<Vec<f64>> {
        let mut seconds = Vec::with_capacity(sweeps * paths.len());
        for path in (0..sweeps).flat_map(|_| paths) {
            let started = Instant::now();
            self.once(work, path)?;
            seconds.push(started.elapsed().as_secs_f64());
        }
        Ok(seconds)
    }

    /// Runs one pass or step on a path.
    pub(super) fn once(&mut self, work: Work, path: &Arch) -> anyhow::Result<()> {
        let graph = self.net.lower(path)?.simplified();
        let pixels = match self.held {
            Some(set) => Pixels::Range(set, 0, self.labels.len()),
            None => Pixels::Given(&self.pixels),
        };
        let images = Images { pixels, shape: self.net.input() };
        let engine = self.engine.executor();
        let logits = match work {
            Work::Rank => engine.logits(&graph, &images)?,
            Work::Step => {
                engine.zero_gradient();
                let batch = Batch { images, labels: &self.labels };
                let stats = engine.gradients(&graph, &batch, &LossSpec::default())?;
                let norm = pada_trainer::global_norm(&engine.gradient_norms());
                if let Some(variance) = &mut self.variance {
                    // The training rules observe the same gradients: those of the path's operations, before clipping.
                    let mut used = self.net.on_path(path);
                    used.sort_unstable();
                    variance.observe(&used, |id| engine.gradient(id));
                }
                engine.update(&SgdStep {
                    lr: 0.05,
                    momentum: 0.9,
                    weight_decay: 2.5e-4,
                    decayed: Decayed::All,
                    gradient_scale: pada_trainer::clip_factor(norm, CLIP_NORM) as f32,
                    unused: UnusedWeights::Decay,
                    ..SgdStep::default()
                });
                stats.logits
            }
        };
        engine.deferred_error()?;
        self.checksum += logits.values.iter().map(|&v| f64::from(v)).sum::<f64>();
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::space::{Extents, Space};

    const SETTING: Setting = Setting {
        device: Device::Cpu,
        numbers: Numbers::F32,
        convolution: Convolution::Auto,
        timing: KernelTiming::Off,
        variance: Variance::LeftOut,
        batch: 4,
        classes: 10,
    };

    fn paths() -> Vec<Arch> {
        ["333333", "111111", "234014"].map(|path| Space::Nb201.space().parse(path).unwrap()).into()
    }

    #[test]
    fn the_same_work_is_done_however_long_the_warm_up_was() {
        let net = Space::Nb201.net(&Extents::small());
        let checksum = |work, variance, warm_ups: usize| {
            let mut workload = Workload::new(net.as_ref(), Setting { variance, ..SETTING }).unwrap();
            for _ in 0..warm_ups {
                workload.warm_up(work, &paths()).unwrap();
            }
            assert_eq!(workload.time(work, &paths(), 2).unwrap().len(), 6);
            workload.checksum
        };
        for work in [Work::Step, Work::Rank] {
            let plain = checksum(work, Variance::LeftOut, 0);
            assert!(plain.is_finite() && plain != 0.0);
            assert_eq!(checksum(work, Variance::LeftOut, 1), plain);
            assert_eq!(checksum(work, Variance::LeftOut, 3), plain);
        }
        let with_variance = checksum(Work::Step, Variance::Included, 1);
        assert_eq!(with_variance, checksum(Work::Step, Variance::LeftOut, 1));
        assert!(with_variance != checksum(Work::Rank, Variance::LeftOut, 1));
    }

    #[test]
    fn gradient_variance_is_taken_of_the_timed_steps_alone() {
        let net = Space::Nb201.net(&Extents::small());
        let setting = Setting { variance: Variance::Included, ..SETTING };
        let variance = |warm_ups: usize| {
            let mut workload = Workload::new(net.as_ref(), setting).unwrap();
            for _ in 0..warm_ups {
                workload.warm_up(Work::Step, &paths()).unwrap();
            }
            workload.time(Work::Step, &paths(), 2).unwrap();
            workload.variance.unwrap().result().unwrap()
        };
        assert!(variance(0).raw > 0.0);
        assert_eq!(variance(2), variance(0));
    }

    #[test]
    fn without_a_path_there_is_nothing_to_run() {
        let net = Space::Nb201.net(&Extents::small());
        let mut workload = Workload::new(net.as_ref(), SETTING).unwrap();
        let error = workload.warm_up(Work::Step, &[]).unwrap_err().to_string();
        assert!(error.contains("no path"), "{error}");
    }
}
