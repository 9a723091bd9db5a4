use pada_space::{Arch, Decision, DecisionKind, SearchSpace, SubSpace};

/// The decisions of a sub-space in the order in which a method makes them, with their choices.
///
/// Decisions that are always active come first, in the order of the space, and then the others: when a decision is made, it is known whether
/// it is active.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    decisions: Vec<Decision>,
    /// The decisions in the order in which they are made.
    pub(crate) order: Vec<usize>,
    /// The choices of each decision, `[E]`.
    pub(crate) allowed: Vec<Vec<u8>>,
    /// The index of the first choice of each decision in a list of all choices of all decisions, `[E]`.
    pub(crate) offsets: Vec<usize>,
    /// The number of choices of all decisions.
    pub(crate) len: usize,
    /// The group of each decision, `[E]`. Decisions of a group are of the same kind and have the same number of choices in the whole space.
    pub(crate) groups: Vec<usize>,
    /// The number of choices of the decisions of each group.
    pub(crate) group_sizes: Vec<usize>,
}

impl Layout {
    pub(crate) fn of(space: &dyn SearchSpace, sub_space: &SubSpace) -> Self {
        let decisions = space.decisions();
        let (always, sometimes): (Vec<usize>, Vec<usize>) =
            (0..decisions.len()).partition(|&decision| decisions[decision].condition.is_none());
        let order = [always, sometimes].concat();
        let allowed = sub_space.allowed().to_vec();
        let (mut offsets, mut len) = (vec![], 0);
        for choices in &allowed {
            offsets.push(len);
            len += choices.len();
        }
        let (mut kinds, mut groups): (Vec<(DecisionKind, usize)>, _) = (vec![], vec![]);
        for (decision, &n_ops) in decisions.iter().zip(space.n_ops()) {
            let kind = (decision.kind, n_ops);
            let group = kinds.iter().position(|&other| other == kind);
            groups.push(group.unwrap_or(kinds.len()));
            if group.is_none() {
                kinds.push(kind);
            }
        }
        let group_sizes = kinds.into_iter().map(|(_, n_ops)| n_ops).collect();
        Self { decisions, order, allowed, offsets, len, groups, group_sizes }
    }

    /// Returns whether a decision is active if the always active decisions have these choices.
    pub(crate) fn is_active(&self, decision: usize, choices: &[u8]) -> bool {
        let condition = self.decisions[decision].condition.as_ref();
        condition.is_none_or(|condition| condition.choices.contains(&choices[condition.decision]))
    }

    /// Encodes an architecture as the list of all choices of all decisions: 1 for the choice of an active decision, otherwise 0.
    pub(crate) fn one_hot(&self, arch: &Arch) -> Vec<f64> {
        let choices: Vec<Option<u8>> = arch.choices().iter().copied().map(Some).collect();
        self.one_hot_of_prefix(&choices)
    }

    /// Encodes an architecture of which some decisions are open (`None`). An open decision has the mean encoding of its choices, so that the
    /// prediction of a linear model is its mean over all ways to make the open decisions.
    pub(crate) fn one_hot_of_prefix(&self, choices: &[Option<u8>]) -> Vec<f64> {
        let mut encoding = vec![0.0; self.len];
        for (decision, allowed) in self.allowed.iter().enumerate() {
            let condition = self.decisions[decision].condition.as_ref();
            let is_inactive = condition.is_some_and(|condition| {
                choices[condition.decision].is_some_and(|choice| !condition.choices.contains(&choice))
            });
            if is_inactive {
                continue;
            }
            let here = &mut encoding[self.offsets[decision]..][..allowed.len()];
            match choices[decision] {
                None => here.fill(1.0 / allowed.len() as f64),
                Some(choice) => {
                    if let Some(place) = allowed.iter().position(|&other| other == choice) {
                        here[place] = 1.0;
                    }
                }
            }
        }
        encoding
    }
}
