#!/usr/bin/env python3
"""Faults from outside that take seconds: a stopped monitor, a stopped engine, power loss, a full disk, a full /dev/shm; and
those with a number (P7, P8, P10, P11, P12): each prints its line. tests/README.md says where the others are.

Each by name; `faults.py NAME...` runs those whose names begin so, `faults.py --but NAME...` the others. STOP_SECONDS=10 by
default; HWAL_SOAK=1: the full lengths; HWAL_SEED repeats the random ones."""

import glob
import json
import mmap
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

from instance import HWAL, Instance, check, done, wait_for

STOP = float(os.environ.get("STOP_SECONDS", "10"))
RESUME = ("--resume",)
SOAK = bool(os.environ.get("HWAL_SOAK"))
SEED = int(os.environ.get("HWAL_SEED", time.time_ns() % 100000))
SHM = os.environ.get("HWAL_SHM", "/dev/shm")
SHM_DIR = f"{SHM}/hwal-{os.getuid()}"


def counters(i, role):
    return next((r["counters"] for r in i.status()["roles"] if r["role"] == role), {})


def stopped_monitor():
    """SIGSTOP of a monitor for 10 s changes nothing"""
    i = Instance(f"mon{os.getpid()}")
    try:
        i.run()
        i.up()
        mon = subprocess.Popen([HWAL, "tail", "--follow", "--json", "--instance", i.name], env=i.env, stdout=subprocess.PIPE, text=True)
        time.sleep(1)
        mon.send_signal(signal.SIGSTOP)
        a = counters(i, "engine")["inputs"]
        time.sleep(STOP)
        b = counters(i, "engine")["inputs"]
        check("the engine went on at its rate", b - a > 0.7 * 20000 * STOP, f"{b - a} inputs in {STOP} s")
        check("no role was restarted", all(r["restarts"] == 0 for r in i.status()["roles"] if r.get("pid")))
        mon.send_signal(signal.SIGCONT)
        time.sleep(0.5)
        mon.terminate()
        out = mon.communicate(timeout=10)[0]
        check("it read on", out.count("\n") > 10)
        check("orderly stop", i.stop() == 0, i.log_tail())
        i.verified()
    finally:
        end(i)


def stopped_engine():
    """SIGSTOP of the engine for 10 s: the adapter cancels, the fence holds, no burst of old orders after SIGCONT"""
    i = Instance(f"stop{os.getpid()}", args=RESUME)
    try:
        i.run()
        s = i.up()
        epoch = s["epoch"]
        time.sleep(2)
        engine = i.roles()["engine"]["pid"]
        sent = counters(i, "sim")["orders"]
        os.kill(engine, signal.SIGSTOP)
        time.sleep(0.5)
        resting = {o["cl_ord_id"] for o in json.loads(i.hwal("orders", "--instance", i.name, "--json", ok=(0, 4)).stdout)["orders"]}
        cancels = counters(i, "sim")["cancels"]
        time.sleep(STOP - 1.5)
        check("the adapter raised the fence", "is silent" in i.log_tail(20000) and "fence" in i.log_tail(20000), i.log_tail())
        cancels = counters(i, "sim")["cancels"] - cancels
        at_stop = counters(i, "sim")["orders"]
        time.sleep(1)
        os.kill(engine, signal.SIGCONT)
        s = wait_for("a new engine runs", 20, lambda: (lambda s: s if s and s["state"] == "RUN" and s["epoch"] > epoch and i.roles()["engine"]["pid"] != engine else None)(i.status()))
        ended = {o["cl_ord_id"]: o["ord_status"] for o in i.view("orders", "--all")["orders"] if o["cl_ord_id"] in resting}
        check("what rested when it stopped is filled or cancelled", len(ended) == len(resting) and
              all(v in ("FILLED", "CANCELED") for v in ended.values()), f"{resting} {ended}")
        print(f"stopped-engine: {len(resting)} rested: {sorted(ended.values())}, {cancels} cancels while it was stopped")
        check("cancelled by the adapter while the engine was stopped", list(ended.values()).count("CANCELED") <= cancels, f"{ended}, {cancels} cancels")
        check("no order left while it was stopped", at_stop - sent < 400, f"{at_stop - sent}")
        time.sleep(2)
        check("orders leave again", counters(i, "sim")["orders"] > at_stop)
        rows = i.view("positions").get("accounts", [])
        check("accounts reconciled", rows and all(a["state_code"] == 0 for a in rows), str(rows)[:500])
        check("orderly stop", i.stop() == 0, i.log_tail())
        i.verified()
    finally:
        end(i)


