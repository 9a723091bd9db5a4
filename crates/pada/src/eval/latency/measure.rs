use std::collections::HashMap;
use std::rc::Rc;
use std::time::Instant;

use pada_engine::cuda::Driver;
use pada_exec::Images;
use pada_graph::{Frozen, Graph, Lower, Piece, Shape};
use pada_metrics::{kendall_tau_b, pearson};
use pada_models::init_weights;
use pada_space::Arch;
use pada_trainer::{Observer, RngStream, TrainError};

use crate::config::{ComputeConfig, ExecutorName};
use crate::error::PadaError;
use crate::eval::latency::table::{LatencyTable, OpLatency};
use crate::run::build;
use crate::run::device::{self, Device};
use crate::run::network::Network;

const MILLISECONDS: f64 = 1e3;
const MEDIAN: f64 = 0.5;

/// Measures the time of a forward pass.
pub(crate) trait PassTimer {
    /// Returns the seconds of one pass over the batch.
    fn seconds(&mut self, net: &Frozen) -> Result<f64, PadaError>;
}

/// Measures passes of an executor.
pub(super) struct ExecutorTimer {
    compute: ComputeConfig,
    device: Device,
    /// The GPU, which is opened and checked once.
    driver: Option<Rc<Driver>>,
    batch: usize,
}

impl ExecutorTimer {
    /// Least number of passes of a timing, which is the fastest of them: other programs only make passes slower.
    const PASSES: usize = 10;
    /// Least seconds of a timing. They hold many passes of a small operation.
    const AT_LEAST: f64 = 3e-3;
    /// Passes before the measurement, which create plans and memory.
    const WARM_UP: usize = 2;

    /// Chooses the device. A GPU is opened.
    ///
    /// # Errors
    /// Returns [`PadaError::Device`] if the GPU cannot be used.
    pub(super) fn new(compute: ComputeConfig, device: Device, batch: usize) -> Result<Self, PadaError> {
        let driver = match (compute.executor, device) {
            (ExecutorName::Engine, Device::Cuda(ordinal)) => {
                Some(device::driver(ordinal, compute.precision)?)
            }
            _ => None,
        };
        Ok(Self { compute, device, driver, batch })
    }
}

impl PassTimer for ExecutorTimer {
    fn seconds(&mut self, net: &Frozen) -> Result<f64, PadaError> {
        // The time does not depend on the values, as long as they are ordinary numbers.
        let weights = init_weights(net.weights(), &mut RngStream::Init.stream(0));
        let mut executor = match (&self.driver, self.device) {
            (Some(driver), Device::Cuda(ordinal)) => {
                let layout = net.weights().clone();
                device::engine_on(driver.clone(), ordinal, layout, &weights, self.compute.precision)?
            }
            _ => build::executor(self.compute, self.device, net, weights)?,
        };
        let shape = net.input();
        let pixels: Vec<f32> =
            (0..self.batch * shape.numel()).map(|i| (i % 255) as f32 / 255.0 - 0.5).collect();
        let images = Images::given(&pixels, shape);
        let mut pass = || executor.logits(net.graph(), &images).map_err(TrainError::from);
        for _ in 0..Self::WARM_UP {
            pass()?;
        }
        let mut timings = Vec::new();
        while timings.len() < Self::PASSES || timings.iter().sum::<f64>() < Self::AT_LEAST {
            let started = Instant::now();
            pass()?;
            timings.push(started.elapsed().as_secs_f64());
        }
        executor.deferred_error().map_err(TrainError::from)?;
        Ok(timings.into_iter().fold(f64::INFINITY, f64::min))
    }
}

/// The comparison of predicted latencies with those of whole networks.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyCheck {
    /// The architectures that were measured whole.
    pub archs: Vec<CheckedArch>,
    /// Pearson's correlation of predicted and measured latencies. `None` if it is not defined, for example for one architecture.
    pub pearson: Option<f64>,
    /// Kendall's tau-b of predicted and measured latencies. `None` if it is not defined.
    pub tau_b: Option<f64>,
    /// Mean of |predicted − measured| / measured.
    pub mean_relative_error: f64,
}

/// An architecture that was measured whole.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedArch {
    /// The architecture as digits.
    pub arch: String,
    /// Sum of the latencies of its operations, in milliseconds.
    pub predicted: f64,
    /// Median time of a pass of the whole network, in milliseconds.
    pub measured: f64,
}

