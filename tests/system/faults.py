#!/usr/bin/env python3
"""Faults from outside that take seconds: a stopped monitor, a stopped engine, power loss, a full disk, a full /dev/shm.

Each by name; `faults.py NAME...` runs some. STOP_SECONDS=10 by default."""

import glob
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from instance import HWAL, Instance, check, done, wait_for

STOP = float(os.environ.get("STOP_SECONDS", "10"))
RESUME = ("--resume",)


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


def end(i):
    if i.supervisor and i.supervisor.poll() is None:
        i.kill_all()
    if not os.environ.get("HWAL_KEEP"):
        i.clean()


ALL = [stopped_monitor, stopped_engine, power_loss, full_disk, full_shm, full_shm_running, second_supervisor, kill_switch, idle]
for f in ALL:
    name = f.__name__.replace("_", "-")
    if len(sys.argv) == 1 or name in sys.argv[1:]:
        began = time.monotonic()
        f()
        print(f"{name}: {time.monotonic() - began:.1f} s", flush=True)
done()