def power_loss():
    """everything but the venue dies, the segments are gone, the journal's tail is lost: orders are unknown until the venue
    says; what it traded meanwhile comes back as fills"""
    i = Instance(f"pow{os.getpid()}", args=RESUME)
    rng = random.Random(int(os.environ.get("HWAL_SEED", time.time_ns() % 100000)))
    try:
        i.run()
        i.up()
        time.sleep(3)
        i.supervisor.kill()
        i.supervisor.wait()
        roles = i.roles()
        for name, r in roles.items():
            if name not in ("venue", "supervisor"):
                os.kill(r["pid"], signal.SIGKILL)
        time.sleep(0.2)
        for f in glob.glob(f"/dev/shm/hwal-{os.getuid()}/{i.name}/*"):
            base = os.path.basename(f)
            if base.split(".")[0] in ("engine", "sim", "journal"):
                os.unlink(f)
        files = sorted(glob.glob(os.path.join(i.home, "hwal", i.name, "*.hj")))
        check("journal files are there", files)
        used = max((f for f in files), key=lambda f: (open(f, "rb").read(4096).strip(b"\0") != b"", f))
        data = open(used, "rb").read()
        end_of_data = len(data.rstrip(b"\0"))
        lost = rng.randrange(1, 400000)
        with open(used, "r+b") as f:
            f.seek(max(4096, end_of_data - lost))
            f.write(b"\0" * min(lost, end_of_data - 4096))
        print(f"lost {lost} of {end_of_data} bytes of {os.path.basename(used)}")
        i.run()
        i.up(30)
        time.sleep(3)
        rows = i.view("positions").get("accounts", [])
        check("accounts are there", rows)
        check("each is reconciled, or stands at 152 for a person", all(a["state_code"] in (0, 152) for a in rows), str(rows)[:600])
        check("orderly stop", i.stop() in (0, 1), i.log_tail())
        i.verified()
    finally:
        end(i)


def small_tmpfs(megabytes):
    place = tempfile.mkdtemp(prefix="hwal-small-")
    r = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", place], capture_output=True)
    if r.returncode:
        os.rmdir(place)
        return None
    return place


def full_disk():
    """the journal's disk fills while running: 154, no order leaves without its journal, the rest goes on; a clear log"""
    place = small_tmpfs(64)
    if not place:
        print("SKIP full-disk: no right to mount a tmpfs")
        return
    i = Instance(f"disk{os.getpid()}", env={"HWAL_JOURNAL_DIR": os.path.join(place, "state"), "HWAL_JOURNAL_FILE_BYTES": str(8 << 20),
                                               "HWAL_JOURNAL_MAX_BYTES": str(1 << 30)})
    try:
        i.run()
        i.up()
        with open(os.path.join(place, "filler"), "wb") as f:
            try:
                while True:
                    f.write(b"x" * (1 << 20))
                    f.flush()
            except OSError:
                pass
        if wait_for("the engine says that the journal is down", 40, lambda: "journal down, no new orders" in i.log_tail(20000)):
            sent = counters(i, "engine")["orders"]
            time.sleep(2)
            check("no order leaves without its journal", counters(i, "engine")["orders"] == sent)
        s = i.status()
        check("no role crashed", all(r["restarts"] == 0 for r in s["roles"] if r.get("pid") and r["role"] != "journal"), str(s)[:800])
        os.unlink(os.path.join(place, "filler"))
        rc = i.stop()
        check("it stops", rc is not None, i.log_tail())
        check("the log says why", "No space left on device" in i.log_tail(20000))
        r = i.hwal("journal", "verify", "--dir", os.path.join(place, "state"), ok=None)
        check("what is there is whole", r.returncode == 0, (r.stdout + r.stderr)[-400:])
    finally:
        end(i)
        subprocess.run(["umount", "-l", place])
        os.rmdir(place)


