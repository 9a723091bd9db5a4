//! The section `[update]`: the keys of every training rule.

use super::KeyDefault::{By, Is, Unless, Unset};
use super::Kind::{Constraints, Number, Numbers, OneOf, Positive, Whole};
use super::sections::VARIANTS;
use super::{Chosen, Section, key, key_of, section};
use crate::config::differentiable::{RULES, WITH_ADAM, WITH_LEARNING_RATE, WITH_LOGITS};

pub(super) const UPDATE: Section = section(
    "update",
    Some("rule"),
    "The training rule, which computes an update from the gradients of the paths of a step.",
    &[
        key(
            "rule",
            OneOf(&RULES),
            Is("\"summed-paths\""),
            "`summed-paths` adds the gradients and takes one SGD step (SPOS, FairNAS, PA&DA). `sumnas`, `nsas`, `close` and `magic-at` are other rules for paths. The remaining rules are searches that train a supernet of their own, see [searchers.md](searchers.md#differentiable-search).",
        ),
        key_of(
            &["sumnas"],
            "variant",
            VARIANTS,
            Is("\"released\""),
            "`paper` resets the inner momentum for every path, `released` never does.",
        ),
        key_of(
            &["sumnas", "zarts"],
            "inner_steps",
            Positive,
            By(inner_steps, "`2` with `sumnas`, `10` with `zarts`"),
            "Number of SGD steps that adapt each path, or that train the weights after each displacement and are undone afterwards.",
        ),
        key_of(&["sumnas"], "inner_lr", Number, Is("0.05"), "Learning rate of these steps."),
        key_of(&["sumnas"], "inner_momentum", Number, Is("0.9"), "Momentum of these steps."),
        key_of(
            &["nsas", "gdas-nsas"],
            "beta",
            Number,
            By(beta, "`0.8` with `nsas`, `0.5` with `gdas-nsas`"),
            "Share of the constraint paths in the loss.",
        ),
        key_of(
            &["gdas-nsas"],
            "archive",
            Positive,
            Is("8"),
            "M, the number of constraint paths, which NSAS chooses for their novelty.",
        ),
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
        key_of(&["close"], "gate.embedding", Positive, Is("16"), "Width of the gate's embeddings."),
        key_of(&["close"], "gate.hidden", Positive, Is("32"), "Width of the gate's hidden layer."),
        key_of(&["close"], "gate.temperature", Number, Is("5.0"), "Temperature of the gate's softmax."),
        key_of(&["magic-at"], "weight", Number, Is("0.5"), "Weight of the alignment loss."),
        key_of(
            WITH_LEARNING_RATE,
            "arch_lr",
            Number,
            By(
                arch_lr,
                "`0.0006` with `pc-darts`, `0.001` with `proxyless-nas`, `0.01` with `fbnet`, `0.0035` with `enas`, `0.0003` otherwise",
            ),
            "Learning rate of Adam for the architecture parameters, or for the controller of ENAS.",
        ),
        key_of(
            &["enas"],
            "controller_steps",
            Whole,
            Is("30"),
            "Number of updates of the controller after each epoch of the weights.",
        ),
        key_of(
            &["enas"],
            "controller_batch",
            Positive,
            Is("10"),
            "Number of architectures per update; each is scored on a batch of validation images.",
        ),
        key_of(
            &["enas"],
            "entropy_weight",
            Number,
            Is("0.0001"),
            "Weight of the controller's entropy (nats) in the reward, which is the accuracy as a fraction.",
        ),
        key_of(
            &["enas"],
            "candidates",
            Positive,
            Is("100"),
            "Number of architectures that are drawn and compared after each epoch; the best is what the search would end with.",
        ),
        key_of(
            WITH_ADAM,
            "arch_beta1",
            Number,
            By(arch_beta1, "`0.0` with `proxyless-nas`, `0.9` with `fbnet`, `0.5` otherwise"),
            "β₁ of Adam for the architecture parameters; β₂ is 0.999.",
        ),
        key_of(
            WITH_ADAM,
            "arch_weight_decay",
            Number,
            By(arch_weight_decay, "`0.0` with `proxyless-nas`, `0.0005` with `fbnet`, `0.001` otherwise"),
            "L2 decay of the architecture parameters. With `balenas`, the precision of the prior divided by the number of validation images.",
        ),
        key_of(
            WITH_LOGITS,
            "start",
            Number,
            By(
                arch_start,
                "`0.3` with `pc-darts`, `0.25` with `proxyless-nas`, `0.11` with `fbnet`, `0.2` with `zarts`, `0.0` otherwise",
            ),
            "Share of the epochs after which architecture parameters are trained, in `0.0..1.0`.",
        ),
        key_of(
            WITH_LOGITS,
            "first_update",
            OneOf(&["architecture", "weights"]),
            By(first_update, "`\"weights\"` with `gdas` and `gdas-nsas`, `\"architecture\"` otherwise"),
            "The update that a step begins with.",
        ),
        key_of(
            &["darts"],
            "order",
            OneOf(&["first", "second"]),
            Is("\"first\""),
            "Order of the approximation. `second` takes the gradient after a virtual step of the weights: four passes for the architecture parameters in place of one.",
        ),
        key_of(
            &["pc-darts"],
            "channel_parts",
            Positive,
            Is("4"),
            "K: operations see the first of K equal parts of the channels, and every edge has a weight.",
        ),
        key_of(
            &["gdas", "gdas-nsas", "snas"],
            "temperature",
            Numbers(Some(2)),
            By(temperature, "`[1.0, 0.03]` with `snas`, `[10.0, 0.1]` otherwise"),
            "First and last temperature of the Gumbel softmax; it changes linearly with the epoch.",
        ),
        key_of(
            &["fbnet"],
            "first_temperature",
            Number,
            Is("5.0"),
            "Temperature of the Gumbel softmax in the first epoch that trains architecture parameters.",
        ),
        key_of(&["fbnet"], "temperature_decay", Number, Is("0.956"), "Factor on the temperature per epoch."),
        key_of(
            &["proxyless-nas", "zarts"],
            "every",
            Positive,
            By(every, "`10` with `zarts`, `5` with `proxyless-nas`"),
            "Steps of the weights per step of the architecture parameters.",
        ),
        key_of(
            &["darts-pt"],
            "selection_start",
            Number,
            Is("0.8"),
            "Share of the epochs after which operations are chosen, one edge after the other, in `0.0..1.0`.",
        ),
        key_of(
            &["darts-pt"],
            "selection_lr",
            Number,
            Is("0.0025"),
            "Learning rate of the weights from then on.",
        ),
        key_of(
            &["zarts"],
            "samples",
            Positive,
            Is("4"),
            "K, the number of displacements of the architecture parameters that a step tries.",
        ),
        key_of(
            &["zarts"],
            "deviation",
            Number,
            Is("0.025"),
            "σ, the first standard deviation of displacements. It falls to 0 by a cosine.",
        ),
        key_of(
            &["zarts"],
            "loss_temperature",
            Number,
            Is("0.01"),
            "τ: a validation loss that is higher by τ divides the weight of a displacement by e.",
        ),
        key_of(
            &["zarts"],
            "undirected",
            Number,
            Is("0.001"),
            "λ, the probability that a displacement is drawn around 0 and not around the negative gradient.",
        ),
        key_of(
            &["proxyless-nas", "fbnet"],
            "cost_weight",
            Number,
            Is("0.2"),
            "a in the loss, cross entropy · a · (ln E / ln T)^b, where E is the expected number of multiply-adds.",
        ),
        key_of(
            &["proxyless-nas", "fbnet"],
            "cost_exponent",
            Number,
            By(cost_exponent, "`0.3` with `proxyless-nas`, `0.6` with `fbnet`"),
            "b in the loss.",
        ),
        key_of(
            &["proxyless-nas", "fbnet"],
            "cost_target",
            Number,
            Unset,
            "T in the loss, in multiply-adds. Without it, `proxyless-nas` has no preference for cheap architectures, and `fbnet` does not divide by ln T.",
        ),
    ],
);

