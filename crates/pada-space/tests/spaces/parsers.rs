//! No text makes a parser panic, and what it takes it writes back.
use pada_space::{
    Arch, DARTS_NAMED, Darts, Genotype, MobileSpec, NasBenchMacro, PROXYLESS_NAMED, Proxyless,
    ProxylessWidths, SearchSpace,
};
use proptest::prelude::*;

fn read_all(text: &str) {
    let spaces: [&dyn SearchSpace; 3] = [&Darts, &Proxyless::new(ProxylessWidths::SEARCH), &NasBenchMacro];
    for space in spaces {
        if let Ok(arch) = space.parse(text) {
            space.check(&arch).unwrap();
            assert_eq!(
                space.parse(&space.format(&arch).unwrap()).unwrap().choices().len(),
                space.n_ops().len()
            );
        }
    }
    if let Ok(arch) = text.parse::<Arch>() {
        assert_eq!(arch.to_string().parse::<Arch>().unwrap(), arch);
    }
    if let Ok(genotype) = Genotype::parse(text) {
        assert_eq!(Genotype::parse(&genotype.to_string()).unwrap(), genotype);
        assert_eq!(Genotype::parse(&genotype.to_json()).unwrap(), genotype);
    }
    if let Ok(spec) = text.parse::<MobileSpec>() {
        assert_eq!(spec.to_string().parse::<MobileSpec>().unwrap(), spec);
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) }
}

/// A published text with some characters replaced by others of such texts, or cut out.
fn damaged() -> impl Strategy<Value = String> {
    let texts: Vec<&str> = DARTS_NAMED.iter().chain(PROXYLESS_NAMED).map(|named| named.text).collect();
    let edits = prop::collection::vec((any::<usize>(), "[a-z0-9()\\[\\]{}',;=x>é -]{0,3}"), 0..4);
    (prop::sample::select(texts), edits).prop_map(|(text, edits)| {
        let mut chars: Vec<char> = text.chars().collect();
        for (at, new) in edits {
            let at = at % chars.len();
            chars.splice(at..(at + 1).min(chars.len()), new.chars());
            if chars.is_empty() {
                chars.push('(');
            }
        }
        chars.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        read_all(&text);
    }

    #[test]
    fn any_text_of_their_characters_is_read_or_refused(text in "[ a-z0-9()\\[\\]{}\"',;:=_>-]{0,60}") {
        read_all(&text);
    }

    #[test]
    fn damaged_architectures_are_read_or_refused(text in damaged()) {
        read_all(&text);
    }
}

/// The forms in which logs, papers and scripts write the same genotype.
#[test]
fn genotypes_are_read_as_other_projects_write_them() {
    use pada_space::{DARTS_NAMED, Genotype, find_named};

    let text = find_named(DARTS_NAMED, "DARTS_V2").unwrap().text;
    let expected = Genotype::parse(text).unwrap();
    let call = expected.to_string();
    let weighted = each_edge(&call, |op, from| format!("({op}, {from}, 0.43)"));
    let square = each_edge(&call, |op, from| format!("[{op}, {from}]"));
    let dict = format!("{{'{}", &call["Genotype(".len()..call.len() - 1]);
    let dict = dict
        .replace(", normal_concat=", ", 'normal_concat': ")
        .replace(", reduce_concat=", ", 'reduce_concat': ");
    let dict = dict.replace("{'normal=", "{'normal': ").replace(", reduce=", ", 'reduce': ") + "}";
    for text in [
        format!("genotypes.{call}"),
        format!("{call},"),
        format!("2018-06-27 13:25:46,379 genotype = {call}"),
        call.replace(", reduce=", ",\n         reduce="),
        call.replace('\'', "\u{2019}"),
        format!("{}, connectN=None)", &call[..call.len() - 1]),
        weighted,
        square,
        dict,
        per_node(&call),
    ] {
        assert_eq!(Genotype::parse(&text).as_ref(), Ok(&expected), "{text}");
    }
    let two = format!("epoch 1 {call}\nepoch 2 {call}");
    let error = Genotype::parse(&two).unwrap_err().to_string();
    assert!(error.contains("2 genotypes") && error.contains("tail -n 1"), "{error}");
    for wrong in [call.replacen(", 0)", ", 0, many)", 1), call.replacen("normal=", "normal=[", 1)] {
        assert!(Genotype::parse(&wrong).is_err(), "{wrong}");
    }
}

/// Rewrites every edge of a genotype.
fn each_edge(text: &str, edge: impl Fn(&str, &str) -> String) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("('") {
        let end = at + rest[at..].find(')').unwrap();
        let (op, from) = rest[at + 1..end].split_once(", ").unwrap();
        out += &rest[..at];
        out += &edge(op, from);
        rest = &rest[end + 1..];
    }
    out + rest
}

