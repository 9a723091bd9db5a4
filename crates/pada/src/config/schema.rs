//! The schema of config files: every section and key, with its type, its default and a description. Files, `--set` and `docs/config.md` are
//! checked against these tables, and the typed configs are created from the checked values.

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An integer, at least 0.
    Whole,
    /// A number.
    Number,
    /// A string.
    Text,
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// A list of strings.
    Texts,
    /// A list of some of these strings.
    SomeOf(&'static [&'static str]),
    /// A list of integers, each at least 0.
    Wholes,
    /// A list of numbers, of this length if one is given.
    Numbers(Option<usize>),
    /// `"random-and-diverse"`, or `{ archive = 8 }`.
    Constraints,
}

/// The value of a key that a config does not give.
#[derive(Clone, Copy, Debug)]
pub(super) enum KeyDefault {
    /// A fixed value, as TOML.
    Is(&'static str),
    /// A fixed value, as TOML. The key can also be unset with `"none"`.
    Unless(&'static str),
    /// No value. The key can also be unset with `"none"`.
    Unset,
    /// No default: the key must be given.
    Required,
    /// A value that depends on other keys; the text describes how.
    By(fn(&dyn Chosen) -> Option<&'static str>, &'static str),
    /// A value that depends on other keys; the text describes how. The key can also be unset with `"none"`.
    ByUnless(fn(&dyn Chosen) -> Option<&'static str>, &'static str),
}

/// The values of all keys before the one that gets its default.
pub(super) trait Chosen {
    /// Returns the string value of a key, or `None` if the key is unset or not a string.
    fn text(&self, key: &str) -> Option<&str>;
}

/// One key of a section. A name with a dot is a key of a table within the section.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// The values of the section's tag that have this key; empty if all have it.
    pub(super) of: &'static [&'static str],
    pub(super) default: KeyDefault,
    pub(super) about: &'static str,
}

/// One section of a config file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    /// Name of the section; empty for the keys at the top of a file.
    pub(super) name: &'static str,
    /// The key whose value decides which other keys the section has.
    pub(super) tag: Option<&'static str>,
    /// True if the section exists only if one of its keys is given.
    pub(super) optional: bool,
    /// Tables within the section that exist only if one of their keys is given, or by default in some search spaces.
    pub(super) groups: &'static [Group],
    pub(super) about: &'static str,
    pub(super) keys: &'static [Key],
}

/// An optional table within a section.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) name: &'static str,
    /// The search spaces in which the table exists by default.
    pub(super) spaces: &'static [&'static str],
}

/// The sections of one kind of config.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schema {
    pub(super) sections: &'static [Section],
    /// The section that has the key `space`.
    pub(super) network: &'static str,
    /// Description of this kind of config, for errors.
    pub(super) purpose: &'static str,
}

impl Section {
    /// Returns `section.key`, or only the key at the top of a file.
    pub(super) fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    /// Returns the optional table that contains a key, if there is one.
    pub(super) fn group_of(&self, key: &str) -> Option<&'static Group> {
        let (table, _) = key.split_once('.')?;
        self.groups.iter().find(|group| group.name == table)
    }

    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

impl Key {
    /// Returns true if `"none"` unsets the key.
    pub(super) fn can_be_unset(&self) -> bool {
        matches!(self.default, Unset | Unless(_) | ByUnless(..))
    }
}

impl Schema {
    pub(super) fn section(&self, name: &str) -> Option<&'static Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// Finds section and key of `section.key`.
    pub(super) fn find(&self, path: &str) -> Option<(&'static Section, &'static Key)> {
        let of = |section: &str, key: &str| {
            let section = self.section(section)?;
            Some((section, section.key(key)?))
        };
        of("", path).or_else(|| path.split_once('.').and_then(|(section, key)| of(section, key)))
    }

    /// Returns all keys as `section.key`, and the tables within sections.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for section in self.sections {
            for key in section.keys {
                if let Some((table, _)) = key.name.split_once('.') {
                    paths.push(section.path(table));
                }
                paths.push(section.path(key.name));
            }
        }
        paths.dedup();
        paths
    }
}

