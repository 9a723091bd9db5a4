use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::photo::Photo;
use crate::{DataError, ImageSet, Normalize};

/// Photographs in files, decoded each time they are used: data sets that do not fit into memory.
///
/// The layout is ImageNet's: `train/<class>/*.jpeg` and `val/<class>/*.jpeg`; classes are numbered in the order of their names, as
/// torchvision's `ImageFolder` does. Images are ordered in rounds, the first of every class, then the second, so that the first n
/// are of all classes.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageFolder {
    /// What they are, for records and messages.
    pub name: String,
    /// Height and width of the images that they become.
    pub size: usize,
    /// Names of the classes, `[K]`.
    pub classes: Arc<[String]>,
    /// `[N]`, below K.
    pub labels: Vec<u16>,
    /// How bytes become numbers.
    pub normalize: Normalize,
    /// What happens where a file does not decode.
    pub damaged: Damaged,
    root: PathBuf,
    /// `[N]`, seen from the root.
    files: Vec<PathBuf>,
}

/// What happens where a photograph does not decode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Damaged {
    /// The run stops and names the file.
    #[default]
    Stop,
    /// It is left out of its batch, with a warning.
    Skip,
}

/// Mean and deviation of ImageNet's training images, as torchvision writes them.
const NORMALIZE: Normalize = Normalize { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
/// A label has 16 bits.
const MOST_CLASSES: usize = 1 << 16;
const TRAIN: &str = "train";
/// Names of the folder of test images; the first that exists counts.
const TEST: [&str; 2] = ["val", "test"];

impl ImageFolder {
    /// Lists the training and the test images of a data set; decodes none.
    ///
    /// # Errors
    /// [`DataError`]: a folder that is missing, empty, or has other classes than the training images.
    pub fn open(root: &Path, size: usize, damaged: Damaged) -> Result<[Self; 2], DataError> {
        let train = root.join(TRAIN);
        let classes = folders(&train)?;
        if classes.len() > MOST_CLASSES {
            let reason =
                format!("it has {} classes, at most {MOST_CLASSES} can be told apart", classes.len());
            return Err(DataError::Folder { path: train, reason });
        }
        let test = TEST.map(|name| root.join(name)).into_iter().find(|path| path.is_dir());
        let test = test.ok_or_else(|| DataError::Folder {
            path: root.into(),
            reason: "it has neither a folder val nor a folder test, one folder a class within".to_owned(),
        })?;
        if let Some(name) = folders(&test)?.iter().find(|name| classes.binary_search(name).is_err()) {
            let reason = "there is no class of this name in the training images".to_owned();
            return Err(DataError::Folder { path: test.join(name), reason });
        }
        let classes: Arc<[String]> = classes.into();
        let list = |part: &Path| Self::list(root, part, size, damaged, &classes);
        Ok([list(&train)?, list(&test)?])
    }

    fn list(
        root: &Path,
        part: &Path,
        size: usize,
        damaged: Damaged,
        classes: &Arc<[String]>,
    ) -> Result<Self, DataError> {
        let of_class = |class: &String| pictures(&part.join(class), root);
        let by_class = classes.par_iter().map(of_class).collect::<Result<Vec<_>, _>>()?;
        let most = by_class.iter().map(Vec::len).max().unwrap_or(0);
        let round = |i: usize| {
            let labelled = (0..).zip(&by_class);
            labelled.filter_map(move |(label, files)| Some((label, files.get(i)?.clone())))
        };
        let (labels, files): (Vec<u16>, Vec<PathBuf>) = (0..most).flat_map(round).unzip();
        if files.is_empty() {
            let reason = "it holds no .jpeg, .jpg or .png file in its classes' folders".to_owned();
            return Err(DataError::Folder { path: part.into(), reason });
        }
        let name = |path: &Path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let name = format!("{} {}", name(root), name(part));
        let (classes, root) = (classes.clone(), root.into());
        Ok(Self { name, size, classes, labels, normalize: NORMALIZE, damaged, root, files })
    }

    /// N.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The images at these places, in this order.
    pub fn subset(&self, indices: &[u32]) -> Self {
        let files = indices.iter().map(|&i| self.files[i as usize].clone()).collect();
        let labels = indices.iter().map(|&i| self.labels[i as usize]).collect();
        Self {
            files,
            labels,
            name: self.name.clone(),
            root: self.root.clone(),
            classes: self.classes.clone(),
            ..*self
        }
    }

    /// The middle of each of the first `n` images as bytes, as they are evaluated: see [`ImageSet`]. Fewer where there are fewer, or
    /// where damaged ones are skipped.
    ///
    /// # Errors
    /// [`DataError`]
    pub fn middles(&self, n: usize) -> Result<ImageSet, DataError> {
        let n = n.min(self.len());
        let middle =
            |index: usize| Ok(self.photo(index as u32)?.map(|photo| planes(&photo.centre(self.size))));
        let images = (0..n).into_par_iter().map(middle).collect::<Result<Vec<_>, DataError>>()?;
        let (mut pixels, mut labels) = (Vec::with_capacity(n * 3 * self.size * self.size), Vec::new());
        for (image, &label) in images.iter().zip(&self.labels) {
            if let Some(image) = image {
                pixels.extend_from_slice(image);
                labels.push(label);
            }
        }
        let (name, classes, normalize) = (self.name.clone(), self.classes.len(), self.normalize);
        let (height, width) = (self.size, self.size);
        Ok(ImageSet { name, channels: 3, height, width, classes, pixels, labels, normalize })
    }

    /// One picture; none where it is damaged and may be left out.
    pub(crate) fn photo(&self, index: u32) -> Result<Option<Photo>, DataError> {
        match Photo::read(&self.root.join(&self.files[index as usize])) {
            Ok(photo) => Ok(Some(photo)),
            Err(error @ DataError::Damaged { .. }) if self.damaged == Damaged::Skip => {
                tracing::warn!("left out: {error}");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// SHA-256 of the images' size and the list of files, in hex: says in a record which images were used. What the files hold is
    /// not read.
    pub fn sha256(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(self.size.to_le_bytes());
        for (file, label) in self.files.iter().zip(&self.labels) {
            hasher.update(file.to_string_lossy().as_bytes());
            hasher.update(label.to_le_bytes());
        }
        hex::encode(hasher.finalize())
    }
}

/// Names of the folders in a folder, sorted.
fn folders(path: &Path) -> Result<Vec<String>, DataError> {
    let mut names = Vec::new();
    for entry in entries(path)? {
        if entry.is_dir() {
            let name = entry.file_name().and_then(|name| name.to_str()).map(str::to_owned);
            let reason = "its name is no valid text".to_owned();
            names.push(name.ok_or(DataError::Folder { path: entry, reason })?);
        }
    }
    names.sort_unstable();
    match names.is_empty() {
        true => {
            Err(DataError::Folder { path: path.into(), reason: "it holds no folder of a class".to_owned() })
        }
        false => Ok(names),
    }
}

/// The pictures of a class, sorted, seen from the root; none where the class has no folder.
fn pictures(class: &Path, root: &Path) -> Result<Vec<PathBuf>, DataError> {
    if !class.is_dir() {
        return Ok(Vec::new());
    }
    let is_picture = |path: &PathBuf| {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        ["jpeg", "jpg", "png"].contains(&extension.as_str()) && !hidden && !path.is_dir()
    };
    let seen = |path: PathBuf| path.strip_prefix(root).map(Path::to_path_buf).unwrap_or(path);
    let mut files: Vec<PathBuf> = entries(class)?.into_iter().filter(is_picture).map(seen).collect();
    files.sort_unstable();
    Ok(files)
}

fn entries(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let failed = |source| DataError::Io { path: path.into(), source };
    let entries = std::fs::read_dir(path).map_err(failed)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
}

/// `[H, W, 3]` as `[3, H, W]`.
fn planes(photo: &Photo) -> Vec<u8> {
    (0..3).flat_map(|c| photo.rgb.iter().skip(c).step_by(3).copied()).collect()
}
