//! What well-known credentials look like. The formats are the providers' own, as the rule set of gitleaks (MIT licence,
//! © Zachary Rice; `config/gitleaks.toml`) records them; chosen are those that a beginning and an exact length make
//! unmistakable. There is no rule that would have to guess from the words around a credential.

use super::super::multi_pattern::MultiPattern;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Letters {
    /// Letters and digits.
    Word,
    /// Letters, digits, `_` and `-`.
    Dash,
    /// Letters, digits, `_`, `-`, `.`, `=`, `+` and `/`.
    Dots,
    Hex,
    /// Upper case letters and digits.
    Upper,
    /// The alphabet of Bitcoin's keys: no `0`, `O`, `I`, `l`.
    Base58,
    /// What a private key in lines is made of, and its headers.
    Lines,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// It is random, and does not say that it is an example.
    Random,
    /// It is random but for its end, which is this.
    Ends(&'static str),
    /// It is random, and holds this.
    Holds(&'static str),
    /// A private key, and not only its first line.
    Key,
    /// A Bitcoin key, by its checksum.
    Wallet,
}

pub struct Rule {
    pub name: &'static str,
    pub begin: &'static str,
    pub letters: Letters,
    /// Bytes behind the beginning: the fewest and the most.
    pub length: (usize, usize),
    pub check: Check,
}

const fn rule(name: &'static str, begin: &'static str, letters: Letters, length: (usize, usize)) -> Rule {
    Rule { name, begin, letters, length, check: Check::Random }
}

const fn checked(rule: Rule, check: Check) -> Rule {
    Rule { check, ..rule }
}

use Letters::{Base58, Dash, Dots, Hex, Lines, Upper, Word};

pub const RULES: &[Rule] = &[
    checked(rule("an Anthropic key", "sk-ant-", Dash, (95, 120)), Check::Ends("AA")),
    checked(rule("an OpenAI key", "sk-", Dash, (40, 200)), Check::Holds("T3BlbkFJ")),
    rule("an AWS access key", "AKIA", Upper, (16, 16)),
    rule("an AWS access key", "ASIA", Upper, (16, 16)),
    rule("an AWS access key", "ABIA", Upper, (16, 16)),
    rule("an AWS access key", "ACCA", Upper, (16, 16)),
    rule("a GitHub token", "ghp_", Word, (36, 36)),
    rule("a GitHub token", "gho_", Word, (36, 36)),
    rule("a GitHub token", "ghu_", Word, (36, 36)),
    rule("a GitHub token", "ghs_", Word, (36, 36)),
    rule("a GitHub token", "ghr_", Word, (36, 36)),
    rule("a GitHub token", "github_pat_", Dash, (82, 82)),
    rule("a GitLab token", "glpat-", Dash, (20, 20)),
    rule("a GitLab token", "gldt-", Dash, (20, 20)),
    rule("a GitLab token", "glrt-", Dash, (20, 20)),
    rule("a GitLab token", "glptt-", Hex, (40, 40)),
    rule("a GitLab token", "glcbt-", Dash, (20, 26)),
    rule("a Google key", "AIza", Dash, (35, 35)),
    rule("a Google client secret", "GOCSPX-", Dash, (28, 28)),
    rule("a Google access token", "ya29.", Dash, (60, 250)),
    rule("a Slack token", "xoxb-", Dash, (40, 90)),
    rule("a Slack token", "xoxp-", Dash, (40, 90)),
    rule("a Slack token", "xoxa-", Dash, (40, 90)),
    rule("a Slack token", "xoxr-", Dash, (40, 90)),
    rule("a Slack token", "xoxs-", Dash, (40, 90)),
    rule("a Slack token", "xapp-1-", Dash, (40, 120)),
    rule("a Stripe key", "sk_live_", Word, (20, 120)),
    rule("a Stripe key", "rk_live_", Word, (20, 120)),
    rule("an npm token", "npm_", Word, (36, 36)),
    rule("a PyPI token", "pypi-AgEIcHlwaS5vcmc", Dash, (50, 250)),
    rule("a RubyGems key", "rubygems_", Hex, (48, 48)),
    rule("a crates token", "cio", Word, (32, 32)),
    rule("a Docker token", "dckr_pat_", Dash, (27, 27)),
    rule("a SendGrid key", "SG.", Dots, (66, 66)),
    rule("a Hugging Face token", "hf_", Word, (34, 34)),
    rule("a Groq key", "gsk_", Word, (52, 52)),
    rule("an xAI key", "xai-", Word, (80, 80)),
    rule("a Replicate token", "r8_", Word, (37, 37)),
    rule("a Perplexity key", "pplx-", Word, (48, 48)),
    rule("a DigitalOcean token", "dop_v1_", Hex, (64, 64)),
    rule("a DigitalOcean token", "doo_v1_", Hex, (64, 64)),
    rule("a DigitalOcean token", "dor_v1_", Hex, (64, 64)),
    rule("a Shopify token", "shpat_", Hex, (32, 32)),
    rule("a Shopify token", "shpca_", Hex, (32, 32)),
    rule("a Shopify token", "shppa_", Hex, (32, 32)),
    rule("a Shopify secret", "shpss_", Hex, (32, 32)),
    rule("a Linear key", "lin_api_", Word, (40, 40)),
    rule("a Postman key", "PMAK-", Dash, (59, 59)),
    rule("a Databricks token", "dapi", Hex, (32, 32)),
    rule("a Doppler token", "dp.pt.", Word, (43, 43)),
    rule("a Pulumi token", "pul-", Hex, (40, 40)),
    rule("a PlanetScale token", "pscale_tkn_", Dots, (32, 64)),
    rule("a PlanetScale password", "pscale_pw_", Dots, (32, 64)),
    rule("a Grafana token", "glsa_", Dash, (41, 41)),
    rule("a Grafana token", "glc_eyJ", Dots, (50, 250)),
    rule("a Vault token", "hvs.", Dash, (90, 120)),
    rule("a Vault token", "hvb.", Dash, (138, 212)),
    rule("a Terraform token", "atlasv1.", Dots, (60, 70)),
    rule("a Sentry token", "sntrys_eyJ", Dots, (80, 250)),
    rule("a Sentry token", "sntryu_", Hex, (64, 64)),
    rule("a New Relic key", "NRAK-", Upper, (27, 27)),
    rule("an Atlassian token", "ATATT3", Dots, (186, 186)),
    rule("an Alibaba key", "LTAI", Word, (20, 20)),
    rule("a 1Password token", "ops_eyJ", Dots, (250, 250)),
    rule("a Fly token", "fo1_", Dash, (43, 43)),
    rule("a Notion token", "ntn_", Word, (46, 46)),
    rule("a Square token", "EAAAE", Dash, (55, 60)),
    rule("an age key", "AGE-SECRET-KEY-1", Upper, (58, 58)),
    checked(rule("a private key", "-----BEGIN ", Lines, (60, 600)), Check::Key),
    rule("a wallet's private key", "xprv", Base58, (107, 108)),
    rule("a wallet's private key", "yprv", Base58, (107, 108)),
    rule("a wallet's private key", "zprv", Base58, (107, 108)),
    checked(rule("a wallet's private key", "5", Base58, (50, 50)), Check::Wallet),
    checked(rule("a wallet's private key", "K", Base58, (51, 51)), Check::Wallet),
    checked(rule("a wallet's private key", "L", Base58, (51, 51)), Check::Wallet),
];

/// The rules, made ready to be looked for.
pub struct Rules {
    /// What the rules' credentials begin with.
    pub begins: MultiPattern,
    /// Where in the English list of BIP-39 the words with these first two letters begin.
    starts: Vec<u16>,
}

impl Rules {
    pub fn new() -> Result<Rules, String> {
        let begins: Vec<_> = RULES.iter().map(|rule| rule.begin).collect();
        let list = bip39::Language::English.word_list();
        let starts = (0..=26 * 26).map(|pair| list.partition_point(|word| pair_of(word.as_bytes()) < pair) as u16);
        Ok(Rules { begins: MultiPattern::new(&begins)?, starts: starts.collect() })
    }

    /// The number of a word in the list of BIP-39, if it is in there. `word`: in lower case.
    #[inline]
    pub fn word(&self, word: &[u8]) -> Option<usize> {
        if !(3..=8).contains(&word.len()) {
            return None;
        }
        let pair = pair_of(word);
        let (start, end) = (usize::from(self.starts[pair]), usize::from(self.starts[pair + 1]));
        let list = &bip39::Language::English.word_list()[start..end];
        list.iter().position(|other| other.as_bytes() == word).map(|at| start + at)
    }
}

fn pair_of(word: &[u8]) -> usize {
    usize::from(word[0] - b'a') * 26 + usize::from(word[1] - b'a')
}

impl Letters {
    #[inline]
    pub fn has(self, byte: u8) -> bool {
        match self {
            Letters::Word => byte.is_ascii_alphanumeric(),
            Letters::Dash => byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-',
            Letters::Dots => byte.is_ascii_alphanumeric() || b"_-.=+/".contains(&byte),
            Letters::Hex => byte.is_ascii_hexdigit(),
            Letters::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Letters::Base58 => byte.is_ascii_alphanumeric() && !b"0OIl".contains(&byte),
            Letters::Lines => byte.is_ascii_alphanumeric() || b"+/=-\\ \r\n\t\",:'.@>|".contains(&byte),
        }
    }
}
