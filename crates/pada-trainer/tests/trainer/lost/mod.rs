//! An executor whose device is lost after its last pass.

use std::borrow::Cow;

use pada_exec::{Batch, ExecError, Executor, Images, Logits, LossSpec, SgdStep, State, StepStats};
use pada_graph::{Graph, WeightId, WeightLayout};

/// What it read is worth nothing, and it says so when it is asked.
pub(crate) struct Lost(pub(crate) Box<dyn Executor>);

impl Executor for Lost {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn layout(&self) -> &WeightLayout {
        self.0.layout()
    }

    fn logits(&mut self, graph: &Graph, images: &Images<'_>) -> Result<Logits, ExecError> {
        self.0.logits(graph, images)
    }

    fn recalibrate(&mut self, graph: &Graph, images: &Images<'_>, share: f64) -> Result<(), ExecError> {
        self.0.recalibrate(graph, images, share)
    }

    fn zero_gradient(&mut self) {
        self.0.zero_gradient();
    }

    fn gradients(
        &mut self,
        graph: &Graph,
        batch: &Batch<'_>,
        loss: &LossSpec<'_>,
    ) -> Result<StepStats, ExecError> {
        self.0.gradients(graph, batch, loss)
    }

    fn gradient_norms(&self) -> Vec<f64> {
        self.0.gradient_norms()
    }

    fn gradient(&self, id: WeightId) -> Cow<'_, [f32]> {
        self.0.gradient(id)
    }

    fn update(&mut self, step: &SgdStep) {
        self.0.update(step);
    }

    fn read(&self, state: State) -> Vec<f32> {
        vec![0.0; self.0.read(state).len()]
    }

    fn write(&mut self, state: State, values: &[f32]) {
        self.0.write(state, values);
    }

    fn deferred_error(&self) -> Result<(), ExecError> {
        Err(ExecError::Backend { executor: self.name().to_owned(), message: "it is lost".to_owned() })
    }
}
