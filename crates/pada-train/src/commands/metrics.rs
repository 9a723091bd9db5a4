use std::collections::HashMap;
use std::path::{Path, PathBuf};

use pada::graph::Shape;
use pada::metrics::{
    Bootstrap, Fusion, Metrics, MetricsError, PValueMethod, finite_scores, fuse, kendall_tau_b_p_value,
    spearman_p_value, tau_b_interval,
};
use pada::models::DartsSize;
use pada::nasbench::{
    BenchmarkTable, Darts214Table, Darts1000Table, Download, MacroTable, Nb201Dataset, Nb201Epochs,
    Nb201Table,
};
use pada::report::{Axes, Panel, scatter_plot};
use pada::space::{Arch, Nb201, Nb201Encoding, SearchSpace};
use pada::{
    ConfigError, PadaError, ScoreFile, ScoresRead, SpaceName, StandAloneNet, TruthName, Undefined,
    check_output, check_scores_file, write_file,
};

use super::Encoding;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Predicted scores: a CSV file with the columns arch and accuracy or score, such as the result of a search, or a .npy file of the
    /// released code of PA&DA. `FILE.csv:COLUMN` reads another column.
    #[arg(long, value_name = "FILE.csv", required_unless_present = "fuse")]
    pred: Option<PathBuf>,
    /// Column of the scores in the file of --pred; accuracy or score if not given.
    #[arg(long, value_name = "NAME", conflicts_with = "fuse")]
    column: Option<String>,
    /// Smaller scores are better, as with losses.
    #[arg(long)]
    lower_is_better: bool,
    /// Leave out architectures whose score is not a finite number, such as NaN.
    #[arg(long)]
    skip_undefined: bool,
    /// Leave out architectures that --truth does not have.
    #[arg(long)]
    common: bool,
    /// Several files of scores of the same architectures, separated by commas, whose ranks are fused. `FILE.csv:COLUMN` reads another
    /// column than accuracy.
    #[arg(long, value_name = "FILE.csv,…", value_delimiter = ',', conflicts_with = "pred")]
    fuse: Vec<PathBuf>,
    /// Formula that makes one score of the ranks: `log-ranks` or `ranks`.
    #[arg(long, default_value = "log-ranks", requires = "fuse")]
    fusion: Fusion,
    /// Stand-alone accuracies: `nb201`, `nb201-cifar100`, `nb201-imagenet16`, `mini`, `nas-bench-macro`, `darts-214`,
    /// `darts-1000`, or a CSV file with the columns arch and accuracy. A .npy file of the released code of PA&DA has them as `target`.
    #[arg(long, value_name = "FILE.csv|TABLE")]
    truth: String,
    /// Search space, if --truth is a CSV file; a benchmark table implies its space.
    #[arg(long, value_enum, default_value = "nb201")]
    space: SpaceName,
    /// Numbering of edges and operations in digits of nb201 in all files.
    #[arg(long, value_enum, default_value = "benchmark")]
    encoding: Encoding,
    /// Number of bootstrap samples for the confidence interval.
    #[arg(long, default_value = "1000")]
    resamples: std::num::NonZeroUsize,
    /// Seed of the bootstrap.
    #[arg(long, default_value = "0")]
    seed: u64,
    /// SVG file with the scatter of scores against stand-alone accuracies. An existing file is replaced.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Print one JSON object as the last line of stdout.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let truth_file = Path::new(&args.truth);
    let table = TruthName::find(&args.truth).filter(|_| !truth_file.is_file());
    if table.is_none() && !truth_file.exists() {
        let (value, range) = (
            args.truth.clone(),
            "a file that exists, or one of the tables mini, nb201, nb201-cifar100, nb201-imagenet16, nas-bench-macro, darts-214 and darts-1000",
        );
        return Err(PadaError::from(ConfigError::Range { key: "--truth", value, range }).into());
    }
    let name = table.map_or(args.space, TruthName::space);
    let space: Box<dyn SearchSpace> = match args.encoding.of(name).map_err(PadaError::from)? {
        Nb201Encoding::Benchmark => pada::search_space(name),
        other => Box::new(Nb201::with_encoding(other)),
    };
    let files: Vec<&PathBuf> = args.pred.iter().chain(&args.fuse).collect();
    let pred = files[0];
    if let Some(plot) = &args.plot {
        let inputs = files.iter().map(|file| file.as_path()).chain([truth_file]);
        check_output(plot, &["svg"], &inputs.collect::<Vec<_>>())?;
        check_scores_file(plot)?;
    }
    let reader = Reader { args, space: space.as_ref() };
    let mut scores = match args.fuse.is_empty() {
        true => reader.column(pred)?,
        false => reader.fused(&files)?,
    };
    let truth = match table {
        Some(table) => Truth::table(table)?,
        None => Truth::file(truth_file, space.as_ref())?,
    };
    if args.common {
        let all = scores.len();
        scores.retain(|(arch, _)| truth.accuracy.contains_key(arch));
        note!("left out {} of {all} architectures that {} does not have", all - scores.len(), args.truth);
    }
    let truths = truth.of(&scores)?;
    let predicted = finite_scores(&scores.iter().map(|(_, score)| *score).collect::<Vec<f64>>());
    let params = truth.params.as_ref().map(|p| scores.iter().map(|(arch, _)| p[arch]).collect::<Vec<f64>>());
    let metrics = Metrics::compute(&predicted, &truths, params.as_deref()).map_err(PadaError::from)?;
    let bootstrap = Bootstrap::bca().with_resamples(args.resamples.get()).with_seed(args.seed);
    let interval = match bootstrap.or_percentiles(|bootstrap| tau_b_interval(&predicted, &truths, bootstrap))
    {
        Err(error) if error.is_undefined() => {
            note!("tau_b has no interval: {error}");
            None
        }
        other => Some(other.map_err(PadaError::from)?),
    };
    if interval.as_ref().is_some_and(|interval| interval.high < 0.0) && !args.lower_is_better {
        note!(
            "tau_b is clearly negative; if smaller scores are better, as with losses, add --lower-is-better"
        );
    }

    let mut json = serde_json::to_value(&metrics)?;
    if let serde_json::Value::Object(fields) = &mut json {
        for (name, value) in fields.iter() {
            match value.as_f64().filter(|_| value.is_f64()) {
                Some(number) => say!("{name:<26} {number:.4}"),
                None if value.is_null() => say!("{name:<26} -"),
                None => say!("{name:<26} {value}"),
            }
        }
        for (name, p_value) in [
            ("tau_b_p_value", kendall_tau_b_p_value(&predicted, &truths, PValueMethod::Auto)),
            ("spearman_p_value", spearman_p_value(&predicted, &truths)),
        ] {
            let p_value = match p_value {
                Err(MetricsError::TooFew { .. }) => None,
                other => Some(other.map_err(PadaError::from)?),
            };
            // Four decimals would show most as 0.
            say!("{name:<26} {}", p_value.map_or_else(|| "-".to_owned(), |p| format!("{p:.2e}")));
            fields.insert(name.to_owned(), serde_json::to_value(p_value)?);
        }
        if let Some(interval) = interval {
            say!(
                "{:<26} [{:.4}, {:.4}], {} %",
                "tau_b interval",
                interval.low,
                interval.high,
                100.0 * interval.level
            );
        }
        fields.insert("tau_b_interval".to_owned(), serde_json::to_value(interval)?);
    }
    if scores.len() < truth.accuracy.len() {
        say!("{:<26} {} of {}", "architectures of --truth", scores.len(), truth.accuracy.len());
    }
    if let Some(plot) = &args.plot {
        write_file(plot, args.scatter(&scores, &truths, metrics.tau_b).as_bytes())?;
        say!("{:<26} {}", "plot", plot.display());
    }
    if args.json {
        say!("{json}");
    }
    Ok(())
}

