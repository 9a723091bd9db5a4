//! Runs every target on its corpus, then on mutated inputs that are the same in every run. It needs no libFuzzer and no special compiler.
//!
//! ```text
//! cargo run --release -p pada-fuzz --bin replay -- [CHANGES] [TARGET]
//! ```
//!
//! The current input is stored in `artifacts/<target>-last`, so that it can be inspected if the process aborts.

#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::path::{Path, PathBuf};

use pada_fuzz::{TARGETS, run};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Largest size of a mutated input.
const LONGEST: usize = 1 << 16;

fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let changes: u64 = args.next().map_or(0, |text| text.parse().expect("CHANGES is a number"));
    let only = args.next();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::create_dir_all(root.join("artifacts"))?;
    for (name, _) in TARGETS.iter().filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name)) {
        let corpus = read(&root.join("corpus").join(name))?;
        let last = root.join("artifacts").join(format!("{name}-last"));
        let tried = |input: &[u8]| {
            std::fs::write(&last, input)?;
            run(name, input);
            Ok::<(), std::io::Error>(())
        };
        corpus.iter().try_for_each(|input| tried(input))?;
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        (0..changes).try_for_each(|_| tried(&change(&corpus, &mut rng)))?;
        std::fs::remove_file(&last)?;
        println!("{name}: {} inputs of the corpus, {changes} changed ones", corpus.len());
    }
    Ok(())
}

/// Returns the files of a folder, sorted by name.
fn read(folder: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    let paths = std::fs::read_dir(folder)?.map(|entry| entry.map(|e| e.path()));
    let mut paths = paths.collect::<Result<Vec<PathBuf>, _>>()?;
    paths.sort();
    assert!(!paths.is_empty(), "{} contains no input", folder.display());
    paths.into_iter().map(std::fs::read).collect()
}

/// Returns an input of the corpus with a few mutations.
fn change(corpus: &[Vec<u8>], rng: &mut dyn Rng) -> Vec<u8> {
    let any = |rng: &mut dyn Rng| corpus[rng.random_range(0..corpus.len())].clone();
    let mut input = any(rng);
    for _ in 0..rng.random_range(1..5_u32) {
        let at = rng.random_range(0..=input.len());
        match rng.random_range(0..7_u32) {
            0 => input.truncate(at),
            1 => input.insert(at, rng.random()),
            2 if at < input.len() => input[at] ^= 1 << rng.random_range(0..8_u32),
            3 if at < input.len() => input[at] = [0, 0xff, 0x7f, 0x80, b'9', b'-'][rng.random_range(0..6)],
            // Overwrites a possible length field with a value that is too large.
            4 if at + 4 <= input.len() => input[at..at + 4].fill(0xff),
            5 => {
                let other = any(rng);
                let from = rng.random_range(0..=other.len());
                input.splice(at.., other[from..].iter().copied());
            }
            _ => {
                let end = rng.random_range(at..=input.len().min(at + 32));
                let part = input[at..end].to_vec();
                input.splice(at..at, part);
            }
        }
        input.truncate(LONGEST);
    }
    input
}
