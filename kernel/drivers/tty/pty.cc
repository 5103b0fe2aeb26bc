// SPDX-License-Identifier: MIT
// Pseudo terminals: /dev/ptmx makes a pair, /dev/pts/N is its slave. Linux: drivers/tty/pty.c. Process context.
//
// What is written to the master is the slave's input; what the slave puts out is in the master's rx ring. The master has no line
// discipline: its reads and writes are raw. Locks: pty_mutex for the table, indexes and counts of open files; it is outside of the
// terminals' own locks. A pair is freed after a grace period by its last reference: each open file has one.

#include "drivers/tty/tty.h"
#include "fs/devpts.h"
#include "fs/seq_file.h"
#include "mm/static_object.h"

namespace
{
constexpr u32 DEV_PTMX = mkdev(5, 2), UNIX98_PTY_SLAVE_MAJOR = 136;
constexpr unsigned NR_UNIX98_PTY_MAX = 4096;
constexpr u32 B38400 = 017, CS8 = 060, CREAD = 0200;
constexpr size_t CHUNK = 256;

struct pty_pair : pinned {
    tty_struct master, slave;
    refcount count; // the master's file has the first
    rcu_head rcu;
};

static_object<mutex> pty_mutex;
pty_pair *ptys[NR_UNIX98_PTY_MAX];
int pty_limit = NR_UNIX98_PTY_MAX, pty_count;

pty_pair *pair_of(tty_struct *t)
{
    return t->kind == tty_kind::pty_master ? container_of(t, pty_pair, master)
                                           : container_of(t, pty_pair, slave);
}

void free_pair_rcu(rcu_head *head)
{
    kdelete(container_of(head, pty_pair, rcu));
}

/// A pair with a free index, locked, known to nobody but the table. ENOSPC, ENOMEM.
result<pty_pair *> new_pair()
{
    auto *p = knew<pty_pair>(GFP_KERNEL);
    if (!p || !p->master.rx.alloc(PTY_MASTER_RING) || !p->slave.rx.alloc(TTY_RX_LIMIT)) {
        kdelete(p);
        return error{ENOMEM};
    }
    p->master.kind = tty_kind::pty_master;
    p->slave.kind = tty_kind::pty_slave;
    p->master.link = &p->slave;
    p->slave.link = &p->master;
    p->master.termios = p->slave.termios = tty_std_termios;
    p->slave.termios.t.cflag = B38400 | CS8 | CREAD;
    p->slave.locked = true;
    p->master.opens = 1;
    mutex_guard g{*pty_mutex};
    unsigned i = 0;
    while (i < NR_UNIX98_PTY_MAX && ptys[i])
        i++;
    if (pty_count >= read_once(pty_limit) || i == NR_UNIX98_PTY_MAX) {
        kdelete(p);
        return error{ENOSPC};
    }
    ptys[i] = p;
    pty_count++;
    p->master.index = p->slave.index = i;
    p->master.rdev = DEV_PTMX;
    p->slave.rdev = mkdev(UNIX98_PTY_SLAVE_MAJOR, i);
    return p;
}

result<void> ptmx_open(inode *, file *f)
{
    pty_pair *p = TRY(new_pair());
    auto made = devpts_pty_new(p->slave.index, p->slave.rdev);
    if (!made) {
        pty_put(&p->master);
        return made;
    }
    auto r = tty_attach_file(&p->master, f); // takes over the pair's first reference
    if (!r)
        devpts_pty_kill(p->slave.index);
    return r;
}

result<void> pts_open(inode *i, file *f)
{
    if (!devpts_owns(i))
        return error{EIO};
    tty_struct *t = nullptr;
    {
        mutex_guard g{*pty_mutex};
        u32 minor = dev_minor(i->rdev);
        pty_pair *p = minor < NR_UNIX98_PTY_MAX ? ptys[minor] : nullptr;
        if (p && p->count.get_unless_zero())
            t = &p->slave;
    }
    if (!t)
        return error{EIO};
    u32 flags = f->f_flags;
    TRY_VOID(pty_open_slave(t, f));
    tty_maybe_controlling(t, flags);
    return {};
}

const file_operations ptmx_node{.open = ptmx_open}, pts_node{.open = pts_open};
} // namespace

