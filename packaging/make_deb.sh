#!/usr/bin/env bash
# make_deb.sh TREE.tar CONTROL COPYRIGHT VERSION ARCHITECTURE OUT.deb: a Debian package that holds
# the tree under /usr. Its dependencies are read from the programs.
set -euo pipefail
umask 022
tree=$1 control=$2 copyright=$3 version=$4 architecture=$5 out=$PWD/$6
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
package=$root/package
doc=$package/usr/share/doc/hakmem
mkdir -p "$package/DEBIAN" "$doc" "$root/debian"

tar --extract --file "$tree" --directory "$package/usr" --preserve-permissions --no-same-owner
install -m 644 "$copyright" "$doc/copyright"
printf 'hakmem (%s) unstable; urgency=low\n\n  * Built from the sources of this version.\n\n' \
  "$version" | gzip -9n >"$doc/changelog.gz"
find "$package/usr/share/man" -type f -exec gzip -9n {} +

# As Debian's own packages: without debugging information.
elf=()
while IFS= read -r -d '' file; do
  case $(head -c 4 "$file" | od -An -tx1) in ' 7f 45 4c 46') elf+=("$file") ;; esac
done < <(find "$package/usr" -type f -print0)
strip --strip-unneeded --remove-section=.comment "${elf[@]}"
strip --strip-debug --enable-deterministic-archives "$package"/usr/lib/*.a

# dpkg-shlibdeps wants to stand in a source package; libhakmem itself is of this one.
: >"$root/debian/control"
echo 'libhakmem 0 hakmem' >"$package/DEBIAN/shlibs"
depends=$(cd "$root" && dpkg-shlibdeps -O -xhakmem -S"$package" "${elf[@]/#/-e}" |
  sed -n 's/^shlibs:Depends=//p')
[[ -n $depends ]] || { echo 'make_deb.sh: no dependencies found?' >&2 && exit 1; }

sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@DEPENDS@/$depends/" \
  -e "s/@INSTALLED_SIZE@/$(du -k -s --apparent-size "$package/usr" | cut -f1)/" \
  "$control" >"$package/DEBIAN/control"
echo 'activate-noawait ldconfig' >"$package/DEBIAN/triggers"
(cd "$package" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) \
  >"$package/DEBIAN/md5sums"
find "$package" -exec touch --no-dereference --date=@0 {} +
SOURCE_DATE_EPOCH=0 dpkg-deb --build --root-owner-group "$package" "$out" >/dev/null
