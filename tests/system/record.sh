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
check "replay FILE.hwr --help, with no such file" exits 0 "$HWAL" replay FILE.hwr --help
check "is the help of recordings" says "^usage: hwal replay FILE.hwr "
check "an absent recording" exits 1 "$HWAL" replay "$T/absent.hwr"
check "is named" says "absent.hwr: "
check "nothing runs" exits 3 "$HWAL" record --instance $N --out "$T/none.hwr"
check "and no file is left" test ! -e "$T/none.hwr"
head -c 1000 /dev/zero >"$T/zeros"
check "zeros are no recording" exits 1 "$HWAL" record verify "$T/zeros"
check "a pipe is refused" exits 1 "$HWAL" record verify <(:)
check "import: zeros are no capture" exits 1 "$HWAL" record import "$T/zeros" --out "$T/none.hwr"
check "import: no settings" exits 2 "$HWAL" record import "$T/zeros" --instruments "$T/absent" --out "$T/none.hwr"

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
check "thousands" json "d['messages'] > 5000 and d['lost'] == 0 and d['syncs'] >= 2 and d['books_unknown'] == 0"
check "no such folder" exits 1 "$HWAL" record --instance $N --seconds 1 --out "$T/absent/live.hwr"
check "0640" test "$(stat -c %a "$T/live.hwr")" = 640
check "nothing is overwritten" exits 2 "$HWAL" record --instance $N --seconds 1 --out "$T/live.hwr"
check "it says so" says "nothing is overwritten"
check "verify" exits 0 "$HWAL" record verify "$T/live.hwr" --json
check "8 instruments, from md and ev" json "d['ended'] and len(d['instruments']) == 8 and 'md.sim' in d['sources'] and 'ev' in d['sources'] and d['messages']['BOOK_UPDATE'] > 1000"
cp "$T/out" "$T/verify"
check "one instrument, until SIGINT" exits 0 sh -c "'$HWAL' record --instance $N --instrument 1 --out '$T/one.hwr' --quiet >/dev/null & p=\$!; sleep 2; kill -INT \$p; wait \$p"
check "begun in the middle of the feed: the book is not known, and it says so" says "books not known at the end: 1;"
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
nap "${RECORD_STOP_S:-4}"
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
books = {r["message"]["body"]["instrument_id"] for r in loss}
sys.exit(0 if books == set(range(1, 9)) and sum(b - a + 1 for a, b in spans) == lost else 1)
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
want = [(s, b[0], b[1]) for r in j if r["type"] == "BOOK_UPDATE" and not r["refresh"] for s in ("bids", "asks") for b in r["decimals"][s]]
assert [({"BUY": "bids", "SELL": "asks"}[b["side"]], b["px"], b["qty"]) for b in books] == want, "levels"
exp = {i["instrument_id"]: i for i in v["instruments"]}
for r, m in zip([r for r in rows if r["type"] == "TRADE"], [m for m in j if m["type"] == "TRADE"]):
    b, i = m["message"]["body"], exp[int(r["instrument_id"])]
    assert decimal.Decimal(r["px"]) == decimal.Decimal(b["px"]).scaleb(-i["px_exp"]) and decimal.Decimal(r["qty"]) == decimal.Decimal(b["qty"]).scaleb(-i["qty_exp"])
times = [r["ts_ns"] for r in j]
assert times == sorted(times)
PY
for part in "record export --csv" replay; do # shellcheck disable=SC2086
    check "$part: backwards" exits 2 "$HWAL" $part "$T/live.hwr" --from 2024-08-08T12:00:01 --to 2024-08-08T12:00:01
    check "it says so" says "--from is not before --to"
done
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

