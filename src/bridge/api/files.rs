//! Bytes of images and files. What people upload is never shown as a page of ours: only pictures of known kinds are shown,
//! all else is for saving.

use crate::{
    access::{Permission, Resource},
    bridge::{answer::Failure, caller::Caller},
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, ContentDisposition, DispositionParam, DispositionType},
    web::{Bytes, Path, Query},
};
use futures::stream;
use serde::Deserialize;
use serde_json::json;
use tokio::io::AsyncReadExt;

/// Bytes of one file.
pub(in crate::bridge) const MAX_FILE_BYTES: usize = 20 << 20;
/// Characters of its name.
const MAX_NAME_CHARS: usize = 200;
/// Bytes that are read from the store at a time.
const CHUNK: usize = 64 * 1024;
/// What a browser shows without running anything that is in it. SVG can hold scripts.
const SHOWN: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::bridge) struct Named {
    name: String,
}

pub(in crate::bridge) async fn upload(
    caller: Caller,
    request: HttpRequest,
    named: Query<Named>,
    bytes: Bytes,
) -> Result<HttpResponse, Failure> {
    caller.up.access.check(&caller.who, Permission::WriteFile, &Resource::Tenant)?;
    let name = named.into_inner().name;
    if name.trim().is_empty() || name.chars().count() > MAX_NAME_CHARS || name.chars().any(char::is_control) {
        return Err(Failure::invalid(format!(
            "a file's name has 1 to {MAX_NAME_CHARS} characters, and no line breaks"
        )));
    }
    if bytes.is_empty() {
        return Err(Failure::invalid("the file is empty: its bytes are the body"));
    }
    let given = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mime = given.map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    let mime = mime.filter(|mime| is_media_type(mime)).unwrap_or_else(|| "application/octet-stream".to_owned());
    // The name is told to people and never becomes part of an address; what is stored has a name that we make.
    let object = format!("{}.{}", caller.who.tenant, uuid::Uuid::now_v7().simple());
    let stored = caller.up.journal.put_file(&object, &mime, &mut bytes.as_ref()).await?;
    let answer = json!({ "object": stored.object, "name": name, "mime": stored.mime, "size": stored.size });
    Ok(HttpResponse::Created().json(answer))
}

fn is_media_type(text: &str) -> bool {
    let is_name = |part: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c);
        !part.is_empty() && part.len() <= 64 && part.chars().all(allowed)
    };
    text.split_once('/').is_some_and(|(kind, subtype)| is_name(kind) && is_name(subtype))
}

/// Objects belong to the tenant whose name they begin with, as those do that the command line stores. No tenant has a dot in it.
fn is_of(tenant: &str, object: &str) -> bool {
    object.strip_prefix(tenant).is_some_and(|rest| rest.starts_with('.'))
}

pub(in crate::bridge) async fn download(caller: Caller, object: Path<String>) -> Result<HttpResponse, Failure> {
    caller.up.access.check(&caller.who, Permission::ReadFile, &Resource::Tenant)?;
    let missing = || Failure::not_found(format!("file {object:?}"));
    if !is_of(&caller.who.tenant, &object) {
        return Err(missing());
    }
    let (file, bytes) = caller.up.journal.get_file(&object).await?.ok_or_else(missing)?;
    let shown = SHOWN.contains(&file.mime.as_str());
    let disposition = if shown { DispositionType::Inline } else { DispositionType::Attachment };
    let name = DispositionParam::Filename(object.replace(['/', '\\', '"'], "_"));
    let chunks = stream::unfold(Box::pin(bytes), |mut bytes| async move {
        let mut chunk = Vec::with_capacity(CHUNK);
        match bytes.as_mut().take(CHUNK as u64).read_to_end(&mut chunk).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(Bytes::from(chunk)), bytes)),
            Err(error) => Some((Err(error), bytes)),
        }
    });
    Ok(HttpResponse::Ok()
        .content_type(if shown { file.mime.as_str() } else { "application/octet-stream" })
        .insert_header(ContentDisposition { disposition, parameters: vec![name] })
        // An object never changes; but who may read it can.
        .insert_header((header::CACHE_CONTROL, "private, max-age=3600"))
        .streaming(chunks))
}

#[cfg(test)]
mod tests {
    use super::{is_media_type, is_of};

    #[test]
    fn a_file_belongs_to_the_tenant_that_its_name_begins_with() {
        assert!(is_of("demo", "demo.0198"));
        for foreign in ["demo2.0198", "demo-x.0198", "other.demo.1", "demo", "", "../demo.1"] {
            assert!(!is_of("demo", foreign), "{foreign}");
        }
    }

    #[test]
    fn what_is_no_media_type_is_not_handed_on() {
        assert!(is_media_type("image/svg+xml"));
        for wrong in ["", "text", "text/", "a/b/c", "text/html\r\nX: y", "text/ html"] {
            assert!(!is_media_type(wrong), "{wrong}");
        }
    }
}
