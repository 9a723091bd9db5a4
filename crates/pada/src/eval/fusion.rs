//! The zero-cost scores of a ranking, and their fusion with the score of the supernet.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Instant;

use pada_data::Dataset;
use pada_dist::ProcessGroup;
use pada_graph::Shape;
use pada_metrics::{Fusion, MetricsError, fuse};
use pada_report::{FusionRecord, ImagesRecord, ZeroCostRow};
use pada_space::Arch;
use pada_trainer::{Observer, TrainError};
use pada_zerocost::{Score, ScoreKind, ScoreValue};

use crate::config::{FusePart, RankConfig, RunConfig, SupernetConfig};
use crate::error::PadaError;
use crate::eval::arch_files::{columns, read_score_column};
use crate::eval::partial_scores::Part;
use crate::eval::ranking::{FUSED, images_record};
use crate::eval::zero_cost::{ZeroCost, of_parts};
use crate::run::network::Network;

/// Seed of the untrained network. It is the same for all runs, so that their zero-cost scores are the same.
const SEED: u64 = 0;

/// The structural scores that are one ranking when their ranks are fused: they need no pass at all.
const STRUCTURAL: [Score; 3] = [Score::ConvDepth, Score::ActiveConvParams, Score::Pools];

/// Which zero-cost scores are computed, and which scores are fused.
#[derive(Clone, Debug)]
pub(crate) struct FusionPlan {
    pub(crate) supernet: SupernetConfig,
    pub(crate) fuse: Vec<FusePart>,
    pub(crate) fusion: Fusion,
    /// Scores that are only compared.
    pub(crate) zero_cost: Vec<Score>,
    pub(crate) images: usize,
}

impl FusionPlan {
    /// Returns the plan of a config, or `None` if it neither fuses nor compares.
    pub(crate) fn of(supernet: &SupernetConfig, rank: &RankConfig) -> Option<Self> {
        let plan = Self {
            supernet: supernet.clone(),
            fuse: rank.fuse.clone(),
            fusion: rank.fusion,
            zero_cost: rank.zero_cost.clone(),
            images: rank.zero_cost_images,
        };
        (!plan.fuse.is_empty() || !plan.zero_cost.is_empty()).then_some(plan)
    }

    /// Returns all scores of single architectures to compute, each once: structural ones first, then those to compare, then those to fuse.
    fn scores(&self) -> Vec<Score> {
        let named = STRUCTURAL.into_iter().chain(self.zero_cost.iter().copied()).chain(self.fused_scores());
        once(named.flat_map(Score::parts))
    }

    /// Returns the scores of passes that a reader compares with, each once: those to compare, then those to fuse.
    fn compared(&self) -> Vec<Score> {
        let named = once(self.zero_cost.iter().copied().chain(self.fused_scores()));
        named.into_iter().filter(|score| score.kind() == ScoreKind::Passes).collect()
    }

    /// Returns the baselines that need no supernet, with their names. `of` returns the scores of all architectures, or `None` if they are
    /// unknown; baselines that need such a score are left out.
    fn baselines(
        &self,
        of: impl Fn(Score) -> Option<Vec<f64>>,
    ) -> Result<Vec<(String, Vec<f64>)>, MetricsError> {
        let fused_of = |scores: &[Score]| {
            let parts = scores.iter().map(|&score| of(score)).collect::<Option<Vec<_>>>();
            parts.map(|parts| fuse(&parts, self.fusion)).transpose()
        };
        let mut baselines = vec![
            (ZeroCostRow::ACTIVE_CONV_PARAMS.to_owned(), of(Score::ActiveConvParams)),
            (ZeroCostRow::STRUCTURAL.to_owned(), fused_of(&STRUCTURAL)?),
        ];
        baselines.extend(self.compared().into_iter().map(|score| (score.to_string(), of(score))));
        let fused: Vec<Score> = self.fused_scores().collect();
        if fused.len() > 1 {
            baselines.push((ZeroCostRow::FUSED.to_owned(), fused_of(&fused)?));
        }
        Ok(baselines.into_iter().filter_map(|(name, list)| Some((name, list?))).collect())
    }

