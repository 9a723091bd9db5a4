use crate::layout::Layout;
use crate::searcher::History;
use crate::settings::{InvalidSetting, at_least, positive, within};

/// A model that predicts scores from encodings of architectures.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum PredictorConfig {
    /// Ridge regression with this weight λ of the penalty, larger than 0.
    Ridge {
        /// λ, 1 if a file does not name it.
        #[cfg_attr(feature = "serde", serde(default = "one"))]
        lambda: f64,
    },
    /// Gradient-boosted regression trees.
    Trees(TreesConfig),
}

/// Returns the default of λ.
#[cfg(feature = "serde")]
fn one() -> f64 {
    1.0
}

/// Settings of gradient-boosted regression trees.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
pub struct TreesConfig {
    /// The number of trees, at least 1.
    pub trees: usize,
    /// The largest number of splits on a way from the root to a leaf, from 1 to 16.
    pub depth: usize,
    /// The factor of the prediction of each tree, from more than 0 to 1.
    pub learning_rate: f64,
    /// The least number of architectures of a leaf, at least 1.
    pub min_leaf: usize,
}

impl Default for TreesConfig {
    /// Returns 100 trees of depth 4 with a learning rate of 0.1 and 2 architectures in a leaf.
    fn default() -> Self {
        Self { trees: 100, depth: 4, learning_rate: 0.1, min_leaf: 2 }
    }
}

impl Default for PredictorConfig {
    /// Returns ridge regression with λ = 1.
    fn default() -> Self {
        Self::Ridge { lambda: 1.0 }
    }
}

impl PredictorConfig {
    pub(crate) fn check(&self) -> Result<(), InvalidSetting> {
        match *self {
            Self::Ridge { lambda } => positive("lambda", lambda),
            Self::Trees(TreesConfig { trees, depth, learning_rate, min_leaf }) => {
                at_least("trees", trees, 1, "at least 1")?;
                within("depth", depth, (1..=16).contains(&depth), "from 1 to 16")?;
                let valid = learning_rate > 0.0 && learning_rate <= 1.0;
                within("learning_rate", learning_rate, valid, "from more than 0 to 1")?;
                at_least("min_leaf", min_leaf, 1, "at least 1")
            }
        }
    }

    /// Fits the model.
    ///
    /// # Shapes
    /// - `encodings`: `[A, D]`
    /// - `scores`: `[A]`, finite
    ///
    /// # Panics
    /// Panics if there is no architecture.
    pub(crate) fn fit(&self, encodings: &[Vec<f64>], scores: &[f64]) -> Predictor {
        assert!(!scores.is_empty() && scores.len() == encodings.len(), "one score for each encoding");
        match self {
            Self::Ridge { lambda } => Predictor::Ridge(Ridge::fit(encodings, scores, *lambda)),
            Self::Trees(config) => Predictor::Trees(Trees::fit(encodings, scores, config)),
        }
    }
}

/// Returns the encodings, `[A, D]`, and the scores, `[A]`, of all architectures with a finite score.
pub(crate) fn training_set(layout: &Layout, history: &History) -> (Vec<Vec<f64>>, Vec<f64>) {
    let finite = history.evaluated().iter().filter(|evaluated| evaluated.score.is_finite());
    finite.map(|evaluated| (layout.one_hot(&evaluated.arch), evaluated.score)).unzip()
}

/// A fitted model.
pub(crate) enum Predictor {
    Ridge(Ridge),
    Trees(Trees),
}

impl Predictor {
    /// Predicts the score of an encoding, `[D]`.
    pub(crate) fn predict(&self, encoding: &[f64]) -> f64 {
        match self {
            Self::Ridge(ridge) => ridge.predict(encoding),
            Self::Trees(trees) => trees.predict(encoding),
        }
    }
}

/// Ridge regression: the weights w that minimise ‖y − ȳ − (X − x̄)w‖² + λ‖w‖².
pub(crate) struct Ridge {
    weights: Vec<f64>,
    /// The means of the encodings, x̄.
    means: Vec<f64>,
    /// The mean score, ȳ.
    mean: f64,
}

