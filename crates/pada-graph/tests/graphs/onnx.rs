//! Frozen networks and their ONNX models, read back from their bytes. That they compute the right thing is tested in pada, with
//! executors and onnxruntime.
use std::collections::{BTreeMap, HashSet};

use pada_graph::onnx::{DataType, Extent, ModelProto, NodeProto, ValueInfoProto};
use pada_graph::{
    Conv, Frozen, GraphBuilder, GraphError, Init, Lower, Shape, Statistics, WeightLayout, WeightSpec,
};
use pada_models::{DartsModel, DartsSize, DartsTraining, DropPath, MacroNet, MobileModel, Nb201Net, Norms};
use pada_space::{
    Arch, DARTS_NAMED, Genotype, MobileSpec, NasBenchMacro, Nb201, PROXYLESS_NAMED, SearchSpace, find_named,
};

const IMAGE: Shape = Shape { channels: 3, height: 32, width: 32 };

fn nb201(norms: Norms, arch: &str) -> (Nb201Net, Frozen) {
    let net = Nb201Net::new(4, 1, IMAGE, 10, norms);
    let frozen = Frozen::new(&net, &Nb201::new().parse(arch).unwrap()).unwrap();
    (net, frozen)
}

/// Numbers that say which they are.
fn counted(layout: &WeightLayout) -> Vec<f32> {
    (0..layout.numel()).map(|i| i as f32).collect()
}

fn model(frozen: &Frozen) -> ModelProto {
    let about = BTreeMap::from([("arch".to_owned(), "one".to_owned())]);
    let model = frozen.to_onnx("net", &counted(frozen.weights()), &about).unwrap();
    let read = ModelProto::from_bytes(&model.to_bytes()).unwrap();
    assert_eq!(read, model);
    read
}

/// Returns how often each operator is in a model, and the number of its initialisers.
fn counts(model: &ModelProto) -> (String, usize) {
    let graph = model.graph.as_ref().unwrap();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    graph.node.iter().for_each(|node| *counts.entry(&node.op_type).or_default() += 1);
    let text: Vec<String> = counts.iter().map(|(op, n)| format!("{n} {op}")).collect();
    (text.join(", "), graph.initializer.len())
}

/// Counted by hand from the networks' definitions.
#[test]
fn golden_counts_of_nodes_and_initialisers() {
    let (_, frozen) = nb201(Norms::Affine, "333333");
    // Stem, 3 cells of 6 edges, 2 reductions of 2 convolutions and a shortcut; all but the shortcuts with a norm, and the last norm.
    // Edges, reductions and the head begin with a ReLU. A cell has 1 sum of two and 1 of three terms.
    assert_eq!(
        counts(&model(&frozen)),
        (
            "5 Add, 2 AveragePool, 24 BatchNormalization, 25 Conv, 1 Flatten, 1 Gemm, 1 GlobalAveragePool, 23 Relu, \
             3 Sum"
                .to_owned(),
            25 + 4 * 24 + 2
        )
    );
    let (_, frozen) = nb201(Norms::Plain, "333333");
    // Convolutions of edges and reductions have a bias; norms without scale and shift read ones and zeros of 4, 8 and 16 channels.
    let initialisers = 25 + (18 + 4) + 2 * 24 + 2 + 3 * 2;
    assert_eq!(counts(&model(&frozen)).1, initialisers);
    assert_eq!((frozen.norms(), frozen.batch_norms()), (24, 24));

    let size = DartsSize { channels: 4, layers: 3, ..DartsSize::CIFAR };
    let genotype = Genotype::parse(find_named(DARTS_NAMED, "DARTS_V2").unwrap().text).unwrap();
    let frozen = Frozen::new(&DartsModel::new(&genotype, size), &Arch::new([])).unwrap();
    assert_eq!(frozen.batch_norms(), 0);
    let (nodes, initialisers) = counts(&model(&frozen));
    // Odd pixels of a factorised reduction are cut out of the image first; its starts, ends and axes are initialisers.
    let layout = frozen.weights();
    let halved = layout.iter().filter(|(_, spec)| spec.name.ends_with("conv_2.weight")).count();
    assert!(halved > 0 && nodes.contains(&format!("{halved} Slice")), "{nodes}");
    assert_eq!(initialisers, layout.len() + 3);
}

