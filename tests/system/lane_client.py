"""lane_client: a client of a lane of a live instance, by libhwal through ctypes: the structs that travel, the calls, and what a
test asks of them. Used by the system tests beside it."""

import ctypes as c
import os
import sys
import time

from instance import HWAL, check

LIBRARY = os.environ.get("LIBHWAL", os.path.join(os.path.dirname(HWAL), "libhwal.so"))
S = 1_000_000_000
OK, EMPTY, CLOSED, EXISTS = 0, 1, 6, 9
VERDICT, EXEC_REPORT = 7, 6
NEW, REPLACE, CANCEL = 1, 2, 3
BUY, SELL, LIMIT, GTC, IOC = 1, 2, 2, 2, 4
REASONS = ["NONE", "RELEASED", "DEAD", "RSP_FULL", "DAMAGED", "MISUSED", "RESTART", "STOP"]
u8, u16, u32, u64, i8, i64 = c.c_uint8, c.c_uint16, c.c_uint32, c.c_uint64, c.c_int8, c.c_int64


def struct(name, fields):
    return type(name, (c.Structure,), {"_fields_": fields})


def same(kind, names):
    return [(n, kind) for n in names.split()]


Message = struct("Message", same(u64, "seq lost_from lost_to") + same(u32, "type topic tenant body_len") +
                 [("body", c.c_void_p), ("tail", c.c_void_p), ("text", c.c_char_p), ("raw", c.c_void_p),
                  ("tail_count", u32), ("raw_len", u32), ("reserved", u64 * 6)])
Def = struct("Def", [("instrument_id", u32), ("venue_id", u16), ("kind", u8), ("allow_negative", u8)] +
             same(i8, "px_exp qty_exp money_exp mult_exp") + [("reserved", u32), ("settle_ccy", u64)] +
             same(i64, "lot min_qty min_notional mult band_lower band_upper"))
Instrument = struct("Instrument", [("d", Def), ("symbol", c.c_char * 24), ("reserved", u64 * 4)])
Level = struct("Level", same(i64, "px qty"))
Order = struct("Order", same(u64, "cl_ord_id orig_cl_ord_id corr_hi corr_lo") +
               same(u32, "tenant_id account_id strategy_id instrument_id") + same(i64, "px qty created_mono_ns") +
               same(u8, "action side ord_type tif") + same(u16, "exec_inst reserved"))
Ask = struct("Ask", same(u64, "corr_hi corr_lo portfolio_version") + same(i64, "px qty") +
             same(u32, "account_id instrument_id") + same(u8, "side ord_type tif reserved") +
             same(u16, "exec_inst reserved2"))
Answer = struct("Answer", same(u64, "corr_hi corr_lo portfolio_version") +
                same(i64, "adjusted_qty px observed limit engine_utc_ns") +
                same(u32, "scope_id instrument_id account_id limit_version") +
                same(u16, "code risk_score") + same(u8, "approved scope_type") + same(u16, "reserved"))
Verdict = struct("Verdict", same(u64, "cl_ord_id order_seq") + same(i64, "observed limit engine_utc_ns") +
                 same(u32, "scope_id instrument_id account_id strategy_id limit_version") +
                 [("code", u16), ("scope_type", u8), ("action", u8)])
Report = struct("Report", same(u64, "cl_ord_id exec_id_hi exec_id_lo order_id_hi order_id_lo corr_hi corr_lo") +
                same(u32, "account_id strategy_id instrument_id") +
                same(u8, "exec_type ord_status side last_liquidity") + same(i64, "last_px last_qty"))
Lane = struct("Lane", same(u64, "lease accounts first_seq") +
              same(u32, "lane_id tenant_id strategy_id epoch uid pid") + [("rights", u16)] +
              same(u8, "state reason on_close reserved") + [("reserved2", u16)])

LimitChange = struct("LimitChange", [("change_id", u64)] + same(i64, "value until_utc_ns") +
                     same(u32, "scope_id scope_id2 user_id lane_id") +
                     [("scope_type", u8), ("step", u8), ("field", u16), ("reserved", u32)])
Audit = struct("Audit", same(u64, "audit_seq event_seq change_id") + same(i64, "old_value new_value utc_ns") +
               same(u32, "scope_id scope_id2 user_id lane_id version") +
               [("field", u16), ("scope_type", u8), ("kind", u8)])