impl Ridge {
    /// Solves the normal equations (XᵀX + λI)w = Xᵀy of centred X and y by a Cholesky decomposition.
    pub(crate) fn fit(encodings: &[Vec<f64>], scores: &[f64], lambda: f64) -> Self {
        let (n, d) = (scores.len() as f64, encodings[0].len());
        let mean = scores.iter().sum::<f64>() / n;
        let means: Vec<f64> = (0..d).map(|j| encodings.iter().map(|x| x[j]).sum::<f64>() / n).collect();
        let (mut gram, mut right) = (vec![vec![0.0; d]; d], vec![0.0; d]);
        for (x, y) in encodings.iter().zip(scores) {
            let x: Vec<f64> = x.iter().zip(&means).map(|(x, mean)| x - mean).collect();
            for i in 0..d {
                right[i] += x[i] * (y - mean);
                for j in 0..=i {
                    gram[i][j] += x[i] * x[j];
                }
            }
        }
        (0..d).for_each(|i| gram[i][i] += lambda);
        Self { weights: solve(gram, right), means, mean }
    }

    fn predict(&self, encoding: &[f64]) -> f64 {
        let terms = encoding.iter().zip(&self.means).zip(&self.weights);
        self.mean + terms.map(|((x, mean), w)| (x - mean) * w).sum::<f64>()
    }
}

/// Solves a system with a symmetric positive definite matrix, of which only the lower triangle is read.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let d = right.len();
    for i in 0..d {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| matrix[i][k] * matrix[j][k]).sum();
            matrix[i][j] = match i == j {
                true => (matrix[i][i] - sum).sqrt(),
                false => (matrix[i][j] - sum) / matrix[j][j],
            };
        }
    }
    for i in 0..d {
        let sum: f64 = (0..i).map(|k| matrix[i][k] * right[k]).sum();
        right[i] = (right[i] - sum) / matrix[i][i];
    }
    for i in (0..d).rev() {
        let sum: f64 = (i + 1..d).map(|k| matrix[k][i] * right[k]).sum();
        right[i] = (right[i] - sum) / matrix[i][i];
    }
    right
}

/// Gradient-boosted regression trees with the squared loss (Friedman, 2001): each tree is fitted to the residuals of those before it.
pub(crate) struct Trees {
    mean: f64,
    learning_rate: f64,
    trees: Vec<Node>,
}

/// A regression tree over encodings of zeros and ones.
enum Node {
    Leaf(f64),
    Split {
        /// The index in the encoding.
        feature: usize,
        /// The nodes for values up to 0.5 and above.
        children: Box<[Node; 2]>,
    },
}

impl Trees {
    fn fit(encodings: &[Vec<f64>], scores: &[f64], config: &TreesConfig) -> Self {
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        let mut residuals: Vec<f64> = scores.iter().map(|score| score - mean).collect();
        let all: Vec<usize> = (0..scores.len()).collect();
        let mut trees = Vec::with_capacity(config.trees);
        for _ in 0..config.trees {
            let tree = Node::grow(encodings, &residuals, &all, config.depth, config.min_leaf);
            for (residual, encoding) in residuals.iter_mut().zip(encodings) {
                *residual -= config.learning_rate * tree.predict(encoding);
            }
            trees.push(tree);
        }
        Self { mean, learning_rate: config.learning_rate, trees }
    }

    fn predict(&self, encoding: &[f64]) -> f64 {
        self.mean + self.learning_rate * self.trees.iter().map(|tree| tree.predict(encoding)).sum::<f64>()
    }
}

impl Node {
    /// Grows a tree whose splits minimise the squared error.
    fn grow(encodings: &[Vec<f64>], targets: &[f64], rows: &[usize], depth: usize, min_leaf: usize) -> Self {
        let sum = |rows: &[usize]| rows.iter().map(|&row| targets[row]).sum::<f64>();
        let (total, n) = (sum(rows), rows.len() as f64);
        let leaf = Self::Leaf(total / n);
        if depth == 0 {
            return leaf;
        }
        // The squared error of two leaves falls by s₀²/n₀ + s₁²/n₁ − s²/n, where s is the sum and n the number of the targets.
        let gain = |feature: usize| {
            let (mut above, mut count) = (0.0, 0);
            for &row in rows.iter().filter(|&&row| encodings[row][feature] > 0.5) {
                above += targets[row];
                count += 1;
            }
            let below = rows.len() - count;
            let children = above * above / count as f64 + (total - above).powi(2) / below as f64;
            (count.min(below) >= min_leaf).then(|| (children - total * total / n, feature))
        };
        let better = |best: (f64, usize), other: (f64, usize)| if other.0 > best.0 { other } else { best };
        let best = (0..encodings[0].len()).filter_map(gain).reduce(better).filter(|(gain, _)| *gain > 1e-12);
        let Some((_, feature)) = best else { return leaf };
        let (above, below): (Vec<usize>, Vec<usize>) =
            rows.iter().partition(|&&row| encodings[row][feature] > 0.5);
        let child = |rows: &[usize]| Self::grow(encodings, targets, rows, depth - 1, min_leaf);
        Self::Split { feature, children: Box::new([child(&below), child(&above)]) }
    }

