"""instance: one live hwal under test, from the outside: start, look, kill, stop, and read its journal.

Used by the system tests beside it. Everything goes through the command line a user has, and signals."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HWAL = os.environ.get("HWAL", os.path.join(ROOT, "build/release/hwal"))
failures = []
checks = 0


def check(what, ok, detail=""):
    global checks
    checks += 1
    if not ok:
        failures.append(what)
        print(f"FAIL: {what} {detail}", flush=True)
    return ok


def done():
    print(f"{checks} checks, {len(failures)} failed")
    sys.exit(1 if failures else 0)


def wait_for(what, seconds, probe):
    """probe() until it gives something true; fails the check when time is up."""
    end = time.monotonic() + seconds
    while True:
        got = probe()
        if got:
            return got
        if time.monotonic() > end:
            check(what, False, f"(waited {seconds} s)")
            return None
        time.sleep(0.05)


class Instance:
    def __init__(self, name, config=None, env=None, args=()):
        self.name = name
        self.home = tempfile.mkdtemp(prefix="hwal-test-")
        self.env = dict(os.environ, XDG_STATE_HOME=self.home, **(env or {}))
        self.config = config or os.path.join(ROOT, "configs/demo.yaml")
        self.args = list(args)
        self.log = open(os.path.join(self.home, "run.log"), "ab")
        self.supervisor = None

    def hwal(self, *args, ok=(0,), timeout=60):
        r = subprocess.run([HWAL, *args], env=self.env, capture_output=True, text=True, timeout=timeout)
        if ok is not None and r.returncode not in ok:
            check(f"hwal {' '.join(args)} exits {ok}", False, f"{r.returncode}: {r.stderr.strip()[-300:]}")
        return r

    def run(self, *more):
        cmd = [HWAL, "run", "--instance", self.name, "--config", self.config, "--forever", "--quiet", *self.args, *more]
        self.supervisor = subprocess.Popen(cmd, env=self.env, stdout=self.log, stderr=self.log, cwd=ROOT)

    def status(self):
        r = self.hwal("status", "--instance", self.name, "--json", ok=None)
        try:
            return json.loads(r.stdout)
        except ValueError:
            return None

    def roles(self):
        s = self.status()
        return {r["role"]: r for r in s["roles"] if r.get("pid")} if s else {}

    def up(self, seconds=15):
        def probe():
            s = self.status()
            return s if s and s["state"] == "RUN" and all(r["state"] == "RUN" for r in s["roles"] if r.get("pid")) else None

        return wait_for(f"{self.name} runs", seconds, probe)

    def view(self, command, *args):
        r = self.hwal(command, "--instance", self.name, "--json", *args)
        try:
            return json.loads(r.stdout)
        except ValueError:
            check(f"hwal {command} --json is JSON", False, r.stdout[:200])
            return {}

    def stop(self, seconds=20):
        self.supervisor.send_signal(signal.SIGTERM)
        try:
            rc = self.supervisor.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill_all()
            check(f"{self.name} stops in {seconds} s", False, self.log_tail())
            return None
        return rc

    def kill_all(self):
        for r in self.roles().values():
            try:
                os.kill(r["pid"], signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.supervisor:
            self.supervisor.kill()
            self.supervisor.wait()

    def log_tail(self, n=2000):
        self.log.flush()
        with open(self.log.name, "rb") as f:
            return f.read()[-n:].decode(errors="replace")

    def journal(self, *args):
        """all records of the journal, as JSON objects"""
        r = self.hwal("journal", "cat", "--instance", self.name, "--json", *args, timeout=300)
        return [json.loads(line) for line in r.stdout.splitlines()]

    def verified(self):
        """journal whole, and the replay equal in every recorded output and hash"""
        a = self.hwal("journal", "verify", "--instance", self.name, ok=None, timeout=300)
        b = self.hwal("replay", "--verify", "--instance", self.name, ok=None, timeout=300)
        check("journal verify", a.returncode == 0, (a.stdout + a.stderr)[-400:])
        check("replay --verify", b.returncode == 0, (b.stdout + b.stderr)[-400:])
        return a.returncode == 0 and b.returncode == 0

    def clean(self):
        subprocess.run([HWAL, "segments", "gc", "--instance", self.name, "--all"], env=self.env, capture_output=True)
        subprocess.run(["rm", "-rf", self.home])
