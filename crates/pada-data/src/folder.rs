use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::batch::check_indices;
use crate::photo::Photo;
use crate::{DataError, InMemoryDataset, Normalize};

/// A folder of photographs, which are decoded each time they are used, so that the data set need not fit into memory.
///
/// The layout is ImageNet's: `train/<class>/*.jpeg` and `val/<class>/*.jpeg`, where a class may have folders within its folder. Classes are numbered in the order of their names, as in
/// torchvision's `ImageFolder`. Images are ordered round-robin over the classes, so that the first n images cover all classes.
///
/// Hidden folders and folders that other programs create (`@eaDir`, `__MACOSX`, `lost+found`) are not classes and are skipped with a
/// warning.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageFolder {
    /// Name for records and messages.
    pub name: String,
    /// Height and width of the images after resizing and cropping.
    pub size: usize,
    /// Class names, `[K]`.
    pub classes: Arc<[String]>,
    /// `[N]`, below K.
    pub labels: Vec<u16>,
    /// Normalisation from bytes to numbers.
    pub normalize: Normalize,
    /// Reaction to a file that cannot be decoded.
    pub damaged: Damaged,
    root: PathBuf,
    /// `[N]`, relative to the root.
    files: Vec<PathBuf>,
}

/// Reaction to a photograph that cannot be decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Damaged {
    /// Return an error that names the file.
    #[default]
    Stop,
    /// Leave the photograph out of its batch and log a warning. A broken link and a file without permission count as damaged.
    Skip,
}

