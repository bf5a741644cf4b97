//! `P0`'s correlations of a session: what is spent before the input is known, and what after.
//!
//! Both hand out the correlations of layer after layer, front to back, in pieces that a step takes
//! by value.

use super::gate::digits::Digits;
use super::{gate, linear};
use crate::correlation::{Position, SessionToken, redacted};
use crate::keystream::{Keystream, Rounds};
use crate::shape::{Part, Parts};

/// What a layer's accumulators go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// A gate of their own layer.
    Gate,
    /// The next layer, as they are.
    Layer,
    /// Whoever learns the answer.
    Answer,
}

/// The masks under which `P0` sends its shares of a layer's accumulators.
pub enum FirstMasks<'k, C: Rounds> {
    /// Those of the gate.
    Gate(gate::Masks<'k, C>),
    /// Those of the next layer's input.
    Input(linear::InputMasks<'k, C>),
    /// None: nothing is sent.
    None,
}

/// `P0`'s correlations that do not depend on the input, layer by layer.
pub struct Offline<'k, C: Rounds> {
    keystream: &'k Keystream<C>,
    position: Position,
}

impl<'k, C: Rounds> Offline<'k, C> {
    /// The correlations of a session; `keystream` is the session's, as
    /// [`Binding::session`](crate::binding::Binding::session) gives it.
    #[must_use]
    pub fn new(keystream: &'k Keystream<C>, token: SessionToken) -> Self {
        Self { keystream, position: Position { session: token.number(), layer: 0 } }
    }

    /// What the next layer spends before the input is known: the rows of `E r + a_0`, where `model`
    /// is the keystream of `E`, and the masks that its accumulators are sent under.
    pub fn layer<'m>(
        &mut self,
        model: &'m Keystream<C>,
        parts: Parts,
        follows: Follows,
    ) -> (linear::Rows<'m, C>, FirstMasks<'m, C>)
    where
        'k: 'm,
    {
        let position = self.position;
        self.position.layer = position.layer.wrapping_add(1);
        let outputs = parts.first().map_or(0, |part| part.shape.outputs());
        let masks = match follows {
            Follows::Gate => FirstMasks::Gate(gate::Masks::new(self.keystream, position, outputs)),
            Follows::Layer => {
                FirstMasks::Input(linear::InputMasks::new(self.keystream, self.position, outputs))
            }
            Follows::Answer => FirstMasks::None,
        };
        (linear::Rows::new(self.keystream, model, position, parts), masks)
    }

    /// Ends the preparation; what is left is spent online.
    #[must_use]
    pub fn finish(self) -> Online<'k, C> {
        Online { keystream: self.keystream, position: Position { layer: 0, ..self.position } }
    }

    /// The same, for who lends the keystream anew when the input is there.
    #[must_use]
    pub fn pause(self) -> Paused {
        Paused { session: self.position.session }
    }
}

/// The right to spend what is left of a session's correlations.
#[derive(Debug)]
pub struct Paused {
    session: u64,
}

impl Paused {
    /// The session's number.
    #[must_use]
    pub fn session(&self) -> u64 {
        self.session
    }

    /// Goes on, with the keystream of the same session.
    #[must_use]
    pub fn resume<C: Rounds>(self, keystream: &Keystream<C>) -> Online<'_, C> {
        Online { keystream, position: Position { session: self.session, layer: 0 } }
    }
}

/// `P0`'s correlations that are spent when the input is there, layer by layer.
pub struct Online<'k, C: Rounds> {
    keystream: &'k Keystream<C>,
    position: Position,
}

impl<'k, C: Rounds> Online<'k, C> {
    /// `P0`'s shares of a public map of a vector that was opened before; `part` names the layer
    /// that took it. There are no rows if its weights are private: their shares are spent while
    /// preparing.
    pub fn carried<'m>(&self, model: &'m Keystream<C>, part: Part) -> linear::Rows<'m, C>
    where
        'k: 'm,
    {
        let parts = Some(part).filter(|part| !part.shape.is_private()).into_iter().collect();
        linear::Rows::new(self.keystream, model, self.position, parts)
    }

    /// What the next layer spends: the masks `r` of `inputs` elements, if they were not spent
    /// before; and the tables of the gate that follows, if one does.
    pub fn layer(
        &mut self,
        (inputs, outputs): (Option<u16>, u16),
        gate: Option<Digits>,
    ) -> (Option<linear::InputMasks<'k, C>>, Option<gate::Tables<'k, C>>) {
        let position = self.position;
        self.position.layer = position.layer.wrapping_add(1);
        let tables =
            gate.map(|digits| gate::Tables::new(self.keystream, position, digits, outputs));
        let masks = inputs.map(|inputs| linear::InputMasks::new(self.keystream, position, inputs));
        (masks, tables)
    }
}

redacted!(FirstMasks<'_, C>, Offline<'_, C>, Online<'_, C>);
