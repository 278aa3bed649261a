//! An ssh agent with one key, for ssh to log in by: the key stays in the gate's memory. It signs logins and nothing else.

use ring::rand::SystemRandom;
use ring::rsa::{KeyPairComponents, PublicKeyComponents};
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair,
};
use ssh_key::private::{EcdsaKeypair, KeypairData, RsaKeypair};
use ssh_key::{Mpint, PrivateKey};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// Bytes of one request. What a login signs is far smaller.
const MAX_REQUEST_BYTES: usize = 16 * 1024;

// Messages of the agent protocol, and flags of a signature.
const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
const RSA_SHA2_256: u32 = 2;
const RSA_SHA2_512: u32 = 4;
/// The message that a login by key signs, behind the session's id (RFC 4252, section 7).
const USERAUTH_REQUEST: u8 = 50;

/// A key that signs logins. No `Debug`: it is secret.
pub struct SigningKey {
    /// The public key as ssh sends it.
    public: Vec<u8>,
    pair: Pair,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    Ecdsa(&'static str, EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl SigningKey {
    /// Reads a key file in OpenSSH's format. The error quotes nothing of it.
    pub fn read(file: &[u8], passphrase: Option<&[u8]>) -> Result<SigningKey, String> {
        let unusable = |_| "the key cannot be used".to_owned();
        let key = PrivateKey::from_openssh(file).map_err(|_| {
            "it is not a private key in OpenSSH's format; `ssh-keygen -p -f FILE` writes it in that format".to_owned()
        })?;
        let key = match (key.is_encrypted(), passphrase) {
            (false, _) => key,
            (true, Some(passphrase)) => key.decrypt(passphrase).map_err(|_| "the passphrase is wrong".to_owned())?,
            (true, None) => return Err("the key is encrypted, and there is no passphrase".to_owned()),
        };
        let public = key.public_key().to_bytes().map_err(|_| "the key is malformed".to_owned())?;
        let pair = match key.key_data() {
            KeypairData::Ed25519(pair) => Pair::Ed25519(
                Ed25519KeyPair::from_seed_and_public_key(pair.private.as_ref(), pair.public.as_ref())
                    .map_err(unusable)?,
            ),
            KeypairData::Ecdsa(pair) => {
                let (name, algorithm) = match pair {
                    EcdsaKeypair::NistP256 { .. } => ("ecdsa-sha2-nistp256", &ECDSA_P256_SHA256_FIXED_SIGNING),
                    EcdsaKeypair::NistP384 { .. } => ("ecdsa-sha2-nistp384", &ECDSA_P384_SHA384_FIXED_SIGNING),
                    EcdsaKeypair::NistP521 { .. } => return Err(unsupported()),
                };
                let key = EcdsaKeyPair::from_private_key_and_public_key(
                    algorithm,
                    pair.private_key_bytes(),
                    pair.public_key_bytes(),
                    &SystemRandom::new(),
                );
                Pair::Ecdsa(name, key.map_err(unusable)?)
            }
            KeypairData::Rsa(pair) => Pair::Rsa(Box::new(rsa(pair)?)),
            _ => return Err(unsupported()),
        };
        Ok(SigningKey { public, pair })
    }

    /// The signature of `data` as ssh sends it; `None`: not by this key, or not with these flags.
    fn sign(&self, data: &[u8], flags: u32) -> Option<Vec<u8>> {
        let (name, bytes) = match &self.pair {
            Pair::Ed25519(pair) => ("ssh-ed25519", pair.sign(data).as_ref().to_vec()),
            Pair::Ecdsa(name, pair) => {
                let signature = pair.sign(&SystemRandom::new(), data).ok()?;
                let (r, s) = signature.as_ref().split_at(signature.as_ref().len() / 2);
                let mut bytes = Vec::new();
                for number in [r, s] {
                    push_string(&mut bytes, Mpint::from_positive_bytes(number).ok()?.as_bytes());
                }
                (*name, bytes)
            }
            Pair::Rsa(pair) => {
                let (name, padding): (_, &dyn signature::RsaEncoding) = match flags {
                    flags if flags & RSA_SHA2_512 != 0 => ("rsa-sha2-512", &signature::RSA_PKCS1_SHA512),
                    flags if flags & RSA_SHA2_256 != 0 => ("rsa-sha2-256", &signature::RSA_PKCS1_SHA256),
                    _ => return None,
                };
                let mut bytes = vec![0; pair.public().modulus_len()];
                pair.sign(padding, &SystemRandom::new(), data, &mut bytes).ok()?;
                (name, bytes)
            }
        };
        let mut signature = Vec::new();
        push_string(&mut signature, name.as_bytes());
        push_string(&mut signature, &bytes);
        Some(signature)
    }

    /// The answer to one request, without its length.
    fn answer(&self, request: &[u8]) -> Vec<u8> {
        let answered = match request.split_first() {
            Some((&REQUEST_IDENTITIES, [])) => {
                let mut answer = vec![IDENTITIES_ANSWER];
                answer.extend_from_slice(&1u32.to_be_bytes());
                push_string(&mut answer, &self.public);
                push_string(&mut answer, b"");
                Some(answer)
            }
            Some((&SIGN_REQUEST, rest)) => self.answer_sign(rest),
            _ => None,
        };
        answered.unwrap_or_else(|| vec![FAILURE])
    }

    fn answer_sign(&self, mut rest: &[u8]) -> Option<Vec<u8>> {
        let (key, data) = (take_string(&mut rest)?, take_string(&mut rest)?);
        let flags = u32::from_be_bytes(rest.try_into().ok()?);
        if key != self.public || !is_login(data) {
            return None;
        }
        let mut answer = vec![SIGN_RESPONSE];
        push_string(&mut answer, &self.sign(data, flags)?);
        Some(answer)
    }
}

fn unsupported() -> String {
    "keys of this kind are not supported: use one of ed25519, ecdsa (256 or 384 bits) or rsa".to_owned()
}

fn rsa(pair: &RsaKeypair) -> Result<RsaKeyPair, String> {
    let number = |number: &Mpint| number.as_positive_bytes().map(<[u8]>::to_vec);
    let malformed = || "the key is malformed".to_owned();
    let part = |mpint: &Mpint| number(mpint).ok_or_else(malformed);
    let (n, e, d) = (part(&pair.public.n)?, part(&pair.public.e)?, part(&pair.private.d)?);
    let (p, q, q_inverse) = (part(&pair.private.p)?, part(&pair.private.q)?, part(&pair.private.iqmp)?);
    // The file does not have these two: the private exponent modulo one less than each prime, which is odd.
    let [d_p, d_q] = [&p, &q].map(|prime| {
        let mut even = prime.clone();
        if let Some(last) = even.last_mut() {
            *last &= 0xfe;
        }
        remainder(&d, &even)
    });
    let public_key = PublicKeyComponents { n, e };
    let components = KeyPairComponents { public_key, d, p, q, dP: d_p, dQ: d_q, qInv: q_inverse };
    RsaKeyPair::from_components(&components)
        .map_err(|_| "the key cannot be used: an rsa key has 2048 to 4096 bits".to_owned())
}

/// `number` modulo `modulus`, both in big-endian bytes.
fn remainder(number: &[u8], modulus: &[u8]) -> Vec<u8> {
    // One byte more than the modulus, for the bit that is shifted in.
    let modulus: Vec<u8> = std::iter::once(0).chain(modulus.iter().copied()).collect();
    let mut rest = vec![0u8; modulus.len()];
    for bit in number.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)) {
        let mut carry = bit;
        for byte in rest.iter_mut().rev() {
            (*byte, carry) = (*byte << 1 | carry, *byte >> 7);
        }
        if rest >= modulus {
            let mut borrow = false;
            for (byte, other) in rest.iter_mut().zip(&modulus).rev() {
                let (less, first) = byte.overflowing_sub(*other);
                let (less, second) = less.overflowing_sub(u8::from(borrow));
                (*byte, borrow) = (less, first || second);
            }
        }
    }
    let from = rest.iter().position(|byte| *byte != 0).unwrap_or(rest.len());
    rest.split_off(from)
}

