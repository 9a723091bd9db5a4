use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::Context;
use serde_json::Value;

use super::engine::Work;
use super::gpu_summary;
use super::machine::{BUSY, Quiet};
use super::record::{CPU, Record, Side};
use super::sides::{MODES, PRECISIONS};
use super::space::{Extents, Space};
use super::statistics::{Line, Ratio, median};

/// Goals: speedup of the engine with a precision over a mode of PyTorch.
const GOALS: [(Space, Work, &str, &str, f64); 11] = [
    (Space::Nb201, Work::Step, "f32", "eager", 3.0),
    (Space::Nb201, Work::Step, "f32", "channels_last", 1.7),
    (Space::Nb201, Work::Step, "bf16", "eager", 6.0),
    (Space::Nb201, Work::Step, "bf16", "bf16", 3.0),
    (Space::Nb201, Work::Rank, "f32", "eager", 8.0),
    (Space::Nb201, Work::Rank, "f32", "channels_last", 4.5),
    (Space::Nb201, Work::Rank, "bf16", "bf16", 3.0),
    (Space::Darts, Work::Step, "f32", "eager", 5.0),
    (Space::Darts, Work::Step, "f32", "channels_last", 4.0),
    (Space::Proxyless, Work::Step, "f32", "eager", 4.0),
    (Space::Proxyless, Work::Step, "f32", "channels_last", 2.5),
];
/// Goals: speedup of ranking all architectures over a mode of PyTorch.
const RANKING_GOALS: [(&str, &str, f64); 2] = [("f32", "eager", 10.0), ("bf16", "bf16", 4.0)];
/// Goal: largest memory of a train step, as a fraction of PyTorch's eager mode.
const MEMORY_GOAL: f64 = 0.5;
/// The smallest number of rounds for a claim.
const ROUNDS: usize = 5;
const PERCENT: f64 = 100.0;
const MB: f64 = 1e6;
const HOUR: f64 = 3600.0;

/// Returns the record as Markdown.
pub(crate) fn of(record: &Record) -> anyhow::Result<String> {
    let mut out = head(record)?;
    if record.device() != CPU {
        gpu_summary::times(record, &mut out)?;
        gpu_summary::compiled(record, &mut out)?;
        return Ok(out);
    }
    times(record, &mut out)?;
    if record.is_whole()? {
        ranking(record, &mut out)?;
        memory(record, &mut out)?;
        curve("batch", "images of a batch", &record.batches, &mut out)?;
        curve("cells", "cells per stage (N), batch 256", &record.cells, &mut out)?;
        kernels(&record.ops, &mut out)?;
    }
    Ok(out)
}

fn head(record: &Record) -> anyhow::Result<String> {
    let (settings, machine) = (&record.settings, &record.machine);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut out = String::new();
    let device = if record.device() == CPU { "the CPU" } else { record.device() };
    writeln!(out, "# {}: {}, the engine and PyTorch on {device}\n", settings.date, settings.name)?;
    if let Some(note) = noise(&record.quiet) {
        writeln!(out, "**{note}**\n")?;
    }
    if settings.rounds < ROUNDS {
        writeln!(out, "**Only {} of at least {ROUNDS} rounds: a trial, not a claim.**\n", settings.rounds)?;
    }
    let peer = record.rounds.iter().flatten().find_map(|line| line["peer"].as_str());
    let names = record.rounds.iter().flatten().filter_map(|line| line["engine"].as_str());
    let names = names.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("; ");
    writeln!(out, "| | |\n|---|---|")?;
    writeln!(out, "| processor | {}, {} cores |", text(&machine["cpu"]), machine["cores"])?;
    let flags = machine["flags"].as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
    writeln!(out, "| instructions | {} |", flags.join(", "))?;
    writeln!(out, "| system | {}, {} GiB |", text(&machine["os"]), machine["memory_gib"])?;
    writeln!(out, "| engine | {names}; {} |", text(&machine["rustc"]))?;
    writeln!(out, "| peer | {} |", peer.unwrap_or("?"))?;
    if record.device() != CPU {
        gpu_summary::head(record, &mut out)?;
    }
    writeln!(out, "| commit | {} |", text(&machine["commit"]))?;
    for work in [Work::Step, Work::Rank] {
        for precision in PRECISIONS {
            let sums = record.field(work, Side::Engine(precision), "checksum")?;
            writeln!(out, "| checksum of `{}`, {precision} | {}, in every round |", work.command(), sums[0])?;
        }
    }
    let (rounds, steps, threads) = (settings.rounds, settings.steps, settings.threads);
    let (more, work) = match record.space()? {
        _ if record.device() != CPU => gpu_summary::command(record)?,
        Space::Nb201 => {
            let ranked = number(&record.ranking.lines[0], "steps")?;
            (format!("--ranked {ranked}"), "C = 16, N = 5, 3×32×32".to_owned())
        }
        space @ Space::Darts => (format!("--space {}", space.name()), "C = 16, 8 cells, 3×32×32".to_owned()),
        space @ Space::Proxyless => (format!("--space {}", space.name()), "21 layers, 3×224×224".to_owned()),
    };
    writeln!(
        out,
        "\n`cargo xtask bench compare --peer DIR --python PYTHON --rounds {rounds} --steps {steps} --threads {threads} \
         {more} --name {}`; {work}. All samples: [samples.json](samples.json).\n",
        settings.name
    )?;
    Ok(out)
}

