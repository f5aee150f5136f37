/* desk: how a command of hwal acts in a live instance: as any client does, by a lane of its own (ipc/hwal.h), so that
 * nothing it sends passes risk, rights or the journal by.
 *
 *   desk_open ─▶ instance (records, numbers) and lane ─▶ hwal_lane_order ... ─▶ desk_next ─▶ answers ─▶ desk_close
 *
 * Lane     of the client CONFIG_OPERATOR where none is named. It is one command's at a time: the others wait, at most
 *          DESK_LANE_NS. What it leaves open stays open (on_close keep), as its client's configuration says.
 * Threads  one. Errors: exit codes of tools/command.h, with the sentence on stderr. */
#pragma once

#include "ipc/hwal_private.h"
#include "tools/attach_args.h"

#define DESK_LANE_NS (5 * NS_PER_S)   /* for the lane to be free */
#define DESK_ANSWER_NS (3 * NS_PER_S) /* for an answer of an engine that runs */

typedef struct desk {
    const char  *command; /* for sentences */
    hwal_t      *h;
    attach_t    *a; /* the same instance, as the tools look at it */
    hwal_lane_t *lane;
    lane_t       who;
} desk_t;

/* desk_open: EXIT_OK; EXIT_NOT_RUNNING (no instance, or its engine does not run); EXIT_STALE; EXIT_FINDING: no lane for us
 * (no such client, another user's, leased for longer than DESK_LANE_NS). On any but EXIT_OK there is nothing to close. */
int  desk_open(desk_t *desk, const char *command, const attach_args_t *args, const char *client);
void desk_close(desk_t *desk);

/* desk_next: the next answer within timeout_ns; false: none came, or the lane ended (desk_ended says which of the two).
 * desk_ended: one sentence on stderr for an answer that never came; returns EXIT_FINDING. */
bool desk_next(desk_t *desk, int64_t timeout_ns, hwal_message_t *out);
int  desk_ended(const desk_t *desk);

/* desk_account: an account's record; false: there is none of this id. */
bool desk_account(desk_t *desk, uint32_t account_id, account_record_t *out);

/* desk_ask: print question on stderr and read the word that confirms it from a terminal; false when another was typed, or
 * there is nobody to ask. */
bool desk_ask(const char *question, const char *word);
