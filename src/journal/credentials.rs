//! stub
pub(super) fn outbox_consumer(tenant: &str, channel: &str) -> String {
    format!("out={tenant}={channel}")
}
pub(super) fn analyst_consumer(user: &str) -> String {
    format!("analyst={user}")
}
