//! Scoring: the accuracy of architectures with shared weights, running statistics, and the score of each training image.

pub(crate) mod calibration;
pub(crate) mod fixed_images;
pub(crate) mod image_scores;
pub(crate) mod scorer;
