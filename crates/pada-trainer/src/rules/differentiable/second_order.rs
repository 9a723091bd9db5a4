//! The second order of DARTS.

use pada_exec::{Batch, SgdStep, State};
use pada_graph::Graph;

use super::{Differentiable, FactorGradient};
use crate::TrainError;
use crate::rules::StepContext;
use crate::rules::search_images::SearchBatch;

impl Differentiable {
    /// Computes the gradient of the validation loss at the weights after a virtual step on the training batch, with respect to the factors:
    /// d − ξ · (g(w + εv) − g(w − εv)) / 2ε. Weights and running statistics are restored.
    pub(super) fn second_order(
        &mut self,
        ctx: &mut StepContext<'_>,
        graph: &Graph,
        batch: &Batch<'_>,
        validation: &SearchBatch,
    ) -> Result<(f64, FactorGradient), TrainError> {
        let (start, momentum) = (ctx.executor.read(State::Weights), ctx.executor.read(State::Momentum));
        let layout = ctx.net.weights();
        let is_trained: Vec<bool> = {
            let flags = layout.iter().flat_map(|(id, spec)| vec![layout.is_trained(id); spec.numel()]);
            flags.collect()
        };
        let path = self.strongest();
        // The two passes that are subtracted must drop the same paths, so nothing is dropped.
        let dropping = ctx.drop_path.take();
        ctx.executor.zero_gradient();
        ctx.pass_graph(path.clone(), graph, 1.0, batch)?;
        let gradient = ctx.executor.read(State::Gradient);
        let SgdStep { lr, momentum: keep, weight_decay, .. } = ctx.sgd;
        let moved = |i: usize| match is_trained[i] {
            true => start[i] - lr * (keep * momentum[i] + gradient[i] + weight_decay * start[i]),
            false => start[i],
        };
        let virtual_weights: Vec<f32> = (0..start.len()).map(moved).collect();
        ctx.executor.write(State::Weights, &virtual_weights);
        let loss = self.validate(ctx, graph, validation)?;
        let FactorGradient { mut factors, mut edges } = self.factor_gradient(ctx.executor);
        let direction = ctx.executor.read(State::Gradient);
        let squares = direction.iter().zip(&is_trained).filter(|(_, trained)| **trained);
        let norm = squares.map(|(v, _)| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        if norm > 0.0 {
            let epsilon = 0.01 / norm;
            for sign in [1.0, -1.0] {
                let step = (sign * epsilon) as f32;
                let at = |i: usize| if is_trained[i] { start[i] + step * direction[i] } else { start[i] };
                let weights: Vec<f32> = (0..start.len()).map(at).collect();
                ctx.executor.write(State::Weights, &weights);
                ctx.executor.zero_gradient();
                ctx.pass_graph(path.clone(), graph, 1.0, batch)?;
                let other = self.factor_gradient(ctx.executor);
                let share = -f64::from(lr) * sign / (2.0 * epsilon);
                let own = factors.iter_mut().flatten().zip(other.factors.into_iter().flatten());
                own.for_each(|(slope, other)| *slope += share * other);
                edges.iter_mut().zip(other.edges).for_each(|(slope, other)| *slope += share * other);
            }
        }
        ctx.executor.write(State::Weights, &start);
        ctx.drop_path = dropping;
        Ok((loss, FactorGradient { factors, edges }))
    }
}
