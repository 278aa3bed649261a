//! A fast 64-bit digest: it tells that content changed. It is no defence against content made to collide.

/// The digest of bytes that are in memory.
pub fn digest(bytes: &[u8]) -> u64 {
    let mut digest = Digest::new(bytes.len() as u64);
    digest.add(bytes);
    digest.value()
}

/// A digest in the making. Four lanes, because a multiplication waits only for the one before it in its own lane.
pub struct Digest([u64; 4]);

impl Digest {
    const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;

    /// `length`: bytes of the whole content.
    pub fn new(length: u64) -> Digest {
        Digest([1, 2, 3, 4].map(|lane| (length ^ Self::PRIME).wrapping_mul(lane)))
    }

    /// Adds the next piece. The length of each piece but the last must be a multiple of 32 bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        let (rows, words) = words.as_chunks::<4>();
        for row in rows {
            for (lane, word) in self.0.iter_mut().zip(row) {
                *lane = mix(*lane, u64::from_le_bytes(*word));
            }
        }
        for word in words.iter().map(|word| u64::from_le_bytes(*word)).chain(rest.iter().map(|byte| u64::from(*byte))) {
            self.0[0] = mix(self.0[0], word);
        }
    }

    pub fn value(&self) -> u64 {
        let all = self.0.iter().fold(0, |all, lane| mix(all, *lane));
        all ^ (all >> 29)
    }
}

fn mix(lane: u64, word: u64) -> u64 {
    (lane.rotate_left(5) ^ word).wrapping_mul(Digest::PRIME)
}
