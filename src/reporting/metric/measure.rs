//! Measures: what is counted and timed. Metrics are computed from them, and every one can be added up over any parts.
//!
//! A measure's number stands in stored cells: never change one, and never use one again.

use serde::{Deserialize, Serialize};

macro_rules! measures {
    ($name:ident, $what:literal: $($number:literal $measure:ident $text:literal $help:literal),+ $(,)?) => {
        #[doc = $what]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "u16", try_from = "u16")]
        #[repr(u16)]
        pub enum $name {
            $(#[doc = $help] $measure = $number),+
        }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$measure),+];

            /// Its name, for people and programs.
            pub fn name(self) -> &'static str {
                match self { $(Self::$measure => $text),+ }
            }

            /// What it counts or times, and when.
            pub fn help(self) -> &'static str {
                match self { $(Self::$measure => $help),+ }
            }
        }

        impl From<$name> for u16 {
            fn from(measure: $name) -> Self {
                measure as u16
            }
        }

        impl TryFrom<u16> for $name {
            type Error = String;

            fn try_from(number: u16) -> Result<Self, String> {
                match number {
                    $($number => Ok(Self::$measure),)+
                    other => Err(format!("there is no measure {other}")),
                }
            }
        }
    };
}

measures! { Count, "Something that is counted, or a time that is added up.":
    1 SessionsOpened "sessions_opened" "Sessions that began (`session_opened`), when they began.",
    2 SessionsReopened "sessions_reopened" "Those of them that began within `reopen_within_h` of the thread's session before.",
    3 SessionsClosed "sessions_closed" "Sessions that ended (`session_closed`), when they ended.",
    4 ClosedWithBot "closed_with_bot" "Those of them in which the bot was asked something.",
    5 ClosedIntercepted "closed_intercepted" "Those of them that the bot answered, in which nobody asked for a person and no agent took part.",
    6 ClosedContained "closed_contained" "Those in which the bot was asked, nobody asked for a person and no agent took part, answered or not.",
    7 ClosedHandedOff "closed_handed_off" "Those in which a person was asked for (`handoff_requested`).",
    8 ClosedServed "closed_served" "Those in which an agent took part.",
    9 FollowedUp "followed_up" "Sessions with an agent after which the customer came back within `fcr_within_h`: counted where the earlier one ended.",
    20 QuestionsAsked "questions_asked" "Questions put to the knowledge base (`answer_requested`).",
    21 AnswersGiven "answers_given" "Those that were answered (`answer_given`).",
    22 ChoicesOffered "choices_offered" "Those after which the customer was asked which question was meant (`choices_offered`).",
    23 AnswersTimedOut "answers_timed_out" "Those without an answer in time (`answer_declined`).",
    24 AnswersNotConfident "answers_not_confident" "Those whose best answer was not sure enough.",
    25 AnswersOutOfScope "answers_out_of_scope" "Those that are not what the knowledge base is for.",
    26 AnswersFailed "answers_failed" "Those at which the answerer failed.",
    27 ConfidenceMillionths "confidence_millionths" "The probabilities of the answers that were given, added up, in millionths.",
    28 AnswersHelpful "answers_helpful" "Answers that the customer called helpful (`answer_rated`), when they were given.",
    29 AnswersUnhelpful "answers_unhelpful" "Answers that the customer called unhelpful, when they were given.",
    30 SuggestionsAdopted "suggestions_adopted" "Entries that an agent sent as they are (`feedback_given`).",
    31 SuggestionsEdited "suggestions_edited" "Entries that an agent changed before sending them.",
    32 SuggestionsRejected "suggestions_rejected" "Entries that an agent called unfitting.",
    33 Handoffs "handoffs" "Times a person was asked for (`handoff_requested`).",
    40 WaitsBegun "waits_begun" "Waits in a queue that began (`queued`, or the queue opened for a callback).",
    41 AnsweredInTime "answered_in_time" "Waits that ended with an agent within the queue's target.",
    42 AbandonedSoon "abandoned_soon" "Waits that the customer gave up within `short_abandon_s`.",
    43 WaitsElsewhere "waits_elsewhere" "Waits that ended otherwise: closed by staff, back to the bot, or before the queue opened.",
    44 OffersMade "offers_made" "Offers to agents (`offer_made`).",
    45 OffersAccepted "offers_accepted" "Offers that were accepted.",
    46 OffersRejected "offers_rejected" "Offers that the agent rejected.",
    47 OffersTimedOut "offers_timed_out" "Offers that the agent did not answer in time.",
    48 OffersRescinded "offers_rescinded" "Offers that were withdrawn.",
    60 SlaMet "sla_met" "First responses within `first_response_s`.",
    61 SlaBreached "sla_breached" "First responses later than that.",
    62 MessagesFromCustomers "messages_from_customers" "Messages of customers.",
    63 MessagesFromBot "messages_from_bot" "Replies of the bot.",
    64 MessagesFromAgents "messages_from_agents" "Replies of agents.",
    80 Transfers "transfers" "Conversations that an agent gave to somebody else (`transferred`).",
    81 Consults "consults" "Times a colleague was asked (`consult_started`).",
    82 Takeovers "takeovers" "Conversations that a supervisor took (`taken_over`).",
    83 ReturnedToBot "returned_to_bot" "Conversations that went back to the bot.",
    90 DutyMs "duty_ms" "Milliseconds that agents were not offline.",
    91 ReadyMs "ready_ms" "Milliseconds in which agents were available, or had at least one conversation.",
    92 BusyMs "busy_ms" "Milliseconds in which agents had at least one conversation, wrap-up among it.",
    93 SlotMs "slot_ms" "Occupied slots × milliseconds.",
    94 CapacityMs "capacity_ms" "Slots × milliseconds in which the agent was ready.",
    95 ConversationMs "conversation_ms" "Conversations × milliseconds.",
    100 RatingsRequested "ratings_requested" "Sessions whose customer was asked for a rating, where they ended.",
    101 Ratings1 "ratings_1" "Ratings of 1, where the session ended.",
    102 Ratings2 "ratings_2" "Ratings of 2.",
    103 Ratings3 "ratings_3" "Ratings of 3.",
    104 Ratings4 "ratings_4" "Ratings of 4.",
    105 Ratings5 "ratings_5" "Ratings of 5.",
}

measures! { Timing, "A duration that is counted, added up in milliseconds, and whose quantiles are kept.":
    10 Resolution "resolution" "From a session's beginning to its end, when it ended.",
    11 AnswerTime "answer_time" "From a question to the bot's answer.",
    12 BotResponse "bot_response" "From a session's first message to the bot's first reply.",
    50 WaitAnswered "wait_answered" "Waits in a queue that ended with an agent.",
    51 WaitAnsweredOpen "wait_answered_open" "The same, within business hours only.",
    52 WaitAbandoned "wait_abandoned" "Waits that the customer gave up, or that were given up because nobody had time.",
    53 OfferAnswer "offer_answer" "From an offer to its acceptance or rejection.",
    65 FirstResponse "first_response" "From the first request for a person to the first reply of an agent.",
    66 FirstResponseOpen "first_response_open" "The same, within business hours only.",
    67 NextResponse "next_response" "From a customer's first unanswered message to the agent's reply, but for the first reply and for what the bot answered.",
    84 Handled "handled" "Stints of agents: from taking a conversation to giving it away or ending it, but for snoozed time.",
    85 Talk "talk" "The part of a stint that is neither hold nor wrap-up.",
    86 Hold "hold" "The part of a stint in which the customer was on hold.",
    87 WrapUp "wrap_up" "The part of a stint that was wrap-up.",
}
