#!/usr/bin/env bash
# A live instance from another process: every view, text and JSON by its schema; another user of the group (root only);
# writing to a mapping faults; SIGSTOP of a monitor changes nothing; kill and clear; postmortem; segments; exit codes.
. "$(dirname "$0")/lib.sh"
N=attach$$
export XDG_STATE_HOME=$T/state
S=docs/schema
run_pid=
stop() { [ -n "$run_pid" ] && kill -TERM "$run_pid" 2>/dev/null && wait "$run_pid"; run_pid=; }
trap 'stop; "$HWAL" segments gc --instance $N --all >/dev/null 2>&1; rm -rf "$T"' EXIT
nap() { read -rt "$1" <> <(:) || true; }
fits() { python3 tests/system/schema.py "$@" "$T/out"; } # [--lines] SCHEMA

check "nothing runs yet" exits 3 "$HWAL" status --instance $N
check "it says so" says "no instance \"$N\""
for c in status top tail books orders positions feeds lat kill segments postmortem doctor; do
    check "$c --help" exits 0 "$HWAL" $c --help
    check "$c --help has examples" says "example"
    check "$c: unknown option" exits 2 "$HWAL" $c --no-such-option
done
check "doctor" exits 0 "$HWAL" doctor --json
check "doctor by its schema" fits $S/doctor.schema.json

"$HWAL" run --instance $N --config configs/demo.yaml --forever --quiet >"$T/run" 2>&1 &
run_pid=$!
for _ in $(seq 100); do
    "$HWAL" status --instance $N --json >"$T/out" 2>/dev/null && grep -q '"state":"RUN","epoch"' "$T/out" && break
    kill -0 $run_pid 2>/dev/null || break
    nap 0.1
done
check "it runs" grep -q '"state":"RUN","epoch"' "$T/out"
nap 2

for v in status books orders positions feeds lat postmortem; do
    check "$v --json" exits 0 "$HWAL" $v --instance $N --json
    check "$v by its schema" fits $S/$v.schema.json
    check "$v as text" exits 0 "$HWAL" $v --instance $N
done
check "top --once --json" exits 0 "$HWAL" top --instance $N --once --json
check "top by its schema" fits $S/top.schema.json
check "top has live books" json "all(b['bid_px'] and b['ask_px'] for b in d['overview']['books']) and len(d['overview']['books']) == 8"
check "top as text" exits 0 "$HWAL" top --instance $N --once --screen overview
check "top shows lanes" says '^  desk +1 NONE'
check "top --once" exits 0 "$HWAL" top --instance $N --once
check "all four screens" says "---- positions ----"
check "tail -n 20 --json" exits 0 "$HWAL" tail --instance $N -n 20 --json
check "20 lines" test "$(wc -l <"$T/out")" -ge 20
check "tail by its schema" fits --lines $S/tail.schema.json
check "tail of market data" exits 0 "$HWAL" tail --instance $N -n 50 --json --ring md.sim
check "by its schema" fits --lines $S/tail.schema.json
check "tail of the logs" exits 0 "$HWAL" tail --instance $N -n 3 --log --json
check "by its schema" fits --lines $S/tail.schema.json
check "csv" exits 0 "$HWAL" orders --instance $N --all --csv
check "csv has its head" says "^cl_ord_id,instrument_id,symbol,account_id"
check "status" exits 0 "$HWAL" status --instance $N --json
check "roles run" json "{r['role'] for r in d['roles']} >= {'supervisor','engine','journal','sim','venue'} and all(r['state'] == 'RUN' and r['pid'] > 0 for r in d['roles'])"
check "the engine counts" json "[r for r in d['roles'] if r['role'] == 'engine'][0]['counters']['inputs'] > 0"
check "the journal keeps up" json "d['journal']['lag_records'] is not None and d['journal']['durable_record'] > 0"
check "segments ls" exits 0 "$HWAL" segments ls --instance $N --json
check "segments by its schema" fits $S/segments-ls.schema.json
check "they live" json "all(s['state'] == 'alive' for s in d['segments'] if s['current'])"
check "gc takes nothing of the living" exits 0 "$HWAL" segments gc --instance $N --json
check "gc by its schema" fits $S/segments-gc.schema.json
check "nothing" json "d['removed'] == []"

# a write to the mapping faults
dir=$(python3 -c "import os; print(os.environ.get('HWAL_SHM', '/dev/shm') + f'/hwal-{os.getuid()}/$N')")
python3 - "$dir" <<'PY'
import glob, mmap, os, signal, sys
name = glob.glob(sys.argv[1] + "/engine.*")[0]
fd = os.open(name, os.O_RDONLY)
m = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
try:
    m[4096] = 1
except TypeError:
    sys.exit(0)
