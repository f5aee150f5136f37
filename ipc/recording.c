#define ZSTD_STATIC_LINKING_ONLY /* contexts in memory of ours: in libzstd since 1.3, and in Debian's shared one */
#include "ipc/recording.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "core/types/hash.h"
#include "ipc/message.h"

#define FILE_MAGIC 0x4345524c41574821ull /* "!HWALREC" */
#define FOOT_MAGIC 0x444e454c41574821ull /* "!HWALEND" */
#define BLOCK_MAGIC 0x424c4352u          /* "RCLB" */
#define INDEX_MAGIC 0x494c4352u          /* "RCLI" */
#define FILE_BYTES_MAX (1ull << 40)

#define TYPES_MAX 64u /* in the head's table of sizes */
#define BODY_WORDS_MAX 32u
#define CONTEXTS 1024u
#define ENTRY_BYTES_MAX                                                                                                \
    2048u /* packed: 6 + a body's 17 + 256 + 64 levels of 17, or a table; also what a reader looks ahead */
#define STREAMS 4u
#define SYNC_BYTES_MIN (1u << 20)
#define SYNC_TIMES 16u
#define SLACK ENTRY_BYTES_MAX
#define DISK_MAX ZSTD_COMPRESSBOUND(RECORDING_BLOCK_BYTES + 64u)
#define LEVEL 1 /* of zstd: 3 is 4 % smaller and takes twice as long, 9 is 7 % smaller and five times */

_Static_assert(MSG_TYPE_COUNT <= TYPES_MAX, "a byte names the type, the head its size");
_Static_assert(MESSAGE_BYTES_MAX + 64 <= ENTRY_BYTES_MAX, "an entry kept as its table");
_Static_assert(ENTRY_BYTES_MAX < RECORDING_BLOCK_BYTES, "any entry fits into a block");

/* ---- what lies in the file ----------------------------------------------------------------------------------------- */
typedef struct head {
    uint64_t          magic;
    uint32_t          version;
    uint32_t          reserved;
    recording_about_t about;
    uint16_t          body_bytes[TYPES_MAX]; /* of each type's struct, as the writer knew them */
    uint8_t           pad[64];
    uint64_t          check;
} head_t;

typedef struct block {
    uint32_t magic;
    uint32_t flags;
    uint32_t disk_bytes; /* behind this head, a multiple of 8 */
    uint32_t raw_bytes;
    uint32_t zstd_bytes; /* of disk_bytes */
    uint32_t count;
    uint64_t first;
    int64_t  ts_first, ts_last;
    uint64_t payload_check;
    uint64_t check; /* of the bytes before it */
} block_t;

typedef struct foot {
    uint64_t magic;
    uint64_t index; /* offset of its block head */
    uint64_t blocks;
    uint64_t entries;
    int64_t  ts_first;
    int64_t  ts_last;
    int64_t  end_ns;
    uint64_t check;
} foot_t;

_Static_assert(sizeof(recording_about_t) == 296, "in files");
_Static_assert(sizeof(head_t) == 512 && sizeof(block_t) == 64 && sizeof(foot_t) == 64, "in files");
_Static_assert(sizeof(recording_block_t) == 40, "in files: a row of the index");

static uint64_t check_of(const void *bytes, size_t len)
{
    return hash_bytes(0, bytes, len);
}

/* ---- how a type is packed ------------------------------------------------------------------------------------------ */
typedef struct shape {
    uint8_t words;      /* of the body */
    uint8_t time_word;  /* which of them is the time of the entry; NO_WORD = none */
    uint8_t tail_words; /* of an element of the tail */
    uint8_t plain;      /* tail: bit k: word k is kept itself, not as a difference */
    uint8_t table;      /* kept as its table */
} shape_t;

#define NO_WORD 255u
#define WORD_OF(type, field) (uint8_t)(offsetof(type, field) / 8)

static shape_t shape_of(msg_type_t type)
{
    shape_t s = {.words = (uint8_t)(msg_body_size(type) / 8), .time_word = NO_WORD};
    switch (type) {
    case MSG_BOOK_UPDATE:
        s.time_word  = WORD_OF(book_update_t, ts_recv_ns);
        s.tail_words = sizeof(level_t) / 8;
        s.plain      = 1u << WORD_OF(level_t, qty);
        break;
    case MSG_MBO_UPDATE:
        s.time_word  = WORD_OF(mbo_update_t, ts_recv_ns);
        s.tail_words = sizeof(mbo_entry_t) / 8;
        s.plain      = 1u << WORD_OF(mbo_entry_t, qty);
        break;
    case MSG_TRADE: s.time_word = WORD_OF(trade_t, ts_recv_ns); break;
    case MSG_TOP: s.time_word = WORD_OF(top_t, ts_recv_ns); break;
    case MSG_FEED_STATE: s.time_word = WORD_OF(feed_state_t, ts_recv_ns); break;
    case MSG_EXEC_REPORT: s.time_word = WORD_OF(exec_report_t, ts_recv_ns); break;
    case MSG_VERDICT: s.time_word = WORD_OF(verdict_t, engine_utc_ns); break;
    case MSG_TICK: s.time_word = WORD_OF(tick_t, utc_ns); break;
    case MSG_INSTRUMENT_DEF:
    case MSG_LIMIT_CHANGE:
    case MSG_OPERATE:
    case MSG_LOG: s.table = 1; break;
    default: break;
    }
    return s;
}

static void shapes_fill(shape_t *shapes)
{
    for (unsigned t = 1; t < MSG_TYPE_COUNT; t++) {
        shapes[t] = shape_of((msg_type_t)t);
        assert(msg_body_size((msg_type_t)t) % 8 == 0 && shapes[t].words <= BODY_WORDS_MAX);
    }
}

int64_t recording_time(const msg_t *msg)
{
    const shape_t s  = shape_of(msg->type);
    int64_t       ts = 0;
    if (s.time_word != NO_WORD) {
        memcpy(&ts, (const uint8_t *)msg->body + 8u * s.time_word, sizeof ts);
    }
    return ts;
}

