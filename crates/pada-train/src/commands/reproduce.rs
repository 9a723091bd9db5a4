use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;

use anyhow::Context;
use clap::ValueEnum;
use clap::builder::PossibleValuesParser;
use pada_reproduce::{
    Environment, Method, NetworkPlan, NetworkPreset, NetworkTarget, Plan, Preset, Shard, Target, Work,
    commit_of,
};
use serde_json::json;

use crate::signals;

/// The number of signals that requested a stop.
static STOPS: AtomicUsize = AtomicUsize::new(0);

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(clap::Subcommand)]
enum Task {
    /// Table 1: nine methods on NAS-Bench-201, with controls.
    ///
    /// Example: pada reproduce table1 --methods spos,pada --seeds 2
    Table1(MethodArgs),
    /// Table 2: networks of DARTS cells, with published results, counted costs and retrained accuracy.
    ///
    /// Example: pada reproduce table2 --methods darts,gm
    Table2(NetworkArgs),
    /// Table 3: networks of MobileNet blocks, with published results, counted costs and retrained accuracy.
    ///
    /// Example: pada reproduce table3 --seeds 0
    Table3(NetworkArgs),
    /// Ablation of PA&DA, with variants that go beyond the paper.
    ///
    /// Example: pada reproduce ablation --preset short
    Ablation(MethodArgs),
    /// Gradient variance and tau-b of supernets over 2, 3, 4 and 5 operations; needs the benchmark table nb201.
    ///
    /// Example: pada reproduce figure-gv
    FigureGv(MethodArgs),
    /// Copy the trials of shards into one folder, and write the table of all finished trials.
    ///
    /// Example: pada reproduce merge table1 --from shard-0 --from shard-1
    Merge(MergeArgs),
}

/// Options that select the trials of a table or figure.
#[derive(clap::Args)]
struct PlanArgs {
    /// Size of the experiment, up to the paper's protocol.
    #[arg(long, value_enum, default_value = "mini")]
    preset: PresetArg,
    /// Run only these rows, of any table. The table then has only these rows; finished trials of other rows are kept.
    #[arg(long, value_delimiter = ',', value_name = "A,B", value_parser = PossibleValuesParser::new(Method::names()))]
    methods: Vec<String>,
    /// Seeds 0 to N - 1.
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Output folder for trials and tables; runs/<what>-<preset> if not given. Finished trials in it are not run again.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Change a key of every trial's config, as section.key=value; may be repeated. The table lists the changes.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Print one JSON object as the last line of stdout.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct MethodArgs {
    #[command(flatten)]
    plan: PlanArgs,
    /// Device to compute on: auto, cpu or cuda:N.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Number of CPU threads; all cores if not given.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Run only this part of the trials and write no table: 0/4 to 3/4 for four jobs. `reproduce merge` writes the table.
    #[arg(long, value_name = "INDEX/COUNT")]
    shard: Option<Shard>,
}

#[derive(clap::Args)]
struct MergeArgs {
    /// The table or figure.
    #[arg(value_enum)]
    what: TargetArg,
    /// The --out folder of a shard on another disk; may be repeated. Shards with the same --out folder need no --from.
    #[arg(long, value_name = "DIR")]
    from: Vec<PathBuf>,
    /// The plan of the shards: pass the same options as to the shards.
    #[command(flatten)]
    plan: PlanArgs,
}

#[derive(clap::Args)]
struct NetworkArgs {
    /// Size of the experiment, up to the published recipe.
    #[arg(long, value_enum, default_value = "quick")]
    preset: NetworkPresetArg,
    /// Run only these rows.
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    methods: Vec<String>,
    /// Seeds 0 to N - 1; 0 retrains nothing.
    #[arg(long, value_name = "N", default_value = "1")]
    seeds: u64,
    /// Output folder for trials and tables; runs/<table>-<preset> if not given. Finished trials in it are not run again.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Change a key of every trial's config, as section.key=value; may be repeated. The table lists the changes.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Device to compute on: auto, cpu or cuda:N.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Number of CPU threads; all cores if not given.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print one JSON object as the last line of stdout.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum TargetArg {
    /// Table 1
    Table1,
    /// Ablation of PA&DA
    Ablation,
    /// Gradient variance
    FigureGv,
}

