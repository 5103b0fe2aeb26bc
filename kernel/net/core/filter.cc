// SPDX-License-Identifier: MIT
// The checker and the interpreter of classic BPF, and SO_ATTACH_FILTER. Linux: net/core/filter.c. Checker and options in process
// context; the interpreter anywhere.

#include "net/core/filter.h"
#include "net/core/netdevice.h"
#include "net/core/sock.h"

namespace
{
// Fields of an instruction's code.
constexpr u16 LD = 0, LDX = 1, ST = 2, STX = 3, ALU = 4, JMP = 5, RET = 6, MISC = 7;
constexpr u16 W = 0x00, H = 0x08, B = 0x10;
constexpr u16 IMM = 0x00, ABS = 0x20, IND = 0x40, MEM = 0x60, LEN = 0x80, MSH = 0xa0;
constexpr u16 ADD = 0, SUB = 0x10, MUL = 0x20, DIV = 0x30, OR = 0x40, AND = 0x50, LSH = 0x60,
              RSH = 0x70, NEG = 0x80, MOD = 0x90, XOR = 0xa0;
constexpr u16 JA = 0, JEQ = 0x10, JGT = 0x20, JGE = 0x30, JSET = 0x40;
constexpr u16 K = 0, X = 8, A = 0x10;
constexpr u16 TAX = 0, TXA = 0x80;

// Offsets below zero mean facts about the packet, or headers that lie in front of the data.
constexpr s32 SKF_AD_OFF = -0x1000, SKF_NET_OFF = -0x100000, SKF_LL_OFF = -0x200000;
enum : s32 {
    AD_PROTOCOL = 0,
    AD_PKTTYPE = 4,
    AD_IFINDEX = 8,
    AD_MARK = 20,
    AD_QUEUE = 24,
    AD_HATYPE = 28,
    AD_RXHASH = 32,
    AD_CPU = 36,
    AD_ALU_XOR_X = 40,
    AD_VLAN_TAG = 44,
    AD_VLAN_TAG_PRESENT = 48
};

/// Whether an instruction exists, its operands looked at one by one.
bool known(const sock_filter &i)
{
    u16 op = i.code & 0xf0, mode = i.code & 0xe0, size = i.code & 0x18;
    switch (i.code & 7) {
    case LD:
        if (mode == IMM || mode == MEM || mode == LEN)
            return size == W && !(i.code & ~0xe7) && (mode != MEM || i.k < BPF_MEMWORDS);
        return (mode == ABS || mode == IND) && size != 0x18 && i.code < 0x100;
    case LDX:
        if (mode == MSH)
            return size == B && i.code < 0x100;
        return (mode == IMM || mode == LEN || (mode == MEM && i.k < BPF_MEMWORDS)) && size == W &&
               i.code < 0x100;
    case ST:
    case STX:
        return i.code == (i.code & 7) && i.k < BPF_MEMWORDS;
    case ALU:
        if (i.code & 0xff00)
            return false;
        if ((op == DIV || op == MOD) && !(i.code & X) && !i.k)
            return false;
        return op <= XOR && !(op == NEG && (i.code & X));
    case JMP:
        return i.code < 0x100 && op <= JSET && !(op == JA && (i.code & X));
    case RET:
        return i.code == (RET | K) || i.code == (RET | A);
    default:
        return i.code == (MISC | TAX) || i.code == (MISC | TXA);
    }
}

/// Every load from memory follows a store on every way to it. `valid` has a mask per instruction; all jumps go forward.
bool memory_is_written_first(const sock_filter *f, u32 len, u16 *valid)
{
    u16 now = 0;
    for (u32 pc = 0; pc < len; pc++)
        valid[pc] = 0xffff;
    for (u32 pc = 0; pc < len; pc++) {
        now &= valid[pc];
        const sock_filter &i = f[pc];
        switch (i.code & 7) {
        case ST:
        case STX:
            now |= static_cast<u16>(1u << i.k);
            break;
        case LD:
        case LDX:
            if ((i.code & 0xe0) == MEM && !(now & 1u << i.k))
                return false;
            break;
        case JMP:
            if ((i.code & 0xf0) == JA) {
                valid[pc + 1 + i.k] &= now;
            } else {
                valid[pc + 1 + i.jt] &= now;
                valid[pc + 1 + i.jf] &= now;
            }
            now = 0xffff;
            break;
        case RET:
            now = 0xffff;
            break;
        }
    }
    return true;
}
} // namespace

