//! The summary of a folder of results, as Markdown.

use std::fmt::Write as _;

use serde_json::Value;

use super::results::{Outcome, Results};

/// Number of kernels that a table shows.
const KERNELS: usize = 20;
/// The mode of PyTorch that times are compared with: the default of untuned code.
const EAGER: &str = "eager";

/// A line that a benchmark printed.
struct Timing {
    json: Value,
    side: Side,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Engine,
    PyTorch,
}

impl Timing {
    fn parse(line: &str) -> Option<Self> {
        let json: Value = serde_json::from_str(line).ok()?;
        json["mean_s"].as_f64()?;
        let side = if json.get("peer").is_some() { Side::PyTorch } else { Side::Engine };
        Some(Self { json, side })
    }

    fn text(&self, field: &str) -> &str {
        self.json[field].as_str().unwrap_or("?")
    }

    fn milliseconds(&self, field: &str) -> f64 {
        self.json[field].as_f64().unwrap_or(f64::NAN) * 1e3
    }

    /// Returns the name of the side and its precision.
    fn who(&self) -> String {
        let name = match self.side {
            Side::Engine => "engine",
            Side::PyTorch => "PyTorch",
        };
        let variance = self.json["gradient_variance"].as_bool() == Some(true);
        format!("{name}, {}{}", self.text("mode"), if variance { ", with gradient variance" } else { "" })
    }

    /// Returns `true` if both lines describe the same work.
    fn is_of(&self, other: &Self) -> bool {
        ["space", "task", "batch"].iter().all(|field| self.json[field] == other.json[field])
    }
}

/// Returns the whole summary.
pub(super) fn of(results: &Results) -> String {
    let mut out = String::new();
    let card = results.fact("card").unwrap_or("no log of the environment");
    let _ = writeln!(out, "# GPU {}: {card}\n", results.command);
    let _ = writeln!(
        out,
        "`bash run.sh {}` of the GPU kit of commit {}, on {}. NVIDIA driver {}, PyTorch {}.\n",
        results.command,
        results.commit,
        results.date,
        results.fact("driver").unwrap_or("not found"),
        results.fact("torch").unwrap_or("not found"),
    );
    write_stages(&mut out, results);
    let lines = results.logs.values().flat_map(|log| log.lines());
    let timings: Vec<Timing> = lines.filter_map(Timing::parse).collect();
    write_times(&mut out, &timings);
    for timing in &timings {
        write_kernels(&mut out, timing);
    }
    out
}

fn write_stages(out: &mut String, results: &Results) {
    let count =
        |is_it: fn(Outcome) -> bool| results.stages.iter().filter(|stage| is_it(stage.outcome())).count();
    let (passed, skipped) = (count(|o| o == Outcome::Passed), count(|o| o == Outcome::Skipped));
    let failed = results.stages.len() - passed - skipped;
    let _ = writeln!(out, "{passed} passed, {failed} failed, {skipped} skipped.\n");
    out.push_str("| stage | result | seconds | most telling line of its log |\n|---|---|---|---|\n");
    for stage in &results.stages {
        let result = match stage.outcome() {
            Outcome::Passed => "passed".to_owned(),
            Outcome::Skipped => "skipped".to_owned(),
            Outcome::Failed(code) => format!("**failed, code {code}**"),
        };
        // The last line of a benchmark is JSON.
        let text = if stage.text.starts_with('{') { "its times are below" } else { &stage.text };
        let _ = writeln!(out, "| {} | {result} | {:.1} | {} |", stage.name, stage.seconds, cell(text));
    }
}

fn write_times(out: &mut String, timings: &[Timing]) {
    if timings.is_empty() {
        return;
    }
    out.push_str(
        "\n## Training steps and ranking passes\n\n`train` is a training step, `rank` a forward pass with twice the images. The last column \
         is how many times as fast as PyTorch's eager mode it is, by the mean.\n\n\
         | space | work | by | mean, ms | median, ms | images/s | × eager |\n|---|---|---|---|---|---|---|\n",
    );
    for timing in timings {
        let eager =
            timings.iter().find(|t| t.side == Side::PyTorch && t.text("mode") == EAGER && t.is_of(timing));
        let ratio = eager.map(|eager| eager.milliseconds("mean_s") / timing.milliseconds("mean_s"));
        let _ = writeln!(
            out,
            "| {} | {} | {} | {:.2} | {:.2} | {:.0} | {} |",
            cell(timing.text("space")),
            cell(timing.text("task")),
            cell(&timing.who()),
            timing.milliseconds("mean_s"),
            timing.milliseconds("median_s"),
            timing.json["images_per_s"].as_f64().unwrap_or(f64::NAN),
            ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}")),
        );
    }
}

/// Writes the table of a benchmark's kernels, if it timed them.
fn write_kernels(out: &mut String, timing: &Timing) {
    let Some(kernels) = timing.json["kernels"].as_array() else { return };
    let _ =
        writeln!(out, "\n## Kernels: {}, {}, {}\n", timing.text("space"), timing.text("task"), timing.who());
    if let Some(busy) = timing.json["kernel_microseconds_per_step"].as_f64() {
        let all = timing.milliseconds("mean_s");
        let _ = writeln!(out, "The kernels take {:.2} ms of {all:.2} ms.\n", busy / 1e3);
    }
    out.push_str("| kernel | blocks | launches per step | µs per launch | share |\n|---|---|---|---|---|\n");
    for kernel in kernels.iter().take(KERNELS) {
        let number = |field: &str| kernel[field].as_f64().unwrap_or(f64::NAN);
        let blocks =
            kernel["blocks"].as_array().map(|blocks| blocks.iter().map(Value::to_string).collect::<Vec<_>>());
        let _ = writeln!(
            out,
            "| {} | {} | {:.1} | {:.1} | {:.1} % |",
            cell(kernel["kernel"].as_str().unwrap_or("?")),
            blocks.unwrap_or_default().join("×"),
            number("launches_per_step"),
            number("microseconds"),
            100.0 * number("share"),
        );
    }
    if kernels.len() > KERNELS {
        let _ = writeln!(out, "\n{} more rows are in the log.", kernels.len() - KERNELS);
    }
}

/// Escapes text for a table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
