//! Operators of `ai.onnx.ml`, as scikit-learn's pipelines are written.

use prost::Message as _;
use sharelet_import::layer::Chain;
use sharelet_import::lower::lower;
use sharelet_import::onnx_proto::*;
use sharelet_import::{GraphError, onnx};
use sharelet_model::Scores;
use sharelet_testkit::assert_matches;
use sharelet_testkit::graphs::{check, numbered};
use sharelet_testkit::onnx::{float, int, ints, model, node, value, with};

fn reals(name: &str, values: &[f32]) -> AttributeProto {
    AttributeProto { name: name.into(), floats: values.to_vec(), ..AttributeProto::default() }
}

fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { name: name.into(), s: value.into(), ..AttributeProto::default() }
}

fn ml(kind: &str, input: &str, outputs: &[&str], attributes: Vec<AttributeProto>) -> NodeProto {
    let output = outputs.iter().map(|&name| name.into()).collect();
    let node = NodeProto { output, domain: "ai.onnx.ml".into(), ..node(kind, &[input], "") };
    with(NodeProto { name: kind.into(), ..node }, attributes)
}

fn file(nodes: Vec<NodeProto>) -> Vec<u8> {
    let mut file = model(3, nodes, vec![]);
    let ml = OperatorSetIdProto { domain: "ai.onnx.ml".into(), version: 3 };
    file.opset_import.insert(0, ml);
    file.encode_to_vec()
}

fn read(nodes: Vec<NodeProto>, output: &str) -> Result<Chain, GraphError> {
    let graph = onnx::read_output(&file(nodes), None, Some(output))?;
    let chain = lower(&graph)?;
    check("pipeline", &numbered(&graph), chain.layers.len());
    Ok(chain)
}

/// The answers to a reading.
fn answer(nodes: Vec<NodeProto>) -> Vec<f64> {
    read(nodes, "y").unwrap().infer(&[1.0, -1.0, 2.0])
}

fn scaler() -> NodeProto {
    let (offset, scale) = (reals("offset", &[1.0, 0.0, -1.0]), reals("scale", &[2.0, 0.5, 1.0]));
    ml("Scaler", "x", &["s"], vec![offset, scale])
}

