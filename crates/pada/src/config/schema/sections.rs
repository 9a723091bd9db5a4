//! The sections of config files with their keys.

use pada_zerocost::Score;

use super::KeyDefault::{By, ByUnless, Is, Required, Unless, Unset};
use super::Kind::{Number, Numbers, OneOf, Positive, Text, Texts, Whole, Wholes};
use super::{Chosen, Group, Key, Kind, Section, key, key_of, section};

const SPACES: Kind = OneOf(&["nb201", "darts", "proxyless", "macro"]);
pub(super) const VARIANTS: Kind = OneOf(&["released", "paper"]);
const WEIGHTS: Kind = OneOf(&["none", "unbiased"]);

pub(super) const TOP: Section = section(
    "",
    None,
    "Keys at the top of the file, before the first section.",
    &[
        key("name", Text, Is("\"run\""), "Name of the run folder and of the record."),
        key("seed", Whole, Is("0"), "Seed of all random streams."),
    ],
);

pub(super) const DATA: Section = section(
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
            Positive,
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
        key(
            "train_images",
            Positive,
            Unset,
            "Trains only on the first N of these images, in official order.",
        ),
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
        Positive,
        By(channels, "`8`"),
        "C, the number of channels of the first stage.",
    ),
    key_of(
        &["nb201", "darts"],
        "cells",
        Positive,
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

pub(super) const SUPERNET: Section = section(
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

pub(super) const NETWORK: Section =
    section("network", Some("space"), "Search space and size of the network that is trained.", &NETWORK_KEYS);

pub(super) const COMPUTE: Section = section(
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
            "convolution",
            OneOf(&["auto", "direct"]),
            Is("\"auto\""),
            "Convolutions of the engine on the CPU: `auto` uses Winograd's algorithm for 3×3 kernels in f32, which is faster and rounds differently; `direct` sums all products.",
        ),
        key(
            "norms",
            OneOf(&["sync", "local"]),
            Is("\"sync\""),
            "Batch-norm statistics if several processes train together: of the whole batch, or of the images of each process. With `local` the result depends on the number of processes.",
        ),
    ],
);

