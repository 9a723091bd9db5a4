use rand::{Rng, RngExt};

use crate::search::{at_least, probability};
use crate::{Evaluated, Search, SearchError};

/// Settings of [`nsga2`].
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

/// Searches for the Pareto front of score and cost with NSGA-II.
///
/// The architectures of a generation and their children are sorted into non-dominated fronts. The first fronts survive, and within a
/// front the architectures of the largest crowding distance. [`pareto_front`] of [`Search::evaluated`] is the result.
///
/// The search ends early if a whole generation finds no new feasible architecture.
///
/// # Errors
/// Returns [`SearchError::InvalidConfig`], [`SearchError::NothingFeasible`], or an error of the objective.
///
/// # Source
/// Deb, Pratap, Agarwal & Meyarivan, *A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II*, 2002.
pub fn nsga2<E>(search: &mut Search<'_, E>, config: &Nsga2Config) -> Result<(), SearchError<E>> {
    at_least("population", config.population, 2, "at least 2")?;
    probability("mutation_rate", config.mutation_rate)?;
    let mut population = search.evaluate_random(config.population)?;
    if population.is_empty() {
        // Every feasible architecture was evaluated before.
        return Ok(());
    }
    for _ in 0..config.generations {
        search.rescore();
        let ranking = Ranking::of(search.evaluated(), &population);
        let mut children = Vec::new();
        for _ in 0..config.population {
            let child = search.evaluate_new(|operators, rng, evaluated| {
                let [a, b] = [0, 1].map(|_| &evaluated[population[ranking.tournament(rng)]].arch);
                let child = operators.crossover(a, b, rng)?;
                operators.mutate(&child, config.mutation_rate, rng)
            })?;
            children.extend(child);
        }
        if children.is_empty() {
            // No child was new, so every feasible architecture that can be reached is known.
            break;
        }
        population.extend(children);
        search.rescore();
        let ranking = Ranking::of(search.evaluated(), &population);
        let mut order: Vec<usize> = (0..population.len()).collect();
        order.sort_by(|&a, &b| ranking.compare(a, b));
        order.truncate(config.population);
        population = order.into_iter().map(|i| population[i]).collect();
    }
    search.rescore();
    Ok(())
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

    /// Draws two architectures and returns the better one (binary tournament selection).
    fn tournament(&self, rng: &mut dyn Rng) -> usize {
        let [a, b] = [0, 1].map(|_| rng.random_range(0..self.fronts.len()));
        if self.compare(a, b).is_le() { a } else { b }
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
