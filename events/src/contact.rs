//! The contact's commands and events: who this is, across channels.

use crate::{CommandRefused, QuarantineLifted, Quarantined, Timestamp, V, tagged::tagged};
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
    /// The name that a channel knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-personal" = true))]
    pub name: Option<String>,
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
#[serde(rename_all = "snake_case", remote = "Self")]
#[schemars(rename = "ContactCommand", tag = "type")]
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
        /// The contact, merged into this one, that passes this on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<String>,
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
        /// By which rule, if not by a person.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
    },
    /// From a contact that found this one by a rule: the newer of the two is to be merged into the older.
    ProposeMerge {
        /// Version of this command.
        v: V<1>,
        /// Key of the contact that proposes it.
        from: String,
        /// When that one was first seen.
        first_seen: Timestamp,
        /// The attribute that both have.
        attribute: String,
        /// Its value, as text.
        #[schemars(extend("x-personal" = true))]
        value: String,
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
        /// Names the merge.
        merge: String,
        /// Key of the contact that was merged.
        from: String,
        /// What it knew.
        details: ContactDetails,
        /// How often it has been asked for, so that an answer to an earlier request is not taken for one to a later.
        #[serde(default)]
        attempt: u32,
        /// It has been taken over before and has changed since.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        again: bool,
    },
    /// From a contact whose merge was undone: give its details back.
    Release {
        /// Version of this command.
        v: V<1>,
        /// Names the merge.
        merge: String,
        /// Key of the contact that is on its own again.
        from: String,
    },
    /// From the contact that stays: your details have arrived, or have been given back.
    ConfirmMerge {
        /// Version of this command.
        v: V<1>,
        /// Names the merge.
        merge: String,
        /// Key of the contact that stays.
        with: String,
        /// `true`: merged; `false`: undone.
        merged: bool,
    },
    /// From the contact that was to stay: your details have not been taken over.
    DeclineMerge {
        /// Version of this command.
        v: V<1>,
        /// Names the merge.
        merge: String,
        /// Key of the contact that declines.
        with: String,
        /// The request that is declined.
        attempt: u32,
        /// Why: `part_of` another contact, `not_found`, `too_many`.
        reason: String,
        /// Key of the contact that it is itself part of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part_of: Option<String>,
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

tagged!(ContactCommand);

/// What can have happened to a contact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", remote = "Self")]
#[schemars(rename = "ContactEvent", tag = "type")]
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
        /// The contact, merged into this one, that passed this on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<String>,
        /// The contact that this one is part of, to which this is passed on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        passed_to: Option<String>,
    },
    /// One more way in which the person is known.
    IdentityLinked {
        /// Version of this event.
        v: V<1>,
        /// As whom.
        identity: Identity,
        /// The contact, merged into this one, that is known so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<String>,
    },
    /// Attributes were set; `null` removed one.
    AttributesChanged {
        /// Version of this event.
        v: V<1>,
        /// Name and value of each that changed.
        #[schemars(extend("x-personal" = true))]
        attributes: Map<String, Value>,
        /// The contact, merged into this one, whose attributes they are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<String>,
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
    /// A rule found another contact that is the same person; that one is asked which of the two stays.
    MergeProposed {
        /// Version of this event.
        v: V<1>,
        /// Key of the other contact.
        to: String,
        /// When this one was first seen.
        first_seen: Timestamp,
        /// The attribute that both have.
        attribute: String,
        /// Its value, as text.
        #[schemars(extend("x-personal" = true))]
        value: String,
    },
    /// This contact is the older one of two that a rule found to be one person, and stays.
    MergeInvited {
        /// Version of this event.
        v: V<1>,
        /// Key of the contact that is asked to merge into this one.
        from: String,
        /// By which rule.
        rule: String,
    },
    /// This contact is part of that one now.
    Merged {
        /// Version of this event.
        v: V<1>,
        /// Names the merge.
        merge: String,
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
    /// The contact that was to stay is itself part of another: this one becomes part of that other.
    MergeRedirected {
        /// Version of this event.
        v: V<1>,
        /// Names the merge.
        merge: String,
        /// Key of the contact that stays.
        into: String,
        /// How often this merge has been redirected.
        hops: u32,
        /// How often it has been asked for.
        attempt: u32,
        /// What moves.
        details: ContactDetails,
        /// The other's confirmation is asked for again after this moment.
        deadline: Timestamp,
    },
    /// The merge did not come about: this contact is on its own.
    MergeFailed {
        /// Version of this event.
        v: V<1>,
        /// Names the merge.
        merge: String,
        /// Key of the contact that declined.
        with: String,
        /// Why: `not_found`, `too_many`, `kept_apart`, `too_far`, or `circular` where both would be part of each other.
        reason: String,
    },
    /// This contact is on its own again.
    MergeUndone {
        /// Version of this event.
        v: V<1>,
        /// Names the merge.
        merge: String,
        /// Key of the contact that it had been part of.
        from: String,
        /// The other's confirmation is asked for again after this moment.
        deadline: Timestamp,
    },
    /// Another contact's details arrived here, or newer ones.
    Absorbed {
        /// Version of this event.
        v: V<1>,
        /// Names the merge.
        merge: String,
        /// Key of the contact that was merged into this one.
        from: String,
        /// What it brought.
        details: ContactDetails,
        /// Newer ones than had arrived before.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        again: bool,
    },
    /// Another contact's details were not taken over.
    AbsorptionDeclined {
        /// Version of this event.
        v: V<1>,
        /// Names the merge.
        merge: String,
        /// Key of the contact that was to be merged into this one.
        from: String,
        /// The request that is declined.
        attempt: u32,
        /// Why: `part_of` another contact, `not_found`, `too_many`.
        reason: String,
        /// Key of the contact that this one is itself part of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part_of: Option<String>,
    },
    /// Another contact's details were given back.
    Released {
        /// Version of this event.
        v: V<1>,
        /// Names the merge.
        merge: String,
        /// Key of the contact that is on its own again.
        from: String,
    },
    /// What this contact brings to the one that it is part of has changed.
    DetailsPassedOn {
        /// Version of this event.
        v: V<1>,
        /// Names the merge.
        merge: String,
        /// Key of the contact that this one is part of.
        to: String,
        /// What it brings now.
        details: ContactDetails,
    },
    /// The other side of a merge, or of its undoing, has done its part.
    MergeConfirmed {
        /// Version of this event.
        v: V<1>,
        /// Names the merge.
        merge: String,
        /// The other contact.
        with: String,
        /// `true`: merged; `false`: undone.
        merged: bool,
    },
    /// The other side has not confirmed in time and is asked again.
    MergeRetried {
        /// Version of this event.
        v: V<1>,
        /// Names the merge.
        merge: String,
        /// The other contact.
        with: String,
        /// What moves, when merging; absent when undoing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<ContactDetails>,
        /// How often it has been asked again.
        attempt: u32,
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

tagged!(ContactEvent);
