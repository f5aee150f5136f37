#!/usr/bin/env bash
# Files of others by command: Databento (orders, trades, levels, bars), Upbit and KRX candles, bars and the quality of trades
# out of captures. By hand, each fault by its words; then recorded files with the facts of their READMEs.
. "$(dirname "$0")/lib.sh"

for c in --dbn --candles; do
    check "replay $c --help" exits 0 "$HWAL" replay $c --help
    check "replay $c --help has examples" says "examples:"
done
check "dbn without a file" exits 2 "$HWAL" replay --dbn
check "dbn absent" exits 1 "$HWAL" replay "$T/absent.dbn"
check "it names the file" says "absent.dbn"
check "dbn unknown option" exits 2 "$HWAL" replay --dbn x --speed 3
check "candles without a file" exits 2 "$HWAL" replay --candles
check "candles absent" exits 1 "$HWAL" replay --candles "$T/absent.json"
check "fold without against" exits 2 "$HWAL" replay --candles x --fold 3
check "fold of nothing" exits 2 "$HWAL" replay --candles x --fold 0 --against y
check "ratio without overlap" exits 2 "$HWAL" replay --candles x --ratio 50
check "two comparisons" exits 2 "$HWAL" replay --candles x --fold 3 --against y --overlap z
check "two files compared" exits 2 "$HWAL" replay --candles x y --overlap z
check "candles: json and csv on stdout" exits 2 "$HWAL" replay --candles x --json --csv -
check "bars: json and csv on stdout" exits 2 "$HWAL" replay x --bars ticks:3 --json --csv -
check "csv without bars" exits 2 "$HWAL" replay x --csv -

# ---- candles by hand ----
krx() { printf '%s\n' date,open,high,low,close,volume "$@" >"$T/k.csv"; }
krx 20240102,10,12,9,11,5 20240103,11,13,8,12,6 20240104,12,12,12,12,0
check "candles" exits 0 "$HWAL" replay --candles "$T/k.csv" --indicators --json
check "candles: what is there" json "(lambda f: (f['kind'], f['candles'], f['seconds'], f['first']['time'], f['last'], f['quality']['bad'], f['indicators']['rsi14']) ==
    ('krx', 3, 86400, '2024-01-02T00:00:00Z', {'time': '2024-01-04T00:00:00Z', 'open': '12', 'high': '12', 'low': '12', 'close': '12', 'volume': '0'}, 0, None))(d['files'][0])"