sys.exit(1)
PY
check "a mapping cannot be written" test $? = 0
check "segments are 0640, the directory 0750, words 0600" test "$(stat -c %a "$dir" "$dir"/engine.* "$dir"/words | sort -u | xargs)" = "600 640 750"

# another user of the group, and one who is not
if [ "$(id -u)" = 0 ]; then
    user=hwalview$$
    if useradd -M -N -g "$(id -gn)" $user 2>/dev/null; then
        for v in status books orders positions lat feeds postmortem; do
            check "another user: $v" exits 0 setpriv --reuid $user --regid "$(id -g)" --clear-groups "$HWAL" $v --user 0 --instance $N --json
            check "another user: $v by its schema" fits $S/$v.schema.json
        done
        check "another user: tail" exits 0 setpriv --reuid $user --regid "$(id -g)" --clear-groups "$HWAL" tail --user 0 --instance $N -n 20 --json
        check "another user cannot kill" exits 1 setpriv --reuid $user --regid "$(id -g)" --clear-groups "$HWAL" kill global --yes --user 0 --instance $N
        check "nobody else sees it" exits 3 setpriv --reuid $user --regid 65534 --clear-groups "$HWAL" status --user 0 --instance $N
        userdel $user
    else
        echo "SKIP another user: useradd refused"
    fi
else
    echo "SKIP another user: not root"
fi

# a monitor that stands still changes nothing
inputs() { "$HWAL" status --instance $N --json | python3 -c "import json,sys; print([r for r in json.load(sys.stdin)['roles'] if r['role'] == 'engine'][0]['counters']['inputs'])"; }
"$HWAL" tail --instance $N --follow --json >"$T/follow" 2>&1 &
follow=$!
nap 0.5
kill -STOP $follow
before=$(inputs)
nap 3
check "the engine goes on" test "$(inputs)" -gt $((before + 1000))
kill -CONT $follow
nap 0.5
kill -INT $follow
wait $follow
check "tail --follow ends in good order" test $? = 0
cp "$T/follow" "$T/out"
check "what it printed is by its schema" fits --lines $S/tail.schema.json
python3 - "$T/follow" <<'PY'
import json, sys
want = None
for line in open(sys.argv[1]):
    d = json.loads(line)
    first = d.get("from", d.get("seq"))
    assert want is None or first == want, f"{first} after {want}"
    want = d.get("to", d.get("seq")) + 1
PY
check "without a hole: what is not there was said to be lost" test $? = 0

# top on a terminal: its keys change the screen, and the terminal is as before when it ends, also by a signal
python3 - "$HWAL" $N <<'PY'
import os, pty, select, signal, sys, termios, time

def play(keys, end):
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(sys.argv[1], [sys.argv[1], "top", "--instance", sys.argv[2]])
    before = None
    seen = b""
    def read(seconds):
        nonlocal seen
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if select.select([fd], [], [], 0.05)[0]:
                try:
                    seen += os.read(fd, 65536)
                except OSError:
                    return
    read(0.6)
    for key, word in keys:
        seen = b""
        os.write(fd, key)
        read(0.6)
        assert word in seen, f"after {key}: no {word}"
    lflag = termios.tcgetattr(fd)[3]
    assert not lflag & termios.ICANON
    seen = b""
    end(pid, fd)
    read(0.6)
    assert b"\x1b[?1049l" in seen and b"\x1b[?25h" in seen, "the screen was not given back"
    _, status = os.waitpid(pid, 0)
    assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0, status
play([(b"2", b"Own open orders"), (b"3", b"Last executions"), (b"4", b"unrealised"), (b"1", b"Roles")], lambda pid, fd: os.write(fd, b"q"))
play([(b"2", b"Own open orders")], lambda pid, fd: os.kill(pid, signal.SIGTERM))
PY
check "top on a terminal" test $? = 0

# kill, and trade again
check "kill global" exits 0 "$HWAL" kill global --yes --instance $N --json
check "kill by its schema" fits $S/kill.schema.json
check "in effect, no order open" json "d['confirmed'] and d['open_orders'] == 0 and d['effective_us'] < 1000000"
check "orders" exits 0 "$HWAL" orders --instance $N --json
check "none is open" json "d['orders'] == []"
check "status shows it" exits 0 "$HWAL" status --instance $N --json
check "the word" json "d['kill'] == [{'scope': 'global', 'id': 0}]"
check "clear" exits 0 "$HWAL" kill K5 --clear --yes --instance $N
symbol=$("$HWAL" books --instance $N --csv | sed -n 2p | cut -d, -f2)
check "one instrument" exits 0 "$HWAL" kill K3 "$symbol" --yes --instance $N
check "it trades again" exits 0 "$HWAL" kill K3 "$symbol" --clear --yes --instance $N
check "not confirmed by anybody" exits 2 "$HWAL" kill global --instance $N </dev/null

stop
check "after an orderly stop" exits 3 "$HWAL" status --instance $N
done_
