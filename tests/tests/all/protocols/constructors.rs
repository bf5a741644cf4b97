//! Protocols that cannot be made are refused where they are made; those that can be made run,
//! whatever their parameters.

use rand_core::Rng;
use sharelet_core::functions::cut::Folding;
use sharelet_core::functions::engine::Engine;
use sharelet_core::functions::protocol::choose::{Choose, MAX_WIDTH};
use sharelet_core::functions::protocol::compare::{Compare, MAX_CONSTANTS};
use sharelet_core::functions::protocol::matrix::{ApplyMatrix, MatrixMultiply};
use sharelet_core::functions::protocol::piecewise::{Applied, Piecewise};
use sharelet_core::functions::protocol::rescale::Rescale;
use sharelet_core::functions::protocol::segments::{Knot, MAX_KNOTS, Segments};
use sharelet_core::functions::protocol::shift::Shift;
use sharelet_core::functions::spline::{Above, Spline};
use sharelet_core::functions::tables;
use sharelet_core::ring::Ring;
use sharelet_core::step::StepError;
use sharelet_testkit::programs::Program;
use sharelet_testkit::programs::data::{Data, all_words};
use sharelet_testkit::programs::run::{Memory, private};
use sharelet_testkit::{printed_seed, rng};

fn shifts<R: Ring, W: Ring>() {
    let out_of_range =
        |shift_bits| Some(StepError::ShiftOutOfRange { shift_bits, ring_bits: R::BITS });
    for shift in (0..130).chain([u32::MAX - 2, u32::MAX - 1, u32::MAX]) {
        let fits = shift <= R::BITS - 2;
        let error = if fits { None } else { out_of_range(shift) };
        assert_eq!(Rescale::<R, W>::new(shift).err(), error);
        assert_eq!(Shift::<R>::relu(shift).err(), error);
        assert_eq!(
            Shift::<R>::truncate(shift).err(),
            if shift == 0 { out_of_range(0) } else { error }
        );
    }
}

#[test]
fn shifts_of_a_ring() {
    shifts::<u32, u32>();
    shifts::<u32, u64>();
    shifts::<u64, u32>();
    shifts::<u64, u64>();
}

#[test]
fn sizes_of_a_protocol() {
    for size in [0, 1, 2, 16, 17, 64, 65, 256, 257, 1 << 32, usize::MAX] {
        let between = |limit_elems: usize| {
            let wrong = StepError::SizeOutOfRange { found_elems: size, limit_elems };
            if (1..=limit_elems).contains(&size) { None } else { Some(wrong) }
        };
        assert_eq!(Choose::<u32, u64>::new(size).err(), between(MAX_WIDTH));
        if size <= 1000 {
            assert_eq!(
                Compare::<u64, u32>::new(&vec![1; size], Folding::Direct).err(),
                between(MAX_CONSTANTS)
            );
            let knots = vec![Knot { at: 1, slope: 1, offset: 1 }; size];
            assert_eq!(Segments::<u32>::new(1, 2, &knots).err(), between(MAX_KNOTS));
        }
        for shape in [(size, 2, 2), (2, size, 2), (2, 2, size), (size, size, size), (size, size, 0)]
        {
            let made = MatrixMultiply::<u64>::new(shape.0, shape.1, shape.2);
            assert_eq!(made.is_ok(), (1..=257).contains(&size) && shape.2 > 0, "{shape:?}");
        }
        for (rows, columns) in [(size, 2), (2, size), (size, size)] {
            let made = ApplyMatrix::<u32>::new(rows, columns, &[0; 4], &[0; 4]);
            assert_eq!(made.is_ok(), size == 2, "{rows} x {columns}");
        }
    }
}

