//! Shows a call of the engine's program: as it can be typed at a shell, and in short.

use crate::text::shell_quoted;
use std::process::Command;

/// The words of `command`, quoted for a shell, behind assignments of those variables that differ from this process's.
pub(super) fn line(command: &Command) -> String {
    let (mut unset, mut set) = (Vec::new(), Vec::new());
    for (name, value) in command.get_envs() {
        let name = name.to_string_lossy();
        match (value, std::env::var_os(&*name)) {
            // Every engine's program treats an empty variable as one that is not set.
            (None, Some(here)) if !here.is_empty() => unset.extend(["-u".to_owned(), name.into_owned()]),
            (Some(value), here) if here.as_deref() != Some(value) => {
                set.push(format!("{name}={}", shell_quoted(&value.to_string_lossy())));
            }
            _ => {}
        }
    }
    let mut words = if unset.is_empty() { Vec::new() } else { vec!["env".to_owned()] };
    words.extend(unset);
    words.extend(set);
    words.extend(
        [command.get_program()].into_iter().chain(command.get_args()).map(|word| shell_quoted(&word.to_string_lossy())),
    );
    words.join(" ")
}

/// The verb and the object's name: `docker create fixer-a1b2c-gate`.
pub(super) fn short(program: &str, args: &[String]) -> String {
    let program = program.rsplit('/').next().unwrap_or(program);
    let verb = args.iter().take_while(|arg| !arg.starts_with('-')).take(2).filter(|arg| our_name(arg).is_none());
    let named = args.iter().position(|arg| arg == "--name").and_then(|at| args.get(at + 1));
    let about = named.or_else(|| args.iter().find(|arg| our_name(arg).is_some())).and_then(|name| our_name(name));
    [program].into_iter().chain(verb.map(String::as_str)).chain(about).collect::<Vec<_>>().join(" ")
}

/// The name of one of our objects without its prefix and without what follows a colon; `None` for any other word.
fn our_name(word: &str) -> Option<&str> {
    let name = word.split(':').next().unwrap_or(word);
    name.strip_prefix("claude-bottle-").filter(|name| !name.contains(['=', ',']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_can_be_typed() {
        let mut command = Command::new("docker");
        command.args(["ps", "--format", "{{.Names}} it's"]).env_remove("NOT_THERE").env("FAR", "ssh://far away");
        assert_eq!(line(&command), r"FAR='ssh://far away' docker ps --format '{{.Names}} it'\''s'");
        command.env_remove("PATH");
        assert!(line(&command).starts_with("env -u PATH FAR='ssh://far away' docker ps "));
    }

    #[test]
    fn a_call_in_short() {
        let short =
            |words: &[&str]| short("/usr/bin/docker", &words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        assert_eq!(short(&["info", "--format", "{{json .}}"]), "docker info");
        assert_eq!(short(&["create", "-i", "--name", "claude-bottle-a-b1-gate", "x"]), "docker create a-b1-gate");
        assert_eq!(short(&["cp", "claude-bottle-a-b1-agent:/home", "-"]), "docker cp a-b1-agent");
        assert_eq!(short(&["volume", "rm", "-f", "claude-bottle-a-b1"]), "docker volume rm a-b1");
    }
}
