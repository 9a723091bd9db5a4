use pada_exec::Precision;

use super::arguments::{self as args, Field};
use super::slabs::TILE_THREADS;
use super::step::BLOCK;

/// The name and launch parameters of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelName {
    /// Name of the kernel.
    pub name: &'static str,
    /// Name of the struct that is its only argument, see [`declarations`].
    pub argument: &'static str,
    /// Threads per block, the same in every launch.
    pub threads: u32,
}

macro_rules! kernels {
    ($($name:ident($argument:ident) by $threads:ident,)*) => {
        /// The names and launch parameters of all kernels.
        pub const KERNELS: &[KernelName] = &[$(KernelName {
            name: stringify!($name),
            argument: <args::$argument as Field>::C,
            threads: $threads,
        },)*];

        /// The kernels as types, each with its argument.
        #[allow(missing_debug_implementations, reason = "only used as type parameters")]
        pub(super) mod kernel {
            use super::args;

            $(
                #[allow(non_camel_case_types, reason = "its name in C")]
                pub(in crate::cuda) struct $name;

                impl super::Kernel for $name {
                    const NAME: &'static str = stringify!($name);
                    const THREADS: u32 = super::$threads;
                    type Argument = args::$argument;
                }
            )*
        }
    };
}

/// A kernel as a type, so that the compiler checks the argument of every launch.
pub(super) trait Kernel {
    const NAME: &'static str;
    /// Threads per block.
    const THREADS: u32;
    type Argument: Field;
}

kernels! {
    load(LoadArgs) by BLOCK,
    load_uploaded(LoadUploadedArgs) by BLOCK,
    dense_forward_16(ForwardArgs) by TILE_THREADS,
    dense_forward_32(ForwardArgs) by TILE_THREADS,
    dense_forward_64(ForwardArgs) by TILE_THREADS,
    dense_backward_16(BackwardArgs) by TILE_THREADS,
    dense_backward_32(BackwardArgs) by TILE_THREADS,
    dense_backward_64(BackwardArgs) by TILE_THREADS,
    dense_weights_16(WeightArgs) by TILE_THREADS,
    dense_weights_32(WeightArgs) by TILE_THREADS,
    dense_weights_64(WeightArgs) by TILE_THREADS,
    add_dense_weights(AddWeightsArgs) by BLOCK,
    strip_forward_1x1_16(StripForwardArgs) by TILE_THREADS,
    strip_forward_1x1_32(StripForwardArgs) by TILE_THREADS,
    strip_forward_3x3_16(StripForwardArgs) by TILE_THREADS,
    strip_forward_3x3_32(StripForwardArgs) by TILE_THREADS,
    strip_backward_1x1_16(StripBackwardArgs) by TILE_THREADS,
    strip_backward_1x1_32(StripBackwardArgs) by TILE_THREADS,
    strip_backward_3x3_16(StripBackwardArgs) by TILE_THREADS,
    strip_backward_3x3_32(StripBackwardArgs) by TILE_THREADS,
    strip_weights_1x1_16(StripWeightArgs) by TILE_THREADS,
    strip_weights_1x1_32(StripWeightArgs) by TILE_THREADS,
    strip_weights_3x3_16(StripWeightArgs) by TILE_THREADS,
    strip_weights_3x3_32(StripWeightArgs) by TILE_THREADS,
    depthwise_forward(ForwardArgs) by BLOCK,
    depthwise_backward(BackwardArgs) by BLOCK,
    depthwise_weights(WeightArgs) by BLOCK,
    add_depthwise_weights(AddWeightsArgs) by BLOCK,
    column_sums(ColumnArgs) by BLOCK,
    add_columns(AddColumnsArgs) by BLOCK,
    moments(MomentsArgs) by BLOCK,
    finalize_stats(FinalizeStatsArgs) by BLOCK,
    running(RunningArgs) by BLOCK,
    gradient_sums(SumsArgs) by BLOCK,
    finalize_norm_gradient(FinalizeNormGradientArgs) by BLOCK,
    combine(CombineArgs) by BLOCK,
    pass_through(PassThroughArgs) by BLOCK,
    total_gradient(TotalArgs) by BLOCK,
    average_pool(PoolArgs) by BLOCK,
    average_pool_gradient(PoolArgs) by BLOCK,
    max_pool(PoolArgs) by BLOCK,
    max_pool_gradient(PoolArgs) by BLOCK,
    copy_channels(CopyArgs) by BLOCK,
    global_pool(GlobalArgs) by BLOCK,
    global_pool_gradient(GlobalArgs) by BLOCK,
    gate(GateArgs) by BLOCK,
    gated_gradient(GateArgs) by BLOCK,
    gate_gradient(GateArgs) by BLOCK,
    linear(LinearArgs) by BLOCK,
    linear_gradient(LinearArgs) by BLOCK,
    linear_weights(LinearWeightArgs) by BLOCK,
    difference(DifferenceArgs) by BLOCK,
    add_up(AddUpArgs) by BLOCK,
    multiple(MultipleArgs) by BLOCK,
    scale_gradient(ScaleGradientArgs) by BLOCK,
    cross_entropy(CrossEntropyArgs) by BLOCK,
    read_logits(LogitsArgs) by BLOCK,
    count_correct(CountArgs) by BLOCK,
    feature_norms(NormsArgs) by BLOCK,
    update(UpdateArgs) by BLOCK,
    update_rms_prop(RmsPropArgs) by BLOCK,
    squares(SquaresArgs) by BLOCK,
    tensor_norms(TensorNormsArgs) by BLOCK,
}

/// Returns the CUDA source of all kernels. The type of numbers and the multiplication depend on [`macros`].
pub fn source() -> String {
    let parts = [
        include_str!("kernels/prelude.cu"),
        &args::declarations(),
        include_str!("kernels/read.cu"),
        include_str!("kernels/multiply.cu"),
        include_str!("kernels/product.cu"),
        include_str!("kernels/dense.cu"),
        include_str!("kernels/dense_weights.cu"),
        include_str!("kernels/strips.cu"),
        include_str!("kernels/depthwise.cu"),
        include_str!("kernels/norm.cu"),
        include_str!("kernels/load_uploaded.cu"),
        include_str!("kernels/combine.cu"),
        include_str!("kernels/pool.cu"),
        include_str!("kernels/global_pool.cu"),
        include_str!("kernels/gate.cu"),
        include_str!("kernels/linear.cu"),
        include_str!("kernels/loss.cu"),
        include_str!("kernels/update.cu"),
    ];
    parts.join("\n")
}

/// Returns the declarations in C of the structs that kernels receive. [`source`] contains them.
pub fn declarations() -> String {
    args::declarations()
}

/// Returns the compiler options that define the macros of [`source`] for a precision.
pub fn macros(precision: Precision) -> [&'static str; 2] {
    match precision {
        Precision::F32 => ["-DREAL=float", "-DMULTIPLY=MULTIPLY_TF32"],
        Precision::Bf16 => ["-DREAL=float", "-DMULTIPLY=MULTIPLY_BF16"],
        Precision::F64 => ["-DREAL=double", "-DMULTIPLY=MULTIPLY_PLAIN"],
    }
}

/// Returns the size of a number in the arena, in bytes.
pub(super) fn real_bytes(precision: Precision) -> usize {
    match precision {
        Precision::F32 | Precision::Bf16 => size_of::<f32>(),
        Precision::F64 => size_of::<f64>(),
    }
}
