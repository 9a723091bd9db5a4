use std::rc::Rc;

use pada_graph::{
    Batch, Conv, Executor, Graph, GraphBuilder, GraphError, Images, Init, LossSpec, Norm, Pool, Precision,
    Shape, Statistics, WeightLayout, WeightSpec,
};

use super::{CudaEngine, CudaError, Device};
use crate::Engine;

const SHAPE: Shape = Shape { channels: 3, height: 9, width: 7 };
const IMAGES: usize = 6;
const CLASSES: usize = 5;
const CHANNELS: usize = 20; // no whole tile

/// Runs a step of a small network with every kind of operation on a device, and compares it with the same on the CPU: a GPU, driver
/// or compiler that computes something else must not train a network.
///
/// # Errors
/// [`CudaError::Differs`], or what failed.
pub fn check(device: Rc<dyn Device>, precision: Precision) -> Result<(), CudaError> {
    let layout = layout();
    let graph = graph(&layout).expect("shapes of constants fit together");
    let weights = numbers(layout.numel(), 1);
    let name = device.name().to_owned();
    let mut theirs = Engine::new(layout.clone(), weights.clone(), Precision::Double);
    let mut ours = CudaEngine::with_device(device, layout.clone(), &weights, precision)?;
    let backend = |error| CudaError::Call { call: "a step", message: format!("{error}") };
    let [ours, theirs] =
        [step(&mut ours, &graph), step(&mut theirs, &graph)].map(|step| step.map_err(backend));
    let bound = match precision {
        // A value near zero may fall on the other side of a ReLU.
        Precision::Single => 0.01,
        Precision::Half => 0.3,
        Precision::Double => 1e-6,
    };
    for ((what, ours), (_, theirs)) in ours?.iter().zip(&theirs?) {
        let off = distance(ours, theirs);
        // What is no number is off too.
        if off.is_nan() || off > bound {
            return Err(CudaError::Differs { device: name, what, off });
        }
    }
    Ok(())
}

/// Logits, loss and gradient.
type Found = [(&'static str, Vec<f32>); 3];

fn step(executor: &mut dyn Executor, graph: &Graph) -> Result<Found, pada_graph::ExecError> {
    let pixels = numbers(IMAGES * SHAPE.numel(), 2);
    let images = Images::given(&pixels, SHAPE);
    let labels: Vec<u32> = (0..IMAGES as u32).map(|i| i % CLASSES as u32).collect();
    executor.zero_gradient();
    let found = executor.gradients(graph, &Batch { images, labels: &labels }, &LossSpec::default())?;
    let ids = executor.layout().iter().map(|(id, _)| id).collect::<Vec<_>>();
    let gradient = ids.into_iter().flat_map(|id| executor.gradient(id).into_owned()).collect();
    Ok([("logits", found.logits.values), ("loss", vec![found.loss as f32]), ("gradient", gradient)])
}

/// Length of the difference, relative to that of `theirs`.
fn distance(ours: &[f32], theirs: &[f32]) -> f64 {
    let length = |list: &mut dyn Iterator<Item = f32>| list.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    let off = length(&mut ours.iter().zip(theirs).map(|(a, b)| a - b));
    off / length(&mut theirs.iter().copied()).max(1e-6)
}

/// Numbers in −0.5..0.5, the same every time: the golden ratio's multiples, which fall everywhere alike.
fn numbers(n: usize, seed: usize) -> Vec<f32> {
    (0..n).map(|i| ((i + seed * 7919) as f64 * 0.618_033_988_749_895).fract() as f32 - 0.5).collect()
}

fn layout() -> WeightLayout {
    let mut layout = WeightLayout::new();
    let mut push = |name: &str, shape: Vec<usize>| {
        layout.push(WeightSpec { name: name.into(), shape, init: Init::Constant(0.0), owner: None });
    };
    push("stem", vec![CHANNELS, SHAPE.channels, 3, 3]);
    push("scale", vec![CHANNELS]);
    push("shift", vec![CHANNELS]);
    push("depthwise", vec![CHANNELS, 1, 3, 3]);
    push("pointwise", vec![CHANNELS, CHANNELS, 1, 1]);
    push("bias", vec![CHANNELS]);
    push("weight", vec![CLASSES, 2 * CHANNELS]);
    push("head", vec![CLASSES]);
    layout
}

fn graph(layout: &WeightLayout) -> Result<Graph, GraphError> {
    let of = |name: &str| layout.find(name).expect("it was pushed");
    let norm = |affine| Norm { affine, eps: 1e-3, statistics: Statistics::Batch };
    let pool = Pool { kernel: 3, stride: 1, padding: 1 };
    let mut g = GraphBuilder::new(layout);
    let x = g.input(SHAPE);
    let x = g.conv(x, Conv::same(of("stem"), CHANNELS, 3, 2))?;
    let x = g.norm(x, norm(Some((of("scale"), of("shift")))))?;
    let y = g.relu(x);
    let y = g.conv(y, Conv { groups: CHANNELS, ..Conv::same(of("depthwise"), CHANNELS, 3, 1) })?;
    let y = g.norm(y, norm(None))?;
    let bias = Some(of("bias"));
    let z = g.conv(y, Conv { bias, ..Conv::same(of("pointwise"), CHANNELS, 1, 1) })?;
    // Without it the norm behind would take the bias away, and its gradient would be zero.
    let z = g.relu(z);
    let pools = [g.avg_pool(x, pool)?, g.max_pool(z, pool)?];
    let sum = g.add(&[pools[0], pools[1], y])?;
    let both = g.concat(&[sum, z])?;
    let last = g.norm(both, norm(None))?;
    let last = g.relu6(last);
    g.classified(last, (of("weight"), of("head")))
}