check "candles with nothing to compare with" exits 0 "$HWAL" replay --candles "$T/k.csv" --check
check "it says so" says "^oracle: none: "
check "no market: no gap in its place" says "k.csv: krx, 3 candles of 86400 s"
check "candles as CSV" exits 0 "$HWAL" replay --candles "$T/k.csv" --csv -
check "candles as CSV: rows" diff - "$T/out" <<'END'
market,begin,open,high,low,close,volume
,2024-01-02T00:00:00Z,10,12,9,11,5
,2024-01-03T00:00:00Z,11,13,8,12,6
,2024-01-04T00:00:00Z,12,12,12,12,0
END
check "unknown is empty" bash -c '"$1" replay --candles "$2" --indicators --csv - 2>/dev/null | tail -n 1 | grep -qE "^,2024-01-04T00:00:00Z,12,12,12,12,0,{16}$"' _ "$HWAL" "$T/k.csv"
quality() { # RULE ROW VALUE LIMIT: exactly this finding; no fault, but with --strict
    check "quality $1" exits 0 "$HWAL" replay --candles "$T/k.csv" --json
    check "quality $1: where and what" json "(lambda q: (q['bad'], q['findings'], q['list'][0]['row'], q['list'][0]['rule'], q['list'][0]['value'], q['list'][0]['limit']) ==
        (1, {'$1': 1}, $2, '$1', $3, $4))(d['files'][0]['quality'])"
    check "quality $1: strict" exits 1 "$HWAL" replay --candles "$T/k.csv" --strict
    check "quality $1: strict says so" says "k.csv: 1 findings of quality, the first $1 at row $2"
}
krx 20240102,10,12,9,11,5 20240103,11,13,8,12,6 20240103,12,12,12,12,1; quality ORDER 3 1704240000 1704240000
krx 20240102,10,12,9,11,5 20240108,11,13,8,12,6; quality GAP 2 518400 432000
krx 20240102,10,12,9,11,5 20240103,11,13,12,12,6; quality LOW 2 12 11
krx 20240102,10,12,9,11,5 20240103,11,11.5,8,12,6; quality HIGH 2 11.5 12
krx 20240102,10,12,9,11,5 20240103,11,13,0,12,6; quality PX 2 0 0
krx 20240102,10,12,9,11,5 20240103,11,13,8,12,-6; quality QTY 2 -6 0
krx 20240102,10,12,9,10,5 20240103,10,15,8,15,6; quality CHANGE 2 0.5 0.5
krx 20240102,1,2,1,2,x; check "candles garbled" exits 1 "$HWAL" replay --candles "$T/k.csv"
check "candles garbled: where" says 'k.csv line 2: volume: "x"'
: >"$T/empty.csv"; check "candles empty" exits 1 "$HWAL" replay --candles "$T/empty.csv" --json
check "candles empty: says so" json "d['files'] == [] and 'empty.csv: no row' in d['errors'][0]"
krx 20240102,10,12,9,11,5; cp "$T/k.csv" "$T/good.csv"; krx 20240102,10
check "one bad file of two" exits 1 "$HWAL" replay --candles "$T/k.csv" "$T/good.csv" --json
check "the other is read" json "len(d['files']) == 1 and d['files'][0]['file'].endswith('good.csv') and 'k.csv line 2' in d['errors'][0]"
krx 20240102,10,10,10,500,1 20240103,10,10,10,550,1; cp "$T/k.csv" "$T/old.csv"
krx 20240103,1,1,1,11,1 20240104,1,1,1,12,1; cp "$T/k.csv" "$T/new.csv"
check "overlap" exits 0 "$HWAL" replay --candles "$T/old.csv" --overlap "$T/new.csv" --ratio 50 --json
check "overlap: one day" json "d['oracle'] == {'kind': 'overlap', 'checked': 1, 'mismatched': 0}"
check "another ratio" exits 1 "$HWAL" replay --candles "$T/old.csv" --overlap "$T/new.csv" --ratio 49
check "another ratio: says so" says "old.csv: candle 2 of 2024-01-03T00:00:00Z: close 550.00000000 is not 49 times 11.00000000 of .*new.csv"
krx 20250103,1,1,1,11,1
check "no day in common" exits 1 "$HWAL" replay --candles "$T/old.csv" --overlap "$T/k.csv"
check "no day in common: says so" says "have no candle in common"
upbit() { # UNIT ROW...: newest first; a row is MINUTE:OPEN:HIGH:LOW:CLOSE:VOLUME
    python3 -c 'import json,sys
print(json.dumps([{"market": "KRW-X", "candle_date_time_utc": f"2024-01-02T03:{int(m):02}:00", "opening_price": float(o), "high_price": float(h), "low_price": float(l),
 "trade_price": float(c), "candle_acc_trade_price": float(v) * 100, "candle_acc_trade_volume": float(v), "unit": int(sys.argv[1])} for m, o, h, l, c, v in (r.split(":") for r in sys.argv[2:])]))' "$@"
}
upbit 1 03:7:8:7:8:1 02:6:7:5:7:1 01:5:9:5:6:2 00:4:5:3:5:3.5 >"$T/1.json"
upbit 2 02:6:8:5:8:2 00:4:9:3:6:5.5 >"$T/2.json"
fold() { check "$1" exits "$2" "$HWAL" replay --candles "$T/1.json" --fold 2 --against "$T/2.json" --json; }
fold "fold" 0
check "fold: all" json "d['oracle'] == {'kind': 'fold', 'checked': 2, 'mismatched': 0} and d['files'][0]['market'] == 'KRW-X'"
for edit in 02:6:8:5:8.1:2 02:6.5:8:5:8:2 02:6:8.5:5:8:2 02:6:8:4:8:2 02:6:8:5:8:2.000001; do
    upbit 2 $edit 00:4:9:3:6:5.5 >"$T/2.json"
    fold "fold differs ($edit)" 1
    check "fold differs ($edit): says so" says "2.json: candle 1 of 2024-01-02T03:02:00Z: differs from those folded of"
