use std::path::{Path, PathBuf};

use pada::report::{Axes, Curve, Origin, Spread, curve_plot, late_gv};
use pada::space::{Nb201, SearchSpace, SubSpace};

use super::cells::Cell;
use super::methods::{Method, PADA, SPOS};
use super::runner::{Args, Finished, Progress, Runner, conclude};
use super::table::changed;
use crate::download::write_whole;

/// Operations of the supernets, from few sub-models to all 15,625: each set holds the one before. Which sets the slides show is not
/// said there; these begin with what every good architecture is made of, and end with what only takes away.
const OPS: [&str; 5] = ["skip_connect", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3", "none"];
const SIZES: std::ops::RangeInclusive<usize> = 2..=OPS.len();
const METHODS: [&str; 2] = [SPOS, PADA];
const ARCHS: &str = "archs.txt";
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
const NOTE: &str = "Every supernet ranks the same 64 architectures, those of the smallest set, so that only what shares their weights \
                    changes. Accuracies from scratch are NAS-Bench-201's, CIFAR-10 test after 200 epochs.";

/// Trains supernets over 2, 3, 4 and 5 operations per edge; where the table of gradient variance and tau-b lies.
pub(crate) fn run(args: &Args) -> anyhow::Result<PathBuf> {
    let names = match args.methods.as_slice() {
        [] => METHODS.map(str::to_owned).to_vec(),
        names => names.to_vec(),
    };
    let mut methods = Method::of_table("figure-gv", &names)?;
    // Their distributions are over all five operations.
    if let Some(method) = methods.iter().find(|method| method.paths_of_pada.is_some()) {
        anyhow::ensure!(
            args.methods.is_empty(),
            "--methods: {} repeats paths over all five operations",
            method.name
        );
    }
    methods.retain(|method| method.paths_of_pada.is_none());
    let common = ["rank.truth=nb201".to_owned(), "rank.compare=[]".to_owned()];
    let runner = Runner::new("figure-gv", args, &common)?;
    let archs = runner.out.join(ARCHS);
    write_whole(&archs, smallest_set()?.as_bytes())?;
    let variables = args.preset.variables(&runner.base);
    let mut cells = Vec::new();
    for seed in 0..args.seeds {
        for method in &methods {
            for size in SIZES {
                let mut set = common.to_vec();
                set.push(format!("rank.archs={:?}", archs.display().to_string()));
                set.extend(method.assignments(&variables));
                set.push(format!("supernet.ops={:?}", &OPS[..size]));
                set.extend_from_slice(&args.set);
                let cell = Cell::new(method, seed, set);
                cells.push(Cell { name: format!("{}-ops{size}-s{seed}", method.name), ..cell });
            }
        }
    }
    let title = format!("Gradient variance and sharing, preset {}{}", args.preset.name(), changed(args));
    let note = args.preset.note(&runner.base);
    let file = runner.out.join("figure-gv.md");
    let mut write = |progress: &Progress| {
        let rows = rows(&methods, progress)?;
        write_files(&title, &note, &rows, progress, cells.len(), &file)
    };
    let (progress, end) = runner.run(&cells, &mut write)?;
    conclude(&progress, end, &file)?;
    Ok(file)
}

/// The architectures of the smallest set, one a line.
fn smallest_set() -> anyhow::Result<String> {
    let space = Nb201::new();
    let names: Vec<String> = OPS[..*SIZES.start()].iter().map(|&name| name.to_owned()).collect();
    let part = SubSpace::with_ops(&space, &names)?;
    Ok(space.archs().filter(|arch| part.contains(arch)).map(|arch| format!("{arch}\n")).collect())
}

/// A method with so many operations per edge.
struct Row {
    method: String,
    label: String,
    size: usize,
    seeds: usize,
    gv: Option<Spread>,
    gv_scale_free: Option<Spread>,
    tau_b: Option<Spread>,
}

fn rows(methods: &[Method], progress: &Progress) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for method in methods {
        for size in SIZES {
            let start = format!("{}-ops{size}-s", method.name);
            let runs: Vec<&Finished> =
                progress.finished.iter().filter(|finished| finished.cell.name.starts_with(&start)).collect();
            let tau = |finished: &&Finished| Some(finished.record.ranking.as_ref()?.main_metrics()?.tau_b);
            rows.push(Row {
                method: method.name.clone(),
                label: method.row_name()?.label,
                size,
                seeds: runs.len(),
                gv: Spread::of(
                    runs.iter()
                        .filter_map(|f| late_gv(&f.record.epochs, f.record.parts.len(), |epoch| epoch.gv)),
                ),
                gv_scale_free: Spread::of(runs.iter().filter_map(|f| {
                    late_gv(&f.record.epochs, f.record.parts.len(), |epoch| epoch.gv_scale_free)
                })),
                tau_b: Spread::of(runs.iter().filter_map(tau)),
            });
        }
    }
    Ok(rows)
}

