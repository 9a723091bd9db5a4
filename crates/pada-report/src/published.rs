use std::fmt;

use serde::{Deserialize, Serialize};

/// A cell of a published table, as it is printed.
///
/// A cell is a number (`1.6`, `1,800`), a mean with its deviation (`0.639 ± 0.030`), a word (`RL`), a printed dash, or blank. Asterisks
/// mark a number that is printed in bold: `**0.713 ± 0.002**`.
///
/// ```
/// use pada_report::PublishedCell;
///
/// let cell = PublishedCell::new("**0.713 ± 0.002**");
/// assert_eq!((cell.number(), cell.sd()), (Some(0.713), Some(0.002)));
/// assert_eq!(cell.plain(), "0.713 ± 0.002");
/// assert!(PublishedCell::DASH.is_dash() && PublishedCell::new("").is_blank());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Form", into = "String")]
pub struct PublishedCell(std::borrow::Cow<'static, str>);

/// The forms of a cell in records: its text, or the numbers that records of older versions have.
#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    Text(String),
    Number(f64),
    Value { mean: f64, sd: Option<f64> },
    Missing(()),
}

impl From<Form> for PublishedCell {
    fn from(form: Form) -> Self {
        match form {
            Form::Text(text) => Self::new(text),
            Form::Number(number) => Self::new(number.to_string()),
            // Older records have numbers of Table 1, which has three decimals.
            Form::Value { mean, sd: Some(sd) } => Self::new(format!("{mean:.3} ± {sd:.3}")),
            Form::Value { mean, sd: None } => Self::new(format!("{mean:.3}")),
            Form::Missing(()) => Self::DASH,
        }
    }
}

impl From<PublishedCell> for String {
    fn from(cell: PublishedCell) -> Self {
        cell.0.into_owned()
    }
}

impl PublishedCell {
    /// A cell with a printed dash.
    pub const DASH: Self = Self(std::borrow::Cow::Borrowed("–"));

    /// The text of the cells of a row that the paper's table does not have. A printed dash and a blank cell are values of the paper.
    pub const NOT_A_ROW: &str = "n/a";

    /// Creates a cell from its printed text. The empty text is a blank cell.
    pub fn new(text: impl Into<String>) -> Self {
        Self(std::borrow::Cow::Owned(text.into()))
    }

    /// Returns the printed text, with asterisks around a number in bold.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Returns the printed text without the marks of bold print.
    pub fn plain(&self) -> &str {
        self.0.trim_matches('*')
    }

    /// Returns `true` for a printed dash.
    pub fn is_dash(&self) -> bool {
        self.plain() == Self::DASH.text()
    }

    /// Returns `true` for a blank cell.
    pub fn is_blank(&self) -> bool {
        self.plain().is_empty()
    }

    /// Returns the number, or the mean of a mean with its deviation. Returns `None` for a word, a dash and a blank cell.
    pub fn number(&self) -> Option<f64> {
        number(self.plain().split('±').next()?)
    }

    /// Returns the deviation of a mean, if it is printed.
    pub fn sd(&self) -> Option<f64> {
        number(self.plain().split_once('±')?.1)
    }
}

/// Parses a printed number, in which commas separate thousands.
fn number(text: &str) -> Option<f64> {
    text.trim().replace(',', "").parse().ok()
}

/// Writes the printed text, with asterisks around a number in bold.
impl fmt::Display for PublishedCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

/// The row of a method in Table 1 of the PA&DA paper, as it is printed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// The printed name of the method. Empty in records of older versions.
    #[serde(default)]
    pub method: String,
    /// Search cost, GPU hours.
    pub gpu_hours: PublishedCell,
    /// Kendall's tau, mean ± standard deviation over seeds.
    pub tau_b: PublishedCell,
    /// P@Top5%, mean ± standard deviation over seeds.
    pub p_at_top_5: PublishedCell,
    /// A value of another source, with the name of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<String>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn numbers_dashes_and_blanks_are_told_apart() {
        for (text, number, sd) in [
            ("1,800", Some(1800.0), None),
            ("97.47 ± 0.003", Some(97.47), Some(0.003)),
            ("**77.3**", Some(77.3), None),
            ("RL", None, None),
            ("–", None, None),
            ("", None, None),
        ] {
            let cell = PublishedCell::new(text);
            assert_eq!((cell.number(), cell.sd()), (number, sd), "{text}");
            assert_eq!(cell.to_string(), text);
            assert_eq!((cell.is_dash(), cell.is_blank()), (text == "–", text.is_empty()), "{text}");
        }
    }

    #[test]
    fn cells_of_older_records_are_read() {
        let json = r#"{"gpu_hours": 1.6, "tau_b": {"mean": 0.639, "sd": 0.03}, "p_at_top_5": null}"#;
        let old: Published = serde_json::from_str(json).unwrap();
        assert_eq!(old.gpu_hours.text(), "1.6");
        assert_eq!(old.tau_b.text(), "0.639 ± 0.030");
        assert!(old.p_at_top_5.is_dash());
        let again: Published = serde_json::from_str(&serde_json::to_string(&old).unwrap()).unwrap();
        assert_eq!(again, old);
    }
}
