//! Finds NVRTC where package managers install it, so that users need not set `LD_LIBRARY_PATH`.
#![allow(unsafe_code, reason = "opening a library of NVIDIA's")]

use std::env;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use cudarc::nvrtc::sys;
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};

/// The prefix of NVRTC's file names. The major version of CUDA follows.
const NVRTC: &str = "libnvrtc.so.";
/// The prefix of the file names of NVRTC's built-in functions.
const BUILTINS: &str = "libnvrtc-builtins.so.";
/// Library folders of a CUDA toolkit, relative to the toolkit.
const TOOLKIT_FOLDERS: [&str; 3] = ["lib64", "lib", "targets/x86_64-linux/lib"];

/// Returns whether NVRTC can be called.
///
/// It is searched once per process: first in the path of the system's loader, then in CUDA toolkits and Python environments. `driver` is
/// the major version of CUDA that the NVIDIA driver supports, if there is a driver, because it cannot load kernels of a newer NVRTC.
pub(super) fn nvrtc_is_present(driver: Option<u32>) -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        // SAFETY: this opens a library whose initialisers have no effects.
        let present = || unsafe { sys::is_culib_present() };
        present() || candidates(&places(), driver).iter().any(|path| open_nvrtc(path) && present())
    })
}

/// Opens NVRTC and the library of its built-in functions, which NVRTC opens by name without a path.
fn open_nvrtc(path: &Path) -> bool {
    let beside = entries(path.parent().unwrap_or(path));
    let is_builtins =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(BUILTINS));
    for builtins in beside.iter().filter(|path| is_builtins(path)) {
        keep_open(builtins); // NVRTC itself reports what is missing
    }
    keep_open(path)
}

/// Opens a library until the process ends. The loader then also finds it by its name.
fn keep_open(path: &Path) -> bool {
    // SAFETY: NVRTC's libraries have no initialisers that have effects.
    match unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) } {
        Ok(library) => {
            tracing::debug!("opened {}", path.display());
            std::mem::forget(library);
            true
        }
        Err(error) => {
            tracing::debug!("{}: {error}", path.display());
            false
        }
    }
}

/// The places where NVRTC may be installed.
#[derive(Clone, Debug, Default)]
struct Places {
    /// Folders of CUDA toolkits.
    toolkits: Vec<PathBuf>,
    /// Prefixes of Python environments.
    environments: Vec<PathBuf>,
}

fn places() -> Places {
    let named = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let toolkits = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(named);
    let mut environments: Vec<_> = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(named).collect();
    let path = env::var_os("PATH").unwrap_or_default();
    for program in env::split_paths(&path).map(|folder| folder.join("python3")).filter(|file| file.is_file())
    {
        // A link in the search path may point into an environment, and the program of an environment may be a link out of it.
        let programs = [Some(program.clone()), program.canonicalize().ok()];
        let prefix = |program: PathBuf| Some(program.parent()?.parent()?.to_owned());
        environments.extend(programs.into_iter().flatten().filter_map(prefix));
    }
    environments.extend(named("HOME").map(|home| home.join(".local")));
    environments.extend(["/usr/local", "/usr"].map(PathBuf::from));
    Places { toolkits: toolkits.chain([PathBuf::from("/usr/local/cuda")]).collect(), environments }
}

/// Returns all NVRTC libraries in these places that the driver supports, the newest first, and toolkits before environments.
fn candidates(places: &Places, driver: Option<u32>) -> Vec<PathBuf> {
    let in_toolkits =
        places.toolkits.iter().flat_map(|toolkit| TOOLKIT_FOLDERS.map(|folder| toolkit.join(folder)));
    let in_environments = places.environments.iter().flat_map(|prefix| wheel_folders(prefix));
    let mut files: Vec<(u32, PathBuf)> = vec![];
    for file in in_toolkits.chain(in_environments).flat_map(|folder| entries(&folder)) {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(major) = name.strip_prefix(NVRTC).and_then(|version| version.parse().ok()) else { continue };
        if driver.is_none_or(|driver| major <= driver) && !files.iter().any(|(_, known)| *known == file) {
            files.push((major, file));
        }
    }
    // The sort is stable: among equal versions, the order of the places decides.
    files.sort_by_key(|&(major, _)| std::cmp::Reverse(major));
    files.into_iter().map(|(_, file)| file).collect()
}

/// Returns the library folders of NVIDIA's wheels in a Python environment: `lib/python3.X/site-packages/nvidia/*/lib`.
fn wheel_folders(prefix: &Path) -> Vec<PathBuf> {
    let versions = ["lib", "lib64"].into_iter().flat_map(|lib| entries(&prefix.join(lib)));
    let pythons = versions
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python3")));
    let packages =
        pythons.flat_map(|python| ["site-packages", "dist-packages"].map(|name| python.join(name)));
    packages.flat_map(|folder| entries(&folder.join("nvidia"))).map(|package| package.join("lib")).collect()
}

/// Returns the entries of a folder, sorted by name. Empty if the folder cannot be read.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut list: Vec<_> =
        folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    list.sort();
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes an empty file, and the folders above it.
    fn touch(root: &Path, path: &str) -> PathBuf {
        let file = root.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "").unwrap();
        file
    }

    #[test]
    fn nvrtc_is_found_in_toolkits_and_in_wheels_of_both_layouts() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let own = touch(root, "env/lib/python3.12/site-packages/nvidia/cu13/lib/libnvrtc.so.13");
        let older = touch(root, "env/lib/python3.12/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12");
        let debian = touch(root, "usr/lib/python3/dist-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12");
        let toolkit = touch(root, "cuda/lib64/libnvrtc.so.12");
        for other in ["libnvrtc-builtins.so.12.8", "libnvrtc.so.12.8.61", "libnvrtc.so", "libnvrtc.alt.so.12"]
        {
            touch(root, &format!("cuda/lib64/{other}"));
        }
        let places = Places {
            toolkits: vec![root.join("no-such-folder"), root.join("cuda")],
            environments: vec![root.join("env"), root.join("usr"), root.join("env")],
        };
        assert_eq!(candidates(&places, None), [own.clone(), toolkit.clone(), older.clone(), debian.clone()]);
        assert_eq!(candidates(&places, Some(13))[0], own);
        assert_eq!(candidates(&places, Some(12)), [toolkit, older, debian]);
        assert!(candidates(&places, Some(11)).is_empty());
        assert!(candidates(&Places::default(), None).is_empty());
    }

    #[test]
    fn a_file_that_is_no_library_is_passed_over() {
        let root = tempfile::tempdir().unwrap();
        assert!(!keep_open(&touch(root.path(), "libnvrtc.so.13")));
    }
}
