//! Every method through the same loop of ask and tell, and the rules of single methods on cases that were made by hand.

use std::convert::Infallible;

use pada_search::{
    AgeingConfig, AgeingEvolution, AskError, Evaluated, EvolutionConfig, Fidelity, History, LstmConfig,
    Nsga2Config, Objective, Outcome, Pnas, PnasConfig, PolicyConfig, PredictorConfig, PredictorSearchConfig,
    RandomConfig, RandomNas, RandomNasConfig, ReinforceConfig, Request, Search, SearchError, SearchMethod,
    SearchView, Searcher, Searching, TreesConfig,
};
use pada_space::{Arch, Darts, NasBenchMacro, Nb201, SearchSpace, SubSpace};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// All methods with settings for short tests.
fn methods() -> Vec<SearchMethod> {
    let [population, generations, samples] = [8, 3, 40];
    let evolution =
        EvolutionConfig { population, generations, crossover: 4, mutation: 4, ..EvolutionConfig::default() };
    let trees = PredictorConfig::Trees(TreesConfig { trees: 5, ..TreesConfig::default() });
    let predictor = PredictorSearchConfig {
        initial: 10,
        rounds: 3,
        per_round: 5,
        candidates: 30,
        parents: 3,
        predictor: PredictorConfig::default(),
    };
    vec![
        SearchMethod::Random(RandomConfig { samples }),
        SearchMethod::Evolution(evolution),
        SearchMethod::Pareto(Nsga2Config { population, generations, ..Nsga2Config::default() }),
        SearchMethod::AgeingEvolution(AgeingConfig { samples, ..AgeingConfig::default() }),
        SearchMethod::Reinforce(ReinforceConfig { samples, ..ReinforceConfig::nats_bench() }),
        SearchMethod::Enas(ReinforceConfig { samples, ..ReinforceConfig::enas() }),
        SearchMethod::Pnas(PnasConfig { beam: 4, ..PnasConfig::default() }),
        SearchMethod::Predictor(predictor),
        SearchMethod::Predictor(PredictorSearchConfig { predictor: trees, ..predictor }),
        SearchMethod::RandomNas(RandomNasConfig { rounds: 2, archs: 12, finalists: 3, images: 8 }),
    ]
}

/// A score in percent without a structure that a method could know.
fn value(arch: &Arch) -> f64 {
    arch.choices().iter().enumerate().map(|(e, &op)| ((usize::from(op) * 7 + e * 3) % 11) as f64).sum()
}

fn cost(arch: &Arch) -> f64 {
    1.0 + arch.count(3) as f64
}

/// Runs a method to its end and returns it with its history.
fn finished(
    method: &SearchMethod,
    space: &dyn SearchSpace,
    part: &SubSpace,
    seed: u64,
) -> Searching<ChaCha8Rng> {
    let mut searching = Searching::new(method.searcher().unwrap(), ChaCha8Rng::seed_from_u64(seed));
    while step(&mut searching, space, part) {}
    searching
}

/// Makes one step of a stored search.
fn step(searching: &mut Searching<ChaCha8Rng>, space: &dyn SearchSpace, part: &SubSpace) -> bool {
    let mut score = |arch: &Arch| Ok::<_, Infallible>((arch.count(0) != 3).then(|| value(arch)));
    let mut quick = |arch: &Arch| Ok::<_, Infallible>(value(arch) - cost(arch));
    let constraint = |arch: &Arch| arch.count(2) < 4;
    let objective =
        Objective::partial(&mut score).quick_score(&mut quick).cost(&cost).constraint(&constraint);
    let history = std::mem::take(&mut searching.history);
    let mut search = Search::new(space, part, objective, &mut searching.rng).with_history(history).unwrap();
    let is_running = search.step(&mut searching.method).unwrap();
    searching.history = search.into_history();
    is_running
}

#[test]
fn a_stored_search_continues_bit_for_bit() {
    let (space, part) = (Nb201::new(), SubSpace::full(&Nb201::new()));
    for method in methods() {
        let expected = finished(&method, &space, &part, 5);
        let mut searching = Searching::new(method.searcher().unwrap(), ChaCha8Rng::seed_from_u64(5));
        loop {
            let json = serde_json::to_string(&searching).unwrap();
            searching = serde_json::from_str(&json).unwrap();
            if !step(&mut searching, &space, &part) {
                break;
            }
        }
        assert_eq!(searching, expected, "{}", method.name());
        assert!(expected.history.len() > 5, "{}", method.name());
    }
}

