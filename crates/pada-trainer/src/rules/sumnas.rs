use std::slice::from_mut;

use pada_graph::{Batch, SgdStep, State, UnusedWeights};
use pada_sampler::{SamplerError, SamplerState, Variant};
use serde::{Deserialize, Serialize};

use super::{StepContext, StepOutcome, TrainRule};
use crate::TrainError;
use crate::error::NotFinite;

/// Settings of [`Sumnas`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SumnasConfig {
    /// Whose rule: `released` never resets the inner momentum, `paper` does for every path.
    pub variant: Variant,
    /// SGD steps that each path is adapted for.
    pub inner_steps: usize,
    /// Their learning rate.
    pub inner_lr: f64,
    /// Their momentum.
    pub inner_momentum: f64,
}

/// Each path of a step is adapted for a few steps on the batch, all from the same weights W₀; the supernet then moves towards the
/// mean of what they reached: its gradient is the mean over paths of W₀ − W_T (a first-order meta-gradient, as Reptile's).
///
/// The learning rate, decay and momentum of `[train]` are those of the outer step; inner steps clip as `[train]` says and do not
/// decay.
///
/// # Source
/// Ha, Kim & Park, *SUMNAS: Supernet with Unbiased Meta-Features for NAS*, ICLR 2022; `released` as in the public PA-DA repository.
#[derive(Clone, Debug)]
pub struct Sumnas {
    config: SumnasConfig,
    /// Momentum of the inner steps, released only; empty before the first.
    momentum: Vec<f32>,
}

impl Sumnas {
    /// The rule at the start of a run.
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
        let inner = SgdStep {
            lr: self.config.inner_lr as f32,
            momentum: self.config.inner_momentum as f32,
            weight_decay: 0.0,
            decayed: ctx.sgd.decayed,
            gradient_scale: 1.0,
            unused: ctx.sgd.unused,
        };
        let mut travelled = vec![0.0_f64; start.len()];
        let (mut first_passes, mut reports) = (Vec::new(), Vec::new());
        let paths = ctx.paths.next_paths(ctx.path_rng);
        let share = 1.0 / paths.len() as f64;
        for path in paths {
            ctx.executor.write(State::Weights, &start);
            let reset = self.config.variant == Variant::Paper;
            ctx.executor.write(State::Momentum, if reset { &zeros } else { &self.momentum });
            for step in 0..self.config.inner_steps {
                ctx.executor.zero_gradient();
                let weight = ctx.paths.loss_weight(&path);
                let passed = [ctx.pass(path.clone(), weight, batch)?];
                let clipped = ctx.clip(&passed, ctx.clip_norm)?;
                if step == 0 {
                    // Gradients at the shared weights are what other rules report.
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
            for ((sum, w0), wt) in travelled.iter_mut().zip(&start).zip(reached) {
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
                let (w, m, g) = (&mut weights[i], &mut momentum[i], travelled[i]);
                if !layout.is_trained(id) {
                    // Running statistics have no gradient; they become the mean of what the paths left.
                    *w = (f64::from(*w) - g) as f32;
                } else if g != 0.0 || !frozen {
                    // A weight that no path moved was not used.
                    ctx.sgd.apply(from_mut(w), from_mut(m), &[g as f32]);
                }
            }
        }
        ctx.executor.write(State::Weights, &weights);
        ctx.executor.write(State::Momentum, &momentum);
        let grad_norm = reports.iter().sum::<f64>() * share;
        Ok(StepOutcome { paths: first_passes, grad_norm })
    }

    fn state(&self) -> SamplerState {
        let momentum: Vec<f64> = self.momentum.iter().map(|&v| f64::from(v)).collect();
        SamplerState::new([("inner_momentum", &momentum)])
    }

    fn restore(&mut self, state: &SamplerState) -> Result<(), SamplerError> {
        let len = state.0.get("inner_momentum").map_or(0, Vec::len);
        let [momentum] = state.lists([("inner_momentum", len)])?;
        self.momentum = momentum.into_iter().map(|v| v as f32).collect();
        Ok(())
    }
}
