#!/usr/bin/env bash
# What a user sees, from the command line: the generated market, recorded captures with their published facts, broken
# captures, configuration errors, and the same hashes from two runs and two compilers.
. "$(dirname "$0")/lib.sh"
CLANG=$ROOT/build/clang/hwal

# ---- commands and their exit codes ----
check "help" exits 0 "$HWAL" --help
check "version" exits 0 "$HWAL" --version
check "no command" exits 2 "$HWAL"
check "unknown command" exits 2 "$HWAL" nonsense
for c in run replay config bench journal status tail books orders positions feeds lat metrics top kill segments postmortem doctor; do
    check "$c --help" exits 0 "$HWAL" $c --help
    check "$c --help has examples" says "examples:|hwal $c"
done
check "replay without a file" exits 2 "$HWAL" replay
check "replay of nothing" exits 1 "$HWAL" replay "$T/absent.gz"
check "it names the file" says "absent.gz"
check "bad speed" exits 2 "$HWAL" replay x --speed -1
check "bad market" exits 2 "$HWAL" replay x --market foo
check "unknown option" exits 2 "$HWAL" run --sseconds 3
check "it names the option" says "sseconds"
check "a folder is no capture" exits 1 "$HWAL" replay "$T"
check "settings of a strategy" exits 0 "$HWAL" run --strategy market_maker:help
check "on stdout" grep -q notional "$T/out"

# ---- configuration ----
check "shipped configuration" exits 0 "$HWAL" config check
printf 'instance: x\nmarket:\n  seed: 1\n  tempo: 3\n' >"$T/unknown.yaml"
check "unknown key" exits 1 "$HWAL" config check "$T/unknown.yaml"
check "it names file and key" says "unknown.yaml.*tempo"
check "it names the line" says "line: 4|line 4"
printf 'market: { rate: -1 }\n' >"$T/range.yaml"
check "out of range" exits 1 "$HWAL" config check "$T/range.yaml"
check "it names key and limits" says "market.rate is -1, allowed are 0 to"
printf 'accounts:\n  - { currency: USDT, initial: "1e" }\n' >"$T/decimal.yaml"
check "bad decimal" exits 1 "$HWAL" config check "$T/decimal.yaml"
check "it shows the text" says '"1e"'
printf 'instruments:\n  - { venue: binance, market: spot, symbol: X, settle: USDT, px_exp: 2, qty_exp: 8, tick: "0.001", lot: "1" }\n' >"$T/i.yaml"
check "tick finer than scale" exits 1 "$HWAL" config check "$T/i.yaml"
check "it names symbol and field" says "X: tick \"0.001\""
check "environment" exits 1 env HWAL_MARKET_RATE=fast "$HWAL" config show
check "it names the variable" says "HWAL_MARKET_RATE"
check "environment counts" exits 0 env HWAL_MARKET_RATE=777 "$HWAL" config show
check "it shows the value" says "rate: 777"
check "strategy without a name" exits 2 "$HWAL" run --strategy nonsense
check "it lists the names" says "market_maker, sma_cross"

# ---- the generated market: does something, and the same twice and with both compilers ----
check "generated" exits 0 "$HWAL" replay --generate --config configs/demo.yaml --seconds 5 --json
check "trades" json "d['orders'] > 0 and d['fills'] > 0 and all(f['health'] == 'LIVE' for f in d['feeds'].values())"
cp "$T/out" "$T/first"
same() { python3 -c 'import json,sys; a,b=(json.load(open(f)) for f in sys.argv[1:3]); sys.exit(any(a[k]!=b[k] for k in ("state_hash","output_hash","orders","fills","pnl")))' "$T/first" "$T/out"; }
check "again" exits 0 "$HWAL" replay --generate --config configs/demo.yaml --seconds 5 --json
check "same hashes" same
if [ -x "$CLANG" ]; then
    check "clang build" exits 0 "$CLANG" replay --generate --config configs/demo.yaml --seconds 5 --json
    check "same hashes from clang" same
else
    fail "no clang build at $CLANG"
