/* Reading a journal. One direction, a block at a time through a window of the file; records are copied into a batch,
 * which is delivered when it is whole. Everything that ends the walk comes to finish() once: there it is decided
 * whether this is where the writer stopped, or damage. */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <isa-l/mem_routines.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/journal_private.h"

#define WINDOW_BYTES (1u << 20)

typedef enum file_state { FILE_SPARE = 0, FILE_BEGUN, FILE_DAMAGED } file_state_t;

typedef struct file {
    int                 fd;
    file_state_t        state;
    uint64_t            number;
    uint64_t            size;
    journal_file_page_t page; /* BEGUN */
} file_t;

typedef struct item { /* a record of the batch */
    journal_entry_t entry;
    size_t          at; /* in batch_bytes */
} item_t;

struct journal_reader {
    journal_id_t id;
    file_t      *files;
    uint32_t     file_count;
    uint32_t     file; /* index of the one being read */
    uint8_t     *window;
    uint32_t     window_cap;
    uint64_t     window_at;
    uint32_t     window_len;  /* 0 = empty */
    uint32_t     window_file; /* index */

    journal_pos_t  pos;          /* where the current block begins, or the next one when there is none */
    const uint8_t *block;        /* in the window; NULL = none */
    uint32_t       block_at;     /* next record in it */
    uint32_t       block_end;    /* of the records that may be used */
    uint32_t       block_bytes;  /* 0 when not even its head is good */
    bool           damaged;      /* the current block is, although its head is good: it is the last one */
    uint64_t       damaged_last; /* its last record by that head */
    char           reason[160];

    uint64_t number;   /* of the last record taken */
    uint64_t missing;  /* reading stopped: who calls this record durable says that it is damage */
    uint64_t done;     /* of the last record of the last whole batch */
    uint64_t sequence; /* of that batch */
    uint64_t skip;     /* deliver batches above this engine sequence only */

    item_t  *items; /* the batch */
    uint8_t *batch_bytes;
    size_t   batch_len, batch_cap;
    uint32_t item_count, item_cap, item_next;
    bool     partial; /* its end is not there yet */

    journal_pos_t batch_pos;  /* the block in which the batch begins, ... */
    uint32_t      batch_keep; /* ... and how far into it */

    err_t           stop;
    char            fault[512];
    uint8_t        *keep;
    journal_end_t   end;
    journal_stats_t stats;
};

static const char *file_name(const file_t *file)
{
    static _Thread_local char name[32];
    journal_file_name(file->number, name);
    return name;
}

/* ---- bytes -------------------------------------------------------------------------------------------------------- */
/* read_at: bytes of a file from offset on; what lies behind its end reads as zeros. Offset, bytes and memory are
 * multiples of a block, so that a descriptor for direct I/O serves as well. */
static err_t read_at(const file_t *file, uint64_t offset, uint8_t *to, uint32_t bytes)
{
    uint32_t got = 0;
    while (got < bytes) {
        const ssize_t n = pread(file->fd, to + got, bytes - got, (off_t)(offset + got));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_set(ERR_IO, "%s, offset %llu: %s", file_name(file), (unsigned long long)(offset + got),
                           strerror(errno));
        }
        got += (uint32_t)n;
        if (n == 0 || got % JOURNAL_BLOCK_BYTES != 0) {
            break; /* the end of the file */
        }
    }
    memset(to + got, 0, bytes - got);
    return ERR_OK;
}

/* look: bytes [offset, offset + bytes) of a file, in the window; what look gave before is gone. */
static err_t look(journal_reader_t *r, uint32_t file, uint64_t offset, uint32_t bytes, uint8_t **out)
{
    assert(offset % JOURNAL_BLOCK_BYTES == 0 && bytes <= r->window_cap);
    if (r->window_len == 0 || r->window_file != file || offset < r->window_at ||
        offset + bytes > r->window_at + r->window_len) {
        const uint64_t size = r->files[file].size;
        const uint64_t left =
            size > offset ? (size - offset + JOURNAL_BLOCK_BYTES - 1) & ~(JOURNAL_BLOCK_BYTES - 1ull) : 0;
        const uint32_t len = left > r->window_cap ? r->window_cap : left > bytes ? (uint32_t)left : bytes;
        r->window_len      = 0;
        const err_t err    = read_at(&r->files[file], offset, r->window, len);
        if (err != ERR_OK) {
            return err;
        }
        r->window_at   = offset;
        r->window_len  = len;
        r->window_file = file;
    }
    *out = r->window + (offset - r->window_at);
    return ERR_OK;
}

