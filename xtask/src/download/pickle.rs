//! Python's pickle format, as far as files of pandas need it. Nothing that is read is ever run: a call that a pickle asks for
//! stays a name with its arguments.
//!
//! # Source
//! `pickletools.py` of CPython; protocols 3 to 5.

use std::rc::Rc;

use anyhow::{Context, bail, ensure};

/// A value; lists, tuples and dicts (keys and values in turn) are numbers of [`Pickle::lists`], calls of [`Pickle::calls`].
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// None and floats: nothing that a table's arrays are made of.
    Other,
    Bool(bool),
    Int(i64),
    Text(Rc<str>),
    Bytes(Rc<[u8]>),
    Name(Rc<str>),
    List(usize),
    Call(usize),
}

/// An object as a pickle makes it: a function's result, and the state that was set afterwards.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) function: Value,
    pub(super) arguments: Value,
    pub(super) state: Option<Value>,
}

#[derive(Default)]
pub(super) struct Pickle {
    pub(super) lists: Vec<Vec<Value>>,
    pub(super) calls: Vec<Call>,
}

impl Pickle {
    pub(super) fn read(bytes: &[u8]) -> anyhow::Result<Self> {
        let mut machine = Machine { bytes, ..Machine::default() };
        machine.run().with_context(|| format!("no pickle, at byte {}", bytes.len() - machine.bytes.len()))?;
        Ok(machine.pickle)
    }

    /// The items of a list, tuple or dict; none of anything else.
    pub(super) fn items(&self, value: &Value) -> &[Value] {
        match value {
            Value::List(i) => &self.lists[*i],
            _ => &[],
        }
    }
}

#[derive(Default)]
struct Machine<'a> {
    /// What has not been read yet.
    bytes: &'a [u8],
    stack: Vec<Value>,
    /// Where in the stack the lists that are being collected start.
    marks: Vec<usize>,
    memo: Vec<Value>,
    pickle: Pickle,
}

