use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Limit on the cost of scoring the architectures of a ranking.
///
/// It is written as a time, `90s`, `10m` or `2h`, or as a number of images, `128 images`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum RankBudget {
    /// Wall-clock time of scoring. The number of images of the first round is chosen from the measured speed.
    Time(Duration),
    /// Number of images of the first round, in which all architectures are scored.
    FirstImages(usize),
}

/// Units of time with their seconds, the largest first.
const UNITS: [(char, u64); 3] = [('h', 3600), ('m', 60), ('s', 1)];
const IMAGES: &str = " images";

impl fmt::Display for RankBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => {
                let seconds = time.as_secs();
                let whole = UNITS.into_iter().find(|(_, unit)| seconds.is_multiple_of(*unit));
                let (name, unit) = whole.expect("every number of seconds is a multiple of one second");
                write!(f, "{}{name}", seconds / unit)
            }
            Self::FirstImages(images) => write!(f, "{images}{IMAGES}"),
        }
    }
}

impl FromStr for RankBudget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("{text} is not a budget; use a time such as 90s, 10m or 2h, or 128 images");
        if let Some(images) = text.strip_suffix(IMAGES) {
            return images.parse().ok().filter(|&n| n > 0).map(Self::FirstImages).ok_or_else(error);
        }
        let unit = UNITS.into_iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)));
        let seconds = unit.and_then(|(count, unit)| count.parse::<u64>().ok()?.checked_mul(unit));
        seconds.filter(|&s| s > 0).map(|s| Self::Time(Duration::from_secs(s))).ok_or_else(error)
    }
}

impl From<RankBudget> for String {
    fn from(budget: RankBudget) -> Self {
        budget.to_string()
    }
}

impl TryFrom<String> for RankBudget {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_a_time_or_a_number_of_images() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("2h", 7200)] {
            let budget: RankBudget = text.parse().unwrap();
            assert_eq!(budget, RankBudget::Time(Duration::from_secs(seconds)));
            assert_eq!(budget.to_string(), text);
        }
        let images: RankBudget = "128 images".parse().unwrap();
        assert_eq!(images, RankBudget::FirstImages(128));
        assert_eq!(images.to_string(), "128 images");
        for wrong in ["", "10", "0m", "-1s", "1.5h", "0 images", "images", "10 m", "99999999999999999999h"] {
            let error = wrong.parse::<RankBudget>().unwrap_err();
            assert!(error.contains("10m"), "{error}");
        }
    }
}
