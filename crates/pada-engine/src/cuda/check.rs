use std::rc::Rc;

use pada_exec::{
    AugmentedIndex, Batch, ByteImages, CorrectCounts, Decayed, ExecError, Executor, Images, Logits, LossSpec,
    Optimizer, Pixels, Precision, RmsProp, RmsPropForm, SgdStep, State, UnusedWeights, correct_counts,
    count_correct, upload_dataset,
};
use pada_graph::{
    Conv, Graph, GraphBuilder, GraphError, Init, Norm, Pool, Shape, Statistics, WeightLayout, WeightSpec,
};

use super::{CudaEngine, CudaError, Device};
use crate::Engine;

const SHAPE: Shape = Shape { channels: 3, height: 9, width: 7 };
/// Number of images. Half of them are classified correctly, so one wrong count is a larger error than every bound below.
const IMAGES: usize = 6;
const CLASSES: usize = 5;
/// Channels of the networks. Each uses tiles of a different width and fills them only partly.
const CHANNELS: [usize; 3] = [12, 20, 60];

/// Checks that a device computes the same as the CPU, so that a faulty GPU, driver or compiler does not train a network.
///
/// Small networks with the operations of a search run a training step, score uploaded images and count correct ones. All results are
/// compared with an [`Engine`] in f64.
///
/// # Errors
/// Returns [`CudaError::Differs`] if a result deviates too far, or the error of a call that failed.
pub fn check(device: Rc<dyn Device>, precision: Precision) -> Result<(), CudaError> {
    CHANNELS.into_iter().try_for_each(|channels| check_width(&device, precision, channels))
}

fn check_width(device: &Rc<dyn Device>, precision: Precision, channels: usize) -> Result<(), CudaError> {
    let layout = layout(channels);
    let graph = graph(&layout, channels).expect("the constant shapes fit together");
    let weights = numbers(layout.numel(), 1);
    let mut theirs = Engine::new(layout.clone(), weights.clone(), Precision::F64);
    let mut ours = CudaEngine::with_device(Rc::clone(device), layout.clone(), &weights, precision)?;
    let backend = |error| CudaError::Call { call: "the check", message: format!("{error}") };
    let ours = results(&mut ours, &graph).map_err(backend)?;
    let theirs = results(&mut theirs, &graph).map_err(backend)?;
    let bound = match precision {
        // A value near zero may be on the other side of a ReLU.
        Precision::F32 => 0.01,
        Precision::Bf16 => 0.3,
        Precision::F64 => 1e-6,
    };
    for ((what, ours), (_, theirs)) in ours.iter().zip(&theirs) {
        let off = distance(ours, theirs);
        // NaN counts as a difference.
        if off.is_nan() || off > bound {
            return Err(CudaError::Differs { device: device.name().to_owned(), what, off });
        }
    }
    Ok(())
}

