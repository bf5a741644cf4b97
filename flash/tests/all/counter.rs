//! No number is given twice, wherever the power is cut.

use embassy_futures::block_on;
use sharelet_channel::{Party, Role};
use sharelet_core::session::ORDER_SESSIONS;
use sharelet_core::{CounterError, Key, SessionCounter};
use sharelet_flash::counter::{Counter, RECORD_BYTES, born};
use sharelet_flash::page::KeyPage;
use sharelet_flash::{Sectors, StoreError};

use crate::chip::{Chip, Words};

const SECTOR: usize = 128;
const PLACES: usize = SECTOR / RECORD_BYTES;
const START: u64 = 40;
/// What is left out for a record that is lost.
const SKIP: u64 = ORDER_SESSIONS as u64 + 1;

fn page(key: u8) -> KeyPage {
    let party = Party::new(Role::DataParty, "meter-3").unwrap();
    KeyPage::provisioned(party, Key::from_bytes([key; 32]), START)
}

fn all(count: usize) -> Sectors {
    Sectors { first: 0, count: count as u32 }
}

fn create<const W: usize>(chip: &mut Chip<W>, count: usize) -> Result<(), StoreError> {
    block_on(Counter::create(chip, all(count), &page(7))).map(|_| ())
}

/// What a device does after a start: the next number, and its record.
fn take<const W: usize>(chip: &mut Chip<W>, count: usize) -> Result<u64, StoreError> {
    take_from(chip, count, &mut 0)
}

/// The same, for a host that was told `told` before: the device asks for nothing below it.
fn take_from<const W: usize>(
    chip: &mut Chip<W>,
    count: usize,
    told: &mut u64,
) -> Result<u64, StoreError> {
    block_on(async {
        let mut counter = Counter::new(chip, all(count), page(7).key_id());
        let number = counter.unused().await?;
        assert!(number >= *told, "asks for {number} and had asked for {told}");
        *told = number;
        counter.record(number).await.map(|()| number)
    })
}

fn fresh<const W: usize>(words: Words, count: usize) -> Chip<W> {
    let mut chip = Chip::new(words, count);
    create(&mut chip, count).unwrap();
    chip
}

#[test]
fn counts_over_sectors_and_starts() {
    for count in [2, 3, 5] {
        let mut chip = fresh::<8>(Words::Plain, count);
        let laps = 3 * count * PLACES;
        for number in START..START + laps as u64 {
            assert_eq!(take(&mut chip, count), Ok(number), "{count} sectors");
        }
        // Every sector wears alike; the creation has erased each once.
        assert!(chip.erased.iter().all(|&erased| (3..=5).contains(&erased)), "{:?}", chip.erased);
        let mut counter = Counter::new(chip, all(count), page(7).key_id());
        let next = START + laps as u64;
        block_on(async {
            assert_eq!(counter.next().await, Ok(next));
            for number in next..next + 3 * (count * PLACES) as u64 {
                assert_eq!(counter.consume(number).await, Ok(()));
            }
            let unused = counter.unused().await.unwrap();
            assert_eq!(counter.record(unused - 1).await, Err(StoreError::AlreadyUsed));
            assert_eq!(counter.record(unused + 1000).await, Ok(()));
            assert_eq!(counter.unused().await, Ok(unused + 1001));
            assert_eq!(counter.record(u64::MAX).await, Err(StoreError::Exhausted));
            assert_eq!(counter.record(u64::MAX - 1).await, Ok(()));
            assert_eq!(counter.consume(u64::MAX).await, Err(CounterError));
        });
    }
}

/// Cuts the power at every byte of every number of some laps. Then the device starts again, and the
/// power is cut once more, somewhere else.
fn cut_everywhere<const W: usize>(words: Words, count: usize) {
    let mut chip = fresh::<W>(words, count);
    let mut last = None;
    for _ in 0..=(count + 1) * PLACES {
        for cut in 0.. {
            let says = format!("{words:?}, words of {W}, {count} sectors, {last:?}, cut at {cut}");
            let mut cut_chip = chip.with_power(cut);
            let (mut used, told) = (last, &mut 0);
            let whole = take_from(&mut cut_chip, count, told);
            if let Ok(number) = whole {
                used = Some(number);
            }
            cut_chip.power = (31 * cut) % (SECTOR + RECORD_BYTES);
            if let Ok(number) = take_from(&mut cut_chip, count, told) {
                assert!(Some(number) > used, "{says}: {number}");
                used = Some(number);
            }
            cut_chip.power = usize::MAX;
            for _ in 0..PLACES + 2 {
                let number = take_from(&mut cut_chip, count, told).expect(&says);
                assert!(Some(number) > used, "{says}: {number}");
                used = Some(number);
            }
            if whole.is_ok() {
                break;
            }
        }
        last = Some(take(&mut chip, count).unwrap());
    }
}

