//! What a running `kefu serve` tells of itself over HTTP: whether it is ready, what it waits for, and its figures.

use super::{
    error::{CliError, Exit},
    serve::{Shared, lock},
};
use crate::{
    bridge::{Probe, Report},
    engine::Engine,
    journal::Connection,
    monitoring::{self, StreamSizes},
    runtime::projector::{Progress, ProjectorState},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::watch;

/// Of a token for metrics: 128 bits in hex.
const LEAST_TOKEN_CHARS: usize = 32;

/// What HTTP and the query `status` ask. It looks at what is there, and never waits for it.
pub(super) fn probe(
    connection: watch::Receiver<Connection>,
    engine: &Shared,
    streams: StreamSizes,
    data: PathBuf,
) -> Probe {
    let (asked, measured) = ((connection.clone(), Arc::clone(engine)), Arc::clone(engine));
    let looked = move || report(*asked.0.borrow(), lock(&asked.1).as_ref());
    let figures = move || {
        let connection = *connection.borrow();
        let engine = lock(&measured);
        let ready = report(connection, engine.as_ref()).waiting_for.is_empty();
        monitoring::figures(ready, connection, engine.as_ref(), &streams, &data)
    };
    Probe { report: Arc::new(looked), figures: Arc::new(figures) }
}

fn report(connection: Connection, engine: Option<&Engine>) -> Report {
    let mut waiting_for = Vec::new();
    if !connection.connected {
        waiting_for.push("the connection to NATS".to_owned());
    }
    let Some(engine) = engine else {
        waiting_for.push("opening the store".to_owned());
        return Report { waiting_for, ..Report::default() };
    };
    let (progress, node) = (engine.projector().progress().borrow().clone(), engine.status());
    if !progress.is_ready() {
        waiting_for.push(describe(&progress));
    }
    if !node.is_ready() {
        let ready = node.owned.values().filter(|figures| figures.ready).count();
        waiting_for.push(format!("taking partitions over: {ready} of {}", node.partitions));
    }
    Report {
        waiting_for,
        partitions: node.partitions.into(),
        partitions_owned: node.owned.len(),
        projector_seq: progress.projected,
        log_seq: progress.end.max(progress.projected),
    }
}

/// What the projector is doing, for people.
pub(super) fn describe(progress: &Progress) -> String {
    let Progress { projected, end, .. } = progress;
    match &progress.state {
        ProjectorState::Starting => "comparing the store with the log".to_owned(),
        ProjectorState::Rebuilding => match progress.left_s {
            Some(left) => format!("reading the log: {projected} of {end}, about {left:.0} s left"),
            None => format!("reading the log: {projected} of {end}"),
        },
        ProjectorState::Following => format!("following the log: {projected} of {end}"),
        ProjectorState::Waiting(why) => format!("the projector, which tries again: {why}"),
        ProjectorState::Stopped => "the projector, which was stopped".to_owned(),
        ProjectorState::Failed(why) => format!("the projector, which has given up: {why}"),
    }
}

/// The token without which nobody reads the metrics. It comes out of a file that Prometheus reads as well.
pub(super) fn metrics_token(path: &Path) -> Result<String, CliError> {
    let wrong = |what: String| {
        CliError::new(Exit::Usage, "configuration", format!("metrics.token_file: {}: {what}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let token = text.trim();
    let fits = token.len() >= LEAST_TOKEN_CHARS && token.bytes().all(|byte| byte.is_ascii_graphic());
    match fits {
        true => Ok(token.to_owned()),
        false => Err(wrong(format!("a token of at least {LEAST_TOKEN_CHARS} characters without spaces is needed"))
            .hint("for example: openssl rand -hex 32 > FILE")),
    }
}
