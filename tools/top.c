/* hwal top: screens that redraw, or one frame. Plain ANSI on the alternate screen; reads only. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "ipc/role.h"
#include "tools/command.h"
#include "tools/describe.h"
#include "tools/views.h"

#define FRAME_MS 200
#define EXECUTIONS 15u
#define ALARMS 5u
#define LADDER_LEVELS 10u /* so that own orders are still on a screen of 24 lines */

typedef enum screen { SCREEN_OVERVIEW = 0, SCREEN_LADDER, SCREEN_BLOTTER, SCREEN_POSITIONS, SCREEN_COUNT } screen_t;

static const char *const screen_names[SCREEN_COUNT] = {"overview", "ladder", "blotter", "positions"};

static int usage(FILE *to)
{
    fputs("usage: hwal top [--once] [--screen S] [--instrument SYMBOL] [OPTIONS]\n\n"
          "What an instance does, five times a second. Keys: 1 overview, 2 ladder, 3 blotter, 4 positions, n next\n"
          "instrument, q quits. It only reads. When stdout is no terminal: one frame, as with --once.\n" ATTACH_HELP
          "  --once            one frame of all screens (with --screen: of that one)\n"
          "  --screen S        overview, ladder, blotter, positions\n"
          "  --instrument S    whose ladder (default: the first)\n\n"
          "examples:\n"
          "  hwal top\n"
          "  hwal top --once --screen blotter\n"
          "  hwal top --once --json | jq .overview.state\n",
          to);
    return to == stdout ? EXIT_OK : EXIT_USAGE;
}

/* ---- frames as JSON -------------------------------------------------------------------------------------------------- */
static const attach_instrument_t *ladder_of(const attach_t *a, const char *symbol)
{
    const attach_instrument_t *ins = symbol ? attach_symbol(a, symbol) : NULL;
    for (uint32_t i = 1; !ins && i <= a->instrument_max; i++) {
        ins = attach_instrument(a, i);
    }
    return ins;
}

/* own: open orders in one instrument. */
static json_t *own(const json_t *orders, const attach_instrument_t *ins)
{
    json_t *list = json_array(), *row;
    size_t  i;
    json_array_foreach(orders, i, row)
    {
        if (ins && json_integer_value(json_object_get(row, "instrument_id")) == ins->def.instrument_id) {
            json_array_append(list, row);
        }
    }
    return list;
}

static json_t *screen_json(attach_t *a, screen_t screen, const char *symbol)
{
    json_t *view = NULL, *more = NULL;
    switch (screen) {
    case SCREEN_OVERVIEW:
        view = view_status(a);
        more = view_lat(a, 0, false, 0);
        json_object_set(view, "histograms", json_object_get(more, "histograms"));
        json_decref(more);
        more = view_books(a, NULL, 1);
        json_object_set(view, "books", json_object_get(more, "books"));
        json_decref(more);
        more = view_positions(a);
        json_object_set(view, "accounts", json_object_get(more, "accounts"));
        json_decref(more);
        json_object_set_new(view, "alarms", view_events(a, VIEW_EVENT_ALARM, ALARMS));
        return view;
    case SCREEN_LADDER: {
        const attach_instrument_t *ins = ladder_of(a, symbol);
        view                           = ins ? view_books(a, ins, LADDER_LEVELS) : view_head(a);
        more                           = view_orders(a, false);
        json_object_set_new(view, "orders", own(json_object_get(more, "orders"), ins));
        json_object_set_new(view, "symbol", ins ? command_text(ins->symbol) : json_null());
        json_decref(more);
        return view;
    }
    case SCREEN_BLOTTER:
        view = view_orders(a, false);
        json_object_set_new(view, "executions", view_events(a, VIEW_EVENT_EXECUTION, EXECUTIONS));
        return view;
    default: return view_positions(a);
    }
}

static json_t *all_json(attach_t *a, const char *symbol)
{
    json_t *o = view_head(a);
    for (uint32_t s = 0; s < SCREEN_COUNT; s++) {
        json_object_set_new(o, screen_names[s], screen_json(a, (screen_t)s, symbol));
    }
    return o;
}

