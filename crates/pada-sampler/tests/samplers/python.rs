//! The draws of all samplers for a seed, number by number. The Python package reads the same file and must draw the same.

use pada_sampler::{
    ConstantPaths, DataImportance, DataImportanceConfig, DataSampler, FairPaths, ImportanceWeights,
    LinearSchedule, OneChangePaths, ParetoPaths, ParetoPathsConfig, PathImportance, PathImportanceConfig,
    PathObservation, PathSampler, Progress, Replacement, UniformData, UniformPaths, Unseen, Variant,
};
use pada_space::{Nb201, SubSpace};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

const FILE: &str = "../pada-python/tests/data/samplers.json";
/// If this variable is set, the test writes the file.
const WRITE: &str = "PADA_WRITE_GOLDEN";
const EPOCHS: usize = 3;
const STEPS: usize = 4;
const IMAGES: u32 = 23;
const BATCH: usize = 5;

/// Three epochs of a path sampler, with gradient norms that are a formula of path and step.
fn paths(mut sampler: impl PathSampler) -> Value {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let (mut drawn, mut weights, mut distributions) = (vec![], vec![], vec![]);
    for epoch in 0..EPOCHS {
        for step in 0..STEPS {
            for path in sampler.next_paths(&mut rng) {
                let norm = |(e, &op): (usize, &u8)| match op {
                    0 | 1 => 0.0,
                    op => ((usize::from(op) * 7 + e * 3 + step * 5) % 11) as f64 / 7.0,
                };
                let norms: Vec<f64> = path.choices().iter().enumerate().map(norm).collect();
                weights.push(sampler.loss_weight(&path).unwrap());
                sampler.observe(&PathObservation::new(&path, &norms, 1.0 + step as f64 / 4.0)).unwrap();
                drawn.push(path.to_string());
            }
        }
        sampler.end_epoch(Progress::new(epoch, EPOCHS).unwrap()).unwrap();
        distributions.push(sampler.distribution());
    }
    json!({"paths": drawn, "weights": weights, "distributions": distributions})
}

/// Three epochs of a data sampler.
fn images(mut sampler: impl DataSampler) -> Value {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let (mut orders, mut weights, mut distributions) = (vec![], vec![], vec![]);
    for epoch in 0..EPOCHS {
        let order = sampler.epoch_order(&mut rng);
        for batch in order.chunks(BATCH) {
            let norm = |&image: &u32| ((image as usize * 5 + epoch * 3) % 13) as f32 / 7.0;
            let norms: Vec<f32> = batch.iter().map(norm).collect();
            weights.extend(batch.iter().map(|&image| sampler.loss_weight(image).unwrap()));
            sampler.observe(batch, &norms).unwrap();
        }
        sampler.end_epoch(Progress::new(epoch, EPOCHS).unwrap()).unwrap();
        orders.push(order);
        distributions.push(sampler.distribution().map(<[f64]>::to_vec));
    }
    json!({"orders": orders, "weights": weights, "distributions": distributions})
}

#[test]
fn the_draws_of_every_sampler_are_those_of_the_file() {
    let part = || SubSpace::full(&Nb201::new());
    let schedule = LinearSchedule::new(0.25, 0.75).unwrap();
    let paper = PathImportanceConfig::paper()
        .with_smoothing(schedule)
        .with_importance_weights(ImportanceWeights::Unbiased);
    let pareto = ParetoPathsConfig::new(schedule, 5);
    let released = DataImportanceConfig::released();
    let other = DataImportanceConfig::paper()
        .with_smoothing(schedule)
        .with_importance_weights(ImportanceWeights::Unbiased)
        .with_unseen(Unseen::Keep);
    let without = released.with_replacement(Replacement::Without);
    let found = json!({
        "uniform": paths(UniformPaths::new(part()).unwrap()),
        "importance": paths(PathImportance::new(part(), PathImportanceConfig::released()).unwrap()),
        "importance-paper": paths(PathImportance::new(part(), paper).unwrap()),
        "fair": paths(FairPaths::new(part(), Variant::Paper).unwrap()),
        "fair-released": paths(FairPaths::new(part(), Variant::Released).unwrap()),
        "one-change": paths(OneChangePaths::new(part()).unwrap()),
        "constant": paths(ConstantPaths::new(part(), &[1.0, 2.0, 3.0, 4.0, 5.0], schedule).unwrap()),
        "pareto": paths(ParetoPaths::new(part(), pareto, Box::new(|arch| arch.count(3) as f64)).unwrap()),
        "images-uniform": images(UniformData::new(IMAGES).unwrap()),
        "images-importance": images(DataImportance::new(IMAGES, released).unwrap()),
        "images-paper": images(DataImportance::new(IMAGES, other).unwrap()),
        "images-without": images(DataImportance::new(IMAGES, without).unwrap()),
    });
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(FILE, serde_json::to_string(&found).unwrap() + "\n").unwrap();
    }
    let file = std::fs::read_to_string(FILE).unwrap();
    let expected: Value = serde_json::from_str(&file).unwrap();
    for (name, found) in found.as_object().unwrap() {
        assert_eq!(found, &expected[name], "{name}; {WRITE}=1 writes {FILE}");
    }
}
