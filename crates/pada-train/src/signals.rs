//! Signals that ask the program to stop.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

/// Set by the first signal. The second signal ends the program at once.
static STOP: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// The exit code of an interrupted run.
const INTERRUPTED: i32 = 130;

/// Makes Ctrl-C, SIGTERM and a closed terminal (SIGHUP) request a stop. If SIGHUP is ignored when the program starts, it stays ignored,
/// so that a run under `nohup` outlives its terminal. Shells also ignore SIGINT for programs in the background, but a
/// SIGINT that is sent explicitly to such a program is handled.
pub(crate) fn handle() {
    static HANDLED: OnceLock<()> = OnceLock::new();
    HANDLED.get_or_init(|| {
        for signal in stopping() {
            // The order matters: the first signal finds the flag unset and sets it.
            let handled = flag::register_conditional_shutdown(signal, INTERRUPTED, STOP.clone())
                .and_then(|_| flag::register(signal, STOP.clone()));
            if let Err(error) = handled {
                tracing::warn!("signal {signal} will end the program at once, without a checkpoint: {error}");
            }
        }
    });
}

/// Counts the signals that request a stop, instead of setting a flag at the first one and ending the program at the second one. A command
/// that starts other programs passes them on.
pub(crate) fn count(counter: &'static AtomicUsize) {
    match Signals::new(stopping()) {
        Ok(mut signals) => {
            std::thread::spawn(move || {
                signals.forever().for_each(|_| _ = counter.fetch_add(1, Ordering::Relaxed))
            });
        }
        Err(error) => tracing::warn!("Ctrl-C will end the program at once: {error}"),
    }
}

/// Returns `true` once a signal has requested a stop.
pub(crate) fn stop_requested() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// The signals that request a stop.
fn stopping() -> Vec<i32> {
    let mut signals = vec![SIGINT, SIGTERM];
    #[cfg(unix)]
    signals.extend(Some(signal_hook::consts::SIGHUP).filter(|&signal| !is_ignored(signal)));
    signals
}

/// Returns `true` if this process ignores a signal. It reads `/proc/self/status`, and returns `false` where that file does not exist.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_in(&status, signal)
}

/// Returns `true` if the mask `SigIgn` of a process status contains a signal. Signal 1 is the lowest bit.
fn ignored_in(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        let status =
            "Name:\tpada\nSigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000004002\n";
        assert!(ignored_in(status, 1));
        assert!(!ignored_in(status, 2));
        assert!(ignored_in(status, 13));
        assert!(!ignored_in("", 1));
    }
}
