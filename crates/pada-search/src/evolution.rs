use pada_space::Arch;
use rand::RngExt;

use crate::searcher::{AskError, History, Outcome, Request, SearchView, Searcher};
use crate::settings::{InvalidSetting, at_least, probability};
use crate::{Search, SearchError};

/// Settings of [`Evolution`].
///
/// ```
/// use pada_search::EvolutionConfig;
///
/// let config = EvolutionConfig { population: 20, generations: 5, ..EvolutionConfig::default() };
/// assert_eq!(config.mutation_rate, 0.1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
pub struct EvolutionConfig {
    /// The number of random architectures that the search starts from, at least 1.
    pub population: usize,
    /// The number of generations after the start.
    pub generations: usize,
    /// The number of children of a generation that crossover makes of two parents.
    pub crossover: usize,
    /// The number of children of a generation that mutation makes of one parent.
    pub mutation: usize,
    /// The probability with which mutation redraws each decision, from 0 to 1.
    #[cfg_attr(feature = "serde", serde(alias = "rate"))]
    pub mutation_rate: f64,
    /// The number of best architectures from which parents are drawn, at least 1.
    pub parents: usize,
}

impl Default for EvolutionConfig {
    /// Returns the settings of SPOS: 50 architectures, 20 generations with 25 children of each kind, a mutation rate of 0.1, and 10
    /// parents.
    fn default() -> Self {
        Self { population: 50, generations: 20, crossover: 25, mutation: 25, mutation_rate: 0.1, parents: 10 }
    }
}

/// Evolutionary search: each generation evaluates children of the best architectures found so far.
///
/// The search ends early if a whole generation finds no new feasible architecture.
///
/// # Source
/// Guo et al., *Single Path One-Shot Neural Architecture Search with Uniform Sampling*, ECCV 2020, Alg. 1.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Evolution {
    config: EvolutionConfig,
    phase: Phase,
}

#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum Phase {
    /// Random architectures.
    Start {
        asked: usize,
    },
    /// Children of the parents of a generation.
    Generation {
        number: usize,
        parents: Vec<Arch>,
        /// The number of children, counted with those that were not found.
        children: usize,
        /// The number of architectures that were known when the generation began.
        known: usize,
    },
    Finished,
}

impl Evolution {
    /// Creates the method.
    ///
    /// # Errors
    /// Returns [`InvalidSetting`] if a setting is out of its range.
    pub fn new(config: EvolutionConfig) -> Result<Self, InvalidSetting> {
        at_least("population", config.population, 1, "at least 1")?;
        at_least("parents", config.parents, 1, "at least 1")?;
        probability("mutation_rate", config.mutation_rate)?;
        Ok(Self { config, phase: Phase::Start { asked: 0 } })
    }

    /// Begins a generation, or ends the search after the last one.
    fn begin(&mut self, number: usize, history: &History) {
        let parents: Vec<Arch> =
            history.best(self.config.parents).into_iter().map(|parent| parent.arch).collect();
        self.phase = match number < self.config.generations && !parents.is_empty() {
            true => Phase::Generation { number, parents, children: 0, known: history.len() },
            false => Phase::Finished,
        };
    }
}

impl Searcher for Evolution {
    fn ask(&mut self, view: &mut SearchView<'_>) -> Result<Option<Request>, AskError> {
        loop {
            match &mut self.phase {
                Phase::Start { asked } => {
                    if *asked < self.config.population
                        && let Some(arch) = view.draw_random()?
                    {
                        *asked += 1;
                        return Ok(Some(Request::full(arch)));
                    }
                    self.begin(0, view.history());
                }
                Phase::Generation { number, parents, children, known } => {
                    let (crossover, mutation) = (self.config.crossover, self.config.mutation);
                    if *children == crossover.saturating_add(mutation) {
                        // If no child was new, every feasible architecture that can be reached is known.
                        let number = if *known == view.history().len() { usize::MAX } else { *number + 1 };
                        self.begin(number, view.history());
                        continue;
                    }
                    *children += 1;
                    let is_crossed = *children <= crossover;
                    let rate = self.config.mutation_rate;
                    let child = view.draw_new(|view| {
                        let mut parent = || &parents[view.rng().random_range(0..parents.len())];
                        if is_crossed {
                            let [a, b] = [parent(), parent()];
                            view.crossover(a, b)
                        } else {
                            let parent = parent();
                            view.mutate(parent, rate)
                        }
                    })?;
                    match child {
                        Some(child) => return Ok(Some(Request::full(child))),
                        // The next draws of this kind come from the same distribution, and would take as long.
                        None if is_crossed => *children = crossover,
                        None => *children = crossover.saturating_add(mutation),
                    }
                }
                Phase::Finished => return Ok(None),
            }
        }
    }

    fn tell(&mut self, _: &History, _: &Request, _: Outcome) {}
}

/// Searches with [`Evolution`].
///
/// # Errors
/// Returns [`SearchError::InvalidConfig`], [`SearchError::NothingFeasible`], or an error of the objective.
pub fn evolution<E>(search: &mut Search<'_, E>, config: &EvolutionConfig) -> Result<(), SearchError<E>> {
    search.run(&mut Evolution::new(*config)?)
}