/* How many elements a body says its tail has; false: more than a message holds. */
static bool tail_of(msg_type_t type, const void *body, uint32_t *count)
{
    *count = 0;
    if (type == MSG_BOOK_UPDATE) {
        const book_update_t *upd = body;
        *count                   = (uint32_t)upd->bid_count + upd->ask_count;
        return *count <= BOOK_UPDATE_MAX_LEVELS;
    }
    if (type == MSG_MBO_UPDATE) {
        *count = ((const mbo_update_t *)body)->entry_count;
        return *count <= MBO_UPDATE_MAX_ENTRIES;
    }
    return true;
}

/* What both sides remember within a block, and forget between blocks. */
typedef struct context { /* of a type and a topic; two that share a place pack worse, and that is all */
    uint64_t generation; /* the block in which it was used last */
    uint64_t body[BODY_WORDS_MAX];
    uint64_t tail[4]; /* the first element */
} context_t;

typedef struct memory {
    uint64_t  generation;
    uint64_t  seq[RECORDING_SOURCES_MAX];
    uint32_t  tenant[RECORDING_SOURCES_MAX];
    int64_t   ts;
    context_t contexts[CONTEXTS];
} memory_t;

static void memory_forget(memory_t *m)
{
    m->generation++;
    memset(m->seq, 0, sizeof m->seq);
    memset(m->tenant, 0, sizeof m->tenant);
    m->ts = 0;
}

static inline context_t *context_of(memory_t *m, uint32_t type, uint32_t topic)
{
    context_t *c = &m->contexts[(topic * 32 + type) % CONTEXTS];
    if (c->generation != m->generation) {
        c->generation = m->generation;
        memset(c->body, 0, sizeof c->body);
        memset(c->tail, 0, sizeof c->tail);
    }
    return c;
}

static inline uint64_t zigzag(uint64_t v)
{
    return v << 1 ^ (uint64_t)((int64_t)v >> 63);
}
static inline uint64_t unzigzag(uint64_t v)
{
    return v >> 1 ^ (0 - (v & 1));
}

/* The parts of a packed block, one behind the other, their lengths before them: what is alike lies together, which is
 * what the compressor lives on. */
enum { LENGTHS, BODIES, TIMES, TAILS };
typedef struct raw_head {
    uint32_t bytes[STREAMS];
} raw_head_t;

/* The second byte of an entry; its low 3 bits are the source. */
enum { HAS_TIME = 8, HAS_META = 16, IS_REFRESH = 32, IS_LOSS = 64, IS_TABLE = 128 };
#define TOPIC_LONG 255u

/* ---- files ----------------------------------------------------------------------------------------------------------- */
static err_t io_error(const char *path, const char *what, uint64_t offset)
{
    return err_set(ERR_IO, "%s: offset %" PRIu64 ": %s: %s", path, offset, what, strerror(errno));
}

static err_t read_at(int fd, const char *path, void *buf, size_t len, uint64_t offset)
{
    for (size_t done = 0; done < len;) {
        const ssize_t n = pread(fd, (uint8_t *)buf + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return io_error(path, "read", offset + done);
        }
        if (n == 0) {
            return err_set(ERR_PARSE, "%s: offset %" PRIu64 ": the file ends, %zu bytes were due", path, offset + done,
                           len - done);
        }
        done += (size_t)n;
    }
    return ERR_OK;
}

static err_t write_at(int fd, const char *path, const void *buf, size_t len, uint64_t offset)
{
    for (size_t done = 0; done < len;) {
        const ssize_t n = pwrite(fd, (const uint8_t *)buf + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? ENOSPC : errno;
            return io_error(path, "write", offset + done);
        }
        done += (size_t)n;
    }
    return ERR_OK;
}

static bool block_whole(const block_t *b, uint32_t magic)
{
    return b->magic == magic && b->check == check_of(b, offsetof(block_t, check));
}

/* ---- writing --------------------------------------------------------------------------------------------------------- */
struct recording_writer {
    int         fd;
    uint32_t    flags; /* of the block that is being filled */
    uint32_t    count;
    err_t       failed; /* for good */
    uint32_t    sources;
    const char *path;
    uint64_t    bytes; /* in the file: whole blocks */
    uint64_t    blocks;
    uint64_t    entries;
    uint64_t    sync_from, sync_bytes; /* where the last sync began, how long it was */
    int64_t     ts, ts_file, ts_block; /* of the newest entry, of the first one, of the block's first */
    ZSTD_CCtx  *zstd;
    char        why[256]; /* the sentence of failed */
    shape_t     shapes[MSG_TYPE_COUNT];
    uint8_t    *at[STREAMS]; /* the next byte of each part */
    memory_t    memory;
    _Alignas(64) uint8_t part[STREAMS][RECORDING_BLOCK_BYTES + SLACK];
    _Alignas(64) uint8_t raw[RECORDING_BLOCK_BYTES + 64];
    _Alignas(64) uint8_t disk[sizeof(block_t) + DISK_MAX + 8];
    _Alignas(64) uint8_t zstd_memory[];
};

size_t recording_align(void)
{
    return 64;
}

static size_t zstd_bytes(void)
{
    const size_t bytes = ZSTD_estimateCCtxSize_usingCParams(ZSTD_getCParams(LEVEL, RECORDING_BLOCK_BYTES + 64, 0));
    return (bytes + 63) & ~(size_t)63;
}

/* What the estimate was made for, said one by one: a level alone means larger tables while the length is not known. */
static bool zstd_set(ZSTD_CCtx *zstd)
{
    const ZSTD_compressionParameters p = ZSTD_getCParams(LEVEL, RECORDING_BLOCK_BYTES + 64, 0);
    const struct {
        ZSTD_cParameter what;
        int             value;
    } rows[]  = {{ZSTD_c_compressionLevel, LEVEL},           {ZSTD_c_windowLog, (int)p.windowLog},
                 {ZSTD_c_hashLog, (int)p.hashLog},           {ZSTD_c_chainLog, (int)p.chainLog},
                 {ZSTD_c_searchLog, (int)p.searchLog},       {ZSTD_c_minMatch, (int)p.minMatch},
                 {ZSTD_c_targetLength, (int)p.targetLength}, {ZSTD_c_strategy, (int)p.strategy}};
    bool good = true;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        good &= !ZSTD_isError(ZSTD_CCtx_setParameter(zstd, rows[i].what, rows[i].value));
    }
    return good;
}

