//! Lines of the log: to `defmt`, to `log`, to both, or to nobody, as features say.
//!
//! Lines say `{}`, which both understand. Without either feature nothing is linked, and nothing is
//! computed. Where links are not sealed every line begins with that.

/// What lines begin with where links are not sealed.
#[cfg(all(feature = "insecure-plaintext", any(feature = "defmt", feature = "log")))]
macro_rules! insecure {
    () => {
        "INSECURE plaintext link: "
    };
}

/// A line of this level.
macro_rules! line {
    ($level:ident, $line:literal $(, $value:expr)*) => {{
        #[cfg(all(feature = "defmt", not(feature = "insecure-plaintext")))]
        ::defmt::$level!($line $(, $value)*);
        #[cfg(all(feature = "defmt", feature = "insecure-plaintext"))]
        ::defmt::$level!("{=str}{}", $crate::log::insecure!(), $crate::log::Written(
            |f: ::defmt::Formatter<'_>| ::defmt::write!(f, $line $(, $value)*)
        ));
        #[cfg(all(feature = "log", not(feature = "insecure-plaintext")))]
        ::log::$level!($line $(, $value)*);
        #[cfg(all(feature = "log", feature = "insecure-plaintext"))]
        ::log::$level!(concat!($crate::log::insecure!(), $line) $(, $value)*);
        #[cfg(not(any(feature = "defmt", feature = "log")))]
        let _ = || { $(let _ = &$value;)* };
    }};
}

/// A line about something out of order.
macro_rules! warning {
    ($($line:tt)*) => { $crate::log::line!(warn, $($line)*) };
}

/// A line about what is as it should be.
#[cfg(feature = "device")]
macro_rules! info {
    ($($line:tt)*) => { $crate::log::line!(info, $($line)*) };
}

/// What a closure writes.
#[cfg(all(feature = "defmt", feature = "insecure-plaintext"))]
pub(crate) struct Written<F>(pub(crate) F);

#[cfg(all(feature = "defmt", feature = "insecure-plaintext"))]
impl<F: Fn(defmt::Formatter<'_>)> defmt::Format for Written<F> {
    fn format(&self, f: defmt::Formatter<'_>) {
        (self.0)(f);
    }
}

#[cfg(feature = "device")]
pub(crate) use info;
#[cfg(all(feature = "insecure-plaintext", any(feature = "defmt", feature = "log")))]
pub(crate) use insecure;
pub(crate) use {line, warning};
