//! The socket's frames by long polling, for networks that let no WebSocket through: each request brings what came since the
//! last one, and waits for the first of it.

use super::{
    answer::Failure,
    caller::Caller,
    hub::{Feed, Happened, Start},
    socket,
};
use crate::access::Credential;
use actix_web::web::{Json, Query};
use kefu_events::bridge::{ClientFrame, Topic, View, default_topics};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::timeout;

/// Frames of one answer.
const MAX_FRAMES: usize = 500;
/// How long a request may wait: proxies cut longer ones off.
const MAX_WAIT_S: u64 = 60;
/// How long the log may keep a request waiting that it has something for.
const READING: Duration = Duration::from_secs(5);
/// Unless it says otherwise.
const WAIT_S: u64 = 25;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    epoch: Option<String>,
    after: Option<u64>,
    wait: Option<u64>,
    topics: Option<String>,
    view: Option<View>,
}

/// `GET /api/v1/events`.
pub(super) async fn events(caller: Caller, asked: Query<Asked>) -> Result<Json<Value>, Failure> {
    let Asked { epoch, after, wait, topics, view } = asked.into_inner();
    let wait = wait.unwrap_or(WAIT_S);
    if wait > MAX_WAIT_S {
        return Err(Failure::invalid(format!("`wait` is 0 to {MAX_WAIT_S} seconds")));
    }
    let topics = match topics {
        Some(topics) => read_topics(&topics)?,
        None => default_topics(),
    };
    let Caller { who, up } = caller;
    if let Credential::Customer { .. } = who.credential {
        return Err(Failure::forbidden("customers' pages come by the WebSocket"));
    }
    let view = view.unwrap_or_default();
    let resume = ClientFrame::Resume { epoch, last_seq: after, last_commit: None, topics, view };
    let (reach, place) = socket::reach_of(&up, who, &resume)?;
    let (mut feed, start) = Feed::open(&up.hub, &up.journal, reach, place).await?;
    let epoch = up.hub.position().epoch;
    let mut last = match start {
        Start::From(seq) => seq,
        Start::Anew { seq, reason } => {
            let reset = socket::snapshot(&up, feed.reach(), seq, reason).await?;
            return Ok(Json(json!({ "epoch": epoch, "seq": seq, "frames": [reset] })));
        }
    };
    let mut frames: Vec<Value> = Vec::new();
    let until = tokio::time::sleep(Duration::from_secs(wait));
    tokio::pin!(until);
    'polled: loop {
        // It is there, and nobody has to be waited for.
        loop {
            match timeout(READING, feed.next_missed()).await {
                Ok(None) => break,
                Ok(Some(happened)) => {
                    if !take(happened, &feed, &mut frames, &mut last)? || frames.len() == MAX_FRAMES {
                        break 'polled;
                    }
                }
                Err(_) => break 'polled,
            }
        }
        // Everything up to here is in the feed already.
        let position = up.hub.position().seq;
        while let Some(happened) = feed.try_next() {
            if !take(happened, &feed, &mut frames, &mut last)? || frames.len() == MAX_FRAMES {
                break 'polled;
            }
        }
        last = last.max(position);
        if !frames.is_empty() {
            break;
        }
        tokio::select! {
            happened = feed.next() => if !take(happened, &feed, &mut frames, &mut last)? { break },
            () = &mut until => break,
        }
    }
    Ok(Json(json!({ "epoch": epoch, "seq": last, "frames": frames })))
}

/// Takes in what happened. `false`: the feed has ended, and the next request begins another one. Rights are looked at anew with
/// each request, so that they changed is of no moment here.
fn take(happened: Happened, feed: &Feed, frames: &mut Vec<Value>, last: &mut u64) -> Result<bool, Failure> {
    let seen = match happened {
        Happened::Seen(seen) => seen,
        Happened::RightsChanged(seen) if feed.reach().sees(&seen) => seen,
        Happened::RightsChanged(_) => return Ok(true),
        Happened::Cut => return Ok(false),
    };
    let commit: Value = serde_json::from_slice(&seen.payload).map_err(|error| Failure::internal(&error))?;
    frames.push(json!({ "type": "commit", "seq": seen.seq, "prev": *last, "commit": commit }));
    *last = seen.seq;
    Ok(true)
}

fn read_topics(text: &str) -> Result<BTreeSet<Topic>, Failure> {
    let read = |name: &str| serde_json::from_value::<Topic>(Value::String(name.trim().to_owned()));
    let topics =
        text.split(',').map(|name| read(name).map_err(|_| Failure::invalid(format!("there is no topic {name:?}"))));
    topics.collect()
}
