//! Readings from every format, and every refusal with its place.

use std::io::Write as _;
use std::path::Path;

use sharelet_model::readings::columns::{Columns, same_labels};
use sharelet_model::readings::{Fault, ReadOptions, Readings, ReadingsError};
use sharelet_testkit::Rng;
use sharelet_testkit::assert_matches;

fn read(name: &str, bytes: &[u8]) -> Result<Readings, ReadingsError> {
    Readings::from_bytes(bytes, Path::new(name), ReadOptions::default())
}

/// What is wrong with a file.
fn fault(readings: Result<Readings, ReadingsError>) -> Fault {
    match readings {
        Err(ReadingsError::File { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

/// A file of 32-bit floats, or whatever `descr` says.
fn array(descr: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
    npy(&header, data)
}

fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(data);
    bytes
}

fn idx(kind: u8, dims: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, kind, u8::try_from(dims.len()).unwrap()];
    dims.iter().for_each(|dim| bytes.extend_from_slice(&dim.to_be_bytes()));
    bytes.extend_from_slice(data);
    bytes
}

#[test]
fn npy_round_trip_and_types() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.npy");
    let readings = Readings::new(3, vec![1.0, -2.5, 3.0, 4.0, 5.0, 6.0]).unwrap();
    readings.save_npy(&path).unwrap();
    assert_eq!(Readings::load(&path, ReadOptions::default()).unwrap(), readings);
    let f64s = [1.5_f64, 2.0].map(f64::to_le_bytes).concat();
    assert_eq!(
        read("a.npy", &array("<f8", "False", "(1, 2, 1)", &f64s)).unwrap(),
        Readings::new(2, vec![1.5, 2.0]).unwrap()
    );
    // A vector is one reading, or many of one value.
    let vector = array("<f8", "False", "(2,)", &f64s);
    assert_eq!(read("a.npy", &vector).unwrap().len(), 1);
    let options = ReadOptions { width: Some(1), divide: None };
    assert_eq!(Readings::from_bytes(&vector, Path::new("a.npy"), options).unwrap().len(), 2);
}

#[test]
fn npy_integers_and_booleans() {
    let large = (1_u64 << 40) as f32;
    let cases: [(&str, Vec<u8>, [f32; 2]); 9] = [
        ("|b1", vec![0, 1], [0.0, 1.0]),
        ("|u1", vec![7, 255], [7.0, 255.0]),
        ("|i1", vec![7, 255], [7.0, -1.0]),
        ("<u2", [7, 65_535].map(u16::to_le_bytes).concat(), [7.0, 65_535.0]),
        ("<i2", [7, -300].map(i16::to_le_bytes).concat(), [7.0, -300.0]),
        ("<u4", [7, 70_000].map(u32::to_le_bytes).concat(), [7.0, 70_000.0]),
        ("<i4", [7, -70_000].map(i32::to_le_bytes).concat(), [7.0, -70_000.0]),
        ("<u8", [7, 1 << 40].map(u64::to_le_bytes).concat(), [7.0, large]),
        ("<i8", [7, -(1 << 40)].map(i64::to_le_bytes).concat(), [7.0, -large]),
    ];
    for (descr, data, expected) in cases {
        let readings = read("a.npy", &array(descr, "False", "(1, 2)", &data)).expect(descr);
        assert_eq!(readings.values(), expected, "{descr}");
    }
}

#[test]
fn npy_refusals() {
    let refused = |descr: &str, order: &str, shape: &str, data: &[u8]| {
        fault(read("a.npy", &array(descr, order, shape, data)))
    };
    assert!(refused("<f4", "True", "(1, 1)", &[0; 4]).to_string().contains("Fortran"));
    for descr in ["<c8", ">f4", "<U3", "<f2", ""] {
        let fault = refused(descr, "False", "(1, 1)", &[0; 8]).to_string();
        assert!(fault.contains("not of floats, integers or booleans"), "{descr}");
    }
    let floats = |shape: &str, data: &[u8]| refused("<f4", "False", shape, data);
    assert_matches!(floats("(2, 2)", &[0; 15]), Fault::Length { expected: 16, found: 15 });
    assert_matches!(floats("(0, 3)", &[]), Fault::Empty);
    assert_matches!(floats("(99999999999, 99999999999)", &[]), Fault::Header(_));
    assert_matches!(floats("()", &[0; 4]), Fault::Header(_));
    let nan = [1.0, 2.0, 3.0, f32::NAN].map(f32::to_le_bytes).concat();
    assert_matches!(floats("(2, 2)", &nan), Fault::NotFinite { row: 2, column: 2 });
    let large = refused("<f8", "False", "(1, 1)", &1e300_f64.to_le_bytes());
    assert_matches!(large, Fault::NotFinite { row: 1, column: 1 });
}

#[test]
fn csv_and_its_refusals() {
    assert_eq!(
        read("a.csv", b"a, b\n1,-2\r\n\n3.5,4e1\n").unwrap(),
        Readings::new(2, vec![1.0, -2.0, 3.5, 40.0]).unwrap()
    );
    let refused = |bytes: &[u8]| fault(read("a.csv", bytes));
    assert_matches!(refused(b"1,2\n3,x\n"), Fault::NotANumber { line: 2, column: 2, .. });
    assert_matches!(refused(b"1,2\n3\n"), Fault::RowLength { line: 2, expected: 2, found: 1 });
    assert_matches!(refused(b"1,2\n\n3,inf\n"), Fault::NotFiniteCell { line: 3, column: 2 });
    assert_matches!(refused(b"1,2\n3,1e99\n"), Fault::NotFiniteCell { line: 2, column: 2 });
    assert_matches!(refused(b"\n"), Fault::Empty);
    assert_matches!(refused(b"a,b\n"), Fault::Empty);
    assert_matches!(refused(&[0xFF, 0xFE]), Fault::Header(_));
    let options = ReadOptions { width: Some(3), divide: None };
    let error = Readings::from_bytes(b"1,2\n", Path::new("a.csv"), options);
    let text = error.as_ref().unwrap_err().to_string();
    assert!(text.starts_with("a.csv: line 1"), "{text}");
    assert_matches!(fault(error), Fault::RowLength { line: 1, expected: 3, found: 2 });
}

fn named(features: &[&str], labels: &[&str], text: &str) -> Result<Readings, ReadingsError> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let columns = Columns { features: names(features), labels: names(labels) };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    std::fs::write(&path, text).unwrap();
    Readings::load_named(&path, ReadOptions::default(), Some(&columns))
}

