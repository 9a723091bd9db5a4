//! Reads the results of a kit's script and writes them as a record.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use flate2::read::GzDecoder;

use super::summary;
use xtask::files::write_whole;
use xtask::{paths, usage};

/// The file with one line per stage.
const STAGES: &str = "summary.txt";
/// The logs of all stages, and files of runs.
const LOGS: &str = "logs.tar.gz";
/// Additional files of `run.sh full`.
const RUN_FILES: [&str; 2] = ["config.toml", "record.json"];
/// Exit code of a skipped stage.
const SKIPPED: i32 = 77;
/// Longer logs are not copied to a record.
const LONGEST_LOG: usize = 64 * 1024;
/// Larger files of a run are not copied to a record.
const LARGEST_FILE: usize = 1024 * 1024;
/// A file that unpacks to more bytes is considered damaged.
const LARGEST_UNPACKED: u64 = 64 * 1024 * 1024;

/// A folder of results.
pub(super) struct Results {
    /// `check` or `full`.
    pub(super) command: String,
    /// The date of the run.
    pub(super) date: String,
    /// The commit of the kit.
    pub(super) commit: String,
    pub(super) stages: Vec<Stage>,
    /// Logs by the name of the stage.
    pub(super) logs: BTreeMap<String, String>,
    /// Files of runs by their path, `runs/nb201-short-s0/record.json`.
    files: BTreeMap<String, Vec<u8>>,
}

/// One line of `summary.txt`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stage {
    pub(super) name: String,
    code: i32,
    pub(super) seconds: f64,
    /// The most telling line of its log.
    pub(super) text: String,
}

/// The outcome of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    Failed(i32),
    Skipped,
}

impl Stage {
    /// Parses a line such as `doctor 0 1.2 GPU: NVIDIA H100`.
    fn parse(line: &str) -> Option<Self> {
        let mut rest = line;
        let mut word = || {
            let (word, after) = rest.trim_start().split_once(' ').unwrap_or((rest.trim_start(), ""));
            rest = after;
            word
        };
        let name = word().to_owned();
        let (code, seconds) = (word().parse().ok()?, word().parse().ok()?);
        Some(Self { name, code, seconds, text: rest.trim().to_owned() })
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self.code {
            0 => Outcome::Passed,
            SKIPPED => Outcome::Skipped,
            code => Outcome::Failed(code),
        }
    }
}

impl Results {
    /// # Errors
    /// Returns an error if the folder does not contain the results of `run.sh check` or `run.sh full`.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let text = usage::read(&folder.join(STAGES))?;
        let shown = folder.join(STAGES).display().to_string();
        let heading = text.lines().next().and_then(|line| line.strip_prefix("# run.sh ")?.split_once(", "));
        let (command, date) =
            heading.with_context(|| format!("{shown} does not begin with the command and the date"))?;
        let is_date = date.len() == 10 && date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        ensure!(is_date, "{shown}: {date:?} is not a date");
        let commit = text.lines().find_map(|line| line.strip_prefix("# commit: ")).unwrap_or("unknown");
        let stages = text.lines().filter(|line| !line.starts_with('#'));
        let stages = stages
            .map(|line| Stage::parse(line).with_context(|| format!("{shown}: {line:?} is not a stage")));
        let mut results = Self {
            command: command.to_owned(),
            date: date.to_owned(),
            commit: commit.to_owned(),
            stages: stages.collect::<anyhow::Result<_>>()?,
            logs: BTreeMap::new(),
            files: BTreeMap::new(),
        };
        results.unpack(&folder.join(LOGS)).with_context(|| folder.join(LOGS).display().to_string())?;
        for name in RUN_FILES {
            if let Ok(bytes) = std::fs::read(folder.join(name)) {
                results.files.insert(name.to_owned(), bytes);
            }
        }
        Ok(results)
    }

    fn unpack(&mut self, archive: &Path) -> anyhow::Result<()> {
        let packed = std::fs::File::open(archive)?;
        let mut archive = tar::Archive::new(GzDecoder::new(packed).take(LARGEST_UNPACKED));
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = entry.path()?.to_string_lossy().into_owned();
            let path = path.strip_prefix("./").unwrap_or(&path).to_owned();
            let parts: Vec<&str> = path.split('/').collect();
            if !entry.header().entry_type().is_file() || !parts.iter().all(|part| is_plain(part)) {
                continue;
            }
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            match parts[..] {
                ["logs", log] => {
                    let name = log.strip_suffix(".log").unwrap_or(log).to_owned();
                    self.logs.insert(name, String::from_utf8_lossy(&bytes).into_owned());
                }
                ["runs", _, _] => drop(self.files.insert(path, bytes)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns a value from the log of the stage `environment`, such as `card: NVIDIA H100`.
    pub(super) fn fact(&self, name: &str) -> Option<&str> {
        let log = self.logs.get("environment")?;
        log.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::trim)
    }

    /// Returns the name of the GPU.
    ///
    /// # Errors
    /// Returns an error if the machine had no GPU.
    pub(super) fn card(&self) -> anyhow::Result<&str> {
        let card = self.fact("card").context("the log of the stage environment names no card")?;
        ensure!(!card.starts_with("none"), "these results are of a machine without a GPU: {card}");
        Ok(card)
    }
}

/// Returns `true` if a name is a plain file name, without a path.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty() && !name.starts_with('.') && name.chars().all(plain)
}

