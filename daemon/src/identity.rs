//! A certificate chain with its key, and certificates to trust, from PEM files.
//!
//! rustls on aws-lc-rs; the provider is named wherever one is wanted.

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A certificate chain and the key of its first certificate; known to fit together.
#[derive(Clone, Debug)]
pub struct Identity {
    key: Arc<CertifiedKey>,
}

/// Why an identity could not be made. Every message names the file, the cause and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The file could not be read.
    #[error("cannot read {path}: {cause}; {remedy}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// The file is not PEM.
    #[error(
        "{path} is not PEM: {cause}; convert it with openssl, or name the file that begins with \
         -----BEGIN"
    )]
    NotPem {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: pem::Error,
    },
    /// PEM, but without what is looked for.
    #[error("{path} holds no {wanted}; {remedy}")]
    Missing {
        /// Which file.
        path: PathBuf,
        /// `certificate` or `private key`.
        wanted: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A certificate that can't be trusted as an authority's.
    #[error(
        "{path} holds a certificate that can't be trusted: {cause}; name the authority's own certificate"
    )]
    Untrusted {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: Box<rustls::Error>,
    },
    /// The key is of a kind that can't be used, or does not belong to the certificate.
    #[error("the key in {key} does not serve the certificate in {chain}: {cause}; {remedy}")]
    Unusable {
        /// The chain's file.
        chain: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        cause: Box<rustls::Error>,
        /// What to do.
        remedy: &'static str,
    },
}

impl Identity {
    /// Reads a PEM chain (leaf first) and its PEM key (PKCS#8, PKCS#1 or SEC1); both may be in one
    /// file.
    pub fn from_files(chain: &Path, key: &Path) -> Result<Self, IdentityError> {
        let certificates = read_chain(chain)?;
        let private = read_key(key)?;
        CertifiedKey::from_der(certificates, private, &provider())
            .map(|key| Self { key: Arc::new(key) })
            .map_err(|cause| IdentityError::Unusable {
                chain: chain.to_owned(),
                key: key.to_owned(),
                remedy: remedy_of_unusable(&cause),
                cause: Box::new(cause),
            })
    }

    /// HTTPS for everybody: TLS 1.3 and 1.2, HTTP/2 and HTTP/1.1.
    pub fn https(&self) -> Arc<ServerConfig> {
        let mut tls = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs has the suites of both versions")
            .with_no_client_auth()
            .with_cert_resolver(self.resolver());
        tls.alpn_protocols = https_protocols();
        Arc::new(tls)
    }

    /// Shows this certificate to every peer, as server (`ResolvesServerCert`) or client
    /// (`ResolvesClientCert`).
    pub fn resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(Arc::clone(&self.key)))
    }
}

/// What HTTPS is spoken as, best first (ALPN, RFC 7301).
pub fn https_protocols() -> Vec<Vec<u8>> {
    vec![b"h2".to_vec(), b"http/1.1".to_vec()]
}

/// The provider of all cryptography, named so that no process-wide default is needed or relied on.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Certificates to trust: a PEM file with at least one that can be used, and none that can't.
///
/// # Errors
/// When it can't be read or holds something else.
pub fn roots(path: &Path) -> Result<RootCertStore, IdentityError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_chain(path)? {
        roots.add(certificate).map_err(|cause| IdentityError::Untrusted {
            path: path.to_owned(),
            cause: Box::new(cause),
        })?;
    }
    Ok(roots)
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let bytes = read(path)?;
    let certificates = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|cause| IdentityError::NotPem { path: path.to_owned(), cause })?;
    if certificates.is_empty() {
        return Err(IdentityError::Missing {
            path: path.to_owned(),
            wanted: "certificate",
            remedy: "name the full chain, leaf first (often fullchain.pem)",
        });
    }
    Ok(certificates)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, IdentityError> {
    let bytes = read(path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|cause| match cause {
        pem::Error::NoItemsFound => IdentityError::Missing {
            path: path.to_owned(),
            wanted: "private key",
            remedy: "name the key's own file (often privkey.pem), unencrypted",
        },
        cause => IdentityError::NotPem { path: path.to_owned(), cause },
    })
}

fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    std::fs::read(path).map_err(|cause| IdentityError::Unreadable {
        path: path.to_owned(),
        remedy: match cause.kind() {
            std::io::ErrorKind::NotFound => "check the path in the configuration",
            std::io::ErrorKind::PermissionDenied => "let the user the daemon runs as read it",
            _ => "check the file and the disk",
        },
        cause,
    })
}

fn remedy_of_unusable(cause: &rustls::Error) -> &'static str {
    match cause {
        rustls::Error::InconsistentKeys(_) => {
            "name the key the certificate was issued for, and the leaf certificate first"
        }
        rustls::Error::InvalidCertificate(_) => "have the certificate issued again",
        _ => "use an RSA (2048 bits or more), ECDSA P-256/P-384 or Ed25519 key, unencrypted",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops where something is missing")]
mod tests;
