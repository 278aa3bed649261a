//! Which request headers carry a credential, by the words of their names: no list of names is ever complete.

/// Words that mean a credential, in lower case and without digits at their end (`oauth2`, `cookie2`).
const CREDENTIAL_WORDS: [&str; 23] = [
    "assertion",
    "authn",
    "authz",
    "csrf",
    "dpop",
    "hmac",
    "jwt",
    "keyid",
    "login",
    "macaroon",
    "mfa",
    "oidc",
    "otp",
    "pass",
    "passcode",
    "pat",
    "pwd",
    "saml",
    "sid",
    "sign",
    "sso",
    "ticket",
    "totp",
];

/// Parts of words that mean a credential wherever they stand (`csrftoken`, `phpsessid`, `authentication`).
const CREDENTIAL_PARTS: [&str; 14] = [
    "authentic",
    "authoris",
    "authoriz",
    "bearer",
    "cookie",
    "credential",
    "oauth",
    "passphrase",
    "passw",
    "secret",
    "sessid",
    "session",
    "signature",
    "token",
];

/// Ends of words that mean a credential (`apikey`, `basicauth`).
const CREDENTIAL_ENDS: [&str; 3] = ["auth", "key", "keys"];

/// Headers with a credential whose names do not say so.
const OTHER_CREDENTIALS: [&str; 4] =
    ["x-honeycomb-team", "x-jfrog-art-api", "x-registry-config", "x-vercel-protection-bypass"];

/// Headers whose names have such a word, and that carry no account's credential: of one request, of a cache, of a protocol
/// that wants them, or a key that a store only encrypts by.
const HARMLESS: [&str; 22] = [
    "cache-key",
    "idempotency-key",
    "mcp-session-id",
    "npm-auth-type",
    "npm-session",
    "sec-websocket-key",
    "surrogate-key",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key-md5",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-bucket-key-enabled",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-server-side-encryption-customer-key-md5",
    "x-cache-key",
    "x-claude-code-session-id",
    "x-goog-encryption-key",
    "x-goog-encryption-key-sha256",
    "x-goog-encryption-kms-key-name",
    "x-idempotency-key",
    "x-ms-encryption-key",
    "x-ms-encryption-key-sha256",
    "x-ms-source-encryption-key",
];

/// Whether this header carries a credential: with one of its own, the agent could carry data to an account of its own on
/// an allowed host. Case does not count; words end at anything but a letter or a digit.
pub fn is_credential_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    let has_word = name.split(|character: char| !character.is_ascii_alphanumeric()).any(means_credential);
    (has_word && !HARMLESS.contains(&name.as_str())) || OTHER_CREDENTIALS.contains(&name.as_str())
}

