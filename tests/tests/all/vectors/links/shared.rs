//! Between two servers of a shared model.

use sharelet_core::binding::Order;
use sharelet_core::functions::engine::Link as _;
use sharelet_core::session::wire::control::DeviceId;
use sharelet_core::session::wire::query::{QueryId, Reason, Recipient};
use sharelet_host::server::shared::asking::{self, AskError, Asked, Asking};
use sharelet_host::server::shared::wire::{Begin, Greeting, Lane, Turn, VERSION};
use sharelet_host::server::training::wire::{self, Message};
use sharelet_link::exchange::Exchange;
use sharelet_link::{Reader, Writer};
use sharelet_model::readings::columns::{Columns, unnamed};

use super::{Vectors, reader, written};

fn vectors() -> Vectors {
    Vectors::of("shared", VERSION, 4)
}

const ID: QueryId = QueryId([1, 2, 3, 4, 5, 6, 7, 8]);
const DATA_PARTY: Asked = Asked { id: ID, recipient: Recipient::DataParty };
const CONSOLE: Asked = Asked { id: ID, recipient: Recipient::Console };

#[tokio::test]
async fn messages() {
    let vectors = vectors();
    let config = vec![("training.epochs".to_owned(), "3".to_owned())];
    let key = Some((DeviceId::new("server-0").unwrap(), [0x5a; 8]));
    let lanes =
        [("0", key), ("0_alone", None)].map(|(name, key)| (name, Some(Lane { number: 3, key })));
    for (party, lane) in lanes.into_iter().chain([("1", None)]) {
        let columns = Columns { features: unnamed(2), labels: vec!["fault".to_owned()] };
        let (version, run, step, config) = (VERSION, [9; 16], 100, config.clone());
        let greeting = Greeting { version, run, step, config, columns, lane };
        let what = "both ways, first: of which model";
        vectors.message(&format!("greeting_{party}"), what, Message, greeting).await;
    }
    let order = Some(Order::from_bytes([0xe0; 16]));
    let begin = Begin { first: 1 << 40, count: 65, order };
    let what = "server 0 to server 1: sessions that are used, ordered (e0)";
    vectors.message("begin", what, Message, begin).await;
    let what = "server 0 to server 1: sessions that the two prepare";
    let begin = Begin { first: 0, count: 65, order: None };
    vectors.message("begin_alone", what, Message, begin).await;
    let what = "both ways: whether a server goes on";
    vectors.message("turn_go", what, Message, Turn::Go).await;
    vectors
        .message(
            "turn_no_correlations",
            what,
            Message,
            Turn::NoCorrelations("the dealer is away".into()),
        )
        .await;
    vectors.message("turn_stop", what, Message, Turn::Stop("another run".into())).await;
}

/// Who begins an exchange, and how.
enum Begins {
    Ask(Asked),
    Guess(Asked),
    Confirm,
}

/// Exchanges "mine" for four bytes over a connection; leaves whether a guess was told to be right.
async fn exchange(
    link: &mut Exchange<Reader, Writer>,
    begins: Begins,
) -> Result<([u8; 4], bool), AskError> {
    let (mut theirs, mut right) = ([0; 4], false);
    let mut noted = || right = true;
    let mut asking = match begins {
        Begins::Ask(asked) => Asking::ask(link, asked, None),
        Begins::Guess(asked) => Asking::guess(link, asked, &mut noted),
        Begins::Confirm => Asking::confirm(link, ID),
    };
    asking.exchange([b"mi", b"ne"], [&mut theirs, &mut []]).await?;
    Ok((theirs, right))
}

/// The same, if the peer has sent `theirs`; leaves what was sent, too.
async fn exchanged(theirs: &[u8], begins: Begins) -> (Vec<u8>, Result<([u8; 4], bool), AskError>) {
    let mut ended = Err(AskError::Other);
    let sent = written(async |writer| {
        let writer = core::mem::replace(writer, silent());
        ended = exchange(&mut Exchange::new(reader(theirs), writer), begins).await;
    });
    (sent.await, ended)
}

