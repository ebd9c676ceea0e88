//! What is answered.

use super::{Probe, Report};
use crate::telemetry;
use actix_web::{HttpResponse, http::header::ContentType, web};
use serde_json::json;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/", web::get().to(front))
        .route("/healthz", web::get().to(healthz))
        .route("/readyz", web::get().to(readyz))
        .route("/metrics", web::get().to(metrics));
}

async fn front(probe: web::Data<Probe>) -> HttpResponse {
    let ready = match probe().waiting_for.as_slice() {
        [] => "ready".to_owned(),
        reasons => format!("not ready: {}", reasons.join("; ")),
    };
    let text = format!(
        "kefu {}, a customer-service engine.\n{ready}\n\n\
         /healthz   whether the process lives\n\
         /readyz    whether it does its work\n\
         /metrics   for Prometheus\n\n\
         Messages go over NATS, and this page has none of them. See `kefu --help`.\n",
        env!("CARGO_PKG_VERSION")
    );
    HttpResponse::Ok().content_type(ContentType::plaintext()).body(text)
}

async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "ok": true, "version": env!("CARGO_PKG_VERSION") }))
}

async fn readyz(probe: web::Data<Probe>) -> HttpResponse {
    let Report { waiting_for, sample } = probe();
    let ready = waiting_for.is_empty();
    let body = json!({
        "ready": ready,
        "waiting_for": waiting_for,
        "partitions_owned": sample.partitions_owned,
        "partitions": sample.partitions,
        "projector_seq": sample.projector_seq,
        "log_seq": sample.log_seq,
    });
    if ready { HttpResponse::Ok().json(body) } else { HttpResponse::ServiceUnavailable().json(body) }
}

async fn metrics(probe: web::Data<Probe>) -> HttpResponse {
    let text = telemetry::render_metrics(&probe().sample);
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text)
}
