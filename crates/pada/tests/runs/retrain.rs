//! `[retrain]`: what it says, what it refuses, and that a network of its own is what is scored and exported.
use std::path::{Path, PathBuf};
use std::time::Duration;

use pada::dist::ProcessGroup;
use pada::exec::{Decayed, Executor, Images, Precision};
use pada::graph::Lower;
use pada::report::{EpochRecord, RunRecord};
use pada::trainer::Checkpoint;
use pada::{
    Config, ConfigError, Device, ExportJob, ExportWeights, PadaError, Recalibration, RetrainConfig, Run,
    RunFolder, Session, StatisticsFrom, TrainedRun, export, read_exported,
};

fn config(space: &str, name: &str) -> RetrainConfig {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    RetrainConfig::read(&configs.join(space).join(name)).unwrap()
}

fn with(config: &RetrainConfig, sets: &[&str]) -> RetrainConfig {
    config.with_all(sets).unwrap()
}

/// A run of a second: one epoch over few images.
fn tiny(space: &str) -> RetrainConfig {
    let size: &[&str] = match space {
        "nb201" => &["network.channels=4"],
        "darts" => &["network.channels=2", "network.cells=3"],
        _ => &[],
    };
    let images =
        ["data.train_images=64", "train.batch=32", "train.epochs=2", "test.images=40", "test.batch=40"];
    with(&with(&config(space, "retrain-mini.toml"), &images), size)
}

fn place() -> Session {
    Session {
        data_dir: "no-such-folder".into(),
        device: Device::Cpu,
        checkpoint_every: Duration::from_secs(60),
        world: ProcessGroup::single(),
    }
}

fn trained(config: &RetrainConfig, folder: &Path) -> f64 {
    let run = Run::prepare(config, &place()).unwrap();
    let record = run.execute(&RunFolder::create(folder, config).unwrap(), &mut ()).unwrap();
    record.ranking.unwrap().best[0].score
}

fn arch_of(space: &str) -> &'static str {
    match space {
        "nb201" => "243012",
        "darts" => "DARTS_V2",
        "proxyless" => "020620002166012203564",
        _ => "21001120",
    }
}

#[test]
fn the_whole_recipe_is_in_the_config_of_table_2() {
    let config = config("darts", "retrain.toml");
    let alone = config.stand_alone().unwrap();
    assert_eq!((alone.auxiliary, alone.drop_path, alone.ema), (Some(0.4), Some(0.2), None));
    assert_eq!((config.network.channels, config.network.cells), (Some(36), Some(20)));
    let config = self::config("proxyless", "retrain.toml");
    let proxyless = config.stand_alone().unwrap();
    assert_eq!((config.train.label_smoothing, proxyless.decayed), (0.1, Some(Decayed::Kernels)));
}

#[test]
fn a_run_of_one_architecture_is_named_after_it() {
    let config = config("darts", "retrain-mini.toml").of_arch("DARTS_V2").unwrap();
    assert_eq!(config.name, "darts-retrain-mini-DARTS_V2");
    let digits = config.retrain.arch.clone().unwrap();
    assert_eq!(digits.len(), 34);
    // Any text form is the same run, but for its name.
    let text = "normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
        ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], \
        reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), \
        ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5]";
    let other = self::config("darts", "retrain-mini.toml").of_arch(text).unwrap();
    assert_eq!(
        (other.retrain.arch, other.name),
        (Some(digits.clone()), format!("darts-retrain-mini-{digits}"))
    );
    let error = self::config("darts", "retrain-mini.toml").of_arch("DARTS_V9").unwrap_err();
    assert!(matches!(error, ConfigError::Arch(_)), "{error}");
}

