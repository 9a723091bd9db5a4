use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::{Search, SearchError};

/// Settings of [`evolution`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvolutionConfig {
    /// Random architectures at the start, and the best that parents are drawn from.
    pub population: usize,
    /// Generations after the first.
    pub generations: usize,
    /// Children of two parents in a generation.
    pub crossover: usize,
    /// Children of one parent in a generation.
    pub mutation: usize,
    /// Chance that a position is drawn anew in a child of one parent.
    pub rate: f64,
    /// How many of the best are parents.
    pub parents: usize,
}

impl Default for EvolutionConfig {
    /// As the search on the ProxylessNAS space: 50 architectures, 20 generations, 25 children each way, a rate of .1; 10 parents as
    /// in SPOS.
    fn default() -> Self {
        Self { population: 50, generations: 20, crossover: 25, mutation: 25, rate: 0.1, parents: 10 }
    }
}

/// Evolution: in every generation children of the best architectures found so far are scored.
///
/// # Errors
/// [`SearchError`]
///
/// # Source
/// Guo et al., *Single Path One-Shot NAS with Uniform Sampling*, ECCV 2020, Alg. 1.
pub fn evolution<E>(search: &mut Search<'_, E>, config: &EvolutionConfig) -> Result<(), SearchError<E>> {
    let bad = |name, value, range| Err(SearchError::BadConfig { name, value, range });
    match config {
        EvolutionConfig { population: 0, .. } => return bad("population", 0, "at least 1"),
        EvolutionConfig { parents: 0, .. } => return bad("parents", 0, "at least 1"),
        EvolutionConfig { rate, .. } if !(0.0..=1.0).contains(rate) => {
            return Err(SearchError::BadRate { value: *rate });
        }
        _ => {}
    }
    search.start(config.population)?;
    for _ in 0..config.generations {
        let (parents, known) = (search.best(config.parents), search.found().len());
        for _ in 0..config.crossover {
            search.visit_new(|moves, rng, _| {
                let [a, b] = [0, 1].map(|_| &parents[rng.random_range(0..parents.len())].arch);
                moves.crossover(a, b, rng)
            })?;
        }
        for _ in 0..config.mutation {
            search.visit_new(|moves, rng, _| {
                let parent = &parents[rng.random_range(0..parents.len())].arch;
                moves.mutate(parent, config.rate, rng)
            })?;
        }
        if search.found().len() == known {
            // A whole generation without a new architecture: what is within reach and the limits is known.
            break;
        }
    }
    Ok(())
}
