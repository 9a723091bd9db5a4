use rand::{Rng, RngExt};

use crate::adam::{Adam, AdamConfig};
use crate::policy::{normal, softmax};

/// The architecture parameters of a differentiable search, as in DARTS: a logit α for every operation of every decision that is a mixture,
/// and with partial channels (PC-DARTS) a logit β for every edge.
///
/// A network multiplies the output of operation k at decision d by a factor `p[d][k]` and sums over k. [`ArchParameters::mix`] turns the logits
/// into these factors, [`ArchParameters::gradient`] turns the gradient of the loss with respect to the factors into that with respect to the
/// logits, and [`ArchParameters::descend`] takes a step of Adam. Nothing here needs a network, so a rule can be tested by numbers alone.
///
/// ```
/// use pada_search::{ArchOptimizer, ArchParameters, Relaxation};
/// use rand_chacha::ChaCha8Rng;
/// use rand_chacha::rand_core::SeedableRng;
///
/// let mut rng = ChaCha8Rng::seed_from_u64(0);
/// let mut parameters = ArchParameters::new(vec![vec![0, 1, 2]; 2], None, &mut rng);
/// for _ in 0..100 {
///     let mixture = parameters.mix(Relaxation::Softmax, &mut rng);
///     // Operation 1 lowers the loss everywhere.
///     let gradient = parameters.gradient(&mixture, &[vec![0.0, -1.0, 0.0], vec![0.0, -1.0, 0.0]], &[]);
///     parameters.descend(&gradient, &ArchOptimizer { learning_rate: 0.1, ..ArchOptimizer::darts() });
/// }
/// assert!(parameters.probabilities().iter().all(|p| p[1] > 0.9));
/// ```
///
/// # Source
/// Liu, Simonyan & Yang, *DARTS*, ICLR 2019. Each variant of [`Relaxation`] names its own source.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ArchParameters {
    /// The operations of each mixture, in ascending order.
    ops: Vec<Vec<u8>>,
    /// The node that each mixture leads to. Empty without edge weights.
    nodes: Vec<usize>,
    /// All α, decision by decision, then all β.
    logits: Vec<f64>,
    adam: Adam,
}

/// The rule by which logits become factors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Relaxation {
    /// p = softmax(α), and all operations are computed: DARTS.
    Softmax,
    /// p = softmax((α + g) / τ) with Gumbel noise g, and all operations are computed: SNAS, FBNet.
    ///
    /// Source: Xie et al., *SNAS*, ICLR 2019; Wu et al., *FBNet*, CVPR 2019.
    Gumbel {
        /// Temperature τ, above 0.
        temperature: f64,
    },
    /// The operation with the largest α + g has the factor 1 and is computed alone. The gradient is that of softmax((α + g) / τ), with the
    /// straight-through estimator: GDAS.
    ///
    /// Source: Dong & Yang, *Searching for a Robust Neural Architecture in Four GPU Hours*, CVPR 2019.
    HardGumbel {
        /// Temperature τ of the gradient, above 0.
        temperature: f64,
    },
    /// One operation is drawn from softmax(α), has the factor 1 and is computed alone. There is no gradient: the weight step of ProxylessNAS.
    Sampled,
    /// Two operations are drawn from softmax(α) without replacement and computed. One of them has the factor 1, by the probabilities of the
    /// two, and the other 0. The gradient is that of the softmax of the two: the architecture step of ProxylessNAS.
    ///
    /// Source: Cai, Zhu & Han, *ProxylessNAS*, ICLR 2019, section 3.3.1.
    TwoPaths,
}

/// The factors of one pass, and how they depend on the logits.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    /// The operations of each mixture that the network computes, in ascending order.
    pub computed: Vec<Vec<u8>>,
    /// The factor of each operation of each mixture, in the order of the operations of the mixture.
    pub factors: Vec<Vec<f64>>,
    /// The factor of each edge: the softmax of β over the edges of a node. Empty without edge weights.
    pub edges: Vec<f64>,
    /// The probabilities whose gradient is taken.
    soft: Vec<Vec<f64>>,
    temperature: f64,
    relaxation: Relaxation,
}