#[test]
fn what_does_not_suit_it_is_refused() {
    let whole = with(
        &config("darts", "retrain-mini.toml"),
        &["retrain={warm_up=1,ema=0.9,decayed=\"kernels\",drop_path=0.2,dropout=0.2,auxiliary=0.4}"],
    );
    whole.check().unwrap();
    for (set, key) in [
        ("train.label_smoothing=1.0", "train.label_smoothing"),
        ("retrain.drop_path=-0.1", "retrain.drop_path"),
        ("retrain.dropout=1", "retrain.dropout"),
        ("retrain.ema=nan", "retrain.ema"),
        ("retrain.warm_up=11", "retrain.warm_up"),
        ("retrain.auxiliary=0.0", "retrain.auxiliary"),
        ("network.cells=2", "network.cells"),
    ] {
        let error = whole.with(set).and_then(|config| config.check()).unwrap_err();
        assert!(matches!(&error, ConfigError::Range { key: k, .. } if *k == key), "{set}: {error}");
    }
    // Decay is said in words, and a key that is none is named; samplers are those of supernets.
    let error = whole.with("retrain.decayed=norms").unwrap_err();
    assert!(matches!(error, ConfigError::WrongValue { .. }), "{error}");
    let error = whole.with("retrain.drop_out=0.2").unwrap_err();
    assert!(matches!(error, ConfigError::UnknownKey { .. }), "{error}");
    for set in ["paths.rule=uniform", "update={rule=\"nsas\",beta=0.8,constraints={archive=2}}"] {
        let error = whole.with(set).unwrap_err();
        assert!(matches!(error, ConfigError::OtherKind { .. }), "{set}: {error}");
    }
    let error = whole.with("retrain.network=supernet").unwrap().with("retrain.ema=0.9").unwrap_err();
    assert!(matches!(error, ConfigError::OtherRule { .. }), "{error}");
    for (space, set, key) in [
        ("proxyless", "retrain={drop_path=0.1}", "retrain.drop_path"),
        ("macro", "retrain={auxiliary=0.4}", "retrain.auxiliary"),
    ] {
        let error = with(&config(space, "retrain-mini.toml"), &[set]).check().unwrap_err();
        assert!(matches!(&error, ConfigError::NoEffect { key: k, .. } if *k == key), "{error}");
    }
    // The head reads 8×8 pixels; the mini images become 4×4 there.
    let small = whole.of_arch("DARTS_V2").unwrap();
    let error = Run::prepare(&small, &place()).err().unwrap();
    let PadaError::Config(ConfigError::Range { key: "retrain.auxiliary", .. }) = error else {
        panic!("{error}")
    };
}

/// The score of a run is that of the file it exports: same network, same statistics, and the average where there is one.
#[test]
fn what_was_scored_is_what_is_exported() {
    let published = [("darts", "AmoebaNet"), ("darts", "AGNAS"), ("proxyless", "MnasNet_A1")];
    let spaces = ["nb201", "darts", "proxyless", "macro"].map(|space| (space, arch_of(space)));
    for (space, arch) in spaces.into_iter().chain(published) {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let config = tiny(space).of_arch(arch).unwrap();
        let score = trained(&config, &run);
        let images = Recalibration { images: 32, batch: 16, momentum: None };
        let job = |statistics| ExportJob { weights: ExportWeights::Run(run.clone()), arch: None, statistics };
        let net = export(&job(StatisticsFrom::Score(Some(images))), &place()).unwrap();
        assert_eq!(net.about["norms"], "running statistics of the weights", "{space}");
        assert_eq!(net.frozen.batch_norms(), 0);

        let file = folder.path().join("net.safetensors");
        std::fs::write(&file, net.to_safetensors()).unwrap();
        let read = read_exported(&file).unwrap();
        assert_eq!((&read.values, &read.about), (&net.values, &net.about), "{space}");

        let test = pada::data::mini().unwrap().test;
        let places: Vec<u32> = (0..40).collect();
        let pixels = pada::data::normalised(&test, &places).unwrap();
        let (layout, shape) = (read.frozen.weights(), read.frozen.input());
        let mut engine = pada::engine::Engine::new(layout.clone(), read.values.clone(), Precision::F32);
        // In other batches: nothing depends on them.
        let correct = pixels.chunks(8 * shape.numel()).zip(places.chunks(8)).map(|(pixels, places)| {
            let labels: Vec<u32> = places.iter().map(|&i| u32::from(test.labels[i as usize])).collect();
            engine.logits(read.frozen.graph(), &Images::given(pixels, shape)).unwrap().correct(&labels)
        });
        assert_eq!(100.0 * correct.sum::<usize>() as f64 / 40.0, score, "{space}");

        // Statistics taken anew are others.
        let anew = export(&job(StatisticsFrom::Images(Some(images))), &place()).unwrap();
        assert_ne!(anew.values, net.values);
        assert!(anew.about["norms"].contains("32 images"), "{}", anew.about["norms"]);
    }
}

