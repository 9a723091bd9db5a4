use sha2::{Digest, Sha256};

/// Images as bytes, with their classes.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageSet {
    /// What they are, for records and messages.
    pub name: String,
    /// C.
    pub channels: usize,
    /// H.
    pub height: usize,
    /// W.
    pub width: usize,
    /// K.
    pub classes: usize,
    /// `[N, C, H, W]`
    pub pixels: Vec<u8>,
    /// `[N]`, below K.
    pub labels: Vec<u16>,
    /// How bytes become numbers.
    pub normalize: Normalize,
}

/// `(byte / 255 − mean) / std` for each of three channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalize {
    /// Mean of a channel, in `[0, 1]`.
    pub mean: [f32; 3],
    /// Standard deviation of a channel.
    pub std: [f32; 3],
}

/// How many values a byte has.
pub(crate) const BYTES: usize = 256;

impl Normalize {
    /// The normalised value of every byte, `[C, 256]`.
    ///
    /// # Panics
    /// If there are more than three channels.
    pub fn values(&self, channels: usize) -> Vec<f32> {
        let channels = self.mean[..channels].iter().zip(&self.std);
        channels
            .flat_map(|(mean, std)| (0..BYTES).map(move |byte| (byte as f32 / 255.0 - mean) / std))
            .collect()
    }
}

impl ImageSet {
    /// N.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Bytes of one image.
    pub fn image_len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// One image, `[C, H, W]`.
    pub fn image(&self, index: usize) -> &[u8] {
        &self.pixels[index * self.image_len()..(index + 1) * self.image_len()]
    }

    /// The images at these places, in this order.
    pub fn subset(&self, indices: &[u32]) -> Self {
        let pixels = indices.iter().flat_map(|&i| self.image(i as usize)).copied().collect();
        let labels = indices.iter().map(|&i| self.labels[i as usize]).collect();
        Self { pixels, labels, name: self.name.clone(), ..*self }
    }

    /// The first `n` images, or all if there are fewer.
    pub fn first(&self, n: usize) -> Self {
        let n = n.min(self.len());
        let (pixels, labels) = (self.pixels[..n * self.image_len()].to_vec(), self.labels[..n].to_vec());
        Self { pixels, labels, name: self.name.clone(), ..*self }
    }

    /// SHA-256 of pixels and labels (two bytes each, little endian), in hex: says in a record which images were used.
    pub fn sha256(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(&self.pixels);
        self.labels.iter().for_each(|label| hasher.update(label.to_le_bytes()));
        hex::encode(hasher.finalize())
    }
}
