//! A report page shows what it should, read as a browser reads it.
use std::collections::BTreeMap;

use pada_metrics::Bootstrap;
use pada_report::html::*;
use pada_report::*;
use proptest::prelude::*;
use scraper::{Html, Selector};

const ARCHS: usize = 40;

fn epoch(i: usize) -> EpochRecord {
    let paths = [[0, 1], [i as u8 % 3, 1]];
    EpochRecord {
        epoch: i,
        stage: 0,
        lr: 0.05,
        loss: 2.0 / (i + 1) as f64,
        accuracy: 20.0 + i as f64,
        skipped_steps: 0,
        grad_norm: 1.0,
        gv: (i > 0).then_some(0.01),
        gv_scale_free: None,
        path_distribution: vec![vec![0.25, 0.5, 0.25]],
        path_entropy: 1.0,
        paths: PathAudit::of(paths.iter().map(|path| &path[..]), 3),
        images: ImageAudit::of(&[0, 1, 1]),
        effective_sample_size: Some(2.5),
        image_entropy: None,
        test: None,
        mixture: None,
        seconds: 0.5,
        communication: None,
    }
}

/// A run of `epochs` epochs that ranks 40 architectures nearly as the truth does.
fn run(epochs: usize) -> RunView {
    let truth: Vec<f64> = (0..ARCHS).map(|i| i as f64).collect();
    let scores: Vec<f64> = (0..ARCHS).map(|i| (i ^ 1) as f64).collect();
    let baselines = [("#params", truth.iter().map(|t| (t * 7.0) % 11.0).collect::<Vec<_>>())];
    let bootstrap = Bootstrap::new().with_resamples(50);
    let lists = ScoreLists::new(&scores, &truth, &baselines[0].1, &baselines);
    let mut agreement = Agreement::of("table", &lists, &bootstrap).unwrap();
    agreement.ceiling = Some(Ceiling { tau_b: 0.75, seeds: 3, archs: 31 });
    let images =
        ImagesRecord { name: "mini test".into(), images: 2000, sha256: "ab12".into(), class_names: vec![] };
    let best = BestArch {
        arch: "333333".into(),
        score: 70.25,
        fused: None,
        part_ranks: vec![],
        top5: Some(96.5),
        params: 58274,
        macs: 9,
        stand_alone_accuracy: None,
    };
    let record = RunRecord {
        name: "mini".into(),
        version: "0.1.0".into(),
        method: "PA&DA (released)".into(),
        seed: 3,
        device: "engine".into(),
        threads: 2,
        supernet: SupernetRecord { space: "nb201".into(), channels: Some(8), cells: Some(1), params: 99874 },
        train_images: images.clone(),
        init: None,
        config_sha256: None,
        sub_supernets: vec![],
        epochs: (0..epochs).map(epoch).collect(),
        train_seconds: 0.5 * epochs as f64,
        best_epoch: None,
        ranking: Some(RankRecord {
            archs: ARCHS,
            images,
            batch: 500,
            recalibrated_on: None,
            seconds: 0.1,
            communication: None,
            halving: None,
            fusion: None,
            agreements: vec![agreement],
            best: vec![best],
        }),
    };
    let accuracy = |i: usize| ArchAccuracy {
        arch: format!("a{i}"),
        predicted: scores[i],
        stand_alone: truth[i],
        fused: Some(-truth[i]),
    };
    let thumbnail = |index: usize| Thumbnail {
        index,
        class: "frog".into(),
        probability: 0.25,
        pixels: Pixels { width: 2, height: 1, rgb: vec![9, 8, 7, 6, 5, 4] },
    };
    RunView {
        folder: "runs/mini-s3-001".into(),
        name: "mini".into(),
        method: "PA&DA (released)".into(),
        seed: 3,
        config: "name = \"mini\"\n".into(),
        settings: vec![("seed".into(), "3".into()), ("train.lr".into(), "0.05".into())],
        planned_epochs: Some(epochs),
        op_names: ["none", "skip", "conv"].map(str::to_owned).to_vec(),
        op_decisions: vec![true; 2],
        record: Some(record),
        accuracies: Ok(Accuracies { table: "table".into(), archs: (0..ARCHS).map(accuracy).collect() }),
        scores: scores.clone(),
        images: Ok(PreferredImages {
            checkpoint: "epoch-0002.safetensors".into(),
            epochs: 2,
            images: 4,
            effective: 4.0,
            classes: vec![("frog".into(), 1.0)],
            preferred: vec![thumbnail(1), thumbnail(0)],
            avoided: vec![thumbnail(3)],
            lowest: 1,
            lowest_probability: 0.25,
        }),
        best: Some(picture()),
        found: None,
    }
}

