//! Architecture search with the weights of a trained supernet.

pub(crate) mod score_cache;

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use pada_data::Dataset;
use pada_exec::{Executor, State};
use pada_metrics::{Fusion, fuse};
use pada_search::{
    Evaluated, EvolutionConfig, Nsga2Config, Objective, Search, SearchError, evolution, nsga2, pareto_front,
    random_search,
};
use pada_space::{Arch, SearchSpace, SubSpace};
use pada_trainer::{Observer, RngStream, TrainError, weights_sha256};
use pada_zerocost::Score;

use crate::config::{
    ComputeConfig, Config, ConfigError, FusePart, Recalibration, SupernetConfig, ZERO_COST_IMAGES,
};
use crate::error::PadaError;
use crate::eval::arch_files::{read_numbers, write_table};
use crate::eval::fusion::Untrained;
use crate::eval::ranking::images_record;
use crate::eval::score_log::ScoreLog;
use crate::eval::weights_file::WeightsFile;
use crate::run::scoring::{Scoring, Weights};
use crate::run::session::Session;
use crate::run::trained_run::TrainedRun;
use crate::search::score_cache::{ScoreCache, Subject};

/// Settings of an architecture search with the weights of a trained supernet.
#[derive(Clone, Debug)]
pub struct SearchJob {
    /// The search method.
    pub method: SearchMethod,
    /// The cost of an architecture. [`SearchMethod::Pareto`] minimises it; with other methods it decides between equal scores.
    pub cost: SearchCost,
    /// Constraints on the cost of an architecture.
    pub limits: SearchLimits,
    /// A CSV file with the columns `arch` and `latency`. Architectures without a row are infeasible.
    pub latency: Option<PathBuf>,
    /// Seed of the random search.
    pub seed: u64,
    /// Number of best architectures in the result. A Pareto search returns the whole front.
    pub top: usize,
    /// Scores whose ranks among the architectures visited so far are fused to the score that the search maximises. An empty list stands for
    /// the accuracy with the weights of the supernet.
    pub fuse: Vec<FusePart>,
    /// How the ranks become one score.
    pub fusion: Fusion,
    /// Folder of the scores and of the result. Searches with the same supernet and images can use the same folder and share its scores.
    pub out: PathBuf,
}

/// A search method.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SearchMethod {
    /// Random search over this number of different architectures.
    Random(usize),
    /// Evolutionary search.
    Evolution(EvolutionConfig),
    /// NSGA-II with the objectives score and cost.
    Pareto(Nsga2Config),
}

/// The cost of a stand-alone network, see [`crate::Network::cost`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "lowercase"))]
pub enum SearchCost {
    /// Number of multiply-adds for one image.
    Macs,
    /// Number of parameters.
    Params,
    /// Latency from a CSV file.
    ///
    /// The file is [`SearchJob::latency`].
    Latency,
}

/// Constraints: the largest cost of a feasible architecture. `None` means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SearchLimits {
    /// Largest number of multiply-adds for one image.
    pub macs: Option<u64>,
    /// Largest number of parameters.
    pub params: Option<u64>,
    /// Largest latency, in the unit of its file.
    pub latency: Option<f64>,
}

impl SearchLimits {
    /// Returns the limits as a part of a file name, for example `-macs1500000-params200000`.
    fn in_name(&self) -> String {
        let part =
            |name: &str, most: Option<f64>| most.map_or_else(String::new, |most| format!("-{name}{most}"));
        let count = |most: Option<u64>| most.map(|most| most as f64);
        part("macs", count(self.macs)) + &part("params", count(self.params)) + &part("latency", self.latency)
    }
}

/// The result of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchResult {
    /// The best architectures, best first. A Pareto search returns the front, cheapest first.
    pub archs: Vec<FoundArch>,
    /// Number of architectures that were visited.
    pub visited: usize,
    /// Number of visited architectures that were scored in this search and not read from the folder.
    pub scored: usize,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// CSV file of the result with the columns `arch,score,fused,params,macs,latency,text`. Its name contains the method, the limits and the seed.
    pub file: PathBuf,
}

/// An architecture of the result of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundArch {
    /// The architecture as digits.
    pub arch: String,
    /// The architecture in the notation of the benchmarks of its space.
    pub text: String,
    /// Accuracy with shared weights, in percent.
    pub score: f64,
    /// The fused score, which depends on all visited architectures. `None` if none were fused.
    pub fused: Option<f64>,
    /// Number of parameters of the stand-alone network.
    pub params: u64,
    /// Number of multiply-adds of the stand-alone network for one image.
    pub macs: u64,
    /// Latency from the file of latencies, if there is one.
    pub latency: Option<f64>,
}