#[test]
fn every_network_is_connected_and_its_values_have_shapes() {
    let spec: MobileSpec = find_named(PROXYLESS_NAMED, "FairNAS_A").unwrap().text.parse().unwrap();
    let macro_net = MacroNet::new(IMAGE, 10, Norms::Running);
    let frozen = [
        nb201(Norms::Plain, "043012").1,
        nb201(Norms::Plain, "000000").1,
        Frozen::new(&MobileModel::new(&spec, IMAGE, 7), &Arch::new([])).unwrap(),
        Frozen::new(&macro_net, &NasBenchMacro.parse("01201201").unwrap()).unwrap(),
    ];
    for frozen in frozen {
        let graph = model(&frozen).graph.unwrap();
        let mut known: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(known.len(), graph.initializer.len());
        assert!(known.insert(&graph.input[0].name));
        let mut names = HashSet::new();
        for node in &graph.node {
            assert!(node.input.iter().all(|x| known.contains(x.as_str())), "{node:?}");
            assert!(node.output.iter().all(|y| known.insert(y)) && names.insert(&node.name), "{node:?}");
        }
        assert!(graph.value_info.iter().all(|value| known.contains(value.name.as_str())));
        let read: HashSet<&String> = graph.node.iter().flat_map(|node| &node.input).collect();
        assert!(graph.initializer.iter().all(|tensor| read.contains(&tensor.name)));
        assert_eq!(
            graph.output.iter().map(shape).collect::<Vec<_>>(),
            [format!("logits batch {}", frozen.graph().output().shape.channels)]
        );
        assert_eq!(graph.input.iter().map(shape).collect::<Vec<_>>(), ["images batch 3 32 32"]);
    }
}

fn shape(value: &ValueInfoProto) -> String {
    let tensor = value.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap();
    assert_eq!(tensor.elem_type(), DataType::Float);
    let extent = |extent: &Extent| match extent {
        Extent::DimValue(n) => n.to_string(),
        Extent::DimParam(name) => name.clone(),
    };
    let dims = tensor.shape.as_ref().unwrap().dim.iter().map(|dim| extent(dim.value.as_ref().unwrap()));
    std::iter::once(value.name.clone()).chain(dims).collect::<Vec<_>>().join(" ")
}

#[test]
fn names_are_those_of_pytorchs_modules() {
    let (_, frozen) = nb201(Norms::Plain, "000300");
    let model = model(&frozen);
    assert_eq!((model.ir_version, model.opset_import[0].version), (8, 17));
    assert_eq!((model.producer_name.as_str(), model.metadata_props[0].value.as_str()), ("pada", "one"));
    let graph = model.graph.unwrap();
    let node =
        |name: &str| -> NodeProto { graph.node.iter().find(|node| node.name == name).unwrap().clone() };
    let conv = node("cells.0.edges.3_0.3.op.1");
    let names = ["cells.0.edges.3_0.3.op.1.weight", "cells.0.edges.3_0.3.op.1.bias"];
    assert_eq!((conv.op_type.as_str(), &conv.input[1..]), ("Conv", &names.map(str::to_owned)[..]));
    let norm = node("cells.0.edges.3_0.3.op.1.norm");
    assert_eq!(norm.input[3], "cells.0.edges.3_0.3.op.1.norm.running_mean");
    assert_eq!(node("classifier").output, ["logits"]);
    // Kernel, stride, padding, dilation and groups of a 3×3 convolution.
    let ints: Vec<_> = conv.attribute.iter().map(|a| (a.name.as_str(), a.ints.clone(), a.i)).collect();
    let list = |n: i64, times: usize| vec![n; times];
    assert_eq!(
        ints[..3],
        [("kernel_shape", list(3, 2), None), ("strides", list(1, 2), None), ("pads", list(1, 4), None)]
    );
    assert_eq!(ints[3..], [("dilations", list(1, 2), None), ("group", vec![], Some(1))]);
}

#[test]
fn a_frozen_network_has_only_its_own_weights_with_their_values() {
    let (net, frozen) = nb201(Norms::Plain, "000300");
    let (from, own) = (net.weights(), frozen.weights());
    let mut values = frozen.values(from, &counted(from)).unwrap();
    assert!(own.len() < from.len());
    for (id, spec) in own.iter() {
        let found = &values[own.range(id)];
        match from.find(&spec.name) {
            Some(source) => assert_eq!(found[0], from.range(source).start as f32, "{}", spec.name),
            None => {
                let start = if spec.name.ends_with("running_mean") { 0.0 } else { 1.0 };
                assert!(!own.is_trained(id) && found.iter().all(|&v| v == start), "{}", spec.name);
            }
        }
    }
    let graph = frozen.graph();
    assert_eq!(graph, &frozen.lower(&Arch::new([])).unwrap());
    let is_running = |norm: &pada_graph::Norm| matches!(norm.statistics, Statistics::Running { .. });
    assert!(graph.nodes().iter().all(|node| !matches!(&node.op, pada_graph::Op::Norm(n) if !is_running(n))));
    // Norms whose statistics are still mean 0 and variance 1 are refused.
    let refused = frozen.to_onnx("net", &values, &BTreeMap::new()).unwrap_err();
    assert!(
        matches!(&refused, GraphError::UncalibratedNorms { count, .. } if *count == frozen.norms()),
        "{refused}"
    );
    assert!(refused.to_string().contains("Executor::recalibrate"), "{refused}");
    for (id, spec) in own.iter().filter(|(_, spec)| spec.name.ends_with("running_mean")) {
        assert_eq!(spec.shape.len(), 1);
        values[own.range(id)].fill(0.5);
    }
    assert_eq!(frozen.check_calibrated(&values), Ok(()));
    // The file's numbers are these, in little endian.
    let model = frozen.to_onnx("net", &values, &BTreeMap::new()).unwrap();
    let first = &model.graph.unwrap().initializer[0];
    let place = own.range(own.find(&first.name).unwrap());
    let bytes: Vec<u8> = values[place].iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(
        (first.name.as_str(), &first.dims, &first.raw_data),
        ("stem.0.weight", &vec![4, 3, 3, 3], &bytes)
    );
}

