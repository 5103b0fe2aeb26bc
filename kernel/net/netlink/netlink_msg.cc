// SPDX-License-Identifier: MIT
// Netlink messages: building, taking apart, acknowledging, dumping. Linux: lib/nlattr.c, net/netlink/af_netlink.c. Process context, but for
// building and parsing, which any context may do.

#include "net/netlink/netlink.h"

/// Room of one packet: what Linux's NLMSG_GOODSIZE comes to with 4 KiB pages, and a little.
constexpr u32 NLMSG_GOODSIZE = 3776;

sk_buff *nlmsg_new(gfp flags)
{
    sk_buff *skb = alloc_skb(NLMSG_GOODSIZE, flags);
    if (skb)
        NETLINK_CB(skb) = {0, 0};
    return skb;
}

nlmsghdr *nlmsg_put(sk_buff *skb, u32 portid, u32 seq, u16 type, u32 payload, u16 flags)
{
    u32 len = static_cast<u32>(sizeof(nlmsghdr)) + payload;
    if (skb_tailroom(skb) < NLMSG_ALIGN(len))
        return nullptr;
    u8 *at = skb_put(skb, NLMSG_ALIGN(len));
    memset(at, 0, NLMSG_ALIGN(len));
    return new (at) nlmsghdr{len, type, flags, seq, portid};
}

bool nla_put(sk_buff *skb, u16 type, const void *data, u32 len)
{
    u32 all = static_cast<u32>(sizeof(nlattr)) + len;
    if (all > UINT16_MAX || skb_tailroom(skb) < NLMSG_ALIGN(all))
        return false;
    u8 *at = skb_put(skb, NLMSG_ALIGN(all));
    memset(at, 0, NLMSG_ALIGN(all));
    new (at) nlattr{static_cast<u16>(all), type};
    memcpy(at + sizeof(nlattr), data, len);
    return true;
}

bool nla_put_string(sk_buff *skb, u16 type, const char *s)
{
    return nla_put(skb, type, s, static_cast<u32>(strlen(s)) + 1);
}

nlattr *nla_nest_start(sk_buff *skb, u16 type)
{
    auto *at = reinterpret_cast<nlattr *>(skb_tail_pointer(skb));
    return nla_put(skb, type, nullptr, 0) ? at : nullptr;
}

void nla_nest_end(sk_buff *skb, nlattr *nest)
{
    nest->nla_len = static_cast<u16>(skb_tail_pointer(skb) - reinterpret_cast<u8 *>(nest));
}

void nlmsg_end(sk_buff *skb, nlmsghdr *h)
{
    h->nlmsg_len = static_cast<u32>(skb_tail_pointer(skb) - reinterpret_cast<u8 *>(h));
}

void nlmsg_cancel(sk_buff *skb, nlmsghdr *h)
{
    if (h)
        pskb_trim(skb, static_cast<u32>(reinterpret_cast<u8 *>(h) - skb->data));
}

// --- Reading -----------------------------------------------------------------------------------------------------------------

static result<void> parse(const u8 *p, u32 len, const nlattr **tb, unsigned max)
{
    for (unsigned i = 0; i <= max; i++)
        tb[i] = nullptr;
    while (len >= sizeof(nlattr)) {
        auto *a = reinterpret_cast<const nlattr *>(p);
        if (a->nla_len < sizeof(nlattr) || a->nla_len > len)
            return error{EINVAL};
        u16 type = a->nla_type & NLA_TYPE_MASK;
        if (type && type <= max)
            tb[type] = a;
        u32 step = min(NLMSG_ALIGN(a->nla_len), len);
        p += step;
        len -= step;
    }
    return {};
}

result<void> nlmsg_parse(const nlmsghdr *h, u32 hdrlen, const nlattr **tb, unsigned max)
{
    u32 len = nlmsg_len(h), skip = NLMSG_ALIGN(hdrlen);
    if (len < hdrlen)
        return error{EINVAL};
    auto *body = reinterpret_cast<const u8 *>(h + 1);
    return parse(body + min(skip, len), len - min(skip, len), tb, max);
}

result<void> nla_parse_nested(const nlattr *nest, const nlattr **tb, unsigned max)
{
    return parse(reinterpret_cast<const u8 *>(nest + 1), nla_len(nest), tb, max);
}

