//! Records with growing numbers in sectors of NOR flash, the newest of which counts.
//!
//! A record is appended behind the one before; when a sector is full, the one that follows it is
//! erased. The newest record is never erased, and a word is never written twice between two
//! erasures, whatever became of the first write. Nothing is repaired: what is no record, or cannot
//! be read, is passed over. It is counted where it could have been newer than the newest that is
//! left, and who keeps records skips as many.

use embedded_storage_async::nor_flash::NorFlash;
use sharelet_core::keystream::KeyId;
use zeroize::Zeroizing;

use crate::error::StoreError;

/// Bytes of number and key's name.
const HEADER_BYTES: usize = 16;

/// Neighbouring sectors of a flash that belong to one log alone: two or more, each of
/// [`NorFlash::ERASE_SIZE`] bytes. More of them wear out later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sectors {
    /// Where the first one begins, in bytes from the flash's beginning.
    pub first: u32,
    /// How many there are.
    pub count: u32,
}

/// Records of `RECORD` bytes: number and key's name, 8 bytes each, then the rest, and then the
/// complement of it all. A record that was written in part has a bit that is equal in both halves.
pub(crate) struct Log<F, const RECORD: usize> {
    flash: F,
    sectors: Sectors,
    key: KeyId,
    end: Option<End>,
}

/// Where the next record goes.
#[derive(Clone, Copy)]
struct End {
    /// The sector of the newest record.
    newest: u32,
    sector: u32,
    offset: u32,
}

/// What a log holds.
pub(crate) struct Newest<const RECORD: usize> {
    pub(crate) number: u64,
    pub(crate) record: Zeroizing<[u8; RECORD]>,
    /// Places whose records are unknown, and may have had a larger number each.
    pub(crate) lost: u32,
}

/// What a place holds.
enum Place<const RECORD: usize> {
    Erased,
    Unreadable,
    /// A record of another key.
    Other,
    Record(u64, Zeroizing<[u8; RECORD]>),
}

/// What a sector holds.
struct Scan {
    /// Number and place of the newest record.
    newest: Option<(u64, u32)>,
    /// Whether there are records of another key.
    others: bool,
    /// Unreadable places behind the last record.
    lost: u32,
    /// Where the next record would go.
    end: u32,
}

impl<F: NorFlash, const RECORD: usize> Log<F, RECORD> {
    #[allow(clippy::cast_possible_truncation)] // a few hundred bytes
    const RECORD_BYTES: u32 = RECORD as u32;

    pub(crate) fn new(flash: F, sectors: Sectors, key: KeyId) -> Self {
        Self { flash, sectors, key, end: None }
    }

    /// Erases the sectors and writes the first record.
    pub(crate) async fn begin(&mut self, number: u64, rest: &[u8]) -> Result<(), StoreError> {
        let sector_bytes = self.sector_bytes()?;
        for sector in 0..self.sectors.count {
            if self.scan(sector, sector_bytes).await?.newest.is_some() {
                return Err(StoreError::Begun);
            }
        }
        for sector in 0..self.sectors.count {
            self.erase(sector, sector_bytes).await?;
        }
        self.end = Some(End { newest: self.sectors.count - 1, sector: 0, offset: 0 });
        self.append(number, rest).await
    }

    /// Finds the newest record.
    pub(crate) async fn newest(&mut self) -> Result<Newest<RECORD>, StoreError> {
        let sector_bytes = self.sector_bytes()?;
        let mut found: Option<(u32, Scan)> = None;
        for sector in 0..self.sectors.count {
            let scan = self.scan(sector, sector_bytes).await?;
            // Begun for another key, which may have taken this one's newest record away.
            if scan.others {
                return Err(StoreError::OtherKey);
            }
            let number = |scan: &Scan| scan.newest.map(|(number, _)| number);
            if number(&scan) > found.as_ref().and_then(|(_, best)| number(best)) {
                found = Some((sector, scan));
            }
        }
        let Some((sector, Scan { newest: Some((number, place)), lost, end, .. })) = found else {
            return Err(StoreError::Missing);
        };
        // A sector that is begun again is erased: where a record is left, none is newer.
        let next = self.scan(self.after(sector), sector_bytes).await?;
        let lost_next = if next.newest.is_none() { next.lost } else { 0 };
        self.end = Some(End { newest: sector, sector, offset: end });
        let address = self.address(sector, sector_bytes, place);
        let Place::Record(_, record) = self.read(address).await else {
            return Err(StoreError::Flash);
        };
        Ok(Newest { number, record, lost: lost.saturating_add(lost_next) })
    }

