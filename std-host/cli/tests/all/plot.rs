//! Charts: what is in the file, and what the terminal shows.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use roxmltree::{Document, Node};
use sharelet_cli::plot::{Bars, Chart, LARGEST, Panel, Series};

fn series(name: &str, points: &[(f64, f64)]) -> Series {
    Series { name: name.to_owned(), points: points.to_vec() }
}

fn chart(series: Vec<Series>) -> Chart {
    Chart {
        title: "Accuracy".into(),
        x_label: "epoch".into(),
        y_label: "correct (%)".into(),
        series,
    }
}

fn training() -> Chart {
    let private = [(1.0, 91.2), (2.0, 94.9), (3.0, 96.4), (4.0, 97.3), (5.0, 97.6)];
    let float = [(1.0, 91.9), (2.0, 95.0), (3.0, 96.8), (4.0, 97.2), (5.0, 97.6)];
    chart(vec![series("private", &private), series("float", &float)])
}

fn texts(document: &Document<'_>) -> Vec<String> {
    let texts = document.descendants().filter(|node| node.has_tag_name("text"));
    texts.map(|node| node.text().unwrap_or_default().trim().to_owned()).collect()
}

/// Elements of a kind in a colour, filled.
fn count(document: &Document<'_>, tag: &str, colour: &str) -> usize {
    let is = |node: &Node<'_, '_>| node.has_tag_name(tag) && node.attribute("fill") == Some(colour);
    document.descendants().filter(is).count()
}

#[test]
fn the_file_has_names_axes_and_every_point() {
    let svg = training().svg().expect("draws");
    let document = Document::parse(&svg).expect("well-formed");
    assert!(document.root_element().has_tag_name(("http://www.w3.org/2000/svg", "svg")));
    let texts = texts(&document);
    for text in ["Accuracy", "epoch", "correct (%)", "private", "float", "1", "5"] {
        assert!(texts.iter().any(|there| there == text), "{text} in {texts:?}");
    }
    // Five points and one in the legend, each with a marker of its series; the second series is
    // dashed.
    assert_eq!(count(&document, "circle", "#0072B2"), 6);
    assert_eq!(count(&document, "rect", "#D55E00"), 6);
    let lines = |colour| {
        document
            .descendants()
            .filter(|node| {
                node.has_tag_name("polyline") && node.attribute("stroke") == Some(colour)
            })
            .count()
    };
    assert_eq!(lines("#0072B2"), 2, "a solid line, and its piece in the legend");
    assert!(lines("#D55E00") > 10, "dashes");
}

#[test]
fn numbers_of_an_axis_of_epochs_are_whole() {
    for epochs in 1..=12 {
        let points: Vec<_> = (1..=epochs).map(|epoch| (f64::from(epoch), 0.0)).collect();
        let svg = chart(vec![series("private", &points)]).svg().expect("draws");
        let document = Document::parse(&svg).expect("well-formed");
        let middle = |node: &Node<'_, '_>| node.attribute("text-anchor") == Some("middle");
        let labels = document.descendants().filter(middle);
        let labels = labels.map(|node| node.text().unwrap_or_default().trim().to_owned());
        let names = ["", "Accuracy", "epoch", "correct (%)"];
        let numbers: Vec<String> =
            labels.filter(|label| !names.contains(&label.as_str())).collect();
        assert!(!numbers.is_empty(), "{epochs}");
        assert!(numbers.iter().all(|number| number.parse::<u32>().is_ok()), "{numbers:?}");
    }
}

