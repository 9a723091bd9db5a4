use pada::{ErrorKind, PadaError, with_causes};
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Converts an error to the Python exception of its kind, with the same text as the program prints.
pub(crate) fn raised(error: impl Into<PadaError>) -> PyErr {
    let error: PadaError = error.into();
    let class = match error.kind() {
        ErrorKind::Input => INPUT,
        ErrorKind::Run => RUN,
        ErrorKind::Stopped => STOPPED,
    };
    exception(class, &with_causes(&error))
}

/// Creates the exception for an input that Python can pass and Rust's types cannot express.
pub(crate) fn invalid(text: &str) -> PyErr {
    exception(INPUT, text)
}

const INPUT: &str = "InputError";
pub(crate) const RUN: &str = "RunError";
const STOPPED: &str = "Stopped";

/// Creates an exception of a class of `pada.errors`.
pub(crate) fn exception(class: &str, text: &str) -> PyErr {
    Python::attach(|py| {
        let class = py.import("pada.errors").and_then(|module| module.getattr(class));
        match class.and_then(|class| class.call1((PyString::new(py, text),))) {
            Ok(value) => PyErr::from_value(value),
            Err(error) => error,
        }
    })
}

/// Reads a JSON text that the Python part of the package wrote, for example the settings of a sampler. `what` describes it in the error.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> PyResult<T> {
    serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        // The place in a text that the caller never saw says nothing.
        let message = message.split(" at line ").next().unwrap_or_default();
        invalid(&format!("{what}: {message}"))
    })
}

/// Writes a value as JSON text, which the Python part of the package reads.
pub(crate) fn to_json(value: &impl serde::Serialize) -> PyResult<String> {
    serde_json::to_string(value).map_err(|error| exception(RUN, &error.to_string()))
}
