use std::time::{Duration, Instant};

use pada_report::{BestArch, RankRecord};
use pada_space::Arch;
use pada_trainer::{ArchScore, Calibration, Observer, TrainError};

use crate::pipeline::images_record;
use crate::scoring::{Scoring, Weights};
use crate::{PadaError, RunFolder, Tables};

/// How many of the best architectures a record names.
const BEST: usize = 5;

/// Architectures, what they are scored on, what they are compared with.
pub(crate) struct Ranking<'a> {
    pub(crate) archs: &'a [Arch],
    pub(crate) scoring: &'a Scoring,
    pub(crate) tables: &'a Tables,
}

/// Where scores are kept until all are there.
pub(crate) struct Part<'a> {
    pub(crate) folder: &'a RunFolder,
    pub(crate) every: Duration,
}

impl Ranking<'_> {
    /// Scores and compares all architectures; `part` keeps what is there already, and what is there if the work ends early.
    pub(crate) fn run(
        &self,
        mut weights: Weights<'_, '_>,
        mut part: Option<&mut Part<'_>>,
        observer: &mut dyn Observer,
    ) -> Result<(Vec<ArchScore>, RankRecord), PadaError> {
        let started = Instant::now();
        let images = &self.scoring.eval_set();
        let network = &self.scoring.network;
        let mut scorer = self.scoring.scorer(&mut weights, images);
        let mut scores = match &part {
            Some(part) => part.folder.scored(self.archs, images.len(), network.space.as_ref())?,
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
            images: images_record(&self.scoring.images),
            batch: self.scoring.batch,
            recalibrated_on: self.scoring.calibration.as_ref().map(Calibration::len),
            seconds,
            agreements: self.tables.agreements(network, &scores)?,
            best: self.best(&scores)?,
        };
        Ok((scores, record))
    }

    fn best(&self, scores: &[ArchScore]) -> Result<Vec<BestArch>, PadaError> {
        let mut order: Vec<&ArchScore> = scores.iter().collect();
        order.sort_by_key(|score| std::cmp::Reverse(score.correct));
        let entry = |score: &&ArchScore| {
            let cost = self.scoring.network.cost(&score.arch)?;
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
