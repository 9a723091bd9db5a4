use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use pada_graph::{CHECKPOINT_PREFIX, WeightLayout};
use pada_report::EpochRecord;
use pada_sampler::SavedState;
use pada_space::SubSpace;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::CheckpointError;
use crate::r#loop::running::RunningEpoch;
use crate::state::identity::identity_sha256;
use crate::state::streams::StreamPositions;
use crate::state::tensors::{StoredTensor, Tensors, move_in, move_out};

/// The version of the format that this version of the program writes. It reads all versions up to this one.
pub(crate) const FORMAT: u64 = 1;

// Metadata of the file.
const VERSION: &str = "pada_checkpoint";
const STATE: &str = "pada_state";
const IDENTITY: &str = "pada_identity_sha256";
const CHECKSUM: &str = "pada_sha256";
/// The state in checkpoints that carried no format version.
const UNVERSIONED_STATE: &str = "pada.state";

// Names of tensors, behind `CHECKPOINT_PREFIX`.
const MOMENTUM: &str = "momentum.";
const AVERAGE: &str = "average.";
const SECOND_MOMENT: &str = "second_moment.";
const STATE_TENSORS: &str = "state";

/// The content of a checkpoint, except for the weights, their momentum and their average.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CheckpointState {
    /// Everything that makes the run what it is; only an equal run can resume from the checkpoint.
    pub(crate) identity: Value,
    pub(crate) streams: StreamPositions,
    /// Records of the finished epochs.
    pub(crate) epochs: Vec<EpochRecord>,
    /// The part of the space that is trained.
    pub(crate) part: SubSpace,
    /// True if the training rule chooses weights for each architecture.
    pub(crate) rule_places_weights: bool,
    pub(crate) paths: SavedState,
    pub(crate) data: SavedState,
    pub(crate) rule: SavedState,
    /// Names of the classes, in the order of the outputs. Empty if they are not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) class_names: Vec<String>,
    /// The epoch in progress; `None` between two epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) running: Option<RunningEpoch>,
}

/// The fields of [`CheckpointState`] whose long lists become tensors.
const FIELDS_WITH_LISTS: [&str; 4] = ["paths", "data", "rule", "running"];

/// A checkpoint file whose checksum is right and whose format is known. It may belong to any network.
#[derive(Clone, Debug)]
pub(crate) struct CheckpointFile {
    pub(crate) state: CheckpointState,
    tensors: Tensors,
}

/// The lists of numbers that a checkpoint keeps of a network's weights.
pub(crate) struct NetworkState {
    pub(crate) weights: Vec<f32>,
    pub(crate) momentum: Vec<f32>,
    pub(crate) second_moment: Option<Vec<f32>>,
    pub(crate) average: Option<Vec<f32>>,
}

impl CheckpointFile {
    pub(crate) fn new(state: CheckpointState, network: &NetworkState, layout: &WeightLayout) -> Self {
        let mut tensors = Tensors::new();
        for (id, spec) in layout.iter() {
            let range = layout.range(id);
            let mut insert = |prefix: &str, values: &[f32]| {
                let tensor = StoredTensor::f32s(spec.shape.clone(), &values[range.clone()]);
                tensors.insert(format!("{prefix}{}", spec.name), tensor);
            };
            insert("", &network.weights);
            insert(&format!("{CHECKPOINT_PREFIX}{MOMENTUM}"), &network.momentum);
            for (name, values) in [(SECOND_MOMENT, &network.second_moment), (AVERAGE, &network.average)] {
                if let Some(values) = values {
                    insert(&format!("{CHECKPOINT_PREFIX}{name}"), values);
                }
            }
        }
        Self { state, tensors }
    }

    /// Reads a file and checks its checksum.
    pub(crate) fn read(path: &Path) -> Result<Self, CheckpointError> {
        let bytes =
            std::fs::read(path).map_err(|source| CheckpointError::Io { path: path.into(), source })?;
        Self::from_bytes(&bytes, path)
    }

