use super::DartsSkeleton;
use crate::steps::{Modules, Step, Steps, apply};
use pada_graph::{Conv, GraphBuilder, GraphError, NodeId, Pool, WeightId};

/// Output channels of its two convolutions.
const CHANNELS: [usize; 2] = [128, 768];

/// The auxiliary head: a second classifier inside the network, whose loss trains the cells before it.
///
/// # Source
/// `AuxiliaryHeadCIFAR` and `AuxiliaryHeadImageNet` in <https://github.com/quark0/darts>, `cnn/model.py`. The latter has no norm after its
/// second convolution, as the published network.
#[derive(Clone, Debug)]
pub(super) struct AuxiliaryHead {
    steps: Steps,
    classifier: (WeightId, WeightId),
    share: f32,
}

impl AuxiliaryHead {
    pub(super) fn new(
        m: &mut Modules,
        skeleton: DartsSkeleton,
        channels: usize,
        classes: usize,
        share: f32,
    ) -> Self {
        let entry = |i: usize| format!("auxiliary_head.features.{i}");
        let [few, many] = CHANNELS;
        let reduce = m.conv(&entry(2), [channels, few], 1, 1, None);
        let first = m.norm(&entry(3), few, None);
        let whole = Conv { padding: 0, ..m.conv(&entry(5), [few, many], 2, 1, None) };
        let stride = match skeleton {
            DartsSkeleton::Cifar => 3,
            DartsSkeleton::ImageNet => 2,
        };
        let mut steps = vec![
            Step::Relu,
            Step::AvgPool(Pool { kernel: 5, stride, padding: 0 }),
            Step::Conv(reduce),
            Step::Norm(first),
            Step::Relu,
            Step::Conv(whole),
        ];
        if skeleton == DartsSkeleton::Cifar {
            steps.push(Step::Norm(m.norm(&entry(6), many, None)));
        }
        steps.push(Step::Relu);
        Self { steps, classifier: m.linear("auxiliary_head.classifier", many, classes), share }
    }

    pub(super) fn read(&self, g: &mut GraphBuilder<'_>, x: NodeId) -> Result<(), GraphError> {
        let x = apply(g, x, &self.steps)?;
        let logits = g.linear(x, self.classifier.0, self.classifier.1)?;
        g.auxiliary(logits, self.share);
        Ok(())
    }
}
