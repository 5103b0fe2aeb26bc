// SPDX-License-Identifier: MIT
// AF_PACKET sockets: reception, binding, options. Linux: net/packet/af_packet.c. Process context, but for packet_rcv.

#include "fs/ioctl.h"
#include "fs/seq_file.h"
#include "lib/initcall.h"
#include "net/ethernet/eth.h"
#include "net/ipv4/inet_sock.h"
#include "net/packet/packet.h"

namespace
{
kmem_cache *packet_slab;

constinit proto packet_proto = {
    .name = "PACKET",
    .obj_size = sizeof(packet_sock),
    .slab = &packet_slab,
    .construct = [](void *mem) -> sock * { return new (mem) packet_sock; },
    .destruct = [](sock *sk) { pkt_sk(sk)->~packet_sock(); },
    .symbol = "packet_proto",
};

void packet_destruct(sock *sk)
{
    skb_queue_purge(&sk->sk_receive_queue);
    packet_free_ring(pkt_sk(sk));
}

// --- Reception -----------------------------------------------------------------------------------------------------------------

/// The protocol hook of a socket without a ring. Takes its reference of the frame. [S]
int packet_rcv(sk_buff *skb, net_device *dev, packet_type *pt, net_device *orig_dev)
{
    packet_sock *po = container_of(pt, packet_sock, prot_hook);
    if (po->sk_rmem_alloc.load(std::memory_order_relaxed) >= po->sk_rcvbuf) {
        po->tp_drops.fetch_add(1);
        po->sk_drops.fetch_add(1);
        consume_skb(skb);
        return 0;
    }
    skb = skb_share_check(skb, GFP_ATOMIC); // what we change is our own
    if (!skb)
        return 0;
    packet_pull_data(po, skb, dev);
    u32 origlen = skb->len;
    sockaddr_ll sll;
    packet_fill_sll(po, skb, dev, orig_dev, &sll);
    if (sk_filter(po, skb, 0)) {
        consume_skb(skb);
        return 0;
    }
    PACKET_SKB_CB(skb) = {sll, origlen};
    skb_orphan(skb);
    skb_dst_drop(skb);
    skb->dev = nullptr;
    skb_set_owner_r(skb, po);
    po->tp_packets.fetch_add(1);
    {
        spin_guard<irqsave> g{po->sk_receive_queue.lock};
        skb->mark = static_cast<u32>(po->sk_drops.load()); // SO_RXQ_OVFL
        __skb_queue_tail(&po->sk_receive_queue, skb);
    }
    po->sk_data_ready(po, static_cast<int>(origlen));
    return 0;
}
} // namespace

void packet_pull_data(packet_sock *po, sk_buff *skb, net_device *dev)
{
    if (!dev->header_ops)
        return;
    if (po->sk_type != SOCK_DGRAM)
        skb_push(skb, static_cast<u32>(skb->data - skb_mac_header(skb)));
    else if (skb->pkt_type == PACKET_OUTGOING) // still begins with the link header
        skb_pull(skb, static_cast<u32>(max(skb_network_offset(skb), 0)));
}

void packet_fill_sll(packet_sock *po, sk_buff *skb, net_device *dev, net_device *orig_dev,
                     sockaddr_ll *sll)
{
    *sll = {
        AF_PACKET, skb->protocol, static_cast<s32>(po->origdev ? orig_dev->ifindex : dev->ifindex),
        dev->type, skb->pkt_type, 0,
        {}};
    const u8 *mac = skb_mac_header(skb);
    if (dev->header_ops == &eth_header_ops && mac + ETH_HLEN <= skb_tail_pointer(skb)) {
        sll->sll_halen = ETH_ALEN;
        memcpy(sll->sll_addr, mac + ETH_ALEN, ETH_ALEN);
    }
}

