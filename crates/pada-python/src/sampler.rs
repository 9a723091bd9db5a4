use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use numpy::{PyArray1, PyReadonlyArray1, ToPyArray};
use pada::PathsConfig;
use pada::sampler::{
    ConnectedPaths, ConstantPaths, DataImportance, DataImportanceConfig, FairPaths, OneChangePaths,
    ParetoPaths, PathImportance, PathObservation, Progress, SamplerError, SavedState, UniformData,
    UniformPaths,
};
use pyo3::prelude::*;

use crate::arch::{Arch, Rng};
use crate::error::{from_json, invalid, raised, to_json};
use crate::space::SubSpace;

/// Any path sampler of the Rust crate.
#[pyclass(module = "pada._native")]
pub(crate) struct PathSampler {
    sampler: Mutex<Boxed>,
    raised: Raised,
    /// The space and the costs of the rule `pareto`.
    costs: Option<(pada::space::SubSpace, Arc<Costs>)>,
}

/// The costs of paths, which a function of Python computes once for each path.
struct Costs {
    function: Py<PyAny>,
    raised: Raised,
    known: Mutex<HashMap<pada::space::Arch, f64>>,
}

/// The number of paths whose costs are kept.
const KNOWN_COSTS: usize = 100_000;

impl Costs {
    /// Returns the cost of a path. If the function raises, the cost is infinite and is not kept.
    fn of(&self, path: &pada::space::Arch) -> f64 {
        let known = || self.known.lock().expect("no thread panics while it holds the lock");
        if let Some(&cost) = known().get(path) {
            return cost;
        }
        // The lock is not held while Python runs.
        let Some(cost) = called::<Option<f64>>(&self.function, &self.raised, path, None) else {
            return f64::INFINITY;
        };
        let mut known = known();
        if known.len() >= KNOWN_COSTS {
            known.clear();
        }
        known.insert(path.clone(), cost);
        cost
    }
}

type Boxed = Box<dyn pada::sampler::PathSampler>;

/// The first exception of a function of Python that a sampler called.
type Raised = Arc<Mutex<Option<PyErr>>>;

