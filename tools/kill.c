/* hwal kill: the switch. Sets a kill word of an instance, wakes its engine, waits until it has taken effect and until no
 * order in its scope is open. Works with the engine dead: the word stays and takes effect at its start. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "core/risk/risk_code.h"
#include "ipc/role.h"
#include "tools/command.h"
#include "tools/config.h"
#include "tools/desk.h"
#include "tools/views.h"

#define EFFECT_WAIT_NS (2 * NS_PER_S)
#define LOCK_WAIT_NS (2 * NS_PER_S)
#define ORDERS_WAIT_S 30u

typedef struct kill_cmd {
    attach_args_t args;
    scope_t       scope;
    const char   *scope_name;
    const char   *id_text;
    uint32_t      id;
    bool          clear;
    bool          yes;
    bool          flatten;
    const char   *reason; /* NULL: the word alone, which nobody signs */
    const char   *client;
    uint32_t      wait_s;
    uint64_t      version;
    int64_t       set_mono_ns;
} kill_cmd_t;

static int usage(FILE *to)
{
    fputs("usage: hwal kill LEVEL [ID] [--clear] [--flatten] [--reason TEXT] [--yes] [--wait SECONDS] [OPTIONS]\n\n"
          "Stops trading in a scope: no new order passes, every open order there is cancelled. The word stays set, "
          "also over\n"
          "restarts, until --clear. Exit 0 when the engine has confirmed it and no order in scope is open, else 1.\n\n"
          "  K5  global            everything\n"
          "  K4  tenant ID         K3  instrument SYMBOL or ID | venue ID\n"
          "  K2  account ID        K1  strategy ID\n\n" ATTACH_HELP "  --clear           allow trading again\n"
          "  --flatten         then close what is open there, by the engine's own reduce-only orders inside the "
          "collar; wants "
          "--reason\n"
          "  --reason TEXT     1 to 100 bytes: who did it, and why, into the journal (`hwal audit`); the word takes "
          "effect first\n"
          "  --client NAME     whose lane signs it (default operator)\n"
          "  --yes             do not ask\n"
          "  --wait SECONDS    how long to wait for orders to be gone (default 30)\n\n"
          "examples:\n"
          "  hwal kill global --yes\n"
          "  hwal kill K2 1              # account 1\n"
          "  hwal kill K3 BTCUSDT        # the instrument\n"
          "  hwal kill K2 1 --flatten --reason \"margin call\" --yes\n"
          "  hwal kill global --clear --yes\n",
          to);
    return to == stdout ? EXIT_OK : EXIT_USAGE;
}

/* ---- LEVEL and ID ---------------------------------------------------------------------------------------------------- */
static const struct {
    const char *name;
    const char *level; /* by its other name */
    scope_t     scope;
} scopes[] = {
    {"global", "K5", SCOPE_GLOBAL},     {"tenant", "K4", SCOPE_TENANT},         {"account", "K2", SCOPE_ACCOUNT},
    {"strategy", "K1", SCOPE_STRATEGY}, {"instrument", "K3", SCOPE_INSTRUMENT}, {"venue", "", SCOPE_VENUE},
};

static bool take_level(kill_cmd_t *k, const char *text)
{
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++) {
        if (strcasecmp(text, scopes[i].name) == 0 || (*scopes[i].level && strcasecmp(text, scopes[i].level) == 0)) {
            k->scope      = scopes[i].scope;
            k->scope_name = scopes[i].name;
            return true;
        }
    }
    return false;
}

static int take_arguments(kill_cmd_t *k, int argc, char **argv)
{
    int at = optind;
    if (at == argc || !take_level(k, argv[at])) {
        return at == argc
                   ? usage(stderr)
                   : command_error("kill", EXIT_USAGE,
                                   "%s: no such level (global, tenant, account, strategy, instrument, venue, K1 to K5)",
                                   argv[at]);
    }
    const bool level = strcasecmp(argv[at], "K3") == 0;
    at++;
    if (level && at + 1 < argc) { /* K3 venue 1, K3 instrument BTCUSDT */
        if (!take_level(k, argv[at]) || (k->scope != SCOPE_INSTRUMENT && k->scope != SCOPE_VENUE)) {
            return command_error("kill", EXIT_USAGE, "%s: K3 is an instrument or a venue", argv[at]);
        }
        at++;
    }
    if (k->scope != SCOPE_GLOBAL) {
        if (at == argc) {
            return command_error("kill", EXIT_USAGE, "%s: which one?", k->scope_name);
        }
        k->id_text = argv[at++];
    }
    return at < argc ? command_error("kill", EXIT_USAGE, "%s: too many arguments", argv[at]) : EXIT_OK;
}

