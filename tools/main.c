/* hwal: one binary, a sub-command each. This file holds the table of commands and nothing else. */
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "ipc/version.h"
#include "tools/command.h"

static const struct {
    const char *name;
    int (*main)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"run", command_run, "trade a generated market with the built-in venue and print a summary"},
    {"replay", command_replay, "feed recorded captures through book, strategy, risk and a simulated venue"},
    {"record", command_record, "a live instance or captures into a recording; export, info, verify of it"},
    {"status", command_status, "state of a live instance: roles, rings, journal, kill words"},
    {"top", command_top, "its screens, redrawn: overview, ladder, blotter, positions"},
    {"tail", command_tail, "its newest events, and what follows"},
    {"books", command_books, "its order books"},
    {"order", command_order, "send, change, cancel an order of any type; what became of it; which types there are"},
    {"orders", command_orders, "its open orders"},
    {"positions", command_positions, "its accounts, positions, profit and loss"},
    {"feeds", command_feeds, "its market data: health, age, rates, losses"},
    {"lat", command_lat, "its latencies"},
    {"metrics", command_metrics, "all its numbers for a monitoring system: Prometheus text, JSON"},
    {"limits", command_limits, "risk limits: get, set, compare, history; overrides with four eyes"},
    {"kill", command_kill, "stop trading in a scope: global, tenant, account, strategy, instrument, venue"},
    {"operate", command_operate, "what waits for a person: settle, lift a latch, enable a strategy"},
    {"alerts", command_alerts, "what a person must see; acknowledge it"},
    {"audit", command_audit, "who changed what, and why; export with a hash chain, verify"},
    {"postmortem", command_postmortem, "what an instance left, dead or alive"},
    {"segments", command_segments, "shared memory: list it, remove what the dead left"},
    {"doctor", command_doctor, "what this machine gives, and what it withholds"},
    {"journal", command_journal, "print, verify or compare journals"},
    {"config", command_config, "check a configuration file, or show the settings in force"},
    {"bench", bench_main, "measure: books, risk, shared memory, the path from captured line to order"},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static int usage(FILE *to)
{
    fprintf(to, "hwal %s (%s, %s): low-latency in-memory trading engine\n\nusage: hwal COMMAND [OPTIONS]\n\n",
            HWAL_VERSION, version_build_id(), version_profile());
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
    }
    fprintf(to, "\n  hwal COMMAND --help shows options and examples; hwal --version the build.\n");
    return to == stdout ? EXIT_OK : EXIT_USAGE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        return usage(stderr);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        return usage(stdout);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("hwal %s %s %s %s\n", HWAL_VERSION, version_build_id(), version_profile(), version_compiler());
        return EXIT_OK;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            const int rc = commands[i].main(argc - 1, argv + 1);
            if (fflush(stdout) != 0 || ferror(stdout)) {
                return command_error(argv[1], EXIT_FINDING, "standard output could not be written");
            }
            return rc;
        }
    }
    fprintf(stderr, "hwal: no command \"%s\"\n\n", argv[1]);
    return usage(stderr);
}