impl Kind {
    /// Describes the type in words, for errors and docs.
    pub(super) fn expected(self) -> String {
        let texts = |list: &[&str]| list.iter().map(|text| format!("\"{text}\"")).collect::<Vec<_>>();
        match self {
            Self::Whole => "an integer, 0 or larger".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::Text => "a string".to_owned(),
            Self::OneOf(list) => either(&texts(list)),
            Self::Texts => "a list of strings".to_owned(),
            Self::SomeOf(list) => format!("a list of strings, each {}", either(&texts(list))),
            Self::Wholes => "a list of integers".to_owned(),
            Self::Numbers(None) => "a list of numbers".to_owned(),
            Self::Numbers(Some(n)) => format!("a list of {n} numbers"),
            Self::Constraints => "\"random-and-diverse\" or a table such as { archive = 8 }".to_owned(),
        }
    }

    /// Returns true if a value has this type.
    pub(super) fn accepts(self, value: &toml::Value) -> bool {
        use toml::Value;
        let whole = |value: &Value| value.as_integer().is_some_and(|n| n >= 0);
        let number = |value: &Value| matches!(value, Value::Integer(_) | Value::Float(_));
        let all =
            |holds: &dyn Fn(&Value) -> bool| value.as_array().is_some_and(|list| list.iter().all(holds));
        match self {
            Self::Whole => whole(value),
            Self::Number => number(value),
            Self::Text => value.is_str(),
            Self::OneOf(list) => value.as_str().is_some_and(|text| list.contains(&text)),
            Self::Texts => all(&Value::is_str),
            Self::SomeOf(list) => all(&|value| value.as_str().is_some_and(|text| list.contains(&text))),
            Self::Wholes => all(&whole),
            Self::Numbers(n) => {
                all(&number) && n.is_none_or(|n| value.as_array().is_some_and(|list| list.len() == n))
            }
            Self::Constraints => match value {
                Value::Table(table) => table.len() == 1 && table.get("archive").is_some_and(whole),
                other => other.as_str() == Some("random-and-diverse"),
            },
        }
    }
}

/// Joins a list to `a`, `a or b`, or `a, b or c`.
pub(super) fn either(list: &[String]) -> String {
    match list {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

const fn key(name: &'static str, kind: Kind, default: KeyDefault, about: &'static str) -> Key {
    Key { name, kind, of: &[], default, about }
}

const fn key_of(
    of: &'static [&'static str],
    name: &'static str,
    kind: Kind,
    default: KeyDefault,
    about: &'static str,
) -> Key {
    Key { name, kind, of, default, about }
}

const fn section(
    name: &'static str,
    tag: Option<&'static str>,
    about: &'static str,
    keys: &'static [Key],
) -> Section {
    Section { name, tag, optional: false, groups: &[], about, keys }
}

use KeyDefault::{By, ByUnless, Is, Required, Unless, Unset};
use Kind::{Constraints, Number, Numbers, OneOf, Text, Texts, Whole, Wholes};

const SPACES: Kind = OneOf(&["nb201", "darts", "proxyless", "macro"]);
const VARIANTS: Kind = OneOf(&["released", "paper"]);
const WEIGHTS: Kind = OneOf(&["none", "unbiased"]);

const TOP: Section = section(
    "",
    None,
    "Keys at the top of the file, before the first section.",
    &[
        key("name", Text, Is("\"run\""), "Name of the run folder and of the record."),
        key("seed", Whole, Is("0"), "Seed of all random streams."),
    ],
);

const DATA: Section = section(
    "data",
    None,
    "The data set.",
    &[
        key(
            "source",
            Text,
            Is("\"mini\""),
            "`mini`, `cifar10`, `cifar100`, or a folder. The folder holds the official binary files of CIFAR, or photographs in ImageNet's layout. It is relative to the config file.",
        ),
        key(
            "image_size",
            Whole,
            Unset,
            "Height and width that photographs are resized to, in pixels. It is required for photographs and not valid for other images.",
        ),
        key(
            "damaged",
            OneOf(&["stop", "skip"]),
            Unset,
            "Reaction to a photograph that cannot be decoded: stop the run (also if the key is unset), or skip the photograph.",
        ),
        key(
            "train",
            OneOf(&["all", "half", "nas-bench-201"]),
            Is("\"all\""),
            "Training images that the network is trained on: all, a random half, or, for CIFAR-10, the 25,000 training images of NAS-Bench-201's split. The other half is then available for scoring as the split `valid`.",
        ),
        key(
            "normalize",
            OneOf(&["usual", "released"]),
            Is("\"usual\""),
            "Digits of mean and standard deviation that images are normalised with. `released` has those of the released code of PA-DA, for CIFAR-10 and CIFAR-100; `usual` has four digits.",
        ),
        key("train_images", Whole, Unset, "Trains only on the first N of these images, in official order."),
    ],
);

fn channels(chosen: &dyn Chosen) -> Option<&'static str> {
    matches!(chosen.text("space"), Some("nb201" | "darts")).then_some("8")
}

