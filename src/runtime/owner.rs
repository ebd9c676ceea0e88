//! The owner of one partition: an actor around the pure [`Machine`].
//!
//! It feeds the machine with what happens and carries out what the machine says. Reads of the store are done on the
//! spot, since they take microseconds; everything that asks the bus is a task that tells its outcome when it has one.
//! Whether to try again, and what then, is the machine's to say; only waiting out an unreachable server is done here.

use super::{
    Env,
    machine::{Action, AggregateId, Counters, Happened, Limits, Machine},
    metrics::METRICS,
};
use crate::{
    aggregate::{Cause, LookUp, kind::Kinds},
    journal::{AckToken, Backlog, Deliveries, Journal, JournalError, Outgoing, subjects::Subjects},
    store::{Store, StoreError},
};
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, StreamHandler};
use futures::{Stream, StreamExt, stream, stream::BoxStream};
use kefu_events::Timestamp;
use std::{
    collections::VecDeque,
    future::Future,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, watch};

/// Happenings handled in one go: enough to spread the cost of waking up, few enough that a tick is not late.
const CHUNK: usize = 256;
/// Between two times that the projector's progress alone wakes an owner. Whatever else happens brings it along.
const PROGRESS_PAUSE: Duration = Duration::from_millis(25);
/// Between two looks for idle aggregates, and two updates of the figures for monitoring.
const TICK: Duration = Duration::from_secs(1);
/// How long to wait for what the queues held at take-over. It is there and comes at once, unless somebody takes it out of
/// the queue by hand.
const BACKLOG_PATIENCE: Duration = Duration::from_secs(60);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What an owner is made of.
pub struct OwnerOptions<J> {
    /// The bus.
    pub journal: J,
    /// Names of subjects.
    pub subjects: Arc<Subjects>,
    /// What the projector remembers.
    pub store: Store,
    /// What it drives.
    pub kinds: Kinds,
    /// Limits of the partition.
    pub limits: Limits,
    /// Which one.
    pub partition: u16,
    /// Epoch of its lease.
    pub epoch: u64,
    /// Where what outlives the owner runs: acknowledgements that are still to be sent.
    pub tasks: tokio::runtime::Handle,
    /// Told once, when the owner has ended.
    pub ended: mpsc::UnboundedSender<Ended>,
    /// What is shown of it.
    pub figures: Arc<Mutex<Figures>>,
}

/// An owner has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its partition.
    pub partition: u16,
    /// Its epoch.
    pub epoch: u64,
    /// Whether everything that had been begun was finished.
    pub drained: bool,
}

/// What is shown of an owner, a second old at most.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct Figures {
    /// Whether it decides: the projector has passed what the log held at take-over.
    pub ready: bool,
    /// Aggregates in memory.
    pub active: usize,
    /// Inputs held in mailboxes.
    pub held: usize,
    /// What happened so far.
    #[serde(skip)]
    pub counters: Counters,
}

/// See the module's text.
pub struct Owner<J: Journal> {
    options: OwnerOptions<J>,
    machine: Machine,
    /// What the machine asked for and this actor answers itself.
    answers: VecDeque<Happened>,
    happened: mpsc::UnboundedSender<Happened>,
    incoming: Option<BoxStream<'static, Happened>>,
    acks: mpsc::UnboundedSender<AckToken>,
    drained: bool,
    readiness: Readiness,
    progress: watch::Receiver<u64>,
}

/// What must have happened before the machine is [`Happened::Ready`].
struct Readiness {
    backlog: Backlog,
    caught_up: bool,
    since: Instant,
    told: bool,
}

impl Readiness {
    /// Takes note of `happened`. Whether it is for this alone and not for the machine.
    fn note(&mut self, happened: &Happened) -> bool {
        match happened {
            Happened::Delivered(delivery) => self.backlog.count_down(delivery.queue),
            Happened::Ready => {
                self.caught_up = true;
                return true;
            }
            Happened::Tick if !self.told && self.since.elapsed() > BACKLOG_PATIENCE => {
                if !self.backlog.is_delivered() {
                    tracing::warn!(backlog = ?self.backlog, "messages of the queues did not come; goes on without them");
                }
                self.backlog = Backlog::default();
            }
            _ => {}
        }
        false
    }

