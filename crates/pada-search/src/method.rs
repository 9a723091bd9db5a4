use crate::searcher::{AskError, History, Outcome, Request, SearchView, Searcher};
use crate::settings::InvalidSetting;
use crate::{
    AgeingConfig, AgeingEvolution, Evaluated, Evolution, EvolutionConfig, Nsga2, Nsga2Config, Pnas,
    PnasConfig, PredictorSearch, PredictorSearchConfig, Random, RandomConfig, RandomNas, RandomNasConfig,
    Reinforce, ReinforceConfig,
};

/// The settings of any search method of this crate.
///
/// In files, the settings of a method are a table with its name: `method = { ageing-evolution = { population = 20 } }`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum SearchMethod {
    /// Random search.
    Random(RandomConfig),
    /// Evolution with crossover and mutation of the best.
    Evolution(EvolutionConfig),
    /// NSGA-II with the objectives score and cost.
    Pareto(Nsga2Config),
    /// Ageing evolution (AmoebaNet).
    AgeingEvolution(AgeingConfig),
    /// A controller that learns by REINFORCE, by default with the settings of NATS-Bench.
    Reinforce(ReinforceConfig),
    /// A controller that learns by REINFORCE, by default with the settings of ENAS.
    Enas(#[cfg_attr(feature = "serde", serde(with = "crate::reinforce::EnasConfig"))] ReinforceConfig),
    /// Progressive search.
    Pnas(PnasConfig),
    /// Search guided by a predictor.
    Predictor(PredictorSearchConfig),
    /// RandomNAS: rounds of quick scores with finalists.
    RandomNas(RandomNasConfig),
}

impl SearchMethod {
    /// Returns every method with its default settings.
    pub fn all() -> [Self; 9] {
        [
            Self::Random(RandomConfig::default()),
            Self::Evolution(EvolutionConfig::default()),
            Self::Pareto(Nsga2Config::default()),
            Self::AgeingEvolution(AgeingConfig::default()),
            Self::Reinforce(ReinforceConfig::nats_bench()),
            Self::Enas(ReinforceConfig::enas()),
            Self::Pnas(PnasConfig::default()),
            Self::Predictor(PredictorSearchConfig::default()),
            Self::RandomNas(RandomNasConfig::default()),
        ]
    }

    /// Returns the name, such as `ageing-evolution`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Random(_) => "random",
            Self::Evolution(_) => "evolution",
            Self::Pareto(_) => "pareto",
            Self::AgeingEvolution(_) => "ageing-evolution",
            Self::Reinforce(_) => "reinforce",
            Self::Enas(_) => "enas",
            Self::Pnas(_) => "pnas",
            Self::Predictor(_) => "predictor",
            Self::RandomNas(_) => "random-nas",
        }
    }

    /// Returns the largest number of architectures that the method asks for in a space with these numbers of choices per decision.
    pub fn most(&self, n_ops: &[usize]) -> usize {
        match self {
            Self::Random(c) => c.samples,
            Self::Evolution(c) => {
                let children = c.crossover.saturating_add(c.mutation);
                c.population.saturating_add(c.generations.saturating_mul(children))
            }
            Self::Pareto(c) => c.population.saturating_mul(c.generations.saturating_add(1)),
            Self::AgeingEvolution(c) => c.samples,
            Self::Reinforce(c) | Self::Enas(c) => c.samples,
            Self::Pnas(c) => {
                let first = n_ops.iter().copied().max().unwrap_or(0);
                c.beam.saturating_mul(n_ops.len().saturating_sub(1)).saturating_add(first)
            }
            Self::Predictor(c) => c.initial.saturating_add(c.rounds.saturating_mul(c.per_round)),
            Self::RandomNas(c) => c.rounds.saturating_mul(c.archs.saturating_add(c.finalists)),
        }
    }

    /// Creates the method.
    ///
    /// # Errors
    /// Returns [`InvalidSetting`] if a setting is out of its range.
    pub fn searcher(&self) -> Result<AnySearcher, InvalidSetting> {
        Ok(match *self {
            Self::Random(config) => AnySearcher::Random(Random::new(config)?),
            Self::Evolution(config) => AnySearcher::Evolution(Evolution::new(config)?),
            Self::Pareto(config) => AnySearcher::Pareto(Nsga2::new(config)?),
            Self::AgeingEvolution(config) => AnySearcher::AgeingEvolution(AgeingEvolution::new(config)?),
            Self::Reinforce(config) | Self::Enas(config) => AnySearcher::Reinforce(Reinforce::new(config)?),
            Self::Pnas(config) => AnySearcher::Pnas(Pnas::new(config)?),
            Self::Predictor(config) => AnySearcher::Predictor(PredictorSearch::new(config)?),
            Self::RandomNas(config) => AnySearcher::RandomNas(RandomNas::new(config)?),
        })
    }
}

