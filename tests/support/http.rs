//! A server of HTTP/1.1 that does exactly what a test says, faults included: it may answer slowly, half, wrongly or never.
//!
//! Each test uses a part of it only.
#![allow(dead_code)]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What a client asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// The first line and the headers.
    pub head: String,
    /// The body; null if it is no JSON.
    pub body: serde_json::Value,
    /// The body as it came.
    pub text: String,
}

impl Request {
    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let of = |line: &'_ str| line.split_once(':').filter(|(header, _)| header.eq_ignore_ascii_case(name)).is_some();
        let line = self.head.lines().find(|line| of(line))?;
        line.split_once(':').map(|(_, value)| value.trim())
    }
}

/// What the server does about it.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A whole response with this status, these further headers and this body.
    Whole(u16, &'static str, String),
    /// Status 200 and these pieces of a body, one after the other, then the end.
    Pieces(Vec<String>),
    /// The same, but the connection breaks instead of the end.
    Broken(Vec<String>),
    /// The same, but after the pieces nothing more happens.
    Hangs(Vec<String>),
    /// The connection is closed without a word.
    Closed,
    /// Nothing, ever.
    Silence,
}

/// The server; it ends with the test's runtime.
pub struct Server {
    /// `http://127.0.0.1:<port>/v1`.
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Starts it. `reply` is asked with the number of the request, from 0, and the request.
    pub async fn start(reply: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_on(0, reply).await
    }

    /// The same on this port.
    pub async fn start_on(port: u16, reply: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (reply, seen) = (Arc::new(reply), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (reply, seen) = (Arc::clone(&reply), Arc::clone(&seen));
                tokio::spawn(async move {
                    let mut stream = stream;
                    let Some(request) = read(&mut stream).await else { return };
                    let reply = {
                        let mut seen: std::sync::MutexGuard<'_, Vec<Request>> = seen.lock().unwrap();
                        seen.push(request.clone());
                        reply(seen.len() - 1, &request)
                    };
                    // A client that gives up closes its end.
                    let _ = write(&mut stream, reply).await;
                });
            }
        });
        Self { url, requests }
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let header = |line: &str| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok();
    let length = head.lines().find_map(header).unwrap_or(0);
    while bytes.len() < head_end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let text = String::from_utf8_lossy(&bytes[head_end..]).into_owned();
    Some(Request { head, body: serde_json::from_str(&text).unwrap_or_default(), text })
}

async fn write(stream: &mut TcpStream, reply: Reply) -> std::io::Result<()> {
    let (pieces, ends, hangs) = match reply {
        Reply::Whole(status, headers, body) => {
            let head =
                format!("HTTP/1.1 {status} .\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n", body.len());
            return stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
        Reply::Pieces(pieces) => (pieces, true, false),
        Reply::Broken(pieces) => (pieces, false, false),
        Reply::Hangs(pieces) => (pieces, false, true),
        Reply::Closed => return Ok(()),
        Reply::Silence => return std::future::pending().await,
    };
    stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n").await?;
    for piece in pieces {
        stream.write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).await?;
        stream.flush().await?;
        tokio::task::yield_now().await;
    }
    if hangs {
        // waits because a server that hangs is what the test is about; the client ends first
        tokio::time::sleep(Duration::from_secs(600)).await;
    }
    if ends { stream.write_all(b"0\r\n\r\n").await } else { Ok(()) }
}
