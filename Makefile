# Every step of the continuous integration is a target here, and the pipelines call only these.
# CARGO_TARGET_DIR and the other variables of cargo are honoured.

CARGO ?= cargo
CARGO_DENY_VERSION := 0.20.2
DISTRIBUTION_VERSION := v3.1.2
HELM_VERSION := v3.22.0
FUZZ_SECONDS ?= 300
# Where the servers of the cluster tests are, or are built once; `tests/cluster/build.sh` names them.
CLUSTER_ASSETS := $(abspath $(or $(KUBEBUILDER_ASSETS),$(or $(CARGO_TARGET_DIR),target)/cluster-assets))

# The image: a static binary of this target and profile, or those that IMAGE_BINARIES names
# (linux/amd64=FILE linux/arm64=FILE). A target of glibc is linked statically as well.
IMAGE_ARCH := $(subst aarch64,arm64,$(subst x86_64,amd64,$(shell uname -m)))
IMAGE_TARGET ?= $(shell uname -m)-unknown-linux-musl
IMAGE_PROFILE ?= release
IMAGE_CC ?= gcc
# C is compiled with the headers of this machine's glibc; hardened or as C23 they call what musl has not.
IMAGE_CFLAGS ?= $(if $(findstring musl,$(IMAGE_TARGET)),-U_FORTIFY_SOURCE -std=gnu17)
IMAGE_LINKER ?= $(if $(findstring musl,$(IMAGE_TARGET)),rust-lld,$(IMAGE_CC))
IMAGE_VERSION ?= $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' Cargo.toml | head -n 1)
IMAGE_ROOTS ?= /etc/ssl/certs/ca-certificates.crt
IMAGE ?= $(or $(CARGO_TARGET_DIR),target)/pullproof-image.tar
IMAGE_BINARY := $(or $(CARGO_TARGET_DIR),target)/$(IMAGE_TARGET)/$(subst dev,debug,$(IMAGE_PROFILE))/pullproof
IMAGE_BINARIES ?= linux/$(IMAGE_ARCH)=$(IMAGE_BINARY)
IMAGE_TOOL ?= $(CARGO) run --quiet --locked --example image --

# The image that the tests of a node run: as above, but of the profile that compiles fastest.
NODE_IMAGE_PROFILE ?= dev
NODE_IMAGE := $(abspath $(or $(CARGO_TARGET_DIR),target)/pullproof-node-image.tar)

# Two targets at a time would only wait for each other's build lock.
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help demo test test-registry test-cluster test-node bench fuzz lint fmt doc deny \
  advisories install chart image image-binary image-push

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: ## a registry in the same process, manifests that fail, and what pullproof says
	$(CARGO) run --quiet --example demo

test: ## all default tests: no root, no internet, no server
	$(CARGO) test

test-registry: ## the tests that ask a real registry (docker-registry or registry on PATH)
	@if [ -z "$$PULLPROOF_REGISTRY_BINARY" ] \
	  && ! command -v docker-registry >/dev/null && ! command -v registry >/dev/null; then \
	  printf '%s\n' 'test-registry: no registry binary found. Get one by either of' \
	    '  apt-get install docker-registry' \
	    '  go install github.com/distribution/distribution/v3/cmd/registry@$(DISTRIBUTION_VERSION)' \
	    'and put it on PATH, or name it in PULLPROOF_REGISTRY_BINARY.' >&2; exit 1; fi
	$(CARGO) test --test registry

test-cluster: ## the tests that run a real kube-apiserver; builds it once (needs Go, minutes)
	tests/cluster/build.sh $(CLUSTER_ASSETS) etcd kube-apiserver kube-controller-manager kubectl helm
	KUBEBUILDER_ASSETS=$(CLUSTER_ASSETS) $(CARGO) test --test cluster

test-node: ## the tests on a whole node, as root; builds its image, and its servers once (needs Go, minutes)
	@[ "$$(id -u)" = 0 ] || { printf '%s\n' 'test-node: a node needs root (network, mounts, cgroups)' >&2; exit 1; }
	@unshare --net --mount --uts --pid --fork true || { printf '%s\n' \
	  'test-node: a node needs namespaces of its own (network, mounts, names, processes), and this machine lets nobody make them' >&2; exit 1; }
	tests/cluster/build.sh $(CLUSTER_ASSETS)
	$(MAKE) --no-print-directory image IMAGE=$(NODE_IMAGE) IMAGE_PROFILE=$(NODE_IMAGE_PROFILE)
	KUBEBUILDER_ASSETS=$(CLUSTER_ASSETS) PULLPROOF_IMAGE=$(NODE_IMAGE) $(CARGO) test --test node

