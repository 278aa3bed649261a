# An upstream of the tests: one bare repository behind sshd, and behind HTTPS with a password.
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq >/dev/null
apt-get install -qqy --no-install-recommends openssh-server >/dev/null 2>&1
useradd -m -s /bin/sh git
usermod -p '*' git
install -d -o git -g git -m 700 ~git/.ssh
install -o git -g git -m 600 key.pub ~git/.ssh/authorized_keys
mkdir -p /run/sshd repos
chown git:git repos
cd repos
su git -c '
    git init -q --bare app.git
    git init -q work
    cd work
    git config user.name upstream
    git config user.email upstream@example.org
    i=0
    while [ "$i" -lt 50 ]; do echo "$i" >"file$i"; git add .; git commit -qm "commit $i"; i=$((i + 1)); done
    git push -q ../app.git HEAD:refs/heads/main HEAD:refs/heads/hidden/one
    git -C ../app.git symbolic-ref HEAD refs/heads/main
    git -C ../app.git config http.receivepack true
    printf "%s\n" "#!/bin/sh" "while read old new ref; do case \$ref in */blocked) echo the upstream takes no such branch; exit 1 ;; esac; done" >../app.git/hooks/pre-receive
    chmod +x ../app.git/hooks/pre-receive
'
cd ..
ssh-keygen -A >/dev/null
/usr/sbin/sshd -o PasswordAuthentication=no -o 'AcceptEnv=GIT_PROTOCOL'
echo "ready $(cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub)"
until [ -s key.pem ]; do sleep 0.1; done
exec su git -c 'exec python3 -u origin.py'
