use pada::graph::{Init, Lower, WeightLayout, WeightSpec};
use pada::models::{read_metadata, read_weights, to_safetensors};

use crate::files::file;

/// Creates the layout of two small tensors, which the seeds contain.
pub(crate) fn layout() -> WeightLayout {
    let mut layout = WeightLayout::new();
    for (name, shape) in [("weight", vec![2, 3]), ("bias", vec![2])] {
        let init = Init::Constant(0.0);
        layout.push(WeightSpec { name: name.to_owned(), shape, init, owner: None });
    }
    layout
}

/// Reads a PyTorch file.
pub(crate) fn pt(data: &[u8]) {
    read("weights.pt", data);
}

/// Reads a `.safetensors` file.
pub(crate) fn safetensors(data: &[u8]) {
    read("weights.safetensors", data);
    let _ = read_metadata(&file("weights.safetensors", data));
}

fn read(name: &str, data: &[u8]) {
    let layout = layout();
    if let Ok(values) = read_weights(&file(name, data), &layout) {
        assert_eq!(values.len(), layout.numel());
        assert!(values.iter().all(|value| value.is_finite()));
    }
}

/// Reads an exported architecture.
pub(crate) fn exported(data: &[u8]) {
    if let Ok(net) = pada::read_exported(&file("net.safetensors", data)) {
        assert_eq!(net.values.len(), net.frozen.weights().numel());
    }
}

/// Returns a file of the two tensors.
pub fn seed() -> Vec<u8> {
    let layout = layout();
    let values: Vec<f32> = (0..layout.numel()).map(|i| i as f32).collect();
    to_safetensors(&layout, &values, None)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn seeds_are_whole() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
        for name in ["pt/plain.pt", "pt/wrapped.pt", "safetensors/seed.safetensors"] {
            let values = read_weights(&corpus.join(name), &layout()).expect(name);
            assert_eq!(values[..6], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "{name}");
        }
        assert!(pada::read_exported(&corpus.join("exported/nb201.safetensors")).is_ok());
        let checkpoint = corpus.join("checkpoints/seed.safetensors");
        assert!(pada::trainer::Checkpoint::read(&checkpoint, &layout()).is_ok());
    }
}