size_t recording_writer_footprint(void)
{
    return sizeof(recording_writer_t) + zstd_bytes();
}

static void block_begin(recording_writer_t *w)
{
    memory_forget(&w->memory);
    w->count = 0;
    for (unsigned i = 0; i < STREAMS; i++) {
        w->at[i] = w->part[i];
    }
}

err_t recording_create(void *mem, int fd, const char *path, const recording_about_t *about, recording_writer_t **out)
{
    recording_writer_t *w = mem;
    if (about->source_count == 0 || about->source_count > RECORDING_SOURCES_MAX) {
        return err_set(ERR_ARG, "%s: %u sources, limits 1 to %u", path, about->source_count, RECORDING_SOURCES_MAX);
    }
    memset(w, 0, sizeof *w);
    w->fd      = fd;
    w->path    = path;
    w->flags   = RECORDING_KEY;
    w->sources = about->source_count;
    w->zstd    = ZSTD_initStaticCCtx(w->zstd_memory, zstd_bytes());
    if (!w->zstd || !zstd_set(w->zstd)) {
        return err_set(ERR_INTERNAL, "%s: no compressor in %zu bytes", path, zstd_bytes());
    }
    shapes_fill(w->shapes);
    block_begin(w);
    head_t head = {.magic = FILE_MAGIC, .version = RECORDING_VERSION, .about = *about};
    for (unsigned t = 1; t < MSG_TYPE_COUNT; t++) {
        head.body_bytes[t] = (uint16_t)msg_body_size((msg_type_t)t);
    }
    head.check      = check_of(&head, offsetof(head_t, check));
    const err_t err = write_at(fd, path, &head, sizeof head, 0);
    if (err) {
        return err;
    }
    w->bytes = sizeof head;
    *out     = w;
    return ERR_OK;
}

/* A piece of a block that stays because the file cannot even be cut is no harm: readers pass over it. */
static err_t fail(recording_writer_t *w, err_t err)
{
    w->failed = err;
    snprintf(w->why, sizeof w->why, "%s", err_msg());
    return ftruncate(w->fd, (off_t)w->bytes) == 0 ? err : w->failed;
}

static size_t packed_bytes(const recording_writer_t *w)
{
    size_t bytes = sizeof(raw_head_t);
    for (unsigned i = 0; i < STREAMS; i++) {
        bytes += (size_t)(w->at[i] - w->part[i]);
    }
    return bytes;
}

err_t recording_flush(recording_writer_t *w)
{
    if (w->failed) {
        return err_set(w->failed, "%s", w->why);
    }
    if (w->count == 0) {
        return ERR_OK;
    }
    raw_head_t lengths;
    uint8_t   *to = w->raw + sizeof lengths;
    for (unsigned i = 0; i < STREAMS; i++) {
        lengths.bytes[i] = (uint32_t)(w->at[i] - w->part[i]);
        memcpy(to, w->part[i], lengths.bytes[i]);
        to += lengths.bytes[i];
    }
    memcpy(w->raw, &lengths, sizeof lengths);
    const size_t raw    = (size_t)(to - w->raw);
    const size_t packed = ZSTD_compress2(w->zstd, w->disk + sizeof(block_t), DISK_MAX, w->raw, raw);
    if (ZSTD_isError(packed)) {
        return fail(w, err_set(ERR_INTERNAL, "%s: zstd: %s", w->path, ZSTD_getErrorName(packed)));
    }
    const size_t disk = (packed + 7) & ~(size_t)7;
    memset(w->disk + sizeof(block_t) + packed, 0, disk - packed);
    block_t b = {.magic         = BLOCK_MAGIC,
                 .flags         = w->flags,
                 .disk_bytes    = (uint32_t)disk,
                 .raw_bytes     = (uint32_t)raw,
                 .zstd_bytes    = (uint32_t)packed,
                 .count         = w->count,
                 .first         = w->entries - w->count + 1,
                 .ts_first      = w->ts_block,
                 .ts_last       = w->ts,
                 .payload_check = check_of(w->disk + sizeof(block_t), disk)};
    b.check   = check_of(&b, offsetof(block_t, check));
    memcpy(w->disk, &b, sizeof b);
    if (w->bytes + sizeof b + disk > FILE_BYTES_MAX) {
        return fail(w, err_set(ERR_LIMIT, "%s: more than %llu bytes", w->path, FILE_BYTES_MAX));
    }
    const err_t err = write_at(w->fd, w->path, w->disk, sizeof b + disk, w->bytes);
    if (err) {
        return fail(w, err);
    }
    w->bytes += sizeof b + disk;
    w->blocks++;
    w->flags = 0;
    block_begin(w);
    return ERR_OK;
}

/* A value in as few bytes as hold it; returns how many. Eight are written. */
static inline unsigned put(uint8_t **at, uint64_t v)
{
    const unsigned n = v == 0 ? 0 : (71u - (unsigned)__builtin_clzll(v)) / 8;
    memcpy(*at, &v, sizeof v);
    *at += n;
    return n;
}

/* Words as differences to what was there, which they become. */
static void put_body(recording_writer_t *w, const shape_t *s, context_t *c, const void *body, int64_t ts)
{
    uint8_t *lengths = w->at[LENGTHS];
    for (unsigned i = 0; i < s->words; i++) {
        uint64_t word;
        memcpy(&word, (const uint8_t *)body + 8 * (size_t)i, sizeof word);
        const bool     time = i == s->time_word;
        const uint64_t was  = time ? (uint64_t)ts : c->body[i];
        const unsigned n    = put(&w->at[time ? TIMES : BODIES], zigzag(word - was));
        lengths[i / 2]      = (uint8_t)(i % 2 ? lengths[i / 2] | n << 4 : n);
        c->body[i]          = word;
    }
    w->at[LENGTHS] += (s->words + 1u) / 2;
}

