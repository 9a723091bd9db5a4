//! Times single operations of the engine on a GPU and compares them with predictions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::rc::Rc;

use anyhow::{Context, ensure};
use pada_engine::cuda::{CudaEngine, CudaError, Device as CudaDevice, Driver, KernelTiming};
use pada_graph::Shape;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::device::{self, Device, Numbers};
use super::gpu;
use super::isolated::{Isolated, Network};
use super::kernel_times::{self, KernelTime, KernelTimes, resources_json, resources_table};
use super::predictions::{Operation, Predictions};
use super::workload::SEED;

/// Passes of each network before the clock starts, unless fewer are timed.
const WARM_UP: usize = 5;
/// The precision that the predictions are for.
const PREDICTED: Numbers = Numbers::F32;

/// An operation at a stage.
#[derive(Clone, Debug, PartialEq)]
struct Measured {
    operation: String,
    shape: Shape,
    kernels: Vec<&'static str>,
    microseconds: f64,
    predicted: Option<f64>,
}

impl Measured {
    /// The measured time as a multiple of the predicted time.
    fn ratio(&self) -> Option<f64> {
        self.predicted.map(|predicted| self.microseconds / predicted)
    }
}

/// A device that times its kernels.
trait TimedDevice: CudaDevice {
    /// Waits for all kernels, and returns and clears the times since the last call.
    fn take(&self) -> Result<Vec<KernelTime>, CudaError>;
}

impl TimedDevice for Driver {
    fn take(&self) -> Result<Vec<KernelTime>, CudaError> {
        kernel_times::take(self)
    }
}

/// Options of `bench ops` on a GPU.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    /// Index of the GPU.
    pub(super) ordinal: usize,
    pub(super) numbers: Numbers,
    /// The batch size, B. `None` stands for the one of the predictions.
    pub(super) batch: Option<usize>,
    /// Timed training steps of each network.
    pub(super) passes: usize,
}

/// Times every operation on a GPU and prints their times and the resources of their kernels. Returns both for `--json`.
pub(super) fn run(options: &Options) -> anyhow::Result<Value> {
    let Options { ordinal, numbers, .. } = *options;
    let on = Device::Cuda(ordinal);
    let card = on.gpu()?.context("a GPU was asked for")?;
    let driver = device::open(ordinal, numbers.precision(), KernelTiming::Events)?;
    let predictions = Predictions::read()?;
    let measured = measure(&driver, &predictions, options)?;
    let resources = kernel_times::resources(&driver)?;
    let mut kernels: Vec<&str> = measured.iter().flat_map(|m| m.kernels.iter().copied()).collect();
    kernels.sort_unstable();
    kernels.dedup();
    let batch = options.batch(&predictions);
    println!("{}, {}, batch {batch}\n", CudaDevice::name(driver.as_ref()), numbers.products(on));
    println!("{}\n{}", table(&measured), resources_table(&resources, &kernels));
    println!(
        "Predictions are estimates for one {}, f32 (3×TF32) and batch {}, within a factor of two.",
        predictions.gpu, predictions.batch
    );
    println!("An event pair also measures part of the launch, so times of a few microseconds are too long.");
    Ok(json!({
        "device": on.to_string(),
        "gpu": gpu::describe(&card),
        "mode": numbers.name(),
        "products": numbers.products(on),
        "batch": batch,
        "passes": options.passes,
        "predicted_for": predictions.gpu,
        "operations": measured.iter().map(to_json).collect::<Vec<_>>(),
        "kernel_resources": resources_json(&resources, &kernels),
    }))
}

impl Options {
    fn batch(&self, predictions: &Predictions) -> usize {
        self.batch.unwrap_or(predictions.batch)
    }
}

fn measure<D: TimedDevice + 'static>(
    device: &Rc<D>,
    predictions: &Predictions,
    options: &Options,
) -> anyhow::Result<Vec<Measured>> {
    let predicts = options.numbers == PREDICTED && options.batch(predictions) == predictions.batch;
    let networks: BTreeSet<Network> =
        predictions.operation.iter().map(|operation| operation.network).collect();
    let mut measured = Vec::new();
    for (s, stage) in predictions.stage.iter().enumerate() {
        let shape = stage.shape();
        let mut times = BTreeMap::new();
        for &network in &networks {
            times.insert(network, time(device, network, shape, options.batch(predictions), options)?);
        }
        for operation in &predictions.operation {
            let predicted = operation.microseconds.as_ref().filter(|_| predicts).map(|stages| stages[s]);
            measured.push(select(operation, &times[&operation.network], shape, predicted)?);
        }
    }
    Ok(measured)
}

