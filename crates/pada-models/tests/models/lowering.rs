//! The lowerings of the search spaces: which weights they have, and what they refuse.
use pada_exec::{Decayed, HostWeights, SgdStep, UnusedWeights};
use pada_graph::{Cost, GraphError, Lower, Shape};
use pada_models::{DartsNet, DartsSize, MacroNet, Nb201Net, Norms, ProxylessNet};
use pada_space::{Arch, Nb201, SearchSpace};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

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
        ..SgdStep::default()
    };
    let mut host = HostWeights::new(layout.clone(), vec![1.0; layout.numel()]);
    host.update(&step);
    for (id, _) in layout.iter() {
        let expected = if layout.is_trained(id) { 0.5 } else { 1.0 };
        assert!(host.weight(id).iter().all(|w| *w == expected));
    }
}

/// An architecture of another space is an error and never a shorter network.
#[test]
fn architectures_of_another_space_are_refused() {
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

#[test]
fn networks_are_chains_of_a_stem_and_their_layers_but_for_darts() {
    let image = Shape::new(3, 64, 64);
    let space = pada_space::Proxyless::new(pada_space::ProxylessWidths::SEARCH);
    let proxyless = ProxylessNet::new(&pada_space::ProxylessWidths::SEARCH, image, 10, Norms::Affine);
    let darts = DartsNet::new(DartsSize { channels: 4, layers: 3, ..DartsSize::CIFAR }, Norms::Affine);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let cases: [(&dyn Lower, Arch, usize); 4] = [
        (&Nb201Net::new(4, 2, image, 10, Norms::Plain), Nb201::new().parse("321403").unwrap(), 1 + 3 * 2 + 2),
        (
            &MacroNet::new(image, 10, Norms::Affine),
            pada_space::NasBenchMacro.parse("01201201").unwrap(),
            1 + 8,
        ),
        (&proxyless, space.sample(&mut rng), 1 + 1 + 21),
        (&darts, pada_space::Darts.sample(&mut rng), 0),
    ];
    for (net, arch, blocks) in cases {
        let graph = net.lower(&arch).unwrap();
        assert_eq!(graph.blocks().len(), blocks, "{arch}");
        for pair in graph.blocks().windows(2) {
            assert!(graph.between(pair[0], pair[1]).is_some(), "{arch}");
        }
    }
}
