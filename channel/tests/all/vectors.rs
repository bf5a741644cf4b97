//! Known answers: a session of each pattern, byte for byte, in `tests/vectors/channel-v2/`; `bad_*`
//! files must fail as they say.
//!
//! `UPDATE_VECTORS=1` writes them anew, which is right only together with a new version.

use core::convert::Infallible;
use core::fmt::Write as _;
use std::path::PathBuf;

use embassy_futures::join::join;
use embedded_io_async::{Read as _, Write as _};
use rand_core::{TryCryptoRng, TryRng};
use sharelet_channel::{
    Accepted, Connected, Error, Identity, PairingKey, Pin, Ratchet, Resumption, StaticKey, VERSION,
    accept, connect, connect_psk,
};
use sharelet_core::Key;

use crate::pipe::{Pipe, run};
use crate::world::{Known, WAYS, Way, device, host};

/// Every secret is made of one byte, over and over; so are the random numbers of a side.
const DEVICE_KEY: u8 = 0x11;
const HOST_KEY: u8 = 0x22;
const PAIRING: u8 = 0x33;
const RESUMPTION: u8 = 0x44;
const PROVISIONED: u8 = 0x55;
const DEVICE_RANDOM: u8 = 0x66;
const HOST_RANDOM: u8 = 0x77;

struct Same(u8);

impl TryRng for Same {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes([self.0; 4]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes([self.0; 8]))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(self.0);
        Ok(())
    }
}

impl TryCryptoRng for Same {}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/vectors/channel-v{VERSION}"))
}

