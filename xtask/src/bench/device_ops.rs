//! Times single operations of the engine on a GPU, beside predictions.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;

use anyhow::{Context, ensure};
use pada_engine::cuda::{CudaEngine, CudaError, Device as CudaDevice, Driver, KernelTiming};
use pada_graph::{Executor, Shape};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use serde_json::{Value, json};

use super::device::{self, Device, Numbers};
use super::gpu;
use super::isolated::{Isolated, Network};
use super::kernel_times::{self, KernelTime, KernelTimes, resources_json, resources_table};
use super::workload::SEED;

const PREDICTIONS: &str = include_str!("predictions.toml");
/// Passes of each network before the clock starts.
const WARM_UP: usize = 5;
/// The numbers that predictions are for.
const PREDICTED: Numbers = Numbers::F32;

/// The operations that are timed, and what was predicted of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Predictions {
    /// The card that predictions are for.
    gpu: String,
    /// B
    batch: usize,
    stage: Vec<Stage>,
    operation: Vec<Operation>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stage {
    channels: usize,
    /// Height and width.
    size: usize,
}

impl Stage {
    fn shape(self) -> Shape {
        Shape::new(self.channels, self.size, self.size)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Operation {
    name: String,
    network: Network,
    kernels: Vec<String>,
    /// For each stage.
    microseconds: Option<Vec<f64>>,
}

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
    /// Waits for all kernels, and returns and clears what was timed since the last call.
    fn take(&self) -> Result<Vec<KernelTime>, CudaError>;
}

impl TimedDevice for Driver {
    fn take(&self) -> Result<Vec<KernelTime>, CudaError> {
        kernel_times::take(self)
    }
}

/// Times every operation on a GPU, and prints the table and the resources of the kernels; returns both for `--json`.
pub(super) fn run(ordinal: usize, numbers: Numbers, passes: usize) -> anyhow::Result<Value> {
    let on = Device::Cuda(ordinal);
    let card = on.gpu()?.context("a GPU was asked for")?;
    let driver = device::open(ordinal, numbers.precision(), KernelTiming::Events)?;
    let predictions = predictions()?;
    let measured = measure(&driver, &predictions, numbers, passes)?;
    let resources = kernel_times::resources(&driver)?;
    let mut kernels: Vec<&str> = measured.iter().flat_map(|m| m.kernels.iter().copied()).collect();
    kernels.sort_unstable();
    kernels.dedup();
    println!("{}, {}\n", CudaDevice::name(driver.as_ref()), numbers.products(on));
    println!("{}\n{}", table(&measured), resources_table(&resources, &kernels));
    println!("Predictions are estimates for one {}, f32 (3×TF32), within a factor of two.", predictions.gpu);
    println!("An event pair also measures part of the launch, so times of a few microseconds are too long.");
    Ok(json!({
        "device": on.to_string(),
        "gpu": gpu::describe(&card),
        "mode": numbers.name(),
        "products": numbers.products(on),
        "batch": predictions.batch,
        "passes": passes,
        "predicted_for": predictions.gpu,
        "operations": measured.iter().map(to_json).collect::<Vec<_>>(),
        "kernel_resources": resources_json(&resources, &kernels),
    }))
}

fn predictions() -> anyhow::Result<Predictions> {
    let predictions: Predictions = toml::from_str(PREDICTIONS).context("predictions.toml")?;
    for Operation { name, microseconds, .. } in &predictions.operation {
        let stages = microseconds.as_ref().map_or(predictions.stage.len(), Vec::len);
        ensure!(stages == predictions.stage.len(), "predictions.toml: {name} has {stages} stages");
    }
    Ok(predictions)
}

fn measure<D: TimedDevice + 'static>(
    device: &Rc<D>,
    predictions: &Predictions,
    numbers: Numbers,
    passes: usize,
) -> anyhow::Result<Vec<Measured>> {
    let networks: BTreeMap<Network, ()> = predictions.operation.iter().map(|op| (op.network, ())).collect();
    let mut measured = Vec::new();
    for (s, stage) in predictions.stage.iter().enumerate() {
        let shape = stage.shape();
        let times = networks
            .keys()
            .map(|&network| Ok((network, time(device, network, shape, predictions.batch, numbers, passes)?)))
            .collect::<anyhow::Result<BTreeMap<_, _>>>()?;
        for operation in &predictions.operation {
            let predicted = operation.microseconds.as_ref().map(|stages| stages[s]);
            let predicted = predicted.filter(|_| numbers == PREDICTED);
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
    numbers: Numbers,
    passes: usize,
) -> anyhow::Result<KernelTimes> {
    let layout = network.layout(shape);
    let weights = pada_supernet::init_weights(&layout, &mut ChaCha8Rng::seed_from_u64(SEED));
    let step = Isolated::new(network, &layout, shape, batch)?;
    let mut engine = CudaEngine::with_device(Rc::clone(device) as _, layout, &weights, numbers.precision())?;
    let held = engine.hold(&step.images())?.context("the images do not fit into the memory of the GPU")?;
    for _ in 0..WARM_UP {
        step.step(&mut engine, held)?;
    }
    device.take()?;
    let mut times = KernelTimes::default();
    for _ in 0..passes {
        step.step(&mut engine, held)?;
        times.add_step(&device.take()?);
    }
    Ok(times)
}

/// The kernels of an operation among those of its network.
///
/// # Errors
/// Where one of them does not run exactly once per step: then the operation is not isolated.
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

    /// Stands in for a GPU: it computes nothing, and says that every launch took as many microseconds as the kernel's name has letters.
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
        let predictions = predictions().unwrap();
        let recorder = Rc::new(Recorder::default());
        let measured = measure(&recorder, &predictions, Numbers::F32, 2).unwrap();
        assert_eq!(measured.len(), 3 * predictions.operation.len());
        let of = |operation: &str, channels: usize| {
            let is_it = |m: &&Measured| m.operation == operation && m.shape.channels == channels;
            measured.iter().find(is_it).unwrap()
        };
        for channels in [16, 32, 64] {
            for operation in ["forward 3x3", "forward 1x1"] {
                assert_eq!(of(operation, channels).kernels, [format!("dense_forward_{channels}")]);
            }
            let gradient = of("weight gradient 3x3", channels);
            assert_eq!(gradient.kernels, [&format!("dense_weights_{channels}"), "add_dense_weights"]);
            assert_eq!(gradient.microseconds, ("dense_weights_16".len() + "add_dense_weights".len()) as f64);
            assert_eq!(of("pooling", channels).kernels, ["average_pool"]);
        }
        let ratio = of("norm reduction", 16).ratio().unwrap();
        assert!((ratio - "settle".len() as f64 / 55.0).abs() < 1e-12, "{ratio}");
        assert_eq!(of("norm gradient", 16).ratio(), None);
    }

    #[test]
    fn predictions_are_for_one_precision_alone() {
        let recorder = Rc::new(Recorder::default());
        let measured = measure(&recorder, &predictions().unwrap(), Numbers::Bf16, 1).unwrap();
        assert!(measured.iter().all(|m| m.predicted.is_none()));
    }

    /// The table of the design, number for number.
    #[test]
    fn predictions_hold_what_was_predicted() {
        let predictions = predictions().unwrap();
        let all: Vec<_> = predictions
            .operation
            .iter()
            .filter_map(|op| Some((op.name.as_str(), op.microseconds.clone()?)))
            .collect();
        let expected = [
            ("forward 3x3", vec![130.0, 90.0, 60.0]),
            ("forward 1x1", vec![40.0, 20.0, 15.0]),
            ("norm reduction", vec![55.0, 20.0, 10.0]),
            ("data gradient 3x3", vec![200.0, 110.0, 80.0]),
            ("data gradient 1x1", vec![45.0, 25.0, 15.0]),
            ("weight gradient 3x3", vec![230.0, 100.0, 60.0]),
            ("weight gradient 1x1", vec![80.0, 25.0, 20.0]),
            ("pooling", vec![50.0, 25.0, 13.0]),
        ];
        assert_eq!(all, expected);
        let stages: Vec<_> = predictions.stage.iter().map(|stage| stage.shape().to_string()).collect();
        assert_eq!(stages, ["16×32×32", "32×16×16", "64×8×8"]);
        assert_eq!(predictions.batch, 256);
    }

    #[test]
    fn an_operation_that_is_not_isolated_is_an_error() {
        let mut times = KernelTimes::default();
        times.add_step(&[kernel_time("settle", [2, 1, 1], 2, 100.0)]);
        let operation = Operation {
            name: "norm reduction".to_owned(),
            network: Network::Conv3x3,
            kernels: vec!["settle".to_owned()],
            microseconds: None,
        };
        let shape = Shape::new(16, 32, 32);
        let error = select(&operation, &times, shape, None).unwrap_err().to_string();
        assert!(error.contains("settle is launched 2 times per step"), "{error}");
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
