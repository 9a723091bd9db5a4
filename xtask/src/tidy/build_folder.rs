/// The macro that compiles a variable in, as it stands in front of the variable; `option_env!` ends alike.
const MACRO: &str = concat!("env", "!(");
/// The variable that names the folder in which a crate is built.
const VARIABLE: &str = concat!("\"CARGO_", "MANIFEST_DIR\"");
/// Behind this line a source file holds its unit tests, which run where they were built.
const TESTS: &str = "#[cfg(test)]";

/// Programs run on other machines than the one that built them, so no source of a crate compiles the folder of the build in. `file` is
/// relative to the workspace.
pub(super) fn check(file: &str, text: &str, broken: &mut Vec<String>) {
    if !is_source(file) {
        return;
    }
    let code = text.split(TESTS).next().unwrap_or_default();
    let mut variables = code.match_indices(MACRO).map(|(at, _)| code[at + MACRO.len()..].trim_start());
    let compiled_in = variables.any(|rest| rest.starts_with(VARIABLE));
    if compiled_in {
        broken.push(format!(
            "{file}: it compiles the folder of the build in with {VARIABLE}; find files when the program runs, or embed them with \
             include_str! or include_bytes!"
        ));
    }
}

/// Whether a file is compiled into a library or a program.
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

    /// A source that compiles the folder in, written so that this file does not.
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
