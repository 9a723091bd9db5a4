//! Architectures in other notations, and as pictures.

use std::path::Path;

use pada::space::Nb201Encoding;
use pada::trainer::RngStream;
use pada::{Notation, ReadArch, SpaceName};

use crate::program::call;

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