#[test]
fn scalers_and_regressors_are_affine() {
    let linear = |input, targets, coefficients: &[f32], intercepts: &[f32]| {
        let rows = vec![
            int("targets", targets),
            reals("coefficients", coefficients),
            reals("intercepts", intercepts),
        ];
        ml("LinearRegressor", input, &["y"], rows)
    };
    let rows = [1.0, 2.0, 3.0, -1.0, 0.0, 1.0];
    assert_eq!(answer(vec![linear("x", 2, &rows, &[0.5, 0.0])]), [5.5, 1.0]);
    // (x - offset) scale = [0, -0.5, 3]
    assert_eq!(answer(vec![scaler(), linear("s", 2, &rows, &[0.0, 1.0])]), [8.0, 4.0]);
    let one = ml("Scaler", "x", &["s"], vec![reals("offset", &[1.0]), reals("scale", &[2.0])]);
    assert_eq!(answer(vec![one, linear("s", 1, &rows[..3], &[0.0])]), [-2.0]);
    let logistic = with(linear("x", 1, &rows[..3], &[0.0]), vec![text("post_transform", "PROBIT")]);
    let mut all = linear("x", 1, &rows[..3], &[0.0]);
    all.attribute.extend(logistic.attribute);
    assert_eq!(read(vec![all], "y").unwrap().left_off, ["PROBIT"]);
    for (node, what) in [
        (linear("x", 2, &rows[..5], &[0.0, 0.0]), "a row for each output"),
        (linear("x", 2, &rows, &[0.0]), "one for each output"),
        (linear("x", 0, &rows, &[0.0]), "a row for each output"),
        (linear("x", -1, &rows, &[0.0]), "no targets"),
        (linear("x", 3, &rows, &[0.0; 3]), "takes 2 values and gets 3"),
    ] {
        let error = read(vec![node], "y").unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    let uneven =
        ml("Scaler", "x", &["y"], vec![reals("offset", &[1.0, 2.0]), reals("scale", &[1.0; 3])]);
    let error = read(vec![uneven], "y").unwrap_err().to_string();
    assert!(error.contains("differ in length"), "{error}");
}

#[test]
fn support_vectors_with_a_linear_kernel_are_one_row() {
    let machine = |extra: Vec<AttributeProto>| {
        let told = vec![
            reals("coefficients", &[2.0, -1.0]),
            reals("support_vectors", &[1.0, 0.0, 1.0, 0.0, 3.0, 1.0]),
            reals("rho", &[0.25]),
            int("n_supports", 2),
        ];
        ml("SVMRegressor", "x", &["y"], told.into_iter().chain(extra).collect())
    };
    // 2 (1 + 2) - (-3 + 2) + 0.25
    assert_eq!(answer(vec![machine(vec![text("kernel_type", "LINEAR")])]), [7.25]);
    let row = vec![reals("coefficients", &[1.0, 2.0, 3.0]), reals("rho", &[1.0])];
    assert_eq!(answer(vec![ml("SVMRegressor", "x", &["y"], row)]), [6.0]);
    let refused = |attribute, what: &str| {
        let error = read(vec![machine(vec![attribute])], "y").unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    };
    refused(text("kernel_type", "RBF"), "kernel is not linear");
    refused(int("one_class", 1), "answers with a sign");
}

/// Three classes with two, one and one vectors: pairs 0 and 1, 0 and 2, 1 and 2.
#[test]
fn classifiers_on_linear_support_vectors_have_a_row_for_each_pair() {
    let vectors = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0];
    // Rows: against the first and against the second of the other classes.
    let coefficients = [0.5, 0.25, -0.75, -1.0, 2.0, 3.0, -5.0, 4.0];
    let told = |extra: Vec<AttributeProto>| {
        let all = vec![
            ints("classlabels_ints", &[0, 1, 2]),
            ints("vectors_per_class", &[2, 1, 1]),
            reals("support_vectors", &vectors),
            reals("coefficients", &coefficients),
            reals("rho", &[0.5, -0.5, 1.5]),
        ];
        ml("SVMClassifier", "x", &["l", "y"], all.into_iter().chain(extra).collect())
    };
    let classifier = || told(vec![text("kernel_type", "LINEAR")]);
    let chain = read(vec![classifier()], "y").unwrap();
    assert_eq!(chain.left_off, ["SVMClassifier"]);
    let x = [2.0_f32, -1.0, 3.0];
    let dot =
        |at: usize| (0..3).map(|k| f64::from(vectors[at * 3 + k]) * f64::from(x[k])).sum::<f64>();
    let right = [
        0.5 * dot(0) + 0.25 * dot(1) - 0.75 * dot(2) + 0.5,
        2.0 * dot(0) + 3.0 * dot(1) - dot(3) - 0.5,
        -5.0 * dot(2) + 4.0 * dot(3) + 1.5,
    ];
    let found = chain.infer(&x);
    assert!(found.iter().zip(right).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?} {right:?}");
    let refused = |node: NodeProto, what: &str| {
        let error = read(vec![node], "y").unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    };
    refused(told(vec![text("kernel_type", "RBF")]), "kernel is not linear");
    let mut few = classifier();
    few.attribute.retain(|attribute| attribute.name != "rho");
    refused(few, "not as many as its classes ask");
}

#[test]
fn classes_and_probabilities_are_left_to_the_recipient() {
    let classifier = |rows: usize| {
        let told = vec![
            ints("classlabels_ints", &[4, 7]),
            reals("coefficients", &[1.0, 2.0, 3.0, 0.0, -1.0, 1.0][..3 * rows]),
            reals("intercepts", &[0.5, 1.0][..rows]),
            text("post_transform", "SOFTMAX"),
        ];
        ml("LinearClassifier", "s", &["l", "p"], told)
    };
    let nodes = |rows| {
        vec![
            scaler(),
            classifier(rows),
            ml("Normalizer", "p", &["n"], vec![text("norm", "L1")]),
            ml("ZipMap", "n", &["y"], vec![]),
            with(node("Cast", &["l"], "c"), vec![int("to", 8)]),
        ]
    };
    let chain = read(nodes(2), "y").unwrap();
    assert_eq!(chain.left_off, ["SOFTMAX", "ai.onnx.ml.Normalizer", "ai.onnx.ml.ZipMap"]);
    assert_eq!(chain.infer(&[1.0, -1.0, 2.0]), [8.5, 4.5]);
    assert_eq!(
        (chain.scores, &chain.labels[..]),
        (Some(Scores::Softmax), &labels(&["4", "7"])[..])
    );
    let label = read(nodes(2), "c").unwrap();
    assert_eq!(
        (&label.layers, &label.left_off[..]),
        (&chain.layers, &["ArgMax".into(), "Cast".into()][..])
    );
    let error = read(nodes(1), "y").unwrap_err().to_string();
    assert!(error.contains("a row of coefficients for each class"), "{error}");
    // What is not affine is refused before the end.
    let middle = vec![ml("Normalizer", "x", &["s"], vec![]), classifier(2)];
    let error = read(middle, "p").unwrap_err().to_string();
    assert!(error.contains("ai.onnx.ml.Normalizer `Normalizer`: it may only be last"), "{error}");
}

