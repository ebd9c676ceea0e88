//! The service, in front of a model that a test holds back and lets go.

use kefu::search::embed::{EmbedError, Embedder, Embeddings, EmbeddingsOptions, ModelIdentity, Role};
use std::{
    num::NonZeroUsize,
    sync::{Arc, Condvar, Mutex},
};

/// Says of each text how long it is, and in which batches it was asked. Waits while it is held.
struct Held {
    identity: ModelIdentity,
    held: Mutex<bool>,
    released: Condvar,
    batches: Mutex<Vec<Vec<String>>>,
}

impl Held {
    fn new(held: bool) -> Arc<Self> {
        let identity = ModelIdentity { name: "held".to_owned(), sha256: String::new(), dimensions: 1 };
        Arc::new(Self { identity, held: Mutex::new(held), released: Condvar::new(), batches: Mutex::default() })
    }

    fn release(&self) {
        *self.held.lock().unwrap() = false;
        self.released.notify_all();
    }
}

impl Embedder for Held {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    fn embed(&self, texts: &[&str], _role: Role) -> Result<Vec<Vec<f32>>, EmbedError> {
        self.batches.lock().unwrap().push(texts.iter().map(|text| (*text).to_owned()).collect());
        drop(self.released.wait_while(self.held.lock().unwrap(), |held| *held).unwrap());
        assert!(!texts.contains(&"panic"), "the test wants a panic");
        if texts.contains(&"fail") {
            return Err(EmbedError::Model("as asked".to_owned()));
        }
        Ok(texts.iter().map(|text| vec![text.len() as f32]).collect())
    }
}

fn options(queue: usize) -> EmbeddingsOptions {
    let size = |count| NonZeroUsize::new(count).unwrap();
    EmbeddingsOptions { workers: size(1), queue, batch: size(4), cache: size(3) }
}

/// Starts to ask, and waits until the service has the question.
async fn ask(service: &Arc<Embeddings>, text: &str, role: Role) -> tokio::task::JoinHandle<Result<f32, EmbedError>> {
    let before = service.counts().asked;
    let (asked, text) = (Arc::clone(service), text.to_owned());
    let handle = tokio::spawn(async move { asked.embed(&text, role).await.map(|vector| vector[0]) });
    while service.counts().asked == before {
        tokio::task::yield_now().await;
    }
    handle
}

/// Until the only worker has taken what waits.
async fn taken(service: &Embeddings) {
    while service.counts().waiting > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_waits_is_computed_together_and_roles_apart() {
    let model = Held::new(true);
    let service = Arc::new(Embeddings::start(model.clone(), options(100)).unwrap());
    let first = ask(&service, "a", Role::Question).await;
    taken(&service).await;
    let mut later = Vec::new();
    for (text, role) in
        [("bb", Role::Question), ("ccc", Role::Question), ("d", Role::Passage), ("eeee", Role::Question)]
    {
        later.push(ask(&service, text, role).await);
    }
    model.release();
    assert_eq!(first.await.unwrap().unwrap(), 1.0);
    let mut lengths = Vec::new();
    for answer in later {
        lengths.push(answer.await.unwrap().unwrap());
    }
    assert_eq!(lengths, [2.0, 3.0, 1.0, 4.0]);
    assert_eq!(*model.batches.lock().unwrap(), [vec!["a"], vec!["bb", "ccc"], vec!["d"], vec!["eeee"]]);
    let counts = service.counts();
    assert_eq!((counts.asked, counts.computed, counts.batches, counts.waiting), (5, 5, 4, 0));
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_forgets_who_gave_up() {
    let model = Held::new(true);
    let service = Arc::new(Embeddings::start(model.clone(), options(2)).unwrap());
    let running = ask(&service, "running", Role::Question).await;
    taken(&service).await;
    let waiting = [ask(&service, "one", Role::Question).await, ask(&service, "two", Role::Question).await];
    assert!(matches!(service.embed("three", Role::Question).await, Err(EmbedError::Busy)));
    assert_eq!((service.counts().refused, service.counts().waiting), (1, 2));

    let [one, two] = waiting;
    one.abort();
    assert!(one.await.unwrap_err().is_cancelled());
    let four = ask(&service, "four", Role::Question).await;
    model.release();
    assert!(running.await.unwrap().is_ok() && two.await.unwrap().is_ok() && four.await.unwrap().is_ok());
    assert!(!model.batches.lock().unwrap().concat().contains(&"one".to_owned()));
}

#[tokio::test]
async fn a_text_that_comes_again_is_not_computed_again_until_it_is_forgotten() {
    let model = Held::new(false);
    let service = Embeddings::start(model.clone(), options(10)).unwrap();
    for text in ["a", "a", "b", "a", "c", "d", "a", "b"] {
        service.embed(text, Role::Question).await.unwrap();
    }
    // Three are kept: d pushed b out, since a had been asked again.
    assert_eq!(model.batches.lock().unwrap().concat(), ["a", "b", "c", "d", "b"]);
    assert_eq!((service.counts().asked, service.counts().cached), (8, 3));
    service.embed("a", Role::Passage).await.unwrap();
    assert_eq!(service.counts().cached, 3, "the other role is another vector");
}

#[tokio::test]
async fn an_error_and_a_panic_reach_the_asker_and_the_worker_lives_on() {
    let service = Embeddings::start(Held::new(false), options(10)).unwrap();
    let error = service.embed("fail", Role::Question).await.unwrap_err();
    assert!(error.to_string().contains("as asked"));
    let error = service.embed("panic", Role::Question).await.unwrap_err();
    assert!(error.to_string().contains("panicked"));
    assert!(service.embed("fine", Role::Question).await.is_ok());
    assert_eq!((service.counts().failed, service.counts().computed), (2, 1));
}

#[test]
fn many_texts_come_back_in_their_order_and_progress_is_told() {
    let model = Held::new(false);
    let many = EmbeddingsOptions { workers: NonZeroUsize::new(3).unwrap(), ..options(1) };
    let service = Embeddings::start(model, many).unwrap();
    let texts: Vec<String> = (0..50).map(|length| "x".repeat(length)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut told = Vec::new();
    let vectors = service.embed_all(&texts, Role::Passage, |done| told.push(done)).unwrap();
    assert!(vectors.iter().enumerate().all(|(at, vector)| vector == &[at as f32]));
    assert!(told.is_sorted() && told.last() == Some(&50) && told.len() == 13);
    assert!(service.embed_all(&["fine", "fail"], Role::Passage, |_| ()).is_err());
    assert!(service.embed_all(&[], Role::Passage, |_| ()).unwrap().is_empty());
}