/// A picture of one cell with an edge that has an unusual name.
fn picture() -> ArchPicture {
    let edge = EdgePicture { from: 0, to: 1, op: "conv<3>".into(), kind: OpKind::Convolution };
    let cell = CellPicture {
        title: "normal cell".into(),
        nodes: vec!["0".into(), "1".into()],
        edges: vec![edge],
        output: None,
    };
    ArchPicture { title: "Best architecture".into(), parts: vec![PicturePart::Cell(cell)] }
}

fn parse(runs: &[RunView]) -> Html {
    let html = Html::parse_document(&page(runs));
    assert!(html.errors.is_empty(), "{:?}", html.errors);
    html
}

fn texts(html: &Html, selector: &str) -> Vec<String> {
    html.select(&Selector::parse(selector).unwrap()).map(|e| e.text().collect()).collect()
}

/// Returns the number of elements of each name in a page.
fn elements(html: &Html) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for element in html.select(&Selector::parse("*").unwrap()) {
        *counts.entry(element.value().name().to_owned()).or_default() += 1;
    }
    counts
}

#[test]
fn a_page_has_its_result_first_and_all_sections() {
    let html = parse(&[run(3)]);
    assert_eq!(texts(&html, "h1"), ["mini: PA&DA (released), seed 3"]);
    let sections = [
        "Result",
        "Predicted and stand-alone accuracy",
        "Setup",
        "Training",
        "Path distribution",
        "Image distribution",
        "Sampled paths and images",
        "Cost",
    ];
    assert_eq!(texts(&html, "h2"), sections);
    // Of 780 pairs 20 are the other way round.
    let tau = format!("{:.3}", (760.0 - 20.0) / 780.0);
    assert_eq!(texts(&html, ".tiles dt"), ["tau-b", "P@Top5%", "partial tau-b", "architectures"]);
    assert_eq!(texts(&html, ".tiles dd:not(.small)")[..2], [tau.as_str(), "1.000"]);
    assert!(
        texts(&html, ".verdict")[0]
            .starts_with("Significantly better than the best zero-cost baseline (#params")
    );
    let rows = texts(&html, ".pair tbody th");
    assert_eq!(rows, ["supernet", "#params", "between seeds"]);
    // Tau-b, two scatters, the best architecture, five curves of which one has no number, two areas and an entropy, two audits.
    assert_eq!(texts(&html, "svg").len(), 14);
    assert_eq!(texts(&html, "figure:has(.arch-picture) figcaption"), ["Best architecture normal cell"]);
    assert!(texts(&html, ".arch-picture text").contains(&"conv<3>".to_owned()));
    assert_eq!(texts(&html, "details tbody tr").len(), 3);
    for label in ["conv 25 %", "skip 50 %", "none 25 %"] {
        assert!(texts(&html, ".legend li").contains(&label.to_owned()), "{label}");
    }
    assert!(texts(&html, ".facts dd").contains(&"C=8, N=1, 99,874 parameters".to_owned()));
    assert_eq!(texts(&html, "pre"), ["name = \"mini\"\n"]);
}

