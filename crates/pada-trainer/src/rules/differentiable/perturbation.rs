//! The choices of DARTS-PT.

use pada_exec::State;
use pada_search::{Mixture, Relaxation};
use rand::RngExt;

use super::{Differentiable, DifferentiableMethod, first_epoch};
use crate::TrainError;
use crate::rules::StepContext;

impl Differentiable {
    /// The number of mixtures that DARTS-PT has chosen an operation for by the end of the first step of this epoch.
    fn due_choices(&self) -> usize {
        let DifferentiableMethod::Perturbation { start, .. } = self.config.method else { return 0 };
        let ([epoch, epochs], mixtures) = (self.state.epoch, self.state.chosen.len());
        let first = first_epoch(start, epochs);
        match epoch.checked_sub(first) {
            None => 0,
            // At the end of the run everything is chosen.
            Some(passed) => (passed * mixtures / (epochs - first).max(1) + 1).min(mixtures),
        }
    }

    /// Chooses operations for mixtures, in random order, until as many are chosen as are due.
    pub(super) fn choose(&mut self, ctx: &mut StepContext<'_>, batch: usize) -> Result<(), TrainError> {
        let last = self.state.epoch[0] + 1 == self.state.epoch[1];
        let due = if last { self.state.chosen.len() } else { self.due_choices() };
        if due > 0 && self.state.chosen.iter().all(Option::is_none) {
            // The weights start anew, with a small constant rate.
            let zeros = vec![0.0; ctx.net.weights().numel()];
            ctx.executor.write(State::Momentum, &zeros);
        }
        loop {
            let open: Vec<usize> =
                self.state.chosen.iter().enumerate().filter(|(_, op)| op.is_none()).map(|(i, _)| i).collect();
            if self.state.chosen.len() - open.len() >= due {
                return Ok(());
            }
            let place = open[ctx.rule_rng.random_range(0..open.len())];
            let ops = self.state.parameters.ops()[place].clone();
            let mut worst: Option<(usize, u8)> = None;
            for (index, &op) in ops.iter().enumerate() {
                let mut mixture = self.mix(Relaxation::Softmax, ctx.rule_rng);
                mixture.factors[place][index] = 0.0;
                let correct = self.accuracy(ctx, &mixture, batch)?;
                // The operation whose removal costs most; of equal ones the first.
                if worst.is_none_or(|(least, _)| correct < least) {
                    worst = Some((correct, op));
                }
            }
            self.state.chosen[place] = worst.map(|(_, op)| op);
        }
    }

    /// Counts the validation images that a mixture classifies correctly.
    fn accuracy(
        &mut self,
        ctx: &mut StepContext<'_>,
        mixture: &Mixture,
        batch: usize,
    ) -> Result<usize, TrainError> {
        self.write_factors(mixture, ctx.executor);
        let graph = self.graph(ctx.net, &mixture.computed)?;
        let Some(validation) = &mut self.inputs.validation else { return Ok(0) };
        let all: Vec<u32> = (0..validation.len() as u32).collect();
        let mut correct = 0;
        for part in all.chunks(batch) {
            let part = validation.take(part, ctx.rule_rng)?;
            correct += ctx.executor.logits(&graph, &part.images())?.correct(&part.labels);
        }
        Ok(correct)
    }
}
