use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use pada::report::EpochRecord;
use pada::trainer::{Observer, StepProgress};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::to_json;

/// Calls a Python function with the progress of a run, and stops the run when Python received a signal or the function raised.
pub(crate) struct Progress {
    /// A function of a dict.
    function: Option<Py<PyAny>>,
    /// The exception that stops the run.
    exception: Mutex<Option<PyErr>>,
    /// The folder in which a stopped run continues.
    folder: Option<PathBuf>,
    shown: Option<Instant>,
    checked: Mutex<Option<Instant>>,
}

/// Time between two calls of Python: for a progress bar, and for a signal.
const SHOW_EVERY: Duration = Duration::from_millis(100);
const CHECK_EVERY: Duration = Duration::from_millis(50);

/// Returns true, and starts a new period, if the last one has ended.
fn is_due(last: &mut Option<Instant>, every: Duration) -> bool {
    let now = Instant::now();
    let due = last.is_none_or(|last| now.duration_since(last) >= every);
    if due {
        *last = Some(now);
    }
    due
}

impl Progress {
    pub(crate) fn new(function: Option<Py<PyAny>>) -> Self {
        Self { function, exception: Mutex::new(None), folder: None, shown: None, checked: Mutex::new(None) }
    }

    /// Names the folder in which the run continues if it stops.
    pub(crate) fn works_in(&mut self, folder: &Path) {
        self.folder = Some(folder.to_owned());
    }

    /// Returns the result of the run. An exception that asked it to stop is raised, also if the run had just finished. It names the folder
    /// of the run.
    pub(crate) fn result<T>(self, result: PyResult<T>) -> PyResult<T> {
        let stopped_by = self.exception.into_inner().expect("no thread panics while it holds the lock");
        let (error, folder) = match (result, stopped_by, self.folder) {
            (Ok(value), None, _) => return Ok(value),
            (_, Some(error), folder) | (Err(error), None, folder) => (error, folder),
        };
        if let Some(folder) = folder {
            Python::attach(|py| {
                let (value, folder) = (error.value(py), folder.display().to_string());
                // Neither is essential: Python 3.10 has no notes, and an exception may refuse attributes.
                _ = value.setattr("folder", &folder);
                _ = value.call_method1("add_note", (format!("to resume: pada.resume({folder:?})"),));
            });
        }
        Err(error)
    }

    fn stop_with(&self, exception: PyErr) {
        self.exception.lock().expect("no thread panics while it holds the lock").get_or_insert(exception);
    }

    fn call(&self, fill: impl FnOnce(&Bound<'_, PyDict>) -> PyResult<()>) {
        let Some(function) = &self.function else { return };
        let called = Python::attach(|py| {
            let event = PyDict::new(py);
            fill(&event)?;
            function.call1(py, (event,)).map(drop)
        });
        if let Err(exception) = called {
            self.stop_with(exception);
        }
    }
}

impl Observer for Progress {
    fn on_step(&mut self, p: &StepProgress) {
        if is_due(&mut self.shown, SHOW_EVERY) || (p.epoch * p.steps + p.step) == p.epochs * p.steps {
            self.call(|event| {
                event.set_item("event", "step")?;
                event.set_item("stage", p.stage)?;
                event.set_item("epoch", p.epoch)?;
                event.set_item("epochs", p.epochs)?;
                event.set_item("step", p.step)?;
                event.set_item("steps", p.steps)?;
                event.set_item("loss", p.loss)
            });
        }
    }

    fn on_epoch(&mut self, record: &EpochRecord) {
        self.call(|event| {
            event.set_item("event", "epoch")?;
            event.set_item("record", to_json(record)?)
        });
    }

    fn on_scored(&mut self, done: usize, total: usize) {
        if done == total || is_due(&mut self.shown, SHOW_EVERY) {
            self.call(|event| {
                event.set_item("event", "scored")?;
                event.set_item("done", done)?;
                event.set_item("total", total)
            });
        }
    }

    fn stop_requested(&self) -> bool {
        let is_stopped =
            || self.exception.lock().expect("no thread panics while it holds the lock").is_some();
        let mut checked = self.checked.lock().expect("no thread panics while it holds the lock");
        if !is_stopped() && is_due(&mut checked, CHECK_EVERY) {
            // Only in Python's main thread: the handler of SIGINT raises KeyboardInterrupt.
            if let Err(exception) = Python::attach(|py| py.check_signals()) {
                self.stop_with(exception);
            }
        }
        is_stopped()
    }
}
