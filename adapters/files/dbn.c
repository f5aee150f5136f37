#include "adapters/files/dbn.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are little endian and are copied out as they lie");

#define INPUT_BYTES 65536u
#define WINDOW_BYTES (128u << 10)
#define ZSTD_MAGIC 0xFD2FB528u
#define PRELUDE_BYTES 8u      /* "DBN", version, length of the metadata */
#define META_FIXED_BYTES 100u /* of the metadata, before its lists */
#define HEAD_BYTES 16u        /* of a record */
#define TS_OUT_BYTES 8u
#define MBP_BYTES 48u /* before its levels */
#define STYPE_INSTRUMENT_ID 0

enum { /* record types; what is not here is DBN_OTHER */
       RTYPE_TRADE      = 0x00,
       RTYPE_MBP_1      = 0x01,
       RTYPE_MBP_10     = 0x0A,
       RTYPE_OHLCV      = 0x11, /* of any length, in the oldest files */
       RTYPE_DEFINITION = 0x13,
       RTYPE_OHLCV_1S   = 0x20,
       RTYPE_OHLCV_EOD  = 0x24,
       RTYPE_MBO        = 0xA0
};

struct dbn {
    const char   *path;
    int           fd;
    ZSTD_DStream *zstd; /* NULL: a plain file */
    ZSTD_inBuffer in;
    bool          frame_open; /* zstd: in the middle of a frame */
    bool          pending;    /* zstd: the window was full, so more may come out without more input */
    bool          input_end;
    err_t         end; /* ERR_OK while records may follow; ERR_END; or the fault */
    char          why[512];

    uint64_t   offset; /* of window[at] in the stream */
    size_t     at, fill;
    dbn_meta_t meta;
    uint8_t   *lists; /* the whole metadata; the lists of it are read again by dbn_symbol */
    uint32_t   lists_len;
    uint32_t   mappings_at; /* in lists[] */
    uint8_t    input[INPUT_BYTES];
    uint8_t    window[WINDOW_BYTES];
};

/* The fault of the stream: kept, so that later calls say it again. */
__attribute__((format(printf, 3, 4), cold)) static err_t fault(dbn_t *d, err_t err, const char *fmt, ...)
{
    char    what[320];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    d->end = err;
    snprintf(d->why, sizeof d->why, "dbn: %s: byte %" PRIu64 ": %s", d->path, d->offset, what);
    return err_set(err, "%s", d->why);
}

static uint16_t get_u16(const uint8_t *bytes)
{
    uint16_t v;
    memcpy(&v, bytes, sizeof v);
    return v;
}
static uint32_t get_u32(const uint8_t *bytes)
{
    uint32_t v;
    memcpy(&v, bytes, sizeof v);
    return v;
}
static uint64_t get_u64(const uint8_t *bytes)
{
    uint64_t v;
    memcpy(&v, bytes, sizeof v);
    return v;
}
static int64_t get_i64(const uint8_t *bytes)
{
    return (int64_t)get_u64(bytes);
}

/* ---- bytes ---------------------------------------------------------------------------------------------------------- */

static err_t input_read(dbn_t *d, void *to, size_t room, size_t *got)
{
    ssize_t n;
    do {
        n = read(d->fd, to, room);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return fault(d, ERR_IO, "read: %s", strerror(errno));
    }
    *got = (size_t)n;
    return ERR_OK;
}

/* More bytes behind window[fill], or input_end. */
static err_t window_more(dbn_t *d)
{
    size_t got = 0;
    if (d->zstd == NULL) {
        const err_t err = input_read(d, d->window + d->fill, WINDOW_BYTES - d->fill, &got);
        d->fill += got;
        d->input_end = got == 0;
        return err;
    }
    while (got == 0) {
        if (d->in.pos == d->in.size && !d->pending) {
            const err_t err = input_read(d, d->input, INPUT_BYTES, &d->in.size);
            if (err != ERR_OK) {
                return err;
            }
            d->in.pos = 0;
            if (d->in.size == 0) {
                d->input_end = true;
                return d->frame_open ? fault(d, ERR_TRUNCATED, "the file ends within a zstd frame") : ERR_OK;
            }
        }
        ZSTD_outBuffer out  = {.dst = d->window + d->fill, .size = WINDOW_BYTES - d->fill};
        const size_t   left = ZSTD_decompressStream(d->zstd, &out, &d->in);
        if (ZSTD_isError(left)) {
            return fault(d, ERR_PARSE, "bad zstd data: %s", ZSTD_getErrorName(left));
        }
        d->frame_open = left != 0;
        d->pending    = left != 0 && out.pos == out.size;
        got           = out.pos;
    }
    d->fill += got;
    return ERR_OK;
}