fn cells(chosen: &dyn Chosen) -> Option<&'static str> {
    match chosen.text("space") {
        Some("nb201") => Some("1"),
        Some("darts") => Some("5"),
        _ => None,
    }
}

const NETWORK_KEYS: [Key; 4] = [
    key(
        "space",
        SPACES,
        Is("\"nb201\""),
        "Search space: NAS-Bench-201, DARTS cells, the MobileNet blocks of ProxylessNAS, or NAS-Bench-Macro.",
    ),
    key_of(
        &["nb201", "darts"],
        "channels",
        Whole,
        By(channels, "`8`"),
        "C, the number of channels of the first stage.",
    ),
    key_of(
        &["nb201", "darts"],
        "cells",
        Whole,
        By(cells, "`1` in `nb201`, `5` in `darts`"),
        "the number of cells per stage (N) in `nb201`, the total number of cells in `darts`.",
    ),
    key_of(
        &["proxyless"],
        "widths",
        OneOf(&["search", "mobile", "gpu"]),
        Is("\"search\""),
        "Channels of stem, stages and head: those of the ProxylessNAS search, of ProxylessNAS-Mobile, or of ProxylessNAS-GPU.",
    ),
];

const SUPERNET: Section = section(
    "supernet",
    Some("space"),
    "The weight-sharing network.",
    &[
        NETWORK_KEYS[0],
        NETWORK_KEYS[1],
        NETWORK_KEYS[2],
        NETWORK_KEYS[3],
        key(
            "ops",
            Texts,
            Is("[]"),
            "If the list is not empty, only architectures that use no other operations than these are trained and ranked.",
        ),
    ],
);

const NETWORK: Section =
    section("network", Some("space"), "Search space and size of the network that is trained.", &NETWORK_KEYS);

const COMPUTE: Section = section(
    "compute",
    None,
    "The executor and its precision. They change the rounding and therefore the result.",
    &[
        key(
            "executor",
            OneOf(&["engine", "candle"]),
            Is("\"engine\""),
            "`engine` is the fast executor, `candle` the plain reference, which needs a build with `--features candle`.",
        ),
        key(
            "precision",
            OneOf(&["f32", "bf16", "f64"]),
            Is("\"f32\""),
            "`bf16` is faster and less exact, `f64` is for checks.",
        ),
        key(
            "norms",
            OneOf(&["sync", "local"]),
            Is("\"sync\""),
            "Batch-norm statistics if several processes train together: of the whole batch, or of the images of each process. With `local` the result depends on the number of processes.",
        ),
    ],
);

