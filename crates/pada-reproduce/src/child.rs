use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::{Environment, Event, ReproduceError};

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

/// Runs a program to its end and reports what it says on stderr, each line with `name`.
///
/// The program gets every Ctrl-C exactly once, whoever sent it: a terminal sends it to a whole group of processes, `kill` to this
/// one alone, so the program has a group of its own and signals are passed on. The second one ends a run at once.
pub(crate) fn run(
    command: &mut Command,
    name: &str,
    environment: &Environment<'_>,
) -> Result<Ended, ReproduceError> {
    own_group(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(ReproduceError::io(&environment.program))?;
    let stderr = child.stderr.take().expect("its stderr was asked for");
    let (status, last) = std::thread::scope(|scope| {
        let listener = scope.spawn(|| show(stderr, name, environment.events));
        let status = wait(&mut child, environment.stops);
        (status, listener.join().expect("listening does not panic"))
    });
    let status = status.map_err(ReproduceError::io(&environment.program))?;
    Ok(match (status.success(), environment.stop_requested()) {
        (true, _) => Ended::Done,
        (false, true) => Ended::Stopped,
        (false, false) => Ended::Failed(if last.is_empty() { status.to_string() } else { last }),
    })
}

fn wait(child: &mut Child, stops: &AtomicUsize) -> std::io::Result<std::process::ExitStatus> {
    let mut passed_on = 0;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        while passed_on < stops.load(Ordering::Relaxed) {
            passed_on += 1;
            stop(child)?;
        }
        std::thread::sleep(POLL);
    }
}

/// Reports lines and keeps what is worth repeating: the last error, or else the last line.
fn show(stderr: impl Read, trial: &str, events: &dyn Fn(Event<'_>)) -> String {
    let (mut last, mut error) = (String::new(), None);
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        events(Event::Line { trial, line: &line });
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
        assert_eq!(show(said.as_bytes(), "trial", &|_| {}), "no such table");
        assert_eq!(show("epoch 1\nepoch 2\n".as_bytes(), "trial", &|_| {}), "epoch 2");
        assert_eq!(show("".as_bytes(), "trial", &|_| {}), "");
    }
}
