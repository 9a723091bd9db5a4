use std::collections::BTreeMap;
use std::fmt;

use pada_space::{Arch, SubSpace};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::path_sampler::check_space;
use crate::state::{bad_state, check_paths};
use crate::{LinearSchedule, PathObservation, PathSampler, Progress, SamplerError, SavedState};

/// Settings of [`ParetoPaths`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ParetoPathsConfig {
    /// The probability of drawing a path near the Pareto front.
    pub smoothing: LinearSchedule,
    /// Number of paths in memory. The path that has not been trained for the longest time is removed first.
    pub memory: usize,
}

impl ParetoPathsConfig {
    /// Settings with a probability of drawing near the front and a number of paths to remember.
    pub fn new(smoothing: LinearSchedule, memory: usize) -> Self {
        Self { smoothing, memory }
    }
}

/// Computes the cost of an architecture, for example its multiply-adds. Smaller is better.
pub type CostOf = Box<dyn Fn(&Arch) -> f64 + Send>;

/// Draws one path per step. With a probability that follows a [`LinearSchedule`], it is a neighbour of a path on the Pareto front of
/// training loss and cost among the remembered paths; otherwise it is uniform. This sampler is not part of the paper.
///
/// A neighbour differs in at most one position. If a path is seen again, the mean of its old and its new loss is remembered.
pub struct ParetoPaths {
    space: SubSpace,
    config: ParetoPathsConfig,
    cost: CostOf,
    seen: BTreeMap<Arch, Seen>,
    time: u64,
    share: f64,
}

/// A remembered path.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// The number of the observation in which the path was last seen.
    time: u64,
    loss: f64,
    cost: f64,
}

/// State of [`ParetoPaths`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ParetoPathsState {
    /// The remembered paths.
    pub paths: Vec<RememberedPath>,
    /// The number of observations so far.
    pub observations: u64,
    /// The probability of drawing near the front in the current epoch.
    pub share: f64,
}

/// A path that [`ParetoPaths`] remembers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RememberedPath {
    /// The path.
    pub path: Arch,
    /// The training loss of the path, in nats.
    pub loss: f64,
    /// The number of the observation in which it was last seen, counted from 1.
    pub last_seen: u64,
}

impl ParetoPathsState {
    /// The kind of [`SavedState`] that holds this state.
    pub const KIND: &str = "pareto-paths";
}

impl fmt::Debug for ParetoPaths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParetoPaths").field("config", &self.config).field("seen", &self.seen.len()).finish()
    }
}

impl ParetoPaths {
    /// A sampler for a space or a part of one. `cost` computes the second objective, for example multiply-adds.
    ///
    /// # Errors
    /// Returns [`SamplerError::BadConfig`] if a probability is outside `0..=1` or `memory` is 0, and [`SamplerError::Empty`] if the
    /// space has nothing to choose.
    pub fn new(space: SubSpace, config: ParetoPathsConfig, cost: CostOf) -> Result<Self, SamplerError> {
        config.smoothing.check(["smoothing.first", "smoothing.last"])?;
        check_space(&space)?;
        if config.memory == 0 {
            return Err(SamplerError::BadConfig { name: "memory", value: 0.0, range: "at least 1" });
        }
        Ok(Self { space, config, cost, seen: BTreeMap::new(), time: 0, share: config.smoothing.first })
    }

    /// The remembered paths that are Pareto-optimal in cost and loss, cheapest first.
    fn front(&self) -> Vec<&Arch> {
        let mut all: Vec<(f64, f64, &Arch)> =
            self.seen.iter().map(|(arch, seen)| (seen.cost, seen.loss, arch)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let mut best = f64::INFINITY;
        all.retain(|&(_, loss, _)| {
            let better = loss < best;
            best = best.min(loss);
            better
        });
        all.into_iter().map(|(_, _, arch)| arch).collect()
    }
}

impl PathSampler for ParetoPaths {
    fn next_paths(&mut self, rng: &mut dyn Rng) -> Vec<Arch> {
        let front = if rng.random::<f64>() < self.share { self.front() } else { Vec::new() };
        if front.is_empty() {
            return vec![self.space.sample(rng)];
        }
        let centre = front[rng.random_range(0..front.len())];
        let position = rng.random_range(0..self.space.allowed().len());
        let ops = &self.space.allowed()[position];
        let op = ops[rng.random_range(0..ops.len())];
        vec![centre.with(position, op).expect("paths of the front are of this space")]
    }

    fn observe(&mut self, observation: &PathObservation<'_>) -> Result<(), SamplerError> {
        observation.check(&self.space)?;
        self.time += 1;
        let (cost, loss) = (&self.cost, observation.loss);
        let new = || Seen { time: 0, loss, cost: cost(observation.path) };
        let entry = self.seen.entry(observation.path.clone()).or_insert_with(new);
        (entry.time, entry.loss) = (self.time, (entry.loss + loss) / 2.0);
        if self.seen.len() > self.config.memory {
            let oldest = self.seen.iter().min_by_key(|(_, seen)| seen.time).map(|(arch, _)| arch.clone());
            self.seen.remove(&oldest.expect("at least one path is remembered"));
        }
        Ok(())
    }

    fn end_epoch(&mut self, progress: Progress) -> Result<(), SamplerError> {
        self.share = self.config.smoothing.at(progress.before());
        Ok(())
    }

    /// Computes the marginal distribution of each position: a mixture of the uniform distribution and the distribution of paths of the front
    /// with one redrawn position.
    fn distribution(&self) -> Vec<Vec<f64>> {
        let front = self.front();
        let share = if front.is_empty() { 0.0 } else { self.share };
        let kept = share * (1.0 - 1.0 / self.space.allowed().len() as f64);
        let ops = self.space.allowed().iter().flatten().max().map_or(0, |&op| usize::from(op) + 1);
        let row = |(e, allowed): (usize, &Vec<u8>)| {
            let mut p = crate::uniform_paths::uniform_row(allowed, ops);
            p.iter_mut().for_each(|p| *p *= 1.0 - kept);
            front.iter().for_each(|arch| p[usize::from(arch.choices()[e])] += kept / front.len() as f64);
            p
        };
        self.space.allowed().iter().enumerate().map(row).collect()
    }

    fn state(&self) -> SavedState {
        let remembered = |(path, seen): (&Arch, &Seen)| RememberedPath {
            path: path.clone(),
            loss: seen.loss,
            last_seen: seen.time,
        };
        let state = ParetoPathsState {
            paths: self.seen.iter().map(remembered).collect(),
            observations: self.time,
            share: self.share,
        };
        SavedState::new(ParetoPathsState::KIND, &state)
    }

    fn restore(&mut self, state: &SavedState) -> Result<(), SamplerError> {
        const KIND: &str = ParetoPathsState::KIND;
        let ParetoPathsState { paths, observations, share } = state.read(KIND)?;
        check_paths(KIND, paths.iter().map(|remembered| &remembered.path), &self.space)?;
        if !(0.0..=1.0).contains(&share) {
            return Err(bad_state(KIND, format!("`share` is {share}, which is not in 0..=1")));
        }
        let seen = |RememberedPath { path, loss, last_seen }: RememberedPath| {
            let cost = (self.cost)(&path);
            (path, Seen { time: last_seen, loss, cost })
        };
        self.seen = paths.into_iter().map(seen).collect();
        (self.time, self.share) = (observations, share);
        Ok(())
    }
}
