use pada_exec::Batch;
use pada_sampler::{SamplerError, SavedState};
use pada_space::{Arch, SubSpace};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::{StepContext, StepOutcome, TrainRule, check_paths};
use crate::TrainError;

/// Settings of [`Nsas`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NsasConfig {
    /// β, the share of the constraint paths in the loss, in `0.0..=1.0`.
    pub beta: f64,
    /// The constraint paths.
    pub constraints: Constraints,
}

/// The constraint paths of [`Nsas`]: paths that the network must not forget when it trains another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Constraints {
    /// All paths of an archive of size M, as in the search of the paper.
    Archive(usize),
    /// One random path and one path that differs from it at every position, as in the paper for NAS-Bench-201. With β = 0.8 the loss is
    /// 0.2 · L(path) + 0.4 · L(random) + 0.4 · L(diverse).
    RandomAndDiverse,
}

/// Number of recent paths that novelty is measured against, and number of nearest paths that count.
const RECENT: usize = 50;
const NEAREST: usize = 10;

/// NSAS: trains with the loss `(1 − β) · L(path) + β · mean L(constraint paths)` on one batch, so that the network does not forget other
/// paths when it trains one.
///
/// The archive collects novel paths. The novelty of a path is its mean distance to the 10 nearest of the 50 most recent paths, where the
/// distance is the number of positions with another operation. When the archive is full, the most novel candidate replaces the member that
/// is most similar to the current path, if it is more novel than that member.
///
/// # Source
/// Zhang et al., *Overcoming Multi-Model Forgetting in One-Shot NAS with Diversity Maximization*, CVPR 2020.
/// DIFFERS: the public demo adds the loss of the archive without its gradient, as a constant. This code also uses its gradient.
#[derive(Clone, Debug)]
pub struct Nsas {
    config: NsasConfig,
    space: SubSpace,
    archive: Vec<Arch>,
    /// The most recent paths, oldest first.
    recent: Vec<Arch>,
}

/// State of [`Nsas`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct NsasState {
    /// The paths of the archive.
    pub archive: Vec<Arch>,
    /// The most recent paths, oldest first.
    pub recent: Vec<Arch>,
}

impl NsasState {
    /// Kind of the [`SavedState`] that holds this state.
    pub const KIND: &str = "nsas";
}

impl Nsas {
    /// Creates the rule at the start of a run.
    pub fn new(config: NsasConfig, space: SubSpace) -> Self {
        Self { config, space, archive: Vec::new(), recent: Vec::new() }
    }

    /// Returns the paths of the archive.
    pub fn archive(&self) -> &[Arch] {
        &self.archive
    }

    /// Computes the mean distance of a path to the nearest of the most recent paths.
    fn novelty(&self, arch: &Arch) -> f64 {
        let mut distances: Vec<usize> = self.recent.iter().map(|other| distance(arch, other)).collect();
        distances.sort_unstable();
        distances.truncate(NEAREST);
        distances.iter().sum::<usize>() as f64 / distances.len().max(1) as f64
    }

    /// Adds the current path to the recent paths, and to the archive if it is novel enough.
    pub fn consider(&mut self, path: &Arch) {
        let Constraints::Archive(most) = self.config.constraints else { return };
        if !self.archive.contains(path) {
            if self.archive.len() < most {
                self.archive.push(path.clone());
            } else if let Some(like) =
                (0..self.archive.len()).min_by_key(|&i| distance(&self.archive[i], path))
            {
                let candidate = self
                    .recent
                    .iter()
                    .chain([path])
                    .filter(|arch| !self.archive.contains(arch))
                    .max_by(|a, b| self.novelty(a).total_cmp(&self.novelty(b)));
                if let Some(candidate) = candidate
                    && self.novelty(candidate) > self.novelty(&self.archive[like])
                {
                    self.archive[like] = candidate.clone();
                }
            }
        }
        self.recent.push(path.clone());
        if self.recent.len() > RECENT {
            self.recent.remove(0);
        }
    }

    fn constraints(&self, rng: &mut dyn Rng) -> Vec<Arch> {
        match self.config.constraints {
            Constraints::Archive(_) => self.archive.clone(),
            Constraints::RandomAndDiverse => {
                let random = self.space.sample(rng);
                let diverse = diverse(&self.space, &random, rng);
                vec![random, diverse]
            }
        }
    }
}

/// Draws a path that differs from `from` at every position that has at least two operations.
fn diverse(space: &SubSpace, from: &Arch, rng: &mut dyn Rng) -> Arch {
    let draw = |(ops, &here): (&Vec<u8>, &u8)| {
        let others: Vec<u8> = ops.iter().copied().filter(|&op| op != here).collect();
        if others.is_empty() { here } else { others[rng.random_range(0..others.len())] }
    };
    Arch::new(space.allowed().iter().zip(from.choices()).map(draw).collect::<Vec<_>>())
}

