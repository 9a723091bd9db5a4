use std::path::Path;

use crate::{CIFAR10, CIFAR100, Damaged, DataError, ImageFolder, InMemoryDataset, Normalize, Splits, mini};

/// Names that [`open`] knows. Any other source is the path of a folder.
pub const NAMES: [&str; 3] = ["mini", CIFAR10.name, CIFAR100.name];

/// A labelled data set of images.
#[derive(Clone, Debug, PartialEq)]
pub enum Dataset {
    /// All images are bytes in memory.
    InMemory(InMemoryDataset),
    /// Photographs in files, decoded each time they are used.
    Folder(ImageFolder),
}

/// Settings for reading a folder of photographs. Other data sets have a fixed image size and no such settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Photographs {
    /// Height and width of the images after resizing and cropping.
    pub size: usize,
    /// Reaction to a photograph that cannot be decoded.
    pub damaged: Damaged,
}

/// Opens a data set by name or path.
///
/// `source` is one of
/// - `mini`: embedded in this crate;
/// - `cifar10` and `cifar100`: read from the folder of that name in `data_dir`;
/// - the path of a folder with the official binary files of CIFAR-10 or CIFAR-100;
/// - the path of a folder of photographs in ImageNet's layout, `train/<class>/*.jpeg` and `val/<class>/*.jpeg`. It needs `photographs`.
///
/// # Errors
/// Returns a [`DataError`] that names the file or folder and the reason.
pub fn open(source: &str, data_dir: &Path, photographs: Option<Photographs>) -> Result<Splits, DataError> {
    let path = Path::new(source);
    let splits = match (source, photographs) {
        ("mini", None) => mini(),
        ("cifar10", None) => CIFAR10.read(&data_dir.join(CIFAR10.name)),
        ("cifar100", None) => CIFAR100.read(&data_dir.join(CIFAR100.name)),
        (_, Some(Photographs { size, damaged })) if path.join("train").is_dir() => {
            let [train, test] = ImageFolder::open(path, size, damaged)?.map(Dataset::Folder);
            return Ok(Splits { train, test });
        }
        (_, None) if path.join("train").is_dir() => Err(DataError::NoSize { path: path.into() }),
        (_, None) if path.is_dir() && CIFAR100.is_in(path) => CIFAR100.read(path),
        (_, None) if path.join("batches.meta").exists() || path.join("data_batch_1").exists() => {
            Err(DataError::PythonVersion { path: path.into() })
        }
        // The folder above the one that the official archive contains.
        (_, None) if path.join("cifar-10-batches-bin").is_dir() => {
            CIFAR10.read(&path.join("cifar-10-batches-bin"))
        }
        (_, None) if path.join("cifar-100-binary").is_dir() => CIFAR100.read(&path.join("cifar-100-binary")),
        (_, None) if path.join("cifar-10-batches-py").is_dir() => {
            Err(DataError::PythonVersion { path: path.join("cifar-10-batches-py") })
        }
        (_, None) if path.is_dir() => CIFAR10.read(path),
        (name, Some(_)) if NAMES.contains(&name) => Err(DataError::OwnSize { name: source.to_owned() }),
        (_, Some(_)) if path.is_dir() => Err(DataError::Folder {
            path: path.into(),
            reason: "it has no subfolder `train` with one folder per class".to_owned(),
        }),
        _ => Err(DataError::UnknownSource { name: source.to_owned() }),
    };
    Ok(splits?.into())
}

impl Dataset {
    /// Returns the name for records and messages.
    pub fn name(&self) -> &str {
        match self {
            Self::InMemory(set) => &set.name,
            Self::Folder(folder) => &folder.name,
        }
    }

    /// Returns the same images under another name.
    pub fn with_name(mut self, name: String) -> Self {
        match &mut self {
            Self::InMemory(set) => set.name = name,
            Self::Folder(folder) => folder.name = name,
        }
        self
    }

