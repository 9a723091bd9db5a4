use pada_space::Arch;
use rand::{Rng, RngExt};

use crate::layout::Layout;
use crate::reinforce::{LstmConfig, PolicyConfig};

/// A distribution over the architectures of a sub-space, with parameters that are learned.
///
/// A policy makes one decision after the other. Inactive decisions are skipped and get the choice 0.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Policy {
    config: PolicyConfig,
    pub(crate) parameters: Vec<f64>,
}

/// The probability of an architecture.
#[derive(Clone, Debug)]
pub(crate) struct Likelihood {
    /// ln π(a), the logarithm of the probability. Learning needs its gradient only.
    #[cfg(test)]
    log_prob: f64,
    /// The sum of the entropies of the decisions' distributions, in nats.
    pub(crate) entropy: f64,
    /// The gradient of ln π(a), the logarithm of the probability, with respect to the parameters.
    pub(crate) gradient: Vec<f64>,
}

/// One decision of an architecture.
struct Step {
    decision: usize,
    /// The choice in the whole space.
    choice: u8,
    /// The index of the choice among the allowed ones.
    place: usize,
    /// The probabilities of the allowed choices.
    probs: Vec<f64>,
    /// The activations that the backward pass of the LSTM reads. It is empty for independent distributions.
    cells: Vec<Cell>,
    /// tanh of the logits of the allowed choices, before they are scaled.
    squashed: Vec<f64>,
}

/// The values of one layer of the LSTM at one step.
struct Cell {
    /// Input and previous output, `[2H]`.
    input: Vec<f64>,
    /// i, f, o and g after their activation functions, `[4H]`.
    gates: Vec<f64>,
    previous_state: Vec<f64>,
    /// tanh of the state, `[H]`.
    squashed_state: Vec<f64>,
    output: Vec<f64>,
}

/// Chooses one of some allowed choices at a decision.
type Choose<'a> = dyn FnMut(usize, &[f64]) -> usize + 'a;

impl Policy {
    /// Draws the parameters: 1e-3·N(0, 1) for independent distributions, and uniform numbers from −0.1 to 0.1 for an LSTM.
    pub(crate) fn new(config: PolicyConfig, layout: &Layout, rng: &mut dyn Rng) -> Self {
        let parameters = match config {
            PolicyConfig::Softmax => (0..layout.len).map(|_| 1e-3 * normal(rng)).collect(),
            PolicyConfig::Lstm(config) => {
                let shape = Lstm::new(config, layout);
                let mut parameters: Vec<f64> = (0..shape.len).map(|_| rng.random_range(-0.1..0.1)).collect();
                shape
                    .biases
                    .iter()
                    .zip(&layout.group_sizes)
                    .for_each(|(&at, &n)| parameters[at..at + n].fill(0.0));
                parameters
            }
        };
        Self { config, parameters }
    }

    /// Draws an architecture. Returns `None` if a parameter or a probability is not finite.
    pub(crate) fn draw(&self, layout: &Layout, rng: &mut dyn Rng) -> Option<Arch> {
        if !self.parameters.iter().all(|parameter| parameter.is_finite()) {
            return None;
        }
        let mut choose = |_: usize, probs: &[f64]| {
            let (draw, mut sum) = (rng.random::<f64>(), 0.0);
            let chosen = probs.iter().position(|p| {
                sum += p;
                draw < sum
            });
            // Probabilities can add up to slightly less than 1.
            chosen.unwrap_or(probs.len() - 1)
        };
        let steps = self.forward(layout, &mut choose);
        if steps.iter().flat_map(|step| &step.probs).any(|p| p.is_nan()) {
            return None;
        }
        let mut choices = vec![0; layout.allowed.len()];
        steps.iter().for_each(|step| choices[step.decision] = step.choice);
        Some(Arch::new(choices))
    }