/// Kernel times of a network's training step.
fn time<D: TimedDevice + 'static>(
    device: &Rc<D>,
    network: Network,
    shape: Shape,
    batch: usize,
    options: &Options,
) -> anyhow::Result<KernelTimes> {
    let layout = network.layout(shape);
    let weights = pada_models::init_weights(&layout, &mut ChaCha8Rng::seed_from_u64(SEED));
    let step = Isolated::new(network, &layout, shape, batch)?;
    let precision = options.numbers.precision();
    let mut engine = CudaEngine::with_device(Rc::clone(device) as _, layout, &weights, precision)?;
    let held = pada_exec::upload_dataset(&mut engine, &step.images())?
        .context("the images do not fit into the memory of the GPU")?;
    for _ in 0..options.passes.min(WARM_UP) {
        step.step(&mut engine, held)?;
    }
    device.take()?;
    let mut times = KernelTimes::default();
    for _ in 0..options.passes {
        step.step(&mut engine, held)?;
        times.add_step(&device.take()?);
    }
    Ok(times)
}

/// The kernels of an operation among those of its network.
///
/// # Errors
/// Returns an error if a kernel does not run exactly once per step, because the operation is then not isolated.
fn select(
    operation: &Operation,
    times: &KernelTimes,
    shape: Shape,
    predicted: Option<f64>,
) -> anyhow::Result<Measured> {
    let (mut kernels, mut microseconds) = (Vec::new(), 0.0);
    for name in &operation.kernels {
        let rows = times.of(name);
        let launches = rows.iter().fold(0.0, |sum, row| sum + row.launches_per_step);
        ensure!(
            launches == 1.0,
            "{} at {shape}: {name} is launched {launches} times per step and not once",
            operation.name
        );
        kernels.push(rows[0].kernel);
        microseconds += rows[0].microseconds;
    }
    Ok(Measured { operation: operation.name.clone(), shape, kernels, microseconds, predicted })
}

fn table(measured: &[Measured]) -> String {
    let mut out = format!(
        "{:20} {:>9} {:>12} {:>13} {:>6}  {}\n",
        "operation", "C×H×W", "measured, µs", "predicted, µs", "ratio", "kernels"
    );
    for m in measured {
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
        let _ = writeln!(
            out,
            "{:20} {:>9} {:12.1} {:>13} {:>6}  {}",
            m.operation,
            m.shape.to_string(),
            m.microseconds,
            or_dash(m.predicted.map(|predicted| format!("{predicted:.0}"))),
            or_dash(m.ratio().map(|ratio| format!("{ratio:.2}"))),
            m.kernels.join(", ")
        );
    }
    out
}