#[test]
fn tables_and_rings() {
    let sigmoid = tables::sigmoid(12).unwrap();
    let narrow = |spline: &Spline| Piecewise::<u32, u32>::new(spline).is_ok();
    assert!(
        narrow(sigmoid)
            && Piecewise::<u32, u64>::new(sigmoid).is_ok()
            && Piecewise::<u64, u32>::new(sigmoid).is_ok()
    );
    // Constants that have no word of the results' ring.
    for constant in [1 << 31, -(1 << 31) - 1, i64::MAX, i64::MIN] {
        for spline in [
            Spline { above: Above::Constant(constant), ..*sigmoid },
            Spline { below: constant, ..*sigmoid },
        ] {
            assert!(!narrow(&spline) && Piecewise::<u64, u64>::new(&spline).is_ok());
        }
    }
    // The identity has words in one ring only; domains have to lie in the ring of the argument.
    let identity = Spline { above: Above::Identity, ..*sigmoid };
    assert!(narrow(&identity) && Piecewise::<u32, u64>::new(&identity).is_err());
    for low in [i64::MIN, i64::MAX, 1 << 31, (1 << 31) - 1, -(1 << 31) - 1] {
        assert!(!narrow(&Spline { low, ..*sigmoid }));
    }
    assert!(Piecewise::<u64, u64>::new(&Spline { low: i64::MAX, ..*sigmoid }).is_err());
    for spline in [
        Spline { rows: &[], ..*sigmoid },
        Spline { piece_bits: 0, ..*sigmoid },
        Spline { piece_bits: 255, ..*sigmoid },
        Spline { drop_bits: sigmoid.piece_bits, ..*sigmoid },
        Spline { drop_bits: 255, ..*sigmoid },
        Spline { value_frac_bits: 255, ..*sigmoid },
        Spline { value_frac_bits: 3, ..*sigmoid },
    ] {
        assert!(
            Piecewise::<u64, u64>::new(&spline).is_err()
                && Piecewise::<u64, u64>::within(&spline).is_err()
        );
    }
}

/// A table that anybody may have made.
struct Table {
    spline: Spline,
    within: bool,
}

impl Program<u64> for Table {
    async fn run<E: Engine>(&self, engine: &mut E, data: &mut Data<u64>) -> Result<(), E::Error> {
        let applied = Applied { x: &mut data.x, out: &mut data.other };
        let protocol = if self.within {
            Piecewise::within(&self.spline)?
        } else {
            Piecewise::new(&self.spline)?
        };
        engine.run(&protocol, applied).await
    }
}

/// Tables full of nonsense are refused, or give nonsense; they do not panic.
#[test]
fn random_tables_do_no_harm() {
    static ROWS: [[i64; 3]; 8] = [
        [0, 0, 0],
        [i64::MAX, i64::MAX, i64::MAX],
        [i64::MIN, i64::MIN, i64::MIN],
        [-1, -1, -1],
        [1, i64::MIN, i64::MAX],
        [1 << 60, -(1 << 40), 1 << 20],
        [7, 8, 9],
        [i64::MAX, 1, i64::MIN],
    ];
    let seed = printed_seed();
    let mut rng = rng(seed);
    let mut made = 0;
    for round in 0..4000 {
        let mut byte = |limit: u32| u8::try_from(rng.next_u32() % limit).unwrap();
        let (piece_bits, drop_bits, shift) = (byte(70), byte(20), byte(70));
        let (frac_bits, rows, extreme) = (byte(100), usize::from(byte(9)), byte(4));
        let mut word = || rng.next_u64().cast_signed() >> (rng.next_u32() % 64);
        let spline = Spline {
            in_frac_bits: 0,
            out_frac_bits: frac_bits,
            low: match extreme {
                0 => i64::MIN,
                1 => i64::MAX,
                _ => word(),
            },
            piece_bits,
            drop_bits,
            value_frac_bits: frac_bits + shift,
            rows: &ROWS[..rows],
            below: word(),
            above: if extreme == 2 { Above::Identity } else { Above::Constant(word()) },
            bound: 0.0,
            relative_bound: 0.0,
            coordinate_bound: 0.0,
        };
        let table = Table { spline, within: round % 2 == 0 };
        let x: Vec<u64> = all_words(3, &mut rng).into_iter().step_by(31).collect();
        let data = Data { other: vec![0; x.len()], x, ..Data::default() };
        if sharelet_testkit::programs::run::twin(&table, data.clone()).is_ok() {
            private(&table, data.share(&mut rng), &data.blank(), Memory::Seeded, round);
            made += 1;
        }
    }
    assert!(made > 100, "{made} tables, seed {seed}");
}
