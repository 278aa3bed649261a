//! Betas that a request to the model may switch on: those that Claude Code sends, and none that lets the model's servers
//! reach files, other servers or a container. What they add to a body is read there, too.

use super::{is_named, unnamed};

/// What stands before a beta's date.
const KNOWN_BETAS: [&str; 50] = [
    "advanced-tool-use",
    "advisor-tool",
    "afk-mode",
    "auto-mode-classifier",
    "cache-diagnosis",
    "cache-keepalive",
    "claude-code",
    "claude-code-side-query",
    "computer-use",
    "context-1m",
    "context-hint",
    "context-management",
    "dangerous-tool-use",
    "effort",
    "extended-cache-ttl",
    "fallback-credit",
    "fast-mode",
    "fine-grained-tool-streaming",
    "inline-tools",
    "interleaved-thinking",
    "max-tokens-3-5-sonnet",
    "message-threads",
    "mid-conversation-system",
    "mid-conversation-system-clear-at",
    "mid-conversation-tool-changes",
    "oauth",
    "output-128k",
    "pdfs",
    "per-turn-control",
    "program-use-case-ids",
    "prompt-caching",
    "prompt-caching-evict",
    "prompt-caching-scope",
    "redact-thinking",
    "request-tags",
    "resumption",
    "server-side-fallback",
    "structured-outputs",
    "task-budgets",
    "thinking-binding-controls",
    "thinking-display-updates",
    "thinking-resumption",
    "thinking-token-count",
    "timing",
    "token-counting",
    "token-efficient-tools",
    "tool-provenance",
    "tool-search-tool",
    "web-search",
    "web-search-results-only",
];

/// Checks values of `anthropic-beta`, each a list with commas between. `allowed`: the route's `server_tools`.
///
/// # Errors
/// The first that is not known and that the route does not name, said for the agent.
pub fn check_betas<'v>(values: impl IntoIterator<Item = &'v [u8]>, allowed: &[String]) -> Result<(), String> {
    for value in values {
        for beta in String::from_utf8_lossy(value).split(',') {
            let beta = beta.trim().to_ascii_lowercase();
            if !(beta.is_empty() || is_known(&beta) || is_named(allowed, &beta)) {
                return Err(unnamed(&beta));
            }
        }
    }
    Ok(())
}

/// A name of the list, `-`, and a date with or without hyphens.
fn is_known(beta: &str) -> bool {
    let is_date = |rest: &str| {
        let digits = rest.bytes().filter(u8::is_ascii_digit).count();
        digits == 8 && rest.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit())
    };
    KNOWN_BETAS
        .iter()
        .any(|known| beta.strip_prefix(known).and_then(|rest| rest.strip_prefix('-')).is_some_and(is_date))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Claude Code 2.1.330 sends them, recorded.
    const RECORDED: &str = "claude-code-20250219,oauth-2025-04-20,interleaved-thinking-2025-05-14,context-1m-2025-08-07,\
        context-management-2025-06-27,extended-cache-ttl-2025-04-11,effort-2025-11-24,advanced-tool-use-2025-11-20,\
        thinking-token-count-2026-05-13,per-turn-control-2026-07-01,mid-conversation-tool-changes-2026-07-01";

    #[test]
    fn what_claude_code_sends_passes() {
        assert_eq!(check_betas([RECORDED.as_bytes(), b" , effort-2025-11-24 "], &[]), Ok(()));
    }

    #[test]
    fn any_other_beta_passes_only_by_name() {
        for beta in [
            "mcp-client-2025-04-04",
            "MCP-Client-2025-11-20",
            "code-execution-2025-08-25",
            "files-api-2025-04-14",
            "web-fetch-2025-09-10",
            "skills-2025-10-02",
            "web-search-fetch-2027-01-01",
            "effort",
            "effort-2025-11-24x",
            "effort-mcp-2025-11-24",
            "\u{e9}",
        ] {
            let listed = format!("{RECORDED}, {beta}");
            assert!(check_betas([listed.as_bytes()], &[]).unwrap_err().contains("server_tools"), "{beta}");
            let name = beta.to_ascii_lowercase().replace('-', "_");
            assert_eq!(check_betas([listed.as_bytes()], &[name]), Ok(()), "{beta}");
        }
    }
}
