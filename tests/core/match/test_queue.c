/* queue: what a decrease of a level says of the quantity ahead of us.
 *
 * Invariants   by hand: the formulas at places where they are easily known; at random: fixed point against the same formulas
 *              in long double (never below it: rounding is against us, and above by less than a unit and 10^-8 of the change),
 *              0 <= ahead' <= min(ahead, after), behind never more than stands there, risk_averse >= any model >=
 *              optimistic; quantity that trades explain moves nothing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/match/queue.h"

static const queue_cfg_t models[] = {{QUEUE_RISK_AVERSE, 0}, {QUEUE_PROB_POWER, 1},  {QUEUE_PROB_POWER, 3},
                                     {QUEUE_PROB_POWER, 16}, {QUEUE_PROB_POWER2, 2}, {QUEUE_PROB_POWER3, 2},
                                     {QUEUE_PROB_LOG, 0},    {QUEUE_PROB_LOG2, 0},   {QUEUE_OPTIMISTIC, 0}};
#define MODELS (sizeof models / sizeof models[0])

static uint64_t rng;

static uint64_t rnd(uint64_t n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng % n;
}

/* The share behind, as it stands in the documentation. */
static long double behind(const queue_cfg_t *cfg, long double unit, long double f, long double b)
{
    const long double n = cfg->power;
    switch (cfg->model) {
    case QUEUE_PROB_POWER: return powl(b, n) / (powl(f, n) + powl(b, n));
    case QUEUE_PROB_POWER2: return powl(b, n) / powl(f + b, n);
    case QUEUE_PROB_POWER3: return 1 - powl(f / (f + b), n);
    case QUEUE_PROB_LOG: return log1pl(b / unit) / (log1pl(f / unit) + log1pl(b / unit));
    case QUEUE_PROB_LOG2: return log1pl(b / unit) / log1pl((f + b) / unit);
    case QUEUE_OPTIMISTIC: return 0;
    default: return 1;
    }
}

static long double slow(const queue_cfg_t *cfg, int64_t unit, int64_t ahead, int64_t before, int64_t after,
                        int64_t traded)
{
    const long double left = fmaxl((long double)before - traded, 0), cancelled = left - after;
    if (cancelled <= 0 || ahead == 0) {
        return fminl(ahead, after);
    }
    const long double back = fmaxl(left - ahead, 0);
    const long double part = behind(cfg, unit, ahead, back) * cancelled;
    return fminl(fmaxl(ahead - (cancelled - part), 0), after);
}

static void test_by_hand(void **state)
{
    (void)state;
    /* 100 stand at our price, 60 of them ahead; 20 are cancelled */
    const int64_t wants[] = {60,              /* risk averse: 40 behind are enough */
                             60 - 11,         /* 40 / 100 of it behind, rounded up: 12 ahead, down */
                             60 - 15,         /* 64 / (216 + 64) = 0.2286 behind: 15.43 ahead, down */
                             60 - 19,         /* nearly all ahead: 19.97, down */
                             60 - 16,         /* 0.16 behind: 16.8 */
                             60 - 7,          /* 1 - 0.36 behind: 7.2 */
                             60 - 10, 60 - 3, /* in units of 1: ln 41 / (ln 61 + ln 41) = 0.4746; / ln 101 = 0.8047 */
                             60 - 20};
    for (size_t i = 0; i < MODELS; i++) {
        assert_int_equal(queue_ahead(&models[i], 1, 60, 100, 80, 0), wants[i]);
        assert_int_equal(queue_ahead(&models[i], 1, 60, 100, 80, 20), 60); /* trades explain all of it */
        assert_int_equal(queue_ahead(&models[i], 1, 60, 100, 120, 0), 60);
        assert_int_equal(queue_ahead(&models[i], 1, 60, 100, 0, 0), 0);
        assert_int_equal(queue_ahead(&models[i], 1, 0, 100, 50, 0), 0);
        assert_int_equal(queue_ahead(&models[i], 1, 60, 60, 35, 0), 35); /* nobody behind: all of it was ahead */
    }
}

static void test_against_long_double(void **state)
{
    (void)state;
    const char *text = getenv("HWAL_SEED");
    rng              = text != NULL ? strtoull(text, NULL, 0) : 0x9e0e0;
    printf("seed %#llx (HWAL_SEED)\n", (unsigned long long)rng);
    const unsigned steps = getenv("HWAL_QUICK") != NULL ? 20000 : 200000;
    for (unsigned step = 0; step < steps; step++) {
        const int64_t size   = (int64_t)1 << (1 + rnd(61));
        const int64_t unit   = step % 2 ? 1 : 100000000;
        const int64_t before = (int64_t)rnd((uint64_t)size) + 1;
        const int64_t ahead  = (int64_t)rnd((uint64_t)before + 1);
        const int64_t after  = (int64_t)rnd((uint64_t)before + (uint64_t)before / 4 + 1);
        const int64_t traded = rnd(3) == 0 ? (int64_t)rnd((uint64_t)before) : 0;
        int64_t       got[MODELS];
        for (size_t i = 0; i < MODELS; i++) {
            got[i]                 = queue_ahead(&models[i], unit, ahead, before, after, traded);
            const long double want = slow(&models[i], unit, ahead, before, after, traded);
            const long double off  = (long double)got[i] - want;
            if (got[i] < 0 || got[i] > ahead || got[i] > after || off < -1e-12L * (long double)before ||
                off > 2 + 1e-8L * (long double)before || got[i] > got[0]) {
                fail_msg("step %u model %zu: ahead %lld before %lld after %lld traded %lld: %lld, want %.3Lf", step, i,
                         (long long)ahead, (long long)before, (long long)after, (long long)traded, (long long)got[i],
                         want);
            }
        }
        for (size_t i = 0; i < MODELS; i++) {
            assert_true(got[i] >= got[MODELS - 1]); /* nobody is kinder than the optimist */
        }
    }
}

static void test_names(void **state)
{
    (void)state;
    static const char *const good[] = {"risk_averse", "prob_power:1", "prob_power2:16", "prob_power3:2",
                                       "prob_log",    "prob_log2",    "optimistic",     "l3"};
    static const char *const bad[]  = {"",
                                       "risk",
                                       "prob_power",
                                       "prob_power:0",
                                       "prob_power:17",
                                       "prob_power:x",
                                       "prob_power:2x",
                                       "prob_power4:1",
                                       "prob_log:1",
                                       "l3:",
                                       "prob_power:",
                                       "prob_power:-1",
                                       "l3 ",
                                       "prob_power:001"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        queue_cfg_t cfg;
        char        text[QUEUE_TEXT_MAX];
        assert_int_equal(queue_parse(good[i], &cfg), ERR_OK);
        assert_int_equal(queue_check(&cfg), ERR_OK);
        assert_string_equal(queue_text(&cfg, text), good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        queue_cfg_t cfg = {99, 99};
        assert_int_equal(queue_parse(bad[i], &cfg), ERR_CONFIG);
        assert_int_equal(cfg.model, 99);
        assert_non_null(strstr(err_msg(), "prob_power3:N"));
    }
    assert_int_equal(queue_check(&(queue_cfg_t){QUEUE_MODELS, 0}), ERR_ARG);
    assert_int_equal(queue_check(&(queue_cfg_t){QUEUE_PROB_POWER, 0}), ERR_ARG);
    assert_int_equal(queue_check(&(queue_cfg_t){QUEUE_PROB_POWER3, 17}), ERR_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_against_long_double),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
