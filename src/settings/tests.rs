use super::*;
use kefu_events::{
    Actor, ActorKind, CommandHeader, Timestamp,
    settings::{CollectWhen, TenantSettings},
};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;

/// One document with the tenant that it belongs to.
struct World {
    tenant: &'static str,
    name: &'static str,
    state: State,
    version: u64,
}

impl World {
    fn document(name: &'static str) -> Self {
        Self { tenant: "demo", name, state: State::default(), version: 0 }
    }

    fn asks(&mut self, body: Value) -> Result<(), Refusal> {
        let config = crate::aggregate::TenantConfig::default();
        let mut body = body;
        body["v"] = json!(1);
        let actor = Actor::new(ActorKind::Agent, "root");
        let header = CommandHeader {
            id: "x".to_owned(),
            aggregate: AggregateKind::Settings,
            key: self.name.to_owned(),
            expected_version: None,
            actor: actor.clone(),
            at: Timestamp::default(),
            correlation: None,
        };
        let context = Context {
            tenant: self.tenant,
            key: self.name,
            version: self.version,
            now: Timestamp::from_millis(1000),
            commit_id: "c",
            settings: &config,
            found: &[],
        };
        let command = serde_json::from_value(body).unwrap();
        let events = Settings::decide(&self.state, &Input::Command(header, command), &context)?;
        self.version += 1;
        let meta = CommitMeta {
            at: context.now,
            actor,
            version: self.version,
            key: self.name.to_owned(),
            commit_id: "c".to_owned(),
        };
        for event in &events {
            Settings::evolve(&mut self.state, &meta, event);
        }
        Ok(())
    }

    fn set(&mut self, value: Value) -> Result<(), Refusal> {
        self.asks(json!({"type": "set", "value": value}))
    }

    fn refusal(name: &'static str, value: Value) -> String {
        let refusal = Self::document(name).set(value).unwrap_err();
        format!("{}: {}", refusal.code, refusal.message)
    }
}

#[test]
fn set_merged_rolled_back() {
    let mut world = World::document("tenant");
    world.set(json!({"name": "Shop", "texts": {"welcome": "Hi"}})).unwrap();
    world
        .asks(json!({"type": "set", "merge": true, "value": {"texts": {"handoff": "Wait", "welcome": null}}}))
        .unwrap();
    assert_eq!(world.state.value(), Some(&json!({"name": "Shop", "texts": {"handoff": "Wait"}})));
    world.asks(json!({"type": "rollback", "to": 1, "comment": "wrong text"})).unwrap();
    assert_eq!(world.state.value(), Some(&json!({"name": "Shop", "texts": {"welcome": "Hi"}})));
    assert_eq!(world.state.document_version, 3, "history is not rewritten");
    let last = world.state.history.back().unwrap();
    assert_eq!((last.by.as_str(), last.comment.as_deref()), ("agent:root", Some("wrong text")));
    assert_eq!(world.asks(json!({"type": "rollback", "to": 9})).unwrap_err().code, "unknown_version");
    assert_eq!(world.asks(json!({"type": "rollback", "to": 3})).unwrap_err().code, "unchanged");
}

