//! Times of kernels, measured with a pair of CUDA events around every launch.
#![allow(unsafe_code, reason = "calls of the CUDA driver")]

use std::collections::BTreeMap;

use cudarc::driver::{DriverError, result as driver, sys};

use super::Launch;

/// The time of all launches of one kernel with the same number of blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct KernelTime {
    /// Name of the kernel, one of [`super::KERNELS`].
    pub kernel: &'static str,
    /// Blocks in x, y and z.
    pub blocks: [u32; 3],
    /// Number of launches.
    pub launches: u64,
    /// Total time of these launches on the GPU, in microseconds.
    pub microseconds: f64,
}

/// Records pairs of events around launches on the default stream.
#[derive(Debug, Default)]
pub(super) struct Timer {
    launches: Vec<Timed>,
    /// Events that can be reused.
    free: Vec<sys::CUevent>,
}

#[derive(Debug)]
struct Timed {
    kernel: &'static str,
    blocks: [u32; 3],
    events: [sys::CUevent; 2],
}

/// The event before a launch.
pub(super) struct Begun(sys::CUevent);

impl Timer {
    pub(super) fn begin(&mut self) -> Result<Begun, DriverError> {
        self.record().map(Begun)
    }

    pub(super) fn end(&mut self, Begun(first): Begun, launch: &Launch<'_>) -> Result<(), DriverError> {
        let last = self.record()?;
        self.launches.push(Timed { kernel: launch.kernel, blocks: launch.blocks, events: [first, last] });
        Ok(())
    }

    fn record(&mut self) -> Result<sys::CUevent, DriverError> {
        let event = match self.free.pop() {
            Some(event) => event,
            None => driver::event::create(sys::CUevent_flags::CU_EVENT_DEFAULT)?,
        };
        // SAFETY: the event is not destroyed before `self` is.
        unsafe { driver::event::record(event, std::ptr::null_mut()) }?;
        Ok(event)
    }

    /// Waits for the last launch and returns the times since the last call, sorted by kernel and blocks.
    pub(super) fn take(&mut self) -> Result<Vec<KernelTime>, DriverError> {
        driver::ctx::synchronize()?;
        let mut sums: BTreeMap<(&'static str, [u32; 3]), (u64, f64)> = BTreeMap::new();
        for Timed { kernel, blocks, events: [first, last] } in self.launches.drain(..) {
            // SAFETY: both events were recorded on the same stream, have completed, and are not destroyed before `self` is.
            let milliseconds = unsafe { driver::event::elapsed(first, last) }?;
            let sum = sums.entry((kernel, blocks)).or_default();
            sum.0 += 1;
            sum.1 += f64::from(milliseconds) * 1e3;
            self.free.extend([first, last]);
        }
        let time = |((kernel, blocks), (launches, microseconds))| KernelTime {
            kernel,
            blocks,
            launches,
            microseconds,
        };
        Ok(sums.into_iter().map(time).collect())
    }

    /// Destroys all events. Their context must be current.
    pub(super) fn destroy(&mut self) {
        let open = self.launches.drain(..).flat_map(|launch| launch.events);
        for event in open.chain(self.free.drain(..)) {
            // SAFETY: `record` created the event, and nothing uses it after this. Errors of a failed GPU do not matter here.
            let _ = unsafe { driver::event::destroy(event) };
        }
    }
}
