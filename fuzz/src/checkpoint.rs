use std::collections::{BTreeMap, HashMap};

use pada::trainer::Checkpoint;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use sha2::{Digest, Sha256};

use crate::files::file;
use crate::weights::layout;

const VERSION: &str = "pada_checkpoint";
const STATE: &str = "pada_state";
const IDENTITY: &str = "pada_identity_sha256";
const CHECKSUM: &str = "pada_sha256";

/// Reads the input as a checkpoint, first unchanged and then with a corrected checksum, because mutated inputs fail the check of the
/// checksum.
pub(crate) fn checkpoints(data: &[u8]) {
    read(data);
    if let Some(sealed) = sealed(data) {
        read(&sealed);
    }
}

fn read(bytes: &[u8]) {
    let (path, layout) = (file("checkpoints/epoch-0001.safetensors", bytes), layout());
    let folder = path.parent().expect("the file is in a folder");
    let _ = Checkpoint::scope(&path);
    let state = Checkpoint::data_state(folder).expect("the folder exists");
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

/// Returns the same tensors and metadata with the checksum that `pada-trainer` expects.
fn sealed(bytes: &[u8]) -> Option<Vec<u8>> {
    let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
    let tensors = SafeTensors::deserialize(bytes).ok()?;
    let metadata = header.metadata().as_ref()?;
    let texts = [VERSION, STATE, IDENTITY].map(|key| metadata.get(key).cloned());
    let [Some(version), Some(state), Some(identity)] = texts else { return None };
    Some(seal([version, state, identity], tensors.tensors().into_iter().collect()))
}

fn seal(texts: [String; 3], tensors: BTreeMap<String, TensorView<'_>>) -> Vec<u8> {
    let mut hasher = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    texts.iter().for_each(|text| part(text.as_bytes()));
    for (name, tensor) in &tensors {
        part(name.as_bytes());
        part(tensor.dtype().to_string().as_bytes());
        part(format!("{:?}", tensor.shape()).as_bytes());
        part(tensor.data());
    }
    let checksum = hex::encode(hasher.finalize());
    let [version, state, identity] = texts;
    let metadata = [(VERSION, version), (STATE, state), (IDENTITY, identity), (CHECKSUM, checksum)];
    let metadata = HashMap::from(metadata.map(|(key, text)| (key.to_owned(), text)));
    safetensors::serialize(tensors, Some(metadata)).expect("they were just read")
}

/// Returns a checkpoint of the two tensors between two epochs.
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
    for list in ["importance", "probability"] {
        push(format!("pada.state.data.state.{list}"), Dtype::F32, vec![4], 4);
    }
    let identity = r#"{"seed":0}"#;
    let state = r#"{"identity":{"seed":0},"streams":{"paths":0,"images":64,"augment":0,"rule":0,"drop_path":0},"epochs":[],"part":{"allowed":[[0,1]]},"rule_places_weights":false,"paths":{"kind":"stateless"},"rule":{"kind":"stateless"},"data":{"kind":"data-importance","state":{"importance":{"$tensor":"pada.state.data.state.importance"},"probability":{"$tensor":"pada.state.data.state.probability"},"seen":[true,false,true,false],"epochs":1}}}"#;
    seal(["1".to_owned(), state.to_owned(), hex::encode(Sha256::digest(identity))], tensors)
}