impl Args {
    /// Draws scores against stand-alone accuracies. Scores that are not defined are not drawn.
    fn scatter(&self, scores: &[(Arch, f64)], truths: &[f64], tau_b: f64) -> String {
        // The metrics are computed from negated scores, but the file has others.
        let sign = if self.lower_is_better { -1.0 } else { 1.0 };
        let point = |((_, score), &truth): (&(Arch, f64), &f64)| (sign * score, truth);
        let points: Vec<_> =
            scores.iter().zip(truths).map(point).filter(|(score, _)| score.is_finite()).collect();
        let name =
            |file: &Path| file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
        let (x, title) = match (&self.pred, &self.column) {
            (Some(file), Some(column)) => (column.clone(), name(file)),
            (Some(file), None) => {
                let (text, file) = (name(file), file.as_path());
                match text.rsplit_once(':').filter(|_| !file.is_file()) {
                    Some((file, column)) => (column.to_owned(), file.to_owned()),
                    None => ("score".to_owned(), text),
                }
            }
            (None, _) => ("fused score".to_owned(), "fused scores".to_owned()),
        };
        let panel = Panel { title: format!("tau-b {tau_b:.3}, n = {}", scores.len()), points };
        scatter_plot(&title, &Axes { x: &x, y: "stand-alone accuracy, %" }, &[panel])
    }
}

