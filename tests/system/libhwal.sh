#!/usr/bin/env bash
# libhwal as others meet it: installed into a folder of its own; what it exports, header, manual and examples agree; C and
# C++; shared and static; the examples against a live instance: tail in C and in Python tell the same, a book, a strategy
# that trades over a lane; the engine is killed under them; uninstall leaves nothing.
. "$(dirname "$0")/lib.sh"
N=lib$$
BUILD=$(dirname "$HWAL")
BUILD=${BUILD#"$ROOT"/}
P=$T/usr
export XDG_STATE_HOME=$T/state
run_pid=
stop() { [ -n "$run_pid" ] && kill -TERM "$run_pid" 2>/dev/null && wait "$run_pid"; run_pid=; }
trap 'stop; "$HWAL" segments gc --instance $N --all >/dev/null 2>&1; rm -rf "$T"' EXIT
nap() { read -rt "$1" <> <(:) || true; }
lines() { grep -cE -- "$1" "$T/out"; }

# ---- installed --------------------------------------------------------------------------------------------------------
for f in libhwal.so libhwal.a; do [ -e "$BUILD/$f" ] || { echo "no $BUILD/$f: make lib first"; exit 1; }; done
check "make install" exits 0 make -s install B="$BUILD" PREFIX="$P"
check "the command" test -x "$P/bin/hwal"
check "pkg-config knows it" exits 0 env PKG_CONFIG_PATH="$P/lib/pkgconfig" pkg-config --exists --print-errors hwal
export PKG_CONFIG_PATH=$P/lib/pkgconfig
check "version" test "$(pkg-config --modversion hwal)" = "$(sed -n 's/^.define HWAL_VERSION "\(.*\)"/\1/p' ipc/version.h)"
check "make install with DESTDIR" exits 0 make -s install B="$BUILD" PREFIX=/usr DESTDIR="$T/root"
check "its pkg-config file does not name DESTDIR" grep -qx 'prefix=/usr' "$T/root/usr/lib/pkgconfig/hwal.pc"
check "make uninstall" exits 0 make -s uninstall B="$BUILD" PREFIX=/usr DESTDIR="$T/root"
check "nothing is left" test -z "$(find "$T/root" -type f -o -type l)"

nm -D --defined-only "$P/lib/libhwal.so" | awk '$2 != "A" {sub(/@.*/, "", $3); print $3}' | sort >"$T/exported"
nm --extern-only --defined-only "$P/lib/libhwal.a" | awk 'NF == 3 {print $3}' | sort >"$T/static"
sed -n 's/^HWAL_API.*[ *]\(hwal_[a-z_]*\)(.*/\1/p' "$P/include/hwal/hwal.h" | sort >"$T/declared"
check "the header declares functions" test "$(wc -l <"$T/declared")" -gt 30
check "shared: exactly what the header declares" diff "$T/declared" "$T/exported"
check "static: exactly what the header declares" diff "$T/declared" "$T/static"
check "its name" grep -q 'libhwal.so.1' <(objdump -p "$P/lib/libhwal.so" | grep SONAME)
check "every symbol has its version" test -z "$(objdump -T "$P/lib/libhwal.so" | awk '/ hwal_/ && !/HWAL_[0-9]/')"
check "it needs libc alone" test "$(objdump -p "$P/lib/libhwal.so" | awk '/NEEDED/ {print $2}' | grep -vE '^(libc\.so|ld-linux)')" = ""
while read -r name; do
    check "manual of $name" test -s "$P/share/man/man3/$name.3"
    check "$name in a NAME section" grep -qE "^\.Nm $name( ,)?$" docs/man/*.3
    check "$name in a SYNOPSIS" grep -qE "^\.Fn $name( |$)" docs/man/*.3
done <"$T/declared"
check "no manual of what is not there" test -z "$(sed -n '/^.Sh NAME/,/^.Nd/s/^.Nm \([a-z_]*\).*/\1/p' docs/man/*.3 | sort | comm -23 - "$T/declared" | grep -vx hwal)"

# ---- header, examples ---------------------------------------------------------------------------------------------------
cat >"$T/one.c" <<'C'
#include <hwal/hwal.h>
int main(void) { return hwal_version()[0] == 0; }
C
cp "$T/one.c" "$T/one.cc"
W="-Wall -Wextra -Wpedantic -Werror"
FLAGS=$(pkg-config --cflags --libs hwal)
ALL=$(pkg-config --static --cflags --libs hwal)
RPATH=-Wl,-rpath,$P/lib
for cc in "gcc -std=c17" "clang -std=c17" "gcc -std=c11" "g++ -std=c++17" "clang++ -std=c++17" "g++ -std=c++20"; do
    if ! command -v ${cc%% *} >/dev/null; then
        echo "SKIP ${cc%% *} is not here"
        continue
    fi
    source=$T/one.c
    case $cc in *++*) source=$T/one.cc ;; esac
    check "header: $cc" exits 0 $cc $W "$source" -o "$T/one" $FLAGS $RPATH
    check "it runs" exits 0 "$T/one"
