//! Kinds of frames.

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
#[non_exhaustive]
pub enum Kind {
    /// Device to host: who is there ([`super::control::Hello`]).
    Hello = 1,
    /// Host to device: the network ([`super::control::Welcome`]).
    Welcome = 2,
    /// Either way, at any time: no, and why ([`super::control::Refusal`]); the connection ends.
    Refuse = 3,
    /// Device to host: a session is wanted ([`super::control::Request`]).
    Request = 4,
    /// Host to device: the session's number ([`super::control::Grant`]).
    Grant = 5,
    /// Device to host, before the input is known: `y_0 + r_0` of a gated layer.
    Prepared = 6,
    /// Device to host: opened bits of the gate before (none for layer 0), and the layer's masked
    /// input `d`.
    Input = 7,
    /// Host to device: `z` and opened bits of a layer's gate.
    Gate = 8,
    /// Device to host: opened bits of the last gate, if there is one, and the device's share of the
    /// answer, if the host is to learn it.
    Output = 9,
    /// Host to device: what the device needs for its answer.
    Answer = 10,
    /// Between servers, and from a server to a console: who is there
    /// ([`super::servers::ServerHello`]).
    Server = 11,
    /// Server 0 to server 1, ahead of the input: for which query ([`super::servers::Evaluate`]).
    Evaluate = 12,
    /// Console to server: who is there ([`super::servers::ConsoleHello`]).
    Console = 13,
    /// Server to console: a query's number, and the server's share of its answer.
    Deliver = 14,
    /// Console to server: the number of a query whose share it has.
    Delivered = 15,
}
