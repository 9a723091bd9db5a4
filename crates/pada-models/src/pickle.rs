//! A reader for the subset of Python's pickle format that files of PyTorch and pandas use. It never runs code: a call in a pickle is
//! returned as a function name with its arguments. Memory is proportional to the number of bytes, and values are not nested, so that a
//! damaged file cannot exhaust the memory or the stack.
//!
//! # Source
//! `pickletools.py` of CPython; protocols 2 to 5.

use std::rc::Rc;

use thiserror::Error;

/// Bytes of the longest name of a class or function that is read.
const LONGEST_NAME: usize = 1024;

/// An error in the bytes of a pickle.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("not a pickle, at byte {at}: {reason}")]
pub struct PickleError {
    /// The byte at which reading stopped.
    pub at: usize,
    /// A description of the error.
    pub reason: String,
}

/// A value. Lists, tuples and dicts (alternating keys and values) are indices into [`Pickle::lists`], calls are indices into
/// [`Pickle::calls`].
#[derive(Clone, Debug)]
pub enum Value {
    /// `None`, or a value that no array and no tensor uses, such as an integer of more than 64 bits.
    Other,
    /// A float.
    Float(f64),
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A string.
    Text(Rc<str>),
    /// Bytes.
    Bytes(Rc<[u8]>),
    /// A class or function, as `module.name`.
    Name(Rc<str>),
    /// A list, tuple or dict: an index into [`Pickle::lists`].
    List(usize),
    /// The result of a call: an index into [`Pickle::calls`].
    Call(usize),
    /// An object outside of the pickle (a persistent id), such as the storage of a tensor. The id is the list with this index in
    /// [`Pickle::lists`].
    Outside(usize),
}

/// A call that creates an object, and the state that is set on the object afterwards.
#[derive(Debug)]
pub struct Call {
    /// The function or class.
    pub function: Value,
    /// The arguments.
    pub arguments: Value,
    /// The state that is set on the result, if any.
    pub state: Option<Value>,
}

/// The content of a pickle.
#[derive(Debug)]
pub struct Pickle {
    /// All lists, tuples and dicts.
    pub lists: Vec<Vec<Value>>,
    /// All calls.
    pub calls: Vec<Call>,
    /// The pickled value.
    pub value: Value,
}

impl Pickle {
    /// Reads a pickle.
    ///
    /// # Errors
    /// Returns [`PickleError`] if the bytes are damaged or contain an operation that neither PyTorch nor pandas nor numpy uses.
    pub fn read(bytes: &[u8]) -> Result<Self, PickleError> {
        Self::read_first(bytes).map(|(pickle, _)| pickle)
    }

    /// Reads the first of several pickles that follow each other. Also returns the bytes behind it.
    ///
    /// # Errors
    /// Returns the errors of [`Pickle::read`].
    pub fn read_first(bytes: &[u8]) -> Result<(Self, &[u8]), PickleError> {
        let mut machine = Machine { bytes, ..Machine::default() };
        match machine.run() {
            Ok(value) => Ok((Self { lists: machine.lists, calls: machine.calls, value }, machine.bytes)),
            Err(reason) => Err(PickleError { at: bytes.len() - machine.bytes.len(), reason }),
        }
    }

    /// Reads the numbers of a list or tuple of numbers, of a numpy array in C order, or of one number, which may be a numpy scalar. Returns
    /// `None` for any other value.
    ///
    /// # Source
    /// `__reduce__` of `numpy.generic`, `numpy.ndarray` and `numpy.dtype`.
    pub fn numbers(&self, value: &Value) -> Option<Vec<f64>> {
        match value {
            Value::List(list) => self.lists[*list].iter().map(|item| self.number(item)).collect(),
            Value::Call(call) => self.numpy(&self.calls[*call]),
            _ => Some(vec![self.number(value)?]),
        }
    }

    /// Reads one number.
    fn number(&self, value: &Value) -> Option<f64> {
        match value {
            Value::Float(number) => Some(*number),
            Value::Int(number) => Some(*number as f64),
            Value::Call(call) => match self.numpy(&self.calls[*call])?[..] {
                [number] => Some(number),
                _ => None,
            },
            _ => None,
        }
    }

