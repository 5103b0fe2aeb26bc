// SPDX-License-Identifier: MIT
// Descriptor tables. Linux: fs/file.c. Process context.
//
// Locks: files_struct.lock (plain) for every change and for reads of a table that others share. The tables themselves and the struct are
// freed after a grace period, so that /proc may look at another task's. A table with one user is read by its task without the lock.

#include "fs/file.h"
#include "fs/locks.h"
#include "lib/string.h"
#include "mm/vmalloc.h"
#include "sched/rcu.h"
#include "sched/signal.h"

namespace
{
constexpr unsigned NR_OPEN_DEFAULT = 64;
constexpr unsigned NR_OPEN_MAX = 1024 * 1024;
int sysctl_nr_open = NR_OPEN_MAX;

/// The arrays, replaced as a whole when they grow.
struct fdtable {
    file **fd = nullptr;
    u64 *open = nullptr; // bit: reserved or open
    u64 *cloexec = nullptr;
    unsigned max = 0; // a multiple of 64
};

bool test_bit(const u64 *map, unsigned n)
{
    return map[n / 64] >> (n % 64) & 1;
}
void set_bit(u64 *map, unsigned n, bool on)
{
    u64 bit = u64{1} << (n % 64);
    map[n / 64] = on ? map[n / 64] | bit : map[n / 64] & ~bit;
}

/// Tables up to this size are one block of memory, larger ones need not be (Linux alloc_fdmem: PAGE_ALLOC_COSTLY_ORDER).
constexpr size_t LARGEST_BLOCK = 8 * PAGE_SIZE;

void *table_alloc(size_t size)
{
    return size > LARGEST_BLOCK ? vzalloc(size) : kzalloc(size, GFP_KERNEL);
}
void table_free(void *p, size_t size)
{
    if (p && size > LARGEST_BLOCK)
        vfree(p);
    else
        kfree(p);
}

void fdtable_free(fdtable &t)
{
    table_free(t.fd, t.max * sizeof(file *));
    table_free(t.open, t.max / 8);
    table_free(t.cloexec, t.max / 8);
    t = {};
}

bool fdtable_alloc(fdtable &t, unsigned max)
{
    t.max = max;
    t.fd = static_cast<file **>(table_alloc(max * sizeof(file *)));
    t.open = static_cast<u64 *>(table_alloc(max / 8));
    t.cloexec = static_cast<u64 *>(table_alloc(max / 8));
    if (t.fd && t.open && t.cloexec)
        return true;
    fdtable_free(t);
    return false;
}

kmem_cache *files_cachep;

/// A descriptor of table `owner` that referred to f is gone (Linux filp_close).
void filp_close(file *f, const files_struct *owner)
{
    locks_remove_posix(f, owner);
    fput(f);
}
} // namespace

struct files_struct : pinned {
    refcount count;
    spinlock lock{"files.file_lock"};
    fdtable table;
    unsigned next_fd = 0; // no free descriptor below
    rcu_head rcu;
};

int *nr_open_sysctl()
{
    return &sysctl_nr_open;
}

u64 rlimit_nofile()
{
    const signal_state *sig = current()->signal;
    u64 n = sig ? read_once(sig->rlim[RLIMIT_NOFILE].cur) : 1024;
    return min<u64>(n, static_cast<u64>(sysctl_nr_open));
}

files_struct *files_alloc()
{
    if (!files_cachep)
        files_cachep = kmem_cache_create("files_cache", sizeof(files_struct));
    auto *f = kmem_cache_new<files_struct>(files_cachep, GFP_KERNEL);
    if (f && !fdtable_alloc(f->table, NR_OPEN_DEFAULT)) {
        kmem_cache_delete(files_cachep, f);
        return nullptr;
    }
    return f;
}

void files_get(files_struct *f)
{
    f->count.get();
}

bool files_shared(const files_struct *f)
{
    return f->count.read() > 1;
}

