//! What users write: every error word by word, and the parser beside the JSON Schema in both directions.
//!
//! A case is the smallest piece of a manifest that shows it; `Level` says what is put around it.

use claude_bottle::exit::UserError;
use claude_bottle::manifest::{self, Chosen, EnvValue, Image, Manifest, OnHangup, Prompt, Scope, Token, keys};
use policy::{AuthScheme, Protocol, Role};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{create_dir_all, write};
use std::path::Path;
use wire::Supervise;

/// A home and a directory, each with its manifest.
struct Folders {
    top: tempfile::TempDir,
}

impl Folders {
    fn new(home: Option<&str>, cwd: Option<&str>) -> Folders {
        let top = tempfile::tempdir().unwrap();
        for (name, text) in [("home", home), ("repo", cwd)] {
            create_dir_all(top.path().join(name)).unwrap();
            if let Some(text) = text {
                write(top.path().join(name).join(manifest::FILE), text).unwrap();
            }
        }
        Folders { top }
    }

    fn load(&self) -> Result<Manifest, String> {
        manifest::load(&self.top.path().join("home"), &self.top.path().join("repo")).map_err(|e| self.words(&e))
    }

    fn choose(&self, agent: &str) -> Result<Chosen, String> {
        self.load()?.choose(agent).map_err(|e| self.words(&e))
    }

    /// Both lines of an error, the files as HOME and REPO.
    fn words(&self, error: &UserError) -> String {
        let hint = error.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        let top = self.top.path().display();
        format!("{error}{hint}")
            .replace(&format!("{top}/home/{}", manifest::FILE), "HOME")
            .replace(&format!("{top}/repo/{}", manifest::FILE), "REPO")
            .replace(&format!("{top}/"), "")
    }
}

fn home(text: &str) -> Folders {
    Folders::new(Some(text), None)
}

#[derive(Clone, Copy, PartialEq)]
enum Level {
    /// A whole manifest of the home, with an agent `a` if it is to be good.
    Home,
    Bottle,
    Route,
    Agent,
    /// A whole manifest of a directory; the home has the bottle `b`.
    Directory,
    DirectoryAgent,
}

const AGENTS: &str = r#""agents":{"a":{"bottle":"b"}}"#;