fn labels(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// A classifier of three classes on support vectors has three values, one for each pair: they vote
/// for classes, and these have the names.
#[test]
fn pairs_of_classes_vote_for_classes_and_have_no_names() {
    let names = AttributeProto {
        name: "classlabels_strings".into(),
        strings: [&b"a"[..], b"b", b"c"].map(<[u8]>::to_vec).into(),
        ..AttributeProto::default()
    };
    let told = vec![
        text("kernel_type", "LINEAR"),
        names.clone(),
        ints("vectors_per_class", &[1, 1, 1]),
        reals("support_vectors", &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]),
        reals("coefficients", &[1.0, -1.0, 1.0, -1.0, 1.0, -1.0]),
        reals("rho", &[0.5, -0.5, 1.5]),
    ];
    let votes = ml("SVMClassifier", "x", &["l", "p"], told);
    let chain = read(vec![votes, ml("ZipMap", "p", &["y"], vec![names.clone()])], "y").unwrap();
    let outputs = chain.layers.last().map(|layer| layer.outputs());
    assert_eq!((outputs, chain.scores), (Some(3), Some(Scores::OneVsOne)));
    assert_eq!(chain.labels, labels(&["a", "b", "c"]));
    // Columns of probabilities in another order.
    let classifier = ml(
        "LinearClassifier",
        "x",
        &["l", "p"],
        vec![
            ints("classlabels_ints", &[0, 1, 2]),
            reals("coefficients", &[1.0, 2.0, 3.0, 0.0, -1.0, 1.0, 0.5, 0.5, 0.5]),
            reals("intercepts", &[0.5, 1.0, 0.0]),
            text("post_transform", "SOFTMAX"),
        ],
    );
    let picked = ml("ArrayFeatureExtractor", "p", &["e"], vec![]);
    let zip = ml("ZipMap", "e", &["y"], vec![names]);
    let chain = read(vec![classifier, picked, zip], "y").unwrap();
    assert_eq!(chain.labels, labels(&[]));
}