bool sk_chk_filter(const sock_filter *f, u32 len)
{
    if (!len || len > BPF_MAXINSNS)
        return false;
    for (u32 pc = 0; pc < len; pc++) {
        const sock_filter &i = f[pc];
        if (!known(i))
            return false;
        u32 left = len - pc - 1;
        if ((i.code & 7) != JMP)
            continue;
        if ((i.code & 0xf0) == JA ? i.k >= left : i.jt >= left || i.jf >= left)
            return false;
    }
    if ((f[len - 1].code & 7) != RET)
        return false;
    auto *valid = static_cast<u16 *>(kmalloc(len * sizeof(u16), GFP_KERNEL));
    bool good = valid && memory_is_written_first(f, len, valid);
    kfree(valid);
    return good;
}

// --- Running -------------------------------------------------------------------------------------------------------------------

namespace
{
/// A fact about the packet; false: there is none at this offset.
bool ancillary(const sk_buff *skb, s32 off, u32 x, u32 *a)
{
    switch (off) {
    case AD_PROTOCOL:
        *a = skb->protocol.host();
        return true;
    case AD_PKTTYPE:
        *a = skb->pkt_type;
        return true;
    case AD_IFINDEX:
        *a = skb->dev ? skb->dev->ifindex : 0;
        return skb->dev;
    case AD_HATYPE:
        *a = skb->dev ? skb->dev->type : 0;
        return skb->dev;
    case AD_MARK:
        *a = skb->mark;
        return true;
    case AD_QUEUE:
        *a = skb->queue_mapping;
        return true;
    case AD_RXHASH:
        *a = skb->hash;
        return true;
    case AD_CPU:
        *a = smp_processor_id();
        return true;
    case AD_VLAN_TAG:
        *a = skb->vlan_tci;
        return true;
    case AD_VLAN_TAG_PRESENT:
        *a = skb->vlan_present;
        return true;
    case AD_ALU_XOR_X:
        *a ^= x;
        return true;
    default:
        return false;
    }
}

/// `size` bytes at an offset, big-endian; false: outside of the packet.
bool load(const sk_buff *skb, u32 offset, u32 size, u32 x, u32 *a)
{
    auto off = static_cast<s32>(offset);
    u8 bytes[4];
    if (off >= 0) {
        if (skb_copy_bits(skb, offset, bytes, size))
            return false;
    } else if (off >= SKF_AD_OFF) {
        return ancillary(skb, off - SKF_AD_OFF, x, a);
    } else {
        // Headers in front of the data: only what is in the linear part.
        const u8 *base = off >= SKF_NET_OFF  ? skb_network_header(skb) + (off - SKF_NET_OFF)
                         : off >= SKF_LL_OFF ? skb_mac_header(skb) + (off - SKF_LL_OFF)
                                             : nullptr;
        if (!base || base < skb->head || base + size > skb_tail_pointer(skb))
            return false;
        memcpy(bytes, base, size);
    }
    u32 v = 0;
    for (u32 i = 0; i < size; i++)
        v = v << 8 | bytes[i];
    *a = v;
    return true;
}

/// An arithmetic instruction; false: division by zero.
bool alu(u16 op, u32 *a, u32 v)
{
    switch (op) {
    case ADD:
        *a += v;
        return true;
    case SUB:
        *a -= v;
        return true;
    case MUL:
        *a *= v;
        return true;
    case DIV:
    case MOD:
        if (!v)
            return false;
        *a = op == DIV ? *a / v : *a % v;
        return true;
    case OR:
        *a |= v;
        return true;
    case AND:
        *a &= v;
        return true;
    case XOR:
        *a ^= v;
        return true;
    case LSH:
        *a = v < 32 ? *a << v : 0;
        return true;
    case RSH:
        *a = v < 32 ? *a >> v : 0;
        return true;
    default: // NEG
        *a = -*a;
        return true;
    }
}

bool jump_taken(u16 op, u32 a, u32 v)
{
    return op == JEQ ? a == v : op == JGT ? a > v : op == JGE ? a >= v : (a & v) != 0;
}

struct machine {
    u32 a = 0, x = 0, mem[BPF_MEMWORDS] = {};
};

/// LD and LDX; false: the packet is too short.
bool run_load(const sk_buff *skb, const sock_filter &i, machine &m)
{
    u32 &to = (i.code & 7) == LD ? m.a : m.x;
    u32 size = (i.code & 0x18) == W ? 4 : (i.code & 0x18) == H ? 2 : 1;
    switch (i.code & 0xe0) {
    case IMM:
        to = i.k;
        return true;
    case LEN:
        to = skb->len;
        return true;
    case MEM:
        to = m.mem[i.k];
        return true;
    case MSH: { // four times the low half byte: an IP header's length
        u32 v;
        if (!load(skb, i.k, 1, m.x, &v))
            return false;
        m.x = (v & 0xf) << 2;
        return true;
    }
    case IND:
        return load(skb, m.x + i.k, size, m.x, &m.a);
    default: // ABS
        return load(skb, i.k, size, m.x, &m.a);
    }
}
} // namespace

