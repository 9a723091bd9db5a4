use std::collections::HashSet;

use super::message::{
    AttributeProto, AttributeType, DataType, DimensionProto, Extent, GraphProto, NodeProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use super::{BATCH, INPUT, OUTPUT};
use crate::graph::Node;
use crate::op::{Conv, Norm, Op, Pool, Shape, Statistics};
use crate::{Frozen, Lower, NodeId, WeightId};

/// End of a slice that reaches to the end of its axis.
const TO_THE_END: i64 = i64::MAX;
/// Height and width of `[batch, C, H, W]`.
const IMAGE_AXES: [i64; 2] = [2, 3];

/// Converts the nodes of a network to those of an ONNX graph, one to one if ONNX has the operation. Every value but the output is
/// `[batch, C, H, W]`; a vector is `[batch, C, 1, 1]`.
pub(super) struct Writer<'a> {
    frozen: &'a Frozen,
    /// The names of the values, one per node of the graph.
    names: Vec<String>,
    /// The names of the weights, in the order of the layout.
    weights: Vec<String>,
    unique: UniqueNames,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(frozen: &'a Frozen) -> Self {
        let graph = frozen.graph();
        let mut unique = UniqueNames::default();
        unique.taken.extend([INPUT.to_owned(), OUTPUT.to_owned()]);
        let weights = frozen.weights().iter().map(|(_, spec)| unique.name(&spec.name)).collect();
        let names = graph.names(frozen.weights(), &[INPUT, OUTPUT]);
        let names = names.iter().zip(graph.nodes()).map(|(name, node)| match node.op {
            Op::Input => INPUT.to_owned(),
            _ => unique.name(name),
        });
        let names = names.collect();
        Self { frozen, names, weights, unique, nodes: vec![], constants: vec![] }
    }

    pub(super) fn graph(mut self, name: &str, values: &[f32]) -> GraphProto {
        let (graph, layout) = (self.frozen.graph(), self.frozen.weights());
        for (i, node) in graph.nodes().iter().enumerate() {
            self.node(i, node);
        }
        let mut inner: Vec<_> = self.names.clone().into_iter().zip(graph.nodes()).collect();
        if matches!(graph.output().op, Op::Linear { .. }) {
            inner.pop();
        } else {
            let last = self.names[self.names.len() - 1].clone();
            self.push("Flatten", OUTPUT, vec![last], vec![int("axis", 1)]);
        }
        inner.retain(|(_, node)| node.op != Op::Input);
        let weights = layout.iter().map(|(id, spec)| {
            let dims: Vec<_> = spec.shape.iter().map(|&n| n as i64).collect();
            floats(&self.weights[id.0], &dims, &values[layout.range(id)])
        });
        GraphProto {
            name: valid_name(name),
            initializer: weights.chain(self.constants).collect(),
            input: vec![value(INPUT, &extents(self.frozen.input()))],
            output: vec![value(OUTPUT, &[graph.output().shape.numel()])],
            value_info: inner.iter().map(|(name, node)| value(name, &extents(node.shape))).collect(),
            node: self.nodes,
        }
    }

    fn node(&mut self, i: usize, node: &Node) {
        let name = self.names[i].clone();
        let inputs: Vec<String> = node.inputs.iter().map(|x| self.value(*x)).collect();
        match &node.op {
            Op::Input => {}
            Op::Zero => self.zero(&name, node.shape),
            Op::Conv(conv) => self.conv(&name, inputs, conv),
            Op::Norm(norm) => self.norm(&name, inputs, norm, node.shape.channels),
            Op::Relu => self.push("Relu", &name, inputs, vec![]),
            Op::Relu6 => {
                let bounds =
                    [("zero", 0.0), ("six", 6.0)].map(|(name, v)| self.constant(floats(name, &[], &[v])));
                self.push("Clip", &name, inputs.into_iter().chain(bounds).collect(), vec![]);
            }
            Op::AvgPool(pool) => {
                let mut attributes = window(*pool);
                attributes.push(int("count_include_pad", 0));
                self.push("AveragePool", &name, inputs, attributes);
            }
            Op::MaxPool(pool) => self.push("MaxPool", &name, inputs, window(*pool)),
            // `Sum` takes any number of inputs, but runtimes fuse only `Add` into convolutions.
            Op::Add if inputs.len() == 2 => self.push("Add", &name, inputs, vec![]),
            Op::Add => self.push("Sum", &name, inputs, vec![]),
            Op::Concat => self.push("Concat", &name, inputs, vec![int("axis", 1)]),
            Op::GlobalAvgPool => self.push("GlobalAveragePool", &name, inputs, vec![]),
            Op::Linear { weight, bias, .. } => self.linear(i, &name, inputs, [*weight, *bias]),
            // Drop-path and dropout are the identity in evaluation mode.
            Op::DropPath { .. } | Op::Dropout { .. } => self.push("Identity", &name, inputs, vec![]),
            Op::Scale { factors, index } => {
                let weights = self.weight(*factors);
                let at = self.constant(integers(&format!("index_{index}"), &[*index as i64]));
                let [flat, factor] =
                    ["flat", "factor"].map(|part| self.unique.name(&format!("{name}.{part}")));
                self.push("Flatten", &flat, vec![weights], vec![int("axis", 0)]);
                self.push("Gather", &factor, vec![flat, at], vec![int("axis", 1)]);
                self.push("Mul", &name, vec![inputs[0].clone(), factor], vec![]);
            }
            Op::SelectChannels { order } => {
                let order: Vec<i64> = order.iter().map(|&channel| channel as i64).collect();
                let order = self.constant(integers(&format!("{name}.order"), &order));
                self.push("Gather", &name, vec![inputs[0].clone(), order], vec![int("axis", 1)]);
            }
            Op::Gate => {
                let share = self.unique.name(&format!("{name}.sigmoid"));
                self.push("Sigmoid", &share, vec![inputs[1].clone()], vec![]);
                self.push("Mul", &name, vec![inputs[0].clone(), share], vec![]);
            }
            Op::Align { .. } | Op::Auxiliary { .. } => unreachable!("a frozen network has none"),
        }
    }

    fn conv(&mut self, name: &str, mut inputs: Vec<String>, conv: &Conv) {
        // The first window starts at `offset − padding`. Pixels before it are sliced off if they lie inside the image.
        if let Some(cut @ 1..) = conv.offset.checked_sub(conv.padding) {
            let cut = cut as i64;
            let [starts, ends, axes] = [
                (format!("start_{cut}"), [cut; 2]),
                ("to_the_end".to_owned(), [TO_THE_END; 2]),
                ("image_axes".to_owned(), IMAGE_AXES),
            ]
            .map(|(name, values)| self.constant(integers(&name, &values)));
            let whole = inputs.remove(0);
            let rest = self.unique.name(&format!("{name}.sliced"));
            self.push("Slice", &rest, vec![whole, starts, ends, axes], vec![]);
            inputs.push(rest);
        }
        inputs.extend([conv.weight].into_iter().chain(conv.bias).map(|id| self.weight(id)));
        let axes = conv.axes();
        let [top, left] = axes.map(|axis| axis.padding.saturating_sub(conv.offset));
        let [bottom, right] = axes.map(|axis| axis.padding);
        let attributes = vec![
            ints("kernel_shape", &conv.taps()),
            ints("strides", &axes.map(|axis| axis.stride)),
            ints("pads", &[top, left, bottom, right]),
            ints("dilations", &[conv.dilation; 2]),
            int("group", conv.groups as i64),
        ];
        self.push("Conv", name, inputs, attributes);
    }

    fn norm(&mut self, name: &str, mut inputs: Vec<String>, norm: &Norm, channels: usize) {
        let Statistics::Running { mean, var, .. } = norm.statistics else {
            unreachable!("a frozen network has no statistics of the batch")
        };
        let affine = match norm.affine {
            Some((scale, shift)) => [scale, shift].map(|id| self.weight(id)),
            None => [("ones", 1.0), ("zeros", 0.0)].map(|(name, value)| {
                let name = format!("{name}_{channels}");
                self.constant(floats(&name, &[channels as i64], &vec![value; channels]))
            }),
        };
        inputs.extend(affine);
        inputs.extend([mean, var].map(|id| self.weight(id)));
        self.push("BatchNormalization", name, inputs, vec![float("epsilon", norm.eps)]);
    }

    /// Zeros for the batch size of the input.
    fn zero(&mut self, name: &str, shape: Shape) {
        let [count, extent] = ["count", "extent"].map(|part| self.unique.name(&format!("{name}.{part}")));
        let attributes = vec![int("start", 0), int("end", 1)];
        self.push("Shape", &count, vec![INPUT.to_owned()], attributes);
        let dims = [shape.channels, shape.height, shape.width].map(|n| n as i64);
        let of_one = self.constant(integers(&format!("shape_{}_{}_{}", dims[0], dims[1], dims[2]), &dims));
        self.push("Concat", &extent, vec![count, of_one], vec![int("axis", 0)]);
        self.push("ConstantOfShape", name, vec![extent], vec![]);
    }

    /// A linear layer. The last one is the output.
    fn linear(&mut self, i: usize, name: &str, inputs: Vec<String>, weights: [WeightId; 2]) {
        let flat = self.unique.name(&format!("{name}.flat"));
        self.push("Flatten", &flat, inputs, vec![int("axis", 1)]);
        let inputs = std::iter::once(flat).chain(weights.map(|id| self.weight(id))).collect();
        let attributes = vec![int("transB", 1)];
        if i + 1 == self.names.len() {
            return self.push_to(OUTPUT, "Gemm", name, inputs, attributes);
        }
        let product = self.unique.name(&format!("{name}.product"));
        self.push("Gemm", &product, inputs, attributes);
        let axes = self.constant(integers("image_axes", &IMAGE_AXES));
        self.push("Unsqueeze", name, vec![product, axes], vec![]);
    }

    fn value(&self, id: NodeId) -> String {
        self.names[id.0].clone()
    }

    fn weight(&self, id: WeightId) -> String {
        self.weights[id.0].clone()
    }

    /// Adds a node that has the name of its output.
    fn push(&mut self, op: &str, name: &str, input: Vec<String>, attribute: Vec<AttributeProto>) {
        self.push_to(name, op, name, input, attribute);
    }

    fn push_to(
        &mut self,
        output: &str,
        op: &str,
        name: &str,
        input: Vec<String>,
        attribute: Vec<AttributeProto>,
    ) {
        let (name, output) = (name.to_owned(), vec![output.to_owned()]);
        self.nodes.push(NodeProto { op_type: op.to_owned(), name, input, output, attribute });
    }

    /// Returns the name of a constant. Equal constants are stored once.
    fn constant(&mut self, mut tensor: TensorProto) -> String {
        let same = |known: &&TensorProto| {
            (&known.dims, known.data_type, &known.raw_data)
                == (&tensor.dims, tensor.data_type, &tensor.raw_data)
        };
        if let Some(known) = self.constants.iter().find(same) {
            return known.name.clone();
        }
        tensor.name = self.unique.name(&format!("constant.{}", tensor.name));
        self.constants.push(tensor);
        self.constants[self.constants.len() - 1].name.clone()
    }
}