done
upbit 2 06:6:8:5:8:2 00:4:9:3:6:5.5 >"$T/2.json"
fold "fold lacks one" 1
check "fold lacks one: says so" says "2.json: candle 1 of 2024-01-02T03:06:00Z: is not among those folded of"

# ---- DBN by hand ----
cat >"$T/dbn.py" <<'END'
import struct, sys
def file(schema, records, version=2):
    fixed = struct.pack("<16sHQQQBBBH", b"TEST.SET", schema, 1, 2, 0, 1, 0, 0, 71).ljust(100, b"\0")
    meta = fixed + struct.pack("<IIIII", 0, 0, 0, 0, 0)
    return b"DBN" + bytes([version]) + struct.pack("<I", len(meta)) + meta + b"".join(records)
def head(rtype, body, ts=1000, instrument=7, publisher=1):
    return struct.pack("<BBHIQ", (16 + len(body)) // 4, rtype, publisher, instrument, ts) + body
def mbo(action, side, order, px, qty, flags=128, ts=1000, seq=5, publisher=1):
    return head(0xA0, struct.pack("<QqIBBccQiI", order, px * 10**9, qty, flags, 0, action.encode(), side.encode(), ts, 0, seq), ts, 7, publisher)
def mbp(levels, action="A"):
    return head(1 if len(levels) == 1 else 10, struct.pack("<qIccBBQiI", 10**9, 1, action.encode(), b"B", 128, 0, 1000, 0, 5) + b"".join(struct.pack("<qqIIII", b, a, bq, aq, 1, 1) for b, bq, a, aq in levels))
def trade(px, ts=1000):
    return head(0, struct.pack("<qIccBBQiI", px * 10**9, 1, b"T", b"B", 128, 0, ts, 0, 5), ts)
def ohlcv(o, h, l, c, ts):
    return head(0x21, struct.pack("<qqqqQ", *(x * 10**9 for x in (o, h, l, c)), 9), ts)
NONE = 2**63 - 1
ten = [(100 - i, 5, 101 + i, 5) for i in range(8)] + [(NONE, 0, NONE, 0)] * 2
def swap(i, level): return ten[:i] + [level] + ten[i + 1:]
book = [mbo("R", "N", 0, 0, 0), mbo("A", "B", 1, 100, 5), mbo("A", "B", 2, 99, 6), mbo("A", "A", 3, 101, 7)]
files = {
    "book": file(0, book + [mbo("C", "B", 1, 100, 2), mbo("M", "A", 3, 102, 9), mbo("T", "B", 0, 101, 1), mbo("F", "A", 3, 102, 1)]),
    "again": file(0, [mbo("C", "B", 2, 99, 6, seq=9)]),
    "unknown": file(0, book + [mbo("C", "B", 9, 100, 2), mbo("A", "B", 4, 100, 5)]),
    "unmodified": file(0, book + [mbo("M", "B", 9, 100, 2)]),
    "over": file(0, book + [mbo("C", "B", 1, 100, 6)]),
    "healed": file(0, book + [mbo("C", "B", 9, 100, 2), mbo("A", "B", 4, 100, 5)] + book),
    "again-from-snapshot": file(0, book + [mbo("C", "B", 9, 100, 2), mbo("A", "B", 5, 98, 1, 40), mbo("A", "A", 6, 103, 2, 168), mbo("C", "A", 6, 103, 1)]),
    "early": file(0, [mbo("A", "B", 1, 100, 5), mbo("T", "B", 0, 1, 1)] + book[:2]),
    "crossed": file(0, book + [mbo("A", "B", 8, 101, 1)]),
    "twin": file(0, book + [mbo("R", "N", 0, 0, 0, publisher=2)]),
    "many": file(0, book[:1] + [mbo("A", "BA"[i % 2], i + 1, (1 + i if i % 2 == 0 else 20000 - i), 1 + i % 7) for i in range(5000)]),
    "deep": file(0, book[:1] + [mbo("A", "BA"[i % 2], i + 1, (100 + i % 10 if i % 2 == 0 else 200 + i % 10), 1) for i in range(3000)]),
    "action": file(0, book + [mbo("X", "B", 8, 101, 1)]),
    "schema": file(4, book),
    "length": file(0, book + [b"\x03" + book[0][1:]]),
    "mbp": file(2, [mbp(ten)]),
    "unsorted": file(2, [mbp(swap(3, (99 - 1, 5, 104, 5)))]),
    "hole": file(2, [mbp(swap(4, (NONE, 0, 105, 5)))]),
    "noqty": file(2, [mbp(swap(2, (98, 5, 103, 0)))]),
    "locked": file(1, [mbp([(101, 5, 101, 5)])]),
    "trades": file(4, [trade(100), trade(151, 2000), trade(150, 1500), trade(150, 1500 + 301 * 10**9), trade(-1, 1500 + 301 * 10**9)]),
    "ohlcv": file(6, [ohlcv(10, 12, 9, 11, 60), ohlcv(10, 12, 11, 11, 120), ohlcv(30, 30, 30, 30, 120)]),
    "version": file(0, book, 4),
}
for name, data in files.items():
    open(f"{sys.argv[1]}/{name}.dbn", "wb").write(data)
full = files["book"]
open(f"{sys.argv[1]}/cut.dbn", "wb").write(full[:-3])
open(f"{sys.argv[1]}/headless.dbn", "wb").write(full[:60])
open(f"{sys.argv[1]}/empty.dbn", "wb").write(b"")
open(f"{sys.argv[1]}/noise.dbn", "wb").write(b"not a dbn file at all")
open(f"{sys.argv[1]}/badzstd.dbn.zst", "wb").write(b"\x28\xb5\x2f\xfd" + bytes(range(200)))
for i in range(0, len(full), 7): # every seventh byte garbled: an answer, whatever it is
    open(f"{sys.argv[1]}/flip{i}.dbn", "wb").write(full[:i] + bytes([full[i] ^ 0x41]) + full[i + 1:])
END
python3 "$T/dbn.py" "$T" || fail "no DBN files"
dbn() { # EXIT FILE WHAT-IT-SAYS [EXPECT]
    check "dbn $2" exits "$1" "$HWAL" replay "$T/$2" --check --json
    check "dbn $2: says so" says "$3"
    check "dbn $2: is JSON with a sentence for each fault" json "(len(d['errors']) > 0) == ($1 == 1)"
}
one() { json "(lambda i: $1)(d['instruments']['7'])"; }
dbn 0 book.dbn '"mismatched": 0'
check "book: what is left" one "(i['best_bid'], i['best_bid_qty'], i['best_ask'], i['best_ask_qty'], i['bid_levels'], i['ask_levels'], i['orders'], i['bid_qty'], i['ask_qty'], i['health'], i['trades'])
    == ('100.00', 3, '102.00', 9, 2, 1, 3, 9, 9, 'LIVE', 1)"
check "book: records" json "(d['records'], d['by_type'], d['by_action'], d['oracle']['checked'], d['oracle']['whole_books']) == (8, {'mbo': 8}, {'add': 3, 'cancel': 1, 'modify': 1, 'clear': 1, 'trade': 1, 'fill': 1}, 8, 1)"
check "two files go on" exits 0 "$HWAL" replay "$T/book.dbn" "$T/again.dbn" --check --expect bid_levels=1,last_sequence=9,records=9,best_bid=100,by_type.mbo=9,instruments.7.orders=2
printf '# facts\n  bid_levels=2 # levels\n\nbest_bid_qty=3\n' >"$T/facts"
check "expected by file" exits 0 "$HWAL" replay "$T/book.dbn" --expect "$T/facts" --json
check "expected by file: both" json "d['oracle']['expected'] == 2 and d['oracle']['checked'] == 0"
check "expected otherwise" exits 1 "$HWAL" replay "$T/book.dbn" --expect best_bid=100.01
check "expected otherwise: says so" says "expected best_bid=100.01: it is 100.00"
check "expected what is not there" exits 1 "$HWAL" replay "$T/trades.dbn" --expect bid_levels=3
check "expected what is not there: says so" says "expected bid_levels=3: there is no bid_levels"
check "expected nonsense" exits 2 "$HWAL" replay "$T/book.dbn" --expect "$T/absent"
echo nonsense >"$T/facts"; check "expected nonsense in a file" exits 2 "$HWAL" replay "$T/book.dbn" --expect "$T/facts"
check "it names the line" says "facts line 1: .nonsense. is not KEY=VALUE"
dbn 1 unknown.dbn "unknown.dbn: byte 352: instrument 7: .*order 9"
check "unknown: counted, and no book trusted" json "d['oracle']['unknown_orders'] == 1 and d['instruments']['7']['health'] == 'BROKEN' and d['instruments']['7']['unapplied'] == 1"
dbn 1 unmodified.dbn "order 9"
dbn 1 over.dbn "order 1"
check "over: counted" json "d['oracle']['over_cancels'] == 1 and d['oracle']['mismatched'] == 1"
dbn 1 healed.dbn "order 9"
check "healed by the clear" one "(i['health'], i['orders'], i['bid_levels'], i['unapplied']) == ('LIVE', 3, 2, 1)"
check "healed: one difference" json "d['oracle']['mismatched'] == 1"
dbn 1 again-from-snapshot.dbn "order 9"
check "healed by a snapshot: nothing of before is left, and no second difference" json "d['oracle']['mismatched'] == 1 and (lambda i: (i['health'], i['orders'], i['best_bid'], i['best_ask_qty']) == ('LIVE', 2, '98.00', 1))(d['instruments']['7'])"
dbn 0 early.dbn "1 order records stand before a clear"
check "early: the book begins with the clear" one "(i['health'], i['orders']) == ('LIVE', 1)"
dbn 0 crossed.dbn '"crossed_events": 1'
dbn 0 twin.dbn '"7@2"'
dbn 0 many.dbn '"orders": 5000'
check "many: the book grew and is whole" one "(i['bid_levels'], i['ask_levels'], i['health'], i['best_bid'], i['best_ask']) == (2500, 2500, 'LIVE', '4999.00', '15001.00')"
dbn 0 deep.dbn '"orders": 3000'
check "deep: the book grew and is whole" one "(i['bid_levels'], i['ask_levels'], i['bid_qty'], i['ask_qty'], i['health']) == (5, 5, 1500, 1500, 'LIVE')"
dbn 1 action.dbn "byte 352: action 0x58"
dbn 1 schema.dbn "type mbo \(0xa0\) in a file of schema trades"
dbn 1 length.dbn "byte 352: length of a record 12"
dbn 0 mbp.dbn '"mbp-10": 1'
dbn 1 unsorted.dbn "bid level 4 at 98 is not worse than the level before"
dbn 1 hole.dbn "bid level 6 at 95 is behind an empty level"
dbn 1 noqty.dbn "ask level 3 at 103 is without a quantity"
dbn 0 locked.dbn '"crossed_events": 1'
dbn 0 trades.dbn '"quality"'
check "trades: findings" one "i['quality'] == {'trades': 5, 'bad': 4, 'findings': {'ORDER': 1, 'GAP': 1, 'PX': 1, 'CHANGE': 2}}"
dbn 0 ohlcv.dbn '"quality"'
check "ohlcv: findings" one "i['quality'] == {'bars': 3, 'bad': 2, 'findings': {'ORDER': 1, 'LOW': 1, 'CHANGE': 1}}"
dbn 1 version.dbn "version 4"
dbn 1 cut.dbn "cut.dbn: byte 520: a record has 53 of 56 bytes"
check "cut: no book trusted" one "(i['health'], i['reason']) == ('BROKEN', 'LOST')"
dbn 1 headless.dbn "metadata has"
dbn 1 empty.dbn "empty.dbn"
dbn 1 noise.dbn "neither DBN nor zstd"
dbn 1 badzstd.dbn.zst "badzstd.dbn.zst: "
check "text" exits 0 "$HWAL" replay "$T/trades.dbn" --check
check "text: quality" says "quality: 4 of 5 trades break a rule: ORDER 1 GAP 1 PX 1 CHANGE 2"
for f in "$T"/flip*.dbn; do
    timeout 20 "$HWAL" replay "$f" --check --json >"$T/out" 2>"$T/err"
    rc=$?
    checks=$((checks + 1)); [ $rc -le 1 ] || fail "$(basename "$f"): exit $rc: $(tail -n 2 "$T/err")"
done

if [ ! -d "$SHARED/data" ]; then
    echo "SKIP recorded files: no $SHARED/data (set HWAL_SHARED)"
    done_ && exit 77
    exit 1
fi

# ---- recorded files: facts of their READMEs ----
b=$SHARED/data/databento esh4=$SHARED/data/databento/esh4-glbx-mdp3-202312
last=bid_levels=922,ask_levels=565,best_bid=4810.00,best_ask=4810.25,last_sequence=59585,last_ts_recv_ns=1703548799446821072,orders=11217
last=$last,best_bid_qty=22,best_ask_qty=28,bid_qty=22050,ask_qty=20110,crossed_events=891,health=LIVE,symbol=ESH4
check "ESH4, first day" exits 0 "$HWAL" replay "${esh4}24.mbo.dbn.zst" --check --json \
    --expect records=8725,by_action.add=8725,bid_levels=892,ask_levels=559,best_bid=4799.00,best_bid_qty=16,best_ask=4799.50,best_ask_qty=23,health=LIVE
check "ESH4, first day: a snapshot, all but the last record flagged" json "(d['oracle']['mismatched'], d['oracle']['checked'], d['oracle']['expected']) == (0, 8725, 9)"
check "ESH4, second day" exits 0 "$HWAL" replay "${esh4}25.mbo.dbn.zst" --check --json --expect $last \
    --expect records=68792,by_action.add=29216,by_action.cancel=17999,by_action.modify=12233,by_action.trade=2973,by_action.fill=6371
esh4_facts() { json "(lambda o: (o['checked'], o['mismatched'], o['unknown_orders'], o['over_cancels'], d['errors']) == ($1, 0, 0, 0, []))(d['oracle'])"; }
check "ESH4, second day: facts" esh4_facts 68792
check "ESH4, both days" exits 0 "$HWAL" replay "${esh4}24.mbo.dbn.zst" "${esh4}25.mbo.dbn.zst" --check --json --expect $last,records=77517
check "ESH4, both days: facts" esh4_facts 77517
check "ESH4, both days: without trades" json "d['records'] - d['by_action']['trade'] == 74544"
check "ESH4, the second day first" exits 1 "$HWAL" replay "${esh4}25.mbo.dbn.zst" "${esh4}24.mbo.dbn.zst" --json
check "it names the file and the times" json "len(d['errors']) == 1 and '24.mbo.dbn.zst: instrument 17077: received at 17' in d['errors'][0] and 'wrong order' in d['errors'][0]"
check "ESH4, a day twice" exits 1 "$HWAL" replay "${esh4}25.mbo.dbn.zst" "${esh4}25.mbo.dbn.zst" --check
head -c 400000 "${esh4}25.mbo.dbn.zst" >"$T/half.dbn.zst"
check "ESH4 cut" exits 1 "$HWAL" replay "$T/half.dbn.zst" --check
check "ESH4 cut: says so" says "half.dbn.zst: "
schemas=0
for f in "$b"/dbn-small/test_data.*; do
    name=$(basename "$f"); schema=${name#test_data.}; schema=${schema%%.*}
    check "$name" exits 0 "$HWAL" replay "$f" --check --json
    want=2; case $schema in bbo-1m | bbo-1s | status) want=4 ;; ohlcv-1d) want=0 ;; esac
    check "$name: records and no difference" json "(d['records'], d['oracle']['mismatched'], d['files'][0]['schema']) == ($want, 0, '$schema')"
    hash=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["files"][0]["content_hash"])' "$T/out")
    [ "$schema" = "${before:-}" ] || { before=$schema first=$hash schemas=$((schemas + 1)); }
    checks=$((checks + 1)); [ "$hash" = "$first" ] || fail "$name: content $hash, other versions $first"
