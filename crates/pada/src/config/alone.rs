use pada_graph::Decayed;
use pada_trainer::Recipe;
use serde::{Deserialize, Serialize};

use super::{DataRule, PathRule, RuleConfig, RunConfig, SpaceName, check};
use crate::{ConfigError, PadaError, build};

/// One architecture as a network of its own: the section `[alone]`, optional, in runs of one architecture. Only its weights are there,
/// and its norms have scale, shift and running statistics, which it is scored and exported with. Channels and cells are those of
/// `[supernet]`.
///
/// Keys are what publications add to the training of such networks; each that is left out adds nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AloneConfig {
    /// Share of the target that all classes get alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_smoothing: Option<f64>,
    /// Epochs in which the learning rate rises to what its schedule says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<usize>,
    /// A moving average of weights and statistics keeps this share of itself at every step; it is scored and exported. It starts as the
    /// untrained weights, of which it still holds `ema^n` after n steps: short runs need a smaller one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// Which weights decay: `all`, or only `kernels` of convolutions and linear layers; `all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decayed: Option<Decayed>,
    /// Probability that an edge is dropped, for each image; rises with the epoch from 0 towards this: `darts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop_path: Option<f64>,
    /// Share of the loss of a second classifier in the middle, which reads 8×8 pixels: `darts` with images of 32×32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auxiliary: Option<f64>,
}

impl AloneConfig {
    /// What the trainer does.
    pub(crate) fn recipe(&self) -> Recipe {
        Recipe {
            label_smoothing: self.label_smoothing.unwrap_or(0.0),
            warm_up: self.warm_up.unwrap_or(0),
            drop_path: self.drop_path.unwrap_or(0.0),
            ema: self.ema,
            decayed: self.decayed.unwrap_or_default(),
        }
    }

    /// Checks its numbers, and that the rest of the run suits it.
    pub(super) fn check(&self, run: &RunConfig) -> Result<(), ConfigError> {
        let one = run.sampler.path == PathRule::Fixed;
        check("alone", "given", one, "left out, unless the run is one of `pada-train retrain`")?;
        let summed = matches!(run.rule, RuleConfig::SummedPaths(_));
        check("rule", "another", summed, "left out where there is [alone]")?;
        let share = |key, value: Option<f64>| match value {
            Some(value) => check(key, value, (0.0..1.0).contains(&value), "at least 0 and below 1"),
            None => Ok(()),
        };
        share("alone.label_smoothing", self.label_smoothing)?;
        share("alone.drop_path", self.drop_path)?;
        share("alone.ema", self.ema)?;
        if let Some(warm_up) = self.warm_up {
            let range = "no more than train.epochs";
            check("alone.warm_up", warm_up, warm_up <= run.train.epochs, range)?;
        }
        if let Some(auxiliary) = self.auxiliary {
            let share = auxiliary > 0.0 && auxiliary.is_finite();
            check("alone.auxiliary", auxiliary, share, "positive, or left out")?;
        }
        let space = run.supernet.space;
        let darts = [
            ("alone.drop_path", self.drop_path, "its layers have no edges to drop"),
            ("alone.auxiliary", self.auxiliary, "its networks are published without a second classifier"),
        ];
        match darts.into_iter().find(|(_, value, _)| value.is_some()) {
            Some((key, _, reason)) if space != SpaceName::Darts => {
                Err(ConfigError::NoEffect { key, space: space.name(), reason })
            }
            _ => Ok(()),
        }
    }
}

/// Some published architectures have names that no folder should have; their digits are shorter.
const LONGEST_NAME: usize = 40;

impl RunConfig {
    /// This run, of one architecture instead of a supernet: trained from scratch, in any text form of the space. Its name is added to
    /// the run's.
    ///
    /// # Errors
    /// [`PadaError::Space`] for a text that is no architecture.
    pub fn retrain(mut self, text: &str) -> Result<Self, PadaError> {
        let arch = build::space_of(&self.supernet)?.parse(text)?.to_string();
        let word = text.len() <= LONGEST_NAME && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        self.name = format!("{}-{}", self.name, if word { text } else { &arch });
        self.sampler.path = PathRule::Fixed;
        self.sampler.data = DataRule::Uniform;
        self.sampler.arch = Some(arch);
        Ok(self)
    }
}