/// Searches with the supernet of a finished run, on the images of its ranking and in the part of the space that it trained.
///
/// # Errors
/// Returns an error if the run cannot be loaded or an architecture cannot be scored. After
/// [`ErrorKind::Stopped`](crate::ErrorKind::Stopped), or if the process was killed, the same search continues with the scores in its folder.
pub fn search_run(
    run: &Path,
    job: &SearchJob,
    place: &Session,
    observer: &mut dyn Observer,
) -> Result<SearchResult, PadaError> {
    TrainedRun::load_in(run, place)?.search(job, observer)
}

impl TrainedRun {
    /// Searches with the weights of the run, on the images of its ranking and in the part of the space that it trained.
    ///
    /// # Errors
    /// Returns an error if the run trained only one architecture, or if an architecture cannot be scored. After
    /// [`ErrorKind::Stopped`](crate::ErrorKind::Stopped) the same search continues with the scores in its folder.
    pub fn search(
        &mut self,
        job: &SearchJob,
        observer: &mut dyn Observer,
    ) -> Result<SearchResult, PadaError> {
        let Self { folder, config, inputs, trained, .. } = self;
        if matches!(config, Config::Retrain(_)) {
            let (key, value) = ("RUN_DIR", folder.path().display().to_string());
            let range = "the folder of a supernet run, because a run of one architecture has no supernet";
            return Err(ConfigError::Range { key, value, range }.into());
        }
        let zero_cost_images = match config {
            Config::Run(config) => config.rank.zero_cost_images,
            Config::Retrain(_) => ZERO_COST_IMAGES,
        };
        let about = About {
            compute: config.compute(),
            recalibrate: config.scored_on().recalibrate,
            part: &inputs.whole,
            identity: config.identity().to_string(),
            fused: Fused::new(job, config.network(), &inputs.images, zero_cost_images)?,
        };
        trained.with_weights(|weights| search(job, &inputs.scoring, weights, about, observer))
    }
}

/// Searches with weights from a file.
///
/// # Errors
/// Returns the same errors as [`search_run`].
pub fn search_weights(
    file: &WeightsFile,
    job: &SearchJob,
    place: &Session,
    observer: &mut dyn Observer,
) -> Result<SearchResult, PadaError> {
    let mut opened = file.open(place)?;
    let part = opened.part.clone();
    let (compute, recalibrate) = (file.compute, file.recalibrate);
    let fused = Fused::new(job, &file.supernet, &opened.trainable, ZERO_COST_IMAGES)?;
    let about = About { compute, recalibrate, part: &part, identity: String::new(), fused };
    opened.with_weights(|scoring, weights| search(job, scoring, weights, about, observer))
}

/// Properties of the supernet of a search, apart from its weights.
struct About<'a> {
    compute: ComputeConfig,
    recalibrate: Option<Recalibration>,
    part: &'a SubSpace,
    /// The settings that determine which weights an architecture has.
    identity: String,
    fused: Fused,
}

impl About<'_> {
    fn subject(&self, scoring: &Scoring, executor: &dyn Executor) -> Subject {
        Subject {
            space: scoring.network.space.name().to_owned(),
            weights: weights_sha256(&executor.read(State::Weights)),
            chosen_by: self.identity.clone(),
            images: images_record(&scoring.images).sha256,
            batch: scoring.batch,
            recalibration: self.recalibrate.map(|r| [r.images, r.batch]),
            compute: self.compute,
        }
    }
}

