//! `kefu list`: which conversations there are.

use super::{Session, TenantArg, error::CliError};
use clap::Args;
use kefu_events::query::name;
use serde_json::{Map, Value};

/// List conversations, the last active first
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kefu list --phase queued                who waits for a person
  kefu list --agent anna --json | jq -r .key")]
pub struct List {
    #[command(flatten)]
    tenant: TenantArg,
    /// Only in this phase: bot, queued, offered, active, wrap_up, closed
    #[arg(long)]
    phase: Option<String>,
    /// Only on this channel
    #[arg(long, short)]
    channel: Option<String>,
    /// Only with this agent, or offered to this agent
    #[arg(long, short)]
    agent: Option<String>,
    /// Not more than this many
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

impl List {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let client = session.connect().await?;
        let tenant = self.tenant.of(&client.config);
        let asked = [("phase", self.phase), ("channel", self.channel), ("agent", self.agent)];
        let asked = asked.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
        let parameters = Value::Object(asked.collect::<Map<_, _>>());
        let found = client.pages(&tenant, name::CONVERSATIONS, parameters, self.limit).await?;
        if session.out.is_json() {
            return found.iter().try_for_each(|conversation| session.out.json_line(conversation));
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let row = |found: &Value| {
            let name = format!("{}:{}", text(&found["channel"]), text(&found["thread"]));
            let session = found["session"].to_string();
            [name, session, text(&found["phase"]), text(&found["queue"]), text(&found["agent"]), text(&found["key"])]
        };
        let rows: Vec<[String; 6]> = found.iter().map(row).collect();
        session.out.table(["CONVERSATION", "SESSION", "PHASE", "QUEUE", "AGENT", "KEY"], &rows)
    }
}
