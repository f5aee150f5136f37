#!/usr/bin/env python3
"""Lanes of a live instance, by clients in processes of their own (libhwal through ctypes): a lease is one client's at a time;
questions to risk are answered and not journaled; orders rest, fill and are cancelled; kill -9 of a client with open orders
cancels them or keeps them, as configured, and nobody else's; kill -9 of the engine ends every lease, and the next life cleans
up; kill -9 of the supervisor ends none; an orderly stop says so; the journal with all of it replays equal."""

import collections
import ctypes as c
import json
import os
import re
import signal
import time

from instance import ROOT, Instance, check, done, wait_for
from lane_client import BUY, CANCEL, IOC, LIMIT, NEW, OK, REASONS, SELL, GTC, Client, Order, lib


def resting(instance, name, orders):
    """A process of its own that holds a lane with so many orders open, until it is killed. Its pid and strategy."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(r)
        client = Client(instance, name)
        ids = [client.order(n=n + 20 * client.me.lane_id, level=10 + n) for n in range(orders)] if client.lane else []
        client.hear(5, lambda: all(client.has(x, "0") for x in ids))
        os.write(w, json.dumps({"strategy": client.me.strategy_id, "error": client.error, "verdicts": client.verdicts,
                                "open": sum(client.has(x, "0") for x in ids)}).encode())
        os.close(w)
        while True:
            signal.pause()
    os.close(w)
    with os.fdopen(r) as f:
        told = json.loads(f.read() or "{}")
    check(f"{name} rests {orders} orders", told.get("open") == orders, str(told))
    return pid, told.get("strategy")


def kill(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def lane_of(instance, name):
    s = instance.status()
    return next((x for x in s["lanes"] if x["lane"] == name), {}) if s else {}


def open_orders(instance, strategy):
    return [o for o in instance.view("orders").get("orders", []) if o["strategy_id"] == strategy]


def canceled(instance, strategy):
    return [o for o in instance.view("orders", "--all").get("orders", [])
            if o["strategy_id"] == strategy and o["ord_status"] == "CANCELED"]


def config_of(instance):
    text = open(os.path.join(ROOT, "configs/demo.yaml")).read()
    clients = "".join(f"    - {{ name: {n}, accounts: [USDT], rights: [{r}], on_close: {p} }}\n" for n, r, p in
                      (("desk", "check, order", "cancel"), ("keeper", "check, order", "keep"), ("quiz", "check", "cancel")))
    text = re.sub(r"^lanes:.*?(?=^\w)", f"lanes:\n  clients:\n{clients}\n", text, flags=re.S | re.M)
    path = os.path.join(instance.home, "lanes.yaml")
    with open(path, "w") as f:
        f.write(text.replace("start: new", "start: resume"))
    instance.config = path


def leases(i):
    desk = Client(i, "desk")
    check("the desk has its lane", desk.lane, desk.error)
    check("and its identity", desk.me.lane_id == 1 and desk.me.pid == os.getpid() and desk.me.uid == os.getuid())
    other = Client(i, "desk", wait=0.3)
    check("nobody else has it", not other.lane and str(os.getpid()) in other.error, other.error)
    nobody = Client(i, "nobody", wait=0.3)
    check("a name that nobody configured", not nobody.lane and "nobody" in nobody.error, nobody.error)
    shown = lane_of(i, "desk")
    check("status shows it", shown.get("state") == "OPEN" and shown.get("pid") == os.getpid(), str(shown))
    records = {r["role"]: r for r in i.status()["roles"]}["engine"]["counters"]["lane_checks"]
    for n in range(200):
        rc, a = desk.ask(desk.qty())
        check("risk says yes", rc == OK and a.approved == 1 and a.adjusted_qty == desk.qty(), f"{rc} {a.code}")
    rc, a = desk.ask(desk.qty() * 100000)
    check("risk says no, and how much", rc == OK and a.approved == 0 and 0 <= a.adjusted_qty < desk.qty() * 100000)
    after = {r["role"]: r for r in i.status()["roles"]}["engine"]["counters"]["lane_checks"]
    check("every question is counted", after - records == 201, f"{after} {records}")
    return desk


def trades(i, desk, strategies):
    rests = desk.order()
    check("it rests", desk.hear(5, lambda: desk.has(rests, "0")), f"{desk.verdicts} {desk.reports}")
    cancel = desk.order(action=CANCEL, orig=rests)
    check("and is cancelled", desk.hear(5, lambda: desk.has(rests, "4")), f"{desk.verdicts[-2:]} {desk.reports[-3:]}")
    # the sample strategies of this account quote on both sides: stop them, or risk keeps us from trading with ourselves
    for s in strategies:
        i.hwal("kill", "--instance", i.name, "strategy", str(s), "--yes", ok=None)
    time.sleep(1)
    fills = [desk.order(level=0, side=SELL if n % 2 else BUY, n=n, tif=GTC) for n in range(4)]
    sells = desk.order(side=BUY, level=0, n=9)
    check("verdicts come for all, in their order",
          desk.hear(5, lambda: len(desk.verdicts) == 7) and
          [v[0] for v in desk.verdicts] == [rests, cancel, *fills, sells], str(desk.verdicts))
    taken = None
    for n in range(40):  # at their prices, until one is still there when ours arrives
        px = desk.book()[1][2]
        o = Order(instrument_id=desk.ins.d.instrument_id, px=px, qty=desk.qty(n + 30), action=NEW, side=BUY,
                  ord_type=LIMIT, tif=IOC)
        lib.hwal_lane_order(desk.lane, c.byref(o))
        desk.hear(1, lambda: any(r[0] == o.cl_ord_id and r[1] in "FC48" for r in desk.reports))
        if desk.has(o.cl_ord_id, "F"):
            taken = o.cl_ord_id
            break
    check("an order fills", taken, f"{desk.verdicts[-3:]} {desk.reports[-3:]}")
    desk.close()
    wait_for("a lane that is given back is closed at once", 2, lambda: lane_of(i, "desk").get("reason") == "RELEASED")


def kills_of_clients(i):
    desk, keeper = resting(i, "desk", 4), resting(i, "keeper", 4)
    kill(desk[0])
    wait_for("the killed desk's lane is closed", 5, lambda: lane_of(i, "desk").get("reason") == "DEAD")
    wait_for("its orders are cancelled", 5, lambda: not open_orders(i, desk[1]))
    check("the keeper's are not", not canceled(i, keeper[1]) and lane_of(i, "keeper").get("state") == "OPEN")
    kill(keeper[0])
    wait_for("the killed keeper's lane is closed", 5, lambda: lane_of(i, "keeper").get("reason") == "DEAD")
    time.sleep(0.5)
    check("its orders stay", not canceled(i, keeper[1]))


def kills_of_roles(i):
    pid, strategy = resting(i, "desk", 3)
    quiz = Client(i, "quiz")
    before = i.roles()
    os.kill(before["engine"]["pid"], signal.SIGKILL)
    quiz.hear(5, lambda: False if lib.hwal_lane_reason(quiz.lane) == 0 else True)
    check("the engine's death ends a lane", lib.hwal_lane_reason(quiz.lane) != 0)
    quiz.close()
    wait_for("the engine comes back", 20, lambda: i.roles().get("engine", {}).get("pid") not in
             (None, before["engine"]["pid"]) and i.status()["state"] == "RUN")
    check("no lane is leased in its new life", lane_of(i, "desk").get("state") == "NONE")
    wait_for("orders of the old lease are cancelled", 10, lambda: not open_orders(i, strategy))
    kill(pid)
    quiz = Client(i, "quiz")
    check("lanes are leased again", quiz.lane, quiz.error)
    i.supervisor.kill()
    i.supervisor.wait()
    for _ in range(20):
        rc, _ = quiz.ask(quiz.qty())
        check("a lane outlives the supervisor", rc == OK, str(rc))
    i.run()
    i.up()
    check("and is there with the next one", quiz.ask(quiz.qty())[0] == OK and lane_of(i, "quiz").get("state") == "OPEN")
    desk = Client(i, "desk")
    check("whose door is open", desk.lane, desk.error)
    desk.close()
    return quiz


# without the market maker: at the demonstration's rate it uses up what the account may send in a second (271)
i = Instance(f"lanes{os.getpid()}", args=("--strategy", "sma_cross"))
config_of(i)
try:
    i.run()
    i.up()
    wait_for("books are there", 10, lambda: len(i.view("books").get("books", [])) > 0)
    time.sleep(1)
    desk = leases(i)
    strategies = range(1, desk.me.strategy_id)
    trades(i, desk, strategies)
    kills_of_clients(i)
    quiz = kills_of_roles(i)
    for s in strategies:  # set words would outlive the instance
        i.hwal("kill", "--instance", i.name, "strategy", str(s), "--clear", "--yes")
    check("it stops", i.stop() == 0, i.log_tail())
    check("and says so", REASONS[lib.hwal_lane_reason(quiz.lane)] == "STOP", str(lib.hwal_lane_reason(quiz.lane)))
    quiz.close()
    i.verified()
    kinds = collections.Counter(r["msg_type"] for r in i.journal())
    check("leases are in the journal, questions are not", kinds["LANE"] >= 8 and not kinds["RISK_CHECK_REQUEST"]
          and not kinds["RISK_CHECK_RESPONSE"], str(kinds))
finally:
    if i.supervisor and i.supervisor.poll() is None:
        i.kill_all()
    i.clean()
done()