/// JSON has no infinity.
#[test]
fn an_infinite_quick_score_of_random_nas_survives_in_a_file() {
    let space = Nb201::new();
    let part = SubSpace::full(&space);
    let config = RandomNasConfig { archs: 3, finalists: 1, ..RandomNasConfig::default() };
    let mut searching =
        Searching::new(SearchMethod::RandomNas(config).searcher().unwrap(), ChaCha8Rng::seed_from_u64(0));
    let mut score = |_: &Arch| Ok::<_, Infallible>(f64::NEG_INFINITY);
    let mut search = Search::new(&space, &part, Objective::new(&mut score), &mut searching.rng);
    assert!(search.step(&mut searching.method).unwrap());
    searching.history = search.into_history();
    let json = serde_json::to_string(&searching).unwrap();
    assert_eq!(serde_json::from_str::<Searching<ChaCha8Rng>>(&json).unwrap(), searching);
}

/// The identity may say more than equal shared weights do: here, architectures with the same operation at the first decision count as one.
#[test]
fn architectures_of_one_identity_are_scored_once_by_every_method() {
    let (space, part) = (Nb201::new(), SubSpace::full(&Nb201::new()));
    let identity = |arch: &Arch| Ok(Arch::new([arch.choices()[0], 0, 0, 0, 0, 0]));
    for method in methods() {
        let mut calls = Vec::new();
        let mut score = |arch: &Arch| {
            calls.push(arch.choices()[0]);
            Ok::<_, Infallible>(value(arch))
        };
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut quick = |arch: &Arch| Ok::<_, Infallible>(value(arch));
        let objective = Objective::new(&mut score).quick_score(&mut quick).identity(&identity);
        let mut search = Search::new(&space, &part, objective, &mut rng);
        let mut recorded = Recorded(method.searcher().unwrap(), vec![]);
        search.run(&mut recorded).unwrap();
        let quick = recorded.1.iter().filter(|request| request.fidelity == Fidelity::Quick);
        assert!(quick.count() <= 5, "{} asks for a quick score of one network twice", method.name());
        calls.sort_unstable();
        assert!(
            calls.len() > 1 && calls.windows(2).all(|pair| pair[0] < pair[1]),
            "{}: {calls:?}",
            method.name()
        );
    }
}

/// A step of Adam is about as large as the learning rate, so that the parameters overflow.
#[test]
fn a_controller_that_diverges_is_an_error_with_the_reason() {
    let (space, part) = (Nb201::new(), SubSpace::full(&Nb201::new()));
    let learning_rate = 1e308;
    for method in [
        SearchMethod::Reinforce(ReinforceConfig { learning_rate, ..ReinforceConfig::nats_bench() }),
        SearchMethod::Enas(ReinforceConfig { learning_rate, batch: 2, ..ReinforceConfig::enas() }),
    ] {
        let mut score = |arch: &Arch| Ok::<_, Infallible>(value(arch));
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut search = Search::new(&space, &part, Objective::new(&mut score), &mut rng);
        let error = search.run(&mut method.searcher().unwrap()).unwrap_err();
        assert!(matches!(error, SearchError::Diverged { updates: 1.. }), "{}: {error}", method.name());
        assert!(error.to_string().contains("learning_rate"), "{error}");
    }
}

#[test]
fn pnas_says_how_many_architectures_it_drew() {
    let (space, part) = (Nb201::new(), SubSpace::full(&Nb201::new()));
    let mut score = |_: &Arch| Ok::<_, Infallible>(1.0);
    let drawn = std::cell::Cell::new(0);
    let constraint = |_: &Arch| {
        drawn.set(drawn.get() + 1);
        false
    };
    let objective = Objective::new(&mut score).constraint(&constraint);
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut search = Search::new(&space, &part, objective, &mut rng);
    let error = search.run(&mut Pnas::new(PnasConfig::default()).unwrap()).unwrap_err();
    assert!(matches!(error, SearchError::NothingFeasible { tried } if tried == drawn.get()), "{error}");
    assert!(drawn.get() > 1_000, "{}", drawn.get());
}