u32 sk_run_filter(const sk_buff *skb, const sock_filter *f, u32 len)
{
    machine m;
    for (u32 pc = 0; pc < len; pc++) {
        const sock_filter &i = f[pc];
        u32 v = i.code & X ? m.x : i.k;
        switch (i.code & 7) {
        case LD:
        case LDX:
            if (!run_load(skb, i, m))
                return 0;
            break;
        case ST:
            m.mem[i.k] = m.a;
            break;
        case STX:
            m.mem[i.k] = m.x;
            break;
        case ALU:
            if (!alu(i.code & 0xf0, &m.a, v))
                return 0;
            break;
        case JMP:
            pc += (i.code & 0xf0) == JA ? i.k : jump_taken(i.code & 0xf0, m.a, v) ? i.jt : i.jf;
            break;
        case RET:
            return (i.code & 0x18) == A ? m.a : v;
        default:
            i.code &TXA ? m.a = m.x : m.x = m.a;
            break;
        }
    }
    return 0;
}

// --- On sockets ------------------------------------------------------------------------------------------------------------------

int sk_filter(sock *sk, sk_buff *skb, u32 keep)
{
    rcu_read_lock();
    const sk_filter_prog *p = rcu_dereference(sk->sk_filter);
    u32 n = p ? sk_run_filter(skb, p->insns, p->len) : ~u32{0};
    rcu_read_unlock();
    if (!n)
        return -EPERM;
    n = max(n, keep);
    return n < skb->len ? pskb_trim(skb, n) : 0;
}

static void free_prog_rcu(rcu_head *h)
{
    kfree(container_of(h, sk_filter_prog, rcu));
}

/// Put a program (null: none) in the place of the old one; false: there was none.
static bool replace_prog(sock *sk, sk_filter_prog *p)
{
    sk_filter_prog *old = __atomic_exchange_n(&sk->sk_filter, p, __ATOMIC_ACQ_REL);
    if (old)
        call_rcu(&old->rcu, free_prog_rcu);
    return old;
}

result<void> sk_attach_filter(sock *sk, user_ptr<const void> val, unsigned len)
{
    struct sock_fprog {
        u16 len;
        u64 filter;
    } fprog;
    if (len < sizeof fprog)
        return error{EINVAL};
    TRY_VOID(copy_from_user(&fprog, val, sizeof fprog));
    if (sock_flag(sk, SOCK_FILTER_LOCKED))
        return error{EPERM};
    if (!fprog.filter || !fprog.len || fprog.len > BPF_MAXINSNS)
        return error{EINVAL};
    size_t bytes = fprog.len * sizeof(sock_filter);
    void *mem = kmalloc(sizeof(sk_filter_prog) + bytes, GFP_KERNEL);
    if (!mem)
        return error{ENOMEM};
    auto *p = new (mem) sk_filter_prog;
    p->len = fprog.len;
    auto r = copy_from_user(p->insns, user_ptr<const void>{fprog.filter}, bytes);
    if (r && !sk_chk_filter(p->insns, p->len))
        r = error{EINVAL};
    if (!r) {
        kfree(p);
        return r;
    }
    replace_prog(sk, p);
    return {};
}

result<void> sk_detach_filter(sock *sk)
{
    if (sock_flag(sk, SOCK_FILTER_LOCKED))
        return error{EPERM};
    return replace_prog(sk, nullptr) ? result<void>{} : result<void>{error{ENOENT}};
}

void sk_filter_release(sock *sk)
{
    replace_prog(sk, nullptr);
}
