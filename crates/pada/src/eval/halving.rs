//! Successive halving over images: all architectures are scored on few images, and the promising part on more.
//!
//! Source: Jamieson and Talwalkar, *Non-stochastic Best Arm Identification and Hyperparameter Optimization*, AISTATS 2016. Control
//! architectures, which measure what the early rounds cost, are an addition of this project.

use std::collections::HashSet;
use std::time::Instant;

use pada_dist::ProcessGroup;
use pada_metrics::{Bootstrap, MetricsError, PairedMetric, kendall_tau_b, paired_difference, tau_b_interval};
use pada_report::{HalvingCost, HalvingRecord, HalvingRound};
use pada_space::{Arch, Equivalence};
use pada_trainer::{ArchScore, RngStream, Scorer};
use rand::seq::index::sample;

use crate::config::RankBudget;
use crate::error::PadaError;
use crate::eval::fusion::{ZeroCostScores, at};
use crate::eval::tables::Tables;
use crate::run::network::Network;
use crate::run::scoring::Scoring;

/// The reduction factor η: one architecture in four goes on to the next round, which has four times as many images.
const FACTOR: usize = 4;
/// The largest number of control architectures. They give tau-b an interval of about ± .1, and cost little beside thousands of architectures.
const CONTROLS: usize = 100;
/// The smallest number of control architectures: fewer give no useful interval.
const FEWEST_CONTROLS: usize = 16;
/// The smallest number of control architectures by which P@Top5% is compared, because the top of fewer has less than five.
const FEWEST_FOR_TOP: usize = 100;
/// Number of architectures whose scoring is timed, which takes a small part of any budget.
const TIMED: usize = 8;
/// Smallest slope of the line that predicts accuracies on more images. It is above 0, so that the order of equal rounds is kept.
const MIN_SLOPE: f64 = 0.05;

/// Numbers of images after which the architectures are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HalvingPlan {
    /// `[R]`, increasing. The last one is the number of all images, and all others are multiples of the batch size, so that an architecture
    /// that reaches the last round has the score that it has without a budget.
    pub(crate) rounds: Vec<usize>,
}

/// Time of scoring one architecture, in seconds.
#[derive(Clone, Copy, Debug)]
struct Speed {
    per_arch: f64,
    per_image: f64,
}

impl Speed {
    /// Returns the speed of the slowest process.
    fn slowest(self, world: &ProcessGroup) -> Result<Self, PadaError> {
        if world.is_single() {
            return Ok(self);
        }
        let own = [self.per_arch, self.per_image].iter().flat_map(|time| time.to_le_bytes()).collect();
        let found = world.all_gather(own)?;
        let slowest = |field: usize| {
            let times = found.iter().filter_map(|bytes| bytes.as_chunks::<8>().0.get(field));
            times.map(|&bytes| f64::from_le_bytes(bytes)).fold(0.0, f64::max)
        };
        Ok(Self { per_arch: slowest(0), per_image: slowest(1) })
    }
}

impl HalvingPlan {
    /// Returns rounds with `first` images, rounded up to whole batches, 4 times as many, and so on.
    pub(crate) fn starting_with(first: usize, images: usize, batch: usize) -> Self {
        let first = first.clamp(1, images.max(1)).next_multiple_of(batch);
        let early = std::iter::successors(Some(first), |round| round.checked_mul(FACTOR));
        let mut rounds: Vec<usize> = early.take_while(|&round| round < images).collect();
        rounds.push(images);
        Self { rounds }
    }

    /// Returns the plan with the largest first round whose expected time is within `seconds`; without any, the cheapest plan.
    fn within(seconds: f64, speed: Speed, archs: usize, images: usize, batch: usize) -> Self {
        let plans = (1..=images.div_ceil(batch)).rev();
        let mut plans = plans.map(|batches| Self::starting_with(batches * batch, images, batch));
        let fitting = plans.find(|plan| plan.seconds(speed, archs) <= seconds);
        fitting.unwrap_or_else(|| Self::starting_with(batch, images, batch))
    }

