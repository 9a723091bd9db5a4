use std::ops::Range;

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
    /// The gradient of the loss of the constraint paths.
    #[serde(default, skip_serializing_if = "has_gradient")]
    pub constraint_loss: ConstraintLoss,
}

/// The constraint paths of [`Nsas`]: paths that the network must not forget when it trains another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Constraints {
    /// All paths of an archive of size M, as in the search of the paper.
    Archive(usize),
    /// One random path and one path that differs from it at every position, as in the public notebook for NAS-Bench-201. With β = 0.8 the
    /// loss is 0.2 · L(path) + 0.4 · L(random) + 0.4 · L(diverse).
    RandomAndDiverse,
}

/// The gradient of the loss of the constraint paths of [`Nsas`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConstraintLoss {
    /// Its gradient trains the weights, as in the paper's text and in the public notebook.
    #[default]
    Trained,
    /// It is added as a constant, as in the public demos, which add the value of `loss.item()`. A constant has no gradient, so the step is
    /// one with the gradient (1 − β) · ∇L(path), and the passes of the constraint paths are not computed.
    Constant,
}

fn has_gradient(loss: &ConstraintLoss) -> bool {
    *loss == ConstraintLoss::Trained
}

/// Number of recent paths that can enter a full archive, and number of nearest members that novelty is measured against (the demo's C and
/// k).
const RECENT: usize = 50;
const NEAREST: usize = 10;
/// Number of random paths of which the most novel one enters an archive that is not full.
const RANDOM: usize = 10;

/// NSAS: trains with the loss `(1 − β) · L(path) + β · mean L(constraint paths)` on one batch, so that the network does not forget other
/// paths when it trains one.
///
/// The archive collects novel paths. The novelty of a path is its mean distance to the nearest 10 members of the rest of the archive, where
/// the distance is the number of active positions with another operation: in DARTS, of (operation, input) pairs that a cell keeps. Each
/// step changes one member before its loss is computed:
/// - While the archive is not full, the most novel of 10 random paths is added.
/// - If it is full, the member that is most similar to the current path is replaced by the most novel of the 50 most recent paths, to which
///   the current path belongs. It stays if none of them is more novel than the member itself.
///
/// In a space with several cells, such as the normal and the reduction cell of DARTS, these rules choose each cell separately, see
/// [`Nsas::with_cells`].
///
/// # Source
/// Zhang et al., *Overcoming Multi-Model Forgetting in One-Shot NAS with Diversity Maximization*, CVPR 2020, and
/// `arch_archive_update` in <https://github.com/MiaoZhang0525/NSAS_FOR_CVPR>, `CNN/RandomNAS_NSAS_demo.py`; random and diverse paths as in
/// `NSAS_Bench201/exps/algos/random_NAS_NSAS_0.2_seed0.ipynb` of that repository.
#[derive(Clone, Debug)]
pub struct Nsas {
    config: NsasConfig,
    space: SubSpace,
    /// Number of cells of an architecture.
    cells: usize,
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
    /// Creates the rule at the start of a run, for architectures of one cell.
    pub fn new(config: NsasConfig, space: SubSpace) -> Self {
        Self { config, space, cells: 1, archive: Vec::new(), recent: Vec::new() }
    }

    /// Sets the number of cells of an architecture. The positions of the space are the cells' one after another, the same number for each.
    pub fn with_cells(self, cells: usize) -> Self {
        Self { cells, ..self }
    }

    /// Returns the paths of the archive.
    pub fn archive(&self) -> &[Arch] {
        &self.archive
    }

    /// The positions of each cell.
    fn cells(&self) -> Vec<Range<usize>> {
        let positions = self.space.allowed().len();
        let len = positions.div_ceil(self.cells.max(1)).max(1);
        (0..positions).step_by(len).map(|start| start..(start + len).min(positions)).collect()
    }

