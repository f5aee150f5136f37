/* What the venue says. Checked here:
 *   - the whole matrix: every exec_type in every state gives the status and the alarm that the table says, and books only
 *     what is a fill (FIX 4.4, order state change matrices; ours: UNKNOWN, and DONE_FOR_DAY by time in force)
 *   - corrections: the difference and nothing else, once, of recycled orders too, and not of busted fills
 *   - restated, done for day, suspended, triggered; gaps that these leave; reports on orders that are not ours */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/order/order.h"

typedef struct fix {
    void          *mem;
    order_table_t *t;
    instrument_t   ins;
    order_effect_t effect;
} fix_t;

static void fix_open(fix_t *f, uint32_t orders_max)
{
    const order_cfg_t cfg = {.orders_max = orders_max, .fills_max = 16, .instruments_max = 3};
    memset(f, 0, sizeof *f);
    f->mem = aligned_alloc(64, order_footprint(&cfg));
    assert_non_null(order_new(f->mem, &cfg));
    f->t = order_join(f->mem);
}

static void open_tif(fix_t *f, uint64_t id, side_t side, tif_t tif)
{
    order_open(f->t,
               &(order_req_t){.cl_ord_id       = id,
                              .tenant_id       = 1,
                              .account_id      = 1,
                              .strategy_id     = 2,
                              .instrument_id   = 1,
                              .side            = (uint8_t)side,
                              .ord_type        = ORD_TYPE_LIMIT,
                              .tif             = (uint8_t)tif,
                              .position_effect = POSITION_EFFECT_OPEN,
                              .qty             = 100,
                              .px              = 1000},
               1000);
}

static const order_t *row(const fix_t *f, uint64_t id)
{
    return order_at(f->t, order_find(f->t, id));
}

static void apply(fix_t *f, exec_report_t rep)
{
    rep.account_id    = rep.account_id ? rep.account_id : 1;
    rep.instrument_id = rep.instrument_id ? rep.instrument_id : 1;
    order_apply_exec(f->t, &rep, &f->ins, &f->effect);
}

static void event(fix_t *f, uint64_t id, uint8_t type)
{
    apply(f, (exec_report_t){.cl_ord_id = id, .exec_type = type, .cum_qty = -1});
}

static void fill(fix_t *f, uint64_t id, uint64_t exec, int64_t qty, int64_t px)
{
    apply(f, (exec_report_t){.cl_ord_id  = id,
                             .exec_id_lo = exec,
                             .exec_type  = EXEC_TYPE_TRADE,
                             .last_qty   = qty,
                             .last_px    = px,
                             .cum_qty    = -1,
                             .fee        = 7});
}

static exec_report_t correction(uint64_t exec, int64_t qty, int64_t px, int64_t fee)
{
    return (exec_report_t){.exec_id_lo = exec,
                           .exec_type  = EXEC_TYPE_TRADE_CORRECT,
                           .last_qty   = qty,
                           .last_px    = px,
                           .cum_qty    = -1,
                           .fee        = fee};
}

#define ONLY(kind) ((uint32_t)(kind) ? 1u << (kind) : 0u)

/* ---- the matrix -------------------------------------------------------------------------------------------------- */
static const uint8_t columns[] = {EXEC_TYPE_NEW,
                                  EXEC_TYPE_DONE_FOR_DAY,
                                  EXEC_TYPE_CANCELED,
                                  EXEC_TYPE_REPLACED,
                                  EXEC_TYPE_REJECTED,
                                  EXEC_TYPE_EXPIRED,
                                  EXEC_TYPE_RESTATED,
                                  EXEC_TYPE_TRADE,
                                  EXEC_TYPE_TRADE_CORRECT,
                                  EXEC_TYPE_TRADE_CANCEL,
                                  EXEC_TYPE_TRIGGERED,
                                  EXEC_TYPE_ORDER_STATUS,
                                  EXEC_TYPE_CANCEL_REJECT,
                                  EXEC_TYPE_REPLACE_REJECT,
                                  EXEC_TYPE_UNSENT,
                                  EXEC_TYPE_TIMEOUT,
                                  'z'};

/* before, time in force, after each of the columns, alarm of each: u unsolicited, a after done, o overfill, x unknown */
static const struct {
    char        before;
    tif_t       tif;
    const char *after;
    const char *alarm;
} matrix[] = {{'A', TIF_GTC, "03408C01AA00AA8UA", "..u.....xx......x"},
              {'0', TIF_GTC, "03408C010000008U0", "..u.....xx......x"},
              {'1', TIF_GTC, "13418C111111118U1", "..u.....xx......x"},
              {'6', TIF_GTC,
               "66468C66666606"
               "8U6",
               "........xx......x"},
              {'E', TIF_GTC, "EE408CEEEEEEE08UE", "..u.....xx......x"},
              {'U', TIF_GTC, "03408C0UUU00UU8UU", "........xx......x"},
              {'9', TIF_GTC, "03408C019900998U9", "..u.....xx......x"},
              {'3', TIF_GTC, "03408C013300338U3", "..u.....xx......x"},
              {'2', TIF_GTC, "22222222222222222", ".......oxx......x"},
              {'4', TIF_GTC, "44444444444444444", ".......axx......x"},
              {'8', TIF_GTC, "88888888888888888", ".......axx......x"},
              {'C', TIF_GTC, "CCCCCCCCCCCCCCCCC", ".......axx......x"},
              {'3', TIF_DAY, "33333333333333333", ".......axx......x"}};

