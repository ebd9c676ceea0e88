//! A client of the WebSocket, for tests.

use super::PATIENCE;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest},
};

/// One connection.
pub struct Socket<S>(WebSocketStream<S>);

impl Socket<TcpStream> {
    /// Connects to this port; a token goes into a header, as programs have it.
    pub async fn open(port: u16, token: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        Self::over(stream, &format!("ws://127.0.0.1:{port}/api/v1/socket"), Some(token)).await
    }

    /// The same as a page of a customer's does it, which can set no header.
    pub async fn of_page(port: u16, token: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        Self::over(stream, &format!("ws://127.0.0.1:{port}/api/v1/socket?token={token}"), None).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// Over a connection that stands.
    pub async fn over(stream: S, url: &str, token: Option<&str>) -> Self {
        let mut request = url.into_client_request().unwrap();
        if let Some(token) = token {
            request.headers_mut().insert("Authorization", format!("Bearer {token}").parse().unwrap());
        }
        Self(client_async(request, stream).await.expect("a WebSocket").0)
    }

    /// Sends a frame.
    pub async fn send(&mut self, frame: Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// Begins anew; the first frame.
    pub async fn begin(&mut self) -> Value {
        self.send(json!({ "type": "resume" })).await;
        self.next().await.expect("the first frame")
    }

    /// The next frame; `None`: the connection has ended.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await.expect("frames go on") {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// The next frame that `wanted` accepts.
    pub async fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let frame = self.next().await.unwrap_or_else(|| panic!("the connection ended before {what}"));
            if wanted(&frame) {
                return frame;
            }
        }
    }
}