static bool is_zero(void *bytes, size_t len)
{
    return isal_zero_detect(bytes, len) == 0;
}

/* ---- opening ------------------------------------------------------------------------------------------------------ */
static err_t open_file(file_t *file, uint8_t *page)
{
    struct stat st;
    if (fstat(file->fd, &st) != 0) {
        return err_set(ERR_IO, "%s: %s", file_name(file), strerror(errno));
    }
    file->size      = (uint64_t)st.st_size;
    const err_t err = read_at(file, 0, page, JOURNAL_BLOCK_BYTES);
    if (err != ERR_OK) {
        return err;
    }
    memcpy(&file->page, page, sizeof file->page);
    if (is_zero(page, JOURNAL_BLOCK_BYTES)) {
        file->state = FILE_SPARE;
    } else if (file->page.magic == JOURNAL_MAGIC && file->page.crc == journal_file_crc(&file->page) &&
               is_zero(page + sizeof file->page, JOURNAL_BLOCK_BYTES - sizeof file->page)) {
        file->state = FILE_BEGUN;
    } else {
        file->state = FILE_DAMAGED;
    }
    return ERR_OK;
}

static err_t differs(const file_t *file, const char *what, uint64_t is, uint64_t want)
{
    return err_set(ERR_UNSUPPORTED, "%s: %s is %016llx, here it must be %016llx", file_name(file), what,
                   (unsigned long long)is, (unsigned long long)want);
}

static err_t check_id(const file_t *file, const journal_id_t *id)
{
    const journal_file_page_t *page = &file->page;
    if (page->version != JOURNAL_VERSION) {
        return differs(file, "version of the format", page->version, JOURNAL_VERSION);
    }
    if (page->session != id->session) {
        return differs(file, "session", page->session, id->session);
    }
    if (page->core_version != id->core_version) {
        return differs(file, "core version", page->core_version, id->core_version);
    }
    if (page->config_hash != id->config_hash) {
        return differs(file, "hash of the configuration", page->config_hash, id->config_hash);
    }
    if (page->file_number != file->number) {
        return err_set(ERR_PARSE, "%s: its head says that it is file %llu", file_name(file),
                       (unsigned long long)page->file_number);
    }
    return page->bytes >= 2 * JOURNAL_BLOCK_BYTES && page->bytes % JOURNAL_BLOCK_BYTES == 0
               ? ERR_OK
               : err_set(ERR_PARSE, "%s: %llu bytes by its head", file_name(file), (unsigned long long)page->bytes);
}

static void start_file(journal_reader_t *r, uint32_t index)
{
    const journal_file_page_t *page = &r->files[index].page;
    r->file                         = index;
    r->pos = (journal_pos_t){.file_number = page->file_number, .offset = JOURNAL_BLOCK_BYTES, .record = page->record};
    memcpy(r->pos.chain, page->chain, sizeof r->pos.chain);
    r->number      = page->record;
    r->done        = page->record;
    r->sequence    = page->sequence;
    r->end.epoch   = page->epoch;
    r->end.life    = page->life;
    r->stats.files = 1;
}

