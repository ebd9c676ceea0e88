//! The contact's commands and events: who this is, across channels.

use crate::{CommandRefused, QuarantineLifted, Quarantined, Timestamp, V};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One way in which a person is known: an id on a channel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Identity {
    /// The channel's name.
    pub channel: String,
    /// The channel's id of the person.
    #[schemars(extend("x-personal" = true))]
    pub id: String,
}

/// Everything that a merge moves, so that undoing it can take exactly this back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContactDetails {
    /// Ways in which the person is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<Identity>,
    /// Attributes.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(extend("x-personal" = true))]
    pub attributes: Map<String, Value>,
    /// Tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// What may be asked of a contact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ContactCommand {
    /// From a conversation: this person wrote.
    See {
        /// Version of this command.
        v: V<1>,
        /// As whom.
        identity: Identity,
        /// The name that the channel knows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(extend("x-personal" = true))]
        name: Option<String>,
        /// What else the channel knows; attributes of the same names are replaced.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        #[schemars(extend("x-personal" = true))]
        attributes: Map<String, Value>,
        /// The conversation's key.
        conversation: String,
    },
    /// Set attributes; `null` removes one.
    SetAttributes {
        /// Version of this command.
        v: V<1>,
        /// Name and value of each.
        #[schemars(extend("x-personal" = true))]
        attributes: Map<String, Value>,
    },
    /// Add tags.
    Tag {
        /// Version of this command.
        v: V<1>,
        /// The tags.
        tags: Vec<String>,
    },
    /// Remove tags.
    Untag {
        /// Version of this command.
        v: V<1>,
        /// The tags.
        tags: Vec<String>,
    },
    /// This contact and that one are one person: this one's details move to that one.
    Merge {
        /// Version of this command.
        v: V<1>,
        /// Key of the contact that stays.
        into: String,
    },
    /// They are not, after all.
    Unmerge {
        /// Version of this command.
        v: V<1>,
    },
    /// From a contact that was merged into this one: take these details over.
    Absorb {
        /// Version of this command.
        v: V<1>,
        /// Key of the contact that was merged.
        from: String,
        /// What it knew.
        details: ContactDetails,
    },
    /// From a contact whose merge was undone: give its details back.
    Release {
        /// Version of this command.
        v: V<1>,
        /// Key of the contact that is on its own again.
        from: String,
    },
    /// From the contact that stays: your details have arrived, or have been given back.
    ConfirmMerge {
        /// Version of this command.
        v: V<1>,
        /// The other contact.
        with: String,
        /// `true`: merged; `false`: undone.
        merged: bool,
    },
    /// A deadline of this contact has passed.
    TimerFired {
        /// Version of this command.
        v: V<1>,
        /// Which deadline.
        timer: String,
        /// When it was due.
        due: Timestamp,
    },
    /// Decide inputs again after a quarantine.
    LiftQuarantine {
        /// Version of this command.
        v: V<1>,
    },
}

/// What can have happened to a contact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ContactEvent {
    /// The person wrote, in this conversation.
    ContactSeen {
        /// Version of this event.
        v: V<1>,
        /// As whom.
        identity: Identity,
        /// The name that the channel knows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(extend("x-personal" = true))]
        name: Option<String>,
        /// The conversation's key.
        conversation: String,
    },
    /// One more way in which the person is known.
    IdentityLinked {
        /// Version of this event.
        v: V<1>,
        /// As whom.
        identity: Identity,
    },
    /// Attributes were set; `null` removed one.
    AttributesChanged {
        /// Version of this event.
        v: V<1>,
        /// Name and value of each that changed.
        #[schemars(extend("x-personal" = true))]
        attributes: Map<String, Value>,
    },
    /// Tags were added.
    Tagged {
        /// Version of this event.
        v: V<1>,
        /// Those that were not there yet.
        tags: Vec<String>,
    },
    /// Tags were removed.
    Untagged {
        /// Version of this event.
        v: V<1>,
        /// Those that had been there.
        tags: Vec<String>,
    },
    /// This contact is part of that one now.
    Merged {
        /// Version of this event.
        v: V<1>,
        /// Key of the contact that stays.
        into: String,
        /// What moves.
        details: ContactDetails,
        /// By which rule, if not by a person.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
        /// The other's confirmation is asked for again after this moment.
        deadline: Timestamp,
    },
    /// This contact is on its own again.
    MergeUndone {
        /// Version of this event.
        v: V<1>,
        /// Key of the contact that it had been part of.
        from: String,
        /// The other's confirmation is asked for again after this moment.
        deadline: Timestamp,
    },
    /// Another contact's details arrived here.
    Absorbed {
        /// Version of this event.
        v: V<1>,
        /// Key of the contact that was merged into this one.
        from: String,
        /// What it brought.
        details: ContactDetails,
    },
    /// Another contact's details were given back.
    Released {
        /// Version of this event.
        v: V<1>,
        /// Key of the contact that is on its own again.
        from: String,
    },
    /// The other side of a merge, or of its undoing, has done its part.
    MergeConfirmed {
        /// Version of this event.
        v: V<1>,
        /// The other contact.
        with: String,
        /// `true`: merged; `false`: undone.
        merged: bool,
    },
    /// The other side has not confirmed in time and is asked again.
    MergeRetried {
        /// Version of this event.
        v: V<1>,
        /// The other contact.
        with: String,
        /// `true`: merging; `false`: undoing.
        merged: bool,
        /// What moves, when merging.
        details: ContactDetails,
        /// It is asked again after this moment.
        deadline: Timestamp,
    },
    /// A command was not carried out.
    CommandRefused(CommandRefused),
    /// Deciding an input failed.
    Quarantined(Quarantined),
    /// Inputs are decided again.
    QuarantineLifted(QuarantineLifted),
}