done
check "all schemas" test $schemas = 17

u=$SHARED/data/upbit
check "Upbit" exits 0 "$HWAL" replay --candles "$u"/upbit_1m_*.json --fold 3 --against "$u"/upbit_3m_*.json --check --json --strict
check "Upbit facts" json "((d['oracle'], d['files'][0]['candles'], d['files'][0]['market'], d['files'][0]['seconds'], d['files'][0]['first']['time'], d['files'][0]['last']['time']) ==
    ({'kind': 'fold', 'checked': 60, 'mismatched': 0}, 200, 'KRW-BTC', 60, '2020-02-20T08:00:00Z', '2020-02-20T11:19:00Z'))"
k=$SHARED/data/krx
check "KRX" exits 0 "$HWAL" replay --candles "$k"/005930_daily_1985_2018.csv.gz "$k"/005930_daily_2018_2021.csv.gz "$k"/015760_daily_1989_2018.csv.gz --check --json
check "KRX facts" json "([(f['candles'], f['first']['time'][:10], f['first']['close'], f['last']['time'][:10], f['last']['close']) for f in d['files']] ==
    [(8826, '1985-01-04', '6473', '2018-02-14', '2450000'), (986, '2018-01-02', '51020', '2021-12-30', '78300'), (7463, '1989-08-10', '23223', '2018-01-25', '35550')]
    and d['files'][0]['last']['volume'] == '378118' and all(set(f['quality']['findings']) <= {'GAP', 'Z'} for f in d['files']))"
