#include "ipc/hwal_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/risk/risk_code.h"
#include "core/types/decimal.h"
#include "hwal_fbs.h"
#include "ipc/counters.h"
#include "ipc/fbs_json.h"
#include "ipc/version.h"

_Static_assert((int)HWAL_INSTRUMENTS == (int)RECORD_ID_INSTRUMENTS && (int)HWAL_BOOKS == (int)RECORD_ID_BOOKS &&
                   (int)HWAL_FEEDS == (int)RECORD_ID_FEEDS && (int)HWAL_TRADES == (int)RECORD_ID_TRADES &&
                   (int)HWAL_ORDERS == (int)RECORD_ID_ORDERS && (int)HWAL_POSITIONS == (int)RECORD_ID_POSITIONS &&
                   (int)HWAL_ACCOUNTS == (int)RECORD_ID_ACCOUNTS && (int)HWAL_STATISTICS == (int)RECORD_ID_STATISTICS &&
                   (int)HWAL_HELD == (int)RECORD_ID_HELD && (int)HWAL_BALANCES == (int)RECORD_ID_BALANCES &&
                   (int)HWAL_SUB_POSITIONS == (int)RECORD_ID_SUB_POSITIONS &&
                   (int)HWAL_ALERTS == (int)RECORD_ID_ALERTS && (int)HWAL_VENUES == (int)RECORD_ID_VENUES &&
                   (int)HWAL_KINDS == (int)RECORD_ID_COUNT,
               "kinds of the ABI are the topology's");
_Static_assert(sizeof(hwal_role_t) == 104 && sizeof(hwal_instrument_t) == 128 && sizeof(hwal_message_t) == 128 &&
                   sizeof(hwal_ring_t) == 120 && sizeof(hwal_filter_t) == 72 && sizeof(hwal_counter_t) == 232 &&
                   sizeof(hwal_histogram_t) == 136,
               "ABI: libhwal.so.1");

struct hwal_sub {
    hwal_t          *h;
    hwal_sub_t      *next;
    role_t           role;
    char             object[SEGMENT_NAME_MAX + 1];
    ring_reader_t    reader; /* ring NULL = its writer has none now */
    uint64_t         ring_id;
    uint64_t         tail;      /* last sequence of the ring when it was looked at anew */
    bool             restarted; /* to be told */
    uint64_t         lost_from; /* of the old life */
    uint64_t         lost_to;
    uint64_t         types;
    uint32_t         topics[HWAL_TOPICS_MAX];
    uint32_t         topics_count;
    uint32_t         tenant;
    ring_start_t     after_loss;
    attach_message_t m; /* handed out */
};

/* ---- about the library -------------------------------------------------------------------------------------------- */
static _Thread_local hwal_err_t last_code;

static hwal_err_t code_of(err_t err)
{
    switch (err) {
    case ERR_OK: return HWAL_OK;
    case ERR_FULL: return HWAL_FULL;
    case ERR_EMPTY: return HWAL_EMPTY;
    case ERR_AGAIN: return HWAL_AGAIN;
    case ERR_GAP: return HWAL_GAP;
    case ERR_ARG:
    case ERR_RANGE:
    case ERR_CONFIG: return HWAL_ARG;
    case ERR_PARSE:
    case ERR_TRUNCATED: return HWAL_DAMAGED;
    case ERR_SCALE: return HWAL_SCALE;
    case ERR_STATE: return HWAL_STATE;
    case ERR_NOT_FOUND: return HWAL_NOT_FOUND;
    case ERR_EXISTS: return HWAL_EXISTS;
    case ERR_LIMIT: return HWAL_LIMIT;
    case ERR_UNSUPPORTED: return HWAL_UNSUPPORTED;
    case ERR_IO: return HWAL_IO;
    case ERR_END:
    case ERR_CROSSED:
    case ERR_INTERNAL:
    case ERR_COUNT: break;
    }
    return HWAL_INTERNAL;
}

hwal_err_t hwal_fail(err_t err)
{
    return last_code = code_of(err);
}

const char *hwal_version(void)
{
    return HWAL_VERSION;
}

const char *hwal_error(void)
{
    return err_msg();
}

hwal_err_t hwal_error_code(void)
{
    return last_code;
}