#[test]
fn processes_and_their_communication_are_part_of_the_cost() {
    let sent =
        ["training processes", "sent by process 0", "process 0 waited for others", "ranking processes"];
    let mut view = run(1);
    let said = |view: &RunView| texts(&parse(std::slice::from_ref(view)), ".facts dt");
    assert!(sent.iter().all(|name| !said(&view).iter().any(|fact| fact == name)), "one process");
    let record = view.record.as_mut().unwrap();
    let sent_by_two = CommunicationRecord { processes: 2, messages: 3297, bytes: 17_600_000, seconds: 0.25 };
    record.epochs[0].communication = Some(sent_by_two);
    record.ranking.as_mut().unwrap().communication =
        Some(CommunicationRecord { processes: 3, ..sent_by_two });
    assert!(sent.iter().all(|name| said(&view).iter().any(|fact| fact == name)));
    let facts = texts(&parse(&[view]), ".facts dd");
    for fact in ["2", "3,297 messages, 17.6 MB", "250 ms", "3"] {
        assert!(facts.iter().any(|text| text == fact), "{fact} is not in {facts:?}");
    }
}

#[test]
fn the_best_of_both_lists_are_marked() {
    let html = parse(&[run(1)]);
    // Of 40, two are the best 5 %; 38 and 39 change places in the prediction.
    assert_eq!(
        texts(&html, "circle.found title"),
        ["a38: predicted 39.00 %, stand-alone 38.00 %", "a39: predicted 38.00 %, stand-alone 39.00 %"]
    );
    // The fused score ranks the other way round, so that none of its best is among the best.
    let legend = texts(&html, "li:has(.point)");
    assert_eq!(
        legend,
        [
            "top 5 % by both (2)",
            "top 5 % by stand-alone accuracy only (0)",
            "top 5 % by prediction only (0)",
            "others (38)",
            "top 5 % by both (0)",
            "top 5 % by stand-alone accuracy only (2)",
            "top 5 % by prediction only (2)",
            "others (36)",
        ]
    );
}

#[test]
fn choices_of_inputs_stand_apart_from_operations() {
    let mut view = RunView { op_decisions: vec![true, false], ..run(1) };
    let epoch = &mut view.record.as_mut().unwrap().epochs[0];
    epoch.path_distribution = vec![vec![0.5, 0.0, 0.5], vec![0.1, 0.2, 0.3, 0.4]];
    epoch.paths.op_counts = vec![vec![1, 3, 0, 0], vec![0, 0, 0, 4]];
    let html = parse(&[view]);
    let legends = texts(&html, ".legend:not(:has(.stroke, .point))");
    let expected = [
        "conv 50 %skip 0.0 %none 50 %",
        "conv 0.0 %skip 75 %none 25 %",
        "conv 50 %skip 0.0 %none 50 %",
        "choice 3 40 %choice 2 30 %choice 1 20 %choice 0 10 %",
    ];
    assert_eq!(legends, expected);
    assert!(texts(&html, "figcaption").contains(&"Decision 1 choice of inputs".to_owned()));
}

#[test]
fn images_are_drawn_within_the_page() {
    let html = parse(&[run(2)]);
    let selector = Selector::parse("img").unwrap();
    let images: Vec<_> = html.select(&selector).map(|e| e.value()).collect();
    assert_eq!(images.len(), 3);
    for image in images {
        assert!(image.attr("src").unwrap().starts_with("data:image/png;base64,"), "{image:?}");
        assert!(image.attr("alt").unwrap().ends_with("frog"), "{image:?}");
    }
    let avoided = PreferredImages { lowest: 17, lowest_probability: 0.0, ..run(2).images.unwrap() };
    let html = parse(&[RunView { images: Ok(avoided), ..run(2) }]);
    assert!(
        texts(&html, "figcaption")
            .iter()
            .any(|t| t.contains("without the 17 images that share the lowest N·q of all, 0"))
    );
}