/// Reads files of scores.
struct Reader<'a> {
    args: &'a Args,
    space: &'a dyn SearchSpace,
}

impl Reader<'_> {
    /// Reads the scores of `FILE.csv`, of its `--column`, or of `FILE.csv:COLUMN`.
    fn column(&self, name: &Path) -> Result<Vec<(Arch, f64)>, PadaError> {
        let text = name.to_string_lossy();
        let (file, column) = match (text.rsplit_once(':'), &self.args.column) {
            (Some((_, column)), Some(_)) if !name.is_file() => {
                let (key, value, range) = (
                    "--column",
                    format!("given beside {column}"),
                    "left out if --pred has the form FILE:COLUMN",
                );
                return Err(ConfigError::Range { key, value, range }.into());
            }
            (Some((file, column)), None) if !name.is_file() => (Path::new(file), Some(column.to_owned())),
            _ => (name, self.args.column.clone()),
        };
        let undefined = match (self.args.skip_undefined, &column) {
            (true, _) => Undefined::Skip,
            (false, Some(_)) => Undefined::RankLast,
            (false, None) => Undefined::Refuse,
        };
        let read = ScoreFile { column: column.clone(), undefined }.read(file, self.space);
        let ScoresRead { mut scores, skipped } = read.map_err(|mut error| {
            match &mut error {
                PadaError::NoColumn { column: missing, advice, .. }
                    if column.is_none() && missing != "arch" =>
                {
                    *advice = "; --column NAME reads another one";
                }
                PadaError::UndefinedScore { advice, .. } => {
                    *advice = "; --skip-undefined leaves out such rows"
                }
                _ => {}
            }
            error
        })?;
        if skipped > 0 {
            note!("left out {skipped} architectures of {} without a finite score", file.display());
        }
        if self.args.lower_is_better {
            // An undefined score is the worst in both directions.
            scores.iter_mut().filter(|(_, score)| score.is_finite()).for_each(|(_, score)| *score = -*score);
        }
        Ok(scores)
    }

    /// Fuses the scores of several files. All files must have the architectures of the first one.
    fn fused(&self, files: &[&PathBuf]) -> Result<Vec<(Arch, f64)>, PadaError> {
        let first = self.column(files[0])?;
        let mut lists = vec![first.iter().map(|(_, score)| *score).collect::<Vec<f64>>()];
        for file in &files[1..] {
            let scores: HashMap<Arch, f64> = self.column(file)?.into_iter().collect();
            lists.push(numbers_of(file, &scores, &first, "")?);
        }
        let fused = fuse(&lists, self.args.fusion)?;
        Ok(first.into_iter().zip(fused).map(|((arch, _), score)| (arch, score)).collect())
    }
}

/// Returns the number that a file has for each scored architecture, in the order of `scores`. `advice` ends the error for a missing one.
fn numbers_of(
    path: &Path,
    numbers: &HashMap<Arch, f64>,
    scores: &[(Arch, f64)],
    advice: &'static str,
) -> Result<Vec<f64>, PadaError> {
    let archs = || scores.iter().map(|(arch, _)| arch);
    let missing: Vec<&Arch> = archs().filter(|arch| !numbers.contains_key(*arch)).collect();
    if let Some(arch) = missing.first() {
        let (path, arch, missing) = (path.into(), arch.to_string(), missing.len());
        return Err(PadaError::NoTruth { path, arch, missing, advice });
    }
    Ok(archs().map(|arch| numbers[arch]).collect())
}