#[test]
fn columns_are_found_by_name_where_names_are_known() {
    let house = |text| named(&["area", "rooms"], &["price"], text);
    let rows = Readings::new(2, vec![50.0, 2.0, 70.0, 3.0]).unwrap();
    for text in [
        "area,rooms\n50,2\n70,3\n",
        "\u{feff}rooms;area\n2;50\n3;70\n",
        // The label, of which nothing is read.
        "rooms,price,area\n2,,50\n3,unknown,70\n",
        // No header: by place.
        "50,2\n70,3\n",
        "\n \nrooms,area\n2,50\n3,70\n",
    ] {
        assert_eq!(house(text).expect(text), rows, "{text:?}");
    }
    // Names that are numbers.
    let years = named(&["2023", "2024"], &[], "2024,2023\n1,2\n").unwrap();
    assert_eq!(years, Readings::new(2, vec![2.0, 1.0]).unwrap());
    // Names of arrays are none.
    for header in ["x,y", "c0,c1"] {
        let rows = named(&["c0", "c1"], &["c0"], &format!("{header}\n1,2\n")).expect(header);
        assert_eq!(rows, Readings::new(2, vec![1.0, 2.0]).unwrap(), "{header}");
    }
    for (text, expected) in [
        ("area\n50\n", "it has not all columns: `rooms` is missing; give the columns"),
        ("area,rooms,garden\n50,2,1\n", "it has other columns: `garden` is not wanted; give"),
        ("area,garden\n50,1\n", "it has other columns: `garden` instead of `rooms`; give"),
        ("area,area\n50,1\n", "two columns are named `area`; rename or remove one"),
        ("area,rooms\n50,2\n70\n", "line 3 has 1 cells where the header names 2 columns"),
        ("rooms,price,area\n2,9,x\n", "line 2, column 3: `x` is not a number"),
        ("rooms,area\n2,\n", "line 2, column 2: `` is not a number"),
    ] {
        let error = house(text).expect_err(text).to_string();
        assert!(error.contains(&format!("rows.csv: {expected}")), "{error}");
    }
}

#[test]
fn labels_are_compared_as_far_as_they_have_names() {
    let same = |wanted: &str, found: &str| same_labels(&[wanted.into()], &[found.into()]);
    assert!(same("price", "price") && same("price", "c0") && same("c17", "rent"));
    assert!(!same("price", "rent") && !same("price", "c") && !same("cost", "c1x"));
}

