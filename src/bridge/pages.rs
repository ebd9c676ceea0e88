//! What is answered.

use super::{Probe, Report};
use crate::telemetry;
use actix_web::{HttpResponse, web};
use serde_json::json;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/healthz", web::get().to(healthz))
        .route("/readyz", web::get().to(readyz))
        .route("/metrics", web::get().to(metrics));
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