    /// Reads the numbers of a numpy array or scalar.
    fn numpy(&self, call: &Call) -> Option<Vec<f64>> {
        let Value::Name(function) = &call.function else { return None };
        let (kind, bytes) = match self.items(&call.arguments) {
            [kind, Value::Bytes(bytes)] if function.ends_with(".multiarray.scalar") => (kind, bytes),
            _ if function.ends_with(".multiarray._reconstruct") => match self.items(call.state.as_ref()?) {
                // Version, shape, type, whether it is in Fortran order, and the elements.
                [_, _, kind, Value::Bool(false), Value::Bytes(bytes)] => (kind, bytes),
                _ => return None,
            },
            _ => return None,
        };
        // The call `numpy.dtype("i8", …)`, whose state has the version and the byte order.
        let Value::Call(kind) = kind else { return None };
        let kind = &self.calls[*kind];
        let Value::Text(name) = self.items(&kind.arguments).first()? else { return None };
        let is_swapped =
            matches!(self.items(kind.state.as_ref()?).get(1), Some(Value::Text(order)) if &**order == ">");
        let (letter, width) = (name.get(..1)?, name.get(1..)?.parse().ok()?);
        let element = |bytes: &[u8]| {
            let mut le = [0; 8];
            le[..width].copy_from_slice(bytes);
            if is_swapped {
                le[..width].reverse();
            }
            let shift = 64 - 8 * width as u32;
            Some(match (letter, width) {
                ("f", 8) => f64::from_le_bytes(le),
                ("f", 4) => f64::from(f32::from_le_bytes([le[0], le[1], le[2], le[3]])),
                ("f", 2) => half::f16::from_le_bytes([le[0], le[1]]).to_f64(),
                // The sign bit moves to the top and back.
                ("i", _) => ((i64::from_le_bytes(le) << shift) >> shift) as f64,
                ("u" | "b", _) => u64::from_le_bytes(le) as f64,
                _ => return None,
            })
        };
        if !matches!(width, 1 | 2 | 4 | 8) || bytes.len() % width != 0 {
            return None;
        }
        bytes.chunks_exact(width).map(element).collect()
    }

    /// Returns the items of a list, tuple or dict, and no items for any other value.
    pub fn items(&self, value: &Value) -> &[Value] {
        match value {
            Value::List(i) => &self.lists[*i],
            _ => &[],
        }
    }
}

#[derive(Default)]
struct Machine<'a> {
    /// The unread bytes.
    bytes: &'a [u8],
    stack: Vec<Value>,
    /// Stack positions at which unfinished lists start.
    marks: Vec<usize>,
    memo: Vec<Value>,
    lists: Vec<Vec<Value>>,
    calls: Vec<Call>,
}

/// The error is a description.
type Result<T, E = String> = std::result::Result<T, E>;

/// Subclasses of `dict`, which are read as plain dicts.
const DICTS: [&str; 2] = ["collections.OrderedDict", "collections.defaultdict"];

