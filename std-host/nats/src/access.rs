//! How a store is reached.

use core::fmt;
use std::path::PathBuf;

use async_nats::{Client, ConnectOptions, ServerAddr};

use super::bridge::LIMIT;
use super::error::{NatsError, said};

/// How a store is reached.
#[derive(Clone)]
pub struct Access {
    address: ServerAddr,
    /// Certificates of authorities that vouch for the server, beside the system's.
    authorities: Option<PathBuf>,
    /// This program's certificate, and its key.
    certificate: Option<(PathBuf, PathBuf)>,
}

/// Without a password.
impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.address.tls_required() { "tls" } else { "nats" };
        write!(f, "{scheme}://{}:{}", self.address.host(), self.address.port())
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An address that may go to a log.
fn without_password(address: &str) -> &str {
    address.rsplit_once('@').map_or(address, |(_, rest)| rest)
}

/// Whether what is sent there stays on this machine.
fn is_here(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<core::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl Access {
    /// The store at `nats://[USER:PASSWORD@]HOST:PORT`, or `tls://`.
    ///
    /// # Errors
    /// [`NatsError::Address`]; [`NatsError::Plain`] without TLS, but for this machine.
    pub fn new(address: &str) -> Result<Self, NatsError> {
        let wrong = |what: String| {
            let address = without_password(address).to_owned();
            NatsError::Address { address, what }
        };
        let parsed: ServerAddr =
            address.parse().map_err(|error: std::io::Error| wrong(error.to_string()))?;
        if !address.starts_with("nats://") && !address.starts_with("tls://") {
            return Err(wrong("another kind of address".to_owned()));
        }
        if !parsed.tls_required() && !is_here(parsed.host()) {
            return Err(NatsError::Plain);
        }
        Ok(Self { address: parsed, authorities: None, certificate: None })
    }

    /// Trusts the authorities of a file, too.
    #[must_use]
    pub fn with_authorities(self, file: Option<PathBuf>) -> Self {
        Self { authorities: file, ..self }
    }

    /// Shows a certificate.
    #[must_use]
    pub fn with_certificate(self, certificate: Option<(PathBuf, PathBuf)>) -> Self {
        Self { certificate, ..self }
    }

    pub(crate) async fn connect(self, name: String) -> Result<Client, NatsError> {
        let mut options = ConnectOptions::new()
            .name(name)
            .connection_timeout(LIMIT)
            .request_timeout(Some(LIMIT))
            .require_tls(self.address.tls_required())
            // Where the server says that others are is not where this program was told to go.
            .ignore_discovered_servers();
        if let (Some(user), Some(password)) = (self.address.username(), self.address.password()) {
            options = options.user_and_password(user.to_owned(), password.to_owned());
        }
        if let Some(file) = self.authorities {
            options = options.add_root_certificates(file);
        }
        if let Some((certificate, key)) = self.certificate {
            options = options.add_client_certificate(certificate, key);
        }
        let connected = options.connect(self.address).await;
        connected.map_err(|error| NatsError::Connect { what: said(&error) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown_and_plain_links_stay_here() {
        let access = Access::new("nats://user:secret@127.0.0.1:4222").expect("an address");
        assert_eq!(format!("{access} {access:?}"), "nats://127.0.0.1:4222 nats://127.0.0.1:4222");
        for here in ["nats://localhost:4222", "nats://[::1]:4222", "nats://127.0.0.1"] {
            assert!(Access::new(here).is_ok(), "{here}");
        }
        assert!(Access::new("tls://store.example:4222").is_ok());
        let plain = Access::new("nats://store.example:4222");
        assert!(matches!(plain, Err(NatsError::Plain)), "{plain:?}");
        for wrong in ["http://a:1", "nats://u:secret@", "store.example", "ws://u:secret@a:1"] {
            let error = Access::new(wrong).expect_err(wrong).to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
