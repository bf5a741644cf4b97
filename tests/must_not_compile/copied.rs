// Nothing that is spent once, and no key, can be cloned or copied.
use sharelet_core::correlation::SessionToken;
use sharelet_core::functions::engine::party::{Expanded, Party, Received, Seeded};
use sharelet_core::functions::record::{Derived, Stored};
use sharelet_core::keystream::{Block, ChaCha12, Key, Keystream, Run};
use sharelet_core::session::gate::Opened;
use sharelet_core::session::gate;
use sharelet_core::session::linear;
use sharelet_core::session::network::PlainModel;
use sharelet_core::session::phases::{Offline, Online};
use sharelet_core::session::{p0, p1};

pub fn cloneable<T: Clone>() {}

pub fn all() {
    cloneable::<u8>();
    cloneable::<linear::Rows<'_, ChaCha12>>(); //~ E0277
    cloneable::<linear::RowPiece<'_, ChaCha12>>(); //~ E0277
    cloneable::<linear::InputMasks<'_, ChaCha12>>(); //~ E0277
    cloneable::<linear::InputMaskPiece<'_, ChaCha12>>(); //~ E0277
    cloneable::<linear::Received<'_>>(); //~ E0277
    cloneable::<gate::Masks<'_, ChaCha12>>(); //~ E0277
    cloneable::<gate::MaskPiece<'_, ChaCha12>>(); //~ E0277
    cloneable::<gate::Tables<'_, ChaCha12>>(); //~ E0277
    cloneable::<gate::TablePiece<'_, ChaCha12>>(); //~ E0277
    cloneable::<gate::Received<'_>>(); //~ E0277
    cloneable::<Opened<'_>>(); //~ E0277
    cloneable::<SessionToken>(); //~ E0277
    cloneable::<Offline<'_, ChaCha12>>(); //~ E0277
    cloneable::<Online<'_, ChaCha12>>(); //~ E0277
    cloneable::<Key>(); //~ E0277
    cloneable::<Keystream<ChaCha12>>(); //~ E0277
    cloneable::<Block>(); //~ E0277
    cloneable::<Run<ChaCha12>>(); //~ E0277
    cloneable::<Derived<ChaCha12>>(); //~ E0277
    cloneable::<Stored<'_>>(); //~ E0277
    cloneable::<Seeded<'_, ChaCha12>>(); //~ E0277
    cloneable::<Received<'_>>(); //~ E0277
    cloneable::<Expanded<'_>>(); //~ E0277
    cloneable::<Party<'_, Received<'_>, u8>>(); //~ E0277
    cloneable::<p0::Identity<ChaCha12>>(); //~ E0277
    cloneable::<p0::Connected<'_, u8, ChaCha12, 4>>(); //~ E0277
    cloneable::<p0::Prepared<'_, '_, u8, ChaCha12, 4>>(); //~ E0277
    cloneable::<p1::P1<'_, PlainModel<'_>, 4>>(); //~ E0277
    cloneable::<p1::Prepared<'_, '_, PlainModel<'_>, 4>>(); //~ E0277
    cloneable::<p1::Ready<'_, '_, PlainModel<'_>, 4>>(); //~ E0277
}
