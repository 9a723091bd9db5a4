use std::collections::HashMap;

use pada_data::{Augment, Dataset, ImageBatch};
use pada_exec::{Batch, Executor, Images, LossSpec};
use pada_graph::{Lower, Shape, WeightId};
use pada_space::{Arch, SubSpace};
use rand::{Rng, RngExt};

use crate::TrainError;
use crate::scoring::fixed_images::image_shape;

/// Settings of [`split_by_gradients`] and [`disagreements`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MatchingSettings {
    /// Number of pairs of a batch and a random path.
    pub samples: usize,
    /// Batch size.
    pub batch: usize,
    /// Augmentation of the images.
    pub augment: Augment,
}

/// The disagreement between the gradients of the operations at one position.
#[derive(Clone, Debug, PartialEq)]
pub struct Disagreement {
    /// Index of the position.
    pub position: usize,
    /// `[n]`, the operations of the position.
    pub ops: Vec<u8>,
    /// `[n, n]`, the mean of 1 − cos between two gradients of the shared weights: one with the operation of the row at the position, one
    /// with the operation of the column. Images and all other operations are the same.
    pub distance: Vec<Vec<f64>>,
}

/// Splits a supernet in two at the position at which the split separates the gradients that disagree most.
///
/// Only positions that still have all operations of `whole` are considered. Returns `None` if there is no such position.
///
/// # Errors
/// Returns an error if the executor fails.
///
/// # Source
/// Hu et al., *Generalizing Few-Shot NAS with Gradient Matching*, ICLR 2022.
pub fn split_by_gradients(
    executor: &mut dyn Executor,
    net: &dyn Lower,
    images: &Dataset,
    [whole, part]: [&SubSpace; 2],
    settings: &MatchingSettings,
    rng: &mut dyn Rng,
) -> Result<Option<[SubSpace; 2]>, TrainError> {
    let unsplit = |e: &usize| part.allowed()[*e].len() > 1 && part.allowed()[*e] == whole.allowed()[*e];
    let positions: Vec<usize> = (0..part.allowed().len()).filter(unsplit).collect();
    let found = disagreements(executor, net, images, part, &positions, settings, rng)?;
    let best = found
        .iter()
        .map(|d| (d, best_partition(&d.distance)))
        .max_by(|(_, (_, a)), (_, (_, b))| a.total_cmp(b));
    Ok(best.map(|(d, (first, cut))| {
        let (a, b): (Vec<usize>, Vec<usize>) = (0..d.ops.len()).partition(|i| first.contains(i));
        let part_of = |side: Vec<usize>| {
            let ops = side.into_iter().map(|i| d.ops[i]).collect::<Vec<_>>();
            part.restrict(d.position, &ops).expect("both sides are operations of the sub-space")
        };
        let parts = [a, b].map(part_of);
        let ops = |part: &SubSpace| part.allowed()[d.position].clone();
        tracing::info!(position = d.position, cut, a = ?ops(&parts[0]), b = ?ops(&parts[1]), "split");
        parts
    }))
}

/// Finds the partition into ⌊n/2⌋ and ⌈n/2⌉ elements with the largest sum of distances between the two sides. Returns the smaller side and
/// the sum.
///
/// # Shapes
/// `distance`: `[n, n]`, symmetric, with n ≥ 2
pub fn best_partition(distance: &[Vec<f64>]) -> (Vec<usize>, f64) {
    let n = distance.len();
    let side = |set: u32| (0..n).filter(|i| set >> i & 1 == 1).collect::<Vec<usize>>();
    let cut = |set: u32| {
        let pairs = (0..n).flat_map(|i| (0..i).map(move |j| (i, j)));
        pairs.filter(|(i, j)| (set >> i ^ set >> j) & 1 == 1).map(|(i, j)| distance[i][j]).sum::<f64>()
    };
    let sets = (0..1_u32 << n).filter(|set| set.count_ones() as usize == n / 2);
    let best = sets
        .map(|set| (set, cut(set)))
        .fold((0, f64::NEG_INFINITY), |best, next| if next.1 > best.1 { next } else { best });
    (side(best.0), best.1)
}