    /// Returns the same images with another normalisation.
    pub fn with_normalize(mut self, normalize: Normalize) -> Self {
        match &mut self {
            Self::InMemory(set) => set.normalize = normalize,
            Self::Folder(folder) => folder.normalize = normalize,
        }
        self
    }

    /// Returns N, the number of images.
    pub fn len(&self) -> usize {
        self.labels().len()
    }

    /// Returns whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the shape of an image, `[C, H, W]`.
    pub fn extents(&self) -> [usize; 3] {
        match self {
            Self::InMemory(set) => [set.channels, set.height, set.width],
            Self::Folder(folder) => [3, folder.size, folder.size],
        }
    }

    /// Returns K, the number of classes.
    pub fn classes(&self) -> usize {
        match self {
            Self::InMemory(set) => set.classes,
            Self::Folder(folder) => folder.classes.len(),
        }
    }

    /// Returns the name of a class, if it is known. In-memory data sets with 10 or 100 classes have those of CIFAR.
    pub fn class(&self, label: usize) -> Option<&str> {
        match self {
            Self::InMemory(set) => {
                let cifar =
                    [CIFAR10, CIFAR100].into_iter().find(|cifar| cifar.classes.len() == set.classes)?;
                cifar.classes.get(label).copied()
            }
            Self::Folder(folder) => folder.classes.get(label).map(String::as_str),
        }
    }

    /// Returns the names of all classes, `[K]`, or an empty list if they are not known.
    pub fn class_names(&self) -> Vec<String> {
        let names = (0..self.classes()).map(|label| self.class(label).map(str::to_owned));
        names.collect::<Option<Vec<_>>>().unwrap_or_default()
    }

    /// Returns the labels, `[N]`, below K.
    pub fn labels(&self) -> &[u16] {
        match self {
            Self::InMemory(set) => &set.labels,
            Self::Folder(folder) => &folder.labels,
        }
    }

    /// Returns the normalisation from bytes to numbers.
    pub fn normalize(&self) -> Normalize {
        match self {
            Self::InMemory(set) => set.normalize,
            Self::Folder(folder) => folder.normalize,
        }
    }

    /// Returns the images with these indices, in this order, as torch's `Subset`.
    ///
    /// # Errors
    /// Returns [`DataError::IndexOutOfRange`] if an index is not below the number of images.
    pub fn subset(&self, indices: &[u32]) -> Result<Self, DataError> {
        Ok(match self {
            Self::InMemory(set) => Self::InMemory(set.subset(indices)?),
            Self::Folder(folder) => Self::Folder(folder.subset(indices)?),
        })
    }

    /// Returns the first `n` images, or all images if there are fewer.
    pub fn first(&self, n: usize) -> Self {
        let indices: Vec<u32> = (0..n.min(self.len()) as u32).collect();
        self.subset(&indices).expect("all indices are below the number of images")
    }

    /// Loads the first `n` images into memory, or all images if there are fewer, as they are evaluated: photographs are resized and
    /// center-cropped. Skipped damaged photographs are left out.
    ///
    /// # Errors
    /// Returns a [`DataError`] if a photograph cannot be read, and [`DataError::AllDamaged`] if all of them are damaged.
    pub fn to_memory(&self, n: usize) -> Result<InMemoryDataset, DataError> {
        let loaded = match self {
            Self::InMemory(set) => set.first(n),
            Self::Folder(folder) => folder.center_crops(n)?,
        };
        let images = n.min(self.len());
        match loaded.is_empty() && images > 0 {
            true => Err(DataError::AllDamaged { dataset: self.name().to_owned(), images }),
            false => Ok(loaded),
        }
    }

    /// Returns a SHA-256 in hexadecimal. Records use it to identify the images. See [`InMemoryDataset::sha256`] and
    /// [`ImageFolder::sha256`].
    pub fn sha256(&self) -> String {
        match self {
            Self::InMemory(set) => set.sha256(),
            Self::Folder(folder) => folder.sha256(),
        }
    }
}

impl From<InMemoryDataset> for Dataset {
    fn from(set: InMemoryDataset) -> Self {
        Self::InMemory(set)
    }
}
