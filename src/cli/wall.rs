//! `kefu wall`: who waits and who works on what, now or at an earlier moment.

use super::{Session, TenantArg, client::Client, error::CliError, output::note, values};
use clap::Args;
use kefu_events::{Timestamp, query::name};
use serde_json::{Value, json};

/// How often the same is asked where much of the log has to be read: each time it is read on for some seconds.
const ATTEMPTS: u32 = 30;

/// Show who waits and who works on what, now or as it was at an earlier moment
#[derive(Debug, Args)]
#[command(after_help = "\
It is folded out of the log. The first question about a long time ago reads the agents' histories, which takes a while;
moments near by come quickly then.

Examples:
  kefu wall                                as it is
  kefu wall --at 2h                        two hours ago
  kefu wall --at '2026-11-22 13:14' --json | jq '.waiting | length'
  kefu queue --at 2h                       the queues alone; so with `kefu agent list --at 2h`")]
pub struct Wall {
    #[command(flatten)]
    tenant: TenantArg,
    #[command(flatten)]
    moment: Moment,
    /// Not more than this many agents, and not more than this many who wait
    #[arg(long, default_value_t = 300)]
    limit: usize,
}

/// An earlier moment.
#[derive(Debug, Args)]
pub(super) struct Moment {
    /// As it was then: a time (UTC, if it does not say), or how long ago
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    pub at: Option<Timestamp>,
}

/// The wall of a moment; of now, if none is named.
pub(super) async fn fetch(
    client: &Client,
    tenant: &str,
    at: Option<Timestamp>,
    limit: usize,
) -> Result<Value, CliError> {
    let at = at.unwrap_or_else(super::client::now);
    for attempt in 1.. {
        match client.query(tenant, name::WALL, &json!({ "at": at, "limit": limit })).await {
            Err(error) if error.code == "not_ready" && attempt < ATTEMPTS => {
                if attempt == 1 {
                    note("the log is being read; this may take a while");
                }
                // What cannot be read at all is told at once, and is to be asked again only after a while.
                tokio::time::sleep(super::client::POLL).await;
            }
            answered => return answered,
        }
    }
    Err(CliError::failure("no attempt was made"))
}

/// Says which items are not shown.
pub(super) fn note_left_out(wall: &Value, list: &str) {
    let shown = wall[list].as_array().map_or(0, Vec::len);
    if let Some(total) = wall["totals"][list].as_u64().filter(|total| *total > shown as u64) {
        note(format!("{shown} of {total}: see --limit"));
    }
}

impl Wall {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let client = session.connect().await?;
        let tenant = self.tenant.of(&client.config);
        let wall = fetch(&client, &tenant, self.moment.at, self.limit).await?;
        if session.out.is_json() {
            return session.out.json(&wall);
        }
        let items = |list: &str| wall[list].as_array().cloned().unwrap_or_default();
        session.out.line(format!("as of {}\n", text(&wall["at"])))?;
        super::queue::table_then(session, &items("queues"))?;
        session.out.line("")?;
        super::agent::list(session, &items("agents"))?;
        note_left_out(&wall, "agents");
        session.out.line("")?;
        let row = |found: &Value| {
            let name = format!("{}:{}", text(&found["channel"]), text(&found["thread"]));
            let priority = found["priority"].to_string();
            let since = text(&found["waits_since"]);
            [name, text(&found["queue"]), since, priority, text(&found["agent"]), text(&found["key"])]
        };
        let rows: Vec<[String; 6]> = items("waiting").iter().map(row).collect();
        session.out.table(["WAITS", "QUEUE", "SINCE", "PRIORITY", "OFFERED TO", "KEY"], &rows)?;
        note_left_out(&wall, "waiting");
        Ok(())
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
