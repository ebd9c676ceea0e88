//! `kefu queue`: who waits where.

use super::{
    Session, TenantArg,
    error::CliError,
    wall::{self, Moment},
};
use clap::Args;
use kefu_events::query::name;
use serde_json::{Value, json};

/// Show the queues: who waits, how long, and how well the target is met
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kefu queue
  kefu queue --at 2h                       who waited two hours ago, and how long
  kefu queue --json | jq -r 'select(.waiting > 10) | .queue'

The policy, the target and what is given up after which time are in the settings document \"scheduling\":
  kefu settings set --document scheduling default.policy=longest-idle
  kefu settings get --document scheduling --effective")]
pub struct Queue {
    #[command(flatten)]
    tenant: TenantArg,
    #[command(flatten)]
    moment: Moment,
}

impl Queue {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let client = session.connect().await?;
        let tenant = self.tenant.of(&client.config);
        if self.moment.at.is_some() {
            let wall = wall::fetch(&client, &tenant, self.moment.at, 1).await?;
            let queues = wall["queues"].as_array().cloned().unwrap_or_default();
            return table_then(session, &queues);
        }
        let found: Option<Value> = client.find(&tenant, name::QUEUES, &json!({})).await?;
        let items = found.and_then(|found| found["items"].as_array().cloned()).unwrap_or_default();
        if session.out.is_json() {
            return items.iter().try_for_each(|queue| session.out.json_line(queue));
        }
        let row = |queue: &Value| {
            let level = queue["service_level"].as_f64().map_or("-".to_owned(), |level| format!("{level:.0} %"));
            [
                queue["queue"].as_str().unwrap_or_default().to_owned(),
                queue["waiting"].to_string(),
                seconds(&queue["oldest_s"]),
                seconds(&queue["estimated_wait_s"]),
                seconds(&queue["estimate_error_s"]),
                level,
            ]
        };
        let rows: Vec<[String; 6]> = items.iter().map(row).collect();
        session.out.table(["QUEUE", "WAITING", "OLDEST", "ESTIMATE", "ESTIMATE'S ERROR", "IN TARGET"], &rows)
    }
}

/// Queues of an earlier moment, of which it is not known what their customers were told.
pub(super) fn table_then(session: &mut Session, queues: &[Value]) -> Result<(), CliError> {
    if session.out.is_json() {
        return queues.iter().try_for_each(|queue| session.out.json_line(queue));
    }
    let row = |queue: &Value| {
        let name = queue["queue"].as_str().unwrap_or_default().to_owned();
        [name, queue["waiting"].to_string(), seconds(&queue["oldest_s"])]
    };
    session.out.table(["QUEUE", "WAITING", "OLDEST"], &queues.iter().map(row).collect::<Vec<_>>())
}

fn seconds(value: &Value) -> String {
    value.as_f64().map_or("-".to_owned(), |seconds| format!("{seconds:.0} s"))
}
