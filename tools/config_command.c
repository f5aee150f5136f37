/* hwal config: check a file, or show every setting in force. */
#include <string.h>

#include "tools/command.h"
#include "tools/config.h"
#include "tools/sizes.h"
#include "tools/table.h"

static int usage(FILE *to)
{
    fputs(
        "usage: hwal config check [--json] [FILE...]\n"
        "       hwal config show [FILE]\n\n"
        "check reads configuration files (default configs/demo.yaml and configs/instruments.yaml) and says what is "
        "wrong,\n"
        "with file, line, key and limit. A file whose first key is `instruments` is an instruments file. For one with\n"
        "accounts it says what a live instance takes of memory, and one more instrument, order and account (--json: "
        "an\n"
        "object a file).\n"
        "show prints every setting in force, with its range: defaults, then FILE, then HWAL_<SECTION>_<KEY>.\n\n"
        "examples:\n"
        "  hwal config check configs/demo.yaml\n"
        "  HWAL_MARKET_RATE=50000 hwal config show\n",
        to);
    return to == stdout ? EXIT_OK : EXIT_USAGE;
}

static bool lists_instruments(const char *file)
{
    char  line[512];
    bool  found = false;
    FILE *f     = fopen(file, "re");
    while (f && !found && fgets(line, sizeof line, f)) {
        found = strncmp(line, "instruments:", 12) == 0;
    }
    if (f) {
        fclose(f);
    }
    return found;
}

static int check(const char *file, bool json)
{
    sizes_t               sizes;
    config_t             *config = NULL;
    config_instruments_t *list   = NULL;
    const err_t err   = lists_instruments(file) ? config_instruments_load(file, &list) : config_load(file, &config);
    const bool  live  = !err && config && config->accounts_count > 0;
    const err_t sized = live ? sizes_of(config, &sizes) : ERR_OK;
    config_instruments_free(list);
    config_free(config);
    if (err || sized) {
        return command_error("config", EXIT_FINDING, "%s", err_msg());
    }
    if (json) {
        json_t *o =
            json_pack("{s:s, s:b, s:o}", "file", file, "ok", 1, "memory", live ? sizes_json(&sizes) : json_null());
        json_dumpf(o, stdout, JSON_COMPACT);
        fputc('\n', stdout);
        json_decref(o);
        return EXIT_OK;
    }
    printf("%s: ok\n", file);
    if (live) {
        sizes_print(&sizes, stdout);
    }
    return EXIT_OK;
}

int command_config(int argc, char **argv)
{
    bool json = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0 && i > 1 && strcmp(argv[1], "check") == 0) {
            json = true;
            memmove(&argv[i], &argv[i + 1], (size_t)(argc - i) * sizeof *argv);
            i--;
            argc--;
            continue;
        }
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return usage(stdout);
        }
        if (argv[i][0] == '-') {
            return command_error("config", EXIT_USAGE, "%s: no such option (--help)", argv[i]);
        }
    }
    if (argc >= 2 && strcmp(argv[1], "check") == 0) {
        static const char *const defaults[] = {"demo.yaml", "instruments.yaml"};
        char                     path[4096];
        int                      rc = EXIT_OK;
        for (int i = 2; i < argc; i++) {
            const int one = check(argv[i], json);
            rc            = one ? one : rc;
        }
        for (int i = 0; argc == 2 && i < 2; i++) {
            const int one = config_path(defaults[i], path, sizeof path)
                                ? check(path, json)
                                : command_error("config", EXIT_FINDING, "configs/%s: not found", defaults[i]);
            rc            = one ? one : rc;
        }
        return rc;
    }
    if ((argc == 2 || argc == 3) && strcmp(argv[1], "show") == 0) {
        config_t *config = NULL;
        if (config_load(argc == 3 ? argv[2] : NULL, &config) != ERR_OK) {
            return command_error("config", EXIT_FINDING, "%s", err_msg());
        }
        config_print(config);
        config_free(config);
        return EXIT_OK;
    }
    return usage(stderr);
}
