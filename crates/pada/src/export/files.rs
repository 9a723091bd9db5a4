use std::path::{Path, PathBuf};

use pada_graph::{is_exported_module, module_file};
use pada_trainer::write_durably;

use super::{Existing, ExportedNet, check_new_file};
use crate::config::ConfigError;
use crate::error::PadaError;
use crate::eval::arch_files::check_output;

/// The format of an exported network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum ExportFormat {
    /// ONNX, opset 17
    Onnx,
    /// Weights by name, and metadata from which the network can be rebuilt
    Safetensors,
    /// A state dict of PyTorch, .pt, and beside it a .py file with a module that loads it. Its name can be imported: my_net.py for my-net.pt
    Pytorch,
}

impl ExportFormat {
    /// All formats.
    pub const ALL: [Self; 3] = [Self::Onnx, Self::Safetensors, Self::Pytorch];

    fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Onnx => &["onnx"],
            Self::Safetensors => &["safetensors"],
            Self::Pytorch => &["pt", "pth"],
        }
    }

    /// Returns the format that the ending of a file name stands for. A name without an ending stands for ONNX.
    ///
    /// # Errors
    /// Returns [`PadaError::WrongEnding`] for another ending.
    pub fn of(file: &Path) -> Result<Self, PadaError> {
        let Some(ending) = file.extension() else { return Ok(Self::Onnx) };
        let ending = ending.to_string_lossy().to_ascii_lowercase();
        let found = Self::ALL.into_iter().find(|format| format.endings().contains(&ending.as_str()));
        let endings = &["onnx", "safetensors", "pt", "pth"];
        found.ok_or_else(|| PadaError::WrongEnding { path: file.into(), endings })
    }
}

/// The files of an exported network: that of the weights and, for PyTorch, the Python module beside it.
#[derive(Clone, Debug)]
pub struct ExportFiles {
    format: ExportFormat,
    weights: PathBuf,
    module: Option<PathBuf>,
}

impl ExportFiles {
    /// Checks before the work that the files can be written. `inputs` are files and folders that are read. A Python file beside the weights is
    /// replaced only if it is an exported module.
    ///
    /// # Errors
    /// Returns the errors of [`check_output`], [`PadaError::FileExists`] if a file exists and must not be replaced, [`PadaError::Write`] if it
    /// cannot be written, and [`PadaError::Config`] for a Python file that is not an exported module.
    pub fn new(
        file: &Path,
        format: ExportFormat,
        inputs: &[&Path],
        existing: Existing,
    ) -> Result<Self, PadaError> {
        check_output(file, format.endings(), inputs)?;
        let module = (format == ExportFormat::Pytorch).then(|| module_file(file));
        let is_exported = |path: &Path| std::fs::read(path).is_ok_and(|bytes| is_exported_module(&bytes));
        if module.as_ref().is_some_and(|module| module.exists() && !is_exported(module)) {
            let (key, value) = ("--out", file.display().to_string());
            let range =
                "another name, because the file of Python with this name was not written by `pada export`";
            return Err(ConfigError::Range { key, value, range }.into());
        }
        let files = Self { format, weights: file.into(), module };
        files.paths().try_for_each(|path| check_new_file(path, existing))?;
        Ok(files)
    }

    /// Returns the Python module beside the weights, which only PyTorch has.
    pub fn module(&self) -> Option<&Path> {
        self.module.as_deref()
    }

    /// Returns the paths of all files, that of the weights first.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(self.weights.as_path()).chain(self.module())
    }

    /// Writes the files. Returns the size of the file of the weights in bytes.
    ///
    /// # Errors
    /// Returns an error if the network cannot be written in this format or a file cannot be written.
    pub fn write(&self, net: &ExportedNet) -> Result<usize, PadaError> {
        let weights = match self.format {
            ExportFormat::Onnx => net.to_onnx()?,
            ExportFormat::Safetensors => net.to_safetensors(),
            ExportFormat::Pytorch => {
                let (state_dict, source) = net.to_pytorch();
                self.module.as_ref().map_or(Ok(()), |module| write_durably(module, source.as_bytes()))?;
                state_dict
            }
        };
        write_durably(&self.weights, &weights)?;
        Ok(weights.len())
    }
}
