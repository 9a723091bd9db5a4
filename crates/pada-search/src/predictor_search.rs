use std::collections::{HashSet, VecDeque};

use pada_space::Arch;
use rand::RngExt;

use crate::layout::Layout;
use crate::predictor::{PredictorConfig, training_set};
use crate::searcher::{AskError, History, Outcome, Request, SearchView, Searcher};
use crate::settings::{InvalidSetting, at_least};

/// Settings of [`PredictorSearch`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
pub struct PredictorSearchConfig {
    /// The number of random architectures at the start, on which the first predictor is trained, at least 2.
    pub initial: usize,
    /// The number of rounds after the start. Each trains the predictor on all scores so far.
    pub rounds: usize,
    /// The number of architectures of a round with the best predictions that are scored, at least 1.
    pub per_round: usize,
    /// The number of different unknown architectures of a round whose scores are predicted, at least 1. There are fewer if 10,000 draws in a row
    /// find none.
    pub candidates: usize,
    /// The number of best architectures so far whose mutations are candidates. Half of the candidates are mutations of one decision of these, the
    /// others are random. With 0, all are random.
    pub parents: usize,
    /// The predictor.
    pub predictor: PredictorConfig,
}

impl Default for PredictorSearchConfig {
    /// Returns 100 random architectures and 19 rounds of 50, so that 1,050 architectures are scored, with 1,000 candidates in each round, 10
    /// parents, and ridge regression.
    fn default() -> Self {
        Self {
            initial: 100,
            rounds: 19,
            per_round: 50,
            candidates: 1_000,
            parents: 10,
            predictor: PredictorConfig::default(),
        }
    }
}

/// Search guided by a predictor: random architectures train a model of the score, and the architectures with the best predictions are scored.
///
/// Encodings have one number for each choice of each decision: 1 for the choice of an active decision, otherwise 0.
///
/// # Source
/// Wen et al., *Neural Predictor for Neural Architecture Search*, ECCV 2020: N random architectures, predictions of many random ones, and the
/// best K by prediction are scored; that is one round without parents. Wei et al., *NPENAS*, 2020, and White, Neiswanger & Savani, *BANANAS*,
/// AAAI 2021, repeat it in rounds with mutations of the best.
///
/// - DIFFERS: these use graph networks or multi-layer perceptrons; here the predictor is ridge regression or gradient-boosted trees on one-hot
///   encodings, the tabular models that White et al., *How Powerful are Performance Predictors in Neural Architecture Search?*, NeurIPS 2021,
///   compare with them.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PredictorSearch {
    config: PredictorSearchConfig,
    /// The number of random architectures that were asked for.
    asked: usize,
    /// The number of rounds that began.
    round: usize,
    /// The architectures of the round that were not asked for yet, the best prediction first.
    queue: VecDeque<Arch>,
}

impl PredictorSearch {
    /// Creates the method.
    ///
    /// # Errors
    /// Returns [`InvalidSetting`] if a setting is out of its range.
    pub fn new(config: PredictorSearchConfig) -> Result<Self, InvalidSetting> {
        at_least("initial", config.initial, 2, "at least 2")?;
        at_least("per_round", config.per_round, 1, "at least 1")?;
        at_least("candidates", config.candidates, 1, "at least 1")?;
        config.predictor.check()?;
        Ok(Self { config, asked: 0, round: 0, queue: VecDeque::new() })
    }

    /// Draws the candidates of a round.
    fn candidates(&self, view: &mut SearchView<'_>) -> Result<Vec<Arch>, AskError> {
        let parents = view.history.best(self.config.parents);
        let mutations = if parents.is_empty() { 0 } else { self.config.candidates / 2 };
        let (mut known, mut candidates) = (HashSet::new(), Vec::new());
        for (share, is_mutation) in [(mutations, true), (self.config.candidates, false)] {
            // The number of draws since the last one that was new.
            let mut tried = 0;
            while candidates.len() < share && tried < view.attempts() {
                tried += 1;
                let arch = if is_mutation {
                    let parent = &parents[view.rng.random_range(0..parents.len())].arch;
                    match view.switch_one(parent)? {
                        Some(arch) => arch,
                        None => break,
                    }
                } else {
                    view.sample()
                };
                if let Some(arch) = view.new_feasible(&arch)?
                    && known.insert(view.identity(&arch)?)
                {
                    candidates.push(arch);
                    tried = 0;
                }
            }
        }
        Ok(candidates)
    }
}

impl Searcher for PredictorSearch {
    fn ask(&mut self, view: &mut SearchView<'_>) -> Result<Option<Request>, AskError> {
        if self.asked < self.config.initial {
            if let Some(arch) = view.draw_random()? {
                self.asked += 1;
                return Ok(Some(Request::full(arch)));
            }
            self.asked = self.config.initial;
        }
        if self.queue.is_empty() && self.round < self.config.rounds {
            self.round += 1;
            let layout = Layout::of(view.space, view.sub_space);
            let (encodings, scores) = training_set(&layout, view.history);
            if scores.is_empty() {
                return Ok(None);
            }
            let predictor = self.config.predictor.fit(&encodings, &scores);
            let mut candidates: Vec<(f64, Arch)> = self
                .candidates(view)?
                .into_iter()
                .map(|arch| (predictor.predict(&layout.one_hot(&arch)), arch))
                .collect();
            candidates.sort_by(|(a, _), (b, _)| b.total_cmp(a));
            candidates.truncate(self.config.per_round);
            self.queue = candidates.into_iter().map(|(_, arch)| arch).collect();
        }
        Ok(self.queue.pop_front().map(Request::full))
    }

    fn tell(&mut self, _: &History, _: &Request, _: Outcome) {}
}
