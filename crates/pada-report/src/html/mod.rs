//! One page of HTML about runs: one file that needs nothing else, no network and no script.

mod audit;
mod chart;
mod compare;
mod cost;
mod curves;
mod images;
mod markup;
mod numbers;
mod paths;
mod picture;
mod result;
mod scatter;
mod setup;
mod verdict;
mod view;

use maud::{DOCTYPE, Markup, PreEscaped, html};
pub use view::{Accuracies, ArchAccuracy, Found, Pixels, PreferredImages, RunView, Thumbnail};

use markup::{Isa, missing, section};

/// The page of some runs: of one, its result first; of several, their comparison, then each of them. Runs that are under way are shown
/// as far as they are. The same runs give the same bytes.
pub fn page(runs: &[RunView]) -> String {
    let title = match runs {
        [run] => run.title(),
        _ => format!("{} runs", runs.len()),
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Whatever a name or a config holds, the page loads nothing and runs nothing.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'";
                title { (title) " – pada" }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                @match runs {
                    [run] => {
                        header { (head(run)) }
                        main { (parts(run, 0, Isa::Second)) }
                    }
                    _ => {
                        header { h1 { (title) } }
                        main {
                            (compare::comparison(runs))
                            @for (i, run) in runs.iter().enumerate() {
                                article id=(markup::anchor(i)) {
                                    h2 { (run.title()) }
                                    (state(run))
                                    (parts(run, i, Isa::Third))
                                }
                            }
                        }
                    }
                }
                footer {
                    p { "Written by " code { "pada-train report" } ", version " (env!("CARGO_PKG_VERSION")) "." }
                }
            }
        }
    };
    page.into_string()
}

fn head(run: &RunView) -> Markup {
    html! {
        h1 { (run.title()) }
        (state(run))
    }
}

fn state(run: &RunView) -> Markup {
    html! {
        p class="folder" { code { (run.folder) } }
        @if let Some(text) = run.unfinished() {
            p class="notice" role="note" {
                (text)
                " If nothing works on it: " code { "pada-train --resume " (run.folder) }
            }
        }
    }
}

/// Everything about one run, the result first.
fn parts(run: &RunView, i: usize, level: Isa) -> Markup {
    let Some(record) = &run.record else { return setup::setup(run, i, level) };
    let result = match &record.ranking {
        Some(ranking) => result::result(ranking),
        None => missing("There is no ranking yet."),
    };
    let accuracies = match &run.accuracies {
        Ok(accuracies) => scatter::scatter(accuracies),
        Err(reason) => missing(reason),
    };
    let images = match &run.images {
        Ok(images) => images::images(images),
        Err(reason) => missing(reason),
    };
    html! {
        (section(level, "Result", result))
        @if let Some(ranking) = &record.ranking {
            (section(level, "Predicted and true accuracy", html! {
                div class="grid-of-figures" { (accuracies) (result::best(ranking)) }
            }))
        }
        (setup::setup(run, i, level))
        @if !record.epochs.is_empty() {
            (section(level, "Training", curves::curves(record)))
            (section(level, "Paths", paths::paths(record, run)))
        }
        (section(level, "Images", images))
        @if !record.epochs.is_empty() {
            (section(level, "What was really drawn", audit::audit(record, i)))
        }
        (section(level, "Cost", cost::cost(record)))
    }
}