const char *hwal_err_name(hwal_err_t err)
{
    static const char *const names[] = {
        [HWAL_OK] = "OK",           [HWAL_EMPTY] = "EMPTY",      [HWAL_GAP] = "GAP",
        [HWAL_RESTART] = "RESTART", [HWAL_AGAIN] = "AGAIN",      [HWAL_FULL] = "FULL",
        [HWAL_CLOSED] = "CLOSED",   [HWAL_ARG] = "ARG",          [HWAL_NOT_FOUND] = "NOT_FOUND",
        [HWAL_EXISTS] = "EXISTS",   [HWAL_STATE] = "STATE",      [HWAL_UNSUPPORTED] = "UNSUPPORTED",
        [HWAL_DAMAGED] = "DAMAGED", [HWAL_LIMIT] = "LIMIT",      [HWAL_SCALE] = "SCALE",
        [HWAL_IO] = "IO",           [HWAL_INTERNAL] = "INTERNAL"};
    return (unsigned)err < sizeof names / sizeof names[0] ? names[err] : "?";
}

const char *hwal_type_name(uint32_t type)
{
    return msg_type_str((msg_type_t)type);
}

const char *hwal_code_name(uint32_t code)
{
    return risk_code_str(code);
}

const char *hwal_reason_name(uint32_t reason)
{
    return lane_reason_str((lane_reason_t)reason);
}

/* ---- instances ---------------------------------------------------------------------------------------------------- */
static err_t uid_of(const char *user, uid_t *uid)
{
    *uid = getuid();
    return user == NULL || attach_user(user, uid)
               ? ERR_OK
               : err_set(ERR_NOT_FOUND, "user \"%s\": neither a name of this machine nor a number", user);
}

uint32_t hwal_list(const char *user, char (*names)[HWAL_NAME_MAX + 1], uint32_t cap)
{
    uid_t       uid;
    const err_t err = uid_of(user, &uid);
    if (err != ERR_OK) {
        hwal_fail(err);
        return 0;
    }
    return attach_instances(uid, names, cap);
}

static err_t attach_named(attach_t *a, const char *instance, uid_t uid)
{
    const char *env  = getenv("HWAL_INSTANCE");
    const char *name = instance ? instance : env ? env : "";
    char        which[40], list[1024];
    if (!*name) {
        attach_which(uid, "", false, which, list, sizeof list);
        name = which;
    }
    err_t err = attach_open(a, name, uid);
    if (err == ERR_OK && !attach_left(a)) {
        attach_close(a);
        err = err_set(ERR_NOT_FOUND, "nothing but its kill words is left");
    }
    if (err == ERR_NOT_FOUND) {
        char why[256], ignored[40];
        snprintf(why, sizeof why, "%s", err_msg());
        attach_which(uid, "", false, ignored, list, sizeof list);
        if (name == which) {
            return err_set(err, "%s of user %u %s%s", *list ? "which instance" : "no instance", (unsigned)uid,
                           *list ? "is meant? Name one: " : "runs here", list);
        }
        err_set(err, "no instance \"%s\" of user %u runs here (%s); there %s%s", name, (unsigned)uid, why,
                *list ? "are: " : "is none", list);
    }
    return err;
}

hwal_t *hwal_attach(const char *instance, const char *user)
{
    uid_t   uid;
    err_t   err = uid_of(user, &uid);
    hwal_t *h   = err == ERR_OK ? calloc(1, sizeof *h) : NULL;
    if (err == ERR_OK && h == NULL) {
        err = err_set(ERR_IO, "hwal_attach: out of memory: %zu bytes", sizeof *h);
    }
    if (err == ERR_OK && (err = attach_named(&h->a, instance, uid)) == ERR_OK) {
        return h;
    }
    free(h);
    hwal_fail(err);
    return NULL;
}

void hwal_detach(hwal_t *h)
{
    if (h == NULL) {
        return;
    }
    while (h->subs) {
        hwal_unsubscribe(h->subs);
    }
    attach_close(&h->a);
    free(h);
}

const char *hwal_instance(const hwal_t *h)
{
    return h->a.instance;
}

int hwal_stale(const hwal_t *h)
{
    return attach_stale(&h->a);
}

uint64_t hwal_damaged(const hwal_t *h)
{
    return h->a.damaged;
}

/* there: is role r part of this instance? */
static bool there(const attach_t *a, uint32_t r)
{
    return a->role[r].head || (a->row_known[r] && a->row[r].status != ROLE_STATUS_NONE);
}