/* take_id: a symbol that several venues have is refused. An id may be one that nobody has yet: the word is set all the
 * same, and that is said. */
static err_t take_id(kill_cmd_t *k, const attach_t *a)
{
    if (k->scope == SCOPE_GLOBAL) {
        return ERR_OK;
    }
    if (k->scope == SCOPE_INSTRUMENT) { /* symbols first: some venues' are numbers, with noughts before them */
        const attach_instrument_t *ins = attach_symbol(a, k->id_text);
        k->id                          = ins ? ins->def.instrument_id : 0;
        const bool id = ins || (*k->id_text != '0' && attach_number(k->id_text, 1, WORDS_KILL_IDS - 1, &k->id));
        return id ? ERR_OK : ERR_ARG;
    }
    return attach_number(k->id_text, 1, WORDS_KILL_IDS - 1, &k->id)
               ? ERR_OK
               : err_set(ERR_ARG, "%s \"%s\": no such one (an id from 1 to %u)", k->scope_name, k->id_text,
                         WORDS_KILL_IDS - 1);
}

/* known: has the engine one of this id? Of strategies nobody outside has a list. */
static bool known(const kill_cmd_t *k, attach_t *a)
{
    records_reader_t reader;
    attach_message_t m;
    bool             any = k->scope == SCOPE_GLOBAL || k->scope == SCOPE_STRATEGY;
    for (uint32_t i = 1; !any && i <= a->instrument_max; i++) {
        const attach_instrument_t *ins = attach_instrument(a, i);
        any                            = ins &&
              ((k->scope == SCOPE_INSTRUMENT && i == k->id) || (k->scope == SCOPE_VENUE && ins->def.venue_id == k->id));
    }
    const bool accounts =
        (k->scope == SCOPE_ACCOUNT || k->scope == SCOPE_TENANT) && attach_records(a, RECORD_ID_ACCOUNTS, &reader);
    for (uint32_t i = 0; accounts && !any && i < reader.count; i++) {
        if (attach_record(a, &reader, i, &m) == ERR_OK && m.msg.type == MSG_ACCOUNT) {
            const account_record_t *account = m.msg.body;
            any = (k->scope == SCOPE_ACCOUNT ? account->account_id : account->tenant_id) == k->id;
        }
    }
    return any;
}

/* confirmed: a person types the scope; a program says --yes. */
static bool confirmed(const kill_cmd_t *k, const attach_t *a)
{
    char line[64] = "";
    if (k->yes) {
        return true;
    }
    if (!isatty(STDIN_FILENO)) {
        return false;
    }
    fprintf(stderr, "%s %s %s of instance \"%s\": type %s to confirm: ", k->clear ? "clear the kill of" : "kill",
            k->scope_name, k->id_text ? k->id_text : "", a->instance, k->scope_name);
    if (!fgets(line, sizeof line, stdin)) {
        return false;
    }
    line[strcspn(line, "\r\n")] = '\0';
    return strcmp(line, k->scope_name) == 0;
}

/* ---- the word -------------------------------------------------------------------------------------------------------- */
static void nap(int64_t ns)
{
    const struct timespec t = {ns / NS_PER_S, ns % NS_PER_S};
    nanosleep(&t, NULL);
}

