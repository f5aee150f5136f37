/* hwal tail: the newest messages of a broadcast ring, and then what comes: as lines, or as FlatBuffers for other programs. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ipc/record.h"
#include "ipc/role.h"
#include "tools/command.h"
#include "tools/describe.h"
#include "tools/table.h"

#define TAIL_MAX 1000000u
#define TAIL_WAIT_NS (5 * NS_PER_S)
#define TAIL_POLL_NS (5 * NS_PER_MS)

typedef struct tail_item { /* a line, or a record of --raw */
    char  *text;
    size_t len;
} tail_item_t;

typedef struct tail {
    attach_args_t args;
    uint32_t      count;
    bool          follow;
    bool          logs;
    const char   *raw; /* file of records instead of lines; "-" = stdout; NULL = lines */
    FILE         *out;
    msg_type_t    type; /* MSG_NONE = any */
    const char   *symbol;
    uint32_t      instrument_id; /* of symbol; 0 = all */
    ring_id_t     ring;
    attach_t      a;
    ring_reader_t reader[ROLE_COUNT]; /* of the logs; [0] of the one ring */
    role_t        writer[ROLE_COUNT];
    char          name[ROLE_COUNT][24];
    uint32_t      reader_count;
    tail_item_t  *items; /* the newest count of them, a circle */
    uint64_t      item_count;
} tail_t;

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
    (void)sig;
    interrupted = 1;
}

static int usage(FILE *to)
{
    fputs("usage: hwal tail [-n N] [--follow] [--type T] [--instrument SYMBOL] [--ring R | --log] [--raw FILE]\n"
          "                 [OPTIONS]\n\n"
          "The newest N messages of a ring as lines. With fewer there it waits up to 5 s for more. What was lost "
          "because\n"
          "the writer was faster is said, exactly.\n" ATTACH_HELP
          "  -n N              how many (default 10, at most 1000000)\n"
          "  --follow          go on until interrupted, also over a restart of the engine\n"
          "  --type T          only messages of this type: EXEC_REPORT, VERDICT, POSITION ...\n"
          "  --instrument S    only messages about this instrument\n"
          "  --ring R          ev (default: what the engine decided and booked), md.sim, md.capture\n"
          "  --log             what the roles say\n"
          "  --raw FILE        no lines but FlatBuffers into FILE (- = standard output): one size-prefixed Record a\n"
          "                    message (schema ipc/schema/hwal.fbs, identifier HWAL), its sequence the ring's; losses\n"
          "                    are gaps in it, and told on standard error\n\n"
          "examples:\n"
          "  hwal tail -n 20 --json\n"
          "  hwal tail --follow --type EXEC_REPORT --instrument BTCUSDT\n"
          "  hwal tail --log --follow\n"
          "  hwal tail --ring md.sim -n 100000 --raw capture.hwal\n",
          to);
    return to == stdout ? EXIT_OK : EXIT_USAGE;
}

static bool ring_of(const char *name, ring_id_t *out)
{
    for (uint32_t i = 0; i < RING_ID_COUNT; i++) {
        const ring_row_t *row = topology_ring((ring_id_t)i);
        if (row->kind == SEGMENT_BROADCAST && strcmp(row->name, name) == 0) {
            *out = (ring_id_t)i;
            return true;
        }
    }
    return false;
}

/* ---- lines ----------------------------------------------------------------------------------------------------------- */
static void json_line(FILE *to, const tail_t *t, const char *ring, const attach_message_t *m)
{
    json_t *row      = json_object();
    json_t *decimals = json_object();
    char   *raw      = describe_raw(m);
    describe_decimals(decimals, &t->a, &m->msg);
    json_object_set(row, "symbol",
                    json_object_get(decimals, "symbol") ? json_object_get(decimals, "symbol") : json_null());
    json_object_del(decimals, "symbol");
    fprintf(to, "{\"seq\":%" PRIu64 ",\"ring\":\"%s\",\"type\":\"%s\",\"tenant_id\":%u,\"symbol\":", m->seq, ring,
            msg_type_str(m->msg.type), m->meta.tenant);
    json_dumpf(json_object_get(row, "symbol"), to, JSON_ENCODE_ANY);
    fputs(",\"decimals\":", to);
    json_dumpf(decimals, to, JSON_COMPACT);
    fprintf(to, ",\"message\":%s}\n", raw ? raw : "null");
    free(raw);
    json_decref(row);
    json_decref(decimals);
}

static void message_line(FILE *to, const tail_t *t, const char *ring, const attach_message_t *m)
{
    if (t->args.json) {
        json_line(to, t, ring, m);
        return;
    }
    fprintf(to, "%8" PRIu64 " ", m->seq);
    if (t->logs) {
        fprintf(to, "%-10s ", ring);
    }
    describe_line(to, &t->a, &m->msg);
    fputc('\n', to);
}