hwal_err_t hwal_role(const hwal_t *h, uint32_t index, hwal_role_t *out)
{
    const attach_t *a = &h->a;
    for (uint32_t r = 0; r < ROLE_COUNT; r++) {
        if (!there(a, r) || index-- != 0) {
            continue;
        }
        const control_page_t *control = attach_control(a, (role_t)r);
        const segment_head_t *head    = a->role[r].head;
        *out                          = (hwal_role_t){.age_ns   = attach_age_ns(a, (role_t)r),
                                                      .pid      = a->row_known[r] ? a->row[r].pid : head->pid,
                                                      .alive    = attach_alive(a, (role_t)r),
                                                      .gen      = head ? head->gen : a->row[r].gen,
                                                      .epoch    = control ? atomic_load(&control->epoch) : 0,
                                                      .restarts = a->row[r].restarts};
        snprintf(out->name, sizeof out->name, "%s", topology_role_name((role_t)r));
        snprintf(out->state, sizeof out->state, "%s", role_state_str(control ? atomic_load(&control->state) : 0));
        return HWAL_OK;
    }
    return hwal_fail(ERR_NOT_FOUND);
}

/* ---- numbers ------------------------------------------------------------------------------------------------------ */
static void instrument_out(const attach_instrument_t *ins, hwal_instrument_t *out)
{
    *out = (hwal_instrument_t){.def = ins->def};
    memcpy(out->symbol, ins->symbol, sizeof out->symbol);
}

hwal_err_t hwal_instrument(hwal_t *h, uint32_t instrument_id, hwal_instrument_t *out)
{
    const attach_instrument_t *ins = attach_instrument(&h->a, instrument_id);
    if (ins == NULL) {
        attach_instruments(&h->a);
        ins = attach_instrument(&h->a, instrument_id);
    }
    if (ins == NULL) {
        return hwal_fail(err_set(ERR_NOT_FOUND, "instance \"%s\" has no instrument %u", h->a.instance, instrument_id));
    }
    instrument_out(ins, out);
    return HWAL_OK;
}

hwal_err_t hwal_symbol(hwal_t *h, const char *symbol, hwal_instrument_t *out)
{
    const attach_instrument_t *ins = attach_symbol(&h->a, symbol);
    if (ins == NULL) {
        attach_instruments(&h->a);
        ins = attach_symbol(&h->a, symbol);
    }
    if (ins == NULL) {
        return hwal_fail(ERR_NOT_FOUND);
    }
    instrument_out(ins, out);
    return HWAL_OK;
}

hwal_err_t hwal_decimal_parse(const char *text, int32_t exp, int64_t *out)
{
    if (exp < 0 || exp > DECIMAL_EXP_MAX) {
        return hwal_fail(err_set(ERR_ARG, "exponent %d, must be 0 to %d", exp, DECIMAL_EXP_MAX));
    }
    const err_t err = decimal_parse(text, strlen(text), (unsigned)exp, out);
    switch (err) {
    case ERR_OK: return HWAL_OK;
    case ERR_SCALE: return hwal_fail(err_set(err, "\"%s\" has more than %d digits behind the point", text, exp));
    case ERR_RANGE: return hwal_fail(err_set(err, "\"%s\" with %d digits behind the point does not fit", text, exp));
    default: return hwal_fail(err_set(ERR_ARG, "\"%s\" is not a number", text));
    }
}

char *hwal_decimal_format(int64_t value, int32_t exp, char out[HWAL_DECIMAL_MAX])
{
    _Static_assert(HWAL_DECIMAL_MAX == DECIMAL_TEXT_MAX, "ABI");
    if (exp < 0 || exp > DECIMAL_EXP_MAX) { /* of a damaged definition */
        snprintf(out, HWAL_DECIMAL_MAX, "%" PRId64 "e%d", value, -exp);
    } else {
        decimal_format(value, (unsigned)exp, out);
    }
    return out;
}

hwal_err_t hwal_px_parse(const hwal_instrument_t *ins, const char *text, int64_t *px)
{
    return hwal_decimal_parse(text, ins->def.px_exp, px);
}

hwal_err_t hwal_qty_parse(const hwal_instrument_t *ins, const char *text, int64_t *qty)
{
    return hwal_decimal_parse(text, ins->def.qty_exp, qty);
}

char *hwal_px_format(const hwal_instrument_t *ins, int64_t px, char out[HWAL_DECIMAL_MAX])
{
    return hwal_decimal_format(px, ins->def.px_exp, out);
}

