//! Config files: all of the repository's are valid, round trips keep everything, bad values are named.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};

use pada::{ConfigError, FewShotConfig, PathRule, RankArchs, RuleConfig, RunConfig, SplitConfig};

fn configs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs")
}

#[test]
fn every_config_of_the_repository_is_valid_and_its_head_says_how_to_run_it() {
    let mut found = 0;
    for folder in ["mini", "nb201", "darts", "proxyless", "macro"] {
        for entry in configs().join(folder).read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "toml") {
                let config = RunConfig::read(&path).unwrap();
                config.check().unwrap();
                let text = std::fs::read_to_string(&path).unwrap();
                for word in ["# Run:", "# Time:", "# Expect:", path.file_name().unwrap().to_str().unwrap()] {
                    let default = word == "pada.toml" && config == RunConfig::mini();
                    assert!(default || text.contains(word), "{}: {word}", path.display());
                }
                let blank = |word: &str| {
                    word.contains('_') && word.chars().all(|c| c == '_' || c.is_ascii_uppercase())
                };
                let said =
                    text.lines().filter(|line| line.starts_with("# Time:") || line.starts_with("# Expect:"));
                let left = said.flat_map(str::split_whitespace).find(|word| blank(word));
                assert_eq!(left, None, "{}: a blank that was never filled in", path.display());
                found += 1;
            }
        }
    }
    assert!(found >= 12);
}

