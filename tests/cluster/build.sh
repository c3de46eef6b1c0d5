#!/usr/bin/env bash
# build.sh DIR [NAME...]: builds the real servers that the cluster tests run, from their Go modules,
# into DIR (all of them: about six minutes on two cores the first time, seconds after that). What is
# there already is left alone. Needs Go; modules come through GOPROXY.
set -euo pipefail

KUBERNETES=1.36.3
ETCD=3.7.3
CONTAINERD=2.4.2
REGISTRY=3.1.2
HELM=3.22.0
GO=1.26
ALL='etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kubectl containerd
  containerd-shim-runc-v2 registry helm app-amd64 app-arm64'

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(mkdir -p "${1:?the folder to fill}" && cd "$1" && pwd)
shift
# shellcheck disable=SC2086
[ $# -gt 0 ] || set -- $ALL

missing=()
for name in "$@"; do
  case $name in
    app-*) [ "$out/$name" -nt "$here/app.go" ] || missing+=("$name") ;;
    *) [ -x "$out/$name" ] || missing+=("$name") ;;
  esac
done
[ ${#missing[@]} -gt 0 ] || exit 0
command -v go >/dev/null 2>&1 || {
  printf '%s\n' "build.sh: ${missing[*]} must be built, and Go is not on PATH (https://go.dev/dl, $GO or newer)" >&2
  exit 1
}

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
export GOFLAGS=-mod=mod GOTOOLCHAIN=${GOTOOLCHAIN:-local}

# A program is put in place whole, so that a build that was stopped leaves none that is torn.
place() {
  mv "$work/built" "$out/$1"
  printf '%5d s  %s\n' "$SECONDS" "$1"
}

quietly() {
  "$@" 2>"$work/errors" || { cat "$work/errors" >&2; return 1; }
}

# k8s.io/kubernetes pins its own staging modules to v0.0.0: the same release of each stands in.
kubernetes_module() {
  local staging module
  mkdir -p "$work/kubernetes"
  cd "$work/kubernetes"
  staging=$(go mod download -json "k8s.io/kubernetes@v$KUBERNETES" \
    | sed -n 's/^\t"GoMod": "\(.*\)",/\1/p' | xargs sed -nE 's/^\s*(k8s\.io\/[a-z-]+) => .*/\1/p')
  {
    printf 'module example.test/cluster\ngo %s.0\n' "$GO"
    printf 'require k8s.io/kubernetes v%s\n' "$KUBERNETES"
    for module in $staging; do printf 'replace %s => %s v0.%s\n' "$module" "$module" "${KUBERNETES#1.}"; done
  } >go.mod
  {
    printf '//go:build tools\npackage tools\n'
    for module in kube-apiserver kube-controller-manager kube-scheduler kubelet kubectl; do
      printf 'import _ "k8s.io/kubernetes/cmd/%s"\n' "$module"
    done
  } >tools.go
  quietly go mod tidy
}

kubernetes() {
  local version=k8s.io/component-base/version
  [ -d "$work/kubernetes" ] || kubernetes_module
  cd "$work/kubernetes"
  go build -o "$work/built" -ldflags "-s -w -X $version.gitVersion=v$KUBERNETES \
    -X $version.gitMajor=1 -X $version.gitMinor=${KUBERNETES:2:2}" "k8s.io/kubernetes/cmd/$1"
  place "$1"
}

# NAME PACKAGE MODULE@VERSION [TAGS]: in a module of its own, since some have replace lines that
# `go install` refuses.
module() {
  mkdir -p "$work/$1"
  cd "$work/$1"
  printf 'module example.test/%s\ngo %s.0\n' "$1" "$GO" >go.mod
  printf '//go:build tools\npackage tools\nimport _ "%s"\n' "$2" >tools.go
  quietly go get "$3"
  quietly go mod tidy
  CGO_ENABLED=0 go build -tags "${4:-}" -ldflags '-s -w' -o "$work/built" "$2"
  place "$1"
}

for name in "${missing[@]}"; do
  case $name in
    etcd) module etcd go.etcd.io/etcd/server/v3 "go.etcd.io/etcd/server/v3@v$ETCD" ;;
    kube*) kubernetes "$name" ;;
    containerd*)
      module "$name" "github.com/containerd/containerd/v2/cmd/$name" \
        "github.com/containerd/containerd/v2@v$CONTAINERD" 'no_btrfs no_zfs no_aufs no_devmapper' ;;
    registry)
      module registry github.com/distribution/distribution/v3/cmd/registry \
        "github.com/distribution/distribution/v3@v$REGISTRY" ;;
    helm) module helm helm.sh/helm/v3/cmd/helm "helm.sh/helm/v3@v$HELM" ;;
    app-*)
      (cd "$work" && GOFLAGS='' GOARCH="${name#app-}" CGO_ENABLED=0 \
        go build -ldflags '-s -w' -o "$work/built" "$here/app.go")
      place "$name" ;;
    *) printf 'build.sh: no such program: %s\n' "$name" >&2; exit 2 ;;
  esac
done