done
check "header alone: <hwal/msg.h>" exits 0 g++ -std=c++17 $W -fsyntax-only -x c++ -include "$P/include/hwal/msg.h" /dev/null
for e in tail book strategy; do
    check "example $e, shared" exits 0 gcc $W -O1 docs/examples/$e.c -o "$T/$e" $FLAGS $RPATH
    check "example $e, static" exits 0 gcc $W -O1 docs/examples/$e.c -o "$T/$e.static" ${ALL//-lhwal/-l:libhwal.a}
    check "it does not want the shared one" test -z "$(ldd "$T/$e.static" | grep hwal)"
done
check "tail is 20 lines" test "$(sed -n '/^{/,/^}/p' docs/examples/tail.c | wc -l)" -le 20
check "nobody there: says so" exits 1 "$T/tail" ev 1 nosuch$$
check "in words" says "no instance \"nosuch$$\""

# ---- live ----------------------------------------------------------------------------------------------------------------
"$HWAL" run --instance $N --config configs/demo.yaml --forever --quiet >"$T/run" 2>&1 &
run_pid=$!
for _ in $(seq 100); do
    "$HWAL" books --instance $N --csv >"$T/books" 2>/dev/null && grep -q ',LIVE,' "$T/books" && break
    kill -0 $run_pid 2>/dev/null || break
    nap 0.1
done
check "it runs" grep -q ',LIVE,' "$T/books"
symbol=$(awk -F, '/,LIVE,/ {print $2; exit}' "$T/books")

check "tail" exits 0 "$T/tail" ev 20 $N
check "20 lines of ev" test "$(lines '^[0-9]+ [A-Z_]+ \{')" = 20
check "tail of market data, static" exits 0 "$T/tail.static" md.sim 200 $N
check "200 of them" test "$(lines '^[0-9]+ (BOOK_UPDATE|TRADE|TOP|FEED_STATE) \{')" = 200
check "of a ring that is none" exits 1 "$T/tail" nosuch 1 $N
check "in words" says 'no ring "nosuch"'
check "book" exits 0 "$T/book" "$symbol" --once --instance $N
check "ten levels" test "$(lines '^ +[0-9.]+ +[0-9.]+ \| +[0-9.]+ +[0-9.]+$')" = 10
check "best first, not crossed" python3 - "$T/out" <<'PY'
import sys
from decimal import Decimal as D
rows = [line.replace("|", " ").split() for line in open(sys.argv[1])][2:]
bids, asks = [D(r[1]) for r in rows], [D(r[3]) for r in rows]
assert bids == sorted(bids, reverse=True) and asks == sorted(asks) and bids[0] < asks[0], rows
PY
check "book of nothing" exits 1 "$T/book" NOSUCH --once --instance $N

check "strategy" exits 0 "$T/strategy" "$symbol" --orders 6 --rest-ms 100 --instance $N
check "six orders" says '^sent 6 denied'
python3 - "$T/out" <<'PY'
import re, sys
text = open(sys.argv[1]).read()
orders = [int(i) for i in re.findall(r"^(?:buy|sell) .*: (\d+)$", text, re.M)]
verdicts = dict((int(i), w) for i, w in re.findall(r"^verdict on (\d+): (\w+)$", text, re.M))
assert len(orders) == 6 and orders == sorted(set(orders)), orders
assert all(i in verdicts for i in orders), "an order without a verdict"
ended = len(re.findall(r"^ended: ", text, re.M))
sent, denied, said = map(int, re.search(r"^sent (\d+) denied (\d+) ended (\d+)", text, re.M).groups())
assert said == ended and denied == sum(verdicts[i] != "ACCEPTED" for i in orders), text
PY
check "each order had its verdict, and an end" test $? = 0
"$HWAL" orders --instance $N --json >"$T/out" 2>/dev/null
lane_strategy=$("$HWAL" status --instance $N --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["lanes"][0]["strategy_id"])')
check "status names the strategy of its orders" test "${lane_strategy:-0}" -gt 0
check "none of its orders is open" json "[o for o in d['orders'] if o['strategy_id'] == ${lane_strategy:-0}] == []"
"$T/strategy" "$symbol" --orders 1000 --rest-ms 5000 --instance $N >"$T/first" 2>&1 &
first=$!
for _ in $(seq 50); do grep -qE '^(buy|sell)' "$T/first" && break; nap 0.1; done
check "a second one is refused" exits 1 "$T/strategy" "$symbol" --orders 1 --instance $N
check "the sentence names the first" says "$first"
kill -KILL $first
wait $first 2>/dev/null
leased() { for _ in $(seq 50); do timeout 20 "$T/strategy" "$symbol" --orders 1 --rest-ms 50 --instance $N >"$T/out" 2>"$T/err" && return 0; nap 0.1; done; return 1; }
check "after its death the lane can be leased again" leased

py=
for p in python3 /usr/bin/python3; do $p -c 'import flatbuffers' 2>/dev/null && py=$p && break; done
if [ -z "$py" ]; then
    echo "SKIP tail.py: no Python module flatbuffers (apt-get install python3-flatbuffers)"
else
    check "flatc makes Python" exits 0 flatc --python -o "$T" "$(pkg-config --variable=schema hwal)"
    "$T/tail" ev 400 $N >"$T/c.txt" &
    c_tail=$!
    (cd "$T" && LD_LIBRARY_PATH=$P/lib timeout 60 $py "$ROOT/docs/examples/tail.py" ev 400 $N >"$T/py.txt" 2>"$T/err")
    check "tail.py" test $? = 0
    wait $c_tail
    check "they tell the same" python3 - "$T/c.txt" "$T/py.txt" <<'PY'
import json, re, sys
def read(path):
    out = {}
    for line in open(path):
        m = re.match(r"(\d+) ([A-Z_]+) (\{.*)", line)
        if m:
            out[int(m[1])] = (m[2], json.loads(m[3]))
    return out
def same(c, p, at):
    if isinstance(c, dict):
        assert set(c) == set(p), (at, set(c) ^ set(p))
        for k in c:
            same(c[k], p[k], f"{at}.{k}")
    elif isinstance(c, list):
        assert len(c) == len(p), at
        for i, (x, y) in enumerate(zip(c, p)):
            same(x, y, f"{at}[{i}]")
    elif isinstance(c, str) and isinstance(p, int):
        pass  # an enum: the one tells its name, the other its number
    else:
        assert c == p, (at, c, p)
c, p = read(sys.argv[1]), read(sys.argv[2])
both = set(c) & set(p)
assert len(both) >= 300, (len(c), len(p), len(both))
for seq in both:
    assert c[seq][0] == p[seq][0], seq
    same(c[seq][1], p[seq][1], str(seq))
print(len(both), "messages,", len({c[s][0] for s in both}), "types")
PY
fi

# ---- the adapter dies under it ------------------------------------------------------------------------------------------
kill_role() { kill -KILL "$("$HWAL" status --instance $N --json | python3 -c 'import json,sys; print([r["pid"] for r in json.load(sys.stdin)["roles"] if r["role"] == sys.argv[1]][0])' "$1")"; }
"$T/strategy" "$symbol" --orders 1000 --rest-ms 100 --instance $N >"$T/first" 2>&1 &
first=$!
for _ in $(seq 50); do grep -qE '^(buy|sell)' "$T/first" && break; nap 0.1; done
kill_role sim
nap 1.5
before=$(grep -cE '^(buy|sell)' "$T/first")
for _ in $(seq 100); do [ "$(grep -cE '^(buy|sell)' "$T/first")" -ge $((before + 3)) ] && break; nap 0.1; done
check "the strategy goes on with the new one" test "$(grep -cE '^(buy|sell)' "$T/first")" -ge $((before + 3))
kill -KILL $first
wait $first 2>/dev/null
check "the lane is free again" leased

# ---- the engine dies under them ------------------------------------------------------------------------------------------
"$T/tail" ev 1000000 $N >"$T/follow" 2>&1 &
follow=$!
"$T/strategy" "$symbol" --orders 1000 --rest-ms 1000 --instance $N >"$T/first" 2>&1 &
first=$!
for _ in $(seq 50); do grep -qE '^(buy|sell)' "$T/first" && break; nap 0.1; done
kill_role engine
wait $first
check "the strategy ends by itself" test $? = 1
cp "$T/first" "$T/out"
check "its lane has ended, and it says so" says "lane has ended"
for _ in $(seq 100); do grep -A1 '^RESTART: lost' "$T/follow" | grep -q '^1 ' && break; nap 0.1; done
kill $follow
wait $follow 2>/dev/null
check "tail was told that the engine began anew" grep -q '^RESTART: lost' "$T/follow"
check "and went on with the first message of the new life, without a hole before it" python3 - "$T/follow" <<'PY'
import re, sys
lines = open(sys.argv[1]).read().splitlines()
at = max(i for i, line in enumerate(lines) if line.startswith("RESTART"))
assert lines[at + 1].startswith("1 "), lines[at:at + 2]
want = None
for line in lines[:at]:
    m = re.match(r"(\d+) ", line)
    if m:
        assert want is None or int(m[1]) == want, line
        want = int(m[1]) + 1
PY
check "the new engine gives the lane again" leased

# ---- stopped and begun again under them: with the journal, and with a new one, in which all names come again ------------
for how in --resume --new --new; do
    "$T/tail" ev 1000000 $N >"$T/follow" 2>&1 &
    follow=$!
    "$HWAL" tail --follow --instance $N >"$T/follow2" 2>&1 &
    follow2=$!
    for _ in $(seq 50); do [ -s "$T/follow" ] && [ -s "$T/follow2" ] && break; nap 0.1; done
    stop
    "$HWAL" segments gc --instance $N >/dev/null 2>&1 # as if no role had been killed: the directory goes, too
    "$HWAL" run --instance $N --config configs/demo.yaml $how --forever --quiet >>"$T/run" 2>&1 &
    run_pid=$!
    at2=$(wc -l <"$T/follow2")
    for _ in $(seq 100); do grep -A1 '^RESTART: lost' "$T/follow" | grep -q '^1 ' && break; nap 0.1; done
    check "$how: tail goes on" grep -q '^RESTART: lost' "$T/follow"
    for _ in $(seq 50); do [ "$(tail -n +$((at2 + 1)) "$T/follow2" | grep -cE '^ +1 ')" -ge 1 ] && break; nap 0.1; done
    check "$how: hwal tail too, from the first message" test "$(tail -n +$((at2 + 1)) "$T/follow2" | grep -cE '^ +1 ')" -ge 1
    kill $follow $follow2
    wait $follow $follow2 2>/dev/null
done

stop
"$HWAL" segments gc --instance $N --all >/dev/null 2>&1 # the killed engine's memory is evidence, and could be attached
check "after an orderly stop nobody is there" exits 1 "$T/tail" ev 1 $N
export HWAL_SHM=$T/shm
mkdir "$HWAL_SHM"
check "nobody at all" exits 1 "$T/tail" ev 1
check "and none was named" says "tail: no instance of user $(id -u) runs here"
check "by the command" exits 3 "$HWAL" status
check "which says how to begin" says 'runs here; `hwal run` starts one'
unset HWAL_SHM
check "make uninstall" exits 0 make -s uninstall B="$BUILD" PREFIX="$P"
check "nothing is left" test -z "$(find "$P" -type f -o -type l)"
done_
