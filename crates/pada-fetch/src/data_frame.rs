use std::rc::Rc;

use pada_models::pickle::{Pickle, Value};

use crate::FetchError;

/// The texts and numbers of a pickled pandas `DataFrame`.
///
/// pandas keeps columns of one kind together in one numpy array of `[columns, rows]`. How it wraps these arrays differs from
/// version to version, so the arrays themselves are looked for.
pub(super) struct DataFrame {
    /// The column of texts.
    pub(super) texts: Vec<Rc<str>>,
    /// Columns of floats, each with its name, in the order of the file.
    pub(super) floats: Vec<(Rc<str>, Vec<f64>)>,
}

impl DataFrame {
    /// Reads a frame whose columns are all floats, except one of texts and one of integers.
    pub(super) fn read(bytes: &[u8], text: &str, integer: &str) -> Result<Self, FetchError> {
        let missing = |what: String| FetchError::format(format!("it has no {what}"));
        let pickle = Pickle::read(bytes).map_err(|error| FetchError::format(error.to_string()))?;
        let arrays: Vec<Array> = (0..pickle.calls.len()).filter_map(|call| array(&pickle, call)).collect();
        let has = |names: &[Rc<str>], name| names.iter().any(|n| &**n == name);
        let names =
            arrays.iter().filter_map(Array::texts).find(|names| has(names, text) && has(names, integer));
        let mut names = names.ok_or_else(|| missing(format!("columns {text} and {integer}")))?;
        names.retain(|name| &**name != text && &**name != integer);
        let texts = arrays.iter().filter(|a| a.shape.len() == 2 && a.shape[0] == 1).find_map(Array::texts);
        let texts = texts.ok_or_else(|| missing("column of texts".to_owned()))?;
        let floats = arrays.iter().find(|a| a.shape == [names.len(), texts.len()] && a.dtype == "<f8");
        let floats = floats.ok_or_else(|| missing(format!("{} columns of floats", names.len())))?;
        let columns = floats.rows()?;
        Ok(Self { texts, floats: names.into_iter().zip(columns).collect() })
    }
}

/// A numpy array.
struct Array {
    shape: Vec<usize>,
    /// Byte order, kind and size, as `<f8`.
    dtype: String,
    fastest: Index,
    items: Items,
}

/// The index of an array that moves fastest in memory.
enum Index {
    Last,
    First,
}

enum Items {
    Bytes(Rc<[u8]>),
    Objects(Vec<Value>),
}

impl Array {
    /// Returns the items of a list, if all are texts.
    fn texts(&self) -> Option<Vec<Rc<str>>> {
        let Items::Objects(objects) = &self.items else { return None };
        let text = |value: &Value| if let Value::Text(text) = value { Some(text.clone()) } else { None };
        objects.iter().map(text).collect()
    }

    /// The rows of a matrix of floats.
    fn rows(&self) -> Result<Vec<Vec<f64>>, FetchError> {
        let (Items::Bytes(bytes), &[rows, columns]) = (&self.items, self.shape.as_slice()) else {
            return Err(FetchError::format("it is no matrix of floats"));
        };
        let (floats, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() || Some(floats.len()) != rows.checked_mul(columns) {
            return Err(FetchError::format(format!("it is no matrix of {rows}×{columns}")));
        }
        let at = |row: usize, column: usize| match self.fastest {
            Index::Last => row * columns + column,
            Index::First => column * rows + row,
        };
        let row = |row| (0..columns).map(|column| f64::from_le_bytes(floats[at(row, column)])).collect();
        Ok((0..rows).map(row).collect())
    }
}

/// The array that a call makes; none if it makes something else.
fn array(pickle: &Pickle, call: usize) -> Option<Array> {
    let call = &pickle.calls[call];
    let Value::Name(function) = &call.function else { return None };
    // Protocols up to 4 call the one, protocol 5 the other where the numbers lie in one piece.
    let (shape, dtype, first, items) = match function.rsplit('.').next()? {
        "_reconstruct" => match pickle.items(call.state.as_ref()?) {
            [Value::Int(1), shape, dtype, Value::Bool(fortran), items] => (shape, dtype, *fortran, items),
            _ => return None,
        },
        "_frombuffer" => match pickle.items(&call.arguments) {
            [items, dtype, shape, Value::Text(order)] => (shape, dtype, &**order == "F", items),
            _ => return None,
        },
        _ => return None,
    };
    let number = |value: &Value| if let Value::Int(n) = value { usize::try_from(*n).ok() } else { None };
    let items = match items {
        Value::Bytes(bytes) => Items::Bytes(bytes.clone()),
        Value::List(_) => Items::Objects(pickle.items(items).to_vec()),
        _ => return None,
    };
    let shape = pickle.items(shape).iter().map(number).collect::<Option<_>>()?;
    let fastest = if first { Index::First } else { Index::Last };
    Some(Array { shape, dtype: dtype_name(pickle, dtype)?, fastest, items })
}

/// Byte order, kind and size.
fn dtype_name(pickle: &Pickle, value: &Value) -> Option<String> {
    let Value::Call(call) = value else { return None };
    let call = &pickle.calls[*call];
    match (pickle.items(&call.arguments), pickle.items(call.state.as_ref()?)) {
        ([Value::Text(kind), ..], [_, Value::Text(order), ..]) => Some(format!("{order}{kind}")),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn matrix(numbers: [f64; 6], fastest: Index) -> Array {
        let bytes: Vec<u8> = numbers.iter().flat_map(|v| v.to_le_bytes()).collect();
        Array { shape: vec![2, 3], dtype: "<f8".into(), fastest, items: Items::Bytes(bytes.into()) }
    }

    #[test]
    fn a_matrix_has_the_same_rows_in_either_order() {
        let rows = vec![vec![1.0, 2.0, 3.0], vec![4.0, 5.0, 6.0]];
        assert_eq!(matrix([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], Index::Last).rows().unwrap(), rows);
        assert_eq!(matrix([1.0, 4.0, 2.0, 5.0, 3.0, 6.0], Index::First).rows().unwrap(), rows);
        let short = Array { shape: vec![2, 4], ..matrix([0.0; 6], Index::Last) };
        assert!(short.rows().unwrap_err().to_string().contains("2×4"));
    }
}
