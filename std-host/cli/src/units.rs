//! Addresses, durations, bandwidths, lines and names of pictures as people write them.

use core::time::Duration;
use std::path::PathBuf;

use sharelet_core::DeviceId;
use sharelet_link::wan::{MAX_BYTES, MAX_DELAY, Wan};

/// A name of a party.
///
/// # Errors
/// A sentence for the command line.
pub fn parse_name(text: &str) -> Result<DeviceId, String> {
    let wrong = "a name has 1 to 16 letters, digits, `.`, `-` and `_`";
    DeviceId::new(text).ok_or_else(|| wrong.to_owned())
}

/// Several of [`parse_endpoint`], with commas between them.
///
/// # Errors
/// A sentence for the command line.
pub fn parse_endpoints(text: &str) -> Result<String, String> {
    text.split(',').try_for_each(|one| parse_endpoint(one.trim()).map(drop))?;
    Ok(text.to_owned())
}

/// A host and a port, perhaps with a peer's name: `NAME@HOST:PORT`. Names are resolved later, when
/// they are needed.
///
/// # Errors
/// A sentence for the command line.
pub fn parse_endpoint(text: &str) -> Result<String, String> {
    let address = match text.split_once('@') {
        Some((name, address)) => parse_name(name).map(|_| address)?,
        None => text,
    };
    let port = address
        .rsplit_once(':')
        .filter(|(name, _)| !name.is_empty())
        .and_then(|(_, port)| port.parse::<u16>().ok());
    port.filter(|&port| port > 0)
        .map(|_| text.to_owned())
        .ok_or_else(|| "give HOST:PORT, such as 127.0.0.1:7100".to_owned())
}

/// Two hosts and ports with a comma between them: server 0, then server 1.
///
/// # Errors
/// A sentence for the command line.
pub fn parse_servers(text: &str) -> Result<[String; 2], String> {
    let servers = text.split(',').map(|server| parse_endpoint(server.trim()));
    let servers: Vec<_> = servers.collect::<Result<_, _>>()?;
    servers.try_into().map_err(|_| "give SERVER0:PORT,SERVER1:PORT".to_owned())
}

/// A number with one of these units. `example` is shown where it has none.
fn scaled(text: &str, units: &[(&str, f64)], known: &str, example: &str) -> Result<f64, String> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    if unit.is_empty() {
        return Err(format!("`{text}` has no unit: give a number and {known}, such as {example}"));
    }
    let scale = units.iter().find(|(name, _)| *name == unit).map(|(_, scale)| scale);
    let scale = scale.ok_or_else(|| format!("give a number and {known}, such as {example}"))?;
    let number: f64 = number
        .trim()
        .parse()
        .map_err(|_| format!("give a number and a unit, such as {example}"))?;
    Ok(number * scale)
}

/// A duration such as `20ms` or `1.5s`.
///
/// # Errors
/// A sentence for the command line.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let units = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let seconds = scaled(text, &units, "us, ms, s, m or h", "20ms")?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| "give a duration that is not negative".to_owned())
}

/// Bits per second, such as `10mbit` or `250kbit`.
///
/// # Errors
/// A sentence for the command line.
pub fn parse_bandwidth(text: &str) -> Result<f64, String> {
    let units = [("bit", 1.0), ("kbit", 1e3), ("mbit", 1e6), ("gbit", 1e9)];
    let bits = scaled(text, &units, "bit, kbit, mbit or gbit (per second)", "10mbit")?;
    if bits > 0.0 && bits.is_finite() {
        Ok(bits)
    } else {
        Err("give a bandwidth above zero".to_owned())
    }
}

