"""hftbacktest (PyPI) as the price levels of one book, for the comparison in `hwal bench book`.

    python3 levels_hftbacktest.py TRACE SNAPSHOT_STEPS TICK_PX

TRACE holds levels_step_t after levels_step_t (bench/peers/levels.h); the first SNAPSHOT_STEPS are the book to begin with
and not timed. Its API gives no depth alone: events go through a backtest that reads them for the local side only, one
event a call in a compiled loop, and after each the best bid and offer are folded into the checksum. So a line is the
cost of a depth update as a strategy of hftbacktest sees it, the backtest's step included.

Prints a line for each depth: its name, ns an update, checksum. Exit code 77: hftbacktest is not installed.
"""
import sys
import time

try:
    import numpy as np
    from hftbacktest import (BUY_EVENT, DEPTH_EVENT, LOCAL_EVENT, SELL_EVENT, BacktestAsset, HashMapMarketDepthBacktest,
                             ROIVectorMarketDepthBacktest, event_dtype)
    from numba import njit, uint64
except ImportError:
    sys.exit(77)


@njit
def run(hbt, count, tick_px):
    depth = hbt.depth(0)
    total = uint64(0)
    golden = uint64(0x9E3779B97F4A7C15)
    for _ in range(count):
        hbt.wait_next_feed(False, 1000000000)
        bid, ask = depth.best_bid_tick, depth.best_ask_tick  # best_bid_qty of 2.4 gives the price
        total = (total + uint64(bid * tick_px) * uint64(3) + uint64(depth.bid_qty_at_tick(bid)) * uint64(5)
                 + uint64(ask * tick_px) * uint64(7) + uint64(depth.ask_qty_at_tick(ask))) * golden
    return total


@njit
def skip(hbt, count):
    for _ in range(count):
        hbt.wait_next_feed(False, 1000000000)


def events_of(path):
    steps = np.fromfile(path, dtype=[('side', 'u4'), ('tick', 'i4'), ('qty', 'i8')])
    steps = np.append(steps, steps[-1:])  # the last event of all only ends a backtest
    events = np.zeros(len(steps), event_dtype)
    events['ev'] = DEPTH_EVENT | LOCAL_EVENT | np.where(steps['side'] == 0, BUY_EVENT, SELL_EVENT)
    events['exch_ts'] = events['local_ts'] = 1000 * (1 + np.arange(len(steps)))
    events['px'] = steps['tick'] * float(sys.argv[3])
    events['qty'] = steps['qty']
    return steps, events


def asset(steps, events):
    tick_px = float(sys.argv[3])
    return (BacktestAsset().data(events).linear_asset(1.0).constant_order_latency(0, 0).risk_adverse_queue_model()
            .no_partial_fill_exchange().trading_value_fee_model(0, 0).tick_size(tick_px).lot_size(1.0)
            .roi_lb(float(steps['tick'].min()) * tick_px).roi_ub(float(steps['tick'].max() + 1) * tick_px))


def main():
    steps, events = events_of(sys.argv[1])
    before, tick_px = int(sys.argv[2]), int(sys.argv[3])
    for name, backtest in (('hftbacktest ROIVector', ROIVectorMarketDepthBacktest),
                           ('hftbacktest HashMap', HashMapMarketDepthBacktest)):
        for warm in (True, False):
            hbt = backtest([asset(steps, events)])
            skip(hbt, before)
            count = 1 if warm else len(steps) - 1 - before
            begin = time.perf_counter_ns()
            total = run(hbt, count, tick_px)
            ns = time.perf_counter_ns() - begin
        print(f'{name};{ns / count:.2f};{int(total):016x}', flush=True)


main()
