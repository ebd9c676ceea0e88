//! One WebSocket: what a client says, and what it is told, in the order of the log.

use super::{
    answer::Failure,
    caller::Caller,
    commands::{self, Wanted},
    customers,
    hub::{Feed, Happened, Place, Reach, Start},
    live::Notice,
    measure::MEASURED,
    presence,
    upstream::Upstream,
};
use crate::access::{Permission, Principal};
use crate::journal::Journal;
use actix_web::{HttpRequest, HttpResponse, web};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason, Session};
use futures::{StreamExt, stream::FuturesUnordered};
use kefu_events::{
    AggregateKind, CommandResult, Refusal, Timestamp,
    bridge::{ClientFrame, ServerFrame},
    query,
};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::broadcast;

/// Bytes of a client's frame: a command's limit, and some room.
const MAX_FRAME_BYTES: usize = 300 * 1024;
/// A heartbeat comes at least so often.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A client that has not said anything for so long, not even that it lives, is gone.
const SILENCE: Duration = Duration::from_secs(40);
/// The first frame must come within so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// Commands of one client that are under way at once; more wait in the connection.
const MAX_COMMANDS: usize = 16;
/// Rows of a snapshot.
const MAX_ROWS: usize = 500;

/// Numbers the connections of this process.
static CONNECTIONS: AtomicU64 = AtomicU64::new(1);

/// The connection ends.
struct Ended;

impl From<actix_ws::Closed> for Ended {
    fn from(_: actix_ws::Closed) -> Self {
        Self
    }
}

/// `GET /api/v1/socket`.
pub(super) async fn open(
    caller: Caller,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, actix_web::Error> {
    let (response, session, messages) = actix_ws::handle(&request, body)?;
    let messages = messages.max_frame_size(MAX_FRAME_BYTES).aggregate_continuations();
    let messages = messages.max_continuation_size(MAX_FRAME_BYTES);
    actix_web::rt::spawn(serve(caller, session, messages));
    Ok(response)
}

async fn serve(caller: Caller, mut session: Session, mut messages: AggregatedMessageStream) {
    let Caller { who, up } = caller;
    MEASURED.sockets_opened.inc();
    let number = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
    let told = match tokio::time::timeout(PATIENCE, first(&mut messages)).await {
        Ok(Ok(first)) => Socket::begin(&up, who, session.clone(), number, first).await,
        Ok(Err(failure)) => Err(failure),
        Err(_) => Err(Failure::invalid("the first frame must be `resume`, and it must come soon")),
    };
    match told {
        Ok(mut socket) => {
            let _ = socket.run(&mut messages).await;
            close(session).await;
            socket.end().await;
        }
        Err(failure) => {
            let _ = timed(session.text(error_frame(&failure, true))).await;
            close(session).await;
        }
    }
}

async fn close(session: Session) {
    let _ = timed(session.close(Some(CloseReason::from(CloseCode::Normal)))).await;
}

/// What is told goes into the connection, and waits where the client does not read: not for longer than it may be silent.
async fn timed(told: impl Future<Output = Result<(), actix_ws::Closed>>) -> Result<(), Ended> {
    tokio::time::timeout(SILENCE, told).await.map_err(|_| Ended)?.map_err(Ended::from)
}

/// The client's first frame.
async fn first(messages: &mut AggregatedMessageStream) -> Result<ClientFrame, Failure> {
    while let Some(message) = messages.next().await {
        match message {
            Ok(AggregatedMessage::Text(text)) => return read_frame(&text),
            Ok(AggregatedMessage::Ping(_) | AggregatedMessage::Pong(_)) => {}
            Ok(AggregatedMessage::Binary(_)) => return Err(Failure::invalid("frames are text")),
            Ok(AggregatedMessage::Close(_)) | Err(_) => break,
        }
    }
    Err(Failure::invalid("the connection ended before the first frame"))
}

fn read_frame(text: &str) -> Result<ClientFrame, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::invalid(format!("this is no frame: {error}")))
}

