#!/usr/bin/env bash
# Interoperation with the official FlatBuffers tools, for every table of hwal.fbs:
#   1. flatc decodes what we write, and says what we say
#   2. we decode what flatc writes from random JSON, and flatc decodes what we write from the same JSON
#   3. the C++ library verifies and reads what we write (when g++ and libflatbuffers-dev are there; else a loud skip)
#   4. the schema conforms to the released one, and flatc would have noticed if it did not
#   5. a capture of every message type read by the official libraries of C++, JavaScript and Python (readers/run.sh)
#   6. evolution both ways, by those libraries and by ours: a newer schema with a struct, an enum value and a union member
#      appended and a field deprecated; test_fbs.c does the same for our generated readers with evolved.fbs
#   7. how long the messages are
#   8. the generator refuses schemas that break the rules of the house, with a sentence
# HWAL_SEED chooses the values; COUNT (default 20) how many of each table.
set -eu
cd "$(dirname "$0")/../.."
seed=${HWAL_SEED:-$$} count=${COUNT:-20}
echo "HWAL_SEED=$seed"
for tool in flatc gcc python3; do
    command -v $tool >/dev/null || { echo "SKIP interop: no $tool"; exit 77; }
done
fbs=$PWD/ipc/schema/hwal.fbs
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
flags="-I. -I$tmp -std=gnu17 -O1 -g -march=${ARCH:-x86-64-v3} -D_GNU_SOURCE -Wall -Wextra -Werror"
base="ipc/fbs.c core/types/err.c"

