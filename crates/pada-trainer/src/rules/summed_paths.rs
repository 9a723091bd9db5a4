use pada_graph::Batch;

use super::{StepContext, StepOutcome, TrainRule};
use crate::TrainError;

/// The gradients of all paths of a step are summed, clipped once, and moved along once. With one path a step this is how
/// SPOS and PA&DA train, with the paths of [`pada_sampler::FairPaths`] it is FairNAS.
#[derive(Clone, Copy, Debug, Default)]
pub struct SummedPaths;

impl TrainRule for SummedPaths {
    fn step(&mut self, ctx: &mut StepContext<'_>, batch: &Batch<'_>) -> Result<StepOutcome, TrainError> {
        ctx.executor.zero_gradient();
        let mut passes = Vec::new();
        for path in ctx.paths.next_paths(ctx.path_rng) {
            let weight = ctx.paths.loss_weight(&path);
            passes.push(ctx.pass(path, weight, batch)?);
        }
        ctx.descend(passes)
    }
}
