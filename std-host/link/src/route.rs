//! How a program's connections are made: which addresses are acceptable, and over which line.

use core::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::Connection;
use super::tcp::Exposure;
use super::wan::{Deliveries, Wan};

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
