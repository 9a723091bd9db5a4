//! Weights and multiply-adds of published networks, as independent scripts count them.
//!
//! Source: the design notes' `genotypes.md`, "Params / MACs \[calc\]": DARTS networks with C=36, 20 cells, no auxiliary head, 32×32;
//! MobileNet-like ones at 224×224, weights of norms counted. Equal to what the authors' code prints where it prints anything.

use pada_graph::{Cost, Graph, Lower, Shape, WeightLayout};
use pada_models::{
    DartsModel, DartsNet, DartsSize, DartsTraining, MacroNet, MobileModel, Norms, ProxylessNet,
};
use pada_space::{
    Arch, DARTS_NAMED, Darts, DartsCells, Genotype, NasBenchMacro, PROXYLESS_NAMED, Proxyless,
    ProxylessWidths, SearchSpace, find_named,
};

use crate::shared;

/// Name (its beginning), weights, millions of multiply-adds.
const DARTS: [(&str, u64, &str); 27] = [
    ("NASNet", 3_830_950, "603.5"),
    ("AmoebaNet", 3_145_078, "488.9"),
    ("DARTS_V1", 3_169_414, "501.0"),
    ("DARTS_V2", 3_349_342, "528.4"),
    ("PNASNet", 4_481_110, "706.0"),
    ("GDAS_V1", 3_368_782, "519.4"),
    ("darts_pt_s5_0", 2_851_246, "449.1"),
    ("darts_pt_s5_1", 3_053_206, "471.7"),
    ("darts_pt_s5_2", 2_658_142, "413.1"),
    ("darts_pt_s5_3", 3_328_174, "517.7"),
    ("blank_pt_s5_0", 3_039_598, "477.6"),
    ("blank_pt_s5_1", 3_148_030, "496.2"),
    ("blank_pt_s5_3", 3_404_854, "533.0"),
    ("XNAS", 3_793_438, "595.5"),
    ("Random_NSAS", 3_083_014, "489.3"),
    ("Random_NSAS_C", 3_546_766, "552.4"),
    ("search_darts_sota_ws_res_s5_0", 3_952_630, "625.8"),
    ("search_darts_sota_ws_res_s5_1", 3_830_158, "614.1"),
    ("search_darts_sota_ws_res_s5_2", 3_660_166, "571.7"),
    ("search_darts_sota_ws_res_s5_3", 4_109_446, "648.2"),
    ("search_darts_so_sota_ws_s5_0", 3_517_174, "557.0"),
    ("search_darts_so_sota_ws_s5_1", 3_658_438, "580.1"),
    ("search_darts_so_sota_ws_s5_2", 3_524_734, "554.1"),
    ("search_darts_so_sota_ws_s5_3", 3_397_726, "540.7"),
    ("search_snas_ws_darts_res_s5_0", 4_495_438, "737.4"),
    ("search_snas_ws_darts_res_s5_2", 3_227_518, "507.0"),
    ("few_shot_NAS_arch", 3_789_982, "595.1"),
];

const MOBILE: [(&str, u64, &str); 5] = [
    ("proxyless_gpu", 7_119_848, "465.26"),
    ("FairNAS_A", 4_651_352, "388.12"),
    ("GM_ProxylessNAS", 4_895_208, "529.67"),
    ("MnasNet_A1", 3_887_038, "311.58"),
    ("FBNet_C", 5_570_664, "378.14"),
];

const IMAGENET: Shape = Shape { channels: 3, height: 224, width: 224 };

/// Weights, and millions of multiply-adds with as many digits as `digits` has.
fn count(graph: &Graph, layout: &WeightLayout, digits: &str) -> (u64, String) {
    let cost = Cost::of(graph, layout);
    let decimals = digits.split_once('.').map_or(0, |(_, after)| after.len());
    (cost.params, format!("{:.decimals$}", cost.macs as f64 / 1e6))
}

