use pada_data::Dataset;
use pada_dist::ProcessGroup;
use pada_space::{Arch, SubSpace};

use crate::ranking::Ranking;
use crate::scoring::Scoring;
use crate::{Network, PadaError, RunConfig, Session, Tables, build};

/// What a run reads before it trains: images and network, checked against each other.
pub(crate) struct Inputs {
    /// What is trained on.
    pub(crate) images: Dataset,
    /// The part of the space that is trained and ranked.
    pub(crate) whole: SubSpace,
    /// What architectures are scored on.
    pub(crate) scoring: Scoring,
}

impl Inputs {
    /// A ranking of architectures on what was read.
    pub(crate) fn ranking<'a>(
        &'a self,
        archs: &'a [Arch],
        tables: &'a Tables,
        world: &'a ProcessGroup,
    ) -> Ranking<'a> {
        Ranking { archs, scoring: &self.scoring, tables, world }
    }

    /// Reads them; writes nothing.
    pub(crate) fn read(config: &RunConfig, place: &Session) -> Result<Self, PadaError> {
        config.check()?;
        let splits = pada_data::open(&config.data.source, &place.data_dir, config.data.photographs())?;
        let network = match &config.alone {
            None => Network::new(&config.supernet, &splits.test)?,
            Some(_) => Network::as_configured(&config.supernet, &splits.test)?,
        };
        let whole = build::part(&config.supernet, network.space.as_ref())?;
        config.check_positions(whole.allowed().len())?;
        let rank = &config.rank;
        let rank_images = build::rank_images(rank.split, &splits);
        build::within("rank.images", rank.images, &rank_images)?;
        let trainable = build::trainable(config.data.train, &splits);
        let calibration = build::calibration(rank.recalibrate, &trainable)?;
        let images = build::train_images(config.data.train_images, trainable)?;
        let scoring =
            Scoring { images: rank_images.to_memory(rank.images)?, batch: rank.batch, calibration, network };
        Ok(Self { images, whole, scoring })
    }
}
