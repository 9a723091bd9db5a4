//! AGNAS: attention against PyTorch, and runs that go on bit for bit.

use pada_candle::CandleExecutor;
use pada_data::{Augment, DataLoader};
use pada_engine::Engine;
use pada_exec::{Batch, Executor, Images, LossSpec, Pixels, Precision, State};
use pada_graph::{Lower, Shape};
use pada_models::{DartsNet, DartsSize, MixtureSettings, Nb201Net, Norms, init_weights};
use pada_sampler::{SavedState, UniformData, UniformPaths};
use pada_space::{Nb201, SubSpace};
use pada_trainer::rules::{AttentionSearch, AttentionState, SearchImages};
use pada_trainer::{RngStream, TrainError, TrainRule, Trainer, TrainerParts};
use serde_json::Value;

use crate::bright;
use crate::differentiable::golden::{self, near, near_digest, numbers};
use crate::recipe::recipe;
use crate::resuming::{finished, resumes_bit_for_bit};

const EPOCHS: usize = 3;
const INPUT: Shape = Shape { channels: 3, height: 8, width: 8 };

fn net(classes: usize) -> Nb201Net {
    Nb201Net::with_mixtures(4, 1, INPUT, classes, Norms::Plain, MixtureSettings::Attention)
}

fn rule(net: &dyn Lower, images: u16) -> Result<AttentionSearch, TrainError> {
    let validation =
        SearchImages { images: DataLoader::new(bright::images(images, 8)), augment: Augment::NONE };
    let space = Nb201::new();
    AttentionSearch::new(Box::new(space.clone()), &SubSpace::full(&space), net, Some(validation))
}

fn trainer() -> Trainer {
    let net = net(4);
    let weights = init_weights(net.weights(), &mut RngStream::Init.stream(7));
    let whole = SubSpace::full(&Nb201::new());
    let parts = TrainerParts {
        executor: Box::new(Engine::new(net.weights().clone(), weights, Precision::F32)),
        rule: Box::new(rule(&net, 14).unwrap()),
        net: Box::new(net),
        space: whole.clone(),
        n_ops: 5,
        paths: Box::new(UniformPaths::new(whole).unwrap()),
        data: Box::new(UniformData::new(24).unwrap()),
        images: DataLoader::new(bright::images(24, 8)),
    };
    Trainer::new(recipe(EPOCHS, 6, 1, 7), parts).unwrap()
}

#[test]
fn a_search_resumes_bit_for_bit() {
    resumes_bit_for_bit("AGNAS", trainer);
}

/// `none` is never chosen, although nothing moves its attention away from the middle.
#[test]
fn the_record_names_the_operations_with_most_attention() {
    let (records, _, state) = finished(trainer());
    let state: AttentionState = state.read(AttentionState::KIND).unwrap();
    let last = records.last().unwrap().mixture.as_ref().unwrap();
    let strongest =
        |strengths: &Vec<f64>| (2..5).fold(1, |a, b| if strengths[b] > strengths[a] { b } else { a });
    let expected: Vec<String> = state.strengths.iter().map(|of| strongest(of).to_string()).collect();
    assert_eq!(last.arch, expected.concat());
    assert_ne!(records[0].mixture.as_ref().unwrap().probabilities, last.probabilities);
    for probabilities in &last.probabilities {
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{probabilities:?}");
    }
    assert!(last.validation_accuracy.unwrap() > 25.0 && last.validation_loss.unwrap() > 0.0);
}

fn golden() -> Value {
    serde_json::from_str(include_str!("../data/attention.json")).unwrap()
}

#[test]
fn loss_gradient_and_attention_equal_pytorch() {
    let case = golden();
    let net = net(3);
    let layout = net.weights();
    let names: Vec<&str> =
        case["weights"].as_array().unwrap().iter().map(|weight| weight[0].as_str().unwrap()).collect();
    let trained = layout.iter().filter(|(id, _)| layout.is_trained(*id));
    assert_eq!(trained.map(|(_, spec)| spec.name.as_str()).collect::<Vec<_>>(), names);
    let (pixels, labels) = golden::whole_batch(golden::images(&case["batch"]));
    let images = Images { pixels: Pixels::Given(&pixels), shape: INPUT };
    let weights = golden::weights(&net, &case["formula"]);
    let engine = Engine::new(layout.clone(), weights.clone(), Precision::F64);
    let candle = CandleExecutor::new(layout.clone(), weights.clone(), Precision::F64);
    let executors: [Box<dyn Executor>; 2] = [Box::new(engine), Box::new(candle)];
    let graph = net.lower_mixture(&vec![vec![0, 1, 2, 3, 4]; 6]).unwrap().simplified();
    for mut executor in executors {
        let batch = Batch { images, labels: &labels };
        let stats = executor.gradients(&graph, &batch, &LossSpec::default()).unwrap();
        near("loss", &[stats.loss], &numbers(&case["loss"]), 1e-5);
        let logits: Vec<f64> = stats.logits.values.iter().map(|&v| f64::from(v)).collect();
        near("logits", &logits, &numbers(&case["logits"]), 1e-5);
        for (name, expected) in names.iter().zip(case["weight_gradient"].as_array().unwrap()) {
            near_digest(name, &executor.gradient(layout.find(name).unwrap()), expected, 1e-4);
        }
        let space = Nb201::new();
        let set =
            SearchImages { images: DataLoader::new(golden::images(&case["batch"])), augment: Augment::NONE };
        let whole = SubSpace::full(&space);
        let mut rule = AttentionSearch::new(Box::new(space), &whole, &net, Some(set)).unwrap();
        executor.write(State::Weights, &weights);
        // These norms have no running statistics, so that only the whole batch has the numbers of PyTorch.
        rule.end_epoch(&net, executor.as_mut(), 6, &mut RngStream::Rule.stream(0)).unwrap();
        let own: Vec<f64> = rule.search_state().strengths.concat();
        near("strengths", &own, &numbers(&case["strengths"]), 1e-6);
        let mixture = rule.mixture().unwrap();
        near("validation", &[mixture.validation_loss.unwrap()], &numbers(&case["loss"]), 1e-5);
    }
}

