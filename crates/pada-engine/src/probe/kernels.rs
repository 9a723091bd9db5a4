use pada_graph::{Conv, Pool, Shape, WeightId};
use rayon::prelude::*;

use super::median_s;
use crate::geometry::{Geometry, Padded};
use crate::kernels::{
    Affine, AvgPool, Combine, ConvKernel, Mask, Moments, PadInput, WeightGradient, Windows, WriteMode,
};
use crate::memory::Aligned;
use crate::plan::{Activation, Connection};
use crate::simd::Vector;

/// The measurement of one kernel on one shape.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// The operation and its direction, such as `conv 3x3 forward`.
    pub kernel: String,
    /// Shape of one image, C × H × W, the same for input and output.
    pub shape: Shape,
    /// Number of images.
    pub images: usize,
    /// Floating-point operations for all images: multiplications and additions.
    pub flops: f64,
    /// Bytes of images that are read and written. Scratch memory does not count, because it stays in the cache.
    pub bytes: f64,
    /// Time for all images, in seconds.
    pub seconds: f64,
}

/// C and H = W in the three stages of the NAS-Bench-201 network with 16 channels, on images of 32 × 32 pixels.
const STAGES: [(usize, usize); 3] = [(16, 32), (32, 16), (64, 8)];

/// Measures all kernels of a cell on values of `bytes` bytes for all images.
pub(super) fn measure<V: Vector<Elem = f32, Unit = f32>>(bytes: usize, repeats: usize) -> Vec<Measurement> {
    let mut measurements = Vec::new();
    for (channels, size) in STAGES {
        let mut bench = Bench::new(Shape::new(channels, size, size), bytes, repeats);
        bench.conv::<V>(3);
        bench.conv::<V>(1);
        bench.others::<V>();
        measurements.append(&mut bench.measurements);
    }
    measurements
}

/// Images of one shape, and the measurements on them.
struct Bench {
    shape: Shape,
    images: usize,
    repeats: usize,
    parts: Vec<Part>,
    measurements: Vec<Measurement>,
}

/// The images of one thread, each with two inputs and an output, and the scratch memory of the thread.
struct Part {
    values: [Aligned<f32>; 3],
    images: usize,
    scratch: Scratch,
}

#[derive(Default)]
struct Scratch {
    padded_input: Aligned<f32>,
    gradient: Aligned<f32>,
    sums: Aligned<f32>,
}

/// The inputs, output and scratch memory of a kernel for one image.
struct Image<'a> {
    x: &'a [f32],
    y: &'a [f32],
    out: &'a mut [f32],
    scratch: &'a mut Scratch,
}

impl Part {
    fn new(images: usize, len: usize) -> Self {
        let mut values: [Aligned<f32>; 3] = Default::default();
        values.iter_mut().for_each(|value| value.get(images * len).fill(0.5));
        Self { values, images, scratch: Scratch::default() }
    }

    fn each(&mut self, len: usize, work: impl Fn(Image<'_>)) {
        let [x, y, out] = &mut self.values;
        let all = self.images * len;
        let reads = x.get(all).chunks_exact(len).zip(y.get(all).chunks_exact(len));
        for ((x, y), out) in reads.zip(out.get(all).chunks_exact_mut(len)) {
            work(Image { x, y, out, scratch: &mut self.scratch });
        }
    }
}

impl Bench {
    fn new(shape: Shape, bytes: usize, repeats: usize) -> Self {
        let threads = rayon::current_num_threads();
        let each = (bytes / (shape.numel() * size_of::<f32>())).div_ceil(threads);
        let parts = (0..threads).map(|_| Part::new(each, shape.numel())).collect();
        Self { shape, images: each * threads, repeats, parts, measurements: Vec::new() }
    }

