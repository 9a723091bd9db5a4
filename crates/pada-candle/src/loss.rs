use candle_core::{Result, Tensor};
use candle_nn::ops::log_softmax;
use pada_exec::LossSpec;

/// The cross entropy of a batch, as scalar tensors.
pub(crate) struct CrossEntropy {
    /// Mean over the batch without image weights and label smoothing.
    pub(crate) mean: Tensor,
    /// Mean with image weights and label smoothing, without [`LossSpec::scale`]: the one that is differentiated.
    pub(crate) objective: Tensor,
}

/// Computes the cross entropy of `logits` `[B, K]` and `labels` `[B]`.
pub(crate) fn cross_entropy(logits: &Tensor, labels: &[u32], spec: &LossSpec<'_>) -> Result<CrossEntropy> {
    let smoothing = f64::from(spec.label_smoothing);
    let labels = Tensor::new(labels, logits.device())?;
    let log_p = log_softmax(logits, 1)?;
    let of_label = log_p.gather(&labels.unsqueeze(1)?, 1)?.squeeze(1)?.neg()?;
    let of_uniform = log_p.mean(1)?.neg()?;
    let mut per_image = ((&of_label * (1.0 - smoothing))? + (of_uniform * smoothing)?)?;
    if let Some(weights) = spec.image_weights {
        per_image = (per_image * Tensor::new(weights, logits.device())?.to_dtype(logits.dtype())?)?;
    }
    Ok(CrossEntropy { mean: of_label.mean_all()?, objective: per_image.mean_all()? })
}
