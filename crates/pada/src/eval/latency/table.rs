use std::collections::HashMap;
use std::path::Path;

use pada_graph::{Piece, Shape};
use pada_space::Arch;

use crate::error::PadaError;
use crate::eval::arch_files::{Table, read_text, write_table};
use crate::run::network::Network;

const COLUMNS: [&str; 6] = ["operation", "input", "output", "milliseconds", "spread", "repeats"];

/// Latencies of operations at their shapes, from which the latency of every architecture of a space follows as a sum.
///
/// The operations are the pieces of the exported network ([`pada_graph::Graph::pieces`]): a layer with the activation before it and the batch
/// norm behind it, or a sum. Layers that cannot influence the output are not part of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LatencyTable {
    rows: Vec<OpLatency>,
    /// The row of each operation: name, input and output.
    places: HashMap<(String, Shape, Shape), usize>,
}

/// The latency of one operation at one shape.
#[derive(Clone, Debug, PartialEq)]
pub struct OpLatency {
    /// The layers of the operation, for example `relu+conv3x3+norm`.
    pub operation: String,
    /// Shape of an input for one image.
    pub input: Shape,
    /// Shape of the output for one image.
    pub output: Shape,
    /// Median time of a pass over the batch, in milliseconds.
    pub milliseconds: f64,
    /// Half of the distance between the quartiles of the timings, in milliseconds.
    pub spread: f64,
    /// Number of timings.
    pub repeats: usize,
}

impl LatencyTable {
    /// Creates a table. If an operation has several rows, the last one is used.
    pub fn new(rows: Vec<OpLatency>) -> Self {
        let key = |row: &OpLatency| (row.operation.clone(), row.input, row.output);
        let places = rows.iter().enumerate().map(|(place, row)| (key(row), place)).collect();
        Self { rows, places }
    }

    /// Returns the rows.
    pub fn rows(&self) -> &[OpLatency] {
        &self.rows
    }

    /// Returns whether a file is a table of operations: whether it has the column `operation`.
    ///
    /// # Errors
    /// Returns [`PadaError::Read`] if the file cannot be read.
    pub(crate) fn is_in(path: &Path) -> Result<bool, PadaError> {
        Ok(Table::of(path, &read_text(path)?)?.column(path, COLUMNS[0])?.is_some())
    }

