//! Card numbers, seed phrases and wallets' keys that documentation and standards publish for tests. They open nothing.

use sha2::{Digest, Sha256};

/// The issuer's beginning that Stripe has for its test cards: each stands for a country, or for a reason to decline.
const TEST_ISSUER: &[u8] = b"400000";

/// Numbers in the test pages of Adyen, Authorize.net, Braintree, Checkout.com, Cybersource, PayPal, Square, Stripe and Worldpay.
const CARDS: [&[u8]; 61] = [
    b"4111111111111111",
    b"4242424242424242",
    b"4012888888881881",
    b"4012000033330026",
    b"4012000077777777",
    b"4009348888881881",
    b"4005519200000004",
    b"4500600000000061",
    b"4217651111111119",
    b"4166676667666746",
    b"4646464646464644",
    b"4444333322221111",
    b"4917610000000000",
    b"4462030000000000",
    b"4484070000035519",
    b"4659105569051157",
    b"4543474002249996",
    b"4100000000000019",
    b"4000056655665556",
    b"5555555555554444",
    b"5105105105105100",
    b"5200828282828210",
    b"5136333333333335",
    b"5100060000000002",
    b"5500000000000004",
    b"5424000000000015",
    b"5454545454545454",
    b"5436031030606378",
    b"5431111111111111",
    b"5399999999999999",
    b"5199999999999991",
    b"2223003122003222",
    b"2223000048400011",
    b"2222400070000005",
    b"2222420000001113",
    b"2222990905257051",
    b"2223016768739313",
    b"378282246310005",
    b"371449635398431",
    b"378734493671000",
    b"370000000000002",
    b"341111111111111",
    b"340000000000009",
    b"343434343434343",
    b"345678901234564",
    b"6011111111111117",
    b"6011000990139424",
    b"6011981111111113",
    b"6011000991300009",
    b"6011000000000012",
    b"6011000000000004",
    b"6011601160116611",
    b"6011000400000000",
    b"6555900000604105",
    b"6445644564456445",
    b"3530111333300000",
    b"3566002020360505",
    b"3569990010095841",
    b"3566111111111113",
    b"3569990000000009",
    b"3528000700000000",
];

/// The first eight bytes of the SHA-256 of each phrase in the test vectors of BIP-39 that repeats few words, and of those that
/// Ganache and Truffle print.
const PHRASES: [u64; 16] = [
    0x0f38_8b04_e512_d7a0,
    0xb2e7_1100_d10b_ee74,
    0xb12e_e277_a669_b18f,
    0x341c_225b_06c9_1708,
    0xcc95_a8a1_b5e9_bf13,
    0xecb0_e7ba_498c_5920,
    0x3a64_bcd9_cea4_3c0a,
    0xb8ae_5c99_1426_47d1,
    0xd6da_54d1_2db9_eac8,
    0x3045_2ba5_605d_d252,
    0x6d82_8deb_d306_e21a,
    0x662c_451c_c588_6e1d,
    0xb1bf_f22a_e077_ce1a,
    0x867f_9f59_29a7_201c,
    0x9c5d_0a66_56e5_d3f3,
    0xb83e_9641_7f61_cb14,
];

/// The first eight bytes of the SHA-256 of each private key in the test vectors 1 and 2 of BIP-32.
const EXTENDED_KEYS: [u64; 12] = [
    0x2243_ae4c_7301_4469,
    0xc3e9_81f8_e1c6_a201,
    0x38f4_5b57_d43a_7400,
    0x04a5_6493_8fd4_1d29,
    0x7575_4388_723d_b8ec,
    0xac17_da3e_1143_2de9,
    0xfa14_6b83_df55_0394,
    0xbebe_65f0_e056_9d62,
    0xc14a_ca8e_6d6b_82d1,
    0xed7b_fe0c_eae8_13bc,
    0x0086_0ac6_1212_8954,
    0x9d61_c593_824c_392c,
];

pub fn is_card(digits: &[u8]) -> bool {
    digits.starts_with(TEST_ISSUER) || CARDS.contains(&digits)
}

/// `words`: with one blank between them.
pub fn is_phrase(words: &str) -> bool {
    PHRASES.contains(&digest(words.as_bytes()))
}

pub fn is_extended_key(text: &[u8]) -> bool {
    text.get(1..4) == Some(b"prv") && EXTENDED_KEYS.contains(&digest(text))
}

fn digest(text: &[u8]) -> u64 {
    Sha256::digest(text)[..8].iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
}
