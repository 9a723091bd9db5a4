use std::collections::HashMap;
use std::path::{Path, PathBuf};

use pada_search::Evaluated;
use pada_space::{Arch, DecisionKind, SearchSpace};

use crate::config::ConfigError;
use crate::error::PadaError;
use crate::eval::arch_files::read_numbers;
use crate::eval::latency::LatencyTable;
use crate::run::network::Network;
use crate::search::look_up::LookUp;
use crate::search::{FoundArch, Fused, SearchCost, SearchJob, SearchLimits};

/// Computes the costs of architectures and checks the constraints.
pub(super) struct Costs<'a> {
    network: &'a Network,
    kind: SearchCost,
    limits: SearchLimits,
    latency: Option<Latencies>,
}

/// The source of latencies.
enum Latencies {
    /// Latencies of architectures. All other architectures have none.
    Listed(HashMap<Arch, f64>),
    /// Latencies of operations, whose sum is the latency of an architecture.
    Summed(LatencyTable),
}

impl Latencies {
    /// Reads a file with the columns `arch` and `latency`, or a table of operations.
    fn read(path: &Path, network: &Network) -> Result<Self, PadaError> {
        if !LatencyTable::is_in(path)? {
            return Ok(Self::Listed(read_latencies(path, network.space.as_ref())?));
        }
        let table = LatencyTable::read(path)?;
        table.check(path, network)?;
        Ok(Self::Summed(table))
    }
}

impl<'a> Costs<'a> {
    /// Reads the file of latencies, of architectures or of operations, and checks that the settings of the job fit together.
    pub(super) fn read(job: &SearchJob, network: &'a Network) -> Result<Self, PadaError> {
        let space = network.space.as_ref();
        // Images that are too small for one architecture are too small for all, so this is the only place with this error.
        network.cost(&space.nth(0).expect("a space has an architecture"))?;
        if let Some(most) = job.limits.latency.filter(|most| !(most.is_finite() && *most > 0.0)) {
            let (key, value, range) = ("--max-latency", most.to_string(), "a number larger than 0");
            return Err(ConfigError::Range { key, value, range }.into());
        }
        let needs_file = job.cost == SearchCost::Latency || job.limits.latency.is_some();
        if needs_file && job.latency.is_none() {
            let (key, value, range) = (
                "--latency",
                "not given".to_owned(),
                "a file with the columns arch,latency, or a table of pada latency measure",
            );
            return Err(ConfigError::Range { key, value, range }.into());
        }
        let read = |path: &PathBuf| Latencies::read(path, network);
        let latency = job.latency.as_ref().map(read).transpose()?;
        Ok(Self { network, kind: job.cost, limits: job.limits, latency })
    }

    /// Returns the architectures with a latency. All other architectures are infeasible. The list is empty if there is no list of latencies.
    pub(super) fn measured(&self) -> impl Iterator<Item = &Arch> {
        let listed = match &self.latency {
            Some(Latencies::Listed(latencies)) => Some(latencies.keys()),
            Some(Latencies::Summed(_)) | None => None,
        };
        listed.into_iter().flatten()
    }

    fn latency(&self, arch: &Arch) -> Option<f64> {
        match self.latency.as_ref()? {
            Latencies::Listed(latencies) => latencies.get(arch).copied(),
            Latencies::Summed(table) => table.latency(self.network, arch).ok()?.ok(),
        }
    }

    /// Returns the cost of an architecture, infinite if it is unknown. [`Costs::fits`] is false for such an architecture.
    pub(super) fn cost(&self, arch: &Arch) -> f64 {
        let cost = self.network.cost(arch).ok();
        let cost = match self.kind {
            SearchCost::Macs => cost.map(|cost| cost.macs as f64),
            SearchCost::Params => cost.map(|cost| cost.params as f64),
            SearchCost::Latency => self.latency(arch),
        };
        cost.unwrap_or(f64::INFINITY)
    }