#[test]
fn a_config_survives_its_file() {
    let config = RunConfig::read(&configs().join("nb201/short.toml")).unwrap();
    // A list of architectures is found wherever the program runs.
    let RankArchs::File(list) = &config.rank.archs else { panic!("{:?}", config.rank.archs) };
    assert!(Path::new(list).is_absolute(), "{list}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, config.to_toml()).unwrap();
    assert_eq!(RunConfig::read(&path).unwrap(), config);
}

#[test]
fn assignments_take_numbers_texts_and_tables() {
    let mini = RunConfig::mini();
    let config = mini.with("train.lr=0.1").unwrap().with("sampler.path = \"uniform\"").unwrap();
    let config = config.with("name=other").unwrap().with("sampler.smoothing={first=0.5,last=0.75}").unwrap();
    assert_eq!(
        (config.train.lr, config.sampler.path, config.name.as_str()),
        (0.1, PathRule::Uniform, "other")
    );
    assert_eq!(config.sampler.smoothing.unwrap().last, 0.75);
    assert_eq!(mini.with("train.clip_norm=inf").unwrap().train.clip_norm, f64::INFINITY);
}

#[test]
fn a_rule_names_the_method() {
    let rule = "rule={name=\"magic-at\",weight=0.5}";
    let alone = RunConfig::mini().with(rule).unwrap();
    assert_eq!(alone.method(), "Magic-A, PA&DA (released)");
    let config = alone.with("sampler.path=one-change").unwrap().with("sampler.data=uniform").unwrap();
    assert_eq!(config.method(), "Magic-AT, one change a path");
    let mild = RunConfig::mini().with("sampler.data_smoothing={first=0.0, last=0.3}").unwrap();
    assert_eq!(mild.method(), "PA&DA (released), images from 0 to 0.3 by importance");
    let error = RunConfig::mini().with("rule={name=\"magic-at\",weight=0.5,batch=3}").unwrap_err();
    assert!(matches!(&error, ConfigError::Set { reason, .. } if reason.contains("batch")), "{error}");
    for bad in ["-0.1", "nan", "inf"] {
        let error = alone.with(&format!("rule.weight={bad}")).unwrap().check().unwrap_err();
        assert!(matches!(error, ConfigError::Range { key: "rule.weight", .. }), "{error}");
    }
}

#[test]
fn an_optional_section_is_assigned_whole() {
    let mini = RunConfig::mini();
    let nsas = r#"rule={name="nsas", beta=0.8, constraints="random-and-diverse"}"#;
    let few_shot = r#"split={name="few-shot", positions=[0,1], leaf_epochs=10}"#;
    let config = mini.with(nsas).unwrap().with(few_shot).unwrap();
    let expected = FewShotConfig { positions: vec![0, 1], leaf_epochs: 10 };
    assert_eq!(config.split, Some(SplitConfig::FewShot(expected)));
    // Now that it is there, its keys can be set, and it can be replaced.
    let config = config.with("rule.beta=0.5").unwrap().with("split.leaf_epochs=3").unwrap();
    let RuleConfig::Nsas(nsas) = &config.rule else { panic!("{:?}", config.rule) };
    assert_eq!(nsas.beta, 0.5);
    let archive = |n: usize| format!("rule={{name=\"nsas\", beta=0.5, constraints={{archive={n}}}}}");
    mini.with(&archive(8)).unwrap().check().unwrap();
    let error = mini.with(&archive(0)).unwrap().check().unwrap_err().to_string();
    assert!(error.contains("rule.constraints.archive"), "{error}");
    let plain = config.with(r#"rule={name="summed-paths"}"#).unwrap();
    assert_eq!(plain.rule, mini.rule);
    assert_eq!(config.with(&format!("seed={}", config.seed)).unwrap(), config);
    for (set, reason) in [
        ("rule.beta=0.5", "give it whole"),
        (r#"rule={name="nsas", beta=.8}"#, "invalid"),
        (r#"rule={name="nsas", beta=0.8}"#, "constraints"),
        (r#"rule={name="no such rule"}"#, "no such rule"),
    ] {
        let error = mini.with(set).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn lists_of_architectures_keep_their_kind_in_a_file() {
    let ranks = [("truth", RankArchs::Truth), ("all", RankArchs::All), ("random:7", RankArchs::Random(7))];
    for (text, archs) in ranks {
        let config = RunConfig::mini().with(&format!("rank.archs={text}")).unwrap();
        assert_eq!((config.rank.archs.to_string().as_str(), &config.rank.archs), (text, &archs));
        assert!(config.to_toml().contains(&format!("archs = \"{text}\"")), "{}", config.to_toml());
    }
    let file = RunConfig::mini().with("rank.archs=random:many").unwrap().rank.archs;
    assert!(matches!(&file, RankArchs::File(path) if path.ends_with("random:many")), "{file}");
    let none = RunConfig::mini().with("rank.archs=random:0").unwrap().check().unwrap_err();
    assert!(matches!(none, ConfigError::Range { key: "rank.archs", .. }), "{none}");
}

#[test]
fn a_supernet_has_the_keys_of_its_space_and_no_other() {
    let size = |space, set: &[&str]| {
        let path = configs().join(space).join("mini.toml");
        set.iter().fold(RunConfig::read(&path).unwrap(), |config, set| config.with(set).unwrap()).check()
    };
    for (space, set, key) in [
        ("darts", "supernet.widths=gpu", "supernet.widths"),
        ("proxyless", "supernet.channels=16", "supernet.channels"),
        ("macro", "supernet.widths=gpu", "supernet.widths"),
        ("macro", "supernet.cells=5", "supernet.cells"),
    ] {
        let error = size(space, &[set]).unwrap_err();
        assert!(matches!(&error, ConfigError::NoEffect { key: k, .. } if *k == key), "{set}: {error}");
    }
    size("proxyless", &["supernet.widths=gpu"]).unwrap();
    let text = RunConfig::mini().to_toml();
    let without =
        |line: &str| toml::from_str::<RunConfig>(&text.replace(line, "")).unwrap().check().unwrap_err();
    for (line, key) in [("channels = 8\n", "supernet.channels"), ("cells = 1\n", "supernet.cells")] {
        let error = without(line);
        assert!(matches!(&error, ConfigError::Needed { key: k, .. } if *k == key), "{error}");
    }
    let other = size("macro", &["rank.truth=darts-214"]).unwrap_err();
    assert!(matches!(other, ConfigError::Range { key: "rank.truth", .. }), "{other}");
}

#[test]
fn bad_values_are_named() {
    let mini = RunConfig::mini();
    for (set, key) in [
        ("train.lr=0", "train.lr"), // a whole number stands for a fraction
        ("train.lr=nan", "train.lr"),
        ("train.momentum=1", "train.momentum"),
        ("train.weight_decay=-1.0", "train.weight_decay"),
        ("train.clip_norm=0.0", "train.clip_norm"),
        ("rank.batch=0", "rank.batch"),
        ("data.train_images=0", "data.train_images"),
        ("supernet.cells=0", "supernet.cells"),
        ("supernet.cells=100000000000", "supernet.cells"),
        ("supernet.channels=100000000000", "supernet.channels"),
        ("name=../above", "name"),
        ("name=/tmp/elsewhere", "name"),
        ("name=..", "name"),
        ("name=a\\b", "name"),
        ("name=", "name"),
    ] {
        let error = mini.with(set).and_then(|config| config.check()).unwrap_err();
        // A whole number where a fraction belongs is accepted or refused by the reader of TOML; a bad one by the check.
        let named = matches!(&error, ConfigError::Range { key: k, .. } if *k == key)
            || matches!(error, ConfigError::Set { .. });
        assert!(named, "{set}: {error}");
    }
    // A config file has no larger whole numbers.
    let large = RunConfig { seed: u64::MAX, ..RunConfig::mini() };
    for error in [large.check().unwrap_err(), large.with("train.epochs=1").unwrap_err()] {
        assert!(matches!(error, ConfigError::Range { key: "seed", .. }), "{error}");
    }
    let error = mini.with("no equals sign").unwrap_err();
    assert!(matches!(error, ConfigError::Set { .. }), "{error}");
}

/// The released settings for CLOSE, small.
const CLOSE: &str = "rule={name=\"close\",openings=[0.0,0.2,0.4,0.6],restart=0.4,gate={embedding=16,hidden=32,temperature=5.0}}";

#[test]
fn close_says_what_it_cannot_be() {
    let mini = RunConfig::mini();
    let close = [CLOSE, "sampler.path=uniform", "sampler.data=uniform"]
        .iter()
        .fold(mini, |config, set| config.with(set).unwrap());
    close.check().unwrap();
    assert!(close.method().starts_with("CLOSE, "), "{}", close.method());
    let text = close.to_toml();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    assert_eq!(RunConfig::read(&path).unwrap(), close);

    let few_shot = "split={name=\"few-shot\",positions=[0],leaf_epochs=1}";
    for (set, key) in [
        ("rule.openings=[]", "rule.openings"),
        ("rule.openings=[0.1,0.2]", "rule.openings"),
        ("rule.openings=[0.0,0.2,0.2]", "rule.openings"),
        ("rule.openings=[0.0,1.0]", "rule.openings"),
        ("rule.openings=[0.0,nan]", "rule.openings"),
        ("rule.restart=0.0", "rule.restart"),
        ("rule.restart=1.0", "rule.restart"),
        ("rule.gate.embedding=0", "rule.gate.embedding"),
        ("rule.gate.hidden=0", "rule.gate.hidden"),
        ("rule.gate.temperature=0.0", "rule.gate.temperature"),
        (few_shot, "split"),
    ] {
        let error = close.with(set).and_then(|config| config.check()).unwrap_err();
        assert!(matches!(&error, ConfigError::Range { key: k, .. } if *k == key), "{set}: {error}");
    }
    let error = close.with("rule.gate.depth=3").unwrap_err();
    assert!(matches!(error, ConfigError::Set { .. }), "{error}");
}
