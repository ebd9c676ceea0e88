//! Rules by hand: what each variable says, who decides, what is refused and where; and that nothing makes them panic.

use super::{
    bounds::{MAX_STEPS, TAGS},
    hours::{Hours, LocalTime, on_shift},
    *,
};
use kefu_events::{
    Timestamp,
    settings::{BusinessHours, TenantSettings},
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn rules(rules: Value) -> RoutingSettings {
    serde_json::from_value(json!({ "rules": rules })).unwrap()
}

fn at(time: &str) -> LocalTime {
    let hours = json!({"monday": ["09:00-12:00", "13:00-24:00"], "holidays": ["2026-11-30"]});
    let settings = json!({"time_zone": "Europe/Berlin", "hours": hours});
    let settings: TenantSettings = serde_json::from_value(settings).unwrap();
    LocalTime::of(&settings, time.parse::<Timestamp>().unwrap())
}

/// A VIP on a Monday at 9:30 in Berlin.
fn facts<'a>(tags: &'a [String], metadata: &'a Map<String, Value>) -> Facts<'a> {
    Facts {
        channel: "web",
        language: "de",
        text: "Where is my REFUND?\n退款在哪里",
        tags,
        collected: BTreeMap::from([("order_number", "1234")]),
        sender_id: "alice",
        sender_name: "Alice",
        metadata,
        session: 3,
        returning: true,
        wants_person: false,
        now: at("2026-11-23T08:30:00Z"),
    }
}

fn routed(of: &RoutingSettings) -> Routed {
    let metadata = json!({"plan": "gold", "amount": 120, "score": 0.5, "beta": true});
    route(of, &facts(&["vip".to_owned(), "late".to_owned()], metadata.as_object().unwrap()))
}

/// Whether a condition holds; an error's text where it cannot be read.
fn holds(when: &str) -> Result<bool, String> {
    let routed = routed(&rules(json!([{"name": "r", "when": when, "then": {}}])));
    match routed.errors.first() {
        Some(error) => Err(error.error.clone()),
        None => Ok(!routed.rules.is_empty()),
    }
}

fn refusal(when: &str) -> String {
    let document = rules(json!([{"name": "ok", "when": "true", "then": {}}, {"name": "r", "when": when, "then": {}}]));
    check(&document).unwrap_err().to_string()
}

#[test]
fn every_variable_says_what_it_should() {
    for when in [
        "channel == 'web' && channel in ['web', 'app']",
        "language.startsWith('de')",
        "text.contains('退款') && text.lowerAscii().contains('refund')",
        "text.matches('(?i)\\\\brefund\\\\b')",
        "'vip' in tags && size(tags) == 2 && tags.exists(t, t.startsWith('la'))",
        "tags.exists_one(t, t == 'vip') && tags.filter(t, t != 'vip') == ['late'] && !tags.all(t, t == 'vip')",
        "collected.order_number == '1234' && int(collected['order_number']) > 1000 && !has(collected.email)",
        "sender.id == 'alice' && sender.name == 'Alice'",
        "metadata.plan == 'gold' && metadata.amount >= 100 && metadata.score < 1.0 && metadata.beta",
        "session == 3 && returning && !wants_person",
        "hour == 9 && weekday == 1 && date == '2026-11-23' && open",
        "returning ? true : false",
    ] {
        assert_eq!(holds(when), Ok(true), "{when}");
        check(&rules(json!([{"name": "r", "when": when, "then": {}}]))).unwrap();
    }
    let unset: Vec<&str> =
        VARIABLES.into_iter().filter(|name| holds(&format!("{name} == null")) != Ok(false)).collect();
    assert_eq!(unset, [""; 0], "every variable has a value");
}

#[test]
fn the_first_rule_that_holds_decides() {
    let routed = routed(&rules(json!([
        {"name": "a", "when": "channel == 'app'", "then": {"queue": "app"}},
        {"name": "b", "when": "'vip' in tags", "then": {"queue": "vip", "priority": 5, "required": {"german": 2}}},
        {"name": "c", "when": "true", "then": {"queue": "rest", "required": {"german": 5}}},
    ])));
    assert_eq!((routed.rules, routed.queue.as_deref(), routed.priority), (vec!["b".to_owned()], Some("vip"), Some(5)));
    assert_eq!(routed.required, BTreeMap::from([("german".to_owned(), 2)]));
}

#[test]
fn a_rule_that_goes_on_is_added_to() {
    let routed = routed(&rules(json!([
        {"name": "language", "when": "language == 'de'", "then": {"required": {"german": 3}, "tags": ["de"]}, "go_on": true},
        {"name": "vip", "when": "'vip' in tags", "then": {"queue": "vip", "wished": ["calm"], "collect": ["a"]}, "go_on": true},
        {"name": "rest", "when": "true",
         "then": {"queue": "rest", "priority": 1, "required": {"german": 2, "refunds": 1}, "collect": ["a", "b"]}},
        {"name": "never", "when": "true", "then": {"priority": 9}},
    ])));
    assert_eq!(routed.rules, ["language", "vip", "rest"]);
    assert_eq!((routed.queue.as_deref(), routed.priority), (Some("vip"), Some(1)), "what was said first stands");
    assert_eq!(routed.required, BTreeMap::from([("german".to_owned(), 3), ("refunds".to_owned(), 1)]));
    assert_eq!((routed.collect, routed.wished.len(), routed.tags.len()), (vec!["a".to_owned(), "b".to_owned()], 1, 1));
}

#[test]
fn a_rule_that_cannot_be_read_does_not_hold_and_says_why() {
    let routed = routed(&rules(json!([
        {"name": "missing", "when": "collected.email == 'x'", "then": {"queue": "a"}},
        {"name": "no number", "when": "int(sender.name) > 3", "then": {"queue": "a"}},
        {"name": "broken", "when": "channel ==", "then": {"queue": "a"}},
        {"name": "rest", "when": "true", "then": {"queue": "rest"}},
    ])));
    assert_eq!(routed.queue.as_deref(), Some("rest"));
    let errors: Vec<String> = routed.errors.iter().map(|error| format!("{}: {}", error.rule, error.error)).collect();
    assert_eq!(
        errors,
        ["missing: there is no \"email\" here", "no number: int cannot be computed", "broken: it ends too early"]
    );
}

#[test]
fn no_rule_holds_or_there_is_none() {
    assert_eq!(routed(&RoutingSettings::default()), Routed::default());
    assert_eq!(routed(&rules(json!([{"name": "a", "when": "false", "then": {"queue": "a"}}]))), Routed::default());
}

#[test]
fn refusals_name_the_rule_and_the_place() {
    for (when, expected) in [
        (
            "chanel == 'web'",
            "rules[1].when (rule \"r\"), line 1, column 1: \"chanel\" is not known; there are: channel",
        ),
        ("channel == 'w' &&\n  txt == ''", "rules[1].when (rule \"r\"), line 2, column 3: \"txt\" is not known"),
        ("channel == '客' && x", "rules[1].when (rule \"r\"), line 1, column 19: \"x\" is not known"),
        ("channel ==", "rules[1].when (rule \"r\"), line 1, column 11: it ends too early"),
        ("channel = 'web'", "rules[1].when (rule \"r\"), line 1, column 9: token recognition error"),
        ("text.matches('(')", "rules[1].when (rule \"r\"), line 1, column 14: regex parse error"),
        ("text.matches(channel)", "rules[1].when (rule \"r\"), line 1, column 14: a pattern is written out"),
        ("text.reverse() == ''", "rules[1].when (rule \"r\"), line 1, column 13: there is no \"reverse\""),
        ("duration('1s') == 1", "rules[1].when (rule \"r\"), line 1, column 9: there is no \"duration\""),
        ("text.contains()", "rules[1].when (rule \"r\"), line 1, column 14: contains takes 1 arguments, not 0"),
        ("channel.name == ''", "rules[1].when (rule \"r\"), line 1, column 8: channel has no fields"),
        ("sender.age == 3", "rules[1].when (rule \"r\"), line 1, column 7: sender has no \"age\""),
        ("text + text == ''", "rules[1].when (rule \"r\"), line 1, column 6: nothing can be added up or joined"),
        ("tags.map(t, t) == tags", "rules[1].when (rule \"r\"), line 1, column 9: there is no map"),
        ("collected.exists(k, k == '')", "rules[1].when (rule \"r\"), line 1, column 1: a loop goes over tags"),
        ("{'a': 1}.a == 1", "rules[1].when (rule \"r\"), line 1, column 1: only texts, numbers and lists"),
        ("hour", "rules[1].when (rule \"r\"), line 1, column 1: is a number, not true or false"),
        ("text > 5", "rules[1].when (rule \"r\"), line 1, column 1: "),
        (" ", "rules[1].when (rule \"r\"), line 1, column 1: is empty"),
    ] {
        let refusal = refusal(when);
        assert!(refusal.starts_with(expected), "{refusal}\n{expected}");
    }
}

#[test]
fn what_would_take_too_long_or_too_much_is_refused_before_it_is_read() {
    let loops = "tags.exists(a, tags.exists(b, tags.exists(c, a == b)))";
    assert!(refusal(loops).contains(&format!("steps where {MAX_STEPS} are allowed")), "{}", refusal(loops));
    assert!(refusal(&format!("text.contains('{}')", "x".repeat(1_000))).contains("characters where 1000"));
    assert!(refusal(&"(".repeat(100)).contains("brackets where 40"));
    let deep = format!("{}true{}", "!(".repeat(30), ")".repeat(30));
    assert!(refusal(&deep).contains("deep"), "{}", refusal(&deep));
    assert!(refusal(r"text.matches('\\w{1000}{1000}')").contains("size limit"));
    let large = refusal(r"tags.exists(t, t.matches('(?:\\w?){8}x'))");
    assert!(large.contains("steps where"), "a large pattern takes more steps: {large}");
    let costly = json!({"when": "tags.exists(t, t.matches('a|b'))", "then": {}});
    let many = (0..30).map(|n| {
        let mut rule = costly.clone();
        rule["name"] = format!("{n}").into();
        rule
    });
    let refused = check(&rules(many.collect())).unwrap_err().to_string();
    assert!(refused.contains("all rules to here take up to"), "{refused}");
    assert_eq!(TAGS, crate::conversation::state::MAX_TAGS as u64);
}

/// Expressions of every shape that goes deep, as deep as they may, on half of a thread's usual stack.
#[test]
fn the_deepest_expressions_do_not_exhaust_the_stack() {
    let deepest = || {
        let wrapped = |start: &str, inside: &str, end: &str| format!("{}{inside}{}", start.repeat(40), end.repeat(40));
        let chains = [
            format!("text{}", ".a".repeat(200)),
            format!("1{}", "-1".repeat(200)),
            format!("1{}", "-1 in 1".repeat(100)),
            format!("true{}", "||true".repeat(150)),
            format!("{}true", "!".repeat(200)),
            format!("{}1", "-".repeat(200)),
        ];
        let brackets =
            [("(", ")"), ("[", "]"), ("{1:", "}"), ("size(", ")"), ("open?1:", ""), ("(", ""), ("[", ""), ("", "[0]")];
        for chain in &chains {
            let _ = expression::compile(chain);
            for (start, end) in brackets {
                let _ = expression::compile(&wrapped(start, chain, end));
            }
        }
    };
    std::thread::Builder::new().stack_size(1024 * 1024).spawn(deepest).unwrap().join().unwrap();
}

#[test]
fn targets_are_held_to_their_ranges() {
    for (then, expected) in [
        (json!({"queue": "a b"}), "rules[0].then.queue (rule \"r\"): \"a b\" is not"),
        (json!({"priority": 11}), "rules[0].then.priority (rule \"r\"): is 11 where 0 to 10"),
        (json!({"required": {"german": 6}}), "rules[0].then.required.german (rule \"r\"): is 6 where 0 to 5"),
        (json!({"wished": [" "]}), "rules[0].then.wished (rule \"r\"): a skill has"),
        (json!({"tags": [""]}), "rules[0].then.tags (rule \"r\"): a tag has"),
        (json!({"collect": ["a.b"]}), "rules[0].then.collect (rule \"r\"): \"a.b\" is not"),
    ] {
        let refused = check(&rules(json!([{"name": "r", "when": "true", "then": then}]))).unwrap_err().to_string();
        assert!(refused.starts_with(expected), "{refused}");
    }
    let twice = rules(json!([{"name": "r", "when": "true", "then": {}}, {"name": "r", "when": "true", "then": {}}]));
    assert_eq!(check(&twice).unwrap_err().to_string(), "rules[1].name (rule \"r\"): another rule has this name");
}

#[test]
fn hours_are_those_where_the_tenant_is() {
    for (time, open, why) in [
        ("2026-11-23T07:59:00Z", false, "8:59 in Berlin"),
        ("2026-11-23T08:00:00Z", true, "9:00"),
        ("2026-11-23T11:00:00Z", false, "12:00"),
        ("2026-11-23T22:59:00Z", true, "23:59"),
        ("2026-11-23T23:00:00Z", false, "0:00 on Tuesday"),
        ("2026-11-22T23:30:00Z", false, "0:30 on Monday"),
        ("2026-07-20T07:00:00Z", true, "9:00 in summer"),
        ("2026-11-30T09:00:00Z", false, "a holiday"),
    ] {
        assert_eq!(at(time).open, open, "{why}");
    }
    assert_eq!(at("2026-11-22T23:30:00Z").weekday, 1);
    let always = TenantSettings::default();
    assert!(LocalTime::of(&always, Timestamp::from_millis(0)).open, "no hours: always open");
    for (hours, path) in [
        (json!({"monday": ["9:00-17:00"]}), "hours.monday[0]"),
        (json!({"sunday": ["09:00-12:00", "22:00-06:00"]}), "hours.sunday[1]"),
        (json!({"friday": ["09:00-24:01"]}), "hours.friday[0]"),
        (json!({"holidays": ["25.12.2026"]}), "hours.holidays[0]"),
    ] {
        let refused = hours::check("UTC", &serde_json::from_value(hours).unwrap()).unwrap_err();
        assert_eq!(refused.0, path);
    }
    assert_eq!(hours::check("Mars/Base", &Default::default()).unwrap_err().0, "time_zone");
}

fn moment(time: &str) -> Timestamp {
    time.parse().unwrap()
}

#[test]
fn a_queue_has_hours_of_its_own_and_opens_when_it_opens() {
    let settings: TenantSettings = serde_json::from_value(json!({
        "time_zone": "Europe/Berlin",
        "hours": {"monday": ["09:00-12:00", "13:00-24:00"], "holidays": ["2026-11-30"]},
        "queue_hours": {
            "night": {"hours": {"sunday": ["02:30-04:00"], "saturday": ["22:00-24:00"]}},
            "asia": {"time_zone": "Asia/Shanghai", "out_of_hours": {"action": "callback", "text": "Later."}},
            "never": {"hours": {"monday": ["09:00-09:00"]}},
            "always": {"hours": {"holidays": ["2026-12-25"]}},
        },
    }))
    .unwrap();
    let opens = |queue: Option<&str>, now: &str| {
        let hours = Hours::of(&settings, queue);
        (hours.is_open(moment(now)), hours.opens_after(moment(now)).map(|at| at.to_string()))
    };
    let at = |time: &str| Some(moment(time).to_string());
    assert_eq!(opens(None, "2026-11-22T12:00:00Z"), (false, at("2026-11-23T08:00:00Z")));
    assert_eq!(opens(None, "2026-11-23T11:30:00Z"), (false, at("2026-11-23T12:00:00Z")), "after lunch");
    assert_eq!(opens(None, "2026-11-24T00:00:00Z"), (false, at("2026-12-07T08:00:00Z")), "a holiday is passed over");
    assert_eq!(opens(Some("asia"), "2026-11-22T12:00:00Z"), (false, at("2026-11-23T01:00:00Z")));
    assert_eq!(opens(Some("other"), "2026-11-22T12:00:00Z"), opens(None, "2026-11-22T12:00:00Z"));
    // Clocks are set forward over 2:30: it opens when there is such a time again.
    assert_eq!(opens(Some("night"), "2027-03-28T00:00:00Z"), (false, at("2027-03-28T01:30:00Z")));
    // And back over it: the first 2:30 of two.
    assert_eq!(opens(Some("night"), "2026-10-24T22:10:00Z"), (false, at("2026-10-25T00:30:00Z")));
    assert_eq!(opens(Some("always"), "2026-12-25T12:00:00Z"), (false, at("2026-12-25T23:00:00Z")));
    assert_eq!(opens(Some("never"), "2026-11-22T12:00:00Z").1, None);
}

#[test]
fn who_says_so_after_the_shift_is_at_work_and_who_forgot_to_go_is_not() {
    let hours: BusinessHours = serde_json::from_value(json!({
        "monday": ["09:00-12:00", "13:00-17:00"], "tuesday": ["09:00-17:00"],
    }))
    .unwrap();
    let on = |since: Option<&str>, now: &str| {
        let (on, next) = on_shift("Europe/Berlin", &hours, since.map(moment), moment(now));
        (on, next.map(|at| at.to_string()))
    };
    let at = |time: &str| Some(moment(time).to_string());
    let early = Some("2026-11-23T07:50:00Z");
    assert_eq!(on(early, "2026-11-23T07:55:00Z"), (true, at("2026-11-23T08:00:00Z")), "ten minutes early");
    assert_eq!(on(early, "2026-11-23T08:00:00Z"), (true, at("2026-11-23T11:00:00Z")));
    assert_eq!(on(early, "2026-11-23T11:00:00Z"), (false, at("2026-11-23T12:00:00Z")), "at lunch");
    assert_eq!(on(early, "2026-11-23T12:00:00Z"), (true, at("2026-11-23T16:00:00Z")));
    assert_eq!(on(early, "2026-11-23T16:00:00Z"), (false, at("2026-11-24T08:00:00Z")), "forgot to go");
    assert!(on(Some("2026-11-23T16:05:00Z"), "2026-11-23T20:00:00Z").0, "stays longer");
    assert!(!on(Some("2026-11-23T16:05:00Z"), "2026-11-24T16:00:00Z").0, "not for ever");
    assert_eq!(on(None, "2026-11-22T12:00:00Z"), (false, at("2026-11-23T08:00:00Z")));
    assert_eq!(on_shift("UTC", &BusinessHours::default(), None, moment("2026-11-22T12:00:00Z")), (true, None));
}

/// Pieces that conditions are made of, and some that they are not.
const PIECES: [&str; 46] = [
    "channel",
    "text",
    "tags",
    "collected",
    "sender.name",
    "metadata",
    "hour",
    "open",
    "1",
    "-1",
    "9223372036854775807",
    "1.5",
    "'x'",
    "\"客\"",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "?",
    "&&",
    "||",
    "!",
    "-",
    "*",
    "/",
    "%",
    "==",
    "<",
    " in ",
    ".",
    "size(",
    "has(",
    "tags.exists(t, ",
    "tags.filter(t, ",
    "int(",
    "text.matches('a')",
    ".contains(",
    "null",
    "b'x'",
    "'\\u{1}'",
    "t",
    "\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever a document says and a customer writes: it is refused or read, and never panics.
    #[test]
    fn nothing_makes_a_rule_panic(
        pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 1..25),
        garbage in ".{0,40}",
        text in ".{0,60}",
        name in ".{0,10}",
        spaced in any::<bool>(),
    ) {
        let metadata = Map::from_iter([(name.clone(), json!(text)), ("n".to_owned(), json!(u64::MAX))]);
        let facts = Facts { text: &text, sender_name: &name, ..facts(&[], &metadata) };
        for when in [pieces.join(if spaced { " " } else { "" }), garbage] {
            let document = rules(json!([{"name": "r", "when": when, "then": {"queue": "q"}}]));
            let checked = check(&document);
            let routed = route(&document, &facts);
            prop_assert!(routed.errors.is_empty() || routed.queue.is_none());
            if let Ok(condition) = expression::compile(&when) {
                prop_assert!(condition.steps <= MAX_STEPS);
            } else {
                prop_assert!(checked.is_err() && routed.queue.is_none());
            }
        }
    }
}
