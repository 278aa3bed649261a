//! Why TLS with an upstream failed, in words that the operator can act on.

use std::error::Error;
use std::io;
use time::OffsetDateTime;
use tokio_rustls::rustls::pki_types::UnixTime;
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, Error as TlsError, InvalidMessage, OtherError, PeerIncompatible,
};
use wire::one_line;

/// Names of a certificate that are told.
const MAX_TOLD_NAMES: usize = 5;
/// Bytes of them.
const MAX_TOLD_NAME_BYTES: usize = 200;

const CLIENT_CERTIFICATE: &str = "it wants a certificate of the client, and the gate has none to show: a client that has one \
                                  reaches it by a route with `intercept: false`";

/// Why a handshake failed.
pub fn explain(error: &io::Error) -> String {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) {
        return explain_tls(error);
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "it ended the connection during the handshake: it may speak no TLS, know no such name, or not want this client"
                .to_owned()
        }
        _ => error.to_string(),
    }
}

/// Why a connection broke after its handshake, where the upstream told that by TLS. With TLS 1.3 it refuses the client only
/// then.
pub fn explain_broken(error: &(dyn Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(error @ TlsError::AlertReceived(_)) = inner.and_then(|inner| inner.downcast_ref::<TlsError>()) {
            return Some(explain_tls(error));
        }
        cause = error.source();
    }
    None
}

fn explain_tls(error: &TlsError) -> String {
    match error {
        TlsError::InvalidCertificate(error) => explain_certificate(error),
        TlsError::AlertReceived(alert) => explain_alert(*alert),
        TlsError::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => OLD_VERSION.to_owned(),
        TlsError::PeerIncompatible(_) => format!("it has no way of TLS in common with the gate ({error})"),
        TlsError::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
            "it does not speak TLS on this port".to_owned()
        }
        TlsError::NoCertificatesPresented => "it shows no certificate".to_owned(),
        _ => error.to_string(),
    }
}

const OLD_VERSION: &str = "it speaks neither TLS 1.2 nor TLS 1.3: older versions are not safe";

fn explain_alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => CLIENT_CERTIFICATE.to_owned(),
        AlertDescription::HandshakeFailure => {
            format!("it refused the handshake: it has no cipher in common with the gate, or {CLIENT_CERTIFICATE}")
        }
        AlertDescription::BadCertificate => format!("it refused the client: {CLIENT_CERTIFICATE}"),
        AlertDescription::ProtocolVersion => OLD_VERSION.to_owned(),
        AlertDescription::UnrecognisedName => "it knows no server of this name".to_owned(),
        _ => format!("it ended TLS with the alert {alert:?}"),
    }
}

fn explain_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::BadEncoding => "its certificate cannot be read: it is damaged".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("its certificate ended on {}: renew it there", day(*not_after))
        }
        CertificateError::Expired => "its certificate ends before it begins".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("its certificate begins on {}: compare the clocks of both machines", day(*not_before))
        }
        CertificateError::UnknownIssuer => "no root that the gate trusts signed its certificate, or it does not send the \
                                            intermediate one: a root of its own is named by `upstream_ca` of the route, and \
                                            so is a self-signed certificate"
            .to_owned(),
        CertificateError::NotValidForNameContext { presented, .. } => match presented.is_empty() {
            true => "its certificate has no name (subjectAltName; a common name does not count)".to_owned(),
            false => format!("its certificate is for {}", names(presented)),
        },
        CertificateError::InvalidPurposeContext { .. } => {
            "its certificate is not one for servers (extendedKeyUsage)".to_owned()
        }
        CertificateError::BadSignature => "the signature in its chain of certificates is wrong, or made with an RSA key of \
                                           fewer than 2048 bits or more than 8192"
            .to_owned(),
        CertificateError::UnsupportedSignatureAlgorithmContext { signature_algorithm_id, .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { signature_algorithm_id, .. } => format!(
            "its chain of certificates is signed by a way that is not supported ({}): SHA-256 or better is, with RSA from \
             2048 bits, P-256, P-384 or Ed25519",
            algorithm(signature_algorithm_id)
        ),
        CertificateError::UnhandledCriticalExtension => {
            "its certificate has an extension that is critical, and not known".to_owned()
        }
        CertificateError::Other(OtherError(error)) => match error.downcast_ref::<webpki::Error>() {
            Some(error) => explain_chain(error),
            None => error.to_string(),
        },
        _ => error.to_string(),
    }
}