static void bring_to(fix_t *f, char state, tif_t tif)
{
    open_tif(f, 1, SIDE_BUY, tif);
    if (state != 'A') {
        event(f, 1, EXEC_TYPE_NEW);
    }
    switch (state) {
    case '1': fill(f, 1, 900, 10, 1000); break;
    case '2': fill(f, 1, 900, 100, 1000); break;
    case '6': order_cancel_sent(f->t, 0, (now_t){.mono_ns = 1}); break;
    case 'E': order_replace_sent(f->t, 0, 1001, 1001, 100); break;
    case 'U': event(f, 1, EXEC_TYPE_TIMEOUT); break;
    case '9':
        apply(f,
              (exec_report_t){
                  .cl_ord_id = 1, .exec_type = EXEC_TYPE_RESTATED, .ord_status = ORD_STATUS_SUSPENDED, .cum_qty = -1});
        break;
    case '3': event(f, 1, EXEC_TYPE_DONE_FOR_DAY); break;
    case '4': event(f, 1, EXEC_TYPE_CANCELED); break;
    case '8': event(f, 1, EXEC_TYPE_REJECTED); break;
    case 'C': event(f, 1, EXEC_TYPE_EXPIRED); break;
    default: break;
    }
    assert_int_equal(row(f, 1)->ord_status, state);
}

static uint32_t alarm_of(char c)
{
    return c == 'u'   ? ONLY(ALARM_UNSOLICITED_CANCEL)
           : c == 'a' ? ONLY(ALARM_FILL_AFTER_DONE)
           : c == 'o' ? ONLY(ALARM_OVERFILL)
           : c == 'x' ? ONLY(ALARM_UNKNOWN_EXEC)
                      : 0;
}

static void test_order_every_report_in_every_state(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof matrix / sizeof matrix[0]; i++) {
        assert_int_equal(strlen(matrix[i].after), sizeof columns);
        assert_int_equal(strlen(matrix[i].alarm), sizeof columns);
        for (size_t k = 0; k < sizeof columns; k++) {
            fix_t f;
            fix_open(&f, 4);
            bring_to(&f, matrix[i].before, matrix[i].tif);
            const int64_t before = row(&f, 1)->cum_qty;
            const bool    trade  = columns[k] == EXEC_TYPE_TRADE;
            apply(&f, (exec_report_t){.cl_ord_id  = 1,
                                      .exec_id_lo = 5,
                                      .exec_type  = columns[k],
                                      .ord_status = columns[k] == EXEC_TYPE_ORDER_STATUS ? ORD_STATUS_NEW : 0,
                                      .last_qty   = 10,
                                      .last_px    = 1000,
                                      .cum_qty    = -1});
            if (row(&f, 1)->ord_status != matrix[i].after[k] || f.effect.alarms != alarm_of(matrix[i].alarm[k])) {
                fail_msg("%c and %c give %c, alarms %x; the table says %c and %c", matrix[i].before, columns[k],
                         row(&f, 1)->ord_status, f.effect.alarms, matrix[i].after[k], matrix[i].alarm[k]);
            }
            assert_int_equal(f.effect.status_before, matrix[i].before);
            assert_int_equal(f.effect.status_after, matrix[i].after[k]);
            assert_int_equal(f.effect.booked, trade);
            assert_int_equal(row(&f, 1)->cum_qty, before + (trade ? 10 : 0));
            free(f.mem);
        }
    }
}

/* ---- corrections ------------------------------------------------------------------------------------------------- */
static void test_order_correction_books_the_difference_once(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f, 4);
    open_tif(&f, 1, SIDE_BUY, TIF_GTC);
    fill(&f, 1, 1, 60, 990);
    apply(&f, correction(1, 50, 995, 3)); /* it names no order: the fill does */
    assert_int_equal(f.effect.row, 0);
    assert_int_equal(f.effect.booked, 1);
    assert_int_equal(f.effect.corrected, 1);
    assert_int_equal(f.effect.alarms, 0);
    assert_int_equal(f.effect.position_effect, POSITION_EFFECT_OPEN);
    assert_int_equal(f.effect.undone_qty, 60);
    assert_int_equal(f.effect.undone_px, 990);
    assert_int_equal(f.effect.undone_fee, 7);
    assert_int_equal(f.effect.qty, 50);
    assert_int_equal(f.effect.px, 995);
    assert_int_equal(f.effect.fee, 3);
    assert_int_equal(f.effect.before.qty, 40);
    assert_int_equal(f.effect.after.qty, 50);
    assert_int_equal(row(&f, 1)->cum_qty, 50);
    assert_int_equal(order_leaves(row(&f, 1)), 50);
    assert_true(row(&f, 1)->px_qty == 50 * 995);
    apply(&f, correction(1, 50, 995, 3));
    assert_int_equal(f.effect.duplicate, 1);
    assert_int_equal(f.effect.booked, 0);
    exec_report_t only_fee = correction(1, 50, 995, 4);
    apply(&f, only_fee);
    assert_int_equal(f.effect.booked, 1);
    only_fee.flags = EXEC_FEE_UNKNOWN;
    only_fee.fee   = 0;
    apply(&f, only_fee); /* it says nothing new */
    assert_int_equal(f.effect.duplicate, 1);
    apply(&f, correction(1, 50, 996, 4)); /* the price alone */
    assert_int_equal(f.effect.booked, 1);
    assert_true(row(&f, 1)->px_qty == 50 * 996);
    /* up again: the rest fills, and more than that is an over-fill; the bust gives back what stands now */
    apply(&f, correction(1, 100, 995, 3));
    assert_int_equal(row(&f, 1)->ord_status, ORD_STATUS_FILLED);
    assert_int_equal(f.effect.alarms, 0);
    apply(&f, correction(1, 101, 1001, 3));
    assert_int_equal(f.effect.alarms, ONLY(ALARM_OVERFILL) | ONLY(ALARM_WORSE_THAN_LIMIT));
    apply(&f, correction(1, 90, 995, 3)); /* nothing opens again */
    assert_int_equal(row(&f, 1)->ord_status, ORD_STATUS_FILLED);
    apply(&f, (exec_report_t){.exec_id_lo = 1, .exec_type = EXEC_TYPE_TRADE_CANCEL, .cum_qty = -1});
    assert_int_equal(f.effect.qty, -90);
    assert_int_equal(f.effect.fee, -3);
    assert_int_equal(row(&f, 1)->cum_qty, 0);
    assert_true(row(&f, 1)->px_qty == 0);
    apply(&f, correction(1, 80, 995, 3)); /* of what is undone */
    assert_int_equal(f.effect.alarms, ONLY(ALARM_UNKNOWN_EXEC));
    assert_int_equal(f.effect.booked, 0);
    free(f.mem);
}

