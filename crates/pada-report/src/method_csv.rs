use pada_rank::Difference;

use crate::{MethodRow, MethodTable, Spread};

impl MethodTable {
    /// As a CSV file, a line per method, then one per ranking that needs no supernet; empty cells where there is no number.
    pub fn to_csv(&self) -> String {
        let mut out = "method,label,group,seeds,collapsed,archs".to_owned();
        for name in SPREADS {
            out.push_str(&format!(",{name}_mean,{name}_sd"));
        }
        for name in ["tau_b_difference", "p_at_top_5_difference"] {
            out.push_str(&format!(",{name}_mean,{name}_low,{name}_high"));
        }
        out.push_str(",published_gpu_hours,published_tau_b,published_p_at_top_5\n");
        self.rows.iter().for_each(|row| out.push_str(&line(row)));
        let columns = out.lines().next().map_or(0, |header| header.split(',').count());
        for row in &self.zero_cost {
            let m = &row.metrics;
            let values = [
                None,
                None,
                Some(m.tau_b),
                m.p_at_top_5,
                Some(m.spearman),
                m.br_at_top_5,
                m.partial_tau_given_params,
            ];
            let name = quoted(&row.name);
            let mut cells =
                vec![name.clone(), name, "no-supernet".into(), "".into(), "".into(), m.n.to_string()];
            values.into_iter().for_each(|value| cells.extend([number(value), String::new()]));
            cells.resize(columns, String::new());
            out.push_str(&(cells.join(",") + "\n"));
        }
        out
    }
}

const SPREADS: [&str; 9] = [
    "train_hours",
    "rank_hours",
    "tau_b",
    "p_at_top_5",
    "spearman",
    "br_at_top_5",
    "partial_tau",
    "gv",
    "gv_scale_free",
];

fn line(row: &MethodRow) -> String {
    let spreads = [
        row.train_hours,
        row.rank_hours,
        row.tau_b,
        row.p_at_top_5,
        row.spearman,
        row.br_at_top_5,
        row.partial_tau,
        row.gv,
        row.gv_scale_free,
    ];
    let method = &row.method;
    let group = serde_json::to_value(method.group).ok();
    let archs: Vec<String> = row.archs.iter().map(usize::to_string).collect();
    let mut cells = vec![
        quoted(&method.name),
        quoted(&method.label),
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
    let published = method.published;
    cells.extend([
        number(published.map(|p| p.gpu_hours)),
        number(published.map(|p| p.tau_b.mean)),
        number(published.and_then(|p| p.p_at_top_5).map(|p| p.mean)),
    ]);
    cells.join(",") + "\n"
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

/// A text as one cell.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
