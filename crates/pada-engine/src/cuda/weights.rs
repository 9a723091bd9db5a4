use pada_exec::{Optimizer, RmsProp, RmsPropForm, SgdStep, State, UnusedWeights};
use pada_graph::{Graph, WeightId, WeightLayout, WeightSpec};

use super::arguments::{Doubles, Floats, Ints, RmsPropArgs, SquaresArgs, TensorNormsArgs, UpdateArgs};
use super::memory::Block;
use super::source::kernel;
use super::step::{each, start};
use super::{CudaError, Device};

/// Length of a piece of a tensor, which one block of a flat kernel computes.
const PIECE: usize = 4096;

// Updates of a tensor in a step, as `update.cu` defines them.
const STAYS: i32 = 0;
const MOVES: i32 = 1;
const MOVES_WITHOUT_DECAY: i32 = 2;

/// Weights, momentum and gradient in the memory of a device. Each of them is one flat list in the order of the layout.
#[derive(Debug)]
pub(super) struct Weights {
    layout: WeightLayout,
    weights: Block,
    momentum: Block,
    /// Without memory until it is written or RMSprop needs it.
    second_moment: Block,
    gradient: Block,
    pieces: Block,
    firsts: Block,
    moves: Block,
    squares: Block,
    count: usize,
    touched: Vec<bool>,
}

impl Weights {
    /// Uploads initial weights. Momentum and gradient are zero.
    pub(super) fn new(device: &dyn Device, layout: WeightLayout, values: &[f32]) -> Result<Self, CudaError> {
        assert_eq!(values.len(), layout.numel(), "one value for every weight of the layout");
        let (mut pieces, mut firsts) = (Vec::new(), Vec::new());
        for (id, _) in layout.iter() {
            firsts.push((pieces.len() / 3) as i32);
            let range = layout.range(id);
            for first in range.clone().step_by(PIECE) {
                pieces.extend([id.0 as i32, first as i32, PIECE.min(range.end - first) as i32]);
            }
        }
        firsts.push((pieces.len() / 3) as i32);
        let count = pieces.len() / 3;
        let touched = vec![false; layout.len()];
        let [weights, momentum, gradient, moves, squares] = std::array::from_fn(|_| Block::default());
        let (pieces_at, firsts_at) = (Block::default(), Block::default());
        let mut new = Self {
            layout,
            weights,
            momentum,
            second_moment: Block::default(),
            gradient,
            pieces: pieces_at,
            firsts: firsts_at,
            moves,
            squares,
            count,
            touched,
        };
        new.weights.filled(device, bytemuck::cast_slice(values))?;
        new.pieces.filled(device, bytemuck::cast_slice(&pieces))?;
        new.firsts.filled(device, bytemuck::cast_slice(&firsts))?;
        let bytes = size_of_val(values).max(1);
        for list in [&mut new.momentum, &mut new.gradient] {
            let at = list.get(device, bytes)?;
            device.clear(at, bytes)?;
        }
        new.moves.get(device, new.layout.len().max(1) * size_of::<i32>())?;
        new.squares.get(device, count.max(1) * size_of::<f64>())?;
        Ok(new)
    }

    pub(super) fn layout(&self) -> &WeightLayout {
        &self.layout
    }

    /// Returns the address of a weight tensor.
    pub(super) fn weight(&self, id: WeightId) -> Floats {
        Floats(self.weights.address()).at(self.layout.range(id).start)
    }

    /// Returns the address of the gradient of a weight tensor.
    pub(super) fn gradient(&self, id: WeightId) -> Floats {
        Floats(self.gradient.address()).at(self.layout.range(id).start)
    }

    /// Marks the weights of a graph as used in this step.
    pub(super) fn touch(&mut self, graph: &Graph) {
        graph.trained_weights().into_iter().for_each(|id| self.touched[id.0] = true);
    }

    /// Starts a step: sets the gradient to zero and marks all weights as unused.
    pub(super) fn zero_gradient(&mut self, device: &dyn Device) -> Result<(), CudaError> {
        self.touched.fill(false);
        device.clear(self.gradient.address(), self.layout.numel() * size_of::<f32>())
    }

    /// Launches the L2 norms of all gradient tensors, which are written to `out`.
    pub(super) fn norms(&self, device: &dyn Device, out: Doubles) -> Result<(), CudaError> {
        let partial = Doubles(self.squares.address());
        let gradient = Floats(self.gradient.address());
        let pieces = Ints(self.pieces.address());
        let squares = SquaresArgs { pieces, gradient, partial };
        start(device, kernel::squares, [self.count, 1, 1], &squares)?;
        let firsts = Ints(self.firsts.address());
        let tensors = self.layout.len();
        each(
            device,
            kernel::tensor_norms,
            tensors,
            &TensorNormsArgs { partial, firsts, out, tensors: tensors as i64 },
        )
    }

