use super::message::{
    AttributeProto, AttributeType, DataType, DimensionProto, Extent, GraphProto, NodeProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use super::{BATCH, INPUT, OUTPUT};
use crate::graph::Node;
use crate::op::{Conv, Norm, Op, Pool, Shape, Statistics};
use crate::{Frozen, Lower, NodeId, WeightId};

/// Slices that go on to the end say so.
const TO_THE_END: i64 = i64::MAX;
/// Height and width of `[batch, C, H, W]`.
const IMAGE_AXES: [i64; 2] = [2, 3];

/// Turns the nodes of a network into those of an ONNX graph, one for one where ONNX has the operation. Every value but the output
/// is `[batch, C, H, W]`, a vector `[batch, C, 1, 1]`.
pub(super) struct Writer<'a> {
    frozen: &'a Frozen,
    /// Of the values, per node of the graph.
    names: Vec<String>,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(frozen: &'a Frozen) -> Self {
        let graph = frozen.graph();
        let mut names = graph.names(frozen.weights(), &[INPUT, OUTPUT]);
        let inputs = names.iter_mut().zip(graph.nodes()).filter(|(_, node)| node.op == Op::Input);
        inputs.for_each(|(name, _)| *name = INPUT.to_owned());
        Self { frozen, names, nodes: vec![], constants: vec![] }
    }

    pub(super) fn graph(mut self, name: &str, values: &[f32]) -> GraphProto {
        let (graph, layout) = (self.frozen.graph(), self.frozen.weights());
        assert_eq!(values.len(), layout.numel(), "one value for every weight of the layout");
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
            floats(&spec.name, &dims, &values[layout.range(id)])
        });
        GraphProto {
            name: name.to_owned(),
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
            // `Sum` takes any number, `Add` is what programs that read the file merge into convolutions.
            Op::Add if inputs.len() == 2 => self.push("Add", &name, inputs, vec![]),
            Op::Add => self.push("Sum", &name, inputs, vec![]),
            Op::Concat => self.push("Concat", &name, inputs, vec![int("axis", 1)]),
            Op::GlobalAvgPool => self.push("GlobalAveragePool", &name, inputs, vec![]),
            Op::Linear { weight, bias, .. } => self.linear(i, &name, inputs, [*weight, *bias]),
            // It drops nothing but in training.
            Op::DropPath { .. } => self.push("Identity", &name, inputs, vec![]),
            Op::Gate | Op::Align { .. } | Op::Auxiliary { .. } => unreachable!("a frozen network has none"),
        }
    }

    fn conv(&mut self, name: &str, mut inputs: Vec<String>, conv: &Conv) {
        // The first window begins at `offset − padding`: what lies before it is cut off, where that is inside of the image.
        if let Some(cut @ 1..) = conv.offset.checked_sub(conv.padding) {
            let cut = cut as i64;
            let [starts, ends, axes] = [
                (format!("cut_{cut}"), [cut; 2]),
                ("to_the_end".to_owned(), [TO_THE_END; 2]),
                ("image_axes".to_owned(), IMAGE_AXES),
            ]
            .map(|(name, values)| self.constant(integers(&name, &values)));
            let whole = inputs.remove(0);
            let rest = format!("{name}/cut");
            self.push("Slice", &rest, vec![whole, starts, ends, axes], vec![]);
            inputs.push(rest);
        }
        inputs.extend([conv.weight].into_iter().chain(conv.bias).map(|id| self.weight(id)));
        let first = conv.padding.saturating_sub(conv.offset);
        let attributes = vec![
            ints("kernel_shape", &conv.taps()),
            ints("strides", &[conv.stride; 2]),
            ints("pads", &[first, first, conv.padding, conv.padding]),
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

    /// Zeros for as many images as come in.
    fn zero(&mut self, name: &str, shape: Shape) {
        let [count, extent] = ["count", "extent"].map(|part| format!("{name}/{part}"));
        let attributes = vec![int("start", 0), int("end", 1)];
        self.push("Shape", &count, vec![INPUT.to_owned()], attributes);
        let dims = [shape.channels, shape.height, shape.width].map(|n| n as i64);
        let of_one = self.constant(integers(&format!("shape_{}_{}_{}", dims[0], dims[1], dims[2]), &dims));
        self.push("Concat", &extent, vec![count, of_one], vec![int("axis", 0)]);
        self.push("ConstantOfShape", name, vec![extent], vec![]);
    }

    /// A linear layer; the last one makes the output.
    fn linear(&mut self, i: usize, name: &str, inputs: Vec<String>, weights: [WeightId; 2]) {
        let flat = format!("{name}/flat");
        self.push("Flatten", &flat, inputs, vec![int("axis", 1)]);
        let inputs = std::iter::once(flat).chain(weights.map(|id| self.weight(id))).collect();
        let attributes = vec![int("transB", 1)];
        if i + 1 == self.names.len() {
            return self.push_to(OUTPUT, "Gemm", name, inputs, attributes);
        }
        let product = format!("{name}/product");
        self.push("Gemm", &product, inputs, attributes);
        let axes = self.constant(integers("image_axes", &IMAGE_AXES));
        self.push("Unsqueeze", name, vec![product, axes], vec![]);
    }

    fn value(&self, id: NodeId) -> String {
        self.names[id.0].clone()
    }

    fn weight(&self, id: WeightId) -> String {
        self.frozen.weights().spec(id).name.clone()
    }

    /// A node that is called like what it makes.
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

    /// The name of a constant, which stands in the file once however often it is asked for. Modules of PyTorch have no `/` in their
    /// names.
    fn constant(&mut self, mut tensor: TensorProto) -> String {
        let name = format!("constant/{}", tensor.name);
        tensor.name.clone_from(&name);
        if !self.constants.contains(&tensor) {
            self.constants.push(tensor);
        }
        name
    }
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

/// A value of f32 with these extents behind the batch.
fn value(name: &str, extents: &[usize]) -> ValueInfoProto {
    let known = extents.iter().map(|&n| Extent::DimValue(n as i64));
    let all = std::iter::once(Extent::DimParam(BATCH.to_owned())).chain(known);
    let dim = all.map(|extent| DimensionProto { value: Some(extent) }).collect();
    let shape = Some(TensorShapeProto { dim });
    let tensor_type = Some(TensorTypeProto { elem_type: DataType::Float.into(), shape });
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type }) }
}
