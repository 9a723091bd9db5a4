//! Architecture search with the weights of a trained supernet, or with the scores of a benchmark table.

mod costs;
mod differentiable;
mod look_up;
pub(crate) mod score_cache;
mod settings;
mod table;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use pada_data::Dataset;
use pada_metrics::{Fusion, fuse};
pub use pada_search::SearchMethod;
use pada_search::rand::Rng;
use pada_search::{Evaluated, InvalidSetting, Objective, Search, SearchError, Searcher, pareto_front};
use pada_space::{Arch, SearchSpace, SubSpace};
use pada_trainer::{EvalSet, Known, Observer, RngStream, Scorer, TrainError};
use pada_zerocost::Score;

use crate::config::{
    ComputeConfig, Config, ConfigError, FusePart, OWN, RankSplit, Recalibration, SupernetConfig, TrainPart,
    TruthName, ZERO_COST_IMAGES,
};
use crate::error::PadaError;
use crate::eval::arch_files::write_table;
use crate::eval::fusion::Untrained;
use crate::eval::score_log::ScoreLog;
use crate::eval::weights_file::WeightsFile;
use crate::eval::zero_cost::of_parts;
use crate::run::build;
use crate::run::inputs::Inputs;
use crate::run::network::Network;
use crate::run::scoring::{Scoring, Weights};
use crate::run::session::Session;
use crate::run::trained_run::TrainedRun;
use crate::search::costs::Costs;
pub use crate::search::differentiable::{
    DifferentiableJob, DifferentiableResult, differentiable_config, differentiable_mini,
    search_differentiable,
};
use crate::search::look_up::LookUp;
use crate::search::score_cache::{ScoreCache, Subject};
pub use crate::search::settings::search_method;
pub use crate::search::table::{TableScores, TableSearch, search_table};

/// Settings of an architecture search with the weights of a trained supernet.
#[derive(Clone, Debug)]
pub struct SearchJob {
    /// The search method.
    pub method: SearchMethod,
    /// The cost of an architecture. [`SearchMethod::Pareto`] minimises it; with other methods it decides between equal scores.
    pub cost: SearchCost,
    /// Constraints on the cost of an architecture.
    pub limits: SearchLimits,
    /// A CSV file with the columns `arch` and `latency`, where architectures without a row are infeasible, or a table of operations
    /// ([`LatencyTable`](crate::LatencyTable)).
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
    /// The benchmark table in which the architectures of the result are looked up. With `None` it is the main table of the run or the table
    /// that is searched, if there is one.
    pub truth: Option<TruthName>,
    /// Folder of the scores and of the result. Searches with the same supernet and images can use the same folder and share its scores.
    pub out: PathBuf,
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
    /// The highest stand-alone accuracy of the benchmark table in which the result is looked up, in percent. `None` without a table.
    pub ceiling: Option<f64>,
    /// Number of requests of the method. They repeat architectures if the method does so.
    pub asked: usize,
    /// Number of different architectures that were visited.
    pub visited: usize,
    /// Number of visited architectures that were scored in this search and not read from the folder.
    pub scored: usize,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// The images or the table that the search selected on, for example `2000 images of mini test`.
    pub selected_on: String,
    /// Whether these are test images, so that the scores of the result are optimistic.
    pub on_test_images: bool,
    /// The test images that the result was scored on after the search, if they are others.
    pub tested_on: Option<String>,
    /// CSV file of the result with the columns `arch,score,fused,params,macs,latency,truth,text,test`. Its name contains the method, the limits and
    /// the seed.
    pub file: PathBuf,
}

/// An architecture of the result of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundArch {
    /// The architecture as digits.
    pub arch: String,
    /// The architecture in the notation of the benchmarks of its space.
    pub text: String,
    /// Accuracy with shared weights on the images that the search selected on, or the score in the benchmark table that was searched, in percent.
    pub score: f64,
    /// Accuracy with shared weights on the test images, in percent. `None` if the search selected on test images or on a table.
    pub test: Option<f64>,
    /// The fused score, which depends on all visited architectures. `None` if none were fused.
    pub fused: Option<f64>,
    /// Number of parameters of the stand-alone network.
    pub params: u64,
    /// Number of multiply-adds of the stand-alone network for one image.
    pub macs: u64,
    /// Latency from the file of latencies, if there is one.
    pub latency: Option<f64>,
    /// Stand-alone accuracy in the benchmark table, in percent. `None` if there is no table or it does not have the network.
    pub truth: Option<f64>,
}

