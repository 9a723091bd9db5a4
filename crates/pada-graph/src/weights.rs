use std::collections::HashMap;
use std::ops::Range;

/// Prefix of tensors that belong to a checkpoint of this project and are no weights, in a file of weights.
pub const CHECKPOINT_PREFIX: &str = "pada.";

/// Index of a weight tensor in its [`WeightLayout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WeightId(pub usize);

/// Initialisation of a weight tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Uniform in ±1/√fan_in, PyTorch's default for weights and biases of convolutions and linear layers.
    Uniform {
        /// Number of inputs of one output: channels per group times kernel height times kernel width.
        fan_in: usize,
    },
    /// The same value everywhere.
    Constant(f32),
}

/// The candidate operation that a weight belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Index of the cell or block, from 0.
    pub cell: usize,
    /// Index of the decision (the edge of a cell).
    pub position: usize,
    /// Digit of the operation.
    pub op: usize,
}

/// Name, shape and initialisation of a weight tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightSpec {
    /// Name, as in the released PyTorch checkpoints.
    pub name: String,
    /// Shape, row-major.
    pub shape: Vec<usize>,
    /// Initialisation.
    pub init: Init,
    /// The candidate operation that it belongs to. `None` for stem, reductions and classifier.
    pub owner: Option<Owner>,
}

impl WeightSpec {
    /// Returns the number of elements.
    pub fn numel(&self) -> usize {
        self.shape.iter().product()
    }
}

/// All weight tensors of a network: names, shapes, and their positions in one flat buffer.
///
/// Buffers such as running statistics are part of the layout, but are not trained.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WeightLayout {
    specs: Vec<WeightSpec>,
    offsets: Vec<usize>,
    numel: usize,
    /// The tensors that are not trained, sorted.
    buffers: Vec<WeightId>,
    by_name: HashMap<String, WeightId>,
}

impl WeightLayout {
    /// Creates an empty layout.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a weight tensor.
    ///
    /// # Panics
    /// Panics if another tensor has the same name.
    pub fn push(&mut self, spec: WeightSpec) -> WeightId {
        let id = WeightId(self.specs.len());
        self.offsets.push(self.numel);
        self.numel += spec.numel();
        let earlier = self.by_name.insert(spec.name.clone(), id);
        assert!(earlier.is_none(), "two weight tensors are called {}", spec.name);
        self.specs.push(spec);
        id
    }

    /// Appends a tensor that is not trained, such as the running mean of a norm. It is stored and saved together with the weights.
    ///
    /// # Panics
    /// Panics if another tensor has the same name.
    pub fn push_buffer(&mut self, spec: WeightSpec) -> WeightId {
        let id = self.push(spec);
        self.buffers.push(id);
        id
    }

    /// Returns whether a tensor is trained, as opposed to a buffer.
    pub fn is_trained(&self, id: WeightId) -> bool {
        self.buffers.binary_search(&id).is_err()
    }

    /// Returns the specification of a tensor.
    pub fn spec(&self, id: WeightId) -> &WeightSpec {
        &self.specs[id.0]
    }

    /// Finds a tensor by name.
    pub fn find(&self, name: &str) -> Option<WeightId> {
        self.by_name.get(name).copied()
    }

    /// Returns the range of a tensor in the flat buffer.
    pub fn range(&self, id: WeightId) -> Range<usize> {
        self.offsets[id.0]..self.offsets[id.0] + self.specs[id.0].numel()
    }

    /// Iterates over all tensors in order.
    pub fn iter(&self) -> impl Iterator<Item = (WeightId, &WeightSpec)> {
        self.specs.iter().enumerate().map(|(i, spec)| (WeightId(i), spec))
    }

    /// Returns the number of tensors.
    pub fn len(&self) -> usize {
        self.specs.len()
    }

    /// Returns whether there are no tensors.
    pub fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }

    /// Returns the length of the flat buffer: the number of elements of all tensors.
    pub fn numel(&self) -> usize {
        self.numel
    }
}
