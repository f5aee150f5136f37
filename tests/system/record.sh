#!/usr/bin/env bash
# hwal record: a living instance recorded, verified, exported, replayed; a recorder killed; a ring that was faster; captures
# made into a recording give what the captures give; seeking gives the same books.
. "$(dirname "$0")/lib.sh"
N=record$$
export XDG_STATE_HOME=$T/state
run_pid=
stop() { [ -n "$run_pid" ] && kill -TERM "$run_pid" 2>/dev/null && wait "$run_pid"; run_pid=; }
trap 'stop; "$HWAL" segments gc --instance $N --all >/dev/null 2>&1; rm -rf "$T"' EXIT
nap() { read -rt "$1" <> <(:) || true; }

check "--help" exits 0 "$HWAL" record --help
for part in import info verify export; do
    check "$part --help" exits 0 "$HWAL" record $part --help
    check "$part --help has an example" says "example"
    check "$part: unknown option" exits 2 "$HWAL" record $part --no-such-option
done
check "nothing runs" exits 3 "$HWAL" record --instance $N --out "$T/none.hwr"
check "and no file is left" test ! -e "$T/none.hwr"
head -c 1000 /dev/zero >"$T/zeros"
check "zeros are no recording" exits 1 "$HWAL" record verify "$T/zeros"
check "a pipe is refused" exits 1 "$HWAL" record verify <(:)

# a living instance, from its first message
mkdir -p "$T/state"
"$HWAL" run --instance $N --config configs/demo.yaml --forever --quiet >"$T/run" 2>&1 &
run_pid=$!
for _ in $(seq 100); do
    "$HWAL" status --instance $N --json >"$T/out" 2>/dev/null && grep -q '"state":"RUN","epoch"' "$T/out" && break
    kill -0 $run_pid 2>/dev/null || break
    nap 0.1
done
check "it runs" grep -q '"state":"RUN","epoch"' "$T/out"
check "recorded" exits 0 "$HWAL" record --instance $N --seconds 5 --md --events --out "$T/live.hwr" --json
check "thousands" json "d['messages'] > 5000 and d['lost'] == 0 and d['syncs'] >= 2"
check "0640" test "$(stat -c %a "$T/live.hwr")" = 640
check "nothing is overwritten" exits 2 "$HWAL" record --instance $N --seconds 1 --out "$T/live.hwr"
check "it says so" says "nothing is overwritten"
check "verify" exits 0 "$HWAL" record verify "$T/live.hwr" --json
check "8 instruments, from md and ev" json "d['ended'] and len(d['instruments']) == 8 and 'md.sim' in d['sources'] and 'ev' in d['sources'] and d['messages']['BOOK_UPDATE'] > 1000"
cp "$T/out" "$T/verify"
check "one instrument, until SIGINT" sh -c "'$HWAL' record --instance $N --instrument 1 --out '$T/one.hwr' --quiet >/dev/null & p=\$!; sleep 2; kill -INT \$p; wait \$p"
check "it is whole" exits 0 "$HWAL" record verify "$T/one.hwr"
check "and holds nothing of others" test "$("$HWAL" record export "$T/one.hwr" --csv | tail -n +2 | grep -v REFRESH | cut -d, -f6 | sort -u)" = 1

# a recorder that is killed: everything up to a second before
"$HWAL" record --instance $N --out "$T/killed.hwr" --quiet >/dev/null &
p=$!
nap 3
kill -KILL $p
wait $p 2>/dev/null
check "killed: it says that it has no end" exits 1 "$HWAL" record verify "$T/killed.hwr" --json
check "no end, and what was before" json "not d['ended'] and d['messages']['BOOK_UPDATE'] > 500 and 'it has no end' in d['errors'][0]"
check "it exports" exits 1 "$HWAL" record export "$T/killed.hwr" --csv
check "and replays" exits 1 "$HWAL" replay "$T/killed.hwr" --books-only --json
check "books, then the end" json "d['messages'] > 500 and any('no end' in e for e in d['errors'])"

# a recorder that stood still: the loss is in the file, and the books are broken there
"$HWAL" record --instance $N --out "$T/lost.hwr" --json >"$T/lost.json" 2>"$T/lost.err" &
p=$!
nap 1
kill -STOP $p
nap "${RECORD_STOP_S:-12}"
kill -CONT $p
nap 1
kill -TERM $p
wait $p
rc=$?
if grep -q '"lost": 0' "$T/lost.json"; then
    echo "SKIP a loss: the ring held all of it"
else
    check "lost: exit 1" test $rc = 1
    check "lost: said" grep -q "lost [0-9]* of md.sim" "$T/lost.err"
    "$HWAL" record export "$T/lost.hwr" --jsonl --type FEED_STATE >"$T/out"
    check "lost: in the file, with what is missing" python3 - "$T/out" "$T/lost.json" <<'PY'
import json, sys
rows = [json.loads(l) for l in open(sys.argv[1])]
loss = [r for r in rows if r["loss"]]
lost = json.load(open(sys.argv[2]))["lost"]
spans = {(r["message"]["body"]["seq_from"], r["message"]["body"]["seq_to"]) for r in loss}
sys.exit(0 if loss and sum(b - a + 1 for a, b in spans) == lost else 1)
PY
fi
stop

