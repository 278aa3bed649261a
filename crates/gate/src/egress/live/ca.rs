//! The bottle's certificate authority. Its key exists only in this process's memory; the shared volume gets the
//! certificate, a bundle of it with the roots that the host trusts, and a trust store for Java.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
use sha1::{Digest, Sha1};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use time::{Duration, OffsetDateTime};
use tokio_rustls::rustls::crypto::ring as tls_ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{NoServerSessionStorage, ProducesTickets};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};

/// Common name of the authority. No leaf has it, nor a name that could be it: OpenSSL takes a certificate whose subject is
/// its issuer for self-signed.
const AUTHORITY_NAME: &str = "claude-bottle CA";
/// Longest common name (RFC 5280, appendix A.1).
const MAX_COMMON_NAME_BYTES: usize = 64;
/// Random bytes of a serial number: 128 bits cannot collide, and RFC 5280 allows 20 bytes.
const SERIAL_BYTES: usize = 16;
/// Certificates that are kept. The door gives out no more addresses than this, so no honest bottle needs more names.
const MAX_CACHED_NAMES: usize = 1024;
const TLS_VERSIONS: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];

pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// The key of all leaf certificates: making one then takes a single signature.
    leaf_key: KeyPair,
    /// From when to when all certificates are valid: none outlives the authority's.
    validity: Validity,
    tickets: Arc<dyn ProducesTickets>,
    configs: Mutex<HashMap<String, Arc<ServerConfig>>>,
}

#[derive(Clone, Copy)]
struct Validity {
    from: OffsetDateTime,
    until: OffsetDateTime,
}

impl Authority {
    pub fn new() -> Result<Authority, String> {
        let failed = |error: rcgen::Error| format!("cannot make a certificate authority: {error}");
        let validity = Validity::from_now();
        let mut params = validity.params(AUTHORITY_NAME)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().map_err(failed)?).map_err(failed)?;
        let leaf_key = KeyPair::generate().map_err(failed)?;
        let tickets = tls_ring::Ticketer::new().map_err(|error| format!("cannot make session tickets: {error}"))?;
        Ok(Authority { issuer, leaf_key, validity, tickets, configs: Mutex::default() })
    }

    /// SHA-256 of the CA certificate, in hex.
    pub fn fingerprint(&self) -> String {
        let mut hash = tls_ring::cipher_suite::TLS13_AES_128_GCM_SHA256
            .tls13()
            .map(|suite| suite.common.hash_provider.start())
            .expect("a TLS 1.3 suite");
        hash.update(self.issuer.der());
        hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The CA certificate in PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Writes the files that the agent's programs trust into the shared volume. `roots`: PEM.
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
        put("cacerts", &java_store(&bundle))?;
        put("chromium-policy.json", chromium_policy(self.issuer.der()).as_bytes())
    }

    /// The TLS configuration of a server of this name, with a certificate for it. `name`: lower case.
    pub fn server_config(&self, name: &str) -> Result<Arc<ServerConfig>, String> {
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = configs.get(name) {
            return Ok(config.clone());
        }
        let config = Arc::new(self.make_config(name).map_err(|error| format!("cannot make a certificate: {error}"))?);
        if configs.len() >= MAX_CACHED_NAMES {
            configs.clear();
        }
        configs.insert(name.to_owned(), config.clone());
        Ok(config)
    }

    fn make_config(&self, name: &str) -> Result<ServerConfig, Box<dyn std::error::Error>> {
        let mut params = self.validity.params(name)?;
        params.subject_alt_names = CertificateParams::new(vec![name.to_owned()])?.subject_alt_names;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&self.leaf_key, &self.issuer)?;
        let provider = Arc::new(tls_ring::default_provider());
        let key = PrivateKeyDer::try_from(self.leaf_key.serialize_der())?;
        let chain = vec![certificate.der().clone(), self.issuer.der().clone()];
        let certified = CertifiedKey::from_der(chain, key, &provider)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(TLS_VERSIONS)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(tokio_rustls::rustls::sign::SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = self.tickets.clone();
        config.send_tls13_tickets = 1;
        Ok(config)
    }
}

impl Validity {
    /// From a day ago, because clocks differ, for two years, because a session may be long.
    fn from_now() -> Validity {
        let now = OffsetDateTime::now_utc();
        Validity { from: now - Duration::days(1), until: now + Duration::days(730) }
    }

    /// What all certificates share: a serial number that no other has, and `name` as the subject, unless it is too long for
    /// a common name. Then there is none, and the alternative name says it all.
    fn params(self, name: &str) -> Result<CertificateParams, String> {
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = (self.from, self.until);
        params.distinguished_name = DistinguishedName::new();
        if name.len() <= MAX_COMMON_NAME_BYTES {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        let mut serial = [0; SERIAL_BYTES];
        SystemRandom::new().fill(&mut serial).map_err(|_| "no random number for a certificate")?;
        // A positive number, of the same length each time.
        serial[0] = serial[0] & 0x7f | 0x40;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        Ok(params)
    }
}

/// A policy by which browsers of Chromium's family trust this certificate: they read no file of roots.
fn chromium_policy(certificate: &CertificateDer) -> String {
    format!("{{\"CACertificates\":[\"{}\"]}}\n", wire::encode_base64(certificate))
}

/// A trust store in Java's own format (JKS) with Java's default password, `changeit`. PKCS#12 would not do: Java opens the
/// store of its roots without a password, and then finds nothing in one whose certificates are encrypted.
fn java_store(bundle: &[u8]) -> Vec<u8> {
    let mut known = RootCertStore::empty();
    // A root that rustls cannot parse is left out: Java rejects the whole store if it cannot parse one of its roots.
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
        // An entry of the kind "trusted certificate": its alias, and the time it was added.
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
