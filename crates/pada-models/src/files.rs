use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use half::{bf16, f16};
use pada_graph::{CHECKPOINT_PREFIX, WeightLayout};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensorError, SafeTensors};

use crate::WeightsError;
use crate::pt::{LEGACY_START, PtDict, PtFile};

/// Reads all weights of a network from a `.safetensors` file or a PyTorch file, with the tensor names of the layout. The first bytes of a file
/// tell its format, not its name.
///
/// A PyTorch file may have several state dicts, at any key: the one with the most tensors of the network is read. Prefixes that wrappers add
/// to names (`module.`, `_orig_mod.`, `model.`) are removed, counters of steps and operations are passed over, and numbers of 16 and 64 bits
/// are converted to f32.
///
/// # Errors
/// Returns [`WeightsError`] unless the file contains exactly the tensors of the layout, with their shapes and finite elements.
pub fn read_weights(path: &Path, layout: &WeightLayout) -> Result<Vec<f32>, WeightsError> {
    read(path, layout, None)
}

/// Reads the state dict under a key of a PyTorch file, such as `state_dict` or `model.ema`, as [`read_weights`] reads the best one.
///
/// # Errors
/// Returns [`WeightsError::NoKey`] if there is no state dict under this key, and the errors of [`read_weights`].
pub fn read_weights_under(path: &Path, layout: &WeightLayout, key: &str) -> Result<Vec<f32>, WeightsError> {
    read(path, layout, Some(key))
}

fn read(path: &Path, layout: &WeightLayout, key: Option<&str>) -> Result<Vec<f32>, WeightsError> {
    let bytes = std::fs::read(path).map_err(|source| WeightsError::Io { path: path.into(), source })?;
    match (Format::of(path, &bytes)?, key) {
        (Format::Safetensors, Some(key)) => {
            Err(WeightsError::NoKey { path: path.into(), key: key.into(), known: vec![] })
        }
        (Format::Safetensors, None) => from_safetensors(path, &bytes, layout),
        (Format::PyTorch, key) => from_pt(path, &bytes, layout, key),
    }
}

enum Format {
    Safetensors,
    PyTorch,
}

impl Format {
    /// Returns the format that the first bytes tell. Bytes that tell nothing have the format that the name says, whose reader explains what
    /// is wrong with them.
    fn of(path: &Path, bytes: &[u8]) -> Result<Self, WeightsError> {
        let not_weights = |what| Err(WeightsError::NotWeights { path: path.into(), what });
        let head = &bytes[..bytes.len().min(512)];
        let text = String::from_utf8_lossy(head).trim_start().to_ascii_lowercase();
        if bytes.is_empty() {
            return not_weights("an empty file; copy or download it again");
        }
        if text.starts_with("version https://git-lfs") {
            return not_weights(
                "a git-lfs pointer in place of the file itself; run `git lfs pull` in its repository",
            );
        }
        if text.starts_with("<!doctype") || text.starts_with("<html") || text.starts_with("<?xml") {
            return not_weights("a web page in place of the file; download the file itself");
        }
        if bytes.get(257..262) == Some(b"ustar") {
            return not_weights(
                "a tar archive, the format of PyTorch 0.1; load it with PyTorch and save it again: torch.save(torch.load(FILE), NEW_FILE)",
            );
        }
        if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(LEGACY_START) {
            return Ok(Self::PyTorch);
        }
        // A length of 64 bits, and JSON.
        if bytes.get(8) == Some(&b'{') {
            return Ok(Self::Safetensors);
        }
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        match ending.as_str() {
            "safetensors" => Ok(Self::Safetensors),
            "pt" | "pth" => Ok(Self::PyTorch),
            _ => Err(WeightsError::UnknownFormat { path: path.into() }),
        }
    }
}