/// Prints the summary of a folder of results.
pub(super) fn show(folder: &Path) -> anyhow::Result<()> {
    print!("{}", summary::of(&Results::read(folder)?));
    Ok(())
}

/// Writes the record of a folder of results into the workspace.
pub(super) fn record(folder: &Path) -> anyhow::Result<()> {
    let record = write_record(&Results::read(folder)?, &paths::root()?.join("xtask/records"))?;
    eprintln!("wrote {}", record.display());
    Ok(())
}

/// Writes `<date>-gpu-<card>` into the folder of records, with the suffix `-2` or a higher number if the folder exists.
fn write_record(results: &Results, records: &Path) -> anyhow::Result<PathBuf> {
    let name = format!("{}-gpu-{}", results.date, short_name(results.card()?));
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let free = |name: String| Some(records.join(name)).filter(|folder| !folder.exists());
    let folder = std::iter::once(name.clone()).chain(numbered).find_map(free).context("no number is free")?;
    let (short, long): (Vec<_>, Vec<_>) = results.logs.iter().partition(|(_, log)| log.len() <= LONGEST_LOG);
    for (stage, log) in short {
        write_whole(&folder.join(format!("logs/{stage}.log")), log.as_bytes())?;
    }
    for (path, bytes) in results.files.iter().filter(|(_, bytes)| bytes.len() <= LARGEST_FILE) {
        write_whole(&folder.join(path), bytes)?;
    }
    let mut text = summary::of(results);
    if !long.is_empty() {
        let long: Vec<_> = long.into_iter().map(|(stage, _)| stage.as_str()).collect();
        text +=
            &format!("\nLogs of more than {} KB are not kept: {}.\n", LONGEST_LOG / 1024, long.join(", "));
    }
    // Written last, so that an incomplete record has no summary.
    write_whole(&folder.join("summary.md"), text.as_bytes())?;
    Ok(folder)
}

