//! `kefu search`: what was ever said.

use super::{
    Session, TenantArg,
    error::CliError,
    output::{Style, note, plain},
    values,
};
use clap::Args;
use kefu_events::{Timestamp, query::name};
use serde_json::{Map, Value};

/// Find messages in the whole history of a tenant: all words must occur, the newest comes first
#[derive(Debug, Args)]
#[command(after_help = "\
Any form of an English word is found; of Chinese, any part of a sentence.

Examples:
  kefu search \"refund shoes\"
  kefu search 退货 --channel web --author customer
  kefu search invoice --from 2026-11-01T00:00:00Z --json | jq -r .conversation")]
pub struct Search {
    /// What is looked for
    text: Vec<String>,
    #[command(flatten)]
    tenant: TenantArg,
    /// Only in this conversation
    #[arg(long, value_name = "KEY")]
    conversation: Option<String>,
    /// Only on this channel
    #[arg(long, short)]
    channel: Option<String>,
    /// Only by these: customer, agent, bot, system, note
    #[arg(long)]
    author: Option<String>,
    /// Only by this agent
    #[arg(long, short)]
    agent: Option<String>,
    /// Only from this time on
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    from: Option<Timestamp>,
    /// Only before this time
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    to: Option<Timestamp>,
    /// Leave out what only colleagues see
    #[arg(long)]
    no_notes: bool,
    /// What fits best first
    #[arg(long)]
    by_relevance: bool,
    /// Not more than this many, at most 500
    #[arg(long, default_value_t = 20)]
    limit: usize,
}

impl Search {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let client = session.connect().await?;
        let tenant = self.tenant.of(&client.config);
        let asked = [
            ("conversation", self.conversation.map(Value::from)),
            ("channel", self.channel.map(Value::from)),
            ("author", self.author.map(Value::from)),
            ("agent", self.agent.map(Value::from)),
            ("from", self.from.map(|at| at.to_string().into())),
            ("to", self.to.map(|at| at.to_string().into())),
            ("notes", self.no_notes.then_some(false.into())),
            ("text", Some(self.text.join(" ").into())),
            ("by_relevance", Some(self.by_relevance.into())),
            ("limit", Some(self.limit.into())),
        ];
        let asked = asked.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let found: Value = client.query(&tenant, name::SEARCH_MESSAGES, &Value::Object(Map::from_iter(asked))).await?;
        let archive = &found["archive"];
        if archive["seq"].as_u64() < archive["end"].as_u64() {
            note(format!("the index is being built: it has read {} of {} commits", archive["seq"], archive["end"]));
        }
        let items: &[Value] = found["items"].as_array().map_or(&[], Vec::as_slice);
        if session.out.is_json() {
            return items.iter().try_for_each(|item| session.out.json_line(item));
        }
        for item in items {
            let text = |field: &str| plain(item[field].as_str().unwrap_or_default());
            let at = Timestamp::from_millis(item["at_ms"].as_i64().unwrap_or_default());
            let by = match item["author_id"].as_str() {
                Some(id) => format!("{} {}", text("author"), plain(id)),
                None => text("author"),
            };
            let head = format!("{at}  {}  {by}  {}", text("channel"), text("conversation"));
            let head = session.out.styled(Style::Dim, head);
            let line = session.out.marked(&item["snippet"]);
            session.out.line(format!("{head}\n  {line}"))?;
        }
        let total = found["total"].as_u64().unwrap_or_default();
        if total as usize > items.len() {
            note(format!("{} of {total}: see --limit", items.len()));
        }
        session.out.flush()
    }
}
