use std::str::FromStr;

use crate::ReproduceError;
use crate::methods::PADA;
use crate::trials::Trial;

/// One of several jobs that divide the trials of a table among them, written `0/4` to `3/4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// The index, from 0.
    index: usize,
    count: usize,
}

impl Shard {
    /// Returns the trials of this shard. A trial that repeats the paths of PA&DA forms a group with the run that it copies and follows it.
    /// Groups are assigned round-robin, so that the sizes of shards differ by at most one group.
    pub(crate) fn of(self, trials: &[Trial]) -> Vec<Trial> {
        let mut groups: Vec<Vec<&Trial>> = Vec::new();
        for trial in trials {
            let runs_before =
                |group: &Vec<&Trial>| group[0].seed == trial.seed && group[0].method.name == PADA;
            match groups.iter_mut().find(|group| trial.follows_pada() && runs_before(group)) {
                Some(group) => group.push(trial),
                None => groups.push(vec![trial]),
            }
        }
        self.part(groups).into_iter().cloned().collect()
    }

    /// Returns the members of the groups of this shard. Groups are assigned round-robin.
    pub(crate) fn part<T>(self, groups: Vec<Vec<T>>) -> Vec<T> {
        groups.into_iter().skip(self.index).step_by(self.count).flatten().collect()
    }
}

/// Parses `0/4` to `3/4`, with indices from 0 as in job arrays.
impl FromStr for Shard {
    type Err = ReproduceError;

    fn from_str(text: &str) -> Result<Self, ReproduceError> {
        let numbers = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        let form = || ReproduceError::Usage("a shard is INDEX/COUNT, such as 0/4".to_owned());
        let (index, count): (usize, usize) = numbers.ok_or_else(form)?;
        if index >= count {
            return Err(ReproduceError::Usage(format!(
                "of {count} shards the first is 0/{count} and the last {}/{count}",
                count.max(1) - 1
            )));
        }
        Ok(Self { index, count })
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::methods::Method;

    #[test]
    fn shards_hold_every_trial_once_and_controls_with_what_they_copy() {
        let methods = Method::of_table("table1", &[]).unwrap();
        let trials: Vec<Trial> =
            (0..3).flat_map(|seed| methods.iter().map(move |m| Trial::new(m, seed, vec![]))).collect();
        for count in [1, 2, 5, 16] {
            let shards: Vec<Vec<Trial>> =
                (0..count).map(|index| Shard { index, count }.of(&trials)).collect();
            let mut names: Vec<String> = shards.iter().flatten().map(|trial| trial.name.clone()).collect();
            names.sort_unstable();
            let mut expected: Vec<String> = trials.iter().map(|trial| trial.name.clone()).collect();
            expected.sort_unstable();
            assert_eq!(names, expected);
            for shard in &shards {
                for (place, trial) in shard.iter().enumerate().filter(|(_, trial)| trial.follows_pada()) {
                    let copied = |other: &Trial| other.method.name == PADA && other.seed == trial.seed;
                    assert!(shard[..place].iter().any(copied), "{} of {count} shards", trial.name);
                }
            }
        }
    }

    #[test]
    fn what_is_no_shard_is_refused() {
        assert_eq!("1/2".parse::<Shard>().unwrap(), Shard { index: 1, count: 2 });
        for (text, word) in [("2", "INDEX/COUNT"), ("2/2", "0/2"), ("0/0", "0/0"), ("-1/2", "INDEX/COUNT")] {
            let error = text.parse::<Shard>().unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
