#!/usr/bin/env bash
# make_tree.sh MANIFEST VERSION OUT.tar: packs what install_tree (defs.bzl) lists. Modes, owners and
# times do not depend on who builds, or when.
set -euo pipefail
umask 022
manifest=$1 version=$2 out=$PWD/$3
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

# put MODE PLACE SOURCE
put() {
  case $3 in
    *.in)
      # Of the folder lib/, the prefix is the parent.
      sed -e "s/@VERSION@/$version/g" -e 's/@LIB_TO_PREFIX@/../g' "$3" >"$tree/${2%.in}"
      chmod "$1" "$tree/${2%.in}"
      ;;
    *) install -m "$1" "$3" "$tree/$2" ;;
  esac
}

while read -r kind place source; do
  mkdir -p "$tree/$(dirname "$place")"
  case $kind in
    program) put 755 "$place" "$source" ;;
    file) put 644 "$place" "$source" ;;
    link) ln -s "$source" "$tree/$place" ;;
    *) echo "make_tree.sh: $manifest: $kind?" >&2 && exit 1 ;;
  esac
done <"$manifest"
chmod 755 "$tree"
tar --create --file "$out" --directory "$tree" --format=gnu --sort=name --mtime=@0 \
  --owner=0 --group=0 --numeric-owner .
