//! What buckets, streams and subjects are called.

use sharelet_core::DeviceId;
use sharelet_link::Party;

/// A name as one word of letters, digits and `-`: everything else is `_` and two hexadecimal
/// digits, so different names have different words.
pub(crate) fn word(name: &str) -> String {
    let mut word = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            word.push(char::from(byte));
        } else {
            word.push_str(&format!("_{byte:02x}"));
        }
    }
    word
}

/// The name that a word stands for.
pub(crate) fn unword(word: &str) -> Option<String> {
    let mut name = String::new();
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        if first == '_' {
            let digits = rest.get(1..3)?;
            name.push(char::from(u8::from_str_radix(digits, 16).ok()?));
            rest = rest.get(3..)?;
        } else {
            name.push(first);
            rest = rest.get(first.len_utf8()..)?;
        }
    }
    Some(name)
}

/// The device that a word stands for.
pub(crate) fn device(word: &str) -> Option<DeviceId> {
    DeviceId::new(&unword(word)?)
}

/// Where a party keeps what is its own.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    party: Party,
}

impl Names {
    pub(crate) fn of(party: Party) -> Self {
        Self { party }
    }

    /// The party, for people.
    pub(crate) fn party(&self) -> String {
        self.party.to_string()
    }

    /// The bucket of numbers and keys.
    pub(crate) fn bucket(&self) -> String {
        format!("sharelet-{}-{}", self.party.role.word(), word(self.party.name.as_str()))
    }

    /// The stream under that bucket.
    pub(crate) fn bucket_stream(&self) -> String {
        format!("KV_{}", self.bucket())
    }

    /// The subjects of that stream.
    pub(crate) fn bucket_subjects(&self) -> String {
        format!("$KV.{}.>", self.bucket())
    }

    /// The stream of corrections and models.
    pub(crate) fn blobs(&self) -> String {
        format!("{}-blobs", self.bucket())
    }

    /// What the subjects of that stream begin with.
    pub(crate) fn blob_prefix(&self) -> String {
        format!("sharelet.{}.{}", self.party.role.word(), word(self.party.name.as_str()))
    }
}

/// The key of what was spent of a device's numbers.
pub(crate) fn spent(device: DeviceId) -> String {
    format!("spent.{}", word(device.as_str()))
}

/// The key of a device's key.
pub(crate) fn key(device: DeviceId) -> String {
    format!("key.{}", word(device.as_str()))
}

/// The owner of a masked model, as a word.
pub(crate) fn owner(owner: Option<Party>) -> String {
    owner.map_or_else(
        || "nobody".to_owned(),
        |Party { role, name }| format!("{}_{}", role.word(), word(name.as_str())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use sharelet_link::Role;

    #[test]
    fn words_are_names_again_and_none_is_two_names() {
        for name in ["pump-07", "a.b", "a_2eb", "..", "_", "A-1_x.y"] {
            assert_eq!(unword(&word(name)).as_deref(), Some(name));
            assert!(word(name).bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
        }
        assert_ne!(word("a.b"), word("a_2eb"));
        assert_eq!(unword("_2"), None);
        assert_eq!(unword("_zz"), None);
    }

    #[test]
    fn owners_differ() {
        let party = |role, name| Party::new(role, name);
        let all = [
            owner(None),
            owner(party(Role::Host, "a")),
            owner(party(Role::Host, "b")),
            owner(party(Role::Server1, "a")),
            owner(party(Role::Host, "nobody")),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| other != one), "{one}");
        }
    }
}
