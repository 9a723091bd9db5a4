use std::collections::BTreeMap;
use std::path::Path;

use super::{RankArchs, RunConfig};
use crate::ConfigError;

/// Sections that need not be there.
const OPTIONAL: [&str; 3] = ["rule", "split", "alone"];

/// The config of a run without arguments: a link to `configs/mini/pada.toml`, so that a package of this crate holds it.
const DEFAULT: &str = include_str!("mini.toml");

impl RunConfig {
    /// The embedded default: PA&DA on the embedded mini images.
    ///
    /// # Panics
    /// Never: a test reads it.
    pub fn mini() -> Self {
        toml::from_str(DEFAULT).expect("the embedded config is valid")
    }

    /// Reads a config from a text; an error calls it `name`.
    ///
    /// # Errors
    /// [`ConfigError::Toml`]
    pub fn parse(text: &str, name: &Path) -> Result<Self, ConfigError> {
        toml::from_str(text)
            .map_err(|source| ConfigError::Toml { path: name.into(), source: Box::new(source) })
    }

    /// Reads a config file.
    ///
    /// # Errors
    /// [`ConfigError::Io`]; [`ConfigError::Toml`] with the line, and the valid keys where one is unknown.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Io { path: path.into(), source })?;
        let config = Self::parse(&text, path)?;
        Ok(config.with_files_beside(path.parent().unwrap_or(Path::new(""))))
    }

    /// The config with `section.key=value` applied; the value is TOML, or a plain text. A whole section is a value too, and the
    /// only way to set one that is optional and not there: `rule={name="nsas", …}`.
    ///
    /// # Errors
    /// [`ConfigError::Set`]: no such key, or a value of the wrong kind; [`ConfigError::Range`]: the seed is too large for a file.
    pub fn with(&self, assignment: &str) -> Result<Self, ConfigError> {
        let bad = |reason: String| ConfigError::Set { assignment: assignment.to_owned(), reason };
        let (key, value) =
            assignment.split_once('=').ok_or_else(|| bad("it is not section.key=value".into()))?;
        let parsed = format!("value = {value}").parse::<toml::Table>();
        let value = match parsed.map(|mut table| table.remove("value")) {
            // What starts like a table or a list is meant as one.
            Err(error) if value.trim_start().starts_with(['{', '[']) => {
                return Err(bad(error.message().to_owned()));
            }
            Ok(Some(value)) => value,
            _ => toml::Value::String(value.trim().to_owned()),
        };
        self.check_seed()?;
        let mut root = toml::Table::try_from(self).expect("a config whose seed is small is a table");
        let mut table = &mut root;
        let mut parts: Vec<&str> = key.trim().split('.').collect();
        let last = parts.pop().expect("a split text has a last part");
        for part in parts {
            let valid = table.keys().cloned().collect::<Vec<_>>().join(", ");
            table = table.get_mut(part).and_then(toml::Value::as_table_mut).ok_or_else(|| match OPTIONAL
                .contains(&part)
            {
                true => bad(format!(
                    "there is no section {part} yet; give it whole, as {part}={{name=\"...\", ...}}"
                )),
                false => bad(format!("there is no section {part}; there are {valid}")),
            })?;
        }
        table.insert(last.to_owned(), value);
        let config: Self = root.try_into().map_err(|e: toml::de::Error| bad(e.message().to_owned()))?;
        Ok(config.with_files_beside(Path::new("")))
    }

    /// The config with the files it names as absolute paths; those that are relative are seen from `folder`.
    fn with_files_beside(mut self, folder: &Path) -> Self {
        if let RankArchs::File(file) = &mut self.rank.archs {
            *file = beside(folder, file);
        }
        if !pada_data::NAMES.contains(&self.data.source.as_str()) {
            self.data.source = beside(folder, &self.data.source);
        }
        self
    }

    /// Every key that is set, as `section.key`, with its value as TOML, in the order of the keys.
    ///
    /// # Panics
    /// If the seed is too large for a file, which [`RunConfig::check`] refuses.
    pub fn settings(&self) -> Vec<(String, String)> {
        let mut keys = BTreeMap::new();
        flatten("", &toml::Table::try_from(self).expect("a config is a table"), &mut keys);
        keys.into_iter().collect()
    }

    /// The config as a TOML file that reads back the same.
    ///
    /// # Panics
    /// If the seed is too large for a file, which [`RunConfig::check`] refuses.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a config is a table")
    }
}

fn flatten(prefix: &str, table: &toml::Table, keys: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        match value {
            toml::Value::Table(inner) => flatten(&format!("{key}."), inner, keys),
            other => drop(keys.insert(key, other.to_string())),
        }
    }
}

/// A file named in a config lies where the config says, seen from the config; from here on its path is absolute, so that a run
/// can be gone on with from anywhere.
fn beside(folder: &Path, name: &str) -> String {
    let path = folder.join(name);
    std::path::absolute(&path).unwrap_or(path).display().to_string()
}
