//! An agent writes to the customer.

use super::{
    refuse::{active, check_sendable, invalid},
    step::Step,
};
use kefu_events::{ActorKind, Author, AuthorKind, Content, Refusal, V, conversation::ConversationEvent};

pub(super) fn reply(step: &mut Step, content: &Content, reply_to: Option<&str>) -> Result<(), Refusal> {
    let active = active(step)?.clone();
    check_sendable(content)?;
    if reply_to.is_some_and(|id| id.is_empty() || id.len() > 512) {
        return Err(invalid("the id of a message has 1 to 512 bytes"));
    }
    // Whoever writes has taken it up again: nobody should have to say so.
    if active.held {
        step.emit(ConversationEvent::Resumed { v: V });
    }
    if active.snoozed_until.is_some() {
        step.emit(ConversationEvent::Unsnoozed { v: V });
    }
    let author = if step.actor.kind == ActorKind::System {
        Author::system()
    } else {
        Author { kind: AuthorKind::Agent, id: Some(active.holder.agent), name: active.holder.name }
    };
    step.send(author, content.clone(), reply_to.map(str::to_owned));
    step.await_customer();
    Ok(())
}