impl Level {
    fn folders(self, text: &str) -> Folders {
        let whole = self.around(text);
        match self {
            Level::Directory | Level::DirectoryAgent => Folders::new(Some(r#"{"bottles":{"b":{}}}"#), Some(&whole)),
            _ => home(&whole),
        }
    }

    fn around(self, text: &str) -> String {
        match self {
            Level::Home | Level::Directory => text.into(),
            Level::Bottle => format!(r#"{{"bottles":{{"b":{text}}},{AGENTS}}}"#),
            Level::Route => format!(r#"{{"bottles":{{"b":{{"egress":{{"routes":[{text}]}}}}}},{AGENTS}}}"#),
            Level::Agent => format!(r#"{{"bottles":{{"b":{{}}}},"agents":{{"a":{text}}}}}"#),
            Level::DirectoryAgent => format!(r#"{{"agents":{{"a":{text}}}}}"#),
        }
    }
}

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../schema/claude-bottle.schema.json")).unwrap()
}

struct Schemas {
    home: jsonschema::Validator,
    directory: jsonschema::Validator,
}

impl Schemas {
    fn new() -> Schemas {
        let mut directory = schema();
        let object = directory.as_object_mut().unwrap();
        for key in ["type", "additionalProperties", "properties"] {
            object.remove(key);
        }
        object.insert("$ref".into(), json!("#/$defs/directory"));
        Schemas {
            home: jsonschema::validator_for(&schema()).unwrap(),
            directory: jsonschema::validator_for(&directory).unwrap(),
        }
    }

    fn accept(&self, level: Level, text: &str) -> bool {
        let value: Value = serde_json::from_str(&level.around(text)).expect(text);
        match level {
            Level::Directory | Level::DirectoryAgent => self.directory.is_valid(&value),
            _ => self.home.is_valid(&value),
        }
    }
}

use Level::*;

const NO_PLACEHOLDER: &str = "HOME:1: `placeholder` in `auth`: not plainly a placeholder: wanted up to 200 visible ASCII \
    characters with a run of nine that are the same\nhint: as in `\"ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"`; a token \
    belongs to `token_ref`";

/// Both the parser and the schema accept these, and agent `a` can be chosen.
const GOOD: &[(Level, &str)] = &[
    (Home, r#"{"$schema":"x","bottles":{"b":{}},"agents":{"a":{"bottle":"b"}}}"#),
    (Bottle, r#"{}"#),
    (Bottle, r#"{"image":{"name":"registry:5000/team/image:1.0@sha256:abc"}}"#),
    (Bottle, r#"{"image":{"dockerfile":"dev.Dockerfile","context":"."}}"#),
    (Bottle, r#"{"image":{"dockerfile":"~/dev.Dockerfile"}}"#),
    (Bottle, r#"{"env":{"TZ":"UTC","REGION":"${MY_REGION}","PIN":"?PIN for the demo","EMPTY":"","_x1":"$5 {}"}}"#),
    (Bottle, r#"{"egress":{}}"#),
    (Bottle, r#"{"egress":{"routes":[]},"extends":[]}"#),
    (Bottle, r#"{"git":{"user":{"name":"Bot","email":"bot@example.org"},"remotes":[]}}"#),
    (
        Bottle,
        r#"{"git":{"remotes":[{"name":"app","upstream":"ssh://git@git.example.org:2222/team/app.git","identity_file":"~/.ssh/id_app","known_host_key":"ssh-ed25519 AAAA me","allow_force":true,"allow_delete":false,"refs":["refs/heads/*","refs/tags/v*"],"protected":["refs/heads/main"]}]}}"#,
    ),
    (Bottle, r#"{"git":{"remotes":[{"name":"app","upstream":"git@x.org:team/app.git","identity_file":"k"}]}}"#),
    (Bottle, r#"{"git":{"signing_key":"~/.ssh/id_bottle"}}"#),
    (
        Bottle,
        r#"{"git":{"remotes":[{"name":"a","upstream":"https://x.org:8443/team/app.git","token_ref":"T","user":"me","private":true},{"name":"b","upstream":"https://x.org/b","token_cmd":["pass","b"]},{"name":"c","upstream":"https://x.org/c"}]}}"#,
    ),
    (Bottle, r#"{"supervise":{"hold":"2m"}}"#),
    (Bottle, r#"{"supervise":true}"#),
    (
        Bottle,
        r#"{"git":{"remotes":[{"name":"a","local":true,"refs":["refs/heads/bot/*"],"protected":["refs/heads/bot/x"],"allow_force":true},{"name":"b","local":false,"upstream":"https://x.org/b"}]}}"#,
    ),
    (Bottle, r#"{"git":{"remotes":[{"name":"a","upstream":"g@10.1.2.3:y","identity_file":"k","private":true}]}}"#),
    (Bottle, r#"{"supervise":false,"on_hangup":"detach","cwd_agents":true}"#),
    (Bottle, r#"{"seccomp":"own"}"#),
    (Bottle, r#"{"seccomp":"engine"}"#),
    (Bottle, r#"{"limits":{"memory":"512m","cpus":0.5,"pids":16}}"#),
    (Bottle, r#"{"limits":{"memory":67108864}}"#),
    (Bottle, r#"{"limits":{"memory":"1T"}}"#),
    (Route, r#"{"host":"Docs.RS"}"#),
    (
        Route,
        r#"{"host":"*.docs.rs","port":8443,"methods":["get","POST","M-SEARCH"],"paths":["/","/a/*/b","/a/**","/~x/@v;1"]}"#,
    ),
    (Route, r#"{"host":"x.org","deny":true,"paths":["/secret/**"]}"#),
    (
        Route,
        r#"{"host":"x.org","paths":["/api/team%2Fapp/**","/@t%2f*","/@t%2F*%2Fx","/a%20b/caf%C3%A9","/*","/*%2Fa/**"]}"#,
    ),
    (Route, r#"{"host":"x.org","query":{"q":"*","service":"git-upload-pack","uploads":"","a b":"é*"}}"#),
    (
        Route,
        r#"{"host":"x.org","query":{"*":"","page":"*"},"headers":{"Anthropic-Version":"2023-06-01","accept":"*"}}"#,
    ),
    (Route, r#"{"host":"x.org","deny":true,"query":{"visibility":"public"},"headers":{"anthropic-beta":"mcp-*"}}"#),
    (Route, r#"{"host":"x.org","role":"claude","auth":{"token_ref":"ANTHROPIC_API_KEY"},"headers":{"x-app":"cli"}}"#),
    (Route, r#"{"host":"x.org","auth":{"token_ref":"T"}}"#),
    (Route, r#"{"host":"x.org","auth":{"token_cmd":["pass","show",""],"scheme":"token"}}"#),
    (Route, r#"{"host":"x.org","auth":{"token_ref":"T","scheme":"Basic","user":"me"}}"#),
    (Route, r#"{"host":"x.org","auth":{"token_ref":"T","scheme":{"header":"X-Api-Key"}}}"#),
    (Route, r#"{"host":"x.org","auth":{"token_ref":"T"},"port":80,"private":true}"#),
    (Route, r#"{"host":"x.org","auth":{"token_ref":"T"},"connect_to":"http://host-gateway:11434","private":true}"#),
    (Route, r#"{"host":"x.org","connect_to":"[2606:4700::1]:443","upstream_ca":"ca.pem"}"#),
    (Route, r#"{"host":"x.org","port":80,"agent_auth":true}"#),
    (Route, r#"{"host":"x.org","paths":["/team/**"],"git":"fetch"}"#),
    (Route, r#"{"host":"x.org","intercept":false,"connect_to":"y.org:443"}"#),
    (Route, r#"{"host":"x.org","intercept":true,"protocol":"http","inspect_responses":"off"}"#),
    (Route, r#"{"host":"x.org","port":5432,"protocol":"tcp","deny":false}"#),
    (Route, r#"{"host":"x.org","bodies":true,"ranges":true,"auth":{"token_ref":"T"}}"#),
    (Route, r#"{"host":"x.org","role":"claude","auth":{"token_ref":"ANTHROPIC_API_KEY"}}"#),
    (Route, r#"{"host":"x.org","role":"claude","auth":{"token_ref":"MINE","as":"ANTHROPIC_AUTH_TOKEN"}}"#),
    (Route, r#"{"host":"x.org","auth":{"token_cmd":["x"],"as":"GH_TOKEN"}}"#),
    (Route, r#"{"host":"x.org","auth":{"token_ref":"A","as":"ANTHROPIC_API_KEY","scheme":{"header":"x-api-key"}}}"#),
    (
        Route,
        r#"{"host":"x.org","auth":{"token_ref":"A","as":"T","placeholder":"ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}}"#,
    ),
    (Route, r#"{"host":"x.org","auth":{"token_ref":"A","as":"T","placeholder":"sk-000000000"}}"#),
    (
        Bottle,
        r#"{"egress":{"routes":[{"host":"x.org","auth":{"token_ref":"A","as":"T"}},{"host":"y.org","auth":{"token_ref":"B","as":"T"}}]}}"#,
    ),
    (Route, r#"{"host":"x.org","role":"claude","auth":{"token_cmd":["x"],"as":"CLAUDE_CODE_OAUTH_TOKEN"}}"#),
    (
        Agent,
        r#"{"bottle":"b","command":["sh","-c","x",""],"prompt":"do","skills":["review","A_b.c"],"claude_md":true,"settings":{"a":{"b":[1,null]}},"git":{"user":{"name":"n","email":"e"}}}"#,
    ),
    (Agent, r#"{"bottle":"b","prompt_file":"../prompts/x.md"}"#),
    (Agent, r#"{"bottle":"b","prompt_file":"~/x.md","git":{},"settings":{}}"#),
    (DirectoryAgent, r#"{"bottle":"b","command":["make"],"prompt":"do","skills":["review"]}"#),
    (DirectoryAgent, r#"{"bottle":"b","prompt_file":"./prompts/..x/a..md"}"#),
    (Directory, r#"{"$schema":"x","agents":{"a":{"bottle":"b"}}}"#),
];

/// Neither the parser nor the schema accepts these. The text is the whole error, hint included.
const BAD: &[(Level, &str, &str)] = &[
    (Home, "[]", "HOME:1: the home's manifest: wanted an object, found an array"),
    (
        Home,
        r#"{"bottle":{}}"#,
        "HOME:1: unknown key `bottle` in the home's manifest: accepted are `$schema`, `bottles` and `agents`\nhint: did you mean `bottles`?",
    ),
    (Home, r#"{"agents":[]}"#, "HOME:1: `agents` in the home's manifest: wanted an object, found an array"),
    (Home, r#"{"$schema":5}"#, "HOME:1: `$schema` in the home's manifest: wanted a string, found a number"),
    (
        Home,
        r#"{"agents":{"A":{"bottle":"b"}}}"#,
        "HOME:1: bad name `A`: a name is a lower-case letter, then letters, digits and `-`, at most 40 in all",
    ),
    (
        Home,
        r#"{"bottles":{"b_c":{}},"agents":{}}"#,
        "HOME:1: bad name `b_c`: a name is a lower-case letter, then letters, digits and `-`, at most 40 in all",
    ),
    (Bottle, "null", "HOME:1: a bottle: wanted an object, found null"),
    (
        Bottle,
        r#"{"extend":["x"]}"#,
        "HOME:1: unknown key `extend` in a bottle: accepted are `extends`, `image`, `env`, `egress`, `git`, `supervise`, `limits`, `on_hangup`, `seccomp` and `cwd_agents`\nhint: did you mean `extends`?",
    ),
    (
        Bottle,
        r#"{"extends":"base"}"#,
        "HOME:1: `extends` in a bottle: wanted an array of strings, found a string\nhint: write `[\"base\"]`",
    ),
    (Bottle, r#"{"extends":[5]}"#, "HOME:1: `extends` in a bottle: wanted a string, found a number"),
    (Bottle, r#"{"image":"x"}"#, "HOME:1: `image`: wanted an object, found a string"),
    (Bottle, r#"{"image":{}}"#, "HOME:1: `image` without `name` or `dockerfile`: one of the two is wanted"),
    (
        Bottle,
        r#"{"image":{"name":"a","dockerfile":"b"}}"#,
        "HOME:1: `dockerfile` in `image`: not beside `name`: one of the two is wanted",
    ),
    (Bottle, r#"{"image":{"name":"a","context":"b"}}"#, "HOME:1: `context` in `image`: belongs to `dockerfile`"),
    (Bottle, r#"{"image":{"name":"-v"}}"#, "HOME:1: `name` in `image`: `-v` is no name of an image"),
    (
        Bottle,
        r#"{"image":{"dockerfile":"~root/x"}}"#,
        "HOME:1: `dockerfile` in `image`: of another user's home only the full path will do",
    ),
    (Bottle, r#"{"env":[]}"#, "HOME:1: `env` in a bottle: wanted an object, found an array"),
    (
        Bottle,
        r#"{"env":{"A":1}}"#,
        "HOME:1: variable `A`: wanted a string, found a number; the environment knows only strings\nhint: put it in double quotes",
    ),
    (
        Bottle,
        r#"{"env":{"A":"x${B}"}}"#,
        "HOME:1: variable `A`: `${NAME}` copies a variable of this machine only as the whole value, `${NAME:-}` also one that is not set",
    ),
    (Bottle, r#"{"env":{"A":"?"}}"#, "HOME:1: variable `A`: `?` wants the text of the question behind it"),
    (Bottle, r#"{"env":{"A":"?a\nb"}}"#, "HOME:1: variable `A`: a question is one line"),
    (Bottle, r#"{"env":{"A":"\u0000"}}"#, "HOME:1: variable `A`: no program takes a NUL character"),
    (Bottle, r#"{"env":{"1A":"x"}}"#, "HOME:1: variable `1A`: not a name of an environment variable"),
    (Bottle, r#"{"env":{"HOME":"x"}}"#, "HOME:1: variable `HOME`: is always the bottle's own home"),
    (
        Bottle,
        r#"{"env":{"No_Proxy":"x"}}"#,
        "HOME:1: variable `No_Proxy`: a bottle has no proxy: names just work, and `routes` decide what they reach",
    ),
    (
        Bottle,
        r#"{"env":{"SSL_CERT_FILE":"x"}}"#,
        "HOME:1: variable `SSL_CERT_FILE`: points at the bottle's own certificates; for an upstream's CA a route has `upstream_ca`",
    ),
    (Bottle, r#"{"egress":{"routes":{}}}"#, "HOME:1: `routes` in `egress`: wanted an array, found an object"),
    (
        Bottle,
        r#"{"egress":{"route":[]}}"#,
        "HOME:1: unknown key `route` in `egress`: accepted are `routes`\nhint: did you mean `routes`?",
    ),
    (Bottle, r#"{"git":{"user":{"name":"n"}}}"#, "HOME:1: `git.user` without `email`"),
    (
        Bottle,
        r#"{"git":{"user":{"name":"n","email":"<e>"}}}"#,
        "HOME:1: `email` in `git.user`: no `<`, `>` and no control character",
    ),
    (Bottle, r#"{"git":{"user":{"name":"n","email":""}}}"#, "HOME:1: `email` in `git.user`: empty"),
    (Bottle, r#"{"git":{"signing_key":""}}"#, "HOME:1: `signing_key` in a bottle's `git`: empty"),
    (
        Bottle,
        r#"{"git":{"signing_key":true}}"#,
        "HOME:1: `signing_key` in a bottle's `git`: wanted a string, found a boolean",
    ),
    (Bottle, r#"{"git":{"remotes":[{"name":"a"}]}}"#, "HOME:1: a remote without `upstream`"),
    (Bottle, r#"{"git":{"remotes":[{"name":"a","local":false}]}}"#, "HOME:1: a remote without `upstream`"),
    (
        Bottle,
        r#"{"git":{"remotes":[{"name":"a","local":true,"upstream":"https://x.org/a"}]}}"#,
        "HOME:1: `upstream` in a remote: a `local` remote has no upstream",
    ),
    (
        Bottle,
        r#"{"git":{"remotes":[{"name":"a","local":true,"private":false}]}}"#,
        "HOME:1: `private` in a remote: a `local` remote has no upstream",
    ),
    (
        Bottle,
        r#"{"git":{"remotes":[{"name":"origin","local":true}]}}"#,
        "HOME:1: `name` in a remote: of a `local` remote: it is what git calls the remote of every clone",
    ),
    (
        Bottle,
        r#"{"git":{"remotes":[{"name":"a","upstream":"git://x.org/a","identity_file":"k"}]}}"#,
        "HOME:1: `upstream` in a remote: wanted `ssh://user@host[:port]/path`, `user@host:path` or `https://host[:port]/path`",
    ),
    (
        Bottle,
        r#"{"git":{"remotes":[{"name":"a","upstream":"-o@x:y","identity_file":"k"}]}}"#,
        "HOME:1: `upstream` in a remote: wanted `ssh://user@host[:port]/path`, `user@host:path` or `https://host[:port]/path`",
    ),
    (
        Bottle,
        r#"{"git":{"remotes":[{"name":"a","upstream":"https://me:pw@x.org/a"}]}}"#,
        "HOME:1: `upstream` in a remote: no user and no password in a URL: they are `user` and `token_ref` or `token_cmd` beside it",
    ),
    (
        Bottle,
        r#"{"git":{"remotes":[{"name":"a","upstream":"g@x:y","identity_file":"k","known_host_key":"AAAA"}]}}"#,
        "HOME:1: `known_host_key` in a remote: wanted a public key, as in `ssh-ed25519 AAAA…`",
    ),
    (
        Bottle,
        r#"{"git":{"remotes":[{"name":"a","upstream":"g@x:y","identity_file":"k","refs":["main"]}]}}"#,
        "HOME:1: `refs` in a remote: `main` is no ref, as in `refs/heads/*`",
    ),
    (
        Bottle,
        r#"{"git":{"remotes":[{"name":"a","upstream":"g@x:y","identity_file":"k","allow_force":"yes"}]}}"#,
        "HOME:1: `allow_force` in a remote: wanted true or false, found a string",
    ),
    (Bottle, r#"{"git":{"remotes":[{"name":"a","upstream":"g@x:y"}]}}"#, "HOME:1: a remote without `identity_file`"),
    (
        Bottle,
        r#"{"git":{"remotes":[{"name":"a","upstream":"g@x:y","identity_file":"k","token_ref":"T"}]}}"#,
        "HOME:1: `token_ref` in a remote: belongs to an `https://` upstream",
    ),
    (
        Bottle,
        r#"{"git":{"remotes":[{"name":"a","upstream":"https://x.org/a","identity_file":"k"}]}}"#,
        "HOME:1: `identity_file` in a remote: belongs to an ssh upstream",
    ),
    (
        Bottle,
        r#"{"git":{"remotes":[{"name":"a","upstream":"g@x:y","identity_file":"k","protected":["main"]}]}}"#,
        "HOME:1: `protected` in a remote: `main` is no ref, as in `refs/heads/*`",
    ),
    (
        Bottle,
        r#"{"supervise":"yes"}"#,
        "HOME:1: `supervise` in a bottle: wanted true, false or an object, found a string",
    ),
    (Bottle, r#"{"supervise":{"wait":"1s"}}"#, "HOME:1: unknown key `wait` in `supervise`: accepted are `hold`"),
    (
        Bottle,
        r#"{"supervise":{"hold":60}}"#,
        "HOME:1: `hold` in `supervise`: wanted a time as in `60s`, found a number",
    ),
    (
        Bottle,
        r#"{"supervise":{"hold":"1h"}}"#,
        "HOME:1: `hold` in `supervise`: wanted seconds or minutes, as in `60s` or `2m`, found `1h`",
    ),
    (
        Bottle,
        r#"{"supervise":{"hold":"m"}}"#,
        "HOME:1: `hold` in `supervise`: wanted seconds or minutes, as in `60s` or `2m`, found `m`",
    ),
    (
        Bottle,
        r#"{"on_hangup":"detatch"}"#,
        "HOME:1: `on_hangup` in a bottle: wanted `stop` or `detach`, found `detatch`\nhint: did you mean `detach`?",
    ),
    (
        Bottle,
        r#"{"limits":{"memory":"4 GB"}}"#,
        "HOME:1: `memory` in `limits`: wanted bytes, or a size as in `512m` or `4g`",
    ),
    (Bottle, r#"{"limits":{"memory":1000}}"#, "HOME:1: `memory` in `limits`: less than 64m: no agent runs in that"),
    (Bottle, r#"{"limits":{"cpus":0}}"#, "HOME:1: `cpus` in `limits`: wanted a number of 0.01 to 1024, found 0"),
    (Bottle, r#"{"limits":{"cpus":"2"}}"#, "HOME:1: `cpus` in `limits`: wanted a number, found a string"),
    (Bottle, r#"{"limits":{"pids":5}}"#, "HOME:1: `pids` in `limits`: wanted a whole number of 16 to 4194304, found 5"),
    (
        Bottle,
        r#"{"limits":{"pids":20.5}}"#,
        "HOME:1: `pids` in `limits`: wanted a whole number of 16 to 4194304, found 20.5",
    ),
    (Bottle, r#"{"cwd_agents":0}"#, "HOME:1: `cwd_agents` in a bottle: wanted true or false, found a number"),
    (Route, "\"x.org\"", "HOME:1: a route: wanted an object, found a string"),
    (Route, "{}", "HOME:1: a route without `host`"),
    (
        Route,
        r#"{"hots":"x.org"}"#,
        "HOME:1: unknown key `hots` in a route: accepted are `host`, `port`, `methods`, `paths`, `deny`, `auth`, `agent_auth`, `role`, `git`, `private`, `proxy`, `connect_to`, `upstream_ca`, `intercept`, `protocol`, `dlp`, `server_tools`, `query`, `headers`, `inspect_responses`, `bodies` and `ranges`\nhint: did you mean `host`?",
    ),
    (Route, r#"{"host":""}"#, "HOME:1: `host` in a route: empty"),
    (
        Route,
        r#"{"host":"https://x.org/"}"#,
        "HOME:1: bad host `https://x.org/`: a host name alone is wanted here; scheme, port and path are keys of their own",
    ),
    (Route, r#"{"host":"*.org"}"#, "HOME:1: bad host `*.org`: a wildcard needs at least two labels behind it"),
    (
        Route,
        r#"{"host":"10.0.0.1"}"#,
        "HOME:1: bad host `10.0.0.1`: an address; a route names a host (use `connect_to` for the address)",
    ),
    (
        Route,
        r#"{"host":"x.*.org"}"#,
        "HOME:1: bad host `x.*.org`: `*` may stand only as a whole first label, as in `*.example.org`",
    ),
    (
        Route,
        r#"{"host":"git.Bottle"}"#,
        "HOME:1: `host` in a route: names under `bottle` are the gate's own services, and always there",
    ),
    (
        Route,
        r#"{"host":"a.localhost"}"#,
        "HOME:1: `host` in a route: `localhost` is the agent's own container; for a server on this machine use `connect_to`",
    ),
    (Route, r#"{"host":"x.org","port":"443"}"#, "HOME:1: `port` in a route: wanted a number, found a string"),
    (Route, r#"{"host":"x.org","port":0}"#, "HOME:1: `port` in a route: wanted a whole number of 1 to 65535, found 0"),
    (
        Route,
        r#"{"host":"x.org","port":70000}"#,
        "HOME:1: `port` in a route: wanted a whole number of 1 to 65535, found 70000",
    ),
    (
        Route,
        r#"{"host":"x.org","methods":"GET"}"#,
        "HOME:1: `methods` in a route: wanted an array of strings, found a string\nhint: write `[\"GET\"]`",
    ),
    (
        Route,
        r#"{"host":"x.org","methods":[]}"#,
        "HOME:1: `methods` in a route: empty: a route without a method matches nothing; leave the key out for GET, HEAD and OPTIONS",
    ),
    (
        Route,
        r#"{"host":"x.org","methods":["*"]}"#,
        "HOME:1: `methods` in a route: bad method `*`: methods are spelled out, as in `[\"GET\", \"POST\"]`",
    ),
    (
        Route,
        r#"{"host":"x.org","methods":["any"]}"#,
        "HOME:1: `methods` in a route: bad method `any`: methods are spelled out, as in `[\"GET\", \"POST\"]`",
    ),
    (
        Route,
        r#"{"host":"x.org","methods":["trace"]}"#,
        "HOME:1: `methods` in a route: bad method `trace`: the gate passes no TRACE and no CONNECT",
    ),
    (
        Route,
        r#"{"host":"x.org","methods":["G T"]}"#,
        "HOME:1: `methods` in a route: bad method `G T`: not an HTTP method that is known\nhint: did you mean `GET`?",
    ),
    (
        Route,
        r#"{"host":"x.org","paths":[]}"#,
        "HOME:1: `paths` in a route: empty: a route without a path matches nothing; leave the key out for every path",
    ),
    (Route, r#"{"host":"x.org","paths":["a"]}"#, "HOME:1: bad path `a`: must start with `/`"),
    (Route, r#"{"host":"x.org","paths":["/a?b"]}"#, "HOME:1: bad path `/a?b`: a path has no query"),
    (
        Route,
        r#"{"host":"x.org","paths":["/é"]}"#,
        "HOME:1: bad path `/é`: a path pattern is printable ASCII without `\\`, other characters percent-encoded",
    ),
    (Route, r#"{"host":"x.org","paths":["/a%2"]}"#, "HOME:1: bad path `/a%2`: the path has a broken percent-encoding"),
    (Route, r#"{"host":"x.org","paths":["/a%5C"]}"#, "HOME:1: bad path `/a%5C`: the path has a backslash"),
    (Route, r#"{"host":"x.org","paths":["/%2a"]}"#, "HOME:1: bad path `/%2a`: `*` and `**` stand for whole segments"),
    (
        Route,
        r#"{"host":"x.org","paths":["/a%2F**"]}"#,
        "HOME:1: bad path `/a%2F**`: `*` and `**` stand for whole segments",
    ),
    (
        Route,
        r#"{"host":"x.org","paths":["/a/../b"]}"#,
        "HOME:1: bad path `/a/../b`: patterns are matched on the normalised path, which has no `//`, `.` or `..`",
    ),
    (
        Route,
        r#"{"host":"x.org","paths":["//a"]}"#,
        "HOME:1: bad path `//a`: patterns are matched on the normalised path, which has no `//`, `.` or `..`",
    ),
    (Route, r#"{"host":"x.org","paths":["/**/a"]}"#, "HOME:1: bad path `/**/a`: `**` may stand only at the end"),
    (Route, r#"{"host":"x.org","paths":["/a*"]}"#, "HOME:1: bad path `/a*`: `*` and `**` stand for whole segments"),
    (
        Route,
        r#"{"host":"x.org","connect_to":"y.org"}"#,
        "HOME:1: bad connect_to `y.org`: wanted `host:port` or `http://host:port`",
    ),
    (
        Route,
        r#"{"host":"x.org","connect_to":"https://y.org:1"}"#,
        "HOME:1: bad connect_to `https://y.org:1`: wanted `host:port` or `http://host:port`",
    ),
    (Route, r#"{"host":"x.org","git":"push"}"#, "HOME:1: `git` in a route: wanted `fetch`, found `push`"),
    (
        Route,
        r#"{"host":"x.org","role":"cluade"}"#,
        "HOME:1: `role` in a route: wanted `claude`, found `cluade`\nhint: did you mean `claude`?",
    ),
    (
        Route,
        r#"{"host":"x.org","dlp":"allow"}"#,
        "HOME:1: `dlp` in a route: wanted `block`, `redact`, `warn` or `off`, found `allow`",
    ),
    (
        Route,
        r#"{"host":"x.org","query":{"q":5}}"#,
        "HOME:1: `query` in a route: wanted a pattern as a string for `q`, found a number",
    ),
    (Route, r#"{"host":"x.org","query":[]}"#, "HOME:1: `query` in a route: wanted an object, found an array"),
    (Route, r#"{"host":"x.org","query":{}}"#, "HOME:1: `query` in a route: empty: leave the key out"),
    (
        Route,
        r#"{"host":"x.org","query":{"é":""}}"#,
        "HOME:1: `query` in a route: bad name `é`: printable ASCII, at most 100",
    ),
    (
        Route,
        r#"{"host":"x.org","query":{"q":"a\nb"}}"#,
        "HOME:1: `query` in a route: bad pattern: no control character",
    ),
    (
        Route,
        r#"{"host":"x.org","query":{"*":"a"}}"#,
        "HOME:1: `query` in a route: `*` takes only `\"\"`: no parameter beside those named",
    ),
    (
        Route,
        r#"{"host":"x.org","deny":true,"query":{"*":""}}"#,
        "HOME:1: `query` in a route: `*` belongs to a route that allows",
    ),
    (
        Route,
        r#"{"host":"x.org","headers":{"a b":"c"}}"#,
        "HOME:1: `headers` in a route: `a b` is not the name of a header",
    ),
    (
        Route,
        r#"{"host":"x.org","server_tools":["x"]}"#,
        "HOME:1: `server_tools` in a route: belongs to `role: \"claude\"`",
    ),
    (
        Route,
        r#"{"host":"x.org","deny":true,"bodies":true}"#,
        "HOME:1: `bodies` in a route: not beside `deny: true`: what matches is refused",
    ),
    (
        Route,
        r#"{"host":"x.org","intercept":false,"ranges":true}"#,
        "HOME:1: `ranges` in a route: not beside `intercept: false`: what passes inside TLS is not seen",
    ),
    (Route, r#"{"host":"x.org","auth":"T"}"#, "HOME:1: `auth`: wanted an object, found a string"),
    (Route, r#"{"host":"x.org","auth":{}}"#, "HOME:1: `auth` without a token: `token_ref` or `token_cmd` is wanted"),
    (
        Route,
        r#"{"host":"x.org","auth":{"token_ref":"A","token_cmd":["b"]}}"#,
        "HOME:1: `token_cmd` in `auth`: not beside `token_ref`: one of the two is wanted",
    ),
    (
        Route,
        r#"{"host":"x.org","auth":{"token_ref":"sk-pasted-here"}}"#,
        "HOME:1: `token_ref` in `auth`: wanted the name of an environment variable of this machine",
    ),
    (
        Route,
        r#"{"host":"x.org","auth":{"token_cmd":"pass show x"}}"#,
        "HOME:1: `token_cmd` in `auth`: wanted an array of strings, found a string\nhint: write program and arguments apart, as in `[\"sh\", \"-c\", \"…\"]`",
    ),
    (Route, r#"{"host":"x.org","auth":{"token_cmd":[""]}}"#, "HOME:1: `token_cmd` in `auth`: empty"),
    (
        Route,
        r#"{"host":"x.org","auth":{"token_ref":"A","scheme":"bearer"}}"#,
        "HOME:1: `scheme` in `auth`: wanted `Bearer`, `token` or `Basic`, found `bearer`\nhint: did you mean `Bearer`?",
    ),
    (
        Route,
        r#"{"host":"x.org","auth":{"token_ref":"A","scheme":5}}"#,
        "HOME:1: `scheme` in `auth`: wanted `Bearer`, `token`, `Basic` or `{ \"header\": … }`, found a number",
    ),
    (
        Route,
        r#"{"host":"x.org","auth":{"token_ref":"A","scheme":"Basic"}}"#,
        "HOME:1: `scheme` in `auth`: `Basic` needs `user`",
    ),
    (
        Route,
        r#"{"host":"x.org","auth":{"token_ref":"A","scheme":"Basic","user":"a:b"}}"#,
        "HOME:1: `user` in `auth`: no `:` and no control character",
    ),
    (
        Route,
        r#"{"host":"x.org","auth":{"token_ref":"A","user":"a"}}"#,
        "HOME:1: `user` in `auth`: belongs to `scheme: \"Basic\"`",
    ),
    (
        Route,
        r#"{"host":"x.org","auth":{"token_ref":"A","scheme":"token","user":"a"}}"#,
        "HOME:1: `user` in `auth`: belongs to `scheme: \"Basic\"`",
    ),
    (Route, r#"{"host":"x.org","auth":{"token_ref":"A","scheme":{}}}"#, "HOME:1: `scheme` without `header`"),
    (
        Route,
        r#"{"host":"x.org","auth":{"token_ref":"A","scheme":{"header":"a b"}}}"#,
        "HOME:1: `header` in `scheme`: not the name of a header",
    ),
    (
        Route,
        r#"{"host":"x.org","auth":{"token_ref":"A","header":"x-key"}}"#,
        "HOME:1: unknown key `header` in `auth`: accepted are `token_ref`, `token_cmd`, `scheme`, `user`, `as` and `placeholder`",
    ),
    (
        Route,
        r#"{"host":"x.org","auth":{"token_ref":"A","placeholder":"ghp_xxxxxxxxx"}}"#,
        "HOME:1: `placeholder` in `auth`: belongs to `as`, the variable that holds it",
    ),
    (
        Route,
        r#"{"host":"x.org","role":"claude","auth":{"token_ref":"ANTHROPIC_API_KEY","placeholder":"xxxxxxxxx"}}"#,
        "HOME:1: `placeholder` in `auth`: not beside `role: \"claude\"`: Claude Code takes the usual one",
    ),
    (
        Route,
        r#"{"host":"x.org","auth":{"token_ref":"A","as":"not a name"}}"#,
        "HOME:1: `as` in `auth`: wanted the name of an environment variable",
    ),
    (
        Route,
        r#"{"host":"x.org","auth":{"token_ref":"A","as":"T","placeholder":"ghp_16C7e42F292c6912E7710c838347Ae178B4a"}}"#,
        NO_PLACEHOLDER,
    ),
    (Route, r#"{"host":"x.org","auth":{"token_ref":"A","as":"T","placeholder":"xxxxxxxx"}}"#, NO_PLACEHOLDER),
    (Route, r#"{"host":"x.org","auth":{"token_ref":"A","as":"T","placeholder":"AAAAAAAAAAAA"}}"#, NO_PLACEHOLDER),
    (Route, r#"{"host":"x.org","auth":{"token_ref":"A","as":"T","placeholder":"xxxxxxxxx y"}}"#, NO_PLACEHOLDER),
    (Route, r#"{"host":"x.org","auth":{"token_ref":"A","as":"T","placeholder":"xxxxxxxxx\u00fc"}}"#, NO_PLACEHOLDER),
    (
        Route,
        r#"{"host":"x.org","auth":{"token_ref":"A","as":"T","placeholder":""}}"#,
        "HOME:1: `placeholder` in `auth`: empty",
    ),
    (
        Route,
        r#"{"host":"x.org","role":"claude"}"#,
        "HOME:1: `role: \"claude\"` without `auth`\nhint: write `\"auth\": { \"token_ref\": \"CLAUDE_CODE_OAUTH_TOKEN\" }`",
    ),
    (
        Route,
        r#"{"host":"x.org","role":"claude","auth":{"token_ref":"MINE"}}"#,
        "HOME:1: `token_ref` in `auth`: Claude Code reads its credential from `ANTHROPIC_API_KEY`, `ANTHROPIC_AUTH_TOKEN` or `CLAUDE_CODE_OAUTH_TOKEN`, not from `MINE`\nhint: say which beside it, as in `\"as\": \"ANTHROPIC_API_KEY\"`",
    ),
    (
        Route,
        r#"{"host":"x.org","role":"claude","auth":{"token_ref":"ANTHROPIC_API_KEY","as":"MINE"}}"#,
        "HOME:1: `as` in `auth`: Claude Code reads its credential from `ANTHROPIC_API_KEY`, `ANTHROPIC_AUTH_TOKEN` or `CLAUDE_CODE_OAUTH_TOKEN`, not from `MINE`",
    ),
    (
        Route,
        r#"{"host":"x.org","role":"claude","auth":{"token_cmd":["x"]}}"#,
        "HOME:1: `role: \"claude\"` with `token_cmd` needs `as`: `ANTHROPIC_API_KEY`, `ANTHROPIC_AUTH_TOKEN` or `CLAUDE_CODE_OAUTH_TOKEN`",
    ),
    (
        Route,
        r#"{"host":"x.org","role":"claude","auth":{"token_ref":"ANTHROPIC_API_KEY","scheme":"Bearer"}}"#,
        "HOME:1: `scheme` in `auth`: not beside `role: \"claude\"`: the scheme follows the variable",
    ),
    (
        Route,
        r#"{"host":"x.org","role":"claude","auth":{"token_ref":"ANTHROPIC_API_KEY"},"methods":["POST"]}"#,
        "HOME:1: `methods` in a route: not beside `role: \"claude\"`, which carries its own rule",
    ),
    (Route, r#"{"host":"x.org","protocol":"tcp"}"#, "HOME:1: `protocol: \"tcp\"` without `port`"),
    (
        Route,
        r#"{"host":"x.org","port":1,"protocol":"tcp","paths":["/"]}"#,
        "HOME:1: `paths` in a route: not beside `protocol: \"tcp\"`: its bytes pass as they are, unseen",
    ),
    (
        Route,
        r#"{"host":"x.org","port":1,"protocol":"tcp","intercept":false}"#,
        "HOME:1: `intercept` in a route: not beside `protocol: \"tcp\"`, which is never intercepted",
    ),
    (
        Route,
        r#"{"host":"x.org","intercept":false,"auth":{"token_ref":"A"}}"#,
        "HOME:1: `auth` in a route: not beside `intercept: false`: what passes inside TLS is not seen",
    ),
    (
        Route,
        r#"{"host":"x.org","intercept":false,"port":80}"#,
        "HOME:1: `intercept` in a route: port 80 is plain HTTP, there is no TLS to pass untouched",
    ),
    (
        Route,
        r#"{"host":"x.org","intercept":false,"connect_to":"http://y.org:80"}"#,
        "HOME:1: `connect_to` in a route: `http://` wants a route whose HTTP the gate reads; write `host:port`",
    ),
    (
        Route,
        r#"{"host":"x.org","port":80,"upstream_ca":"ca.pem"}"#,
        "HOME:1: `upstream_ca` in a route: the gate itself speaks no TLS to this upstream",
    ),
    (
        Route,
        r#"{"host":"x.org","port":80,"auth":{"token_ref":"A"}}"#,
        "HOME:1: `auth` in a route: the credential would leave the gate unencrypted; only a `private` route may do that",
    ),
    (
        Route,
        r#"{"host":"x.org","connect_to":"http://y.org:1","auth":{"token_ref":"A"}}"#,
        "HOME:1: `auth` in a route: the credential would leave the gate unencrypted; only a `private` route may do that",
    ),
    (
        Route,
        r#"{"host":"x.org","deny":true,"auth":{"token_ref":"A"}}"#,
        "HOME:1: `auth` in a route: not beside `deny: true`: what matches is refused",
    ),
    (Agent, r#"{}"#, "HOME:1: an agent without `bottle`"),
    (
        Agent,
        r#"{"bottle":"b","promt":"x"}"#,
        "HOME:1: unknown key `promt` in an agent: accepted are `bottle`, `command`, `prompt`, `prompt_file`, `skills`, `claude_md`, `settings` and `git`\nhint: did you mean `prompt`?",
    ),
    (
        Agent,
        r#"{"bottle":"b","prompt":"x","prompt_file":"y"}"#,
        "HOME:1: `prompt_file` in an agent: not beside `prompt`: one of the two is wanted",
    ),
    (Agent, r#"{"bottle":"b","command":[]}"#, "HOME:1: `command` in an agent: empty"),
    (
        Agent,
        r#"{"bottle":"b","skills":["../x"]}"#,
        "HOME:1: `skills` in an agent: `../x` is no name of a folder in `~/.claude/skills`",
    ),
    (Agent, r#"{"bottle":"b","skills":["x","x"]}"#, "HOME:1: `skills` in an agent: `x` stands here twice"),
    (Agent, r#"{"bottle":"b","settings":[]}"#, "HOME:1: `settings` in an agent: wanted an object, found an array"),
    (
        Agent,
        r#"{"bottle":"b","git":{"remotes":[]}}"#,
        "HOME:1: unknown key `remotes` in an agent's `git`: accepted are `user`",
    ),
    (
        Directory,
        r#"{"bottles":{}}"#,
        "REPO:1: `bottles` in a directory's manifest: a cloned repository never defines what gets out\nhint: move `bottles` to `HOME`",
    ),
    (
        Directory,
        r#"{"agent":{}}"#,
        "REPO:1: unknown key `agent` in a directory's manifest: accepted are `$schema` and `agents`\nhint: did you mean `agents`?",
    ),
    (
        DirectoryAgent,
        r#"{"bottle":"b","settings":{}}"#,
        "REPO:1: `settings` in a directory's agent: a cloned repository does not decide that; accepted are `bottle`, `command`, `prompt`, `prompt_file` and `skills`\nhint: an agent with `settings` belongs in the home's `claude-bottle.json`",
    ),
    (
        DirectoryAgent,
        r#"{"bottle":"b","env":{}}"#,
        "REPO:1: unknown key `env` in a directory's agent: accepted are `bottle`, `command`, `prompt`, `prompt_file` and `skills`",
    ),
    (
        DirectoryAgent,
        r#"{"bottle":"b","prompt_file":"/etc/passwd"}"#,
        "REPO:1: `prompt_file` in a directory's agent: `/etc/passwd` must be relative to the manifest's folder",
    ),
    (
        DirectoryAgent,
        r#"{"bottle":"b","prompt_file":"~/.ssh/id"}"#,
        "REPO:1: `prompt_file` in a directory's agent: `~/.ssh/id` must be relative to the manifest's folder",
    ),
    (
        DirectoryAgent,
        r#"{"bottle":"b","prompt_file":"a/../../b"}"#,
        "REPO:1: `prompt_file` in a directory's agent: `a/../../b` must not climb out of the manifest's folder with `..`",
    ),
    (
        DirectoryAgent,
        r#"{"bottle":"b","prompt_file":"a/"}"#,
        "REPO:1: `prompt_file` in a directory's agent: `a/` must name a file",
    ),
];

/// Shapes are right, so the schema accepts these; what they mean together is refused.
const BAD_MEANING: &[(Level, &str, &str)] = &[
    (
        Route,
        r#"{"host":"x.org","auth":{"token_ref":"A","as":"SSL_CERT_FILE"}}"#,
        "HOME:1: `as` in `auth`: `SSL_CERT_FILE` points at the bottle's own certificates; for an upstream's CA a route has `upstream_ca`",
    ),
    (
        Route,
        r#"{"host":"x.org","auth":{"token_ref":"A","as":"PATH"}}"#,
        "HOME:1: `as` in `auth`: `PATH` is a variable that programs need as it is",
    ),
    (
        Bottle,
        r#"{"env":{"GH_TOKEN":"x"},"egress":{"routes":[{"host":"x.org","auth":{"token_ref":"A","as":"GH_TOKEN"}}]}}"#,
        "HOME:1: variable `GH_TOKEN`: holds the placeholder of a credential, the gate has the real value\nhint: leave `GH_TOKEN` out of `env`",
    ),
    (
        Bottle,
        r#"{"egress":{"routes":[{"host":"x.org","auth":{"token_ref":"A","as":"T"}},{"host":"y.org","auth":{"token_ref":"A","as":"T","placeholder":"xxxxxxxxx"}}]}}"#,
        "HOME:1: variable `T`: another `placeholder` than of the route in line 1\nhint: one variable holds one placeholder",
    ),
    (
        Route,
        r#"{"host":"x.org","paths":["/%252A%252A"]}"#,
        "HOME:1: bad path `/%252A%252A`: to some servers it has a `*`, which would stand for any segment",
    ),
    (
        Route,
        r#"{"host":"x.org","paths":["/docs/%EF%BC%8A"]}"#,
        "HOME:1: bad path `/docs/%EF%BC%8A`: to some servers it has a `*`, which would stand for any segment",
    ),
    (
        Route,
        r#"{"host":"x.org","methods":["FETCH"]}"#,
        "HOME:1: `methods` in a route: bad method `FETCH`: not an HTTP method that is known\nhint: did you mean `PATCH`?",
    ),
    (Bottle, r#"{"extends":["x"]}"#, "HOME:1: `extends` names no bottle: `b` → `x`"),
    (Bottle, r#"{"extends":["b"]}"#, "HOME:1: `extends` goes round: `b` → `b`"),
    (Bottle, r#"{"limits":{"memory":"1m"}}"#, "HOME:1: `memory` in `limits`: less than 64m: no agent runs in that"),
    (
        Bottle,
        r#"{"limits":{"memory":"99999999999999999999g"}}"#,
        "HOME:1: `memory` in `limits`: wanted bytes, or a size as in `512m` or `4g`",
    ),
    (
        Bottle,
        r#"{"git":{"remotes":[{"name":"a","upstream":"g@x:y","identity_file":"k"},{"name":"a","upstream":"g@x:y","identity_file":"k"}]}}"#,
        "HOME:1: `name` in a remote: `a` is a remote already, in line 1",
    ),
    (
        Bottle,
        r#"{"git":{"remotes":[{"name":"a","local":true},{"name":"b","local":true}]}}"#,
        "HOME:1: `local` in a remote: it is the one of the remote in line 1 already",
    ),
    (
        Bottle,
        r#"{"git":{"remotes":[{"name":"a","upstream":"g@10.1.2.3:y","identity_file":"k"}]}}"#,
        "HOME:1: `upstream` in a remote: a private address: the remote needs `\"private\": true`",
    ),
    (
        Bottle,
        r#"{"git":{"remotes":[{"name":"a","upstream":"ssh://g@[::1]:22/y","identity_file":"k","private":false}]}}"#,
        "HOME:1: `upstream` in a remote: a private address: the remote needs `\"private\": true`",
    ),
    (
        Bottle,
        r#"{"git":{"remotes":[{"name":"a","upstream":"https://localhost/y"}]}}"#,
        "HOME:1: `upstream` in a remote: a private address: the remote needs `\"private\": true`",
    ),
    (
        Bottle,
        r#"{"git":{"remotes":[{"name":"a","upstream":"https://host-gateway:8443/y"}]}}"#,
        "HOME:1: `upstream` in a remote: a private address: the remote needs `\"private\": true`",
    ),
    (
        Bottle,
        r#"{"env":{"ANTHROPIC_API_KEY":"${ANTHROPIC_API_KEY}"},"egress":{"routes":[{"host":"x.org","role":"claude","auth":{"token_ref":"ANTHROPIC_API_KEY"}}]}}"#,
        "HOME:1: variable `ANTHROPIC_API_KEY`: holds the placeholder of a credential, the gate has the real value\nhint: leave `ANTHROPIC_API_KEY` out of `env`",
    ),
    (
        Route,
        r#"{"host":"x.org","connect_to":"host-gateway:1"}"#,
        "HOME:1: `connect_to` in a route: a private address: the route needs `\"private\": true`",
    ),
    (
        Route,
        r#"{"host":"x.org","connect_to":"10.1.2.3:443"}"#,
        "HOME:1: `connect_to` in a route: a private address: the route needs `\"private\": true`",
    ),
    (
        Route,
        r#"{"host":"x.org","auth":{"token_ref":"A","scheme":{"header":"Host"}}}"#,
        "HOME:1: `header` in `scheme`: `host` carries no credential",
    ),
    (
        Route,
        r#"{"host":"*.x.org","private":true},{"host":"a.x.org"}"#,
        "HOME:1: `private` differs from the route in line 1: both can match a.x.org:443, and it acts before the path is known\nhint: give both routes the same `private`",
    ),
    (
        Route,
        r#"{"host":"a.org","role":"claude","auth":{"token_ref":"ANTHROPIC_API_KEY"}},{"host":"b.org","role":"claude","auth":{"token_ref":"ANTHROPIC_API_KEY"}}"#,
        "HOME:1: a second host with `role: \"claude\"`, beside the one in line 1: Claude Code has one",
    ),
    (
        Route,
        r#"{"host":"x.org","headers":{"Authorization":"Bearer *"}}"#,
        "HOME:1: `headers` in a route: `Authorization` is the gate's own: it writes it, takes it off or refuses it, whatever the agent sends",
    ),
    (
        Route,
        r#"{"host":"x.org","headers":{"accept":"a","Accept":"b"}}"#,
        "HOME:1: `headers` in a route: `Accept` stands here twice",
    ),
    (
        Route,
        r#"{"host":"x.org","headers":{"x-k":"*"},"auth":{"token_ref":"T","scheme":{"header":"X-K"}}}"#,
        "HOME:1: `headers` in a route: `x-k` is the header of `auth`, which the gate writes",
    ),
    (Route, r#"{"host":"x.org","paths":["/caf%E9"]}"#, "HOME:1: bad path `/caf%E9`: the path is not UTF-8"),
    (Route, r#"{"host":"x.org","paths":["/%2e%2e/a"]}"#, "HOME:1: bad path `/%2e%2e/a`: the path has dot segments"),
];

/// The first thing wrong, whether with the file or with what it defines.
fn first_fault(folders: &Folders) -> Result<(), String> {
    let manifest = folders.load()?;
    match manifest.faults().first() {
        Some(fault) => Err(folders.words(fault)),
        None => Ok(()),
    }
}

/// `doctor` plans each agent, and a skill's name is compared with all before it.
#[test]
fn a_manifest_of_a_directory_is_bounded() {
    let schemas = Schemas::new();
    let agents = |count: usize| {
        let agents: Vec<String> = (0..count).map(|number| format!("\n\"a{number}\":{{\"bottle\":\"b\"}}")).collect();
        format!(r#"{{"agents":{{{}}}}}"#, agents.join(","))
    };
    let skills = |count: usize| {
        let skills: Vec<String> = (0..count).map(|number| format!("\"s{number}\"")).collect();
        format!(r#"{{"bottle":"b","skills":[{}]}}"#, skills.join(","))
    };
    for (level, enough, too_many, words) in [
        (
            Directory,
            agents(64),
            agents(65),
            "REPO:66: more than 64 agents in a directory's manifest\nhint: move some of them to `HOME`",
        ),
        (DirectoryAgent, skills(256), skills(257), "REPO:1: `skills` in a directory's agent: more than 256"),
    ] {
        let error = |text: &str| {
            let manifest = level.folders(text);
            let loaded = manifest.load()?;
            loaded.faults().first().map_or(Ok(()), |fault| Err(manifest.words(fault)))
        };
        assert_eq!((error(&enough), schemas.accept(level, &enough)), (Ok(()), true));
        assert_eq!((error(&too_many), schemas.accept(level, &too_many)), (Err(words.to_owned()), false));
    }
}

#[test]
fn good_manifests_are_accepted_by_parser_and_schema() {
    let schemas = Schemas::new();
    for (level, text) in GOOD {
        let folders = level.folders(text);
        assert_eq!(first_fault(&folders), Ok(()), "{text}");
        assert!(folders.choose("a").is_ok(), "{text}: {:?}", folders.choose("a"));
        assert!(schemas.accept(*level, text), "the schema refuses {text}");
    }
}

#[test]
fn bad_manifests_are_refused_word_by_word_and_by_the_schema() {
    let schemas = Schemas::new();
    for (level, text, wanted) in BAD {
        assert_eq!(first_fault(&level.folders(text)), Err((*wanted).into()), "{text}");
        assert!(!schemas.accept(*level, text), "the schema accepts {text}");
    }
    for (level, text, wanted) in BAD_MEANING {
        assert_eq!(first_fault(&level.folders(text)), Err((*wanted).into()), "{text}");
        assert!(schemas.accept(*level, text), "the schema refuses {text}: it belongs to the other list");
    }
}

#[test]
fn the_schema_has_the_parsers_keys_and_each_is_described() {
    let schema = schema();
    for (name, table) in keys::ALL {
        let object = name.map_or(&schema, |name| &schema["$defs"][name]);
        assert_eq!(object["additionalProperties"], json!(false), "{name:?}");
        let theirs: BTreeSet<&str> = object["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(theirs, table.keys.iter().copied().collect(), "{name:?}");
        for (key, about) in object["properties"].as_object().unwrap() {
            let of = about["$ref"].as_str().and_then(|r| r.strip_prefix("#/$defs/")).map(|name| &schema["$defs"][name]);
            let described = |v: &Value| v["description"].as_str().is_some_and(|d| d.len() > 10);
            assert!(described(about) || of.is_some_and(described), "{name:?}: `{key}` has no description");
        }
    }
    // And no closed object in the schema that the parser has no table for.
    let closed = |v: &Value| v["additionalProperties"] == json!(false);
    let defs = schema["$defs"].as_object().unwrap();
    let named: BTreeSet<&str> = defs.iter().filter(|(_, v)| closed(v)).map(|(name, _)| name.as_str()).collect();
    assert_eq!(named, keys::ALL.iter().filter_map(|(name, _)| *name).collect());
}

#[test]
fn the_example_resolves_and_fits_the_schema() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let empty = tempfile::tempdir().unwrap();
    let manifest = manifest::load(&root.join("examples/home"), empty.path()).unwrap();
    assert!(manifest.faults().is_empty(), "{:?}", manifest.faults());
    let Chosen { agent, bottle } = manifest.choose("fixer").unwrap();
    assert_eq!((agent.scope, bottle.name.as_str()), (Scope::Home, "dev"));
    assert!(!manifest::read_prompt(agent.prompt.as_ref().unwrap(), agent.scope).unwrap().is_empty());
    assert!(agent.skills.is_empty() && bottle.env.values().all(|v| matches!(v, EnvValue::Literal(_))));
    // The parser's values, without comments, are what an editor's schema check sees.
    let text = std::fs::read_to_string(root.join("examples/home/claude-bottle.json")).unwrap();
    let bare: String = text
        .lines()
        .map(|line| line.split_once("// ").map_or(line, |(code, _)| code))
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let bare = bare.replace(' ', "").replace(",}", "}").replace(",]", "]");
    let value: Value = serde_json::from_str(&bare).unwrap();
    assert!(Schemas::new().home.is_valid(&value));
    let schema = value["$schema"].as_str().unwrap();
    assert!(root.join("examples/home").join(schema).is_file(), "{schema}");
}

#[test]
fn a_broken_agent_or_bottle_stops_no_other() {
    let folders = home(
        r#"{
  "bottles": {
    "good": {},
    "bad": { "evn": {} },
    "child": { "extends": ["bad"] }
  },
  "agents": {
    "fine": { "bottle": "good" },
    "broken": { "bottle": 5 },
    "inbad": { "bottle": "bad" },
    "inchild": { "bottle": "child" },
    "nowhere": { "bottle": "goood" }
  }
}"#,
    );
    let manifest = folders.load().unwrap();
    assert_eq!(manifest.agents(), ["broken", "fine", "inbad", "inchild", "nowhere"]);
    assert!(folders.choose("fine").is_ok());
    let bottle = "HOME:4: unknown key `evn` in a bottle: accepted are `extends`, `image`, `env`, `egress`, `git`, \
                  `supervise`, `limits`, `on_hangup`, `seccomp` and `cwd_agents`\nhint: did you mean `env`?";
    for (agent, wanted) in [
        ("broken", "HOME:9: `bottle` in an agent: wanted a string, found a number"),
        ("inbad", bottle),
        ("inchild", bottle),
        ("nowhere", "HOME:12: agent `nowhere`: no bottle `goood` in HOME\nhint: did you mean `good`?"),
        (
            "fien",
            "no agent `fien`: known are `broken`, `fine`, `inbad`, `inchild` and `nowhere`\nhint: did you mean `fine`?",
        ),
        ("zzzzzz", "no agent `zzzzzz`: known are `broken`, `fine`, `inbad`, `inchild` and `nowhere`"),
    ] {
        assert_eq!(folders.choose(agent).unwrap_err(), wanted);
    }
}

#[test]
fn a_file_that_is_no_manifest_is_refused_as_a_whole() {
    for (text, wanted) in [
        (&b"{\r\n\t\"agents\": {\r\n\t\t\"a\": }"[..], "HOME:3:8: expected a value, found `}`"),
        (b"{\n\"a\xff\": 1}", "HOME:2: not UTF-8"),
        (b"{\"agents\":{},\n\"agents\":{}}", "HOME:2:1: key `agents` stands here twice, first in line 1"),
        (b"", "HOME:1:1: expected a value, found the end of the file"),
    ] {
        let folders = Folders::new(None, None);
        write(folders.top.path().join("home").join(manifest::FILE), text).unwrap();
        assert_eq!(folders.load().unwrap_err(), wanted);
    }
    let folders = home(&" ".repeat((1 << 20) + 1));
    assert_eq!(folders.load().unwrap_err(), "HOME: longer than 1 MiB");
    let folders = Folders::new(None, None);
    assert_eq!(
        folders.load().unwrap_err(),
        "no manifest: neither `HOME` nor `REPO` is there\nhint: `claude-bottle init` writes one to begin with"
    );
    create_dir_all(folders.top.path().join("home").join(manifest::FILE)).unwrap();
    assert_eq!(folders.load().unwrap_err(), "HOME: not a file");
}

#[test]
fn a_directory_hides_an_agent_of_the_home_and_says_so() {
    let folders = Folders::new(
        Some(
            "{ \"bottles\": { \"b\": {}, \"mine\": { \"cwd_agents\": false } },\n\"agents\": {\n\"a\": { \"bottle\": \"mine\", \"claude_md\": true } } }",
        ),
        Some(
            "{ \"agents\": {\n \"a\": { \"bottle\": \"b\" },\n \"c\": { \"bottle\": \"mine\" },\n \"d\": { \"bottle\": \"no\" } } }",
        ),
    );
    let Chosen { agent, .. } = folders.choose("a").unwrap();
    assert_eq!((agent.scope, agent.line, agent.claude_md), (Scope::Directory, 2, false));
    assert_eq!(agent.hides, Some(format!("{}/home/claude-bottle.json:3", folders.top.path().display())));
    assert_eq!(
        folders.choose("c").unwrap_err(),
        "REPO:3: agent `c`: bottle `mine` takes no agent of a directory: `cwd_agents` is false at HOME:1"
    );
    assert_eq!(folders.choose("d").unwrap_err(), "REPO:4: agent `d`: no bottle `no` in HOME");
    let sources = folders.load().unwrap().sources().iter().map(|(place, _)| *place).collect::<Vec<_>>();
    assert_eq!(sources, [Scope::Home, Scope::Directory]);
}

#[test]
fn the_home_is_the_home_also_for_who_stands_in_it() {
    let folders = home(r#"{ "bottles": { "b": {} }, "agents": { "a": { "bottle": "b" } } }"#);
    let home = folders.top.path().join("home");
    std::os::unix::fs::symlink(&home, folders.top.path().join("link")).unwrap();
    for cwd in [home.clone(), folders.top.path().join("link"), home.join(".")] {
        let manifest = manifest::load(&home, &cwd).unwrap();
        assert_eq!(manifest.choose("a").unwrap().agent.scope, Scope::Home);
        assert_eq!(manifest.sources().len(), 1);
    }
}

#[test]
fn a_route_has_every_default_filled_in() {
    let folders = home(
        r#"{ "agents": { "a": { "bottle": "b" } }, "bottles": { "b": { "egress": { "routes": [
  { "host": "API.Anthropic.com", "role": "claude", "auth": { "token_ref": "KEY", "as": "ANTHROPIC_API_KEY" } },
  { "host": "x.org", "methods": ["post", "PURGE", "Post"], "auth": { "scheme": "token", "token_cmd": ["pass", "x"] } },
  { "host": "x.org", "auth": { "scheme": { "header": "X-Key" }, "token_cmd": ["pass", "y"] } },
  { "host": "x.org", "auth": { "scheme": "Basic", "user": "me", "token_cmd": ["pass", "x"] } },
  { "host": "y.org", "upstream_ca": "ca.pem" },
  { "host": "z.org", "upstream_ca": "/etc/ca.pem" },
  { "host": "*.y.org", "deny": true },
  { "host": "db.org", "port": 5432, "protocol": "tcp" } ] } } } }"#,
    );
    let routes = folders.choose("a").unwrap().bottle.routes;
    let route = |n: usize| &routes[n].policy;
    assert_eq!(route(0).host.as_str(), "api.anthropic.com");
    assert_eq!((route(0).role, route(0).port, route(0).intercept), (Some(Role::Claude), 443, true));
    assert_eq!(routes[0].placeholder.as_ref().unwrap().variable, "ANTHROPIC_API_KEY");
    assert_eq!(routes[0].token, Some(Token::Env("KEY".into())));
    let auth = |n: usize| route(n).auth.as_ref().map(|a| (a.scheme.clone(), a.token.as_str())).unwrap();
    assert_eq!(auth(0), (AuthScheme::Header { header: "x-api-key".into() }, "token:env:KEY"));
    assert_eq!(auth(1), (AuthScheme::Token, "token:cmd:1"));
    assert_eq!(auth(2), (AuthScheme::Header { header: "x-key".into() }, "token:cmd:2"));
    assert_eq!(auth(3), (AuthScheme::Basic { user: "me".into() }, "token:cmd:1"));
    assert_eq!(route(1).methods, ["POST", "PURGE"]);
    assert_eq!(route(2).methods, ["GET", "HEAD", "OPTIONS"]);
    assert_eq!(route(2).paths.iter().map(|p| p.as_str()).collect::<Vec<_>>(), ["/**"]);
    assert!(route(3).origin.ends_with("/home/claude-bottle.json:5"));
    assert_eq!((route(4).upstream_ca.as_deref(), route(5).upstream_ca.as_deref()), (Some("ca:1"), Some("ca:2")));
    assert_eq!(routes[4].upstream_ca, Some(folders.top.path().join("home/ca.pem")));
    assert!(route(6).denies_every_method() && !route(3).denies_every_method());
    assert_eq!((route(7).protocol, route(7).port), (Protocol::Tcp, 5432));
}

#[test]
fn nearer_wins_and_lists_concatenate() {
    let folders = home(
        r#"{
  "bottles": {
    "root": { "env": { "A": "root", "R": "root" }, "image": { "name": "root" }, "on_hangup": "stop",
              "egress": { "routes": [{ "host": "root.org" }, { "host": "m.org", "role": "claude", "auth": { "token_ref": "ANTHROPIC_API_KEY" } }] },
              "git": { "user": { "name": "root", "email": "r" } }, "limits": { "memory": "1g", "pids": 100 }, "supervise": true },
    "left": { "extends": ["root"], "env": { "A": "left", "L": "left" }, "egress": { "routes": [{ "host": "left.org" }] }, "limits": { "pids": 200 } },
    "right": { "extends": ["root"], "env": { "A": "right", "L": "right", "X": "right" }, "egress": { "routes": [{ "host": "right.org" }] }, "image": { "dockerfile": "x/D", "context": "x" } },
    "b": { "extends": ["left", "right"], "supervise": false, "limits": { "cpus": 1.5 },
           "egress": { "routes": [{ "host": "b.org" }, { "host": "m.org", "role": "claude", "auth": { "token_ref": "CLAUDE_CODE_OAUTH_TOKEN" } }] } }
  },
  "agents": { "a": { "bottle": "b" }, "named": { "bottle": "b", "git": { "user": { "name": "n", "email": "e" } }, "prompt_file": "p.md" }, "r": { "bottle": "right" } }
}"#,
    );
    let Chosen { agent, bottle } = folders.choose("a").unwrap();
    let hosts: Vec<&str> = bottle.routes.iter().map(|route| route.policy.host.as_str()).collect();
    assert_eq!(hosts, ["b.org", "m.org", "left.org", "root.org", "right.org"]);
    assert_eq!(bottle.routes[1].placeholder.as_ref().unwrap().variable, "CLAUDE_CODE_OAUTH_TOKEN");
    let env: Vec<(&str, &EnvValue)> = bottle.env.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let text = |s: &str| EnvValue::Literal(s.into());
    assert_eq!(env, [("A", &text("left")), ("L", &text("left")), ("R", &text("root")), ("X", &text("right"))]);
    assert_eq!((bottle.limits.memory, bottle.limits.cpus, bottle.limits.pids), (1 << 30, 1.5, 200));
    assert_eq!((&bottle.image, bottle.on_hangup), (&Image::Name("root".into()), OnHangup::Stop));
    assert_eq!(agent.git_user.unwrap().name, "root");
    let named = folders.choose("named").unwrap().agent;
    assert_eq!(named.git_user.unwrap().name, "n");
    assert_eq!(named.prompt, Some(Prompt::File { root: folders.top.path().join("home"), path: "p.md".into() }));
    assert_eq!(bottle.supervise, None, "an explicit no outweighs the yes of a bottle above");
    assert_eq!(folders.choose("r").unwrap().bottle.supervise, Some(Supervise { hold: 0 }));
}

#[test]
fn a_chain_that_goes_round_or_breaks_is_named() {
    let folders = home(
        r#"{ "bottles": {
  "a": { "extends": ["b"] },
  "b": { "extends": ["c"] },
  "c": { "extends": ["a"] },
  "base": {},
  "d": { "extends": ["e"] },
  "e": { "extends": ["bsae"] } }, "agents": { "a": { "bottle": "a" }, "d": { "bottle": "d" } } }"#,
    );
    assert_eq!(folders.choose("a").unwrap_err(), "HOME:4: `extends` goes round: `a` → `b` → `c` → `a`");
    assert_eq!(
        folders.choose("d").unwrap_err(),
        "HOME:7: `extends` names no bottle: `d` → `e` → `bsae`\nhint: did you mean `base`?"
    );
    let long: String = (0..2000).map(|n| format!("\"b{n}\":{{\"extends\":[\"b{}\"]}},", n + 1)).collect();
    let folders = home(&format!(r#"{{"bottles":{{{long}"b2000":{{}}}},"agents":{{"a":{{"bottle":"b0"}}}}}}"#));
    assert_eq!(folders.choose("a").unwrap_err(), "HOME:1: more than 32 bottles extend one another");
}

#[test]
fn what_acts_before_the_path_is_known_must_be_equal() {
    let both = |first: &str, second: &str| {
        home(
            &Level::Route
                .around(&format!("{{ \"host\": \"*.x.org\" {first} }},\n{{ \"host\": \"a.b.x.org\" {second} }}")),
        )
        .choose("a")
    };
    for (key, first, second) in [
        ("private", r#", "private": true"#, ""),
        ("connect_to", r#", "connect_to": "y.org:443""#, ""),
        ("connect_to", r#", "connect_to": "y.org:443""#, r#", "connect_to": "y.org:444""#),
        ("upstream_ca", r#", "upstream_ca": "a.pem""#, r#", "upstream_ca": "b.pem""#),
        ("intercept", r#", "intercept": false"#, ""),
        ("protocol", r#", "port": 5432, "protocol": "tcp""#, r#", "port": 5432"#),
    ] {
        let port = if first.contains("5432") { 5432 } else { 443 };
        let wanted = format!(
            "HOME:2: `{key}` differs from the route in line 1: both can match a.b.x.org:{port}, and it acts before the path is known\nhint: give both routes the same `{key}`"
        );
        assert_eq!(both(first, second).unwrap_err(), wanted);
    }
    assert!(both(r#", "private": true"#, r#", "port": 8443"#).is_ok());
    assert!(both(r#", "private": true"#, r#", "private": true, "paths": ["/a"]"#).is_ok());
}

#[test]
fn no_bytes_panic_the_reader() {
    let seeds: Vec<String> = GOOD.iter().map(|(level, text)| level.around(text)).collect();
    let folders = Folders::new(None, None);
    let file = folders.top.path().join("home").join(manifest::FILE);
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below.max(1) as u64).unwrap()
    };
    for round in 0..1_500 {
        let mut bytes = seeds[random(seeds.len())].clone().into_bytes();
        bytes.extend(b"  ");
        for _ in 0..=random(4) {
            let at = random(bytes.len());
            match random(4) {
                0 => bytes[at] = u8::try_from(random(256)).unwrap(),
                1 if bytes.len() > 1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, b"{}[]\",:\\/*\x00\xff\n~.$?"[random(17)]),
                _ => bytes.truncate(at.max(1)),
            }
        }
        write(&file, &bytes).unwrap();
        if let Ok(manifest) = folders.load() {
            for agent in manifest.agents() {
                let error = manifest.choose(agent).err().map(|e| e.what).unwrap_or_default();
                assert!(!error.chars().any(char::is_control), "round {round}: {error:?}");
            }
        }
    }
}

#[test]
fn what_a_stranger_writes_reaches_no_terminal_raw() {
    let esc = "\\u001b[2J\\u202e";
    for text in [
        format!(r#"{{"agents":{{"{esc}":{{}}}}}}"#),
        format!(r#"{{"{esc}":1}}"#),
        format!(r#"{{"agents":{{"a":{{"bottle":"{esc}"}}}}}}"#),
        format!(r#"{{"agents":{{"a":{{"bottle":"b","prompt_file":"/{esc}"}}}}}}"#),
        format!(r#"{{"agents":{{"a":{{"bottle":"b","skills":["{esc}"]}}}}}}"#),
        "{\"agents\":{\u{1b}".into(),
    ] {
        let folders = Folders::new(Some(r#"{"bottles":{"b":{}}}"#), Some(&text));
        let mut errors: Vec<String> = first_fault(&folders).err().into_iter().collect();
        errors.extend(["a", "aaa"].iter().filter_map(|agent| folders.choose(agent).err()));
        let all = errors.join("").replace("\nhint", "hint");
        assert!(!errors.is_empty() && !all.contains(|c: char| c.is_control() || c == '\u{202e}'), "{all:?}");
    }
}
