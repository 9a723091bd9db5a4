use std::path::PathBuf;
use std::time::Duration;

use pada_dist::ProcessGroup;

use crate::run::device::Device;

/// The environment of a run: the data folder, the device, and the processes that share the work.
#[derive(Clone, Debug)]
pub struct Session {
    /// Folder of downloaded data sets and benchmark tables.
    pub data_dir: PathBuf,
    /// The device that computes.
    pub device: Device,
    /// Time between two checkpoints within an epoch. In addition, every epoch ends with a checkpoint.
    pub checkpoint_every: Duration,
    /// The processes that work on the same run.
    pub world: ProcessGroup,
}

impl Default for Session {
    /// Returns a session with one process on the CPU, the data folder `data`, and a checkpoint every minute.
    fn default() -> Self {
        Self {
            data_dir: "data".into(),
            device: Device::Cpu,
            checkpoint_every: Duration::from_secs(60),
            world: ProcessGroup::single(),
        }
    }
}
