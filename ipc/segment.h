/* segment: one file in shared memory, written by one process, read by anyone who may open it.
 *
 *   /dev/shm/hwal-<uid>/<instance>/<role>.<gen>                       0640, in a directory 0750; gen 0: <role> alone
 *   | segment_head_t, 4096 bytes: what it is, who writes it, where its objects lie | object | object | ...
 *
 * Life     segment_create makes an unnamed file (O_TMPFILE), gives it real memory (posix_fallocate: a sparse file on a
 *          full tmpfs would be a SIGBUS later), maps it, touches every page. The creator formats its objects with
 *          segment_object, then segment_publish stores the magic and links the name: nobody ever sees a half-made one.
 *          A process that dies leaves its file as it was: evidence, until `hwal segments gc`.
 * Name     gen is the generation: one number for each start of a role, rising over all roles of an instance, never used
 *          twice. A restarted role writes a new file.
 * Reading  segment_open opens O_RDONLY and maps read-only: a write faults. It believes a file only if its owner is the
 *          uid that it was told and nobody else may write, and checks magic, version, layout hash, size, the object table
 *          and, last, the check value over the whole page: every flipped bit of it but pid's is refused; the sentence
 *          names the field. The build id may differ: the layout hash says what can be read. Offsets come from the table
 *          once and are checked; inside an object its own join checks again.
 * Owner    head: written by the creator before publish, then never, but for pid, which the writer sets when it runs.
 *          Objects: by the one process that the file is named after. Others map it read-only; the kernel holds them to it.
 * Threads  any; nothing is kept here.
 * Errors   ERR_LIMIT (no room in /dev/shm: the sentence names bytes wanted and free), ERR_EXISTS, ERR_NOT_FOUND, ERR_IO,
 *          ERR_STATE (somebody else's, or others may write), ERR_ARG (a name that cannot be one), ERR_UNSUPPORTED (other
 *          version, layout or byte order), ERR_PARSE (damaged). Nothing is left behind on failure.
 * Limits   SEGMENT_OBJECTS_MAX objects; names up to SEGMENT_NAME_MAX bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/types/err.h"

#define SEGMENT_MAGIC 0x314745536c617768ull /* "hwalSEG1" */
#define SEGMENT_VERSION 1u                  /* of segment_head_t and of every object's layout below it */
#define SEGMENT_HEAD_BYTES 4096u
#define SEGMENT_OBJECTS_MAX 48u
#define SEGMENT_NAME_MAX 23u

typedef struct segment_object {
    char     name[SEGMENT_NAME_MAX + 1]; /* "md", "books" */
    uint64_t offset;                     /* from the start of the file; a multiple of 128 */
    uint64_t bytes;
    uint32_t kind; /* segment_kind_t */
    uint32_t reserved;
} segment_object_t;

typedef enum segment_kind {
    SEGMENT_KIND_NONE = 0,
    SEGMENT_CONTROL,   /* ipc/control.h        */
    SEGMENT_BROADCAST, /* ipc/ring_broadcast.h */
    SEGMENT_LOSSLESS,  /* ipc/ring_lossless.h  */
    SEGMENT_CURSORS,   /* ipc/ring_lossless.h  */
    SEGMENT_RECORDS,   /* ipc/records.h        */
    SEGMENT_COUNTERS,  /* ipc/counters.h       */
    SEGMENT_HISTOGRAM, /* ipc/histogram.h      */
    SEGMENT_ROLES,     /* ipc/role_table.h   */
    SEGMENT_WORDS,     /* ipc/words.h          */
    SEGMENT_BLOB       /* a role's own state: no layout promised */
} segment_kind_t;

