# The short way to everything. Each target makes ready what it needs, and is quick when it is.
# Variables: PREFIX (/usr/local), DESTDIR, CARGO, TEST (a filter for `make test`), DEMO_REAL (for `make demo`), FUZZ and
# FUZZ_SECONDS (for `make fuzz`), ADVISORIES=required (for `make supply`).

SHELL = /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo test escape slow soak soak-gate fuzz bench scale picture supply sbom reproducible images build cli gate
.PHONY: model engine install deb clean rust

PREFIX ?= /usr/local
DESTDIR ?=
# Rust's own installer changes the PATH of new shells only.
CARGO ?= $(shell command -v cargo 2>/dev/null || { test -x "$$HOME/.cargo/bin/cargo" && echo "$$HOME/.cargo/bin/cargo"; } || echo cargo)

arch := $(shell uname -m)
cli := target/release/claude-bottle
model := target/debug/scripted-model
gate := target/libexec/claude-bottle/claude-bottle-gate-$(arch)
# For `--version`; an archive without git has no commit.
version := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
commit := $(shell git rev-parse --short=10 HEAD 2>/dev/null)

# The tests type in these shells, read these manuals, check these scripts, open this browser, make networks and
# terminals, and fetch with these. Any Go compiler will do.
test_packages := podman runc chromium bash zsh fish mandoc shellcheck python3 git curl util-linux bsdutils iproute2 procps perl-base
test_packages += dpkg-dev jq shfmt strace xz-utils bzip2 lz4 zip xxd bsdextrautils
test_packages += $(if $(shell command -v go 2>/dev/null),,golang-go)
slow_packages = $(if $(shell command -v npm 2>/dev/null),,npm) $(if $(shell python3 -m pip --version 2>/dev/null),,python3-pip)

# What the program and the tests are told of what is made here.
told = CLAUDE_BOTTLE_GATE="$(CURDIR)/$(gate)" SCRIPTED_MODEL="$(CURDIR)/$(model)" CLAUDE_BOTTLE_BASE_IMAGE="$$(scripts/base-image)"

help:
	@echo 'make demo      show it: real Claude Code in a bottle, a scripted model, in a minute'
	@echo '               (DEMO_REAL=1 with CLAUDE_CODE_OAUTH_TOKEN or ANTHROPIC_API_KEY: the real model)'
	@echo 'make test      all tests, on a real engine (TEST=name: those whose name holds it)'
	@echo 'make escape    an attacker in a bottle: what was tried, expected and seen, as a table'
	@echo 'make slow      tests that install much: six real web servers, programs under the filter of system calls, MCP clients, a registry'
	@echo 'make soak      sessions ended at random, 300 times (SOAK=number): nothing may be lost'
	@echo 'make soak-gate  a day of ten busy sessions through a gate (SOAK=requests): its memory must not grow'
	@echo 'make fuzz      what reads hostile input, each for five minutes (FUZZ_SECONDS=number, FUZZ=target)'
	@echo 'make bench     times, side by side with the bare engine'
	@echo 'make supply    licences, sources and known vulnerabilities of what is compiled'
	@echo 'make sbom      bills of materials of programs and images, in target/sbom'
	@echo 'make reproducible  both programs built once more in another folder: the same bytes?'
	@echo 'make scale     many bottles at once (SCALE="1 5 10 25 50"): times, memory, and list with 1,000 sessions'
	@echo 'make picture   draws README.md its pictures, from a real session'
	@echo 'make images    engine, base, agent and gate images'
	@echo 'make build     $(cli) and the gate program'
	@echo 'make install   into $$(DESTDIR)$$(PREFIX), here $(DESTDIR)$(PREFIX)'
	@echo 'make deb       a Debian package, target/claude-bottle_$(version)_…'
	@echo 'make clean     removes what was built; images stay (docker image ls claude-bottle-*)'

rust:
	@command -v "$(CARGO)" >/dev/null 2>&1 || { \
	    echo 'no cargo: Rust 1.88 or newer is needed' >&2; \
	    echo 'hint: install it with rustup (https://rustup.rs), then type this again' >&2; exit 1; }
	@command -v cc >/dev/null 2>&1 || scripts/packages gcc libc6-dev

# Each is built on its own; here they share the processors.
build: rust
	@scripts/together '$(MAKE) --no-print-directory cli' '$(MAKE) --no-print-directory gate'

