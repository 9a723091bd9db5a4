//! Pictures of architectures.

use pada_report::{
    ArchPicture, BlockPicture, CellPicture, ChainPicture, EdgePicture, OpKind, PicturePart, RunRecord,
};
use pada_space::{
    Arch, CellGenotype, DartsCells, DartsOp, MbConv, MobileLayer, MobileSpec, NasBenchMacro, Nb201,
    Nb201Encoding, SearchSpace,
};

use crate::config::Config;
use crate::error::PadaError;
use crate::eval::notation::{ReadArch, ReadNetwork};

/// The longest name that is drawn as a title. A genotype is longer.
const LONGEST_TITLE: usize = 40;

impl ReadArch {
    /// Creates the picture of the architecture: the cells of `nb201` and `darts`, and the chain of blocks of `proxyless` and `macro`. A name
    /// longer than 40 characters, such as a genotype, is left out of the title.
    ///
    /// # Errors
    /// Returns [`PadaError::Space`] if the architecture is not in its space, which [`ReadArch::parse`] excludes.
    pub fn picture(&self) -> Result<ArchPicture, PadaError> {
        let title = if self.name().len() > LONGEST_TITLE { "" } else { self.name() }.to_owned();
        let parts = match &self.network {
            ReadNetwork::Nb201(arch) => vec![PicturePart::Cell(nb201_cell(arch)?)],
            ReadNetwork::Darts(DartsCells::Genotype(genotype)) => vec![
                PicturePart::Cell(darts_cell("normal cell", &genotype.normal)),
                PicturePart::Cell(darts_cell("reduction cell", &genotype.reduce)),
            ],
            ReadNetwork::Darts(DartsCells::Stages(cells)) => {
                let titles = [
                    "cell before the first reduction",
                    "cell of the first reduction",
                    "cell between the reductions",
                    "cell of the second reduction",
                    "cell after the second reduction",
                ];
                let cells = titles.iter().zip(cells);
                cells.map(|(title, cell)| PicturePart::Cell(darts_cell(title, cell))).collect()
            }
            ReadNetwork::Proxyless(spec) => vec![PicturePart::Chain(mobile_chain(spec))],
            ReadNetwork::Macro(arch) => vec![PicturePart::Chain(macro_chain(arch)?)],
        };
        Ok(ArchPicture { title, parts })
    }
}

/// Creates the picture of the best architecture of a ranking. `None` before the ranking, and for a record that another version wrote if its
/// architecture cannot be read.
pub(crate) fn best_picture(config: &Config, record: Option<&RunRecord>) -> Option<ArchPicture> {
    let best = record?.ranking.as_ref()?.best.first()?;
    let title = match &config {
        Config::Run(_) => "Best architecture",
        Config::Retrain(_) => "Architecture",
    };
    titled(config, &best.arch, title)
}

/// Creates the picture of the architecture that a differentiable search has found so far. `None` for other runs.
pub(crate) fn found_picture(config: &Config, record: Option<&RunRecord>) -> Option<ArchPicture> {
    titled(config, &record?.found()?.arch, "Strongest architecture")
}

fn titled(config: &Config, arch: &str, title: &str) -> Option<ArchPicture> {
    let space = config.space().ok()?;
    let text = space.format(&space.parse(arch).ok()?).ok()?;
    let read = ReadArch::parse(config.network().space, &text, Nb201Encoding::Benchmark).ok()?;
    Some(ArchPicture { title: title.to_owned(), ..read.picture().ok()? })
}

fn nb201_cell(arch: &Arch) -> Result<CellPicture, PadaError> {
    let active = Nb201::new().active(arch)?;
    let edges = Nb201::EDGES.into_iter().zip(Nb201::ops(arch)?).zip(active);
    let edge = |(((from, to), op), active): (((usize, usize), pada_space::Nb201Op), bool)| {
        let kind = if active { kind_of(op.name()) } else { OpKind::Inactive };
        EdgePicture { from, to, op: op.name().to_owned(), kind }
    };
    Ok(CellPicture {
        title: String::new(),
        nodes: (0..Nb201::NODES).map(|node| node.to_string()).collect(),
        edges: edges.map(edge).collect(),
        output: None,
    })
}

