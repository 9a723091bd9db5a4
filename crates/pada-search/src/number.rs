//! Numbers in files: formats such as JSON have no infinity, so it is written as text.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Number {
    Finite(f64),
    Text(String),
}

pub(crate) fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    let number = if number.is_finite() { Number::Finite(*number) } else { Number::Text(number.to_string()) };
    number.serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    match Number::deserialize(deserializer)? {
        Number::Finite(number) => Ok(number),
        Number::Text(text) => text.parse().map_err(D::Error::custom),
    }
}
