//! Programs with tests, which one call of cargo builds.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::cargo;

/// A program with tests: the unit tests of a crate or program, or a file or folder of `tests/`.
#[derive(Clone, Debug)]
pub struct TestBinary {
    /// The folder of the package, where its tests run.
    pub package: PathBuf,
    /// The kind of the target, such as `lib` or `test`.
    pub kind: String,
    /// The name of the target.
    pub target: String,
    /// The path of the program.
    pub executable: PathBuf,
}

impl TestBinary {
    /// Returns the test binary that a message of cargo announces. Returns `None` if it announces something else.
    fn announced(message: &Value) -> Option<Self> {
        if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
            return None;
        }
        Some(Self {
            package: PathBuf::from(message["manifest_path"].as_str()?).parent()?.to_owned(),
            kind: message["target"]["kind"][0].as_str()?.to_owned(),
            target: message["target"]["name"].as_str()?.to_owned(),
            executable: message["executable"].as_str()?.into(),
        })
    }

    /// Returns the name of the package's folder, which is the name of the crate for all in `crates/`.
    pub fn package_name(&self) -> String {
        self.package.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Returns a name for messages: package, kind and target.
    pub fn name(&self) -> String {
        format!("{} {} {}", self.package_name(), self.kind, self.target)
    }

    /// Runs all tests, and writes their summary and what they wrote to stderr, such as reasons for skipping, to stderr.
    ///
    /// # Errors
    /// Returns an error with the output if a test fails.
    pub fn run(&self, environment: &[(&'static str, OsString)]) -> anyhow::Result<()> {
        self.run_with(&[], environment)
    }

    /// Does the same as [`Self::run`] with arguments, such as a part of the names of the tests to run.
    ///
    /// # Errors
    /// Returns an error with the output if a test fails.
    pub fn run_with(
        &self,
        arguments: &[&str],
        environment: &[(&'static str, OsString)],
    ) -> anyhow::Result<()> {
        let mut command = Command::new(&self.executable);
        command.args(arguments);
        command.current_dir(&self.package).env("CARGO_MANIFEST_DIR", &self.package);
        let output = command.envs(environment.iter().cloned()).output().context(self.name())?;
        let [stdout, stderr] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        ensure!(output.status.success(), "{}: {}\n{stderr}\n{stdout}", self.name(), output.status);
        let result = stdout.lines().find(|line| line.starts_with("test result:"));
        eprintln!("{stderr}{}: {}", self.name(), result.unwrap_or("no tests"));
        Ok(())
    }
}

/// Builds tests of the workspace with the features that all builds have. The arguments select tests, for example `--test` and a name; without
/// any, all are built.
///
/// # Errors
/// Returns an error if a crate does not compile.
pub fn build(arguments: &[&str]) -> anyhow::Result<Vec<TestBinary>> {
    let call = ["test", "--release", "--no-run", "--message-format", "json-render-diagnostics"];
    let mut command = cargo::command(&cargo::workspace(&[&call, arguments].concat()))?;
    let output = command.stderr(Stdio::inherit()).output().context("cargo test --no-run")?;
    ensure!(output.status.success(), "{command:?}: {}", output.status);
    let lines = String::from_utf8(output.stdout).context("messages of cargo")?;
    announced(&lines)
}

/// Returns the test binaries that the messages of a call of cargo announce.
fn announced(lines: &str) -> anyhow::Result<Vec<TestBinary>> {
    let messages = lines.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>();
    Ok(messages.context("a message of cargo")?.iter().filter_map(TestBinary::announced).collect())
}

/// Runs the examples in documentation.
///
/// # Errors
/// Returns an error if one fails.
pub fn run_examples(environment: &[(&'static str, OsString)]) -> anyhow::Result<()> {
    let mut command = cargo::command(&cargo::workspace(&["test", "--release", "--doc", "--quiet"]))?;
    cargo::finish(command.envs(environment.iter().cloned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn only_programs_with_tests_are_found_and_their_crates_are_told_apart() {
        let artifact = |package: &str, name: &str, kind: &str, test: bool, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/w/crates/{package}/Cargo.toml","profile":{{"test":{test}}},"target":{{"kind":["{kind}"],"name":"{name}"}},"executable":{executable}}}"#
            )
        };
        let lines = [
            r#"{"reason":"build-script-executed","package_id":"registry+https://x#libc@0.2"}"#.to_owned(),
            artifact("pada-engine", "engine", "lib", false, "null"),
            artifact("pada-engine", "pada_engine", "lib", true, r#""/t/pada_engine-2c""#),
            artifact("pada-engine-more", "engine", "test", true, r#""/t/more""#),
            artifact("pada-engine", "engine", "test", true, r#""/t/engine-1f""#),
            artifact("pada-train", "pada", "bin", false, r#""/t/pada""#),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
        ];
        let found = announced(&lines.join("\n")).unwrap();
        let names: Vec<_> = found.iter().map(TestBinary::name).collect();
        let expected =
            ["pada-engine lib pada_engine", "pada-engine-more test engine", "pada-engine test engine"];
        assert_eq!(names, expected);
        assert_eq!(found[2].executable, PathBuf::from("/t/engine-1f"));
        assert!(announced("not JSON").is_err());
    }
}
