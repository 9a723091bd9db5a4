//! The layer-wise space of ProxylessNAS.

mod named;
mod spec;

pub use named::PROXYLESS_NAMED;
pub use spec::{MbConv, MobileActivation, MobileLayer, MobileSpec};

use crate::named::parse_unnamed;
use crate::{Arch, Decision, Equivalence, SearchSpace, SpaceError, find_named};

const NAME: &str = "proxyless";
const OP_NAMES: [&str; 7] = ["mb3_k3", "mb6_k3", "mb3_k5", "mb6_k5", "mb3_k7", "mb6_k7", "skip"];
const SKIP: u8 = 6;
const KERNELS: [usize; 3] = [3, 5, 7];
const EXPANSIONS: [usize; 2] = [3, 6];

/// A stage: consecutive layers of one width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProxylessStage {
    /// The number of output channels of each layer.
    pub width: usize,
    /// The number of layers.
    pub cells: usize,
    /// The stride of the first layer. The other layers have stride 1.
    pub stride: usize,
}

/// The widths that all architectures of a [`Proxyless`] space share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProxylessWidths {
    /// The number of channels of the stem.
    pub stem: usize,
    /// The number of channels of the first block, which has expansion 1 and kernel 3.
    pub first: usize,
    /// The stages.
    pub stages: [ProxylessStage; 6],
    /// The number of channels of the last 1×1 convolution.
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
    /// The widths of the original search, from `search/imagenet_arch_search.py` in `mit-han-lab/proxylessnas`.
    pub const SEARCH: Self =
        Self { stem: 32, first: 16, stages: stages([24, 40, 80, 96, 192, 320]), head: 1280 };
    /// The widths of ProxylessNAS-Mobile and of FairNAS.
    pub const MOBILE: Self =
        Self { stem: 32, first: 16, stages: stages([32, 40, 80, 96, 192, 320]), head: 1280 };
    /// The widths of ProxylessNAS-GPU and of the search of AGNAS.
    pub const GPU: Self =
        Self { stem: 40, first: 24, stages: stages([32, 56, 112, 128, 256, 432]), head: 1728 };

    /// Iterates over the layers, each as its stage and its index in the stage.
    pub fn layers(&self) -> impl Iterator<Item = (&ProxylessStage, usize)> {
        self.stages.iter().flat_map(|stage| (0..stage.cells).map(move |cell| (stage, cell)))
    }
}

/// The layer-wise space of ProxylessNAS: 21 inverted residual blocks.
///
/// Each layer chooses one of three kernels and one of two expansions. Layers that keep the size and the channels can also be skipped.
/// Digits 0 to 5 are `2 · k + e`, where k = 0, 1, 2 stands for kernel 3, 5, 7 and e = 0, 1 for expansion 3, 6. Digit 6 is skip.
///
/// # Source
/// Cai, Zhu & Han, *ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware*, ICLR 2019.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proxyless {
    widths: ProxylessWidths,
    n_ops: Vec<usize>,
}

impl Proxyless {
    /// Creates the space with these widths.
    pub fn new(widths: ProxylessWidths) -> Self {
        let n_ops = widths.layers().map(|(_, cell)| if cell == 0 { 6 } else { 7 }).collect();
        Self { widths, n_ops }
    }

    /// Returns the widths.
    pub fn widths(&self) -> &ProxylessWidths {
        &self.widths
    }

    /// Returns the kernel and the expansion of an operation, or `None` for skip.
    pub fn block(op: u8) -> Option<(usize, usize)> {
        let op = usize::from(op);
        (op < 6).then(|| (KERNELS[op / 2], EXPANSIONS[op % 2]))
    }

    /// Converts an architecture to a network, which lists skipped layers as well.
    ///
    /// # Errors
    /// Returns the error of [`SearchSpace::check`].
    pub fn spec(&self, arch: &Arch) -> Result<MobileSpec, SpaceError> {
        self.check(arch)?;
        let layer = |((stage, cell), &op): ((&ProxylessStage, usize), &u8)| match Self::block(op) {
            None => MobileLayer::Skip,
            Some((kernel, expansion)) => {
                let stride = if cell == 0 { stage.stride } else { 1 };
                MobileLayer::Block(MbConv { out: stage.width, kernel, stride, expansion, squeeze: None })
            }
        };
        let ProxylessWidths { stem, first, head, .. } = self.widths;
        let layers = self.widths.layers().zip(arch.choices()).map(layer).collect();
        let (activation, eps) = (MobileActivation::Relu6, MobileSpec::EPS);
        Ok(MobileSpec { stem, first: Some((3, first)), layers, head, activation, eps })
    }

    /// Converts a network to an architecture. The layers that a stage of the network lacks are skipped.
    ///
    /// # Errors
    /// Returns [`SpaceError::Malformed`] if the network is not in this space.
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
        if (spec.activation, spec.eps) != (MobileActivation::Relu6, MobileSpec::EPS) {
            return Err(error(format!("the space has relu6 and batch norms with ε = {:e}", MobileSpec::EPS)));
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
                        let found = next.map_or("the end".to_owned(), |layer| format!("{layer:?}"));
                        return Err(error(format!(
                            "expected a block of width {}, but found {found}",
                            stage.width
                        )));
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
            Some(layer) => Err(error(format!("{layer:?} belongs to no stage"))),
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
        _ => Err(format!("{block:?} is not an operation of a layer of stride {stride}")),
    }
}

impl SearchSpace for Proxyless {
    fn name(&self) -> &'static str {
        NAME
    }

    fn n_ops(&self) -> &[usize] {
        &self.n_ops
    }

    /// The first block of a stage, which changes the channels or the size, has kind 0. The others have kind 1.
    fn decisions(&self) -> Vec<Decision> {
        let kind = |(_, cell): (&ProxylessStage, usize)| u8::from(cell > 0);
        self.widths.layers().map(kind).map(Decision::operation).collect()
    }

    fn op_names(&self) -> &[&'static str] {
        &OP_NAMES
    }

    /// Parses 21 digits, a [`MobileSpec`], or the name of one of [`PROXYLESS_NAMED`].
    fn parse(&self, text: &str) -> Result<Arch, SpaceError> {
        let text = text.trim();
        if let Some(named) = find_named(PROXYLESS_NAMED, text) {
            return self.arch(&named.text.parse()?);
        }
        if text.contains(';') {
            return self.arch(&text.parse()?);
        }
        parse_unnamed(self, PROXYLESS_NAMED, text)
    }

    fn format(&self, arch: &Arch) -> Result<String, SpaceError> {
        Ok(self.spec(arch)?.to_string())
    }

    /// Every layer is active, because a skipped layer passes its input on.
    fn active(&self, arch: &Arch) -> Result<Vec<bool>, SpaceError> {
        self.check(arch)?;
        Ok(vec![true; arch.choices().len()])
    }

    /// With weights of its own, a network does not depend on which layers of a stage are skipped.
    fn canonical(&self, arch: &Arch, equivalence: Equivalence) -> Result<Arch, SpaceError> {
        self.check(arch)?;
        let mut choices = arch.choices().to_vec();
        if equivalence == Equivalence::OwnWeights {
            let mut rest = choices.as_mut_slice();
            for stage in &self.widths.stages {
                let (layers, later) = rest.split_at_mut(stage.cells);
                layers.sort_by_key(|&op| op == SKIP);
                rest = later;
            }
        }
        Ok(Arch::new(choices))
    }
}
