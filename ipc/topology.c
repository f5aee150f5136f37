#include "ipc/topology.h"

#include "core/ref/instrument.h"
#include "hwal_fbs.h"
#include "ipc/control.h"
#include "ipc/counters.h"
#include "ipc/histogram.h"
#include "ipc/log.h"
#include "ipc/message.h"
#include "ipc/record.h"
#include "ipc/records.h"
#include "ipc/ring_lossless.h"
#include "ipc/role.h"
#include "ipc/role_table.h"
#include "ipc/version.h"
#include "ipc/words_copy.h"

#define ROUND64(bytes) (((uint32_t)(bytes) + 63u) & ~63u)
#define SLOT(message_bytes) ROUND64(RING_SLOT_HEAD + (message_bytes))
/* a definition with all its bands and its longest symbol; 96 for the vtable, the offsets and the padding of a table */
#define INSTRUMENT_BYTES (sizeof(instrument_def_t) + INSTRUMENT_MAX_BANDS * sizeof(tick_band_t) + SYMBOL_MAX + 1 + 96)

#define STRIDE_MD SLOT(HWAL_BOOK_UPDATE_MSG_BYTES(BOOK_UPDATE_MAX_LEVELS))
#define STRIDE_EXEC 512u
#define STRIDE_ORD SLOT(HWAL_ORDER_TERMS_REQUEST_MSG_BYTES)
#define STRIDE_JRN SLOT(RECORD_BYTES_MAX)
#define STRIDE_EV SLOT(HWAL_EXEC_REPORT_MSG_BYTES)

_Static_assert(HWAL_MBO_UPDATE_MSG_BYTES(MBO_UPDATE_MAX_ENTRIES) <= HWAL_BOOK_UPDATE_MSG_BYTES(BOOK_UPDATE_MAX_LEVELS),
               "md");
_Static_assert(HWAL_FEED_STATE_MSG_BYTES <= HWAL_BOOK_UPDATE_MSG_BYTES(BOOK_UPDATE_MAX_LEVELS), "md");
_Static_assert(RING_SLOT_HEAD + INSTRUMENT_BYTES <= STRIDE_EXEC, "largest of exec");
_Static_assert(HWAL_EXEC_REPORT_MSG_BYTES <= INSTRUMENT_BYTES, "exec");
_Static_assert(HWAL_ORDER_STATUS_REQUEST_MSG_BYTES <= HWAL_ORDER_TERMS_REQUEST_MSG_BYTES, "ord");
_Static_assert(HWAL_MASS_STATUS_REQUEST_MSG_BYTES <= HWAL_ORDER_TERMS_REQUEST_MSG_BYTES, "ord");
_Static_assert(HWAL_SNAPSHOT_REQUEST_MSG_BYTES <= HWAL_ORDER_TERMS_REQUEST_MSG_BYTES, "ord");
_Static_assert(HWAL_ORDER_REQUEST_MSG_BYTES <= HWAL_ORDER_TERMS_REQUEST_MSG_BYTES, "ord");
_Static_assert(HWAL_MASS_CANCEL_MSG_BYTES <= HWAL_ORDER_TERMS_REQUEST_MSG_BYTES, "ord");
_Static_assert(RECORD_PREFIX + MESSAGE_BYTES_MAX <= RECORD_BYTES_MAX, "jrn: any message in a record");
_Static_assert(HWAL_ORDER_TERMS_REQUEST_MSG_BYTES <= HWAL_EXEC_REPORT_MSG_BYTES, "ev");
_Static_assert(HWAL_MASS_CANCEL_MSG_BYTES <= HWAL_EXEC_REPORT_MSG_BYTES, "ev");
_Static_assert(HWAL_AUDIT_MSG_BYTES <= HWAL_EXEC_REPORT_MSG_BYTES, "ev");
_Static_assert(HWAL_ALERT_MSG_BYTES <= HWAL_EXEC_REPORT_MSG_BYTES, "ev");
_Static_assert(HWAL_VERDICT_MSG_BYTES <= HWAL_EXEC_REPORT_MSG_BYTES, "ev");
_Static_assert(HWAL_POSITION_MSG_BYTES <= HWAL_EXEC_REPORT_MSG_BYTES, "ev");
_Static_assert(HWAL_ALARM_MSG_BYTES <= HWAL_EXEC_REPORT_MSG_BYTES, "ev");