cli: rust
	BUILD_VERSION="$(version)$(commit:%= (%))" CARGO="$(CARGO)" scripts/cargo-reproducible build --release --bin claude-bottle

# The gate runs in images of any kind, so it is static; only its last link differs.
gate: rust
	CARGO="$(CARGO)" scripts/cargo-reproducible rustc --profile gate -p claude-bottle-gate --bin claude-bottle-gate -- \
	    -C target-feature=+crt-static
	@mkdir -p $(dir $(gate))
	@cmp -s target/gate/claude-bottle-gate $(gate) || install -m 0755 target/gate/claude-bottle-gate $(gate)

# The model runs in the agent's image, whatever libc this machine has: static, like the gate. It is never measured, so it
# is compiled as the tests are.
model: rust
	$(CARGO) rustc -p claude-bottle-model --bin scripted-model -- -C target-feature=+crt-static

# An engine that answers and a base image for the builds.
engine:
	@scripts/engine && scripts/base-image >/dev/null

images: rust
	@scripts/together '$(MAKE) --no-print-directory build' '$(MAKE) --no-print-directory engine'
	@$(told) && export CLAUDE_BOTTLE_GATE SCRIPTED_MODEL CLAUDE_BOTTLE_BASE_IMAGE && $(cli) build && \
	    case $$CLAUDE_BOTTLE_BASE_IMAGE in debian:*) ;; *) \
	    echo "these images stand on a base of this machine's: export CLAUDE_BOTTLE_BASE_IMAGE=$$CLAUDE_BOTTLE_BASE_IMAGE" ;; esac

# While the images are built, which waits for the network, the tests are compiled.
test: rust
	@scripts/together '$(MAKE) --no-print-directory build' \
	    '$(MAKE) --no-print-directory engine && scripts/packages $(test_packages) && \
	        scripts/packages --no-services openssh-server squid-openssl microsocks'
	@scripts/together '$(MAKE) --no-print-directory images' \
	    '$(MAKE) --no-print-directory model && $(CARGO) test --workspace --no-run'
	@$(told) && export CLAUDE_BOTTLE_GATE SCRIPTED_MODEL CLAUDE_BOTTLE_BASE_IMAGE && \
	    scripts/gitleaks $(cli) target/tools && \
	    PATH="$(CURDIR)/target/tools:$$PATH" CARGO="$(CARGO)" scripts/run-tests $(TEST)

# The attacks of `make test`, with the table that a passing test does not show.
escape: images model
	@$(told) && export CLAUDE_BOTTLE_GATE SCRIPTED_MODEL CLAUDE_BOTTLE_BASE_IMAGE && \
	    env --default-signal=INT,QUIT $(CARGO) test --test it -- --nocapture --test-threads=1 engine::escape

slow: images model
	@scripts/packages $(test_packages) $(slow_packages) && scripts/packages --no-services docker-registry
	@$(told) && export CLAUDE_BOTTLE_GATE SCRIPTED_MODEL CLAUDE_BOTTLE_BASE_IMAGE && \
	    env --default-signal=INT,QUIT $(CARGO) test --test it -- --nocapture --test-threads=1 --ignored engine::

# What a test does fifty times, longer and alone. What was ignored when it began (a shell's background does that) would be
# ignored by the sessions, too.
soak: images model
	@$(told) && export CLAUDE_BOTTLE_GATE SCRIPTED_MODEL CLAUDE_BOTTLE_BASE_IMAGE && \
	    SOAK=$${SOAK:-300} env --default-signal=INT,QUIT $(CARGO) test --test it -- --nocapture engine::soak

# Ten busy sessions of Claude Code for 24 hours, each with 600 requests an hour; the test of this name sends 2,000.
soak-gate: gate
	@$(told) && export CLAUDE_BOTTLE_GATE SCRIPTED_MODEL CLAUDE_BOTTLE_BASE_IMAGE && \
	    SOAK=$${SOAK:-144000} $(CARGO) test -p claude-bottle-gate --test gate -- --nocapture soak

