use crate::steps::{Modules, Step, Steps, apply};
use pada_graph::{Conv, GraphBuilder, GraphError, NodeId, Pool, WeightId};

/// Output channels of its two convolutions.
const CHANNELS: [usize; 2] = [128, 768];

/// The auxiliary head: a second classifier inside the network, whose loss trains the cells before it.
///
/// # Source
/// `AuxiliaryHeadCIFAR` in <https://github.com/quark0/darts>, `cnn/model.py`.
#[derive(Clone, Debug)]
pub(super) struct AuxiliaryHead {
    steps: Steps,
    classifier: (WeightId, WeightId),
    share: f32,
}

impl AuxiliaryHead {
    pub(super) fn new(m: &mut Modules, channels: usize, classes: usize, share: f32) -> Self {
        let entry = |i: usize| format!("auxiliary_head.features.{i}");
        let [few, many] = CHANNELS;
        let reduce = m.conv(&entry(2), [channels, few], 1, 1, None);
        let first = m.norm(&entry(3), few, None);
        let whole = Conv { padding: 0, ..m.conv(&entry(5), [few, many], 2, 1, None) };
        let second = m.norm(&entry(6), many, None);
        let steps = vec![
            Step::Relu,
            Step::AvgPool(Pool { kernel: 5, stride: 3, padding: 0 }),
            Step::Conv(reduce),
            Step::Norm(first),
            Step::Relu,
            Step::Conv(whole),
            Step::Norm(second),
            Step::Relu,
        ];
        Self { steps, classifier: m.linear("auxiliary_head.classifier", many, classes), share }
    }

    pub(super) fn read(&self, g: &mut GraphBuilder<'_>, x: NodeId) -> Result<(), GraphError> {
        let x = apply(g, x, &self.steps)?;
        let logits = g.linear(x, self.classifier.0, self.classifier.1)?;
        g.auxiliary(logits, self.share);
        Ok(())
    }
}
