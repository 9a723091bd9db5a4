//! The zero-cost scores of a ranking, and their fusion with the score of the supernet.

use std::time::Instant;

use pada_data::Dataset;
use pada_dist::ProcessGroup;
use pada_metrics::{Fusion, MetricsError, fuse};
use pada_report::{FusionRecord, ImagesRecord, ZeroCostRow};
use pada_space::Arch;
use pada_trainer::{Observer, TrainError};
use pada_zerocost::{Score, ScoreKind, ScoreValue};

use crate::config::{FusePart, RankConfig, SupernetConfig};
use crate::error::PadaError;
use crate::eval::ranking::images_record;
use crate::eval::score_log::logged;
use crate::eval::zero_cost::ZeroCost;

/// Seed of the untrained network. It is the same for all runs, so that their zero-cost scores are the same.
pub(crate) const SEED: u64 = 0;

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

    /// Returns all scores to compute, each once: structural ones first, then those to compare, then those to fuse.
    fn scores(&self) -> Vec<Score> {
        let fused = self.fused_scores();
        let mut scores = Vec::new();
        for score in STRUCTURAL.into_iter().chain(self.zero_cost.iter().copied()).chain(fused) {
            if !scores.contains(&score) {
                scores.push(score);
            }
        }
        scores
    }

    fn fused_scores(&self) -> impl Iterator<Item = Score> {
        self.fuse.iter().filter_map(|part| match part {
            FusePart::ZeroCost(score) => Some(*score),
            FusePart::Supernet => None,
        })
    }

    /// Computes all zero-cost scores. The processes share the architectures, and every process returns all scores.
    pub(crate) fn compute(
        &self,
        archs: &[Arch],
        images: &Dataset,
        world: &ProcessGroup,
        observer: &mut dyn Observer,
    ) -> Result<Columns, PadaError> {
        let started = Instant::now();
        let images = images.to_memory(2 * self.images)?;
        // Zico needs two batches.
        let batches = if self.scores().contains(&Score::Zico) { 2 } else { 1 };
        let batch = self.images.min(images.len() / batches);
        let zero_cost = ZeroCost::new(&self.supernet, &images, batch, SEED)?;
        let (index, size) = (world.index(), world.size());
        let own: Vec<Arch> = archs.iter().skip(index).step_by(size).cloned().collect();
        let mut columns = Vec::new();
        for score in self.scores() {
            let values = match zero_cost.scores(score, &own, observer) {
                // The other processes wait for this one, so that it sends what it has: nothing.
                Err(PadaError::Train(TrainError::Stopped)) if !world.is_single() => vec![],
                other => other?,
            };
            columns.push((score, gathered(values, archs.len(), world, started)?));
        }
        let images = images_record(&images.first(zero_cost.batch()));
        Ok(Columns { columns, images, seconds: started.elapsed().as_secs_f64() })
    }

    /// Describes the fusion for a record.
    pub(crate) fn record(&self, columns: &Columns) -> FusionRecord {
        let undefined = columns.columns.iter().filter_map(|(score, values)| {
            let reason = values.iter().find_map(|value| value.reason)?;
            let count = values.iter().filter(|value| value.reason.is_some()).count();
            Some((score.to_string(), count, reason.to_owned()))
        });
        FusionRecord {
            parts: self.fuse.iter().map(ToString::to_string).collect(),
            fusion: self.fusion,
            images: columns.images.clone(),
            seed: SEED,
            seconds: columns.seconds,
            undefined: undefined.collect(),
        }
    }

    /// Fuses the parts, given the accuracies with the weights of the supernet. Returns `None` if there is nothing to fuse.
    pub(crate) fn fused(
        &self,
        columns: &Columns,
        supernet: &[f64],
    ) -> Result<Option<Vec<f64>>, MetricsError> {
        if self.fuse.is_empty() || supernet.is_empty() {
            return Ok(None);
        }
        fuse(&self.parts(columns, supernet), self.fusion).map(Some)
    }

    /// Returns the rank of every architecture by each part, divided by the number of architectures: `[parts, A]`.
    pub(crate) fn part_ranks(
        &self,
        columns: &Columns,
        supernet: &[f64],
    ) -> Result<Vec<Vec<f64>>, MetricsError> {
        self.parts(columns, supernet).into_iter().map(|part| fuse(&[part], Fusion::Ranks)).collect()
    }

    fn parts(&self, columns: &Columns, supernet: &[f64]) -> Vec<Vec<f64>> {
        let part = |part: &FusePart| match part {
            FusePart::Supernet => supernet.to_vec(),
            FusePart::ZeroCost(score) => columns.of(*score),
        };
        self.fuse.iter().map(part).collect()
    }

    /// Returns the baselines that need no supernet, with their names.
    pub(crate) fn baselines(&self, columns: &Columns) -> Result<Vec<(String, Vec<f64>)>, MetricsError> {
        let fused_of = |scores: &[Score]| {
            fuse(&scores.iter().map(|score| columns.of(*score)).collect::<Vec<_>>(), self.fusion)
        };
        let mut baselines =
            vec![(ZeroCostRow::ACTIVE_CONV_PARAMS.to_owned(), columns.of(Score::ActiveConvParams))];
        baselines.push((ZeroCostRow::STRUCTURAL.to_owned(), fused_of(&STRUCTURAL)?));
        for (score, _) in &columns.columns {
            if score.kind() == ScoreKind::Passes {
                baselines.push((score.to_string(), columns.of(*score)));
            }
        }
        let fused: Vec<Score> = self.fused_scores().collect();
        if fused.len() > 1 {
            baselines.push((ZeroCostRow::FUSED.to_owned(), fused_of(&fused)?));
        }
        Ok(baselines)
    }
}

/// Zero-cost scores of a list of architectures.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    /// `[scores, A]`
    columns: Vec<(Score, Vec<ScoreValue>)>,
    images: ImagesRecord,
    seconds: f64,
}

impl Columns {
    /// Returns the numbers of a score by which architectures are ranked, `[A]`.
    fn of(&self, score: Score) -> Vec<f64> {
        let column = self.columns.iter().find(|(other, _)| *other == score);
        column.expect("every planned score was computed").1.iter().map(ScoreValue::for_ranking).collect()
    }

    /// Returns the number of convolution weights that can influence the output, `[A]`.
    pub(crate) fn size(&self) -> Vec<f64> {
        self.of(Score::ActiveConvParams)
    }

    /// Returns the scores of some architectures, given by their index.
    pub(crate) fn at(&self, places: &[usize]) -> Self {
        let columns = self.columns.iter();
        let columns =
            columns.map(|(score, values)| (*score, places.iter().map(|&place| values[place]).collect()));
        Self { columns: columns.collect(), images: self.images.clone(), seconds: self.seconds }
    }

    /// Returns all scores with their names, as they are written to a file.
    pub(crate) fn named(&self) -> impl Iterator<Item = (String, Vec<f64>)> {
        self.columns
            .iter()
            .map(|(score, values)| (score.to_string(), values.iter().map(|v| v.value).collect()))
    }
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
    let value = |bytes: &[u8; 8]| logged(f64::from_le_bytes(*bytes));
    let lists: Vec<Vec<ScoreValue>> =
        found.iter().map(|bytes| bytes.as_chunks::<8>().0.iter().map(value).collect()).collect();
    let share = |index: usize| archs.saturating_sub(index).div_ceil(lists.len());
    if lists.iter().enumerate().any(|(index, list)| list.len() < share(index)) {
        return Err(TrainError::Stopped.into());
    }
    Ok((0..archs).map(|place| lists[place % lists.len()][place / lists.len()]).collect())
}
