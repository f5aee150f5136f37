/* fbsgen IN.bfbs OUTDIR: writes OUTDIR/<namespace>_fbs.h and .c. A build tool; exit 0, 1 (with a sentence; nothing is
 * left behind) or 2 (usage). */
#include <errno.h>
#include <stdlib.h>

#include "ipc/gen/bfbs.h"
#include "ipc/gen/emit.h"

#define BFBS_BYTES_MAX (64u << 20)

static err_t slurp(const char *path, void **buf, size_t *len)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        return err_set(ERR_IO, "%s: %s", path, strerror(errno));
    }
    *buf            = malloc(BFBS_BYTES_MAX); /* aligned to 16 */
    *len            = *buf == NULL ? 0 : fread(*buf, 1, BFBS_BYTES_MAX, f);
    const bool fail = *buf == NULL || ferror(f) != 0 || *len == BFBS_BYTES_MAX;
    fclose(f);
    return fail ? err_set(ERR_IO, "%s: cannot be read, or is larger than %u bytes", path, BFBS_BYTES_MAX) : ERR_OK;
}

static err_t write_one(const char *dir, const bfbs_schema_t *schema, const char *end,
                       void (*emit)(FILE *f, const bfbs_schema_t *schema))
{
    char path[4096];
    if ((size_t)snprintf(path, sizeof path, "%s/%s_fbs.%s", dir, schema->ns, end) >= sizeof path) {
        return err_set(ERR_ARG, "%s: path longer than %zu", dir, sizeof path);
    }
    FILE *f = fopen(path, "w");
    if (f == NULL) {
        return err_set(ERR_IO, "%s: %s", path, strerror(errno));
    }
    emit(f, schema);
    const bool fail = ferror(f) != 0;
    if (fclose(f) != 0 || fail) {
        remove(path);
        return err_set(ERR_IO, "%s: %s", path, strerror(errno));
    }
    return ERR_OK;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: fbsgen IN.bfbs OUTDIR\n");
        return 2;
    }
    void         *buf    = NULL;
    size_t        len    = 0;
    bfbs_schema_t schema = {.root = 0};
    err_t         err    = slurp(argv[1], &buf, &len);
    if (err == ERR_OK && (err = bfbs_read(buf, len, &schema)) != ERR_OK) {
        err_wrap(err, "%s", argv[1]);
    }
    err = err != ERR_OK ? err : write_one(argv[2], &schema, "h", emit_header);
    err = err != ERR_OK ? err : write_one(argv[2], &schema, "c", emit_source);
    if (err != ERR_OK) {
        fprintf(stderr, "fbsgen: %s\n", err_msg());
    }
    bfbs_free(&schema);
    free(buf);
    return err == ERR_OK ? 0 : 1;
}
