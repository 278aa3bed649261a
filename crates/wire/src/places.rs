//! Fixed paths, host names and user ids that the CLI, the gate and init agree on.

/// The gate's shared volume: writable for the gate, read-only for the agent.
pub const SHARED_DIR: &str = "/run/claude-bottle";
/// The gate's socket, the only way out of the agent's container.
pub const GATE_SOCKET: &str = "/run/claude-bottle/gate.sock";
/// The static gate binary as the agent sees it.
pub const GATE_BINARY: &str = "/run/claude-bottle/claude-bottle-gate";
/// The bottle's CA certificate, PEM.
pub const CA_CERTIFICATE: &str = "/run/claude-bottle/ca.pem";
/// The roots that the host chose and the bottle's CA certificate, PEM.
pub const CA_BUNDLE: &str = "/run/claude-bottle/ca-bundle.pem";
/// Environment variables by which tools that do not read the system's certificates find a bundle.
pub const CA_VARIABLES: [&str; 15] = [
    "AWS_CA_BUNDLE",
    "BUNDLE_SSL_CA_CERT",
    "CARGO_HTTP_CAINFO",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    "CURL_CA_BUNDLE",
    "DENO_CERT",
    "GIT_SSL_CAINFO",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "HTTPLIB2_CA_CERTS",
    "NIX_SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
    "npm_config_cafile",
];
/// Environment variables, with their values, by which tools with roots of their own read the system's as well.
pub const CA_SWITCHES: [(&str, &str); 3] =
    [("NODE_USE_SYSTEM_CA", "1"), ("UV_NATIVE_TLS", "true"), ("UV_SYSTEM_CERTS", "true")];
/// Environment variable that names a folder of certificates. A bottle sets none.
pub const CA_FOLDER_VARIABLE: &str = "SSL_CERT_DIR";
/// The certificates of [`CA_BUNDLE`] in Java's own key store format, password `changeit`.
pub const CA_JAVA_KEYSTORE: &str = "/run/claude-bottle/cacerts";
/// The gate's private tmpfs. The control socket lives here and never in the shared volume, which the agent can read.
pub const PRIVATE_DIR: &str = "/run/gate";
/// The gate's control socket, which `ctl` connects to.
pub const CTL_SOCKET: &str = "/run/gate/ctl.sock";

/// The agent's home in its container.
pub const HOME: &str = "/home/agent";
/// The agent's workspace in its container, a folder of [`HOME`].
pub const WORKSPACE: &str = "/home/agent/workspace";
/// User id, and group id, of the gate.
pub const GATE_UID: u32 = 65532;

/// Host name of the pages that the gate serves itself.
pub const GATE_HOST: &str = "gate.bottle";
/// Host name and port of the git service.
pub const GIT_HOST: &str = "git.bottle";
pub const GIT_PORT: u16 = 9418;
/// Host name of the MCP server by which an agent proposes changes of its bottle; it speaks HTTP on port 80.
pub const SUPERVISE_HOST: &str = "supervise.bottle";
/// Where this server takes its messages.
pub const MCP_URL: &str = "http://supervise.bottle/mcp";
/// Where the gate keeps its repositories: a volume of the image that has git.
pub const REPOSITORIES_DIR: &str = "/var/lib/claude-bottle";
/// The folder of a local remote's repository, below [`REPOSITORIES_DIR`]. No remote has a name that gives the same one.
pub const LOCAL_REPOSITORY: &str = "_local.git";