impl LatencyCheck {
    fn of(archs: Vec<CheckedArch>) -> Self {
        let predicted: Vec<f64> = archs.iter().map(|arch| arch.predicted).collect();
        let measured: Vec<f64> = archs.iter().map(|arch| arch.measured).collect();
        let error = |arch: &CheckedArch| (arch.predicted - arch.measured).abs() / arch.measured;
        Self {
            pearson: pearson(&predicted, &measured).ok(),
            tau_b: kendall_tau_b(&predicted, &measured).ok(),
            mean_relative_error: archs.iter().map(error).sum::<f64>() / archs.len() as f64,
            archs,
        }
    }
}

/// Timings of networks in rounds: every round times each network once, so that a change of the machine's speed reaches all of them.
struct Rounds {
    nets: Vec<Frozen>,
    /// Per network the seconds of its passes.
    timings: Vec<Vec<f64>>,
}

impl Rounds {
    fn of(nets: Vec<Frozen>) -> Self {
        let timings = vec![vec![]; nets.len()];
        Self { nets, timings }
    }

    /// Times every network `repeats` times. `progress` is called after each timing, and returns true to stop.
    fn run(
        &mut self,
        timer: &mut dyn PassTimer,
        repeats: usize,
        mut progress: impl FnMut() -> bool,
    ) -> Result<(), PadaError> {
        for _ in 0..repeats {
            for (net, timings) in self.nets.iter().zip(&mut self.timings) {
                timings.push(timer.seconds(net)?);
                if progress() {
                    return Err(TrainError::Stopped.into());
                }
            }
        }
        Ok(())
    }

    /// Returns the median seconds of a network.
    fn median(&self, net: usize) -> f64 {
        quantile(&self.timings[net], MEDIAN)
    }

    /// Returns half of the distance between the quartiles of the seconds of a network.
    fn spread(&self, net: usize) -> f64 {
        (quantile(&self.timings[net], 0.75) - quantile(&self.timings[net], 0.25)) / 2.0
    }
}

/// Returns a quantile of numbers, interpolated linearly.
fn quantile(numbers: &[f64], share: f64) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    low + (high - low) * place.fract()
}

/// The networks that are measured whole.
pub(super) struct Whole<'a> {
    /// The networks to which the operations are fitted.
    pub(super) fitted: &'a [Arch],
    /// The networks that the fitted table is compared with.
    pub(super) checked: &'a [Arch],
}

/// Measures every operation of a space, fits the latencies to whole networks, and compares them with others.
///
/// An operation runs as a network of its own, followed by a global average pool that keeps the output small. The time to pass the images in,
/// and that of the pool, are measured without the operation and subtracted: with P the time of the input and one pool, and Q that of the input
/// and two pools, a pool takes Q − P, and the input takes 2·P − Q.
///
/// Operations that run alone find their weights in the cache, and those of a network do not. [`Fit`] corrects this.
pub(super) fn measure(
    network: &Network,
    whole: &Whole<'_>,
    timer: &mut dyn PassTimer,
    repeats: usize,
    observer: &mut dyn Observer,
) -> Result<(LatencyTable, Option<LatencyCheck>), PadaError> {
    let pieces = network.pieces()?;
    let archs = || whole.fitted.iter().chain(whole.checked);
    let mut nets = archs().map(|arch| network.frozen(arch)).collect::<Result<Vec<_>, _>>()?;
    let mut pools: HashMap<Shape, usize> = HashMap::new();
    let mut own = Vec::with_capacity(pieces.len());
    let freeze = |graph: &Graph, input: Shape| Frozen::from_graph(graph, network.weights(), input);
    for (piece, graph) in &pieces {
        for shape in [piece.input, piece.output] {
            pools.entry(shape).or_insert_with(|| {
                let input = Graph::of_input(shape);
                nets.extend([1, 2].map(|n| freeze(&input.pooled(n), shape)));
                nets.len() - 2
            });
        }
        own.push(nets.len());
        nets.push(freeze(&graph.pooled(1), piece.input));
    }
    let (total, mut done) = (nets.len() * repeats, 0);
    let mut rounds = Rounds::of(nets);
    rounds.run(timer, repeats, || {
        done += 1;
        observer.on_scored(done, total);
        observer.stop_requested()
    })?;
    let pool = |shape: Shape| (rounds.median(pools[&shape] + 1) - rounds.median(pools[&shape])).max(0.0);
    let input = |shape: Shape| (rounds.median(pools[&shape]) - pool(shape)).max(0.0);
    let rows = pieces.iter().zip(own).map(|((piece, _), net)| {
        let seconds = match piece.name.as_str() {
            Piece::INPUT => input(piece.input),
            _ => (rounds.median(net) - input(piece.input) - pool(piece.output)).max(0.0),
        };
        OpLatency {
            operation: piece.name.clone(),
            input: piece.input,
            output: piece.output,
            milliseconds: MILLISECONDS * seconds,
            spread: MILLISECONDS * rounds.spread(net),
            repeats,
        }
    });
    let alone = LatencyTable::new(rows.collect());
    let predicted = |table: &LatencyTable, arch: &Arch| {
        let latency = table.latency(network, arch)?;
        latency.map_err(|piece| PadaError::NotMeasured { operation: piece.to_string() })
    };
    let images = MILLISECONDS * input(network.input());
    let mut sums = Vec::with_capacity(whole.fitted.len());
    for (i, arch) in whole.fitted.iter().enumerate() {
        sums.push((predicted(&alone, arch)? - images, MILLISECONDS * rounds.median(i) - images));
    }
    let table = Fit::of(&sums).apply(&alone);
    let mut checked = Vec::with_capacity(whole.checked.len());
    for (i, arch) in whole.checked.iter().enumerate() {
        let measured = MILLISECONDS * rounds.median(whole.fitted.len() + i);
        checked.push(CheckedArch { arch: arch.to_string(), predicted: predicted(&table, arch)?, measured });
    }
    let check = (!checked.is_empty()).then(|| LatencyCheck::of(checked));
    Ok((table, check))
}