#[test]
fn gates_are_products_with_a_sigmoid() {
    let spec: MobileSpec = find_named(PROXYLESS_NAMED, "MnasNet_A1").unwrap().text.parse().unwrap();
    let frozen = Frozen::new(&MobileModel::new(&spec, IMAGE, 10), &Arch::new([])).unwrap();
    let (nodes, _) = counts(&model(&frozen));
    // Eight blocks have squeeze-and-excitation, and the classifier averages too.
    for part in ["8 Sigmoid", "8 Mul", "9 GlobalAveragePool"] {
        assert!(nodes.contains(part), "{nodes}");
    }
    assert!(ModelProto::from_bytes(b"no protobuf").is_err());
}

/// AmoebaNet's 1×7 and 7×1 convolutions of stride 2, one direction each.
#[test]
fn convolutions_along_one_direction_keep_the_other() {
    let genotype = Genotype::parse(find_named(DARTS_NAMED, "AmoebaNet").unwrap().text).unwrap();
    let size = DartsSize { channels: 4, layers: 3, ..DartsSize::CIFAR };
    let frozen = Frozen::new(&DartsModel::new(&genotype, size), &Arch::new([])).unwrap();
    let attributes = |node: &NodeProto| {
        ["kernel_shape", "strides", "pads"]
            .map(|name| node.attribute.iter().find(|a| a.name == name).unwrap().ints.clone())
    };
    let graph = model(&frozen).graph.unwrap();
    let convs = graph.node.iter().filter(|node| node.op_type == "Conv").map(attributes);
    let along: Vec<_> = convs.filter(|[kernel, ..]| kernel[0] != kernel[1]).collect();
    let row = [vec![1, 7], vec![1, 2], vec![0, 3, 0, 3]];
    let column = [vec![7, 1], vec![2, 1], vec![3, 0, 3, 0]];
    assert_eq!(along, [row.clone(), column.clone(), row, column]);
}

#[test]
fn what_only_adds_to_a_loss_is_gone() {
    let (net, frozen) = nb201(Norms::Plain, "333333");
    let [path, anchor] = ["333333", "222222"].map(|text| Nb201::new().parse(text).unwrap());
    let aligned = net.lower_aligned(&path, &anchor, 1.0).unwrap();
    let aligned = Frozen::from_graph(&aligned, net.weights(), IMAGE);
    assert_eq!(counts(&model(&aligned)), counts(&model(&frozen)));

    let size = DartsSize { channels: 4, layers: 3, ..DartsSize::CIFAR };
    let genotype = Genotype::parse(find_named(DARTS_NAMED, "DARTS_V2").unwrap().text).unwrap();
    let training = DartsTraining { auxiliary: Some(0.4), drop_path: DropPath::Edges };
    let net = DartsModel::to_train(&genotype, size, training);
    let trained = Frozen::from_graph(&net.lower_to_train(&Arch::new([])).unwrap(), net.weights(), IMAGE);
    let plain = Frozen::new(&net, &Arch::new([])).unwrap();
    assert_eq!(trained.weights(), plain.weights());
    assert!(trained.weights().iter().all(|(_, spec)| !spec.name.starts_with("auxiliary")));
    // Drop-path drops nothing outside of training; it is the only difference.
    let graph = |frozen: &Frozen| model(frozen).graph.unwrap();
    let drops = graph(&trained).node.iter().filter(|node| node.op_type == "Identity").count();
    assert!(drops > 0);
    assert_eq!(graph(&trained).node.len(), graph(&plain).node.len() + drops);
}

