// SPDX-License-Identifier: MIT
// Names of AF_UNIX sockets: paths (an inode of type S_IFSOCK), abstract names, automatic ones. Linux: net/unix/af_unix.c. Process context;
// unix_lock for the table.

#include "lib/string.h"
#include "mm/static_object.h"
#include "net/unix/af_unix.h"

namespace
{
constexpr u32 UNIX_HASH_SIZE = 256;
using unix_list = list<unix_sock, &unix_sock::node>;
/// Names by their hash (abstract) or inode number (paths); the last list is of sockets without one.
struct unix_table {
    unix_list slot[UNIX_HASH_SIZE + 1];
};
static_object<unix_table> table;

constexpr int NAME_OFFSET = offsetof(sockaddr_un, sun_path);

u32 hash_name(const sockaddr_un *a, int len)
{
    u32 h = 2166136261u;
    for (int i = 0; i < len - NAME_OFFSET; i++)
        h = (h ^ static_cast<u8>(a->sun_path[i])) * 16777619u;
    return h % UNIX_HASH_SIZE;
}

/// unix_lock held.
sock *find_by_name(const sockaddr_un *a, int len, u16 type, u32 hash)
{
    for (unix_sock &u : table->slot[hash])
        if (u.addr && u.sk_type == type && u.addr->len == len && !u.where.dentry &&
            memcmp(&u.addr->name, a, static_cast<size_t>(len)) == 0)
            return &u;
    return nullptr;
}

sock *find_by_inode(const inode *i)
{
    for (unix_sock &u : table->slot[i->ino % UNIX_HASH_SIZE])
        if (u.where.dentry && u.where.dentry->d_inode == i)
            return &u;
    return nullptr;
}

void move_to(unix_sock *u, u32 slot)
{
    u->node.unlink();
    table->slot[slot].push_back(*u);
}

unix_address *new_address(const sockaddr_un *a, int len, u32 hash)
{
    auto *n = knew<unix_address>(GFP_KERNEL);
    if (n) {
        memcpy(&n->name, a, static_cast<size_t>(len));
        n->len = len;
        n->hash = hash;
    }
    return n;
}

/// A new inode of type S_IFSOCK at `name`: its place with references. EADDRINUSE when something is there.
result<path> make_node(const char *name, u32 mode)
{
    nameidata nd;
    TRY_VOID(nd.walk(AT_FDCWD, name, LOOKUP_PARENT));
    auto d = vfs_create_at(nd, mode, 0, nullptr);
    if (!d)
        return error{d.err() == EEXIST ? EADDRINUSE : static_cast<errno_t>(d.err())};
    path p{nd.at().mnt, *d};
    if (p.mnt)
        mntget(p.mnt);
    return p;
}

/// Claim an abstract name; false: taken.
bool claim_abstract(unix_sock *u, unix_address *a)
{
    spin_guard<bh> g{unix_lock};
    if (find_by_name(&a->name, a->len, u->sk_type, a->hash))
        return false;
    u->addr = a;
    move_to(u, a->hash);
    return true;
}

/// readlock held, the socket has no name yet.
result<void> bind_path(unix_sock *u, unix_address *a, u32 mode)
{
    path p = TRY(make_node(a->name.sun_path, mode));
    spin_guard<bh> g{unix_lock};
    u->where = p;
    u->addr = a;
    move_to(u, static_cast<u32>(p.dentry->d_inode->ino % UNIX_HASH_SIZE));
    return {};
}
} // namespace

result<int> unix_mkname(sockaddr_storage *a, int len, u32 *hash)
{
    if (len <= NAME_OFFSET || len > static_cast<int>(sizeof(sockaddr_un)) ||
        a->ss_family != AF_UNIX)
        return error{EINVAL};
    auto *un = reinterpret_cast<sockaddr_un *>(a);
    if (un->sun_path[0]) {
        reinterpret_cast<char *>(a)[len] = 0; // there is room: sockaddr_storage is longer
        *hash = 0;
        return static_cast<int>(strlen(un->sun_path)) + 1 + NAME_OFFSET;
    }
    *hash = hash_name(un, len);
    return len;
}

