#!/usr/bin/env bash
# Benchmarks stay alive: each suite runs small, prints its JSON lines with every field, each part of ipc has its rows, its
# checksums agree, and nothing that was received was anything else than what was sent (the command would end with 1).
. "$(dirname "$0")/lib.sh"
mkdir "$T/tmp"
export TMPDIR=$T/tmp
check "bench" exits 0 "$HWAL" bench book risk ipc path --json --samples 500
lines() {
    python3 - "$T/out" <<'P'
import json, sys
rows = [json.loads(l) for l in open(sys.argv[1])]
need = {"suite", "name", "unit", "n", "p50", "p99", "p999", "max", "mean", "on", "peer", "regime", "bytes", "checksum"}
bad = [r for r in rows if need - set(r)]
suites = {r["suite"] for r in rows}
print(len(rows), "rows of", sorted(suites))
names = {r["name"] for r in rows}
want = ["broadcast mean", "lossless order mean", "broadcast book16 mean", "lossless exec clocked", "broadcast one way",
        "lossless one way", "write, 4 readers", "1 killed / without", "1 stopped / without", "write, 32 readers",
        "apply-1/flat", "apply-22 and publish", "best-only record", "100x8192/16384 22+publish", "order, template write", "histogram record", "risk check over a lane", "attach to whole book", "two futex hops"]
absent = [w for w in want if not any(n.startswith(w) for n in names)]
if absent or bad:
    print("no row of", absent, "fields missing in", bad[:3])
real = {r["name"]: r["bytes"] for r in rows if r["suite"] == "ipc" and r["name"].endswith("mean")}
sizes = {"lossless top mean": 80, "lossless order mean": 96, "lossless exec mean": 168, "lossless book16 mean": 336}
wrong = [n for n in sizes if n in real and real[n] != sizes[n]]
if wrong:
    print("bytes of", wrong)
sys.exit(1 if bad or absent or wrong or suites != {"book", "risk", "ipc", "path"} else 0)
P
}
check "rows" lines
check "nothing of ours stays behind" [ -z "$(ls -A "$T/tmp")" ]
engine_lines() {
    python3 - "$T/out" <<'P'
import json, sys
names = {json.loads(l)["name"] for l in open(sys.argv[1])}
want = ["event: book update to order, journaled", "closed loop: tick to order", "closed loop: tick, order, ack and fill back",
        "scale: 10 instruments, any", "scale: 10000 instruments, 10 of them hot", "orders: one more open order, up to a million"]
absent = [w for w in want if w not in names]
if absent:
    print("no row of", absent)
sys.exit(1 if absent else 0)
P
}
check "the whole engine" exits 0 "$HWAL" bench engine --json --samples 500
check "rows of the whole engine" engine_lines
check "text form" exits 0 "$HWAL" bench --only small --samples 2000 ipc
check "bars in text form" says 'order, template write .* at most +15\.000 ns +(met|MISSED)'
check "peers, or how to get them" exits 0 "$HWAL" bench --only throughput --samples 2000 ipc
check "peers or SKIP" says '(ck_ring one way.*\[peer\]|SKIP peers: no hwal-peers.so)'
check "list" exits 0 "$HWAL" bench --list
check "list names parts" says '--only roundtrip'
check "list names those of book" says '--only l2'
check "unknown suite" exits 2 "$HWAL" bench nonsense
check "unknown part" exits 2 "$HWAL" bench --only nonsense ipc
check "a part of another suite" exits 2 "$HWAL" bench --only small book
check "in words" says "suite here is 'book'"
check "the peers of book" exits 0 "$HWAL" bench --only l2 --samples 2000 book
check "peers of book or SKIP" says '(std::map.*\[peer\]|SKIP std::map, boost: no hwal-peers.so)'
check "hftbacktest or SKIP" says '(hftbacktest ROIVector.*\[peer\]|SKIP hftbacktest)'
check "a part alone" exits 0 "$HWAL" bench --only small --samples 2000 --json
check "is a part of ipc, and all there is" test "$(grep -c '"suite":"ipc"' "$T/out")" = "$(wc -l <"$T/out")"
done_