    /// Reads a table that [`LatencyTable::write`] or another program wrote. The columns `spread` and `repeats` may be missing.
    ///
    /// # Errors
    /// Returns [`PadaError::Read`] if the file cannot be read, [`PadaError::NoColumn`] with the columns of the file if one is missing,
    /// [`PadaError::Scores`] with the line of a shape that is not of the form 16x32x32, of a latency that is not a finite number of at
    /// least 0, or of an operation that occurs twice, and [`PadaError::NoOperations`] if there is no row.
    pub fn read(path: &Path) -> Result<Self, PadaError> {
        let text = read_text(path)?;
        let mut table = Table::of(path, &text)?;
        let column = |table: &Table<'_>, name: &str| {
            table.column(path, name)?.ok_or_else(|| PadaError::NoColumn {
                path: path.into(),
                column: name.to_owned(),
                columns: table.header.join(", "),
                advice: "; `pada latency measure` writes a table of operations",
            })
        };
        let [operation, input, output, latency] =
            [column(&table, COLUMNS[0])?, column(&table, COLUMNS[1])?, column(&table, COLUMNS[2])?, {
                column(&table, COLUMNS[3])?
            }];
        let (spread, repeats) = (table.column(path, COLUMNS[4])?, table.column(path, COLUMNS[5])?);
        let (mut rows, mut lines) = (Vec::new(), HashMap::new());
        while let Some((line, row)) = table.next(path)? {
            let bad = |reason: String| PadaError::Scores { path: path.into(), line, reason };
            let shape = |place: usize| {
                let text = row[place].trim();
                let wrong = || {
                    let name = &table.header[place];
                    bad(format!("{name} is {text:?}, but it must be a shape C×H×W such as 16x32x32"))
                };
                parse_shape(text).ok_or_else(wrong)
            };
            let number = |place: usize| {
                let text = row[place].trim();
                let number = table.number(text).filter(|number| number.is_finite() && *number >= 0.0);
                number.ok_or_else(|| {
                    let name = &table.header[place];
                    bad(format!("{name} is {text:?}, but it must be a number of at least 0"))
                })
            };
            let found = OpLatency {
                operation: row[operation].trim().to_owned(),
                input: shape(input)?,
                output: shape(output)?,
                milliseconds: number(latency)?,
                spread: spread.map_or(Ok(0.0), number)?,
                repeats: repeats.map_or(Ok(0.0), number)? as usize,
            };
            let key = (found.operation.clone(), found.input, found.output);
            if let Some(first) = lines.insert(key, line) {
                return Err(bad(format!(
                    "{} at these shapes occurs already in line {first}",
                    found.operation
                )));
            }
            rows.push(found);
        }
        if rows.is_empty() {
            return Err(PadaError::NoOperations { path: path.into() });
        }
        Ok(Self::new(rows))
    }

    /// Writes the table as a CSV file with the columns `operation`, `input`, `output`, `milliseconds`, `spread` and `repeats`.
    ///
    /// # Errors
    /// Returns [`PadaError::Write`] if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), PadaError> {
        let rows = self.rows.iter().map(|row| {
            let OpLatency { operation, input, output, milliseconds, spread, repeats } = row;
            vec![
                operation.clone(),
                shape_text(*input),
                shape_text(*output),
                milliseconds.to_string(),
                spread.to_string(),
                repeats.to_string(),
            ]
        });
        write_table(path, COLUMNS, rows)
    }

    /// Returns the time of an operation in milliseconds, or `None` if the table does not have it.
    pub(crate) fn milliseconds(&self, piece: &Piece) -> Option<f64> {
        let key = (piece.name.clone(), piece.input, piece.output);
        self.places.get(&key).map(|&place| self.rows[place].milliseconds)
    }

    /// Predicts the latency of an architecture in milliseconds: the sum over the operations of its exported network. The inner result is an
    /// operation that the table does not have.
    pub(crate) fn latency(&self, network: &Network, arch: &Arch) -> Result<Result<f64, Piece>, PadaError> {
        let mut pieces = network.frozen(arch)?.graph().pieces();
        if pieces.iter().all(|piece| piece.name != Piece::INPUT) {
            // Nothing reads the images of a network whose output is constant, but they are passed in.
            pieces.push(Piece::of_images(network.input()));
        }
        let mut sum = 0.0;
        for piece in pieces {
            match self.milliseconds(&piece) {
                Some(milliseconds) => sum += milliseconds,
                None => return Ok(Err(piece)),
            }
        }
        Ok(Ok(sum))
    }

    /// Checks that the table has all operations of a space.
    ///
    /// # Errors
    /// Returns [`PadaError::NoOperation`] with the first operation that is missing.
    pub(crate) fn check(&self, path: &Path, network: &Network) -> Result<(), PadaError> {
        let missing = network.pieces()?.into_iter().find(|(piece, _)| self.milliseconds(piece).is_none());
        missing.map_or(Ok(()), |(piece, _)| Err(no_operation(path, &piece)))
    }
}

/// Returns the error of a table that does not have an operation.
pub(crate) fn no_operation(path: &Path, piece: &Piece) -> PadaError {
    PadaError::NoOperation { path: path.into(), operation: piece.to_string() }
}

fn shape_text(shape: Shape) -> String {
    format!("{}x{}x{}", shape.channels, shape.height, shape.width)
}