/* clang-format off */
static const ring_row_t rings[RING_ID_COUNT] = {
    /*                      name            object     kind               writer        reader        stride */
    [RING_ID_MD_SIM]       = {"md.sim",       "md",      SEGMENT_BROADCAST, ROLE_SIM,     ROLE_ENGINE,  STRIDE_MD},
    [RING_ID_EXEC_SIM]     = {"exec.sim",     "exec",    SEGMENT_LOSSLESS,  ROLE_SIM,     ROLE_ENGINE,  STRIDE_EXEC},
    [RING_ID_ORD_SIM]      = {"ord.sim",      "ord.sim", SEGMENT_LOSSLESS,  ROLE_ENGINE,  ROLE_SIM,     STRIDE_ORD},
    [RING_ID_MD_CAPTURE]   = {"md.capture",   "md",      SEGMENT_BROADCAST, ROLE_CAPTURE, ROLE_ENGINE,  STRIDE_MD},
    [RING_ID_EXEC_CAPTURE] = {"exec.capture", "exec",    SEGMENT_LOSSLESS,  ROLE_CAPTURE, ROLE_ENGINE,  STRIDE_EXEC},
    [RING_ID_JRN]          = {"jrn",          "jrn",     SEGMENT_LOSSLESS,  ROLE_ENGINE,  ROLE_JOURNAL, STRIDE_JRN},
    [RING_ID_EV]           = {"ev",           "ev",      SEGMENT_BROADCAST, ROLE_ENGINE,  ROLE_COUNT,   STRIDE_EV},
};

static const struct record_row {
    const char *name;
    uint32_t    stride;
} records[RECORD_ID_COUNT] = {
    [RECORD_ID_INSTRUMENTS] = {"instruments", SLOT(INSTRUMENT_BYTES)},
    [RECORD_ID_BOOKS]       = {"books",       SLOT(HWAL_BOOK_UPDATE_MSG_BYTES(2 * TOPOLOGY_BOOK_LEVELS))},
    [RECORD_ID_FEEDS]       = {"feeds",       SLOT(HWAL_FEED_STATE_MSG_BYTES)},
    [RECORD_ID_TRADES]      = {"trades",      SLOT(HWAL_TRADE_MSG_BYTES)},
    [RECORD_ID_ORDERS]      = {"orders",      SLOT(HWAL_ORDER_MSG_BYTES)},
    [RECORD_ID_POSITIONS]   = {"positions",   SLOT(HWAL_POSITION_MSG_BYTES)},
    [RECORD_ID_ACCOUNTS]    = {"accounts",    SLOT(HWAL_ACCOUNT_MSG_BYTES)},
    [RECORD_ID_STATISTICS]  = {"statistics",  SLOT(HWAL_STATISTICS_MSG_BYTES)},
    [RECORD_ID_HELD]        = {"held",        SLOT(HWAL_HELD_ORDER_MSG_BYTES)},
    [RECORD_ID_BALANCES]    = {"balances",    SLOT(HWAL_BALANCE_MSG_BYTES)},
    [RECORD_ID_SUB_POSITIONS] = {"sub_positions", SLOT(HWAL_SUB_POSITION_MSG_BYTES)},
    [RECORD_ID_ALERTS]      = {"alerts",      SLOT(HWAL_ALERT_MSG_BYTES)},
    [RECORD_ID_VENUES]      = {"venues",      SLOT(HWAL_VENUE_DEF_MSG_BYTES)},
};

static const char *const role_names[ROLE_COUNT] = {
    [ROLE_SUPERVISOR] = "supervisor", [ROLE_ENGINE] = "engine", [ROLE_JOURNAL] = "journal",
    [ROLE_SIM]        = "sim",        [ROLE_VENUE]  = "venue",  [ROLE_CAPTURE] = "capture",
};
/* clang-format on */

const ring_row_t *topology_ring(ring_id_t id)
{
    return (uint32_t)id < RING_ID_COUNT ? &rings[id] : NULL;
}

const char *topology_role_name(role_t role)
{
    return (uint32_t)role < ROLE_COUNT ? role_names[role] : "?";
}

const char *topology_record_name(record_id_t id)
{
    return (uint32_t)id < RECORD_ID_COUNT ? records[id].name : "?";
}

bool topology_runs(role_t role, const config_t *config)
{
    return role != ROLE_CAPTURE || config->capture.files_count > 0;
}

uint32_t topology_ring_slots(ring_id_t id, const config_t *config)
{
    switch (id) {
    case RING_ID_MD_SIM:
    case RING_ID_MD_CAPTURE: return (uint32_t)config->rings.md;
    case RING_ID_EXEC_SIM:
    case RING_ID_EXEC_CAPTURE: return (uint32_t)config->rings.exec;
    case RING_ID_ORD_SIM: return (uint32_t)config->rings.ord;
    case RING_ID_JRN: return (uint32_t)config->rings.jrn;
    case RING_ID_EV: return (uint32_t)config->rings.ev;
    case RING_ID_COUNT: break;
    }
    return 0;
}

