use std::collections::{BTreeSet, VecDeque};

use pada_space::Arch;

use crate::searcher::{AskError, Fidelity, History, Outcome, Request, SearchView, Searcher};
use crate::settings::{InvalidSetting, at_least};

/// Settings of [`RandomNas`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
pub struct RandomNasConfig {
    /// The number of rounds, at least 1.
    pub rounds: usize,
    /// The number of random architectures of a round that get a quick score, at least 1.
    pub archs: usize,
    /// The number of architectures of a round with the best quick scores that get a full score, at least 1.
    pub finalists: usize,
    /// The number of images of a quick score, at least 1. It belongs to the score function, which the caller provides.
    pub images: usize,
}

impl Default for RandomNasConfig {
    /// Returns one round of 1,000 architectures, of which the best 10 get a full score. A quick score has the 640 images of 10 batches of 64.
    fn default() -> Self {
        Self { rounds: 1, archs: 1_000, finalists: 10, images: 640 }
    }
}

/// RandomNAS: rounds of random architectures with a quick score on few images, of which the best get a full score.
///
/// The result is the architecture with the best full score of all rounds. Quick scores are [`Fidelity::Quick`].
///
/// # Source
/// Li & Talwalkar, *Random Search and Reproducibility for Neural Architecture Search*, UAI 2019, and `get_eval_arch` of
/// liamcli/randomNAS_release @0387aead, `searchers/random_weight_share.py`: rounds of 1,000 architectures, a quick score on 10 batches, and 10
/// finalists. It makes one round per 10,000 training steps of the supernet, at least one.
///
/// - DIFFERS: the architectures of all rounds are different networks.
/// - DIFFERS: every architecture is compared on the same images; the public code takes the next 10 batches for each.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RandomNas {
    config: RandomNasConfig,
    /// The current round, from 0.
    round: usize,
    /// The number of architectures of the round that were asked for.
    asked: usize,
    /// The architectures of the round with their quick scores.
    estimated: Vec<Estimated>,
    /// The finalists of the round that were not asked for yet; `None` before the quick scores are complete.
    finalists: Option<VecDeque<Arch>>,
    /// The identities of all architectures with a quick score, see [`SearchView::identity`].
    seen: BTreeSet<Arch>,
}

/// An architecture with its quick score.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Estimated {
    arch: Arch,
    #[cfg_attr(feature = "serde", serde(with = "crate::number"))]
    score: f64,
}

impl RandomNas {
    /// Creates the method.
    ///
    /// # Errors
    /// Returns [`InvalidSetting`] if a setting is out of its range.
    pub fn new(config: RandomNasConfig) -> Result<Self, InvalidSetting> {
        for (name, value) in [
            ("rounds", config.rounds),
            ("archs", config.archs),
            ("finalists", config.finalists),
            ("images", config.images),
        ] {
            at_least(name, value, 1, "at least 1")?;
        }
        Ok(Self { config, round: 0, asked: 0, estimated: vec![], finalists: None, seen: BTreeSet::new() })
    }
}

impl Searcher for RandomNas {
    fn ask(&mut self, view: &mut SearchView<'_>) -> Result<Option<Request>, AskError> {
        while self.round < self.config.rounds {
            if let Some(finalists) = &mut self.finalists {
                if let Some(arch) = finalists.pop_front() {
                    return Ok(Some(Request::full(arch)));
                }
                (self.round, self.asked, self.finalists) = (self.round + 1, 0, None);
                continue;
            }
            if self.asked < self.config.archs {
                let mut tried = 0;
                let arch = loop {
                    let sample = view.sample();
                    if let Some(arch) = view.new_feasible(&sample)?
                        && self.seen.insert(view.identity(&arch)?)
                    {
                        break Some(arch);
                    }
                    tried += 1;
                    if tried == view.attempts() {
                        break None;
                    }
                };
                if let Some(arch) = arch {
                    self.asked += 1;
                    return Ok(Some(Request { arch, fidelity: Fidelity::Quick }));
                }
                if self.seen.is_empty() && view.history().is_empty() {
                    return Err(AskError::NothingFeasible { tried });
                }
            }
            let mut estimated = std::mem::take(&mut self.estimated);
            estimated.sort_by(|a, b| b.score.total_cmp(&a.score));
            estimated.truncate(self.config.finalists);
            self.finalists = Some(estimated.into_iter().map(|estimated| estimated.arch).collect());
        }
        Ok(None)
    }

    fn tell(&mut self, _: &History, request: &Request, outcome: Outcome) {
        if let Outcome::Estimated { score } = outcome {
            self.estimated.push(Estimated { arch: request.arch.clone(), score });
        }
    }
}
