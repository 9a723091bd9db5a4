use std::collections::HashMap;

use pada_space::{Arch, Equivalence, SearchSpace, SubSpace};
use rand::Rng;
use thiserror::Error;

/// What is searched for.
pub struct Goal<'a, E> {
    /// What an architecture is worth: more is better. Called once for architectures that compute the same function of the shared
    /// weights.
    pub score: &'a mut dyn FnMut(&Arch) -> Result<f64, E>,
    /// What it costs beside that: less is better.
    pub cost: &'a dyn Fn(&Arch) -> f64,
    /// Whether it is wanted at all.
    pub fits: &'a dyn Fn(&Arch) -> bool,
}

/// An architecture that was scored.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The architecture.
    pub arch: Arch,
    /// More is better.
    pub score: f64,
    /// Less is better.
    pub cost: f64,
}

/// Why a search ended without a result.
#[derive(Debug, Error)]
pub enum SearchError<E> {
    /// No architecture within the limits was drawn.
    #[error("none of {tried} architectures drawn at random is within the limits; widen them")]
    NothingFits {
        /// How many were drawn.
        tried: usize,
    },
    /// A setting is out of its range.
    #[error("{name} is {value}, it must be {range}")]
    BadConfig {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: usize,
        /// What is allowed.
        range: &'static str,
    },
    /// A rate is no probability.
    #[error("rate is {value}, it must be from 0 to 1")]
    BadRate {
        /// The rate.
        value: f64,
    },
    /// An architecture could not be scored.
    #[error(transparent)]
    Score(E),
}

/// A search under way: what it draws from, and everything it has scored. Two architectures that compute the same function of shared
/// weights count as one.
pub struct Search<'a, E> {
    pub(crate) space: &'a dyn SearchSpace,
    part: &'a SubSpace,
    pub(crate) goal: Goal<'a, E>,
    pub(crate) rng: &'a mut dyn Rng,
    /// By canonical form, in the order of scoring.
    places: HashMap<Arch, usize>,
    found: Vec<Found>,
}

/// How a search comes from one architecture to another.
pub(crate) struct Moves<'a> {
    space: &'a dyn SearchSpace,
    part: &'a SubSpace,
}

impl Moves<'_> {
    pub(crate) fn crossover(&self, a: &Arch, b: &Arch, rng: &mut dyn Rng) -> Arch {
        self.space.crossover(a, b, rng)
    }

    pub(crate) fn mutate(&self, arch: &Arch, rate: f64, rng: &mut dyn Rng) -> Arch {
        self.part.mutate(arch, rate, rng)
    }
}

/// Draws in a row that may be outside the limits or known already.
const PATIENCE: usize = 10_000;

impl<'a, E> Search<'a, E> {
    /// A search that has scored nothing; it visits architectures of `part` only.
    pub fn new(
        space: &'a dyn SearchSpace,
        part: &'a SubSpace,
        goal: Goal<'a, E>,
        rng: &'a mut dyn Rng,
    ) -> Self {
        Self { space, part, goal, rng, places: HashMap::new(), found: Vec::new() }
    }

    /// Everything scored so far, in order.
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    /// The `n` best, best first; of equal scores the cheaper one, then the one found first.
    pub fn best(&self, n: usize) -> Vec<Found> {
        let mut all = self.found.clone();
        all.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.cost.total_cmp(&b.cost)));
        all.truncate(n);
        all
    }

    /// Scores an architecture, unless one like it is known or it does not fit; its place among the found ones if it is new.
    pub(crate) fn visit(&mut self, arch: Arch) -> Result<Option<usize>, SearchError<E>> {
        let arch = self.space.without_dead_edges(&arch);
        let canonical = self.space.canonical(&arch, Equivalence::SharedWeights);
        if self.places.contains_key(&canonical) || !(self.goal.fits)(&arch) {
            return Ok(None);
        }
        let score = (self.goal.score)(&arch).map_err(SearchError::Score)?;
        let cost = (self.goal.cost)(&arch);
        let place = self.found.len();
        self.places.insert(canonical, place);
        self.found.push(Found { arch, score, cost });
        Ok(Some(place))
    }

    /// Visits what `draw` gives until one is new; none where patience runs out.
    pub(crate) fn visit_new(
        &mut self,
        mut draw: impl FnMut(&Moves<'_>, &mut dyn Rng, &[Found]) -> Arch,
    ) -> Result<Option<usize>, SearchError<E>> {
        let moves = Moves { space: self.space, part: self.part };
        for _ in 0..PATIENCE {
            let arch = draw(&moves, self.rng, &self.found);
            if let Some(place) = self.visit(arch)? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// Scores up to `n` random architectures; their places.
    pub(crate) fn start(&mut self, n: usize) -> Result<Vec<usize>, SearchError<E>> {
        let mut places = Vec::new();
        while places.len() < n {
            match self.visit_new(|moves, rng, _| moves.part.sample(rng))? {
                Some(place) => places.push(place),
                None if places.is_empty() => return Err(SearchError::NothingFits { tried: PATIENCE }),
                // The space within the limits is smaller than what was asked for.
                None => break,
            }
        }
        Ok(places)
    }
}
