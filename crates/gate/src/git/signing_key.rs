//! A private key of ssh in the gate's memory, and its signatures.

use ring::rand::SystemRandom;
use ring::rsa::{KeyPairComponents, PublicKeyComponents};
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair,
};
use ssh_key::private::{EcdsaKeypair, KeypairData, RsaKeypair};
use ssh_key::{Mpint, PrivateKey, PublicKey};

/// Flags of the agent protocol that choose the hash of a signature by an rsa key.
const RSA_SHA2_256: u32 = 2;
pub const RSA_SHA2_512: u32 = 4;

/// A private key. No `Debug`: it is secret.
pub struct SigningKey {
    pub public: PublicKey,
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
        let mut public = key.public_key().clone();
        public.set_comment("");
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

    /// The public key as ssh sends it.
    pub fn public_bytes(&self) -> Vec<u8> {
        self.public.to_bytes().unwrap_or_default()
    }

    /// The signature of `data` as ssh sends it; `None`: not by this key, or not with these flags.
    pub fn sign(&self, data: &[u8], flags: u32) -> Option<Vec<u8>> {
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

/// Appends bytes with their length before them, as ssh writes them.
pub fn push_string(into: &mut Vec<u8>, bytes: &[u8]) {
    into.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or_default().to_be_bytes());
    into.extend_from_slice(bytes);
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
}
