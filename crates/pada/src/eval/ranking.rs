use std::collections::BTreeMap;
use std::time::Instant;

use pada_data::{Dataset, InMemoryDataset};
use pada_dist::ProcessGroup;
use pada_report::{BestArch, ImagesRecord, RankRecord};
use pada_space::Arch;
use pada_trainer::{ArchScore, Asked, Calibration, Observer, Scorer, TrainError, communication_record};

use crate::config::Config;
use crate::error::PadaError;
use crate::eval::fusion::{FusedScores, FusionPlan};
use crate::eval::partial_scores::Part;
use crate::eval::share::deal;
use crate::eval::tables::Tables;
use crate::run::inputs::Inputs;
use crate::run::scoring::{Scoring, Weights};

/// Number of architectures that a device scores at a time. A request to stop waits for this number.
const AT_ONCE: usize = 32;
/// Number of best architectures in a record.
const BEST: usize = 5;

/// A ranking: architectures, the images that they are scored on, and the benchmark tables.
pub(crate) struct Ranking<'a> {
    pub(crate) archs: &'a [Arch],
    pub(crate) scoring: &'a Scoring,
    pub(crate) tables: &'a Tables,
    /// What is fused, and the images for zero-cost scores.
    pub(crate) fusion: Option<(FusionPlan, &'a Dataset)>,
    /// The processes that share the work.
    pub(crate) world: &'a ProcessGroup,
}

/// A finished ranking.
#[derive(Clone, Debug)]
pub struct Ranked {
    /// The score of each architecture with the weights of the supernet, in the given order.
    pub scores: Vec<ArchScore>,
    /// Further scores with their names, `[A]` each: zero-cost scores, and last the fused score, which is called `fused`.
    pub columns: Vec<(String, Vec<f64>)>,
    /// The comparison with benchmark tables, and the best architectures.
    pub record: RankRecord,
}

/// Name of the fused score in files.
pub(crate) const FUSED: &str = "fused";

impl<'a> Ranking<'a> {
    /// Creates a ranking of architectures on the images of a run.
    pub(crate) fn of(
        config: &Config,
        inputs: &'a Inputs,
        archs: &'a [Arch],
        tables: &'a Tables,
        world: &'a ProcessGroup,
    ) -> Self {
        let plan = match config {
            Config::Run(config) => FusionPlan::of(&config.supernet, &config.rank),
            Config::Retrain(_) => None,
        };
        let fusion = plan.map(|plan| (plan, &inputs.images));
        Self { archs, scoring: &inputs.scoring, tables, fusion, world }
    }
}

