//! Loading of configs: files and assignments become a typed config.
//!
//! Each file, and all assignments together, are a layer. Every layer is checked against the [`Schema`]. Values of later layers replace
//! values of earlier ones, and a key without a value gets its default.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::de::DeTable;
use toml::{Table, Value};

use super::ConfigError;
use super::schema::{
    Chosen, Key, KeyDefault, MISSING, MOVED, REPLACED, RETRAIN_RUN, RUN, Schema, Section, either,
};

/// The value that unsets a key.
const NONE: &str = "none";
/// The key with the name of the file that a file extends.
const EXTENDS: &str = "extends";

/// The origin of a value: file and line, or an assignment of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigPlace {
    shown: String,
    /// The folder that relative file names in the value refer to.
    folder: PathBuf,
}

impl fmt::Display for ConfigPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.shown)
    }
}

/// A value with its origin.
#[derive(Clone, Debug)]
struct Entry {
    value: Value,
    place: ConfigPlace,
}

/// The settings of one file, or of all assignments of a command line: `section.key` with its value, in order.
type Layer = Vec<(String, Entry)>;

/// A typed config that a schema describes.
pub(super) trait Described: Serialize + DeserializeOwned {
    const SCHEMA: &'static Schema;
}

/// A config under construction from layers.
pub(super) struct Layers {
    schema: &'static Schema,
    entries: BTreeMap<String, Entry>,
    /// Keys of earlier versions with the key that their value moves to.
    moved: &'static [(&'static str, &'static str)],
    /// Values of keys that older run folders lack, if they differ from the default, as TOML.
    missing: &'static [(&'static str, &'static str)],
}

impl Layers {
    pub(super) fn new(schema: &'static Schema) -> Self {
        Self { schema, entries: BTreeMap::new(), moved: &[], missing: &[] }
    }

    /// Creates layers for the file of a run folder, which an earlier version may have written.
    pub(super) fn of_folder(schema: &'static Schema) -> Self {
        Self { moved: MOVED, missing: MISSING, ..Self::new(schema) }
    }

    /// Creates a layer from a config, with all its keys.
    pub(super) fn of<T: Described>(config: &T) -> Self {
        let mut layers = Self::new(T::SCHEMA);
        let place = ConfigPlace { shown: "the config".to_owned(), folder: PathBuf::new() };
        for (path, value) in resolved(config) {
            layers.entries.insert(path, Entry { value, place: place.clone() });
        }
        layers
    }