/// Returns the note about other work on the machine.
fn noise(quiet: &[Quiet]) -> Option<String> {
    let noisy: Vec<_> = quiet.iter().filter(|q| !q.holds()).collect();
    let most = noisy.iter().filter_map(|q| q.busy).fold(f64::NAN, f64::max);
    match noisy.len() {
        0 => None,
        n if most.is_nan() => Some(format!("Before {n} rounds it is not known whether anything else ran.")),
        n => Some(format!(
            "Not a quiet machine: before {n} of {} rounds more than {BUSY} cores were in use, up to {most:.1}. \
             These times are no claim.",
            quiet.len()
        )),
    }
}

fn times(record: &Record, out: &mut String) -> anyhow::Result<()> {
    let space = record.space()?;
    let (rounds, steps) = (record.settings.rounds, record.settings.steps);
    writeln!(out, "## Time\n")?;
    writeln!(
        out,
        "Medians over {rounds} rounds. A path can cost five times as much as another, so both are shown: the median over {steps} \
         paths, with the least and greatest ratio of a round, and the mean, which is the work as a whole. The goals, those that \
         the engine was designed for, are for medians.\n"
    )?;
    writeln!(
        out,
        "| work | engine | engine, s | PyTorch | PyTorch, s | ratio of medians | goal | met | ratio of means |\n|---|---|---|---|---|---|---|---|---|"
    )?;
    for (work, precision) in [Work::Step, Work::Rank].into_iter().flat_map(|w| PRECISIONS.map(|p| (w, p))) {
        let engine = record.field(work, Side::Engine(precision), "median_s")?;
        for mode in MODES {
            let peer = record.field(work, Side::Peer(mode), "median_s")?;
            let ratio = Ratio::of(&peer, &engine);
            let [own_mean, peer_mean] = [Side::Engine(precision), Side::Peer(mode)]
                .map(|side| record.field(work, side, "mean_s").map(|means| median(&means)));
            let goal = GOALS
                .iter()
                .find(|goal| (goal.0, goal.1, goal.2, goal.3) == (space, work, precision, mode))
                .map(|goal| goal.4);
            writeln!(
                out,
                "| {}, batch {} | {precision} | {:.3} | {mode} | {:.3} | {:.2} ({:.2} to {:.2}) | {} | {:.2} |",
                if work == Work::Step { "train step" } else { "forward" },
                space.batch(work, &Extents::default()),
                median(&engine),
                median(&peer),
                ratio.value,
                ratio.least,
                ratio.greatest,
                at_least(goal, ratio.value),
                peer_mean? / own_mean?
            )?;
        }
    }
    Ok(())
}

