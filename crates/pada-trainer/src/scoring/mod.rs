//! Scores of architectures (accuracy with shared weights, recomputed running statistics) and of training images.

pub(crate) mod calibration;
pub(crate) mod fixed_images;
pub(crate) mod image_scores;
pub(crate) mod scorer;