    /// Computes the probability of an architecture of the sub-space, and its gradient.
    pub(crate) fn likelihood(&self, layout: &Layout, arch: &Arch) -> Likelihood {
        let mut choose = |decision: usize, _: &[f64]| {
            let choice = arch.choices()[decision];
            let place = layout.allowed[decision].iter().position(|&other| other == choice);
            place.expect("an active decision of an architecture of the sub-space has an allowed choice")
        };
        let steps = self.forward(layout, &mut choose);
        let plogp = |p: &f64| if *p > 0.0 { -p * p.ln() } else { 0.0 };
        let entropy = steps.iter().map(|step| step.probs.iter().map(plogp).sum::<f64>()).sum();
        let mut gradient = vec![0.0; self.parameters.len()];
        match self.config {
            PolicyConfig::Softmax => {
                for step in &steps {
                    let offset = layout.offsets[step.decision];
                    step.slopes().enumerate().for_each(|(i, slope)| gradient[offset + i] += slope);
                }
            }
            PolicyConfig::Lstm(config) => {
                Lstm::new(config, layout).backward(&self.parameters, layout, &steps, &mut gradient);
            }
        }
        Likelihood {
            #[cfg(test)]
            log_prob: steps.iter().map(|step| step.probs[step.place].ln()).sum(),
            entropy,
            gradient,
        }
    }

    fn forward(&self, layout: &Layout, choose: &mut Choose<'_>) -> Vec<Step> {
        let mut choices = vec![0; layout.allowed.len()];
        let mut steps: Vec<Step> = Vec::with_capacity(layout.order.len());
        let lstm = match self.config {
            PolicyConfig::Softmax => None,
            PolicyConfig::Lstm(config) => Some(Lstm::new(config, layout)),
        };
        for &decision in &layout.order {
            if !layout.is_active(decision, &choices) {
                continue;
            }
            let allowed = &layout.allowed[decision];
            let (logits, squashed, cells) = match &lstm {
                None => {
                    let offset = layout.offsets[decision];
                    (self.parameters[offset..offset + allowed.len()].to_vec(), vec![], vec![])
                }
                Some(lstm) => lstm.step(&self.parameters, layout, decision, steps.last()),
            };
            let probs = softmax(&logits);
            let place = choose(decision, &probs);
            choices[decision] = allowed[place];
            steps.push(Step { decision, choice: allowed[place], place, probs, cells, squashed });
        }
        steps
    }
}

impl Step {
    /// Returns the gradient of the logarithm of the chosen probability with respect to the logits.
    fn slopes(&self) -> impl Iterator<Item = f64> {
        self.probs.iter().enumerate().map(|(i, p)| f64::from(i == self.place) - p)
    }
}

/// The places of the parameters of an LSTM controller in one list.
///
/// H is the size of a layer. The input of the first step is a learned vector, that of a later step the embedding of the previous choice.
/// Embeddings and output layers are shared by the decisions of a group.
struct Lstm {
    config: LstmConfig,
    /// The embeddings of the choices of each group, `[n, H]`. The input of the first step, `[H]`, is at 0.
    embeddings: Vec<usize>,
    /// The weights of each layer for i, f, o and g, `[4H, 2H]`: a row multiplies the input and the previous output.
    layers: Vec<usize>,
    /// The weights of the output of each group, `[n, H]`.
    weights: Vec<usize>,
    /// The biases of the output of each group, `[n]`.
    biases: Vec<usize>,
    /// The number of parameters.
    len: usize,
}

impl Lstm {
    fn new(config: LstmConfig, layout: &Layout) -> Self {
        let (h, mut len) = (config.hidden, config.hidden);
        let mut add = |size: usize| {
            len += size;
            len - size
        };
        let embeddings = layout.group_sizes.iter().map(|n| add(n * h)).collect();
        let layers = (0..config.layers).map(|_| add(4 * h * 2 * h)).collect();
        let weights = layout.group_sizes.iter().map(|n| add(n * h)).collect();
        let biases = layout.group_sizes.iter().map(|&n| add(n)).collect();
        Self { config, embeddings, layers, weights, biases, len }
    }

    /// Returns the place of the input vector of a step.
    fn input(&self, layout: &Layout, previous: Option<&Step>) -> usize {
        previous.map_or(0, |step| {
            self.embeddings[layout.groups[step.decision]] + usize::from(step.choice) * self.config.hidden
        })
    }

