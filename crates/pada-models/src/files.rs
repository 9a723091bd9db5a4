use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use pada_graph::{CHECKPOINT_PREFIX, WeightLayout};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::WeightsError;
use crate::pt::PtFile;

/// Reads all weights of a network from a `.safetensors` file or a PyTorch `.pt` or `.pth` state dict whose names are those of
/// the layout. A `module.` before every name (`DataParallel`) is dropped.
///
/// # Errors
/// [`WeightsError`]: every tensor of the layout must be there once, with its shape and finite numbers, and no other.
pub fn read_weights(path: &Path, layout: &WeightLayout) -> Result<Vec<f32>, WeightsError> {
    let read = || std::fs::read(path).map_err(|source| WeightsError::Io { path: path.into(), source });
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    match ending {
        "safetensors" => from_safetensors(path, &read()?, layout),
        "pt" | "pth" => from_pt(path, &read()?, layout),
        _ => Err(WeightsError::UnknownFormat { path: path.into() }),
    }
}

/// A `.safetensors` file of all weights, with what else is to be said about them.
///
/// # Panics
/// If there are not as many values as the layout has.
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

/// What a `.safetensors` file says beside its tensors.
///
/// # Errors
/// [`WeightsError::Io`] or [`WeightsError::Unreadable`]
pub fn read_metadata(path: &Path) -> Result<HashMap<String, String>, WeightsError> {
    let bytes = std::fs::read(path).map_err(|source| WeightsError::Io { path: path.into(), source })?;
    match SafeTensors::read_metadata(&bytes) {
        Ok((_, header)) => Ok(header.metadata().clone().unwrap_or_default()),
        Err(error) => Err(WeightsError::Unreadable {
            path: path.into(),
            format: "safetensors",
            message: error.to_string(),
        }),
    }
}

fn from_safetensors(path: &Path, bytes: &[u8], layout: &WeightLayout) -> Result<Vec<f32>, WeightsError> {
    let tensors =
        SafeTensors::deserialize(bytes).map_err(|e| unreadable(path, "safetensors", e.to_string()))?;
    let tensors =
        tensors.iter().filter(|(name, _)| !name.starts_with(CHECKPOINT_PREFIX)).map(|(name, view)| {
            let is_f32 = view.dtype() == Dtype::F32;
            let kind = if is_f32 { F32.to_owned() } else { format!("{:?}", view.dtype()).to_lowercase() };
            (name.to_owned(), Found { kind, shape: view.shape().to_vec(), tensor: view })
        });
    fill(path, layout, &tensors.collect(), |view| {
        let (numbers, _) = view.data().as_chunks::<4>();
        Ok(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
    })
}

fn from_pt(path: &Path, bytes: &[u8], layout: &WeightLayout) -> Result<Vec<f32>, WeightsError> {
    let unreadable = |message| unreadable(path, "PyTorch", message);
    let mut file = PtFile::open(bytes).map_err(unreadable)?;
    if file.tensors.is_empty() {
        return Err(unreadable("it holds no state dict (a dictionary from names to tensors)".to_owned()));
    }
    let tensors = file.tensors.iter().map(|tensor| {
        let kind = if tensor.kind == "Float" { F32.to_owned() } else { tensor.kind.clone() };
        let name = tensor.name.trim_start_matches("module.").to_owned();
        (name, Found { kind, shape: tensor.shape.clone(), tensor: tensor.clone() })
    });
    let tensors = tensors.collect();
    fill(path, layout, &tensors, |tensor| file.floats(tensor).map_err(unreadable))
}

fn unreadable(path: &Path, format: &'static str, message: String) -> WeightsError {
    WeightsError::Unreadable { path: path.into(), format, message }
}

/// The type of all weights.
const F32: &str = "f32";

/// A tensor of a file, whose numbers are not read yet.
struct Found<T> {
    kind: String,
    shape: Vec<usize>,
    tensor: T,
}

/// The numbers of all tensors of the layout. A tensor is read only where its type and shape are right: what a file claims asks for no
/// memory.
fn fill<T>(
    path: &Path,
    layout: &WeightLayout,
    tensors: &BTreeMap<String, Found<T>>,
    mut read: impl FnMut(&T) -> Result<Vec<f32>, WeightsError>,
) -> Result<Vec<f32>, WeightsError> {
    let missing: Vec<_> = layout.iter().filter(|(_, spec)| !tensors.contains_key(&spec.name)).collect();
    if let Some((_, first)) = missing.first() {
        let (count, total) = (missing.len(), layout.len());
        return Err(WeightsError::Missing { path: path.into(), first: first.name.clone(), count, total });
    }
    // How many batches a norm has seen is of no use here: its momentum does not depend on it.
    let known = |name: &str| layout.find(name).is_some() || name.ends_with(".num_batches_tracked");
    let unexpected: Vec<_> = tensors.keys().filter(|name| !known(name)).collect();
    if let Some(first) = unexpected.first() {
        let (first, count) = ((*first).clone(), unexpected.len());
        return Err(WeightsError::Unexpected { path: path.into(), first, count });
    }
    let mut values = Vec::new();
    for (_, spec) in layout.iter() {
        let Found { kind, shape, tensor } = &tensors[&spec.name];
        if kind != F32 || *shape != spec.shape {
            return Err(WeightsError::WrongTensor {
                path: path.into(),
                name: spec.name.clone(),
                found: format!("{kind} {shape:?}"),
                expected: spec.shape.clone(),
            });
        }
        let numbers = read(tensor)?;
        if !numbers.iter().all(|v| v.is_finite()) {
            return Err(WeightsError::NotFinite { path: path.into(), name: spec.name.clone() });
        }
        values.extend(numbers);
    }
    Ok(values)
}
