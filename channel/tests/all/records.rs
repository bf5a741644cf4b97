//! Records: any sizes, and whatever somebody does to them.

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embedded_io_async::{Read as _, Write as _};
use rand_core::Rng as _;
use sharelet_channel::{Channel, Error, Halves, MAX_RECORD_BYTES, Opener, Sealer, accept, connect};

use crate::pipe::{Pipe, Reader, Tap, run};
use crate::world::{self, WAYS, Way, World};

fn channels(way: Way) -> (Channel<Pipe>, Channel<Pipe>) {
    let (near, far) = World::new(50).connect(way);
    (near.unwrap().channel, far.unwrap().channel)
}

/// A channel of two halves at either end.
fn halves() -> [(Opener<Reader>, Sealer<Pipe>); 2] {
    let mut world = World::new(51);
    let (near, far) = Pipe::pair();
    let (mut near, mut far) = (whole(near), whole(far));
    let (mut rng, mut far_rng) = (world::fixed(52), world::fixed(53));
    let (connected, accepted) = run(join(
        connect(&mut near, &world.device, &world::host(), &world.pin, None, &mut rng),
        accept(&mut far, &world.host, &mut world.known, &mut far_rng),
    ));
    [
        connected.unwrap().keys.halves(near.reader, near.writer),
        accepted.unwrap().keys.halves(far.reader, far.writer),
    ]
}

fn whole(pipe: Pipe) -> Halves<Reader, Pipe> {
    let (reader, writer) = pipe.halves();
    Halves { reader, writer }
}

/// Reads to the end.
async fn rest(channel: &mut Channel<Pipe>) -> (Vec<u8>, Result<(), Error>) {
    let (mut all, mut piece) = (Vec::new(), [0; 100]);
    loop {
        match channel.read(&mut piece).await {
            Ok(0) => return (all, Ok(())),
            Ok(read) => all.extend(&piece[..read]),
            Err(error) => return (all, Err(error)),
        }
    }
}

