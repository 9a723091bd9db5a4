//! Images of a data set that is uploaded to an emulated GPU, and counts that the host reads later.

use std::cell::Cell;
use std::rc::Rc;

use pada_data::{Augment, Dataset, Flip, InMemoryDataset, Normalize};
use pada_emulated_gpu::device;
use pada_engine::cuda::{Address, CudaEngine, CudaError, Device, Launch};
use pada_exec::{
    AugmentedIndex, Batch, ByteImages, CorrectCounts, DeviceData, DeviceDataset, ExecError, Executor, Images,
    LossSpec, Pixels, Precision, State,
};
use pada_graph::{Lower, Shape};
use pada_models::{Nb201Net, Norms};
use pada_space::{Nb201, SearchSpace};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::emulated::engine;
use crate::case::Case;

const SHAPE: Shape = Shape { channels: 3, height: 8, width: 12 };
const IMAGES: usize = 13;
const CLASSES: usize = 4;

fn set() -> InMemoryDataset {
    InMemoryDataset {
        name: "bytes".to_owned(),
        channels: SHAPE.channels,
        height: SHAPE.height,
        width: SHAPE.width,
        classes: CLASSES,
        pixels: (0..IMAGES * SHAPE.numel()).map(|i| (i * 97 % 253) as u8).collect(),
        labels: (0..IMAGES).map(|i| (i % CLASSES) as u16).collect(),
        normalize: Normalize { mean: [0.49, 0.48, 0.44], std: [0.25, 0.24, 0.26] },
    }
}

fn upload_dataset(executor: &mut dyn Executor, set: &InMemoryDataset) -> DeviceDataset {
    let labels: Vec<u32> = set.labels.iter().map(|&label| u32::from(label)).collect();
    let values = set.normalize.values(set.channels);
    let images = ByteImages { bytes: &set.pixels, labels: &labels, shape: SHAPE, values: &values };
    pada_exec::upload_dataset(executor, &images).unwrap().expect("there is memory")
}

fn net() -> Nb201Net {
    Nb201Net::new(4, 1, SHAPE, CLASSES, Norms::Affine)
}

fn case() -> Case {
    Case::new(net().weights(), SHAPE, 1, CLASSES, 3)
}

fn labels(indices: &[u32]) -> Vec<u32> {
    indices.iter().map(|index| index % CLASSES as u32).collect()
}

/// All results of a step, as bits.
fn step(executor: &mut dyn Executor, images: Images<'_>, labels: &[u32]) -> Vec<u32> {
    let graph = net().lower(&Nb201::new().parse("323412").unwrap()).unwrap();
    executor.zero_gradient();
    let stats = executor.gradients(&graph, &Batch { images, labels }, &LossSpec::default()).unwrap();
    let ids: Vec<_> = executor.layout().iter().map(|(id, _)| id).collect();
    let gradient = ids.into_iter().flat_map(|id| executor.gradient(id).into_owned());
    stats.logits.values.into_iter().chain(gradient).map(f32::to_bits).collect()
}

#[test]
fn images_that_are_cropped_flipped_and_cut_out_on_a_gpu_equal_those_of_the_cpu_to_the_bit() {
    let (case, set) = (case(), set());
    let source = Dataset::InMemory(set.clone());
    let indices = [4, 0, 12, 12, 7, 3, 9];
    for augment in [
        Augment::NONE,
        Augment { crop_padding: 3, flip: Flip::Horizontal, ..Augment::NONE },
        Augment { crop_padding: 9, flip: Flip::Horizontal, cutout: Some(5), ..Augment::NONE },
    ] {
        let plan = source.plan(&indices, &augment, &mut ChaCha8Rng::seed_from_u64(11)).unwrap();
        let made = source.load(&plan).unwrap();
        let augmented = |from: pada_data::AugmentedIndex| {
            let pada_data::AugmentedIndex { index, offset_y, offset_x, flipped, cutout } = from;
            AugmentedIndex { index, offset_y, offset_x, flipped, cutout }
        };
        let indices_on_device: Vec<AugmentedIndex> =
            plan.augmented_indices().unwrap().into_iter().map(augmented).collect();
        let Some(mut engine) = engine(&case, Precision::F32) else { return };
        let dataset = upload_dataset(&mut engine, &set);
        let given = step(&mut engine, Images::given(&made.pixels, SHAPE), &labels(&indices));
        let augmented = Images { pixels: Pixels::Augmented(dataset, &indices_on_device), shape: SHAPE };
        assert!(step(&mut engine, augmented, &labels(&indices)) == given, "{augment:?}");
        assert!(step(&mut engine, augmented.part(2..5), &labels(&indices[2..5])) != given[..]);
    }
}

