use sha2::{Digest, Sha256};

/// SHA-256 of weights as little-endian bytes, in hex: says whether two supernets are the same.
pub fn weights_sha256(weights: &[f32]) -> String {
    let mut hasher = Sha256::new();
    weights.iter().for_each(|weight| hasher.update(weight.to_le_bytes()));
    hex::encode(hasher.finalize())
}
