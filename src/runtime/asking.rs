//! How parts of kefu that may not know the bus have commands sent over it.

use crate::{
    access::Commands,
    journal::{NatsJournal, Outgoing},
};
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use kefu_events::CommandResult;
use std::time::Duration;

/// How long a result is waited for. Who asks may give up earlier.
const PATIENCE: Duration = Duration::from_secs(30);

impl Commands for NatsJournal {
    fn send(
        &self,
        tenant: &str,
        source: &str,
        key: &str,
        id: &str,
        payload: Bytes,
    ) -> BoxFuture<'_, Result<CommandResult, String>> {
        let command = Outgoing::Command {
            tenant: tenant.to_owned(),
            source: source.to_owned(),
            key: key.to_owned(),
            id: id.to_owned(),
            payload,
        };
        async move {
            let result = self.request_command(command, PATIENCE).await.map_err(|error| error.to_string())?;
            let result = result.ok_or_else(|| format!("no result within {PATIENCE:?}"))?;
            serde_json::from_slice(&result).map_err(|error| error.to_string())
        }
        .boxed()
    }
}
