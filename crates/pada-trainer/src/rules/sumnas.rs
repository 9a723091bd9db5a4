use std::slice::from_mut;

use pada_exec::{Batch, SgdStep, State, UnusedWeights};
use pada_sampler::{SamplerError, SavedState, Variant};
use serde::{Deserialize, Serialize};

use super::{StepContext, StepOutcome, TrainRule};
use crate::{NotFinite, TrainError};

/// Settings of [`Sumnas`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SumnasConfig {
    /// Variant: the released code never resets the inner momentum, the paper resets it for every path.
    pub variant: Variant,
    /// T, the number of inner SGD steps for each path.
    pub inner_steps: usize,
    /// Learning rate of the inner steps.
    pub inner_lr: f64,
    /// SGD momentum of the inner steps.
    pub inner_momentum: f64,
}

/// SUMNAS: adapts each path of a step to the batch with T SGD steps, always from the same weights W₀. The gradient of the supernet is the
/// mean over the paths of W₀ − W_T, a first-order meta-gradient as in Reptile.
///
/// The outer step uses learning rate, weight decay and momentum of [`crate::TrainConfig`]. Inner steps use the same clipping and no weight
/// decay.
///
/// # Source
/// Ha, Kim & Park, *SUMNAS: Supernet with Unbiased Meta-Features for NAS*, ICLR 2022; `released` as in the public PA-DA repository.
#[derive(Clone, Debug)]
pub struct Sumnas {
    config: SumnasConfig,
    /// SGD momentum of the inner steps, only used by [`Variant::Released`]; empty before the first step.
    momentum: Vec<f32>,
}

/// State of [`Sumnas`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SumnasState {
    /// SGD momentum of the inner steps, one number per weight; empty before the first step.
    pub inner_momentum: Vec<f32>,
}

impl SumnasState {
    /// Kind of the [`SavedState`] that holds this state.
    pub const KIND: &str = "sumnas";
}

impl Sumnas {
    /// Creates the rule at the start of a run.
    pub fn new(config: SumnasConfig) -> Self {
        Self { config, momentum: Vec::new() }
    }
}

impl TrainRule for Sumnas {
    fn step(&mut self, ctx: &mut StepContext<'_>, batch: &Batch<'_>) -> Result<StepOutcome, TrainError> {
        let (start, outer_momentum) = (ctx.executor.read(State::Weights), ctx.executor.read(State::Momentum));
        let zeros = vec![0.0; start.len()];
        if self.momentum.is_empty() {
            self.momentum.clone_from(&zeros);
        }
        if self.momentum.len() != start.len() {
            let (found, weights) = (self.momentum.len(), start.len());
            let reason =
                format!("`inner_momentum` has {found} elements, but the network has {weights} weights");
            return Err(SamplerError::State { kind: SumnasState::KIND.to_owned(), reason }.into());
        }
        let inner = SgdStep {
            lr: self.config.inner_lr as f32,
            momentum: self.config.inner_momentum as f32,
            weight_decay: 0.0,
            decayed: ctx.sgd.decayed,
            gradient_scale: 1.0,
            unused: ctx.sgd.unused,
            ..SgdStep::default()
        };
        let mut moved = vec![0.0_f64; start.len()];
        let (mut first_passes, mut reports) = (Vec::new(), Vec::new());
        let paths = ctx.paths.next_paths(ctx.path_rng);
        let share = 1.0 / paths.len() as f64;
        for path in paths {
            ctx.executor.write(State::Weights, &start);
            let reset = self.config.variant == Variant::Paper;
            ctx.executor.write(State::Momentum, if reset { &zeros } else { &self.momentum });
            for step in 0..self.config.inner_steps {
                ctx.executor.zero_gradient();
                let weight = ctx.paths.loss_weight(&path)?;
                let passed = [ctx.pass(path.clone(), weight, batch)?];
                let clipped = ctx.clip(&passed, ctx.clip_norm)?;
                if step == 0 {
                    // The observed gradients are those at the shared weights, as in other rules.
                    ctx.show_gradient(&passed);
                    let [passed] = passed;
                    reports.push(clipped.grad_norm);
                    first_passes.push(ctx.outcome(vec![passed], &clipped).paths.remove(0));
                }
                ctx.executor.update(&SgdStep { gradient_scale: clipped.factor as f32, ..inner });
            }
            let reached = ctx.executor.read(State::Weights);
            if let Some(&value) = reached.iter().find(|w| !w.is_finite()) {
                let (what, value) = ("weight after the inner steps", f64::from(value));
                return Err(NotFinite { what, value, path }.into());
            }
            for ((sum, w0), wt) in moved.iter_mut().zip(&start).zip(reached) {
                *sum += share * (f64::from(*w0) - f64::from(wt));
            }
            if !reset {
                self.momentum = ctx.executor.read(State::Momentum);
            }
        }
        let (mut weights, mut momentum, frozen) =
            (start, outer_momentum, ctx.sgd.unused == UnusedWeights::Frozen);
        let layout = ctx.net.weights();
        for (id, _) in layout.iter() {
            for i in layout.range(id) {
                let (w, m, g) = (&mut weights[i], &mut momentum[i], moved[i]);
                if !layout.is_trained(id) {
                    // Running statistics have no gradient; they become their mean over the paths.
                    *w = (f64::from(*w) - g) as f32;
                } else if g != 0.0 || !frozen {
                    // A weight that no path changed was not used.
                    ctx.sgd.apply_sgd(from_mut(w), from_mut(m), &[g as f32]);
                }
            }
        }
        ctx.executor.write(State::Weights, &weights);
        ctx.executor.write(State::Momentum, &momentum);
        let grad_norm = reports.iter().sum::<f64>() * share;
        Ok(StepOutcome { paths: first_passes, grad_norm })
    }

    fn has_own_sgd(&self) -> bool {
        true
    }

    fn state(&self) -> SavedState {
        SavedState::new(SumnasState::KIND, &SumnasState { inner_momentum: self.momentum.clone() })
    }

    fn restore(&mut self, state: &SavedState) -> Result<(), SamplerError> {
        let SumnasState { inner_momentum } = state.read(SumnasState::KIND)?;
        self.momentum = inner_momentum;
        Ok(())
    }
}
