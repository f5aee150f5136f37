#include "tools/capture_def.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/types/decimal.h"

static const char *const market_names[CAPTURE_KINDS] = {"?", "spot", "usdm", "coinm"};

typedef struct probing {
    capture_def_t              *def;
    const char                 *venue;
    const config_instruments_t *listed;
    capture_note_t              note;
    void                       *ctx;
} probing_t;

const char *capture_market_name(uint8_t kind)
{
    return market_names[kind < CAPTURE_KINDS ? kind : 0];
}

uint8_t capture_market_kind(const char *name)
{
    uint8_t kind = CAPTURE_KINDS - 1;
    while (kind && strcmp(name, market_names[kind]) != 0) {
        kind--;
    }
    return kind;
}

static const config_instrument_t *listed_find(const probing_t *p, uint8_t kind, const char *symbol)
{
    for (unsigned i = 0; p->listed && i < p->listed->instruments_count; i++) {
        const config_instrument_t *e = &p->listed->instruments[i];
        if (strcmp(e->venue, p->venue) == 0 && strcmp(e->market, market_names[kind]) == 0 &&
            strcmp(e->symbol, symbol) == 0) {
            return e;
        }
    }
    return NULL;
}

/* An instrument that nobody listed. */
static err_t infer(const probing_t *p, uint8_t kind, const capture_symbol_t *seen, instrument_t *out)
{
    instrument_def_t def  = {.venue_id  = kind,
                             .kind      = kind,
                             .px_exp    = (int8_t)seen->px_decimals,
                             .qty_exp   = (int8_t)seen->qty_decimals,
                             .money_exp = kind == INSTRUMENT_INVERSE ? 10 : 8,
                             .mult      = 1,
                             .lot       = 1,
                             .min_qty   = 1};
    tick_band_t      band = {.px_from = 0, .tick = 1};
    const size_t     len  = strlen(seen->symbol);
    const char      *ccy  = kind == INSTRUMENT_INVERSE ? "COIN" : "QUOTE";
    char             text[320], px[DECIMAL_TEXT_MAX];
    if (kind != INSTRUMENT_INVERSE && len > 4 &&
        (strcmp(seen->symbol + len - 4, "USDT") == 0 || strcmp(seen->symbol + len - 4, "USDC") == 0)) {
        ccy = seen->symbol + len - 4;
    }
    def.settle_ccy = ccy_pack(ccy);
    /* the tick is the coarsest power of ten that divides all prices seen: a common divisor of 30 is chance, no tick */
    while (seen->px_gcd > 0 && band.tick <= INT64_MAX / 10 && seen->px_gcd % (band.tick * 10) == 0) {
        band.tick *= 10;
    }
    const err_t err = instrument_init(out, &def, seen->symbol, &band, 1);
    if (err) {
        return err;
    }
    decimal_format(band.tick, seen->px_decimals, px);
    snprintf(
        text, sizeof text,
        "%s %s is not in the instruments file: scales %u and %u digits and tick %s come from the capture, %s as the "
        "currency; minimum sizes are not known",
        market_names[kind], seen->symbol, seen->px_decimals, seen->qty_decimals, px, ccy);
    if (p->note) {
        p->note(p->ctx, text);
    }
    return ERR_OK;
}

static err_t instrument_open(const probing_t *p, uint8_t kind, const capture_symbol_t *seen, uint32_t *id)
{
    capture_def_t *def = p->def;
    for (uint32_t i = 0; i < def->count; i++) {
        if (def->ins[i].def.kind == kind && strcmp(def->ins[i].symbol, seen->symbol) == 0) {
            *id = i + 1;
            return ERR_OK;
        }
    }
    if (def->count == CAPTURE_INSTRUMENTS_MAX) {
        return err_set(ERR_LIMIT, "more than %u instruments", CAPTURE_INSTRUMENTS_MAX);
    }
    const config_instrument_t *entry = listed_find(p, kind, seen->symbol);
    instrument_t              *ins   = &def->ins[def->count];
    const err_t                err   = entry ? config_instrument(entry, kind, ins) : infer(p, kind, seen, ins);
    if (err) {
        return err;
    }
    *id = ins->def.instrument_id = ++def->count;
    return ERR_OK;
}

static err_t file_open(const probing_t *p, const char *path, uint32_t file, uint8_t market, capture_probe_t *probe)
{
    if (market && probe->kind != market && probe->kind != INSTRUMENT_SPOT) { /* spot has no marks of its own */
        return err_set(ERR_ARG, "%s: --market %s, but its messages are those of %s", path, market_names[market],
                       market_names[probe->kind]);
    }
    probe->kind             = market ? market : probe->kind;
    p->def->file_kind[file] = probe->kind;
    uint64_t lines          = 0;
    uint32_t first          = 0; /* the symbol with the most lines comes first */
    for (uint32_t i = 0; i < probe->symbol_count; i++) {
        uint32_t    id  = 0;
        const err_t err = instrument_open(p, probe->kind, &probe->symbols[i], &id);
        if (err) {
            return err;
        }
        first = i == 0 ? id : first;
        lines += probe->symbols[i].lines;
    }
    /* a stray line does not make a second feed of it */
    p->def->file_instrument[file] = first && probe->symbols[0].lines >= lines - lines / 10 ? first : 0;
    return ERR_OK;
}

err_t capture_def_open(capture_def_t *def, const char *venue, const config_instruments_t *listed, char *const *files,
                       uint32_t count, uint8_t market, capture_note_t note, void *ctx)
{
    const probing_t  p     = {.def = def, .venue = venue, .listed = listed, .note = note, .ctx = ctx};
    const size_t     bytes = capture_footprint(1);
    void            *mem   = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    capture_probe_t *probe = malloc(sizeof *probe);
    err_t            err   = mem && probe ? ERR_OK : err_set(ERR_LIMIT, "out of memory");
    *def                   = (capture_def_t){0};
    for (uint32_t f = 0; !err && f < count; f++) {
        err = capture_probe_file(mem, files[f], probe);
        err = err ? err : file_open(&p, files[f], f, market, probe);
    }
    free(mem);
    free(probe);
    return err;
}