/// Draws of an architecture that is a candidate already do not count, unless 10,000 of them follow each other.
#[test]
fn more_than_10000_candidates_are_drawn_if_there_are_so_many() {
    let (space, part) = (Nb201::new(), SubSpace::full(&Nb201::new()));
    let mut score = |arch: &Arch| Ok::<_, Infallible>(arch.count(3) as f64 + arch.count(2) as f64 / 2.0);
    let candidates = std::cell::RefCell::new(std::collections::HashSet::new());
    let constraint = |arch: &Arch| {
        candidates.borrow_mut().insert(arch.clone());
        true
    };
    let config = PredictorSearchConfig {
        initial: 2,
        rounds: 1,
        per_round: 1,
        candidates: 12_000,
        parents: 0,
        ..PredictorSearchConfig::default()
    };
    let objective = Objective::new(&mut score).constraint(&constraint).identity(&|arch| Ok(arch.clone()));
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut search = Search::new(&space, &part, objective, &mut rng);
    search.run(&mut SearchMethod::Predictor(config).searcher().unwrap()).unwrap();
    let all: std::collections::HashSet<Arch> =
        space.archs().map(|arch| space.without_dead_edges(&arch).unwrap()).collect();
    let (found, most) = (candidates.borrow().len(), all.len().min(12_000));
    assert!(found as f64 > 0.99 * most as f64, "{found} of {most}");
}

#[test]
fn a_part_of_the_settings_of_a_method_is_enough() {
    for method in SearchMethod::all() {
        let json = serde_json::json!({ method.name(): {} });
        assert_eq!(serde_json::from_value::<SearchMethod>(json).unwrap(), method, "{}", method.name());
    }
    let enas = serde_json::json!({"enas": {"samples": 7}});
    let expected = SearchMethod::Enas(ReinforceConfig { samples: 7, ..ReinforceConfig::enas() });
    assert_eq!(serde_json::from_value::<SearchMethod>(enas).unwrap(), expected);
}

#[test]
fn infinite_scores_survive_in_a_file() {
    let evaluated = Evaluated { arch: Arch::new([1]), score: f64::NEG_INFINITY, cost: 0.1 };
    let json = serde_json::to_string(&evaluated).unwrap();
    assert_eq!(serde_json::from_str::<Evaluated>(&json).unwrap(), evaluated);
}

/// Checks every request of a method, and counts them.
struct Checked<'a, S> {
    method: S,
    space: &'a dyn SearchSpace,
    part: &'a SubSpace,
    asked: usize,
}

impl<S: Searcher> Searcher for Checked<'_, S> {
    fn ask(&mut self, view: &mut SearchView<'_>) -> Result<Option<Request>, AskError> {
        let request = self.method.ask(view)?;
        if let Some(Request { arch, .. }) = &request {
            self.asked += 1;
            self.space.check(arch).unwrap();
            assert!(self.part.contains(arch) && arch.count(1) < 4, "{arch}");
            assert_eq!(self.space.without_dead_edges(arch).unwrap(), *arch);
        }
        Ok(request)
    }

    fn tell(&mut self, history: &History, request: &Request, outcome: Outcome) {
        self.method.tell(history, request, outcome);
    }
}

#[test]
fn every_request_is_an_architecture_of_the_sub_space_and_feasible() {
    let nb201 = Nb201::new();
    let ops = SubSpace::with_ops(&Darts, &["skip_connect", "sep_conv_3x3", "max_pool_3x3"]).unwrap();
    let edge = SubSpace::full(&nb201).restrict(2, &[1, 3]).unwrap();
    let spaces: [(&dyn SearchSpace, SubSpace); 4] = [
        (&nb201, SubSpace::full(&nb201)),
        (&nb201, edge),
        (&Darts, ops),
        (&NasBenchMacro, SubSpace::full(&NasBenchMacro)),
    ];
    for (space, part) in &spaces {
        for method in methods() {
            {
                let mut score = |arch: &Arch| Ok::<_, Infallible>(value(arch));
                let constraint = |arch: &Arch| arch.count(1) < 4;
                let objective = Objective::new(&mut score).cost(&cost).constraint(&constraint);
                let mut rng = ChaCha8Rng::seed_from_u64(2);
                let mut search = Search::new(*space, part, objective, &mut rng);
                let method_of = method.searcher().unwrap();
                let mut checked = Checked { method: method_of, space: *space, part, asked: 0 };
                search.run(&mut checked).unwrap();
                let most = method.most(space.n_ops());
                assert!((6..=most).contains(&checked.asked), "{} asked {}", method.name(), checked.asked);
                assert!(search.history().len() <= checked.asked);
            }
        }
    }
}

