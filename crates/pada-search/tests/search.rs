//! What each kind of search finds in a space where everything is known.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::convert::Infallible;

use pada_search::{
    EvolutionConfig, Found, Goal, ParetoConfig, Search, SearchError, evolution, front, pareto, random,
};
use pada_space::{Arch, Equivalence, Nb201, SearchSpace, SubSpace};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A score with one best architecture: 3×3 convolutions, more on later positions.
fn value(arch: &Arch) -> f64 {
    arch.choices().iter().enumerate().map(|(e, &op)| f64::from(op == 3) * (e + 1) as f64).sum()
}

fn cost(arch: &Arch) -> f64 {
    arch.count(2) as f64 + 9.0 * arch.count(3) as f64
}

/// Runs a search; returns what it found and how often the score was asked for.
fn searched(
    fits: &dyn Fn(&Arch) -> bool,
    run: impl Fn(&mut Search<'_, Infallible>) -> Result<(), SearchError<Infallible>>,
) -> Result<(Vec<Found>, usize), SearchError<Infallible>> {
    let (mut calls, space) = (0, Nb201::new());
    let mut score = |arch: &Arch| {
        calls += 1;
        Ok(value(arch))
    };
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let goal = Goal { score: &mut score, cost: &cost, fits };
    let part = SubSpace::of(&space);
    let mut search = Search::new(&space, &part, goal, &mut rng);
    run(&mut search)?;
    let found = search.found().to_vec();
    Ok((found, calls))
}

#[test]
fn nothing_is_scored_twice_and_nothing_outside_the_limits() {
    let fits = |arch: &Arch| arch.count(3) <= 2;
    let (found, calls) = searched(&fits, |s| evolution(s, &EvolutionConfig::default())).unwrap();
    assert_eq!(found.len(), calls);
    let space = Nb201::new();
    let mut forms: Vec<Arch> =
        found.iter().map(|f| space.canonical(&f.arch, Equivalence::SharedWeights)).collect();
    forms.sort();
    forms.dedup();
    assert_eq!(forms.len(), found.len());
    assert!(found.iter().all(|f| fits(&f.arch) && f.score == value(&f.arch) && f.cost == cost(&f.arch)));
    // 50 at the start and up to 50 in each of 20 generations: near the best ones everything is known at some time.
    assert!((300..=1_050).contains(&calls), "{calls}");
}

#[test]
fn evolution_finds_the_best_with_fewer_scores_than_random_search_needs() {
    let best = |found: &[Found]| found.iter().map(|f| f.score).fold(f64::MIN, f64::max);
    let (evolved, calls) = searched(&|_| true, |s| evolution(s, &EvolutionConfig::default())).unwrap();
    assert_eq!(best(&evolved), 21.0, "333333");
    let (drawn, _) = searched(&|_| true, |s| random(s, calls)).unwrap();
    assert_eq!(drawn.len(), calls);
    assert!(best(&drawn) < 21.0);
}

/// The true front: for each number of 3×3 convolutions, those on the last positions, nothing else that costs.
#[test]
fn the_pareto_search_comes_near_the_true_front() {
    let (found, _) = searched(&|_| true, |s| pareto(s, &ParetoConfig::default())).unwrap();
    let scores: Vec<(f64, f64)> = front(&found).iter().map(|f| (f.cost, f.score)).collect();
    let truth =
        [(0.0, 0.0), (9.0, 6.0), (18.0, 11.0), (27.0, 15.0), (36.0, 18.0), (45.0, 20.0), (54.0, 21.0)];
    assert_eq!(scores, truth);
}

#[test]
fn a_front_holds_what_none_beats() {
    let point = |score, cost| Found { arch: Arch::new(vec![0]), score, cost };
    let all = [
        point(1.0, 1.0),
        point(1.0, 2.0),
        point(3.0, 2.0),
        point(2.0, 2.0),
        point(3.0, 5.0),
        point(4.0, 6.0),
    ];
    // Slow reference: by definition.
    let beaten = |f: &&Found| {
        all.iter().any(|o| o.score >= f.score && o.cost <= f.cost && (o.score > f.score || o.cost < f.cost))
    };
    let mut expected: Vec<Found> = all.iter().filter(|f| !beaten(f)).cloned().collect();
    expected.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    assert_eq!(front(&all), expected);
}

#[test]
fn the_same_seed_visits_the_same_architectures() {
    let run =
        || searched(&|_| true, |s| pareto(s, &ParetoConfig { generations: 3, ..ParetoConfig::default() }));
    assert_eq!(run().unwrap().0, run().unwrap().0);
}

#[test]
fn a_small_space_is_searched_whole_and_an_empty_one_is_an_error() {
    // Canonical forms without any convolution or pooling: skips and nothing.
    let small = |arch: &Arch| arch.choices().iter().all(|&op| op < 2);
    let (found, _) = searched(&small, |s| random(s, 1_000)).unwrap();
    assert!(found.len() > 1 && found.len() < 64, "{}", found.len());
    let error = searched(&|_| false, |s| random(s, 5)).unwrap_err();
    assert!(matches!(error, SearchError::NothingFits { tried: 10_000 }), "{error}");
    let bad = EvolutionConfig { population: 0, ..EvolutionConfig::default() };
    let error = searched(&|_| true, |s| evolution(s, &bad)).unwrap_err();
    assert!(matches!(error, SearchError::BadConfig { name: "population", .. }), "{error}");
}

#[test]
fn a_search_ends_where_nothing_new_is_left() {
    let small = |arch: &Arch| arch.choices().iter().all(|&op| op < 2);
    let generations = usize::MAX;
    let few = EvolutionConfig { population: 4, generations, crossover: 2, mutation: 2, ..Default::default() };
    let (found, _) = searched(&small, |s| evolution(s, &few)).unwrap();
    assert!((4..64).contains(&found.len()), "{}", found.len());
    let few = ParetoConfig { population: 4, generations, rate: 0.5 };
    let (found, _) = searched(&small, |s| pareto(s, &few)).unwrap();
    assert!((4..64).contains(&found.len()), "{}", found.len());
}