chart: ## lint and render the Helm chart, and hold it to its promises; installs helm by go when it is missing
	@command -v "$${PULLPROOF_HELM:-helm}" >/dev/null || PATH="$$PATH:$$(go env GOPATH)/bin" command -v helm >/dev/null \
	  || go install helm.sh/helm/v3/cmd/helm@$(HELM_VERSION)
	PATH="$$PATH:$$(go env GOPATH 2>/dev/null)/bin" $(CARGO) test --test chart

# rust-lld and the C library that comes with the target link it, so no cross compiler is needed.
image-binary: ## the static binary of IMAGE_TARGET (musl) in IMAGE_PROFILE (release)
	@test -d "$$(rustc --print target-libdir --target $(IMAGE_TARGET))" || rustup target add $(IMAGE_TARGET)
	env CC_$(subst -,_,$(IMAGE_TARGET))=$(IMAGE_CC) CFLAGS_$(subst -,_,$(IMAGE_TARGET))='$(IMAGE_CFLAGS)' \
	  CARGO_TARGET_$$(printf %s '$(IMAGE_TARGET)' | tr 'a-z-' 'A-Z_')_LINKER=$(IMAGE_LINKER) \
	  CARGO_TARGET_$$(printf %s '$(IMAGE_TARGET)' | tr 'a-z-' 'A-Z_')_RUSTFLAGS='-C target-feature=+crt-static' \
	  $(CARGO) build --locked --bin pullproof --profile $(IMAGE_PROFILE) --target $(IMAGE_TARGET)

image: ## an OCI image in a tar file (IMAGE), built without a container engine
	$(if $(filter file,$(origin IMAGE_BINARIES)),$(MAKE) --no-print-directory image-binary)
	$(IMAGE_TOOL) build $(IMAGE) $(IMAGE_VERSION) $(IMAGE_ROOTS) $(IMAGE_BINARIES)

image-push: ## push that file to REGISTRY=host:port/repository:tag by plain HTTP
	@test -n "$(REGISTRY)" || { echo 'image-push: name REGISTRY=host:port/repository:tag' >&2; exit 1; }
	$(IMAGE_TOOL) push $(IMAGE) $(REGISTRY)

bench: ## measure; numbers go to standard output
	$(CARGO) bench

fuzz: ## each fuzz target for FUZZ_SECONDS (300); needs a nightly toolchain, installs cargo-fuzz
	@$(CARGO) +nightly --version >/dev/null 2>&1 || { printf '%s\n' \
	  'fuzz: needs a nightly toolchain; get it by' '  rustup toolchain install nightly' >&2; exit 1; }
	@$(CARGO) fuzz --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-fuzz
	@set -e; for target in $$($(CARGO) +nightly fuzz list); do \
	  printf '%s\n' "fuzz: $$target, $(FUZZ_SECONDS) s"; \
	  $(CARGO) +nightly fuzz run "$$target" -- -max_total_time=$(FUZZ_SECONDS); done

lint: ## formatting, clippy, documentation, licences and banned crates
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) clippy --test registry --test cluster --test node --test chart -- -D warnings
	$(MAKE) --no-print-directory doc deny

fmt: ## format the sources
	$(CARGO) fmt

doc: ## the documentation of the code, private items too; a broken link fails
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --document-private-items

deny: ## licences, banned crates and sources; installs cargo-deny when it is missing
	@$(CARGO) deny --version >/dev/null 2>&1 \
	  || $(CARGO) install --locked cargo-deny --version $(CARGO_DENY_VERSION)
	$(CARGO) deny --locked check bans licenses sources

advisories: ## known vulnerabilities; fetches the advisory database, so it needs the internet
	@$(CARGO) deny --version >/dev/null 2>&1 \
	  || $(CARGO) install --locked cargo-deny --version $(CARGO_DENY_VERSION)
	$(CARGO) deny --locked check advisories

install: ## install pullproof for this user
	$(CARGO) install --path . --locked
