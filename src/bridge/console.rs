//! The agents' web page, as it was built into this program.

use actix_web::{HttpRequest, HttpResponse, http::header};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "console/dist/"]
#[allow_missing = true]
struct Files;

/// What a browser may load and run in the page: only what this server sends, nothing inline.
pub(super) const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
     connect-src 'self'; font-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Whether the page was built before this program was.
pub(super) fn is_built() -> bool {
    Files::get("index.html").is_some()
}

/// A file of the page; every path that is none is the page itself, which reads it.
pub(super) async fn page(request: HttpRequest) -> HttpResponse {
    let path = request.path().trim_start_matches('/');
    let asset = path.starts_with("assets/");
    let file = Files::get(path).filter(|_| !path.is_empty());
    let (file, name) = match file {
        Some(file) => (file, path),
        None if asset => return HttpResponse::NotFound().body("there is no such file\n"),
        None => match Files::get("index.html") {
            Some(file) => (file, "index.html"),
            None => return not_built(),
        },
    };
    let known = format!("\"{}\"", hex(&file.metadata.sha256_hash()[..16]));
    let cached = request.headers().get(header::IF_NONE_MATCH).and_then(|tag| tag.to_str().ok()) == Some(known.as_str());
    let mut response = if cached { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((header::ETAG, known));
    // The names of assets hold a hash of what is in them.
    response
        .insert_header((header::CACHE_CONTROL, if asset { "public, max-age=31536000, immutable" } else { "no-cache" }));
    response.content_type(media_type(name));
    if cached { response.finish() } else { response.body(file.data.into_owned()) }
}

fn not_built() -> HttpResponse {
    HttpResponse::NotFound().content_type("text/plain; charset=utf-8").body(
        "This kefu was built without its web page. With Node.js:\n\n  cd console && npm ci && npm run build && cargo build --release\n\n\
         The interface is there all the same: see /api/v1/openapi.json, /readyz and /metrics.\n",
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension).unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" | "webmanifest" => "application/json",
        "woff2" => "font/woff2",
        "wav" => "audio/wav",
        "ogg" => "audio/ogg",
        _ => "application/octet-stream",
    }
}