impl Ranking<'_> {
    /// Scores all architectures and compares the ranking. `part` has the scores of earlier starts and receives the scores of this one.
    /// Every process returns all scores.
    pub(crate) fn run(
        &self,
        mut weights: Weights<'_, '_>,
        part: Option<&mut Part>,
        observer: &mut dyn Observer,
    ) -> Result<Ranked, PadaError> {
        let (started, sent) = (Instant::now(), self.world.traffic());
        let images = &self.scoring.eval_set();
        let network = &self.scoring.network;
        let mut scorer = self.scoring.scorer(&mut weights, images);
        let scores = self.score(&mut scorer, images.len(), part, observer)?;
        let seconds = started.elapsed().as_secs_f64();
        let accuracies: Vec<f64> = scores.iter().map(ArchScore::accuracy).collect();
        let fused = match &self.fusion {
            Some((plan, images)) => {
                Some(plan.compute(self.archs, &accuracies, images, self.world, observer)?)
            }
            None => None,
        };
        let record = RankRecord {
            archs: scores.len(),
            images: images_record(&self.scoring.images),
            batch: self.scoring.batch,
            recalibrated_on: self.scoring.calibration.as_ref().map(Calibration::len),
            seconds,
            communication: communication_record(self.world, self.world.traffic().since(sent)),
            fusion: fused.as_ref().map(FusedScores::record),
            agreements: self.tables.agreements(network, &scores, fused.as_ref())?,
            best: self.best(&scores, fused.as_ref(), &mut scorer)?,
        };
        let columns = fused.map_or_else(Vec::new, FusedScores::named);
        Ok(Ranked { scores, columns, record })
    }

    /// Scores this process's shard of the unknown architectures, and gathers the scores of all processes.
    fn score(
        &self,
        scorer: &mut Scorer<'_, '_>,
        images: usize,
        mut part: Option<&mut Part>,
        observer: &mut dyn Observer,
    ) -> Result<Vec<ArchScore>, PadaError> {
        let mut scores = self.known(images, part.as_deref())?;
        scores.values().try_for_each(|score| scorer.remember(score))?;
        let open: Vec<usize> = (0..self.archs.len()).filter(|place| !scores.contains_key(place)).collect();
        let own = match self.world.is_single() {
            true => open,
            false => deal(self.archs, &open, &self.scoring.network, self.world.size())?
                .swap_remove(self.world.index()),
        };
        if self.world.index() > 0 {
            // Process 0 has the known scores in its file.
            scores.clear();
        }
        let (started, total) = (Instant::now(), scores.len() + own.len());
        let mut asked = Vec::new();
        for place in own {
            let stop = observer.stop_requested();
            if let Some(part) = &mut part
                && (stop || part.is_due())
            {
                take(scorer, &mut asked, &mut scores)?;
                part.save(scores.values())?;
            }
            if stop {
                break;
            }
            asked.push((place, scorer.ask(&self.archs[place])?));
            if !scorer.is_under_way() || asked.len() == AT_ONCE {
                take(scorer, &mut asked, &mut scores)?;
                observer.on_scored(scores.len(), total);
            }
        }
        if !asked.is_empty() {
            take(scorer, &mut asked, &mut scores)?;
            observer.on_scored(scores.len(), total);
        }
        if self.world.is_single() {
            return self.whole(scores);
        }
        if let Some(part) = &mut part {
            part.save(scores.values())?;
        }
        // Another process may take twice as long as this one before it counts as stalled.
        let found = self.world.all_gather_late(to_bytes(&scores), started.elapsed())?;
        self.whole(found.iter().flat_map(|bytes| self.scores(bytes, images)).collect())
    }

    /// Returns the scores of earlier starts by their index. They are the same on every process.
    fn known(&self, images: usize, part: Option<&Part>) -> Result<BTreeMap<usize, ArchScore>, PadaError> {
        let Some(part) = part else { return Ok(BTreeMap::new()) };
        let known = match self.world.index() {
            0 => part.collect(self.archs, images, self.scoring.network.space.as_ref())?,
            _ => BTreeMap::new(),
        };
        let known = self.world.broadcast(to_bytes(&known))?;
        Ok(self.scores(&known, images).collect())
    }

    /// Returns the scores of all architectures in order. If a score is missing, a process was requested to stop.
    fn whole(&self, scores: BTreeMap<usize, ArchScore>) -> Result<Vec<ArchScore>, PadaError> {
        let whole = scores.len() == self.archs.len();
        if whole { Ok(scores.into_values().collect()) } else { Err(TrainError::Stopped.into()) }
    }

    fn scores(&self, bytes: &[u8], images: usize) -> impl Iterator<Item = (usize, ArchScore)> {
        let (numbers, _) = bytes.as_chunks::<8>();
        let (pairs, _) = numbers.as_chunks::<2>();
        pairs.iter().map(move |pair| {
            let [place, correct] = pair.map(|number| u64::from_le_bytes(number) as usize);
            (place, ArchScore { arch: self.archs[place].clone(), correct, total: images })
        })
    }

    fn best(
        &self,
        scores: &[ArchScore],
        fused: Option<&FusedScores<'_>>,
        scorer: &mut Scorer<'_, '_>,
    ) -> Result<Vec<BestArch>, PadaError> {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(scores[i].correct));
        let part_ranks = fused.map_or(&[][..], |fused| &fused.part_ranks);
        let fused = fused.and_then(|fused| fused.fused.as_ref());
        if let Some(fused) = fused {
            order.sort_by(|&a, &b| fused[b].total_cmp(&fused[a]));
        }
        // Only process 0 writes the record.
        let writes = self.world.index() == 0;
        let mut entry = |&i: &usize| {
            let score = &scores[i];
            let cost = self.scoring.network.cost(&score.arch)?;
            Ok(BestArch {
                arch: score.arch.to_string(),
                score: score.accuracy(),
                fused: fused.map(|fused| fused[i]),
                part_ranks: part_ranks.iter().map(|ranks| ranks[i]).collect(),
                top5: if writes { scorer.top5(&score.arch)? } else { None },
                params: cost.params,
                macs: cost.macs,
                stand_alone_accuracy: self.tables.accuracy(&score.arch),
            })
        };
        order.iter().take(BEST).map(&mut entry).collect()
    }
}

/// Waits for the requested scores.
fn take(
    scorer: &mut Scorer<'_, '_>,
    asked: &mut Vec<(usize, Asked)>,
    scores: &mut BTreeMap<usize, ArchScore>,
) -> Result<(), TrainError> {
    let (places, asked): (Vec<usize>, Vec<Asked>) = asked.drain(..).unzip();
    scores.extend(places.into_iter().zip(scorer.scores(asked)?));
    Ok(())
}

/// Encodes the index and the number of correct images of each score.
fn to_bytes(scores: &BTreeMap<usize, ArchScore>) -> Vec<u8> {
    scores
        .iter()
        .flat_map(|(&place, score)| [place, score.correct])
        .flat_map(|n| (n as u64).to_le_bytes())
        .collect()
}

pub(crate) fn images_record(images: &InMemoryDataset) -> ImagesRecord {
    ImagesRecord { name: images.name.clone(), images: images.len(), sha256: images.sha256() }
}
