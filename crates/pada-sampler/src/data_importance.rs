use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::uniform_data::shuffled;
use crate::{
    AliasTable, DataSampler, ImportanceWeights, LinearSchedule, SamplerError, SamplerState, Variant,
    draw_without_replacement,
};

/// Settings of [`DataImportance`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataImportanceConfig {
    /// Whose rule.
    pub variant: Variant,
    /// τ, the share of the importance distribution.
    pub smoothing: LinearSchedule,
    /// Whether an image's loss is multiplied by 1/(N·q).
    pub importance_weights: ImportanceWeights,
    /// Whether an image can come twice in an epoch.
    pub replacement: Replacement,
}

/// Whether an image can come twice in an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Replacement {
    /// Independent draws, as in the released code.
    #[default]
    With,
    /// Every image once, those with a large score early. Beyond the paper.
    Without,
}

/// An epoch of N draws; an image is drawn in proportion to its gradient norm, mixed with the uniform distribution:
/// `q = τ·s/Σs + (1 − τ)/N` at the end of an epoch. The first epoch is a random order of all images.
///
/// The score s of an image seen in the epoch is its norm; seen again, `s ← (s + new)/2`. An image that was not seen has
/// - `released`: the score 0,
/// - `paper`: the score it had.
///
/// # Source
/// PA&DA, Eq. 13 and Alg. 1; released code `train_panda_201.py`.
#[derive(Clone, Debug)]
pub struct DataImportance {
    config: DataImportanceConfig,
    /// Scores: those of earlier epochs until the image is seen in this one.
    s: Vec<f64>,
    /// 1 where the image was seen in this epoch.
    seen: Vec<f64>,
    q: Vec<f64>,
    /// 0 until q has been drawn from for the first time.
    epochs: f64,
}

impl DataImportance {
    /// For `n` images.
    ///
    /// # Errors
    /// [`SamplerError::BadConfig`] or [`SamplerError::Empty`]
    pub fn new(n: u32, config: DataImportanceConfig) -> Result<Self, SamplerError> {
        config.smoothing.check(["smoothing.first", "smoothing.last"])?;
        if n == 0 {
            return Err(SamplerError::Empty);
        }
        let n = n as usize;
        Ok(Self { config, s: vec![0.0; n], seen: vec![0.0; n], q: vec![1.0 / n as f64; n], epochs: 0.0 })
    }
}

impl DataSampler for DataImportance {
    fn epoch_order(&mut self, rng: &mut dyn Rng) -> Vec<u32> {
        let n = self.q.len();
        if self.epochs == 0.0 {
            return shuffled(n as u32, rng);
        }
        const WHY: &str = "end_epoch makes q a distribution";
        match self.config.replacement {
            Replacement::With => {
                let table = AliasTable::new(&self.q).expect(WHY);
                (0..n).map(|_| table.draw(rng) as u32).collect()
            }
            Replacement::Without => {
                // Images whose q is exactly zero cannot be drawn; they close the epoch in their order.
                let possible = self.q.iter().filter(|q| **q > 0.0).count();
                let mut order = draw_without_replacement(&self.q, possible, rng).expect(WHY);
                order.extend((0..n as u32).filter(|&i| self.q[i as usize] == 0.0));
                order
            }
        }
    }

    fn loss_weight(&self, image: u32) -> f32 {
        let drawn = self.epochs > 0.0 && self.config.replacement == Replacement::With;
        match self.config.importance_weights {
            ImportanceWeights::Unbiased if drawn => {
                (1.0 / (self.q.len() as f64 * self.q[image as usize])) as f32
            }
            _ => 1.0,
        }
    }

    fn observe(&mut self, images: &[u32], grad_norms: &[f32]) {
        for (&image, &norm) in images.iter().zip(grad_norms) {
            let (i, norm) = (image as usize, f64::from(norm));
            // The released code knows "seen" by a score that is not zero; a score of exactly zero is as good as none.
            let again = self.seen[i] == 1.0 && self.s[i] != 0.0;
            self.s[i] = if again { (self.s[i] + norm) / 2.0 } else { norm };
            self.seen[i] = 1.0;
        }
    }

    fn end_epoch(&mut self, progress: f64) {
        if self.config.variant == Variant::Released {
            self.s.iter_mut().zip(&self.seen).filter(|(_, seen)| **seen == 0.0).for_each(|(s, _)| *s = 0.0);
        }
        let (sum, uniform) = (self.s.iter().sum::<f64>(), 1.0 / self.s.len() as f64);
        let share = self.config.smoothing.at(progress);
        for (q, s) in self.q.iter_mut().zip(&self.s) {
            // DIFFERS: where all scores are zero the released code divides by zero; here q is uniform.
            *q = if sum > 0.0 { share * (s / sum) + (1.0 - share) * uniform } else { uniform };
        }
        self.seen.fill(0.0);
        self.epochs += 1.0;
    }

    fn distribution(&self) -> Option<&[f64]> {
        (self.epochs > 0.0).then_some(self.q.as_slice())
    }

    fn state(&self) -> SamplerState {
        SamplerState::new([("s", &self.s), ("seen", &self.seen), ("q", &self.q), ("epochs", &[self.epochs])])
    }

    fn restore(&mut self, state: &SamplerState) -> Result<(), SamplerError> {
        let n = self.q.len();
        let [s, seen, q, epochs] = state.lists([("s", n), ("seen", n), ("q", n), ("epochs", 1)])?;
        (self.s, self.seen, self.q, self.epochs) = (s, seen, q, epochs[0]);
        Ok(())
    }
}
