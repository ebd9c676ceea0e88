//! How keys are laid out. Tokens of subjects have no `/`, so it separates them without escaping.
//!
//! An aggregate's *path* is `<kind letter>/<tenant>/<key>`: all aggregates of a kind, and of a tenant, lie together.

use kefu_events::{AggregateKind, Timestamp};
use sha2::{Digest, Sha256};

/// The letter stands in stored keys: never change one.
pub(super) fn kind_letter(kind: AggregateKind) -> u8 {
    match kind {
        AggregateKind::Agent => b'a',
        AggregateKind::Contact => b'c',
        AggregateKind::Faq => b'f',
        AggregateKind::Settings => b's',
        AggregateKind::User => b'u',
        AggregateKind::Conversation => b'v',
    }
}

fn kind_of(letter: u8) -> Option<AggregateKind> {
    AggregateKind::ALL.into_iter().find(|kind| kind_letter(*kind) == letter)
}

/// Writes an aggregate's path to `out`, in place of what was there.
pub(super) fn path_into(out: &mut Vec<u8>, tenant: &str, kind: AggregateKind, key: &str) {
    out.clear();
    out.extend_from_slice(&[kind_letter(kind), b'/']);
    out.extend_from_slice(tenant.as_bytes());
    out.push(b'/');
    out.extend_from_slice(key.as_bytes());
}

/// An aggregate's path.
pub(super) fn path(tenant: &str, kind: AggregateKind, key: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(tenant.len() + key.len() + 3);
    path_into(&mut out, tenant, kind, key);
    out
}

/// What a path, or the start of a longer key that begins with one, names; and what follows after one more `/`.
pub(super) fn parse_path(path: &[u8]) -> Option<(AggregateKind, &str, &str, &str)> {
    let mut parts = std::str::from_utf8(path).ok()?.splitn(4, '/');
    let kind = match parts.next()?.as_bytes() {
        [letter] => kind_of(*letter)?,
        _ => return None,
    };
    Some((kind, parts.next()?, parts.next()?, parts.next().unwrap_or_default()))
}

/// 16 bytes that stand for a path in the keys of causes, so that those have a fixed and small size.
pub(super) fn path_digest(path: &[u8]) -> [u8; 16] {
    let mut digest = [0; 16];
    digest.copy_from_slice(&Sha256::digest(path)[..16]);
    digest
}

/// Eight bytes that sort as the times do, those before 1970 too.
pub(super) fn time_bytes(time: Timestamp) -> [u8; 8] {
    (time.as_millis() as u64 ^ (1 << 63)).to_be_bytes()
}

/// The time that [`time_bytes`] wrote.
pub(super) fn time_of(bytes: [u8; 8]) -> Timestamp {
    Timestamp::from_millis((u64::from_be_bytes(bytes) ^ (1 << 63)) as i64)
}

/// Writes the key of a timer: partition, due time, path, `/`, name.
pub(super) fn timer_into(out: &mut Vec<u8>, partition: u16, due: Timestamp, path: &[u8], timer: &str) {
    out.extend_from_slice(&partition.to_be_bytes());
    out.extend_from_slice(&time_bytes(due));
    out.extend_from_slice(path);
    out.push(b'/');
    out.extend_from_slice(timer.as_bytes());
}

/// The first key after all that begin with `prefix`; `None` if there can be none.
pub(super) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_back_with_what_follows() {
        for kind in AggregateKind::ALL {
            assert_eq!(parse_path(&path("acme", kind, "k_1")), Some((kind, "acme", "k_1", "")));
        }
        let mut timer = Vec::new();
        timer_into(&mut timer, 7, Timestamp::from_millis(5), &path("acme", AggregateKind::Agent, "ann"), "slot");
        assert_eq!(parse_path(&timer[10..]), Some((AggregateKind::Agent, "acme", "ann", "slot")));
        assert_eq!(parse_path(b"x/acme/k"), None);
        assert_eq!(parse_path(b"v/acme"), None);
    }

    #[test]
    fn times_sort_as_bytes_do() {
        let times = [i64::MIN, -1, 0, 1, 255, 256, i64::MAX].map(Timestamp::from_millis);
        assert!(times.windows(2).all(|pair| time_bytes(pair[0]) < time_bytes(pair[1])));
        assert!(times.iter().all(|time| time_of(time_bytes(*time)) == *time));
    }

    #[test]
    fn the_end_of_a_prefix_carries_over() {
        assert_eq!(after_prefix(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(after_prefix(&[1, 255]), Some(vec![2]));
        assert_eq!(after_prefix(&[255]), None);
    }
}
