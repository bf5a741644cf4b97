//! Operators of ONNX's second set, `ai.onnx.ml`: what scikit-learn's pipelines are written in.

use sharelet_model::Scores;

use super::error::Refused;
use super::graph::{Op, Tensor};
use super::onnx_proto::NodeProto;

/// The domain.
pub(super) const DOMAIN: &str = "ai.onnx.ml";

/// What a node computes, and for each of its outputs the functions that follow.
pub(super) type Found = (Op, Vec<Vec<String>>);

/// Why trees are refused.
const TREES: &str = "trees compare values, and no layer here does that";

/// A node of the set.
///
/// # Errors
/// [`Refused`] with the reason.
pub(super) fn read(node: &NodeProto) -> Result<Found, Refused> {
    let plain = |op| Ok((op, vec![vec![]]));
    match node.op_type.as_str() {
        "Scaler" => plain(scaler(node)?),
        "LinearRegressor" => {
            let outputs = usize::try_from(node.integer("targets", 1)).map_err(|_| "no targets")?;
            Ok((linear(node, outputs)?, vec![transforms(node)]))
        }
        "LinearClassifier" => classifier(node),
        "SVMRegressor" => Ok((support(node)?, vec![transforms(node)])),
        // Functions of an answer that whoever gets it can compute.
        "Normalizer" if node.text("norm", "MAX") == "L1" => plain(Op::Shares),
        "Normalizer" | "ZipMap" | "ArrayFeatureExtractor" | "LabelEncoder" => plain(Op::Last),
        "SVMClassifier" => pairs(node),
        kind if kind.starts_with("TreeEnsemble") => Err(TREES.into()),
        _ => Err(Refused::Node(None)),
    }
}

/// A function of an answer, by its word here.
pub(super) fn function(word: &str) -> Op {
    match word {
        "SOFTMAX" => Op::Scores(Scores::Softmax),
        "LOGISTIC" => Op::Scores(Scores::Sigmoid),
        "SVMClassifier" => Op::Scores(Scores::OneVsOne),
        _ => Op::Last,
    }
}

/// The function that is applied to the scores.
fn transforms(node: &NodeProto) -> Vec<String> {
    match node.text("post_transform", "NONE") {
        "NONE" => vec![],
        function => vec![function.to_owned()],
    }
}

/// `(x - offset) scale`.
fn scaler(node: &NodeProto) -> Result<Op, Refused> {
    let told = |name, other| node.reals(name).filter(|values| !values.is_empty()).unwrap_or(other);
    let (scale, mean) = (told("scale", vec![1.0]), told("offset", vec![0.0]));
    let longer = scale.len().max(mean.len());
    let at = |values: &[f64], index: usize| match values {
        [one] => Some(*one),
        _ => values.get(index).copied(),
    };
    let all = |values: &[f64]| (0..longer).map(|index| at(values, index)).collect::<Option<_>>();
    let (Some(scale), Some(mean)): (Option<Vec<f64>>, Option<Vec<f64>>) = (all(&scale), all(&mean))
    else {
        return Err("its factors and summands differ in length".into());
    };
    let offset = scale.iter().zip(&mean).map(|(scale, mean)| -mean * scale).collect();
    Ok(Op::Elementwise { scale, offset, dims: Some(vec![longer]) })
}

/// `W x + b` of so many outputs.
fn linear(node: &NodeProto, outputs: usize) -> Result<Op, Refused> {
    let weights = node.reals("coefficients").unwrap_or_default();
    let bias = node.reals("intercepts").filter(|bias| !bias.is_empty());
    let inputs = weights.len().checked_div(outputs).unwrap_or(0);
    let weights = Tensor::new(vec![outputs, inputs], weights)
        .filter(|weights| !weights.values.is_empty())
        .ok_or("its coefficients are not a row for each output")?;
    if bias.as_ref().is_some_and(|bias| bias.len() != outputs) {
        return Err("its intercepts are not one for each output".into());
    }
    Ok(Op::Dense { weights, bias })
}

