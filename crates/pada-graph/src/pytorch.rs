//! Python source of a network as a PyTorch module.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::op::{Norm, Op, Statistics};
use crate::{Frozen, Lower, NodeId, WeightId};

impl Frozen {
    /// Writes the network as a Python file with the class `Network`, a `torch.nn.Module` that needs PyTorch alone, and the function `load`,
    /// which reads its weights from a state dict with the names of [`Lower::weights`].
    ///
    /// `about` becomes the constant `ABOUT`. In training mode, batch norms use the statistics of the batch. Drop-path, dropout and auxiliary
    /// classifiers are not part of the network.
    pub fn to_pytorch(&self, about: &BTreeMap<String, String>) -> String {
        let (layout, input) = (self.weights(), self.input());
        let mut text = HEAD.to_owned();
        text += "ABOUT = {\n";
        for (key, value) in about {
            writeln!(text, "    {}: {},", quoted(key), quoted(value)).expect(INTO_MEMORY);
        }
        text += "}\n\n# Names and shapes of the parameters.\nPARAMETERS = [\n";
        let mut table = |trained: bool| {
            for (_, spec) in layout.iter().filter(|(id, _)| layout.is_trained(*id) == trained) {
                writeln!(text, "    ({}, {:?}),", quoted(&spec.name), spec.shape).expect(INTO_MEMORY);
            }
            text += "]\n";
            if trained {
                text += "# Names and shapes of the running statistics.\nBUFFERS = [\n";
            }
        };
        table(true);
        table(false);
        text += CLASS;
        writeln!(text, "        # images: [batch, {}, {}, {}]", input.channels, input.height, input.width)
            .expect(INTO_MEMORY);
        for (i, node) in self.graph().nodes().iter().enumerate() {
            let inputs: Vec<String> = node.inputs.iter().map(|&input| value(input)).collect();
            let line =
                self.line(&node.op, &inputs, [node.shape.channels, node.shape.height, node.shape.width]);
            writeln!(text, "        x{i} = {line}").expect(INTO_MEMORY);
        }
        let last = self.graph().nodes().len() - 1;
        writeln!(text, "        return x{last}.flatten(1)").expect(INTO_MEMORY);
        text + TAIL
    }

    fn line(&self, op: &Op, inputs: &[String], [channels, height, width]: [usize; 3]) -> String {
        let weight = |id: WeightId| format!("w[{}]", quoted(&self.weights().spec(id).name));
        let x = || inputs[0].as_str();
        match op {
            Op::Input => "images".to_owned(),
            Op::Zero => format!("images.new_zeros(images.shape[0], {channels}, {height}, {width})"),
            Op::Conv(conv) => {
                let x = match conv.offset {
                    0 => x().to_owned(),
                    offset => format!("{}[:, :, {offset}:, {offset}:]", x()),
                };
                let [along_height, along_width] = conv.axes();
                let bias = conv.bias.map_or_else(|| "None".to_owned(), weight);
                format!(
                    "F.conv2d({x}, {}, {bias}, stride=({}, {}), padding=({}, {}), dilation={}, groups={})",
                    weight(conv.weight),
                    along_height.stride,
                    along_width.stride,
                    along_height.padding,
                    along_width.padding,
                    conv.dilation,
                    conv.groups
                )
            }
            Op::Norm(Norm { affine, eps, statistics: Statistics::Running { mean, var, momentum } }) => {
                let [scale, shift] = match affine {
                    Some((scale, shift)) => [weight(*scale), weight(*shift)],
                    None => ["None".to_owned(), "None".to_owned()],
                };
                let (mean, var) = (weight(*mean), weight(*var));
                format!(
                    "F.batch_norm({}, {mean}, {var}, {scale}, {shift}, self.training, {momentum}, {eps:e})",
                    x()
                )
            }
            Op::Norm(_) => unreachable!("every norm of a frozen network has running statistics"),
            Op::Relu => format!("F.relu({})", x()),
            Op::Relu6 => format!("F.relu6({})", x()),
            Op::AvgPool(pool) => format!(
                "F.avg_pool2d({}, {}, {}, {}, count_include_pad=False)",
                x(),
                pool.kernel,
                pool.stride,
                pool.padding
            ),
            Op::MaxPool(pool) => {
                format!("F.max_pool2d({}, {}, {}, {})", x(), pool.kernel, pool.stride, pool.padding)
            }
            Op::Add => inputs.join(" + "),
            Op::Concat => format!("torch.cat([{}], 1)", inputs.join(", ")),
            Op::GlobalAvgPool => format!("{}.mean((2, 3), keepdim=True)", x()),
            Op::Gate => format!("{} * torch.sigmoid({})", x(), inputs[1]),
            Op::Linear { weight: matrix, bias, .. } => format!(
                "F.linear({}.flatten(1), {}, {})[:, :, None, None]",
                x(),
                weight(*matrix),
                weight(*bias)
            ),
            Op::Scale { factors, index } => format!("{} * {}.flatten()[{index}]", x(), weight(*factors)),
            Op::SelectChannels { order } => format!("{}[:, {order:?}]", x()),
            // They are the identity in evaluation mode.
            Op::DropPath { .. } | Op::Dropout { .. } => x().to_owned(),
            Op::Align { .. } | Op::Auxiliary { .. } => unreachable!("a frozen network has no side nodes"),
        }
    }
}

