#!/usr/bin/env python3
"""kill -9 of the engine, the adapter, the journal and the supervisor in mid-burst, again and again: everything comes back,
nothing acknowledged is lost, nothing is sent twice, and the replay of the journal gives every hash that was recorded.

KILLS=20 by default; HWAL_SEED repeats a run."""

import collections
import os
import random
import signal
import sys
import time

from instance import Instance, check, done, wait_for

kills = int(os.environ.get("KILLS", "20"))
seed = int(os.environ.get("HWAL_SEED", str(time.time_ns() % 1000000)))
print(f"seed {seed}, {kills} kills")
rng = random.Random(seed)
i = Instance(f"kills{os.getpid()}", args=("--seed", str(seed)))
restarts = collections.Counter()
slowest = collections.defaultdict(float)
try:
    i.run("--rate", "20000")
    i.up()
    for n in range(kills):
        time.sleep(rng.uniform(0.05, 0.6))
        role = ("engine", "sim", "journal", "supervisor")[n % 4]
        before = i.roles()
        if role == "supervisor":
            i.supervisor.kill()
            i.supervisor.wait()
            time.sleep(rng.uniform(0, 0.3))
            began = time.monotonic()
            i.run("--rate", "20000")
        else:
            began = time.monotonic()
            os.kill(before[role]["pid"], signal.SIGKILL)
        if role == "engine":
            pm = i.view("postmortem")
            check("postmortem has orders, positions, events", all(k in pm for k in ("orders", "positions", "events")), str(list(pm))[:200])

        def back():
            s = i.status()
            if not s or s["state"] != "RUN":
                return None
            now = {r["role"]: r for r in s["roles"] if r.get("pid")}
            if set(now) != set(before) or any(r["state"] != "RUN" for r in now.values()):
                return None
            return now if now[role]["pid"] != before[role]["pid"] else None

        after = wait_for(f"kill {n + 1}: {role} comes back", 20, back)
        if after is None:
            print(i.log_tail())
            break
        slowest[role] = max(slowest[role], time.monotonic() - began)
        restarts[role] += 1
        same = [r for r in before if r != role and before[r]["pid"] != after[r]["pid"]]
        check(f"kill {n + 1}: the others ({role} was killed) live on", not same, str(same))
    time.sleep(1.5)
    accounts = i.view("positions").get("accounts", [])
    check("accounts are there", accounts)
    check("every account trades: reconciled with the venue", all(a["state_code"] == 0 for a in accounts), str(accounts)[:600])
    orders_before = i.view("orders")
    rc = i.stop()
    check("orderly stop", rc in (0, 1), f"exit {rc}: {i.log_tail()}")
    i.verified()

    # the journal itself: each order left once, each execution was booked once, and nothing was refused as repeated
    sent, executions, repeated, rejected = collections.Counter(), collections.Counter(), 0, 0
    resting, unsaid = set(), set()
    for r in i.journal("--type", "ORDER_REQUEST"):
        if r["head"]["kind"] == "OUTPUT" and r["msg"]["body"]["action"] == "NEW":
            sent[r["msg"]["body"]["cl_ord_id"]] += 1
    for r in i.journal("--type", "EXEC_REPORT"):
        body, kind = r["msg"]["body"], r["head"]["kind"]
        if kind == "OUTPUT" and body["exec_type"] == "TRADE":
            executions[(body["instrument_id"], body["exec_id_hi"], body["exec_id_lo"], body["cl_ord_id"])] += 1
        if kind == "INPUT" and body["exec_type"] == "NEW":
            resting.add(body["cl_ord_id"])
        if kind == "INPUT" and body["exec_type"] == "UNSENT" and body["cl_ord_id"] in resting:
            unsaid.add(body["cl_ord_id"])
        if kind == "INPUT" and body["exec_type"] == "REJECTED":
            rejected += 1
            repeated += body["reject_code"] == 6
    check("orders were sent and filled", len(sent) > 100 and len(executions) > 20, f"{len(sent)} {len(executions)}")
    check("no ClOrdID twice", max(sent.values(), default=0) == 1)
    check("no execution booked twice", max(executions.values(), default=0) == 1)
    check("the venue saw no order twice", repeated == 0, f"{repeated}")
    check("no order that the venue took is told as never sent", not unsaid, f"{len(unsaid)}: {sorted(unsaid)[:5]}")
    print(f"{sum(restarts.values())} kills {dict(restarts)}, slowest return "
          f"{ {k: round(v, 2) for k, v in slowest.items()} } s, {len(sent)} orders, {len(executions)} executions, {rejected} rejected")
finally:
    if i.supervisor and i.supervisor.poll() is None:
        i.kill_all()
    if not os.environ.get("HWAL_KEEP"):
        i.clean()
done()
