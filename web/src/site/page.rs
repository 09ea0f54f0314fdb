//! The pages: one for operators, one behind meetings' links. Nothing comes from elsewhere.

use ::daemon::answer::{Answer, text};
use hyper::header::{
    CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

/// Scripts and requests of this origin alone; nobody may show it in a frame.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
);

pub(super) fn operators() -> Answer {
    safe(text("text/html; charset=utf-8", include_str!("page/operators.html")))
}

pub(super) fn script() -> Answer {
    safe(text("text/javascript; charset=utf-8", include_str!("page/page.js")))
}

/// The same for every meeting, whether there is one or not.
pub(super) fn link() -> Answer {
    safe(text("text/html; charset=utf-8", include_str!("page/link.html")))
}

fn safe(mut answer: Answer) -> Answer {
    let headers = answer.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answer
}