/// Whether this is what a login signs: the session's id, and a request for user authentication by key.
fn is_login(mut data: &[u8]) -> bool {
    let parse = || {
        take_string(&mut data)?;
        let (kind, mut rest) = data.split_first()?;
        let (_user, service, method) = (take_string(&mut rest)?, take_string(&mut rest)?, take_string(&mut rest)?);
        let by_key = method == b"publickey" || method == b"publickey-hostbound-v00@openssh.com";
        Some(*kind == USERAUTH_REQUEST && service == b"ssh-connection" && by_key)
    };
    let mut parse = parse;
    parse().unwrap_or_default()
}

fn push_string(into: &mut Vec<u8>, bytes: &[u8]) {
    into.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or_default().to_be_bytes());
    into.extend_from_slice(bytes);
}

fn take_string<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = from.split_first_chunk()?;
    let (string, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *from = rest;
    Some(string)
}

/// Serves the key until it is dropped.
pub async fn serve(listener: UnixListener, key: Arc<SigningKey>) {
    while let Ok((stream, _)) = listener.accept().await {
        let key = key.clone();
        tokio::spawn(async move {
            let _ = serve_client(stream, &key).await;
        });
    }
}

async fn serve_client(mut stream: UnixStream, key: &SigningKey) -> std::io::Result<()> {
    loop {
        let length = stream.read_u32().await? as usize;
        if length > MAX_REQUEST_BYTES {
            return Ok(());
        }
        let mut request = vec![0; length];
        stream.read_exact(&mut request).await?;
        let mut answer = Vec::new();
        push_string(&mut answer, &key.answer(&request));
        stream.write_all(&answer).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remainders() {
        for (number, modulus) in [(1u64, 2u64), (2, 2), (12_345_678_901_234, 9_876_543), (u64::MAX, 255), (5, 1 << 40)]
        {
            let bytes = remainder(&number.to_be_bytes(), &modulus.to_be_bytes());
            let found = bytes.iter().fold(0, |value: u64, byte| value << 8 | u64::from(*byte));
            assert_eq!(found, number % modulus, "{number} {modulus}");
        }
    }

    #[test]
    fn logins_are_signed_and_nothing_else() {
        let mut login = Vec::new();
        push_string(&mut login, b"session");
        login.push(USERAUTH_REQUEST);
        for word in ["git", "ssh-connection", "publickey"] {
            push_string(&mut login, word.as_bytes());
        }
        assert!(is_login(&login));
        let mut file = b"SSHSIG".to_vec();
        push_string(&mut file, b"git");
        assert!(!is_login(&file));
        assert!(!is_login(&login[..login.len() - 1]));
        assert!(!is_login(b""));
    }
}
