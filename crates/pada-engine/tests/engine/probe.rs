//! An operation alone. Executors have gradients of weights only and know one loss; here the operation's input is made of
//! weights, and the loss is built such that any gradient can be sent into its output.

use pada_exec::{Batch, Executor, Images, LossSpec, State};
use pada_graph::{Conv, Graph, GraphBuilder, Init, NodeId, Shape, WeightId, WeightLayout, WeightSpec};

/// A function that builds an operation from the builder, its input, and its weights.
pub(crate) type Build<'a> = &'a dyn Fn(&mut GraphBuilder<'_>, NodeId, &[WeightId]) -> NodeId;

/// A batch `x` of weights, an operation that reads it, and its output `y`, seen by two linear layers.
pub(crate) struct Probe {
    pub(crate) layout: WeightLayout,
    /// The graph whose logits are y, `[B, C·H·W]`.
    values: Graph,
    /// The graph whose logits are two scores of y.
    score: Graph,
    pub(crate) images: usize,
    input: Shape,
    maker: Maker,
}

/// Makes an image of weights: the convolution of a single 1 is the flipped kernel.
struct Maker {
    kernel: usize,
    padding: usize,
    /// The position of the 1, and the extent that it is in.
    one: [usize; 2],
    extent: [usize; 2],
}

impl Maker {
    fn new(shape: Shape) -> Self {
        let sizes = [shape.height, shape.width];
        let (kernel, small) = (shape.height.max(shape.width), shape.height.min(shape.width));
        // An even number is left for the padding of both sides.
        let least = 1 + (small + kernel) % 2;
        let padding = (small + kernel - 1 - least) / 2;
        let one = sizes.map(|size| if size == kernel { kernel - 1 - padding } else { 0 });
        Self { kernel, padding, one, extent: sizes.map(|size| size - small + least) }
    }

    /// Which number of the kernel becomes the pixel.
    fn tap(&self, y: usize, x: usize) -> usize {
        let [ky, kx] = [self.one[0] + self.padding - y, self.one[1] + self.padding - x];
        ky * self.kernel + kx
    }
}

impl Probe {
    /// For `images` inputs of a shape and an operation with weights of these names and shapes.
    pub(crate) fn new(images: usize, input: Shape, weights: &[(&str, Vec<usize>)], build: Build<'_>) -> Self {
        let maker = Maker::new(input);
        let mut layout = WeightLayout::new();
        let mut weight = |name: &str, shape: Vec<usize>| {
            let name = name.to_owned();
            layout.push(WeightSpec { name, shape, init: Init::Constant(0.0), owner: None })
        };
        let x = weight("x", vec![input.channels, images, maker.kernel, maker.kernel]);
        let ids: Vec<WeightId> = weights.iter().map(|(name, shape)| weight(name, shape.clone())).collect();
        let start = |b: &mut GraphBuilder<'_>| {
            let [height, width] = maker.extent;
            let ones = b.input(Shape::new(images, height, width));
            let conv = Conv { padding: maker.padding, ..Conv::same(x, input.channels, maker.kernel, 1) };
            let x = b.conv(ones, conv).unwrap();
            assert_eq!(b.shape(x), input);
            build(b, x, &ids)
        };
        let output = {
            let mut b = GraphBuilder::new(&layout);
            let y = start(&mut b);
            b.shape(y).numel()
        };
        let mut head = |name: &str, rows: usize| {
            let mut weight = |part: &str, shape: Vec<usize>| {
                let name = format!("{name}.{part}");
                layout.push(WeightSpec { name, shape, init: Init::Constant(0.0), owner: None })
            };
            (weight("weight", vec![rows, output]), weight("bias", vec![rows]))
        };
        let heads = [head("values", output), head("score", 2)];
        let [values, score] = heads.map(|(weight, bias)| {
            let mut b = GraphBuilder::new(&layout);
            let y = start(&mut b);
            b.linear(y, weight, bias).unwrap();
            b.finish()
        });
        Self { layout, values, score, images, input, maker }
    }

    /// All weights: x `[B, C, H, W]`, those of the operation, and what the heads need.
    pub(crate) fn weights(&self, x: &[f32], weights: &[&[f32]]) -> Vec<f32> {
        let mut all = vec![0.0; self.layout.numel()];
        self.x_places().zip(x).for_each(|(place, &x)| all[place] = x);
        for (i, values) in weights.iter().enumerate() {
            all[self.layout.range(WeightId(1 + i))].copy_from_slice(values);
        }
        let head = self.range("values.weight");
        let output = self.output();
        all[head].iter_mut().step_by(output + 1).for_each(|w| *w = 1.0);
        all
    }

    /// Numbers of y for one image.
    pub(crate) fn output(&self) -> usize {
        self.values.output().shape.channels
    }

    /// Returns the positions of the numbers of x among all weights.
    pub(crate) fn x_places(&self) -> impl Iterator<Item = usize> {
        let Shape { channels, height, width } = self.input;
        let taps = self.maker.kernel * self.maker.kernel;
        (0..self.images).flat_map(move |image| {
            (0..channels * height * width).map(move |i| {
                let (c, y, x) = (i / (height * width), i / width % height, i % width);
                (c * self.images + image) * taps + self.maker.tap(y, x)
            })
        })
    }

    fn range(&self, name: &str) -> std::ops::Range<usize> {
        self.layout.range(self.layout.find(name).unwrap())
    }

    /// Image `i` has its 1 in channel `i`.
    fn pixels(&self) -> (Vec<f32>, Shape) {
        let [height, width] = self.maker.extent;
        let shape = Shape::new(self.images, height, width);
        let mut pixels = vec![0.0; self.images * shape.numel()];
        let [y, x] = self.maker.one;
        for (i, image) in pixels.chunks_exact_mut(shape.numel()).enumerate() {
            image[(i * height + y) * width + x] = 1.0;
        }
        (pixels, shape)
    }

    /// y, `[B, C, H, W]`.
    pub(crate) fn values(&self, executor: &mut dyn Executor, weights: &[f32]) -> Vec<f32> {
        let (pixels, shape) = self.pixels();
        executor.write(State::Weights, weights);
        executor.logits(&self.values, &Images::given(&pixels, shape)).unwrap().values
    }

    /// The gradient of `Σ y · direction` with respect to all weights; `direction` is `[B, C, H, W]`.
    ///
    /// Image by image: the two scores are `y · direction − shift` and 0. Where they are equal, the loss of the second class has
    /// the gradient one half with respect to the first score.
    pub(crate) fn gradient(
        &self,
        executor: &mut dyn Executor,
        weights: &[f32],
        direction: &[f32],
    ) -> Vec<f32> {
        let (pixels, shape) = self.pixels();
        let images = Images::given(&pixels, shape);
        let (rows, biases) = (self.range("score.weight"), self.range("score.bias"));
        let mut weights = weights.to_vec();
        executor.zero_gradient();
        for (image, direction) in direction.chunks_exact(self.output()).enumerate() {
            weights[rows.clone()][..direction.len()].copy_from_slice(direction);
            weights[biases.start] = 0.0;
            executor.write(State::Weights, &weights);
            weights[biases.start] = -executor.logits(&self.score, &images).unwrap().row(image)[0];
            executor.write(State::Weights, &weights);
            let only: Vec<f32> = (0..self.images).map(|i| f32::from(u8::from(i == image))).collect();
            let loss = LossSpec {
                scale: 2.0 * self.images as f32,
                image_weights: Some(&only),
                ..LossSpec::default()
            };
            let labels = vec![1; self.images];
            executor.gradients(&self.score, &Batch { images, labels: &labels }, &loss).unwrap();
        }
        self.layout.iter().flat_map(|(id, _)| executor.gradient(id).into_owned()).collect()
    }
}
