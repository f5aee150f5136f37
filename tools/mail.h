/* mail: sockets in an instance's directory: their names, and the supervisor's letters to its roles.
 *
 * A role listens on the datagram socket <role>.ctl, which outlives every supervisor; a letter is one role_mail_t with one
 * descriptor (ipc/role.h reads it). Sockets are named by the directory's descriptor: its path may be longer than a
 * socket's name can be. Cold. Threads: one (umask). */
#pragma once

#include "ipc/role.h"

/* mail_bind: a socket of that type under name, which is replaced if it is there; mode is that of the file; one that
 * connects listens. dir is for sentences. Non-blocking, closed by exec. -1 and a sentence (ERR_IO). */
int mail_bind(int dir_fd, const char *dir, int type, const char *name, mode_t mode);

/* mail_send: a letter with fd to a role, by the socket mail_fd. false: not now (its queue is full, or nobody listens). */
bool mail_send(int mail_fd, int dir_fd, role_t to, const role_mail_t *mail, int fd);