def load():
    if not os.path.exists(LIBRARY):
        print(f"no {LIBRARY}: make lib first")
        sys.exit(1)
    lib, p = c.CDLL(LIBRARY), c.c_void_p
    for name, result, args in (
            ("attach", p, (c.c_char_p, c.c_char_p)), ("detach", None, (p,)), ("error", c.c_char_p, ()),
            ("error_code", c.c_int, ()), ("again", c.c_int, (p,)), ("instrument", c.c_int, (p, u32, p)),
            ("record", c.c_int, (p, u32, u32, p)), ("lane_open", p, (p, c.c_char_p, i64)), ("lane_close", None, (p,)),
            ("lane_identity", c.c_int, (p, p)), ("lane_reason", u32, (p,)), ("lane_order", c.c_int, (p, p)),
            ("lane_check", c.c_int, (p, p, p, i64)), ("lane_next", c.c_int, (p, p)),
            ("lane_limit", c.c_int, (p, p, c.c_char_p)), ("lane_wait", c.c_int, (p, i64, i64))):
        f = getattr(lib, "hwal_" + name)
        f.restype, f.argtypes = result, args
    return lib


lib = load()


class Client:
    def __init__(self, instance, name, wait=5.0):
        self.h = lib.hwal_attach(instance.name.encode(), None)
        end = time.monotonic() + wait
        while True:  # the one before it may have ended a moment ago
            self.lane = lib.hwal_lane_open(self.h, name.encode(), int(wait * S))
            if self.lane or time.monotonic() > end:
                break
            time.sleep(0.05)
        self.error = "" if self.lane else lib.hwal_error().decode()
        self.me, self.verdicts, self.reports = Lane(), [], []
        if self.lane:
            lib.hwal_lane_identity(self.lane, c.byref(self.me))
            ccy = int.from_bytes(b"USDT", "little")
            self.ins = Instrument()
            for n in range(1, 65):
                if lib.hwal_instrument(self.h, n, c.byref(self.ins)) == OK and self.ins.d.settle_ccy == ccy:
                    break

    def book(self):
        m = Message()
        while lib.hwal_record(self.h, 1, self.ins.d.instrument_id - 1, c.byref(m)) != OK:
            time.sleep(0.001)
        bids = u16.from_address(m.body + 48).value
        levels = (Level * m.tail_count).from_address(m.tail)
        return [l.px for l in levels[:bids]], [l.px for l in levels[bids:]]

    def qty(self, n=0):
        """some lots, different for each n, of some 200 USDT each"""
        d, px = self.ins.d, self.book()[0][0]
        one = px * 10 ** d.qty_exp  # price of one, in 10^-px_exp, times the scale of quantity
        lots = 200 * 10 ** d.px_exp * 10 ** (2 * d.qty_exp) // one // d.lot + 1
        return max((lots + n) * d.lot, d.min_qty)

    def order(self, side=BUY, level=12, tif=GTC, n=0, action=NEW, orig=0):
        px = self.book()[side == SELL][level]
        o = Order(instrument_id=self.ins.d.instrument_id, px=px, qty=self.qty(n), action=action, side=side,
                  ord_type=LIMIT, tif=tif, orig_cl_ord_id=orig)
        rc = lib.hwal_lane_order(self.lane, c.byref(o))
        check("an order is sent", rc == OK, f"{rc} {lib.hwal_error()}")
        return o.cl_ord_id

    def ask(self, qty):
        q = Ask(instrument_id=self.ins.d.instrument_id, px=self.book()[0][12], qty=qty, side=BUY, ord_type=LIMIT,
                tif=GTC)
        a = Answer()
        rc = lib.hwal_lane_check(self.lane, c.byref(q), c.byref(a), 2 * S)
        return rc, a

    def hear(self, seconds, until):
        end = time.monotonic() + seconds
        m = Message()
        while not until() and time.monotonic() < end:
            rc = lib.hwal_lane_next(self.lane, c.byref(m))
            if rc == EMPTY:
                lib.hwal_lane_wait(self.lane, 0, S // 10)
            elif rc == CLOSED:
                break
            elif m.type == VERDICT:
                v = Verdict.from_buffer_copy(c.string_at(m.body, m.body_len))
                self.verdicts.append((v.cl_ord_id, v.code))
            elif m.type == EXEC_REPORT:
                r = Report.from_buffer_copy(c.string_at(m.body, c.sizeof(Report)))
                self.reports.append((r.cl_ord_id, chr(r.exec_type)))
        return until()

    def has(self, cl_ord_id, kind):
        return (cl_ord_id, kind) in self.reports

    def close(self):
        lib.hwal_lane_close(self.lane)
        lib.hwal_detach(self.h)