/// Encodes all weights and optional metadata as the content of a `.safetensors` file.
///
/// # Panics
/// Panics if the number of values is not that of the layout.
pub fn to_safetensors(
    layout: &WeightLayout,
    values: &[f32],
    metadata: Option<&BTreeMap<String, String>>,
) -> Vec<u8> {
    assert_eq!(values.len(), layout.numel(), "one value for every weight of the layout");
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let views = layout.iter().map(|(id, spec)| {
        let range = layout.range(id);
        let view = TensorView::new(Dtype::F32, spec.shape.clone(), &bytes[range.start * 4..range.end * 4]);
        (spec.name.as_str(), view.expect("the range has the length of the shape"))
    });
    let metadata = metadata.map(|all| HashMap::from_iter(all.clone()));
    safetensors::serialize(views, metadata).expect("names and views are valid")
}

/// Reads the metadata of a `.safetensors` file.
///
/// # Errors
/// Returns [`WeightsError::Io`] or [`WeightsError::Unreadable`].
pub fn read_metadata(path: &Path) -> Result<HashMap<String, String>, WeightsError> {
    let bytes = std::fs::read(path).map_err(|source| WeightsError::Io { path: path.into(), source })?;
    match SafeTensors::read_metadata(&bytes) {
        Ok((_, header)) => Ok(header.metadata().clone().unwrap_or_default()),
        Err(error) => Err(damaged(path, &bytes, &error)),
    }
}

fn from_safetensors(path: &Path, bytes: &[u8], layout: &WeightLayout) -> Result<Vec<f32>, WeightsError> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| damaged(path, bytes, &error))?;
    let tensors =
        tensors.iter().filter(|(name, _)| !name.starts_with(CHECKPOINT_PREFIX)).map(|(name, view)| {
            let kind = match view.dtype() {
                Dtype::F32 => Kind::F32,
                Dtype::F16 => Kind::F16,
                Dtype::BF16 => Kind::Bf16,
                Dtype::F64 => Kind::F64,
                other => Kind::Other(format!("{other:?}").to_lowercase()),
            };
            (name.to_owned(), Found { kind, shape: view.shape().to_vec(), tensor: view })
        });
    let tensors = by_own_name(path, layout, tensors)?;
    fill(path, layout, &tensors, |view, _| Ok(view.data().to_vec()))
}

/// The error of a safetensors file that cannot be read.
fn damaged(path: &Path, bytes: &[u8], error: &SafeTensorError) -> WeightsError {
    unreadable(path, "safetensors", wrong_length(bytes).unwrap_or_else(|| error.to_string()))
}

/// Describes a safetensors file whose length is not that of its header: a file that was cut, or that has something behind its end.
fn wrong_length(bytes: &[u8]) -> Option<String> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let header = rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?);
    let Some(header) = header else {
        return Some(
            "its header is longer than the file: a part is missing; download or copy it again".to_owned(),
        );
    };
    let header: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(header).ok()?;
    let ends = header.values().filter_map(|entry| entry["data_offsets"][1].as_u64());
    let (end, found) = (8 + u64::from_le_bytes(*length) + ends.max()?, bytes.len() as u64);
    match found.cmp(&end) {
        Ordering::Less => Some(format!(
            "its tensors end at byte {end}, but the file has {found} bytes: a part is missing; download or copy it again"
        )),
        Ordering::Greater => Some(format!("it has {} bytes behind the end of its tensors", found - end)),
        Ordering::Equal => None,
    }
}

/// Keys under which training scripts keep the weights that they evaluate. If several state dicts fit, the first of these keys is read.
const USUAL_KEYS: [&str; 6] = ["", "state_dict", "model_state_dict", "model", "net", "network"];

fn from_pt(
    path: &Path,
    bytes: &[u8],
    layout: &WeightLayout,
    key: Option<&str>,
) -> Result<Vec<f32>, WeightsError> {
    let unreadable = |message| unreadable(path, "PyTorch", message);
    let mut file = PtFile::open(bytes).map_err(unreadable)?;
    let dict = match key {
        Some(key) => {
            let known = || file.dicts.iter().map(|dict| dict.key.clone()).collect();
            let dict = file.dicts.iter().find(|dict| dict.key == key);
            dict.ok_or_else(|| WeightsError::NoKey { path: path.into(), key: key.into(), known: known() })?
        }
        None => best_fit(path, &file, layout)?,
    };
    let tensors = dict.tensors.iter().map(|tensor| {
        let kind = match tensor.kind.as_str() {
            "Float" => Kind::F32,
            "Half" => Kind::F16,
            "BFloat16" => Kind::Bf16,
            "Double" => Kind::F64,
            other => Kind::Other(other.to_owned()),
        };
        let found = Found { kind, shape: tensor.shape.clone(), tensor: tensor.clone() };
        (tensor.name.clone(), found)
    });
    let tensors = by_own_name(path, layout, tensors)?;
    fill(path, layout, &tensors, |tensor, width| file.elements(tensor, width).map_err(unreadable))
}

