//! Certificates in a file of PEM, as `upstream_ca` names one. What is not read is named: it would be missed only when the
//! first connection fails.

use crate::decode_base64;
use std::fmt;

/// DER tags.
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// Why a file is not a list of certificates in PEM. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateFault {
    Empty,
    /// Not PEM; in DER.
    Der,
    /// Not PEM; the messages of PKCS#7.
    Pkcs7,
    /// Not PEM; a key, or a key with its certificate (PKCS#12).
    DerKey,
    /// Unicode's mark stands before the first line, or the text is UTF-16.
    ByteOrderMark,
    /// PEM of another kind of certificate, with its label.
    Label {
        line: usize,
        label: String,
    },
    /// PEM of other things alone.
    NoCertificate,
    /// The certificate that begins in this line has no end, or is not whole.
    CutOff {
        line: usize,
    },
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertificateFault::Empty => f.write_str("is empty"),
            CertificateFault::Der => f.write_str("is a certificate in DER, where PEM is wanted"),
            CertificateFault::Pkcs7 => f.write_str("is PKCS#7 in DER, where certificates in PEM are wanted"),
            CertificateFault::DerKey => f.write_str("is a key or PKCS#12, where certificates in PEM are wanted"),
            CertificateFault::ByteOrderMark => {
                f.write_str("begins with a byte order mark: save it as ASCII, or UTF-8 without the mark")
            }
            CertificateFault::Label { line, label } => {
                write!(f, "has a `{label}` in its line {line}, where `CERTIFICATE` is wanted")
            }
            CertificateFault::NoCertificate => f.write_str("holds no certificate in PEM"),
            CertificateFault::CutOff { line } => {
                write!(f, "is damaged or cut off: the certificate in its line {line} is not whole")
            }
        }
    }
}

/// The certificates of a file in PEM, each in DER. Comments and keys between them are passed over.
///
/// # Errors
/// There is none, one is not whole, or what there is has another form.
pub fn read_certificates(file: &[u8]) -> Result<Vec<Vec<u8>>, CertificateFault> {
    if [&b"\xef\xbb\xbf"[..], b"\xff\xfe", b"\xfe\xff"].iter().any(|mark| file.starts_with(mark)) {
        return Err(CertificateFault::ByteOrderMark);
    }
    if file.trim_ascii().is_empty() {
        return Err(CertificateFault::Empty);
    }
    if let Some(fault) = der_fault(file) {
        return Err(fault);
    }
    // Comments may be in any encoding.
    let text = String::from_utf8_lossy(file);
    let mut lines = text.lines().map(str::trim).enumerate();
    let mut certificates = Vec::new();
    while let Some((index, line)) = lines.next() {
        let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) else {
            continue;
        };
        let line = index + 1;
        match label {
            "CERTIFICATE" => {
                let body: Vec<&str> =
                    lines.by_ref().map(|(_, line)| line).take_while(|line| !line.starts_with("-----")).collect();
                let certificate = decode_base64(&body.concat()).filter(|der| is_whole(der));
                let has_end = text
                    .lines()
                    .nth(index + 1 + body.len())
                    .is_some_and(|end| end.trim() == "-----END CERTIFICATE-----");
                certificates.push(certificate.filter(|_| has_end).ok_or(CertificateFault::CutOff { line })?);
            }
            "TRUSTED CERTIFICATE" | "X509 CERTIFICATE" | "PKCS7" | "CMS" => {
                return Err(CertificateFault::Label { line, label: label.to_owned() });
            }
            _ => {}
        }
    }
    if certificates.is_empty() { Err(CertificateFault::NoCertificate) } else { Ok(certificates) }
}

/// What a file is that is one value in DER.
fn der_fault(file: &[u8]) -> Option<CertificateFault> {
    let (header, _) = header(file)?;
    match *file.get(header)? {
        // Of a certificate, the part that is signed.
        SEQUENCE => Some(CertificateFault::Der),
        OBJECT_IDENTIFIER => Some(CertificateFault::Pkcs7),
        INTEGER => Some(CertificateFault::DerKey),
        _ => None,
    }
}