static void lost_line(FILE *to, const tail_t *t, const char *ring, uint64_t from, uint64_t to_seq)
{
    fprintf(to,
            t->args.json ? "{\"lost\":%" PRIu64 ",\"ring\":\"%s\",\"from\":%" PRIu64 ",\"to\":%" PRIu64 "}\n"
                         : "lost %" PRIu64 " of %s: %" PRIu64 " to %" PRIu64 "\n",
            to_seq - from + 1, ring, from, to_seq);
}

/* A record of a stream: the message as it lay in the ring; a ring has no clock and no journal, so there is none here. */
static void raw_record(FILE *to, const attach_message_t *m)
{
    static _Alignas(8) uint8_t record[RECORD_BYTES_MAX + 8];
    memcpy(record_message(record), m->bytes, m->meta.len);
    const uint32_t len = record_seal(record, m->msg.type, m->meta.len, m->seq, (now_t){0}, &(record_head_t){0});
    fwrite(record, 1, record_size_prefix(record, len), to);
}

static bool wanted(const tail_t *t, const attach_message_t *m)
{
    return (t->type == MSG_NONE || m->msg.type == t->type) && (!t->instrument_id || m->meta.topic == t->instrument_id);
}

/* ---- reading --------------------------------------------------------------------------------------------------------- */
static err_t join(tail_t *t, ring_start_t start)
{
    t->reader_count = 0;
    if (!t->logs) {
        snprintf(t->name[0], sizeof t->name[0], "%s", topology_ring(t->ring)->name);
        t->writer[0]    = topology_ring(t->ring)->writer;
        const err_t err = attach_ring(&t->a, t->ring, start, &t->reader[0]);
        t->reader_count = err == ERR_OK;
        return err;
    }
    for (uint32_t r = 0; r < ROLE_COUNT; r++) {
        if (attach_log(&t->a, (role_t)r, start, &t->reader[t->reader_count]) == ERR_OK) {
            t->writer[t->reader_count] = (role_t)r;
            snprintf(t->name[t->reader_count++], sizeof t->name[0], "%s", topology_role_name((role_t)r));
        }
    }
    return t->reader_count ? ERR_OK : err_set(ERR_NOT_FOUND, "no role has a log");
}

/* step: one message of one ring as a line or record in *item (the caller frees its text); false when there is none now. */
static bool step(tail_t *t, uint32_t i, tail_item_t *item)
{
    attach_message_t m;
    *item = (tail_item_t){0};
    for (;;) {
        const err_t err = attach_next(&t->a, &t->reader[i], &m);
        if (err == ERR_EMPTY) {
            return false;
        }
        if (err == ERR_PARSE || (err == ERR_OK && !wanted(t, &m))) {
            continue;
        }
        if (err != ERR_OK && t->raw) {
            lost_line(stderr, t, t->name[i], t->reader[i].lost_from, t->reader[i].lost_to);
            continue;
        }
        FILE *to = open_memstream(&item->text, &item->len);
        if (!to) {
            return false;
        }
        if (t->raw) {
            raw_record(to, &m);
        } else if (err == ERR_OK) {
            message_line(to, t, t->name[i], &m);
        } else {
            lost_line(to, t, t->name[i], t->reader[i].lost_from, t->reader[i].lost_to);
        }
        fclose(to);
        return true;
    }
}

static void keep(tail_t *t, tail_item_t item)
{
    tail_item_t *at = &t->items[t->item_count++ % t->count];
    free(at->text);
    *at = item;
}

/* newest: what is there, up to where the rings were when we began: a writer may be faster than we are. */
static void newest(tail_t *t)
{
    for (uint32_t i = 0; i < t->reader_count; i++) {
        ring_reader_t *reader = &t->reader[i];
        const uint64_t tail = ring_tail(reader->ring), oldest = ring_oldest(reader);
        const bool     all = t->type != MSG_NONE || t->symbol;
        tail_item_t    item;
        ring_reader_seek(reader, !all && tail > t->count && tail - t->count >= oldest ? tail - t->count + 1 : oldest);
        while (reader->next <= tail && step(t, i, &item)) {
            keep(t, item);
        }
    }
}

static void flush_kept(tail_t *t)
{
    for (uint64_t i = t->item_count > t->count ? t->item_count - t->count : 0; i < t->item_count; i++) {
        fwrite(t->items[i % t->count].text, 1, t->items[i % t->count].len, t->out);
    }
    fflush(t->out);
}

/* again: a role started anew: its new ring from the beginning, the others where we were. Names of segments may come
 * again (`hwal run --new`), ids of rings do not. */
static bool again(tail_t *t)
{
    uint64_t next[ROLE_COUNT] = {0}, id[ROLE_COUNT] = {0};
    for (uint32_t i = 0; i < t->reader_count; i++) {
        next[t->writer[i]] = t->reader[i].next;
        id[t->writer[i]]   = t->reader[i].ring->head.id;
    }
    if (!attach_again(&t->a) || join(t, RING_OLDEST) != ERR_OK) {
        return false;
    }
    for (uint32_t i = 0; i < t->reader_count; i++) {
        if (id[t->writer[i]] == t->reader[i].ring->head.id) {
            ring_reader_seek(&t->reader[i], next[t->writer[i]]);
        }
    }
    return true;
}

