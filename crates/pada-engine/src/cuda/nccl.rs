//! GPUs of several ranks that add up lists in their memory.
#![allow(unsafe_code, reason = "calls of NCCL")]

use std::ffi::{CStr, c_char};
use std::fmt;
use std::ptr;
use std::rc::Rc;

use cudarc::nccl::sys;
use pada_dist::ProcessGroup;

use super::{Address, CudaError, Driver, Version};

/// What adds up lists in the memory of several devices.
pub trait DeviceSum {
    /// Adds up the lists of all ranks, in place, behind all kernels that were started before.
    ///
    /// # Shapes
    /// `len` numbers in f32 from `list` on, as many on every rank.
    ///
    /// # Errors
    /// [`CudaError`]
    fn sum(&self, list: Address, len: usize) -> Result<(), CudaError>;
}

/// The GPUs of all ranks, one each, joined by NCCL, which is looked for when this is called. The order of a sum is NCCL's: all ranks have
/// the same bits, which depend on how many there are and how their GPUs are linked.
///
/// It has never run on a GPU.
pub struct Nccl {
    communicator: sys::ncclComm_t,
    ranks: usize,
    driver: Rc<Driver>,
}

impl Nccl {
    /// Joins the GPUs of `world`; all ranks call it together, and it returns when all have.
    ///
    /// # Errors
    /// [`CudaError::NoNccl`], [`CudaError::Call`] with what NCCL said, or [`CudaError::ProcessGroup`].
    pub fn join(driver: Rc<Driver>, world: &ProcessGroup) -> Result<Self, CudaError> {
        nccl()?;
        let made = match world.index() {
            0 => invitation(),
            _ => Ok(vec![]),
        };
        // Rank 0 says in its message if it has none: others must not wait for it.
        let said = world.broadcast(made.clone().unwrap_or_default())?;
        let (rank, ranks) = (world.index(), world.size());
        let bytes: [u8; INVITATION] = match (made, said.try_into()) {
            (Err(error), _) => return Err(error),
            (Ok(_), Ok(bytes)) => bytes,
            (Ok(_), Err(_)) => {
                let message = "rank 0 could not begin".to_owned();
                return Err(CudaError::Call { call: "ncclGetUniqueId", message });
            }
        };
        let id = sys::ncclUniqueId { internal: bytes.map(|byte| byte as c_char) };
        driver.enter()?;
        let mut communicator = ptr::null_mut();
        // SAFETY: the library is there, the place lives until the call returns, and the GPU of this rank is the current one.
        let code = unsafe { sys::ncclCommInitRank(&mut communicator, ranks as i32, id, rank as i32) };
        check("ncclCommInitRank", code)?;
        Ok(Self { communicator, ranks, driver })
    }
}

impl DeviceSum for Nccl {
    fn sum(&self, list: Address, len: usize) -> Result<(), CudaError> {
        self.driver.enter()?;
        let (type_, sum) = (sys::ncclDataType_t::ncclFloat32, sys::ncclRedOp_t::ncclSum);
        // SAFETY: the caller says that the list is there. Without a stream it is the default one, on which everything else runs.
        let code = unsafe {
            sys::ncclAllReduce(
                list as *const _,
                list as *mut _,
                len,
                type_,
                sum,
                self.communicator,
                ptr::null_mut(),
            )
        };
        check("ncclAllReduce", code)
    }
}

impl fmt::Debug for Nccl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nccl")
            .field("ranks", &self.ranks)
            .field("driver", &self.driver)
            .finish_non_exhaustive()
    }
}

impl Drop for Nccl {
    fn drop(&mut self) {
        // SAFETY: nothing uses it any more; what NCCL says about that is of no use.
        let _ = self.driver.enter().map(|()| unsafe { sys::ncclCommDestroy(self.communicator) });
    }
}

/// The version of NCCL.
///
/// # Errors
/// [`CudaError::NoNccl`] where it is missing.
pub fn nccl() -> Result<Version, CudaError> {
    // SAFETY: it opens a library without initialisers of its own.
    #[cfg(not(feature = "linked-cuda"))]
    if !unsafe { sys::is_culib_present() } {
        return Err(CudaError::NoNccl);
    }
    let mut number = 0;
    // SAFETY: the library is there, and the place lives until the call returns.
    check("ncclGetVersion", unsafe { sys::ncclGetVersion(&mut number) })?;
    // 22703 is 2.27.3.
    Ok(Version { major: number as u32 / 10_000, minor: number as u32 % 10_000 / 100 })
}

/// Bytes that tell ranks where rank 0 waits for them.
const INVITATION: usize = 128;

fn invitation() -> Result<Vec<u8>, CudaError> {
    let mut id = sys::ncclUniqueId { internal: [0; INVITATION] };
    // SAFETY: the library is there, and the place lives until the call returns.
    check("ncclGetUniqueId", unsafe { sys::ncclGetUniqueId(&mut id) })?;
    Ok(id.internal.map(|byte| byte as u8).to_vec())
}

/// Says which call failed, in NCCL's words.
fn check(call: &'static str, code: sys::ncclResult_t) -> Result<(), CudaError> {
    if code == sys::ncclResult_t::ncclSuccess {
        return Ok(());
    }
    // SAFETY: NCCL has a text that stays for every code.
    let text = unsafe { CStr::from_ptr(sys::ncclGetErrorString(code)) };
    Err(CudaError::Call { call, message: text.to_string_lossy().into_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever this machine has, looking for NCCL ends, and what is missing is said with what to do.
    #[test]
    fn nccl_is_there_or_said_to_be_missing() {
        match nccl() {
            Ok(version) => assert!(version.major >= 2, "{version}"),
            Err(error) => {
                assert_eq!(error, CudaError::NoNccl);
                let said = error.to_string();
                assert!(said.contains("libnccl.so") && said.contains("LD_LIBRARY_PATH"), "{said}");
            }
        }
    }
}