/* ---- frames as text -------------------------------------------------------------------------------------------------- */
static const column_t execution_columns[] = {
    {"seq", "seq", COLUMN_NUMBER},
    {"symbol", "Symbol", COLUMN_TEXT},
    {"exec_type", "ExecType", COLUMN_TEXT},
    {"ord_status", "OrdStatus", COLUMN_TEXT},
    {"side", "Side", COLUMN_TEXT},
    {"last_qty", "LastQty", COLUMN_NUMBER},
    {"last_px", "LastPx", COLUMN_NUMBER},
    {"cum_qty", "CumQty", COLUMN_NUMBER},
    {"leaves_qty", "LeavesQty", COLUMN_NUMBER},
    {"fee", "Fee", COLUMN_NUMBER},
    {"cl_ord_id", "ClOrdID", COLUMN_NUMBER},
};
static const column_t brief_columns[] = {
    {"role", "role", COLUMN_TEXT},
    {"pid", "pid", COLUMN_NUMBER},
    {"state", "state", COLUMN_STATE},
    {"heartbeat_age_ms", "heartbeat ms", COLUMN_NUMBER},
    {"restarts", "restarts", COLUMN_NUMBER},
    {"cpu_ms", "cpu ms", COLUMN_NUMBER},
    {"turn_max_ns", "longest turn ns", COLUMN_NUMBER},
};
static const column_t feed_columns[] = {
    {"symbol", "symbol", COLUMN_TEXT},   {"health", "health", COLUMN_STATE},  {"bid_px", "bid", COLUMN_NUMBER},
    {"ask_px", "ask", COLUMN_NUMBER},    {"spread", "spread", COLUMN_NUMBER}, {"last_px", "last", COLUMN_NUMBER},
    {"high_px", "high", COLUMN_NUMBER},  {"low_px", "low", COLUMN_NUMBER},    {"volume", "volume", COLUMN_NUMBER},
    {"age_ms", "age ms", COLUMN_NUMBER},
};
static const column_t money_columns[] = {
    {"account_id", "account", COLUMN_NUMBER}, {"ccy", "ccy", COLUMN_TEXT},
    {"state", "state", COLUMN_STATE},         {"equity", "equity", COLUMN_NUMBER},
    {"net_pnl", "net", COLUMN_SIGNED},        {"pnl_day", "day", COLUMN_SIGNED},
    {"drawdown", "drawdown", COLUMN_NUMBER},  {"open_orders", "open", COLUMN_NUMBER},
};
static const column_t alarm_columns[] = {
    {"seq", "seq", COLUMN_NUMBER},     {"kind", "alarm", COLUMN_STATE},
    {"symbol", "symbol", COLUMN_TEXT}, {"account_id", "account", COLUMN_NUMBER},
    {"code", "code", COLUMN_NUMBER},   {"cl_ord_id", "ClOrdID", COLUMN_NUMBER},
};
#define COLUMNS(list) (list), sizeof(list) / sizeof((list)[0])

static void head_text(FILE *to, const json_t *view, bool colour)
{
    const char *state = json_string_value(json_object_get(view, "state"));
    const char *name  = json_string_value(json_object_get(view, "instance"));
    char        age[32], utc[40];
    describe_time(role_utc_ns(), utc);
    utc[19] = '\0';
    table_cell("", json_object_get(view, "heartbeat_age_ms"), age, sizeof age);
    const bool stale = json_is_true(json_object_get(view, "stale"));
    fprintf(to, "%shwal %s%s%s%s  %s UTC  engine's heartbeat %s ms ago%s%s%s\n", colour ? TABLE_BOLD : "", name,
            colour ? TABLE_PLAIN : "", state ? "  " : "", state ? state : "", utc, age,
            stale && colour ? TABLE_ORANGE : "", stale ? "  STALE: this is what it left" : "",
            stale && colour ? TABLE_PLAIN : "");
}

