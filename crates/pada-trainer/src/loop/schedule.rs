use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::r#loop::config::TrainConfig;

/// Learning-rate schedule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Cosine annealing per epoch, from `lr` towards `min_lr`: `min_lr + (lr − min_lr) / 2 · (1 + cos(π · epoch / epochs))`.
    Cosine,
    /// One cycle per run, updated in every step. The rate rises from `lr / 25` to `lr` over the first 30 % of the steps and then falls to
    /// almost 0, both along half a cosine.
    OneCycle,
    /// Linear decay in every step, from `lr` towards 0.
    Linear,
    /// A constant learning rate, `lr`.
    Constant,
    /// Step decay: `lr · lr_decay^⌊epoch / lr_decay_epochs⌋`. With one epoch it is exponential decay.
    Step,
    /// The rate is multiplied by `lr_decay` whenever the training loss has not fallen for `patience` epochs.
    Plateau,
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

/// Parameters of [`Schedule::Plateau`] with the defaults of PyTorch: the share by which a loss must be smaller to count, and the smallest
/// change of the rate.
const THRESHOLD: f64 = 1e-4;
const SMALLEST_CHANGE: f64 = 1e-8;

/// Defaults of `lr_decay`, of `lr_decay_epochs` and of `patience`. The first and the last are those of PyTorch.
const DECAY: f64 = 0.1;
const DECAY_EPOCHS: f64 = 1.0;
const PATIENCE: usize = 10;

impl TrainConfig {
    /// Computes the learning rate of a step.
    ///
    /// `losses` are the training losses of the finished epochs, in nats. Only [`Schedule::Plateau`] needs them; a run that is resumed has
    /// them in its checkpoint, so no schedule has a state of its own.
    ///
    /// # Source
    /// `torch.optim.lr_scheduler.CosineAnnealingLR(T_max = epochs, eta_min = min_lr)` and
    /// `ReduceLROnPlateau(factor = lr_decay, patience = patience, min_lr = min_lr)`, stepped after every epoch;
    /// `OneCycleLR(max_lr = lr, total_steps = epochs · steps)` and `LambdaLR(1 − step / (epochs · steps))`, stepped after every step.
    /// `StepLR` of <https://github.com/huggingface/pytorch-image-models> for step decay, which equals PyTorch's for whole numbers of epochs.
    pub fn lr_at(&self, at: RunPoint, losses: impl IntoIterator<Item = f64>) -> f64 {
        let (lr, min_lr) = (self.lr, self.min_lr.unwrap_or(0.0));
        match self.schedule {
            Schedule::Cosine => half_cosine(lr, min_lr, at.epoch as f64 / at.epochs as f64),
            Schedule::Step => {
                let decays = (at.epoch as f64 / self.lr_decay_epochs.unwrap_or(DECAY_EPOCHS)).floor();
                lr * self.lr_decay.unwrap_or(DECAY).powf(decays)
            }
            Schedule::Plateau => self.plateau(losses, min_lr),
            Schedule::OneCycle => {
                let last = (at.epochs * at.steps) as f64 - 1.0;
                let (top, step) = (RISE * (last + 1.0) - 1.0, (at.epoch * at.steps + at.step) as f64);
                match step <= top {
                    true => half_cosine(lr / START, lr, step / top),
                    false => half_cosine(lr, lr / START / END, (step - top) / (last - top)),
                }
            }
            Schedule::Linear => {
                let done = at.epoch * at.steps + at.step;
                lr * (1.0 - done as f64 / (at.epochs * at.steps) as f64)
            }
            Schedule::Constant => lr,
        }
    }

