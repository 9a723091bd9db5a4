use std::path::{Path, PathBuf};

use pada_data::{DataError, Dataset, InMemoryDataset};
use pada_report::RunRecord;
use pada_report::html::{Found, Pixels, PreferredImages, Thumbnail};
use pada_sampler::{DataImportanceState, effective_sample_size};
use pada_trainer::{Checkpoint, DataState};

use super::RunReader;
use crate::config::{Config, ImagesConfig};
use crate::error::PadaError;

/// Number of images of each kind in the report.
const SHOWN: usize = 16;
/// Largest height and width of an image in the report, in pixels. Larger images are reduced by integer factors.
const LARGEST: usize = 64;

impl RunReader {
    /// Reads the images that the data sampler prefers and avoids, from the newest checkpoint.
    pub(super) fn preferred(
        &mut self,
        folder: &Path,
        config: &Config,
        record: Option<&RunRecord>,
    ) -> Result<Found<PreferredImages>, PadaError> {
        if !matches!(config, Config::Run(config) if config.images != ImagesConfig::Uniform) {
            return Ok(Err("Images were drawn uniformly, each of them once per epoch.".to_owned()));
        }
        let not_yet = || {
            Ok(Err("The image distribution is uniform until the second epoch, and there is no later checkpoint yet."
                .to_owned()))
        };
        let (Some(record), Some(found)) = (record, newest(folder, config)?) else { return not_yet() };
        let state: DataImportanceState = match found.state.read(DataImportanceState::KIND) {
            Ok(state) => state,
            Err(error) => return Ok(Err(format!("{}: {error}.", found.path.display()))),
        };
        if state.epochs == 0 {
            return not_yet();
        }
        let images = match self.images(config, record) {
            Ok(images) => images,
            Err(reason) => return Ok(Err(reason)),
        };
        let q = state.probability.as_slice();
        if q.len() != images.len() || !q.iter().all(|q| q.is_finite()) {
            let reason =
                format!("{} has no distribution over {} images.", found.path.display(), images.len());
            return Ok(Err(reason));
        }
        let checkpoint = found.path.strip_prefix(folder).unwrap_or(&found.path).display().to_string();
        let preferred = of(q, &images).map_err(|error| format!("The images cannot be shown: {error}."));
        Ok(preferred.map(|preferred| PreferredImages { checkpoint, epochs: found.epochs, ..preferred }))
    }
}