/* At least need bytes at window[at], fewer only at the end of the input. */
static err_t window_need(dbn_t *d, size_t need)
{
    assert(need <= WINDOW_BYTES);
    if (d->fill - d->at >= need) {
        return ERR_OK;
    }
    memmove(d->window, d->window + d->at, d->fill - d->at);
    d->fill -= d->at;
    d->at = 0;
    while (d->fill < need && !d->input_end) {
        const err_t err = window_more(d);
        if (err != ERR_OK) {
            return err;
        }
    }
    return ERR_OK;
}

static void window_take(dbn_t *d, size_t bytes)
{
    d->at += bytes;
    d->offset += bytes;
}

/* ---- metadata --------------------------------------------------------------------------------------------------------- */

/* The next n bytes of the metadata, at *pos; NULL and a fault when it ends before. */
static const uint8_t *meta_take(dbn_t *d, uint32_t *pos, uint64_t n, const char *what)
{
    if (n > d->lists_len - *pos) {
        fault(d, ERR_PARSE, "metadata byte %u: %s takes %" PRIu64 " bytes, %u are left", *pos, what, n,
              d->lists_len - *pos);
        return NULL;
    }
    const uint8_t *bytes = d->lists + *pos;
    *pos += (uint32_t)n;
    return bytes;
}

/* A text in a field of symbol_len bytes that ends within it. */
static bool meta_text(dbn_t *d, uint32_t *pos, const char *what)
{
    const uint8_t *text = meta_take(d, pos, d->meta.symbol_len, what);
    if (text != NULL && memchr(text, 0, d->meta.symbol_len) == NULL) {
        fault(d, ERR_PARSE, "metadata byte %u: %s has no end within %u bytes", *pos - d->meta.symbol_len, what,
              d->meta.symbol_len);
        return false;
    }
    return text != NULL;
}

static bool meta_count(dbn_t *d, uint32_t *pos, uint32_t *count, const char *what)
{
    const uint8_t *bytes = meta_take(d, pos, sizeof *count, what);
    if (bytes != NULL) {
        *count = get_u32(bytes);
    }
    return bytes != NULL;
}

static bool meta_texts(dbn_t *d, uint32_t *pos, uint32_t *count, const char *what)
{
    if (!meta_count(d, pos, count, what)) {
        return false;
    }
    for (uint32_t i = 0; i < *count; i++) {
        if (!meta_text(d, pos, what)) {
            return false;
        }
    }
    return true;
}

static bool meta_mappings(dbn_t *d, uint32_t *pos)
{
    if (!meta_count(d, pos, &d->meta.mapping_count, "count of mappings")) {
        return false;
    }
    d->mappings_at = *pos;
    for (uint32_t i = 0; i < d->meta.mapping_count; i++) {
        uint32_t intervals = 0;
        if (!meta_text(d, pos, "symbol of a mapping") || !meta_count(d, pos, &intervals, "count of intervals")) {
            return false;
        }
        for (uint32_t k = 0; k < intervals; k++) { /* first day, day after the last, symbol */
            if (meta_take(d, pos, 8, "days of an interval") == NULL || !meta_text(d, pos, "symbol of an interval")) {
                return false;
            }
        }
    }
    return true;
}

static err_t meta_lists(dbn_t *d)
{
    uint32_t pos        = META_FIXED_BYTES;
    uint32_t schema_len = 0; /* of a definition of the schema, which no version has yet */
    if (!meta_count(d, &pos, &schema_len, "length of the schema") ||
        meta_take(d, &pos, schema_len, "definition of the schema") == NULL ||
        !meta_texts(d, &pos, &d->meta.symbol_count, "symbols") ||
        !meta_texts(d, &pos, &d->meta.partial_count, "partly found symbols") ||
        !meta_texts(d, &pos, &d->meta.not_found_count, "symbols not found") || !meta_mappings(d, &pos)) {
        return d->end;
    }
    if (d->lists_len - pos >= 8) { /* up to 7 fill up to a multiple of 8 */
        return fault(d, ERR_PARSE, "metadata byte %u: %u bytes behind the mappings, limit 7", pos, d->lists_len - pos);
    }
    return ERR_OK;
}

