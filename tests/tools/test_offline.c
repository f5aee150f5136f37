/* The event path as the tools run it: engine, strategies, risk, order state, portfolio and simulated venue in a loop.
 *
 * Checked   not one allocation after start, counted by standing in for malloc: on a generated market and from captured
 *           line to order (recorded data under HWAL_SHARED); the same seed gives the same hashes, another one others;
 *           strategies do trade; nothing is left on its way at the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "adapters/capture/capture.h"
#include "adapters/venue.h"
#include "tests/lib/allocations.h"
#include "tools/offline.h"

#define START_NS 1700000000000000000LL

static config_t *config_of(void)
{
    config_t *config;
    assert_int_equal(config_load(NULL, &config), ERR_OK);
    return config;
}

static flow_cfg_t market(uint64_t seed)
{
    return (flow_cfg_t){.seed             = seed,
                        .session          = 1,
                        .start_ns         = START_NS,
                        .gap_mean_ns      = 400 * NS_PER_US,
                        .instrument_count = 8,
                        .own_max          = 1024,
                        .venue_id         = 1};
}

typedef struct outcome {
    uint64_t state, output, orders, fills;
    size_t   allocations;
} outcome_t;

static outcome_t generate(uint64_t seed)
{
    static offline_t run;
    config_t        *config = config_of();
    const flow_cfg_t cfg    = market(seed);
    assert_int_equal(offline_open(&run, config, NULL, 0, NULL, 0, &cfg), ERR_OK);
    allocations_zero();
    allocations_watch(true);
    const err_t err = offline_generate(&run, START_NS + 3 * NS_PER_S);
    allocations_watch(false);
    assert_int_equal(err, ERR_OK);
    assert_int_equal(offline_end(&run), ERR_OK);
    assert_true(delay_due_ns(run.delay) > run.now_ns); /* what was due has arrived */
    const outcome_t outcome = {engine_state_hash(run.engine), engine_output_hash(run.engine), run.counts.orders,
                               run.counts.fills, allocations_count()};
    offline_close(&run);
    config_free(config);
    return outcome;
}

static void test_offline_allocates_nothing_on_a_generated_market(void **state)
{
    (void)state;
    if (!allocations_counted()) {
        skip();
    }
    const outcome_t a = generate(1);
    assert_true(a.orders > 0);
    assert_true(a.fills > 0);
    assert_int_equal(a.allocations, 0);
    allocations_watch(true);          /* the hook itself works */
    void *volatile block = malloc(1); /* volatile: else a compiler may leave both calls out */
    free(block);
    allocations_watch(false);
    assert_int_equal(allocations_count(), 1);
}

static void test_offline_same_seed_same_hashes(void **state)
{
    (void)state;
    const outcome_t a = generate(7), b = generate(7), c = generate(8);
    assert_int_equal(a.state, b.state);
    assert_int_equal(a.output, b.output);
    assert_int_not_equal(a.output, c.output);
}

/* ---- recorded ---------------------------------------------------------------------------------------------------- */
typedef struct recorded {
    offline_t run;
    md_buf_t  slot;
    err_t     err;
} recorded_t;

static md_slot_t reserve(void *ctx, msg_type_t type)
{
    recorded_t *r = ctx;
    (void)type;
    return (md_slot_t){.body = &r->slot.body, .levels = r->slot.levels};
}

static void commit(void *ctx, const msg_t *msg)
{
    recorded_t *r = ctx;
    r->err        = r->err ? r->err : offline_market(&r->run, msg);
}

static void test_offline_allocates_nothing_from_captured_line_to_order(void **state)
{
    (void)state;
    static recorded_t r;
    char              path[4096];
    const char       *shared = getenv("HWAL_SHARED");
    snprintf(path, sizeof path, "%s/data/binance/usdm_ethusdt_20240808.gz", shared ? shared : "../shared");
    if (!allocations_counted() || access(path, R_OK) != 0) {
        printf("SKIP %s\n", allocations_counted() ? "captured line to order: no recorded data (set HWAL_SHARED)"
                                                  : "allocations are not counted under sanitizers");
        skip();
    }
    const instrument_def_t def  = {.instrument_id = 1,
                                   .venue_id      = 1,
                                   .kind          = INSTRUMENT_LINEAR,
                                   .px_exp        = 2,
                                   .qty_exp       = 3,
                                   .money_exp     = 8,
                                   .mult          = 1,
                                   .lot           = 1,
                                   .min_qty       = 1,
                                   .settle_ccy    = ccy_pack("USDT")};
    const tick_band_t      band = {.tick = 1};
    instrument_t           ins;
    config_t              *config = config_of();
    assert_int_equal(instrument_init(&ins, &def, "ETHUSDT", &band, 1), ERR_OK);
    assert_int_equal(offline_open(&r.run, config, &ins, 1, NULL, 0, NULL), ERR_OK);
    const venue_codec_t    *venue = venue_codec_find("binance");
    const venue_codec_cfg_t cfg   = {.feeds_max = 1, .sink = {.ctx = &r, .reserve = reserve, .commit = commit}};
    const feed_ref_t        ref   = {
                 .instrument_id = 1, .kind = INSTRUMENT_LINEAR, .px_exp = 2, .qty_exp = 3, .symbol = "ETHUSDT"};
    void *mem   = aligned_alloc(venue->align(), (venue->footprint(&cfg) + 4095) & ~(size_t)4095);
    void *codec = venue->create(mem, &cfg);
    assert_non_null(codec);
    assert_int_equal(venue->feed_add(codec, &ref), ERR_OK);
    void          *cap_mem = aligned_alloc(capture_align(), (capture_footprint(1) + 4095) & ~(size_t)4095);
    const char    *files[] = {path};
    capture_t     *cap;
    capture_line_t line;
    assert_int_equal(capture_open(cap_mem, files, 1, &cap), ERR_OK);
    allocations_zero();
    for (int n = 0; n < 40000 && capture_next(cap, &line) == ERR_OK; n++) {
        allocations_watch(true);
        err_t            err   = offline_begin(&r.run, line.ts_recv_ns);
        const md_frame_t frame = {
            .text = line.text, .len = line.len, .ts_recv_ns = line.ts_recv_ns, .instrument_id = 1};
        err = err ? err : venue->decode(codec, &frame);
        allocations_watch(false);
        assert_int_equal(err, ERR_OK);
        assert_int_equal(r.err, ERR_OK);
    }
    assert_int_equal(allocations_count(), 0);
    assert_true(r.run.counts.orders > 0);
    assert_true(r.run.counts.fills > 0);
    capture_close(cap);
    free(cap_mem);
    free(mem);
    offline_close(&r.run);
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offline_allocates_nothing_on_a_generated_market),
        cmocka_unit_test(test_offline_same_seed_same_hashes),
        cmocka_unit_test(test_offline_allocates_nothing_from_captured_line_to_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