/// Writes a list of edges per node.
fn per_node(text: &str) -> String {
    let count = std::cell::Cell::new(0);
    each_edge(text, |op, from| {
        count.set(count.get() + 1);
        let edge = format!("({op}, {from})");
        if count.get() % 2 == 1 { format!("[{edge}") } else { format!("{edge}]") }
    })
}

#[test]
fn cells_of_nas_bench_201_are_read_as_other_projects_write_them() {
    use pada_space::{Nb201, SearchSpace};

    let space = Nb201::new();
    let string = space.format(&space.parse("301010").unwrap()).unwrap();
    for text in [
        "[3, 0, 1, 0, 1, 0]".to_owned(),
        "(3, 0, 1, 0, 1, 0)".to_owned(),
        "3,0,1,0,1,0".to_owned(),
        "3 0 1 0 1 0".to_owned(),
        "'301010'".to_owned(),
        "\"301010\",".to_owned(),
        "301010.0".to_owned(),
        format!("Structure(4 nodes with {string})"),
        format!("'{string}'"),
        string.replace('+', " + "),
    ] {
        assert_eq!(space.parse(&text).unwrap().to_string(), "301010", "{text}");
    }
    for (text, word) in
        [("1234", "write 001234"), ("12340.0", "write 012340"), ("13714", "the index of a benchmark")]
    {
        let error = space.parse(text).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    let error = space.parse(&format!("{string}, {string}")).unwrap_err().to_string();
    assert!(error.contains("2 cells"), "{error}");
    assert!(space.parse("[3, 0, 1, 0, 1]").is_err());
    assert!(space.parse("[3, 0, 1, 0, 1, 12]").is_err());
}

/// The pair of digits and string is one that a public notebook prints with `convert_op_indices_to_str` of NASLib, and the dict is the example of
/// NNI's documentation.
#[test]
fn cells_of_naslib_and_nni_are_read() {
    use pada_space::{Nb201, Nb201Encoding, SearchSpace};

    let string = "|avg_pool_3x3~0|+|skip_connect~0|none~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_1x1~2|";
    let (space, naslib) = (Nb201::new(), Nb201::with_encoding(Nb201Encoding::Naslib));
    let expected = space.parse(string).unwrap();
    assert_eq!(naslib.parse("(4, 0, 3, 1, 4, 3)"), Ok(expected.clone()));
    assert_eq!(naslib.parse(string), Ok(expected.clone()));
    assert_ne!(space.parse("(4, 0, 3, 1, 4, 3)"), Ok(expected));
    let dict = "{'0_1': 'avg_pool_3x3', '0_2': 'conv_1x1', '1_2': 'skip_connect', '0_3': 'conv_1x1', '1_3': 'skip_connect', '2_3': 'skip_connect'}";
    assert_eq!(space.parse(dict).unwrap().to_string(), "421211");
    assert!(space.parse(&dict.replace("'2_3'", "'2_4'")).unwrap_err().to_string().contains("2_3 is missing"));
    assert!(space.parse(&dict.replace("conv_1x1", "conv_5x5")).unwrap_err().to_string().contains("conv_5x5"));
}

/// Texts that no space reads get a message that says what is wrong with them.
#[test]
fn a_log_line_and_a_rounded_number_are_explained() {
    let error = |text: &str| Darts.parse(text).unwrap_err().to_string();
    let line = error(&format!("2018-06-27 13:25:46,379 epoch 3 train_acc 91.2 {}", "x".repeat(200)));
    assert!(line.contains("no published name") && !line.contains("nearest"), "{line}");
    assert!(!line.contains(&"x".repeat(60)), "{line}");
    let rounded = error("1.2342343e+33");
    assert!(rounded.contains("column as text"), "{rounded}");
    assert!(NasBenchMacro.parse("121212.0").unwrap_err().to_string().contains("write 00121212"));
}

#[test]
fn names_of_architectures_are_unique_without_case_and_signs() {
    use pada_space::{DARTS_NAMED, PROXYLESS_NAMED, find_named};

    for table in [DARTS_NAMED, PROXYLESS_NAMED] {
        for named in table {
            for name in
                [named.name.to_lowercase(), named.name.replace('_', "-"), named.name.replace('_', " ")]
            {
                assert_eq!(find_named(table, &name), Some(named), "{name}");
            }
        }
    }
}
