/* statistics: one instrument's trading day, made of its TRADEs: open, high, low, last, volume, turnover, count.
 *
 * Day      the UTC day, as for profit and loss. It begins by our clock (statistics_roll), or with the first trade that the
 *          venue stamps with the next day, when its clock is ahead of ours. A trade belongs to the day of its ts_event_ns
 *          (ts_recv_ns where the venue sends none); one of an earlier day counts nowhere but in `uncounted`; one that is
 *          stamped more than a day ahead counts as of now. So do trades count whose book is broken.
 * Numbers  volume in 10^-qty_exp. turnover = sum of px * qty, exact, in 10^-(px_exp + qty_exp), 128 bits in two fields: for
 *          SPOT and LINEAR, times the multiplier, it is money; for INVERSE it is what vwap is made of. When volume or turnover
 *          would leave its type, both stay as they are for the rest of the day, flagged STATISTICS_OVERFLOW; prices and
 *          the count go on.
 * State    a statistics_t, the caller's; its bytes are a snapshot. vwap_px and event_seq are 0 in it: statistics_show
 *          fills the first, whoever publishes the second.
 * Threads  one. Pure: no clock, no allocation. Cost: a trade ~5 ns; statistics_show one 128-bit division. */
#pragma once

#include <stdbool.h>

#include "core/ref/instrument.h"
#include "core/types/msg.h"

/* statistics_new: no trade yet, in the day of utc_ns. */
void statistics_new(statistics_t *s, uint32_t instrument_id, int64_t utc_ns);

/* statistics_roll: our clock says utc_ns: begin a new day unless it runs already, or has begun early by a trade's stamp. */
void statistics_roll(statistics_t *s, int64_t utc_ns);

/* statistics_trade: one trade, heard at utc_ns. A quantity below 1, or a price below 1 where ins forbids it, counts in
 * `uncounted` only. True when volume and turnover ended with this one. */
bool statistics_trade(statistics_t *s, const instrument_t *ins, const trade_t *trade, int64_t utc_ns);

/* statistics_show: as published: with vwap_px. */
statistics_t statistics_show(const statistics_t *s);
