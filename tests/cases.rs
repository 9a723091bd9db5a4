//! Files and notations of other projects, as users bring them: `docs/cases.md` lists the cases.

use std::path::Path;

use crate::program::{Call, call};

/// Architectures of the table `mini`, the best last.
fn ranked() -> Vec<String> {
    let table = pada::nasbench::mini().unwrap();
    let mut rows: Vec<(f64, String)> =
        table.archs().iter().zip(table.accuracies()).map(|(arch, &acc)| (acc, arch.to_string())).collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    rows.into_iter().step_by(10).map(|(_, arch)| arch).collect()
}

/// A table of these architectures whose score is their place, between `separator`s.
fn table(header: [&str; 2], separator: char) -> String {
    let rows = ranked().into_iter().enumerate().map(|(i, arch)| format!("{arch}{separator}{i}\n"));
    format!("{}\n{}", header.join(&separator.to_string()), rows.collect::<String>())
}

fn metrics(file: &Path, further: &[&str]) -> Call {
    let args = ["metrics", "--truth", "mini", "--json", "--pred", file.to_str().unwrap()];
    call(&[&args[..], further].concat())
}

fn tau(file: &Path, further: &[&str]) -> f64 {
    metrics(file, further).json()["tau_b"].as_f64().unwrap()
}

fn utf16(text: &str) -> Vec<u8> {
    std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

#[test]
fn tables_of_scores_are_read_as_other_programs_write_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scores.csv");
    let usual = table(["arch", "accuracy"], ',');
    let counts: String = usual.lines().skip(1).map(|line| format!("{line},29\n")).collect();
    for (content, what) in [
        (usual.clone().into_bytes(), "usual"),
        (table(["arch", "score"], ',').into_bytes(), "the result of a search"),
        (format!("arch,correct,total\n{counts}").into_bytes(), "the scores of a search"),
        (table(["arch", "accuracy"], ';').into_bytes(), "semicolons"),
        (table(["arch", "accuracy"], '\t').into_bytes(), "tabs"),
        (format!("\u{feff}{usual}").into_bytes(), "byte order mark"),
        (utf16(&usual), "UTF-16"),
        (usual.replacen("arch,accuracy", "\"arch\",\"accuracy\"", 1).into_bytes(), "a quoted header"),
        (format!("# a comment, by hand\n\n{usual}").into_bytes(), "comments and empty lines"),
        (
            table(["arch", "accuracy"], '\t').replace('\n', ",5\n").replacen(",5", "", 1).into_bytes(),
            "tabs and decimal commas",
        ),
        (
            table(["arch", "accuracy, %"], ';').replace("accuracy, %", "accuracy").into_bytes(),
            "a decimal comma",
        ),
        (
            usual
                .lines()
                .map(|line| line.replacen(',', ".0,", 1) + "\n")
                .collect::<String>()
                .replacen("arch.0", "arch", 1)
                .into_bytes(),
            "digits as pandas writes them",
        ),
        (
            usual
                .lines()
                .map(|line| line.split(',').rev().collect::<Vec<_>>().join(",") + "\n")
                .collect::<String>()
                .into_bytes(),
            "another order",
        ),
    ] {
        std::fs::write(&file, content).unwrap();
        let found = tau(&file, &[]);
        assert!(found > 0.97, "{what}: {found}");
        let archs = call(&["cost", "--file", file.to_str().unwrap(), "--json"]).json();
        assert_eq!(archs["costs"].as_array().unwrap().len(), 30, "{what}");
    }
    std::fs::write(&file, table(["arch", "loss"], ',')).unwrap();
    metrics(&file, &[]).fails(2, &["there is no column accuracy; the columns are arch, loss; --column NAME"]);
    let text = file.to_str().unwrap();
    call(&["metrics", "--truth", "mini", "--pred", &format!("{text}:loss"), "--column", "arch"])
        .fails(2, &["--column", "FILE:COLUMN"]);
    assert!(tau(&file, &["--column", "loss"]) > 0.97);
    let reversed = metrics(&file, &["--column", "loss", "--lower-is-better"]);
    assert!(reversed.json()["tau_b"].as_f64() < Some(-0.97));
    let negative = table(["arch", "accuracy"], ',').replace(',', ",-").replace("arch,-", "arch,");
    std::fs::write(&file, negative).unwrap();
    assert!(metrics(&file, &[]).stderr.contains("add --lower-is-better"));
    assert!(tau(&file, &["--lower-is-better"]) > 0.97);
}