/// Settings of Adam for architecture parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArchOptimizer {
    /// Learning rate, above 0.
    pub learning_rate: f64,
    /// β₁, from 0 to less than 1. β₂ is 0.999 and ε is 1e-8.
    pub beta1: f64,
    /// L2 decay, which is added to the gradient, as `weight_decay` of `torch.optim.Adam`.
    pub weight_decay: f64,
}

impl ArchOptimizer {
    /// Returns the settings of DARTS: learning rate 3e-4, β₁ = 0.5, weight decay 1e-3.
    pub fn darts() -> Self {
        Self { learning_rate: 3e-4, beta1: 0.5, weight_decay: 1e-3 }
    }

    fn adam(&self) -> AdamConfig {
        let Self { learning_rate, beta1, weight_decay } = *self;
        AdamConfig { learning_rate, beta1, epsilon: 1e-8, weight_decay }
    }
}

/// A loss that prefers cheap architectures: cross entropy · a · (ln E / ln T)^b, where E is the expected cost of the mixture.
///
/// # Source
/// ProxylessNAS's public code (`mul#log`) has the target T. FBNet's loss, CE · α · (ln LAT)^β, has none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CostTerm {
    /// a, a factor on the whole loss.
    pub weight: f64,
    /// b, the exponent.
    pub exponent: f64,
    /// T, in the unit of the cost and above 1. `None` leaves out the division by ln T.
    pub target: Option<f64>,
}

impl CostTerm {
    /// Returns the factor on the cross entropy, and the derivative of that factor with respect to the expected cost, which must be above 1.
    pub fn factor(&self, cost: f64) -> (f64, f64) {
        let reference = self.target.map_or(1.0, f64::ln);
        let ratio = cost.ln() / reference;
        let factor = self.weight * ratio.powf(self.exponent);
        (factor, self.weight * self.exponent * ratio.powf(self.exponent - 1.0) / (cost * reference))
    }
}

impl ArchParameters {
    /// Draws the logits from 1e-3 · N(0, 1), as DARTS does.
    ///
    /// `ops` are the operations of each mixture. `nodes` are the nodes that the mixtures lead to; with them, every edge has a weight of its own,
    /// as in PC-DARTS.
    ///
    /// # Panics
    /// Panics if a mixture has no operation, or if `nodes` has another length than `ops`.
    pub fn new(ops: Vec<Vec<u8>>, nodes: Option<Vec<usize>>, rng: &mut dyn Rng) -> Self {
        assert!(ops.iter().all(|ops| !ops.is_empty()), "a mixture has at least one operation");
        let nodes = nodes.unwrap_or_default();
        assert!(nodes.is_empty() || nodes.len() == ops.len(), "every mixture leads to a node");
        let count = ops.iter().map(Vec::len).sum::<usize>() + nodes.len();
        let logits = (0..count).map(|_| 1e-3 * normal(rng)).collect();
        Self { ops, nodes, logits, adam: Adam::default() }
    }

    /// Returns the operations of each mixture.
    pub fn ops(&self) -> &[Vec<u8>] {
        &self.ops
    }

    /// Returns all logits: α, mixture by mixture, then β.
    pub fn logits(&self) -> &[f64] {
        &self.logits
    }

    /// Overwrites all logits.
    ///
    /// # Panics
    /// Panics if their number differs.
    pub fn set_logits(&mut self, logits: &[f64]) {
        self.logits.copy_from_slice(logits);
    }

    /// Returns the same parameters with other logits.
    ///
    /// # Panics
    /// Panics if their number differs.
    pub fn with_logits(&self, logits: &[f64]) -> Self {
        let mut other = self.clone();
        other.set_logits(logits);
        other
    }

    fn alphas(&self) -> impl Iterator<Item = &[f64]> {
        let mut rest = self.logits.as_slice();
        self.ops.iter().map(move |ops| {
            let (own, after) = rest.split_at(ops.len());
            rest = after;
            own
        })
    }

    fn betas(&self) -> &[f64] {
        &self.logits[self.logits.len() - self.nodes.len()..]
    }

    /// Returns softmax(α) of each mixture.
    pub fn probabilities(&self) -> Vec<Vec<f64>> {
        self.alphas().map(softmax).collect()
    }

