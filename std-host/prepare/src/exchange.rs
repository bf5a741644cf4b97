//! A message of either party, at the same time.

use sharelet_core::functions::engine::Link;

use crate::error::Failed;

/// Sends a message, and takes the peer's, of so many bytes.
pub(crate) async fn exchange<L: Link>(
    link: &mut L,
    own: &[u8],
    expected_bytes: usize,
) -> Result<Vec<u8>, Failed<L::Error>> {
    let mut message = vec![0; expected_bytes];
    link.exchange([own, &[]], [&mut message, &mut []]).await.map_err(Failed::Link)?;
    Ok(message)
}
