//! The search methods on a space whose scores are all known.
#![allow(clippy::unwrap_used, reason = "a test")]

mod ask_tell;
mod golden;
mod methods;

use std::convert::Infallible;

use pada_search::{
    Evaluated, EvolutionConfig, InvalidSetting, Nsga2Config, Objective, Search, SearchError, evolution,
    nsga2, pareto_front, random_search,
};
use pada_space::{Arch, Darts, Equivalence, Nb201, SearchSpace, SpaceError, SubSpace};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A score with one best architecture: 3×3 convolutions, more on later positions.
fn value(arch: &Arch) -> f64 {
    arch.choices().iter().enumerate().map(|(e, &op)| f64::from(op == 3) * (e + 1) as f64).sum()
}

fn cost(arch: &Arch) -> f64 {
    arch.count(2) as f64 + 9.0 * arch.count(3) as f64
}

/// A call of a search method.
type Method<'a> = dyn Fn(&mut Search<'_, Infallible>) -> Result<(), SearchError<Infallible>> + 'a;

/// Runs a search and returns what it evaluated and how often it called the score function.
fn searched(
    constraint: &dyn Fn(&Arch) -> bool,
    run: impl Fn(&mut Search<'_, Infallible>) -> Result<(), SearchError<Infallible>>,
) -> Result<(Vec<Evaluated>, usize), SearchError<Infallible>> {
    let (mut calls, space) = (0, Nb201::new());
    let mut score = |arch: &Arch| {
        calls += 1;
        Ok(value(arch))
    };
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let objective = Objective::new(&mut score).cost(&cost).constraint(constraint);
    let part = SubSpace::full(&space);
    let mut search = Search::new(&space, &part, objective, &mut rng);
    run(&mut search)?;
    let found = search.evaluated().to_vec();
    Ok((found, calls))
}

#[test]
fn nothing_is_scored_twice_and_nothing_infeasible() {
    let feasible = |arch: &Arch| arch.count(3) <= 2;
    let (found, calls) = searched(&feasible, |s| evolution(s, &EvolutionConfig::default())).unwrap();
    assert_eq!(found.len(), calls);
    let space = Nb201::new();
    let mut forms: Vec<Arch> =
        found.iter().map(|f| space.canonical(&f.arch, Equivalence::SharedWeights).unwrap()).collect();
    forms.sort();
    forms.dedup();
    assert_eq!(forms.len(), found.len());
    assert!(found.iter().all(|f| feasible(&f.arch) && f.score == value(&f.arch) && f.cost == cost(&f.arch)));
    // 50 at the start and up to 50 in each of 20 generations: near the best ones everything is known at some time.
    assert!((300..=1_050).contains(&calls), "{calls}");
}

#[test]
fn evolution_finds_the_best_with_fewer_scores_than_random_search_needs() {
    let best = |found: &[Evaluated]| found.iter().map(|f| f.score).fold(f64::MIN, f64::max);
    let (evolved, calls) = searched(&|_| true, |s| evolution(s, &EvolutionConfig::default())).unwrap();
    assert_eq!(best(&evolved), 21.0, "333333");
    let (drawn, _) = searched(&|_| true, |s| random_search(s, calls)).unwrap();
    assert_eq!(drawn.len(), calls);
    assert!(best(&drawn) < 21.0);
}

/// The true front: for each number of 3×3 convolutions, those on the last positions, nothing else that costs.
#[test]
fn the_pareto_search_comes_near_the_true_front() {
    let (found, _) = searched(&|_| true, |s| nsga2(s, &Nsga2Config::default())).unwrap();
    let scores: Vec<(f64, f64)> = pareto_front(&found).iter().map(|f| (f.cost, f.score)).collect();
    let truth =
        [(0.0, 0.0), (9.0, 6.0), (18.0, 11.0), (27.0, 15.0), (36.0, 18.0), (45.0, 20.0), (54.0, 21.0)];
    assert_eq!(scores, truth);
}

#[test]
fn the_pareto_front_holds_what_none_dominates() {
    let point = |score, cost| Evaluated { arch: Arch::new(vec![0]), score, cost };
    let all = [
        point(1.0, 1.0),
        point(1.0, 2.0),
        point(3.0, 2.0),
        point(2.0, 2.0),
        point(3.0, 5.0),
        point(4.0, 6.0),
    ];
    // Slow reference: by definition.
    let dominated = |f: &&Evaluated| {
        all.iter().any(|o| o.score >= f.score && o.cost <= f.cost && (o.score > f.score || o.cost < f.cost))
    };
    let mut expected: Vec<Evaluated> = all.iter().filter(|f| !dominated(f)).cloned().collect();
    expected.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    assert_eq!(pareto_front(&all), expected);
}

#[test]
fn the_same_seed_visits_the_same_architectures() {
    let run = || searched(&|_| true, |s| nsga2(s, &Nsga2Config { generations: 3, ..Nsga2Config::default() }));
    assert_eq!(run().unwrap().0, run().unwrap().0);
}

#[test]
fn a_small_space_is_searched_whole_and_an_empty_one_is_an_error() {
    // Canonical forms without any convolution or pooling: skips and nothing.
    let small = |arch: &Arch| arch.choices().iter().all(|&op| op < 2);
    let (found, _) = searched(&small, |s| random_search(s, 1_000)).unwrap();
    assert!(found.len() > 1 && found.len() < 64, "{}", found.len());
    let error = searched(&|_| false, |s| random_search(s, 5)).unwrap_err();
    assert!(matches!(error, SearchError::NothingFeasible { tried: 10_000 }), "{error}");
}

#[test]
fn a_search_ends_where_nothing_new_is_left() {
    let small = |arch: &Arch| arch.choices().iter().all(|&op| op < 2);
    let generations = usize::MAX;
    let few = EvolutionConfig { population: 4, generations, crossover: 2, mutation: 2, ..Default::default() };
    let (found, _) = searched(&small, |s| evolution(s, &few)).unwrap();
    assert!((4..64).contains(&found.len()), "{}", found.len());
    let few = Nsga2Config { population: 4, generations, mutation_rate: 0.5 };
    let (found, _) = searched(&small, |s| nsga2(s, &few)).unwrap();
    assert!((4..64).contains(&found.len()), "{}", found.len());
}

#[test]
fn settings_out_of_range_are_errors_with_their_names() {
    let name = |run: &Method<'_>| match searched(&|_| true, run).unwrap_err() {
        SearchError::InvalidConfig(InvalidSetting { name, .. }) => name,
        other => panic!("{other}"),
    };
    let evolve = |config| name(&|s| evolution(s, &config));
    let default = EvolutionConfig::default();
    assert_eq!(evolve(EvolutionConfig { population: 0, ..default }), "population");
    assert_eq!(evolve(EvolutionConfig { parents: 0, ..default }), "parents");
    for mutation_rate in [7.0, -0.1, f64::NAN] {
        assert_eq!(evolve(EvolutionConfig { mutation_rate, ..default }), "mutation_rate");
    }
    let pareto = |config| name(&|s| nsga2(s, &config));
    let default = Nsga2Config::default();
    assert_eq!(pareto(Nsga2Config { population: 1, ..default }), "population");
    assert_eq!(pareto(Nsga2Config { mutation_rate: 7.0, ..default }), "mutation_rate");
    assert_eq!(name(&|s| random_search(s, 0)), "samples");
    let error =
        searched(&|_| true, |s| nsga2(s, &Nsga2Config { mutation_rate: 7.0, ..default })).unwrap_err();
    assert_eq!(error.to_string(), "mutation_rate is 7, but it must be from 0 to 1");
}

