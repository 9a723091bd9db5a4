use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pada::report::EpochRecord;
use pada::trainer::{Observer, StepProgress};

use crate::signals;

/// Shows progress on stderr, and stops a job when Ctrl-C is pressed.
pub(crate) struct Progress {
    show: Show,
    bar: ProgressBar,
    /// The path distribution of the last epoch; empty unless all decisions share one distribution.
    p: String,
    /// Limits how often a line about scores is printed if stderr is not a terminal.
    line: Pace,
}

/// The amount of progress output.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// A progress bar on a terminal; otherwise a line per epoch, and a line per minute while architectures are scored.
    Progress,
    /// No output.
    Nothing,
}

/// A rate limit of once a minute.
struct Pace(Instant);

impl Pace {
    const EVERY: Duration = Duration::from_secs(60);

    fn is_due(&mut self, now: Instant) -> bool {
        let due = now.duration_since(self.0) >= Self::EVERY;
        if due {
            self.0 = now;
        }
        due
    }
}

impl Progress {
    pub(crate) fn new(show: Show) -> Self {
        signals::handle();
        let target = match show {
            Show::Progress => ProgressDrawTarget::stderr_with_hz(5),
            Show::Nothing => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let style = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len}, {per_sec}, {eta} left");
        bar.set_style(style.expect("the template is valid").progress_chars("=> "));
        Self { show, bar, p: String::new(), line: Pace(Instant::now()) }
    }

    /// Returns `true` if lines are printed instead of the bar.
    fn writes_lines(&self) -> bool {
        self.bar.is_hidden() && self.show == Show::Progress
    }
}

impl Observer for Progress {
    fn on_step(&mut self, p: &StepProgress) {
        self.bar.set_length((p.epochs * p.steps) as u64);
        self.bar.set_position((p.epoch * p.steps + p.step) as u64);
        let stage = if p.stage > 0 { format!("stage {}, ", p.stage) } else { String::new() };
        let (epoch, epochs, loss) = (p.epoch + 1, p.epochs, p.loss);
        self.bar.set_message(format!("{stage}epoch {epoch}/{epochs}, loss {loss:.3}{}", self.p));
    }

    fn on_epoch(&mut self, e: &EpochRecord) {
        if let [p] = &e.path_distribution[..] {
            let shares = p.iter().map(|p| format!(" {p:.2}")).collect::<String>();
            self.p = format!(", p{shares}");
        }
        if self.writes_lines() {
            let (epoch, seconds) = (e.epoch + 1, e.seconds);
            // Stages after the first belong to sub-supernets.
            let stage = if e.stage > 0 { format!("stage {}, ", e.stage) } else { String::new() };
            note!("{stage}epoch {epoch}: loss {:.4}, accuracy {:.2} %, {seconds:.1} s", e.loss, e.accuracy);
        }
    }

    fn on_scored(&mut self, done: usize, total: usize) {
        if done == 1 {
            self.bar.reset();
            self.bar.set_message("ranking");
        }
        self.bar.set_length(total as u64);
        self.bar.set_position(done as u64);
        if self.writes_lines() && self.line.is_due(Instant::now()) {
            note!("{done} of {total} architectures scored");
        }
        if done == total {
            self.bar.finish_and_clear();
        }
    }

    fn stop_requested(&self) -> bool {
        signals::stop_requested()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_lets_one_through_a_minute() {
        let start = Instant::now();
        let mut pace = Pace(start);
        let at = |seconds| start + Duration::from_secs(seconds);
        let due: Vec<u64> = (0..200).step_by(7).filter(|&seconds| pace.is_due(at(seconds))).collect();
        assert_eq!(due, [63, 126, 189]);
    }
}
