use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pada::report::EpochRecord;
use pada::trainer::{Observer, StepProgress};

/// Shows progress on stderr, and stops a job when Ctrl-C is pressed.
pub(crate) struct Progress {
    bar: ProgressBar,
}

/// Set by the first Ctrl-C or SIGTERM; the second ends the program at once.
static STOP: AtomicBool = AtomicBool::new(false);
static HANDLER: OnceLock<()> = OnceLock::new();

impl Progress {
    pub(crate) fn new() -> Self {
        HANDLER.get_or_init(|| {
            let stop = || {
                if STOP.swap(true, Ordering::Relaxed) {
                    std::process::exit(130);
                }
            };
            if let Err(error) = ctrlc::set_handler(stop) {
                tracing::warn!("Ctrl-C will end the program at once: {error}");
            }
        });
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(5));
        let style = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} {eta}");
        bar.set_style(style.expect("the template is valid").progress_chars("=> "));
        Self { bar }
    }
}

impl Observer for Progress {
    fn on_step(&mut self, p: &StepProgress) {
        self.bar.set_length((p.epochs * p.steps) as u64);
        self.bar.set_position((p.epoch * p.steps + p.step) as u64);
        let stage = if p.stage > 0 { format!("stage {}, ", p.stage) } else { String::new() };
        self.bar.set_message(format!("{stage}epoch {}/{}, loss {:.3}", p.epoch + 1, p.epochs, p.loss));
    }

    fn on_epoch(&mut self, e: &EpochRecord) {
        if self.bar.is_hidden() {
            // No terminal: a line per epoch.
            let (epoch, seconds) = (e.epoch + 1, e.seconds);
            eprintln!("epoch {epoch}: loss {:.4}, accuracy {:.2} %, {seconds:.1} s", e.loss, e.accuracy);
        }
    }

    fn on_scored(&mut self, done: usize, total: usize) {
        if done == 1 {
            self.bar.reset();
            self.bar.set_message("ranking");
        }
        self.bar.set_length(total as u64);
        self.bar.set_position(done as u64);
        if done == total {
            self.bar.finish_and_clear();
        }
    }

    fn stop_requested(&self) -> bool {
        STOP.load(Ordering::Relaxed)
    }
}
