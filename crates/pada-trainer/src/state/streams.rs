use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// The random streams of a run, by purpose. Each purpose has a stream of its own, so that one more draw in one of them does not change
/// the others.
///
/// The streams are those of one ChaCha8 generator, which all share the seed of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum RngStream {
    /// Initial weights.
    Init,
    /// Paths to train.
    Paths,
    /// Images to train on, and their order.
    Images,
    /// Augmentation: crops, flips and the like.
    Augment,
    /// Architectures to rank.
    Rank,
    /// Draws of the training rule, apart from paths.
    Rule,
    /// Batches and paths by which a supernet is split.
    Split,
    /// Initial parameters of the training rule.
    RuleStart,
    /// Architectures that a search visits.
    Search,
    /// Paths of a network that drop path leaves out, and inputs of a classifier that dropout does.
    DropPath,
    /// Control architectures of a ranking by rounds, and accuracies that are drawn to estimate its cost.
    Halving,
}

/// Number of streams that each stage of a run has; more than there are purposes.
const STAGE: u64 = 16;

impl RngStream {
    /// The stream of a run with this seed.
    pub fn stream(self, seed: u64) -> ChaCha8Rng {
        self.stage_stream(seed, 0)
    }

    /// The stream of one stage of a run that splits its supernet. Stage 0 is that of [`RngStream::stream`].
    pub fn stage_stream(self, seed: u64, stage: usize) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(self as u64 + STAGE * stage as u64);
        rng
    }
}

/// The streams that training draws from.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    pub(crate) paths: ChaCha8Rng,
    pub(crate) images: ChaCha8Rng,
    pub(crate) augment: ChaCha8Rng,
    pub(crate) rule: ChaCha8Rng,
    pub(crate) drop_path: ChaCha8Rng,
}

/// The position of each stream, in 32-bit words since its start. Checkpoints store it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StreamPositions {
    paths: u128,
    images: u128,
    augment: u128,
    rule: u128,
    drop_path: u128,
}

impl Streams {
    /// The streams of a stage of a run, at their start.
    pub(crate) fn new(seed: u64, stage: usize) -> Self {
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
