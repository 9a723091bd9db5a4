//! Images that a network of any size learns to tell apart.

use pada_data::{InMemoryDataset, Normalize};

/// Returns `n` images of `side` × `side` pixels in four classes, which differ in brightness.
pub(crate) fn images(n: u16, side: usize) -> InMemoryDataset {
    let labels: Vec<u16> = (0..n).map(|i| i % 4).collect();
    let pixel = |(label, j): (u16, usize)| (usize::from(label) * 60 + j * 7 % 40) as u8;
    let pixels =
        labels.iter().flat_map(|&label| (0..3 * side * side).map(move |j| pixel((label, j)))).collect();
    InMemoryDataset {
        name: "tiny".into(),
        channels: 3,
        height: side,
        width: side,
        classes: 4,
        pixels,
        labels,
        normalize: Normalize { mean: [0.5; 3], std: [0.25; 3] },
    }
}
