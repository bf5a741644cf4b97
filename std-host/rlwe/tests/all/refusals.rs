//! Messages and operands that are not what they should be.

use sharelet_rlwe::{Error, Public, Words32, Words64, batch, matrix, weights};
use sharelet_testkit::{Rng, printed_seed, rng};

use crate::keys::{KEYS32, KEYS64};

/// What every reader of a request does with cut, long and foreign ones.
fn is_refused<T>(request: &[u8], prime_bits: u32, read: impl Fn(&[u8]) -> Result<T, Error>) {
    assert!(read(request).is_ok());
    let expected = request.len();
    for found in [0, 1, 31, 32, 33, expected / 2, expected - 1] {
        let refused = read(&request[..found]).err();
        assert_eq!(refused, Some(Error::Length { expected, found }));
    }
    let longer = [request, &[0]].concat();
    let refused = read(&longer).err();
    assert_eq!(refused, Some(Error::Length { expected, found: expected + 1 }));
    // The first residue and the last one.
    for place in [32, expected - 8] {
        let mut changed = request.to_vec();
        changed[place..place + 8].fill(0xff);
        let Err(Error::Residue { residue, prime }) = read(&changed) else { panic!("{place}") };
        assert!(residue >= prime && residue.ilog2() < prime_bits);
    }
    let mut random = Rng(printed_seed());
    let foreign: Vec<u8> = (0..expected).map(|_| random.byte()).collect();
    assert!(matches!(read(&foreign), Ok(_) | Err(Error::Residue { .. })));
}

/// What every reader of a reply does.
fn reply_is_refused<T>(reply: &[u8], read: impl Fn(&[u8]) -> Result<T, Error>) {
    assert!(read(reply).is_ok());
    let expected = reply.len();
    for found in [0, 1, expected / 2, expected - 1] {
        let refused = read(&reply[..found]).err();
        assert_eq!(refused, Some(Error::Length { expected, found }));
    }
    let longer = [reply, &[0]].concat();
    let refused = read(&longer).err();
    assert_eq!(refused, Some(Error::Length { expected, found: expected + 1 }));
    let mut random = Rng(printed_seed());
    let foreign: Vec<u8> = (0..expected).map(|_| random.byte()).collect();
    assert!(matches!(read(&foreign), Ok(_) | Err(Error::Filling)));
    let mut changed = reply.to_vec();
    *changed.last_mut().unwrap() = 0xff;
    assert!(matches!(read(&changed), Ok(_) | Err(Error::Filling)));
}

#[test]
fn messages_of_matrices_are_read_with_care() {
    let mut rng = rng(printed_seed());
    let shape = matrix::Shape::new(2, 3, 1).unwrap();
    let (a, b) = ([1; 6], [1; 3]);
    let request = matrix::request(&KEYS64.secret, &shape, &a, &b, &mut rng).unwrap();
    let respond = |request: &[u8]| {
        matrix::respond(&KEYS64.public, &shape, &a, &b, request, &mut sharelet_testkit::rng(1))
    };
    is_refused(&request, 62, respond);
    let (reply, _) = respond(&request).unwrap();
    reply_is_refused(&reply, |reply| matrix::finish(&KEYS64.secret, &shape, reply));
    // Two numbers of 67 bits: two bits of the last byte are left.
    let mut filled = reply.clone();
    *filled.last_mut().unwrap() |= 0x80;
    let refused = matrix::finish(&KEYS64.secret, &shape, &filled).unwrap_err();
    assert_eq!(refused, Error::Filling);
    assert_eq!(
        matrix::request(&KEYS64.secret, &shape, &a, &a, &mut rng).unwrap_err(),
        Error::Operand { operand: "B", expected: 3, found: 6 }
    );
    assert_eq!(
        matrix::respond(&KEYS64.public, &shape, &b, &b, &request, &mut rng).unwrap_err(),
        Error::Operand { operand: "A", expected: 6, found: 3 }
    );
}

#[test]
fn messages_of_weights_are_read_with_care() {
    let mut rng = rng(printed_seed());
    let shape = weights::Shape::new(1, 3, 1).unwrap();
    let w = [1, -1, 3];
    let request = weights::request(&KEYS32.secret, &shape, &[1; 3], &mut rng).unwrap();
    let respond = |request: &[u8]| {
        let mut rng = sharelet_testkit::rng(1);
        weights::respond(&KEYS32.public, &shape, &w, request, &mut rng)
    };
    is_refused(&request, 27, respond);
    let (mut reply, _) = respond(&request).unwrap();
    reply_is_refused(&reply, |reply| weights::finish(&KEYS32.secret, &shape, reply));
    *reply.last_mut().unwrap() |= 0x10;
    let refused = weights::finish(&KEYS32.secret, &shape, &reply).unwrap_err();
    assert_eq!(refused, Error::Filling);
    let operand = weights::request(&KEYS32.secret, &shape, &[1; 2], &mut rng).unwrap_err();
    assert_eq!(operand, Error::Operand { operand: "r", expected: 3, found: 2 });
    let operand = weights::respond(&KEYS32.public, &shape, &[1; 4], &request, &mut rng);
    assert_eq!(operand.unwrap_err(), Error::Operand { operand: "W", expected: 3, found: 4 });
}

#[test]
fn messages_of_batches_are_read_with_care() {
    let mut rng = rng(printed_seed());
    let shape = batch::Shape::new(2, 1).unwrap();
    let words = vec![1; batch::SLOTS];
    let request = batch::request(&KEYS32.secret, &shape, &words, &mut rng).unwrap();
    let respond = |request: &[u8]| {
        let mut rng = sharelet_testkit::rng(1);
        batch::respond(&KEYS32.public, &shape, &[1, 2], request, &mut rng)
    };
    is_refused(&request, 27, respond);
    let (reply, _) = respond(&request).unwrap();
    reply_is_refused(&reply, |reply| batch::finish(&KEYS32.secret, &shape, reply));
    let operand = batch::request(&KEYS32.secret, &shape, &[1; 2], &mut rng).unwrap_err();
    assert_eq!(operand, Error::Operand { operand: "r", expected: batch::SLOTS, found: 2 });
}

#[test]
fn public_keys_are_read_with_care() {
    let mut rng = rng(printed_seed());
    is_refused(&KEYS32.secret.public(&mut rng), 27, Public::<Words32>::read);
    is_refused(&KEYS64.secret.public(&mut rng), 62, Public::<Words64>::read);
}

#[test]
fn sizes_are_checked() {
    for [a, b, c] in [[0, 1, 1], [1, 0, 1], [1, 1, 0], [usize::MAX, 1, 2], [1 << 62, 1 << 62, 1]] {
        assert_eq!(matrix::Shape::new(a, b, c).unwrap_err(), Error::Sizes, "{a} {b} {c}");
    }
    for [a, b] in [[0, 1], [1, 0], [usize::MAX, 2], [usize::MAX, usize::MAX]] {
        assert_eq!(weights::Shape::new(a, b, 1).unwrap_err(), Error::Sizes);
        assert_eq!(batch::Shape::new(a, b).unwrap_err(), Error::Sizes);
    }
    let long = matrix::Shape::new(64, 1 << 21, 64).unwrap_err();
    assert!(matches!(long, Error::Noise { noise_bits: 80.., room_bits: 78 }), "{long}");
}
