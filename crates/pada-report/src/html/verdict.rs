use crate::Agreement;

/// Whether a supernet ranks better than what needs none: one sentence, going by the supernet's interval.
pub(super) fn verdict(agreement: &Agreement) -> String {
    let Some(interval) = agreement.tau_b_interval else {
        let reason = agreement.undefined.as_deref().unwrap_or("it was not compared");
        return format!("The supernet ranks nothing: {reason}.");
    };
    let tau = |zero_cost: &&crate::ZeroCostRow| zero_cost.metrics.tau_b;
    let Some(best) = agreement.zero_cost.iter().max_by(|a, b| tau(a).total_cmp(&tau(b))) else {
        return "There is no ranking without a supernet to compare with.".to_owned();
    };
    let against =
        format!("the best ranking that needs no supernet: {}, {:.3}", best.name, best.metrics.tau_b);
    if interval.low > best.metrics.tau_b {
        format!("Better than {against}.")
    } else if interval.high < best.metrics.tau_b {
        format!("Worse than {against}.")
    } else {
        format!("Not told apart from {against}, lies within the interval.")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use pada_metrics::{Bootstrap, Interval};

    use super::*;

    fn agreement(tau: f64, low: f64, high: f64) -> Agreement {
        let truth = [1.0, 2.0, 3.0, 4.0];
        let baselines = [("weights", vec![1.0, 2.0, 4.0, 3.0]), ("worse", vec![4.0, 3.0, 1.0, 2.0])];
        let mut found =
            Agreement::of("t", &truth, &truth, &truth, &baselines, &Bootstrap::default()).unwrap();
        found.metrics.as_mut().unwrap().tau_b = tau;
        found.tau_b_interval = Some(Interval::new(low, high, 0.95, 9));
        found
    }

    #[test]
    fn a_supernet_is_told_apart_only_outside_its_interval() {
        let best = "the best ranking that needs no supernet: weights, 0.667";
        assert_eq!(verdict(&agreement(0.8, 0.7, 0.9)), format!("Better than {best}."));
        assert_eq!(verdict(&agreement(0.2, 0.1, 0.3)), format!("Worse than {best}."));
        let within = format!("Not told apart from {best}, lies within the interval.");
        assert_eq!(verdict(&agreement(0.6, 0.5, 0.9)), within);
    }

    #[test]
    fn a_collapsed_supernet_says_so() {
        let truth = [1.0, 2.0, 3.0];
        let found = Agreement::of("t", &[5.0; 3], &truth, &truth, &[], &Bootstrap::default()).unwrap();
        assert!(verdict(&found).starts_with("The supernet ranks nothing: "), "{}", verdict(&found));
    }
}