fn arch_lr(chosen: &dyn Chosen) -> Option<&'static str> {
    Some(match chosen.text("update.rule")? {
        "pc-darts" => "0.0006",
        "proxyless-nas" => "0.001",
        "fbnet" => "0.01",
        "enas" => "0.0035",
        _ => "0.0003",
    })
}

fn arch_beta1(chosen: &dyn Chosen) -> Option<&'static str> {
    Some(match chosen.text("update.rule")? {
        "proxyless-nas" => "0.0",
        "fbnet" => "0.9",
        _ => "0.5",
    })
}

fn arch_weight_decay(chosen: &dyn Chosen) -> Option<&'static str> {
    Some(match chosen.text("update.rule")? {
        "proxyless-nas" => "0.0",
        "fbnet" => "0.0005",
        _ => "0.001",
    })
}

fn arch_start(chosen: &dyn Chosen) -> Option<&'static str> {
    Some(match chosen.text("update.rule")? {
        "pc-darts" => "0.3",
        "proxyless-nas" => "0.25",
        "fbnet" => "0.11",
        "zarts" => "0.2",
        _ => "0.0",
    })
}

fn beta(chosen: &dyn Chosen) -> Option<&'static str> {
    Some(if chosen.text("update.rule")? == "nsas" { "0.8" } else { "0.5" })
}

fn inner_steps(chosen: &dyn Chosen) -> Option<&'static str> {
    Some(if chosen.text("update.rule")? == "zarts" { "10" } else { "2" })
}

fn every(chosen: &dyn Chosen) -> Option<&'static str> {
    Some(if chosen.text("update.rule")? == "zarts" { "10" } else { "5" })
}

fn first_update(chosen: &dyn Chosen) -> Option<&'static str> {
    let is_gdas = ["gdas", "gdas-nsas"].contains(&chosen.text("update.rule")?);
    Some(if is_gdas { "\"weights\"" } else { "\"architecture\"" })
}

fn temperature(chosen: &dyn Chosen) -> Option<&'static str> {
    Some(if chosen.text("update.rule")? == "snas" { "[1.0, 0.03]" } else { "[10.0, 0.1]" })
}

fn cost_exponent(chosen: &dyn Chosen) -> Option<&'static str> {
    Some(if chosen.text("update.rule")? == "fbnet" { "0.6" } else { "0.3" })
}
