//! An executor that holds images as a device does, and keeps counts until it is asked for them; what computes is another one.

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;

use pada_exec::{
    AugmentedIndex, Batch, ByteImages, CorrectCounts, DeviceData, DeviceDataset, ExecError, Executor, Images,
    Logits, LossSpec, Pixels, SgdStep, State, StepStats,
};
use pada_graph::{Graph, WeightId, WeightLayout};

/// Counters of the calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Used {
    /// Passes whose images were named.
    pub(crate) named: Rc<Cell<usize>>,
    /// The number of batches that were given as pixels.
    pub(crate) given: Rc<Cell<usize>>,
    /// The number of queries for counts.
    pub(crate) asked: Rc<Cell<usize>>,
}

pub(crate) struct Holding {
    inner: Box<dyn Executor>,
    sets: Vec<Set>,
    kept: Vec<usize>,
    used: Used,
}

struct Set {
    bytes: Vec<u8>,
    values: Vec<f32>,
    images: usize,
}

impl Holding {
    pub(crate) fn new(inner: Box<dyn Executor>) -> (Self, Used) {
        let used = Used::default();
        (Self { inner, sets: vec![], kept: vec![], used: used.clone() }, used)
    }

    /// The images as numbers.
    fn expanded(&self, images: &Images<'_>) -> Vec<f32> {
        let counter =
            if matches!(images.pixels, Pixels::Given(_)) { &self.used.given } else { &self.used.named };
        counter.set(counter.get() + 1);
        let all = |set: DeviceDataset, picks: &[AugmentedIndex]| {
            picks.iter().flat_map(|pick| self.sets[set.0].image(pick, images)).collect()
        };
        match images.pixels {
            Pixels::Given(pixels) => pixels.to_vec(),
            Pixels::Augmented(set, picks) => all(set, picks),
            Pixels::Range(set, first, count) => {
                let picks: Vec<AugmentedIndex> =
                    (first..first + count).map(|i| AugmentedIndex::plain(i as u32)).collect();
                all(set, &picks)
            }
        }
    }
}

impl Set {
    /// By its definition, pixel by pixel.
    fn image(&self, pick: &AugmentedIndex, of: &Images<'_>) -> Vec<f32> {
        let (height, width) = (of.shape.height as i32, of.shape.width as i32);
        assert!((pick.index as usize) < self.images);
        let mut image = vec![];
        for channel in 0..of.shape.channels {
            for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
                let [[top, bottom], [left, right]] = pick.cutout.map(|edges| edges.map(|at| at as i32));
                if (top..bottom).contains(&y) && (left..right).contains(&x) {
                    image.push(0.0);
                    continue;
                }
                let column = if pick.flipped { width - 1 - x } else { x };
                let (row, column) = (y + pick.offset_y, column + pick.offset_x);
                let inside = (0..height).contains(&row) && (0..width).contains(&column);
                let plane = (pick.index as usize * of.shape.channels + channel) * of.shape.pixels();
                let byte = if inside { self.bytes[plane + (row * width + column) as usize] } else { 0 };
                image.push(self.values[channel * 256 + usize::from(byte)]);
            }
        }
        image
    }
}

impl Executor for Holding {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn layout(&self) -> &WeightLayout {
        self.inner.layout()
    }

    fn logits(&mut self, graph: &Graph, images: &Images<'_>) -> Result<Logits, ExecError> {
        let pixels = self.expanded(images);
        self.inner.logits(graph, &Images::given(&pixels, images.shape))
    }

    fn recalibrate(&mut self, graph: &Graph, images: &Images<'_>, share: f64) -> Result<(), ExecError> {
        let pixels = self.expanded(images);
        self.inner.recalibrate(graph, &Images::given(&pixels, images.shape), share)
    }

    fn zero_gradient(&mut self) {
        self.inner.zero_gradient();
    }

    fn gradients(
        &mut self,
        graph: &Graph,
        batch: &Batch<'_>,
        loss: &LossSpec<'_>,
    ) -> Result<StepStats, ExecError> {
        let pixels = self.expanded(&batch.images);
        let images = Images::given(&pixels, batch.images.shape);
        self.inner.gradients(graph, &Batch { images, labels: batch.labels }, loss)
    }

    fn gradient_norms(&self) -> Vec<f64> {
        self.inner.gradient_norms()
    }

    fn gradient(&self, id: WeightId) -> Cow<'_, [f32]> {
        self.inner.gradient(id)
    }

    fn update(&mut self, step: &SgdStep) {
        self.inner.update(step);
    }

    fn read(&self, state: State) -> Vec<f32> {
        self.inner.read(state)
    }

    fn write(&mut self, state: State, values: &[f32]) {
        self.inner.write(state, values);
    }

    fn device_data(&mut self) -> Option<&mut dyn DeviceData> {
        Some(self)
    }
}

impl DeviceData for Holding {
    fn upload_dataset(&mut self, images: &ByteImages<'_>) -> Result<Option<DeviceDataset>, ExecError> {
        assert_eq!(images.bytes.len(), images.labels.len() * images.shape.numel());
        let (bytes, values) = (images.bytes.to_vec(), images.values.to_vec());
        self.sets.push(Set { bytes, values, images: images.labels.len() });
        Ok(Some(DeviceDataset(self.sets.len() - 1)))
    }

    fn count(
        &mut self,
        graph: &Graph,
        batch: &Batch<'_>,
        tally: &mut CorrectCounts,
    ) -> Result<(), ExecError> {
        let correct = self.logits(graph, &batch.images)?.correct(batch.labels);
        let place = *tally.kept.get_or_insert_with(|| {
            self.kept.push(0);
            self.kept.len() - 1
        });
        self.kept[place] += correct;
        Ok(())
    }

    fn counts(&mut self, tallies: &[CorrectCounts]) -> Result<Vec<usize>, ExecError> {
        self.used.asked.set(self.used.asked.get() + 1);
        let kept = std::mem::take(&mut self.kept);
        Ok(tallies.iter().map(|tally| tally.known + tally.kept.map_or(0, |place| kept[place])).collect())
    }
}
