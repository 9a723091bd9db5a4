use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use serde_json::{Value, json};

use super::engine::Work;
use super::machine::{self, Quiet};
use super::sides::PRECISIONS;
use super::space::{Extents, Space};
use super::summary;
use xtask::files::write_whole;
use xtask::{paths, usage};

/// Number of images that a ranking uses, in batches of `bench rank`.
const RANKED_IMAGES: usize = 10_000;

const SAMPLES: &str = "samples.json";
/// The device to which goals apply.
pub(crate) const CPU: &str = "cpu";

/// The settings of a comparison.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) date: String,
    pub(crate) name: String,
    pub(crate) rounds: usize,
    pub(crate) steps: usize,
    /// Sweeps over all paths in a round.
    pub(crate) sweeps: usize,
    pub(crate) threads: usize,
}

/// All results of a comparison: lines as the benchmarks print them.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) settings: Settings,
    pub(crate) machine: Value,
    /// The load before each round, and before the measurements after the rounds.
    pub(crate) quiet: Vec<Quiet>,
    /// The lines of each round, for all work, sides and modes.
    pub(crate) rounds: Vec<Vec<Value>>,
    /// Memory of the engine and of PyTorch.
    pub(crate) memory: [Value; 2],
    pub(crate) batches: Vec<Value>,
    pub(crate) cells: Vec<Value>,
    pub(crate) ranking: Ranking,
    pub(crate) ops: Value,
    /// On a GPU: both sides on the few paths that are timed with `torch.compile`.
    pub(crate) compiled: Option<Compiled>,
}

/// The measurements on the paths that `torch.compile` compiled.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// Number of paths.
    pub(crate) paths: usize,
    /// Lines of both sides.
    pub(crate) lines: Vec<Value>,
    /// The reason why PyTorch failed. There are no lines in this case.
    pub(crate) failure: Option<String>,
}

/// The measurements from which the time to rank all architectures is projected.
#[derive(Debug, Default)]
pub(crate) struct Ranking {
    /// Forward passes of a sample of the distinct architectures, one line for every precision.
    pub(crate) lines: Vec<Value>,
    /// Number of architectures that differ with shared weights.
    pub(crate) distinct: usize,
    /// Number of all architectures.
    pub(crate) archs: usize,
}

