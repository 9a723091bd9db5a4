//! Generation of the tables in `docs/config.md`.

use super::schema::{Key, KeyDefault, RETRAIN_RUN, RUN, Schema, Section, either};

/// Writes all sections and keys of a supernet run as Markdown tables.
pub fn config_tables() -> String {
    tables(&RUN)
}

/// Writes all sections and keys of a config of `pada retrain` as Markdown tables.
pub fn retrain_config_tables() -> String {
    tables(&RETRAIN_RUN)
}

fn tables(schema: &Schema) -> String {
    schema.sections.iter().map(table).collect::<Vec<_>>().join("\n")
}

fn table(section: &Section) -> String {
    let head = match section.name {
        "" => "### Top of the file".to_owned(),
        name => format!("### `[{name}]`"),
    };
    let mut text = format!("{head}\n\n{}\n", section.about);
    for group in section.groups {
        let default = match group.spaces {
            [] => String::new(),
            spaces => {
                let spaces: Vec<String> = spaces.iter().map(|space| format!("`{space}`")).collect();
                format!(" In the spaces {} it is present by default.", spaces.join(" and "))
            }
        };
        text += &format!(
            "\nThe table `{}` is optional: it is present if one of its keys is given, and `{} = \"none\"` removes it.{default}\n",
            group.name, group.name
        );
    }
    text += "\n| key | value | default | meaning |\n|---|---|---|---|\n";
    text + &section.keys.iter().map(|key| row(section, key)).collect::<String>()
}

fn row(section: &Section, key: &Key) -> String {
    let default = match key.default {
        KeyDefault::Is(text) => format!("`{text}`"),
        KeyDefault::Unless(text) => format!("`{text}`; `\"none\"` unsets it"),
        KeyDefault::Unset => "unset".to_owned(),
        KeyDefault::Required => "must be given".to_owned(),
        KeyDefault::By(_, text) | KeyDefault::ByUnless(_, text) => text.to_owned(),
    };
    let of = match (section.tag, key.of) {
        (Some(tag), [_, ..]) => {
            let of: Vec<String> = key.of.iter().map(|of| format!("`\"{of}\"`")).collect();
            format!("With `{tag}` = {}: ", either(&of))
        }
        _ => String::new(),
    };
    format!("| `{}` | {} | {default} | {of}{} |\n", key.name, key.kind.expected(), key.about)
}