/// Spreadsheets of half the world write `1,5;-2,25`.
#[test]
fn dialects_of_csv() {
    let same = Readings::new(2, vec![1.5, -2.25, 3.0, 4.0]).unwrap();
    for text in [
        "\"x\",\"y\"\n\"1.5\",\"-2.25\"\n3,4\n",
        "1.5;-2.25\n3;4\n",
        "x;y, m/s\r\n1,5;-2,25\r\n3;4\r\n",
        "\u{feff}\"x\"\t\"y\"\n1,5\t-2,25\n  \n3\t4",
        "\"1,5\",\"-2,25\"\n3,4\n",
    ] {
        assert_eq!(read("a.csv", text.as_bytes()).expect(text), same, "{text:?}");
    }
    for (text, says) in [
        ("1,5;2\n1.5;2\n", "line 2 has a decimal point, and line 1 a decimal comma"),
        ("\"1,234\",2\n", "line 1: the comma in `1,234` may stand before decimals or thousands"),
        ("1;a,2\n", "may be separated by commas or by semicolons"),
        ("1.234,5;2;3\n", "line 1, column 1: `1.234,5` is not a number"),
    ] {
        let fault = fault(read("a.csv", text.as_bytes())).to_string();
        assert!(fault.contains(says), "{text:?}: {fault}");
    }
}

#[test]
fn idx_plain_and_packed() {
    let bytes = idx(8, &[2, 1, 2], &[0, 255, 51, 102]);
    let readings = read("t-idx3-ubyte", &bytes).unwrap();
    assert_eq!(readings, Readings::new(2, vec![0.0, 1.0, 0.2, 0.4]).unwrap());
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&bytes).unwrap();
    let packed = packed.finish().unwrap();
    assert_eq!(read("t-idx3-ubyte.gz", &packed).unwrap(), readings);
    let cut = fault(read("t-idx3-ubyte.gz", &packed[..packed.len() - 9]));
    assert_matches!(cut, Fault::Header(_));
    let options = ReadOptions { width: None, divide: Some(1.0) };
    assert_eq!(
        Readings::from_bytes(&bytes, Path::new("t.idx"), options).unwrap().values()[1].to_bits(),
        255.0_f32.to_bits()
    );
    let refused = |bytes: &[u8]| fault(read("t.idx", bytes));
    assert_matches!(refused(&idx(8, &[2, 2], &[1, 2, 3])), Fault::Length { expected: 4, found: 3 });
    assert_matches!(refused(&idx(9, &[1, 1], &[1])), Fault::Header(_));
    assert_matches!(refused(&[0, 0, 8]), Fault::Header(_));
    assert_matches!(refused(&[1, 0, 8, 1]), Fault::Header(_));
}

#[test]
fn raw_f32_needs_a_width() {
    let bytes = [1.0_f32, 2.0, 3.0, 4.0].map(f32::to_le_bytes).concat();
    let with = |width| {
        Readings::from_bytes(&bytes, Path::new("a.f32"), ReadOptions { width, divide: Some(2.0) })
    };
    assert_eq!(with(Some(2)).unwrap(), Readings::new(2, vec![0.5, 1.0, 1.5, 2.0]).unwrap());
    assert_matches!(fault(with(None)), Fault::WidthNeeded);
    assert_matches!(fault(with(Some(3))), Fault::Length { expected: 24, found: 16 });
}

#[test]
fn other_refusals() {
    assert_matches!(fault(read("a.xlsx", b"")), Fault::UnknownFormat);
    let load = Readings::load(Path::new("no/such/file.npy"), ReadOptions::default());
    assert_matches!(load, Err(ReadingsError::Io(_)));
    for divide in [0.0, f32::NAN] {
        let options = ReadOptions { width: None, divide: Some(divide) };
        assert_matches!(
            Readings::from_bytes(b"1\n", Path::new("a.csv"), options),
            Err(ReadingsError::Divisor(_))
        );
    }
    let options = ReadOptions { width: Some(2), divide: None };
    let wide = Readings::from_bytes(&idx(8, &[1, 3], &[1, 2, 3]), Path::new("a.idx"), options);
    assert_matches!(fault(wide), Fault::Width { expected: 2, found: 3 });
    assert!(
        Readings::new(2, vec![1.0]).is_none()
            && Readings::new(1, vec![f32::NAN]).is_none()
            && Readings::new(0, vec![]).is_none()
    );
}

#[test]
fn random_bytes_do_not_panic() {
    let seed = 5;
    let mut rng = Rng(seed);
    let valid = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }\n", &[0; 8]);
    for _ in 0..20_000 {
        let mut bytes = if rng.below(2) == 0 { valid.clone() } else { idx(8, &[1, 2], &[1, 2]) };
        for _ in 0..=rng.below(3) {
            let position = rng.below(bytes.len());
            bytes[position] = rng.byte();
        }
        bytes.truncate(rng.below(bytes.len() * 2));
        for name in ["a.npy", "a.idx", "a.idx.gz", "a.csv", "a.f32"] {
            let _ = read(name, &bytes);
        }
    }
}
