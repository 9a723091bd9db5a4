//! The schema of config files: every section and key, with its type, its default and a description. Files, `--set` and `docs/config.md` are
//! checked against these tables, and the typed configs are created from the checked values.

mod sections;
mod update;

use crate::config::budget::RankBudget;
use sections::{
    AUGMENT, COMPUTE, DATA, IMAGES, NETWORK, PATHS, RANK, RETRAIN, SPLIT, SUPERNET, TEST, TOP, TRAIN,
};
use update::UPDATE;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An integer, at least 0.
    Whole,
    /// An integer, at least 1.
    Positive,
    /// A number.
    Number,
    /// A string.
    Text,
    /// A time, or a number of images.
    Budget,
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// A list of strings.
    Texts,
    /// A list of some of these strings.
    SomeOf(&'static [&'static str]),
    /// A list of integers, each at least 0.
    Wholes,
    /// A list of numbers, of this length if one is given.
    Numbers(Option<usize>),
    /// `"random-and-diverse"`, or `{ archive = 8 }`.
    Constraints,
}

/// The value of a key that a config does not give.
#[derive(Clone, Copy, Debug)]
pub(super) enum KeyDefault {
    /// A fixed value, as TOML.
    Is(&'static str),
    /// A fixed value, as TOML. The key can also be unset with `"none"`.
    Unless(&'static str),
    /// No value. The key can also be unset with `"none"`.
    Unset,
    /// No default: the key must be given.
    Required,
    /// A value that depends on other keys; the text describes how.
    By(fn(&dyn Chosen) -> Option<&'static str>, &'static str),
    /// A value that depends on other keys; the text describes how. The key can also be unset with `"none"`.
    ByUnless(fn(&dyn Chosen) -> Option<&'static str>, &'static str),
}

/// The values of all keys before the one that gets its default.
pub(super) trait Chosen {
    /// Returns the string value of a key, or `None` if the key is unset or not a string.
    fn text(&self, key: &str) -> Option<&str>;
}

/// One key of a section. A name with a dot is a key of a table within the section.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// The values of the section's tag that have this key; empty if all have it.
    pub(super) of: &'static [&'static str],
    pub(super) default: KeyDefault,
    pub(super) about: &'static str,
}

/// One section of a config file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    /// Name of the section; empty for the keys at the top of a file.
    pub(super) name: &'static str,
    /// The key whose value decides which other keys the section has.
    pub(super) tag: Option<&'static str>,
    /// True if the section exists only if one of its keys is given.
    pub(super) optional: bool,
    /// Tables within the section that exist only if one of their keys is given, or by default in some search spaces.
    pub(super) groups: &'static [Group],
    pub(super) about: &'static str,
    pub(super) keys: &'static [Key],
}

/// An optional table within a section.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) name: &'static str,
    /// The search spaces in which the table exists by default.
    pub(super) spaces: &'static [&'static str],
}

/// The sections of one kind of config.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schema {
    pub(super) sections: &'static [Section],
    /// The section that has the key `space`.
    pub(super) network: &'static str,
    /// Description of this kind of config, for errors.
    pub(super) purpose: &'static str,
}

impl Section {
    /// Returns `section.key`, or only the key at the top of a file.
    pub(super) fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    /// Returns the optional table that contains a key, if there is one.
    pub(super) fn group_of(&self, key: &str) -> Option<&'static Group> {
        let (table, _) = key.split_once('.')?;
        self.groups.iter().find(|group| group.name == table)
    }

    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

impl Key {
    /// Returns true if `"none"` unsets the key.
    pub(super) fn can_be_unset(&self) -> bool {
        matches!(self.default, KeyDefault::Unset | KeyDefault::Unless(_) | KeyDefault::ByUnless(..))
    }
}

impl Schema {
    pub(super) fn section(&self, name: &str) -> Option<&'static Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// Finds section and key of `section.key`.
    pub(super) fn find(&self, path: &str) -> Option<(&'static Section, &'static Key)> {
        let of = |section: &str, key: &str| {
            let section = self.section(section)?;
            Some((section, section.key(key)?))
        };
        of("", path).or_else(|| path.split_once('.').and_then(|(section, key)| of(section, key)))
    }

    /// Returns all keys as `section.key`, and the tables within sections.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for section in self.sections {
            for key in section.keys {
                if let Some((table, _)) = key.name.split_once('.') {
                    paths.push(section.path(table));
                }
                paths.push(section.path(key.name));
            }
        }
        paths.dedup();
        paths
    }
}

impl Kind {
    /// Describes the type in words, for errors and docs.
    pub(super) fn expected(self) -> String {
        let texts = |list: &[&str]| list.iter().map(|text| format!("\"{text}\"")).collect::<Vec<_>>();
        match self {
            Self::Whole => "an integer, 0 or larger".to_owned(),
            Self::Positive => "an integer, 1 or larger".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::Text => "a string".to_owned(),
            Self::Budget => "a time such as \"10m\", or \"128 images\"".to_owned(),
            Self::OneOf(list) => either(&texts(list)),
            Self::Texts => "a list of strings".to_owned(),
            Self::SomeOf(list) => format!("a list of strings, each {}", either(&texts(list))),
            Self::Wholes => "a list of integers".to_owned(),
            Self::Numbers(None) => "a list of numbers".to_owned(),
            Self::Numbers(Some(n)) => format!("a list of {n} numbers"),
            Self::Constraints => "\"random-and-diverse\" or a table such as { archive = 8 }".to_owned(),
        }
    }

