use pada_graph::Batch;
use pada_sampler::{SamplerError, SamplerState};
use pada_space::{Arch, SubSpace};
use serde::{Deserialize, Serialize};

use super::{Passed, StepContext, StepOutcome, TrainRule};
use crate::TrainError;

/// Settings of [`MagicAt`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MagicAtConfig {
    /// λ, the weight of the alignment; .5 stands for the paper's, unverified.
    pub weight: f64,
}

/// The loss of a step is `L(path) + λ · mean over cells and positions of (mean squared difference of the operation's input + of its
/// output)` between the path and an anchor, the best path so far, which stands still. It keeps operations from being pulled another
/// way by every path they are part of. With [`pada_sampler::OneChangePaths`], whose paths differ from the last in one position,
/// this is Magic-AT; with another sampler it is its A alone.
///
/// The anchor is the path trained last, if that is right on more images of a batch than the anchor so far; otherwise the anchor stays.
/// The batch is that of the next step, before anything is trained on it. The first path is the first anchor. Both forward passes
/// count as training time.
///
/// # Source
/// Xu et al., *Analyzing and Mitigating Interference in NAS*, ICML 2022. Which values are aligned and with what weight is unverified.
/// DIFFERS: the paper holds images out to choose the anchor by. A step has none but its batch; the next one stands in, and its images
/// have been trained on in earlier epochs. It is small, so that the anchor changes by chance, too. Unverified.
#[derive(Clone, Debug)]
pub struct MagicAt {
    config: MagicAtConfig,
    space: SubSpace,
    anchor: Option<Arch>,
    /// The paths of the step before; they have not been compared with the anchor yet.
    candidates: Vec<Arch>,
}

impl MagicAt {
    /// The rule at the start of a run.
    pub fn new(config: MagicAtConfig, space: SubSpace) -> Self {
        Self { config, space, anchor: None, candidates: Vec::new() }
    }

    /// The best path so far; none before the second step.
    pub fn anchor(&self) -> Option<&Arch> {
        self.anchor.as_ref()
    }

    /// Compares the candidates with the anchor; `correct` says how many images a path is right on.
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
            let weight = ctx.paths.loss_weight(path);
            passes.push(self.pass(ctx, path, weight, batch)?);
        }
        self.candidates = paths;
        ctx.descend(passes)
    }

    fn state(&self) -> SamplerState {
        let mut state = SamplerState::archs("anchor", self.anchor.as_slice());
        state.0.extend(SamplerState::archs("candidates", &self.candidates).0);
        state
    }

    fn restore(&mut self, state: &SamplerState) -> Result<(), SamplerError> {
        let [mut anchor, candidates] = state.to_arch_lists(["anchor", "candidates"], &self.space)?;
        (self.anchor, self.candidates) = (anchor.pop(), candidates);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arch(digits: &str) -> Arch {
        Arch::new(digits.bytes().map(|b| b - b'0').collect::<Vec<_>>())
    }

    fn rule() -> MagicAt {
        MagicAt::new(MagicAtConfig { weight: 0.5 }, SubSpace::from_op_counts(&[5; 3]).unwrap())
    }

    /// Shows the rule paths, each right on a number of images; returns the anchor and which paths were run for it.
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

    /// By hand.
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
        // The anchor is judged on the same batch, not by what it was right on before.
        assert_eq!(consider(&mut rule, &["001"], &[("000", 2), ("001", 3)]), (text("001"), asked));
        assert_eq!(consider(&mut rule, &["001"], &[]), (text("001"), vec![]), "nothing beats itself");
        let several = [("001", 3), ("002", 4), ("003", 6), ("004", 5)];
        assert_eq!(consider(&mut rule, &["002", "003", "004"], &several).0, text("003"));
        // Between steps that trained nothing the anchor stays.
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
        for foreign in [
            SamplerState::archs("anchor", &[arch("124")]),
            SamplerState::archs("archive", &[]),
            SamplerState::new([("anchor", &[1.0, 2.0]), ("candidates", &[])]),
            SamplerState::new([("anchor", &[1.0, 2.0, 9.0]), ("candidates", &[])]),
        ] {
            assert!(matches!(after.restore(&foreign), Err(SamplerError::State { .. })), "{foreign:?}");
        }
        assert_eq!(after.anchor, Some(arch("124")));
    }
}
