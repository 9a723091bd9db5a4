/// The macro that embeds an environment variable, as written before the variable. `option_env!` has the same ending.
const MACRO: &str = concat!("env", "!(");
/// The variable with the folder of the crate on the build machine.
const VARIABLE: &str = concat!("\"CARGO_", "MANIFEST_DIR\"");
/// The line before the unit tests of a source file. Unit tests run on the build machine.
const TESTS: &str = "#[cfg(test)]";

/// Checks that no source of a crate embeds the folder of the build, because programs also run on other machines. `file` is relative to the
/// workspace.
pub(super) fn check(file: &str, text: &str, broken: &mut Vec<String>) {
    if !is_source(file) {
        return;
    }
    let code = text.split(TESTS).next().unwrap_or_default();
    let mut variables = code.match_indices(MACRO).map(|(at, _)| code[at + MACRO.len()..].trim_start());
    let compiled_in = variables.any(|rest| rest.starts_with(VARIABLE));
    if compiled_in {
        broken.push(format!(
            "{file}: it embeds the folder of the build with {VARIABLE}; locate files at run time, or embed them with \
             include_str! or include_bytes!"
        ));
    }
}

/// Returns `true` if a file is compiled into a library or a program.
fn is_source(file: &str) -> bool {
    let in_folder = file.starts_with("xtask/src/")
        || file
            .strip_prefix("crates/")
            .and_then(|rest| rest.split_once('/'))
            .is_some_and(|(_, rest)| rest.starts_with("src/"));
    in_folder && !file.ends_with("/tests.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(file: &str, text: &str) -> Vec<String> {
        let mut broken = Vec::new();
        check(file, text, &mut broken);
        broken
    }

    /// A source that embeds the folder, written so that this file passes the check.
    fn source(name: &str) -> String {
        format!("fn root() -> &'static str {{\n    {name}\n        {VARIABLE})\n}}\n")
    }

    #[test]
    fn sources_of_crates_and_of_xtask_must_not_name_the_folder_of_the_build() {
        for name in [MACRO.to_owned(), format!("option_{MACRO}")] {
            for file in ["crates/pada/src/lib.rs", "crates/pada/src/config/mod.rs", "xtask/src/paths.rs"] {
                let found = broken(file, &source(&name));
                assert!(found.len() == 1 && found[0].starts_with(file), "{name} {file}: {found:?}");
            }
        }
    }

    #[test]
    fn tests_and_other_variables_may_be_compiled_in() {
        let text = source(MACRO);
        for file in [
            "crates/pada/tests/alone.rs",
            "tests/shared.rs",
            "fuzz/src/bin/replay.rs",
            "crates/pada/src/tests.rs",
        ] {
            assert_eq!(broken(file, &text), [""; 0], "{file}");
        }
        assert_eq!(broken("crates/pada/src/lib.rs", &format!("{TESTS}\nmod tests {{ {text} }}")), [""; 0]);
        let version = format!("const VERSION: &str = {}\"CARGO_PKG_VERSION\");", MACRO);
        assert_eq!(broken("crates/pada/src/lib.rs", &version), [""; 0]);
    }
}