#[test]
fn an_infeasible_space_is_an_error_of_every_method() {
    let (space, part) = (Nb201::new(), SubSpace::full(&Nb201::new()));
    for method in methods() {
        let mut score = |_: &Arch| Ok::<_, Infallible>(1.0);
        let objective = Objective::new(&mut score).constraint(&|_| false);
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let error = Search::new(&space, &part, objective, &mut rng).run(&mut method.searcher().unwrap());
        assert!(matches!(error, Err(SearchError::NothingFeasible { .. })), "{}: {error:?}", method.name());
    }
}

#[test]
fn what_cannot_be_scored_is_told_once_and_the_search_continues() {
    let (space, part) = (Nb201::new(), SubSpace::full(&Nb201::new()));
    for method in methods() {
        let mut calls = Vec::new();
        let mut score = |arch: &Arch| {
            calls.push(arch.clone());
            Ok::<_, Infallible>((arch.choices()[0] > 2).then(|| value(arch)))
        };
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut search = Search::new(&space, &part, Objective::partial(&mut score), &mut rng);
        search.run(&mut method.searcher().unwrap()).unwrap();
        let history = search.into_history();
        assert!(history.evaluated().iter().all(|e| e.arch.choices()[0] > 2), "{}", method.name());
        assert!(!history.failed().is_empty() && !history.evaluated().is_empty(), "{}", method.name());
        assert_eq!(calls.len(), history.len(), "{}: no call for a known architecture", method.name());
    }
}

#[test]
fn a_space_smaller_than_the_settings_is_searched_and_the_search_ends() {
    let space = Nb201::new();
    let mut part = SubSpace::full(&space);
    for decision in 0..6 {
        part = part.restrict(decision, if decision < 2 { &[2, 3] } else { &[1] }).unwrap();
    }
    for method in methods() {
        let mut score = |arch: &Arch| Ok::<_, Infallible>(value(arch));
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut search = Search::new(&space, &part, Objective::new(&mut score), &mut rng);
        search.run(&mut method.searcher().unwrap()).unwrap();
        assert!((1..=4).contains(&search.history().len()), "{}", method.name());
    }
}

#[test]
fn names_are_those_of_files_and_settings_survive_a_round_trip() {
    for method in SearchMethod::all() {
        let json = serde_json::to_value(method).unwrap();
        assert!(json.get(method.name()).is_some(), "{json}");
        assert_eq!(serde_json::from_value::<SearchMethod>(json).unwrap(), method);
    }
    let wrong = serde_json::json!({"ageing-evolution": {"tournamnet": 5}});
    let error = serde_json::from_value::<SearchMethod>(wrong).unwrap_err().to_string();
    assert!(error.contains("tournamnet") && error.contains("tournament"), "{error}");
}