#[test]
fn every_darts_genotype_costs_what_its_authors_say() {
    let space_net = DartsNet::new(DartsSize::CIFAR, Norms::Affine);
    let mut wrong = Vec::new();
    for (name, params, macs) in DARTS {
        let begins = |n: &str| n == name || name.starts_with("search") && n.starts_with(name);
        let named = DARTS_NAMED.iter().find(|named| begins(named.name)).unwrap();
        let genotype = Genotype::parse(named.text).unwrap();
        let model = DartsModel::new(&genotype, DartsSize::CIFAR);
        let found = count(&model.graph().unwrap(), model.weights(), macs);
        if found != (params, macs.to_owned()) {
            wrong.push(format!("{name}: {found:?}, not {params} {macs}"));
        }
        // The network of all operations counts the same for an architecture of the space.
        if let Ok(arch) = Darts::arch(&genotype) {
            assert_eq!(count(&space_net.lower(&arch).unwrap(), space_net.weights(), macs), found, "{name}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_mobile_network_costs_what_its_authors_say() {
    let mut wrong = Vec::new();
    for (name, params, macs) in MOBILE {
        let named = find_named(PROXYLESS_NAMED, name).unwrap();
        let model = MobileModel::new(&named.text.parse().unwrap(), IMAGENET, 1000);
        let found = count(&model.lower(&Arch::new([])).unwrap(), model.weights(), macs);
        if found != (params, macs.to_owned()) {
            wrong.push(format!("{name}: {found:?}, not {params} {macs}"));
        }
    }
    for (name, widths) in [
        ("proxyless_gpu", ProxylessWidths::GPU),
        ("FairNAS_A", ProxylessWidths::MOBILE),
        ("GM_ProxylessNAS", ProxylessWidths::SEARCH),
    ] {
        let (_, params, macs) = MOBILE.into_iter().find(|row| row.0 == name).unwrap();
        let net = ProxylessNet::new(&widths, IMAGENET, 1000, Norms::Affine);
        let arch = Proxyless::new(widths).parse(name).unwrap();
        let found = count(&net.lower(&arch).unwrap(), net.weights(), macs);
        assert_eq!(found, (params, macs.to_owned()), "{name} in the network of all operations");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// AGNAS has five different cells. Its paper gives 3.6 million parameters; the exact counts are those of the twin in PyTorch, counted by
/// hooks on its modules.
#[test]
fn cells_may_differ_from_stage_to_stage() {
    let cells: DartsCells = "AGNAS".parse().unwrap();
    let model = DartsModel::of_cells(&cells, DartsSize::CIFAR, DartsTraining::default());
    let cost = Cost::of(&model.graph().unwrap(), model.weights());
    assert_eq!(cost, Cost { params: 3_611_998, macs: 575_858_314 });
}

/// The paper of DARTS gives 4.7 million parameters. Its 574 million multiply-adds include more than convolutions and linear layers, of
/// which the twin in PyTorch has as many as this network; see <https://github.com/quark0/darts/issues/46>.
#[test]
fn the_darts_network_for_imagenet_costs_what_its_twin_costs() {
    let cells: DartsCells = "DARTS_V2".parse().unwrap();
    let model = DartsModel::of_cells(&cells, DartsSize::IMAGENET, DartsTraining::default());
    let cost = Cost::of(&model.graph().unwrap(), model.weights());
    assert_eq!(cost, Cost { params: 4_718_752, macs: 529_912_552 });
}

#[test]
fn macro_networks_cost_what_the_benchmark_says() {
    let net = MacroNet::new(Shape::new(3, 32, 32), 10, Norms::Affine);
    let check = |arch: &str, params: u64, flops: u64| {
        let graph = net.lower(&NasBenchMacro.parse(arch).unwrap()).unwrap();
        // The benchmark does not count the classifier's ten biases.
        assert_eq!(Cost::of(&graph, net.weights()), Cost { params, macs: flops + 10 }, "{arch}");
    };
    check("00000000", 387_882, 7_713_280);
    check("00000001", 791_594, 14_115_328);
    check("00000002", 1_219_370, 20_910_592);
    let Some(tables) = shared::tables() else { return };
    let path = tables.join("nas_bench_macro/nas_bench_macro_cifar10.csv");
    if !path.exists() {
        return shared::skip("nas_bench_macro_cifar10.csv");
    }
    let text = std::fs::read_to_string(path).unwrap();
    let mut rows = 0;
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        check(cells[0], cells[5].parse().unwrap(), cells[6].parse().unwrap());
        rows += 1;
    }
    assert_eq!(rows, 6_561);
}

/// Names are those of the twin in PyTorch.
#[test]
fn weights_say_which_operation_they_belong_to() {
    let net = DartsNet::new(DartsSize::SEARCH, Norms::Plain);
    let owner = |name: &str| {
        let owner = net.weights().spec(net.weights().find(name).unwrap()).owner.clone();
        owner.map(|owner| (owner.cell, owner.position, owner.op))
    };
    assert_eq!(owner("stem.0.weight"), None);
    assert_eq!(owner("cells.0.pre0.1.weight"), None);
    assert_eq!(owner("cells.3.pre0.conv_2.weight"), None);
    assert_eq!(owner("cells.1.edges.4<-1.sep_conv_5x5.6.weight"), Some((1, 6, 5)));
    assert_eq!(owner("cells.2.edges.2<-1.skip_connect.conv_1.weight"), Some((2, 17 + 1, 3)));
    let arch = Darts.parse("DARTS_V2").unwrap();
    let graph = net.lower(&arch).unwrap();
    let used: Vec<_> =
        graph.weights().into_iter().filter(|id| net.weights().spec(*id).owner.is_some()).collect();
    assert_eq!(net.on_path(&arch), used);
}