/// A line such as `40ms,100mbit`, `40ms` or `100mbit`: a delay one way and a bandwidth, each with
/// its unit.
///
/// # Errors
/// A sentence for the command line.
pub fn parse_link(text: &str) -> Result<Wan, String> {
    let (mut delay, mut bandwidth) = (None, None);
    for part in text.split(',').map(str::trim) {
        if !part.ends_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(format!(
                "`{part}` has no unit: give a delay and a bandwidth, such as 40ms,100mbit, or one \
                 of them"
            ));
        }
        let (what, twice) = if part.ends_with("bit") {
            let bits = parse_bandwidth(part).map_err(|error| format!("`{part}`: {error}"))?;
            ("bandwidth", bandwidth.replace(bits).is_some())
        } else {
            let other = "or kbit, mbit, gbit for a bandwidth";
            let time =
                parse_duration(part).map_err(|error| format!("`{part}`: {error}; {other}"))?;
            ("delay", delay.replace(time).is_some())
        };
        if twice {
            return Err(format!(
                "two {what}s: give one delay and one bandwidth, such as 40ms,100mbit"
            ));
        }
    }
    let delay = delay.unwrap_or_default();
    if delay > MAX_DELAY {
        return Err(format!(
            "a delay of {delay:?} is longer than the {MAX_DELAY:?} that are emulated"
        ));
    }
    if bandwidth.is_some_and(|bits| bits < 1.0) {
        return Err("give a bandwidth of at least one bit per second".to_owned());
    }
    // The most is far beyond what a line carries.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let wan = Wan { delay, bandwidth_bits: bandwidth.map(|bits| bits.round() as u64) };
    if wan.bandwidth_bits.is_some() && wan.capacity_bytes() >= MAX_BYTES {
        return Err(format!(
            "{wan}: more than {MAX_BYTES} bytes would be under way, and they are in memory; give \
             less"
        ));
    }
    Ok(wan)
}

/// A file that a picture goes to.
///
/// # Errors
/// A sentence for the command line.
pub fn parse_svg_path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let svg = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("svg"));
    if svg { Ok(path) } else { Err("give a file that ends in .svg".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        assert_eq!(parse_duration("20ms"), Ok(Duration::from_millis(20)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        for (wrong, says) in [
            ("20 parsecs", "us, ms, s, m or h"),
            ("-1s", "not negative"),
            ("", "no unit"),
            ("80", "`80` has no unit: give a number and us, ms, s, m or h, such as 20ms"),
        ] {
            let refused = parse_duration(wrong).expect_err(wrong);
            assert!(refused.contains(says), "{wrong}: {refused}");
        }
        assert_eq!(parse_bandwidth("10mbit"), Ok(1e7));
        for wrong in ["0mbit", "mbit", "inf", "10"] {
            assert!(parse_bandwidth(wrong).is_err(), "{wrong}");
        }
    }
    #[test]
    fn links() {
        let ms = Duration::from_millis;
        let line = |delay, bandwidth_bits| Ok(Wan { delay, bandwidth_bits });
        assert_eq!(parse_link("40ms,100mbit"), line(ms(40), Some(100_000_000)));
        assert_eq!(parse_link("100mbit, 40ms"), line(ms(40), Some(100_000_000)));
        assert_eq!(parse_link("40ms"), line(ms(40), None));
        assert_eq!(parse_link("1.5s,250kbit"), line(ms(1500), Some(250_000)));
        assert_eq!(
            parse_link("500us,1gbit"),
            line(Duration::from_micros(500), Some(1_000_000_000))
        );
        assert_eq!(parse_link("100mbit"), line(ms(0), Some(100_000_000)));
        for (text, says) in [
            ("", "no unit"),
            ("40,100", "no unit"),
            ("40ms,", "no unit"),
            ("40ms,40ms", "two delays"),
            ("1mbit,2mbit", "two bandwidths"),
            ("40parsec", "give a number and us, ms, s"),
            ("40ms,0mbit", "above zero"),
            ("40ms,0.1bit", "at least one bit"),
            ("40ms,100mbyte", "kbit, mbit, gbit"),
            ("-1ms", "not negative"),
            ("1h", "longer than"),
            ("30s,10gbit", "in memory"),
            ("40ms,99999999999999999999gbit", "in memory"),
        ] {
            let refused = parse_link(text).expect_err(text);
            assert!(refused.contains(says), "{text}: {refused}");
        }
    }
}