/* A time of the file: UINT64_MAX is none, which is DBN_TS_NONE; false and a fault beyond int64. */
static bool get_time(dbn_t *d, const uint8_t *bytes, const char *field, int64_t *out)
{
    *out = get_i64(bytes);
    if (*out < DBN_TS_NONE) {
        fault(d, ERR_RANGE, "%s %" PRIu64 ", limit %" PRId64, field, get_u64(bytes), INT64_MAX);
        return false;
    }
    return true;
}

static err_t meta_fixed(dbn_t *d)
{
    const uint8_t *m = d->lists;
    /* version 1 has a count of records, never filled in, where the later ones go on at once */
    const uint8_t *tail = m + (d->meta.version == 1 ? 50 : 42);
    if (memchr(m, 0, 16) == NULL) {
        return fault(d, ERR_PARSE, "metadata: dataset has no end within 16 bytes");
    }
    d->meta.dataset    = (const char *)m;
    d->meta.schema     = get_u16(m + 16);
    d->meta.limit      = get_u64(m + 34);
    d->meta.stype_in   = tail[0];
    d->meta.stype_out  = tail[1];
    d->meta.ts_out     = tail[2] != 0;
    d->meta.symbol_len = d->meta.version == 1 ? 22 : get_u16(tail + 3);
    if (d->meta.symbol_len == 0) {
        return fault(d, ERR_PARSE, "metadata: length of symbols is 0");
    }
    return get_time(d, m + 18, "metadata: start", &d->meta.start_ns) &&
                   get_time(d, m + 26, "metadata: end", &d->meta.end_ns)
               ? ERR_OK
               : d->end;
}

static err_t meta_read(dbn_t *d)
{
    err_t err = window_need(d, PRELUDE_BYTES);
    if (err != ERR_OK) {
        return err;
    }
    const uint8_t *head = d->window + d->at;
    const size_t   have = d->fill - d->at;
    if (memcmp(head, "DBN", have < 3 ? have : 3) != 0) {
        return fault(d, ERR_PARSE, "begins with %02x, neither DBN nor zstd", head[0]);
    }
    if (have < PRELUDE_BYTES) {
        return fault(d, ERR_TRUNCATED, "head has %zu of %u bytes", have, PRELUDE_BYTES);
    }
    d->meta.version = head[3];
    d->lists_len    = get_u32(head + 4);
    if (d->meta.version < 1 || d->meta.version > 3) {
        return fault(d, ERR_UNSUPPORTED, "DBN version %u, limit 1..3", d->meta.version);
    }
    if (d->lists_len < META_FIXED_BYTES) {
        return fault(d, ERR_PARSE, "metadata of %u bytes, limit from %u", d->lists_len, META_FIXED_BYTES);
    }
    if (d->lists_len > DBN_METADATA_MAX) {
        return fault(d, ERR_LIMIT, "metadata of %u bytes, limit %u", d->lists_len, DBN_METADATA_MAX);
    }
    window_take(d, PRELUDE_BYTES);
    d->lists = malloc(d->lists_len);
    if (d->lists == NULL) {
        return fault(d, ERR_IO, "no memory for %u bytes of metadata", d->lists_len);
    }
    for (uint32_t done = 0; done < d->lists_len;) {
        if ((err = window_need(d, 1)) != ERR_OK) {
            return err;
        }
        size_t n = d->fill - d->at;
        if (n == 0) {
            return fault(d, ERR_TRUNCATED, "metadata has %u of %u bytes", done, d->lists_len);
        }
        n = n < d->lists_len - done ? n : d->lists_len - done;
        memcpy(d->lists + done, d->window + d->at, n);
        window_take(d, n);
        done += (uint32_t)n;
    }
    err = meta_fixed(d);
    return err != ERR_OK ? err : meta_lists(d);
}

/* ---- life ------------------------------------------------------------------------------------------------------------- */

