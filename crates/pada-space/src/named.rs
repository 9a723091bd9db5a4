use crate::space::shortened;
use crate::{Arch, SearchSpace, SpaceError, parse_digits};

/// A published architecture with the name that its authors gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct NamedArch {
    /// The name in the source.
    pub name: &'static str,
    /// The architecture, in the long form of its space.
    pub text: &'static str,
    /// The publication or file that contains the architecture.
    pub source: &'static str,
}

/// Finds a published architecture by its name. Case and the signs `-`, `_` and blanks do not matter.
///
/// ```
/// use pada_space::{DARTS_NAMED, find_named};
///
/// let named = find_named(DARTS_NAMED, "DARTS_V2").unwrap();
/// assert!(named.source.contains("quark0/darts"));
/// assert_eq!(find_named(DARTS_NAMED, "DARTS_V9"), None);
/// ```
pub fn find_named(table: &'static [NamedArch], name: &str) -> Option<&'static NamedArch> {
    let wanted = plain_name(name);
    table.iter().find(|named| plain_name(named.name) == wanted)
}

/// Returns a name in lower case and without signs and blanks: names that differ only in these are the same.
///
/// ```
/// assert_eq!(pada_space::plain_name("NAS-Bench-201"), "nasbench201");
/// ```
pub fn plain_name(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Returns the names that are nearest to a misspelt one, at most three.
///
/// ```
/// use pada_space::{DARTS_NAMED, nearest_names};
///
/// assert_eq!(nearest_names(DARTS_NAMED, "DARTS")[..2], ["DARTS_V1", "DARTS_V2"]);
/// ```
pub fn nearest_names(table: &[NamedArch], name: &str) -> Vec<&'static str> {
    // A longer text is no misspelt name.
    let wanted: String = plain_name(name).chars().take(64).collect();
    let distance = |named: &&NamedArch| {
        let own = plain_name(named.name);
        (!own.starts_with(&wanted), strsim::damerau_levenshtein(&own, &wanted))
    };
    let mut nearest: Vec<&NamedArch> = table.iter().collect();
    nearest.sort_by_cached_key(distance);
    nearest.iter().take(3).map(|named| named.name).collect()
}

/// The number of words of the longest published name, and two more.
const MOST_WORDS: usize = 4;

/// Parses digits in a space that also has named architectures. A word of wrong length was probably meant as a name.
pub(crate) fn parse_unnamed(
    space: &dyn SearchSpace,
    table: &'static [NamedArch],
    text: &str,
) -> Result<Arch, SpaceError> {
    let is_number = text.parse::<f64>().is_ok_and(f64::is_finite);
    // A log line, for example.
    let is_sentence = text.split_whitespace().count() > MOST_WORDS && text.contains(char::is_alphabetic);
    parse_digits(space, text).map_err(|error| match error {
        SpaceError::WrongLength { space, expected, .. } if is_sentence && !table.is_empty() => {
            let reason = format!("it is no published name, no list of {expected} digits and no long form");
            SpaceError::Malformed { text: shortened(text), reason, space, example: table[0].text }
        }
        SpaceError::WrongLength { text, space, expected, .. }
            if text.contains(char::is_alphabetic) && !is_number =>
        {
            let known = nearest_names(table, &text).join(", ");
            SpaceError::UnknownName { text, space, expected, known }
        }
        other => other,
    })
}
