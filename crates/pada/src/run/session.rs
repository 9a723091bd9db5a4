use std::path::PathBuf;
use std::time::Duration;

use pada_dist::ProcessGroup;

use crate::run::device::Device;

/// What a run computes on and with: the data folder, the device, and the processes that share the work.
#[derive(Clone, Debug)]
pub struct Session {
    /// Folder of downloaded data sets and tables.
    pub data_dir: PathBuf,
    /// What computes.
    pub device: Device,
    /// Time between two checkpoints within an epoch; there is one after every epoch too.
    pub checkpoint_every: Duration,
    /// The processes that work on the same job.
    pub world: ProcessGroup,
}

impl Default for Session {
    /// One process on the CPU, data in `data/`, a checkpoint every minute.
    fn default() -> Self {
        Self {
            data_dir: "data".into(),
            device: Device::Cpu,
            checkpoint_every: Duration::from_secs(60),
            world: ProcessGroup::single(),
        }
    }
}
