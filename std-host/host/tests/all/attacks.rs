//! Attacks that were carried out against honest parties, over real connections, and must fail.

use sharelet_core::binding::Binding;
use sharelet_core::keystream::{Domain, Keystream, Kind};
use sharelet_core::session::wire::control::DeviceId;
use sharelet_host::dealer::client::Client;
use sharelet_host::dealer::wire::{Description as _, Serve};
use sharelet_host::store::key::DeviceKey;
use sharelet_link::Route;
use sharelet_testkit::training::{Room, STALL};
use sharelet_train::config::{Arithmetic, Truncation};
use sharelet_train::network::{Layer, Loss, Network, Shape, Window};
use sharelet_train::serving::Serving;
use sharelet_train::tensor::offline::Plan;

/// An image of one channel.
const SIDE: usize = 6;

/// A filter of one pixel that moves `padding` pixels beyond the image.
fn network(padding: usize) -> Network {
    let window = Window { kernel: (1, 1), stride: (1, 1), padding: (padding, padding) };
    let input = Shape { channels: 1, height: SIDE, width: SIDE };
    let layers = vec![Layer::Convolution { filters: 1, window }];
    Network { input, layers, loss: Loss::SquaredError }
}

/// Server 0's words of a session: masks of what it sends, then its shares of products.
fn words(binding: &Binding, session: u64, plan: &Plan) -> Vec<u64> {
    let mut words = vec![0; plan.mask_elems + plan.product_elems];
    binding.session(session).fill_long(
        Domain { session, layer: 0, kind: Kind::Tensor },
        0,
        &mut words,
    );
    words
}

/// Server 1 asks the dealer for a program with products that are zero whatever the masks are: what
/// is dealt for them is server 0's keystream in the clear. It must be that of no other program.
#[tokio::test]
async fn another_program_shows_no_keystream_of_the_agreed_one() {
    const PADDING: usize = 2;
    let room = Room::new();
    let dealing = room.dealer().await;
    let client =
        Client::new(dealing.address.clone(), Route::insecure_plaintext(None), STALL, STALL);
    let arithmetic = Arithmetic { truncation: Truncation::Exact, ..Arithmetic::default() };
    let device = DeviceId::new("server-0").unwrap();
    let request =
        |padding| Serve { device, first: 0, count: 2, network: network(padding), arithmetic };
    let [agreed, asked] = [0, PADDING].map(request);
    let serving = Serving::new(asked.network.clone(), arithmetic).unwrap();
    // Rule 2 would refuse it: here server 0 has ordered what it does not execute.
    let mut sessions = client.sessions(&room.ordered(asked.clone(), None)).await.unwrap();
    sessions.next(serving.opening()).await.unwrap();
    let plan = serving.evaluation();
    let dealt = sessions.next(plan).await.unwrap().product_bytes();

    let side = SIDE + 2 * PADDING;
    let within = |at: usize| (PADDING..PADDING + SIDE).contains(&at);
    let shown: Vec<u64> = dealt
        .chunks_exact(8)
        .map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()).wrapping_neg())
        .take(side * side)
        .enumerate()
        .filter(|(place, _)| !(within(place / side) && within(place % side)))
        .map(|(_, word)| word)
        .collect();
    assert_eq!(shown.len(), side * side - SIDE * SIDE);

    let key = DeviceKey::load(&room.path("server-0.key")).unwrap();
    let read = |program: &Serve| {
        let server_0 = words(&program.bind(&Keystream::new(&key.key)).unwrap(), 1, plan);
        shown.iter().filter(|word| server_0.contains(word)).count()
    };
    assert_eq!(read(&asked), shown.len(), "the attack reads the keystream of what it asked for");
    assert_eq!(read(&agreed), 0, "and nothing of what server 0 executes");
    // As little as a number elsewhere in the course changes it.
    for other in [Serve { first: 1, ..asked.clone() }, Serve { count: 3, ..asked.clone() }] {
        assert_eq!(read(&other), 0);
    }
}