fn by_arch(archs: &[Arch], values: &[f64]) -> HashMap<Arch, f64> {
    archs.iter().cloned().zip(values.iter().copied()).collect()
}

fn accuracies(table: &BenchmarkTable) -> HashMap<Arch, f64> {
    by_arch(table.archs(), table.accuracies())
}

/// Stand-alone accuracies, and numbers of parameters if the table has them.
struct Truth {
    path: PathBuf,
    accuracy: HashMap<Arch, f64>,
    params: Option<HashMap<Arch, f64>>,
}

impl Truth {
    fn table(name: TruthName) -> Result<Self, PadaError> {
        let data = super::data_dir();
        Ok(match name {
            TruthName::Mini => {
                let table = pada::nasbench::mini()?;
                // The networks of the table: C=8 and N=1, for images of 16×16 pixels.
                let input = Shape::new(3, 16, 16);
                let net = StandAloneNet::Nb201 { channels: 8, cells: 1, input, classes: 10 };
                Self::with_params_of("mini".into(), &table, net)?
            }
            TruthName::Nb201 => Self::nb201(Nb201Dataset::Cifar10, &data)?,
            TruthName::Nb201Cifar100 => Self::nb201(Nb201Dataset::Cifar100, &data)?,
            TruthName::Nb201Imagenet16 => Self::nb201(Nb201Dataset::Imagenet16, &data)?,
            TruthName::NasBenchMacro => {
                let path = Download::NasBenchMacro.path(&data);
                let table = MacroTable::load(&path)?;
                let params = Some(by_arch(table.table().archs(), table.params()));
                Self { path, accuracy: accuracies(table.table()), params }
            }
            TruthName::Darts214 => {
                let path = Download::Darts214.path(&data);
                let table = Darts214Table::load(&path)?;
                Self::darts(path, table.table())?
            }
            TruthName::Darts1000 => {
                let path = Download::Darts1000.path(&data);
                let table = Darts1000Table::load(&path)?;
                Self::darts(path, table.table())?
            }
        })
    }

    /// Loads NAS-Bench-201. The numbers of parameters are those of networks for ten classes: more classes add the same number to each.
    fn nb201(data: Nb201Dataset, folder: &Path) -> Result<Self, PadaError> {
        let path = Download::Nb201.path(folder);
        let table = Nb201Table::load(&path)?;
        let params = table.column("params_cifar10")?;
        let test = table.test_accuracy(data, Nb201Epochs::Epochs200);
        let params = Some(by_arch(table.archs(), params));
        Ok(Self { path, accuracy: accuracies(&test), params })
    }

    /// Adds the numbers of parameters of the networks of DARTS for CIFAR-10.
    fn darts(path: PathBuf, table: &BenchmarkTable) -> Result<Self, PadaError> {
        Self::with_params_of(path, table, StandAloneNet::Darts(DartsSize::CIFAR))
    }

    /// Adds the numbers of parameters of a network of each architecture.
    fn with_params_of(path: PathBuf, table: &BenchmarkTable, net: StandAloneNet) -> Result<Self, PadaError> {
        let params = table.archs().iter().map(|arch| {
            let (_, cost) = net.cost(&arch.to_string())?;
            Ok((arch.clone(), cost.params as f64))
        });
        let params = Some(params.collect::<Result<_, PadaError>>()?);
        Ok(Self { path, accuracy: accuracies(table), params })
    }

    fn file(path: &Path, space: &dyn SearchSpace) -> Result<Self, PadaError> {
        let is_released = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy"));
        let column = is_released.then(|| "target".to_owned());
        let file = ScoreFile { column, ..ScoreFile::default() };
        let accuracy = file.read(path, space)?.scores.into_iter().collect();
        Ok(Self { path: path.into(), accuracy, params: None })
    }

    /// Returns the stand-alone accuracy of each scored architecture, in the order of `scores`.
    fn of(&self, scores: &[(Arch, f64)]) -> Result<Vec<f64>, PadaError> {
        numbers_of(&self.path, &self.accuracy, scores, "; --common leaves out such architectures")
    }
}
