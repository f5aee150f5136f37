/* sandbox: what a role may ask of the kernel once it is ready. One table: role, system call, condition.
 *
 * Anything that is not in the table fails with EPERM: nothing is opened by name, nothing is executed, no process is
 * made, no network socket is made, no memory becomes writable and executable. What it needs it has been given.
 * A build with AddressSanitizer or ThreadSanitizer has no filter: their runtimes make calls of their own at any time.
 * Irrevocable, for the calling thread and what it makes. */
#pragma once

#include <stdbool.h>

#include "core/types/err.h"
#include "ipc/topology.h"

/* sandbox_here: is there a filter in this build? sandbox_apply: ERR_UNSUPPORTED and a sentence when the kernel has no
 * seccomp, or the build none; then nothing changed. */
bool  sandbox_here(void);
err_t sandbox_apply(role_t role);