/// Any search method of this crate in progress, with everything that it remembers.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum AnySearcher {
    /// Random search.
    Random(Random),
    /// Evolution.
    Evolution(Evolution),
    /// NSGA-II.
    Pareto(Nsga2),
    /// Ageing evolution.
    AgeingEvolution(AgeingEvolution),
    /// A controller.
    Reinforce(Reinforce),
    /// Progressive search.
    Pnas(Pnas),
    /// Search guided by a predictor.
    Predictor(PredictorSearch),
    /// RandomNAS.
    RandomNas(RandomNas),
}

impl AnySearcher {
    fn method(&self) -> &dyn Searcher {
        match self {
            Self::Random(method) => method,
            Self::Evolution(method) => method,
            Self::Pareto(method) => method,
            Self::AgeingEvolution(method) => method,
            Self::Reinforce(method) => method,
            Self::Pnas(method) => method,
            Self::Predictor(method) => method,
            Self::RandomNas(method) => method,
        }
    }

    fn method_mut(&mut self) -> &mut dyn Searcher {
        match self {
            Self::Random(method) => method,
            Self::Evolution(method) => method,
            Self::Pareto(method) => method,
            Self::AgeingEvolution(method) => method,
            Self::Reinforce(method) => method,
            Self::Pnas(method) => method,
            Self::Predictor(method) => method,
            Self::RandomNas(method) => method,
        }
    }
}

impl Searcher for AnySearcher {
    fn ask(&mut self, view: &mut SearchView<'_>) -> Result<Option<Request>, AskError> {
        self.method_mut().ask(view)
    }

    fn tell(&mut self, history: &History, request: &Request, outcome: Outcome) {
        self.method_mut().tell(history, request, outcome);
    }

    fn value(&self, evaluated: &Evaluated) -> f64 {
        self.method().value(evaluated)
    }
}

/// A search that can be stored between two steps of [`Search::step`](crate::Search::step): method, history and random generator.
///
/// A search that continues from it makes the same requests as one that was not stopped. `R` is the random generator, for example
/// `ChaCha8Rng` of the crate `rand_chacha` with its feature `serde`.
///
/// ```
/// use pada_search::{AgeingConfig, History, Objective, Search, SearchMethod, Searching};
/// use pada_space::{Arch, Nb201, SubSpace};
/// use rand_chacha::ChaCha8Rng;
/// use rand_chacha::rand_core::SeedableRng;
///
/// let method = SearchMethod::AgeingEvolution(AgeingConfig { samples: 30, ..AgeingConfig::default() });
/// let mut searching = Searching::new(method.searcher()?, ChaCha8Rng::seed_from_u64(0));
/// let (space, part) = (Nb201::new(), SubSpace::full(&Nb201::new()));
/// loop {
///     let mut score = |arch: &Arch| Ok::<_, std::convert::Infallible>(arch.count(3) as f64);
///     let mut search =
///         Search::new(&space, &part, Objective::new(&mut score), &mut searching.rng).with_history(searching.history)?;
///     let is_running = search.step(&mut searching.method)?;
///     searching.history = search.into_history();
///     // `searching` can be written to a file here.
///     if !is_running {
///         break;
///     }
/// }
/// assert!(!searching.history.is_empty());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Searching<R> {
    /// The method.
    pub method: AnySearcher,
    /// Everything that was evaluated.
    pub history: History,
    /// The random generator.
    pub rng: R,
}

impl<R> Searching<R> {
    /// Creates a search without evaluations.
    pub fn new(method: AnySearcher, rng: R) -> Self {
        Self { method, history: History::default(), rng }
    }
}
