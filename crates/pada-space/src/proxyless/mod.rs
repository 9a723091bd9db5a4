//! The space of ProxylessNAS: layers of MobileNet blocks.

mod named;
mod spec;

pub use named::PROXYLESS_NAMED;
pub use spec::{MbConv, MobileLayer, MobileSpec};

use crate::{Arch, Decision, DecisionKind, Equivalence, SearchSpace, SpaceError, find_named};

const NAME: &str = "proxyless";
const OP_NAMES: [&str; 7] = ["mb3_k3", "mb6_k3", "mb3_k5", "mb6_k5", "mb3_k7", "mb6_k7", "skip"];
const SKIP: u8 = 6;
const KERNELS: [usize; 3] = [3, 5, 7];
const EXPANSIONS: [usize; 2] = [3, 6];

/// Layers of one width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxylessStage {
    /// Channels.
    pub width: usize,
    /// Layers.
    pub cells: usize,
    /// Stride of the first of them.
    pub stride: usize,
}

/// What all architectures of the space share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxylessWidths {
    /// Channels of the stem.
    pub stem: usize,
    /// Channels of the first block, of expansion 1 and kernel 3.
    pub first: usize,
    /// The stages.
    pub stages: [ProxylessStage; 6],
    /// Channels of the last 1×1 convolution.
    pub head: usize,
}

const fn stages(widths: [usize; 6]) -> [ProxylessStage; 6] {
    const CELLS: [usize; 6] = [4, 4, 4, 4, 4, 1];
    const STRIDES: [usize; 6] = [2, 2, 2, 1, 2, 1];
    let mut stages = [ProxylessStage { width: 0, cells: 0, stride: 1 }; 6];
    let mut i = 0;
    while i < stages.len() {
        stages[i] = ProxylessStage { width: widths[i], cells: CELLS[i], stride: STRIDES[i] };
        i += 1;
    }
    stages
}

impl ProxylessWidths {
    /// Of the search: `mit-han-lab/proxylessnas`, `search/imagenet_arch_search.py`.
    pub const SEARCH: Self =
        Self { stem: 32, first: 16, stages: stages([24, 40, 80, 96, 192, 320]), head: 1280 };
    /// Of ProxylessNAS-Mobile and of FairNAS.
    pub const MOBILE: Self =
        Self { stem: 32, first: 16, stages: stages([32, 40, 80, 96, 192, 320]), head: 1280 };
    /// Of ProxylessNAS-GPU, and of the search of AGNAS.
    pub const GPU: Self =
        Self { stem: 40, first: 24, stages: stages([32, 56, 112, 128, 256, 432]), head: 1728 };

    /// The stage and the place in it of every layer.
    pub fn layers(&self) -> impl Iterator<Item = (&ProxylessStage, usize)> {
        self.stages.iter().flat_map(|stage| (0..stage.cells).map(move |cell| (stage, cell)))
    }
}

/// 21 layers, each an inverted residual block with one of six kernels and expansions; where channels and size stay, also nothing.
///
/// Digits 0 to 5 are `2 · kernel + expansion`, kernel 0, 1, 2 for 3, 5, 7 and expansion 0, 1 for 3, 6; digit 6 is skip.
///
/// # Source
/// Cai, Zhu & Han, ProxylessNAS, ICLR 2019
#[derive(Clone, Debug)]
pub struct Proxyless {
    widths: ProxylessWidths,
    n_ops: Vec<usize>,
}

impl Proxyless {
    /// The space with these widths.
    pub fn new(widths: ProxylessWidths) -> Self {
        let n_ops = widths.layers().map(|(_, cell)| if cell == 0 { 6 } else { 7 }).collect();
        Self { widths, n_ops }
    }

    /// What its architectures share.
    pub fn widths(&self) -> &ProxylessWidths {
        &self.widths
    }

    /// Kernel and expansion of an operation; none for skip.
    pub fn block(op: u8) -> Option<(usize, usize)> {
        let op = usize::from(op);
        (op < 6).then(|| (KERNELS[op / 2], EXPANSIONS[op % 2]))
    }

    /// The network of an architecture, with `skip` for every layer that is not there.
    ///
    /// # Panics
    /// If `arch` is of another space.
    pub fn spec(&self, arch: &Arch) -> MobileSpec {
        let layer = |((stage, cell), &op): ((&ProxylessStage, usize), &u8)| match Self::block(op) {
            None => MobileLayer::Skip,
            Some((kernel, expansion)) => {
                let stride = if cell == 0 { stage.stride } else { 1 };
                MobileLayer::Block(MbConv { out: stage.width, kernel, stride, expansion, squeeze: None })
            }
        };
        let ProxylessWidths { stem, first, head, .. } = self.widths;
        let layers = self.widths.layers().zip(arch.choices()).map(layer).collect();
        MobileSpec { stem, first: Some((3, first)), layers, head }
    }

