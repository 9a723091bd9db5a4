use pada_space::SubSpace;

/// Splits a space into parts in which each of the given positions has exactly one operation. Two positions of NAS-Bench-201 give 5 × 5
/// parts.
///
/// # Panics
/// Panics if a position is not in the space.
///
/// # Source
/// Zhao et al., *Few-Shot Neural Architecture Search*, ICML 2021.
pub fn separate(whole: &SubSpace, positions: &[usize]) -> Vec<SubSpace> {
    positions.iter().fold(vec![whole.clone()], |parts, &position| {
        let split = |part: SubSpace| {
            let ops = part.allowed()[position].clone();
            ops.into_iter()
                .map(move |op| part.restrict(position, &[op]).expect("an operation of the sub-space"))
        };
        parts.into_iter().flat_map(split).collect()
    })
}

#[cfg(test)]
mod tests {
    use pada_space::{Nb201, SearchSpace};

    use super::*;

    #[test]
    fn every_architecture_is_in_exactly_one_part() {
        let space = Nb201::new();
        let parts = separate(&SubSpace::full(&space), &[0, 1]);
        assert_eq!(parts.len(), 25);
        assert!(parts.iter().all(|part| part.len() == 625));
        assert!(space.archs().all(|arch| parts.iter().filter(|part| part.contains(&arch)).count() == 1));
    }
}