fi
check "another seed" exits 0 "$HWAL" replay --generate --config configs/demo.yaml --seconds 5 --json --seed 43
checks=$((checks + 1)); same && fail "another seed gives the same hashes"
check "slow venue ends all the same" exits 0 env HWAL_VENUE_PLACE_US=3000000 HWAL_VENUE_REPORT_US=2000000 "$HWAL" replay --generate --seconds 2
check "text summary" exits 0 "$HWAL" replay --generate --seconds 1
check "no colour in a pipe" bash -c '! grep -q $'"'\\e'"' "$1"' _ "$T/out"

# ---- LOBSTER: order messages against the venue's own book, by hand and on the samples ----
printf '%s\n' 34200,1,1,10,1000000,1 34201,1,2,7,1000100,-1 34202,4,2,7,1000100,-1 34203,2,1,4,1000000,1 34204,5,0,3,1000050,1 34205,3,1,6,1000000,1 >"$T/m"
printf '%s\n' 1000200,5,1000000,10,1000400,5,999900,5 1000100,7,1000000,10,1000200,5,999900,5 1000200,5,1000000,10,1000400,9,999900,5 \
    1000200,5,1000000,6,1000400,9,999900,5 1000200,5,1000000,6,1000400,9,999900,5 1000200,5,999900,5,1000400,9,999000,2 >"$T/b"
lobster() { # EXIT WHAT MESSAGES-EDIT BOOK-EDIT WHAT-IT-SAYS: sed scripts make the fault
    sed "$3" "$T/m" >"$T/m.csv"; sed "$4" "$T/b" >"$T/b.csv"
    check "lobster: $2" exits "$1" "$HWAL" replay --lobster "$T/m.csv" --book "$T/b.csv" --check
    check "lobster: $2: it says so" says "$5"
}
lobster 0 "window of two" "" "" "6 rows checked, 0 differ, 2 adopted, 0 ignored"
lobster 1 "another size" "" "5s/6,1000400/5,1000400/" "b.csv: line 5: bid level 1: our book has 6 at 100.0000, the file 5 at 100.0000"
lobster 1 "a level inside" "" "6s/999900,5/999950,1/;6s/999000,2/999900,5/" "b.csv: line 6: bid level 1: our book has 5 at 99.9900, the file 1 at 99.9950"
lobster 1 "a level that nothing made room for" "" "5s/1000400,9/1000300,1/" "b.csv: line 5: ask level 2: our book has nothing, the file 1 at 100.0300"
lobster 1 "a level that stays" "" "6s/999900,5/1000000,6/;6s/999000,2/999900,5/" "b.csv: line 6: bid level 1: our book has 5 at 99.9900, the file 6 at 100.0000"
lobster 1 "takes too much" "6s/,6,/,7,/" "" "m.csv: line 6: takes 7 at 100.0000, which our book does not have"
lobster 0 "a side that ends in view" "" "6s/999000,2/-9999999999,0/" "6 rows checked, 0 differ, 1 adopted, 0 ignored"
lobster 0 "a side that is empty" '$a34206,3,9,5,999900,1' '6s/999000,2/-9999999999,0/;$a1000200,5,-9999999999,0,1000400,9,-9999999999,0' "7 rows checked, 0 differ, 1 adopted, 0 ignored"
lobster 1 "off the cent grid" "2s/1000100/1000150/" "" "m.csv: line 2: "
lobster 1 "no row left" "" "6d" "m.csv: line 6: no row is left"
lobster 1 "no message left" "6d" "" "b.csv: line 6: no message is left"
lobster 1 "no message at all" "d" "d" "m.csv: has no message"
lobster 1 "garbled message" "3s/1000100/x/" "" "m.csv: line 3: price .x. is no whole number"
lobster 1 "garbled row" "" "3s/1000200/x/" "b.csv: line 3: ask price of level 1 .x. is no whole number"
check "lobster without a book" exits 2 "$HWAL" replay --lobster "$T/m"
check "lobster with a capture" exits 2 "$HWAL" replay --lobster "$T/m" --book "$T/b" x.gz
check "lobster help" exits 0 "$HWAL" replay --lobster --help
check "lobster help has examples" says "examples:"
l=$SHARED/data/lobster
if [ -d "$l" ]; then
    oracle() { json "(lambda o: (o['checked'], o['mismatched'], o['adopted'], o['first_mismatch_line'], len(d['errors'])) == ($1, $2, $3, $4, $2))(d['oracle'])"; }
    aapl=$l/AAPL_2012-06-21 amzn=$l/AMZN_2012-06-21_34200000_57600000
    check "AMZN" exits 0 "$HWAL" replay --lobster "${amzn}_message_1.csv.gz" --book "${amzn}_orderbook_1.csv.gz" --check --json
    check "AMZN facts" oracle 57515 0 13953 0
    check "AAPL" exits 0 "$HWAL" replay --lobster "${aapl}_first999_message_10.csv.gz" --book "${aapl}_first999_orderbook_10.csv.gz" --check --json
    check "AAPL facts" oracle 999 0 318 0
    # one order that was deleted out of view left no message: 15,999 states, and no further
    check "AAPL hour" exits 1 "$HWAL" replay --lobster "${aapl}_34200000_37800000_message_50.csv.gz" --book "${aapl}_34200000_57600000_orderbook_1.csv.gz" \
        --start "${aapl}_first999_orderbook_10.csv.gz" --check --json
    check "AAPL hour facts" oracle 16000 1 0 54607
    check "AAPL hour: where to resynchronise" says "line 54607: after 15999 equal states our book has .* resynchronise there"