/// Returns the state dict with the most tensors of the network.
fn best_fit<'f>(
    path: &Path,
    file: &'f PtFile<'_>,
    layout: &WeightLayout,
) -> Result<&'f PtDict, WeightsError> {
    let fit = |dict: &PtDict| {
        let names = dict.tensors.iter().map(|tensor| own_name(&tensor.name, layout));
        names.filter(|name| layout.find(name).is_some()).collect::<HashSet<_>>().len()
    };
    let most = file.dicts.iter().map(fit).max();
    let mut fitting: Vec<&PtDict> = file.dicts.iter().filter(|dict| Some(fit(dict)) == most).collect();
    fitting
        .sort_by_key(|dict| USUAL_KEYS.iter().position(|key| *key == dict.key).unwrap_or(USUAL_KEYS.len()));
    let Some(best) = fitting.first() else {
        let message = match (file.is_object, &file.keys[..]) {
            (true, _) => "the file contains a whole pickled object; save its weights: torch.save(model.state_dict(), FILE)".to_owned(),
            (false, []) => "the file contains no state dict (a dictionary from names to tensors)".to_owned(),
            (false, keys) => format!(
                "the file contains no state dict (a dictionary from names to tensors); its keys are {}",
                keys.iter().take(MOST_KEYS).map(String::as_str).collect::<Vec<_>>().join(", ")
            ),
        };
        return Err(unreadable(path, "PyTorch", message));
    };
    if fitting.len() > 1 && most > Some(0) {
        let others: Vec<&str> = fitting[1..].iter().map(|dict| dict.key.as_str()).collect();
        tracing::warn!(
            "{}: read the weights under {:?}; those under {} fit too, and `pada import --key KEY` reads them",
            path.display(),
            best.key,
            others.join(", ")
        );
    }
    Ok(best)
}

/// Number of keys that an error lists.
const MOST_KEYS: usize = 20;

/// Prefixes that wrappers of PyTorch add to the names of weights: `DataParallel`, `torch.compile`, and modules with the network as `model`.
const WRAPPERS: [&str; 3] = ["module.", "_orig_mod.", "model."];

/// Removes the prefixes of wrappers from a name that is not in the layout.
fn own_name(name: &str, layout: &WeightLayout) -> String {
    let mut own = name;
    while layout.find(own).is_none() {
        let Some(inner) = WRAPPERS.iter().find_map(|wrapper| own.strip_prefix(wrapper)) else { break };
        own = inner;
    }
    own.to_owned()
}

/// Collects tensors by their names without the prefixes of wrappers.
///
/// # Errors
/// Returns [`WeightsError::SameName`] if two tensors are the same one of the network, such as `conv.weight` and `module.conv.weight`.
fn by_own_name<T>(
    path: &Path,
    layout: &WeightLayout,
    tensors: impl Iterator<Item = (String, Found<T>)>,
) -> Result<BTreeMap<String, Found<T>>, WeightsError> {
    let (mut found, mut written) = (BTreeMap::new(), HashMap::new());
    for (name, tensor) in tensors {
        let own = own_name(&name, layout);
        match written.insert(own.clone(), name.clone()) {
            Some(first) if layout.find(&own).is_some() => {
                return Err(WeightsError::SameName { path: path.into(), name: own, both: [first, name] });
            }
            _ => found.insert(own, tensor),
        };
    }
    Ok(found)
}

/// Returns true for a tensor that training tools keep beside the weights: the counter of batches of a batch norm, the number of averaged
/// models of `AveragedModel`, and the counts that thop adds to every module.
fn is_counter(name: &str) -> bool {
    const COUNTERS: [&str; 4] = ["num_batches_tracked", "n_averaged", "total_ops", "total_params"];
    name.rsplit('.').next().is_some_and(|last| COUNTERS.contains(&last))
}

