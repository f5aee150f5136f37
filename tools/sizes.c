#include "tools/sizes.h"

#include <inttypes.h>
#include <string.h>

#include "core/engine/engine.h"
#include "ipc/topology.h"
#include "tools/setup.h"

/* Accounts that the engine has are those of the configuration, at least one; the others are room in the records. */
static uint64_t arena_of(const config_t *config, uint32_t accounts)
{
    static setup_t setup;
    engine_cfg_t   cfg;
    err_t          err = setup_begin(&setup, config);
    err                = err ? err : setup_live(&setup);
    err                = err ? err : setup_engine_cfg(&setup, (uint32_t)config->engine.instruments_max, NULL, 0, &cfg);
    if (err) {
        return 0;
    }
    cfg.accounts_max = accounts ? accounts : cfg.accounts_max;
    return engine_footprint(&cfg);
}

static uint64_t shared_of(const config_t *config)
{
    uint64_t sum = 0;
    for (role_t role = 0; role < ROLE_COUNT; role++) {
        sum += topology_runs(role, config) ? topology_bytes(role, config, 0) : 0;
    }
    return sum;
}

/* One more of what *field counts, which lies in `config`: as many against half as many. */
static sizes_of_t one_more(const config_t *config, const int64_t *field, int64_t least)
{
    config_t      less = *config, more = *config;
    const size_t  at = (size_t)((const char *)field - (const char *)config);
    const int64_t n = *field > 2 * least ? *field : 2 * least, half = n / 2;
    memcpy((char *)&more + at, &n, sizeof n);
    memcpy((char *)&less + at, &half, sizeof half);
    const uint64_t by = (uint64_t)(n - half);
    return (sizes_of_t){.arena  = (arena_of(&more, 0) - arena_of(&less, 0)) / by,
                        .shared = (shared_of(&more) - shared_of(&less)) / by};
}

err_t sizes_of(const config_t *config, sizes_t *out)
{
    const book_cfg_t book     = {.window_ticks = (uint32_t)config->engine.book_window_ticks,
                                 .far_slots    = (uint32_t)config->engine.book_far_levels};
    const uint32_t   accounts = config->accounts_count > 1 ? config->accounts_count : 2;
    *out = (sizes_t){.arena = arena_of(config, 0), .shared = shared_of(config), .book = book_footprint(&book)};
    if (out->arena == 0 || out->shared == 0 || out->book == 0) {
        return err_wrap(ERR_CONFIG, "memory");
    }
    out->instrument    = one_more(config, &config->engine.instruments_max, 1);
    out->order         = one_more(config, &config->engine.orders_max, 1024);
    out->account       = one_more(config, &config->engine.accounts_max, 1);
    out->account.arena = (arena_of(config, accounts) - arena_of(config, accounts / 2)) / (accounts - accounts / 2);
    return ERR_OK;
}

void sizes_print(const sizes_t *s, FILE *to)
{
    fprintf(to,
            "memory: engine %.1f MB, shared %.1f MB; one more instrument %" PRIu64 " bytes (its book %" PRIu64
            "), order %" PRIu64 ", account %" PRIu64 "\n",
            (double)s->arena / 1e6, (double)s->shared / 1e6, s->instrument.arena + s->instrument.shared, s->book,
            s->order.arena + s->order.shared, s->account.arena + s->account.shared);
}

static json_t *pair(const sizes_of_t *of)
{
    return json_pack("{s:I, s:I}", "arena", (json_int_t)of->arena, "shared", (json_int_t)of->shared);
}

json_t *sizes_json(const sizes_t *s)
{
    return json_pack("{s:I, s:I, s:I, s:o, s:o, s:o}", "arena_bytes", (json_int_t)s->arena, "shared_bytes",
                     (json_int_t)s->shared, "book_bytes", (json_int_t)s->book, "instrument", pair(&s->instrument),
                     "order", pair(&s->order), "account", pair(&s->account));
}