/// Names and values of results.
type Results = Vec<(&'static str, Vec<f32>)>;

/// Computes all results of an executor: scores, counts, and a training step.
fn results(executor: &mut dyn Executor, graph: &Graph) -> Result<Results, ExecError> {
    let mut results = vec![("logits of uploaded images", augmented_logits(executor, graph)?.values)];
    results.push(("counts of correct images", vec![correct(executor, graph)? as f32]));
    results.extend(step(executor, graph)?);
    Ok(results)
}

/// Computes a step and two updates with its gradient. The second update uses the momentum of the first.
fn step(executor: &mut dyn Executor, graph: &Graph) -> Result<Results, ExecError> {
    let pixels = numbers(IMAGES * SHAPE.numel(), 2);
    let images = Images::given(&pixels, SHAPE);
    let labels: Vec<u32> = (0..IMAGES as u32).map(|i| i % CLASSES as u32).collect();
    executor.zero_gradient();
    let stats = executor.gradients(graph, &Batch { images, labels: &labels }, &LossSpec::default())?;
    let ids = executor.layout().iter().map(|(id, _)| id).collect::<Vec<_>>();
    let gradient = ids.into_iter().flat_map(|id| executor.gradient(id).into_owned()).collect();
    let norms = executor.gradient_norms().into_iter().map(|norm| norm as f32).collect();
    let before = executor.read(State::Weights);
    for _ in 0..2 {
        executor.update(&SgdStep {
            lr: 0.5,
            momentum: 0.9,
            weight_decay: 0.1,
            decayed: Decayed::All,
            gradient_scale: 0.5,
            unused: UnusedWeights::Decay,
            ..SgdStep::default()
        });
    }
    let update =
        executor.read(State::Weights).iter().zip(&before).map(|(after, before)| after - before).collect();
    let momentum = executor.read(State::Momentum);
    let rms_prop = RmsProp { decay: 0.9, eps: 1e-3, form: RmsPropForm::PyTorch };
    executor.update(&SgdStep { optimizer: Optimizer::RmsProp(rms_prop), lr: 0.1, ..SgdStep::default() });
    // Its root has the relative error of the gradient, the square twice as much.
    let second_moment = executor.read(State::SecondMoment).into_iter().map(f32::sqrt).collect();
    executor.deferred_error()?;
    Ok(vec![
        ("logits", stats.logits.values),
        ("loss", vec![stats.loss as f32]),
        ("norms of features", stats.feature_norms),
        ("gradient", gradient),
        ("norms of gradients", norms),
        ("updates", update),
        ("momentum", momentum),
        ("root of the second moment", second_moment),
    ])
}

/// Computes the logits of augmented images. The executor augments them if it can upload data sets, otherwise [`augment`] does.
fn augmented_logits(executor: &mut dyn Executor, graph: &Graph) -> Result<Logits, ExecError> {
    let bytes: Vec<u8> =
        numbers(IMAGES * SHAPE.numel(), 3).into_iter().map(|x| ((x + 0.5) * 255.0) as u8).collect();
    let values = numbers(SHAPE.channels * 256, 4);
    let images = ByteImages { bytes: &bytes, labels: &[0; IMAGES], shape: SHAPE, values: &values };
    let indices: Vec<AugmentedIndex> = (0..IMAGES as u32)
        .map(|i| AugmentedIndex {
            index: IMAGES as u32 - 1 - i,
            offset_y: i as i32 - 2,
            offset_x: 2 - i as i32,
            flipped: i % 2 == 0,
            cutout: [[i, i + 2], [1, i]],
        })
        .collect();
    match upload_dataset(executor, &images)? {
        Some(set) => {
            executor.logits(graph, &Images { pixels: Pixels::Augmented(set, &indices), shape: SHAPE })
        }
        None => {
            let pixels: Vec<f32> = indices.iter().flat_map(|augmented| augment(&images, augmented)).collect();
            executor.logits(graph, &Images::given(&pixels, SHAPE))
        }
    }
}

/// Returns the pixels of an [`AugmentedIndex`], `[C, H, W]`, by a reference implementation.
fn augment(images: &ByteImages<'_>, augmented: &AugmentedIndex) -> Vec<f32> {
    let Shape { channels, height, width } = SHAPE;
    let [rows, columns] = augmented.cutout.map(|[first, end]| first as usize..end as usize);
    let mut pixels = Vec::with_capacity(SHAPE.numel());
    for (channel, y, x) in
        (0..channels).flat_map(|c| (0..height).flat_map(move |y| (0..width).map(move |x| (c, y, x))))
    {
        let down = y.checked_add_signed(augmented.offset_y as isize).filter(|&y| y < height);
        let flipped = if augmented.flipped { width - 1 - x } else { x };
        let right = flipped.checked_add_signed(augmented.offset_x as isize).filter(|&x| x < width);
        let at = |y, x| ((augmented.index as usize * channels + channel) * height + y) * width + x;
        let byte = down.zip(right).map_or(0, |(y, x)| images.bytes[at(y, x)]);
        let cutout = rows.contains(&y) && columns.contains(&x);
        pixels.push(if cutout { 0.0 } else { images.values[channel * 256 + usize::from(byte)] });
    }
    pixels
}

/// Counts correct images. Every second label is the class that the executor predicts, the others are different classes.
fn correct(executor: &mut dyn Executor, graph: &Graph) -> Result<usize, ExecError> {
    let pixels = numbers(IMAGES * SHAPE.numel(), 5);
    let images = Images::given(&pixels, SHAPE);
    let logits = executor.logits(graph, &images)?;
    let labels: Vec<u32> =
        logits.best().enumerate().map(|(i, best)| ((best + i % 2) % CLASSES) as u32).collect();
    let mut counts = CorrectCounts::default();
    count_correct(executor, graph, &Batch { images, labels: &labels }, &mut counts)?;
    Ok(correct_counts(executor, &[counts])?[0])
}

/// Returns the L2 norm of the difference, relative to the norm of `theirs`.
fn distance(ours: &[f32], theirs: &[f32]) -> f64 {
    let length = |list: &mut dyn Iterator<Item = f32>| list.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    let off = length(&mut ours.iter().zip(theirs).map(|(a, b)| a - b));
    off / length(&mut theirs.iter().copied()).max(1e-6)
}

/// Returns reproducible, evenly distributed numbers in −0.5..0.5: fractional parts of multiples of the golden ratio.
fn numbers(n: usize, seed: usize) -> Vec<f32> {
    (0..n).map(|i| ((i + seed * 7919) as f64 * 0.618_033_988_749_895).fract() as f32 - 0.5).collect()
}

fn layout(channels: usize) -> WeightLayout {
    let mut layout = WeightLayout::new();
    let mut push = |name: &str, shape: Vec<usize>| {
        layout.push(WeightSpec { name: name.into(), shape, init: Init::Constant(0.0), owner: None });
    };
    push("stem", vec![channels, SHAPE.channels, 3, 3]);
    push("strided", vec![channels, channels, 3, 3]);
    push("scale", vec![channels]);
    push("shift", vec![channels]);
    push("depthwise", vec![channels, 1, 3, 3]);
    push("pointwise", vec![channels, channels, 1, 1]);
    push("square", vec![channels, channels, 3, 3]);
    push("bias", vec![channels]);
    push("factors", vec![2]);
    push("weight", vec![CLASSES, 2 * channels]);
    push("head", vec![CLASSES]);
    layout
}

fn graph(layout: &WeightLayout, channels: usize) -> Result<Graph, GraphError> {
    let of = |name: &str| layout.find(name).expect("the layout contains this tensor");
    let norm = |affine| Norm { affine, eps: 1e-3, statistics: Statistics::Batch };
    let pool = Pool { kernel: 3, stride: 1, padding: 1 };
    let mut g = GraphBuilder::new(layout);
    let x = g.input(SHAPE);
    let x = g.conv(x, Conv::same(of("stem"), channels, 3, 1))?;
    let x = g.conv(x, Conv::same(of("strided"), channels, 3, 2))?;
    let x = g.norm(x, norm(Some((of("scale"), of("shift")))))?;
    let y = g.relu(x);
    let y = g.conv(y, Conv { groups: channels, ..Conv::same(of("depthwise"), channels, 3, 1) })?;
    let y = g.norm(y, norm(None))?;
    let bias = Some(of("bias"));
    let z = g.conv(y, Conv { bias, ..Conv::same(of("pointwise"), channels, 1, 1) })?;
    // Without the ReLU, the next norm would cancel the bias, and the gradient of the bias would be zero.
    let z = g.relu(z);
    let square = g.conv(z, Conv::same(of("square"), channels, 3, 1))?;
    let square = g.norm(square, norm(None))?;
    let pooled = g.global_avg_pool(square);
    let square = g.gate(square, pooled)?;
    let pools = [g.avg_pool(x, pool)?, g.max_pool(z, pool)?];
    let mixed = g.scale(y, of("factors"), 1);
    // The channels move by one place, which takes two copies.
    let mixed = g.select_channels(mixed, (1..channels).chain([0]).collect());
    let sum = g.add(&[pools[0], pools[1], mixed, square])?;
    let both = g.concat(&[sum, z])?;
    let last = g.norm(both, norm(None))?;
    let last = g.relu6(last);
    g.classified(last, (of("weight"), of("head")))
}