    fn fused_scores(&self) -> impl Iterator<Item = Score> {
        self.fuse.iter().filter_map(|part| match part {
            FusePart::ZeroCost(score) => Some(*score),
            FusePart::Supernet => None,
        })
    }

    /// Computes all zero-cost scores. The processes share the architectures, and every process returns all scores. `part` keeps them until
    /// the ranking is finished.
    pub(crate) fn zero_cost(
        &self,
        archs: &[Arch],
        images: &Dataset,
        world: &ProcessGroup,
        part: Option<&Part>,
        observer: &mut dyn Observer,
    ) -> Result<ZeroCostScores<'_>, PadaError> {
        let started = Instant::now();
        let scores = self.scores();
        let Untrained { zero_cost, images, subject } =
            Untrained::new(&self.supernet, images, self.images, &scores)?;
        let open = |part: &Part| part.zero_cost(&subject, self.supernet.space()?.as_ref());
        let mut log = part.map(open).transpose()?.flatten();
        let (index, size) = (world.index(), world.size());
        let own: Vec<Arch> = archs.iter().skip(index).step_by(size).cloned().collect();
        let mut columns = Vec::new();
        for score in scores {
            let values = match zero_cost.logged_scores(score, &own, log.as_mut(), observer) {
                // The other processes wait for this one, so that it sends what it has: nothing.
                Err(PadaError::Train(TrainError::Stopped)) if !world.is_single() => vec![],
                other => other?,
            };
            columns.push((score, gathered(values, archs.len(), world, started)?));
        }
        Ok(ZeroCostScores { plan: self, columns, images, seconds: started.elapsed().as_secs_f64() })
    }
}

/// The untrained network of the zero-cost scores of runs and searches.
pub(crate) struct Untrained {
    pub(crate) zero_cost: ZeroCost,
    pub(crate) images: ImagesRecord,
    /// The first line of a [`ScoreLog`](crate::eval::score_log::ScoreLog): everything that the scores depend on.
    pub(crate) subject: String,
}

impl Untrained {
    /// Creates the network, with the first `count` images, or with all if there are fewer.
    pub(crate) fn new(
        supernet: &SupernetConfig,
        images: &Dataset,
        count: usize,
        scores: &[Score],
    ) -> Result<Self, PadaError> {
        let images = images.to_memory(2 * count)?;
        // Zico needs two batches.
        let batches = if scores.contains(&Score::Zico) { 2 } else { 1 };
        let batch = count.min(images.len() / batches);
        let zero_cost = ZeroCost::new(supernet, &images, batch, SEED)?;
        let images = images_record(&images.first(zero_cost.batch()));
        let subject = serde_json::json!({
            "supernet": supernet,
            "images": images.sha256,
            "batch": zero_cost.batch(),
            "seed": SEED,
        });
        Ok(Self { zero_cost, images, subject: subject.to_string() })
    }
}

/// Zero-cost scores of a list of architectures.
#[derive(Clone, Debug)]
pub(crate) struct ZeroCostScores<'p> {
    plan: &'p FusionPlan,
    /// `[scores, A]`
    columns: Vec<(Score, Vec<ScoreValue>)>,
    images: ImagesRecord,
    seconds: f64,
}

/// Zero-cost scores of a list of architectures, fused with the scores of a supernet.
#[derive(Clone, Debug)]
pub(crate) struct FusedScores<'p> {
    pub(crate) zero_cost: ZeroCostScores<'p>,
    /// `[A]`, the fused score. `None` if nothing is fused.
    pub(crate) fused: Option<Vec<f64>>,
    /// `[parts, A]`, the rank by each part, divided by A.
    pub(crate) part_ranks: Vec<Vec<f64>>,
}

