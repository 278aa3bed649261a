# The last layer over every agent image, ours or the user's: whatever it is made of, the agent's uid finds its home,
# and every program finds the roots that the bottle's gate writes. No context, and no tool but sh and coreutils or
# busybox. Earlier build steps have seen the image's real roots.
ARG FROM_IMAGE
# podman leaves an image's own resolv.conf to a container without a network. A build's RUN has another mounted there,
# so that it comes from a stage.
FROM ${FROM_IMAGE} AS names
USER 0:0
SHELL ["/bin/sh", "-c"]
RUN printf 'nameserver 127.0.0.1\nsearch .\n' >/claude-bottle-names

FROM ${FROM_IMAGE}
ARG AGENT_UID
COPY --from=names /claude-bottle-names /etc/resolv.conf
USER 0:0
SHELL ["/bin/sh", "-c"]
RUN set -eu; \
    shell=/bin/sh; [ ! -x /bin/bash ] || shell=/bin/bash; \
    # What the image has for uid 1000 (its user, its group, its files) is the agent's, under the agent's own number.
    if [ "$AGENT_UID" != 1000 ]; then \
        sed -i "s,^\([^:]*:[^:]*\):1000:,\1:$AGENT_UID:," /etc/passwd /etc/group; \
        sed -i "s,^\([^:]*:[^:]*:[^:]*\):1000:,\1:$AGENT_UID:," /etc/passwd; \
        if command -v find >/dev/null; then \
            find / -xdev -user 1000 -exec chown -h "$AGENT_UID" {} +; \
            find / -xdev -group 1000 -exec chgrp -h "$AGENT_UID" {} +; \
        else \
            for folder in /*; do case $folder in /dev | /proc | /sys) ;; *) \
                chown -Rh --from=1000 "$AGENT_UID" "$folder"; chown -Rh --from=:1000 ":$AGENT_UID" "$folder" ;; \
            esac; done; \
        fi; \
    fi; \
    grep -q "^[^:]*:[^:]*:$AGENT_UID:" /etc/group || echo "agent:x:$AGENT_UID:" >>/etc/group; \
    # An image's own user keeps its name and gets the bottle's home.
    if grep -q "^[^:]*:[^:]*:$AGENT_UID:" /etc/passwd; then \
        sed -i "s,^\([^:]*:[^:]*:$AGENT_UID:[^:]*:[^:]*\):[^:]*:,\1:/home/agent:," /etc/passwd; \
    else \
        echo "agent:x:$AGENT_UID:$AGENT_UID:agent:/home/agent:$shell" >>/etc/passwd; \
    fi; \
    mkdir -p /home/agent/workspace; \
    # The home's volume takes over what the image holds here, owners included.
    chown "$AGENT_UID:$AGENT_UID" /home/agent /home/agent/workspace; \
    if command -v find >/dev/null; then \
        find /home/agent ! -user "$AGENT_UID" -exec chown -h "$AGENT_UID:$AGENT_UID" {} +; \
    fi; \
    mkdir -p /etc/ssl/certs; \
    ln -sfn /run/claude-bottle/ca-bundle.pem /etc/ssl/certs/ca-certificates.crt; \
    # Fedora's, Alpine's, SUSE's and Arch's places.
    for bundle in /etc/pki/tls/certs/ca-bundle.crt /etc/pki/tls/cert.pem /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem \
        /etc/ssl/cert.pem /etc/ssl/ca-bundle.pem /var/lib/ca-certificates/ca-bundle.pem \
        /etc/ca-certificates/extracted/tls-ca-bundle.pem; do \
        if [ -e "$bundle" ] || [ -L "$bundle" ]; then ln -sfn /run/claude-bottle/ca-bundle.pem "$bundle"; fi; \
    done; \
    # Debian's and Fedora's shared stores, and those that any Java of its own carries, wherever it lies.
    { for store in /etc/ssl/certs/java/cacerts /etc/pki/java/cacerts /etc/pki/ca-trust/extracted/java/cacerts \
        "${JAVA_HOME:-/nonexistent}/lib/security/cacerts"; do echo "$store"; done; \
      if command -v find >/dev/null; then find / -xdev -path '*/lib/security/cacerts'; \
      else ls -d /usr/lib/jvm/*/lib/security/cacerts /usr/lib/jvm/*/jre/lib/security/cacerts \
        /opt/*/lib/security/cacerts /opt/*/*/lib/security/cacerts 2>/dev/null || true; fi; } | while IFS= read -r store; do \
        if [ -e "$store" ] || [ -L "$store" ]; then ln -sfn /run/claude-bottle/cacerts "$store"; fi; \
    done; \
    # Browsers read roots of their own, and policies, whenever they are installed. One of the image's stays.
    for browser in chromium opt/chrome opt/chrome_for_testing; do \
        mkdir -p "/etc/$browser/policies/managed"; \
        ln -sfn /run/claude-bottle/chromium-policy.json "/etc/$browser/policies/managed/claude-bottle.json"; \
    done; \
    mkdir -p /etc/firefox/policies; \
    [ -e /etc/firefox/policies/policies.json ] || \
        echo '{ "policies": { "Certificates": { "Install": ["/run/claude-bottle/ca.pem"] } } }' \
            >/etc/firefox/policies/policies.json
ENV HOME=/home/agent
WORKDIR /home/agent/workspace
USER ${AGENT_UID}:${AGENT_UID}
