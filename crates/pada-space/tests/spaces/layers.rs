//! Spaces of layers one behind the other: ProxylessNAS and NAS-Bench-Macro.
use std::collections::HashSet;

use pada_space::{
    Equivalence, MobileLayer, MobileSpec, NasBenchMacro, PROXYLESS_NAMED, Proxyless, ProxylessWidths,
    SearchSpace, SpaceError,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

#[test]
fn proxyless_networks_are_read_and_written() {
    let space = Proxyless::new(ProxylessWidths::SEARCH);
    assert_eq!(space.n_ops(), [6, 7, 7, 7, 6, 7, 7, 7, 6, 7, 7, 7, 6, 7, 7, 7, 6, 7, 7, 7, 6]);
    assert_eq!(space.len(), 6_u128.pow(6) * 7_u128.pow(15));
    assert_eq!(space.parse("GM_ProxylessNAS").unwrap().to_string(), "533353135131311155551");
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..200 {
        let arch = space.sample(&mut rng);
        space.check(&arch).unwrap();
        assert_eq!(space.parse(&arch.to_string()).unwrap(), arch);
        assert_eq!(space.parse(&space.format(&arch).unwrap()).unwrap(), arch, "{arch}");
        let spec = space.spec(&arch).unwrap();
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<MobileSpec>(&json).unwrap(), spec);
    }
}

#[test]
fn named_networks_are_read() {
    let read = |named: &pada_space::NamedArch| named.text.parse::<MobileSpec>().unwrap();
    for named in PROXYLESS_NAMED {
        let spec = read(named);
        assert_eq!(spec.to_string().parse::<MobileSpec>().unwrap(), spec, "{}", named.name);
    }
    let layers: Vec<usize> = PROXYLESS_NAMED.iter().map(|named| read(named).layers.len()).collect();
    assert_eq!(layers, [13, 19, 19, 21, 15, 22]);
    let mobile = Proxyless::new(ProxylessWidths::MOBILE);
    assert_eq!(mobile.parse("FairNAS_A").unwrap().to_string(), "406641500552122115153");
    assert_eq!(mobile.parse("proxyless_mobile").unwrap().choices()[2..4], [6, 6]);
    let gpu = Proxyless::new(ProxylessWidths::GPU);
    assert_eq!(gpu.parse("proxyless_gpu").unwrap().to_string(), "266640665266302655535");
    let other = mobile.parse("GM_ProxylessNAS").unwrap_err();
    assert!(matches!(&other, SpaceError::Malformed { reason, .. } if reason.contains("width 32")), "{other}");
    assert!(matches!(mobile.parse("FBNet_C"), Err(SpaceError::Malformed { .. })));
}

#[test]
fn bad_networks_say_what_is_wrong() {
    let reason = |text: &str| match text.parse::<MobileSpec>().unwrap_err() {
        SpaceError::Malformed { reason, .. } => reason,
        other => other.to_string(),
    };
    assert!(reason("stem 32; 1280").contains("2 parts"));
    assert!(reason("stem x; (24,3,2,6); 1280").contains("not a number"));
    assert!(reason("stem 32; (24,3,2); 1280").contains("3 numbers"));
    assert!(reason("stem 32; (24,4,2,6); 1280").contains("even"));
    assert!(reason("stem 32; (24,3,2,6)x99; 1280").contains("99 times"));
    assert!(reason("stem 32; (24,3,2,6,7); 1280").contains("not a fraction"));
    assert!(reason("stem 32; ; 1280").contains("no block"));
    let long = Proxyless::new(ProxylessWidths::SEARCH).parse("66666");
    assert!(matches!(long, Err(SpaceError::WrongLength { found: 5, expected: 21, .. })));
    let skip = Proxyless::new(ProxylessWidths::SEARCH).parse("611111111111111111111");
    assert!(matches!(skip, Err(SpaceError::UnknownOp { decision: 0, .. })));
}

#[test]
fn skipped_layers_may_change_places_with_own_weights() {
    let space = Proxyless::new(ProxylessWidths::SEARCH);
    let own = |text: &str| {
        space.canonical(&space.parse(text).unwrap(), Equivalence::OwnWeights).unwrap().to_string()
    };
    assert_eq!(own("065600000000000000000"), "056600000000000000000");
    let shared = space.parse("065600000000000000000").unwrap();
    assert_eq!(space.canonical(&shared, Equivalence::SharedWeights).unwrap(), shared);
    let spec = space.spec(&shared).unwrap();
    assert_eq!(spec.layers.iter().filter(|layer| **layer == MobileLayer::Skip).count(), 2);
}

#[test]
fn macro_architectures_survive_their_codec() {
    let space = NasBenchMacro;
    let mut seen = HashSet::new();
    for arch in space.archs() {
        assert_eq!(space.parse(&space.format(&arch).unwrap()).unwrap(), arch);
        seen.insert(space.canonical(&arch, Equivalence::OwnWeights).unwrap());
    }
    // Stages of 1, 2 and 2 layers behind the first: Σ 2^k over the number k that is no identity.
    assert_eq!((space.len(), seen.len()), (6_561, (3 * 3) * (3 * 7) * (3 * 7)));
    assert!(matches!(space.parse("0000003"), Err(SpaceError::WrongLength { found: 7, .. })));
    assert!(matches!(space.parse("00000003"), Err(SpaceError::UnknownOp { decision: 7, .. })));
}
