//! Random faults on the line: the right bytes, or an error with a name, and never wrong bytes.

use embassy_futures::join::join;
use embedded_io_async::{Read as _, Write as _};
use rand_core::Rng as _;
use sharelet_channel::{Channel, Error};

use crate::pipe::{Fault, Pipe, run};
use crate::world::{self, WAYS, Way, World, both};

/// What either side sends; longer than a record.
fn message(side: u8) -> Vec<u8> {
    (0..700_u32).map(|index| (index * 7) as u8 ^ side).collect()
}

/// Sends one message, and reads the other side's to its end.
async fn talk(channel: &mut Channel<Pipe>, side: u8) -> (Vec<u8>, Result<(), Error>) {
    let (mut all, mut piece) = (Vec::new(), [0; 64]);
    let sent = async {
        channel.write_all(&message(side)).await?;
        channel.close().await
    };
    let sent: Result<(), Error> = sent.await;
    loop {
        match channel.read(&mut piece).await {
            Ok(0) => return (all, sent),
            Ok(read) => all.extend(&piece[..read]),
            Err(error) => return (all, Err(error)),
        }
    }
}

/// A fault at one of the first `bytes` bytes.
fn any_fault(rng: &mut impl rand_core::Rng, bytes: usize) -> Fault {
    let at = rng.next_u32() as usize % bytes;
    let extra = rng.next_u32();
    match rng.next_u32() % 6 {
        0 => Fault::Cut(at),
        1 => Fault::Lose(at, 1 + extra as usize % 40),
        2 => Fault::Insert(at, extra as u8),
        3 => Fault::Repeat(at, 1 + extra as usize % 40),
        _ => Fault::Flip(at, 1 << (extra % 8)),
    }
}

#[test]
fn a_thousand_faults() {
    let mut rng = world::rng(60);
    let (mut through, mut noticed) = (0, 0);
    for round in 0..1000_u64 {
        let way = WAYS[round as usize % 3];
        let mut world = World::new(rng.next_u64());
        if way == Way::Resumed {
            both(world.connect(Way::Static));
        }
        // Handshake and records of either direction; beyond their end there is no fault.
        let fault = any_fault(&mut rng, 900);
        let (up, down) = if round % 2 == 0 { (fault, Fault::None) } else { (Fault::None, fault) };
        let (near, far) = world.connect_over(way, up, down);
        let case = format!("round {round}, {way:?}, up {up:?}, down {down:?}");
        let mut clean = near.is_ok() && far.is_ok();
        let ((near, sent), (far, answered)) = run(join(
            async {
                match near {
                    Ok(mut near) => talk(&mut near.channel, 0).await,
                    Err(error) => (Vec::new(), Err(error)),
                }
            },
            async {
                match far {
                    Ok(mut far) => talk(&mut far.channel, 0x55).await,
                    Err(error) => (Vec::new(), Err(error)),
                }
            },
        ));
        for (read, end, side) in [(near, sent, 0x55), (far, answered, 0)] {
            let expected = message(side);
            assert!(expected.starts_with(&read), "{case}: wrong bytes");
            match end {
                Ok(()) => assert!(read == expected, "{case}: a clean end too early"),
                Err(error) => {
                    assert!(!error.name().is_empty() && !format!("{error}").is_empty());
                    clean = false;
                }
            }
        }
        if clean { through += 1 } else { noticed += 1 }
    }
    println!("{through} went through, {noticed} were noticed");
    assert!(noticed > 700, "{noticed}");
}

/// Bytes that are no channel at all, against either side.
#[test]
fn noise_ends_with_a_name() {
    let mut rng = world::rng(61);
    let mut world = World::new(62);
    for round in 0..500_usize {
        let mut noise = vec![0; round];
        rng.fill_bytes(&mut noise);
        if round % 2 == 0 {
            // Past the magic and the version.
            noise.iter_mut().zip(b"SLTC\x02\x00").for_each(|(to, from)| *to = *from);
        }
        let mut far_rng = world::fixed(63);
        let mut script = Pipe::script(&noise);
        let accepted =
            run(sharelet_channel::accept(&mut script, &world.host, &mut world.known, &mut far_rng));
        assert!(accepted.is_err());
        let (mut script, host) = (Pipe::script(&noise), world::host());
        let connect = sharelet_channel::connect(
            &mut script,
            &world.device,
            &host,
            &world.pin,
            None,
            &mut far_rng,
        );
        assert!(run(connect).is_err());
    }
}
