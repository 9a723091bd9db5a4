//! Shapes, simplification and bad graphs.
#![allow(clippy::unwrap_used, reason = "a test")]

use pada_graph::{
    Conv, Cost, DartsModel, DartsSize, Decayed, GraphBuilder, GraphError, HostWeights, Images, Init, Lower,
    Nb201Net, NodeId, Norms, Op, Pool, SgdStep, Shape, UnusedWeights, WeightLayout, WeightSpec,
};
use pada_space::{Arch, DARTS_NAMED, Genotype, Nb201, SearchSpace, find_named};

fn net(input: Shape) -> Nb201Net {
    Nb201Net::new(4, 1, input, 10, Norms::Plain)
}

fn ops_of(digits: &str) -> Vec<&'static str> {
    let net = net(Shape::new(3, 8, 8));
    let graph = net.lower(&Nb201::new().parse(digits).unwrap()).unwrap().simplified();
    graph.nodes().iter().map(|node| node.op.name()).collect()
}

#[test]
fn a_dead_cell_leaves_the_classifier_of_zeros() {
    assert_eq!(ops_of("000000"), ["zero", "linear layer"]);
    assert_eq!(ops_of("333000"), ["zero", "linear layer"]);
}

#[test]
fn dead_edges_and_sums_of_one_are_gone() {
    // Only 0→3 is live: stem, then per stage one relu-convolution-norm, and the two reductions.
    assert_eq!(ops_of("300300"), ops_of("000300"));
    assert_eq!(ops_of("000300").iter().filter(|op| **op == "convolution").count(), 1 + 3 + 2 * 3);
    // A convolution of a zero node is a bias that the norm takes away.
    assert_eq!(ops_of("000330"), ops_of("000300"));
}

#[test]
fn simplifying_twice_changes_nothing_and_reads_only_earlier_nodes() {
    let (space, net) = (Nb201::new(), net(Shape::new(3, 12, 8)));
    for arch in space.archs().step_by(37) {
        let graph = net.lower(&arch).unwrap();
        let simple = graph.simplified();
        assert_eq!(simple.simplified(), simple, "{arch}");
        for (i, node) in simple.nodes().iter().enumerate() {
            assert!(node.inputs.iter().all(|x| x.0 < i));
            assert!(!(node.op == Op::Add && node.inputs.len() == 1));
        }
        assert_eq!(simple.output().shape, graph.output().shape);
    }
}

#[test]
fn images_that_cannot_be_halved_twice_are_refused() {
    // 3×3 with padding 1 maps 9 to 5, the 2×2 average maps 9 to 4: PyTorch's network fails on such sizes too.
    for (height, width) in [(9, 8), (8, 10), (6, 8), (0, 0)] {
        let error =
            net(Shape::new(3, height, width)).lower(&Nb201::new().parse("111111").unwrap()).unwrap_err();
        assert!(matches!(error, GraphError::ImageSize { by: 4, .. }), "{error}");
    }
}

#[test]
fn misfits_are_named() {
    let mut layout = WeightLayout::new();
    let spec = |name: &str, shape: &[usize]| WeightSpec {
        name: name.into(),
        shape: shape.into(),
        init: Init::Constant(0.0),
        owner: None,
    };
    let w = layout.push(spec("w", &[4, 3, 3, 3]));
    let mut g = GraphBuilder::new(&layout);
    let x = g.input(Shape::new(3, 4, 4));
    let other = g.input(Shape::new(3, 2, 4));
    let wrong = g.conv(x, Conv::same(w, 5, 3, 1)).unwrap_err();
    assert!(matches!(&wrong, GraphError::WeightShape { name, .. } if name == "w"), "{wrong}");
    let small = g.avg_pool(other, Pool { kernel: 3, stride: 1, padding: 0 }).unwrap_err();
    assert!(matches!(small, GraphError::TooSmall { window: 3, .. }), "{small}");
    let border = g.max_pool(x, Pool { kernel: 1, stride: 1, padding: 1 }).unwrap_err();
    assert_eq!(border, GraphError::PoolPadding { kernel: 1, padding: 1 });
    assert!(matches!(g.add(&[x, other]), Err(GraphError::ShapeMismatch { .. })));
    assert!(matches!(g.concat(&[x, other]), Err(GraphError::ShapeMismatch { .. })));
}

/// Two steps of `torch.optim.SGD` by hand: w 1, g .5 then 0, lr .1, momentum .9, decay .01.
#[test]
fn sgd_moves_idle_weights_unless_frozen() {
    for (unused, expected) in [(UnusedWeights::Decay, 0.902_151), (UnusedWeights::Frozen, 0.949)] {
        let mut layout = WeightLayout::new();
        layout.push(WeightSpec { name: "w".into(), shape: vec![1], init: Init::Constant(1.0), owner: None });
        let mut g = GraphBuilder::new(&layout);
        g.input(Shape::vector(1));
        let empty = g.finish();
        let mut host = HostWeights::new(layout.clone(), vec![1.0]);
        let id = layout.find("w").unwrap();
        let step = SgdStep {
            lr: 0.1,
            momentum: 0.9,
            weight_decay: 0.01,
            decayed: Decayed::All,
            gradient_scale: 1.0,
            unused,
        };
        host.gradient_mut(id)[0] = 0.5;
        host.update(&SgdStep { unused: UnusedWeights::Decay, ..step });
        assert!((host.weight(id)[0] - 0.949).abs() < 1e-7);
        host.zero_gradient();
        host.touch(&empty);
        host.update(&step);
        assert!((host.weight(id)[0] - expected).abs() < 1e-6, "{unused:?}: {}", host.weight(id)[0]);
    }
}

