use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use pada_graph::WeightLayout;
use pada_models::CHECKPOINT_PREFIX;
use pada_report::EpochRecord;
use pada_sampler::SamplerState;
use pada_space::SubSpace;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::seeds::StreamPositions;
use crate::{CheckpointError, write_durably};

/// Everything training needs to go on, after an epoch or between two steps of one, as if it had never stopped.
///
/// The file is a `.safetensors` file of the weights under their own names, so any reader of such files can use them; the rest
/// stands under names that start with [`CHECKPOINT_PREFIX`] and in the file's metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// All weights, in the layout's order.
    pub weights: Vec<f32>,
    /// Their momentum.
    pub momentum: Vec<f32>,
    /// Their moving average, where the run keeps one.
    pub average: Option<Vec<f32>>,
    /// The path sampler.
    pub paths: SamplerState,
    /// The data sampler.
    pub data: SamplerState,
    /// The training rule.
    pub rule: SamplerState,
    /// The epoch under way; empty between two epochs.
    pub(crate) running: SamplerState,
    pub(crate) run: RunState,
}

/// What a checkpoint keeps as metadata.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunState {
    /// What the run is; a checkpoint goes on in no other.
    pub(crate) fingerprint: BTreeMap<String, String>,
    pub(crate) streams: StreamPositions,
    pub(crate) epochs: Vec<EpochRecord>,
    /// Steps of the epoch under way that are done.
    pub(crate) step: usize,
    /// The part of the space that was trained.
    #[serde(default)]
    pub(crate) part: Option<SubSpace>,
}

/// Which architectures a checkpoint's weights compute.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckpointScope {
    /// Whether a rule must put weights in place for each architecture first, as CLOSE does: the weights alone score nothing.
    pub by_rule: bool,
    /// The part of the space that was trained; none where the file does not say.
    pub part: Option<SubSpace>,
}

/// The data sampler of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct DataState {
    /// The checkpoint.
    pub path: PathBuf,
    /// Finished epochs, of its stage.
    pub epochs: usize,
    /// What the sampler keeps.
    pub state: SamplerState,
}

impl DataState {
    /// From the bytes of a checkpoint; none for a damaged one.
    fn of(bytes: &[u8], path: PathBuf) -> Option<Self> {
        let (run, tensors) = whole(bytes).ok()?;
        Some(Self { path, epochs: run.epochs.len(), state: sampler_state(&tensors, DATA) })
    }
}

const STATE: &str = "pada.state";
const CHECKSUM: &str = "pada.sha256";
const MOMENTUM: &str = "momentum.";
const AVERAGE: &str = "average.";
const PATHS: &str = "paths.";
const DATA: &str = "images.";
const RULE: &str = "rule.";
const RUNNING: &str = "epoch.";

/// The last two checkpoints stay: if the newest is damaged, the other is there.
const KEEP: usize = 2;

impl Checkpoint {
    /// Finished epochs.
    pub fn epoch(&self) -> usize {
        self.run.epochs.len()
    }

    /// The records of the finished epochs.
    pub fn epochs(&self) -> &[EpochRecord] {
        &self.run.epochs
    }

    /// Finished steps of the epoch under way.
    pub fn step(&self) -> usize {
        self.run.step
    }

    /// Writes it into a folder, as `epoch-0007.safetensors` after seven epochs or `epoch-0007-step-00020.safetensors` after 20
    /// further steps, and removes all but the last two. Returns its path.
    ///
    /// # Errors
    /// [`CheckpointError::Io`]; earlier checkpoints are untouched then.
    pub fn save(&self, folder: &Path, layout: &WeightLayout) -> Result<PathBuf, CheckpointError> {
        let name = match self.step() {
            0 => format!("epoch-{:04}.safetensors", self.epoch()),
            step => format!("epoch-{:04}-step-{step:05}.safetensors", self.epoch()),
        };
        let path = folder.join(name);
        write_durably(&path, &self.to_bytes(layout))?;
        let all = list(folder)?;
        for old in all.iter().take(all.len().saturating_sub(KEEP)) {
            std::fs::remove_file(old).map_err(|source| CheckpointError::Io { path: old.clone(), source })?;
        }
        Ok(path)
    }

