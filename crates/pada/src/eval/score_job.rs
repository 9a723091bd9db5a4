use std::path::PathBuf;
use std::time::Instant;

use pada_data::Photographs;
use pada_metrics::{Fusion, fuse};
use pada_report::ZeroCostRow;
use pada_space::{Arch, SubSpace};
use pada_trainer::{Observer, image_shape, weights_sha256};
use pada_zerocost::{Score, ScoreValue};

use crate::config::{ConfigError, RankArchs, SupernetConfig, TruthName, check_list};
use crate::error::PadaError;
use crate::eval::archs::ranked_archs;
use crate::eval::fusion::at;
use crate::eval::ranking::images_record;
use crate::eval::score_log::ScoreLog;
use crate::eval::tables::Tables;
use crate::eval::weights_file::read_scored;
use crate::eval::zero_cost::ZeroCost;
use crate::run::build;
use crate::run::network::Network;
use crate::run::session::Session;

/// Zero-cost scores of a list of architectures.
#[derive(Clone, Debug)]
pub struct ScoreJob {
    /// The search space and the size of the network.
    pub supernet: SupernetConfig,
    /// Data set, in the form of `data.source` of a config.
    pub data: String,
    /// Settings for reading photographs, or `None` for images of a fixed size.
    pub photographs: Option<Photographs>,
    /// Takes images from the test images instead of the training images.
    pub test_images: bool,
    /// Number of images: the first ones in official order, without augmentation. Scores that compare two batches take twice as many.
    pub images: usize,
    /// Seed of the initial weights.
    pub seed: u64,
    /// Weights of a supernet in place of initial ones: a checkpoint, a `.safetensors` file, or a PyTorch `.pt` file.
    pub weights: Option<PathBuf>,
    /// The scores to compute.
    pub scores: Vec<Score>,
    /// Adds the ranking that fuses all these scores.
    pub fusion: Option<Fusion>,
    /// The architectures.
    pub archs: RankArchs,
    /// The benchmark table to compare with.
    pub truth: Option<TruthName>,
    /// A file that receives the scores while they are computed, and from which the next start continues. The caller removes it after it
    /// has written the result.
    pub log: Option<PathBuf>,
}

/// The result of a [`ScoreJob`].
#[derive(Clone, Debug)]
pub struct Scored {
    /// The architectures.
    pub archs: Vec<Arch>,
    /// The scores in the order of the job, each with the seconds that it took.
    pub scores: Vec<(Score, Vec<ScoreValue>, f64)>,
    /// The fused score, `[A]`.
    pub fused: Option<Vec<f64>>,
    /// The comparison with the benchmark table: `#params`, the scores, and the fused score. Empty without a table.
    pub rows: Vec<ZeroCostRow>,
    /// The number of distinct networks among the architectures.
    pub networks: usize,
}

/// Computes zero-cost scores on the CPU.
///
/// # Errors
/// Returns an error if data set, weights or table cannot be read, if an architecture is invalid, and [`PadaError::OtherScores`] if the log
/// belongs to another network, other images or another seed.
pub fn zero_cost_scores(
    job: &ScoreJob,
    session: &Session,
    observer: &mut dyn Observer,
) -> Result<Scored, PadaError> {
    check_list("--archs", &job.archs, job.truth)?;
    if let Some(truth) = job.truth.filter(|truth| truth.space() != job.supernet.space) {
        let (key, value, range) = ("--truth", format!("{truth:?}"), "a table of the search space");
        return Err(ConfigError::Range { key, value, range }.into());
    }
    let splits = pada_data::open(&job.data, &session.data_dir, job.photographs)?;
    let from = if job.test_images { &splits.test } else { &splits.train };
    build::within("--images", job.images, from)?;
    let network = Network::new(&job.supernet, from)?;
    let images = from.to_memory(2 * job.images)?;
    let space = job.supernet.space()?;
    let (zero_cost, part, weights) = match &job.weights {
        None => (
            ZeroCost::new(&job.supernet, &images, job.images, job.seed)?,
            SubSpace::full(space.as_ref()),
            None,
        ),
        Some(path) => {
            let net = build::supernet(&job.supernet, image_shape(from), from.classes())?;
            let (weights, part) = read_scored(path, net.as_ref(), space.as_ref())?;
            let sha256 = weights_sha256(&weights);
            (ZeroCost::with_weights(&job.supernet, weights, &images, job.images)?, part, Some(sha256))
        }
    };
    let tables = Tables::load(job.truth, &[], &session.data_dir)?;
    let archs = ranked_archs(&job.archs, job.supernet.space, space.as_ref(), &part, &tables, job.seed)?;
    let subject = serde_json::json!({
        "supernet": job.supernet,
        "images": images_record(&images).sha256,
        "batch": job.images,
        "seed": job.seed,
        "weights": weights,
    });
    let open = |path: &PathBuf| ScoreLog::open(path, &subject.to_string(), space.as_ref());
    let mut log = job.log.as_ref().map(open).transpose()?;
    let mut scores = Vec::new();
    for &score in &job.scores {
        let started = Instant::now();
        let values = zero_cost.logged_scores(score, &archs, log.as_mut(), observer)?;
        scores.push((score, values, started.elapsed().as_secs_f64()));
    }
    let ranked = |values: &[ScoreValue]| values.iter().map(ScoreValue::for_ranking).collect::<Vec<f64>>();
    let lists: Vec<Vec<f64>> = scores.iter().map(|(_, values, _)| ranked(values)).collect();
    let fused = job.fusion.map(|fusion| fuse(&lists, fusion)).transpose()?;
    let mut rows = Vec::new();
    if let Some(truth) = tables.main() {
        let known: Vec<usize> = (0..archs.len()).filter(|&i| truth.accuracy(&archs[i]).is_some()).collect();
        let of_table: Vec<Arch> = known.iter().map(|&i| archs[i].clone()).collect();
        let accuracies: Vec<f64> = of_table.iter().filter_map(|arch| truth.accuracy(arch)).collect();
        let params = network.baselines(&of_table)?.swap_remove(0).1;
        let sizes = ranked(&zero_cost.scores(Score::ActiveConvParams, &of_table, &mut ())?);
        let own = scores.iter().zip(&lists).map(|((score, ..), list)| (score.name(), at(list, &known)));
        let own = own.chain(fused.iter().map(|fused| (ZeroCostRow::FUSED, at(fused, &known))));
        for (name, list) in std::iter::once((ZeroCostRow::PARAMS, params.clone())).chain(own) {
            rows.extend(ZeroCostRow::of(name, &list, &accuracies, &params, Some(&sizes))?);
        }
    }
    let networks = zero_cost.networks(&archs)?;
    Ok(Scored { archs, scores, fused, rows, networks })
}
