#!/usr/bin/env bash
# Interoperation with the official FlatBuffers tools, for every table of hwal.fbs:
#   1. flatc decodes what we write, and says what we say
#   2. we decode what flatc writes from random JSON, and flatc decodes what we write from the same JSON
#   3. the C++ library verifies and reads what we write (when g++ and libflatbuffers-dev are there; else a loud skip)
#   4. the schema conforms to the released one, and flatc would have noticed if it did not
#   5. the generator refuses schemas that break the rules of the house, with a sentence
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

# 5. refusals: what is put before the root table, and a word of the sentence
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
