use std::path::{Path, PathBuf};

use pada::report::{
    Axes, Bar, Curve, EpochRecord, Origin, Spread, ZeroCostRow, bar_plot, curve_plot, mean_gv, scientific,
};
use pada::space::{Nb201, SearchSpace, SubSpace};

use crate::environment::{MEMORY, csv_bytes, write_whole};
use crate::methods::{Method, PADA, SPOS};
use crate::runner::{Finished, Plan, Progress, Runner, Work};
use crate::table::changed;
use crate::trials::Trial;
use crate::{Environment, ReproduceError, scores};

/// The operations of the supernets of panel (a), which are nested sets: the first n operations, n = 1 to 5.
///
/// The smallest space that ranks several architectures has the first two operations, on six edges: 64 architectures. Every larger supernet
/// ranks the same 64.
///
/// # Source
/// The authors name the two operations in the issues of <https://github.com/ShunLu91/PA-DA>. The order of the other three is unverified.
const OPS: [&str; 5] = ["nor_conv_1x1", "nor_conv_3x3", "skip_connect", "avg_pool_3x3", "none"];
const SIZES: std::ops::RangeInclusive<usize> = 1..=OPS.len();
/// The number of operations of the space whose architectures are ranked.
const RANKED: usize = 2;
/// Methods of panel (a).
const METHODS: [&str; 2] = [SPOS, PADA];
/// Methods of panel (b): those rows of Table 1 that train a single supernet, each over all five operations.
const PANEL_B: [&str; 7] =
    [SPOS, "fairnas-released", "magic-at", "nsas-released-demo", "sumnas-released", "close", PADA];