static void test_order_correction_follows_what_the_venue_counts(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f, 4);
    open_tif(&f, 1, SIDE_SELL, TIF_GTC);
    exec_report_t f1 = {
        .cl_ord_id = 1, .exec_id_lo = 1, .exec_type = EXEC_TYPE_TRADE, .last_qty = 40, .last_px = 1000, .cum_qty = 40};
    apply(&f, f1);
    exec_report_t g = correction(1, 30, 1005, 0);
    g.cum_qty       = 30;
    apply(&f, g);
    assert_int_equal(f.effect.qty, -30);
    assert_int_equal(f.effect.alarms, 0);
    assert_int_equal(order_gap(row(&f, 1)), 0);
    assert_int_equal(order_leaves(row(&f, 1)), 70);
    g.last_qty = 35;
    g.cum_qty  = 50; /* and there was another fill */
    g.last_px  = 999;
    apply(&f, g);
    assert_int_equal(f.effect.alarms, ONLY(ALARM_FILL_GAP) | ONLY(ALARM_QUERY_SENT) | ONLY(ALARM_WORSE_THAN_LIMIT));
    assert_int_equal(order_gap(row(&f, 1)), 15);
    free(f.mem);
}

static void test_order_correction_that_cannot_be(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f, 1);
    open_tif(&f, 1, SIDE_BUY, TIF_GTC);
    fill(&f, 1, 1, 100, 990);
    exec_report_t bad[5];
    for (int i = 0; i < 5; i++) {
        bad[i] = correction(1, 50, 990, 0);
    }
    bad[0].last_qty = 0;
    bad[1].fee      = INT64_MIN;
    bad[2].side     = SIDE_SELL;
    bad[3].last_qty = INT64_MAX;
    for (int i = 0; i < 4; i++) {
        apply(&f, bad[i]);
        assert_int_equal(f.effect.alarms, ONLY(ALARM_BAD_FILL));
        assert_int_equal(f.effect.booked, 0);
    }
    order_apply_exec(f.t, &bad[4], &f.ins, &f.effect); /* neither order nor instrument is named */
    assert_int_equal(f.effect.alarms, ONLY(ALARM_UNKNOWN_EXEC));
    bad[4].cl_ord_id = 1; /* the order says it */
    order_apply_exec(f.t, &bad[4], NULL, &f.effect);
    assert_int_equal(f.effect.alarms, ONLY(ALARM_BAD_FILL));
    assert_int_equal(row(&f, 1)->cum_qty, 100);
    exec_report_t other = correction(7, 50, 990, 0); /* an execution that nobody knows */
    apply(&f, other);
    assert_int_equal(f.effect.alarms, ONLY(ALARM_UNKNOWN_EXEC));
    exec_report_t zero = correction(1, 50, 0, 0);
    zero.side          = SIDE_BUY;
    apply(&f, zero);
    assert_int_equal(f.effect.alarms, ONLY(ALARM_BAD_FILL_PRICE));
    f.ins.def.allow_negative = 1;
    zero.last_px             = -1;
    apply(&f, zero);
    assert_int_equal(f.effect.alarms, 0);
    /* the order's row is another's now: the fill is corrected and busted all the same */
    open_tif(&f, 2, SIDE_BUY, TIF_GTC);
    assert_int_equal(order_find(f.t, 1), ORDER_NONE);
    apply(&f, correction(1, 60, 990, 0));
    assert_int_equal(f.effect.row, ORDER_NONE);
    assert_int_equal(f.effect.booked, 1);
    assert_int_equal(f.effect.undone_qty, 50);
    assert_int_equal(f.effect.account_id, 1);
    assert_int_equal(f.effect.strategy_id, 2);
    assert_int_equal(f.effect.position_effect, POSITION_EFFECT_OPEN);
    assert_int_equal(f.effect.before.qty, 0);
    apply(&f, (exec_report_t){.exec_id_lo = 1, .exec_type = EXEC_TYPE_TRADE_CANCEL, .cum_qty = -1});
    assert_int_equal(f.effect.qty, -60);
    apply(&f, (exec_report_t){.exec_id_lo = 1, .exec_type = EXEC_TYPE_TRADE_CANCEL, .cum_qty = -1});
    assert_int_equal(f.effect.duplicate, 1);
    assert_int_equal(row(&f, 2)->cum_qty, 0);
    free(f.mem);
}

