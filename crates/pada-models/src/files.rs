use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use pada_graph::{CHECKPOINT_PREFIX, WeightLayout};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::WeightsError;
use crate::pt::PtFile;

/// Reads all weights of a network from a `.safetensors` file or a PyTorch state dict (`.pt`, `.pth`) with the tensor names of the layout.
/// The prefix `module.` of `DataParallel` is removed from the names of a PyTorch file.
///
/// # Errors
/// Returns [`WeightsError`] unless the file contains exactly the tensors of the layout, with their shapes, type f32 and finite elements.
pub fn read_weights(path: &Path, layout: &WeightLayout) -> Result<Vec<f32>, WeightsError> {
    let read = || std::fs::read(path).map_err(|source| WeightsError::Io { path: path.into(), source });
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    match ending {
        "safetensors" => from_safetensors(path, &read()?, layout),
        "pt" | "pth" => from_pt(path, &read()?, layout),
        _ => Err(WeightsError::UnknownFormat { path: path.into() }),
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
        return Err(unreadable(
            "the file contains no state dict (a dictionary from names to tensors)".to_owned(),
        ));
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

/// The element type of all weights.
const F32: &str = "f32";

/// A tensor of a file, whose elements have not been read.
struct Found<T> {
    kind: String,
    shape: Vec<usize>,
    tensor: T,
}

/// Reads the elements of all tensors of the layout. A tensor is read only if its type and shape are correct, so that a damaged file cannot
/// request a large allocation.
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
    // The momentum of batch norms does not depend on the number of batches, so this buffer is not needed.
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
