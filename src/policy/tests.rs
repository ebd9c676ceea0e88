//! Each role × permission × class of resource against what is written out here.

use super::*;
use Permission as P;
use kefu_events::{
    access::{AccessPolicy, AccessSettings},
    user::{Role, Scope},
};
use std::collections::BTreeMap;

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Everything that decisions are asked about: a name, the resource, and the queues of the agent that it is.
fn resources() -> Vec<(&'static str, Resource<'static>, BTreeSet<String>)> {
    static QUEUES: [&str; 3] = ["mine", "named", "foreign"];
    let list = |names: &[&str]| -> &'static [String] {
        names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>().leak()
    };
    let mut all = vec![("tenant", Resource::Tenant, set(&[]))];
    let own = Resource::Conversation { queues: list(&["foreign"]), agents: list(&["bob", "ann"]) };
    all.push(("own conversation", own, set(&[])));
    let names = ["conversation in mine", "conversation in named", "conversation in foreign"];
    for (name, queue) in names.into_iter().zip(QUEUES) {
        all.push((name, Resource::Conversation { queues: list(&[queue]), agents: list(&["bob"]) }, set(&[])));
    }
    all.push(("self", Resource::Agent { key: "ann" }, set(&["mine"])));
    for (name, queue) in ["agent in mine", "agent in named", "agent in foreign"].into_iter().zip(QUEUES) {
        all.push((name, Resource::Agent { key: "bob" }, set(&[queue])));
    }
    all.push(("document", Resource::Document("tenant"), set(&[])));
    all.push(("own account", Resource::User("ann"), set(&[])));
    all.push(("other account", Resource::User("bob"), set(&[])));
    all
}

fn asks(grants: &[Grant], only: Option<&BTreeSet<String>>, policies: &Policies, p: Permission, on: &str) -> bool {
    let resources = resources();
    let (_, resource, agent_queues) = resources.iter().find(|(name, ..)| *name == on).expect(on);
    let queues = set(&["mine"]);
    let subject = Subject { user: "ann", grants, only, queues: &queues, credential: "session" };
    policies.permit(&subject, p, &Class::of("ann", resource, agent_queues))
}

fn grant(role: Role, scope: Scope) -> Vec<Grant> {
    vec![Grant { role, scope }]
}

const CONVERSATION: [Permission; 6] = [
    P::ReadConversation,
    P::WorkConversation,
    P::AnnotateConversation,
    P::JoinConversation,
    P::TakeConversation,
    P::AssignConversation,
];

/// What a role may do on the tenant as a whole: one line per permission, one letter per role that has it.
const TABLE: &[(Permission, &str)] = &[
    (P::ReadConversation, "asmx"),
    (P::WorkConversation, "asm"),
    (P::AnnotateConversation, "asm"),
    (P::JoinConversation, "sm"),
    (P::TakeConversation, "sm"),
    (P::AssignConversation, "sm"),
    (P::SearchMessages, "asmx"),
    (P::ReadContact, "asmx"),
    (P::EditContact, "asm"),
    (P::ReadAgent, "asmx"),
    (P::OwnStatus, "asm"),
    (P::ManageAgent, "sm"),
    (P::ReadEntry, "asmx"),
    (P::EditEntry, "asm"),
    (P::ApproveEntry, "sm"),
    (P::RateEntry, "asm"),
    (P::ReadSettings, "asm"),
    (P::EditSettings, "m"),
    (P::ReadUser, "sm"),
    (P::ManageUser, "m"),
    (P::OwnTokens, "asm"),
    (P::ReadFile, "asm"),
    (P::WriteFile, "asm"),
    (P::ManageWebhook, "m"),
    (P::AdmitCustomer, "m"),
    (P::GiveAnswer, "m"),
    (P::ReadReport, "smx"),
];

fn letter(role: Role) -> char {
    match role {
        Role::Agent => 'a',
        Role::Supervisor => 's',
        Role::Administrator => 'm',
        Role::Analyst => 'x',
        Role::Service => '-',
    }
}

