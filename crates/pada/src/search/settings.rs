use pada_search::{LstmConfig, PolicyConfig, PredictorConfig, SearchMethod, TreesConfig};
use serde::Deserialize;
use toml::{Table, Value};

use crate::config::{ConfigError, nearest};

/// Returns a search method by its name, with its default settings and changes of the form `key=value`.
///
/// The keys are the fields of the method's settings, such as [`AgeingConfig`](pada_search::AgeingConfig). A dot leads into a table:
/// `predictor.trees.depth=3`, `policy.lstm.hidden=16`. Values are TOML; other text is a string.
///
/// ```
/// use pada::SearchMethod;
/// use pada::search_methods::AgeingConfig;
///
/// let method = pada::search_method("ageing-evolution", &["population=20"])?;
/// let expected = AgeingConfig { population: 20, ..AgeingConfig::default() };
/// assert_eq!(method, SearchMethod::AgeingEvolution(expected));
/// # Ok::<(), pada::ConfigError>(())
/// ```
///
/// # Errors
/// Returns [`ConfigError::Range`] with the names of all methods if there is no such method, and [`ConfigError::Set`] with the nearest key and all keys if
/// an assignment has an unknown key, or with the expected kind of value. Whether a value is in its range is checked when the search starts.
pub fn search_method<S: AsRef<str>>(name: &str, assignments: &[S]) -> Result<SearchMethod, ConfigError> {
    let method = SearchMethod::all().into_iter().find(|method| method.name() == name);
    let unknown = || ConfigError::Range {
        key: "--method",
        value: name.to_owned(),
        range: "random, evolution, pareto, ageing-evolution, reinforce, enas, pnas, predictor or random-nas",
    };
    let mut method = method.ok_or_else(unknown)?;
    for assignment in assignments {
        method = changed(&method, assignment.as_ref())?;
    }
    Ok(method)
}

/// A setting of a method and the values that it takes.
struct Setting {
    key: String,
    kind: Kind,
}

enum Kind {
    /// A whole number that is not negative.
    Count,
    Number,
    /// The name of one of several tables of settings, or of a choice without settings.
    Choice(&'static [&'static str]),
}

/// Settings whose value names one of several tables, so that another table replaces it.
const CHOICES: [(&str, &[&str]); 2] = [("predictor", &["ridge", "trees"]), ("policy", &["softmax", "lstm"])];

impl Kind {
    fn accepts(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Count, Value::Integer(number)) => *number >= 0,
            (Self::Number, Value::Integer(_) | Value::Float(_)) => true,
            (Self::Choice(names), Value::String(name)) => names.contains(&name.as_str()),
            _ => false,
        }
    }

    fn expected(&self) -> String {
        match self {
            Self::Count => "a whole number such as 100".to_owned(),
            Self::Number => "a number such as 0.5".to_owned(),
            Self::Choice(names) => names.join(" or "),
        }
    }
}

/// Returns all settings of a method. A choice has the settings of all its tables.
fn settings_of(method: &SearchMethod) -> Vec<Setting> {
    fn collect(prefix: &str, table: &Table, settings: &mut Vec<Setting>) {
        for (name, value) in table {
            let key = format!("{prefix}{name}");
            match value {
                Value::Table(inner) => collect(&format!("{key}."), inner, settings),
                Value::Integer(_) => settings.push(Setting { key, kind: Kind::Count }),
                _ => settings.push(Setting { key, kind: Kind::Number }),
            }
        }
    }
    const IS_TABLE: &str = "settings are a table";
    let mut whole = Table::try_from(method).expect(IS_TABLE);
    let Some(Value::Table(mut own)) = whole.remove(method.name()) else {
        unreachable!("a method has settings")
    };
    let mut settings = Vec::new();
    for (name, names) in CHOICES {
        if own.remove(name).is_none() {
            continue;
        }
        settings.push(Setting { key: name.to_owned(), kind: Kind::Choice(names) });
        let tables = match name {
            "predictor" => vec![
                Value::try_from(PredictorConfig::default()),
                Value::try_from(PredictorConfig::Trees(TreesConfig::default())),
            ],
            _ => vec![Value::try_from(PolicyConfig::Lstm(LstmConfig::default()))],
        };
        for table in tables {
            let table = table.ok().and_then(|value| value.as_table().cloned()).expect(IS_TABLE);
            collect(&format!("{name}."), &table, &mut settings);
        }
    }
    collect("", &own, &mut settings);
    if matches!(method, SearchMethod::Reinforce(_) | SearchMethod::Enas(_)) {
        settings.push(Setting { key: "target".to_owned(), kind: Kind::Number });
    }
    settings
}

