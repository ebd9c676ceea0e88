//! Questions of customers that wait for an answer, as the answerer sees them.
//!
//! Key: `<tenant>/<key>`. Value: a [`Question`] as JSON, so that an answerer starts by one scan and goes on by the list's
//! feed, and never reads a state.

use crate::{
    aggregate::Tracked,
    conversation::{Conversation, State},
    store::{Entries, List, Store, StoreError, Subject},
};
use kefu_events::{Timestamp, conversation::AnswerChoice};
use serde::{Deserialize, Serialize};

/// See the module's text.
pub const QUESTIONS: List<Conversation> = List { name: "questions", version: 1, entries };

/// A question that waits for an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Names the request.
    pub request: String,
    /// The channel's name.
    pub channel: String,
    /// What is asked.
    pub question: String,
    /// What was asked before in this part of the session, the earliest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<String>,
    /// What the customer was given to choose from just before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<AnswerChoice>,
    /// How often in a row that was.
    #[serde(default)]
    pub choice_rounds: u32,
    /// The customer's name, where the channel says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_name: Option<String>,
    /// The customer's language (BCP 47), where the channel says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// An answer after this moment is too late.
    pub deadline: Timestamp,
}

impl Question {
    fn of(state: &State) -> Option<Self> {
        let bot = state.bot()?;
        let asked = bot.asked.as_ref()?;
        // The last of them is the question itself.
        let before = bot.earlier.len().saturating_sub(1);
        Some(Self {
            request: asked.request.clone(),
            channel: state.channel.clone(),
            question: asked.question.clone(),
            earlier: bot.earlier.iter().take(before).cloned().collect(),
            choices: asked.choices.clone(),
            choice_rounds: bot.choice_rounds,
            customer_name: state.sender.as_ref().and_then(|sender| sender.name.clone()),
            language: state.language.clone(),
            deadline: asked.deadline,
        })
    }
}

fn entries(subject: Subject<'_>, tracked: &Tracked<State>, entries: &mut Entries) {
    // One that was set aside takes no answer.
    let question = Question::of(&tracked.state).filter(|_| !tracked.quarantined);
    if let Some(json) = question.and_then(|question| serde_json::to_vec(&question).ok()) {
        entries.add(&[subject.tenant.as_bytes(), b"/", subject.key.as_bytes()], &[&json]);
    }
}

impl Store {
    /// Questions of all tenants that wait for an answer, with tenant and key of the conversation, in the order of these.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn questions(&self, mut visit: impl FnMut(&str, &str, Question)) -> Result<(), StoreError> {
        self.list(QUESTIONS.name, b"", b"", |key, value| {
            if let (Some((tenant, key)), Ok(entry)) = (super::tenant_and_key(key), serde_json::from_slice(value)) {
                visit(tenant, key, entry);
            }
            true
        })
    }
}
