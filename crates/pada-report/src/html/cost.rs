use maud::{Markup, html};

use crate::communication::{in_turn, volume};
use crate::numbers::{count, duration};
use crate::{CommunicationRecord, RunRecord};

/// Time and throughput of a run.
pub(super) fn cost(record: &RunRecord) -> Markup {
    let mut facts = vec![("training", duration(record.train_seconds))];
    facts.extend(train_rate(record).map(|rate| ("training images per second", count(rate.round() as usize))));
    if let Some((sizes, sum)) = CommunicationRecord::total(&record.epochs) {
        facts.extend([
            ("training processes", in_turn(&sizes)),
            (
                "sent by process 0",
                format!("{} messages, {}", count(sum.messages as usize), volume(sum.bytes)),
            ),
            ("process 0 waited for others", duration(sum.seconds)),
        ]);
    }
    if let Some(ranking) = &record.ranking {
        let seconds = ranking.seconds;
        facts.push(("ranking", duration(seconds)));
        facts.extend(ranking.communication.map(|c| ("ranking processes", count(c.processes))));
        if seconds > 0.0 {
            let images = (ranking.archs * ranking.images.images) as f64 / seconds;
            facts.push(("scored images per second", count(images.round() as usize)));
            facts.push(("ranking time per architecture", duration(seconds / ranking.archs.max(1) as f64)));
        }
    }
    facts.push(("device", format!("{}, {} threads", record.device, record.threads)));
    html! {
        dl class="facts" {
            @for (name, value) in facts { div { dt { (name) } dd { (value) } } }
        }
    }
}

/// Training images per second. An image counts once, even if several paths of a step see it.
pub(super) fn train_rate(record: &RunRecord) -> Option<f64> {
    let images: usize = record.epochs.iter().map(|epoch| epoch.images.drawn).sum();
    (record.train_seconds > 0.0 && images > 0).then(|| images as f64 / record.train_seconds)
}
