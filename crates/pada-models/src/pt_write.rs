use std::io::{Cursor, Write};

use pada_graph::WeightLayout;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Encodes all weights as a state dict of PyTorch, an `OrderedDict` from names to f32 tensors, as `torch.save` writes it.
///
/// # Source
/// `torch/serialization.py`, format 3 of PyTorch 1.6 and later; pickle protocol 2.
///
/// # Panics
/// Panics if the number of values is not that of the layout.
pub fn to_pytorch(layout: &WeightLayout, values: &[f32]) -> Vec<u8> {
    const INTO_MEMORY: &str = "memory takes every byte";
    assert_eq!(values.len(), layout.numel(), "one value for every weight of the layout");
    let mut archive = ZipWriter::new(Cursor::new(vec![]));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut write = |name: &str, bytes: &[u8]| {
        archive.start_file(format!("weights/{name}"), stored).expect(INTO_MEMORY);
        archive.write_all(bytes).expect(INTO_MEMORY);
    };
    write("data.pkl", &pickle(layout));
    write("byteorder", b"little");
    for (key, (id, _)) in layout.iter().enumerate() {
        let bytes: Vec<u8> = values[layout.range(id)].iter().flat_map(|v| v.to_le_bytes()).collect();
        write(&format!("data/{key}"), &bytes);
    }
    write("version", b"3\n");
    archive.finish().expect(INTO_MEMORY).into_inner()
}

/// Pickles the dict. Storage `i` is that of the `i`-th tensor.
fn pickle(layout: &WeightLayout) -> Vec<u8> {
    const EMPTY_ORDERED_DICT: &[u8] = b"ccollections\nOrderedDict\n)R";
    let mut bytes = [b"\x80\x02", EMPTY_ORDERED_DICT, b"("].concat();
    for (key, (_, spec)) in layout.iter().enumerate() {
        bytes.extend(text(&spec.name));
        bytes.extend(b"ctorch._utils\n_rebuild_tensor_v2\n(");
        // The persistent id of the storage.
        bytes.extend(b"(");
        bytes.extend(text("storage"));
        bytes.extend(b"ctorch\nFloatStorage\n");
        bytes.extend(text(&key.to_string()));
        bytes.extend(text("cpu"));
        bytes.extend(integer(spec.numel()));
        bytes.extend(b"tQ");
        // Offset, shape, strides, requires_grad, backward hooks.
        bytes.extend(integer(0));
        bytes.extend(tuple(&spec.shape));
        let mut strides = vec![1; spec.shape.len()];
        for i in (1..strides.len()).rev() {
            strides[i - 1] = strides[i] * spec.shape[i];
        }
        bytes.extend(tuple(&strides));
        bytes.push(0x89);
        bytes.extend(EMPTY_ORDERED_DICT);
        bytes.extend(b"tR");
    }
    bytes.extend(b"u.");
    bytes
}

/// BINUNICODE.
fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

/// LONG1 of eight bytes, which takes every length.
fn integer(value: usize) -> Vec<u8> {
    [b"\x8a\x08", &(value as i64).to_le_bytes()[..]].concat()
}

fn tuple(values: &[usize]) -> Vec<u8> {
    let items: Vec<u8> = values.iter().flat_map(|&value| integer(value)).collect();
    [b"(", &items[..], b"t"].concat()
}
