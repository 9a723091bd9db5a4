use pada_graph::{Batch, LossSpec};

use super::{PathOutcome, StepContext, StepOutcome, TrainRule};
use crate::error::NotFinite;
use crate::{TrainError, clip_factor, global_norm, op_gradient_norms};

/// The gradients of all paths of a step are summed, clipped once, and moved along once. With one path a step this is how
/// SPOS and PA&DA train.
#[derive(Clone, Copy, Debug, Default)]
pub struct SummedPaths;

impl TrainRule for SummedPaths {
    fn step(&mut self, ctx: &mut StepContext<'_>, batch: &Batch<'_>) -> Result<StepOutcome, TrainError> {
        ctx.executor.zero_gradient();
        let mut passes = Vec::new();
        for path in ctx.paths.next_paths(ctx.path_rng) {
            let graph = ctx.net.lower(&path)?.simplified();
            let loss =
                LossSpec { scale: ctx.paths.loss_weight(&path) as f32, image_weights: ctx.image_weights };
            let stats = ctx.executor.gradients(&graph, batch, &loss)?;
            if !stats.loss.is_finite() {
                return Err(NotFinite { what: "loss", value: stats.loss, path }.into());
            }
            passes.push((path, stats));
        }
        let mut used: Vec<_> = passes.iter().flat_map(|(path, _)| ctx.net.on_path(path)).collect();
        used.sort_unstable();
        used.dedup();
        (ctx.on_gradient)(&used, ctx.executor);

        let mut norms = ctx.executor.gradient_norms();
        let grad_norm = global_norm(&norms);
        if !grad_norm.is_finite() {
            let path = passes.swap_remove(0).0;
            return Err(NotFinite { what: "gradient norm", value: grad_norm, path }.into());
        }
        let factor = clip_factor(grad_norm, ctx.clip_norm);
        norms.iter_mut().for_each(|norm| *norm *= factor);
        ctx.executor.update(&pada_graph::SgdStep { gradient_scale: factor as f32, ..ctx.sgd });
        let outcome = |(path, stats): (_, pada_graph::StepStats)| PathOutcome {
            op_grad_norms: op_gradient_norms(ctx.net.weights(), &path, &norms, ctx.n_ops),
            path,
            loss: stats.loss,
            logits: stats.logits,
        };
        Ok(StepOutcome { paths: passes.into_iter().map(outcome).collect(), grad_norm })
    }
}
