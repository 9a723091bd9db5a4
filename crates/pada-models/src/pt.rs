//! A reader for PyTorch files, and a writer for state dicts.
//!
//! Files of PyTorch 1.6 and later are zip archives of a pickle, `data.pkl`, and one entry per tensor storage, `data/<key>`. Files of earlier
//! versions, and those that are saved with `_use_new_zipfile_serialization=False`, are a sequence of pickles, followed by the storages.
//!
//! # Source
//! `torch/serialization.py`, `torch/_utils.py`.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{Cursor, Read};

use zip::ZipArchive;

use crate::pickle::{Pickle, Value};

const PICKLE: &str = "data.pkl";
/// The first bytes of a file in the format of PyTorch before 1.6: the pickle of the magic number, and the start of the next pickle.
pub(crate) const LEGACY_START: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02";
/// Number of keys of a path to a state dict, for example `["model", "state_dict"]`.
const DEEPEST: usize = 4;

/// The error is a description.
type Result<T, E = String> = std::result::Result<T, E>;

/// An open file. Names, types and shapes of its tensors have been read, their elements have not.
pub(crate) struct PtFile<'a> {
    storages: Storages<'a>,
    /// All dicts from names to tensors.
    pub(crate) dicts: Vec<PtDict>,
    /// The keys of the pickled dict.
    pub(crate) keys: Vec<String>,
    /// True if the file has a whole pickled object in place of a dict.
    pub(crate) is_object: bool,
}

/// The elements of the tensors.
enum Storages<'a> {
    Archive {
        archive: ZipArchive<Cursor<&'a [u8]>>,
        /// Folder of all entries, with the trailing `/`.
        root: String,
    },
    Legacy(HashMap<String, &'a [u8]>),
}

