use std::fmt;
use std::str::FromStr;

use crate::SpaceError;

/// An upper bound of the numbers in a network, so that their products do not overflow.
const MOST: usize = 100_000;
/// An upper bound of the repetitions of one block.
const MOST_REPEATS: usize = 64;

const EXAMPLE: &str = "stem 32; MB1 k3 ->16; (24,5,2,3) (24,3,1,6)x3 skip (320,7,1,6); 1280";

/// An inverted residual block (MBConv): a 1×1 convolution to `expansion` times the channels, a depthwise convolution, and a 1×1
/// convolution. A block of expansion 1 has no first convolution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MbConv {
    /// The number of output channels.
    pub out: usize,
    /// The kernel size of the depthwise convolution.
    pub kernel: usize,
    /// The stride of the depthwise convolution.
    pub stride: usize,
    /// The number of channels of the depthwise convolution, as a multiple of the input channels.
    pub expansion: usize,
    /// The width of squeeze-and-excitation, as a fraction of the input channels of the block, if the block has it.
    pub squeeze: Option<f64>,
}

/// One layer between the stem and the head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MobileLayer {
    /// The layer is an inverted residual block.
    Block(MbConv),
    /// The layer is skipped and passes its input on.
    Skip,
}

/// A network of MobileNet blocks, written on one line: `stem 32; MB1 k3 ->16; (24,7,2,6) (24,5,1,6)x3 …; 1280`.
///
/// A tuple is a block (channels, kernel, stride, expansion). A fifth number is the width of squeeze-and-excitation. `x3` repeats a block
/// three times, and `skip` is a skipped layer. `MB1`, a block of expansion 1, is optional. A last part such as `; relu eps 1e-5` sets the
/// activation and ε of the batch norms, which are ReLU6 and 1e-3 without it. The serde form is this line as a string.
///
/// ```
/// use pada_space::MobileSpec;
///
/// let spec: MobileSpec = "stem 32; MB1 k3 ->16; (24,5,2,3) (24,3,1,6)x2 skip; 1280".parse()?;
/// assert_eq!(spec.layers.len(), 4);
/// assert_eq!(spec.to_string().parse::<MobileSpec>()?, spec);
/// # Ok::<_, pada_space::SpaceError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "String", try_from = "String")
)]
pub struct MobileSpec {
    /// The number of channels of the stem, a 3×3 convolution of stride 2.
    pub stem: usize,
    /// The kernel and the number of channels of a first block of expansion 1, if there is one.
    pub first: Option<(usize, usize)>,
    /// The layers between the stem and the head.
    pub layers: Vec<MobileLayer>,
    /// The number of channels of the last 1×1 convolution.
    pub head: usize,
    /// The activation after the norms.
    pub activation: MobileActivation,
    /// ε of the batch norms.
    pub eps: f32,
}

impl MobileSpec {
    /// ε of the batch norms in the published networks of ProxylessNAS.
    pub const EPS: f32 = 1e-3;
}

/// The activation of a network of MobileNet blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MobileActivation {
    /// `min(max(x, 0), 6)`, as in MobileNetV2 and ProxylessNAS.
    #[default]
    Relu6,
    /// `max(x, 0)`, as in MnasNet and FBNet.
    Relu,
}

impl fmt::Display for MobileActivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Relu6 => "relu6",
            Self::Relu => "relu",
        })
    }
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
    let mut parts: Vec<&str> = text.split(';').map(str::trim).collect();
    let modules = parts.pop_if(|last| last.starts_with("relu"));
    let (activation, eps) = modules.map_or(Ok(Default::default()), parse_modules)?;
    let eps = eps.unwrap_or(MobileSpec::EPS);
    let (stem, first, layers, head) = match parts.as_slice() {
        [stem, layers, head] => (stem, None, layers, head),
        [stem, first, layers, head] => (stem, Some(parse_first(first)?), layers, head),
        _ => return Err(format!("it has {} parts between semicolons, but needs 3 or 4", parts.len())),
    };
    let stem = stem.strip_prefix("stem").ok_or_else(|| format!("{stem:?} does not start with \"stem\""))?;
    let (layers, head) = (parse_layers(layers)?, number(head)?);
    Ok(MobileSpec { stem: number(stem)?, first, layers, head, activation, eps })
}

