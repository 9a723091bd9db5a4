use std::path::Path;

use pada_space::{Darts, DartsOp, Genotype, SpaceError};

use crate::table::{EveryArch, Rows, read_file};
use crate::{BenchmarkTable, Download, NasBenchError, RowUnit};

/// The name of the table's file. It is stored in the folder `darts_1000` of the data folder.
pub const DARTS_1000_FILE: &str = "DARTS_archs_CIFAR10.csv";

/// The SHA-256 checksum of the file.
pub const DARTS_1000_SHA256: &str = "d28d263aa7dd4103b6a1da1775b1b03ae16ffd2516409ca3bd493c8784abe6b0";

/// The genotypes of the DARTS space among 1,000 random genotypes, each trained once for 200 epochs on CIFAR-10: validation accuracies in
/// percent.
///
/// The genotypes of the file were drawn without the rule of the DARTS space that a node reads two different nodes. A genotype that breaks
/// the rule is not an architecture of [`Darts`], and the table leaves it out, unless one of the two edges has the operation `none`. Such
/// an edge passes nothing on, so it is moved to another source, which changes no output. 282 genotypes remain. The normal and the
/// reduction cell of each are equal.
///
/// # Source
/// Peng, Song, Fayek, Ciesielski & Chang, *SWAP-NAS: Sample-Wise Activation Patterns for Ultra-fast NAS*, ICLR 2024;
/// <https://github.com/pym1024/SWAP>.
#[derive(Clone, Debug)]
pub struct Darts1000Table {
    table: BenchmarkTable,
    outside: usize,
}

impl Darts1000Table {
    /// Reads and checks the table: every line must be a genotype with its accuracy, and no architecture may occur twice.
    ///
    /// # Errors
    /// Returns [`NasBenchError::Missing`] if the file does not exist, and other errors of [`NasBenchError`], with the line, if it is
    /// damaged.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, NasBenchError> {
        let path = path.as_ref();
        let csv = read_file(path, Download::Darts1000)?;
        let mut rows = Rows::without_header(path, &csv, &["genotype", "accuracy"]);
        let (genotype, accuracy) = (rows.column("genotype")?, rows.column("accuracy")?);
        let mut seen = EveryArch::of_lines(path, Download::Darts1000);
        let (mut accuracies, mut outside) = (Vec::new(), 0);
        while let Some(row) = rows.next_row()? {
            let number = row.number(accuracy)?;
            let bad = |source: SpaceError| {
                let (path, unit) = (path.into(), RowUnit::Line);
                NasBenchError::BadArch { path, line: row.line, unit, source }
            };
            let mut genotype = Genotype::parse(row.text(genotype)).map_err(bad)?;
            if separate_sources(&mut genotype) {
                seen.add(Darts::arch(&genotype).map_err(bad)?, row.line)?;
                accuracies.push(number);
            } else {
                outside += 1;
            }
        }
        let table = BenchmarkTable::new("darts-1000", seen.some()?, accuracies)?;
        Ok(Self { table: table.with_dataset("cifar10"), outside })
    }

    /// Returns the accuracies of the genotypes of the space, in percent.
    pub fn table(&self) -> &BenchmarkTable {
        &self.table
    }

    /// Returns the number of genotypes of the file that are not in the space.
    pub fn outside(&self) -> usize {
        self.outside
    }
}

/// Moves edges with the operation `none` to another source where a node reads one node twice. Returns whether every node reads two
/// different nodes then.
fn separate_sources(genotype: &mut Genotype) -> bool {
    let pairs =
        [&mut genotype.normal, &mut genotype.reduce].into_iter().flat_map(|c| c.edges.chunks_exact_mut(2));
    for pair in pairs {
        let source = pair[0].1;
        if source == pair[1].1 {
            let Some(idle) = pair.iter_mut().find(|(op, _)| *op == DartsOp::None) else { return false };
            idle.1 = usize::from(source == 0);
        }
    }
    true
}
