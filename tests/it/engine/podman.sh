#!/bin/sh
# podman, as it runs where no systemd is: with runc and its own control groups, and without the limits that it takes
# from systemd's defaults.
verb=$1
shift
case $verb in
create | run | build) set -- --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 "$@" ;;
esac
exec podman --runtime runc --cgroup-manager=cgroupfs "$verb" "$@"
