//! Export of networks as ONNX models.
//!
//! # Shapes
//! The input `images` is `[batch, C, H, W]`, f32 and normalised. The output `logits` is `[batch, K]`. The batch size is dynamic.
//!
//! # Names
//! All names consist of letters, digits, `_` and `.`, because converters of other frameworks refuse other characters. See [`valid_name`].

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
pub use self::write::valid_name;
use crate::{Frozen, GraphError};

/// Name of the input.
pub const INPUT: &str = "images";
/// Name of the output.
pub const OUTPUT: &str = "logits";
/// Name of the dynamic batch dimension.
pub const BATCH: &str = "batch";

const OPSET: i64 = 17;
/// The IR version that belongs to the opset.
const IR_VERSION: i64 = 8;

impl Frozen {
    /// Converts the network with these values to an ONNX model.
    ///
    /// Weights keep their names, and other values are called like the nodes of the graph ([`crate::Graph::names`]), both made valid with
    /// [`valid_name`]. `metadata` is stored unchanged.
    ///
    /// # Errors
    /// Returns [`GraphError::UncalibratedNorms`] if the running statistics of batch norms have not been calibrated, see
    /// [`Frozen::check_calibrated`], and [`GraphError::ValueCount`] if the number of values is not that of the layout.
    ///
    /// # Source
    /// <https://github.com/onnx/onnx/blob/main/docs/Operators.md>, opset 17.
    pub fn to_onnx(
        &self,
        name: &str,
        values: &[f32],
        metadata: &BTreeMap<String, String>,
    ) -> Result<ModelProto, GraphError> {
        self.check_calibrated(values)?;
        let entry = |(key, value): (&String, &String)| StringStringEntryProto {
            key: key.clone(),
            value: value.clone(),
        };
        Ok(ModelProto {
            ir_version: IR_VERSION,
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
            producer_name: "pada".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(Writer::new(self).graph(name, values)),
            metadata_props: metadata.iter().map(entry).collect(),
        })
    }
}

impl ModelProto {
    /// Encodes the model as the content of a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    /// Decodes the content of a file. Fields that this crate does not declare are ignored.
    ///
    /// # Errors
    /// Returns the error of the decoder if the bytes are not an ONNX model.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, prost::DecodeError> {
        Self::decode(bytes)
    }
}