/// Searches with the supernet of a finished run, in the part of the space that it trained.
///
/// If the run left training images out (`data.train`), the search selects on them, and the result is then scored on the test images. Otherwise
/// it selects on the images of the ranking of the run, and [`SearchResult::selected_on`] says so.
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
    /// Searches with the weights of the run, on the images that [`search_run`] describes and in the part of the space that it trained.
    ///
    /// # Errors
    /// Returns an error if the run trained only one architecture, or if an architecture cannot be scored. After
    /// [`ErrorKind::Stopped`](crate::ErrorKind::Stopped) the same search continues with the scores in its folder.
    pub fn search(
        &mut self,
        job: &SearchJob,
        observer: &mut dyn Observer,
    ) -> Result<SearchResult, PadaError> {
        let Self { folder, config, inputs, trained, session } = self;
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
            truth: LookUp::of_run(job.truth, config, &session.data_dir)?,
        };
        let Images { selection, test } = Images::of(config, inputs, session)?;
        let images = SearchImages {
            selection: selection.as_ref().unwrap_or(&inputs.scoring),
            on_test_images: selection.is_none() && config.scored_on().split == RankSplit::Test,
            test: match (&selection, &test) {
                (Some(_), _) => Some(&inputs.scoring),
                (None, test) => test.as_ref(),
            },
        };
        trained.with_weights(|weights| search(job, images, weights, about, observer))
    }
}

/// The images of a search in a run, beside those of its ranking.
struct Images {
    /// The validation images, if the run ranked on test images although it left training images out.
    selection: Option<Scoring>,
    /// The test images, if the run ranked on validation images.
    test: Option<Scoring>,
}

impl Images {
    fn of(config: &Config, inputs: &Inputs, session: &Session) -> Result<Self, PadaError> {
        let (data, rank) = (config.data(), config.scored_on());
        let has_validation = data.train != TrainPart::All && data.source != OWN;
        let scoring = |split| -> Result<Scoring, PadaError> {
            let splits = pada_data::open(&data.source, &session.data_dir, data.photographs())?;
            let splits = build::normalised(data.normalize, splits)?;
            let images = build::rank_images(split, data.train, &splits)?;
            let network = Network::new(config.network(), &images)?;
            let (images, calibration) = (images.to_memory(rank.images)?, inputs.scoring.calibration.clone());
            Ok(Scoring { images, batch: rank.batch, calibration, network })
        };
        let other = match rank.split {
            _ if !has_validation => None,
            RankSplit::Test => Some(scoring(RankSplit::Valid)?),
            RankSplit::Valid => Some(scoring(RankSplit::Test)?),
        };
        let (selection, test) = match rank.split {
            RankSplit::Test => (other, None),
            RankSplit::Valid => (None, other),
        };
        Ok(Self { selection, test })
    }
}

/// The images of a search.
#[derive(Clone, Copy)]
struct SearchImages<'a> {
    /// The images that the search selects on.
    selection: &'a Scoring,
    on_test_images: bool,
    /// The test images that the result is scored on, if they are others.
    test: Option<&'a Scoring>,
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
    let truth = LookUp::named(job.truth, file.supernet.space, &place.data_dir)?;
    let about = About { compute, recalibrate, part: &part, identity: String::new(), fused, truth };
    let on_test_images = file.split == RankSplit::Test;
    opened.with_weights(|selection, weights| {
        search(job, SearchImages { selection, on_test_images, test: None }, weights, about, observer)
    })
}

/// Properties of the supernet of a search, apart from its weights.
struct About<'a> {
    compute: ComputeConfig,
    recalibrate: Option<Recalibration>,
    part: &'a SubSpace,
    /// The settings that determine which weights an architecture has.
    identity: String,
    fused: Fused,
    /// The table in which the result is looked up.
    truth: Option<LookUp>,
}

