use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;

/// How often Ctrl-C was pressed, or SIGTERM came.
static STOPS: AtomicUsize = AtomicUsize::new(0);
static HANDLER: OnceLock<()> = OnceLock::new();
const POLL: Duration = Duration::from_millis(50);

/// How a program ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With success.
    Done,
    /// It was asked to stop.
    Stopped,
    /// Otherwise; what it said.
    Failed(String),
}

/// From here on Ctrl-C is passed on to the program that [`run`] runs, instead of ending this one.
pub(crate) fn catch_ctrl_c() {
    HANDLER.get_or_init(|| {
        let caught = ctrlc::set_handler(|| {
            STOPS.fetch_add(1, Ordering::Relaxed);
        });
        if let Err(error) = caught {
            eprintln!("Ctrl-C will end this at once: {error}");
        }
    });
}

/// Whether Ctrl-C was pressed.
pub(crate) fn stop_requested() -> bool {
    STOPS.load(Ordering::Relaxed) > 0
}

/// Runs a program to its end and shows what it says on stderr, each line behind `name`.
///
/// The program gets every Ctrl-C exactly once, whoever sent it: a terminal sends it to a whole group of processes, `kill` to this
/// one alone, so the program has a group of its own and signals are passed on. The second one ends a run at once.
pub(crate) fn run(command: &mut Command, name: &str) -> anyhow::Result<Ended> {
    own_group(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{command:?}"))?;
    let stderr = child.stderr.take().context("its stderr was asked for")?;
    let (status, last) = std::thread::scope(|scope| {
        let listener = scope.spawn(|| show(stderr, name));
        let status = wait(&mut child);
        (status, listener.join().expect("listening does not panic"))
    });
    let status = status?;
    Ok(match (status.success(), stop_requested()) {
        (true, _) => Ended::Done,
        (false, true) => Ended::Stopped,
        (false, false) => Ended::Failed(if last.is_empty() { status.to_string() } else { last }),
    })
}

fn wait(child: &mut Child) -> std::io::Result<std::process::ExitStatus> {
    let mut passed_on = 0;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        while passed_on < STOPS.load(Ordering::Relaxed) {
            passed_on += 1;
            stop(child)?;
        }
        std::thread::sleep(POLL);
    }
}

/// Shows lines and keeps what is worth repeating: the last error, or else the last line.
fn show(stderr: impl Read, name: &str) -> String {
    let (mut last, mut error) = (String::new(), None);
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        eprintln!("{name}: {line}");
        if let Some(text) = line.strip_prefix("error: ") {
            error = Some(text.to_owned());
        }
        last = line;
    }
    error.unwrap_or(last)
}

#[cfg(unix)]
fn own_group(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
}

#[cfg(not(unix))]
fn own_group(_: &mut Command) {}

#[cfg(unix)]
fn stop(child: &Child) -> std::io::Result<()> {
    // The standard library can only kill.
    Command::new("kill").args(["-TERM", &child.id().to_string()]).stderr(Stdio::null()).status().map(|_| ())
}

#[cfg(not(unix))]
fn stop(child: &mut Child) -> std::io::Result<()> {
    child.kill()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_is_kept() {
        let said = "epoch 1\nerror: no such table\nto go on: do this\n";
        assert_eq!(show(said.as_bytes(), "cell"), "no such table");
        assert_eq!(show("epoch 1\nepoch 2\n".as_bytes(), "cell"), "epoch 2");
        assert_eq!(show("".as_bytes(), "cell"), "");
    }
}