#[test]
fn counts_of_many_networks_come_back_at_once_and_equal_those_of_logits() {
    let (case, set) = (case(), set());
    let Some(mut engine) = engine(&case, Precision::F32) else { return };
    let dataset = upload_dataset(&mut engine, &set);
    let archs = ["333333", "323412", "000000", "130224"].map(|digits| Nb201::new().parse(digits).unwrap());
    let pixels = pada_data::normalised(&set, &(0..IMAGES as u32).collect::<Vec<_>>()).unwrap();
    let (mut all_counts, mut expected) = (vec![], vec![]);
    for arch in &archs {
        let graph = net().lower(arch).unwrap().simplified();
        let (mut counts, mut correct) = (CorrectCounts::default(), 0);
        for first in (0..IMAGES).step_by(5) {
            let count = 5.min(IMAGES - first);
            let indices: Vec<u32> = (first as u32..(first + count) as u32).collect();
            let labels = labels(&indices);
            let images = Images { pixels: Pixels::Range(dataset, first, count), shape: SHAPE };
            engine.count(&graph, &Batch { images, labels: &labels }, &mut counts).unwrap();
            let given = Images::given(&pixels[first * SHAPE.numel()..][..count * SHAPE.numel()], SHAPE);
            correct += engine.logits(&graph, &given).unwrap().correct(&labels);
        }
        assert!(counts.known == 0 && counts.kept.is_some(), "{counts:?}");
        all_counts.push(counts);
        expected.push(correct);
    }
    assert!(expected.iter().any(|&n| n > 0) && expected.iter().any(|&n| n < IMAGES), "{expected:?}");
    assert_eq!(engine.counts(&all_counts).unwrap(), expected);

    // Other labels than those the set was given with count too.
    let graph = net().lower(&archs[0]).unwrap().simplified();
    let images = Images { pixels: Pixels::Range(dataset, 0, IMAGES), shape: SHAPE };
    let mut all = 0;
    for class in 0..CLASSES as u32 {
        let mut counts = CorrectCounts::default();
        engine.count(&graph, &Batch { images, labels: &[class; IMAGES] }, &mut counts).unwrap();
        all += engine.counts(&[counts]).unwrap()[0];
    }
    assert_eq!(all, IMAGES, "every image has one largest logit");
}

/// A device that counts copies.
struct Watched {
    device: Rc<dyn Device>,
    copies: Rc<Cell<[usize; 2]>>,
}

impl Watched {
    fn copied(&self, direction: usize) {
        let mut copies = self.copies.get();
        copies[direction] += 1;
        self.copies.set(copies);
    }
}

impl Device for Watched {
    fn name(&self) -> &str {
        self.device.name()
    }

    fn allocate(&self, bytes: usize) -> Result<Address, CudaError> {
        self.device.allocate(bytes)
    }

    fn free(&self, address: Address) {
        self.device.free(address);
    }

    fn upload(&self, to: Address, bytes: &[u8]) -> Result<(), CudaError> {
        if !bytes.is_empty() {
            self.copied(0);
        }
        self.device.upload(to, bytes)
    }

    fn download(&self, from: Address, bytes: &mut [u8]) -> Result<(), CudaError> {
        self.copied(1);
        self.device.download(from, bytes)
    }

    fn clear(&self, at: Address, bytes: usize) -> Result<(), CudaError> {
        self.device.clear(at, bytes)
    }

    fn launch(&self, launch: &Launch<'_>) -> Result<(), CudaError> {
        self.device.launch(launch)
    }
}

