//! Phrases of instructions to an agent. One phrase proves nothing: it takes phrases that belong together, within a few
//! sentences, and a phrase that is quoted or explained is no instruction.

use super::Sign;
use regex_automata::meta::Regex;
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind, PatternSet};
use std::sync::LazyLock;

/// Bytes of text in which phrases belong together.
const WINDOW_BYTES: usize = 480;
/// Bytes from one window to the next.
const WINDOW_STEP: usize = 240;
/// Bytes that a regex may keep between searches.
const REGEX_CACHE_BYTES: usize = 512 << 10;

/// Patterns for text in lower case, with single spaces; each kind of phrase has its index below.
const PHRASES: &[&str] = &[
    // OVERRIDE
    r"\b(?:ignore|disregard|forget|override|discard|bypass)\s(?:(?:all|any|every|everything|each)\s(?:of\s)?(?:(?:the|your|my|these|those|and|or|other)\s)*)?(?:(?:previous|prior|earlier|preceding|foregoing|above|system|original|existing|your)\s(?:and\s|or\s)?)+(?:(?:user|system|developer|safety)\s)?(?:instructions?|prompts?|directives?|guidelines?|programming|messages?)\b|\b(?:ignore|disregard|forget)\s(?:everything|all)\s(?:(?:that|you)\s)*(?:was\s|were\s|have\sbeen\s)?(?:said|told|above|before)\b|ignorez\stoutes\sles\sinstructions|ignoriere\salle\s(?:vorherigen|bisherigen)\s\w+|ignora\stodas\slas\sinstrucciones|ignore\stodas\sas\sinstru|忽略(?:之前|以上|所有|前面).{0,36}(?:指令|提示|说明)|以前の指示.{0,36}無視",
    // WEAK: people write such phrases as well.
    r"\b(?:ignore|disregard|forget|override)\s(?:the|these|those|this|my)\s(?:\w+\s)?(?:previous|prior|above|earlier|preceding|system)?\s?(?:instructions?|prompts?|directives?|guidelines?)\b|\b(?:new|updated|real|actual)\s(?:system\s)?(?:instructions?|directives?|prompt)\s?:",
    // ADDRESS: the agent is spoken to, not spoken of.
    r"\bif\syou\sare\s(?:an?\s|the\s)?(?:ai|llm|large\slanguage|language|chatbot|assistant|automated|autonomous|coding)\b|\byou\sare\s(?:now\s)?(?:an?\s)?(?:unrestricted|helpful|different|new|ai|dan)\s|\b(?:attention|dear|hey|hello|note\s(?:to|for)|message\s(?:to|for)|instructions?\s(?:to|for)|notice\s(?:to|for)|important\sfor)[:,]?\s(?:all\s|any\s|the\s)?(?:ai|llms?|language\smodels?|assistants?|chatbots?|claude|chatgpt|copilot|coding\sagents?|agents?)\b|\b(?:ai|llm)s?[\s-]?(?:agents?|assistants?|models?|systems?)?(?:\sreading\s\w+)?(?:\s(?:must|should|shall|needs?\sto)\b|\s?[:,])|\bas\san\sai\b",
    // DEMAND
    r"\b(?:send|post|upload|exfiltrate|forward|transmit|leak|e-?mail|submit|deliver|append|encode)\b.{0,100}\b(?:to|at|via|into|in)\s.{0,24}(?:https?://|\S+@\S|\b[a-z0-9-]+\.(?:com|net|org|io|dev|xyz|site|app|example|test|ru|cn|top)\b|\bwebhook|\burl\b)|\b(?:curl|wget)\s.{0,120}\|\s?(?:sudo\s)?(?:ba|z|da)?sh\b|\brm\s-rf\b|\b(?:run|execute|paste)\s(?:the\s|this\s|these\s)?(?:following|next|command|code|script|shell|`|curl|wget|bash|python|npx)|\b(?:reveal|print|output|repeat|disclose|include|return|dump|leak|exfiltrate|collect|gather)\b.{0,48}\b(?:system\sprompt|your\s(?:instructions|prompt|configuration|memory)|api[\s_-]?keys?|credentials|passwords?|secrets|access\stokens?|environment\svariables|private\skeys?|ssh\skeys?|chat\shistory|conversation)|\b(?:must|should|always)\sbe\s(?:sent|forwarded|copied)\sto\s",
    // CONCEAL
    r"\b(?:do\snot|don't|dont|never|without|avoid)\s(?:ever\s)?(?:tell|inform|mention|reveal|notify|alert|ask|warn|disclose|let)(?:ing|ling)?\b.{0,60}\b(?:the|your|any)\s(?:user|human|developer|operator|person)\b|\b(?:do\snot|don't|never)\smention\s(?:that\syou|this\s(?:instruction|step|message|note|file)|these\sinstructions)|\bkeep\s(?:this|these|it)\s(?:\w+\s)?(?:secret|hidden|confidential)\sfrom\b|\b(?:secretly|covertly)\s\w+",
    // PRETEND: as if the text came from the system.
    r"</?(?:system|important|instructions?|admin|system-reminder|sys|hidden)>|\[/?(?:system|inst|admin)\]|<\|(?:im_start|im_end|system|user|assistant|endoftext)\|?>|\bsystem\s(?:override|note|notice|instruction|update|prompt|alert|message)\s?[:\]]|(?:^|\s)#{2,}\s?(?:system|instruction)",
    // PLACE: where secrets lie.
    r"~?/?\.ssh\b|\bid_(?:rsa|ed25519|ecdsa)\b|\.aws/cred|/etc/(?:passwd|shadow)|\bmcp\.json|\.netrc\b|\.npmrc\b|(?:^|[\s/`'])\.env\b|\bkeychain\b|\.claude\.json|\.git-credentials",
    // ORDER: a tool says when others are used.
    r"\b(?:before|after|when|whenever|prior\sto|every\stime)\s(?:\w+\s){0,3}(?:using|calling|invoking|running|uses?|calls?|invokes?|runs?)\s(?:\S+\s){0,3}tools?\b",
    // ABOUT: the text explains such phrases.
    r"\b(?:prompt[\s-]injections?|injection\s(?:attack|attempt|payload)s?|jailbreaks?|attack(?:er|ers|s)?|adversar\w+|malicious|phrases?\s(?:such|like)|for\sexample|for\sinstance|e\.g\.|such\sas|red[\s-]team\w*|detect(?:s|ion|or|ors|ing)?)\b",
];