/* lock: of those who write kill words; freed when the process ends. */
static err_t lock(const attach_t *a, int *fd)
{
    const int64_t until = role_mono_ns() + LOCK_WAIT_NS;
    *fd                 = openat(a->dir_fd, "kill.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*fd < 0) {
        return err_set(ERR_IO, "kill.lock: %s", strerror(errno));
    }
    while (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
        if (role_mono_ns() > until) {
            close(*fd);
            return err_set(ERR_STATE, "kill.lock: another `hwal kill` has held it for two seconds");
        }
        nap(NS_PER_MS);
    }
    return ERR_OK;
}

static err_t set_word(kill_cmd_t *k, const attach_t *a)
{
    segment_t seg   = {.fd = -1};
    size_t    bytes = 0;
    int       fd;
    err_t     err = lock(a, &fd);
    if (err != ERR_OK) {
        return err;
    }
    err            = segment_open(a->dir_fd, "words", a->uid, true, &seg);
    words_t *words = err == ERR_OK ? segment_find(&seg, "words", SEGMENT_WORDS, &bytes) : NULL;
    if (err == ERR_OK && bytes < sizeof *words) {
        err = err_set(ERR_PARSE, "words: too small");
    } else if (err == ERR_OK) {
        k->set_mono_ns = role_mono_ns();
        words_kill(words, k->scope, k->id, !k->clear);
        k->version = atomic_load_explicit(&words->kill_version, memory_order_acquire);
        doorbell_ring(&words->bells[ROLE_ENGINE], -1);
    }
    if (seg.head) {
        segment_close(&seg);
    }
    close(fd);
    return err;
}

/* effective: wait until the engine says so; how long it took, or -1. */
static int64_t effective(const kill_cmd_t *k, attach_t *a)
{
    const int64_t until = k->set_mono_ns + EFFECT_WAIT_NS;
    for (uint32_t turn = 1; role_mono_ns() < until; turn++) {
        const control_page_t *c = attach_control(a, ROLE_ENGINE);
        if (c && atomic_load_explicit(&c->kill_seen, memory_order_acquire) >= k->version) {
            const int64_t at = atomic_load_explicit(&c->kill_mono_ns, memory_order_relaxed);
            return max_i64(0, (at > 0 ? at : role_mono_ns()) - k->set_mono_ns);
        }
        nap(NS_PER_MS / 10);
        if (turn % 1000 == 0) { /* it may just be starting anew */
            attach_again(a);
        }
    }
    return -1;
}

/* ---- orders in scope --------------------------------------------------------------------------------------------------- */
static bool in_scope(const kill_cmd_t *k, const attach_t *a, const order_record_t *order)
{
    const attach_instrument_t *ins = attach_instrument(a, order->instrument_id);
    switch (k->scope) {
    case SCOPE_TENANT: return order->tenant_id == k->id;
    case SCOPE_ACCOUNT: return order->account_id == k->id;
    case SCOPE_STRATEGY: return order->strategy_id == k->id;
    case SCOPE_INSTRUMENT: return order->instrument_id == k->id;
    case SCOPE_VENUE: return !ins || ins->def.venue_id == k->id;
    default: return true;
    }
}

static uint64_t open_in_scope(const kill_cmd_t *k, attach_t *a)
{
    records_reader_t reader;
    attach_message_t m;
    uint64_t         open = 0;
    if (!attach_records(a, RECORD_ID_ORDERS, &reader)) {
        return 0;
    }
    for (uint32_t i = 0; i < reader.count; i++) {
        if (attach_record(a, &reader, i, &m) == ERR_OK && m.msg.type == MSG_ORDER) {
            const order_record_t *order = m.msg.body;
            open += view_open(order->ord_status) && in_scope(k, a, order);
        }
    }
    return open;
}

/* drained: report every second until no order in scope is open; how many still are when time is up. */
static uint64_t drained(const kill_cmd_t *k, attach_t *a)
{
    const int64_t until = role_mono_ns() + k->wait_s * NS_PER_S;
    int64_t       tell  = role_mono_ns() + NS_PER_S;
    uint64_t      open  = open_in_scope(k, a);
    while (open > 0 && role_mono_ns() < until && !attach_stale(a)) {
        if (role_mono_ns() >= tell) {
            fprintf(stderr, "%" PRIu64 " orders in scope are still open or unknown\n", open);
            tell += NS_PER_S;
        }
        nap(20 * NS_PER_MS);
        attach_again(a);
        open = open_in_scope(k, a);
    }
    return open;
}