pub(super) const TRAIN: Section = section(
    "train",
    None,
    "Number of epochs and settings of the optimizer.",
    &[
        key("epochs", Positive, Is("20"), "Number of passes over the training images."),
        key("batch", Positive, Is("64"), "Batch size; the last batch of an epoch may be smaller."),
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
            "Label-smoothing factor of the loss, in `0.0..1.0`. SPOS and ProxylessNAS train their supernets with 0.1, and most recipes for ImageNet have it too.",
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

pub(super) const AUGMENT: Section = Section {
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
                Positive,
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
                Positive,
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

pub(super) const PATHS: Section = section(
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
            Positive,
            Is("256"),
            "Number of recent paths that the Pareto front is computed from.",
        ),
    ],
);

pub(super) const IMAGES: Section = section(
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

pub(super) const SPLIT: Section = Section {
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
                Positive,
                Is("3"),
                "Number of times that every supernet is split in two; 3 gives 8 sub-supernets.",
            ),
            key_of(
                &["gradient-matching"],
                "samples",
                Positive,
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

/// The embedded images are images of CIFAR-10, so that the table of CIFAR-10 is comparable too.
fn compare(chosen: &dyn Chosen) -> Option<&'static str> {
    Some(if truth(chosen).is_some() { "[\"nb201\"]" } else { "[]" })
}

fn archs(chosen: &dyn Chosen) -> Option<&'static str> {
    Some(if chosen.text("truth").is_some() { "\"truth\"" } else { "\"random:100\"" })
}

const TABLES: &[&str] =
    &["mini", "nb201", "nb201-cifar100", "nb201-imagenet16", "nas-bench-macro", "darts-214", "darts-1000"];

/// The parts of a fused score: the score of the supernet, and all zero-cost scores.
const PARTS: [&str; Score::NAMES.len() + 1] = {
    let mut parts = ["supernet"; Score::NAMES.len() + 1];
    let mut i = 0;
    while i < Score::NAMES.len() {
        parts[i + 1] = Score::NAMES[i];
        i += 1;
    }
    parts
};

const SCORED_ON: [Key; 6] = [
    key(
        "split",
        OneOf(&["test", "valid"]),
        Is("\"test\""),
        "Images to score on: the test images, or the half of the training images that `data.train` leaves out.",
    ),
    key(
        "images",
        Positive,
        Is("2000"),
        "Number of images; the first ones in official order. If there are fewer, all of them are used.",
    ),
    key(
        "batch",
        Positive,
        Is("500"),
        "Images per batch. If the batch norms use batch statistics, it changes the scores.",
    ),
    key(
        "recalibrate.images",
        Positive,
        Is("2048"),
        "Number of training images from which the running statistics of every architecture are recomputed.",
    ),
    key("recalibrate.batch", Positive, Is("128"), "Images per batch of this computation."),
    key(
        "recalibrate.momentum",
        Number,
        Unset,
        "Momentum of an exponential mean over these batches. Unset computes their plain mean. SPOS uses 0.1 over 200 batches of 128, which is `images = 25600`.",
    ),
];

pub(super) const RANK: Section = Section {
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
                "budget",
                Kind::Budget,
                Unset,
                "Limit on the cost of scoring, without that of zero-cost scores. All architectures are scored on few images, and the best quarter on 4 times as many, up to `images`. A time chooses the number of images of the first round from the measured speed. Unset scores all architectures on all images.",
            ),
            key(
                "compare",
                Kind::SomeOf(TABLES),
                By(
                    compare,
                    "`[\"nb201\"]` if the images are `mini` and the space is `nb201`, otherwise `[]`",
                ),
                "Further benchmark tables. A table that has not been downloaded is skipped.",
            ),
            key(
                "fuse",
                Kind::SomeOf(&PARTS),
                Is("[\"supernet\", \"active-conv-params\", \"jacov\", \"synflow\"]"),
                "Scores whose ranks are fused to one ranking, which orders the best architectures: `supernet`, and zero-cost scores. An empty list fuses nothing.",
            ),
            key(
                "fusion",
                OneOf(&["log-ranks", "ranks"]),
                Is("\"log-ranks\""),
                "The fused score: the mean of the logarithms of the ranks, or of the ranks.",
            ),
            key(
                "zero_cost",
                Kind::SomeOf(&Score::NAMES),
                Is("[\"synflow\", \"nwot\", \"jacov\"]"),
                "Zero-cost scores to compare with, beside those that are fused. They are computed from an untrained network of the size of the supernet.",
            ),
            key(
                "zero_cost_images",
                Whole,
                Is("64"),
                "Number of images that zero-cost scores are computed from: the first training images, without augmentation.",
            ),
        ],
    )
};

pub(super) const TEST: Section = Section {
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
                Positive,
                Unless("1"),
                "The network is tested after every N epochs, so that the record has the best epoch beside the last one. `\"none\"` tests only after the last epoch.",
            ),
        ],
    )
};

pub(super) const RETRAIN: Section = section(
    "retrain",
    Some("network"),
    "The architecture that is trained from scratch, and additions of publications to its training.",
    &[
        key("arch", Text, Unset, "The architecture in any text form of its space. `--arch` sets this key."),
        key(
            "init",
            Text,
            Unset,
            "Folder of a finished run of the same size, whose weights of the architecture the training starts from. Without it, the weights are random. `--init` sets this key.",
        ),
        key(
            "network",
            OneOf(&["stand-alone", "supernet"]),
            Is("\"stand-alone\""),
            "`stand-alone` is a network with only the weights of the architecture, whose batch norms have scale, shift and running statistics. `supernet` trains the architecture as the only path of a supernet; the embedded table was created in this way.",
        ),
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
            "dropout",
            Number,
            Unset,
            "Probability that an input of the classifier is dropped for an image; the others are multiplied by 1 / (1 - p). Recipes for ImageNet have 0.2.",
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
