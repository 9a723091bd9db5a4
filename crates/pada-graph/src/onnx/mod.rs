//! Networks as ONNX files.
//!
//! Shapes: the input `images` is `[batch, C, H, W]`, f32 and normalised; the output `logits` is `[batch, K]`. `batch` is left open.

mod message;
mod write;

use std::collections::BTreeMap;

pub use message::{
    AttributeProto, AttributeType, DataType, DimensionProto, Extent, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto,
};
use prost::Message;

use self::write::Writer;
use crate::Frozen;

/// What the network reads.
pub const INPUT: &str = "images";
/// What it makes.
pub const OUTPUT: &str = "logits";
/// The extent that is left open.
pub const BATCH: &str = "batch";

const OPSET: i64 = 17;
/// The version of the format that came with the opset.
const IR_VERSION: i64 = 8;

impl Frozen {
    /// The network with these values as an ONNX model. Weights keep their names, values are called like the graph's nodes
    /// ([`crate::Graph::names`]). `metadata` goes into the file as it is.
    ///
    /// # Panics
    /// If there are not as many values as its layout has.
    ///
    /// # Source
    /// <https://github.com/onnx/onnx/blob/main/docs/Operators.md>, opset 17.
    pub fn to_onnx(&self, name: &str, values: &[f32], metadata: &BTreeMap<String, String>) -> ModelProto {
        let entry = |(key, value): (&String, &String)| StringStringEntryProto {
            key: key.clone(),
            value: value.clone(),
        };
        ModelProto {
            ir_version: IR_VERSION,
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
            producer_name: "pada".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(Writer::new(self).graph(name, values)),
            metadata_props: metadata.iter().map(entry).collect(),
        }
    }
}

impl ModelProto {
    /// The content of a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    /// Reads what [`ModelProto::to_bytes`] wrote; fields that are not declared here are passed over.
    ///
    /// # Errors
    /// What is wrong, where the bytes are no such message.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, prost::DecodeError> {
        Self::decode(bytes)
    }
}
