#!/usr/bin/env bash
# Installs hakmem: `bazel run //:install -- [--prefix DIR]`.
#
# Everything is unpacked beside its destination first and then moved there file by file, so that
# what can fail (no room, no permission, a folder in a file's place) fails before anything changed,
# and a program that runs on an older libhakmem.so keeps the file it has.
set -euo pipefail
umask 022

usage() {
  cat <<'USAGE'
usage: bazel run //:install -- [--prefix DIR]

Installs libhakmem (shared and static), its header, the tools and their manual pages below DIR,
/usr/local unless told otherwise. With DESTDIR in the environment the files go below
$DESTDIR/DIR, for packaging; programs are to find them in DIR.
USAGE
}

reject() {
  printf 'install: %s\n' "$1" >&2
  usage >&2
  exit 2
}

die() {
  printf 'install: %s\n' "$1" >&2
  exit 1
}

tree=$PWD/packaging/tree.tar
[[ -f $tree ]] || die "$tree is missing: start it with bazel run //:install"

prefix=/usr/local
while [[ $# -gt 0 ]]; do
  case $1 in
    --help | -h) usage && exit ;;
    --prefix=*) prefix=${1#*=} ;;
    --prefix)
      [[ $# -gt 1 ]] || reject '--prefix: expected a folder'
      prefix=$2
      shift
      ;;
    *) reject "unknown argument: $1" ;;
  esac
  shift
done
[[ -n $prefix ]] || reject '--prefix: expected a folder'

# Relative to where the user stands, which `bazel run` leaves.
cd "${BUILD_WORKING_DIRECTORY:-$PWD}"
prefix=$(realpath --canonicalize-missing --no-symlinks -- "$prefix")
[[ -z ${DESTDIR:-} ]] || DESTDIR=$(realpath --canonicalize-missing --no-symlinks -- "$DESTDIR")
root=${DESTDIR:-}$prefix
[[ $root == / ]] || root=${root%/}

# What is to be undone when it fails: folders that were not there before, inner ones last.
made=()
staged=
clean_up() {
  local i
  [[ -z $staged ]] || rm -rf "$staged"
  for ((i = ${#made[@]} - 1; i >= 0; i--)); do rmdir "${made[i]}" 2>/dev/null || true; done
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# make_folder PATH: creates it and those above it.
make_folder() {
  local reason
  [[ ! -d $1 ]] || return 0
  make_folder "$(dirname "$1")"
  reason=$(mkdir -- "$1" 2>&1) || die "cannot create $1: ${reason##*: }"
  made+=("$1")
}

make_folder "$root"
staged=$(mktemp -d "$root/.hakmem-install.XXXXXX" 2>/dev/null) ||
  die "cannot write to $root (permissions? --prefix names another place)"
tar --extract --file "$tree" --directory "$staged" --preserve-permissions --no-same-owner ||
  die "cannot unpack into $root; nothing was installed"

mapfile -t folders < <(cd "$staged" && find . -mindepth 1 -type d -printf '%P\n' | LC_ALL=C sort)
mapfile -t files < <(cd "$staged" && find . -not -type d -printf '%P\n' | LC_ALL=C sort)
for folder in "${folders[@]}"; do
  make_folder "$root/$folder"
  [[ -w $root/$folder ]] || die "cannot write to $root/$folder; nothing was installed"
done
for file in "${files[@]}"; do
  [[ ! -d $root/$file || -L $root/$file ]] ||
    die "$root/$file is a folder where a file is to be; nothing was installed"
done
for file in "${files[@]}"; do
  mv -fT -- "$staged/$file" "$root/$file" ||
    die "cannot write $root/$file; some of the ${#files[@]} files are installed, others are not"
done
made=()

printf 'installed %d files below %s\n' "${#files[@]}" "$root"
# The dynamic linker must hear of a library in the folders it knows; for others the user must help.
if [[ -z ${DESTDIR:-} ]]; then
  PATH=$PATH:/sbin:/usr/sbin
  known=$(ldconfig -v -N -X 2>/dev/null) || true
  if [[ $'\n'$known == *$'\n'"$prefix/lib:"* ]]; then
    ldconfig 2>/dev/null ||
      printf 'run ldconfig as root before programs that are linked with %s/lib/libhakmem.so\n' "$prefix"
  else
    printf 'for pkg-config and for programs linked with the shared library:\n'
    printf '  export PKG_CONFIG_PATH=%s/lib/pkgconfig LD_LIBRARY_PATH=%s/lib\n' "$prefix" "$prefix"
  fi
fi
