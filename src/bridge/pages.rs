//! What is answered to those who watch over the machine.

use super::{Probe, Report, answer::Failure, caller::Shared, measure::MEASURED};
use crate::telemetry::{Figures, catalogue};
use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderMap},
    web,
};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{
    net::IpAddr,
    sync::{Arc, LazyLock},
};

/// Headers by which proxies say that they ask for somebody else.
const FORWARDED: [&str; 6] =
    ["Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP"];

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/healthz", web::get().to(healthz))
        .route("/readyz", web::get().to(readyz))
        .route("/metrics", web::get().to(metrics));
}

/// Who may read the metrics: they name tenants, channels and queues. With a token whoever shows it; without one this machine,
/// as long as no proxy says that it asks for somebody else.
#[derive(Clone)]
pub(super) struct MetricsGuard(Option<[u8; 32]>);

impl MetricsGuard {
    pub fn new(token: Option<&str>) -> Self {
        Self(token.map(|token| Sha256::digest(token).into()))
    }

    fn check(&self, from: Option<IpAddr>, headers: &HeaderMap) -> Result<(), Failure> {
        let Some(expected) = &self.0 else {
            let forwarded = FORWARDED.iter().any(|name| headers.contains_key(*name));
            if from.is_some_and(|from| from.to_canonical().is_loopback()) && !forwarded {
                return Ok(());
            }
            return Err(Failure::forbidden(
                "metrics are for this machine; for others, start kefu with --metrics-token-file FILE and send `Authorization: \
                 Bearer TOKEN`",
            ));
        };
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        // Hashes are compared, so that the time that it takes says nothing of the token.
        let right = shown.is_some_and(|token| <[u8; 32]>::from(Sha256::digest(token.trim())) == *expected);
        if right { Ok(()) } else { Err(Failure::unauthenticated("send `Authorization: Bearer TOKEN`")) }
    }
}

async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "ok": true, "version": env!("CARGO_PKG_VERSION") }))
}

async fn readyz(probe: web::Data<Probe>) -> HttpResponse {
    let Report { waiting_for, partitions, partitions_owned, projector_seq, log_seq } = (probe.report)();
    let ready = waiting_for.is_empty();
    let body = json!({
        "ready": ready,
        "waiting_for": waiting_for,
        "partitions_owned": partitions_owned,
        "partitions": partitions,
        "projector_seq": projector_seq,
        "log_seq": log_seq,
    });
    if ready { HttpResponse::Ok().json(body) } else { HttpResponse::ServiceUnavailable().json(body) }
}

async fn metrics(
    request: HttpRequest,
    probe: web::Data<Probe>,
    guard: web::Data<MetricsGuard>,
    shared: web::Data<Arc<Shared>>,
) -> Result<HttpResponse, Failure> {
    guard.check(request.peer_addr().map(|from| from.ip()), request.headers())?;
    // Shown from the first time on, with nothing in it.
    LazyLock::force(&MEASURED);
    let clients = shared.upstream.get().map_or(0, |up| up.hub.clients());
    // It looks at RocksDB's files and at every line: not on a thread that serves others.
    let measured = web::block(move || {
        let mut figures: Figures = (probe.figures)();
        figures.set(&catalogue::SOCKETS, [], clients);
        figures.render()
    });
    let text = measured.await.map_err(|error| Failure::internal(&error))?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    fn may(token: Option<&str>, from: &str, headers: &[(&'static str, &'static str)]) -> bool {
        let named = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static(value))
        };
        let headers: HeaderMap = headers.iter().map(named).collect();
        MetricsGuard::new(token).check(Some(from.parse().unwrap()), &headers).is_ok()
    }

    #[test]
    fn metrics_do_not_leak_through_a_proxy_or_to_other_machines() {
        assert!(may(None, "127.0.0.1", &[]));
        assert!(may(None, "::ffff:127.0.0.1", &[]));
        assert!(!may(None, "192.0.2.7", &[]));
        assert!(!may(None, "127.0.0.1", &[("x-forwarded-for", "192.0.2.7")]));
        assert!(!may(None, "127.0.0.1", &[("forwarded", "for=192.0.2.7")]));
        let token = Some("0123456789abcdef0123456789abcdef");
        assert!(may(token, "192.0.2.7", &[("authorization", "Bearer 0123456789abcdef0123456789abcdef")]));
        assert!(!may(token, "127.0.0.1", &[]), "a proxy on this machine may be anybody's");
        assert!(!may(token, "127.0.0.1", &[("authorization", "Bearer 0123456789abcdef")]));
    }
}