check "KRX split" exits 0 "$HWAL" replay --candles "$k"/005930_daily_1985_2018.csv.gz --overlap "$k"/005930_daily_2018_2021.csv.gz --ratio 50 --check --json
check "KRX split: 32 days" json "d['oracle'] == {'kind': 'overlap', 'checked': 32, 'mismatched': 0}"
check "KRX split: no other ratio" exits 1 "$HWAL" replay --candles "$k"/005930_daily_1985_2018.csv.gz --overlap "$k"/005930_daily_2018_2021.csv.gz
zcat "$k"/005930_daily_2018_2021.csv.gz >"$T/plain.csv"
check "KRX plain" exits 0 "$HWAL" replay --candles "$T/plain.csv" --indicators --csv "$T/series.csv"
check "KRX indicators, computed otherwise" python3 - "$T/plain.csv" "$T/series.csv" <<'END'
import csv, sys
rows, ours = list(csv.DictReader(open(sys.argv[1]))), list(csv.DictReader(open(sys.argv[2])))
close = [float(r["close"]) for r in rows]
assert len(ours) == len(rows) == 986
for i, o in enumerate(ours):
    assert float(o["close"]) == close[i] and float(o["volume"]) == float(rows[i]["volume"])
    for n in (20, 50, 200):
        assert (o[f"sma{n}"] == "") == (i + 1 < n)
        assert i + 1 < n or abs(float(o[f"sma{n}"]) - sum(close[i + 1 - n:i + 1]) / n) < 1e-4
    change = [b - a for a, b in zip(close[:i + 1], close[1:i + 1])]
    gain = loss = 0.0
    for k, c in enumerate(change):
        gain, loss = (gain + max(c, 0) / 14, loss + max(-c, 0) / 14) if k < 14 else ((gain * 13 + max(c, 0)) / 14, (loss * 13 + max(-c, 0)) / 14)
    assert (o["rsi14"] == "") == (i < 14)
    assert i < 14 or abs(float(o["rsi14"]) - 100 * gain / (gain + loss)) < 1e-6