else
    echo "SKIP LOBSTER samples: no $l (set HWAL_SHARED)"
fi

if [ ! -d "$SHARED/data/binance" ]; then
    echo "SKIP captures: no $SHARED/data/binance (set HWAL_SHARED)"
    done_
    exit
fi

# ---- recorded captures: facts of their README ----
d=$SHARED/data/binance
facts() { # SYMBOL dropped applied trades id bid ask bids asks mismatched
    json "(lambda f: (f['diffs_dropped'], f['diffs_applied'], f['gaps'], f['trades'], f['trade_gaps'], f['last_update_id'], f['best_bid'], f['best_ask'],
        f['bid_levels'], f['ask_levels'], f['oracle']['mismatched'], f['oracle']['checked'] > 0.99 * f['diffs_applied']) == ($2, $3, 0, $4, 0, $5, '$6', '$7', $8, $9, ${10}, True))(d['feeds']['$1'])"
}
replay() { check "replay $*" exits 0 "$HWAL" replay "$@" --check --json; }
replay "$d/spot_btcusdt_20240808.gz" "$d/spot_btcusdt_20240809.gz"
check "spot facts" facts BTCUSDT 2 6493 19904 50093696318 61602.01 61602.02 1971 2962 2
check "spot trades" json "d['orders'] > 0 and d['fills'] > 0"
cp "$T/out" "$T/first"
check "spot, clang build" exits 0 "$CLANG" replay "$d/spot_btcusdt_20240808.gz" "$d/spot_btcusdt_20240809.gz" --check --json
check "spot: same hashes from clang" same
replay "$d/usdm_btcusdt_20240808.gz"
check "usdm btc facts" facts BTCUSDT 4 6547 21313 5123135475514 61659.70 61659.80 5018 4578 0
replay "$d/usdm_ethusdt_20240808.gz"
check "usdm eth facts" facts ETHUSDT 5 6581 14076 5123135545737 2681.38 2681.39 3181 3013 0
cp "$T/out" "$T/first"
replay "$d/usdm_ethusdt_20240808.gz"
check "usdm eth: same hashes twice" same
replay "$d/cm_btcusd_perp_20240808.gz" "$d/cm_btcusd_perp_20240809.gz"
check "coinm facts" facts BTCUSD_PERP 23 44772 5235 1007206781963 61600.0 61600.1 1510 1733 0
replay "$d/usdm_btcusdt_20240808.gz" "$d/usdm_ethusdt_20240808.gz" "$d/spot_btcusdt_20240808.gz"
check "three at once" json "set(d['feeds']) == {'BTCUSDT.usdm', 'ETHUSDT', 'BTCUSDT.spot'} and all(f['oracle']['mismatched'] <= 2 for f in d['feeds'].values())"
printf 'instruments: []\n' >"$T/none.yaml"
check "inferred scales" exits 0 "$HWAL" replay "$d/usdm_ethusdt_20240808.gz" --instruments "$T/none.yaml" --check --json
check "with a note" says "not in the instruments file"
check "same book" facts ETHUSDT 5 6581 14076 5123135545737 2681.38 2681.39 3181 3013 0

