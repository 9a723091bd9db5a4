use std::collections::HashMap;
use std::ops::Range;

/// Prefix of tensors that belong to a checkpoint of this project and are no weights, in a file of weights.
pub const CHECKPOINT_PREFIX: &str = "pada.";

/// A weight tensor's place in its [`WeightLayout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WeightId(pub usize);

/// How a weight starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Uniform in ±1/√fan_in: PyTorch's default for convolutions and linear layers, weights and biases.
    Uniform {
        /// Inputs of one output: channels per group times the kernel's taps.
        fan_in: usize,
    },
    /// One value everywhere.
    Constant(f32),
}

/// Which candidate operation a weight belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The cell or block, from 0.
    pub cell: usize,
    /// The position of the architecture (the edge of a cell).
    pub position: usize,
    /// The operation's digit.
    pub op: usize,
}

/// One weight tensor of a supernet.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightSpec {
    /// The name it has in the released PyTorch checkpoints.
    pub name: String,
    /// Its shape, row-major.
    pub shape: Vec<usize>,
    /// How it starts.
    pub init: Init,
    /// The candidate operation it belongs to; none for stem, reductions and classifier.
    pub owner: Option<Owner>,
}

impl WeightSpec {
    /// How many numbers it holds.
    pub fn numel(&self) -> usize {
        self.shape.iter().product()
    }
}

/// All weights of a supernet: names, shapes, and where each lies in one flat buffer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WeightLayout {
    specs: Vec<WeightSpec>,
    offsets: Vec<usize>,
    numel: usize,
    /// Sorted.
    buffers: Vec<WeightId>,
    by_name: HashMap<String, WeightId>,
}

impl WeightLayout {
    /// An empty layout.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor behind all others.
    ///
    /// # Panics
    /// If the name is taken.
    pub fn push(&mut self, spec: WeightSpec) -> WeightId {
        let id = WeightId(self.specs.len());
        self.offsets.push(self.numel);
        self.numel += spec.numel();
        let earlier = self.by_name.insert(spec.name.clone(), id);
        assert!(earlier.is_none(), "two weights are called {}", spec.name);
        self.specs.push(spec);
        id
    }

    /// Adds a tensor that no gradient moves, such as the running mean of a norm. It lies among the weights and is saved with them.
    ///
    /// # Panics
    /// If the name is taken.
    pub fn push_buffer(&mut self, spec: WeightSpec) -> WeightId {
        let id = self.push(spec);
        self.buffers.push(id);
        id
    }

    /// Whether a tensor is a weight that training moves, and no buffer.
    pub fn is_trained(&self, id: WeightId) -> bool {
        self.buffers.binary_search(&id).is_err()
    }

    /// The tensor with this id.
    pub fn spec(&self, id: WeightId) -> &WeightSpec {
        &self.specs[id.0]
    }

    /// The tensor with this name.
    pub fn find(&self, name: &str) -> Option<WeightId> {
        self.by_name.get(name).copied()
    }

    /// Where a tensor lies in the flat buffer.
    pub fn range(&self, id: WeightId) -> Range<usize> {
        self.offsets[id.0]..self.offsets[id.0] + self.specs[id.0].numel()
    }

    /// All tensors in order.
    pub fn iter(&self) -> impl Iterator<Item = (WeightId, &WeightSpec)> {
        self.specs.iter().enumerate().map(|(i, spec)| (WeightId(i), spec))
    }

    /// How many tensors.
    pub fn len(&self) -> usize {
        self.specs.len()
    }

    /// Whether there is no tensor.
    pub fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }

    /// How many numbers in all: the length of the flat buffer.
    pub fn numel(&self) -> usize {
        self.numel
    }
}