/// Compares the gradients of all operations at each of the given positions.
///
/// # Errors
/// Returns an error if the executor fails.
pub fn disagreements(
    executor: &mut dyn Executor,
    net: &dyn Lower,
    images: &Dataset,
    part: &SubSpace,
    positions: &[usize],
    settings: &MatchingSettings,
    rng: &mut dyn Rng,
) -> Result<Vec<Disagreement>, TrainError> {
    let mut found: Vec<Disagreement> = positions
        .iter()
        .map(|&position| {
            let ops = part.allowed()[position].clone();
            let distance = vec![vec![0.0; ops.len()]; ops.len()];
            Disagreement { position, ops, distance }
        })
        .collect();
    let share = 1.0 / settings.samples as f64;
    for _ in 0..settings.samples {
        let path = part.sample(rng);
        let sample = Sample::draw(images, settings, rng)?;
        // The path itself is one of the variants at every position.
        let mut known: HashMap<Arch, CellGradient> = HashMap::new();
        for d in &mut found {
            let variant = |&op| path.with(d.position, op).expect("the decision exists");
            let variants: Vec<Arch> = d.ops.iter().map(variant).collect();
            for variant in &variants {
                if !known.contains_key(variant) {
                    known.insert(variant.clone(), sample.gradient(executor, net, variant)?);
                }
            }
            for (i, a) in variants.iter().enumerate() {
                for (j, b) in variants[..i].iter().enumerate() {
                    let distance = share * (1.0 - cosine(&known[a], &known[b], d.position));
                    d.distance[i][j] += distance;
                    d.distance[j][i] += distance;
                }
            }
        }
    }
    Ok(found)
}

/// The gradients of the weights of the cells, with the position of each weight.
type CellGradient = Vec<(usize, Vec<f32>)>;

/// Computes the cosine between two gradients over all cell weights that do not belong to `position`. Returns 0 if one of them is zero.
fn cosine(a: &CellGradient, b: &CellGradient, position: usize) -> f64 {
    let (mut dot, mut squares) = (0.0, [0.0; 2]);
    for ((_, a), (_, b)) in a.iter().zip(b).filter(|((at, _), _)| *at != position) {
        for (&a, &b) in a.iter().zip(b) {
            let (a, b) = (f64::from(a), f64::from(b));
            dot += a * b;
            squares[0] += a * a;
            squares[1] += b * b;
        }
    }
    let norms = squares[0].sqrt() * squares[1].sqrt();
    if norms > 0.0 { dot / norms } else { 0.0 }
}

/// A batch of random images.
struct Sample {
    pixels: Vec<f32>,
    labels: Vec<u32>,
    shape: Shape,
}

impl Sample {
    fn draw(images: &Dataset, settings: &MatchingSettings, rng: &mut dyn Rng) -> Result<Self, TrainError> {
        let n = settings.batch.min(images.len());
        let indices: Vec<u32> = (0..n).map(|_| rng.random_range(0..images.len() as u32)).collect();
        let ImageBatch { pixels, indices } =
            images.load(&images.plan(&indices, &settings.augment, rng)?)?;
        let labels = indices.iter().map(|&i| u32::from(images.labels()[i as usize])).collect();
        Ok(Self { pixels, labels, shape: image_shape(images) })
    }

    fn gradient(
        &self,
        executor: &mut dyn Executor,
        net: &dyn Lower,
        path: &Arch,
    ) -> Result<CellGradient, TrainError> {
        let batch = Batch { images: Images::given(&self.pixels, self.shape), labels: &self.labels };
        executor.zero_gradient();
        executor.gradients(&net.lower(path)?.simplified(), &batch, &LossSpec::default())?;
        let in_cells = |(id, spec): (WeightId, &pada_graph::WeightSpec)| {
            let owner = spec.owner.as_ref()?;
            Some((owner.position, executor.gradient(id).into_owned()))
        };
        Ok(net.weights().iter().filter_map(in_cells).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slow reference: tries every order of the operations, cut after the second one.
    #[test]
    fn the_best_partition_equals_brute_force() {
        for seed in 0..20_u64 {
            let value = |i: usize, j: usize| {
                let (i, j) = (i.min(j) as u64, i.max(j) as u64);
                ((seed * 31 + i * 7 + j * 13) * 2_654_435_761 % 1_000) as f64 / 1_000.0
            };
            let distance: Vec<Vec<f64>> =
                (0..5).map(|i| (0..5).map(|j| if i == j { 0.0 } else { value(i, j) }).collect()).collect();
            let total: f64 =
                (0..5).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| distance[i][j]).sum();
            let mut best = f64::NEG_INFINITY;
            for a in 0..5 {
                for b in 0..a {
                    let rest: Vec<usize> = (0..5).filter(|i| ![a, b].contains(i)).collect();
                    let within = distance[a][b]
                        + distance[rest[0]][rest[1]]
                        + distance[rest[0]][rest[2]]
                        + distance[rest[1]][rest[2]];
                    best = best.max(total - within);
                }
            }
            let (side, cut) = best_partition(&distance);
            assert_eq!(side.len(), 2);
            assert!((cut - best).abs() < 1e-12, "{cut} against {best}");
        }
    }

    #[test]
    fn the_position_itself_does_not_count_in_the_cosine() {
        let a = vec![(0, vec![1.0, 0.0]), (1, vec![5.0])];
        let b = vec![(0, vec![0.0, 2.0]), (1, vec![5.0])];
        assert_eq!(cosine(&a, &b, 1), 0.0);
        assert_eq!(cosine(&a, &b, 0), 1.0);
        assert!((cosine(&a, &b, 2) - 25.0 / (26.0_f64.sqrt() * 29.0_f64.sqrt())).abs() < 1e-12);
    }
}
