use std::collections::{BTreeMap, HashMap};

use pada::trainer::Checkpoint;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use sha2::{Digest, Sha256};

use crate::files::file;
use crate::weights::layout;

const STATE: &str = "pada.state";
const CHECKSUM: &str = "pada.sha256";

/// A checkpoint as it is, and with a checksum that is right: nothing else gets past that.
pub(crate) fn checkpoints(data: &[u8]) {
    read(data);
    if let Some(sealed) = sealed(data) {
        read(&sealed);
    }
}

fn read(bytes: &[u8]) {
    let (path, layout) = (file("checkpoints/epoch-0001.safetensors", bytes), layout());
    let folder = path.parent().expect("it lies in a folder");
    let _ = Checkpoint::scope(&path).expect("the file is there");
    let state = Checkpoint::data_state(folder).expect("the folder is there");
    if let Ok(checkpoint) = Checkpoint::read(&path, &layout) {
        assert!(state.is_some());
        assert_eq!(checkpoint.weights.len(), layout.numel());
        let saved = checkpoint.save(folder, &layout).expect("there is room for temporary files");
        assert_eq!(
            Checkpoint::read(&saved, &layout).expect("it was just written").weights.len(),
            layout.numel()
        );
        std::fs::remove_file(saved).expect("it was just written");
    }
}

/// The same tensors and metadata with the checksum that `pada-trainer` asks for.
fn sealed(bytes: &[u8]) -> Option<Vec<u8>> {
    let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
    let tensors = SafeTensors::deserialize(bytes).ok()?;
    let state = header.metadata().as_ref()?.get(STATE)?.clone();
    Some(seal(state, tensors.tensors().into_iter().collect()))
}

fn seal(state: String, tensors: BTreeMap<String, TensorView<'_>>) -> Vec<u8> {
    let mut hasher = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(state.as_bytes());
    for (name, tensor) in &tensors {
        part(name.as_bytes());
        part(tensor.data());
    }
    let checksum = hex::encode(hasher.finalize());
    let metadata = HashMap::from([(STATE.to_owned(), state), (CHECKSUM.to_owned(), checksum)]);
    safetensors::serialize(tensors, Some(metadata)).expect("they were just read")
}

/// A checkpoint between two epochs, of the two tensors.
pub fn seed() -> Vec<u8> {
    let layout = layout();
    let numbers = vec![0_u8; 8 * layout.numel()];
    let mut tensors = BTreeMap::new();
    let mut push = |name: String, dtype, shape: Vec<usize>, size: usize| {
        let len = size * shape.iter().product::<usize>();
        tensors.insert(name, TensorView::new(dtype, shape, &numbers[..len]).expect("bytes and shape agree"));
    };
    for (_, spec) in layout.iter() {
        push(spec.name.clone(), Dtype::F32, spec.shape.clone(), 4);
        push(format!("pada.momentum.{}", spec.name), Dtype::F32, spec.shape.clone(), 4);
    }
    for list in ["pada.paths.g", "pada.images.s", "pada.images.q", "pada.epoch.losses"] {
        push(list.to_owned(), Dtype::F64, vec![4], 8);
    }
    let state = r#"{"fingerprint":{"seed":"0"},"streams":{"paths":0,"images":64,"augment":0,"rule":0},"epochs":[],"step":0}"#;
    seal(state.to_owned(), tensors)
}
