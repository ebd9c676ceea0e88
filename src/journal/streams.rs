//! The streams: what kefu needs of them, made where they are missing, checked where they exist.

/// How much may wait in `KEFU_INBOX` before a publisher's publish is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxBounds {
    /// Messages in all: some minutes of a flood at full speed.
    pub messages: i64,
    /// Messages of one thread, so that one flooding thread stalls nobody else.
    pub messages_per_subject: i64,
    /// Bytes in all, so that a flood of large messages cannot fill the disk.
    pub bytes: i64,
    /// Bytes of one message. Twice what kefu decides on, so that what is too large can still be stored as rejected,
    /// with its reason; and half of `max_payload`, which leaves room for headers.
    pub message_bytes: i32,
}

impl Default for InboxBounds {
    fn default() -> Self {
        Self {
            messages: 1_000_000,
            messages_per_subject: 1_000,
            bytes: 2 << 30,
            message_bytes: 512 << 10,
        }
    }
}
