use std::path::Path;

use crate::{DataError, Splits, cifar10, mini};

/// Opens a data set by name: `mini` (embedded), `cifar10` (in `data_dir/cifar10`), or the path of a folder that holds the
/// official CIFAR-10 binary files.
///
/// # Errors
/// [`DataError`]
pub fn open(source: &str, data_dir: &Path) -> Result<Splits, DataError> {
    match source {
        "mini" => mini(),
        "cifar10" => cifar10(&data_dir.join("cifar10")),
        path if Path::new(path).is_dir() => cifar10(Path::new(path)),
        _ => Err(DataError::UnknownSource { name: source.to_owned() }),
    }
}
