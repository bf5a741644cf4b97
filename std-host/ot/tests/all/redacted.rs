//! What is printed for debugging shows no secret.

use core::fmt::Debug;

use sharelet_ot::extension::{FieldBits, Receiver, Sender};
use sharelet_ot::{base, silent};

use crate::parties::{base_ots, rng};

fn is_redacted(value: &impl Debug) {
    for text in [format!("{value:?}"), format!("{value:#?}")] {
        assert!(text.ends_with("(<redacted>)") && !text.contains(char::is_numeric), "{text}");
    }
}

#[test]
fn debug_output_has_no_contents() {
    let mut rng = rng();
    is_redacted(&base::Sender::new(&mut rng).0);
    is_redacted(&base::Receiver::new(&mut rng).0);
    let (pairs, chosen) = base_ots(&mut rng);
    is_redacted(&pairs);
    is_redacted(&chosen);
    let mut receiver = Receiver::new(&pairs, [1; 32], FieldBits::Two);
    let mut sender = Sender::new(&chosen, [1; 32], FieldBits::Two);
    is_redacted(&receiver);
    is_redacted(&sender);
    let (message, received) = receiver.extend(silent::SEED_OTS).unwrap();
    let (challenge, sent) = sender.accept(silent::SEED_OTS, &message).unwrap();
    is_redacted(&received);
    is_redacted(&sent);
    let (proof, received) = received.answer(&challenge).unwrap();
    is_redacted(&received);
    let sent = sent.verify(&proof).unwrap();
    is_redacted(&sent);

    let sender = silent::Sender::new(sent).unwrap();
    let receiver = silent::Receiver::new(received).unwrap();
    is_redacted(&sender);
    is_redacted(&receiver);
    let (message, sent) = sender.extend();
    is_redacted(&sent);
    is_redacted(&receiver.accept(&message).unwrap().1);
}