static void put_tail(recording_writer_t *w, const shape_t *s, context_t *c, const uint8_t *tail, uint32_t count)
{
    uint64_t was[4];
    memcpy(was, c->tail, sizeof was);
    for (uint32_t e = 0; e < count; e++) {
        for (unsigned k = 0; k < s->tail_words; k++) {
            uint64_t word;
            memcpy(&word, tail + 8 * ((size_t)e * s->tail_words + k), sizeof word);
            const unsigned n = put(&w->at[TAILS], zigzag(word - (s->plain >> k & 1 ? 0 : was[k])));
            if (k % 2 == 0) {
                *w->at[LENGTHS] = (uint8_t)n;
            } else {
                *w->at[LENGTHS]++ |= (uint8_t)(n << 4);
            }
            was[k] = word;
        }
        if (e == 0) {
            memcpy(c->tail, was, sizeof was);
        }
    }
}

err_t recording_write(recording_writer_t *w, const recording_entry_t *entry)
{
    const msg_type_t type = entry->msg.type;
    if (w->failed) {
        return err_set(w->failed, "%s", w->why);
    }
    if ((unsigned)type == 0 || type >= MSG_TYPE_COUNT || entry->source >= w->sources) {
        return err_set(ERR_ARG, "%s: type %u of source %u, limits %u and %u", w->path, (unsigned)type, entry->source,
                       MSG_TYPE_COUNT - 1u, w->sources - 1);
    }
    const shape_t               *s     = &w->shapes[type];
    uint32_t                     count = 0;
    size_t                       table = 0;
    static _Thread_local uint8_t text[MESSAGE_BYTES_MAX] __attribute__((aligned(8)));
    if (s->table) {
        const err_t err = message_write(&entry->msg, text, sizeof text, &table);
        if (err) {
            return err;
        }
    } else if (!tail_of(type, entry->msg.body, &count) || count != entry->msg.tail_count) {
        return err_set(ERR_LIMIT, "%s: %s with %u elements, its counts say %u", w->path, msg_type_str(type),
                       entry->msg.tail_count, count);
    }
    if (packed_bytes(w) + ENTRY_BYTES_MAX > RECORDING_BLOCK_BYTES) {
        const err_t err = recording_flush(w);
        if (err) {
            return err;
        }
    }
    memory_t     *m      = &w->memory;
    const int64_t ts     = entry->ts_ns > w->ts ? entry->ts_ns : w->ts;
    int64_t       stated = 0; /* what the body says its time is: then it need not be said again */
    if (s->time_word != NO_WORD) {
        memcpy(&stated, (const uint8_t *)entry->msg.body + 8u * s->time_word, sizeof stated);
    }
    const bool refresh = entry->flags & RECORDING_REFRESH;
    const bool meta    = entry->seq != (refresh ? 0 : m->seq[entry->source] + 1) ||
                      entry->tenant != m->tenant[entry->source] || entry->topic >= TOPIC_LONG;
    const bool timed = ts != (s->time_word != NO_WORD ? stated : m->ts);
    uint8_t   *head  = w->at[LENGTHS];
    head[0]          = (uint8_t)type;
    head[1] = (uint8_t)(entry->source | (timed ? HAS_TIME : 0) | (meta ? HAS_META : 0) | (refresh ? IS_REFRESH : 0) |
                        (entry->flags & RECORDING_LOSS ? IS_LOSS : 0) | (s->table ? IS_TABLE : 0));
    head[2] = (uint8_t)(entry->topic < TOPIC_LONG ? entry->topic : TOPIC_LONG);
    w->at[LENGTHS] += 3;
    if (meta) {
        const uint64_t seq  = entry->seq - (refresh ? 0 : m->seq[entry->source] + 1);
        uint8_t       *more = w->at[LENGTHS];
        more[0]             = (uint8_t)put(&w->at[BODIES], zigzag(seq));
        more[0] |= (uint8_t)(put(&w->at[BODIES], entry->tenant) << 4);
        more[1] = (uint8_t)put(&w->at[BODIES], entry->topic);
        w->at[LENGTHS] += 2;
    }
    if (timed) {
        *w->at[LENGTHS]++ = (uint8_t)put(&w->at[TIMES], zigzag((uint64_t)ts - (uint64_t)m->ts));
    }
    if (s->table) {
        memcpy(w->at[LENGTHS], &(uint16_t){(uint16_t)table}, 2);
        w->at[LENGTHS] += 2;
        memcpy(w->at[BODIES], text, table);
        w->at[BODIES] += table;
    } else {
        context_t *c = context_of(m, type, entry->topic);
        put_body(w, s, c, entry->msg.body, timed ? ts : m->ts);
        put_tail(w, s, c, entry->msg.tail, count);
    }
    if (!refresh) {
        m->seq[entry->source] = entry->seq;
    }
    m->tenant[entry->source] = entry->tenant;
    m->ts                    = ts;
    w->ts                    = ts;
    w->ts_block              = w->count++ == 0 ? ts : w->ts_block;
    w->ts_file               = w->entries++ == 0 ? ts : w->ts_file;
    return ERR_OK;
}

bool recording_sync_due(const recording_writer_t *w)
{
    const uint64_t since = w->bytes - w->sync_from;
    return since >= SYNC_BYTES_MIN && since >= SYNC_TIMES * w->sync_bytes;
}

err_t recording_sync(recording_writer_t *w)
{
    const err_t err = recording_flush(w);
    w->flags |= RECORDING_KEY;
    w->sync_from = w->bytes;
    return err;
}

void recording_synced(recording_writer_t *w)
{
    w->sync_bytes = w->bytes - w->sync_from + packed_bytes(w) / 2; /* what is not compressed yet: about that */
}

/* The index is made of the blocks as they lie in the file: nothing of them is kept. */
static err_t write_index(recording_writer_t *w)
{
    const uint32_t     rows_max = (uint32_t)(sizeof w->disk / sizeof(recording_block_t));
    const uint64_t     index = w->bytes, rows_at = index + sizeof(block_t);
    recording_block_t *rows = (recording_block_t *)(void *)w->disk;
    uint64_t           at = sizeof(head_t), done = 0, check = 0;
    err_t              err = ERR_OK;
    while (!err && done < w->blocks) {
        uint32_t n = 0;
        for (; !err && n < rows_max && done + n < w->blocks; n++) {
            block_t b;
            err = read_at(w->fd, w->path, &b, sizeof b, at);
            if (!err && !block_whole(&b, BLOCK_MAGIC)) {
                err = err_set(ERR_PARSE, "%s: offset %" PRIu64 ": somebody changed a block while it was recorded",
                              w->path, at);
            }
            rows[n] = (recording_block_t){.offset   = at,
                                          .first    = b.first,
                                          .ts_first = b.ts_first,
                                          .ts_last  = b.ts_last,
                                          .count    = b.count,
                                          .flags    = b.flags};
            at += sizeof b + b.disk_bytes;
        }
        for (uint32_t i = 0; !err && i < n; i++) {
            check = hash_bytes(check, &rows[i], sizeof rows[i]);
        }
        err = err ? err : write_at(w->fd, w->path, rows, n * sizeof *rows, rows_at + done * sizeof *rows);
        done += n;
    }
    block_t head = {.magic = INDEX_MAGIC, .count = (uint32_t)w->blocks, .payload_check = check};
    head.check   = check_of(&head, offsetof(block_t, check));
    err          = err ? err : write_at(w->fd, w->path, &head, sizeof head, index);
    return err;
}

