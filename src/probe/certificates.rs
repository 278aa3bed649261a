//! The files of certificates that a manifest names, read as the gate will read them: what is wrong with one is told with the
//! plan, and not by the gate after the "yes".

use crate::exit::UserError;
use crate::hint;
use crate::manifest::Route;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use wire::{CertificateFault, read_certificates};

/// Bytes of a file of certificates that are read.
const MAX_FILE_BYTES: u64 = 8 << 20;

/// Looks at the files of `upstream_ca`. One that cannot be opened is missed where all values are fetched.
///
/// # Errors
/// `UserError` with the route's file and line, for the first file that is not a list of certificates in PEM.
pub fn upstream_certificates(routes: &[Route]) -> Result<(), UserError> {
    for route in routes {
        if let Some(path) = &route.upstream_ca {
            check_certificates(path).map_err(|error| UserError {
                what: format!("{}: `upstream_ca` in a route: {}", route.policy.origin, error.what),
                ..error
            })?;
        }
    }
    Ok(())
}

/// # Errors
/// `UserError` where the file can be read, and is not a list of certificates in PEM.
pub fn check_certificates(path: &Path) -> Result<(), UserError> {
    let mut bytes = Vec::new();
    if File::open(path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)).is_err() {
        return Ok(());
    }
    read_certificates(&bytes).map(drop).map_err(|fault| explain(path, &fault))
}

fn explain(path: &Path, fault: &CertificateFault) -> UserError {
    let error = UserError::new(format!("`{}` {fault}", path.display()));
    let file = path.display();
    match fault {
        CertificateFault::Der => error.hint(hint!("openssl x509 -inform der -in {} -out ca.pem", file)),
        CertificateFault::Pkcs7 => error.hint(hint!("openssl pkcs7 -inform der -print_certs -in {} -out ca.pem", file)),
        CertificateFault::Label { label, .. } if ["PKCS7", "CMS"].contains(&label.as_str()) => {
            error.hint(hint!("openssl pkcs7 -print_certs -in {} -out ca.pem", file))
        }
        CertificateFault::Label { .. } => error.hint(hint!("openssl x509 -in {} -out ca.pem", file)),
        CertificateFault::Empty
        | CertificateFault::DerKey
        | CertificateFault::ByteOrderMark
        | CertificateFault::NoCertificate
        | CertificateFault::CutOff { .. } => error,
    }
}
