# The Debian tools that build and run images without a Docker engine and without a registry.
#
# Sourced by run.sh. `skip` ends with 77, as test drivers know it: this machine cannot do it,
# and nothing was found wrong. Whatever can be mended from here is installed or set up.

SKIPPED=77
PACKAGES=(buildah podman runc mmdebstrap catatonit netavark uidmap qemu-user-static iproute2 strace)

skip() {
  printf 'images: skipped: %s\n' "$*" >&2
  exit "$SKIPPED"
}

fail() {
  printf 'images: %s\n' "$*" >&2
  exit 1
}

# Runs a command, and once more when it fails: registries time out.
twice() {
  "$@" && return
  printf 'images: failed, tried once more: %s\n' "$*" >&2
  "$@"
}

need_machine() {
  [ "$(uname -sm)" = 'Linux x86_64' ] || skip "built and emulated on Linux on amd64, this is $(uname -sm)"
  [ "$(id -u)" -eq 0 ] || skip 'containers need root here; run it with sudo'
  unshare --mount --net true 2>/dev/null || skip 'this machine may not make namespaces'
}

# The folder must exist; the image store, both bases and the build stages take what is asked for.
need_disk() {
  local folder=$1 need_mb=$2 free_mb
  free_mb=$(df --output=avail -BM "$folder" | tail -n 1 | tr -dc '0-9')
  [ "$free_mb" -ge "$need_mb" ] ||
    fail "$folder has $free_mb MB free and $need_mb MB are needed; name another folder in IMAGE_STORE"
}

install_tools() {
  apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
      "${PACKAGES[@]}" >/dev/null
}

need_tools() {
  # Where root has no such folders in its path, as in a bare su.
  export PATH=$PATH:/usr/sbin:/sbin
  local missing=()
  local tool
  for tool in buildah podman runc mmdebstrap catatonit qemu-aarch64-static ip strace; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  [ ${#missing[@]} -eq 0 ] && return
  command -v apt-get >/dev/null || skip "no ${missing[*]}, and no apt-get to install them with"
  twice install_tools || skip "no ${missing[*]}, and apt-get could not install them"
}

# The kernel hands aarch64 programs to qemu. The flag F opens qemu now, so that a container needs
# no copy of it; the line is that of Debian's qemu-user-static.
need_emulation() {
  local folder=/proc/sys/fs/binfmt_misc
  [ -e $folder/register ] || mount -t binfmt_misc binfmt_misc $folder 2>/dev/null ||
    skip 'binfmt_misc cannot be mounted, so that nothing of arm64 can run'
  [ -e $folder/qemu-aarch64 ] && return
  cat /usr/lib/binfmt.d/qemu-aarch64.conf > $folder/register
}
