/* views: what an instance looks like, as JSON: one object a view, the schema of each in docs/schema/. The commands print
 * them (as table, CSV or JSON), `hwal top` puts them together, `hwal postmortem` takes them of dead engines.
 *
 *   every view: {"instance", "stale", "heartbeat_age_ms", ... its own}
 *
 * Numbers are ids, counts, ages and times; prices, quantities and money are exact decimals, as strings. What is not known
 * is null. Each function returns a new reference and never fails: what cannot be read is not in it (attach counts it). */
#pragma once

#include "tools/attach_args.h"
#include "tools/table.h"

json_t *view_head(const attach_t *a);

/* view_status: "state": the engine's, or STARTING, DEGRADED when another role is missing; "roles", "rings", "journal",
 * "lanes", "kill". */
json_t *view_status(attach_t *a);

/* view_books: symbols NULL = all; levels: of each side at most. */
json_t *view_books(attach_t *a, const attach_instrument_t *only, uint32_t levels);
json_t *view_orders(attach_t *a, bool all);
json_t *view_positions(attach_t *a);
/* view_feeds: looks twice, sample_ms apart, for the rates. */
json_t *view_feeds(attach_t *a, uint32_t sample_ms);
/* view_lat (tools/lat.c): "histograms": since the start of each role; over_ms > 0: within the next so many milliseconds
 * (it waits); lives: with what earlier lives left; buckets > 0: what was counted, in at most so many. "epochs": the last
 * ones of each histogram. */
json_t *view_lat(const attach_t *a, uint32_t over_ms, bool lives, uint32_t buckets);

/* view_events: the newest count messages in ev that are of that kind, oldest first, each with "seq" and "type".
 * view_log: the newest count lines of a role's log. */
typedef enum view_event { VIEW_EVENT_ANY = 0, VIEW_EVENT_ALARM, VIEW_EVENT_EXECUTION } view_event_t;
json_t *view_events(attach_t *a, view_event_t what, uint32_t count);
json_t *view_log(attach_t *a, role_t role, uint32_t count);

/* view_open: is this OrdStatus one of an order that may still trade? */
bool view_open(uint8_t ord_status);

/* as text; all of them print no head of the instance */
void view_status_text(FILE *to, const json_t *view, bool colour);
void view_lanes_text(FILE *to, const json_t *view, bool colour); /* of view_status; nothing where there are none */
void view_books_text(FILE *to, const json_t *view, bool colour);
void view_orders_text(FILE *to, const json_t *view, bool colour);
void view_positions_text(FILE *to, const json_t *view, bool colour);
void view_feeds_text(FILE *to, const json_t *view, bool colour);
void view_lat_text(FILE *to, const json_t *view, bool colour);
