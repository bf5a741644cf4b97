//! How a store is reached.

use core::fmt;
use std::path::PathBuf;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::{ConnectOptions, ServerAddr};

use super::bridge::LIMIT;
use super::error::{NatsError, said};

/// How a store is reached.
#[derive(Clone)]
pub struct Access {
    /// Without user and password: the library would log them.
    addresses: Vec<ServerAddr>,
    user: Option<(String, String)>,
    /// Certificates of authorities that vouch for the server, beside the system's.
    authorities: Option<PathBuf>,
    /// This program's certificate, and its key.
    certificate: Option<(PathBuf, PathBuf)>,
}

fn shown(address: &ServerAddr) -> String {
    let scheme = if address.tls_required() { "tls" } else { "nats" };
    let host = address.host().trim_matches(['[', ']']);
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    format!("{scheme}://{host}:{}", address.port())
}

/// Without a password.
impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.addresses.iter().map(shown).collect();
        f.write_str(&all.join(","))
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

/// What an address says in which `%40` stands for `@`.
fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

impl Access {
    /// The store at `nats://[USER:PASSWORD@]HOST:PORT`, or `tls://`; or at the servers of a
    /// cluster, with commas between them.
    ///
    /// # Errors
    /// [`NatsError::Address`]; [`NatsError::Plain`] without TLS, but for this machine.
    pub fn new(address: &str) -> Result<Self, NatsError> {
        let (mut addresses, mut user) = (Vec::new(), None);
        for one in address.split(',').map(str::trim) {
            let wrong = |what: &str| {
                // A part of a password may have no @.
                let hidden = address.contains('@') && !one.contains('@');
                let shown = if hidden { "an address" } else { without_password(one) };
                let address = shown.to_owned();
                NatsError::Address { address, what: what.to_owned() }
            };
            let parsed: ServerAddr = one.parse().map_err(|_| wrong("no address"))?;
            if !one.starts_with("nats://") && !one.starts_with("tls://") {
                return Err(wrong("another kind of address"));
            }
            if !parsed.tls_required() && !is_here(parsed.host()) {
                return Err(NatsError::Plain);
            }
            match (parsed.username(), parsed.password()) {
                (None, None) => {}
                (Some(name), Some(password)) => {
                    let found = (decoded(name), decoded(password));
                    if user.as_ref().is_some_and(|user| *user != found) {
                        return Err(wrong("another user than before"));
                    }
                    user = Some(found);
                }
                _ => return Err(wrong("a user without a password")),
            }
            addresses.push(shown(&parsed).parse().map_err(|_| wrong("no address"))?);
        }
        Ok(Self { addresses, user, authorities: None, certificate: None })
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

    /// Connects as `name`, whose answers nobody else need be allowed to send or read.
    pub(crate) async fn connect(self, name: String) -> Result<Context, NatsError> {
        let tls = self.addresses.iter().all(ServerAddr::tls_required);
        let mut options = ConnectOptions::new()
            .custom_inbox_prefix(format!("_INBOX_{name}"))
            .name(name)
            // All servers of a cluster may be tried within the limit; and one that has gone without
            // a word is noticed.
            .connection_timeout(LIMIT / 4)
            .ping_interval(LIMIT / 2)
            // Who asks waits no longer than `LIMIT`, and says so; the library's own limits would
            // come as other errors.
            .request_timeout(Some(2 * LIMIT))
            .require_tls(tls)
            // Where the server says that others are is not where this program was told to go.
            .ignore_discovered_servers();
        if let Some((user, password)) = self.user {
            options = options.user_and_password(user, password);
        }
        if let Some(file) = self.authorities {
            options = options.add_root_certificates(file);
        }
        if let Some((certificate, key)) = self.certificate {
            options = options.add_client_certificate(certificate, key);
        }
        let connected = options.connect(self.addresses).await;
        let client = connected.map_err(|error| NatsError::Connect { what: said(&error) })?;
        let context = ContextBuilder::new().timeout(2 * LIMIT).ack_timeout(2 * LIMIT);
        Ok(context.build(client))
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
        let several = Access::new("tls://u:p%40%2C@a.example:4222,tls://b.example").expect("two");
        assert_eq!(several.to_string(), "tls://a.example:4222,tls://b.example:4222");
        assert_eq!(several.user, Some(("u".to_owned(), "p@,".to_owned())));
        let plain = Access::new("nats://store.example:4222");
        assert!(matches!(plain, Err(NatsError::Plain)), "{plain:?}");
        for wrong in [
            "http://a:1",
            "nats://u:secret@",
            "store.example",
            "",
            "ws://u:secret@a:1",
            "nats://secret@a:1",
            "nats://u:secret,x@localhost:1",
            "nats://u:secret@[::1]:1,nats://v:w@[::1]:2",
        ] {
            let error = Access::new(wrong).expect_err(wrong).to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