/// Hands out valid names, each of them once.
#[derive(Default)]
struct UniqueNames {
    taken: HashSet<String>,
}

impl UniqueNames {
    fn name(&mut self, name: &str) -> String {
        let name = valid_name(name);
        let others = (2..).map(|n| format!("{name}.{n}"));
        let free = std::iter::once(name.clone()).chain(others).find(|name| !self.taken.contains(name));
        let free = free.expect("there are more numbers than names");
        self.taken.insert(free.clone());
        free
    }
}

/// Replaces every run of characters other than ASCII letters, digits, `_` and `.` by one `_`: `edges.3<-0.1` becomes `edges.3_0.1`.
///
/// Weights of an exported model have this name, unless two weights would have the same one.
pub fn valid_name(name: &str) -> String {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let mut out = String::with_capacity(name.len());
    let mut replaced = false;
    for c in name.chars() {
        if valid(c) {
            out.push(c);
        } else if !replaced {
            out.push('_');
        }
        replaced = !valid(c);
    }
    out
}

fn window(pool: Pool) -> Vec<AttributeProto> {
    vec![
        ints("kernel_shape", &[pool.kernel; 2]),
        ints("strides", &[pool.stride; 2]),
        ints("pads", &[pool.padding; 4]),
    ]
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { i: Some(i), ..attribute(name, AttributeType::Int) }
}

