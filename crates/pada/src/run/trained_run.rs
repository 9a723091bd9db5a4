use std::path::Path;

use pada_exec::State;
use pada_report::{ImagesRecord, RunRecord};
use pada_space::{SearchSpace, SubSpace};

use crate::config::Config;
use crate::error::PadaError;
use crate::run::folder::RECORD;
use crate::run::folder::RunFolder;
use crate::run::inputs::{Custom, Inputs};
use crate::run::session::Session;
use crate::run::supernet_training::{SupernetTraining, Trained, Unfinished};

/// A finished run: its config, and its sub-supernets with their weights.
///
/// Scoring, ranking, search and export start from it. As long as it exists, no other process can train in the run folder. Several
/// processes can load the same run, and a run on a read-only file system can be loaded.
///
/// ```no_run
/// use pada::prelude::*;
///
/// let mut run = TrainedRun::load("runs/mini-s0-001")?;
/// let archs = [run.space().parse("333333")?, run.space().parse("242333")?];
/// for score in &run.evaluate(&archs)?.scores {
///     println!("{}: {:.2} %", score.arch, score.accuracy());
/// }
/// # Ok::<(), PadaError>(())
/// ```
pub struct TrainedRun {
    pub(crate) folder: RunFolder,
    pub(crate) config: Config,
    pub(crate) session: Session,
    pub(crate) inputs: Inputs,
    pub(crate) trained: Trained,
}

/// A supernet or sub-supernet that a run trained, with its part of the space.
#[derive(Clone, Debug, PartialEq)]
pub struct SubSupernet {
    /// The part of the space that the weights belong to.
    pub part: SubSpace,
    /// The weights, in the order of [`crate::weight_layout`].
    pub weights: Vec<f32>,
}

impl TrainedRun {
    /// Loads the finished run of a folder, for computation on the CPU.
    ///
    /// # Errors
    /// Returns [`PadaError::NotARun`] if the folder has no config, [`PadaError::NotTrained`] if the run is not finished, or the error of a
    /// file that cannot be read.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self, PadaError> {
        Self::load_in(folder, &Session::default())
    }

    /// Loads the finished run of a folder, for computation in the given session.
    ///
    /// # Errors
    /// Returns the same errors as [`TrainedRun::load`].
    pub fn load_in(folder: impl AsRef<Path>, session: &Session) -> Result<Self, PadaError> {
        let (folder, config) = RunFolder::open_to_read(folder.as_ref())?;
        Self::of(folder, config, session, &Custom::default())
    }

    /// Loads the finished run of a folder whose images are in another place now. `data` has the form of `data.source` of a config.
    ///
    /// # Errors
    /// Returns the same errors as [`TrainedRun::load`], and [`PadaError::OtherImages`] if `data` does not have the images of the run.
    pub fn load_with_data(
        folder: impl AsRef<Path>,
        data: &str,
        session: &Session,
    ) -> Result<Self, PadaError> {
        let (folder, mut config) = RunFolder::open_to_read(folder.as_ref())?;
        let record = RunRecord::read(&folder.path().join(RECORD))?;
        config.set_data_source(data);
        let mut inputs = Inputs::read(&config, session, &Custom::default())?;
        let same = |recorded: &ImagesRecord, sha256: String| match recorded.sha256 == sha256 {
            true => Ok(recorded.name.clone()),
            false => Err(PadaError::OtherImages {
                path: folder.path().into(),
                data: data.to_owned(),
                name: recorded.name.clone(),
            }),
        };
        // A folder that was moved can have another name. Checkpoints and scores name the images as they were.
        let name = same(&record.train_images, inputs.images.sha256())?;
        inputs.images = inputs.images.with_name(name);
        if let Some(ranking) = &record.ranking {
            inputs.scoring.images.name = same(&ranking.images, inputs.scoring.images.sha256())?;
        }
        Self::of_inputs(folder, config, session, inputs)
    }

    pub(crate) fn of(
        folder: RunFolder,
        config: Config,
        session: &Session,
        custom: &Custom,
    ) -> Result<Self, PadaError> {
        let inputs = Inputs::read(&config, session, custom)?;
        Self::of_inputs(folder, config, session, inputs)
    }

    fn of_inputs(
        folder: RunFolder,
        config: Config,
        session: &Session,
        inputs: Inputs,
    ) -> Result<Self, PadaError> {
        let first = SupernetTraining::first(&config, &inputs, session, None)?;
        let training = SupernetTraining::new(&config, &inputs, folder.path(), session, Unfinished::Refuse);
        // Nothing is left to train, so nobody needs to observe it.
        let trained = training.train(first, &mut (), &mut |_| Ok(()))?;
        Ok(Self { folder, config, session: session.clone(), inputs, trained })
    }

    /// Returns the path of the run folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the resolved config of the run.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the search space.
    pub fn space(&self) -> &dyn SearchSpace {
        self.inputs.scoring.network.space.as_ref()
    }

    /// Reads the record of the run: curves, scores and agreement with benchmark tables.
    ///
    /// # Errors
    /// Returns [`PadaError::Report`] if `record.json` cannot be read.
    pub fn record(&self) -> Result<RunRecord, PadaError> {
        Ok(RunRecord::read(&self.folder.path().join(RECORD))?)
    }

    /// Returns the supernets that the run trained, with their weights. A run without a split has one.
    pub fn sub_supernets(&mut self) -> Vec<SubSupernet> {
        match &self.trained.leaves {
            Some(leaves) => {
                let copy = |(part, weights): &(SubSpace, Vec<f32>)| SubSupernet {
                    part: part.clone(),
                    weights: weights.clone(),
                };
                leaves.leaves().iter().map(copy).collect()
            }
            None => {
                let part = self.inputs.whole.clone();
                let weights = self.trained.with_weights(|weights| weights.executor.read(State::Weights));
                vec![SubSupernet { part, weights }]
            }
        }
    }
}