    /// Times `work` on all images. `flops` is the number of operations per number of a value, and `passes` is how often each number is read
    /// from or written to memory.
    fn time(&mut self, kernel: &str, flops: usize, passes: usize, work: impl Fn(Image<'_>) + Sync) {
        let (parts, len) = (&mut self.parts, self.shape.numel());
        let seconds = median_s(self.repeats, || parts.par_iter_mut().for_each(|part| part.each(len, &work)));
        let numbers = self.images * len;
        self.measurements.push(Measurement {
            kernel: kernel.to_owned(),
            shape: self.shape,
            images: self.images,
            flops: (numbers * flops) as f64,
            bytes: (numbers * passes * size_of::<f32>()) as f64,
            seconds,
        });
    }

    /// Measures a dense convolution: forward, gradient of the input, and gradient of the weights.
    fn conv<V: Vector<Elem = f32, Unit = f32>>(&mut self, kernel: usize) {
        let channels = self.shape.channels;
        let conv = Conv::same(WeightId(0), channels, kernel, 1);
        let shapes = [self.shape; 2];
        let geometry = Geometry::new(&conv, Connection::Dense, shapes, [channels; 2], conv.padding);
        let weights = vec![0.01; kernel * kernel * channels * channels];
        let flops = 2 * kernel * kernel * channels;
        let run = geometry.run(channels);
        let (input, output) = (geometry.input.len(), geometry.output.len());
        let name = |direction: &str| format!("conv {kernel}x{kernel} {direction}");
        for Part { scratch, .. } in &mut self.parts {
            scratch.padded_input.get(input).fill(0.5);
            scratch.gradient.get(output).fill(0.5);
        }
        self.time(&name("forward"), flops, 1, |image| {
            V::dispatch(ConvKernel {
                x: image.scratch.padded_input.get(input),
                phases: &geometry.forward,
                weights: &weights,
                units_in: run,
                stride_out: channels,
                bias: None,
                out: image.out,
                write_mode: WriteMode::Store,
                mask: None,
            });
        });
        self.time(&name("data gradient"), flops, 1, |image| {
            V::dispatch(ConvKernel {
                x: image.scratch.gradient.get(output),
                phases: &geometry.backward,
                weights: &weights,
                units_in: channels,
                stride_out: channels,
                bias: None,
                out: image.out,
                write_mode: WriteMode::Store,
                mask: Some(Mask { x: image.scratch.padded_input.get(input), high: f32::INFINITY }),
            });
        });
        self.time(&name("weight gradient"), flops, 0, |image| {
            let Scratch { padded_input, gradient, sums } = image.scratch;
            V::dispatch(WeightGradient {
                x: padded_input.get(input),
                x_places: &geometry.forward[0].base,
                taps: &geometry.forward[0].taps,
                channels_in: run,
                gradient: gradient.get(output),
                gradient_places: &geometry.gradient,
                stride_out: channels,
                sums: sums.get(weights.len()),
            });
        });
    }

    /// Measures the kernels that are not convolutions.
    fn others<V: Vector<Elem = f32, Unit = f32>>(&mut self) {
        let (shape, stride) = (self.shape, self.shape.channels);
        let pool = Pool { kernel: 3, stride: 1, padding: 1 };
        let windows = Windows::new(pool, shape, shape, stride);
        // Nine terms, one division.
        self.time("average pooling 3x3", 9, 2, |image| {
            V::dispatch(AvgPool { x: image.x, windows, out: image.out, write_mode: WriteMode::Store });
        });
        let numbers = [0.1, 1.5, 0.2].map(|v| vec![v; stride]);
        let affine = Affine { mean: &numbers[0], scale: &numbers[1], shift: &numbers[2] };
        // Subtract, multiply and add for each of two terms, and one addition for their sum.
        self.time("norm of two, added", 7, 3, |image| {
            let terms = [(image.x, affine), (image.y, affine)];
            V::dispatch(Combine {
                terms: &terms,
                act: Activation::None,
                stride,
                out: image.out,
                write_mode: WriteMode::Store,
            });
        });
        let padded = Padded::new(shape, stride, 1);
        self.time("pad input: norm, relu, border", 3, 1, |image| {
            let out = image.scratch.padded_input.get(padded.len());
            V::dispatch(PadInput {
                source: image.x,
                affine: Some(affine),
                act: Activation::Relu,
                padded,
                out,
            });
        });
        // Subtract the first pixel, add, multiply and add.
        self.time("batch moments", 4, 1, |image| {
            V::dispatch(Moments { x: image.x, stride, sums: image.scratch.sums.get(2 * stride) });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Portable;

    #[test]
    fn every_kernel_runs_on_every_shape() {
        let measurements = measure::<Portable<f32>>(1 << 16, 1);
        assert_eq!(measurements.len(), STAGES.len() * 10);
        let forward = &measurements[0];
        assert_eq!(forward.kernel, "conv 3x3 forward");
        let macs = 9 * 16 * 16 * 32 * 32;
        assert_eq!(forward.flops, (2 * macs * forward.images) as f64);
        assert!(measurements.iter().all(|m| m.seconds > 0.0 && m.images > 0));
    }
}