void packet_hook(packet_sock *po)
{
    if (!po->num || po->running)
        return;
    if (!po->prot_hook.func)
        po->prot_hook.func = packet_rcv;
    po->prot_hook.func_name = po->ring.nr_frames ? "tpacket_rcv" : "packet_rcv";
    po->prot_hook.type = po->num;
    po->running = true;
    dev_add_pack(&po->prot_hook);
}

void packet_unhook(packet_sock *po)
{
    if (!po->running)
        return;
    po->running = false;
    dev_remove_pack(&po->prot_hook); // nobody is in it any more
    if (!po->ring.nr_frames)
        po->prot_hook.func = nullptr;
}

namespace
{
// --- Binding ---------------------------------------------------------------------------------------------------------------------

/// Another device (its reference becomes the hook's; null: all) and protocol. bind_lock held.
void do_bind(packet_sock *po, net_device *dev, be16 num)
{
    packet_unhook(po);
    dev_put(po->prot_hook.dev);
    po->prot_hook.dev = dev;
    po->ifindex = dev ? static_cast<int>(dev->ifindex) : 0;
    po->num = num;
    packet_hook(po);
    if (dev && !(dev->flags & IFF_UP)) {
        po->sk_err.store(ENETDOWN);
        po->sk_error_report(po);
    }
}

result<void> pk_bind(socket *s, sockaddr_storage *a, int len)
{
    packet_sock *po = pkt_sk(s->sk);
    auto *sll = reinterpret_cast<const sockaddr_ll *>(a);
    if (len < static_cast<int>(sizeof *sll) || sll->sll_family != AF_PACKET)
        return error{EINVAL};
    net_device *dev = nullptr;
    if (sll->sll_ifindex) {
        dev = sll->sll_ifindex > 0 ? dev_get_by_index(static_cast<u32>(sll->sll_ifindex)) : nullptr;
        if (!dev)
            return error{ENODEV};
    }
    mutex_guard g{po->bind_lock};
    do_bind(po, dev, sll->sll_protocol ? sll->sll_protocol : po->num);
    return {};
}

result<int> pk_getname(socket *s, sockaddr_storage *a, bool peer)
{
    packet_sock *po = pkt_sk(s->sk);
    if (peer)
        return error{EOPNOTSUPP};
    sockaddr_ll sll{AF_PACKET, po->num, po->ifindex, 0, 0, 0, {}};
    net_device *dev = po->ifindex ? dev_get_by_index(static_cast<u32>(po->ifindex)) : nullptr;
    if (dev) {
        sll.sll_hatype = dev->type;
        sll.sll_halen = dev->addr_len;
        memcpy(sll.sll_addr, dev->dev_addr, min<size_t>(dev->addr_len, sizeof sll.sll_addr));
        dev_put(dev);
    }
    memcpy(a, &sll, sizeof sll);
    return SLL_ADDR_OFFSET + sll.sll_halen;
}

// --- Memberships -------------------------------------------------------------------------------------------------------------------

/// Apply a membership to its device, or undo it. rtnl held. The device may be gone: then it is over anyhow.
int change_device(const packet_mclist &m, int what)
{
    net_device *dev = dev_get_by_index(static_cast<u32>(m.ifindex));
    if (!dev)
        return -ENODEV;
    int err = -EINVAL;
    if (m.type == PACKET_MR_MULTICAST && m.alen == dev->addr_len)
        err = what > 0 ? dev_mc_add(dev, m.addr) : dev_mc_del(dev, m.addr);
    else if (m.type == PACKET_MR_PROMISC)
        err = dev_set_promiscuity(dev, what);
    else if (m.type == PACKET_MR_ALLMULTI)
        err = dev_set_allmulti(dev, what);
    dev_put(dev);
    return err;
}

/// struct packet_mreq of the ABI.
struct packet_mreq {
    s32 mr_ifindex;
    u16 mr_type, mr_alen;
    u8 mr_address[8];
};

bool same(const packet_mclist &m, const packet_mreq &r)
{
    return m.ifindex == r.mr_ifindex && m.type == r.mr_type && m.alen == r.mr_alen &&
           memcmp(m.addr, r.mr_address, min<size_t>(m.alen, sizeof m.addr)) == 0;
}

int add_membership(packet_sock *po, const packet_mreq &r)
{
    for (packet_mclist *m = po->mclist; m; m = m->next)
        if (same(*m, r)) {
            m->count++;
            return 0;
        }
    auto *m = knew<packet_mclist>(GFP_KERNEL);
    if (!m)
        return -ENOBUFS;
    *m = {po->mclist, r.mr_ifindex, r.mr_type, r.mr_alen, {}, 1};
    memcpy(m->addr, r.mr_address, sizeof m->addr);
    if (int err = change_device(*m, 1)) {
        kdelete(m);
        return err;
    }
    po->mclist = m;
    return 0;
}

int drop_membership(packet_sock *po, const packet_mreq &r)
{
    for (packet_mclist **at = &po->mclist; packet_mclist *m = *at; at = &m->next) {
        if (!same(*m, r))
            continue;
        if (--m->count == 0) {
            *at = m->next;
            (void)change_device(*m, -1);
            kdelete(m);
        }
        return 0;
    }
    return 0; // Linux: leaving what was not joined is no error
}

result<void> membership(packet_sock *po, user_ptr<const void> val, unsigned len, bool add)
{
    packet_mreq r;
    if (len < sizeof r)
        return error{EINVAL};
    TRY_VOID(copy_from_user(&r, val, sizeof r));
    if (r.mr_alen > sizeof r.mr_address)
        return error{EINVAL};
    mutex_guard g{rtnl_mutex};
    int err = add ? add_membership(po, r) : drop_membership(po, r);
    return err ? result<void>{error{static_cast<errno_t>(-err)}} : result<void>{};
}

// --- Options -----------------------------------------------------------------------------------------------------------------------

result<void> pk_setsockopt(socket *s, int level, int name, user_ptr<const void> val, unsigned len)
{
    packet_sock *po = pkt_sk(s->sk);
    if (level != SOL_PACKET)
        return error{ENOPROTOOPT};
    if (name == PACKET_ADD_MEMBERSHIP || name == PACKET_DROP_MEMBERSHIP)
        return membership(po, val, len, name == PACKET_ADD_MEMBERSHIP);
    mutex_guard g{po->bind_lock};
    if (name == PACKET_RX_RING)
        return packet_set_ring(po, val, len);
    u32 v;
    if (len < sizeof v)
        return error{EINVAL};
    TRY_VOID(copy_from_user(&v, val, sizeof v));
    switch (name) {
    case PACKET_AUXDATA:
        po->auxdata = v;
        return {};
    case PACKET_ORIGDEV:
        po->origdev = v;
        return {};
    case PACKET_LOSS:
        po->loss = v;
        return {};
    case PACKET_COPY_THRESH:
        return {};
    case PACKET_VERSION:
    case PACKET_RESERVE:
        if (po->ring.nr_frames)
            return error{EBUSY};
        if (name == PACKET_VERSION ? v > 1 : v > INT16_MAX)
            return error{EINVAL};
        (name == PACKET_VERSION ? po->version : po->reserve) = v;
        return {};
    default:
        return error{ENOPROTOOPT};
    }
}

/// Value of an option in `v`: its length.
result<int> get_option(packet_sock *po, int name, user_ptr<void> val, u32 (&v)[2])
{
    switch (name) {
    case PACKET_STATISTICS: { // reading resets them; packets count the dropped ones too
        u32 drops = po->tp_drops.exchange(0);
        v[0] = po->tp_packets.exchange(0) + drops;
        v[1] = drops;
        return 8;
    }
    case PACKET_AUXDATA:
        v[0] = po->auxdata;
        return 4;
    case PACKET_ORIGDEV:
        v[0] = po->origdev;
        return 4;
    case PACKET_LOSS:
        v[0] = po->loss;
        return 4;
    case PACKET_VERSION:
        v[0] = po->version;
        return 4;
    case PACKET_RESERVE:
        v[0] = po->reserve;
        return 4;
    case PACKET_HDRLEN: // the version to ask about is in the value
        TRY_VOID(copy_from_user(v, user_ptr<const void>{val.addr()}, 4));
        if (v[0] != 1)
            return error{EINVAL};
        v[0] = 32; // sizeof(struct tpacket2_hdr)
        return 4;
    default:
        return error{ENOPROTOOPT};
    }
}

result<void> pk_getsockopt(socket *s, int level, int name, user_ptr<void> val, user_ptr<int> optlen)
{
    int len;
    u32 v[2] = {};
    if (level != SOL_PACKET)
        return error{ENOPROTOOPT};
    TRY_VOID(get_user(len, optlen));
    if (len < 0 || (name == PACKET_HDRLEN && len < 4))
        return error{EINVAL};
    int n = min(TRY(get_option(pkt_sk(s->sk), name, val, v)), len);
    TRY_VOID(put_user(optlen, n));
    return copy_to_user(val, v, static_cast<size_t>(n));
}

// --- The socket --------------------------------------------------------------------------------------------------------------------

result<void> pk_release(socket *s)
{
    sock *sk = s->sk;
    if (!sk)
        return {};
    packet_sock *po = pkt_sk(sk);
    s->sk = nullptr;
    {
        mutex_guard g{po->bind_lock};
        packet_unhook(po);
        dev_put(po->prot_hook.dev);
        po->prot_hook.dev = nullptr;
    }
    {
        mutex_guard g{rtnl_mutex};
        while (packet_mclist *m = po->mclist) {
            po->mclist = m->next;
            (void)change_device(*m, -1);
            kdelete(m);
        }
    }
    sock_orphan(sk);
    sock_put(sk);
    return {};
}

/// PACKET_AUXDATA's control message.
struct tpacket_auxdata {
    u32 tp_status, tp_len, tp_snaplen;
    u16 tp_mac, tp_net, tp_vlan_tci, tp_padding;
};

void put_auxdata(msghdr *m, sk_buff *skb)
{
    constexpr u32 TP_STATUS_USER = 1, TP_STATUS_CSUMNOTREADY = 8;
    tpacket_auxdata aux{TP_STATUS_USER,
                        PACKET_SKB_CB(skb).origlen,
                        skb->len,
                        0,
                        static_cast<u16>(max(skb_network_offset(skb), 0)),
                        skb->vlan_tci,
                        0};
    if (skb->ip_summed == CHECKSUM_PARTIAL)
        aux.tp_status |= TP_STATUS_CSUMNOTREADY;
    auto r = put_cmsg(m, SOL_PACKET, PACKET_AUXDATA, &aux, sizeof aux);
    (void)r; // a bad address loses it
}

result<size_t> pk_recvmsg(socket *s, msghdr *m, size_t len, u32 flags)
{
    packet_sock *po = pkt_sk(s->sk);
    if (flags & ~(MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC | MSG_ERRQUEUE | MSG_CMSG_CLOEXEC))
        return error{EINVAL};
    bool peeked;
    sk_buff *skb = TRY(skb_recv_datagram(po, flags, flags & MSG_DONTWAIT, &peeked));
    if (!skb)
        return size_t{0};
    u32 size = skb->len, n = static_cast<u32>(min<size_t>(len, size));
    if (n < size)
        m->msg_flags |= MSG_TRUNC;
    auto r = skb_copy_datagram_iter(skb, 0, *m->msg_iter, n);
    if (r) {
        sock_recv_ts_and_drops(m, po, skb);
        if (m->msg_name) {
            const sockaddr_ll &sll = PACKET_SKB_CB(skb).sll;
            memcpy(m->msg_name, &sll, sizeof sll);
            m->msg_namelen = SLL_ADDR_OFFSET + max<int>(sll.sll_halen, 8);
        }
        if (po->auxdata)
            put_auxdata(m, skb);
    }
    skb_free_datagram_locked(po, skb);
    if (!r)
        return r.fail();
    return flags & MSG_TRUNC ? size_t{size} : size_t{n};
}

u32 pk_poll(file *f, socket *s, poll_table *pt)
{
    u32 mask = datagram_poll(f, s, pt);
    if (packet_ring_readable(pkt_sk(s->sk)))
        mask |= POLLIN | POLLRDNORM;
    return mask;
}

result<s64> pk_ioctl(socket *s, u32 cmd, u64 arg)
{
    sock *sk = s->sk;
    if (cmd != SIOCINQ && cmd != SIOCOUTQ)
        return inet_ioctl(s, cmd, arg);
    int n = sk_wmem_alloc_get(sk);
    if (cmd == SIOCINQ) {
        spin_guard<irqsave> g{sk->sk_receive_queue.lock};
        const sk_buff *skb = skb_peek(&sk->sk_receive_queue);
        n = skb ? static_cast<int>(skb->len) : 0;
    }
    TRY_VOID(put_user(user_ptr<int>{arg}, n));
    return s64{0};
}

result<void> no_connect(socket *, sockaddr_storage *, int, u32)
{
    return error{EOPNOTSUPP};
}
result<void> no_accept(socket *, socket *, u32)
{
    return error{EOPNOTSUPP};
}
result<void> no_listen(socket *, int)
{
    return error{EOPNOTSUPP};
}

constinit const proto_ops packet_ops = {
    .family = AF_PACKET,
    .name = "packet_ops",
    .release = pk_release,
    .bind = pk_bind,
    .connect = no_connect,
    .accept = no_accept,
    .getname = pk_getname,
    .poll = pk_poll,
    .ioctl = pk_ioctl,
    .listen = no_listen,
    .shutdown = no_listen,
    .setsockopt = pk_setsockopt,
    .getsockopt = pk_getsockopt,
    .sendmsg = packet_sendmsg,
    .recvmsg = pk_recvmsg,
    .file_page = packet_file_page,
};

result<void> pk_create(socket *s, int protocol, bool kern)
{
    if (!kern && !capable_net())
        return error{EPERM};
    if (s->type != SOCK_DGRAM && s->type != SOCK_RAW)
        return error{ESOCKTNOSUPPORT};
    sock *sk = sk_alloc(AF_PACKET, GFP_KERNEL, &packet_proto);
    if (!sk)
        return error{ENOBUFS};
    s->ops = &packet_ops;
    sock_init_data(s, sk);
    sk->sk_destruct = packet_destruct;
    packet_sock *po = pkt_sk(sk);
    po->num.raw = static_cast<u16>(protocol);
    mutex_guard g{po->bind_lock};
    packet_hook(po);
    return {};
}

const net_proto_family packet_family = {AF_PACKET, pk_create, "packet"};

// --- /proc/net/packet --------------------------------------------------------------------------------------------------------------

void show_one(sock *sk, void *arg)
{
    if (sk->sk_family != AF_PACKET)
        return;
    packet_sock *po = pkt_sk(sk);
    seq_printf(static_cast<seq_file *>(arg), "%016lx %-6d %-4d %04x   %-5d %1d %-6d %-6u %-6llu\n",
               reinterpret_cast<unsigned long>(sk), sk->sk_refcnt.read(), sk->sk_type,
               po->num.host(), po->ifindex, po->running, sk->sk_rmem_alloc.load(),
               static_cast<u32>(sk->sk_uid), static_cast<unsigned long long>(sk->sk_ino));
}

void packet_show(seq_file *m)
{
    seq_puts(m, "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n");
    for_each_sock(show_one, m);
}

int packet_init()
{
    if (int err = proto_register(&packet_proto))
        return err;
    proc_create("net/packet", packet_show);
    return sock_register(&packet_family);
}
fs_initcall(packet_init);
} // namespace
