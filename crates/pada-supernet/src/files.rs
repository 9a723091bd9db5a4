use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{DType, Device, Tensor, pickle, safetensors as candle_safetensors};
use pada_graph::WeightLayout;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::WeightsError;

/// Keys under which training scripts keep a state dict inside a `.pt` file.
const STATE_DICT_KEYS: [&str; 3] = ["state_dict", "model", "net"];

/// Tensors whose name starts so belong to a checkpoint of this project and are no weights.
pub const CHECKPOINT_PREFIX: &str = "pada.";

/// Reads all weights of a network from a `.safetensors` file or a PyTorch `.pt` or `.pth` state dict whose names are those of
/// the layout. A `module.` before every name (`DataParallel`) is dropped.
///
/// # Errors
/// [`WeightsError`]: every tensor of the layout must be there once, with its shape and finite numbers, and no other.
pub fn read_weights(path: &Path, layout: &WeightLayout) -> Result<Vec<f32>, WeightsError> {
    let file = path.to_owned();
    std::fs::metadata(path).map_err(|source| WeightsError::Io { path: file.clone(), source })?;
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let tensors = match ending {
        "safetensors" => read_safetensors(path)?,
        "pt" | "pth" => read_pickle(path)?,
        _ => return Err(WeightsError::UnknownFormat { path: file }),
    };
    fill(path, layout, tensors)
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

fn read_safetensors(path: &Path) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    let unreadable =
        |message: String| WeightsError::Unreadable { path: path.into(), format: "safetensors", message };
    let bytes = std::fs::read(path).map_err(|source| WeightsError::Io { path: path.into(), source })?;
    let tensors =
        candle_safetensors::load_buffer(&bytes, &Device::Cpu).map_err(|e| unreadable(e.to_string()))?;
    Ok(tensors.into_iter().filter(|(name, _)| !name.starts_with(CHECKPOINT_PREFIX)).collect())
}

fn read_pickle(path: &Path) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    let read = |key: Option<&str>| pickle::read_all_with_key(path, key);
    let mut tensors = read(None);
    for key in STATE_DICT_KEYS {
        if tensors.as_ref().is_ok_and(Vec::is_empty) {
            tensors = read(Some(key)).or(Ok(Vec::new()));
        }
    }
    let unreadable =
        |message: String| WeightsError::Unreadable { path: path.into(), format: "PyTorch", message };
    let tensors = tensors.map_err(|e| unreadable(e.to_string()))?;
    if tensors.is_empty() {
        return Err(unreadable("it holds no state dict (a dictionary from names to tensors)".into()));
    }
    Ok(tensors.into_iter().map(|(name, t)| (name.trim_start_matches("module.").to_owned(), t)).collect())
}

fn fill(
    path: &Path,
    layout: &WeightLayout,
    tensors: BTreeMap<String, Tensor>,
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
    let mut values = Vec::with_capacity(layout.numel());
    for (_, spec) in layout.iter() {
        let tensor = &tensors[&spec.name];
        let wrong = || WeightsError::WrongTensor {
            path: path.into(),
            name: spec.name.clone(),
            found: format!("{} {:?}", tensor.dtype().as_str(), tensor.dims()),
            expected: spec.shape.clone(),
        };
        if tensor.dtype() != DType::F32 || tensor.dims() != spec.shape {
            return Err(wrong());
        }
        let numbers = tensor.flatten_all().and_then(|t| t.to_vec1::<f32>()).map_err(|_| wrong())?;
        if !numbers.iter().all(|v| v.is_finite()) {
            return Err(WeightsError::NotFinite { path: path.into(), name: spec.name.clone() });
        }
        values.extend(numbers);
    }
    Ok(values)
}