/* ---- what the venue does by itself --------------------------------------------------------------------------------- */
static void test_order_restated_is_in_force(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f, 4);
    open_tif(&f, 1, SIDE_BUY, TIF_GTC);
    exec_report_t r = {.cl_ord_id = 1, .exec_type = EXEC_TYPE_RESTATED, .px = 999, .cum_qty = -1};
    apply(&f, r);
    assert_int_equal(row(&f, 1)->px, 999);
    assert_int_equal(row(&f, 1)->order_qty, 100);
    assert_int_equal(f.effect.alarms, 0);
    assert_int_equal(f.effect.after.px_hi, 999);
    r = (exec_report_t){.cl_ord_id = 1, .exec_type = EXEC_TYPE_RESTATED, .order_qty = 60, .cum_qty = 10};
    apply(&f, r);
    assert_int_equal(row(&f, 1)->px, 999);
    assert_int_equal(row(&f, 1)->order_qty, 60);
    assert_int_equal(f.effect.alarms, ONLY(ALARM_FILL_GAP) | ONLY(ALARM_QUERY_SENT));
    assert_int_equal(order_leaves(row(&f, 1)), 50);
    r.px      = 1001; /* more eager than we ever asked for */
    r.cum_qty = -1;
    apply(&f, r);
    assert_int_equal(f.effect.alarms, ONLY(ALARM_WORSE_THAN_LIMIT));
    assert_int_equal(row(&f, 1)->px, 1001);
    fill(&f, 1, 1, 60, 1001);
    assert_int_equal(row(&f, 1)->ord_status, ORD_STATUS_FILLED);
    /* below what is filled: then it is filled; of a sell, the value stays the worse one */
    open_tif(&f, 2, SIDE_SELL, TIF_GTC);
    fill(&f, 2, 2, 30, 1000);
    apply(&f, (exec_report_t){.cl_ord_id = 2, .exec_type = EXEC_TYPE_RESTATED, .px = 999, .cum_qty = -1});
    assert_int_equal(f.effect.alarms, ONLY(ALARM_WORSE_THAN_LIMIT));
    assert_int_equal(f.effect.after.px_hi, 999);
    apply(&f, (exec_report_t){.cl_ord_id = 2, .exec_type = EXEC_TYPE_RESTATED, .order_qty = 20, .cum_qty = -1});
    assert_int_equal(row(&f, 2)->ord_status, ORD_STATUS_FILLED);
    free(f.mem);
}

static void test_order_done_for_day_by_time_in_force(void **state)
{
    (void)state;
    static const tif_t day[] = {TIF_DAY, TIF_OPG, TIF_ATC, TIF_IOC, TIF_FOK};
    for (size_t i = 0; i < 5; i++) {
        fix_t f;
        fix_open(&f, 4);
        open_tif(&f, 1, SIDE_BUY, day[i]);
        apply(&f, (exec_report_t){.cl_ord_id = 1, .exec_type = EXEC_TYPE_DONE_FOR_DAY, .cum_qty = 5});
        assert_int_equal(row(&f, 1)->closed_as, ORD_STATUS_DONE_FOR_DAY);
        assert_int_equal(f.effect.alarms, ONLY(ALARM_FILL_GAP) | ONLY(ALARM_QUERY_SENT));
        assert_int_equal(f.effect.after.qty, 5); /* it will become position */
        fill(&f, 1, 1, 5, 1000);
        assert_int_equal(f.effect.alarms, 0);
        assert_int_equal(f.effect.after.counts, 0);
        /* what a query says of a second one */
        open_tif(&f, 2, SIDE_BUY, day[i]);
        apply(&f, (exec_report_t){.cl_ord_id  = 2,
                                  .exec_type  = EXEC_TYPE_ORDER_STATUS,
                                  .ord_status = ORD_STATUS_DONE_FOR_DAY,
                                  .cum_qty    = 0});
        assert_int_equal(row(&f, 2)->closed_as, ORD_STATUS_DONE_FOR_DAY);
        /* the rest of one that does not rest is cancelled without anybody asking */
        open_tif(&f, 3, SIDE_BUY, day[i]);
        event(&f, 3, EXEC_TYPE_CANCELED);
        assert_int_equal(f.effect.alarms, day[i] == TIF_DAY ? ONLY(ALARM_UNSOLICITED_CANCEL) : 0);
        free(f.mem);
    }
    fix_t f;
    fix_open(&f, 4);
    open_tif(&f, 1, SIDE_BUY, TIF_GTD);
    apply(&f, (exec_report_t){.cl_ord_id  = 1,
                              .exec_type  = EXEC_TYPE_ORDER_STATUS,
                              .ord_status = ORD_STATUS_DONE_FOR_DAY,
                              .cum_qty    = 0});
    assert_int_equal(row(&f, 1)->ord_status, ORD_STATUS_DONE_FOR_DAY);
    assert_int_equal(f.effect.after.qty, 100); /* counts until it is dead */
    apply(&f, (exec_report_t){.cl_ord_id = 1, .exec_type = EXEC_TYPE_DONE_FOR_DAY, .cum_qty = 5});
    assert_int_equal(f.effect.alarms, ONLY(ALARM_FILL_GAP) | ONLY(ALARM_QUERY_SENT));
    apply(&f,
          (exec_report_t){
              .cl_ord_id = 1, .exec_type = EXEC_TYPE_ORDER_STATUS, .ord_status = ORD_STATUS_SUSPENDED, .cum_qty = 0});
    assert_int_equal(row(&f, 1)->ord_status, ORD_STATUS_SUSPENDED);
    free(f.mem);
}

