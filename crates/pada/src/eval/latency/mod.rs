//! Latencies of operations, and of architectures as the sum of their operations.

mod measure;
mod table;

use std::path::{Path, PathBuf};
use std::time::Instant;

use pada_graph::Shape;
use pada_space::{Arch, SubSpace};
use pada_trainer::Observer;

use crate::config::{ComputeConfig, ConfigError, RankArchs, SpaceName, SupernetConfig};
use crate::error::PadaError;
use crate::eval::arch_files::write_table;
use crate::eval::archs::ranked_archs;
pub use crate::eval::latency::measure::{CheckedArch, LatencyCheck};
use crate::eval::latency::measure::{ExecutorTimer, Whole};
pub use crate::eval::latency::table::{LatencyTable, OpLatency};
use crate::eval::tables::Tables;
use crate::run::network::Network;
use crate::run::session::Session;

/// The network whose operations have latencies: the stand-alone networks of a space.
#[derive(Clone, Debug)]
pub struct LatencyNet {
    /// The search space and the size of the network. The number of cells does not change the operations.
    pub supernet: SupernetConfig,
    /// Height and width of an image. With `None` it is 224 in `proxyless` and 32 otherwise.
    pub image_size: Option<usize>,
    /// K, the number of classes. With `None` it is 1,000 in `proxyless` and 10 otherwise.
    pub classes: Option<usize>,
}

impl LatencyNet {
    fn network(&self) -> Result<Network, ConfigError> {
        let (size, classes) = match self.supernet.space {
            SpaceName::Proxyless => (224, 1000),
            SpaceName::Nb201 | SpaceName::Darts | SpaceName::Macro => (32, 10),
        };
        let (size, classes) = (self.image_size.unwrap_or(size), self.classes.unwrap_or(classes));
        Network::of_images(&self.supernet, Shape::new(3, size, size), classes)
    }
}

/// A measurement of all operations of a space.
#[derive(Clone, Debug)]
pub struct LatencyJob {
    /// The network.
    pub net: LatencyNet,
    /// Executor, precision and convolution algorithm.
    pub compute: ComputeConfig,
    /// B, images per pass.
    pub batch: usize,
    /// Number of timings of each operation. The latency is their median.
    pub repeats: usize,
    /// Number of random architectures that are measured whole, and to which the latencies are fitted with a factor and a constant.
    pub fit: usize,
    /// Number of other random architectures that are measured whole and compared with the sum of their operations.
    pub check: usize,
    /// Seed of these architectures.
    pub seed: u64,
}

/// The result of a [`LatencyJob`].
#[derive(Clone, Debug)]
pub struct MeasuredLatencies {
    /// The latency of every operation.
    pub table: LatencyTable,
    /// The comparison with whole networks. `None` if no architecture was measured whole.
    pub check: Option<LatencyCheck>,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// Measures every operation of a space at its shapes on the device of the session, in evaluation mode.
///
/// # Errors
/// Returns an error if the network does not have the given size, if the images are too small for it, if the device or the executor cannot be
/// used, or if the observer requests to stop.
pub fn measure_latencies(
    job: &LatencyJob,
    session: &Session,
    observer: &mut dyn Observer,
) -> Result<MeasuredLatencies, PadaError> {
    let started = Instant::now();
    for (key, value) in [("--batch", job.batch), ("--repeats", job.repeats)] {
        if value == 0 {
            return Err(ConfigError::Range { key, value: value.to_string(), range: "at least 1" }.into());
        }
    }
    let network = job.net.network()?;
    let space = network.space.as_ref();
    let archs = ranked_archs(
        &RankArchs::Random(job.fit + job.check),
        network.name(),
        space,
        &SubSpace::full(space),
        &Tables::none(),
        job.seed,
    )?;
    let (fitted, checked) = archs.split_at(job.fit);
    let mut timer = ExecutorTimer::new(job.compute, session.device, job.batch)?;
    let whole = Whole { fitted, checked };
    let (table, check) = measure::measure(&network, &whole, &mut timer, job.repeats, observer)?;
    Ok(MeasuredLatencies { table, check, seconds: started.elapsed().as_secs_f64() })
}

/// Predicts the latencies of architectures as the sum of their operations, and writes a CSV file with the columns `arch` and `latency`, in the
/// unit of the table. Returns the latencies in the order of `archs`.
///
/// # Errors
/// Returns the errors of [`LatencyTable::read`], [`PadaError::NoOperation`] if the table belongs to a network of another size, an error if the
/// architectures cannot be listed, and [`PadaError::Write`] if the file cannot be written.
pub fn predict_latencies(
    table: &Path,
    net: &LatencyNet,
    archs: &RankArchs,
    seed: u64,
    out: &Path,
) -> Result<Vec<(Arch, f64)>, PadaError> {
    let (path, table) = (PathBuf::from(table), LatencyTable::read(table)?);
    let network = net.network()?;
    let space = network.space.as_ref();
    let archs = ranked_archs(archs, network.name(), space, &SubSpace::full(space), &Tables::none(), seed)?;
    let mut latencies = Vec::with_capacity(archs.len());
    for arch in archs {
        let latency = table.latency(&network, &arch)?.map_err(|piece| table::no_operation(&path, &piece))?;
        latencies.push((arch, latency));
    }
    let rows = latencies.iter().map(|(arch, latency)| vec![arch.to_string(), latency.to_string()]);
    write_table(out, ["arch", "latency"], rows)?;
    Ok(latencies)
}
