use maud::{Markup, html};

use super::numbers::{count, duration};
use crate::ranks::{in_turn, volume};
use crate::{RanksRecord, RunRecord};

/// What a run cost.
pub(super) fn cost(record: &RunRecord) -> Markup {
    let mut facts = vec![("training", duration(record.train_seconds))];
    facts.extend(train_rate(record).map(|rate| ("training images a second", count(rate.round() as usize))));
    if let Some((sizes, sum)) = RanksRecord::of(&record.epochs) {
        facts.extend([
            ("ranks that trained", in_turn(&sizes)),
            ("sent by rank 0", format!("{} messages, {}", count(sum.messages as usize), volume(sum.bytes))),
            ("waited for other ranks", duration(sum.seconds)),
        ]);
    }
    if let Some(ranking) = &record.ranking {
        let seconds = ranking.seconds;
        facts.push(("ranking", duration(seconds)));
        facts.extend(ranking.ranks.map(|ranks| ("ranks that scored", count(ranks.ranks))));
        if seconds > 0.0 {
            let images = (ranking.archs * ranking.images.images) as f64 / seconds;
            facts.push(("scored images a second", count(images.round() as usize)));
            facts.push(("an architecture", duration(seconds / ranking.archs.max(1) as f64)));
        }
    }
    facts.push(("on", format!("{}, {} threads", record.device, record.threads)));
    html! {
        dl class="facts" {
            @for (name, value) in facts { div { dt { (name) } dd { (value) } } }
        }
    }
}

/// Images a second that training draws; one that several paths of a step see counts once.
pub(super) fn train_rate(record: &RunRecord) -> Option<f64> {
    let images: usize = record.epochs.iter().map(|epoch| epoch.images.drawn).sum();
    (record.train_seconds > 0.0 && images > 0).then(|| images as f64 / record.train_seconds)
}
