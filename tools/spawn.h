/* spawn: a role becomes a process: fork without exec, and everything taken away that it does not need.
 *
 *   fork ▸ session of its own (a terminal's Ctrl-C is the supervisor's alone) ▸ name "hwal:engine" ▸ stdin, stdout
 *   /dev/null, stderr stays for assertions ▸ every descriptor closed but those of its context ▸ the supervisor's own
 *   memory unmapped ▸ limits, capabilities, no_new_privs, not dumpable ▸ its CPU ▸ lock on <role>.lock ▸ main ▸ _exit
 *
 * No exec: segments are mapped, descriptors are there, the configuration is read. What it may do from then on is
 * role_sandbox's (tools/sandbox.c), which the main calls when it is ready. */
#pragma once

#include "ipc/role.h"

#define SPAWN_EXIT_LOCKED 76 /* another process holds <role>.lock */

typedef int (*role_main_t)(role_ctx_t *ctx);

typedef struct spawn {
    role_ctx_t      *ctx; /* own, words_segment, peers, files, fifo, ctl_fd are set */
    role_main_t      main;
    int              dir_fd; /* of the segments */
    int64_t          cpu;    /* -1 = any */
    const segment_t *forget; /* writable mapping of the supervisor's */
} spawn_t;

/* spawn_role: ERR_LIMIT or ERR_IO and a sentence when there is no process; else its pid and a descriptor of it. The child
 * does nothing before spawn_go(*go): a supervisor that dies before its table names the child leaves none behind. */
err_t spawn_role(const spawn_t *spawn, int32_t *pid, int *pid_fd, int *go);
void  spawn_go(int go);