    /// Returns the softmax of β over the edges of each node. Empty without edge weights.
    pub fn edge_weights(&self) -> Vec<f64> {
        let mut weights = vec![0.0; self.nodes.len()];
        for edges in self.edges_by_node() {
            let betas: Vec<f64> = edges.iter().map(|&edge| self.betas()[edge]).collect();
            edges.iter().zip(softmax(&betas)).for_each(|(&edge, weight)| weights[edge] = weight);
        }
        weights
    }

    /// The edges of each node.
    fn edges_by_node(&self) -> Vec<Vec<usize>> {
        let mut nodes: Vec<usize> = self.nodes.clone();
        nodes.sort_unstable();
        nodes.dedup();
        let edges = |node| (0..self.nodes.len()).filter(|&edge| self.nodes[edge] == node).collect();
        nodes.into_iter().map(edges).collect()
    }

    /// Returns the strength of each operation of each mixture, by which an architecture is chosen: its probability, times the weight of its
    /// edge if there is one.
    pub fn strengths(&self) -> Vec<Vec<f64>> {
        let mut strengths = self.probabilities();
        for (strengths, weight) in strengths.iter_mut().zip(self.edge_weights()) {
            strengths.iter_mut().for_each(|strength| *strength *= weight);
        }
        strengths
    }

    /// Turns the logits into factors. A rule without random draws does not use `rng`.
    pub fn mix(&self, relaxation: Relaxation, rng: &mut dyn Rng) -> Mixture {
        let (mut computed, mut factors, mut soft) = (vec![], vec![], vec![]);
        let mut temperature = 1.0;
        for (ops, alpha) in self.ops.iter().zip(self.alphas()) {
            let (chosen, values, probs) = match relaxation {
                Relaxation::Softmax => {
                    let probs = softmax(alpha);
                    (ops.clone(), probs.clone(), probs)
                }
                Relaxation::Gumbel { temperature: tau } => {
                    temperature = tau;
                    let probs = softmax(&noisy(alpha, tau, rng));
                    (ops.clone(), probs.clone(), probs)
                }
                Relaxation::HardGumbel { temperature: tau } => {
                    temperature = tau;
                    let logits = noisy(alpha, tau, rng);
                    let place = largest(&logits);
                    (vec![ops[place]], one_of(ops.len(), place), softmax(&logits))
                }
                Relaxation::Sampled => {
                    let place = draw(&softmax(alpha), rng);
                    (vec![ops[place]], one_of(ops.len(), place), vec![0.0; ops.len()])
                }
                Relaxation::TwoPaths => two_paths(ops, alpha, rng),
            };
            computed.push(chosen);
            factors.push(values);
            soft.push(probs);
        }
        Mixture { computed, factors, edges: self.edge_weights(), soft, temperature, relaxation }
    }

    /// Computes the gradient of the loss with respect to all logits from the gradients with respect to the factors of a mixture.
    ///
    /// # Shapes
    /// - `factors`: as [`Mixture::factors`]; 0 for operations that were not computed
    /// - `edges`: as [`Mixture::edges`]
    ///
    /// # Panics
    /// Panics if a length differs.
    pub fn gradient(&self, mixture: &Mixture, factors: &[Vec<f64>], edges: &[f64]) -> Vec<f64> {
        assert_eq!(factors.len(), self.ops.len(), "one list for every mixture");
        assert_eq!(edges.len(), self.nodes.len(), "one number for every edge weight");
        let mut gradient = Vec::with_capacity(self.logits.len());
        for (soft, slopes) in mixture.soft.iter().zip(factors) {
            gradient.extend(through_softmax(soft, slopes).map(|slope| slope / mixture.temperature));
        }
        let mut of_edges = vec![0.0; edges.len()];
        for node in self.edges_by_node() {
            let [weights, slopes] =
                [&mixture.edges, edges].map(|list| node.iter().map(|&edge| list[edge]).collect::<Vec<f64>>());
            node.iter().zip(through_softmax(&weights, &slopes)).for_each(|(&edge, g)| of_edges[edge] = g);
        }
        gradient.extend(of_edges);
        gradient
    }

