use std::collections::HashMap;

use anyhow::Context;
use serde::Deserialize;
use spdx::{Expression, ParseMode};

use xtask::{cargo, paths};

/// Licences that dependencies may have: the part of `deny.toml` that needs no other tool.
#[derive(Deserialize)]
struct Deny {
    licenses: Licences,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    krate: String,
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
}

/// Checks that every crate that is built on this machine, including tests and xtask, has a licence that `deny.toml` allows.
pub(super) fn check(broken: &mut Vec<String>) -> anyhow::Result<()> {
    let path = paths::root()?.join("deny.toml");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let Deny { licenses } = toml::from_str(&text).with_context(|| path.display().to_string())?;
    broken.extend(refused(&licenses, &metadata()?.packages));
    Ok(())
}

fn refused(rules: &Licences, packages: &[Package]) -> Vec<String> {
    let exceptions: HashMap<&str, &[String]> =
        rules.exceptions.iter().map(|e| (e.krate.as_str(), e.allow.as_slice())).collect();
    let refusal = |package: &Package| {
        let Package { name, version, license } = package;
        let licence = license.as_deref().unwrap_or("none");
        let more = exceptions.get(name.as_str()).copied().unwrap_or_default();
        let allowed = |id: &str| rules.allow.iter().chain(more).any(|allowed| allowed == id);
        // Old crates write `MIT/Apache-2.0`.
        let holds = Expression::parse_mode(licence, ParseMode::LAX)
            .is_ok_and(|e| e.evaluate(|req| req.license.id().is_some_and(|id| allowed(id.name))));
        (!holds).then(|| format!("{name} {version}: its licence, {licence}, is not among those of deny.toml"))
    };
    packages.iter().filter_map(refusal).collect()
}

/// Returns cargo's metadata of the crates that are built on this machine. Crates of other platforms need not be downloaded.
fn metadata() -> anyhow::Result<Metadata> {
    let host = cargo::host()?;
    let json = cargo::stdout(&["metadata", "--format-version", "1", "--locked", "--filter-platform", &host])?;
    serde_json::from_str(&json).context("what cargo metadata prints")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_licence_must_be_allowed_for_all_or_for_the_crate() {
        let rules: Licences =
            toml::from_str("allow = ['MIT', 'ISC']\nexceptions = [{ crate = 'own', allow = ['MPL-2.0'] }]")
                .unwrap();
        let refused = |name: &str, licence: Option<&str>| {
            let license = licence.map(str::to_owned);
            !refused(&rules, &[Package { name: name.into(), version: "1.0.0".into(), license }]).is_empty()
        };
        for licence in ["MIT", "GPL-3.0-only OR MIT", "Apache-2.0/MIT", "MIT AND ISC"] {
            assert!(!refused("any", Some(licence)), "{licence}");
        }
        for licence in ["MPL-2.0", "MIT AND GPL-3.0-only", "what I like"] {
            assert!(refused("any", Some(licence)), "{licence}");
        }
        assert!(refused("any", None));
        assert!(!refused("own", Some("MPL-2.0")));
    }
}
