//! Entries under which an aggregate is found: a pure function of its state, of which the store writes the difference.

/// Some keys with values, each in one of the families of the projection `aggregates`.
///
/// All bytes lie in one buffer, because every aggregate in the projector's memory has one of these.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entries {
    bytes: Vec<u8>,
    parts: Vec<Part>,
    family: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    family: u8,
    key_end: u32,
    value_end: u32,
}

impl Entries {
    /// The aggregate is found under `key`, with `value` beside it.
    pub fn add(&mut self, key: &[&[u8]], value: &[&[u8]]) {
        self.add_with(|bytes| key.iter().for_each(|part| bytes.extend_from_slice(part)), value);
    }

    pub(super) fn add_with(&mut self, key: impl FnOnce(&mut Vec<u8>), value: &[&[u8]]) {
        key(&mut self.bytes);
        let key_end = self.bytes.len() as u32;
        value.iter().for_each(|part| self.bytes.extend_from_slice(part));
        self.parts.push(Part { family: self.family, key_end, value_end: self.bytes.len() as u32 });
    }

    /// What is added from now on goes to this family.
    pub(super) fn in_family(&mut self, family: usize) {
        self.family = family as u8;
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.parts.clear();
    }

    /// Family, key and value of each.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[u8], &[u8])> {
        let mut start = 0;
        self.parts.iter().map(move |part| {
            let (key_end, value_end) = (part.key_end as usize, part.value_end as usize);
            let entry = (usize::from(part.family), &self.bytes[start..key_end], &self.bytes[key_end..value_end]);
            start = value_end;
            entry
        })
    }

    /// Whether exactly this one is among them. They are few: a search from the first on is faster than any index.
    pub(super) fn has_key(&self, family: usize, key: &[u8]) -> bool {
        self.iter().any(|(other_family, other_key, _)| other_family == family && other_key == key)
    }

    /// Whether exactly this one is among them, with this value.
    pub(super) fn has(&self, entry: (usize, &[u8], &[u8])) -> bool {
        self.iter().any(|other| other == entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_back_as_they_were_added() {
        let mut entries = Entries::default();
        entries.in_family(2);
        entries.add(&[b"a", b"b"], &[]);
        entries.in_family(3);
        entries.add(&[b"c"], &[b"1", b"2"]);
        let all: Vec<_> = entries.iter().collect();
        assert_eq!(all, [(2, &b"ab"[..], &b""[..]), (3, &b"c"[..], &b"12"[..])]);
        assert!(entries.has((3, b"c", b"12")) && entries.has_key(3, b"c"));
        assert!(!entries.has((3, b"c", b"1")) && !entries.has_key(2, b"c"));
    }
}
