use crate::searcher::{AskError, History, Outcome, Request, SearchView, Searcher};
use crate::settings::{InvalidSetting, at_least};

/// Settings of [`Random`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
pub struct RandomConfig {
    /// The number of different architectures, at least 1.
    pub samples: usize,
}

impl Default for RandomConfig {
    /// Returns settings with as many evaluations as those of [`EvolutionConfig`](crate::EvolutionConfig): 1,050.
    fn default() -> Self {
        Self { samples: 1_050 }
    }
}

/// Random search: different architectures, drawn uniformly, or all feasible ones if there are fewer.
///
/// # Source
/// Li & Talwalkar, *Random Search and Reproducibility for Neural Architecture Search*, UAI 2019. The public code of NATS-Bench
/// (D-X-Y/AutoDL-Projects, `exps/NATS-algos/random_wo_share.py`) draws with repetition; here an architecture is drawn once.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Random {
    config: RandomConfig,
    asked: usize,
}

impl Random {
    /// Creates the method.
    ///
    /// # Errors
    /// Returns [`InvalidSetting`] if `samples` is 0.
    pub fn new(config: RandomConfig) -> Result<Self, InvalidSetting> {
        at_least("samples", config.samples, 1, "at least 1")?;
        Ok(Self { config, asked: 0 })
    }
}

impl Searcher for Random {
    fn ask(&mut self, view: &mut SearchView<'_>) -> Result<Option<Request>, AskError> {
        if self.asked == self.config.samples {
            return Ok(None);
        }
        self.asked += 1;
        Ok(view.draw_random()?.map(Request::full))
    }

    fn tell(&mut self, _: &History, _: &Request, _: Outcome) {}
}