    /// The newest checkpoint of a folder that can be read, and its path; none if there is none. A damaged one is passed over with a
    /// warning; where another is found it is set aside as `NAME.damaged`, so that it takes no room from whole ones.
    ///
    /// # Errors
    /// [`CheckpointError`]; [`CheckpointError::NoneWhole`] where every checkpoint is damaged.
    pub fn latest(folder: &Path, layout: &WeightLayout) -> Result<Option<(PathBuf, Self)>, CheckpointError> {
        let mut damaged = Vec::new();
        for path in list(folder)?.into_iter().rev() {
            match Self::read(&path, layout) {
                Ok(checkpoint) => {
                    for (bad, error) in damaged {
                        tracing::warn!("{error}; going on from {}", path.display());
                        let io = |source| CheckpointError::Io { path: PathBuf::clone(&bad), source };
                        std::fs::rename(&bad, bad.with_added_extension("damaged")).map_err(io)?;
                    }
                    return Ok(Some((path, checkpoint)));
                }
                Err(error @ CheckpointError::Damaged { .. }) => damaged.push((path, error)),
                Err(error) => return Err(error),
            }
        }
        let none = |newest| CheckpointError::NoneWhole { folder: folder.into(), newest: Box::new(newest) };
        damaged.into_iter().next().map_or(Ok(None), |(_, newest)| Err(none(newest)))
    }

    /// What the data sampler of a folder's newest whole checkpoint holds, for a reader that changes nothing: a run may be under way
    /// there, and its damaged checkpoints stay where they are. None where there is no checkpoint that can be read.
    ///
    /// # Errors
    /// [`CheckpointError::Io`] for a folder that cannot be read.
    pub fn data_state(folder: &Path) -> Result<Option<DataState>, CheckpointError> {
        // A run that goes on may remove what was listed a moment ago; the next older one is gone then too, the newer ones are not.
        let read = |path: PathBuf| DataState::of(&std::fs::read(&path).ok()?, path);
        Ok(list(folder)?.into_iter().rev().find_map(read))
    }

    /// What a weights file says of itself beside its weights; nothing for a file that is no checkpoint.
    ///
    /// # Errors
    /// [`CheckpointError::Io`]
    pub fn scope(path: &Path) -> Result<CheckpointScope, CheckpointError> {
        let io = |source| CheckpointError::Io { path: path.into(), source };
        let bytes = std::fs::read(path).map_err(io)?;
        let Ok((_, header)) = SafeTensors::read_metadata(&bytes) else {
            return Ok(CheckpointScope::default());
        };
        let rule = format!("{CHECKPOINT_PREFIX}{RULE}{}", crate::rules::BLOCK_WEIGHTS);
        let state = header.metadata().as_ref().and_then(|m| m.get(STATE));
        let run: Option<RunState> = state.and_then(|text| serde_json::from_str(text).ok());
        Ok(CheckpointScope {
            by_rule: header.tensors().keys().any(|name| *name == rule),
            part: run.and_then(|run| run.part),
        })
    }

    /// Reads one file.
    ///
    /// # Errors
    /// [`CheckpointError::Io`] or [`CheckpointError::Damaged`]
    pub fn read(path: &Path, layout: &WeightLayout) -> Result<Self, CheckpointError> {
        let bytes =
            std::fs::read(path).map_err(|source| CheckpointError::Io { path: path.into(), source })?;
        Self::from_bytes(&bytes, layout)
            .map_err(|reason| CheckpointError::Damaged { path: path.into(), reason })
    }