fn search(
    job: &SearchJob,
    scoring: &Scoring,
    mut weights: Weights<'_, '_>,
    about: About<'_>,
    observer: &mut dyn Observer,
) -> Result<SearchResult, PadaError> {
    let (started, images) = (Instant::now(), scoring.eval_set());
    let space = scoring.network.space.as_ref();
    let costs = Costs::read(job, scoring)?;
    let subject = about.subject(scoring, weights.executor);
    weights.executor.deferred_error().map_err(TrainError::from)?;
    let (mut cache, known) = ScoreCache::open(&job.out, &subject, images.len(), space)?;
    let mut fused = about.fused;
    fused.keep_in(&job.out, space)?;
    let fused = RefCell::new(fused);
    let mut scorer = scoring.scorer(&mut weights, &images);
    known.iter().try_for_each(|score| scorer.remember(score))?;
    let (mut visited, mut scored, most) = (0, 0, job.method.most());
    let mut score = |arch: &Arch| -> Result<f64, PadaError> {
        if observer.stop_requested() {
            return Err(TrainError::Stopped.into());
        }
        let before = scorer.known.len();
        let score = scorer.score(arch)?;
        if scorer.known.len() > before {
            cache.add(&score)?;
            scored += 1;
        }
        visited += 1;
        observer.on_scored(visited, most.max(visited));
        let accuracy = score.accuracy();
        fused.borrow_mut().add(arch, accuracy)?;
        Ok(accuracy)
    };
    let (cost, fits) = (|arch: &Arch| costs.cost(arch), |arch: &Arch| costs.fits(arch));
    let list_score = |evaluated: &[Evaluated]| fused.borrow().scores(evaluated);
    let mut objective = Objective::new(&mut score).cost(&cost).constraint(&fits);
    if !job.fuse.is_empty() {
        objective = objective.list_score(&list_score);
    }
    let mut rng = RngStream::Search.stream(job.seed);
    let mut search = Search::new(space, about.part, objective, &mut rng);
    let done = match &job.method {
        SearchMethod::Random(n) => random_search(&mut search, *n),
        SearchMethod::Evolution(config) => evolution(&mut search, config),
        SearchMethod::Pareto(config) => nsga2(&mut search, config),
    };
    done.map_err(of_search)?;
    let found = match job.method {
        SearchMethod::Pareto(_) => pareto_front(search.evaluated()),
        SearchMethod::Random(_) | SearchMethod::Evolution(_) => search.best(job.top),
    };
    observer.on_scored(visited, visited);
    let fused = fused.into_inner();
    let archs = found.iter().map(|found| costs.found(found, &fused)).collect::<Result<Vec<_>, _>>()?;
    let parts: Vec<String> = job.fuse.iter().map(ToString::to_string).collect();
    let kind = match parts.is_empty() {
        true => String::new(),
        false => format!("-fused-{}-{}", parts.join("+"), job.fusion),
    };
    let (method, limits) = (job.method.name(), job.limits.in_name());
    let file = job.out.join(format!("archs-{method}{kind}{limits}-s{}.csv", job.seed));
    write_found(&file, &archs)?;
    Ok(SearchResult { archs, visited, scored, seconds: started.elapsed().as_secs_f64(), file })
}

fn of_search(error: SearchError<PadaError>) -> PadaError {
    match error {
        SearchError::Score(error) => error,
        SearchError::NothingFeasible { tried } => PadaError::NothingFits { tried },
        SearchError::InvalidConfig { name, value, allowed } => {
            ConfigError::Range { key: name, value, range: allowed }.into()
        }
        SearchError::Space(error) => error.into(),
        error => PadaError::Search(error.to_string()),
    }
}

impl SearchMethod {
    /// Returns the name of the method on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Random(_) => "random",
            Self::Evolution(_) => "evolution",
            Self::Pareto(_) => "pareto",
        }
    }

    /// Returns the largest number of architectures that are visited.
    fn most(&self) -> usize {
        match self {
            Self::Random(n) => *n,
            Self::Evolution(c) => {
                let children = c.crossover.saturating_add(c.mutation);
                c.population.saturating_add(c.generations.saturating_mul(children))
            }
            Self::Pareto(c) => c.population.saturating_mul(c.generations.saturating_add(1)),
        }
    }
}

/// Name of the file with the zero-cost scores of a search.
const ZERO_COST: &str = "zero-cost.csv";

/// The parts of the fused score of every visited architecture.
struct Fused {
    plan: Vec<FusePart>,
    fusion: Fusion,
    /// `None` if no zero-cost score is fused.
    untrained: Option<Untrained>,
    /// The zero-cost scores on disk.
    log: Option<ScoreLog>,
    parts: HashMap<Arch, Vec<f64>>,
    accuracies: HashMap<Arch, f64>,
}

impl Fused {
    fn new(
        job: &SearchJob,
        supernet: &SupernetConfig,
        images: &Dataset,
        count: usize,
    ) -> Result<Self, PadaError> {
        let score = |part: &FusePart| match part {
            FusePart::ZeroCost(score) => Some(*score),
            FusePart::Supernet => None,
        };
        let scores: Vec<Score> = job.fuse.iter().filter_map(score).collect();
        let untrained = match scores.is_empty() {
            true => None,
            false => Some(Untrained::new(supernet, images, count, &scores)?),
        };
        let (plan, parts, accuracies) = (job.fuse.clone(), HashMap::new(), HashMap::new());
        Ok(Self { plan, fusion: job.fusion, untrained, log: None, parts, accuracies })
    }

    /// Keeps zero-cost scores in the folder of the search, and reads those that it has.
    fn keep_in(&mut self, folder: &Path, space: &dyn SearchSpace) -> Result<(), PadaError> {
        if let Some(untrained) = &self.untrained {
            self.log = Some(ScoreLog::replace(&folder.join(ZERO_COST), &untrained.subject, space)?);
        }
        Ok(())
    }

