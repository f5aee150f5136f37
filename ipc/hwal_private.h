/* hwal_private: what the halves of libhwal share: hwal.c (looking) and hwal_lane.c (lanes). */
#pragma once

#include "core/types/msg.h"
#include "ipc/attach.h"
#include "ipc/histogram.h"

#define HWAL_IN_TREE
#include "ipc/hwal.h"

struct hwal {
    attach_t         a;
    hwal_sub_t      *subs; /* all of them, linked: their memory moves when the instance is looked at anew */
    records_reader_t records[RECORD_ID_COUNT];
    bool             joined[RECORD_ID_COUNT];
    attach_message_t record[RECORD_ID_COUNT]; /* handed out */
    histogram_copy_t histogram;
};

/* hwal_fail: err, whose sentence was set (answers have none), as the code of the public header; the thread's last one. */
hwal_err_t hwal_fail(err_t err);

/* hwal_fill: a verified message as the public header shows it. */
void hwal_fill(hwal_message_t *out, const msg_t *msg, const ring_meta_t *meta, const void *raw, uint64_t seq);