static void overview_text(FILE *to, const json_t *view, bool colour)
{
    const json_t *kill = json_object_get(view, "kill"), *alarms = json_object_get(view, "alarms");
    if (json_array_size(kill) > 0) {
        fprintf(to, "%sKILLED: %zu kill words are set (hwal status)%s\n", colour ? TABLE_ORANGE : "",
                json_array_size(kill), colour ? TABLE_PLAIN : "");
    }
    table_title(to, "Roles", colour);
    table_text(to, COLUMNS(brief_columns), json_object_get(view, "roles"), colour);
    view_lanes_text(to, view, colour);
    table_title(to, "Accounts", colour);
    table_text(to, COLUMNS(money_columns), json_object_get(view, "accounts"), colour);
    table_title(to, "Books", colour);
    table_text(to, COLUMNS(feed_columns), json_object_get(view, "books"), colour);
    table_title(to, "Latency", colour);
    view_lat_text(to, view, colour);
    if (json_array_size(alarms) > 0) {
        table_title(to, "Alarms", colour);
        table_text(to, COLUMNS(alarm_columns), alarms, colour);
    }
}

static void screen_text(FILE *to, screen_t screen, const json_t *view, bool colour)
{
    head_text(to, view, colour);
    switch (screen) {
    case SCREEN_OVERVIEW: overview_text(to, view, colour); break;
    case SCREEN_LADDER:
        view_books_text(to, view, colour);
        table_title(to, "Own open orders here", colour);
        view_orders_text(to, view, colour);
        break;
    case SCREEN_BLOTTER:
        table_title(to, "Last executions", colour);
        table_text(to, COLUMNS(execution_columns), json_object_get(view, "executions"), colour);
        table_title(to, "Open orders", colour);
        view_orders_text(to, view, colour);
        break;
    default: view_positions_text(to, view, colour); break;
    }
}

/* ---- the terminal ---------------------------------------------------------------------------------------------------- */
static struct termios        before;
static volatile sig_atomic_t raw, interrupted;
static const char            restore_text[] = "\033[?7h\033[?25h\033[?1049l";

static void restore(void)
{
    if (raw) {
        raw = 0;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        const ssize_t n = write(STDOUT_FILENO, restore_text, sizeof restore_text - 1);
        (void)n;
    }
}

static void on_signal(int sig)
{
    interrupted = sig;
}

static void on_crash(int sig)
{
    restore(); /* tcsetattr and write may be called here */
    signal(sig, SIG_DFL);
    raise(sig);
}

static bool enter(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP}, crashes[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
    struct termios   t;
    if (tcgetattr(STDIN_FILENO, &before) != 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        signal(ends[i], on_signal);
    }
    for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++) {
        signal(crashes[i], on_crash);
    }
    t = before;
    t.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &t);
    raw = 1;
    fputs("\033[?1049h\033[?25l\033[?7l", stdout); /* alternate screen, no cursor, long lines are cut */
    return true;
}

/* paint: as many lines as the screen has, each cleared to its end, so nothing flickers. */
static void paint(const char *text)
{
    struct winsize size;
    unsigned       row = 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) {
        size.ws_row = 24;
    }
    fputs("\033[H", stdout);
    while (*text && row + 2 < size.ws_row) {
        const size_t n = strcspn(text, "\n");
        fwrite(text, 1, n, stdout);
        fputs("\033[K\r\n", stdout);
        text += n + (text[n] == '\n');
        row++;
    }
    fputs("\033[J", stdout);
    printf("\033[%u;1H1 overview  2 ladder  3 blotter  4 positions  n next instrument  q quit\033[K", size.ws_row);
    fflush(stdout);
}

static const char *next_symbol(const attach_t *a, const char *now)
{
    static char                out[12];
    const attach_instrument_t *ins = ladder_of(a, now);
    for (uint32_t i = 1; ins && i <= a->instrument_max; i++) {
        const uint32_t id = (ins->def.instrument_id - 1 + i) % a->instrument_max + 1;
        if (attach_instrument(a, id)) {
            snprintf(out, sizeof out, "%u", id); /* a symbol may be there twice */
            return out;
        }
    }
    return now;
}

