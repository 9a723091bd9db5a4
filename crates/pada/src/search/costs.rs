use std::collections::HashMap;
use std::path::PathBuf;

use pada_search::Evaluated;
use pada_space::Arch;

use crate::config::ConfigError;
use crate::error::PadaError;
use crate::eval::arch_files::read_numbers;
use crate::run::network::Network;
use crate::search::look_up::LookUp;
use crate::search::{FoundArch, Fused, SearchCost, SearchJob, SearchLimits};

/// Computes the costs of architectures and checks the constraints.
pub(super) struct Costs<'a> {
    network: &'a Network,
    kind: SearchCost,
    limits: SearchLimits,
    latency: Option<HashMap<Arch, f64>>,
}

impl<'a> Costs<'a> {
    /// Reads the file of latencies and checks that the settings of the job fit together.
    pub(super) fn read(job: &SearchJob, network: &'a Network) -> Result<Self, PadaError> {
        let space = network.space.as_ref();
        // Images that are too small for one architecture are too small for all, so this is the only place with this error.
        network.cost(&space.nth(0).expect("a space has an architecture"))?;
        let needs_file = job.cost == SearchCost::Latency || job.limits.latency.is_some();
        if needs_file && job.latency.is_none() {
            let (key, value, range) =
                ("--latency", "not given".to_owned(), "a file with the columns arch,latency");
            return Err(ConfigError::Range { key, value, range }.into());
        }
        let read =
            |path: &PathBuf| Ok::<_, PadaError>(read_numbers(path, "latency", space)?.into_iter().collect());
        let latency = job.latency.as_ref().map(read).transpose()?;
        Ok(Self { network, kind: job.cost, limits: job.limits, latency })
    }

    fn latency(&self, arch: &Arch) -> Option<f64> {
        self.latency.as_ref()?.get(arch).copied()
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
