//! Policies, ready to decide.

use super::{Class, Kind, Permission, Subject};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, Policy, PolicyId, PolicySet,
    Request, RestrictedExpression, Schema, ValidationMode, Validator,
};
use kefu_events::{
    access::AccessSettings,
    user::{Role, Scope},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

/// What policies are about, in Cedar's language.
pub const SCHEMA: &str = include_str!("schema.cedarschema");
/// The policies that kefu ships.
pub const SHIPPED: &str = include_str!("shipped.cedar");

/// Policies of a tenant, at most, and characters of each: they run whenever something is decided anew.
const MAX_POLICIES: usize = 100;
const MAX_POLICY_CHARS: usize = 4_000;
const MAX_NAME_CHARS: usize = 100;
/// Brackets within brackets, and operators one after the other, at most. Cedar reads both by recursion, and a thousand of them
/// would overflow the stack of whichever thread reads them, and with it end the program.
const MAX_DEPTH: usize = 24;
const MAX_OPERATORS: usize = 250;

/// What is compiled into the program. That it is well-formed is tested; were it not, nothing would be permitted.
static BUILT_IN: LazyLock<Result<BuiltIn, String>> = LazyLock::new(BuiltIn::make);

struct BuiltIn {
    schema: Schema,
    shipped: Arc<PolicySet>,
    /// Permission → its action with the groups that it is in.
    actions: BTreeMap<&'static str, Entity>,
}

impl BuiltIn {
    fn make() -> Result<Self, String> {
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|error| said(&error))?;
        let shipped: PolicySet = SHIPPED.parse().map_err(|error| said(&error))?;
        let all = schema.action_entities().map_err(|error| said(&error))?;
        let mut actions = BTreeMap::new();
        for permission in Permission::ALL {
            let uid = uid("Action", permission.as_str())?;
            let action = all.get(&uid).ok_or_else(|| format!("the schema has no action {permission}"))?;
            actions.insert(permission.as_str(), action.clone());
        }
        Ok(Self { schema, shipped: Arc::new(shipped), actions })
    }

    fn get() -> Result<&'static Self, String> {
        BUILT_IN.as_ref().map_err(Clone::clone)
    }
}

/// What is wrong with a tenant's policies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct WrongPolicy {
    /// Where in the settings document.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

/// The policies of a tenant. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Policies(Arc<PolicySet>);

impl Policies {
    /// Those that kefu ships, and nothing else.
    pub fn shipped() -> Self {
        Self(BuiltIn::get().map(|built_in| built_in.shipped.clone()).unwrap_or_default())
    }

    /// Those that kefu ships, with a tenant's own.
    ///
    /// # Errors
    /// One of them is not well-formed, or is about something that is not in the schema.
    pub fn with(settings: &AccessSettings) -> Result<Self, WrongPolicy> {
        let wrong = |path: String, message: String| WrongPolicy { path, message };
        let built_in = BuiltIn::get().map_err(|error| wrong("$".to_owned(), error))?;
        let count = settings.policies.len();
        if count > MAX_POLICIES {
            return Err(wrong("policies".to_owned(), format!("has {count} entries where {MAX_POLICIES} are allowed")));
        }
        let mut own = PolicySet::new();
        for (index, policy) in settings.policies.iter().enumerate() {
            let path = |field: &str| format!("policies[{index}].{field}");
            let (name, text) = (&policy.name, &policy.policy);
            if name.trim().is_empty() || name.chars().count() > MAX_NAME_CHARS {
                return Err(wrong(path("name"), format!("a name has 1 to {MAX_NAME_CHARS} characters")));
            }
            if text.chars().count() > MAX_POLICY_CHARS {
                return Err(wrong(path("policy"), format!("a policy has at most {MAX_POLICY_CHARS} characters")));
            }
            bounded(text).map_err(|message| wrong(path("policy"), message))?;
            let parsed = Policy::parse(Some(PolicyId::new(format!("tenant:{name}"))), text)
                .map_err(|error| wrong(path("policy"), said(&error)))?;
            own.add(parsed).map_err(|_| wrong(path("name"), format!("{name:?} is there twice")))?;
        }
        let checked = Validator::new(built_in.schema.clone()).validate(&own, ValidationMode::Strict);
        if let Some(error) = checked.validation_errors().next() {
            let named = |name: &str| PolicyId::new(format!("tenant:{name}")) == *error.policy_id();
            let index = settings.policies.iter().position(|policy| named(&policy.name)).unwrap_or_default();
            return Err(wrong(format!("policies[{index}].policy"), said(error)));
        }
        let mut all = PolicySet::clone(&built_in.shipped);
        for policy in own.policies() {
            all.add(policy.clone()).map_err(|error| wrong("policies".to_owned(), said(&error)))?;
        }
        Ok(Self(Arc::new(all)))
    }

