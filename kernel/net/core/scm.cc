// SPDX-License-Identifier: MIT
// Control messages of sendmsg and recvmsg (Linux net/core/scm.c). Process context.

#include "net/core/sock.h"

constexpr size_t cmsg_align(size_t n)
{
    return (n + 7) & ~size_t{7};
}

result<void> put_cmsg(msghdr *m, int level, int type, const void *data, size_t len)
{
    if (!m->msg_control || m->msg_controllen < sizeof(cmsghdr)) {
        m->msg_flags |= MSG_CTRUNC;
        return {}; // no room at all is no error
    }
    cmsghdr h{sizeof(cmsghdr) + len, level, type};
    if (h.cmsg_len > m->msg_controllen) {
        m->msg_flags |= MSG_CTRUNC;
        h.cmsg_len = m->msg_controllen;
    }
    TRY_VOID(copy_to_user(user_ptr<void>{m->msg_control}, &h, sizeof h));
    TRY_VOID(copy_to_user(user_ptr<void>{m->msg_control + sizeof h}, data, h.cmsg_len - sizeof h));
    size_t space = min(cmsg_align(sizeof h + len), m->msg_controllen);
    m->msg_control += space;
    m->msg_controllen -= space;
    return {};
}

result<const cmsghdr *> cmsg_next(const msghdr *m, const cmsghdr *c)
{
    size_t off = 0;
    if (c)
        off = static_cast<size_t>(reinterpret_cast<const u8 *>(c) - m->msg_control_kern) +
              cmsg_align(c->cmsg_len);
    if (off > m->msg_controllen || m->msg_controllen - off < sizeof(cmsghdr))
        return nullptr;
    auto *n = reinterpret_cast<const cmsghdr *>(m->msg_control_kern + off);
    if (n->cmsg_len < sizeof(cmsghdr) || n->cmsg_len > m->msg_controllen - off)
        return error{EINVAL};
    return n;
}