# export: counted by others
"$HWAL" record export "$T/live.hwr" --csv >"$T/live.csv"
"$HWAL" record export "$T/live.hwr" --jsonl >"$T/live.jsonl"
check "CSV and JSONL hold what verify counted" python3 - "$T" <<'PY'
import collections, csv, decimal, json, sys
t = sys.argv[1]
v = json.load(open(t + "/verify"))
j = [json.loads(line) for line in open(t + "/live.jsonl")]
assert [r["number"] for r in j] == list(range(1, v["entries"] + 1)), "numbers"
assert collections.Counter(r["type"] for r in j if not r["refresh"]) == v["messages"], "types"
rows = list(csv.DictReader(open(t + "/live.csv")))
books = [r for r in rows if r["type"] == "BOOK_UPDATE" and r["mark"] == "" and r["side"]]
assert len(books) == v["levels"], (len(books), v["levels"])
want = [(b[0], b[1]) for r in j if r["type"] == "BOOK_UPDATE" and not r["refresh"] for s in ("bids", "asks") for b in r["decimals"][s]]
assert [(b["px"], b["qty"]) for b in books] == want, "levels"
exp = {i["instrument_id"]: i for i in v["instruments"]}
for r, m in zip([r for r in rows if r["type"] == "TRADE"], [m for m in j if m["type"] == "TRADE"]):
    b, i = m["message"]["body"], exp[int(r["instrument_id"])]
    assert decimal.Decimal(r["px"]) == decimal.Decimal(b["px"]).scaleb(-i["px_exp"]) and decimal.Decimal(r["qty"]) == decimal.Decimal(b["qty"]).scaleb(-i["qty_exp"])
times = [r["ts_ns"] for r in j]
assert times == sorted(times)
PY
check "replay, checked" exits 0 "$HWAL" replay "$T/live.hwr" --check --json --strategy none
check "books live, no difference" json "all(f['health'] in ('LIVE','STALE') and f['oracle']['mismatched'] == 0 and f['oracle']['checked'] > 0 for f in d['feeds'].values())"

# damage in the middle: named, and nothing of the block
cp "$T/live.hwr" "$T/bad.hwr"
printf '\377' | dd of="$T/bad.hwr" bs=1 seek=$(($(stat -c %s "$T/bad.hwr") / 2)) conv=notrunc 2>/dev/null
check "damage is found" exits 1 "$HWAL" record verify "$T/bad.hwr"
check "and named with its place" says "offset [0-9]+: (a damaged block|no block)"
check "a replay says so too" exits 1 "$HWAL" replay "$T/bad.hwr" --books-only

# captures: the recording gives what they give
if [ -d "$SHARED/data/binance" ]; then
    for f in spot_btcusdt_20240808 usdm_btcusdt_20240808 cm_btcusd_perp_20240808; do
        check "$f: import" exits 0 "$HWAL" record import "$SHARED/data/binance/$f.gz" --out "$T/$f.hwr" --json
        "$HWAL" replay "$SHARED/data/binance/$f.gz" --check --json >"$T/capture.json" 2>/dev/null
        "$HWAL" replay "$T/$f.hwr" --check --json >"$T/recording.json" 2>/dev/null
        check "$f: the same orders, money, hashes, oracle" python3 - "$T" <<'PY'
import json, sys
a, b = (json.load(open(f"{sys.argv[1]}/{n}.json")) for n in ("capture", "recording"))
for k in ("output_hash", "state_hash", "messages", "orders", "replaces", "cancels", "fills", "rejected", "denied_by_code", "pnl", "positions"):
    assert a[k] == b[k], (k, a[k], b[k])
for s in a["feeds"]:
    for k in ("oracle", "health", "best_bid", "best_ask", "bid_levels", "ask_levels", "trades", "tops", "snapshots"):
        assert a["feeds"][s][k] == b["feeds"][s][k], (s, k)
assert a["orders"] > 0
PY
        # the books at the end, and at each sync on the way there, are those of a replay of everything
        from=$(python3 -c "import json,sys; d=json.load(open(sys.argv[1])); print(d['times']['last_ns'] - (d['times']['last_ns'] - d['times']['first_ns']) // 3)" <("$HWAL" record info "$T/$f.hwr" --json))
        check "$f: from the middle" exits 0 "$HWAL" replay "$T/$f.hwr" --from "$from" --check --json --strategy none
        check "$f: the same book in the end" python3 - "$T" <<'PY'
import json, sys
a, b = json.load(open(sys.argv[1] + "/recording.json")), json.load(open(sys.argv[1] + "/out"))
for s in a["feeds"]:
    for k in ("health", "best_bid", "best_ask", "bid_levels", "ask_levels"):
        assert a["feeds"][s][k] == b["feeds"][s][k], (s, k, a["feeds"][s][k], b["feeds"][s][k])
    assert 0 < b["feeds"][s]["oracle"]["checked"] < a["feeds"][s]["oracle"]["checked"] and b["feeds"][s]["oracle"]["mismatched"] <= a["feeds"][s]["oracle"]["mismatched"]
PY
    done
else
    echo "SKIP captures: no $SHARED/data/binance"
fi
done_
