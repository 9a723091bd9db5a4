use crate::{Arch, Decision, DecisionKind, Equivalence, SearchSpace, SpaceError};

const OP_NAMES: [&str; 3] = ["identity", "MB3_K3", "MB6_K5"];

/// NAS-Bench-Macro: 8 layers, each identity or an inverted residual block; 6,561 architectures.
///
/// Digits: 0 identity (where size and channels change, a 1×1 convolution and its norm), 1 kernel 3 and expansion 3, 2 kernel 5 and
/// expansion 6.
///
/// # Source
/// Su et al., Prioritized Architecture Sampling with Monte-Carlo Tree Search, CVPR 2021;
/// <https://github.com/xiusu/NAS-Bench-Macro>
#[derive(Clone, Copy, Debug, Default)]
pub struct NasBenchMacro;

impl NasBenchMacro {
    /// Layers of each stage; the first of a stage has stride 2 and doubles the channels.
    pub const STAGES: [usize; 3] = [2, 3, 3];

    /// Kernel and expansion of an operation; none for identity.
    pub fn block(op: u8) -> Option<(usize, usize)> {
        match op {
            1 => Some((3, 3)),
            2 => Some((5, 6)),
            _ => None,
        }
    }
}

impl SearchSpace for NasBenchMacro {
    fn name(&self) -> &'static str {
        "macro"
    }

    fn n_ops(&self) -> &[usize] {
        const N_OPS: [usize; 8] = [OP_NAMES.len(); 8];
        &N_OPS
    }

    /// Two kinds: the first layer of a stage, where even identity has weights, and the others.
    fn positions(&self) -> Vec<Decision> {
        let kinds = Self::STAGES.into_iter().flat_map(|layers| (0..layers).map(|layer| u8::from(layer > 0)));
        kinds.map(|kind| Decision { chooses: DecisionKind::Operation { kind }, active_where: None }).collect()
    }

    fn op_names(&self) -> &[&'static str] {
        &OP_NAMES
    }

    /// Eight digits, as the benchmark writes them.
    fn parse(&self, text: &str) -> Result<Arch, SpaceError> {
        crate::digits::parse(self, text.trim())
    }

    fn format(&self, arch: &Arch) -> String {
        arch.to_string()
    }

    /// Every layer, for even identity lets its input through.
    fn active(&self, arch: &Arch) -> Vec<bool> {
        vec![true; arch.choices().len()]
    }

    /// With own weights it does not matter which layers behind the first of a stage are identity.
    fn canonical(&self, arch: &Arch, equivalence: Equivalence) -> Arch {
        let mut choices = arch.choices().to_vec();
        if equivalence == Equivalence::OwnWeights {
            let mut rest = choices.as_mut_slice();
            for layers in Self::STAGES {
                let (own, behind) = rest.split_at_mut(layers);
                own[1..].sort_by_key(|&op| op != 0);
                rest = behind;
            }
        }
        Arch::new(choices)
    }
}