    /// Moves the logits by one step of Adam against a gradient.
    ///
    /// # Panics
    /// Panics if the gradient has another length than [`ArchParameters::logits`].
    pub fn descend(&mut self, gradient: &[f64], optimizer: &ArchOptimizer) {
        assert_eq!(gradient.len(), self.logits.len(), "one number for every logit");
        self.adam.step(&mut self.logits, gradient, &optimizer.adam());
    }

    /// Moves the logits of the two operations of each mixture of [`Relaxation::TwoPaths`], and then shifts them so that the probabilities of
    /// all other operations do not change, as ProxylessNAS does.
    ///
    /// # Panics
    /// Panics if the gradient has another length than [`ArchParameters::logits`].
    pub fn descend_pairs(&mut self, mixture: &Mixture, gradient: &[f64], optimizer: &ArchOptimizer) {
        let before = self.logits.clone();
        self.descend(gradient, optimizer);
        let mut first = 0;
        for (ops, computed) in self.ops.iter().zip(&mixture.computed) {
            let pair: Vec<usize> =
                computed.iter().filter_map(|op| ops.iter().position(|o| o == op)).collect();
            let sum = |logits: &[f64]| pair.iter().map(|&place| logits[first + place].exp()).sum::<f64>();
            let shift = (sum(&self.logits) / sum(&before)).ln();
            for place in 0..ops.len() {
                // Adam can also move a logit without a gradient, by its momentum.
                self.logits[first + place] = match pair.contains(&place) {
                    true => self.logits[first + place] - shift,
                    false => before[first + place],
                };
            }
            first += ops.len();
        }
    }

    /// Draws logits from the normal distribution of a variational search: each has the logit as its mean, and the deviation
    /// 1 / √(N · (s + λ)), where N is the number of images, s the moving average of the squared gradient, and λ the weight decay.
    ///
    /// # Source
    /// Khan et al., *Fast and Scalable Bayesian Deep Learning by Weight-Perturbation in Adam*, ICML 2018, algorithm 2 (Vadam).
    pub fn draw(&self, images: usize, optimizer: &ArchOptimizer, rng: &mut dyn Rng) -> Vec<f64> {
        let deviation =
            |i: usize| 1.0 / (images as f64 * (self.adam.square(i) + optimizer.weight_decay)).sqrt();
        self.logits.iter().enumerate().map(|(i, mean)| mean + deviation(i) * normal(rng)).collect()
    }

    /// Moves the logits, which are the means of the distribution of [`ArchParameters::draw`], by a step of Vadam. `gradient` is that of the loss at
    /// the drawn logits.
    ///
    /// # Panics
    /// Panics if the gradient has another length than [`ArchParameters::logits`].
    pub fn descend_means(&mut self, gradient: &[f64], optimizer: &ArchOptimizer) {
        assert_eq!(gradient.len(), self.logits.len(), "one number for every logit");
        self.adam.variational_step(&mut self.logits, gradient, &optimizer.adam());
    }

    /// Returns false if a logit is infinite or not a number.
    pub fn is_finite(&self) -> bool {
        self.logits.iter().all(|logit| logit.is_finite()) && self.adam.is_finite()
    }
}

impl Mixture {
    /// Computes the expected cost from the cost of each operation of each mixture: the sum of probability times cost.
    ///
    /// # Panics
    /// Panics if `costs` has another shape than [`Mixture::factors`].
    pub fn expected_cost(&self, costs: &[Vec<f64>]) -> f64 {
        assert_eq!(costs.len(), self.soft.len(), "one list for every mixture");
        let dot = |(p, costs): (&Vec<f64>, &Vec<f64>)| p.iter().zip(costs).map(|(p, c)| p * c).sum::<f64>();
        self.soft.iter().zip(costs).map(dot).sum()
    }

    /// Returns the rule that the mixture was made by.
    pub fn relaxation(&self) -> Relaxation {
        self.relaxation
    }
}

