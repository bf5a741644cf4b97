//! What two servers, and a console, say to each other beyond the frames of a session.

use serde::{Deserialize, Serialize};

use super::WireError;
use super::control::{DeviceId, parse, strip_prefix};
use super::query::{QueryId, Recipient};
use super::task::Task;

/// First on a connection between servers, each way, and from a server to a console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerHello {
    /// The sender's party: 0 or 1.
    pub party: u8,
    /// Tells one run of a server from the next.
    pub instance: u64,
    /// What the sender evaluates.
    pub task: Task,
}

/// First on a connection from a console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleHello {
    /// The operator's name.
    pub name: DeviceId,
}

/// Server 0 to server 1, ahead of the input: which query a prepared session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evaluate {
    /// The query.
    pub id: QueryId,
    /// Who gets the answer, as server 0 was told.
    pub recipient: Recipient,
}

/// Reads a [`ServerHello`] behind magic and version.
///
/// # Errors
/// [`WireError::NotSharelet`], [`WireError::Version`] or [`WireError::Malformed`].
pub fn parse_server_hello(bytes: &[u8]) -> Result<ServerHello, WireError> {
    parse(strip_prefix(bytes)?)
}

/// Reads a [`ConsoleHello`] behind magic and version.
///
/// # Errors
/// [`WireError::NotSharelet`], [`WireError::Version`] or [`WireError::Malformed`].
pub fn parse_console_hello(bytes: &[u8]) -> Result<ConsoleHello, WireError> {
    parse(strip_prefix(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::super::control::{MAX_CONTROL_BYTES, emit_handshake};
    use super::*;

    #[test]
    fn the_largest_greetings_fit_and_survive() {
        let task = Task {
            ring_bits: 255,
            input_frac_bits: 255,
            output_frac_bits: 255,
            inputs: u16::MAX,
            outputs: u16::MAX,
            input_limit: u32::MAX,
            model: [255; 16],
        };
        let hello = ServerHello { party: 255, instance: u64::MAX, task };
        let mut buffer = [0; MAX_CONTROL_BYTES];
        let used = emit_handshake(&hello, &mut buffer).expect("fits");
        assert_eq!(parse_server_hello(&buffer[..used]), Ok(hello));
        for cut in 0..used {
            assert!(parse_server_hello(&buffer[..cut]).is_err());
        }
        let name = DeviceId::new("sixteen-letters.").expect("a name");
        let used = emit_handshake(&ConsoleHello { name }, &mut buffer).expect("fits");
        assert_eq!(parse_console_hello(&buffer[..used]), Ok(ConsoleHello { name }));
    }
}