bool nla_get_name(const nlattr *a, char (&out)[16])
{
    if (!a)
        return false;
    u32 n = min<u32>(nla_len(a), sizeof out - 1);
    memcpy(out, a + 1, n);
    out[n] = 0;
    return true;
}

// --- Requests ------------------------------------------------------------------------------------------------------------------

/// Tell the sender how its request went: 0 or a negative errno, with the request (its header only when all went well).
static void netlink_ack(netlink_sock *nlk, const nlmsghdr *h, int err)
{
    struct nlmsgerr {
        s32 error;
        nlmsghdr msg;
    };
    u32 extra = err ? nlmsg_len(h) : 0;
    sk_buff *skb = alloc_skb(
        NLMSG_ALIGN(static_cast<u32>(sizeof(nlmsghdr) + sizeof(nlmsgerr)) + extra), GFP_KERNEL);
    if (!skb) {
        nlk->sk_err.store(ENOBUFS);
        nlk->sk_error_report(nlk);
        return;
    }
    NETLINK_CB(skb) = {0, 0};
    nlmsghdr *rep = nlmsg_put(skb, nlk->portid, h->nlmsg_seq, NLMSG_ERROR,
                              static_cast<u32>(sizeof(nlmsgerr)) + extra, 0);
    auto *e = reinterpret_cast<nlmsgerr *>(rep + 1);
    e->error = err;
    memcpy(&e->msg, h, sizeof *h + extra);
    netlink_unicast(nlk, skb);
}

void netlink_rcv(netlink_sock *nlk, const netlink_kernel *k, const u8 *data, u32 len)
{
    while (len >= sizeof(nlmsghdr)) {
        auto *h = reinterpret_cast<const nlmsghdr *>(data);
        if (h->nlmsg_len < sizeof *h || h->nlmsg_len > len)
            return;
        int err = 0;
        if ((h->nlmsg_flags & NLM_F_REQUEST) && h->nlmsg_type >= NLMSG_MIN_TYPE && k->input)
            err = k->input(nlk, h);
        if (err != -EINTR && (err || (h->nlmsg_flags & NLM_F_ACK)))
            netlink_ack(nlk, h, err);
        u32 step = min(NLMSG_ALIGN(h->nlmsg_len), len);
        data += step;
        len -= step;
        cond_resched();
    }
}

// --- Dumps ---------------------------------------------------------------------------------------------------------------------

/// One more packet. cb_mutex held. False: the dump is over, or there is no memory now.
static bool dump_one_packet(netlink_sock *nlk)
{
    netlink_callback *cb = nlk->cb;
    sk_buff *skb = nlmsg_new(GFP_KERNEL);
    if (!skb)
        return false; // the next recvmsg tries again
    int more = cb->dump(skb, cb);
    if (more <= 0) {
        s32 code = more;
        nlmsghdr *h = nlmsg_put(skb, cb->portid, cb->seq, NLMSG_DONE, sizeof code, NLM_F_MULTI);
        if (!h) // the last part filled the packet: the end comes in one of its own
            more = 1;
        else
            memcpy(h + 1, &code, sizeof code);
    }
    if (more <= 0) {
        nlk->cb = nullptr;
        kdelete(cb);
    }
    netlink_unicast(nlk, skb);
    return more > 0;
}

void netlink_dump(netlink_sock *nlk)
{
    mutex_guard g{nlk->cb_mutex};
    while (nlk->cb && nlk->sk_rmem_alloc.load() <= nlk->sk_rcvbuf / 2)
        if (!dump_one_packet(nlk))
            return;
}

int netlink_dump_start(netlink_sock *nlk, const nlmsghdr *h,
                       int (*dump)(sk_buff *, netlink_callback *))
{
    auto *cb = knew<netlink_callback>(GFP_KERNEL);
    if (!cb)
        return -ENOBUFS;
    cb->dump = dump;
    cb->portid = nlk->portid;
    cb->seq = h->nlmsg_seq;
    cb->request_len = min<u32>(nlmsg_len(h), sizeof cb->request);
    memcpy(cb->request, h + 1, cb->request_len);
    mutex_guard g{nlk->cb_mutex};
    if (nlk->cb) {
        kdelete(cb);
        return -EBUSY;
    }
    nlk->cb = cb;
    dump_one_packet(nlk); // the rest follows as it is read
    return -EINTR;
}
