//! Values as people write them: addresses, durations, sizes. Each parser's error says what would be right.

use super::LogFormat;
use crate::journal::subjects::Subjects;
use ipnet::IpNet;
use std::{
    fmt::Display,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
    ops::RangeInclusive,
    str::FromStr,
    time::Duration,
};

/// Where HTTP listens unless it is said.
pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7070));

/// `127.0.0.1:7070`, `localhost:7070`, `[::1]:7070`, or `7070` for that port on loopback.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse() {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    let text = text.strip_prefix("localhost:").map_or(text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().map_err(|_| "an address and a port are needed, such as 127.0.0.1:7070".to_owned())
}

/// Names or the like, with commas between.
pub fn list<T>(text: &str, one: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(one).collect()
}

/// A host's name, without a port.
pub fn host(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match text.bytes().all(fits) {
        true => Ok(text.to_owned()),
        false => Err(format!("{text:?} is not the name of a host: no scheme, no port")),
    }
}

/// An address, or a network such as `10.0.0.0/8`.
pub fn network(text: &str) -> Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(IpNet::from);
    address
        .or_else(|_| text.parse::<IpNet>())
        .map_err(|_| format!("{text:?} is neither an address nor a network such as 10.0.0.0/8"))
}

/// A port; 0 is any free one.
pub fn port(text: &str) -> Result<u16, String> {
    number(text, 0..=u16::MAX)
}

/// A whole number in a range.
pub fn number<T: FromStr + PartialOrd + Display>(text: &str, range: RangeInclusive<T>) -> Result<T, String> {
    let number = text.replace('_', "").parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("a whole number from {} to {} is needed", range.start(), range.end()))
}

/// `true` or `false`.
pub fn flag(text: &str) -> Result<bool, String> {
    match text {
        "true" | "yes" | "1" | "on" => Ok(true),
        "false" | "no" | "0" | "off" => Ok(false),
        _ => Err("true or false is needed".to_owned()),
    }
}

/// One token of a subject.
pub fn token(text: &str) -> Result<String, String> {
    if kefu_events::key::is_token(text) {
        return Ok(text.to_owned());
    }
    Err("1 to 64 of A-Z, a-z, 0-9, _ and - are needed".to_owned())
}

/// The subjects under a prefix.
pub fn subjects(text: &str) -> Result<Subjects, String> {
    Subjects::new(text).map_err(|error| error.to_string())
}

/// `human` or `json`.
pub fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "human" => Ok(LogFormat::Human),
        "json" => Ok(LogFormat::Json),
        _ => Err("human or json is needed".to_owned()),
    }
}

/// `500ms`, `5s`, `1.5m`, `2h`, `1d`; a bare number counts seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a duration is needed, such as 500ms, 5s, 10m, 2h or 1d".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit.trim() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return Err(wrong()),
    };
    Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())
}

/// `512MiB`, `2GB`, `1048576`.
pub fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || "a size is needed, such as 512MiB or 2GiB".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "kb" => 1_000,
        "m" | "mib" => 1 << 20,
        "mb" => 1_000_000,
        "g" | "gib" => 1 << 30,
        "gb" => 1_000_000_000,
        _ => return Err(wrong()),
    };
    Ok((number * factor as f64) as u64)
}

/// A URL (or several, separated by commas) without the password in it.
pub fn without_password(url: &str) -> String {
    let one = |url: &str| match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => format!("{}…{}", &url[..scheme + 3], &url[at..]),
        (None, Some(at)) => format!("…{}", &url[at..]),
        _ => url.to_owned(),
    };
    url.split(',').map(one).collect::<Vec<_>>().join(",")
}