/// Computes p_j · (u_j − Σ u_k p_k), the gradient with respect to the logits of a softmax p.
fn through_softmax<'a>(probs: &'a [f64], slopes: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
    assert_eq!(probs.len(), slopes.len(), "one number for every operation");
    let mean: f64 = probs.iter().zip(slopes).map(|(p, u)| p * u).sum();
    probs.iter().zip(slopes).map(move |(p, u)| p * (u - mean))
}

/// Adds Gumbel noise and divides by the temperature. log softmax(α) differs from α by a constant, which no softmax sees.
fn noisy(alpha: &[f64], temperature: f64, rng: &mut dyn Rng) -> Vec<f64> {
    // 1 − u is above 0, so that both logarithms are finite but for u = 0, where the noise is −∞ in the limit.
    let mut gumbel = || -(-(1.0 - rng.random::<f64>()).ln()).max(f64::MIN_POSITIVE).ln();
    alpha.iter().map(|alpha| (alpha + gumbel()) / temperature).collect()
}

/// Returns the first of the largest numbers.
fn largest(numbers: &[f64]) -> usize {
    (1..numbers.len()).fold(0, |best, i| if numbers[i] > numbers[best] { i } else { best })
}

fn one_of(count: usize, place: usize) -> Vec<f64> {
    let mut values = vec![0.0; count];
    values[place] = 1.0;
    values
}

/// Draws an index by its probability.
fn draw(probs: &[f64], rng: &mut dyn Rng) -> usize {
    let (mut left, last) = (rng.random::<f64>() * probs.iter().sum::<f64>(), probs.len() - 1);
    probs
        .iter()
        .position(|p| {
            left -= p;
            left < 0.0
        })
        .unwrap_or(last)
}

