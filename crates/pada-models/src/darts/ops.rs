//! The candidate operations of DARTS as sequences of modules.
//!
//! Source: `operations.py` of <https://github.com/quark0/darts>.

use pada_space::DartsOp;

use crate::nb201::Norms;
use crate::steps::{Modules, Step, Steps};
use pada_graph::{Conv, Extent, Init, Owner, Pool};

/// Naming of an operation's modules in PyTorch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// The operation is a `Sequential`: `name.1.weight`.
    Plain,
    /// The operation is a module with a field `op`, as in `quark0/darts`: `name.op.1.weight`.
    Field,
}

impl Naming {
    fn entry(self, name: &str, place: usize) -> String {
        match self {
            Self::Plain => format!("{name}.{place}"),
            Self::Field => format!("{name}.op.{place}"),
        }
    }
}

/// Creates an operation on `c` channels.
pub(super) fn operation(
    m: &mut Modules,
    name: &str,
    op: DartsOp,
    [c, stride]: [usize; 2],
    naming: Naming,
    owner: Option<&Owner>,
) -> Steps {
    let pool = Pool { kernel: 3, stride, padding: 1 };
    let separable = |m: &mut Modules, kernel| {
        let mut steps = depthwise_norm(m, name, [c, kernel, stride, 1], 0, naming, owner);
        steps.extend(depthwise_norm(m, name, [c, kernel, 1, 1], 4, naming, owner));
        steps
    };
    match op {
        DartsOp::None => vec![Step::Zero { stride }],
        DartsOp::MaxPool3x3 => pooled(m, Step::MaxPool(pool), &format!("{name}.1"), c, owner),
        DartsOp::AvgPool3x3 => pooled(m, Step::AvgPool(pool), &format!("{name}.1"), c, owner),
        DartsOp::Skip if stride == 1 => vec![],
        DartsOp::Skip => factorized_reduce(m, name, [c, c], owner),
        DartsOp::SepConv3x3 => separable(m, 3),
        DartsOp::SepConv5x5 => separable(m, 5),
        DartsOp::SepConv7x7 => separable(m, 7),
        DartsOp::DilConv3x3 => depthwise_norm(m, name, [c, 3, stride, 2], 0, naming, owner),
        DartsOp::DilConv5x5 => depthwise_norm(m, name, [c, 5, stride, 2], 0, naming, owner),
        DartsOp::Conv7x1And1x7 => {
            let mut along = |extent: Extent, place: usize| {
                let shape = if extent == Extent::Row { vec![c, c, 1, 7] } else { vec![c, c, 7, 1] };
                let init = Init::Uniform { fan_in: 7 * c };
                let weight = m.push(format!("{name}.{place}.weight"), shape, init, owner);
                Step::Conv(Conv { extent, ..Conv::same(weight, c, 7, stride) })
            };
            let convs = [along(Extent::Row, 1), along(Extent::Column, 2)];
            let norm = m.norm(&format!("{name}.3"), c, owner);
            [Step::Relu].into_iter().chain(convs).chain([Step::Norm(norm)]).collect()
        }
    }
}

/// The search network has a norm after every pooling.
fn pooled(m: &mut Modules, pool: Step, norm: &str, c: usize, owner: Option<&Owner>) -> Steps {
    match m.norms {
        Norms::Plain => vec![pool, Step::Norm(m.norm(norm, c, owner))],
        _ => vec![pool],
    }
}

/// ReLU, depthwise convolution, 1×1 convolution, norm: entries `first` to `first + 3`.
fn depthwise_norm(
    m: &mut Modules,
    name: &str,
    [c, kernel, stride, dilation]: [usize; 4],
    first: usize,
    naming: Naming,
    owner: Option<&Owner>,
) -> Steps {
    let padding = dilation * (kernel - 1) / 2;
    let conv = m.depthwise(&naming.entry(name, first + 1), c, kernel, stride, owner);
    let point = m.conv(&naming.entry(name, first + 2), [c, c], 1, 1, owner);
    let norm = m.norm(&naming.entry(name, first + 3), c, owner);
    vec![Step::Relu, Step::Conv(Conv { padding, dilation, ..conv }), Step::Conv(point), Step::Norm(norm)]
}

/// ReLU, 1×1 convolution, norm.
pub(super) fn relu_conv_norm(m: &mut Modules, name: &str, channels: [usize; 2], naming: Naming) -> Steps {
    let conv = m.conv(&naming.entry(name, 1), channels, 1, 1, None);
    let norm = m.norm(&naming.entry(name, 2), channels[1], None);
    vec![Step::Relu, Step::Conv(conv), Step::Norm(norm)]
}

/// Factorised reduction of stride 2: one 1×1 convolution reads the even pixels, the other the odd ones.
pub(super) fn factorized_reduce(
    m: &mut Modules,
    name: &str,
    [c_in, c_out]: [usize; 2],
    owner: Option<&Owner>,
) -> Steps {
    let even = m.conv(&format!("{name}.conv_1"), [c_in, c_out / 2], 1, 2, owner);
    let odd = m.conv(&format!("{name}.conv_2"), [c_in, c_out - c_out / 2], 1, 2, owner);
    let norm = m.norm(&format!("{name}.bn"), c_out, owner);
    vec![Step::Relu, Step::Both(even, Conv { offset: 1, ..odd }), Step::Norm(norm)]
}
