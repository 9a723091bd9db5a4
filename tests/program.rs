use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// What one call of the program gave.
pub(crate) struct Call {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Call {
    /// The JSON object of the last line of stdout.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{}", self.stderr);
        serde_json::from_str(self.stdout.lines().last().unwrap()).unwrap()
    }

    /// Checks the exit code and that the message says all of `words`.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in: {}", self.stderr);
        }
    }
}

impl From<Output> for Call {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

/// The program, in an empty data folder unless a test gives another.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pada"));
    command.env("PADA_DATA", "no-such-folder").env_remove("RUST_LOG");
    command
}

/// Calls the program.
pub(crate) fn call<S: AsRef<str>>(args: &[S]) -> Call {
    program().args(args.iter().map(AsRef::as_ref)).output().unwrap().into()
}

/// The lines of a ranking with only the columns of the supernet: a run adds zero-cost scores behind them.
pub(crate) fn own_columns(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| line.split(',').take(4).collect::<Vec<_>>().join(",")).collect()
}

/// Arguments of a retraining that takes a second: few images, three epochs.
pub(crate) fn small_retrain() -> Vec<String> {
    let settings = ["train.epochs=3", "data.train_images=192", "test.images=60", "test.batch=30"];
    settings.iter().flat_map(|s| ["--set".to_owned(), (*s).to_owned()]).collect()
}

/// Arguments of a run that takes a second: few images, few architectures, three epochs.
pub(crate) fn small_run(folder: &Path) -> Vec<String> {
    let archs = folder.join("archs.txt");
    std::fs::write(&archs, "# dead, one by one, three by three\n000000\n222222\n\n333333\n").unwrap();
    let archs = format!("rank.archs={}", archs.display());
    let settings =
        ["train.epochs=3", "data.train_images=192", "rank.images=60", "rank.batch=30", archs.as_str()];
    settings.iter().flat_map(|s| ["--set".to_owned(), (*s).to_owned()]).collect()
}