    /// Whether `subject` may do this to something of this class.
    pub fn permit(&self, subject: &Subject<'_>, permission: Permission, class: &Class) -> bool {
        self.decide(subject, permission, class).unwrap_or_else(|error| {
            tracing::error!(%permission, error, "a policy could not be asked, so it is refused");
            false
        })
    }

    fn decide(&self, subject: &Subject<'_>, permission: Permission, class: &Class) -> Result<bool, String> {
        let action = &BuiltIn::get()?.actions[permission.as_str()];
        let principal = principal(subject)?;
        let resource = resource(class)?;
        let context = Context::from_pairs([
            ("own".to_owned(), RestrictedExpression::new_bool(class.own)),
            ("permission".to_owned(), RestrictedExpression::new_string(permission.as_str().to_owned())),
        ]);
        let context = context.map_err(|error| said(&error))?;
        let request = Request::new(principal.uid(), action.uid(), resource.uid(), context, None);
        let request = request.map_err(|error| said(&error))?;
        let entities = Entities::from_entities([principal, action.clone(), resource], None);
        let entities = entities.map_err(|error| said(&error))?;
        let response = Authorizer::new().is_authorized(&request, &self.0, &entities);
        // A policy that fails is passed over, as Cedar has it. Of a forbidding one that would be wrong.
        if let Some(error) = response.diagnostics().errors().next() {
            return Err(said(error));
        }
        Ok(response.decision() == Decision::Allow)
    }
}

/// Whether a policy's text is simple enough to be read.
fn bounded(text: &str) -> Result<(), String> {
    let (mut depth, mut deepest, mut operators) = (0_usize, 0, 0);
    let mut chars = text.chars();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted => drop(chars.next()),
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '.' | '&' | '|' | '!' | '<' | '>' | '=' | '+' | '-' | '*' => operators += 1,
            _ => {}
        }
    }
    // What a comment hides is counted too, and what it opens is not closed by it: simpler than Cedar, and never more generous,
    // but for a quote in a comment, so comments may have none.
    let quote_in_comment = text.lines().any(|line| line.split_once("//").is_some_and(|(_, rest)| rest.contains('"')));
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| matches!(*word, "if" | "when" | "unless"));
    if quote_in_comment {
        return Err("a line with // has no quotes after it".to_owned());
    }
    if deepest > MAX_DEPTH || operators > MAX_OPERATORS || words.count() > MAX_DEPTH {
        return Err(format!(
            "a policy has at most {MAX_DEPTH} brackets within one another, {MAX_OPERATORS} operators and {MAX_DEPTH} conditions: \
             make several of it"
        ));
    }
    Ok(())
}

fn principal(subject: &Subject<'_>) -> Result<Entity, String> {
    let mut fields = vec![
        ("id".to_owned(), text(subject.user)),
        ("queues".to_owned(), texts(subject.queues)),
        ("credential".to_owned(), text(subject.credential)),
    ];
    if let Some(only) = subject.only {
        fields.push(("scopes".to_owned(), texts(only)));
    }
    for role in Role::ALL {
        let scopes = subject.grants.iter().filter(|grant| grant.role == role).map(|grant| &grant.scope);
        let mut reach: Option<(bool, Vec<&String>)> = None;
        for scope in scopes {
            let (all, queues) = reach.get_or_insert_default();
            match scope {
                Scope::Own => {}
                Scope::MyQueues => queues.extend(subject.queues),
                Scope::Queues(named) => queues.extend(named),
                Scope::All => *all = true,
            }
        }
        if let Some((all, queues)) = reach {
            let reach = [("all".to_owned(), RestrictedExpression::new_bool(all)), ("queues".to_owned(), texts(queues))];
            let reach = RestrictedExpression::new_record(reach).map_err(|error| said(&error))?;
            fields.push((role.as_str().to_owned(), reach));
        }
    }
    entity("User", subject.user, fields)
}

fn resource(class: &Class) -> Result<Entity, String> {
    let queues = || vec![("queues".to_owned(), texts(&class.queues))];
    let (kind, fields) = match class.kind {
        Kind::Tenant => ("Tenant", Vec::new()),
        Kind::Conversation => ("Conversation", queues()),
        Kind::Agent => ("Agent", queues()),
        Kind::Document => ("Document", Vec::new()),
        Kind::Account => ("Account", Vec::new()),
    };
    entity(kind, &class.name, fields)
}

fn entity(kind: &str, id: &str, fields: Vec<(String, RestrictedExpression)>) -> Result<Entity, String> {
    Entity::new(uid(kind, id)?, fields.into_iter().collect(), [].into_iter().collect()).map_err(|error| said(&error))
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, String> {
    let kind: EntityTypeName = kind.parse().map_err(|error| said(&error))?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn texts<'a>(items: impl IntoIterator<Item = &'a String>) -> RestrictedExpression {
    RestrictedExpression::new_set(items.into_iter().map(|item| text(item)))
}

/// An error with what lies behind it.
fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut behind = error.source();
    while let Some(error) = behind {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        behind = error.source();
    }
    text
}
