// SPDX-License-Identifier: MIT
// NETLINK_SOCK_DIAG: requests go to their family's lister. Linux: net/core/sock_diag.c. Process context; handlers are set at boot.

#include "net/core/sock_diag.h"
#include "lib/initcall.h"

namespace
{
constexpr int FAMILIES = 46; // AF_MAX of 3.10 and some
const sock_diag_handler *handlers[FAMILIES];

int sock_diag_rcv_msg(netlink_sock *nlk, const nlmsghdr *h)
{
    if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY || nlmsg_len(h) < sizeof(sock_diag_req))
        return -EINVAL;
    u8 family = nlmsg_data<sock_diag_req>(h)->sdiag_family;
    if (family >= FAMILIES)
        return -EINVAL;
    const sock_diag_handler *handler = handlers[family];
    if (!handler)
        return -ENOENT;
    if (nlmsg_len(h) < handler->request_len)
        return -EINVAL;
    if (!(h->nlmsg_flags & NLM_F_DUMP))
        return -EOPNOTSUPP;
    return netlink_dump_start(nlk, h, handler->dump);
}
const netlink_kernel sock_diag{sock_diag_rcv_msg};

int sock_diag_init()
{
    netlink_kernel_create(NETLINK_SOCK_DIAG, &sock_diag);
    return 0;
}
subsys_initcall(sock_diag_init);
} // namespace

void sock_diag_register(int family, const sock_diag_handler *h)
{
    handlers[family] = h;
}

sock_diag_meminfo sock_diag_memory(const sock *sk, u32 fwd_alloc, u32 wmem_queued)
{
    return {static_cast<u32>(sk->sk_rmem_alloc.load()),
            static_cast<u32>(sk->sk_rcvbuf),
            static_cast<u32>(sk_wmem_alloc_get(sk)),
            static_cast<u32>(sk->sk_sndbuf),
            fwd_alloc,
            wmem_queued,
            0,
            static_cast<u32>(sk->sk_backlog.len)};
}
