use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;

use anyhow::Context;
use clap::ValueEnum;
use pada_reproduce::{
    DifferentiablePlan, Environment, NetworkPlan, NetworkTarget, Plan, Preset, SearcherPlan, Shard, Target,
    Work, commit_of,
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
    /// Table 2: the DARTS space. Every method trains a supernet, searches, and retrains what it found; published networks are retrained too.
    ///
    /// Example: pada reproduce table2 --methods randomnas,pada --seeds 3
    Table2(NetworkArgs),
    /// Table 3: the ProxylessNAS space, as table2. Without seeds it only counts parameters and multiply-adds.
    ///
    /// Example: pada reproduce table3 --seeds 0
    Table3(NetworkArgs),
    /// Ablation of PA&DA, with variants that go beyond the paper.
    ///
    /// Example: pada reproduce ablation --preset short
    Ablation(MethodArgs),
    /// Gradient variance and tau-b of supernets over 1 to 5 operations, and of methods; needs the benchmark table nb201.
    ///
    /// Example: pada reproduce figure-gv
    #[command(alias = "figure")]
    FigureGv(MethodArgs),
    /// Search methods on NAS-Bench-201's space, judged by look-ups in a table of trained architectures; seconds to minutes.
    ///
    /// Example: pada reproduce searchers --preset full
    Searchers(SearcherArgs),
    /// Differentiable searches (DARTS, GDAS, …) on NAS-Bench-201's space: each trains a supernet, and what it finds is looked up in tables.
    ///
    /// Example: pada reproduce differentiable --methods darts,gdas
    Differentiable(DifferentiableArgs),
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
    preset: Preset,
    /// Run only these rows, of any table. The table then has only these rows; finished trials of other rows are kept.
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    methods: Vec<String>,
    /// Seeds 0 to N - 1; 3 if not given, and 1 in table2 and table3.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
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
struct SearcherArgs {
    /// mini searches the embedded table, full that of NAS-Bench-201.
    #[arg(long, value_enum, default_value = "mini")]
    preset: Preset,
    /// Run only these methods.
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    methods: Vec<String>,
    /// Seeds 0 to N - 1.
    #[arg(long, value_name = "N", default_value = "20")]
    seeds: u64,
    /// Number of architectures that each search may ask for, at least 20.
    #[arg(long, value_name = "N", default_value = "100")]
    evaluations: usize,
    /// Output folder; runs/searchers-<preset> if not given.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print one JSON object as the last line of stdout.
    #[arg(long)]
    json: bool,
}

impl SearcherArgs {
    fn plan(&self) -> SearcherPlan {
        let mut plan = SearcherPlan::new(self.preset);
        plan.methods.clone_from(&self.methods);
        (plan.seeds, plan.evaluations) = (self.seeds, self.evaluations);
        plan.out.clone_from(&self.out);
        plan
    }
}

#[derive(clap::Args)]
struct DifferentiableArgs {
    /// mini trains on the embedded images, short and full on CIFAR-10; full has the published settings.
    #[arg(long, value_enum, default_value = "mini")]
    preset: Preset,
    /// Run only these methods.
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    methods: Vec<String>,
    /// Seeds 0 to N - 1.
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Change the config of every search: section.key=value, or a key of [update]; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Output folder; runs/differentiable-<preset> if not given. Finished searches in it are not run again.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print one JSON object as the last line of stdout.
    #[arg(long)]
    json: bool,
}

impl DifferentiableArgs {
    fn plan(&self) -> DifferentiablePlan {
        let mut plan = DifferentiablePlan::new(self.preset);
        (plan.methods, plan.set) = (self.methods.clone(), self.set.clone());
        (plan.seeds, plan.out) = (self.seeds, self.out.clone());
        plan
    }
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
    /// For table2 and table3 only: the --supernet-set of the shards.
    #[arg(long, value_name = "KEY=VALUE")]
    supernet_set: Vec<String>,
    /// For table2 and table3 only: the --candidates of the shards.
    #[arg(long, value_name = "N")]
    candidates: Option<usize>,
}

#[derive(clap::Args)]
struct NetworkArgs {
    /// Size of the experiment, up to the published recipe.
    #[arg(long, value_enum, default_value = "mini")]
    preset: Preset,
    /// Run only these rows.
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    methods: Vec<String>,
    /// Retraining uses the seeds 0 to N - 1; 0 trains nothing and only counts. Supernets and searches use the seed 0.
    #[arg(long, value_name = "N", default_value = "1")]
    seeds: u64,
    /// Number of architectures that each search scores; the number of the preset if not given.
    #[arg(long, value_name = "N")]
    candidates: Option<usize>,
    /// Output folder for trials and tables; runs/<table>-<preset> if not given. Finished trials in it are not run again.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Change a key of the config of every retraining, as section.key=value; may be repeated. The table lists the changes.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Change a key of the config of every supernet, as section.key=value; may be repeated. The table lists the changes.
    #[arg(long, value_name = "KEY=VALUE")]
    supernet_set: Vec<String>,
    /// Device to compute on: auto, cpu or cuda:N.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Number of CPU threads; all cores if not given.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Run only this part of the rows and write no table: 0/4 to 3/4 for four jobs. `reproduce merge` writes the table.
    #[arg(long, value_name = "INDEX/COUNT")]
    shard: Option<Shard>,
    /// Print one JSON object as the last line of stdout.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum TargetArg {
    /// Table 1
    Table1,
    /// Table 2
    Table2,
    /// Table 3
    Table3,
    /// Ablation of PA&DA
    Ablation,
    /// Gradient variance
    FigureGv,
}

impl MergeArgs {
    /// Returns the plan of the shards of a table of networks.
    fn network_plan(&self) -> NetworkPlan {
        let PlanArgs { preset, methods, seeds, out, set, json: _ } = &self.plan;
        let mut plan = NetworkPlan::new(*preset);
        plan.methods.clone_from(methods);
        plan.seeds = seeds.unwrap_or(plan.seeds);
        plan.out.clone_from(out);
        plan.set.clone_from(set);
        plan.supernet_set.clone_from(&self.supernet_set);
        plan.candidates = self.candidates;
        plan
    }
}

impl PlanArgs {
    fn plan(&self) -> Plan {
        let mut plan = Plan::new(self.preset);
        plan.methods.clone_from(&self.methods);
        plan.seeds = self.seeds.unwrap_or(plan.seeds);
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
        let mut plan = NetworkPlan::new(self.preset);
        plan.methods.clone_from(&self.methods);
        plan.seeds = self.seeds;
        plan.candidates = self.candidates;
        plan.out.clone_from(&self.out);
        plan.set.clone_from(&self.set);
        plan.supernet_set.clone_from(&self.supernet_set);
        plan.device.clone_from(&self.device);
        plan.threads = self.threads;
        plan.shard = self.shard;
        plan
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let environment = environment()?;
    let methods = |target, args: &MethodArgs| -> anyhow::Result<()> {
        let file = pada_reproduce::reproduce(target, &args.plan.plan(), &args.work(), &environment)?;
        finish(&file, args.shard, args.plan.json)
    };
    let networks = |target, args: &NetworkArgs| {
        let file = pada_reproduce::reproduce_networks(target, &args.plan(), &environment)?;
        finish(&file, args.shard, args.json)
    };
    match &args.task {
        Task::Table1(args) => methods(Target::Table1, args),
        Task::Ablation(args) => methods(Target::Ablation, args),
        Task::FigureGv(args) => methods(Target::FigureGv, args),
        Task::Table2(args) => networks(NetworkTarget::Table2, args),
        Task::Table3(args) => networks(NetworkTarget::Table3, args),
        Task::Searchers(args) => {
            show(&pada_reproduce::reproduce_searchers(&args.plan(), &environment)?, args.json)
        }
        Task::Differentiable(args) => {
            show(&pada_reproduce::reproduce_differentiable(&args.plan(), &environment)?, args.json)
        }
        Task::Merge(args) => {
            let methods = |target| pada_reproduce::merge(target, &args.from, &args.plan.plan(), &environment);
            let networks = |target| {
                pada_reproduce::merge_networks(target, &args.from, &args.network_plan(), &environment)
            };
            let file = match args.what {
                TargetArg::Table1 => methods(Target::Table1),
                TargetArg::Table2 => networks(NetworkTarget::Table2),
                TargetArg::Table3 => networks(NetworkTarget::Table3),
                TargetArg::Ablation => methods(Target::Ablation),
                TargetArg::FigureGv => methods(Target::FigureGv),
            };
            show(&file?, args.plan.json)
        }
    }
}

/// Prints the table of a plan, or what to do after a shard.
fn finish(file: &Path, shard: Option<Shard>, json: bool) -> anyhow::Result<()> {
    let Some(shard) = shard else { return show(file, json) };
    say!("shard {shard} is finished; `pada reproduce merge` writes the table of all shards");
    if json {
        say!("{}", json!({"table": null}));
    }
    Ok(())
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