/// Three records and the close record; `change` gets their bytes, record by record.
fn after(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> (Vec<u8>, Result<(), Error>) {
    let (mut near, mut far) = channels(Way::Static);
    let tap = near.transport().tap();
    let sent = run(async {
        for byte in 1..=3_u8 {
            near.write(&[byte; 5]).await.unwrap();
            near.flush().await.unwrap();
        }
        near.close().await
    });
    sent.unwrap();
    tap.change(|bytes| {
        let mut records: Vec<Vec<u8>> = bytes.chunks(23).map(<[u8]>::to_vec).collect();
        assert_eq!(records.iter().map(Vec::len).collect::<Vec<_>>(), [23, 23, 23, 18]);
        change(&mut records);
        *bytes = records.concat();
    });
    tap.end();
    run(rest(&mut far))
}

fn counted(records: usize) -> Vec<u8> {
    [[1; 5], [2; 5], [3; 5]][..records].concat()
}

#[test]
fn untouched_records_come_through() {
    assert_eq!(after(|_| {}), (counted(3), Ok(())));
}

#[test]
fn a_flipped_bit_anywhere_is_noticed() {
    for at in 0..3 * 23 + 18 {
        for bit in 0..8 {
            let (read, end) = after(|records| records[at / 23][at % 23] ^= 1 << bit);
            assert_eq!(read, counted(at / 23), "byte {at}, bit {bit}");
            let error = end.unwrap_err();
            let expected: &[&str] = match at % 23 {
                0 | 1 => &["Record", "Truncated", "RecordLength"],
                _ => &["Record"],
            };
            assert!(expected.contains(&error.name()), "byte {at}, bit {bit}: {error}");
        }
    }
}

#[test]
fn records_that_are_repeated_swapped_or_lost_are_noticed() {
    let error = Err(Error::Record);
    assert_eq!(after(|records| records.insert(1, records[0].clone())), (counted(1), error));
    assert_eq!(after(|records| records.swap(0, 1)), (counted(0), error));
    assert_eq!(after(|records| records.swap(1, 2)), (counted(1), error));
    assert_eq!(after(|records| drop(records.remove(1))), (counted(1), error));
    assert_eq!(after(|records| records.swap(2, 3)), (counted(2), error));
}

#[test]
fn an_end_that_the_peer_did_not_seal_is_noticed() {
    for cut in 0..3 * 23 + 18 {
        let (read, end) = after(|records| {
            let mut bytes = records.concat();
            bytes.truncate(cut);
            *records = vec![bytes];
        });
        assert_eq!((read, end), (counted(cut / 23), Err(Error::Truncated)), "after {cut} bytes");
    }
}

#[test]
fn a_record_of_the_other_direction_is_noticed() {
    let (mut near, mut far) = channels(Way::Static);
    run(async {
        near.write(b"mine").await.unwrap();
        near.flush().await.unwrap();
        far.write(b"mine").await.unwrap();
        far.flush().await.unwrap();
    });
    let tap = |channel: &mut Channel<Pipe>| -> Tap { channel.transport().tap() };
    let (up, down) = (tap(&mut near), tap(&mut far));
    let mut sent = Vec::new();
    up.change(|bytes| sent = core::mem::take(bytes));
    down.change(|bytes| *bytes = sent);
    assert_eq!(run(near.read(&mut [0; 9])), Err(Error::Record));
}

#[test]
fn any_sizes_of_writes_and_reads() {
    let mut rng = world::rng(54);
    for way in WAYS {
        let (mut near, mut far) = channels(way);
        let mut sent = Vec::new();
        let mut read = Vec::new();
        for round in 0..60_usize {
            let size = [0, 1, 511, 512, 513, 1024, 2000][round % 7] + round / 7;
            let mut bytes = vec![0; size];
            rng.fill_bytes(&mut bytes);
            run(near.write_all(&bytes)).unwrap();
            sent.extend(bytes);
            if round % 3 == 0 {
                run(near.flush()).unwrap();
                let mut piece = vec![0; 1 + round * 11];
                while read.len() < sent.len() {
                    let taken = run(far.read(&mut piece)).unwrap();
                    assert!(taken > 0);
                    read.extend(&piece[..taken]);
                }
                assert!(read == sent);
            }
        }
        run(near.close()).unwrap();
        let (all, end) = run(rest(&mut far));
        read.extend(all);
        assert!(read == sent && end == Ok(()));
    }
}

#[test]
fn nothing_is_sent_before_a_record_is_full_or_flushed() {
    let (mut near, _far) = channels(Way::Static);
    let tap = near.transport().tap();
    let before = tap.log().len();
    run(near.write_all(&[7; MAX_RECORD_BYTES])).unwrap();
    assert_eq!(tap.log().len(), before);
    run(near.write_all(&[7])).unwrap();
    assert_eq!(tap.log().len(), before + 18 + MAX_RECORD_BYTES);
    run(near.flush()).unwrap();
    run(near.flush()).unwrap();
    assert_eq!(tap.log().len(), before + 18 + MAX_RECORD_BYTES + 19);
}

#[test]
fn two_tasks_use_both_halves_at_the_same_time() {
    let [(mut near_opener, mut near_sealer), (mut far_opener, mut far_sealer)] = halves();
    async fn send(sealer: &mut Sealer<Pipe>, byte: u8) {
        for round in 0..50 {
            sealer.write_all(&vec![byte; 100 + round]).await.unwrap();
            sealer.flush().await.unwrap();
            embassy_futures::yield_now().await;
        }
        sealer.close().await.unwrap();
    }
    async fn receive(opener: &mut Opener<Reader>, byte: u8) -> usize {
        let (mut total, mut piece) = (0, [0; 64]);
        loop {
            match opener.read(&mut piece).await.unwrap() {
                0 => return total,
                read => {
                    assert!(piece[..read].iter().all(|&b| b == byte));
                    total += read;
                }
            }
        }
    }
    let (((), ()), (up, down)) = run(join(
        join(send(&mut near_sealer, 1), send(&mut far_sealer, 2)),
        join(receive(&mut far_opener, 1), receive(&mut near_opener, 2)),
    ));
    assert_eq!((up, down), (6225, 6225));
}

#[test]
fn a_read_that_is_dropped_loses_nothing() {
    let (mut near, mut far) = channels(Way::Static);
    let tap = near.transport().tap();
    run(async {
        near.write(b"a reading").await.unwrap();
        near.flush().await.unwrap();
    });
    let mut later = Vec::new();
    tap.change(|bytes| later = bytes.split_off(1));
    let mut piece = [0; 20];
    for cut in [1, 4, 20] {
        let first = run(select(far.read(&mut piece), embassy_futures::yield_now()));
        assert!(matches!(first, Either::Second(())));
        let now = later.drain(..cut).collect::<Vec<u8>>();
        tap.change(|bytes| bytes.extend(now));
    }
    tap.change(|bytes| bytes.append(&mut later));
    assert_eq!(run(far.read(&mut piece)), Ok(9));
    assert_eq!(&piece[..9], b"a reading");
}
