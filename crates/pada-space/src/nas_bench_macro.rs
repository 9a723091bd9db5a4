use crate::{Arch, Decision, Equivalence, SearchSpace, SpaceError, parse_digits};

const OP_NAMES: [&str; 3] = ["identity", "MB3_K3", "MB6_K5"];

/// The layer-wise space of NAS-Bench-Macro: 8 layers, 3 operations, 6,561 architectures.
///
/// Each layer is the identity (digit 0) or an inverted residual block of kernel 3 and expansion 3 (digit 1) or of kernel 5 and expansion
/// 6 (digit 2). In the first layer of a stage, which changes the size and the channels, the identity is a 1×1 convolution with its norm.
///
/// # Source
/// Su et al., *Prioritized Architecture Sampling with Monte-Carlo Tree Search*, CVPR 2021;
/// <https://github.com/xiusu/NAS-Bench-Macro>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NasBenchMacro;

impl NasBenchMacro {
    /// The number of layers of each stage. The first layer of a stage has stride 2 and doubles the channels.
    pub const STAGES: [usize; 3] = [2, 3, 3];

    /// Returns the kernel and the expansion of an operation, or `None` for the identity.
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

    /// The first layer of a stage, where the identity has weights as well, has kind 0. The others have kind 1.
    fn decisions(&self) -> Vec<Decision> {
        let kinds = Self::STAGES.into_iter().flat_map(|layers| (0..layers).map(|layer| u8::from(layer > 0)));
        kinds.map(Decision::operation).collect()
    }

    fn op_names(&self) -> &[&'static str] {
        &OP_NAMES
    }

    /// Parses eight digits, as the benchmark writes them.
    fn parse(&self, text: &str) -> Result<Arch, SpaceError> {
        parse_digits(self, text.trim())
    }

    fn format(&self, arch: &Arch) -> Result<String, SpaceError> {
        self.check(arch)?;
        Ok(arch.to_string())
    }

    /// Every layer is active, because the identity passes its input on.
    fn active(&self, arch: &Arch) -> Result<Vec<bool>, SpaceError> {
        self.check(arch)?;
        Ok(vec![true; arch.choices().len()])
    }

    /// With weights of its own, a network does not depend on which layers after the first of a stage are the identity.
    fn canonical(&self, arch: &Arch, equivalence: Equivalence) -> Result<Arch, SpaceError> {
        self.check(arch)?;
        let mut choices = arch.choices().to_vec();
        if equivalence == Equivalence::OwnWeights {
            let mut rest = choices.as_mut_slice();
            for layers in Self::STAGES {
                let (stage, later) = rest.split_at_mut(layers);
                stage[1..].sort_by_key(|&op| op != 0);
                rest = later;
            }
        }
        Ok(Arch::new(choices))
    }
}
