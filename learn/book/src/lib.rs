//! What the chapters of the book stand on, and the exercises with them.
//!
//! Every number in the book is computed by `sharelet-core`. This crate lends it a room: two parties
//! and their dealer in one process ([`pair`]), and a source of "random" words that goes through all
//! of them ([`draws`]). [`mod@line`] trains a line; [`figures`] draws what the core computes.

pub mod draws;
pub mod figures;
pub mod line;
pub mod pair;

/// The chapters: the compiler tests their code.
#[cfg(doctest)]
mod chapters {
    #[doc = include_str!("../chapters/01-sharing.md")]
    mod sharing {}
    #[doc = include_str!("../chapters/02-a-product.md")]
    mod a_product {}
    #[doc = include_str!("../chapters/03-a-comparison.md")]
    mod a_comparison {}
    #[doc = include_str!("../chapters/04-a-network.md")]
    mod a_network {}
    #[doc = include_str!("../chapters/05-functions.md")]
    mod functions {}
    #[doc = include_str!("../chapters/06-training.md")]
    mod training {}
    #[doc = include_str!("../chapters/07-without-a-dealer.md")]
    mod without_a_dealer {}
    #[doc = include_str!("../chapters/08-what-can-go-wrong.md")]
    mod what_can_go_wrong {}
    #[doc = include_str!("../chapters/09-your-own-device.md")]
    mod your_own_device {}
}