#[derive(Clone, Copy, ValueEnum)]
enum PresetArg {
    /// Embedded images, minutes.
    Mini,
    /// CIFAR-10, a small network, hours.
    Short,
    /// The paper's protocol.
    Full,
}

#[derive(Clone, Copy, ValueEnum)]
enum NetworkPresetArg {
    /// Embedded images, small networks, minutes.
    Quick,
    /// The published recipe.
    Full,
}

impl PlanArgs {
    fn plan(&self) -> Plan {
        let mut plan = Plan::new(match self.preset {
            PresetArg::Mini => Preset::Mini,
            PresetArg::Short => Preset::Short,
            PresetArg::Full => Preset::Full,
        });
        plan.methods.clone_from(&self.methods);
        plan.seeds = self.seeds;
        plan.out.clone_from(&self.out);
        plan.set.clone_from(&self.set);
        plan
    }
}

impl MethodArgs {
    fn work(&self) -> Work {
        let mut work = Work::default();
        work.device.clone_from(&self.device);
        work.threads = self.threads;
        work.shard = self.shard;
        work
    }
}

impl NetworkArgs {
    fn plan(&self) -> NetworkPlan {
        let mut plan = NetworkPlan::new(match self.preset {
            NetworkPresetArg::Quick => NetworkPreset::Quick,
            NetworkPresetArg::Full => NetworkPreset::Full,
        });
        plan.methods.clone_from(&self.methods);
        plan.seeds = self.seeds;
        plan.out.clone_from(&self.out);
        plan.set.clone_from(&self.set);
        plan.device.clone_from(&self.device);
        plan.threads = self.threads;
        plan
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let environment = environment()?;
    let methods = |target, args: &MethodArgs| -> anyhow::Result<()> {
        let file = pada_reproduce::reproduce(target, &args.plan.plan(), &args.work(), &environment)?;
        match args.shard {
            None => show(&file, args.plan.json),
            Some(shard) => {
                say!("shard {shard} is finished; `pada reproduce merge` writes the table of all shards");
                if args.plan.json {
                    say!("{}", json!({"table": null}));
                }
                Ok(())
            }
        }
    };
    let networks = |target, args: &NetworkArgs| {
        show(&pada_reproduce::reproduce_networks(target, &args.plan(), &environment)?, args.json)
    };
    match &args.task {
        Task::Table1(args) => methods(Target::Table1, args),
        Task::Ablation(args) => methods(Target::Ablation, args),
        Task::FigureGv(args) => methods(Target::FigureGv, args),
        Task::Table2(args) => networks(NetworkTarget::Table2, args),
        Task::Table3(args) => networks(NetworkTarget::Table3, args),
        Task::Merge(args) => {
            let target = match args.what {
                TargetArg::Table1 => Target::Table1,
                TargetArg::Ablation => Target::Ablation,
                TargetArg::FigureGv => Target::FigureGv,
            };
            let file = pada_reproduce::merge(target, &args.from, &args.plan.plan(), &environment)?;
            show(&file, args.plan.json)
        }
    }
}

/// Prints a table and the path of its file.
fn show(file: &Path, json: bool) -> anyhow::Result<()> {
    let table = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    say!("{table}\n{}", file.display());
    if json {
        say!("{}", json!({"table": file}));
    }
    Ok(())
}

/// Returns the path of this program, and the folders of the clone of the repository that contains the current folder.
fn environment() -> anyhow::Result<Environment<'static>> {
    let current = std::env::current_dir().context("the current folder")?;
    let has_configs = |folder: &&Path| folder.join("configs/mini/pada.toml").is_file();
    let root = current.ancestors().find(has_configs).unwrap_or(&current);
    let data = std::env::var_os("PADA_DATA").map_or_else(|| root.join("data"), PathBuf::from);
    // Each signal is passed on to the running trial; the second one ends the trial at once.
    signals::count(&STOPS);
    Ok(Environment {
        program: std::env::current_exe().context("the path of this program")?,
        configs: root.join("configs"),
        runs: root.join("runs"),
        data,
        commit: commit_of(root),
        stops: &STOPS,
        events: &|event| note!("{event}"),
    })
}
