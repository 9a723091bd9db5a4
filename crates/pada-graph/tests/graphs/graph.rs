//! Shapes, simplification and bad graphs.
use pada_graph::{
    Conv, GraphBuilder, GraphError, Init, Lower, NodeId, Op, Pool, Shape, WeightLayout, WeightSpec,
};
use pada_models::{Nb201Net, Norms};
use pada_space::{Nb201, SearchSpace};

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
fn dropout_reads_the_input_of_the_classifier_and_its_slots_follow_all_others() {
    let mut layout = WeightLayout::new();
    let mut push = |name: &str, shape: Vec<usize>| {
        layout.push(WeightSpec { name: name.into(), shape, init: Init::Constant(0.0), owner: None })
    };
    let classifier = (push("weight", vec![4, 3]), push("bias", vec![4]));
    let mut g = GraphBuilder::new(&layout);
    let x = g.input(Shape::new(3, 8, 8));
    let x = g.drop_path(x, 6);
    let graph = g.classified(x, classifier).unwrap();
    let dropped = graph.with_dropout().unwrap();
    let names: Vec<_> = dropped.nodes().iter().map(|node| node.op.name()).collect();
    assert_eq!(names, ["input", "drop-path", "global average", "dropout", "linear layer"]);
    assert_eq!((graph.drop_path_slots(), dropped.drop_path_slots()), (7, 10));
    assert_eq!(dropped.dropout_slots().collect::<Vec<_>>(), [7, 8, 9]);
    assert_eq!(graph.dropout_slots().next(), None);
    assert_eq!(dropped.simplified(), dropped);
    let pooled = graph.up_to(NodeId(2));
    assert_eq!(pooled.with_dropout().unwrap_err(), GraphError::NoClassifier);
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
fn blocks_are_the_stem_and_every_cell_and_stay_so_in_a_smaller_graph() {
    let net = net(Shape::new(3, 8, 8));
    let graph = |digits: &str| net.lower(&Nb201::new().parse(digits).unwrap()).unwrap();
    let full = graph("321403");
    let shapes = |graph: &pada_graph::Graph| {
        graph.blocks().iter().map(|&id| graph.node(id).shape.channels).collect::<Vec<_>>()
    };
    for same in [full.simplified(), full.without_norms(), full.without_zero_terms(), full.with_plain_norms()]
    {
        assert_eq!(shapes(&same), [4, 4, 8, 8, 16, 16]);
    }
    // Only skip connections: a cell has the output of the block before it.
    let skips = graph("000100").simplified();
    let blocks = skips.blocks();
    assert_eq!(shapes(&skips), [4, 4, 8, 8, 16, 16]);
    assert!((0..6).step_by(2).all(|block| blocks[block] == blocks[block + 1]), "{blocks:?}");
    // A part of the graph has the blocks that it contains.
    assert_eq!(shapes(&full.up_to(full.blocks()[2])), [4, 4, 8]);
}

#[test]
fn a_part_between_two_nodes_reads_only_the_first() {
    let net = net(Shape::new(3, 8, 8));
    let graph = net.lower(&Nb201::new().parse("000300").unwrap()).unwrap().simplified();
    let names =
        |graph: &pada_graph::Graph| graph.nodes().iter().map(|node| node.op.name()).collect::<Vec<_>>();
    let blocks = graph.blocks();
    let cell = graph.between(blocks[0], blocks[1]).unwrap();
    assert_eq!(names(&cell), ["input", "relu", "convolution", "batch norm"]);
    assert_eq!(cell.nodes()[0].shape, Shape::new(4, 8, 8));
    assert_eq!(names(&graph.between(blocks[1], blocks[1]).unwrap()), ["input"]);
    // From the ReLU of the residual block, its other branch is missing.
    let inside = graph.between(blocks[1], blocks[2]).unwrap();
    assert_eq!(inside.output().shape, Shape::new(8, 4, 4));
    let relu = (blocks[1].0 + 1..blocks[2].0).map(NodeId).find(|&id| graph.node(id).op == Op::Relu);
    assert!(graph.between(relu.unwrap(), blocks[2]).is_none());
}