files_struct *files_dup(files_struct *old)
{
    files_struct *f = files_alloc();
    if (!f)
        return nullptr;
    for (;;) {
        unsigned need;
        {
            spin_guard<plain> g{old->lock};
            need = old->table.max;
            if (f->table.max >= need) {
                // A descriptor that another thread has reserved but not filled is not copied.
                for (unsigned i = 0; i < need; i++)
                    if (file *one = old->table.fd[i]) {
                        get_file(one);
                        f->table.fd[i] = one;
                        set_bit(f->table.open, i, true);
                        set_bit(f->table.cloexec, i, test_bit(old->table.cloexec, i));
                    }
                return f;
            }
        }
        fdtable_free(f->table);
        if (!fdtable_alloc(f->table, need)) {
            kmem_cache_delete(files_cachep, f);
            return nullptr;
        }
    }
}

void files_put(files_struct *f)
{
    if (!f || !f->count.put())
        return;
    // Nobody can find the struct through a count of zero any more; readers under RCU only see the count.
    for (unsigned i = 0; i < f->table.max; i++)
        if (f->table.fd[i])
            filp_close(f->table.fd[i], f);
    fdtable_free(f->table);
    call_rcu(&f->rcu, [](rcu_head *h) {
        kmem_cache_delete(files_cachep, container_of(h, files_struct, rcu));
    });
}

void files_close_on_exec(files_struct *f)
{
    for (unsigned i = 0; i < f->table.max; i++) {
        file *victim = nullptr;
        {
            spin_guard<plain> g{f->lock};
            if (i >= f->table.max || !test_bit(f->table.cloexec, i) || !f->table.fd[i])
                continue;
            victim = f->table.fd[i];
            f->table.fd[i] = nullptr;
            set_bit(f->table.open, i, false);
            set_bit(f->table.cloexec, i, false);
            f->next_fd = min(f->next_fd, i);
        }
        filp_close(victim, f);
    }
}

files_struct *get_task_files(task_struct *t)
{
    rcu_read_lock();
    files_struct *f = rcu_dereference(t->files);
    if (f && !f->count.get_unless_zero())
        f = nullptr;
    rcu_read_unlock();
    return f;
}

file *files_lookup(files_struct *f, unsigned fd, u32 *flags)
{
    spin_guard<plain> g{f->lock};
    if (fd >= f->table.max || !f->table.fd[fd])
        return nullptr;
    get_file(f->table.fd[fd]);
    if (flags)
        *flags = test_bit(f->table.cloexec, fd) ? O_CLOEXEC : 0;
    return f->table.fd[fd];
}

unsigned files_max(files_struct *f)
{
    spin_guard<plain> g{f->lock};
    return f->table.max;
}

result<file_ptr> fget_raw(int fd)
{
    files_struct *f = current()->files;
    file *found = f && fd >= 0 ? files_lookup(f, static_cast<unsigned>(fd), nullptr) : nullptr;
    if (!found)
        return error{EBADF};
    return file_ptr{found};
}

result<file_ptr> fget(int fd)
{
    file_ptr f = TRY(fget_raw(fd));
    if (f->f_mode & FMODE_PATH)
        return error{EBADF};
    return f;
}

file *fget_light(int fd, bool *fput_needed)
{
    *fput_needed = false;
    files_struct *f = current()->files;
    if (!f || fd < 0)
        return nullptr;
    file *found;
    if (f->count.read() == 1) {
        auto n = static_cast<unsigned>(fd);
        found = n < f->table.max ? f->table.fd[n] : nullptr;
    } else {
        found = files_lookup(f, static_cast<unsigned>(fd), nullptr);
        *fput_needed = found != nullptr;
    }
    if (found && (found->f_mode & FMODE_PATH)) {
        fput_light(found, *fput_needed);
        *fput_needed = false;
        return nullptr;
    }
    return found;
}