const OVERRIDE: usize = 0;
const WEAK: usize = 1;
const ADDRESS: usize = 2;
const DEMAND: usize = 3;
const CONCEAL: usize = 4;
const PRETEND: usize = 5;
const PLACE: usize = 6;
const ORDER: usize = 7;
const ABOUT: usize = 8;

static TOGETHER: LazyLock<Option<Regex>> = LazyLock::new(|| compile(PHRASES, MatchKind::All));
static ALONE: LazyLock<Option<Regex>> = LazyLock::new(|| compile(&PHRASES[..=OVERRIDE], MatchKind::LeftmostFirst));

/// Compiles for bytes: with the classes of Unicode the automata would be many times as large.
fn compile(patterns: &[&str], kind: MatchKind) -> Option<Regex> {
    let syntax = syntax::Config::new().unicode(false).utf8(false);
    let config = Regex::config().match_kind(kind).utf8_empty(false).hybrid_cache_capacity(REGEX_CACHE_BYTES);
    Regex::builder().syntax(syntax).configure(config).build_many(patterns).ok()
}

/// Does a text instruct an agent that a person does not see?
pub fn hidden(text: &str) -> Option<Sign> {
    any_window(text, |signs| {
        let has = |sign: usize| signs[sign];
        let acts = has(DEMAND) || has(CONCEAL);
        (has(OVERRIDE) && (!has(ABOUT) || acts))
            || (has(WEAK) && (has(ADDRESS) || acts))
            || (has(ADDRESS) && acts)
            || (has(PRETEND) && (acts || has(PLACE)))
            || (has(CONCEAL) && (has(DEMAND) || has(PLACE)))
    })
    .then_some("hidden text that instructs an agent")
}

/// Does a text instruct an agent that a person sees only when a pointer rests there, or hears from a screen reader?
pub fn aside(text: &str) -> Option<Sign> {
    any_window(text, |signs| {
        let has = |sign: usize| signs[sign];
        let acts = has(DEMAND) || has(CONCEAL);
        !has(ABOUT) && (has(OVERRIDE) || (has(ADDRESS) && acts))
    })
    .then_some("hidden text that instructs an agent")
}

/// Does the description of a tool, or of something that is one to an agent, instruct it beyond the tool?
pub fn tool(text: &str) -> Option<Sign> {
    any_window(text, |signs| {
        let has = |sign: usize| signs[sign];
        (has(OVERRIDE) && !has(ABOUT))
            || (has(ORDER) && has(PLACE))
            || (has(CONCEAL) && (has(PLACE) || has(PRETEND) || has(DEMAND)))
            || (has(PRETEND) && has(PLACE))
    })
    .then_some("a tool's description that instructs the agent beyond the tool")
}

/// Is there a window of the text for which `judge` is true? It is told which phrases are in it.
fn any_window(text: &str, judge: impl Fn(&[bool]) -> bool) -> bool {
    let Some(regex) = &*TOGETHER else { return false };
    let text = normalised(text);
    let mut from = 0;
    loop {
        let end = char_boundary(&text, from + WINDOW_BYTES);
        let part = &text[from..end];
        let mut met = PatternSet::new(PHRASES.len());
        regex.which_overlapping_matches(&Input::new(part), &mut met);
        let mut signs = [false; PHRASES.len()];
        met.iter().for_each(|sign| signs[sign.as_usize()] = true);
        signs[OVERRIDE] = signs[OVERRIDE] && !is_quoted(part);
        if judge(&signs) {
            return true;
        }
        if end == text.len() {
            return false;
        }
        from = char_boundary(&text, from + WINDOW_STEP);
    }
}

/// Is every override in quotes? Then the text only speaks of it.
fn is_quoted(text: &str) -> bool {
    let Some(regex) = &*ALONE else { return false };
    regex.find_iter(text).all(|found| {
        let before = text[..found.start()].trim_end_matches([' ', '.', '(', '[', '*']);
        let before = before.strip_suffix("please").unwrap_or(before).trim_end();
        before.ends_with(['"', '\'', '`', '\u{201c}', '\u{201e}', '\u{2018}', '\u{ab}', '\u{300c}'])
    })
}

/// The text in lower case, with single spaces and without invisible characters.
fn normalised(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_whitespace() => {
                if !plain.ends_with(' ') {
                    plain.push(' ');
                }
            }
            c if wire::is_hidden(c) => {}
            '\u{2019}' => plain.push('\''),
            c => plain.extend(c.to_lowercase()),
        }
    }
    plain
}

/// The last boundary of a character at or before `at`.
fn char_boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
#[path = "phrases_tests.rs"]
mod tests;