static void test_order_triggered_stays_told(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f, 4);
    open_tif(&f, 1, SIDE_BUY, TIF_GTC);
    event(&f, 1, EXEC_TYPE_TRIGGERED);
    assert_int_equal(row(&f, 1)->flags, ORDER_ACKED | ORDER_TRIGGERED);
    event(&f, 1, EXEC_TYPE_TIMEOUT);
    apply(&f, (exec_report_t){
                  .cl_ord_id = 1, .exec_type = EXEC_TYPE_ORDER_STATUS, .ord_status = ORD_STATUS_NEW, .cum_qty = 0});
    assert_int_equal(row(&f, 1)->flags, ORDER_ACKED | ORDER_TRIGGERED);
    apply(&f, (exec_report_t){
                  .cl_ord_id = 1, .exec_type = EXEC_TYPE_ORDER_STATUS, .ord_status = ORD_STATUS_EXPIRED, .cum_qty = 0});
    assert_int_equal(row(&f, 1)->flags, ORDER_ACKED | ORDER_TRIGGERED);
    event(&f, 1, EXEC_TYPE_TRIGGERED);
    assert_int_equal(row(&f, 1)->ord_status, ORD_STATUS_EXPIRED);
    free(f.mem);
}

static void test_order_reports_on_orders_of_nobody(void **state)
{
    (void)state;
    static const uint8_t working[] = {EXEC_TYPE_NEW, EXEC_TYPE_REPLACED, EXEC_TYPE_RESTATED, EXEC_TYPE_TRIGGERED,
                                      EXEC_TYPE_DONE_FOR_DAY};
    static const uint8_t dead[]    = {EXEC_TYPE_CANCELED, EXEC_TYPE_REJECTED, EXEC_TYPE_TIMEOUT};
    static const uint8_t ended[]   = {ORD_STATUS_NONE, ORD_STATUS_FILLED, ORD_STATUS_CANCELED, ORD_STATUS_REJECTED,
                                      ORD_STATUS_EXPIRED};
    fix_t                f;
    fix_open(&f, 4);
    for (size_t i = 0; i < sizeof working; i++) {
        event(&f, 99, working[i]);
        assert_int_equal(f.effect.alarms, ONLY(ALARM_ALIEN_ORDER) | ONLY(ALARM_ACCOUNT_UNRECONCILED));
    }
    for (size_t i = 0; i < sizeof dead; i++) {
        event(&f, 99, dead[i]);
        assert_int_equal(f.effect.alarms, ONLY(ALARM_ALIEN_ORDER));
    }
    exec_report_t told = {.cl_ord_id = 99, .exec_type = EXEC_TYPE_ORDER_STATUS, .cum_qty = -1};
    for (size_t i = 0; i < sizeof ended; i++) {
        told.ord_status = ended[i];
        apply(&f, told);
        assert_int_equal(f.effect.alarms, ONLY(ALARM_ALIEN_ORDER));
    }
    told.ord_status = ORD_STATUS_NEW;
    apply(&f, told);
    assert_int_equal(f.effect.alarms, ONLY(ALARM_ALIEN_ORDER) | ONLY(ALARM_ACCOUNT_UNRECONCILED));
    open_tif(&f, 1, SIDE_BUY, TIF_GTC); /* a report that contradicts the order it names is about none */
    apply(&f, (exec_report_t){.cl_ord_id = 1, .account_id = 2, .exec_type = EXEC_TYPE_CANCELED, .cum_qty = -1});
    assert_int_equal(f.effect.row, ORDER_NONE);
    apply(&f, (exec_report_t){.cl_ord_id = 1, .instrument_id = 2, .exec_type = EXEC_TYPE_CANCELED, .cum_qty = -1});
    assert_int_equal(f.effect.row, ORDER_NONE);
    free(f.mem);
}

