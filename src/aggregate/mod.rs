//! What an aggregate is: a state machine that turns one input into one commit.
//!
//! Pure. An [`Aggregate`] never awaits, never reads a clock, never draws a random number and never iterates a `HashMap`
//! where the order can show: time, ids and look-ups are handed to it in its [`Context`]. It knows nothing of NATS, of
//! RocksDB, or of the actor that drives it.
//!
//! [`Tracked`] is the state plus what the runtime keeps beside it: version, the inputs seen last, quarantine.
//! [`Gathered`] are those of one kind as they were at an earlier commit of the log. [`kind`] hides the types, so that one
//! runtime can drive aggregates of every kind.

mod gathered;
pub mod kind;
mod tracked;

pub use gathered::Gathered;
pub use tracked::{Cause, RECENT_CAUSES, Tracked};

use kefu_events::{
    AggregateKind, CommandHeader, CommandRefused, Commit, Concerns, Inbound, Json, Outbound, Quarantined, Refusal,
    Timestamp, routing::RoutingSettings, settings::TenantSettings,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

/// One input, decoded.
#[derive(Debug, Clone, PartialEq)]
pub enum Input<C> {
    /// A customer's message. Only conversations get these.
    Message(Inbound),
    /// A command.
    Command(CommandHeader, C),
}

/// What `decide` may know beside the state.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Whose aggregate this is.
    pub tenant: &'a str,
    /// Its key.
    pub key: &'a str,
    /// Its version now: the number of commits so far.
    pub version: u64,
    /// The time of the decision. Never before that of the aggregate's last commit.
    pub now: Timestamp,
    /// Id of the commit to come: unique for ever, so `<commit id>-<n>` names things that this decision makes.
    pub commit_id: &'a str,
    /// The tenant's configuration.
    pub settings: &'a TenantConfig,
    /// Keys of aggregates that match what [`Aggregate::look_ups`] asked, in the same order.
    pub found: &'a [Vec<String>],
}

/// A tenant's effective configuration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TenantConfig {
    /// Where no channel is meant.
    pub tenant: Arc<TenantSettings>,
    /// Channels with a document of their own, already laid over the tenant's.
    pub channels: BTreeMap<String, Arc<TenantSettings>>,
    /// Where conversations go that name no queue.
    pub routing: Arc<RoutingSettings>,
}

impl TenantConfig {
    /// The configuration for one channel.
    pub fn for_channel(&self, channel: &str) -> &TenantSettings {
        self.channels.get(channel).unwrap_or(&self.tenant)
    }
}

/// A question to the read models that a decision needs answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookUp {
    /// Contacts of this tenant, not merged into another, whose attribute has this value.
    ContactsByAttribute {
        /// Name of the attribute.
        name: String,
        /// Its value, as text.
        value: String,
    },
    /// Users of this tenant who can set everything up now: the first few.
    Administrators,
}

/// What follows from a commit. A pure function of the commit, computed again whenever needed.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "most effects are replies, and none lives for long")]
pub enum Effect {
    /// A reply to the customer.
    Reply(Outbound),
    /// A command to another aggregate (or to this one), from `system`. Its id is made of the commit's.
    Command {
        /// Kind of the receiver.
        aggregate: AggregateKind,
        /// Its key.
        key: String,
        /// `type`, `v` and fields.
        body: Json,
    },
}

/// A moment at which an aggregate wants to be told that time has passed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline {
    /// Which one: unique within the aggregate, a constant of its module.
    pub timer: &'static str,
    /// When.
    pub due: Timestamp,
}

