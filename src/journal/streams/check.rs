//! Whether an existing stream is as kefu needs it.
//!
//! Bounds may be any, as long as there is one where kefu relies on it; replicas, placement, compression and
//! descriptions are nobody's business but the operator's.

use super::{DUPLICATE_WINDOW, misconfigured};
use crate::journal::JournalError;
use async_nats::jetstream::stream::{Config, DiscardPolicy, PersistenceMode};
use std::{fmt::Debug, time::Duration};

/// How long a lease may live: below a second, renewals would race with the bucket's own clock; over a minute, nobody
/// would wait for a dead node's partitions.
const LEASE_TTL_RANGE: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);

/// Compares what matters, and says everything that differs and how to mend it.
pub(super) fn check(found: &Config, wanted: &Config) -> Result<(), JournalError> {
    let mut report = Report { name: &found.name, differences: Vec::new() };
    identity(&mut report, found, wanted);
    bounds(&mut report, found, wanted);
    ages(&mut report, found, wanted);
    if report.differences.is_empty() {
        return Ok(());
    }
    Err(JournalError::Misconfigured(report.differences.join("\n")))
}

struct Report<'a> {
    name: &'a str,
    differences: Vec<String>,
}

impl Report<'_> {
    fn differs(&mut self, field: &str, found: &dyn Debug, wanted: &dyn Debug, remedy: &str) {
        let text = misconfigured(self.name, field, &format!("{found:?}"), &format!("{wanted:?}"), remedy);
        self.differences.push(text);
    }

    /// Something that can be changed on an existing stream.
    fn editable(&mut self, fits: bool, field: &str, found: &dyn Debug, wanted: &dyn Debug, flag: &str) {
        if !fits {
            let remedy = format!("Mend it with `nats stream edit {} {flag}`", self.name);
            self.differs(field, found, wanted, &remedy);
        }
    }

    /// Something that cannot.
    fn fixed(&mut self, fits: bool, field: &str, found: &dyn Debug, wanted: &dyn Debug) {
        if !fits {
            let name = self.name;
            let remedy = format!(
                "It cannot be changed on an existing stream: back it up (`nats stream backup {name} DIR`), remove it \
                 (`nats stream rm {name}`) and start kefu, which makes it anew"
            );
            self.differs(field, found, wanted, &remedy);
        }
    }
}

/// What the stream is.
fn identity(report: &mut Report<'_>, found: &Config, wanted: &Config) {
    report.fixed(found.retention == wanted.retention, "retention", &found.retention, &wanted.retention);
    report.fixed(found.storage == wanted.storage, "storage", &found.storage, &wanted.storage);
    report.fixed(!found.sealed, "sealed", &true, &false);
    report.fixed(found.mirror.is_none(), "mirror", &found.mirror.is_some(), &false);
    // Acknowledged before it is written: a killed server would lose what kefu was told is stored.
    let unsafe_writes = matches!(found.persist_mode, Some(PersistenceMode::Async));
    report.fixed(!unsafe_writes, "persist_mode", &"async", &"default");
    report.editable(!found.no_ack, "no_ack", &true, &false, "--ack");

    let sorted = |subjects: &[String]| {
        let mut subjects = subjects.to_vec();
        subjects.sort();
        subjects
    };
    let flags: Vec<String> = wanted.subjects.iter().map(|subject| format!("--subjects '{subject}'")).collect();
    let same = sorted(&found.subjects) == sorted(&wanted.subjects);
    report.editable(same, "subjects", &found.subjects, &wanted.subjects, &flags.join(" "));

    let flag = match &wanted.subject_transform {
        Some(transform) => {
            format!("--transform-source '{}' --transform-destination '{}'", transform.source, transform.destination)
        }
        None => "--no-transform".into(),
    };
    let same = found.subject_transform == wanted.subject_transform;
    report.editable(same, "subject_transform", &found.subject_transform, &wanted.subject_transform, &flag);
    let direct = found.allow_direct || !wanted.allow_direct;
    report.editable(direct, "allow_direct", &false, &true, "--allow-direct");
    let rollup = found.allow_rollup || !wanted.allow_rollup;
    report.editable(rollup, "allow_rollup_hdrs", &false, &true, "--allow-rollup");
}

/// What it may hold, and what happens when it is full.
fn bounds(report: &mut Report<'_>, found: &Config, wanted: &Config) {
    let refuses = found.discard == DiscardPolicy::New;
    if wanted.discard == DiscardPolicy::New {
        report.editable(refuses, "discard", &found.discard, &wanted.discard, "--discard=new");
    } else {
        // Nothing of this stream may be dropped to make room for something else.
        let (messages, subject) = (found.max_messages, found.max_messages_per_subject);
        report.editable(messages < 1, "max_msgs", &messages, &-1, "--max-msgs=-1");
        report.editable(subject < 1, "max_msgs_per_subject", &subject, &-1, "--max-msgs-per-subject=-1");
        let fits = found.max_bytes < 1 || refuses;
        report.editable(fits, "discard", &found.discard, &DiscardPolicy::New, "--discard=new");
    }
    let per_subject = found.discard_new_per_subject || !wanted.discard_new_per_subject;
    report.editable(per_subject, "discard_new_per_subject", &false, &true, "--discard-per-subject");

    let bounded = found.max_messages > 0 || wanted.max_messages < 1;
    let flag = format!("--max-msgs={}", wanted.max_messages);
    report.editable(bounded, "max_msgs", &found.max_messages, &wanted.max_messages, &flag);

    let (has, needs) = (found.max_messages_per_subject, wanted.max_messages_per_subject);
    // One means "the last one of each", which a bucket lives by; any other number is only a bound.
    let fits = if needs == 1 { has == 1 } else { needs < 1 || has > 0 };
    report.editable(fits, "max_msgs_per_subject", &has, &needs, &format!("--max-msgs-per-subject={needs}"));

    let (has, needs) = (found.max_message_size, wanted.max_message_size);
    let fits = if needs > 0 { has >= needs } else { has < 1 };
    report.editable(
        fits,
        "max_msg_size",
        &has,
        &needs,
        &format!("--max-msg-size={}", if needs > 0 { needs } else { -1 }),
    );
}

/// How long things live.
fn ages(report: &mut Report<'_>, found: &Config, wanted: &Config) {
    if wanted.max_age.is_zero() {
        report.editable(found.max_age.is_zero(), "max_age", &found.max_age, &"none", "--max-age=0");
    } else if wanted.max_messages_per_subject == 1 {
        let fits = LEASE_TTL_RANGE.contains(&found.max_age);
        report.editable(fits, "max_age", &found.max_age, &LEASE_TTL_RANGE, "--max-age=2s");
    }
    if wanted.duplicate_window == DUPLICATE_WINDOW {
        let (has, needs) = (found.duplicate_window, wanted.duplicate_window);
        report.editable(has >= needs, "duplicate_window", &has, &needs, "--dupe-window=2m");
    }
}
