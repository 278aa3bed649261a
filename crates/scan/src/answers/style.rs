//! Styles that hide the text they are for, by what they say themselves: what a script or another file does is not known.

use regex_automata::meta::Regex;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Bytes of a page's style sheets that are read, which bounds the names in them as well; what is behind is not known.
const MAX_SHEET_BYTES: usize = 256 << 10;

/// Bytes of one rule of a sheet; of a longer rule, the end is read.
const MAX_RULE_BYTES: usize = 4096;

/// What hides, in a style without spaces and in lower case.
const HIDES: &str = r"(?:^|[;{])(?:display:none|visibility:(?:hidden|collapse)|opacity:0(?:\.0\d*)?(?:;|!|$)|font-size:(?:0(?:\.[0-2]\d*)?|\.[0-2]\d*|1px)(?:[a-z%]{0,3})(?:;|!|$)|(?:-webkit-text-fill-)?color:(?:transparent|rgba\([^)]*,0(?:\.0\d*)?\))|(?:left|top|right|bottom|text-indent|margin-left|margin-top):-\d{3,}|clip:rect\(0|clip:rect\(1px|clip-path:inset\((?:50|100)%|transform:scale\(0|(?:max-)?height:0(?:px)?(?:;|!|$))";

static REGEX: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(HIDES).ok());

/// Does a style hide? `style`: the value of an attribute, or what stands between the braces of a rule.
pub fn hides(style: &str) -> bool {
    let style: String = style.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect();
    let found = REGEX.as_ref().is_some_and(|regex| regex.is_match(&style));
    found || is_unreadable(&style)
}

/// Is the text of its background's colour?
fn is_unreadable(style: &str) -> bool {
    let value = |names: [&str; 2]| {
        let mut rules = style.split(';').filter_map(|rule| rule.split_once(':'));
        let value = rules.find_map(|(name, value)| names.contains(&name).then_some(value))?;
        Some(match value.trim_end_matches("!important") {
            "white" | "#fff" => "#ffffff",
            "black" | "#000" => "#000000",
            other => other,
        })
    };
    let color = value(["color", "color"]);
    color.is_some() && color == value(["background", "background-color"])
}

/// The classes and ids that a page's own style sheets hide.
#[derive(Debug, Default)]
pub struct Sheet {
    names: BTreeSet<String>,
    /// The rule that is read.
    text: String,
    /// Bytes read.
    read: usize,
}

impl Sheet {
    pub fn push(&mut self, c: char) {
        self.read += 1;
        if self.read > MAX_SHEET_BYTES {
            return;
        }
        match c {
            '}' => {
                let rule = std::mem::take(&mut self.text);
                if let Some((selectors, body)) = rule.rsplit_once('{')
                    && hides(body)
                {
                    self.names.extend(selectors.split(',').filter_map(name_alone));
                }
            }
            c if self.text.len() < MAX_RULE_BYTES => self.text.push(c),
            _ => self.text.clear(),
        }
    }

    pub fn end(&mut self) {
        self.text.clear();
    }

    /// Is this class or id hidden? `name`: `.class` or `#id`.
    pub fn hides(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// The name that a selector consists of. `None`: there is more in it, so it may be for other elements.
fn name_alone(selector: &str) -> Option<String> {
    let selector = selector.trim().trim_start_matches(|c: char| c.is_ascii_alphanumeric());
    let rest = selector.strip_prefix(['.', '#'])?;
    let plain = !rest.is_empty() && rest.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
    plain.then(|| selector.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_that_hide_are_known() {
        for style in [
            "display:none",
            "color: red; DISPLAY : none !important",
            "visibility:hidden",
            "opacity:0",
            "opacity: 0.0;",
            "font-size:0px",
            "font-size: 0.1em",
            "position:absolute;left:-9999px",
            "text-indent:-10000px",
            "color:transparent",
            "color: rgba(0, 0, 0, 0)",
            "color:#fff;background-color:white",
            "max-height:0;overflow:hidden",
        ] {
            assert!(hides(style), "{style}");
        }
        for style in [
            "",
            "display:block",
            "opacity:0.5",
            "font-size:0.9em",
            "font-size:10px",
            "left:-5px",
            "height:0.5em",
            "color:#fff;background:#000",
            "line-height:0.9",
        ] {
            assert!(!hides(style), "{style}");
        }
    }

    #[test]
    fn a_sheet_hides_by_name() {
        let mut sheet = Sheet::default();
        for c in "body{color:red} .a, span#b , .menu .c {display:none} @media print{.d{opacity:0}} .e{top:0}".chars() {
            sheet.push(c);
        }
        assert!(sheet.hides(".a") && sheet.hides("#b"));
        for name in [".c", ".e", "#a", ".menu"] {
            assert!(!sheet.hides(name), "{name}");
        }
    }
}