    /// Computes the number of active positions of a cell at which `a` has another operation than `b`, or which are not active in `b`.
    fn distance(&self, a: &Arch, b: &Arch, cell: &Range<usize>) -> usize {
        let active = |e: usize, arch: &Arch| {
            self.space.kind(e).is_some() && self.space.is_active(e, arch).expect("paths are of the space")
        };
        let same = |e: usize| active(e, b) && a.choices()[e] == b.choices()[e];
        cell.clone().filter(|&e| active(e, a) && !same(e)).count()
    }

    /// Computes the mean distance of a cell of a path to the nearest of some archive members; 0 if there is none.
    fn novelty(&self, arch: &Arch, rest: &[&Arch], cell: &Range<usize>) -> f64 {
        let mut distances: Vec<usize> = rest.iter().map(|member| self.distance(arch, member, cell)).collect();
        distances.sort_unstable();
        distances.truncate(NEAREST);
        distances.iter().sum::<usize>() as f64 / distances.len().max(1) as f64
    }

    /// Chooses the candidate that is more novel than `first` and all candidates before it, or `first` if there is none.
    fn most_novel<'a>(
        &self,
        (first, at_least): (&'a Arch, f64),
        candidates: &'a [Arch],
        rest: &[&Arch],
        cell: &Range<usize>,
    ) -> &'a Arch {
        let better = |(best, novelty): (&'a Arch, f64), candidate: &'a Arch| {
            let other = self.novelty(candidate, rest, cell);
            if other > novelty { (candidate, other) } else { (best, novelty) }
        };
        candidates.iter().fold((first, at_least), better).0
    }

    /// Adds the current path to the recent paths, and changes one member of the archive.
    pub fn consider(&mut self, path: &Arch, rng: &mut dyn Rng) {
        let Constraints::Archive(most) = self.config.constraints else { return };
        self.recent.push(path.clone());
        if self.recent.len() > RECENT {
            self.recent.remove(0);
        }
        let mut changed = self.archive.clone();
        let fills = self.archive.len() < most;
        if fills {
            changed.push(path.clone()); // every cell of it is replaced below
        }
        for cell in self.cells() {
            let (member, chosen) = if fills {
                let random: Vec<Arch> = (0..=RANDOM).map(|_| self.space.sample(rng)).collect();
                let rest: Vec<&Arch> = self.archive.iter().collect();
                // The first of them is taken if no other has a novelty above 0, so also for an empty archive.
                let chosen = self.most_novel((&random[0], 0.0), &random[1..], &rest, &cell);
                (self.archive.len(), chosen.choices()[cell.clone()].to_vec())
            } else {
                let distance = |&i: &usize| self.distance(&self.archive[i], path, &cell);
                let like = (0..most).min_by_key(distance).expect("an archive has at least one member");
                let others = self.archive.iter().enumerate().filter(|(i, _)| *i != like);
                let rest: Vec<&Arch> = others.map(|(_, member)| member).collect();
                let own = (&self.archive[like], self.novelty(&self.archive[like], &rest, &cell));
                let chosen = self.most_novel(own, &self.recent, &rest, &cell);
                (like, chosen.choices()[cell.clone()].to_vec())
            };
            let mut choices = changed[member].choices().to_vec();
            choices[cell].copy_from_slice(&chosen);
            changed[member] = Arch::new(choices);
        }
        self.archive = changed;
    }

    /// Returns the settings.
    pub(super) fn config(&self) -> &NsasConfig {
        &self.config
    }

    /// Returns the state without its kind, for a rule that contains this one.
    pub(super) fn archive_state(&self) -> NsasState {
        NsasState { archive: self.archive.clone(), recent: self.recent.clone() }
    }

    /// Returns the constraint paths of a step.
    pub(super) fn constraints(&self, rng: &mut dyn Rng) -> Vec<Arch> {
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
        paths.iter().for_each(|path| self.consider(path, ctx.rule_rng));
        let constraints = self.constraints(ctx.rule_rng);
        let own = (1.0 - self.config.beta) / paths.len() as f64;
        let other = self.config.beta / constraints.len() as f64;
        let mut passes = Vec::new();
        for path in paths {
            let weight = ctx.paths.loss_weight(&path)?;
            passes.push(ctx.pass(path, own * weight, batch)?);
        }
        if self.config.constraint_loss == ConstraintLoss::Trained {
            for path in constraints {
                passes.push(ctx.pass(path, other, batch)?);
            }
        }
        ctx.descend(passes)
    }

