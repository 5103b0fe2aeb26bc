// SPDX-License-Identifier: MIT
// The list of AF_UNIX sockets for programs (ss -x), over NETLINK_SOCK_DIAG. Linux: net/unix/diag.c. Process context; unix_lock while a packet
// is filled, so that peers and names stay.

#include "net/core/sock_diag.h"
#include "net/unix/af_unix.h"

namespace
{
struct unix_diag_req {
    u8 family, protocol;
    u16 pad;
    u32 states, ino, show;
    u32 cookie[2];
};
static_assert(sizeof(unix_diag_req) == 24);
struct unix_diag_msg {
    u8 family, type, state, pad;
    u32 ino;
    u32 cookie[2];
};
static_assert(sizeof(unix_diag_msg) == 16);
struct unix_diag_vfs {
    u32 ino, dev;
};
struct unix_diag_rqlen {
    u32 rqueue, wqueue;
};
/// Attributes; bit n of `show` asks for n, but for the last, which always comes.
constexpr u16 UNIX_DIAG_NAME = 0, UNIX_DIAG_VFS = 1, UNIX_DIAG_PEER = 2, UNIX_DIAG_ICONS = 3,
              UNIX_DIAG_RQLEN = 4, UNIX_DIAG_MEMINFO = 5, UNIX_DIAG_SHUTDOWN = 6;

struct diag_packet {
    sk_buff *skb;
    netlink_callback *cb;
    const unix_diag_req *req;
    sock_diag_place place;
    bool full;

    bool shows(u16 attribute) const { return req->show >> attribute & 1; }
};

u32 inode_of(const sock *sk)
{
    return static_cast<u32>(sk->sk_ino);
}

bool put_name(diag_packet &p, const unix_sock *u)
{
    const unix_address *a = u->addr;
    if (p.shows(UNIX_DIAG_NAME) && a &&
        !nla_put(p.skb, UNIX_DIAG_NAME, a->name.sun_path,
                 static_cast<u32>(a->len) - static_cast<u32>(offsetof(sockaddr_un, sun_path))))
        return false;
    if (!p.shows(UNIX_DIAG_VFS) || !u->where.dentry)
        return true;
    const inode *i = u->where.dentry->d_inode;
    return nla_put_value(p.skb, UNIX_DIAG_VFS,
                         unix_diag_vfs{static_cast<u32>(i->ino), i->i_sb ? i->i_sb->dev : 0});
}

/// Of the sockets that wait in a listener's queue, whose they are: the inode of each one's peer.
bool put_connections(diag_packet &p, unix_sock *u)
{
    if (!p.shows(UNIX_DIAG_ICONS) || u->sk_state != TCPF_LISTEN)
        return true;
    spin_guard<irqsave> g{u->sk_receive_queue.lock};
    nlattr *list = nla_nest_start(p.skb, UNIX_DIAG_ICONS);
    if (!list || skb_tailroom(p.skb) < u->sk_receive_queue.qlen * sizeof(u32))
        return false;
    for (const sk_buff *skb = skb_peek(&u->sk_receive_queue); skb; skb = skb->next) {
        const sock *peer = skb->sk ? unix_sk(skb->sk)->peer : nullptr;
        u32 ino = peer ? inode_of(peer) : 0;
        memcpy(skb_put(p.skb, sizeof ino), &ino, sizeof ino);
    }
    nla_nest_end(p.skb, list);
    return true;
}

bool put_attributes(diag_packet &p, unix_sock *u)
{
    bool fits = put_name(p, u);
    if (p.shows(UNIX_DIAG_PEER) && u->peer)
        fits = fits && nla_put_value(p.skb, UNIX_DIAG_PEER, inode_of(u->peer));
    fits = fits && put_connections(p, u);
    if (p.shows(UNIX_DIAG_RQLEN)) {
        bool listens = u->sk_state == TCPF_LISTEN;
        unix_diag_rqlen q{listens ? u->sk_receive_queue.qlen : unix_unread(u),
                          listens ? u->max_ack_backlog : static_cast<u32>(sk_wmem_alloc_get(u))};
        fits = fits && nla_put_value(p.skb, UNIX_DIAG_RQLEN, q);
    }
    if (p.shows(UNIX_DIAG_MEMINFO))
        fits = fits && nla_put_value(p.skb, UNIX_DIAG_MEMINFO, sock_diag_memory(u, 0, 0));
    return fits && nla_put_value(p.skb, UNIX_DIAG_SHUTDOWN, u->sk_shutdown);
}

void put_sock(unix_sock *u, void *arg)
{
    auto &p = *static_cast<diag_packet *>(arg);
    if (p.full || !p.place.is_new() || !(p.req->states >> u->sk_state & 1) ||
        (p.req->ino && p.req->ino != inode_of(u)))
        return;
    nlmsghdr *h = nlmsg_put(p.skb, p.cb->portid, p.cb->seq, SOCK_DIAG_BY_FAMILY,
                            sizeof(unix_diag_msg), NLM_F_MULTI);
    if (h) {
        auto *m = new (h + 1)
            unix_diag_msg{AF_UNIX, static_cast<u8>(u->sk_type), u->sk_state, 0, inode_of(u), {}};
        sock_diag_save_cookie(u, m->cookie);
        if (put_attributes(p, u)) {
            nlmsg_end(p.skb, h);
            return;
        }
        nlmsg_cancel(p.skb, h);
    }
    p.place.stop();
    p.full = true;
}

int unix_diag_dump(sk_buff *skb, netlink_callback *cb)
{
    diag_packet p{skb, cb, dump_request<unix_diag_req>(cb), sock_diag_place{cb}, false};
    for_each_unix(put_sock, &p);
    return p.full;
}
const sock_diag_handler unix_diag{unix_diag_dump, sizeof(unix_diag_req)};
} // namespace

void unix_diag_init()
{
    sock_diag_register(AF_UNIX, &unix_diag);
}
