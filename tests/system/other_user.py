#!/usr/bin/env python3
"""An instance of one ordinary user, looked at by another user of the group: every view works, nothing can be written.

Only root can make the users; else skipped by name (exit 77)."""

import ctypes
import glob
import json
import mmap
import os
import shutil
import subprocess
import sys
import tempfile
import time

from instance import HWAL, ROOT, check, done

if os.getuid() != 0:
    print("SKIP other-user: only root can create the users")
    sys.exit(77)

pid = os.getpid()
owner, friend, stranger = (f"hwal-{w}{pid}" for w in ("o", "f", "s"))
place = tempfile.mkdtemp(prefix="hwal-users-", dir="/tmp")
os.chmod(place, 0o755)
shutil.copy(HWAL, place)
shutil.copytree(os.path.join(ROOT, "configs"), os.path.join(place, "configs"))
for u in (owner, friend, stranger):
    subprocess.run(["useradd", "--create-home", u], check=True)
subprocess.run(["usermod", "-a", "-G", owner, friend], check=True)
hwal = os.path.join(place, "hwal")


def as_user(user, *args, **kw):
    return subprocess.run(["runuser", "-u", user, "--", hwal, *args], capture_output=True, text=True, cwd=place, timeout=60, **kw)


def writes_fault(path):
    """the child's exit: 0 a write through a read-only mapping went through, -11 it faulted"""
    child = os.fork()
    if child == 0:
        f = os.open(path, os.O_RDONLY)
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
        libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        at = libc.mmap(None, 4096, mmap.PROT_READ, mmap.MAP_SHARED, f, 0)
        if libc.mprotect(at, 4096, mmap.PROT_READ | mmap.PROT_WRITE) == 0 or libc.ftruncate(f, 0) == 0:
            os._exit(2)
        ctypes.memset(at, 0, 8)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


run = subprocess.Popen(["runuser", "-u", owner, "--", hwal, "run", "--instance", "shown", "--config", "configs/demo.yaml", "--forever", "--quiet"],
                       cwd=place, stdout=open(os.path.join(place, "log"), "w"), stderr=subprocess.STDOUT)
try:
    for _ in range(100):
        r = as_user(owner, "status", "--instance", "shown", "--json")
        if r.returncode == 0 and json.loads(r.stdout)["state"] == "RUN":
            break
        time.sleep(0.1)
    check("runs as an ordinary user", r.returncode == 0, r.stderr + open(os.path.join(place, "log")).read()[-500:])
    time.sleep(1.5)
    for view in ("status", "top --once", "books", "orders", "positions", "feeds", "lat"):
        r = as_user(friend, *view.split(), "--instance", "shown", "--user", owner, "--json")
        try:
            json.loads(r.stdout)
            good = r.returncode == 0
        except ValueError:
            good = False
        check(f"a friend of the group: {view} --json", good, f"{r.returncode} {r.stderr[-300:]} {r.stdout[:100]}")
    r = as_user(friend, "tail", "-n", "20", "--json", "--instance", "shown", "--user", owner)
    lines = r.stdout.splitlines()
    check("tail -n 20 --json gives 20 JSON lines", r.returncode == 0 and len(lines) == 20 and all(json.loads(x) for x in lines), r.stderr[-300:])
    r = as_user(friend, "kill", "global", "--yes", "--instance", "shown", "--user", owner)
    check("a friend may not kill", r.returncode not in (0,), r.stdout)
    r = as_user(stranger, "status", "--instance", "shown", "--user", owner, "--json")
    check("a stranger sees nothing", r.returncode != 0, r.stdout[:200])

    uid = int(subprocess.run(["id", "-u", owner], capture_output=True, text=True).stdout)
    files = glob.glob(f"/dev/shm/hwal-{uid}/shown/engine.[0-9]*")
    check("the engine's segment is there", files)
    check("segments are 0640 and the owner's", all(os.stat(f).st_mode & 0o777 == 0o640 and os.stat(f).st_uid == uid for f in files))
    ids = {flag: subprocess.run(["id", flag, friend], capture_output=True, text=True).stdout for flag in ("-u", "-g", "-G")}
    friend_uid, friend_gid, groups = int(ids["-u"]), int(ids["-g"]), [int(g) for g in ids["-G"].split()]
    for f in files:
        child = os.fork()
        if child == 0:
            try:
                os.setgroups(groups)
                os.setgid(friend_gid)
                os.setuid(friend_uid)
                try:
                    os.close(os.open(f, os.O_RDWR))
                    os._exit(3)
                except PermissionError:
                    os._exit(0 if writes_fault(f) == -11 else 4)
            except BaseException as e:
                print(e, flush=True)
                os._exit(5)
        rc = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        check("another user: not opened for writing, a write to the mapping faults, mprotect and ftruncate are refused", rc == 0, str(rc))
finally:
    subprocess.run(["pkill", "-TERM", "-u", owner, "-f", "hwal run"])
    try:
        rc = run.wait(20)
        check("orderly stop", rc in (0, 1, 143), str(rc))
        for verb in (["journal", "verify"], ["replay", "--verify"]):
            r = as_user(owner, *verb, "--instance", "shown")
            check(" ".join(verb), r.returncode == 0, (r.stdout + r.stderr)[-300:])
    except subprocess.TimeoutExpired:
        check("orderly stop in 20 s", False)
        subprocess.run(["pkill", "-KILL", "-u", owner])
    for u in (owner, friend, stranger):
        subprocess.run(["pkill", "-KILL", "-u", u])
        subprocess.run(["userdel", "--remove", u], capture_output=True)
    shutil.rmtree(place, ignore_errors=True)
    for d in glob.glob("/dev/shm/hwal-*"):
        try:
            os.stat(d)
            if d == f"/dev/shm/hwal-{uid}":
                shutil.rmtree(d, ignore_errors=True)
        except (OSError, NameError):
            pass
done()
