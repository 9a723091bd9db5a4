use std::str::FromStr;

use anyhow::{Context, ensure};

use super::cells::Cell;
use super::methods::PADA;

/// One of several jobs that run the cells of a table between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    /// From 0.
    index: usize,
    count: usize,
}

impl Shard {
    /// Its cells. Cells that copy the paths of PA&DA go with the run they copy, behind it; what goes together is dealt in turn, so that
    /// shards differ by at most one group.
    pub(crate) fn of(self, cells: &[Cell]) -> Vec<Cell> {
        let mut groups: Vec<Vec<&Cell>> = Vec::new();
        for cell in cells {
            let runs_before = |group: &Vec<&Cell>| group[0].seed == cell.seed && group[0].method.name == PADA;
            match groups.iter_mut().find(|group| cell.follows_pada() && runs_before(group)) {
                Some(group) => group.push(cell),
                None => groups.push(vec![cell]),
            }
        }
        groups.into_iter().skip(self.index).step_by(self.count).flatten().cloned().collect()
    }
}

/// `0/4` to `3/4`, as a job array counts.
impl FromStr for Shard {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let numbers = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        let (index, count): (usize, usize) = numbers.context("a shard is INDEX/COUNT, such as 0/4")?;
        ensure!(
            index < count,
            "of {count} shards the first is 0/{count} and the last {}/{count}",
            count.max(1) - 1
        );
        Ok(Self { index, count })
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reproduce::methods::Method;

    #[test]
    fn shards_hold_every_cell_once_and_controls_with_what_they_copy() {
        let methods = Method::of_table("table1", &[]).unwrap();
        let cells: Vec<Cell> =
            (0..3).flat_map(|seed| methods.iter().map(move |m| Cell::new(m, seed, vec![]))).collect();
        for count in [1, 2, 5, 16] {
            let shards: Vec<Vec<Cell>> = (0..count).map(|index| Shard { index, count }.of(&cells)).collect();
            let mut names: Vec<String> = shards.iter().flatten().map(|cell| cell.name.clone()).collect();
            names.sort_unstable();
            let mut expected: Vec<String> = cells.iter().map(|cell| cell.name.clone()).collect();
            expected.sort_unstable();
            assert_eq!(names, expected);
            for shard in &shards {
                for (place, cell) in shard.iter().enumerate().filter(|(_, cell)| cell.follows_pada()) {
                    let copied = |other: &Cell| other.method.name == PADA && other.seed == cell.seed;
                    assert!(shard[..place].iter().any(copied), "{} of {count} shards", cell.name);
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
