//! Parses genotypes in Python notation.

use super::genotype::{CellGenotype, DartsOp, Genotype, NAMES};
use crate::SpaceError;
use crate::space::{shortened, valid_ops};

const EXAMPLE: &str = "Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ...], normal_concat=range(2, 6), \
                       reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ...], reduce_concat=range(2, 6))";

/// An upper bound of the number of nodes, so that a text cannot make the parser allocate unbounded memory.
const MAX_NODES: usize = 64;

/// The start of a genotype in Python notation.
const CALL: &str = "Genotype(";

/// The error for a text that is not a genotype.
pub(super) fn malformed(text: &str, reason: String) -> SpaceError {
    SpaceError::Malformed { text: text.to_owned(), reason, space: super::NAME, example: EXAMPLE }
}

/// Replaces the quotes of typeset texts, and cuts what stands around `Genotype(…)`: a log line, a module name, the text behind it.
fn tidy(text: &str) -> String {
    let text = text.replace(['\u{2018}', '\u{2019}', '\u{201a}', '\u{2032}'], "'");
    let text = text.replace(['\u{201c}', '\u{201d}', '\u{2033}'], "\"");
    let Some(start) = text.find(CALL) else { return text };
    let call = &text[start..];
    let mut depth = 0_usize;
    for (at, c) in call.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return call[..=at].to_owned(),
            ')' => depth -= 1,
            _ => {}
        }
    }
    call.to_owned()
}

/// Parses `Genotype(field=value, ...)`, `field=value, ...` or `{'field': value, ...}` with the fields in any order. Text around
/// `Genotype(…)` is ignored, and so are fields whose value is `None`. Several genotypes are an error. [`Genotype::check`] checks the edges.
pub(super) fn parse(text: &str) -> Result<Genotype, SpaceError> {
    let count = text.matches(CALL).count();
    if count > 1 {
        let reason = format!(
            "it has {count} genotypes, so that it is not clear which one is meant; give one of them, such as the last one of a log: \
             grep -o 'Genotype(.*)' FILE | tail -n 1"
        );
        return Err(malformed(&shortened(text), reason));
    }
    let text = &tidy(text);
    let mut p = Parser { text, rest: text };
    let mut close = None;
    let mut assign = '=';
    if p.rest.trim_start().starts_with("Genotype") {
        p.word()?;
        p.expect('(')?;
        close = Some(')');
    } else if p.take('{') {
        close = Some('}');
        assign = ':';
    }
    let (mut edges, mut concats) = ([const { None }; 2], [const { None }; 2]);
    loop {
        let field = if assign == ':' { p.quoted()? } else { p.word()? };
        p.expect(assign)?;
        if p.take_word("None") {
            if !p.take(',') || p.at_end(close) {
                break;
            }
            continue;
        }
        let cell = usize::from(field.starts_with("reduce"));
        let again = match field {
            "normal" | "reduce" => edges[cell].replace(p.edges()?).is_some(),
            "normal_concat" | "reduce_concat" => concats[cell].replace(p.concat()?).is_some(),
            _ => return Err(malformed(text, format!("{field:?} is not a field of a genotype"))),
        };
        if again {
            return Err(malformed(text, format!("{field} is given twice")));
        }
        if !p.take(',') || p.at_end(close) {
            break;
        }
    }
    if let Some(close) = close {
        p.expect(close)?;
    }
    if !p.rest.trim_start().is_empty() {
        return Err(p.unexpected("the end"));
    }
    let [normal, reduce] = edges;
    let [normal_concat, reduce_concat] = concats;
    let missing = |field: &str| malformed(text, format!("{field} is missing"));
    let cell = |edges: Option<_>, concat: Option<_>, name: &str| {
        let edges = edges.ok_or_else(|| missing(name))?;
        Ok(CellGenotype { edges, concat: concat.ok_or_else(|| missing(&format!("{name}_concat")))? })
    };
    Ok(Genotype {
        normal: cell(normal, normal_concat, "normal")?,
        reduce: cell(reduce, reduce_concat, "reduce")?,
    })
}

/// Parses `[('sep_conv_3x3', 1), ...]`, a cell whose output concatenates all nodes but the two inputs.
pub(super) fn parse_cell(text: &str) -> Result<CellGenotype, SpaceError> {
    Ok(whole_cell(Parser { text, rest: text }.edges()?))
}

/// Parses a list of cells in the notation of [`parse_cell`].
pub(super) fn parse_cells(text: &str) -> Result<Vec<CellGenotype>, SpaceError> {
    let mut p = Parser { text, rest: text };
    let cells = p.list(['[', ']'], |p, _| p.edges())?;
    if p.rest.trim_start().is_empty() {
        Ok(cells.into_iter().map(whole_cell).collect())
    } else {
        Err(p.unexpected("the end"))
    }
}

/// A cell whose output concatenates all nodes but the two inputs.
fn whole_cell(edges: Vec<(DartsOp, usize)>) -> CellGenotype {
    let concat = (2..2 + edges.len() / 2).collect();
    CellGenotype { edges, concat }
}

struct Parser<'t> {
    text: &'t str,
    rest: &'t str,
}