#[test]
fn a_running_run_says_what_is_missing() {
    let mut view = RunView { planned_epochs: Some(9), accuracies: Err("Not yet.".into()), ..run(2) };
    view.record.as_mut().unwrap().ranking = None;
    let html = parse(std::slice::from_ref(&view));
    let notice = &texts(&html, ".notice")[0];
    assert!(
        notice.starts_with("Not finished: 2 of 9 epochs are trained")
            && notice.ends_with("--resume runs/mini-s3-001"),
        "{notice}"
    );
    assert_eq!(texts(&html, ".missing")[0], "The architectures have not been ranked yet.");
    assert_eq!(texts(&html, "h2").len(), 7);
    view.record.as_mut().unwrap().epochs.clear();
    assert_eq!(
        texts(&parse(std::slice::from_ref(&view)), "h2"),
        ["Result", "Setup", "Image distribution", "Cost"]
    );
    view.record = None;
    let html = parse(&[view]);
    assert_eq!(texts(&html, "h2"), ["Setup"]);
    assert!(texts(&html, ".notice")[0].starts_with("No epoch is finished yet"));
}

#[test]
fn what_is_not_there_says_why() {
    let mut view = RunView {
        accuracies: Err("The benchmark table is missing.".into()),
        images: Err("Images are drawn uniformly.".into()),
        ..run(2)
    };
    view.record.as_mut().unwrap().ranking.as_mut().unwrap().agreements.clear();
    let missing = texts(&parse(&[view]), ".missing");
    let expected = [
        "The ranking was not compared with a benchmark table.",
        "The benchmark table is missing.",
        "No epoch has this measurement.",
        "Images are drawn uniformly.",
    ];
    assert_eq!(missing, expected);
}

#[test]
fn several_runs_stand_side_by_side() {
    let other = |seed, method: &str, lr: &str| {
        let mut view =
            RunView { folder: format!("runs/other-s{seed}"), seed, method: method.into(), ..run(2) };
        view.settings[1].1 = lr.into();
        view.accuracies.as_mut().unwrap().archs.iter_mut().for_each(|arch| arch.predicted = -arch.predicted);
        view
    };
    let mut runs = vec![run(3), other(0, "SPOS", "0.1"), other(1, "SPOS", "0.1")];
    let html = parse(&runs);
    assert_eq!(texts(&html, "h1"), ["3 runs"]);
    assert_eq!(texts(&html, "article h2").len(), 3);
    let links: Vec<String> =
        html.select(&Selector::parse("a").unwrap()).map(|a| a.attr("href").unwrap().to_owned()).collect();
    assert_eq!(links, ["#run-1", "#run-2", "#run-3"]);
    assert_eq!(texts(&html, "article").len(), 3);
    let results = "section:first-of-type table:first-of-type";
    // The result first, where a phone shows it.
    let titles = texts(&html, &format!("{results} thead th"));
    assert_eq!(titles[..3], ["run", "tau-b", "Δ to first run"]);
    let names = texts(&html, &format!("{results} tbody th"));
    assert_eq!(names[1], "runs/other-s0SPOS");
    let less = format!("{results} tbody tr td:nth-child(3)");
    let first = texts(&html, &less);
    // 740/780 twice: the other ranks the other way round.
    assert!(first[0] == "–" && first[1].starts_with("-1.897["), "{first:?}");
    let table = texts(&html, "section:nth-of-type(1) > div:nth-of-type(2) tbody tr");
    assert_eq!(table[..2], ["miniPA&DA (released)10.9491.000", "miniSPOS20.949 ± 0.0001.000 ± 0.000"]);
    // The more there are of runs or keys, the rows are those.
    let differing = texts(&html, "section:nth-of-type(3) th");
    assert_eq!(differing[..2], ["run", "train.lr"]);
    for run in &mut runs {
        let more = ["a", "b", "c"].map(|key| (format!("more.{key}"), run.seed.to_string()));
        run.settings.extend(more);
    }
    let differing = texts(&parse(&runs), "section:nth-of-type(3) th");
    let turned = ["key", "runs/mini-s3-001", "runs/other-s0", "runs/other-s1", "more.a"];
    assert_eq!(differing[..5], turned);
    // Other architectures do not compare.
    runs[1].accuracies.as_mut().unwrap().archs.pop();
    let first = texts(&parse(&runs), &less);
    assert!(first[1] == "–" && first[2] != "–", "{first:?}");
}

