use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use pada_graph::{Cost, Frozen, Lower, Shape};
use pada_models::{read_metadata, read_weights, to_pytorch, to_safetensors};

use crate::config::{StandAloneConfig, SupernetConfig, space_of};
use crate::error::PadaError;
use crate::run::build;

/// Metadata key with the recipe of a stand-alone network.
pub(super) const ALONE: &str = "alone";

/// Metadata key with the number of parameters of the stand-alone network.
pub(super) const PARAMS: &str = "params";
/// Metadata key with the number of multiply-adds of the stand-alone network.
pub(super) const MACS: &str = "macs";

/// The metadata of a file: keys and values.
pub(super) type About = BTreeMap<String, String>;

/// The network of one architecture with its weights and metadata.
#[derive(Clone, Debug)]
pub struct ExportedNet {
    /// The network, which an executor can run.
    pub frozen: Frozen,
    /// Weights and running statistics of the batch norms, in the order of the layout.
    pub values: Vec<f32>,
    /// Metadata of the file: `arch`, `space` and the other keys of `[supernet]`, `alone` if a stand-alone network was trained, `norms`,
    /// `input`, `classes`, `class_names` as a JSON list if they are known, `normalize_mean`, `normalize_std`, `params`, `macs`,
    /// `weights` and `version`.
    pub about: BTreeMap<String, String>,
    /// Parameters and multiply-adds of the stand-alone network of the architecture.
    pub(super) cost: Cost,
}

impl ExportedNet {
    /// Writes an ONNX file.
    ///
    /// # Errors
    /// Returns [`PadaError::Graph`] if the batch norms have no running statistics, or if `values` does not fit the network.
    pub fn to_onnx(&self) -> Result<Vec<u8>, PadaError> {
        let name = ["space", "arch"].map(|key| self.about.get(key).map_or("", String::as_str)).join(" ");
        Ok(self.frozen.to_onnx(&name, &self.values, &self.about)?.to_bytes())
    }

    /// Returns the number of parameters and multiply-adds of the stand-alone network of the architecture, as `pada cost` and the ranking of a
    /// run count them. [`ExportedNet::stored`] counts the numbers of the file.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// Returns the number of numbers in the file: the weights and running statistics that the logits depend on.
    pub fn stored(&self) -> usize {
        self.values.len()
    }

    /// Writes a state dict of PyTorch, and the Python source of a module that loads it: a `.pt` and a `.py` file. The state dict has the names
    /// of the weights of [`ExportedNet::frozen`].
    pub fn to_pytorch(&self) -> (Vec<u8>, String) {
        (to_pytorch(self.frozen.weights(), &self.values), self.frozen.to_pytorch(&self.about))
    }

    /// Writes a `.safetensors` file, which [`read_exported`] reads.
    pub fn to_safetensors(&self) -> Vec<u8> {
        to_safetensors(self.frozen.weights(), &self.values, Some(&self.about))
    }
}

/// Largest number of classes, and of channels, rows and columns of an image.
const MOST: usize = 1 << 16;

/// Reads a file that [`ExportedNet::to_safetensors`] wrote.
///
/// # Errors
/// Returns [`PadaError::NotExported`] if the metadata of the file does not describe a network, and [`PadaError::Weights`] if the weights
/// cannot be read.
pub fn read_exported(path: &Path) -> Result<ExportedNet, PadaError> {
    let about: HashMap<String, String> = read_metadata(path)?;
    let bad = |reason: String| PadaError::NotExported { path: path.into(), reason };
    let value = |key: &str| about.get(key).ok_or_else(|| bad(format!("its metadata has no {key:?}")));
    let numbers = |key: &str| -> Result<Vec<usize>, PadaError> {
        let text = value(key)?;
        let parsed = text.split(' ').map(str::parse).collect::<Result<Vec<usize>, _>>();
        parsed.map_err(|_| bad(format!("{key} is {text:?}")))
    };
    let toml_error = |error: toml::de::Error| bad(error.message().to_owned());
    let supernet: SupernetConfig = toml::from_str(value("supernet")?).map_err(toml_error)?;
    let alone: Option<StandAloneConfig> =
        about.get(ALONE).map(|text| toml::from_str(text)).transpose().map_err(toml_error)?;
    let (input, classes) = (numbers("input")?, numbers("classes")?);
    let (&[channels, height, width], &[classes]) = (&input[..], &classes[..]) else {
        return Err(bad(format!("its input is {input:?} and its classes are {classes:?}")));
    };
    // The limit prevents overflows in products.
    if input.iter().chain([&classes]).any(|n| !(1..=MOST).contains(n)) {
        return Err(bad(format!(
            "its input is {input:?} and its number of classes is {classes}, but all of them must be from 1 to {MOST}"
        )));
    }
    let text = value("arch")?;
    let arch = match &alone {
        Some(_) => space_of(&supernet, text)?.parse(text)?,
        None => supernet.space()?.parse(text)?,
    };
    let net = build::net_of(&supernet, alone.as_ref(), text, Shape::new(channels, height, width), classes)?;
    let frozen = Frozen::new(net.as_ref(), &arch)?;
    let values = read_weights(path, frozen.weights())?;
    // A file without the cost of the stand-alone network has that of the exported one.
    let count = |key: &str| about.get(key).and_then(|text| text.parse().ok());
    let cost = match (count(PARAMS), count(MACS)) {
        (Some(params), Some(macs)) => Cost { params, macs },
        _ => Cost::of(frozen.graph(), frozen.weights()),
    };
    Ok(ExportedNet { frozen, values, about: about.into_iter().collect(), cost })
}