impl<'p> FusedScores<'p> {
    /// Fuses zero-cost scores with the accuracies with the weights of a supernet, `[A]`.
    pub(crate) fn new(zero_cost: ZeroCostScores<'p>, accuracies: &[f64]) -> Result<Self, MetricsError> {
        let fused = zero_cost.fused(accuracies)?;
        let ranks = |part: &Vec<f64>| fuse(&[part], Fusion::Ranks);
        let part_ranks = match &fused {
            Some(_) => zero_cost.parts(accuracies).iter().map(ranks).collect::<Result<_, _>>()?,
            None => vec![],
        };
        Ok(Self { zero_cost, fused, part_ranks })
    }

    /// Returns all columns with their names, as they are written to a file: zero-cost scores, and last the fused score.
    pub(crate) fn named(self) -> Vec<(String, Vec<f64>)> {
        let column = |(score, values): (Score, Vec<ScoreValue>)| {
            (score.to_string(), values.into_iter().map(|value| value.value).collect())
        };
        let fused = self.fused.map(|fused| (FUSED.to_owned(), fused));
        let of_lists = self.zero_cost.plan.compared().into_iter().filter(|score| score.parts() != [*score]);
        let of_lists: Vec<_> = of_lists.map(|score| (score.to_string(), self.zero_cost.of(score))).collect();
        self.zero_cost.columns.into_iter().map(column).chain(of_lists).chain(fused).collect()
    }
}

impl ZeroCostScores<'_> {
    /// Fuses the scores with accuracies, `[A]`. Returns `None` if nothing is fused.
    pub(crate) fn fused(&self, accuracies: &[f64]) -> Result<Option<Vec<f64>>, MetricsError> {
        match self.plan.fuse.is_empty() || accuracies.is_empty() {
            true => Ok(None),
            false => fuse(&self.parts(accuracies), self.plan.fusion).map(Some),
        }
    }

    /// Returns the scores that are fused, `[parts, A]`.
    fn parts(&self, accuracies: &[f64]) -> Vec<Vec<f64>> {
        let part = |part: &FusePart| match part {
            FusePart::Supernet => accuracies.to_vec(),
            FusePart::ZeroCost(score) => self.of(*score),
        };
        self.plan.fuse.iter().map(part).collect()
    }

    /// Returns the scores of some of the architectures, given by their index.
    pub(crate) fn of_some(&self, places: &[usize]) -> Self {
        let column = |(score, values): &(Score, Vec<ScoreValue>)| {
            (*score, places.iter().map(|&place| values[place]).collect())
        };
        Self {
            plan: self.plan,
            columns: self.columns.iter().map(column).collect(),
            images: self.images.clone(),
            seconds: self.seconds,
        }
    }

    /// Describes the fusion for a record.
    pub(crate) fn record(&self) -> FusionRecord {
        let undefined = self.columns.iter().flat_map(|(score, values)| {
            let reasons = ScoreValue::reasons(values).into_iter();
            reasons.map(move |(reason, count)| (score.to_string(), count, reason.to_owned()))
        });
        FusionRecord {
            parts: self.plan.fuse.iter().map(ToString::to_string).collect(),
            fusion: self.plan.fusion,
            images: self.images.clone(),
            seed: SEED,
            seconds: self.seconds,
            undefined: undefined.collect(),
        }
    }

    /// Returns the baselines that need no supernet, with their names, for some architectures, given by their index.
    pub(crate) fn baselines(&self, places: &[usize]) -> Result<Vec<(String, Vec<f64>)>, MetricsError> {
        self.plan.baselines(|score| Some(at(&self.of(score), places)))
    }

    /// Returns the number of convolution weights that can influence the output, for some architectures.
    pub(crate) fn sizes(&self, places: &[usize]) -> Vec<f64> {
        at(&self.of(Score::ActiveConvParams), places)
    }

    /// Returns the numbers of a score by which architectures are ranked, `[A]`. A score of a list is that of all these architectures.
    fn of(&self, score: Score) -> Vec<f64> {
        if score.parts() != [score] {
            let parts = score.parts().into_iter().map(|part| self.of(part)).collect();
            return of_parts(parts).expect("all columns have a number for every architecture");
        }
        let column = self.columns.iter().find(|(other, _)| *other == score);
        column.expect("every planned score was computed").1.iter().map(ScoreValue::for_ranking).collect()
    }
}