    /// Adds a file, after the files that it extends.
    pub(super) fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        self.file_once(path, &mut vec![])
    }

    fn file_once(&mut self, path: &Path, open: &mut Vec<PathBuf>) -> Result<(), ConfigError> {
        let text = crate::text::read(path).map_err(|source| ConfigError::Io { path: path.into(), source })?;
        let known = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if open.contains(&known) {
            let chain = open.iter().chain([&known]).map(|path| path.display().to_string());
            return Err(ConfigError::ExtendsCycle { files: chain.collect::<Vec<_>>().join(" → ") });
        }
        open.push(known);
        self.text_once(&text, path, open)?;
        open.pop();
        Ok(())
    }

    /// Adds the text of a file with the path `name`.
    pub(super) fn text(&mut self, text: &str, name: &Path) -> Result<(), ConfigError> {
        self.text_once(text, name, &mut vec![])
    }

    fn text_once(&mut self, text: &str, name: &Path, open: &mut Vec<PathBuf>) -> Result<(), ConfigError> {
        let syntax = |error: &toml::de::Error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            ConfigError::Syntax { place: place(name, line), reason: error.message().to_owned() }
        };
        let mut values: Table = toml::from_str(text).map_err(|error| syntax(&error))?;
        let spans = DeTable::parse(text).map_err(|error| syntax(&error))?;
        if let Some(base) = values.remove(EXTENDS) {
            let line = spans.get_ref().keys().find(|key| key.get_ref() == EXTENDS);
            let place = place(name, line.map_or(1, |key| line_of(text, key.span().start)));
            let Value::String(base) = base else {
                return Err(wrong(&place, EXTENDS, "the name of a config file", &base));
            };
            let base = place.folder.join(base);
            self.file_once(&base, open).map_err(|error| match error {
                ConfigError::Io { path, source } if path == base => {
                    ConfigError::Extends { place, path, source }
                }
                other => other,
            })?;
        }
        let mut layer = Layer::new();
        let at = |start: usize| place(name, line_of(text, start));
        flatten(self.schema, "", &values, Some(spans.get_ref()), &at, &mut layer);
        self.add(layer)
    }

    /// Adds assignments of the form `section.key=value` as one layer. Their order does not matter.
    pub(super) fn assignments<S: AsRef<str>>(&mut self, assignments: &[S]) -> Result<(), ConfigError> {
        let mut layer = Layer::new();
        for assignment in assignments {
            let assignment = assignment.as_ref();
            let bad = |reason: String| ConfigError::Set { assignment: assignment.to_owned(), reason };
            let (key, value) = assignment
                .split_once('=')
                .ok_or_else(|| bad("an assignment has the form section.key=value".into()))?;
            let (key, value) = (key.trim(), value.trim());
            let parsed = format!("value = {value}").parse::<Table>();
            let value = match parsed.map(|mut table| table.remove("value")) {
                // A value that starts with a bracket must be a valid table or list.
                Err(error) if value.starts_with(['{', '[']) => return Err(bad(error.message().to_owned())),
                Ok(Some(value)) => value,
                _ => Value::String(value.to_owned()),
            };
            let place = ConfigPlace { shown: format!("--set {assignment}"), folder: PathBuf::new() };
            let at = |_: usize| place.clone();
            match value {
                Value::Table(table) if !self.is_leaf(key) => {
                    if table.is_empty() {
                        return Err(bad("the table is empty, so it sets no key".into()));
                    }
                    flatten(self.schema, &format!("{key}."), &table, None, &at, &mut layer);
                }
                value => layer.push((key.to_owned(), Entry { value, place })),
            }
        }
        self.add(layer)
    }

    fn is_leaf(&self, path: &str) -> bool {
        self.schema.find(path).is_some()
    }

    /// Checks a layer and adds its values.
    fn add(&mut self, mut layer: Layer) -> Result<(), ConfigError> {
        for (old, new) in self.moved {
            let Some(place) = layer.iter().position(|(path, _)| path == old) else { continue };
            let (_, entry) = layer.remove(place);
            if entry.value.as_str() != Some(NONE) {
                layer.retain(|(path, _)| path != new);
                layer.push(((*new).to_owned(), entry));
            }
        }
        // If a layer changes the rule of a section, the earlier keys of the section are dropped.
        for (path, entry) in &layer {
            let Some((section, key)) = self.schema.find(path) else { continue };
            let tag = section.tag == Some(key.name);
            if tag && self.tag(section).as_deref() != entry.value.as_str() {
                self.clear(section);
            }
        }
        for (path, entry) in layer {
            if entry.value.as_str() == Some(NONE) && self.unset(&path) {
                continue;
            }
            let (_, key) = self.schema.find(&path).ok_or_else(|| self.unknown(&path, &entry))?;
            let unsets = entry.value.as_str() == Some(NONE) && key.can_be_unset();
            if !unsets && !key.kind.accepts(&entry.value) {
                let or = if key.can_be_unset() { ", or \"none\" to unset it" } else { "" };
                let expected = format!("{}{or}", key.kind.expected());
                return Err(wrong(&entry.place, &path, &expected, &entry.value));
            }
            self.entries.insert(path, entry);
        }
        Ok(())
    }

    /// Unsets an optional section or an optional table. Returns false if `path` is neither.
    fn unset(&mut self, path: &str) -> bool {
        if let Some(section) = self.schema.section(path).filter(|section| section.optional) {
            self.clear(section);
            return true;
        }
        let Some((name, group)) = path.split_once('.') else { return false };
        let Some(section) = self.schema.section(name) else { return false };
        if !section.groups.iter().any(|known| known.name == group) {
            return false;
        }
        let inside = format!("{path}.");
        self.entries.retain(|key, _| !key.starts_with(&inside));
        let place = ConfigPlace { shown: String::new(), folder: PathBuf::new() };
        self.entries.insert(path.to_owned(), Entry { value: Value::String(NONE.to_owned()), place });
        true
    }

    fn clear(&mut self, section: &Section) {
        let inside = format!("{}.", section.name);
        self.entries.retain(|key, _| !key.starts_with(&inside));
    }

    /// Returns the value of a section's tag in the layers so far, or its default.
    fn tag(&self, section: &Section) -> Option<String> {
        let tag = section.tag?;
        let given = self.entries.get(&section.path(tag)).map(|entry| entry.value.clone());
        let default = || match section.key(tag).map(|key| key.default) {
            Some(KeyDefault::Is(text)) => Some(value_of(text)),
            _ => None,
        };
        given.or_else(default).and_then(|value| value.as_str().map(str::to_owned))
    }

    /// Creates the error for a key that the schema does not have.
    fn unknown(&self, path: &str, entry: &Entry) -> ConfigError {
        let (place, key) = (entry.place.clone(), path.to_owned());
        let of_group = path.split_once('.').and_then(|(section, group)| {
            let section = self.schema.section(section)?;
            section.groups.iter().find(|known| known.name == group)?;
            let inside = format!("{group}.");
            let keys = section.keys.iter().filter_map(|key| key.name.strip_prefix(&inside));
            Some(keys.map(|key| format!("{key} = …")).collect::<Vec<_>>().join(", "))
        });
        if let Some(keys) = of_group {
            let expected = format!("a table, {{ {keys} }}, or \"none\" to unset it");
            return wrong(&place, path, &expected, &entry.value);
        }
        if let Some(section) = self.schema.section(path).filter(|section| !section.name.is_empty()) {
            return wrong(&place, path, &format!("a section, [{}]", section.name), &entry.value);
        }
        let starts = self.schema.paths().iter().any(|known| known.starts_with(&format!("{path}.")));
        if starts {
            return wrong(&place, path, "a table", &entry.value);
        }
        if let Some(replacement) = replacement(path) {
            return ConfigError::Replaced { place, key, replacement };
        }
        let other = [&RUN, &RETRAIN_RUN].into_iter().find(|other| other.find(path).is_some());
        if let Some(other) = other {
            return ConfigError::OtherKind { place, key, of: other.purpose, here: self.schema.purpose };
        }
        let nearest = nearest(path, &self.schema.paths());
        let section = path.split_once('.').and_then(|(name, _)| self.schema.section(name));
        let valid = match section {
            Some(section) => {
                // Only the keys that the section has with its rule, if the rule is known.
                let tag = self.tag(section);
                let belongs = |key: &&Key| {
                    key.of.is_empty() || tag.as_ref().is_none_or(|tag| key.of.contains(&tag.as_str()))
                };
                let keys: Vec<&str> = section.keys.iter().filter(belongs).map(|key| key.name).collect();
                let with = match (section.tag, &tag) {
                    (Some(name), Some(tag)) => format!(" with {name} = \"{tag}\""),
                    _ => String::new(),
                };
                match keys[..] {
                    [only] => format!("The only key of `[{}]`{with} is {only}.", section.name),
                    _ => format!("The keys of `[{}]`{with} are {}.", section.name, keys.join(", ")),
                }
            }
            None => {
                let names = self.schema.sections.iter().map(|section| section.name);
                let names = names.filter(|name| !name.is_empty()).collect::<Vec<_>>().join(", ");
                format!("The sections are {names}.")
            }
        };
        ConfigError::UnknownKey { place, key, nearest, valid }
    }

    /// Fills in defaults and converts the values to the typed config.
    pub(super) fn resolve<T: Described>(mut self) -> Result<T, ConfigError> {
        let schema = self.schema;
        self.refuse_keys_of_other_rules()?;
        self.find_files();
        let mut done = Done { values: BTreeMap::new(), section: "" };
        for section in schema.sections {
            let inside = format!("{}.", section.name);
            let is_there = !section.optional || self.entries.keys().any(|key| key.starts_with(&inside));
            if !is_there {
                continue;
            }
            done.section = section.name;
            let tag = self.tag(section);
            for key in section.keys {
                if !key.of.is_empty() && !key.of.iter().any(|of| Some(*of) == tag.as_deref()) {
                    continue;
                }
                if !self.has_group(section, key, schema) {
                    continue;
                }
                let path = section.path(key.name);
                let missing = self.missing.iter().find(|(key, _)| *key == path);
                let value = match (self.entries.get(&path), key.default) {
                    (Some(entry), _) => Some(entry.value.clone()),
                    (None, _) if let Some((_, text)) = missing => Some(value_of(text)),
                    (None, KeyDefault::Is(text) | KeyDefault::Unless(text)) => Some(value_of(text)),
                    (None, KeyDefault::By(of, _) | KeyDefault::ByUnless(of, _)) => of(&done).map(value_of),
                    (None, KeyDefault::Unset) => None,
                    (None, KeyDefault::Required) => {
                        let by = match (section.tag, &tag) {
                            (Some(name), Some(value)) if name != key.name => {
                                format!("`{} = \"{value}\"`", section.path(name))
                            }
                            _ => format!("the section `[{}]`", section.name),
                        };
                        return Err(ConfigError::Missing { key: path, by, about: key.about });
                    }
                };
                let unsets = |value: &Value| value.as_str() == Some(NONE) && key.can_be_unset();
                if let Some(value) = value.filter(|value| !unsets(value)) {
                    done.values.insert(path, value);
                }
            }
        }
        let mut root = Table::new();
        for (path, value) in done.values {
            insert(&mut root, &path, value);
        }
        root.try_into().map_err(|error: toml::de::Error| ConfigError::Syntax {
            place: ConfigPlace { shown: "the config".to_owned(), folder: PathBuf::new() },
            reason: error.message().to_owned(),
        })
    }

    /// Returns true if the optional table that contains a key is present.
    fn has_group(&self, section: &Section, key: &Key, schema: &Schema) -> bool {
        let Some(group) = section.group_of(key.name) else { return true };
        let path = section.path(group.name);
        if self.entries.contains_key(&path) {
            // The table was unset. It is present again if a later layer has set one of its keys.
            let inside = format!("{path}.");
            return self.entries.keys().any(|key| key.starts_with(&inside));
        }
        let inside = format!("{path}.");
        let given = self.entries.keys().any(|key| key.starts_with(&inside));
        let space = schema.section(schema.network).and_then(|network| self.tag(network));
        given || space.is_some_and(|space| group.spaces.contains(&space.as_str()))
    }

    fn refuse_keys_of_other_rules(&self) -> Result<(), ConfigError> {
        for (path, entry) in &self.entries {
            let Some((section, key)) = self.schema.find(path) else { continue };
            let Some(name) = section.tag.filter(|_| !key.of.is_empty()) else { continue };
            let Some(tag) = self.tag(section) else { continue };
            if key.of.contains(&tag.as_str()) {
                continue;
            }
            let of = either(&key.of.iter().map(|of| format!("\"{of}\"")).collect::<Vec<_>>());
            return Err(ConfigError::OtherRule {
                place: entry.place.clone(),
                key: path.clone(),
                tag: section.path(name),
                of,
                here: tag,
            });
        }
        Ok(())
    }

    /// Makes the file names in a config absolute, so that a run can be resumed from any folder. They are relative to the config file.
    fn find_files(&mut self) {
        let is_folder = |name: &str| name != super::OWN && !pada_data::NAMES.contains(&name);
        let is_list = |name: &str| matches!(name.parse(), Ok(super::RankArchs::File(_)));
        self.find_file("data.source", is_folder);
        self.find_file("rank.archs", is_list);
    }

    fn find_file(&mut self, key: &str, is_file: impl Fn(&str) -> bool) {
        if let Some(Entry { value: Value::String(name), place }) = self.entries.get_mut(key)
            && is_file(name)
        {
            let path = place.folder.join(in_home(Path::new(name)));
            *name = std::path::absolute(&path).unwrap_or(path).display().to_string();
        }
    }
}

