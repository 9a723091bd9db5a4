use std::str::FromStr;

use pada::nasbench::{BenchmarkTable, Darts214Table, MacroTable, Nb201Table};
use pada::space::{DARTS_NAMED, Darts, Equivalence, Genotype, MobileSpec, Nb201, SearchSpace};
use pada::{Config, RunConfig, SpaceName};

use crate::files::file;

const SPACES: [SpaceName; 4] = [SpaceName::Nb201, SpaceName::Darts, SpaceName::Proxyless, SpaceName::Macro];

/// Parses an architecture in every space. A parsed architecture is in the space, and its text forms parse to the same architecture.
pub(crate) fn architectures(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for space in SPACES.map(pada::search_space) {
        let Ok(arch) = space.parse(text) else { continue };
        space.check(&arch).expect("it is of the space");
        assert_eq!(space.parse(&arch.to_string()).as_ref(), Ok(&arch), "its digits");
        let again =
            space.parse(&space.format(&arch).expect("it is of the space")).expect("its long form reads");
        for equivalence in [Equivalence::SharedWeights, Equivalence::OwnWeights] {
            let canonical = space.canonical(&arch, equivalence).expect("it is of the space");
            assert_eq!(space.canonical(&canonical, equivalence).as_ref(), Ok(&canonical));
            assert_eq!(space.canonical(&again, equivalence).as_ref(), Ok(&canonical), "its long form");
        }
        assert_eq!(space.active(&arch).expect("it is of the space").len(), arch.choices().len());
    }
}

/// Parses a genotype of DARTS as Python or JSON, or a network of MobileNet blocks on one line.
pub(crate) fn genotypes(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(genotype) = Genotype::parse(text) {
        assert_eq!(Genotype::parse(&genotype.to_string()).as_ref(), Ok(&genotype));
        assert_eq!(Genotype::parse(&genotype.to_json()).as_ref(), Ok(&genotype));
        if let Ok(arch) = Darts::arch(&genotype) {
            Darts.check(&arch).expect("it is of the space");
        }
        assert_eq!(genotype.cells(8).len(), 8);
    }
    if let Ok(spec) = MobileSpec::from_str(text) {
        assert_eq!(spec.to_string().parse::<MobileSpec>().as_ref(), Ok(&spec));
    }
    let _ = pada::space::find_named(DARTS_NAMED, text);
}

/// Parses a config file or, after a first line `set`, an assignment.
pub(crate) fn configs(data: &[u8]) {
    if let Some(assignment) = data.strip_prefix(b"set\n").and_then(|rest| std::str::from_utf8(rest).ok()) {
        if let Ok(config) = RunConfig::mini().with(assignment) {
            checked(&config.into());
        }
        return;
    }
    if let Ok(config) = Config::read(&file("config.toml", data)) {
        checked(&config);
    }
}

fn checked(config: &Config) {
    let valid = config.check().is_ok();
    let again = Config::read(&file("again.toml", config.to_toml().as_bytes())).expect("it reads back");
    // NaN values never compare equal.
    assert!(!valid || again == *config, "{config:?}\n{again:?}");
    assert!(!config.settings().is_empty());
    if valid {
        // The name becomes part of the run folder, which must be inside the folder of runs.
        let name = std::path::Path::new(config.name());
        let mut parts = name.components();
        let plain = matches!(parts.next(), Some(std::path::Component::Normal(_))) && parts.next().is_none();
        assert!(plain, "name = {:?} leaves the folder of runs", config.name());
        let _ = pada::weight_layout(config.network(), 10);
    }
}

/// Parses the record of a run.
pub(crate) fn records(data: &[u8]) {
    if let Ok(record) = pada::report::RunRecord::read(&file("record.json", data)) {
        assert!(!pada::report::summary(&record).is_empty());
        let again = pada::report::RunRecord::read(&file("again.json", record.to_json().as_bytes()));
        assert_eq!(again.expect("it reads back").to_json(), record.to_json());
    }
}

/// Parses a benchmark table; the first byte selects its format.
pub(crate) fn tables(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let space = Nb201::new();
    match kind {
        b'n' => drop(Nb201Table::load(file("table.csv", rest))),
        b'm' => drop(MacroTable::load(file("table.csv", rest))),
        b'd' => drop(Darts214Table::load(file("table.json", rest))),
        _ => {
            if let Ok(table) = BenchmarkTable::from_csv("table.csv", rest, &space) {
                assert_eq!(table.archs().len(), table.accuracies().len());
                assert!(table.accuracies().iter().all(|a| a.is_finite()), "{table:?}");
                assert!(table.archs().iter().all(|arch| table.accuracy(arch).is_some()));
            }
        }
    }
}

/// Parses a list of architectures, a list of scores, and the stored scores of a search.
pub(crate) fn lists(data: &[u8]) {
    let space = Nb201::new();
    let path = file("search/scores.csv", data);
    let _ = pada::read_archs(&path, &space);
    if let Ok(scores) = pada::read_scores(&path, &space) {
        assert!(scores.iter().all(|(_, score)| score.is_finite()));
    }
    let found = pada::read_search_scores(path.parent().expect("the file is in a folder"), 10, &space);
    for score in found.expect("the file exists") {
        assert!(score.correct <= score.total && score.total == 10);
        space.check(&score.arch).expect("it is of the space");
    }
}
