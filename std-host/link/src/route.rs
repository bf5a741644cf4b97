//! How a program's connections are made: which addresses are acceptable, and over which line.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::connection::Connection;
use crate::error::LinkError;
use crate::wan::{Deliveries, Wan};

/// Which addresses a program talks to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exposure {
    /// Only loopback and the emulator's network.
    #[default]
    Local,
    /// Any, although links are plaintext.
    InsecurePlaintext,
}

impl Exposure {
    /// Checks one address.
    ///
    /// # Errors
    /// [`LinkError::NotLocal`].
    pub fn check(self, address: IpAddr) -> Result<(), LinkError> {
        let address = address.to_canonical();
        let emulator = |ip: Ipv4Addr| ip.octets().starts_with(&[10, 0, 2]);
        let local = address.is_loopback() || matches!(address, IpAddr::V4(ip) if emulator(ip));
        if local || self == Self::InsecurePlaintext {
            Ok(())
        } else {
            Err(LinkError::NotLocal { address })
        }
    }

    /// Says at every start what is not protected.
    pub fn announce(self) {
        match self {
            Self::Local => tracing::warn!(
                "links are plaintext: only this machine and the emulator's network are served"
            ),
            Self::InsecurePlaintext => {
                tracing::warn!(
                    "links are plaintext and open to other machines (--insecure-plaintext): \
                     anyone on the way can read and change them"
                );
            }
        }
    }
}

/// What all connections of a program have in common. Clones belong together.
#[derive(Clone, Debug, Default)]
pub struct Route {
    exposure: Exposure,
    wan: Option<Wan>,
    deliveries: Deliveries,
}

impl From<Exposure> for Route {
    fn from(exposure: Exposure) -> Self {
        Self::new(exposure, None)
    }
}

impl Route {
    /// The rule for addresses, and the line that sends pass, if one is emulated.
    #[must_use]
    pub fn new(exposure: Exposure, wan: Option<Wan>) -> Self {
        Self { exposure, wan, deliveries: Deliveries::default() }
    }

    /// The rule for addresses.
    #[must_use]
    pub fn exposure(&self) -> Exposure {
        self.exposure
    }

    /// Says at every start what is not protected, and what is emulated.
    pub fn announce(&self) {
        self.exposure.announce();
        if let Some(wan) = self.wan {
            tracing::info!("a link is emulated (--link): what is sent takes {wan}");
        }
    }

    /// A connection over any two halves. A read or write that makes no progress for `stall` fails
    /// as timed out.
    pub fn connection(
        &self,
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
        stall: Duration,
    ) -> Connection {
        match self.wan {
            Some(wan) => Connection::new(reader, wan.wrap(writer, &self.deliveries), stall),
            None => Connection::new(reader, writer, stall),
        }
    }

    /// Waits until all that was sent has arrived. A program that ends earlier takes with it what is
    /// still on an emulated line, where the system would have sent it.
    pub async fn drained(&self) {
        if let Some(wan) = self.wan {
            self.deliveries.done(wan).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_and_the_emulator_are_local() {
        for local in [
            "127.0.0.1",
            "127.8.8.8",
            "::1",
            "10.0.2.2",
            "10.0.2.15",
            "::ffff:127.0.0.1",
            "::ffff:10.0.2.2",
        ] {
            let ip: IpAddr = local.parse().expect("an address");
            assert!(Exposure::Local.check(ip).is_ok(), "{local}");
        }
        for remote in [
            "0.0.0.0",
            "::",
            "10.0.3.2",
            "192.168.1.1",
            "8.8.8.8",
            "2001:db8::1",
            "::ffff:8.8.8.8",
            "169.254.1.1",
        ] {
            let ip: IpAddr = remote.parse().expect("an address");
            assert!(
                matches!(Exposure::Local.check(ip), Err(LinkError::NotLocal { .. })),
                "{remote}"
            );
            assert!(Exposure::InsecurePlaintext.check(ip).is_ok(), "{remote}");
        }
    }
}
