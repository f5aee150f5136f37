#!/usr/bin/env python3
"""hwal order, hwal limits, hwal kill --flatten on a live instance of the demonstration: every order type and term, by the
venue or emulated; lists; algorithms; denials with their text; replace, cancel, cancel-all; limits changed all or nothing, their
history and difference; what may not be raised is refused; a restart keeps limits and held orders; the journal replays equal.

Overrides with four eyes need two users: as root two are made, else that part is skipped by name."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from decimal import Decimal

from instance import HWAL, ROOT, Instance, check, done, wait_for

SCHEMA = os.path.join(ROOT, "tests/system/schema.py")
EYES = f"hwal-e{os.getpid()}" if os.getuid() == 0 else None  # another user, of root's group
CONFIG = tempfile.NamedTemporaryFile("w", prefix="hwal-orders-", suffix=".yaml")
with open(os.path.join(ROOT, "configs/demo.yaml"), encoding="utf-8") as f:
    CLIENTS = "  clients:\n    - { name: chief, rights: [check, limits, raise, approve] }\n"
    if EYES:
        CLIENTS += f"    - {{ name: eyes, user: {EYES}, rights: [limits, approve] }}\n"
    head, tail = f.read().split("  clients:", 1)
    CONFIG.write(head + CLIENTS + tail.split("\n", 1)[1])
    CONFIG.flush()
if EYES:
    subprocess.run(["useradd", "-G", "root", EYES], check=True)
i = Instance(f"orders{os.getpid()}", config=CONFIG.name)


def cli(*args, ok=None):
    return i.hwal(args[0], *args[1:2], "--instance", i.name, *args[2:], ok=ok)


def fits(schema, text, what):
    r = subprocess.run([sys.executable, SCHEMA, os.path.join(ROOT, f"docs/schema/{schema}.schema.json")], input=text,
                       capture_output=True, text=True)
    check(f"{what}: fits {schema}.schema.json", r.returncode == 0, (r.stdout + r.stderr)[-300:])


def order(what, *args, codes=(0,)):
    """one order command with --json; its answer"""
    r = cli("order", *args, "--json")
    check(f"{what}: exit {r.returncode}", r.returncode in codes, (r.stdout + r.stderr)[-400:])
    try:
        answer = json.loads(r.stdout)
    except ValueError:
        check(f"{what}: is JSON", False, (r.stdout + r.stderr)[-300:])
        return {"orders": [], "probes": []}
    fits("order", r.stdout, what)
    return answer


def book():
    b = next(b for b in i.view("books")["books"] if b["symbol"] == SYMBOL)
    return Decimal(b["bid_px"]), Decimal(b["ask_px"])


def px(factor):
    """a price on the tick, that far from the market"""
    bid, _ = book()
    tick = Decimal(1).scaleb(-EXP)
    return str((bid * Decimal(factor) / tick).to_integral_value() * tick)


def orders(which="orders"):
    return {o["cl_ord_id"]: o for o in i.view("orders", "--all")[which]}


def one(answer):
    return answer["orders"][0] if answer["orders"] else {"accepted": None, "cl_ord_id": 0, "order": None, "code_name": "?"}


def status(cl_ord_id):
    held, sent = orders("held"), orders()
    return (held.get(cl_ord_id) or sent.get(cl_ord_id) or {}).get("ord_status")


def resting(what, *terms, side="buy", where="orders"):
    a = one(order(what, "new", SYMBOL, side, QTY, "--account", ACCOUNT, *terms))
    check(f"{what}: accepted", a["accepted"], json.dumps(a)[:400])
    found = wait_for(f"{what}: stands in {where}", 5, lambda: orders(where).get(a["cl_ord_id"]))
    return a["cl_ord_id"], found or {}


try:
    i.run("--rate", "2000", "--strategy", "sma_cross")
    i.up()
    books = wait_for("books are live", 20, lambda: [b for b in i.view("books")["books"]
                                                    if b["health"] == "LIVE" and b["bid_px"] and b["symbol"].endswith("USDT")])
    SYMBOL = books[0]["symbol"]
    EXP = len(books[0]["bid_px"].split(".")[1]) if "." in books[0]["bid_px"] else 0
    ACCOUNT = str(next(a["account_id"] for a in i.view("positions")["accounts"] if a["ccy"] == "USDT"))
    QEXP = len(books[0]["bid_qty"].split(".")[1]) if "." in books[0]["bid_qty"] else 0
    QTY = str((Decimal(200) / Decimal(books[0]["bid_px"])).quantize(Decimal(1).scaleb(-min(QEXP, 3))) or 1)

    r = cli("limits", "set", f"instrument:{SYMBOL}", "collar_bp=4", "--reason", "the generated market has a narrow band")
    check("limits set: the collar of an instrument", r.returncode == 0, r.stdout + r.stderr)

    # ---- what is wrong before it is sent
    r = cli("order", "new", SYMBOL, "buy", QTY, "--account", ACCOUNT, "--limit", px("0.9996") + "00000000001")
    check("too many places are refused with the scale", r.returncode == 2 and "places" in r.stderr, r.stderr)
    r = cli("order", "new", SYMBOL, "buy", "0", "--limit", px("0.9996"), "--account", ACCOUNT)
    check("a quantity of 0 is refused", r.returncode == 2 and "above 0" in r.stderr, r.stderr)
    r = cli("order", "new", "NONE-SUCH", "buy", "1")
    check("an unknown symbol is named", r.returncode == 2 and "NONE-SUCH" in r.stderr, r.stderr)
    r = cli("order", "new", SYMBOL, "buy", QTY, "--tif", "gtd", "--limit", px("0.9996"), "--account", ACCOUNT)
    check("gtd without an end is refused", r.returncode == 2 and "until when" in r.stderr, r.stderr)
    r = cli("order", "types", "--json")
    check("types are a table", r.returncode == 0 and len(json.loads(r.stdout)["types"]) > 10, r.stdout[:200])

    # ---- plain orders
    plain, row = resting("limit gtc", "--limit", px("0.9996"), "--tif", "gtc")
    check("limit gtc: columns", row.get("ord_type") == "LIMIT" and row.get("tif") == "GTC", str(row)[:300])
    a = order("replace", "replace", str(plain), "--limit", px("0.9995"), "--wait=5")
    check("replace: the price is the new one", one(a)["order"] and Decimal(one(a)["order"]["px"]) < Decimal(row["px"]), str(a)[:400])
    order("cancel", "cancel", str(plain), "--wait=10")
    check("cancel: it is cancelled", status(plain) == "CANCELED", str(status(plain)))
    a = order("market", "new", SYMBOL, "buy", QTY, "--account", ACCOUNT, "--wait=10", codes=(0, 1))
    check("market: filled", one(a)["order"] and one(a)["order"]["ord_status"] == "FILLED", str(a)[:400])
    for tif in ("ioc", "fok"):
        a = order(tif, "new", SYMBOL, "sell", QTY, "--limit", px("0.9998"), "--tif", tif, "--account", ACCOUNT, "--wait=10", codes=(0, 1))
        check(f"{tif}: it ends", one(a)["order"] and one(a)["order"]["ord_status"] in ("FILLED", "CANCELED", "EXPIRED"), str(a)[:400])

    # ---- denials say code, observed, limit, unit, scope
    far = one(order("far", "new", SYMBOL, "buy", QTY, "--tif", "gtc", "--limit", px("1.2"), "--account", ACCOUNT, codes=(1,)))
    check("through the collar: 181", far["code_name"] == "COLLAR_BUY" and far["unit"] == "px" and far["limit"] and far["scope"], str(far)[:400])
    r = cli("order", "new", SYMBOL, "buy", QTY, "--tif", "gtc", "--limit", px("1.2"), "--account", ACCOUNT)
    check("the text says it too", "COLLAR_BUY" in r.stderr and "limit" in r.stderr and "scope" in r.stderr, r.stderr)
    probe = order("dry run", "new", SYMBOL, "buy", QTY, "--limit", px("0.9996"), "--account", ACCOUNT, "--dry-run")["probes"]
    check("dry run: passes, and nothing is sent", probe and probe[0]["accepted"], str(probe)[:300])

    # ---- what the engine holds
    held = {}
    for what, terms, side in (("stop", ("--stop", px("1.0005")), "buy"), ("stop limit", ("--stop", px("1.0005"), "--limit", px("1.0006")), "buy"),
                              ("trailing stop", ("--trail", str((book()[0] * Decimal("0.0005")).quantize(Decimal(1).scaleb(-EXP)))), "sell"), ("touched", ("--touch", px("0.9996")), "buy"),
                              ("limit if touched", ("--touch", px("0.9996"), "--limit", px("0.9995")), "buy"),
                              ("stop by mid", ("--stop", px("1.0005"), "--trigger", "mid"), "buy")):
        held[what], row = resting(what, *terms, side=side, where="held")
        check(f"{what}: it waits", row.get("state") == "WAITING", str(row)[:300])
    soon, _ = resting("gtd", "--limit", px("0.9996"), "--until", "+3s", where="held")
    wait_for("gtd: it expires", 15, lambda: status(soon) in ("EXPIRED", "CANCELED"))
    a = order("stop beyond the market", "new", SYMBOL, "buy", QTY, "--stop", px("0.9996"), "--account", ACCOUNT, "--wait=15", codes=(0, 1))
    check("stop beyond the market: triggers at once", one(a)["order"] and one(a)["order"]["ord_status"] == "FILLED", str(a)[:400])
    a = order("market to limit", "new", SYMBOL, "buy", QTY, "--market-to-limit", "--account", ACCOUNT, "--wait=10", codes=(0, 1))
    check("market to limit: filled or rests", one(a)["order"] and one(a)["order"]["ord_status"] in ("FILLED", "PARTIALLY_FILLED", "NEW"), str(a)[:400])

    # ---- lists
    a = order("oco", "new", SYMBOL, "buy", QTY, "--limit", px("0.9996"), "--account", ACCOUNT, "--oco", "buy", QTY, "--stop", px("1.0006"), "--account", ACCOUNT)
    ids = [o["cl_ord_id"] for o in a["orders"]]
    check("oco: one list", len(ids) == 2 and len({o["list_id"] for o in a["orders"]}) == 1, str(a)[:400])
    if len(ids) == 2:
        order("oco: cancel the first", "cancel", str(ids[0]), "--wait=10")
        check("oco: the first is cancelled", status(ids[0]) == "CANCELED", str(status(ids[0])))
    a = order("bracket", "new", SYMBOL, "buy", QTY, "--limit", px("1.0003"), "--account", ACCOUNT, "--bracket", "--take-profit", px("1.0009"), "--stop-loss", px("0.9992"))
    check("bracket: three orders", len(a["orders"]) == 3 and all(o["accepted"] for o in a["orders"]), str(a)[:600])

    # ---- algorithms
    slices = str(Decimal(QTY) * 4)
    a = one(order("twap", "new", SYMBOL, "buy", slices, "--algo", "twap", "--over", "4s", "--slices", "4", "--account", ACCOUNT))
    check("twap: accepted", a["accepted"], str(a)[:400])
    wait_for("twap: it ends", 20, lambda: status(a["cl_ord_id"]) in ("FILLED", "EXPIRED", "CANCELED"))
    ice = one(order("iceberg", "new", SYMBOL, "buy", slices, "--limit", px("0.9996"), "--algo", "iceberg", "--display", QTY, "--account", ACCOUNT))
    check("iceberg: accepted", ice["accepted"], str(ice)[:400])

    # ---- limits
    scope = f"account:{ACCOUNT}"
    r = cli("limits", "get", scope, "--json")
    fits("limits", r.stdout, "limits get")
    now = {x["field"]: x for x in json.loads(r.stdout)["limits"]} if r.returncode == 0 else {}
    check("limits get: fields with values and use", len(now) > 10 and now.get("max_gross", {}).get("used") is not None, str(now)[:300])
    gross = now["max_gross"]["value"]
    lower = str(Decimal(gross) / 2)
    r = cli("limits", "set", scope, f"max_gross={lower}", f"max_net={lower}", "--reason", "a test of orders.py", "--json")
    check("limits set: lowered", r.returncode == 0 and len(json.loads(r.stdout)["changes"]) == 2, r.stdout + r.stderr)
    fits("limits", r.stdout, "limits set")
    r = cli("limits", "set", scope, f"max_gross={gross}", "--reason", "up again")
    check("limits set: raising is refused", r.returncode == 1 and "NOT_AUTHORISED" in r.stderr, r.stdout + r.stderr)
    r = cli("limits", "set", scope, "max_net=1", "max_open_orders=-1", "--reason", "one of them is wrong")
    check("limits set: all or none, by bounds", r.returncode == 2 and "max_open_orders" in r.stderr, r.stdout + r.stderr)
    r = cli("limits", "set", scope, "rate_n=90", "rate_n=80", "--reason", "twice")
    check("limits set: a limit given twice is refused", r.returncode == 2 and "given twice" in r.stderr, r.stdout + r.stderr)
    r = cli("limits", "set", "account:63", "max_gross=1", "--reason", "nobody's")
    check("limits set: an account that is not there is named", r.returncode == 2 and "no account 63" in r.stderr, r.stdout + r.stderr)
    r = cli("limits", "set", scope, "collar_bp=1", "--reason", "not of an account")
    check("limits set: of which scopes a limit is", r.returncode == 2 and "a limit of instrument" in r.stderr, r.stdout + r.stderr)
    version = i.view("status")["open"]["limits_version"]
    check("limits diff: from now on nothing", cli("limits", "diff", "--from", str(version)).returncode == 0)
    r = cli("limits", "diff", "--from", str(version + 1000))
    check("limits diff: a version that is not there", r.returncode == 2 and "newest" in r.stderr, r.stdout + r.stderr)
    r = cli("order", "new", SYMBOL, "buy", QTY, "--limit", px("0.9996"), "--until", "2020-01-01T00:00", "--account", ACCOUNT)
    check("gtd whose time is over", r.returncode == 2 and "is over" in r.stderr, r.stdout + r.stderr)
    r = cli("alerts", "--all", "--json")
    check("alerts: open ones are exit 1", r.returncode in (0, 1), r.stderr)
    fits("alerts", r.stdout, "alerts")
    r = cli("alerts", "--json", "--ack", "999999", "--reason", "none")
    check("alerts: an unknown number is refused", r.returncode == 1 and "none of this number" in r.stderr, r.stdout + r.stderr)
    trail = os.path.join(i.home, "audit.jsonl")
    fits("audit", cli("audit", "--json").stdout, "audit")
    r = cli("audit", "--json", "--export", trail)
    check("audit: exported", r.returncode == 0 and "audits in" in r.stdout, r.stdout + r.stderr)
    r = cli("audit", "--json", "--verify", trail)
    check("audit: the export verifies", r.returncode == 0 and "the chain holds" in r.stdout, r.stdout + r.stderr)
    yaml = os.path.join(i.home, "limits.yaml")
    with open(yaml, "w", encoding="utf-8") as f:
        f.write(cli("limits", "get", scope, "--yaml").stdout)
    r = cli("limits", "diff", yaml)
    check("limits diff: none against itself", r.returncode == 0, r.stdout + r.stderr)
    with open(yaml, "w", encoding="utf-8") as f:
        f.write(f"limits:\n  - \"{scope} rate_n=90\"\n  - \"{scope} no_such=1\"\n")
    r = cli("limits", "set", "--file", yaml, "--reason", "a file")
    check("limits set --file: names file and line", r.returncode == 2 and "line 3" in r.stderr and "no_such" in r.stderr, r.stderr)
    with open(yaml, "w", encoding="utf-8") as f:
        f.write(f"limits:\n  - \"{scope} rate_n=90\"\n")
    r = cli("limits", "diff", yaml)
    check("limits diff: names what differs", r.returncode == 1 and "rate_n" in r.stdout, r.stdout + r.stderr)
    r = cli("limits", "set", "--file", yaml, "--reason", "a file")
    check("limits set --file", r.returncode == 0, r.stdout + r.stderr)
    time.sleep(0.5)
    r = cli("limits", "history", scope, "--json")
    rows = json.loads(r.stdout)["history"] if r.returncode == 0 else []
    check("limits history: who, old, new, why", any(x["field"] == "max_gross" and x["reason"] == "a test of orders.py" and x["user"] not in ("", "configuration")
                                                   for x in rows), (r.stdout + r.stderr)[-600:])
    fits("limits", r.stdout, "limits history")

    # ---- raising, and overrides with four eyes
    r = cli("limits", "set", scope, f"max_net={gross}", "--client", "chief", "--reason", "who may raise raises")
    check("a client with the right raises", r.returncode == 0, r.stdout + r.stderr)
    r = cli("limits", "ask", scope, f"max_gross={gross}", "--until", "+10m", "--reason", "a block", "--json")
    asked = json.loads(r.stdout)["changes"] if r.returncode == 0 else []
    check("limits ask", len(asked) == 1 and asked[0]["new"] == gross, r.stdout + r.stderr)
    number = str(asked[0]["change_id"]) if asked else "1"
    r = cli("limits", "approve", number, "--client", "chief", "--reason", "by the same person")
    check("the one who asked may not approve", r.returncode == 1 and "refused" in r.stderr, r.stdout + r.stderr)
    if EYES:
        r = subprocess.run(["runuser", "-u", EYES, "--", HWAL, "limits", "approve", number, "--instance", i.name, "--user", "root",
                            "--client", "eyes", "--reason", "seen"], capture_output=True, text=True, timeout=60, cwd="/")
        check("another user approves", r.returncode == 0, r.stdout + r.stderr)
        r = cli("limits", "get", scope, "--json")
        now = {x["field"]: x["value"] for x in json.loads(r.stdout)["limits"]}
        check("the override is in force", now["max_gross"] == gross, str(now)[:300])
    else:
        print("SKIP four eyes: only root can make a second user")
    r = cli("limits", "revoke", number, "--reason", "over")
    check("limits revoke", r.returncode == 0, r.stdout + r.stderr)

    # ---- cancel-all, kill and flatten
    resting("limit before cancel-all", "--limit", px("0.9996"), "--tif", "gtc")
    r = cli("order", "cancel-all", "--account", ACCOUNT)
    check("cancel-all asks", r.returncode == 2 and "not confirmed" in r.stderr, r.stderr)
    a = order("cancel-all", "cancel-all", "--account", ACCOUNT, "--yes")
    check("cancel-all: none is open", a.get("open_orders") == 0, str(a)[:300])
    r = cli("kill", "account", ACCOUNT, "--flatten", "--reason", "end of the test", "--yes", "--wait", "20")
    check("kill --flatten", r.returncode == 0, r.stdout + r.stderr)
    r = i.hwal("audit", "--instance", i.name, "--json", ok=None)
    check("both stand in the audit", '"KILL"' in r.stdout and '"FLATTEN"' in r.stdout and "end of the test" in r.stdout, (r.stdout + r.stderr)[-400:])
    # ---- a restart keeps limits and held orders
    r = cli("kill", "account", ACCOUNT, "--clear", "--reason", "go on", "--yes")
    check("kill --clear", r.returncode == 0, r.stdout + r.stderr)
    stays, _ = resting("stop before a crash", "--stop", px("1.0005"), "--tif", "gtc", where="held")
    os.kill(i.roles()["engine"]["pid"], signal.SIGKILL)
    time.sleep(0.5)
    i.up()
    wait_for("a crash keeps what was held", 10, lambda: orders("held").get(stays, {}).get("state") == "WAITING")
    r = cli("limits", "get", scope, "--json")
    now = {x["field"]: x["value"] for x in json.loads(r.stdout)["limits"]} if r.returncode == 0 else {}
    check("a crash keeps limits", Decimal(now.get("max_gross", "0")) == Decimal(lower) and now.get("rate_n") == "90", str(now)[:300])
    i.stop()
    i.verified()
finally:
    i.kill_all()
    i.clean()
    if EYES:
        subprocess.run(["userdel", "-r", EYES], capture_output=True)
done()
