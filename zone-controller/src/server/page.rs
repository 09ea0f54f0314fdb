//! The live page: a table that asks for the zone's state every second. Nothing comes from elsewhere.

use super::answer::Refused;
use super::{Context, operators};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

/// Scripts and requests of this origin alone; nobody may show it in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; \
                      style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

pub(super) async fn page(State(context): State<Context>, headers: HeaderMap) -> Response {
    show(&context, &headers, "text/html; charset=utf-8", include_str!("page/page.html"))
}

pub(super) async fn script(State(context): State<Context>, headers: HeaderMap) -> Response {
    show(&context, &headers, "text/javascript; charset=utf-8", include_str!("page/page.js"))
}

fn show(
    context: &Context,
    headers: &HeaderMap,
    content_type: &'static str,
    text: &'static str,
) -> Response {
    if let Err(refusal) = operators::may_look(context, headers) {
        return Refused(context, refusal).into_response();
    }
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text).into_response()
}