    /// Whether the machine is to be told now.
    fn is_due(&mut self) -> bool {
        let due = !self.told && self.caught_up && self.backlog.is_delivered();
        self.told |= due;
        due
    }
}

/// Finish what was begun, begin nothing, then end.
pub struct Drain;

impl Message for Drain {
    type Result = ();
}

/// End now. What was begun is left to the next owner.
pub struct End;

impl Message for End {
    type Result = ();
}

impl<J: Journal> Owner<J> {
    /// An owner over what its queues deliver.
    pub fn new(options: OwnerOptions<J>, deliveries: Deliveries) -> Self {
        let backlog = deliveries.backlog();
        let (happened, outcomes) = mpsc::unbounded_channel();
        let (acks, to_ack) = mpsc::unbounded_channel();
        options.tasks.spawn(ack_all(options.journal.clone(), to_ack));
        options.tasks.spawn(tell_ready(options.journal.clone(), options.store.clone(), happened.clone()));
        let queues = deliveries.map(Happened::Delivered);
        let progress = options.store.watch_projected();
        let others = stream::select(outcomes_of(outcomes), projected(progress.clone()));
        // When the queues' stream ends, somebody else has taken over or the connection is gone: the whole stream ends.
        let incoming = until_first_ends(queues, stream::select(others, ticks()));
        Self {
            machine: Machine::new(options.kinds.clone(), options.limits),
            progress,
            options,
            answers: VecDeque::new(),
            happened,
            incoming: Some(incoming.boxed()),
            acks,
            drained: false,
            readiness: Readiness { backlog, caught_up: false, since: Instant::now(), told: false },
        }
    }

    fn handle_all(&mut self, chunk: Vec<Happened>, context: &mut Context<Self>) {
        let progress = self.progress.has_changed().is_ok_and(|changed| changed);
        let progress = progress.then(|| Happened::Projected(*self.progress.borrow_and_update()));
        // After the progress: what was projected is known.
        let settings = self.options.store.settings();
        let new_id = || uuid::Uuid::now_v7().simple().to_string();
        let env = Env { now: Timestamp::from(chrono::Utc::now()), tenants: &*settings, new_id: &new_id };
        let mut actions = Vec::new();
        for happened in progress.into_iter().chain(chunk) {
            let tick = matches!(happened, Happened::Tick);
            if !self.readiness.note(&happened) {
                self.machine.step(happened, &env, &mut actions);
            }
            let ready = self.readiness.is_due();
            if ready {
                self.machine.step(Happened::Ready, &env, &mut actions);
            }
            loop {
                for action in actions.drain(..) {
                    carry_out(
                        &self.options,
                        &self.happened,
                        &self.acks,
                        &mut self.answers,
                        &mut self.drained,
                        action,
                        context,
                    );
                }
                let Some(answer) = self.answers.pop_front() else { break };
                self.machine.step(answer, &env, &mut actions);
            }
            if ready || tick {
                self.show(ready);
            }
        }
    }

    fn show(&self, ready: bool) {
        if let Ok(mut figures) = self.options.figures.lock() {
            METRICS.add(figures.counters, self.machine.counters());
            figures.ready |= ready;
            figures.active = self.machine.active();
            figures.held = self.machine.held();
            figures.counters = self.machine.counters();
        }
    }
}

impl<J: Journal> Actor for Owner<J> {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        if let Some(incoming) = self.incoming.take() {
            context.add_stream(incoming.ready_chunks(CHUNK));
        }
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.show(false);
        let OwnerOptions { partition, epoch, .. } = self.options;
        // The node may be gone already, which is fine.
        let _ = self.options.ended.send(Ended { partition, epoch, drained: self.drained });
    }
}

