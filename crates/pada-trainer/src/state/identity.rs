use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::r#loop::recipe::Recipe;

/// Differences that an error message shows; a run that differs in more of them is another run altogether.
const SHOWN: usize = 4;
/// Characters of a value that an error message shows.
const VALUE_LEN: usize = 80;
/// The part of an identity that the caller of the trainer provides. Messages name its keys without this prefix.
const CONFIG: &str = "config.";

/// The text of a JSON value with sorted keys and without blanks: equal values have equal texts.
pub(crate) fn canonical_json(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            let entry = |(key, value): (&String, &Value)| {
                format!("{}:{}", Value::from(key.as_str()), canonical_json(value))
            };
            format!("{{{}}}", sorted.into_iter().map(entry).collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical_json).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

/// SHA-256 of the canonical JSON of an identity, in hexadecimal.
pub(crate) fn identity_sha256(identity: &Value) -> String {
    hex::encode(Sha256::digest(canonical_json(identity)))
}

/// The number of processes in an identity. It is there only if batch norms use the statistics of a process's own images.
pub(crate) const PROCESSES: &str = "processes";

/// Returns the identity of a checkpoint with the keys of this version.
///
/// Earlier versions had the label smoothing of a stand-alone network in `recipe` and `config.retrain`, and not in `train`.
pub(crate) fn with_current_keys(identity: &Value) -> Value {
    let mut identity = identity.clone();
    let remove = |identity: &mut Value, section: &str| {
        identity.pointer_mut(section)?.as_object_mut()?.remove("label_smoothing")
    };
    remove(&mut identity, "/config/retrain");
    let Some(smoothing) = remove(&mut identity, "/recipe") else { return identity };
    if let Some(train) = identity.get_mut("train").filter(|_| smoothing.as_f64() != Some(0.0)) {
        train["label_smoothing"] = smoothing;
    }
    // A recipe without additions is not part of an identity.
    if serde_json::to_value(Recipe::default()).is_ok_and(|plain| identity["recipe"] == plain)
        && let Some(identity) = identity.as_object_mut()
    {
        identity.remove("recipe");
    }
    identity
}

/// Describes how the identity of a checkpoint differs from the identity of a run. Returns `None` if they are equal.
pub(crate) fn difference(checkpoint: &Value, run: &Value) -> Option<String> {
    let (theirs, ours) = (leaves(checkpoint), leaves(run));
    let mut keys: Vec<&String> = theirs.keys().chain(ours.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.retain(|key| theirs.get(*key) != ours.get(*key));
    // A checksum says nothing to a reader as long as something else differs.
    let is_checksum = |key: &String| key.ends_with("sha256");
    keys.sort_by_key(|key| is_checksum(key));
    if keys.is_empty() {
        return None;
    }
    let words = |key: &&String| {
        let name = key.strip_prefix(CONFIG).unwrap_or(key);
        let [theirs, ours] = [&theirs, &ours].map(|leaves| shown(leaves.get(*key)));
        let name = match name {
            PROCESSES => "the number of processes, which matters with compute.norms = \"local\",".to_owned(),
            name => format!("`{name}`"),
        };
        format!("{name} is {theirs} in the checkpoint and {ours} in this run")
    };
    let mut all = keys.iter().take(SHOWN).map(words).collect::<Vec<_>>().join("; ");
    if keys.len() > SHOWN {
        all += &format!("; {} more settings differ", keys.len() - SHOWN);
    }
    Some(all)
}

fn shown(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => return "not set".to_owned(),
        Some(value) => canonical_json(value),
    };
    match text.char_indices().nth(VALUE_LEN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// All values of nested objects under their dotted keys.
fn leaves(value: &Value) -> BTreeMap<String, Value> {
    fn collect(value: &Value, key: String, found: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(map) => {
                for (name, value) in map {
                    let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                    collect(value, key, found);
                }
            }
            Value::Null => {}
            other => {
                found.insert(key, other.clone());
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(value, String::new(), &mut found);
    found
}

/// Computes the SHA-256 of weights as little-endian bytes, in hexadecimal: equal for two supernets with equal weights.
pub fn weights_sha256(weights: &[f32]) -> String {
    let mut hasher = Sha256::new();
    weights.iter().for_each(|weight| hasher.update(weight.to_le_bytes()));
    hex::encode(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_values_have_one_text_whatever_the_order_of_their_keys() {
        let a: Value =
            serde_json::from_str(r#"{"b": [1, {"y": "\"", "x": null}], "a": 0.1}"#).expect("valid");
        let b: Value = serde_json::from_str(r#"{"a":0.1,"b":[1,{"x":null,"y":"\""}]}"#).expect("valid");
        assert_eq!(canonical_json(&a), r#"{"a":0.1,"b":[1,{"x":null,"y":"\""}]}"#);
        assert_eq!(identity_sha256(&a), identity_sha256(&b));
        assert_ne!(identity_sha256(&a), identity_sha256(&json!({"a": 0.1})));
    }

    #[test]
    fn label_smoothing_of_a_recipe_moves_to_the_training() {
        let recipe =
            |warm_up: usize| serde_json::to_value(Recipe { warm_up, ..Recipe::default() }).expect("valid");
        let earlier = |warm_up: usize, smoothing: f64| {
            let mut recipe = recipe(warm_up);
            recipe["label_smoothing"] = json!(smoothing);
            let retrain = json!({"arch": "333333", "label_smoothing": smoothing});
            json!({"train": {"lr": 0.1}, "recipe": recipe, "config": {"retrain": retrain}})
        };
        let now = |train: Value| json!({"train": train, "config": {"retrain": {"arch": "333333"}}});
        let smoothed = json!({"lr": 0.1, "label_smoothing": 0.1});
        assert_eq!(with_current_keys(&earlier(0, 0.1)), now(smoothed.clone()));
        let mut warm = now(smoothed);
        warm["recipe"] = recipe(2);
        assert_eq!(with_current_keys(&earlier(2, 0.1)), warm);
        warm["train"] = json!({"lr": 0.1});
        assert_eq!(with_current_keys(&earlier(2, 0.0)), warm);
        assert_eq!(with_current_keys(&warm), warm);
    }

    #[test]
    fn a_difference_is_shown_key_by_key() {
        let checkpoint = json!({"train": {"lr": 0.05, "clip_norm": null}, "config": {"rule": {"name": "nsas"}}, "seed": 0});
        assert_eq!(difference(&checkpoint, &checkpoint), None);
        let run = json!({"train": {"lr": 0.1, "clip_norm": 5.0}, "config": {}, "seed": 0});
        assert_eq!(
            difference(&checkpoint, &run).as_deref(),
            Some(
                "`rule.name` is \"nsas\" in the checkpoint and not set in this run; \
                 `train.clip_norm` is not set in the checkpoint and 5.0 in this run; \
                 `train.lr` is 0.05 in the checkpoint and 0.1 in this run"
            )
        );
    }

    #[test]
    fn many_and_long_differences_are_cut() {
        let run = json!({"a": 1, "b": 2, "c": 3, "d_sha256": "x", "e": 5, "f": "long".repeat(100)});
        let text = difference(&json!({}), &run).expect("they differ");
        assert!(text.ends_with("in this run; 2 more settings differ"), "{text}");
        assert!(!text.contains("sha256"), "{text}");
        let long = difference(&json!({}), &json!({"f": "long".repeat(100)})).expect("they differ");
        assert!(long.contains("lon…"), "{long}");
    }
}
