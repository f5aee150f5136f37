#include "ipc/role_table.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ipc/words_copy.h"

#define BODY offsetof(role_row_t, pid) /* behind the lock; status goes with the lock's word by itself */
#define TRIES 1000

_Static_assert(BODY == 8, "copied in words of 8");

err_t role_table_read(const role_table_t *table, role_t role, role_row_t *out)
{
    const role_row_t *row = &table->rows[role];
    for (int i = 0; i < TRIES; i++) {
        const uint32_t before = __atomic_load_n(&row->lock, __ATOMIC_ACQUIRE); /* pairs with the writer's release */
        out->status           = __atomic_load_n(&row->status, __ATOMIC_RELAXED);
        words_copy((uint8_t *)out + BODY, (const uint8_t *)row + BODY, sizeof *row - BODY);
        words_fence_acquire();
        if (!(before & 1) && __atomic_load_n(&row->lock, __ATOMIC_RELAXED) == before) {
            out->lock = before;
            return ERR_OK;
        }
    }
    return err_set(ERR_AGAIN, "role table: the row of %s is half written: its supervisor died there",
                   topology_role_name(role));
}

void role_table_write(role_table_t *table, role_t role, const role_row_t *in)
{
    role_row_t    *row  = &table->rows[role];
    const uint32_t lock = row->lock;
    __atomic_store_n(&row->lock, lock + 1, __ATOMIC_RELAXED);
    words_fence_release();
    __atomic_store_n(&row->status, in->status, __ATOMIC_RELAXED);
    words_copy((uint8_t *)row + BODY, (const uint8_t *)in + BODY, sizeof *row - BODY);
    __atomic_store_n(&row->lock, lock + 2, __ATOMIC_RELEASE);
}

/* Field 22 of /proc/pid/stat; field 2 is the name in brackets, which may hold anything, so count from the last one. */
int64_t role_start_ticks(int32_t pid)
{
    char path[32], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "re");
    if (!f) {
        return 0;
    }
    const size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n]       = '\0';
    const char *c = strrchr(text, ')');
    if (!c || c[1] != ' ' || c[2] == 'Z' || c[2] == 'X') { /* a zombie has ended */
        return 0;
    }
    for (int field = 2; c && field < 22; field++) {
        c = strchr(c + 1, ' ');
    }
    long long ticks = 0;
    return c && sscanf(c, "%lld", &ticks) == 1 ? ticks : 0;
}

bool role_alive(const role_row_t *row)
{
    return row->pid > 0 && row->pid_start_ticks != 0 && role_start_ticks(row->pid) == row->pid_start_ticks;
}

const char *role_status_str(uint32_t status)
{
    static const char *const names[] = {"NONE", "STARTING", "RUNNING", "BACKOFF", "STOPPED", "FAILED"};
    return status < sizeof names / sizeof names[0] ? names[status] : "UNKNOWN";
}
