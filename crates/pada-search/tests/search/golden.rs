//! The histories of random search, evolution and NSGA-II for a seed. They are those of an implementation as plain loops, without ask and tell,
//! but for evolution in `nb201`, where crossover runs out of new children: a loop goes on trying for each child.

use std::convert::Infallible;

use pada_search::{
    Evaluated, EvolutionConfig, Nsga2Config, Objective, Search, evolution, nsga2, random_search,
};
use pada_space::{Arch, Darts, Nb201, SearchSpace, SubSpace};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The FNV-1a hash of a history.
fn hash(found: &[Evaluated]) -> u64 {
    let lines = found.iter().map(|f| format!("{},{},{};", f.arch, f.score, f.cost));
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    lines.flat_map(String::into_bytes).fold(0xcbf2_9ce4_8422_2325, step)
}

fn run(space: &dyn SearchSpace, is_fused: bool, method: &str) -> (usize, u64) {
    let value = |(e, &op): (usize, &u8)| ((usize::from(op) * 7 + e * 3) % 5) as f64;
    let mut score = |arch: &Arch| Ok::<_, Infallible>(arch.choices().iter().enumerate().map(value).sum());
    let cost = |arch: &Arch| arch.count(2) as f64 + 3.0 * arch.count(3) as f64;
    let constraint = |arch: &Arch| arch.count(1) < 4;
    let ranks = |all: &[Evaluated]| {
        let rank = |a: &Evaluated| {
            all.iter().filter(|b| b.arch.count(4) < a.arch.count(4) || b.cost > a.cost).count() as f64
        };
        all.iter().map(rank).collect::<Vec<_>>()
    };
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let part = SubSpace::full(space);
    let mut objective = Objective::new(&mut score).cost(&cost).constraint(&constraint);
    if is_fused {
        objective = objective.list_score(&ranks);
    }
    let mut search = Search::new(space, &part, objective, &mut rng);
    let [population, generations] = [20, 6];
    let [crossover, mutation] = [10, 10];
    let mutation_rate = 0.1;
    let evolve = EvolutionConfig { population, generations, crossover, mutation, mutation_rate, parents: 5 };
    match method {
        "random" => random_search(&mut search, 100),
        "evolution" => evolution(&mut search, &evolve),
        _ => nsga2(&mut search, &Nsga2Config { population, generations, mutation_rate }),
    }
    .unwrap();
    (search.evaluated().len(), hash(search.evaluated()))
}

#[test]
fn random_search_evolution_and_nsga2_visit_the_same_as_plain_loops() {
    let nb201 = Nb201::new();
    for (space, is_fused, method, expected) in [
        (&nb201 as &dyn SearchSpace, false, "random", (100, 11_555_546_542_676_710_961)),
        (&Darts, false, "random", (100, 3_508_222_882_721_448_044)),
        (&nb201, false, "evolution", (114, 517_605_666_995_658_417)),
        (&Darts, false, "evolution", (140, 9_663_866_967_655_876_110)),
        (&nb201, false, "pareto", (140, 12_820_870_989_804_262_355)),
        (&Darts, false, "pareto", (140, 12_890_862_733_899_563_817)),
        (&nb201, true, "random", (100, 1_264_283_227_507_327_814)),
        (&Darts, true, "evolution", (140, 18_311_459_736_024_545_028)),
        (&nb201, true, "pareto", (140, 12_279_255_570_121_042_989)),
        (&Darts, true, "pareto", (140, 14_188_651_211_427_393_816)),
    ] {
        assert_eq!(run(space, is_fused, method), expected, "{method} in {}, fused: {is_fused}", space.name());
    }
}