    /// Computes the parts of an architecture.
    fn add(&mut self, arch: &Arch, accuracy: f64) -> Result<(), PadaError> {
        let mut parts = Vec::with_capacity(self.plan.len());
        for part in &self.plan {
            parts.push(match (part, &self.untrained) {
                (FusePart::ZeroCost(score), Some(Untrained { zero_cost, .. })) => {
                    let arch = std::slice::from_ref(arch);
                    zero_cost.logged_scores(*score, arch, self.log.as_mut(), &mut ())?[0].for_ranking()
                }
                _ => accuracy,
            });
        }
        self.accuracies.insert(arch.clone(), accuracy);
        self.parts.insert(arch.clone(), parts);
        Ok(())
    }

    fn accuracy(&self, arch: &Arch) -> Option<f64> {
        self.accuracies.get(arch).copied()
    }

    /// Fuses the ranks of all architectures that were visited.
    fn scores(&self, evaluated: &[Evaluated]) -> Vec<f64> {
        let column =
            |part: usize| evaluated.iter().map(|found| self.parts[&found.arch][part]).collect::<Vec<f64>>();
        let parts: Vec<Vec<f64>> = (0..self.plan.len()).map(column).collect();
        fuse(&parts, self.fusion).expect("no part is NaN, and all have a number for every architecture")
    }
}

/// Computes the costs of architectures and checks the constraints.
struct Costs<'a> {
    scoring: &'a Scoring,
    kind: SearchCost,
    limits: SearchLimits,
    latency: Option<HashMap<Arch, f64>>,
}

impl<'a> Costs<'a> {
    fn read(job: &SearchJob, scoring: &'a Scoring) -> Result<Self, PadaError> {
        let space = scoring.network.space.as_ref();
        // Images that are too small for one architecture are too small for all, so this is the only place with this error.
        scoring.network.cost(&space.nth(0).expect("a space has an architecture"))?;
        let needs_file = job.cost == SearchCost::Latency || job.limits.latency.is_some();
        if needs_file && job.latency.is_none() {
            let (key, value, range) =
                ("--latency", "not given".to_owned(), "a file with the columns arch,latency");
            return Err(ConfigError::Range { key, value, range }.into());
        }
        let read =
            |path: &PathBuf| Ok::<_, PadaError>(read_numbers(path, "latency", space)?.into_iter().collect());
        let latency = job.latency.as_ref().map(read).transpose()?;
        Ok(Self { scoring, kind: job.cost, limits: job.limits, latency })
    }

    fn latency(&self, arch: &Arch) -> Option<f64> {
        self.latency.as_ref()?.get(arch).copied()
    }

    /// Returns the cost of an architecture, infinite if it is unknown. [`Costs::fits`] is false for such an architecture.
    fn cost(&self, arch: &Arch) -> f64 {
        let cost = self.scoring.network.cost(arch).ok();
        let cost = match self.kind {
            SearchCost::Macs => cost.map(|cost| cost.macs as f64),
            SearchCost::Params => cost.map(|cost| cost.params as f64),
            SearchCost::Latency => self.latency(arch),
        };
        cost.unwrap_or(f64::INFINITY)
    }

    fn fits(&self, arch: &Arch) -> bool {
        let Ok(cost) = self.scoring.network.cost(arch) else { return false };
        let latency = match (&self.latency, self.latency(arch)) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(_), Some(latency)) => self.limits.latency.is_none_or(|most| latency <= most),
        };
        latency
            && self.limits.macs.is_none_or(|most| cost.macs <= most)
            && self.limits.params.is_none_or(|most| cost.params <= most)
    }

    fn found(&self, found: &Evaluated, fused: &Fused) -> Result<FoundArch, PadaError> {
        let Evaluated { arch, score, .. } = found;
        let cost = self.scoring.network.cost(arch)?;
        Ok(FoundArch {
            arch: arch.to_string(),
            text: self.scoring.network.space.format(arch)?,
            score: fused.accuracy(arch).unwrap_or(*score),
            fused: (!fused.plan.is_empty()).then_some(*score),
            params: cost.params,
            macs: cost.macs,
            latency: self.latency(arch),
        })
    }
}

fn write_found(path: &Path, archs: &[FoundArch]) -> Result<(), PadaError> {
    let rows = archs.iter().map(|found| {
        let FoundArch { arch, text, score, fused, params, macs, latency } = found;
        let optional = |number: &Option<f64>| number.map_or_else(String::new, |number| number.to_string());
        let (fused, latency) = (optional(fused), optional(latency));
        vec![
            arch.clone(),
            score.to_string(),
            fused,
            params.to_string(),
            macs.to_string(),
            latency,
            text.clone(),
        ]
    });
    write_table(path, ["arch", "score", "fused", "params", "macs", "latency", "text"], rows)
}
