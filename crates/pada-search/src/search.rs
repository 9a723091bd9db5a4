use std::collections::HashMap;
use std::fmt;

use pada_space::{Arch, Equivalence, SearchSpace, SpaceError, SubSpace};
use rand::Rng;
use thiserror::Error;

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
    score: &'a mut dyn FnMut(&Arch) -> Result<f64, E>,
    cost: &'a dyn Fn(&Arch) -> f64,
    constraint: &'a dyn Fn(&Arch) -> bool,
    list_score: Option<&'a ListScore<'a>>,
}

/// Scores of a list of architectures, which depend on the whole list.
type ListScore<'a> = dyn Fn(&[Evaluated]) -> Vec<f64> + 'a;

impl<'a, E> Objective<'a, E> {
    /// Creates an objective from the score to maximise, for example the accuracy with the weights of a supernet.
    ///
    /// The cost of every architecture is 0, and every architecture is feasible. The score function is called once for all architectures
    /// that compute the same function of shared weights.
    pub fn new(score: &'a mut dyn FnMut(&Arch) -> Result<f64, E>) -> Self {
        Self { score, cost: &|_| 0.0, constraint: &|_| true, list_score: None }
    }

    /// Replaces the scores before every selection by scores that depend on all architectures evaluated so far, such as fused ranks.
    ///
    /// The function gets every evaluated architecture in the order of evaluation, and returns one score for each. It must not return NaN.
    #[must_use]
    pub fn list_score(self, list_score: &'a dyn Fn(&[Evaluated]) -> Vec<f64>) -> Self {
        Self { list_score: Some(list_score), ..self }
    }

    /// Sets the cost to minimise, for example multiply-adds.
    ///
    /// [`nsga2`](crate::nsga2) trades it off against the score. The other methods use it to order architectures of equal score.
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
    pub score: f64,
    /// The cost. Lower is better.
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
    #[error("{name} is {value}, but it must be {allowed}")]
    InvalidConfig {
        /// The name of the setting.
        name: &'static str,
        /// The value of the parameter.
        value: String,
        /// The values that are allowed.
        allowed: &'static str,
    },
    /// A score or a cost is NaN, so that architectures cannot be ordered.
    #[error("the {what} of architecture {arch} is NaN")]
    Nan {
        /// "score" or "cost".
        what: &'static str,
        /// The architecture.
        arch: Arch,
    },
    /// The sub-space does not belong to the space.
    #[error("the sub-space does not belong to the space: {0}")]
    Space(#[from] SpaceError),
    /// An architecture could not be scored.
    #[error(transparent)]
    Score(E),
}

/// A search in progress: the sub-space that it samples from, and every architecture that it has evaluated.
///
/// Architectures that compute the same function of shared weights count as one. Several methods can continue one search, so that, for
/// example, [`evolution`](crate::evolution) can start after [`random_search`].
pub struct Search<'a, E> {
    space: &'a dyn SearchSpace,
    sub_space: &'a SubSpace,
    objective: Objective<'a, E>,
    rng: &'a mut dyn Rng,
    /// The index of each evaluated architecture, by canonical form.
    indices: HashMap<Arch, usize>,
    evaluated: Vec<Evaluated>,
}

impl<E> fmt::Debug for Search<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Search").field("evaluated", &self.evaluated).finish_non_exhaustive()
    }
}

/// The variation operators of a search.
pub(crate) struct Operators<'a> {
    space: &'a dyn SearchSpace,
    sub_space: &'a SubSpace,
}

impl Operators<'_> {
    /// Crosses two architectures of the sub-space. The child is in the sub-space as well.
    pub(crate) fn crossover(&self, a: &Arch, b: &Arch, rng: &mut dyn Rng) -> Result<Arch, SpaceError> {
        let child = self.space.crossover(a, b, rng)?;
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

    pub(crate) fn mutate(&self, arch: &Arch, rate: f64, rng: &mut dyn Rng) -> Result<Arch, SpaceError> {
        self.sub_space.mutate(arch, rate, rng)
    }
}