    /// Computes the logits of the allowed choices of a decision, their tanh before scaling, and the values of all layers.
    fn step(
        &self,
        parameters: &[f64],
        layout: &Layout,
        decision: usize,
        previous: Option<&Step>,
    ) -> (Vec<f64>, Vec<f64>, Vec<Cell>) {
        let LstmConfig { hidden: h, tanh_constant, temperature, .. } = self.config;
        let at = self.input(layout, previous);
        let mut x = parameters[at..at + h].to_vec();
        let mut cells = Vec::with_capacity(self.layers.len());
        for (layer, &at) in self.layers.iter().enumerate() {
            let before = previous.map(|step| &step.cells[layer]);
            let (output, state) = match before {
                Some(cell) => (cell.output.clone(), cell.state()),
                None => (vec![0.0; h], vec![0.0; h]),
            };
            let cell = Cell::forward(&parameters[at..at + 8 * h * h], [x, output].concat(), state);
            x = cell.output.clone();
            cells.push(cell);
        }
        let group = layout.groups[decision];
        let raw = layout.allowed[decision].iter().map(|&choice| {
            let row = &parameters[self.weights[group] + usize::from(choice) * h..][..h];
            (dot(row, &x) + parameters[self.biases[group] + usize::from(choice)]) / temperature
        });
        let squashed: Vec<f64> = raw.map(f64::tanh).collect();
        (squashed.iter().map(|value| tanh_constant * value).collect(), squashed, cells)
    }

    /// Adds the gradient of the sum of the logarithms of the chosen probabilities (back-propagation through time).
    fn backward(&self, parameters: &[f64], layout: &Layout, steps: &[Step], gradient: &mut [f64]) {
        let LstmConfig { hidden: h, tanh_constant, temperature, .. } = self.config;
        // The gradients of output and state of each layer that come from the step behind.
        let mut next: Vec<[Vec<f64>; 2]> = self.layers.iter().map(|_| [vec![0.0; h], vec![0.0; h]]).collect();
        for (index, step) in steps.iter().enumerate().rev() {
            let group = layout.groups[step.decision];
            let top = &step.cells.last().expect("an LSTM has a layer").output;
            let mut d_output = vec![0.0; h];
            let choices = &layout.allowed[step.decision];
            for ((slope, squashed), &choice) in step.slopes().zip(&step.squashed).zip(choices) {
                let d_raw = slope * tanh_constant * (1.0 - squashed * squashed) / temperature;
                let row = self.weights[group] + usize::from(choice) * h;
                gradient[self.biases[group] + usize::from(choice)] += d_raw;
                for i in 0..h {
                    gradient[row + i] += d_raw * top[i];
                    d_output[i] += d_raw * parameters[row + i];
                }
            }
            for (layer, cell) in step.cells.iter().enumerate().rev() {
                let [output_after, state_after] = &next[layer];
                d_output.iter_mut().zip(output_after).for_each(|(d, after)| *d += after);
                let at = self.layers[layer]..self.layers[layer] + 8 * h * h;
                let (d_input, d_state) =
                    cell.backward(&parameters[at.clone()], &d_output, state_after, &mut gradient[at]);
                let (below, before) = d_input.split_at(h);
                next[layer] = [before.to_vec(), d_state];
                d_output = below.to_vec();
            }
            let at = self.input(layout, index.checked_sub(1).map(|before| &steps[before]));
            (0..h).for_each(|i| gradient[at + i] += d_output[i]);
        }
    }
}

impl Cell {
    /// Computes c = i·g + f·c′ and h = o·tanh(c), with i, f, o = σ(W·[x; h′]) and g = tanh(W·[x; h′]).
    fn forward(weights: &[f64], input: Vec<f64>, previous_state: Vec<f64>) -> Self {
        let h = previous_state.len();
        let gate = |(row, weights): (usize, &[f64])| {
            let z = dot(weights, &input);
            if row < 3 * h { 1.0 / (1.0 + (-z).exp()) } else { z.tanh() }
        };
        let gates: Vec<f64> = weights.chunks_exact(2 * h).enumerate().map(gate).collect();
        let state = |i: usize| gates[i] * gates[3 * h + i] + gates[h + i] * previous_state[i];
        let squashed_state: Vec<f64> = (0..h).map(|i| state(i).tanh()).collect();
        let output = (0..h).map(|i| gates[2 * h + i] * squashed_state[i]).collect();
        Self { input, gates, previous_state, squashed_state, output }
    }