/// The bytes of a file, after it was held against what the program makes today.
fn check(name: &str, comment: &str, bytes: &[u8]) -> Vec<u8> {
    let mut text: String =
        comment.lines().fold(String::new(), |text, line| text + "# " + line + "\n");
    for line in bytes.chunks(32) {
        line.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
        text.push('\n');
    }
    let path = folder().join(format!("{name}.hex"));
    if std::env::var_os("UPDATE_VECTORS").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(folder()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let file = std::fs::read_to_string(&path).unwrap();
    assert_eq!(file, text, "{name}: a wire that was meant to change needs a new version");
    let digits: String = file.lines().filter(|line| !line.starts_with('#')).collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

fn pin() -> Pin {
    Pin {
        public: StaticKey::from_bytes([HOST_KEY; 32]).public(),
        pairing: PairingKey::from_bytes([PAIRING; 32]),
    }
}

fn known() -> Known {
    let mut known = Known::default();
    let public = StaticKey::from_bytes([DEVICE_KEY; 32]).public();
    known.pins.insert(device(), (public, [PAIRING; 32]));
    known.resumptions.insert(device(), Resumption::from_bytes(&[RESUMPTION; 48]));
    known.ratchets.insert(device(), Ratchet::new(Key::from_bytes([PROVISIONED; 32])).expose());
    known
}

/// A device that asks, and waits for the answer.
async fn ask(mut transport: Pipe, way: Way) -> Result<Vec<u8>, Error> {
    let own = Identity::new(device(), StaticKey::from_bytes([DEVICE_KEY; 32]));
    let mut rng = Same(DEVICE_RANDOM);
    let resumption = (way == Way::Resumed).then(|| Resumption::from_bytes(&[RESUMPTION; 48]));
    let connected = match way {
        Way::Psk => {
            let ratchet = Ratchet::new(Key::from_bytes([PROVISIONED; 32]));
            connect_psk(&mut transport, &device(), &host(), ratchet.advance().0, &mut rng).await
        }
        _ => connect(&mut transport, &own, &host(), &pin(), resumption, &mut rng).await,
    };
    let Connected { keys, .. } = connected?;
    let mut channel = keys.channel(transport);
    channel.write_all(b"question").await?;
    channel.close().await?;
    let mut answer = vec![0; 64];
    let read = channel.read(&mut answer).await?;
    assert_eq!(channel.read(&mut [0]).await?, 0);
    answer.truncate(read);
    Ok(answer)
}

/// A host that answers.
async fn answer(mut transport: Pipe) -> Result<Vec<u8>, Error> {
    let own = Identity::new(host(), StaticKey::from_bytes([HOST_KEY; 32]));
    let mut known = known();
    let Accepted { keys, .. } =
        accept(&mut transport, &own, &mut known, &mut Same(HOST_RANDOM)).await?;
    let mut channel = keys.channel(transport);
    let mut question = vec![0; 64];
    let read = channel.read(&mut question).await?;
    assert_eq!(channel.read(&mut [0]).await?, 0);
    channel.write_all(b"answer").await?;
    channel.close().await?;
    question.truncate(read);
    Ok(question)
}

/// What either side sends.
fn session(way: Way) -> (Vec<u8>, Vec<u8>) {
    let (near, far) = Pipe::pair();
    let (up, down) = (near.tap(), far.tap());
    let (asked, answered) = run(join(ask(near, way), answer(far)));
    assert_eq!((asked, answered), (Ok(b"answer".to_vec()), Ok(b"question".to_vec())));
    (up.log(), down.log())
}

const SECRETS: &str = "device pump-07, host hall-2; every byte of: the device's static key 11, \
                       the host's 22, the pairing 33,\nthe resumption 44, the provisioned key 55 \
                       (step 0), the device's random numbers 66, the host's 77";

#[test]
fn sessions_are_those_of_the_files() {
    for way in WAYS {
        let (up, down) = session(way);
        let name = match way {
            Way::Static => "kk_psk0",
            Way::Resumed => "nn_psk0",
            Way::Psk => "psk",
        };
        let says = |what: &str| format!("{name}: {what}\n{SECRETS}");
        let up = check(&format!("{name}_initiator"), &says("hello, message, records"), &up);
        let down = check(&format!("{name}_responder"), &says("0, message, records"), &down);
        // The files, played to either side.
        assert_eq!(run(answer(Pipe::script(&up))), Ok(b"question".to_vec()));
        let script = Pipe::script(&down);
        assert_eq!(run(ask(script, way)), Ok(b"answer".to_vec()));
    }
}

#[test]
fn bad_sessions_fail_as_they_say() {
    let (up, down) = session(Way::Static);
    let with = |at: usize, value: u8| {
        let mut bytes = up.clone();
        bytes[at] = value;
        bytes
    };
    // From the initiator: hello of 40 bytes, message of 48, confirmation of 18, records.
    for (name, bytes, error) in [
        ("bad_hello_magic", with(3, b'D'), Error::NotAChannel),
        ("bad_hello_version", with(4, 3), Error::Version { theirs: 3 }),
        ("bad_hello_pattern", with(6, 4), Error::Malformed),
        ("bad_hello_role", with(7, 9), Error::Malformed),
        ("bad_hello_name", with(8, b'/'), Error::Malformed),
        ("bad_hello_name_padding", with(20, b'x'), Error::Malformed),
        ("bad_hello_field", with(24, 1), Error::Malformed),
        ("bad_hello_cut", up[..39].to_vec(), Error::Closed),
        ("bad_message_cut", up[..87].to_vec(), Error::Closed),
        ("bad_message_key", with(40, up[40] ^ 1), Error::Authentication),
        ("bad_message_tag", with(87, up[87] ^ 1), Error::Authentication),
        ("bad_confirmation_cut", up[..100].to_vec(), Error::Closed),
        ("bad_confirmation_tag", with(105, up[105] ^ 1), Error::Authentication),
        ("bad_record_length", with(107, 3), Error::RecordLength { bytes: 776 }),
        ("bad_record_byte", with(110, up[110] ^ 1), Error::Record),
        ("bad_record_cut", up[..120].to_vec(), Error::Truncated),
        ("bad_end_missing", up[..up.len() - 18].to_vec(), Error::Truncated),
    ] {
        let bytes = check(name, &format!("error: {error:?}\nfrom the initiator"), &bytes);
        assert_eq!(run(answer(Pipe::script(&bytes))), Err(error), "{name}");
    }
    // A hello that is another's than the holder's of the provisioned key.
    let (mut hello, _) = session(Way::Psk);
    hello[32] ^= 1;
    let error = Error::Authentication;
    let bytes =
        check("bad_psk_hello_tag", &format!("error: {error:?}\nfrom the initiator"), &hello);
    assert_eq!(run(answer(Pipe::script(&bytes))), Err(error));
    // From the responder: 0 or a reason, message of 48 bytes, records.
    let mut tag = down.clone();
    tag[48] ^= 1;
    for (name, bytes, error) in [
        ("bad_answer_unknown", vec![9], Error::Malformed),
        ("bad_answer_cut", down[..40].to_vec(), Error::Closed),
        ("bad_answer_tag", tag, Error::Authentication),
        ("bad_answer_end_missing", down[..down.len() - 18].to_vec(), Error::Truncated),
    ] {
        let bytes = check(name, &format!("error: {error:?}\nfrom the responder"), &bytes);
        assert_eq!(run(ask(Pipe::script(&bytes), Way::Static)), Err(error), "{name}");
    }
}
