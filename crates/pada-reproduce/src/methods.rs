use pada::report::{MethodName, RowGroup};
use serde::Deserialize;

use crate::{ReproduceError, published};

const METHODS: &str = include_str!("methods.toml");

/// A row of a table: a name, and the changes to a preset's config. All methods are defined in `methods.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    pub(crate) name: String,
    label: String,
    group: RowGroup,
    tables: Vec<String>,
    /// Assignments, which may contain variables.
    set: Vec<String>,
    /// The printed name of its row in Table 1.
    published: Option<String>,
    /// Settings that no public text gives, and the values that are used instead.
    unsaid: Option<String>,
    pub(crate) paths_of_pada: Option<PathsOfPada>,
}

/// The path distribution of PA&DA that a control repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PathsOfPada {
    /// The distribution of the last epoch.
    Final,
    /// The mean of the distributions over all epochs.
    Mean,
}

/// The row of PA&DA, which [`PathsOfPada`] and combinations are based on.
pub(crate) const PADA: &str = "pada";
/// The row of uniform sampling.
pub(crate) const SPOS: &str = "spos";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    method: Vec<Method>,
    #[serde(default)]
    pada_plus: Vec<Combination>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Combination {
    name: String,
    label: String,
    set: Vec<String>,
}

impl Method {
    /// Returns all rows.
    pub(crate) fn all() -> Vec<Self> {
        let Rows { method, pada_plus } = toml::from_str(METHODS).expect("a test reads methods.toml");
        let combinations = pada_plus.into_iter().map(|Combination { name, label, set }| Self {
            label,
            name: format!("pada-plus-{name}"),
            group: RowGroup::Beyond,
            tables: vec!["ablation".to_owned()],
            set,
            published: None,
            unsaid: None,
            paths_of_pada: None,
        });
        method.into_iter().chain(combinations).collect()
    }

    /// Finds a row by name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|method| method.name == name)
    }

    /// Returns the names of all methods, in the order of `methods.toml`.
    pub fn names() -> Vec<String> {
        Self::all().into_iter().map(|method| method.name).collect()
    }

    /// Returns the rows of a table. If `names` is not empty, it returns these rows instead, whichever table they belong to.
    ///
    /// # Errors
    /// Returns [`ReproduceError::Usage`] if a name is unknown.
    pub(crate) fn of_table(table: &str, names: &[String]) -> Result<Vec<Self>, ReproduceError> {
        let all = Self::all();
        if let Some(name) = names.iter().find(|name| all.iter().all(|method| method.name != **name)) {
            let known = Self::names().join(", ");
            return Err(ReproduceError::Usage(format!("--methods: there is no {name}; there are {known}")));
        }
        let wanted = |method: &Self| match names {
            [] => method.tables.iter().any(|t| t == table),
            names => names.contains(&method.name),
        };
        let mut methods: Vec<Self> = all.into_iter().filter(wanted).collect();
        methods.sort_by_key(|method| method.place());
        Ok(methods)
    }

    /// Returns the place of its group in a table: the rows of the paper stand first and in the paper's order.
    fn place(&self) -> usize {
        match self.group {
            RowGroup::Paper => 0,
            RowGroup::Variant => 1,
            RowGroup::Control => 2,
            RowGroup::Beyond => 3,
        }
    }

    /// Returns the note about settings that no public text gives.
    pub(crate) fn unsaid(&self) -> Option<String> {
        Some(format!("{}: {}.", self.label, self.unsaid.as_ref()?))
    }

    /// Returns the assignments with the values of the variables.
    pub(crate) fn assignments(&self, variables: &[(&str, usize)]) -> Vec<String> {
        Self::filled(&self.set, variables)
    }

    /// Returns assignments with the values of the variables.
    pub(crate) fn filled(set: &[String], variables: &[(&str, usize)]) -> Vec<String> {
        let fill = |text: &String| {
            variables.iter().fold(text.clone(), |text, (name, value)| text.replace(name, &value.to_string()))
        };
        set.iter().map(fill).collect()
    }

    /// Returns the name of the row with the numbers of the paper.
    pub(crate) fn row_name(&self) -> MethodName {
        let row = |row: &String| published::of_table_1(row).expect("a test looks for the row");
        let published = self.published.as_ref().map(row);
        let (name, label, group) = (self.name.clone(), self.label.clone(), self.group);
        MethodName { name, label, group, published }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use pada::{Device, Run, RunConfig, Session};

    use super::*;
    use crate::configs;
    use crate::preset::Preset;
    use crate::published::{PaperTable, PublishedTable};

    fn config(method: &Method, preset: Preset) -> RunConfig {
        let config = RunConfig::read_with(&configs().join(preset.config_file()), preset.set()).unwrap();
        let mut set = method.assignments(&preset.variables(config.train.epochs));
        if method.paths_of_pada.is_some() {
            set.push("paths.distribution=[0.0, 0.1, 0.4, 0.4, 0.1]".to_owned());
        }
        config.with_all(&set).unwrap_or_else(|error| panic!("{}: {error}", method.name))
    }

    #[test]
    fn every_method_gives_a_run_that_can_start() {
        let session = Session {
            data_dir: "no-such-folder".into(),
            device: Device::Cpu,
            checkpoint_every: std::time::Duration::from_secs(60),
            world: pada::dist::ProcessGroup::single(),
        };
        for method in Method::all() {
            for preset in [Preset::Short, Preset::Medium, Preset::Full] {
                config(&method, preset).check().unwrap();
            }
            let prepared = Run::prepare(config(&method, Preset::Mini), &session);
            assert!(
                prepared.is_ok(),
                "{}: {}",
                method.name,
                prepared.err().map_or(String::new(), |e| e.to_string())
            );
        }
    }

    #[test]
    fn no_two_methods_are_the_same_run() {
        let methods: Vec<Method> =
            Method::all().into_iter().filter(|method| method.paths_of_pada.is_none()).collect();
        for (i, a) in methods.iter().enumerate() {
            for b in &methods[..i] {
                assert_ne!(config(a, Preset::Mini), config(b, Preset::Mini), "{} and {}", a.name, b.name);
            }
        }
    }

    #[test]
    fn table_1_has_the_rows_of_the_paper_in_its_order() {
        let methods = Method::of_table("table1", &[]).unwrap();
        let (paper, others): (Vec<&Method>, Vec<&Method>) =
            methods.iter().partition(|method| method.group == RowGroup::Paper);
        let rows: Vec<String> = paper.iter().map(|m| m.row_name().published.unwrap().method).collect();
        let printed = PublishedTable::of(PaperTable::Table1).rows();
        assert_eq!(rows, printed.into_iter().map(|row| row.method).collect::<Vec<_>>());
        assert!(methods[..rows.len()].iter().all(|method| method.group == RowGroup::Paper));
        for method in others {
            assert_eq!(method.published, None, "{} is not a row of the paper", method.name);
        }
    }

    #[test]
    fn every_method_is_in_a_table_or_is_found_by_its_name() {
        for method in Method::all() {
            assert!(!method.tables.is_empty(), "{} is in no table", method.name);
        }
        assert_eq!(Method::of_table("table1", &["unbiased".to_owned()]).unwrap().len(), 1);
        let error = Method::of_table("table1", &["spas".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("no spas") && error.contains("spos"), "{error}");
    }
}
