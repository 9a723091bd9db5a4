//! Config files: all of the repository's are valid, round trips keep everything, bad values are named.
use std::path::{Path, PathBuf};

use pada::sampler::LinearSchedule;
use pada::{
    Config, ConfigError, FewShotConfig, PathsConfig, RankArchs, RetrainConfig, RunConfig, SplitConfig,
    UpdateConfig,
};

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
                let config = RunConfig::read(&path).map(Config::Run);
                let config = config.unwrap_or_else(|_| Config::Retrain(RetrainConfig::read(&path).unwrap()));
                config.check().unwrap();
                let text = std::fs::read_to_string(&path).unwrap();
                let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
                assert!(lines <= 25, "{} has {lines} lines that say something", path.display());
                for word in ["# Run:", "# Cost:", "# Result:", path.file_name().unwrap().to_str().unwrap()] {
                    let default = word == "pada.toml" && config == Config::from(RunConfig::mini());
                    assert!(default || text.contains(word), "{}: {word}", path.display());
                }
                let blank = |word: &str| {
                    word.contains('_') && word.chars().all(|c| c == '_' || c.is_ascii_uppercase())
                };
                let said =
                    text.lines().filter(|line| line.starts_with("# Cost:") || line.starts_with("# Result:"));
                let left = said.flat_map(str::split_whitespace).find(|word| blank(word));
                assert_eq!(left, None, "{}: a blank that was never filled in", path.display());
                found += 1;
            }
        }
    }
    assert!(found >= 12);
}

/// The config of `pada search --method darts` without `--config`.
#[test]
fn the_default_of_differentiable_searches_is_its_file() {
    let file = RunConfig::read(&configs().join("mini/darts.toml")).unwrap();
    assert_eq!(pada::differentiable_mini(), file);
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

/// A run folder whose config does not name the algorithm of convolutions is older than the choice. It continues with direct convolutions.
#[test]
fn a_run_folder_without_the_algorithm_of_convolutions_computed_directly() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let whole = RunConfig::mini().to_toml();
    let line = "convolution = \"auto\"\n";
    assert!(whole.contains(line), "{whole}");
    std::fs::write(&path, whole.replace(line, "")).unwrap();
    let direct = RunConfig::mini().with("compute.convolution=direct").unwrap();
    assert_eq!(Config::read(&path).unwrap(), Config::Run(direct));
    // A config of a user has the default.
    assert_eq!(RunConfig::read(&path).unwrap(), RunConfig::mini());
}

#[test]
fn assignments_take_numbers_texts_and_tables() {
    let mini = RunConfig::mini();
    let config = mini.with_all(&["train.lr=0.1", "paths.rule = \"pareto\"", "name=other"]).unwrap();
    let config = config.with("paths.smoothing={first=0.5,last=0.75}").unwrap();
    assert_eq!((config.train.lr, config.name.as_str()), (0.1, "other"));
    let PathsConfig::Pareto(pareto) = &config.paths else { panic!("{:?}", config.paths) };
    assert_eq!(pareto.smoothing, LinearSchedule { first: 0.5, last: 0.75 });
    assert_eq!(mini.with("train.clip_norm=inf").unwrap().train.clip_norm, f64::INFINITY);
    // One half of a table keeps the other.
    let half = mini.with("images.smoothing.last=0.3").unwrap();
    assert_eq!(half.method(), "PA&DA (released), images from 0 to 0.3 by importance");
}

