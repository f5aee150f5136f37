/* strategy: a trading program of its own, beside the engine: it leases the lane `desk`, follows one market by its ring,
 * asks risk before each order, joins the best bid, then the best offer, with small post-only orders, waits for a while,
 * cancels what is not filled, and goes on until it has sent N orders.
 *
 *     cc strategy.c -o strategy $(pkg-config --cflags --libs hwal)
 *     ./strategy BTCUSDT [--orders N] [--rest-ms MS] [--instance NAME]
 *
 * The engine judges every order by all its limits, whatever this program believes. When this program ends or dies, the
 * lane is closed and the engine cancels its orders by itself (on_close: cancel in the configuration).
 * Exit 0: all orders ended; 1: something failed, said on stderr; 2: usage. */
#include <hwal/hwal.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MS INT64_C(1000000)
#define LOTS 500 /* of an order */

typedef struct desk {
    hwal_t           *h;
    hwal_sub_t       *md;
    hwal_lane_t      *lane;
    hwal_instrument_t ins;
    uint32_t          account;
    uint64_t          working; /* ClOrdID of the one order, 0 = none */
    int64_t           px, qty, filled;
    int               cancelling;
    int64_t           sent, look_at;
    unsigned          denied, cancelled, fills, checks;
} desk_t;

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 * MS + ts.tv_nsec;
}

/* The account whose currency the instrument settles in. */
static uint32_t account_for(desk_t *d)
{
    hwal_message_t m;
    for (uint32_t i = 0; i < hwal_record_count(d->h, HWAL_ACCOUNTS); i++) {
        if (hwal_record(d->h, HWAL_ACCOUNTS, i, &m) == HWAL_OK &&
            ((const account_record_t *)m.body)->ccy == d->ins.def.settle_ccy) {
            return ((const account_record_t *)m.body)->account_id;
        }
    }
    return 0;
}

/* Has the market moved since we last looked? All news are taken; a gap is news too: the record is always current. The
 * adapter may have begun anew, with its ring in new memory: look once a second. */
static int market_moved(desk_t *d)
{
    hwal_message_t m;
    hwal_err_t     err;
    int            moved = 0;
    if (now_ns() >= d->look_at) {
        hwal_again(d->h);
        d->look_at = now_ns() + 1000 * MS;
    }
    while ((err = hwal_next(d->md, &m)) != HWAL_EMPTY) {
        moved = 1;
    }
    return moved;
}

/* The best price of one's own side of the book. */
static int best(desk_t *d, uint8_t side, int64_t *px)
{
    hwal_message_t m;
    if (hwal_record(d->h, HWAL_BOOKS, d->ins.def.instrument_id - 1, &m) != HWAL_OK) {
        return 0;
    }
    const book_update_t *book = (const book_update_t *)m.body;
    const level_t       *bids = (const level_t *)m.tail, *asks = bids + book->bid_count;
    *px = side == SIDE_BUY ? bids->px : asks->px;
    return book->bid_count > 0 && book->ask_count > 0;
}

/* Ask risk; send what passes. 1 = an order is on its way. */
static int order_new(desk_t *d)
{
    const uint8_t     side = d->checks % 2 ? SIDE_SELL : SIDE_BUY;
    int64_t           best_px;
    risk_check_resp_t answer;
    if (!best(d, side, &best_px)) {
        return 0;
    }
    risk_check_req_t ask = {.px            = best_px,
                            .qty           = LOTS * d->ins.def.lot,
                            .account_id    = d->account,
                            .instrument_id = d->ins.def.instrument_id,
                            .side          = side,
                            .ord_type      = ORD_TYPE_LIMIT,
                            .tif           = TIF_GTC,
                            .exec_inst     = EXEC_INST_POST_ONLY};
    if (hwal_lane_check(d->lane, &ask, &answer, 1000 * MS) != HWAL_OK) {
        fprintf(stderr, "strategy: no answer from risk: %s\n", hwal_error());
        return 0;
    }
    char px[HWAL_DECIMAL_MAX], qty[HWAL_DECIMAL_MAX];
    d->checks++;
    if (answer.adjusted_qty == 0) { /* nothing would pass now; in a while, perhaps, or on the other side */
        printf("check: %s\n", hwal_code_name(answer.code));
        return 0;
    }
    order_req_t order = {.px            = best_px,
                         .qty           = answer.adjusted_qty,
                         .account_id    = d->account,
                         .instrument_id = d->ins.def.instrument_id,
                         .action        = ORDER_ACTION_NEW,
                         .side          = side,
                         .ord_type      = ORD_TYPE_LIMIT,
                         .tif           = TIF_GTC,
                         .exec_inst     = EXEC_INST_POST_ONLY};
    if (hwal_lane_order(d->lane, &order) != HWAL_OK) {
        fprintf(stderr, "strategy: not sent: %s\n", hwal_error());
        return 0;
    }
    printf("%s %s at %s (risk score %u): %" PRIu64 "\n", side == SIDE_BUY ? "buy" : "sell",
           hwal_qty_format(&d->ins, order.qty, qty), hwal_px_format(&d->ins, order.px, px), answer.risk_score,
           order.cl_ord_id);
    d->working = order.cl_ord_id;
    d->px      = order.px;
    d->qty     = order.qty;
    d->filled = d->cancelling = 0;
    d->sent++;
    return 1;
}

