//! What the system lets a program do.

/// How many files and connections may be open at a time: as many as the system gives.
#[cfg(unix)]
pub(super) fn most_descriptors() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // What is given now is taken if there is no more.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let most = getrlimit(Resource::Nofile).current;
    most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX)
}

/// The system has no such limit.
#[cfg(not(unix))]
pub(super) fn most_descriptors() -> usize {
    usize::MAX
}

/// A program that crashes leaves no image of its memory: there are keys in it.
#[cfg(unix)]
pub fn no_core_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    // A limit may always be lowered.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// The system has no such images.
#[cfg(not(unix))]
pub fn no_core_dumps() {}
