#!/usr/bin/env bash
# Build all images as a release does, and test them under the limits of the manifest.
#
# With no Docker engine and no registry: see base.sh. Needs root; installs what it needs on
# Debian; ends with 77 where this machine cannot do it. Everything is in a store of its own:
#   IMAGE_STORE=DIR   keep the store, for a second run that builds on it; default: a folder in
#                     TMPDIR that is removed
#   IMAGE_NEED_MB=N   free disk to ask for
#   IMAGE_TESTS=no    build only
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
. "$here/tools.sh"
. "$here/base.sh"

step() { printf '==> images: %s (%d s)\n' "$*" "$SECONDS"; }

# Containers of its own, whatever else this machine runs: no run disturbs another.
make_store() {
  export CONTAINERS_STORAGE_CONF=$1/storage.conf CONTAINERS_CONF=$1/containers.conf
  export CONTAINERS_REGISTRIES_CONF=$1/registries.conf
  # No service that could ask a container for its health: the tests do.
  export DISABLE_HC_SYSTEMD=true
  printf '[storage]\ndriver = "overlay"\ngraphroot = "%s/graph"\nrunroot = "%s/run"\n' \
    "$1" "$1" > "$CONTAINERS_STORAGE_CONF"
  cat > "$CONTAINERS_CONF" <<'CONF'
[containers]
default_ulimits = ["nofile=8192:8192", "nproc=16384:16384"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
CONF
  printf 'unqualified-search-registries = ["docker.io"]\n' > "$CONTAINERS_REGISTRIES_CONF"
}

remove_store() {
  podman rm --all --force --time 0 >/dev/null 2>&1 || true
  podman image umount --all >/dev/null 2>&1 || true
  [ -n "${IMAGE_STORE:-}" ] && return
  umount --recursive "$store/graph/overlay" 2>/dev/null || true
  rm -rf --one-file-system "$store"
}

# What pip needs of this machine to reach a package registry, for the build only.
pip_mounts() {
  local file
  for file in /etc/ssl/certs/ca-certificates.crt /etc/pip.conf; do
    [ -e "$file" ] && printf -- '-v\n%s:%s:ro\n' "$file" "$file"
  done
  return 0
}

# In Docker's format: that of OCI knows no health check.
build() {
  local file=$1 tag=$2 ignored=.dockerignore log
  shift 2
  log=$store/build-${tag//[^a-z0-9]/-}.log
  [ ! -e "$root/$file.dockerignore" ] || ignored=$file.dockerignore
  local mounts
  mapfile -t mounts < <(pip_mounts)
  buildah bud --quiet --format docker --pull-never --layers --network=host --isolation=chroot \
    --build-arg BUILDPLATFORM=linux/amd64 --build-arg BUILD_IMAGE="$BUILD_BASE" --timestamp "$epoch" \
    --build-arg SOURCE_DATE_EPOCH="$epoch" --build-arg REVISION="$revision" \
    --ignorefile "$root/$ignored" "${mounts[@]}" "$@" \
    -f "$root/$file" -t "$tag" "$root" > "$log" 2>&1 || { tail -n 40 "$log" >&2; return 1; }
}

# What we add, and all of it, in MB on the device's disk.
tell_size() {
  local folder
  folder=$(podman image mount "$1")
  printf '    %-32s /opt/site %3d MB, whole %3d MB\n' "$1" \
    $(($(du -sb "$folder/opt/site" | cut -f1) / 1000000)) $(($(du -sb "$folder" | cut -f1) / 1000000))
}

run_tests() { IMAGE_STORE=$store "$root/.venv/bin/python" -m pytest -q -m image "$@"; }

# Tests that mostly wait and compute nothing run beside all the rest.
beside=()
test_beside() {
  [ "${IMAGE_TESTS:-yes}" != no ] || return 0
  run_tests "$here/$1" > "$store/$1.log" 2>&1 &
  beside+=("$!:$1")
}

end_beside() {
  local each
  for each in "${beside[@]}"; do kill "${each%%:*}" 2>/dev/null || true; done
}

[ -z "${IMAGE_STORE:-}" ] || mkdir -p "$IMAGE_STORE"
store=${IMAGE_STORE:-$(mktemp -d "${TMPDIR:-/tmp}/images.XXXXXX")}
store=$(cd "$store" && pwd)
trap '[ -n "${IMAGE_STORE:-}" ] || rm -rf --one-file-system "$store"' EXIT
need_disk "$store" "${IMAGE_NEED_MB:-4000}"
need_machine
step 'tools'
need_tools
need_emulation
make_store "$store"
trap 'end_beside; remove_store' EXIT
# The same inputs give the same layers: every date in them is that of the commit.
epoch=$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 1790000000)
revision=$(git -C "$root" rev-parse HEAD 2>/dev/null || echo unknown)

step 'stand-in bases'
need_bases "$store"
step 'build amd64'
twice build Dockerfile.amd64 localhost/visionedge:amd64
test_beside test_stuck.py
step 'build the verifier'
twice build cloud/Dockerfile localhost/verifier:amd64
test_beside test_verifier.py
step 'build both in one, for direct mode'
twice build deploy/direct.Dockerfile localhost/visionedge:direct \
  --build-arg VISIONEDGE=localhost/visionedge:amd64 --build-arg VERIFIER=localhost/verifier:amd64
step 'build arm64v8'
twice build Dockerfile.arm64v8 localhost/visionedge:arm64v8
step 'all images are built'
for image in localhost/visionedge:amd64 localhost/visionedge:arm64v8 localhost/verifier:amd64; do
  tell_size "$image"
done
[ "${IMAGE_TESTS:-yes}" = no ] && exit

step 'build amd64 again, from nothing'
twice build Dockerfile.amd64 localhost/visionedge:again --no-cache
step 'tests'
failed=0
run_tests "$here" --ignore "$here/test_stuck.py" --ignore "$here/test_verifier.py" || failed=1
for each in "${beside[@]}"; do
  wait "${each%%:*}" || failed=1
  step "${each#*:}"
  cat "$store/${each#*:}.log"
done
beside=()
[ "$failed" -eq 0 ] || fail 'tests failed'
step 'done'
