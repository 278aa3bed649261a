//! The bottle's certificate authority. Its key lives in this process's memory and nowhere else; the shared volume gets
//! the certificate, a bundle with the roots of the host's choice, and a store for Java.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use sha1::{Digest, Sha1};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use time::{Duration, OffsetDateTime};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{NoServerSessionStorage, ProducesTickets};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};

/// Names with a certificate at hand; the door gives out no more addresses than this.
const CACHED: usize = 1024;
const VERSIONS: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];

pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// One key for all leaves: making a certificate is then one signature.
    leaf: KeyPair,
    tickets: Arc<dyn ProducesTickets>,
    configs: Mutex<HashMap<String, Arc<ServerConfig>>>,
}

impl Authority {
    pub fn new() -> Result<Authority, String> {
        let failed = |error: rcgen::Error| format!("cannot make a certificate authority: {error}");
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name("claude-bottle");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (params.not_before, params.not_after) = validity();
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().map_err(failed)?).map_err(failed)?;
        let leaf = KeyPair::generate().map_err(failed)?;
        let tickets = ring::Ticketer::new().map_err(|error| format!("cannot make session tickets: {error}"))?;
        Ok(Authority { issuer, leaf, tickets, configs: Mutex::default() })
    }

    /// SHA-256 of the certificate, in hex.
    pub fn fingerprint(&self) -> String {
        let mut hash = ring::cipher_suite::TLS13_AES_128_GCM_SHA256
            .tls13()
            .map(|suite| suite.common.hash_provider.start())
            .expect("a TLS 1.3 suite");
        hash.update(self.issuer.der());
        hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The certificate.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Writes what the agent's programs trust. `roots`: PEM.
    pub fn publish(&self, shared: &Path, roots: &[u8]) -> Result<(), String> {
        let put = |name: &str, bytes: &[u8]| {
            let path = shared.join(name);
            std::fs::write(&path, bytes).map_err(|error| format!("cannot write `{}`: {error}", path.display()))
        };
        let own = self.pem();
        let mut bundle = roots.to_vec();
        if bundle.last().is_some_and(|byte| *byte != b'\n') {
            bundle.push(b'\n');
        }
        bundle.extend_from_slice(own.as_bytes());
        put("ca.pem", own.as_bytes())?;
        put("ca-bundle.pem", &bundle)?;
        put("cacerts", &java_store(&bundle))
    }

    /// What a server of this name shows. `name`: lower case.
    pub fn config(&self, name: &str) -> Result<Arc<ServerConfig>, String> {
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = configs.get(name) {
            return Ok(config.clone());
        }
        let config = Arc::new(self.make(name).map_err(|error| format!("cannot make a certificate: {error}"))?);
        if configs.len() >= CACHED {
            configs.clear();
        }
        configs.insert(name.to_owned(), config.clone());
        Ok(config)
    }

    fn make(&self, name: &str) -> Result<ServerConfig, Box<dyn std::error::Error>> {
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.distinguished_name = common_name(if name.len() <= 64 { name } else { "claude-bottle" });
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = validity();
        let certificate = params.signed_by(&self.leaf, &self.issuer)?;
        let provider = Arc::new(ring::default_provider());
        let key = PrivateKeyDer::try_from(self.leaf.serialize_der())?;
        let chain = vec![certificate.der().clone(), self.issuer.der().clone()];
        let certified = CertifiedKey::from_der(chain, key, &provider)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(VERSIONS)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(tokio_rustls::rustls::sign::SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = self.tickets.clone();
        config.send_tls13_tickets = 1;
        Ok(config)
    }
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// A day of grace for clocks that differ; two years, because a kept bottle's session may be long.
fn validity() -> (OffsetDateTime, OffsetDateTime) {
    let now = OffsetDateTime::now_utc();
    (now - Duration::days(1), now + Duration::days(730))
}

/// Java's own format, password `changeit` (its default). Not PKCS#12: Java opens the store of its roots without a password,
/// and finds nothing in one whose certificates are encrypted.
fn java_store(bundle: &[u8]) -> Vec<u8> {
    let mut known = RootCertStore::empty();
    // A root that this reader cannot parse is one that Java will do without: it would refuse the whole store for it.
    let roots: Vec<CertificateDer> = CertificateDer::pem_slice_iter(bundle)
        .flatten()
        .filter(|certificate| known.add(certificate.clone()).is_ok())
        .collect();
    let text = |store: &mut Vec<u8>, text: &str| {
        store.extend((text.len() as u16).to_be_bytes());
        store.extend(text.as_bytes());
    };
    let mut store = Vec::from([0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2]);
    store.extend((roots.len() as u32).to_be_bytes());
    for (index, certificate) in roots.iter().enumerate() {
        // A certificate that is trusted, its name, and when it came.
        store.extend(2u32.to_be_bytes());
        text(&mut store, &format!("root-{index}"));
        store.extend(0u64.to_be_bytes());
        text(&mut store, "X.509");
        store.extend((certificate.len() as u32).to_be_bytes());
        store.extend_from_slice(certificate);
    }
    let password = "changeit".encode_utf16().flat_map(u16::to_be_bytes);
    let sum = password.chain(*b"Mighty Aphrodite").chain(store.iter().copied()).collect::<Vec<u8>>();
    store.extend_from_slice(&Sha1::digest(sum));
    store
}
