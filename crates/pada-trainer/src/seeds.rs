use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// What random numbers are drawn for. Each purpose has a stream of its own, so that one more draw for one of them moves no
/// other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum RngStream {
    /// Starting weights.
    Init,
    /// Which paths are trained.
    Paths,
    /// Which images are trained on, in which order.
    Images,
    /// Crops and flips.
    Augment,
    /// Which architectures are ranked.
    Rank,
    /// Whatever a training rule draws beside paths.
    Rule,
    /// Batches and paths that a supernet is split by.
    Split,
    /// What a training rule learns beside the weights, at its start.
    RuleStart,
    /// Which architectures a search visits.
    Search,
    /// Which paths of a network are dropped.
    DropPath,
}

/// Streams that each stage of a run has for itself; more than there are purposes.
const STAGE: u64 = 16;

impl RngStream {
    /// The stream of a seed.
    pub fn stream(self, seed: u64) -> ChaCha8Rng {
        self.stage_stream(seed, 0)
    }

    /// The stream of one stage of a run.
    pub fn stage_stream(self, seed: u64, stage: usize) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(self as u64 + STAGE * stage as u64);
        rng
    }
}

/// The streams that training draws from.
#[derive(Clone, Debug)]
pub struct Streams {
    /// Which paths.
    pub paths: ChaCha8Rng,
    /// Which images.
    pub images: ChaCha8Rng,
    /// Crops and flips.
    pub augment: ChaCha8Rng,
    /// Whatever the training rule draws beside paths.
    pub rule: ChaCha8Rng,
    /// Which paths of a network are dropped.
    pub drop_path: ChaCha8Rng,
}

/// How far each stream has been read, in words; what a checkpoint keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StreamPositions {
    paths: u128,
    images: u128,
    augment: u128,
    rule: u128,
    /// Checkpoints of runs that drop none may lack it.
    #[serde(default)]
    drop_path: u128,
}

impl Streams {
    /// The streams of a stage of a run, from their start.
    pub fn new(seed: u64, stage: usize) -> Self {
        let stream = |purpose: RngStream| purpose.stage_stream(seed, stage);
        Self {
            paths: stream(RngStream::Paths),
            images: stream(RngStream::Images),
            augment: stream(RngStream::Augment),
            rule: stream(RngStream::Rule),
            drop_path: stream(RngStream::DropPath),
        }
    }

    pub(crate) fn positions(&self) -> StreamPositions {
        let [paths, images, augment, rule, drop_path] =
            [&self.paths, &self.images, &self.augment, &self.rule, &self.drop_path]
                .map(ChaCha8Rng::get_word_pos);
        StreamPositions { paths, images, augment, rule, drop_path }
    }

    pub(crate) fn go_to(&mut self, positions: &StreamPositions) {
        self.paths.set_word_pos(positions.paths);
        self.images.set_word_pos(positions.images);
        self.augment.set_word_pos(positions.augment);
        self.rule.set_word_pos(positions.rule);
        self.drop_path.set_word_pos(positions.drop_path);
    }
}