/// With kernels of zeros every attention is one half, so the network is a mixture whose factors are one half.
#[test]
fn attention_without_weights_is_one_half() {
    let size = DartsSize { channels: 4, layers: 3, input: INPUT, classes: 3, ..DartsSize::SEARCH };
    let [attention, factors] = [MixtureSettings::Attention, MixtureSettings::default()]
        .map(|settings| DartsNet::with_mixtures(size, Norms::Plain, settings));
    let mut weights = init_weights(attention.weights(), &mut RngStream::Init.stream(2));
    for gate in &attention.mixtures().unwrap().gates {
        weights[attention.weights().range(gate.weight)].fill(0.0);
    }
    let mut own = vec![0.5; factors.weights().numel()];
    for (id, spec) in factors.weights().iter().filter(|(id, _)| factors.weights().is_trained(*id)) {
        let other = attention.weights().find(&spec.name).unwrap();
        own[factors.weights().range(id)].copy_from_slice(&weights[attention.weights().range(other)]);
    }
    let loaded = DataLoader::new(bright::images(4, 8)).load(
        &[0, 1, 2, 3],
        &Augment::NONE,
        &mut RngStream::Images.stream(0),
    );
    let pixels = loaded.unwrap().pixels;
    let images = Images { pixels: Pixels::Given(&pixels), shape: INPUT };
    let logits = [(&attention, weights), (&factors, own)].map(|(net, weights)| {
        let computed: Vec<Vec<u8>> = vec![vec![0, 1, 3, 4, 7]; 28];
        let graph = net.lower_mixture(&computed).unwrap().simplified();
        let mut engine = Engine::new(net.weights().clone(), weights, Precision::F64);
        engine.logits(&graph, &images).unwrap().values
    });
    let off = logits[0].iter().zip(&logits[1]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off < 1e-5, "{off}");
}

/// In a part of the space in which an edge is zero, nothing is left of its attention, nor of that of edges that only zeros reach.
#[test]
fn edges_that_are_zero_have_no_preference() {
    let (net, space) = (net(4), Nb201::new());
    let part = SubSpace::full(&space).restrict(0, &[0]).unwrap();
    let images = SearchImages { images: DataLoader::new(bright::images(14, 8)), augment: Augment::NONE };
    let mut rule = AttentionSearch::new(Box::new(space), &part, &net, Some(images)).unwrap();
    let weights = init_weights(net.weights(), &mut RngStream::Init.stream(7));
    let mut engine = Engine::new(net.weights().clone(), weights, Precision::F32);
    rule.end_epoch(&net, &mut engine, 14, &mut RngStream::Rule.stream(0)).unwrap();
    let strengths = &rule.search_state().strengths;
    assert_eq!(strengths[0], [0.5]);
    assert!(strengths.concat().iter().all(|strength| (0.0..=1.0).contains(strength)), "{strengths:?}");
    assert!(strengths[1].iter().any(|&strength| strength != 0.5), "{strengths:?}");
    assert_eq!(rule.strongest().choices()[0], 0);
}

#[test]
fn a_network_without_attention_and_states_of_others_are_errors() {
    let plain = Nb201Net::with_mixtures(4, 1, INPUT, 4, Norms::Plain, MixtureSettings::default());
    let text = |error: Result<AttentionSearch, TrainError>| match error {
        Err(error) => error.to_string(),
        Ok(_) => String::new(),
    };
    assert!(text(rule(&plain, 4)).contains("no attention"));
    assert!(text(rule(&net(4), 0)).contains("validation images"));
    let mut own = rule(&net(4), 4).unwrap();
    assert!(own.restore(&SavedState::stateless()).is_err());
}
