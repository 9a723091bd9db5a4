use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::path_sampler::check_norms;
use crate::state::{bad_state, check_len};
use crate::uniform_data::shuffled;
use crate::weighted_draws::check_weights;
use crate::{
    AliasTable, DataSampler, ImportanceWeights, LinearSchedule, Progress, SamplerError, SavedState, Variant,
    draw_without_replacement,
};

/// Settings of [`DataImportance`]. The default is the released code of PA&DA.
///
/// ```
/// use pada_sampler::{DataImportanceConfig, Replacement};
///
/// let config = DataImportanceConfig::paper().with_replacement(Replacement::Without);
/// assert_eq!(config.smoothing.first, 0.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct DataImportanceConfig {
    /// Variant: the released code or the text of the paper.
    pub variant: Variant,
    /// τ, the share of the importance distribution in the distribution that images are drawn from.
    pub smoothing: LinearSchedule,
    /// Importance weights: the factor 1/(N·q) on the loss of an image, or none.
    pub importance_weights: ImportanceWeights,
    /// Sampling with or without replacement within an epoch.
    pub replacement: Replacement,
    /// Importance of an image that was not drawn in an epoch.
    pub unseen: Unseen,
}

impl DataImportanceConfig {
    /// The settings of the released code.
    pub fn released() -> Self {
        Self::default()
    }

    /// The settings of the paper's text.
    pub fn paper() -> Self {
        Self { variant: Variant::Paper, ..Self::default() }
    }

    /// Sets the variant.
    pub fn with_variant(self, variant: Variant) -> Self {
        Self { variant, ..self }
    }

    /// Sets τ, the share of the importance distribution.
    pub fn with_smoothing(self, smoothing: LinearSchedule) -> Self {
        Self { smoothing, ..self }
    }

    /// Sets whether losses are weighted.
    pub fn with_importance_weights(self, importance_weights: ImportanceWeights) -> Self {
        Self { importance_weights, ..self }
    }

    /// Sets whether an image can be drawn twice in an epoch.
    pub fn with_replacement(self, replacement: Replacement) -> Self {
        Self { replacement, ..self }
    }

    /// Sets the importance of an image that was not drawn in an epoch.
    pub fn with_unseen(self, unseen: Unseen) -> Self {
        Self { unseen, ..self }
    }
}

/// Importance of an image that was not drawn in an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unseen {
    /// The image has no importance of its own, as in the released code and in the paper. The uniform share of the distribution, 1 − τ, is
    /// what can draw it again.
    #[default]
    Zero,
    /// The image keeps its last importance. Not part of the paper.
    Keep,
}

/// Sampling with or without replacement within an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Replacement {
    /// Draws are independent, as in the released code.
    #[default]
    With,
    /// Every image is drawn once, important images early. Not part of the paper.
    Without,
}

/// Draws N images per epoch, each in proportion to its importance, its gradient norm, mixed with the uniform distribution:
/// `q = τ · s/Σs + (1 − τ)/N`, computed at the end of an epoch. The first epoch is a random order of all images.
///
/// The importance s of an image that was drawn in the epoch is its gradient norm; if it is drawn again, `s ← (s + new)/2`. An image
/// that was not drawn has the importance 0, or keeps its importance with [`Unseen::Keep`].
///
/// After epoch j of E, counted from 1, τ is at progress (j − 1)/E of its schedule with [`Variant::Released`] and at j/E with
/// [`Variant::Paper`], whose Algorithm 1 increases τ before the update.
///
/// # Source
/// PA&DA, Eq. 13 and Algorithm 1; released code `train_panda_201.py`.
#[derive(Clone, Debug)]
pub struct DataImportance {
    config: DataImportanceConfig,
    state: DataImportanceState,
}

/// State of [`DataImportance`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DataImportanceState {
    /// `[N]`, the importance s of each image. It is the one of an earlier epoch until the image is drawn in the current epoch.
    pub importance: Vec<f64>,
    /// `[N]`, whether each image was drawn in the current epoch.
    pub seen: Vec<bool>,
    /// `[N]`, the probability q of each image.
    pub probability: Vec<f64>,
    /// The number of finished epochs. The first epoch does not draw from q.
    pub epochs: usize,
}

impl DataImportanceState {
    /// The kind of [`SavedState`] that holds this state.
    pub const KIND: &str = "data-importance";
}

impl DataImportance {
    /// A sampler for `n` images.
    ///
    /// # Errors
    /// Returns [`SamplerError::BadConfig`] if a share is outside `0..=1`, and [`SamplerError::Empty`] if `n` is 0.
    pub fn new(n: u32, config: DataImportanceConfig) -> Result<Self, SamplerError> {
        config.smoothing.check(["smoothing.first", "smoothing.last"])?;
        if n == 0 {
            return Err(SamplerError::Empty);
        }
        let n = n as usize;
        let (importance, seen, probability) = (vec![0.0; n], vec![false; n], vec![1.0 / n as f64; n]);
        Ok(Self { config, state: DataImportanceState { importance, seen, probability, epochs: 0 } })
    }