    fn plateau(&self, losses: impl IntoIterator<Item = f64>, min_lr: f64) -> f64 {
        let (decay, patience) = (self.lr_decay.unwrap_or(DECAY), self.patience.unwrap_or(PATIENCE));
        let (mut lr, mut best, mut bad_epochs) = (self.lr, f64::INFINITY, 0);
        for loss in losses {
            if loss < best * (1.0 - THRESHOLD) {
                (best, bad_epochs) = (loss, 0);
            } else {
                bad_epochs += 1;
            }
            if bad_epochs > patience {
                let next = (lr * decay).max(min_lr);
                if lr - next > SMALLEST_CHANGE {
                    lr = next;
                }
                bad_epochs = 0;
            }
        }
        lr
    }
}

/// Interpolates along half a cosine from `first` at progress 0 to `last` at progress 1.
fn half_cosine(first: f64, last: f64, progress: f64) -> f64 {
    last + (first - last) / 2.0 * (1.0 + (PI * progress).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(schedule: Schedule, lr: f64) -> TrainConfig {
        TrainConfig { schedule, lr, ..TrainConfig::default() }
    }

    fn epoch(epoch: usize) -> RunPoint {
        RunPoint { epoch, epochs: 30, step: 3, steps: 5 }
    }

    /// Rates of PyTorch 2.15 by `crates/pada-exec/tests/make_optimizers.py`.
    #[test]
    fn golden_cosine_step_and_plateau_equal_pytorch() {
        let golden = |name: &str| -> Vec<f64> {
            let text = include_str!("../../tests/data/schedules.csv");
            let line = text
                .lines()
                .find(|line| line.split(',').next() == Some(name))
                .expect("the schedule is in the file");
            line.split(',').skip(1).map(|value| value.parse().expect("a number")).collect()
        };
        let cosine = TrainConfig { min_lr: Some(0.001), ..of(Schedule::Cosine, 0.025) };
        let step = TrainConfig { lr_decay: Some(0.97), ..of(Schedule::Step, 0.1) };
        let three = TrainConfig { lr_decay_epochs: Some(3.0), ..step.clone() };
        let plateau = TrainConfig {
            lr_decay: Some(0.3),
            patience: Some(1),
            min_lr: Some(0.002),
            ..of(Schedule::Plateau, 0.1)
        };
        let losses = golden("losses");
        for (name, train) in
            [("cosine", &cosine), ("exponential", &step), ("step", &three), ("plateau", &plateau)]
        {
            let expected = golden(name);
            assert_eq!(expected.len(), losses.len() + 1);
            for (i, expected) in expected.into_iter().enumerate() {
                let lr = train.lr_at(epoch(i), losses[..i].iter().copied());
                assert!((lr - expected).abs() < 1e-15, "{name}, epoch {i}: {lr}, not {expected}");
            }
        }
    }

    /// MnasNet: the rate falls by 3 % every 2.4 epochs, so at the epochs 3, 5, 8, 10 and 12.
    #[test]
    fn steps_may_be_a_fraction_of_epochs() {
        let train =
            TrainConfig { lr_decay: Some(0.97), lr_decay_epochs: Some(2.4), ..of(Schedule::Step, 1.0) };
        let decays: Vec<f64> = (0..13).map(|i| train.lr_at(epoch(i), []).ln() / 0.97_f64.ln()).collect();
        let rounded: Vec<f64> = decays.iter().map(|n| n.round()).collect();
        assert_eq!(rounded, [0., 0., 0., 1., 1., 2., 2., 2., 3., 3., 4., 4., 5.]);
    }

    #[test]
    fn cosine_starts_at_lr_and_halves_midway() {
        let train = of(Schedule::Cosine, 0.05);
        let lr = |epoch| train.lr_at(RunPoint { epoch, epochs: 250, step: 3, steps: 196 }, []);
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
            assert!((of(Schedule::Linear, 0.5).lr_at(at, []) - expected).abs() < 1e-15, "{step}");
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
            let lr = of(Schedule::OneCycle, 0.1).lr_at(at, []);
            assert!((lr - expected).abs() < 1e-15, "{step}: {lr}, not {expected}");
        }
    }
}