    /// Returns the state c.
    fn state(&self) -> Vec<f64> {
        let (h, gates) = (self.previous_state.len(), &self.gates);
        (0..h).map(|i| gates[i] * gates[3 * h + i] + gates[h + i] * self.previous_state[i]).collect()
    }

    /// Adds the gradient of the weights. Returns the gradients of input and previous output, `[2H]`, and of the previous state, `[H]`.
    fn backward(
        &self,
        weights: &[f64],
        d_output: &[f64],
        d_state_after: &[f64],
        gradient: &mut [f64],
    ) -> (Vec<f64>, Vec<f64>) {
        let h = self.previous_state.len();
        let (mut d_input, mut d_state) = (vec![0.0; 2 * h], vec![0.0; h]);
        for j in 0..h {
            let [i, f, o, g] = [0, 1, 2, 3].map(|gate| self.gates[gate * h + j]);
            let squashed = self.squashed_state[j];
            let d_c = d_output[j] * o * (1.0 - squashed * squashed) + d_state_after[j];
            d_state[j] = d_c * f;
            let slopes = [
                d_c * g * i * (1.0 - i),
                d_c * self.previous_state[j] * f * (1.0 - f),
                d_output[j] * squashed * o * (1.0 - o),
                d_c * i * (1.0 - g * g),
            ];
            for (gate, slope) in slopes.into_iter().enumerate() {
                let row = (gate * h + j) * 2 * h;
                for k in 0..2 * h {
                    gradient[row + k] += slope * self.input[k];
                    d_input[k] += slope * weights[row + k];
                }
            }
        }
        (d_input, d_state)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(crate) fn softmax(logits: &[f64]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|logit| (logit - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// Draws a number of the standard normal distribution (Box & Muller, 1958).
pub(crate) fn normal(rng: &mut dyn Rng) -> f64 {
    let [a, b] = [(); 2].map(|()| rng.random::<f64>());
    (-2.0 * (1.0 - a).ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

#[cfg(test)]
mod tests {
    use pada_space::{Darts, Nb201, SearchSpace, SubSpace};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const LSTM: PolicyConfig =
        PolicyConfig::Lstm(LstmConfig { hidden: 3, layers: 2, tanh_constant: 2.5, temperature: 0.7 });

    /// Three decisions with two choices of four operations, so that 8 architectures are left.
    fn tiny() -> (Nb201, SubSpace) {
        let space = Nb201::new();
        let mut part = SubSpace::full(&space);
        for (decision, choices) in
            [[0_u8, 3].as_slice(), &[1, 2], &[0, 4], &[3], &[1], &[2]].into_iter().enumerate()
        {
            part = part.restrict(decision, choices).expect("the choices are those of the space");
        }
        (space, part)
    }

    fn policy(config: PolicyConfig, layout: &Layout, seed: u64) -> Policy {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut policy = Policy::new(config, layout, &mut rng);
        // Larger parameters than at the start, so that no term of the gradient vanishes.
        policy.parameters.iter_mut().for_each(|p| *p = rng.random_range(-0.9..0.9));
        policy
    }

    /// Central differences of a function of the parameters.
    fn differences(policy: &Policy, value: impl Fn(&Policy) -> f64) -> Vec<f64> {
        const STEP: f64 = 1e-5;
        let at = |i: usize, step: f64| {
            let mut moved = policy.clone();
            moved.parameters[i] += step;
            value(&moved)
        };
        (0..policy.parameters.len()).map(|i| (at(i, STEP) - at(i, -STEP)) / (2.0 * STEP)).collect()
    }

    fn assert_near(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (i, (f, e)) in found.iter().zip(expected).enumerate() {
            assert!((f - e).abs() < 1e-8 * (1.0 + e.abs()), "parameter {i}: {f} instead of {e}");
        }
        assert!(found.iter().any(|f| f.abs() > 1e-4), "the gradient is not zero");
    }

    #[test]
    fn gradients_of_log_probabilities_equal_finite_differences() {
        let (nb201, part) = tiny();
        let spaces: [(&dyn SearchSpace, SubSpace); 2] = [(&nb201, part), (&Darts, SubSpace::full(&Darts))];
        for (space, part) in spaces {
            let layout = Layout::of(space, &part);
            for config in [PolicyConfig::Softmax, LSTM] {
                let policy = policy(config, &layout, 1);
                let arch = policy
                    .draw(&layout, &mut ChaCha8Rng::seed_from_u64(2))
                    .expect("the parameters are finite");
                let expected = differences(&policy, |policy| policy.likelihood(&layout, &arch).log_prob);
                assert_near(&policy.likelihood(&layout, &arch).gradient, &expected);
            }
        }
    }

    /// REINFORCE: the mean of R·∇ln π(a) over the policy is the gradient of the mean reward. All eight architectures are enumerated.
    #[test]
    fn the_policy_gradient_equals_the_gradient_of_the_mean_reward() {
        let (space, part) = tiny();
        let layout = Layout::of(&space, &part);
        let archs: Vec<Arch> = space.archs().filter(|arch| part.contains(arch)).collect();
        assert_eq!(archs.len(), 8);
        let reward = |arch: &Arch| {
            arch.choices().iter().enumerate().map(|(i, &c)| (i + 1) as f64 * f64::from(c * c)).sum::<f64>()
                / 100.0
        };
        for config in [PolicyConfig::Softmax, LSTM] {
            let policy = policy(config, &layout, 3);
            let mean = |policy: &Policy| {
                archs
                    .iter()
                    .map(|arch| policy.likelihood(&layout, arch).log_prob.exp() * reward(arch))
                    .sum::<f64>()
            };
            let probability: f64 =
                archs.iter().map(|arch| policy.likelihood(&layout, arch).log_prob.exp()).sum();
            assert!((probability - 1.0).abs() < 1e-12, "{probability}");
            let mut gradient = vec![0.0; policy.parameters.len()];
            for arch in &archs {
                let likelihood = policy.likelihood(&layout, arch);
                let weight = likelihood.log_prob.exp() * reward(arch);
                gradient.iter_mut().zip(&likelihood.gradient).for_each(|(sum, g)| *sum += weight * g);
            }
            assert_near(&gradient, &differences(&policy, mean));
        }
    }

    #[test]
    fn architectures_are_drawn_as_often_as_their_probability_says() {
        let (space, part) = tiny();
        let layout = Layout::of(&space, &part);
        for config in [PolicyConfig::Softmax, LSTM] {
            let policy = policy(config, &layout, 4);
            let mut rng = ChaCha8Rng::seed_from_u64(5);
            let draws: Vec<Arch> = (0..20_000).filter_map(|_| policy.draw(&layout, &mut rng)).collect();
            for arch in space.archs().filter(|arch| part.contains(arch)) {
                let likelihood = policy.likelihood(&layout, &arch);
                let found = draws.iter().filter(|draw| **draw == arch).count() as f64 / draws.len() as f64;
                let expected = likelihood.log_prob.exp();
                // Five standard deviations.
                let most = 5.0 * (expected * (1.0 - expected) / draws.len() as f64).sqrt();
                assert!((found - expected).abs() < most, "{arch}: {found} instead of {expected}");
            }
        }
    }

    #[test]
    fn the_entropy_of_uniform_distributions_is_the_logarithm_of_their_choices() {
        let space = Nb201::new();
        let layout = Layout::of(&space, &SubSpace::full(&space));
        let mut policy = policy(PolicyConfig::Softmax, &layout, 6);
        policy.parameters.fill(0.25);
        let likelihood = policy.likelihood(&layout, &Arch::new([0, 1, 2, 3, 4, 0]));
        assert!((likelihood.entropy - 6.0 * 5.0_f64.ln()).abs() < 1e-12);
        assert!((likelihood.log_prob + 6.0 * 5.0_f64.ln()).abs() < 1e-12);
    }
}
