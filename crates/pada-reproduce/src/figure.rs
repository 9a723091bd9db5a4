use std::path::{Path, PathBuf};

use pada::report::{Axes, Curve, Origin, Spread, ZeroCostRow, curve_plot, late_gv, scientific};
use pada::space::{Nb201, SearchSpace, SubSpace};

use crate::environment::{MEMORY, csv_bytes, write_whole};
use crate::methods::{Method, PADA, SPOS};
use crate::runner::{Finished, Plan, Progress, Runner, Work};
use crate::table::changed;
use crate::trials::Trial;
use crate::{Environment, ReproduceError, scores};

/// The operations of the supernets, which are nested sets: the first n operations, n = 2 to 5, the last with all 15,625 architectures.
/// DIFFERS: the slides do not name their sets. This order starts with the operations of good architectures and ends with `none`.
const OPS: [&str; 5] = ["skip_connect", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3", "none"];
const SIZES: std::ops::RangeInclusive<usize> = 2..=OPS.len();
const METHODS: [&str; 2] = [SPOS, PADA];
const ARCHS: &str = "archs.txt";
const TAU: &str = "tau.svg";
const COLUMNS: [&str; 9] = [
    "method",
    "ops",
    "seeds",
    "gv_mean",
    "gv_sd",
    "gv_scale_free_mean",
    "gv_scale_free_sd",
    "tau_b_mean",
    "tau_b_sd",
];
const NOTE: &str = "Every supernet ranks the same 64 architectures, those of the smallest set, so that only the amount of weight \
                    sharing changes. Stand-alone accuracies are those of NAS-Bench-201, CIFAR-10 test after 200 epochs.";

/// Trains supernets over 2, 3, 4 and 5 operations per edge. Returns the path of the table of gradient variance and tau-b.
pub(crate) fn run(
    plan: &Plan,
    work: Option<&Work>,
    environment: &Environment<'_>,
) -> Result<PathBuf, ReproduceError> {
    let names = match plan.methods.as_slice() {
        [] => METHODS.map(str::to_owned).to_vec(),
        names => names.to_vec(),
    };
    let methods = Method::of_table("figure-gv", &names)?;
    if let Some(method) = methods.iter().find(|method| method.paths_of_pada.is_some()) {
        return Err(ReproduceError::Usage(format!(
            "--methods: {} repeats paths over all five operations",
            method.name
        )));
    }
    let common = ["rank.truth=nb201".to_owned(), "rank.compare=[]".to_owned()];
    let runner = Runner::new("figure-gv", plan, work, &common, environment)?;
    let archs = runner.out.join(ARCHS);
    write_whole(&archs, smallest_set()?.as_bytes())?;
    let variables = plan.preset.variables(&runner.base);
    let mut trials = Vec::new();
    for seed in 0..plan.seeds {
        for method in &methods {
            for size in SIZES {
                let mut set = common.to_vec();
                set.push(format!("rank.archs={:?}", archs.display().to_string()));
                set.extend(method.assignments(&variables));
                set.push(format!("supernet.ops={:?}", &OPS[..size]));
                set.extend_from_slice(&plan.set);
                let trial = Trial::new(method, seed, set);
                trials.push(Trial { name: format!("{}-ops{size}-s{seed}", method.name), ..trial });
            }
        }
    }
    let title = format!("Gradient variance and sharing, preset {}{}", plan.preset.name(), changed(&plan.set));
    let mut notes = vec![plan.preset.note(&runner.base, &plan.set), NOTE.to_owned(), sets()];
    notes.extend(runner.written_by.clone());
    let file = runner.out.join("figure-gv.md");
    let mut write = |progress: &Progress| {
        let rows = rows(&methods, progress)?;
        write_files(&title, &notes, &rows, progress, trials.len(), &file)
    };
    let (progress, end) = runner.run(&trials, &mut write)?;
    runner.conclude(&progress, end, &file)?;
    Ok(file)
}

/// Returns the note about the operations of the supernets. Their share of convolutions differs too, not only their number.
fn sets() -> String {
    let set = |size: usize| {
        let convolutions = OPS[..size].iter().filter(|op| op.contains("conv")).count();
        format!("{size} are {} ({convolutions} of {size} convolutions)", OPS[..size].join(", "))
    };
    format!("Operations: {}.", SIZES.map(set).collect::<Vec<_>>().join("; "))
}

/// Returns the architectures of the smallest set, one per line.
fn smallest_set() -> Result<String, ReproduceError> {
    let space = Nb201::new();
    let names: Vec<String> = OPS[..*SIZES.start()].iter().map(|&name| name.to_owned()).collect();
    let part = SubSpace::with_ops(&space, &names).map_err(pada::PadaError::from)?;
    Ok(space.archs().filter(|arch| part.contains(arch)).map(|arch| format!("{arch}\n")).collect())
}

/// A method with a number of operations per edge.
struct Row {
    method: String,
    label: String,
    size: usize,
    seeds: usize,
    gv: Option<Spread>,
    gv_scale_free: Option<Spread>,
    tau_b: Option<Spread>,
}

fn rows(methods: &[Method], progress: &Progress) -> Result<Vec<Row>, ReproduceError> {
    let mut rows = Vec::new();
    for method in methods {
        for size in SIZES {
            let start = format!("{}-ops{size}-s", method.name);
            let runs: Vec<&Finished> =
                progress.finished.iter().filter(|finished| finished.trial.name.starts_with(&start)).collect();
            let tau = |finished: &&Finished| Some(finished.record.ranking.as_ref()?.main_metrics()?.tau_b);
            rows.push(Row {
                method: method.name.clone(),
                label: method.row_name().label,
                size,
                seeds: runs.len(),
                gv: Spread::of(runs.iter().filter_map(|f| {
                    late_gv(&f.record.epochs, f.record.sub_supernets.len(), |epoch| epoch.gv)
                })),
                gv_scale_free: Spread::of(runs.iter().filter_map(|f| {
                    late_gv(&f.record.epochs, f.record.sub_supernets.len(), |epoch| epoch.gv_scale_free)
                })),
                tau_b: Spread::of(runs.iter().filter_map(tau)),
            });
        }
    }
    Ok(rows)
}

fn write_files(
    title: &str,
    notes: &[String],
    rows: &[Row],
    progress: &Progress,
    trials: usize,
    file: &Path,
) -> Result<(), ReproduceError> {
    let mut markdown = format!("# {title}\n\n");
    notes.iter().for_each(|note| markdown += &format!("- {note}\n"));
    let missing = trials - progress.finished.len() - progress.failed.len();
    if missing > 0 {
        markdown += &format!("- **Not finished:** {missing} runs are still to come.\n");
    }
    for failed in &progress.failed {
        markdown += &format!("- **Failed:** {}: {}\n", failed.trial, failed.reason);
    }
    markdown += "\n| method | operations | seeds | GV | GV, no scale | tau-b |\n|---|--:|--:|--:|--:|--:|\n";
    let mut csv = csv::Writer::from_writer(vec![]);
    csv.write_record(COLUMNS).expect(MEMORY);
    for row in rows {
        let Row { method, label, size, seeds, .. } = row;
        let plain = |v: Option<Spread>| v.map_or("–".into(), |v| v.to_string());
        let (gv, free, tau) = (scientific(row.gv), plain(row.gv_scale_free), plain(row.tau_b));
        markdown += &format!("| {label} | {size} | {seeds} | {gv} | {free} | {tau} |\n");
        let spreads = [row.gv, row.gv_scale_free, row.tau_b];
        let numbers = spreads.into_iter().flat_map(|v| [v.map(|v| v.mean), v.and_then(|v| v.sd)]);
        let fields = numbers.map(|v| v.map(|v| v.to_string()).unwrap_or_default());
        let names = [method.to_owned(), size.to_string(), seeds.to_string()];
        csv.write_record(names.into_iter().chain(fields)).expect(MEMORY);
    }
    let free = zero_cost(progress);
    for ZeroCostRow { name, metrics } in free {
        markdown += &format!("| *no supernet: {name}* | – | – | – | – | {:.3} |\n", metrics.tau_b);
    }
    write_whole(file, markdown.as_bytes())?;
    scores::write(progress, &file.with_file_name("scores.csv"))?;
    write_whole(&file.with_extension("csv"), &csv_bytes(csv))?;
    let plots: [(&str, &str, Column); 3] = [
        ("gv.svg", "gradient variance", |row| row.gv),
        ("gv-scale-free.svg", "gradient variance / squared mean gradient", |row| row.gv_scale_free),
        (TAU, "tau-b", |row| row.tau_b),
    ];
    for (name, y, of) in plots {
        let axes = Axes { x: "operations per edge", y };
        let mut curves = curves(rows, of);
        if name == TAU {
            curves.extend(free.iter().map(line));
        }
        let plot = curve_plot(title, &axes, Origin::Data, &curves)?;
        write_whole(&file.with_file_name(name), plot.as_bytes())?;
    }
    Ok(())
}

/// Returns the zero-cost baselines, which are the same for all supernets, because all rank the same architectures.
fn zero_cost(progress: &Progress) -> &[ZeroCostRow] {
    progress.first_agreement().map_or(&[], |agreement| &agreement.zero_cost)
}

/// Returns a horizontal line for a zero-cost baseline.
fn line(row: &ZeroCostRow) -> Curve {
    let at = |size: &usize| Some((*size as f64, Spread::of([row.metrics.tau_b])?));
    let ends = [SIZES.start(), SIZES.end()];
    Curve { label: format!("no supernet: {}", row.name), points: ends.into_iter().filter_map(at).collect() }
}

/// Selects the value that a plot shows of a row.
type Column = fn(&Row) -> Option<Spread>;

fn curves(rows: &[Row], of: Column) -> Vec<Curve> {
    let point = |row: &Row| Some((row.size as f64, of(row)?));
    rows.chunk_by(|a, b| a.method == b.method)
        .map(|rows| Curve { label: rows[0].label.clone(), points: rows.iter().filter_map(point).collect() })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_set_has_all_its_architectures() {
        let archs = smallest_set().unwrap();
        assert_eq!(archs.lines().count(), 64);
        assert!(archs.lines().all(|arch| arch.chars().all(|op| op == '1' || op == '3')), "{archs}");
    }

    #[test]
    fn a_curve_leaves_out_what_is_not_there_yet() {
        let row = |method: &str, size, tau| Row {
            method: method.to_owned(),
            label: method.to_owned(),
            size,
            seeds: 1,
            gv: None,
            gv_scale_free: None,
            tau_b: Spread::of(tau),
        };
        let rows = [row("a", 2, Some(0.5)), row("a", 3, None), row("b", 2, Some(0.25))];
        let curves = curves(&rows, |row| row.tau_b);
        assert_eq!(curves.iter().map(|c| c.points.len()).collect::<Vec<_>>(), [1, 1]);
    }
}
