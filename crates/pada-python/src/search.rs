use std::sync::Mutex;

use pada::search_method;
use pada::search_methods::{Fidelity, History, Request, SearchError, Searching};
use pada::space::rand::rand_core::SeedableRng;
use pyo3::prelude::*;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::arch::Arch;
use crate::error::{RUN, exception, from_json, invalid, raised, to_json};
use crate::space::{Space, SubSpace};

/// A search by ask and tell.
#[pyclass(module = "pada._native")]
pub(crate) struct AskTell {
    search: pada::search_methods::AskTell<ChaCha8Rng>,
    space: Py<Space>,
    sub_space: pada::space::SubSpace,
    method: String,
}

/// Everything that a search remembers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State<S> {
    space: String,
    /// The choices of each decision, `[E]`.
    allowed: Vec<Vec<u8>>,
    method: String,
    searching: S,
    pending: Option<Request>,
}

fn failed<E: std::fmt::Display>(error: SearchError<E>) -> PyErr {
    match error {
        SearchError::Space(error) => raised(error),
        other => invalid(&other.to_string()),
    }
}

impl AskTell {
    fn start(
        space: &Py<Space>,
        sub_space: &pada::space::SubSpace,
        searching: Searching<ChaCha8Rng>,
        pending: Option<Request>,
    ) -> PyResult<pada::search_methods::AskTell<ChaCha8Rng>> {
        let own = pada::search_space(space.get().name);
        pada::search_methods::AskTell::new(own, sub_space.clone(), searching, pending).map_err(failed)
    }

    fn rows(found: Vec<pada::search_methods::Evaluated>) -> Vec<(Arch, f64, f64)> {
        found.into_iter().map(|found| (Arch(found.arch), found.score, found.cost)).collect()
    }

    fn history(&self) -> &History {
        self.search.history()
    }
}

#[pymethods]
impl AskTell {
    /// Starts a search. `settings` are assignments of the form `key=value`.
    #[new]
    fn new(
        space: Py<Space>,
        sub_space: Option<&SubSpace>,
        method: &str,
        settings: Vec<String>,
        seed: u64,
    ) -> PyResult<Self> {
        let searcher = search_method(method, &settings).map_err(raised)?.searcher();
        let searcher = searcher.map_err(|error| invalid(&error.to_string()))?;
        let full = || pada::space::SubSpace::full(space.get().space.as_ref());
        let sub_space = sub_space.map_or_else(full, |part| part.0.clone());
        let searching = Searching::new(searcher, ChaCha8Rng::seed_from_u64(seed));
        let search = Self::start(&space, &sub_space, searching, None)?;
        Ok(Self { search, space, sub_space, method: method.to_owned() })
    }

    /// Returns the next architecture and whether a cheap estimate is enough. An exception of the constraint is raised, and no architecture
    /// that was drawn meanwhile is asked for.
    fn ask(&mut self, py: Python<'_>, constraint: Option<Py<PyAny>>) -> PyResult<Option<(Arch, bool)>> {
        let exception = Mutex::new(None);
        let asked = py.detach(|| {
            self.search.ask(&|arch| {
                let Some(constraint) = &constraint else { return true };
                if exception.lock().is_ok_and(|found| found.is_some()) {
                    // No other call of Python may hide the exception, and no request may become the open one.
                    return false;
                }
                Python::attach(|py| {
                    let answer = constraint.call1(py, (Arch(arch.clone()),));
                    let answer = answer.and_then(|answer| answer.bind(py).is_truthy());
                    answer.unwrap_or_else(|error| {
                        *exception.lock().expect("no thread panics while it holds the lock") = Some(error);
                        false
                    })
                })
            })
        });
        if let Some(error) = exception.into_inner().expect("no thread panics while it holds the lock") {
            return Err(error);
        }
        let request = asked.map_err(|error| failed(SearchError::<std::convert::Infallible>::from(error)))?;
        Ok(request.map(|request| (Arch(request.arch), request.fidelity == Fidelity::Quick)))
    }

    fn tell(&mut self, py: Python<'_>, score: Option<f64>, cost: f64) -> PyResult<()> {
        py.detach(|| self.search.tell(score, cost)).map_err(failed)
    }

    fn pending(&self) -> Option<Arch> {
        self.search.pending().map(|request| Arch(request.arch.clone()))
    }

    fn best(&self, n: usize) -> Vec<(Arch, f64, f64)> {
        Self::rows(self.history().best(n))
    }

    fn evaluated(&self) -> Vec<(Arch, f64, f64)> {
        Self::rows(self.history().evaluated().to_vec())
    }

    fn failed(&self) -> Vec<Arch> {
        self.history().failed().iter().cloned().map(Arch).collect()
    }

    fn state(&self) -> PyResult<String> {
        to_json(&State {
            space: self.space.get().space.name().to_owned(),
            allowed: self.sub_space.allowed().to_vec(),
            method: self.method.clone(),
            searching: self.search.searching(),
            pending: self.search.pending().cloned(),
        })
    }

    fn restore(&mut self, state: &str) -> PyResult<()> {
        // The state of another method or space is refused before it is read, because its content has another form.
        let other = from_json::<State<serde_json::Value>>("the state of the search", state)?;
        let name = self.space.get().space.name();
        if other.space != name {
            return Err(invalid(&format!(
                "the state belongs to a search of {}, but this one searches {name}",
                other.space
            )));
        }
        if other.allowed != self.sub_space.allowed() {
            return Err(invalid(
                "the state belongs to a search of another part of the space; pass the same sub_space",
            ));
        }
        if other.method != self.method {
            return Err(invalid(&format!(
                "the state belongs to the method {}, but the method of this search is {}",
                other.method, self.method
            )));
        }
        let State { searching, pending, .. } =
            from_json::<State<Searching<ChaCha8Rng>>>("the state of the search", state)?;
        self.search = Self::start(&self.space, &self.sub_space, searching, pending)
            .map_err(|error| exception(RUN, &format!("the state of the search: {error}")))?;
        Ok(())
    }
}
