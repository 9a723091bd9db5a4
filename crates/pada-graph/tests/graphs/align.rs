//! Alignments: what the builder, the simplification and the lowering of NAS-Bench-201 make of them.
use std::collections::BTreeMap;

use pada_graph::{
    Cost, Graph, GraphBuilder, GraphError, Init, Lower, NodeId, Op, Shape, WeightLayout, WeightSpec,
};
use pada_models::{Nb201Net, Norms};
use pada_space::{Arch, Nb201, SearchSpace};

const SHAPE: Shape = Shape { channels: 3, height: 4, width: 4 };

fn layout() -> WeightLayout {
    let mut layout = WeightLayout::new();
    for (name, shape) in [("a", vec![3, 3, 1, 1]), ("b", vec![3, 3, 1, 1]), ("w", vec![2, 3]), ("c", vec![2])]
    {
        layout.push(WeightSpec { name: name.into(), shape, init: Init::Constant(0.0), owner: None });
    }
    layout
}

/// A convolution `a` beside a convolution `b`, and alignments of whatever `pairs` makes of input, a and b; logits from b.
fn aligned(pairs: impl FnOnce(&mut GraphBuilder<'_>, [NodeId; 3]) -> Vec<(NodeId, NodeId)>) -> Graph {
    let layout = layout();
    let [a, b, w, c] = ["a", "b", "w", "c"].map(|name| layout.find(name).unwrap());
    let mut g = GraphBuilder::new(&layout);
    let x = g.input(SHAPE);
    let [left, right] = [a, b].map(|weight| g.conv(x, pada_graph::Conv::same(weight, 3, 1, 1)).unwrap());
    for (anchor, value) in pairs(&mut g, [x, left, right]) {
        g.align(anchor, value, 0.5).unwrap();
    }
    let mean = g.global_avg_pool(right);
    g.linear(mean, w, c).unwrap();
    g.finish()
}

/// The names of the operations that alignments read, anchor first.
fn alignments(graph: &Graph) -> Vec<[&'static str; 2]> {
    let aligns = graph.nodes().iter().filter(|node| matches!(node.op, Op::Align { .. }));
    aligns.map(|node| [0, 1].map(|i| graph.node(node.inputs[i]).op.name())).collect()
}

fn names(graph: &Graph, ids: &[pada_graph::WeightId]) -> String {
    let layout = layout();
    assert!(ids.iter().all(|id| graph.weights().contains(id)));
    ids.iter().map(|&id| layout.spec(id).name.clone()).collect()
}

#[test]
fn an_alignment_keeps_what_it_reads_and_trains_only_the_value() {
    let graph = aligned(|_, [_, a, b]| vec![(a, b)]);
    assert_eq!(graph.simplified(), graph);
    assert_eq!(alignments(&graph), [["convolution", "convolution"]]);
    assert_eq!(names(&graph, &graph.trained_weights()), "bwc");
    let other_way = aligned(|_, [_, a, b]| vec![(b, a)]);
    assert_eq!(names(&other_way, &other_way.trained_weights()), "abwc");
    // Without a reader the anchor goes.
    let alone = aligned(|_, _| vec![]);
    assert_eq!(names(&alone, &alone.trained_weights()), "bwc");
    assert_eq!(names(&alone.simplified(), &alone.simplified().weights()), "bwc");
    // The graph's last node is still its output.
    assert_eq!(graph.simplified().output().shape, Shape::vector(2));
}

#[test]
fn an_alignment_costs_nothing_itself() {
    let [with, without] = [aligned(|_, [_, a, b]| vec![(a, b)]), aligned(|_, _| vec![])];
    assert_eq!(Cost::of(&with, &layout()), Cost::of(&without, &layout()));
}

#[test]
fn zeros_stay_beside_a_value_and_go_where_both_are_zero() {
    let graph = aligned(|g, [_, a, b]| {
        let zero = g.zero(SHAPE);
        let relu = g.relu(zero);
        vec![(relu, b), (a, relu), (relu, zero)]
    });
    assert_eq!(alignments(&graph).len(), 3);
    let simple = graph.simplified();
    assert_eq!(alignments(&simple), [["zero", "convolution"], ["convolution", "zero"]]);
    assert_eq!(simple.simplified(), simple);
}

#[test]
fn sums_of_one_term_are_that_term_and_a_value_is_aligned_with_itself_already() {
    let graph = aligned(|g, [_, a, b]| {
        let zero = g.zero(SHAPE);
        let [sum_a, sum_b] = [a, b].map(|x| g.add(&[x, zero]).unwrap());
        let nested = g.add(&[zero, sum_b]).unwrap();
        vec![(sum_a, nested), (sum_b, nested), (b, b), (nested, a)]
    });
    assert_eq!(alignments(&graph).len(), 3, "b with b is never built");
    let simple = graph.simplified();
    assert_eq!(alignments(&simple), [["convolution"; 2]; 2]);
    assert!(simple.nodes().iter().all(|node| !matches!(node.op, Op::Add | Op::Zero)));
    assert_eq!(simple.simplified(), simple);
    // Nobody reads `a` once `a` is aligned with `a` only.
    let itself = aligned(|g, [_, a, _]| {
        let zero = g.zero(SHAPE);
        vec![(g.add(&[a, zero]).unwrap(), a)]
    });
    assert_eq!(itself.simplified(), aligned(|_, _| vec![]).simplified());
}

#[test]
fn shapes_that_differ_are_named() {
    let layout = layout();
    let mut g = GraphBuilder::new(&layout);
    let (left, right) = (g.input(SHAPE), g.zero(Shape::vector(3)));
    let error = g.align(left, right, 1.0).unwrap_err();
    assert!(matches!(error, GraphError::ShapeMismatch { op: "alignment", .. }), "{error}");
}

#[test]
#[should_panic(expected = "a side node cannot be the output")]
fn an_alignment_at_the_end_is_our_bug() {
    let layout = layout();
    let mut g = GraphBuilder::new(&layout);
    let (left, right) = (g.input(SHAPE), g.zero(SHAPE));
    g.align(left, right, 1.0).unwrap();
    g.finish();
}

fn net() -> Nb201Net {
    Nb201Net::new(4, 2, Shape::new(3, 8, 8), 10, Norms::Plain)
}

fn parse(digits: &str) -> Arch {
    Nb201::new().parse(digits).unwrap()
}

/// λ · mean over cells and edges of (input + output): all shares together are 2λ, less what needs no alignment.
#[test]
fn every_edge_of_every_cell_has_the_same_share() {
    let (net, weight) = (net(), 0.6);
    // No edge of the path makes the same as the anchor's, and every edge's own value: two shares for every edge of 6 cells,
    // but for the 3 inputs that are the stem's output, which both read.
    let graph = net.lower_aligned(&parse("333333"), &parse("222222"), weight).unwrap();
    let share = weight / (6 * Nb201::EDGES.len()) as f64;
    let mut of: BTreeMap<[usize; 2], f64> = BTreeMap::new();
    for node in graph.nodes() {
        if let Op::Align { share } = node.op {
            *of.entry([node.inputs[0].0, node.inputs[1].0]).or_default() += f64::from(share);
        }
    }
    let total: f64 = of.values().sum();
    assert!((total - share * f64::from(2 * 36 - 3)).abs() < 1e-6, "{total}");
    // Per cell: six outputs once, node 0 three times, node 1 twice, node 2 once. Node 1 is the output of the edge 0→1 as well.
    let mut counts: Vec<i64> = of.values().map(|of| (of / share).round() as i64).collect();
    counts.sort_unstable();
    let expected = [vec![1; 6 * 6], vec![3; 6], vec![3; 5]].concat();
    assert_eq!(counts, expected);
}

#[test]
fn an_aligned_path_computes_what_it_computes_alone() {
    let (net, space) = (net(), Nb201::new());
    let archs: Vec<Arch> = space.archs().step_by(211).collect();
    for pair in archs.windows(2) {
        let [anchor, path] = pair else { continue };
        let aligned = net.lower_aligned(path, anchor, 0.5).unwrap();
        let simple = aligned.simplified();
        assert_eq!(simple.simplified(), simple, "{path} beside {anchor}");
        assert_eq!(simple.output().shape, Shape::vector(10));
        // Everything the logits read is trained, and nothing that stands in the anchor only.
        let trained = simple.trained_weights();
        assert!(net.lower(path).unwrap().simplified().weights().iter().all(|id| trained.contains(id)));
        let on_path = net.on_path(path);
        let owned = trained.iter().filter(|id| net.weights().spec(**id).owner.is_some());
        assert!(owned.into_iter().all(|id| on_path.contains(id)), "{path} beside {anchor}");
    }
    let path = parse("323412");
    assert_eq!(net.lower_aligned(&path, &path, 0.5).unwrap(), net.lower(&path).unwrap());
}

/// A network that offers nothing of its own.
struct Other(Nb201Net);

impl Lower for Other {
    fn weights(&self) -> &WeightLayout {
        self.0.weights()
    }

    fn input(&self) -> Shape {
        self.0.input()
    }

    fn lower(&self, arch: &Arch) -> Result<Graph, GraphError> {
        self.0.lower(arch)
    }
}

#[test]
fn a_network_without_alignments_says_so() {
    let error = Other(net()).lower_aligned(&parse("323412"), &parse("000000"), 0.5).unwrap_err();
    assert_eq!(error, GraphError::NoAlignment);
}