const TRAIN: Section = section(
    "train",
    None,
    "Number of epochs and settings of the optimizer.",
    &[
        key("epochs", Whole, Is("20"), "Number of passes over the training images."),
        key("batch", Whole, Is("64"), "Batch size; the last batch of an epoch may be smaller."),
        key("lr", Number, Is("0.05"), "Initial learning rate, or the largest one with `one-cycle`."),
        key(
            "schedule",
            OneOf(&["cosine", "one-cycle", "linear", "constant", "step", "plateau"]),
            Is("\"cosine\""),
            "Learning-rate schedule. `step` multiplies the rate by `lr_decay` after every `lr_decay_epochs`, `plateau` when the training loss does not fall for `patience` epochs.",
        ),
        key("min_lr", Number, Unset, "`cosine` and `plateau`: smallest learning rate. Unset means 0."),
        key(
            "lr_decay",
            Number,
            Unset,
            "`step` and `plateau`: factor on the learning rate at each decay. Unset means 0.1.",
        ),
        key(
            "lr_decay_epochs",
            Number,
            Unset,
            "`step`: number of epochs between two decays, which may be a fraction. Unset means 1: exponential decay per epoch.",
        ),
        key(
            "patience",
            Whole,
            Unset,
            "`plateau`: number of epochs without a smaller training loss that are tolerated before a decay. Unset means 10.",
        ),
        key(
            "optimizer",
            OneOf(&["sgd", "nesterov", "rmsprop", "rmsprop-tf"]),
            Is("\"sgd\""),
            "SGD with momentum, SGD with Nesterov momentum, or RMSprop in the form of PyTorch or of TensorFlow 1.",
        ),
        key(
            "rms_decay",
            Number,
            Unset,
            "RMSprop: decay of the moving average of squared gradients. Unset means 0.99, with `rmsprop-tf` 0.9.",
        ),
        key(
            "rms_eps",
            Number,
            Unset,
            "RMSprop: the number that keeps the divisor above 0. Unset means 1e-8, with `rmsprop-tf` 1e-10.",
        ),
        key("momentum", Number, Is("0.9"), "Momentum of the optimizer."),
        key("weight_decay", Number, Is("2.5e-4"), "L2 weight decay."),
        key(
            "label_smoothing",
            Number,
            Is("0.0"),
            "Label-smoothing factor of the loss, in `0.0..1.0`. SPOS and ProxylessNAS train their supernets with 0.1.",
        ),
        key("clip_norm", Number, Is("5.0"), "Largest L2 norm of the gradient; `inf` disables clipping."),
        key(
            "unused_weights",
            OneOf(&["decay", "frozen"]),
            Is("\"decay\""),
            "`decay` also applies momentum and weight decay to weights that are not on the path, as the released code does; `frozen` leaves these weights as they are.",
        ),
        key(
            "on_nan",
            OneOf(&["stop", "skip"]),
            Is("\"stop\""),
            "Reaction to a loss or gradient that is NaN or infinite: stop the run, or skip the step.",
        ),
    ],
);

const AUGMENT: Section = Section {
    groups: &[
        Group { name: "resized_crop", spaces: &[] },
        Group { name: "color_jitter", spaces: &[] },
        Group { name: "rand_augment", spaces: &[] },
    ],
    ..section(
        "augment",
        None,
        "Augmentation of the training images.",
        &[
            key(
                "crop_padding",
                Whole,
                Is("2"),
                "Random crop: pads every side by N pixels and crops to the original size; 0 for photographs.",
            ),
            key(
                "flip",
                OneOf(&["horizontal", "never"]),
                Is("\"horizontal\""),
                "Random horizontal flip, with probability 1/2.",
            ),
            key(
                "cutout",
                Whole,
                Unset,
                "Cutout: side of a random square that is set to the mean colour, in pixels.",
            ),
            key(
                "resized_crop.area",
                Numbers(Some(2)),
                Is("[0.08, 1.0]"),
                "Photographs: smallest and largest share of the area that is cropped.",
            ),
            key(
                "resized_crop.ratio",
                Numbers(Some(2)),
                Is("[0.75, 1.3333333333333333]"),
                "Photographs: smallest and largest ratio of width to height of the crop.",
            ),
            key(
                "color_jitter.brightness",
                Number,
                Is("0.0"),
                "Photographs: strength of a random change of brightness.",
            ),
            key(
                "color_jitter.contrast",
                Number,
                Is("0.0"),
                "Photographs: strength of a random change of contrast.",
            ),
            key(
                "color_jitter.saturation",
                Number,
                Is("0.0"),
                "Photographs: strength of a random change of saturation.",
            ),
            key(
                "color_jitter.hue",
                Number,
                Is("0.0"),
                "Photographs: strength of a random change of hue, at most 0.5.",
            ),
            key(
                "auto_augment",
                OneOf(&["imagenet", "cifar10"]),
                Unset,
                "Policy of AutoAugment, as `torchvision.transforms.AutoAugment`. It is applied after crop and flip, on the CPU.",
            ),
            key(
                "rand_augment.ops",
                Whole,
                Is("2"),
                "RandAugment: number of random operations per image, as `torchvision.transforms.RandAugment`. They are applied after crop and flip, on the CPU.",
            ),
            key("rand_augment.magnitude", Whole, Is("9"), "Magnitude of these operations, from 0 to 30."),
        ],
    )
};