def full_shm():
    """/dev/shm too small at the start: a clear error, nothing half started, nothing left behind"""
    place = small_tmpfs(24)
    if not place:
        print("SKIP full-shm: no right to mount a tmpfs")
        return
    i = Instance(f"shm{os.getpid()}", env={"HWAL_SHM": place})
    try:
        r = i.hwal("run", "--instance", i.name, "--seconds", "2", "--quiet", ok=(1,))
        check("it names bytes wanted and free", "bytes" in r.stderr or "MiB" in r.stderr, r.stderr[-300:])
        left = [f for f in glob.glob(place + "/**", recursive=True) if os.path.isfile(f)]
        check("nothing is left behind", not left, str(left))
        free = os.statvfs(place)
        check("and no memory is held", free.f_bavail > free.f_blocks * 0.95)
    finally:
        end(i)
        subprocess.run(["umount", "-l", place])
        os.rmdir(place)


def full_shm_running():
    """/dev/shm full while running: what runs goes on; a role that dies cannot come back and that is said, until there is
    room again"""
    place = small_tmpfs(200)
    if not place:
        print("SKIP full-shm-running: no right to mount a tmpfs")
        return
    i = Instance(f"shr{os.getpid()}", env={"HWAL_SHM": place})
    try:
        i.run()
        i.up()
        filler = os.path.join(place, "filler")
        with open(filler, "wb") as f:
            try:
                while True:
                    f.write(b"x" * (1 << 20))
                    f.flush()
            except OSError:
                pass
        a = counters(i, "engine")["inputs"]
        time.sleep(1)
        check("it goes on", counters(i, "engine")["inputs"] - a > 10000)
        before = i.roles()
        os.kill(before["sim"]["pid"], signal.SIGKILL)
        wait_for("the log says that there is no room for its segment", 10, lambda: "no room" in i.log_tail(20000) or "bytes" in i.log_tail(20000))
        check("the others live", all(i.roles()[r]["pid"] == before[r]["pid"] for r in ("engine", "journal", "venue")))
        os.unlink(filler)
        wait_for("it comes back when there is room", 20, lambda: (lambda r: r.get("sim", {}).get("state") == "RUN" and r["sim"]["pid"] != before["sim"]["pid"])(i.roles()))
        check("orderly stop", i.stop() in (0, 1), i.log_tail())
        i.verified()
    finally:
        end(i)
        subprocess.run(["umount", "-l", place])
        os.rmdir(place)


def second_supervisor():
    """a second `hwal run` of one instance ends at once and names the first one's pid"""
    i = Instance(f"two{os.getpid()}")
    try:
        i.run()
        i.up()
        r = i.hwal("run", "--instance", i.name, "--seconds", "1", "--quiet", ok=(1,))
        check("it names the holder", str(i.supervisor.pid) in r.stderr, r.stderr)
        check("the first goes on", i.status()["state"] == "RUN")
        check("orderly stop", i.stop() == 0, i.log_tail())
    finally:
        end(i)


def kill_switch():
    """hwal kill global: no order after it, open orders cancelled; lifted by --clear"""
    i = Instance(f"kill{os.getpid()}")
    try:
        i.run()
        i.up()
        time.sleep(2)
        r = i.hwal("kill", "global", "--yes", "--instance", i.name)
        print(r.stdout.strip())
        a = counters(i, "sim")["orders"]
        time.sleep(1)
        check("no order leaves", counters(i, "sim")["orders"] == a)
        check("no order is open", not [o for o in i.view("orders").get("orders", [])])
        i.hwal("kill", "global", "--clear", "--yes", "--instance", i.name)
        time.sleep(1.5)
        check("orders leave again", counters(i, "sim")["orders"] > a)
        check("orderly stop", i.stop() == 0, i.log_tail())
        i.verified()
    finally:
        end(i)


