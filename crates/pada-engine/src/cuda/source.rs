use pada_graph::Precision;

use super::arguments::{self as args, Field};

/// A kernel's name and the struct it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelName {
    /// Its name.
    pub name: &'static str,
    /// The struct that is its only argument.
    pub argument: &'static str,
}

macro_rules! kernels {
    ($($name:ident($argument:ident),)*) => {
        /// All kernels.
        pub const KERNELS: &[KernelName] =
            &[$(KernelName { name: stringify!($name), argument: <args::$argument as Field>::C },)*];

        /// The kernels by name, each with what it takes.
        #[allow(missing_debug_implementations, reason = "never made")]
        pub(super) mod kernel {
            use super::args;

            $(
                #[allow(non_camel_case_types, reason = "its name in C")]
                pub(in crate::cuda) struct $name;

                impl super::Kernel for $name {
                    const NAME: &'static str = stringify!($name);
                    type Argument = args::$argument;
                }
            )*
        }
    };
}

/// A kernel as a type, so that no launch gives it another's argument.
pub(super) trait Kernel {
    const NAME: &'static str;
    type Argument: Field;
}

kernels! {
    load(LoadArgs),
    load_held(LoadHeldArgs),
    dense_forward_16(ForwardArgs),
    dense_forward_32(ForwardArgs),
    dense_forward_64(ForwardArgs),
    dense_backward_16(BackwardArgs),
    dense_backward_32(BackwardArgs),
    dense_backward_64(BackwardArgs),
    dense_weights_16(WeightArgs),
    dense_weights_32(WeightArgs),
    dense_weights_64(WeightArgs),
    add_dense_weights(AddWeightsArgs),
    depthwise_forward(ForwardArgs),
    depthwise_backward(BackwardArgs),
    depthwise_weights(WeightArgs),
    add_depthwise_weights(AddWeightsArgs),
    column_sums(ColumnArgs),
    add_columns(AddColumnsArgs),
    moments(MomentsArgs),
    settle(SettleArgs),
    running(RunningArgs),
    gradient_sums(SumsArgs),
    settle_gradient(SettleGradientArgs),
    combine(CombineArgs),
    hand_on(HandArgs),
    total_gradient(TotalArgs),
    average_pool(PoolArgs),
    average_pool_gradient(PoolArgs),
    max_pool(PoolArgs),
    max_pool_gradient(PoolArgs),
    copy_channels(CopyArgs),
    global_pool(GlobalArgs),
    global_pool_gradient(GlobalArgs),
    linear(LinearArgs),
    linear_gradient(LinearArgs),
    linear_weights(LinearWeightArgs),
    difference(DifferenceArgs),
    add_up(AddUpArgs),
    multiple(MultipleArgs),
    cross_entropy(CrossEntropyArgs),
    read_logits(LogitsArgs),
    count_correct(CountArgs),
    feature_norms(NormsArgs),
    update(UpdateArgs),
    squares(SquaresArgs),
    tensor_norms(TensorNormsArgs),
}

/// All kernels as one text: `real` and the way to multiply are macros of it, see [`macros`].
pub fn source() -> String {
    let parts = [
        include_str!("kernels/prelude.cu"),
        &args::declarations(),
        include_str!("kernels/read.cu"),
        include_str!("kernels/multiply.cu"),
        include_str!("kernels/product.cu"),
        include_str!("kernels/dense.cu"),
        include_str!("kernels/dense_weights.cu"),
        include_str!("kernels/depthwise.cu"),
        include_str!("kernels/norm.cu"),
        include_str!("kernels/load_held.cu"),
        include_str!("kernels/combine.cu"),
        include_str!("kernels/pool.cu"),
        include_str!("kernels/global_pool.cu"),
        include_str!("kernels/linear.cu"),
        include_str!("kernels/loss.cu"),
        include_str!("kernels/update.cu"),
    ];
    parts.join("\n")
}

/// The structs that kernels take, in C.
pub fn declarations() -> String {
    args::declarations()
}

/// What the source is compiled with.
pub fn macros(precision: Precision) -> [&'static str; 2] {
    match precision {
        Precision::Single => ["-DREAL=float", "-DMULTIPLY=MULTIPLY_TF32"],
        Precision::Half => ["-DREAL=float", "-DMULTIPLY=MULTIPLY_BF16"],
        Precision::Double => ["-DREAL=double", "-DMULTIPLY=MULTIPLY_PLAIN"],
    }
}

/// Bytes of a `real`.
pub(super) fn real_bytes(precision: Precision) -> usize {
    match precision {
        Precision::Single | Precision::Half => size_of::<f32>(),
        Precision::Double => size_of::<f64>(),
    }
}
