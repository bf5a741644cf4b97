//! A board's counter and ratchets, on flash with any bytes: an error, or numbers that only grow.

use std::sync::LazyLock;

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};
use sharelet_channel::StaticKey;
use sharelet_core::Key;
use sharelet_flash::Sectors;
use sharelet_flash::counter::{self, Counter};
use sharelet_flash::page::KeyPage;
use sharelet_flash::ratchets::{self, Ratchets};
use sharelet_link::{Party, Role};

use crate::script::run;
use crate::seeds::{tagged, untagged};

const SECTOR: usize = 512;
const COUNT: usize = 2;
const SECTORS: Sectors = Sectors { first: 0, count: COUNT as u32 };

/// NOR flash: writing clears bits, erasing sets them.
#[derive(Clone)]
struct Chip([u8; COUNT * SECTOR]);

impl ErrorType for Chip {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Chip {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        let from = self.0.get(offset as usize..).and_then(|rest| rest.get(..bytes.len()));
        bytes.copy_from_slice(from.ok_or(NorFlashErrorKind::OutOfBounds)?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl NorFlash for Chip {
    const WRITE_SIZE: usize = 8;
    const ERASE_SIZE: usize = SECTOR;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        let erased = self.0.get_mut(from as usize..to as usize);
        erased.ok_or(NorFlashErrorKind::OutOfBounds)?.fill(0xFF);
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        let to = self.0.get_mut(offset as usize..).and_then(|rest| rest.get_mut(..bytes.len()));
        let to = to.ok_or(NorFlashErrorKind::OutOfBounds)?;
        to.iter_mut().zip(bytes).for_each(|(to, from)| *to &= from);
        Ok(())
    }
}

static PAGES: LazyLock<[KeyPage; 2]> = LazyLock::new(|| {
    let own = Party::new(Role::Device, "pump-07").unwrap();
    let host = Party::new(Role::Host, "hall-2").unwrap();
    let key = || Key::from_bytes([3; 32]);
    let mut provisioned = KeyPage::provisioned(own, key(), 0);
    provisioned.provision(host, key()).unwrap();
    [KeyPage::new(own, key(), &StaticKey::from_bytes([4; 32]), 7), provisioned]
});

pub fn logs(bytes: &[u8]) {
    let Some((kind, bytes)) = untagged(bytes, 2) else { return };
    let mut chip = Chip([0xFF; COUNT * SECTOR]);
    chip.0.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    let page = &PAGES[kind];
    run(async {
        if kind == 1 {
            let mut ratchets = Ratchets::new(chip, SECTORS, page);
            for _ in 0..20 {
                let Ok(mut step) = ratchets.step().await else { return };
                for peer in page.peers() {
                    let _ = step.take(page, peer);
                }
            }
            return;
        }
        let mut counter = Counter::new(chip, SECTORS, page.key_id());
        let Ok(first) = counter.unused().await else { return };
        for number in first..first.saturating_add(40) {
            assert_eq!(counter.unused().await, Ok(number));
            if counter.record(number).await.is_err() {
                return;
            }
            assert!(counter.record(number).await.is_err(), "a number that was used");
        }
    });
}

pub fn log_seeds() -> Vec<Vec<u8>> {
    let erased = [0xFF; 64];
    let record = counter::born(&PAGES[0]);
    let step = ratchets::born(&PAGES[1]);
    vec![
        tagged(0, &[&record[..], &erased].concat()),
        tagged(0, &[&record[..], &record[..20], &erased].concat()),
        tagged(1, &[step.as_slice(), &erased].concat()),
        tagged(1, &[step.as_slice(), &step[..100]].concat()),
    ]
}
