//! Successive halving over images: all architectures are scored on few images, and the promising part on more.

use std::collections::HashSet;
use std::time::Instant;

use pada_metrics::{Difference, Interval, MetricsError, kendall_tau_b, p_at_top};
use pada_report::{RaceCost, RaceRecord, RaceRound};
use pada_space::{Arch, Equivalence};
use pada_trainer::{ArchScore, RngStream};
use rand::RngExt;
use rand::seq::index::sample;

use crate::config::RankBudget;
use crate::error::PadaError;
use crate::eval::fusion::ZeroCostScores;
use crate::eval::tables::Tables;
use crate::run::network::Network;
use crate::run::scoring::{Scoring, Weights};

/// One architecture in this number goes on to the next round, which has this number of times as many images.
const FACTOR: usize = 4;
/// The largest number of control architectures.
const CONTROLS: usize = 64;
/// Number of architectures whose scoring is timed.
const TIMED: usize = 8;
/// Number of rankings on all images that are drawn to estimate what the race costs.
const DRAWS: usize = 200;
/// Confidence level of the intervals.
const LEVEL: f64 = 0.95;
/// The fraction of the architectures that P@Top5% looks at.
const TOP: f64 = 0.05;

/// Numbers of images after which the architectures of a race are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RacePlan {
    /// `[R]`, increasing. The last one is the number of all images, and all others are multiples of the batch size, so that an architecture
    /// that reaches the last round has the score that it has without a race.
    pub(crate) rounds: Vec<usize>,
}

/// Time of scoring one architecture, in seconds.
#[derive(Clone, Copy, Debug)]
struct Speed {
    per_arch: f64,
    per_image: f64,
}

impl RacePlan {
    /// Returns rounds with `first` images, rounded up to whole batches, 4 times as many, and so on.
    pub(crate) fn starting_with(first: usize, images: usize, batch: usize) -> Self {
        let first = first.max(1).next_multiple_of(batch);
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
        let (mut left, mut done, mut seconds) = (archs, 0, 0.0);
        for &round in &self.rounds {
            seconds += left as f64 * (speed.per_arch + speed.per_image * (round - done) as f64);
            done = round;
            left = (left.div_ceil(FACTOR) + controls(archs)).min(left);
        }
        seconds
    }

    /// Chooses the plan of a ranking. With a time it depends on the speed, which is measured.
    pub(crate) fn choose(
        budget: RankBudget,
        archs: &[Arch],
        processes: usize,
        scoring: &Scoring,
        weights: &mut Weights<'_, '_>,
    ) -> Result<Self, PadaError> {
        let (images, batch) = (scoring.images.len(), scoring.batch);
        match budget {
            RankBudget::FirstImages(first) => Ok(Self::starting_with(first, images, batch)),
            RankBudget::Time(time) => {
                let networks = networks(archs, &scoring.network)?;
                let speed = speed(archs, scoring, weights)?;
                let own = networks.div_ceil(processes);
                Ok(Self::within(time.as_secs_f64(), speed, own, images, batch))
            }
        }
    }
}

/// Returns the number of different networks among some architectures.
fn networks(archs: &[Arch], network: &Network) -> Result<usize, PadaError> {
    let canonical = |arch| network.space.canonical(arch, Equivalence::SharedWeights);
    Ok(archs.iter().map(canonical).collect::<Result<HashSet<_>, _>>()?.len())
}

