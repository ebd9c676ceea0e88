//! `kefu rejected`: input that was not decided, and how to have it decided after all.

use super::{
    Session,
    client::{Ask, Client, operator},
    error::{CliError, Exit},
    output::{note, plain},
};
use crate::{
    config::units,
    journal::{Journal, Outgoing, RejectedRecord},
    runtime::intake::{header, reason},
};
use clap::{Args, Subcommand};
use kefu_events::{AggregateKind, key::is_token};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

/// Records that are read at once.
const PAGE: usize = 500;

/// Input that was rejected: malformed, for an unknown tenant, or for a quarantined conversation
#[derive(Debug, Subcommand)]
pub enum Rejected {
    /// List rejected input, the oldest first
    List {
        #[command(flatten)]
        which: Which,
        /// Not more than this many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Show one rejected input, as it came
    Show {
        /// Its sequence, from `kefu rejected list`
        seq: u64,
    },
    /// Have rejected input decided again, once what was wrong is mended
    ///
    /// Where it was rejected because its conversation is quarantined, the quarantine is lifted first, and everything
    /// that was set aside for that conversation is sent again in its order. Input that was decided before is not decided
    /// twice. What is rejected once more comes back to the list with its new reason.
    #[command(after_help = "\
Examples:
  kefu rejected retry 17
  kefu rejected retry --reason unknown_tenant --tenant shop
  kefu rejected retry --all")]
    Retry(Retry),
}

#[derive(Debug, Args)]
pub struct Which {
    /// Only of this tenant
    #[arg(long, short, value_name = "TENANT", value_parser = units::token)]
    tenant: Option<String>,
    /// Only with this reason: malformed, too_large, subject_mismatch, unknown_tenant, quarantined, …
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
}

#[derive(Debug, Args)]
pub struct Retry {
    /// Sequences, from `kefu rejected list`
    #[arg(value_name = "SEQ", required_unless_present_any = ["all", "reason", "tenant"], conflicts_with = "all")]
    seqs: Vec<u64>,
    /// Everything
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    which: Which,
    /// How long to wait for a quarantine's end
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = units::duration)]
    timeout: Duration,
}

impl Rejected {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let client = session.connect().await?;
        match self {
            Self::List { which, limit } => list(session, &client, &which, limit).await,
            Self::Show { seq } => show(session, &client, seq).await,
            Self::Retry(retry) => retry.run(session, &client).await,
        }
    }
}

fn text<'a>(record: &'a RejectedRecord, name: &str) -> &'a str {
    record.headers.get(name).map_or("", String::as_str)
}

fn to_json(record: &RejectedRecord) -> Value {
    let mut value = json!({
        "seq": record.seq,
        "at": kefu_events::Timestamp::from(record.at),
        "tenant": record.tenant,
        "source": record.source,
        "reason": text(record, header::REASON),
        "detail": text(record, header::DETAIL),
        "queue": text(record, header::QUEUE),
        "queue_seq": text(record, header::QUEUE_SEQ).parse::<u64>().ok(),
        "key": text(record, header::KEY),
        "bytes": record.payload.len(),
    });
    if let Some(aggregate) = record.headers.get(header::AGGREGATE) {
        value["aggregate"] = aggregate.clone().into();
    }
    value
}

/// All records that are asked for, oldest first.
async fn matching(client: &Client, which: &Which, limit: usize) -> Result<Vec<RejectedRecord>, CliError> {
    let mut found = Vec::new();
    let mut from = 1;
    loop {
        let page = client.journal.rejected(which.tenant.as_deref(), from, PAGE).await?;
        let Some(last) = page.last() else { return Ok(found) };
        from = last.seq + 1;
        found.extend(
            page.into_iter()
                .filter(|record| which.reason.as_ref().is_none_or(|reason| text(record, header::REASON) == reason)),
        );
        if found.len() >= limit {
            found.truncate(limit);
            return Ok(found);
        }
    }
}

async fn list(session: &mut Session, client: &Client, which: &Which, limit: usize) -> Result<(), CliError> {
    let mut found = matching(client, which, limit.saturating_add(1)).await?;
    if found.len() > limit {
        found.truncate(limit);
        note(format!("there are more than {limit}: see --limit"));
    }
    if session.out.is_json() {
        return found.iter().try_for_each(|record| session.out.json_line(&to_json(record)));
    }
    let rows: Vec<[String; 6]> = found
        .iter()
        .map(|record| {
            let detail: String = text(record, header::DETAIL).chars().take(80).collect();
            [
                record.seq.to_string(),
                record.at.format("%Y-%m-%d %H:%M:%S").to_string(),
                record.tenant.clone(),
                record.source.clone(),
                text(record, header::REASON).to_owned(),
                detail,
            ]
        })
        .collect();
    session.out.table(["SEQ", "AT", "TENANT", "SOURCE", "REASON", "DETAIL"], &rows)
}

async fn get(client: &Client, seq: u64) -> Result<RejectedRecord, CliError> {
    let none = || CliError::new(Exit::Failure, "not_found", format!("there is no rejected input {seq} (any more)"));
    client.journal.rejected_get(seq).await?.ok_or_else(none)
}

