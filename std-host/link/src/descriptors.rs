//! How many files and connections the system lets a program have open at a time.

/// Takes as many as the system gives, and tells how many that are.
#[cfg(unix)]
pub(super) fn most() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // What is given now is taken if there is no more.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let most = getrlimit(Resource::Nofile).current;
    most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX)
}

/// The system has no such limit.
#[cfg(not(unix))]
pub(super) fn most() -> usize {
    usize::MAX
}
