//! Which conversations were open at an earlier moment, out of the ended sessions.

use super::{
    metric::Session,
    reports::{ReportError, Reports},
    rollup::{self, SESSIONS},
};
use kefu_events::Timestamp;

/// Ended sessions that are looked at, at most: some two seconds.
const MAX_LOOKED_AT: u32 = 2_000_000;

impl Reports {
    /// Keys of conversations with a session that was open at this moment, has ended since, and had been meant for a person by
    /// then. All commits up to [`status`](Self::status)'s are in that.
    ///
    /// # Errors
    /// See [`ReportError`]; it is invalid to ask of a time from which sessions are no longer kept, or since which very many have
    /// ended.
    pub fn open_at(&self, tenant: &str, at: Timestamp) -> Result<Vec<String>, ReportError> {
        let (view, note) = self.open(tenant)?;
        let kept_from = note.sessions_from();
        if at < kept_from {
            let message = format!("sessions that ended before {kept_from} are no longer kept (keep_sessions_days)");
            return Err(ReportError::Invalid(message));
        }
        let (mut found, mut looked_at, mut damaged) = (Vec::new(), 0, Ok(()));
        let start = rollup::session_prefix(tenant, at);
        view.scan(SESSIONS, &rollup::path(tenant, ""), &start, |key, value| {
            looked_at += 1;
            match (rollup::decode_session(value), rollup::conversation_of(key, tenant)) {
                (Ok(session), Some(conversation)) if was_for_a_person(&session, at) => found.push(conversation),
                (Err(error), _) => damaged = Err(error),
                _ => {}
            }
            damaged.is_ok() && looked_at <= MAX_LOOKED_AT
        })?;
        damaged?;
        if looked_at > MAX_LOOKED_AT {
            let message = format!("more than {MAX_LOOKED_AT} sessions have ended since: that is too far back");
            return Err(ReportError::Invalid(message));
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }
}

/// Whether a session was open at this moment, after somebody had asked for a person, or one had taken it.
fn was_for_a_person(session: &Session, at: Timestamp) -> bool {
    let is_open = session.opened_at <= at && session.closed_at.is_some_and(|closed_at| closed_at > at);
    let since = [session.handed_off_at, session.served_at].into_iter().flatten().min();
    is_open && session.queue.is_some() && since.is_none_or(|since| since <= at)
}