#[test]
fn rows_without_a_score_and_without_a_truth_can_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scores.csv");
    let worst = &ranked()[0];
    let usual = table(["arch", "accuracy"], ',');
    std::fs::write(&file, usual.replacen(&format!("{worst},0"), &format!("{worst},nan"), 1)).unwrap();
    metrics(&file, &[]).fails(2, &["scores.csv, line 2", "\"nan\"", "--skip-undefined"]);
    // An empty cell is a missing score, and a typo is an error.
    for (cell, left_out) in [("", true), ("NA", true), ("-inf", true), ("9O.5", false)] {
        let bad = usual.replacen(&format!("{worst},0"), &format!("{worst},{cell}"), 1).replace('\n', "\r\n");
        std::fs::write(&file, bad).unwrap();
        let done = metrics(&file, &["--skip-undefined"]);
        match left_out {
            true => assert_eq!(done.json()["n"], 29, "{cell:?}"),
            false => done.fails(2, &["scores.csv, line 2", "9O.5", "must be a number"]),
        }
    }
    let counts = |correct: &str| {
        std::fs::write(&file, format!("arch,correct,total\r\n000000,1,9\r\n{worst},{correct},29\r\n"))
            .unwrap();
        metrics(&file, &["--skip-undefined"])
    };
    counts("30").fails(2, &["line 3", "30 / 29", "from 0 to total"]);
    counts("-1").fails(2, &["line 3", "-1 / 29"]);
    std::fs::write(&file, usual.replacen(&format!("{worst},0"), &format!("{worst},nan"), 1)).unwrap();
    let done = metrics(&file, &["--skip-undefined"]);
    assert_eq!(done.json()["n"], 29);
    assert!(done.stderr.contains("left out 1 architectures"), "{}", done.stderr);

    let table = pada::nasbench::mini().unwrap();
    let space = pada::space::Nb201::new();
    let other = (0..)
        .filter_map(|i| pada::space::SearchSpace::nth(&space, i))
        .find(|arch| table.accuracy(arch).is_none());
    std::fs::write(&file, format!("{usual}{},7\n", other.unwrap())).unwrap();
    metrics(&file, &[]).fails(2, &["mini", "--common"]);
    let done = metrics(&file, &["--common"]);
    assert_eq!(done.json()["n"], 30);
    assert!(done.stderr.contains("left out 1 of 31"), "{}", done.stderr);
    assert!(done.json()["partial_tau_given_params"].is_number());
}

/// `tests/data/make_released_scores.py` writes the file with numpy.
#[test]
fn score_files_of_the_released_code_are_read() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/released_scores.npy");
    let text = file.to_str().unwrap();
    // The predictions are in the order of the accuracies but for the first two.
    let json = call(&["metrics", "--pred", text, "--truth", text, "--json"]).json();
    assert_eq!((json["n"].as_u64(), json["tau_b"].as_f64()), (Some(5), Some(0.8)));
    call(&["metrics", "--pred", text, "--column", "loss", "--truth", text]).fails(2, &["no number loss"]);

    // Integers, arrays, another byte order, and a score that is not defined. The predictions are in the order of the accuracies.
    let numpy = file.with_file_name("numpy_scores.npy");
    let text = numpy.to_str().unwrap();
    let metrics =
        |further: &[&str]| call(&[&["metrics", "--pred", text, "--truth", text, "--json"], further].concat());
    metrics(&[]).fails(2, &["line 6", "NaN", "--skip-undefined"]);
    let json = metrics(&["--skip-undefined"]).json();
    assert_eq!((json["n"].as_u64(), json["tau_b"].as_f64()), (Some(5), Some(1.0)));
}