#[test]
fn names_of_nodes_differ_from_each_other_and_from_weights() {
    let mut layout = WeightLayout::new();
    let mut weight = |name: &str, shape: &[usize]| {
        layout.push(WeightSpec {
            name: name.into(),
            shape: shape.into(),
            init: Init::Constant(0.0),
            owner: None,
        })
    };
    let (w, shift, taken) = (weight("w.weight", &[3, 3, 1, 1]), weight("w", &[3]), weight("relu_3", &[3, 3]));
    let mut g = GraphBuilder::new(&layout);
    let x = g.input(IMAGE);
    // Twice with the same weights.
    let once = g.conv(x, Conv::same(w, 3, 1, 1)).unwrap();
    let twice = g.conv(once, Conv::same(w, 3, 1, 1)).unwrap();
    let x = g.relu(twice);
    let x = g.global_avg_pool(x);
    g.linear(x, taken, shift).unwrap();
    let names = g.finish().names(&layout, &["input_0"]);
    assert_eq!(names, ["input_0.2", "w.2", "w.3", "relu_3.2", "global_average_4", "linear_layer_5"]);
}

/// TensorFlow's converters refuse other characters than these.
#[test]
fn all_names_of_a_model_are_letters_digits_underscores_and_dots() {
    let size = DartsSize { channels: 4, layers: 3, ..DartsSize::CIFAR };
    let darts = pada_models::DartsNet::new(size, Norms::Plain);
    let arch = pada_space::Darts.nth(pada_space::Darts.len() - 1).unwrap();
    for frozen in [nb201(Norms::Plain, "333333").1, Frozen::new(&darts, &arch).unwrap()] {
        assert!(
            frozen.weights().iter().any(|(_, spec)| spec.name.contains("<-")),
            "the names of the supernet are not valid"
        );
        let graph = frozen
            .to_onnx("nb201 333333", &counted(frozen.weights()), &BTreeMap::new())
            .unwrap()
            .graph
            .unwrap();
        let nodes =
            graph.node.iter().flat_map(|node| node.input.iter().chain(&node.output).chain([&node.name]));
        let values =
            graph.value_info.iter().chain(&graph.input).chain(&graph.output).map(|value| &value.name);
        let tensors = graph.initializer.iter().map(|tensor| &tensor.name);
        for name in nodes.chain(values).chain(tensors).chain([&graph.name]) {
            let valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
            assert!(!name.is_empty() && name.chars().all(valid), "{name:?}");
        }
    }
}

/// `a<-b` and `a->b` have the same valid name.
#[test]
fn names_stay_different_when_characters_are_replaced() {
    let mut layout = WeightLayout::new();
    let mut weight = |name: &str, shape: &[usize]| {
        let (name, shape) = (name.to_owned(), shape.to_vec());
        layout.push(WeightSpec { name, shape, init: Init::Constant(0.0), owner: None })
    };
    let convs = [weight("a<-b.weight", &[3, 3, 1, 1]), weight("a->b.weight", &[3, 3, 1, 1])];
    let (w, b) = (weight("fc.weight", &[2, 3]), weight("fc.bias", &[2]));
    let mut g = GraphBuilder::new(&layout);
    let mut x = g.input(IMAGE);
    for conv in convs {
        x = g.conv(x, Conv::same(conv, 3, 1, 1)).unwrap();
    }
    let frozen = Frozen::from_graph(&g.classified(x, (w, b)).unwrap(), &layout, IMAGE);
    let graph = frozen.to_onnx("net", &counted(&layout), &BTreeMap::new()).unwrap().graph.unwrap();
    let names: Vec<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names, ["a_b.weight", "a_b.weight.2", "fc.weight", "fc.bias"]);
    assert_eq!(graph.node[1].input, ["a_b", "a_b.weight.2"]);
    assert_eq!(graph.node[1].output, ["a_b.2"]);
}

#[test]
fn values_of_another_network_are_refused() {
    let (net, frozen) = nb201(Norms::Plain, "000300");
    let other = Nb201Net::new(8, 1, IMAGE, 10, Norms::Plain);
    let layout = net.weights();
    let few = frozen.values(layout, &[0.0; 3]);
    assert_eq!(few, Err(GraphError::ValueCount { found: 3, expected: layout.numel() }));
    let swapped = MacroNet::new(IMAGE, 10, Norms::Plain);
    let refused = frozen.values(swapped.weights(), &counted(swapped.weights())).unwrap_err();
    assert!(matches!(refused, GraphError::OtherLayout { .. }), "{refused}");
    // The same names with other shapes.
    let refused = frozen.values(other.weights(), &counted(other.weights())).unwrap_err();
    assert!(matches!(refused, GraphError::OtherLayout { .. }), "{refused}");
    let refused = frozen.to_onnx("net", &[1.0], &BTreeMap::new()).unwrap_err();
    assert_eq!(refused, GraphError::ValueCount { found: 1, expected: frozen.weights().numel() });
}