/// The timed side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side<'a> {
    /// The engine with a precision. Its training steps include gradient variance if any does, as on a GPU.
    Engine(&'a str),
    /// The engine with a precision, without gradient variance.
    EngineWithoutVariance(&'a str),
    /// PyTorch in a mode.
    Peer(&'a str),
}

/// Returns the folder of a record: `out`, or the folder with its name under `xtask/records`.
///
/// # Errors
/// Returns an error if it exists.
pub(crate) fn folder(settings: &Settings, out: Option<&Path>) -> anyhow::Result<PathBuf> {
    let Settings { date, name, .. } = settings;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    ensure!(!name.is_empty() && name.chars().all(plain), "--name {name:?}: letters, digits, - and _ only");
    let folder = match out {
        Some(folder) => folder.to_owned(),
        None => paths::root()?.join("xtask/records").join(format!("{date}-{name}")),
    };
    ensure!(!folder.exists(), "{} is there; choose another name with --name or --out", folder.display());
    Ok(folder)
}

impl Record {
    /// Creates a record without measurements.
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            machine: machine::describe(),
            quiet: vec![],
            rounds: vec![],
            memory: [Value::Null, Value::Null],
            batches: vec![],
            cells: vec![],
            ranking: Ranking::default(),
            ops: Value::Null,
            compiled: None,
        }
    }

    /// Returns the search space of the timed supernet.
    pub(crate) fn space(&self) -> anyhow::Result<Space> {
        let line = self.rounds.iter().flatten().next().context("nothing was timed")?;
        let name = line["space"].as_str().context("a benchmark printed no space")?;
        Space::value_variants().iter().find(|space| space.name() == name).copied().context(name.to_owned())
    }

    /// Returns the name of the device.
    pub(crate) fn device(&self) -> &str {
        let lines = self.rounds.iter().flatten();
        // Records without the field were made on the CPU.
        lines.filter_map(|line| line["device"].as_str()).next().unwrap_or(CPU)
    }

    /// Returns `true` if memory, curves, the projected ranking and kernels were measured.
    pub(crate) fn is_whole(&self) -> anyhow::Result<bool> {
        Ok(self.space()? == Space::Nb201 && self.device() == CPU)
    }

    /// Returns a field of the line of every round.
    pub(crate) fn field(&self, work: Work, side: Side<'_>, field: &str) -> anyhow::Result<Vec<f64>> {
        let of_round = |lines: &Vec<Value>| find(lines, work, side).and_then(|line| line[field].as_f64());
        let found = self.rounds.iter().map(of_round).collect::<Option<Vec<f64>>>();
        found.with_context(|| format!("a round has no {field} of {side:?} for {}", work.task()))
    }

    /// Checks that both sides did the same work, and that the engine did the same work in every round.
    ///
    /// # Errors
    /// Returns an error if they did not.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        for work in [Work::Step, Work::Rank] {
            self.check_lines(work, self.rounds.iter().flatten().collect())?;
            for precision in PRECISIONS {
                let sums = self.field(work, Side::Engine(precision), "checksum")?;
                let same = sums.iter().all(|sum| *sum == sums[0]);
                ensure!(same, "{}, {precision}: the checksum differs between rounds: {sums:?}", work.task());
            }
            if let Some(compiled) = self.compiled.as_ref().filter(|compiled| compiled.failure.is_none()) {
                self.check_lines(work, compiled.lines.iter().collect())?;
            }
        }
        Ok(())
    }

    /// Checks that all lines of some work describe the same work.
    fn check_lines(&self, work: Work, lines: Vec<&Value>) -> anyhow::Result<()> {
        // The peer of the CPU always says "cells": 5, and has what the space's own network has.
        let of_size = if self.space()? == Space::Nb201 { "cells" } else { "batch" };
        let mut fields = vec!["space", "batch", of_size, "threads", "steps"];
        if self.device() != CPU {
            fields.extend(["device", "sweeps"]);
        }
        let mut lines = lines.into_iter().filter(|line| line["task"] == work.task());
        let first = lines.next().context("nothing was timed")?;
        for line in lines {
            for field in &fields {
                let (a, b) = (&first[field], &line[field]);
                ensure!(a == b, "{}: {field} is {a} on one side and {b} on the other", work.task());
            }
        }
        Ok(())
    }

    /// Forward passes of the engine and of PyTorch to rank all architectures.
    pub(crate) fn passes(&self) -> [usize; 2] {
        let batches = RANKED_IMAGES.div_ceil(Space::Nb201.batch(Work::Rank, &Extents::default()));
        [self.ranking.distinct, self.ranking.archs].map(|archs| archs * batches)
    }

    /// Writes `summary.md` and `samples.json`.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let samples = format!("{:#}\n", self.to_json());
        write_whole(&folder.join(SAMPLES), samples.as_bytes())?;
        self.write_summary(folder)
    }

    /// Writes `summary.md` alone.
    pub(crate) fn write_summary(&self, folder: &Path) -> anyhow::Result<()> {
        write_whole(&folder.join("summary.md"), summary::of(self)?.as_bytes())
    }

    /// Reads the record of a folder from its samples.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join(SAMPLES);
        let text = usage::read(&file)?;
        let mut json: Value = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let mut take = |key: &str| json[key].take();
        let list = |value: Value| value.as_array().cloned().unwrap_or_default();
        let count = |value: &Value| value.as_u64().map_or(0, |n| n as usize);
        let (mut rounds, mut quiet) = (Vec::new(), Vec::new());
        for mut round in list(take("rounds")) {
            quiet.push(Quiet::from_json(&round["before"]));
            rounds.push(list(round["lines"].take()));
        }
        let rest = take("before_the_rest");
        if rest.is_object() {
            quiet.push(Quiet::from_json(&rest));
        }
        let (mut memory, mut ranking, mut compiled) = (take("memory"), take("ranking"), take("compiled"));
        let date = take("date").as_str().unwrap_or_default().to_owned();
        let settings = Settings {
            name: name.strip_prefix(&format!("{date}-")).unwrap_or(&name).to_owned(),
            date,
            rounds: rounds.len(),
            steps: count(&take("steps")),
            // A record that does not name its sweeps has one.
            sweeps: count(&take("sweeps")).max(1),
            threads: count(&take("threads")),
        };
        Ok(Self {
            settings,
            machine: take("machine"),
            quiet,
            rounds,
            memory: ["engine", "peer"].map(|side| memory[side].take()),
            batches: list(take("batches")),
            cells: list(take("cells")),
            ranking: Ranking {
                distinct: count(&ranking["distinct"]),
                archs: count(&ranking["archs"]),
                lines: list(ranking["samples"].take()),
            },
            ops: take("ops"),
            compiled: compiled.is_object().then(|| Compiled {
                paths: count(&compiled["paths"]),
                lines: list(compiled["lines"].take()),
                failure: compiled["failure"].as_str().map(str::to_owned),
            }),
        })
    }

    fn to_json(&self) -> Value {
        let settings = &self.settings;
        let rounds = self
            .rounds
            .iter()
            .zip(&self.quiet)
            .map(|(lines, quiet)| json!({ "before": quiet.to_json(), "lines": lines }));
        let [engine, peer] = &self.memory;
        let compiled = self.compiled.as_ref().map(
            |Compiled { paths, lines, failure }| json!({ "paths": paths, "lines": lines, "failure": failure }),
        );
        let behind = self.quiet.get(self.rounds.len()).map(|quiet| quiet.to_json());
        json!({
            "date": settings.date,
            "steps": settings.steps,
            "sweeps": settings.sweeps,
            "threads": settings.threads,
            "machine": self.machine,
            "rounds": rounds.collect::<Vec<_>>(),
            "before_the_rest": behind,
            "memory": { "engine": engine, "peer": peer },
            "batches": self.batches,
            "cells": self.cells,
            "ranking": {
                "samples": self.ranking.lines,
                "distinct": self.ranking.distinct,
                "archs": self.ranking.archs,
            },
            "ops": self.ops,
            "compiled": compiled,
        })
    }
}

/// Finds the first line of some work and side.
pub(crate) fn find<'a>(lines: &'a [Value], work: Work, side: Side<'_>) -> Option<&'a Value> {
    let is_engine = |line: &Value| line.get("engine").is_some();
    let has_variance = |line: &Value| line["gradient_variance"] == true;
    let mut of_work = lines.iter().filter(|line| line["task"] == work.task());
    let with_variance = of_work.clone().any(|line| is_engine(line) && has_variance(line));
    of_work.find(|line| match side {
        Side::Engine(mode) => is_engine(line) && line["mode"] == mode && has_variance(line) == with_variance,
        Side::EngineWithoutVariance(mode) => is_engine(line) && line["mode"] == mode && !has_variance(line),
        Side::Peer(mode) => !is_engine(line) && line["mode"] == mode,
    })
}
