use pada_graph::Graph;

use crate::error::ExecError;
use crate::images::Images;
use crate::loss::LossSpec;

/// A batch of labelled images.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The images, B of them.
    pub images: Images<'a>,
    /// `[B]`, class of each image, below K.
    pub labels: &'a [u32],
}

/// Unnormalised class scores of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Logits {
    /// `[B, K]`
    pub values: Vec<f32>,
    /// K, number of classes.
    pub classes: usize,
}

impl Logits {
    /// Returns the scores of one image, `[K]`.
    pub fn row(&self, image: usize) -> &[f32] {
        &self.values[image * self.classes..(image + 1) * self.classes]
    }

    /// Returns the scores of all images, `[K]` each.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.classes)
    }

    /// Returns the predicted class of each image: the one with the largest score, or the first of several.
    pub fn best(&self) -> impl Iterator<Item = usize> + '_ {
        let best = |row: &[f32]| {
            row.iter().enumerate().fold(0, |best, (k, v)| if *v > row[best] { k } else { best })
        };
        self.rows().map(best)
    }

    /// Returns the number of images whose label is among the `k` classes with the largest scores: top-k accuracy, times B. Of equal
    /// scores the class with the smaller index comes first, so `correct_among(1, …)` equals [`Logits::correct`]. A score that is not a
    /// number is never among them.
    pub fn correct_among(&self, k: usize, labels: &[u32]) -> usize {
        let among = |(row, &label): (&[f32], &u32)| {
            let (label, own) = (label as usize, row[label as usize]);
            let before = |(class, &score): (usize, &f32)| score > own || score == own && class < label;
            !own.is_nan() && row.iter().enumerate().filter(|&at| before(at)).count() < k
        };
        self.rows().zip(labels).filter(|&at| among(at)).count()
    }

    /// Returns the number of images whose [predicted class](Self::best) is their label.
    pub fn correct(&self, labels: &[u32]) -> usize {
        self.best().zip(labels).filter(|&(best, &label)| best == label as usize).count()
    }
}

impl Batch<'_> {
    /// Checks that shapes, lengths and labels fit a graph.
    ///
    /// # Errors
    /// Returns the errors of [`Images::check`] and [`Batch::check_labels`], [`ExecError::BatchLength`] for image weights, and
    /// [`ExecError::DropPath`].
    pub fn check(&self, graph: &Graph, loss: &LossSpec<'_>) -> Result<(), ExecError> {
        self.images.check(graph)?;
        let images = self.images.len();
        self.check_labels(graph)?;
        if let Some(weights) = loss.image_weights.filter(|w| w.len() != images) {
            return Err(ExecError::BatchLength { what: "image weights", found: weights.len(), images });
        }
        let (slots, found) = (graph.drop_path_slots(), loss.drop_path.len());
        if found != slots * images {
            return Err(ExecError::DropPath { found, slots, images });
        }
        Ok(())
    }

    /// Checks that every image has a label that is a class of the graph.
    ///
    /// # Errors
    /// Returns [`ExecError::BatchLength`] or [`ExecError::BadLabel`].
    pub fn check_labels(&self, graph: &Graph) -> Result<(), ExecError> {
        let (images, classes) = (self.images.len(), graph.output().shape.channels);
        if self.labels.len() != images {
            return Err(ExecError::BatchLength { what: "labels", found: self.labels.len(), images });
        }
        match self.labels.iter().position(|&label| label as usize >= classes) {
            Some(index) => Err(ExecError::BadLabel { index, label: self.labels[index], classes }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_among_the_k_best_by_its_rank_and_ties_go_to_the_smaller_class() {
        let rows = [[0.0, 3.0, 2.0, 1.0], [1.0, 1.0, 1.0, 0.0], [f32::NAN, 0.0, 0.0, 0.0]];
        let logits = Logits { values: rows.concat(), classes: 4 };
        // Ranks of the labels: 3rd of the first row, 2nd of three equal ones, and a score that is not a number.
        let labels = [3, 1, 0];
        let among: Vec<usize> = (0..=4).map(|k| logits.correct_among(k, &labels)).collect();
        assert_eq!(among, [0, 0, 1, 2, 2]);
        let first = Logits { values: rows[..2].concat(), classes: 4 };
        for labels in [[1, 0], [1, 1], [0, 2]] {
            assert_eq!(first.correct_among(1, &labels), first.correct(&labels), "{labels:?}");
        }
    }
}
