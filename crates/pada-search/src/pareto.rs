use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::{Found, Search, SearchError};

/// Settings of [`pareto`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ParetoConfig {
    /// Architectures of a generation.
    pub population: usize,
    /// Generations after the first.
    pub generations: usize,
    /// Chance that a position is drawn anew in a child.
    pub rate: f64,
}

impl Default for ParetoConfig {
    /// As many evaluations as [`crate::EvolutionConfig`].
    fn default() -> Self {
        Self { population: 50, generations: 20, rate: 0.1 }
    }
}

/// NSGA-II: looks for architectures that no other beats in both score and cost. Of each generation and its children those of the
/// first fronts stay, within a front those that lie in the least crowded places.
///
/// # Errors
/// [`SearchError`]
///
/// # Source
/// Deb, Pratap, Agarwal & Meyarivan (2002), *A fast and elitist multiobjective genetic algorithm: NSGA-II*.
pub fn pareto<E>(search: &mut Search<'_, E>, config: &ParetoConfig) -> Result<(), SearchError<E>> {
    let (name, value, range) = ("population", config.population, "at least 2");
    if config.population < 2 {
        return Err(SearchError::BadConfig { name, value, range });
    }
    if !(0.0..=1.0).contains(&config.rate) {
        return Err(SearchError::BadRate { value: config.rate });
    }
    let mut alive = search.start(config.population)?;
    for _ in 0..config.generations {
        let ranks = Ranks::of(search.found(), &alive);
        let mut children = Vec::new();
        for _ in 0..config.population {
            let child = search.visit_new(|moves, rng, found| {
                let [a, b] = [0, 1].map(|_| &found[alive[ranks.tournament(rng)]].arch);
                let child = moves.crossover(a, b, rng);
                moves.mutate(&child, config.rate, rng)
            })?;
            children.extend(child);
        }
        if children.is_empty() {
            // What is within reach and the limits is known.
            break;
        }
        alive.extend(children);
        let ranks = Ranks::of(search.found(), &alive);
        let mut order: Vec<usize> = (0..alive.len()).collect();
        order.sort_by(|&a, &b| ranks.compare(a, b));
        order.truncate(config.population);
        alive = order.into_iter().map(|i| alive[i]).collect();
    }
    Ok(())
}

/// The architectures that no other beats: none has at least its score at no more cost, and one of the two better. Cheapest first.
pub fn front(found: &[Found]) -> Vec<Found> {
    let mut all: Vec<&Found> = found.iter().collect();
    all.sort_by(|a, b| a.cost.total_cmp(&b.cost).then(b.score.total_cmp(&a.score)));
    let mut best = f64::NEG_INFINITY;
    let better = |f: &&Found| {
        let better = f.score > best;
        best = best.max(f.score);
        better
    };
    all.into_iter().filter(better).cloned().collect()
}

/// Where each of a generation stands.
struct Ranks {
    /// 0 for those that none beats, 1 for those that only those beat, and so on.
    fronts: Vec<usize>,
    /// Distance of the neighbours in the same front, larger where it is lonely.
    crowding: Vec<f64>,
}

impl Ranks {
    fn of(found: &[Found], alive: &[usize]) -> Self {
        let points: Vec<&Found> = alive.iter().map(|&i| &found[i]).collect();
        let beats = |a: &Found, b: &Found| {
            a.score >= b.score && a.cost <= b.cost && (a.score > b.score || a.cost < b.cost)
        };
        let (mut fronts, mut left): (_, Vec<usize>) = (vec![0; points.len()], (0..points.len()).collect());
        let mut crowding = vec![0.0; points.len()];
        for rank in 0.. {
            let unbeaten = |&i: &usize| !left.iter().any(|&j| beats(points[j], points[i]));
            let (front, rest): (Vec<usize>, Vec<usize>) = left.iter().partition(|i| unbeaten(i));
            if front.is_empty() {
                break;
            }
            front.iter().for_each(|&i| fronts[i] = rank);
            crowd(&points, &front, |f| f.score, &mut crowding);
            crowd(&points, &front, |f| f.cost, &mut crowding);
            left = rest;
        }
        Self { fronts, crowding }
    }

    /// The better one comes first.
    fn compare(&self, a: usize, b: usize) -> std::cmp::Ordering {
        self.fronts[a].cmp(&self.fronts[b]).then(self.crowding[b].total_cmp(&self.crowding[a]))
    }

    /// The better one of two drawn at random.
    fn tournament(&self, rng: &mut dyn Rng) -> usize {
        let [a, b] = [0, 1].map(|_| rng.random_range(0..self.fronts.len()));
        if self.compare(a, b).is_le() { a } else { b }
    }
}

/// Adds the distance of each one's neighbours along one objective, as a share of the front's extent.
fn crowd(points: &[&Found], front: &[usize], value: impl Fn(&Found) -> f64, crowding: &mut [f64]) {
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