err_t recording_finish(recording_writer_t *w, int64_t end_ns)
{
    err_t err = recording_flush(w);
    if (err) {
        return err;
    }
    const foot_t without = {.magic    = FOOT_MAGIC,
                            .index    = w->bytes,
                            .blocks   = w->blocks,
                            .entries  = w->entries,
                            .ts_first = w->ts_file,
                            .ts_last  = w->ts,
                            .end_ns   = end_ns > w->ts ? end_ns : w->ts};
    foot_t       foot    = without;
    foot.check           = check_of(&foot, offsetof(foot_t, check));
    const uint64_t at    = w->bytes + sizeof(block_t) + w->blocks * sizeof(recording_block_t);
    err                  = write_index(w);
    err                  = err ? err : write_at(w->fd, w->path, &foot, sizeof foot, at);
    if (!err && fsync(w->fd) != 0) {
        err = io_error(w->path, "fsync", at);
    }
    if (err) {
        return fail(w, err);
    }
    w->bytes  = at + sizeof foot;
    w->failed = ERR_STATE;
    snprintf(w->why, sizeof w->why, "%s: it is finished", w->path);
    return ERR_OK;
}

uint64_t recording_bytes(const recording_writer_t *w)
{
    return w->bytes;
}

uint64_t recording_entries(const recording_writer_t *w)
{
    return w->entries;
}

/* ---- reading --------------------------------------------------------------------------------------------------------- */
struct recording_reader {
    int                fd;
    uint32_t           left; /* entries of the block that are still to come */
    const char        *path;
    recording_about_t  about;
    recording_extent_t extent;
    uint64_t           rows_at; /* of the index; 0 = none */
    uint64_t           row;     /* of the block that comes next */
    uint64_t           offset;  /* of it, without an index */
    uint64_t           number;  /* of the next entry */
    uint64_t           block_at;
    int64_t            ts_last; /* of the block that is being read */
    ZSTD_DCtx         *zstd;
    shape_t            shapes[MSG_TYPE_COUNT];
    const uint8_t     *at[STREAMS];
    const uint8_t     *end[STREAMS];
    memory_t           memory;
    _Alignas(64) uint8_t table[MESSAGE_BYTES_MAX];
    uint64_t tail[(64 + 1) * 4];
    _Alignas(64) uint8_t raw[RECORDING_BLOCK_BYTES + 64 + SLACK];
    _Alignas(64) uint8_t disk[DISK_MAX + 8];
    _Alignas(64) uint8_t zstd_memory[];
};

static size_t unzstd_bytes(void)
{
    return (ZSTD_estimateDCtxSize() + 63) & ~(size_t)63;
}

size_t recording_reader_footprint(void)
{
    return sizeof(recording_reader_t) + unzstd_bytes();
}

const recording_about_t *recording_about(const recording_reader_t *r)
{
    return &r->about;
}

const recording_extent_t *recording_extent(const recording_reader_t *r)
{
    return &r->extent;
}

bool recording_is(const void *bytes, size_t len)
{
    uint64_t magic = 0;
    memcpy(&magic, bytes, len < sizeof magic ? len : sizeof magic);
    return len >= sizeof magic && magic == FILE_MAGIC;
}

/* The head of the block at offset; ERR_PARSE when there is none, or it does not fit into what the file holds. */
static err_t block_head(const recording_reader_t *r, uint64_t offset, block_t *b)
{
    if (offset + sizeof *b > r->extent.bytes) {
        return err_set(ERR_PARSE, "%s: offset %" PRIu64 ": %" PRIu64 " bytes, too few for a block", r->path, offset,
                       r->extent.bytes - offset);
    }
    const err_t err = read_at(r->fd, r->path, b, sizeof *b, offset);
    if (err) {
        return err;
    }
    if (!block_whole(b, BLOCK_MAGIC)) {
        return err_set(ERR_PARSE, "%s: offset %" PRIu64 ": no block, or a damaged head of one", r->path, offset);
    }
    if (b->disk_bytes > DISK_MAX || b->zstd_bytes > b->disk_bytes || b->raw_bytes > RECORDING_BLOCK_BYTES + 64 ||
        b->raw_bytes < sizeof(raw_head_t) || b->count == 0 || b->disk_bytes % 8 != 0) {
        return err_set(ERR_PARSE,
                       "%s: offset %" PRIu64 ": a block of %u packed and %u raw bytes with %u entries, limits %zu, %u",
                       r->path, offset, b->disk_bytes, b->raw_bytes, b->count, (size_t)DISK_MAX, RECORDING_BLOCK_BYTES);
    }
    if (offset + sizeof *b + b->disk_bytes > r->extent.bytes) {
        return err_set(ERR_PARSE, "%s: offset %" PRIu64 ": a block of %u bytes, %" PRIu64 " are there", r->path, offset,
                       b->disk_bytes, r->extent.bytes - offset - sizeof *b);
    }
    return ERR_OK;
}

static err_t block_payload(recording_reader_t *r, uint64_t offset, const block_t *b)
{
    const err_t err = read_at(r->fd, r->path, r->disk, b->disk_bytes, offset + sizeof *b);
    if (!err && b->payload_check != check_of(r->disk, b->disk_bytes)) {
        return err_set(ERR_PARSE, "%s: offset %" PRIu64 ": a damaged block (entries %" PRIu64 " to %" PRIu64 ")",
                       r->path, offset, b->first, b->first + b->count - 1);
    }
    return err;
}

