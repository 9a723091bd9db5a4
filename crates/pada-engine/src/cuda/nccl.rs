//! Sums of lists over the GPUs of several processes.
#![allow(unsafe_code, reason = "calls of NCCL")]

use std::ffi::{CStr, c_char};
use std::fmt;
use std::ptr;
use std::rc::Rc;

use cudarc::nccl::sys;
use pada_dist::ProcessGroup;

use super::{Address, CudaError, Driver, Version};

/// An all-reduce sum over the devices of several processes.
pub trait DeviceSum {
    /// Sums a list over all processes, in place, after all kernels that were started before.
    ///
    /// # Shapes
    /// `list` is the address of `len` `f32` numbers. The length is the same in all processes.
    ///
    /// # Errors
    /// Returns a [`CudaError`] if the device or the communication fails.
    fn sum(&self, list: Address, len: usize) -> Result<(), CudaError>;
}

/// A [`DeviceSum`] by NCCL, with one GPU per process.
///
/// NCCL determines the order of a sum. All processes receive the same bits, which depend on the number of processes and on the links
/// between their GPUs.
///
/// This type has never run on a GPU. It is tested with emulated GPUs and a stand-in for NCCL.
pub struct Nccl {
    communicator: sys::ncclComm_t,
    ranks: usize,
    driver: Rc<Driver>,
}

impl Nccl {
    /// Creates an NCCL communicator for the GPUs of a process group. All processes call it, and it returns when all of them have called it.
    ///
    /// # Errors
    /// Returns [`CudaError::NoNccl`] if NCCL is not found, [`CudaError::Call`] with the error of NCCL, or [`CudaError::ProcessGroup`] if the
    /// processes fail to communicate.
    pub fn join(driver: Rc<Driver>, group: &ProcessGroup) -> Result<Self, CudaError> {
        nccl()?;
        let made = match group.index() {
            0 => unique_id(),
            _ => Ok(vec![]),
        };
        // If process 0 has no identifier, it sends an empty message, so that the others do not wait for it.
        let received = group.broadcast(made.clone().unwrap_or_default())?;
        let (rank, ranks) = (group.index(), group.size());
        let bytes: [u8; UNIQUE_ID_LEN] = match (made, received.try_into()) {
            (Err(error), _) => return Err(error),
            (Ok(_), Ok(bytes)) => bytes,
            (Ok(_), Err(_)) => {
                let message = "it failed in process 0, see the error there".to_owned();
                return Err(CudaError::Call { call: "ncclGetUniqueId", message });
            }
        };
        let id = sys::ncclUniqueId { internal: bytes.map(|byte| byte as c_char) };
        driver.enter()?;
        let mut communicator = ptr::null_mut();
        // SAFETY: the library is loaded, the variable lives until the call returns, and the GPU of this process is current.
        let code = unsafe { sys::ncclCommInitRank(&mut communicator, ranks as i32, id, rank as i32) };
        check("ncclCommInitRank", code)?;
        Ok(Self { communicator, ranks, driver })
    }
}

impl DeviceSum for Nccl {
    fn sum(&self, list: Address, len: usize) -> Result<(), CudaError> {
        self.driver.enter()?;
        let (type_, sum) = (sys::ncclDataType_t::ncclFloat32, sys::ncclRedOp_t::ncclSum);
        // SAFETY: the caller promises that the list exists. The null stream is the default stream, on which all other work runs.
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
        // SAFETY: nothing uses the communicator any more. Errors of this call do not matter.
        let _ = self.driver.enter().map(|()| unsafe { sys::ncclCommDestroy(self.communicator) });
    }
}

/// Finds NCCL and returns its version.
///
/// # Errors
/// Returns [`CudaError::NoNccl`] if NCCL is not found.
pub fn nccl() -> Result<Version, CudaError> {
    // SAFETY: this opens a library without initialisers.
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

/// Length of the identifier of a communicator, which process 0 creates and sends to the others.
const UNIQUE_ID_LEN: usize = 128;

fn unique_id() -> Result<Vec<u8>, CudaError> {
    let mut id = sys::ncclUniqueId { internal: [0; UNIQUE_ID_LEN] };
    // SAFETY: the library is there, and the place lives until the call returns.
    check("ncclGetUniqueId", unsafe { sys::ncclGetUniqueId(&mut id) })?;
    Ok(id.internal.map(|byte| byte as u8).to_vec())
}

/// Converts an error code of NCCL to [`CudaError::Call`].
fn check(call: &'static str, code: sys::ncclResult_t) -> Result<(), CudaError> {
    if code == sys::ncclResult_t::ncclSuccess {
        return Ok(());
    }
    // SAFETY: NCCL has a static text for every code.
    let text = unsafe { CStr::from_ptr(sys::ncclGetErrorString(code)) };
    Err(CudaError::Call { call, message: text.to_string_lossy().into_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On every machine, NCCL is either found or the error says what to install.
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
