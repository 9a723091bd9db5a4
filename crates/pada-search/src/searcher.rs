use std::collections::HashMap;

#[cfg(doc)]
use pada_space::Equivalence;
use pada_space::{Arch, SearchSpace, SpaceError, SubSpace};
use rand::{Rng, RngExt};
use thiserror::Error;

use crate::Evaluated;
use crate::search::{Identity, identity};

/// A search method: it is asked for architectures and told their scores.
///
/// A method never calls a score function, so the same method searches a supernet, a benchmark table or a formula, and the caller decides
/// where and when a score is computed. Everything that a method remembers is in the type that implements this trait. If that type is stored
/// together with the [`History`] and the random generator, a stopped search continues bit for bit; [`Searching`](crate::Searching) is such a
/// type for all methods of this crate.
///
/// [`Search::run`](crate::Search::run) is the loop over `ask` and `tell`.
///
/// ```
/// use pada_search::{AskError, Fidelity, History, Outcome, Request, SearchView, Searcher};
///
/// /// Scores one architecture after the other, in the order of the space.
/// struct Exhaustive(u128);
///
/// impl Searcher for Exhaustive {
///     fn ask(&mut self, view: &mut SearchView<'_>) -> Result<Option<Request>, AskError> {
///         while let Some(arch) = view.space().nth(self.0) {
///             self.0 += 1;
///             if let Some(arch) = view.new_feasible(&arch)? {
///                 return Ok(Some(Request { arch, fidelity: Fidelity::Full }));
///             }
///         }
///         Ok(None)
///     }
///     fn tell(&mut self, _: &History, _: &Request, _: Outcome) {}
/// }
/// ```
pub trait Searcher {
    /// Returns the next architecture to score, or `None` if the search is finished.
    ///
    /// The architecture is in the sub-space and feasible. It may be known already; then its score is told without being computed again.
    ///
    /// # Errors
    /// Returns [`AskError::NothingFeasible`] if no feasible architecture was found at all, or an error of the space.
    fn ask(&mut self, view: &mut SearchView<'_>) -> Result<Option<Request>, AskError>;

    /// Receives the outcome of the last request. `history` contains it already.
    fn tell(&mut self, history: &History, request: &Request, outcome: Outcome);

    /// Returns the value by which the best architecture of the search is chosen. Higher is better; by default it is the score.
    fn value(&self, evaluated: &Evaluated) -> f64 {
        evaluated.score
    }
}

/// An architecture whose score a [`Searcher`] requests.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Request {
    /// The architecture.
    pub arch: Arch,
    /// The precision of the score.
    pub fidelity: Fidelity,
}

impl Request {
    /// Requests the score of an architecture on all images.
    pub(crate) fn full(arch: Arch) -> Self {
        Self { arch, fidelity: Fidelity::Full }
    }
}

/// The precision of a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum Fidelity {
    /// A cheap estimate, for example the accuracy on few images. It is told to the method and not kept in the [`History`].
    Quick,
    /// The score that the search maximises.
    Full,
}

/// The answer to a [`Request`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// The architecture has a score: it is [`History::evaluated`] at this index.
    Scored {
        /// The index of the architecture in [`History::evaluated`].
        index: usize,
    },
    /// The architecture has this cheap estimate of its score.
    Estimated {
        /// The estimate. Higher is better.
        score: f64,
    },
    /// The architecture cannot be scored, or it is infeasible.
    Failed,
}

/// The reason why a [`Searcher`] cannot name an architecture.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum AskError {
    /// No feasible architecture was found.
    #[error("none of {tried} architectures drawn at random satisfies the constraints; relax them")]
    NothingFeasible {
        /// The number of architectures that were drawn.
        tried: usize,
    },
    /// The parameters of a controller became infinite or NaN.
    #[error("{}", diverged(*updates))]
    Diverged {
        /// The number of updates of the controller before.
        updates: usize,
    },
    /// An architecture or the sub-space does not belong to the space.
    #[error(transparent)]
    Space(#[from] SpaceError),
}

/// Describes a controller whose parameters are not finite.
pub(crate) fn diverged(updates: usize) -> String {
    format!(
        "the parameters of the controller are not finite after {updates} updates; set a smaller learning_rate or a larger epsilon"
    )
}

/// Everything that a search has evaluated.
///
/// Architectures that compute the same function of shared weights ([`Equivalence::SharedWeights`]) count as one, unless
/// [`Objective::identity`](crate::Objective::identity) says otherwise.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct History {
    evaluated: Vec<Evaluated>,
    failed: Vec<Arch>,
    /// The index of each evaluated architecture by its identity, or `None` if it failed.
    #[cfg_attr(feature = "serde", serde(skip))]
    known: HashMap<Arch, Option<usize>>,
}

/// Two histories are equal if the same architectures were evaluated in the same order with the same outcomes.
impl PartialEq for History {
    fn eq(&self, other: &Self) -> bool {
        self.evaluated == other.evaluated && self.failed == other.failed
    }
}