/// A line from sums of latencies of operations that run alone to latencies of whole networks, both without the time of the images.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Fit {
    factor: f64,
    /// Milliseconds.
    constant: f64,
}

impl Fit {
    /// Fits the line to pairs of a sum and a measured latency, with the least sum of squared relative errors. The constant is at least 0.
    /// Without pairs, or if they determine no line with a positive factor, latencies stay as they are.
    fn of(pairs: &[(f64, f64)]) -> Self {
        // The errors are relative: each pair is divided by its measured latency, so that the target is 1.
        let valid = || pairs.iter().filter(|(_, measured)| *measured > 0.0);
        let scaled = || valid().map(|&(sum, measured)| (sum / measured, 1.0 / measured));
        let total = |of: fn((f64, f64)) -> f64| scaled().map(of).sum::<f64>();
        let (xx, xc, cc) = (total(|(x, _)| x * x), total(|(x, c)| x * c), total(|(_, c)| c * c));
        let (x, c) = (total(|(x, _)| x), total(|(_, c)| c));
        let determinant = xx * cc - xc * xc;
        let line =
            Self { factor: (x * cc - c * xc) / determinant, constant: (c * xx - x * xc) / determinant };
        let through_zero = Self { factor: x / xx, constant: 0.0 };
        let fits = |fit: &Self| fit.factor.is_finite() && fit.factor > 0.0 && fit.constant >= 0.0;
        let unchanged = Self { factor: 1.0, constant: 0.0 };
        [line, through_zero].into_iter().find(fits).unwrap_or(unchanged)
    }

