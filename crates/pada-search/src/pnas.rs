use std::collections::VecDeque;

use pada_space::Arch;
use rand::RngExt;

use crate::layout::Layout;
use crate::predictor::{PredictorConfig, training_set};
use crate::searcher::{AskError, History, MAX_ATTEMPTS, Outcome, Request, SearchView, Searcher};
use crate::settings::{InvalidSetting, at_least};

/// Settings of [`Pnas`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
pub struct PnasConfig {
    /// K, the number of expansions of a step that are scored, at least 1.
    pub beam: usize,
    /// The predictor that ranks the expansions.
    pub predictor: PredictorConfig,
}

impl Default for PnasConfig {
    /// Returns a beam of 50 and ridge regression. PNASNet has a beam of 256.
    fn default() -> Self {
        Self { beam: 50, predictor: PredictorConfig::default() }
    }
}

/// Progressive search: architectures grow by one decision per step, and a predictor ranks the expansions.
///
/// The first step scores all choices of the first decision. Each further step expands the K survivors by every choice of the next decision,
/// predicts the scores of all expansions with a model of all scores so far, and scores the K best ones, which survive. Inactive decisions are
/// skipped. The result of the search is the best architecture of the history.
///
/// An architecture whose other decisions are open is scored as one architecture that a random feasible choice of the open decisions completes.
/// The model learns from the completed architecture. In the encoding of an expansion, an open decision has the mean of its choices' encodings,
/// so that ridge regression predicts the mean score of all completions.
///
/// # Source
/// Liu et al., *Progressive Neural Architecture Search*, ECCV 2018, Alg. 1. The public code chenxi116/PNASNet.TF has the network that was
/// found, and not the search.
///
/// - DIFFERS: PNAS grows cells by blocks, so that a small cell is a network of its own. The spaces here have a fixed number of decisions, so the
///   missing ones are completed at random. No public text says how progressive search runs on such a space.
/// - DIFFERS: its predictor is an ensemble of LSTMs or multi-layer perceptrons.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Pnas {
    config: PnasConfig,
    /// The number of decisions that the survivors have made, in the order of the layout.
    made: usize,
    /// The survivors of the last step.
    beam: Vec<Prefix>,
    /// The expansions of the current step that were not asked for yet, with their completions.
    queue: VecDeque<(Prefix, Arch)>,
    /// The expansion that was asked for last.
    pending: Option<Prefix>,
    /// The expansions of the current step that were asked for.
    next_beam: Vec<Prefix>,
}

/// The choice of each decision, `[E]`; `None` if it is open.
type Prefix = Vec<Option<u8>>;

/// The number of random completions of an expansion that may be infeasible.
const COMPLETIONS: usize = MAX_ATTEMPTS / 10;

impl Pnas {
    /// Creates the method.
    ///
    /// # Errors
    /// Returns [`InvalidSetting`] if a setting is out of its range.
    pub fn new(config: PnasConfig) -> Result<Self, InvalidSetting> {
        at_least("beam", config.beam, 1, "at least 1")?;
        config.predictor.check()?;
        Ok(Self { config, made: 0, beam: vec![], queue: VecDeque::new(), pending: None, next_beam: vec![] })
    }

    /// Expands the survivors by the next decision. Returns the expansions, the best prediction first.
    fn expansions(&self, layout: &Layout, history: &History) -> Vec<Prefix> {
        let decision = layout.order[self.made];
        let expand = |prefix: &Prefix| -> Vec<Prefix> {
            let made: Vec<u8> = prefix.iter().map(|choice| choice.unwrap_or(0)).collect();
            let choices = match layout.is_active(decision, &made) {
                true => layout.allowed[decision].clone(),
                false => vec![0],
            };
            let with = |choice: u8| {
                let mut prefix = prefix.clone();
                prefix[decision] = Some(choice);
                prefix
            };
            choices.into_iter().map(with).collect()
        };
        let expansions: Vec<Prefix> = self.beam.iter().flat_map(expand).collect();
        let (encodings, scores) = training_set(layout, history);
        if scores.is_empty() {
            return expansions;
        }
        let predictor = self.config.predictor.fit(&encodings, &scores);
        let mut ranked: Vec<(f64, Prefix)> = expansions
            .into_iter()
            .map(|prefix| (predictor.predict(&layout.one_hot_of_prefix(&prefix)), prefix))
            .collect();
        ranked.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        ranked.into_iter().map(|(_, prefix)| prefix).collect()
    }

    /// Makes the open decisions at random until the architecture is feasible. Adds the number of draws to `tried`.
    fn complete(
        prefix: &Prefix,
        layout: &Layout,
        view: &mut SearchView<'_>,
        tried: &mut usize,
    ) -> Result<Option<Arch>, AskError> {
        let is_whole = prefix.iter().all(Option::is_some);
        for _ in 0..if is_whole { 1 } else { COMPLETIONS } {
            *tried += 1;
            let choices: Vec<u8> = prefix
                .iter()
                .zip(&layout.allowed)
                .map(|(choice, allowed)| {
                    choice.unwrap_or_else(|| allowed[view.rng.random_range(0..allowed.len())])
                })
                .collect();
            if let Some(arch) = view.feasible(&Arch::new(choices))? {
                return Ok(Some(arch));
            }
        }
        Ok(None)
    }
}

impl Searcher for Pnas {
    fn ask(&mut self, view: &mut SearchView<'_>) -> Result<Option<Request>, AskError> {
        let layout = Layout::of(view.space, view.sub_space);
        let mut tried = 0;
        loop {
            if let Some((prefix, arch)) = self.queue.pop_front() {
                self.pending = Some(prefix);
                return Ok(Some(Request::full(arch)));
            }
            if self.made == 0 {
                self.beam = vec![vec![None; layout.allowed.len()]];
            } else {
                self.beam = std::mem::take(&mut self.next_beam);
            }
            if self.made == layout.order.len() || self.beam.is_empty() {
                return match self.beam.is_empty() && view.history.is_empty() {
                    true => Err(AskError::NothingFeasible { tried }),
                    false => Ok(None),
                };
            }
            let expansions = self.expansions(&layout, view.history);
            // Nothing is known yet that could rank the choices of the first decision, so all are scored.
            let most = if self.made == 0 { usize::MAX } else { self.config.beam };
            self.made += 1;
            for prefix in expansions {
                if self.queue.len() == most {
                    break;
                }
                if let Some(arch) = Self::complete(&prefix, &layout, view, &mut tried)? {
                    self.queue.push_back((prefix, arch));
                }
            }
        }
    }

    fn tell(&mut self, _: &History, _: &Request, outcome: Outcome) {
        let Some(prefix) = self.pending.take() else { return };
        if let Outcome::Scored { .. } = outcome {
            self.next_beam.push(prefix);
        }
    }
}
