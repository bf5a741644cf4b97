//! Two servers beside published and measured figures of other systems.

use core::fmt::Write as _;

use super::figure::Figure;

/// Milliseconds and megabytes of a row at FALCON (3 parties, ring of 32 bits, its masks set to
/// zero) and SecureNN (3 parties, ring of 64 bits): both built and run on a machine with 2 cores,
/// all parties on it, over loopback. The same machine took [`THEIR_PLAIN_MICROSECONDS`] for the
/// plain product that figures are normalised by.
const OTHERS: [(&str, Other, Option<Other>); 12] = [
    ("a/fwd1", Other(14.3, Some(0.02)), Some(Other(19.8, Some(1.0)))),
    ("a/fwd128", Other(103.0, Some(2.6)), Some(Other(203.0, Some(8.0)))),
    ("a/train128", Other(143.0, Some(3.9)), Some(Other(363.0, Some(13.1)))),
    ("b/fwd1", Other(36.8, None), Some(Other(79.0, None))),
    ("b/fwd128", Other(2940.0, Some(106.0)), Some(Other(6600.0, Some(290.0)))),
    ("b/train128", Other(4660.0, Some(116.0)), Some(Other(8100.0, Some(408.0)))),
    ("c/fwd1", Other(55.0, None), Some(Other(132.0, None))),
    ("c/fwd128", Other(5500.0, Some(156.0)), Some(Other(10_000.0, Some(418.0)))),
    ("c/train128", Other(13_300.0, Some(172.0)), Some(Other(14_600.0, Some(683.0)))),
    ("d/fwd1", Other(9.4, None), None),
    ("d/fwd128", Other(254.0, Some(10.6)), None),
    ("d/train128", Other(358.0, Some(12.7)), None),
];

/// The plain product of network A, 128 inputs, 32-bit words, on one core of the machine that the
/// other systems ran on.
const THEIR_PLAIN_MICROSECONDS: f64 = 538.0;

/// Milliseconds, and megabytes that one party sends.
#[derive(Clone, Copy)]
struct Other(f64, Option<f64>);

/// How often faster than the others, and with how many bytes.
pub fn beside(figures: &[Figure]) -> String {
    let find =
        |name: &str| figures.iter().find(|figure| figure.name == name).map(|figure| figure.value);
    let Some(plain) = find("calibration/plain_a128_us") else { return String::new() };
    let mut text = String::from(
        "| row | online ms | MB per party | FALCON ms, MB | times faster | SecureNN ms, MB | \
         times faster |\n|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for (name, falcon, securenn) in OTHERS {
        let (Some(online), Some(bytes)) =
            (find(&format!("{name}/online_ms")), find(&format!("{name}/bytes_per_party")))
        else {
            continue;
        };
        let said =
            |Other(ms, mb): Other| mb.map_or_else(|| format!("{ms}"), |mb| format!("{ms}, {mb}"));
        let (other, ratio) = securenn.map_or_else(Default::default, |other| {
            (said(other), format!("{:.1}", other.0 / online))
        });
        let _ = writeln!(
            text,
            "| {name} | {online:.2} | {:.2} | {} | {:.1} | {other} | {ratio} |",
            bytes / 1e6,
            said(falcon),
            falcon.0 / online
        );
    }
    let _ = write!(
        text,
        "\n*Online* is from the first message to the result, the least of five runs, all on one \
         machine with a core per server; *busy* is the slower server's processor time; *dealing* \
         is the dealer's time on all cores, *preparing* that of both servers until their halves \
         are ready, neither of which waits for data. *wan* is online over an emulated line of 40 \
         ms and 100 Mbit/s each way. `train5` is a whole run of five epochs on 7,000 images, \
         tested on 1,000.\n\nFALCON (3 parties, ring of 32 bits, its masks set to zero) and \
         SecureNN (3 parties, ring of 64 bits) were run on a machine with 2 cores, all parties on \
         it, over loopback; its plain product took {THEIR_PLAIN_MICROSECONDS} us and this \
         machine's {plain:.0} us. Here two parties, ring of 64 bits. Dealing is apart. Bytes are \
         those of a step: the weights of an inference are opened once per model, the rows of \
         training once per run (8 bytes per word).\n"
    );
    text
}