# ---- broken captures: marked, named, exit 1 ----
zcat "$d/usdm_ethusdt_20240808.gz" | head -n 30000 >"$T/full"
broken() { # NAME WHAT-IT-SAYS
    check "$1" exits 1 "$HWAL" replay "$T/$1" --json
    check "$1: says so" says "$2"
    check "$1: is JSON" json "len(d['errors']) > 0"
}
grep -v '"lastUpdateId"' "$T/full" >"$T/nosnap"; broken nosnap "no snapshot"
check "no order without a book" json "d['orders'] == 0 and d['denied'] == 0"
awk '/@depth/ { n++ } !(n == 900 && /@depth/)' "$T/full" >"$T/gap"; broken gap "gap|jump|missing"
check "gap: book is not LIVE" json "d['feeds']['ETHUSDT']['health'] != 'LIVE' and d['feeds']['ETHUSDT']['gaps'] == 1"
{ head -n 9000 "$T/full"; echo '1723161300000000000 {"stream":"ethusdt@depth@0ms","data":{"e":"depthUpdate","U":1,'; } >"$T/garbled"; broken garbled "line 9001"
{ head -n 9000 "$T/full"; sed -n 9001,9200p "$T/full" | sed 's/"b":\[\["\([0-9.]*\)"/"b":[["\1001"/'; } >"$T/offscale"; broken offscale "scale|finer"
gzip -c "$T/full" | head -c 200000 >"$T/cut.gz"; broken cut.gz "cut.gz.*(cut|trunc|end)"
{ cat "$T/full"; printf '1723161300000000000 {"stream"'; } >"$T/halfline"; broken halfline "halfline"
{ head -n 100 "$T/full"; head -n 50 "$T/full"; } >"$T/backwards"; broken backwards "back"
{ head -n 9000 "$T/full"; echo 'not a time {}'; sed -n 9001,12000p "$T/full"; } >"$T/badtime"; broken badtime "line 9001"
check "badtime: the rest is read, and no book trusted" json "d['events'] == 12000 and d['lines_bad'] == 1 and d['feeds']['ETHUSDT']['health'] != 'LIVE'"
{ head -n 9000 "$T/full"; echo '9223372036854775807 {"stream":"x"}'; sed -n 9001,9100p "$T/full"; } >"$T/jump"; broken jump "line 9001"
{ head -n 9000 "$T/full"; echo "$(sed -n 9000p "$T/full" | cut -d' ' -f1) [1,2"; sed -n 9001,9100p "$T/full"; } >"$T/nobody"; broken nobody "line 9001"
check "nobody: no book trusted" json "d['feeds']['ETHUSDT']['health'] != 'LIVE'"
{ echo 'rubbish'; cat "$T/full"; } >"$T/firstline"; broken firstline "line 1"
check "firstline: traded all the same" json "d['orders'] > 0"
zcat "$d/usdm_btcusdt_20240808.gz" | head -n 20000 | awk 'NR > 15000 && /@depth/ && !n { n = sub(/0","0\.[0-9]*[1-9]/, "5\",\"1.000") } { print }' >"$T/offtick"; broken offtick "offtick line 1[0-9]*.*BROKEN .SCALE"
check "offtick: counted" json "d['feeds']['BTCUSDT']['book_faults'] == 1"
: >"$T/empty"; broken empty "empty"
head -c 5000 /dev/urandom >"$T/noise"; broken noise "noise"
check "wrong market" exits 1 "$HWAL" replay "$T/full" --market coinm
check "says what it is" says "usdm"
check "unsupported venue" exits 1 "$HWAL" replay "$d/hyperliquid_btc_20250126.gz"
check "says what it is not" says 'no Binance combined-stream capture: the first key is "channel"'

# ---- recorded pace ----
head -n 200 "$T/full" >"$T/short"
check "paced replay" exits 0 "$HWAL" replay "$T/short" --speed 2 --json
check "takes as long" json "d['seconds_wall'] > 0.4 * d['seconds_market']"
done_