    /// Returns the table whose sums are on the line: the constant is part of the input, which every network has once.
    fn apply(&self, table: &LatencyTable) -> LatencyTable {
        let rows = table.rows().iter().cloned().map(|row| match row.operation.as_str() {
            Piece::INPUT => OpLatency { milliseconds: row.milliseconds + self.constant, ..row },
            _ => {
                let (milliseconds, spread) = (self.factor * row.milliseconds, self.factor * row.spread);
                OpLatency { milliseconds, spread, ..row }
            }
        });
        LatencyTable::new(rows.collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use pada_graph::{Cost, Op};
    use pada_space::SubSpace;

    use super::*;
    use crate::config::{SpaceName, SupernetConfig};

    /// A clock on which a pass takes a millisecond, its images a nanosecond per number, every node a microsecond, and every multiply-add a
    /// picosecond. Networks of more than six nodes run `slower`.
    struct FakeClock {
        slower: f64,
        passes: usize,
    }

    impl PassTimer for FakeClock {
        fn seconds(&mut self, net: &Frozen) -> Result<f64, PadaError> {
            self.passes += 1;
            let graph = net.graph();
            let ops = graph.nodes().iter().filter(|node| {
                // The concatenation of two pools is not an operation of the space.
                let is_of_pools = node.op == Op::Concat && node.shape.pixels() == 1;
                !matches!(node.op, Op::Input | Op::Zero) && !is_of_pools
            });
            let seconds = 1e-6 * ops.count() as f64 + 1e-12 * Cost::of(graph, net.weights()).macs as f64;
            let factor = if graph.nodes().len() > 6 { self.slower } else { 1.0 };
            Ok(1e-3 + 1e-9 * net.input().numel() as f64 + factor * seconds)
        }
    }

    fn measured(space: SpaceName, slower: f64, fit: usize) -> (LatencyTable, LatencyCheck, usize) {
        let mut config = SupernetConfig::usual(space);
        if let Some(cells) = &mut config.cells {
            *cells = if space == SpaceName::Darts { 3 } else { 1 };
            config.channels = Some(4);
        }
        let size = if space == SpaceName::Proxyless { 64 } else { 16 };
        let network = Network::of_images(&config, Shape::new(3, size, size), 10).unwrap();
        let mut rng = RngStream::Rank.stream(3);
        let all = SubSpace::full(network.space.as_ref());
        // A network whose cells are not connected has too few nodes to be slower.
        let is_connected = |arch: &Arch| build::is_connected(network.space.as_ref(), arch);
        let drawn = std::iter::repeat_with(|| all.sample(&mut rng));
        let archs: Vec<Arch> = drawn.filter(is_connected).take(fit + 5).collect();
        let whole = Whole { fitted: &archs[..fit], checked: &archs[fit..] };
        let mut clock = FakeClock { slower, passes: 0 };
        let (table, check) = measure(&network, &whole, &mut clock, 3, &mut ()).unwrap();
        (table, check.unwrap(), clock.passes)
    }

    #[test]
    fn the_operations_of_every_space_add_up_to_whole_networks() {
        for space in [SpaceName::Nb201, SpaceName::Darts, SpaceName::Proxyless, SpaceName::Macro] {
            let (table, check, passes) = measured(space, 1.0, 0);
            assert!(check.mean_relative_error < 1e-9, "{space:?}: {check:?}");
            assert!(
                passes >= 3 * (table.rows().len() + 5) && table.rows().iter().all(|row| row.repeats == 3)
            );
        }
    }

    #[test]
    fn a_row_is_the_time_of_one_operation_without_images_and_pool() {
        let (table, ..) = measured(SpaceName::Nb201, 1.0, 0);
        let row = |operation: &str, channels: usize| {
            let mut rows = table.rows().iter();
            rows.find(|row| row.operation == operation && row.output.channels == channels).unwrap()
        };
        // Three nodes and 4·4·9 multiply-adds per output number.
        let conv = row("relu+conv3x3+norm", 4);
        assert_eq!((conv.input, conv.output), (Shape::new(4, 16, 16), Shape::new(4, 16, 16)));
        let expected = 3e-3 + 1e-9 * (4 * 4 * 9 * 16 * 16) as f64;
        assert!((conv.milliseconds - expected).abs() < 1e-9, "{conv:?}");
        assert!((row("input", 3).milliseconds - (1.0 + 1e-6 * 768.0)).abs() < 1e-9);
        assert!(table.rows().iter().all(|row| row.spread == 0.0));
    }

    #[test]
    fn whole_networks_correct_operations_that_run_faster_alone() {
        let (_, alone, _) = measured(SpaceName::Nb201, 1.5, 0);
        let (_, fitted, _) = measured(SpaceName::Nb201, 1.5, 8);
        assert!(alone.mean_relative_error > 0.01, "{alone:?}");
        assert!(fitted.mean_relative_error < 1e-3 && fitted.pearson.unwrap() > 0.999, "{fitted:?}");
        assert_eq!(fitted.archs.len(), 5);
    }

    #[test]
    fn a_fit_has_a_positive_factor_and_no_negative_constant() {
        let close = |fit: Fit, factor: f64, constant: f64| {
            assert!((fit.factor - factor).abs() < 1e-9 && (fit.constant - constant).abs() < 1e-9, "{fit:?}");
        };
        close(Fit::of(&[(1.0, 3.0), (2.0, 5.0), (4.0, 9.0)]), 2.0, 1.0);
        // The line through these points has the constant −1, so the factor alone is fitted.
        close(Fit::of(&[(1.0, 1.0), (2.0, 3.0)]), (1.0 + 2.0 / 3.0) / (1.0 + 4.0 / 9.0), 0.0);
        close(Fit::of(&[(2.0, 3.0)]), 1.5, 0.0);
        close(Fit::of(&[]), 1.0, 0.0);
        close(Fit::of(&[(0.0, 3.0)]), 1.0, 0.0);
    }

    #[test]
    fn medians_and_quartiles_are_interpolated() {
        let numbers = [4.0, 1.0, 3.0, 2.0];
        assert_eq!([0.0, 0.25, 0.5, 1.0].map(|share| quantile(&numbers, share)), [1.0, 1.75, 2.5, 4.0]);
        let rounds = Rounds { nets: vec![], timings: vec![vec![1.0, 5.0, 3.0, 2.0, 4.0]] };
        assert_eq!((rounds.median(0), rounds.spread(0)), (3.0, 1.0));
    }
}