static int interactive(const attach_args_t *args, attach_t *a, screen_t screen, const char *symbol)
{
    const bool colour = command_colour(stdout);
    bool       open   = true;
    if (!enter()) {
        attach_close(a);
        return command_error("top", EXIT_USAGE, "standard input is no terminal: use --once");
    }
    char instance[sizeof a->instance];
    snprintf(instance, sizeof instance, "%s", a->instance);
    for (char key = 0; key != 'q' && key != 3 && !interrupted;) {
        char  *text = NULL;
        size_t len  = 0;
        FILE  *to   = open_memstream(&text, &len);
        if (open && to) {
            json_t *view = screen_json(a, screen, symbol);
            screen_text(to, screen, view, colour);
            json_decref(view);
        } else if (to) {
            fprintf(to, "hwal %s: gone; waiting for it to come back\n", instance);
        }
        if (to) {
            fclose(to);
            paint(text);
        }
        free(text);
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        key              = 0;
        if (poll(&in, 1, FRAME_MS) > 0 && read(STDIN_FILENO, &key, 1) <= 0) {
            break;
        }
        screen = key >= '1' && key < '1' + SCREEN_COUNT ? (screen_t)(key - '1') : screen;
        symbol = key == 'n' && open ? next_symbol(a, symbol) : symbol;
        if (open) {
            attach_close(a);
        }
        open = attach_open(a, instance, args->uid) == ERR_OK; /* roles start anew: each frame looks again */
    }
    restore();
    return open ? attach_end("top", a) : EXIT_NOT_RUNNING;
}

static int once(attach_t *a, bool json, int screen, const char *symbol)
{
    const bool colour = command_colour(stdout);
    if (json) {
        json_t *view = screen < 0 ? all_json(a, symbol) : screen_json(a, (screen_t)screen, symbol);
        table_json(stdout, view);
        json_decref(view);
        return attach_end("top", a);
    }
    for (int s = 0; s < SCREEN_COUNT; s++) {
        if (screen < 0 || screen == s) {
            json_t *view = screen_json(a, (screen_t)s, symbol);
            if (s > 0 && screen < 0) {
                printf("\n---- %s ----\n", screen_names[s]);
            }
            screen_text(stdout, (screen_t)s, view, colour);
            json_decref(view);
        }
    }
    return attach_end("top", a);
}

int command_top(int argc, char **argv)
{
    static const struct option options[] = {
        ATTACH_OPTIONS, {"screen", required_argument, NULL, 's'}, {"instrument", required_argument, NULL, 'i'}, {0}};
    attach_args_t   args;
    static attach_t a;
    int             screen = -1;
    const char     *symbol = NULL;
    attach_args(&args);
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'h') {
            return usage(stdout);
        }
        if (c == 's') {
            for (int s = 0; s < SCREEN_COUNT; s++) {
                screen = strcmp(optarg, screen_names[s]) == 0 ? s : screen;
            }
            if (screen < 0) {
                return command_error("top", EXIT_USAGE, "--screen %s: there are overview, ladder, blotter, positions",
                                     optarg);
            }
        } else if (c == 'i') {
            symbol = optarg;
        } else if (!attach_option(&args, c)) {
            return command_unknown("top", argv);
        }
    }
    if (optind < argc) {
        return command_error("top", EXIT_USAGE, "%s: takes no argument (--help)", argv[optind]);
    }
    const int rc = attach_begin("top", &args, &a);
    if (rc != EXIT_OK) {
        return rc;
    }
    if (symbol && !attach_symbol(&a, symbol)) {
        attach_close(&a);
        return command_error("top", EXIT_USAGE, "%s", err_msg());
    }
    return args.json || args.once || !isatty(STDOUT_FILENO)
               ? once(&a, args.json, screen, symbol)
               : interactive(&args, &a, screen < 0 ? SCREEN_OVERVIEW : (screen_t)screen, symbol);
}
