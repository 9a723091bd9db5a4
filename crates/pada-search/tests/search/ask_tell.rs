//! Ask and tell by the caller visits what [`Search::run`] visits, also after it was stored between any two calls.

use std::convert::Infallible;

use pada_search::{
    AskTell, Evaluated, Fidelity, Objective, RandomNasConfig, Request, Search, SearchError, SearchMethod,
    Searching,
};
use pada_space::{Arch, Nb201, SubSpace};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{cost, value};

fn feasible(arch: &Arch) -> bool {
    arch.count(3) <= 4
}

/// Architectures with two poolings cannot be scored.
fn score(arch: &Arch) -> Option<f64> {
    (arch.count(4) != 2).then(|| value(arch))
}

fn run(method: SearchMethod) -> Vec<Evaluated> {
    let (space, mut rng) = (Nb201::new(), ChaCha8Rng::seed_from_u64(5));
    let part = SubSpace::full(&space);
    let mut full = |arch: &Arch| Ok::<_, Infallible>(score(arch));
    let mut quick = |arch: &Arch| Ok::<_, Infallible>(value(arch) + arch.count(2) as f64);
    let objective = Objective::partial(&mut full).quick_score(&mut quick).cost(&cost).constraint(&feasible);
    let mut search = Search::new(&space, &part, objective, &mut rng);
    search.run(&mut method.searcher().unwrap()).unwrap();
    search.evaluated().to_vec()
}

fn new(searching: Searching<ChaCha8Rng>, pending: Option<Request>) -> AskTell<ChaCha8Rng> {
    let space = Nb201::new();
    let part = SubSpace::full(&space);
    AskTell::new(Box::new(space), part, searching, pending).unwrap()
}

#[test]
fn every_method_visits_the_same_as_the_loop_also_from_a_file() {
    for method in SearchMethod::all() {
        let method = match method {
            SearchMethod::RandomNas(config) => {
                SearchMethod::RandomNas(RandomNasConfig { rounds: 2, archs: 30, ..config })
            }
            // Their defaults take seconds, and the loop around them is the same.
            SearchMethod::Enas(_) | SearchMethod::Predictor(_) | SearchMethod::Pnas(_) => continue,
            other => other,
        };
        let rng = ChaCha8Rng::seed_from_u64(5);
        let mut search = new(Searching::new(method.searcher().unwrap(), rng), None);
        let mut asked = 0;
        while let Some(request) = search.ask(&feasible).unwrap() {
            asked += 1;
            if [7, 57].contains(&asked) {
                let text = serde_json::to_string(&(search.searching(), search.pending())).unwrap();
                let (searching, pending) = serde_json::from_str(&text).unwrap();
                search = new(searching, pending);
                assert_eq!(search.ask(&feasible).unwrap().as_ref(), Some(&request), "it waits for its score");
            }
            let arch = &request.arch;
            let score = match request.fidelity {
                Fidelity::Quick => Some(value(arch) + arch.count(2) as f64),
                Fidelity::Full => score(arch),
            };
            search.tell(score, cost(arch)).unwrap();
        }
        assert_eq!(search.history().evaluated(), run(method), "{}", method.name());
    }
}

#[test]
fn a_score_that_nobody_asked_for_and_nan_are_errors() {
    let method = SearchMethod::all()[0];
    let rng = ChaCha8Rng::seed_from_u64(5);
    let mut search = new(Searching::new(method.searcher().unwrap(), rng), None);
    assert_eq!(search.tell(Some(1.0), 0.0), Err(SearchError::NotAsked));
    let request = search.ask(&feasible).unwrap().unwrap();
    for (score, cost, name) in [(f64::NAN, 0.0, "score"), (1.0, f64::NAN, "cost")] {
        let error = search.tell(Some(score), cost).unwrap_err();
        assert!(matches!(&error, SearchError::Nan { what, .. } if *what == name), "{error}");
        assert_eq!(search.pending(), Some(&request));
    }
    search.tell(Some(1.0), 0.0).unwrap();
    assert_eq!((search.history().len(), search.pending()), (1, None));
}
