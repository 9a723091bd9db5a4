use pada_search::SearchMethod;
use serde::Deserialize;
use toml::{Table, Value};

use crate::config::ConfigError;

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
/// Returns [`ConfigError::Range`] with the names of all methods if there is no such method, and [`ConfigError::Set`] if an assignment has an
/// unknown key or a value of another type. Whether a value is in its range is checked when the search starts.
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

/// Settings whose value names one of several tables, so that another table replaces it.
const CHOICES: [&str; 2] = ["predictor", "policy"];

fn changed(method: &SearchMethod, assignment: &str) -> Result<SearchMethod, ConfigError> {
    let bad = |reason: String| ConfigError::Set { assignment: assignment.to_owned(), reason };
    let (key, value) =
        assignment.split_once('=').ok_or_else(|| bad("an assignment has the form key=value".into()))?;
    let (key, text) = (key.trim(), value.trim());
    let parsed = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    let value = parsed.unwrap_or_else(|| Value::String(text.to_owned()));
    let mut whole = Table::try_from(method).expect("the settings of a method are a table");
    let mut place =
        whole.get_mut(method.name()).and_then(Value::as_table_mut).expect("a method has settings");
    let parts: Vec<&str> = key.split('.').collect();
    let (last, before) = parts.split_last().expect("a text has a part");
    for (depth, &part) in before.iter().enumerate() {
        let is_choice = depth == 0 && CHOICES.contains(&part);
        let entry = place.entry(part.to_owned()).or_insert_with(|| Table::new().into());
        // Another predictor or policy starts from its own defaults.
        let other = parts.get(depth + 1).is_some_and(|next| entry.get(next).is_none());
        if !entry.is_table() || (is_choice && other) {
            *entry = Table::new().into();
        }
        place = entry.as_table_mut().expect("it is a table now");
    }
    let value = match &value {
        // `predictor=trees` stands for trees with their defaults.
        Value::String(name) if before.is_empty() && CHOICES.contains(last) && name != "softmax" => {
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
    use pada_search::{
        LstmConfig, PolicyConfig, PredictorConfig, PredictorSearchConfig, ReinforceConfig, TreesConfig,
    };

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
        assert!(error("pnas", "beam=many").contains("beam=many"));
        assert!(error("pnas", "beam").contains("key=value"));
        assert!(error("pnas", "predictor.forest.trees=3").contains("forest"));
    }
}