/// Mean and standard deviation of ImageNet's training images, as in torchvision.
const NORMALIZE: Normalize = Normalize { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
/// Labels have 16 bits.
const MAX_CLASSES: usize = 1 << 16;
const TRAIN: &str = "train";
/// Possible names of the folder of test images. The first that exists is used.
const TEST: [&str; 2] = ["val", "test"];
/// Folders that other programs create: Synology's thumbnails, macOS archives, and file systems.
const NOT_CLASSES: [&str; 3] = ["@eaDir", "__MACOSX", "lost+found"];

impl ImageFolder {
    /// Lists the training and the test images of a data set without decoding them. Logs a warning for skipped folders and for classes
    /// without images, see [`ImageFolder::empty_classes`].
    ///
    /// # Errors
    /// Returns a [`DataError`] that names the folder if it is missing, empty, or contains a class that the training images do not have.
    pub fn open(root: &Path, size: usize, damaged: Damaged) -> Result<[Self; 2], DataError> {
        let train = root.join(TRAIN);
        let classes = folders(&train)?;
        if classes.len() > MAX_CLASSES {
            let reason = format!("it has {} classes, but at most {MAX_CLASSES} are supported", classes.len());
            return Err(DataError::Folder { path: train, reason });
        }
        let test = TEST.map(|name| root.join(name)).into_iter().find(|path| path.is_dir());
        let test = test.ok_or_else(|| DataError::Folder {
            path: root.into(),
            reason: "it has neither a subfolder `val` nor a subfolder `test` with one folder per class"
                .to_owned(),
        })?;
        if let Some(name) = folders(&test)?.iter().find(|name| classes.binary_search(name).is_err()) {
            let reason = "the training images have no class of this name".to_owned();
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
        let files = classes.par_iter().map(of_class).collect::<Result<Vec<_>, _>>()?;
        let mut left_out = BTreeMap::new();
        for (ending, count) in files.iter().flat_map(|files| &files.left_out) {
            *left_out.entry(ending.as_str()).or_insert(0) += count;
        }
        if !left_out.is_empty() {
            let list: Vec<String> = left_out.iter().map(|(ending, n)| format!("{n} .{ending}")).collect();
            tracing::warn!("{}: left out files that are not read: {}", part.display(), list.join(", "));
        }
        let by_class: Vec<Vec<PathBuf>> = files.into_iter().map(|files| files.photographs).collect();
        let most = by_class.iter().map(Vec::len).max().unwrap_or(0);
        let round = |i: usize| {
            let labelled = (0..).zip(&by_class);
            labelled.filter_map(move |(label, files)| Some((label, files.get(i)?.clone())))
        };
        let (labels, files): (Vec<u16>, Vec<PathBuf>) = (0..most).flat_map(round).unzip();
        if files.is_empty() {
            let reason =
                "its class folders contain no JPEG or PNG file (.jpeg, .jpg, .jpe, .jfif, .png)".to_owned();
            return Err(DataError::Folder { path: part.into(), reason });
        }
        let name = |path: &Path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let name = format!("{} {}", name(root), name(part));
        let (classes, root) = (classes.clone(), root.into());
        let listed = Self { name, size, classes, labels, normalize: NORMALIZE, damaged, root, files };
        let empty = listed.empty_classes();
        if !empty.is_empty() {
            tracing::warn!("{}: these classes have no images: {}", part.display(), empty.join(", "));
        }
        Ok(listed)
    }

    /// Returns the names of the classes without images.
    pub fn empty_classes(&self) -> Vec<&str> {
        let mut empty = vec![true; self.classes.len()];
        self.labels.iter().for_each(|&label| empty[usize::from(label)] = false);
        self.classes.iter().zip(empty).filter(|(_, empty)| *empty).map(|(name, _)| name.as_str()).collect()
    }

    /// Returns N, the number of images.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Returns whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Returns the images with these indices, in this order.
    ///
    /// # Errors
    /// Returns [`DataError::IndexOutOfRange`] if an index is not below the number of images.
    pub fn subset(&self, indices: &[u32]) -> Result<Self, DataError> {
        check_indices(&self.name, indices, self.len())?;
        let files = indices.iter().map(|&i| self.files[i as usize].clone()).collect();
        let labels = indices.iter().map(|&i| self.labels[i as usize]).collect();
        Ok(Self {
            files,
            labels,
            name: self.name.clone(),
            root: self.root.clone(),
            classes: self.classes.clone(),
            ..*self
        })
    }

    /// Loads the center crops of the first `n` images into memory, as they are evaluated. The result has fewer images if the data set has
    /// fewer, or if damaged ones are skipped.
    ///
    /// # Errors
    /// Returns a [`DataError`] that names the file if a photograph cannot be read.
    pub fn center_crops(&self, n: usize) -> Result<InMemoryDataset, DataError> {
        let n = n.min(self.len());
        let center_crop =
            |index: usize| Ok(self.photo(index as u32)?.map(|photo| planes(&photo.center_crop(self.size))));
        let images = (0..n).into_par_iter().map(center_crop).collect::<Result<Vec<_>, DataError>>()?;
        let (mut pixels, mut labels) = (Vec::with_capacity(n * 3 * self.size * self.size), Vec::new());
        for (image, &label) in images.iter().zip(&self.labels) {
            if let Some(image) = image {
                pixels.extend_from_slice(image);
                labels.push(label);
            }
        }
        let (name, classes, normalize) = (self.name.clone(), self.classes.len(), self.normalize);
        let (height, width) = (self.size, self.size);
        Ok(InMemoryDataset { name, channels: 3, height, width, classes, pixels, labels, normalize })
    }

    /// Reads one photograph. Returns `None` if it is damaged and damaged files are skipped. The index must be in range.
    pub(crate) fn photo(&self, index: u32) -> Result<Option<Photo>, DataError> {
        match Photo::read(&self.root.join(&self.files[index as usize])) {
            Ok(photo) => Ok(Some(photo)),
            Err(error @ (DataError::Damaged { .. } | DataError::Io { .. }))
                if self.damaged == Damaged::Skip =>
            {
                tracing::warn!("skipped: {error}");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the SHA-256 of image size, file names and labels in hexadecimal. Records use it to identify the images. The contents of the
    /// files are not read.
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

/// Names of the class folders in a folder, sorted.
fn folders(path: &Path) -> Result<Vec<String>, DataError> {
    let (mut names, mut skipped) = (Vec::new(), Vec::new());
    for entry in entries(path)? {
        if entry.is_dir() {
            let name = entry.file_name().and_then(|name| name.to_str()).map(str::to_owned);
            let reason = "its name is not valid Unicode".to_owned();
            let name = name.ok_or(DataError::Folder { path: entry, reason })?;
            let is_class = !name.starts_with('.') && !NOT_CLASSES.contains(&name.as_str());
            if is_class { names.push(name) } else { skipped.push(name) }
        }
    }
    names.sort_unstable();
    if !skipped.is_empty() {
        let (n, list) = (skipped.len(), skipped.join(", "));
        tracing::warn!("{}: skipped {n} folders that are not classes: {list}", path.display());
    }
    match names.is_empty() {
        true => {
            Err(DataError::Folder { path: path.into(), reason: "it contains no class folder".to_owned() })
        }
        false => Ok(names),
    }
}

/// The files of a class.
#[derive(Default)]
struct Files {
    /// The photographs, relative to the root.
    photographs: Vec<PathBuf>,
    /// Numbers of files that are left out, by their ending.
    left_out: BTreeMap<String, usize>,
}

/// Endings of the files that are read as photographs. The first bytes tell which decoder reads a file.
const ENDINGS: [&str; 5] = ["jpeg", "jpg", "jpe", "jfif", "png"];
/// Number of folders in folders that are searched within a class.
const DEEPEST: usize = 16;

/// Lists the photographs of a class, sorted, also those in folders within its folder, as torchvision does. Empty if the class has no folder.
///
/// Links are followed, but one that leads in a circle, to a folder that contains it, is passed over.
fn pictures(class: &Path, root: &Path) -> Result<Files, DataError> {
    let mut files = Files::default();
    if class.is_dir() {
        let mut open = class.parent().map(resolved).into_iter().collect();
        collect(class, root, &mut open, &mut files)?;
    }
    files.photographs.sort_unstable();
    Ok(files)
}

/// The path without links, or the path itself if it cannot be resolved.
fn resolved(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Adds the files of a folder. `open` are the folders on the way to it, without links.
fn collect(folder: &Path, root: &Path, open: &mut Vec<PathBuf>, files: &mut Files) -> Result<(), DataError> {
    let own = resolved(folder);
    if folder.is_symlink() && open.iter().any(|outer| outer.starts_with(&own)) {
        tracing::warn!("{}: skipped a link to a folder that contains it", folder.display());
        return Ok(());
    }
    open.push(own);
    for path in entries(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || NOT_CLASSES.contains(&&*name) {
            continue;
        }
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
        if path.is_dir() {
            if open.len() <= DEEPEST {
                collect(&path, root, open, files)?;
            }
        } else if ENDINGS.contains(&ending.as_str()) {
            files.photographs.push(path.strip_prefix(root).map(Path::to_path_buf).unwrap_or(path));
        } else {
            *files.left_out.entry(ending).or_default() += 1;
        }
    }
    open.pop();
    Ok(())
}

fn entries(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let failed = |source| DataError::Io { path: path.into(), source };
    let entries = std::fs::read_dir(path).map_err(failed)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
}

/// Transposes `[H, W, 3]` to `[3, H, W]`.
fn planes(photo: &Photo) -> Vec<u8> {
    (0..3).flat_map(|c| photo.rgb.iter().skip(c).step_by(3).copied()).collect()
}
