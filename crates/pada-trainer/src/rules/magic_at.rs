use pada_exec::Batch;
use pada_sampler::{SamplerError, SavedState};
use pada_space::{Arch, SubSpace};
use serde::{Deserialize, Serialize};

use super::{Passed, StepContext, StepOutcome, TrainRule, check_paths};
use crate::TrainError;

/// Settings of [`MagicAt`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MagicAtConfig {
    /// λ, the weight of the alignment loss. The value 0.5 is our reading of the paper and is not verified.
    pub weight: f64,
}

/// Magic-AT: aligns the features of every path with those of an anchor, the best path so far, so that paths that share an operation
/// interfere less.
///
/// The loss of a step is `L(path) + λ · A`. A is the mean over cells and positions of the mean squared difference between the inputs of an
/// operation in the path and in the anchor, plus the same difference of its outputs. No gradient flows to the anchor. The full method also
/// needs the sampler [`pada_sampler::OneChangePaths`]; with another sampler only the alignment is used.
///
/// The first path is the first anchor. At the start of a step, the path of the previous step replaces the anchor if it classifies more
/// images of the new batch correctly. Both forward passes count as training time.
///
/// # Source
/// Xu et al., *Analyzing and Mitigating Interference in NAS*, ICML 2022. Which features the paper aligns, and with which weight, is not
/// verified.
/// DIFFERS: the paper chooses the anchor on held-out images, and this code on the next training batch. Its images were trained on in
/// earlier epochs, and the batch is small, so the anchor also changes by chance. The effect is not verified.
#[derive(Clone, Debug)]
pub struct MagicAt {
    config: MagicAtConfig,
    space: SubSpace,
    anchor: Option<Arch>,
    /// The paths of the previous step, which have not been compared with the anchor yet.
    candidates: Vec<Arch>,
}

/// State of [`MagicAt`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MagicAtState {
    /// The best path so far, or `None` before the second step.
    pub anchor: Option<Arch>,
    /// The paths of the previous step, which have not been compared with the anchor yet.
    pub candidates: Vec<Arch>,
}

impl MagicAtState {
    /// Kind of the [`SavedState`] that holds this state.
    pub const KIND: &str = "magic-at";
}

impl MagicAt {
    /// Creates the rule at the start of a run.
    pub fn new(config: MagicAtConfig, space: SubSpace) -> Self {
        Self { config, space, anchor: None, candidates: Vec::new() }
    }

    /// Returns the best path so far, or `None` before the second step.
    pub fn anchor(&self) -> Option<&Arch> {
        self.anchor.as_ref()
    }

    /// Replaces the anchor by a candidate that classifies more images correctly; `correct` returns this number for a path.
    fn choose_anchor(
        &mut self,
        mut correct: impl FnMut(&Arch) -> Result<usize, TrainError>,
    ) -> Result<(), TrainError> {
        for candidate in std::mem::take(&mut self.candidates) {
            let better = match &self.anchor {
                None => true,
                Some(anchor) => candidate != *anchor && correct(&candidate)? > correct(anchor)?,
            };
            if better {
                self.anchor = Some(candidate);
            }
        }
        Ok(())
    }

    fn pass(
        &self,
        ctx: &mut StepContext<'_>,
        path: &Arch,
        scale: f64,
        batch: &Batch<'_>,
    ) -> Result<Passed, TrainError> {
        match &self.anchor {
            None => ctx.pass(path.clone(), scale, batch),
            Some(anchor) => {
                let graph = ctx.net.lower_aligned(path, anchor, self.config.weight)?.simplified();
                ctx.pass_graph(path.clone(), &graph, scale, batch)
            }
        }
    }
}

impl TrainRule for MagicAt {
    fn step(&mut self, ctx: &mut StepContext<'_>, batch: &Batch<'_>) -> Result<StepOutcome, TrainError> {
        self.choose_anchor(|path| {
            let graph = ctx.net.lower(path)?.simplified();
            Ok(ctx.executor.logits(&graph, &batch.images)?.correct(batch.labels))
        })?;
        ctx.executor.zero_gradient();
        let paths = ctx.paths.next_paths(ctx.path_rng);
        let mut passes = Vec::new();
        for path in &paths {
            let weight = ctx.paths.loss_weight(path)?;
            passes.push(self.pass(ctx, path, weight, batch)?);
        }
        self.candidates = paths;
        ctx.descend(passes)
    }

