use pada_dist::Traffic;
use pada_sampler::{SamplerError, SamplerState};
use pada_space::{Arch, SubSpace};

use crate::{GradientVariance, StepOutcome};

/// An epoch under way: what a checkpoint between two of its steps must keep.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunningEpoch {
    /// The epoch's images.
    pub(crate) order: Vec<u32>,
    /// Steps that are done.
    pub(crate) step: usize,
    pub(crate) totals: Totals,
    /// Wall-clock time of earlier sessions and of this one up to the last checkpoint.
    pub(crate) seconds: f64,
    /// What was sent to other ranks in that time.
    pub(crate) traffic: Traffic,
}

/// Sums over an epoch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) loss: f64,
    pub(crate) last_loss: f64,
    pub(crate) correct: usize,
    pub(crate) images: usize,
    pub(crate) grad_norm: f64,
    /// Steps whose loss or gradient was not finite and that changed nothing.
    pub(crate) skipped: usize,
    pub(crate) paths: Vec<Arch>,
    pub(crate) variance: GradientVariance,
}

impl Totals {
    pub(crate) fn add(&mut self, outcome: &StepOutcome, labels: &[u32]) {
        for path in &outcome.paths {
            self.loss += path.loss * labels.len() as f64;
            self.correct += path.logits.correct(labels);
            self.images += labels.len();
            self.paths.push(path.path.clone());
        }
        self.last_loss = outcome.paths.iter().map(|p| p.loss).sum::<f64>() / outcome.paths.len() as f64;
        self.grad_norm += outcome.grad_norm;
    }
}

const ORDER: &str = "order";
const NUMBERS: &str = "numbers";
const TRAINED: &str = "paths";
const SENT: &str = "sent";

impl RunningEpoch {
    pub(crate) fn state(&self) -> SamplerState {
        let t = &self.totals;
        let order: Vec<f64> = self.order.iter().map(|&i| f64::from(i)).collect();
        let counts = [self.step, t.correct, t.images, t.skipped].map(|n| n as f64);
        let numbers = [&counts[..], &[t.loss, t.last_loss, t.grad_norm, self.seconds]].concat();
        let mut state = SamplerState::new([(ORDER, &order), (NUMBERS, &numbers)]);
        state.0.extend(SamplerState::archs(TRAINED, &t.paths).0);
        state.0.extend(t.variance.state().0);
        if self.traffic != Traffic::default() {
            let Traffic { messages, bytes, seconds } = self.traffic;
            state.0.extend(SamplerState::new([(SENT, &[messages as f64, bytes as f64, seconds])]).0);
        }
        state
    }

    /// None where no epoch was under way.
    pub(crate) fn restore(state: &SamplerState, space: &SubSpace) -> Result<Option<Self>, SamplerError> {
        if state.0.is_empty() {
            return Ok(None);
        }
        let mut rest = state.clone();
        let order = rest.take(ORDER);
        let [order] = order.lists([(ORDER, order.0.get(ORDER).map_or(0, Vec::len))])?;
        let [numbers] = rest.take(NUMBERS).lists([(NUMBERS, 8)])?;
        let paths = rest.take(TRAINED).to_archs(TRAINED, space)?;
        // One process sends nothing.
        let traffic = match rest.take(SENT) {
            sent if sent.0.is_empty() => Traffic::default(),
            sent => {
                let [sent] = sent.lists([(SENT, 3)])?;
                Traffic { messages: sent[0] as u64, bytes: sent[1] as u64, seconds: sent[2] }
            }
        };
        let variance = GradientVariance::restore(&rest)?;
        let [step, correct, images, skipped] = [0, 1, 2, 3].map(|i| numbers[i] as usize);
        let [loss, last_loss, grad_norm, seconds] = [4, 5, 6, 7].map(|i| numbers[i]);
        let totals = Totals { loss, last_loss, correct, images, grad_norm, skipped, paths, variance };
        let order = order.into_iter().map(|i| i as u32).collect();
        Ok(Some(Self { order, step, totals, seconds, traffic }))
    }
}