/// Returns the file of the Python module that an export to PyTorch writes beside a file of weights: with the same name, if Python can import it.
///
/// Otherwise, `_` replaces characters that no name has, comes before a digit at the start, and follows a keyword or the name of PyTorch.
pub fn module_file(weights: &Path) -> PathBuf {
    const TAKEN: [&str; 36] = [
        "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
        "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in",
        "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
        "torch",
    ];
    let stem = weights.file_stem().unwrap_or_default().to_string_lossy();
    let is_valid = |c: char| c.is_ascii_digit() || c.is_alphabetic() || c == '_';
    let mut name: String = stem.chars().map(|c| if is_valid(c) { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    if TAKEN.contains(&name.as_str()) {
        name.push('_');
    }
    weights.with_file_name(name + ".py")
}

/// Returns whether the bytes of a file are Python source that [`Frozen::to_pytorch`] wrote.
pub fn is_exported_module(bytes: &[u8]) -> bool {
    let first = HEAD.lines().next().unwrap_or_default();
    bytes.starts_with(first.as_bytes())
}

const INTO_MEMORY: &str = "a string takes every text";

fn value(id: NodeId) -> String {
    format!("x{}", id.0)
}

/// Writes a Python string.
fn quoted(text: &str) -> String {
    // JSON's escapes are a part of Python's.
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\r', "\\r");
    format!("\"{escaped}\"")
}

const HEAD: &str = r#""""A network that pada exported. It needs PyTorch alone:

    net = load("NAME.pt")          # the state dict that was written beside this file
    logits = net(normalised)       # (images in 0..1 - mean) / standard deviation, see ABOUT
"""
import torch
from torch import nn
from torch.nn import functional as F

"#;

const CLASS: &str = r#"

def _register(module, name, tensor, is_buffer):
    *path, leaf = name.split(".")
    for part in path:
        if part not in module._modules:
            module._modules[part] = nn.Module()
        module = module._modules[part]
    if is_buffer:
        module.register_buffer(leaf, tensor)
    else:
        module.register_parameter(leaf, nn.Parameter(tensor))


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        for name, shape in PARAMETERS:
            _register(self, name, torch.zeros(shape), False)
        for name, shape in BUFFERS:
            _register(self, name, torch.zeros(shape), True)

    def forward(self, images):
        w = dict(self.named_parameters())
        w.update(self.named_buffers())
"#;

const TAIL: &str = r#"

def load(path):
    """Returns the network with the weights of a state dict, in evaluation mode."""
    net = Network()
    net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return net.eval()
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_has_a_name_that_python_can_import() {
        for (weights, module) in [
            ("a/best.pt", "a/best.py"),
            ("netz_ä2.pt", "netz_ä2.py"),
            ("my-net.v1.pth", "my_net_v1.py"),
            ("242333.pt", "_242333.py"),
            ("class.pt", "class_.py"),
            ("torch.pt", "torch_.py"),
        ] {
            assert_eq!(module_file(Path::new(weights)), Path::new(module));
        }
    }
}