    /// Decodes a file; `path` is only named in errors.
    pub(crate) fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self, CheckpointError> {
        let damaged = |reason: String| CheckpointError::Damaged { path: path.into(), reason };
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| damaged(e.to_string()))?;
        let views = SafeTensors::deserialize(bytes).map_err(|e| damaged(e.to_string()))?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let version = check_format(&metadata, path)?;
        let text = |key: &str| metadata.get(key).ok_or_else(|| damaged(format!("its metadata lacks {key}")));
        let (state, identity, expected) = (text(STATE)?, text(IDENTITY)?, text(CHECKSUM)?);
        let stored = |(name, view): (String, TensorView<'_>)| {
            let (dtype, shape, bytes) = (view.dtype(), view.shape().to_vec(), view.data().to_vec());
            (name, StoredTensor { dtype, shape, bytes })
        };
        let tensors: Tensors = views.tensors().into_iter().map(stored).collect();
        if checksum([version, state, identity], &tensors) != *expected {
            return Err(damaged("its SHA-256 does not match its content".to_owned()));
        }
        let mut value: Value = serde_json::from_str(state).map_err(|e| damaged(format!("{STATE}: {e}")))?;
        for field in FIELDS_WITH_LISTS {
            if let Some(value) = value.get_mut(field) {
                move_in(value, &tensors).map_err(&damaged)?;
            }
        }
        let decoded: CheckpointState =
            serde_json::from_value(value).map_err(|e| damaged(format!("{STATE}: {e}")))?;
        if identity_sha256(&decoded.identity) != *identity {
            return Err(damaged("the SHA-256 of its identity does not match".to_owned()));
        }
        Ok(Self { state: decoded, tensors })
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut value = serde_json::to_value(&self.state).expect("all maps have string keys");
        let (prefix, mut lists) = (format!("{CHECKPOINT_PREFIX}{STATE_TENSORS}."), Tensors::new());
        for field in FIELDS_WITH_LISTS {
            if let Some(value) = value.get_mut(field) {
                move_out(value, &format!("{prefix}{field}"), &mut lists);
            }
        }
        // A file that was read has the lists of its state already.
        let network = self.tensors.iter().filter(|(name, _)| !name.starts_with(&prefix));
        let tensors: BTreeMap<&String, &StoredTensor> = network.chain(&lists).collect();
        let (version, state) = (FORMAT.to_string(), value.to_string());
        let identity = identity_sha256(&self.state.identity);
        let checksum = checksum([&version, &state, &identity], tensors.iter().map(|(&name, &t)| (name, t)));
        let metadata = [(VERSION, version), (STATE, state), (IDENTITY, identity), (CHECKSUM, checksum)];
        let metadata = HashMap::from(metadata.map(|(key, text)| (key.to_owned(), text)));
        let views = tensors.into_iter().map(|(name, tensor)| {
            let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes);
            (name.as_str(), view.expect("bytes and shape agree"))
        });
        sorted_header(safetensors::serialize(views, Some(metadata)).expect("names and views are valid"))
    }

    /// Reads the weights of a network with their momentum and average. If the checkpoint is of another network, returns a description of the
    /// difference.
    pub(crate) fn network(&self, layout: &WeightLayout) -> Result<NetworkState, String> {
        let buffer = |prefix: &str| {
            let mut values = Vec::with_capacity(layout.numel());
            for (_, spec) in layout.iter() {
                let name = format!("{prefix}{}", spec.name);
                let tensor = self.tensors.get(&name).ok_or_else(|| {
                    format!("the weight `{}` of this network is not in the checkpoint", spec.name)
                })?;
                if tensor.dtype != Dtype::F32 || tensor.shape != spec.shape {
                    return Err(format!(
                        "the weight `{}` has the shape {:?} in the checkpoint and {:?} in this network",
                        spec.name, tensor.shape, spec.shape
                    ));
                }
                let (numbers, _) = tensor.bytes.as_chunks::<4>();
                values.extend(numbers.iter().map(|b| f32::from_le_bytes(*b)));
            }
            Ok(values)
        };
        let own = |name: &&String| !name.starts_with(CHECKPOINT_PREFIX) && layout.find(name).is_none();
        if let Some(other) = self.tensors.keys().find(own) {
            return Err(format!("the weight `{other}` of the checkpoint is not in this network"));
        }
        let optional = |name: &str| {
            let prefix = format!("{CHECKPOINT_PREFIX}{name}");
            let has = self.tensors.keys().any(|name| name.starts_with(&prefix));
            has.then(|| buffer(&prefix)).transpose()
        };
        Ok(NetworkState {
            weights: buffer("")?,
            momentum: buffer(&format!("{CHECKPOINT_PREFIX}{MOMENTUM}"))?,
            second_moment: optional(SECOND_MOMENT)?,
            average: optional(AVERAGE)?,
        })
    }
}

