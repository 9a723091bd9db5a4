//! Pictures of architectures as SVG.
use pada_report::*;
use proptest::prelude::*;
use scraper::{Html, Selector};

fn edge(from: usize, to: usize, op: &str, kind: OpKind) -> EdgePicture {
    EdgePicture { from, to, op: op.into(), kind }
}

fn cell(edges: Vec<EdgePicture>, nodes: usize) -> ArchPicture {
    let nodes = (0..nodes).map(|node| node.to_string()).collect();
    let cell = CellPicture { title: "normal cell".into(), nodes, edges, output: None };
    ArchPicture { title: "A".into(), parts: vec![PicturePart::Cell(cell)] }
}

/// The labels above the edges of a drawn cell, each as the right end of its text, its height and its text.
fn labels(svg: &str) -> Vec<(f64, f64, String)> {
    let html = Html::parse_fragment(svg);
    assert!(html.errors.is_empty(), "{:?}", html.errors);
    let number = |text: Option<&str>| text.unwrap().parse::<f64>().unwrap();
    let selector = Selector::parse("text[text-anchor=end]").unwrap();
    let texts = html.select(&selector);
    texts.map(|t| (number(t.attr("x")), number(t.attr("y")), t.text().collect())).collect()
}

#[test]
fn a_picture_of_a_cell_has_its_nodes_and_the_names_of_its_edges() {
    let edges = vec![
        edge(0, 1, "nor_conv_3x3", OpKind::Convolution),
        edge(0, 2, "a<b>&c", OpKind::Pooling),
        edge(1, 2, "none", OpKind::Inactive),
    ];
    let mut picture = cell(edges, 3);
    let svg = picture.to_svg();
    for text in [
        "<title>A</title>",
        "normal cell",
        ">nor_conv_3x3<",
        "a&lt;b&gt;&amp;c",
        "dashed",
        "prefers-color-scheme",
    ] {
        assert!(svg.contains(text), "{text} is not in {svg}");
    }
    assert!(!svg.contains("<script") && !svg.contains("http:") | svg.contains("http://www.w3.org/2000/svg"));
    assert_eq!(svg, picture.to_svg());
    assert_eq!(labels(&svg).len(), 3);
    // An edge to a node that is not there is left out, and a cell can concatenate its nodes.
    let PicturePart::Cell(cell) = &mut picture.parts[0] else { unreachable!("the picture is a cell") };
    cell.edges[2].to = 7;
    cell.output = Some(("c_{k}".into(), vec![1, 2]));
    let svg = picture.to_svg();
    assert!(svg.contains("c_{k}") && !svg.contains("dashed:"), "{svg}");
    assert!(svg_of(&[ArchPicture::default(), cell_without_edges()]).starts_with("<svg"));
}

fn cell_without_edges() -> ArchPicture {
    cell(vec![], 0)
}

#[test]
fn a_chain_is_wrapped_and_keeps_its_order() {
    let block = |i: usize| BlockPicture {
        op: format!("block {i}"),
        detail: "16 channels".into(),
        kind: OpKind::Convolution,
    };
    let rows = vec![(0..6).map(block).collect(), vec![block(6)]];
    let chain = PicturePart::Chain(ChainPicture { title: String::new(), rows });
    let svg = ArchPicture { title: "chain".into(), parts: vec![chain] }.to_svg();
    let places: Vec<usize> = (0..7).map(|i| svg.find(&format!(">block {i}<")).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?}");
    // One box per block, and an arrow between two neighbours.
    assert_eq!((svg.matches("class=\"block").count(), svg.matches("class=\"arrow").count()), (7, 6));
}

proptest! {
    #[test]
    fn labels_of_edges_do_not_overlap(sources in prop::collection::vec((0..9_usize, 0..9_usize), 1..6)) {
        // Every node behind the two inputs reads two earlier nodes, possibly the same one twice.
        let edges = sources.iter().enumerate().flat_map(|(i, &(a, b))| {
            [a, b].map(|from| edge(from % (i + 2), i + 2, "sep_conv_3x3", OpKind::Convolution))
        });
        let svg = cell(edges.collect(), sources.len() + 2).to_svg();
        let labels = labels(&svg);
        prop_assert_eq!(labels.len(), 2 * sources.len());
        for (i, a) in labels.iter().enumerate() {
            prop_assert!(a.0 > 8.0 * 12.0, "{:?}", a);
            for b in &labels[..i] {
                prop_assert!((a.1 - b.1).abs() > 18.0, "{:?} {:?}", a, b);
            }
        }
    }
}