#[test]
fn no_number_is_given_twice_wherever_the_power_is_cut() {
    for words in [Words::Plain, Words::Corrected] {
        for count in [2, 3] {
            cut_everywhere::<1>(words, count);
            cut_everywhere::<2>(words, count);
            cut_everywhere::<4>(words, count);
            cut_everywhere::<8>(words, count);
            cut_everywhere::<16>(words, count);
            cut_everywhere::<32>(words, count);
        }
    }
}

/// A counter that goes on after an error of the flash: the number is not given again, and the place
/// is not written again.
#[test]
fn what_failed_is_left_behind() {
    // In the middle of a sector, and where the next one is erased.
    for (taken, bytes) in [(1, RECORD_BYTES), (PLACES - 1, SECTOR + RECORD_BYTES)] {
        let mut before = fresh::<32>(Words::Corrected, 2);
        for _ in 0..taken {
            take(&mut before, 2).unwrap();
        }
        for cut in 0..bytes {
            let mut chip = before.with_power(cut);
            chip.recovers = true;
            let mut counter = Counter::new(&mut chip, all(2), page(7).key_id());
            let unused = block_on(async {
                let number = counter.unused().await.unwrap();
                assert_eq!(counter.record(number).await, Err(StoreError::Flash), "cut at {cut}");
                assert_eq!(counter.record(number).await, Err(StoreError::AlreadyUsed));
                // A record of the next one may be there.
                for number in number + 2..number + 2 * PLACES as u64 {
                    assert_eq!(counter.unused().await, Ok(number));
                    assert_eq!(counter.record(number).await, Ok(()), "cut at {cut}");
                }
                counter.unused().await.unwrap()
            });
            assert_eq!(take(&mut chip, 2), Ok(unused), "cut at {cut}");
        }
    }
}

/// The newest record stays while nothing can be written.
#[test]
fn a_flash_that_is_worn_out_loses_no_number() {
    for worn in 0..4 * PLACES as u32 {
        let mut chip = fresh::<32>(Words::Corrected, 2);
        let number = take(&mut chip, 2).unwrap();
        chip.worn = worn;
        let mut counter = Counter::new(&mut chip, all(2), page(7).key_id());
        let mut told = 0;
        block_on(async {
            for failed in 0..worn {
                // Nothing more is told before it can be written.
                let unused = counter.unused().await;
                if failed > 0 {
                    assert_eq!(unused, Err(StoreError::Flash));
                    continue;
                }
                assert_eq!(unused, Ok(number + 1));
                told = number + 1;
                assert_eq!(counter.record(told).await, Err(StoreError::Flash));
            }
            if worn > 0 {
                // Each attempt has a number of its own.
                told += 1 + u64::from(worn);
                assert_eq!(counter.unused().await, Ok(told));
            }
        });
        assert!(take_from(&mut chip, 2, &mut told).unwrap() > number, "{worn}");
    }
}

#[test]
fn erased_sectors_give_no_number() {
    let mut chip = Chip::<4>::new(Words::Plain, 2);
    assert_eq!(take(&mut chip, 2), Err(StoreError::Missing));
    create(&mut chip, 2).unwrap();
    assert_eq!(take(&mut chip, 2), Ok(START));
    assert_eq!(create(&mut chip, 2), Err(StoreError::Begun));
    assert_eq!(take(&mut chip, 2), Ok(START + 1));
    for sector in [0, SECTOR as u32] {
        use embedded_storage_async::nor_flash::NorFlash as _;
        block_on(chip.erase(sector, sector + SECTOR as u32)).unwrap();
    }
    assert_eq!(take(&mut chip, 2), Err(StoreError::Missing));
    let mut used = page(7);
    used.mark_used();
    let refused = block_on(Counter::create(&mut chip, all(2), &used)).map(|_| ());
    assert_eq!(refused, Err(StoreError::KeyUsed));
    assert!(chip.bytes().iter().all(|&byte| byte == 0xFF), "nothing was written");
}

