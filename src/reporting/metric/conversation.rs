//! What the commits of a conversation add to the figures.

use super::{
    Count, Sink, Slices, Timing,
    rules::Rules,
    session::{Answer, ConversationFold, Session, Stint, Wait, between},
};
use kefu_events::{
    AuthorKind, Commit, Content, Timestamp,
    conversation::{CloseReason, ConversationEvent, NoAnswerReason},
};

/// Which category an entry of the knowledge base has.
pub type Category<'a> = dyn Fn(&str) -> Option<String> + 'a;

struct Fold<'a> {
    at: Timestamp,
    rules: &'a Rules,
    category: &'a Category<'a>,
    sink: &'a mut dyn Sink,
}

impl ConversationFold {
    /// Takes a commit in. `sink` gets what it counts for, each thing with the moment that it counts at, which may be an earlier
    /// one: a rating counts where the session ended. The numbers of the ended sessions that have changed come back.
    pub fn fold(
        &mut self,
        commit: &Commit<ConversationEvent>,
        rules: &Rules,
        category: &Category<'_>,
        sink: &mut dyn Sink,
    ) -> Vec<u32> {
        let mut fold = Fold { at: commit.at, rules, category, sink };
        commit.events.iter().filter_map(|event| fold.event(self, commit, event)).collect()
    }

    /// The ended session of this number, as long as it is remembered.
    pub fn ended(&self, number: u32) -> Option<&Session> {
        [&self.closed, &self.unrated].into_iter().flatten().find(|ended| ended.number == number).map(|ended| &**ended)
    }
}