fn paths_first(chosen: &dyn Chosen) -> Option<&'static str> {
    Some(if chosen.text("rule") == Some("constant") { "1.0" } else { "0.0" })
}

fn paths_last(chosen: &dyn Chosen) -> Option<&'static str> {
    Some(if chosen.text("rule") == Some("pareto") { "0.5" } else { "1.0" })
}

const PATHS: Section = section(
    "paths",
    Some("rule"),
    "The path sampler: which architectures are trained.",
    &[
        key(
            "rule",
            OneOf(&["uniform", "connected", "importance", "fair", "one-change", "constant", "pareto", "own"]),
            Is("\"importance\""),
            "`uniform` is SPOS, `connected` the paths of gradient matching: uniform over the architectures of `nb201` whose cell connects input and output. `importance` is PA&DA's sampling in proportion to gradient norms, `fair` FairNAS, `one-change` Magic-T. `constant` draws from a given distribution, `pareto` near the paths that are best in loss and multiply-adds.",
        ),
        key_of(
            &["importance", "fair"],
            "variant",
            VARIANTS,
            Is("\"released\""),
            "Variant: the released code or the text of the paper, where the two differ.",
        ),
        key_of(
            &["importance", "constant", "pareto"],
            "smoothing.first",
            Number,
            By(paths_first, "`1.0` with `constant`, `0.0` otherwise"),
            "Share of the non-uniform distribution in the first epoch. The share changes linearly with the epoch.",
        ),
        key_of(
            &["importance", "constant", "pareto"],
            "smoothing.last",
            Number,
            By(paths_last, "`0.5` with `pareto`, `1.0` otherwise"),
            "Share of this distribution after the last epoch.",
        ),
        key_of(
            &["importance"],
            "importance_weights",
            WEIGHTS,
            Is("\"none\""),
            "`unbiased` weights losses so that their mean estimates the mean over uniform paths.",
        ),
        key_of(
            &["importance"],
            "weight_bound",
            Number,
            Is("10.0"),
            "Largest weight of a path's loss with `importance_weights = \"unbiased\"`.",
        ),
        key_of(
            &["importance"],
            "scope",
            OneOf(&["all", "kind", "position"]),
            Is("\"all\""),
            "Scope of one distribution: all decisions of the space, those of one kind (normal and reduction cells), or each decision.",
        ),
        key_of(
            &["constant"],
            "distribution",
            Numbers(None),
            Required,
            "Probability of every operation, in digit order.",
        ),
        key_of(
            &["own"],
            "name",
            Text,
            Required,
            "Name of the sampler of a program that calls the library. Only that program can run such a config.",
        ),
        key_of(
            &["pareto"],
            "memory",
            Whole,
            Is("256"),
            "Number of recent paths that the Pareto front is computed from.",
        ),
    ],
);

const IMAGES: Section = section(
    "images",
    Some("rule"),
    "The data sampler: which training images are drawn.",
    &[
        key(
            "rule",
            OneOf(&["uniform", "importance"]),
            Is("\"importance\""),
            "`uniform` draws every image once per epoch, `importance` in proportion to gradient norms (PA&DA).",
        ),
        key_of(
            &["importance"],
            "variant",
            VARIANTS,
            Is("\"released\""),
            "Variant: the released code or the text of the paper, where the two differ.",
        ),
        key_of(
            &["importance"],
            "smoothing.first",
            Number,
            Is("0.0"),
            "Share of the importance distribution in the first epoch. The share changes linearly with the epoch.",
        ),
        key_of(
            &["importance"],
            "smoothing.last",
            Number,
            Is("1.0"),
            "Share of this distribution after the last epoch.",
        ),
        key_of(
            &["importance"],
            "importance_weights",
            WEIGHTS,
            Is("\"none\""),
            "`unbiased` weights losses so that their mean estimates the mean over uniform images.",
        ),
        key_of(
            &["importance"],
            "replacement",
            OneOf(&["with", "without"]),
            Is("\"with\""),
            "Whether an image can be drawn more than once per epoch.",
        ),
        key_of(
            &["importance"],
            "unseen",
            OneOf(&["zero", "keep"]),
            Is("\"zero\""),
            "Importance of an image that was not drawn in an epoch: `zero` as in the released code and the paper, or `keep` its last score, which is not part of the paper.",
        ),
        key_of(
            &["importance"],
            "score",
            OneOf(&["logits", "last-layer", "loss"]),
            Is("\"logits\""),
            "Score of an image: gradient norm at the logits (PA&DA), gradient norm of the last layer's weight, or the loss.",
        ),
    ],
);

