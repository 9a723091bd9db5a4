use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::SpaceError;

/// Larger numbers stand in no network; with them products could overflow.
const MOST: usize = 100_000;
/// No stage repeats a block more often.
const MOST_REPEATS: usize = 64;

const EXAMPLE: &str = "stem 32; MB1 k3 ->16; (24,5,2,3) (24,3,1,6)x3 skip (320,7,1,6); 1280";

/// An inverted residual block: 1×1 to `expansion` times the channels, depthwise, 1×1; without the first where the expansion is 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MbConv {
    /// Channels of the output.
    pub out: usize,
    /// Extent of the depthwise convolution.
    pub kernel: usize,
    /// Its stride.
    pub stride: usize,
    /// Channels between, as a multiple of the input's.
    pub expansion: usize,
    /// Squeeze and excitation: its width as a share of the block's input channels.
    pub squeeze: Option<f64>,
}

/// One layer between stem and head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MobileLayer {
    /// A block.
    Block(MbConv),
    /// Nothing: the value goes on as it is.
    Skip,
}

/// A network of MobileNet blocks on one line: `stem 32; MB1 k3 ->16; (24,7,2,6) (24,5,1,6)x3 …; 1280`.
///
/// Tuples are (channels, kernel, stride, expansion), with a fifth number where the block has squeeze and excitation; `x3` repeats one,
/// `skip` is no layer. The part with `MB1`, a block of expansion 1, may be missing. JSON holds the same line as a string.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct MobileSpec {
    /// Channels of the stem, a 3×3 convolution of stride 2.
    pub stem: usize,
    /// Kernel and channels of a first block of expansion 1.
    pub first: Option<(usize, usize)>,
    /// The layers.
    pub layers: Vec<MobileLayer>,
    /// Channels of the last 1×1 convolution.
    pub head: usize,
}

fn malformed(text: &str, reason: String) -> SpaceError {
    SpaceError::Malformed { text: text.to_owned(), reason, space: super::NAME, example: EXAMPLE }
}

impl FromStr for MobileSpec {
    type Err = SpaceError;

    fn from_str(text: &str) -> Result<Self, SpaceError> {
        parse(text).map_err(|reason| malformed(text, reason))
    }
}

fn parse(text: &str) -> Result<MobileSpec, String> {
    let parts: Vec<&str> = text.split(';').map(str::trim).collect();
    let (stem, first, layers, head) = match parts.as_slice() {
        [stem, layers, head] => (stem, None, layers, head),
        [stem, first, layers, head] => (stem, Some(parse_first(first)?), layers, head),
        _ => return Err(format!("it has {} parts between semicolons, not 3 or 4", parts.len())),
    };
    let stem = stem.strip_prefix("stem").ok_or_else(|| format!("{stem:?} does not begin with stem"))?;
    Ok(MobileSpec { stem: number(stem)?, first, layers: parse_layers(layers)?, head: number(head)? })
}

fn number(text: &str) -> Result<usize, String> {
    let number = text.trim().parse().ok().filter(|n| (1..=MOST).contains(n));
    number.ok_or_else(|| format!("{:?} is no number from 1 to {MOST}", text.trim()))
}

/// `MB1 k3 ->16`; FairNAS writes `sep ->16`.
fn parse_first(text: &str) -> Result<(usize, usize), String> {
    let (block, out) = text.split_once("->").ok_or_else(|| format!("{text:?} has no ->"))?;
    let kernel = match block.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["MB1" | "sep"] => 3,
        ["MB1" | "sep", kernel] => match kernel.strip_prefix('k') {
            Some(kernel) => number(kernel)?,
            None => return Err(format!("{kernel:?} is no kernel like k3")),
        },
        _ => return Err(format!("{block:?} is no block of expansion 1")),
    };
    Ok((odd(kernel)?, number(out)?))
}

fn odd(kernel: usize) -> Result<usize, String> {
    if kernel % 2 == 1 { Ok(kernel) } else { Err(format!("a kernel of {kernel} has no middle")) }
}

fn parse_layers(text: &str) -> Result<Vec<MobileLayer>, String> {
    let mut layers = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix("skip") {
            layers.push(MobileLayer::Skip);
            rest = behind.trim_start();
            continue;
        }
        let inner = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        let (inner, behind) = inner.ok_or_else(|| format!("a tuple was expected before {rest:?}"))?;
        let block = MobileLayer::Block(parse_block(inner)?);
        let (token, behind) = behind.split_at(behind.find([' ', '(']).unwrap_or(behind.len()));
        let repeats = match token.strip_prefix('x') {
            Some(repeats) => number(repeats)?,
            None if token.is_empty() => 1,
            None => return Err(format!("{token:?} stands behind a tuple")),
        };
        if repeats > MOST_REPEATS {
            return Err(format!("a block stands there {repeats} times, {MOST_REPEATS} is the most"));
        }
        layers.extend(std::iter::repeat_n(block, repeats));
        rest = behind.trim_start();
    }
    if layers.is_empty() { Err("there is no block".to_owned()) } else { Ok(layers) }
}

fn parse_block(inner: &str) -> Result<MbConv, String> {
    let numbers: Vec<&str> = inner.split(',').collect();
    let (four, squeeze) = match numbers.as_slice() {
        four @ [_, _, _, _] => (four, None),
        [four @ .., squeeze] if four.len() == 4 => {
            let share = squeeze.trim().parse().ok().filter(|share| *share > 0.0 && *share <= 1.0);
            (four, Some(share.ok_or_else(|| format!("{squeeze:?} is no share from 0 to 1"))?))
        }
        _ => return Err(format!("({inner}) has {} numbers, not 4 or 5", numbers.len())),
    };
    let [out, kernel, stride, expansion] = [0, 1, 2, 3].map(|i| number(four[i]));
    Ok(MbConv { out: out?, kernel: odd(kernel?)?, stride: stride?, expansion: expansion?, squeeze })
}

impl fmt::Display for MobileSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stem {};", self.stem)?;
        if let Some((kernel, out)) = self.first {
            write!(f, " MB1 k{kernel} ->{out};")?;
        }
        for group in self.layers.chunk_by(PartialEq::eq) {
            match group[0] {
                MobileLayer::Skip => group.iter().try_for_each(|_| write!(f, " skip"))?,
                MobileLayer::Block(MbConv { out, kernel, stride, expansion, squeeze }) => {
                    for part in group.chunks(MOST_REPEATS) {
                        write!(f, " ({out},{kernel},{stride},{expansion}")?;
                        squeeze.map_or(Ok(()), |share| write!(f, ",{share}"))?;
                        f.write_str(")")?;
                        if part.len() > 1 {
                            write!(f, "x{}", part.len())?;
                        }
                    }
                }
            }
        }
        write!(f, "; {}", self.head)
    }
}

impl From<MobileSpec> for String {
    fn from(spec: MobileSpec) -> Self {
        spec.to_string()
    }
}

impl TryFrom<String> for MobileSpec {
    type Error = SpaceError;

    fn try_from(text: String) -> Result<Self, SpaceError> {
        text.parse()
    }
}