    /// The L2 norm of every gradient tensor.
    pub(super) fn gradient_norms(&self, device: &dyn Device) -> Result<Vec<f64>, CudaError> {
        let mut norms = vec![0.0_f64; self.layout.len()];
        let mut room = Block::default();
        let out = room.get(device, size_of_val(&*norms).max(1))?;
        let result = self
            .norms(device, Doubles(out))
            .and_then(|()| device.download(out, bytemuck::cast_slice_mut(&mut norms)));
        room.release(device);
        result.map(|()| norms)
    }

    /// Launches one step of the optimizer.
    pub(super) fn update(&mut self, device: &dyn Device, step: &SgdStep) -> Result<(), CudaError> {
        let moves = |id: WeightId| {
            self.layout.is_trained(id) && (step.unused != UnusedWeights::Frozen || self.touched[id.0])
        };
        let how = |(id, spec): (WeightId, &WeightSpec)| match (moves(id), step.of(spec).weight_decay == 0.0) {
            (false, _) => STAYS,
            (true, false) => MOVES,
            (true, true) => MOVES_WITHOUT_DECAY,
        };
        let moves: Vec<i32> = self.layout.iter().map(how).collect();
        device.upload(self.moves.address(), bytemuck::cast_slice(&moves))?;
        let (pieces, moves) = (Ints(self.pieces.address()), Ints(self.moves.address()));
        let [weights, momentum, gradient] =
            [&self.weights, &self.momentum, &self.gradient].map(|block| Floats(block.address()));
        let [lr, keep, decay, scale] =
            [step.lr, step.momentum, step.weight_decay, step.gradient_scale].map(f64::from);
        let blocks = [self.count, 1, 1];
        let Optimizer::RmsProp(RmsProp { decay: alpha, eps, form }) = step.optimizer else {
            let nesterov = (step.optimizer == Optimizer::Nesterov).into();
            let args =
                UpdateArgs { pieces, moves, weights, momentum, gradient, lr, keep, decay, scale, nesterov };
            return start(device, kernel::update, blocks, &args);
        };
        let second = Floats(self.second_moment(device)?);
        let (alpha, eps, tensorflow) = (alpha.into(), eps.into(), (form == RmsPropForm::TensorFlow).into());
        let args = RmsPropArgs {
            pieces,
            moves,
            weights,
            momentum,
            second,
            gradient,
            lr,
            keep,
            decay,
            scale,
            alpha,
            eps,
            tensorflow,
        };
        start(device, kernel::update_rms_prop, blocks, &args)
    }

    /// Returns the address of the second moment, which is 0 at first.
    fn second_moment(&mut self, device: &dyn Device) -> Result<super::Address, CudaError> {
        let bytes = (self.layout.numel() * size_of::<f32>()).max(1);
        let fresh = self.second_moment.bytes() == 0;
        let at = self.second_moment.get(device, bytes)?;
        if fresh {
            device.clear(at, bytes)?;
        }
        Ok(at)
    }

    /// Returns a copy of a flat buffer.
    pub(super) fn read(&self, device: &dyn Device, state: State) -> Result<Vec<f32>, CudaError> {
        let mut values = vec![0.0_f32; self.layout.numel()];
        if state == State::SecondMoment && self.second_moment.bytes() == 0 {
            return Ok(values);
        }
        device.download(self.state(state), bytemuck::cast_slice_mut(&mut values))?;
        Ok(values)
    }

    /// Returns one gradient tensor.
    pub(super) fn read_gradient(&self, device: &dyn Device, id: WeightId) -> Result<Vec<f32>, CudaError> {
        let mut values = vec![0.0_f32; self.layout.spec(id).numel()];
        device.download(self.gradient(id).0, bytemuck::cast_slice_mut(&mut values))?;
        Ok(values)
    }

    /// Overwrites a flat buffer.
    pub(super) fn write(
        &mut self,
        device: &dyn Device,
        state: State,
        values: &[f32],
    ) -> Result<(), CudaError> {
        assert_eq!(values.len(), self.layout.numel(), "one value for every weight of the layout");
        if state == State::SecondMoment {
            self.second_moment(device)?;
        }
        device.upload(self.state(state), bytemuck::cast_slice(values))
    }

    fn state(&self, state: State) -> super::Address {
        match state {
            State::Weights => self.weights.address(),
            State::Momentum => self.momentum.address(),
            State::SecondMoment => self.second_moment.address(),
            State::Gradient => self.gradient.address(),
        }
    }

    pub(super) fn blocks(&mut self) -> [&mut Block; 8] {
        let Self { weights, momentum, second_moment, gradient, pieces, firsts, moves, squares, .. } = self;
        [weights, momentum, second_moment, gradient, pieces, firsts, moves, squares]
    }
}
