use maud::{Markup, html};

use super::RunView;
use super::chart::{Frame, Key, colour, legend, stacked_areas};
use super::curves::{self, PATH_ENTROPY};
use super::markup::figure;
use crate::numbers::percent;
use crate::scale::Scale;
use crate::{EpochRecord, RunRecord};

/// The path distribution over the epochs.
pub(super) fn paths(record: &RunRecord, run: &RunView) -> Markup {
    let (epochs, names) = (&record.epochs, &run.op_names);
    let marks = curves::stages(epochs);
    let rows = epochs.iter().map(|e| e.path_distribution.len()).max().unwrap_or(0);
    // The distribution has one row for all decisions, one per decision, or one per kind of operation.
    let by_decision = rows == run.op_decisions.len();
    let of_ops = |row: usize| !by_decision || run.op_decisions[row];
    let about = match rows {
        0 | 1 => "shared by all decisions",
        _ if by_decision => "mean over the decisions that choose an operation",
        _ => "mean over kinds of operations",
    };
    let mean: Vec<Vec<f64>> = epochs.iter().map(|e| mean_row(&e.path_distribution, of_ops)).collect();
    let drawn: Vec<Vec<f64>> = epochs.iter().map(|e| drawn_row(e, run)).collect();
    html! {
        div class="grid-of-figures" {
            (areas("Path distribution p", about, &mean, names, &marks))
            (areas("Drawn operations", "share of each operation in the drawn paths", &drawn, names, &marks))
            (curves::one(&PATH_ENTROPY, epochs, &marks))
        }
        @if rows > 1 {
            details {
                summary { "All rows of the distribution" }
                div class="grid-of-figures" {
                    @for row in 0..rows {
                        @let of = |e: &EpochRecord| e.path_distribution.get(row).or(e.path_distribution.first()).cloned();
                        @let list: Vec<Vec<f64>> = epochs.iter().map(|e| of(e).unwrap_or_default()).collect();
                        @let title = format!("{} {row}", if by_decision { "Decision" } else { "Row" });
                        @if of_ops(row) {
                            (areas(&title, "", &list, names, &marks))
                        } @else {
                            (areas(&title, "choice of inputs", &list, &[], &marks))
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn areas(
    title: &str,
    about: &str,
    rows: &[Vec<f64>],
    op_names: &[String],
    marks: &[f64],
) -> Markup {
    let last = rows.last().map(Vec::as_slice).unwrap_or_default();
    let name = |i: usize| op_names.get(i).map_or_else(|| format!("choice {i}"), Clone::clone);
    let labels: Vec<String> =
        last.iter().enumerate().map(|(i, p)| format!("{} {}", name(i), percent(*p))).collect();
    let spoken = format!(
        "{title}: shares of operations over {} epochs; last epoch: {}",
        rows.len(),
        labels.join(", ")
    );
    let frame =
        Frame::new(spoken, ("epoch", Scale::counting(rows.len())), ("probability", Scale::exactly(0.0, 1.0)));
    // The last area is on top, and so is its label.
    let entries = labels.iter().enumerate().rev().map(|(i, label)| (colour(i), label.as_str()));
    figure(
        title,
        about,
        html! {
            (stacked_areas(&frame, rows, marks))
            (legend(Key::Area, entries))
        },
    )
}

/// `[O]`: the mean over the rows that `counts` selects.
fn mean_row(rows: &[Vec<f64>], counts: impl Fn(usize) -> bool) -> Vec<f64> {
    let rows: Vec<&Vec<f64>> = (0..).zip(rows).filter(|(i, _)| counts(*i)).map(|(_, row)| row).collect();
    let mut mean = vec![0.0; rows.iter().map(|row| row.len()).max().unwrap_or(0)];
    for row in &rows {
        mean.iter_mut().zip(*row).for_each(|(sum, p)| *sum += p / rows.len() as f64);
    }
    mean
}

/// `[O]`: the share of each operation in the drawn paths. A decision between inputs may have more choices than there are operations.
fn drawn_row(epoch: &EpochRecord, run: &RunView) -> Vec<f64> {
    let counts: Vec<Vec<f64>> = epoch
        .paths
        .op_counts
        .iter()
        .map(|ops| ops.iter().take(run.op_names.len()).map(|&n| n as f64).collect())
        .collect();
    let mean = mean_row(&counts, |position| run.op_decisions.get(position).is_none_or(|ops| *ops));
    let sum: f64 = mean.iter().sum();
    mean.into_iter().map(|n| if sum > 0.0 { n / sum } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_decisions_are_averaged() {
        let rows = [vec![1.0, 0.0], vec![0.5, 0.5], vec![0.0, 0.0, 1.0]];
        assert_eq!(mean_row(&rows, |row| row < 2), [0.75, 0.25]);
        assert_eq!(mean_row(&[], |_| true), Vec::<f64>::new());
    }
}
