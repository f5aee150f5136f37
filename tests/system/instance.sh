#!/usr/bin/env bash
# A live instance as its operator meets it: start, refusals, signals, Ctrl-C twice, adoption, resume, what is left behind.
# Kills in mid-burst and faults of the machine are kills.py and faults.py.
. "$(dirname "$0")/lib.sh"
N=inst$$
export XDG_STATE_HOME=$T/state HWAL_SHM=/dev/shm/hwal-test-$$
mkdir -p "$HWAL_SHM" "$T/state"
D=$T/state/hwal/$N
SHM=$HWAL_SHM/hwal-$(id -u)/$N
run_pid=
nap() { read -rt "$1" <> <(:) || true; }
pid_of() { cat "$SHM/$1.lock" 2>/dev/null; }
trap 'for r in supervisor engine journal sim venue; do p=$(pid_of $r) && kill -9 "$p" 2>/dev/null; done; rm -rf "$T" "$HWAL_SHM"' EXIT
running() { "$HWAL" status --instance $N --json 2>/dev/null | grep -q '"state": *"RUN"'; }
up() { for _ in $(seq 100); do "$@" && return 0; nap 0.1; done; cat "$T/run.err"; return 1; }
start() {
    "$HWAL" run --config configs/demo.yaml --instance $N "$@" >"$T/run.out" 2>"$T/run.err" & run_pid=$!
    up grep -q "^instance $N .* pids " "$T/run.out"
}
ends() { # CODE SECONDS
    local began=$SECONDS
    wait $run_pid
    local rc=$?
    [ $rc = "$1" ] && [ $((SECONDS - began)) -le "$2" ] || { echo "  exit $rc after $((SECONDS - began)) s"; tail -n 3 "$T/run.err"; return 1; }
}
another() { local p; p=$(pid_of engine) && [ -n "$p" ] && [ "$p" != "$engine" ] && running; } # engine than $engine
nothing_left() { [ ! -e "$SHM" ] || { ls "$SHM"; return 1; }; }

# ---- a whole life ----
check "run, two seconds" exits 0 "$HWAL" run --config configs/demo.yaml --instance $N --seconds 2 --json
check "one object" json "d['ok'] and d['counters']['orders'] > 0 and d['counters']['fills'] > 0 and d['restarts'] == 0"
check "at most 256 MiB" json "d['shm_bytes'] <= 256 << 20"
check "what to type next" json "len(d['next']) == 3 and '$N' in d['next'][0]"
check "nothing in shared memory" nothing_left
check "journal verifies" exits 0 "$HWAL" journal verify --instance $N
check "replay agrees" exits 0 "$HWAL" replay --verify --instance $N
check "text" exits 0 "$HWAL" run --config configs/demo.yaml --instance $N --seconds 1
check "text says it" says "MB of shared memory, journal in $D, pids supervisor"
check "the journal before is kept" test -s "$D.old/state"

# ---- refusals before anything starts ----
check "--new and --resume" exits 2 "$HWAL" run --new --resume
check "bad instance" exits 2 "$HWAL" run --instance "a/b"
check "says which" says "instance is \"a/b\""
check "a dash first is an option" exits 2 "$HWAL" run --instance=-a
check "no such capture" exits 2 "$HWAL" run --config configs/demo.yaml --instance $N --capture /no/such/file
check "says which" says "/no/such/file: cannot open"
check "no capture" exits 2 "$HWAL" run --config configs/demo.yaml --instance $N --capture Makefile
check "says where" says "Makefile: line 1"
check "bad strategy" exits 2 "$HWAL" run --instance $N --strategy nonsense
check "other settings" exits 1 env HWAL_ENGINE_ORDERS_MAX=1024 "$HWAL" run --config configs/demo.yaml --instance $N --resume
check "says what to do" says "made with other settings.*--new"
sed -i 's/^epoch [0-9]*/epoch 4095/' "$D/state"
check "epochs used up" exits 1 "$HWAL" run --config configs/demo.yaml --instance $N --resume
check "says so" says "epoch 4095, the last one, is used up"
check "nothing of it is left" nothing_left
mv "$D" "$D.real" && ln -s "$D.real" "$D"
check "a symbolic link is no directory" exits 1 "$HWAL" run --config configs/demo.yaml --instance $N --resume
check "says so" says "symbolic link"
rm "$D"

