# The gate's image for a bottle without remotes: the static gate program, and nothing that could be of use to an intruder.
# Context: claude-bottle-gate (static, executable).
FROM scratch
# The gate runs a program that it cannot change; the agent gets the copy in the volume, which the gate's uid must
# own to make its socket beside it.
COPY claude-bottle-gate /usr/local/bin/claude-bottle-gate
COPY --chown=65532:65532 claude-bottle-gate /run/claude-bottle/claude-bottle-gate
VOLUME /run/claude-bottle
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/claude-bottle-gate"]
