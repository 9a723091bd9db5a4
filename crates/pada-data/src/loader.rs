use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, OnceLock};

use rand::Rng;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::{Augment, DataError, Draw, DrawnImages, ImageSource};

/// Makes batches; those of photographs one ahead, on threads of its own, so that training does not wait for files.
///
/// What comes out does not depend on what was asked for ahead: a batch that was not, or was drawn otherwise, is made when it is taken.
pub struct Loader {
    source: Arc<ImageSource>,
    sha256: OnceLock<String>,
    threads: Option<ThreadPool>,
    ahead: Option<(Draw, Receiver<Result<DrawnImages, DataError>>)>,
}

impl Loader {
    /// A loader of these images.
    pub fn new(source: impl Into<ImageSource>) -> Self {
        Self { source: Arc::new(source.into()), sha256: OnceLock::new(), threads: None, ahead: None }
    }

    /// Where the images come from.
    pub fn source(&self) -> &ImageSource {
        &self.source
    }

    /// [`ImageSource::sha256`], computed the first time.
    pub fn sha256(&self) -> &str {
        self.sha256.get_or_init(|| self.source.sha256())
    }

    /// A batch, changed at random; made now unless the same draw was asked for.
    ///
    /// # Errors
    /// [`DataError`] where a photograph cannot be read.
    pub fn take(
        &mut self,
        indices: &[u32],
        augment: &Augment,
        rng: &mut dyn Rng,
    ) -> Result<DrawnImages, DataError> {
        let draw = self.source.draw(indices, augment, rng);
        match self.ahead.take() {
            // A thread that ended without an answer has made nothing.
            Some((asked, made)) if asked == draw => made.recv().unwrap_or_else(|_| self.source.images(&draw)),
            _ => self.source.images(&draw),
        }
    }

    /// Starts to make the batch that will be taken next; `rng` is where the stream will be then. Images held as bytes take no time
    /// and are left for then.
    pub fn ask(&mut self, indices: &[u32], augment: &Augment, rng: &mut dyn Rng) {
        if matches!(*self.source, ImageSource::Held(_)) {
            return;
        }
        let draw = self.source.draw(indices, augment, rng);
        if self.threads.is_none() {
            let pool = ThreadPoolBuilder::new().num_threads(rayon::current_num_threads());
            self.threads = pool
                .thread_name(|i| format!("images {i}"))
                .build()
                .inspect_err(|error| tracing::warn!("photographs are not read ahead: {error}"))
                .ok();
        }
        let Some(threads) = &self.threads else { return };
        let (send, made) = sync_channel(1);
        let (source, wanted) = (self.source.clone(), draw.clone());
        // Whoever asked may have gone; then nobody waits for the batch.
        threads.spawn(move || drop(send.send(source.images(&wanted))));
        self.ahead = Some((draw, made));
    }
}
