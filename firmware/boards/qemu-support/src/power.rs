//! Power that fails when the plan says so: at an instruction, or within a write to flash.
//!
//! Time is that of the board's watchdog, which nothing feeds: with `-icount` it runs out at a
//! certain instruction. Its handler ends the emulator, so nothing of the program runs after it.
//! What was given to a file before is there, and nothing else: files are written without buffers.

use core::cell::RefCell;
use core::fmt::Write as _;
use core::str::FromStr;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use critical_section::Mutex;
use semihosting::fs::File;
use semihosting::io::Write as _;
use semihosting::process;

use crate::clock;

/// The emulator's exit status after a cut.
const CUT_STATUS: i32 = 9;
const NEVER: u32 = u32::MAX;
const LOAD: usize = 0x00;
const CONTROL: usize = 0x08;

/// When the power fails, and what else goes wrong.
#[derive(Debug, Default)]
pub struct Plan {
    /// After so many ticks from the event with this number.
    pub cut: Option<Pair>,
    /// After so many bytes that are written to flash or erased; then the bits of the mask are still
    /// erased in the byte that follows.
    pub tear: Option<Pair>,
    /// The number of a question for a session number that is not answered.
    pub drop: Option<u32>,
    /// Where events are written down.
    pub events: Option<File>,
}

/// Two numbers with a colon between them.
#[derive(Clone, Copy, Debug)]
pub struct Pair(u32, u32);

impl FromStr for Pair {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (first, second) = text.split_once(':').ok_or(())?;
        Ok(Self(first.parse().map_err(|_| ())?, second.parse().map_err(|_| ())?))
    }
}

static WATCHDOG: AtomicUsize = AtomicUsize::new(0);
static CUT_EVENT: AtomicU32 = AtomicU32::new(NEVER);
static CUT_TICKS: AtomicU32 = AtomicU32::new(0);
static TEAR_LEFT: AtomicU32 = AtomicU32::new(NEVER);
static TEAR_MASK: AtomicU32 = AtomicU32::new(0);
static EVENT: AtomicU32 = AtomicU32::new(0);
static EVENTS: Mutex<RefCell<Option<Log>>> = Mutex::new(RefCell::new(None));

struct Log(File);

impl core::fmt::Write for Log {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.0.write_all(text.as_bytes()).map_err(|_| core::fmt::Error)
    }
}

/// Says where the board's watchdog is.
///
/// # Safety
/// A CMSDK watchdog must be at `base`, whose interrupt calls [`cut`]; nothing else may use it.
pub unsafe fn start(base: usize) {
    WATCHDOG.store(base, Ordering::Relaxed);
}

/// From here on things go as planned.
pub(crate) fn begin(plan: &mut Plan) {
    if let Some(Pair(event, ticks)) = plan.cut {
        CUT_EVENT.store(event, Ordering::Relaxed);
        CUT_TICKS.store(ticks, Ordering::Relaxed);
    }
    if let Some(Pair(bytes, mask)) = plan.tear {
        TEAR_LEFT.store(bytes, Ordering::Relaxed);
        TEAR_MASK.store(mask, Ordering::Relaxed);
    }
    let events = plan.events.take().map(Log);
    critical_section::with(|cs| EVENTS.replace(cs, events));
    event("boot", 0);
}

/// Something has happened; the power may fail so and so long after it.
pub(crate) fn event(name: &str, number: u64) {
    // The file is taken out: writing to it must not keep interrupts away.
    let mut log = critical_section::with(|cs| EVENTS.take(cs));
    if let Some(log) = &mut log {
        let _ = writeln!(log, "{name} number={number} at={}", clock::ticks());
    }
    critical_section::with(|cs| EVENTS.replace(cs, log));
    let event = EVENT.load(Ordering::Relaxed);
    EVENT.store(event.wrapping_add(1), Ordering::Relaxed);
    if event == CUT_EVENT.load(Ordering::Relaxed) {
        let base = WATCHDOG.load(Ordering::Relaxed);
        let ticks = CUT_TICKS.load(Ordering::Relaxed).max(1);
        // SAFETY: `start` made its caller promise that this is a watchdog; it has no access to
        // memory.
        unsafe {
            ((base + LOAD) as *mut u32).write_volatile(ticks);
            ((base + CONTROL) as *mut u32).write_volatile(1);
        }
    }
}

/// How many of `bytes` reach the flash before the power fails.
pub(crate) fn reaching(bytes: usize) -> usize {
    let left = TEAR_LEFT.load(Ordering::Relaxed);
    if left == NEVER {
        return bytes;
    }
    TEAR_LEFT.store(left.saturating_sub(bytes as u32), Ordering::Relaxed);
    bytes.min(left as usize)
}

/// What becomes of the byte that is being written when the power fails.
pub(crate) fn torn(byte: u8) -> u8 {
    byte | TEAR_MASK.load(Ordering::Relaxed) as u8
}

/// The power fails.
pub fn cut() -> ! {
    process::exit(CUT_STATUS)
}
