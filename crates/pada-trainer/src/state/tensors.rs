//! Long lists of numbers in a state become tensors of the checkpoint, so that they stay exact and small.

use std::collections::BTreeMap;

use safetensors::tensor::Dtype;
use serde_json::{Map, Value, json};

/// Shorter lists stay in the JSON text, where people can read them.
const SHORTEST: usize = 32;
/// The key of the object that replaces a list.
const REFERENCE: &str = "$tensor";

/// A tensor of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredTensor {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    /// Little-endian numbers.
    pub(crate) bytes: Vec<u8>,
}

pub(crate) type Tensors = BTreeMap<String, StoredTensor>;

/// Moves all long lists of numbers in `value` to tensors whose names start with `name`. An object `{"$tensor": "name"}` takes the place
/// of each.
pub(crate) fn move_out(value: &mut Value, name: &str, tensors: &mut Tensors) {
    match value {
        Value::Array(items) => match StoredTensor::of(items) {
            Some(tensor) => {
                let mut name = name.to_owned();
                while tensors.contains_key(&name) {
                    name.push('_');
                }
                *value = json!({ REFERENCE: name });
                tensors.insert(name, tensor);
            }
            None => {
                for (i, item) in items.iter_mut().enumerate() {
                    move_out(item, &format!("{name}.{i}"), tensors);
                }
            }
        },
        Value::Object(map) => {
            map.iter_mut().for_each(|(key, item)| move_out(item, &format!("{name}.{key}"), tensors));
        }
        _ => {}
    }
}

/// Undoes [`move_out`].
pub(crate) fn move_in(value: &mut Value, tensors: &Tensors) -> Result<(), String> {
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(|item| move_in(item, tensors)),
        Value::Object(map) => match reference(map) {
            Some(name) => {
                let tensor = tensors.get(name).ok_or_else(|| format!("the tensor {name} is missing"))?;
                *value = Value::Array(tensor.values().ok_or_else(|| {
                    format!(
                        "the tensor {name} has the type {:?} or a number that is not finite",
                        tensor.dtype
                    )
                })?);
                Ok(())
            }
            None => map.values_mut().try_for_each(|item| move_in(item, tensors)),
        },
        _ => Ok(()),
    }
}

fn reference(map: &Map<String, Value>) -> Option<&str> {
    if map.len() == 1 { map.get(REFERENCE)?.as_str() } else { None }
}

impl StoredTensor {
    pub(crate) fn f32s(shape: Vec<usize>, values: &[f32]) -> Self {
        Self { dtype: Dtype::F32, shape, bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect() }
    }

    /// The numbers of a long list, in the smallest type that holds each of them exactly; `None` for any other list.
    fn of(items: &[Value]) -> Option<Self> {
        if items.len() < SHORTEST {
            return None;
        }
        let stored = |dtype, bytes| Some(Self { dtype, shape: vec![items.len()], bytes });
        if items.iter().all(Value::is_boolean) {
            return stored(
                Dtype::BOOL,
                items.iter().map(|item| u8::from(item == &Value::Bool(true))).collect(),
            );
        }
        let integers: Option<Vec<u64>> = items.iter().map(Value::as_u64).collect();
        if let Some(integers) = integers {
            let largest = integers.iter().copied().max().unwrap_or(0);
            return if u8::try_from(largest).is_ok() {
                stored(Dtype::U8, integers.iter().map(|&v| v as u8).collect())
            } else if u32::try_from(largest).is_ok() {
                stored(Dtype::U32, integers.iter().flat_map(|&v| (v as u32).to_le_bytes()).collect())
            } else {
                stored(Dtype::U64, integers.iter().flat_map(|v| v.to_le_bytes()).collect())
            };
        }
        // A list that mixes integers and floats could not be told from floats afterwards.
        if !items.iter().all(Value::is_f64) {
            return None;
        }
        let floats: Vec<f64> = items.iter().filter_map(Value::as_f64).collect();
        if floats.iter().all(|&v| f64::from(v as f32).to_bits() == v.to_bits()) {
            stored(Dtype::F32, floats.iter().flat_map(|&v| (v as f32).to_le_bytes()).collect())
        } else {
            stored(Dtype::F64, floats.iter().flat_map(|v| v.to_le_bytes()).collect())
        }
    }

    /// The numbers as a JSON list.
    fn values(&self) -> Option<Vec<Value>> {
        let float = |v: f64| serde_json::Number::from_f64(v).map(Value::Number);
        let (four, eight) = (self.bytes.as_chunks::<4>().0, self.bytes.as_chunks::<8>().0);
        match self.dtype {
            Dtype::BOOL => Some(self.bytes.iter().map(|&b| Value::Bool(b != 0)).collect()),
            Dtype::U8 => Some(self.bytes.iter().map(|&b| Value::from(b)).collect()),
            Dtype::U32 => Some(four.iter().map(|b| Value::from(u32::from_le_bytes(*b))).collect()),
            Dtype::U64 => Some(eight.iter().map(|b| Value::from(u64::from_le_bytes(*b))).collect()),
            Dtype::F32 => four.iter().map(|b| float(f64::from(f32::from_le_bytes(*b)))).collect(),
            Dtype::F64 => eight.iter().map(|b| float(f64::from_le_bytes(*b))).collect(),
            _ => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn long_lists_leave_and_come_back_bit_for_bit() {
        let f64s: Vec<f64> = (0..40).map(|i| f64::from(i).sqrt() * 0.1 - 1e-300).collect();
        let f32s: Vec<f32> = (0..40).map(|i| -(i as f32).sqrt() * 1e-20).collect();
        let start = json!({
            "f64": f64s, "f32": f32s, "zeros": vec![0.0; 33], "flags": vec![true; 50],
            "small": vec![7_u8; 32], "order": (0..300).collect::<Vec<u32>>(), "large": vec![u64::MAX; 32],
            "nested": [[vec![1.5; 64]], "text"], "short": [0.1, 0.2], "negative": vec![-1; 40],
            "mixed": (0..40).map(|i| if i == 3 { json!(0.5) } else { json!(i) }).collect::<Vec<_>>(),
        });
        let (mut value, mut tensors) = (start.clone(), Tensors::new());
        move_out(&mut value, "pada.state", &mut tensors);
        let kinds: Vec<_> = tensors.iter().map(|(name, t)| (name.as_str(), t.dtype)).collect();
        assert_eq!(
            kinds,
            [
                ("pada.state.f32", Dtype::F32),
                ("pada.state.f64", Dtype::F64),
                ("pada.state.flags", Dtype::BOOL),
                ("pada.state.large", Dtype::U64),
                ("pada.state.nested.0.0", Dtype::F32),
                ("pada.state.order", Dtype::U32),
                ("pada.state.small", Dtype::U8),
                ("pada.state.zeros", Dtype::F32),
            ]
        );
        assert_eq!(value["f64"], json!({"$tensor": "pada.state.f64"}));
        move_in(&mut value, &tensors).unwrap();
        assert_eq!(value, start);
        let back: Vec<f64> = serde_json::from_value(value["f64"].clone()).unwrap();
        assert!(back.iter().zip(&f64s).all(|(a, b)| a.to_bits() == b.to_bits()));
        let mut lost = json!({"a": {"$tensor": "pada.state.gone"}});
        assert!(move_in(&mut lost, &tensors).unwrap_err().contains("pada.state.gone"));
    }
}