typedef struct segment_head {
    uint64_t         magic; /* stored last, with release */
    uint32_t         version;
    uint32_t         object_count;
    uint64_t         layout_hash; /* of every layout that this build would read (segment_layout_hash) */
    uint64_t         bytes;       /* of the file */
    uint32_t         epoch;       /* of ClOrdIDs at the time of creation */
    uint32_t         gen;
    int32_t          pid; /* of the writer; 0 until it runs */
    uint32_t         uid;
    int64_t          created_utc_ns;
    char             role[SEGMENT_NAME_MAX + 1];
    char             instance[40];
    char             build_id[40];
    segment_object_t objects[SEGMENT_OBJECTS_MAX];
    uint64_t         check; /* hash_bytes of the head's page, with pid and check as 0 */
} segment_head_t;

_Static_assert(sizeof(segment_object_t) == 48, "mapped by others: bump SEGMENT_VERSION");
_Static_assert(offsetof(segment_head_t, objects) == 160, "mapped by others: bump SEGMENT_VERSION");
_Static_assert(sizeof(segment_head_t) <= SEGMENT_HEAD_BYTES, "the head's page");

typedef struct segment {  /* local handle */
    segment_head_t *head; /* NULL = none */
    size_t          bytes;
    int             fd; /* kept open, to be handed to other processes; -1 = none */
    bool            writable;
    uint32_t        epoch; /* as the head said when it was checked: the memory is not asked again which life it is */
    uint32_t        gen;
} segment_t;

typedef struct segment_cfg {
    const char *role;
    const char *instance;
    uint32_t    epoch;
    uint32_t    gen;
    uint64_t    bytes;    /* head included; rounded up to pages */
    const char *build_id; /* of the program, for people; NULL = "" */
} segment_cfg_t;

/* segment_layout_hash: changes whenever a pinned layout changes (sizes of the pinned structs and SEGMENT_VERSION). */
uint64_t segment_layout_hash(void);

/* segment_create: dir_fd is the instance's directory. *out is mapped read-write and touched, not yet linked. Names are
 * 1 to SEGMENT_NAME_MAX (instance: 39) letters, digits, '_', '-' and '.', not first. */
err_t segment_create(int dir_fd, const segment_cfg_t *cfg, segment_t *out);

/* segment_add: room for an object at the end of those there are: its address, zeroed and 128-aligned; NULL and a
 * sentence when the segment is full or the name taken. Before segment_publish only.
 * segment_bytes_for: what an object takes in a segment. */
void  *segment_add(segment_t *seg, const char *name, segment_kind_t kind, size_t bytes);
size_t segment_bytes_for(size_t bytes);

/* segment_publish: check value, magic, then the name. ERR_EXISTS when the name is taken. */
err_t segment_publish(segment_t *seg, int dir_fd);

/* segment_open: by name, read-only (or read-write for `words`, which has several writers), owner must be uid.
 * segment_open_fd: a file that came over a socket; takes fd over, also on failure (closed). */
err_t segment_open(int dir_fd, const char *name, uid_t uid, bool writable,
                   segment_t *out); /* name must be the head's */
err_t segment_open_fd(int fd, uid_t uid, bool writable, segment_t *out);
void  segment_close(segment_t *seg); /* unmaps and closes; the file stays. Not open: nothing happens */

/* segment_find: the object of that name and kind, its size in *bytes; NULL when there is none. The table was checked
 * when the segment was opened. */
void *segment_find(const segment_t *seg, const char *name, segment_kind_t kind, size_t *bytes);

/* segment_part: the same of another's segment, for objects without a join of their own (pages, cursors): NULL also when
 * there is no segment, or the object is smaller than `bytes`: its table may be damaged since it was checked. */
const void *segment_part(const segment_t *seg, const char *name, segment_kind_t kind, size_t bytes);

/* segment_dir_path: "/dev/shm/hwal-<uid>/<instance>" into out. HWAL_SHM in the environment replaces /dev/shm (tests).
 * segment_dir_open: its descriptor; create (of one's own) makes both directories, 0750. ERR_NOT_FOUND when it is not
 * there; ERR_STATE when it belongs to somebody else or others may write. */
err_t segment_dir_path(uid_t uid, const char *instance, char *out, size_t cap);
err_t segment_dir_open(uid_t uid, const char *instance, bool create, int *dir_fd);
