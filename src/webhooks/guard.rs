//! Where commits may be sent: not into the server's own network, unless its configuration says so.
//!
//! A tenant's administrator names the address, and the server asks it: without this, the server's own network could be asked
//! through it (server-side request forgery). The address is looked at where the connection is made, so that a name that leads
//! elsewhere the second time it is looked up gains nothing.

use crate::http::{self, Fault};
use reqwest::{
    Client, Url,
    dns::{Addrs, Name, Resolve, Resolving},
};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} is an address of a private network: the server's configuration must allow that (webhooks.private_addresses = true)"
)]
pub struct Private(pub String);

/// A client that connects to public addresses only, unless private ones are allowed. It asks no proxy: that would look the name up
/// itself.
pub(super) fn client(private: bool) -> Result<Client, Fault> {
    http::client_with(|builder| {
        let builder = builder.no_proxy();
        if private { builder } else { builder.dns_resolver(Arc::new(PublicOnly)) }
    })
}

/// Whether the host is an address that must not be connected to. Names are looked at when they are looked up.
pub(super) fn check(url: &Url, private: bool) -> Result<(), Private> {
    let address = match url.host() {
        Some(url::Host::Ipv4(address)) => IpAddr::V4(address),
        Some(url::Host::Ipv6(address)) => IpAddr::V6(address),
        _ => return Ok(()),
    };
    if private || is_public(address) { Ok(()) } else { Err(Private(address.to_string())) }
}

struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let public: Vec<SocketAddr> = found.iter().copied().filter(|found| is_public(found.ip())).collect();
            match found.first() {
                Some(first) if public.is_empty() => Err(Private(format!("{name} ({})", first.ip())).into()),
                _ => Ok(Box::new(public.into_iter()) as Addrs),
            }
        })
    }
}

/// Whether an address belongs to the public Internet (IANA's registries of special-purpose addresses).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b))
        || a >= 240;
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let inner = |high: u16, low: u16| {
        let ([w, x], [y, z]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(w, x, y, z))
    };
    match (a, b) {
        // Addresses that hold one of IPv4: mapped, translated (NAT64), 6to4.
        (0, 0) if (c, d, e) == (0, 0, 0) && f == 0xffff => inner(g, h),
        (0x64, 0xff9b) if (c, d, e, f) == (0, 0, 0, 0) => inner(g, h),
        (0x2002, _) => inner(b, c),
        // Teredo, benchmarks, ORCHID, documentation.
        (0x2001, b) if b < 0x0200 || b == 0x0db8 => false,
        (0x3fff, b) if b < 0x1000 => false,
        // All that was ever given out.
        (a, _) => a & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_servers_own_network_are_not_public_however_they_are_written() {
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "ff02::1",
            "::127.0.0.1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in
            ["1.1.1.1", "8.8.8.8", "172.32.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
        {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        // What a URL makes of other ways of writing them.
        for host in ["2130706433", "0x7f.1", "[::ffff:7f00:1]", "127.1:80"] {
            let url = Url::parse(&format!("http://{host}/")).unwrap();
            assert!(check(&url, false).is_err() && check(&url, true).is_ok(), "{url}");
        }
        assert!(check(&Url::parse("https://crm.example/").unwrap(), false).is_ok());
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_not_connected_to() {
        let client = client(false).unwrap();
        let error = client.get("http://localhost:9/").send().await.unwrap_err();
        assert!(Fault::from(error).to_string().contains("private network"), "the reason is told");
    }
}