#[test]
fn a_cut_file_and_log_lines_are_read_for_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("archs.csv");
    let mut cut = utf16(&table(["arch", "accuracy"], ','));
    cut.pop();
    std::fs::write(&file, cut).unwrap();
    metrics(&file, &[]).fails(2, &["archs.csv", "UTF-16", "missing"]);
    // The name of an architecture is what was read, and not the line around it.
    let genotype = pada::space::DARTS_NAMED.iter().find(|named| named.name == "DARTS_V2").unwrap().text;
    let line =
        |epoch: u32| format!("2018-06-27 13:25:46,379 epoch {epoch} genotype = Genotype({genotype})\n");
    let cost = |archs: &[&str]| {
        call(&[&["cost", "--space", "darts", "--channels", "4", "--cells", "3", "--json"], archs].concat())
    };
    let json = cost(&["--arch", &line(1)]).json();
    assert!(json["arch"].as_str().unwrap().starts_with("Genotype(normal=[("), "{json}");
    std::fs::write(&file, line(1) + &line(2)).unwrap();
    cost(&["--file", file.to_str().unwrap()]).fails(2, &["line 2", "occurs already in line 1"]);
    cost(&["--arch", &(line(1) + &line(2))]).fails(2, &["2 genotypes", "tail -n 1"]);
}

#[test]
fn names_ignore_case_and_signs_and_unknown_ones_get_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scores.csv");
    std::fs::write(&file, table(["arch", "accuracy"], ',')).unwrap();
    let truth = |name| call(&["metrics", "--pred", file.to_str().unwrap(), "--truth", name]);
    assert_eq!(truth("MINI").code, 0);
    for name in ["NB201", "nas-bench-201", "NASBench201"] {
        truth(name).fails(2, &["nasbench201.csv", "pada download nb201"]);
    }
    truth("nb301").fails(2, &["nb301", "darts-1000"]);
    let cost = |name| call(&["cost", "--space", "darts", "--genotype", name]);
    assert_eq!(cost("darts-v2").code, 0);
    let unknown = cost("DARTS");
    unknown.fails(2, &["the nearest names are DARTS_V1, DARTS_V2, "]);
    assert!(unknown.stderr.len() < 200, "{}", unknown.stderr);
}

#[test]
fn digits_of_another_project_are_read_with_its_encoding() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scores.csv");
    std::fs::write(
        &file,
        "arch,accuracy\n\"(4, 0, 3, 1, 4, 3)\",1\n\"(2, 2, 2, 2, 2, 2)\",2\n\"(0, 0, 0, 0, 0, 0)\",3\n",
    )
    .unwrap();
    let (text, naslib) = (file.to_str().unwrap(), ["--encoding", "naslib"]);
    let json = call(&[&["cost", "--file", text, "--json"][..], &naslib].concat()).json();
    let archs: Vec<&str> =
        json["costs"].as_array().unwrap().iter().map(|cost| cost["arch"].as_str().unwrap()).collect();
    assert_eq!(archs, ["410242", "333333", "111111"]);
    let truth = folder.path().join("truth.csv");
    let strings = "arch,accuracy\n|avg_pool_3x3~0|+|skip_connect~0|none~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_1x1~2|,1\n\"[2,2,2,2,2,2]\",2\n\"[0,0,0,0,0,0]\",3\n";
    std::fs::write(&truth, strings).unwrap();
    let args = ["metrics", "--pred", text, "--truth", truth.to_str().unwrap(), "--json"];
    assert_eq!(call(&[&args[..], &naslib].concat()).json()["tau_b"], 1.0);
    call(&args).fails(2, &["403143"]);
    call(&[&["cost", "--space", "macro", "--arch", "00000000"][..], &naslib].concat())
        .fails(2, &["--encoding", "nb201"]);
}