impl History {
    /// Returns every evaluated architecture, in the order of evaluation.
    pub fn evaluated(&self) -> &[Evaluated] {
        &self.evaluated
    }

    /// Returns the architectures that could not be scored, in the order of their requests.
    pub fn failed(&self) -> &[Arch] {
        &self.failed
    }

    /// Returns the number of architectures that were evaluated or could not be scored.
    pub fn len(&self) -> usize {
        self.evaluated.len() + self.failed.len()
    }

    /// Returns true if no architecture was tried yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the `n` best architectures, best first.
    ///
    /// Equal scores are ordered by cost, lower first, and then by the order of evaluation.
    pub fn best(&self, n: usize) -> Vec<Evaluated> {
        self.best_by(n, |evaluated| evaluated.score)
    }

    /// Returns the `n` architectures of the highest value, best first, in the order of [`History::best`].
    pub fn best_by(&self, n: usize, value: impl Fn(&Evaluated) -> f64) -> Vec<Evaluated> {
        let mut all = self.evaluated.clone();
        all.sort_by(|a, b| value(b).total_cmp(&value(a)).then(a.cost.total_cmp(&b.cost)));
        all.truncate(n);
        all
    }

    /// Restores the index of a history that was read from a file.
    pub(crate) fn indexed(
        mut self,
        key: impl Fn(&Arch) -> Result<Arch, SpaceError>,
    ) -> Result<Self, SpaceError> {
        self.known.clear();
        for (index, evaluated) in self.evaluated.iter().enumerate() {
            self.known.insert(key(&evaluated.arch)?, Some(index));
        }
        for arch in &self.failed {
            self.known.insert(key(arch)?, None);
        }
        Ok(self)
    }

    /// Returns the outcome of the architecture with an identity; `None` if it is new.
    pub(crate) fn outcome(&self, identity: &Arch) -> Option<Outcome> {
        self.known.get(identity).map(|index| match *index {
            Some(index) => Outcome::Scored { index },
            None => Outcome::Failed,
        })
    }

    pub(crate) fn add(&mut self, identity: Arch, evaluated: Evaluated) -> Outcome {
        let index = self.evaluated.len();
        self.known.insert(identity, Some(index));
        self.evaluated.push(evaluated);
        Outcome::Scored { index }
    }

    pub(crate) fn add_failed(&mut self, identity: Arch, arch: Arch) -> Outcome {
        self.known.insert(identity, None);
        self.failed.push(arch);
        Outcome::Failed
    }

    pub(crate) fn set_scores(&mut self, scores: Vec<f64>) {
        self.evaluated.iter_mut().zip(scores).for_each(|(evaluated, score)| evaluated.score = score);
    }
}

/// The number of consecutive draws that may be infeasible or known before a method gives up.
pub(crate) const MAX_ATTEMPTS: usize = 10_000;

/// The part of a search that a [`Searcher`] may use: the space, the constraint, the history and the random generator.
pub struct SearchView<'a> {
    pub(crate) space: &'a dyn SearchSpace,
    pub(crate) sub_space: &'a SubSpace,
    pub(crate) constraint: &'a dyn Fn(&Arch) -> bool,
    pub(crate) identity: Option<&'a Identity<'a>>,
    pub(crate) candidates: &'a [Arch],
    pub(crate) history: &'a History,
    pub(crate) rng: &'a mut dyn Rng,
}

impl std::fmt::Debug for SearchView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SearchView").field("history", self.history).finish_non_exhaustive()
    }
}

