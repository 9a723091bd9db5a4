//! Architectures in other notations, and as pictures.

use std::path::Path;

use pada::space::Nb201Encoding;
use pada::trainer::RngStream;
use pada::{Notation, ReadArch, SpaceName};

use crate::program::{Call, call, program};
use crate::shared;

fn convert(args: &[&str]) -> Call {
    call(&[&["convert"], args].concat())
}

/// Calls the program where it finds the benchmark table.
fn with_table(args: &[&str]) -> Call {
    program().args(args).env("PADA_DATA", shared::tables().unwrap_or_default()).output().unwrap().into()
}

#[test]
fn every_notation_of_a_random_architecture_is_read_back() {
    let spaces = [
        (SpaceName::Nb201, &[Notation::Digits, Notation::String, Notation::Naslib, Notation::Nni][..]),
        (SpaceName::Darts, &[Notation::Digits, Notation::String, Notation::Genotype]),
        (SpaceName::Proxyless, &[Notation::Digits, Notation::String]),
        (SpaceName::Macro, &[Notation::Digits, Notation::String]),
    ];
    let mut rng = RngStream::Rank.stream(7);
    for (name, notations) in spaces {
        let space = pada::search_space(name);
        for _ in 0..200 {
            let digits = space.without_dead_edges(&space.sample(&mut rng)).unwrap().to_string();
            for &notation in notations {
                let read = ReadArch::parse(name, &digits, Nb201Encoding::Benchmark).unwrap();
                let text = read.write(notation, None).unwrap();
                let encoding = match notation {
                    Notation::Naslib => Nb201Encoding::Naslib,
                    _ => Nb201Encoding::Benchmark,
                };
                let back = ReadArch::parse(name, &text, encoding).unwrap();
                assert_eq!(back.write(Notation::Digits, None).unwrap(), digits, "{notation}: {text}");
                assert_eq!(back.write(notation, None).unwrap(), text);
                assert!(!read.picture().unwrap().parts.is_empty());
            }
        }
    }
}

#[test]
fn published_genotypes_keep_their_cells() {
    for named in pada::space::DARTS_NAMED {
        let read = ReadArch::named(SpaceName::Darts, named.name).unwrap();
        let text = read.write(Notation::Genotype, None).unwrap();
        let back = ReadArch::parse(SpaceName::Darts, &text, Nb201Encoding::Benchmark).unwrap();
        assert_eq!(back.write(Notation::Genotype, None).unwrap(), text, "{}", named.name);
    }
}

#[test]
fn convert_reads_one_architecture_or_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let naslib = convert(&["--arch", "410242", "--to", "naslib", "--json"]);
    assert!(naslib.stdout.starts_with("(4, 0, 3, 1, 4, 3)\n"), "{}", naslib.stdout);
    assert_eq!(naslib.json()["archs"][0], "(4, 0, 3, 1, 4, 3)");
    let file = folder.path().join("archs.csv");
    std::fs::write(&file, "arch,accuracy\n\"(4, 0, 3, 1, 4, 3)\",1\n\"(2, 2, 2, 2, 2, 2)\",2\n").unwrap();
    let text = file.to_str().unwrap();
    for option in ["--file", "--from"] {
        let done = convert(&[option, text, "--encoding", "naslib", "--to", "digits"]);
        assert_eq!((done.code, done.stdout.as_str()), (0, "410242\n333333\n"), "{}", done.stderr);
    }
    assert!(convert(&["--from", "333333", "--to", "nasbench"]).stdout.starts_with("|nor_conv_3x3~0|+|"));
    let out = folder.path().join("out.txt");
    let write = |further: &[&str]| {
        convert(
            &[
                &["--file", text, "--encoding", "naslib", "--to", "string", "--out", out.to_str().unwrap()],
                further,
            ]
            .concat(),
        )
    };
    assert_eq!(write(&[]).code, 0);
    assert_eq!(std::fs::read_to_string(&out).unwrap().lines().count(), 2);
    write(&[]).fails(2, &["out.txt exists", "--overwrite"]);
    assert_eq!(write(&["--overwrite"]).code, 0);
    convert(&["--file", text, "--to", "digits", "--out", text]).fails(2, &["archs.csv"]);

    // The numbering of digits is never guessed.
    let read = convert(&["--file", text, "--to", "digits"]);
    assert_eq!(read.stdout, "403143\n222222\n");
    convert(&["--arch", "333333", "--to", "genotype"]).fails(2, &["`--to` is genotype", "naslib"]);
    convert(&["--space", "darts", "--arch", "DARTS_V2", "--to", "naslib"])
        .fails(2, &["digits, string or genotype"]);
    convert(&["--space", "darts", "--arch", "NASNet", "--to", "digits"])
        .fails(2, &["5 nodes, the space has 4"]);
    convert(&["--space", "proxyless", "--arch", "FairNAS_A", "--to", "digits"]).fails(2, &["width 24"]);
    convert(&["--to", "digits"]).fails(2, &["--arch", "--file"]);
    convert(&["--arch", "333333", "--to", "index"]).fails(2, &["pada download nb201"]);
}

