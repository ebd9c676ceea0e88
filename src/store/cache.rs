//! A memory of what was used lately, bounded in bytes, by the clock algorithm: a second chance for what was used since the
//! hand last passed.

use std::collections::HashMap;

/// Values by byte-string keys. Slots stay valid until [`shrink_to`](ClockCache::shrink_to).
#[derive(Debug)]
pub(super) struct ClockCache<T> {
    slots: Vec<Option<Slot<T>>>,
    by_key: HashMap<Box<[u8]>, usize>,
    free: Vec<usize>,
    hand: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Slot<T> {
    key: Box<[u8]>,
    used: bool,
    bytes: usize,
    value: T,
}

impl<T> Default for ClockCache<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), by_key: HashMap::new(), free: Vec::new(), hand: 0, bytes: 0 }
    }
}

impl<T> ClockCache<T> {
    /// Where the value of `key` is.
    pub(super) fn find(&mut self, key: &[u8]) -> Option<usize> {
        let slot = *self.by_key.get(key)?;
        if let Some(found) = &mut self.slots[slot] {
            found.used = true;
        }
        Some(slot)
    }

    /// Adds a value of about so many bytes, of which there is none yet.
    pub(super) fn insert(&mut self, key: &[u8], value: T, bytes: usize) -> usize {
        self.bytes += bytes;
        let entry = Some(Slot { key: key.into(), used: true, bytes, value });
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot] = entry;
                slot
            }
            None => {
                self.slots.push(entry);
                self.slots.len() - 1
            }
        };
        self.by_key.insert(key.into(), slot);
        slot
    }

    /// The key and value in a slot.
    pub(super) fn get_mut(&mut self, slot: usize) -> Option<(&[u8], &mut T)> {
        self.slots.get_mut(slot)?.as_mut().map(|slot| (&*slot.key, &mut slot.value))
    }

    /// The value in a slot has about so many bytes by now.
    pub(super) fn resize(&mut self, slot: usize, bytes: usize) {
        if let Some(slot) = self.slots.get_mut(slot).and_then(Option::as_mut) {
            self.bytes = self.bytes - slot.bytes + bytes;
            slot.bytes = bytes;
        }
    }

    /// The key in a slot.
    pub(super) fn key(&self, slot: usize) -> Option<&[u8]> {
        self.slots.get(slot)?.as_ref().map(|slot| &*slot.key)
    }

    /// How many values there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Forgets values until those that are left have at most `limit` bytes.
    pub(super) fn shrink_to(&mut self, limit: usize) {
        while self.bytes > limit && !self.by_key.is_empty() {
            self.hand = if self.hand + 1 < self.slots.len() { self.hand + 1 } else { 0 };
            match &mut self.slots[self.hand] {
                Some(slot) if slot.used => slot.used = false,
                found => {
                    if let Some(slot) = found.take() {
                        self.by_key.remove(&slot.key);
                        self.bytes -= slot.bytes;
                        self.free.push(self.hand);
                    }
                }
            }
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_stays_and_slots_are_used_again() {
        let mut cache = ClockCache::default();
        for n in 0_u8..8 {
            cache.insert(&[n], n, 10);
        }
        cache.resize(7, 20);
        assert_eq!(cache.bytes, 90);
        cache.resize(7, 10);
        cache.shrink_to(45);
        assert_eq!(cache.len(), 4);
        let kept = (0_u8..8).find(|n| cache.find(&[*n]).is_some()).unwrap();
        for n in 8_u8..11 {
            cache.insert(&[n], n, 10);
            cache.find(&[kept]);
            cache.shrink_to(45);
        }
        assert_eq!((cache.len(), cache.slots.len()), (4, 8));
        let slot = cache.find(&[kept]).unwrap();
        assert_eq!(cache.get_mut(slot).unwrap(), (&[kept][..], &mut { kept }));
        // One that is larger than all is forgotten like any other.
        cache.insert(b"large", 0, 1_000);
        cache.shrink_to(45);
        assert!(cache.bytes <= 45);
        cache.shrink_to(0);
        assert_eq!((cache.len(), cache.bytes), (0, 0));
    }
}
