use pada_data::Dataset;
use pada_graph::{Cost, GraphError, Lower};
use pada_models::Norms;
use pada_report::ZeroCostRow;
use pada_space::{Arch, Nb201, Nb201Op, SearchSpace, SpaceError};
use pada_trainer::image_shape;

use crate::config::{ConfigError, SpaceName, SupernetConfig};
use crate::run::build;

/// A search space with its network as it stands alone: what costs and zero-cost rankings are read from.
pub struct Network {
    /// The space.
    pub space: Box<dyn SearchSpace>,
    name: SpaceName,
    alone: Box<dyn Lower>,
}

impl Network {
    /// The network of a config for images like these.
    ///
    /// # Errors
    /// [`ConfigError`] for a size that the space does not have.
    pub fn new(config: &SupernetConfig, images: &Dataset) -> Result<Self, ConfigError> {
        let alone = build::alone(config, image_shape(images), images.classes())?;
        Ok(Self { space: config.space()?, name: config.space, alone })
    }

    /// The same with the size that the config says, as a run with `[retrain]` trains it.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn as_configured(config: &SupernetConfig, images: &Dataset) -> Result<Self, ConfigError> {
        let net = build::network(config.size()?, Norms::Affine, image_shape(images), images.classes());
        Ok(Self { space: config.space()?, name: config.space, alone: net })
    }

    /// Weights and multiply-adds of an architecture that stands alone.
    ///
    /// # Errors
    /// [`GraphError`] where images are too small for the network.
    pub fn cost(&self, arch: &Arch) -> Result<Cost, GraphError> {
        Ok(Cost::of(&self.alone.lower(arch)?, self.alone.weights()))
    }

    /// Rankings that cost no supernet, `[A]` each, beginning with the number of weights.
    ///
    /// # Errors
    /// As [`Network::cost`].
    pub fn baselines(&self, archs: &[Arch]) -> Result<Vec<(&'static str, Vec<f64>)>, GraphError> {
        let costs = archs.iter().map(|arch| self.cost(arch)).collect::<Result<Vec<_>, _>>()?;
        let params = costs.iter().map(|cost| cost.params as f64).collect();
        let other = match self.name {
            SpaceName::Nb201 => {
                let scores = archs.iter().map(live_conv_weight).collect::<Result<_, _>>()?;
                (ZeroCostRow::ACTIVE_CONV_PARAMS, scores)
            }
            _ => ("MACs", costs.iter().map(|cost| cost.macs as f64).collect()),
        };
        Ok(vec![(ZeroCostRow::PARAMS, params), other])
    }
}

/// 1 for each 1×1 and 9 for each 3×3 convolution on an edge that lies between the cell's input and its output: a ranking of
/// NAS-Bench-201 that costs nothing and beats many supernets.
///
/// # Errors
/// [`SpaceError`] for an architecture of another space.
pub fn live_conv_weight(arch: &Arch) -> Result<f64, SpaceError> {
    let live = Nb201::new().active(arch)?;
    let weight = |(op, live)| match (op, live) {
        (Nb201Op::Conv1x1, true) => 1.0,
        (Nb201Op::Conv3x3, true) => 9.0,
        _ => 0.0,
    };
    Ok(Nb201::ops(arch)?.into_iter().zip(live).map(weight).sum())
}
