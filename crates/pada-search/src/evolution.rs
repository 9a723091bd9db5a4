use rand::RngExt;

use crate::search::{at_least, probability};
use crate::{Search, SearchError};

/// Settings of [`evolution`].
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

/// Searches by evolution: each generation evaluates children of the best architectures found so far.
///
/// The search ends early if a whole generation finds no new feasible architecture.
///
/// # Errors
/// Returns [`SearchError::InvalidConfig`], [`SearchError::NothingFeasible`], or an error of the objective.
///
/// # Source
/// Guo et al., *Single Path One-Shot Neural Architecture Search with Uniform Sampling*, ECCV 2020, Alg. 1.
pub fn evolution<E>(search: &mut Search<'_, E>, config: &EvolutionConfig) -> Result<(), SearchError<E>> {
    at_least("population", config.population, 1, "at least 1")?;
    at_least("parents", config.parents, 1, "at least 1")?;
    probability("mutation_rate", config.mutation_rate)?;
    search.evaluate_random(config.population)?;
    for _ in 0..config.generations {
        search.rescore();
        let (parents, known) = (search.best(config.parents), search.evaluated().len());
        for _ in 0..config.crossover {
            search.evaluate_new(|operators, rng, _| {
                let [a, b] = [0, 1].map(|_| &parents[rng.random_range(0..parents.len())].arch);
                operators.crossover(a, b, rng)
            })?;
        }
        for _ in 0..config.mutation {
            search.evaluate_new(|operators, rng, _| {
                let parent = &parents[rng.random_range(0..parents.len())].arch;
                operators.mutate(parent, config.mutation_rate, rng)
            })?;
        }
        if search.evaluated().len() == known {
            // No child was new, so every feasible architecture that can be reached is known.
            break;
        }
    }
    search.rescore();
    Ok(())
}
