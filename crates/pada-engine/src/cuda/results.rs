use super::arguments::{Doubles, Floats};
use super::memory::Block;
use super::{CudaError, Device};

/// The sizes of the results of a pass. The results are adjacent in memory, so that one copy transfers all of them to the host.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResultSizes {
    pub(super) images: usize,
    pub(super) classes: usize,
    pub(super) alignments: usize,
    /// Number of weight tensors.
    pub(super) tensors: usize,
    /// True if the output is a linear layer, so that its input has a norm for each image.
    pub(super) classifies: bool,
}

/// The addresses of the results on the device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Results {
    /// Cross entropies, `[B]`.
    pub(super) losses: Doubles,
    /// Alignment losses, `[alignments]`.
    pub(super) alignments: Doubles,
    /// L2 norms of the gradient tensors, `[tensors]`.
    pub(super) norms: Doubles,
    /// Logits, `[B, K]`.
    pub(super) logits: Floats,
    /// L2 norms of the classifier's inputs, `[B]`.
    pub(super) features: Floats,
}

/// The results on the host.
#[derive(Clone, Debug, Default)]
pub(super) struct HostResults {
    pub(super) losses: Vec<f64>,
    pub(super) alignments: Vec<f64>,
    pub(super) norms: Vec<f64>,
    pub(super) logits: Vec<f32>,
    pub(super) features: Vec<f32>,
}

impl ResultSizes {
    fn doubles(&self) -> usize {
        self.images + self.alignments + self.tensors
    }

    fn bytes(&self) -> usize {
        let floats = self.images * (self.classes + usize::from(self.classifies));
        self.doubles() * size_of::<f64>() + floats * size_of::<f32>()
    }

    /// Allocates memory for the results and returns their addresses.
    pub(super) fn allocate(&self, device: &dyn Device, block: &mut Block) -> Result<Results, CudaError> {
        let losses = Doubles(block.get(device, self.bytes())?);
        let alignments = losses.at(self.images);
        let norms = alignments.at(self.alignments);
        let logits = Floats(norms.at(self.tensors).0);
        Ok(Results { losses, alignments, norms, logits, features: logits.at(self.images * self.classes) })
    }

    /// Waits for a training pass and copies all of its results to the host.
    pub(super) fn download(&self, device: &dyn Device, results: &Results) -> Result<HostResults, CudaError> {
        let mut bytes = vec![0; self.bytes()];
        device.download(results.losses.0, &mut bytes)?;
        let (doubles, floats) = bytes.split_at(self.doubles() * size_of::<f64>());
        let mut doubles = bytemuck::pod_collect_to_vec::<u8, f64>(doubles).into_iter();
        let mut floats = bytemuck::pod_collect_to_vec::<u8, f32>(floats).into_iter();
        Ok(HostResults {
            losses: doubles.by_ref().take(self.images).collect(),
            alignments: doubles.by_ref().take(self.alignments).collect(),
            norms: doubles.collect(),
            logits: floats.by_ref().take(self.images * self.classes).collect(),
            features: floats.collect(),
        })
    }

    /// Waits for a forward pass and copies its logits to the host.
    pub(super) fn download_logits(
        &self,
        device: &dyn Device,
        results: &Results,
    ) -> Result<HostResults, CudaError> {
        let mut logits = vec![0.0; self.images * self.classes];
        device.download(results.logits.0, bytemuck::cast_slice_mut(&mut logits))?;
        Ok(HostResults { logits, ..HostResults::default() })
    }
}
