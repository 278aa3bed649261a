//! `check`: would this request of an agent's pass, by which route, and as what? Only the manifest is read: no engine, no
//! command, no DNS is asked, and no variable's value, except where a body is to be searched for it. With `--replay`, what
//! would become of all requests of a trail.

mod git;
mod judge;
mod replay;
mod scan;

use crate::cli::{CheckArgs, ListFormat};
use crate::exit::{Exit, UserError};
use crate::manifest;
use crate::probe;
use crate::render;
use crate::say;
use crate::state::Home;
use anyhow::{Context as _, Result};
use judge::{CheckedRequest, Header};
use policy::{RequestUrl, UrlError};

const USAGE: &str = "claude-bottle check AGENT POST https://api.example.org/path";

pub fn run(asked: &CheckArgs) -> Result<Exit> {
    let home = Home::locate()?;
    let cwd = std::env::current_dir().context("the current directory is gone")?;
    let chosen = manifest::load(home.path(), &cwd)?.choose(&asked.agent)?;
    if let Some(trail) = &asked.replay {
        return replay::run(&home, &chosen.bottle, trail, asked.format);
    }
    let words: Vec<&str> = asked.request.iter().map(String::as_str).collect();
    let (method, url) = match words[..] {
        ["git", ref words @ ..] => return git::run(&chosen.bottle, words, asked),
        [url] => ("GET", url),
        [method, url] => (method, url),
        _ => return Err(UserError::new("more than a method and a URL").hint(USAGE).into()),
    };
    if asked.force || asked.delete {
        return Err(UserError::new("`--force` and `--delete` are of a push by git").hint(git::USAGE).into());
    }
    let method = parse_method(method)?;
    let headers = asked.headers.iter().map(|text| parse_header(text)).collect::<Result<_, UserError>>()?;
    let request = match RequestUrl::parse(url) {
        Ok(url) => Ok(CheckedRequest { method: method.clone(), url, headers }),
        Err(UrlError::Denied(denial)) => Err(denial),
        Err(UrlError::Unclear(what, hint)) => return Err(UserError::new(what).hint(hint).into()),
    };
    let proxy = probe::upstream_proxy()?;
    let body = asked.body.as_deref().map(scan::open).transpose()?;
    let answer = match request {
        Ok(request) => match (judge::judge(&chosen.bottle, &request, proxy.via()), body) {
            (answer, Some(body)) if answer.is_read() => scan::scan_body(&chosen.bottle, request, body, answer)?,
            (answer, _) => answer,
        },
        Err(denial) => render::Answer::denied(&method, &denial),
    };
    match asked.format {
        ListFormat::Text => say::out(&render::answer(&answer))?,
        ListFormat::Json => say::json(&answer)?,
    }
    Ok(if answer.is_allowed() { Exit::OK } else { Exit::DENIED })
}

/// The method as it would be sent: `post` is meant as POST.
fn parse_method(typed: &str) -> Result<String, UserError> {
    let method = typed.to_ascii_uppercase();
    match !method.is_empty() && method.len() <= 32 && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') {
        true => Ok(method),
        false => Err(UserError::new(format!("`{typed}` is not an HTTP method")).hint(USAGE)),
    }
}

/// Name in lower case, and value. The value may be a secret, so no error shows it.
fn parse_header(typed: &str) -> Result<Header, UserError> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    match typed.split_once(':') {
        Some((name, value))
            if !name.is_empty() && name.bytes().all(is_token) && !value.contains(['\r', '\n', '\0']) =>
        {
            Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
        }
        _ => Err(UserError::new("a header is not `name: value`").hint("-H 'content-type: application/json'")),
    }
}