/// Reads the state of the data sampler from the newest checkpoint of a run, in the last stage that has one.
fn newest(folder: &Path, config: &Config) -> Result<Option<DataState>, PadaError> {
    let mut folders = vec![folder.to_owned()];
    if config.split().is_some() {
        let io = |source| PadaError::Read { path: folder.into(), source };
        let entries = std::fs::read_dir(folder).map_err(io)?.collect::<Result<Vec<_>, _>>().map_err(io)?;
        let stage = |path: &PathBuf| {
            path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with("stage-"))
        };
        folders = entries.into_iter().map(|entry| entry.path()).filter(stage).collect();
        folders.sort_unstable();
    }
    for folder in folders.iter().rev() {
        if let Some(found) = Checkpoint::data_state(folder)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Finds the images that a distribution `q`, `[N]`, prefers and avoids.
fn of(q: &[f64], images: &Dataset) -> Result<PreferredImages, DataError> {
    let mut order: Vec<usize> = (0..q.len()).collect();
    order.sort_by(|&a, &b| q[a].total_cmp(&q[b]));
    let lowest_probability = order.first().map_or(0.0, |&i| q[i]);
    let lowest = order.iter().take_while(|&&i| q[i] == lowest_probability).count();
    // If more images share the lowest probability than the report shows, any choice among them is arbitrary, so none is shown.
    let skipped = if lowest > SHOWN { lowest } else { 0 };
    // Damaged photographs are skipped here if the run skips them.
    let thumbnail = |&index: &usize| {
        let image = match images.subset(&[index as u32])?.to_memory(1) {
            Err(DataError::AllDamaged { .. }) => return Ok(None),
            image => image?,
        };
        let class = || class(images, usize::from(images.labels()[index]));
        let shown = Thumbnail { index, class: class(), probability: q[index], pixels: pixels(&image) };
        Ok(Some(shown))
    };
    let thumbnails = |places: &mut dyn Iterator<Item = &usize>| -> Result<Vec<Thumbnail>, DataError> {
        places.map(thumbnail).filter_map(Result::transpose).collect()
    };
    Ok(PreferredImages {
        checkpoint: String::new(),
        epochs: 0,
        images: q.len(),
        effective: effective_sample_size(q),
        classes: classes(q, images),
        preferred: thumbnails(&mut order.iter().rev().take(SHOWN))?,
        avoided: thumbnails(&mut order.iter().skip(skipped).take(SHOWN))?,
        lowest,
        lowest_probability,
    })
}

/// Computes the mean of N·q over the images of every class.
fn classes(q: &[f64], images: &Dataset) -> Vec<(String, f64)> {
    let mut sums = vec![(0.0, 0_usize); images.classes()];
    for (q, label) in q.iter().zip(images.labels()) {
        let (sum, n) = &mut sums[usize::from(*label)];
        (*sum, *n) = (*sum + q, *n + 1);
    }
    let n = q.len() as f64;
    let ratio = |(label, (sum, count)): (usize, &(f64, usize))| {
        (*count > 0).then(|| (class(images, label), n * sum / *count as f64))
    };
    sums.iter().enumerate().filter_map(ratio).collect()
}

fn class(images: &Dataset, label: usize) -> String {
    images.class(label).map_or_else(|| format!("class {label}"), str::to_owned)
}

/// Converts the first image to bytes. Each pixel of a reduced image is the mean of a square.
fn pixels(images: &InMemoryDataset) -> Pixels {
    let side = images.height.max(images.width).div_ceil(LARGEST).max(1);
    let (height, width) = (images.height / side, images.width / side);
    let first = images.image(0).unwrap_or_default();
    let planes: Vec<&[u8]> = first.chunks_exact(images.height * images.width).collect();
    let mean = |plane: &[u8], y: usize, x: usize| {
        let square = (0..side * side).map(|i| (y * side + i / side) * images.width + x * side + i % side);
        (square.map(|at| u32::from(plane[at])).sum::<u32>() / (side * side) as u32) as u8
    };
    let mut rgb = Vec::with_capacity(3 * height * width);
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        // An image with one channel is grey.
        rgb.extend((0..3).map(|c| mean(planes[c.min(planes.len() - 1)], y, x)));
    }
    Pixels { width: width as u32, height: height as u32, rgb }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use pada_data::Normalize;

    use super::*;

    fn images(n: usize, side: usize) -> InMemoryDataset {
        InMemoryDataset {
            name: "made up".into(),
            channels: 3,
            height: side,
            width: side,
            classes: 10,
            pixels: (0..n * 3 * side * side).map(|i| (i / (side * side)) as u8).collect(),
            labels: (0..n).map(|i| (i % 2) as u16).collect(),
            normalize: Normalize { mean: [0.0; 3], std: [1.0; 3] },
        }
    }

    #[test]
    fn the_most_and_the_least_probable_images_are_found() {
        let n = 40;
        let q: Vec<f64> = (0..n).map(|i| i as f64 / 780.0).collect();
        let found = of(&q, &images(n, 1).into()).unwrap();
        let indices = |list: &[Thumbnail]| list.iter().map(|t| t.index).collect::<Vec<_>>();
        assert_eq!(indices(&found.preferred), (24..40).rev().collect::<Vec<_>>());
        assert_eq!(indices(&found.avoided), (0..16).collect::<Vec<_>>());
        assert_eq!((found.lowest, found.images, found.preferred[0].class.as_str()), (1, 40, "automobile"));
        // Even indices sum to 380, odd ones to 400.
        let ratios: Vec<f64> = found.classes.iter().map(|(_, ratio)| *ratio).collect();
        assert!(
            (ratios[0] - 380.0 / 390.0).abs() < 1e-12 && (ratios[1] - 400.0 / 390.0).abs() < 1e-12,
            "{ratios:?}"
        );
    }

    #[test]
    fn images_that_are_all_avoided_alike_are_counted_not_shown() {
        let q: Vec<f64> = (0..40).map(|i| if i < 20 { 0.0 } else { (i - 19) as f64 / 210.0 }).collect();
        let found = of(&q, &images(40, 1).into()).unwrap();
        assert_eq!((found.lowest, found.lowest_probability, found.avoided[0].index), (20, 0.0, 20));
    }

    #[test]
    fn large_images_become_smaller() {
        let set = images(1, 130);
        let found = pixels(&set);
        assert_eq!((found.width, found.height, found.rgb.len()), (43, 43, 43 * 43 * 3));
        assert_eq!(found.rgb[..3], [0, 1, 2]);
        let set = images(2, 4);
        assert_eq!(pixels(&set.subset(&[1]).unwrap()).rgb[..6], [3, 4, 5, 3, 4, 5]);
    }
}