    /// Appends a record, after [`Log::newest`] or [`Log::begin`]. When this fails or is dropped,
    /// the record may be there or not, and its place is not used again.
    pub(crate) async fn append(&mut self, number: u64, rest: &[u8]) -> Result<(), StoreError> {
        let sector_bytes = self.sector_bytes()?;
        let Some(mut end) = self.end else { return Err(StoreError::Missing) };
        if end.offset.saturating_add(Self::RECORD_BYTES) > sector_bytes {
            let sector = self.after(end.newest);
            self.erase(sector, sector_bytes).await?;
            end = End { sector, offset: 0, ..end };
        }
        let address = self.address(end.sector, sector_bytes, end.offset);
        end.offset = end.offset.saturating_add(Self::RECORD_BYTES);
        self.end = Some(end);
        let record = encode::<RECORD>(number, &self.key, rest);
        let written = self.flash.write(address, record.as_slice()).await;
        match (self.read(address).await, written) {
            (Place::Record(_, found), Ok(())) if *found == *record => {}
            (_, Err(_)) => return Err(StoreError::Flash),
            _ => return Err(StoreError::NotWritten),
        }
        self.end = Some(End { newest: end.sector, ..end });
        Ok(())
    }

    async fn erase(&mut self, sector: u32, sector_bytes: u32) -> Result<(), StoreError> {
        let from = self.address(sector, sector_bytes, 0);
        let erased = self.flash.erase(from, from.saturating_add(sector_bytes)).await;
        erased.map_err(|_| StoreError::Flash)
    }

    async fn scan(&mut self, sector: u32, sector_bytes: u32) -> Result<Scan, StoreError> {
        let mut scan = Scan { newest: None, others: false, lost: 0, end: 0 };
        let mut offset = 0;
        while offset + Self::RECORD_BYTES <= sector_bytes {
            let start = offset;
            let place = self.read(self.address(sector, sector_bytes, start)).await;
            offset += Self::RECORD_BYTES;
            match place {
                Place::Erased => continue,
                Place::Unreadable => scan.lost = scan.lost.saturating_add(1),
                Place::Other => scan.others = true,
                Place::Record(number, _) => {
                    scan.lost = 0;
                    scan.newest = scan.newest.max(Some((number, start)));
                }
            }
            scan.end = offset;
        }
        Ok(scan)
    }

    /// What lies at an address. A driver's error means that this place cannot be read: flash with
    /// error correction reports words whose write was cut.
    async fn read(&mut self, address: u32) -> Place<RECORD> {
        let mut bytes = Zeroizing::new([0; RECORD]);
        if self.flash.read(address, bytes.as_mut_slice()).await.is_err() {
            return Place::Unreadable;
        }
        if bytes.iter().all(|&byte| byte == 0xFF) {
            return Place::Erased;
        }
        match decode(&bytes) {
            None => Place::Unreadable,
            Some((number, key)) if key == self.key => Place::Record(number, bytes),
            Some(_) => Place::Other,
        }
    }

    fn after(&self, sector: u32) -> u32 {
        let next = sector.saturating_add(1);
        if next < self.sectors.count { next } else { 0 }
    }

    fn address(&self, sector: u32, sector_bytes: u32, offset: u32) -> u32 {
        let before = sector.saturating_mul(sector_bytes);
        self.sectors.first.saturating_add(before).saturating_add(offset)
    }

    /// Bytes of a sector, when the board's numbers fit one another.
    fn sector_bytes(&self) -> Result<u32, StoreError> {
        let Sectors { first, count } = self.sectors;
        let sector_bytes = u32::try_from(F::ERASE_SIZE).unwrap_or(0);
        let end = sector_bytes.checked_mul(count).and_then(|bytes| bytes.checked_add(first));
        let fits = end.is_some_and(|end| end as usize <= self.flash.capacity())
            && count >= 2
            && sector_bytes >= Self::RECORD_BYTES
            && first.is_multiple_of(sector_bytes)
            && RECORD.is_multiple_of(F::WRITE_SIZE)
            && RECORD.is_multiple_of(F::READ_SIZE);
        fits.then_some(sector_bytes).ok_or(StoreError::Layout)
    }
}

/// What a record holds behind number and key's name.
pub(crate) fn rest<const RECORD: usize>(record: &[u8; RECORD]) -> &[u8] {
    record.get(HEADER_BYTES..RECORD / 2).unwrap_or_default()
}

/// The bytes of a record.
pub(crate) fn encode<const RECORD: usize>(
    number: u64,
    key: &KeyId,
    rest: &[u8],
) -> Zeroizing<[u8; RECORD]> {
    let mut bytes = Zeroizing::new([0; RECORD]);
    let number = number.to_le_bytes();
    let payload = || number.iter().chain(key).chain(rest);
    let complement = payload().map(|byte| !byte);
    bytes.iter_mut().zip(payload().copied().chain(complement)).for_each(|(to, from)| *to = from);
    bytes
}

/// Number and key's name of a record; `None` if it is none.
fn decode<const RECORD: usize>(bytes: &[u8; RECORD]) -> Option<(u64, KeyId)> {
    let (payload, complement) = bytes.split_at_checked(RECORD / 2)?;
    // All of it is looked at, as it may be secret.
    let differing = payload.iter().zip(complement).fold(0, |bits, (a, b)| bits | (a ^ !b));
    let (number, rest) = payload.split_first_chunk()?;
    (differing == 0).then_some((u64::from_le_bytes(*number), *rest.first_chunk()?))
}