fn classifier(node: &NodeProto) -> Result<Found, Refused> {
    let classes = classes(node);
    let coefficients = node.find("coefficients").map_or(0, |values| values.floats.len());
    let rows = node.find("intercepts").map_or(classes, |values| values.floats.len());
    if classes == 0 || coefficients == 0 {
        return Err("it has no classes or no coefficients".into());
    }
    if rows != classes {
        return Err("it has not a row of coefficients for each class".into());
    }
    let op = linear(node, classes)?;
    Ok((op, vec![vec!["ArgMax".to_owned()], transforms(node)]))
}

/// Weights of all pairs of classes, at most.
const MAX_PAIRS_ELEMS: usize = 1 << 22;

/// A classifier on support vectors, of which a linear kernel makes one row of weights for each pair
/// of classes, in the order 0 and 1, 0 and 2, ..., 1 and 2: positive where the first of the two has
/// the vote. Votes are the recipient's to count, as probabilities are to be made of them (LIBSVM:
/// Chang and Lin, 2011, section 6).
fn pairs(node: &NodeProto) -> Result<Found, Refused> {
    if node.text("kernel_type", "LINEAR") != "LINEAR" {
        return Err("its kernel is not linear, and no layer here computes it".into());
    }
    let classes = classes(node);
    let coefficients = node.reals("coefficients").unwrap_or_default();
    let rho = node.reals("rho").unwrap_or_default();
    let votes = vec![node.op_type.clone()];
    let sizes = node.integers("vectors_per_class").unwrap_or(&[]).iter();
    let sizes: Option<Vec<usize>> = sizes.map(|&size| usize::try_from(size).ok()).collect();
    let sizes = sizes.ok_or("it has a negative number of support vectors")?;
    let wrong = "its support vectors, coefficients and summands are not as many as its classes ask";
    if classes < 2 || sizes.len() != classes {
        return Err(wrong.into());
    }
    let count = sizes.iter().try_fold(0_usize, |sum, &size| sum.checked_add(size)).ok_or(wrong)?;
    let vectors = node.reals("support_vectors").unwrap_or_default();
    let inputs = vectors.len().checked_div(count).filter(|inputs| inputs * count == vectors.len());
    let inputs = inputs.filter(|&inputs| inputs > 0).ok_or(wrong)?;
    let outputs = classes.checked_mul(classes - 1).ok_or(wrong)? / 2;
    let elems = outputs.checked_mul(inputs).filter(|&elems| elems <= MAX_PAIRS_ELEMS);
    let mut values = Vec::with_capacity(elems.ok_or("it has too many pairs of classes")?);
    if rho.len() != outputs || Some(coefficients.len()) != count.checked_mul(classes - 1) {
        return Err(wrong.into());
    }
    // Where the vectors of each class begin.
    let starts: Vec<usize> =
        sizes.iter().scan(0, |next, size| Some(core::mem::replace(next, *next + size))).collect();
    for (first, (&start, &size)) in starts.iter().zip(&sizes).enumerate() {
        for (second, (&other_start, &other_size)) in
            starts.iter().zip(&sizes).enumerate().skip(first + 1)
        {
            // A class has a row of coefficients for each of the others.
            let own = (start..start + size).map(|vector| (second - 1, vector));
            let other = (other_start..other_start + other_size).map(|vector| (first, vector));
            let mut row = vec![0.0; inputs];
            for (against, vector) in own.chain(other) {
                let coefficient = coefficients.get(against * count + vector).ok_or(wrong)?;
                let vector = vectors.iter().skip(vector * inputs);
                row.iter_mut().zip(vector).for_each(|(sum, value)| *sum += coefficient * value);
            }
            values.extend(row);
        }
    }
    let weights = Tensor::new(vec![outputs, inputs], values).ok_or(wrong)?;
    Ok((Op::Dense { weights, bias: Some(rho) }, vec![votes.clone(), votes]))
}

