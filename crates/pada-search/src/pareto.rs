use rand::{Rng, RngExt};

use crate::searcher::{AskError, History, Outcome, Request, SearchView, Searcher};
use crate::settings::{InvalidSetting, at_least, probability};
use crate::{Evaluated, Search, SearchError};

/// Settings of [`Nsga2`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
pub struct Nsga2Config {
    /// The number of architectures of a generation, at least 2.
    pub population: usize,
    /// The number of generations after the first.
    pub generations: usize,
    /// The probability with which mutation redraws each decision of a child, from 0 to 1.
    #[cfg_attr(feature = "serde", serde(alias = "rate"))]
    pub mutation_rate: f64,
}

impl Default for Nsga2Config {
    /// Returns settings with as many evaluations as those of [`EvolutionConfig`](crate::EvolutionConfig): 50 architectures, 20
    /// generations, and a mutation rate of 0.1.
    fn default() -> Self {
        Self { population: 50, generations: 20, mutation_rate: 0.1 }
    }
}

/// NSGA-II: a search for the Pareto front of score and cost.
///
/// The architectures of a generation and their children are sorted into non-dominated fronts. The first fronts survive, and within a
/// front the architectures of the largest crowding distance. [`pareto_front`] of [`History::evaluated`] is the result.
///
/// The search ends early if a whole generation finds no new feasible architecture.
///
/// # Source
/// Deb, Pratap, Agarwal & Meyarivan, *A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II*, 2002.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Nsga2 {
    config: Nsga2Config,
    /// Indices of the current generation in the history.
    population: Vec<usize>,
    phase: Phase,
}

#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum Phase {
    /// Random architectures.
    Start {
        asked: usize,
    },
    /// Children of a generation.
    Generation {
        number: usize,
        /// The rank of each member of the population, from 0. Members with equal front and crowding distance share a rank.
        ranks: Vec<usize>,
        /// The number of children that were asked for.
        asked: usize,
        /// Indices of the children in the history.
        children: Vec<usize>,
        /// The number of architectures that were known when the generation began.
        known: usize,
    },
    Finished,
}

impl Nsga2 {
    /// Creates the method.
    ///
    /// # Errors
    /// Returns [`InvalidSetting`] if a setting is out of its range.
    pub fn new(config: Nsga2Config) -> Result<Self, InvalidSetting> {
        at_least("population", config.population, 2, "at least 2")?;
        probability("mutation_rate", config.mutation_rate)?;
        Ok(Self { config, population: vec![], phase: Phase::Start { asked: 0 } })
    }

    /// Begins a generation, or ends the search after the last one.
    fn begin(&mut self, number: usize, history: &History) {
        self.phase = match number < self.config.generations && !self.population.is_empty() {
            true => {
                let ranks = Ranking::of(history.evaluated(), &self.population).ranks();
                Phase::Generation { number, ranks, asked: 0, children: vec![], known: history.len() }
            }
            false => Phase::Finished,
        };
    }

    /// Keeps the best of the population and its children.
    fn select(&mut self, children: Vec<usize>, history: &History) {
        self.population.extend(children);
        let ranking = Ranking::of(history.evaluated(), &self.population);
        let mut order: Vec<usize> = (0..self.population.len()).collect();
        order.sort_by(|&a, &b| ranking.compare(a, b));
        order.truncate(self.config.population);
        self.population = order.into_iter().map(|i| self.population[i]).collect();
    }
}

impl Searcher for Nsga2 {
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
                Phase::Generation { number, asked, children, known, .. }
                    if *asked == self.config.population =>
                {
                    // If no child was new, every feasible architecture that can be reached is known.
                    let is_new = *known != view.history().len();
                    let (next, children) = (*number + 1, std::mem::take(children));
                    if is_new {
                        self.select(children, view.history());
                        self.begin(next, view.history());
                    } else {
                        self.phase = Phase::Finished;
                    }
                }
                Phase::Generation { ranks, asked, .. } => {
                    *asked += 1;
                    let (population, rate) = (&self.population, self.config.mutation_rate);
                    let child = view.draw_new(|view| {
                        let evaluated = view.history.evaluated();
                        let [a, b] = [0, 1].map(|_| &evaluated[population[tournament(ranks, view.rng)]].arch);
                        let child = view.crossover(a, b)?;
                        view.mutate(&child, rate)
                    })?;
                    match child {
                        Some(child) => return Ok(Some(Request::full(child))),
                        // The next draws come from the same distribution, and would take as long.
                        None => *asked = self.config.population,
                    }
                }
                Phase::Finished => return Ok(None),
            }
        }
    }

    fn tell(&mut self, _: &History, _: &Request, outcome: Outcome) {
        let Outcome::Scored { index } = outcome else { return };
        match &mut self.phase {
            Phase::Start { .. } => self.population.push(index),
            Phase::Generation { children, .. } => children.push(index),
            Phase::Finished => {}
        }
    }
}

