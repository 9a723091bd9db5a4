use crate::numbers::fixed;

/// An axis: a range with ticks at round numbers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    step: f64,
}

/// Approximate number of ticks.
const TICKS: f64 = 6.0;
/// Margin on both sides, as a share of the range.
const MARGIN: f64 = 0.04;

impl Scale {
    /// A scale that fits the finite values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let finite = values.into_iter().filter(|v| v.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        if low > high {
            return Self::exactly(0.0, 1.0);
        }
        let margin = if high > low { MARGIN * (high - low) } else { low.abs().max(1.0) * 0.1 };
        Self::exactly(low - margin, high + margin)
    }

    /// A scale from `low` to `high`. `high` must be larger.
    pub(crate) fn exactly(low: f64, high: f64) -> Self {
        Self { low, high, step: round_step((high - low) / TICKS) }
    }

    /// A scale of the integers from 1 to `n`.
    pub(crate) fn counting(n: usize) -> Self {
        let (low, high) = if n > 1 { (1.0, n as f64) } else { (0.5, 1.5) };
        Self { low, high, step: round_step((high - low) / TICKS).max(1.0) }
    }

    pub(crate) fn ends(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// Relative position of a value on the axis, from 0 to 1.
    pub(crate) fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// The ticks.
    pub(crate) fn ticks(&self) -> Vec<f64> {
        let (first, last) = ((self.low / self.step).ceil() as i64, (self.high / self.step).floor() as i64);
        // If the range is so narrow that rounding swallows the step, there are no ticks.
        (first..=last).take(2 * TICKS as usize + 2).map(|i| i as f64 * self.step).collect()
    }

    /// Label of a tick, with the decimals that distinguish it from its neighbours.
    pub(crate) fn label(&self, tick: f64) -> String {
        let largest = self.low.abs().max(self.high.abs());
        if !(1e-3..1e6).contains(&largest) {
            return if tick == 0.0 { "0".to_owned() } else { format!("{tick:.1e}") };
        }
        fixed(tick, (-self.step.log10().floor()).clamp(0.0, 9.0) as usize)
    }
}

/// The smallest of 1, 2 or 5 times a power of ten that is not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|f| f * power >= step * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<String> {
        scale.ticks().into_iter().map(|tick| scale.label(tick)).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(&Scale::exactly(0.0, 1.0)), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&Scale::of([12.0, 60.0])), ["20", "30", "40", "50", "60"]);
        assert_eq!(labels(&Scale::counting(20)), ["5", "10", "15", "20"]);
        assert_eq!(labels(&Scale::counting(3)), ["1", "2", "3"]);
        assert_eq!(labels(&Scale::counting(1)), ["1"]);
        assert_eq!(labels(&Scale::exactly(-0.1, 0.35)), ["-0.1", "0.0", "0.1", "0.2", "0.3"]);
        assert_eq!(labels(&Scale::exactly(0.0, 2e-5)), ["0", "5.0e-6", "1.0e-5", "1.5e-5", "2.0e-5"]);
    }

    #[test]
    fn every_list_of_numbers_has_a_range() {
        for values in [vec![], vec![3.0], vec![0.0, f64::NAN], vec![f64::INFINITY], vec![1e300, -1e300]] {
            let scale = Scale::of(values.clone());
            assert!(scale.low < scale.high, "{values:?}: {scale:?}");
            assert!(scale.ticks().len() <= 12, "{values:?}: {scale:?}");
        }
    }
}