    fn predict(&self, encoding: &[f64]) -> f64 {
        match self {
            Self::Leaf(value) => *value,
            Self::Split { feature, children } => {
                children[usize::from(encoding[*feature] > 0.5)].predict(encoding)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Random one-hot encodings of three decisions with 2, 3 and 4 choices.
    fn encodings(n: usize) -> Vec<Vec<f64>> {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let encode = |_| {
            let mut encoding = vec![0.0; 9];
            for (offset, choices) in [(0, 2), (2, 3), (5, 4)] {
                encoding[offset + rng.random_range(0..choices)] = 1.0;
            }
            encoding
        };
        (0..n).map(encode).collect()
    }

    #[test]
    fn ridge_satisfies_its_normal_equations() {
        let x = encodings(40);
        let y: Vec<f64> = x.iter().enumerate().map(|(i, x)| 3.0 * x[1] - x[4] + (i % 7) as f64).collect();
        let (lambda, d) = (0.3, 9);
        let Ridge { weights, means, mean } = Ridge::fit(&x, &y, lambda);
        // The gradient of the penalised squared error is 0 at the solution: Xᵀ(y − Xw) = λw, with centred X and y.
        for j in 0..d {
            let left: f64 = x
                .iter()
                .zip(&y)
                .map(|(x, y)| {
                    let fitted: f64 = (0..d).map(|k| (x[k] - means[k]) * weights[k]).sum();
                    (x[j] - means[j]) * (y - mean - fitted)
                })
                .sum();
            assert!((left - lambda * weights[j]).abs() < 1e-10, "{left} and {}", lambda * weights[j]);
        }
        assert!(weights.iter().any(|w| w.abs() > 0.1));
    }

    #[test]
    fn a_linear_score_is_predicted_by_ridge_and_an_interaction_only_by_trees() {
        let x = encodings(200);
        let error = |config: PredictorConfig, score: &dyn Fn(&[f64]) -> f64| {
            let y: Vec<f64> = x.iter().map(|x| score(x)).collect();
            let predictor = config.fit(&x, &y);
            x.iter().zip(&y).map(|(x, y)| (predictor.predict(x) - y).abs()).fold(0.0, f64::max)
        };
        let linear = |x: &[f64]| 10.0 + 2.0 * x[0] - 3.0 * x[3] + x[8];
        let exclusive = |x: &[f64]| if (x[0] > 0.5) == (x[2] > 0.5) { 1.0 } else { 0.0 };
        let trees = PredictorConfig::Trees(TreesConfig { trees: 200, ..TreesConfig::default() });
        let ridge = PredictorConfig::Ridge { lambda: 1e-6 };
        assert!(error(ridge, &linear) < 1e-4);
        assert!(error(ridge, &exclusive) > 0.3);
        assert!(error(trees, &exclusive) < 0.01);
        assert!(error(trees, &linear) < 0.1);
    }

    /// Four rows, two features. The first feature separates 1, 1 from 5, 7; below it, the second separates 5 from 7.
    #[test]
    fn a_tree_splits_where_the_squared_error_falls_most() {
        let x = vec![vec![0.0, 0.0], vec![0.0, 1.0], vec![1.0, 0.0], vec![1.0, 1.0]];
        let y = [1.0, 1.0, 5.0, 7.0];
        let config = |depth| TreesConfig { trees: 1, depth, learning_rate: 1.0, min_leaf: 1 };
        let stump = Trees::fit(&x, &y, &config(1));
        assert_eq!(x.iter().map(|x| stump.predict(x)).collect::<Vec<_>>(), [1.0, 1.0, 6.0, 6.0]);
        let tree = Trees::fit(&x, &y, &config(2));
        assert_eq!(x.iter().map(|x| tree.predict(x)).collect::<Vec<_>>(), y);
        let large_leaves = Trees::fit(&x, &y, &TreesConfig { min_leaf: 3, ..config(2) });
        assert_eq!(large_leaves.predict(&x[0]), 3.5);
    }
}
