//! Between a device and a host without a dealer.

use sharelet_core::session::network::{Activation, Layer, Network};
use sharelet_core::session::wire::control::{Answer, DeviceId};
use sharelet_host::alone::wire::{Hello, Message, Refusal, Stocked, Want, Welcome};
use sharelet_host::store::halves::{Batch, Stock};
use sharelet_link::frame::Protocol as _;

use super::Vectors;

fn vectors() -> Vectors {
    Vectors::of("alone", Message::VERSION, 5)
}

#[tokio::test]
async fn messages() {
    let vectors = vectors();
    let device = DeviceId::new("pump-07").unwrap();
    for (name, answer, kept, stores) in
        [("new", Answer::Device, None, false), ("known", Answer::Both, Some([0x5a; 16]), true)]
    {
        let model = stores.then(|| "ad01".to_owned());
        let hello = Hello { device, answer, kept, stores, silent: stores, model };
        vectors
            .message(&format!("hello_{name}"), "without its greeting", Message::Hello, hello)
            .await;
    }
    let layer = Layer::dense(3, 2, 14, 12, Activation::Relu).narrow(20);
    let network = Network::new(8, 1 << 12, &[layer]).unwrap();
    let welcome = Welcome { model: [7; 32], network, kept: None, stores: true };
    vectors.message("welcome", "without its greeting", Message::Welcome, welcome).await;
    let batch = Batch { id: [9; 16], first: 1 << 40, count: 4096 };
    let stock = Stocked(Stock { epoch: 3, next: (1 << 40) + 1, batches: vec![batch] });
    vectors.message("stock", "both ways: what a store has", Message::Stock, stock).await;
    for (name, want) in [
        ("prepare", Want::Prepare { sessions: 4 }),
        ("fill", Want::Fill(batch)),
        ("infer", Want::Infer { index: None }),
        ("infer_stored", Want::Infer { index: Some(1 << 40) }),
        ("more", Want::More),
        ("take", Want::Take { index: 1 << 40, ticket: [3; 16] }),
        ("taken", Want::Taken([3; 16])),
    ] {
        let what = "device to host: what it wants";
        vectors.message(&format!("want_{name}"), what, Message::Want, want).await;
    }
    for (name, refusal) in [
        ("unknown", Refusal::UnknownDevice),
        ("answer", Refusal::AnswerMismatch { ours: Answer::Host }),
        ("too_many", Refusal::TooMany { most: 64 }),
        ("backup", Refusal::Backup),
        ("other_model", Refusal::OtherModel),
    ] {
        let what = "host to device: why not";
        vectors.message(&format!("refuse_{name}"), what, Message::Refuse, refusal).await;
    }
}