/// Parses `relu eps 1e-5`, `relu` or `relu6`.
fn parse_modules(text: &str) -> Result<(MobileActivation, Option<f32>), String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (name, eps) = match words.as_slice() {
        [name] => (name, None),
        [name, "eps", eps] => {
            let eps = eps.parse().ok().filter(|eps| *eps > 0.0 && *eps < 1.0);
            (name, Some(eps.ok_or_else(|| format!("{text:?} has no eps above 0 and below 1"))?))
        }
        _ => return Err(format!("{text:?} is not an activation, such as \"relu\" or \"relu eps 1e-5\"")),
    };
    match *name {
        "relu" => Ok((MobileActivation::Relu, eps)),
        "relu6" => Ok((MobileActivation::Relu6, eps)),
        _ => Err(format!("{name:?} is not an activation; the activations are relu and relu6")),
    }
}

fn number(text: &str) -> Result<usize, String> {
    let number = text.trim().parse().ok().filter(|n| (1..=MOST).contains(n));
    number.ok_or_else(|| format!("{:?} is not a number from 1 to {MOST}", text.trim()))
}

/// Parses `MB1 k3 ->16`, which FairNAS writes as `sep ->16`.
fn parse_first(text: &str) -> Result<(usize, usize), String> {
    let (block, out) = text.split_once("->").ok_or_else(|| format!("{text:?} has no \"->\""))?;
    let kernel = match block.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["MB1" | "sep"] => 3,
        ["MB1" | "sep", kernel] => match kernel.strip_prefix('k') {
            Some(kernel) => number(kernel)?,
            None => return Err(format!("{kernel:?} is not a kernel such as k3")),
        },
        _ => return Err(format!("{block:?} is not a block of expansion 1")),
    };
    Ok((odd(kernel)?, number(out)?))
}

fn odd(kernel: usize) -> Result<usize, String> {
    if kernel % 2 == 1 {
        Ok(kernel)
    } else {
        Err(format!("a kernel of {kernel} is even, but kernels must be odd"))
    }
}

fn parse_layers(text: &str) -> Result<Vec<MobileLayer>, String> {
    let mut layers = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("skip") {
            layers.push(MobileLayer::Skip);
            rest = after.trim_start();
            continue;
        }
        let inner = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        let (inner, after) = inner.ok_or_else(|| format!("expected a tuple before {rest:?}"))?;
        let block = MobileLayer::Block(parse_block(inner)?);
        let (token, after) = after.split_at(after.find([' ', '(']).unwrap_or(after.len()));
        let repeats = match token.strip_prefix('x') {
            Some(repeats) => number(repeats)?,
            None if token.is_empty() => 1,
            None => return Err(format!("{token:?} follows a tuple, but only a repetition such as x3 can")),
        };
        if repeats > MOST_REPEATS {
            return Err(format!(
                "a block is repeated {repeats} times, but at most {MOST_REPEATS} are allowed"
            ));
        }
        layers.extend(std::iter::repeat_n(block, repeats));
        rest = after.trim_start();
    }
    if layers.is_empty() { Err("the network has no block".to_owned()) } else { Ok(layers) }
}

fn parse_block(inner: &str) -> Result<MbConv, String> {
    let numbers: Vec<&str> = inner.split(',').collect();
    let (four, squeeze) = match numbers.as_slice() {
        four @ [_, _, _, _] => (four, None),
        [four @ .., squeeze] if four.len() == 4 => {
            let width = squeeze.trim().parse().ok().filter(|width| *width > 0.0 && *width <= 1.0);
            (four, Some(width.ok_or_else(|| format!("{squeeze:?} is not a fraction above 0 and up to 1"))?))
        }
        _ => return Err(format!("({inner}) has {} numbers, but needs 4 or 5", numbers.len())),
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
                        squeeze.map_or(Ok(()), |width| write!(f, ",{width}"))?;
                        f.write_str(")")?;
                        if part.len() > 1 {
                            write!(f, "x{}", part.len())?;
                        }
                    }
                }
            }
        }
        write!(f, "; {}", self.head)?;
        match (self.activation, self.eps) {
            (MobileActivation::Relu6, Self::EPS) => Ok(()),
            (activation, Self::EPS) => write!(f, "; {activation}"),
            (activation, eps) => write!(f, "; {activation} eps {eps:e}"),
        }
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