fn parse_shape(text: &str) -> Option<Shape> {
    let mut numbers = text.split(['x', '×']).map(|number| number.parse::<usize>().ok());
    let shape = Shape::new(numbers.next()??, numbers.next()??, numbers.next()??);
    numbers.next().is_none().then_some(shape)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::config::{SpaceName, SupernetConfig};

    fn row(operation: &str, milliseconds: f64) -> OpLatency {
        let (input, output) = (Shape::new(3, 8, 8), Shape::new(4, 8, 8));
        OpLatency { operation: operation.into(), input, output, milliseconds, spread: 0.25, repeats: 3 }
    }

    fn refusal(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ops.csv");
        std::fs::write(&path, text).unwrap();
        let error = LatencyTable::read(&path).unwrap_err().to_string();
        assert!(error.contains("ops.csv"), "{error}");
        error
    }

    #[test]
    fn a_table_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ops.csv");
        let table = LatencyTable::new(vec![row("conv3x3+norm", 0.1), row("norm", 1e-7)]);
        table.write(&path).unwrap();
        assert_eq!(LatencyTable::read(&path).unwrap(), table);
        assert!(LatencyTable::is_in(&path).unwrap());
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("operation,input,output,milliseconds,spread,repeats\n"), "{text}");
        assert!(text.contains("\nconv3x3+norm,3x8x8,4x8x8,0.1,0.25,3\n"), "{text}");
        std::fs::write(&path, "arch,latency\n333333,1\n").unwrap();
        assert!(!LatencyTable::is_in(&path).unwrap());
    }

    #[test]
    fn tables_of_other_programs_need_four_columns_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ops.csv");
        std::fs::write(&path, "# by hand\noperation;input;output;milliseconds\nnorm;4×8×8;4×8×8;0,5\n")
            .unwrap();
        let table = LatencyTable::read(&path).unwrap();
        assert_eq!((table.rows()[0].milliseconds, table.rows()[0].input), (0.5, Shape::new(4, 8, 8)));
    }

    #[test]
    fn a_bad_table_is_refused_with_the_line() {
        const HEAD: &str = "operation,input,output,milliseconds\n";
        let line = |row: &str| refusal(&format!("{HEAD}norm,4x8x8,4x8x8,1\n{row}\n"));
        for (row, words) in [
            ("relu,8x8,4x8x8,1", "line 3: input is \"8x8\", but it must be a shape C×H×W such as 16x32x32"),
            ("relu,4x8x8,4x8x8x1,1", "line 3: output is \"4x8x8x1\""),
            (
                "relu,4x8x8,4x8x8,nan",
                "line 3: milliseconds is \"nan\", but it must be a number of at least 0",
            ),
            ("relu,4x8x8,4x8x8,-1", "line 3: milliseconds is \"-1\""),
            ("relu,4x8x8,4x8x8", "line 3: the row has 3 cells"),
            ("norm,4x8x8,4x8x8,2", "line 3: norm at these shapes occurs already in line 2"),
        ] {
            let error = line(row);
            assert!(error.contains(words), "{error}");
        }
        assert!(refusal(HEAD).contains("no operation; write it with `pada latency measure --out"));
        let error = refusal("operation,input,milliseconds\n");
        assert!(error.contains("no column output") && error.contains("`pada latency measure`"), "{error}");
    }

    #[test]
    fn a_table_of_another_network_is_refused_with_the_operation() {
        let config = SupernetConfig::usual(SpaceName::Nb201);
        let network = Network::of_images(&config, Shape::new(3, 16, 16), 10).unwrap();
        let rows = |network: &Network| {
            let pieces = network.pieces().unwrap().into_iter().map(|(piece, _)| OpLatency {
                operation: piece.name,
                input: piece.input,
                output: piece.output,
                milliseconds: 2.0,
                spread: 0.0,
                repeats: 1,
            });
            LatencyTable::new(pieces.collect())
        };
        let (table, path) = (rows(&network), Path::new("ops.csv"));
        table.check(path, &network).unwrap();
        // More cells have the same operations, more often.
        let deeper = SupernetConfig { cells: Some(7), ..config.clone() };
        let deeper = Network::of_images(&deeper, Shape::new(3, 16, 16), 10).unwrap();
        table.check(path, &deeper).unwrap();
        let arch = network.space.parse("333333").unwrap();
        let [shallow, deep] =
            [&network, &deeper].map(|network| table.latency(network, &arch).unwrap().unwrap());
        // Two cells more in each of three stages, each with six convolutions and two sums.
        assert_eq!(deep - shallow, 2.0 * 2.0 * 3.0 * (6.0 + 2.0));
        let wider = SupernetConfig { channels: Some(24), ..config };
        let wider = Network::of_images(&wider, Shape::new(3, 16, 16), 10).unwrap();
        let error = table.check(path, &wider).unwrap_err().to_string();
        assert!(error.starts_with("ops.csv has no latency of "), "{error}");
        assert!(error.contains("96×4×4") && error.contains("`pada latency measure`"), "{error}");
    }
}