static err_t check_files(journal_reader_t *r, const journal_id_t *id)
{
    uint32_t begun = 0;
    for (uint32_t i = 0; i < r->file_count; i++) {
        const file_t *file = &r->files[i];
        if (i > 0 && file->number != file[-1].number + 1) {
            return err_set(ERR_GAP, "journal: file %llu is missing, the next one there is %llu",
                           (unsigned long long)file[-1].number + 1, (unsigned long long)file->number);
        }
        if (file->state == FILE_BEGUN && begun++ == 0) {
            const journal_file_page_t *page = &file->page;
            r->id                           = id != NULL ? *id
                                                         : (journal_id_t){.session      = page->session,
                                                                          .config_hash  = page->config_hash,
                                                                          .core_version = page->core_version};
        }
        const err_t err = file->state == FILE_BEGUN ? check_id(file, &r->id) : ERR_OK;
        if (err != ERR_OK) {
            return err;
        }
    }
    const file_t *first = r->files;
    if (r->file_count == 0 || (begun == 0 && first->state == FILE_SPARE)) {
        return err_set(ERR_NOT_FOUND, "journal: no file has been begun");
    }
    if (first->state != FILE_BEGUN) {
        return err_set(ERR_PARSE, "%s, offset 0: head of the file: %s", file_name(first),
                       first->state == FILE_SPARE ? "all zeros, but later files have been begun" : "damaged");
    }
    journal_pos_t pos;
    journal_pos_first(&pos, &r->id);
    if (first->number == 1 &&
        (first->page.record != 0 || memcmp(first->page.chain, pos.chain, sizeof pos.chain) != 0)) {
        return err_set(ERR_PARSE, "%s: the first file does not begin a journal", file_name(first));
    }
    return ERR_OK;
}

err_t journal_open(const int *fds, const uint64_t *numbers, uint32_t count, const journal_id_t *id,
                   journal_reader_t **out)
{
    *out = NULL;
    if (count > JOURNAL_FILES_MAX) {
        return err_set(ERR_LIMIT, "journal: %u files, limit %u", count, JOURNAL_FILES_MAX);
    }
    journal_reader_t *r = calloc(1, sizeof *r);
    assert(r != NULL);
    r->files = calloc(count + 1, sizeof *r->files);
    assert(r->files != NULL);
    _Alignas(JOURNAL_BLOCK_BYTES) uint8_t page[JOURNAL_BLOCK_BYTES];
    err_t                                 err = ERR_OK;
    r->window_cap                             = JOURNAL_BLOCK_MAX;
    for (uint32_t i = 0; err == ERR_OK && i < count; i++) {
        file_t *file = &r->files[r->file_count++];
        *file        = (file_t){.fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 3), .number = numbers[i]};
        err          = open_file(file, page);
        if (file->size > JOURNAL_BLOCK_MAX) {
            r->window_cap = WINDOW_BYTES;
        }
    }
    r->window = aligned_alloc(JOURNAL_BLOCK_BYTES, r->window_cap);
    assert(r->window != NULL);
    err = err == ERR_OK ? check_files(r, id) : err;
    if (err != ERR_OK) {
        journal_close(r);
        return err;
    }
    start_file(r, 0);
    *out = r;
    return ERR_OK;
}