fn search(
    job: &SearchJob,
    SearchImages { selection: scoring, on_test_images, test }: SearchImages<'_>,
    mut weights: Weights<'_, '_>,
    about: About<'_>,
    observer: &mut dyn Observer,
) -> Result<SearchResult, PadaError> {
    let (started, images) = (Instant::now(), scoring.eval_set());
    let space = scoring.network.space.as_ref();
    if let SearchMethod::Reinforce(config) | SearchMethod::Enas(config) = &job.method
        && config.target.is_some()
        && !job.fuse.is_empty()
        && job.fusion == Fusion::LogRanks
    {
        let (key, value) = ("target", "given".to_owned());
        let range =
            "left out with log ranks, which are negative; use --fusion ranks, or a limit such as --max-macs";
        return Err(ConfigError::Range { key, value, range }.into());
    }
    let costs = Costs::read(job, &scoring.network)?;
    let (identity, recalibrate) = (about.identity, about.recalibrate);
    let subject = Subject::of(scoring, weights.executor, identity, recalibrate, about.compute);
    weights.executor.deferred_error().map_err(TrainError::from)?;
    let (cache, known) = ScoreCache::open(&job.out, &subject, images.len(), space)?;
    let mut fused = about.fused;
    fused.keep_in(&job.out, space)?;
    let fused = RefCell::new(fused);
    let mut scorer = scoring.scorer(&mut weights, &images);
    known.iter().try_for_each(|score| scorer.remember(score))?;
    let quick = Quick::open(job, &subject, &images, space, &mut scorer)?;
    let most = job.method.most(space.n_ops());
    let scores =
        RefCell::new(Scores { scorer, cache, quick, observer, fused: &fused, counts: Counts::of(most) });
    let mut score = |arch: &Arch| scores.borrow_mut().score(arch);
    let mut quick_score = |arch: &Arch| scores.borrow_mut().quick_score(arch);
    let (cost, fits) = (|arch: &Arch| costs.cost(arch), |arch: &Arch| costs.fits(arch));
    let list_score = |evaluated: &[Evaluated]| fused.borrow().scores(evaluated);
    let mut objective =
        Objective::new(&mut score).quick_score(&mut quick_score).cost(&cost).constraint(&fits);
    if !job.fuse.is_empty() {
        objective = objective.list_score(&list_score);
    }
    let mut rng = RngStream::Search.stream(job.seed);
    let (found, asked) = find(job, space, about.part, &costs, objective, &mut rng)?;
    let Scores { counts, observer, .. } = scores.into_inner();
    let [visited, scored] = [&counts.visited, &counts.scored].map(HashSet::len);
    observer.on_scored(counts.calls, counts.calls);
    let fused = fused.into_inner();
    let mut archs = found
        .iter()
        .map(|found| costs.found(found, Some(&fused), about.truth.as_ref()))
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(test) = test {
        let images = test.eval_set();
        let mut scorer = test.scorer(&mut weights, &images);
        for (row, found) in archs.iter_mut().zip(&found) {
            row.test = Some(scorer.score(&found.arch)?.accuracy());
        }
    }
    let file = write_found(job, &archs)?;
    let of = |scoring: &Scoring| format!("{} images of {}", scoring.images.len(), scoring.images.name);
    Ok(SearchResult {
        archs,
        ceiling: about.truth.as_ref().map(LookUp::best),
        asked,
        visited,
        scored,
        seconds: started.elapsed().as_secs_f64(),
        selected_on: of(scoring),
        on_test_images,
        tested_on: test.map(of),
        file,
    })
}

/// Runs the method of a search. Returns the architectures of the result, and the number of requests.
fn find<'a>(
    job: &SearchJob,
    space: &'a dyn SearchSpace,
    part: &'a SubSpace,
    costs: &Costs<'_>,
    objective: Objective<'a, PadaError>,
    rng: &'a mut dyn Rng,
) -> Result<(Vec<Evaluated>, usize), PadaError> {
    let mut search = Search::new(space, part, objective, rng).with_candidates(costs.measured().cloned());
    let mut searcher = job.method.searcher().map_err(out_of_range)?;
    let mut asked = 0;
    while search.step(&mut searcher).map_err(of_search)? {
        asked += 1;
    }
    let found = match job.method {
        SearchMethod::Pareto(_) => pareto_front(search.evaluated()),
        _ => search.history().best_by(job.top, |evaluated| searcher.value(evaluated)),
    };
    Ok((found, asked))
}

/// Scores on few images, for a method that requests them.
struct Quick {
    /// The scores of the scorer on the few images; in place of those on all images while it computes.
    known: Known,
    cache: ScoreCache,
}

impl Quick {
    /// Opens the scores on the first images in a folder of their own. Returns `None` if the method requests none.
    fn open(
        job: &SearchJob,
        subject: &Subject,
        images: &EvalSet,
        space: &dyn SearchSpace,
        scorer: &mut Scorer<'_, '_>,
    ) -> Result<Option<Self>, PadaError> {
        let SearchMethod::RandomNas(config) = job.method else { return Ok(None) };
        let few = config.images.min(images.len());
        let folder = job.out.join(format!("first-{few}-images"));
        let (cache, scores) = ScoreCache::open(&folder, subject, few, space)?;
        let mut known = Known::default();
        std::mem::swap(&mut known, &mut scorer.known);
        scorer.restrict(0..few);
        let remembered = scores.iter().try_for_each(|score| scorer.remember(score));
        std::mem::swap(&mut known, &mut scorer.known);
        remembered?;
        Ok(Some(Self { known, cache }))
    }
}

/// Computes scores with the weights of a supernet and keeps them on disk.
struct Scores<'a, 's, 'p> {
    scorer: Scorer<'s, 'p>,
    cache: ScoreCache,
    quick: Option<Quick>,
    observer: &'a mut dyn Observer,
    fused: &'a RefCell<Fused>,
    counts: Counts,
}

/// Counts architectures. One with a quick and a full score counts once.
struct Counts {
    visited: HashSet<Arch>,
    /// The visited architectures of which a score was not in the folder.
    scored: HashSet<Arch>,
    /// Number of calls.
    calls: usize,
    /// The largest number of requests of the method.
    most: usize,
}

