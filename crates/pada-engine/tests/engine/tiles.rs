//! Winograd's algorithm inside of whole steps: transformed weights, sums over images, paths and chunks, masks and borders.

use pada_engine::{Engine, Isa};
use pada_exec::{Convolution, Images, Inspect, Inspection, Objective, Precision};
use pada_graph::{Conv, Graph, GraphBuilder, Init, Lower, Shape, WeightLayout, WeightSpec};
use pada_models::{Nb201Net, Norms};
use pada_space::{Nb201, SearchSpace};

use crate::case::{Case, ISAS, StepResult, distance};

const SHAPE: Shape = Shape { channels: 3, height: 16, width: 16 };

fn graphs(net: &Nb201Net) -> Vec<(&'static str, Graph)> {
    let arch = |digits: &str| Nb201::new().parse(digits).unwrap();
    let mut graphs: Vec<_> =
        ["333333", "323412", "130343"].map(|digits| (digits, net.lower(&arch(digits)).unwrap())).into();
    graphs.push(("aligned", net.lower_aligned(&arch("323412"), &arch("133323"), 2.0).unwrap()));
    graphs
}

/// One image, a chunk that is not full, and several chunks; one pass, and two whose gradients are added.
#[test]
fn whole_steps_in_tiles_equal_direct_ones_in_f64() {
    for (images, passes, norms) in [(1, 1, Norms::Affine), (5, 2, Norms::Plain), (19, 2, Norms::Affine)] {
        let net = Nb201Net::new(9, 1, SHAPE, 10, norms);
        let case = Case { passes, ..Case::new(net.weights(), SHAPE, images, 10, 3) };
        for (name, graph) in graphs(&net) {
            for graph in [graph.simplified(), graph] {
                let engine = || case.engine(Precision::F64, Isa::Portable);
                let direct = case.step(&mut engine(), &graph);
                let tiles = case.step(&mut engine().with_tiles_in_f64(), &graph);
                let off = distance(&tiles.logits, &direct.logits);
                assert!(off < 1e-6, "{images} images, {name}: logits off by {off}");
                let off = distance(&tiles.gradient, &direct.gradient);
                assert!(off < 1e-6, "{images} images, {name}: gradient off by {off}");
            }
        }
    }
}

/// An image with as many channels as a tile needs, and a border that is wider than a tile needs, because a larger kernel reads the same value.
#[test]
fn images_of_many_channels_and_wide_borders_are_possible() {
    for channels in [8, 12, 17] {
        let mut layout = WeightLayout::new();
        let mut push = |name: &str, shape: Vec<usize>| {
            layout.push(WeightSpec { name: name.into(), shape, init: Init::Constant(0.0), owner: None })
        };
        let first = push("first", vec![10, channels, 3, 3]);
        let [small, large] = [push("small", vec![10, 10, 3, 3]), push("large", vec![10, 10, 5, 5])];
        let head = (push("weight", vec![2, 10]), push("bias", vec![2]));
        let shape = Shape::new(channels, 8, 8);
        let mut graph = GraphBuilder::new(&layout);
        let x = graph.input(shape);
        let x = graph.conv(x, Conv::same(first, 10, 3, 1)).unwrap();
        let x = graph.relu(x);
        let parts = [
            graph.conv(x, Conv::same(small, 10, 3, 1)).unwrap(),
            graph.conv(x, Conv::same(large, 10, 5, 1)).unwrap(),
        ];
        let sum = graph.add(&parts).unwrap();
        let graph = graph.classified(sum, head).unwrap();
        let case = Case::new(&layout, shape, 3, 2, 1);
        let engine = || case.engine(Precision::F64, Isa::Portable);
        let direct = case.step(&mut engine(), &graph);
        let tiles = case.step(&mut engine().with_tiles_in_f64(), &graph);
        assert!(distance(&tiles.logits, &direct.logits) < 1e-6, "{channels}");
        assert!(distance(&tiles.gradient, &direct.gradient) < 1e-6, "{channels}");
        for isa in ISAS {
            case.step(&mut case.engine(Precision::F32, isa), &graph);
        }
    }
}

/// The gradient of the images alone, and products of values and gradients.
#[test]
fn what_a_pass_shows_is_the_same_in_tiles() {
    let net = Nb201Net::new(9, 1, SHAPE, 10, Norms::Plain);
    let case = Case::new(net.weights(), SHAPE, 5, 10, 3);
    let images = Images::given(&case.pixels, case.shape);
    for (name, graph) in graphs(&net).into_iter().take(3) {
        for products in [false, true] {
            let inspection = Inspection {
                objective: Some(Objective::Sum),
                weight_gradient: products,
                image_gradient: !products,
                products,
                signs: true,
                moved_kernels: None,
            };
            let inspect = |mut engine: Engine| engine.inspect(&graph, &images, &inspection).unwrap();
            let engine = || case.engine(Precision::F64, Isa::Portable);
            let [direct, tiles] = [inspect(engine()), inspect(engine().with_tiles_in_f64())];
            assert!(distance(&tiles.image_gradient, &direct.image_gradient) < 1e-6, "{name}");
            assert!(direct.image_gradient.is_empty() == products && direct.products.is_empty() != products);
            assert_eq!(tiles.products.len(), direct.products.len(), "{name}");
            for (tiles, direct) in tiles.products.iter().zip(&direct.products) {
                assert!(distance(&tiles.values, &direct.values) < 1e-6, "{name}");
            }
            assert_eq!(tiles.signs, direct.signs, "{name}");
        }
    }
}

/// The choice has an effect in f32, none where tiles are not possible, and none in f64.
#[test]
fn the_algorithm_is_chosen() {
    let step = |channels: usize, digits: &str, precision, choose: fn(Engine) -> Engine| -> StepResult {
        let net = Nb201Net::new(channels, 1, SHAPE, 10, Norms::Plain);
        let case = Case::new(net.weights(), SHAPE, 4, 10, 3);
        let graph = net.lower(&Nb201::new().parse(digits).unwrap()).unwrap();
        case.step(&mut choose(case.engine(precision, Isa::Avx512)), &graph)
    };
    let direct: fn(Engine) -> Engine = |engine| engine.with_convolution(Convolution::Direct);
    let auto: fn(Engine) -> Engine = |engine| engine.with_convolution(Convolution::Auto);
    let default: fn(Engine) -> Engine = |engine| engine;
    let both =
        |channels, digits, precision| [direct, auto].map(|choose| step(channels, digits, precision, choose));
    let [sums, tiles] = both(8, "333333", Precision::F32);
    assert!(sums != tiles && distance(&tiles.logits, &sums.logits) < 1e-4);
    assert_eq!(tiles, step(8, "333333", Precision::F32, default));
    // f64 is there to check results with.
    let [sums, tiles] = both(8, "333333", Precision::F64);
    assert_eq!(sums, tiles);
    // The widest stage of this network has 4 channels.
    let [sums, tiles] = both(1, "333333", Precision::F32);
    assert_eq!(sums, tiles);
}
