use std::fmt;

use pada_space::{Arch, Equivalence, SearchSpace, SpaceError, SubSpace};
use rand::Rng;
use thiserror::Error;

use crate::searcher::{AskError, Fidelity, History, Outcome, Request, SearchView, Searcher, diverged};
use crate::settings::InvalidSetting;
use crate::{Random, RandomConfig};

/// The objective of a search: a score to maximise, optionally a cost to minimise, and optionally a constraint.
///
/// ```
/// use pada_search::Objective;
/// use pada_space::Arch;
///
/// let mut score = |arch: &Arch| Ok::<_, std::convert::Infallible>(arch.count(3) as f64);
/// let cost = |arch: &Arch| arch.count(2) as f64;
/// let constraint = |arch: &Arch| arch.count(3) < 5;
/// let objective = Objective::new(&mut score).cost(&cost).constraint(&constraint);
/// # drop(objective);
/// ```
pub struct Objective<'a, E> {
    score: Score<'a, E>,
    quick_score: Option<&'a mut ScoreFn<'a, E>>,
    cost: &'a dyn Fn(&Arch) -> f64,
    constraint: &'a dyn Fn(&Arch) -> bool,
    list_score: Option<&'a ListScore<'a>>,
    identity: Option<&'a Identity<'a>>,
}

/// A function that returns the same architecture for all architectures that count as one.
pub(crate) type Identity<'a> = dyn Fn(&Arch) -> Result<Arch, SpaceError> + 'a;

/// A function that scores every architecture.
type ScoreFn<'a, E> = dyn FnMut(&Arch) -> Result<f64, E> + 'a;

/// A function that returns `None` for architectures that cannot be scored.
type PartialScoreFn<'a, E> = dyn FnMut(&Arch) -> Result<Option<f64>, E> + 'a;

/// Scores of a list of architectures, which depend on the whole list.
type ListScore<'a> = dyn Fn(&[Evaluated]) -> Vec<f64> + 'a;

enum Score<'a, E> {
    Total(&'a mut ScoreFn<'a, E>),
    Partial(&'a mut PartialScoreFn<'a, E>),
}

impl<'a, E> Objective<'a, E> {
    /// Creates an objective from the score to maximise, for example the accuracy with the weights of a supernet.
    ///
    /// The cost of every architecture is 0, and every architecture is feasible. The score function is called once for all architectures
    /// that compute the same function of shared weights, or that have the same [identity](Self::identity).
    pub fn new(score: &'a mut ScoreFn<'a, E>) -> Self {
        Self::of(Score::Total(score))
    }

    /// Creates an objective whose score function returns `None` for architectures that cannot be scored, for example because their training
    /// diverges. The method is told so, and the search continues.
    pub fn partial(score: &'a mut PartialScoreFn<'a, E>) -> Self {
        Self::of(Score::Partial(score))
    }

    fn of(score: Score<'a, E>) -> Self {
        Self {
            score,
            quick_score: None,
            cost: &|_| 0.0,
            constraint: &|_| true,
            list_score: None,
            identity: None,
        }
    }

    /// Sets a cheap estimate of the score, which a method can request as [`Fidelity::Quick`], for example the accuracy on few images.
    ///
    /// Without this function such a request gets the full score.
    #[must_use]
    pub fn quick_score(self, quick_score: &'a mut ScoreFn<'a, E>) -> Self {
        Self { quick_score: Some(quick_score), ..self }
    }

    /// Replaces the scores by scores that depend on all architectures evaluated so far, such as fused ranks.
    ///
    /// The function gets every evaluated architecture in the order of evaluation, and returns one score for each. It must
    /// not return NaN, and it must not depend on [`Evaluated::score`], which contains the scores of its last call.
    #[must_use]
    pub fn list_score(self, list_score: &'a dyn Fn(&[Evaluated]) -> Vec<f64>) -> Self {
        Self { list_score: Some(list_score), ..self }
    }

    /// Sets which architectures count as one: those for which the function returns the same architecture, for example the row of a benchmark
    /// table that has their network.
    ///
    /// Without this function, architectures that compute the same function of shared weights ([`Equivalence::SharedWeights`]) count as one.
    #[must_use]
    pub fn identity(self, identity: &'a dyn Fn(&Arch) -> Result<Arch, SpaceError>) -> Self {
        Self { identity: Some(identity), ..self }
    }

    /// Sets the cost to minimise, for example multiply-adds.
    ///
    /// [`Nsga2`](crate::Nsga2) trades it off against the score, and [`Reinforce`](crate::Reinforce) does so if it has a target. The other
    /// methods use it to order architectures of equal score.
    #[must_use]
    pub fn cost(self, cost: &'a dyn Fn(&Arch) -> f64) -> Self {
        Self { cost, ..self }
    }

    /// Sets the constraint: only architectures for which it returns `true` are feasible. The others are never scored.
    #[must_use]
    pub fn constraint(self, constraint: &'a dyn Fn(&Arch) -> bool) -> Self {
        Self { constraint, ..self }
    }
}