fn write_files(
    title: &str,
    note: &str,
    rows: &[Row],
    progress: &Progress,
    cells: usize,
    file: &Path,
) -> anyhow::Result<()> {
    let mut markdown = format!("# {title}\n\n- {note}\n- {NOTE}\n");
    let missing = cells - progress.finished.len() - progress.failed.len();
    if missing > 0 {
        markdown += &format!("- **Not finished:** {missing} runs are still to come.\n");
    }
    for failed in &progress.failed {
        markdown += &format!("- **Failed:** {}: {}\n", failed.cell, failed.reason);
    }
    markdown += "\n| method | operations | seeds | GV | GV, no scale | tau-b |\n|---|--:|--:|--:|--:|--:|\n";
    let mut csv = csv::Writer::from_writer(vec![]);
    csv.write_record(COLUMNS)?;
    for row in rows {
        let Row { method, label, size, seeds, .. } = row;
        let scientific = |v: Option<Spread>| v.map_or("–".into(), |v| format!("{:.3e}", v.mean));
        let plain = |v: Option<Spread>| v.map_or("–".into(), |v| v.to_string());
        let (gv, free, tau) = (scientific(row.gv), plain(row.gv_scale_free), plain(row.tau_b));
        markdown += &format!("| {label} | {size} | {seeds} | {gv} | {free} | {tau} |\n");
        let spreads = [row.gv, row.gv_scale_free, row.tau_b];
        let numbers = spreads.into_iter().flat_map(|v| [v.map(|v| v.mean), v.and_then(|v| v.sd)]);
        let cells = numbers.map(|v| v.map(|v| v.to_string()).unwrap_or_default());
        csv.write_record([method.to_owned(), size.to_string(), seeds.to_string()].into_iter().chain(cells))?;
    }
    write_whole(file, markdown.as_bytes())?;
    write_whole(&file.with_extension("csv"), &csv.into_inner()?)?;
    let plots: [(&str, &str, Column); 3] = [
        ("gv.svg", "gradient variance", |row| row.gv),
        ("gv-scale-free.svg", "gradient variance / squared mean gradient", |row| row.gv_scale_free),
        ("tau.svg", "tau-b", |row| row.tau_b),
    ];
    for (name, y, of) in plots {
        let axes = Axes { x: "operations per edge", y };
        let plot = curve_plot(title, &axes, Origin::Data, &curves(rows, of))?;
        write_whole(&file.with_file_name(name), plot.as_bytes())?;
    }
    Ok(())
}

/// What a plot shows of a row.
type Column = fn(&Row) -> Option<Spread>;

fn curves(rows: &[Row], of: Column) -> Vec<Curve> {
    let point = |row: &Row| Some((row.size as f64, of(row)?));
    rows.chunk_by(|a, b| a.method == b.method)
        .map(|rows| Curve { label: rows[0].label.clone(), points: rows.iter().filter_map(point).collect() })
        .collect()
}

#[cfg(test)]
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
