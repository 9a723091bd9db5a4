//! Folders of the workspace. They are located at run time, so that programs also run on other machines than the one that built them.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::anyhow;

/// Cargo sets this variable to the folder of xtask's `Cargo.toml` when it runs xtask.
const MANIFEST_FOLDER: &str = "CARGO_MANIFEST_DIR";

/// Returns the root of the workspace.
///
/// # Errors
/// Returns an error if the program runs neither through cargo nor in a folder of the workspace.
pub fn root() -> anyhow::Result<&'static Path> {
    static ROOT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = ROOT.get_or_init(|| {
        let manifest = std::env::var_os(MANIFEST_FOLDER).map(PathBuf::from);
        find(manifest.as_deref(), &std::env::current_dir().ok()?)
    });
    found.as_deref().ok_or_else(|| {
        anyhow!(
            "no pada workspace was found: the current folder and the folders above it contain no Cargo.toml with xtask among its \
             members. Change into a clone of the repository and run the command there as `cargo xtask …`"
        )
    })
}

/// Returns the folder of data sets and benchmark tables: `$PADA_DATA`, else `data` in the workspace, else `data` in the current folder.
pub fn data_dir() -> PathBuf {
    let default = || root().map_or_else(|_| PathBuf::from("data"), |root| root.join("data"));
    std::env::var_os("PADA_DATA").map_or_else(default, PathBuf::from)
}

/// Returns the folder `shared` next to the workspace, which may contain reference values and tables for tests.
///
/// # Errors
/// Returns an error if there is no workspace.
pub fn shared() -> anyhow::Result<PathBuf> {
    let root = root()?;
    Ok(root.parent().unwrap_or(root).join("shared"))
}

/// Finds the workspace of the package that cargo runs, else the nearest workspace at or above the current folder.
fn find(manifest: Option<&Path>, current: &Path) -> Option<PathBuf> {
    let of_cargo = manifest.and_then(Path::parent).into_iter();
    of_cargo.chain(current.ancestors()).find(|folder| is_root(folder)).map(Path::to_owned)
}

/// Returns `true` if a folder contains the `Cargo.toml` of a workspace that has xtask as a member.
fn is_root(folder: &Path) -> bool {
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    let manifest: toml::Table = manifest.parse().unwrap_or_default();
    let members = manifest.get("workspace").and_then(|workspace| workspace.get("members")?.as_array());
    members.is_some_and(|members| members.iter().any(|member| member.as_str() == Some("xtask")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    /// Two workspaces side by side, each with folders below it.
    fn clones() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for clone in ["one", "two"] {
            let root = folder.path().join(clone);
            std::fs::create_dir_all(root.join("xtask/src")).unwrap();
            std::fs::create_dir_all(root.join("crates/pada")).unwrap();
            std::fs::write(root.join("Cargo.toml"), "[workspace]\nmembers = ['crates/*', 'xtask']").unwrap();
            std::fs::write(root.join("xtask/Cargo.toml"), "[package]\nname = 'xtask'").unwrap();
        }
        folder
    }

    #[test]
    fn cargo_names_the_workspace_wherever_the_current_folder_is() {
        let folder = clones();
        let [one, two] = ["one", "two"].map(|clone| folder.path().join(clone));
        assert_eq!(find(Some(&one.join("xtask")), &two.join("crates")), Some(one.clone()));
        // Cargo runs the test of a crate with that crate's folder, which is no folder directly below a workspace.
        assert_eq!(find(Some(&one.join("crates/pada")), &two.join("crates")), Some(two));
    }

    #[test]
    fn without_cargo_the_nearest_workspace_above_the_current_folder_is_taken() {
        let folder = clones();
        let one = folder.path().join("one");
        for below in ["", "xtask", "xtask/src", "crates/pada"] {
            assert_eq!(find(None, &one.join(below)), Some(one.clone()), "{below}");
        }
    }

    #[test]
    fn another_workspace_and_a_folder_without_one_are_no_root() {
        let folder = clones();
        assert_eq!(find(None, folder.path()), None);
        let other = folder.path().join("other");
        std::fs::create_dir(&other).unwrap();
        for manifest in ["[workspace]\nmembers = ['a']", "[package]\nname = 'xtask'", "not = [toml"] {
            std::fs::write(other.join("Cargo.toml"), manifest).unwrap();
            assert_eq!(find(None, &other), None, "{manifest}");
        }
    }
}