# single orders: Databento files by import, against what a replay of the files themselves says
if [ -d "$SHARED/data/databento" ]; then
    esh4=$SHARED/data/databento/esh4-glbx-mdp3-202312
    check "orders: import" exits 0 "$HWAL" record import "${esh4}24.mbo.dbn.zst" "${esh4}25.mbo.dbn.zst" --out "$T/es.hwr" --json
    check "orders: every record" json "d['records'] == 77517 and d['faults'] == 0"
    check "orders: replay, checked" exits 0 "$HWAL" replay "$T/es.hwr" --check --strategy none --json
    published="(f['health'], f['bid_levels'], f['ask_levels'], f['best_bid'], f['best_ask'], f['best_bid_qty'], f['best_ask_qty'], f['orders'], f['last_update_id'])
        == ('LIVE', 922, 565, '4810.00', '4810.25', '22', '28', 11217, 59585)"
    check "orders: the published facts" json "(lambda f: $published)(d['feeds']['ESH4'])"
    check "orders: trades, and a second opinion on all messages" json "(lambda f: f['trades'] == 2973 and f['oracle']['mismatched'] == 0 and f['oracle']['checked'] == f['diffs'] + f['snapshots'] > 40000)(d['feeds']['ESH4'])"
    check "orders: room was made, and it is said" says "room for them was made"
    check "orders: from the middle" exits 0 "$HWAL" replay "$T/es.hwr" --from 2023-12-25T23:30:00 --check --strategy none --json
    check "orders: the same in the end" json "(lambda f: $published and 10000 < f['oracle']['checked'] < 40000)(d['feeds']['ESH4'])"
    check "orders: before the opening the book is crossed" exits 0 "$HWAL" replay "$T/es.hwr" --from 2023-12-25T22:50:00 --to 2023-12-25T22:55:00 --check --books-only --json
    check "orders: STALE then, and as it was" json "(lambda f: f['health'] == 'STALE' and f['oracle_mismatched'] == 0 and f['oracle_checked'] > 0)(d['feeds']['ESH4'])"
    printf 'venue:\n  queue: l3\n' >"$T/l3.yaml"
    check "orders: strategies, our exact place" exits 0 "$HWAL" replay "$T/es.hwr" --config "$T/l3.yaml" --check --json
    check "orders: fills" json "d['fills'] > 0 and d['models']['queue'] == 'l3' and d['feeds']['ESH4']['orders'] == 11217"
    printf 'engine:\n  mbo_books: 1\n  mbo_orders: 9000\n' >"$T/small.yaml"
    check "orders: too many of them" exits 1 "$HWAL" replay "$T/es.hwr" --config "$T/small.yaml" --strategy none
    check "orders: the setting is named" says "LIMIT.*engine.mbo_orders"
    check "orders: bars add up" exits 0 "$HWAL" replay "$T/es.hwr" --strategy none --bars time:600s --csv "$T/bars.csv" --json
    check "orders: as many trades" json "d['feeds']['ESH4']['bars']['trades'] == 2973"
    check "orders: rows" test "$(wc -l <"$T/bars.csv")" -gt 3
    head -c 400000 "${esh4}25.mbo.dbn.zst" >"$T/half.dbn.zst"
    check "orders: a cut file" exits 1 "$HWAL" record import "$T/half.dbn.zst" --out "$T/half.hwr"
    check "orders: it is named" says "half.dbn.zst: "
    check "orders: the book is broken there" exits 1 "$HWAL" replay "$T/half.hwr" --strategy none --check --json
    check "orders: LOST, at the end" json "d['feeds']['ESH4']['reason'] == 'LOST' and d['feeds']['ESH4']['oracle']['mismatched'] == 0"
    for schema in trades mbp-10 ohlcv-1d; do
        check "$schema is refused" exits 1 "$HWAL" record import "$SHARED/data/databento/dbn-small/test_data.$schema.dbn" --out "$T/no.hwr"
        check "$schema: by name" says "schema $schema; a recording is made of single orders only"
        check "$schema: no file is left" test ! -e "$T/no.hwr"
    done
    check "orders: files in the wrong order" exits 1 "$HWAL" record import "${esh4}25.mbo.dbn.zst" "${esh4}24.mbo.dbn.zst" --out "$T/no.hwr"
    check "orders: that is said" says "24.mbo.dbn.zst: byte .*wrong order"
    check "orders: and no file is left" test ! -e "$T/no.hwr"
    check "options of captures" exits 2 "$HWAL" record import "${esh4}24.mbo.dbn.zst" --market spot --out "$T/no.hwr"
else
    echo "SKIP single orders: no $SHARED/data/databento"
fi
done_
