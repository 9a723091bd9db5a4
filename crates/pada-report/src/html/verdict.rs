use crate::{Agreement, ZeroCostRow};

/// States in one sentence whether the supernet ranks significantly better than the best zero-cost baseline, judged by the confidence
/// interval of its tau-b.
pub(super) fn verdict(agreement: &Agreement) -> String {
    let Some(interval) = agreement.tau_b_interval else {
        let reason = agreement.undefined.as_deref().unwrap_or("it was not compared with the table");
        return format!("The supernet has no ranking: {reason}.");
    };
    let Some(best) = ZeroCostRow::best(&agreement.zero_cost) else {
        return "There is no zero-cost baseline to compare with.".to_owned();
    };
    let baseline = format!("the best zero-cost baseline ({}, tau-b {:.3})", best.name, best.metrics.tau_b);
    if interval.low > best.metrics.tau_b {
        format!("Significantly better than {baseline}.")
    } else if interval.high < best.metrics.tau_b {
        format!("Significantly worse than {baseline}.")
    } else {
        format!("Not significantly better than {baseline}, which lies within the confidence interval.")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use pada_metrics::{Bootstrap, Interval};

    use super::*;
    use crate::ScoreLists;

    fn agreement(tau: f64, low: f64, high: f64) -> Agreement {
        let truth = [1.0, 2.0, 3.0, 4.0];
        let baselines = [("#params", vec![1.0, 2.0, 4.0, 3.0]), ("worse", vec![4.0, 3.0, 1.0, 2.0])];
        let lists = ScoreLists::new(&truth, &truth, &truth, &baselines);
        let mut found = Agreement::of("t", &lists, &Bootstrap::default()).unwrap();
        found.metrics.as_mut().unwrap().tau_b = tau;
        found.tau_b_interval = Some(Interval::new(low, high, 0.95, 9));
        found
    }

    #[test]
    fn a_difference_is_significant_only_outside_the_interval() {
        let best = "the best zero-cost baseline (#params, tau-b 0.667)";
        assert_eq!(verdict(&agreement(0.8, 0.7, 0.9)), format!("Significantly better than {best}."));
        assert_eq!(verdict(&agreement(0.2, 0.1, 0.3)), format!("Significantly worse than {best}."));
        let within =
            format!("Not significantly better than {best}, which lies within the confidence interval.");
        assert_eq!(verdict(&agreement(0.6, 0.5, 0.9)), within);
    }

    #[test]
    fn a_collapsed_supernet_says_so() {
        let truth = [1.0, 2.0, 3.0];
        let lists = ScoreLists::new(&[5.0; 3], &truth, &truth, &[]);
        let found = Agreement::of("t", &lists, &Bootstrap::default()).unwrap();
        assert!(verdict(&found).starts_with("The supernet has no ranking: "), "{}", verdict(&found));
    }
}
