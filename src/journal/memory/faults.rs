//! What may go wrong, as values that the caller of the twin chooses.

/// What happens to one append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AppendFault {
    /// Nothing goes wrong.
    #[default]
    None,
    /// It never reaches the server: the caller is told "unknown", nothing is stored.
    Lost,
    /// It is stored if the expectation holds; either way the caller is told "unknown".
    AckLost,
    /// The caller is told "unknown" now. It stays under way until [`MemoryCore::land`](super::MemoryCore::land), and its
    /// expectation is checked only then.
    Late,
}

/// What happens to one publish of an effect or of a customer's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PublishFault {
    /// Nothing goes wrong.
    #[default]
    None,
    /// It never reaches the server: the caller is told "unavailable".
    Lost,
    /// It is stored; the caller is told "unavailable".
    AckLost,
    /// The caller is told "unavailable" now; it is stored by [`MemoryCore::land`](super::MemoryCore::land).
    Late,
}

/// What happens to one acknowledgement. There is no error for the caller in either case: the real one is a bare publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AckFault {
    /// Nothing goes wrong.
    #[default]
    None,
    /// It never reaches the server: the message stays held, and is delivered again after the next take-over.
    Lost,
}

/// One fault for [`MemoryJournal::inject`](super::MemoryJournal::inject): it hits the next call of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Hits the next append.
    Append(AppendFault),
    /// Hits the next publish.
    Publish(PublishFault),
    /// Hits the next acknowledgement.
    Ack(AckFault),
    /// The next history comes from a follower that lacks this many of the log's newest commits.
    StaleHistory(u64),
    /// The next read, take-over or lease call answers "unavailable".
    Unavailable,
}