fn ranking(record: &Record, out: &mut String) -> anyhow::Result<()> {
    let [own_passes, peer_passes] = record.passes();
    let (ranking, sample) = (&record.ranking, number(&record.ranking.lines[0], "steps")?);
    writeln!(out, "\n## Ranking all {} architectures on 10,000 images, projected\n", ranking.archs)?;
    writeln!(
        out,
        "Mean time of a forward pass of 512 images times passes. The engine scores each of the {} architectures that differ \
         with shared weights once: its mean is over {sample} of those, drawn at random. PyTorch's mean is over the paths \
         above, without the loader that the released loop starts for every architecture.\n",
        ranking.distinct
    )?;
    writeln!(
        out,
        "| engine | mean, s | passes | hours | PyTorch | mean, s | passes | hours | ratio | goal | met |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|---|---|---|")?;
    for (precision, line) in PRECISIONS.iter().zip(&ranking.lines) {
        let own = number(line, "mean_s")?;
        let own_hours = own * own_passes as f64 / HOUR;
        for mode in MODES {
            let peer = median(&record.field(Work::Rank, Side::Peer(mode), "mean_s")?);
            let hours = peer * peer_passes as f64 / HOUR;
            let goal =
                RANKING_GOALS.iter().find(|goal| (goal.0, goal.1) == (*precision, mode)).map(|goal| goal.2);
            writeln!(
                out,
                "| {precision} | {own:.3} | {own_passes} | {own_hours:.2} | {mode} | {peer:.3} | {peer_passes} | {hours:.2} | {:.2} | {} |",
                hours / own_hours,
                at_least(goal, hours / own_hours)
            )?;
        }
    }
    Ok(())
}

fn memory(record: &Record, out: &mut String) -> anyhow::Result<()> {
    writeln!(out, "\n## Memory of a train step, batch 256\n")?;
    writeln!(
        out,
        "Of a process: what it has before the first step, the most it has had after a few, and the difference, which is the \
         step's own; the same paths on both sides.\n"
    )?;
    writeln!(out, "| | before, MB | most, MB | step, MB |\n|---|---|---|---|")?;
    let mut sides = Vec::new();
    for (name, line) in ["engine", "PyTorch eager"].iter().zip(&record.memory) {
        let (Ok(before), Ok(most)) = (number(line, "setup_bytes"), number(line, "peak_bytes")) else {
            writeln!(out, "| {name} | not known on this system | | |")?;
            continue;
        };
        writeln!(out, "| {name} | {:.0} | {:.0} | {:.0} |", before / MB, most / MB, (most - before) / MB)?;
        sides.push((most, most - before));
    }
    if let [own, peer] = sides[..] {
        let (step, whole) = (own.1 / peer.1, own.0 / peer.0);
        let met = if step <= MEMORY_GOAL { "met" } else { "not met" };
        writeln!(
            out,
            "\nThe step's share of eager's: **{step:.2}** (goal: at most {MEMORY_GOAL}, {met}); of the whole process: {whole:.2}."
        )?;
    }
    Ok(())
}