#[test]
fn a_window_may_be_smaller_than_the_border() {
    let mut layout = WeightLayout::new();
    let init = Init::Constant(0.0);
    let weight = layout.push(WeightSpec { name: "w".into(), shape: vec![2, 2, 1, 1], init, owner: None });
    let mut b = GraphBuilder::new(&layout);
    let x = b.input(Shape::new(2, 3, 4));
    let y = b.conv(x, Conv { padding: 2, ..Conv::same(weight, 2, 1, 1) }).unwrap();
    assert_eq!(b.shape(y), Shape::new(2, 7, 8));
}

#[test]
fn running_statistics_are_no_weights() {
    let space = Nb201::new();
    let shape = Shape::new(3, 8, 8);
    let [affine, running] =
        [Norms::Affine, Norms::Running].map(|norms| Nb201Net::new(4, 1, shape, 10, norms));
    let arch = space.parse("323412").unwrap();
    let graphs = [&affine, &running].map(|net| net.lower(&arch).unwrap());
    assert_eq!(Cost::of(&graphs[0], affine.weights()), Cost::of(&graphs[1], running.weights()));
    let names = |net: &Nb201Net| {
        let on_path = net.on_path(&arch).into_iter();
        on_path.map(|id| net.weights().spec(id).name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&affine), names(&running));
    let layout = running.weights();
    let buffers: Vec<_> = layout.iter().filter(|(id, _)| !layout.is_trained(*id)).collect();
    assert_eq!(buffers.len(), 2 * (1 + 3 * 12 + 2 * 2 + 1));
    assert!(buffers.iter().all(|(_, spec)| spec.name.contains(".running_")));
    let step = SgdStep {
        lr: 1.0,
        momentum: 0.9,
        weight_decay: 0.5,
        decayed: Decayed::All,
        gradient_scale: 1.0,
        unused: UnusedWeights::Decay,
    };
    let mut host = HostWeights::new(layout.clone(), vec![1.0; layout.numel()]);
    host.update(&step);
    for (id, _) in layout.iter() {
        let expected = if layout.is_trained(id) { 0.5 } else { 1.0 };
        assert!(host.weight(id).iter().all(|w| *w == expected));
    }
}

/// A norm with running statistics keeps in evaluation what one with those of the batch takes away.
#[test]
fn only_statistics_of_the_batch_take_constants_away() {
    let arch = Nb201::new().parse("033000").unwrap();
    let convolutions = |norms| {
        let net = Nb201Net::new(4, 1, Shape::new(3, 8, 8), 10, norms);
        let graph = net.lower(&arch).unwrap().simplified();
        graph.nodes().iter().filter(|node| matches!(node.op, Op::Conv(_))).count()
    };
    assert_eq!(convolutions(Norms::Plain), 0);
    let net = Nb201Net::new(4, 1, Shape::new(3, 8, 8), 10, Norms::Plain);
    let graph = net.lower(&Nb201::new().parse("333333").unwrap()).unwrap();
    let convs = (0..graph.nodes().len()).map(NodeId).filter(|id| matches!(graph.node(*id).op, Op::Conv(_)));
    assert!(convs.filter(|id| graph.cancels_bias(*id)).count() > 18);
    let net = Nb201Net::new(4, 1, Shape::new(3, 8, 8), 10, Norms::Running);
    let graph = net.lower(&Nb201::new().parse("333333").unwrap()).unwrap();
    assert!((0..graph.nodes().len()).all(|i| !graph.cancels_bias(NodeId(i))));
}

#[test]
fn what_is_only_counted_is_refused_in_words() {
    let amoeba = Genotype::parse(find_named(DARTS_NAMED, "AmoebaNet").unwrap().text).unwrap();
    let graph =
        DartsModel::new(&amoeba, DartsSize { channels: 4, layers: 3, ..DartsSize::SEARCH }).graph().unwrap();
    let pixels = vec![0.0; 3 * 32 * 32];
    let error = Images::given(&pixels, Shape::new(3, 32, 32)).check(&graph).unwrap_err();
    assert!(error.to_string().contains("convolution along one direction"), "{error}");
}

/// An architecture of another space is an error and never a shorter network.
#[test]
fn architectures_of_another_space_are_refused() {
    use pada_graph::{DartsNet, DartsSize, MacroNet, ProxylessNet};
    let image = Shape::new(3, 32, 32);
    let nets: [Box<dyn Lower>; 4] = [
        Box::new(Nb201Net::new(4, 1, image, 10, Norms::Plain)),
        Box::new(MacroNet::new(image, 10, Norms::Affine)),
        Box::new(DartsNet::new(DartsSize { channels: 4, layers: 3, ..DartsSize::CIFAR }, Norms::Affine)),
        Box::new(ProxylessNet::new(
            &pada_space::ProxylessWidths::SEARCH,
            Shape::new(3, 64, 64),
            10,
            Norms::Affine,
        )),
    ];
    for net in nets {
        for arch in
            [Arch::new([]), Arch::new([0, 1]), Arch::new([9; 6]), Arch::new([9; 8]), Arch::new([99; 21])]
        {
            let refused = net.lower(&arch).unwrap_err();
            assert!(matches!(refused, GraphError::Arch(_)), "{arch}: {refused}");
        }
    }
    let net = Nb201Net::new(4, 1, image, 10, Norms::Plain);
    let (good, bad) = (Arch::new([3; 6]), Arch::new([3; 5]));
    assert!(matches!(net.lower_aligned(&good, &bad, 1.0), Err(GraphError::Arch(_))));
    assert!(matches!(net.lower_aligned(&bad, &good, 1.0), Err(GraphError::Arch(_))));
}