async fn show(session: &mut Session, client: &Client, seq: u64) -> Result<(), CliError> {
    let record = get(client, seq).await?;
    let mut value = to_json(&record);
    let payload = String::from_utf8_lossy(&record.payload);
    match serde_json::from_slice::<Value>(&record.payload) {
        Ok(json) => value["payload"] = json,
        Err(_) => value["payload_text"] = payload.clone().into(),
    }
    session.out.result(&value, || {
        let mut lines: Vec<String> = Vec::new();
        for name in ["seq", "at", "tenant", "source", "reason", "detail", "queue", "key", "aggregate", "bytes"] {
            match &value[name] {
                Value::Null => {}
                Value::String(text) => lines.push(format!("{name:<10}{text}")),
                other => lines.push(format!("{name:<10}{other}")),
            }
        }
        lines.push(String::new());
        match value.get("payload").map(serde_json::to_string_pretty) {
            Some(Ok(json)) => lines.push(plain(&json)),
            _ => lines.push(plain(&payload)),
        }
        lines.join("\n")
    })
}

/// An aggregate, as rejected input names it: tenant, kind, key.
type Named = (String, AggregateKind, String);

/// The quarantined aggregate that this input was for.
fn quarantined(record: &RejectedRecord) -> Option<Named> {
    if text(record, header::REASON) != reason::QUARANTINED {
        return None;
    }
    let kind = match record.headers.get(header::AGGREGATE) {
        Some(kind) => kind.parse().ok()?,
        None => AggregateKind::Conversation,
    };
    Some((record.tenant.clone(), kind, text(record, header::KEY).to_owned()))
}

impl Retry {
    async fn run(self, session: &mut Session, client: &Client) -> Result<(), CliError> {
        let chosen = if self.seqs.is_empty() {
            matching(client, &self.which, usize::MAX).await?
        } else {
            let mut chosen = Vec::new();
            for seq in &self.seqs {
                chosen.push(get(client, *seq).await?);
            }
            chosen
        };
        let mut groups: BTreeMap<Named, Vec<RejectedRecord>> = BTreeMap::new();
        let mut others = Vec::new();
        for record in chosen {
            match quarantined(&record) {
                Some(named) => drop(groups.entry(named).or_default()),
                None => others.push(record),
            }
        }
        if !groups.is_empty() {
            // All that was set aside for them, and not only what was named: their order is theirs.
            let which = Which { tenant: None, reason: Some(reason::QUARANTINED.to_owned()) };
            for record in matching(client, &which, usize::MAX).await? {
                if let Some(group) = quarantined(&record).and_then(|named| groups.get_mut(&named)) {
                    group.push(record);
                }
            }
        }
        let mut retried = Vec::new();
        for ((tenant, kind, key), records) in &groups {
            self.lift(client, tenant, *kind, key).await?;
            note(format!("{tenant}/{kind}/{key}: the quarantine is lifted; {} inputs are sent again", records.len()));
            for record in records {
                retried.push(send_again(client, record).await?);
            }
        }
        others.sort_by_key(|record| record.seq);
        for record in &others {
            retried.push(send_again(client, record).await?);
        }
        let value = json!({ "retried": retried });
        session.out.result(&value, || match retried.len() {
            0 => "nothing to retry".to_owned(),
            1 => "1 input sent again".to_owned(),
            count => format!("{count} inputs sent again"),
        })
    }

    async fn lift(&self, client: &Client, tenant: &str, kind: AggregateKind, key: &str) -> Result<(), CliError> {
        let ask = Ask {
            tenant,
            aggregate: kind,
            key,
            actor: operator(),
            id: None,
            expected_version: None,
            body: json!({ "type": "lift_quarantine", "v": 1 }),
        };
        match client.command(ask, self.timeout).await {
            // Somebody lifted it before us, and what was set aside is still there.
            Err(error) if error.code == "not_quarantined" => Ok(()),
            result => result.map(drop),
        }
    }
}

/// Publishes an input as it came, under a message id that is not the first one's, and takes it out of the list.
async fn send_again(client: &Client, record: &RejectedRecord) -> Result<u64, CliError> {
    let key = text(record, header::KEY);
    if ![&record.tenant, &record.source, key].into_iter().all(is_token) {
        let message = format!("the rejected input {} came by a subject that no input can have", record.seq);
        return Err(CliError::new(Exit::Failure, "not_retryable", message));
    }
    // The same for each try, so that a try after a crash between the two steps below is no second message. With the time: a
    // list that lost its end in a power failure counts again, and the window would swallow another record's copy.
    let id = format!("retry-{}-{}", record.seq, record.at.timestamp_millis());
    let payload = record.payload.clone();
    if text(record, header::QUEUE) == "commands" {
        let (tenant, source) = (record.tenant.clone(), record.source.clone());
        let command = Outgoing::Command { tenant, source, key: key.to_owned(), id, payload };
        client.journal.publish(command).await?;
    } else {
        client.journal.publish_inbound(&record.tenant, &record.source, key, &id, payload).await?;
    }
    client.journal.rejected_delete(record.seq).await?;
    Ok(record.seq)
}
