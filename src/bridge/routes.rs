//! Every route of the HTTP interface, in one table: what is served, what OpenAPI says, and what the tests go through are made
//! of it, so that none can be forgotten.

use super::{api, oidc, poll, socket};
use crate::access::Permission;
use actix_web::{Resource, web};

/// Where all of them begin.
pub(super) const BASE: &str = "/api/v1";

/// Who gets past a route's door. What is done behind it is looked at more closely where it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Anybody.
    Open,
    /// Whoever is signed in.
    SignedIn,
    /// Whoever has this permission, at least somewhere.
    Has(Permission),
    /// Whoever has the permission that the command in the body needs.
    Command,
}

/// One route.
#[derive(Clone, Copy)]
pub struct Route {
    /// `GET`, `POST`, ….
    pub method: &'static str,
    /// Below `/api/v1`.
    pub path: &'static str,
    /// Who gets in.
    pub door: Door,
    /// What it is for, in a line.
    pub summary: &'static str,
    /// Its parameters in the query, each with what it means.
    pub query: &'static [(&'static str, &'static str)],
    /// The schema of the body: a name among `schemas/`'s or OpenAPI's own.
    pub body: Option<&'static str>,
    register: fn(Resource) -> Resource,
}

macro_rules! route {
    ($method:ident $name:literal, $path:literal, $door:expr, $summary:literal, $query:expr, $body:expr, $handler:path) => {
        Route {
            method: $name,
            path: $path,
            door: $door,
            summary: $summary,
            query: $query,
            body: $body,
            register: |resource| resource.route(web::$method().to($handler)),
        }
    };
}

const PAGE: [(&str, &str); 2] = [("after", "`next` of the page before"), ("limit", "items, 1 to 500")];
const COMMITS: &[(&str, &str)] = &[
    ("after", "only commits after this sequence"),
    ("before", "the last ones before this sequence"),
    ("limit", "commits, 1 to 1000"),
];

