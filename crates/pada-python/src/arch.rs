use pada::trainer::RngStream;
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::error::{RUN, exception, from_json, invalid, raised, to_json};

/// An architecture: one choice per decision of its search space, `[E]`.
///
/// It is a sequence of integers, can be a key of a dict, and prints as digits.
#[pyclass(frozen, eq, ord, hash, module = "pada", from_py_object)]
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Arch(pub(crate) pada::space::Arch);

impl Arch {
    /// Reads an architecture of no particular space: an [`Arch`], digits, or a sequence of choices.
    pub(crate) fn read(any: &Bound<'_, PyAny>) -> PyResult<pada::space::Arch> {
        if let Ok(arch) = any.cast::<Self>() {
            return Ok(arch.get().0.clone());
        }
        if let Ok(text) = any.cast::<PyString>() {
            return text.to_str()?.parse().map_err(|error: pada::space::SpaceError| raised(error));
        }
        match any.extract::<Vec<u8>>() {
            Ok(choices) => Ok(pada::space::Arch::new(choices)),
            Err(_) => Err(invalid(&format!(
                "{} is not an architecture; pass a pada.Arch, a text such as \"333213\", or a list of choices",
                any.repr()?
            ))),
        }
    }
}

#[pymethods]
impl Arch {
    #[new]
    fn new(choices: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::read(choices).map(Self)
    }

    /// The choices, `[E]`.
    #[getter]
    fn choices<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.choices())
    }

    /// Counts the decisions whose choice is `op`.
    fn count(&self, op: usize) -> usize {
        self.0.count(op)
    }

    /// Computes the number of decisions at which two architectures of one space differ.
    fn distance(&self, other: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.0.distance(&Self::read(other)?).map_err(raised)
    }

    /// Returns a copy of this architecture with another choice for one decision.
    fn with_choice(&self, decision: usize, choice: u8) -> PyResult<Self> {
        self.0.with(decision, choice).map(Self).map_err(raised)
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("Arch('{}')", self.0)
    }

    fn __len__(&self) -> usize {
        self.0.choices().len()
    }

    fn __getitem__(&self, index: isize) -> PyResult<u8> {
        let choices = self.0.choices();
        let place = if index < 0 { index + choices.len() as isize } else { index };
        let choice = usize::try_from(place).ok().and_then(|place| choices.get(place));
        choice.copied().ok_or_else(|| PyIndexError::new_err("the architecture has no decision of this index"))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Vec<u16>,))> {
        let class = py.get_type::<Self>().into_any();
        Ok((class, (self.0.choices().iter().map(|&choice| choice.into()).collect(),)))
    }
}

/// A stream of random numbers (ChaCha8), the one that the Rust crates use: the same seed gives the same draws in both languages.
#[pyclass(module = "pada")]
pub(crate) struct Rng(pub(crate) ChaCha8Rng);

/// A generator that a caller passes, or a new one.
pub(crate) enum AnyRng<'py> {
    Shared(PyRefMut<'py, Rng>),
    Own(Box<ChaCha8Rng>),
}

impl<'py> AnyRng<'py> {
    /// Reads a generator, the seed of a new one, or `None` for random numbers that differ in every process.
    pub(crate) fn read(any: Option<&Bound<'py, PyAny>>) -> PyResult<Self> {
        let Some(any) = any else {
            let own = ChaCha8Rng::try_from_rng(&mut rand::rngs::SysRng);
            return own
                .map(|own| Self::Own(Box::new(own)))
                .map_err(|error| exception(RUN, &error.to_string()));
        };
        if let Ok(rng) = any.cast::<Rng>() {
            return Ok(Self::Shared(rng.try_borrow_mut()?));
        }
        Ok(Self::Own(Box::new(ChaCha8Rng::seed_from_u64(seed_of(any)?))))
    }

    pub(crate) fn get(&mut self) -> &mut ChaCha8Rng {
        match self {
            Self::Shared(rng) => &mut rng.0,
            Self::Own(rng) => rng,
        }
    }
}

/// Reads a seed, an integer of 64 bits without a sign.
fn seed_of(any: &Bound<'_, PyAny>) -> PyResult<u64> {
    match any.extract::<u64>() {
        Ok(seed) => Ok(seed),
        Err(_) => {
            Err(invalid(&format!("{} is no pada.Rng and no seed, an integer of 0 or more", any.repr()?)))
        }
    }
}

#[pymethods]
impl Rng {
    #[new]
    fn new(seed: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(ChaCha8Rng::seed_from_u64(seed_of(seed)?)))
    }

    /// The stream from which a run with this seed draws its paths.
    #[staticmethod]
    fn _paths(seed: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(RngStream::Paths.stream(seed_of(seed)?)))
    }

    /// The stream from which a run with this seed draws its images.
    #[staticmethod]
    fn _images(seed: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(RngStream::Images.stream(seed_of(seed)?)))
    }

    fn _state(&self) -> PyResult<String> {
        to_json(&self.0)
    }

    fn _restore(&mut self, state: &str) -> PyResult<()> {
        self.0 = from_json("the state of the random generator", state)?;
        Ok(())
    }
}