# ---- signals ----
check "starts" start --forever
check "second one" exits 1 "$HWAL" run --config configs/demo.yaml --instance $N
check "names the holder" says "held by pid $run_pid"
engine=$(pid_of engine)
for _ in $(seq 2000); do
    kill -USR1 $run_pid "$engine"; kill -HUP $run_pid "$engine"; kill -PIPE $run_pid "$engine"
done 2>/dev/null
check "a storm of signals" running
check "same engine" test "$(pid_of engine)" = "$engine"
kill -TERM $run_pid
check "TERM: orderly" ends 0 4
check "nothing left" nothing_left
check "snapshot of the stop" test "$(ls "$D" | grep -c '^snapshot\.')" = 2
check "starts" start --forever
kill -INT $run_pid; nap 0.05; kill -INT $run_pid
check "twice: at once" ends 0 2

# ---- what a person killed stays killed, also under a new journal ----
check "starts" start --forever
check "killed" exits 0 "$HWAL" kill K2 1 --yes --instance $N
check "an id that nobody has" exits 0 "$HWAL" kill K2 77 --yes --instance $N
check "is said" says "account 77: the engine knows none of this id"
kill -TERM $run_pid
check "stops" ends 0 4
check "starts anew" start --forever --new
check "says it" grep -q "kill words of the session before are still set" "$T/run.err"
check "status" exits 0 "$HWAL" status --instance $N --json
check "the same words" json "[k['id'] for k in d['kill']] == [1, 77]"
check "cleared" exits 0 "$HWAL" kill K2 1 --clear --yes --instance $N
check "and that one" exits 0 "$HWAL" kill K2 77 --clear --yes --instance $N
kill -TERM $run_pid
check "stops" ends 0 4
check "nothing left" nothing_left

# ---- adoption ----
check "starts again" start --forever --resume
engine=$(pid_of engine)
kill -9 $run_pid; wait $run_pid 2>/dev/null
check "the engine lives on" kill -0 "$engine"
check "--new refuses" exits 1 "$HWAL" run --config configs/demo.yaml --instance $N --new
check "says who lives" says "still run without a supervisor"
check "taken over" start --forever --resume
check "same engine" test "$(pid_of engine)" = "$engine"
kill -9 "$engine"
check "and comes back" up another
kill -TERM $run_pid
check "stops" ends 0 5
check "verifies over all lives" exits 0 "$HWAL" replay --verify --instance $N

# ---- recorded markets: two of one symbol; an engine that is killed is reconciled with each ----
B=${HWAL_SHARED:-../shared}/data/binance
if [ -d "$B" ]; then
    check "starts" start --forever --speed 20 --capture "$B/spot_btcusdt_20240808.gz" --capture "$B/usdm_btcusdt_20240808.gz"
    nap 2
    check "two are called so" exits 2 "$HWAL" kill K3 BTCUSDT --yes --instance $N
    check "which" says 'called "BTCUSDT": give the id, one of 1 .venue 1., 2 .venue 2.'
    check "books of one" exits 0 "$HWAL" books 2 --instance $N
    check "tail of one" exits 0 "$HWAL" tail -n 1 --instrument 2 --ring md.capture --instance $N
    engine=$(pid_of engine)
    kill -9 "$engine"
    check "comes back" up another
    nap 1.5
    check "positions" exits 0 "$HWAL" positions --instance $N --json
    check "some, and reconciled" json "d['positions'] and all(a['state'] == 'OK' for a in d['accounts'])"
    kill -TERM $run_pid
    check "stops" ends 0 4
    "$HWAL" segments gc --instance $N >/dev/null
else
    echo "SKIP recorded markets: no $B"
fi

# ---- the market outlives the instance ----
rm -rf "$D" "$SHM"
check "resume, first" exits 0 "$HWAL" run --config configs/demo.yaml --instance $N --resume --seconds 3 --json
check "the venue stays" test "$(ls "$SHM" | grep -vc '^venue\.')" = 0
check "resume, second" exits 0 "$HWAL" run --config configs/demo.yaml --instance $N --resume --seconds 2 --json
check "trades on" json "d['ok'] and d['journal']['epoch'] == 2 and d['counters']['orders'] > 0"
done_
