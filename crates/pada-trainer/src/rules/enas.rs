use pada_exec::{Batch, Executor};
use pada_graph::Lower;
use pada_report::MixtureRecord;
use pada_sampler::{SamplerError, SavedState};
use pada_search::{Reinforce, ReinforceConfig};
use pada_space::{Arch, SearchSpace, SubSpace};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::search_images::{SearchBatch, SearchImages};
use super::{StepContext, StepOutcome, TrainRule};
use crate::{NotFinite, TrainError};

/// Settings of [`Enas`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EnasConfig {
    /// The controller, which draws architectures and learns by REINFORCE. [`ReinforceConfig::samples`] has no effect.
    pub controller: ReinforceConfig,
    /// Number of updates of the controller after each epoch of the weights. Each has [`ReinforceConfig::batch`] architectures.
    pub controller_steps: usize,
    /// Number of architectures that are drawn and compared at the end of each epoch, at least 1.
    pub candidates: usize,
}

/// ENAS: a controller draws the architecture of every training step, and learns after each epoch which architectures classify validation images
/// correctly with the shared weights. The search ends in the best of some architectures that it draws, all on one validation batch.
///
/// # Source
/// Pham et al., *Efficient Neural Architecture Search via Parameter Sharing*, ICML 2018; <https://github.com/melodyguan/enas> @00787a5,
/// `src/cifar10/`; D-X-Y/AutoDL-Projects @f46486e, `exps/NAS-Bench-201-algos/ENAS.py`.
///
/// - DIFFERS: the differences of [`Reinforce`] to the controllers of these sources.
/// - DIFFERS: gradients of the controller are not clipped, and the learning rate of the weights follows the schedule of the run; AutoDL-Projects clips
///   at 5 and repeats a cosine of 10 epochs.
/// - DIFFERS: candidates are drawn and compared after each epoch, so that the record shows what the search would end with; the sources do so
///   once at the end.
pub struct Enas {
    config: EnasConfig,
    space: Box<dyn SearchSpace>,
    part: SubSpace,
    validation: SearchImages,
    state: EnasState,
}

/// State of [`Enas`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct EnasState {
    /// The controller.
    pub controller: Reinforce,
    /// The candidates of the last epoch. It is `None` before the first epoch has ended.
    pub last: Option<Candidates>,
}

/// The architectures that were compared at the end of an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidates {
    /// The most accurate of them; of equally accurate ones the first that was drawn.
    pub best: Arch,
    /// The share of the validation batch that it classifies correctly, in percent.
    pub accuracy: f64,
    /// For each decision, the share of the candidates that have each of its allowed choices.
    pub shares: Vec<Vec<f64>>,
}

impl EnasState {
    /// Kind of the [`SavedState`] that holds this state.
    pub const KIND: &str = "enas";
}

impl Enas {
    /// Creates the rule at the start of a run, for a space whose batch norms use the statistics of the batch.
    ///
    /// # Errors
    /// Returns [`TrainError::Setup`] if a setting is out of its range, or if there are no validation images.
    pub fn new(
        config: EnasConfig,
        space: Box<dyn SearchSpace>,
        part: &SubSpace,
        validation: Option<SearchImages>,
    ) -> Result<Self, TrainError> {
        let setup = |reason: String| TrainError::Setup { reason };
        let missing = || setup("the controller learns from validation images, and there are none".to_owned());
        let validation = validation.filter(|images| images.len() > 0).ok_or_else(missing)?;
        if config.candidates == 0 {
            return Err(setup("at least one architecture must be drawn at the end of an epoch".to_owned()));
        }
        let controller = Reinforce::new(config.controller).map_err(|error| setup(error.to_string()))?;
        let state = EnasState { controller, last: None };
        Ok(Self { config, space, part: part.clone(), validation, state })
    }

    /// Returns everything that a checkpoint keeps besides the weights.
    pub fn search_state(&self) -> &EnasState {
        &self.state
    }

    fn draw(&mut self, rng: &mut dyn Rng) -> Result<Arch, TrainError> {
        let drawn = self.state.controller.sample(self.space.as_ref(), &self.part, rng);
        drawn.map_err(|_| self.diverged())
    }

