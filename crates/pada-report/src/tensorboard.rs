use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::{Agreement, EpochRecord, ReportError};

/// Writes the curves of a run as an event file for TensorBoard.
///
/// One step is one epoch. If the supernet was split, the epochs of all stages are counted.
///
/// # Source
/// The record framing of TensorFlow's `tfrecord` files, and the fields of `tensorflow/core/util/event.proto` and
/// `summary.proto` that scalars need.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: File,
    /// Start of the run, seconds since 1970.
    began: f64,
    /// Number of epochs that have been written.
    written: usize,
}

/// Prefix of every event file's name; TensorBoard looks for it.
const PREFIX: &str = "events.out.tfevents.";

impl EventFile {
    /// Creates the event file in a folder. `began` is the start of the run in seconds since 1970.
    ///
    /// Event files of earlier sessions are removed, because [`EventFile::epochs`] writes all epochs again.
    ///
    /// # Errors
    /// Returns [`ReportError::Io`], which names the file.
    pub fn create(folder: &Path, began: f64) -> Result<Self, ReportError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| ReportError::Io { path, source }
        };
        for entry in std::fs::read_dir(folder).map_err(io(folder))? {
            let path = entry.map_err(io(folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            if name.is_some_and(|name| name.starts_with(PREFIX)) {
                std::fs::remove_file(&path).map_err(io(&path))?;
            }
        }
        let path = folder.join(format!("{PREFIX}{:010}.pada", began as u64));
        let file = File::create(&path).map_err(io(&path))?;
        let mut events = Self { path, file, began, written: 0 };
        let version = bytes(3, b"brain.Event:2");
        events.write(&[double(1, began), version].concat())?;
        Ok(events)
    }

    /// Writes the epochs that have not been written yet. `op_names` has one name per operation, `[O]`.
    ///
    /// # Errors
    /// Returns [`ReportError::Io`], which names the file.
    pub fn epochs(&mut self, epochs: &[EpochRecord], op_names: &[&str]) -> Result<(), ReportError> {
        let mut seconds = 0.0;
        for (step, epoch) in epochs.iter().enumerate() {
            seconds += epoch.seconds;
            if step >= self.written {
                self.scalars(step, seconds, &curves(epoch, op_names))?;
            }
        }
        self.written = epochs.len();
        Ok(())
    }

    /// Writes the agreement of the ranking with each benchmark table, as the step after the last epoch.
    ///
    /// # Errors
    /// Returns [`ReportError::Io`], which names the file.
    pub fn ranking(&mut self, epochs: &[EpochRecord], agreements: &[Agreement]) -> Result<(), ReportError> {
        let seconds = epochs.iter().map(|e| e.seconds).sum();
        self.scalars(epochs.len(), seconds, &ranking_values(agreements))
    }

    fn scalars(&mut self, step: usize, seconds: f64, values: &[(String, f64)]) -> Result<(), ReportError> {
        let value = |(tag, value): &(String, f64)| {
            bytes(1, &[bytes(1, tag.as_bytes()), float(2, *value as f32)].concat())
        };
        let summary: Vec<u8> = values.iter().flat_map(value).collect();
        self.write(&[double(1, self.began + seconds), integer(2, step as u64), bytes(5, &summary)].concat())
    }

    /// Writes one record: its length, a checksum of the length, the event, and a checksum of the event.
    fn write(&mut self, event: &[u8]) -> Result<(), ReportError> {
        let length = (event.len() as u64).to_le_bytes();
        let record = [&length[..], &masked_crc(&length), event, &masked_crc(event)].concat();
        let written = self.file.write_all(&record).and_then(|()| self.file.flush());
        written.map_err(|source| ReportError::Io { path: self.path.clone(), source })
    }
}

/// Tags and values of the agreement with each benchmark table.
pub(crate) fn ranking_values(agreements: &[Agreement]) -> Vec<(String, f64)> {
    let mut values = Vec::new();
    for agreement in agreements {
        let name = &agreement.table;
        if let Some(metrics) = &agreement.metrics {
            values.push((format!("ranking/tau_b/{name}"), metrics.tau_b));
            values.extend(metrics.p_at_top_5.map(|p| (format!("ranking/p_at_top5/{name}"), p)));
        }
    }
    values
}

/// Tags and values of one epoch.
pub(crate) fn curves(e: &EpochRecord, op_names: &[&str]) -> Vec<(String, f64)> {
    let mut values = vec![
        ("train/loss".to_owned(), e.loss),
        ("train/accuracy".to_owned(), e.accuracy),
        ("train/learning_rate".to_owned(), e.lr),
        ("train/gradient_norm".to_owned(), e.grad_norm),
        ("paths/entropy".to_owned(), e.path_entropy),
        ("paths/distinct".to_owned(), e.paths.distinct as f64),
        ("images/distinct".to_owned(), e.images.distinct as f64),
    ];
    let optional = [
        ("gradient_variance/raw", e.gv),
        ("gradient_variance/scale_free", e.gv_scale_free),
        ("images/entropy", e.image_entropy),
        ("images/effective_sample_size", e.effective_sample_size),
    ];
    values.extend(optional.into_iter().filter_map(|(tag, value)| Some((tag.to_owned(), value?))));
    let rows = e.path_distribution.len();
    for (row, p) in e.path_distribution.iter().enumerate() {
        let place = match rows {
            1 => String::new(),
            rows if rows == e.paths.op_counts.len() => format!("decision {row}/"),
            _ => format!("row {row}/"),
        };
        let names = op_names.iter().zip(p);
        values.extend(names.map(|(op, p)| (format!("paths/p/{place}{op}"), *p)));
    }
    values
}

fn masked_crc(data: &[u8]) -> [u8; 4] {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xA282_EAD8).to_le_bytes()
}

/// Encodes an integer as protocol buffers do: seven bits per byte, the lowest first.
fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

fn integer(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn double(field: u64, value: f64) -> Vec<u8> {
    [varint(field << 3 | 1), value.to_le_bytes().to_vec()].concat()
}

fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

fn float(field: u64, value: f32) -> Vec<u8> {
    [varint(field << 3 | 5), value.to_le_bytes().to_vec()].concat()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    /// `tensorboard` 2.21, `RecordWriter(file).write(Event(wall_time=1.5, step=300, summary=...).SerializeToString())` with the scalar
    /// `a = 0.25`.
    #[test]
    fn a_scalar_is_written_as_tensorboard_writes_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut events = EventFile::create(folder.path(), 1.0).unwrap();
        let before = std::fs::metadata(&events.path).unwrap().len() as usize;
        events.scalars(300, 0.5, &[("a".to_owned(), 0.25)]).unwrap();
        let written = std::fs::read(&events.path).unwrap();
        let hex: String = written[before..].iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, GOLDEN);
    }

    const GOLDEN: &str = "1800000000000000a37f4b2209000000000000f83f10ac022a0a0a080a0161150000803eb4fa9511";

    #[test]
    fn a_second_session_replaces_the_file_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        EventFile::create(folder.path(), 1.0).unwrap();
        EventFile::create(folder.path(), 2.0).unwrap();
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }
}
