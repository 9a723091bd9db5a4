use std::collections::BTreeMap;
use std::fmt;

use pada_space::{Arch, SubSpace};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::{LinearSchedule, PathObservation, PathSampler, SamplerError, SamplerState};

/// Settings of [`ParetoPaths`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParetoPathsConfig {
    /// The share of paths drawn near the front.
    pub smoothing: LinearSchedule,
    /// How many of the paths seen last are remembered.
    pub memory: usize,
}

/// What an architecture costs.
pub type CostOf = Box<dyn Fn(&Arch) -> f64 + Send>;

/// One path a step: with the chance that [`LinearSchedule`] gives a neighbour of a path that no other remembered path beats in both training
/// loss and cost, otherwise uniform. Beyond the paper.
///
/// A neighbour differs in at most one position. The loss of a path seen again is the mean of the old and the new one.
pub struct ParetoPaths {
    space: SubSpace,
    config: ParetoPathsConfig,
    cost: CostOf,
    seen: BTreeMap<Arch, Seen>,
    time: u64,
    share: f64,
}

/// What is remembered of a path.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// When it was seen last.
    time: u64,
    loss: f64,
    cost: f64,
}

impl fmt::Debug for ParetoPaths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParetoPaths").field("config", &self.config).field("seen", &self.seen.len()).finish()
    }
}

impl ParetoPaths {
    /// For a part of a space; `cost` is what should be small beside the loss, such as multiply-adds.
    ///
    /// # Errors
    /// [`SamplerError::BadConfig`] for a share outside 0..=1 or no memory.
    pub fn new(space: SubSpace, config: ParetoPathsConfig, cost: CostOf) -> Result<Self, SamplerError> {
        config.smoothing.check(["smoothing.first", "smoothing.last"])?;
        if config.memory == 0 {
            return Err(SamplerError::BadConfig { name: "memory", value: 0.0, range: "at least 1" });
        }
        Ok(Self { space, config, cost, seen: BTreeMap::new(), time: 0, share: config.smoothing.first })
    }

    /// The remembered paths that no other beats, cheapest first.
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

    fn observe(&mut self, seen: &PathObservation<'_>) {
        self.time += 1;
        let cost = &self.cost;
        let new = || Seen { time: 0, loss: seen.loss, cost: cost(seen.path) };
        let entry = self.seen.entry(seen.path.clone()).or_insert_with(new);
        (entry.time, entry.loss) = (self.time, (entry.loss + seen.loss) / 2.0);
        if self.seen.len() > self.config.memory {
            let oldest = self.seen.iter().min_by_key(|(_, seen)| seen.time).map(|(arch, _)| arch.clone());
            self.seen.remove(&oldest.expect("more paths than none are remembered"));
        }
    }

    fn end_epoch(&mut self, progress: f64) {
        self.share = self.config.smoothing.at(progress);
    }

    /// What stands at each position by itself: uniform, and near the front one position of a path of the front drawn anew.
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

    fn state(&self) -> SamplerState {
        let archs: Vec<Arch> = self.seen.keys().cloned().collect();
        let mut state = SamplerState::archs("seen", &archs);
        let times = self.seen.values().map(|seen| seen.time as f64).collect();
        let losses = self.seen.values().map(|seen| seen.loss).collect();
        state.0.insert("times".to_owned(), times);
        state.0.insert("losses".to_owned(), losses);
        state.0.insert("now".to_owned(), vec![self.time as f64, self.share]);
        state
    }

    fn restore(&mut self, state: &SamplerState) -> Result<(), SamplerError> {
        let mut rest = state.clone();
        let archs = rest.take("seen").to_archs("seen", &self.space)?;
        let n = archs.len();
        let [times, losses, now] = rest.lists([("times", n), ("losses", n), ("now", 2)])?;
        let costs: Vec<f64> = archs.iter().map(&self.cost).collect();
        let values = times.into_iter().zip(losses).zip(costs);
        let values = values.map(|((time, loss), cost)| Seen { time: time as u64, loss, cost });
        self.seen = archs.into_iter().zip(values).collect();
        (self.time, self.share) = (now[0] as u64, now[1]);
        Ok(())
    }
}
