//! A reader for PyTorch files: zip archives of a pickle, `data.pkl`, and one entry per tensor storage, `data/<key>`.
//!
//! # Source
//! `torch/serialization.py`, `torch/_utils.py`; written by PyTorch 1.6 and later.

use std::io::{Cursor, Read};

use zip::ZipArchive;

use crate::pickle::{Pickle, Value};

/// Keys under which training scripts keep a state dict inside a file.
const STATE_DICT_KEYS: [&str; 3] = ["state_dict", "model", "net"];
const PICKLE: &str = "data.pkl";

/// The error is a description.
type Result<T, E = String> = std::result::Result<T, E>;

/// An open file. Names, types and shapes of its tensors have been read, their elements have not.
pub(crate) struct PtFile<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    /// Folder of all entries, with the trailing `/`.
    root: String,
    pub(crate) tensors: Vec<PtTensor>,
}

/// A tensor: a strided view of a storage.
#[derive(Clone, Debug)]
pub(crate) struct PtTensor {
    pub(crate) name: String,
    /// `Float`, `Long`, …
    pub(crate) kind: String,
    pub(crate) shape: Vec<usize>,
    /// In elements, not bytes.
    strides: Vec<usize>,
    offset: usize,
    key: String,
}

impl<'a> PtFile<'a> {
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self> {
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
        let names = archive.file_names().map(|name| name.map(|n| n.into_owned()).map_err(|e| e.to_string()));
        let names = names.collect::<Result<Vec<String>>>()?;
        let pickle = names.into_iter().find(|name| name == PICKLE || name.ends_with("/data.pkl"));
        let pickle = pickle.ok_or_else(|| format!("the archive contains no {PICKLE}"))?;
        let root = pickle[..pickle.len() - PICKLE.len()].to_owned();
        let order = format!("{root}byteorder");
        if archive.index_for_name(&order).is_some() && entry(&mut archive, &order)? != b"little" {
            return Err("the tensors are big-endian".to_owned());
        }
        let pickle = Pickle::read(&entry(&mut archive, &pickle)?).map_err(|error| error.to_string())?;
        Ok(Self { archive, root, tensors: state_dict(&pickle) })
    }

    /// Reads the elements of a tensor of type `Float`, row-major.
    pub(crate) fn floats(&mut self, tensor: &PtTensor) -> Result<Vec<f32>> {
        let bytes = entry(&mut self.archive, &format!("{}data/{}", self.root, tensor.key))?;
        let (numbers, _) = bytes.as_chunks::<4>();
        let mut values = Vec::new();
        let mut index = vec![0; tensor.shape.len()];
        for _ in 0..tensor.shape.iter().product() {
            let position =
                index.iter().zip(&tensor.strides).try_fold(tensor.offset, |position, (&i, &stride)| {
                    position.checked_add(usize::checked_mul(i, stride)?)
                });
            let number = position.and_then(|position| numbers.get(position));
            values.push(f32::from_le_bytes(
                *number.ok_or_else(|| format!("{} exceeds its storage", tensor.name))?,
            ));
            // The next index: the last dimension counts fastest.
            for (i, &extent) in index.iter_mut().zip(&tensor.shape).rev() {
                *i += 1;
                if *i < extent {
                    break;
                }
                *i = 0;
            }
        }
        Ok(values)
    }
}

/// Reads an entry of the archive.
fn entry(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str) -> Result<Vec<u8>> {
    let mut file = archive.by_name(name).map_err(|error| format!("{name}: {error}"))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| format!("{name}: {error}"))?;
    Ok(bytes)
}

/// Returns the tensors of the pickled dict or, if it has none, of the first dict under [`STATE_DICT_KEYS`] that has tensors.
fn state_dict(pickle: &Pickle) -> Vec<PtTensor> {
    let tensors = |dict: &Value| {
        let pairs = pickle.items(dict).chunks_exact(2);
        let pairs = pairs.filter_map(|pair| tensor(pickle, text(&pair[0])?, &pair[1]));
        pairs.collect::<Vec<_>>()
    };
    let of_key = |key: &&str| {
        let mut pairs = pickle.items(&pickle.value).chunks_exact(2);
        pairs.find(|pair| text(&pair[0]) == Some(*key)).map(|pair| &pair[1])
    };
    let inner = STATE_DICT_KEYS.iter().filter_map(of_key);
    let dicts = std::iter::once(&pickle.value).chain(inner);
    dicts.map(tensors).find(|tensors| !tensors.is_empty()).unwrap_or_default()
}

/// Reads a tensor, or a parameter of a module, which is pickled as a tensor and a flag.
fn tensor(pickle: &Pickle, name: &str, value: &Value) -> Option<PtTensor> {
    let (mut function, mut arguments) = call(pickle, value)?;
    if function == "torch._utils._rebuild_parameter" {
        (function, arguments) = call(pickle, arguments.first()?)?;
    }
    if function == "torch._tensor._rebuild_from_type_v2" {
        let [Value::Name(inner), _, list, ..] = arguments else { return None };
        (function, arguments) = (inner, pickle.items(list));
    }
    let [Value::Outside(storage), offset, shape, strides, ..] = arguments else { return None };
    if function != "torch._utils._rebuild_tensor_v2" {
        return None;
    }
    let [_, Value::Name(class), key, ..] = &pickle.lists[*storage][..] else { return None };
    let numbers = |value| pickle.items(value).iter().map(number).collect::<Option<Vec<_>>>();
    Some(PtTensor {
        name: name.to_owned(),
        kind: class.strip_prefix("torch.")?.strip_suffix("Storage")?.to_owned(),
        shape: numbers(shape)?,
        strides: numbers(strides)?,
        offset: number(offset)?,
        key: text(key)?.to_owned(),
    })
}

fn call<'p>(pickle: &'p Pickle, value: &Value) -> Option<(&'p str, &'p [Value])> {
    let Value::Call(i) = value else { return None };
    let call = &pickle.calls[*i];
    let Value::Name(function) = &call.function else { return None };
    Some((function, pickle.items(&call.arguments)))
}

fn text(value: &Value) -> Option<&str> {
    if let Value::Text(text) = value { Some(text) } else { None }
}

fn number(value: &Value) -> Option<usize> {
    if let Value::Int(number) = value { usize::try_from(*number).ok() } else { None }
}
