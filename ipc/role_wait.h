/* role_wait: how a role that sleeps on descriptors sleeps: its FIFO (the doorbell's), its control socket, its own ones.
 *
 *   role_arm ─▶ look once more at all rings ─▶ work there? role_wait with timeout 0, else as long as it may be
 *
 * Whoever put something into a ring before role_arm is seen by the second look; whoever does it after sees `asleep` and
 * writes into the FIFO (ipc/words.h). Cost: one ppoll, and one read when the bell was rung. */
#pragma once

#include <poll.h>

#include "ipc/role.h"

#define ROLE_WAIT_FDS 4u /* of a caller's own */

/* role_arm: from here on others ring. role_wait: until one of fds (at most ROLE_WAIT_FDS; fd -1 is passed over; revents
 * is set), the bell, the supervisor, or timeout_ns (0 = only look). Disarms. Returns true when the supervisor sent news. */
void role_arm(role_ctx_t *ctx);
bool role_wait(role_ctx_t *ctx, struct pollfd *fds, uint32_t count, int64_t timeout_ns);
