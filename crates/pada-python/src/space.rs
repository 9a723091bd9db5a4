use pada::report::svg_of;
use pada::space::{Equivalence, Nb201Encoding, SearchSpace};
use pada::{NetSize, ReadArch, SkeletonName, SpaceName, StandAloneNet, search_space};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::arch::{AnyRng, Arch};
use crate::error::{from_json, invalid, raised};

/// A search space by its name.
#[pyclass(frozen, module = "pada._native")]
pub(crate) struct Space {
    pub(crate) name: SpaceName,
    pub(crate) space: Box<dyn SearchSpace>,
}

/// Reads a name that configs have.
pub(crate) fn named<T: serde::de::DeserializeOwned>(what: &str, name: &str) -> PyResult<T> {
    from_json(what, &serde_json::Value::from(name).to_string())
}

impl Space {
    /// Reads an architecture of the space: an [`Arch`], any text form, or a sequence of choices.
    pub(crate) fn arch(&self, any: &Bound<'_, PyAny>) -> PyResult<pada::space::Arch> {
        if let Ok(text) = any.cast::<PyString>() {
            return self.space.parse(text.to_str()?).map_err(raised);
        }
        let arch = Arch::read(any)?;
        self.space.check(&arch).map_err(raised)?;
        Ok(arch)
    }
}

fn equivalence(own_weights: bool) -> Equivalence {
    if own_weights { Equivalence::OwnWeights } else { Equivalence::SharedWeights }
}

#[pymethods]
impl Space {
    #[new]
    fn new(name: &str) -> PyResult<Self> {
        let name = named("search space", name)?;
        Ok(Self { name, space: search_space(name) })
    }

    #[getter]
    fn name(&self) -> &'static str {
        self.space.name()
    }

    #[getter]
    fn n_ops(&self) -> Vec<usize> {
        self.space.n_ops().to_vec()
    }

    #[getter]
    fn op_names(&self) -> Vec<&'static str> {
        self.space.op_names().to_vec()
    }

    /// The number of architectures.
    fn size(&self) -> u128 {
        self.space.len()
    }

    fn parse(&self, arch: &Bound<'_, PyAny>) -> PyResult<Arch> {
        self.arch(arch).map(Arch)
    }

    fn format(&self, arch: &Bound<'_, PyAny>) -> PyResult<String> {
        self.space.format(&self.arch(arch)?).map_err(raised)
    }

    fn nth(&self, index: u128) -> Option<Arch> {
        self.space.nth(index).map(Arch)
    }

    fn sample(&self, rng: Option<&Bound<'_, PyAny>>) -> PyResult<Arch> {
        Ok(Arch(self.space.sample(AnyRng::read(rng)?.get())))
    }

    fn mutate(&self, arch: &Bound<'_, PyAny>, rate: f64, rng: Option<&Bound<'_, PyAny>>) -> PyResult<Arch> {
        self.space.mutate(&self.arch(arch)?, rate, AnyRng::read(rng)?.get()).map(Arch).map_err(raised)
    }

    fn crossover(
        &self,
        a: &Bound<'_, PyAny>,
        b: &Bound<'_, PyAny>,
        rng: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Arch> {
        let (a, b) = (self.arch(a)?, self.arch(b)?);
        self.space.crossover(&a, &b, AnyRng::read(rng)?.get()).map(Arch).map_err(raised)
    }

    fn neighbours(&self, arch: &Bound<'_, PyAny>) -> PyResult<Vec<Arch>> {
        let found = self.space.neighbours(&self.arch(arch)?).map_err(raised)?;
        Ok(found.into_iter().map(Arch).collect())
    }

    fn active(&self, arch: &Bound<'_, PyAny>) -> PyResult<Vec<bool>> {
        self.space.active(&self.arch(arch)?).map_err(raised)
    }

    fn canonical(&self, arch: &Bound<'_, PyAny>, own_weights: bool) -> PyResult<Arch> {
        self.space.canonical(&self.arch(arch)?, equivalence(own_weights)).map(Arch).map_err(raised)
    }

    /// A picture of architectures as SVG. Texts may be the names of published ones.
    fn draw(&self, archs: Vec<Bound<'_, PyAny>>) -> PyResult<String> {
        let picture = |arch: &Bound<'_, PyAny>| {
            let text = match arch.cast::<PyString>() {
                Ok(text) => text.to_str()?.to_owned(),
                Err(_) => self.space.format(&self.arch(arch)?).map_err(raised)?,
            };
            let read = ReadArch::parse(self.name, &text, Nb201Encoding::Benchmark).map_err(raised)?;
            read.picture().map_err(raised)
        };
        Ok(svg_of(&archs.iter().map(picture).collect::<PyResult<Vec<_>>>()?))
    }

    /// Parameters and multiply-adds of the stand-alone network.
    #[pyo3(signature = (arch, skeleton, channels, cells, image_size, classes))]
    fn cost(
        &self,
        arch: &Bound<'_, PyAny>,
        skeleton: Option<&str>,
        channels: Option<usize>,
        cells: Option<usize>,
        image_size: Option<usize>,
        classes: Option<usize>,
    ) -> PyResult<(u64, u64)> {
        let skeleton = skeleton.map(|name| named::<SkeletonName>("skeleton", name)).transpose()?;
        let size = NetSize { skeleton, channels, cells, image_size, classes };
        let net = StandAloneNet::of_size(self.name, &size).map_err(raised)?;
        let text = match arch.cast::<PyString>() {
            Ok(text) => net.named(text.to_str()?).map_or(text.to_string(), |named| named.text.to_owned()),
            Err(_) => self.space.format(&self.arch(arch)?).map_err(raised)?,
        };
        let (_, cost) = net.cost(&text).map_err(raised)?;
        Ok((cost.params, cost.macs))
    }
}