#[test]
fn nan_is_an_error_that_names_the_architecture() {
    let space = Nb201::new();
    let part = SubSpace::full(&space);
    let nan = |_: &Arch| f64::NAN;
    for what in ["score", "cost"] {
        let mut score = |_: &Arch| Ok::<_, Infallible>(if what == "score" { f64::NAN } else { 1.0 });
        let objective = Objective::new(&mut score);
        let objective = if what == "cost" { objective.cost(&nan) } else { objective };
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let error = random_search(&mut Search::new(&space, &part, objective, &mut rng), 1).unwrap_err();
        assert!(matches!(&error, SearchError::Nan { what: w, .. } if *w == what), "{error}");
    }
}

/// A crossover of two genotypes can take an operation from the parent in which the edge is inactive, and the inputs of the node from the
/// parent in which it is active. Such a child must not leave a sub-space of fewer operations.
#[test]
fn children_stay_in_the_sub_space() {
    let part = SubSpace::with_ops(&Darts, &["skip_connect", "sep_conv_3x3"]).unwrap();
    let run = |method: &Method<'_>| {
        let mut score = |arch: &Arch| Ok(arch.count(4) as f64);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut search = Search::new(&Darts, &part, Objective::new(&mut score), &mut rng);
        method(&mut search).unwrap();
        assert_eq!(search.evaluated().len(), 60);
        for evaluated in search.evaluated() {
            assert!(part.contains(&evaluated.arch), "{}", evaluated.arch);
        }
    };
    let [population, generations] = [20, 2];
    let config =
        EvolutionConfig { population, generations, crossover: 10, mutation: 10, ..Default::default() };
    run(&|s| evolution(s, &config));
    run(&|s| nsga2(s, &Nsga2Config { population, generations, ..Default::default() }));
}

#[test]
fn a_sub_space_of_another_space_is_an_error() {
    let (space, part) = (Nb201::new(), SubSpace::full(&Darts));
    let mut score = |_: &Arch| Ok::<_, Infallible>(1.0);
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut search = Search::new(&space, &part, Objective::new(&mut score), &mut rng);
    let error = random_search(&mut search, 1).unwrap_err();
    assert!(matches!(&error, SearchError::Space(SpaceError::WrongLength { found: 34, .. })), "{error}");
}

#[test]
fn a_search_can_continue_with_another_method() {
    let (found, _) = searched(&|_| true, |s| {
        random_search(s, 20)?;
        evolution(s, &EvolutionConfig { generations: 2, ..EvolutionConfig::default() })
    })
    .unwrap();
    assert_eq!(found.len(), 20 + 50 + 2 * 50);
}

/// Random draws from the whole space would hardly meet three of 15,625 architectures.
#[test]
fn a_short_list_of_candidates_is_searched_completely() {
    let space = Nb201::new();
    let archs = ["123400", "333333", "043210"].map(|text| space.parse(text).unwrap());
    let part = SubSpace::full(&space);
    let methods: [&Method<'_>; 3] = [
        &|search| random_search(search, 10),
        &|search| evolution(search, &EvolutionConfig { generations: 2, ..EvolutionConfig::default() }),
        &|search| nsga2(search, &Nsga2Config { generations: 2, ..Nsga2Config::default() }),
    ];
    for method in methods {
        let mut score = |arch: &Arch| Ok(value(arch));
        let cleared = archs.clone().map(|arch| space.without_dead_edges(&arch).unwrap());
        let constraint = |arch: &Arch| cleared.contains(arch);
        let objective = Objective::new(&mut score).cost(&cost).constraint(&constraint);
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut search = Search::new(&space, &part, objective, &mut rng).with_candidates(archs.clone());
        method(&mut search).unwrap();
        assert_eq!(search.evaluated().len(), 3);
    }
}
