#!/usr/bin/env bash
# run.sh CAPTURE EXPECTED...: the capture (of `hwal tail --raw`) read by the official FlatBuffers libraries of C++, JavaScript
# and Python, each compared with EXPECTED (compare.py). What a library needs and is not there is a loud SKIP.
#   WRITER, READER   schemas of the two sides (default ipc/schema/hwal.fbs): evolution is when they differ
#   READERS          folder in which the readers are built and kept for the next call (default: a temporary one)
# The npm packages are pinned in package-lock.json and come from npm's cache or the registry that npm is set up for.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../../..
writer=$(realpath "${WRITER:-$root/ipc/schema/hwal.fbs}") reader=$(realpath "${READER:-$root/ipc/schema/hwal.fbs}")
capture=$(realpath "$1")
shift
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
base=${READERS:-$tmp/readers}
dir=$base/$(cksum <"$reader" | cut -d' ' -f1)
mkdir -p "$dir/gen"
[ -e "$dir/gen/hwal.fbs" ] || cp "$reader" "$dir/gen/hwal.fbs" # flatc names its output after it

skip() { echo "SKIP capture with $1"; }
compared() {
    local said
    said=$(python3 "$here/compare.py" "$writer" "$reader" "$tmp/read" "${expected[@]}") || exit 1
    echo "$1: $said"
}
expected=("$@")

if ! command -v g++ >/dev/null || [ ! -e /usr/include/flatbuffers/minireflect.h ]; then
    skip "C++: needs g++ and libflatbuffers-dev"
else
    if [ ! -x "$dir/reader" ]; then
        flatc --cpp --reflect-names -o "$dir/gen" "$dir/gen/hwal.fbs"
        g++ -std=c++17 -O0 -I"$dir/gen" -o "$dir/reader" "$here/reader.cpp"
    fi
    "$dir/reader" "$capture" >"$tmp/read"
    compared "C++"
fi

npm_packages() { # once, for every schema
    [ -d "$base/npm/node_modules" ] && return
    mkdir -p "$base/npm" && cp "$here/package.json" "$here/package-lock.json" "$base/npm"
    (cd "$base/npm" && timeout 60 npm ci --prefer-offline --no-audit --no-fund --ignore-scripts) >"$tmp/npm" 2>&1
}
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    skip "JavaScript: needs node and npm"
elif ! npm_packages; then
    rm -rf "$base/npm"
    skip "JavaScript: npm ci failed: $(grep -m1 'npm error' "$tmp/npm" || tail -n 1 "$tmp/npm")"
else
    if [ ! -e "$dir/js/reader.js" ]; then
        flatc --ts --gen-object-api -o "$dir/gen" "$dir/gen/hwal.fbs"
        cp "$here/reader.ts" "$dir/gen"
        ln -sfn "$base/npm/node_modules" "$dir/node_modules"
        # file by file, without type checks: what flatc 2.0.8 writes for bit flags does not pass them
        node - "$base/npm/node_modules/typescript" "$dir/gen" "$dir/js" <<'JS'
const ts = require(process.argv[2]), fs = require('fs'), path = require('path');
const options = { target: ts.ScriptTarget.ES2020, module: ts.ModuleKind.CommonJS };
for (const file of fs.readdirSync(process.argv[3], { recursive: true }).filter((name) => name.endsWith('.ts'))) {
  const to = path.join(process.argv[4], file.replace(/ts$/, 'js'));
  fs.mkdirSync(path.dirname(to), { recursive: true });
  fs.writeFileSync(to, ts.transpile(fs.readFileSync(path.join(process.argv[3], file), 'utf8'), options));
}
JS
    fi
    node "$dir/js/reader.js" "$capture" >"$tmp/read"
    compared "JavaScript"
fi

python=
for p in python3 /usr/bin/python3; do
    [ -n "$python" ] || ! "$p" -c 'import flatbuffers' 2>/dev/null || python=$p
done
if [ -z "$python" ]; then
    skip "Python: needs python3-flatbuffers"
else
    [ -d "$dir/gen/hwal/__pycache__" ] || flatc --python --gen-object-api -o "$dir/gen" "$dir/gen/hwal.fbs"
    "$python" "$here/reader.py" "$dir/gen" "$capture" >"$tmp/read"
    compared "Python"
fi
