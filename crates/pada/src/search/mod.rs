//! Searching for good architectures with the weights of a trained supernet.

pub(crate) mod score_cache;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use pada_exec::{Executor, State};
use pada_search::{
    Evaluated, EvolutionConfig, Nsga2Config, Objective, Search, SearchError, evolution, nsga2, pareto_front,
    random_search,
};
use pada_space::{Arch, SubSpace};
use pada_trainer::{Observer, RngStream, TrainError, weights_sha256};

use crate::config::{ComputeConfig, Config, ConfigError, Recalibration};
use crate::error::PadaError;
use crate::eval::arch_files::{read_numbers, write_file};
use crate::eval::ranking::images_record;
use crate::eval::weights_file::WeightsFile;
use crate::run::scoring::{Scoring, Weights};
use crate::run::session::Session;
use crate::run::trained_run::TrainedRun;
use crate::search::score_cache::{ScoreCache, Subject};

/// Good architectures to be found with the weights of a trained supernet.
#[derive(Clone, Debug)]
pub struct SearchJob {
    /// How they are looked for.
    pub method: SearchMethod,
    /// What an architecture costs: weighed against the score by [`SearchMethod::Pareto`], elsewhere it decides between equal scores.
    pub cost: SearchCost,
    /// What is wanted at all.
    pub limits: SearchLimits,
    /// A file with the columns `arch` and `latency`; an architecture that it lacks is not wanted.
    pub latency: Option<PathBuf>,
    /// Seed of what is drawn.
    pub seed: u64,
    /// How many of the best are reported; a front is reported whole.
    pub top: usize,
    /// Folder of the scores and of what is found. Searches of the same supernet on the same images can share one, and then share scores.
    pub out: PathBuf,
}

/// How architectures are looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SearchMethod {
    /// So many different ones at random.
    Random(usize),
    /// Children of the best so far.
    Evolution(EvolutionConfig),
    /// NSGA-II, score against cost.
    Pareto(Nsga2Config),
}

/// What an architecture costs when it stands alone, see [`crate::Network::cost`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchCost {
    /// Multiply-adds of one image.
    Macs,
    /// Weights.
    Params,
    /// What the file of latencies says.
    Latency,
}

/// The most that a wanted architecture may cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SearchLimits {
    /// Multiply-adds.
    pub macs: Option<u64>,
    /// Weights.
    pub params: Option<u64>,
    /// Latency, in the unit of its file.
    pub latency: Option<f64>,
}

impl SearchLimits {
    /// For a file's name: `-macs1500000-params200000`; nothing where there is no limit.
    fn in_name(&self) -> String {
        let part =
            |name: &str, most: Option<f64>| most.map_or_else(String::new, |most| format!("-{name}{most}"));
        let count = |most: Option<u64>| most.map(|most| most as f64);
        part("macs", count(self.macs)) + &part("params", count(self.params)) + &part("latency", self.latency)
    }
}

/// What a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchResult {
    /// The best, best first; of a Pareto search the front, cheapest first.
    pub archs: Vec<FoundArch>,
    /// Architectures that were visited.
    pub visited: usize,
    /// Those of them that were scored now, and not read from the folder.
    pub scored: usize,
    /// Wall-clock time.
    pub seconds: f64,
    /// `arch,score,params,macs,latency,text` of what was found; its name has the method, the limits and the seed.
    pub file: PathBuf,
}

/// An architecture that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundArch {
    /// Its digits.
    pub arch: String,
    /// The long form, as benchmarks of the space write it.
    pub text: String,
    /// Accuracy with shared weights, percent.
    pub score: f64,
    /// Weights when it stands alone.
    pub params: u64,
    /// Multiply-adds of one image when it stands alone.
    pub macs: u64,
    /// From the file of latencies.
    pub latency: Option<f64>,
}

/// Searches with the supernet of a finished run, on the images and in the part of the space that it ranks.
///
/// # Errors
/// [`PadaError`]. After [`ErrorKind::Stopped`](crate::ErrorKind::Stopped), and after a kill, the same job goes on with the scores it has.
pub fn search_run(
    run: &Path,
    job: &SearchJob,
    place: &Session,
    observer: &mut dyn Observer,
) -> Result<SearchResult, PadaError> {
    TrainedRun::load_in(run, place)?.search(job, observer)
}