/* The configuration says that accounts times instruments are places that an array can have. */
static uint32_t record_count(record_id_t id, const config_t *config)
{
    const uint32_t instruments = (uint32_t)config->engine.instruments_max;
    const uint32_t accounts    = (uint32_t)config->engine.accounts_max;
    switch (id) {
    case RECORD_ID_INSTRUMENTS:
    case RECORD_ID_BOOKS:
    case RECORD_ID_FEEDS:
    case RECORD_ID_TRADES:
    case RECORD_ID_STATISTICS: return instruments;
    case RECORD_ID_ORDERS: return (uint32_t)config->engine.orders_max;
    case RECORD_ID_POSITIONS: return accounts * instruments;
    case RECORD_ID_ACCOUNTS: return accounts;
    case RECORD_ID_HELD: return (uint32_t)config->engine.held_max;
    case RECORD_ID_BALANCES: return accounts * PORTFOLIO_CCYS_MAX + 1;
    case RECORD_ID_SUB_POSITIONS: return TOPOLOGY_SUB_POSITIONS_MAX;
    case RECORD_ID_ALERTS: return ENGINE_ALERTS_MAX;
    case RECORD_ID_VENUES: return RISK_VENUES_MAX;
    case RECORD_ID_COUNT: break;
    }
    return 0;
}

/* ---- lanes as they are shown ---------------------------------------------------------------------------------------- */
void lanes_page_show(lanes_page_t *page, const lane_t *lane)
{
    lane_t *to    = &page->lanes[lane->lane_id - 1];
    lane_t  whole = *lane;
    whole.state   = LANE_NONE;
    __atomic_store_n(&to->state, (uint8_t)LANE_NONE, __ATOMIC_RELAXED);
    words_fence_release(); /* nothing of the new one is seen beside the old one's state */
    words_copy(to, &whole, sizeof whole);
    __atomic_store_n(&to->state, lane->state, __ATOMIC_RELEASE);
}

bool lanes_page_read(const lanes_page_t *page, uint32_t lane_id, lane_t *out)
{
    if (lane_id - 1 >= ENGINE_LANES_MAX) {
        return false;
    }
    const lane_t *from  = &page->lanes[lane_id - 1];
    const uint8_t state = __atomic_load_n(&from->state, __ATOMIC_ACQUIRE); /* pairs with the release in show */
    words_copy(out, from, sizeof *out);
    words_fence_acquire();
    const uint64_t lease = __atomic_load_n(&from->lease, __ATOMIC_RELAXED);
    return state != LANE_NONE && __atomic_load_n(&from->state, __ATOMIC_RELAXED) == state && out->lease == lease &&
           out->state == state;
}

/* ---- the objects of a role's segment, once to be added up and once to be made ------------------------------------ */
typedef struct object_row {
    const char    *name;
    segment_kind_t kind;
    size_t         bytes;
    uint32_t       count; /* of slots or places */
    uint32_t       stride;
} object_row_t;

static uint32_t objects_of_engine(const config_t *config, object_row_t *out)
{
    uint32_t n = 0;
    out[n++]   = (object_row_t){"clock", SEGMENT_BLOB, sizeof(engine_clock_t), 0, 0};
    out[n++]   = (object_row_t){"event", SEGMENT_HISTOGRAM, sizeof(histogram_t), 0, 0};
    out[n++]   = (object_row_t){"decide", SEGMENT_HISTOGRAM, sizeof(histogram_t), 0, 0};
    out[n++]   = (object_row_t){"lane", SEGMENT_HISTOGRAM, sizeof(histogram_t), 0, 0};
    out[n++]   = (object_row_t){"lanes", SEGMENT_BLOB, sizeof(lanes_page_t), 0, 0};
    for (uint32_t i = 0; i < RECORD_ID_COUNT; i++) {
        const uint32_t count = record_count(i, config);
        out[n++] = (object_row_t){records[i].name, SEGMENT_RECORDS, records_footprint(count, records[i].stride), count,
                                  records[i].stride};
    }
    return n;
}