#[test]
fn a_rule_names_the_method() {
    let rule = "update={rule=\"magic-at\",weight=0.5}";
    let alone = RunConfig::mini().with(rule).unwrap();
    assert_eq!(alone.method(), "Magic-A, PA&DA (released)");
    let config = alone.with("paths.rule=one-change").unwrap().with("images.rule=uniform").unwrap();
    assert_eq!(config.method(), "Magic-AT, one change a path");
    let mild = RunConfig::mini().with("images.smoothing={first=0.0, last=0.3}").unwrap();
    assert_eq!(mild.method(), "PA&DA (released), images from 0 to 0.3 by importance");
    let error = RunConfig::mini().with("update={rule=\"magic-at\",weight=0.5,batch=3}").unwrap_err();
    assert!(matches!(&error, ConfigError::UnknownKey { key, .. } if key == "update.batch"), "{error}");
    for bad in ["-0.1", "nan", "inf"] {
        let error = alone.with(&format!("update.weight={bad}")).unwrap().check().unwrap_err();
        assert!(matches!(error, ConfigError::Range { key: "update.weight", .. }), "{error}");
    }
    let methods: &[(&[&str], &str)] = &[
        (&["paths.rule=uniform", "images.rule=uniform"], "SPOS"),
        (&["paths.rule=fair", "paths.variant=paper", "images.rule=uniform"], "FairNAS (paper)"),
        (&["paths.rule=uniform", "images.variant=paper"], "DA (paper)"),
        (&["images.variant=paper"], "PA&DA (released), images as in paper"),
        (
            &["images.replacement=without", "images.score=loss"],
            "PA&DA (released), without replacement, images by loss",
        ),
        (
            &["paths.importance_weights=unbiased", "paths.scope=position"],
            "PA&DA (released), unbiased losses, p per position",
        ),
        (
            &["paths.rule=pareto", "images.smoothing.last=0.5"],
            "paths near the Pareto front, images by importance",
        ),
    ];
    for (sets, method) in methods {
        assert_eq!(RunConfig::mini().with_all(sets).unwrap().method(), *method);
    }
}