schema() { flatc --binary --schema --bfbs-comments --bfbs-builtins -o "$tmp" "$1"; }
schema "$fbs"
gcc $flags -o "$tmp/fbsgen" ipc/gen/*.c $base
"$tmp/fbsgen" "$tmp/hwal.bfbs" "$tmp"
gcc $flags -o "$tmp/interop" tests/ipc/interop.c ipc/fbs_json.c ipc/message.c ipc/record.c "$tmp/hwal_fbs.c" core/types/msg.c $base
tables=$(grep -oE '^table \w+' "$fbs" | cut -d' ' -f2)

decode() { # DIR: flatc's JSON beside each buffer
    local t
    for t in $tables; do
        flatc --json --strict-json --defaults-json --raw-binary --root-type "hwal.$t" -o "$1" "$fbs" -- "$1/$t".*.bin
    done
}

# 1. ours, as flatc reads it (flatc names its output after the input: Table.N.json)
mkdir "$tmp/ours"
"$tmp/interop" emit "$tmp/ours" "$count" "$seed"
decode "$tmp/ours"
python3 tests/ipc/interop.py same .ours .json "$tmp/ours"

# 2. random JSON through flatc into our reader, and through our writer into flatc
mkdir "$tmp/json" "$tmp/flatc" "$tmp/back"
python3 tests/ipc/interop.py make "$fbs" "$tmp/json" "$count" "$seed"
cp "$tmp"/json/*.json "$tmp/back"
for t in $tables; do
    flatc --binary --root-type "hwal.$t" -o "$tmp/flatc" "$fbs" "$tmp/json/$t".*.json
    for made in "$tmp/flatc/$t".*; do mv "$made" "${made%.*}.bin.tmp"; done # the extension is the schema's
    for made in "$tmp/flatc/$t".*.bin.tmp; do mv "$made" "${made%.tmp}"; done
    "$tmp/interop" read "$t" "$tmp/flatc/$t".*.bin
    "$tmp/interop" write "$t" "$tmp/back/$t".*.json
done
cp "$tmp"/json/*.json "$tmp/flatc"
python3 tests/ipc/interop.py same .json .read "$tmp/flatc"
rm "$tmp"/back/*.json
decode "$tmp/back"
for f in "$tmp"/json/*.json; do cp "$f" "$tmp/back/$(basename "${f%.json}").given"; done
python3 tests/ipc/interop.py same .given .json "$tmp/back"

# 3. the C++ library
if command -v g++ >/dev/null && [ -e /usr/include/flatbuffers/flatbuffers.h ]; then
    flatc --cpp -o "$tmp" "$fbs"
    g++ -std=c++17 -O0 -I"$tmp" -o "$tmp/interop_cpp" tests/ipc/interop.cpp
    "$tmp/interop_cpp" "$tmp"/ours/*.bin
else
    echo "SKIP interop with C++: needs g++ and libflatbuffers-dev"
fi

# 4. evolution
flatc --conform ipc/schema/released.fbs "$fbs"
sed 's/  qty:long;/  qty:ulong;/' "$fbs" >"$tmp/broken.fbs"
if flatc --conform ipc/schema/released.fbs "$tmp/broken.fbs" >/dev/null 2>&1; then
    echo "flatc --conform did not see a changed type" >&2
    exit 1
fi
echo "hwal.fbs conforms to released.fbs"

# 5. captures
export READERS=$tmp/readers
"$tmp/interop" stream "$tmp/capture" "$count" "$seed"
tests/ipc/readers/run.sh "$tmp/capture" "$tmp/capture.json"

# 6. evolution: TradeMsg gets a struct, Side a value, Message a member, InstrumentDefMsg loses a field
newer=$tmp/newer/hwal.fbs
mkdir "$tmp/newer"
python3 - "$fbs" "$newer" <<'PY'
import re, sys
text = open(sys.argv[1]).read()
def change(pattern, replacement):
    global text
    text, n = re.subn(pattern, replacement, text, flags=re.S)
    assert n == 1, pattern
change(r"(enum Side [^}]*SELL = 2)", r"\1, CROSS = 3")
change(r"bands:\[TickBand\];", "bands:[TickBand] (deprecated);")
change(r"table TradeMsg \(hot\) \{ body:Trade \(required\);", 'struct TradeExt (c_type: "trade_ext_t") { fee:long; flags:ulong; }\n'
       "table NewsMsg { text:string; }\ntable TradeMsg (hot) { body:Trade (required); ext:TradeExt;")
members = re.search(r"\nunion Message [^}]*", text)[0]
last = max(int(v) for v in re.findall(r"= (\d+)", members))
change(r"(\nunion Message [^}]*?)(,?)(\s*)\}", rf"\1,\3  NEWS:NewsMsg = {last + 1}\3}}")
open(sys.argv[2], "w").write(text)
PY
flatc --conform "$fbs" "$newer"
cat >"$tmp/newer/records.json" <<'JSON'
{"seq":1,"type":"TRADE","message":{"body":{"instrument_id":7,"aggressor_side":"CROSS","reserved":0,"reserved2":0,"trade_id":18446744073709551615,"px":-9223372036854775808,"qty":9223372036854775807,"ts_event_ns":1,"ts_recv_ns":9007199254740993},"ext":{"fee":-1,"flags":9223372036854775809}}}
{"seq":2,"type":"NEWS","message":{"text":"halted"}}
{"seq":3,"type":"INSTRUMENT_DEF","message":{"body":{"instrument_id":9,"venue_id":1,"kind":"SPOT","allow_negative":0,"px_exp":-2,"qty_exp":8,"money_exp":8,"mult_exp":0,"reserved":0,"settle_ccy":1413829460,"lot":1,"min_qty":1,"min_notional":0,"mult":1,"band_lower":0,"band_upper":0},"symbol":"BTCUSDT"}}
{"seq":4,"type":"TICK","message":{"body":{"mono_ns":-5,"utc_ns":1700000000000000001}}}
JSON
i=0
while read -r line; do # each as a Record of the newer writer: of a stream, and by itself for our reader
    i=$((i + 1))
    python3 -c 'import json, sys; d = json.loads(sys.argv[1]); print(json.dumps({"sequence": d["seq"], "msg_type": d["type"], "msg": d["message"]}))' "$line" >"$tmp/newer/Record.$i.json"
    flatc --binary --size-prefixed --root-type hwal.Record -o "$tmp/newer/stream" "$newer" "$tmp/newer/Record.$i.json"
    flatc --binary --root-type hwal.Record -o "$tmp/newer" "$newer" "$tmp/newer/Record.$i.json"
    mv "$tmp/newer/Record.$i".hwal "$tmp/newer/Record.$i.bin"
    cat "$tmp/newer/stream/Record.$i".* >>"$tmp/newer/capture"
done <"$tmp/newer/records.json"
echo "newer writer, older readers:"
WRITER=$newer tests/ipc/readers/run.sh "$tmp/newer/capture" "$tmp/newer/records.json"
"$tmp/interop" read Record "$tmp"/newer/Record.[134].bin
if "$tmp/interop" read Record "$tmp/newer/Record.2.bin" 2>"$tmp/x.err" || ! grep -q "is not in this schema" "$tmp/x.err"; then
    echo "a message of an unknown type was not named as such" >&2
    exit 1
fi
for f in "$tmp"/newer/Record.*.read; do tr -d '\n' <"$f" && echo; done >"$tmp/newer/read"
said=$(python3 tests/ipc/readers/compare.py "$newer" "$fbs" "$tmp/newer/read" "$tmp/newer/records.json")
echo "ours: $said"
echo "older writer, newer readers:"
READER=$newer tests/ipc/readers/run.sh "$tmp/capture" "$tmp/capture.json"

# 7. bytes
"$tmp/interop" bytes

# 8. refusals: what is put before the root table, and a word of the sentence
refused() {
    printf '%s\n' 'namespace x; attribute "hot"; attribute "c_type"; attribute "c_prefix";' \
        'attribute "c_include";' "$1" \
        'table Root (c_include: "core/types/msg.h") { a:uint; } root_type Root;' >"$tmp/x.fbs"
    schema "$tmp/x.fbs"
    if "$tmp/fbsgen" "$tmp/x.bfbs" "$tmp" 2>"$tmp/x.err" || ! grep -q "$2" "$tmp/x.err"; then
        echo "schema not refused as it should be ($2): $1" >&2
        cat "$tmp/x.err" >&2
        exit 1
    fi
}
level='struct Level (c_type: "level_t") { px:long; qty:long; }'
refused 'table T { a:double; }' 'floating point'
refused 'table T { a:[float]; }' 'vector of kind'
refused 'table T { a:uint = null; }' 'optional'
refused 'struct S (c_type: "s_t") { a:uint; b:ulong; }' 'padding must be a field'
refused 'struct S (c_type: "s_t") { a:[ubyte:4]; }' 'integers and enums only'
refused 'struct S { a:uint; }' 'c_type'
refused 'enum E : ubyte { A }' 'c_prefix'
refused "$level table T (hot) { body:Level (required); text:string; }" 'hot table holds'
refused "$level table T (hot) { body:Level (required); a:[Level]; b:[Level]; }" 'limit 1'
refused "$level table T (hot) { body:Level; }" 'required'
refused "$level table T (hot) { a:[Level]; body:Level (required); }" 'field 0'
refused 'table A { a:uint; } union U (c_prefix: "U_") { A } table T { u:[U]; }' 'vector of kind'
refused 'table T { a:uint; } namespace y;' 'namespace'
head -c 1000 "$tmp/hwal.bfbs" >"$tmp/cut.bfbs"
if "$tmp/fbsgen" "$tmp/cut.bfbs" "$tmp" 2>/dev/null || "$tmp/fbsgen" "$fbs" "$tmp" 2>/dev/null; then
    echo "fbsgen accepted what is no schema" >&2
    exit 1
fi
echo "15 schemas refused"
