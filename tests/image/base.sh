# Stand-ins for the official Python images, made of Debian packages by this machine's apt.
#
# Sourced by run.sh. They carry the official names, so both Dockerfiles are built as they are
# released, and `--pull-never` proves that nothing else was fetched. Debian 13 has the Python of
# those images, so wheels and bytecode fit. The one for arm64 is unpacked only, never configured:
# no program of it runs here. They hold this machine's package sources: never publish them.

AMD64_BASE=docker.io/library/python:3.13-slim-trixie
ARM64_BASE=docker.io/arm64v8/python:3.13-slim-trixie
BUILD_BASE=localhost/python-with-pip:3.13-slim-trixie

# As Debian's own slim images leave them out.
NO_PAGES=(
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*'
  --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*'
)
# What installs software, and is not in the stand-in that the module runs on.
INSTALLERS=(
  './usr/bin/pip*' './usr/bin/wheel*' './usr/share/python-wheels' './usr/lib/python3/dist-packages'
  './var/lib/apt/lists/*' './var/cache/apt/*.bin' './var/cache/debconf/*'
)

# This machine's sources, for Debian 13.
trixie_sources() {
  local codename file
  codename=$(. /etc/os-release && printf %s "${VERSION_CODENAME:-}")
  [ -n "$codename" ] || skip 'this is no Debian, whose packages the base is made of'
  for file in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do
    if [ -s "$file" ] && grep -q "\b$codename\b" "$file"; then
      sed "s/\b$codename\b/trixie/g" "$file" > "$1/trixie.${file##*.}"
      printf %s "$1/trixie.${file##*.}"
      return
    fi
  done
  skip "no package source of Debian $codename found under /etc/apt"
}

# One tree, packed twice: with what installs software, for the build, and without. The steps are
# chained, because a function that is tried twice runs on after a failure.
make_amd64_bases() {
  local folder=$1 sources=$2
  rm -rf "$folder/tree"
  mmdebstrap --quiet --architectures=amd64 --variant=minbase "${NO_PAGES[@]}" \
    --include=ca-certificates,python3,python3-pip,python3-wheel,python3-setuptools \
    --customize-hook='rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED' \
    --customize-hook='ln -s /usr/bin/python3 "$1"/usr/local/bin/python' \
    trixie "$folder/tree" "$sources" &&
    tar --create --one-file-system --file "$folder/build.tar" -C "$folder/tree" . &&
    tar --create --one-file-system --file "$folder/amd64.tar" -C "$folder/tree" \
      "${INSTALLERS[@]/#/--exclude=}" . &&
    rm -rf "$folder/tree"
}

# No hook runs in this variant, so the link that python3 is called by is added to the archive.
make_arm64_base() {
  local folder=$1 sources=$2
  mmdebstrap --quiet --architectures=arm64 --variant=extract "${NO_PAGES[@]}" \
    --include=python3,base-files,base-passwd,libc-bin,tzdata,dash,coreutils,libstdc++6 \
    trixie "$folder/arm64.tar" "$sources" &&
    mkdir -p "$folder/links/usr/local/bin" &&
    ln -sf /usr/bin/python3 "$folder/links/usr/local/bin/python" &&
    tar --append --owner=0 --group=0 --file "$folder/arm64.tar" -C "$folder/links" \
      usr/local/bin/python
}

# An archive as an image, and the archive gone.
import_base() {
  podman import --quiet --arch "$2" \
    --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    "$1" "$3" >/dev/null
  rm "$1"
}

# All three, in a folder for what lies between; nothing to do where the store has them.
need_bases() {
  local folder=$1 sources
  podman image exists "$AMD64_BASE" && podman image exists "$ARM64_BASE" && return
  sources=$(trixie_sources "$folder")
  twice make_amd64_bases "$folder" "$sources"
  import_base "$folder/build.tar" amd64 "$BUILD_BASE"
  import_base "$folder/amd64.tar" amd64 "$AMD64_BASE"
  twice make_arm64_base "$folder" "$sources"
  import_base "$folder/arm64.tar" arm64 "$ARM64_BASE"
}