/* ---- by a named person ------------------------------------------------------------------------------------------------ */
/* One OPERATE and what the engine says of it. */
static bool operate(const kill_cmd_t *k, desk_t *d, control_kind_t kind, int64_t value)
{
    const operate_t said  = {.value = value, .scope_id = k->id, .kind = (uint8_t)kind, .scope_type = (uint8_t)k->scope};
    const int64_t   until = role_mono_ns() + DESK_ANSWER_NS;
    hwal_message_t  m;
    if (hwal_lane_operate(d->lane, &said, k->reason) != HWAL_OK) {
        return false;
    }
    while (role_mono_ns() < until && desk_next(d, until - role_mono_ns(), &m)) {
        const audit_t *audit = m.body;
        if (m.type == MSG_AUDIT && audit->kind == AUDIT_REFUSED) {
            err_set(ERR_STATE, "refused (%s)",
                    audit->field == RISK_NOT_AUTHORISED ? risk_code_str(audit->field) : err_str((err_t)audit->field));
            return false;
        }
        if (m.type == MSG_AUDIT && audit->kind == AUDIT_CONTROL) {
            return true;
        }
    }
    err_set(ERR_AGAIN, "no answer");
    return false;
}

/* Positions in scope that are not flat, as published. */
static uint64_t open_positions(const kill_cmd_t *k, attach_t *a)
{
    records_reader_t reader;
    attach_message_t m;
    uint64_t         open = 0;
    if (!attach_records(a, RECORD_ID_POSITIONS, &reader)) {
        return 0;
    }
    for (uint32_t i = 0; i < reader.count; i++) {
        if (attach_record(a, &reader, i, &m) == ERR_OK && m.msg.type == MSG_POSITION) {
            const position_t    *p     = m.msg.body;
            const order_record_t where = {
                .account_id = p->account_id, .instrument_id = p->instrument_id, .tenant_id = 1};
            open += p->qty != 0 && (k->scope == SCOPE_TENANT || in_scope(k, a, &where));
        }
    }
    return open;
}

/* The word is in effect already; this signs it, and closes positions when that was asked for. */
static int signed_by(const kill_cmd_t *k, attach_t *a)
{
    desk_t    d;
    const int rc = desk_open(&d, "kill", &k->args, k->client);
    if (rc != EXIT_OK) {
        return rc;
    }
    bool good = operate(k, &d, CONTROL_KILL, !k->clear);
    good      = good && (!k->flatten || operate(k, &d, CONTROL_FLATTEN, 1));
    desk_close(&d);
    if (!good) {
        return command_error("kill", EXIT_FINDING, "not signed%s: %s", k->flatten ? ", nothing is closed" : "",
                             err_msg());
    }
    const int64_t until = role_mono_ns() + k->wait_s * NS_PER_S;
    uint64_t      open  = k->flatten ? open_positions(k, a) : 0;
    while (open > 0 && role_mono_ns() < until && !attach_stale(a)) {
        nap(50 * NS_PER_MS);
        open = open_positions(k, a);
    }
    return open == 0 ? EXIT_OK
                     : command_error("kill", EXIT_FINDING, "%" PRIu64 " positions in scope are not flat", open);
}

static void report(const kill_cmd_t *k, const attach_t *a, int64_t effect_ns, uint64_t open, bool ok)
{
    if (k->args.json) {
        json_t *o = view_head(a);
        json_object_set_new(o, "scope", json_string(k->scope_name));
        json_object_set_new(o, "id", table_u64(k->id));
        json_object_set_new(o, "set", json_boolean(!k->clear));
        json_object_set_new(o, "version", table_u64(k->version));
        json_object_set_new(o, "effective_us", effect_ns < 0 ? json_null() : json_integer(effect_ns / NS_PER_US));
        json_object_set_new(o, "open_orders", table_u64(open));
        json_object_set_new(o, "confirmed", json_boolean(ok));
        table_json(stdout, o);
        json_decref(o);
        return;
    }
    printf("%s %s%s%s of instance \"%s\"", k->clear ? "cleared the kill of" : "killed", k->scope_name,
           k->id_text ? " " : "", k->id_text ? k->id_text : "", a->instance);
    if (effect_ns >= 0) {
        printf(": in effect after %" PRId64 " us", (int64_t)(effect_ns / NS_PER_US));
    }
    if (!k->clear && effect_ns >= 0) {
        printf(", %" PRIu64 " orders open in scope", open);
    }
    putchar('\n');
}