impl<J: Journal> StreamHandler<Vec<Happened>> for Owner<J> {
    fn handle(&mut self, chunk: Vec<Happened>, context: &mut Self::Context) {
        self.handle_all(chunk, context);
    }

    fn finished(&mut self, context: &mut Self::Context) {
        context.stop();
    }
}

impl<J: Journal> Handler<Drain> for Owner<J> {
    type Result = ();

    fn handle(&mut self, _: Drain, context: &mut Self::Context) {
        self.handle_all(vec![Happened::Drain], context);
    }
}

impl<J: Journal> Handler<End> for Owner<J> {
    type Result = ();

    fn handle(&mut self, _: End, context: &mut Self::Context) {
        context.stop();
    }
}

fn carry_out<J: Journal>(
    options: &OwnerOptions<J>,
    happened: &mpsc::UnboundedSender<Happened>,
    acks: &mpsc::UnboundedSender<AckToken>,
    answers: &mut VecDeque<Happened>,
    drained: &mut bool,
    action: Action,
    context: &mut Context<Owner<J>>,
) {
    let journal = options.journal.clone();
    let subjects = options.subjects.clone();
    let tell = happened.clone();
    // On this actor's own thread: a message would cross between threads four times otherwise, and each crossing wakes
    // somebody up.
    let task = |future| drop(actix_rt::spawn(future));
    match action {
        Action::Load(id) => match options.store.snapshot(&id.tenant, id.kind, &id.key) {
            Ok(snapshot) => answers.push_back(Happened::Loaded(id, snapshot)),
            Err(error) => give_up(options, &format!("{id}: {error}"), context),
        },
        Action::LookUp { id, cause, questions } => match look_up(&options.store, &id, cause, &questions) {
            Ok((seen, found)) => answers.push_back(Happened::LookedUp { id, seen, found }),
            // "Not found" would be a lie that decides an old input a second time.
            Err(error) => give_up(options, &format!("{id}: {error}"), context),
        },
        Action::Append { id, expected, payload, attempt } => task(boxed(async move {
            pause(attempt).await;
            if tell.is_closed() {
                return; // The next owner decides anew.
            }
            let subject = subjects.events(&id.tenant, id.kind.as_str(), &id.key);
            let began = Instant::now();
            let outcome = journal.append(&subject, expected, payload).await;
            METRICS.append_seconds.observe(began.elapsed().as_secs_f64());
            match &outcome {
                Ok(seq) => tracing::debug!(aggregate = %id, seq, "committed"),
                Err(error) => tracing::debug!(aggregate = %id, expected, attempt, %error, "append failed"),
            }
            let _ = tell.send(Happened::Appended(id, outcome));
        })),
        Action::ReadLast { id, attempt } => task(boxed(async move {
            pause(attempt.saturating_sub(1)).await;
            let subject = subjects.events(&id.tenant, id.kind.as_str(), &id.key);
            let Some(last) = insist(&tell, || journal.last(&subject)).await else { return };
            let Some(position) = insist(&tell, || journal.position()).await else { return };
            let _ = tell.send(Happened::LastRead(id, last, position));
        })),
        Action::ReadHistory { id, after, attempt } => task(boxed(async move {
            pause(attempt.saturating_sub(1)).await;
            let subject = subjects.events(&id.tenant, id.kind.as_str(), &id.key);
            let Some(commits) = insist(&tell, || journal.history(&subject, after)).await else { return };
            let _ = tell.send(Happened::HistoryRead(id, commits));
        })),
        Action::Recall { id, seq } => task(boxed(async move {
            let Some(commit) = insist(&tell, || journal.read(seq)).await else { return };
            let _ = tell.send(Happened::Recalled(id, commit));
        })),
        Action::ReadEnd => task(boxed(async move {
            let Some(position) = insist(&tell, || journal.position()).await else { return };
            let _ = tell.send(Happened::EndRead(position.last));
        })),
        Action::Publish { id, outgoing } => task(boxed(async move {
            for one in outgoing {
                METRICS.published(&one);
                if insist(&tell, || journal.publish(one.clone())).await.is_none() {
                    return;
                }
            }
            let _ = tell.send(Happened::Published(id));
        })),
        Action::Reject { outgoing, ack } => {
            outgoing.iter().for_each(note_rejection);
            let acks = acks.clone();
            task(boxed(async move {
                for one in outgoing {
                    if insist(&tell, || journal.publish(one.clone())).await.is_none() {
                        return;
                    }
                }
                let _ = acks.send(ack);
            }));
        }
        Action::Ack(token) => {
            let _ = acks.send(token);
        }
        Action::Stop(why) => give_up(options, &why, context),
        Action::Drained => {
            *drained = true;
            context.stop();
        }
    }
}