    fn seconds(&self, speed: Speed, archs: usize) -> f64 {
        let (mut promising, mut done, mut seconds) = (archs, 0, 0.0);
        for &round in &self.rounds {
            let scored = (promising + controls(archs)).min(archs);
            seconds += scored as f64 * (speed.per_arch + speed.per_image * (round - done) as f64);
            done = round;
            promising = promising.div_ceil(FACTOR);
        }
        seconds
    }

    /// Chooses the plan of a ranking, which is the same on every process. With a time it depends on the speed, which is measured.
    pub(crate) fn choose(
        budget: RankBudget,
        archs: &[Arch],
        world: &ProcessGroup,
        scoring: &Scoring,
        scorer: &mut Scorer<'_, '_>,
    ) -> Result<Self, PadaError> {
        let (images, batch) = (scoring.images.len(), scoring.batch);
        let time = match budget {
            RankBudget::FirstImages(first) => return Ok(Self::starting_with(first, images, batch)),
            RankBudget::Time(time) => time.as_secs_f64(),
        };
        let started = Instant::now();
        let own = networks(archs, &scoring.network)?.div_ceil(world.size());
        let speed = speed(archs, scoring, scorer)?.slowest(world)?;
        let left = time - started.elapsed().as_secs_f64();
        let first =
            world.broadcast(Self::within(left, speed, own, images, batch).rounds[0].to_le_bytes().into())?;
        let first = first.try_into().map_or(batch, usize::from_le_bytes);
        let plan = Self::starting_with(first, images, batch);
        let expected = plan.seconds(speed, own);
        if expected > left {
            tracing::warn!(
                "the cheapest rounds are expected to take {expected:.0} s; fewer architectures or smaller batches take less"
            );
        }
        Ok(plan)
    }
}

/// Returns the number of different networks among some architectures.
fn networks(archs: &[Arch], network: &Network) -> Result<usize, PadaError> {
    let canonical = |arch| network.space.canonical(arch, Equivalence::SharedWeights);
    Ok(archs.iter().map(canonical).collect::<Result<HashSet<_>, _>>()?.len())
}

/// Measures the speed on some of the architectures, with one batch and with a few.
fn speed(archs: &[Arch], scoring: &Scoring, scorer: &mut Scorer<'_, '_>) -> Result<Speed, PadaError> {
    let step = archs.len().div_ceil(TIMED).max(1);
    let timed: Vec<&Arch> = archs.iter().step_by(step).collect();
    let mut seconds = |batches: usize| -> Result<(f64, usize), PadaError> {
        let images = (batches * scoring.batch).min(scoring.images.len());
        scorer.restrict(0..images);
        let started = Instant::now();
        for arch in &timed {
            scorer.score(arch)?;
        }
        // Equivalent architectures are computed once.
        Ok((started.elapsed().as_secs_f64() / scorer.known.len().max(1) as f64, images))
    };
    // The first passes also start threads and fill caches.
    seconds(1)?;
    let ((short, few), (long, many)) = (seconds(1)?, seconds(4)?);
    let per_image = match many > few {
        true => (long - short).max(0.0) / (many - few) as f64,
        false => short / few.max(1) as f64,
    };
    Ok(Speed { per_arch: (short - per_image * few as f64).max(0.0), per_image })
}

/// Returns the number of architectures that stay in the halving whatever their scores are.
fn controls(archs: usize) -> usize {
    CONTROLS.min(archs.div_ceil(8)).max(FEWEST_CONTROLS).min(archs)
}