/// Whether this is one sequence in DER, of the length that it states.
fn is_whole(der: &[u8]) -> bool {
    header(der).is_some_and(|(header, length)| header + length == der.len())
}

/// The lengths of a sequence's header and content, as the header states them.
fn header(der: &[u8]) -> Option<(usize, usize)> {
    let [SEQUENCE, first, rest @ ..] = der else { return None };
    match usize::from(*first) {
        short @ ..=0x7f => Some((2, short)),
        long @ 0x81..=0x84 => {
            let digits = rest.get(..long - 0x80)?;
            Some((2 + digits.len(), digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit))))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode_base64;

    /// A sequence with a sequence in it, of more than 255 bytes.
    fn certificate() -> Vec<u8> {
        let mut der = vec![SEQUENCE, 0x82, 1, 4, SEQUENCE, 0x82, 1, 0];
        der.extend([7; 256]);
        der
    }

    fn pem(label: &str, der: &[u8]) -> String {
        let base64 = encode_base64(der);
        let lines: Vec<&str> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    }

    #[test]
    fn certificates_are_read_among_comments_and_keys() {
        let one = pem("CERTIFICATE", &certificate());
        let key = pem("PRIVATE KEY", b"k");
        for (text, count) in [
            (one.clone(), 1),
            (one.replace('\n', "\r\n"), 1),
            (format!("# a comment\n{one}\n subject=x\n{key}{one}"), 2),
        ] {
            assert_eq!(read_certificates(text.as_bytes()), Ok(vec![certificate(); count]), "{text}");
        }
        let mut latin = b"# \xe4\n".to_vec();
        latin.extend_from_slice(one.as_bytes());
        assert_eq!(read_certificates(&latin), Ok(vec![certificate()]));
    }

    #[test]
    fn what_is_something_else_is_named() {
        let one = pem("CERTIFICATE", &certificate());
        let label = |line, label: &str| CertificateFault::Label { line, label: label.to_owned() };
        let middle = one.len() / 2;
        let cases: Vec<(Vec<u8>, CertificateFault)> = vec![
            (Vec::new(), CertificateFault::Empty),
            (b" \n\n".to_vec(), CertificateFault::Empty),
            (certificate(), CertificateFault::Der),
            (certificate()[..100].to_vec(), CertificateFault::Der),
            (b"\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02".to_vec(), CertificateFault::Pkcs7),
            (b"\x30\x03\x02\x01\x03".to_vec(), CertificateFault::DerKey),
            (format!("\u{feff}{one}").into_bytes(), CertificateFault::ByteOrderMark),
            (
                one.encode_utf16().flat_map(u16::to_le_bytes).fold(vec![0xff, 0xfe], |mut all, byte| {
                    all.push(byte);
                    all
                }),
                CertificateFault::ByteOrderMark,
            ),
            (pem("TRUSTED CERTIFICATE", &certificate()).into_bytes(), label(1, "TRUSTED CERTIFICATE")),
            (format!("{one}{}", pem("PKCS7", &certificate())).into_bytes(), label(one.lines().count() + 1, "PKCS7")),
            (pem("PRIVATE KEY", b"k").into_bytes(), CertificateFault::NoCertificate),
            (b"hello\n".to_vec(), CertificateFault::NoCertificate),
            (one.as_bytes()[..middle].to_vec(), CertificateFault::CutOff { line: 1 }),
            (one.replace("-----END CERTIFICATE-----\n", "").into_bytes(), CertificateFault::CutOff { line: 1 }),
            (
                format!("\n{}", one.replacen('B', "!", 2).replacen("!EGIN", "BEGIN", 1)).into_bytes(),
                CertificateFault::CutOff { line: 2 },
            ),
            (pem("CERTIFICATE", &certificate()[..200]).into_bytes(), CertificateFault::CutOff { line: 1 }),
            (pem("CERTIFICATE", b"hello").into_bytes(), CertificateFault::CutOff { line: 1 }),
            (
                format!("{one}{}", &one[..middle]).into_bytes(),
                CertificateFault::CutOff { line: one.lines().count() + 1 },
            ),
        ];
        for (file, fault) in cases {
            assert_eq!(read_certificates(&file), Err(fault), "{}", String::from_utf8_lossy(&file));
        }
    }
}