END

# ---- bars and the quality of trades out of captures ----
c=$SHARED/data/binance
usdm=$c/usdm_btcusdt_20240808.gz
check "bars of a capture" exits 0 "$HWAL" replay "$usdm" --bars time:60s --csv "$T/bars.csv" --strategy none --json
check "bars: all trades" json "(lambda b: (b['count'], b['trades'], b['late'], b['refused']) == (6, 21313, 0, 0))(d['feeds']['BTCUSDT']['bars']) and 'quality' not in d['feeds']['BTCUSDT']"
cat >"$T/bars.py" <<'END'
import csv, gzip, json, sys
from decimal import Decimal as D
kind, size, path, *captures = sys.argv[1:]
size, want = D(size), []
for capture in captures: # the files continue each other
    for line in gzip.open(capture, "rt"):
        if '@trade"' not in line:
            continue
        t = json.loads(line.split(" ", 1)[1])["data"]
        if t.get("X", "MARKET") != "MARKET":
            continue
        px, qty, ms = D(t["p"]), D(t["q"]), t["T"]
        key = ms // (int(size) * 1000) if kind == "time" else None
        full = want and {"time": want[-1]["key"] != key, "ticks": want[-1]["n"] >= size, "volume": want[-1]["qty"] >= size, "value": want[-1]["value"] >= size}[kind]
        if not want or full:
            want.append({"key": key, "open": px, "high": px, "low": px, "qty": D(0), "value": D(0), "n": 0})
        b = want[-1]
        b.update(high=max(b["high"], px), low=min(b["low"], px), close=px, qty=b["qty"] + qty, value=b["value"] + px * qty, n=b["n"] + 1)
