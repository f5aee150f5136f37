#!/usr/bin/env bash
# `make run` as a newcomer who is not root: a user made for it, a clean clone, nothing but the packages that are there.
. "$(dirname "$0")/lib.sh"
if [ "$(id -u)" != 0 ]; then
    echo "SKIP ordinary-user: only root can create the user"
    exit 77
fi
user=hwal-test-$$
useradd --create-home --shell /bin/bash "$user" || { echo "SKIP ordinary-user: useradd failed"; exit 77; }
home=$(getent passwd "$user" | cut -d: -f6)
trap 'userdel --remove "$user" 2>/dev/null; rm -rf "$T"' EXIT
git -c safe.directory='*' clone --quiet "$ROOT" "$home/hwal" && chown -R "$user" "$home/hwal" || { fail "clone"; exit 1; }
began=$SECONDS
check "make run" exits 0 runuser -u "$user" -- env -i HOME="$home" PATH="$PATH" TERM=dumb make -C "$home/hwal" run
took=$((SECONDS - began))
check "a summary, and what to type next" says "next +hwal journal verify"
check "in under two minutes ($took s)" test $took -lt 120
check "the user's own files" test "$(stat -c %U "$home/hwal/build/release/hwal")" = "$user"
done_
