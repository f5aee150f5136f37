#!/usr/bin/env python3
"""models.py: recorded markets under each model of the simulated venue.

`hwal replay` of the Binance captures, one strategy that only rests (market_maker), its figures by model:
  queue     every model runs without an error; risk_averse <= each probabilistic model <= optimistic in filled orders,
            within the noise of what a strategy does differently after a fill (5 %), and strictly from end to end over
            all captures; the default is risk_averse, to the byte
  latency   constant and drawn: a later order fills no better by chance only, so just that each leg is in force: another
            output hash than the default's, and the same twice; feed latency is not the same as place latency
  fees      tiers and minima change what is paid and nothing else
The captures are read from HWAL_SHARED (default ../shared); without them: SKIP, exit 77."""

import json
import os
import subprocess
import sys
import tempfile

HWAL = os.environ.get("HWAL", "build/release/hwal")
SHARED = os.environ.get("HWAL_SHARED", "../shared")
CAPTURES = ["usdm_ethusdt_20240808", "cm_btcusd_perp_20240808", "spot_btcusdt_20240808"]
QUICK = bool(os.environ.get("HWAL_QUICK"))
MODELS = ["risk_averse", "prob_power3:3", "prob_power:2", "prob_power2:2", "prob_log", "prob_log2", "optimistic"]
STRATEGY = "market_maker"


def replay(capture, *options, config=None):
    args = [HWAL, "replay", f"{SHARED}/data/binance/{capture}.gz", "--strategy", STRATEGY, "--json", "--quiet", *options]
    if config:
        args += ["--config", config]
    run = subprocess.run(args, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"FAIL {' '.join(args)}: exit {run.returncode}: {run.stderr.strip()}")
    out = json.loads(run.stdout)
    assert not out["errors"], out["errors"]
    return out


def refused(*options, says):
    args = [HWAL, "replay", f"{SHARED}/data/binance/{CAPTURES[0]}.gz", "--quiet", *options]
    run = subprocess.run(args, capture_output=True, text=True)
    assert run.returncode == 2 and says in run.stderr, (options, run.returncode, run.stderr)


def fees_of(out):
    return {ccy: float(p["fees"]) for ccy, p in out["pnl"].items()}


def queue(directory):
    totals = dict.fromkeys(MODELS, 0)
    for capture in CAPTURES[:1] if QUICK else CAPTURES:
        plain = replay(capture)
        fills = {}
        for model in MODELS:
            out = replay(capture, "--queue", model)
            assert out["models"]["queue"] == model, out["models"]
            fills[model] = out["fills"]
            totals[model] += out["fills"]
            if model == "risk_averse":
                assert out["output_hash"] == plain["output_hash"], "risk_averse is the default"
        print(f"{capture:26} fills: " + "  ".join(f"{m} {n}" for m, n in fills.items()))
        for model in MODELS[1:-1]:
            assert fills["risk_averse"] * 0.95 <= fills[model] <= fills["optimistic"] * 1.05, (capture, model, fills)
    print("all".ljust(26), "fills: " + "  ".join(f"{m} {n}" for m, n in totals.items()))
    assert totals["risk_averse"] < totals["optimistic"], totals


def latency(directory):
    table = os.path.join(directory, "lat.json")
    with open(table, "w") as f:
        json.dump({"histograms": [{"role": "engine", "name": "decide", "unit": "ns",
                                   "buckets": [[1000000, 900], [5000000, 90], [80000000, 10]]}]}, f)
    capture = CAPTURES[0]
    seen = {replay(capture)["output_hash"]: "default"}
    legs = ["place", "amend", "cancel", "ack", "fill", "feed"]
    cases = [(leg, f"{leg}=20ms") for leg in (["place", "feed"] if QUICK else legs)]
    cases += [("drawn", f"place=histogram {table} engine.decide"), ("x2", f"place=histogram {table} engine.decide 2")]
    for name, spec in cases:
        out = replay(capture, "--latency", spec)
        print(f"latency {name:7} fills {out['fills']:5}  orders {out['orders']:5}  {out['output_hash']}")
        leg, text = spec.split("=", 1)
        assert out["models"]["latency"][leg] == text, out["models"]
        if leg != "cancel":  # market_maker replaces, it does not cancel
            assert out["output_hash"] not in seen, (name, seen)
        seen[out["output_hash"]] = name
    assert out["output_hash"] == replay(capture, "--latency", cases[-1][1])["output_hash"], "drawn, and not the same twice"
    refused("--latency", "place=20", says="is neither 0 to")
    refused("--latency", "back=20ms", says="does not begin with one of: place=")
    refused("--latency", "place=histogram /nonexistent a.b", says="/nonexistent cannot be opened")
    refused("--latency", f"place=histogram {table} engine.event", says="no histogram engine.event")
    refused("--queue", "prob_power", says="is none of risk_averse")
    refused("--latency", "feed=1ms", "--check", says="does not go with latency.feed")


def fees(directory):
    config = os.path.join(directory, "fees.yaml")
    with open(config, "w") as f:
        f.write('fees:\n  window_days: 30\n  min_fill: "0.5"\n  tiers:\n'
                '    - { from: "100000", maker_bps: "1", taker_bps: "4" }\n'
                '    - { from: "200000", maker_bps: "-0.5", taker_bps: "3" }\n')
    plain, tiered = replay(CAPTURES[0]), replay(CAPTURES[0], config=config)
    assert plain["fills"] == tiered["fills"], (plain["fills"], tiered["fills"])
    assert len(tiered["models"]["fees"]["tiers"]) == 2
    before, after = fees_of(plain), fees_of(tiered)
    print("fees", before, "with tiers and a minimum", after)
    assert all(after[ccy] != before[ccy] for ccy in before), (before, after)


def main():
    if not os.path.exists(f"{SHARED}/data/binance/{CAPTURES[0]}.gz"):
        print(f"SKIP models: no captures in {SHARED}/data/binance")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as directory:
        for part in (queue, latency, fees):
            part(directory)
    print("models: all hold")


if __name__ == "__main__":
    main()