#[test]
fn another_rule_starts_its_section_anew() {
    let mini = RunConfig::mini();
    let nsas = r#"update={rule="nsas", beta=0.8, constraints="random-and-diverse"}"#;
    let few_shot = r#"split={rule="few-shot", positions=[0,1], leaf_epochs=10}"#;
    let config = mini.with(nsas).unwrap().with(few_shot).unwrap();
    let expected = FewShotConfig { positions: vec![0, 1], leaf_epochs: 10 };
    assert_eq!(config.split, Some(SplitConfig::FewShot(expected)));
    let config = config.with("update.beta=0.5").unwrap().with("split.leaf_epochs=3").unwrap();
    let UpdateConfig::Nsas(nsas) = &config.update else { panic!("{:?}", config.update) };
    assert_eq!(nsas.beta, 0.5);
    let archive = |n: usize| format!("update={{rule=\"nsas\", beta=0.5, constraints={{archive={n}}}}}");
    mini.with(&archive(8)).unwrap().check().unwrap();
    let error = mini.with(&archive(0)).unwrap().check().unwrap_err().to_string();
    assert!(error.contains("update.constraints.archive"), "{error}");
    let plain = config.with("update.rule=summed-paths").unwrap();
    assert_eq!(plain.update, mini.update);
    assert_eq!(config.with("split=none").unwrap().split, None);
    assert_eq!(config.with(&format!("seed={}", config.seed)).unwrap(), config);
    // A rule's defaults do not depend on the rule before it, nor on the order of assignments.
    let sets = ["paths.smoothing.last=0.25", "paths.rule=pareto"];
    let pareto = mini.with_all(&sets).unwrap();
    assert_eq!(pareto, mini.with_all(&[sets[1], sets[0]]).unwrap());
    let PathsConfig::Pareto(settings) = &pareto.paths else { panic!("{:?}", pareto.paths) };
    assert_eq!((settings.memory, settings.smoothing.last), (256, 0.25));
    let refused: &[(&str, &[&str])] = &[
        ("update.beta=0.5", &["`update.beta` has no effect", "\"summed-paths\"", "= \"nsas\""]),
        (r#"update={rule="nsas", beta=.8}"#, &["invalid"]),
        (r#"update={rule="no such rule"}"#, &["`update.rule` must be", "\"nsas\"", "no such rule"]),
        ("split.leaf_epochs=3", &["`split.rule` must be given"]),
        (
            "paths.memory=3",
            &["`paths.memory` has no effect with `paths.rule = \"importance\"`", "= \"pareto\""],
        ),
    ];
    for (set, reasons) in refused {
        let error = mini.with(set).unwrap_err().to_string();
        for reason in *reasons {
            assert!(error.contains(reason), "{set}: {error}");
        }
        assert!(error.contains(set) || error.contains("must be given"), "{error}");
    }
}

#[test]
fn a_wrong_value_is_refused_in_the_users_words() {
    for (set, said) in [
        (
            "rank.recalibrate=128",
            "`rank.recalibrate` must be a table, { images = …, batch = …, momentum = … }, or \"none\" to unset it; it is 128",
        ),
        ("rank.truth=[]", "or \"none\" to unset it; it is an empty list"),
        ("rank.truth={}", "or \"none\" to unset it; it is an empty table"),
        ("rank.truth=", "or \"none\" to unset it; it is empty"),
        (
            "data.train_images=",
            "`data.train_images` must be an integer, 1 or larger, or \"none\" to unset it; it is empty",
        ),
        ("train={}", "the table is empty"),
        ("train=3", "`train` must be a section, [train]; it is 3"),
        ("train.epochs=many", "`train.epochs` must be an integer, 1 or larger; it is \"many\""),
        ("train.epochs=-1", "`train.epochs` must be an integer, 1 or larger; it is -1"),
        ("train.epochs=true", "it is true"),
        (
            "train.schedule=cosin",
            "must be \"cosine\", \"one-cycle\", \"linear\", \"constant\", \"step\" or \"plateau\"; it is \"cosin\"",
        ),
        ("paths.smoothing.last=none", "`paths.smoothing.last` must be a number; it is \"none\""),
        ("images.smoothing=0.3", "`images.smoothing` must be a table"),
        ("train.epoch=3", "unknown key `train.epoch`; did you mean `train.epochs`?"),
        ("paths.smothing=3", "unknown key `paths.smothing`; did you mean `paths.smoothing`?"),
        ("epochs=3", "unknown key `epochs`; did you mean `train.epochs`?"),
        ("trian.epochs=3", "unknown key `trian.epochs`; did you mean `train.epochs`?"),
        ("paths.smothing.last=3", "unknown key `paths.smothing.last`; did you mean `paths.smoothing.last`?"),
        ("nothing.like.it=3", "The sections are data, supernet, "),
    ] {
        let error = RunConfig::mini().with(set).unwrap_err().to_string();
        assert!(error.contains(said), "{set}: {error}");
        assert!(error.contains(&format!("--set {set}")), "{error}");
        for word in ["expected", "unknown variant", "unit variant", "invalid type", "usize", "struct"] {
            assert!(!error.contains(word), "{error}");
        }
    }
    let with_none = ["rank.truth=none", "rank.archs=random:3"];
    assert_eq!(RunConfig::mini().with_all(&with_none).unwrap().rank.truth, None);
    let cut = RunConfig::mini().with("augment.cutout=4").unwrap();
    assert_eq!(cut.with("augment.cutout=none").unwrap(), RunConfig::mini());
}

#[test]
fn an_old_key_says_what_replaced_it() {
    for (set, said) in [
        ("sampler.path=uniform", "unknown key `sampler.path`; use `paths.rule`"),
        ("sampler.smoothing={first=0.0,last=0.5}", "use `paths.smoothing` and `images.smoothing`"),
        ("train.idle_weights=frozen", "unknown key `train.idle_weights`; use `train.unused_weights`"),
        ("rule={name=\"nsas\",beta=0.8}", "use `update."),
        ("split={name=\"few-shot\"}", "unknown key `split.name`; use `split.rule`"),
        ("alone.ema=0.9", "unknown key `alone.ema`; use `retrain.ema`"),
        ("alone.label_smoothing=0.1", "use `train.label_smoothing`"),
        ("retrain.label_smoothing=0.1", "use `train.label_smoothing`"),
    ] {
        let error = RunConfig::mini().with(set).unwrap_err();
        assert!(matches!(error, ConfigError::Replaced { .. }), "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

/// Files of a folder.
fn files(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

#[test]
fn a_file_extends_another_and_errors_name_file_and_line() {
    let folder = files(&[
        (
            "base/all.toml",
            "seed = 7\n[train]\nepochs = 3\nlr = 0.1\n[rank]\narchs = \"list.txt\"\n[paths]\nvariant = \"paper\"\n",
        ),
        ("a.toml", "extends = \"base/all.toml\"\n[train]\nepochs = 5\n"),
        ("uniform.toml", "extends = \"a.toml\"\n[paths]\nrule = \"uniform\"\n"),
        ("loop.toml", "extends = \"back.toml\"\n"),
        ("back.toml", "extends = \"loop.toml\"\n"),
        ("lost.toml", "# a comment\nextends = \"no-such.toml\"\n"),
        ("number.toml", "extends = 3\n"),
        ("typo.toml", "extends = \"a.toml\"\n\n[paths]\nrule = \"importance\"\nsmothing = 3\n"),
        ("other.toml", "[paths]\nrule = \"uniform\"\nvariant = \"paper\"\n"),
        ("kind.toml", "[train]\nepochs = 3\n\nbatch = \"64\"\n"),
        ("inside.toml", "[images]\nrule = \"importance\"\nsmoothing = { first = 0.0, lest = 1.0 }\n"),
        ("broken.toml", "name = \"a\"\n[train\n"),
        ("base/wrong.toml", "\n\nsede = 3\n"),
        ("via.toml", "extends = \"base/wrong.toml\"\n"),
    ]);
    let path = |name: &str| folder.path().join(name);
    let config = RunConfig::read(&path("a.toml")).unwrap();
    assert_eq!((config.seed, config.train.epochs, config.train.lr), (7, 5, 0.1));
    // A file is relative to the config that names it.
    let RankArchs::File(list) = &config.rank.archs else { panic!("{:?}", config.rank.archs) };
    assert_eq!(Path::new(list), path("base/list.txt"));
    // A key of the other rule that is inherited goes with that rule.
    assert_eq!(RunConfig::read(&path("uniform.toml")).unwrap().paths, PathsConfig::Uniform);
    let broken: &[(&str, &[&str])] = &[
        ("loop.toml", &["loop.toml → ", "back.toml → ", "cycle"]),
        ("lost.toml", &["lost.toml:2", "no-such.toml"]),
        ("number.toml", &["number.toml:1", "name of a config file"]),
        ("typo.toml", &["typo.toml:5", "`paths.smothing`"]),
        (
            "other.toml",
            &[
                "other.toml:3",
                "`paths.variant` has no effect with `paths.rule = \"uniform\"`",
                "\"importance\" or \"fair\"",
            ],
        ),
        ("kind.toml", &["kind.toml:4", "`train.batch` must be an integer, 1 or larger; it is \"64\""]),
        ("inside.toml", &["inside.toml:3", "`images.smoothing.lest`; did you mean `images.smoothing.last`?"]),
        ("broken.toml", &["broken.toml:2"]),
        ("via.toml", &["wrong.toml:3", "`sede`; did you mean `seed`?"]),
    ];
    for (name, words) in broken {
        let error = RunConfig::read(&path(name)).unwrap_err().to_string();
        for word in *words {
            assert!(error.contains(word), "{name}: {error}");
        }
    }
}

#[test]
fn the_default_run_differs_from_the_defaults_in_its_name_and_one_table() {
    let mini = RunConfig::mini();
    let default = RunConfig::default();
    default.check().unwrap();
    assert_eq!(default.with_all(&["name=mini", "rank.compare=[\"nb201\"]"]).unwrap(), mini);
    RetrainConfig::mini().check().unwrap();
    RetrainConfig::default().check().unwrap();
    assert!(matches!(RetrainConfig::mini().arch(), Err(ConfigError::Missing { .. })));
}

/// Assignments that change a config in many ways, some of them together.
const CHANGES: &[&[&str]] = &[
    &["name=\"a b\"", "seed=9223372036854775807"],
    &["data.train=half", "rank.split=valid", "data.train_images=128"],
    &[
        "data.image_size=16",
        "data.damaged=skip",
        "augment.crop_padding=0",
        "augment.resized_crop.area=[0.5, 1.0]",
    ],
    &["data.image_size=8", "augment.crop_padding=0", "augment.color_jitter={brightness=0.4}"],
    &["supernet.space=darts", "rank.truth=none", "rank.compare=[]", "rank.archs=random:3"],
    &[
        "supernet.space=proxyless",
        "rank.truth=none",
        "rank.compare=[]",
        "rank.archs=random:3",
        "rank.recalibrate.images=64",
    ],
    &["supernet.space=macro", "rank.truth=nas-bench-macro", "rank.compare=[]", "rank.recalibrate.batch=64"],
    &["supernet.ops=[\"skip_connect\", \"nor_conv_3x3\"]", "supernet.channels=4"],
    &["compute.executor=candle", "compute.precision=f64", "compute.norms=local"],
    &[
        "train.lr=1",
        "train.schedule=one-cycle",
        "train.clip_norm=inf",
        "train.unused_weights=frozen",
        "train.on_nan=skip",
    ],
    &["train.weight_decay=0.1", "train.momentum=0.30000000000000004"],
    &["train.optimizer=nesterov", "train.min_lr=0.001", "train.label_smoothing=0.1"],
    &["train.optimizer=rmsprop-tf", "train.rms_decay=0.9", "train.rms_eps=0.001", "train.schedule=step"],
    &["train.schedule=step", "train.lr_decay=0.97", "train.lr_decay_epochs=2.4"],
    &["train.schedule=plateau", "train.lr_decay=0.5", "train.patience=3", "train.min_lr=1e-4"],
    &[
        "supernet.space=macro",
        "rank.truth=nas-bench-macro",
        "rank.compare=[]",
        "rank.recalibrate={images=256, momentum=0.1}",
    ],
    &["augment.flip=never", "augment.cutout=4"],
    &["augment.auto_augment=cifar10"],
    &["augment.rand_augment.magnitude=12"],
    &["paths.rule=uniform", "images.rule=uniform"],
    &["paths.rule=fair", "paths.variant=paper"],
    &["paths.rule=one-change", "update.rule=magic-at"],
    &["paths.rule=connected", "images.unseen=keep"],
    &["update={rule=\"nsas\", beta=0.5, constraints={archive=8}, constraint_loss=\"constant\"}"],
    &["paths.rule=constant", "paths.distribution=[0.2, 0.2, 0.2, 0.2, 0.2]"],
    &["paths.rule=pareto", "paths.memory=3"],
    &["paths.scope=position", "paths.importance_weights=unbiased", "paths.weight_bound=3"],
    &["images.replacement=without", "images.score=last-layer", "images.variant=paper"],
    &["update.rule=sumnas", "update.inner_steps=4"],
    &["update.rule=nsas", "update.constraints={archive=4}"],
    &["update.rule=close", "update.restart=none", "update.gate.hidden=8"],
    &["split.rule=few-shot", "paths.scope=position"],
    &["split.rule=gradient-matching", "split.last=inherit", "paths.scope=position"],
    &["rank.truth=none", "rank.archs=all"],
];

/// The resolved config of a run folder alone reproduces the run: it reads back equal, and so do random pairs of changes.
#[test]
fn a_resolved_config_reads_back_equal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let mut pairs = 0;
    for first in CHANGES {
        for second in CHANGES {
            let Ok(config) = RunConfig::mini().with_all(first).unwrap().with_all(second) else { continue };
            let text = config.to_toml();
            std::fs::write(&path, &text).unwrap();
            assert_eq!(
                Config::read(&path).unwrap(),
                Config::Run(config.clone()),
                "{first:?} {second:?}\n{text}"
            );
            assert_eq!(config.with_all::<&str>(&[]).unwrap(), config);
            pairs += 1;
        }
    }
    assert!(pairs > CHANGES.len() * CHANGES.len() / 2, "{pairs}");
    for space in ["nb201", "darts", "proxyless", "macro"] {
        let config = RetrainConfig::read(&configs().join(space).join("retrain-mini.toml")).unwrap();
        for config in [config.clone(), config.with("retrain.network=supernet").unwrap()] {
            std::fs::write(&path, config.to_toml()).unwrap();
            assert_eq!(Config::read(&path).unwrap(), Config::Retrain(config));
        }
    }
}

/// A resolved config says every key that applies, so that later defaults cannot change it.
#[test]
fn a_resolved_config_says_everything() {
    let text = RunConfig::mini().to_toml();
    for line in [
        "cutout = \"none\"",
        "resized_crop = \"none\"",
        "norms = \"sync\"",
        "weight_bound = 10.0",
        "on_nan = \"stop\"",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn the_page_about_configs_has_the_tables_of_today() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/config.md");
    let page = std::fs::read_to_string(page).unwrap();
    for tables in [pada::config_tables(), pada::retrain_config_tables()] {
        assert!(page.contains(&tables), "docs/config.md must contain:\n{tables}");
    }
}

/// The schema lists the names of the scores once more, because it needs them before anything is computed.
#[test]
fn every_zero_cost_score_can_be_compared_and_fused() {
    for score in pada::zero_cost::Score::all() {
        let config = RunConfig::mini().with(&format!("rank.zero_cost=[\"{score}\"]")).unwrap();
        assert_eq!(config.rank.zero_cost, [score]);
        let config = config.with(&format!("rank.fuse=[\"supernet\", \"{score}\"]")).unwrap();
        assert_eq!(config.rank.fuse, [pada::FusePart::Supernet, pada::FusePart::ZeroCost(score)]);
        assert_eq!(RunConfig::parse(&config.to_toml(), Path::new("again.toml")).unwrap(), config);
    }
}

#[test]
fn scores_of_blocks_are_refused_in_a_space_without_a_chain_of_blocks() {
    let darts =
        RunConfig::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/darts/short.toml"))
            .unwrap();
    for key in ["rank.fuse", "rank.zero_cost"] {
        for score in ["az-nas", "az-nas-trainability"] {
            let config = darts.with(&format!("{key}=[\"{score}\"]")).unwrap();
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(key) && error.contains(score) && error.contains("darts"), "{error}");
        }
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
        let path = configs().join(space).join("mini.toml");
        let error = RunConfig::read_with(&path, &[set]).unwrap_err();
        assert!(matches!(&error, ConfigError::OtherRule { key: k, .. } if k == key), "{set}: {error}");
    }
    size("proxyless", &["supernet.widths=gpu"]).unwrap();
    let (mut channels, mut cells) = (RunConfig::mini(), RunConfig::mini());
    (channels.supernet.channels, cells.supernet.cells) = (None, None);
    for (config, key) in [(channels, "supernet.channels"), (cells, "supernet.cells")] {
        let error = config.check().unwrap_err();
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
        ("train.label_smoothing=1", "train.label_smoothing"),
        ("train={schedule=\"linear\",min_lr=0.01}", "train.min_lr"),
        ("train.min_lr=0.1", "train.min_lr"),
        ("train.lr_decay=0.1", "train.lr_decay"),
        ("train={schedule=\"step\",lr_decay=1}", "train.lr_decay"),
        ("train={schedule=\"step\",lr_decay_epochs=0}", "train.lr_decay_epochs"),
        ("train={schedule=\"plateau\",lr_decay_epochs=2}", "train.lr_decay_epochs"),
        ("train={schedule=\"step\",patience=2}", "train.patience"),
        ("train.rms_decay=0.9", "train.rms_decay"),
        ("train={optimizer=\"rmsprop\",rms_eps=0}", "train.rms_eps"),
        ("train={optimizer=\"nesterov\",momentum=0}", "train.momentum"),
        ("augment.rand_augment={magnitude=31}", "augment.rand_augment.magnitude"),
        ("augment={auto_augment=\"cifar10\",rand_augment={ops=1}}", "augment.rand_augment"),
        ("supernet.cells=100000000000", "supernet.cells"),
        ("supernet.channels=100000000000", "supernet.channels"),
        ("name=../above", "name"),
        ("name=/tmp/elsewhere", "name"),
        ("name=..", "name"),
        ("name=a\\b", "name"),
        ("name=", "name"),
    ] {
        let error = mini.with(set).and_then(|config| config.check()).unwrap_err();
        let named = matches!(&error, ConfigError::Range { key: k, .. } if *k == key);
        assert!(named, "{set}: {error}");
    }
    // A config file has no larger whole numbers.
    let mut large = RunConfig::mini();
    large.seed = u64::MAX;
    for error in [large.check().unwrap_err(), large.with("train.epochs=1").unwrap_err()] {
        assert!(matches!(error, ConfigError::Range { key: "seed", .. }), "{error}");
    }
    let error = mini.with("no equals sign").unwrap_err();
    assert!(matches!(error, ConfigError::Set { .. }), "{error}");
}

#[test]
fn zero_is_refused_where_one_is_the_least() {
    let run = RunConfig::mini();
    let split = "split={rule=\"gradient-matching\"}";
    for (before, key) in [
        ("", "data.train_images"),
        ("", "data.image_size"),
        ("", "supernet.channels"),
        ("", "supernet.cells"),
        ("", "train.epochs"),
        ("", "train.batch"),
        ("", "augment.cutout"),
        ("", "augment.rand_augment.ops"),
        ("paths.rule=pareto", "paths.memory"),
        ("update.rule=sumnas", "update.inner_steps"),
        (CLOSE, "update.gate.embedding"),
        (CLOSE, "update.gate.hidden"),
        (split, "split.splits"),
        (split, "split.samples"),
        ("", "rank.images"),
        ("", "rank.batch"),
        ("supernet={space=\"macro\"}", "rank.recalibrate.images"),
        ("supernet={space=\"macro\"}", "rank.recalibrate.batch"),
    ] {
        let run = if before.is_empty() { run.clone() } else { run.with(before).unwrap() };
        let error = run.with(&format!("{key}=0")).unwrap_err();
        assert!(matches!(&error, ConfigError::WrongValue { key: k, .. } if k == key), "{error}");
        assert!(error.to_string().contains("must be an integer, 1 or larger"), "{error}");
        assert!(matches!(run.with(&format!("{key}=-1")).unwrap_err(), ConfigError::WrongValue { .. }));
    }
    for key in ["test.images", "test.batch", "test.every", "test.recalibrate.images"] {
        let error = RetrainConfig::mini().with(&format!("{key}=0")).unwrap_err();
        assert!(matches!(&error, ConfigError::WrongValue { key: k, .. } if k == key), "{error}");
    }
    // A config that a program fills is checked too.
    let mut filled = run.clone();
    filled.train.epochs = 0;
    assert!(matches!(filled.check().unwrap_err(), ConfigError::Range { key: "train.epochs", .. }));
    let mut filled = run.clone();
    filled.rank.batch = 0;
    assert!(matches!(filled.check().unwrap_err(), ConfigError::Range { key: "rank.batch", .. }));
    // Where 0 has a meaning, it is valid.
    for set in ["seed=0", "augment.crop_padding=0", "augment.rand_augment={magnitude=0}"] {
        run.with(set).unwrap().check().unwrap();
    }
}

/// The released settings for CLOSE, small.
const CLOSE: &str = "update={rule=\"close\",openings=[0.0,0.2,0.4,0.6],restart=0.4,gate={embedding=16,hidden=32,temperature=5.0}}";

#[test]
fn close_says_what_it_cannot_be() {
    let mini = RunConfig::mini();
    let close = [CLOSE, "paths.rule=uniform", "images.rule=uniform"]
        .iter()
        .fold(mini, |config, set| config.with(set).unwrap());
    close.check().unwrap();
    assert!(close.method().starts_with("CLOSE, "), "{}", close.method());
    let text = close.to_toml();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    assert_eq!(RunConfig::read(&path).unwrap(), close);

    let few_shot = "split={rule=\"few-shot\",positions=[0],leaf_epochs=1}";
    for (set, key) in [
        ("update.openings=[]", "update.openings"),
        ("update.openings=[0.1,0.2]", "update.openings"),
        ("update.openings=[0.0,0.2,0.2]", "update.openings"),
        ("update.openings=[0.0,1.0]", "update.openings"),
        ("update.openings=[0.0,nan]", "update.openings"),
        ("update.restart=0.0", "update.restart"),
        ("update.restart=1.0", "update.restart"),
        ("update.gate.temperature=0.0", "update.gate.temperature"),
        (few_shot, "split"),
    ] {
        let error = close.with(set).and_then(|config| config.check()).unwrap_err();
        assert!(matches!(&error, ConfigError::Range { key: k, .. } if *k == key), "{set}: {error}");
    }
    let error = close.with("update.gate.depth=3").unwrap_err();
    assert!(matches!(error, ConfigError::UnknownKey { .. }), "{error}");
}

/// An error names the reason of the method.
#[test]
fn refusals_name_the_reason_of_the_method() {
    let close = [CLOSE, "paths.rule=uniform", "images.rule=uniform"];
    let magic = ["update={rule=\"magic-at\",weight=0.5}", "paths.rule=one-change"];
    let connected = ["paths.rule=connected"];
    let few_shot = "split={rule=\"few-shot\",positions=[0],leaf_epochs=1}";
    let fair = [few_shot, "paths.rule=fair"];
    let closed_split = [CLOSE, "paths.rule=uniform", "images.rule=uniform", few_shot];
    let cases: &[(&str, &[&str], &str)] = &[
        ("darts", &magic, "the edges that its nodes do not keep"),
        ("proxyless", &magic, "would mix the statistics"),
        ("macro", &magic, "would mix the statistics"),
        ("proxyless", &close, "weights of different shapes"),
        ("macro", &close, "weights of different shapes"),
        ("darts", &connected, "no connection between"),
        ("nb201", &fair, "strict fairness"),
        ("nb201", &closed_split, "without the blocks and the gate"),
    ];
    for (space, sets, reason) in cases {
        let start = [
            "rank.truth=none".to_owned(),
            "rank.compare=[]".to_owned(),
            "rank.archs=random:3".to_owned(),
            format!("supernet.space={space}"),
        ];
        let config = RunConfig::mini().with_all(&start).unwrap().with_all(sets).unwrap();
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains(reason), "{space} {sets:?}: {error}");
    }
    let uniform = ["paths.rule=uniform", "images.rule=uniform", "data.train=half"];
    let pc_darts = [&["update.rule=pc-darts"], &uniform[..]].concat();
    let fbnet = [&["update.rule=fbnet"], &uniform[..]].concat();
    let one = [&["update.channel_parts=1"], &pc_darts[..]].concat();
    let odd = [&["update.channel_parts=3"], &pc_darts[..]].concat();
    let importance = ["update.rule=darts", "data.train=half", "images.rule=uniform"];
    let all_images = ["update.rule=darts", "paths.rule=uniform", "images.rule=uniform"];
    for (space, sets, reason) in [
        ("macro", &pc_darts, "a layer has one input"),
        ("darts", &fbnet, "the inputs that its node keeps"),
        ("nb201", &odd, "a divisor of supernet.channels"),
        ("nb201", &one, "DARTS without edge weights"),
        ("nb201", &importance.to_vec(), "chooses paths itself"),
        ("nb201", &all_images.to_vec(), "validation images"),
    ] {
        let start = ["rank.truth=none", "rank.compare=[]", "rank.archs=random:3"];
        let start = RunConfig::mini().with_all(&start).unwrap();
        let config = start.with(&format!("supernet.space={space}")).unwrap().with_all(sets).unwrap();
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains(reason), "{space} {sets:?}: {error}");
    }
    // SNAS trains everything on training images.
    let snas = ["update.rule=snas", "paths.rule=uniform", "images.rule=uniform"];
    for sets in [&magic[..], &close[..], &connected[..], &pc_darts, &fbnet, &snas] {
        RunConfig::mini().with_all(sets).unwrap().check().unwrap();
    }
    // The gate of CLOSE serves both cells of DARTS.
    let darts = ["supernet.space=darts", "rank.truth=none", "rank.compare=[]", "rank.archs=random:3"];
    RunConfig::mini().with_all(&darts).unwrap().with_all(&close).unwrap().check().unwrap();
    // PA&DA keeps one distribution over the operations that a sub-supernet has.
    RunConfig::mini().with(few_shot).unwrap().check().unwrap();
}

/// SUMNAS and CLOSE compute with an SGD of their own, and a plateau is no function of the epoch that CLOSE restarts.
#[test]
fn optimizers_and_schedules_that_a_rule_cannot_follow_are_refused() {
    let config = |sets: &[&str]| RunConfig::mini().with_all(sets).unwrap().check();
    for rule in ["sumnas", "close"] {
        for optimizer in ["nesterov", "rmsprop"] {
            let sets = [&format!("update.rule={rule}"), &format!("train.optimizer={optimizer}")];
            let error = config(&sets.map(String::as_str)).unwrap_err();
            assert!(matches!(error, ConfigError::Range { key: "train.optimizer", .. }), "{error}");
        }
        config(&[&format!("update.rule={rule}")]).unwrap();
    }
    config(&["update.rule=nsas", "train.optimizer=nesterov"]).unwrap();
    let error = config(&["update.rule=close", "train.schedule=plateau"]).unwrap_err();
    assert!(matches!(error, ConfigError::Range { key: "update.restart", .. }), "{error}");
    config(&["update.rule=close", "train.schedule=plateau", "update.restart=none"]).unwrap();
    let momentum = ["supernet.space=macro", "rank.truth=nas-bench-macro", "rank.recalibrate.momentum=1"];
    let error = config(&momentum).unwrap_err();
    assert!(matches!(error, ConfigError::Range { key: "rank.recalibrate.momentum", .. }), "{error}");
}