impl Fold<'_> {
    fn event(
        &mut self,
        state: &mut ConversationFold,
        commit: &Commit<ConversationEvent>,
        event: &ConversationEvent,
    ) -> Option<u32> {
        use ConversationEvent as Event;
        match event {
            Event::SessionOpened { session, channel, .. } => self.opened(state, commit, *session, channel),
            Event::SessionClosed { reason, agent, .. } => self.closed(state, *reason, agent.as_deref()),
            Event::SatisfactionRequested { session, .. } => {
                let rated = ended(state, *session)?;
                let at = rated.closed_at.unwrap_or(self.at);
                self.sink.count(at, Count::RatingsRequested, 1, of(rated));
                rated.rating_asked = true;
                None
            }
            Event::SatisfactionRated { session, score, .. } => {
                let rated = ended(state, *session)?;
                let at = rated.closed_at.unwrap_or(self.at);
                let measure = match score {
                    1 => Count::Ratings1,
                    2 => Count::Ratings2,
                    3 => Count::Ratings3,
                    4 => Count::Ratings4,
                    _ => Count::Ratings5,
                };
                self.sink.count(at, measure, 1, of(rated));
                rated.rating = Some(*score);
                Some(*session)
            }
            Event::DispositionSet { session, code, .. } => {
                if let Some(open) = state.open.as_mut().filter(|open| open.number == *session) {
                    open.disposition = Some(code.clone());
                    return None;
                }
                ended(state, *session)?.disposition = Some(code.clone());
                Some(*session)
            }
            Event::AnswerRated { request, helpful, entries, .. } => {
                self.rated(state, request, *helpful, entries);
                None
            }
            _ => {
                if let Some(session) = &mut state.open {
                    self.session(session, event);
                }
                None
            }
        }
    }

    fn opened(
        &mut self,
        state: &mut ConversationFold,
        commit: &Commit<ConversationEvent>,
        number: u32,
        channel: &str,
    ) -> Option<u32> {
        let slices = Slices { channel: Some(channel), ..Slices::default() };
        self.sink.count(self.at, Count::SessionsOpened, 1, slices);
        let mut session = Session {
            number,
            channel: channel.to_owned(),
            contact: commit.contact.clone(),
            opened_at: self.at,
            ..Session::default()
        };
        let mut changed = None;
        if let Some((ended_at, before)) = state.closed.as_mut().and_then(|closed| Some((closed.closed_at?, closed))) {
            let gap = between(ended_at, self.at);
            if self.rules.is_reopening(gap) {
                self.sink.count(self.at, Count::SessionsReopened, 1, slices);
                session.reopened = true;
            }
            if before.served_at.is_some() && !before.followed_up && self.rules.is_follow_up(gap) {
                before.followed_up = true;
                self.sink.count(ended_at, Count::FollowedUp, 1, of(before));
                changed = Some(before.number);
            }
        }
        state.open = Some(Box::new(session));
        changed
    }

    fn closed(&mut self, state: &mut ConversationFold, reason: CloseReason, agent: Option<&str>) -> Option<u32> {
        let mut session = state.open.take()?;
        let number = session.number;
        if session.wait.is_some() {
            let given_up = !matches!(reason, CloseReason::ClosedByAgent | CloseReason::WrappedUp);
            self.leaves_queue(&mut session, given_up);
        }
        self.end_stint(&mut session);
        if let Some(agent) = agent {
            session.agent = Some(agent.to_owned());
        }
        session.closed_at = Some(self.at);
        session.reason = serde_json::to_value(reason).ok().and_then(|reason| Some(reason.as_str()?.to_owned()));
        session.asked = None;
        session.unanswered_since = None;
        let slices = of(&session);
        let counted = [
            (Count::SessionsClosed, true),
            (Count::ClosedWithBot, session.questions > 0),
            (Count::ClosedIntercepted, session.is_intercepted()),
            (Count::ClosedContained, session.is_contained()),
            (Count::ClosedHandedOff, session.handed_off_at.is_some()),
            (Count::ClosedServed, session.served_at.is_some()),
        ];
        for (measure, _) in counted.into_iter().filter(|(_, holds)| *holds) {
            self.sink.count(self.at, measure, 1, slices);
        }
        self.sink.time(self.at, Timing::Resolution, between(session.opened_at, self.at), slices);
        let before = state.closed.replace(session);
        if let Some(unrated) = before.filter(|before| before.rating_asked && before.rating.is_none()) {
            state.unrated = Some(unrated);
        }
        Some(number)
    }

    fn rated(&mut self, state: &ConversationFold, request: &str, helpful: bool, entries: &[String]) {
        let sessions = state.open.iter().chain(&state.closed);
        let mut answers = sessions.flat_map(|session| session.rateable.iter().map(move |answer| (session, answer)));
        let found = answers.find(|(_, answer)| answer.request == request);
        let measure = if helpful { Count::AnswersHelpful } else { Count::AnswersUnhelpful };
        // Of an answer that was forgotten it is not known when it was given.
        let (at, slices) = match found {
            Some((session, answer)) => (
                answer.at,
                Slices {
                    channel: Some(&session.channel),
                    intent: answer.intent.as_deref(),
                    entry: answer.entry.as_deref(),
                    ..Slices::default()
                },
            ),
            None => {
                let channel = state.open.as_ref().or(state.closed.as_ref()).map(|session| session.channel.as_str());
                (self.at, Slices { channel, entry: entries.first().map(String::as_str), ..Slices::default() })
            }
        };
        self.sink.count(at, measure, 1, slices);
    }

    fn session(&mut self, session: &mut Session, event: &ConversationEvent) {
        use ConversationEvent as Event;
        match event {
            Event::MessageReceived { message, .. } => {
                if matches!(message.content, Content::Event { .. }) {
                    return;
                }
                session.from_customer += 1;
                session.first_message_at.get_or_insert(self.at);
                if session.agent_replied_at.is_some() {
                    session.unanswered_since.get_or_insert(self.at);
                }
                let slices = with_holder(session);
                self.sink.count(self.at, Count::MessagesFromCustomers, 1, slices);
            }
            Event::MessageSent { author, .. } => match author.kind {
                AuthorKind::Bot => self.bot_replied(session),
                AuthorKind::Agent => self.agent_replied(session, author.id.as_deref()),
                AuthorKind::System => {}
            },
            Event::AnswerRequested { .. }
            | Event::AnswerGiven { .. }
            | Event::ChoicesOffered { .. }
            | Event::AnswerDeclined { .. } => self.question(session, event),
            Event::HandoffRequested { .. } => {
                session.handed_off_at.get_or_insert(self.at);
                let slices =
                    Slices { channel: Some(&session.channel), intent: session.intent.as_deref(), ..Slices::default() };
                self.sink.count(self.at, Count::Handoffs, 1, slices);
            }
            Event::Queued { .. }
            | Event::CallbackDue { .. }
            | Event::OfferMade { .. }
            | Event::OfferAccepted { .. }
            | Event::OfferRejected { .. }
            | Event::OfferTimedOut { .. }
            | Event::OfferRescinded { .. }
            | Event::TakenOver { .. } => self.waiting(session, event),
            _ => self.handling(session, event),
        }
    }

    fn bot_replied(&mut self, session: &mut Session) {
        session.from_bot += 1;
        let slices = Slices { channel: Some(&session.channel), ..Slices::default() };
        self.sink.count(self.at, Count::MessagesFromBot, 1, slices);
        if session.bot_replied_at.is_none()
            && let Some(asked_at) = session.first_message_at
        {
            self.sink.time(self.at, Timing::BotResponse, between(asked_at, self.at), slices);
        }
        session.bot_replied_at.get_or_insert(self.at);
        // What the bot answers while nobody else has it is no agent's to answer.
        if session.stint.is_none() {
            session.unanswered_since = None;
        }
    }

    fn agent_replied(&mut self, session: &mut Session, agent: Option<&str>) {
        session.from_agents += 1;
        let slices = Slices {
            channel: Some(&session.channel),
            queue: session.queue.as_deref(),
            agent: agent.or(session.agent.as_deref()),
            skills: &session.skills,
            ..Slices::default()
        };
        self.sink.count(self.at, Count::MessagesFromAgents, 1, slices);
        if session.agent_replied_at.is_none() {
            let since = session.handed_off_at.or(session.served_at).unwrap_or(session.opened_at);
            let ms = between(since, self.at);
            self.sink.time(self.at, Timing::FirstResponse, ms, slices);
            let open_ms = self.rules.open_ms(session.queue.as_deref(), since, self.at);
            self.sink.time(self.at, Timing::FirstResponseOpen, open_ms, slices);
            let met = self.rules.is_in_sla(open_ms);
            self.sink.count(self.at, if met { Count::SlaMet } else { Count::SlaBreached }, 1, slices);
            session.sla_breached = !met;
            session.agent_replied_at = Some(self.at);
        } else if let Some(since) = session.unanswered_since {
            self.sink.time(self.at, Timing::NextResponse, between(since, self.at), slices);
        }
        session.unanswered_since = None;
    }

    fn question(&mut self, session: &mut Session, event: &ConversationEvent) {
        use ConversationEvent as Event;
        let channel = session.channel.clone();
        let of_channel = Slices { channel: Some(&channel), ..Slices::default() };
        match event {
            Event::AnswerRequested { request, .. } => {
                session.questions += 1;
                (session.asked, session.asked_at) = (Some(request.clone()), Some(self.at));
                self.sink.count(self.at, Count::QuestionsAsked, 1, of_channel);
            }
            Event::AnswerGiven { request, confidence, sources, .. } => {
                let entry = sources.first().map(|source| source.entry.clone());
                let intent = entry.as_deref().and_then(self.category);
                let slices = Slices { intent: intent.as_deref(), entry: entry.as_deref(), ..of_channel };
                self.sink.count(self.at, Count::AnswersGiven, 1, slices);
                // A probability: 0 to 1.
                self.sink.count(self.at, Count::ConfidenceMillionths, (confidence * 1e6).round() as i64, slices);
                if session.asked.take().as_ref() == Some(request)
                    && let Some(since) = session.asked_at
                {
                    self.sink.time(self.at, Timing::AnswerTime, between(since, self.at), slices);
                }
                session.answers += 1;
                session.intent = session.intent.take().or_else(|| intent.clone());
                session.remember(Answer { request: request.clone(), at: self.at, entry, intent });
            }
            Event::ChoicesOffered { .. } => {
                session.asked = None;
                self.sink.count(self.at, Count::ChoicesOffered, 1, of_channel);
            }
            Event::AnswerDeclined { reason, .. } => {
                session.asked = None;
                session.declined += 1;
                let measure = match reason {
                    NoAnswerReason::TimedOut => Count::AnswersTimedOut,
                    NoAnswerReason::NotConfident => Count::AnswersNotConfident,
                    NoAnswerReason::OutOfScope => Count::AnswersOutOfScope,
                    NoAnswerReason::Failed => Count::AnswersFailed,
                };
                self.sink.count(self.at, measure, 1, of_channel);
            }
            _ => {}
        }
    }

    fn waiting(&mut self, session: &mut Session, event: &ConversationEvent) {
        use ConversationEvent as Event;
        match event {
            Event::Queued { queue, not_before, .. } => {
                session.queue = Some(queue.clone());
                let put_off = not_before.is_some();
                match &mut session.wait {
                    // It has waited since it was queued first; only the queue is another.
                    Some(wait) => wait.put_off = put_off,
                    None => {
                        session.wait = Some(Wait { since: self.at, put_off, offered_at: None, skills: Vec::new() });
                        self.wait_begins(session);
                    }
                }
            }
            Event::CallbackDue { .. } => {
                if let Some(wait) = session.wait.as_mut().filter(|wait| wait.put_off) {
                    (wait.since, wait.put_off) = (self.at, false);
                    self.wait_begins(session);
                }
            }
            Event::OfferMade { agent, practice, .. } => {
                let skills = practice.iter().flat_map(|practice| &practice.skills);
                let skills: Vec<String> = skills.filter(|skill| !skill.starts_with("queue:")).cloned().collect();
                if let Some(wait) = &mut session.wait {
                    (wait.offered_at, wait.skills) = (Some(self.at), skills);
                }
                self.sink.count(self.at, Count::OffersMade, 1, offered(session, agent));
            }
            Event::OfferAccepted { agent, .. } => {
                self.offer_answered(session, agent, Count::OffersAccepted);
                self.served(session, agent);
            }
            Event::OfferRejected { agent, .. } => self.offer_answered(session, agent, Count::OffersRejected),
            Event::OfferTimedOut { agent, .. } => self.offer_ended(session, agent, Count::OffersTimedOut),
            Event::OfferRescinded { agent, .. } => self.offer_ended(session, agent, Count::OffersRescinded),
            Event::TakenOver { agent, .. } => {
                self.end_stint(session);
                self.served(session, agent);
                self.sink.count(self.at, Count::Takeovers, 1, of(session));
            }
            _ => {}
        }
    }

    fn wait_begins(&mut self, session: &Session) {
        if session.wait.as_ref().is_some_and(|wait| !wait.put_off) {
            let slices =
                Slices { channel: Some(&session.channel), queue: session.queue.as_deref(), ..Slices::default() };
            self.sink.count(self.at, Count::WaitsBegun, 1, slices);
        }
    }

    fn offer_answered(&mut self, session: &mut Session, agent: &str, measure: Count) {
        if let Some(offered_at) = session.wait.as_ref().and_then(|wait| wait.offered_at) {
            self.sink.time(self.at, Timing::OfferAnswer, between(offered_at, self.at), offered(session, agent));
        }
        self.offer_ended(session, agent, measure);
    }

    fn offer_ended(&mut self, session: &mut Session, agent: &str, measure: Count) {
        self.sink.count(self.at, measure, 1, offered(session, agent));
        if let Some(wait) = &mut session.wait {
            wait.offered_at = None;
        }
    }

    /// An agent has it now: its wait, if it waited, ends with an agent.
    fn served(&mut self, session: &mut Session, agent: &str) {
        session.agent = Some(agent.to_owned());
        session.served_at.get_or_insert(self.at);
        session.skills.clear();
        if let Some(wait) = session.wait.take() {
            session.skills = wait.skills;
            // A supervisor may take what nobody was to be asked about yet.
            if !wait.put_off {
                let ms = between(wait.since, self.at);
                session.waited_ms += ms;
                let slices = of_stint(session);
                self.sink.time(self.at, Timing::WaitAnswered, ms, slices);
                let queue = session.queue.as_deref();
                self.sink.time(
                    self.at,
                    Timing::WaitAnsweredOpen,
                    self.rules.open_ms(queue, wait.since, self.at),
                    slices,
                );
                if ms <= self.rules.target_ms(queue) {
                    self.sink.count(self.at, Count::AnsweredInTime, 1, slices);
                }
            }
        }
        session.stint = Some(Stint::begun(agent.to_owned(), self.at));
    }

    /// It does not wait any more, and no agent has it.
    fn leaves_queue(&mut self, session: &mut Session, given_up: bool) {
        let Some(wait) = session.wait.take() else { return };
        let ms = between(wait.since, self.at);
        let slices = Slices {
            channel: Some(&session.channel),
            queue: session.queue.as_deref(),
            skills: &wait.skills,
            ..Slices::default()
        };
        if !given_up || wait.put_off {
            self.sink.count(self.at, Count::WaitsElsewhere, 1, slices);
            return;
        }
        self.sink.time(self.at, Timing::WaitAbandoned, ms, slices);
        if self.rules.is_short(ms) {
            self.sink.count(self.at, Count::AbandonedSoon, 1, slices);
        }
        session.waited_ms += ms;
        session.abandoned += 1;
    }

    fn handling(&mut self, session: &mut Session, event: &ConversationEvent) {
        use ConversationEvent as Event;
        let at = self.at;
        match event {
            Event::Transferred { .. } => {
                self.sink.count(at, Count::Transfers, 1, of_stint(session));
                session.transfers += 1;
                self.end_stint(session);
            }
            Event::ReturnedToBot { .. } => {
                self.sink.count(at, Count::ReturnedToBot, 1, of_stint(session));
                self.leaves_queue(session, false);
                self.end_stint(session);
                session.unanswered_since = None;
            }
            Event::ConsultStarted { .. } => self.sink.count(at, Count::Consults, 1, of_stint(session)),
            _ => {
                let Some(stint) = &mut session.stint else { return };
                let begins = match event {
                    Event::Held { .. } => |stint: &mut Stint, at| stint.held_since = Some(at),
                    Event::Snoozed { .. } => |stint: &mut Stint, at| stint.snoozed_since = Some(at),
                    Event::WrapUpStarted { .. } => |stint: &mut Stint, at| stint.wrap_up_since = Some(at),
                    Event::Resumed { .. } | Event::Unsnoozed { .. } | Event::Reactivated { .. } => {
                        |_: &mut Stint, _| {}
                    }
                    _ => return,
                };
                // Each moment belongs to what began last.
                stint.settle(at);
                begins(stint, at);
            }
        }
    }

    fn end_stint(&mut self, session: &mut Session) {
        let Some(mut stint) = session.stint.take() else { return };
        stint.settle(self.at);
        let Stint { hold_ms, snoozed_ms, wrap_up_ms, .. } = stint;
        let handled = between(stint.since, self.at).saturating_sub(snoozed_ms);
        let talk = handled.saturating_sub(hold_ms + wrap_up_ms);
        let slices = Slices { agent: Some(&stint.agent), ..of_stint(session) };
        self.sink.time(self.at, Timing::Handled, handled, slices);
        self.sink.time(self.at, Timing::Talk, talk, slices);
        self.sink.time(self.at, Timing::Hold, hold_ms, slices);
        self.sink.time(self.at, Timing::WrapUp, wrap_up_ms, slices);
        session.talk_ms += talk;
        session.hold_ms += hold_ms;
        session.wrap_up_ms += wrap_up_ms;
    }
}