def idle():
    """no data, no orders, adaptive waits: each role uses less than 1 % of a core, all together less than 3 %"""
    i = Instance(f"idle{os.getpid()}")

    def cpu_s():
        used = {}
        for name, r in i.roles().items():
            with open(f"/proc/{r['pid']}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            used[name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return used

    try:
        i.run("--rate", "0")
        i.up()
        time.sleep(1)
        a, began = cpu_s(), time.monotonic()
        time.sleep(STOP)
        b, took = cpu_s(), time.monotonic() - began
        share = {n: (b[n] - a[n]) / took * 100 for n in a}
        print("idle, % of a core:", {n: round(v, 2) for n, v in share.items()})
        check("each role below 1 %", all(v < 1 for v in share.values()), str(share))
        check("all below 3 %", sum(share.values()) < 3, str(share))
        check("orderly stop", i.stop() == 0, i.log_tail())
    finally:
        end(i)


def ended_dead(name, seconds=2):
    """an instance that was killed, every process of it: its segments are there"""
    i = Instance(name, args=RESUME)
    i.run()
    i.up()
    time.sleep(seconds)
    roles = i.roles()
    i.supervisor.kill()
    i.supervisor.wait()
    for r in roles.values():
        try:
            os.kill(r["pid"], signal.SIGKILL)
        except ProcessLookupError:
            pass
    time.sleep(0.2)
    return i


def newest(i, role):
    files = glob.glob(f"{SHM_DIR}/{i.name}/{role}.[0-9]*")
    return max(files, key=lambda f: int(f.rsplit(".", 1)[1]))


def flip(path, bit):
    with open(path, "r+b") as f:
        f.seek(bit // 8)
        byte = f.read(1)[0]
        f.seek(bit // 8)
        f.write(bytes([byte ^ 1 << bit % 8]))


PID_BITS = range(48 * 8, 52 * 8)  # segment_head_t.pid: the one field that its check value leaves out


def P7_attach():
    """a flipped bit in a segment's head: every command that attaches refuses or is not harmed; a new engine makes a new
    segment, and the damaged one stays"""
    i = ended_dead(f"p7{os.getpid()}")
    rng = random.Random(SEED)
    tried = refused = silent = signals = 0
    try:
        head = newest(i, "engine")
        for _ in range(1000 if SOAK else 24):
            bit = rng.randrange(4096 * 8)
            flip(head, bit)
            for cmd in (("status", "--json"), ("positions", "--json")) if not SOAK else (("status",), ("positions",), ("postmortem",), ("segments", "ls")):
                r = i.hwal(*cmd, "--instance", i.name, ok=None)
                tried += 1
                signals += r.returncode < 0
                named = f"segment {os.path.basename(head)}: " in r.stdout + r.stderr
                refused += named
                silent += not named and bit not in PID_BITS and cmd[0] in ("status", "positions")
            flip(head, bit)
        check("every bit but the pid's is refused by name", silent == 0, f"{silent} of {tried}, seed {SEED}")
        check("no command dies of it", signals == 0, f"{signals} of {tried}, seed {SEED}")
        flip(head, 3)
        r = i.hwal("positions", "--instance", i.name, ok=None)
        check("the refusal names the field", "magic" in r.stdout + r.stderr, r.stdout[-200:] + r.stderr[-200:])
        i.run()
        i.up(30)
        check("a new engine has a new segment", newest(i, "engine") != head)
        check("the damaged one is kept aside", os.path.exists(head))
        check("orderly stop", i.stop() in (0, 1), i.log_tail())
        i.verified()
        print(f"P7 attach to a damaged segment by hwal: {tried} attempts, {refused} refused, others harmless, crashes {signals} (bar 0); "
              "the engine began a new segment, the old one was kept")
    finally:
        end(i)


def objects_of(path):
    """(name, offset, bytes) of a segment's objects"""
    with open(path, "rb") as f:
        head = f.read(4096)
    out = []
    for n in range(48):
        name, offset, size, kind, _ = struct.unpack_from("<24sQQII", head, 160 + 48 * n)
        if kind:
            out.append((name.rstrip(b"\0").decode(), offset, size))
    return out


def P8_live():
    """random writes by another process of the same uid into everything that the roles share, but jrn and ord themselves and
    the venue's own state: no role is killed by a signal, what left is within its limits, the journal replays"""
    seconds = 60 if SOAK else 3
    i = Instance(f"p8{os.getpid()}", args=RESUME)
    rng = random.Random(SEED)
    writes, tables = 0, {}  # where a segment's objects are, as it was before anybody wrote there
    try:
        i.run()
        i.up()
        wait_for("orders leave", 20, lambda: counters(i, "engine").get("orders", 0) > 10)
        until = time.monotonic() + seconds
        while time.monotonic() < until and i.supervisor.poll() is None:
            areas = []
            for role in ("engine", "sim", "journal"):
                f = newest(i, role)
                tables.setdefault(f, None)
                tables[f] = tables[f] or objects_of(f)
                areas += [(f, o, n) for name, o, n in tables[f] if name not in ("jrn", "ord.sim")]
                areas += [(f, 0, 4096)]
            areas += [(f"{SHM_DIR}/{i.name}/words", 4096, 2048)]
            for f, offset, size in areas:
                try:
                    with open(f, "r+b") as fd, mmap.mmap(fd.fileno(), 0) as m:
                        for _ in range(8):
                            # where it matters: the beginning of an object; else anywhere
                            at = offset + rng.randrange(min(size, 256) if rng.random() < 0.5 else size)
                            if f.endswith("words") and at < 4096 + 128 and rng.random() < 0.95:
                                continue  # a raised fence ends the engine's life: not in every turn
                            m[at] ^= 1 << rng.randrange(8) if rng.random() < 0.7 else 0xFF
                            writes += 1
                except (FileNotFoundError, ValueError, IndexError):
                    pass
            time.sleep(0.005)
        i.log.flush()
        log = i.log_tail(1 << 22) + open(os.path.join(i.home, "hwal", i.name, "log"), errors="replace").read()
        crashes = [line for line in log.splitlines() if "killed by signal" in line or "Assertion" in line]
        check("no role was killed by a signal", not crashes, f"seed {SEED}: {crashes[:3]}")
        i.kill_all()
        time.sleep(0.3)
        limits, above, orders = {}, 0, 0
        for r in i.journal("--type", "LIMIT_SET"):
            b = r["msg"]["body"]
            if b["scope_type"] == "INSTRUMENT":
                limits[b["scope_id"]] = int(b["max_qty"])
        for r in i.journal("--type", "ORDER_REQUEST"):
            b = r["msg"]["body"]
            if r["head"]["kind"] == "OUTPUT" and b["action"] == "NEW":
                orders += 1
                above += not 0 < int(b["qty"]) <= limits.get(b["instrument_id"], 0)
        check("there were orders, and limits", orders > 0 and limits)
        check("no order outside limits", above == 0, f"{above} of {orders}")
        i.verified()
        restarts = log.count("ended with exit code")
        print(f"P8 random writes into a live instance: {writes} writes in {seconds} s, crashes {len(crashes)} (bar 0), orders outside limits "
              f"{above} of {orders} (bar 0), roles that ended by themselves {restarts}, journal verified")
    finally:
        end(i)


def P10_races():
    """several `hwal run` of one instance at once, also after kill -9 of the first, also from another pid namespace: one runs,
    the others end at once and name it"""
    rounds, each = (200, 6) if SOAK else (2, 6)
    i = Instance(f"p10{os.getpid()}", args=RESUME)
    doubled = losers = named = 0
    slowest = 0.0
    cmd = [HWAL, "run", "--instance", i.name, "--config", i.config, "--forever", "--quiet", "--resume"]
    try:
        for n in range(rounds):
            began = time.monotonic()
            runs = [subprocess.Popen(cmd, env=i.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(each)]
            while sum(r.poll() is None for r in runs) > 1 and time.monotonic() - began < 10:
                time.sleep(0.01)
            slowest = max(slowest, time.monotonic() - began)
            alive = [r for r in runs if r.poll() is None]
            doubled += len(alive) != 1
            for r in runs:
                if r not in alive:
                    losers += 1
                    text = r.stderr.read()
                    named += r.returncode == 1 and bool(alive) and f"held by pid {alive[0].pid}" in text
            i.supervisor = alive[0] if alive else None
            i.up()
            engines = [p for p in os.listdir("/proc") if p.isdigit() and is_engine(p, i.name)]
            doubled += len(engines) != 1
            if n % 2 == 0 and i.supervisor:  # the next race begins with living roles and a dead supervisor's lock
                i.supervisor.kill()
                i.supervisor.wait()
            elif n + 1 < rounds:
                i.stop()
        if not i.supervisor or i.supervisor.poll() is not None:
            i.run()
            i.up()
        r = subprocess.run(["unshare", "-Urpf", *cmd], env=i.env, capture_output=True, text=True, timeout=20)
        elsewhere = "not allowed here"
        if "unshare" in r.stderr:
            print("SKIP P10 from another pid namespace: unshare is not allowed here")
        else:
            elsewhere = "refused"
            check("from another pid namespace: refused by name", r.returncode == 1 and f"held by pid {i.supervisor.pid}" in r.stderr, f"{r.returncode} {r.stderr[-300:]}")
        check("one writer in each race", doubled == 0, str(doubled))
        check("each loser names the holder", named == losers, f"{named} of {losers}")
        check("orderly stop", i.stop() in (0, 1), i.log_tail())
        i.verified()
        print(f"P10 several hwal run at once: {rounds} races of {each}, double writers {doubled} (bar 0), {named}/{losers} losers named the holder, "
              f"the last within {slowest:.2f} s; from another pid namespace: {elsewhere}")
    finally:
        end(i)


def is_engine(pid, instance):
    try:
        with open(f"/proc/{pid}/comm") as f:
            if f.read().strip() != "hwal:engine":
                return False
        with open(f"/proc/{pid}/cmdline") as f:
            return instance in f.read()
    except OSError:
        return False


def P11_versions():
    """segments of another version, layout or byte order: each command refuses and names both"""
    i = ended_dead(f"p11{os.getpid()}", 1)
    fields = {"version": (8, struct.pack("<I", 2), ("version 2", "reads 1")),
              "layout": (16, struct.pack("<Q", 0x1122334455667788), ("layout hash 1122334455667788", "reads ")),
              "byte order": (0, None, ("big-endian", "little-endian"))}
    right = tried = 0
    try:
        for role, commands in (("engine", ("positions", "orders")), ("supervisor", ("status", "books"))):
            head = newest(i, role)
            for name, (at, value, words) in fields.items():
                with open(head, "r+b") as f:
                    f.seek(at)
                    good = f.read(len(value) if value else 8)
                    f.seek(at)
                    f.write(value or good[::-1])
                for cmd in commands:
                    r = i.hwal(cmd, "--instance", i.name, ok=None)
                    tried += 1
                    right += check(f"{cmd}, {role}'s segment of another {name}", r.returncode > 0 and all(w in r.stdout + r.stderr for w in words),
                                   f"{r.returncode} {(r.stdout + r.stderr)[-300:]}")
                with open(head, "r+b") as f:
                    f.seek(at)
                    f.write(good)
        print(f"P11 other version, layout, byte order, by hwal: {right}/{tried} refused with both named (bar 100 %)")
    finally:
        end(i)


def P12_refused():
    """no permission, no memory lock, no huge pages, no such processor: a clear error before trading starts, or a stated
    fallback; nothing is left (a full /dev/shm: full-shm)"""
    place = tempfile.mkdtemp(prefix="hwal-p12-")
    os.chmod(place, 0o755)
    hwal = shutil.copy(HWAL, place)
    config = shutil.copy(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../configs/demo.yaml"), place)
    who = dict(user=65534, group=65534, extra_groups=[]) if os.getuid() == 0 else {}
    home, shm, locked = (os.path.join(place, d) for d in ("home", "shm", "locked"))
    for d in (home, shm, locked):
        os.mkdir(d, 0o700)
        if who:
            os.chown(d, 65534, 65534)
    os.chmod(locked, 0o500)
    cases = []

    def case(name, want, words, *cmd, env=None, prefix=()):
        args = [*prefix, hwal, *cmd]
        r = subprocess.run(args, capture_output=True, text=True, timeout=30, cwd=place, **who,
                           env={**os.environ, "XDG_STATE_HOME": home, "HOME": home, "HWAL_SHM": shm, **(env or {})})
        left = [f for f in glob.glob(shm + "/**", recursive=True) if os.path.isfile(f)]
        said = (r.stderr + r.stdout).strip().splitlines()
        good = r.returncode in want and all(w in r.stderr + r.stdout for w in words) and not left
        check(f"P12 {name}", good, f"exit {r.returncode}, {said[-3:]}, left {left}")
        line = next((x for x in said if words and words[0] in x), said[-1] if said else "")
        cases.append((name, good, r.returncode, line[-150:]))

    run = ("run", "--config", config, "--instance", "p12", "--seconds", "1", "--quiet", "--json")
    try:
        case("segment directory without permission", (1,), ("ermission denied",), *run, env={"HWAL_SHM": locked})
        case("state directory without permission", (1,), ("ermission denied",), *run, env={"XDG_STATE_HOME": locked})
        case("attach without permission", (1, 3), ("ermission denied",), "status", "--instance", "x", env={"HWAL_SHM": "/root/none"})
        cpus = sorted(os.sched_getaffinity(0))
        case("engine's processor not in the mask", (1,), ("run.engine_cpu is", "may use"), *run, env={"HWAL_RUN_ENGINE_CPU": "1023"})
        if len(cpus) > 1:
            case("adapter's processor outside taskset", (1,), ("run.adapter_cpu is", "may use"), *run, env={"HWAL_RUN_ADAPTER_CPU": str(cpus[-1])},
                 prefix=("taskset", "-c", str(cpus[0])))
        case("RLIMIT_MEMLOCK 0: runs, and says what it does instead", (0,), ("is refused",), *run, prefix=("prlimit", "--memlock=0:0"))
        case("RLIMIT_MEMLOCK 0: doctor warns", (0, 1), ("memory lock",), "doctor", prefix=("prlimit", "--memlock=0:0"))
        case("huge pages missing: stated", (0, 1), ("huge pages",), "doctor")
        case("too few open files", (1,), ("open files",), *run, prefix=("prlimit", "--nofile=40:40"))
        for name, good, rc, line in cases:
            print(f"    {'ok  ' if good else 'FAIL'} exit {rc}  {name}: {line}")
        print(f"P12 refused or stated fallback before trading: {sum(c[1] for c in cases)}/{len(cases)} cases (bar: exit code and message per case)")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def end(i):
    if i.supervisor and i.supervisor.poll() is None:
        i.kill_all()
    if not os.environ.get("HWAL_KEEP"):
        i.clean()


ALL = [stopped_monitor, stopped_engine, power_loss, full_disk, full_shm, full_shm_running, second_supervisor, kill_switch, idle,
       P7_attach, P8_live, P10_races, P11_versions, P12_refused]
but = "--but" in sys.argv[1:]
names = tuple(a for a in sys.argv[1:] if a != "--but")
for f in ALL:
    name = f.__name__.replace("_", "-")
    if not names or name.startswith(names) != but:
        began = time.monotonic()
        f()
        print(f"{name}: {time.monotonic() - began:.1f} s", flush=True)
done()