    pub(crate) fn to_bytes(&self, layout: &WeightLayout) -> Vec<u8> {
        let f32s = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let mut tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)> = BTreeMap::new();
        for (id, spec) in layout.iter() {
            let range = layout.range(id);
            let shape = || spec.shape.clone();
            tensors.insert(spec.name.clone(), (Dtype::F32, shape(), f32s(&self.weights[range.clone()])));
            let momentum = format!("{CHECKPOINT_PREFIX}{MOMENTUM}{}", spec.name);
            tensors.insert(momentum, (Dtype::F32, shape(), f32s(&self.momentum[range.clone()])));
            if let Some(average) = &self.average {
                let name = format!("{CHECKPOINT_PREFIX}{AVERAGE}{}", spec.name);
                tensors.insert(name, (Dtype::F32, shape(), f32s(&average[range])));
            }
        }
        for (prefix, state) in
            [(PATHS, &self.paths), (DATA, &self.data), (RULE, &self.rule), (RUNNING, &self.running)]
        {
            for (name, list) in &state.0 {
                let bytes = list.iter().flat_map(|v| v.to_le_bytes()).collect();
                let name = format!("{CHECKPOINT_PREFIX}{prefix}{name}");
                tensors.insert(name, (Dtype::F64, vec![list.len()], bytes));
            }
        }
        let state = serde_json::to_string(&self.run).expect("it has string keys only");
        let checksum =
            checksum(&state, tensors.iter().map(|(name, (_, _, bytes))| (name.as_str(), &bytes[..])));
        let metadata = HashMap::from([(STATE.to_owned(), state), (CHECKSUM.to_owned(), checksum)]);
        let views = tensors.iter().map(|(name, (dtype, shape, bytes))| {
            let view = TensorView::new(*dtype, shape.clone(), bytes);
            (name.as_str(), view.expect("bytes and shape agree"))
        });
        safetensors::serialize(views, Some(metadata)).expect("names and views are valid")
    }

    pub(crate) fn from_bytes(bytes: &[u8], layout: &WeightLayout) -> Result<Self, String> {
        let (run, tensors) = whole(bytes)?;
        let buffer = |prefix: &str| {
            let mut values = Vec::with_capacity(layout.numel());
            for (_, spec) in layout.iter() {
                let name = format!("{prefix}{}", spec.name);
                let view = tensors.get(&name).ok_or_else(|| format!("{name} is missing"))?;
                if view.dtype() != Dtype::F32 || view.shape() != spec.shape {
                    let (dtype, shape) = (view.dtype(), view.shape());
                    return Err(format!("{name} is {dtype:?} {shape:?}, not F32 {:?}", spec.shape));
                }
                let (numbers, _) = view.data().as_chunks::<4>();
                values.extend(numbers.iter().map(|b| f32::from_le_bytes(*b)));
            }
            Ok(values)
        };
        let state = |prefix: &str| sampler_state(&tensors, prefix);
        let average = format!("{CHECKPOINT_PREFIX}{AVERAGE}");
        let averaged = tensors.keys().any(|name| name.starts_with(&average));
        Ok(Self {
            weights: buffer("")?,
            momentum: buffer(&format!("{CHECKPOINT_PREFIX}{MOMENTUM}"))?,
            average: averaged.then(|| buffer(&average)).transpose()?,
            paths: state(PATHS),
            data: state(DATA),
            rule: state(RULE),
            running: state(RUNNING),
            run,
        })
    }
}

type Tensors<'a> = BTreeMap<String, TensorView<'a>>;

/// State and tensors of a checkpoint whose checksum is that of its content; otherwise what is wrong.
fn whole(bytes: &[u8]) -> Result<(RunState, Tensors<'_>), String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    let metadata = header.metadata().as_ref();
    let text = |key: &str| {
        metadata.and_then(|m| m.get(key)).ok_or_else(|| format!("it is no checkpoint: {key} is missing"))
    };
    let (state, expected) = (text(STATE)?, text(CHECKSUM)?);
    let sorted: Tensors<'_> = tensors.tensors().into_iter().collect();
    let found = checksum(state, sorted.iter().map(|(name, view)| (name.as_str(), view.data())));
    if found != *expected {
        return Err("its SHA-256 does not match its content".to_owned());
    }
    let run = serde_json::from_str(state).map_err(|e| format!("{STATE}: {e}"))?;
    Ok((run, sorted))
}

/// The lists that stand under a prefix.
fn sampler_state(tensors: &Tensors<'_>, prefix: &str) -> SamplerState {
    let prefix = format!("{CHECKPOINT_PREFIX}{prefix}");
    let list = |(name, view): (&String, &TensorView<'_>)| {
        let (numbers, _) = view.data().as_chunks::<8>();
        let values = numbers.iter().map(|b| f64::from_le_bytes(*b)).collect();
        Some((name.strip_prefix(&prefix)?.to_owned(), values))
    };
    SamplerState(tensors.iter().filter_map(list).collect())
}

/// SHA-256 over the state and every tensor with its name, in the order of the names.
fn checksum<'a>(state: &str, tensors: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut hasher = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(state.as_bytes());
    for (name, data) in tensors {
        part(name.as_bytes());
        part(data);
    }
    hex::encode(hasher.finalize())
}

/// The checkpoints of a folder, oldest first.
fn list(folder: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
    let io = |source| CheckpointError::Io { path: folder.into(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        found.extend(place(name).map(|place| (place, path)));
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Epoch and step of a checkpoint's file name.
fn place(name: &str) -> Option<(usize, usize)> {
    let rest = name.strip_prefix("epoch-")?.strip_suffix(".safetensors")?;
    let (epoch, step) = rest.split_once("-step-").unwrap_or((rest, "0"));
    Some((epoch.parse().ok()?, step.parse().ok()?))
}