/// The scores of a halving so far.
#[derive(Clone, Debug)]
pub(crate) struct Halving<'a> {
    archs: &'a [Arch],
    plan: HalvingPlan,
    /// Random architectures that are scored on all images.
    controls: Vec<usize>,
    /// `[rounds so far, A]`, number of correct images among all images up to the end of the round.
    correct: Vec<Vec<Option<usize>>>,
    /// `[A]`, the last round that an architecture reached by its scores. Control architectures go on without being promising.
    reached: Vec<usize>,
}

impl<'a> Halving<'a> {
    pub(crate) fn new(archs: &'a [Arch], plan: HalvingPlan) -> Self {
        let mut rng = RngStream::Halving.stream(0);
        let mut controls = sample(&mut rng, archs.len(), controls(archs.len())).into_vec();
        controls.sort_unstable();
        Self { archs, plan, controls, correct: vec![], reached: vec![0; archs.len()] }
    }

    /// Returns the number of images after each round.
    pub(crate) fn rounds(&self) -> &[usize] {
        &self.plan.rounds
    }

    /// Returns the number of correct images of an architecture in the rounds so far.
    pub(crate) fn correct_before(&self, place: usize) -> usize {
        self.correct.last().and_then(|round| round[place]).unwrap_or(0)
    }

    /// Starts the next round and returns its architectures: the best quarter of those that reached the last round, by `scores` of all
    /// architectures, `[A]`, and the control architectures.
    pub(crate) fn promote(&mut self, scores: &[f64]) -> Vec<usize> {
        let next = self.correct.len();
        let mut order: Vec<usize> =
            (0..self.archs.len()).filter(|&place| self.reached[place] + 1 == next).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        order.truncate(order.len().div_ceil(FACTOR));
        order.iter().for_each(|&place| self.reached[place] = next);
        order.extend(&self.controls);
        order.sort_unstable();
        order.dedup();
        order
    }

    /// Adds the scores of a round on all images up to its end.
    pub(crate) fn add(&mut self, scores: impl IntoIterator<Item = (usize, ArchScore)>) {
        let mut correct = vec![None; self.archs.len()];
        for (place, score) in scores {
            correct[place] = Some(score.correct);
        }
        self.correct.push(correct);
    }

    /// Returns the last round in which an architecture was scored.
    fn last_round(&self, place: usize) -> usize {
        let round = self.correct.iter().rposition(|round| round[place].is_some());
        round.expect("all architectures are in the first round")
    }

    fn accuracy(&self, round: usize, place: usize) -> f64 {
        let correct = self.correct[round][place].expect("the architecture was in this round");
        100.0 * correct as f64 / self.plan.rounds[round] as f64
    }

    /// Returns for each round so far the line that predicts an accuracy on the images of the last round so far from that of the round,
    /// fitted to the control architectures by least squares.
    fn lines(&self) -> Vec<Line> {
        let last = self.correct.len() - 1;
        let accuracies = |round| self.controls.iter().map(|&place| self.accuracy(round, place)).collect();
        let after: Vec<f64> = accuracies(last);
        let line = |round| if round == last { Line::SAME } else { Line::fitted(&accuracies(round), &after) };
        (0..=last).map(line).collect()
    }

    /// Estimates the accuracy of every architecture on the images of the last round so far, `[A]`, in percent. That of an eliminated
    /// architecture is predicted from its accuracy on fewer images.
    pub(crate) fn estimates(&self) -> Vec<f64> {
        let lines = self.lines();
        let estimate = |place| {
            let round = self.last_round(place);
            lines[round].at(self.accuracy(round, place))
        };
        (0..self.archs.len()).map(estimate).collect()
    }

    /// Returns the score of every architecture on the images that it was scored on.
    pub(crate) fn scores(&self) -> Vec<ArchScore> {
        let score = |(place, arch): (usize, &Arch)| {
            let round = self.last_round(place);
            let correct = self.correct[round][place].expect("it was in its last round");
            ArchScore { arch: arch.clone(), correct, total: self.plan.rounds[round] }
        };
        self.archs.iter().enumerate().map(score).collect()
    }

