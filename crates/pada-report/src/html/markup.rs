use maud::{Markup, html};

/// How deep a section's heading stands.
#[derive(Clone, Copy)]
pub(super) enum Isa {
    Second,
    Third,
}

/// A section with its heading.
pub(super) fn section(level: Isa, title: &str, content: Markup) -> Markup {
    html! {
        section {
            @match level {
                Isa::Second => h2 { (title) },
                Isa::Third => h3 { (title) },
            }
            (content)
        }
    }
}

/// A picture with what it shows.
pub(super) fn figure(title: &str, about: &str, picture: Markup) -> Markup {
    html! {
        figure {
            figcaption { strong { (title) } @if !about.is_empty() { " " (about) } }
            (picture)
        }
    }
}

/// Why there is nothing to show.
pub(super) fn missing(reason: &str) -> Markup {
    html! { p class="missing" { (reason) } }
}

/// Titles of a table's columns.
pub(super) struct Head<'a> {
    /// Of names and texts; the first column names its row.
    pub(super) texts: &'a [&'a str],
    /// Of numbers, which stand behind the texts.
    pub(super) numbers: &'a [&'a str],
}

/// A wide table: it scrolls by itself, also with the keyboard.
pub(super) fn table(about: &str, Head { texts, numbers }: Head<'_>, rows: Markup) -> Markup {
    html! {
        div class="scroll" role="group" tabindex="0" aria-label=(about) {
            table {
                thead {
                    tr {
                        @for title in texts { th scope="col" class="text" { (title) } }
                        @for title in numbers { th scope="col" { (title) } }
                    }
                }
                tbody { (rows) }
            }
        }
    }
}

/// The anchor of the run at place `i` of a page.
pub(super) fn anchor(i: usize) -> String {
    format!("run-{}", i + 1)
}
