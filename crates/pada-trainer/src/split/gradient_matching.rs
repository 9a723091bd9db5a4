use pada_data::{Augment, Dataset, ImageBatch};
use pada_exec::{Batch, Executor, Images, LossSpec};
use pada_graph::{Lower, Shape, WeightId, WeightSpec};
use pada_space::{Arch, SubSpace};
use rand::{Rng, RngExt};

use crate::TrainError;
use crate::scoring::fixed_images::image_shape;

/// Settings of [`split_by_gradients`] and [`disagreements`].
#[derive(Clone, Copy)]
pub struct MatchingSettings<'a> {
    /// Number of pairs of a batch and a random path for each position.
    pub samples: usize,
    /// Batch size.
    pub batch: usize,
    /// Augmentation of the images.
    pub augment: Augment,
    /// The paths that can be drawn, for example only those whose cell connects input and output.
    pub accepts: &'a dyn Fn(&Arch) -> bool,
    /// The weights whose gradients are compared. The weights of the position that is measured are always left out.
    pub compares: &'a dyn Fn(&WeightSpec) -> bool,
}

/// Largest number of random paths that are drawn to find one that is accepted and in which a position is active.
const MOST_DRAWS: usize = 100_000;

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
/// Only positions that choose an operation and still have all operations of `whole` are considered; positions that choose inputs have no
/// operations to separate. Returns `None` if there is no such position.
///
/// # Errors
/// Returns an error if the executor fails, and [`TrainError::Setup`] if no path is accepted.
///
/// # Source
/// Hu et al., *Generalizing Few-Shot NAS with Gradient Matching*, ICLR 2022, and `split_supernet` in
/// <https://github.com/skhu101/GM-NAS>, `WS-GM/nasbench201/train_search.py`.
/// DIFFERS: in the DARTS space, the public `WS-GM/sota/cnn/train_search_ws.py` measures the edges of the normal cell only, allows groups of
/// two to four of the eight operations, and takes the edge with the smallest sum of distances within the groups. This code treats all spaces
/// as the public code treats NAS-Bench-201: it measures the edges of both cells, halves the operations, and takes the largest cut.
pub fn split_by_gradients(
    executor: &mut dyn Executor,
    net: &dyn Lower,
    images: &Dataset,
    [whole, part]: [&SubSpace; 2],
    settings: &MatchingSettings<'_>,
    rng: &mut dyn Rng,
) -> Result<Option<[SubSpace; 2]>, TrainError> {
    let is_unsplit = |e: &usize| {
        let ops = &part.allowed()[*e];
        part.kind(*e).is_some() && ops.len() > 1 && *ops == whole.allowed()[*e]
    };
    let positions: Vec<usize> = (0..part.allowed().len()).filter(is_unsplit).collect();
    let found = disagreements(executor, net, images, part, &positions, settings, rng)?;
    let best = found
        .iter()
        .map(|d| (d, best_partition(&d.distance)))
        .reduce(|best, other| if other.1.1 > best.1.1 { other } else { best });
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

/// Compares the gradients of all operations at each of the given positions. Each position has its own random paths and batches. A path is
/// drawn until it is accepted and the position is active in it, so in DARTS until its node keeps the edge that is measured.
///
/// # Errors
/// Returns an error if the executor fails, and [`TrainError::Setup`] if no path is accepted.
pub fn disagreements(
    executor: &mut dyn Executor,
    net: &dyn Lower,
    images: &Dataset,
    part: &SubSpace,
    positions: &[usize],
    settings: &MatchingSettings<'_>,
    rng: &mut dyn Rng,
) -> Result<Vec<Disagreement>, TrainError> {
    let share = 1.0 / settings.samples as f64;
    let mut found = Vec::new();
    for &position in positions {
        let ops = part.allowed()[position].clone();
        let mut distance = vec![vec![0.0; ops.len()]; ops.len()];
        for _ in 0..settings.samples {
            let path = draw_path(part, position, settings, rng)?;
            let sample = Sample::draw(images, settings, rng)?;
            let gradient = |&op: &u8| {
                let variant = path.with(position, op).expect("the decision exists");
                sample.gradient(executor, net, &variant, |spec| {
                    let is_measured = spec.owner.as_ref().is_some_and(|owner| owner.position == position);
                    !is_measured && (settings.compares)(spec)
                })
            };
            let gradients = ops.iter().map(gradient).collect::<Result<Vec<_>, _>>()?;
            for (i, a) in gradients.iter().enumerate() {
                for (j, b) in gradients[..i].iter().enumerate() {
                    let mean = share * (1.0 - cosine(a, b));
                    distance[i][j] += mean;
                    distance[j][i] += mean;
                }
            }
        }
        found.push(Disagreement { position, ops, distance });
    }
    Ok(found)
}

/// Draws a path that is accepted and in which a position is active.
fn draw_path(
    part: &SubSpace,
    position: usize,
    settings: &MatchingSettings<'_>,
    rng: &mut dyn Rng,
) -> Result<Arch, TrainError> {
    let fits = |path: &Arch| {
        let active = part.is_active(position, path).expect("a path of the part has its positions");
        active && (settings.accepts)(path)
    };
    let found = (0..MOST_DRAWS).map(|_| part.sample(rng)).find(fits);
    found.ok_or_else(|| {
        let reason = format!(
            "among {MOST_DRAWS} random paths, none that gradient matching accepts has an active decision {position}; train more \
             operations with supernet.ops"
        );
        TrainError::Setup { reason }
    })
}

/// Computes the cosine between two gradients of the same weights. Returns 0 if one of them is zero.
fn cosine(a: &[Vec<f32>], b: &[Vec<f32>]) -> f64 {
    let (mut dot, mut squares) = (0.0, [0.0; 2]);
    for (&a, &b) in a.iter().flatten().zip(b.iter().flatten()) {
        let (a, b) = (f64::from(a), f64::from(b));
        dot += a * b;
        squares[0] += a * a;
        squares[1] += b * b;
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
    fn draw(
        images: &Dataset,
        settings: &MatchingSettings<'_>,
        rng: &mut dyn Rng,
    ) -> Result<Self, TrainError> {
        let n = settings.batch.min(images.len());
        let indices: Vec<u32> = (0..n).map(|_| rng.random_range(0..images.len() as u32)).collect();
        let ImageBatch { pixels, indices } =
            images.load(&images.plan(&indices, &settings.augment, rng)?)?;
        let labels = indices.iter().map(|&i| u32::from(images.labels()[i as usize])).collect();
        Ok(Self { pixels, labels, shape: image_shape(images) })
    }

    /// Computes the gradient of one path, of the weights that `compares` chooses.
    fn gradient(
        &self,
        executor: &mut dyn Executor,
        net: &dyn Lower,
        path: &Arch,
        compares: impl Fn(&WeightSpec) -> bool,
    ) -> Result<Vec<Vec<f32>>, TrainError> {
        let batch = Batch { images: Images::given(&self.pixels, self.shape), labels: &self.labels };
        executor.zero_gradient();
        executor.gradients(&net.lower(path)?.simplified(), &batch, &LossSpec::default())?;
        let layout = net.weights();
        let chosen = |(id, spec): &(WeightId, &WeightSpec)| layout.is_trained(*id) && compares(spec);
        Ok(layout.iter().filter(chosen).map(|(id, _)| executor.gradient(id).into_owned()).collect())
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
    fn the_cosine_is_that_of_all_tensors_together() {
        let (a, b) = (vec![vec![1.0, 0.0], vec![5.0]], vec![vec![0.0, 2.0], vec![5.0]]);
        assert!((cosine(&a, &b) - 25.0 / (26.0_f64.sqrt() * 29.0_f64.sqrt())).abs() < 1e-12);
        assert_eq!(cosine(&a[..1], &b[..1]), 0.0);
        assert_eq!(cosine(&a, &[vec![0.0; 2], vec![0.0]]), 0.0);
    }
}
