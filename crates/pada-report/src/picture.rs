//! Pictures of architectures as SVG. Labels are SVG text, the layout depends on the architecture alone, and the colours follow the light or dark
//! theme of the reader.

use maud::{Markup, PreEscaped, html};

/// The style sheet of pictures, which have the class `arch-picture`.
pub(crate) const STYLE: &str = include_str!("picture.css");

/// An architecture as data of a picture. It knows no search space: nodes, operations and blocks have the names that are drawn.
///
/// ```
/// use pada_report::{ArchPicture, CellPicture, EdgePicture, OpKind, PicturePart};
///
/// let edge = EdgePicture { from: 0, to: 1, op: "nor_conv_3x3".into(), kind: OpKind::Convolution };
/// let cell = CellPicture { nodes: vec!["0".into(), "1".into()], edges: vec![edge], ..CellPicture::default() };
/// let picture = ArchPicture { title: "3".into(), parts: vec![PicturePart::Cell(cell)] };
/// assert!(picture.to_svg().contains("nor_conv_3x3"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchPicture {
    /// Heading of the picture, for example the name of the architecture. An empty heading is not drawn.
    pub title: String,
    /// The parts, which are drawn below each other.
    pub parts: Vec<PicturePart>,
}

/// A part of an [`ArchPicture`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PicturePart {
    /// A cell: a graph of nodes whose edges are operations.
    Cell(CellPicture),
    /// A chain of blocks.
    Chain(ChainPicture),
}

/// The graph of a cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CellPicture {
    /// Heading of the cell. An empty heading is not drawn.
    pub title: String,
    /// Names of the nodes. Nodes without an incoming edge are inputs, and come first.
    pub nodes: Vec<String>,
    /// The edges. Every edge leads to a later node.
    pub edges: Vec<EdgePicture>,
    /// The name of the output and the nodes that it concatenates. `None` if the last node is the output.
    pub output: Option<(String, Vec<usize>)>,
}

/// An edge of a [`CellPicture`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgePicture {
    /// Index of the source node.
    pub from: usize,
    /// Index of the target node.
    pub to: usize,
    /// Name of the operation.
    pub op: String,
    /// Kind of the operation, which decides about the colour of the edge.
    pub kind: OpKind,
}

/// A chain of blocks, which is read row by row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainPicture {
    /// Heading of the chain. An empty heading is not drawn.
    pub title: String,
    /// The blocks. Each inner list starts a new row, for example one per stage. Longer lists are wrapped.
    pub rows: Vec<Vec<BlockPicture>>,
}

/// A block of a [`ChainPicture`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockPicture {
    /// Name of the operation.
    pub op: String,
    /// The second line of the block, for example the number of channels and the stride.
    pub detail: String,
    /// Kind of the operation, which decides about the colour of the frame.
    pub kind: OpKind,
}

/// Kind of an operation in a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpKind {
    /// The operation has a convolution.
    Convolution,
    /// The operation is a pooling.
    Pooling,
    /// The operation passes its input on.
    Identity,
    /// The operation cannot influence the output of the network. It is drawn with a dashed line.
    Inactive,
}

impl OpKind {
    fn class(self) -> &'static str {
        match self {
            Self::Convolution => "convolution",
            Self::Pooling => "pooling",
            Self::Identity => "identity",
            Self::Inactive => "inactive",
        }
    }
}

// Sizes in SVG units. A unit is a pixel if the picture is shown at its own width.
const MARGIN: f64 = 12.0;
/// Height of a heading.
const HEADING: f64 = 30.0;
/// Space between two parts.
const BETWEEN: f64 = 18.0;
/// Width of a character of the labels, rounded up. Fonts differ, so labels have some room.
const CHARACTER: f64 = 8.8;
/// Height of a row of a cell: an edge with its label above.
const ROW: f64 = 32.0;
/// Height of the box of a node.
const NODE: f64 = 28.0;
/// Space between an arrow head and the label beside it.
const ARROW: f64 = 12.0;
/// Radius of the corner of an edge.
const CORNER: f64 = 7.0;
/// Largest number of blocks in a row of a chain.
const BLOCKS: usize = 4;
/// Width of a block, height of a block, and the space beside and below it.
const BLOCK: (f64, f64, f64) = (128.0, 46.0, 22.0);