fn give_up<J: Journal>(options: &OwnerOptions<J>, why: &str, context: &mut Context<Owner<J>>) {
    let OwnerOptions { partition, epoch, .. } = *options;
    tracing::error!(partition, epoch, why, "gives the partition up and takes it over again");
    context.stop();
}

fn note_rejection(outgoing: &Outgoing) {
    if let Outgoing::Rejected { tenant, source, headers, .. } = outgoing {
        let header = |name: &str| headers.get(name).map_or("", String::as_str);
        use super::intake::header::{DETAIL, KEY, REASON};
        tracing::info!(
            tenant,
            source,
            conversation = header(KEY),
            reason = header(REASON),
            detail = header(DETAIL),
            "rejected"
        );
        METRICS.published(outgoing);
    }
}

/// One type for all tasks, so that there is one `spawn`.
fn boxed(future: impl Future<Output = ()> + Send + 'static) -> futures::future::BoxFuture<'static, ()> {
    Box::pin(future)
}

/// The commit that an input led to, and the answers to the questions, in their order.
fn look_up(
    store: &Store,
    id: &AggregateId,
    cause: Option<Cause>,
    questions: &[LookUp],
) -> Result<(Option<u64>, Vec<Vec<String>>), StoreError> {
    let seen = match cause {
        Some(cause) => store.seq_of_cause(&id.tenant, id.kind, &id.key, cause)?,
        None => None,
    };
    let answer = |question: &LookUp| match question {
        LookUp::ContactsByAttribute { name, value } => store.contacts_by_attribute(&id.tenant, name, value),
        LookUp::Administrators => store.administrators(&id.tenant),
    };
    Ok((seen, questions.iter().map(answer).collect::<Result<_, _>>()?))
}

/// Before try number `attempt` (0: the first): nothing, then 5 ms, doubling, so that a conflict costs little and a lasting
/// trouble does not keep the server busy.
async fn pause(attempt: u32) {
    if attempt > 0 {
        let millis = 5u64 << (attempt - 1).min(9);
        tokio::time::sleep(Duration::from_millis(millis).min(LONGEST_PAUSE)).await;
    }
}

/// Repeats `call` until the server answers. `None`: the owner has ended, or the server says no for good (which ends it).
async fn insist<T, F>(tell: &mpsc::UnboundedSender<Happened>, call: impl Fn() -> F) -> Option<T>
where
    F: Future<Output = Result<T, JournalError>>,
{
    for attempt in 1.. {
        match call().await {
            Ok(value) => return Some(value),
            Err(error) if tell.is_closed() => {
                tracing::debug!(%error, "left to the next owner");
                return None;
            }
            Err(error) if error.is_transient() => tracing::debug!(%error, attempt, "tries again"),
            // A permission or a limit that somebody may mend while we wait; to give up here would lose the effect.
            Err(error) => tracing::error!(%error, attempt, "the server refuses; tries again"),
        }
        pause(attempt.min(8)).await;
    }
    None
}

async fn ack_all<J: Journal>(journal: J, mut tokens: mpsc::UnboundedReceiver<AckToken>) {
    while let Some(token) = tokens.recv().await {
        if let Err(error) = journal.ack(&token).await {
            tracing::debug!(%error, "an acknowledgement was lost; the message will come again and be recognised");
        }
    }
}

/// Says `Ready` once the store knows everything that the log held when the partition was taken over.
async fn tell_ready<J: Journal>(journal: J, store: Store, tell: mpsc::UnboundedSender<Happened>) {
    if caught_up(&journal, &store).await {
        let _ = tell.send(Happened::Projected(*store.watch_projected().borrow()));
        let _ = tell.send(Happened::Ready);
    }
}

/// Waits until the store knows everything that the log holds now. `false`: the store was closed.
pub(super) async fn caught_up<J: Journal>(journal: &J, store: &Store) -> bool {
    let mut projected = store.watch_projected();
    loop {
        match journal.position().await {
            Ok(position) => return projected.wait_for(|seq| *seq >= position.last).await.is_ok(),
            Err(error) => tracing::debug!(%error, "tries again"),
        }
        tokio::time::sleep(LONGEST_PAUSE / 4).await;
    }
}

fn outcomes_of(outcomes: mpsc::UnboundedReceiver<Happened>) -> impl Stream<Item = Happened> + Send {
    stream::unfold(outcomes, |mut outcomes| async move { outcomes.recv().await.map(|outcome| (outcome, outcomes)) })
}

fn projected(watch: watch::Receiver<u64>) -> impl Stream<Item = Happened> + Send {
    stream::unfold((watch, false), |(mut watch, again)| async move {
        if again {
            tokio::time::sleep(PROGRESS_PAUSE).await;
        }
        watch.changed().await.ok()?;
        let seq = *watch.borrow_and_update();
        Some((Happened::Projected(seq), (watch, true)))
    })
}

fn ticks() -> impl Stream<Item = Happened> + Send {
    stream::unfold(tokio::time::interval(TICK), |mut interval| async move {
        interval.tick().await;
        Some((Happened::Tick, interval))
    })
}

/// Both streams, fairly, until the first one ends.
fn until_first_ends<T: Send>(
    first: impl Stream<Item = T> + Send,
    second: impl Stream<Item = T> + Send,
) -> impl Stream<Item = T> + Send {
    let first = first.map(Some).chain(stream::once(async { None }));
    stream::select(first, second.map(Some))
        .take_while(|item| futures::future::ready(item.is_some()))
        .filter_map(futures::future::ready)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Delivery, Queue};

    fn delivered(queue: Queue) -> Happened {
        Happened::Delivered(Delivery {
            queue,
            stream_seq: 1,
            tenant: "t".into(),
            source: "web".into(),
            key: "k".into(),
            payload: bytes::Bytes::new(),
            ack: AckToken(String::new()),
        })
    }

    fn readiness(inbox: u64, commands: u64) -> Readiness {
        let backlog = Backlog::new(inbox, commands, 100);
        Readiness { backlog, caught_up: false, since: Instant::now(), told: false }
    }

    #[test]
    fn ready_means_caught_up_and_both_queues_delivered_and_is_said_once() {
        let mut readiness = readiness(1, 2);
        assert!(readiness.note(&Happened::Ready), "not for the machine yet");
        for queue in [Queue::Commands, Queue::Inbox] {
            assert!(!readiness.note(&delivered(queue)), "deliveries are for the machine");
            assert!(!readiness.is_due(), "what the former owner held is not all there");
        }
        readiness.note(&delivered(Queue::Commands));
        assert!(readiness.is_due());
        assert!(!readiness.is_due());
    }

    #[test]
    fn a_store_that_lags_keeps_an_owner_with_empty_queues_waiting() {
        let mut readiness = readiness(0, 0);
        readiness.note(&Happened::Tick);
        assert!(!readiness.is_due());
        readiness.note(&Happened::Ready);
        assert!(readiness.is_due());
    }
}