/// `word`: in lower case.
fn means_credential(word: &str) -> bool {
    let bare = word.trim_end_matches(|character: char| character.is_ascii_digit());
    CREDENTIAL_WORDS.contains(&bare)
        || CREDENTIAL_PARTS.iter().any(|part| bare.contains(part))
        || CREDENTIAL_ENDS.iter().any(|end| bare.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_with_a_credential_is_known_by_its_words() {
        let names = "authorization proxy-authorization cookie cookie2 x-api-key api-key apikey x-apikey x-goog-api-key \
             private-token job-token deploy-token x-gitlab-token x-auth-token x-amz-security-token x-amz-mfa \
             x-vault-token x-consul-token x-nomad-token x-figma-token x-shopify-access-token x-plex-token \
             x-access-token access-token id-token x-id-token x-csrf-token x-xsrf-token csrfpreventiontoken \
             x-atlassian-token x-parse-rest-api-key x-parse-session-token x-algolia-api-key x-typesense-api-key \
             ocp-apim-subscription-key x-functions-key x-rapidapi-key x-api-secret x-client-secret \
             x-hasura-admin-secret cf-access-client-secret cf-access-jwt-assertion cf-access-token x-auth-key \
             x-auth-email x-registry-auth x-registry-config x-identity-token x-sentry-auth dd-api-key \
             dd-application-key x-honeycomb-team x-jfrog-art-api x-nuget-apikey x-rollbar-access-token \
             x-bugsnag-api-key x-postmark-server-token npm-otp x-otp x-github-otp x-mbx-apikey api-sign cb-access-sign \
             cb-access-passphrase x-password x-passwd x-user-pwd x-session session-id x-session-token jsessionid \
             phpsessid x-sid fastly-key x-license-key x-insert-key x-query-key accesskey secretkey x-app-key \
             x-masterkey x-jwt x-jwt-assertion dpop x-oauth-scopes oauth2-token x-basicauth x-saml-response \
             x-sso-ticket grpc-metadata-macaroon signature signature-input x-hub-signature-256 x-hmac \
             x-ms-copy-source-authorization x-ms-token-aad-access-token x-goog-iam-authorization-token \
             x-guest-token x-bearer x-credential x-amz-credential x-keyid x-2fa-token x_api_key X_Api-Key \
             Deploy_Token XAuthToken x.api.key";
        assert!(names.split_whitespace().count() >= 100);
        for name in names.split_whitespace() {
            assert!(is_credential_header(name), "{name}");
        }
    }

    #[test]
    fn headers_of_real_clients_carry_none() {
        let names = "host accept accept-charset accept-encoding accept-language access-control-request-headers \
             access-control-request-method age cache-control connection content-disposition content-encoding \
             content-language content-length content-location content-md5 content-range content-type date depth \
             device-memory digest dnt downlink early-data ect expect from if-match if-modified-since if-none-match \
             if-range if-unmodified-since keep-alive last-event-id link max-forwards origin pragma prefer priority \
             purpose range referer rtt save-data sec-ch-prefers-color-scheme sec-ch-ua sec-ch-ua-mobile \
             sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user sec-gpc sec-purpose \
             sec-websocket-extensions sec-websocket-key sec-websocket-protocol sec-websocket-version \
             service-worker te trailer transfer-encoding upgrade upgrade-insecure-requests user-agent via viewport-width \
             want-digest warning x-requested-with x-client-data \
             amz-sdk-invocation-id amz-sdk-request x-amz-acl x-amz-checksum-crc32 x-amz-checksum-sha256 \
             x-amz-content-sha256 x-amz-copy-source x-amz-date x-amz-decoded-content-length x-amz-meta-author \
             x-amz-metadata-directive x-amz-sdk-checksum-algorithm x-amz-server-side-encryption \
             x-amz-server-side-encryption-aws-kms-key-id x-amz-server-side-encryption-customer-key x-amz-storage-class \
             x-amz-tagging x-amz-target x-amz-trailer x-amz-user-agent x-amzn-trace-id \
             x-goog-api-client x-goog-encryption-key x-goog-fieldmask x-goog-hash x-goog-request-params \
             x-goog-request-reason x-goog-user-project x-goog-visibilities x-upload-content-type \
             x-ms-blob-content-type x-ms-blob-type x-ms-client-request-id x-ms-date x-ms-encryption-key x-ms-lease-id \
             x-ms-range x-ms-return-client-request-id x-ms-version \
             anthropic-beta anthropic-dangerous-direct-browser-access anthropic-version x-app \
             x-claude-code-session-id x-stainless-arch x-stainless-async x-stainless-helper-method x-stainless-lang \
             x-stainless-os x-stainless-package-version x-stainless-raw-response x-stainless-retry-count \
             x-stainless-runtime x-stainless-runtime-version x-stainless-timeout openai-beta openai-organization \
             openai-project mcp-protocol-version mcp-session-id \
             npm-auth-type npm-command npm-in-ci npm-scope npm-session pacote-integrity pacote-pkg-id pacote-req-type \
             pacote-version x-pypi-last-serial git-protocol docker-content-digest docker-distribution-api-version \
             docker-upload-uuid x-github-api-version x-gitlab-event x-hub-event x-terraform-version \
             grpc-accept-encoding grpc-encoding grpc-message-type grpc-timeout grpc-trace-bin x-grpc-web \
             b3 baggage sentry-trace traceparent tracestate uber-trace-id x-b3-sampled x-b3-spanid x-b3-traceid \
             x-cloud-trace-context x-correlation-id x-datadog-parent-id x-datadog-sampling-priority \
             x-datadog-trace-id x-request-id x-request-start idempotency-key x-idempotency-key x-vault-namespace \
             x-vault-request x-kubernetes-pf-flowschema-uid tus-resumable upload-length upload-offset";
        assert!(names.split_whitespace().count() >= 150);
        for name in names.split_whitespace() {
            assert!(!is_credential_header(name), "{name}");
        }
    }
}
