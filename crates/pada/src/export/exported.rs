use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use pada_graph::{Cost, Frozen, Lower, Shape};
use pada_models::{read_metadata, read_weights, to_safetensors};

use crate::config::SupernetConfig;
use crate::error::PadaError;
use crate::run::build;

/// Key of the recipe of a network that was trained alone.
pub(super) const ALONE: &str = "alone";

/// Keys and values as they stand in a file.
pub(super) type About = BTreeMap<String, String>;

/// One architecture with its weights, and what is known about it.
#[derive(Clone, Debug)]
pub struct ExportedNet {
    /// The network; executors run it.
    pub frozen: Frozen,
    /// Its weights and the statistics of its norms, in the order of its layout.
    pub values: Vec<f32>,
    /// What files say about it: `arch`, `space` and the other keys of `[supernet]`, `alone` where it was trained as a network of its own, `norms`, `input`, `classes`, `normalize_mean`,
    /// `normalize_std`, `weights`, `version`.
    pub about: BTreeMap<String, String>,
}

impl ExportedNet {
    /// An ONNX file.
    ///
    /// # Errors
    /// [`PadaError::Graph`] if the statistics of norms have not been calibrated, or `values` does not fit the network.
    pub fn to_onnx(&self) -> Result<Vec<u8>, PadaError> {
        let name = ["space", "arch"].map(|key| self.about.get(key).map_or("", String::as_str)).join(" ");
        Ok(self.frozen.to_onnx(&name, &self.values, &self.about)?.to_bytes())
    }

    /// Weights and multiply-adds; statistics count as no weights, and dead operations are gone.
    pub fn cost(&self) -> Cost {
        Cost::of(self.frozen.graph(), self.frozen.weights())
    }

    /// A `.safetensors` file, which [`read_exported`] reads.
    pub fn to_safetensors(&self) -> Vec<u8> {
        to_safetensors(self.frozen.weights(), &self.values, Some(&self.about))
    }
}

/// Of classes, and of an image's channels, height and width.
const MOST: usize = 1 << 16;

/// Reads what [`ExportedNet::to_safetensors`] wrote.
///
/// # Errors
/// [`PadaError::NotExported`] where the file does not say which network it is; [`PadaError::Weights`]
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
    let alone = about.get(ALONE).map(|text| toml::from_str(text)).transpose().map_err(toml_error)?;
    let (input, classes) = (numbers("input")?, numbers("classes")?);
    let (&[channels, height, width], &[classes]) = (&input[..], &classes[..]) else {
        return Err(bad(format!("input is {input:?}, classes {classes:?}")));
    };
    // Larger ones are in no image, and products of them could overflow.
    if input.iter().chain([&classes]).any(|n| !(1..=MOST).contains(n)) {
        return Err(bad(format!("input is {input:?}, classes {classes}: they must be in 1..={MOST}")));
    }
    let arch = supernet.space()?.parse(value("arch")?)?;
    let net = build::net_of(&supernet, alone.as_ref(), &arch, Shape::new(channels, height, width), classes)?;
    let frozen = Frozen::new(net.as_ref(), &arch)?;
    let values = read_weights(path, frozen.weights())?;
    Ok(ExportedNet { frozen, values, about: about.into_iter().collect() })
}