#[test]
fn a_page_asks_for_nothing_and_stays_small() {
    let mut long = run(250);
    let archs = (0..15_625).map(|i| ArchAccuracy {
        arch: format!("{i}"),
        predicted: f64::from(i * 7919 % 15_625),
        stand_alone: f64::from(i),
        fused: None,
    });
    long.accuracies = Ok(Accuracies { table: "table".into(), archs: archs.collect() });
    let text = page(std::slice::from_ref(&long));
    assert!(text.len() < 600_000, "{}", text.len());
    assert_eq!(text, page(std::slice::from_ref(&long)), "the same run gives the same bytes");
    for runs in [vec![long.clone()], vec![long, run(2)]] {
        let html = parse(&runs);
        for element in html.select(&Selector::parse("*").unwrap()) {
            let element = element.value();
            assert!(
                !["script", "link", "iframe", "object", "embed"].contains(&element.name()),
                "{element:?}"
            );
            for (name, value) in element.attrs() {
                let own = value.starts_with('#') || value.starts_with("data:image/png;base64,");
                assert!(!["src", "href", "srcset", "action", "data"].contains(&name) || own, "{element:?}");
                assert!(!name.starts_with("on"), "{element:?}");
            }
        }
        assert!(!page(&runs).contains("url(") && !page(&runs).contains("@import"));
    }
}

/// Names that mean something in HTML, and any other.
fn hostile() -> impl Strategy<Value = String> {
    const KNOWN: [&str; 8] = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "</pre></style><b>",
        "&lt;&amp;",
        "' onload='x",
        "<!--",
        "]]>",
        "{}",
    ];
    prop_oneof![proptest::sample::select(&KNOWN[..]).prop_map(str::to_owned), "\\PC{0,30}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever stands in names, configs and reasons, it is text: the page has the same elements as with plain names.
    #[test]
    fn no_text_becomes_markup(texts in proptest::collection::vec(hostile(), 9)) {
        let fill = |texts: [&str; 9]| {
            let mut view = run(2);
            let [folder, name, method, config, op, arch, class, table, device] = texts.map(str::to_owned);
            let record = view.record.as_mut().unwrap();
            record.device = device;
            record.ranking.as_mut().unwrap().best[0].arch = arch.clone();
            record.ranking.as_mut().unwrap().agreements[0].table = table.clone();
            record.ranking.as_mut().unwrap().agreements[0].zero_cost[0].name = table.clone();
            let images = view.images.as_mut().unwrap();
            images.checkpoint = folder.clone();
            images.classes[0].0 = class.clone();
            images.preferred[0].class = class;
            let accuracies = view.accuracies.as_mut().unwrap();
            accuracies.table = table;
            accuracies.archs[39].arch = arch;
            RunView { folder, name, method, config, op_names: vec![op; 3], ..view }
        };
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let hostile = Html::parse_document(&page(&[fill(texts.clone().try_into().unwrap())]));
        prop_assert_eq!(elements(&hostile), elements(&parse(&[fill(["plain"; 9])])));
        let shown: String = hostile.root_element().text().collect();
        prop_assert!(shown.contains(texts[1]), "{:?} is not shown", texts[1]);
        let handlers = hostile.select(&Selector::parse("*").unwrap()).flat_map(|e| e.value().attrs()).filter(|(name, _)| name.starts_with("on")).count();
        prop_assert_eq!(handlers, 0);
    }
}