    /// The error of a controller whose parameters are not finite.
    fn diverged(&self) -> TrainError {
        let path = Arch::new(self.part.allowed().iter().map(|ops| ops[0]).collect::<Vec<_>>());
        let path = self.state.last.as_ref().map_or(path, |last| last.best.clone());
        NotFinite { what: "parameter of the controller", value: f64::NAN, path }.into()
    }

    /// Draws and compares the candidates of an epoch.
    fn compare(
        &mut self,
        net: &dyn Lower,
        executor: &mut dyn Executor,
        batch: usize,
        rng: &mut dyn Rng,
    ) -> Result<Candidates, TrainError> {
        let images = self.validation.draw(batch, rng)?;
        let mut shares: Vec<Vec<f64>> =
            self.part.allowed().iter().map(|allowed| vec![0.0; allowed.len()]).collect();
        let mut best: Option<(f64, Arch)> = None;
        for _ in 0..self.config.candidates {
            let arch = self.draw(rng)?;
            for ((shares, allowed), choice) in shares.iter_mut().zip(self.part.allowed()).zip(arch.choices())
            {
                let place = allowed.iter().position(|other| other == choice);
                place.into_iter().for_each(|place| shares[place] += 1.0 / self.config.candidates as f64);
            }
            let accuracy = accuracy(&arch, net, executor, &images)?;
            if best.as_ref().is_none_or(|(most, _)| accuracy > *most) {
                best = Some((accuracy, arch));
            }
        }
        let (accuracy, best) = best.expect("there is at least one candidate");
        Ok(Candidates { best, accuracy: 100.0 * accuracy, shares })
    }
}

/// Computes the share of a batch that an architecture classifies correctly with the shared weights.
fn accuracy(
    arch: &Arch,
    net: &dyn Lower,
    executor: &mut dyn Executor,
    images: &SearchBatch,
) -> Result<f64, TrainError> {
    let logits = executor.logits(&net.lower(arch)?.simplified(), &images.images())?;
    Ok(logits.correct(&images.labels) as f64 / images.labels.len() as f64)
}

impl TrainRule for Enas {
    fn step(&mut self, ctx: &mut StepContext<'_>, batch: &Batch<'_>) -> Result<StepOutcome, TrainError> {
        ctx.executor.zero_gradient();
        let path = self.draw(ctx.rule_rng)?;
        let pass = ctx.pass(path, 1.0, batch)?;
        ctx.descend(vec![pass])
    }

    /// Trains the controller, and compares the candidates.
    fn end_epoch(
        &mut self,
        net: &dyn Lower,
        executor: &mut dyn Executor,
        batch: usize,
        rng: &mut dyn Rng,
    ) -> Result<(), TrainError> {
        for _ in 0..self.config.controller_steps * self.config.controller.batch {
            let arch = self.draw(rng)?;
            let images = self.validation.draw(batch, rng)?;
            let reward = accuracy(&arch, net, executor, &images)?;
            let learned = self.state.controller.learn(self.space.as_ref(), &self.part, &arch, reward);
            learned.map_err(|_| self.diverged())?;
        }
        self.state.last = Some(self.compare(net, executor, batch, rng)?);
        Ok(())
    }

    fn mixture(&self) -> Option<MixtureRecord> {
        let Candidates { best, accuracy, shares } = self.state.last.as_ref()?;
        // Other decisions choose the inputs of nodes.
        let decisions: Vec<usize> =
            (0..shares.len()).filter(|&decision| self.part.kind(decision).is_some()).collect();
        Some(MixtureRecord {
            arch: best.to_string(),
            ops: decisions.iter().map(|&decision| self.part.allowed()[decision].clone()).collect(),
            probabilities: decisions.iter().map(|&decision| shares[decision].clone()).collect(),
            decisions,
            edge_weights: vec![],
            chosen: vec![],
            temperature: None,
            validation_loss: None,
            validation_accuracy: Some(*accuracy),
        })
    }

    fn state(&self) -> SavedState {
        SavedState::new(EnasState::KIND, &self.state)
    }

    fn restore(&mut self, state: &SavedState) -> Result<(), SamplerError> {
        let read: EnasState = state.read(EnasState::KIND)?;
        if read.controller.config() != self.state.controller.config() {
            let reason = "its controller has other settings".to_owned();
            return Err(SamplerError::State { kind: EnasState::KIND.to_owned(), reason });
        }
        self.state = read;
        Ok(())
    }
}
