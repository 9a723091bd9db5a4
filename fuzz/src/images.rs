use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Component, Path};

use pada::data::{CIFAR10, Damaged, ImageFolder};

use crate::files::{file, folder};

/// Height and width that images are scaled to.
const SIZE: usize = 16;
/// Size of a file of CIFAR-10 in bytes.
pub(crate) const CIFAR10_BYTES: u64 = 10_000 * 3073;

/// Reads a JPEG or PNG file in a folder of photographs.
pub(crate) fn pictures(data: &[u8]) {
    file("pictures/train/class/picture.png", data);
    file("pictures/val/class/picture.png", data);
    let [train, _] =
        ImageFolder::open(&folder().join("pictures"), SIZE, Damaged::Stop).expect("there is one picture");
    if let Ok(images) = train.center_crops(1) {
        assert_eq!(images.pixels.len(), 3 * SIZE * SIZE);
    }
}

/// Reads a folder of photographs with these file names, one per line.
pub(crate) fn folders(data: &[u8]) {
    let root = folder().join("folders");
    let _ = std::fs::remove_dir_all(&root);
    for line in data.split(|&byte| byte == b'\n').take(32) {
        let Ok(name) = std::str::from_utf8(line) else { continue };
        let name = Path::new(name);
        let inside = name.components().all(|part| matches!(part, Component::Normal(_)));
        let path = root.join(name);
        // Invalid or too long names cannot exist in a folder.
        if inside && !line.contains(&0) && std::fs::create_dir_all(path.parent().unwrap_or(&root)).is_ok() {
            let _ = std::fs::write(path, b"no picture");
        }
    }
    if let Ok(parts) = ImageFolder::open(&root, SIZE, Damaged::Skip) {
        for part in parts {
            assert!(
                !part.is_empty() && part.labels.iter().all(|&label| usize::from(label) < part.classes.len())
            );
            assert_eq!(part.subset(&[0]).expect("there is an image").len(), 1);
            let images = part.center_crops(usize::MAX).expect("damaged files are left out");
            assert_eq!(images.labels.len(), 0, "none of them is a picture");
        }
    }
}

/// Reads the first file of CIFAR-10: the bytes alone or, if they start with `@`, the bytes at an offset in a file of the right length.
pub(crate) fn cifar10(data: &[u8]) {
    let name = format!("cifar10/{}", CIFAR10.train[0].name);
    match data {
        [b'@', a, b, c, patch @ ..] => {
            let place = u64::from(u32::from_le_bytes([*a, *b, *c, 0]));
            let written = File::create(file(&name, b"")).and_then(|mut file| {
                file.seek(SeekFrom::Start(place))?;
                file.write_all(patch)?;
                file.set_len(CIFAR10_BYTES)
            });
            written.expect("there is room for temporary files");
        }
        _ => drop(file(&name, data)),
    }
    // The other files are missing.
    assert!(CIFAR10.read(&folder().join("cifar10")).is_err());
}