impl TrainedRun {
    /// Searches with the weights of the run, on the images and in the part of the space that it ranks.
    ///
    /// # Errors
    /// [`PadaError`], also for a run that trained one architecture. After [`ErrorKind::Stopped`](crate::ErrorKind::Stopped) the same job
    /// continues with the scores in its folder.
    pub fn search(
        &mut self,
        job: &SearchJob,
        observer: &mut dyn Observer,
    ) -> Result<SearchResult, PadaError> {
        let Self { folder, config, inputs, trained, .. } = self;
        if matches!(config, Config::Retrain(_)) {
            let (key, value) = ("the run folder", folder.path().display().to_string());
            let range = "that of a supernet, and not of one architecture alone";
            return Err(ConfigError::Range { key, value, range }.into());
        }
        let about = About {
            compute: config.compute(),
            recalibrate: config.scored_on().recalibrate,
            part: &inputs.whole,
            identity: config.identity().to_string(),
        };
        trained.with_weights(|weights| search(job, &inputs.scoring, weights, about, observer))
    }
}

/// Searches with weights from a file.
///
/// # Errors
/// As [`search_run`].
pub fn search_weights(
    file: &WeightsFile,
    job: &SearchJob,
    place: &Session,
    observer: &mut dyn Observer,
) -> Result<SearchResult, PadaError> {
    let mut opened = file.open(place)?;
    let part = opened.part.clone();
    let (compute, recalibrate) = (file.compute, file.recalibrate);
    let about = About { compute, recalibrate, part: &part, identity: String::new() };
    opened.with_weights(|scoring, weights| search(job, scoring, weights, about, observer))
}

/// What a search must know of its supernet beside the weights.
struct About<'a> {
    compute: ComputeConfig,
    recalibrate: Option<Recalibration>,
    part: &'a SubSpace,
    /// Whatever chooses the weights of an architecture.
    identity: String,
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
            compute: format!("{:?}", self.compute),
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
        Ok(score.accuracy())
    };
    let (cost, fits) = (|arch: &Arch| costs.cost(arch), |arch: &Arch| costs.fits(arch));
    let objective = Objective::new(&mut score).cost(&cost).constraint(&fits);
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
    let archs = found.iter().map(|found| costs.found(found)).collect::<Result<Vec<_>, _>>()?;
    let file = job.out.join(format!("archs-{}{}-s{}.csv", job.method.name(), job.limits.in_name(), job.seed));
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
    /// As the command line writes it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Random(_) => "random",
            Self::Evolution(_) => "evolution",
            Self::Pareto(_) => "pareto",
        }
    }

    /// As many architectures are visited at most.
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

/// What architectures cost.
struct Costs<'a> {
    scoring: &'a Scoring,
    kind: SearchCost,
    limits: SearchLimits,
    latency: Option<HashMap<Arch, f64>>,
}

impl<'a> Costs<'a> {
    fn read(job: &SearchJob, scoring: &'a Scoring) -> Result<Self, PadaError> {
        let space = scoring.network.space.as_ref();
        // Where one architecture can be counted all can: images that are too small are an error here and nowhere later.
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

    /// Infinite for what cannot be counted; [`Costs::fits`] is never true of that.
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

    fn found(&self, found: &Evaluated) -> Result<FoundArch, PadaError> {
        let Evaluated { arch, score, .. } = found;
        let cost = self.scoring.network.cost(arch)?;
        Ok(FoundArch {
            arch: arch.to_string(),
            text: self.scoring.network.space.format(arch)?,
            score: *score,
            params: cost.params,
            macs: cost.macs,
            latency: self.latency(arch),
        })
    }
}

fn write_found(path: &Path, archs: &[FoundArch]) -> Result<(), PadaError> {
    let mut csv = csv::Writer::from_writer(vec![]);
    const INTO_MEMORY: &str = "memory takes every record";
    csv.write_record(["arch", "score", "params", "macs", "latency", "text"]).expect(INTO_MEMORY);
    for found in archs {
        let FoundArch { arch, text, score, params, macs, latency } = found;
        let latency = latency.map_or_else(String::new, |latency| latency.to_string());
        let numbers = [score.to_string(), params.to_string(), macs.to_string(), latency];
        let [score, params, macs, latency] = &numbers;
        csv.write_record([arch, score, params, macs, latency, text]).expect(INTO_MEMORY);
    }
    write_file(path, &csv.into_inner().expect(INTO_MEMORY))
}
