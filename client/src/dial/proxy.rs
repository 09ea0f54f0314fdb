//! HTTP proxies: which one there is, for which hosts, and what it is asked.

use super::connect::{Refused, connect};
use super::stream::Stream;
use super::{Dialer, Target};
use crate::ClientError;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::proxy::matcher::Matcher;
use percent_encoding::percent_decode_str;
use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use url::Url;

/// Where the environment names the proxy for HTTPS, the first that is set.
const VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
/// Where it names the hosts that have none.
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Whether an HTTP proxy may stand in the way.
#[derive(Clone, Debug, Default)]
pub enum ProxyChoice {
    /// None does.
    #[default]
    None,
    /// For who can't reach the web infrastructure without: this one, for all hosts but those excepted.
    Fallback(ProxyUrl, Exceptions),
    /// Everything goes through this one.
    Through(ProxyUrl),
}

/// Hosts that are reached without the proxy, as in `NO_PROXY`: names with all that is below them, IP addresses and
/// networks.
#[derive(Clone, Default)]
pub struct Exceptions(Option<Arc<Matcher>>);

/// An HTTP proxy: `http://HOST:PORT`, `https://` where it speaks TLS itself, with `USER:PASSWORD@` if it asks for them.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    tls: bool,
    at: Target,
    /// `Proxy-Authorization`, ready to be sent.
    basic: Option<HeaderValue>,
}

impl ProxyChoice {
    /// What `--proxy` says: `auto`, `none`, a URL, or `@FILE` that holds it.
    ///
    /// # Errors
    /// What is named can't be read, or is no HTTP proxy.
    pub fn from_argument(argument: &str) -> Result<Self, ClientError> {
        match argument {
            "none" => Ok(Self::None),
            "auto" => Self::from_variables(|name| std::env::var(name).ok()),
            _ => {
                let url = crate::options::argument(argument).map_err(ClientError::Proxy)?;
                Ok(Self::Through(url.parse()?))
            }
        }
    }

    /// What the environment says.
    fn from_variables(value: impl Fn(&str) -> Option<String>) -> Result<Self, ClientError> {
        let first = |names: &[&'static str]| {
            let set =
                |name: &&'static str| value(name).filter(|it| !it.is_empty()).map(|it| (*name, it));
            names.iter().find_map(set)
        };
        let Some((name, url)) = first(&VARIABLES[..]) else { return Ok(Self::None) };
        let url = url.parse().map_err(|error| match error {
            ClientError::Proxy(why) => ClientError::Proxy(format!("{name}: {why}")),
            other => other,
        })?;
        let hosts = first(&EXCEPTIONS[..]).map(|(_, hosts)| hosts).unwrap_or_default();
        // The matcher takes it for all names, others for all hosts.
        if hosts.split(',').any(|host| host.trim() == "*") {
            return Ok(Self::None);
        }
        Ok(Self::Fallback(url, Exceptions::new(&hosts)))
    }
}

impl Exceptions {
    /// As `NO_PROXY` is written: separated by commas.
    pub fn new(hosts: &str) -> Self {
        let all = "http://proxy.invalid";
        Self(Some(Arc::new(Matcher::builder().https(all.to_owned()).no(hosts.to_owned()).build())))
    }

    fn contains(&self, host: &str) -> bool {
        let Some(matcher) = &self.0 else { return false };
        let authority = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let uri = format!("https://{authority}/").parse::<Uri>();
        uri.is_ok_and(|uri| matcher.intercept(&uri).is_none())
    }
}

impl fmt::Debug for Exceptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exceptions(…)")
    }
}

impl FromStr for ProxyUrl {
    type Err = ClientError;

    fn from_str(text: &str) -> Result<Self, ClientError> {
        // Never the text itself: it may hold a password.
        let wrong = |why: &str| ClientError::Proxy(why.to_owned());
        let with_scheme =
            if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&with_scheme).map_err(|cause| wrong(&cause.to_string()))?;
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(wrong("it is no HTTP proxy, and others are not known")),
        };
        let bare =
            matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let at = Target::of(&url).filter(|_| bare);
        let at = at.ok_or_else(|| wrong("it names more, or less, than a host and a port"))?;
        let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let basic = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => {
                Some(basic(&decoded(user), &decoded(password.unwrap_or_default()))?)
            }
        };
        Ok(Self { tls, at, basic })
    }
}

/// RFC 7617 §2: the user has no colon.
fn basic(user: &str, password: &str) -> Result<HeaderValue, ClientError> {
    if user.contains(':') || format!("{user}{password}").chars().any(char::is_control) {
        return Err(ClientError::Proxy("user or password can't be sent as Basic".into()));
    }
    let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
    let mut value = HeaderValue::try_from(format!("Basic {encoded}"))
        .expect("base64 is made of what a header may have");
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http{}://{}", if self.tls { "s" } else { "" }, self.at)
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyUrl({self})")
    }
}

/// A proxy in use.
pub(crate) struct Proxy {
    url: ProxyUrl,
    exceptions: Exceptions,
    /// It asked for user and password once: from then on they are sent at once.
    asks: AtomicBool,
}

impl Proxy {
    pub(crate) fn new(url: ProxyUrl, exceptions: Exceptions) -> Self {
        Self { url, exceptions, asks: AtomicBool::new(false) }
    }

    /// Whether connections to this host go through it.
    pub(crate) fn serves(&self, host: &str) -> bool {
        !self.exceptions.contains(host)
    }

