//! Whether an existing stream is as kefu needs it.

use super::{DUPLICATE_WINDOW, misconfigured};
use crate::journal::JournalError;
use async_nats::jetstream::stream::{Config, DiscardPolicy, PersistenceMode};
use std::time::Duration;

/// Compares what matters. Bounds may be any, as long as there is one where kefu relies on it.
pub(super) fn check(found: &Config, wanted: &Config) -> Result<(), JournalError> {
    let name = &found.name;
    let edit = |flag: String| format!("Mend it with `nats stream edit {name} {flag}`");
    let remake = || {
        format!(
            "It cannot be changed on an existing stream: back it up (`nats stream backup {name} DIR`), remove it \
             (`nats stream rm {name}`) and start kefu, which makes it anew"
        )
    };
    let differs = |field: &str, found: &dyn std::fmt::Debug, wanted: &dyn std::fmt::Debug, remedy: String| {
        Err(misconfigured(name, field, &format!("{found:?}"), &format!("{wanted:?}"), &remedy))
    };
    let sorted = |subjects: &[String]| {
        let mut subjects = subjects.to_vec();
        subjects.sort();
        subjects
    };
    if found.retention != wanted.retention {
        return differs("retention", &found.retention, &wanted.retention, remake());
    }
    if found.storage != wanted.storage {
        return differs("storage", &found.storage, &wanted.storage, remake());
    }
    if sorted(&found.subjects) != sorted(&wanted.subjects) {
        let flags = wanted.subjects.iter().map(|subject| format!("--subjects '{subject}'"));
        let remedy = edit(flags.collect::<Vec<_>>().join(" "));
        return differs("subjects", &found.subjects, &wanted.subjects, remedy);
    }
    if found.subject_transform != wanted.subject_transform {
        let remedy = match &wanted.subject_transform {
            Some(transform) => edit(format!(
                "--transform-source '{}' --transform-destination '{}'",
                transform.source, transform.destination
            )),
            None => edit("--no-transform".into()),
        };
        return differs("subject_transform", &found.subject_transform, &wanted.subject_transform, remedy);
    }
    if found.sealed {
        return differs("sealed", &true, &false, remake());
    }
    if found.no_ack {
        return differs("no_ack", &true, &false, edit("--ack".into()));
    }
    if found.mirror.is_some() {
        return differs("mirror", &"another stream", &"none", remake());
    }
    if matches!(found.persist_mode, Some(PersistenceMode::Async)) {
        return differs("persist_mode", &"async", &"default", remake());
    }
    let bounded = wanted.discard == DiscardPolicy::New;
    if bounded && found.discard != DiscardPolicy::New {
        return differs("discard", &found.discard, &wanted.discard, edit("--discard=new".into()));
    }
    if wanted.discard_new_per_subject && !found.discard_new_per_subject {
        return differs("discard_new_per_subject", &false, &true, edit("--discard-per-subject".into()));
    }
    if wanted.max_messages_per_subject == 1 && found.max_messages_per_subject != 1 {
        return differs(
            "max_msgs_per_subject",
            &found.max_messages_per_subject,
            &1,
            edit("--max-msgs-per-subject=1".into()),
        );
    }
    if wanted.max_messages_per_subject > 1 && found.max_messages_per_subject < 1 {
        let remedy = edit(format!("--max-msgs-per-subject={}", wanted.max_messages_per_subject));
        return differs("max_msgs_per_subject", &found.max_messages_per_subject, &"a bound", remedy);
    }
    if wanted.max_messages > 0 && found.max_messages < 1 {
        return differs(
            "max_msgs",
            &found.max_messages,
            &"a bound",
            edit(format!("--max-msgs={}", wanted.max_messages)),
        );
    }
    if !bounded {
        // Nothing of these streams may be dropped to make room.
        if found.max_messages > 0 {
            return differs("max_msgs", &found.max_messages, &-1, edit("--max-msgs=-1".into()));
        }
        if found.max_messages_per_subject > 0 {
            let remedy = edit("--max-msgs-per-subject=-1".into());
            return differs("max_msgs_per_subject", &found.max_messages_per_subject, &-1, remedy);
        }
        if found.max_bytes > 0 && found.discard != DiscardPolicy::New {
            return differs("discard", &found.discard, &DiscardPolicy::New, edit("--discard=new".into()));
        }
    }
    let smallest = if wanted.max_message_size > 0 { wanted.max_message_size } else { i32::MAX };
    if found.max_message_size > 0 && found.max_message_size < smallest {
        let remedy = edit(format!("--max-msg-size={}", wanted.max_message_size.max(-1)));
        return differs("max_msg_size", &found.max_message_size, &wanted.max_message_size, remedy);
    }
    if wanted.max_message_size > 0 && found.max_message_size < 1 {
        let remedy = edit(format!("--max-msg-size={}", wanted.max_message_size));
        return differs("max_msg_size", &found.max_message_size, &wanted.max_message_size, remedy);
    }
    if wanted.max_age.is_zero() && !found.max_age.is_zero() {
        return differs("max_age", &found.max_age, &"none: it is kept for ever", edit("--max-age=0".into()));
    }
    if wanted.max_messages_per_subject == 1
        && !(Duration::from_secs(1)..=Duration::from_secs(60)).contains(&found.max_age)
    {
        return differs("max_age", &found.max_age, &wanted.max_age, edit("--max-age=2s".into()));
    }
    if wanted.duplicate_window == DUPLICATE_WINDOW && found.duplicate_window < DUPLICATE_WINDOW {
        let remedy = edit("--dupe-window=2m".into());
        return differs("duplicate_window", &found.duplicate_window, &wanted.duplicate_window, remedy);
    }
    if wanted.allow_direct && !found.allow_direct {
        return differs("allow_direct", &false, &true, edit("--allow-direct".into()));
    }
    if wanted.allow_rollup && !found.allow_rollup {
        return differs("allow_rollup_hdrs", &false, &true, edit("--allow-rollup".into()));
    }
    Ok(())
}