fn scopes() -> [(&'static str, Scope); 4] {
    [
        ("own", Scope::Own),
        ("my_queues", Scope::MyQueues),
        ("queues", Scope::Queues(set(&["named"]))),
        ("all", Scope::All),
    ]
}

/// Whether this scope reaches this conversation or agent.
fn reaches(scope: &str, on: &str) -> bool {
    match (scope, on.rsplit(' ').next().unwrap_or_default()) {
        _ if on == "own conversation" => true,
        ("all", _) => true,
        ("my_queues", "mine") | ("queues", "named") => true,
        ("my_queues", "self") => on == "self",
        _ => false,
    }
}

fn expected(role: Role, scope: &str, permission: Permission, on: &str) -> bool {
    let (_, roles) = TABLE.iter().find(|(listed, _)| *listed == permission).expect("every permission is in the table");
    let anywhere = roles.contains(letter(role));
    let area = permission.as_str().split('.').next().unwrap_or_default();
    if role == Role::Administrator || on == "tenant" {
        return anywhere;
    }
    if on.contains("conversation") {
        let about = ["conversation", "message", "contact", "file"].contains(&area);
        let own_only =
            permission == P::WorkConversation || (permission == P::AnnotateConversation && role == Role::Agent);
        return anywhere && about && reaches(scope, on) && (!own_only || on == "own conversation");
    }
    anywhere
        && match permission {
            P::OwnStatus => on == "self",
            P::ReadAgent => on == "self" || on.starts_with("agent"),
            P::ManageAgent => (on == "self" || on.starts_with("agent")) && reaches(scope, on),
            P::ReadSettings => on == "document",
            P::OwnTokens => on == "own account",
            P::ReadUser => on.ends_with("account"),
            _ => false,
        }
}

#[test]
fn each_role_may_what_is_written_out_and_nothing_else() {
    let policies = Policies::shipped();
    let mut decided = 0;
    let mut wrong = Vec::new();
    for role in Role::ALL {
        for (name, scope) in scopes() {
            for permission in Permission::ALL {
                for (on, ..) in resources() {
                    let may = asks(&grant(role, scope.clone()), None, &policies, *permission, on);
                    if may != expected(role, name, *permission, on) {
                        wrong.push(format!("{role} ({name}) {permission} on {on}: {may}"));
                    }
                    decided += 1;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(decided, 5 * 4 * Permission::ALL.len() * 12);
    assert_eq!(TABLE.len(), Permission::ALL.len());
}

#[test]
fn nobody_without_a_role_may_anything() {
    let policies = Policies::shipped();
    for permission in Permission::ALL {
        for (on, ..) in resources() {
            assert!(!asks(&[], None, &policies, *permission, on), "{permission} on {on}");
        }
    }
}

#[test]
fn a_token_is_for_what_it_names_and_gives_nothing_that_its_user_does_not_have() {
    let policies = Policies::shipped();
    let only = set(&["conversation.read", "settings.edit"]);
    for (role, may_edit) in [(Role::Administrator, true), (Role::Supervisor, false), (Role::Agent, false)] {
        let grants = grant(role, Scope::All);
        assert!(asks(&grants, Some(&only), &policies, P::ReadConversation, "own conversation"), "{role}");
        assert_eq!(asks(&grants, Some(&only), &policies, P::EditSettings, "tenant"), may_edit, "{role}");
        for other in Permission::ALL.iter().filter(|permission| !only.contains(permission.as_str())) {
            assert!(!asks(&grants, Some(&only), &policies, *other, "tenant"), "{role} {other}");
        }
    }
}

#[test]
fn a_service_may_what_its_token_names_within_its_reach() {
    let policies = Policies::shipped();
    let all: BTreeSet<String> = Permission::ALL.iter().map(|permission| permission.as_str().to_owned()).collect();
    let named = grant(Role::Service, Scope::Queues(set(&["named"])));
    for permission in CONVERSATION {
        assert!(asks(&named, Some(&all), &policies, permission, "conversation in named"), "{permission}");
        assert!(asks(&named, Some(&all), &policies, permission, "own conversation"), "{permission}");
        assert!(!asks(&named, Some(&all), &policies, permission, "conversation in foreign"), "{permission}");
        assert!(!asks(&named, None, &policies, permission, "conversation in named"), "{permission}: no scopes");
    }
    let one = set(&["webhook.manage"]);
    for permission in Permission::ALL {
        let may = asks(&named, Some(&one), &policies, *permission, "tenant");
        assert_eq!(may, *permission == P::ManageWebhook, "{permission}");
    }
}

#[test]
fn roles_add_up() {
    let policies = Policies::shipped();
    let mut both = grant(Role::Agent, Scope::Own);
    both.push(Grant { role: Role::Supervisor, scope: Scope::Queues(set(&["named"])) });
    assert!(asks(&both, None, &policies, P::TakeConversation, "conversation in named"));
    assert!(!asks(&both, None, &policies, P::TakeConversation, "conversation in mine"));
    assert!(!asks(&both, None, &policies, P::ReadConversation, "conversation in mine"));
}

fn own(policies: &[(&str, &str)]) -> AccessSettings {
    let policy =
        |(name, policy): &(&str, &str)| AccessPolicy { name: (*name).to_owned(), policy: (*policy).to_owned() };
    AccessSettings { policies: policies.iter().map(policy).collect() }
}

#[test]
fn a_tenant_permits_more_and_forbids_what_is_shipped() {
    let settings = own(&[
        (
            "agents annotate in their queues",
            r#"permit (principal, action == Action::"conversation.annotate", resource is Conversation)
            when { principal has agent && resource.queues.containsAny(principal.agent.queues) };"#,
        ),
        (
            "no files by token",
            r#"forbid (principal, action in Action::"file", resource) when { principal.credential == "session" };"#,
        ),
        (
            "vip is for ann",
            r#"forbid (principal, action in Action::"conversation", resource is Conversation)
            when { resource.queues.contains("foreign") } unless { principal.id == "zoe" };"#,
        ),
    ]);
    let policies = Policies::with(&settings).unwrap();
    let agent = grant(Role::Agent, Scope::MyQueues);
    assert!(asks(&agent, None, &policies, P::AnnotateConversation, "conversation in mine"));
    assert!(!asks(&agent, None, &Policies::shipped(), P::AnnotateConversation, "conversation in mine"));
    let administrator = grant(Role::Administrator, Scope::All);
    assert!(!asks(&administrator, None, &policies, P::ReadFile, "tenant"), "a group of actions");
    assert!(!asks(&administrator, None, &policies, P::ReadConversation, "conversation in foreign"));
    assert!(asks(&administrator, None, &policies, P::ReadConversation, "conversation in mine"));
}

#[test]
fn wrong_policies_are_told_apart_by_where_and_what() {
    let good = r#"permit (principal, action == Action::"report.read", resource);"#;
    let deep =
        format!("permit (principal, action, resource) when {{ {}true{} }};", "(".repeat(1_900), ")".repeat(1_900));
    let cases: [(&str, AccessSettings, &str, &str); 9] = [
        ("syntax", own(&[("a", good), ("b", "permit (principal")]), "policies[1].policy", ""),
        (
            "no action",
            own(&[("a", r#"permit (principal, action == Action::"file.burn", resource);"#)]),
            "policies[0].policy",
            "file.burn",
        ),
        (
            "no field",
            own(&[("a", "permit (principal, action, resource) when { principal.rank > 3 };")]),
            "policies[0].policy",
            "rank",
        ),
        (
            "wrong type",
            own(&[("a", "permit (principal, action, resource) when { context.own == 3 };")]),
            "policies[0].policy",
            "",
        ),
        (
            "unsafe",
            own(&[("a", "permit (principal, action, resource) when { principal.agent.all };")]),
            "policies[0].policy",
            "agent",
        ),
        ("twice", own(&[("a", good), ("a", good)]), "policies[1].name", "twice"),
        ("no name", own(&[(" ", good)]), "policies[0].name", "1 to 100"),
        ("two in one", own(&[("a", &format!("{good} {good}"))]), "policies[0].policy", ""),
        ("deep", own(&[("a", &deep)]), "policies[0].policy", "brackets within one another"),
    ];
    for (what, settings, path, says) in cases {
        let wrong = Policies::with(&settings).expect_err(what);
        assert_eq!(wrong.path, path, "{what}: {wrong}");
        assert!(wrong.message.contains(says) && !wrong.message.is_empty(), "{what}: {wrong}");
    }
    let long = own(&[("a", &format!("{good}{}", " ".repeat(4_000)))]);
    assert!(Policies::with(&long).unwrap_err().message.contains("4000"));
    let many: Vec<(String, &str)> = (0..101).map(|n| (n.to_string(), good)).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, policy)| (name.as_str(), *policy)).collect();
    assert_eq!(Policies::with(&own(&many)).unwrap_err().path, "policies");
    assert!(Policies::with(&own(&many[..100])).is_ok());
}

#[test]
fn what_is_just_simple_enough_is_read_and_asked_on_a_small_stack() {
    let deep = format!("{}true{}", "(".repeat(22), ")".repeat(22));
    let long = vec!["true"; 120].join(" && ");
    let negated = format!("{}{long}{}", "!(".repeat(5), ")".repeat(5));
    let fields = format!("{}.a", "{a: ".repeat(20) + "true" + &"}".repeat(20));
    let ifs = "if true then true else ".repeat(20) + "true";
    for condition in [deep, long, negated, fields, ifs] {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        let run = move || {
            // Whether it fits the schema is another matter.
            if let Ok(policies) = Policies::with(&own(&[("a", &text)])) {
                asks(&[], None, &policies, P::ReadReport, "tenant");
            }
        };
        std::thread::Builder::new().stack_size(1024 * 1024).spawn(run).unwrap().join().unwrap();
    }
    for too_much in [vec!["true"; 200].join(" && "), "!".repeat(300) + "true", "if true then true else ".repeat(40)] {
        let text = format!("permit (principal, action, resource) when {{ {too_much} }};");
        assert!(Policies::with(&own(&[("a", &text)])).unwrap_err().message.contains("operators"), "{too_much}");
    }
    let hidden = format!(
        "permit (principal, action, resource) // \"\nwhen {{ {}true{} }}; // \"",
        "(".repeat(900),
        ")".repeat(900)
    );
    assert!(Policies::with(&own(&[("a", &hidden)])).unwrap_err().message.contains("quotes"));
}

#[test]
fn what_is_shipped_fits_the_schema_and_the_schema_fits_the_list() {
    use cedar_policy::{PolicySet, Schema, ValidationMode, Validator};
    let (schema, warnings) = Schema::from_cedarschema_str(SCHEMA).unwrap();
    assert_eq!(warnings.map(|warning| warning.to_string()).collect::<Vec<_>>(), Vec::<String>::new());
    let shipped: PolicySet = SHIPPED.parse().unwrap();
    let checked = Validator::new(schema.clone()).validate(&shipped, ValidationMode::Strict);
    assert!(checked.validation_passed_without_warnings(), "{checked}");
    let mut actions = BTreeMap::new();
    for action in schema.actions() {
        actions.insert(action.id().unescaped().to_owned(), action.to_string());
    }
    for permission in Permission::ALL {
        assert!(actions.remove(permission.as_str()).is_some(), "{permission} is not in the schema");
        assert_eq!(Permission::named(permission.as_str()), Some(*permission));
    }
    let areas: BTreeSet<&str> = Permission::ALL.iter().filter_map(|one| one.as_str().split('.').next()).collect();
    actions.retain(|name, _| !areas.contains(name.as_str()));
    assert!(actions.is_empty(), "no permission is called so: {actions:?}");
}
