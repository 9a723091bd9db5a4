use std::path::Path;

use crate::{CIFAR10, CIFAR100, Damaged, DataError, ImageFolder, ImageSet, Normalize, Splits, mini};

/// Names that [`open`] takes; another source is the path of a folder.
pub const NAMES: [&str; 3] = ["mini", CIFAR10.name, CIFAR100.name];

/// Images to train on or to test on.
#[derive(Clone, Debug, PartialEq)]
pub enum ImageSource {
    /// All of them as bytes in memory.
    Held(ImageSet),
    /// Photographs in files.
    Folder(ImageFolder),
}

/// How photographs are read; images of the other data sets have their own size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Photographs {
    /// Height and width of the images that they become.
    pub size: usize,
    /// What happens where one does not decode.
    pub damaged: Damaged,
}

/// Opens a data set by name: `mini` (embedded), `cifar10` and `cifar100` (in folders of that name in `data_dir`), or the path of a
/// folder that holds the official binary files of one of these two, or `train/<class>/*.jpeg` and `val/<class>/*.jpeg`, which needs
/// `photographs`.
///
/// # Errors
/// [`DataError`]
pub fn open(source: &str, data_dir: &Path, photographs: Option<Photographs>) -> Result<Splits, DataError> {
    let path = Path::new(source);
    let splits = match (source, photographs) {
        ("mini", None) => mini(),
        ("cifar10", None) => CIFAR10.read(&data_dir.join(CIFAR10.name)),
        ("cifar100", None) => CIFAR100.read(&data_dir.join(CIFAR100.name)),
        (_, Some(Photographs { size, damaged })) if path.join("train").is_dir() => {
            let [train, test] = ImageFolder::open(path, size, damaged)?.map(ImageSource::Folder);
            return Ok(Splits { train, test });
        }
        (_, None) if path.join("train").is_dir() => Err(DataError::NoSize { path: path.into() }),
        (_, None) if path.is_dir() && CIFAR100.is_in(path) => CIFAR100.read(path),
        (_, None) if path.is_dir() => CIFAR10.read(path),
        (name, Some(_)) if NAMES.contains(&name) => Err(DataError::OwnSize { name: source.to_owned() }),
        (_, Some(_)) if path.is_dir() => Err(DataError::Folder {
            path: path.into(),
            reason: "it has no folder train, one folder a class within".to_owned(),
        }),
        _ => Err(DataError::UnknownSource { name: source.to_owned() }),
    };
    Ok(splits?.into())
}

impl ImageSource {
    /// What they are, for records and messages.
    pub fn name(&self) -> &str {
        match self {
            Self::Held(set) => &set.name,
            Self::Folder(folder) => &folder.name,
        }
    }

    /// The same images under another name.
    pub fn named(mut self, name: String) -> Self {
        match &mut self {
            Self::Held(set) => set.name = name,
            Self::Folder(folder) => folder.name = name,
        }
        self
    }

    /// N.
    pub fn len(&self) -> usize {
        self.labels().len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Channels, height and width of an image.
    pub fn extents(&self) -> [usize; 3] {
        match self {
            Self::Held(set) => [set.channels, set.height, set.width],
            Self::Folder(folder) => [3, folder.size, folder.size],
        }
    }

    /// K.
    pub fn classes(&self) -> usize {
        match self {
            Self::Held(set) => set.classes,
            Self::Folder(folder) => folder.classes.len(),
        }
    }

    /// What a label means. Images that are not photographs are CIFAR's, or made of them.
    pub fn class(&self, label: usize) -> Option<&str> {
        match self {
            Self::Held(set) => {
                let cifar =
                    [CIFAR10, CIFAR100].into_iter().find(|cifar| cifar.classes.len() == set.classes)?;
                cifar.classes.get(label).copied()
            }
            Self::Folder(folder) => folder.classes.get(label).map(String::as_str),
        }
    }

    /// `[N]`, below K.
    pub fn labels(&self) -> &[u16] {
        match self {
            Self::Held(set) => &set.labels,
            Self::Folder(folder) => &folder.labels,
        }
    }

    /// How bytes become numbers.
    pub fn normalize(&self) -> Normalize {
        match self {
            Self::Held(set) => set.normalize,
            Self::Folder(folder) => folder.normalize,
        }
    }

    /// The images at these places, in this order.
    pub fn subset(&self, indices: &[u32]) -> Self {
        match self {
            Self::Held(set) => Self::Held(set.subset(indices)),
            Self::Folder(folder) => Self::Folder(folder.subset(indices)),
        }
    }

    /// The first `n` images, or all if there are fewer.
    pub fn first(&self, n: usize) -> Self {
        let n = n.min(self.len()) as u32;
        self.subset(&(0..n).collect::<Vec<_>>())
    }

    /// The first `n` images as bytes, as they are evaluated; of photographs the middle.
    ///
    /// # Errors
    /// [`DataError`] where a photograph cannot be read.
    pub fn held(&self, n: usize) -> Result<ImageSet, DataError> {
        match self {
            Self::Held(set) => Ok(set.first(n)),
            Self::Folder(folder) => folder.middles(n),
        }
    }

    /// Says in a record which images were used, in hex.
    pub fn sha256(&self) -> String {
        match self {
            Self::Held(set) => set.sha256(),
            Self::Folder(folder) => folder.sha256(),
        }
    }
}

impl From<ImageSet> for ImageSource {
    fn from(set: ImageSet) -> Self {
        Self::Held(set)
    }
}
