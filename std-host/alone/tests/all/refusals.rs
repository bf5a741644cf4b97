//! What does not fit is refused by name.

use sharelet_alone::{AloneError, Task, online};
use sharelet_prepare::{Failed, PrepareError};
use sharelet_testkit::model::Model as Plain;
use sharelet_testkit::pipe::run;
use sharelet_testkit::programs::link::{End, Stopped};
use sharelet_testkit::{printed_seed, rng};

use crate::parties::{Parties, model};

#[test]
fn another_network_is_refused_by_both_before_anything_is_made() {
    let seed = printed_seed();
    let of = |widths: &[u16]| model(&Plain::random(widths, false, &mut rng(seed)));
    let mut parties = Parties::new(of(&[5, 4, 3]), seed);
    // As many records, another network.
    let other = Task::new(of(&[6, 4, 3]).network).unwrap();
    let Parties { task, model, ends: [end_0, end_1], p0, p1, rngs: [rng_0, rng_1], .. } =
        &mut parties;
    let own = Task::new(task.network.clone()).unwrap();
    let (found_0, found_1) = run(embassy_futures::join::join(
        p0.prepare(&other, 1, rng_0, end_0),
        p1.prepare(&own, model, 1, rng_1, end_1),
    ));
    for found in [found_0.map(drop), found_1.map(drop)] {
        let refused = found.unwrap_err();
        assert!(matches!(
            refused,
            AloneError::Transfers(Failed::Prepare(PrepareError::OtherProgram))
        ));
    }
}

#[test]
fn weights_that_cannot_be_hidden_are_refused_with_the_number() {
    let seed = printed_seed();
    let mut large = model(&Plain::random(&[3, 2], false, &mut rng(seed)));
    let task = Task::new(large.network.clone()).unwrap();
    task.check(&large).unwrap();
    large.weights[0][1] = 1 << 30;
    let error = task.check(&large).unwrap_err();
    let noise = sharelet_rlwe::Error::Noise { noise_bits: 36, room_bits: 32 };
    let expected = "encrypted products: noise of up to 36 bits, where 32 can be hidden";
    assert_eq!(error.to_string(), expected);
    let mut parties = Parties::new(large, seed);
    let [p0, p1] = parties.try_prepare(1);
    assert!(matches!(p1.unwrap_err(), AloneError::Products(error) if error == noise));
    assert!(matches!(p0.unwrap_err(), AloneError::Transfers(Failed::Link(Stopped))));
}

#[test]
fn inputs_of_another_length_are_refused() {
    let seed = printed_seed();
    let mut parties = Parties::new(model(&Plain::random(&[3, 2], true, &mut rng(seed))), seed);
    let [mut halves_0, mut halves_1] = parties.prepare(1);
    let mut nobody = End::Nobody(0);
    let Parties { task, model, .. } = &parties;
    let half = halves_0.pop().unwrap();
    let error = run(online::infer_p0(task, half, &[1; 4], &mut nobody)).unwrap_err();
    let is = |error: crate::parties::Failed, found| {
        matches!(
            error,
            AloneError::Input { expected_elems: 3, found_elems } if found_elems == found
        )
    };
    assert!(is(error, 4));
    let half = halves_1.pop().unwrap();
    let error = run(online::infer_p1(task, half, model, Some(&[]), &mut nobody)).unwrap_err();
    assert!(is(error, 0));
    assert!(matches!(nobody, End::Nobody(0)), "nothing was sent");
}

/// A peer that answers with noise: an error, or an answer that is wrong, and never a panic.
#[test]
fn noise_is_no_panic() {
    let seed = printed_seed();
    let mut parties = Parties::new(model(&Plain::of_every_shape(&mut rng(seed))), seed);
    let [halves_0, halves_1] = parties.prepare(1);
    let Parties { task, model, p0, p1, rngs: [rng_0, rng_1], .. } = &mut parties;
    let noise = |seed| End::Noise(Box::new(rng(seed)));
    assert!(run(p0.prepare(task, 1, rng_0, &mut noise(seed))).is_err());
    assert!(run(p1.prepare(task, model, 1, rng_1, &mut noise(seed))).is_err());
    let input = vec![7; task.network.inputs()];
    for half in halves_0 {
        assert!(run(online::infer_p0(task, half, &input, &mut noise(seed))).is_ok());
    }
    for half in halves_1 {
        assert!(run(online::infer_p1(task, half, model, None, &mut noise(seed))).is_ok());
    }
}
