//! The settings that tests of whole runs share; each says what differs.

use pada_data::{Augment, Flip};
use pada_exec::UnusedWeights;
use pada_trainer::{ImageScore, OnNan, Schedule, TrainConfig, TrainSettings};

/// SGD as the paper's, for so many epochs.
pub(crate) fn recipe(epochs: usize, batch: usize, crop_padding: usize, seed: u64) -> TrainSettings {
    let train = TrainConfig {
        epochs,
        batch,
        lr: 0.05,
        schedule: Schedule::Cosine,
        momentum: 0.9,
        weight_decay: 2.5e-4,
        clip_norm: 5.0,
        unused_weights: UnusedWeights::Decay,
        on_nan: OnNan::Stop,
        ..TrainConfig::default()
    };
    let augment = Augment { crop_padding, flip: Flip::Horizontal, ..Augment::NONE };
    TrainSettings::new(train).with_augment(augment).with_image_score(ImageScore::Logits).with_seed(seed)
}