impl Machine<'_> {
    fn run(&mut self) -> anyhow::Result<()> {
        loop {
            match self.take(1)?[0] {
                b'.' => return Ok(()),
                // PROTO, FRAME
                0x80 => drop(self.take(1)?),
                0x95 => drop(self.take(8)?),
                b'(' => self.marks.push(self.stack.len()),
                // NEWTRUE, NEWFALSE, NONE, BINFLOAT
                0x88 => self.stack.push(Value::Bool(true)),
                0x89 => self.stack.push(Value::Bool(false)),
                b'N' => self.stack.push(Value::Other),
                b'G' => {
                    self.take(8)?;
                    self.stack.push(Value::Other);
                }
                // BININT1, BININT2, BININT, LONG1
                b'K' => self.integer(1)?,
                b'M' => self.integer(2)?,
                b'J' => {
                    let value = i32::from_le_bytes(self.take(4)?.try_into()?);
                    self.stack.push(Value::Int(value.into()));
                }
                0x8a => self.long()?,
                // BINUNICODE with a length of 1, 4, 8 bytes
                0x8c => self.text(1)?,
                b'X' => self.text(4)?,
                0x8d => self.text(8)?,
                // BINBYTES likewise, BYTEARRAY8
                b'C' => self.raw(1)?,
                b'B' => self.raw(4)?,
                0x8e | 0x96 => self.raw(8)?,
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
                        bail!("a name is no text")
                    };
                    self.stack.push(Value::Name(format!("{module}.{name}").into()));
                }
                // REDUCE, NEWOBJ, BUILD
                b'R' | 0x81 => {
                    let (arguments, function) = (self.pop()?, self.pop()?);
                    self.stack.push(Value::Call(self.pickle.calls.len()));
                    self.pickle.calls.push(Call { function, arguments, state: None });
                }
                b'b' => {
                    let state = self.pop()?;
                    let Some(Value::Call(i)) = self.stack.last() else {
                        bail!("a state belongs to no object")
                    };
                    self.pickle.calls[*i].state = Some(state);
                }
                code => bail!("operation {code:#04x} is not known here"),
            }
        }
    }

    fn take(&mut self, n: usize) -> anyhow::Result<&[u8]> {
        let (taken, rest) = self.bytes.split_at_checked(n).context("it ends too early")?;
        self.bytes = rest;
        Ok(taken)
    }

    fn pop(&mut self) -> anyhow::Result<Value> {
        self.stack.pop().context("the stack is empty")
    }

    /// An unsigned number of `width` bytes.
    fn length(&mut self, width: usize) -> anyhow::Result<usize> {
        let mut le = [0; 8];
        le[..width].copy_from_slice(self.take(width)?);
        Ok(u64::from_le_bytes(le).try_into()?)
    }

    fn integer(&mut self, width: usize) -> anyhow::Result<()> {
        let value = Value::Int(self.length(width)? as i64);
        self.stack.push(value);
        Ok(())
    }

    /// A signed number with its own length.
    fn long(&mut self) -> anyhow::Result<()> {
        let n = self.length(1)?;
        let bytes = self.take(n)?;
        ensure!(n <= 8, "a number of {n} bytes");
        let fill = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
        let mut le = [fill; 8];
        le[..n].copy_from_slice(bytes);
        self.stack.push(Value::Int(i64::from_le_bytes(le)));
        Ok(())
    }

    fn text(&mut self, width: usize) -> anyhow::Result<()> {
        let n = self.length(width)?;
        let text = Value::Text(std::str::from_utf8(self.take(n)?)?.into());
        self.stack.push(text);
        Ok(())
    }

    fn raw(&mut self, width: usize) -> anyhow::Result<()> {
        let n = self.length(width)?;
        let bytes = Value::Bytes(self.take(n)?.into());
        self.stack.push(bytes);
        Ok(())
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let n = self.bytes.iter().position(|b| *b == b'\n').context("it ends within a line")?;
        let line = std::str::from_utf8(self.take(n)?)?.to_owned();
        self.take(1)?;
        Ok(line)
    }

    fn push_list(&mut self, items: Vec<Value>) {
        self.stack.push(Value::List(self.pickle.lists.len()));
        self.pickle.lists.push(items);
    }

    /// The last `n` items.
    fn last(&mut self, n: usize) -> anyhow::Result<Vec<Value>> {
        let at = self.stack.len().checked_sub(n).context("the stack is too short")?;
        Ok(self.stack.split_off(at))
    }

    fn since_mark(&mut self) -> anyhow::Result<Vec<Value>> {
        let mark = self.marks.pop().context("there is no mark")?;
        ensure!(mark <= self.stack.len(), "the stack is too short");
        Ok(self.stack.split_off(mark))
    }

    fn collect(&mut self, n: usize) -> anyhow::Result<()> {
        let items = self.last(n)?;
        self.push_list(items);
        Ok(())
    }

    fn extend(&mut self, n: usize) -> anyhow::Result<()> {
        let items = self.last(n)?;
        self.extend_by(items)
    }

    fn extend_by(&mut self, items: Vec<Value>) -> anyhow::Result<()> {
        let Some(Value::List(i)) = self.stack.last() else { bail!("items belong to no list") };
        self.pickle.lists[*i].extend(items);
        Ok(())
    }

    fn remember(&mut self, at: usize) -> anyhow::Result<()> {
        ensure!(at <= self.memo.len(), "a note leaves a gap");
        let value = self.stack.last().context("the stack is empty")?.clone();
        match self.memo.get_mut(at) {
            Some(place) => *place = value,
            None => self.memo.push(value),
        }
        Ok(())
    }

    fn recall(&mut self, width: usize) -> anyhow::Result<()> {
        let at = self.length(width)?;
        let value = self.memo.get(at).cloned().with_context(|| format!("there is no note {at}"))?;
        self.stack.push(value);
        Ok(())
    }
}