fn curve(field: &str, what: &str, lines: &[Value], out: &mut String) -> anyhow::Result<()> {
    let points = lines
        .iter()
        .map(|line| Ok((number(line, field)?, number(line, "mean_s")?)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let line = Line::through(&points);
    writeln!(out, "\n## Time of a train step by {what}\n")?;
    writeln!(out, "| {field} | mean, s | the line, s |\n|---|---|---|")?;
    for (x, seconds) in points {
        writeln!(out, "| {x} | {seconds:.4} | {:.4} |", line.start + line.slope * x)?;
    }
    writeln!(
        out,
        "\nThe line: {:.4} s + {:.6} s · {field}; the times are at most {:.1} % off it.",
        line.start,
        line.slope,
        PERCENT * line.off
    )?;
    Ok(())
}

fn kernels(ops: &Value, out: &mut String) -> anyhow::Result<()> {
    let (flops, bytes) = (number(ops, "peak_gflops")?, number(ops, "peak_gbytes_per_s")?);
    writeln!(out, "\n## Kernels\n")?;
    writeln!(
        out,
        "On {} threads, `f32`. Limits, measured: {flops:.0} GFLOP/s of multiply-adds in registers, {bytes:.1} GB/s of a copy in \
         memory, which is a measurement too: a little over 100 % is its noise. A kernel's own limit is the longer of the times that these two leave it. Images come from memory; what is \
         padded stays in the cache and counts no bytes.\n",
        ops["threads"]
    )?;
    writeln!(
        out,
        "| kernel | shape | images | ms | GFLOP | MB | GFLOP/s | of the peak | of its limit |\n|---|---|---|---|---|---|---|---|---|"
    )?;
    for kernel in ops["kernels"].as_array().context("bench ops has no kernels")? {
        let text = |field: &str| kernel[field].as_str().unwrap_or("?").to_owned();
        writeln!(
            out,
            "| {} | {} | {} | {:.2} | {:.2} | {:.0} | {:.1} | {:.0} % | {:.0} % |",
            text("kernel"),
            text("shape"),
            kernel["images"],
            1e3 * number(kernel, "seconds")?,
            number(kernel, "flops")? / 1e9,
            number(kernel, "bytes")? / MB,
            number(kernel, "gflops")?,
            PERCENT * number(kernel, "share_of_flops")?,
            PERCENT * number(kernel, "share_of_limit")?
        )?;
    }
    Ok(())
}

/// Cells of a table: a goal and whether it is met.
fn at_least(goal: Option<f64>, value: f64) -> String {
    match goal {
        None => "– | –".to_owned(),
        Some(goal) => format!("≥ {goal} | {}", if value >= goal { "yes" } else { "**no**" }),
    }
}

fn number(line: &Value, field: &str) -> anyhow::Result<f64> {
    line[field].as_f64().with_context(|| format!("a benchmark printed no {field}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::record::{Ranking, Settings};
    use super::*;

    fn line(side: &str, mode: &str, work: Work, seconds: f64) -> Value {
        json!({
            side: "its name", "space": "nb201", "task": work.task(), "mode": mode, "batch": Space::Nb201.batch(work, &Extents::default()), "cells": 5, "threads": 2,
            "steps": 12, "mean_s": seconds, "median_s": seconds, "checksum": 7.5,
            "setup_bytes": 100e6, "peak_bytes": 100e6 + 500e6 * seconds,
        })
    }

    fn record() -> Record {
        let settings = Settings {
            date: "2026-01-31".to_owned(),
            name: "trial".to_owned(),
            rounds: 1,
            steps: 12,
            sweeps: 1,
            threads: 2,
        };
        let mut record = Record::new(settings);
        record.quiet.push(Quiet { load: Some(3.0), busy: Some(1.9) });
        let lines = [Work::Step, Work::Rank].into_iter().flat_map(|work| {
            let peer = MODES.iter().map(move |mode| line("peer", mode, work, 4.0));
            PRECISIONS.iter().map(move |precision| line("engine", precision, work, 1.0)).chain(peer)
        });
        record.rounds.push(lines.collect());
        record.memory = [line("engine", "f32", Work::Step, 1.0), line("peer", "eager", Work::Step, 4.0)];
        record.batches = vec![json!({ "batch": 32, "mean_s": 0.1 }), json!({ "batch": 64, "mean_s": 0.2 })];
        record.cells = vec![json!({ "cells": 1, "mean_s": 0.1 }), json!({ "cells": 3, "mean_s": 0.3 })];
        let ranked = line("engine", "f32", Work::Rank, 0.9);
        record.ranking = Ranking { lines: vec![ranked.clone(), ranked], distinct: 9000, archs: 15_625 };
        record.ops = json!({ "threads": 2, "peak_gflops": 350.0, "peak_gbytes_per_s": 20.0, "kernels": [] });
        record
    }

    #[test]
    fn goals_stand_beside_ratios() {
        let record = record();
        record.check().unwrap();
        let text = of(&record).unwrap();
        for row in [
            "| train step, batch 256 | f32 | 1.000 | eager | 4.000 | 4.00 (4.00 to 4.00) | ≥ 3 | yes | 4.00 |",
            "| forward, batch 512 | f32 | 1.000 | eager | 4.000 | 4.00 (4.00 to 4.00) | ≥ 8 | **no** | 4.00 |",
            "| f32 | 0.900 | 180000 | 45.00 | eager | 4.000 | 312500 | 347.22 | 7.72 | ≥ 10 | **no** |",
            "The step's share of eager's: **0.25** (goal: at most 0.5, met)",
            "the times are at most 0.0 % off it",
        ] {
            assert!(text.contains(row), "{row}\n{text}");
        }
    }

    #[test]
    fn noise_and_few_rounds_stand_on_top() {
        let text = of(&record()).unwrap();
        assert!(text.contains("Not a quiet machine"), "{text}");
        assert!(text.contains("Only 1 of at least 5 rounds"), "{text}");
    }

    #[test]
    fn other_work_on_one_side_is_an_error() {
        let mut record = record();
        record.rounds[0][1]["batch"] = json!(128);
        let error = record.check().unwrap_err().to_string();
        assert!(error.contains("batch is 256 on one side and 128 on the other"), "{error}");
    }
}