fn changed(method: &SearchMethod, assignment: &str) -> Result<SearchMethod, ConfigError> {
    let bad = |reason: String| ConfigError::Set { assignment: assignment.to_owned(), reason };
    let (key, value) = assignment
        .split_once('=')
        .ok_or_else(|| bad("an assignment has the form KEY=VALUE, such as samples=500".into()))?;
    let (key, text) = (key.trim(), value.trim());
    let parsed = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    let value = parsed.unwrap_or_else(|| Value::String(text.to_owned()));
    let settings = settings_of(method);
    let Some(setting) = settings.iter().find(|setting| setting.key == key) else {
        let keys: Vec<String> = settings.into_iter().map(|setting| setting.key).collect();
        let did_you_mean =
            nearest(key, &keys).map_or_else(|| ".".to_owned(), |key| format!("; did you mean `{key}`?"));
        let (name, keys) = (method.name(), keys.join(", "));
        return Err(bad(format!("{name} has no setting `{key}`{did_you_mean} Its settings are {keys}")));
    };
    if !setting.kind.accepts(&value) {
        return Err(bad(format!("`{key}` is {value}, but it must be {}", setting.kind.expected())));
    }
    let mut whole = Table::try_from(method).expect("the settings of a method are a table");
    let mut place =
        whole.get_mut(method.name()).and_then(Value::as_table_mut).expect("a method has settings");
    let parts: Vec<&str> = key.split('.').collect();
    let (last, before) = parts.split_last().expect("a text has a part");
    for (depth, &part) in before.iter().enumerate() {
        let entry = place.entry(part.to_owned()).or_insert_with(|| Table::new().into());
        // Another predictor or policy starts from its own defaults.
        let other = parts.get(depth + 1).is_some_and(|next| entry.get(next).is_none());
        if !entry.is_table() || (depth == 0 && other) {
            *entry = Table::new().into();
        }
        place = entry.as_table_mut().expect("it is a table now");
    }
    let value = match (&setting.kind, &value) {
        // `predictor=trees` stands for trees with their defaults. A choice without settings is a text.
        (Kind::Choice(_), Value::String(name)) if name != "softmax" => {
            Table::from_iter([(name.clone(), Table::new().into())]).into()
        }
        _ => value,
    };
    place.insert((*last).to_owned(), value);
    SearchMethod::deserialize(whole).map_err(|error| bad(error.message().to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use pada_search::{PredictorSearchConfig, ReinforceConfig};

    use super::*;

    #[test]
    fn assignments_change_settings_and_tables_inside_them() {
        let predictor = |assignments: &[&str]| match search_method("predictor", assignments).unwrap() {
            SearchMethod::Predictor(PredictorSearchConfig { predictor, .. }) => predictor,
            other => panic!("{other:?}"),
        };
        assert_eq!(predictor(&["predictor.ridge.lambda=2"]), PredictorConfig::Ridge { lambda: 2.0 });
        assert_eq!(predictor(&["predictor=trees"]), PredictorConfig::Trees(TreesConfig::default()));
        let trees = TreesConfig { depth: 3, trees: 7, ..TreesConfig::default() };
        let assignments = ["predictor.trees.depth=3", "predictor.trees.trees=7"];
        assert_eq!(predictor(&assignments), PredictorConfig::Trees(trees));
        let enas = search_method("enas", &["policy.lstm.hidden=16", "target=4e8", "batch=5"]).unwrap();
        let policy = PolicyConfig::Lstm(LstmConfig { hidden: 16, ..LstmConfig::default() });
        let expected = ReinforceConfig { policy, target: Some(4e8), batch: 5, ..ReinforceConfig::enas() };
        assert_eq!(enas, SearchMethod::Enas(expected));
        let softmax = search_method("enas", &["policy=softmax"]).unwrap();
        let expected = ReinforceConfig { policy: PolicyConfig::Softmax, ..ReinforceConfig::enas() };
        assert_eq!(softmax, SearchMethod::Enas(expected));
    }

    #[test]
    fn wrong_names_keys_and_values_are_errors_that_name_the_valid_ones() {
        let error =
            |name: &str, assignment: &str| search_method(name, &[assignment]).unwrap_err().to_string();
        assert!(error("reinforced", "samples=3").contains("ageing-evolution"));
        let text = error("ageing-evolution", "tournamnet=3");
        assert!(text.contains("tournamnet") && text.contains("tournament"), "{text}");
        assert!(text.contains("did you mean `tournament`?"), "{text}");
        assert!(error("pnas", "beam").contains("KEY=VALUE"));
        let text = error("pnas", "predictor.tree.depth=3");
        assert!(text.contains("did you mean `predictor.trees.depth`?"), "{text}");
        for (assignment, expected) in [
            ("beam=many", "`beam` is \"many\", but it must be a whole number"),
            ("beam=2.5", "`beam` is 2.5, but it must be a whole number"),
            ("beam=-1", "`beam` is -1, but it must be a whole number"),
            ("predictor.ridge.lambda=low", "`predictor.ridge.lambda` is \"low\", but it must be a number"),
            ("predictor=forest", "`predictor` is \"forest\", but it must be ridge or trees"),
        ] {
            let text = error("pnas", assignment);
            assert!(text.contains(expected), "{text}");
        }
        assert!(error("enas", "policy=linear").contains("must be softmax or lstm"));
    }
}
