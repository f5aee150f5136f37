/* codec: Binance market data (spot, USD-M, COIN-M) from text to messages.
 *
 *   {"stream":"btcusdt@depth@100ms","data":{...}}  ──▶ depth_sync ──▶ BOOK_UPDATE parts, FEED_STATE
 *   {"stream":"btcusdt@bookTicker","data":{...}}   ──▶ TOP
 *   {"stream":"btcusdt@trade","data":{...}}        ──▶ TRADE
 *   {"lastUpdateId":...,"bids":[],"asks":[]}       ──▶ depth_sync ──▶ BOOK_UPDATE parts with SNAPSHOT
 *   any other stream                               ──▶ checked, counted, skipped
 *
 * Reading  the order of keys in which the venue writes a kind of frame is predicted, market by market; where a frame
 *          departs from it the walk by key decides: any order, unknown keys are skipped (and checked), a key that we
 *          use must not come twice. Both walks accept the same texts as the same messages. Levels go from text into the
 *          sink's slot in one pass; the last part of a message is committed only when the whole frame has been read.
 * Symbol   from the stream's name (lower case) and again from the payload (`s`); they must agree. A REST snapshot that
 *          names none belongs to the feed that the caller says.
 * Market   is what the feed was declared as; a diff with `pu` on a spot feed, or without on a futures feed, is refused.
 * Times    ts_event is `T` (matching engine) where there is one, else `E` (gateway); 0 where there is neither (spot
 *          bookTicker). The venue sends milliseconds.
 * Trades   `m` true: the buyer was the maker, so the aggressor sold. Ids must be consecutive: a jump is counted, a
 *          repeat is counted and not sent. `X` other than MARKET (insurance fund, ADL) is no trade of the book.
 * Tops     a side with quantity 0 is empty and gets price 0.
 * Broken   an unreadable depth frame breaks its book (FEED_STATE BROKEN, GARBLED or SCALE). When not even the stream's
 *          name can be read nobody knows whose frame it was; if it was a diff, the next one shows the gap.
 *          A snapshot that cannot be read breaks nothing before its first part was sent; if it was torn before its feed
 *          was known it is counted as unassigned.
 * Sources  venue documentation of streams and of the local book, and the recorded captures; README.md here. */
#pragma once

#include "adapters/venue.h"

extern const venue_codec_t binance_codec;