/// A node or edge is inactive if no concatenated node reads it, or if only `none` feeds it.
fn darts_cell(title: &str, cell: &CellGenotype) -> CellPicture {
    let nodes = cell.nodes() + 2;
    let edges: Vec<(usize, usize, DartsOp)> =
        cell.edges.iter().enumerate().map(|(i, &(op, from))| (from, i / 2 + 2, op)).collect();
    let mut fed: Vec<bool> = (0..nodes).map(|node| node < 2).collect();
    let mut used: Vec<bool> = (0..nodes).map(|node| cell.concat.contains(&node)).collect();
    // Edges are in order of their target.
    for &(from, to, op) in &edges {
        fed[to] |= fed[from] && op != DartsOp::None;
    }
    for &(from, to, op) in edges.iter().rev() {
        used[from] |= used[to] && op != DartsOp::None;
    }
    let edge = |&(from, to, op): &(usize, usize, DartsOp)| {
        let active = op != DartsOp::None && fed[from] && used[to];
        let kind = if active { kind_of(op.name()) } else { OpKind::Inactive };
        EdgePicture { from, to, op: op.name().to_owned(), kind }
    };
    let names = ["c_{k-2}", "c_{k-1}"].into_iter().map(str::to_owned);
    CellPicture {
        title: title.to_owned(),
        nodes: names.chain((2..nodes).map(|node| (node - 2).to_string())).collect(),
        edges: edges.iter().map(edge).collect(),
        output: Some(("c_{k}".to_owned(), cell.concat.clone())),
    }
}

fn kind_of(op: &str) -> OpKind {
    match op {
        "none" => OpKind::Inactive,
        "skip_connect" => OpKind::Identity,
        _ if op.contains("pool") => OpKind::Pooling,
        _ => OpKind::Convolution,
    }
}

fn block(op: impl Into<String>, detail: impl Into<String>) -> BlockPicture {
    BlockPicture { op: op.into(), detail: detail.into(), kind: OpKind::Convolution }
}

/// Describes the channels and the stride of a block.
fn size(channels: usize, stride: usize) -> String {
    if stride == 1 { format!("{channels} channels") } else { format!("{channels}, stride {stride}") }
}

/// A stage starts where the width or the size of the image changes.
fn mobile_chain(spec: &MobileSpec) -> ChainPicture {
    let mut first = vec![block("conv 3×3", size(spec.stem, 2))];
    let (mut width, mut rows) = (spec.stem, vec![]);
    if let Some((kernel, out)) = spec.first {
        first.push(block(format!("MB1 {kernel}×{kernel}"), size(out, 1)));
        width = out;
    }
    rows.push(first);
    for layer in &spec.layers {
        let next = match layer {
            MobileLayer::Skip => {
                BlockPicture { kind: OpKind::Identity, ..block("skip", format!("{width} channels")) }
            }
            MobileLayer::Block(MbConv { out, kernel, stride, expansion, squeeze }) => {
                if *out != width || *stride != 1 {
                    rows.push(vec![]);
                }
                width = *out;
                let squeeze = if squeeze.is_some() { " SE" } else { "" };
                block(format!("MB{expansion} {kernel}×{kernel}{squeeze}"), size(*out, *stride))
            }
        };
        match rows.last_mut() {
            Some(row) => row.push(next),
            None => rows.push(vec![next]),
        }
    }
    rows.push(vec![
        block("conv 1×1", size(spec.head, 1)),
        BlockPicture { kind: OpKind::Pooling, ..block("average pool", "all positions") },
        block("linear", "classes"),
    ]);
    ChainPicture { title: String::new(), rows }
}

/// The channels of the stem and the head of the benchmark's network, which has one size.
const MACRO_STEM: usize = 32;
const MACRO_HEAD: usize = 1280;

fn macro_chain(arch: &Arch) -> Result<ChainPicture, PadaError> {
    NasBenchMacro.check(arch)?;
    let (mut width, mut rows) = (MACRO_STEM, vec![vec![block("conv 3×3", size(MACRO_STEM, 1))]]);
    let mut choices = arch.choices().iter();
    for layers in NasBenchMacro::STAGES {
        width *= 2;
        let layer = |(layer, &op): (usize, &u8)| {
            let detail = size(width, if layer == 0 { 2 } else { 1 });
            match NasBenchMacro::block(op) {
                Some((kernel, expansion)) => block(format!("MB{expansion} {kernel}×{kernel}"), detail),
                None if layer == 0 => block("conv 1×1", detail),
                None => BlockPicture { kind: OpKind::Identity, ..block("identity", detail) },
            }
        };
        rows.push(choices.by_ref().take(layers).enumerate().map(layer).collect());
    }
    rows.push(vec![
        block("conv 1×1", size(MACRO_HEAD, 1)),
        BlockPicture { kind: OpKind::Pooling, ..block("average pool", "all positions") },
        block("linear", "classes"),
    ]);
    Ok(ChainPicture { title: String::new(), rows })
}