    /// Returns true if a value has this type.
    pub(super) fn accepts(self, value: &toml::Value) -> bool {
        use toml::Value;
        let at_least = |least: i64, value: &Value| value.as_integer().is_some_and(|n| n >= least);
        let whole = |value: &Value| at_least(0, value);
        let positive = |value: &Value| at_least(1, value);
        let number = |value: &Value| matches!(value, Value::Integer(_) | Value::Float(_));
        let all =
            |holds: &dyn Fn(&Value) -> bool| value.as_array().is_some_and(|list| list.iter().all(holds));
        match self {
            Self::Whole => whole(value),
            Self::Positive => positive(value),
            Self::Number => number(value),
            Self::Text => value.is_str(),
            Self::Budget => value.as_str().is_some_and(|text| text.parse::<RankBudget>().is_ok()),
            Self::OneOf(list) => value.as_str().is_some_and(|text| list.contains(&text)),
            Self::Texts => all(&Value::is_str),
            Self::SomeOf(list) => all(&|value| value.as_str().is_some_and(|text| list.contains(&text))),
            Self::Wholes => all(&whole),
            Self::Numbers(n) => {
                all(&number) && n.is_none_or(|n| value.as_array().is_some_and(|list| list.len() == n))
            }
            Self::Constraints => match value {
                Value::Table(table) => table.len() == 1 && table.get("archive").is_some_and(whole),
                other => other.as_str() == Some("random-and-diverse"),
            },
        }
    }
}

/// Joins a list to `a`, `a or b`, or `a, b or c`.
pub(super) fn either(list: &[String]) -> String {
    match list {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

const fn key(name: &'static str, kind: Kind, default: KeyDefault, about: &'static str) -> Key {
    Key { name, kind, of: &[], default, about }
}

const fn key_of(
    of: &'static [&'static str],
    name: &'static str,
    kind: Kind,
    default: KeyDefault,
    about: &'static str,
) -> Key {
    Key { name, kind, of, default, about }
}

const fn section(
    name: &'static str,
    tag: Option<&'static str>,
    about: &'static str,
    keys: &'static [Key],
) -> Section {
    Section { name, tag, optional: false, groups: &[], about, keys }
}

/// The schema of a run that trains a supernet and ranks architectures with it.
pub(super) const RUN: Schema = Schema {
    sections: &[TOP, DATA, SUPERNET, COMPUTE, TRAIN, AUGMENT, PATHS, IMAGES, UPDATE, SPLIT, RANK],
    network: "supernet",
    purpose: "a config of a supernet run",
};

/// The schema of a run that trains one architecture from scratch.
pub(super) const RETRAIN_RUN: Schema = Schema {
    sections: &[TOP, DATA, NETWORK, COMPUTE, TRAIN, AUGMENT, RETRAIN, TEST],
    network: "network",
    purpose: "a config of `pada retrain`",
};

/// Unknown keys with the key or section to use instead. An entry also applies to the keys within the table of this name.
pub(super) const REPLACED: &[(&str, &str)] = &[
    ("sampler.path", "`paths.rule`"),
    ("sampler.data", "`images.rule`"),
    ("sampler.arch", "`retrain.arch` in a config of `pada retrain`"),
    ("sampler.variant", "`paths.variant` and `images.variant`"),
    ("sampler.data_variant", "`images.variant`"),
    ("sampler.smoothing", "`paths.smoothing` and `images.smoothing`"),
    ("sampler.data_smoothing", "`images.smoothing`"),
    ("sampler.importance_weights", "`paths.importance_weights` and `images.importance_weights`"),
    ("sampler.weight_bound", "`paths.weight_bound`"),
    ("sampler.share", "`paths.scope`"),
    ("sampler.replacement", "`images.replacement`"),
    ("sampler.image_score", "`images.score`"),
    ("sampler.distribution", "`paths.distribution`"),
    ("sampler.memory", "`paths.memory`"),
    ("sampler", "the sections `[paths]` and `[images]`"),
    ("train.idle_weights", "`train.unused_weights`"),
    ("rule.name", "`update.rule`"),
    ("rule", "the section `[update]` with the key `rule`"),
    ("split.name", "`split.rule`"),
    ("retrain.label_smoothing", "`train.label_smoothing`"),
    ("alone.label_smoothing", "`train.label_smoothing` in a config of `pada retrain`"),
    ("alone", "the section `[retrain]` in a config of `pada retrain`"),
];

/// Keys in the run folders of earlier versions with the key that has their value now.
pub(super) const MOVED: &[(&str, &str)] = &[("retrain.label_smoothing", "train.label_smoothing")];

/// Values of keys that older run folders lack, if they differ from the default, as TOML. The config of a run folder has all keys of its version.
pub(super) const MISSING: &[(&str, &str)] = &[("compute.convolution", "\"direct\"")];

#[cfg(test)]
mod tests {
    use super::*;

    /// A key that two rules have in common has one entry, because the first entry of a name is the one that is found.
    #[test]
    fn no_section_has_a_key_twice() {
        for section in RUN.sections.iter().chain(RETRAIN_RUN.sections) {
            let mut names: Vec<&str> = section.keys.iter().map(|key| key.name).collect();
            names.sort_unstable();
            let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
            assert!(twice.is_none(), "[{}] has {twice:?}", section.name);
        }
    }
}
