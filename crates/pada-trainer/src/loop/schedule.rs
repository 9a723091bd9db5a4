use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// Learning-rate schedule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Cosine annealing per epoch, from `lr` towards 0: `lr / 2 · (1 + cos(π · epoch / epochs))`.
    Cosine,
    /// One cycle per run, updated in every step. The rate rises from `lr / 25` to `lr` over the first 30 % of the steps and then falls to
    /// almost 0, both along half a cosine.
    OneCycle,
    /// Linear decay in every step, from `lr` towards 0.
    Linear,
    /// A constant learning rate, `lr`.
    Constant,
}

/// The position of a step in a run. Epochs and steps are counted from 0.
#[derive(Clone, Copy, Debug)]
pub struct RunPoint {
    /// Index of the epoch.
    pub epoch: usize,
    /// Number of epochs of the run.
    pub epochs: usize,
    /// Index of the step within the epoch.
    pub step: usize,
    /// Number of steps of an epoch.
    pub steps: usize,
}

/// The part of a learning-rate schedule that a stage of a run follows. The default is a schedule of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSpan {
    /// Number of epochs of the schedule that lie before the stage.
    pub before: usize,
    /// Number of epochs of the whole schedule; `None` for the epochs of the stage.
    pub epochs: Option<usize>,
}

impl ScheduleSpan {
    /// Converts the position of a step in its stage to the position in the schedule.
    pub fn point(self, at: RunPoint) -> RunPoint {
        RunPoint { epoch: at.epoch + self.before, epochs: self.epochs.unwrap_or(at.epochs), ..at }
    }
}

/// Parameters of [`Schedule::OneCycle`] with the defaults of PyTorch: the share of the steps in which the rate rises (`pct_start`), `lr`
/// divided by the initial rate (`div_factor`), and the initial rate divided by the final rate (`final_div_factor`).
const RISE: f64 = 0.3;
const START: f64 = 25.0;
const END: f64 = 1e4;

impl Schedule {
    /// Computes the learning rate of a step.
    ///
    /// # Source
    /// `torch.optim.lr_scheduler.CosineAnnealingLR(T_max = epochs)`, stepped after every epoch;
    /// `OneCycleLR(max_lr = lr, total_steps = epochs · steps)` and `LambdaLR(1 − step / (epochs · steps))`, stepped after every step.
    pub fn lr(self, lr: f64, at: RunPoint) -> f64 {
        match self {
            Self::Cosine => half_cosine(lr, 0.0, at.epoch as f64 / at.epochs as f64),
            Self::OneCycle => {
                let last = (at.epochs * at.steps) as f64 - 1.0;
                let (top, step) = (RISE * (last + 1.0) - 1.0, (at.epoch * at.steps + at.step) as f64);
                match step <= top {
                    true => half_cosine(lr / START, lr, step / top),
                    false => half_cosine(lr, lr / START / END, (step - top) / (last - top)),
                }
            }
            Self::Linear => {
                let done = at.epoch * at.steps + at.step;
                lr * (1.0 - done as f64 / (at.epochs * at.steps) as f64)
            }
            Self::Constant => lr,
        }
    }
}

/// Interpolates along half a cosine from `first` at progress 0 to `last` at progress 1.
fn half_cosine(first: f64, last: f64, progress: f64) -> f64 {
    last + (first - last) / 2.0 * (1.0 + (PI * progress).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_starts_at_lr_and_halves_midway() {
        let lr = |epoch| Schedule::Cosine.lr(0.05, RunPoint { epoch, epochs: 250, step: 3, steps: 196 });
        assert_eq!(lr(0), 0.05);
        assert!((lr(125) - 0.025).abs() < 1e-15);
        // PyTorch 2.15: CosineAnnealingLR(SGD(lr=0.05), 250) after 249 steps
        assert!((lr(249) - 1.973_894_904_597_205_2e-6).abs() < 1e-18, "{}", lr(249));
    }

    #[test]
    fn stages_of_one_schedule_follow_each_other() {
        let at = |epoch, epochs| RunPoint { epoch, epochs, step: 1, steps: 2 };
        let span = ScheduleSpan { before: 20, epochs: Some(90) };
        let point = span.point(at(5, 20));
        assert_eq!((point.epoch, point.epochs, point.step, point.steps), (25, 90, 1, 2));
        let own = ScheduleSpan::default().point(at(5, 20));
        assert_eq!((own.epoch, own.epochs), (5, 20));
    }

    #[test]
    fn linear_goes_down_by_the_same_amount_with_every_step() {
        for (step, expected) in [(0, 0.5), (1, 0.475), (10, 0.25), (19, 0.025)] {
            let at = RunPoint { epoch: step / 4, epochs: 5, step: step % 4, steps: 4 };
            assert!((Schedule::Linear.lr(0.5, at) - expected).abs() < 1e-15, "{step}");
        }
    }

    /// Expected values: PyTorch 2.15, `OneCycleLR(SGD, max_lr=0.1, total_steps=25 * 63)`, the rate before each of these steps.
    #[test]
    fn one_cycle_equals_pytorch() {
        for (step, expected) in [
            (0, 0.004),
            (1, 0.004_001_065_481_678_584),
            (63, 0.008_167_179_821_834_944),
            (471, 0.099_999_733_628_841_26),
            (472, 0.099_999_949_251_786_79),
            (800, 0.079_648_085_334_235_59),
            (1574, 4e-7),
        ] {
            let at = RunPoint { epoch: step / 63, epochs: 25, step: step % 63, steps: 63 };
            let lr = Schedule::OneCycle.lr(0.1, at);
            assert!((lr - expected).abs() < 1e-15, "{step}: {lr}, not {expected}");
        }
    }
}
