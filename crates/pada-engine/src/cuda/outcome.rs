//! Results of a pass for the host, and the loss.

use pada_exec::LossSpec;

use super::CudaError;
use super::arguments::{CountArgs, CrossEntropyArgs, Doubles, Floats, Ints, LogitsArgs, NONE, NormsArgs};
use super::results::Results;
use super::source::kernel;
use super::step::Step;
use crate::plan::BufferId;

impl Step<'_> {
    /// Launches the copy of the logits to the results.
    pub(super) fn read_logits(&self, results: &Results) -> Result<(), CudaError> {
        let head = &self.plan.buffers[self.plan.output];
        let args = LogitsArgs {
            logits: self.buffer(self.plan.output),
            out: results.logits,
            images: self.images as i64,
            classes: head.shape.channels as i64,
            stride: head.stride as i64,
        };
        self.each(kernel::read_logits, self.images * head.shape.channels, &args)
    }

    /// Launches the count of correctly classified images, which is added to `count`.
    pub(super) fn count(&self, labels: Ints, count: Doubles) -> Result<(), CudaError> {
        let head = &self.plan.buffers[self.plan.output];
        let args = CountArgs {
            logits: self.buffer(self.plan.output),
            labels,
            count,
            images: self.images as i64,
            classes: head.shape.channels as i64,
            stride: head.stride as i64,
        };
        self.start(kernel::count_correct, [1, 1, 1], &args)
    }

    /// Launches the L2 norms of the classifier's inputs, if the output is a linear layer.
    pub(super) fn feature_norms(&self, results: &Results) -> Result<(), CudaError> {
        let Some(source) = self.plan.classifier_input() else { return Ok(()) };
        let len = self.plan.buffers[source].len() as i64;
        let args =
            NormsArgs { x: self.buffer(source), out: results.features, images: self.images as i64, len };
        self.each(kernel::feature_norms, self.images, &args)
    }

    /// Launches the cross entropies of the output and the gradients of all logits.
    pub(super) fn loss(
        &self,
        spec: &LossSpec<'_>,
        labels: Ints,
        image_weights: Floats,
        losses: Doubles,
    ) -> Result<(), CudaError> {
        let backward_plan = self.plan.backward.as_ref().expect("the plan was compiled to train");
        let heads = std::iter::once((self.plan.output, 1.0_f32)).chain(self.plan.auxiliary.iter().copied());
        let mut begun: Vec<BufferId> = vec![];
        for (i, (head, share)) in heads.enumerate() {
            let start = backward_plan.starts.iter().find(|(buffer, _)| *buffer == head);
            let output_grad = self.gradient(backward_plan, start.expect("all logits have a gradient").1);
            let of = &self.plan.buffers[head];
            let args = CrossEntropyArgs {
                logits: self.buffer(head),
                labels,
                image_weights,
                output_grad,
                losses: if i == 0 { losses } else { Doubles(NONE) },
                scale: (spec.scale * share).into(),
                smoothing: spec.label_smoothing.into(),
                images: self.images as i64,
                classes: of.shape.channels as i64,
                stride: of.stride as i64,
                add: i64::from(begun.contains(&head)),
            };
            self.each(kernel::cross_entropy, self.images, &args)?;
            begun.push(head);
        }
        Ok(())
    }
}
