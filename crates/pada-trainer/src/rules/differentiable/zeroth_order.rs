//! The step of ZARTS.

use std::f64::consts::PI;

use pada_exec::{Optimizer, SgdStep, State};
use pada_graph::Graph;
use pada_search::Relaxation;

use super::{Differentiable, Zarts, first_epoch};
use crate::TrainError;
use crate::rules::StepContext;
use crate::rules::search_images::SearchBatch;

impl Differentiable {
    /// The standard deviation of displacements: constant until the second epoch in which logits are trained, and then a cosine to 0 at the end.
    fn deviation(&self, zarts: &Zarts) -> f64 {
        let [epoch, epochs] = self.state.epoch;
        let first = first_epoch(self.config.start, epochs);
        let share = epoch.saturating_sub(first + 1) as f64 / (epochs - first).max(1) as f64;
        zarts.deviation * (1.0 + (PI * share).cos()) / 2.0
    }

    /// Moves the logits by the mean of displacements, each of which weighs by the loss of a validation batch after the weights were trained on
    /// training images for some steps. All displacements see the same images and start from the same weights, which are restored at the end.
    ///
    /// `gradient` is that of the loss of the validation batch with respect to the logits.
    pub(super) fn zeroth_order(
        &mut self,
        ctx: &mut StepContext<'_>,
        zarts: &Zarts,
        graph: &Graph,
        gradient: &[f64],
        validation: &SearchBatch,
    ) -> Result<(), TrainError> {
        let Zarts { rule, inner_steps, .. } = *zarts;
        let Some(training) = &mut self.inputs.training else { return Ok(()) };
        let count = validation.labels.len();
        let batches: Vec<SearchBatch> =
            (0..inner_steps).map(|_| training.draw(count, ctx.rule_rng)).collect::<Result<_, _>>()?;
        let mut states = vec![State::Weights, State::Momentum];
        states.extend(matches!(ctx.sgd.optimizer, Optimizer::RmsProp(_)).then_some(State::SecondMoment));
        let start: Vec<Vec<f32>> = states.iter().map(|&state| ctx.executor.read(state)).collect();
        let restore = |ctx: &mut StepContext<'_>| {
            states.iter().zip(&start).for_each(|(&state, values)| ctx.executor.write(state, values));
        };
        let (logits, path) = (self.state.parameters.logits().to_vec(), self.strongest());
        let (deviation, mut displacements, mut losses) = (self.deviation(zarts), vec![], vec![]);
        for _ in 0..rule.samples {
            let displacement = rule.displacement(gradient, deviation, ctx.rule_rng);
            let moved: Vec<f64> = logits.iter().zip(&displacement).map(|(a, d)| a + d).collect();
            let mixture = self.state.parameters.with_logits(&moved).mix(Relaxation::Softmax, ctx.rule_rng);
            self.write_factors(&mixture, ctx.executor);
            for batch in &batches {
                ctx.executor.zero_gradient();
                let passed = [ctx.pass_graph(path.clone(), graph, 1.0, &batch.batch())?];
                let clipped = ctx.clip(&passed, ctx.clip_norm)?;
                ctx.executor.update(&SgdStep { gradient_scale: clipped.factor as f32, ..ctx.sgd });
            }
            losses.push(self.loss(ctx, graph, validation)?.0);
            displacements.push(displacement);
            restore(ctx);
        }
        let step = rule.step(&displacements, &losses, gradient, deviation);
        let moved: Vec<f64> = logits.iter().zip(step).map(|(a, d)| a + d).collect();
        self.state.parameters.set_logits(&moved);
        self.check_logits()
    }
}