/// All of them.
pub const ROUTES: &[Route] = &[
    route!(post "POST", "/session", Door::Open, "Sign in: the answer sets the session's cookie", &[], Some("sign-in"),
        api::session::sign_in),
    route!(get "GET", "/session", Door::SignedIn, "Who one is, and what one may do", &[], None, api::session::who),
    route!(delete "DELETE", "/session", Door::SignedIn, "Sign out", &[], None, api::session::sign_out),
    route!(post "POST", "/setup", Door::Open, "Make the first user of a tenant, with the code that `kefu serve` prints; signs in",
        &[], Some("set-up"), api::session::set_up),
    route!(get "GET", "/oidc", Door::Open, "Whether one can sign in at a provider (OpenID Connect), and where", &[], None,
        oidc::offered),
    route!(get "GET", "/oidc/login", Door::Open, "Sends the browser to the provider", &[], None, oidc::login),
    route!(get "GET", "/oidc/callback", Door::Open, "Where the provider sends the browser back to: signs in",
        &[("code", "the provider's code"), ("state", "of the attempt"), ("error", "why there is no code"),
        ("error_description", "the same for people")], None, oidc::callback),
    route!(get "GET", "/users", Door::Has(Permission::ReadUser), "Users", &PAGE, None, api::users::list),
    route!(get "GET", "/users/{key}", Door::SignedIn, "One user; oneself without any permission", &[], None,
        api::users::one),
    route!(post "POST", "/users/{key}/commands", Door::Command, "Create, rename, disable or enable a user, grant or revoke a role",
        &[], Some("command-request"), api::users::command),
    route!(post "POST", "/users/{key}/password", Door::Command, "Set a password: one's own with the present one", &[],
        Some("password"), api::users::password),
    route!(post "POST", "/users/{key}/tokens", Door::Command, "Make a token; its secret is shown once", &[], Some("token"),
        api::users::issue),
    route!(delete "DELETE", "/users/{key}/tokens/{token}", Door::Command, "Revoke a token", &[], None, api::users::revoke),
    route!(get "GET", "/openapi.json", Door::Open, "This interface, as OpenAPI 3.1", &[], None, api::described),
    route!(get "GET", "/socket", Door::SignedIn, "The WebSocket: see the schemas client-frame and server-frame", &[], None,
        socket::open),
    route!(get "GET", "/events", Door::SignedIn, "The same frames by long polling", &[
        ("epoch", "the log that `after` belongs to"), ("after", "the last sequence that is known; absent: begin anew"),
        ("wait", "seconds to wait for the first frame, 0 to 60"), ("topics", "comma-separated: conversations, agents, …"),
        ("view", "own, queues or all")], None, poll::events),
    route!(get "GET", "/inbox", Door::Has(Permission::ReadConversation), "How many open conversations are in each list", &[],
        None, api::conversations::counts),
    route!(get "GET", "/conversations", Door::Has(Permission::ReadConversation), "A list of the inbox, the last active first",
        &[("inbox", "mine, queues, unassigned, bot, snoozed, closed or all"), PAGE[0], PAGE[1]], None,
        api::conversations::list),
    route!(get "GET", "/conversations/{key}", Door::Has(Permission::ReadConversation), "One conversation", &[], None,
        api::conversations::one),
    route!(get "GET", "/conversations/{key}/commits", Door::Has(Permission::ReadConversation),
        "What happened in a conversation, the oldest first", COMMITS, None, api::conversations::commits),
    route!(get "GET", "/conversations/{key}/why", Door::Has(Permission::ReadConversation),
        "The scheduler's decisions about it, and what it waits for now", &[("agent", "and why not this agent")], None,
        api::conversations::why),
    route!(post "POST", "/conversations/{key}/commands", Door::Command, "Do something in a conversation", &[],
        Some("command-request"), api::conversations::command),
    route!(get "GET", "/contacts", Door::Has(Permission::ReadContact), "Contacts", &[("attribute", "with this attribute"),
        ("value", "of this value"), ("tag", "or with this tag"), ("channel", "or of this channel"), PAGE[0], PAGE[1]], None,
        api::directory::contacts),
    route!(get "GET", "/contacts/{key}", Door::Has(Permission::ReadContact), "One contact", &[], None,
        api::directory::contact),
    route!(post "POST", "/contacts/{key}/commands", Door::Command, "Change a contact", &[], Some("command-request"),
        api::directory::contact_command),
    route!(get "GET", "/agents", Door::Has(Permission::ReadAgent), "Agents", &[("status", "with this status"),
        ("queue", "or of this queue"), ("skill", "or with this skill"), PAGE[0], PAGE[1]], None, api::directory::agents),
    route!(get "GET", "/agents/{key}", Door::SignedIn, "One agent; one's own without any permission", &[], None,
        api::directory::agent),
    route!(post "POST", "/agents/{key}/commands", Door::Command, "Change an agent, or one's own status", &[],
        Some("command-request"), api::directory::agent_command),
    route!(get "GET", "/queues", Door::Has(Permission::ReadAgent), "How the queues are doing", &[], None,
        api::directory::queues),
    route!(get "GET", "/wall", Door::Has(Permission::ReadAgent), "Who waited and who worked on what, as it was at a moment",
        &[("at", "the moment; now, if absent"), ("limit", "agents, and waiting conversations, 1 to 5000")], None,
        api::wall::wall),
    route!(get "GET", "/entries", Door::Has(Permission::ReadEntry), "Entries of the knowledge base",
        &[("status", "with this status"), ("waiting", "true: with a version that waits for approval"),
        ("category", "or of this category"), ("language", "or in this language"), ("content", "true: with what they say"),
        PAGE[0], PAGE[1]], None, api::knowledge::entries),
    route!(get "GET", "/entries/{key}", Door::Has(Permission::ReadEntry), "One entry, with its versions", &[], None,
        api::knowledge::entry),
    route!(get "GET", "/entries/{key}/commits", Door::Has(Permission::ReadEntry), "What happened to an entry", COMMITS, None,
        api::knowledge::entry_commits),
    route!(post "POST", "/entries/{key}/commands", Door::Command, "Draft, approve, retire, roll back or rate an entry", &[],
        Some("command-request"), api::knowledge::entry_command),
    route!(post "POST", "/ask", Door::Has(Permission::ReadEntry), "What a customer would get to a question", &[],
        Some("ask"), api::knowledge::ask),
    route!(get "GET", "/search/entries", Door::Has(Permission::ReadEntry), "Entries by what they say, drafts as well",
        &[("text", "all of these words or parts of words"), ("status", "with this status"),
        ("waiting", "true: with a version that waits for approval"), ("category", "of this category"),
        ("language", "in this language"), ("offset", "hits to pass over"), ("limit", "hits, 1 to 500")], None,
        api::knowledge::search_entries),
    route!(get "GET", "/search/messages", Door::Has(Permission::SearchMessages), "Messages of the whole history",
        &[("text", "all of these words"), ("conversation", "in this one"), ("channel", "on this channel"),
        ("author", "customer, agent, bot, system or note"), ("agent", "by this agent"), ("from", "not before"),
        ("to", "not after"), ("by_relevance", "true: the best ones first"), ("limit", "hits, 1 to 100")], None,
        api::knowledge::search),
    route!(get "GET", "/reports", Door::Has(Permission::ReadReport), "Figures of a stretch of time", &[
        ("from", "from this moment on"), ("to", "up to this moment, which is not part of it"),
        ("by", "all, channel, queue, agent, skill, intent or entry"), ("value", "only this one of them"),
        ("step", "minute, hour or day: a row for each"), ("metrics", "comma-separated names; all, if absent")], None,
        api::figures::report),
    route!(get "GET", "/reports/sessions", Door::Has(Permission::ReadReport), "Ended sessions behind a figure, the earliest first", &[
        ("from", "ended at this moment or later"), ("to", "ended before this moment"), ("metric", "only those behind this figure"),
        ("by", "queue, agent, channel, skill or intent"), ("value", "only those with this one"), PAGE[0],
        ("limit", "sessions, 1 to 1000")], None, api::figures::sessions),
    route!(get "GET", "/reports/metrics", Door::Has(Permission::ReadReport), "What every figure means", &[], None,
        api::figures::metrics),
    route!(get "GET", "/settings", Door::Has(Permission::ReadSettings), "Names of the settings documents", &[], None,
        api::settings::documents),
    route!(get "GET", "/settings/{key}", Door::Has(Permission::ReadSettings), "A settings document with its history", &[],
        None, api::settings::document),
    route!(get "GET", "/settings/{key}/commits", Door::Has(Permission::ReadSettings), "What happened to a document", COMMITS,
        None, api::settings::commits),
    route!(post "POST", "/settings/{key}/commands", Door::Command, "Set a document, or roll it back", &[],
        Some("command-request"), api::settings::command),
    route!(post "POST", "/settings/{key}/check", Door::Has(Permission::EditSettings),
        "Whether a document might say this, by the rules by which it is set; nothing is changed", &[], Some("check"),
        api::settings::check),
    route!(post "POST", "/customers/tokens", Door::Has(Permission::AdmitCustomer),
        "Make a token with which a customer's page attaches to one conversation by the WebSocket", &[],
        Some("customer-token"), api::session::admit_customer),
    route!(get "GET", "/webhooks", Door::Has(Permission::ManageWebhook), "Webhooks, and how far each has got", &[], None,
        api::webhooks::list),
    route!(get "GET", "/webhooks/{key}", Door::Has(Permission::ManageWebhook), "One webhook, and how far it has got", &[],
        None, api::webhooks::one),
    route!(put "PUT", "/webhooks/{key}", Door::Has(Permission::ManageWebhook),
        "Add a webhook, or change one; a new one's secret is told once", &[], Some("webhook"), api::webhooks::put),
    route!(delete "DELETE", "/webhooks/{key}", Door::Has(Permission::ManageWebhook), "Remove a webhook", &[], None,
        api::webhooks::remove),
    route!(post "POST", "/webhooks/{key}/replay", Door::Has(Permission::ManageWebhook),
        "Send everything from a place in the log on", &[], Some("replay"), api::webhooks::replay),
    route!(post "POST", "/webhooks/{key}/test", Door::Has(Permission::ManageWebhook),
        "Send a delivery that says nothing, and tell what the receiver answers", &[], None, api::webhooks::test),
    route!(post "POST", "/webhooks/{key}/secret", Door::Has(Permission::ManageWebhook),
        "Make another secret, told once; the old one signs as well for a day", &[], None, api::webhooks::rotate),
    route!(post "POST", "/files", Door::Has(Permission::WriteFile), "Upload a file: its bytes are the body",
        &[("name", "the file's name, as the sender calls it")], None, api::files::upload),
    route!(get "GET", "/files/{object}", Door::Has(Permission::ReadFile), "The bytes of a file", &[], None,
        api::files::download),
];

/// Registers all of them.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    // One resource for all methods of a path, so that a wrong method is told as one.
    let mut paths: Vec<&str> = ROUTES.iter().map(|route| route.path).collect();
    paths.dedup();
    let mut scope = web::scope(BASE);
    for path in paths {
        let routes = ROUTES.iter().filter(|route| route.path == path);
        scope = scope.service(routes.fold(web::resource(path), |resource, route| (route.register)(resource)));
    }
    config.service(scope.default_service(web::to(api::nothing)));
}
