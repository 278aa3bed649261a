//! The scanner alone: every encoding, every split, what is overwritten, what is never found, and how long it takes.

use super::*;
use crate::answers::{Masked, Needles};
use crate::encode::{BASE85_ALPHABETS, base58, base85};
use bytes::Bytes;
use proptest::prelude::*;
use std::io::Write;
use wire::encode_base64;

const TOKEN: &str = "gt_Xk29fLq8/Wm4+Zr7bN1cQ5";
const PIN: &str = "zx-api03-q8Rt2LmPw9Xk4Zc7";

const BLOCK: Orders = Orders { seen: Action::Block, patterns: Action::Block, stuck: Action::Block };
const MASK: Orders = Orders { seen: Action::Mask, patterns: Action::Mask, stuck: Action::Block };
const MODEL: Orders = Orders { seen: Action::Mask, patterns: Action::Off, stuck: Action::Warn };

fn knowledge() -> Knowledge {
    let known = |name: &str, class, text: &str| Known { name: name.to_owned(), class, bytes: text.into() };
    let values = [known("token", SecretClass::GateOnly, TOKEN), known("pin", SecretClass::AgentVisible, PIN)];
    Knowledge { vault: Arc::new(Vault::new(&values)), rules: Arc::new(Rules::new().unwrap()) }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn each(text: &[u8], write: impl Fn(u8) -> String) -> Vec<u8> {
    text.iter().flat_map(|byte| write(*byte).into_bytes()).collect()
}

fn base64(text: &[u8]) -> Vec<u8> {
    encode_base64(text).into_bytes()
}

fn lines(text: &[u8], length: usize) -> Vec<u8> {
    text.chunks(length).collect::<Vec<_>>().join(&b"\r\n"[..])
}

fn dump(text: &[u8]) -> Vec<u8> {
    let line = |(n, part): (usize, &[u8])| {
        let hex = each(part, |byte| format!("{byte:02x} "));
        let read = each(part, |byte| char::from(byte).to_string());
        format!("{:08x}  {} |{}|\n", n * 16, String::from_utf8(hex).unwrap(), String::from_utf8(read).unwrap())
    };
    text.chunks(16).enumerate().map(line).collect::<String>().into_bytes()
}

type Encoding = (&'static str, fn(&[u8]) -> Vec<u8>);

const ENCODINGS: &[Encoding] = &[
    ("plain", |t| t.to_vec()),
    ("upper", |t| t.to_ascii_uppercase()),
    ("percent", |t| each(t, |b| format!("%{b:02x}"))),
    ("percent twice", |t| each(t, |b| format!("%25{b:02X}"))),
    ("base64", base64),
    ("base64 unpadded", |t| base64(t).into_iter().filter(|b| *b != b'=').collect()),
    ("base64 url", |t| {
        base64(t)
            .iter()
            .map(|b| match b {
                b'+' => b'-',
                b'/' => b'_',
                b => *b,
            })
            .collect()
    }),
    ("base64 shifted", |t| base64(&[b"x", t].concat())),
    ("base64 shifted twice", |t| base64(&[b"xy", t].concat())),
    ("base64 in lines", |t| lines(&base64(t), 8)),
    ("base64 twice", |t| base64(&base64(t))),
    ("base64 thrice", |t| base64(&base64(&base64(t)))),
    ("base64 of hex", |t| base64(&crate::encode::hex(t))),
    ("base64 of percent", |t| base64(&each(t, |b| format!("%{b:02x}")))),
    ("percent of base64", |t| each(&base64(t), |b| format!("%{b:02X}"))),
    ("hex", crate::encode::hex),
    ("hex, upper", |t| crate::encode::hex(t).to_ascii_uppercase()),
    ("hex with colons", |t| each(t, |b| format!("{b:02x}:"))),
    ("hex with blanks", |t| each(t, |b| format!("{b:02x} "))),
    ("hex with 0x", |t| each(t, |b| format!("0x{b:02x}, "))),
    ("hex with backslashes", |t| each(t, |b| format!("\\x{b:02x}"))),
    ("hex of base64", |t| crate::encode::hex(&base64(t))),
    ("hexdump", dump),
    ("numbers", |t| each(t, |b| format!("{b}, "))),
    ("octal", |t| each(t, |b| format!("\\{b:03o}"))),
    ("bits", |t| each(t, |b| format!("{b:08b} "))),
    ("reversed", crate::encode::reversed),
    ("rot13", crate::encode::rot13),
    ("json", |t| each(t, |b| format!("\\u{b:04x}"))),
    ("html", |t| each(t, |b| format!("&#{b};"))),
    ("html hex", |t| each(t, |b| format!("&#x{b:x};"))),
    ("quoted-printable", |t| each(t, |b| format!("={b:02X}"))),
    ("dots", |t| each(t, |b| format!("{}.", char::from(b)))),
    ("zero width", |t| each(t, |b| format!("{}\u{200b}", char::from(b)))),
    ("fullwidth", |t| each(t, |b| char::from_u32(u32::from(b) + 0xfee0).unwrap().to_string())),
    ("tags", |t| each(t, |b| char::from_u32(u32::from(b) + 0xe0000).unwrap().to_string())),
    ("UTF-16", |t| t.iter().flat_map(|b| [*b, 0]).collect()),
    ("base64 of UTF-16", |t| base64(&t.iter().flat_map(|b| [*b, 0]).collect::<Vec<_>>())),
    ("gzip", gzip),
    ("zlib", zlib),
    ("gzip, then base64", |t| base64(&gzip(t))),
    ("gzip, then hex", |t| crate::encode::hex(&gzip(t))),
    ("base64, then gzip", |t| gzip(&base64(t))),
    ("parameters", |t| {
        let part = |(n, part): (usize, &[u8])| format!("&part{n}={}", String::from_utf8_lossy(part)).into_bytes();
        t.chunks(4).enumerate().flat_map(part).collect()
    }),
    ("out of order", |t| [b"b=", &t[12..], b"&a=", &t[..12]].concat()),
    ("JSON list", |t| each(t, |b| format!("\"{}\", ", char::from(b)))),
    ("without its ends", |t| t[2..t.len() - 2].to_vec()),
];

/// Texts that a value may be hidden in: what stands before it and behind it.
const PLACES: &[(&str, &[u8], &[u8])] = &[
    ("nowhere", b"", b""),
    ("a path", b"/v1/upload/", b"/end?x=1"),
    ("a query", b"/?q=", b"&page=2"),
    ("JSON", br#"{"model":"m","messages":[{"role":"user","content":"Look at this:\n\n"#, br#" and go on"}]}"#),
    ("XML", b"<?xml version=\"1.0\"?><doc><p class=\"a\">", b"</p></doc>"),
    ("YAML", b"name: x\nvalue: |\n  ", b"\nother: y\n"),
    ("a form's part", b"--b\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n", b"\r\n--b--\r\n"),
];

fn run(knowledge: &Knowledge, orders: Orders, chunks: &[&[u8]]) -> (Vec<u8>, Result<(), Stop>, Vec<Finding>) {
    let (mut scan, mut out) = (Scan::passing(knowledge, orders), Vec::new());
    let ended = chunks.iter().try_for_each(|chunk| scan.push(chunk, &mut out));
    let ended = ended.and_then(|()| scan.finish(&mut out));
    (out, ended, scan.notes())
}

#[test]
fn what_is_overwritten_in_answers_is_found_in_requests() {
    let knowledge = knowledge();
    let mut missed = Vec::new();
    for secret in [TOKEN, PIN] {
        for (n, spell) in crate::spellings::SPELLINGS.iter().enumerate() {
            let text = [b"{\"echo\":\"", &spell(secret.as_bytes())[..], b"\"}"].concat();
            if run(&knowledge, BLOCK, &[&text]).1.is_ok() {
                missed.push((n, String::from_utf8_lossy(&text).into_owned()));
            }
            let bytes: Vec<&[u8]> = text.chunks(1).collect();
            if run(&knowledge, BLOCK, &bytes).1.is_ok() {
                missed.push((n, "byte by byte".to_owned()));
            }
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn what_cannot_be_overwritten_in_an_answer_is_found() {
    let known = Known { name: "token".into(), class: SecretClass::GateOnly, bytes: TOKEN.into() };
    let vault = Arc::new(Vault::new(&[known]));
    let needles = Arc::new(Needles::of([TOKEN.as_bytes()].into_iter()).unwrap());
    let base32 = |phase| crate::encode::base32(TOKEN.as_bytes(), phase);
    let octal = |text: &[u8]| each(text, |byte| format!(" {byte:03o}"));
    let zip = |text: &[u8]| {
        let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        deflate.write_all(text).unwrap();
        let packed = deflate.finish().unwrap();
        let mut head = [0; 30];
        head[..4].copy_from_slice(b"PK\x03\x04");
        (head[8], head[26]) = (8, 1);
        head[18..22].copy_from_slice(&(packed.len() as u32).to_le_bytes());
        [&head[..], b"a", &packed].concat()
    };
    let token = TOKEN.as_bytes();
    let texts = [
        gzip(token),
        zlib(token),
        zip(token),
        gzip(&gzip(token)),
        base64(&base64(token)),
        crate::encode::hex(&base64(token)),
        base32(1),
        base32(3),
        dump(token),
        octal(token),
        crate::encode::rot13(token),
        lines(&base64(token), 3),
        lines(&base64(&base64(token)), 20),
        lines(&crate::encode::hex(&crate::encode::hex(token)), 60),
        base64(&crate::encode::hex(token)),
        base64(&token.iter().flat_map(|byte| [*byte, 0]).collect::<Vec<_>>()),
        [b"a: ", &token[..12], b"\r\nb: ", &token[12..]].concat(),
        [b"{\"a\":\"", &token[..12], b"\",\"b\":\"", &token[12..], b"\"}"].concat(),
    ];
    for (n, text) in texts.iter().enumerate() {
        for part in [1, 7, 10_000] {
            let mut masked = Masked::new(needles.clone());
            let mut search = ValueSearch::of_body(vault.clone());
            let found = text
                .chunks(part)
                .any(|part| search.push(&masked.push(Bytes::copy_from_slice(part))) || search.unpack());
            assert!(
                found || search.push(&masked.finish()) || search.finish() || search.unpack() || masked.found,
                "{n} by {part}: {}",
                String::from_utf8_lossy(text)
            );
        }
    }
    let mut search = ValueSearch::of_body(vault);
    let source = include_bytes!("text_scanner.rs");
    let honest = [&source[..], &gzip(b"nothing is in here"), &base64(source)].concat();
    assert!(!search.push(&honest) && !search.finish() && !search.unpack());
}

#[test]
fn every_encoding_in_every_place_in_every_split() {
    let knowledge = knowledge();
    let mut missed = Vec::new();
    for (secret, class) in [(TOKEN, SecretClass::GateOnly), (PIN, SecretClass::AgentVisible)] {
        for (encoding, encode) in ENCODINGS {
            for (place, before, after) in PLACES {
                let text = [before, &encode(secret.as_bytes())[..], after].concat();
                for part in [1, 7, 4096] {
                    let chunks: Vec<&[u8]> = text.chunks(part).collect();
                    let (out, ended, _) = run(&knowledge, BLOCK, &chunks);
                    match ended {
                        Err(Stop::Found(finding)) if matches!(finding.subject, Subject::Known(whose, _) if whose == class) =>
                        {
                            let (told, secret) = (format!("{finding:?}"), secret.as_bytes());
                            assert!(!told.contains(TOKEN) && !told.contains(PIN));
                            assert!(!out.windows(secret.len()).any(|window| window == secret), "{encoding} {place}");
                        }
                        other => missed.push(format!("{encoding} in {place} by {part}: {other:?}")),
                    }
                }
                let (mut scan, mut out) = (Scan::looking(&knowledge, BLOCK), Vec::new());
                if scan.push(&text, &mut out).and_then(|()| scan.finish(&mut out)).is_ok() {
                    missed.push(format!("{encoding} in {place}, looked at"));
                }
            }
        }
    }
    assert!(missed.is_empty(), "{} missed:\n{}", missed.len(), missed.join("\n"));
}

#[test]
fn a_pattern_at_the_end_of_a_run_of_base64_is_found() {
    let knowledge = knowledge();
    let token = ["ghp_", "Q1w2E3r4T5y6U7i8O9p0", "A1s2D3f4G5h6J7k8"].concat();
    for (before, behind) in [("", ""), ("-", ""), ("--", ""), ("key: ", "\n"), ("", ".."), ("key=", ", ")] {
        let coded = base64(format!("{before}{token}{behind}").as_bytes());
        let bare = String::from_utf8_lossy(&coded).replace('=', "");
        for text in [format!("{{\"k\":\"{bare}\"}}").into_bytes(), coded.clone(), base64(&coded)] {
            for part in [1, 7, 4096] {
                let chunks: Vec<&[u8]> = text.chunks(part).collect();
                assert!(run(&knowledge, BLOCK, &chunks).1.is_err(), "{} by {part}", String::from_utf8_lossy(&text));
            }
        }
    }
}

#[test]
fn what_is_overwritten_keeps_its_length_and_stays_readable() {
    let knowledge = knowledge();
    let coded = encode_base64(format!("the pin is {PIN} indeed").as_bytes());
    let text = format!(
        "{{\"a\":\"{PIN}\",\"b\":\"{coded}\",\"c\":\"{}\"}}",
        String::from_utf8(crate::encode::hex(PIN.as_bytes())).unwrap()
    );
    for part in [1, 5, 64, 4096] {
        let chunks: Vec<&[u8]> = text.as_bytes().chunks(part).collect();
        let (out, ended, notes) = run(&knowledge, MODEL, &chunks);
        assert_eq!(ended, Ok(()), "{notes:?}");
        assert_eq!(out.len(), text.len());
        let out = String::from_utf8(out).unwrap();
        // The first three bytes may have gone before they were the beginning of anything.
        assert!(out[6 + 3..].starts_with(&"*".repeat(PIN.len() - 3)), "{out}");
        let value: serde_json::Value = serde_json::from_str(&out).unwrap();
        let plain = wire::decode_base64(value["b"].as_str().unwrap()).unwrap();
        assert!(plain.starts_with(b"the pin is") && plain.ends_with(b"deed"), "{}", String::from_utf8_lossy(&plain));
        assert!(!String::from_utf8_lossy(&plain).contains(&PIN[2..PIN.len() - 2]));
        assert!(value["c"].as_str().unwrap().ends_with(&"0".repeat(2 * PIN.len() - 3)));
        assert!(notes.iter().all(|note| note.done == Action::Mask) && notes.len() == 3, "{notes:?}");
    }
    // What cannot be overwritten passes with a note on the model's host, and is stopped elsewhere. A gate-only value is
    // stopped there as well.
    let hidden = [b"x ".to_vec(), base64(&base64(PIN.as_bytes()))].concat();
    let (out, ended, notes) = run(&knowledge, MODEL, &[&hidden]);
    assert_eq!((out, ended, notes[0].done), (hidden.clone(), Ok(()), Action::Warn));
    assert!(run(&knowledge, MASK, &[&hidden]).1.is_err());
    assert!(run(&knowledge, MODEL, &[TOKEN.as_bytes()]).1.is_err());
    let off = Orders { seen: Action::Off, patterns: Action::Off, stuck: Action::Off };
    assert!(run(&knowledge, off, &[PIN.as_bytes()]).1.is_ok() && run(&knowledge, off, &[TOKEN.as_bytes()]).1.is_err());
    let warn = Orders { seen: Action::Warn, patterns: Action::Warn, stuck: Action::Warn };
    let (out, ended, notes) = run(&knowledge, warn, &[PIN.as_bytes(), b" ", PIN.as_bytes()]);
    assert_eq!((out.len(), ended), (2 * PIN.len() + 1, Ok(())));
    assert!(!notes.is_empty() && notes.iter().all(|note| note.done == Action::Warn));
    // A pattern.
    let key = "key AKIAQ7JX2MZP4KLW9TNB5 and AKIAQ7JX2MZP4KLW6TNB.";
    for part in [1, 9, 100] {
        let chunks: Vec<&[u8]> = key.as_bytes().chunks(part).collect();
        let (out, ended, _) = run(&knowledge, MASK, &chunks);
        assert_eq!(ended, Ok(()));
        let out = String::from_utf8(out).unwrap();
        assert!(out.starts_with("key AKIAQ7JX2MZP4KLW9TNB5 and ") && out.ends_with("*****************."), "{out}");
        assert_eq!(out.len(), key.len());
        assert!(run(&knowledge, BLOCK, &chunks).1.is_err());
    }
}

#[test]
fn a_body_that_says_how_it_is_compressed_is_read_or_stopped() {
    let knowledge = knowledge();
    let scan = |name: &str, body: &[u8]| {
        let (mut scan, mut out) = (Scan::passing(&knowledge, BLOCK).unpacking(Decoder::new(name).unwrap()), Vec::new());
        let ended = body.chunks(100).try_for_each(|chunk| scan.push(chunk, &mut out));
        ended.and_then(|()| scan.finish(&mut out)).map(|()| out)
    };
    let text = format!("{}{TOKEN}", "some text before it. ".repeat(500)).into_bytes();
    let fine = "some text. ".repeat(500).into_bytes();
    let zstd = |text: &[u8]| ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest);
    assert!(matches!(scan("gzip", &gzip(&text)), Err(Stop::Found(_))));
    assert!(matches!(scan("deflate", &zlib(&text)), Err(Stop::Found(_))));
    assert!(matches!(scan("zstd", &zstd(&text)), Err(Stop::Found(_))));
    assert!(matches!(scan("gzip, zstd", &zstd(&gzip(&text))), Err(Stop::Found(_))));
    assert_eq!(scan("gzip", &gzip(&fine)).unwrap(), gzip(&fine));
    assert_eq!(scan("zstd", &zstd(&fine)).unwrap(), zstd(&fine));
    assert!(matches!(scan("gzip", &fine), Err(Stop::Unread(_))));
    assert!(matches!(scan("gzip", &gzip(&fine)[..60]), Err(Stop::Unread(_))));
    assert!(scan("gzip", &[gzip(&fine), TOKEN.into()].concat()).is_err());
}

/// A gzip header whose file name does not end: the stream stays open and makes nothing.
fn unnamed_gzip() -> Vec<u8> {
    b"\x1f\x8b\x08\x08\x01\x01\x01\x01\x01\xffname".to_vec()
}

/// A zlib stream that stores what follows, up to 65,535 bytes of it.
fn storing_zlib() -> Vec<u8> {
    b"\x78\x01\x00\xff\xff\x00\x00".to_vec()
}

/// A zip entry whose header says that a long name follows.
fn unnamed_zip() -> Vec<u8> {
    zip_head(60_000)
}

fn zip_head(name_bytes: u16) -> Vec<u8> {
    let mut head = b"PK\x03\x04\x14\x01\x01\x01\x08\x00".to_vec();
    head.extend_from_slice(&[1; 16]);
    head.extend_from_slice(&name_bytes.to_le_bytes());
    head.extend_from_slice(&[0; 2]);
    head
}

fn zip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    // Longer than one block of the text is, and with the start of another entry in it.
    let name = [vec![b'n'; 2000], b"PK\x03\x04".to_vec(), vec![b'n'; 3000]].concat();
    [zip_head(name.len() as u16), name, encoder.finish().unwrap()].concat()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
}

fn bzip2(text: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn xz(text: &[u8]) -> Vec<u8> {
    let mut writer = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
    writer.write_all(text).unwrap();
    writer.finish().unwrap()
}

/// A frame of one block, all of it literals.
fn lz4(text: &[u8]) -> Vec<u8> {
    let longer = text.len().checked_sub(15).unwrap_or_else(|| panic!("{} bytes are too few", text.len()));
    let lengths = [vec![255; longer / 255], vec![(longer % 255) as u8]].concat();
    let block = [vec![0xf0], lengths, text.to_vec()].concat();
    let head = [0x04, 0x22, 0x4d, 0x18, 0x40, 0x40, 0xc0];
    [&head[..], &(block.len() as u32).to_le_bytes(), &block, &[0; 4]].concat()
}

/// A zip entry of a method other than deflate.
fn zip_of(method: u8, packed: &[u8]) -> Vec<u8> {
    let mut entry = [zip_head(1), b"n".to_vec(), packed.to_vec()].concat();
    entry[8] = method;
    entry
}

#[test]
fn a_dictionary_that_is_too_large_is_reported() {
    let knowledge = knowledge();
    let alone =
        |dictionary: u8| [&[0x5d, 0, 0, 0, dictionary][..], &[0xff; 8], &[0, 0x33, 0x1b, 0xec], &[7; 90]].concat();
    let in_zip = |dictionary: u8| zip_of(14, &[&[9, 20, 5, 0, 0x5d, 0, 0, 0, dictionary, 0][..], &[7; 90]].concat());
    let xz_large = {
        let mut options = lzma_rust2::XzOptions::with_preset(1);
        options.lzma_options.dict_size = 128 << 20;
        let mut writer = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
        writer.write_all(b"a text").unwrap();
        writer.finish().unwrap()
    };
    for (name, body) in [("lzma", alone(8)), ("zip", in_zip(8)), ("xz", xz_large)] {
        for part in [1, 7, 1024] {
            let (_, ended, _) = run(&knowledge, BLOCK, &body.chunks(part).collect::<Vec<_>>());
            assert!(
                matches!(&ended, Err(Stop::Found(finding)) if matches!(finding.subject, Subject::Unreadable(_))),
                "{name} by {part}: {ended:?}"
            );
        }
    }
    // What is small enough to read, and numbers in a table that look like such a file.
    let table: Vec<u8> = [0x5d, 8, 0, 0, 0x5d, 0x0001_0008, 0, 0].iter().flat_map(|n: &u32| n.to_le_bytes()).collect();
    for body in [alone(0), in_zip(0), table.repeat(20)] {
        assert_eq!(run(&knowledge, BLOCK, &[&body]).1, Ok(()));
    }
}

#[test]
fn a_damaged_lz4_block_hides_nothing_before_the_damage() {
    let knowledge = knowledge();
    let mut whole = lz4(format!("{}{TOKEN}{}", "text before it, ".repeat(40), ", and more".repeat(400)).as_bytes());
    // The block is one byte longer than its literals: a copy from nowhere follows them.
    let end = whole.len() - 4;
    whole.splice(end.., [0xff; 16]);
    whole[7] += 1;
    for body in [whole.clone(), whole[..end - 1000].to_vec(), base64(&whole)] {
        for part in [1, 7, 1024, 1 << 20] {
            assert!(run(&knowledge, BLOCK, &body.chunks(part).collect::<Vec<_>>()).1.is_err(), "by {part}");
        }
    }
}

#[test]
fn a_damaged_end_hides_no_compressed_value() {
    let knowledge = knowledge();
    let mut missed = Vec::new();
    for text in [TOKEN.to_owned(), format!("{}{TOKEN}", "text before it, ".repeat(40))] {
        let whole = zlib(text.as_bytes());
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        // Where the checksum stands, a block of a kind that there is not.
        let invalid = [&whole[..whole.len() - 4], &[0xff; 8]].concat();
        for (damage, packed) in [("checksum", flipped), ("block", invalid)] {
            for part in [1, 7, 64, 1 << 20] {
                let body = [b"before it ".as_slice(), &packed].concat();
                let chunks: Vec<&[u8]> = body.chunks(part).collect();
                if run(&knowledge, BLOCK, &chunks).1.is_ok() {
                    missed.push(format!("{damage}, {} bytes of text, by {part}", text.len()));
                }
            }
        }
    }
    assert!(missed.is_empty(), "{} missed:\n{}", missed.len(), missed.join("\n"));
}

#[test]
fn compressed_decoys_hide_no_compressed_value() {
    let knowledge = knowledge();
    // Long enough for an encoder to compress it instead of storing it.
    let text = format!("{}{TOKEN}{}", "text before it, ".repeat(40), ", and text behind it".repeat(40));
    let mut missed = Vec::new();
    type Pack = fn(&[u8]) -> Vec<u8>;
    let packs: [(&str, Pack); 11] = [
        ("gzip", gzip),
        ("zlib", zlib),
        ("zstd", zstd),
        ("zip", zip),
        ("gzip in gzip", |text| gzip(&gzip(text))),
        ("bzip2", bzip2),
        ("xz", xz),
        ("lz4", lz4),
        ("zip of bzip2", |text| zip_of(12, &bzip2(text))),
        ("zip of zstd", |text| zip_of(93, &zstd(text))),
        ("zip of xz", |text| zip_of(95, &xz(text))),
    ];
    let decoys = [
        ("gzip", unnamed_gzip()),
        ("zlib", storing_zlib()),
        ("zip", unnamed_zip()),
        ("bzip2", bzip2(b"some other text")[..12].to_vec()),
        ("xz", xz(b"some other text")[..14].to_vec()),
        ("lzma", b"\x5d\x00\x00\x80\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00".to_vec()),
        ("lz4", lz4(b"some other text")[..9].to_vec()),
    ];
    for (packed, pack) in packs {
        for (decoy, start) in &decoys {
            for count in [1, 3, 300] {
                let body = [start.repeat(count), pack(text.as_bytes())].concat();
                for (encoding, body) in [("bare", body.clone()), ("base64", base64(&body))] {
                    // So many decoys are costly, and differ from fewer in what is left of the budget alone.
                    for part in if count < 300 { &[1, 1024][..] } else { &[1 << 20] } {
                        let chunks: Vec<&[u8]> = body.chunks(*part).collect();
                        if run(&knowledge, BLOCK, &chunks).1.is_ok() {
                            missed.push(format!("{packed}, {encoding}, behind {count} of {decoy} by {part}"));
                        }
                    }
                }
            }
        }
    }
    assert!(missed.is_empty(), "{} missed:\n{}", missed.len(), missed.join("\n"));
}

#[test]
fn what_is_not_unpacked_whole_is_reported() {
    let knowledge = knowledge();
    let is_unreadable = |finding: &Finding| matches!(finding.subject, Subject::Unreadable(_));
    // More files at one time than are read: whatever is behind them could be in one.
    let body = [unnamed_gzip().repeat(300), gzip(PIN.as_bytes())].concat();
    let (_, ended, _) = run(&knowledge, BLOCK, &[&body]);
    assert!(matches!(&ended, Err(Stop::Found(finding)) if is_unreadable(finding)), "{ended:?}");
    let (out, ended, notes) = run(&knowledge, MODEL, &[&body]);
    assert_eq!((out, ended), (body, Ok(())));
    assert!(notes.iter().any(|note| is_unreadable(note) && note.done == Action::Warn), "{notes:?}");
    // More output than is read, in one file and in many.
    let mut large = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    large.write_all(&vec![0; 3 << 20]).unwrap();
    let large = large.finish().unwrap();
    let zeros = vec![0; 3 << 20];
    let many = [
        large.clone(),
        base64(&large),
        large.repeat(3),
        zlib(&zeros),
        zip(&zeros),
        zstd(&zeros),
        bzip2(&zeros),
        xz(&zeros),
        xz(&bzip2(&zeros)),
        base64(&gzip(&gzip(&zeros))),
    ];
    for (n, body) in many.iter().enumerate() {
        let (mut scan, mut out) = (Scan::passing(&knowledge, BLOCK), Vec::new());
        scan.budget = UnpackBudget::nearly_spent(1 << 20);
        let ended = scan.push(body, &mut out).and_then(|()| scan.finish(&mut out));
        assert!(
            matches!(&ended, Err(Stop::Found(finding)) if is_unreadable(finding)),
            "{n}, {} bytes: {ended:?}",
            body.len()
        );
    }
}

#[test]
fn a_field_is_unpacked_less_far_than_a_body() {
    let (knowledge, bomb) = (knowledge(), bzip2(&vec![0; 2 << 20]));
    assert!(run(&knowledge, BLOCK, &[&bomb]).1.is_ok());
    for text in [bomb.clone(), base64(&bomb), [&bomb[..], &gzip(PIN.as_bytes())].concat()] {
        let mut scan = Scan::looking(&knowledge, BLOCK).of_field();
        assert!(scan.look(&text).and_then(|()| scan.finish(&mut Vec::new())).is_err());
    }
    let mut scan = Scan::looking(&knowledge, BLOCK).of_field();
    assert!(scan.look(&base64(&gzip(b"a cookie of some framework"))).is_ok() && scan.finish(&mut Vec::new()).is_ok());
}

#[test]
fn what_is_compressed_waits_until_it_is_unpacked() {
    let knowledge = knowledge();
    let scan = || (Scan::passing(&knowledge, BLOCK).deferring(), Vec::new());
    let packed = gzip(PIN.as_bytes());
    for body in [packed.clone(), base64(&packed), gzip(&packed), base64(&bzip2(&packed)), dump(&packed)] {
        let (mut scan, mut out) = scan();
        scan.push(&body, &mut out).and_then(|()| scan.finish(&mut out)).unwrap();
        assert!(scan.must_unpack());
        assert!(matches!(scan.unpack(), Err(Stop::Found(_))));
        let mut message = Scan::looking(&knowledge, BLOCK).deferring();
        message.look_at_message(&body).and_then(|()| message.end_message()).unwrap();
        assert!(message.must_unpack() && message.unpack().is_err());
    }
    let (scan, mut out) = scan();
    let mut scan = scan.unpacking(Decoder::new("gzip").unwrap());
    scan.push(&packed, &mut out).and_then(|()| scan.finish(&mut out)).unwrap();
    assert!(scan.must_unpack() && scan.unpack().is_err());
    // What has no file in it waits for nothing.
    let (mut scan, mut out) = (Scan::passing(&knowledge, BLOCK).deferring(), Vec::new());
    for text in [&b"plain text, "[..], &base64(b"plain text, and some more of it"), &dump(b"plain text")] {
        scan.push(text, &mut out).unwrap();
        assert!(!scan.must_unpack());
    }
    scan.finish(&mut out).unwrap();
    assert!(!scan.must_unpack());
}

#[test]
fn honest_texts_with_much_that_is_compressed_pass() {
    let knowledge = knowledge();
    let text = "a line of text, and another one. ".repeat(30);
    let members = gzip(text.as_bytes()).repeat(400);
    let frames = zstd(text.as_bytes()).repeat(400);
    let streams = [zlib(text.as_bytes()), b"endstream".to_vec()].concat().repeat(400);
    let entries = zip(text.as_bytes()).repeat(50);
    let formula = "$x^2 + 2x^{n+1} = x^3$, so f(x)=x^a ".repeat(2000).into_bytes();
    for body in [members, frames, streams, entries, formula] {
        let chunks: Vec<&[u8]> = body.chunks(1500).collect();
        let (out, ended, notes) = run(&knowledge, BLOCK, &chunks);
        assert_eq!((out.len(), ended, notes), (body.len(), Ok(()), Vec::new()));
    }
    // A value that is cut in two by the members of one file is still one.
    let halves =
        [gzip(format!("{text}{}", &TOKEN[..12]).as_bytes()), gzip(format!("{}{text}", &TOKEN[12..]).as_bytes())];
    for part in [1, 7, 1024] {
        let body = halves.concat();
        assert!(run(&knowledge, BLOCK, &body.chunks(part).collect::<Vec<_>>()).1.is_err());
    }
}

#[test]
fn a_stream_without_a_suspicion_is_not_delayed() {
    let knowledge = knowledge();
    let (mut scan, mut out) = (Scan::passing(&knowledge, BLOCK), Vec::new());
    for part in ["data: {\"g\":1}\n\n", "gt", "_ and z", "x-", "api: -----", "\n", "sk", "-", " xo"] {
        let before = out.len();
        scan.push(part.as_bytes(), &mut out).unwrap();
        assert_eq!(out.len() - before, part.len(), "{part}");
    }
    let before = out.len();
    scan.push(&PIN.as_bytes()[..14], &mut out).unwrap();
    assert_eq!(out.len(), before);
    scan.push(b"!", &mut out).unwrap();
    assert_eq!(out.len(), before + 15);
}

#[test]
fn a_long_value_is_found_by_a_part_of_it() {
    let mut state = 7u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[(state >> 26) as usize])
    };
    let body: Vec<String> = (0..20).map(|_| (0..64).map(|_| noise()).collect()).collect();
    let key = format!("-----BEGIN SECRET THING-----\n{}\n-----END SECRET THING-----\n", body.join("\n"));
    let known = Known { name: "key".into(), class: SecretClass::GateOnly, bytes: key.clone().into() };
    let knowledge = Knowledge { vault: Arc::new(Vault::new(&[known])), rules: Arc::new(Rules::new().unwrap()) };
    let part = &key[300..460];
    for text in [part.as_bytes().to_vec(), base64(part.as_bytes()), gzip(part.as_bytes())] {
        assert!(run(&knowledge, BLOCK, &[&text]).1.is_err());
    }
    assert!(run(&knowledge, BLOCK, &[b"-----BEGIN SECRET THING-----\n\n-----END SECRET THING-----\n"]).1.is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn any_split_gives_the_same_verdict_and_never_lets_a_value_out(
        before in proptest::collection::vec(any::<u8>(), 0..200),
        after in proptest::collection::vec(any::<u8>(), 0..200),
        cuts in proptest::collection::vec(0usize..600, 0..12),
        encoding in 0..ENCODINGS.len(),
        planted in 0..3usize,
    ) {
        let knowledge = knowledge();
        let secret = [Some(TOKEN), Some(PIN), None][planted];
        let middle = secret.map(|secret| ENCODINGS[encoding].1(secret.as_bytes())).unwrap_or_default();
        let text = [before, middle, after].concat();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([0, text.len()]).collect();
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
        for orders in [BLOCK, MASK, MODEL] {
            let (whole, ended, _) = run(&knowledge, orders, &[&text]);
            let (split, ended_split, _) = run(&knowledge, orders, &chunks);
            prop_assert_eq!(ended.is_err(), ended_split.is_err());
            for out in [&whole, &split] {
                for secret in [TOKEN, PIN] {
                    prop_assert!(!out.windows(secret.len()).any(|part| part == secret.as_bytes()));
                }
            }
            if ended.is_ok() {
                prop_assert_eq!(split.len(), text.len());
            }
        }
    }
}

/// Time of the processor that this thread took: other programs' work does not count.
fn processor_seconds() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    told.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// `cargo test -p claude-bottle-scan --profile gate -- --ignored --nocapture dlp_speed`
#[test]
#[ignore = "a measurement"]
fn dlp_speed() {
    let values: Vec<Known> = (0..6u64)
        .map(|n| {
            let text = encode_base64(&(n + 3).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes().repeat(3));
            Known { name: n.to_string(), class: SecretClass::AgentVisible, bytes: format!("{n}{text}").into() }
        })
        .collect();
    let knowledge = Knowledge { vault: Arc::new(Vault::new(&values)), rules: Arc::new(Rules::new().unwrap()) };
    let mut state = 1u64;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let size = 1 << 20;
    let source = include_str!("text_scanner.rs");
    let json = serde_json::to_string(&source.repeat(size / source.len())).unwrap();
    let binary: Vec<u8> = (0..size).map(|_| noise() as u8).collect();
    let hashes: String =
        (0..size / 66).map(|_| format!("{:064x}\n", u128::from(noise()) << 64 | u128::from(noise()))).collect();
    for (name, text) in [
        ("source code", source.repeat(size / source.len()).into_bytes()),
        ("JSON with code", json.into_bytes()),
        ("binary", binary.clone()),
        ("base64", base64(&binary)[..size].to_vec()),
        ("hashes", hashes.into_bytes()),
    ] {
        for length in [10 << 10, text.len()] {
            let times = (size / length).clamp(3, 50);
            let started = processor_seconds();
            for _ in 0..times {
                let (mut scan, mut out) = (Scan::passing(&knowledge, BLOCK), Vec::new());
                for chunk in text[..length].chunks(16 << 10) {
                    scan.push(chunk, &mut out).unwrap_or_else(|stop| panic!("{name}: {stop:?}"));
                }
                scan.finish(&mut out).unwrap();
            }
            let spent = (processor_seconds() - started) * 1000.0 / f64::from(times as u32);
            let _ = writeln!(std::io::stderr(), "{name}, {length} bytes: {spent:.2} ms");
        }
    }
    let started = processor_seconds();
    for _ in 0..1000 {
        let mut scan = Scan::looking(&knowledge, BLOCK);
        scan.look(b"/v1/messages?beta=true\nuser-agent: curl/8.5.0\naccept: */*\ncontent-type: application/json\n")
            .unwrap();
        scan.finish(&mut Vec::new()).unwrap();
    }
    let _ = writeln!(std::io::stderr(), "a small head: {:.4} ms", processor_seconds() - started);
}

/// `cargo test -p claude-bottle-scan --profile gate -- --ignored --nocapture bomb_speed`
#[test]
#[ignore = "a measurement"]
fn bomb_speed() {
    let knowledge = knowledge();
    let size = 60 << 20;
    let code = "const value = { name: 12 }; foo(bar) \\u0041 =41 41 42 43\n";
    let code = code.repeat(size / code.len()).into_bytes();
    for (name, body) in [
        ("zeros, xz", xz(&vec![0; size])),
        ("zeros, gzip", gzip(&vec![0; size])),
        ("zeros, bzip2", bzip2(&vec![0; size])),
        ("code, xz", xz(&code)),
        ("code, bzip2, gzip", gzip(&bzip2(&code))),
    ] {
        let (mut scan, mut out) = (Scan::passing(&knowledge, BLOCK).deferring(), Vec::new());
        let started = std::time::Instant::now();
        scan.push(&body, &mut out).unwrap();
        let pushed = started.elapsed();
        let ended = scan.unpack();
        let _ = writeln!(
            std::io::stderr(),
            "{name}, {} bytes: pushed in {pushed:.0?}, unpacked in {:.0?}, {}",
            body.len(),
            started.elapsed() - pushed,
            if ended.is_ok() { "passes" } else { "refused" }
        );
    }
}

/// What a careless agent pipes a file through before it sends it. `f` is a text with a value in it, `x` that text in `.xz`.
const PROGRAMS: &[&str] = &[
    "xz -c f",
    "xz -9 -c f",
    "xz --format=lzma -c f",
    "bzip2 -c f",
    "cat f f | bzip2 -1 -c",
    "lz4 -c f",
    "lz4 -l -c f",
    "lz4 -BD --content-size -c f",
    "tar cJf - f",
    "tar cjf - f",
    "zip -q -Z bzip2 - f",
    "zip -q - f",
    "python3 -c 'import zipfile,sys; z=zipfile.ZipFile(sys.stdout.buffer,\"w\",zipfile.ZIP_LZMA); z.write(\"f\"); z.close()'",
    "xz -c f | gzip -c",
    // Dumps.
    "od f",
    "od -b f",
    "od -c f",
    "od -a f",
    "od -x f",
    "od -An f",
    "od -An -c f",
    "od -An -tx1 f",
    "od -tx1z f",
    "od -tu1 f",
    "hexdump f",
    "hexdump -b f",
    "hexdump -c f",
    "hexdump -d f",
    "hexdump -C f",
    "xxd f",
    "xxd -b f",
    "xxd -p f",
    "xxd -i f",
    "xxd -c 32 f",
    "od x",
    "od -c x",
    "hexdump x",
    "hexdump -C x",
    "hexdump -c x",
    "xxd x",
    "xxd -p x",
    "xxd -b x",
    "gzip -c f | xxd",
    "gzip -c f | od -td4",
    "gzip -c f | od -td2",
    "gzip -c f | od -tu8",
    "gzip -c f | xxd -e",
    "xxd f | xz -c",
    // Digits of other bases, and lists.
    "base32 f",
    "xz -c f | base32",
    "gzip -c f | base32 -w0",
    "python3 -c 'import base64,lzma,sys; sys.stdout.buffer.write(base64.b32hexencode(lzma.compress(open(\"f\",\"rb\").read())))'",
    "python3 -c 'import base64,sys; sys.stdout.buffer.write(base64.b85encode(open(\"f\",\"rb\").read()))'",
    "python3 -c 'import base64,sys; sys.stdout.buffer.write(base64.a85encode(open(\"f\",\"rb\").read()))'",
    "python3 -c 'import base64,sys; sys.stdout.buffer.write(base64.a85encode(open(\"f\",\"rb\").read(),adobe=True,wrapcol=76))'",
    "printf '\\0\\1' > d; cat f >> d; git diff --no-index --binary /dev/null d || true",
    "printf '\\0\\1' > c; cat f c > d; git diff --no-index --binary c d || true",
    "python3 -c 'import binascii,sys; d=open(\"f\",\"rb\").read(); print(\"begin 644 f\"); sys.stdout.flush(); [sys.stdout.buffer.write(binascii.b2a_uu(d[i:i+45])) for i in range(0,len(d),45)]; print(\"`\\nend\")'",
    "python3 -c 'import binascii,sys; d=open(\"x\",\"rb\").read(); print(\"begin 644 x\"); sys.stdout.flush(); [sys.stdout.buffer.write(binascii.b2a_uu(d[i:i+45],backtick=True)) for i in range(0,len(d),45)]; print(\"`\\nend\")'",
    "python3 -c 'print(list(open(\"f\",\"rb\").read()))'",
    "python3 -c 'import json; print(json.dumps({\"type\":\"Buffer\",\"data\":list(open(\"x\",\"rb\").read())},separators=(\",\",\":\")))'",
    "python3 -c 'import gzip; print(gzip.compress(open(\"f\",\"rb\").read()))'",
    "python3 -c 'import zlib; print({\"body\": zlib.compress(open(\"f\",\"rb\").read())})'",
    "python3 -c 'import gzip,urllib.parse as u; print(u.urlencode({\"n\":1,\"f\":gzip.compress(open(\"f\",\"rb\").read())}))'",
    "python3 -c 'import gzip,json; print(json.dumps({str(n):b for n,b in enumerate(gzip.compress(open(\"f\",\"rb\").read()))},separators=(\",\",\":\")))'",
    "python3 -c 'import gzip,json; print(json.dumps([str(b) for b in gzip.compress(open(\"f\",\"rb\").read())]))'",
    "python3 -c 'print([b-256 if b>127 else b for b in open(\"x\",\"rb\").read()])'",
];

#[test]
fn what_real_programs_make_of_a_file_is_read() {
    use std::process::{Command, Stdio};
    let knowledge = knowledge();
    let folder = tempfile::tempdir().unwrap();
    let mut missed = Vec::new();
    // At an odd and at an even place in it.
    for shift in ["", "x"] {
        let text = format!("{}{shift}{TOKEN}{}", "text before it, ".repeat(40), ", and text behind it".repeat(40));
        std::fs::write(folder.path().join("f"), &text).unwrap();
        std::fs::write(folder.path().join("x"), xz(text.as_bytes())).unwrap();
        for line in PROGRAMS {
            let made =
                Command::new("sh").args(["-c", line]).current_dir(&folder).stderr(Stdio::inherit()).output().unwrap();
            assert!(made.status.success() && !made.stdout.is_empty(), "{line}");
            let mut bodies = vec![
                ("bare", made.stdout.clone()),
                ("behind text", [&b"a ]x BZ \n"[..], &made.stdout].concat()),
                ("base64", base64(&made.stdout)),
            ];
            // In JSON, the digits of uuencode behind a backslash are taken for escapes.
            if let (false, Ok(text)) = (line.contains("b2a_uu"), std::str::from_utf8(&made.stdout)) {
                bodies.push(("JSON", serde_json::to_vec(&serde_json::json!({ "text": text })).unwrap()));
            }
            for (name, body) in bodies {
                for part in [7, 1024, 1 << 20] {
                    if run(&knowledge, BLOCK, &body.chunks(part).collect::<Vec<_>>()).1.is_ok() {
                        missed.push(format!("{line}, {name}, by {part}"));
                    }
                }
            }
        }
    }
    assert!(missed.is_empty(), "{} missed:\n{}", missed.len(), missed.join("\n"));
}

/// Nothing is decoded for these: the value is known in them.
#[test]
fn a_value_is_found_in_base85_and_base58() {
    let knowledge = knowledge();
    let is_found = |body: &[u8]| {
        body.chunks(7).count() > 1 && run(&knowledge, BLOCK, &body.chunks(7).collect::<Vec<_>>()).1.is_err()
    };
    for alphabet in BASE85_ALPHABETS {
        for before in 0..4 {
            let text = format!("{}{TOKEN}, and text behind it", &"text"[..before]);
            let coded = String::from_utf8(base85(text.as_bytes(), 0, alphabet)).unwrap();
            assert!(is_found(coded.as_bytes()), "{before}: {coded}");
            assert!(is_found(serde_json::json!({ "text": coded }).to_string().as_bytes()), "{before}: {coded}");
        }
    }
    for text in [TOKEN.to_owned(), format!("{TOKEN}\n")] {
        let coded = String::from_utf8(base58(text.as_bytes())).unwrap();
        assert!(is_found(format!("key={coded}&x").as_bytes()), "{coded}");
    }
}

/// In the form that a forge gives; no scanner finds it in this file.
fn github_token() -> String {
    ["ghp_", "a8Kd02LmNq93XzPw7RtYv5BcJhG1sQeU6oIf"].concat()
}

/// Without padding.
fn whole_base32(text: &[u8]) -> Vec<u8> {
    let mut coded = crate::encode::base32(&[text, &[0; 4]].concat(), 0);
    coded.truncate((text.len() * 8).div_ceil(5));
    coded
}

/// Not with a value that is known by its middle: with patterns, which need their last byte, and with compressed files, which
/// end with it.
#[test]
fn an_encoded_text_is_read_to_its_last_byte() {
    let knowledge = knowledge();
    let encodings: [Encoding; 6] = [
        ("base64", base64),
        ("base64 unpadded", |t| base64(t).into_iter().filter(|b| *b != b'=').collect()),
        ("base64 of hex", |t| base64(&crate::encode::hex(t))),
        ("hex of base64", |t| crate::encode::hex(&base64(t))),
        ("base32", |t| whole_base32(t)),
        ("base64 twice", |t| base64(&base64(t))),
    ];
    let mut missed = Vec::new();
    for before in 0..10 {
        for kind in ["ghp_", "AKIA"] {
            let secret = if kind == "AKIA" { "AKIAQ3EGRIXWZT5N7YFK".to_owned() } else { github_token() };
            let text = format!("{}{secret}", &".........."[..before]);
            for (name, encode) in encodings {
                let coded = String::from_utf8(encode(text.as_bytes())).unwrap();
                for body in [
                    coded.clone(),
                    format!("{coded}\n"),
                    format!("{{\"a\":\"{coded}\"}}"),
                    format!("data:text/plain;base64,{coded}"),
                    format!("{{\"a\":\"{coded}\",\"b\":\"{coded}\"}}"),
                    format!("a={coded}&b=eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4"),
                ] {
                    for part in [1, 7, 1 << 20] {
                        let parts: Vec<&[u8]> = body.as_bytes().chunks(part).collect();
                        if run(&knowledge, BLOCK, &parts).1.is_ok() {
                            missed.push(format!("{name} of {text}: {body}, by {part}"));
                        }
                    }
                }
            }
        }
    }
    for length in 0..15 {
        let text = format!("{}{TOKEN}{}", "text before it, ".repeat(40), "x".repeat(length));
        for (name, packed) in
            [("gzip", gzip(text.as_bytes())), ("xz", xz(text.as_bytes())), ("zstd", zstd(text.as_bytes()))]
        {
            for coded in [base64(&packed), whole_base32(&packed)] {
                if run(&knowledge, BLOCK, &[&coded]).1.is_ok() {
                    missed.push(format!("{name} of {length}"));
                }
            }
        }
    }
    assert!(missed.is_empty(), "{} missed:\n{}", missed.len(), missed.join("\n"));
}

/// Mails, scripts and their like have words on the line before, which are digits of base64, too.
#[test]
fn base64_behind_a_word_on_a_line_of_its_own_is_read() {
    let knowledge = knowledge();
    let text = format!("{}{}\n{}", "a line of text\n".repeat(400), github_token(), "a line of text\n".repeat(400));
    let mut missed = Vec::new();
    for before in
        ["", "EOF\n", "hello\n", "MIME-Version: 1.0\n\n", "base64\r\n\r\n", "-----BEGIN PKCS7-----\n", "a\nbc\nd\n"]
    {
        for packed in [text.clone().into_bytes(), gzip(text.as_bytes())] {
            for length in [60, 64, 76, 75, 1 << 20] {
                let body = [before.as_bytes(), &lines(&base64(&packed), length)].concat();
                for part in [11, 1 << 20] {
                    if run(&knowledge, BLOCK, &body.chunks(part).collect::<Vec<_>>()).1.is_ok() {
                        missed.push(format!("{before:?} before lines of {length}, by {part}"));
                    }
                }
            }
        }
    }
    assert!(missed.is_empty(), "{} missed:\n{}", missed.len(), missed.join("\n"));
}

#[test]
fn escapes_far_apart_hide_nothing_between_them() {
    let knowledge = knowledge();
    let packed = base64(&gzip(
        format!("{}{}", (0..4000).map(|n| format!("{n:x} ")).collect::<String>(), github_token()).as_bytes(),
    ));
    for length in [12, 1000, 5000] {
        let (begun, rest) = packed.split_at(length);
        let body = [b"{\"a\":\"", begun, b"\\n", rest, b"\"}"].concat();
        for part in [7, 1 << 20] {
            assert!(run(&knowledge, BLOCK, &body.chunks(part).collect::<Vec<_>>()).1.is_err(), "{length} by {part}");
        }
    }
}

/// What a manifest may put in a credential's place: its shape is a credential's, and nine characters in it are the same.
#[test]
fn a_placeholder_of_a_credentials_shape_passes() {
    let knowledge = knowledge();
    for begin in
        ["ghp_", "github_pat_", "glpat-", "sk-proj-", "sk-ant-api03-", "hf_", "xoxb-", "npm_", "AKIA", "AIza", ""]
    {
        for (fill, length) in [("x", 9), ("0", 9), ("x", 36), ("0", 36), ("X", 82), ("-", 93)] {
            let placeholder = format!("{begin}{}", fill.repeat(length));
            for text in [
                placeholder.clone(),
                format!("Authorization: Bearer {placeholder}"),
                format!("password = \"{placeholder}\"\n"),
                format!("{{\"api_key\":\"{placeholder}\",\"token\":\"{placeholder}\"}}"),
                format!("https://user:{placeholder}@example.org/"),
            ] {
                let (_, result, findings) = run(&knowledge, BLOCK, &[text.as_bytes()]);
                assert!(result.is_ok() && findings.is_empty(), "{text}");
            }
        }
    }
}
