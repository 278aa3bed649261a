//! An ssh agent with one key, for ssh to log in by: the key stays in the gate's memory. It signs logins and nothing else.

use crate::git::signing_key::{SigningKey, push_string};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// Bytes of one request. What a login signs is far smaller.
const MAX_REQUEST_BYTES: usize = 16 * 1024;

// Messages of the agent protocol.
const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
/// The message that a login by key signs, behind the session's id (RFC 4252, section 7).
const USERAUTH_REQUEST: u8 = 50;

/// The answer to one request, without its length.
fn answer(key: &SigningKey, request: &[u8]) -> Vec<u8> {
    let answered = match request.split_first() {
        Some((&REQUEST_IDENTITIES, [])) => {
            let mut answer = vec![IDENTITIES_ANSWER];
            answer.extend_from_slice(&1u32.to_be_bytes());
            push_string(&mut answer, &key.public_bytes());
            push_string(&mut answer, b"");
            Some(answer)
        }
        Some((&SIGN_REQUEST, rest)) => answer_sign(key, rest),
        _ => None,
    };
    answered.unwrap_or_else(|| vec![FAILURE])
}

fn answer_sign(signer: &SigningKey, mut rest: &[u8]) -> Option<Vec<u8>> {
    let (key, data) = (take_string(&mut rest)?, take_string(&mut rest)?);
    let flags = u32::from_be_bytes(rest.try_into().ok()?);
    if key != signer.public_bytes() || !is_login(data) {
        return None;
    }
    let mut answer = vec![SIGN_RESPONSE];
    push_string(&mut answer, &signer.sign(data, flags)?);
    Some(answer)
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
        let mut message = Vec::new();
        push_string(&mut message, &answer(key, &request));
        stream.write_all(&message).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
