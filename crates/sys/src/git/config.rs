//! A repository's configuration as data: settings that have one of a few values, and name neither a program nor a place.

/// Settings of `core` by name, each with the values that it may have, all in lower case.
pub type CoreSettings = [(&'static str, &'static [&'static str])];

/// Values of a setting that is true or false, in lower case.
pub const BOOLEAN: &[&str] = &["true", "yes", "on", "1", "", "false", "no", "off", "0"];

/// The settings, key and value, from the output of `git config --list -z`, in its order.
pub fn parse(listed: &[u8]) -> Vec<(String, String)> {
    let pair = |field: &[u8]| {
        let field = String::from_utf8_lossy(field);
        // A setting without `=` means true.
        let (key, value) = field.split_once('\n').unwrap_or((&field, "true"));
        (key.to_owned(), value.to_owned())
    };
    super::fields(listed).map(pair).collect()
}

/// The text of a configuration with those settings that are data: the known ones of `core`, and the formats of objects
/// and refs.
pub fn data(settings: &[(String, String)], known: &CoreSettings) -> String {
    let (mut core, mut extensions) = (String::new(), String::new());
    for (key, value) in settings {
        match (key.split_once('.'), &value.to_ascii_lowercase()[..]) {
            (Some(("core", name)), _) => core.extend(core_line(name, value, known)),
            (Some(("extensions", "objectformat")), format @ ("sha1" | "sha256")) => {
                extensions.push_str(&format!("\tobjectformat = {format}\n"));
            }
            (Some(("extensions", "refstorage")), "reftable") => extensions.push_str("\trefstorage = reftable\n"),
            _ => {}
        }
    }
    let version = u8::from(!extensions.is_empty());
    format!("[core]\n\trepositoryformatversion = {version}\n\tbare = false\n{core}[extensions]\n{extensions}")
}

/// The line of a setting of `core`, if it is a known one and has one of its values.
pub fn core_line(name: &str, value: &str, known: &CoreSettings) -> Option<String> {
    let value = value.to_ascii_lowercase();
    let (name, _) = known.iter().find(|(known, values)| *known == name && values.contains(&&value[..]))?;
    Some(format!("\t{name} = \"{value}\"\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_data_is_kept() {
        let listed = b"core.filemode\nfalse\0core.ignorecase\0core.pager\nsh\0core.eol\nno\0\
            extensions.objectformat\nsha256\0extensions.refstorage\nfiles\0filter.x.clean\nsh\0";
        let settings = parse(listed);
        assert_eq!(settings[1], ("core.ignorecase".to_owned(), "true".to_owned()));
        let known: &CoreSettings = &[("eol", &["lf", "crlf"]), ("ignorecase", BOOLEAN)];
        assert_eq!(
            data(&settings, known),
            "[core]\n\trepositoryformatversion = 1\n\tbare = false\n\tignorecase = \"true\"\n\
             [extensions]\n\tobjectformat = sha256\n"
        );
        assert_eq!(
            data(&parse(b"core.eol\nLF\0"), known),
            "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\teol = \"lf\"\n[extensions]\n"
        );
    }
}
