//! The library as other programs use it: experiments, own samplers and images, finished runs.
use pada::prelude::*;
use pada::sampler::UniformPaths;

#[path = "../../examples/own_sampler.rs"]
#[allow(dead_code, reason = "an example")]
mod own_sampler;

#[test]
fn the_example_with_an_own_sampler_and_own_images_runs() {
    own_sampler::main().unwrap();
}

/// An experiment of a second.
fn tiny() -> Experiment {
    Experiment::nb201(Dataset::mini())
        .sampler(PathsConfig::Uniform, ImagesConfig::Uniform)
        .epochs(1)
        .set("data.train_images=64")
        .set("train.batch=32")
        .set("supernet.channels=2")
        .set("rank.images=50")
        .set("rank.batch=50")
        .set("rank.archs=random:5")
}

/// Scores of a run's ranking, as its file says them.
fn ranking(run: &TrainedRun) -> Vec<String> {
    let text = std::fs::read_to_string(run.folder().join("ranking.csv")).unwrap();
    text.lines().skip(1).map(|line| line.split(',').take(3).collect::<Vec<_>>().join(",")).collect()
}

#[test]
fn a_finished_run_scores_as_it_did_and_knows_its_supernets() {
    let folder = tempfile::tempdir().unwrap();
    for (name, split, parts) in
        [("whole", None, 1), ("split", Some("split={rule=\"few-shot\", positions=[4], leaf_epochs=1}"), 5)]
    {
        let path = folder.path().join(name);
        let experiment = split.iter().fold(tiny(), |experiment, split| experiment.set(split));
        drop(experiment.train(&path).unwrap());
        let mut run = TrainedRun::load(&path).unwrap();
        assert_eq!(*run.config(), Config::Run(experiment.config().unwrap()));
        let expected = ranking(&run);
        let archs: Vec<Arch> =
            expected.iter().map(|line| run.space().parse(line.split(',').next().unwrap()).unwrap()).collect();
        let found = run.evaluate(&archs).unwrap().scores;
        let found: Vec<String> =
            found.iter().map(|s| format!("{},{},{}", s.arch, s.correct, s.total)).collect();
        assert_eq!(found, expected);
        let supernets = run.sub_supernets();
        assert_eq!(supernets.len(), parts);
        let layout = pada::weight_layout(run.config().network(), 10).unwrap();
        for arch in &archs {
            assert_eq!(supernets.iter().filter(|supernet| supernet.part.contains(arch)).count(), 1);
        }
        assert!(supernets.iter().all(|supernet| supernet.weights.len() == layout.numel()));
        assert_eq!(run.record().unwrap().epochs.len(), parts + usize::from(parts > 1));
        // While it is loaded, others can load it too, but none can train in its folder.
        assert!(TrainedRun::load(&path).is_ok());
        assert!(matches!(RunFolder::open(&path), Err(PadaError::FolderInUse { .. })));
    }
}

#[test]
fn an_experiment_resumes_its_own_folder_and_refuses_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    drop(tiny().train(&path).unwrap());
    drop(tiny().train(&path).unwrap());
    assert!(matches!(tiny().seed(1).train(&path), Err(PadaError::FolderExists { .. })));
    let error = tiny().set("train.epoch=2").train(folder.path().join("other")).err().unwrap();
    assert!(matches!(error, PadaError::Config(ConfigError::UnknownKey { .. })), "{error}");
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(matches!(TrainedRun::load(folder.path()), Err(PadaError::NotARun { .. })));
}

#[test]
fn a_folder_of_an_earlier_version_is_completed_with_the_keys_that_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    drop(tiny().train(&path).unwrap());
    let file = path.join("config.toml");
    let whole = std::fs::read_to_string(&file).unwrap();
    let earlier: String =
        whole.lines().filter(|line| !line.starts_with("fus")).map(|line| format!("{line}\n")).collect();
    assert!(earlier.len() < whole.len());
    std::fs::write(&file, &earlier).unwrap();
    // Reading changes nothing.
    drop(RunFolder::open_to_read(&path).unwrap());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), earlier);
    drop(tiny().train(&path).unwrap());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), whole);
}

/// A folder does not hold the sampler of another program, and says so.
#[test]
fn a_run_with_an_own_sampler_cannot_be_loaded_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let own = |name: &str| tiny().path_sampler(name, UniformPaths::new);
    let run = own("mine").train(&path).unwrap();
    assert!(run.record().unwrap().method.contains("own paths (mine)"));
    let same = ranking(&run);
    drop(run);
    let error = TrainedRun::load(&path).err().unwrap().to_string();
    assert!(error.contains("own, mine") && error.contains("program that started the run"), "{error}");
    assert!(matches!(own("other").train(&path), Err(PadaError::FolderExists { .. })));
    // It draws what the rule of pada draws.
    let plain = tiny().train(folder.path().join("plain")).unwrap();
    assert_eq!(ranking(&plain), same);
}
