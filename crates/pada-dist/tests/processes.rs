//! Collective operations of processes that are threads.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use pada_dist::{DistError, ProcessGroup, shard, threads, tree_reduce};
use proptest::prelude::*;

const TIMEOUT: Duration = Duration::from_secs(20);

/// Runs `work` in each of `size` processes.
fn processes<T: Send>(size: usize, work: impl Fn(&ProcessGroup) -> T + Sync) -> Vec<T> {
    let groups = threads(size, TIMEOUT);
    std::thread::scope(|scope| {
        let started: Vec<_> = groups.iter().map(|group| scope.spawn(|| work(group))).collect();
        started.into_iter().map(|process| process.join().unwrap()).collect()
    })
}

#[test]
fn all_processes_gather_everything_and_receive_the_broadcast_of_process_0() {
    for size in 1..=7 {
        let expected: Vec<Vec<u8>> = (0..size).map(|index| vec![index as u8; index]).collect();
        let found = processes(size, |group| {
            let own = vec![group.index() as u8; group.index()];
            let received = group.broadcast(vec![10 + group.index() as u8]).unwrap();
            (group.all_gather(own).unwrap(), received, group.any(group.index() == size - 1).unwrap())
        });
        for (gathered, received, any) in found {
            assert_eq!((gathered, received, any), (expected.clone(), vec![10], true), "{size} processes");
        }
        assert!(processes(size, |group| group.any(false).unwrap()).iter().all(|any| !any));
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
    fn a_sum_over_processes_has_the_bits_of_one_process(entries in 1_usize..40, width in prop::sample::select(vec![1, 7, 5000]), seed: u64) {
        let entry = |i: usize| numbers(width, seed ^ i as u64);
        let add = |a: Vec<f32>, b: Vec<f32>| a.iter().zip(&b).map(|(a, b)| a + b).collect::<Vec<f32>>();
        let bits = |list: &[f32]| list.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        let expected = bits(&tree_reduce(0..entries, &entry, &add).unwrap());
        for size in [1, 2, 4, 8] {
            let found = processes(size, |group| {
                let part = shard(entries, group.index(), size).unwrap();
                // Adding -0 changes no number.
                let mut sum = tree_reduce(part, &entry, &add).unwrap_or(vec![-0.0; width]);
                group.all_reduce_sum(&mut sum).unwrap();
                bits(&sum)
            });
            prop_assert!(found.iter().all(|sum| *sum == expected), "{size} processes");
        }
    }

    #[test]
    fn shards_follow_each_other_and_are_even(entries in 0_usize..100, power in 0_u32..5) {
        let size = 1 << power;
        let parts: Vec<_> = (0..size).map(|index| shard(entries, index, size).unwrap()).collect();
        prop_assert_eq!(parts[0].start, 0);
        prop_assert_eq!(parts[size - 1].end, entries);
        prop_assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        prop_assert!(lengths.iter().max().unwrap() - lengths.iter().min().unwrap() <= 1);
    }
}

/// A reduction that is not commutative: it concatenates texts, as numbers.
#[test]
fn reductions_keep_the_order_of_processes() {
    for found in processes(8, |group| {
        let mut value = [1 + group.index() as u64, 10];
        let (low, high) = value.split_at_mut(1);
        let mut pair = [[low[0], high[0]]];
        group
            .all_reduce(&mut pair, |low, high| *low = [low[0] * high[1] + high[0], low[1] * high[1]])
            .unwrap();
        pair[0]
    }) {
        assert_eq!(found, [12_345_678, 100_000_000]);
    }
}

#[test]
fn every_process_names_the_one_that_differs() {
    let found = processes(3, |group| {
        let lr = if group.index() == 2 { "0.1" } else { "0.05" };
        group.check_same(&[("version", "1".to_owned()), ("config", format!("[train]\nlr = {lr}\nbatch = 2"))])
    });
    let [first, theirs, what] = ["lr = 0.05", "lr = 0.1", "config"].map(str::to_owned);
    let expected = DistError::Mismatch { peer: 2, what, first, theirs };
    assert!(found.into_iter().all(|result| result == Err(expected.clone())));
}

#[test]
fn a_stalled_process_and_one_that_exited_are_errors() {
    let groups = threads(2, Duration::from_millis(50));
    let stalled = DistError::Timeout { index: 0, peer: 1, seconds: 0.05 };
    assert_eq!(groups[0].barrier(), Err(stalled));
    let mut groups = threads(2, TIMEOUT);
    groups.pop();
    assert_eq!(groups[0].barrier(), Err(DistError::PeerExited { index: 0, peer: 1 }));
}

#[test]
fn three_processes_cannot_add_up_a_batch() {
    let found = processes(3, |group| group.all_reduce_sum(&mut [1.0_f32]));
    assert!(found.into_iter().all(|result| result == Err(DistError::NotPowerOfTwo { size: 3 })));
}

#[test]
fn shards_need_a_power_of_two_and_an_existing_process() {
    assert_eq!(shard(10, 0, 3), Err(DistError::NotPowerOfTwo { size: 3 }));
    assert_eq!(shard(10, 0, 0), Err(DistError::NotPowerOfTwo { size: 0 }));
    assert_eq!(shard(10, 4, 4), Err(DistError::NoSuchProcess { index: 4, size: 4 }));
}

#[test]
fn lists_of_different_lengths_are_an_error() {
    let found = processes(2, |group| group.all_reduce_sum(&mut vec![1.0_f32; 3 + group.index()]));
    let mismatch = |peer, found, expected| Err(DistError::LengthMismatch { peer, found, expected });
    assert_eq!(found, [mismatch(1, 4, 3), mismatch(0, 3, 4)]);
    // A long list, of which each process adds up a part.
    let found = processes(4, |group| group.all_reduce_sum(&mut vec![1.0_f32; 9_000 + 2 * group.index()]));
    assert!(found.iter().all(|result| matches!(result, Err(DistError::LengthMismatch { .. }))), "{found:?}");
}

#[test]
fn messages_that_differ_are_found() {
    let odd =
        |at: usize| processes(4, |group| group.first_mismatch(vec![u8::from(group.index() == at)]).unwrap());
    assert_eq!(odd(2), [Some(2); 4]);
    assert_eq!(odd(9), [None; 4]);
}

#[test]
fn messages_of_errors_say_what_to_do() {
    let stalled = DistError::Timeout { index: 0, peer: 1, seconds: 600.0 }.to_string();
    assert!(stalled.starts_with("process 0 received no message from process 1 for 600 s"), "{stalled}");
    assert!(stalled.contains("--peer-timeout"), "{stalled}");
}
