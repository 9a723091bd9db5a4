//! Zero-cost scores of architectures, with the network of a search space that was just initialised or with given weights.

use std::collections::HashMap;

use pada_data::InMemoryDataset;
use pada_engine::Engine;
use pada_exec::{Images, Inspect, Precision};
use pada_graph::{Graph, Lower, Shape};
use pada_models::{Norms, init_weights};
use pada_space::{Arch, SearchSpace};
use pada_trainer::{Observer, RngStream, TrainError};
use pada_zerocost::{Score, ScoreKind, ScoreValue, ScoringBatch, Weights, ZeroCostScorer};

use crate::config::{ConfigError, SupernetConfig};
use crate::error::PadaError;
use crate::eval::score_log::ScoreLog;
use crate::run::build;

/// A network of the size of a supernet, images and weights, from which zero-cost scores are computed on the CPU.
pub struct ZeroCost {
    space: Box<dyn SearchSpace>,
    net: Box<dyn Lower>,
    weights: Vec<f32>,
    kind: Weights,
    /// Normalised pixels of all images, `[N, C, H, W]`.
    pixels: Vec<f32>,
    labels: Vec<u32>,
    batch: usize,
    seed: u64,
}

impl ZeroCost {
    /// Creates the network with weights drawn from `seed`, and takes the first `batch` images of a data set, at least one; twice as many for scores that
    /// compare batches, if there are enough. Convolutions have no bias, and batch norms have scale and shift, as in stand-alone networks.
    ///
    /// # Errors
    /// Returns an error if the space does not have the size of the config.
    pub fn new(
        config: &SupernetConfig,
        images: &InMemoryDataset,
        batch: usize,
        seed: u64,
    ) -> Result<Self, ConfigError> {
        let shape = Shape::new(images.channels, images.height, images.width);
        let net = build::network(config.size()?, Norms::Affine, shape, images.classes);
        let weights = init_weights(net.weights(), &mut RngStream::Init.stream(seed));
        Self::of(config, net, weights, Weights::Initial, (images, batch), seed)
    }

    /// Takes given weights of a supernet instead, in the order of [`crate::weight_layout`].
    ///
    /// # Errors
    /// Returns an error if the space does not have the size of the config.
    pub fn with_weights(
        config: &SupernetConfig,
        weights: Vec<f32>,
        images: &InMemoryDataset,
        batch: usize,
    ) -> Result<Self, ConfigError> {
        let shape = Shape::new(images.channels, images.height, images.width);
        let net = build::supernet(config, shape, images.classes)?;
        Self::of(config, net, weights, Weights::Trained, (images, batch), 0)
    }

    fn of(
        config: &SupernetConfig,
        net: Box<dyn Lower>,
        weights: Vec<f32>,
        kind: Weights,
        (images, batch): (&InMemoryDataset, usize),
        seed: u64,
    ) -> Result<Self, ConfigError> {
        let batch = batch.max(1);
        let images = images.first(2 * batch);
        let all: Vec<u32> = (0..images.len() as u32).collect();
        let pixels = pada_data::normalised(&images, &all).expect("all indices are in range");
        let labels = images.labels.iter().map(|&label| u32::from(label)).collect();
        Ok(Self { space: config.space()?, net, weights, kind, pixels, labels, batch, seed })
    }

    /// Computes one score of architectures, in their order. Architectures with equal networks are computed once.
    ///
    /// # Errors
    /// Returns [`PadaError::ZeroCost`] or [`PadaError::Graph`] if a score cannot be computed, and an error of kind
    /// [`ErrorKind::Stopped`](crate::ErrorKind::Stopped) if the observer requests to stop.
    pub fn scores(
        &self,
        score: Score,
        archs: &[Arch],
        observer: &mut dyn Observer,
    ) -> Result<Vec<ScoreValue>, PadaError> {
        self.logged_scores(score, archs, None, observer)
    }