result<void> unix_autobind(sock *sk)
{
    static std::atomic<u32> ordernum{1};
    unix_sock *u = unix_sk(sk);
    mutex_guard g{u->readlock};
    if (u->addr)
        return {};
    for (u32 tries = 0; tries < 0x100000; tries++) {
        sockaddr_un un{AF_UNIX, {}};
        u32 n = ordernum.fetch_add(1, std::memory_order_relaxed) & 0xfffff;
        int len = NAME_OFFSET + 1 + snprintf(un.sun_path + 1, UNIX_PATH_MAX - 1, "%05x", n);
        unix_address *a = new_address(&un, len, hash_name(&un, len));
        if (!a)
            return error{ENOMEM};
        if (claim_abstract(u, a))
            return {};
        kdelete(a);
        cond_resched();
    }
    return error{ENOSPC};
}

result<void> unix_bind(socket *s, sockaddr_storage *a, int len)
{
    unix_sock *u = unix_sk(s->sk);
    if (len < NAME_OFFSET || a->ss_family != AF_UNIX)
        return error{EINVAL};
    if (len == NAME_OFFSET)
        return unix_autobind(u);
    u32 hash;
    len = TRY(unix_mkname(a, len, &hash));
    auto *un = reinterpret_cast<sockaddr_un *>(a);
    mutex_guard g{u->readlock};
    if (u->addr)
        return error{EINVAL};
    unix_address *n = new_address(un, len, hash);
    if (!n)
        return error{ENOMEM};
    result<void> r{};
    if (un->sun_path[0])
        r = bind_path(u, n, S_IFSOCK | (SOCK_INODE(s)->mode & 0777 & ~current_umask()));
    else if (!claim_abstract(u, n))
        r = error{EADDRINUSE};
    if (!r)
        kdelete(n);
    return r;
}

result<sock *> unix_find_other(const sockaddr_storage *a, int len, u16 type, u32 hash)
{
    auto *un = reinterpret_cast<const sockaddr_un *>(a);
    if (!un->sun_path[0]) {
        spin_guard<bh> g{unix_lock};
        sock *sk = find_by_name(un, len, type, hash);
        if (!sk)
            return error{ECONNREFUSED};
        sock_hold(sk);
        return sk;
    }
    path_ref p = TRY(kern_path(un->sun_path, LOOKUP_FOLLOW));
    TRY_VOID(inode_permission(p.ino(), MAY_WRITE));
    if ((p.ino()->mode & S_IFMT) != S_IFSOCK)
        return error{ECONNREFUSED};
    spin_guard<bh> g{unix_lock};
    sock *sk = find_by_inode(p.ino());
    if (!sk)
        return error{ECONNREFUSED};
    if (sk->sk_type != type)
        return error{EPROTOTYPE};
    sock_hold(sk);
    return sk;
}

/// The name of `sk` (a copy under unix_lock); its length.
static int copy_name(const unix_sock *u, sockaddr_storage *a)
{
    if (!u->addr) {
        a->ss_family = AF_UNIX;
        a->data[0] = 0;
        return NAME_OFFSET;
    }
    memcpy(a, &u->addr->name, static_cast<size_t>(u->addr->len));
    return u->addr->len;
}

result<int> unix_getname(socket *s, sockaddr_storage *a, bool peer)
{
    spin_guard<bh> g{unix_lock};
    const sock *sk = peer ? unix_sk(s->sk)->peer : s->sk;
    if (!sk)
        return error{ENOTCONN};
    return copy_name(unix_sk(sk), a);
}

void unix_copy_addr(msghdr *m, sock *sk)
{
    if (!m->msg_name)
        return;
    spin_guard<bh> g{unix_lock};
    if (unix_sk(sk)->addr)
        m->msg_namelen = copy_name(unix_sk(sk), m->msg_name);
}

void unix_insert_unbound(unix_sock *u)
{
    spin_guard<bh> g{unix_lock};
    table->slot[UNIX_HASH_SIZE].push_back(*u);
}

void unix_remove(unix_sock *u)
{
    if (u->node.linked())
        u->node.unlink();
}

void unix_release_address(unix_address *a)
{
    if (a && a->refs.put())
        kdelete(a);
}

void for_each_unix(void (*f)(unix_sock *u, void *arg), void *arg)
{
    spin_guard<bh> g{unix_lock};
    for (unix_list &l : table->slot)
        for (unix_sock &u : l)
            f(&u, arg);
}

void unix_name_init()
{
    table.init();
}
