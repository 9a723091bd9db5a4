//! Zero-cost scores of architectures, with the network of a search space that was just initialised or with given weights.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};

use pada_data::InMemoryDataset;
use pada_engine::Engine;
use pada_exec::{Convolution, Images, Precision};
use pada_graph::{Lower, Shape};
use pada_metrics::{Fusion, MetricsError, fuse};
use pada_models::{Norms, init_weights};
use pada_space::{Arch, SearchSpace};
use pada_trainer::{Observer, RngStream, TrainError};
use pada_zerocost::{Score, ScoreKind, ScoreValue, ScoringBatch, Weights, ZeroCostScorer, structural};
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

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
    /// Creates the network with weights drawn from `seed`, and takes the first `batch` images of a data set, at least one; twice as many for
    /// scores that compare batches, if there are enough. Convolutions have no bias, and batch norms have scale and shift, as in stand-alone
    /// networks.
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
        Self::of(config, net, weights, Weights::Initial, images, batch, seed)
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
        Self::of(config, net, weights, Weights::Trained, images, batch, 0)
    }

    fn of(
        config: &SupernetConfig,
        net: Box<dyn Lower>,
        weights: Vec<f32>,
        kind: Weights,
        images: &InMemoryDataset,
        batch: usize,
        seed: u64,
    ) -> Result<Self, ConfigError> {
        let batch = batch.max(1);
        let images = images.first(2 * batch);
        let all: Vec<u32> = (0..images.len() as u32).collect();
        let pixels = pada_data::normalised(&images, &all).expect("all indices are in range");
        let labels = images.labels.iter().map(|&label| u32::from(label)).collect();
        Ok(Self { space: config.space()?, net, weights, kind, pixels, labels, batch, seed })
    }

    /// Computes one score of architectures, in their order. Architectures with equal networks are computed once. A score of a list
    /// ([`Score::parts`]) depends on all of `archs`.
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
        if score.parts() != [score] {
            let mut column = |part: Score| self.logged_scores(part, archs, log.as_deref_mut(), observer);
            let columns = score.parts().into_iter().map(&mut column).collect::<Result<Vec<_>, _>>()?;
            let ranked = |values: &Vec<ScoreValue>| values.iter().map(ScoreValue::for_ranking).collect();
            let fused = of_parts(columns.iter().map(ranked).collect())?;
            let reason = |place: usize| columns.iter().find_map(|values| values[place].reason);
            let of = |(place, value)| ScoreValue { value, reason: reason(place) };
            return Ok(fused.into_iter().enumerate().map(of).collect());
        }
        let live = archs.iter().map(|arch| self.live(arch)).collect::<Result<Vec<_>, _>>()?;
        let mut different: Vec<&Arch> = live.iter().collect();
        different.sort_unstable();
        different.dedup();
        let mut known: HashMap<&Arch, ScoreValue> = HashMap::new();
        if let Some(log) = &log {
            known.extend(different.iter().filter_map(|&arch| Some((arch, log.get(score, arch)?))));
        }
        different.retain(|arch| !known.contains_key(arch));
        let values = match score.kind() {
            ScoreKind::Structure => {
                let structural = |arch: &&Arch| {
                    let value = structural(score, &self.net.lower(arch)?, self.net.weights());
                    let value = value.expect("a score of the structure needs no pass");
                    Ok::<_, PadaError>(ScoreValue { value, reason: None })
                };
                different.par_iter().map(structural).collect::<Result<Vec<_>, _>>()?
            }
            ScoreKind::Passes => self.with_passes(score, &different, log, observer)?,
        };
        known.extend(different.into_iter().zip(values));
        Ok(live.iter().map(|arch| known[arch]).collect())
    }

    /// Returns the number of distinct networks of some architectures.
    pub(crate) fn networks(&self, archs: &[Arch]) -> Result<usize, PadaError> {
        let live = archs.iter().map(|arch| self.live(arch)).collect::<Result<HashSet<_>, _>>()?;
        Ok(live.len())
    }

    /// Returns the number of images of a batch.
    pub fn batch(&self) -> usize {
        self.batch.min(self.labels.len())
    }

    fn batches(&self) -> Vec<ScoringBatch<'_>> {
        let numel = self.net.input().numel();
        let pixels = self.pixels.chunks(self.batch * numel);
        let batch =
            |(pixels, labels)| ScoringBatch { images: Images::given(pixels, self.net.input()), labels };
        pixels.zip(self.labels.chunks(self.batch)).map(batch).collect()
    }

    /// Computes scores that need passes through the networks.
    fn with_passes(
        &self,
        score: Score,
        archs: &[&Arch],
        mut log: Option<&mut ScoreLog>,
        observer: &mut dyn Observer,
    ) -> Result<Vec<ScoreValue>, PadaError> {
        // A single image does not keep several threads busy, so that each of them gets architectures of its own.
        let workers = if score.reads_images() { 1 } else { rayon::current_num_threads().min(archs.len()) };
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let mut values: Vec<Option<ScoreValue>> = vec![None; archs.len()];
        std::thread::scope(|scope| {
            let (send, receive) = channel();
            for _ in 0..workers {
                let send = send.clone();
                let work = || self.work(score, archs, &next, &stop, send);
                scope.spawn(move || match workers {
                    1 => work(),
                    _ => ThreadPoolBuilder::new()
                        .num_threads(1)
                        .build()
                        .expect("one more thread")
                        .install(work),
                });
            }
            drop(send);
            for (done, found) in (1..).zip(receive) {
                let (place, value) = found?;
                if let Some(log) = &mut log {
                    log.add(score, archs[place], value)?;
                }
                values[place] = Some(value);
                observer.on_scored(done, archs.len());
                stop.fetch_or(observer.stop_requested(), Ordering::Relaxed);
            }
            Ok::<_, PadaError>(())
        })?;
        values.into_iter().collect::<Option<_>>().ok_or_else(|| TrainError::Stopped.into())
    }

    /// Scores the next architecture that no other worker has taken, until there is none or `stop` is set.
    fn work(
        &self,
        score: Score,
        archs: &[&Arch],
        next: &AtomicUsize,
        stop: &AtomicBool,
        send: Sender<Result<(usize, ScoreValue), PadaError>>,
    ) {
        let precision = if score.needs_f64() { Precision::F64 } else { Precision::F32 };
        // Published scores come from direct convolutions.
        let mut engine = Engine::new(self.net.weights().clone(), self.weights.clone(), precision)
            .with_convolution(Convolution::Direct);
        let batches = self.batches();
        let mut scorer = match ZeroCostScorer::new(score, &mut engine, &batches, self.kind, self.seed) {
            Ok(scorer) => scorer,
            Err(error) => {
                // A receiver that is gone has an error of its own already.
                send.send(Err(error.into())).ok();
                return;
            }
        };
        while !stop.load(Ordering::Relaxed) {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(arch) = archs.get(place) else { return };
            let value = self.net.lower(arch).map_err(PadaError::from);
            let value = value.and_then(|graph| Ok((place, scorer.score(&graph)?)));
            // After an error, nobody receives any more.
            if send.send(value).is_err() {
                return;
            }
        }
    }

    /// Returns the architecture without operations that cannot influence the output of its network.
    fn live(&self, arch: &Arch) -> Result<Arch, PadaError> {
        let arch = self.space.without_dead_edges(arch)?;
        let active = self.space.active(&arch)?;
        Ok(Arch::new(
            arch.choices().iter().zip(active).map(|(&op, on)| if on { op } else { 0 }).collect::<Vec<_>>(),
        ))
    }
}

/// Returns the numbers `[A]` by which a score ranks architectures, from those of its [`Score::parts`]: those of the only part, or for a score
/// of a list the mean log ranks of several.
///
/// # Errors
/// Returns an error if the parts have different numbers of architectures, or NaN.
pub(crate) fn of_parts(mut parts: Vec<Vec<f64>>) -> Result<Vec<f64>, MetricsError> {
    match &parts[..] {
        [_] => Ok(parts.swap_remove(0)),
        _ if parts.iter().all(Vec::is_empty) => Ok(vec![]),
        _ => fuse(&parts, Fusion::LogRanks),
    }
}