#[test]
fn settings_of_all_methods_are_checked_by_name() {
    let name = |method: SearchMethod| method.searcher().unwrap_err().name;
    let ageing = AgeingConfig::default();
    assert_eq!(name(SearchMethod::AgeingEvolution(AgeingConfig { tournament: 0, ..ageing })), "tournament");
    assert_eq!(name(SearchMethod::AgeingEvolution(AgeingConfig { population: 0, ..ageing })), "population");
    let reinforce = ReinforceConfig::enas();
    for learning_rate in [0.0, f64::NAN, f64::INFINITY] {
        assert_eq!(name(SearchMethod::Enas(ReinforceConfig { learning_rate, ..reinforce })), "learning_rate");
    }
    assert_eq!(
        name(SearchMethod::Enas(ReinforceConfig { baseline_decay: 1.0, ..reinforce })),
        "baseline_decay"
    );
    assert_eq!(name(SearchMethod::Enas(ReinforceConfig { target: Some(0.0), ..reinforce })), "target");
    assert_eq!(name(SearchMethod::Pnas(PnasConfig { beam: 0, ..PnasConfig::default() })), "beam");
    let predictor = PredictorConfig::Ridge { lambda: 0.0 };
    assert_eq!(name(SearchMethod::Pnas(PnasConfig { predictor, ..PnasConfig::default() })), "lambda");
    let rounds = RandomNasConfig { rounds: 0, ..RandomNasConfig::default() };
    assert_eq!(name(SearchMethod::RandomNas(rounds)), "rounds");
}

/// A history that was written down by hand. One decision is open, with the choices 1 and 3, and 3 is better, so a mutation switches between
/// them. The population has two members, and a tournament of 64 finds the best one. Whichever member is older, the best one dies by age: the
/// population after each child is the one before without its oldest member.
#[test]
fn ageing_evolution_follows_a_history_that_was_written_down() {
    let space = Nb201::new();
    let mut part = SubSpace::full(&space);
    for decision in 0..6 {
        part = part.restrict(decision, if decision == 0 { &[1, 3] } else { &[3] }).unwrap();
    }
    let config = AgeingConfig { samples: 10, population: 2, tournament: 64 };
    let mut seen = [false; 2];
    for seed in 0..8 {
        let mut score = |arch: &Arch| Ok::<_, Infallible>(f64::from(arch.choices()[0]));
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut search = Search::new(&space, &part, Objective::new(&mut score), &mut rng);
        let mut method = AgeingEvolution::new(config).unwrap();
        let mut populations = Vec::new();
        while search.step(&mut method).unwrap() {
            let digit = |index: usize| search.evaluated()[index].arch.choices()[0];
            populations.push(method.population().map(digit).collect::<Vec<u8>>());
        }
        let is_best_first = populations[0] == [3];
        seen[usize::from(is_best_first)] = true;
        let expected: [&[u8]; 10] = match is_best_first {
            // 3 is the parent of 1, and dies. Then the best is 1, whose child is 3.
            true => [&[3], &[3, 1], &[1, 1], &[1, 3], &[3, 1], &[1, 1], &[1, 3], &[3, 1], &[1, 1], &[1, 3]],
            false => [&[1], &[1, 3], &[3, 1], &[1, 1], &[1, 3], &[3, 1], &[1, 1], &[1, 3], &[3, 1], &[1, 1]],
        };
        assert_eq!(populations, expected, "seed {seed}");
        assert_eq!(search.evaluated().len(), 2, "known children are not scored again");
    }
    assert_eq!(seen, [true; 2]);
}

/// Records the requests of a method.
struct Recorded<S>(S, Vec<Request>);

impl<S: Searcher> Searcher for Recorded<S> {
    fn ask(&mut self, view: &mut SearchView<'_>) -> Result<Option<Request>, AskError> {
        let request = self.0.ask(view)?;
        self.1.extend(request.clone());
        Ok(request)
    }

    fn tell(&mut self, history: &History, request: &Request, outcome: Outcome) {
        self.0.tell(history, request, outcome);
    }
}