impl<E> fmt::Debug for Objective<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objective").finish_non_exhaustive()
    }
}

/// An evaluated architecture.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Evaluated {
    /// The architecture.
    pub arch: Arch,
    /// The score. Higher is better.
    #[cfg_attr(feature = "serde", serde(with = "crate::number"))]
    pub score: f64,
    /// The cost. Lower is better.
    #[cfg_attr(feature = "serde", serde(with = "crate::number"))]
    pub cost: f64,
}

/// An error that ended a search.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum SearchError<E> {
    /// No feasible architecture was found.
    #[error("none of {tried} architectures drawn at random satisfies the constraints; relax them")]
    NothingFeasible {
        /// The number of architectures that were drawn.
        tried: usize,
    },
    /// A setting of a search method is out of its range.
    #[error(transparent)]
    InvalidConfig(#[from] InvalidSetting),
    /// A score or a cost is NaN, so that architectures cannot be ordered.
    #[error("the {what} of architecture {arch} is NaN")]
    Nan {
        /// "score", "quick score" or "cost".
        what: &'static str,
        /// The architecture.
        arch: Arch,
    },
    /// The parameters of a controller became infinite or NaN.
    #[error("{}", diverged(*updates))]
    Diverged {
        /// The number of updates of the controller before.
        updates: usize,
    },
    /// The sub-space does not belong to the space.
    #[error("the sub-space does not belong to the space: {0}")]
    Space(#[from] SpaceError),
    /// A score was told although no request is open.
    #[error("no architecture waits for a score; ask for one first")]
    NotAsked,
    /// An architecture could not be scored.
    #[error(transparent)]
    Score(E),
}

impl<E> From<AskError> for SearchError<E> {
    fn from(error: AskError) -> Self {
        match error {
            AskError::NothingFeasible { tried } => Self::NothingFeasible { tried },
            AskError::Diverged { updates } => Self::Diverged { updates },
            AskError::Space(error) => Self::Space(error),
        }
    }
}

/// A search in progress: the sub-space that it samples from, and every architecture that it has evaluated.
///
/// Architectures that compute the same function of shared weights count as one, unless [`Objective::identity`] says otherwise. Several methods can
/// continue one search, so that, for example, [`evolution`](crate::evolution) can start after [`random_search`].
pub struct Search<'a, E> {
    space: &'a dyn SearchSpace,
    sub_space: &'a SubSpace,
    objective: Objective<'a, E>,
    rng: &'a mut dyn Rng,
    history: History,
    /// The architectures among which all feasible ones are, in a fixed order. It is empty if they are not known.
    candidates: Vec<Arch>,
}

impl<E> fmt::Debug for Search<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Search").field("history", &self.history).finish_non_exhaustive()
    }
}

impl<'a, E> Search<'a, E> {
    /// Creates a search without evaluations. It only evaluates architectures of `sub_space`.
    ///
    /// The same state of `rng` gives the same search.
    pub fn new(
        space: &'a dyn SearchSpace,
        sub_space: &'a SubSpace,
        objective: Objective<'a, E>,
        rng: &'a mut dyn Rng,
    ) -> Self {
        Self { space, sub_space, objective, rng, history: History::default(), candidates: vec![] }
    }

    /// Draws random architectures from a list that contains all feasible ones, such as those with a measured latency, because random
    /// architectures of the whole space would hardly meet a short list. Architectures outside of the sub-space are left out, and an empty list has
    /// no effect.
    #[must_use]
    pub fn with_candidates(mut self, candidates: impl IntoIterator<Item = Arch>) -> Self {
        self.candidates = candidates.into_iter().filter(|arch| self.sub_space.contains(arch)).collect();
        // An order that does not depend on that of a hash map.
        self.candidates.sort();
        self
    }

    /// Replaces the history by the one of an earlier search.
    ///
    /// # Errors
    /// Returns [`SearchError::Space`] if it contains an architecture of another space.
    pub fn with_history(self, history: History) -> Result<Self, SearchError<E>> {
        let history = history.indexed(|arch| identity(self.space, self.objective.identity, arch))?;
        Ok(Self { history, ..self })
    }

    /// Returns everything that was evaluated.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Ends the search and returns its history.
    pub fn into_history(self) -> History {
        self.history
    }

    /// Returns every evaluated architecture, in the order of evaluation.
    pub fn evaluated(&self) -> &[Evaluated] {
        self.history.evaluated()
    }

    /// Returns the `n` best architectures, best first, as [`History::best`] does.
    pub fn best(&self, n: usize) -> Vec<Evaluated> {
        self.history.best(n)
    }

    /// Asks a method for architectures and tells it their scores until it is finished.
    ///
    /// # Errors
    /// Returns [`SearchError::NothingFeasible`], [`SearchError::Nan`], or an error of the score function.
    pub fn run(&mut self, searcher: &mut (impl Searcher + ?Sized)) -> Result<(), SearchError<E>> {
        while self.step(searcher)? {}
        Ok(())
    }