    /// Describes the finished halving, and what it costs: the control architectures are ranked twice, by the accuracies that they would have if
    /// their scores had eliminated them, and by their accuracies on all images.
    pub(crate) fn record(
        &self,
        budget: RankBudget,
        tables: &Tables,
        zero_cost: Option<&ZeroCostScores<'_>>,
    ) -> Result<HalvingRecord, PadaError> {
        let rounds = self.correct.iter().zip(&self.plan.rounds);
        let rounds =
            rounds.map(|(round, &images)| HalvingRound { archs: round.iter().flatten().count(), images });
        let (lines, last) = (self.lines(), self.correct.len() - 1);
        let halved = |&place: &usize| {
            let round = self.reached[place];
            lines[round].at(self.accuracy(round, place))
        };
        let zero_cost = zero_cost.map(|zero_cost| zero_cost.of_some(&self.controls));
        let ranked = |accuracies: Vec<f64>| {
            let fused = zero_cost.as_ref().map(|zero_cost| zero_cost.fused(&accuracies)).transpose()?;
            Ok::<_, MetricsError>(fused.flatten().unwrap_or(accuracies))
        };
        let halved = ranked(self.controls.iter().map(halved).collect())?;
        let whole = ranked(self.controls.iter().map(|&place| self.accuracy(last, place)).collect())?;
        let controls: Vec<Arch> = self.controls.iter().map(|&place| self.archs[place].clone()).collect();
        let bootstrap = Bootstrap::bca();
        let cost = |(table, known, truth): (&str, Vec<usize>, Vec<f64>)| {
            let [halved, whole] = [&halved, &whole].map(|list| vec![at(list, &known)]);
            // A metric is not defined for a few architectures, or for equal scores.
            let cost = |metric| {
                let compute =
                    |bootstrap: &Bootstrap| paired_difference(&halved, &whole, &truth, metric, bootstrap);
                bootstrap.or_percentiles(compute).ok()
            };
            let top = (known.len() >= FEWEST_FOR_TOP).then_some(PairedMetric::PAtTop { fraction: 0.05 });
            HalvingCost {
                table: table.to_owned(),
                tau_b: cost(PairedMetric::TauB),
                p_at_top_5: top.and_then(cost),
            }
        };
        Ok(HalvingRecord {
            budget: budget.to_string(),
            rounds: rounds.collect(),
            controls: controls.len(),
            tau_b_with_all: kendall_tau_b(&halved, &whole).ok(),
            tau_b_with_all_interval: bootstrap
                .or_percentiles(|bootstrap| tau_b_interval(&halved, &whole, bootstrap))
                .ok(),
            costs: tables.columns(&controls).map(cost).collect(),
        })
    }
}

/// A line that predicts an accuracy on many images from one on few.
#[derive(Clone, Copy, Debug)]
struct Line {
    slope: f64,
    few: f64,
    many: f64,
}

impl Line {
    /// Leaves accuracies as they are.
    const SAME: Self = Self { slope: 1.0, few: 0.0, many: 0.0 };

    /// Fits the line by least squares, `[n]` each.
    fn fitted(few: &[f64], many: &[f64]) -> Self {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let (mean_few, mean_many) = (mean(few), mean(many));
        let products = few.iter().zip(many).map(|(few, many)| (few - mean_few) * (many - mean_many));
        let squares = few.iter().map(|few| (few - mean_few).powi(2));
        let slope = products.sum::<f64>() / squares.sum::<f64>();
        let slope = if slope.is_finite() { slope.clamp(MIN_SLOPE, 1.0) } else { 1.0 };
        Self { slope, few: mean_few, many: mean_many }
    }