void pty_get(tty_struct *t)
{
    pair_of(t)->count.get();
}

bool pty_get_unless_dead(tty_struct *t)
{
    return pair_of(t)->count.get_unless_zero();
}

void pty_put(tty_struct *t)
{
    pty_pair *p = pair_of(t);
    {
        mutex_guard g{*pty_mutex};
        if (!p->count.put())
            return;
        ptys[t->index] = nullptr;
        pty_count--;
    }
    call_rcu(&p->rcu, free_pair_rcu);
}

result<void> pty_open_slave(tty_struct *t, file *f)
{
    bool bad;
    {
        mutex_guard g{*pty_mutex};
        bad = t->locked || t->hung;
        t->opens += !bad;
    }
    if (bad) {
        pty_put(t);
        return error{EIO};
    }
    auto r = tty_attach_file(t, f);
    mutex_guard g{*pty_mutex};
    if (!r)
        t->opens--;
    else
        t->link->other_closed = false;
    return r;
}

void pty_release(tty_struct *t)
{
    bool last;
    {
        mutex_guard g{*pty_mutex};
        last = --t->opens == 0;
        if (last && t->kind == tty_kind::pty_slave)
            t->link->other_closed = true;
        if (last && t->kind == tty_kind::pty_master) {
            spin_guard<irqsave> c{t->link->ctrl};
            write_once(t->link->hung, true);
        }
    }
    if (!last)
        return;
    if (t->kind == tty_kind::pty_master) {
        devpts_pty_kill(t->index);
        tty_vhangup(t->link);
    } else {
        wake_up_all(&t->link->read_wait);
        wake_up_all(&t->link->write_wait);
    }
}

// --- The master's file --------------------------------------------------------------------------------------------------

namespace
{
bool master_readable(const tty_struct *t)
{
    return t->rx.used() || (read_once(t->packet) && read_once(t->link->ctrl_status));
}

/// What a read gives now, in `bytes`: 0 when there is nothing.
size_t master_take(tty_struct *t, u8 *bytes, size_t n)
{
    mutex_guard g{t->input};
    if (!t->packet)
        return t->rx.pop(bytes, n);
    spin_guard<irqsave> c{t->link->ctrl};
    if (t->link->ctrl_status) {
        bytes[0] = t->link->ctrl_status;
        t->link->ctrl_status = 0;
        return 1;
    }
    if (!t->rx.used())
        return 0;
    bytes[0] = TIOCPKT_DATA;
    return 1 + t->rx.pop(bytes + 1, n - 1);
}
} // namespace

result<size_t> pty_master_read(tty_struct *t, file *f, iov_iter &to)
{
    size_t n = min<size_t>(to.count(), N_TTY_BUF_SIZE);
    if (!n)
        return size_t{0};
    auto *bytes = static_cast<u8 *>(kmalloc(n, GFP_KERNEL));
    if (!bytes)
        return error{ENOMEM};
    size_t got;
    errno_t why{};
    while (!(got = master_take(t, bytes, n)) && !why) {
        if (read_once(t->other_closed)) {
            // What the slave wrote before it closed may have come after our look.
            if (!master_readable(t))
                why = EIO;
        } else if (f->f_flags & O_NONBLOCK) {
            why = EAGAIN;
        } else if (wait_event_interruptible(&t->read_wait,
                                            master_readable(t) || read_once(t->other_closed))) {
            why = ERESTARTSYS;
        }
    }
    if (got) {
        tty_input_taken(t);
        why = to.copy_to(bytes, got) ? errno_t{} : EFAULT;
    }
    kfree(bytes);
    if (why)
        return error{why};
    return got;
}