static int by_number(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

err_t journal_open_dir(const char *dir, const journal_id_t *id, journal_reader_t **out)
{
    uint64_t numbers[JOURNAL_FILES_MAX];
    int      fds[JOURNAL_FILES_MAX];
    uint32_t count = 0, opened = 0;
    err_t    err = ERR_OK;
    *out         = NULL;
    DIR *d       = opendir(dir);
    if (d == NULL) {
        return err_set(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", dir, strerror(errno));
    }
    for (const struct dirent *entry; (entry = readdir(d)) != NULL;) {
        const uint64_t number = journal_file_number(entry->d_name);
        if (number != 0 && count == JOURNAL_FILES_MAX) {
            err = err_set(ERR_LIMIT, "%s: more than %u journal files", dir, JOURNAL_FILES_MAX);
        } else if (number != 0) {
            numbers[count++] = number;
        }
    }
    qsort(numbers, count, sizeof numbers[0], by_number);
    for (; err == ERR_OK && opened < count; opened++) {
        char name[32];
        journal_file_name(numbers[opened], name);
        fds[opened] = openat(dirfd(d), name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fds[opened] < 0) {
            err = err_set(ERR_IO, "%s/%s: %s", dir, name, strerror(errno));
            break;
        }
    }
    err = err == ERR_OK ? journal_open(fds, numbers, count, id, out) : err;
    while (opened > 0) {
        close(fds[--opened]);
    }
    closedir(d);
    return err == ERR_OK || err == ERR_IO ? err : err_wrap(err, "%s", dir);
}

void journal_close(journal_reader_t *r)
{
    if (r == NULL) {
        return;
    }
    for (uint32_t i = 0; i < r->file_count; i++) {
        if (r->files[i].fd >= 0) {
            close(r->files[i].fd);
        }
    }
    free(r->files);
    free(r->window);
    free(r->items);
    free(r->batch_bytes);
    free(r->keep);
    free(r);
}

const journal_id_t *journal_id(const journal_reader_t *reader)
{
    return &reader->id;
}
const journal_end_t *journal_end(const journal_reader_t *reader)
{
    return &reader->end;
}
const journal_stats_t *journal_stats(const journal_reader_t *reader)
{
    return &reader->stats;
}

err_t journal_seek(journal_reader_t *r, uint64_t sequence)
{
    uint32_t from = 0;
    assert(r->number == r->files[0].page.record && r->stop == ERR_OK);
    if (r->files[0].page.sequence > sequence) {
        return err_set(ERR_GAP, "%s: the journal begins behind sequence %llu, wanted from behind %llu",
                       file_name(&r->files[0]), (unsigned long long)r->files[0].page.sequence,
                       (unsigned long long)sequence);
    }
    for (uint32_t i = 1; i < r->file_count; i++) {
        if (r->files[i].state == FILE_BEGUN && r->files[i].page.sequence <= sequence) {
            from = i;
        }
    }
    start_file(r, from);
    r->skip = sequence;
    return ERR_OK;
}

/* ---- the end ------------------------------------------------------------------------------------------------------ */
typedef struct rest { /* what lies behind the place where reading stopped */
    uint64_t dirty_bytes;
    uint32_t dirty_file; /* index and offset of the first page that is not all zeros */
    uint64_t dirty_at;
    bool     durable; /* something there says that what is missing was on the disk for good */
    uint32_t durable_file;
    uint64_t durable_at;
} rest_t;

/* A block that is good in itself, and later than what was read. The window moves. */
static bool good_block(journal_reader_t *r, uint32_t file, uint64_t offset, journal_block_page_t *page)
{
    uint8_t *at;
    uint8_t  hash[32];
    if (look(r, file, offset, JOURNAL_BLOCK_BYTES, &at) != ERR_OK) {
        return false;
    }
    memcpy(page, at, sizeof *page);
    if (page->magic != JOURNAL_MAGIC || page->crc != journal_block_crc(page) || page->first <= r->number ||
        page->bytes % JOURNAL_BLOCK_BYTES != 0 || page->bytes == 0 || page->bytes > JOURNAL_BLOCK_MAX ||
        look(r, file, offset, page->bytes, &at) != ERR_OK) {
        return false;
    }
    journal_block_hash(at, page->bytes, hash);
    return memcmp(hash, page->hash, sizeof hash) == 0;
}

static err_t scan_file(journal_reader_t *r, uint32_t file, uint64_t offset, rest_t *rest)
{
    journal_block_page_t page;
    uint8_t             *at;
    for (const uint64_t size = r->files[file].size; offset < size;) {
        const uint32_t piece = size - offset < r->window_cap ? JOURNAL_BLOCK_BYTES : r->window_cap;
        err_t          err   = look(r, file, offset, piece, &at);
        if (err != ERR_OK) {
            return err;
        }
        if (is_zero(at, piece)) {
            offset += piece;
            continue;
        }
        err = look(r, file, offset, JOURNAL_BLOCK_BYTES, &at);
        if (err != ERR_OK) {
            return err;
        }
        if (!is_zero(at, JOURNAL_BLOCK_BYTES)) {
            rest->dirty_bytes += JOURNAL_BLOCK_BYTES;
            if (rest->dirty_bytes == JOURNAL_BLOCK_BYTES) {
                rest->dirty_file = file;
                rest->dirty_at   = offset;
            }
            if (!rest->durable && good_block(r, file, offset, &page) && page.durable >= r->missing) {
                rest->durable      = true;
                rest->durable_file = file;
                rest->durable_at   = offset;
            }
        }
        offset += JOURNAL_BLOCK_BYTES;
    }
    return ERR_OK;
}

static err_t scan_rest(journal_reader_t *r, rest_t *rest)
{
    *rest     = (rest_t){0};
    err_t err = scan_file(r, r->file, r->pos.offset, rest);
    for (uint32_t i = r->file + 1; err == ERR_OK && i < r->file_count; i++) {
        if (r->files[i].state == FILE_BEGUN && !rest->durable) {
            rest->durable      = true; /* a file is begun when everything before it is on the disk */
            rest->durable_file = i;
            rest->durable_at   = 0;
        }
        err = scan_file(r, i, 0, rest);
    }
    return err;
}

static err_t stop_with(journal_reader_t *r, err_t err)
{
    r->stop = err;
    if (err != ERR_END) {
        snprintf(r->fault, sizeof r->fault, "%s", err_msg());
        snprintf(r->end.note, sizeof r->end.note, "%s", err_msg());
    }
    return err;
}

/* Where writing goes on, and which records of the block there must be written again. */
static err_t end_place(journal_reader_t *r)
{
    const bool     salvaged = r->damaged && r->block_at > JOURNAL_BLOCK_HEAD;
    journal_end_t *end      = &r->end;
    uint32_t       keep     = 0;
    end->pos                = r->partial ? r->batch_pos : r->pos;
    if (r->partial || salvaged) {
        keep = (r->partial ? r->batch_keep : r->block_at) - JOURNAL_BLOCK_HEAD;
    }
    if (keep > 0) {
        uint8_t    *at;
        const err_t err = look(r, r->file, end->pos.offset, JOURNAL_BLOCK_MAX, &at);
        if (err != ERR_OK) {
            return err;
        }
        r->keep = malloc(keep);
        assert(r->keep != NULL);
        memcpy(r->keep, at + JOURNAL_BLOCK_HEAD, keep);
    }
    end->keep            = r->keep;
    end->keep_bytes      = keep;
    end->keep_count      = (uint32_t)(r->done - end->pos.record);
    end->pos.record      = r->done;
    end->pos.sequence    = r->sequence;
    end->dropped_records = r->partial ? r->number - r->done : 0;
    return ERR_OK;
}

/* finish: reading stopped at pos, for r->reason (empty: a page of zeros, or no more files). ERR_END, or the fault. */
static err_t finish(journal_reader_t *r)
{
    r->missing         = r->damaged ? r->damaged_last : r->number + 1;
    const file_t *file = &r->files[r->file];
    rest_t        rest;
    err_t         err = end_place(r);
    err               = err == ERR_OK ? scan_rest(r, &rest) : err;
    if (err != ERR_OK) {
        return stop_with(r, err);
    }
    journal_end_t *end = &r->end;
    end->dirty         = rest.dirty_bytes != 0 || end->pos.offset != r->pos.offset;
    end->dropped_bytes = rest.dirty_bytes;
    if (r->reason[0] == '\0' && rest.dirty_bytes != 0) {
        char name[32];
        journal_file_name(r->files[rest.dirty_file].number, name);
        snprintf(r->reason, sizeof r->reason, "%s, offset %llu: not zero behind the end of the journal", name,
                 (unsigned long long)rest.dirty_at);
    }
    if (r->reason[0] == '\0' && file->size < file->page.bytes) {
        snprintf(r->reason, sizeof r->reason, "%s: %llu bytes, its head says %llu", file_name(file),
                 (unsigned long long)file->size, (unsigned long long)file->page.bytes);
    }
    if (rest.durable) {
        char name[32];
        journal_file_name(r->files[rest.durable_file].number, name);
        return stop_with(r, err_set(ERR_PARSE, "%s%s; what is good at %s, offset %llu, shows that more was on the disk",
                                    r->reason, r->reason[0] != '\0' ? "" : "the journal ends too early", name,
                                    (unsigned long long)rest.durable_at));
    }
    int n = 0;
    if (r->reason[0] != '\0' || r->partial) {
        n = snprintf(end->note, sizeof end->note, "%s", r->reason);
    }
    if (r->partial) {
        snprintf(end->note + n, sizeof end->note - (size_t)n, "%s%llu records of a batch that was cut are dropped",
                 n > 0 ? "; " : "", (unsigned long long)end->dropped_records);
    }
    return stop_with(r, ERR_END);
}

static err_t damage(journal_reader_t *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static err_t damage(journal_reader_t *r, const char *fmt, ...)
{
    va_list args;
    int     n = snprintf(r->reason, sizeof r->reason, "%s, offset %llu: ", file_name(&r->files[r->file]),
                         (unsigned long long)r->pos.offset);
    va_start(args, fmt);
    vsnprintf(r->reason + n, sizeof r->reason - (size_t)n, fmt, args);
    va_end(args);
    return finish(r);
}

/* fault: what is whole by every checksum and still wrong: its writer was. */
static err_t fault(journal_reader_t *r, const journal_entry_t *at, const char *what)
{
    const err_t placed = end_place(r);
    err_set(ERR_PARSE, "%s, offset %llu, record %llu: %s", file_name(&r->files[r->file]),
            (unsigned long long)at->offset, (unsigned long long)at->number, what);
    return stop_with(r, placed == ERR_OK ? ERR_PARSE : placed);
}

/* ---- blocks ------------------------------------------------------------------------------------------------------- */
/* The file holds no more blocks: on to the next one if that goes on from here. */
static err_t next_file(journal_reader_t *r)
{
    const file_t *file = &r->files[r->file];
    if (r->file + 1 == r->file_count || file[1].state != FILE_BEGUN) {
        return finish(r);
    }
    rest_t      rest = {0};
    const err_t err  = scan_file(r, r->file, r->pos.offset, &rest);
    if (err != ERR_OK) {
        return stop_with(r, err);
    }
    if (rest.dirty_bytes != 0) {
        return damage(r, "not zero at %llu, behind the last block", (unsigned long long)rest.dirty_at);
    }
    const journal_file_page_t *page = &file[1].page;
    if (r->partial || page->record != r->number || page->sequence != r->sequence ||
        memcmp(page->chain, r->pos.chain, sizeof page->chain) != 0) {
        return damage(r, "the file ends at record %llu, sequence %llu, and the next one goes on from %llu, %llu",
                      (unsigned long long)r->number, (unsigned long long)r->sequence, (unsigned long long)page->record,
                      (unsigned long long)page->sequence);
    }
    r->file++;
    journal_pos_next_file(&r->pos);
    r->stats.files++;
    return ERR_OK;
}

/* What is wrong with a block's head; NULL when it may be believed. */
static const char *head_fault(const journal_reader_t *r, const journal_block_page_t *page)
{
    const file_t *file = &r->files[r->file];
    if (page->magic != JOURNAL_MAGIC) {
        return "no block begins here";
    }
    if (page->crc != journal_block_crc(page)) {
        return "checksum of a block's head";
    }
    if (memcmp(page->before, r->pos.chain, sizeof page->before) != 0) {
        return "a block that does not follow the one before it (hash chain)";
    }
    if (page->first != r->number + 1 || page->last != page->first + page->count - 1 || page->durable > r->number) {
        return "a block whose record numbers do not go on from the one before it";
    }
    if (page->bytes % JOURNAL_BLOCK_BYTES != 0 || page->bytes > JOURNAL_BLOCK_MAX || page->used > page->bytes ||
        page->used < JOURNAL_BLOCK_HEAD || page->bytes - page->used >= JOURNAL_BLOCK_BYTES ||
        page->bytes > file->page.bytes - r->pos.offset) {
        return "a block of impossible size";
    }
    return NULL;
}

/* How far the records of a block whose hash is wrong may be used: to the first one whose own checksum or number is. A
 * block whose records are all good and whose padding is zeros was changed with care: nothing of it is used. */
static uint32_t salvage(uint8_t *block, const journal_block_page_t *page)
{
    uint32_t at = JOURNAL_BLOCK_HEAD;
    for (uint64_t number = page->first; at + JOURNAL_RECORD_HEAD <= page->used; number++) {
        journal_record_head_t head;
        memcpy(&head, block + at, sizeof head);
        if (head.len > RECORD_BYTES_MAX || journal_record_bytes(head.len) > page->used - at || head.number != number ||
            head.crc != journal_record_crc(block + at)) {
            return at;
        }
        at += journal_record_bytes(head.len);
    }
    return is_zero(block + page->used, page->bytes - page->used) ? JOURNAL_BLOCK_HEAD : at;
}

static err_t load_block(journal_reader_t *r)
{
    journal_block_page_t page;
    uint8_t             *at;
    if (r->pos.offset + JOURNAL_BLOCK_BYTES > r->files[r->file].page.bytes) {
        return next_file(r);
    }
    err_t err = look(r, r->file, r->pos.offset, JOURNAL_BLOCK_BYTES, &at);
    if (err != ERR_OK) {
        return stop_with(r, err);
    }
    if (is_zero(at, JOURNAL_BLOCK_BYTES)) {
        return next_file(r);
    }
    memcpy(&page, at, sizeof page);
    const char *wrong = head_fault(r, &page);
    if (wrong != NULL) {
        return damage(r, "%s", wrong);
    }
    err = look(r, r->file, r->pos.offset, page.bytes, &at);
    if (err != ERR_OK) {
        return stop_with(r, err);
    }
    uint8_t hash[32];
    journal_block_hash(at, page.bytes, hash);
    r->damaged      = memcmp(hash, page.hash, sizeof hash) != 0;
    r->damaged_last = page.last;
    r->block        = at;
    r->block_at     = JOURNAL_BLOCK_HEAD;
    r->block_end    = r->damaged ? salvage(at, &page) : page.used;
    r->block_bytes  = page.bytes;
    r->stats.blocks++;
    r->stats.bytes += page.bytes;
    return ERR_OK;
}

/* The current block is used up. */
static err_t leave_block(journal_reader_t *r)
{
    journal_block_page_t page;
    memcpy(&page, r->block, sizeof page);
    r->block = NULL;
    if (r->damaged) {
        return damage(r, "hash of a block, %llu of its %u records are good",
                      (unsigned long long)(r->number + 1 - page.first), page.count);
    }
    if (r->number != page.last) {
        return fault(r, &(journal_entry_t){.number = r->number, .offset = r->pos.offset},
                     "count of records in a block");
    }
    r->pos.offset += page.bytes;
    r->pos.record = page.last;
    memcpy(r->pos.chain, page.hash, sizeof r->pos.chain);
    return ERR_OK;
}

/* ---- records ------------------------------------------------------------------------------------------------------ */
/* take: the next record, copied behind the batch. */
static err_t take(journal_reader_t *r, journal_entry_t *entry, size_t *batch_at)
{
    while (r->stop == ERR_OK && (r->block == NULL || r->block_at == r->block_end)) {
        const err_t err = r->block == NULL ? load_block(r) : leave_block(r);
        if (err != ERR_OK) {
            return err;
        }
    }
    journal_record_head_t head = {0};
    const uint32_t        room = r->block_end - r->block_at;
    *entry                     = (journal_entry_t){
                            .number = r->number + 1, .file_number = r->pos.file_number, .offset = r->pos.offset + r->block_at};
    if (room >= JOURNAL_RECORD_HEAD) {
        memcpy(&head, r->block + r->block_at, sizeof head);
    }
    if (head.len < 8 || head.len > RECORD_BYTES_MAX || journal_record_bytes(head.len) > room ||
        head.number != r->number + 1) {
        return fault(r, entry, "length or number of a record");
    }
    const size_t bytes = journal_record_bytes(head.len) - JOURNAL_RECORD_HEAD;
    if (r->batch_len + bytes > JOURNAL_BATCH_MAX) {
        return fault(r, entry, "a batch of more than 16 MiB");
    }
    if (r->batch_len + bytes > r->batch_cap) {
        r->batch_cap   = 2 * (r->batch_len + bytes) + 4096;
        r->batch_bytes = realloc(r->batch_bytes, r->batch_cap);
        assert(r->batch_bytes != NULL);
    }
    memcpy(r->batch_bytes + r->batch_len, r->block + r->block_at + JOURNAL_RECORD_HEAD, bytes);
    *batch_at  = r->batch_len;
    entry->len = head.len;
    r->batch_len += bytes;
    r->block_at += journal_record_bytes(head.len);
    r->number++;
    return ERR_OK;
}

static void batch_add(journal_reader_t *r, const journal_entry_t *entry, size_t at)
{
    if (r->item_count == r->item_cap) {
        r->item_cap = 2 * r->item_cap + 64;
        r->items    = realloc(r->items, r->item_cap * sizeof *r->items);
        assert(r->items != NULL);
    }
    r->items[r->item_count++] = (item_t){.entry = *entry, .at = at};
}

/* One record of a batch: taken, verified, and of the kind and sequence that it must have. */
static err_t batch_record(journal_reader_t *r, record_t *first, record_t *out)
{
    journal_entry_t entry;
    size_t          at  = 0;
    err_t           err = take(r, &entry, &at);
    if (err != ERR_OK) {
        return err;
    }
    err = record_read(r->batch_bytes + at, entry.len, out);
    if (err != ERR_OK) {
        char why[256];
        snprintf(why, sizeof why, "%s", err_msg());
        return fault(r, &entry, why);
    }
    if (out->head.kind != (first == NULL ? RECORD_INPUT : RECORD_OUTPUT)) {
        return fault(r, &entry, first == NULL ? "not an input, where one must be" : "not an output, where one must be");
    }
    if (first == NULL ? out->sequence <= r->sequence : out->sequence != first->sequence) {
        return fault(r, &entry, "engine sequence");
    }
    batch_add(r, &entry, at);
    return ERR_OK;
}

static err_t load_batch(journal_reader_t *r)
{
    record_t input, output;
    r->batch_len  = 0;
    r->item_count = 0;
    r->item_next  = 0;
    while (r->block == NULL || r->block_at == r->block_end) { /* the batch begins in a block that has a record */
        const err_t err = r->block == NULL ? load_block(r) : leave_block(r);
        if (err != ERR_OK) {
            return err;
        }
    }
    r->batch_pos  = r->pos;
    r->batch_keep = r->block_at;
    err_t err     = batch_record(r, NULL, &input);
    for (uint32_t i = 0; err == ERR_OK && i < input.head.outputs; i++) {
        r->partial = true;
        err        = batch_record(r, &input, &output);
    }
    if (err != ERR_OK) {
        return err;
    }
    r->partial  = false;
    r->done     = r->number;
    r->sequence = input.sequence;
    r->stats.inputs++;
    r->stats.outputs += input.head.outputs;
    if (input.msg.type == MSG_BOOT) {
        const journal_entry_t *entry = &r->items[0].entry;
        record_t               boot;
        err = record_read(r->batch_bytes, entry->len, &boot); /* again: memory may have moved under `input` */
        assert(err == ERR_OK);
        r->end.epoch = ((const boot_t *)boot.msg.body)->epoch;
        r->end.life  = entry->number - 1;
    }
    return err;
}

err_t journal_next(journal_reader_t *r, journal_entry_t *out)
{
    while (r->stop == ERR_OK && (r->item_next == r->item_count || r->sequence <= r->skip)) {
        const err_t err = load_batch(r);
        if (err != ERR_OK) {
            r->item_next = r->item_count = 0;
            assert(r->stop != ERR_OK);
        }
    }
    if (r->item_next == r->item_count) {
        return r->stop == ERR_END ? ERR_END : err_set(r->stop, "%s", r->fault);
    }
    const item_t *item = &r->items[r->item_next++];
    *out               = item->entry;
    out->bytes         = r->batch_bytes + item->at;
    const err_t err    = record_read(out->bytes, out->len, &out->record);
    assert(err == ERR_OK);
    return err;
}

err_t journal_scan_end(journal_reader_t *r, bool last_file_only, journal_end_t *out)
{
    journal_entry_t entry;
    err_t           err = ERR_OK;
    if (last_file_only) {
        for (uint32_t i = 0; i < r->file_count; i++) {
            if (r->files[i].state == FILE_BEGUN) {
                start_file(r, i);
            }
        }
    }
    while (err == ERR_OK) {
        err = journal_next(r, &entry);
    }
    *out = r->end;
    return err == ERR_END ? ERR_OK : err;
}