static err_t file_open(dbn_t *d)
{
    struct stat st;
    d->fd = open(d->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* no waiting for the other end of a pipe */
    if (d->fd < 0 || fstat(d->fd, &st) != 0) {
        return err_set(ERR_IO, "dbn: %s: %s", d->path, strerror(errno));
    }
    if (!S_ISREG(st.st_mode)) {
        return err_set(ERR_UNSUPPORTED, "dbn: %s: not a regular file", d->path);
    }
    uint8_t       magic[4] = {0};
    const ssize_t n        = pread(d->fd, magic, sizeof magic, 0);
    if (n < 0) {
        return err_set(ERR_IO, "dbn: %s: %s", d->path, strerror(errno));
    }
    if (get_u32(magic) == ZSTD_MAGIC) {
        d->zstd = ZSTD_createDStream();
        if (d->zstd == NULL) {
            return err_set(ERR_IO, "dbn: %s: no memory for zstd", d->path);
        }
        d->in.src = d->input;
    }
    return meta_read(d);
}

err_t dbn_open(const char *path, dbn_t **out)
{
    dbn_t *d = calloc(1, sizeof *d);
    if (d == NULL) {
        return err_set(ERR_IO, "dbn: %s: no memory for the reader", path);
    }
    d->path         = path;
    const err_t err = file_open(d);
    if (err != ERR_OK) {
        dbn_close(d);
        return err;
    }
    *out = d;
    return ERR_OK;
}

void dbn_close(dbn_t *dbn)
{
    if (dbn->fd >= 0) {
        close(dbn->fd);
    }
    ZSTD_freeDStream(dbn->zstd);
    free(dbn->lists);
    free(dbn);
}

const dbn_meta_t *dbn_meta(const dbn_t *dbn)
{
    return &dbn->meta;
}

const char *dbn_symbol(const dbn_t *dbn, uint32_t instrument_id)
{
    char wanted[16];
    snprintf(wanted, sizeof wanted, "%u", instrument_id);
    if (dbn->meta.stype_out != STYPE_INSTRUMENT_ID) {
        return NULL;
    }
    const uint8_t *at = dbn->lists + dbn->mappings_at; /* whole: dbn_open has walked it */
    for (uint32_t i = 0; i < dbn->meta.mapping_count; i++) {
        const char    *symbol    = (const char *)at;
        const uint32_t intervals = get_u32(at + dbn->meta.symbol_len);
        at += dbn->meta.symbol_len + 4u;
        for (uint32_t k = 0; k < intervals; k++, at += 8u + dbn->meta.symbol_len) {
            if (strcmp((const char *)at + 8, wanted) == 0) {
                return symbol;
            }
        }
    }
    return NULL;
}

/* ---- records ------------------------------------------------------------------------------------------------------------ */

static bool one_of(dbn_t *d, uint8_t c, const char *set, const char *field)
{
    if (c == 0 || strchr(set, c) == NULL) {
        fault(d, ERR_PARSE, "%s 0x%02x, one of %s expected", field, c, set);
        return false;
    }
    return true;
}

static bool mbo_read(dbn_t *d, const uint8_t *b, dbn_mbo_t *mbo)
{
    *mbo = (dbn_mbo_t){.order_id       = get_u64(b + 16),
                       .px             = get_i64(b + 24),
                       .qty            = get_u32(b + 32),
                       .flags          = b[36],
                       .channel        = b[37],
                       .action         = (char)b[38],
                       .side           = (char)b[39],
                       .ts_in_delta_ns = (int32_t)get_u32(b + 48),
                       .sequence       = get_u32(b + 52)};
    return one_of(d, b[38], "ACMRTFN", "action") && one_of(d, b[39], "BAN", "side") &&
           get_time(d, b + 40, "ts_recv", &mbo->ts_recv_ns);
}

static bool mbp_read(dbn_t *d, const uint8_t *b, uint32_t level_count, dbn_mbp_t *mbp)
{
    *mbp = (dbn_mbp_t){.px             = get_i64(b + 16),
                       .qty            = get_u32(b + 24),
                       .action         = (char)b[28],
                       .side           = (char)b[29],
                       .flags          = b[30],
                       .depth          = b[31],
                       .ts_in_delta_ns = (int32_t)get_u32(b + 40),
                       .sequence       = get_u32(b + 44),
                       .level_count    = level_count};
    for (uint32_t i = 0; i < level_count; i++) {
        const uint8_t *l = b + MBP_BYTES + i * sizeof(dbn_level_t);
        mbp->levels[i]   = (dbn_level_t){.bid_px    = get_i64(l),
                                         .ask_px    = get_i64(l + 8),
                                         .bid_qty   = get_u32(l + 16),
                                         .ask_qty   = get_u32(l + 20),
                                         .bid_count = get_u32(l + 24),
                                         .ask_count = get_u32(l + 28)};
    }
    return one_of(d, b[28], "ACMRTFN", "action") && one_of(d, b[29], "BAN", "side") &&
           get_time(d, b + 32, "ts_recv", &mbp->ts_recv_ns);
}

/* Where the fields of a definition lie that moved, by version; the others are at one place in all. */
typedef struct definition_at {
    uint16_t bytes, unit_qty, strike, lot, multiplier, currency, settl_currency, symbol, symbol_len, exchange, asset,
        asset_len, security_type, underlying, instrument_class, update_action;
} definition_at_t;

static const definition_at_t definition_at[4] = {
    [1] = {360, 88, 328, 148, 160, 186, 190, 200, 22, 243, 248, 7, 262, 300, 325, 349},
    [2] = {400, 88, 112, 156, 164, 186, 190, 200, 71, 292, 297, 7, 311, 349, 374, 382},
    [3] = {520, 80, 104, 168, 176, 224, 228, 238, 71, 330, 335, 11, 353, 391, 487, 493},
};

/* A text field of len bytes into out, which holds len + 1: some fill their field to its last byte. */
static void text_read(char *out, const uint8_t *bytes, size_t len)
{
    const size_t n = strnlen((const char *)bytes, len);
    memcpy(out, bytes, n);
    memset(out + n, 0, len + 1 - n);
}

static bool definition_read(dbn_t *d, const uint8_t *b, dbn_definition_t *def)
{
    const definition_at_t *at = &definition_at[d->meta.version];
    *def                      = (dbn_definition_t){.min_px_increment    = get_i64(b + 24),
                                                   .display_factor      = get_i64(b + 32),
                                                   .high_limit_px       = get_i64(b + 56),
                                                   .low_limit_px        = get_i64(b + 64),
                                                   .unit_of_measure_qty = get_i64(b + at->unit_qty),
                                                   .strike_px           = get_i64(b + at->strike),
                                                   .contract_multiplier = (int32_t)get_u32(b + at->multiplier),
                                                   .lot                 = (int32_t)get_u32(b + at->lot),
                                                   .instrument_class    = (char)b[at->instrument_class],
                                                   .update_action       = (char)b[at->update_action]};
    text_read(def->currency, b + at->currency, 4);
    text_read(def->settl_currency, b + at->settl_currency, 4);
    text_read(def->symbol, b + at->symbol, at->symbol_len);
    text_read(def->exchange, b + at->exchange, 5);
    text_read(def->asset, b + at->asset, at->asset_len);
    text_read(def->security_type, b + at->security_type, 7);
    text_read(def->underlying, b + at->underlying, 21);
    return get_time(d, b + 16, "ts_recv", &def->ts_recv_ns) && get_time(d, b + 40, "expiration", &def->expiration_ns) &&
           get_time(d, b + 48, "activation", &def->activation_ns);
}

static dbn_kind_t kind_of(uint8_t rtype)
{
    switch (rtype) {
    case RTYPE_TRADE: return DBN_TRADE;
    case RTYPE_MBP_1:
    case RTYPE_MBP_10: return DBN_MBP;
    case RTYPE_MBO: return DBN_MBO;
    case RTYPE_DEFINITION: return DBN_DEFINITION;
    default:
        return rtype == RTYPE_OHLCV || (rtype >= RTYPE_OHLCV_1S && rtype <= RTYPE_OHLCV_EOD) ? DBN_OHLCV : DBN_OTHER;
    }
}

static uint32_t level_count_of(uint8_t rtype)
{
    return rtype == RTYPE_MBP_10 ? 10 : rtype == RTYPE_MBP_1;
}

/* The one length that a record of this type has, without ts_out; 0 when only the head is read. */
static uint32_t bytes_of(const dbn_t *d, dbn_kind_t kind, uint8_t rtype)
{
    switch (kind) {
    case DBN_MBO:
    case DBN_OHLCV: return 56;
    case DBN_TRADE:
    case DBN_MBP: return MBP_BYTES + level_count_of(rtype) * (uint32_t)sizeof(dbn_level_t);
    case DBN_DEFINITION: return definition_at[d->meta.version].bytes;
    default: return 0;
    }
}

static bool body_read(dbn_t *d, const uint8_t *b, dbn_record_t *record)
{
    switch (record->kind) {
    case DBN_MBO: return mbo_read(d, b, &record->mbo);
    case DBN_TRADE:
    case DBN_MBP: return mbp_read(d, b, level_count_of(record->rtype), &record->mbp);
    case DBN_DEFINITION: return definition_read(d, b, &record->definition);
    case DBN_OHLCV:
        record->ohlcv = (dbn_ohlcv_t){.open_px  = get_i64(b + 16),
                                      .high_px  = get_i64(b + 24),
                                      .low_px   = get_i64(b + 32),
                                      .close_px = get_i64(b + 40),
                                      .volume   = get_u64(b + 48)};
        return true;
    default: return true;
    }
}

err_t dbn_next(dbn_t *d, dbn_record_t *record)
{
    if (d->end != ERR_OK) {
        return d->end == ERR_END ? ERR_END : err_set(d->end, "%s", d->why);
    }
    err_t err = window_need(d, 1);
    if (err != ERR_OK) {
        return err;
    }
    if (d->fill == d->at) {
        d->end = ERR_END;
        return ERR_END;
    }
    const uint32_t len  = d->window[d->at] * 4u;
    const uint32_t tail = d->meta.ts_out ? TS_OUT_BYTES : 0;
    if (len < HEAD_BYTES + tail) {
        return fault(d, ERR_PARSE, "length of a record %u, limit from %u", len, HEAD_BYTES + tail);
    }
    if ((err = window_need(d, len)) != ERR_OK) {
        return err;
    }
    const uint8_t *b = d->window + d->at;
    if (d->fill - d->at < len) {
        return fault(d, ERR_TRUNCATED, "a record has %zu of %u bytes", d->fill - d->at, len);
    }
    record->kind          = kind_of(b[1]);
    record->rtype         = b[1];
    record->publisher_id  = get_u16(b + 2);
    record->instrument_id = get_u32(b + 4);
    record->ts_out_ns     = DBN_TS_NONE;
    record->offset        = d->offset;
    const uint32_t wanted = bytes_of(d, record->kind, record->rtype);
    if (wanted != 0 && len != wanted + tail) {
        return fault(d, ERR_PARSE, "length of a record of type 0x%02x %u, version %u has %u", b[1], len,
                     d->meta.version, wanted + tail);
    }
    if (!get_time(d, b + 8, "ts_event", &record->ts_event_ns) ||
        (tail != 0 && !get_time(d, b + len - tail, "ts_out", &record->ts_out_ns)) || !body_read(d, b, record)) {
        return d->end;
    }
    window_take(d, len);
    return ERR_OK;
}

/* ---- into a book ---------------------------------------------------------------------------------------------------------- */

static err_t book_add(mbo_t *mbo, const dbn_mbo_t *m)
{
    mbo_order_t old;
    if (mbo_health(mbo) == FEED_BROKEN && (m->flags & DBN_FLAG_SNAPSHOT) != 0) {
        mbo_clear(mbo);
    }
    if (mbo_health(mbo) != FEED_BROKEN && mbo_find(mbo, m->order_id, &old)) {
        const err_t err = mbo_reduce(mbo, old.id, old.qty);
        assert(err == ERR_OK);
        (void)err;
    }
    return mbo_add(mbo, m->order_id, m->side == 'B' ? SIDE_BUY : SIDE_SELL, m->px, m->qty);
}

err_t dbn_book(mbo_t *mbo, const dbn_record_t *record)
{
    const dbn_mbo_t *m = &record->mbo;
    err_t            err;
    assert(record->kind == DBN_MBO);
    if (m->side == 'N' && (m->action == 'A' || m->action == 'C' || m->action == 'M')) {
        mbo_feed(mbo, FEED_BROKEN, FEED_REASON_GARBLED);
        return err_set(ERR_PARSE, "dbn: byte %" PRIu64 ": action %c of order %" PRIu64 " has side N, A or B expected",
                       record->offset, m->action, m->order_id);
    }
    switch (m->action) {
    case 'A': err = book_add(mbo, m); break;
    case 'C': err = mbo_reduce(mbo, m->order_id, m->qty); break;
    case 'M': err = mbo_modify(mbo, m->order_id, m->px, m->qty); break;
    case 'R':
        mbo_clear(mbo);
        err = ERR_OK;
        break;
    default: /* T, F, N */ err = mbo_health(mbo) == FEED_BROKEN ? ERR_AGAIN : ERR_OK; break;
    }
    if (err == ERR_OK && mbo_health(mbo) == FEED_RECOVERING && (m->flags & DBN_FLAG_LAST) != 0) {
        err = mbo_feed(mbo, FEED_LIVE, FEED_REASON_NONE);
    }
    return err;
}