have = list(csv.DictReader(open(path)))
assert len(have) == len(want) > 3, (len(have), len(want))
for h, w in zip(have, want):
    assert [D(h[k]) for k in ("open", "high", "low", "close", "volume", "value", "trades")] == [w["open"], w["high"], w["low"], w["close"], w["qty"], w["value"], w["n"]], (h, w)
END
check "bars: as another program makes them" python3 "$T/bars.py" time 60 "$T/bars.csv" "$usdm"
for rule in ticks:1000 volume:10 value:1000000; do
    check "bars $rule" exits 0 "$HWAL" replay "$c"/spot_btcusdt_20240808.gz "$c"/spot_btcusdt_20240809.gz --bars $rule --csv "$T/bars.csv" --strategy none
    check "bars $rule: as another program makes them" python3 "$T/bars.py" ${rule%:*} ${rule#*:} "$T/bars.csv" "$c"/spot_btcusdt_2024080[89].gz
done
check "bars on stdout" exits 0 "$HWAL" replay "$usdm" --bars time:5m --csv - --strategy none
check "bars on stdout: nothing else" bash -c '[ "$(wc -l <"$1")" = 3 ]' _ "$T/out"
for rule in time:1x ticks:0 value:x volume:0.0001 hours:1; do
    check "bars $rule" exits 2 "$HWAL" replay "$usdm" --bars $rule
    check "bars $rule: it shows the text" says "$rule"
done
check "bars nowhere" exits 1 "$HWAL" replay "$usdm" --bars time:60s --csv "$T/no/where" --strategy none
check "bars nowhere: says so" says "no/where"
zcat "$c"/usdm_ethusdt_20240808.gz | head -n 20000 | awk '/@trade/ { n++; if (n == 500) sub(/"p":"[0-9.]*"/, "\"p\":\"1.00\""); if (n == 600) sub(/"T":[0-9]*/, "\"T\":1723160000000") } { print }' >"$T/odd"
check "odd trades" exits 0 "$HWAL" replay "$T/odd" --strategy none --json
check "odd trades: counted" json "d['feeds']['ETHUSDT']['quality']['bad'] == 4 and d['feeds']['ETHUSDT']['quality']['findings'] == {'ORDER': 1, 'GAP': 1, 'CHANGE': 2}"
check "odd trades: as text" exits 0 "$HWAL" replay "$T/odd" --strategy none
check "odd trades: as text, says so" says "quality: 4 of [0-9]+ trades break a rule: ORDER 1 GAP 1 CHANGE 2"
for day in spot_btcusdt_20240809 cm_btcusd_perp_20240809; do # the second day of two has no snapshot of its own
    check "$day alone" exits 1 "$HWAL" replay "$c/$day.gz" --check
    check "$day alone: says so" says "no snapshot in the capture"
done
check "Hyperliquid is refused" exits 1 "$HWAL" replay "$c/hyperliquid_btc_20250126.gz" --check
check "Hyperliquid: says why" says 'line 1: no Binance combined-stream capture: the first key is "channel"'
done_