/// A state machine. See the module's text for what it may not do.
pub trait Aggregate: Send + Sync + 'static {
    /// Its kind, as it stands in subjects.
    const KIND: AggregateKind;
    /// Counted up whenever [`State`](Self::State) or [`evolve`](Self::evolve) changes meaning: snapshots of another
    /// version are rebuilt from the log.
    const STATE_VERSION: u32;
    /// Whether customers' messages go here.
    const TAKES_MESSAGES: bool = false;

    /// What it remembers. The default is the state before the first commit.
    type State: Default + Clone + PartialEq + Debug + Serialize + DeserializeOwned + Send + Sync;
    /// What can have happened to it.
    type Event: Clone + PartialEq + Debug + Serialize + DeserializeOwned + Send + Sync;
    /// What can be asked of it.
    type Command: PartialEq + Debug + Serialize + DeserializeOwned + Send;

    /// What follows from `input`: at least one event, or a refusal (which becomes an event too). An empty list is
    /// a defect and quarantines.
    fn decide(
        state: &Self::State,
        input: &Input<Self::Command>,
        context: &Context,
    ) -> Result<Vec<Self::Event>, Refusal>;

    /// The state after `event`. Never fails: what is in the log has happened.
    fn evolve(state: &mut Self::State, commit: &CommitMeta, event: &Self::Event);

    /// What follows from a commit; the runtime itself adds the command's result.
    fn effects(commit: &Commit<Self::Event>) -> Vec<Effect>;

    /// What it is waiting for.
    fn deadlines(state: &Self::State) -> Vec<Deadline>;

    /// The command that tells it of a passed deadline; `None` where there are no deadlines.
    fn timer_fired(_timer: &str, _due: Timestamp) -> Option<Self::Command> {
        None
    }

    /// Whether the one with this key may come into being for a tenant that does not exist (the tenant's own settings).
    fn founds_tenants(_key: &str) -> bool {
        false
    }

    /// Whether this command lifts a quarantine.
    fn lifts_quarantine(command: &Self::Command) -> bool;

    /// What must be looked up before `input` can be decided.
    fn look_ups(_state: &Self::State, _input: &Input<Self::Command>, _settings: &TenantConfig) -> Vec<LookUp> {
        Vec::new()
    }

    /// Key of the person whom a commit with these events is about.
    fn contact(_state: &Self::State, _key: &str, _input: Option<&Input<Self::Command>>) -> Option<String> {
        None
    }

    /// Whom a commit with these events concerns, decided on this state.
    fn concerns(_before: &Self::State, _events: &[Self::Event]) -> Concerns {
        Concerns::default()
    }

    /// The event for a refusal.
    fn refused(refused: CommandRefused) -> Self::Event;

    /// All events of a refused command: where the command brought something that must be given back, more than one.
    fn refuse(_state: &Self::State, _input: &Input<Self::Command>, refused: CommandRefused) -> Vec<Self::Event> {
        vec![Self::refused(refused)]
    }

    /// The refusal that this event is, if it is one.
    fn as_refused(event: &Self::Event) -> Option<&CommandRefused>;

    /// The event for a quarantine.
    fn quarantined(quarantined: Quarantined) -> Self::Event;

    /// All events of a quarantine: where others wait for this aggregate, what they hold is released with it.
    fn set_aside(_state: &Self::State, quarantined: Quarantined) -> Vec<Self::Event> {
        vec![Self::quarantined(quarantined)]
    }

    /// The event for the end of a quarantine.
    fn quarantine_lifted() -> Self::Event;

    /// What this event does to a quarantine: `Some(true)` begins it, `Some(false)` ends it.
    fn quarantine(event: &Self::Event) -> Option<bool>;
}

/// The parts of a commit that `evolve` may use beside the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitMeta {
    /// When it was decided.
    pub at: Timestamp,
    /// Who caused it.
    pub actor: kefu_events::Actor,
    /// Its version.
    pub version: u64,
    /// Key of the aggregate.
    pub key: String,
    /// Id of the commit.
    pub commit_id: String,
}

/// Implements the six common methods of [`Aggregate`] for an event type that has the three common variants.
#[macro_export]
macro_rules! common_events {
    ($event:ident, $command:ident) => {
        fn lifts_quarantine(command: &Self::Command) -> bool {
            matches!(command, $command::LiftQuarantine { .. })
        }

        fn refused(refused: ::kefu_events::CommandRefused) -> Self::Event {
            $event::CommandRefused(refused)
        }

        fn as_refused(event: &Self::Event) -> Option<&::kefu_events::CommandRefused> {
            match event {
                $event::CommandRefused(refused) => Some(refused),
                _ => None,
            }
        }

        fn quarantined(quarantined: ::kefu_events::Quarantined) -> Self::Event {
            $event::Quarantined(quarantined)
        }

        fn quarantine_lifted() -> Self::Event {
            $event::QuarantineLifted(::kefu_events::QuarantineLifted { v: ::kefu_events::V })
        }

        fn quarantine(event: &Self::Event) -> Option<bool> {
            match event {
                $event::Quarantined(_) => Some(true),
                $event::QuarantineLifted(_) => Some(false),
                _ => None,
            }
        }
    };
}