    fn state(&self) -> SavedState {
        SavedState::new(NsasState::KIND, &self.archive_state())
    }

    fn restore(&mut self, state: &SavedState) -> Result<(), SamplerError> {
        let NsasState { archive, recent } = state.read(NsasState::KIND)?;
        check_paths(NsasState::KIND, archive.iter().chain(&recent), &self.space)?;
        (self.archive, self.recent) = (archive, recent);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use pada_space::{Darts, DartsCell};
    use rand::SeedableRng;

    use super::*;

    fn arch(digits: &str) -> Arch {
        Arch::new(digits.bytes().map(|b| b - b'0').collect::<Vec<_>>())
    }

    fn rule(archive: usize) -> Nsas {
        let config = NsasConfig {
            beta: 0.5,
            constraints: Constraints::Archive(archive),
            constraint_loss: ConstraintLoss::Trained,
        };
        Nsas::new(config, SubSpace::from_op_counts(&[5; 3]).unwrap())
    }

    fn rng() -> rand_chacha::ChaCha8Rng {
        rand_chacha::ChaCha8Rng::seed_from_u64(3)
    }

    /// A full archive of size 2 after the recent paths 000, 001. The expected values are computed by hand from the demo's rule.
    #[test]
    fn the_member_most_like_the_path_is_replaced_by_what_is_most_novel_against_the_rest() {
        let mut nsas = rule(2);
        nsas.archive = vec![arch("012"), arch("344")];
        nsas.recent = vec![arch("000"), arch("001")];
        // 340 is like 344 (distance 1; 3 to 012). The rest of the archive is 012. Distances to it: 344 (the member) 3, 000 2, 001 2, 340 3.
        // No candidate is more novel than the member, so it stays.
        nsas.consider(&arch("340"), &mut rng());
        assert_eq!(nsas.archive(), [arch("012"), arch("344")]);
        // 011 is like 012. The rest is 344. Distances to it: 012 3, so nothing can be more novel, and 012 stays although the path is not in
        // the archive.
        nsas.consider(&arch("011"), &mut rng());
        assert_eq!(nsas.archive(), [arch("012"), arch("344")]);
        // 340 (distance 1) is more like 310 than 344 (distance 2). The rest is 344; distances to it: the member 340 1, then 000 3, which is
        // the first candidate with the largest novelty. Against the recent paths, 340 and 310 would be equally novel and 340 would stay.
        nsas.archive = vec![arch("340"), arch("344")];
        nsas.consider(&arch("310"), &mut rng());
        assert_eq!(nsas.archive(), [arch("000"), arch("344")]);
        // 343 is like 344, which is as far (3) from the rest, 000, as a path can be.
        nsas.consider(&arch("343"), &mut rng());
        assert_eq!(nsas.archive(), [arch("000"), arch("344")]);
        assert_eq!(nsas.recent.last(), Some(&arch("343")));
    }

    /// 000 is the most novel path against 344, so it comes in if it is still a candidate.
    #[test]
    fn only_the_last_fifty_paths_can_come_in() {
        for (later, comes_in) in [(48, true), (49, false)] {
            let mut nsas = rule(2);
            nsas.archive = vec![arch("340"), arch("344")];
            nsas.recent = vec![arch("000")];
            nsas.recent.extend((0..later).map(|_| arch("340")));
            nsas.consider(&arch("340"), &mut rng());
            assert_eq!(nsas.recent.len(), (later + 2).min(50));
            assert_eq!(nsas.archive().contains(&arch("000")), comes_in, "after {later} paths");
        }
    }

    /// The demo draws one path and then ten, and keeps the first of those with the largest mean distance to the archive.
    #[test]
    fn the_archive_is_filled_with_the_most_novel_of_ten_random_paths() {
        let mut nsas = rule(3);
        let (mut ours, mut theirs) = (rng(), rng());
        let mut expected: Vec<Arch> = Vec::new();
        let space = SubSpace::from_op_counts(&[5; 3]).unwrap();
        for size in 1..=3 {
            nsas.consider(&arch("000"), &mut ours);
            let random: Vec<Arch> = (0..11).map(|_| space.sample(&mut theirs)).collect();
            let novelty = |a: &Arch| expected.iter().map(|b| a.distance(b).unwrap()).sum::<usize>();
            let mut best = (0, 0);
            for (i, a) in random.iter().enumerate().skip(1) {
                if novelty(a) > best.1 {
                    best = (i, novelty(a));
                }
            }
            let chosen = random[best.0].clone();
            expected.push(chosen);
            assert_eq!(nsas.archive().len(), size);
            assert_eq!(nsas.archive(), expected);
        }
        // The current path itself does not come in while the archive fills.
        assert!(!nsas.archive().contains(&arch("000")));
    }

    /// Two genotypes of DARTS by hand: what counts are the pairs (operation, input) that the nodes of a cell keep.
    #[test]
    fn the_distance_in_darts_counts_kept_pairs_and_cells_are_chosen_separately() {
        let space = SubSpace::full(&Darts);
        let nsas = Nsas::new(rule(2).config, space.clone()).with_cells(2);
        let [normal, reduce] = nsas.cells().try_into().unwrap();
        assert_eq!((normal.clone(), reduce.clone()), (0..17, 17..34));
        let a = Arch::new(vec![0; 34]);
        // Node 3 keeps inputs 0 and 1 in `a`. Another operation on its edge from node 2, which it does not keep, changes nothing.
        let unused = Darts::edge_decision(DartsCell::Normal, 2, 3).unwrap();
        let b = a.with(unused, 5).unwrap();
        assert_eq!(nsas.distance(&a, &b, &normal), 0);
        // Node 3 keeps inputs 1 and 2 (choice 2): one of its two pairs is still the same if the operation is, none if it is not.
        let c = a.with(14, 2).unwrap();
        assert_eq!(nsas.distance(&a, &c, &normal), 1);
        let edge = Darts::edge_decision(DartsCell::Normal, 1, 3).unwrap();
        let d = c.with(edge, 3).unwrap();
        assert_eq!((nsas.distance(&a, &d, &normal), nsas.distance(&d, &a, &normal)), (2, 2));
        assert_eq!(nsas.distance(&a, &d, &reduce), 0);

        // The reduction cell of the recent path comes in, its normal cell, which is no more novel, does not.
        let mut nsas = nsas;
        let far = |from: usize| (from..from + 14).fold(a.clone(), |arch, e| arch.with(e, 7).unwrap());
        nsas.archive = vec![far(0), a.clone()];
        nsas.recent = vec![];
        nsas.consider(&far(17), &mut rng());
        // Normal: the path is like the second member; the rest is `far(0)`, against which `a` and the path are equally novel.
        // Reduction: both members are equally far (8) from the path, so the first is the one; the path is more novel (8) than it (0).
        let expected = (17..31).fold(far(0), |arch, e| arch.with(e, 7).unwrap());
        assert_eq!(nsas.archive(), [expected, a]);
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
        let mut rng = rng();
        ["000", "001", "334", "011"].iter().for_each(|a| nsas.consider(&arch(a), &mut rng));
        let mut other = rule(2);
        other.restore(&nsas.state()).unwrap();
        assert_eq!((other.archive(), &other.recent), (nsas.archive(), &nsas.recent));
        let foreign = NsasState { archive: vec![arch("00")], recent: vec![] };
        let foreign = SavedState::new(NsasState::KIND, &foreign);
        assert!(matches!(other.restore(&foreign), Err(SamplerError::State { .. })));
    }
}
