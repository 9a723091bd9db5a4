use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

use pada_data::{Dataset, InMemoryDataset};
use pada_dist::ProcessGroup;
use pada_report::{BestArch, ImagesRecord, RankRecord};
use pada_space::Arch;
use pada_trainer::{ArchScore, Asked, Calibration, Observer, Scorer, TrainError, communication_record};

use crate::config::{Config, RankBudget};
use crate::error::PadaError;
use crate::eval::fusion::{FusedScores, FusionPlan, ZeroCostScores};
use crate::eval::halving::{Halving, HalvingPlan};
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
    /// The cost of the ranking, or `None` to score all architectures on all images.
    pub(crate) budget: Option<RankBudget>,
    /// The processes that share the work.
    pub(crate) world: &'a ProcessGroup,
}

/// A finished ranking.
#[derive(Clone, Debug)]
pub struct Ranked {
    /// The score of each architecture with the weights of the supernet, in the given order. With a budget, eliminated architectures
    /// were scored on fewer images than others.
    pub scores: Vec<ArchScore>,
    /// The accuracy by which each architecture was ranked, in percent. It is that of its score; with a budget, it is estimated on all images
    /// for eliminated architectures.
    pub accuracies: Vec<f64>,
    /// Further scores with their names, `[A]` each: zero-cost scores, and last the fused score, which is called `fused`.
    pub columns: Vec<(String, Vec<f64>)>,
    /// The comparison with benchmark tables, and the best architectures.
    pub record: RankRecord,
}

/// Name of the fused score in files.
pub const FUSED: &str = "fused";

impl<'a> Ranking<'a> {
    /// Creates a ranking of architectures on the images of a run.
    pub(crate) fn of(
        config: &Config,
        inputs: &'a Inputs,
        archs: &'a [Arch],
        tables: &'a Tables,
        world: &'a ProcessGroup,
    ) -> Self {
        let (plan, budget) = match config {
            Config::Run(config) => (FusionPlan::of(&config.supernet, &config.rank), config.rank.budget),
            Config::Retrain(_) => (None, None),
        };
        let fusion = plan.map(|plan| (plan, &inputs.images));
        Self { archs, scoring: &inputs.scoring, tables, fusion, budget, world }
    }
}