    fn state(&self) -> SavedState {
        let (anchor, candidates) = (self.anchor.clone(), self.candidates.clone());
        SavedState::new(MagicAtState::KIND, &MagicAtState { anchor, candidates })
    }

    fn restore(&mut self, state: &SavedState) -> Result<(), SamplerError> {
        let MagicAtState { anchor, candidates } = state.read(MagicAtState::KIND)?;
        check_paths(MagicAtState::KIND, anchor.iter().chain(&candidates), &self.space)?;
        (self.anchor, self.candidates) = (anchor, candidates);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arch(digits: &str) -> Arch {
        Arch::new(digits.bytes().map(|b| b - b'0').collect::<Vec<_>>())
    }

    fn rule() -> MagicAt {
        MagicAt::new(MagicAtConfig { weight: 0.5 }, SubSpace::from_op_counts(&[5; 3]).unwrap())
    }

    /// Gives the rule candidates, each of which classifies a number of images correctly. Returns the anchor and the paths that were evaluated.
    fn consider(rule: &mut MagicAt, candidates: &[&str], right: &[(&str, usize)]) -> (String, Vec<String>) {
        rule.candidates = candidates.iter().map(|digits| arch(digits)).collect();
        let mut asked = Vec::new();
        rule.choose_anchor(|path| {
            asked.push(path.to_string());
            Ok(right.iter().find(|(digits, _)| arch(digits) == *path).unwrap().1)
        })
        .unwrap();
        assert!(rule.candidates.is_empty());
        (rule.anchor().unwrap().to_string(), asked)
    }

    /// The expected values are computed by hand.
    #[test]
    fn a_path_that_is_right_on_more_images_becomes_the_anchor() {
        let mut rule = rule();
        let text = |digits: &str| arch(digits).to_string();
        assert_eq!(
            consider(&mut rule, &["000"], &[]),
            (text("000"), vec![]),
            "the first needs no comparison"
        );
        let asked = vec![text("001"), text("000")];
        assert_eq!(consider(&mut rule, &["001"], &[("000", 5), ("001", 4)]), (text("000"), asked.clone()));
        assert_eq!(consider(&mut rule, &["001"], &[("000", 5), ("001", 5)]), (text("000"), asked.clone()));
        // The anchor is evaluated on the same batch; its earlier count does not matter.
        assert_eq!(consider(&mut rule, &["001"], &[("000", 2), ("001", 3)]), (text("001"), asked));
        assert_eq!(consider(&mut rule, &["001"], &[]), (text("001"), vec![]), "nothing beats itself");
        let several = [("001", 3), ("002", 4), ("003", 6), ("004", 5)];
        assert_eq!(consider(&mut rule, &["002", "003", "004"], &several).0, text("003"));
        // The anchor stays if the previous step trained no path.
        assert_eq!(consider(&mut rule, &[], &[]), (text("003"), vec![]));
    }

    #[test]
    fn a_restored_rule_has_the_same_anchor_and_still_compares_the_last_path() {
        let mut before = rule();
        let mut after = rule();
        after.restore(&before.state()).unwrap();
        assert_eq!(after.anchor(), None);
        (before.anchor, before.candidates) = (Some(arch("124")), vec![arch("123")]);
        after.restore(&before.state()).unwrap();
        assert_eq!((&after.anchor, &after.candidates), (&before.anchor, &before.candidates));
        assert!(matches!(after.restore(&SavedState::stateless()), Err(SamplerError::OtherKind { .. })));
        for foreign in [
            json!({"anchor": [1, 2, 4]}),
            json!({"archive": [], "recent": []}),
            json!({"anchor": [1, 2], "candidates": []}),
            json!({"anchor": [1, 2, 9], "candidates": []}),
            json!({"anchor": null, "candidates": [[1, 2, 9]]}),
        ] {
            let foreign = SavedState::new(MagicAtState::KIND, &foreign);
            assert!(matches!(after.restore(&foreign), Err(SamplerError::State { .. })), "{foreign:?}");
        }
        assert_eq!(after.anchor, Some(arch("124")));
    }
}
