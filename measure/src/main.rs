//! x
use sharelet_measure::*;
fn main() {
    use function::Function;
    for function in Function::ALL {
        for &frac_bits in function.frac_bits() {
            let job = run::Job { function, frac_bits };
            let t = std::time::Instant::now();
            let n: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
            let e = errors::Effort { step: (10_000_000 / n) as usize, random: n };
            let u = [run::usage::<u32>(job, 1024), run::usage::<u64>(job, 1024)]
                .map(|u| u.map(|u| (u.messages, u.online_bytes as f64 / 1024., u.dealt_bytes / 1024)));
            let a = errors::worst::<u32>(job, e);
            let ta = t.elapsed().as_secs_f64();
            let b = errors::worst::<u64>(job, e);
            println!("{} f{frac_bits} {a:?} {b:?} {u:?} {:.2} {:.2}", function.name(), ta, t.elapsed().as_secs_f64() - ta);
        }
    }
}
