//! The summary of a comparison on a GPU.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::Context;
use serde_json::Value;

use super::engine::Work;
use super::gpu;
use super::record::{Record, Side, find};
use super::sides::{COMPILED_MODES, MODES, PRECISIONS};
use super::space::{Extents, Space};
use super::statistics::{Ratio, median};

const MS: f64 = 1e3;

/// Chooses the engine's lines of a precision.
type EngineSide = fn(&'static str) -> Side<'static>;

/// The work of the engine that is compared with PyTorch, in the order of the rows.
const WORKS: [(&str, Work, EngineSide); 3] = [
    ("train step with gradient variance", Work::Step, Side::Engine),
    ("train step without gradient variance", Work::Step, Side::EngineWithoutVariance),
    ("forward", Work::Rank, Side::Engine),
];

/// Writes the rows of the summary's first table: the card, its software, and the precision of each side.
pub(super) fn head(record: &Record, out: &mut String) -> anyhow::Result<()> {
    let found = &record.machine["gpu"];
    writeln!(out, "| GPU | {} |", gpu::card(found))?;
    writeln!(out, "| driver | {} |", gpu::software(found))?;
    let lines = || record.rounds.iter().flatten();
    let peer = lines().find(|line| line.get("peer").is_some()).context("PyTorch was not timed")?;
    writeln!(
        out,
        "| PyTorch | CUDA {}, cuDNN {}, cudnn.benchmark = {}, TF32 in convolutions: {}, in matrix products: {} |",
        text(&peer["cuda"]),
        text(&peer["cudnn"]),
        text(&peer["cudnn_benchmark"]),
        text(&peer["tf32"]),
        text(&peer["tf32_matmul"])
    )?;
    let multiplied: BTreeSet<String> = lines()
        .map(|line| {
            let side = if line.get("engine").is_some() { "engine" } else { "PyTorch" };
            format!("{side} {}: {}", text(&line["mode"]), text(&line["products"]))
        })
        .collect();
    let multiplied = Vec::from_iter(multiplied).join(", ");
    Ok(writeln!(out, "| convolutions multiply | {multiplied} |")?)
}

/// The options of the command that made a record, and the size of the network that it timed.
pub(super) fn command(record: &Record) -> anyhow::Result<(String, String)> {
    let (settings, space) = (&record.settings, record.space()?);
    let mut options = match space {
        Space::Nb201 => String::new(),
        Space::Darts | Space::Proxyless => format!("--space {} ", space.name()),
    };
    let compiled = record.compiled.as_ref().map_or(0, |compiled| compiled.paths);
    write!(options, "--device {} --sweeps {} --compile-paths {compiled}", record.device(), settings.sweeps)?;
    let field = |work, field| anyhow::Ok(record.field(work, Side::Engine(PRECISIONS[0]), field)?[0] as usize);
    let (batch, cells) = (field(Work::Step, "batch")?, field(Work::Step, "cells")?);
    if batch != space.batch(Work::Step, &Extents::default()) {
        write!(options, " --batch {batch}")?;
    }
    if cells != space.cells(&Extents::default()) {
        write!(options, " --cells {cells}")?;
    }
    let work = match space {
        Space::Nb201 => format!("C = 16, N = {cells}, 3×32×32"),
        Space::Darts => format!("C = 16, {cells} cells, 3×32×32"),
        Space::Proxyless => format!("{cells} layers, 3×224×224"),
    };
    Ok((options, work))
}

/// Times of all rounds.
pub(super) fn times(record: &Record, out: &mut String) -> anyhow::Result<()> {
    let settings = &record.settings;
    writeln!(out, "## Time\n")?;
    writeln!(
        out,
        "Medians over {} rounds of {} paths, each timed {} times per round. Both sides ran every path before the clock started, and the \
         engine took its kernels from the kernel cache. Every step is timed alone, up to a synchronisation; `back to back` is PyTorch's \
         mean with one synchronisation at the end of all steps, and the last ratio compares it with the engine's mean. Training with \
         the engine includes gradient variance. PyTorch's step does not compute it.\n",
        settings.rounds, settings.steps, settings.sweeps
    )?;
    header(out)?;
    each(&MODES, out, |work, side, field| record.field(work, side, field))
}

/// Times on the paths of `torch.compile`.
pub(super) fn compiled(record: &Record, out: &mut String) -> anyhow::Result<()> {
    let Some(compiled) = &record.compiled else { return Ok(()) };
    writeln!(out, "\n## With torch.compile\n")?;
    if let Some(failure) = &compiled.failure {
        return Ok(writeln!(out, "PyTorch failed: {failure}")?);
    }
    let compile_s = find(&compiled.lines, Work::Step, Side::Peer("compile"))
        .and_then(|line| line["first_sweep_s"].as_f64())
        .context("torch.compile was not timed")?;
    writeln!(
        out,
        "One round on {} of the paths, which took `torch.compile` {compile_s:.0} s for the training step.\n",
        compiled.paths
    )?;
    header(out)?;
    each(&COMPILED_MODES, out, |work, side, field| {
        let value = find(&compiled.lines, work, side).and_then(|line| line[field].as_f64());
        Ok(vec![value.with_context(|| format!("there is no {field} of {side:?} for {}", work.task()))?])
    })
}

fn header(out: &mut String) -> anyhow::Result<()> {
    writeln!(
        out,
        "| work | engine | median, ms | mean, ms | PyTorch | median, ms | mean, ms | back to back, ms | ratio of medians | ratio of means | \
         ratio to back to back |"
    )?;
    Ok(writeln!(out, "|---|---|---|---|---|---|---|---|---|---|---|")?)
}

fn each(
    modes: &[&'static str],
    out: &mut String,
    field: impl Fn(Work, Side<'static>, &str) -> anyhow::Result<Vec<f64>>,
) -> anyhow::Result<()> {
    for (name, work, side) in WORKS {
        for precision in PRECISIONS {
            let batch = field(work, side(precision), "batch")?[0];
            let engine = field(work, side(precision), "median_s")?;
            let mean = median(&field(work, side(precision), "mean_s")?);
            for &mode in modes {
                let peer = field(work, Side::Peer(mode), "median_s")?;
                let peer_mean = median(&field(work, Side::Peer(mode), "mean_s")?);
                let back_to_back = median(&field(work, Side::Peer(mode), "mean_s_back_to_back")?);
                let ratio = Ratio::of(&peer, &engine);
                writeln!(
                    out,
                    "| {name}, batch {batch} | {precision} | {:.2} | {:.2} | {mode} | {:.2} | {:.2} | {:.2} | {:.2} ({:.2} to {:.2}) | {:.2} | {:.2} |",
                    MS * median(&engine),
                    MS * mean,
                    MS * median(&peer),
                    MS * peer_mean,
                    MS * back_to_back,
                    ratio.value,
                    ratio.least,
                    ratio.greatest,
                    peer_mean / mean,
                    back_to_back / mean,
                )?;
            }
        }
    }
    Ok(())
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use serde_json::json;

    use super::super::machine::Quiet;
    use super::super::record::{Compiled, Settings};
    use super::super::summary;
    use super::*;

    fn engine(precision: &str, work: Work, seconds: f64, variance: bool) -> Value {
        let products = if precision == "f32" { "3xTF32" } else { "bf16" };
        json!({
            "engine": "engine on a GPU (cuda:0)", "device": "cuda:0", "space": "nb201", "task": work.task(), "mode": precision,
            "products": products, "batch": Space::Nb201.batch(work, &Extents::default()), "cells": 5, "threads": 2, "steps": 12, "sweeps": 10, "gradient_variance": variance,
            "mean_s": seconds, "median_s": seconds, "checksum": 7.5,
        })
    }

    fn peer(mode: &str, work: Work, seconds: f64) -> Value {
        let products = if mode.starts_with('b') || mode.starts_with("co") { "bf16" } else { "TF32" };
        json!({
            "peer": "torch 2.15.0", "device": "cuda:0", "space": "nb201", "task": work.task(), "mode": mode, "products": products,
            "batch": Space::Nb201.batch(work, &Extents::default()), "cells": 5, "threads": 2, "steps": 12, "sweeps": 10, "cudnn_benchmark": true, "tf32": true,
            "tf32_matmul": false, "cuda": "13.2", "cudnn": 92600, "mean_s": seconds, "median_s": seconds,
            "mean_s_back_to_back": 0.75 * seconds, "first_sweep_s": 61.0,
        })
    }

    fn lines(modes: &[&str]) -> Vec<Value> {
        let mut lines = Vec::new();
        for precision in PRECISIONS {
            lines.push(engine(precision, Work::Step, 0.002, false));
            lines.push(engine(precision, Work::Step, 0.004, true));
            lines.push(engine(precision, Work::Rank, 0.001, false));
        }
        lines.extend(
            [Work::Step, Work::Rank]
                .iter()
                .flat_map(|&work| modes.iter().map(move |mode| peer(mode, work, 0.008))),
        );
        lines
    }

    fn record() -> Record {
        let settings = Settings {
            date: "2026-01-31".to_owned(),
            name: "gpu".to_owned(),
            rounds: 1,
            steps: 12,
            sweeps: 10,
            threads: 2,
        };
        let mut record = Record::new(settings);
        record.machine["gpu"] = json!({
            "name": "NVIDIA H100", "compute_capability": "9.0", "memory_gib": 80, "driver": "580.95.05", "nvrtc": "13.2",
        });
        record.quiet.push(Quiet { load: Some(0.1), busy: Some(0.0) });
        record.rounds.push(lines(&MODES));
        record
    }

    #[test]
    fn a_record_of_a_gpu_names_it_and_has_no_goals() {
        let record = record();
        record.check().unwrap();
        let text = summary::of(&record).unwrap();
        for part in [
            "the engine and PyTorch on cuda:0",
            "| GPU | NVIDIA H100, compute capability 9.0, 80 GiB |",
            "| driver | NVIDIA driver 580.95.05, NVRTC 13.2 |",
            "cuDNN 92600, cudnn.benchmark = true, TF32 in convolutions: true, in matrix products: false |",
            "PyTorch eager: TF32, engine bf16: bf16, engine f32: 3xTF32 |",
            "--device cuda:0 --sweeps 10 --compile-paths 0 --name gpu",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        for part in ["≥ 3", "## Kernels", "## Memory", "torch.compile"] {
            assert!(!text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn the_step_is_shown_with_and_without_gradient_variance() {
        let text = summary::of(&record()).unwrap();
        for row in [
            "| train step with gradient variance, batch 256 | f32 | 4.00 | 4.00 | eager | 8.00 | 8.00 | 6.00 | 2.00 (2.00 to 2.00) | 2.00 | 1.50 |",
            "| train step without gradient variance, batch 256 | bf16 | 2.00 | 2.00 | bf16 | 8.00 | 8.00 | 6.00 | 4.00 (4.00 to 4.00) | 4.00 | 3.00 |",
            "| forward, batch 512 | f32 | 1.00 | 1.00 | channels_last | 8.00 | 8.00 | 6.00 | 8.00 (8.00 to 8.00) | 8.00 | 6.00 |",
        ] {
            assert!(text.contains(row), "{row}\n{text}");
        }
    }

    #[test]
    fn sizes_of_a_trial_stand_in_its_command() {
        let mut record = record();
        for line in record.rounds.iter_mut().flatten() {
            (line["batch"], line["cells"]) = (json!(2), json!(1));
        }
        record.check().unwrap();
        let text = summary::of(&record).unwrap();
        for part in ["--compile-paths 0 --batch 2 --cells 1 --name", "N = 1,", "| forward, batch 2 |"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn the_compiler_has_a_table_of_its_own_or_a_reason() {
        let mut record = record();
        record.compiled = Some(Compiled { paths: 2, lines: lines(&COMPILED_MODES), failure: None });
        record.check().unwrap();
        let text = summary::of(&record).unwrap();
        let row = "| train step with gradient variance, batch 256 | f32 | 4.00 | 4.00 | compile | 8.00 |";
        for part in ["## With torch.compile", "which took `torch.compile` 61 s", row, "--compile-paths 2"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        record.compiled =
            Some(Compiled { paths: 2, lines: vec![], failure: Some("no C compiler".to_owned()) });
        record.check().unwrap();
        assert!(summary::of(&record).unwrap().contains("PyTorch failed: no C compiler"));
    }

    #[test]
    fn other_work_on_one_side_is_an_error() {
        for (field, other) in [("sweeps", json!(1)), ("device", json!("cuda:1"))] {
            let mut record = record();
            record.rounds[0].last_mut().unwrap()[field] = other;
            let error = record.check().unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
    }

    /// The part of `torch.compile` is kept, too.
    #[test]
    fn a_record_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("2026-01-31-gpu");
        let mut written = record();
        written.compiled = Some(Compiled { paths: 2, lines: lines(&COMPILED_MODES), failure: None });
        written.write(&folder).unwrap();
        let read = Record::read(&folder).unwrap();
        assert_eq!(summary::of(&read).unwrap(), summary::of(&written).unwrap());
    }
}