/// A part of a search space: the choices that remain at each decision.
#[pyclass(frozen, module = "pada")]
pub(crate) struct SubSpace(pub(crate) pada::space::SubSpace);

#[pymethods]
impl SubSpace {
    /// The whole space of decisions with these numbers of choices, `[E]`.
    #[staticmethod]
    fn from_op_counts(counts: Vec<usize>) -> PyResult<Self> {
        if counts.is_empty() {
            return Err(invalid(
                "a space needs at least one decision, but the list of numbers of choices is empty",
            ));
        }
        pada::space::SubSpace::from_op_counts(&counts).map(Self).map_err(raised)
    }

    #[staticmethod]
    fn full(space: &Space) -> Self {
        Self(pada::space::SubSpace::full(space.space.as_ref()))
    }

    #[staticmethod]
    fn with_ops(space: &Space, ops: Vec<String>) -> PyResult<Self> {
        let ops: Vec<&str> = ops.iter().map(String::as_str).collect();
        pada::space::SubSpace::with_ops(space.space.as_ref(), &ops).map(Self).map_err(raised)
    }

    /// Restricts one decision to fewer choices.
    fn restrict(&self, decision: usize, choices: Vec<u8>) -> PyResult<Self> {
        self.0.restrict(decision, &choices).map(Self).map_err(raised)
    }

    /// The choices of each decision, `[E]`. Each list is sorted and not empty.
    #[getter]
    fn allowed(&self) -> Vec<Vec<u16>> {
        self.0.allowed().iter().map(|ops| ops.iter().map(|&op| op.into()).collect()).collect()
    }

    /// The number of architectures.
    fn size(&self) -> u128 {
        self.0.len()
    }

    fn __contains__(&self, arch: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.0.contains(&Arch::read(arch)?))
    }

    /// Draws an architecture. The choice of every decision is uniform.
    #[pyo3(signature = (rng = None))]
    fn sample(&self, rng: Option<&Bound<'_, PyAny>>) -> PyResult<Arch> {
        Ok(Arch(self.0.sample(AnyRng::read(rng)?.get())))
    }

    /// Redraws the choice of each decision uniformly with probability `rate`.
    #[pyo3(signature = (arch, rate = 0.1, rng = None))]
    fn mutate(&self, arch: &Bound<'_, PyAny>, rate: f64, rng: Option<&Bound<'_, PyAny>>) -> PyResult<Arch> {
        self.0.mutate(&Arch::read(arch)?, rate, AnyRng::read(rng)?.get()).map(Arch).map_err(raised)
    }
}