char *hwal_qty_format(const hwal_instrument_t *ins, int64_t qty, char out[HWAL_DECIMAL_MAX])
{
    return hwal_decimal_format(qty, ins->def.qty_exp, out);
}

/* ---- messages ----------------------------------------------------------------------------------------------------- */
void hwal_fill(hwal_message_t *out, const msg_t *msg, const ring_meta_t *meta, const void *raw, uint64_t seq)
{
    *out = (hwal_message_t){.seq        = seq,
                            .type       = meta->type,
                            .topic      = meta->topic,
                            .tenant     = meta->tenant,
                            .body_len   = (uint32_t)msg_body_size(msg->type),
                            .body       = msg->body,
                            .tail       = msg->tail,
                            .text       = msg->text,
                            .raw        = raw,
                            .tail_count = msg->tail_count,
                            .raw_len    = meta->len};
}

hwal_err_t hwal_json(const hwal_message_t *m, char *text, size_t cap, size_t *len)
{
    const fbs_object_t *table = m->type != MSG_NONE && m->type < MSG_TYPE_COUNT
                                    ? fbs_union_object(&hwal_message_names, (uint8_t)m->type)
                                    : NULL;
    size_t              need  = 0;
    if (table == NULL || m->body == NULL) {
        return hwal_fail(err_set(ERR_UNSUPPORTED, "message type %u is not one of this library", m->type));
    }
    const err_t err = fbs_json_out(table, m->raw, text, cap, &need);
    if (len != NULL) {
        *len = need;
    }
    return err == ERR_OK ? HWAL_OK : hwal_fail(err);
}

/* ---- rings -------------------------------------------------------------------------------------------------------- */
/* ring_name: as topology_ring calls it; *id says which, RING_ID_COUNT = none of the table: "log.<role>". */
static void ring_name(role_t role, const char *object, char *out, size_t cap, ring_id_t *id)
{
    for (uint32_t i = 0; i < RING_ID_COUNT; i++) {
        const ring_row_t *row = topology_ring((ring_id_t)i);
        if (row->writer == role && strcmp(row->object, object) == 0) {
            snprintf(out, cap, "%s", row->name);
            *id = (ring_id_t)i;
            return;
        }
    }
    snprintf(out, cap, "%s.%s", object, topology_role_name(role));
    *id = RING_ID_COUNT;
}

/* ring_at: the index-th ring of all roles: its segment's object, NULL behind the last. */
static const segment_object_t *ring_at(const attach_t *a, uint32_t index, role_t *role)
{
    for (uint32_t r = 0; r < ROLE_COUNT; r++) {
        const segment_head_t *head = a->role[r].head;
        for (uint32_t i = 0; head && i < head->object_count && i < SEGMENT_OBJECTS_MAX; i++) {
            const segment_object_t *o = &head->objects[i];
            if ((o->kind == SEGMENT_BROADCAST || o->kind == SEGMENT_LOSSLESS) && index-- == 0) {
                *role = (role_t)r;
                return o;
            }
        }
    }
    return NULL;
}

static void broadcast_figures(const void *mem, size_t bytes, hwal_ring_t *out)
{
    ring_reader_t reader;
    if (ring_reader_join(&reader, mem, bytes, RING_OLDEST) == ERR_OK) {
        out->slots  = (uint32_t)(reader.mask + 1);
        out->stride = reader.stride;
        out->newest = ring_tail(reader.ring);
        out->oldest = ring_oldest(&reader);
    }
}

static void lossless_figures(const attach_t *a, ring_id_t id, const void *mem, size_t bytes, hwal_ring_t *out)
{
    lossless_reader_t reader;
    if (lossless_reader_join(&reader, mem, bytes, NULL, 0) == ERR_OK) {
        const ring_cursor_t *cursor = id < RING_ID_COUNT ? attach_cursor(a, topology_ring(id)->reader, id) : NULL;
        out->slots                  = (uint32_t)(reader.mask + 1);
        out->stride                 = reader.stride;
        out->newest                 = lossless_written(&reader);
        out->oldest                 = cursor ? lossless_cursor_taken(cursor, reader.ring) + 1 : 1;
    }
}