result<size_t> pty_master_write(tty_struct *t, file *f, iov_iter &from)
{
    tty_struct *slave = t->link;
    size_t done = 0;
    errno_t why{};
    while (from.count() && !why) {
        u8 bytes[CHUNK];
        size_t n = min(from.count(), CHUNK), sent = 0;
        if (!from.copy_from(bytes, n))
            why = EFAULT;
        while (!why && sent < n) {
            {
                mutex_guard g{t->output};
                while (sent < n && tty_write_room(t) && slave->rx.push(bytes[sent]))
                    sent++;
            }
            tty_flush_to_ldisc(slave);
            if (sent == n)
                break;
            if (f->f_flags & O_NONBLOCK)
                why = EAGAIN;
            else if (wait_event_interruptible(&t->write_wait, tty_write_room(t)))
                why = ERESTARTSYS;
        }
        done += why == EFAULT ? 0 : sent;
    }
    if (why && !done)
        return error{why};
    return done;
}

u32 pty_master_poll(tty_struct *t, file *f, poll_table *pt)
{
    poll_wait(f, &t->read_wait, pt);
    poll_wait(f, &t->write_wait, pt);
    u32 mask = t->rx.used() ? POLLIN | POLLRDNORM : 0;
    if (read_once(t->packet) && read_once(t->link->ctrl_status))
        mask |= POLLPRI | POLLIN | POLLRDNORM;
    if (read_once(t->other_closed))
        mask |= POLLHUP;
    return mask | (tty_write_room(t) ? POLLOUT | POLLWRNORM : 0);
}

namespace
{
constexpr u32 TIOCPKT = 0x5420, TIOCGPTN = 0x80045430, TIOCSPTLCK = 0x40045431,
              TIOCSIG = 0x40045436, TIOCGPKT = 0x80045438, TIOCGPTLCK = 0x80045439;

result<s64> give(u64 arg, int v)
{
    TRY_VOID(put_user(user_ptr<int>{arg}, v));
    return s64{0};
}

result<s64> set_packet_mode(tty_struct *t, u64 arg)
{
    int on;
    TRY_VOID(get_user(on, user_ptr<int>{arg}));
    spin_guard<irqsave> g{t->link->ctrl};
    if (on && !t->packet)
        t->link->ctrl_status = 0;
    write_once(t->packet, on != 0);
    return s64{0};
}

/// TIOCSIG: a signal to the slave's foreground group, as if its key had been typed.
result<s64> signal_slave(tty_struct *slave, u64 sig)
{
    if (sig != SIGINT && sig != SIGQUIT && sig != SIGTSTP)
        return error{EINVAL};
    mutex_guard g{slave->input};
    if (!l_flag(slave, NOFLSH))
        n_tty_flush_input(slave);
    n_tty_isig(slave, static_cast<unsigned>(sig));
    return s64{0};
}
} // namespace

result<s64> pty_ioctl(tty_struct *t, u32 cmd, u64 arg)
{
    if (t->kind != tty_kind::pty_master)
        return error{ENOIOCTLCMD};
    switch (cmd) {
    case TIOCGPTN:
        return give(arg, static_cast<int>(t->index));
    case TIOCSPTLCK: {
        int on;
        TRY_VOID(get_user(on, user_ptr<int>{arg}));
        write_once(t->link->locked, on != 0);
        return s64{0};
    }
    case TIOCGPTLCK:
        return give(arg, read_once(t->link->locked));
    case TIOCPKT:
        return set_packet_mode(t, arg);
    case TIOCGPKT:
        return give(arg, read_once(t->packet));
    case TIOCSIG:
        return signal_slave(t->link, arg);
    default:
        return error{ENOIOCTLCMD};
    }
}

int pty_init()
{
    pty_mutex.init("pty");
    register_chrdev(5, 2, 2, "/dev/ptmx", &ptmx_node);
    register_chrdev(UNIX98_PTY_SLAVE_MAJOR, 0, NR_UNIX98_PTY_MAX - 1, "pts", &pts_node);
    sysctl_create_int("kernel/pty/max", &pty_limit, 0, NR_UNIX98_PTY_MAX);
    proc_create("sys/kernel/pty/nr", [](seq_file *m) { seq_printf(m, "%d\n", pty_count); });
    return devtmpfs_create_node("ptmx", 0666, DEV_PTMX);
}
