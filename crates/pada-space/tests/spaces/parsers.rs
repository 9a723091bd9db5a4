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