/* ---- bounds ------------------------------------------------------------------------------------------------------ */
static void test_order_fills_that_cannot_be_booked(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f, 4);
    const exec_report_t good  = {.exec_id_hi    = 1,
                                 .exec_type     = EXEC_TYPE_TRADE,
                                 .account_id    = 1,
                                 .instrument_id = 3,
                                 .side          = SIDE_BUY,
                                 .last_qty      = 1,
                                 .last_px       = 1000,
                                 .cum_qty       = -1};
    exec_report_t       bad[] = {good, good, good, good, good, good};
    bad[0].last_qty           = 0;
    bad[1].fee                = INT64_MIN;
    bad[2].exec_id_hi         = 0;
    bad[3].account_id         = 0;
    bad[4].instrument_id      = 4;
    bad[5].side               = 3;
    for (int i = 0; i < 6; i++) {
        order_apply_exec(f.t, &bad[i], &f.ins, &f.effect);
        assert_int_equal(f.effect.alarms, ONLY(ALARM_BAD_FILL));
        assert_int_equal(f.effect.booked, 0);
    }
    exec_report_t nameless = good;
    nameless.instrument_id = 0;
    order_apply_exec(f.t, &nameless, &f.ins, &f.effect);
    assert_int_equal(f.effect.alarms, ONLY(ALARM_BAD_FILL));
    order_apply_exec(f.t, &good, NULL, &f.effect);
    assert_int_equal(f.effect.alarms, ONLY(ALARM_BAD_FILL));
    order_apply_exec(f.t, &good, &f.ins, &f.effect);
    assert_int_equal(f.effect.alarms, ONLY(ALARM_UNKNOWN_ORDER_FILL));
    assert_int_equal(f.effect.booked, 1);
    open_tif(&f, 1, SIDE_BUY, TIF_GTC);
    fill(&f, 1, 1, 10, 0);
    assert_int_equal(f.effect.alarms, ONLY(ALARM_BAD_FILL_PRICE));
    f.ins.def.allow_negative = 1;
    fill(&f, 1, 2, 10, -5);
    assert_int_equal(f.effect.alarms, 0);
    fill(&f, 1, 3, INT64_MAX, 1000); /* a sum over 63 bits */
    assert_int_equal(f.effect.alarms, ONLY(ALARM_BAD_FILL));
    exec_report_t named = {.cl_ord_id = 1, .exec_type = EXEC_TYPE_NEW, .order_id_lo = 8, .cum_qty = -1};
    apply(&f, named);
    assert_int_equal(row(&f, 1)->order_id_lo, 8);
    named.order_id_lo = 0;
    named.order_id_hi = 9;
    apply(&f, named);
    assert_int_equal(row(&f, 1)->order_id_hi, 9);
    free(f.mem);
}

static void status(fix_t *f, uint64_t id, ord_status_t is, int64_t cum, int64_t px, int64_t qty)
{
    apply(f, (exec_report_t){.cl_ord_id  = id,
                             .exec_type  = EXEC_TYPE_ORDER_STATUS,
                             .ord_status = (uint8_t)is,
                             .px         = px,
                             .order_qty  = qty,
                             .cum_qty    = cum});
}

static void test_order_status_settles_what_was_under_way(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f, 8);
    for (uint64_t id = 1; id <= 6; id++) {
        open_tif(&f, id, SIDE_BUY, TIF_GTC);
        event(&f, id, EXEC_TYPE_NEW);
    }
    const uint32_t at = order_find(f.t, 1);
    order_replace_sent(f.t, at, 1010, 1010, 200);
    order_replace_sent(f.t, at, 1005, 1005, 150);
    assert_false(order_waits(row(&f, 1)));
    order_unknown(f.t, at);
    assert_true(order_waits(row(&f, 1)));
    status(&f, 1, ORD_STATUS_NEW, 0, 0, 150); /* no price: replaces stay open */
    assert_int_equal(row(&f, 1)->replaces, 2);
    event(&f, 1, EXEC_TYPE_REPLACE_REJECT);
    assert_int_equal(row(&f, 1)->replaces, 1);
    order_unknown(f.t, at);
    status(&f, 1, ORD_STATUS_NEW, 0, 1005, 150);
    assert_int_equal(row(&f, 1)->replaces, 0);
    assert_int_equal(row(&f, 1)->order_qty, 150);
    order_ask(f.t, at);
    assert_true(order_waits(row(&f, 1)));
    order_asked(f.t, at, (now_t){.mono_ns = 1});
    assert_true(order_waits(row(&f, 1)));
    status(&f, 1, ORD_STATUS_NEW, -1, 0, 0);
    assert_false(order_waits(row(&f, 1)));
    event(&f, 1, EXEC_TYPE_CANCELED);
    assert_int_equal(order_leaves(row(&f, 1)), 0);
    order_ask(f.t, at); /* nothing happens to a closed one */
    order_unknown(f.t, at);
    assert_int_equal(row(&f, 1)->ord_status, ORD_STATUS_CANCELED);
    assert_false(order_waits(row(&f, 1)));
    /* closed, as it says: with less than we have, without a figure, filled with and without one */
    fill(&f, 2, 1, 30, 1000);
    status(&f, 2, ORD_STATUS_CANCELED, 20, 0, 0);
    assert_int_equal(f.effect.alarms, ONLY(ALARM_CUM_BACKWARDS));
    status(&f, 3, ORD_STATUS_EXPIRED, -1, 0, 0);
    assert_int_equal(row(&f, 3)->ord_status, ORD_STATUS_EXPIRED);
    status(&f, 4, ORD_STATUS_FILLED, -1, 0, 0); /* all of it, and its fills are still to come */
    assert_int_equal(order_gap(row(&f, 4)), 100);
    assert_true(order_is_open(row(&f, 4)));
    fill(&f, 4, 2, 100, 1000);
    assert_int_equal(row(&f, 4)->ord_status, ORD_STATUS_FILLED);
    order_replace_sent(f.t, order_find(f.t, 5), 1010, 1010, 200);
    status(&f, 5, ORD_STATUS_FILLED, 100, 0, 0);
    assert_int_equal(row(&f, 5)->replaces, 0);
    for (int i = 0; i < 300; i++) { /* known to the venue, and lost there: it stays UNKNOWN, however often */
        status(&f, 6, ORD_STATUS_NONE, -1, 0, 0);
    }
    assert_int_equal(row(&f, 6)->ord_status, ORD_STATUS_UNKNOWN);
    assert_int_equal(row(&f, 6)->not_found, UINT8_MAX);
    status(&f, 6, ORD_STATUS_NEW, 0, 0, 0);
    assert_int_equal(row(&f, 6)->not_found, 0);
    free(f.mem);
}