/* Without a foot: by the blocks, as far as they are whole. */
static err_t scan(recording_reader_t *r)
{
    recording_extent_t *e      = &r->extent;
    uint64_t            offset = sizeof(head_t), last_at = 0;
    block_t             b, last                          = {0};
    while (block_head(r, offset, &b) == ERR_OK && b.first == e->entries + 1) {
        e->ts_first = e->blocks++ == 0 ? b.ts_first : e->ts_first;
        last        = b;
        last_at     = offset;
        e->entries += b.count;
        e->raw_bytes += b.raw_bytes;
        offset += sizeof b + b.disk_bytes;
    }
    if (e->blocks != 0) { /* a power loss may have left its head alone */
        const err_t err = block_payload(r, last_at, &last);
        if (err == ERR_PARSE) {
            e->blocks--;
            e->entries -= last.count;
            e->raw_bytes -= last.raw_bytes;
            offset = last_at;
        } else if (err) {
            return err;
        }
    }
    if (e->blocks != 0) {
        e->ts_last = last.ts_last;
    }
    e->tail_bytes = e->bytes - offset;
    e->end_ns     = e->ts_last;
    return ERR_OK;
}

/* The foot, and what it says of the index; false: there is none that can be believed. */
static bool foot_read(recording_reader_t *r)
{
    recording_extent_t *e = &r->extent;
    foot_t              foot;
    block_t             head;
    if (e->bytes < sizeof(head_t) + sizeof(block_t) + sizeof foot ||
        read_at(r->fd, r->path, &foot, sizeof foot, e->bytes - sizeof foot) != ERR_OK || foot.magic != FOOT_MAGIC ||
        foot.check != check_of(&foot, offsetof(foot_t, check))) {
        return false;
    }
    if (foot.blocks > e->bytes / sizeof(block_t) || foot.index < sizeof(head_t) ||
        foot.index + sizeof head + foot.blocks * sizeof(recording_block_t) + sizeof foot != e->bytes ||
        read_at(r->fd, r->path, &head, sizeof head, foot.index) != ERR_OK || !block_whole(&head, INDEX_MAGIC) ||
        head.count != (uint32_t)foot.blocks) {
        return false;
    }
    uint64_t           check = 0;
    recording_block_t *rows  = (recording_block_t *)(void *)r->disk;
    const uint64_t     most  = sizeof r->disk / sizeof *rows;
    for (uint64_t done = 0; done < foot.blocks;) {
        const uint64_t n = foot.blocks - done < most ? foot.blocks - done : most;
        if (read_at(r->fd, r->path, rows, n * sizeof *rows, foot.index + sizeof head + done * sizeof *rows) != ERR_OK) {
            return false;
        }
        for (uint64_t i = 0; i < n; i++) {
            check = hash_bytes(check, &rows[i], sizeof rows[i]);
        }
        done += n;
    }
    if (check != head.payload_check) {
        return false;
    }
    r->rows_at  = foot.index + sizeof head;
    e->blocks   = foot.blocks;
    e->entries  = foot.entries;
    e->ts_first = foot.ts_first;
    e->ts_last  = foot.ts_last;
    e->end_ns   = foot.end_ns;
    e->ended    = true;
    return true;
}

static err_t head_read(recording_reader_t *r)
{
    head_t head;
    if (r->extent.bytes < sizeof head) {
        return err_set(ERR_PARSE, "%s: %" PRIu64 " bytes, too few for a recording", r->path, r->extent.bytes);
    }
    const err_t err = read_at(r->fd, r->path, &head, sizeof head, 0);
    if (err) {
        return err;
    }
    if (head.magic != FILE_MAGIC) {
        return err_set(ERR_PARSE, "%s: no recording of ours (its first bytes are others)", r->path);
    }
    if (head.version != RECORDING_VERSION) {
        return err_set(ERR_UNSUPPORTED, "%s: version %u, this build reads %u", r->path, head.version,
                       RECORDING_VERSION);
    }
    if (head.check != check_of(&head, offsetof(head_t, check))) {
        return err_set(ERR_PARSE, "%s: offset 0: the head is damaged", r->path);
    }
    for (unsigned t = 1; t < MSG_TYPE_COUNT; t++) { /* 0: the writer did not know the type yet */
        if (head.body_bytes[t] != 0 && head.body_bytes[t] != msg_body_size((msg_type_t)t)) {
            return err_set(ERR_UNSUPPORTED, "%s: %s has %u bytes there, %zu in this build", r->path,
                           msg_type_str((msg_type_t)t), head.body_bytes[t], msg_body_size((msg_type_t)t));
        }
    }
    r->about                                        = head.about;
    r->about.instance[sizeof r->about.instance - 1] = '\0';
    r->about.build[sizeof r->about.build - 1]       = '\0';
    r->about.source_count =
        r->about.source_count < RECORDING_SOURCES_MAX ? r->about.source_count : RECORDING_SOURCES_MAX;
    for (unsigned i = 0; i < RECORDING_SOURCES_MAX; i++) {
        r->about.source[i][RECORDING_SOURCE_TEXT - 1] = '\0';
    }
    return ERR_OK;
}

err_t recording_open(void *mem, int fd, const char *path, recording_reader_t **out)
{
    recording_reader_t *r = mem;
    struct stat         st;
    memset(r, 0, sizeof *r);
    r->fd   = fd;
    r->path = path;
    if (fstat(fd, &st) != 0) {
        return io_error(path, "fstat", 0);
    }
    if (!S_ISREG(st.st_mode)) {
        return err_set(ERR_UNSUPPORTED, "%s: no regular file", path);
    }
    r->extent.bytes = (uint64_t)st.st_size;
    r->zstd         = ZSTD_initStaticDCtx(r->zstd_memory, unzstd_bytes());
    if (!r->zstd) {
        return err_set(ERR_INTERNAL, "%s: no decompressor in %zu bytes", path, unzstd_bytes());
    }
    shapes_fill(r->shapes);
    err_t err = head_read(r);
    if (!err && !foot_read(r)) {
        err = scan(r);
    }
    r->offset = sizeof(head_t);
    r->number = 1;
    if (!err) {
        *out = r;
    }
    return err;
}