    /// Computes the scores that a log does not have, and appends them to it.
    pub(crate) fn logged_scores(
        &self,
        score: Score,
        archs: &[Arch],
        mut log: Option<&mut ScoreLog>,
        observer: &mut dyn Observer,
    ) -> Result<Vec<ScoreValue>, PadaError> {
        let live = archs.iter().map(|arch| self.live(arch)).collect::<Result<Vec<_>, _>>()?;
        let mut different: Vec<&Arch> = live.iter().collect();
        different.sort_unstable();
        different.dedup();
        let mut known: HashMap<&Arch, ScoreValue> = HashMap::new();
        if let Some(log) = &log {
            known.extend(different.iter().filter_map(|&arch| Some((arch, log.get(score, arch)?))));
        }
        different.retain(|arch| !known.contains_key(arch));
        // Structural scores are computed faster than they are written.
        let mut log = log.take().filter(|_| score.kind() == ScoreKind::Passes);
        // A single image does not keep several threads busy, so that each of them gets an architecture of its own.
        let values =
            match different.len() > 1 && (score.kind() == ScoreKind::Structure || !score.reads_images()) {
                true => self.each_on_a_thread(score, &different, &mut log, observer)?,
                false => {
                    let mut engine = self.engine();
                    let mut values = Vec::with_capacity(different.len());
                    let mut failed = Ok(());
                    self.one_after_the_other(score, &different, &mut engine, |value| {
                        if let Some(log) = &mut log {
                            failed = log.add(score, different[values.len()], value);
                        }
                        values.push(value);
                        observer.on_scored(values.len(), different.len());
                        failed.is_ok() && !observer.stop_requested()
                    })?;
                    failed?;
                    values
                }
            };
        if values.len() < different.len() {
            return Err(TrainError::Stopped.into());
        }
        known.extend(different.into_iter().zip(values));
        Ok(live.iter().map(|arch| known[arch]).collect())
    }

    /// Returns the number of distinct networks of some architectures.
    pub(crate) fn networks(&self, archs: &[Arch]) -> Result<usize, PadaError> {
        let live =
            archs.iter().map(|arch| self.live(arch)).collect::<Result<std::collections::HashSet<_>, _>>()?;
        Ok(live.len())
    }

    /// Returns the number of images of a batch.
    pub fn batch(&self) -> usize {
        self.batch.min(self.labels.len())
    }

    fn engine(&self) -> Engine {
        Engine::new(self.net.weights().clone(), self.weights.clone(), Precision::F32)
    }

    fn batches(&self) -> Vec<ScoringBatch<'_>> {
        let numel = self.net.input().numel();
        let pixels = self.pixels.chunks(self.batch * numel);
        let batch =
            |(pixels, labels)| ScoringBatch { images: Images::given(pixels, self.net.input()), labels };
        pixels.zip(self.labels.chunks(self.batch)).map(batch).collect()
    }

    /// Scores architectures until `take` returns false.
    fn one_after_the_other(
        &self,
        score: Score,
        archs: &[&Arch],
        executor: &mut dyn Inspect,
        mut take: impl FnMut(ScoreValue) -> bool,
    ) -> Result<(), PadaError> {
        let batches = self.batches();
        let mut scorer = ZeroCostScorer::new(score, executor, &batches, self.kind, self.seed)?;
        for arch in archs {
            if !take(scorer.score(&self.graph(arch)?)?) {
                break;
            }
        }
        Ok(())
    }

    fn each_on_a_thread(
        &self,
        score: Score,
        archs: &[&Arch],
        log: &mut Option<&mut ScoreLog>,
        observer: &mut dyn Observer,
    ) -> Result<Vec<ScoreValue>, PadaError> {
        /// Number of architectures between two looks at the observer, per thread.
        const AT_ONCE: usize = 64;
        let threads = rayon::current_num_threads();
        let mut values = Vec::with_capacity(archs.len());
        for part in archs.chunks(AT_ONCE * threads) {
            let share = part.len().div_ceil(threads);
            let found = std::thread::scope(|scope| {
                let work = |archs: &'_ [&Arch]| {
                    let mut values = Vec::with_capacity(archs.len());
                    let one =
                        rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one more thread");
                    let mut engine = self.engine();
                    let done = one.install(|| {
                        self.one_after_the_other(score, archs, &mut engine, |value| {
                            values.push(value);
                            true
                        })
                    });
                    done.map(|()| values)
                };
                let threads: Vec<_> =
                    part.chunks(share).map(|archs| scope.spawn(move || work(archs))).collect();
                let joined = threads.into_iter().map(|thread| thread.join().expect("a panic is a bug"));
                joined.collect::<Result<Vec<_>, PadaError>>()
            })?;
            for (&arch, value) in part.iter().zip(found.into_iter().flatten()) {
                if let Some(log) = log {
                    log.add(score, arch, value)?;
                }
                values.push(value);
            }
            observer.on_scored(values.len(), archs.len());
            if observer.stop_requested() {
                break;
            }
        }
        Ok(values)
    }

    /// Returns the architecture without operations that cannot influence the output of its network.
    fn live(&self, arch: &Arch) -> Result<Arch, PadaError> {
        let arch = self.space.without_dead_edges(arch)?;
        let active = self.space.active(&arch)?;
        Ok(Arch::new(
            arch.choices().iter().zip(active).map(|(&op, on)| if on { op } else { 0 }).collect::<Vec<_>>(),
        ))
    }

    fn graph(&self, live: &Arch) -> Result<Graph, PadaError> {
        Ok(self.net.lower(live)?)
    }
}
