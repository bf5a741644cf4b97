//! Addresses, durations and bandwidths as people write them, and text as JSON.

use core::time::Duration;

/// A host and a port; names are resolved later, when they are needed.
///
/// # Errors
/// A sentence for the command line.
pub fn parse_endpoint(text: &str) -> Result<String, String> {
    let port = text.rsplit_once(':').filter(|(name, _)| !name.is_empty()).and_then(|(_, port)| port.parse::<u16>().ok());
    port.filter(|&port| port > 0).map(|_| text.to_owned()).ok_or_else(|| "give HOST:PORT, such as 127.0.0.1:7100".to_owned())
}

/// Two hosts and ports with a comma between them: server 0, then server 1.
///
/// # Errors
/// A sentence for the command line.
pub fn parse_servers(text: &str) -> Result<[String; 2], String> {
    let pair = text.split_once(',').ok_or_else(|| "give SERVER0:PORT,SERVER1:PORT".to_owned())?;
    Ok([parse_endpoint(pair.0.trim())?, parse_endpoint(pair.1.trim())?])
}

/// A duration such as `20ms` or `1.5s`.
///
/// # Errors
/// A sentence for the command line.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let scale = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("give a number and us, ms, s, m or h, such as 20ms".to_owned()),
    };
    let seconds: f64 = number.trim().parse().map_err(|_| "give a number and a unit, such as 20ms".to_owned())?;
    Duration::try_from_secs_f64(seconds * scale).map_err(|_| "give a duration that is not negative".to_owned())
}

/// Bits per second, such as `10mbit` or `250kbit`.
///
/// # Errors
/// A sentence for the command line.
pub fn parse_bandwidth(text: &str) -> Result<f64, String> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let scale = match unit {
        "bit" | "" => 1.0,
        "kbit" => 1e3,
        "mbit" => 1e6,
        "gbit" => 1e9,
        _ => return Err("give a number and bit, kbit, mbit or gbit (per second), such as 10mbit".to_owned()),
    };
    let bits: f64 = number.trim().parse().map_err(|_| "give a number and a unit, such as 10mbit".to_owned())?;
    if bits * scale > 0.0 && bits.is_finite() { Ok(bits * scale) } else { Err("give a bandwidth above zero".to_owned()) }
}

/// A text as JSON.
#[must_use]
pub fn json_text(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(control))),
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted() {
        assert_eq!(json_text("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000a\"");
    }

    #[test]
    fn units() {
        assert_eq!(parse_duration("20ms"), Ok(Duration::from_millis(20)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert!(parse_duration("20 parsecs").is_err() && parse_duration("-1s").is_err() && parse_duration("").is_err());
        assert_eq!(parse_bandwidth("10mbit"), Ok(1e7));
        assert!(parse_bandwidth("0").is_err() && parse_bandwidth("mbit").is_err() && parse_bandwidth("inf").is_err());
    }
}