/// The score is additive with the best choices 3, 1, 4, 2, 0, 3 and grows with decisions of a larger index, so that a beam of 5 must find
/// the best architecture, and each step expands the survivors by the next decision.
#[test]
fn pnas_expands_the_survivors_by_one_decision_at_a_time() {
    const BEST: [u8; 6] = [3, 1, 4, 2, 0, 3];
    let (space, part) = (Nb201::new(), SubSpace::full(&Nb201::new()));
    let mut score = |arch: &Arch| {
        let hits = arch.choices().iter().zip(BEST).enumerate();
        Ok::<_, Infallible>(hits.map(|(e, (&c, best))| f64::from(c == best) * (10.0 - e as f64)).sum())
    };
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut search = Search::new(&space, &part, Objective::new(&mut score), &mut rng);
    let predictor = PredictorConfig::Ridge { lambda: 0.1 };
    let mut method = Recorded(Pnas::new(PnasConfig { beam: 25, predictor }).unwrap(), vec![]);
    search.run(&mut method).unwrap();
    let asked: Vec<&[u8]> = method.1.iter().map(|request| request.arch.choices()).collect();
    // Five choices of the first decision, 25 pairs of the first two, and 25 survivors of 125 expansions in each of the four other steps.
    assert_eq!(asked.len(), 5 + 25 + 4 * 25);
    assert_eq!(asked[..5].iter().map(|arch| arch[0]).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    let mut pairs: Vec<[u8; 2]> = asked[5..30].iter().map(|arch| [arch[0], arch[1]]).collect();
    pairs.sort_unstable();
    pairs.dedup();
    assert_eq!(pairs.len(), 25, "each pair once");
    for step in 3..=6 {
        let of = |step: usize| match step {
            2 => 5..30,
            _ => 30 + (step - 3) * 25..30 + (step - 2) * 25,
        };
        let survivors: Vec<&[u8]> = asked[of(step - 1)].iter().map(|arch| &arch[..step - 1]).collect();
        let mut prefixes: Vec<&[u8]> = asked[of(step)].iter().map(|arch| &arch[..step]).collect();
        assert!(prefixes.iter().all(|prefix| survivors.contains(&&prefix[..step - 1])), "step {step}");
        prefixes.sort_unstable();
        prefixes.dedup();
        assert_eq!(prefixes.len(), 25, "step {step}: no expansion twice");
    }
    assert_eq!(search.best(1)[0].arch.choices(), BEST);
}

#[test]
fn pnas_scores_all_choices_of_the_first_decision_whatever_its_beam_is() {
    let (space, part) = (Nb201::new(), SubSpace::full(&Nb201::new()));
    let mut score = |arch: &Arch| Ok::<_, Infallible>(value(arch));
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut search = Search::new(&space, &part, Objective::new(&mut score), &mut rng);
    let mut method = Recorded(Pnas::new(PnasConfig { beam: 1, ..PnasConfig::default() }).unwrap(), vec![]);
    search.run(&mut method).unwrap();
    let first: Vec<u8> = method.1.iter().map(|request| request.arch.choices()[0]).collect();
    assert_eq!(first[..5], [0, 1, 2, 3, 4]);
    assert_eq!(first.len(), 5 + 5);
}

/// In DARTS, the inputs of a node decide whether an edge is active. PNAS decides about inputs first and skips inactive edges.
#[test]
fn pnas_skips_inactive_decisions() {
    let part = SubSpace::with_ops(&Darts, &["skip_connect", "sep_conv_3x3"]).unwrap();
    let mut score = |arch: &Arch| Ok::<_, Infallible>(value(arch));
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut search = Search::new(&Darts, &part, Objective::new(&mut score), &mut rng);
    let mut method = Recorded(Pnas::new(PnasConfig { beam: 2, ..PnasConfig::default() }).unwrap(), vec![]);
    search.run(&mut method).unwrap();
    // Of the 34 decisions, those about an inactive edge have one expansion, so the survivors stay; the others have two expansions or more.
    assert_eq!(method.1.len(), 2 * 34);
}

/// The quick score prefers large digits at the first edge, the full score small ones at the last edge.
#[test]
fn random_nas_gives_full_scores_to_the_best_of_each_round() {
    let (space, part) = (Nb201::new(), SubSpace::full(&Nb201::new()));
    let quick_value = |arch: &Arch| f64::from(arch.choices()[0]) + f64::from(arch.choices()[1]) / 10.0;
    let mut quick = |arch: &Arch| Ok::<_, Infallible>(quick_value(arch));
    let mut score = |arch: &Arch| Ok::<_, Infallible>(-f64::from(arch.choices()[5]));
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let objective = Objective::new(&mut score).quick_score(&mut quick);
    let mut search = Search::new(&space, &part, objective, &mut rng);
    let config = RandomNasConfig { rounds: 3, archs: 20, finalists: 4, images: 1 };
    let mut method = Recorded(RandomNas::new(config).unwrap(), vec![]);
    search.run(&mut method).unwrap();
    assert_eq!(method.1.len(), 3 * 24);
    let mut all = Vec::new();
    for round in method.1.chunks(24) {
        let (quick, full) = round.split_at(20);
        assert!(quick.iter().all(|request| request.fidelity == Fidelity::Quick));
        assert!(full.iter().all(|request| request.fidelity == Fidelity::Full));
        let least = full.iter().map(|request| quick_value(&request.arch)).fold(f64::INFINITY, f64::min);
        let better = quick.iter().filter(|request| quick_value(&request.arch) > least);
        assert!(better.clone().count() <= 3, "{}", better.count());
        all.extend(quick.iter().map(|request| request.arch.clone()));
    }
    assert_eq!(search.evaluated().len(), 12, "only finalists are in the history");
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 60, "all rounds have different architectures");
}