hwal_err_t hwal_ring(const hwal_t *h, uint32_t index, hwal_ring_t *out)
{
    role_t                  role;
    ring_id_t               id;
    size_t                  bytes = 0;
    const segment_object_t *o     = ring_at(&h->a, index, &role);
    if (o == NULL) {
        return hwal_fail(ERR_NOT_FOUND);
    }
    const segment_kind_t kind = (segment_kind_t)o->kind;
    const void          *mem  = segment_find(&h->a.role[role], o->name, kind, &bytes);
    *out                      = (hwal_ring_t){.broadcast = kind == SEGMENT_BROADCAST};
    ring_name(role, o->name, out->name, sizeof out->name, &id);
    snprintf(out->writer, sizeof out->writer, "%s", topology_role_name(role));
    if (out->broadcast) {
        broadcast_figures(mem, bytes, out);
    } else {
        lossless_figures(&h->a, id, mem, bytes, out);
    }
    return HWAL_OK;
}

/* sub_find: which ring is called so? */
static err_t sub_find(hwal_sub_t *sub, const char *ring)
{
    const attach_t         *a = &sub->h->a;
    const segment_object_t *o;
    ring_id_t               id;
    char                    name[64];
    for (uint32_t i = 0; (o = ring_at(a, i, &sub->role)) != NULL; i++) {
        ring_name(sub->role, o->name, name, sizeof name, &id);
        if (strcmp(name, ring) != 0) {
            continue;
        }
        if (o->kind != SEGMENT_BROADCAST) {
            return err_set(ERR_ARG, "ring \"%s\" is between two roles: only broadcast rings can be subscribed", ring);
        }
        memcpy(sub->object, o->name, sizeof sub->object);
        return ERR_OK;
    }
    return err_set(ERR_NOT_FOUND, "instance \"%s\" has no ring \"%s\" now", a->instance, ring);
}

/* sub_join: to the ring as it lies in the segment of now. */
static err_t sub_join(hwal_sub_t *sub, ring_start_t start)
{
    const segment_t *seg   = &sub->h->a.role[sub->role];
    size_t           bytes = 0;
    const void      *mem   = seg->head ? segment_find(seg, sub->object, SEGMENT_BROADCAST, &bytes) : NULL;
    const err_t      err   = mem ? ring_reader_join(&sub->reader, mem, bytes, start) : ERR_NOT_FOUND;
    if (err != ERR_OK) {
        sub->reader.ring = NULL;
        return err;
    }
    sub->ring_id           = sub->reader.ring->head.id;
    sub->reader.after_loss = sub->after_loss;
    return ERR_OK;
}

static err_t sub_filter(hwal_sub_t *sub, const hwal_filter_t *f)
{
    if (f->topics_count > HWAL_TOPICS_MAX) {
        return err_set(ERR_LIMIT, "a filter of %u topics, at most %u", f->topics_count, HWAL_TOPICS_MAX);
    }
    if (f->start > HWAL_SEQUENCE || f->after_loss > HWAL_NEWEST) {
        return err_set(ERR_ARG, "a filter that starts at %u and goes on at %u, must be 0 to %u and 0 to %u", f->start,
                       f->after_loss, HWAL_SEQUENCE, HWAL_NEWEST);
    }
    sub->types        = f->types;
    sub->tenant       = f->tenant;
    sub->after_loss   = f->after_loss == HWAL_NEWEST ? RING_NEWEST : RING_OLDEST;
    sub->topics_count = f->topics_count;
    if (f->topics_count) {
        memcpy(sub->topics, f->topics, f->topics_count * sizeof sub->topics[0]);
    }
    return ERR_OK;
}

hwal_sub_t *hwal_subscribe(hwal_t *h, const char *ring, const hwal_filter_t *filter)
{
    const hwal_filter_t  everything = {0};
    const hwal_filter_t *f          = filter ? filter : &everything;
    hwal_sub_t          *sub        = calloc(1, sizeof *sub);
    if (sub == NULL) {
        hwal_fail(err_set(ERR_IO, "hwal_subscribe: out of memory: %zu bytes", sizeof *sub));
        return NULL;
    }
    sub->h    = h;
    err_t err = sub_filter(sub, f);
    if (err == ERR_OK && (err = sub_find(sub, ring)) == ERR_OK) {
        err = sub_join(sub, f->start == HWAL_NEWEST ? RING_NEWEST : RING_OLDEST);
    }
    if (err != ERR_OK) {
        free(sub);
        hwal_fail(err);
        return NULL;
    }
    if (f->start == HWAL_SEQUENCE) {
        ring_reader_seek(&sub->reader, f->sequence);
    }
    sub->next = h->subs;
    h->subs   = sub;
    return sub;
}

