//! A router for trying out and for tests: its own certificate, its own signing key, free ports on
//! loopback.
//!
//! Not for production: the private keys lie in a folder that only its owner may enter.

use crate::config::{Config, Limits, Listen, TlsFiles};
use crate::{Error, files};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wire::Kind;
use wire::limits::TOKEN_LIFETIME_S_MAX;
use wire::token::{Claims, Role, Signer};

/// The zone of every [`Dev`].
pub const ZONE: &str = "dev";
/// Name of the certificate a client must trust, within the folder.
pub const CA_FILE: &str = "ca.pem";
/// Name of the signing key, within the folder.
pub const SIGNING_KEY_FILE: &str = "signing-key.pem";
/// Name of the admin socket, within the folder.
pub const ADMIN_SOCKET: &str = "admin.sock";

const NEW_FOLDER: &str = "Give a folder of your own with --state-dir.";

/// Certificate, keys and folder of a router for trying out.
pub struct Dev {
    dir: PathBuf,
    temporary: bool,
    signer: Signer,
    ca_pem: String,
}

impl Dev {
    /// In a new folder under the system's temporary one, removed when dropped.
    ///
    /// # Errors
    /// When the folder or a file in it can't be written.
    pub fn temporary() -> Result<Self, Error> {
        let name = format!("mmr-dev-{}-{:016x}", std::process::id(), rand::random::<u64>());
        let mut dev = Self::at(&std::env::temp_dir().join(name))?;
        dev.temporary = true;
        Ok(dev)
    }

    /// In this folder, made for its owner alone when it is not there; new certificate and keys each
    /// time.
    ///
    /// # Errors
    /// When the folder is somebody else's, or it or a file in it can't be written.
    pub fn at(dir: &Path) -> Result<Self, Error> {
        files::private_folder(dir).map_err(|cause| {
            Error::system(format!("the folder {} can't be used", dir.display()), cause, NEW_FOLDER)
        })?;
        let signer = Signer::generate();
        let chain = Chain::generate();
        let files = [
            (CA_FILE, chain.ca.as_str()),
            ("certificate.pem", &chain.leaf),
            ("certificate-key.pem", &chain.leaf_key),
            ("token-keys.json", &signer.public_jwks()),
            (SIGNING_KEY_FILE, &signer.private_pem()),
        ];
        for (name, content) in files {
            let path = dir.join(name);
            files::write_private(&path, content).map_err(|cause| {
                let doing = format!("{} can't be written", path.display());
                Error::system(doing, cause, NEW_FOLDER)
            })?;
        }
        Ok(Self { dir: dir.to_owned(), temporary: false, signer, ca_pem: chain.ca })
    }

    /// The configuration of a router that listens on free ports of 127.0.0.1 and ::1, with two
    /// workers.
    pub fn config(&self) -> Config {
        let tls = TlsFiles {
            certificate: self.dir.join("certificate.pem"),
            key: self.dir.join("certificate-key.pem"),
        };
        let defaults = Config::with_defaults(ZONE, tls, self.dir.join("token-keys.json"));
        let mut config = Config {
            listen: Listen {
                addresses: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
                media_port: 0,
                tls_port: 0,
                advertise: Vec::new(),
            },
            // Everybody comes from loopback. Fewer files than an ordinary user may open.
            limits: Limits {
                channels: 384,
                channels_per_address: 384,
                connections: 384,
                ..Limits::default()
            },
            admin_socket: Some(self.dir.join(ADMIN_SOCKET)),
            drain_deadline: Duration::from_secs(5),
            ..defaults
        };
        config.workers.count = Some(2);
        config
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The certificate a client must trust, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The same as a file.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.join(CA_FILE)
    }

    /// Signs tokens this router takes.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// A token for all kinds, valid from now for as long as a token may be.
    pub fn token(&self, meeting: &str, participant: &str, role: Role) -> String {
        let lifetime = Duration::from_secs(TOKEN_LIFETIME_S_MAX);
        self.signer.sign(&claims(ZONE, meeting, participant, role, &Kind::ALL, lifetime))
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if self.temporary {
            // Nothing can be done about a folder that is gone already.
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

/// Claims from now on, with a fresh `jti`.
pub fn claims(
    zone: &str,
    meeting: &str,
    participant: &str,
    role: Role,
    kinds: &[Kind],
    lifetime: Duration,
) -> Claims {
    let now = unix_now_s();
    Claims {
        aud: zone.to_owned(),
        meeting: meeting.to_owned(),
        sub: participant.to_owned(),
        role,
        kinds: kinds.to_vec(),
        iat: now,
        exp: now + lifetime.as_secs(),
        jti: format!("{:032x}", rand::random::<u128>()),
    }
}

/// Seconds since 1970, as tokens count.
pub(crate) fn unix_now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A certificate authority for one certificate; its key is forgotten.
struct Chain {
    ca: String,
    leaf: String,
    leaf_key: String,
}

impl Chain {
    fn generate() -> Self {
        const FITS: &str = "names and keys made here fit the format";
        let named = |name: &str, names: Vec<String>| {
            let mut params = CertificateParams::new(names).expect(FITS);
            params.distinguished_name.push(DnType::CommonName, name);
            params
        };
        let mut ca = named("mmr dev CA", Vec::new());
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let ca_key = KeyPair::generate().expect(FITS);
        let leaf_key = KeyPair::generate().expect(FITS);
        let issuer_cert = ca.self_signed(&ca_key).expect(FITS);
        let leaf = named("mmr dev", host_names())
            .signed_by(&leaf_key, &Issuer::new(ca, ca_key))
            .expect(FITS);
        Self { ca: issuer_cert.pem(), leaf: leaf.pem(), leaf_key: leaf_key.serialize_pem() }
    }
}

/// What a client on this host or its network may call it.
fn host_names() -> Vec<String> {
    let mut names = vec!["localhost".to_owned()];
    let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let addresses = loopback.into_iter().chain(crate::addresses::of_this_host());
    names.extend(addresses.map(|address| address.to_string()));
    names
}