/// A network that is no architecture of its space keeps its text, which a run folder is read by, and is no path of a supernet.
#[test]
fn a_published_network_is_read_by_its_name_or_text() {
    let amoeba = tiny("darts").of_arch("AmoebaNet").unwrap();
    assert_eq!(amoeba.name, "darts-retrain-mini-AmoebaNet");
    assert_eq!(amoeba.retrain.arch.as_deref(), Some("AmoebaNet"));
    assert_eq!(amoeba.space().unwrap().len(), 1);
    assert_eq!(RetrainConfig::parse(&amoeba.to_toml(), Path::new("config.toml")).unwrap(), amoeba);
    let text = pada::space::find_named(pada::space::DARTS_NAMED, "AmoebaNet").unwrap().text;
    let unnamed = tiny("darts").of_arch(text).unwrap();
    assert_eq!(
        (unnamed.name.as_str(), unnamed.retrain.arch.as_deref()),
        ("darts-retrain-mini-network", Some(text))
    );
    let [by_name, by_text] = [&amoeba, &unnamed].map(|config| {
        let folder = tempfile::tempdir().unwrap();
        trained(config, &folder.path().join("run"))
    });
    assert_eq!(by_name, by_text);
    // An architecture of the space keeps its digits.
    assert_eq!(tiny("darts").of_arch("DARTS_V2").unwrap().space().unwrap().n_ops().len(), 34);
    for (space, text) in
        [("darts", "NoNet"), ("darts", "stages=[[('sep_conv_3x3', 0)]]"), ("proxyless", "stem 8")]
    {
        let error = tiny(space).of_arch(text).unwrap_err();
        assert!(matches!(error, ConfigError::Arch(_)), "{text}: {error}");
    }
    let supernet = with(&RetrainConfig::mini(), &["network={space=\"darts\",channels=4,cells=3}"]);
    assert!(matches!(supernet.of_arch("AmoebaNet").unwrap_err(), ConfigError::Arch(_)));
}

#[test]
fn the_skeleton_for_imagenet_needs_large_images() {
    let large = with(&tiny("darts"), &["retrain.skeleton=imagenet"]).of_arch("DARTS_V2").unwrap();
    let error = Run::prepare(&large, &place()).err().unwrap().to_string();
    assert!(error.contains("32"), "{error}");
    let error = with(&tiny("proxyless"), &["retrain.skeleton=imagenet"]).check().unwrap_err();
    assert!(matches!(error, ConfigError::NoEffect { key: "retrain.skeleton", .. }), "{error}");
}

/// As many images, in the batches of the run, whatever the run trained on.
#[test]
fn statistics_that_a_score_took_anew_are_exported() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let config = with(&tiny("proxyless"), &["test.recalibrate={images=48, batch=24}"]);
    trained(&config.of_arch(arch_of("proxyless")).unwrap(), &run);
    let job =
        ExportJob { weights: ExportWeights::Run(run), arch: None, statistics: StatisticsFrom::Score(None) };
    let norms = export(&job, &place()).unwrap().about["norms"].clone();
    assert!(norms.contains("batches of 24, 48 images"), "{norms}");
}

/// Earlier versions had the key `retrain.label_smoothing`. The folder has the files of a run of two epochs that such a version wrote.
#[test]
fn run_folders_with_the_earlier_key_of_label_smoothing_load_and_resume() {
    let earlier = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/earlier-label-smoothing");
    let (first, last) = ("epoch-0001.safetensors", "epoch-0002.safetensors");
    let copy = |names: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::copy(earlier.join(name), folder.path().join(name)).unwrap();
        }
        folder
    };
    let finished = copy(&["config.toml", first, last]);
    let run = TrainedRun::load(finished.path()).unwrap();
    assert_eq!(run.config().train().label_smoothing, 0.1);
    let layout = run.config().clone();

    let stopped = copy(&["config.toml", first]);
    assert!(matches!(TrainedRun::load(stopped.path()), Err(PadaError::NotTrained { .. })));
    let (folder, config) = RunFolder::open(stopped.path()).unwrap();
    assert_eq!(config, layout);
    let record = Run::prepare(&config, &place()).unwrap().execute(&folder, &mut ()).unwrap();
    assert_eq!(record.epochs.len(), 2);

    // A config that is not in a run folder has the key of this version.
    let error = RetrainConfig::read(&earlier.join("config.toml")).unwrap_err();
    assert!(matches!(error, ConfigError::Replaced { .. }), "{error}");
    let unset = copy(&["config.toml"]);
    let file = unset.path().join("config.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("label_smoothing = 0.1", "label_smoothing = \"none\"").replace("= 0.0", "= 0.2");
    std::fs::write(&file, text).unwrap();
    assert_eq!(Config::read(&file).unwrap().train().label_smoothing, 0.2);
}

