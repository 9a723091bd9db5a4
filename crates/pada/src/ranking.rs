use std::time::{Duration, Instant};

use pada_data::ImageSet;
use pada_graph::{Executor, Lower};
use pada_report::{BestArch, ImagesRecord, RankRecord};
use pada_space::Arch;
use pada_trainer::{ArchScore, EvalSet, Observer, PlaceWeights, Scorer, TrainError};

use crate::{Network, PadaError, RunFolder, Tables};

/// How many of the best architectures a record names.
const BEST: usize = 5;

/// Architectures, what they are scored on, what they are compared with.
pub(crate) struct Ranking {
    pub(crate) archs: Vec<Arch>,
    pub(crate) images: ImageSet,
    pub(crate) batch: usize,
    pub(crate) network: Network,
    pub(crate) tables: Tables,
}

/// What computes the architectures.
pub(crate) struct Weights<'a, 'p> {
    pub(crate) executor: &'a mut dyn Executor,
    pub(crate) net: &'a dyn Lower,
    pub(crate) place: &'a mut PlaceWeights<'p>,
}

/// Where scores are kept until all are there.
pub(crate) struct Part<'a> {
    pub(crate) folder: &'a RunFolder,
    pub(crate) every: Duration,
}

impl Ranking {
    /// Scores and compares all architectures; `part` keeps what is there already, and what is there if the work ends early.
    pub(crate) fn run(
        &self,
        weights: Weights<'_, '_>,
        mut part: Option<&mut Part<'_>>,
        observer: &mut dyn Observer,
    ) -> Result<(Vec<ArchScore>, RankRecord), PadaError> {
        let started = Instant::now();
        let Weights { executor, net, place } = weights;
        let images = &EvalSet::new(&self.images, usize::MAX, self.batch);
        let space = self.network.space.as_ref();
        let mut scorer = Scorer { executor, place, net, space, images, known: Default::default() };
        let mut scores = match &part {
            Some(part) => part.folder.scored(&self.archs, images.len(), space)?,
            None => vec![],
        };
        scores.iter().try_for_each(|score| scorer.remember(score))?;
        let mut saved = Instant::now();
        while scores.len() < self.archs.len() {
            let stop = observer.stop_requested();
            if let Some(part) = &mut part
                && (stop || saved.elapsed() >= part.every)
            {
                part.folder.write_scored(&scores)?;
                saved = Instant::now();
            }
            if stop {
                return Err(TrainError::Stopped.into());
            }
            scores.push(scorer.score(&self.archs[scores.len()])?);
            observer.on_scored(scores.len(), self.archs.len());
        }
        let seconds = started.elapsed().as_secs_f64();
        let record = RankRecord {
            archs: scores.len(),
            images: ImagesRecord {
                name: self.images.name.clone(),
                images: self.images.len(),
                sha256: self.images.sha256(),
            },
            batch: self.batch,
            seconds,
            agreements: self.tables.agreements(&self.network, &scores)?,
            best: self.best(&scores)?,
        };
        Ok((scores, record))
    }

    fn best(&self, scores: &[ArchScore]) -> Result<Vec<BestArch>, PadaError> {
        let mut order: Vec<&ArchScore> = scores.iter().collect();
        order.sort_by_key(|score| std::cmp::Reverse(score.correct));
        let entry = |score: &&ArchScore| {
            let cost = self.network.cost(&score.arch)?;
            Ok(BestArch {
                arch: score.arch.to_string(),
                score: score.accuracy(),
                params: cost.params,
                macs: cost.macs,
                truth: self.tables.accuracy(&score.arch),
            })
        };
        order.iter().take(BEST).map(entry).collect()
    }
}
