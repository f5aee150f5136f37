#include "tools/mail.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 32

static struct sockaddr_un socket_name(int dir_fd, const char *name)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "/proc/self/fd/%d/%s", dir_fd, name);
    return at;
}

int mail_bind(int dir_fd, const char *dir, int type, const char *name, mode_t mode)
{
    const struct sockaddr_un at = socket_name(dir_fd, name);
    const int                fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        err_set(ERR_IO, "%s/%s: cannot be made: %s", dir, name, strerror(errno));
        return -1;
    }
    unlinkat(dir_fd, name, 0);
    const mode_t mask = umask(0777 & ~mode); /* there is no fchmod of a socket's name */
    const bool   ok =
        bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 && (type == SOCK_DGRAM || listen(fd, BACKLOG) == 0);
    umask(mask);
    if (!ok) {
        err_set(ERR_IO, "%s/%s: cannot be made: %s", dir, name, strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

bool mail_send(int mail_fd, int dir_fd, role_t to, const role_mail_t *mail, int fd)
{
    char name[32];
    snprintf(name, sizeof name, "%s.ctl", topology_role_name(to));
    struct sockaddr_un at = socket_name(dir_fd, name);
    role_mail_t        m  = *mail;
    union {
        struct cmsghdr align;
        char           bytes[CMSG_SPACE(sizeof(int))];
    } control             = {0};
    struct iovec    part  = {.iov_base = &m, .iov_len = sizeof m};
    struct msghdr   head  = {.msg_name       = &at,
                             .msg_namelen    = sizeof at,
                             .msg_iov        = &part,
                             .msg_iovlen     = 1,
                             .msg_control    = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    struct cmsghdr *right = CMSG_FIRSTHDR(&head);
    right->cmsg_level     = SOL_SOCKET;
    right->cmsg_type      = SCM_RIGHTS;
    right->cmsg_len       = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(right), &fd, sizeof fd);
    return sendmsg(mail_fd, &head, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof m;
}