/// The number of consecutive draws that may be infeasible or known before a method gives up.
const MAX_ATTEMPTS: usize = 10_000;

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
        Self { space, sub_space, objective, rng, indices: HashMap::new(), evaluated: Vec::new() }
    }

    /// Returns every evaluated architecture, in the order of evaluation.
    pub fn evaluated(&self) -> &[Evaluated] {
        &self.evaluated
    }

    /// Replaces the scores by those of the whole list, if the objective has such scores.
    pub(crate) fn rescore(&mut self) {
        let Some(list_score) = self.objective.list_score else { return };
        let scores = list_score(&self.evaluated);
        self.evaluated.iter_mut().zip(scores).for_each(|(evaluated, score)| evaluated.score = score);
    }

    /// Returns the `n` best architectures, best first.
    ///
    /// Equal scores are ordered by cost, lower first, and then by the order of evaluation.
    pub fn best(&self, n: usize) -> Vec<Evaluated> {
        let mut all = self.evaluated.clone();
        all.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.cost.total_cmp(&b.cost)));
        all.truncate(n);
        all
    }

    /// Evaluates an architecture of the sub-space, unless it is known or infeasible. Returns its index if it is new.
    pub(crate) fn evaluate(&mut self, arch: &Arch) -> Result<Option<usize>, SearchError<E>> {
        let arch = self.space.without_dead_edges(arch)?;
        self.sub_space.check(&arch)?;
        let canonical = self.space.canonical(&arch, Equivalence::SharedWeights)?;
        if self.indices.contains_key(&canonical) || !(self.objective.constraint)(&arch) {
            return Ok(None);
        }
        let score = (self.objective.score)(&arch).map_err(SearchError::Score)?;
        let cost = (self.objective.cost)(&arch);
        if let Some((what, _)) =
            [("score", score), ("cost", cost)].into_iter().find(|(_, value)| value.is_nan())
        {
            return Err(SearchError::Nan { what, arch });
        }
        let index = self.evaluated.len();
        self.indices.insert(canonical, index);
        self.evaluated.push(Evaluated { arch, score, cost });
        Ok(Some(index))
    }

    /// Evaluates what `draw` returns until an architecture is new. Returns `None` after [`MAX_ATTEMPTS`] draws.
    pub(crate) fn evaluate_new(
        &mut self,
        mut draw: impl FnMut(&Operators<'_>, &mut dyn Rng, &[Evaluated]) -> Result<Arch, SpaceError>,
    ) -> Result<Option<usize>, SearchError<E>> {
        let operators = Operators { space: self.space, sub_space: self.sub_space };
        for _ in 0..MAX_ATTEMPTS {
            let arch = draw(&operators, self.rng, &self.evaluated)?;
            if let Some(index) = self.evaluate(&arch)? {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// Evaluates up to `n` random architectures. Returns their indices.
    pub(crate) fn evaluate_random(&mut self, n: usize) -> Result<Vec<usize>, SearchError<E>> {
        let mut indices = Vec::new();
        while indices.len() < n {
            match self.evaluate_new(|operators, rng, _| Ok(operators.sub_space.sample(rng)))? {
                Some(index) => indices.push(index),
                None if self.evaluated.is_empty() => {
                    return Err(SearchError::NothingFeasible { tried: MAX_ATTEMPTS });
                }
                // Fewer than `n` feasible architectures are left.
                None => break,
            }
        }
        Ok(indices)
    }
}

/// Evaluates `n` different random architectures, or all feasible ones if there are fewer.
///
/// # Errors
/// Returns [`SearchError::InvalidConfig`] if `n` is 0, or an error of the objective.
///
/// # Source
/// Li & Talwalkar, *Random Search and Reproducibility for Neural Architecture Search*, UAI 2019.
pub fn random_search<E>(search: &mut Search<'_, E>, n: usize) -> Result<(), SearchError<E>> {
    at_least("n", n, 1, "at least 1")?;
    search.evaluate_random(n)?;
    search.rescore();
    Ok(())
}

/// Checks that a count is large enough; `allowed` describes the range.
pub(crate) fn at_least<E>(
    name: &'static str,
    value: usize,
    least: usize,
    allowed: &'static str,
) -> Result<(), SearchError<E>> {
    if value >= least {
        return Ok(());
    }
    Err(SearchError::InvalidConfig { name, value: value.to_string(), allowed })
}

/// Checks that a rate is a probability.
pub(crate) fn probability<E>(name: &'static str, value: f64) -> Result<(), SearchError<E>> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(SearchError::InvalidConfig { name, value: value.to_string(), allowed: "from 0 to 1" })
}
