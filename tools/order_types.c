/* hwal order types: what each venue does itself, and what the engine does for it. */
#include <string.h>

#include "core/ref/capability.h"
#include "tools/command.h"
#include "tools/views.h"

#define VENUES_MAX 63u /* RISK_VENUES_MAX */

static int usage(FILE *to)
{
    fputs("usage: hwal order types [OPTIONS]\n\n"
          "Order types, times in force and features: native = the venue does it, engine = we do it for the venue, "
          "- = not to be\n"
          "had. default: a venue that has said nothing; the others as they told a live instance.\n\n" ATTACH_HELP,
          to);
    return to == stdout ? EXIT_OK : EXIT_USAGE;
}

/* One venue's words as a column of the rows. */
static void put_venue(json_t *rows, const char *key, const venue_def_t *def)
{
    capability_row_t row;
    for (uint32_t i = 0; capability_row(def, i, &row); i++) {
        json_t *o = json_array_get(rows, i);
        if (!o) {
            o = json_object();
            json_object_set_new(o, "group", json_string(row.group));
            json_object_set_new(o, "name", json_string(row.name));
            json_object_set_new(o, "note", json_string(row.note));
            json_array_append_new(rows, o);
        }
        json_object_set_new(o, key, json_string(capability_how_str(row.how)));
    }
}

static uint32_t put_live(attach_t *a, json_t *rows, char (*keys)[16])
{
    records_reader_t reader;
    attach_message_t m;
    uint32_t         n = 0;
    if (!attach_records(a, RECORD_ID_VENUES, &reader)) {
        return 0;
    }
    for (uint32_t i = 0; i < reader.count && i < VENUES_MAX; i++) {
        if (attach_record(a, &reader, i, &m) == ERR_OK && m.msg.type == MSG_VENUE_DEF) {
            snprintf(keys[n], sizeof keys[n], "venue %u", i + 1);
            put_venue(rows, keys[n++], m.msg.body);
        }
    }
    return n;
}

int command_order_types(int argc, char **argv)
{
    static const struct option options[] = {ATTACH_OPTIONS, {0}};
    static char                keys[VENUES_MAX][16];
    column_t                   columns[4 + VENUES_MAX] = {
                          {"group", "group", COLUMN_TEXT}, {"name", "name", COLUMN_TEXT}, {"default", "default", COLUMN_TEXT}};
    attach_args_t args;
    attach_t      a;
    char          instance[40], list[1024];
    uint32_t      n    = 0;
    json_t       *rows = json_array();
    attach_args(&args);
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'h' || !attach_option(&args, c)) {
            json_decref(rows);
            return c == 'h' ? usage(stdout) : command_unknown("order", argv);
        }
    }
    put_venue(rows, "default", NULL);
    attach_which(args.uid, args.instance, false, instance, list, sizeof list);
    if (attach_open(&a, instance, args.uid) == ERR_OK) { /* nothing runs: the default is an answer as well */
        n = put_live(&a, rows, keys);
        attach_close(&a);
    }
    for (uint32_t i = 0; i < n; i++) {
        columns[3 + i] = (column_t){keys[i], keys[i], COLUMN_TEXT};
    }
    columns[3 + n] = (column_t){"note", "how", COLUMN_TEXT};
    if (args.json) {
        json_t *o = json_object();
        json_object_set(o, "types", rows);
        table_json(stdout, o);
        json_decref(o);
    } else {
        table_text(stdout, columns, 4 + n, rows, command_colour(stdout));
    }
    json_decref(rows);
    return EXIT_OK;
}
