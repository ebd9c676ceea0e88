//! What stands between kefu and those who ask: the names by which it is reached, and proxies, whose word on who asks is taken.
//!
//! By the name, requests are refused that a foreign web page makes in a visitor's browser by pointing its own name at this machine
//! (DNS rebinding): those carry the foreign name as their `Host`.

use super::caller::Shared;
use actix_web::{
    Error, HttpRequest, HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HOST, HeaderName, X_FORWARDED_FOR, X_FORWARDED_PROTO},
    middleware::Next,
    web::Data,
};
use ipnet::IpNet;
use std::{net::IpAddr, sync::Arc};

/// See the module's text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Front {
    /// Names by which kefu is reached, besides addresses and `localhost`.
    pub names: Vec<String>,
    /// Where proxies are that say for whom they ask, in `X-Forwarded-For` and `X-Forwarded-Proto`.
    pub proxies: Vec<IpNet>,
}

impl Front {
    /// The address of whoever asks. What a header says anybody can write: it counts where one of the proxies has passed it on, up to
    /// the first address that is not one of theirs.
    pub(super) fn address(&self, request: &HttpRequest) -> String {
        let peer = request.peer_addr().map(|address| address.ip().to_canonical());
        let asker = peer.map(|peer| match self.is_proxy(peer) {
            true => self.behind(header(request, &X_FORWARDED_FOR)).unwrap_or(peer),
            false => peer,
        });
        asker.map(|address| address.to_string()).unwrap_or_default()
    }

    fn behind(&self, forwarded: &str) -> Option<IpAddr> {
        let mut last = None;
        for address in forwarded.rsplit(',') {
            let address = address.trim().parse::<IpAddr>().ok()?.to_canonical();
            last = Some(address);
            if !self.is_proxy(address) {
                break;
            }
        }
        last
    }

    /// Whether whoever asks does it over TLS, with kefu or with a proxy.
    pub(super) fn is_secure(&self, request: &HttpRequest) -> bool {
        let by_proxy = || {
            let peer = request.peer_addr().map(|address| address.ip().to_canonical());
            peer.is_some_and(|peer| self.is_proxy(peer)) && header(request, &X_FORWARDED_PROTO) == "https"
        };
        request.app_config().secure() || by_proxy()
    }

    fn is_proxy(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(&address))
    }

    fn knows(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or(rest),
            None => host.split(':').next().unwrap_or(host),
        };
        let own = |known: &String| known.eq_ignore_ascii_case(name);
        name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok() || self.names.iter().any(own)
    }
}

fn header<'a>(request: &'a HttpRequest, name: &HeaderName) -> &'a str {
    request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Lets only those through that ask for an address, or for kefu by one of its names.
pub(super) async fn only_known_hosts<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    // Not what `connection_info` says, in which headers that a page may set come first.
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().host()).unwrap_or_default();
    let known = request.app_data::<Data<Arc<Shared>>>().is_some_and(|shared| shared.front.knows(host));
    // Whoever listens on all interfaces has names that are not known here, and a proxy or firewall before it.
    let loopback = request.app_config().local_addr().ip().is_loopback();
    if loopback && !known {
        let answer = "this is kefu on loopback: ask for it by address, or put its name into http.names\n";
        let answer = HttpResponse::MisdirectedRequest().body(answer);
        return Ok(request.into_response(answer).map_into_right_body());
    }
    next.call(request).await.map(ServiceResponse::map_into_left_body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn front() -> Front {
        Front {
            names: vec!["kefu.example".to_owned()],
            proxies: vec!["127.0.0.1/32".parse().unwrap(), "10.0.0.0/8".parse().unwrap()],
        }
    }

    #[test]
    fn addresses_localhost_and_own_names_are_known_and_others_are_not() {
        for known in ["127.0.0.1:7070", "localhost", "localhost:7070", "[::1]:7070", "Kefu.Example", "kefu.example:443"]
        {
            assert!(front().knows(known), "{known}");
        }
        for foreign in ["evil.example", "evil.example:7070", "localhost.evil.example", "x.kefu.example", ""] {
            assert!(!front().knows(foreign), "{foreign}");
        }
    }

    #[test]
    fn only_a_proxys_word_on_who_asks_is_taken() {
        let of = |peer: &str, forwarded: &str, front: &Front| {
            let request = TestRequest::default().peer_addr(format!("{peer}:5000").parse().unwrap());
            front.address(&request.insert_header((X_FORWARDED_FOR, forwarded)).to_http_request())
        };
        for (peer, forwarded, who) in [
            ("127.0.0.1", "203.0.113.7", "203.0.113.7"),
            ("127.0.0.1", "1.2.3.4, 203.0.113.7", "203.0.113.7"),
            ("127.0.0.1", "203.0.113.7, 10.1.2.3", "203.0.113.7"),
            ("127.0.0.1", "10.1.2.3", "10.1.2.3"),
            ("127.0.0.1", "nonsense", "127.0.0.1"),
            ("127.0.0.1", "", "127.0.0.1"),
            ("198.51.100.9", "203.0.113.7", "198.51.100.9"),
        ] {
            assert_eq!(of(peer, forwarded, &front()), who, "{peer} {forwarded}");
        }
        assert_eq!(of("127.0.0.1", "203.0.113.7", &Front::default()), "127.0.0.1");
    }
}