#[test]
fn refusals_name_the_path() {
    for (value, expected) in [
        (json!({"texts": {"welcom": "Hi"}}), "invalid: texts.welcom: unknown field `welcom`"),
        (json!({"bot": {"answer_deadline_s": 0}}), "invalid: bot.answer_deadline_s: is 0 where 1 to 600"),
        (json!({"bot": {"answer_deadline_s": "3"}}), "invalid: bot.answer_deadline_s: invalid type: string"),
        (json!({"bot": {"min_confidence": 1.5}}), "invalid: bot.min_confidence: is 1.5"),
        (json!({"queues": []}), "invalid: queues: has 0 entries"),
        (json!({"queues": ["a", "a"]}), "invalid: queues[1]: \"a\" is there twice"),
        (json!({"queues": ["vip", "a.b"]}), "invalid: queues[1]: \"a.b\" is not"),
        (json!({"texts": {"welcome": "好".repeat(4_001)}}), "invalid: texts.welcome: has 4001 characters"),
        (
            json!({"collect": [{"field": "a", "prompt": "?", "pattern": "[0-9"}]}),
            "invalid: collect[0].pattern: regex parse",
        ),
        (
            json!({"collect": [{"field": "a", "prompt": "?", "pattern": "\\w{1000}{1000}"}]}),
            "invalid: collect[0].pattern: ",
        ),
        (json!({"collect": [{"field": "a", "prompt": "?", "pattern": "a)|(b"}]}), "invalid: collect[0].pattern: "),
        (json!({"collect": [{"field": "a", "prompt": ""}]}), "invalid: collect[0].prompt: has 0"),
        (json!({"collect": [{"field": "a", "prompt": "?", "ask": 1}]}), "invalid: collect[0].ask: unknown field"),
        (json!({"bot": {"handoff_words": ["human", " "]}}), "invalid: bot.handoff_words[1]: is blank"),
        (json!({"time_zone": "Mars"}), "invalid: time_zone: \"Mars\" is no IANA time zone"),
        (json!({"hours": {"monday": ["9-17"]}}), "invalid: hours.monday[0]: \"9-17\" is no time from and to"),
        (json!({"hours": {"montag": []}}), "invalid: hours.montag: unknown field"),
        (json!({"out_of_hours": {"action": "close"}}), "invalid: out_of_hours.text: has 0"),
        (json!([]), "invalid: $: a document is a JSON object"),
        (json!({"name": "x".repeat(70_000)}), "invalid: $: a document has at most"),
    ] {
        let refusal = World::refusal("tenant", value.clone());
        assert!(refusal.starts_with(expected), "{refusal}\n{expected}");
        assert_eq!(World::refusal("channel-web", value), refusal, "a channel's document is held to the same rules");
    }
}

#[test]
fn hours_are_kept_as_long_as_the_minutes_that_are_read_with_them() {
    let refusal = World::refusal("reporting", json!({"keep_minutes_days": 30, "keep_hours_days": 29}));
    assert!(refusal.starts_with("invalid: keep_hours_days: is 29, fewer than keep_minutes_days"), "{refusal}");
    World::document("reporting").set(json!({"keep_minutes_days": 30, "keep_hours_days": 30})).unwrap();
}

#[test]
fn only_known_documents_of_well_named_tenants_exist() {
    for name in ["faq", "channel-", "channel-a.b", "channel-agent", "Tenant", ""] {
        assert!(World::refusal(name, json!({})).starts_with("unknown_document"), "{name}");
    }
    for tenant in ["_all", "", "a.b"] {
        let mut world = World::document("tenant");
        world.tenant = tenant;
        assert_eq!(world.set(json!({})).unwrap_err().code, "invalid_tenant");
    }
    World::document("channel-wx-work_1").set(json!({"wrap_up_s": 5})).unwrap();
}

#[test]
fn the_first_patch_of_a_document_leaves_no_nulls_behind() {
    let mut world = World::document("tenant");
    world.asks(json!({"type": "set", "merge": true, "value": {"name": null, "wrap_up_s": 5}})).unwrap();
    assert_eq!(world.state.value(), Some(&json!({"wrap_up_s": 5})));
}

#[test]
fn history_is_bounded_in_number_and_size() {
    let mut world = World::document("tenant");
    for n in 0..130 {
        world.set(json!({"name": format!("{n}")})).unwrap();
    }
    assert_eq!((world.state.history.len(), world.state.history[0].document_version), (MAX_HISTORY, 31));
    for n in 0..40 {
        let long = format!("{n}{}", "x".repeat(3_900));
        let texts: BTreeMap<_, _> =
            ["welcome", "handoff", "accepted", "abandoned", "inactivity_prompt", "inactivity_closed"]
                .map(|of| (of, &long))
                .into();
        let words: Vec<String> = (0..200).map(|word| format!("{word}{}", "y".repeat(90))).collect();
        world.set(json!({"texts": texts, "bot": {"handoff_words": words}})).unwrap();
    }
    let bytes: usize = world.state.history.iter().map(|version| version.value.to_string().len()).sum();
    assert!(bytes <= MAX_HISTORY_BYTES && world.state.history.len() >= 20, "{bytes} {}", world.state.history.len());
}