    /// Asks a method for one architecture and tells it the outcome. Returns `false` if the method is finished.
    ///
    /// Between two steps, the method, the history and the random generator are the whole state of the search.
    ///
    /// # Errors
    /// Returns the errors of [`Search::run`].
    pub fn step(&mut self, searcher: &mut (impl Searcher + ?Sized)) -> Result<bool, SearchError<E>> {
        let mut view = SearchView {
            space: self.space,
            sub_space: self.sub_space,
            constraint: self.objective.constraint,
            identity: self.objective.identity,
            candidates: &self.candidates,
            history: &self.history,
            rng: self.rng,
        };
        let Some(request) = searcher.ask(&mut view)? else { return Ok(false) };
        let outcome = self.answer(&request)?;
        searcher.tell(&self.history, &request, outcome);
        Ok(true)
    }

    /// Scores the architecture of a request.
    fn answer(&mut self, request: &Request) -> Result<Outcome, SearchError<E>> {
        let has_quick_score = self.objective.quick_score.is_some();
        let constraint = self.objective.constraint;
        let history = &mut self.history;
        let same = |arch: &Arch| identity(self.space, self.objective.identity, arch);
        let open =
            Open::of(request, self.space, self.sub_space, constraint, &same, history, has_quick_score)?;
        let outcome = match open {
            Open::Answered(outcome) => outcome,
            Open::Quick { arch } => {
                let quick_score =
                    self.objective.quick_score.as_mut().expect("the request was opened with one");
                let score = quick_score(&arch).map_err(SearchError::Score)?;
                return Ok(Outcome::Estimated { score: not_nan("quick score", &arch, score)? });
            }
            Open::Full { arch, same } => match self.objective.score.of(&arch).map_err(SearchError::Score)? {
                None => history.add_failed(same, arch),
                Some(score) => {
                    let score = not_nan("score", &arch, score)?;
                    let cost = not_nan("cost", &arch, (self.objective.cost)(&arch))?;
                    let outcome = history.add(same, Evaluated { arch, score, cost });
                    if let Some(list_score) = self.objective.list_score {
                        history.set_scores(list_score(history.evaluated()));
                    }
                    outcome
                }
            },
        };
        Ok(match (request.fidelity, outcome) {
            (Fidelity::Quick, Outcome::Scored { index }) => {
                Outcome::Estimated { score: self.history.evaluated()[index].score }
            }
            _ => outcome,
        })
    }
}

/// Returns the architecture that stands for all architectures that count as one with `arch`.
pub(crate) fn identity(
    space: &dyn SearchSpace,
    identity: Option<&Identity<'_>>,
    arch: &Arch,
) -> Result<Arch, SpaceError> {
    match identity {
        Some(identity) => identity(arch),
        None => space.canonical(arch, Equivalence::SharedWeights),
    }
}

/// The work that a request still needs.
pub(crate) enum Open {
    /// Nothing: the outcome is known.
    Answered(Outcome),
    /// A cheap estimate.
    Quick {
        /// The architecture without dead edges.
        arch: Arch,
    },
    /// The full score.
    Full {
        /// The architecture without dead edges.
        arch: Arch,
        /// The architecture by which the history knows it.
        same: Arch,
    },
}

impl Open {
    /// Looks up a request in the history. Without a quick score, a request for one is answered by the full score.
    pub(crate) fn of(
        request: &Request,
        space: &dyn SearchSpace,
        sub_space: &SubSpace,
        constraint: &dyn Fn(&Arch) -> bool,
        identity: &Identity<'_>,
        history: &History,
        has_quick_score: bool,
    ) -> Result<Self, SpaceError> {
        let arch = space.without_dead_edges(&request.arch)?;
        sub_space.check(&arch)?;
        if !constraint(&arch) {
            return Ok(Self::Answered(Outcome::Failed));
        }
        if request.fidelity == Fidelity::Quick && has_quick_score {
            return Ok(Self::Quick { arch });
        }
        let same = identity(&arch)?;
        Ok(match history.outcome(&same) {
            Some(outcome) => Self::Answered(outcome),
            None => Self::Full { arch, same },
        })
    }
}

/// Checks that a score or cost orders architectures.
pub(crate) fn not_nan<E>(what: &'static str, arch: &Arch, value: f64) -> Result<f64, SearchError<E>> {
    if value.is_nan() { Err(SearchError::Nan { what, arch: arch.clone() }) } else { Ok(value) }
}

impl<E> Score<'_, E> {
    fn of(&mut self, arch: &Arch) -> Result<Option<f64>, E> {
        match self {
            Self::Total(score) => score(arch).map(Some),
            Self::Partial(score) => score(arch),
        }
    }
}

/// Evaluates `n` different random architectures, or all feasible ones if there are fewer, with [`Random`].
///
/// # Errors
/// Returns [`SearchError::InvalidConfig`] if `n` is 0, or an error of the objective.
pub fn random_search<E>(search: &mut Search<'_, E>, n: usize) -> Result<(), SearchError<E>> {
    search.run(&mut Random::new(RandomConfig { samples: n })?)
}
