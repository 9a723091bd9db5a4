//! The smallest runs that these tests need.

use pada::RunConfig;

/// Returns the config of a tiny run with the settings of a module, and those of a test on top of them.
pub(crate) fn tiny(module: &[&str], test: &[&str]) -> RunConfig {
    let smallest = [
        "train.epochs=1",
        "data.train_images=64",
        "train.batch=32",
        "rank.images=50",
        "rank.batch=50",
        "supernet.channels=2",
        "rank.compare=[]",
        "rank.fuse=[]",
        "rank.zero_cost=[]",
    ];
    let settings = smallest.iter().chain(module).chain(test);
    settings.fold(RunConfig::mini(), |config, setting| config.with(setting).unwrap())
}
