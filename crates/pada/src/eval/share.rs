use std::collections::BTreeMap;

use pada_space::{Arch, Equivalence};

use crate::error::PadaError;
use crate::run::network::Network;

/// Assigns architectures to processes, as indices of `archs`. The most expensive architectures are assigned first, each to the process with
/// the least work. Architectures that are equivalent with shared weights go to the same process, which computes them only once.
///
/// # Source
/// Graham, *Bounds on Multiprocessing Timing Anomalies*, 1969: no process has more than 4/3 of the optimal maximum.
pub(crate) fn deal(
    archs: &[Arch],
    open: &[usize],
    network: &Network,
    size: usize,
) -> Result<Vec<Vec<usize>>, PadaError> {
    let mut groups: BTreeMap<Arch, Vec<usize>> = BTreeMap::new();
    for &place in open {
        let same = network.space.canonical(&archs[place], Equivalence::SharedWeights)?;
        groups.entry(same).or_default().push(place);
    }
    let mut costs = Vec::new();
    for (arch, places) in groups {
        costs.push((network.cost(&arch)?.macs + FIXED_MACS, places));
    }
    costs.sort_by_key(|(cost, places)| (std::cmp::Reverse(*cost), places[0]));
    let mut shares = vec![(0, Vec::new()); size];
    for (cost, places) in costs {
        let (load, share) = shares.iter_mut().min_by_key(|(load, _)| *load).expect("there is a process");
        *load += cost;
        share.extend(places);
    }
    Ok(shares
        .into_iter()
        .map(|(_, mut share)| {
            share.sort_unstable();
            share
        })
        .collect())
}

/// Cost of an image in addition to its multiply-adds.
const FIXED_MACS: u64 = 100_000;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::RunConfig;

    #[test]
    fn every_architecture_is_dealt_once_and_loads_are_even() {
        let images = pada_data::mini().unwrap().test;
        let network = Network::new(&RunConfig::mini().supernet, &images.into()).unwrap();
        let archs: Vec<Arch> = network.space.archs().step_by(37).collect();
        let open: Vec<usize> = (5..archs.len()).collect();
        // Architectures that are equivalent with shared weights are computed once.
        let load = |share: &Vec<usize>| -> u64 {
            let same =
                |&place: &usize| network.space.canonical(&archs[place], Equivalence::SharedWeights).unwrap();
            let different: BTreeSet<Arch> = share.iter().map(same).collect();
            different.iter().map(|arch| network.cost(arch).unwrap().macs + FIXED_MACS).sum()
        };
        for size in [1, 2, 3, 8] {
            let shares = deal(&archs, &open, &network, size).unwrap();
            let mut all = shares.concat();
            all.sort_unstable();
            assert_eq!(all, open);
            let loads: Vec<u64> = shares.iter().map(load).collect();
            let (least, most) = (loads.iter().min().unwrap(), loads.iter().max().unwrap());
            assert!(most * 9 < least * 10, "{size} ranks: {loads:?}");
        }
    }
}