static void order_cancel(desk_t *d)
{
    order_req_t cancel = {.orig_cl_ord_id = d->working,
                          .account_id     = d->account,
                          .instrument_id  = d->ins.def.instrument_id,
                          .action         = ORDER_ACTION_CANCEL};
    d->cancelling      = hwal_lane_order(d->lane, &cancel) == HWAL_OK;
}

static void on_verdict(desk_t *d, const verdict_t *v)
{
    printf("verdict on %" PRIu64 ": %s\n", v->cl_ord_id, hwal_code_name(v->code));
    if (v->code != 0 && v->cl_ord_id == d->working) { /* denied: it never left */
        d->denied++;
        d->working = 0;
    } else if (v->code != 0) {
        d->cancelling = 0; /* the cancel was: try again */
    }
}

static void on_report(desk_t *d, const exec_report_t *r)
{
    char px[HWAL_DECIMAL_MAX], qty[HWAL_DECIMAL_MAX];
    if (r->cl_ord_id != d->working) {
        return;
    }
    switch (r->exec_type) {
    case EXEC_TYPE_TRADE:
        d->filled += r->last_qty;
        d->fills++;
        printf("filled %s at %s\n", hwal_qty_format(&d->ins, r->last_qty, qty),
               hwal_px_format(&d->ins, r->last_px, px));
        d->working = d->filled >= d->qty ? 0 : d->working;
        break;
    case EXEC_TYPE_CANCELED:
    case EXEC_TYPE_REJECTED: /* post-only would have taken */
    case EXEC_TYPE_EXPIRED:
    case EXEC_TYPE_UNSENT:
        printf("ended: %s\n", r->exec_type == EXEC_TYPE_CANCELED ? "cancelled" : "refused");
        d->cancelled++;
        d->working = 0;
        break;
    case EXEC_TYPE_CANCEL_REJECT: d->cancelling = 0; break; /* a fill was faster, and is on its way */
    default: break;
    }
}

/* All answers there are; 0 = the lane has ended. */
static int answers(desk_t *d)
{
    hwal_message_t m;
    hwal_err_t     err;
    while ((err = hwal_lane_next(d->lane, &m)) == HWAL_OK) {
        if (m.type == MSG_VERDICT) {
            on_verdict(d, (const verdict_t *)m.body);
        } else if (m.type == MSG_EXEC_REPORT) {
            on_report(d, (const exec_report_t *)m.body);
        }
    }
    return err == HWAL_EMPTY;
}

static int trade(desk_t *d, int64_t orders, int64_t rest_ns)
{
    int64_t next_at = 0; /* time to cancel what rests, or to ask again after a denial */
    while (d->sent < orders || d->working) {
        if (!answers(d)) {
            fprintf(stderr, "strategy: %s\n", hwal_error());
            return 0;
        }
        const int moved = market_moved(d), due = now_ns() >= next_at;
        if (!d->working && d->sent < orders && moved && due) {
            next_at = now_ns() + (order_new(d) ? rest_ns : 20 * MS);
        } else if (d->working && !d->cancelling && due) {
            order_cancel(d);
        }
        hwal_lane_wait(d->lane, 0, 2 * MS); /* an answer, or time to look at the market again */
    }
    return 1;
}

static int begin(desk_t *d, const char *symbol, const char *instance)
{
    if (!(d->h = hwal_attach(instance, NULL)) || hwal_symbol(d->h, symbol, &d->ins) != HWAL_OK) {
        return 0;
    }
    const hwal_filter_t filter = {.start        = HWAL_NEWEST,
                                  .types        = HWAL_TYPE(MSG_BOOK_UPDATE),
                                  .topics       = &d->ins.def.instrument_id,
                                  .topics_count = 1};
    d->account                 = account_for(d);
    d->md                      = hwal_subscribe(d->h, "md.sim", &filter);
    d->lane                    = d->md ? hwal_lane_open(d->h, "desk", 2000 * MS) : NULL;
    return d->lane != NULL;
}

int main(int argc, char **argv)
{
    desk_t      d      = {0};
    const char *symbol = NULL, *instance = NULL;
    int64_t     orders = 5, rest_ms = 300;
    int         good = 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--orders") == 0 && i + 1 < argc) {
            good &= hwal_decimal_parse(argv[++i], 0, &orders) == HWAL_OK;
        } else if (strcmp(argv[i], "--rest-ms") == 0 && i + 1 < argc) {
            good &= hwal_decimal_parse(argv[++i], 0, &rest_ms) == HWAL_OK;
        } else if (strcmp(argv[i], "--instance") == 0 && i + 1 < argc) {
            instance = argv[++i];
        } else {
            symbol = argv[i];
        }
    }
    if (!symbol || !good) {
        fprintf(stderr, "usage: strategy SYMBOL [--orders N] [--rest-ms MS] [--instance NAME]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0); /* lines, also into a file */
    const int begun = begin(&d, symbol, instance);
    if (!begun) {
        fprintf(stderr, "strategy: %s\n", hwal_error());
    }
    const int done = begun && trade(&d, orders, rest_ms * MS);
    if (begun) {
        printf("sent %" PRId64 " denied %u ended %u fills %u checks %u\n", d.sent, d.denied, d.cancelled, d.fills,
               d.checks);
    }
    hwal_lane_close(d.lane);
    hwal_detach(d.h);
    return done ? 0 : 1;
}