namespace
{
/// Make room for descriptor `fd`. Lock not held. 0 or -errno.
int expand(files_struct *f, unsigned fd)
{
    unsigned want = NR_OPEN_DEFAULT;
    while (want <= fd)
        want *= 2;
    fdtable bigger;
    if (!fdtable_alloc(bigger, want))
        return -ENOMEM;
    {
        spin_guard<plain> g{f->lock};
        if (f->table.max < want) {
            memcpy(bigger.fd, f->table.fd, f->table.max * sizeof(file *));
            memcpy(bigger.open, f->table.open, f->table.max / 8);
            memcpy(bigger.cloexec, f->table.cloexec, f->table.max / 8);
            fdtable old = f->table;
            f->table = bigger;
            bigger = old;
        }
    }
    fdtable_free(bigger); // every reader of a shared table holds the lock
    return 0;
}

/// Lowest free descriptor ≥ from, or max. Lock held.
unsigned find_free(const files_struct *f, unsigned from)
{
    for (unsigned w = from / 64; w < f->table.max / 64; w++) {
        u64 free = ~f->table.open[w];
        if (w == from / 64)
            free &= ~u64{0} << (from % 64);
        if (free)
            return w * 64 + static_cast<unsigned>(__builtin_ctzll(free));
    }
    return max(f->table.max, from);
}
} // namespace

result<int> get_unused_fd_flags(u32 flags, int from)
{
    files_struct *f = current()->files;
    if (!f)
        return error{EMFILE};
    u64 limit = rlimit_nofile();
    for (;;) {
        unsigned fd;
        {
            spin_guard<plain> g{f->lock};
            fd = find_free(f, max(static_cast<unsigned>(from), f->next_fd));
            if (fd >= limit)
                return error{EMFILE};
            if (fd < f->table.max) {
                set_bit(f->table.open, fd, true);
                set_bit(f->table.cloexec, fd, flags & O_CLOEXEC);
                if (static_cast<unsigned>(from) <= f->next_fd)
                    f->next_fd = fd + 1;
                return static_cast<int>(fd);
            }
        }
        if (expand(f, fd))
            return error{ENOMEM};
    }
}

void fd_install(int fd, file *file)
{
    files_struct *f = current()->files;
    spin_guard<plain> g{f->lock};
    BUG_ON(f->table.fd[fd]);
    f->table.fd[fd] = file;
}

void put_unused_fd(int fd)
{
    files_struct *f = current()->files;
    spin_guard<plain> g{f->lock};
    set_bit(f->table.open, static_cast<unsigned>(fd), false);
    f->next_fd = min(f->next_fd, static_cast<unsigned>(fd));
}

result<void> close_fd(unsigned fd)
{
    files_struct *f = current()->files;
    file *victim = nullptr;
    if (f) {
        spin_guard<plain> g{f->lock};
        if (fd < f->table.max && (victim = f->table.fd[fd])) {
            f->table.fd[fd] = nullptr;
            set_bit(f->table.open, fd, false);
            set_bit(f->table.cloexec, fd, false);
            f->next_fd = min(f->next_fd, fd);
        }
    }
    if (!victim)
        return error{EBADF};
    filp_close(victim, f);
    return {};
}

result<int> replace_fd(unsigned fd, file *file, u32 flags)
{
    files_struct *f = current()->files;
    if (!f || fd >= rlimit_nofile())
        return error{EBADF};
    if (fd >= files_max(f) && expand(f, fd))
        return error{EMFILE};
    ::file *old;
    {
        spin_guard<plain> g{f->lock};
        old = f->table.fd[fd];
        if (!old && test_bit(f->table.open, fd))
            return error{EBUSY}; // another thread's open() is about to fill it
        get_file(file);
        f->table.fd[fd] = file;
        set_bit(f->table.open, fd, true);
        set_bit(f->table.cloexec, fd, flags & O_CLOEXEC);
    }
    if (old)
        filp_close(old, f);
    return static_cast<int>(fd);
}

result<u32> get_close_on_exec(unsigned fd)
{
    files_struct *f = current()->files;
    u32 flags;
    file *one = f ? files_lookup(f, fd, &flags) : nullptr;
    if (!one)
        return error{EBADF};
    fput(one);
    return flags;
}

result<void> set_close_on_exec(unsigned fd, bool on)
{
    files_struct *f = current()->files;
    if (!f)
        return error{EBADF};
    spin_guard<plain> g{f->lock};
    if (fd >= f->table.max || !f->table.fd[fd])
        return error{EBADF};
    set_bit(f->table.cloexec, fd, on);
    return {};
}