fn to_json(m: &Measured) -> Value {
    json!({
        "operation": m.operation,
        "shape": m.shape.to_string(),
        "kernels": m.kernels,
        "microseconds": m.microseconds,
        "predicted_microseconds": m.predicted,
        "ratio": m.ratio(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::cell::{Cell, RefCell};

    use pada_engine::cuda::{Address, Launch};

    use super::super::kernel_times::tests::time as kernel_time;
    use super::*;

    const OPTIONS: Options = Options { ordinal: 0, numbers: Numbers::F32, batch: None, passes: 2 };

    /// Stands in for a GPU. It computes nothing, and reports for every launch as many microseconds as the kernel's name has letters.
    #[derive(Default)]
    struct Recorder {
        used: Cell<Address>,
        launches: RefCell<Vec<KernelTime>>,
    }

    impl CudaDevice for Recorder {
        fn name(&self) -> &str {
            "a recorder"
        }

        fn allocate(&self, bytes: usize) -> Result<Address, CudaError> {
            let at = self.used.get() + 256;
            self.used.set(at + bytes.next_multiple_of(256) as Address);
            Ok(at)
        }

        fn free(&self, _: Address) {}

        fn upload(&self, _: Address, _: &[u8]) -> Result<(), CudaError> {
            Ok(())
        }

        fn download(&self, _: Address, bytes: &mut [u8]) -> Result<(), CudaError> {
            bytes.fill(0);
            Ok(())
        }

        fn clear(&self, _: Address, _: usize) -> Result<(), CudaError> {
            Ok(())
        }

        fn launch(&self, launch: &Launch<'_>) -> Result<(), CudaError> {
            let time = kernel_time(launch.kernel, launch.blocks, 1, launch.kernel.len() as f64);
            self.launches.borrow_mut().push(time);
            Ok(())
        }
    }

    impl TimedDevice for Recorder {
        fn take(&self) -> Result<Vec<KernelTime>, CudaError> {
            Ok(self.launches.take())
        }
    }

    /// The host's side of all networks runs, and each launches the kernels of its operations once, with the width of the stage.
    #[test]
    fn every_operation_is_isolated_in_its_network() {
        let predictions = Predictions::read().unwrap();
        let recorder = Rc::new(Recorder::default());
        let measured = measure(&recorder, &predictions, &OPTIONS).unwrap();
        assert_eq!(measured.len(), 3 * predictions.operation.len());
        let of = |operation: &str, channels: usize| {
            let is_it = |m: &&Measured| m.operation == operation && m.shape.channels == channels;
            measured.iter().find(is_it).unwrap()
        };
        for (channels, width) in [(16, 16), (32, 32), (64, 32)] {
            for kernel in ["3x3", "1x1"] {
                let forward = of(&format!("forward {kernel}"), channels);
                assert_eq!(forward.kernels, [format!("strip_forward_{kernel}_{width}")]);
            }
            let gradient = of("weight gradient 3x3", channels);
            assert_eq!(gradient.kernels, [&format!("strip_weights_3x3_{width}"), "add_dense_weights"]);
            assert_eq!(
                gradient.microseconds,
                ("strip_weights_3x3_16".len() + "add_dense_weights".len()) as f64
            );
            assert_eq!(of("pooling", channels).kernels, ["average_pool"]);
        }
        let ratio = of("norm reduction", 16).ratio().unwrap();
        assert!((ratio - "finalize_stats".len() as f64 / 10.0).abs() < 1e-12, "{ratio}");
        assert_eq!(of("norm gradient", 16).ratio(), None);
    }

    #[test]
    fn predictions_are_for_one_precision_and_batch_alone() {
        let (recorder, predictions) = (Rc::new(Recorder::default()), Predictions::read().unwrap());
        for options in [Options { numbers: Numbers::Bf16, ..OPTIONS }, Options { batch: Some(2), ..OPTIONS }]
        {
            let measured = measure(&recorder, &predictions, &options).unwrap();
            assert!(measured.iter().all(|m| m.predicted.is_none()), "{options:?}");
        }
    }

    #[test]
    fn an_operation_that_is_not_isolated_is_an_error() {
        let mut times = KernelTimes::default();
        times.add_step(&[kernel_time("finalize_stats", [2, 1, 1], 2, 100.0)]);
        let operation = Operation {
            name: "norm reduction".to_owned(),
            network: Network::Conv3x3,
            kernels: vec!["finalize_stats".to_owned()],
            microseconds: None,
        };
        let shape = Shape::new(16, 32, 32);
        let error = select(&operation, &times, shape, None).unwrap_err().to_string();
        assert!(error.contains("finalize_stats is launched 2 times per step"), "{error}");
        let missing = Operation { kernels: vec!["load".to_owned()], ..operation };
        let error = select(&missing, &times, shape, None).unwrap_err().to_string();
        assert!(error.contains("load is launched 0 times per step"), "{error}");
    }

    #[test]
    fn the_table_shows_the_measured_time_beside_the_predicted_one() {
        let measured = [Some(130.0), None].map(|predicted| Measured {
            operation: "forward 3x3".to_owned(),
            shape: Shape::new(16, 32, 32),
            kernels: vec!["dense_forward_16"],
            microseconds: 195.0,
            predicted,
        });
        let table = table(&measured);
        let rows: Vec<Vec<_>> = table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["forward", "3x3", "16×32×32", "195.0", "130", "1.50", "dense_forward_16"]);
        assert_eq!(rows[1], ["forward", "3x3", "16×32×32", "195.0", "–", "–", "dense_forward_16"]);
        let json = to_json(&measured[0]);
        assert_eq!((&json["ratio"], &json["shape"]), (&json!(1.5), &json!("16×32×32")));
        assert_eq!(to_json(&measured[1])["ratio"], Value::Null);
    }
}