fn error_frame(failure: &Failure, fatal: bool) -> String {
    let (code, message) = (failure.code.clone(), failure.message.clone());
    to_text(&ServerFrame::Error { code, message, fatal })
}

fn to_text(frame: &ServerFrame) -> String {
    // Our own type, in which no map has keys other than strings.
    serde_json::to_string(frame).unwrap_or_default()
}

/// A commit's frame, without reading the commit again.
pub(super) fn commit_frame(seq: u64, prev: u64, commit: &str) -> String {
    format!(r#"{{"type":"commit","seq":{seq},"prev":{prev},"commit":{commit}}}"#)
}

/// A client's rights and wishes, as they are now.
pub(super) fn reach_of(up: &Upstream, who: Principal, frame: &ClientFrame) -> Result<(Reach, Place), Failure> {
    let ClientFrame::Resume { epoch, last_seq, last_commit, topics, view } = frame else {
        return Err(Failure::invalid("the first frame must be `resume`"));
    };
    let place = Place { epoch: epoch.clone(), last_seq: *last_seq, last_commit: last_commit.clone() };
    let queues = queues(up, &who.tenant);
    Ok((Reach::new(up.access.clone(), who, topics.clone(), *view, &queues), place))
}

fn queues(up: &Upstream, tenant: &str) -> Vec<String> {
    let settings = up.store.settings();
    settings.tenant(tenant).map(|config| config.tenant.queues.clone()).unwrap_or_default()
}

/// What a client begins with.
pub(super) async fn snapshot(
    up: &Arc<Upstream>,
    reach: &Reach,
    seq: u64,
    reason: &str,
) -> Result<ServerFrame, Failure> {
    up.projected(seq).await?;
    let principal = reach.principal.clone();
    let looks = reach.clone();
    let (rows, truncated) = up
        .read(move |this| {
            let sees = |queues: &[String], agents: &[String]| looks.sees_conversation(queues, agents);
            Ok(this.inbox.snapshot(&this.store, sees, &looks.principal.tenant, MAX_ROWS)?)
        })
        .await?;
    let agent = match up.query(&principal.tenant, query::name::AGENT, json!({ "key": principal.user })).await {
        Ok(agent) => Some(agent),
        Err(failure) if failure.code == "not_found" => None,
        Err(failure) => return Err(failure),
    };
    Ok(ServerFrame::Reset {
        epoch: up.hub.position().epoch,
        seq,
        user: principal.user,
        heartbeat_s: HEARTBEAT.as_secs() as u32,
        reason: reason.to_owned(),
        conversations: rows.iter().filter_map(|row| serde_json::to_value(row).ok()).collect(),
        truncated,
        agent,
    })
}

struct Socket {
    up: Arc<Upstream>,
    session: Session,
    feed: Feed,
    notices: broadcast::Receiver<Notice>,
    /// The last sequence that the client was told.
    last: u64,
    number: u64,
    /// The name that the user's agent knows this connection by, if the user is one.
    connection: Option<String>,
    heard: Instant,
    watched: Option<String>,
}

impl Socket {
    async fn begin(
        up: &Arc<Upstream>,
        who: Principal,
        mut session: Session,
        number: u64,
        first: ClientFrame,
    ) -> Result<Self, Failure> {
        let (reach, place) = reach_of(up, who, &first)?;
        let (tenant, user) = (reach.principal.tenant.clone(), reach.principal.user.clone());
        let notices = up.live.listen(&tenant);
        let (feed, start) = Feed::open(&up.hub, &up.journal, reach, place).await?;
        let mut told_until = None;
        let (last, frame) = match start {
            Start::From(seq) => {
                let (epoch, heartbeat_s) = (up.hub.position().epoch, HEARTBEAT.as_secs() as u32);
                (seq, ServerFrame::Hello { epoch, seq, user: user.clone(), heartbeat_s })
            }
            // What a customer has is told commit by commit, from the first.
            Start::Anew { seq, reason } if feed.reach().thread().is_some() => {
                told_until = Some(seq);
                let mut frame = snapshot(up, feed.reach(), seq, reason).await?;
                if let ServerFrame::Reset { seq, .. } = &mut frame {
                    *seq = 0;
                }
                (0, frame)
            }
            Start::Anew { seq, reason } => (seq, snapshot(up, feed.reach(), seq, reason).await?),
        };
        let gone = |_| Failure::invalid("the connection ended");
        timed(session.text(to_text(&frame))).await.map_err(gone)?;
        let connection = presence::connection(&up.node, number);
        let (heard, up) = (Instant::now(), Arc::clone(up));
        let mut socket = Self { up, session, feed, notices, last, number, connection: None, heard, watched: None };
        if let Some(seq) = told_until {
            socket.tell_conversation(seq).await?;
        }
        socket.is_there(connection).await?;
        Ok(socket)
    }

    /// A customer who begins anew is told the whole conversation up to here: there is nothing else to begin with.
    async fn tell_conversation(&mut self, until: u64) -> Result<(), Failure> {
        let reach = self.feed.reach();
        let Some(key) = reach.thread() else { return Ok(()) };
        let subject =
            self.up.journal.subjects().events(&reach.principal.tenant, AggregateKind::Conversation.as_str(), key);
        let commits = self.up.journal.history(&subject, 0).await?;
        for commit in commits.into_iter().filter(|commit| commit.seq <= until) {
            let Some(shown) = customers::projected(&commit.payload) else { continue };
            let gone = |_| Failure::invalid("the connection ended");
            self.say(commit_frame(commit.seq, self.last, &shown.to_string())).await.map_err(gone)?;
            self.last = commit.seq;
        }
        Ok(())
    }

    /// Tells the user's agent that it is there, unless the agent knows.
    async fn is_there(&mut self, connection: String) -> Result<(), Failure> {
        let Principal { tenant, user, .. } = self.feed.reach().principal.clone();
        let (asked, whose, name) = (tenant.clone(), user.clone(), connection.clone());
        let known = self.up.read(move |this| Ok(presence::is_known(&this.store, &asked, &whose, &name)?)).await?;
        if known == Some(false)
            && let Err(error) = presence::tell(&self.up.journal, &tenant, &user, &connection, true).await
        {
            // It may have been said all the same.
            actix_web::rt::spawn(presence::gone(self.up.journal.clone(), tenant, user, connection));
            return Err(error.into());
        }
        self.connection = known.map(|_| connection);
        Ok(())
    }

    async fn run(&mut self, messages: &mut AggregatedMessageStream) -> Result<(), Ended> {
        let mut period = tokio::time::interval_at(tokio::time::Instant::now() + HEARTBEAT, HEARTBEAT);
        let mut under_way = FuturesUnordered::new();
        loop {
            tokio::select! {
                happened = self.feed.next() => self.happened(happened).await?,
                Some(result) = under_way.next(), if !under_way.is_empty() => {
                    let frame: ServerFrame = result;
                    self.say(to_text(&frame)).await?;
                }
                message = messages.next(), if under_way.len() < MAX_COMMANDS => {
                    let Some(Ok(message)) = message else { return Err(Ended) };
                    self.heard = Instant::now();
                    if let Some(wanted) = self.message(message).await? {
                        let (up, who) = (Arc::clone(&self.up), self.feed.reach().principal.clone());
                        under_way.push(command(up, who, wanted));
                    }
                }
                notice = self.notices.recv() => self.notice(notice).await?,
                _ = period.tick() => {
                    if self.heard.elapsed() > SILENCE {
                        return Err(Ended);
                    }
                    timed(self.session.ping(b"")).await?;
                    self.heartbeat().await?;
                    self.check().await?;
                }
            }
        }
    }

    async fn happened(&mut self, happened: Happened) -> Result<(), Ended> {
        match happened {
            Happened::Seen(seen) => {
                let Some(commit) = self.feed.reach().shown(&seen) else { return Ok(()) };
                self.say(commit_frame(seen.seq, self.last, &commit)).await?;
                self.last = seen.seq;
                Ok(())
            }
            Happened::RightsChanged(seen) => {
                let renewed = self.renewed(seen.seq).await;
                match renewed {
                    Ok(false) if self.feed.reach().sees(&seen) => {
                        self.say(commit_frame(seen.seq, self.last, seen.text())).await?;
                        self.last = seen.seq;
                        Ok(())
                    }
                    Ok(_) => Ok(()),
                    Err(failure) => self.fail(&failure).await,
                }
            }
            Happened::Cut => {
                let message = "this client is too far behind, or the log is another one: connect again, with `resume`";
                let failure = Failure::unavailable(message).named("too_slow");
                self.fail(&failure).await
            }
        }
    }

    /// Something happened to the user or the user's agent: what the client may see is looked at again. `true`: it is another
    /// set of things, and the client has begun anew.
    async fn renewed(&mut self, seq: u64) -> Result<bool, Failure> {
        self.up.projected(seq).await?;
        let principal = self.up.access.again(&self.feed.reach().principal)?;
        if self.feed.reach().is_of(&principal) {
            return Ok(false);
        }
        let reach = self.feed.reach().renewed(principal, &queues(&self.up, &self.feed.reach().principal.tenant));
        let (feed, start) = Feed::open(&self.up.hub, &self.up.journal, reach, Place::default()).await?;
        let (Start::From(seq) | Start::Anew { seq, .. }) = start;
        let frame = snapshot(&self.up, feed.reach(), seq, "permissions_changed").await?;
        let gone = |_| Failure::invalid("the connection ended");
        self.say(to_text(&frame)).await.map_err(gone)?;
        (self.feed, self.last) = (feed, seq);
        Ok(true)
    }

    async fn fail(&mut self, failure: &Failure) -> Result<(), Ended> {
        self.say(error_frame(failure, true)).await?;
        Err(Ended)
    }

    /// Tells the client how far the log was looked through for it.
    async fn heartbeat(&mut self) -> Result<(), Ended> {
        let position = self.up.hub.position().seq;
        // What came before that position is in the feed already.
        while let Some(happened) = self.feed.try_next() {
            self.happened(happened).await?;
        }
        let seq = if self.feed.is_reading() { self.last } else { position.max(self.last) };
        let at = Timestamp::from_millis(chrono::Utc::now().timestamp_millis());
        self.say(to_text(&ServerFrame::Heartbeat { seq, prev: self.last, at })).await?;
        self.last = seq;
        Ok(())
    }

    /// Whether the credential is still good, and the agent still knows of this connection.
    async fn check(&mut self) -> Result<(), Ended> {
        if let Err(error) = self.up.access.again(&self.feed.reach().principal) {
            return self.fail(&error.into()).await;
        }
        if let Some(connection) = self.connection.clone()
            && let Err(failure) = self.is_there(connection).await
        {
            tracing::debug!(%failure, "an agent's presence is said again later");
        }
        Ok(())
    }

    async fn message(&mut self, message: AggregatedMessage) -> Result<Option<(String, Wanted)>, Ended> {
        let text = match message {
            AggregatedMessage::Text(text) => text,
            AggregatedMessage::Ping(bytes) => {
                self.session.pong(&bytes).await?;
                return Ok(None);
            }
            AggregatedMessage::Pong(_) => return Ok(None),
            AggregatedMessage::Binary(_) => {
                self.say(error_frame(&Failure::invalid("frames are text"), false)).await?;
                return Ok(None);
            }
            AggregatedMessage::Close(_) => return Err(Ended),
        };
        match read_frame(&text) {
            Ok(ClientFrame::Command { id, aggregate, key, expected_version, command }) => {
                let wanted = Wanted { kind: aggregate, key, id: Some(id.clone()), expected_version, command };
                return Ok(Some((id, wanted)));
            }
            Ok(ClientFrame::Say { id, text }) => {
                let said = customers::say(&self.up, &self.feed.reach().principal, &id, &text).await;
                let refusal = said.err().map(|failure| Refusal::new(failure.code, failure.message));
                let result = CommandResult { id: id.clone(), ok: refusal.is_none(), version: None, seq: None, refusal };
                self.say(to_text(&ServerFrame::Result { id, result, changed: Vec::new() })).await?;
            }
            Ok(ClientFrame::Typing { on, .. }) if self.feed.reach().thread().is_some() => {
                let reach = self.feed.reach();
                let own = reach.thread().unwrap_or_default().to_owned();
                self.up.live.typing(&reach.principal.tenant, own, "customer".to_owned(), on);
            }
            Ok(ClientFrame::Typing { conversation, on }) => {
                let Principal { tenant, user, .. } = &self.feed.reach().principal;
                // Of no moment, and so not looked up: who may not read the conversation is told nothing of it in any case.
                self.up.live.typing(tenant, conversation, user.clone(), on);
            }
            Ok(ClientFrame::Watch { conversation }) => self.watch(conversation).await?,
            Ok(ClientFrame::Ping) => self.heartbeat().await?,
            Ok(ClientFrame::Resume { .. }) => {
                let failure = Failure::invalid("`resume` is the first frame, and no other");
                self.say(error_frame(&failure, false)).await?;
            }
            Err(failure) => self.say(error_frame(&failure, false)).await?,
        }
        Ok(None)
    }

    async fn watch(&mut self, conversation: Option<String>) -> Result<(), Ended> {
        let who = self.feed.reach().principal.clone();
        if let Some(key) = &conversation
            && let Err(failure) = commands::conversation(&self.up, &who, Permission::ReadConversation, key).await
        {
            self.say(error_frame(&failure, false)).await?;
            return Ok(());
        }
        self.up.live.watch(&who.tenant, self.number, &who.user, conversation.as_deref());
        self.watched = conversation;
        Ok(())
    }

    /// Only of the conversation that is on the client's screen, which it may read.
    async fn notice(&mut self, notice: Result<Notice, broadcast::error::RecvError>) -> Result<(), Ended> {
        let user = &self.feed.reach().principal.user;
        let frame = match notice {
            Ok(Notice::Typing { conversation, user: who, on }) if self.watched.as_ref() == Some(&conversation) => {
                if who == *user {
                    return Ok(());
                }
                ServerFrame::Typing { conversation, user: who, on }
            }
            Ok(Notice::Viewers { conversation, mut users }) if self.watched.as_ref() == Some(&conversation) => {
                users.remove(user);
                ServerFrame::Viewers { conversation, users: users.into_iter().collect() }
            }
            _ => return Ok(()),
        };
        self.say(to_text(&frame)).await
    }

    /// The connection is gone.
    async fn end(self) {
        let Principal { tenant, user, .. } = &self.feed.reach().principal;
        self.up.live.watch(tenant, self.number, user, None);
        if let Some(connection) = &self.connection {
            presence::gone(self.up.journal.clone(), tenant.clone(), user.clone(), connection.clone()).await;
        }
    }

    async fn say(&mut self, text: String) -> Result<(), Ended> {
        timed(self.session.text(text)).await
    }
}

/// Carries a client's command out; what is wrong with it is a result like any other.
async fn command(up: Arc<Upstream>, who: Principal, (id, wanted): (String, Wanted)) -> ServerFrame {
    match commands::carry_out(&up, &who, wanted).await {
        Ok(outcome) => ServerFrame::Result { id, result: outcome.result, changed: outcome.changed },
        Err(failure) => {
            let refusal = Some(Refusal::new(failure.code, failure.message));
            let result = CommandResult { id: id.clone(), ok: false, version: None, seq: None, refusal };
            ServerFrame::Result { id, result, changed: Vec::<Value>::new() }
        }
    }
}
