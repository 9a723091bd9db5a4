//! A device that fails: the first error stays, and what was read after it says so.

use std::cell::Cell;
use std::rc::Rc;

use pada_emulated_gpu::device;
use pada_engine::cuda::{Address, CudaEngine, CudaError, Device, Launch};
use pada_exec::{
    Batch, Decayed, ExecError, Executor, Images, LossSpec, Optimizer, Precision, SgdStep, State,
    UnusedWeights,
};
use pada_graph::{Lower, Shape};
use pada_models::{Nb201Net, Norms};
use pada_space::{Nb201, SearchSpace};

use crate::case::Case;

/// Works until it is lost, and has only so much memory.
struct Fragile {
    device: Rc<dyn Device>,
    lost: Rc<Cell<bool>>,
    memory: usize,
}

impl Fragile {
    fn alive(&self, call: &'static str) -> Result<(), CudaError> {
        let lost = || CudaError::Lost { gpu: "a GPU".into(), call, message: "it fell off the bus".into() };
        if self.lost.get() { Err(lost()) } else { Ok(()) }
    }
}

impl Device for Fragile {
    fn name(&self) -> &str {
        "a fragile GPU"
    }

    fn allocate(&self, bytes: usize) -> Result<Address, CudaError> {
        self.alive("cuMemAlloc")?;
        if bytes > self.memory {
            return Err(CudaError::OutOfMemory { gpu: "a GPU".into(), needed: bytes, free: self.memory });
        }
        self.device.allocate(bytes)
    }

    fn free(&self, address: Address) {
        self.device.free(address);
    }

    fn upload(&self, to: Address, bytes: &[u8]) -> Result<(), CudaError> {
        self.alive("cuMemcpyHtoD")?;
        self.device.upload(to, bytes)
    }

    fn download(&self, from: Address, bytes: &mut [u8]) -> Result<(), CudaError> {
        self.alive("cuMemcpyDtoH")?;
        self.device.download(from, bytes)
    }

    fn clear(&self, at: Address, bytes: usize) -> Result<(), CudaError> {
        self.alive("cuMemsetD8")?;
        self.device.clear(at, bytes)
    }

    fn launch(&self, launch: &Launch<'_>) -> Result<(), CudaError> {
        self.alive(launch.kernel)?;
        self.device.launch(launch)
    }
}

const SHAPE: Shape = Shape { channels: 3, height: 8, width: 8 };
const SGD: SgdStep = SgdStep {
    optimizer: Optimizer::Sgd,
    lr: 0.1,
    momentum: 0.9,
    weight_decay: 0.0,
    decayed: Decayed::All,
    gradient_scale: 1.0,
    unused: UnusedWeights::Frozen,
};

fn says(error: ExecError, what: &str) {
    assert!(matches!(error, ExecError::Backend { .. }) && error.to_string().contains(what), "{error}");
}

#[test]
fn a_lost_device_is_reported_by_every_call_that_can() {
    let net = Nb201Net::new(4, 1, SHAPE, 4, Norms::Plain);
    let graph = net.lower(&Nb201::new().parse("323412").unwrap()).unwrap();
    let case = Case::new(net.weights(), SHAPE, 3, 4, 1);
    let images = Images::given(&case.pixels, SHAPE);
    let batch = Batch { images, labels: &case.labels };
    let loses: [fn(&mut CudaEngine); 4] = [
        |engine| engine.zero_gradient(),
        |engine| engine.update(&SGD),
        |engine| assert!(engine.read(State::Weights).iter().all(|&w| w == 0.0)),
        |engine| engine.write(State::Momentum, &vec![0.0; engine.layout().numel()]),
    ];
    for lose in loses {
        let Some(device) = device(Precision::F32) else { return };
        let lost = Rc::new(Cell::new(false));
        let device = Rc::new(Fragile { device, lost: lost.clone(), memory: usize::MAX });
        let mut engine =
            CudaEngine::with_device(device, case.layout.clone(), &case.weights, Precision::F32).unwrap();
        engine.gradients(&graph, &batch, &LossSpec::default()).unwrap();
        engine.deferred_error().unwrap();
        lost.set(true);
        lose(&mut engine);
        // It stays lost, also where later calls would succeed.
        lost.set(false);
        says(engine.deferred_error().unwrap_err(), "it fell off the bus");
        says(engine.logits(&graph, &images).unwrap_err(), "it fell off the bus");
        says(engine.gradients(&graph, &batch, &LossSpec::default()).unwrap_err(), "it fell off the bus");
        says(engine.recalibrate(&graph, &images, 1.0).unwrap_err(), "it fell off the bus");
    }
}

#[test]
fn too_little_memory_says_how_much_is_needed_and_what_needs_less() {
    let net = Nb201Net::new(4, 1, SHAPE, 4, Norms::Plain);
    let graph = net.lower(&Nb201::new().parse("323412").unwrap()).unwrap();
    let case = Case::new(net.weights(), SHAPE, 64, 4, 1);
    let Some(device) = device(Precision::F32) else { return };
    let device = Rc::new(Fragile { device, lost: Rc::default(), memory: 1 << 18 });
    let mut engine =
        CudaEngine::with_device(device, case.layout.clone(), &case.weights, Precision::F32).unwrap();
    let images = Images::given(&case.pixels, SHAPE);
    let error =
        engine.gradients(&graph, &Batch { images, labels: &case.labels }, &LossSpec::default()).unwrap_err();
    says(error, "train.batch");
}