impl<'t> Parser<'t> {
    fn unexpected(&self, wanted: &str) -> SpaceError {
        let (at, found) = (self.text.len() - self.rest.trim_start().len(), self.rest.trim_start());
        let found = found.chars().next().map_or("the end of the text".to_owned(), |c| format!("{c:?}"));
        malformed(self.text, format!("expected {wanted} at byte {at}, but found {found}"))
    }

    fn take(&mut self, wanted: char) -> bool {
        match self.rest.trim_start().strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, wanted: char) -> Result<(), SpaceError> {
        if self.take(wanted) { Ok(()) } else { Err(self.unexpected(&format!("{wanted:?}"))) }
    }

    /// Takes a word if it comes next.
    fn take_word(&mut self, wanted: &str) -> bool {
        let before = self.rest;
        let taken = self.word().is_ok_and(|word| word == wanted);
        if !taken {
            self.rest = before;
        }
        taken
    }

    /// Parses a word in single or double quotes.
    fn quoted(&mut self) -> Result<&'t str, SpaceError> {
        let quote = if self.take('"') { '"' } else { '\'' };
        if quote == '\'' {
            self.expect('\'')?;
        }
        let word = self.word()?;
        self.expect(quote)?;
        Ok(word)
    }

    /// Returns whether no field follows a comma, where `close` ends the fields.
    fn at_end(&self, close: Option<char>) -> bool {
        let rest = self.rest.trim_start();
        close.map_or(rest.is_empty(), |close| rest.starts_with(close))
    }

    /// Parses a word of letters, digits and `_`.
    fn word(&mut self) -> Result<&'t str, SpaceError> {
        let rest = self.rest.trim_start();
        let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        if len == 0 {
            return Err(self.unexpected("a word"));
        }
        let (word, rest) = rest.split_at(len);
        self.rest = rest;
        Ok(word)
    }

    fn number(&mut self) -> Result<usize, SpaceError> {
        let before = self.rest;
        let number = self.word()?.parse().ok().filter(|&n| n <= MAX_NODES);
        number.ok_or_else(|| {
            self.rest = before;
            self.unexpected(&format!("a node from 0 to {MAX_NODES}"))
        })
    }

    /// Parses items between brackets, separated by commas. A trailing comma is allowed.
    fn list<T>(
        &mut self,
        [open, close]: [char; 2],
        mut item: impl FnMut(&mut Self, usize) -> Result<T, SpaceError>,
    ) -> Result<Vec<T>, SpaceError> {
        self.expect(open)?;
        let mut list = Vec::new();
        while !self.take(close) {
            list.push(item(self, list.len())?);
            if !self.take(',') {
                self.expect(close)?;
                break;
            }
        }
        Ok(list)
    }

    /// Parses a list of edges, or a list of such lists, one per node.
    fn edges(&mut self) -> Result<Vec<(DartsOp, usize)>, SpaceError> {
        let inner = self.rest.trim_start().strip_prefix('[').map(str::trim_start);
        let per_node = inner
            .is_some_and(|inner| inner.starts_with('[') && inner[1..].trim_start().starts_with(['(', '[']));
        if !per_node {
            return self.list(['[', ']'], |p, edge| p.edge(edge));
        }
        let mut edges = Vec::new();
        self.list(['[', ']'], |p, _| {
            let node = p.list(['[', ']'], |p, edge| p.edge(edges.len() + edge))?;
            edges.extend(node);
            Ok(())
        })?;
        Ok(edges)
    }

    /// Parses `('sep_conv_3x3', 1)`, or `('sep_conv_3x3', 1, 0.43)` with a weight that is ignored. The brackets may be square.
    fn edge(&mut self, edge: usize) -> Result<(DartsOp, usize), SpaceError> {
        let close = if self.take('[') { ']' } else { ')' };
        if close == ')' {
            self.expect('(')?;
        }
        let name = self.quoted()?;
        self.expect(',')?;
        let from = self.number()?;
        if self.take(',') {
            let rest = self.rest.trim_start();
            let end = rest.find([')', ']']).unwrap_or(rest.len());
            if !rest[..end].trim().is_empty() && rest[..end].trim().parse::<f64>().is_err() {
                return Err(self.unexpected("a number"));
            }
            self.rest = &rest[end..];
        }
        self.expect(close)?;
        let op = DartsOp::ALL.into_iter().find(|op| op.name() == name);
        let op = op.ok_or_else(|| SpaceError::UnknownOp {
            text: self.text.to_owned(),
            op: name.to_owned(),
            decision: edge,
            space: super::NAME,
            valid: valid_ops(&NAMES),
        })?;
        Ok((op, from))
    }

    /// Parses `range(2, 6)`, `[2, 3, 4, 5]` or `(2, 3, 4, 5)`.
    fn concat(&mut self) -> Result<Vec<usize>, SpaceError> {
        let rest = self.rest.trim_start();
        if rest.starts_with("range") {
            self.word()?;
            self.expect('(')?;
            let first = self.number()?;
            self.expect(',')?;
            let end = self.number()?;
            self.expect(')')?;
            return Ok((first..end).collect());
        }
        let brackets = if rest.starts_with('(') { ['(', ')'] } else { ['[', ']'] };
        self.list(brackets, |p, _| p.number())
    }
}
