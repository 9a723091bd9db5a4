use sha2::{Digest, Sha256};

use crate::DataError;
use crate::batch::check_indices;

/// A labelled data set whose images are bytes in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct InMemoryDataset {
    /// Name for records and messages.
    pub name: String,
    /// C.
    pub channels: usize,
    /// H.
    pub height: usize,
    /// W.
    pub width: usize,
    /// K, number of classes.
    pub classes: usize,
    /// `[N, C, H, W]`
    pub pixels: Vec<u8>,
    /// `[N]`, below K.
    pub labels: Vec<u16>,
    /// Normalisation from bytes to numbers.
    pub normalize: Normalize,
}

/// Normalisation per channel: `(byte / 255 − mean) / std`, as torchvision's `ToTensor` and `Normalize`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalize {
    /// Mean of each channel, in `[0, 1]`.
    pub mean: [f32; 3],
    /// Standard deviation of each channel.
    pub std: [f32; 3],
}

/// Number of values of a byte.
pub(crate) const BYTES: usize = 256;

impl Normalize {
    /// Returns the normalised value of every byte, `[C, 256]`.
    ///
    /// # Panics
    /// Panics if there are more than three channels.
    pub fn values(&self, channels: usize) -> Vec<f32> {
        let channels = self.mean[..channels].iter().zip(&self.std);
        channels
            .flat_map(|(mean, std)| (0..BYTES).map(move |byte| (byte as f32 / 255.0 - mean) / std))
            .collect()
    }
}

impl InMemoryDataset {
    /// Returns N, the number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Returns whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Returns the number of bytes of one image, C · H · W.
    pub fn image_len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Returns the bytes of one image, `[C, H, W]`.
    ///
    /// # Errors
    /// Returns [`DataError::IndexOutOfRange`] if `index` is not below the number of images.
    pub fn image(&self, index: usize) -> Result<&[u8], DataError> {
        if index >= self.len() {
            let dataset = self.name.clone();
            return Err(DataError::IndexOutOfRange { dataset, index, images: self.len() });
        }
        Ok(self.bytes_of(index))
    }

    /// The bytes of an image whose index was checked.
    pub(crate) fn bytes_of(&self, index: usize) -> &[u8] {
        &self.pixels[index * self.image_len()..(index + 1) * self.image_len()]
    }

    /// Returns the images with these indices, in this order, as torch's `Subset`.
    ///
    /// # Errors
    /// Returns [`DataError::IndexOutOfRange`] if an index is not below the number of images.
    pub fn subset(&self, indices: &[u32]) -> Result<Self, DataError> {
        check_indices(&self.name, indices, self.len())?;
        let pixels = indices.iter().flat_map(|&i| self.bytes_of(i as usize)).copied().collect();
        let labels = indices.iter().map(|&i| self.labels[i as usize]).collect();
        Ok(Self { pixels, labels, name: self.name.clone(), ..*self })
    }

    /// Returns the first `n` images, or all images if there are fewer.
    pub fn first(&self, n: usize) -> Self {
        let n = n.min(self.len());
        let (pixels, labels) = (self.pixels[..n * self.image_len()].to_vec(), self.labels[..n].to_vec());
        Self { pixels, labels, name: self.name.clone(), ..*self }
    }

    /// Returns the SHA-256 of pixels and labels (two bytes each, little endian) in hexadecimal. Records use it to identify the images.
    pub fn sha256(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(&self.pixels);
        self.labels.iter().for_each(|label| hasher.update(label.to_le_bytes()));
        hex::encode(hasher.finalize())
    }
}