/// The names of a query, with a first message of four bytes; both servers read the other's file.
#[tokio::test]
async fn questions() {
    for (name, asked) in [("data_party", DATA_PARTY), ("console", CONSOLE)] {
        let (sent, _) = exchanged(&[], Begins::Ask(asked)).await;
        let text = |what: &str, sent: &[u8]| format!("# {what}\n# query: {asked:?}\n{}", hex(sent));
        let what = "server 0: the query, and \"mine\"";
        let ask = vectors().raw(&format!("ask_{name}"), &text(what, &sent));
        let (sent, _) = exchanged(&ask, Begins::Guess(asked)).await;
        let what = "server 1, before it was asked: its guess, and \"mine\"";
        let guess = vectors().raw(&format!("guess_{name}"), &text(what, &sent));

        let (_, ended) = exchanged(&guess, Begins::Ask(asked)).await;
        assert_eq!(ended.unwrap(), (*b"mine", false));
        let (_, ended) = exchanged(&ask, Begins::Guess(asked)).await;
        assert_eq!(ended.unwrap(), (*b"mine", true));
        let mut asked_of = reader(&ask);
        assert_eq!(asking::receive(&mut asked_of).await.unwrap(), asked);
    }
    let (sent, _) = exchanged(&[], Begins::Confirm).await;
    let text = format!("# server 1: it has a half of it, and \"mine\"\n{}", hex(&sent));
    let confirm = vectors().raw("confirm", &text);
    for asked in [DATA_PARTY, CONSOLE] {
        let (_, ended) = exchanged(&confirm, Begins::Ask(asked)).await;
        assert_eq!(ended.unwrap(), (*b"mine", false));
    }
    let sent = written(async |writer| {
        let writer = core::mem::replace(writer, silent());
        let mut link = Exchange::new(reader(b"mine"), writer);
        asking::refuse(&mut link, ID, Reason::NoPartner, 4).await.unwrap();
    });
    let text = format!("# server 1: no half of it\n{}", hex(&sent.await));
    let refused = vectors().raw("refuse", &text);
    let (_, ended) = exchanged(&refused, Begins::Ask(CONSOLE)).await;
    assert!(matches!(ended, Err(AskError::Refused(Reason::NoPartner))));
}

fn hex(bytes: &[u8]) -> String {
    sharelet_testkit::hex::encode(bytes)
}

/// A writer to nobody.
fn silent() -> Writer {
    sharelet_link::Connection::new(tokio::io::empty(), tokio::io::sink(), super::LONG).writer
}

#[tokio::test]
async fn bad_messages() {
    let asked = |kind: u8, id: [u8; 8]| [&[kind][..], &id, b"mine"].concat();
    let other = [9; 8];
    for (name, due, error, bytes) in [
        ("turn_unknown", "Turn", "NotSharelet", vec![1, 0, 0, 0, 3]),
        ("turn_trailing", "Turn", "NotSharelet", vec![2, 0, 0, 0, 0, 0]),
        ("turn_long", "Turn", "NotSharelet", vec![1, 0, 64, 0, 0]),
        ("turn_cut", "Turn", "Closed", vec![2, 0, 0, 0, 0]),
        ("begin_no_order", "Begin", "NotSharelet", vec![2, 0, 0, 0, 5, 65]),
        ("greeting_cut", "Greeting", "Closed", vec![90, 0, 0, 0, 1]),
        ("greeting_short", "Greeting", "NotSharelet", vec![2, 0, 0, 0, 1, 0]),
        ("ask_recipient", "Ask", "Io(Kind(InvalidData))", asked(2, ID.0)),
        ("ask_cut", "Ask", "Io(Kind(UnexpectedEof))", asked(0, ID.0)[..8].to_vec()),
        ("ask_query", "Ask", "Other", asked(0, other)),
        ("answer_query", "Answer", "Io(Kind(InvalidData))", asked(0, other)),
        ("answer_reason", "Answer", "Io(Kind(InvalidData))", asked(99, ID.0)),
        ("answer_guess", "Answer", "Other", asked(129, ID.0)),
        ("answer_cut", "Answer", "Io(Kind(UnexpectedEof))", asked(0, ID.0)[..11].to_vec()),
        ("answer_busy", "Answer", "Refused(Busy)", asked(Reason::Busy as u8, ID.0)),
    ] {
        vectors().bad(name, due, error, &bytes);
    }
    let played = vectors().play_bad(async |due, reader| {
        let mut link = Exchange::new(reader, silent());
        let debug = |error: &dyn core::fmt::Debug| Text(format!("{error:?}"));
        match due {
            "Ask" | "Answer" => {
                let begins = if due == "Ask" { Begins::Guess } else { Begins::Ask };
                let ended = exchange(&mut link, begins(DATA_PARTY)).await;
                ended.map(drop).map_err(|error| debug(&error))
            }
            due => {
                let mut reader = link.into_halves().0;
                let read = match due {
                    "Turn" => wire::receive::<Turn>(&mut reader).await.map(drop),
                    "Begin" => wire::receive::<Begin>(&mut reader).await.map(drop),
                    "Greeting" => wire::receive::<Greeting>(&mut reader).await.map(drop),
                    due => panic!("{due}"),
                };
                read.map_err(|error| debug(&error))
            }
        }
    });
    assert_eq!(played.await, 15);
}

/// What an error's `Debug` says.
struct Text(String);

impl core::fmt::Debug for Text {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}