/// Every copy waits for what was started before.
#[test]
fn networks_are_counted_without_a_copy_but_the_last_and_a_step_copies_its_indices_and_labels() {
    let (case, set, copies) = (case(), set(), Rc::new(Cell::new([0, 0])));
    let Some(device) = device(Precision::F32) else { return };
    let device = Rc::new(Watched { device, copies: copies.clone() });
    let mut engine =
        CudaEngine::with_device(device, case.layout.clone(), &case.weights, Precision::F32).unwrap();
    let dataset = upload_dataset(&mut engine, &set);
    copies.set([0, 0]);
    let mut all_counts = vec![];
    for arch in ["333333", "323412"].map(|digits| Nb201::new().parse(digits).unwrap()) {
        let graph = net().lower(&arch).unwrap().simplified();
        let mut counts = CorrectCounts::default();
        for first in [0, 5] {
            let images = Images { pixels: Pixels::Range(dataset, first, 5), shape: SHAPE };
            engine.recalibrate(&graph, &images, 1.0).unwrap();
            let labels = labels(&Vec::from_iter(first as u32..first as u32 + 5));
            engine.count(&graph, &Batch { images, labels: &labels }, &mut counts).unwrap();
        }
        all_counts.push(counts);
    }
    assert_eq!(copies.get(), [0, 0]);
    engine.counts(&all_counts).unwrap();
    assert_eq!(copies.get(), [0, 1]);
    copies.set([0, 0]);
    let graph = net().lower(&Nb201::new().parse("333333").unwrap()).unwrap();
    let images = Images {
        pixels: Pixels::Augmented(dataset, &[AugmentedIndex::plain(3), AugmentedIndex::plain(1)]),
        shape: SHAPE,
    };
    engine.gradients(&graph, &Batch { images, labels: &[3, 1] }, &LossSpec::default()).unwrap();
    assert_eq!(copies.get(), [2, 1]);
}

/// More counts than are kept at once.
#[test]
fn counts_beyond_those_that_are_kept_are_known_at_once() {
    let (case, set) = (case(), set());
    let Some(mut engine) = engine(&case, Precision::F32) else { return };
    let dataset = upload_dataset(&mut engine, &set);
    let graph = net().lower(&Nb201::new().parse("000000").unwrap()).unwrap().simplified();
    let images = Images { pixels: Pixels::Range(dataset, 0, 2), shape: SHAPE };
    let labels = [0, 1];
    let mut all_counts: Vec<CorrectCounts> = (0..300).map(|_| CorrectCounts::default()).collect();
    for counts in &mut all_counts {
        engine.count(&graph, &Batch { images, labels: &labels }, counts).unwrap();
    }
    let kept = all_counts.iter().filter(|counts| counts.kept.is_some()).count();
    assert!(kept > 0 && kept < all_counts.len(), "{kept}");
    let counts = engine.counts(&all_counts).unwrap();
    assert!(counts.iter().all(|&count| count == counts[0]), "{counts:?}");
}

#[test]
fn images_that_are_not_uploaded_are_refused_and_do_not_break_the_executor() {
    let (case, set) = (case(), set());
    let Some(mut engine) = engine(&case, Precision::F32) else { return };
    let graph = net().lower(&Nb201::new().parse("333333").unwrap()).unwrap();
    let dataset = upload_dataset(&mut engine, &set);
    let beyond = [AugmentedIndex::plain(IMAGES as u32)];
    for pixels in [
        Pixels::Range(DeviceDataset(dataset.0 + 1), 0, 2),
        Pixels::Range(dataset, IMAGES - 1, 2),
        Pixels::Augmented(dataset, &beyond),
    ] {
        let error = engine.logits(&graph, &Images { pixels, shape: SHAPE }).unwrap_err();
        assert!(matches!(error, ExecError::UnknownDataset), "{error}");
    }
    let cpu = &mut case.engine(Precision::F32, pada_engine::Isa::Portable);
    let images = Images { pixels: Pixels::Range(dataset, 0, 2), shape: SHAPE };
    assert!(matches!(cpu.logits(&graph, &images), Err(ExecError::UnknownDataset)));
    assert!(
        pada_exec::upload_dataset(cpu, &ByteImages { bytes: &[], labels: &[], shape: SHAPE, values: &[] })
            .unwrap()
            .is_none()
    );
    engine.logits(&graph, &images).unwrap();
    assert_eq!(engine.read(State::Weights).len(), case.weights.len());
}
