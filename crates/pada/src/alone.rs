//! One architecture as a network of its own.

use pada_graph::{DartsModel, DartsSize, DartsTraining, DropPath, Frozen, Lower, Norms, Shape};
use pada_space::{Arch, Darts};

use crate::config::SupernetSize;
use crate::{ConfigError, PadaError, StandAloneConfig, SupernetConfig, build};

/// Images whose cell at two thirds has 8×8 pixels: what the auxiliary head reads.
const AUXILIARY_IMAGE: usize = 32;

/// The network of one architecture: only its weights, norms with running statistics, and what its training needs.
pub(crate) fn net(
    supernet: &SupernetConfig,
    alone: &StandAloneConfig,
    arch: &Arch,
    input: Shape,
    classes: usize,
) -> Result<Box<dyn Lower>, PadaError> {
    let size = supernet.size()?;
    let SupernetSize::Darts { channels, cells } = size else {
        return Ok(Box::new(Frozen::new(
            build::network(size, Norms::Running, input, classes).as_ref(),
            arch,
        )?));
    };
    if let Some(share) =
        alone.auxiliary.filter(|_| (input.height, input.width) != (AUXILIARY_IMAGE, AUXILIARY_IMAGE))
    {
        let range = "unset, unless images are 32×32: the head reads 8×8 pixels";
        return Err(ConfigError::Range { key: "retrain.auxiliary", value: share.to_string(), range }.into());
    }
    let training = DartsTraining {
        auxiliary: alone.auxiliary.map(|share| share as f32),
        drop_path: if alone.drop_path.is_some() { DropPath::Edges } else { DropPath::None },
    };
    let size = DartsSize { channels, layers: cells, input, classes };
    Ok(Box::new(DartsModel::to_train(&Darts::genotype(arch)?, size, training)))
}
