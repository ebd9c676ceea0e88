//! Refuses requests that a foreign web page makes in a visitor's browser by pointing its own name at this machine (DNS
//! rebinding): those carry the foreign name as their `Host`.

use actix_web::{
    Error, HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
};
use std::net::IpAddr;

/// Lets only those through that ask for an address, or for this machine by the name that it has everywhere.
pub(super) async fn only_known_hosts<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let known = is_known(request.connection_info().host());
    // Whoever listens on all interfaces has a name that is not known here, and a proxy or firewall before it.
    let loopback = request.app_config().local_addr().ip().is_loopback();
    if loopback && !known {
        let answer = HttpResponse::MisdirectedRequest().body("this is kefu on loopback: ask for it by address\n");
        return Ok(request.into_response(answer).map_into_right_body());
    }
    next.call(request).await.map(ServiceResponse::map_into_left_body)
}

fn is_known(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::is_known;

    #[test]
    fn addresses_and_localhost_are_known_and_other_names_are_not() {
        for known in ["127.0.0.1:7070", "localhost", "localhost:7070", "[::1]:7070"] {
            assert!(is_known(known), "{known}");
        }
        for foreign in ["evil.example", "evil.example:7070", "localhost.evil.example", ""] {
            assert!(!is_known(foreign), "{foreign}");
        }
    }
}