bool recording_block(recording_reader_t *r, uint64_t i, recording_block_t *out)
{
    if (i >= r->extent.blocks) {
        return false;
    }
    if (r->rows_at != 0) {
        return read_at(r->fd, r->path, out, sizeof *out, r->rows_at + i * sizeof *out) == ERR_OK;
    }
    uint64_t offset = sizeof(head_t);
    block_t  b;
    for (uint64_t k = 0; block_head(r, offset, &b) == ERR_OK; k++) {
        if (k == i) {
            *out = (recording_block_t){.offset   = offset,
                                       .first    = b.first,
                                       .ts_first = b.ts_first,
                                       .ts_last  = b.ts_last,
                                       .count    = b.count,
                                       .flags    = b.flags};
            return true;
        }
        offset += sizeof b + b.disk_bytes;
    }
    return false;
}

static err_t odd(recording_reader_t *r, const char *what)
{
    r->left = 0;
    return err_set(ERR_PARSE, "%s: offset %" PRIu64 ": entry %" PRIu64 ": %s", r->path, r->block_at, r->number, what);
}

/* The next block, checked and unpacked. */
static err_t block_next(recording_reader_t *r)
{
    recording_block_t row = {.offset = r->offset};
    block_t           b;
    if (r->row == r->extent.blocks) {
        if (r->extent.ended) {
            return ERR_END;
        }
        return err_set(ERR_TRUNCATED,
                       "%s: it has no end: %" PRIu64 " whole blocks, entries 1 to %" PRIu64 ", %" PRIu64
                       " bytes behind them",
                       r->path, r->extent.blocks, r->extent.entries, r->extent.tail_bytes);
    }
    if (r->rows_at != 0) {
        const err_t err = read_at(r->fd, r->path, &row, sizeof row, r->rows_at + r->row * sizeof row);
        if (err) {
            return err;
        }
        r->number = row.first;
        r->row++; /* after damage the next one */
    }
    err_t err = block_head(r, row.offset, &b);
    if (!err && b.first != r->number) {
        err = err_set(ERR_PARSE, "%s: offset %" PRIu64 ": a block begins with entry %" PRIu64 ", %" PRIu64 " was due",
                      r->path, row.offset, b.first, r->number);
    }
    err = err ? err : block_payload(r, row.offset, &b);
    if (err) {
        return err;
    }
    if (r->rows_at == 0) {
        r->row++;
        r->offset = row.offset + sizeof b + b.disk_bytes;
    }
    r->block_at      = row.offset;
    const size_t raw = ZSTD_decompressDCtx(r->zstd, r->raw, RECORDING_BLOCK_BYTES + 64, r->disk, b.zstd_bytes);
    raw_head_t   lengths;
    memcpy(&lengths, r->raw, sizeof lengths);
    uint64_t sum = sizeof lengths;
    for (unsigned i = 0; i < STREAMS; i++) {
        sum += lengths.bytes[i];
    }
    if (ZSTD_isError(raw) || raw != b.raw_bytes || sum != raw) {
        return odd(r, "the block does not unpack to what its head says");
    }
    memset(r->raw + raw, 0, SLACK);
    const uint8_t *at = r->raw + sizeof lengths;
    for (unsigned i = 0; i < STREAMS; i++) {
        r->at[i]  = at;
        r->end[i] = at += lengths.bytes[i];
    }
    memory_forget(&r->memory);
    r->left    = b.count;
    r->ts_last = b.ts_last;
    return ERR_OK;
}

/* A word of n bytes, 0..8 (a half byte can say more: that is 8). Eight are read. */
static const uint64_t mask_of[16] = {
    0,     0xff,  0xffff, 0xffffff, 0xffffffff, 0xffffffffff, 0xffffffffffff, 0xffffffffffffff,
    ~0ull, ~0ull, ~0ull,  ~0ull,    ~0ull,      ~0ull,        ~0ull,          ~0ull};

static inline uint64_t take(const uint8_t **at, unsigned n)
{
    uint64_t v;
    memcpy(&v, *at, sizeof v);
    *at += n;
    return v & mask_of[n];
}

static inline void take_body(recording_reader_t *r, const shape_t *s, context_t *c, int64_t before)
{
    const uint8_t *lengths = r->at[LENGTHS], *bodies = r->at[BODIES];
    for (unsigned i = 0; i < s->words; i++) {
        const unsigned n = lengths[i / 2] >> (i % 2 * 4) & 15;
        if (i == s->time_word) { /* one place a type: a branch that is foreseen */
            c->body[i] = (uint64_t)before + unzigzag(take(&r->at[TIMES], n));
        } else {
            c->body[i] += unzigzag(take(&bodies, n));
        }
    }
    r->at[LENGTHS] = lengths + (s->words + 1u) / 2;
    r->at[BODIES]  = bodies;
}

static inline void take_tail(recording_reader_t *r, const shape_t *s, context_t *c, uint32_t count, unsigned words)
{
    const uint8_t *lengths = r->at[LENGTHS], *tails = r->at[TAILS];
    uint64_t      *to = r->tail, was[4], keep[4];
    for (unsigned k = 0; k < words; k++) {
        was[k]  = c->tail[k];
        keep[k] = s->plain >> k & 1 ? 0 : ~0ull;
    }
    for (uint32_t e = 0; e < count; e++) {
        for (unsigned k = 0; k < words; k++) {
            const unsigned n = lengths[k / 2] >> (k % 2 * 4) & 15;
            was[k]           = (was[k] & keep[k]) + unzigzag(take(&tails, n));
            to[k]            = was[k];
        }
        lengths += words / 2;
        to += words;
    }
    if (count != 0) {
        memcpy(c->tail, r->tail, words * sizeof *c->tail);
    }
    r->at[LENGTHS] = lengths;
    r->at[TAILS]   = tails;
}

/* As far as a part goes; what was read beyond is ours (the next part, or zeros) and no more than an entry. */
static inline bool within(const recording_reader_t *r)
{
    return r->at[0] <= r->end[0] && r->at[1] <= r->end[1] && r->at[2] <= r->end[2] && r->at[3] <= r->end[3];
}