/// Reads the scores by which the baselines of a finished run rank some architectures, with their names: as the rows below the supernet in its
/// record, but for accuracies of a short training.
///
/// `file` is the file `ranking.csv` of the run, in which scores that are not defined are the worst. Baselines that need a column that the file
/// does not have are left out.
///
/// # Errors
/// Returns an error if the file cannot be read or lacks one of the architectures.
pub fn read_baselines(
    file: &Path,
    config: &RunConfig,
    archs: &[Arch],
) -> Result<Vec<(String, Vec<f64>)>, PadaError> {
    if archs.is_empty() {
        return Ok(vec![]);
    }
    let space = config.supernet.space()?;
    let known: HashSet<String> = columns(file)?.into_iter().collect();
    let mut lists: HashMap<Score, Vec<f64>> = HashMap::new();
    let plan = FusionPlan::of(&config.supernet, &config.rank);
    let scores = plan.iter().flat_map(|plan| plan.scores().into_iter().chain(plan.compared()));
    for score in once(scores).into_iter().filter(|score| known.contains(score.name())) {
        let column: HashMap<Arch, f64> =
            read_score_column(file, score.name(), space.as_ref())?.into_iter().collect();
        let of = |arch: &Arch| {
            let missing = || PadaError::Scores {
                path: file.into(),
                line: 1,
                reason: format!("the architecture {arch} is missing"),
            };
            column.get(arch).copied().ok_or_else(missing)
        };
        lists.insert(score, archs.iter().map(of).collect::<Result<_, _>>()?);
    }
    // The number of classes and the size of images do not change the order by size.
    let network = Network::of_images(&config.supernet, Shape::new(3, 32, 32), 10)?;
    let mut baselines: Vec<(String, Vec<f64>)> =
        network.baselines(archs)?.into_iter().map(|(name, list)| (name.to_owned(), list)).collect();
    if let Some(plan) = plan {
        for (name, list) in plan.baselines(|score| lists.get(&score).cloned())? {
            if baselines.iter().all(|(other, _)| *other != name) {
                baselines.push((name, list));
            }
        }
    }
    Ok(baselines)
}

/// Returns scores without repetitions, in their order.
fn once(scores: impl Iterator<Item = Score>) -> Vec<Score> {
    let mut different = Vec::new();
    for score in scores {
        if !different.contains(&score) {
            different.push(score);
        }
    }
    different
}

/// Returns the numbers at some places.
pub(crate) fn at(list: &[f64], places: &[usize]) -> Vec<f64> {
    places.iter().map(|&place| list[place]).collect()
}

/// Gathers the scores of all processes, of which process i has the architectures i, i + size, ….
fn gathered(
    own: Vec<ScoreValue>,
    archs: usize,
    world: &ProcessGroup,
    started: Instant,
) -> Result<Vec<ScoreValue>, PadaError> {
    if world.is_single() {
        return Ok(own);
    }
    let bytes = own.iter().flat_map(|value| value.value.to_le_bytes()).collect();
    let found = world.all_gather_late(bytes, started.elapsed())?;
    // The processes send numbers, not reasons.
    const NOT_FINITE: &str = "it is not defined for this network";
    let value = |bytes: &[u8; 8]| {
        let value = f64::from_le_bytes(*bytes);
        ScoreValue { value, reason: (!value.is_finite()).then_some(NOT_FINITE) }
    };
    let lists: Vec<Vec<ScoreValue>> =
        found.iter().map(|bytes| bytes.as_chunks::<8>().0.iter().map(value).collect()).collect();
    let share = |index: usize| archs.saturating_sub(index).div_ceil(lists.len());
    if lists.iter().enumerate().any(|(index, list)| list.len() < share(index)) {
        return Err(TrainError::Stopped.into());
    }
    Ok((0..archs).map(|place| lists[place % lists.len()][place / lists.len()]).collect())
}