    /// The architecture of a network; layers that a stage of it does not have are skipped.
    ///
    /// # Errors
    /// [`SpaceError::Malformed`] for one that is not of this space.
    pub fn arch(&self, spec: &MobileSpec) -> Result<Arch, SpaceError> {
        let error = |reason| SpaceError::Malformed {
            text: spec.to_string(),
            reason,
            space: NAME,
            example: "111111111111111111111",
        };
        let ProxylessWidths { stem, first, head, .. } = self.widths;
        if (spec.stem, spec.first, spec.head) != (stem, Some((3, first)), head) {
            let shared = format!("stem {stem}, a first block of kernel 3 to {first}, head {head}");
            return Err(error(format!("the space has {shared}")));
        }
        let mut choices = Vec::new();
        let mut layers = spec.layers.iter().peekable();
        for stage in &self.widths.stages {
            for cell in 0..stage.cells {
                choices.push(match layers.peek() {
                    Some(MobileLayer::Block(block)) if block.out == stage.width => {
                        layers.next();
                        let stride = if cell == 0 { stage.stride } else { 1 };
                        digit(block, stride).map_err(error)?
                    }
                    next if cell == 0 => {
                        let found = next.map_or("nothing".to_owned(), |layer| format!("{layer:?}"));
                        return Err(error(format!("a block of width {} follows, not {found}", stage.width)));
                    }
                    Some(MobileLayer::Skip) => {
                        layers.next();
                        SKIP
                    }
                    _ => SKIP,
                });
            }
        }
        match layers.next() {
            Some(layer) => Err(error(format!("{layer:?} has no place"))),
            None => Ok(Arch::new(choices)),
        }
    }
}

fn digit(block: &MbConv, stride: usize) -> Result<u8, String> {
    let place = |list: &[usize], value| list.iter().position(|&v| v == value);
    let found = (place(&KERNELS, block.kernel), place(&EXPANSIONS, block.expansion));
    match found {
        (Some(kernel), Some(expansion)) if block.stride == stride && block.squeeze.is_none() => {
            Ok((2 * kernel + expansion) as u8)
        }
        _ => Err(format!("{block:?} is no operation where the stride is {stride}")),
    }
}

impl SearchSpace for Proxyless {
    fn name(&self) -> &'static str {
        NAME
    }

    fn n_ops(&self) -> &[usize] {
        &self.n_ops
    }

    /// Two kinds: the first block of a stage, which changes channels or size, and the others.
    fn positions(&self) -> Vec<Decision> {
        let kind = |(_, cell): (&ProxylessStage, usize)| u8::from(cell > 0);
        let layers = self.widths.layers().map(kind);
        layers
            .map(|kind| Decision { chooses: DecisionKind::Operation { kind }, active_where: None })
            .collect()
    }

    fn op_names(&self) -> &[&'static str] {
        &OP_NAMES
    }

    /// 21 digits, a [`MobileSpec`], or the name of one of [`PROXYLESS_NAMED`].
    fn parse(&self, text: &str) -> Result<Arch, SpaceError> {
        let text = text.trim();
        if let Some(named) = find_named(PROXYLESS_NAMED, text) {
            return self.arch(&named.text.parse()?);
        }
        if text.contains(';') {
            return self.arch(&text.parse()?);
        }
        crate::named::parse_unnamed(self, PROXYLESS_NAMED, text)
    }

    fn format(&self, arch: &Arch) -> String {
        self.spec(arch).to_string()
    }

    /// Every layer, for even a skip lets its input through.
    fn active(&self, arch: &Arch) -> Vec<bool> {
        vec![true; arch.choices().len()]
    }

    /// With own weights it does not matter which layers of a stage are skipped.
    fn canonical(&self, arch: &Arch, equivalence: Equivalence) -> Arch {
        let mut choices = arch.choices().to_vec();
        if equivalence == Equivalence::OwnWeights {
            let mut rest = choices.as_mut_slice();
            for stage in &self.widths.stages {
                let (own, behind) = rest.split_at_mut(stage.cells);
                own.sort_by_key(|&op| op == SKIP);
                rest = behind;
            }
        }
        Arch::new(choices)
    }
}
