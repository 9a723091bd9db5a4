use std::path::{Path, PathBuf};

use crate::{DataError, Dataset, InMemoryDataset, Splits};

/// Writes the images of a data set as PNG files in ImageNet's layout: `train/<class>/00042.png` and `val/<class>/00007.png`, numbered as in the
/// data set. Returns the number of files. A class without a name is called after its label.
///
/// The files have the bytes of the data set, so that they are the input of an exported network after its normalisation.
///
/// # Errors
/// Returns [`DataError::Folder`] if the folder exists and is not empty, or if the images are files already, and [`DataError::Io`] if a file cannot
/// be written.
pub fn export_images(splits: &Splits, folder: &Path) -> Result<usize, DataError> {
    let refuse = |reason: &str| DataError::Folder { path: folder.into(), reason: reason.to_owned() };
    if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) || folder.is_file() {
        return Err(refuse("it exists and is not empty; give a folder that does not exist"));
    }
    let mut written = 0;
    for (part, images) in [("train", &splits.train), ("val", &splits.test)] {
        let Dataset::InMemory(set) = images else {
            return Err(refuse("the images of this data set are files already"));
        };
        let class = |label: usize| images.class(label).map_or_else(|| format!("{label:03}"), str::to_owned);
        let folders: Vec<PathBuf> =
            (0..set.classes).map(|label| folder.join(part).join(class(label))).collect();
        for folder in &folders {
            std::fs::create_dir_all(folder)
                .map_err(|source| DataError::Io { path: folder.clone(), source })?;
        }
        for (i, &label) in set.labels.iter().enumerate() {
            let path = folders[usize::from(label)].join(format!("{i:05}.png"));
            let bytes = png(set, i).map_err(|source| DataError::Io { path: path.clone(), source })?;
            std::fs::write(&path, bytes).map_err(|source| DataError::Io { path, source })?;
            written += 1;
        }
    }
    Ok(written)
}

/// Encodes an image. An image with one channel is grey.
fn png(set: &InMemoryDataset, index: usize) -> Result<Vec<u8>, std::io::Error> {
    let planes = set.image(index).unwrap_or_default();
    let pixels = set.height * set.width;
    let interleaved: Vec<u8> =
        (0..pixels).flat_map(|at| (0..set.channels).map(move |c| planes[c * pixels + at])).collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, set.width as u32, set.height as u32);
    encoder.set_color(if set.channels == 1 { png::ColorType::Grayscale } else { png::ColorType::Rgb });
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(&interleaved))
        .map_err(std::io::Error::other)?;
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::{Damaged, Normalize, Photographs, open};

    #[test]
    fn exported_images_have_the_bytes_of_the_data_set() {
        let set = |name: &str, labels: Vec<u16>| InMemoryDataset {
            name: name.into(),
            channels: 3,
            height: 4,
            width: 4,
            classes: 2,
            pixels: (0..labels.len() * 48).map(|i| (i * 37 % 251) as u8).collect(),
            labels,
            normalize: Normalize { mean: [0.0; 3], std: [1.0; 3] },
        };
        let (train, test) = (set("train", vec![0, 0, 1]), set("test", vec![0, 1]));
        let splits = Splits { train: train.clone().into(), test: test.into() };
        let folder = tempfile::tempdir().unwrap();
        let images = folder.path().join("images");
        assert_eq!(export_images(&splits, &images).unwrap(), 5);
        for (i, label) in [(0, "000"), (1, "000"), (2, "001")] {
            let path = images.join(format!("train/{label}/{i:05}.png"));
            let mut reader = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(path).unwrap()))
                .read_info()
                .unwrap();
            let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut rgb).unwrap();
            let expected = train.image(i).unwrap();
            assert!((0..48).all(|at| rgb[at] == expected[at % 3 * 16 + at / 3]), "image {i}");
        }
        // They are a data set in ImageNet's layout.
        let photographs = Some(Photographs { size: 4, damaged: Damaged::Stop });
        let back = open(images.to_str().unwrap(), Path::new("none"), photographs).unwrap();
        let mut labels = back.train.labels().to_vec();
        labels.sort_unstable();
        assert_eq!((labels, back.test.len()), (train.labels, 2));
        let error = export_images(&splits, &images).unwrap_err();
        assert!(error.to_string().contains("not empty"), "{error}");
    }
}