/// With the same number of evaluations, methods that learn find better architectures than random search in a space whose score has structure.
#[test]
fn methods_that_learn_beat_random_search_on_average() {
    let (space, part) = (Nb201::new(), SubSpace::full(&Nb201::new()));
    let samples = 120;
    let mean = |method: SearchMethod| {
        let best = |seed| {
            let mut score = |arch: &Arch| {
                let hits = arch.choices().iter().zip([3, 1, 4, 2, 0, 3]).filter(|(c, best)| **c == *best);
                Ok::<_, Infallible>(10.0 * hits.count() as f64)
            };
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut search = Search::new(&space, &part, Objective::new(&mut score), &mut rng);
            search.run(&mut method.searcher().unwrap()).unwrap();
            search.best(1)[0].score
        };
        (0..10).map(best).sum::<f64>() / 10.0
    };
    let random = mean(SearchMethod::Random(RandomConfig { samples }));
    let predictor = PredictorSearchConfig { initial: 40, rounds: 8, per_round: 10, ..Default::default() };
    for method in [
        SearchMethod::AgeingEvolution(AgeingConfig { samples, ..AgeingConfig::default() }),
        SearchMethod::Pnas(PnasConfig { beam: 24, ..PnasConfig::default() }),
        SearchMethod::Predictor(predictor),
    ] {
        let found = mean(method);
        assert!(found > random, "{}: {found}, random search: {random}", method.name());
    }
}

/// The score has the best choices 3, 1, 4, 2, 0, 3, each worth 10. The mean score of the last quarter of the architectures that a controller
/// draws is compared with that of the first quarter.
#[test]
fn the_policy_of_a_controller_moves_to_high_scores() {
    let (space, part) = (Nb201::new(), SubSpace::full(&Nb201::new()));
    let value = |arch: &Arch| {
        10.0 * arch.choices().iter().zip([3, 1, 4, 2, 0, 3]).filter(|(c, best)| **c == *best).count() as f64
    };
    let samples = 400;
    let softmax = ReinforceConfig { samples, learning_rate: 0.05, ..ReinforceConfig::nats_bench() };
    // ENAS takes tens of thousands of samples. With a larger step and a lower temperature, hundreds are enough.
    let policy = PolicyConfig::Lstm(LstmConfig { temperature: 1.0, ..LstmConfig::default() });
    let enas = ReinforceConfig {
        samples,
        policy,
        batch: 2,
        learning_rate: 0.02,
        epsilon: 1e-8,
        ..ReinforceConfig::enas()
    };
    for method in [SearchMethod::Reinforce(softmax), SearchMethod::Enas(enas)] {
        let mut gain = 0.0;
        for seed in 0..4 {
            let mut score = |arch: &Arch| Ok::<_, Infallible>(value(arch));
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut search = Search::new(&space, &part, Objective::new(&mut score), &mut rng);
            let mut recorded = Recorded(method.searcher().unwrap(), vec![]);
            search.run(&mut recorded).unwrap();
            let mean = |requests: &[Request]| {
                requests.iter().map(|request| value(&request.arch)).sum::<f64>() / requests.len() as f64
            };
            gain += (mean(&recorded.1[300..]) - mean(&recorded.1[..100])) / 4.0;
        }
        assert!(gain > 5.0, "{}: the mean score rose by {gain}", method.name());
    }
}