#[test]
fn the_best_epoch_of_a_network_from_scratch_is_on_its_page() {
    let mut view = run(3);
    assert!(texts(&parse(std::slice::from_ref(&view)), ".best-epoch").is_empty());
    let best = BestEpoch { epoch: 1, accuracy: 61.25, top5: Some(95.5) };
    view.record.as_mut().unwrap().best_epoch = Some(best);
    let html = parse(std::slice::from_ref(&view));
    let text = texts(&html, ".best-epoch").concat();
    assert!(text.starts_with("Best epoch: 2 of 3, 61.25 %, top-5 95.50 %."), "{text}");
    let cells = texts(&html, "td");
    assert!(cells.iter().any(|cell| cell == "96.50"), "{cells:?}");
}

/// The page of a differentiable search shows its mixtures in place of a path distribution.
#[test]
fn mixtures_of_a_differentiable_search_have_a_section() {
    let mut run = run(3);
    for (i, epoch) in run.record.as_mut().unwrap().epochs.iter_mut().enumerate() {
        let p = 0.2 + 0.2 * i as f64;
        epoch.mixture = Some(MixtureRecord {
            arch: "12".into(),
            decisions: vec![0, 1],
            ops: vec![vec![0, 1, 2], vec![1, 2]],
            probabilities: vec![vec![0.2, p, 0.8 - p], vec![0.5, 0.5]],
            edge_weights: vec![],
            chosen: vec![Some(1), None],
            temperature: None,
            validation_loss: Some(1.0),
            validation_accuracy: Some(30.0 + i as f64),
        });
    }
    run.found = Some(ArchPicture { title: "Strongest architecture".into(), ..picture() });
    let html = parse(&[run.clone()]);
    let headings = texts(&html, "h2").join(" ");
    assert!(
        headings.contains("Mixtures of operations") && !headings.contains("Path distribution"),
        "{headings}"
    );
    let figures = texts(&html, "figcaption").join(" ");
    for part in [
        "Strongest architecture",
        "Probabilities of operations",
        "Validation accuracy of the mixture",
        "Decision 1",
        "chosen: skip",
    ] {
        assert!(figures.contains(part), "{part} in {figures}");
    }
    assert!(!figures.contains("Temperature"), "{figures}");
    let record = run.record.unwrap();
    let mixture = record.epochs[2].mixture.as_ref().unwrap();
    // Operation 0 is in one of the mixtures, operation 1 in both.
    assert_eq!([0, 1, 3].map(|op| mixture.share_of(op)), [Some(0.2), Some(0.55), None]);
    let text = serde_json::to_string(&record.epochs[2]).unwrap();
    assert_eq!(serde_json::from_str::<EpochRecord>(&text).unwrap(), record.epochs[2]);
}

#[test]
fn runs_without_a_table_are_compared_by_their_scores() {
    let without = |folder: &str, scores: &[f64]| {
        let mut view = RunView { folder: folder.into(), scores: scores.to_vec(), ..run(2) };
        view.record.as_mut().unwrap().ranking.as_mut().unwrap().agreements.clear();
        view
    };
    let runs = [without("runs/a", &[10.0, 40.0, 20.0, 30.0]), without("runs/b", &[50.0])];
    let cells = texts(&parse(&runs), "[aria-label=\"scores of all runs\"] tbody td");
    assert_eq!(
        cells,
        ["4", "40.00", "25.00 ± 12.91", "25.00", "10.00", "1", "50.00", "50.00", "50.00", "50.00"]
    );
    // A comparison with a table needs no scores.
    let both = [run(2), RunView { folder: "runs/b".into(), ..run(2) }];
    assert!(texts(&parse(&both), "[aria-label=\"scores of all runs\"]").is_empty());
}
