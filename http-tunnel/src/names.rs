//! Where the targets are: names are resolved here, never by what a client says.
//!
//! A name leads to public addresses, and to those of the networks the operator allows: whoever can
//! change a zone's DNS can't make the tunnel a way into its own host or network.

use crate::limits::{ADDRESSES_MAX, RESOLVE_PATIENCE, RESOLVED_FOR, RESOLVED_FOR_MAX};
use crate::target::{Target, may_resolve_to};
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::lookup_host;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// The names of all targets, and what they were last resolved to.
pub struct Names {
    known: HashMap<(String, u16), Arc<Mutex<Option<Resolved>>>>,
    private: Vec<IpNet>,
}

struct Resolved {
    at: Instant,
    addresses: Vec<SocketAddr>,
}

impl Names {
    /// Of these targets; `private` are the networks that are not public and yet may be led to.
    pub fn new<'a>(targets: impl IntoIterator<Item = &'a Target>, private: Vec<IpNet>) -> Self {
        let name = |target: &Target| match target {
            Target::Name(name, port) => Some(((name.clone(), *port), Arc::default())),
            Target::Address(_) => None,
        };
        Self { known: targets.into_iter().filter_map(name).collect(), private }
    }

    /// The addresses to try, in this order; none when the name is unknown, can't be resolved, or leads
    /// where it may not.
    pub async fn addresses(&self, target: &Target) -> Vec<SocketAddr> {
        let (name, port) = match target {
            Target::Address(address) => return vec![*address],
            Target::Name(name, port) => (name, *port),
        };
        let Some(known) = self.known.get(&(name.clone(), port)) else { return Vec::new() };
        // One asks; who wants the same name meanwhile waits for the answer.
        let mut known = known.lock().await;
        if let Some(resolved) = &*known
            && resolved.at.elapsed() < RESOLVED_FOR
        {
            return resolved.addresses.clone();
        }
        if let Some(addresses) = self.resolve(name, port).await {
            *known = Some(Resolved { at: Instant::now(), addresses });
        }
        let young = known.as_ref().filter(|resolved| resolved.at.elapsed() < RESOLVED_FOR_MAX);
        young.map(|resolved| resolved.addresses.clone()).unwrap_or_default()
    }

    async fn resolve(&self, name: &str, port: u16) -> Option<Vec<SocketAddr>> {
        match timeout(RESOLVE_PATIENCE, lookup_host((name, port))).await {
            Ok(Ok(found)) => Some(self.allowed(name, found)),
            Ok(Err(error)) => {
                tracing::warn!(name, %error, "a target's name can't be resolved");
                None
            }
            Err(_) => {
                tracing::warn!(name, "a target's name was not resolved in time");
                None
            }
        }
    }

    fn allowed(&self, name: &str, found: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
        let mut allowed = Vec::new();
        for address in found {
            if !may_resolve_to(address.ip(), &self.private) {
                tracing::warn!(
                    name, address = %address.ip(),
                    "a target's name leads to an address that is not public: list its network in names.private \
                     if that is meant"
                );
            } else if allowed.len() < ADDRESSES_MAX && !allowed.contains(&address) {
                allowed.push(address);
            }
        }
        allowed
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops where something is missing")]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::parse(text).unwrap()
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_host_leads_nowhere_unless_that_is_meant() {
        let localhost = target("localhost:443");
        let names = Names::new([&localhost], Vec::new());
        assert_eq!(names.addresses(&localhost).await, []);
        let private = vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let names = Names::new([&localhost], private);
        let found = names.addresses(&localhost).await;
        assert!(!found.is_empty() && found.iter().all(|it| it.ip().is_loopback()), "{found:?}");
        assert_eq!(names.addresses(&localhost).await, found);
    }

    #[tokio::test]
    async fn only_listed_names_are_resolved_and_addresses_are_themselves() {
        let names = Names::new([], vec!["127.0.0.0/8".parse().unwrap()]);
        assert_eq!(names.addresses(&target("localhost:443")).await, []);
        let address = "192.0.2.1:443";
        assert_eq!(names.addresses(&target(address)).await, [address.parse().unwrap()]);
    }

    #[test]
    fn a_hostile_answer_is_filtered() {
        let names = Names::new([], Vec::new());
        let found = ["127.0.0.1:1", "203.0.113.7:1", "[::ffff:203.0.113.8]:1", "10.0.0.1:1"];
        let allowed = names.allowed("zc", found.iter().map(|text| text.parse().unwrap()));
        assert_eq!(allowed, ["203.0.113.7:1".parse().unwrap()]);
    }
}
