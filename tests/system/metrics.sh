#!/usr/bin/env bash
# What an instance counts and measures, as monitors see it: `hwal metrics` by a strict reader of the Prometheus text format
# (and promtool, when it is there), the same numbers as JSON, and beside status; latencies since the start, over an
# interval, epoch by epoch, and over a restart of the engine; `hwal tail --raw` against `hwal tail --json`.
. "$(dirname "$0")/lib.sh"
N=metrics$$
export XDG_STATE_HOME=$T/state READERS=$T/readers
S=docs/schema
run_pid=
stop() { [ -n "$run_pid" ] && kill -TERM "$run_pid" 2>/dev/null && wait "$run_pid"; run_pid=; }
trap 'stop; "$HWAL" segments gc --instance $N --all >/dev/null 2>&1; rm -rf "$T"' EXIT
nap() { read -rt "$1" <> <(:) || true; }
fits() { python3 tests/system/schema.py "$@" "$T/out"; }
running() {
    for _ in $(seq 150); do
        "$HWAL" status --instance $N --json >"$T/out" 2>/dev/null && grep -q '"state":"RUN","epoch"' "$T/out" && return 0
        nap 0.1
    done
    return 1
}

check "nothing runs yet" exits 3 "$HWAL" metrics --instance $N
check "--help" exits 0 "$HWAL" metrics --help
check "--help has examples" says "example"
check "unknown option" exits 2 "$HWAL" metrics --no-such-option
check "an argument too many" exits 2 "$HWAL" metrics now
check "one form at a time" exits 2 "$HWAL" metrics --json --prometheus
check "no CSV" exits 2 "$HWAL" metrics --csv
check "lat: a bad interval" exits 2 "$HWAL" lat --over 0
check "tail: --raw is no --json" exits 2 "$HWAL" tail --raw "$T/x" --json
check "tail: --raw is of one ring" exits 2 "$HWAL" tail --raw "$T/x" --log

"$HWAL" run --instance $N --config configs/demo.yaml --forever --quiet >"$T/run" 2>&1 &
run_pid=$!
check "it runs" running
nap 2

# ---- Prometheus text, strictly
check "metrics" exits 0 "$HWAL" metrics --instance $N --prometheus
cp "$T/out" "$T/prom"
check "metrics --json" exits 0 "$HWAL" metrics --instance $N --json
cp "$T/out" "$T/json"
check "by its schema" fits $S/metrics.schema.json
check "status" exits 0 "$HWAL" status --instance $N --json
cp "$T/out" "$T/status"
python3 - "$T/prom" "$T/json" "$T/status" $N ipc/counters.h <<'PY'
import json, math, re, sys
text = open(sys.argv[1], newline="").read()
families, samples, current = {}, {}, None
NAME, LABEL = r"[a-zA-Z_:][a-zA-Z0-9_:]*", r"[a-zA-Z_][a-zA-Z0-9_]*"
assert text.endswith("\n") and "\r" not in text and "\n\n" not in text
for line in text[:-1].split("\n"):
    m = re.fullmatch(rf"# (HELP|TYPE) ({NAME}) (.*)", line)
    if m and m[1] == "HELP":
        assert m[2] not in families, f"{m[2]}: a second HELP"
        assert re.fullmatch(r"([^\\]|\\\\|\\n)+", m[3]), line
        current, families[m[2]] = m[2], None
        continue
    if m:
        assert m[2] == current and families[current] is None, f"TYPE of {m[2]} out of place"
        assert m[3] in ("counter", "gauge", "summary"), line
        families[current] = m[3]
        continue
    m = re.fullmatch(rf'({NAME})\{{((?:{LABEL}="(?:[^"\\\n]|\\["\\n])*",?)*)\}} (\S+)', line)
    assert m, f"no sample: {line}"
    name, labels, value = m[1], re.findall(rf'({LABEL})="((?:[^"\\]|\\.)*)"', m[2]), m[3]
    assert ",".join(f'{k}="{v}"' for k, v in labels) == m[2] and len(dict(labels)) == len(labels), line
    kind = families[current]
    ends = ("", "_sum", "_count") if kind == "summary" else ("",)
    assert name in [current + e for e in ends], f"{name} within {current}"
    assert (kind == "summary" and name == current) == ("quantile" in dict(labels)), line
    assert kind != "counter" or name.endswith("_total"), f"{name}: a counter is called _total"
    assert value == "NaN" or re.fullmatch(r"[0-9]+(\.[0-9]{9})?", value), line
    assert dict(labels)["instance"] == sys.argv[4]
    key = (name, tuple(sorted(labels)))
    assert key not in samples, f"twice: {line}"
    samples[key] = value
assert all(families.values())
get = lambda name, **labels: samples[(name, tuple(sorted({"instance": sys.argv[4], **labels}.items())))]

# every counter of the source's list, of every role that runs
listed = re.findall(r"^    X\((\w+), (\w+), (TOTAL|GAUGE), \"(\w+)\"", open(sys.argv[5]).read(), re.M)
assert len(listed) > 20
status = json.load(open(sys.argv[3]))
for role in status["roles"]:
    for _, name, kind, _ in listed:
        get(f"hwal_{name}" + ("_total" if kind == "TOTAL" else ""), role=role["role"])
    assert get("hwal_role_state", role=role["role"], state="RUN") == "1"
    assert get("hwal_role_state", role=role["role"], state="DEAD") == "0"
    assert float(get("hwal_role_heartbeat_age_seconds", role=role["role"])) < 2
assert get("hwal_up") == "1"
assert int(get("hwal_inputs_total", role="engine")) > 100

