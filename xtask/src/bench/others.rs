//! Two servers beside published and measured figures of other systems.

use core::fmt::Write as _;

use super::figure::Figure;

/// Milliseconds of a row at FALCON (3 parties, ring of 32 bits, its masks set to zero), SecureNN (3
/// parties, ring of 64 bits), the function secret sharing of EzPC (2 parties and a dealer) and
/// HPMPC Trio (3 parties, ring of 32 bits): medians, built and run on 28 November 2026 on one
/// machine with 2 cores, all parties on it, over loopback. The same machine took
/// [`THEIR_PLAIN_MICROSECONDS`] for the plain product that figures are normalised by.
const OTHERS: [(&str, [Option<f64>; 4]); 9] = [
    ("gates/relu16384_k32", [Some(29.0), Some(63.5), Some(32.0), Some(2.4)]),
    ("a/fwd1", [Some(5.3), Some(10.1), Some(3.0), Some(2.0)]),
    ("a/fwd128", [Some(90.0), Some(201.0), Some(72.0), Some(13.4)]),
    ("a/train128", [Some(152.0), Some(326.0), None, None]),
    ("b/fwd128", [Some(3238.0), Some(6784.0), None, Some(166.0)]),
    ("b/train128", [Some(4559.0), Some(9437.0), None, None]),
    ("c/fwd128", [Some(5601.0), Some(9162.0), None, Some(277.0)]),
    ("c/train128", [Some(13_923.0), Some(19_400.0), None, None]),
    ("d/train128", [Some(303.0), None, None, None]),
];

/// The plain product of network A, 128 inputs, 32-bit words, on one core of the machine that the
/// other systems ran on.
const THEIR_PLAIN_MICROSECONDS: f64 = 622.0;

/// How often faster than the others, and with how many bytes.
pub fn beside(figures: &[Figure]) -> String {
    let find =
        |name: &str| figures.iter().find(|figure| figure.name == name).map(|figure| figure.value);
    let Some(plain) = find("calibration/plain_a128_us") else { return String::new() };
    let mut text = String::from(
        "| row | online ms | whole ms | MB per party | FALCON ms | SecureNN ms | EzPC ms | HPMPC \
         Trio ms |\n|---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for (name, others) in OTHERS {
        let of = |what: &str| find(&format!("{name}/{what}"));
        let (Some(online), Some(whole), Some(bytes)) =
            (of("online_median_ms"), of("whole_median_ms"), of("bytes_per_party"))
        else {
            continue;
        };
        let cells = others.map(|other| {
            other.map_or_else(String::new, |ms| format!("{ms} ({:.1} x)", ms / online))
        });
        let _ = writeln!(
            text,
            "| {name} | {online:.2} | {whole:.2} | {:.2} | {} |",
            bytes / 1e6,
            cells.join(" | ")
        );
    }
    let _ = write!(
        text,
        "\nIn this table all times are medians; *x* is how often the other system's time is ours, \
         below 1 where it is faster. *Online* is from the first message to the result, in the \
         tables above the least of five runs (three of VGG16) beside the median, all on one \
         machine with a core per server; *busy* is the slower server's processor time; *dealing* \
         is the dealer's time on all cores, *preparing* that of both servers until their halves \
         are ready, neither of which waits for data; *whole* is dealing, preparing and online, one \
         after the other. *wan* is online over an emulated line of 40 ms and 100 Mbit/s each way. \
         `train5` is a whole run of five epochs on 7,000 images, tested on 1,000, `train4` one of \
         four epochs on 640 in colour, tested on 200. `alexnet` and `vgg16` are for images of 32 \
         x 32, with batch normalisation, AlexNet with FALCON's sizes; the other systems were not \
         run with them.\n\nFALCON (3 parties, ring of 32 bits, its masks set to zero), SecureNN (3 \
         parties, ring of 64 bits), EzPC's function \
         secret sharing (2 parties and a dealer) and HPMPC Trio (3 parties, ring of 32 bits, the \
         fastest of them) were run on 28 November 2026, on a machine with 2 cores, all parties on \
         it, over loopback: medians, online. Its plain product took {THEIR_PLAIN_MICROSECONDS} us \
         and this machine's {plain:.0} us: they were not taken in one run with ours. In a ring of \
         64 bits HPMPC Trio took 20.2 ms for A, 316 ms for B and 583 ms for C, forward with 128; \
         with its preprocessing, in 32 bits, 24.9, 337 and 538 ms, and 3.8 ms for the ReLUs. Here \
         two parties, ring of 64 bits. Bytes are those of a step: the weights of an inference are \
         opened once per model, the rows of training once per run (8 bytes per word).\n"
    );
    text
}