#[test]
fn files_that_are_no_tables_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scores.csv");
    for (bytes, word) in [(&b"\x1f\x8b\x08"[..], "gzip"), (b"PK\x03\x04", "zip archive")] {
        std::fs::write(&file, bytes).unwrap();
        metrics(&file, &[]).fails(2, &["scores.csv", word]);
    }
    for header in ["arch,accuracy,accuracy", "arch,accuracy,arch"] {
        let rows: String = ranked().iter().map(|arch| format!("{arch},1,{arch}\n")).collect();
        std::fs::write(&file, format!("{header}\n{rows}")).unwrap();
        let name = header.rsplit(',').next().unwrap();
        metrics(&file, &[]).fails(2, &["scores.csv", &format!("the column {name} occurs twice")]);
    }
}

/// Architectures of one size: only the partial tau is undefined.
#[test]
fn architectures_with_equally_many_parameters_have_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let [scores, truth] = ["scores.csv", "truth.csv"].map(|name| folder.path().join(name));
    let rows = |numbers: [u8; 4]| -> String {
        let archs = ["301000", "031000", "300100", "030100"];
        archs.iter().zip(numbers).map(|(arch, number)| format!("{arch},{number}\n")).collect()
    };
    std::fs::write(&scores, format!("arch,accuracy\n{}", rows([1, 2, 4, 3]))).unwrap();
    std::fs::write(&truth, format!("arch,accuracy\n{}", rows([1, 2, 3, 4]))).unwrap();
    let [scores, truth] = [&scores, &truth].map(|path| path.to_str().unwrap());
    let found = call(&["metrics", "--pred", scores, "--truth", truth, "--json"]);
    let found = found.json();
    assert!((found["tau_b"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-12, "{found}");
    assert!(found["partial_tau_given_params"].is_null(), "{found}");
}

#[test]
fn a_config_in_utf16_is_read_and_folders_of_other_programs_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("run.toml");
    std::fs::write(&config, utf16("[train]\nepochs = 0\n")).unwrap();
    call(&["--config", config.to_str().unwrap()]).fails(2, &["train.epochs"]);

    let list = folder.path().join("archs.txt");
    std::fs::write(&list, "333333\n").unwrap();
    let opened = folder.path().join("opened");
    std::fs::create_dir(&opened).unwrap();
    let rank = |further: &[&str]| {
        let [opened, list] = [&opened, &list].map(|path| path.to_str().unwrap());
        let all = ["rank", "--weights", opened, "--data", "mini", "--archs", list, "--out", "x.csv"];
        call(&[&all[..], further].concat())
    };
    std::fs::write(opened.join("data.pkl"), "").unwrap();
    for further in [&[][..], &["--channels", "8"]] {
        rank(further).fails(2, &["opened", "unpacked PyTorch file"]);
    }
    std::fs::write(opened.join("model.safetensors"), "").unwrap();
    rank(&["--channels", "8"]).fails(2, &["model.safetensors", "give this file"]);

    call(&["cost", "--arch", "64:8:16:64:32"]).fails(2, &["size search space of NATS-Bench"]);
    call(&["cost", "--arch", "[[0,1,1],[0,0,1],[0,0,0]]"]).fails(2, &["NAS-Bench-101"]);
}

/// One image is left over after the batch of 64 from which zero-cost scores are computed.
#[test]
fn one_image_more_than_a_batch_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run").display().to_string();
    let settings = [
        "train.epochs=1",
        "data.train_images=65",
        "rank.images=64",
        "rank.archs=random:2",
        "rank.truth=none",
    ];
    let settings: Vec<&str> = settings.iter().flat_map(|set| ["--set", *set]).collect();
    let run = call(&[&["--out", &out, "--set", "rank.compare=[]"][..], &settings].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
}