    fn at(self, accuracy: f64) -> f64 {
        (self.many + self.slope * (accuracy - self.few)).clamp(0.0, 100.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn rounds_grow_fourfold_in_whole_batches() {
        let rounds = |first, images, batch| HalvingPlan::starting_with(first, images, batch).rounds;
        assert_eq!(rounds(100, 2000, 50), [100, 400, 1600, 2000]);
        assert_eq!(rounds(1, 1000, 128), [128, 512, 1000]);
        assert_eq!(rounds(1000, 1000, 128), [1000]);
        assert_eq!(rounds(5000, 1000, 128), [1000]);
        assert_eq!(rounds(1, 1, 500), [1]);
    }

    #[test]
    fn the_first_round_is_as_large_as_the_time_allows() {
        let speed = Speed { per_arch: 0.5, per_image: 0.01 };
        let plan = |seconds| HalvingPlan::within(seconds, speed, 1000, 2000, 100);
        // All images of all architectures take 1,000 · (0.5 + 20) seconds.
        assert_eq!(plan(20_500.0).rounds, [2000]);
        let half = plan(10_250.0);
        assert!(half.seconds(speed, 1000) <= 10_250.0);
        let larger = HalvingPlan::starting_with(half.rounds[0] + 100, 2000, 100);
        assert!(larger.seconds(speed, 1000) > 10_250.0, "{half:?}");
        assert_eq!(HalvingPlan::starting_with(usize::MAX, 2000, 100).rounds, [2000]);
        // Nothing fits, so that the cheapest plan is taken.
        assert_eq!(plan(1.0).rounds, [100, 400, 1600, 2000]);
        // Rounds of 1,000, 250 + 100, 63 + 100 and 16 + 100 architectures.
        let seconds = plan(1.0).seconds(speed, 1000);
        let expected = 1000.0 * 1.5 + 350.0 * 3.5 + 163.0 * 12.5 + 116.0 * 4.5;
        assert!((seconds - expected).abs() < 1e-9, "{seconds}");
    }

    /// A halving of architectures whose scores on 10 and on 40 images are given.
    fn halving(archs: &[Arch], first: &[usize], second: &[usize]) -> Halving<'static> {
        let archs: &'static [Arch] = archs.to_vec().leak();
        let mut halving = Halving::new(archs, HalvingPlan { rounds: vec![10, 40] });
        let score = |correct: usize, total| ArchScore { arch: archs[0].clone(), correct, total };
        halving.add(first.iter().map(|&correct| score(correct, 10)).enumerate());
        let next = halving.promote(&halving.estimates());
        halving.add(next.into_iter().map(|place| (place, score(second[place], 40))));
        halving
    }

    fn archs(count: usize) -> Vec<Arch> {
        (0..count)
            .map(|i| {
                Arch::new(vec![(i % 5) as u8, (i / 5 % 5) as u8, (i / 25 % 5) as u8, (i / 125) as u8, 0, 0])
            })
            .collect()
    }

    #[test]
    fn accuracies_of_eliminated_architectures_are_predicted_from_control_architectures() {
        let first: Vec<usize> = (0..120).map(|i| i / 12).collect();
        // Every architecture has .8 of its accuracy on 10 images, and 5 points more.
        let second: Vec<usize> = first.iter().map(|correct| (8 * 4 * correct).div_ceil(10) + 2).collect();
        let halving = halving(&archs(120), &first, &second);
        let estimates = halving.estimates();
        let line = halving.lines()[0];
        assert!((0.7..0.9).contains(&line.slope), "{line:?}");
        for (place, estimate) in estimates.iter().enumerate() {
            let expected = match halving.last_round(place) {
                0 => line.at(10.0 * first[place] as f64),
                _ => 2.5 * second[place] as f64,
            };
            assert_eq!(*estimate, expected, "{place}");
        }
        // The best 30 and 16 control architectures.
        let last: Vec<usize> = (0..120).filter(|&place| halving.last_round(place) == 1).collect();
        assert!((96..120).all(|place| last.contains(&place) && halving.reached[place] == 1), "{last:?}");
        assert!(last.len() <= 46 && halving.controls.iter().all(|place| last.contains(place)), "{last:?}");
        assert_eq!(
            halving.reached.iter().sum::<usize>(),
            30,
            "a control architecture is not promising by itself"
        );
        let scores = halving.scores();
        assert_eq!((scores[119].correct, scores[119].total), (second[119], 40));
        let left = (0..120).find(|place| !last.contains(place)).unwrap();
        assert_eq!((scores[left].correct, scores[left].total), (first[left], 10));
    }

    #[test]
    fn the_cost_is_that_of_the_control_architectures_without_their_privilege() {
        let first: Vec<usize> = (0..120).map(|i| i / 12).collect();
        let same: Vec<usize> = first.iter().map(|correct| 4 * correct).collect();
        let record = |second: &[usize]| {
            let halving = halving(&archs(120), &first, second);
            halving.record(RankBudget::FirstImages(10), &Tables::none(), None).unwrap()
        };
        let whole = record(&same);
        assert_eq!(whole.rounds[0], HalvingRound { archs: 120, images: 10 });
        assert_eq!(whole.controls, 16);
        assert!(whole.tau_b_with_all > Some(0.999), "{whole:?}");
        let other: Vec<usize> = (0..120).map(|i| (7 * i) % 40).collect();
        let other = record(&other);
        assert!(other.tau_b_with_all < Some(0.8), "{other:?}");
        let interval = other.tau_b_with_all_interval.unwrap();
        assert!(interval.low < interval.high && interval.contains(other.tau_b_with_all.unwrap()));
    }

    /// Scores on few images are those on all images with noise, and so are the accuracies of a table.
    #[test]
    fn the_measured_cost_covers_the_true_one() {
        let mut rng = RngStream::Halving.stream(7);
        let mut noise = |size: f64| (0..4).map(|_| rng.random::<f64>() - 0.5).sum::<f64>() * size;
        let quality: Vec<f64> = (0..400).map(|i| 100.0 + 800.0 * f64::from(i) / 400.0).collect();
        let mut around = |size: f64| quality.iter().map(|q| q + noise(size)).collect::<Vec<f64>>();
        let [first, second, truth] = [around(600.0), around(60.0), around(200.0)];
        let counts = |list: &[f64], of: f64| -> Vec<usize> {
            list.iter().map(|value| (value.clamp(0.0, 1000.0) * of / 1000.0).round() as usize).collect()
        };
        let halving = halving(&archs(400), &counts(&first, 10.0), &counts(&second, 40.0));
        // The full ranking is known here, because `halving` was given all scores of both rounds.
        let halved = kendall_tau_b(&halving.estimates(), &truth).unwrap();
        let whole = kendall_tau_b(&second, &truth).unwrap();
        let csv: String =
            halving.archs.iter().zip(&truth).map(|(arch, t)| format!("{arch},{}\n", t / 10.0)).collect();
        let table = pada_nasbench::BenchmarkTable::from_csv(
            "t.csv",
            format!("arch,accuracy\n{csv}").as_bytes(),
            &pada_space::Nb201::new(),
        );
        let tables = Tables::of(table.unwrap());
        let record = halving.record(RankBudget::FirstImages(10), &tables, None).unwrap();
        let cost = record.costs[0].tau_b.unwrap();
        assert!(halved < whole - 0.1, "{halved} {whole}");
        assert!(cost.mean < 0.0 && cost.interval.contains(halved - whole), "{cost}, {}", halved - whole);
    }

    #[test]
    fn few_architectures_are_halved_too() {
        for count in [1, 2, 3] {
            let ones = vec![1; count];
            let halving = halving(&archs(count), &ones, &ones);
            assert_eq!(halving.estimates().len(), count);
            let record = halving.record(RankBudget::FirstImages(10), &Tables::none(), None).unwrap();
            assert_eq!(record.tau_b_with_all, None, "equal scores have no tau-b");
        }
    }
}
