use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::{Environment, Event, ReproduceError};

const POLL: Duration = Duration::from_millis(50);

/// The way in which a program ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It succeeded.
    Done,
    /// It failed after the user requested a stop.
    Stopped,
    /// It failed for another reason. The text is its last error message.
    Failed(String),
}

/// Runs a program to its end and reports each line of its stderr together with `name`.
///
/// The program receives every Ctrl-C exactly once. A terminal sends the signal to a whole process group and `kill` only to this process, so
/// the program gets its own process group and signals are passed on to it. The second signal ends a run at once.
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
    let stderr = child.stderr.take().expect("its stderr is piped");
    let (status, last) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| show(stderr, name, environment.events));
        let status = wait(&mut child, environment.stops);
        (status, reader.join().expect("reading lines does not panic"))
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

/// Reports all lines, and returns the last error message or, if there is none, the last line.
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
