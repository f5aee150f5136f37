#!/usr/bin/env python3
"""An instance of one ordinary user, looked at by another user of the group: every view works, nothing can be written.

Only root can make the users; else skipped by name (exit 77)."""

import ctypes
import glob
import json
import mmap
import os
import shutil
import socket
import stat
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


libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
MAP_FAILED = ctypes.c_void_p(-1).value


def mapping(path, protection=mmap.PROT_READ):
    return libc.mmap(None, 4096, protection, mmap.MAP_SHARED, os.open(path, os.O_RDONLY), 0)


def refused(attempt):
    try:
        attempt()
        return False
    except OSError:
        return True


def attack_open_for_writing(seg, engine):
    return refused(lambda: os.open(seg, os.O_RDWR)) and refused(lambda: os.open(seg, os.O_WRONLY | os.O_TRUNC))


def attack_reopen_by_proc(seg, engine):
    fd = os.open(seg, os.O_RDONLY)
    return refused(lambda: os.open(f"/proc/self/fd/{fd}", os.O_RDWR)) and refused(lambda: os.open(f"/proc/{engine}/mem", os.O_RDWR))


def attack_writable_mapping(seg, engine):
    return mapping(seg, mmap.PROT_READ | mmap.PROT_WRITE) == MAP_FAILED


def attack_mprotect(seg, engine):
    return libc.mprotect(mapping(seg), 4096, mmap.PROT_READ | mmap.PROT_WRITE) != 0


def attack_write_through_the_mapping(seg, engine):
    at = mapping(seg)
    child = os.fork()
    if child == 0:
        ctypes.memset(at, 0, 8)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -11


def attack_truncate(seg, engine):
    fd = os.open(seg, os.O_RDONLY)
    return refused(lambda: os.ftruncate(fd, 0)) and refused(lambda: os.truncate(seg, 0))


def attack_punch_a_hole(seg, engine):
    fd = os.open(seg, os.O_RDONLY)
    return libc.fallocate(fd, 3, 0, 1 << 16) != 0  # KEEP_SIZE | PUNCH_HOLE


def attack_replace_the_file(seg, engine):
    where = os.path.dirname(seg)
    return all(refused(a) for a in (lambda: os.unlink(seg), lambda: os.rename(seg, seg + "x"), lambda: os.symlink("/etc/passwd", where + "/engine.9999999"),
                                    lambda: os.open(where + "/engine.9999999", os.O_CREAT | os.O_RDWR), lambda: os.chmod(seg, 0o666)))


def attack_bells_mail_and_signals(seg, engine):
    where = os.path.dirname(seg)
    good = refused(lambda: os.kill(engine, 9))
    for path in glob.glob(where + "/*"):
        if path.endswith(".ctl") or path.endswith("venue.sock"):
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                good &= refused(lambda: socket.socket(socket.AF_UNIX, kind).connect(path))
        elif path.endswith(".lock") or path.endswith("words") or stat.S_ISFIFO(os.stat(path).st_mode):
            good &= refused(lambda: os.open(path, os.O_RDWR | os.O_NONBLOCK))
    return good


def attack_lanes_memory(seg, engine):
    """the memfds of lanes: not by /proc, and not by the socket for one whose name is not in the configuration"""
    good = refused(lambda: os.listdir(f"/proc/{engine}/fd"))
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    link.settimeout(3)
    try:
        link.connect(os.path.dirname(seg) + "/lane.sock")
        link.send(b"\0" * 64)
        _, fds, _, _ = socket.recv_fds(link, 4096, 4)
        good &= not fds
    except OSError:
        pass
    return good


def as_friend(what, ids):
    """what() in a child that is the friend; its exit code is 0 when it is true"""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(ids[2])
            os.setgid(ids[1])
            os.setuid(ids[0])
            os._exit(0 if what() else 1)
        except BaseException as e:
            print(repr(e), flush=True)
            os._exit(5)
    return child


ATTACKS = [attack_open_for_writing, attack_reopen_by_proc, attack_writable_mapping, attack_mprotect, attack_write_through_the_mapping, attack_truncate,
           attack_punch_a_hole, attack_replace_the_file, attack_bells_mail_and_signals, attack_lanes_memory]


def old_mapping(seg, ready):
    """what was mapped stays readable to its last byte when its file is gone, and is nobody's to write"""
    fd = os.open(seg, os.O_RDONLY)
    m = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
    os.write(ready[1], b"r")
    end = time.monotonic() + 20
    while os.path.exists(seg) and time.monotonic() < end:
        time.sleep(0.05)
    return sum(m[::4096]) >= 0 and attack_reopen_by_proc_of(fd) and refused(lambda: os.ftruncate(fd, 0))


def attack_reopen_by_proc_of(fd):
    return refused(lambda: os.open(f"/proc/self/fd/{fd}", os.O_RDWR))


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
    engine = next(r["pid"] for r in json.loads(as_user(owner, "status", "--instance", "shown", "--json").stdout)["roles"] if r["role"] == "engine")
    who = (friend_uid, friend_gid, groups)
    failed = []
    for attack in ATTACKS:
        name = attack.__name__.replace("attack_", "").replace("_", " ")
        for f in sorted(glob.glob(f"/dev/shm/hwal-{uid}/shown/*.[0-9]*")):
            child = as_friend(lambda: attack(f, engine), who)
            rc = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if not check(f"P9 {name} on {os.path.basename(f)} fails", rc == 0, str(rc)):
                failed.append(name)
    print(f"P9 hostile reader, a process of another uid: {len(ATTACKS) - len(set(failed))} of {len(ATTACKS)} attacks fail (bar 10 of 10)")
    ready = os.pipe()
    last = sorted(files, key=lambda f: int(f.rsplit(".", 1)[1]))[-1]
    child = as_friend(lambda: old_mapping(last, ready), who)
    os.read(ready[0], 1)
    os.kill(engine, 9)
    for _ in range(100):
        r = as_user(owner, "status", "--instance", "shown", "--json")
        if r.returncode == 0 and json.loads(r.stdout)["state"] == "RUN" and next(x["pid"] for x in json.loads(r.stdout)["roles"] if x["role"] == "engine") != engine:
            break
        time.sleep(0.1)
    os.unlink(last)  # as `segments gc` does, in its time
    rc = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    check("P9 an old mapping and its descriptor: readable, and no more than that", rc == 0, str(rc))
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