const UPDATE: Section = section(
    "update",
    Some("rule"),
    "The training rule, which computes an update from the gradients of the paths of a step.",
    &[
        key(
            "rule",
            OneOf(&["summed-paths", "sumnas", "nsas", "close", "magic-at"]),
            Is("\"summed-paths\""),
            "`summed-paths` adds the gradients and takes one SGD step (SPOS, FairNAS, PA&DA). The others are SUMNAS, NSAS, CLOSE and the alignment of Magic-AT.",
        ),
        key_of(
            &["sumnas"],
            "variant",
            VARIANTS,
            Is("\"released\""),
            "`paper` resets the inner momentum for every path, `released` never does.",
        ),
        key_of(&["sumnas"], "inner_steps", Whole, Is("2"), "Number of SGD steps that adapt each path."),
        key_of(&["sumnas"], "inner_lr", Number, Is("0.05"), "Learning rate of these steps."),
        key_of(&["sumnas"], "inner_momentum", Number, Is("0.9"), "Momentum of these steps."),
        key_of(&["nsas"], "beta", Number, Is("0.8"), "Share of the constraint paths in the loss."),
        key_of(
            &["nsas"],
            "constraints",
            Constraints,
            Is("\"random-and-diverse\""),
            "Constraint paths: a random and a diverse path, or all paths of an archive of size N, `{ archive = N }`.",
        ),
        key_of(
            &["nsas"],
            "constraint_loss",
            OneOf(&["trained", "constant"]),
            Is("\"trained\""),
            "Whether the loss of the constraint paths is `trained` or, as in the public demos, a `constant` without a gradient.",
        ),
        key_of(
            &["close"],
            "openings",
            Numbers(None),
            Is("[0.0, 0.2, 0.4, 0.6]"),
            "Progress of the run at which each block of weights opens, in `0.0..1.0`; the first is 0.",
        ),
        key_of(
            &["close"],
            "restart",
            Number,
            Unless("0.4"),
            "Progress of the run at which the learning-rate schedule restarts.",
        ),
        key_of(&["close"], "gate.embedding", Whole, Is("16"), "Width of the gate's embeddings."),
        key_of(&["close"], "gate.hidden", Whole, Is("32"), "Width of the gate's hidden layer."),
        key_of(&["close"], "gate.temperature", Number, Is("5.0"), "Temperature of the gate's softmax."),
        key_of(&["magic-at"], "weight", Number, Is("0.5"), "Weight of the alignment loss."),
    ],
);

const SPLIT: Section = Section {
    optional: true,
    ..section(
        "split",
        Some("rule"),
        "Splits the supernet into several sub-supernets. Without this section there is one supernet.",
        &[
            key(
                "rule",
                OneOf(&["few-shot", "gradient-matching"]),
                Required,
                "`few-shot` creates one sub-supernet for every combination of operations of some decisions; `gradient-matching` separates operations whose gradients disagree.",
            ),
            key_of(
                &["few-shot"],
                "positions",
                Wholes,
                Is("[0, 1]"),
                "Decisions whose operations are separated, counted from 0.",
            ),
            key_of(
                &["gradient-matching"],
                "splits",
                Whole,
                Is("3"),
                "Number of times that every supernet is split in two; 3 gives 8 sub-supernets.",
            ),
            key_of(
                &["gradient-matching"],
                "samples",
                Whole,
                Is("100"),
                "Number of pairs of a batch and a random path over which gradients are compared.",
            ),
            key_of(
                &["gradient-matching"],
                "between_epochs",
                Whole,
                Is("6"),
                "Number of epochs between two splits.",
            ),
            key(
                "leaf_epochs",
                Whole,
                Is("10"),
                "Number of epochs of each sub-supernet after the last split.",
            ),
            key_of(
                &["gradient-matching"],
                "last",
                OneOf(&["reinitialise", "inherit"]),
                Is("\"reinitialise\""),
                "Initial weights after the last split: new random weights, or the weights of the supernet that was split.",
            ),
            key_of(
                &["gradient-matching"],
                "schedule",
                OneOf(&["per-stage", "whole-run"]),
                Is("\"per-stage\""),
                "Learning-rate schedule: `per-stage` gives every supernet its own, starting with momentum 0; `whole-run` is one schedule over all epochs of the run, and sub-supernets inherit the momentum.",
            ),
            key_of(
                &["gradient-matching"],
                "last_schedule",
                OneOf(&["leaf", "whole-run"]),
                Is("\"leaf\""),
                "With `schedule = \"whole-run\"` and `last = \"reinitialise\"`: number of epochs of the schedule that sub-supernets with new weights follow from its start, `leaf_epochs` or those of the whole run.",
            ),
        ],
    )
};