static int kill_main(kill_cmd_t *k, attach_t *a)
{
    if (set_word(k, a) != ERR_OK) {
        attach_close(a);
        return command_error("kill", EXIT_FINDING, "not set: %s", err_msg());
    }
    const bool     silent = attach_stale(a);
    const int64_t  effect = effective(k, a);
    const uint64_t open   = k->clear ? 0 : effect < 0 ? open_in_scope(k, a) : drained(k, a);
    const bool     ok     = effect >= 0 && open == 0;
    report(k, a, effect, open, ok);
    const int by = effect >= 0 && k->reason ? signed_by(k, a) : EXIT_OK;
    attach_close(a);
    if (by != EXIT_OK) {
        return by;
    }
    if (effect < 0) {
        return command_error("kill", EXIT_FINDING, "the word is %s; the engine %s: that takes effect %s",
                             k->clear ? "cleared" : "set",
                             silent ? "is silent" : "did not confirm it within two seconds",
                             silent ? "when it starts" : "as soon as it answers");
    }
    return ok ? EXIT_OK
              : command_error("kill", EXIT_FINDING, "%" PRIu64 " orders in scope are still open or unknown", open);
}

int command_kill(int argc, char **argv)
{
    static const struct option options[] = {ATTACH_OPTIONS,
                                            {"clear", no_argument, NULL, 'c'},
                                            {"yes", no_argument, NULL, 'y'},
                                            {"wait", required_argument, NULL, 'w'},
                                            {"flatten", no_argument, NULL, 'f'},
                                            {"reason", required_argument, NULL, 'r'},
                                            {"client", required_argument, NULL, 'n'},
                                            {0}};
    static attach_t            a;
    kill_cmd_t                 k = {.wait_s = ORDERS_WAIT_S, .client = CONFIG_OPERATOR};
    attach_args(&k.args);
    k.args.words_do = true;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'h': return usage(stdout);
        case 'c': k.clear = true; break;
        case 'y': k.yes = true; break;
        case 'f': k.flatten = true; break;
        case 'r': k.reason = optarg; break;
        case 'n': k.client = optarg; break;
        case 'w':
            if (!attach_number(optarg, 0, 86400, &k.wait_s)) {
                return command_error("kill", EXIT_USAGE, "--wait %s: seconds from 0 to 86400", optarg);
            }
            break;
        default:
            if (!attach_option(&k.args, c)) {
                return command_unknown("kill", argv);
            }
        }
    }
    if ((k.flatten && (!k.reason || k.clear)) || (k.reason && (!*k.reason || strlen(k.reason) > REASON_MAX))) {
        return command_error("kill", EXIT_USAGE,
                             "--flatten goes with --reason TEXT (1 to %d bytes) and not with --clear", REASON_MAX);
    }
    int rc = take_arguments(&k, argc, argv);
    if (rc != EXIT_OK || (rc = attach_begin("kill", &k.args, &a)) != EXIT_OK) {
        return rc;
    }
    if (take_id(&k, &a) != ERR_OK) {
        attach_close(&a);
        return command_error("kill", EXIT_USAGE, "%s", err_msg());
    }
    if (!k.clear && !known(&k, &a)) {
        fprintf(stderr, "hwal kill: %s %u: the engine knows none of this id; the word is set all the same\n",
                k.scope_name, k.id);
    }
    if (!confirmed(&k, &a)) {
        attach_close(&a);
        return command_error("kill", EXIT_USAGE, "not confirmed: nothing was changed (--yes confirms)");
    }
    return kill_main(&k, &a);
}
