#include "tools/oracle.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static err_t push(oracle_quote_t **list, size_t *count, size_t *cap, const oracle_quote_t *item)
{
    if (*count == *cap) {
        const size_t    grown = *cap ? *cap * 2 : 4096;
        oracle_quote_t *moved = realloc(*list, grown * sizeof *moved);
        if (!moved) {
            return err_set(ERR_LIMIT, "oracle: out of memory at %zu quotes", *count);
        }
        *list = moved;
        *cap  = grown;
    }
    (*list)[(*count)++] = *item;
    return ERR_OK;
}

err_t oracle_quote(oracle_t *oracle, const oracle_quote_t *quote)
{
    return push(&oracle->quotes, &oracle->quote_count, &oracle->quote_cap, quote);
}

err_t oracle_book(oracle_t *oracle, const oracle_quote_t *best)
{
    return push(&oracle->books, &oracle->book_count, &oracle->book_cap, best);
}

static int by_id(const void *a, const void *b)
{
    const uint64_t x = ((const oracle_quote_t *)a)->id, y = ((const oracle_quote_t *)b)->id;
    return (x > y) - (x < y);
}

static bool same(const oracle_quote_t *a, const oracle_quote_t *b)
{
    return a->bid_px == b->bid_px && a->bid_qty == b->bid_qty && a->ask_px == b->ask_px && a->ask_qty == b->ask_qty;
}

oracle_result_t oracle_compare(oracle_t *oracle)
{
    oracle_result_t result = {0};
    size_t          q      = 0;
    if (oracle->quote_count == 0) {
        return result;
    }
    qsort(oracle->quotes, oracle->quote_count, sizeof *oracle->quotes, by_id);
    for (size_t b = 0; b < oracle->book_count; b++) { /* applied diffs come in rising order of id */
        const oracle_quote_t *book = &oracle->books[b];
        if (oracle->quotes[0].id > book->id) {
            continue;
        }
        while (q + 1 < oracle->quote_count && oracle->quotes[q + 1].id <= book->id) {
            q++;
        }
        result.checked++;
        if (!same(book, &oracle->quotes[q])) {
            result.mismatched++;
            result.first_mismatch_id = result.first_mismatch_id ? result.first_mismatch_id : book->id;
        }
    }
    return result;
}

void oracle_free(oracle_t *oracle)
{
    free(oracle->quotes);
    free(oracle->books);
    memset(oracle, 0, sizeof *oracle);
}
