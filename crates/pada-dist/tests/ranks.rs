//! Ranks that are threads say and add up what they should.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use pada_dist::{DistError, ProcessGroup, fold, share, threads};
use proptest::prelude::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// What each of `size` ranks finds.
fn ranks<T: Send>(size: usize, work: impl Fn(&ProcessGroup) -> T + Sync) -> Vec<T> {
    let worlds = threads(size, PATIENCE);
    std::thread::scope(|scope| {
        let started: Vec<_> = worlds.iter().map(|world| scope.spawn(|| work(world))).collect();
        started.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}

#[test]
fn everybody_gathers_everything_and_hears_rank_0() {
    for size in 1..=7 {
        let expected: Vec<Vec<u8>> = (0..size).map(|rank| vec![rank as u8; rank]).collect();
        let found = ranks(size, |world| {
            let own = vec![world.rank() as u8; world.rank()];
            let said = world.broadcast(vec![10 + world.rank() as u8]).unwrap();
            (world.gather(own).unwrap(), said, world.any(world.rank() == size - 1).unwrap())
        });
        for (gathered, said, any) in found {
            assert_eq!((gathered, said, any), (expected.clone(), vec![10], true), "{size} ranks");
        }
        assert!(ranks(size, |world| world.any(false).unwrap()).iter().all(|any| !any));
    }
}

/// Numbers whose sum depends on the order of adding.
fn numbers(len: usize, seed: u64) -> Vec<f32> {
    let number = |i: usize| ((i as u64 + seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f32 * 1e-3 - 8e3;
    (0..len).map(number).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    /// Slow reference: the tree over all entries in one place.
    #[test]
    fn a_sum_over_ranks_has_the_bits_of_one_process(entries in 1_usize..40, width in prop::sample::select(vec![1, 7, 5000]), seed: u64) {
        let entry = |i: usize| numbers(width, seed ^ i as u64);
        let add = |a: Vec<f32>, b: Vec<f32>| a.iter().zip(&b).map(|(a, b)| a + b).collect::<Vec<f32>>();
        let bits = |list: &[f32]| list.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        let expected = bits(&fold(0..entries, &entry, &add).unwrap());
        for size in [1, 2, 4, 8] {
            let found = ranks(size, |world| {
                let part = share(entries, world.rank(), size);
                // Adding -0 changes no number.
                let mut sum = fold(part, &entry, &add).unwrap_or(vec![-0.0; width]);
                world.sum(&mut sum).unwrap();
                bits(&sum)
            });
            prop_assert!(found.iter().all(|sum| *sum == expected), "{size} ranks");
        }
    }

    #[test]
    fn shares_follow_each_other_and_are_even(entries in 0_usize..100, power in 0_u32..5) {
        let size = 1 << power;
        let parts: Vec<_> = (0..size).map(|rank| share(entries, rank, size)).collect();
        prop_assert_eq!(parts[0].start, 0);
        prop_assert_eq!(parts[size - 1].end, entries);
        prop_assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        prop_assert!(lengths.iter().max().unwrap() - lengths.iter().min().unwrap() <= 1);
    }
}

/// A join that tells its sides apart: texts one behind the other, as numbers.
#[test]
fn joins_keep_the_order_of_ranks() {
    for found in ranks(8, |world| {
        let mut value = [1 + world.rank() as u64, 10];
        let (low, high) = value.split_at_mut(1);
        let mut pair = [[low[0], high[0]]];
        world.join(&mut pair, |low, high| *low = [low[0] * high[1] + high[0], low[1] * high[1]]).unwrap();
        pair[0]
    }) {
        assert_eq!(found, [12_345_678, 100_000_000]);
    }
}

#[test]
fn ranks_that_disagree_are_named_on_every_rank() {
    let found = ranks(3, |world| {
        let lr = if world.rank() == 2 { "0.1" } else { "0.05" };
        world.agree(&[("version", "1".to_owned()), ("config", format!("[train]\nlr = {lr}\nbatch = 2"))])
    });
    let [first, theirs, what] = ["lr = 0.05", "lr = 0.1", "config"].map(str::to_owned);
    let expected = DistError::Disagreement { peer: 2, what, first, theirs };
    assert!(found.into_iter().all(|result| result == Err(expected.clone())));
}

#[test]
fn a_silent_peer_and_one_that_ended_are_errors() {
    let worlds = threads(2, Duration::from_millis(50));
    let silent = DistError::Silent { rank: 0, peer: 1, seconds: 0.05 };
    assert_eq!(worlds[0].barrier(), Err(silent));
    let mut worlds = threads(2, PATIENCE);
    worlds.pop();
    assert_eq!(worlds[0].barrier(), Err(DistError::Gone { rank: 0, peer: 1 }));
}

#[test]
fn three_ranks_cannot_add_up_a_batch() {
    let found = ranks(3, |world| world.sum(&mut [1.0_f32]));
    assert!(found.into_iter().all(|result| result == Err(DistError::NoPowerOfTwo { size: 3 })));
}