#[test]
fn channels_are_laid_over_the_tenant() {
    let tenant = json!({"texts": {"welcome": "Hi", "handoff": "Wait"}, "wrap_up_s": 5});
    let channels = BTreeMap::from([
        ("channel-web".to_owned(), json!({"texts": {"welcome": "Hello on the web"}, "wrap_up_s": null})),
        ("channel-old".to_owned(), json!({"no_longer_known": 1})),
        ("other".to_owned(), json!({})),
    ]);
    let config = effective(&tenant, &channels);
    let web = config.for_channel("web");
    assert_eq!((web.texts.welcome.as_str(), web.texts.handoff.as_str()), ("Hello on the web", "Wait"));
    assert_eq!(web.wrap_up_s, TenantSettings::default().wrap_up_s, "null goes back to the default");
    assert_eq!(config.for_channel("other").wrap_up_s, 5);
    assert_eq!(config.for_channel("old").wrap_up_s, 5, "what this code cannot read counts as not set");
    assert_eq!(config.channels.len(), 1);
    assert_eq!(*effective(&json!({"gone": 1}), &BTreeMap::new()).tenant, TenantSettings::default());
}

#[test]
fn the_demo_and_the_defaults_are_valid() {
    validate("tenant", &demo_settings()).unwrap();
    let settings: TenantSettings = serde_json::from_value(demo_settings()).unwrap();
    assert_eq!(settings.queues[0], "support");
    validate("tenant", &serde_json::to_value(TenantSettings::default()).unwrap()).unwrap();
    validate("tenant", &json!({})).unwrap();
    assert_eq!(CollectWhen::default(), CollectWhen::Handoff);
}

#[test]
fn routing_rules_are_a_document_like_any_other() {
    let rules = |queue: &str| json!({"rules": [{"name": "r", "when": "channel == 'web'", "then": {"queue": queue}}]});
    let mut world = World::document("routing");
    world.set(rules("sales")).unwrap();
    world.set(rules("support")).unwrap();
    world.asks(json!({"type": "rollback", "to": 1})).unwrap();
    assert_eq!(world.state.value(), Some(&rules("sales")));
    for (value, expected) in [
        (json!({"rule": []}), "invalid: rule: unknown field"),
        (json!({"rules": [{"name": "r", "then": {}}]}), "invalid: rules[0]: missing field `when`"),
        (
            json!({"rules": [{"name": "r", "when": "true", "then": {"required": {"a": -1}}}]}),
            "invalid: rules[0].then.required.a: ",
        ),
        (
            json!({"rules": [{"name": "r", "when": "tru", "then": {}}]}),
            "invalid: rules[0].when (rule \"r\"), line 1, column 1: ",
        ),
    ] {
        let refusal = World::refusal("routing", value);
        assert!(refusal.starts_with(expected), "{refusal}\n{expected}");
    }
    let config = effective(&json!({}), &BTreeMap::from([("routing".to_owned(), rules("sales"))]));
    assert_eq!(config.routing.rules[0].then.queue.as_deref(), Some("sales"));
    let broken =
        BTreeMap::from([("routing".to_owned(), json!({"rules": [{"name": "r", "when": "gone()", "then": {}}]}))]);
    assert!(effective(&json!({}), &broken).routing.rules.is_empty(), "what this code cannot read counts as not set");
}

#[test]
fn rfc_7396_examples() {
    for (target, patch, merged) in [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
        (json!({"a": "b"}), json!({"a": null}), json!({})),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
        (json!({"a": "foo"}), json!(null), json!(null)),
        (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
        (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
        (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
    ] {
        assert_eq!(merge_patch(target, &patch), merged);
    }
}

proptest! {
    /// Whatever a document says, it is refused, or every pattern in it compiles and its effective form is as it says.
    #[test]
    fn anything_is_valid_or_refused_and_never_panics(pattern in ".{0,20}", deadline in 0u32..1000, name in ".{0,30}") {
        let value = json!({"name": name, "bot": {"answer_deadline_s": deadline},
                           "collect": [{"field": "f", "prompt": "?", "pattern": pattern}]});
        if validate("tenant", &value).is_ok() {
            let settings = effective(&value, &BTreeMap::new()).tenant;
            prop_assert_eq!(settings.bot.answer_deadline_s, deadline);
            prop_assert!(compile_pattern(settings.collect[0].pattern.as_deref().unwrap()).is_ok());
        }
    }
}