/// The ended session of this number, as long as it is remembered.
fn ended(state: &mut ConversationFold, number: u32) -> Option<&mut Session> {
    let remembered = [state.closed.as_deref_mut(), state.unrated.as_deref_mut()];
    remembered.into_iter().flatten().find(|ended| ended.number == number)
}

/// A session that has ended.
fn of(session: &Session) -> Slices<'_> {
    Slices { intent: session.intent.as_deref(), skills: &[], ..of_stint(session) }
}

/// What an agent does in it.
fn of_stint(session: &Session) -> Slices<'_> {
    Slices {
        channel: Some(&session.channel),
        queue: session.queue.as_deref(),
        agent: session.agent.as_deref(),
        skills: &session.skills,
        ..Slices::default()
    }
}

/// Something that happens while an agent has it, or not.
fn with_holder(session: &Session) -> Slices<'_> {
    let agent = session.stint.as_ref().map(|stint| stint.agent.as_str());
    let queue = session.queue.as_deref().filter(|_| agent.is_some() || session.wait.is_some());
    Slices { channel: Some(&session.channel), queue, agent, ..Slices::default() }
}

fn offered<'a>(session: &'a Session, agent: &'a str) -> Slices<'a> {
    Slices {
        channel: Some(&session.channel),
        queue: session.queue.as_deref(),
        agent: Some(agent),
        skills: session.wait.as_ref().map_or(&[], |wait| wait.skills.as_slice()),
        ..Slices::default()
    }
}
