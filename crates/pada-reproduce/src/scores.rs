use std::collections::BTreeMap;
use std::path::Path;

use pada::space::Arch;

use crate::ReproduceError;
use crate::environment::{MEMORY, csv_bytes, write_whole};
use crate::runner::Progress;

/// Writes the scores that tables are computed from. The columns are `arch`, `truth` (stand-alone accuracy, percent) and one score column
/// (percent) per run, named like its folder. A field is empty if the run did not rank the architecture.
pub(crate) fn write(progress: &Progress, file: &Path) -> Result<(), ReproduceError> {
    let mut rows: BTreeMap<&Arch, (f64, Vec<Option<f64>>)> = BTreeMap::new();
    let runs = progress.finished.len();
    for (run, finished) in progress.finished.iter().enumerate() {
        for (arch, (score, truth)) in &finished.scores {
            rows.entry(arch).or_insert_with(|| (*truth, vec![None; runs])).1[run] = Some(*score);
        }
    }
    let mut csv = csv::Writer::from_writer(vec![]);
    let names = progress.finished.iter().map(|finished| finished.trial.name.clone());
    csv.write_record(["arch", "truth"].map(str::to_owned).into_iter().chain(names)).expect(MEMORY);
    for (arch, (truth, scores)) in rows {
        let scores = scores.into_iter().map(|score| score.map(|score| score.to_string()).unwrap_or_default());
        csv.write_record([arch.to_string(), truth.to_string()].into_iter().chain(scores)).expect(MEMORY);
    }
    write_whole(file, &csv_bytes(csv))
}