/// Replaces a leading `~/` by the home folder: shells do so only at the start of a word.
pub fn in_home(path: &Path) -> PathBuf {
    in_home_of(path, std::env::home_dir())
}

fn in_home_of(path: &Path, home: Option<PathBuf>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

/// Values that are already resolved.
struct Done {
    values: BTreeMap<String, Value>,
    section: &'static str,
}

impl Chosen for Done {
    fn text(&self, key: &str) -> Option<&str> {
        let path = if key.contains('.') { key.to_owned() } else { format!("{}.{key}", self.section) };
        self.values.get(&path).and_then(Value::as_str)
    }
}

/// Returns every key of a config with its value, or `"none"` if it is unset, in the order of the schema.
pub(super) fn resolved<T: Described>(config: &T) -> Vec<(String, Value)> {
    let root = Table::try_from(config).expect("a config whose seed fits a file is a table");
    let mut all = Vec::new();
    for section in T::SCHEMA.sections {
        let tag = section.tag.and_then(|tag| look(&root, &section.path(tag))).and_then(|value| match value {
            Value::String(text) => Some(text),
            _ => None,
        });
        if section.optional && tag.is_none() {
            continue;
        }
        for key in section.keys {
            if !key.of.is_empty() && !key.of.iter().any(|of| Some(*of) == tag.as_deref()) {
                continue;
            }
            let path = section.path(key.name);
            let none = || Value::String(NONE.to_owned());
            match (look(&root, &path), section.group_of(key.name)) {
                (Some(value), _) => all.push((path, value)),
                (None, Some(group)) => match section.path(group.name) {
                    table if look(&root, &table).is_some() => all.push((path, none())),
                    table if all.iter().any(|(known, _)| *known == table) => {}
                    table => all.push((table, none())),
                },
                // A section may leave out a key that has its default.
                (None, None) => all.push((
                    path,
                    match key.default {
                        KeyDefault::Is(text) => value_of(text),
                        _ => none(),
                    },
                )),
            }
        }
    }
    all
}

fn look(root: &Table, path: &str) -> Option<Value> {
    let mut parts = path.split('.');
    let mut value = root.get(parts.next()?)?;
    for part in parts {
        value = value.as_table()?.get(part)?;
    }
    Some(value.clone())
}

fn insert(root: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => drop(root.insert(path.to_owned(), value)),
        Some((first, rest)) => {
            let inner = root.entry(first.to_owned()).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

/// Collects the leaves of a table: everything that is a single value in the schema, and everything that is not a table.
fn flatten(
    schema: &Schema,
    prefix: &str,
    values: &Table,
    spans: Option<&DeTable<'_>>,
    at: &dyn Fn(usize) -> ConfigPlace,
    layer: &mut Layer,
) {
    for (name, value) in values {
        let path = format!("{prefix}{name}");
        let span = spans.and_then(|spans| spans.iter().find(|(key, _)| key.get_ref() == name));
        let place = at(span.map_or(0, |(key, _)| key.span().start));
        match value {
            Value::Table(inner) if schema.find(&path).is_none() && !inner.is_empty() => {
                let spans = span.and_then(|(_, value)| value.get_ref().as_table());
                let at_inner: &dyn Fn(usize) -> ConfigPlace = match spans {
                    Some(_) => at,
                    None => &|_| place.clone(),
                };
                flatten(schema, &format!("{path}."), inner, spans, at_inner, layer);
            }
            // An empty section sets no key.
            Value::Table(_) if schema.section(&path).is_some() => {}
            other => layer.push((path, Entry { value: other.clone(), place })),
        }
    }
}

fn place(file: &Path, line: usize) -> ConfigPlace {
    let folder = file.parent().unwrap_or(Path::new("")).to_owned();
    ConfigPlace { shown: format!("{}:{line}", file.display()), folder }
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

fn value_of(text: &str) -> Value {
    let table = format!("value = {text}").parse::<Table>();
    table.ok().and_then(|mut table| table.remove("value")).expect("a test parses all defaults as TOML")
}

fn wrong(place: &ConfigPlace, key: &str, expected: &str, value: &Value) -> ConfigError {
    let found = match value {
        Value::String(text) if text.is_empty() => "it is empty".to_owned(),
        Value::Array(list) if list.is_empty() => "it is an empty list".to_owned(),
        Value::Table(table) if table.is_empty() => "it is an empty table".to_owned(),
        other => format!("it is {other}"),
    };
    ConfigError::WrongValue {
        place: place.clone(),
        key: key.to_owned(),
        expected: expected.to_owned(),
        found,
    }
}

/// Returns the key or section to use instead of an unknown key, if the key is in [`REPLACED`].
fn replacement(path: &str) -> Option<String> {
    let exact = REPLACED.iter().find(|(old, _)| {
        *old == path || old.contains('.') && path.strip_prefix(old).is_some_and(|rest| rest.starts_with('.'))
    });
    if let Some((_, new)) = exact {
        return Some((*new).to_owned());
    }
    let (section, key) = path.split_once('.')?;
    match section {
        "rule" => Some(format!("`update.{key}`")),
        "alone" => Some(format!("`retrain.{key}` in a config of `pada retrain`")),
        "sampler" => REPLACED.iter().find(|(old, _)| *old == section).map(|(_, new)| (*new).to_owned()),
        _ => None,
    }
}

/// Returns the most similar valid key, if one is similar enough to suggest it.
pub(crate) fn nearest(path: &str, valid: &[String]) -> Option<String> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let distance = |known: &String| {
        let whole = strsim::damerau_levenshtein(path, known);
        // The right name in the wrong section counts as similar.
        if last(path) == last(known) { whole.min(1) } else { whole }
    };
    let best = valid.iter().min_by_key(|known| distance(known))?;
    (distance(best) <= (path.len() / 3).max(2)).then(|| best.clone())
}

/// Writes a config as a TOML file: every key with its value, section by section.
pub(super) fn to_toml<T: Described>(config: &T) -> String {
    let mut text = String::new();
    let mut section = String::new();
    for (path, value) in resolved(config) {
        let (here, key) = match T::SCHEMA.section("").and_then(|top| top.key(&path)) {
            Some(_) => ("", path.as_str()),
            None => path.split_once('.').expect("a key lies in a section"),
        };
        if here != section {
            text += &format!("\n[{here}]\n");
            section = here.to_owned();
        }
        text += &format!("{key} = {value}\n");
    }
    text
}

/// Returns every key that is set, as `section.key`, with its value as TOML, sorted by key.
pub(super) fn settings<T: Serialize>(config: &T) -> Vec<(String, String)> {
    fn flat(prefix: &str, table: &Table, keys: &mut BTreeMap<String, String>) {
        for (key, value) in table {
            let key = format!("{prefix}{key}");
            match value {
                Value::Table(inner) => flat(&format!("{key}."), inner, keys),
                other => drop(keys.insert(key, other.to_string())),
            }
        }
    }
    let mut keys = BTreeMap::new();
    flat("", &Table::try_from(config).expect("a config whose seed fits a file is a table"), &mut keys);
    keys.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_tilde_is_the_home_folder() {
        let home = || Some(PathBuf::from("/home/me"));
        for (path, expected) in
            [("~/data", "/home/me/data"), ("~", "/home/me"), ("a/~/b", "a/~/b"), ("~x/b", "~x/b")]
        {
            assert_eq!(in_home_of(Path::new(path), home()), Path::new(expected));
        }
        assert_eq!(in_home_of(Path::new("~/data"), None), Path::new("~/data"));
    }
}