impl SearchView<'_> {
    /// Returns the search space.
    pub fn space(&self) -> &dyn SearchSpace {
        self.space
    }

    /// Returns the part of the space that is searched.
    pub fn sub_space(&self) -> &SubSpace {
        self.sub_space
    }

    /// Returns everything that was evaluated before.
    pub fn history(&self) -> &History {
        self.history
    }

    /// Returns the random generator of the search.
    pub fn rng(&mut self) -> &mut dyn Rng {
        self.rng
    }

    /// Returns the architecture with the choice 0 at its inactive decisions, or `None` if it is infeasible.
    ///
    /// # Errors
    /// Returns an error if the architecture is not in the sub-space.
    pub fn feasible(&self, arch: &Arch) -> Result<Option<Arch>, SpaceError> {
        let arch = self.space.without_dead_edges(arch)?;
        self.sub_space.check(&arch)?;
        Ok((self.constraint)(&arch).then_some(arch))
    }

    /// Returns the architecture as [`SearchView::feasible`] does, or `None` also if it was tried before.
    ///
    /// # Errors
    /// Returns an error if the architecture is not in the sub-space.
    pub fn new_feasible(&self, arch: &Arch) -> Result<Option<Arch>, SpaceError> {
        let cleared = self.space.without_dead_edges(arch)?;
        self.sub_space.check(&cleared)?;
        let is_new = self.history.outcome(&self.identity(&cleared)?).is_none();
        Ok((is_new && (self.constraint)(&cleared)).then_some(cleared))
    }

    /// Returns the architecture that stands for all architectures that count as one with this one: the canonical form of
    /// [`Equivalence::SharedWeights`], unless [`Objective::identity`](crate::Objective::identity) says otherwise.
    ///
    /// # Errors
    /// Returns an error if the architecture is not in the space.
    pub fn identity(&self, arch: &Arch) -> Result<Arch, SpaceError> {
        identity(self.space, self.identity, arch)
    }

    /// Draws a random architecture of the sub-space, or of the list of [`Search::with_candidates`](crate::Search::with_candidates). It may be
    /// infeasible.
    pub fn sample(&mut self) -> Arch {
        match self.candidates {
            [] => self.sub_space.sample(self.rng),
            list => list[self.rng.random_range(0..list.len())].clone(),
        }
    }

    /// Returns the number of draws after which nothing more is expected: 10,000, or fewer if there is a short list of candidates.
    pub(crate) fn attempts(&self) -> usize {
        match self.candidates.len() {
            0 => MAX_ATTEMPTS,
            // One of n candidates is missed by 20 n draws with a probability of 2e-9.
            n => n.saturating_mul(20).min(MAX_ATTEMPTS),
        }
    }

    /// Draws architectures until one is feasible and was not tried before. Returns `None` after 10,000 draws, or fewer if there is a short list
    /// of candidates.
    ///
    /// # Errors
    /// Returns an error of `draw`, or an error if an architecture is not in the sub-space.
    pub fn draw_new(
        &mut self,
        mut draw: impl FnMut(&mut Self) -> Result<Arch, SpaceError>,
    ) -> Result<Option<Arch>, SpaceError> {
        for _ in 0..self.attempts() {
            let arch = draw(self)?;
            if let Some(arch) = self.new_feasible(&arch)? {
                return Ok(Some(arch));
            }
        }
        Ok(None)
    }

    /// Draws random architectures until one is feasible and was not tried before. Returns `None` if 10,000 draws found none, because every
    /// feasible architecture is known.
    ///
    /// # Errors
    /// Returns [`AskError::NothingFeasible`] if no architecture is known at all, or an error of the space.
    pub fn draw_random(&mut self) -> Result<Option<Arch>, AskError> {
        let arch = self.draw_new(|view| Ok(view.sample()))?;
        if arch.is_none() && self.history.is_empty() {
            return Err(AskError::NothingFeasible { tried: self.attempts() });
        }
        Ok(arch)
    }

    /// Crosses two architectures of the sub-space. The child is in the sub-space as well.
    pub(crate) fn crossover(&mut self, a: &Arch, b: &Arch) -> Result<Arch, SpaceError> {
        let child = self.space.crossover(a, b, self.rng)?;
        if self.sub_space.contains(&child) {
            return Ok(child);
        }
        // The child has an operation of one parent, in which the edge is inactive, and the node's inputs of the other, in which the edge
        // is active. So the operation of the other parent is in the sub-space.
        let mut choices = child.choices().to_vec();
        for (decision, choice) in choices.iter_mut().enumerate() {
            let allowed = self.sub_space.allowed()[decision].contains(choice);
            if !allowed && self.sub_space.is_active(decision, &child)? {
                let [x, y] = [a, b].map(|parent| parent.choices()[decision]);
                *choice = if *choice == x { y } else { x };
            }
        }
        Ok(Arch::new(choices))
    }

    pub(crate) fn mutate(&mut self, arch: &Arch, rate: f64) -> Result<Arch, SpaceError> {
        self.sub_space.mutate(arch, rate, self.rng)
    }

    /// Switches one active decision, drawn uniformly, to another one of its choices. Returns `None` if the sub-space contains nothing to
    /// switch. The result is in the sub-space: decisions that become active with a choice outside of it are redrawn.
    pub(crate) fn switch_one(&mut self, arch: &Arch) -> Result<Option<Arch>, SpaceError> {
        let mut open = Vec::new();
        for (decision, allowed) in self.sub_space.allowed().iter().enumerate() {
            if allowed.len() > 1 && self.sub_space.is_active(decision, arch)? {
                open.push(decision);
            }
        }
        if open.is_empty() {
            return Ok(None);
        }
        let decision = open[self.rng.random_range(0..open.len())];
        let current = arch.choices()[decision];
        let others: Vec<u8> =
            self.sub_space.allowed()[decision].iter().copied().filter(|&c| c != current).collect();
        let child = arch.with(decision, others[self.rng.random_range(0..others.len())])?;
        let mut choices = child.choices().to_vec();
        for (decision, choice) in choices.iter_mut().enumerate() {
            let allowed = &self.sub_space.allowed()[decision];
            if !allowed.contains(choice) && self.sub_space.is_active(decision, &child)? {
                *choice = allowed[self.rng.random_range(0..allowed.len())];
            }
        }
        Ok(Some(Arch::new(choices)))
    }
}