void hwal_unsubscribe(hwal_sub_t *sub)
{
    if (sub == NULL) {
        return;
    }
    hwal_sub_t **at = &sub->h->subs;
    while (*at != sub) {
        at = &(*at)->next;
    }
    *at = sub->next;
    free(sub);
}

/* sub_again: its memory has moved. The same ring: go on where it was; another one: from its beginning, and say so. What
 * was not read of the old one is lost: tail was its last sequence. */
static void sub_again(hwal_sub_t *sub, uint64_t tail)
{
    const ring_reader_t was = sub->reader;
    const uint64_t      id  = sub->ring_id;
    if (was.ring != NULL && !sub->restarted) {
        sub->lost_from = was.next;
        sub->lost_to   = tail;
    }
    if (sub_join(sub, RING_OLDEST) != ERR_OK) {
        return; /* not made yet; it will be another ring */
    }
    if (sub->ring_id != id) {
        sub->restarted = true;
        return;
    }
    sub->reader.next = was.next;
    sub->reader.lost = was.lost;
}

int hwal_again(hwal_t *h)
{
    for (hwal_sub_t *sub = h->subs; sub; sub = sub->next) {
        sub->tail = sub->reader.ring ? ring_tail(sub->reader.ring) : 0;
    }
    if (!attach_again(&h->a)) {
        return 0;
    }
    memset(h->joined, 0, sizeof h->joined);
    for (hwal_sub_t *sub = h->subs; sub; sub = sub->next) {
        sub_again(sub, sub->tail);
    }
    return 1;
}

/* passes: by what the slot says; the message itself is not looked at. */
static bool passes(const hwal_sub_t *sub, const ring_meta_t *meta)
{
    if (sub->types != 0 && (meta->type >= 64 || !(sub->types >> meta->type & 1))) {
        return false;
    }
    if (sub->tenant != 0 && meta->tenant != 0 && meta->tenant != sub->tenant) {
        return false;
    }
    for (uint32_t i = 0; i < sub->topics_count; i++) {
        if (sub->topics[i] == meta->topic) {
            return true;
        }
    }
    return sub->topics_count == 0;
}

/* told: the answer and the sequences that are gone. */
static hwal_err_t told(hwal_message_t *out, hwal_err_t answer, uint64_t from, uint64_t to)
{
    *out = (hwal_message_t){.lost_from = from, .lost_to = to};
    return answer;
}

/* believed: a copied message, verified. One of a type that is newer than this library is handed out unread. */
static hwal_err_t believed(attach_t *a, attach_message_t *m, hwal_message_t *out)
{
    m->msg          = (msg_t){.type = MSG_NONE};
    const err_t err = m->meta.type >= MSG_TYPE_COUNT
                          ? ERR_OK
                          : message_read((msg_type_t)m->meta.type, m->bytes, m->meta.len, &m->msg);
    if (err != ERR_OK) {
        a->damaged++;
        return hwal_fail(ERR_PARSE);
    }
    hwal_fill(out, &m->msg, &m->meta, m->bytes, m->seq);
    return HWAL_OK;
}

hwal_err_t hwal_next(hwal_sub_t *sub, hwal_message_t *out)
{
    ring_reader_t    *reader = &sub->reader;
    attach_message_t *m      = &sub->m;
    if (sub->restarted) {
        sub->restarted = false;
        return told(out, HWAL_RESTART, sub->lost_from, sub->lost_to);
    }
    while (reader->ring != NULL) {
        switch (ring_read(reader, m->bytes, sizeof m->bytes, &m->meta)) {
        case ERR_OK: break;
        case ERR_EMPTY: return HWAL_EMPTY;
        case ERR_GAP: return told(out, HWAL_GAP, reader->lost_from, reader->lost_to);
        case ERR_FULL:
            ring_reader_seek(reader, reader->next + 1); /* longer than any message of ours */
                                                        /* fall through */
        default:
            sub->h->a.damaged++;
            return hwal_fail(
                err_set(ERR_PARSE, "ring %s: message %" PRIu64 " is damaged", sub->object, reader->next - 1));
        }
        m->seq = reader->next - 1;
        if (passes(sub, &m->meta)) {
            return believed(&sub->h->a, m, out);
        }
    }
    return HWAL_EMPTY;
}

