//! The linear layers of many sessions at once, for a store: a thirtieth of the bytes of single
//! ones, for networks whose private maps are all matrices.

use rand_core::CryptoRng;
use sharelet_model::Model;
use sharelet_rlwe::batch::{self, SLOTS};
use sharelet_rlwe::{Error, Public, Secret, Words32};
use zeroize::Zeroizing;

use crate::layers::{Product, Products, Shares};

/// The products of a network in batches.
#[derive(Clone, Debug)]
pub struct Batches(Vec<(Product, batch::Shape)>);

impl Batches {
    /// Of a network's products; `None` if some are of windows.
    #[must_use]
    pub fn of(products: &Products) -> Option<Self> {
        let shaped = products.all().iter().map(|product| {
            let [outputs, inputs] = product.matrix()?;
            Some((product.clone(), batch::Shape::new(outputs, inputs).ok()?))
        });
        shaped.collect::<Option<_>>().map(Self)
    }

    /// Products; each takes a request and a reply.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    fn get(&self, number: usize) -> Result<&(Product, batch::Shape), Error> {
        self.0.get(number).ok_or(Error::Sizes)
    }

    /// Bytes of a product's request and reply.
    ///
    /// # Errors
    /// [`Error::Sizes`] if there is no such product.
    pub fn bytes(&self, number: usize) -> Result<[usize; 2], Error> {
        let (_, shape) = self.get(number)?;
        Ok([shape.request_bytes(), shape.reply_bytes()])
    }

    /// `P0`'s request, of the masks of [`SLOTS`] sessions.
    ///
    /// # Errors
    /// [`Error::Operand`] if masks are missing.
    pub fn request(
        &self,
        number: usize,
        secrets: &[Secret<Words32>],
        masks: &[Shares],
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, Error> {
        let (product, shape) = self.get(number)?;
        let of_session = |masks: &Shares| masks.get(product.source()).cloned().unwrap_or_default();
        let rows = Zeroizing::new(masks.iter().map(of_session).collect::<Vec<_>>());
        let elems = rows.first().map_or(0, Vec::len);
        let columns = (0..elems).flat_map(|elem| rows.iter().filter_map(move |row| row.get(elem)));
        let columns = Zeroizing::new(columns.copied().collect::<Vec<u32>>());
        batch::request(product.key_of(secrets)?, shape, &columns, rng)
    }

    /// `P1`'s reply; its shares are added to those of the sessions.
    ///
    /// # Errors
    /// Weights that cannot be hidden; a request that is none.
    pub fn respond(
        &self,
        number: usize,
        publics: &[Public<Words32>],
        model: &Model,
        request: &[u8],
        shares: &mut [Shares],
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, Error> {
        let (product, shape) = self.get(number)?;
        let own = product.of_model(model)?;
        let (reply, share) = batch::respond(product.key_of(publics)?, shape, &own, request, rng)?;
        hand_out(product, &share, shares);
        Ok(reply)
    }

    /// `P0`'s shares out of the reply, added to those of the sessions.
    ///
    /// # Errors
    /// A reply that is none.
    pub fn finish(
        &self,
        number: usize,
        secrets: &[Secret<Words32>],
        reply: &[u8],
        shares: &mut [Shares],
    ) -> Result<(), Error> {
        let (product, shape) = self.get(number)?;
        hand_out(product, &batch::finish(product.key_of(secrets)?, shape, reply)?, shares);
        Ok(())
    }
}

/// Gives each session its column.
fn hand_out(product: &Product, share: &[u32], sessions: &mut [Shares]) {
    for (slot, shares) in sessions.iter_mut().enumerate() {
        let column: Vec<u32> = share.iter().skip(slot).step_by(SLOTS).copied().collect();
        product.add(&Zeroizing::new(column), shares);
    }
}