/* x with x * odd = 1 in 64 bits */
static uint64_t inverse(uint64_t odd)
{
    uint64_t x = odd;
    for (int i = 0; i < 6; i++) {
        x *= 2 - odd * x;
    }
    return x;
}

/* Two keys of one hash are told apart by what they are. The hash is the upper half of key * 0x9e37...: keys that differ by
 * the inverse of that differ in the lowest bit of the product alone. */
static void test_order_ids_of_one_hash(void **state)
{
    (void)state;
    const uint64_t step = inverse(0x9e3779b97f4a7c15ull), mix = 0xff51afd7ed558ccdull;
    fix_t          f;
    fix_open(&f, 4);
    open_tif(&f, step * 2, SIDE_BUY, TIF_GTC);
    open_tif(&f, step * 3, SIDE_BUY, TIF_GTC);
    assert_int_equal(order_find(f.t, step * 2), 0);
    assert_int_equal(order_find(f.t, step * 3), 1);
    assert_int_equal(order_find(f.t, step * 4), ORDER_NONE);
    const uint64_t ins1 = 1ull << 40, ins2 = 2ull << 40;
    const struct {
        uint32_t instrument;
        uint64_t hi, lo;
    } fills[] = {{1, 0, (step * 2) ^ ins1},
                 {1, 0, (step * 3) ^ ins1},
                 {2, 0, (step * 4) ^ ins2},
                 {1, inverse(mix) * ((step * 5) ^ ins1 ^ ((step * 2) ^ ins1)), (step * 2) ^ ins1}};
    for (int twice = 0; twice < 2; twice++) {
        for (size_t i = 0; i < 4; i++) {
            apply(&f, (exec_report_t){.exec_id_hi    = fills[i].hi,
                                      .exec_id_lo    = fills[i].lo,
                                      .instrument_id = fills[i].instrument,
                                      .exec_type     = EXEC_TYPE_TRADE,
                                      .side          = SIDE_BUY,
                                      .last_qty      = 1,
                                      .last_px       = 1000,
                                      .cum_qty       = -1});
            assert_int_equal(f.effect.booked, !twice);
            assert_int_equal(f.effect.duplicate, twice);
        }
    }
    free(f.mem);
}

static void test_order_sizes_on_their_bounds(void **state)
{
    (void)state;
    const order_cfg_t good  = {.orders_max = 1, .fills_max = 1, .instruments_max = 1};
    order_cfg_t       bad[] = {good, good, good, good, good, good};
    bad[0].orders_max       = 0;
    bad[1].orders_max       = ORDER_ROWS_MAX + 1;
    bad[2].fills_max        = 0;
    bad[3].fills_max        = ORDER_ROWS_MAX + 1;
    bad[4].instruments_max  = 0;
    bad[5].instruments_max  = ORDER_INSTRUMENTS_MAX + 1;
    assert_int_not_equal(order_footprint(&good), 0);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(order_footprint(&bad[i]), 0);
    }
    const order_cfg_t most = {
        .orders_max = ORDER_ROWS_MAX, .fills_max = ORDER_ROWS_MAX, .instruments_max = ORDER_INSTRUMENTS_MAX};
    assert_int_not_equal(order_footprint(&most), 0);
    fix_t f;
    fix_open(&f, 4);
    order_cfg_t *cfg = (order_cfg_t *)(void *)((char *)f.mem + sizeof(uint64_t));
    assert_int_equal(cfg->orders_max, 4);
    cfg->orders_max = 5; /* a table of another size than it says */
    assert_null(order_join(f.mem));
    free(f.mem);
}

/* ---- answers that are doubled, late, out of order ------------------------------------------------------------------ */
static void answer(fix_t *f, uint8_t type, uint64_t exec, int64_t ts, int64_t qty, int64_t px)
{
    apply(f, (exec_report_t){.cl_ord_id   = 1,
                             .exec_id_lo  = exec,
                             .exec_type   = type,
                             .ts_event_ns = ts,
                             .order_qty   = qty,
                             .px          = px,
                             .cum_qty     = -1});
}

