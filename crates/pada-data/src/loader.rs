use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::{DataError, Draw, DrawnImages, ImageSource};

/// Makes batches, photographs one batch ahead on threads of its own, so that training does not wait for files.
///
/// What comes out does not depend on what was asked for ahead: a batch that was not, or was drawn otherwise, is made when it is taken.
pub struct Loader {
    source: Arc<ImageSource>,
    /// None for images held as bytes, which take no time.
    threads: Option<ThreadPool>,
    ahead: Option<(Draw, Receiver<Result<DrawnImages, DataError>>)>,
}

impl Loader {
    /// A loader with as many threads as the one that calls has in its pool.
    ///
    /// # Errors
    /// [`DataError::Threads`]
    pub fn new(source: ImageSource) -> Result<Self, DataError> {
        let threads = match source {
            ImageSource::Held(_) => None,
            ImageSource::Folder(_) => {
                let pool = ThreadPoolBuilder::new().num_threads(rayon::current_num_threads());
                Some(pool.thread_name(|i| format!("images {i}")).build().map_err(DataError::Threads)?)
            }
        };
        Ok(Self { source: Arc::new(source), threads, ahead: None })
    }

    /// Where the images come from.
    pub fn source(&self) -> &ImageSource {
        &self.source
    }

    /// Starts to make a batch that will be taken next.
    pub fn ask(&mut self, draw: Draw) {
        let Some(threads) = &self.threads else { return };
        let (send, receive) = sync_channel(1);
        let (source, wanted) = (self.source.clone(), draw.clone());
        // Whoever asked may have gone: then nobody waits for the batch.
        threads.spawn(move || drop(send.send(source.images(&wanted))));
        self.ahead = Some((draw, receive));
    }

    /// A batch: the one that was asked for, or made now.
    ///
    /// # Errors
    /// [`DataError`]
    pub fn take(&mut self, draw: &Draw) -> Result<DrawnImages, DataError> {
        match self.ahead.take() {
            Some((asked, receive)) if asked == *draw => match receive.recv() {
                Ok(images) => images,
                // Its thread ended without an answer.
                Err(_) => self.source.images(draw),
            },
            _ => self.source.images(draw),
        }
    }
}
