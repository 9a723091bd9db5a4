use pada_metrics::Difference;

use crate::{MethodRow, MethodTable, RankingKind, RankingRow, Spread};

impl MethodTable {
    /// Formats the table as CSV: one line per method, then one per fused ranking and one per zero-cost baseline, with the groups `fused` and
    /// `zero-cost`. Missing numbers are empty cells. Published cells are
    /// the printed text, so that a printed dash is `–`.
    pub fn to_csv(&self) -> String {
        let mut csv = csv::Writer::from_writer(vec![]);
        let rankings = match &self.rankings[..] {
            [] => self.zero_cost.iter().map(RankingRow::zero_cost).collect(),
            rankings => rankings.to_vec(),
        };
        let rankings = rankings.iter().map(ranking);
        for record in std::iter::once(header()).chain(self.rows.iter().map(line)).chain(rankings) {
            csv.write_record(record).expect("memory takes every record, and all have as many cells");
        }
        String::from_utf8(csv.into_inner().expect("memory takes all")).expect("cells are text")
    }
}

fn header() -> Vec<String> {
    let mut cells = ["method", "label", "group", "seeds", "collapsed", "archs"].map(str::to_owned).to_vec();
    for name in SPREADS {
        cells.extend(["mean", "sd"].map(|part| format!("{name}_{part}")));
    }
    for name in ["tau_b_difference", "p_at_top_5_difference"] {
        cells.extend(["mean", "low", "high"].map(|part| format!("{name}_{part}")));
    }
    cells.extend(["gpu_hours", "tau_b", "p_at_top_5"].map(|name| format!("published_{name}")));
    cells.push("other_sources".to_owned());
    for name in ["tau_b", "p_at_top_5"] {
        cells.extend(["mean", "low", "high"].map(|part| format!("{name}_difference_to_zero_cost_{part}")));
    }
    cells
}

/// The cells of a fused ranking or a baseline.
fn ranking(row: &RankingRow) -> Vec<String> {
    let group = match row.kind {
        RankingKind::Fused => "fused",
        RankingKind::ZeroCost => "zero-cost",
    };
    let seeds = if row.seeds == 0 { String::new() } else { row.seeds.to_string() };
    let archs: Vec<String> = row.archs.iter().map(usize::to_string).collect();
    let mut cells =
        vec![row.name.clone(), row.label.clone(), group.to_owned(), seeds, String::new(), archs.join(" ")];
    let [tau, top, rho, best] = [row.tau_b, row.p_at_top_5, row.spearman, row.br_at_top_5];
    for value in [None, None, tau, top, rho, best, row.partial_tau, row.tau_within] {
        cells.extend(spread(value));
    }
    let differences = [row.tau_b_difference, row.p_at_top_5_difference];
    let all = header().len();
    cells.resize(all - 3 * differences.len(), String::new());
    differences.into_iter().for_each(|value| cells.extend(difference(value)));
    cells
}

const SPREADS: [&str; 12] = [
    "train_hours",
    "rank_hours",
    "tau_b",
    "p_at_top_5",
    "spearman",
    "br_at_top_5",
    "partial_tau",
    "tau_within",
    "fused_tau_b",
    "fused_p_at_top_5",
    "gv",
    "gv_scale_free",
];

fn line(row: &MethodRow) -> Vec<String> {
    let spreads = [
        row.train_hours,
        row.rank_hours,
        row.tau_b,
        row.p_at_top_5,
        row.spearman,
        row.br_at_top_5,
        row.partial_tau,
        row.tau_within,
        row.fused_tau_b,
        row.fused_p_at_top_5,
        row.gv,
        row.gv_scale_free,
    ];
    let method = &row.method;
    let group = serde_json::to_value(method.group).ok();
    let archs: Vec<String> = row.archs.iter().map(usize::to_string).collect();
    let mut cells = vec![
        method.name.clone(),
        method.label.clone(),
        group.as_ref().and_then(|group| group.as_str()).unwrap_or_default().to_owned(),
        row.seeds.len().to_string(),
        row.collapsed.to_string(),
        archs.join(" "),
    ];
    for value in spreads {
        cells.extend(spread(value));
    }
    for value in [row.tau_b_difference, row.p_at_top_5_difference] {
        cells.extend(difference(value));
    }
    let elsewhere = method.published.as_ref().and_then(|published| published.elsewhere.clone());
    cells.extend(match &method.published {
        Some(p) => [&p.gpu_hours, &p.tau_b, &p.p_at_top_5].map(|cell| cell.plain().to_owned()),
        None => [const { String::new() }; 3],
    });
    cells.push(elsewhere.unwrap_or_default());
    cells.resize(header().len(), String::new());
    cells
}

fn number(value: Option<f64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn spread(value: Option<Spread>) -> [String; 2] {
    [number(value.map(|value| value.mean)), number(value.and_then(|value| value.sd))]
}

fn difference(value: Option<Difference>) -> [String; 3] {
    [
        number(value.map(|value| value.mean)),
        number(value.map(|value| value.interval.low)),
        number(value.map(|value| value.interval.high)),
    ]
}