/// Probabilities and names of classes, as scikit-learn's classifiers have them.
#[test]
fn classifiers_have_scores_and_names() {
    let classifier = |transform: &str, names: AttributeProto| {
        let rows = [1.0, 2.0, 3.0, 0.0, -1.0, 1.0, 0.5, 0.5, 0.5];
        let told = vec![
            names,
            reals("coefficients", &rows),
            reals("intercepts", &[0.5, 1.0, 0.0]),
            text("post_transform", transform),
        ];
        ml("LinearClassifier", "x", &["l", "p"], told)
    };
    let numbers = |numbers: &[i64]| ints("classlabels_ints", numbers);
    let strings = |names: &[&[u8]]| AttributeProto {
        name: "classlabels_strings".into(),
        strings: names.iter().map(|name| name.to_vec()).collect(),
        ..AttributeProto::default()
    };
    let shares = |norm: &str| ml("Normalizer", "p", &["y"], vec![text("norm", norm)]);
    let same = || ml("ZipMap", "p", &["y"], vec![]);
    let plain = || numbers(&[0, 1, 2]);
    for (transform, rest, scores) in [
        ("SOFTMAX", shares("L1"), Some(Scores::Softmax)),
        ("SOFTMAX", same(), Some(Scores::Softmax)),
        ("LOGISTIC", same(), Some(Scores::Sigmoid)),
        ("LOGISTIC", shares("L1"), Some(Scores::OneVsRest)),
        // Of these nobody has asked yet.
        ("LOGISTIC", shares("L2"), None),
        ("SOFTMAX", shares("MAX"), None),
        ("SOFTMAX_ZERO", same(), None),
        ("NONE", shares("L1"), None),
        ("NONE", same(), None),
    ] {
        let chain = read(vec![classifier(transform, plain()), rest], "y").unwrap();
        assert_eq!(chain.scores, scores, "{transform}: {:?}", chain.left_off);
        // Names that say nothing that numbers do not.
        assert_eq!(chain.labels, labels(&[]));
    }
    for (names, expected) in [
        (
            strings(&[b"setosa", b"versi color", b"virginica"]),
            &["setosa", "versi color", "virginica"],
        ),
        (numbers(&[-1, 0, 10]), &["-1", "0", "10"]),
        (numbers(&[1, 2, 3]), &["1", "2", "3"]),
    ] {
        for output in ["l", "p"] {
            let chain = read(vec![classifier("SOFTMAX", names.clone())], output).unwrap();
            assert_eq!(chain.labels, labels(expected), "{output}");
        }
    }
    // What a terminal would take for something else, and what is no text.
    let turned = "a\u{202e}b".as_bytes();
    for name in [&b"a\x1b[2Jb"[..], b"a\nb", b"", b"  ", b"\xff", &[b'a'; 257], turned, b"c"] {
        let names = strings(&[b"a", name, b"c"]);
        let chain = read(vec![classifier("SOFTMAX", names)], "p").unwrap();
        assert_eq!(chain.labels, labels(&[]), "{name:?}");
    }
    // A network whose names are those of a ZipMap; as many as there are outputs, or none.
    let names =
        |names: AttributeProto| AttributeProto { name: "classlabels_strings".into(), ..names };
    for (given, expected) in
        [(&[&b"a"[..], b"b", b"c"][..], &["a", "b", "c"][..]), (&[b"a", b"b"], &[])]
    {
        let zip = ml("ZipMap", "p", &["y"], vec![names(strings(given))]);
        let chain = read(vec![classifier("NONE", plain()), zip], "y").unwrap();
        assert_eq!(chain.labels, labels(expected));
    }
}

#[test]
fn trees_are_refused_by_name_and_sets_that_are_not_known_too() {
    for kind in ["TreeEnsembleClassifier", "TreeEnsembleRegressor", "TreeEnsemble"] {
        let outputs = ["l", "y"];
        let error = read(vec![scaler(), ml(kind, "s", &outputs, vec![])], "y").unwrap_err();
        assert_matches!(&error, GraphError::Unsupported(nodes) if nodes.len() == 1);
        let error = error.to_string();
        assert!(error.contains(&format!("ai.onnx.ml.{kind} `{kind}`: trees compare")), "{error}");
    }
    let mut file = model(3, vec![scaler()], vec![]);
    let ml = OperatorSetIdProto { domain: "ai.onnx.ml".into(), version: 6 };
    file.opset_import.push(ml);
    let error = onnx::read(&file.encode_to_vec(), None).unwrap_err().to_string();
    assert!(error.contains("operator set 6 of ai.onnx.ml; known are 1 to 5"), "{error}");
}

#[test]
fn an_answer_depends_on_one_input() {
    let nodes = |second| {
        vec![
            with(node("Gemm", &["x", "w"], "a"), vec![int("transB", 1), float("alpha", 1.0)]),
            node("Relu", &["a"], "b"),
            node("Add", &["b", second], "y"),
        ]
    };
    let with_two = |second, output: Option<&str>| {
        let w = sharelet_testkit::onnx::tensor("w", &[3, 3], &[1.0; 9]);
        let mut file = model(3, nodes(second), vec![w]);
        file.graph.as_mut().unwrap().input.push(value("other", 3));
        onnx::read_output(&file.encode_to_vec(), None, output).and_then(|graph| lower(&graph))
    };
    assert_matches!(
        with_two("other", None),
        Err(GraphError::Inputs(names)) if names == &["x", "other"]
    );
    // An input that the answer does not depend on is none.
    with_two("b", None).unwrap();
    with_two("other", Some("b")).unwrap();
    let error = with_two("missing", None).unwrap_err().to_string();
    assert!(error.contains("does not say how `missing` is computed"), "{error}");
}