# rings: written, taken, behind; never more behind than slots
lossless = 0
for ring in status["rings"]:
    labels = {"ring": ring["ring"], "kind": ring["kind"], "writer": ring["writer"]}
    assert int(get("hwal_ring_slots", **labels)) == ring["slots"]
    assert int(get("hwal_ring_written_total", **labels)) <= ring["written"]
    if ring["reader"]:
        behind = int(get("hwal_ring_behind", reader=ring["reader"], **labels))
        taken = int(get("hwal_ring_taken_total", reader=ring["reader"], **labels))
        assert taken <= ring["taken"] and (ring["kind"] != "lossless" or behind <= ring["slots"])
        lossless += ring["kind"] == "lossless"
assert lossless >= 3, "exec, ord and jrn"

# summaries: quantiles rise, a mean below the maximum, which has its event
for role, name in (("engine", "event"), ("engine", "decide"), ("sim", "taken")):
    q = [float(get(f"hwal_{name}_seconds", role=role, quantile=x)) for x in ("0.5", "0.9", "0.99", "0.999")]
    top = float(get(f"hwal_{name}_max_seconds", role=role))
    count = int(get(f"hwal_{name}_seconds_count", role=role))
    assert q == sorted(q) and q[-1] <= top and count > 0
    assert float(get(f"hwal_{name}_seconds_sum", role=role)) / count <= top
    assert int(get(f"hwal_{name}_max_sequence", role=role)) > 0
    assert float(get(f"hwal_{name}_recent_max_seconds", role=role)) <= top

# the JSON says the same, later: same families and labels, totals not smaller
view = json.load(open(sys.argv[2]))
assert {f["name"]: f["type"] for f in view["families"]} == families
again = {(s["name"], tuple(sorted({"instance": view["instance"], **s["labels"]}.items()))): (f["type"], s["value"])
         for f in view["families"] for s in f["samples"]}
assert set(again) == set(samples)
for key, (kind, value) in again.items():
    assert kind != "counter" or int(value) >= int(samples[key]), key
print(f"{len(families)} families, {len(samples)} samples")
PY
check "the text format, strictly" test $? = 0
if command -v promtool >/dev/null; then
    check "promtool" promtool check metrics <"$T/prom"
else
    echo "SKIP promtool: not installed (Debian package prometheus)"
fi

# ---- latencies
check "lat --json" exits 0 "$HWAL" lat --instance $N --json
check "lat by its schema" fits $S/lat.schema.json
check "every maximum has its event" json "all(h['max_seq'] for h in d['histograms'] if h['count'])"
check "the running epochs" json "{(e['role'], e['name']) for e in d['epochs'] if e['duration_ms'] is None} == {(h['role'], h['name']) for h in d['histograms']}"
event() { python3 -c "import json,sys; print([h for h in json.load(open('$T/out'))['histograms'] if h['name'] == 'event'][0]['$1'])"; }
seq=$(event max_seq) all=$(event count)
"$HWAL" journal cat --instance $N --from "$seq" --to "$seq" >"$T/cat" 2>&1
check "the journal has the event of the maximum" grep -q "$seq" "$T/cat"
check "lat --over" exits 0 "$HWAL" lat --instance $N --over 500 --json
check "by its schema" fits $S/lat.schema.json
check "half a second is less than all" test "$(event count)" -gt 0 -a "$(event count)" -lt "$all"
check "lat --epochs" exits 0 "$HWAL" lat --instance $N --epochs
check "has them" says "^ *engine +event +1 "
check "lat --epochs --csv" exits 0 "$HWAL" lat --instance $N --epochs --csv
check "has its head" says "^role,name,number,began_ms_ago,duration_ms,count,mean,max,max_seq"

# a new life of the engine counts from nothing; --lives has both
check "status" exits 0 "$HWAL" status --instance $N --json
engine=$(python3 -c "import json; print([r['pid'] for r in json.load(open('$T/out'))['roles'] if r['role'] == 'engine'][0])")
check "lat before" exits 0 "$HWAL" lat --instance $N --json
before=$(event count)
kill -KILL "$engine"
nap 1
check "it runs again" running
check "lat of the new life" exits 0 "$HWAL" lat --instance $N --json
one=$(event count)
check "lat --lives" exits 0 "$HWAL" lat --instance $N --lives --json
check "by its schema" fits $S/lat.schema.json
check "both lives" test "$(event count)" -ge $((before + one))

# ---- captures
tails() { # RING: JSON lines around a raw capture, so that each captured message is in one of them
    "$HWAL" tail --instance $N --ring "$1" -n 20000 --json >"$T/a.json" &&
        "$HWAL" tail --instance $N --ring "$1" -n 3000 --raw "$T/capture" >"$T/out" 2>"$T/err" &&
        "$HWAL" tail --instance $N --ring "$1" -n 20000 --json >"$T/b.json" && test ! -s "$T/out"
}
for ring in ev md.sim; do
    check "tail --raw of $ring" tails $ring
    check "is what tail --json says" tests/ipc/readers/run.sh "$T/capture" "$T/a.json" "$T/b.json"
done
check "to standard output" exits 0 "$HWAL" tail --instance $N -n 5 --raw -
check "five records" test "$(python3 -c "
import struct
b, at, n = open('$T/out', 'rb').read(), 0, 0
while at < len(b):
    assert at % 8 == 0 and b[at + 8:at + 12] == b'HWAL'
    at, n = at + 4 + struct.unpack_from('<I', b, at)[0], n + 1
print(n)")" = 5
check "a file that cannot be" exits 2 "$HWAL" tail --instance $N --raw "$T/no/such/file"
done_