/// The newest checkpoint of a run.
fn checkpoint(run: &Path, config: &RetrainConfig) -> (PathBuf, Vec<f32>, Option<Vec<f32>>) {
    let net = export(
        &ExportJob {
            weights: ExportWeights::Run(run.into()),
            arch: None,
            statistics: StatisticsFrom::Stored,
        },
        &place(),
    )
    .unwrap();
    let path = run.join(format!("epoch-{:04}.safetensors", config.train.epochs));
    let checkpoint = Checkpoint::read(&path, net.frozen.weights()).unwrap();
    (path, net.values, checkpoint.average)
}

#[test]
fn the_average_is_exported_and_without_one_the_weights() {
    let folder = tempfile::tempdir().unwrap();
    let averaging = tiny("nb201").of_arch("243012").unwrap();
    assert!(averaging.stand_alone().unwrap().ema.is_some());
    let plain = with(&averaging, &["retrain.ema=none", "retrain.warm_up=none"]);
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    trained(&averaging, &first);
    trained(&plain, &second);
    let (_, exported, average) = checkpoint(&first, &averaging);
    assert_eq!(Some(exported), average);
    let (path, exported, average) = checkpoint(&second, &plain);
    assert_eq!(average, None);
    assert!(path.is_file() && !exported.is_empty());
}

#[test]
fn one_architecture_is_no_supernet_to_search() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    trained(&tiny("nb201").of_arch("243012").unwrap(), &run);
    let job = pada::SearchJob {
        method: pada::search_method("random", &["samples=2"]).unwrap(),
        cost: pada::SearchCost::Macs,
        limits: pada::SearchLimits::default(),
        latency: None,
        seed: 0,
        top: 1,
        fuse: vec![],
        fusion: Default::default(),
        truth: None,
        out: folder.path().join("search"),
    };
    let error = pada::search_run(&run, &job, &place(), &mut ()).unwrap_err();
    let PadaError::Config(ConfigError::Range { key: "RUN_DIR", .. }) = error else { panic!("{error}") };
    assert!(!job.out.exists());
}

/// The record of a run in a new folder, and its curves without times and tests.
fn recorded(config: &RetrainConfig, folder: &Path) -> (RunRecord, Vec<EpochRecord>) {
    trained(config, folder);
    let record = RunRecord::read(&folder.join("record.json")).unwrap();
    let still = |epoch: &EpochRecord| EpochRecord { seconds: 0.0, test: None, ..epoch.clone() };
    let curves = record.epochs.iter().map(still).collect();
    (record, curves)
}

/// With a moving average, and with running statistics that a test recomputes: a test after an epoch leaves no trace in the training.
#[test]
fn a_test_after_every_epoch_finds_the_best_one_and_does_not_change_the_training() {
    for (space, set) in [
        ("nb201", "retrain.ema=0.5"),
        ("proxyless", "test.recalibrate={images=48, batch=24}"),
        ("macro", "retrain.network=supernet"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let sets: &[&str] = match set.ends_with("supernet") {
            true => &[set, "train.epochs=3", "test.recalibrate={images=48, batch=24}"],
            false => &[set, "train.epochs=3"],
        };
        let config = with(&tiny(space), sets).of_arch(arch_of(space)).unwrap();
        assert_eq!(config.test.every, Some(1));
        let (record, curves) = recorded(&config, &folder.path().join("every"));
        let tests: Vec<_> = record.epochs.iter().map(|epoch| epoch.test.unwrap()).collect();
        let best = record.best_epoch.unwrap();
        let largest = tests.iter().map(|test| test.accuracy).fold(0.0, f64::max);
        assert_eq!(
            (best.accuracy, tests[best.epoch].accuracy, best.top5),
            (largest, largest, tests[best.epoch].top5)
        );
        let last = &record.ranking.as_ref().unwrap().best[0];
        assert_eq!((tests[2].accuracy, tests[2].top5), (last.score, last.top5), "{space}");
        assert!(last.top5.unwrap() >= last.score && last.top5.unwrap() > 0.0, "{space}: {last:?}");

        let (once, same) = recorded(&with(&config, &["test.every=none"]), &folder.path().join("once"));
        assert!(curves == same, "{space}: a test changed the training");
        assert_eq!((once.best_epoch, once.epochs[0].test), (None, None));
        assert_eq!(once.ranking.unwrap().best, record.ranking.unwrap().best);
        let (second, _) = recorded(&with(&config, &["test.every=2"]), &folder.path().join("second"));
        let tested: Vec<bool> = second.epochs.iter().map(|epoch| epoch.test.is_some()).collect();
        assert_eq!(tested, [false, true, true], "{space}");
    }
}