/// A drawn part.
struct Drawn {
    width: f64,
    height: f64,
    content: Markup,
}

impl ArchPicture {
    /// Draws the picture as a standalone SVG file.
    pub fn to_svg(&self) -> String {
        svg_of(std::slice::from_ref(self))
    }
}

/// Draws several architectures below each other as one standalone SVG file.
pub fn svg_of(pictures: &[ArchPicture]) -> String {
    let (mut width, mut y) = (2.0 * MARGIN, MARGIN);
    let mut content = Vec::new();
    for picture in pictures {
        if !picture.title.is_empty() {
            content.push(heading(&picture.title, y));
            width = width.max(text_width(&picture.title) + 2.0 * MARGIN);
            y += HEADING;
        }
        for part in &picture.parts {
            let drawn = part.draw(Heading::Drawn);
            content.push(html! { g transform={ "translate(0 " (y) ")" } { (drawn.content) } });
            width = width.max(drawn.width);
            y += drawn.height + BETWEEN;
        }
    }
    let height = (y - BETWEEN).max(0.0) + MARGIN;
    let titles: Vec<&str> = pictures.iter().map(|picture| picture.title.as_str()).collect();
    html! {
        svg class="arch-picture" xmlns="http://www.w3.org/2000/svg" width=(width) height=(height)
            viewBox={ "0 0 " (width) " " (height) } role="img" {
            title { (titles.join(", ")) }
            style { (PreEscaped(STYLE)) }
            rect class="paper" width="100%" height="100%" {}
            @for part in content { (part) }
        }
    }
    .into_string()
}

/// The place of the heading of a part: in the picture, or in the caption of a page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heading {
    Drawn,
    LeftOut,
}

impl PicturePart {
    /// Returns the heading.
    pub(crate) fn title(&self) -> &str {
        match self {
            Self::Cell(cell) => &cell.title,
            Self::Chain(chain) => &chain.title,
        }
    }

    /// Draws the part for a page that contains [`STYLE`].
    pub(crate) fn inline(&self) -> Markup {
        let Drawn { width, height, content } = self.draw(Heading::LeftOut);
        html! {
            svg class="arch-picture" width=(width) viewBox={ "0 0 " (width) " " (height) } role="img"
                aria-label=(self.description()) {
                (content)
            }
        }
    }

    /// Describes the part in words.
    fn description(&self) -> String {
        match self {
            Self::Cell(cell) => {
                let name = |node: usize| cell.nodes.get(node).map_or("?", String::as_str);
                let edge =
                    |edge: &EdgePicture| format!("{} from {} to {}", edge.op, name(edge.from), name(edge.to));
                cell.edges.iter().map(edge).collect::<Vec<_>>().join(", ")
            }
            Self::Chain(chain) => {
                let blocks = chain.rows.iter().flatten().map(|block| block.op.as_str());
                blocks.collect::<Vec<_>>().join(", ")
            }
        }
    }

    fn draw(&self, shown: Heading) -> Drawn {
        let drawn = match self {
            Self::Cell(cell) => cell.draw(),
            Self::Chain(chain) => chain.draw(),
        };
        if shown == Heading::LeftOut || self.title().is_empty() {
            return drawn;
        }
        Drawn {
            width: drawn.width.max(text_width(self.title()) + 2.0 * MARGIN),
            height: drawn.height + HEADING,
            content: html! {
                (heading(self.title(), 0.0))
                g transform={ "translate(0 " (HEADING) ")" } { (drawn.content) }
            },
        }
    }
}

fn text_width(text: &str) -> f64 {
    CHARACTER * text.chars().count() as f64
}