#[test]
fn the_terminal_shows_markers_axes_and_a_legend() {
    let text = training().terminal(60);
    let expected = include_str!("plot/training.txt");
    assert!(text == expected, "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 60));
}

#[test]
fn values_that_are_no_numbers_are_left_out() {
    let points = [
        (1.0, 0.5),
        (2.0, f64::NAN),
        (3.0, f64::INFINITY),
        (f64::NAN, 0.1),
        (4.0, -2.0 * LARGEST),
        (5.0, 0.25),
    ];
    let with = chart(vec![series("loss", &points)]);
    let without = chart(vec![series("loss", &[(1.0, 0.5), (5.0, 0.25)])]);
    assert_eq!(with.svg().expect("draws"), without.svg().expect("draws"));
    assert_eq!(with.terminal(80), without.terminal(80));
    assert_eq!(count(&Document::parse(&with.svg().unwrap()).unwrap(), "circle", "#0072B2"), 3);
}

#[test]
fn nothing_to_draw_is_a_chart_too() {
    for chart in [
        chart(vec![]),
        chart(vec![series("none yet", &[])]),
        chart(vec![series("none", &[(f64::NAN, f64::NAN)])]),
        Chart::default(),
    ] {
        let svg = chart.svg().expect("draws");
        let document = Document::parse(&svg).expect("well-formed");
        let text = chart.terminal(40);
        for series in &chart.series {
            assert!(
                texts(&document).contains(&series.name) && text.contains(&series.name),
                "{text}"
            );
        }
    }
}

#[test]
fn any_scale_any_width_and_any_number_of_series() {
    let extremes =
        [0.0, 1e-300, -1e-300, 1e-12, LARGEST, -LARGEST, f64::MAX, f64::MIN, 1.0, 1.0 + 1e-15];
    for &a in &extremes {
        for &b in &extremes {
            let chart = chart(vec![series("a", &[(a, b), (b, a)]), series("b", &[(b, b)])]);
            assert!(Document::parse(&chart.svg().expect("draws")).is_ok(), "{a:e} {b:e}");
            for width in [0, 1, 80, 10_000] {
                assert!(chart.terminal(width).lines().count() > 16, "{a:e} {b:e}");
            }
        }
    }
    let many = chart(
        (0..20)
            .map(|index| series(&format!("series {index}"), &[(0.0, f64::from(index))]))
            .collect(),
    );
    let svg = many.svg().expect("draws");
    let (names, text) = (texts(&Document::parse(&svg).unwrap()), many.terminal(80));
    assert!((0..20).all(|index| names.contains(&format!("series {index}"))
        && text.contains(&format!("series {index}"))));
}

#[test]
fn names_neither_break_the_file_nor_steer_the_terminal() {
    let name = "<b>&\"'\u{1b}[2J\u{0}\u{202e}\nπ</b>";
    let harmless = "<b>&\"'\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}π</b>";
    let curves = Chart {
        title: name.into(),
        x_label: name.into(),
        y_label: name.into(),
        series: vec![series(name, &[(0.0, 1.0)])],
    };
    let bars = Bars {
        title: name.into(),
        panels: vec![Panel { name: name.into(), bars: vec![(name.into(), 3.0)] }],
    };
    for (svg, text) in [(curves.svg(), curves.terminal(80)), (bars.svg(), bars.terminal(80))] {
        let svg = svg.expect("draws");
        let document = Document::parse(&svg).expect("well-formed");
        assert!(texts(&document).iter().any(|text| text == harmless), "{svg}");
        assert!(
            text.contains(harmless) && !text.contains(['\u{1b}', '\u{0}', '\u{202e}']),
            "{text:?}"
        );
    }
}

fn costs() -> Bars {
    let bars = |values: [f64; 4]| {
        ["0  conv", "1  pool", "2  dense", "3  a layer with a name that is far too long"]
            .map(str::to_owned)
            .into_iter()
            .zip(values)
            .collect()
    };
    Bars {
        title: "model: cost per layer".into(),
        panels: vec![
            Panel { name: "bytes up".into(), bars: bars([12_800.0, 6_400.0, 1.0, 0.0]) },
            Panel { name: "blocks".into(), bars: bars([0.0, f64::NAN, 3.0, -1.0]) },
            Panel { name: "nothing".into(), bars: bars([0.0; 4]) },
        ],
    }
}

#[test]
fn bars_are_as_long_as_their_values() {
    let text = costs().terminal(80);
    let expected = include_str!("plot/costs.txt");
    assert!(text == expected, "{text}");

    let svg = costs().svg().expect("draws");
    let document = Document::parse(&svg).expect("well-formed");
    let widths = |colour| -> Vec<&str> {
        document
            .descendants()
            .filter(|node| node.attribute("fill") == Some(colour) && node.has_tag_name("rect"))
            .map(|node| node.attribute("width").unwrap())
            .collect()
    };
    assert_eq!(widths("#0072B2"), ["440", "220", "1", "0"]);
    assert_eq!(widths("#D55E00"), ["0", "0", "440", "0"]);
    assert_eq!(widths("#009E73"), ["0"; 4]);
    assert!(texts(&document).iter().any(|text| text == "12,800"));
    assert!(Document::parse(&Bars::default().svg().expect("draws")).is_ok());
}

#[test]
fn a_file_is_replaced_whole_or_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chart.svg");
    std::fs::write(&path, "before").unwrap();
    training().save_svg(&path).expect("writes");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), training().svg().unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    // As any file of its kind: others may look at a chart.
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let usual = folder.path().join("usual");
    std::fs::write(&usual, "").unwrap();
    assert_eq!(mode(&path), mode(&usual) & 0o644);
    let missing = folder.path().join("nowhere").join("chart.svg");
    let error = costs().save_svg(&missing).expect_err("no such folder").to_string();
    assert!(error.contains("chart.svg") && error.contains("check the path"), "{error}");
}