#[test]
fn the_counter_of_another_key_is_refused() {
    let mut chip = fresh::<16>(Words::Corrected, 3);
    for _ in 0..PLACES + 1 {
        take(&mut chip, 3).unwrap();
    }
    let open = |chip: &mut Chip<16>, key| {
        block_on(async { Counter::new(chip, all(3), page(key).key_id()).unused().await })
    };
    assert_eq!(open(&mut chip, 8), Err(StoreError::OtherKey));
    // One record of either key: the first key's newest may be gone.
    let mut mixed = chip.clone();
    let begin = (2 * SECTOR) as u32;
    use embedded_storage_async::nor_flash::NorFlash as _;
    block_on(mixed.write(begin, &born(&page(8)))).unwrap();
    for key in [7, 8] {
        assert_eq!(open(&mut mixed, key), Err(StoreError::OtherKey));
        let refused = block_on(Counter::create(&mut mixed, all(3), &page(key))).map(|_| ());
        assert_eq!(refused, Err(StoreError::Begun));
    }
    // A new key takes the sectors over, wherever the power is cut in between.
    for cut in 0..3 * SECTOR + RECORD_BYTES {
        let mut chip = chip.with_power(cut);
        let cut_off = block_on(Counter::create(&mut chip, all(3), &page(8))).map(|_| ());
        assert!(cut_off.is_err(), "cut at {cut}");
        chip.power = usize::MAX;
        let before = open(&mut chip, 8);
        assert!(matches!(before, Err(StoreError::Missing | StoreError::OtherKey)), "cut at {cut}");
        block_on(Counter::create(&mut chip, all(3), &page(8))).unwrap();
        assert_eq!(
            (open(&mut chip, 8), open(&mut chip, 7)),
            (Ok(START), Err(StoreError::OtherKey))
        );
    }
}

#[test]
fn a_flash_tool_writes_the_first_record() {
    use embedded_storage_async::nor_flash::NorFlash as _;
    let mut chip = Chip::<32>::new(Words::Corrected, 2);
    block_on(chip.write(0, &born(&page(7)))).unwrap();
    let created = fresh::<32>(Words::Corrected, 2);
    assert_eq!(chip.bytes(), created.bytes());
    assert_eq!(take(&mut chip, 2), Ok(START));
    // The bytes, as another program would lay them out.
    let payload = [&START.to_le_bytes()[..], &page(7).key_id()].concat();
    let complement: Vec<u8> = payload.iter().map(|byte| !byte).collect();
    assert_eq!(born(&page(7))[..], [payload, complement].concat());
}

#[test]
fn records_that_are_lost_are_skipped() {
    for words in [Words::Plain, Words::Corrected] {
        let used = |taken: usize| {
            let mut chip = fresh::<32>(words, 3);
            (0..taken).for_each(|_| {
                take(&mut chip, 3).unwrap();
            });
            chip
        };
        // The place of the record that taking a number has written; the first is the creation's.
        let place = |taken: usize| (taken % (3 * PLACES)) * RECORD_BYTES;
        for taken in 1..4 * 3 * PLACES {
            let mut chip = used(taken);
            chip.lose(place(taken), place(taken) + RECORD_BYTES);
            let number = take(&mut chip, 3);
            assert_eq!(number, Ok(START + taken as u64 - 1 + SKIP), "{words:?}, {taken} taken");
            // And only once.
            for later in taken..taken + 4 * PLACES {
                assert_eq!(take(&mut chip, 3), Ok(START + later as u64 + SKIP), "{taken} taken");
            }
            // An older record is not missed.
            if taken % PLACES > 0 {
                let mut chip = used(taken);
                chip.lose(place(taken - 1), place(taken - 1) + RECORD_BYTES);
                assert_eq!(take(&mut chip, 3), Ok(START + taken as u64));
            }
        }
        // A whole sector: two numbers in it, and all of its places.
        let mut chip = used(PLACES + 1);
        chip.lose(SECTOR, 2 * SECTOR);
        let before = START + PLACES as u64 - 1;
        assert_eq!(take(&mut chip, 3), Ok(before + PLACES as u64 * SKIP));
    }
}

#[test]
fn sectors_that_do_not_fit_are_refused() {
    let open = |sectors| {
        let chip = Chip::<4>::new(Words::Plain, 3);
        block_on(async { Counter::new(chip, sectors, page(7).key_id()).unused().await })
    };
    let sector = SECTOR as u32;
    for (first, count) in [
        (0, 0),
        (0, 1),
        (0, 4),
        (4, 2),
        (2 * sector, 2),
        (u32::MAX / sector * sector, 2),
        (0, u32::MAX),
    ] {
        assert_eq!(open(Sectors { first, count }), Err(StoreError::Layout), "{first}, {count}");
    }
    assert_eq!(open(Sectors { first: sector, count: 2 }), Err(StoreError::Missing));
    let chip = Chip::<64>::new(Words::Plain, 2);
    let wide = block_on(async { Counter::new(chip, all(2), page(7).key_id()).unused().await });
    assert_eq!(wide, Err(StoreError::Layout));
}