fn heading(text: &str, y: f64) -> Markup {
    html! { text class="heading" x=(MARGIN) y=(y + 17.0) { (text) } }
}

/// A label beside a point. `anchor` is `start`, `middle` or `end`.
fn label(text: &str, (x, y): (f64, f64), anchor: &str, kind: Option<OpKind>) -> Markup {
    let class = (kind == Some(OpKind::Inactive)).then_some("soft");
    html! { text class=[class] x=(x) y=(y) text-anchor=(anchor) { (text) } }
}

/// A box with its name in the middle.
fn node(name: &str, (x, y): (f64, f64), (width, height): (f64, f64)) -> Markup {
    html! {
        rect class="node" x=(x) y=(y) width=(width) height=(height) rx="6" {}
        (label(name, (x + width / 2.0, y + height / 2.0 + 5.0), "middle", None))
    }
}

impl CellPicture {
    /// Draws the nodes as boxes on a diagonal. The output of a node leads down from its box, and each edge leads from there to the right, in a
    /// row of its own, to the left side of its target. So no two labels overlap.
    fn draw(&self) -> Drawn {
        let inputs = self.inputs();
        let mut edges: Vec<&EdgePicture> =
            self.edges.iter().filter(|e| e.from < e.to && e.to < self.nodes.len()).collect();
        edges.sort_by_key(|edge| (edge.to, edge.from));
        let width_of = |node: usize| text_width(&self.nodes[node]).max(16.0) + 18.0;
        let longest = edges.iter().map(|edge| text_width(&edge.op)).fold(0.0, f64::max);

        // The centre of each node, from left to right. A label fits between the centre of a node and the box of the next.
        let mut centres: Vec<f64> = Vec::new();
        for node in 0..self.nodes.len() {
            let half = width_of(node) / 2.0;
            centres.push(match centres.last() {
                None => MARGIN + half,
                Some(last) if node < inputs => last + width_of(node - 1) / 2.0 + 14.0 + half,
                Some(last) => last + longest + ARROW + 8.0 + half,
            });
        }
        let top = |row: usize| NODE + 8.0 + ROW * row as f64;
        let line = |row: usize| top(row) + ROW - 10.0;
        // The rows of each node, and the lowest point that its output leads to.
        let rows_of = |node: usize| {
            let own = edges.iter().enumerate().filter(move |(_, edge)| edge.to == node).map(|(row, _)| row);
            (own.clone().min(), own.max())
        };
        let place = |node: usize| match rows_of(node) {
            (Some(first), Some(last)) => (top(first) + 8.0, line(last) + 8.0),
            _ => (0.0, NODE),
        };
        let bottom = top(edges.len()) + 10.0;
        let mut content = Vec::new();
        let concat: &[usize] = self.output.as_ref().map_or(&[], |(_, nodes)| nodes);
        for (node, &x) in centres.iter().enumerate() {
            let from = place(node).1;
            // The longest line leads down to the last edge of this node, or to the output. The other edges branch off it.
            let last = edges.iter().rposition(|edge| edge.from == node);
            let whole = concat.contains(&node);
            if whole {
                content.push(html! { path class="edge plain" d={ "M" (x) " " (from) "V" (bottom) } {} });
                content.push(arrow((x, bottom), Direction::Down, "plain"));
            } else if let Some(last) = last {
                let end = line(last) - CORNER;
                content.push(html! { path class="edge plain" d={ "M" (x) " " (from) "V" (end) } {} });
            }
        }
        for (row, edge) in edges.iter().enumerate() {
            let (x, y) = (centres[edge.from], line(row));
            let end = centres[edge.to] - width_of(edge.to) / 2.0;
            let class = edge.kind.class();
            content.push(html! {
                path class={ "edge " (class) }
                    d={ "M" (x) " " (y - CORNER) "q0 " (CORNER) " " (CORNER) " " (CORNER) "H" (end) } {}
                (arrow((end, y), Direction::Right, class))
                (label(&edge.op, (end - ARROW, y - 5.0), "end", Some(edge.kind)))
            });
        }
        for (i, name) in self.nodes.iter().enumerate() {
            let (start, end) = place(i);
            let width = width_of(i);
            content.push(node(name, (centres[i] - width / 2.0, start), (width, end - start)));
        }
        let right = centres.last().map_or(0.0, |x| x + width_of(self.nodes.len() - 1) / 2.0);
        let mut height = if edges.is_empty() { NODE } else { place(self.nodes.len() - 1).1 };
        if let Some((name, _)) = &self.output {
            content.push(node(name, (MARGIN, bottom), (right - MARGIN, NODE)));
            height = bottom + NODE;
        }
        if edges.iter().any(|edge| edge.kind == OpKind::Inactive) {
            height += 24.0;
            let about = "dashed: does not influence the output";
            content.push(label(about, (MARGIN, height - 4.0), "start", Some(OpKind::Inactive)));
        }
        Drawn {
            width: right + MARGIN,
            height: height + 2.0,
            content: html! { @for part in content { (part) } },
        }
    }

