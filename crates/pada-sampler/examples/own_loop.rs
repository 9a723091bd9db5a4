//! The samplers of PA&DA in a training loop of your own, here a few lines of candle: a tiny supernet learns a function of two
//! numbers, and paths and examples are drawn in proportion to their gradient norms.
//!
//! ```text
//! cargo run --release -p pada-sampler --example own_loop
//! ```
#![allow(clippy::print_stdout, reason = "an example")]

use candle_core::{D, Device, Result, Tensor, Var};
use pada_sampler::{
    DataImportance, DataImportanceConfig, DataSampler, PathImportance, PathImportanceConfig, PathObservation,
    PathSampler, Progress,
};
use pada_space::{Arch, SubSpace};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const OPS: [&str; 3] = ["skip", "linear", "tanh"];
const LAYERS: usize = 3;
const WIDTH: usize = 32;
const EXAMPLES: u32 = 512;
const BATCH: usize = 32;
const EPOCHS: usize = 100;
const LR: f64 = 0.05;
/// Examples whose answer is noise, the last ones: nothing can learn them, so their gradients stay large.
const NOISY: u32 = 64;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let net = Net::new(&mut rng)?;
    let (x, y) = examples(&mut rng)?;
    let best = Arch::new(vec![2; LAYERS]);
    let space = SubSpace::from_op_counts(&[OPS.len(); LAYERS])?;
    let mut paths = PathImportance::new(space, PathImportanceConfig::default())?;
    let mut images = DataImportance::new(EXAMPLES, DataImportanceConfig::default())?;

    for epoch in 0..EPOCHS {
        for batch in images.epoch_order(&mut rng).chunks(BATCH) {
            let rows = Tensor::new(batch, &Device::Cpu)?;
            let (x, y) = (x.index_select(&rows, 0)?, y.index_select(&rows, 0)?);
            for path in paths.next_paths(&mut rng) {
                let step = net.step(&path, &x, &y)?;
                paths.observe(&PathObservation::new(&path, &step.position_norms, step.loss))?;
                images.observe(batch, &step.example_norms)?;
            }
        }
        let progress = Progress::new(epoch, EPOCHS)?;
        paths.end_epoch(progress)?;
        images.end_epoch(progress)?;
        if epoch == 0 || epoch % 25 == 24 {
            // What is drawn gets harder, so its loss says little: this is that of all examples that can be learnt.
            let learnable = (EXAMPLES - NOISY) as usize;
            let error = net.error(&best, &x.narrow(0, 0, learnable)?, &y.narrow(0, 0, learnable)?)?;
            println!(
                "epoch {:3}: loss of {best} {:.3}",
                epoch + 1,
                error.sqr()?.mean_all()?.to_scalar::<f32>()?
            );
        }
    }
    let drawn: Vec<String> =
        OPS.iter().zip(&paths.distribution()[0]).map(|(op, p)| format!("{op} {p:.2}")).collect();
    println!("operations are drawn with {}", drawn.join(", "));
    let q = images.distribution().ok_or("it is one of importance")?;
    let noisy: f64 = q[(EXAMPLES - NOISY) as usize..].iter().sum();
    println!("{NOISY} of {EXAMPLES} examples are noise; {:.0} % of the draws are theirs", 100.0 * noisy);
    Ok(())
}

/// Two numbers in ±1, and `sin 3a − b³`: odd, as every function is that a network without biases can learn.
fn examples(rng: &mut ChaCha8Rng) -> Result<(Tensor, Tensor)> {
    let mut number = || rng.random_range(-1.0..1.0_f32);
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for i in 0..EXAMPLES {
        let (a, b) = (number(), number());
        x.extend([a, b]);
        y.push(if i < EXAMPLES - NOISY { (3.0 * a).sin() - b.powi(3) } else { number() });
    }
    let n = EXAMPLES as usize;
    Ok((Tensor::from_vec(x, (n, 2), &Device::Cpu)?, Tensor::from_vec(y, (n, 1), &Device::Cpu)?))
}

/// Layers that are skipped, or multiply by a matrix of their own for each operation.
struct Net {
    stem: Var,
    /// `[layer][operation]`; none for skip.
    layers: Vec<[Option<Var>; OPS.len()]>,
    head: Var,
}

/// The results of a step that the samplers receive.
struct Step {
    loss: f64,
    /// Gradient norm of each position's operation; 0 where it has no weights.
    position_norms: Vec<f64>,
    /// Gradient norm of each example.
    example_norms: Vec<f32>,
}

impl Net {
    fn new(rng: &mut ChaCha8Rng) -> Result<Self> {
        let mut matrix = |rows: usize, columns: usize| {
            let bound = 1.0 / (rows as f32).sqrt();
            let values: Vec<f32> = (0..rows * columns).map(|_| rng.random_range(-bound..bound)).collect();
            Var::from_vec(values, (rows, columns), &Device::Cpu)
        };
        let mut square = || matrix(WIDTH, WIDTH).map(Some);
        let layers = (0..LAYERS).map(|_| Ok([None, square()?, square()?])).collect::<Result<_>>()?;
        Ok(Self { layers, stem: matrix(2, WIDTH)?, head: matrix(WIDTH, 1)? })
    }

    /// By how much a path is off, for each example.
    fn error(&self, path: &Arch, x: &Tensor, y: &Tensor) -> Result<Tensor> {
        let mut hidden = x.matmul(&self.stem)?.tanh()?;
        for (layer, &op) in self.layers.iter().zip(path.choices()) {
            hidden = match &layer[usize::from(op)] {
                None => hidden,
                Some(weight) if OPS[usize::from(op)] == "tanh" => hidden.matmul(weight)?.tanh()?,
                Some(weight) => hidden.matmul(weight)?,
            };
        }
        hidden.matmul(&self.head)? - y
    }

    /// One step of SGD on a path.
    fn step(&self, path: &Arch, x: &Tensor, y: &Tensor) -> Result<Step> {
        let error = self.error(path, x, y)?;
        let loss = error.sqr()?.mean_all()?;
        let gradients = loss.backward()?;

        let chosen =
            self.layers.iter().zip(path.choices()).map(|(layer, &op)| layer[usize::from(op)].as_ref());
        let norm = |weight: Option<&Var>| match weight.and_then(|w| gradients.get(w)) {
            Some(gradient) => Ok(gradient.sqr()?.sum_all()?.sqrt()?.to_scalar::<f32>()?.into()),
            None => Ok(0.0),
        };
        let position_norms = chosen.clone().map(norm).collect::<Result<Vec<f64>>>()?;
        for weight in chosen.flatten().chain([&self.stem, &self.head]) {
            if let Some(gradient) = gradients.get(weight) {
                weight.set(&(weight.as_tensor() - (gradient * LR)?)?)?;
            }
        }
        // As PA&DA: the gradient at the network's output stands for that of all weights.
        let example_norms = error.abs()?.sum(D::Minus1)?.to_vec1()?;
        Ok(Step { loss: loss.to_scalar::<f32>()?.into(), position_norms, example_norms })
    }
}
