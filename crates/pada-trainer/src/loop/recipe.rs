use pada_exec::Decayed;
use serde::{Deserialize, Serialize};

use crate::r#loop::config::is_zero;
use crate::r#loop::schedule::RunPoint;

/// Additions that publications make to the training of a stand-alone network. The default adds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Number of warm-up epochs, in which the learning rate rises.
    pub warm_up: usize,
    /// Drop-path probability at the end of training, see [`Recipe::drop_path`].
    pub drop_path: f64,
    /// Dropout probability of the inputs of the classifier.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropout: f64,
    /// Decay of the moving average of the weights, see [`crate::Average`], or `None` for no average.
    pub ema: Option<f64>,
    /// The weights that weight decay applies to.
    pub decayed: Decayed,
}

impl Recipe {
    /// Computes the drop-path probability of an epoch. It increases linearly from 0 in the first epoch.
    ///
    /// # Source
    /// `drop_path_prob = args.drop_path_prob * epoch / args.epochs` in <https://github.com/quark0/darts>, `cnn/train.py`.
    pub fn drop_path(&self, at: RunPoint) -> f64 {
        self.drop_path * at.epoch as f64 / at.epochs as f64
    }

    /// Computes the warm-up factor of the scheduled learning rate. It increases linearly per step and reaches 1 in the last step of the
    /// last warm-up epoch. The schedule starts at the beginning of the run, not after warm-up.
    ///
    /// # Source
    /// Goyal et al., *Accurate, Large Minibatch SGD*, 2017. `torch.optim.lr_scheduler.LinearLR` with `start_factor = 1 / n` and
    /// `total_iters = n − 1` for n steps of warm-up.
    pub fn warm_up(&self, at: RunPoint) -> f64 {
        let steps = self.warm_up * at.steps;
        let step = at.epoch * at.steps + at.step;
        if step < steps { (step + 1) as f64 / steps as f64 } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::r#loop::config::TrainConfig;
    use crate::r#loop::schedule::Schedule;

    fn at(step: usize) -> RunPoint {
        RunPoint { epoch: step / 7, epochs: 5, step: step % 7, steps: 7 }
    }

    #[test]
    fn drop_path_rises_with_the_epoch_and_never_gets_to_its_end() {
        let recipe = Recipe { drop_path: 0.2, ..Recipe::default() };
        let p: Vec<f64> = (0..5).map(|epoch| recipe.drop_path(at(7 * epoch + 3))).collect();
        for (p, expected) in p.iter().zip([0.0, 0.04, 0.08, 0.12, 0.16]) {
            assert!((p - expected).abs() < 1e-15, "{p} {expected}");
        }
    }

    /// PyTorch 2.15, two epochs of warm-up before steps 0, 1, 6, 13, 14 and 34 of 35, at a constant rate of .5:
    ///
    /// ```python
    /// sgd = torch.optim.SGD([torch.zeros(1)], lr=0.5)
    /// warm_up = torch.optim.lr_scheduler.LinearLR(sgd, start_factor=1 / 14, total_iters=13)
    /// for step in range(35): print(step, sgd.param_groups[0]["lr"]); sgd.step(); warm_up.step()
    /// ```
    #[test]
    fn warm_up_equals_pytorch() {
        let recipe = Recipe { warm_up: 2, ..Recipe::default() };
        let expected = [(0, 0.5 / 14.0), (1, 1.0 / 14.0), (6, 0.25), (13, 0.5), (14, 0.5), (34, 0.5)];
        let train = TrainConfig { schedule: Schedule::Constant, lr: 0.5, ..TrainConfig::default() };
        for (step, expected) in expected {
            let lr = train.lr_at(at(step), []) * recipe.warm_up(at(step));
            assert!((lr - expected).abs() < 1e-15, "{step}: {lr}, not {expected}");
        }
        assert_eq!(Recipe::default().warm_up(at(0)), 1.0);
    }
}
