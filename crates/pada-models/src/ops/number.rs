use candle_core::{CpuStorage, Layout, Result, WithDType, bail};

/// The two number types the custom ops compute in.
pub(super) trait Number: WithDType + Send + Sync + std::ops::AddAssign + std::ops::SubAssign {}

impl Number for f32 {}
impl Number for f64 {}

/// The numbers of a contiguous tensor.
pub(super) fn slice<'a, T: Number>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&T::cpu_storage_as_slice(storage)?[start..end]),
        None => bail!("custom ops take contiguous tensors"),
    }
}

/// A tensor's numbers as candle keeps them.
pub(super) fn storage<T: Number>(values: Vec<T>) -> CpuStorage {
    T::to_cpu_storage_owned(values)
}

/// Calls a generic function with the number type of a storage: `with_number!(storage, T => expression)`.
macro_rules! with_number {
    ($storage:expr, $t:ident => $body:expr) => {
        match $storage {
            candle_core::CpuStorage::F32(_) => {
                type $t = f32;
                $body
            }
            candle_core::CpuStorage::F64(_) => {
                type $t = f64;
                $body
            }
            _ => candle_core::bail!("custom ops take f32 and f64 tensors"),
        }
    };
}
pub(super) use with_number;
