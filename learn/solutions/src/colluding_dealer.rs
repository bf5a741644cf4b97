//! Of an input of zeros the device sends `-r`; what it sends of `h` is `h - r`.

use sharelet_core::keystream::Key;
use sharelet_core::ring::Ring;
use sharelet_core::step::StepError;
use sharelet_exercises::given::device_sends;

/// The device's reading.
///
/// # Errors
/// That of [`device_sends`].
pub fn read_along(key: &Key, session: u64, sent: &[u32]) -> Result<Vec<u32>, StepError> {
    let nothing = device_sends(key, session, &vec![0; sent.len()])?;
    Ok(sent.iter().zip(nothing).map(|(sent, nothing)| sent.sub(nothing)).collect())
}
