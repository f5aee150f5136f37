/* tail: every message of a ring of a live engine, as JSON, and what was lost.
 *
 *     cc tail.c -o tail $(pkg-config --cflags --libs hwal) && ./tail [RING [COUNT [INSTANCE]]] */
#include <hwal/hwal.h>

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int64_t        left = -1; /* for ever */
    const int      bad  = argc > 2 && hwal_decimal_parse(argv[2], 0, &left);
    hwal_t        *h = bad ? NULL : hwal_attach(argc > 3 ? argv[3] : NULL, NULL); /* NULL: yours, the one that lives */
    hwal_sub_t    *sub = h ? hwal_subscribe(h, argc > 1 ? argv[1] : "ev", NULL) : NULL; /* from the oldest on */
    hwal_message_t m;
    char           text[16384];
    while (sub && left != 0) {
        const hwal_err_t err = hwal_next(sub, &m);
        if (err == HWAL_EMPTY && fflush(stdout) == 0 && hwal_again(h) == 0) { /* nothing new */
            usleep(10000);
        } else if (err == HWAL_OK && hwal_json(&m, text, sizeof text, NULL) == HWAL_OK) {
            printf("%" PRIu64 " %s %s\n", m.seq, hwal_type_name(m.type), text);
            left--;
        } else if (err == HWAL_GAP || err == HWAL_RESTART) {
            printf("%s: lost %" PRIu64 "\n", hwal_err_name(err), m.lost_to + 1 - m.lost_from);
        }
    }
    return left == 0 ? 0 : (fprintf(stderr, "tail: %s\n", hwal_error()), 1);
}
