//! How servers read a path and a query, written anew and naively: what the policy's own reading is held to.
//!
//! Each reader gives what the server would look up, as bytes in Latin-1, or `None` where it answers 400.

pub type Reader = fn(&str) -> Option<String>;

pub const PATHS: [(&str, Reader); 9] = [
    ("nginx", nginx),
    ("apache, no decode", apache_no_decode),
    ("tomcat", tomcat),
    ("iis", iis),
    ("go", go),
    ("express", express),
    ("decoded twice", twice),
    ("compatibility forms", compatibility),
    ("rewritten", rewritten),
];

/// `%41` → `A`, once; what is broken stays.
fn decode(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let pair = rest.get(1..3).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match (c, pair) {
            ('%', Some(byte)) if !rest[1..].starts_with('+') => {
                out.push(char::from(byte));
                rest = &rest[3..];
            }
            _ => {
                // Raw characters are their bytes, too.
                let mut bytes = [0; 4];
                out.extend(c.encode_utf8(&mut bytes).bytes().map(char::from));
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    out
}

fn well_formed(path: &str) -> bool {
    path.split('%').skip(1).all(|rest| rest.get(..2).is_some_and(|pair| pair.chars().all(|c| c.is_ascii_hexdigit())))
}

/// Resolves dots and merges slashes; above the root is an error.
fn resolve(path: &str) -> Option<String> {
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    for (at, segment) in segments.iter().enumerate() {
        let last = at + 1 == segments.len();
        match *segment {
            "" | "." if last => kept.push(""),
            "" | "." => {}
            ".." => {
                kept.pop()?;
                if last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    Some(format!("/{}", kept.join("/")))
}

fn nginx(path: &str) -> Option<String> {
    let plain = decode(path);
    (well_formed(path) && !plain.contains('\0')).then(|| resolve(&plain)).flatten()
}

fn apache_no_decode(path: &str) -> Option<String> {
    let kept = path.replace("%2F", "%252F").replace("%2f", "%252F");
    nginx(&kept)
}

fn tomcat(path: &str) -> Option<String> {
    let bare: Vec<&str> = path.split('/').map(|segment| segment.split(';').next().unwrap()).collect();
    let plain = decode(&bare.join("/")).replace('\\', "/");
    well_formed(path).then(|| resolve(&plain)).flatten()
}

fn iis(path: &str) -> Option<String> {
    let mut plain = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once("%u") {
        plain.push_str(before);
        let code = after.get(..4).and_then(|four| u32::from_str_radix(four, 16).ok()).and_then(char::from_u32)?;
        plain.push(code);
        rest = &after[4..];
    }
    plain.push_str(rest);
    let plain = resolve(&decode(&plain).replace('\\', "/"))?;
    let trimmed: Vec<&str> = plain.split('/').map(|segment| segment.trim_end_matches(['.', ' '])).collect();
    Some(trimmed.join("/"))
}

/// `path.Clean`, with the slash at the end that ServeMux puts back.
fn go(path: &str) -> Option<String> {
    well_formed(path).then(|| {
        let mut kept: Vec<String> = Vec::new();
        let plain = decode(path);
        for segment in plain.split('/') {
            match segment {
                "" | "." => {}
                ".." => drop(kept.pop()),
                segment => kept.push(segment.to_owned()),
            }
        }
        let end = if plain.ends_with('/') && !kept.is_empty() { "/" } else { "" };
        format!("/{}{end}", kept.join("/"))
    })
}

/// Routes on the raw path and decodes the parts.
fn express(path: &str) -> Option<String> {
    Some(path.split('/').map(decode).map(|part| part.replace('/', "%2F")).collect::<Vec<_>>().join("/"))
}

fn twice(path: &str) -> Option<String> {
    let once = decode(path);
    if well_formed(&once) { nginx(&once) } else { None }
}

/// UTF-8, then NFKC, as far as these tests use it. Latin-1 in between holds the bytes.
fn compatibility(path: &str) -> Option<String> {
    let bytes: Vec<u8> = decode(path).chars().map(|c| c as u8).collect();
    let text = String::from_utf8(bytes).ok()?;
    let folded: String = text
        .chars()
        .flat_map(|c| match c {
            '\u{2025}' => vec!['.', '.'],
            '\u{2024}' => vec!['.'],
            '\u{212a}' => vec!['K'],
            '\u{ff01}'..='\u{ff5e}' => vec![char::from_u32(c as u32 - 0xfee0).unwrap()],
            c => vec![c],
        })
        .collect();
    resolve(&decode(&folded).replace('\\', "/"))
}

/// A proxy that decodes, then takes `?` for the beginning of a query.
fn rewritten(path: &str) -> Option<String> {
    nginx(decode(path).split(['?', '#']).next().unwrap())
}

pub type Getter = fn(&str, &str) -> Option<String>;

pub const QUERIES: [(&str, Getter); 7] = [
    ("go", go_query),
    ("php", php),
    ("servlet", servlet),
    ("asp", asp),
    ("rack", rack),
    ("old python", old_python),
    ("decoded twice", twice_query),
];

fn form(text: &str) -> String {
    decode(&text.replace('+', " "))
}

fn pairs(query: &str, separators: &[char]) -> Vec<(String, String)> {
    let pairs = query.split(separators).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (key.into(), value.into()))
        .collect()
}

/// Pairs with `;` or a broken encoding are dropped; the first counts.
fn go_query(query: &str, name: &str) -> Option<String> {
    let fine = |pair: &(String, String)| well_formed(&pair.0) && well_formed(&pair.1) && !pair.1.contains(';');
    pairs(query, &['&']).into_iter().filter(fine).find(|(key, _)| form(key) == name).map(|(_, value)| form(&value))
}

/// Names are mangled, the last counts, C strings end at NUL.
fn php(query: &str, name: &str) -> Option<String> {
    let mangle = |key: &str| {
        let key = form(key);
        let key = key.split(['\0', '[']).next().unwrap().trim_start_matches(' ').replace(['.', ' '], "_");
        key.to_owned()
    };
    pairs(query, &['&']).into_iter().rev().find(|(key, _)| mangle(key) == name).map(|(_, value)| form(&value))
}

fn servlet(query: &str, name: &str) -> Option<String> {
    pairs(query, &['&']).into_iter().find(|(key, _)| form(key) == name).map(|(_, value)| form(&value))
}

/// Any case, all of them joined.
fn asp(query: &str, name: &str) -> Option<String> {
    let all = pairs(query, &['&']).into_iter().filter(|(key, _)| form(key).eq_ignore_ascii_case(name));
    let all: Vec<String> = all.map(|(_, value)| form(&value)).collect();
    (!all.is_empty()).then(|| all.join(","))
}

fn rack(query: &str, name: &str) -> Option<String> {
    pairs(query, &['&', ';']).into_iter().rev().find(|(key, _)| form(key) == name).map(|(_, value)| form(&value))
}

fn old_python(query: &str, name: &str) -> Option<String> {
    pairs(query, &['&', ';']).into_iter().find(|(key, _)| form(key) == name).map(|(_, value)| form(&value))
}

/// Only the name: a value that is decoded twice is the program's own doing.
fn twice_query(query: &str, name: &str) -> Option<String> {
    pairs(query, &['&']).into_iter().rev().find(|(key, _)| decode(&form(key)) == name).map(|(_, value)| form(&value))
}
