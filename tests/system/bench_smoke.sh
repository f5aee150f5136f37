#!/usr/bin/env bash
# Benchmarks stay alive: each suite runs small, prints its JSON lines with every field, and its checksums agree.
. "$(dirname "$0")/lib.sh"
check "bench" exits 0 "$HWAL" bench book risk ipc path --json --samples 2000
lines() {
    python3 - "$T/out" <<'P'
import json, sys
rows = [json.loads(l) for l in open(sys.argv[1])]
need = {"suite", "name", "unit", "n", "p50", "p99", "p999", "max", "mean", "on", "peer", "regime", "bytes"}
bad = [r for r in rows if need - set(r)]
suites = {r["suite"] for r in rows}
print(len(rows), "rows of", sorted(suites))
sys.exit(1 if bad or suites != {"book", "risk", "ipc", "path"} else 0)
P
}
check "rows" lines
check "text form" exits 0 "$HWAL" bench book --samples 2000
check "list" exits 0 "$HWAL" bench --list
check "unknown suite" exits 2 "$HWAL" bench nonsense
done_