impl TrainRule for Nsas {
    fn step(&mut self, ctx: &mut StepContext<'_>, batch: &Batch<'_>) -> Result<StepOutcome, TrainError> {
        ctx.executor.zero_gradient();
        let paths = ctx.paths.next_paths(ctx.path_rng);
        let constraints = self.constraints(ctx.rule_rng);
        // While the archive is empty, only the path contributes to the loss.
        let beta = if constraints.is_empty() { 0.0 } else { self.config.beta };
        let own = (1.0 - beta) / paths.len() as f64;
        let other = beta / constraints.len().max(1) as f64;
        let mut passes = Vec::new();
        for path in &paths {
            let weight = ctx.paths.loss_weight(path)?;
            passes.push(ctx.pass(path.clone(), own * weight, batch)?);
        }
        for path in constraints {
            passes.push(ctx.pass(path, other, batch)?);
        }
        paths.iter().for_each(|path| self.consider(path));
        ctx.descend(passes)
    }

    fn state(&self) -> SavedState {
        let (archive, recent) = (self.archive.clone(), self.recent.clone());
        SavedState::new(NsasState::KIND, &NsasState { archive, recent })
    }

    fn restore(&mut self, state: &SavedState) -> Result<(), SamplerError> {
        let NsasState { archive, recent } = state.read(NsasState::KIND)?;
        check_paths(NsasState::KIND, archive.iter().chain(&recent), &self.space)?;
        (self.archive, self.recent) = (archive, recent);
        Ok(())
    }
}

/// Computes the distance of two paths of one space.
fn distance(a: &Arch, b: &Arch) -> usize {
    a.distance(b).expect("paths of one space have equal lengths")
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn arch(digits: &str) -> Arch {
        Arch::new(digits.bytes().map(|b| b - b'0').collect::<Vec<_>>())
    }

    fn rule(archive: usize) -> Nsas {
        let config = NsasConfig { beta: 0.5, constraints: Constraints::Archive(archive) };
        Nsas::new(config, SubSpace::from_op_counts(&[5; 3]).unwrap())
    }

    /// The expected values are computed by hand, for an archive of size 2.
    #[test]
    fn the_archive_swaps_its_member_most_like_the_path_for_the_most_novel_candidate() {
        let mut nsas = rule(2);
        nsas.consider(&arch("000"));
        nsas.consider(&arch("001"));
        assert_eq!(nsas.archive(), [arch("000"), arch("001")]);
        // 334 is equally far (3) from both, so the first member is the one most like it. Novelty against {000, 001}: 334 has
        // (3 + 3)/2 = 3, 000 has (0 + 1)/2.
        nsas.consider(&arch("334"));
        assert_eq!(nsas.archive(), [arch("334"), arch("001")]);
        // 011 is like 001 (distance 1). Against {000, 001, 334}: 011 has (2 + 1 + 3)/3 = 2, 000 (not in the archive) has
        // (0 + 1 + 3)/3, the member 001 has (1 + 0 + 3)/3: 011 comes in.
        nsas.consider(&arch("011"));
        assert_eq!(nsas.archive(), [arch("334"), arch("011")]);
        // A path that is already in the archive changes nothing.
        nsas.consider(&arch("011"));
        assert_eq!(nsas.archive(), [arch("334"), arch("011")]);
    }

    #[test]
    fn a_diverse_path_differs_everywhere() {
        let space = SubSpace::from_op_counts(&[5; 6]).unwrap().restrict(2, &[3]).unwrap();
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for _ in 0..50 {
            let random = space.sample(&mut rng);
            let other = diverse(&space, &random, &mut rng);
            assert!(space.contains(&other));
            assert_eq!(random.distance(&other), Ok(5), "{random} {other}");
        }
    }

    #[test]
    fn a_restored_rule_goes_on_with_the_same_archive() {
        let mut nsas = rule(2);
        ["000", "001", "334", "011"].iter().for_each(|a| nsas.consider(&arch(a)));
        let mut other = rule(2);
        other.restore(&nsas.state()).unwrap();
        assert_eq!((other.archive(), &other.recent), (nsas.archive(), &nsas.recent));
        let foreign = NsasState { archive: vec![arch("00")], recent: vec![] };
        let foreign = SavedState::new(NsasState::KIND, &foreign);
        assert!(matches!(other.restore(&foreign), Err(SamplerError::State { .. })));
    }
}