/// Measures the speed on some of the architectures, with one batch and with a few.
fn speed(archs: &[Arch], scoring: &Scoring, weights: &mut Weights<'_, '_>) -> Result<Speed, PadaError> {
    let step = archs.len().div_ceil(TIMED).max(1);
    let timed: Vec<&Arch> = archs.iter().step_by(step).collect();
    let mut seconds = |batches: usize| -> Result<(f64, usize), PadaError> {
        let images = scoring.eval_range(0..(batches * scoring.batch).min(scoring.images.len()));
        let mut scorer = scoring.scorer(weights, &images);
        let started = Instant::now();
        for arch in &timed {
            scorer.score(arch)?;
        }
        Ok((started.elapsed().as_secs_f64() / timed.len().max(1) as f64, images.len()))
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

/// Returns the number of architectures that stay in the race whatever their scores are.
fn controls(archs: usize) -> usize {
    CONTROLS.min(archs.div_ceil(8)).max(2).min(archs)
}

/// The scores of a race so far.
#[derive(Clone, Debug)]
pub(crate) struct Race<'a> {
    archs: &'a [Arch],
    plan: RacePlan,
    /// Random architectures that are scored on all images.
    controls: Vec<usize>,
    /// `[rounds so far, A]`, number of correct images among all images up to the end of the round.
    correct: Vec<Vec<Option<usize>>>,
}

impl<'a> Race<'a> {
    pub(crate) fn new(archs: &'a [Arch], plan: RacePlan) -> Self {
        let mut rng = RngStream::Race.stream(0);
        let mut controls = sample(&mut rng, archs.len(), controls(archs.len())).into_vec();
        controls.sort_unstable();
        Self { archs, plan, controls, correct: vec![] }
    }

    /// Returns the number of images after each round.
    pub(crate) fn rounds(&self) -> &[usize] {
        &self.plan.rounds
    }

    /// Returns the number of correct images of an architecture in the rounds so far.
    pub(crate) fn correct_before(&self, place: usize) -> usize {
        self.correct.last().and_then(|round| round[place]).unwrap_or(0)
    }

    /// Returns the architectures of the next round: the best quarter of those of the last round, by `scores` of all architectures, `[A]`, and
    /// the control architectures.
    pub(crate) fn promising(&self, scores: &[f64]) -> Vec<usize> {
        let Some(last) = self.correct.last() else { return (0..self.archs.len()).collect() };
        let mut order: Vec<usize> = (0..self.archs.len()).filter(|&place| last[place].is_some()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        order.truncate(order.len().div_ceil(FACTOR));
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

    /// Returns the last round of an architecture.
    fn last_round(&self, place: usize) -> usize {
        let rounds = self.correct.iter().rposition(|round| round[place].is_some());
        rounds.expect("all architectures are in the first round")
    }

    fn accuracy(&self, round: usize, place: usize) -> f64 {
        let correct = self.correct[round][place].expect("the architecture was in this round");
        100.0 * correct as f64 / self.plan.rounds[round] as f64
    }

    /// Returns what the accuracies of the control architectures gained from a round to the last round so far.
    fn gains(&self, round: usize) -> Vec<f64> {
        let last = self.correct.len() - 1;
        self.controls.iter().map(|&place| self.accuracy(last, place) - self.accuracy(round, place)).collect()
    }

    /// Estimates the accuracy of every architecture on the images of the last round so far, `[A]`, in percent. If an architecture left the
    /// race, it is its accuracy on fewer images, plus the mean gain of the control architectures.
    pub(crate) fn estimates(&self) -> Vec<f64> {
        let gains: Vec<f64> = (0..self.correct.len()).map(|round| mean(&self.gains(round))).collect();
        let estimate = |place| {
            let round = self.last_round(place);
            self.accuracy(round, place) + gains[round]
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

    /// Describes the finished race, and estimates what it costs: accuracies on all images are drawn for the architectures that left the
    /// race, from the gains of the control architectures, and the rankings by these accuracies are compared with that of the race.
    pub(crate) fn record(
        &self,
        budget: RankBudget,
        tables: &Tables,
        zero_cost: Option<&ZeroCostScores<'_>>,
    ) -> Result<RaceRecord, PadaError> {
        let rounds = self.correct.iter().zip(&self.plan.rounds);
        let rounds =
            rounds.map(|(round, &images)| RaceRound { archs: round.iter().flatten().count(), images });
        let ranked = |accuracies: Vec<f64>| match zero_cost {
            Some(zero_cost) => Ok::<_, MetricsError>(zero_cost.fused(&accuracies)?.unwrap_or(accuracies)),
            None => Ok(accuracies),
        };
        let estimates = self.estimates();
        let own = ranked(estimates.clone())?;
        let draws = self.draws(&estimates).map(ranked).collect::<Result<Vec<_>, _>>()?;
        let of_table = |(name, places, truth): (&str, Vec<usize>, Vec<f64>)| {
            let at = |scores: &[f64]| places.iter().map(|&place| scores[place]).collect::<Vec<f64>>();
            let own = at(&own);
            let lost = |metric: &dyn Fn(&[f64]) -> Result<f64, MetricsError>| {
                // A metric is not defined for too few architectures or equal scores.
                let own = metric(&own).ok()?;
                let lost = draws.iter().map(|draw| Some(own - metric(&at(draw)).ok()?));
                spread(lost.collect::<Option<_>>()?)
            };
            RaceCost {
                table: name.to_owned(),
                tau_b: lost(&|scores| kendall_tau_b(scores, &truth)),
                p_at_top_5: lost(&|scores| p_at_top(scores, &truth, TOP)),
            }
        };
        let same = |draw: &Vec<f64>| kendall_tau_b(&own, draw).ok();
        let top = |draw: &Vec<f64>| p_at_top(&own, draw, TOP).ok();
        Ok(RaceRecord {
            budget: budget.to_string(),
            rounds: rounds.collect(),
            controls: self.controls.len(),
            tau_b_with_all: draws.iter().map(same).collect::<Option<_>>().and_then(spread),
            top_5_with_all: draws.iter().map(top).collect::<Option<_>>().and_then(spread),
            costs: tables.columns(self.archs).map(of_table).collect(),
        })
    }

    /// Draws accuracies on all images, `[A]` each.
    fn draws(&self, estimates: &[f64]) -> impl Iterator<Item = Vec<f64>> {
        let last = self.correct.len() - 1;
        let deviations = |round| {
            let gains = self.gains(round);
            let mean = mean(&gains);
            gains.into_iter().map(|gain| gain - mean).collect::<Vec<f64>>()
        };
        let deviations: Vec<Vec<f64>> = (0..=last).map(deviations).collect();
        let mut rng = RngStream::Race.stream(1);
        (0..DRAWS).map(move |_| {
            let draw = |(place, estimate): (usize, &f64)| {
                let round = &deviations[self.last_round(place)];
                estimate + round[rng.random_range(0..round.len())]
            };
            estimates.iter().enumerate().map(draw).collect()
        })
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Returns the mean and the interval of drawn values, or `None` if there are none.
fn spread(mut values: Vec<f64>) -> Option<Difference> {
    values.sort_by(f64::total_cmp);
    let at = |fraction: f64| values.get((fraction * (values.len() as f64 - 1.0)).round() as usize).copied();
    let (low, high) = (at((1.0 - LEVEL) / 2.0)?, at((1.0 + LEVEL) / 2.0)?);
    Some(Difference::new(mean(&values), Interval::new(low, high, LEVEL, values.len()), 1))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn rounds_grow_fourfold_in_whole_batches() {
        let rounds = |first, images, batch| RacePlan::starting_with(first, images, batch).rounds;
        assert_eq!(rounds(100, 2000, 50), [100, 400, 1600, 2000]);
        assert_eq!(rounds(1, 1000, 128), [128, 512, 1000]);
        assert_eq!(rounds(1000, 1000, 128), [1000]);
        assert_eq!(rounds(5000, 1000, 128), [1000]);
        assert_eq!(rounds(1, 1, 500), [1]);
    }

    #[test]
    fn the_first_round_is_as_large_as_the_time_allows() {
        let speed = Speed { per_arch: 0.5, per_image: 0.01 };
        let plan = |seconds| RacePlan::within(seconds, speed, 1000, 2000, 100);
        // All images of all architectures take 1,000 · (0.5 + 20) seconds.
        assert_eq!(plan(20_500.0).rounds, [2000]);
        let half = plan(10_250.0);
        assert!(half.seconds(speed, 1000) <= 10_250.0);
        let larger = RacePlan::starting_with(half.rounds[0] + 100, 2000, 100);
        assert!(larger.seconds(speed, 1000) > 10_250.0, "{half:?}");
        // Nothing fits, so that the cheapest plan is taken.
        assert_eq!(plan(1.0).rounds, [100, 400, 1600, 2000]);
        // Rounds of 1,000, 250 + 64, 79 + 64 and 36 + 64 architectures.
        let seconds = plan(1.0).seconds(speed, 1000);
        let expected = 1000.0 * 1.5 + 314.0 * 3.5 + 143.0 * 12.5 + 100.0 * 4.5;
        assert!((seconds - expected).abs() < 1e-9, "{seconds}");
    }

    /// A race of architectures whose scores on 10 and on 40 images are given.
    fn race(archs: &[Arch], first: &[usize], second: &[usize]) -> Race<'static> {
        let archs: &'static [Arch] = archs.to_vec().leak();
        let mut race = Race::new(archs, RacePlan { rounds: vec![10, 40] });
        let score = |correct: usize, total| ArchScore { arch: archs[0].clone(), correct, total };
        race.add(first.iter().map(|&correct| score(correct, 10)).enumerate());
        let next = race.promising(&race.estimates());
        race.add(next.into_iter().map(|place| (place, score(second[place], 40))));
        race
    }

    #[test]
    fn architectures_that_left_the_race_gain_as_the_control_architectures() {
        let archs: Vec<Arch> = (0..16_u8).map(|i| Arch::new(vec![i % 5, i / 5, 0, 0, 0, 0])).collect();
        let first: Vec<usize> = (0..16).map(|i| i / 2).collect();
        // Every architecture gains 5 points on 40 images.
        let second: Vec<usize> = first.iter().map(|correct| 4 * correct + 2).collect();
        let race = race(&archs, &first, &second);
        let estimates = race.estimates();
        for (place, estimate) in estimates.iter().enumerate() {
            assert!((estimate - (10.0 * first[place] as f64 + 5.0)).abs() < 1e-9, "{place}: {estimate}");
        }
        // The best four and two control architectures.
        let last: Vec<usize> = (0..16).filter(|&place| race.last_round(place) == 1).collect();
        assert!((12..16).all(|place| last.contains(&place)) && last.len() <= 6, "{last:?}");
        assert!(race.controls.iter().all(|place| last.contains(place)));
        let scores = race.scores();
        assert_eq!((scores[15].correct, scores[15].total), (second[15], 40));
        let left = (0..16).find(|place| !last.contains(place)).unwrap();
        assert_eq!((scores[left].correct, scores[left].total), (first[left], 10));

        // All gains are equal, so that there is no doubt about the accuracies on all images.
        let record = race.record(RankBudget::FirstImages(10), &Tables::none(), None).unwrap();
        assert_eq!(record.rounds.iter().map(|round| round.images).collect::<Vec<_>>(), [10, 40]);
        let tau = record.tau_b_with_all.unwrap();
        assert!(tau.mean > 1.0 - 1e-9 && tau.interval.low > 1.0 - 1e-9, "{tau}");
    }

    #[test]
    fn gains_that_differ_make_the_ranking_doubtful() {
        let archs: Vec<Arch> = (0..16_u8).map(|i| Arch::new(vec![i % 5, i / 5, 0, 0, 0, 0])).collect();
        let first: Vec<usize> = (0..16).map(|i| i / 2).collect();
        let second: Vec<usize> = (0..16).map(|i| (7 * i) % 40).collect();
        let record = race(&archs, &first, &second);
        let record = record.record(RankBudget::FirstImages(10), &Tables::none(), None).unwrap();
        let tau = record.tau_b_with_all.unwrap();
        assert!(tau.mean < 0.99 && tau.interval.low < tau.mean && tau.mean < tau.interval.high, "{tau}");
    }
}
