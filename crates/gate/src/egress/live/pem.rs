//! What is secret in a file of PEM, as text that may turn up elsewhere. The rest of it is public: the lines around it that all
//! such files have, and the public key, which is in the configuration and in each signature.

use ssh_key::PrivateKey;
use ssh_key::private::{EcdsaKeypair, KeypairData};
use std::ops::Range;
use wire::decode_base64;

/// The base64 text of the secret part, in one line. What is no PEM is secret as a whole.
pub fn secret_text(bytes: Vec<u8>) -> Vec<u8> {
    let Some(text) = std::str::from_utf8(&bytes).ok().filter(|text| text.starts_with("-----BEGIN ")) else {
        return bytes;
    };
    let body: String = text.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect();
    let secret = secret_bytes(text, &decode_base64(&body).unwrap_or_default());
    // Four characters are three bytes. Those that are of public bytes too are left out.
    let part = secret.and_then(|bytes| body.get(bytes.start.div_ceil(3) * 4..bytes.end / 3 * 4));
    part.filter(|part| !part.is_empty()).unwrap_or(&body).as_bytes().to_vec()
}

/// Where the secret bytes of a key in OpenSSH's format are; `None`: it is none, or of a kind that is not known here.
fn secret_bytes(text: &str, body: &[u8]) -> Option<Range<usize>> {
    let key = PrivateKey::from_openssh(text).ok()?;
    let place = |part: &[u8]| {
        let start = body.windows(part.len().max(1)).position(|window| window == part)?;
        Some(start..start + part.len())
    };
    match key.key_data() {
        KeypairData::Encrypted(part) => place(part),
        KeypairData::Ed25519(pair) => place(pair.private.as_ref()),
        KeypairData::Ecdsa(pair @ (EcdsaKeypair::NistP256 { .. } | EcdsaKeypair::NistP384 { .. })) => {
            place(pair.private_key_bytes())
        }
        // Behind the private exponent come the primes.
        KeypairData::Rsa(pair) => Some(place(pair.private.d.as_bytes())?.start..place(pair.private.q.as_bytes())?.end),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_public_part_of_a_key_is_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        for (number, (kind, bits, passphrase)) in [
            ("ed25519", "256", ""),
            ("ed25519", "256", "a passphrase"),
            ("ecdsa", "256", ""),
            ("ecdsa", "384", "a passphrase"),
            ("rsa", "2048", ""),
            ("rsa", "2048", "a passphrase"),
        ]
        .into_iter()
        .enumerate()
        {
            let path = folder.path().join(number.to_string());
            let args = ["-q", "-t", kind, "-b", bits, "-N", passphrase, "-C", "me@example.org", "-f"];
            assert!(Command::new("ssh-keygen").args(args).arg(&path).status().unwrap().success());
            let file = std::fs::read_to_string(&path).unwrap();
            let secret = String::from_utf8(secret_text(file.clone().into_bytes())).unwrap();
            assert!(secret.len() >= 40, "{kind}: {secret}");
            assert!(file.replace('\n', "").contains(&secret), "{kind}");
            let bytes = decode_base64(&secret).unwrap();
            let public = PrivateKey::from_openssh(&file).unwrap().public_key().to_bytes().unwrap();
            for known in public.windows(8).chain([&b"openssh-key"[..], b"me@example"]) {
                assert!(!bytes.windows(known.len()).any(|part| part == known), "{kind} {passphrase}");
            }
        }
        let other = "-----BEGIN PRIVATE KEY-----\nMIGHAgEA\nMBMG\n-----END PRIVATE KEY-----\n";
        assert_eq!(secret_text(other.into()), b"MIGHAgEAMBMG");
        assert_eq!(secret_text(b"a token".to_vec()), b"a token");
    }
}