impl Ranking<'_> {
    /// Scores all architectures and compares the ranking. `part` has the scores of earlier starts and receives the scores of this one.
    /// Every process returns all scores.
    pub(crate) fn run(
        &self,
        mut weights: Weights<'_, '_>,
        mut part: Option<&mut Part>,
        observer: &mut dyn Observer,
    ) -> Result<Ranked, PadaError> {
        let zero_cost = match &self.fusion {
            Some((plan, images)) => {
                Some(plan.zero_cost(self.archs, images, self.world, part.as_deref(), observer)?)
            }
            None => None,
        };
        let (started, sent) = (Instant::now(), self.world.traffic());
        let network = &self.scoring.network;
        let images = self.scoring.eval_set();
        let mut scorer = self.scoring.scorer(&mut weights, &images);
        let (scores, accuracies, halving) = match self.budget {
            None => {
                let all: Vec<usize> = (0..self.archs.len()).collect();
                let scores = self.score(&all, 0..images.len(), &|_| 0, &mut scorer, &mut part, observer)?;
                let scores: Vec<ArchScore> = scores.into_values().collect();
                let accuracies = scores.iter().map(ArchScore::accuracy).collect();
                (scores, accuracies, None)
            }
            Some(budget) => {
                let halving = self.halving(budget, zero_cost.as_ref(), &mut scorer, &mut part, observer)?;
                (halving.scores(), halving.estimates(), Some((budget, halving)))
            }
        };
        let seconds = started.elapsed().as_secs_f64();
        let halving =
            halving.map(|(budget, halving)| halving.record(budget, self.tables, zero_cost.as_ref()));
        let fused = zero_cost.map(|scores| FusedScores::new(scores, &accuracies)).transpose()?;
        let record = RankRecord {
            archs: scores.len(),
            images: images_record(&self.scoring.images),
            batch: self.scoring.batch,
            recalibrated_on: self.scoring.calibration.as_ref().map(Calibration::len),
            seconds,
            communication: communication_record(self.world, self.world.traffic().since(sent)),
            halving: halving.transpose()?,
            fusion: fused.as_ref().map(|fused| fused.zero_cost.record()),
            agreements: self.tables.agreements(network, self.archs, &accuracies, fused.as_ref())?,
            best: self.best(&accuracies, fused.as_ref(), &mut scorer)?,
        };
        let columns = fused.map_or_else(Vec::new, FusedScores::named);
        Ok(Ranked { scores, accuracies, columns, record })
    }

    /// Scores all architectures on few images and the promising ones on more.
    fn halving(
        &self,
        budget: RankBudget,
        zero_cost: Option<&ZeroCostScores<'_>>,
        scorer: &mut Scorer<'_, '_>,
        part: &mut Option<&mut Part>,
        observer: &mut dyn Observer,
    ) -> Result<Halving<'_>, PadaError> {
        let plan = self.halving_plan(budget, scorer, part.as_deref())?;
        let mut halving = Halving::new(self.archs, plan);
        let mut done = 0;
        for round in halving.rounds().to_vec() {
            let places = match done {
                0 => (0..self.archs.len()).collect(),
                _ => {
                    let estimates = halving.estimates();
                    let fused = zero_cost.map(|zero_cost| zero_cost.fused(&estimates)).transpose()?.flatten();
                    halving.promote(fused.as_ref().unwrap_or(&estimates))
                }
            };
            let before = |place| halving.correct_before(place);
            let scores = self.score(&places, done..round, &before, scorer, part, observer)?;
            halving.add(scores);
            done = round;
        }
        Ok(halving)
    }

    /// Returns the rounds of an interrupted start, or chooses them. They are the same on every process.
    fn halving_plan(
        &self,
        budget: RankBudget,
        scorer: &mut Scorer<'_, '_>,
        part: Option<&Part>,
    ) -> Result<HalvingPlan, PadaError> {
        let images = self.scoring.images.len();
        let known = match part {
            Some(part) if self.world.index() == 0 => part.rounds(budget, images)?,
            _ => None,
        };
        let known = self.world.broadcast(u64s(&known.unwrap_or_default()))?;
        if !known.is_empty() {
            return Ok(HalvingPlan { rounds: from_u64s(&known) });
        }
        let plan = HalvingPlan::choose(budget, self.archs, self.world, self.scoring, scorer)?;
        if let Some(part) = part.filter(|_| self.world.index() == 0) {
            part.save_rounds(budget, &plan.rounds)?;
        }
        Ok(plan)
    }

    /// Scores architectures, given by their index, on a range of images. Each process scores its share of those that have no score yet, and
    /// then all processes exchange their scores. `before` returns the number of correct images before the range. The returned scores are
    /// those on all images up to the end of the range.
    fn score(
        &self,
        places: &[usize],
        images: Range<usize>,
        before: &dyn Fn(usize) -> usize,
        scorer: &mut Scorer<'_, '_>,
        part: &mut Option<&mut Part>,
        observer: &mut dyn Observer,
    ) -> Result<BTreeMap<usize, ArchScore>, PadaError> {
        scorer.restrict(images.clone());
        let sum = |place: usize, score: ArchScore| ArchScore {
            correct: score.correct + before(place),
            total: images.end,
            ..score
        };
        let mut scores = self.known(places, images.end, part)?;
        for (&place, score) in &scores {
            let correct = score.correct.saturating_sub(before(place));
            scorer.remember(&ArchScore { correct, ..score.clone() })?;
        }
        let open: Vec<usize> = places.iter().copied().filter(|place| !scores.contains_key(place)).collect();
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
        let take = |scorer: &mut Scorer<'_, '_>,
                    asked: &mut Vec<(usize, Asked)>,
                    scores: &mut BTreeMap<usize, ArchScore>| {
            let (places, asked): (Vec<usize>, Vec<Asked>) = asked.drain(..).unzip();
            let found = places.into_iter().zip(scorer.scores(asked)?);
            scores.extend(found.map(|(place, score)| (place, sum(place, score))));
            Ok::<_, TrainError>(())
        };
        for place in own {
            let stop = observer.stop_requested();
            if let Some(part) = part
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
        if let Some(part) = part
            && (!self.world.is_single() || images.end < self.scoring.images.len())
        {
            // The scores are needed again: by the other processes, or in the next round.
            part.save(scores.values())?;
        }
        if !self.world.is_single() {
            // Another process may take twice as long as this one before it counts as stalled.
            let found = self.world.all_gather_late(to_bytes(&scores), started.elapsed())?;
            scores = found.iter().flat_map(|bytes| self.scores(bytes, images.end)).collect();
            if let Some(part) = part.as_mut().filter(|_| self.world.index() == 0) {
                // A process on another machine may have no access to the folder.
                part.save(scores.values())?;
            }
        }
        // If a score is missing, a process was requested to stop.
        if scores.len() == places.len() { Ok(scores) } else { Err(TrainError::Stopped.into()) }
    }

    /// Returns the scores of earlier starts by their index. They are the same on every process.
    fn known(
        &self,
        places: &[usize],
        images: usize,
        part: &mut Option<&mut Part>,
    ) -> Result<BTreeMap<usize, ArchScore>, PadaError> {
        let Some(part) = part else { return Ok(BTreeMap::new()) };
        let mut known = match self.world.index() {
            0 => part.collect(self.archs, images, self.scoring.network.space.as_ref())?,
            _ => BTreeMap::new(),
        };
        known.retain(|place, _| places.binary_search(place).is_ok());
        let known = self.world.broadcast(to_bytes(&known))?;
        Ok(self.scores(&known, images))
    }

    /// Decodes scores of [`to_bytes`].
    fn scores(&self, bytes: &[u8], images: usize) -> BTreeMap<usize, ArchScore> {
        let score = |&[place, correct]: &[usize; 2]| {
            (place, ArchScore { arch: self.archs[place].clone(), correct, total: images })
        };
        from_u64s(bytes).as_chunks::<2>().0.iter().map(score).collect()
    }

    fn best(
        &self,
        accuracies: &[f64],
        fused: Option<&FusedScores<'_>>,
        scorer: &mut Scorer<'_, '_>,
    ) -> Result<Vec<BestArch>, PadaError> {
        let mut order: Vec<usize> = (0..accuracies.len()).collect();
        order.sort_by(|&a, &b| accuracies[b].total_cmp(&accuracies[a]));
        let part_ranks = fused.map_or(&[][..], |fused| &fused.part_ranks);
        let fused = fused.and_then(|fused| fused.fused.as_ref());
        if let Some(fused) = fused {
            order.sort_by(|&a, &b| fused[b].total_cmp(&fused[a]));
        }
        // Only process 0 writes the record.
        let writes = self.world.index() == 0;
        let mut entry = |&i: &usize| {
            let arch = &self.archs[i];
            let cost = self.scoring.network.cost(arch)?;
            Ok(BestArch {
                arch: arch.to_string(),
                score: accuracies[i],
                fused: fused.map(|fused| fused[i]),
                part_ranks: part_ranks.iter().map(|ranks| ranks[i]).collect(),
                top5: if writes { scorer.top5(arch)? } else { None },
                params: cost.params,
                macs: cost.macs,
                stand_alone_accuracy: self.tables.accuracy(arch),
            })
        };
        order.iter().take(BEST).map(&mut entry).collect()
    }
}

/// Encodes the index and the number of correct images of each score.
fn to_bytes(scores: &BTreeMap<usize, ArchScore>) -> Vec<u8> {
    u64s(&scores.iter().flat_map(|(&place, score)| [place, score.correct]).collect::<Vec<_>>())
}

fn u64s(numbers: &[usize]) -> Vec<u8> {
    numbers.iter().flat_map(|&n| (n as u64).to_le_bytes()).collect()
}

fn from_u64s(bytes: &[u8]) -> Vec<usize> {
    bytes.as_chunks::<8>().0.iter().map(|&bytes| u64::from_le_bytes(bytes) as usize).collect()
}

pub(crate) fn images_record(images: &InMemoryDataset) -> ImagesRecord {
    ImagesRecord {
        name: images.name.clone(),
        images: images.len(),
        sha256: images.sha256(),
        class_names: vec![],
    }
}