/// `h100-80gb-hbm3` for NVIDIA H100 80GB HBM3.
fn short_name(card: &str) -> String {
    let card = card.to_lowercase();
    let words =
        card.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty() && *word != "nvidia");
    let name = words.collect::<Vec<_>>().join("-");
    if name.is_empty() { "unknown".to_owned() } else { name }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    const STAGES_TEXT: &str = "# run.sh check, 2026-11-27\n# commit: 0123abc\n# stage, exit code, seconds, line\n\
        environment               0     2.1  card: NVIDIA H100 80GB HBM3\n\
        doctor                    0     3.0  GPU: cuda:0 NVIDIA H100 80GB HBM3\n\
        tests-engine            101     9.9  error: test result: FAILED. First failure: off by 0.5 | allowed 0.1\n\
        engine-f32                0    12.0  {\"engine\":\"...\n\
        torch                     0    31.0  {\"peer\": \"...\n\
        ncu                      77     0.0  skipped: ncu was not found\n\
        # 4 passed, 1 failed, 1 skipped in 58 s\n";

    /// Results as `run.sh check` leaves them.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(STAGES), STAGES_TEXT).unwrap();
        let line = |side: &str, task: &str, mode: &str, mean: f64, more: &str| {
            format!(
                r#"{{"{side}":"x","space":"nb201","task":"{task}","mode":"{mode}","batch":256,"mean_s":{mean},"median_s":{mean},"images_per_s":{}{more}}}"#,
                256.0 / mean
            )
        };
        let kernels = r#","gradient_variance":true,"kernel_microseconds_per_step":12500.0,"kernels":[{"kernel":"dense_forward_16","blocks":[64,4,1],"launches_per_step":30.5,"microseconds":131.2,"share":0.32}]"#;
        let logs = [
            (
                "environment",
                "commit: 0123abc\ndriver: 580.159.04\ntorch: 2.11.0\ncard: NVIDIA H100 80GB HBM3\n"
                    .to_owned(),
            ),
            (
                "engine-f32",
                [
                    "engine: median 0.0140 s".to_owned(),
                    line("engine", "train", "f32", 0.014, r#","gradient_variance":false"#),
                    line("engine", "train", "f32", 0.016, kernels),
                    line("engine", "rank", "f32", 0.009, ""),
                ]
                .join("\n"),
            ),
            (
                "torch",
                [line("peer", "train", "eager", 0.021, ""), line("peer", "rank", "eager", 0.0045, "")]
                    .join("\n"),
            ),
            ("tests-engine", "x".repeat(LONGEST_LOG + 1)),
            ("../escape", "no".to_owned()),
        ];
        let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(gz);
        let mut add = |path: &str, bytes: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            tar.append(&header, bytes).unwrap();
        };
        for (name, log) in &logs {
            add(&format!("./logs/{name}.log"), log.as_bytes());
        }
        add("./runs/nb201-short-s0/record.json", b"{}");
        std::fs::write(folder.path().join(LOGS), tar.into_inner().unwrap().finish().unwrap()).unwrap();
        folder
    }

    #[test]
    fn a_record_has_the_card_the_stages_the_times_and_the_short_logs() {
        let (folder, records) = (folder(), tempfile::tempdir().unwrap());
        let results = Results::read(folder.path()).unwrap();
        let record = write_record(&results, records.path()).unwrap();
        assert_eq!(record.file_name().unwrap(), "2026-11-27-gpu-h100-80gb-hbm3");
        let text = std::fs::read_to_string(record.join("summary.md")).unwrap();
        for part in [
            "# GPU check: NVIDIA H100 80GB HBM3\n",
            "2026-11-27",
            "0123abc",
            "driver 580.159.04",
            "4 passed, 1 failed, 1 skipped",
            "| tests-engine | **failed, code 101** | 9.9 | error: test result: FAILED. First failure: off by 0.5 \\| allowed 0.1 |",
            "| ncu | skipped | 0.0 | skipped: ncu was not found |",
            // 21 ms of PyTorch's eager mode over 14 ms, and 4.5 over 9.
            "| nb201 | train | engine, f32 | 14.00 | 14.00 | 18286 | 1.50 |",
            "| nb201 | train | engine, f32, with gradient variance | 16.00 | 16.00 | 16000 | 1.31 |",
            "| nb201 | rank | engine, f32 | 9.00 | 9.00 | 28444 | 0.50 |",
            "| nb201 | train | PyTorch, eager | 21.00 | 21.00 | 12190 | 1.00 |",
            "The kernels take 12.50 ms of 16.00 ms",
            "| dense_forward_16 | 64×4×1 | 30.5 | 131.2 | 32.0 % |",
            "Logs of more than 64 KB are not kept: tests-engine.",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        assert!(record.join("logs/environment.log").is_file());
        assert!(record.join("runs/nb201-short-s0/record.json").is_file());
        assert!(!record.join("logs/tests-engine.log").exists());
        assert!(!record.join("escape.log").exists());
        let again = write_record(&results, records.path()).unwrap();
        assert_eq!(again.file_name().unwrap(), "2026-11-27-gpu-h100-80gb-hbm3-2");
    }

    #[test]
    fn results_without_a_card_make_no_record() {
        let folder = folder();
        let mut results = Results::read(folder.path()).unwrap();
        results.logs.insert("environment".to_owned(), "card: none, nvidia-smi does not run\n".to_owned());
        let error = write_record(&results, folder.path()).unwrap_err().to_string();
        assert!(error.contains("a machine without a GPU"), "{error}");
    }

    #[test]
    fn a_folder_that_holds_no_results_is_refused_with_the_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Results::read(folder.path()).err().unwrap().to_string().contains(STAGES));
        for (text, part) in [
            ("doctor 0 1.0 fine\n", "the command and the date"),
            ("# run.sh check, tomorrow\n", "is not a date"),
        ] {
            std::fs::write(folder.path().join(STAGES), text).unwrap();
            let error = Results::read(folder.path()).err().unwrap().to_string();
            assert!(error.contains(part), "{error}");
        }
        std::fs::write(folder.path().join(STAGES), "# run.sh check, 2026-11-27\ndoctor\n").unwrap();
        assert!(
            Results::read(folder.path()).err().unwrap().to_string().contains("\"doctor\" is not a stage")
        );
        std::fs::write(folder.path().join(STAGES), STAGES_TEXT).unwrap();
        assert!(format!("{:#}", Results::read(folder.path()).err().unwrap()).contains(LOGS));
    }

    #[test]
    fn cards_have_short_names() {
        for (card, name) in [
            ("NVIDIA H200", "h200"),
            ("NVIDIA GeForce RTX 4090", "geforce-rtx-4090"),
            ("Tesla V100-SXM2-16GB", "tesla-v100-sxm2-16gb"),
            ("NVIDIA", "unknown"),
        ] {
            assert_eq!(short_name(card), name);
        }
    }
}