static void test_order_answers_settle_one_request_each(void **state)
{
    (void)state;
    static const uint8_t types[] = {EXEC_TYPE_REPLACED, EXEC_TYPE_REPLACE_REJECT};
    for (size_t i = 0; i < 2; i++) {
        fix_t f;
        fix_open(&f, 4);
        open_tif(&f, 1, SIDE_BUY, TIF_GTC);
        order_replace_sent(f.t, 0, 1010, 1010, 150);
        order_replace_sent(f.t, 0, 1020, 1020, 200);
        answer(&f, types[i], 5, 0, 150, 1010);
        assert_int_equal(row(&f, 1)->replaces, 1);
        assert_int_equal(f.effect.repeated, 0);
        const uint64_t before = order_hash(0, f.t);
        answer(&f, types[i], 5, 0, 150, 1010); /* the same again */
        assert_int_equal(f.effect.repeated, 1);
        assert_int_equal(f.effect.duplicate, 0);
        assert_true(order_hash(0, f.t) == before);
        assert_int_equal(f.effect.after.qty, 200); /* what is on its way still counts */
        answer(&f, types[i], 0, 0, 150, 1010);     /* without an id nobody can know */
        assert_int_equal(row(&f, 1)->replaces, 0);
        free(f.mem);
    }
    fix_t f;
    fix_open(&f, 4);
    open_tif(&f, 1, SIDE_BUY, TIF_GTC);
    order_cancel_sent(f.t, 0, (now_t){.mono_ns = 1});
    answer(&f, EXEC_TYPE_CANCEL_REJECT, 5, 0, 0, 0);
    assert_int_not_equal(row(&f, 1)->ord_status, ORD_STATUS_PENDING_CANCEL);
    order_cancel_sent(f.t, 0, (now_t){.mono_ns = 2});
    answer(&f, EXEC_TYPE_CANCEL_REJECT, 5, 0, 0, 0); /* it answers the first one */
    assert_int_equal(row(&f, 1)->ord_status, ORD_STATUS_PENDING_CANCEL);
    answer(&f, EXEC_TYPE_CANCEL_REJECT, 6, 0, 0, 0);
    assert_int_not_equal(row(&f, 1)->ord_status, ORD_STATUS_PENDING_CANCEL);
    for (uint64_t exec = 7; exec < 13; exec++) { /* six newer ones: 5 is forgotten, 7 is not */
        answer(&f, EXEC_TYPE_CANCEL_REJECT, exec, 0, 0, 0);
        assert_int_equal(f.effect.repeated, 0);
    }
    answer(&f, EXEC_TYPE_CANCEL_REJECT, 7, 0, 0, 0);
    assert_int_equal(f.effect.repeated, 1);
    answer(&f, EXEC_TYPE_CANCEL_REJECT, 5, 0, 0, 0);
    assert_int_equal(f.effect.repeated, 0);
    free(f.mem);
}

static void test_order_older_word_does_not_overwrite_a_newer_one(void **state)
{
    (void)state;
    fix_t f;
    fix_open(&f, 4);
    open_tif(&f, 1, SIDE_BUY, TIF_GTC);
    order_replace_sent(f.t, 0, 1010, 1010, 150);
    order_replace_sent(f.t, 0, 1020, 1020, 200);
    answer(&f, EXEC_TYPE_REPLACED, 6, 20, 200, 1020);
    answer(&f, EXEC_TYPE_REPLACED, 5, 10, 150, 1010); /* late: an answer, and no news */
    assert_int_equal(row(&f, 1)->replaces, 0);
    assert_int_equal(row(&f, 1)->order_qty, 200);
    assert_int_equal(row(&f, 1)->px, 1020);
    answer(&f, EXEC_TYPE_RESTATED, 7, 19, 90, 1000);
    assert_int_equal(row(&f, 1)->order_qty, 200);
    answer(&f, EXEC_TYPE_RESTATED, 8, 20, 90, 1000); /* of the same moment: the later one to come */
    assert_int_equal(row(&f, 1)->order_qty, 90);
    event(&f, 1, EXEC_TYPE_TIMEOUT);
    apply(&f, (exec_report_t){.cl_ord_id   = 1,
                              .exec_type   = EXEC_TYPE_ORDER_STATUS,
                              .ord_status  = ORD_STATUS_NEW,
                              .ts_event_ns = 15,
                              .order_qty   = 50,
                              .px          = 900,
                              .cum_qty     = 0});
    assert_int_equal(row(&f, 1)->order_qty, 90);
    free(f.mem);
}

/* What it says was never asked for by a request under way: it answers one that was settled before. */
static void test_order_answer_to_another_request_settles_none(void **state)
{
    (void)state;
    static const struct {
        int64_t qty, px;
        int     settles;
    } rows[] = {{150, 1010, 1}, {151, 1010, 0}, {150, 1011, 0}, {150, 1009, 0}, {0, 0, 1}, {149, 1010, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fix_t f;
        fix_open(&f, 4);
        open_tif(&f, 1, SIDE_BUY, TIF_GTC);
        order_replace_sent(f.t, 0, 1010, 1010, 150);
        answer(&f, EXEC_TYPE_REPLACED, 5, 10, rows[i].qty, rows[i].px);
        assert_int_equal(row(&f, 1)->replaces, 1 - rows[i].settles);
        free(f.mem);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_every_report_in_every_state),
        cmocka_unit_test(test_order_correction_books_the_difference_once),
        cmocka_unit_test(test_order_correction_follows_what_the_venue_counts),
        cmocka_unit_test(test_order_correction_that_cannot_be),
        cmocka_unit_test(test_order_restated_is_in_force),
        cmocka_unit_test(test_order_done_for_day_by_time_in_force),
        cmocka_unit_test(test_order_triggered_stays_told),
        cmocka_unit_test(test_order_reports_on_orders_of_nobody),
        cmocka_unit_test(test_order_fills_that_cannot_be_booked),
        cmocka_unit_test(test_order_status_settles_what_was_under_way),
        cmocka_unit_test(test_order_ids_of_one_hash),
        cmocka_unit_test(test_order_sizes_on_their_bounds),
        cmocka_unit_test(test_order_answers_settle_one_request_each),
        cmocka_unit_test(test_order_older_word_does_not_overwrite_a_newer_one),
        cmocka_unit_test(test_order_answer_to_another_request_settles_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