fn explain_chain(error: &webpki::Error) -> String {
    let text = match error {
        webpki::Error::NameConstraintViolation | webpki::Error::MalformedNameConstraint => {
            "an authority in its chain may not sign for this name (nameConstraints)"
        }
        webpki::Error::CaUsedAsEndEntity => {
            "its certificate is one of an authority (CA:TRUE): a server's own is trusted where `upstream_ca` of the route \
             names this very one"
        }
        webpki::Error::EndEntityUsedAsCa => {
            "a certificate that is no authority's signed its own (no CA:TRUE in the chain)"
        }
        webpki::Error::PathLenConstraintViolated | webpki::Error::MaximumPathDepthExceeded => {
            "its chain of certificates is longer than its authority allows (pathlen), or than seven"
        }
        webpki::Error::UnsupportedCertVersion => "its certificate is X.509 of version 1 or 2; version 3 is needed",
        webpki::Error::InvalidSerialNumber => "its certificate has a serial number that is none",
        webpki::Error::SignatureAlgorithmMismatch => "its certificate names two algorithms for one signature",
        webpki::Error::MaximumSignatureChecksExceeded
        | webpki::Error::MaximumPathBuildCallsExceeded
        | webpki::Error::MaximumNameConstraintComparisonsExceeded => {
            "its chain of certificates is too much work to follow"
        }
        webpki::Error::MalformedExtensions
        | webpki::Error::ExtensionValueInvalid
        | webpki::Error::EmptyEkuExtension
        | webpki::Error::MalformedDnsIdentifier
        | webpki::Error::InvalidNetworkMaskConstraint => "an extension of its certificate is malformed",
        _ => return format!("its certificate is refused ({error:?})"),
    };
    text.to_owned()
}

/// The day in UTC, as `2026-01-31`.
fn day(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds)
        .map_or_else(|_| "a day that is none".to_owned(), |at| at.date().to_string())
}

/// Names in an upstream's certificate, which may be anything: bounded, and on one line.
fn names(presented: &[String]) -> String {
    // webpki writes them as `DnsName("a.org")`.
    let plain = |name: &String| name.split('"').nth(1).unwrap_or(name).to_owned();
    let mut text =
        presented.iter().take(MAX_TOLD_NAMES).map(|name| format!("`{}`", plain(name))).collect::<Vec<_>>().join(", ");
    if presented.len() > MAX_TOLD_NAMES {
        text = format!("{text} and {} more", presented.len() - MAX_TOLD_NAMES);
    }
    one_line(&crate::audit::record::cut(text, MAX_TOLD_NAME_BYTES))
}

/// The name of a signature's algorithm, from its identifier in DER; dotted numbers where it is not a known one.
fn algorithm(der: &[u8]) -> String {
    const KNOWN: [(&[u8], &str); 7] = [
        (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x02", "MD2 with RSA"),
        (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04", "MD5 with RSA"),
        (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", "SHA-1 with RSA"),
        (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a", "RSA-PSS"),
        (b"\x2a\x86\x48\xce\x3d\x04\x01", "SHA-1 with ECDSA"),
        (b"\x2a\x86\x48\xce\x38\x04\x03", "SHA-1 with DSA"),
        (b"\x2b\x65\x71", "Ed448"),
    ];
    let Some((&[6, length], rest)) = der.split_first_chunk::<2>() else { return "an unknown one".to_owned() };
    let oid = &rest[..rest.len().min(usize::from(length))];
    KNOWN.iter().find(|(known, _)| *known == oid).map_or_else(|| dotted(oid), |(_, name)| (*name).to_owned())
}

/// An object identifier in dotted numbers.
fn dotted(oid: &[u8]) -> String {
    let Some((first, rest)) = oid.split_first() else { return "an unknown one".to_owned() };
    let mut text = format!("{}.{}", first / 40, first % 40);
    let mut number = 0u64;
    for byte in rest {
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            text += &format!(".{number}");
            number = 0;
        }
    }
    text
}