/// Returns true if a file is marked as a checkpoint, of any format version.
pub(crate) fn is_checkpoint(bytes: &[u8]) -> bool {
    let Ok((_, header)) = SafeTensors::read_metadata(bytes) else { return false };
    let keys = [VERSION, STATE, UNVERSIONED_STATE];
    header.metadata().as_ref().is_some_and(|metadata| keys.iter().any(|key| metadata.contains_key(*key)))
}

/// The version of a file's format, if it can be read.
fn check_format<'a>(
    metadata: &'a HashMap<String, String>,
    path: &Path,
) -> Result<&'a String, CheckpointError> {
    let path = || path.to_path_buf();
    match metadata.get(VERSION) {
        Some(version) => match version.parse::<u64>() {
            Ok(found) if found > FORMAT => {
                Err(CheckpointError::NewerFormat { path: path(), found, supported: FORMAT })
            }
            Ok(_) => Ok(version),
            Err(_) => {
                Err(CheckpointError::Damaged { path: path(), reason: format!("{VERSION} is {version:?}") })
            }
        },
        None if metadata.contains_key(UNVERSIONED_STATE) => {
            Err(CheckpointError::UnversionedFormat { path: path() })
        }
        None if metadata.contains_key(STATE) => {
            Err(CheckpointError::Damaged { path: path(), reason: format!("its metadata lacks {VERSION}") })
        }
        None => Err(CheckpointError::NotACheckpoint { path: path() }),
    }
}

/// Writes the header of a `.safetensors` file again with its keys in alphabetical order. The safetensors crate keeps metadata in a hash
/// map, whose order differs from call to call, and equal states should give equal files.
fn sorted_header(file: Vec<u8>) -> Vec<u8> {
    const LENGTH: usize = size_of::<u64>();
    let (length, rest) =
        file.split_first_chunk::<LENGTH>().expect("the file starts with the length of its header");
    let (header, tensors) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: BTreeMap<String, Value> =
        serde_json::from_slice(header).expect("the header is a JSON object");
    let mut header = serde_json::to_string(&header).expect("a JSON object can be written");
    // Tensors start at a multiple of eight bytes, as the format asks.
    header.push_str(&" ".repeat(header.len().next_multiple_of(LENGTH) - header.len()));
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), tensors].concat()
}

/// SHA-256 over the texts of the metadata and over every tensor with its name, type and shape, in the order of the names.
fn checksum<'a>(
    texts: [&String; 3],
    tensors: impl IntoIterator<Item = (&'a String, &'a StoredTensor)>,
) -> String {
    let mut hasher = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    texts.into_iter().for_each(|text| part(text.as_bytes()));
    for (name, StoredTensor { dtype, shape, bytes }) in tensors {
        part(name.as_bytes());
        part(dtype.to_string().as_bytes());
        part(format!("{shape:?}").as_bytes());
        part(bytes);
    }
    hex::encode(hasher.finalize())
}
