//! Files of owners become tables, or are refused with file, row and column.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use sharelet_host::data::description::MAX_FRAC_BITS;
use sharelet_host::data::labels::LabelKind;
use sharelet_host::data::shares;
use sharelet_host::data::{DataError, Options, Table};
use sharelet_testkit::{Rng, begins, says};
use sharelet_train::labels::Labels;

fn csv(text: &str, options: &Options) -> Result<Table, DataError> {
    Table::from_bytes(text.as_bytes(), Path::new("d/a.csv"), None, options)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn labelled(label: &str, kind: LabelKind) -> Options {
    Options { labels: names(&[label]), kind, ..Options::default() }
}

fn refused(text: &str, options: &Options) -> String {
    csv(text, options).expect_err("refused").to_string()
}

/// Fails if a table is not refused for this.
#[track_caller]
fn refuses(text: &str, options: &Options, what: &str) {
    says(&refused(text, options), what);
}

fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
}

fn f64s(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn idx(dims: &[u32], data: &[u8]) -> Vec<u8> {
    let rank = u8::try_from(dims.len()).unwrap();
    [&[0, 0, 8, rank][..], &dims.iter().flat_map(|dim| dim.to_be_bytes()).collect::<Vec<_>>(), data]
        .concat()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

const TEXT: &str = "\u{feff}id, age ,income,class\n a ,30,1.5,2\n\nb,\"31\",-2e3,0\nc,32,0.25,1\n";

#[test]
fn columns_of_csv_are_chosen_by_name() {
    let table =
        csv(TEXT, &Options { key: Some("id".into()), ..labelled("class", LabelKind::Classes(3)) })
            .unwrap();
    assert_eq!((table.rows, table.columns.as_slice()), (3, &names(&["age", "income"])[..]));
    assert_eq!(table.features, [30.0, 1.5, 31.0, -2000.0, 32.0, 0.25]);
    assert_eq!(table.labels, Labels::Classes { classes: 3 });
    assert_eq!(table.targets, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    assert_eq!(table.keys, Some(names(&["a", "b", "c"])));
    assert_eq!(table.row(1), Some(&[31.0, -2000.0][..]));

    // In the order that was asked for; a column of text that nobody asks for does no harm.
    let options = Options {
        columns: Some(names(&["income", "age"])),
        scale: Some(0.5),
        ..Options::default()
    };
    let table = csv(TEXT, &options).unwrap();
    assert_eq!(
        (table.features, table.labels),
        (vec![0.75, 15.0, -1000.0, 15.5, 0.125, 16.0], Labels::None)
    );
    let options =
        Options { columns: Some(names(&["age"])), ..labelled("income", LabelKind::Numbers) };
    let options = Options { labels: names(&["income", "class"]), label_scale: 2.0, ..options };
    let table = csv(TEXT, &options).unwrap();
    assert_eq!(
        (table.targets, table.labels),
        (vec![3.0, 4.0, -4000.0, 0.0, 0.5, 2.0], Labels::Numbers { per_row: 2 })
    );
    let table = csv("x,y\n5,1\n6,0\n", &labelled("y", LabelKind::Binary)).unwrap();
    assert_eq!(format!("{table:?}"), "Table(2 rows of 1, Binary, <redacted>)");
    assert_eq!((table.targets, table.labels), (vec![1.0, 0.0], Labels::Binary));
}

/// Spreadsheets of half the world write `1,5;-2,25`.
#[test]
fn dialects_of_csv() {
    for text in
        ["id;age;income\na;30;1,5\nb;31;-2000\n", "id\tage\tincome\na\t30\t1.5\nb\t31\t-2e3"]
    {
        let options = Options { key: Some("id".into()), ..Options::default() };
        let table = csv(text, &options).unwrap();
        assert_eq!(table.features, [30.0, 1.5, 31.0, -2000.0]);
        assert_eq!(table.keys, Some(names(&["a", "b"])));
    }
    let plain = Options::default();
    refuses(
        "x;y\n1,5;2\n1.5;2\n",
        &plain,
        "line 3 has a decimal point, and line 2 a decimal comma",
    );
    refuses("x,y\n\"1,234\",2\n", &plain, "line 2: the comma in `1,234` may stand");
    refuses("1,5;2,5\n", &plain, "the first line holds numbers");
}

#[test]
fn csv_is_refused_with_row_and_column() {
    let plain = Options::default();
    let cases = [
        ("x,y\n1,2\n3,\n", "d/a.csv: row 2 (line 3), column `y`: the cell is empty"),
        ("x,y\n1,2\n,4\n", "d/a.csv: row 2 (line 3), column `x`: the cell is empty"),
        ("x,y\n1,2\n\n3,four\n", "d/a.csv: row 2 (line 4), column `y`: `four` is not a number"),
        ("x,y\n1,NA\n", "d/a.csv: row 1 (line 2), column `y`: `NA` is not a number"),
        ("x,y\n1,NaN\n", "d/a.csv: row 1 (line 2), column `y`: not a finite number"),
        ("x,y\n-inf,2\n", "d/a.csv: row 1 (line 2), column `x`: not a finite number"),
        ("x,y\n1,1e999\n", "d/a.csv: row 1 (line 2), column `y`: not a finite number"),
        (
            "x,y\n1,2\n3",
            "d/a.csv: row 2 (line 3): 1 cells where the header names 2 columns: the file is cut",
        ),
        ("x,y\n1,2,3\n", "d/a.csv: row 1 (line 2): 3 cells where the header names 2 columns"),
        ("x,y,x\n1,2,3\n", "d/a.csv: columns 1 and 3 are both named `x`"),
        ("x,,z\n1,2,3\n", "d/a.csv: column 2 has no name"),
        ("1,2\n3,4\n", "d/a.csv: the first line holds numbers where names of columns belong"),
        ("x,y\n", "d/a.csv: no rows"),
        ("", "d/a.csv: no rows"),
    ];
    for (text, expected) in cases {
        println!("{text:?}");
        begins(&refused(text, &plain), expected);
    }
    let error = Table::from_bytes(b"x,y\n1,\xff\n", Path::new("a.csv"), None, &plain);
    begins(&error.expect_err("refused"), "a.csv: line 2: not text in UTF-8");
    let long = format!("{},y\n1,2\n", "n".repeat(65));
    refuses(&long, &plain, "the name of column 1 has more than 64 bytes");
    let many = (0..16_385).map(|column| format!("c{column}")).collect::<Vec<_>>().join(",");
    refuses(&many, &plain, "16385 columns, at most 16384 are taken");
}

#[test]
fn columns_that_do_not_exist_are_refused_and_those_that_do_are_listed() {
    let unknown = Options { columns: Some(names(&["age", "wage"])), ..Options::default() };
    refuses(TEXT, &unknown, "no column `wage`; there are `id`, `age`, `income`, `class`");
    refuses(TEXT, &labelled("Class", LabelKind::Binary), "no column `Class`; there are `id`");
    let key = Options { key: Some("key".into()), ..Options::default() };
    refuses(TEXT, &key, "no column `key`");
    let twice =
        Options { columns: Some(names(&["age", "class"])), ..labelled("class", LabelKind::Binary) };
    refuses(TEXT, &twice, "column `class` is asked for twice");
    refuses("y\n1\n", &labelled("y", LabelKind::Binary), "no column is left for features");
    let wide = (0..30).map(|column| format!("c{column}")).collect::<Vec<_>>().join(",");
    let wide = format!("{wide}\n");
    refuses(&wide, &unknown, "`c19` and 10 more");
}

#[test]
fn labels_out_of_range_are_refused() {
    let text = |label: &str| format!("x,y\n5,1\n6,{label}\n");
    for label in ["3", "-1", "1.5", "1e30"] {
        let error = refused(&text(label), &labelled("y", LabelKind::Classes(3)));
        let expected = "not a class: classes are whole numbers from 0 to 2";
        begins(&error, &format!("d/a.csv: row 2, column `y`: {expected}"));
    }
    for label in ["2", "-1", "0.5"] {
        let error = refused(&text(label), &labelled("y", LabelKind::Binary));
        begins(&error, "d/a.csv: row 2, column `y`: neither 0 nor 1");
    }
    refuses(&text("0"), &labelled("y", LabelKind::Classes(1)), "1 classes; give 2 to 10000");
    let two = Options { labels: names(&["x", "y"]), kind: LabelKind::Binary, ..Options::default() };
    refuses("x,y,z\n1,1,1\n", &two, "2 columns of labels where classes and binary labels have one");
    let keys = Options { key: Some("x".into()), ..Options::default() };
    refuses("x,y\n1,1\n2,1\n1,1\n", &keys, "rows 1 and 3 have the same key");
    for scale in [0.0, f64::NAN] {
        let options = Options { scale: Some(scale), ..Options::default() };
        refuses("x\n1\n", &options, "cannot multiply by");
    }
}

#[test]
fn values_beyond_the_fixed_point_range_are_refused() {
    let encode = |text: &str, frac_bits| {
        let labelled = labelled("y", LabelKind::Numbers);
        let options = Options { standardise: Some(false), ..labelled };
        let table = csv(text, &options).unwrap();
        shares::encode(&table, frac_bits).map(|encoded| encoded.words().to_vec())
    };
    // Features of all rows, then labels; nearest, halves away from zero.
    let words = encode("x,y,z\n1,-3,0.25\n-4095.99,4,0.0000004768371582031250001\n", 20).unwrap();
    let expected = [1 << 20, 1 << 18, -4_294_956_810, 1, -(3 << 20), 4 << 20];
    assert_eq!(words.iter().map(|word| word.cast_signed()).collect::<Vec<_>>(), expected);
    for (text, place) in [
        ("x,y\n1,1\n4096,1\n", "row 2, column `x`"),
        ("x,y\n1,1\n-4097,1\n", "row 2, column `x`"),
        ("x,y\n1,1\n1,1\n1,5000\n", "row 3, column `y`"),
        ("a,y,x\n1,1,1\n1,1,1e300\n", "row 2, column `x`"),
    ] {
        let range = "beyond the fixed-point range, which is -4096 to 4096 at 20 fraction bits";
        let error = encode(text, 20).expect_err("refused");
        begins(&error, &format!("d/a.csv: {place}: {range}"));
    }
    assert!(encode("x,y\n4096,1\n", 19).is_ok());
    assert!(
        encode("x,y\n15.9,1\n", MAX_FRAC_BITS).is_ok()
            && encode("x,y\n16,1\n", MAX_FRAC_BITS).is_err()
    );
    for frac_bits in [0, MAX_FRAC_BITS + 1] {
        assert!(matches!(encode("x,y\n1,1\n", frac_bits), Err(DataError::FracBits { .. })));
    }
}

#[test]
fn arrays_have_numbered_columns() {
    let read = |name: &str, bytes: &[u8], options: &Options| {
        Table::from_bytes(bytes, Path::new(name), None, options)
    };
    let array = npy("<f8", "(2, 3)", &f64s(&[1.0, 2.0, 0.0, 4.0, 5.0, 1.0]));
    let options = Options { key: Some("c0".into()), ..labelled("c2", LabelKind::Binary) };
    let table = read("a.npy", &array, &options).unwrap();
    assert_eq!(
        (table.columns, table.features, table.targets),
        (names(&["c1"]), vec![2.0, 5.0], vec![0.0, 1.0])
    );
    assert_eq!(table.keys, Some(names(&["1", "4"])));
    let error = read("a.npy", &array, &labelled("c3", LabelKind::Binary)).expect_err("refused");
    says(&error, "no column `c3`; there are `c0`, `c1`, `c2`");
    // Doubles stay doubles, and integers are read.
    let plain = Options::default();
    let table = read("a.npy", &npy("<f8", "(1, 1)", &f64s(&[0.1])), &plain).unwrap();
    assert_eq!(table.features, [0.1]);
    let integers = npy("<i4", "(2, 1)", &[7, 0, 0, 0, 255, 255, 255, 255]);
    let table = read("a.npy", &integers, &plain).unwrap();
    assert_eq!(table.features, [7.0, -1.0]);

    let infinite = npy("<f8", "(2, 1)", &f64s(&[1.0, f64::NAN]));
    let error = read("a.npy", &infinite, &plain).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "a.npy: row 2, column `c0`: not a finite number; correct or remove the row"
    );
    for cut in 0..array.len() {
        says(&read("a.npy", &array[..cut], &plain).expect_err("cut"), "cut or damaged");
    }
    let empty = read("a.npy", &npy("<f8", "(0, 3)", &[]), &plain);
    begins(&empty.expect_err("empty"), "a.npy: no rows");
    for name in ["a.parquet", "a", "a.f32", "a.csv.gz"] {
        says(&read(name, &array, &plain).expect_err("unknown"), "unknown format; give .csv");
    }
    let missing = Table::load(Path::new("no/such.csv"), &plain).expect_err("missing");
    begins(&missing, "no/such.csv: ");
}

#[test]
fn images_have_a_file_of_labels() {
    let images = gz(&idx(&[2, 2, 2], &[0, 255, 51, 102, 1, 2, 3, 4]));
    let labels = gz(&idx(&[2], &[7, 0]));
    let path = PathBuf::from("train-labels-idx1-ubyte.gz");
    let options = Options {
        labels_file: Some(path.clone()),
        kind: LabelKind::Classes(10),
        ..Options::default()
    };
    let read = |images: &[u8], labels: &[u8], options: &Options| {
        let name = Path::new("train-images-idx3-ubyte.gz");
        Table::from_bytes(images, name, Some((&path, labels)), options)
    };
    let table = read(&images, &labels, &options).unwrap();
    assert_eq!(table.columns, names(&["c0", "c1", "c2", "c3"]));
    assert_eq!(table.features[..4], [0.0, 1.0, 51.0 * (1.0 / 255.0), 102.0 * (1.0 / 255.0)]);
    assert_eq!(
        table
            .targets
            .iter()
            .enumerate()
            .filter(|(_, value)| **value == 1.0)
            .map(|(at, _)| at)
            .collect::<Vec<_>>(),
        [7, 10]
    );
    let unscaled =
        read(&images, &labels, &Options { scale: Some(1.0), ..options.clone() }).unwrap();
    assert_eq!(unscaled.features, [0.0, 255.0, 51.0, 102.0, 1.0, 2.0, 3.0, 4.0]);

    let labels_are = "train-labels-idx1-ubyte.gz: ";
    for (labels, expected) in [
        (idx(&[3], &[7, 0, 0]), "3 labels for 2 rows"),
        (idx(&[2], &[7, 10]), "row 2, column `c0`: not a class"),
    ] {
        let error = read(&images, &gz(&labels), &options).expect_err("refused");
        begins(&error, &format!("{labels_are}{expected}"));
    }
    let both = Options { labels: names(&["c0"]), ..options.clone() };
    assert!(matches!(read(&images, &labels, &both), Err(DataError::LabelsTwice)));
    for cut in 0..images.len() {
        let error = read(&images[..cut], &labels, &options).expect_err("cut");
        begins(&error, "train-images-idx3-ubyte.gz: ");
        says(&error, "cut or damaged");
    }
    for cut in 0..labels.len() {
        let error = read(&images, &labels[..cut], &options).expect_err("cut");
        begins(&error, labels_are);
        says(&error, "cut or damaged");
    }
    // Labels in an array of one dimension.
    let array = npy("<i8", "(2,)", &[7_i64.to_le_bytes(), 3_i64.to_le_bytes()].concat());
    let labels = Some((Path::new("y.npy"), &array[..]));
    let table = Table::from_bytes(&images, Path::new("a.idx.gz"), labels, &options).unwrap();
    assert_eq!(table.targets[7], 1.0);
}

#[test]
fn mnist_is_read() {
    let Some(data) = sharelet_testkit::shared_data() else { return };
    let options = Options {
        labels_file: Some(data.join("mnist/test-labels-idx1-ubyte.gz")),
        kind: LabelKind::Classes(10),
        ..Options::default()
    };
    let table = Table::load(&data.join("mnist/test-images-idx3-ubyte.gz"), &options).unwrap();
    assert_eq!((table.columns.len(), table.targets.len()), (784, table.rows * 10));
    assert!(table.features.iter().all(|pixel| (0.0..=1.0).contains(pixel)));
    assert_eq!(table.targets.iter().sum::<f64>(), table.rows as f64);
}

#[test]
fn random_bytes_do_not_panic() {
    let mut rng = Rng(sharelet_testkit::seed());
    let valid = [TEXT.as_bytes().to_vec(), npy("<f8", "(1, 2)", &[0; 16]), idx(&[1, 2], &[1, 2])];
    for _ in 0..20_000 {
        let mut bytes = valid[rng.below(3)].clone();
        for _ in 0..=rng.below(3) {
            let position = rng.below(bytes.len());
            bytes[position] = rng.byte();
        }
        bytes.truncate(rng.below(bytes.len() * 2));
        for name in ["a.npy", "a.idx", "a.idx.gz", "a.csv"] {
            let _ = Table::from_bytes(&bytes, Path::new(name), None, &Options::default());
        }
    }
}
