use anyhow::Context;
use pada_graph::{Lower, Shape};
use pada_models::{DartsNet, DartsSize, Nb201Net, Norms, ProxylessNet};
use pada_space::{
    Arch, CellGenotype, Darts, DartsOp, Genotype, Nb201, Proxyless, ProxylessWidths, SearchSpace,
};
use serde_json::Value;

use super::engine::Work;

/// The search space of the timed supernet. Default sizes are those of `peer_bench.py`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Space {
    Nb201,
    Darts,
    Proxyless,
}

/// Sizes that can be changed; the defaults are those of PyTorch's side.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct Extents {
    /// Images per batch.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    batch: Option<u32>,
    /// Cells per stage (nb201) or in all (darts).
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    cells: Option<u32>,
    /// C, channels of the first stage (nb201) or of a node of the first cell (darts).
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    channels: Option<u32>,
    /// Height and width of the images.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    size: Option<u32>,
}

#[cfg(test)]
impl Extents {
    /// A small network for tests.
    pub(crate) fn small() -> Self {
        Self { batch: Some(4), cells: Some(1), channels: Some(4), size: Some(8) }
    }
}

impl Space {
    /// The name it has in `peer_bench.py`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nb201 => "nb201",
            Self::Darts => "darts",
            Self::Proxyless => "proxyless",
        }
    }

    /// Returns the file with PyTorch's network.
    pub(crate) fn network(self) -> &'static str {
        match self {
            Self::Nb201 => "nb201_torch.py",
            Self::Darts => "darts_torch.py",
            Self::Proxyless => "mbconv_torch.py",
        }
    }

    pub(crate) fn space(self) -> Box<dyn SearchSpace> {
        match self {
            Self::Nb201 => Box::new(Nb201::new()),
            Self::Darts => Box::new(Darts),
            Self::Proxyless => Box::new(Proxyless::new(ProxylessWidths::SEARCH)),
        }
    }

    /// K
    pub(crate) fn classes(self) -> usize {
        match self {
            Self::Nb201 | Self::Darts => 10,
            Self::Proxyless => 1000,
        }
    }

    /// Images of a batch.
    pub(crate) fn batch(self, work: Work, extents: &Extents) -> usize {
        let train = match self {
            Self::Nb201 => 256,
            Self::Darts => 64,
            Self::Proxyless => 16,
        };
        let of_peer = match work {
            Work::Step => train,
            Work::Rank => 2 * train,
        };
        extents.batch.map_or(of_peer, |batch| batch as usize)
    }

    /// N of nb201, all cells of darts, layers of proxyless.
    pub(crate) fn cells(self, extents: &Extents) -> usize {
        let of_peer = match self {
            Self::Nb201 => 5,
            Self::Darts => DartsSize::SEARCH.layers,
            Self::Proxyless => return ProxylessWidths::SEARCH.layers().count(),
        };
        extents.cells.map_or(of_peer, |cells| cells as usize)
    }

    /// The supernet.
    pub(crate) fn net(self, extents: &Extents) -> Box<dyn Lower> {
        let or = |given: Option<u32>, own: usize| given.map_or(own, |given| given as usize);
        let square = |size| Shape::new(3, or(extents.size, size), or(extents.size, size));
        let (channels, cells, classes) = (or(extents.channels, 16), self.cells(extents), self.classes());
        match self {
            Self::Nb201 => Box::new(Nb201Net::new(channels, cells, square(32), classes, Norms::Plain)),
            Self::Darts => {
                let size =
                    DartsSize { channels, layers: cells, input: square(32), classes, ..DartsSize::CIFAR };
                Box::new(DartsNet::new(size, Norms::Plain))
            }
            Self::Proxyless => {
                let widths = ProxylessWidths::SEARCH;
                Box::new(ProxylessNet::new(&widths, square(224), classes, Norms::Running))
            }
        }
    }

    /// A path as `peer_bench.py --print-paths` prints it: a list of digits, or for darts its two cells.
    pub(crate) fn path(self, value: &Value) -> anyhow::Result<Arch> {
        let what = || format!("{value} is no path of {}", self.name());
        match self {
            Self::Nb201 | Self::Proxyless => {
                let digits: Vec<u8> = serde_json::from_value(value.clone()).with_context(what)?;
                let text = digits.iter().map(u8::to_string).collect::<String>();
                self.space().parse(&text).with_context(what)
            }
            Self::Darts => {
                let cell = |kind: &str| cell(&value[kind]).with_context(what);
                Ok(Darts::arch(&Genotype { normal: cell("normal")?, reduce: cell("reduce")? })?)
            }
        }
    }
}

/// A cell of the DARTS space from pairs of an operation and the node it reads, two for each node.
fn cell(pairs: &Value) -> Option<CellGenotype> {
    let pairs: Vec<(String, usize)> = serde_json::from_value(pairs.clone()).ok()?;
    let op = |name: &str| DartsOp::ALL.into_iter().find(|op| op.name() == name);
    let edges = pairs.iter().map(|(name, from)| Some((op(name)?, *from))).collect::<Option<Vec<_>>>()?;
    let concat = (2..2 + edges.len() / 2).collect();
    Some(CellGenotype { edges, concat })
}