fn truth(chosen: &dyn Chosen) -> Option<&'static str> {
    let mini = chosen.text("supernet.space") == Some("nb201") && chosen.text("data.source") == Some("mini");
    mini.then_some("\"mini\"")
}

fn archs(chosen: &dyn Chosen) -> Option<&'static str> {
    Some(if chosen.text("truth").is_some() { "\"truth\"" } else { "\"random:100\"" })
}

const TABLES: &[&str] =
    &["mini", "nb201", "nb201-cifar100", "nb201-imagenet16", "nas-bench-macro", "darts-214"];

const SCORED_ON: [Key; 6] = [
    key(
        "split",
        OneOf(&["test", "valid"]),
        Is("\"test\""),
        "Images to score on: the test images, or the half of the training images that `data.train` leaves out.",
    ),
    key("images", Whole, Is("2000"), "Number of images; the first ones in official order."),
    key(
        "batch",
        Whole,
        Is("500"),
        "Images per batch. If the batch norms use batch statistics, it changes the scores.",
    ),
    key(
        "recalibrate.images",
        Whole,
        Is("2048"),
        "Number of training images from which the running statistics of every architecture are recomputed.",
    ),
    key("recalibrate.batch", Whole, Is("128"), "Images per batch of this computation."),
    key(
        "recalibrate.momentum",
        Number,
        Unset,
        "Momentum of an exponential mean over these batches. Unset computes their plain mean. SPOS uses 0.1 over 200 batches of 128, which is `images = 25600`.",
    ),
];

const RANK: Section = Section {
    groups: &[Group { name: "recalibrate", spaces: &["proxyless", "macro"] }],
    ..section(
        "rank",
        None,
        "The ranking: architectures, images, and benchmark tables to compare with.",
        &[
            key(
                "truth",
                OneOf(TABLES),
                ByUnless(
                    truth,
                    "`\"mini\"` if the images are `mini` and the space is `nb201`, otherwise unset",
                ),
                "Benchmark table that the ranking is compared with; its name, or `\"none\"`.",
            ),
            key(
                "archs",
                Text,
                By(archs, "`\"truth\"` if there is a `rank.truth`, otherwise `\"random:100\"`"),
                "`truth` (the architectures of the table), `all`, `random:N`, or a file with one architecture per line. The file is relative to the config file.",
            ),
            SCORED_ON[0],
            SCORED_ON[1],
            SCORED_ON[2],
            SCORED_ON[3],
            SCORED_ON[4],
            SCORED_ON[5],
            key(
                "compare",
                Kind::SomeOf(TABLES),
                Is("[]"),
                "Further benchmark tables. A table that has not been downloaded is skipped.",
            ),
        ],
    )
};

const TEST: Section = Section {
    groups: &[Group { name: "recalibrate", spaces: &[] }],
    ..section(
        "test",
        None,
        "The images that the trained network is tested on.",
        &[
            SCORED_ON[0],
            SCORED_ON[1],
            SCORED_ON[2],
            SCORED_ON[3],
            SCORED_ON[4],
            SCORED_ON[5],
            key(
                "every",
                Whole,
                Unless("1"),
                "The network is tested after every N epochs, so that the record has the best epoch beside the last one. `\"none\"` tests only after the last epoch.",
            ),
        ],
    )
};

