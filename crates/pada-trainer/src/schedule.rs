use serde::{Deserialize, Serialize};

/// Learning rate per epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// `lr / 2 · (1 + cos(π · epoch / epochs))`: from `lr` towards 0, which the epoch after the last would have.
    Cosine,
    /// `lr` throughout.
    Constant,
}

impl Schedule {
    /// The learning rate of an epoch, counted from 0.
    ///
    /// # Source
    /// `torch.optim.lr_scheduler.CosineAnnealingLR(T_max = epochs)`, stepped after every epoch.
    pub fn lr(self, lr: f64, epoch: usize, epochs: usize) -> f64 {
        match self {
            Self::Cosine => lr / 2.0 * (1.0 + (std::f64::consts::PI * epoch as f64 / epochs as f64).cos()),
            Self::Constant => lr,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_starts_at_lr_and_halves_midway() {
        let lr = |epoch| Schedule::Cosine.lr(0.05, epoch, 250);
        assert_eq!(lr(0), 0.05);
        assert!((lr(125) - 0.025).abs() < 1e-15);
        // PyTorch 2.15: CosineAnnealingLR(SGD(lr=0.05), 250) after 249 steps
        assert!((lr(249) - 1.973_894_904_597_205_2e-6).abs() < 1e-18, "{}", lr(249));
    }
}