static err_t take_table(recording_reader_t *r, msg_type_t type, msg_t *msg)
{
    uint16_t len;
    memcpy(&len, r->at[LENGTHS], sizeof len);
    r->at[LENGTHS] += sizeof len;
    if (len > sizeof r->table || r->at[BODIES] + len > r->end[BODIES]) {
        return odd(r, "a table longer than its block");
    }
    memcpy(r->table, r->at[BODIES], len);
    r->at[BODIES] += len;
    const err_t err = message_read(type, r->table, len, msg);
    if (err) {
        r->left = 0;
        return err_wrap(err, "%s: offset %" PRIu64 ": entry %" PRIu64, r->path, r->block_at, r->number);
    }
    return ERR_OK;
}

err_t recording_next(recording_reader_t *r, recording_entry_t *out)
{
    memory_t *m = &r->memory;
    if (r->left == 0) {
        const err_t err = block_next(r);
        if (err) {
            return err;
        }
    }
    const uint8_t *head = r->at[LENGTHS];
    const uint32_t type = head[0], bits = head[1], source = bits & 7;
    uint64_t       topic = head[2];
    if (type == 0 || type >= MSG_TYPE_COUNT) {
        r->left = 0;
        return err_set(ERR_UNSUPPORTED,
                       "%s: offset %" PRIu64 ": entry %" PRIu64 ": message type %u, this build knows %u", r->path,
                       r->block_at, r->number, type, MSG_TYPE_COUNT - 1u);
    }
    const shape_t *s       = &r->shapes[type];
    const bool     refresh = bits & IS_REFRESH;
    uint64_t       seq     = refresh ? 0 : m->seq[source] + 1;
    r->at[LENGTHS] += 3;
    if (__builtin_expect(bits & HAS_META, 0)) {
        const uint8_t *more = r->at[LENGTHS];
        seq += unzigzag(take(&r->at[BODIES], more[0] & 15));
        m->tenant[source] = (uint32_t)take(&r->at[BODIES], more[0] >> 4);
        topic             = take(&r->at[BODIES], more[1] & 15);
        r->at[LENGTHS] += 2;
    }
    int64_t ts = m->ts;
    if (bits & HAS_TIME) {
        ts = (int64_t)((uint64_t)ts + unzigzag(take(&r->at[TIMES], *r->at[LENGTHS] & 15)));
        r->at[LENGTHS]++;
    }
    *out = (recording_entry_t){
        .msg    = {.type = (msg_type_t)type},
        .number = r->number,
        .seq    = seq,
        .topic  = (uint32_t)topic,
        .tenant = m->tenant[source],
        .source = (uint8_t)source,
        .flags  = (uint8_t)((refresh ? RECORDING_REFRESH : 0) | (bits & IS_LOSS ? RECORDING_LOSS : 0))};
    if (!!s->table != !!(bits & IS_TABLE)) {
        return odd(r, "packed as no message of its type is");
    }
    if (s->table) {
        const err_t err = take_table(r, (msg_type_t)type, &out->msg);
        if (err) {
            return err;
        }
    } else {
        context_t *c = context_of(m, type, (uint32_t)topic);
        take_body(r, s, c, ts);
        if (s->time_word != NO_WORD && !(bits & HAS_TIME)) {
            ts = (int64_t)c->body[s->time_word];
        }
        out->msg.body = c->body;
        if (s->tail_words != 0) {
            if (!tail_of((msg_type_t)type, c->body, &out->msg.tail_count)) {
                return odd(r, "more elements than a message holds");
            }
            if (s->tail_words == 2) {
                take_tail(r, s, c, out->msg.tail_count, 2);
            } else {
                take_tail(r, s, c, out->msg.tail_count, 4);
            }
            out->msg.tail = r->tail;
        }
    }
    if (__builtin_expect(!within(r) || source >= r->about.source_count || ts < m->ts || ts > r->ts_last, 0)) {
        return odd(r, "its words do not fit into the block, or its time into the block's");
    }
    if (!refresh) {
        m->seq[source] = seq;
    }
    m->ts      = ts;
    out->ts_ns = ts;
    r->number++;
    r->left--;
    return ERR_OK;
}

/* ---- seeking --------------------------------------------------------------------------------------------------------- */
/* Is the block at or before the place that is looked for? */
static bool before(const recording_block_t *row, int64_t ts_ns, uint64_t number)
{
    return number != 0 ? row->first <= number : row->ts_first <= ts_ns;
}

static err_t go_to(recording_reader_t *r, uint64_t row, const recording_block_t *block)
{
    r->left   = 0;
    r->row    = row;
    r->offset = block->offset;
    r->number = block->first;
    return ERR_OK;
}

static err_t seek(recording_reader_t *r, int64_t ts_ns, uint64_t number)
{
    recording_block_t row, best = {.offset = sizeof(head_t), .first = 1};
    uint64_t          at = 0;
    if (r->rows_at == 0) {
        block_t  b;
        uint64_t offset = sizeof(head_t);
        for (uint64_t i = 0; i < r->extent.blocks; i++) {
            const err_t err = block_head(r, offset, &b);
            if (err) {
                return err;
            }
            row = (recording_block_t){.offset = offset, .first = b.first, .ts_first = b.ts_first, .flags = b.flags};
            if (!before(&row, ts_ns, number)) {
                break;
            }
            if (row.flags & RECORDING_KEY) {
                best = row;
                at   = i;
            }
            offset += sizeof b + b.disk_bytes;
        }
        return go_to(r, at, &best);
    }
    uint64_t low = 0, high = r->extent.blocks; /* rows below low are before it, from high on they are not */
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (!recording_block(r, middle, &row)) {
            return err_wrap(ERR_PARSE, "%s: index", r->path);
        }
        if (before(&row, ts_ns, number)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    while (low > 0) { /* back to the sync */
        if (!recording_block(r, low - 1, &row)) {
            return err_wrap(ERR_PARSE, "%s: index", r->path);
        }
        if (row.flags & RECORDING_KEY) {
            return go_to(r, low - 1, &row);
        }
        low--;
    }
    return go_to(r, 0, &best);
}

err_t recording_seek_time(recording_reader_t *r, int64_t ts_ns)
{
    return seek(r, ts_ns, 0);
}

err_t recording_seek_number(recording_reader_t *r, uint64_t number)
{
    return seek(r, 0, number == 0 ? 1 : number);
}