const ARCHS: &str = "archs.txt";
/// The only architecture of the space with one operation.
const SINGLE: &str = "arch-of-one-operation.txt";
const TAU: &str = "tau.svg";
const COLUMNS: [&str; 10] = [
    "panel",
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
const NOTE: &str = "Panel (a): one method, supernets over 1 to 5 operations per edge. Panel (b): methods, each with a supernet over all \
                    5 operations. In both panels, tau-b is that of the same 64 architectures: the operations nor_conv_1x1 and \
                    nor_conv_3x3 on six edges. With one operation per edge, no two sub-models share weights and tau-b is 1 by \
                    definition; it is not measured. GV is the mean over all epochs; a step of FairNAS, Magic-AT and SUMNAS combines the gradients of several paths, and \
                    one of NSAS (released demo) has half of the gradient, so their GV is not comparable. Stand-alone accuracies are those of \
                    NAS-Bench-201, CIFAR-10 test after 200 epochs.";
const UNVERIFIED: &str = "Unverified: the order of the operations after the first two, which methods the slide's panel (b) shows, and the \
                          space on which they train.";

/// Trains supernets over 1 to 5 operations per edge, and supernets of several methods. Returns the path of the table of gradient variance and tau-b.
pub(crate) fn run(
    plan: &Plan,
    work: Option<&Work>,
    environment: &Environment<'_>,
) -> Result<PathBuf, ReproduceError> {
    let named = |usual: &[&str]| match plan.methods.as_slice() {
        [] => Method::of_table("figure-gv", &usual.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()),
        names => Method::of_table("figure-gv", names),
    };
    let (methods, panel_b) = (named(&METHODS)?, named(&PANEL_B)?);
    if let Some(method) = panel_b.iter().find(|method| method.paths_of_pada.is_some()) {
        return Err(ReproduceError::Usage(format!(
            "--methods: {} repeats paths over all five operations",
            method.name
        )));
    }
    let common = ["rank.truth=nb201".to_owned(), "rank.compare=[]".to_owned()];
    let runner = Runner::new("figure-gv", plan, work, &common, environment)?;
    let [archs, single] = [ARCHS, SINGLE].map(|file| runner.out.join(file));
    write_whole(&archs, archs_of(RANKED)?.as_bytes())?;
    write_whole(&single, archs_of(1)?.as_bytes())?;
    let variables = plan.preset.variables(runner.base.train.epochs);
    let mut trials = Vec::new();
    for seed in 0..plan.seeds {
        for method in &panel_b {
            let in_a = methods.iter().any(|other| other.name == method.name);
            // The largest supernet of panel (a) is that of panel (b).
            for size in if in_a { SIZES } else { OPS.len()..=OPS.len() } {
                let mut set = common.to_vec();
                let ranked = if size < RANKED { &single } else { &archs };
                set.push(format!("rank.archs={:?}", ranked.display().to_string()));
                set.extend(method.assignments(&variables));
                set.push(format!("supernet.ops={:?}", &OPS[..size]));
                set.extend_from_slice(&plan.set);
                let trial = Trial::new(method, seed, set);
                trials.push(Trial { name: format!("{}-ops{size}-s{seed}", method.name), ..trial });
            }
        }
    }
    let title = format!("Gradient variance and sharing, preset {}{}", plan.preset.name(), changed(&plan.set));
    let mut notes =
        vec![plan.preset.note(&runner.base, &plan.set), NOTE.to_owned(), sets(), UNVERIFIED.to_owned()];
    notes.extend(runner.written_by.clone());
    let file = runner.out.join("figure-gv.md");
    let mut write = |progress: &Progress| {
        let rows = [rows(&methods, SIZES, progress), rows(&panel_b, OPS.len()..=OPS.len(), progress)];
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

/// Returns the architectures of the space with the first operations, one per line.
fn archs_of(size: usize) -> Result<String, ReproduceError> {
    let space = Nb201::new();
    let names: Vec<String> = OPS[..size].iter().map(|&name| name.to_owned()).collect();
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
    /// `None` also for one operation per edge, where tau-b is 1 by definition.
    tau_b: Option<Spread>,
}

impl Row {
    /// Returns `true` if tau-b is 1 by definition.
    fn shares_nothing(&self) -> bool {
        self.size < RANKED
    }

    /// Returns the cell of tau-b in a table.
    fn tau_text(&self) -> String {
        match self.tau_b {
            _ if self.shares_nothing() => "1 (by definition)".to_owned(),
            None => "–".to_owned(),
            Some(tau_b) => tau_b.to_string(),
        }
    }

    /// Returns the tau-b of a plot, which is a value without a deviation if it is 1 by definition.
    fn tau_point(&self) -> Option<Spread> {
        if self.shares_nothing() { Spread::of([1.0]) } else { self.tau_b }
    }
}

fn rows(methods: &[Method], sizes: std::ops::RangeInclusive<usize>, progress: &Progress) -> Vec<Row> {
    let mut rows = Vec::new();
    for method in methods {
        for size in sizes.clone() {
            let start = format!("{}-ops{size}-s", method.name);
            let runs: Vec<&Finished> =
                progress.finished.iter().filter(|finished| finished.trial.name.starts_with(&start)).collect();
            let tau = |finished: &&Finished| Some(finished.record.ranking.as_ref()?.main_metrics()?.tau_b);
            let gv = |of: fn(&EpochRecord) -> Option<f64>| {
                Spread::of(runs.iter().filter_map(|finished| mean_gv(&finished.record.epochs, of)))
            };
            rows.push(Row {
                method: method.name.clone(),
                label: method.row_name().label,
                size,
                seeds: runs.len(),
                gv: gv(|epoch| epoch.gv),
                gv_scale_free: gv(|epoch| epoch.gv_scale_free),
                tau_b: if size < RANKED { None } else { Spread::of(runs.iter().filter_map(tau)) },
            });
        }
    }
    rows
}

fn write_files(
    title: &str,
    notes: &[String],
    [panel_a, panel_b]: &[Vec<Row>; 2],
    progress: &Progress,
    trials: usize,
    file: &Path,
) -> Result<(), ReproduceError> {
    let mut markdown = format!("# {title}\n\n");
    notes.iter().for_each(|note| markdown += &format!("- {note}\n"));
    let missing = trials - progress.finished.len() - progress.failed.len();
    if missing > 0 {
        markdown += &format!("- **Not finished:** {missing} runs are missing.\n");
    }
    for failed in &progress.failed {
        markdown += &format!("- **Failed:** {}: {}\n", failed.trial, failed.reason);
    }
    let mut csv = csv::Writer::from_writer(vec![]);
    csv.write_record(COLUMNS).expect(MEMORY);
    for (panel, title, rows) in
        [("a", "number of operations", panel_a), ("b", "methods, five operations", panel_b)]
    {
        markdown += &format!("\n## Panel ({panel}): {title}\n\n");
        markdown +=
            "| method | operations | seeds | GV | GV, no scale | tau-b |\n|---|--:|--:|--:|--:|--:|\n";
        for row in rows {
            let Row { method, label, size, seeds, .. } = row;
            let free = row.gv_scale_free.map_or_else(|| "–".to_owned(), |v| v.to_string());
            let (gv, tau) = (scientific(row.gv), row.tau_text());
            markdown += &format!("| {label} | {size} | {seeds} | {gv} | {free} | {tau} |\n");
            let spreads = [row.gv, row.gv_scale_free, row.tau_point()];
            let numbers = spreads.into_iter().flat_map(|v| [v.map(|v| v.mean), v.and_then(|v| v.sd)]);
            let fields = numbers.map(|v| v.map(|v| v.to_string()).unwrap_or_default());
            let names = [panel.to_owned(), method.to_owned(), size.to_string(), seeds.to_string()];
            csv.write_record(names.into_iter().chain(fields)).expect(MEMORY);
        }
    }
    let free = zero_cost(progress);
    markdown += "\n## Zero-cost baselines on the same 64 architectures\n\n| baseline | tau-b |\n|---|--:|\n";
    for ZeroCostRow { name, metrics, .. } in free {
        markdown += &format!("| {name} | {:.3} |\n", metrics.tau_b);
    }
    write_whole(file, markdown.as_bytes())?;
    scores::write(progress, &file.with_file_name("scores.csv"))?;
    write_whole(&file.with_extension("csv"), &csv_bytes(csv))?;
    let plots: [(&str, &str, Column); 3] = [
        ("gv.svg", "gradient variance", |row| row.gv),
        ("gv-scale-free.svg", "gradient variance / squared mean gradient", |row| row.gv_scale_free),
        (TAU, "tau-b", Row::tau_point),
    ];
    for (name, y, of) in plots {
        let axes = Axes { x: "operations per edge", y };
        let mut curves = curves(panel_a, of);
        if name == TAU {
            curves.extend(free.iter().map(line));
        }
        let plot = curve_plot(title, &axes, Origin::Data, &curves);
        write_whole(&file.with_file_name(name), plot.as_bytes())?;
        let bar =
            |row: &Row| Bar { label: row.label.clone(), value: of(row), points: vec![], published: None };
        let bars: Vec<Bar> = panel_b.iter().map(bar).collect();
        let plot = bar_plot(&format!("{title}: methods"), y, &bars, &[]);
        write_whole(&file.with_file_name(format!("methods-{name}")), plot.as_bytes())?;
    }
    Ok(())
}

/// Returns the zero-cost baselines, which are the same for all supernets that rank the 64 architectures.
fn zero_cost(progress: &Progress) -> &[ZeroCostRow] {
    let agreements =
        progress.finished.iter().filter_map(|run| run.record.ranking.as_ref()?.agreements.first());
    let mut ranked = agreements.filter(|agreement| agreement.metrics.as_ref().is_some_and(|m| m.n > 1));
    ranked.next().map_or(&[], |agreement| &agreement.zero_cost)
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
    fn all_supernets_rank_the_64_architectures_of_two_convolutions() {
        let archs = archs_of(RANKED).unwrap();
        assert_eq!(archs.lines().count(), 64);
        assert!(archs.lines().all(|arch| arch.chars().all(|op| op == '2' || op == '3')), "{archs}");
        assert_eq!(archs_of(1).unwrap(), "222222\n");
        let space = Nb201::new();
        for size in RANKED..=OPS.len() {
            let part = SubSpace::with_ops(&space, &OPS[..size]).unwrap();
            for arch in archs.lines() {
                assert!(part.contains(&space.parse(arch).unwrap()), "{arch} with {size} operations");
            }
        }
    }

    #[test]
    fn one_operation_per_edge_has_tau_1_by_definition() {
        let row = |size, tau_b| Row {
            method: "spos".to_owned(),
            label: "SPOS".to_owned(),
            size,
            seeds: 1,
            gv: None,
            gv_scale_free: None,
            tau_b,
        };
        assert_eq!(row(1, None).tau_text(), "1 (by definition)");
        assert_eq!(row(1, None).tau_point(), Spread::of([1.0]));
        assert_eq!(row(2, None).tau_text(), "–");
        assert_eq!(row(2, Spread::of([0.5])).tau_point(), Spread::of([0.5]));
    }

    #[test]
    fn methods_of_both_panels_are_rows_of_table_1() {
        let names: Vec<String> = METHODS.iter().chain(&PANEL_B).map(|name| (*name).to_owned()).collect();
        let methods = Method::of_table("figure-gv", &names).unwrap();
        assert_eq!(methods.len(), PANEL_B.len());
        assert!(METHODS.iter().all(|name| PANEL_B.contains(name)));
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
