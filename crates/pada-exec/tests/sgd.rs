//! The SGD step on the host, against `torch.optim.SGD` by hand.
#![allow(clippy::unwrap_used, reason = "a test")]

use pada_exec::{Decayed, HostWeights, Optimizer, RmsProp, RmsPropForm, SgdStep, State, UnusedWeights};
use pada_graph::{GraphBuilder, Init, Shape, WeightLayout, WeightSpec};

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
            ..SgdStep::default()
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
fn a_written_gradient_is_the_one_that_is_read_and_updates_the_weights() {
    let mut layout = WeightLayout::new();
    layout.push(WeightSpec { name: "w".into(), shape: vec![2], init: Init::Constant(1.0), owner: None });
    let mut host = HostWeights::new(layout, vec![1.0; 2]);
    host.write(State::Gradient, &[3.0, 4.0]);
    assert_eq!(host.read(State::Gradient), [3.0, 4.0]);
    assert_eq!(host.gradient_norms(), [5.0]);
    host.update(&SgdStep {
        lr: 0.5,
        momentum: 0.0,
        weight_decay: 0.0,
        decayed: Decayed::All,
        gradient_scale: 1.0,
        unused: UnusedWeights::Decay,
        ..SgdStep::default()
    });
    assert_eq!(host.read(State::Weights), [-0.5, -1.0]);
}

/// Weights after each step by PyTorch 2.15, see `make_optimizers.py`.
#[test]
fn golden_optimizers_equal_pytorch() {
    use RmsPropForm::{PyTorch, TensorFlow};
    let rms = |decay, eps, form| Optimizer::RmsProp(RmsProp { decay, eps, form });
    let cases = [
        ("sgd", Optimizer::Sgd, 0.9),
        ("nesterov", Optimizer::Nesterov, 0.9),
        ("rmsprop", rms(0.99, 1e-8, PyTorch), 0.9),
        ("rmsprop-still", rms(0.9, 1e-3, PyTorch), 0.0),
        ("rmsprop-tf", rms(0.9, 1e-3, TensorFlow), 0.9),
    ];
    let golden = include_str!("data/optimizers.csv");
    assert_eq!(golden.lines().count(), cases.len());
    for (line, (name, optimizer, momentum)) in golden.lines().zip(cases) {
        let mut fields = line.split(',');
        assert_eq!(fields.next(), Some(name));
        let expected: Vec<f32> = fields.map(|field| field.parse().unwrap()).collect();
        let mut layout = WeightLayout::new();
        layout.push(WeightSpec { name: "w".into(), shape: vec![4], init: Init::Constant(0.0), owner: None });
        let mut host = HostWeights::new(layout, vec![1.0, -0.5, 0.25, 0.0]);
        assert_eq!(host.read(State::SecondMoment), [0.0; 4]);
        if name == "rmsprop-tf" {
            host.write(State::SecondMoment, &[1.0; 4]);
        }
        let step = SgdStep { optimizer, lr: 0.05, momentum, weight_decay: 0.01, ..SgdStep::default() };
        for (i, expected) in expected.chunks(4).enumerate() {
            let at = i as f32;
            host.write(State::Gradient, &[0.5 - 0.2 * at, 0.1 * at * at, -0.003, 0.0]);
            host.update(&step);
            for (ours, theirs) in host.read(State::Weights).iter().zip(expected) {
                assert!((ours - theirs).abs() < 2e-6, "{name}, step {i}: {ours}, not {theirs}");
            }
        }
    }
}
