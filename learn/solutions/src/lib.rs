//! A solution of each exercise, and why it is right. The tests are those of `learn/exercises`.

pub mod beaver_product;
pub mod colluding_dealer;
pub mod counter_reuse;
pub mod cut_into_digits;
pub mod find_the_leak;
pub mod layer_kind;
pub mod max_program;
pub mod price_a_network;
pub mod prove_a_bound;
pub mod share_and_open;
pub mod toy_compare;
pub mod truncation_error;
