use maud::{Markup, html};

/// Level of a section's heading.
#[derive(Clone, Copy)]
pub(super) enum Level {
    Second,
    Third,
}

/// A section with its heading.
pub(super) fn section(level: Level, title: &str, content: Markup) -> Markup {
    html! {
        section {
            @match level {
                Level::Second => h2 { (title) },
                Level::Third => h3 { (title) },
            }
            (content)
        }
    }
}

/// A figure with its caption.
pub(super) fn figure(title: &str, about: &str, picture: Markup) -> Markup {
    html! {
        figure {
            figcaption { strong { (title) } @if !about.is_empty() { " " (about) } }
            (picture)
        }
    }
}

/// A note that explains why there is nothing to show.
pub(super) fn missing(reason: &str) -> Markup {
    html! { p class="missing" { (reason) } }
}

/// Column titles of a table.
pub(super) struct Head<'a> {
    /// Titles of text columns. The first column names its row.
    pub(super) texts: &'a [&'a str],
    /// Titles of numeric columns, which follow the text columns.
    pub(super) numbers: &'a [&'a str],
}

/// A table that scrolls horizontally by itself, also with the keyboard.
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

/// The anchor of run `i` on a page.
pub(super) fn anchor(i: usize) -> String {
    format!("run-{}", i + 1)
}
