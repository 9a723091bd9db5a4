//! The argument structs of kernels. Each struct is declared once, for Rust and for CUDA.

use super::Address;

/// A type of fields in argument structs. It consists of one or more 64-bit words.
pub(super) trait Field {
    /// Name of the type in C.
    const C: &'static str;
    /// Appends the words of the field.
    fn put(&self, words: &mut Vec<u64>);
}

macro_rules! pointers {
    ($($(#[$meta:meta])* $name:ident = $c:literal,)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) struct $name(pub(super) Address);

        impl Field for $name {
            const C: &'static str = $c;
            fn put(&self, words: &mut Vec<u64>) {
                words.push(self.0);
            }
        }
    )*};
}

pointers! {
    /// Numbers of the arena, `float` or `double`.
    Reals = "real *",
    Floats = "float *",
    Doubles = "double *",
    Ints = "int *",
    Bytes = "const unsigned char *",
}

/// The address of an optional list that is absent.
pub(super) const NONE: Address = 0;

impl Reals {
    /// Returns the address `count` numbers of `size` bytes further.
    pub(super) fn at(self, count: usize, size: usize) -> Self {
        Self(self.0 + (count * size) as Address)
    }
}

impl Floats {
    pub(super) fn at(self, count: usize) -> Self {
        Self(self.0 + (count * size_of::<f32>()) as Address)
    }
}

impl Ints {
    pub(super) fn at(self, count: usize) -> Self {
        Self(self.0 + (count * size_of::<i32>()) as Address)
    }
}

impl Doubles {
    pub(super) fn at(self, count: usize) -> Self {
        Self(self.0 + (count * size_of::<f64>()) as Address)
    }
}

impl Field for i64 {
    const C: &'static str = "long long";
    fn put(&self, words: &mut Vec<u64>) {
        words.push(self.cast_unsigned());
    }
}

impl Field for f64 {
    const C: &'static str = "double";
    fn put(&self, words: &mut Vec<u64>) {
        words.push(self.to_bits());
    }
}

macro_rules! arguments {
    ($($(#[$meta:meta])* $name:ident { $($field:ident: $type:ty,)* })*) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Copy, Debug)]
            pub(super) struct $name { $(pub(super) $field: $type,)* }

            impl Field for $name {
                const C: &'static str = stringify!($name);
                fn put(&self, words: &mut Vec<u64>) {
                    $(self.$field.put(words);)*
                }
            }
        )*

        /// Returns the declarations of all structs in C.
        pub(super) fn declarations() -> String {
            let mut text = String::new();
            $(
                text += concat!("struct ", stringify!($name), " {\n");
                $(text += &format!("    {} {};\n", <$type as Field>::C, stringify!($field));)*
                text += "};\n";
            )*
            text
        }
    };
}

arguments! {
    /// A value as an operation reads it, `[rows, stride]`: normalised if `mean` is present, then clamped to `low..=high`.
    Value { x: Reals, mean: Reals, scale: Reals, shift: Reals, low: f64, high: f64, }
    /// The gradient of an operation's output: the sum of `direct` and of `after`, which is propagated through a norm. Both are optional.
    OutputGrad { direct: Reals, after: Reals, y: Reals, mean: Reals, a: Reals, b: Reals, c: Reals, }
    /// The window of a convolution or pooling: output `o` reads input `o · step + tap · dilation − border` through each tap, along the height
    /// with `step_y` and `border_y`, along the width with `step_x` and `border_x`. `kernel` is the number of taps in a row.
    Window {
        kernel: i64, step_y: i64, step_x: i64, dilation: i64, border_y: i64, border_x: i64, height: i64, width: i64, out_height: i64,
        out_width: i64,
    }
    /// The weights of a convolution, `[C_out, C_in / groups, taps]`.
    Kernel { weights: Floats, channels_in: i64, channels_out: i64, groups: i64, taps: i64, }
    LoadArgs { pixels: Floats, out: Reals, images: i64, channels: i64, pixels_each: i64, stride: i64, }
    /// `bytes`: `[N, C, H, W]`, `values`: `[C, 256]`. `indices`: augmented indices, `[B, 8]`, or absent for images without augmentation
    /// from `first` on.
    LoadUploadedArgs {
        bytes: Bytes, values: Floats, indices: Ints, first: i64, out: Reals, images: i64, channels: i64, height: i64, width: i64,
        stride: i64,
    }
    /// `out`: `[rows, stride]`. If `partial` is present, the moments of each block's rows are written there.
    ForwardArgs {
        value: Value, window: Window, kernel: Kernel, bias: Floats, out: Reals, rows: i64, stride_in: i64, stride_out: i64,
        partial: Doubles,
    }
    /// `out`: gradient of the input, `[rows, stride_in]`. If `mask` is present, the gradient is zero where the mask is outside of its bounds.
    BackwardArgs {
        output_grad: OutputGrad, window: Window, kernel: Kernel, mask: Value, out: Reals, rows: i64, stride_in: i64, stride_out: i64,
        add: i64,
    }
    /// `partial`: `[slabs, taps · C_in, stride_out]`, or `[slabs, taps, stride_out]` for depthwise convolutions.
    WeightArgs {
        value: Value, output_grad: OutputGrad, window: Window, kernel: Kernel, partial: Reals, rows: i64, slab: i64, stride_in: i64,
        stride_out: i64,
    }
    /// Strips of `rows` rows of images, `padded` pixels wide; `pixels` in all. See `Strips`.
    StripArgs { rows: i64, height: i64, width: i64, padded: i64, pixels: i64, }
    /// `count`: all strips. `each`: strips of a block.
    StripForwardArgs { conv: ForwardArgs, strips: StripArgs, count: i64, each: i64, }
    StripBackwardArgs { conv: BackwardArgs, strips: StripArgs, count: i64, each: i64, }
    /// `conv.slab`: strips in a slab.
    StripWeightArgs { conv: WeightArgs, strips: StripArgs, count: i64, }
    AddWeightsArgs { partial: Reals, kernel: Kernel, gradient: Floats, slabs: i64, stride_out: i64, }
    /// `partial`: sums of columns, `[slabs, stride]`.
    ColumnArgs { output_grad: OutputGrad, partial: Doubles, rows: i64, slab: i64, stride: i64, }
    AddColumnsArgs { partial: Doubles, gradient: Floats, slabs: i64, channels: i64, stride: i64, }
    /// `partial`: mean and sum of squared distances to the mean of each slab's rows, `[slabs, 2, stride]`.
    MomentsArgs { x: Reals, partial: Doubles, rows: i64, slab: i64, stride: i64, }
    /// Computes the coefficients of a norm from the moments of slabs. Running statistics are updated with weight `share`.
    FinalizeStatsArgs {
        partial: Doubles, mean: Reals, scale: Reals, shift: Reals, inv_std: Doubles, gamma: Floats, beta: Floats,
        running_mean: Floats, running_var: Floats, eps: f64, share: f64, rows: i64, slab: i64, channels: i64, stride: i64,
    }
    /// Computes the coefficients of a norm from running statistics.
    RunningArgs {
        mean: Reals, scale: Reals, shift: Reals, gamma: Floats, beta: Floats, running_mean: Floats, running_var: Floats, eps: f64,
        channels: i64,
    }
    /// `partial`: Σ g and Σ g · (y − mean) of each slab, `[slabs, 2, stride]`.
    SumsArgs { g: Reals, y: Reals, mean: Reals, partial: Doubles, rows: i64, slab: i64, stride: i64, }
    FinalizeNormGradientArgs {
        partial: Doubles, scale: Reals, inv_std: Doubles, b: Reals, c: Reals, gamma: Floats, beta: Floats, rows: i64, slabs: i64,
        channels: i64, stride: i64,
    }
    /// `out`: sum of the first `count` terms, `[rows, stride]`, clamped to `low..=high`.
    CombineArgs {
        first: Value, second: Value, third: Value, fourth: Value, count: i64, low: f64, high: f64, out: Reals, rows: i64, stride: i64,
        add: i64,
    }
    /// Copies a gradient where `made`, the output of the activation, is between its bounds. Elsewhere it is zero.
    PassThroughArgs { gradient: Reals, made: Reals, low: f64, high: f64, out: Reals, rows: i64, stride: i64, add: i64, }
    TotalArgs { output_grad: OutputGrad, out: Reals, rows: i64, stride: i64, }
    PoolArgs { x: Reals, gradient: Reals, window: Window, out: Reals, images: i64, stride: i64, add: i64, }
    /// Copies channels from one list, starting at channel `from`, to another, starting at channel `to`. Then `fill` zeros follow.
    CopyArgs {
        x: Reals, out: Reals, rows: i64, stride_in: i64, stride_out: i64, from: i64, to: i64, channels: i64, fill: i64, add: i64,
    }
    GlobalArgs { value: Value, gradient: Reals, out: Reals, images: i64, pixels: i64, stride: i64, stride_out: i64, add: i64, }
    /// `value`: `[B, pixels, stride]`, `gate`: `[B, stride_gate]`, `gradient`: gradient of the output, `[B, pixels, stride]`.
    GateArgs {
        value: Value, gate: Reals, gradient: Reals, out: Reals, images: i64, pixels: i64, stride: i64, stride_gate: i64, add: i64,
    }
    LinearArgs {
        x: Reals, weights: Floats, bias: Floats, gradient: Reals, out: Reals, images: i64, channels: i64, pixels: i64, stride_in: i64,
        outputs: i64, stride_out: i64, add: i64,
    }
    LinearWeightArgs {
        x: Reals, gradient: Reals, weights: Floats, bias: Floats, images: i64, channels: i64, pixels: i64, stride_in: i64,
        outputs: i64, stride_out: i64,
    }
    /// `out`: value − anchor. `partial`: sum of squares of each block's rows.
    DifferenceArgs { anchor: Value, value: Value, out: Reals, partial: Doubles, rows: i64, slab: i64, stride: i64, }
    AddUpArgs { partial: Doubles, out: Doubles, count: i64, factor: f64, }
    /// `factors`: optional factors. The factor of channel c of image b is number `c · step + b · image_step`: `[B]` with the steps 0 and 1,
    /// `[C, B]` with the steps B and 1, a single number with the steps 0 and 0.
    MultipleArgs {
        value: Value, factors: Floats, factor: f64, out: Reals, images: i64, pixels: i64, channels: i64, stride: i64, step: i64,
        image_step: i64, add: i64,
    }
    /// `partial`: sum of the products of value and gradient over each block's rows.
    ScaleGradientArgs {
        value: Value, gradient: Reals, partial: Doubles, rows: i64, slab: i64, channels: i64, stride: i64,
    }
    CrossEntropyArgs {
        logits: Reals, labels: Ints, image_weights: Floats, output_grad: Reals, losses: Doubles, scale: f64, smoothing: f64, images: i64,
        classes: i64, stride: i64, add: i64,
    }
    LogitsArgs { logits: Reals, out: Floats, images: i64, classes: i64, stride: i64, }
    /// Adds the number of correctly classified images to `count`.
    CountArgs { logits: Reals, labels: Ints, count: Doubles, images: i64, classes: i64, stride: i64, }
    NormsArgs { x: Reals, out: Floats, images: i64, len: i64, }
    /// `pieces`: `[blocks, 3]`, the tensor, first number and length of each block's part.
    UpdateArgs {
        pieces: Ints, moves: Ints, weights: Floats, momentum: Floats, gradient: Floats, lr: f64, keep: f64, decay: f64, scale: f64,
        nesterov: i64,
    }
    RmsPropArgs {
        pieces: Ints, moves: Ints, weights: Floats, momentum: Floats, second: Floats, gradient: Floats, lr: f64, keep: f64, decay: f64,
        scale: f64, alpha: f64, eps: f64, tensorflow: i64,
    }
    SquaresArgs { pieces: Ints, gradient: Floats, partial: Doubles, }
    /// `firsts`: `[tensors + 1]`, the first piece of each tensor.
    TensorNormsArgs { partial: Doubles, firsts: Ints, out: Doubles, tensors: i64, }
}

impl Value {
    /// A list without norm and activation.
    pub(super) fn plain(x: Reals) -> Self {
        let none = Reals(NONE);
        Self { x, mean: none, scale: none, shift: none, low: f64::NEG_INFINITY, high: f64::INFINITY }
    }

    /// An absent value.
    pub(super) fn none() -> Self {
        Self::plain(Reals(NONE))
    }
}
