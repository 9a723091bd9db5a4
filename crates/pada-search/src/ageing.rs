use std::collections::VecDeque;

use rand::RngExt;

use crate::searcher::{AskError, History, Outcome, Request, SearchView, Searcher};
use crate::settings::{InvalidSetting, at_least};

/// Settings of [`AgeingEvolution`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
pub struct AgeingConfig {
    /// The number of architectures that the method asks for, with the population at the start and with repetitions, at least 1.
    pub samples: usize,
    /// P, the number of architectures of the population, at least 1.
    pub population: usize,
    /// S, the number of architectures that a tournament draws with replacement, at least 1. The best of them is the parent.
    pub tournament: usize,
}

impl Default for AgeingConfig {
    /// Returns the population of 10 and the tournament of 3 that the public code of NATS-Bench uses on NAS-Bench-201, with 1,050
    /// architectures in total. AmoebaNet uses a population of 100, a tournament of 25 and 20,000 architectures.
    fn default() -> Self {
        Self { samples: 1_050, population: 10, tournament: 3 }
    }
}

/// Ageing evolution (regularised evolution): the best of a few random members of the population is mutated, and the oldest member dies.
///
/// The population is a queue. At the start it contains different random architectures. In each cycle, S members are drawn with replacement,
/// one active decision of the best one is switched to another choice, the child is added at the end, and the member at the front is removed,
/// however good it is. A child that is known already is a member as well; its score is not computed again. The result of the search is the
/// best architecture of the history.
///
/// # Source
/// Real, Aggarwal, Huang & Le, *Regularized Evolution for Image Classifier Architecture Search* (AmoebaNet), AAAI 2019, Alg. 1, and the
/// function `regularized_evolution` of D-X-Y/AutoDL-Projects @46b92e37, `exps/NATS-algos/regularized_ea.py`.
///
/// - DIFFERS: the switched decision is drawn uniformly. The public code draws a node and then one of its edges.
/// - DIFFERS: the first population has no architecture twice.
/// - Neither text has constraints. Here, a parent whose mutations are infeasible is mutated twice, then three times, and so on, up to the
///   number of decisions; after that the child is a random feasible architecture.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AgeingEvolution {
    config: AgeingConfig,
    /// The number of architectures that were asked for.
    asked: usize,
    /// True after the first population.
    is_full: bool,
    /// Indices of the members in the history, the oldest one first.
    population: VecDeque<usize>,
}

/// The number of children of a parent that may be infeasible before one more of its decisions is switched.
const CHILDREN: usize = 100;

impl AgeingEvolution {
    /// Creates the method.
    ///
    /// # Errors
    /// Returns [`InvalidSetting`] if a setting is out of its range.
    pub fn new(config: AgeingConfig) -> Result<Self, InvalidSetting> {
        at_least("samples", config.samples, 1, "at least 1")?;
        at_least("population", config.population, 1, "at least 1")?;
        at_least("tournament", config.tournament, 1, "at least 1")?;
        Ok(Self { config, asked: 0, is_full: false, population: VecDeque::new() })
    }

    /// Returns the members of the population as indices of [`History::evaluated`], the oldest one first.
    pub fn population(&self) -> impl Iterator<Item = usize> {
        self.population.iter().copied()
    }
}

impl Searcher for AgeingEvolution {
    fn ask(&mut self, view: &mut SearchView<'_>) -> Result<Option<Request>, AskError> {
        if self.asked == self.config.samples {
            return Ok(None);
        }
        self.asked += 1;
        self.is_full |= self.population.len() >= self.config.population;
        if !self.is_full {
            if let Some(arch) = view.draw_random()? {
                return Ok(Some(Request::full(arch)));
            }
            // Fewer feasible architectures exist than the population has members.
            self.is_full = true;
        }
        if self.population.is_empty() {
            return Ok(None);
        }
        let score = |&member: &usize| view.history.evaluated()[member].score;
        let mut parent = self.population[view.rng.random_range(0..self.population.len())];
        for _ in 1..self.config.tournament {
            let other = self.population[view.rng.random_range(0..self.population.len())];
            if score(&other) > score(&parent) {
                parent = other;
            }
        }
        let parent = view.history.evaluated()[parent].arch.clone();
        for switched in 1..=parent.choices().len() {
            for _ in 0..CHILDREN {
                let mut child = parent.clone();
                for _ in 0..switched {
                    let Some(other) = view.switch_one(&child)? else { return Ok(None) };
                    child = other;
                }
                if let Some(child) = view.feasible(&child)? {
                    return Ok(Some(Request::full(child)));
                }
            }
        }
        for _ in 0..view.attempts() {
            let arch = view.sample();
            if let Some(arch) = view.feasible(&arch)? {
                return Ok(Some(Request::full(arch)));
            }
        }
        Ok(None)
    }

    fn tell(&mut self, _: &History, _: &Request, outcome: Outcome) {
        let Outcome::Scored { index } = outcome else { return };
        self.population.push_back(index);
        if self.is_full {
            self.population.pop_front();
        }
    }
}