static void wait_for_more(tail_t *t)
{
    const struct timespec nap   = {0, TAIL_POLL_NS};
    int64_t               until = role_mono_ns() + TAIL_WAIT_NS, look = 0;
    while (!interrupted && (t->follow || (t->item_count < t->count && role_mono_ns() < until))) {
        bool        any = false;
        tail_item_t item;
        for (uint32_t i = 0; i < t->reader_count; i++) {
            while (!interrupted && (t->follow || t->item_count < t->count) && step(t, i, &item)) {
                fwrite(item.text, 1, item.len, t->out);
                free(item.text);
                t->item_count++;
                any = true;
            }
        }
        if (any) {
            fflush(t->out);
            if (ferror(t->out)) {
                return;
            }
            continue;
        }
        if (role_mono_ns() > look) { /* a look at the directory, four times a second */
            look = role_mono_ns() + NS_PER_S / 4;
            (void)again(t);
            if (!t->follow && attach_stale(&t->a)) {
                return;
            }
        }
        nanosleep(&nap, NULL);
    }
}

static int options_of(tail_t *t, int argc, char **argv)
{
    static const struct option options[] = {ATTACH_OPTIONS,
                                            {"follow", no_argument, NULL, 'f'},
                                            {"type", required_argument, NULL, 't'},
                                            {"instrument", required_argument, NULL, 'i'},
                                            {"ring", required_argument, NULL, 'r'},
                                            {"log", no_argument, NULL, 'l'},
                                            {"raw", required_argument, NULL, 'w'},
                                            {0}};
    attach_args(&t->args);
    for (int c; (c = getopt_long(argc, argv, "n:f", options, NULL)) != -1;) {
        switch (c) {
        case 'h': return usage(stdout);
        case 'n':
            if (!attach_number(optarg, 1, TAIL_MAX, &t->count)) {
                return command_error("tail", EXIT_USAGE, "-n %s: a number from 1 to %u", optarg, TAIL_MAX);
            }
            break;
        case 'f': t->follow = true; break;
        case 't':
            if ((t->type = describe_type(optarg)) == MSG_NONE) {
                return command_error("tail", EXIT_USAGE, "--type %s: no such message (EXEC_REPORT, VERDICT ...)",
                                     optarg);
            }
            break;
        case 'i': t->symbol = optarg; break;
        case 'r':
            if (!ring_of(optarg, &t->ring)) {
                return command_error("tail", EXIT_USAGE, "--ring %s: there are ev, md.sim, md.capture", optarg);
            }
            break;
        case 'l': t->logs = true; break;
        case 'w': t->raw = optarg; break;
        default:
            if (!attach_option(&t->args, c)) {
                return command_unknown("tail", argv);
            }
        }
    }
    if (t->raw && (t->logs || t->args.json)) {
        return command_error("tail", EXIT_USAGE,
                             "--raw is of one ring, and instead of lines: not with --log or --json");
    }
    return optind < argc ? command_error("tail", EXIT_USAGE, "%s: takes no argument (--help)", argv[optind]) : -1;
}

int command_tail(int argc, char **argv)
{
    static tail_t t;
    t      = (tail_t){.count = 10, .ring = RING_ID_EV};
    int rc = options_of(&t, argc, argv);
    if (rc >= 0 || (rc = attach_begin("tail", &t.args, &t.a)) != EXIT_OK) {
        return rc;
    }
    const attach_instrument_t *ins = t.symbol ? attach_symbol(&t.a, t.symbol) : NULL;
    t.instrument_id                = ins ? ins->def.instrument_id : 0;
    if (t.symbol && !ins) {
        attach_close(&t.a);
        return command_error("tail", EXIT_USAGE, "%s", err_msg());
    }
    if (join(&t, RING_OLDEST) != ERR_OK) {
        attach_close(&t.a);
        return command_error("tail", EXIT_NOT_RUNNING, "%s", err_msg());
    }
    t.out   = t.raw && strcmp(t.raw, "-") != 0 ? fopen(t.raw, "we") : stdout;
    t.items = calloc(t.count, sizeof t.items[0]);
    if (!t.out || !t.items) {
        attach_close(&t.a);
        return t.out ? command_error("tail", EXIT_FINDING, "out of memory for %u lines", t.count)
                     : command_error("tail", EXIT_USAGE, "--raw %s: %s", t.raw, strerror(errno));
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    newest(&t);
    flush_kept(&t);
    wait_for_more(&t);
    for (uint32_t i = 0; i < t.count; i++) {
        free(t.items[i].text);
    }
    free(t.items);
    if (t.raw && (ferror(t.out) || fclose(t.out) != 0)) {
        rc = command_error("tail", EXIT_FINDING, "--raw %s: %s", t.raw, strerror(errno));
        attach_close(&t.a);
        return rc;
    }
    return attach_end("tail", &t.a);
}