/// Returns true for the factors and the attention in the weights of a differentiable search. A path of the same supernet does not read them.
fn is_of_mixtures(name: &str) -> bool {
    ["mixture.factors", "mixture.edges"].contains(&name)
        || [".attention.squeeze.", ".attention.excite."].iter().any(|part| name.contains(part))
}

fn unreadable(path: &Path, format: &'static str, message: String) -> WeightsError {
    WeightsError::Unreadable { path: path.into(), format, message }
}

/// The element type of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    F32,
    F16,
    Bf16,
    F64,
    /// A type that no weight has.
    Other(String),
}

impl Kind {
    fn name(&self) -> &str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::F64 => "f64",
            Self::Other(name) => name,
        }
    }

    /// Returns the size of an element in bytes, or `None` for a type that no weight has.
    fn width(&self) -> Option<usize> {
        match self {
            Self::F32 => Some(4),
            Self::F16 | Self::Bf16 => Some(2),
            Self::F64 => Some(8),
            Self::Other(_) => None,
        }
    }

    /// Converts little-endian elements to f32.
    fn floats(&self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F32 => bytes.as_chunks::<4>().0.iter().map(|n| f32::from_le_bytes(*n)).collect(),
            Self::F16 => bytes.as_chunks::<2>().0.iter().map(|n| f16::from_le_bytes(*n).to_f32()).collect(),
            Self::Bf16 => bytes.as_chunks::<2>().0.iter().map(|n| bf16::from_le_bytes(*n).to_f32()).collect(),
            Self::F64 => bytes.as_chunks::<8>().0.iter().map(|n| f64::from_le_bytes(*n) as f32).collect(),
            Self::Other(_) => vec![],
        }
    }
}

/// A tensor of a file, whose elements have not been read.
struct Found<T> {
    kind: Kind,
    shape: Vec<usize>,
    tensor: T,
}

/// Reads the elements of all tensors of the layout, with `read` and the size of an element. A tensor is read only if its type and shape are
/// correct, so that a damaged file cannot request a large allocation.
fn fill<T>(
    path: &Path,
    layout: &WeightLayout,
    tensors: &BTreeMap<String, Found<T>>,
    mut read: impl FnMut(&T, usize) -> Result<Vec<u8>, WeightsError>,
) -> Result<Vec<f32>, WeightsError> {
    let missing: Vec<_> = layout.iter().filter(|(_, spec)| !tensors.contains_key(&spec.name)).collect();
    if let Some((_, first)) = missing.first() {
        let (count, total) = (missing.len(), layout.len());
        return Err(WeightsError::Missing { path: path.into(), first: first.name.clone(), count, total });
    }
    let known = |name: &str| layout.find(name).is_some() || is_counter(name) || is_of_mixtures(name);
    let unexpected: Vec<_> = tensors.keys().filter(|name| !known(name)).collect();
    if let Some(first) = unexpected.first() {
        let (first, count) = ((*first).clone(), unexpected.len());
        return Err(WeightsError::Unexpected { path: path.into(), first, count });
    }
    let (mut values, mut converted) = (Vec::new(), None);
    for (_, spec) in layout.iter() {
        let Found { kind, shape, tensor } = &tensors[&spec.name];
        let Some(width) = kind.width().filter(|_| *shape == spec.shape) else {
            return Err(WeightsError::WrongTensor {
                path: path.into(),
                name: spec.name.clone(),
                found: format!("{} {shape:?}", kind.name()),
                expected: spec.shape.clone(),
            });
        };
        let numbers = kind.floats(&read(tensor, width)?);
        if !numbers.iter().all(|v| v.is_finite()) {
            return Err(WeightsError::NotFinite { path: path.into(), name: spec.name.clone() });
        }
        converted = converted.or((*kind != Kind::F32).then(|| kind.name().to_owned()));
        values.extend(numbers);
    }
    if let Some(kind) = converted {
        tracing::warn!("{}: its weights are {kind} and were converted to f32", path.display());
    }
    Ok(values)
}
