//! x
use core::time::Duration;
use sharelet_measure::*;
fn main() {
    use function::Function;
    let only = std::env::args().nth(1).unwrap_or_default();
    for function in Function::ALL {
        if !function.name().starts_with(&only) {
            continue;
        }
        for &frac_bits in function.frac_bits() {
            let job = run::Job { function, frac_bits };
            let d = Duration::from_millis(300);
            let a = parties::speed::<u32>(job, |room, n| errors::fill(job, room, n), d).unwrap();
            let b = parties::speed::<u64>(job, |room, n| errors::fill(job, room, n), d).unwrap();
            let mut room = run::Room::<u32>::new(job, 1000);
            errors::fill(job, &mut room, 1000);
            parties::reveal(job, &mut room, 1000).unwrap();
            println!(
                "{:20} f{frac_bits} {:10.0} ({}) {:10.0} ({}) {}",
                function.name(),
                a.elements_per_second,
                a.batch,
                b.elements_per_second,
                b.batch,
                errors::largest(job, &room, 1000)
            );
        }
    }
}
