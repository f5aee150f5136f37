# sourced by the system tests: $HWAL (binary), $SHARED (outside data or empty), $T (temporary folder), check and fail.
set -u
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$ROOT" || exit 1
HWAL=${HWAL:-$ROOT/build/release/hwal}
SHARED=${HWAL_SHARED:-../shared}
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
failures=0 checks=0
[ -x "$HWAL" ] || { echo "no $HWAL: make first"; exit 1; }

fail() { echo "FAIL: $*"; failures=$((failures + 1)); }
check() { # WHAT COMMAND...: counts, and says WHAT when the command fails
    local what=$1
    shift
    checks=$((checks + 1))
    "$@" || fail "$what"
}
exits() { # CODE COMMAND...: output goes to $T/out and $T/err
    local want=$1
    shift
    timeout 120 "$@" >"$T/out" 2>"$T/err"
    local rc=$?
    [ $rc = "$want" ] || { echo "  exit $rc, wanted $want: $*"; tail -n 3 "$T/err"; return 1; }
}
says() { grep -qE -- "$1" "$T/out" "$T/err" || { echo "  no \"$1\" in:"; cat "$T/out" "$T/err" | head -n 5; return 1; }; }
json() { python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); sys.exit(0 if eval(sys.argv[2]) else 1)' "$T/out" "$1" ||
    { echo "  not so: $1"; return 1; }; }
done_() { echo "$checks checks, $failures failed"; [ $failures = 0 ]; }