const RETRAIN: Section = section(
    "retrain",
    Some("network"),
    "The architecture that is trained from scratch, and additions of publications to its training.",
    &[
        key("arch", Text, Unset, "The architecture in any text form of its space. `--arch` sets this key."),
        key(
            "network",
            OneOf(&["stand-alone", "supernet"]),
            Is("\"stand-alone\""),
            "`stand-alone` is a network with only the weights of the architecture, whose batch norms have scale, shift and running statistics. `supernet` trains the architecture as the only path of a supernet; the embedded table was created in this way.",
        ),
        key_of(&["stand-alone"], "label_smoothing", Number, Unset, "Label-smoothing factor, in `0.0..1.0`."),
        key_of(
            &["stand-alone"],
            "warm_up",
            Whole,
            Unset,
            "Number of epochs of linear learning-rate warm-up.",
        ),
        key_of(
            &["stand-alone"],
            "ema",
            Number,
            Unset,
            "Decay of an exponential moving average of weights and statistics. The average is tested and exported.",
        ),
        key_of(
            &["stand-alone"],
            "decayed",
            OneOf(&["all", "kernels"]),
            Unset,
            "Weights that weight decay applies to: all, or only the kernels of convolutions and linear layers. Unset means all.",
        ),
        key_of(
            &["stand-alone"],
            "drop_path",
            Number,
            Unset,
            "`darts`: probability that an edge is dropped for an image; it rises linearly with the epoch from 0 to this value.",
        ),
        key_of(
            &["stand-alone"],
            "auxiliary",
            Number,
            Unset,
            "`darts` with 32×32 images, or with 224×224 images and `skeleton = \"imagenet\"`: weight of the loss of the auxiliary classifier.",
        ),
        key_of(
            &["stand-alone"],
            "skeleton",
            OneOf(&["cifar", "imagenet"]),
            Unset,
            "`darts`: the layers before the cells, one convolution for small images, or three of stride 2 for 224×224 images. Unset means `cifar`.",
        ),
    ],
);

/// The schema of a run that trains a supernet and ranks architectures with it.
pub(super) const RUN: Schema = Schema {
    sections: &[TOP, DATA, SUPERNET, COMPUTE, TRAIN, AUGMENT, PATHS, IMAGES, UPDATE, SPLIT, RANK],
    network: "supernet",
    purpose: "a config of a supernet run",
};

/// The schema of a run that trains one architecture from scratch.
pub(super) const RETRAIN_RUN: Schema = Schema {
    sections: &[TOP, DATA, NETWORK, COMPUTE, TRAIN, AUGMENT, RETRAIN, TEST],
    network: "network",
    purpose: "a config of `pada retrain`",
};

/// Unknown keys with the key or section to use instead. An entry also applies to the keys within the table of this name.
pub(super) const REPLACED: &[(&str, &str)] = &[
    ("sampler.path", "`paths.rule`"),
    ("sampler.data", "`images.rule`"),
    ("sampler.arch", "`retrain.arch` in a config of `pada retrain`"),
    ("sampler.variant", "`paths.variant` and `images.variant`"),
    ("sampler.data_variant", "`images.variant`"),
    ("sampler.smoothing", "`paths.smoothing` and `images.smoothing`"),
    ("sampler.data_smoothing", "`images.smoothing`"),
    ("sampler.importance_weights", "`paths.importance_weights` and `images.importance_weights`"),
    ("sampler.weight_bound", "`paths.weight_bound`"),
    ("sampler.share", "`paths.scope`"),
    ("sampler.replacement", "`images.replacement`"),
    ("sampler.image_score", "`images.score`"),
    ("sampler.distribution", "`paths.distribution`"),
    ("sampler.memory", "`paths.memory`"),
    ("sampler", "the sections `[paths]` and `[images]`"),
    ("train.idle_weights", "`train.unused_weights`"),
    ("rule.name", "`update.rule`"),
    ("rule", "the section `[update]` with the key `rule`"),
    ("split.name", "`split.rule`"),
    ("alone", "the section `[retrain]` in a config of `pada retrain`"),
];