# Coverage and sanitizers want a nightly compiler and cargo-fuzz; the seeds alone run with `make test`, too.
FUZZ ?= $(patsubst fuzz/targets/%.rs,%,$(wildcard fuzz/targets/*.rs))
FUZZ_SECONDS ?= 300
found := $(CURDIR)/target/fuzz

fuzz: rust
	@$(CARGO) +nightly --version >/dev/null 2>&1 || { \
	    echo 'no nightly compiler: the fuzz targets need one' >&2; \
	    echo 'hint: rustup toolchain install nightly --profile minimal' >&2; exit 1; }
	@$(CARGO) fuzz --version >/dev/null 2>&1 || { \
	    echo 'no cargo-fuzz' >&2; echo 'hint: cargo install cargo-fuzz' >&2; exit 1; }
	@command -v c++ >/dev/null 2>&1 || scripts/packages g++
	@set -e; for target in $(FUZZ); do \
	    mkdir -p "$(found)/corpus/$$target" "$(found)/findings"; \
	    $(CARGO) +nightly fuzz run --fuzz-dir fuzz --target-dir "$(found)/build" "$$target" \
	        "$(found)/corpus/$$target" "fuzz/seeds/$$target" -- -max_total_time=$(FUZZ_SECONDS) -timeout=10 \
	        -max_len=4096 -print_final_stats=1 -artifact_prefix="$(found)/findings/$$target-"; done

bench: images
	@scripts/packages bsdutils bash zsh fish git jq openssl openssh-client
	@scripts/packages --no-services openssh-server
	$(CARGO) build --profile gate -p claude-bottle-bench
	@$(told) && export CLAUDE_BOTTLE_GATE SCRIPTED_MODEL CLAUDE_BOTTLE_BASE_IMAGE && \
	    target/gate/claude-bottle-bench $(cli) && \
	    target/gate/claude-bottle-screen $(cli) && \
	    scripts/bench-gate target/gate/claude-bottle-load "$$CLAUDE_BOTTLE_GATE" && \
	    scripts/gitleaks $(cli) target/tools && \
	    PATH="$$PWD/target/tools:$$PATH" scripts/bench-git target/gate/claude-bottle-load "$$CLAUDE_BOTTLE_GATE"

# What is compiled into the programs, against deny.toml.
supply: rust
	@CARGO="$(CARGO)" scripts/deny

reproducible: build
	@CARGO="$(CARGO)" scripts/reproducible $(cli) $(gate)

sbom: images
	@scripts/packages python3
	@$(told) && export CLAUDE_BOTTLE_GATE CLAUDE_BOTTLE_BASE_IMAGE && \
	    CARGO="$(CARGO)" CLAUDE_BOTTLE=$(cli) scripts/sbom target/sbom

scale: images
	$(CARGO) build --profile gate -p claude-bottle-bench
	@$(told) && export CLAUDE_BOTTLE_GATE SCRIPTED_MODEL CLAUDE_BOTTLE_BASE_IMAGE && \
	    target/gate/claude-bottle-scale $(cli) $(SCALE)

demo: rust
	@scripts/together '$(MAKE) --no-print-directory build' \
	    '$(MAKE) --no-print-directory engine && scripts/packages bash python3'
	@scripts/together '$(MAKE) --no-print-directory images' '$(MAKE) --no-print-directory model'
	@$(told) && export CLAUDE_BOTTLE_GATE SCRIPTED_MODEL CLAUDE_BOTTLE_BASE_IMAGE && \
	    CLAUDE_BOTTLE=$(cli) scripts/demo

# The interpreter is Debian's, whose packages draw; another one on PATH lacks them.
picture: images model
	@scripts/packages git python3 python3-pyte python3-rich
	@$(told) && export CLAUDE_BOTTLE_GATE SCRIPTED_MODEL CLAUDE_BOTTLE_BASE_IMAGE && \
	    dev/picture/draw.py $(cli) $(model) dev/picture/session.svg dev/picture/dashboard.svg

# Builds only what is not there, so that `make && sudo make install` needs no Rust for root.
install:
	@test -x $(cli) -a -x $(gate) || $(MAKE) --no-print-directory build
	install -D -m 0755 $(cli) $(DESTDIR)$(PREFIX)/bin/claude-bottle
	install -D -m 0755 $(gate) $(DESTDIR)$(PREFIX)/libexec/claude-bottle/$(notdir $(gate))
	@set -e; for page in $(wildcard man/*.[1-8]); do \
	    install -v -D -m 0644 "$$page" "$(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}"; done
	install -D -m 0644 completions/claude-bottle.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/claude-bottle
	install -D -m 0644 completions/_claude-bottle $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_claude-bottle
	install -D -m 0644 completions/claude-bottle.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/claude-bottle.fish

deb:
	@scripts/packages dpkg-dev binutils
	@$(MAKE) --no-print-directory build
	scripts/deb "$(version)"

clean: rust
	$(CARGO) clean
