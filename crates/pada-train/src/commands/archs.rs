use std::path::PathBuf;

use pada::space::Nb201Encoding;
use pada::{PadaError, ReadArch, SpaceName};

/// Options that name architectures in any notation of a search space.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Archs {
    /// The architecture in any text form of its space.
    #[arg(long, value_name = "TEXT")]
    pub(crate) arch: Option<String>,
    /// The name of a published architecture of darts or proxyless.
    #[arg(long, value_name = "NAME")]
    pub(crate) genotype: Option<String>,
    /// A file with one architecture per line, or a table with the column arch.
    #[arg(long)]
    pub(crate) file: Option<PathBuf>,
}

impl Archs {
    /// Reads the architectures.
    pub(crate) fn read(&self, space: SpaceName, encoding: Nb201Encoding) -> Result<Vec<ReadArch>, PadaError> {
        let read = |text: &str| ReadArch::parse(space, text, encoding);
        match (&self.arch, &self.genotype, &self.file) {
            (Some(text), _, _) => Ok(vec![read(text)?]),
            (_, Some(name), _) => Ok(vec![ReadArch::named(space, name)?]),
            (_, _, Some(file)) => ReadArch::read_file(file, read),
            (None, None, None) => Ok(vec![]),
        }
    }
}
