//! Assertions that show what was found.

/// Fails if a value does not match a pattern, and shows the value.
#[macro_export]
macro_rules! assert_matches {
    ($value:expr, $pattern:pat $(if $guard:expr)? $(, $($about:tt)+)?) => {
        match &$value {
            $pattern $(if $guard)? => {}
            found => {
                let about: &[String] = &[$(format!($($about)+))?];
                panic!("{found:?} is not {} {}", stringify!($pattern), about.concat())
            }
        }
    };
}

/// Fails if a text does not contain a part, and shows the text.
#[track_caller]
pub fn says(text: &impl ToString, part: &str) {
    let text = text.to_string();
    assert!(text.contains(part), "`{part}` is not in: {text}");
}

/// Fails if a text does not begin so, and shows the text.
#[track_caller]
pub fn begins(text: &impl ToString, part: &str) {
    let text = text.to_string();
    assert!(text.starts_with(part), "`{part}` does not begin: {text}");
}
