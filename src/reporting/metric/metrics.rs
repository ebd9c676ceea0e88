//! What each figure means: its name and version, its formula over measures, its unit, and what happens at the edges. This is
//! the one place where it stands; the command line, the interface, the console and the documents show what is written here.

use super::{
    Count,
    Dimension::{Agent, Channel, Entry, Intent, Queue, Skill},
    Session, Timing,
    definition::{
        Formula::{Quantile, Ratio, Scaled, Total},
        Linear, Metric,
        Term::{Number, Of, Sum},
        Unit, Whose,
    },
};

/// The definition of this name.
pub fn metric(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

const MS: f64 = 0.001;

macro_rules! metrics {
    ($($name:literal@$version:literal $label:literal, $unit:ident, $whose:ident, $formula:expr, [$($by:ident),*], $edges:literal
        $(, if $sessions:expr)?;)+) => {
        /// Every figure.
        pub const METRICS: &[Metric] = &[$(Metric {
            name: $name,
            version: $version,
            label: $label,
            unit: Unit::$unit,
            whose: Whose::$whose,
            formula: $formula,
            by: &[$($by),*],
            edges: $edges,
            sessions: metrics!(@sessions $($sessions)?),
        }),+];
    };
    (@sessions) => { None };
    (@sessions $sessions:expr) => { Some($sessions) };
}

const ANSWERED_OR_ABANDONED: Linear =
    &[(1, Number(Timing::WaitAnswered)), (1, Number(Timing::WaitAbandoned)), (-1, Of(Count::AbandonedSoon))];
const RATINGS: Linear = &[
    (1, Of(Count::Ratings1)),
    (1, Of(Count::Ratings2)),
    (1, Of(Count::Ratings3)),
    (1, Of(Count::Ratings4)),
    (1, Of(Count::Ratings5)),
];
const DECLINED: Linear = &[
    (1, Of(Count::AnswersTimedOut)),
    (1, Of(Count::AnswersNotConfident)),
    (1, Of(Count::AnswersOutOfScope)),
    (1, Of(Count::AnswersFailed)),
];

metrics! {
    "sessions_opened"@1 "Sessions opened", Count, All, Total(&[(1, Of(Count::SessionsOpened))]), [Channel],
        "Counted when they began.";
    "sessions_closed"@1 "Sessions closed", Count, All, Total(&[(1, Of(Count::SessionsClosed))]), [Channel, Queue, Agent, Intent],
        "Counted when they ended, under the last queue and the last agent that they had.", if |_| true;
    "backlog_change"@1 "Backlog change", Count, All,
        Total(&[(1, Of(Count::SessionsOpened)), (-1, Of(Count::SessionsClosed))]), [Channel],
        "Added up from the beginning of the log, it is the number of open sessions.";
    "resolution_mean"@1 "Time to close", Seconds, All, Ratio(&[(1, Sum(Timing::Resolution))], &[(1, Number(Timing::Resolution))], MS),
        [Channel, Queue, Agent, Intent], "By the clock, nights among it. Waits for the customer are part of it.", if |_| true;
    "reopen_rate"@1 "Reopened", Share, All, Ratio(&[(1, Of(Count::SessionsReopened))], &[(1, Of(Count::SessionsOpened))], 1.0), [Channel],
        "Of the sessions that began, those whose thread had one that ended less than `reopen_within_h` before.", if |session| session.reopened;
    "interception_rate"@1 "Interception (deflection)", Share, Bot, Ratio(&[(1, Of(Count::ClosedIntercepted))], &[(1, Of(Count::ClosedWithBot))], 1.0),
        [Channel, Intent], "Of the sessions in which the bot was asked something, those that it answered and in which no person was asked for \
        or took part. One that the bot could not answer and that nobody pursued is not intercepted.", if Session::is_intercepted;
    "containment_rate"@1 "Containment", Share, Bot, Ratio(&[(1, Of(Count::ClosedContained))], &[(1, Of(Count::ClosedWithBot))], 1.0),
        [Channel, Intent], "As interception, answered or not.", if Session::is_contained;
    "questions_asked"@1 "Questions to the bot", Count, Bot, Total(&[(1, Of(Count::QuestionsAsked))]), [Channel], "Messages that were put together count as one.",
        if |session| session.questions > 0;
    "bot_answer_rate"@1 "Answered by the bot", Share, Bot, Ratio(&[(1, Of(Count::AnswersGiven))], &[(1, Of(Count::QuestionsAsked))], 1.0), [Channel],
        "A question after which the customer was asked what was meant is not answered; the choice is a question of its own.";
    "faq_coverage"@1 "FAQ coverage", Share, Bot, Ratio(&[(1, Of(Count::AnswersGiven)), (1, Of(Count::ChoicesOffered))],
        &[(1, Of(Count::QuestionsAsked)), (-1, Of(Count::AnswersTimedOut)), (-1, Of(Count::AnswersFailed))], 1.0), [Channel],
        "Of the questions that were looked up, those for which the knowledge base had something.";
    "questions_unanswered"@1 "Unanswered questions", Count, Bot, Total(DECLINED), [Channel], "For whatever reason.", if |session| session.declined > 0;
    "answer_confidence"@1 "Mean confidence", Share, Bot, Ratio(&[(1, Of(Count::ConfidenceMillionths))], &[(1, Of(Count::AnswersGiven))], 1e-6),
        [Channel, Intent, Entry], "Of the answers that were given.";
    "answers_given"@1 "Answers", Count, Bot, Total(&[(1, Of(Count::AnswersGiven))]), [Channel, Intent, Entry], "An answer counts under the first entry that it rests on.",
        if |session| session.answers > 0;
    "helpful_rate"@1 "Helpful", Share, Bot, Ratio(&[(1, Of(Count::AnswersHelpful))], &[(1, Of(Count::AnswersHelpful)), (1, Of(Count::AnswersUnhelpful))], 1.0),
        [Channel, Intent, Entry], "Of the answers that customers rated, counted when they were given.";
    "adoption_rate"@1 "Adopted by agents", Share, Bot, Ratio(&[(1, Of(Count::SuggestionsAdopted)), (1, Of(Count::SuggestionsEdited))],
        &[(1, Of(Count::SuggestionsAdopted)), (1, Of(Count::SuggestionsEdited)), (1, Of(Count::SuggestionsRejected))], 1.0), [Agent, Intent, Entry],
        "Of the suggested entries that agents judged, those that they sent, changed or not.";
    "bot_answer_p90"@1 "Bot's answer, p90", Seconds, Bot, Quantile(Timing::AnswerTime, 0.9), [Channel, Intent, Entry], "From the question to the answer, of those that were answered.";
    "bot_response_mean"@1 "Bot's first reply", Seconds, Bot, Ratio(&[(1, Sum(Timing::BotResponse))], &[(1, Number(Timing::BotResponse))], MS), [Channel],
        "From a session's first message. Greetings of the system do not count.";
    "handoffs"@1 "Hand-offs", Count, All, Total(&[(1, Of(Count::Handoffs))]), [Channel, Intent], "A session that came back from the queue to the bot can have several.",
        if |session| session.handed_off_at.is_some();
    "waits"@1 "Waits ended", Count, People, Total(&[(1, Number(Timing::WaitAnswered)), (1, Number(Timing::WaitAbandoned))]), [Channel, Queue],
        "Waits that ended with an agent or were given up; after a transfer one waits anew.", if |session| session.waited_ms > 0 || session.abandoned > 0;
    "asa"@1 "Speed of answer (ASA)", Seconds, People, Ratio(&[(1, Sum(Timing::WaitAnswered))], &[(1, Number(Timing::WaitAnswered))], MS), [Channel, Queue, Agent, Skill],
        "Mean wait of those that ended with an agent. A callback waits from the opening of the queue on.";
    "wait_p50"@1 "Wait, p50", Seconds, People, Quantile(Timing::WaitAnswered, 0.5), [Channel, Queue, Agent, Skill], "Of waits that ended with an agent.";
    "wait_p90"@1 "Wait, p90", Seconds, People, Quantile(Timing::WaitAnswered, 0.9), [Channel, Queue, Agent, Skill], "Of waits that ended with an agent.";
    "wait_p99"@1 "Wait, p99", Seconds, People, Quantile(Timing::WaitAnswered, 0.99), [Channel, Queue, Agent, Skill], "Of waits that ended with an agent.";
    "wait_open_mean"@1 "Wait in business hours", Seconds, People, Ratio(&[(1, Sum(Timing::WaitAnsweredOpen))], &[(1, Number(Timing::WaitAnsweredOpen))], MS),
        [Channel, Queue, Agent, Skill], "Only what of the wait lies in the queue's business hours, or in the tenant's where it has none.";
    "service_level"@1 "Service level", Share, People, Ratio(&[(1, Of(Count::AnsweredInTime))], ANSWERED_OR_ABANDONED, 1.0), [Channel, Queue, Skill],
        "Waits that ended with an agent within the queue's target (`within_s` of the scheduling document, else `service_level_s`), of all that ended with an agent or \
        were given up later than `short_abandon_s`. The target of the time at which the wait ended counts.";
    "abandonment"@1 "Abandonment", Share, People, Ratio(&[(1, Number(Timing::WaitAbandoned)), (-1, Of(Count::AbandonedSoon))], ANSWERED_OR_ABANDONED, 1.0), [Channel, Queue],
        "Waits that were given up, but for those within `short_abandon_s`.", if |session| session.abandoned > 0;
    "offers"@1 "Offers", Count, People, Total(&[(1, Of(Count::OffersMade))]), [Channel, Queue, Agent, Skill], "";
    "offer_acceptance"@1 "Offers accepted", Share, People, Ratio(&[(1, Of(Count::OffersAccepted))],
        &[(1, Of(Count::OffersAccepted)), (1, Of(Count::OffersRejected)), (1, Of(Count::OffersTimedOut))], 1.0), [Channel, Queue, Agent, Skill], "Offers that were withdrawn do not count.";
    "frt_mean"@1 "First response (FRT)", Seconds, People, Ratio(&[(1, Sum(Timing::FirstResponse))], &[(1, Number(Timing::FirstResponse))], MS), [Channel, Queue, Agent, Skill],
        "From the first request for a person (where there was none: from an agent's taking it) to an agent's first reply. The bot's replies do not count.",
        if |session| session.agent_replied_at.is_some();
    "frt_p90"@1 "First response, p90", Seconds, People, Quantile(Timing::FirstResponse, 0.9), [Channel, Queue, Agent, Skill], "As the mean.";
    "frt_open_mean"@1 "First response in business hours", Seconds, People, Ratio(&[(1, Sum(Timing::FirstResponseOpen))], &[(1, Number(Timing::FirstResponseOpen))], MS),
        [Channel, Queue, Agent, Skill], "Only what of it lies in business hours.";
    "sla_met"@1 "SLA met", Share, People, Ratio(&[(1, Of(Count::SlaMet))], &[(1, Of(Count::SlaMet)), (1, Of(Count::SlaBreached))], 1.0), [Channel, Queue, Agent, Skill],
        "First responses within `first_response_s` of business hours. A session without any reply of an agent is in neither part.";
    "sla_breached"@1 "SLA breached", Count, People, Total(&[(1, Of(Count::SlaBreached))]), [Channel, Queue, Agent, Skill], "As its share.", if |session| session.sla_breached;
    "nrt_mean"@2 "Next response", Seconds, People, Ratio(&[(1, Sum(Timing::NextResponse))], &[(1, Number(Timing::NextResponse))], MS), [Channel, Queue, Agent, Skill],
        "From the first message that an agent has not replied to, to the reply; the first response is not among them, nor is what the bot answered while no agent had it.";
    "handled"@1 "Handled", Count, People, Total(&[(1, Number(Timing::Handled))]), [Channel, Queue, Agent, Skill],
        "Stints of agents: a conversation that was transferred is handled twice. Counted when the stint ended.", if |session| session.served_at.is_some();
    "aht"@1 "Handle time (AHT)", Seconds, People, Ratio(&[(1, Sum(Timing::Handled))], &[(1, Number(Timing::Handled))], MS), [Channel, Queue, Agent, Skill],
        "Talk, hold and wrap-up of a stint; what was snoozed is not part of it.";
    "aht_p90"@1 "Handle time, p90", Seconds, People, Quantile(Timing::Handled, 0.9), [Channel, Queue, Agent, Skill], "As the mean.";
    "talk_mean"@1 "Talk", Seconds, People, Ratio(&[(1, Sum(Timing::Talk))], &[(1, Number(Timing::Handled))], MS), [Channel, Queue, Agent, Skill], "Part of AHT.";
    "hold_mean"@1 "Hold", Seconds, People, Ratio(&[(1, Sum(Timing::Hold))], &[(1, Number(Timing::Handled))], MS), [Channel, Queue, Agent, Skill],
        "Part of AHT. Hold ends when the conversation is snoozed.";
    "acw_mean"@1 "Wrap-up (ACW)", Seconds, People, Ratio(&[(1, Sum(Timing::WrapUp))], &[(1, Number(Timing::Handled))], MS), [Channel, Queue, Agent, Skill], "Part of AHT.";
    "occupancy"@1 "Occupancy", Share, People, Ratio(&[(1, Of(Count::BusyMs))], &[(1, Of(Count::ReadyMs))], 1.0), [Agent],
        "Time with at least one conversation, of the time available or with one. Counted up to now for those who are at it.";
    "utilization"@1 "Utilization", Share, People, Ratio(&[(1, Of(Count::SlotMs))], &[(1, Of(Count::CapacityMs))], 1.0), [Agent],
        "Occupied slots of all slots, over the same time. Above 1 where a supervisor took more, or slots were taken away.";
    "concurrency"@1 "Concurrency", Mean, People, Ratio(&[(1, Of(Count::ConversationMs))], &[(1, Of(Count::BusyMs))], 1.0), [Agent],
        "Conversations at once, on average over the time with at least one.";
    "duty"@1 "On duty", Seconds, People, Scaled(Count::DutyMs, MS), [Agent], "Time in any status but offline, of all agents together.";
    "transfers"@1 "Transfers", Count, People, Total(&[(1, Of(Count::Transfers))]), [Channel, Queue, Agent, Skill], "Counted for whoever gave it away.", if |session| session.transfers > 0;
    "transfer_rate"@1 "Transferred", Share, People, Ratio(&[(1, Of(Count::Transfers))], &[(1, Number(Timing::Handled))], 1.0), [Channel, Queue, Agent, Skill], "Of the stints.";
    "consults"@1 "Consults", Count, People, Total(&[(1, Of(Count::Consults))]), [Channel, Queue, Agent, Skill], "";
    "fcr"@1 "First contact resolution", Share, People, Ratio(&[(1, Of(Count::ClosedServed)), (-1, Of(Count::FollowedUp))], &[(1, Of(Count::ClosedServed))], 1.0),
        [Channel, Queue, Agent, Intent], "Sessions with an agent after which the customer did not come back in the same thread within `fcr_within_h`. The last hours look better than \
        they will: a return changes the figure of the day on which the session ended.", if |session| session.served_at.is_some() && !session.followed_up;
    "csat"@1 "CSAT", Share, People, Ratio(&[(1, Of(Count::Ratings4)), (1, Of(Count::Ratings5))], RATINGS, 1.0), [Channel, Queue, Agent, Intent],
        "Ratings of 4 or 5 among all ratings, counted where the session ended, whenever the customer rated it.", if |session| session.rating.is_some();
    "rating_mean"@1 "Mean rating", Score, People, Ratio(&[(1, Of(Count::Ratings1)), (2, Of(Count::Ratings2)), (3, Of(Count::Ratings3)), (4, Of(Count::Ratings4)), (5, Of(Count::Ratings5))], RATINGS, 1.0),
        [Channel, Queue, Agent, Intent], "1 (bad) to 5 (good).", if |session| session.rating.is_some();
    "nps"@1 "NPS", Score, People, Ratio(&[(1, Of(Count::Ratings5)), (-1, Of(Count::Ratings1)), (-1, Of(Count::Ratings2)), (-1, Of(Count::Ratings3))], RATINGS, 100.0),
        [Channel, Queue, Agent, Intent], "From ratings of 1 to 5: 5 promotes, 4 is passive, 1 to 3 detract. Not comparable with a survey of 0 to 10.", if |session| session.rating.is_some();
    "rating_rate"@1 "Rated", Share, People, Ratio(RATINGS, &[(1, Of(Count::RatingsRequested))], 1.0), [Channel, Queue, Agent, Intent], "Of the sessions whose customer was asked.";
    "messages_from_customers"@1 "Customers' messages", Count, All, Total(&[(1, Of(Count::MessagesFromCustomers))]), [Channel, Queue, Agent],
        "Events of a channel, such as typing, are none.";
    "messages_from_bot"@1 "Bot's replies", Count, Bot, Total(&[(1, Of(Count::MessagesFromBot))]), [Channel], "Texts of the system, such as a greeting, are none.";
    "messages_from_agents"@1 "Agents' replies", Count, People, Total(&[(1, Of(Count::MessagesFromAgents))]), [Channel, Queue, Agent, Skill], "Notes are none.";
}