    /// Returns whether an architecture is within the limits.
    pub(super) fn fits(&self, arch: &Arch) -> bool {
        let latency = match (&self.latency, self.latency(arch)) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(_), Some(latency)) => self.limits.latency.is_none_or(|most| latency <= most),
        };
        let SearchLimits { macs, params, .. } = self.limits;
        if !latency || (macs.is_none() && params.is_none()) {
            return latency;
        }
        let Ok(cost) = self.network.cost(arch) else { return false };
        macs.is_none_or(|most| cost.macs <= most) && params.is_none_or(|most| cost.params <= most)
    }

    /// Describes an architecture of the result.
    pub(super) fn found(
        &self,
        found: &Evaluated,
        fused: Option<&Fused>,
        truth: Option<&LookUp>,
    ) -> Result<FoundArch, PadaError> {
        let Evaluated { arch, score, .. } = found;
        let (cost, space) = (self.network.cost(arch)?, self.network.space.as_ref());
        Ok(FoundArch {
            arch: arch.to_string(),
            text: space.format(arch)?,
            score: fused.and_then(|fused| fused.accuracy(arch)).unwrap_or(*score),
            test: None,
            fused: fused.and_then(|fused| (!fused.plan.is_empty()).then_some(*score)),
            params: cost.params,
            macs: cost.macs,
            latency: self.latency(arch),
            truth: truth.map(|truth| truth.accuracy(arch, space)).transpose()?.flatten(),
        })
    }
}

/// Reads a file of latencies. Architectures that differ at inactive decisions only have one entry. Warns if the file covers a part of the space.
fn read_latencies(path: &Path, space: &dyn SearchSpace) -> Result<HashMap<Arch, f64>, PadaError> {
    let rows = read_numbers(path, "latency", space)?;
    if (rows.len() as u128) < space.len() {
        tracing::warn!("{}: {}", path.display(), coverage(&rows, space));
    }
    let mut latencies = HashMap::with_capacity(rows.len());
    for (arch, latency) in &rows {
        let cleared = space.without_dead_edges(arch)?;
        // The row of the architecture without inactive operations comes before those with them.
        let is_own = cleared == *arch;
        let known = latencies.entry(cleared).or_insert(*latency);
        if is_own {
            *known = *latency;
        }
    }
    Ok(latencies)
}

/// Describes the part of a space that a list of latencies covers.
fn coverage(rows: &[(Arch, f64)], space: &dyn SearchSpace) -> String {
    let operations: Vec<bool> = space
        .decisions()
        .iter()
        .map(|decision| matches!(decision.kind, DecisionKind::Operation { .. }))
        .collect();
    let is_used = |op: usize| {
        let uses = |arch: &Arch| {
            let choices = arch.choices().iter().zip(&operations);
            choices.into_iter().any(|(&choice, &is_operation)| is_operation && usize::from(choice) == op)
        };
        rows.iter().any(|(arch, _)| uses(arch))
    };
    let names = space.op_names().iter().enumerate();
    let unused: Vec<&str> = names.filter(|(op, _)| !is_used(*op)).map(|(_, name)| *name).collect();
    let (found, all) = (rows.len(), space.len());
    let operations = match unused.is_empty() {
        true => String::new(),
        false => format!("; none of them has {}", unused.join(", ")),
    };
    format!("latencies of {found} of {all} architectures; the search leaves out all others{operations}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use pada_space::Nb201;

    use super::*;

    #[test]
    fn a_short_list_of_latencies_is_named_and_covers_inactive_operations() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("latency.csv");
        let space = Nb201::new();
        let row = |text: &str| (space.parse(text).unwrap(), 1.0);
        let text = coverage(&[row("333333"), row("010230")], &space);
        assert!(text.starts_with("latencies of 2 of 15625 architectures"), "{text}");
        assert!(text.ends_with("none of them has avg_pool_3x3"), "{text}");
        // The second edge into the last node carries the zeros of node 1.
        std::fs::write(&path, "arch,latency\n000030,2\n000000,1\n000330,5\n003333,7\n").unwrap();
        let latencies = read_latencies(&path, &space).unwrap();
        assert_eq!(latencies[&space.parse("000000").unwrap()], 1.0);
        assert!(latencies.keys().all(|arch| space.without_dead_edges(arch).unwrap() == *arch));
    }
}