static uint32_t objects_of(role_t role, const config_t *config, size_t blob_bytes,
                           object_row_t out[SEGMENT_OBJECTS_MAX])
{
    uint32_t n = 0;
    out[n++]   = (object_row_t){"control", SEGMENT_CONTROL, sizeof(control_page_t), 0, 0};
    out[n++]   = (object_row_t){"counters", SEGMENT_COUNTERS, counters_footprint(), 0, 0};
    out[n++]   = (object_row_t){"log", SEGMENT_BROADCAST, ring_broadcast_footprint(LOG_SLOTS, LOG_STRIDE), LOG_SLOTS,
                                LOG_STRIDE};
    out[n++]   = (object_row_t){"cursors", SEGMENT_CURSORS, RING_ID_COUNT * sizeof(ring_cursor_t), 0, 0};
    for (uint32_t i = 0; i < RING_ID_COUNT; i++) {
        if (rings[i].writer == role) {
            const uint32_t slots = topology_ring_slots(i, config);
            const size_t   bytes = rings[i].kind == SEGMENT_LOSSLESS ? ring_lossless_footprint(slots, rings[i].stride)
                                                                     : ring_broadcast_footprint(slots, rings[i].stride);
            out[n++]             = (object_row_t){rings[i].object, rings[i].kind, bytes, slots, rings[i].stride};
        }
    }
    switch (role) {
    case ROLE_SUPERVISOR: out[n++] = (object_row_t){"roles", SEGMENT_ROLES, sizeof(role_table_t), 0, 0}; break;
    case ROLE_ENGINE: n += objects_of_engine(config, out + n); break;
    case ROLE_JOURNAL: out[n++] = (object_row_t){"durable", SEGMENT_CURSORS, sizeof(ring_cursor_t), 0, 0}; break;
    case ROLE_VENUE: out[n++] = (object_row_t){"state", SEGMENT_BLOB, blob_bytes, 0, 0}; break;
    case ROLE_SIM: out[n++] = (object_row_t){"taken", SEGMENT_HISTOGRAM, sizeof(histogram_t), 0, 0}; break;
    case ROLE_CAPTURE:
    case ROLE_COUNT: break;
    }
    return n;
}

size_t topology_bytes(role_t role, const config_t *config, size_t blob_bytes)
{
    object_row_t   objects[SEGMENT_OBJECTS_MAX];
    const uint32_t count = objects_of(role, config, blob_bytes, objects);
    size_t         bytes = SEGMENT_HEAD_BYTES;
    for (uint32_t i = 0; i < count; i++) {
        if (objects[i].bytes == 0 && objects[i].kind != SEGMENT_BLOB) {
            return 0;
        }
        bytes += segment_bytes_for(objects[i].bytes);
    }
    return (bytes + 4095) & ~(size_t)4095;
}

static bool object_new(const object_row_t *row, void *mem)
{
    switch (row->kind) {
    case SEGMENT_BROADCAST: return ring_broadcast_new(mem, row->count, row->stride) != NULL;
    case SEGMENT_LOSSLESS: return ring_lossless_new(mem, row->count, row->stride) != NULL;
    case SEGMENT_RECORDS: return records_new(mem, row->count, row->stride) != NULL;
    case SEGMENT_COUNTERS: return counters_new(mem) != NULL;
    case SEGMENT_CONTROL: control_state(mem, ROLE_BOOT); return true;
    case SEGMENT_HISTOGRAM: return histogram_new(mem, "ns", role_mono_ns()) != NULL;
    default: return true; /* zeroed is right */
    }
}

err_t topology_segment(role_t role, const config_t *config, size_t blob_bytes, int dir_fd, uint32_t epoch, uint32_t gen,
                       segment_t *out)
{
    object_row_t        objects[SEGMENT_OBJECTS_MAX];
    const uint32_t      count = objects_of(role, config, blob_bytes, objects);
    const segment_cfg_t cfg   = {.role     = role_names[role],
                                 .instance = config->instance,
                                 .epoch    = epoch,
                                 .gen      = gen,
                                 .bytes    = topology_bytes(role, config, blob_bytes),
                                 .build_id = version_build_id()};
    *out                      = (segment_t){.fd = -1};
    if (cfg.bytes == 0) {
        return err_wrap(ERR_CONFIG, "segment of role %s", cfg.role);
    }
    const err_t err = segment_create(dir_fd, &cfg, out);
    for (uint32_t i = 0; !err && i < count; i++) {
        void *mem = segment_add(out, objects[i].name, objects[i].kind, objects[i].bytes);
        if (!mem || !object_new(&objects[i], mem)) {
            segment_close(out);
            return err_wrap(ERR_INTERNAL, "segment of role %s, object %s", cfg.role, objects[i].name);
        }
    }
    return err;
}