fn ints(name: &str, values: &[usize]) -> AttributeProto {
    let ints = values.iter().map(|&n| n as i64).collect();
    AttributeProto { ints, ..attribute(name, AttributeType::Ints) }
}

fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto { f: Some(f), ..attribute(name, AttributeType::Float) }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: kind.into(), ..Default::default() }
}

fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    let raw_data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    TensorProto { name: name.to_owned(), dims: dims.to_vec(), data_type: DataType::Float.into(), raw_data }
}

fn integers(name: &str, values: &[i64]) -> TensorProto {
    let raw_data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let (name, dims) = (name.to_owned(), vec![values.len() as i64]);
    TensorProto { name, dims, data_type: DataType::Int64.into(), raw_data }
}

fn extents(shape: Shape) -> [usize; 3] {
    [shape.channels, shape.height, shape.width]
}

/// A value of f32 with these dimensions after the batch.
fn value(name: &str, extents: &[usize]) -> ValueInfoProto {
    let known = extents.iter().map(|&n| Extent::DimValue(n as i64));
    let all = std::iter::once(Extent::DimParam(BATCH.to_owned())).chain(known);
    let dim = all.map(|extent| DimensionProto { value: Some(extent) }).collect();
    let shape = Some(TensorShapeProto { dim });
    let tensor_type = Some(TensorTypeProto { elem_type: DataType::Float.into(), shape });
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type }) }
}