/// Draws two operations and which of them is active. A mixture with one operation has no gradient.
fn two_paths(ops: &[u8], alpha: &[f64], rng: &mut dyn Rng) -> (Vec<u8>, Vec<f64>, Vec<f64>) {
    if ops.len() == 1 {
        return (ops.to_vec(), vec![1.0], vec![1.0]);
    }
    let probs = softmax(alpha);
    let first = draw(&probs, rng);
    let mut rest = probs;
    rest[first] = 0.0;
    let second = draw(&rest, rng);
    let mut pair = [first, second];
    pair.sort_unstable();
    let shares = softmax(&pair.map(|place| alpha[place]));
    let active = pair[draw(&shares, rng)];
    let mut soft = vec![0.0; ops.len()];
    pair.iter().zip(shares).for_each(|(&place, share)| soft[place] = share);
    (pair.map(|place| ops[place]).to_vec(), one_of(ops.len(), active), soft)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn rng(seed: u64) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(seed)
    }

    /// A loss of the factors that is easy to differentiate: Σ c·p + Σ c·p², and Σ c·w for edge weights.
    fn loss(mixture: &Mixture) -> f64 {
        let of = |(i, p): (usize, &f64)| (i as f64 - 1.5) * p + (i as f64 + 0.5) * p * p;
        let ops: f64 = mixture.factors.iter().map(|p| p.iter().enumerate().map(of).sum::<f64>()).sum();
        ops + mixture.edges.iter().enumerate().map(|(i, w)| (i as f64 - 0.3) * w * w).sum::<f64>()
    }

    fn slopes(mixture: &Mixture) -> (Vec<Vec<f64>>, Vec<f64>) {
        let of = |(i, p): (usize, &f64)| (i as f64 - 1.5) + 2.0 * (i as f64 + 0.5) * p;
        let ops = mixture.factors.iter().map(|p| p.iter().enumerate().map(of).collect()).collect();
        (ops, mixture.edges.iter().enumerate().map(|(i, w)| 2.0 * (i as f64 - 0.3) * w).collect())
    }

    #[test]
    fn gradients_of_soft_mixtures_equal_finite_differences() {
        let ops = vec![vec![0, 1, 2, 3], vec![1, 3], vec![0, 1, 2, 3, 4]];
        for relaxation in [Relaxation::Softmax, Relaxation::Gumbel { temperature: 0.7 }] {
            let mut parameters = ArchParameters::new(ops.clone(), Some(vec![2, 3, 3]), &mut rng(1));
            let start: Vec<f64> = (0..parameters.logits().len()).map(|i| (i as f64 * 0.7).sin()).collect();
            parameters.set_logits(&start);
            // The same draws for every loss.
            let mix = |parameters: &ArchParameters| parameters.mix(relaxation, &mut rng(2));
            let mixture = mix(&parameters);
            let (of_ops, of_edges) = slopes(&mixture);
            let gradient = parameters.gradient(&mixture, &of_ops, &of_edges);
            for (i, slope) in gradient.iter().enumerate() {
                let [up, down] = [1e-6, -1e-6].map(|step| {
                    let mut moved = start.clone();
                    moved[i] += step;
                    parameters.set_logits(&moved);
                    loss(&mix(&parameters))
                });
                let difference = (up - down) / 2e-6;
                assert!((slope - difference).abs() < 1e-7, "{relaxation:?}, {i}: {slope} and {difference}");
            }
        }
    }

    /// By the formula of the straight-through estimator: the factors are a one-hot vector, the gradient is that of the softmax.
    #[test]
    fn a_hard_draw_has_the_gradient_of_its_softmax() {
        let mut parameters = ArchParameters::new(vec![vec![0, 1, 2]], None, &mut rng(0));
        parameters.set_logits(&[0.3, -0.2, 1.0]);
        let [hard, soft] =
            [Relaxation::HardGumbel { temperature: 0.5 }, Relaxation::Gumbel { temperature: 0.5 }]
                .map(|relaxation| parameters.mix(relaxation, &mut rng(7)));
        assert_eq!(hard.soft, soft.soft);
        assert_eq!(hard.factors[0].iter().filter(|&&p| p == 1.0).count(), 1);
        let drawn = largest(&hard.factors[0]);
        assert_eq!(drawn, largest(&soft.factors[0]));
        assert_eq!(hard.computed, [vec![drawn as u8]]);
        let slopes = [vec![0.5, -2.0, 1.0]];
        assert_eq!(parameters.gradient(&hard, &slopes, &[]), parameters.gradient(&soft, &slopes, &[]));
    }

    #[test]
    fn draws_have_the_probabilities_of_the_softmax() {
        let mut parameters = ArchParameters::new(vec![vec![0, 1, 2]], None, &mut rng(0));
        parameters.set_logits(&[0.0, 1.0, -1.0]);
        let expected = &parameters.probabilities()[0];
        for relaxation in [Relaxation::Sampled, Relaxation::HardGumbel { temperature: 3.0 }] {
            let (mut counts, mut rng) = ([0.0; 3], rng(5));
            for _ in 0..20_000 {
                counts[usize::from(parameters.mix(relaxation, &mut rng).computed[0][0])] += 1.0 / 20_000.0;
            }
            // Three standard deviations of a share of 20,000 draws.
            let near = counts.iter().zip(expected).all(|(count, p)| (count - p).abs() < 0.011);
            assert!(near, "{relaxation:?}: {counts:?} and {expected:?}");
        }
    }

    /// ProxylessNAS, section 3.3.1: ∂L/∂α_i = Σ_j ∂L/∂g_j · p_j (δ_ij − p_i) over the two paths; an operation that was not drawn keeps its
    /// logit and its probability.
    #[test]
    fn two_paths_change_only_their_own_share() {
        let mut parameters = ArchParameters::new(vec![vec![0, 1, 2, 3]], None, &mut rng(0));
        parameters.set_logits(&[0.4, -0.6, 0.1, 0.9]);
        let (before, mut draws) = (parameters.probabilities(), rng(3));
        let mixture = parameters.mix(Relaxation::TwoPaths, &mut draws);
        let pair: Vec<usize> = mixture.computed[0].iter().map(|&op| usize::from(op)).collect();
        assert_eq!(pair.len(), 2);
        let gates = [0.8, -0.3, 1.1, 0.5];
        let slopes: Vec<f64> = (0..4).map(|i| if pair.contains(&i) { gates[i] } else { 0.0 }).collect();
        let gradient = parameters.gradient(&mixture, &[slopes], &[]);
        let exp: Vec<f64> = pair.iter().map(|&i| parameters.logits()[i].exp()).collect();
        let q = [exp[0] / (exp[0] + exp[1]), exp[1] / (exp[0] + exp[1])];
        let expected = q[0] * q[1] * (gates[pair[0]] - gates[pair[1]]);
        assert!((gradient[pair[0]] - expected).abs() < 1e-15 && (gradient[pair[1]] + expected).abs() < 1e-15);
        let optimizer = ArchOptimizer { learning_rate: 0.1, beta1: 0.0, weight_decay: 0.0 };
        parameters.descend_pairs(&mixture, &gradient, &optimizer);
        let after = parameters.probabilities();
        for place in 0..4 {
            let moved = (after[0][place] - before[0][place]).abs();
            assert!(if pair.contains(&place) { moved > 1e-3 } else { moved < 1e-15 }, "{place}: {moved}");
        }
    }

    #[test]
    fn the_cost_term_is_differentiated() {
        for target in [None, Some(300e6)] {
            let term = CostTerm { weight: 0.2, exponent: 0.6, target };
            let cost = 15e6;
            let (_, slope) = term.factor(cost);
            let difference = (term.factor(cost + 10.0).0 - term.factor(cost - 10.0).0) / 20.0;
            assert!((slope / difference - 1.0).abs() < 1e-6, "{slope} and {difference}");
        }
        assert!(
            (CostTerm { weight: 0.2, exponent: 0.6, target: Some(15e6) }.factor(15e6).0 - 0.2).abs() < 1e-15
        );
    }

    /// Two steps of Vadam by hand, with learning rate 0.1, β₁ = 0.5 and λ = 0.5. The gradients are 2 and then 1, at a mean of 1.
    /// Step 1: m = 0.5 · (2 + 0.5) = 1.25, m̂ = 2.5; s = 0.001 · 4, ŝ = 4; μ = 1 − 0.1 · 2.5 / (2 + 0.5) = 0.9.
    /// Step 2: m = 0.625 + 0.5 · (1 + 0.45) = 1.35, m̂ = 1.8; s = 0.999 · 0.004 + 0.001 = 0.004996, ŝ = s / (1 − 0.999²).
    #[test]
    fn a_variational_step_equals_vadam() {
        let mut parameters = ArchParameters::new(vec![vec![0]], None, &mut rng(0));
        parameters.set_logits(&[1.0]);
        let optimizer = ArchOptimizer { learning_rate: 0.1, beta1: 0.5, weight_decay: 0.5 };
        parameters.descend_means(&[2.0], &optimizer);
        assert!((parameters.logits()[0] - 0.9).abs() < 1e-12);
        parameters.descend_means(&[1.0], &optimizer);
        let square: f64 = 0.004996 / (1.0 - 0.999 * 0.999);
        assert!((parameters.logits()[0] - (0.9 - 0.1 * 1.8 / (square.sqrt() + 0.5))).abs() < 1e-12);

        // The deviation of draws: 1 / √(100 · (0.004996 + 0.5)).
        let (mut draws, mean) = (rng(1), parameters.logits()[0]);
        let count = 40_000;
        let squares = (0..count).map(|_| (parameters.draw(100, &optimizer, &mut draws)[0] - mean).powi(2));
        let variance = squares.sum::<f64>() / f64::from(count);
        let expected = 1.0 / (100.0 * 0.504996);
        // Four standard deviations of a variance of 40,000 draws.
        assert!((variance / expected - 1.0).abs() < 0.03, "{variance} and {expected}");
    }

    /// A step of `torch.optim.Adam(lr=3e-4, betas=(.5, .999), weight_decay=1e-3)`: the first one is the learning rate against the sign of the
    /// gradient with its decay.
    #[test]
    fn adam_decays_the_logits() {
        let mut parameters = ArchParameters::new(vec![vec![0, 1]], None, &mut rng(0));
        parameters.set_logits(&[2.0, -1.0]);
        parameters.descend(&[-1e-3, 0.0], &ArchOptimizer::darts());
        // The gradients are −1e-3 + 2e-3 and −1e-3.
        let expected = [2.0 - 3e-4, -1.0 + 3e-4];
        let near = parameters.logits().iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-8);
        assert!(near, "{:?}", parameters.logits());
    }
}
