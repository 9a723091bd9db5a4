//! The architectures that are ranked.

use std::collections::HashSet;
use std::path::Path;

use pada_space::{Arch, Equivalence, SearchSpace, SubSpace};
use pada_trainer::RngStream;

use crate::config::{Config, ConfigError, RankArchs, SpaceName};
use crate::config::{can_be_listed, check};
use crate::error::PadaError;
use crate::eval::arch_files::read_archs;
use crate::eval::tables::Tables;
use crate::run::session::Session;

/// Returns the architectures that a run ranks, and the benchmark tables that it compares the ranking with.
pub(crate) fn archs_and_tables(
    config: &Config,
    place: &Session,
    space: &dyn SearchSpace,
    part: &SubSpace,
) -> Result<(Vec<Arch>, Tables), PadaError> {
    let config = match config {
        Config::Run(config) => config,
        // A run that trains one architecture from scratch has no ranking. Its result is one accuracy.
        Config::Retrain(config) => return Ok((vec![space.parse(config.arch()?)?], Tables::none())),
    };
    let rank = &config.rank;
    let tables = Tables::load(rank.truth, &rank.compare, &place.data_dir)?;
    let archs = ranked_archs(&rank.archs, config.supernet.space, space, part, &tables, config.seed)?;
    Ok((archs, tables))
}

/// Returns the architectures of a list. Random architectures are drawn from `part`.
pub(crate) fn ranked_archs(
    archs: &RankArchs,
    name: SpaceName,
    space: &dyn SearchSpace,
    part: &SubSpace,
    tables: &Tables,
    seed: u64,
) -> Result<Vec<Arch>, PadaError> {
    match archs {
        RankArchs::Truth => Ok(tables.archs().to_vec()),
        RankArchs::All if can_be_listed(name) => Ok(space.archs().collect()),
        RankArchs::All => {
            let (key, value) = ("--archs", "all".to_owned());
            let range = "random:N or a file, because the space is too large to rank all of it";
            Err(ConfigError::Range { key, value, range }.into())
        }
        RankArchs::Random(n) => Ok(random_archs(*n, space, part, seed)?),
        RankArchs::File(file) => read_archs(Path::new(file), space),
    }
}

/// Draws different architectures of a part of a space.
fn random_archs(
    n: usize,
    space: &dyn SearchSpace,
    part: &SubSpace,
    seed: u64,
) -> Result<Vec<Arch>, ConfigError> {
    /// Largest number of consecutive draws without a new architecture.
    const PATIENCE: usize = 10_000;
    const IN_SPACE: &str = "a drawn architecture is in the space";
    let (mut rng, mut seen, mut archs) = (RngStream::Rank.stream(seed), HashSet::new(), Vec::new());
    let mut in_vain = 0;
    while archs.len() < n && in_vain < PATIENCE {
        let arch = space.without_dead_edges(&part.sample(&mut rng)).expect(IN_SPACE);
        if seen.insert(space.canonical(&arch, Equivalence::SharedWeights).expect(IN_SPACE)) {
            archs.push(arch);
            in_vain = 0;
        } else {
            in_vain += 1;
        }
    }
    let value = format!("random:{n}, but only {} different architectures were found", archs.len());
    check("rank.archs", value, archs.len() == n, "at most this number")?;
    Ok(archs)
}

/// Returns the architectures of a list that are in `part`. Architectures of a table or of the whole space that are outside are dropped;
/// for a file of architectures they are an error.
pub(crate) fn within_part(
    config: &Config,
    mut archs: Vec<Arch>,
    part: &SubSpace,
) -> Result<Vec<Arch>, ConfigError> {
    let named = match config {
        Config::Run(config) => matches!(config.rank.archs, RankArchs::File(_)),
        Config::Retrain(_) => true,
    };
    if let Some(outside) = archs.iter().find(|arch| named && !part.contains(arch)) {
        let (key, value) = ("supernet.ops", format!("{:?}, without {outside}", config.network().ops));
        let range = "a list with all operations of the given architectures";
        return Err(ConfigError::Range { key, value, range });
    }
    archs.retain(|arch| part.contains(arch));
    let range = "a list with at least one architecture of supernet.ops";
    let asked = match config {
        Config::Run(config) => config.rank.archs.to_string(),
        Config::Retrain(config) => config.retrain.arch.clone().unwrap_or_default(),
    };
    check("rank.archs", asked, !archs.is_empty(), range)?;
    Ok(archs)
}