    /// The number of nodes without an incoming edge before the first node with one.
    fn inputs(&self) -> usize {
        let first = self.edges.iter().map(|edge| edge.to).min();
        first.unwrap_or(self.nodes.len()).min(self.nodes.len())
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Right,
    Down,
}

/// The head of an arrow that ends at a point.
fn arrow((x, y): (f64, f64), direction: Direction, class: &str) -> Markup {
    let path = match direction {
        Direction::Right => format!("M{} {}l7 4l-7 4", x - 7.0, y - 4.0),
        Direction::Down => format!("M{} {}l4 7l4 -7", x - 4.0, y - 7.0),
    };
    html! { path class={ "arrow " (class) } d=(path) {} }
}

impl ChainPicture {
    /// Draws the blocks as boxes in rows, with arrows in the order of the computation.
    fn draw(&self) -> Drawn {
        let (width, height, space) = BLOCK;
        let rows: Vec<&[BlockPicture]> = self.rows.iter().flat_map(|row| row.chunks(BLOCKS)).collect();
        let place = |row: usize, column: usize| {
            (MARGIN + column as f64 * (width + space), row as f64 * (height + space))
        };
        let mut content = Vec::new();
        for (row, blocks) in rows.iter().enumerate() {
            for (column, block) in blocks.iter().enumerate() {
                let (x, y) = place(row, column);
                let middle = y + height / 2.0;
                if column > 0 {
                    let d = format!("M{} {middle}H{x}", x - space);
                    content.push(html! {
                        path class="edge plain" d=(d) {}
                        (arrow((x, middle), Direction::Right, "plain"))
                    });
                } else if row > 0 {
                    let (last, above) = place(row - 1, rows[row - 1].len() - 1);
                    let (from, to) = (last + width / 2.0, x + width / 2.0);
                    let (start, between) = (above + height, y - space / 2.0);
                    let d = format!("M{from} {start}V{between}H{to}V{y}");
                    content.push(html! {
                        path class="edge plain" d=(d) {}
                        (arrow((to, y), Direction::Down, "plain"))
                    });
                }
                content.push(html! {
                    rect class={ "block " (block.kind.class()) } x=(x) y=(y) width=(width) height=(height) rx="6" {}
                    (label(&block.op, (x + width / 2.0, y + 20.0), "middle", Some(block.kind)))
                    text class="soft" x=(x + width / 2.0) y=(y + 38.0) text-anchor="middle" font-size="13" { (block.detail) }
                });
            }
        }
        let columns = rows.iter().map(|row| row.len()).max().unwrap_or(0) as f64;
        Drawn {
            width: 2.0 * MARGIN + (columns * (width + space) - space).max(0.0),
            height: (rows.len() as f64 * (height + space) - space).max(0.0) + 2.0,
            content: html! { @for part in content { (part) } },
        }
    }
}