    fn check_image(&self, image: u32) -> Result<(), SamplerError> {
        let images = self.state.probability.len();
        if (image as usize) < images { Ok(()) } else { Err(SamplerError::NoSuchImage { image, images }) }
    }
}

impl DataSampler for DataImportance {
    fn epoch_order(&mut self, rng: &mut dyn Rng) -> Vec<u32> {
        const WHY: &str = "end_epoch and restore leave q a distribution";
        let (q, n) = (&self.state.probability, self.state.probability.len());
        if self.state.epochs == 0 {
            return shuffled(n as u32, rng);
        }
        match self.config.replacement {
            Replacement::With => {
                let table = AliasTable::new(q).expect(WHY);
                (0..n).map(|_| table.draw(rng) as u32).collect()
            }
            Replacement::Without => {
                // Images with q = 0 cannot be drawn; they come last, in the order of the data set.
                let possible = q.iter().filter(|q| **q > 0.0).count();
                let mut order = draw_without_replacement(q, possible, rng).expect(WHY);
                order.extend((0..n as u32).filter(|&i| q[i as usize] == 0.0));
                order
            }
        }
    }

    fn loss_weight(&self, image: u32) -> Result<f32, SamplerError> {
        self.check_image(image)?;
        let q = &self.state.probability;
        let drawn = self.state.epochs > 0 && self.config.replacement == Replacement::With;
        Ok(match self.config.importance_weights {
            ImportanceWeights::Unbiased if drawn => (1.0 / (q.len() as f64 * q[image as usize])) as f32,
            _ => 1.0,
        })
    }

    fn observe(&mut self, images: &[u32], grad_norms: &[f32]) -> Result<(), SamplerError> {
        let (found, expected) = (grad_norms.len(), images.len());
        if found != expected {
            let (what, per) = ("gradient norms", "one for each image of the batch");
            return Err(SamplerError::LengthMismatch { what, found, expected, per });
        }
        images.iter().try_for_each(|&image| self.check_image(image))?;
        check_norms("gradient norm", grad_norms.iter().map(|&norm| f64::from(norm)))?;
        let DataImportanceState { importance, seen, .. } = &mut self.state;
        for (&image, &norm) in images.iter().zip(grad_norms) {
            let (i, norm) = (image as usize, f64::from(norm));
            // The released code recognises an image that was drawn before by an importance that is not zero.
            let again = seen[i] && importance[i] != 0.0;
            importance[i] = if again { (importance[i] + norm) / 2.0 } else { norm };
            seen[i] = true;
        }
        Ok(())
    }

    fn end_epoch(&mut self, progress: Progress) -> Result<(), SamplerError> {
        let DataImportanceState { importance, seen, probability, epochs } = &mut self.state;
        if self.config.unseen == Unseen::Zero {
            importance.iter_mut().zip(&*seen).filter(|(_, seen)| !**seen).for_each(|(s, _)| *s = 0.0);
        }
        let (sum, uniform) = (importance.iter().sum::<f64>(), 1.0 / importance.len() as f64);
        let share = self.config.smoothing.at(progress.of(self.config.variant));
        for (q, s) in probability.iter_mut().zip(&*importance) {
            // DIFFERS: if the importance of all images is zero, the released code divides by zero; here q is uniform.
            *q = if sum > 0.0 { share * (s / sum) + (1.0 - share) * uniform } else { uniform };
        }
        seen.fill(false);
        *epochs += 1;
        Ok(())
    }

    fn distribution(&self) -> Option<&[f64]> {
        (self.state.epochs > 0).then_some(self.state.probability.as_slice())
    }

    fn state(&self) -> SavedState {
        SavedState::new(DataImportanceState::KIND, &self.state)
    }

    fn restore(&mut self, state: &SavedState) -> Result<(), SamplerError> {
        const KIND: &str = DataImportanceState::KIND;
        let state: DataImportanceState = state.read(KIND)?;
        let n = self.state.probability.len();
        check_len(KIND, "importance", state.importance.len(), n)?;
        check_len(KIND, "seen", state.seen.len(), n)?;
        check_len(KIND, "probability", state.probability.len(), n)?;
        check_weights(&state.probability)
            .map_err(|error| bad_state(KIND, format!("`probability`: {error}")))?;
        if let Some(value) = state.importance.iter().find(|value| !(value.is_finite() && **value >= 0.0)) {
            return Err(bad_state(KIND, format!("`importance` contains {value}")));
        }
        self.state = state;
        Ok(())
    }
}