/* ---- records ------------------------------------------------------------------------------------------------------ */
uint32_t hwal_record_count(hwal_t *h, uint32_t kind)
{
    if (kind >= RECORD_ID_COUNT) {
        return 0;
    }
    if (!h->joined[kind]) {
        h->joined[kind] = attach_records(&h->a, (record_id_t)kind, &h->records[kind]);
    }
    return h->joined[kind] ? h->records[kind].count : 0;
}

hwal_err_t hwal_record(hwal_t *h, uint32_t kind, uint32_t index, hwal_message_t *out)
{
    const uint32_t count = hwal_record_count(h, kind);
    if (index >= count) {
        return hwal_fail(err_set(ERR_ARG, "record %u of kind %u: there are %u", index, kind, count));
    }
    attach_message_t *m   = &h->record[kind];
    const err_t       err = records_read(&h->records[kind], index, m->bytes, sizeof m->bytes, &m->meta, &m->seq);
    if (err == ERR_OK) {
        return believed(&h->a, m, out);
    }
    h->a.damaged += err != ERR_EMPTY;
    return err == ERR_EMPTY ? HWAL_EMPTY : hwal_fail(err == ERR_AGAIN ? err : ERR_PARSE);
}

/* ---- counters and latencies --------------------------------------------------------------------------------------- */
hwal_err_t hwal_counter(const hwal_t *h, const char *role, uint32_t index, hwal_counter_t *out)
{
    uint32_t r = 0;
    while (r < ROLE_COUNT && strcmp(topology_role_name((role_t)r), role) != 0) {
        r++;
    }
    const counters_t *counters = r < ROLE_COUNT ? attach_counters(&h->a, (role_t)r) : NULL;
    if (counters == NULL) {
        return hwal_fail(err_set(ERR_NOT_FOUND, "instance \"%s\" has no role \"%s\" that counts", h->a.instance, role));
    }
    counter_row_t row;
    uint64_t      value;
    const err_t   err = counters_at(counters, index, &row, &value);
    if (err != ERR_OK) {
        return hwal_fail(err);
    }
    *out = (hwal_counter_t){.value = value, .gauge = row.type == COUNTER_TYPE_GAUGE};
    memcpy(out->name, row.name, sizeof out->name);
    memcpy(out->unit, row.unit, sizeof out->unit);
    memcpy(out->help, row.help, sizeof out->help);
    return HWAL_OK;
}

/* histogram_at: the index-th of all roles. */
static const histogram_t *histogram_at(const attach_t *a, uint32_t index, hwal_histogram_t *out)
{
    for (uint32_t r = 0; r < ROLE_COUNT; r++) {
        const segment_head_t *head = a->role[r].head;
        for (uint32_t i = 0; head && i < head->object_count && i < SEGMENT_OBJECTS_MAX; i++) {
            const histogram_t *histogram;
            size_t             bytes = 0;
            const void        *mem   = head->objects[i].kind == SEGMENT_HISTOGRAM
                                           ? segment_find(&a->role[r], head->objects[i].name, SEGMENT_HISTOGRAM, &bytes)
                                           : NULL;
            if (mem == NULL || histogram_join(mem, bytes, &histogram) != ERR_OK || index-- != 0) {
                continue;
            }
            snprintf(out->name, sizeof out->name, "%s", head->objects[i].name);
            snprintf(out->role, sizeof out->role, "%s", topology_role_name((role_t)r));
            snprintf(out->unit, sizeof out->unit, "%.*s", (int)sizeof histogram->unit, histogram->unit);
            return histogram;
        }
    }
    return NULL;
}

hwal_err_t hwal_histogram(hwal_t *h, uint32_t index, const uint32_t *millionths, uint64_t *values, uint32_t n,
                          hwal_histogram_t *out)
{
    *out                         = (hwal_histogram_t){0};
    const histogram_t *histogram = histogram_at(&h->a, index, out);
    if (histogram == NULL) {
        return hwal_fail(ERR_NOT_FOUND);
    }
    histogram_copy(histogram, &h->histogram);
    out->count   = h->histogram.count;
    out->sum     = h->histogram.sum;
    out->max     = h->histogram.max;
    out->max_seq = h->histogram.max_seq;
    for (uint32_t i = 0; i < n; i++) {
        values[i] = histogram_quantile(&h->histogram, millionths[i]);
    }
    return HWAL_OK;
}
