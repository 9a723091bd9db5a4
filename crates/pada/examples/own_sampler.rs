//! Trains with a path sampler and a data set of your own:
//!
//! ```sh
//! cargo run --release -p pada --example own_sampler
//! ```
#![allow(clippy::print_stdout, unreachable_pub, reason = "an example, which a test runs")]

use pada::prelude::*;
use pada::sampler::{UniformPaths, rand};

/// Draws two uniform paths and trains the one with more 3×3 convolutions (operation 3 of NAS-Bench-201).
struct PreferConvolutions {
    uniform: UniformPaths,
}

impl PathSampler for PreferConvolutions {
    fn next_paths(&mut self, rng: &mut dyn rand::Rng) -> Vec<Arch> {
        let convolutions = |path: &Arch| path.choices().iter().filter(|&&op| op == 3).count();
        let mut paths = self.uniform.next_paths(rng);
        paths.extend(self.uniform.next_paths(rng));
        paths.into_iter().max_by_key(convolutions).into_iter().collect()
    }

    fn observe(&mut self, _: &PathObservation<'_>) -> Result<(), SamplerError> {
        Ok(())
    }

    fn end_epoch(&mut self, _: Progress) -> Result<(), SamplerError> {
        Ok(())
    }

    fn distribution(&self) -> Vec<Vec<f64>> {
        self.uniform.distribution()
    }

    fn state(&self) -> SavedState {
        self.uniform.state()
    }

    fn restore(&mut self, state: &SavedState) -> Result<(), SamplerError> {
        self.uniform.restore(state)
    }
}

/// Images of two classes, bright and dark, of 8×8 pixels.
fn images(name: &str, n: usize) -> InMemoryDataset {
    let bright = |i: usize| i.is_multiple_of(2);
    InMemoryDataset {
        name: name.to_owned(),
        channels: 3,
        height: 8,
        width: 8,
        classes: 2,
        pixels: (0..n)
            .flat_map(|i| std::iter::repeat_n(if bright(i) { 200 } else { 50 }, 3 * 8 * 8))
            .collect(),
        labels: (0..n).map(|i| u16::from(bright(i))).collect(),
        normalize: Normalize { mean: [0.5; 3], std: [0.5; 3] },
    }
}

/// Trains, scores two architectures and removes the run folder.
pub fn main() -> Result<(), PadaError> {
    let folder = std::env::temp_dir().join(format!("pada-own-sampler-{}", std::process::id()));
    let own = Splits { train: images("squares, train", 64), test: images("squares, test", 32) };
    let mut run = Experiment::nb201(Dataset::own(own))
        .path_sampler("prefer-convolutions", |part| {
            Ok(PreferConvolutions { uniform: UniformPaths::new(part)? })
        })
        .image_sampler(ImagesConfig::Uniform)
        .epochs(2)
        .set("train.batch=16")
        .set("rank.archs=random:10")
        .train(&folder)?;
    let archs = [run.space().parse("333333")?, run.space().parse("000000")?];
    for score in run.evaluate(&archs)?.scores {
        println!("{}: {} of {} images", score.arch, score.correct, score.total);
    }
    drop(run);
    std::fs::remove_dir_all(folder).ok();
    Ok(())
}