/// Raises the exception of a function that was called meanwhile.
fn check(raised: &Raised) -> PyResult<()> {
    match raised.lock().expect("no thread panics while it holds the lock").take() {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Calls a function of Python with an architecture. A function that raises counts as `otherwise` until [`check`] raises the exception.
fn called<T: for<'a, 'py> FromPyObject<'a, 'py>>(
    function: &Py<PyAny>,
    raised: &Raised,
    arch: &pada::space::Arch,
    otherwise: T,
) -> T {
    Python::attach(|py| {
        let value = function.call1(py, (Arch(arch.clone()),));
        let value = value.and_then(|value| value.extract::<T>(py).map_err(Into::into));
        value.unwrap_or_else(|error: PyErr| {
            raised.lock().expect("no thread panics while it holds the lock").get_or_insert(error);
            otherwise
        })
    })
}

impl PathSampler {
    fn get(&mut self) -> &mut dyn pada::sampler::PathSampler {
        self.sampler.get_mut().expect("no thread panics while it holds the lock").as_mut()
    }
}

/// Puts a sampler into a box, because each has its own type.
fn boxed<S: pada::sampler::PathSampler + 'static>(
    sampler: Result<S, SamplerError>,
) -> Result<Boxed, SamplerError> {
    sampler.map(|sampler| Box::new(sampler) as Boxed)
}

#[pymethods]
impl PathSampler {
    /// Creates the sampler of a rule. `settings` is JSON: the section `[paths]` of a config. `function` is the cost of the rule `pareto`, or
    /// the test of the rule `connected`.
    #[new]
    fn new(space: &SubSpace, settings: &str, function: Option<Py<PyAny>>) -> PyResult<Self> {
        let part = space.0.clone();
        let config: PathsConfig = from_json("the settings of the path sampler", settings)?;
        let needed = || invalid("this path sampler needs a function of an architecture");
        let errors = Raised::default();
        let raised_later = errors.clone();
        let mut costs = None;
        let sampler = match config {
            PathsConfig::Uniform => boxed(UniformPaths::new(part)),
            PathsConfig::Importance(config) => boxed(PathImportance::new(part, config)),
            PathsConfig::Fair { variant } => boxed(FairPaths::new(part, variant)),
            PathsConfig::OneChange => boxed(OneChangePaths::new(part)),
            PathsConfig::Constant { distribution, smoothing } => {
                boxed(ConstantPaths::new(part, &distribution, smoothing))
            }
            PathsConfig::Pareto(config) => {
                let function = function.ok_or_else(needed)?;
                let of = Arc::new(Costs { function, raised: raised_later, known: Mutex::default() });
                costs = Some((part.clone(), of.clone()));
                boxed(ParetoPaths::new(part, config, Box::new(move |arch: &pada::space::Arch| of.of(arch))))
            }
            PathsConfig::Connected => {
                let function = function.ok_or_else(needed)?;
                let test = move |arch: &pada::space::Arch| called(&function, &raised_later, arch, false);
                boxed(ConnectedPaths::new(part, Box::new(test)))
            }
            _ => return Err(invalid("there is no path sampler of this rule")),
        };
        check(&errors)?;
        Ok(Self { sampler: Mutex::new(sampler.map_err(raised)?), raised: errors, costs })
    }

    fn next_paths(&mut self, rng: &mut Rng) -> PyResult<Vec<Arch>> {
        let paths = self.get().next_paths(&mut rng.0).into_iter().map(Arch).collect();
        check(&self.raised)?;
        Ok(paths)
    }

    fn loss_weight(&mut self, path: &Bound<'_, PyAny>) -> PyResult<f64> {
        self.get().loss_weight(&Arch::read(path)?).map_err(raised)
    }

    fn observe(
        &mut self,
        path: &Bound<'_, PyAny>,
        position_norms: PyReadonlyArray1<'_, f64>,
        loss: f64,
    ) -> PyResult<()> {
        let path = Arch::read(path)?;
        // A path whose cost raises an exception is not remembered.
        if let Some((space, costs)) = &self.costs
            && space.contains(&path)
        {
            costs.of(&path);
            check(&self.raised)?;
        }
        let observation = PathObservation::new(&path, position_norms.as_slice()?, loss);
        self.get().observe(&observation).map_err(raised)?;
        check(&self.raised)
    }

    fn end_epoch(&mut self, epoch: usize, epochs: usize) -> PyResult<()> {
        let progress = Progress::new(epoch, epochs).map_err(raised)?;
        self.get().end_epoch(progress).map_err(raised)
    }

    fn distribution(&mut self) -> Vec<Vec<f64>> {
        self.get().distribution()
    }

    fn state(&mut self) -> PyResult<String> {
        to_json(&self.get().state())
    }

    fn restore(&mut self, state: &str) -> PyResult<()> {
        let state: SavedState = from_json("the saved state", state)?;
        let before = self.get().state();
        self.get().restore(&state).map_err(raised)?;
        let checked = check(&self.raised);
        if checked.is_err() {
            self.get().restore(&before).map_err(raised)?;
        }
        checked
    }
}

/// Any data sampler of the Rust crate.
#[pyclass(module = "pada._native")]
pub(crate) struct DataSampler(Mutex<Box<dyn pada::sampler::DataSampler>>);

impl DataSampler {
    fn get(&mut self) -> &mut dyn pada::sampler::DataSampler {
        self.0.get_mut().expect("no thread panics while it holds the lock").as_mut()
    }
}

#[pymethods]
impl DataSampler {
    /// Creates a sampler of `n` images: by importance with `settings` as JSON, or uniform without.
    #[new]
    fn new(n: u32, settings: Option<&str>) -> PyResult<Self> {
        let sampler: Box<dyn pada::sampler::DataSampler> = match settings {
            Some(settings) => {
                let config: DataImportanceConfig = from_json("the settings of the data sampler", settings)?;
                Box::new(DataImportance::new(n, config).map_err(raised)?)
            }
            None => Box::new(UniformData::new(n).map_err(raised)?),
        };
        Ok(Self(Mutex::new(sampler)))
    }

    fn epoch_order<'py>(&mut self, py: Python<'py>, rng: &mut Rng) -> Bound<'py, PyArray1<u32>> {
        let order = py.detach(|| self.get().epoch_order(&mut rng.0));
        PyArray1::from_vec(py, order)
    }

    fn loss_weights<'py>(
        &mut self,
        py: Python<'py>,
        images: PyReadonlyArray1<'py, u32>,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        let sampler = self.get();
        let weights = images.as_slice()?.iter().map(|&image| sampler.loss_weight(image));
        let weights = weights.collect::<Result<Vec<f32>, _>>().map_err(raised)?;
        Ok(PyArray1::from_vec(py, weights))
    }

    fn observe(
        &mut self,
        images: PyReadonlyArray1<'_, u32>,
        grad_norms: PyReadonlyArray1<'_, f32>,
    ) -> PyResult<()> {
        self.get().observe(images.as_slice()?, grad_norms.as_slice()?).map_err(raised)
    }

    fn end_epoch(&mut self, epoch: usize, epochs: usize) -> PyResult<()> {
        let progress = Progress::new(epoch, epochs).map_err(raised)?;
        self.get().end_epoch(progress).map_err(raised)
    }

    fn distribution<'py>(&mut self, py: Python<'py>) -> Option<Bound<'py, PyArray1<f64>>> {
        self.get().distribution().map(|q| q.to_pyarray(py))
    }

    fn state(&mut self) -> PyResult<String> {
        to_json(&self.get().state())
    }

    fn restore(&mut self, state: &str) -> PyResult<()> {
        let state: SavedState = from_json("the saved state", state)?;
        self.get().restore(&state).map_err(raised)
    }
}
