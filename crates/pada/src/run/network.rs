use std::collections::HashSet;

use pada_data::Dataset;
use pada_graph::{Cost, Frozen, Graph, GraphError, Lower, Piece, Shape, WeightLayout};
use pada_models::Norms;
use pada_report::ZeroCostRow;
use pada_space::{Arch, Nb201, Nb201Op, SearchSpace, SpaceError, SubSpace};
use pada_trainer::{RngStream, image_shape};

use crate::config::{ConfigError, RetrainConfig, SkeletonName, SpaceName, StandAloneArch, SupernetConfig};
use crate::error::PadaError;
use crate::run::build;

/// A search space with its stand-alone network, from which costs and zero-cost scores are computed.
pub struct Network {
    /// The search space.
    pub space: Box<dyn SearchSpace>,
    name: SpaceName,
    alone: Box<dyn Lower>,
}

impl Network {
    /// Creates the stand-alone network of a space, with the size of the config, and with the input shape and the number of classes of `images`.
    ///
    /// # Errors
    /// Returns an error if the space does not have the size of the config.
    pub fn new(config: &SupernetConfig, images: &Dataset) -> Result<Self, ConfigError> {
        Self::of_images(config, image_shape(images), images.classes())
    }

    /// Creates the stand-alone network of a space for images of a shape and a number of classes.
    pub(crate) fn of_images(
        config: &SupernetConfig,
        input: Shape,
        classes: usize,
    ) -> Result<Self, ConfigError> {
        let alone = build::alone(config, input, classes)?;
        Ok(Self { space: config.space()?, name: config.space, alone })
    }

    /// Creates the stand-alone network that `pada retrain` trains, with the size of the config.
    ///
    /// # Errors
    /// Returns an error if the config has no architecture, or if the network does not have the size of the config.
    pub fn retrained(config: &RetrainConfig, images: &Dataset) -> Result<Self, PadaError> {
        let (network, input, classes) = (&config.network, image_shape(images), images.classes());
        let is_imagenet =
            config.stand_alone().is_some_and(|alone| alone.skeleton == Some(SkeletonName::ImageNet));
        let alone = match StandAloneArch::read(network, config.arch()?)? {
            // Operations that cannot influence the output count, as in the benchmarks.
            StandAloneArch::Searched(_) if !is_imagenet => {
                build::network(network.size()?, Norms::Affine, input, classes)
            }
            _ => build::trained(&config.into(), input, classes)?,
        };
        Ok(Self { space: config.space()?, name: network.space, alone })
    }

    /// Returns the name of the search space.
    pub(crate) fn name(&self) -> SpaceName {
        self.name
    }

    /// Computes the number of parameters and multiply-adds of the stand-alone network of an architecture.
    ///
    /// # Errors
    /// Returns an error if the images are too small for the network.
    pub fn cost(&self, arch: &Arch) -> Result<Cost, GraphError> {
        Ok(Cost::of(&self.alone.lower(arch)?, self.alone.weights()))
    }

    /// Returns the shape of an image.
    pub(crate) fn input(&self) -> Shape {
        self.alone.input()
    }

    /// Returns the weights of the stand-alone networks.
    pub(crate) fn weights(&self) -> &WeightLayout {
        self.alone.weights()
    }

    /// Returns the stand-alone network of an architecture as it is exported: without operations that cannot influence the output.
    pub(crate) fn frozen(&self, arch: &Arch) -> Result<Frozen, GraphError> {
        Frozen::new(self.alone.as_ref(), arch)
    }

    /// Returns all different operations of the exported networks of the space, each with its graph.
    ///
    /// They are those of all architectures that choose the same digit at every decision but one, and of random ones.
    pub(crate) fn pieces(&self) -> Result<Vec<(Piece, Graph)>, GraphError> {
        /// Random architectures have the sums that uniform ones do not have.
        const RANDOM: usize = 200;
        let n_ops = self.space.n_ops();
        let mut archs = Vec::new();
        for digit in 0..n_ops.iter().copied().max().unwrap_or(1) {
            let base: Vec<u8> = n_ops.iter().map(|&n| digit.min(n - 1) as u8).collect();
            for (decision, &n) in n_ops.iter().enumerate() {
                for other in 0..n {
                    let mut choices = base.clone();
                    choices[decision] = other as u8;
                    archs.push(Arch::new(choices));
                }
            }
        }
        let (all, mut rng) = (SubSpace::full(self.space.as_ref()), RngStream::Rank.stream(0));
        archs.extend((0..RANDOM).map(|_| all.sample(&mut rng)));
        let (mut seen, mut pieces) = (HashSet::new(), Vec::new());
        for arch in archs {
            let graph = self.alone.lower(&arch)?.simplified();
            for piece in graph.pieces() {
                if seen.insert((piece.name.clone(), piece.input, piece.output)) {
                    let own = graph.of_piece(&piece);
                    pieces.push((piece, own));
                }
            }
        }
        Ok(pieces)
    }

    /// Computes the zero-cost scores of architectures, `[A]` each. The first one is the number of parameters.
    ///
    /// # Errors
    /// Returns an error if the images are too small for the network.
    pub fn baselines(&self, archs: &[Arch]) -> Result<Vec<(&'static str, Vec<f64>)>, GraphError> {
        let costs = archs.iter().map(|arch| self.cost(arch)).collect::<Result<Vec<_>, _>>()?;
        let params = costs.iter().map(|cost| cost.params as f64).collect();
        let other = match self.name {
            SpaceName::Nb201 => {
                let scores = archs.iter().map(active_conv_params).collect::<Result<_, _>>()?;
                (ZeroCostRow::ACTIVE_CONV_PARAMS, scores)
            }
            _ => ("MACs", costs.iter().map(|cost| cost.macs as f64).collect()),
        };
        Ok(vec![(ZeroCostRow::PARAMS, params), other])
    }
}

/// Computes a zero-cost score of a NAS-Bench-201 architecture: 1 for each 1×1 convolution and 9 for each 3×3 convolution on an active edge,
/// which lies on a path from the input to the output of the cell. Its ranking is better than the ranking of many supernets.
///
/// # Errors
/// Returns an error for an architecture of another space.
pub fn active_conv_params(arch: &Arch) -> Result<f64, SpaceError> {
    let live = Nb201::new().active(arch)?;
    let weight = |(op, live)| match (op, live) {
        (Nb201Op::Conv1x1, true) => 1.0,
        (Nb201Op::Conv3x3, true) => 9.0,
        _ => 0.0,
    };
    Ok(Nb201::ops(arch)?.into_iter().zip(live).map(weight).sum())
}
