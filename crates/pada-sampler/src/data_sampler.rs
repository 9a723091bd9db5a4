use rand::Rng;

use crate::{Progress, SamplerError, SavedState};

/// Draws the images that a supernet is trained on. N is the number of images.
///
/// A training loop calls [`epoch_order`](Self::epoch_order) at the start of an epoch, [`observe`](Self::observe) for every
/// batch, and [`end_epoch`](Self::end_epoch) after the epoch.
///
/// Only [`epoch_order`](Self::epoch_order) is required. A sampler that remembers anything between two calls must also implement
/// [`state`](Self::state) and [`restore`](Self::restore), otherwise a resumed run differs from one that was never interrupted.
pub trait DataSampler: Send {
    /// Draws the images of one epoch, in training order: N indices, each below N.
    fn epoch_order(&mut self, rng: &mut dyn Rng) -> Vec<u32>;

    /// The factor by which the loss of an image of the current epoch is multiplied. It is 1 unless the sampler corrects its bias.
    ///
    /// # Errors
    /// Returns [`SamplerError::NoSuchImage`] if there is no image with this index.
    fn loss_weight(&self, image: u32) -> Result<f32, SamplerError> {
        let _ = image;
        Ok(1.0)
    }

    /// Learns from one batch.
    ///
    /// # Shapes
    /// - `images`: `[B]`, the indices of the images of the batch
    /// - `grad_norms`: `[B]`, the gradient norm of each of them
    ///
    /// # Errors
    /// Returns [`SamplerError`] if the two lists have different lengths, if an image does not exist, or if a norm is not finite.
    /// The sampler is unchanged then.
    fn observe(&mut self, images: &[u32], grad_norms: &[f32]) -> Result<(), SamplerError> {
        let _ = (images, grad_norms);
        Ok(())
    }

    /// Ends an epoch and updates the distribution.
    ///
    /// # Errors
    /// Returns [`SamplerError`] if the sampler cannot compute its next distribution. The samplers of this crate never do.
    fn end_epoch(&mut self, progress: Progress) -> Result<(), SamplerError> {
        let _ = progress;
        Ok(())
    }

    /// The probability of each image, `[N]`, or `None` if each image is drawn exactly once per epoch.
    fn distribution(&self) -> Option<&[f64]> {
        None
    }

    /// The state that a checkpoint stores.
    fn state(&self) -> SavedState {
        SavedState::stateless()
    }

    /// Restores a state that [`state`](Self::state) returned.
    ///
    /// # Errors
    /// Returns [`SamplerError::OtherKind`] or [`SamplerError::State`] if the state belongs to another sampler or another
    /// number of images. The sampler is unchanged then.
    fn restore(&mut self, state: &SavedState) -> Result<(), SamplerError> {
        state.read_stateless()
    }
}