/// A dict from names to tensors.
#[derive(Clone, Debug)]
pub(crate) struct PtDict {
    /// The keys that lead to the dict, joined by dots. Empty for the pickled dict itself.
    pub(crate) key: String,
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
        match bytes.starts_with(LEGACY_START) {
            true => Self::legacy(bytes),
            false => Self::archive(bytes),
        }
    }

    fn archive(bytes: &'a [u8]) -> Result<Self> {
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
        Ok(Self::of(&pickle, Storages::Archive { archive, root }))
    }

    /// Reads the pickles of the magic number, the version of the format, the system, the object, and the keys of the storages, which follow.
    fn legacy(bytes: &'a [u8]) -> Result<Self> {
        let mut rest = bytes;
        let mut next = || -> Result<Pickle> {
            let (pickle, behind) = Pickle::read_first(rest).map_err(|error| error.to_string())?;
            rest = behind;
            Ok(pickle)
        };
        for _ in 0..3 {
            next()?;
        }
        let (object, keys) = (next()?, next()?);
        let mut sizes = HashMap::new();
        for list in &object.lists {
            if let [Value::Text(tag), Value::Name(class), Value::Text(key), ..] = &list[..]
                && &**tag == "storage"
            {
                sizes.insert(&**key, storage_kind(class).and_then(element_bytes));
            }
        }
        let mut storages = HashMap::new();
        for key in keys.items(&keys.value) {
            let key = text(key).ok_or("the key of a storage is not a string")?;
            let size = sizes.get(key).copied().flatten();
            let size = size.ok_or_else(|| format!("the type of storage {key} is not known"))?;
            let (count, behind) = rest.split_first_chunk::<8>().ok_or("the file ends before its storages")?;
            let length = usize::try_from(u64::from_le_bytes(*count)).ok().and_then(|n| n.checked_mul(size));
            let storage = length.and_then(|length| behind.split_at_checked(length));
            let (storage, behind) = storage.ok_or_else(|| format!("the file ends within storage {key}"))?;
            storages.insert(key.to_owned(), storage);
            rest = behind;
        }
        Ok(Self::of(&object, Storages::Legacy(storages)))
    }

    fn of(pickle: &Pickle, storages: Storages<'a>) -> Self {
        let pairs = pickle.items(&pickle.value).chunks_exact(2);
        let keys = pairs.filter_map(|pair| text(&pair[0]).map(str::to_owned)).collect();
        let is_object = matches!(pickle.value, Value::Call(_));
        Self { storages, dicts: dicts(pickle), keys, is_object }
    }

    /// Reads the elements of a tensor in row-major order, `width` bytes each.
    pub(crate) fn elements(&mut self, tensor: &PtTensor, width: usize) -> Result<Vec<u8>> {
        let read;
        let bytes: &[u8] = match &mut self.storages {
            Storages::Archive { archive, root } => {
                read = entry(archive, &format!("{root}data/{}", tensor.key))?;
                &read
            }
            Storages::Legacy(storages) => {
                storages.get(&tensor.key).ok_or_else(|| format!("{} has no storage", tensor.name))?
            }
        };
        let mut values = Vec::new();
        let mut index = vec![0; tensor.shape.len()];
        for _ in 0..tensor.shape.iter().product() {
            let position =
                index.iter().zip(&tensor.strides).try_fold(tensor.offset, |position, (&i, &stride)| {
                    position.checked_add(usize::checked_mul(i, stride)?)
                });
            let start = position.and_then(|position| position.checked_mul(width));
            let element = start.and_then(|start| bytes.get(start..start.checked_add(width)?));
            values.extend_from_slice(element.ok_or_else(|| format!("{} exceeds its storage", tensor.name))?);
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

/// Returns the pickled dict and the dicts within it that have tensors, the outer ones first. Every dict is visited once, because a small
/// pickle can refer to the same dict any number of times.
fn dicts(pickle: &Pickle) -> Vec<PtDict> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut waiting = VecDeque::from([(String::new(), 0, &pickle.value)]);
    while let Some((key, depth, value)) = waiting.pop_front() {
        let Value::List(list) = value else { continue };
        if !seen.insert(*list) {
            continue;
        }
        let pairs = || pickle.items(value).chunks_exact(2);
        // Keys are copied, and a small pickle can refer to a long text any number of times.
        let name = |value| text(value).filter(|name| name.len() <= LONGEST_KEY);
        let pairs = || pairs().filter_map(|pair| Some((name(&pair[0])?, &pair[1])));
        let tensors: Vec<PtTensor> =
            pairs().filter_map(|(name, value)| tensor(pickle, name, value)).collect();
        if depth < DEEPEST {
            let lists = pairs().filter(|(_, value)| matches!(value, Value::List(_)));
            waiting.extend(lists.map(|(name, value)| {
                let inner = if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
                (inner, depth + 1, value)
            }));
        }
        if !tensors.is_empty() {
            found.push(PtDict { key, tensors });
        }
    }
    found
}

/// Bytes of the longest key of a dict that is read.
const LONGEST_KEY: usize = 1024;
/// No tensor of PyTorch has more dimensions.
const MOST_DIMENSIONS: usize = 64;

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
    let numbers = |value| {
        let items = pickle.items(value);
        (items.len() <= MOST_DIMENSIONS).then(|| items.iter().map(number).collect::<Option<Vec<_>>>())?
    };
    Some(PtTensor {
        name: name.to_owned(),
        kind: storage_kind(class)?.to_owned(),
        shape: numbers(shape)?,
        strides: numbers(strides)?,
        offset: number(offset)?,
        key: text(key).filter(|key| key.len() <= LONGEST_KEY)?.to_owned(),
    })
}

/// Returns the element type of a class such as `torch.FloatStorage`.
fn storage_kind(class: &str) -> Option<&str> {
    class.strip_prefix("torch.")?.strip_suffix("Storage")
}

/// Returns the size of an element in bytes.
fn element_bytes(kind: &str) -> Option<usize> {
    Some(match kind {
        "Char" | "Byte" | "Bool" => 1,
        "Half" | "BFloat16" | "Short" => 2,
        "Float" | "Int" => 4,
        "Double" | "Long" | "ComplexFloat" => 8,
        "ComplexDouble" => 16,
        _ => return None,
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
