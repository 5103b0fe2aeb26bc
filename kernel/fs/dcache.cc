// SPDX-License-Identifier: MIT
// The dentry tree: names, their parents and children. Linux: fs/dcache.c. Every entry of the tree exists in memory (there is no disk
// behind it), so there is no cache to shrink; entries made on demand (proc) never enter the tree.
//
// Contexts: process. Locks: the tree lock for parent/child/name changes; reference counts need none, because an entry in
// the tree always has the tree's reference.

#include "fs/internal.h"
#include "lib/string.h"
#include "mm/static_object.h"

namespace
{
kmem_cache *dentry_cache;
static_object<mutex> tree_lock;
/// A move changes parent and name under this lock too, for who looks at them without the tree lock.
spinlock rename_lock{"vfs.rename"};
} // namespace

mutex &vfs_tree_lock()
{
    return *tree_lock;
}

u32 name_hash(const char *name, size_t len)
{
    u32 h = 2166136261u; // FNV-1a
    for (size_t i = 0; i < len; i++)
        h = (h ^ static_cast<u8>(name[i])) * 16777619u;
    return h;
}

namespace
{
/// Store a name of `len` bytes; false: out of memory, nothing changed. rename_lock held, unless the entry is new.
bool set_name(dentry *d, const char *name, size_t len)
{
    char *longer = nullptr;
    if (len >= sizeof d->name) {
        longer = static_cast<char *>(kmalloc(len + 1, GFP_ATOMIC));
        if (!longer)
            return false;
        memcpy(longer, name, len);
        longer[len] = 0;
    } else {
        memmove(d->name, name, len);
        d->name[len] = 0;
    }
    kfree(d->long_name);
    d->long_name = longer;
    d->hash = name_hash(name, len);
    return true;
}
} // namespace

dentry *d_alloc(dentry *parent, const char *name, size_t len, inode *i)
{
    auto *d = kmem_cache_new<dentry>(dentry_cache, GFP_KERNEL);
    if (!d)
        return nullptr;
    if (!set_name(d, name, len)) {
        kmem_cache_delete(dentry_cache, d);
        return nullptr;
    }
    d->parent = parent ? dget(parent) : nullptr;
    d->d_inode = i;
    return d;
}

result<dentry *> d_alloc_pseudo(const char *name, inode *i)
{
    dentry *d = d_alloc(nullptr, name, strlen(name), i);
    if (!d)
        return error{ENOMEM};
    return d;
}

dentry *dget(dentry *d)
{
    d->count.get();
    return d;
}

void dput(dentry *d)
{
    // The loop frees a chain of ancestors that only this entry kept alive, without recursion.
    while (d && d->count.put()) {
        dentry *parent = d->parent;
        if (d->d_inode)
            iput(d->d_inode);
        kfree(d->long_name);
        kmem_cache_delete(dentry_cache, d);
        d = parent;
    }
}

namespace
{
/// tmpfs counts 20 bytes for each entry of a directory (Linux BOGO_DIRENT_SIZE); other trees' directories have size 0.
void count_entry(dentry *dir, bool added)
{
    inode *i = dir->d_inode;
    if (i->size >= 2 * BOGO_DIRENT_SIZE)
        write_once(i->size, added ? i->size + BOGO_DIRENT_SIZE : i->size - BOGO_DIRENT_SIZE);
}
} // namespace

void d_add(dentry *d)
{
    count_entry(d->parent, true);
    d->cookie = d->parent->next_cookie++;
    d->parent->children.push_back(*d);
}

void d_drop(dentry *d)
{
    count_entry(d->parent, false);
    d->child.unlink();
    d->unlinked = true;
    dput(d);
}

dentry *d_find(dentry *dir, const char *name, size_t len)
{
    u32 h = name_hash(name, len);
    for (dentry &c : dir->children) {
        const char *n = c.dname();
        if (c.hash == h && strncmp(n, name, len) == 0 && n[len] == 0)
            return &c;
    }
    return nullptr;
}

bool d_move(dentry *d, dentry *new_parent, const char *name, size_t len)
{
    dentry *old = d->parent;
    dget(new_parent);
    {
        spin_guard<plain> g{rename_lock};
        if (!set_name(d, name, len)) {
            dput(new_parent);
            return false;
        }
        d->parent = new_parent;
    }
    count_entry(old, false);
    d->child.unlink();
    d_add(d);
    dput(old);
    return true;
}

dentry *dget_watched_parent(dentry *d, char *name)
{
    spin_guard<plain> g{rename_lock};
    dentry *parent = d->parent;
    if (!parent || !read_once(parent->d_inode->i_marks))
        return nullptr;
    memcpy(name, d->dname(), strlen(d->dname()) + 1);
    return dget(parent);
}

bool d_is_ancestor(const dentry *a, const dentry *d)
{
    for (; d; d = d->parent)
        if (d == a)
            return true;
    return false;
}

namespace
{
/// A string that grows towards its front.
struct front_buffer {
    char *start, *at;
    bool put(const char *s, size_t len)
    {
        if (static_cast<size_t>(at - start) < len)
            return false;
        at -= len;
        memcpy(at, s, len);
        return true;
    }
};
} // namespace

char *d_path_locked(const path &p, const path &root, char *buf, size_t n, bool deleted)
{
    front_buffer out{buf, buf + n};
    if (!out.put("", 1))
        return nullptr;
    if (deleted && p.dentry->unlinked && !out.put(" (deleted)", 10))
        return nullptr;
    if (!p.mnt) { // anonymous, or the inside of a file system that is not mounted
        const char *name = p.dentry->dname();
        return out.put(name, strlen(name)) ? out.at : nullptr;
    }
    char *end = out.at;
    path at = p;
    while (!(at.mnt == root.mnt && at.dentry == root.dentry)) {
        if (at.dentry == at.mnt->root) {
            if (!at.mnt->parent)
                break;
            at = {at.mnt->parent, at.mnt->mountpoint};
            continue;
        }
        const char *name = at.dentry->dname();
        if (!out.put(name, strlen(name)) || !out.put("/", 1))
            return nullptr;
        if (!at.dentry->parent)
            break;
        at.dentry = at.dentry->parent;
    }
    if (out.at == end && !out.put("/", 1))
        return nullptr;
    return out.at;
}

char *d_path(const path &p, const path &root, char *buf, size_t n)
{
    tree_guard g;
    return d_path_locked(p, root, buf, n, true);
}

void dcache_init()
{
    tree_lock.init("vfs.tree");
    dentry_cache = kmem_cache_create("dentry", sizeof(dentry));
}
