use std::path::PathBuf;
use std::sync::Mutex;

use numpy::{PyArray1, ToPyArray};
use pada::nasbench::{BenchmarkTable, Download, Nb201Table, TableName};
use pada::with_causes;
use pada_fetch::{Event, FetchError, Resource};
use pyo3::prelude::*;

use crate::arch::Arch;
use crate::error::{RUN, exception, invalid, raised};
use crate::space::Space;

/// The architectures of a table, and its columns of numbers by name.
type Columns<'py> = (Vec<Arch>, Vec<(String, Bound<'py, PyArray1<f64>>)>);

/// Reads a table by name, or the CSV file of a user's own table, whose architectures are of `space`.
#[pyfunction]
pub(crate) fn load_table<'py>(
    py: Python<'py>,
    name: &str,
    data_dir: PathBuf,
    space: Option<Py<Space>>,
) -> PyResult<Columns<'py>> {
    let archs = |archs: &[pada::space::Arch]| archs.iter().cloned().map(Arch).collect();
    if let Some(space) = space {
        let space = space.get().space.as_ref();
        let table = py.detach(|| BenchmarkTable::load(name, space)).map_err(raised)?;
        return Ok((archs(table.archs()), columns(py, &table)));
    }
    let table: TableName = name.parse().map_err(|error: pada::nasbench::NasBenchError| raised(error))?;
    if table == TableName::Nb201 {
        let table = py.detach(|| Nb201Table::load(Download::Nb201.path(&data_dir))).map_err(raised)?;
        let mut found = vec![];
        for &name in Nb201Table::column_names() {
            found.push((name.to_owned(), table.column(name).map_err(raised)?.to_pyarray(py)));
        }
        return Ok((archs(table.archs()), found));
    }
    let table = py.detach(|| table.load(&data_dir)).map_err(raised)?;
    Ok((archs(table.archs()), columns(py, &table)))
}

/// The accuracies of a table, and those of each seed if it has them. An architecture without a seed has NaN.
fn columns<'py>(py: Python<'py>, table: &BenchmarkTable) -> Vec<(String, Bound<'py, PyArray1<f64>>)> {
    let mut columns = vec![("accuracy".to_owned(), table.accuracies().to_pyarray(py))];
    for (seed, list) in table.by_seed() {
        let list: Vec<f64> = list.iter().map(|accuracy| accuracy.unwrap_or(f64::NAN)).collect();
        columns.push((format!("accuracy_seed_{seed}"), PyArray1::from_vec(py, list)));
    }
    columns
}

const RESOURCES: [Resource; 8] = [
    Resource::Cifar10,
    Resource::Cifar100,
    Resource::Nb201,
    Resource::NasBenchMacro,
    Resource::FewShotScores,
    Resource::Darts214,
    Resource::Darts1000,
    Resource::Nb201Proxies,
];

/// Downloads a data set or a table into the data folder. `progress` receives the bytes so far and in total.
#[pyfunction]
pub(crate) fn download(
    py: Python<'_>,
    name: &str,
    data_dir: PathBuf,
    source: Option<PathBuf>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Vec<PathBuf>> {
    let Some(resource) = RESOURCES.into_iter().find(|resource| resource.to_string() == name) else {
        let names = RESOURCES.map(|resource| resource.to_string()).join(", ");
        return Err(invalid(&format!("there is no download {name:?}; the names are {names}")));
    };
    let stop = Mutex::new(None);
    let fetched = py.detach(|| {
        let report = |event: Event<'_>| {
            let (Event::Received { bytes, total }, Some(progress)) = (event, &progress) else { return };
            Python::attach(|py| {
                if let Err(error) = progress.call1(py, (bytes, total)) {
                    *stop.lock().expect("no thread panics while it holds the lock") = Some(error);
                }
            });
        };
        pada_fetch::fetch(resource, &data_dir, source.as_deref(), &report)
    });
    if let Some(error) = stop.into_inner().expect("no thread panics while it holds the lock") {
        return Err(error);
    }
    match fetched {
        Ok(fetched) => Ok(fetched.files),
        Err(error) => Err(not_fetched(&error)),
    }
}

fn not_fetched(error: &FetchError) -> PyErr {
    let text = with_causes(error);
    match error {
        FetchError::NothingInFolder { .. } | FetchError::MissingFile { .. } | FetchError::Format { .. } => {
            invalid(&text)
        }
        _ => exception(RUN, &text),
    }
}
