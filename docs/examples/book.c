/* book: the best ten levels of a symbol, refreshed five times a second until interrupted.
 *
 *     cc book.c -o book $(pkg-config --cflags --libs hwal) && ./book BTCUSDT [--once] [--instance NAME]
 *
 * The engine publishes the best 20 levels of each side as a record: one copy of it is one consistent book, whatever
 * happens meanwhile. Exit 0, 1 (no such thing, said on stderr), 2 (usage), 4 (the engine is silent: an old book is not printed). */
#include <hwal/hwal.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LEVELS 10u

static void side(const hwal_instrument_t *ins, const level_t *level, int there)
{
    char px[HWAL_DECIMAL_MAX], qty[HWAL_DECIMAL_MAX];
    printf("%18s %18s", there ? hwal_qty_format(ins, level->qty, qty) : "",
           there ? hwal_px_format(ins, level->px, px) : "");
}

static int show(hwal_t *h, const hwal_instrument_t *ins)
{
    hwal_message_t m;
    if (hwal_record(h, HWAL_BOOKS, ins->def.instrument_id - 1, &m) != HWAL_OK || m.type != MSG_BOOK_UPDATE) {
        return 0; /* no book yet, or it is just being written: next time */
    }
    const book_update_t *book = (const book_update_t *)m.body;
    const level_t       *bids = (const level_t *)m.tail, *asks = bids + book->bid_count; /* best first */
    if (isatty(1)) {
        printf("\033[H\033[2J");
    }
    printf("%s  version %llu\n%18s %18s | %18s %18s\n", ins->symbol, (unsigned long long)m.seq, "bid qty", "bid",
           "ask qty", "ask");
    for (unsigned i = 0; i < LEVELS && (i < book->bid_count || i < book->ask_count); i++) {
        side(ins, bids + i, i < book->bid_count);
        printf(" | ");
        side(ins, asks + i, i < book->ask_count);
        printf("\n");
    }
    fflush(stdout);
    return 1;
}

int main(int argc, char **argv)
{
    const char *symbol = NULL, *instance = NULL;
    int         once = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--once") == 0) {
            once = 1;
        } else if (strcmp(argv[i], "--instance") == 0 && i + 1 < argc) {
            instance = argv[++i];
        } else {
            symbol = argv[i];
        }
    }
    if (!symbol) {
        fprintf(stderr, "usage: book SYMBOL [--once] [--instance NAME]\n");
        return 2;
    }
    hwal_instrument_t ins;
    hwal_t           *h = hwal_attach(instance, NULL);
    if (!h || hwal_symbol(h, symbol, &ins) != HWAL_OK) {
        fprintf(stderr, "book: %s\n", hwal_error());
        hwal_detach(h);
        return 1;
    }
    for (;;) {
        hwal_again(h); /* after a restart the records are in new memory */
        if (hwal_stale(h)) {
            fprintf(stderr, "book: the engine of %s is silent\n", hwal_instance(h));
            hwal_detach(h);
            return 4;
        }
        if (show(h, &ins) && once) {
            break;
        }
        usleep(200000);
    }
    hwal_detach(h);
    return 0;
}
