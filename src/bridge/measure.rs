//! What is counted of the bridge. What each metric means stands in the [`catalogue`].

use crate::telemetry::catalogue;
use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
};
use prometheus::{Histogram, IntCounter, IntCounterVec};
use std::{sync::LazyLock, time::Instant};

/// Waits for something to happen, on purpose.
const LONG_POLLING: &str = "/api/v1/events";

/// The one set of this process.
pub(super) static MEASURED: LazyLock<Measured> = LazyLock::new(|| Measured {
    sockets_opened: catalogue::SOCKETS_OPENED.counter().with_label_values::<&str>(&[]),
    sockets_cut: catalogue::SOCKETS_CUT.counter().with_label_values::<&str>(&[]),
    requests: {
        let requests = catalogue::HTTP_REQUESTS.counter();
        for class in CLASSES {
            requests.with_label_values(&[class]);
        }
        requests
    },
    seconds: catalogue::HTTP_SECONDS.histogram().with_label_values::<&str>(&[]),
});

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// See each field's definition in the catalogue.
pub(super) struct Measured {
    /// [`catalogue::SOCKETS_OPENED`].
    pub sockets_opened: IntCounter,
    /// [`catalogue::SOCKETS_CUT`].
    pub sockets_cut: IntCounter,
    requests: IntCounterVec,
    seconds: Histogram,
}

/// Counts a request.
pub(super) async fn counted<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let (began, waits) = (Instant::now(), request.path() == LONG_POLLING);
    let answered = next.call(request).await;
    let status = match &answered {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    let class = CLASSES.get(usize::from(status.as_u16() / 100).wrapping_sub(1)).copied().unwrap_or("5xx");
    MEASURED.requests.with_label_values(&[class]).inc();
    if !waits {
        MEASURED.seconds.observe(began.elapsed().as_secs_f64());
    }
    answered
}
