use maud::{Markup, html};

use super::chart::{Frame, Key, Scale, colour, legend, stacked_areas};
use super::curves::{self, PATH_ENTROPY};
use super::markup::figure;
use super::numbers::percent;
use crate::{EpochRecord, RunRecord};

/// The path distribution over time.
pub(super) fn paths(record: &RunRecord, op_names: &[String]) -> Markup {
    let epochs = &record.epochs;
    let marks = curves::stages(epochs);
    let positions = epochs.iter().map(|e| e.path_distribution.len()).max().unwrap_or(0);
    let mean: Vec<Vec<f64>> = epochs.iter().map(|e| mean_row(&e.path_distribution)).collect();
    let drawn: Vec<Vec<f64>> = epochs.iter().map(drawn_row).collect();
    let about = if positions > 1 { "mean over positions" } else { "the same for all positions" };
    html! {
        div class="grid-of-figures" {
            (areas("What paths were drawn from", about, &mean, op_names, &marks))
            (areas("What was drawn", "share of an operation among those of all paths", &drawn, op_names, &marks))
            (curves::one(&PATH_ENTROPY, epochs, &marks))
        }
        @if positions > 1 {
            details {
                summary { "The distribution of every position" }
                div class="grid-of-figures" {
                    @for position in 0..positions {
                        @let row = |e: &EpochRecord| e.path_distribution.get(position).or(e.path_distribution.first()).cloned();
                        @let rows: Vec<Vec<f64>> = epochs.iter().map(|e| row(e).unwrap_or_default()).collect();
                        (areas(&format!("Position {position}"), "", &rows, op_names, &marks))
                    }
                }
            }
        }
    }
}

fn areas(title: &str, about: &str, rows: &[Vec<f64>], op_names: &[String], marks: &[f64]) -> Markup {
    let last = rows.last().map(Vec::as_slice).unwrap_or_default();
    let name = |i: usize| op_names.get(i).map_or_else(|| format!("operation {i}"), Clone::clone);
    let labels: Vec<String> =
        last.iter().enumerate().map(|(i, p)| format!("{} {}", name(i), percent(*p))).collect();
    let spoken =
        format!("{title}: shares of operations over {} epochs, at the end {}", rows.len(), labels.join(", "));
    let frame =
        Frame::new(spoken, ("epoch", Scale::counting(rows.len())), ("probability", Scale::exactly(0.0, 1.0)));
    // The last area is on top; so is its label.
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

/// `[O]`: the mean over the rows.
fn mean_row(rows: &[Vec<f64>]) -> Vec<f64> {
    let mut mean = vec![0.0; rows.iter().map(Vec::len).max().unwrap_or(0)];
    for row in rows {
        mean.iter_mut().zip(row).for_each(|(sum, p)| *sum += p / rows.len() as f64);
    }
    mean
}

/// `[O]`: how often each operation was drawn, as a share.
fn drawn_row(epoch: &EpochRecord) -> Vec<f64> {
    let counts: Vec<Vec<f64>> =
        epoch.paths.op_counts.iter().map(|ops| ops.iter().map(|&n| n as f64).collect()).collect();
    let mean = mean_row(&counts);
    let sum: f64 = mean.iter().sum();
    mean.into_iter().map(|n| if sum > 0.0 { n / sum } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_positions_are_averaged() {
        assert_eq!(mean_row(&[vec![1.0, 0.0], vec![0.5, 0.5]]), [0.75, 0.25]);
        assert_eq!(mean_row(&[]), Vec::<f64>::new());
    }
}