/// Draws two members of a population and returns the one of the better rank (binary tournament selection).
fn tournament(ranks: &[usize], rng: &mut dyn Rng) -> usize {
    let [a, b] = [0, 1].map(|_| rng.random_range(0..ranks.len()));
    if ranks[a] <= ranks[b] { a } else { b }
}

/// Searches with [`Nsga2`].
///
/// # Errors
/// Returns [`SearchError::InvalidConfig`], [`SearchError::NothingFeasible`], or an error of the objective.
pub fn nsga2<E>(search: &mut Search<'_, E>, config: &Nsga2Config) -> Result<(), SearchError<E>> {
    search.run(&mut Nsga2::new(*config)?)
}

/// Returns the Pareto front: the architectures that no other dominates, cheapest first.
///
/// An architecture dominates another one if its score is at least as high, its cost is at most as high, and one of them is better. Of
/// architectures with equal score and cost, the first is returned. Architectures whose score or cost is NaN are not on the front.
///
/// ```
/// use pada_search::{Evaluated, pareto_front};
/// use pada_space::Arch;
///
/// let point = |score, cost| Evaluated { arch: Arch::new([0]), score, cost };
/// let front = pareto_front(&[point(3.0, 5.0), point(2.0, 1.0), point(1.0, 2.0)]);
/// assert_eq!(front, [point(2.0, 1.0), point(3.0, 5.0)]);
/// ```
pub fn pareto_front(evaluated: &[Evaluated]) -> Vec<Evaluated> {
    let mut all: Vec<&Evaluated> =
        evaluated.iter().filter(|e| !e.score.is_nan() && !e.cost.is_nan()).collect();
    all.sort_by(|a, b| a.cost.total_cmp(&b.cost).then(b.score.total_cmp(&a.score)));
    let mut best = None;
    let better = |e: &&Evaluated| {
        let better = best.is_none_or(|best| e.score > best);
        if better {
            best = Some(e.score);
        }
        better
    };
    all.into_iter().filter(better).cloned().collect()
}

/// The order of the architectures of a generation.
struct Ranking {
    /// The non-dominated front of each architecture, from 0.
    fronts: Vec<usize>,
    /// The crowding distance of each architecture: the distance of its neighbours in the same front.
    crowding: Vec<f64>,
}

impl Ranking {
    fn of(evaluated: &[Evaluated], population: &[usize]) -> Self {
        let points: Vec<&Evaluated> = population.iter().map(|&i| &evaluated[i]).collect();
        let dominates = |a: &Evaluated, b: &Evaluated| {
            a.score >= b.score && a.cost <= b.cost && (a.score > b.score || a.cost < b.cost)
        };
        let (mut fronts, mut left): (_, Vec<usize>) = (vec![0; points.len()], (0..points.len()).collect());
        let mut crowding = vec![0.0; points.len()];
        for number in 0.. {
            let non_dominated = |&i: &usize| !left.iter().any(|&j| dominates(points[j], points[i]));
            let (front, rest): (Vec<usize>, Vec<usize>) = left.iter().partition(|i| non_dominated(i));
            if front.is_empty() {
                break;
            }
            front.iter().for_each(|&i| fronts[i] = number);
            add_crowding(&points, &front, |e| e.score, &mut crowding);
            add_crowding(&points, &front, |e| e.cost, &mut crowding);
            left = rest;
        }
        Self { fronts, crowding }
    }

    /// Orders two architectures, the better one first.
    fn compare(&self, a: usize, b: usize) -> std::cmp::Ordering {
        self.fronts[a].cmp(&self.fronts[b]).then(self.crowding[b].total_cmp(&self.crowding[a]))
    }

    /// Returns the rank of each architecture, from 0; those that compare as equal share a rank.
    fn ranks(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.fronts.len()).collect();
        order.sort_by(|&a, &b| self.compare(a, b));
        let mut ranks = vec![0; order.len()];
        for pair in order.windows(2) {
            ranks[pair[1]] = ranks[pair[0]] + usize::from(self.compare(pair[0], pair[1]).is_lt());
        }
        ranks
    }
}

/// Adds the crowding distance along one objective: the distance of the two neighbours as a fraction of the extent of the front.
fn add_crowding(
    points: &[&Evaluated],
    front: &[usize],
    value: impl Fn(&Evaluated) -> f64,
    crowding: &mut [f64],
) {
    let mut order = front.to_vec();
    order.sort_by(|&a, &b| value(points[a]).total_cmp(&value(points[b])));
    let at = |i: usize| value(points[order[i]]);
    let (last, extent) = (order.len() - 1, at(order.len() - 1) - at(0));
    for (i, &point) in order.iter().enumerate() {
        crowding[point] += match i {
            i if i == 0 || i == last => f64::INFINITY,
            i if extent > 0.0 => (at(i + 1) - at(i - 1)) / extent,
            _ => 0.0,
        };
    }
}