impl Counts {
    fn of(most: usize) -> Self {
        Self { visited: HashSet::new(), scored: HashSet::new(), calls: 0, most }
    }
}

impl Scores<'_, '_, '_> {
    /// Computes the accuracy on all images.
    fn score(&mut self, arch: &Arch) -> Result<f64, PadaError> {
        let accuracy = Self::known_or_scored(
            (&mut self.scorer, &mut self.cache),
            (&mut *self.observer, &mut self.counts),
            arch,
        )?;
        self.fused.borrow_mut().add(arch, accuracy)?;
        Ok(accuracy)
    }

    /// Computes the accuracy on few images.
    fn quick_score(&mut self, arch: &Arch) -> Result<f64, PadaError> {
        let Some(quick) = &mut self.quick else { return self.score(arch) };
        std::mem::swap(&mut quick.known, &mut self.scorer.known);
        let accuracy = Self::known_or_scored(
            (&mut self.scorer, &mut quick.cache),
            (&mut *self.observer, &mut self.counts),
            arch,
        );
        std::mem::swap(&mut quick.known, &mut self.scorer.known);
        accuracy
    }

    fn known_or_scored(
        (scorer, cache): (&mut Scorer<'_, '_>, &mut ScoreCache),
        (observer, counts): (&mut dyn Observer, &mut Counts),
        arch: &Arch,
    ) -> Result<f64, PadaError> {
        if observer.stop_requested() {
            return Err(TrainError::Stopped.into());
        }
        let before = scorer.known.len();
        let score = scorer.score(arch)?;
        if scorer.known.len() > before {
            cache.add(&score)?;
            counts.scored.insert(arch.clone());
        }
        counts.visited.insert(arch.clone());
        counts.calls += 1;
        observer.on_scored(counts.calls, counts.most.max(counts.calls));
        Ok(score.accuracy())
    }
}

fn of_search(error: SearchError<PadaError>) -> PadaError {
    match error {
        SearchError::Score(error) => error,
        SearchError::NothingFeasible { tried } => PadaError::NothingFits { tried },
        SearchError::InvalidConfig(setting) => out_of_range(setting),
        SearchError::Space(error) => error.into(),
        error => PadaError::Search(error.to_string()),
    }
}

fn out_of_range(InvalidSetting { name, value, allowed }: InvalidSetting) -> PadaError {
    ConfigError::Range { key: name, value, range: allowed }.into()
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
    /// Per architecture: the numbers of each part of the plan, several for a score of a list.
    parts: HashMap<Arch, Vec<Vec<f64>>>,
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
                    let mut of = |score: Score| {
                        let found = zero_cost.logged_scores(score, arch, self.log.as_mut(), &mut ())?;
                        Ok::<_, PadaError>(found[0].for_ranking())
                    };
                    score.parts().into_iter().map(&mut of).collect::<Result<Vec<f64>, _>>()?
                }
                _ => vec![accuracy],
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
        const RANKED: &str = "no part is NaN, and all have a number for every architecture";
        let column = |part: usize| {
            let numbers = || evaluated.iter().map(|found| &self.parts[&found.arch][part]);
            let of = |place: usize| numbers().map(|numbers| numbers[place]).collect::<Vec<f64>>();
            let count = numbers().next().map_or(1, Vec::len);
            of_parts((0..count).map(of).collect()).expect(RANKED)
        };
        let parts: Vec<Vec<f64>> = (0..self.plan.len()).map(column).collect();
        fuse(&parts, self.fusion).expect(RANKED)
    }
}

/// Writes the result of a search. Returns the path of its file.
fn write_found(job: &SearchJob, archs: &[FoundArch]) -> Result<PathBuf, PadaError> {
    let parts: Vec<String> = job.fuse.iter().map(ToString::to_string).collect();
    let kind = match parts.is_empty() {
        true => String::new(),
        false => format!("-fused-{}-{}", parts.join("+"), job.fusion),
    };
    let (method, limits) = (job.method.name(), job.limits.in_name());
    let path = job.out.join(format!("archs-{method}{kind}{limits}-s{}.csv", job.seed));
    let rows = archs.iter().map(|found| {
        let FoundArch { arch, text, score, test, fused, params, macs, latency, truth } = found;
        let [fused, latency, truth, test] = [fused, latency, truth, test]
            .map(|number| number.map_or_else(String::new, |number| number.to_string()));
        vec![
            arch.clone(),
            score.to_string(),
            fused,
            params.to_string(),
            macs.to_string(),
            latency,
            truth,
            text.clone(),
            test,
        ]
    });
    let header = ["arch", "score", "fused", "params", "macs", "latency", "truth", "text", "test"];
    write_table(&path, header, rows)?;
    Ok(path)
}
