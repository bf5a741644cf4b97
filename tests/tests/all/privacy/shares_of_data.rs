//! What one server gets of an owner's data is uniform, whatever the data.

use std::path::PathBuf;

use sharelet_core::share::Party;
use sharelet_host::data::{Table, shares};
use sharelet_host::store::datasets::Datasets;
use sharelet_testkit::chi_square::{BIT_BOUND, BYTES_BOUND, BitCount, Histogram};
use sharelet_testkit::owners::{Data, PARTIES, share};
use sharelet_train::labels::Labels;

/// Shares a table with two servers; what is on each server's disk for it.
async fn on_disk(table: Table) -> [Vec<u8>; 2] {
    let folder = tempfile::tempdir().unwrap();
    let data = Data::new("d", "o", table, 20, &[0; 16]);
    let state = |party: Party| folder.path().join(format!("{party:?}"));
    share(&data, PARTIES.map(|party| Datasets::open(&state(party), party).unwrap())).await;
    let file = format!("dataset-d/{}.share", data.description.id);
    PARTIES.map(|party| std::fs::read(state(party).join(&file)).unwrap())
}

/// The share in a file: before it is the head, behind it a checksum.
fn share_of(file: &[u8], bytes: usize) -> &[u8] {
    &file[file.len() - 32 - bytes..file.len() - 32]
}

fn constant(value: f64, rows: usize, columns: usize) -> Table {
    Table {
        path: PathBuf::from("constant"),
        rows,
        columns: (0..columns).map(|column| format!("c{column}")).collect(),
        features: vec![value; rows * columns],
        labels: Labels::Classes { classes: 2 },
        label_columns: vec!["y".to_owned()],
        targets: [1.0, 0.0].repeat(rows),
        keys: None,
        standardised: false,
    }
}

#[tokio::test]
async fn the_bytes_of_one_server_are_uniform_whatever_the_data() {
    let (rows, columns) = (20_000, 8);
    let words = rows * (columns + 2);
    for value in [0.0, 1.0, -4000.0] {
        let [zero, one] = on_disk(constant(value, rows, columns)).await;
        // Server 0 has a seed and nothing else: its file does not grow with the data.
        assert!(zero.len() < 400, "{} bytes", zero.len());
        let share = share_of(&one, words * 8);
        let mut all = Histogram::default();
        all.extend(share);
        assert!(all.against_uniform() < BYTES_BOUND, "{value}: {}", all.against_uniform());
        // Each byte of a word and its topmost bit by themselves: a mask that is too short would
        // show there.
        for place in 0..8 {
            let mut bytes = Histogram::default();
            share.iter().skip(place).step_by(8).for_each(|&byte| bytes.add(byte));
            let statistic = bytes.against_uniform();
            assert!(statistic < BYTES_BOUND, "{value}, byte {place}: {statistic}");
        }
        let mut sign = BitCount::default();
        share.iter().skip(7).step_by(8).for_each(|&byte| sign.add(byte >> 7 == 1));
        assert!(sign.against_fair() < BIT_BOUND);
        // Pieces are not masked alike.
        let piece = shares::PIECE_ELEMS * 8;
        assert_ne!(share[..1024], share[piece..piece + 1024]);
    }
}

#[tokio::test]
async fn a_seed_is_used_once() {
    let table = || constant(1.0, 100, 8);
    let ([zero, one], [zero_again, one_again]) = (on_disk(table()).await, on_disk(table()).await);
    let bytes = 100 * 10 * 8;
    assert_ne!(share_of(&zero, 32), share_of(&zero_again, 32));
    let same = share_of(&one, bytes)
        .chunks_exact(8)
        .zip(share_of(&one_again, bytes).chunks_exact(8))
        .filter(|(a, b)| a == b);
    assert_eq!(same.count(), 0);
}