/// The names of a classifier's classes, where they say more than their numbers do: output by
/// output, and none where one of them cannot be printed.
pub(super) fn labels(node: &NodeProto) -> Vec<String> {
    if !matches!(node.op_type.as_str(), "LinearClassifier" | "SVMClassifier" | "ZipMap") {
        return Vec::new();
    }
    let of = |name: &str| {
        let found = node.find(name);
        let strings = found.map_or(&[][..], |found| &found.strings).iter();
        let texts = strings.map(|text| String::from_utf8_lossy(text).into_owned());
        let numbers = found.map_or(&[][..], |found| &found.ints).iter().map(i64::to_string);
        texts.chain(numbers).collect::<Vec<_>>()
    };
    let all = ["classlabels_strings", "classlabels_ints", "classlabels_int64s"].map(of);
    let labels = all.into_iter().find(|labels| !labels.is_empty()).unwrap_or_default();
    let is_name = |label: &String| {
        !label.trim().is_empty() && label.len() <= MAX_LABEL_BYTES && !label.contains(is_unprinted)
    };
    let numbered = labels.iter().enumerate().all(|(index, label)| *label == index.to_string());
    let mut sorted: Vec<&String> = labels.iter().collect();
    sorted.sort_unstable();
    let twice = sorted.windows(2).any(|pair| pair.first() == pair.last());
    if numbered || twice || !labels.iter().all(is_name) {
        return Vec::new();
    }
    labels
}

/// Bytes of a class's name, at most.
const MAX_LABEL_BYTES: usize = 256;

/// What a terminal does not print as it is: controls, also those of the direction of writing, and
/// what has no width.
fn is_unprinted(character: char) -> bool {
    const OTHERS: [core::ops::RangeInclusive<char>; 7] = [
        '\u{ad}'..='\u{ad}',
        '\u{61c}'..='\u{61c}',
        '\u{200b}'..='\u{200f}',
        '\u{2028}'..='\u{202e}',
        '\u{2060}'..='\u{206f}',
        '\u{feff}'..='\u{feff}',
        '\u{fff9}'..='\u{fffd}',
    ];
    character.is_control() || OTHERS.iter().any(|range| range.contains(&character))
}

/// How many classes a node names.
fn classes(node: &NodeProto) -> usize {
    let count = |name: &str| {
        node.find(name).map_or(0, |labels| labels.ints.len().max(labels.strings.len()))
    };
    count("classlabels_ints").max(count("classlabels_strings"))
}

/// A regression on support vectors, of which a linear kernel makes one row of weights.
fn support(node: &NodeProto) -> Result<Op, Refused> {
    if node.text("kernel_type", "LINEAR") != "LINEAR" {
        return Err("its kernel is not linear, and no layer here computes it".into());
    }
    if node.integer("one_class", 0) != 0 {
        return Err("it answers with a sign, and no layer here does that".into());
    }
    let coefficients = node.reals("coefficients").unwrap_or_default();
    let rho = node.reals("rho").unwrap_or_default();
    let bias = match *rho {
        [rho] => vec![rho],
        _ => return Err("it has not one summand `rho`".into()),
    };
    let supports = usize::try_from(node.integer("n_supports", 0)).map_err(|_| "no supports")?;
    if supports == 0 {
        let weights = Tensor::new(vec![1, coefficients.len()], coefficients);
        let weights = weights.filter(|weights| !weights.values.is_empty());
        return Ok(Op::Dense {
            weights: weights.ok_or("it has no coefficients")?,
            bias: Some(bias),
        });
    }
    let vectors = node.reals("support_vectors").unwrap_or_default();
    let inputs = vectors.len() / supports;
    if inputs == 0 || inputs.checked_mul(supports) != Some(vectors.len()) {
        return Err("its support vectors are not as many as it says".into());
    }
    if coefficients.len() != supports {
        return Err("its coefficients are not one for each support vector".into());
    }
    let mut weights = vec![0.0; inputs];
    for (vector, coefficient) in vectors.chunks_exact(inputs).zip(&coefficients) {
        weights.iter_mut().zip(vector).for_each(|(weight, value)| *weight += coefficient * value);
    }
    let weights = Tensor { dims: vec![1, inputs], values: weights };
    Ok(Op::Dense { weights, bias: Some(bias) })
}