impl Machine<'_> {
    fn run(&mut self) -> Result<Value> {
        loop {
            match self.take(1)?[0] {
                b'.' => return self.pop(),
                // PROTO, FRAME
                0x80 => drop(self.take(1)?),
                0x95 => drop(self.take(8)?),
                b'(' => self.marks.push(self.stack.len()),
                // NEWTRUE, NEWFALSE, NONE, BINFLOAT
                0x88 => self.stack.push(Value::Bool(true)),
                0x89 => self.stack.push(Value::Bool(false)),
                b'N' => self.stack.push(Value::Other),
                b'G' => {
                    let number = self.take(8)?.try_into().map(f64::from_be_bytes);
                    self.stack.push(Value::Float(number.expect("there are eight bytes")));
                }
                // POP, POP_MARK, DUP
                b'0' => drop(self.pop()?),
                b'1' => drop(self.since_mark()?),
                b'2' => {
                    let top = self.stack.last().ok_or("the stack is empty")?.clone();
                    self.stack.push(top);
                }
                // BININT1, BININT2, BININT, LONG1, LONG4
                b'K' => self.integer(1)?,
                b'M' => self.integer(2)?,
                b'J' => {
                    let value = self.length(4)? as u32 as i32;
                    self.stack.push(Value::Int(value.into()));
                }
                0x8a => self.long(1)?,
                0x8b => self.long(4)?,
                // BINUNICODE with a length of 1, 4, 8 bytes
                0x8c => self.text(1)?,
                b'X' => self.text(4)?,
                0x8d => self.text(8)?,
                // SHORT_BINSTRING, BINSTRING of Python 2
                b'U' => self.text(1)?,
                b'T' => self.text(4)?,
                // BINBYTES with a length of 1, 4, 8 bytes, BYTEARRAY8
                b'C' => self.raw(1)?,
                b'B' => self.raw(4)?,
                0x8e | 0x96 => self.raw(8)?,
                // EMPTY_SET, ADDITEMS, FROZENSET: no tensor is in a set, whose items are read as those of a list.
                0x8f => self.collect(0)?,
                0x90 => {
                    let items = self.since_mark()?;
                    self.extend_by(items)?;
                }
                0x91 => {
                    let items = self.since_mark()?;
                    self.push_list(items);
                }
                // EMPTY_TUPLE, EMPTY_LIST, EMPTY_DICT, TUPLE1, TUPLE2, TUPLE3, TUPLE
                b')' | b']' | b'}' => self.collect(0)?,
                0x85 => self.collect(1)?,
                0x86 => self.collect(2)?,
                0x87 => self.collect(3)?,
                b't' => {
                    let items = self.since_mark()?;
                    self.push_list(items);
                }
                // APPEND, SETITEM, APPENDS, SETITEMS
                b'a' => self.extend(1)?,
                b's' => self.extend(2)?,
                b'e' | b'u' => {
                    let items = self.since_mark()?;
                    self.extend_by(items)?;
                }
                // MEMOIZE, BINPUT, LONG_BINPUT, BINGET, LONG_BINGET
                0x94 => self.remember(self.memo.len())?,
                b'q' => {
                    let at = self.length(1)?;
                    self.remember(at)?;
                }
                b'r' => {
                    let at = self.length(4)?;
                    self.remember(at)?;
                }
                b'h' => self.recall(1)?,
                b'j' => self.recall(4)?,
                // GLOBAL, STACK_GLOBAL
                b'c' => {
                    let name = format!("{}.{}", self.line()?, self.line()?);
                    self.stack.push(Value::Name(name.into()));
                }
                0x93 => {
                    let (Value::Text(name), Value::Text(module)) = (self.pop()?, self.pop()?) else {
                        return Err("a name is not a string".to_owned());
                    };
                    // A name is copied, and a small pickle can refer to a long text any number of times.
                    if module.len() + name.len() > LONGEST_NAME {
                        return Err("the name of a class is too long".to_owned());
                    }
                    self.stack.push(Value::Name(format!("{module}.{name}").into()));
                }
                // REDUCE, NEWOBJ, NEWOBJ_EX, BUILD
                b'R' | 0x81 => self.call()?,
                0x92 => {
                    self.pop()?;
                    self.call()?;
                }
                b'b' => {
                    let state = self.pop()?;
                    match self.stack.last() {
                        Some(Value::Call(i)) => self.calls[*i].state = Some(state),
                        // The attributes of a state dict, such as `_metadata`, are ignored.
                        Some(_) => {}
                        None => return Err("a state belongs to no object".to_owned()),
                    }
                }
                // BINPERSID
                b'Q' => {
                    let Value::List(id) = self.pop()? else {
                        return Err("a persistent id is not a tuple".to_owned());
                    };
                    self.stack.push(Value::Outside(id));
                }
                code => return Err(format!("operation {code:#04x} is not supported")),
            }
        }
    }

    fn call(&mut self) -> Result<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        if matches!(&function, Value::Name(name) if DICTS.contains(&&**name)) {
            self.push_list(vec![]);
        } else {
            self.stack.push(Value::Call(self.calls.len()));
            self.calls.push(Call { function, arguments, state: None });
        }
        Ok(())
    }

    fn take(&mut self, n: usize) -> Result<&[u8]> {
        let (taken, rest) = self.bytes.split_at_checked(n).ok_or("the pickle ends too early")?;
        self.bytes = rest;
        Ok(taken)
    }

    fn pop(&mut self) -> Result<Value> {
        self.stack.pop().ok_or_else(|| "the stack is empty".to_owned())
    }

    /// Reads an unsigned integer of `width` bytes.
    fn length(&mut self, width: usize) -> Result<usize> {
        let mut le = [0; 8];
        le[..width].copy_from_slice(self.take(width)?);
        u64::from_le_bytes(le).try_into().map_err(|_| "a length is too large".to_owned())
    }

    fn integer(&mut self, width: usize) -> Result<()> {
        let value = Value::Int(self.length(width)? as i64);
        self.stack.push(value);
        Ok(())
    }

    /// Reads a signed integer that starts with its length in bytes. Integers of more than 64 bits, such as the states of random generators,
    /// are not kept.
    fn long(&mut self, width: usize) -> Result<()> {
        let n = self.length(width)?;
        let bytes = self.take(n)?;
        if n > 8 {
            self.stack.push(Value::Other);
            return Ok(());
        }
        let fill = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
        let mut le = [fill; 8];
        le[..n].copy_from_slice(bytes);
        self.stack.push(Value::Int(i64::from_le_bytes(le)));
        Ok(())
    }

    fn text(&mut self, width: usize) -> Result<()> {
        let n = self.length(width)?;
        let text = Value::Text(utf8(self.take(n)?)?.into());
        self.stack.push(text);
        Ok(())
    }

    fn raw(&mut self, width: usize) -> Result<()> {
        let n = self.length(width)?;
        let bytes = Value::Bytes(self.take(n)?.into());
        self.stack.push(bytes);
        Ok(())
    }

    fn line(&mut self) -> Result<String> {
        let n = self.bytes.iter().position(|b| *b == b'\n').ok_or("the pickle ends within a line")?;
        let line = utf8(self.take(n)?)?.to_owned();
        self.take(1)?;
        Ok(line)
    }

    fn push_list(&mut self, items: Vec<Value>) {
        self.stack.push(Value::List(self.lists.len()));
        self.lists.push(items);
    }

    /// Removes the last `n` values from the stack.
    fn last(&mut self, n: usize) -> Result<Vec<Value>> {
        let at = self.stack.len().checked_sub(n).ok_or("the stack is too short")?;
        Ok(self.stack.split_off(at))
    }

    fn since_mark(&mut self) -> Result<Vec<Value>> {
        let mark = self.marks.pop().ok_or("there is no mark")?;
        if mark > self.stack.len() {
            return Err("the stack is too short".to_owned());
        }
        Ok(self.stack.split_off(mark))
    }

    fn collect(&mut self, n: usize) -> Result<()> {
        let items = self.last(n)?;
        self.push_list(items);
        Ok(())
    }

    fn extend(&mut self, n: usize) -> Result<()> {
        let items = self.last(n)?;
        self.extend_by(items)
    }

    fn extend_by(&mut self, items: Vec<Value>) -> Result<()> {
        match self.stack.last() {
            Some(Value::List(i)) => self.lists[*i].extend(items),
            // The items of an object that is a list or a dict of its own class are not kept.
            Some(Value::Call(_)) => {}
            _ => return Err("items belong to no list".to_owned()),
        }
        Ok(())
    }

    fn remember(&mut self, at: usize) -> Result<()> {
        if at > self.memo.len() {
            return Err("a memo index leaves a gap".to_owned());
        }
        let value = self.stack.last().ok_or("the stack is empty")?.clone();
        match self.memo.get_mut(at) {
            Some(entry) => *entry = value,
            None => self.memo.push(value),
        }
        Ok(())
    }

    fn recall(&mut self, width: usize) -> Result<()> {
        let at = self.length(width)?;
        let value = self.memo.get(at).cloned().ok_or_else(|| format!("there is no memo entry {at}"))?;
        self.stack.push(value);
        Ok(())
    }
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    /// A name is copied each time that it is used, so that a long text that is used often would take more memory than the file.
    #[test]
    fn names_of_classes_are_short() {
        let of = |length: u32| {
            let text = [&b"X"[..], &length.to_le_bytes(), &vec![b'a'; length as usize], b"q\0"].concat();
            Pickle::read(&[b"\x80\x04", &text[..], b"h\0\x93."].concat())
        };
        assert!(of(512).is_ok());
        assert!(of(513).unwrap_err().to_string().contains("name of a class is too long"));
    }
}