#[test]
fn indices_are_those_of_the_benchmark_table() {
    if shared::nb201_table().is_none() {
        return;
    }
    let index = with_table(&["convert", "--arch", "421211", "--to", "index"]);
    assert_eq!((index.code, index.stdout.as_str()), (0, "0\n"), "{}", index.stderr);
    let digits = with_table(&["convert", "--arch", "index:13714", "--to", "digits"]).stdout;
    let back = with_table(&["convert", "--arch", digits.trim(), "--to", "index"]);
    assert_eq!(back.stdout, "13714\n");
    with_table(&["convert", "--arch", "index:15625", "--to", "digits"]).fails(2, &["15625", "15624"]);
    with_table(&["convert", "--arch", "index:x", "--to", "digits"]).fails(2, &["`index` is x"]);
}

#[test]
fn draw_writes_a_picture_of_every_space() {
    let folder = tempfile::tempdir().unwrap();
    for (space, arch, words) in [
        ("nb201", "410242", &["avg_pool_3x3", "nor_conv_1x1", "none"][..]),
        (
            "darts",
            "DARTS_V2",
            &["c_{k-2}", "c_{k-1}", "c_{k}", "normal cell", "reduction cell", "dil_conv_3x3"],
        ),
        ("darts", "AGNAS", &["cell of the second reduction"]),
        ("macro", "01201201", &["identity", "MB6 5×5", "conv 1×1"]),
        ("proxyless", "FBNet_C", &["skip", "MB6 5×5", "352 channels"]),
    ] {
        let done = call(&["draw", "--space", space, "--arch", arch]);
        assert!(done.code == 0 && done.stdout.starts_with("<svg"), "{}", done.stderr);
        for word in words {
            assert!(done.stdout.contains(word), "{word} is not in the picture of {arch}");
        }
        let out = folder.path().join(format!("{arch}.svg"));
        let file = out.to_str().unwrap();
        let json = call(&["draw", "--space", space, "--arch", arch, "--out", file, "--json"]).json();
        assert_eq!(json["file"].as_str(), Some(file));
        assert_eq!(std::fs::read_to_string(&out).unwrap(), done.stdout.trim_end());
    }
    let draw = |out: &Path, further: &[&str]| {
        call(&[&["draw", "--arch", "333333", "--out", out.to_str().unwrap()], further].concat())
    };
    let out = folder.path().join("410242.svg");
    draw(&out, &[]).fails(2, &["410242.svg exists", "--overwrite"]);
    assert_eq!(draw(&out, &["--overwrite"]).code, 0);
    draw(&folder.path().join("cell.png"), &[]).fails(2, &["cell.png", ".svg"]);
    draw(&folder.path().join("no/cell.svg"), &[]).fails(2, &["no/cell.svg"]);
    call(&["draw", "--arch", "33333"]).fails(2, &["33333"]);
    let list = folder.path().join("list.txt");
    std::fs::write(&list, "333333\n111111\n").unwrap();
    let both = call(&["draw", "--file", list.to_str().unwrap()]).stdout;
    assert!(both.contains(">333333<") && both.contains(">111111<"));
}