    /// Through it to a host. Shows user and password only when it is asked to.
    pub(super) async fn connect(&self, dialer: &Dialer, to: &Target) -> io::Result<Stream> {
        let asked_before = self.asks.load(Ordering::Relaxed);
        let credentials = self.url.basic.as_ref().filter(|_| asked_before);
        let refused = match self.ask(dialer, to, credentials).await? {
            Ok(stream) => return Ok(stream),
            Err(refused) => refused,
        };
        let Some(credentials) = self.credentials_for(&refused, asked_before)? else {
            return Err(self.explain(to, &refused));
        };
        self.asks.store(true, Ordering::Relaxed);
        match self.ask(dialer, to, Some(credentials)).await? {
            Ok(stream) => Ok(stream),
            Err(Refused { status: 407, .. }) => {
                Err(self.failed("does not take this user and password"))
            }
            Err(refused) => Err(self.explain(to, &refused)),
        }
    }

    async fn ask(
        &self,
        dialer: &Dialer,
        to: &Target,
        credentials: Option<&HeaderValue>,
    ) -> io::Result<Result<Stream, Refused>> {
        let answered = async {
            let stream = dialer.connect_directly(&self.url.at).await?;
            if !self.url.tls {
                return connect(stream, to, credentials).await;
            }
            let local = stream.local();
            let inside = dialer.https(&self.url.at, stream).await?;
            connect(Stream::inside(local, inside), to, credentials).await
        };
        answered.await.map_err(|cause| self.failed(&format!("can't be used: {cause}")))
    }

    /// What to show to a proxy that asks for it; `None`: that is not why it refused.
    fn credentials_for(&self, refused: &Refused, shown: bool) -> io::Result<Option<&HeaderValue>> {
        if refused.status != 407 {
            return Ok(None);
        }
        if shown {
            return Err(self.failed("does not take this user and password any more"));
        }
        if !refused.schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("basic")) {
            let schemes = refused.schemes.join(", ");
            return Err(self.failed(&format!(
                "asks for authentication by {schemes:?}; only Basic is known here"
            )));
        }
        let remedy =
            "asks for user and password: name them in its URL, http://USER:PASSWORD@HOST:PORT";
        self.url.basic.as_ref().map(Some).ok_or_else(|| self.failed(remedy))
    }

    fn explain(&self, to: &Target, refused: &Refused) -> io::Error {
        let why = match refused.status {
            403 | 405 => {
                "does not let anybody connect there; whoever runs it can allow CONNECT to it"
            }
            502..=504 => "can't reach it",
            _ => "did not connect",
        };
        self.failed(&format!("was asked for {to} and {why} (status {})", refused.status))
    }

    fn failed(&self, why: &str) -> io::Error {
        io::Error::other(format!("the proxy {} {why}", self.url))
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may fail by panic
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_in_every_usual_form_and_its_password_never_shown() {
        for (text, shown, has_password) in [
            ("http://proxy.example.org:3128", "http://proxy.example.org:3128", false),
            ("proxy:8080/", "http://proxy:8080", false),
            ("https://proxy", "https://proxy:443", false),
            ("http://[2001:db8::1]:3128", "http://[2001:db8::1]:3128", false),
            ("http://ada:s%40cret@10.0.0.1:3128", "http://10.0.0.1:3128", true),
        ] {
            let url: ProxyUrl = text.parse().unwrap();
            assert_eq!((url.to_string().as_str(), url.basic.is_some()), (shown, has_password));
            assert!(!format!("{url:?}").contains("cret"));
        }
        let url: ProxyUrl = "http://ada:s%40cret@p".parse().unwrap();
        assert_eq!(url.basic.unwrap(), "Basic YWRhOnNAY3JldA==");
        for wrong in [
            "",
            "socks5://p:1080",
            "http://p/path",
            "http://p:x",
            "http://a%3Ab:c@p",
            "http://a:%0a@p",
        ] {
            let error = wrong.parse::<ProxyUrl>().unwrap_err().to_string();
            assert!(error.contains("--proxy"), "{error}");
        }
        let error = "http://ada:secret@p:port".parse::<ProxyUrl>().unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn the_environment_is_read_as_others_read_it() {
        let chosen = |variables: &[(&str, &str)]| {
            ProxyChoice::from_variables(|name| {
                variables.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(matches!(chosen(&[]).unwrap(), ProxyChoice::None));
        assert!(matches!(chosen(&[("HTTP_PROXY", "p")]).unwrap(), ProxyChoice::None));
        assert!(matches!(chosen(&[("https_proxy", "")]).unwrap(), ProxyChoice::None));
        let both =
            [("ALL_PROXY", "http://all:1"), ("https_proxy", "http://https:2"), ("no_proxy", "a")];
        let ProxyChoice::Fallback(url, exceptions) = chosen(&both).unwrap() else { panic!() };
        assert_eq!(url.to_string(), "http://https:2");
        assert!(
            exceptions.contains("a") && exceptions.contains("b.a") && !exceptions.contains("ba")
        );
        let none = [("ALL_PROXY", "http://all:1"), ("NO_PROXY", "a, *")];
        assert!(matches!(chosen(&none).unwrap(), ProxyChoice::None));
        let error = chosen(&[("ALL_PROXY", "socks5://p:1")]).unwrap_err().to_string();
        assert!(error.contains("ALL_PROXY"), "{error}");
    }

    #[test]
    fn exceptions_are_names_addresses_and_networks() {
        let exceptions =
            Exceptions::new("example.org, .inside, 192.0.2.0/24, 2001:db8::/32,10.0.0.1");
        for host in [
            "example.org",
            "EXAMPLE.org",
            "a.example.org",
            "x.inside",
            "192.0.2.7",
            "2001:db8::7",
            "10.0.0.1",
        ] {
            assert!(exceptions.contains(host), "{host}");
        }
        for host in ["badexample.org", "192.0.3.1", "2001:db9::1", "10.0.0.2", "example.org.evil"] {
            assert!(!exceptions.contains(host), "{host}");
        }
        assert!(!Exceptions::default().contains("anything"));
    }
}
