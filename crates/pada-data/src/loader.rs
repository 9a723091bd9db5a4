use std::fmt;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, OnceLock};

use rand::Rng;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::{Augment, BatchPlan, DataError, Dataset, ImageBatch};

/// Loads augmented batches. Photographs can be loaded one batch ahead on threads of its own, so that training does not wait for files.
///
/// The result does not depend on prefetching: a batch that was not prefetched, or was prefetched with other random numbers, is made when
/// it is loaded.
pub struct DataLoader {
    dataset: Arc<Dataset>,
    sha256: OnceLock<String>,
    threads: Option<ThreadPool>,
    prefetched: Option<(BatchPlan, Receiver<Result<ImageBatch, DataError>>)>,
}

impl fmt::Debug for DataLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataLoader").field("dataset", &self.dataset.name()).finish_non_exhaustive()
    }
}

impl DataLoader {
    /// Creates a loader of a data set.
    pub fn new(dataset: impl Into<Dataset>) -> Self {
        Self { dataset: Arc::new(dataset.into()), sha256: OnceLock::new(), threads: None, prefetched: None }
    }

    /// Returns the data set.
    pub fn source(&self) -> &Dataset {
        &self.dataset
    }

    /// Returns [`Dataset::sha256`], which is computed on the first call.
    pub fn sha256(&self) -> &str {
        self.sha256.get_or_init(|| self.dataset.sha256())
    }

    /// Loads and augments a batch. Takes the prefetched batch if it has the same indices and random numbers.
    ///
    /// # Errors
    /// Returns [`DataError::IndexOutOfRange`], or another [`DataError`] if a photograph cannot be read.
    pub fn load(
        &mut self,
        indices: &[u32],
        augment: &Augment,
        rng: &mut dyn Rng,
    ) -> Result<ImageBatch, DataError> {
        let plan = self.dataset.plan(indices, augment, rng)?;
        match self.prefetched.take() {
            // A worker thread that ended without sending has made nothing.
            Some((asked, made)) if asked == plan => made.recv().unwrap_or_else(|_| self.dataset.load(&plan)),
            _ => self.dataset.load(&plan),
        }
    }

    /// Starts to load the next batch in the background. `rng` must be in the state that it will have when the batch is loaded.
    ///
    /// Data sets in memory are not prefetched, because their batches take no time. Errors are reported by [`DataLoader::load`].
    pub fn prefetch(&mut self, indices: &[u32], augment: &Augment, rng: &mut dyn Rng) {
        if matches!(*self.dataset, Dataset::InMemory(_)) {
            return;
        }
        let Ok(plan) = self.dataset.plan(indices, augment, rng) else { return };
        if self.threads.is_none() {
            let pool = ThreadPoolBuilder::new().num_threads(rayon::current_num_threads());
            self.threads = pool
                .thread_name(|i| format!("images {i}"))
                .build()
                .inspect_err(|error| tracing::warn!("photographs are not prefetched: {error}"))
                .ok();
        }
        let Some(threads) = &self.threads else { return };
        let (send, made) = sync_channel(1);
        let (dataset, wanted) = (self.dataset.clone(), plan.clone());
        // The loader may be gone by now, and then nobody waits for the batch.
        threads.spawn(move || drop(send.send(dataset.load(&wanted))));
        self.prefetched = Some((plan, made));
    }
}
