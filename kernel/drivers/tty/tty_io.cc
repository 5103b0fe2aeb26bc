// SPDX-License-Identifier: MIT
// Terminals as files: /dev/console, /dev/tty, /dev/ttyS0, hangups, and the console's way from the interrupt to the line discipline.
// Linux: drivers/tty/tty_io.c. Process context, except tty_receive().

#include "drivers/tty/tty.h"
#include "fs/fasync.h"
#include "lib/initcall.h"
#include "lib/string.h"

namespace
{
constexpr u32 DEV_TTY = mkdev(5, 0), DEV_CONSOLE = mkdev(5, 1), DEV_TTYS0 = mkdev(4, 64);
constexpr u32 B38400 = 017, CS8 = 060, CREAD = 0200, HUPCL = 02000, CLOCAL = 04000;
constexpr u32 TIOCSPGRP = 0x5410;

tty_struct *the_tty;
} // namespace

const ktermios2 tty_std_termios{
    {ICRNL | IXON,
     OPOST | ONLCR,
     B38400 | CS8 | CREAD | HUPCL | CLOCAL,
     ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
     0,
     {3, 034, 0177, 025, 4, 0, 1, 0, 021, 023, 032, 0, 022, 017, 027, 026, 0, 0, 0}},
    38400,
    38400,
};

void tty_get(tty_struct *t)
{
    if (t->link)
        pty_get(t);
}

void tty_put(tty_struct *t)
{
    if (t->link)
        pty_put(t);
}

result<void> tty_attach_file(tty_struct *t, file *f)
{
    auto *tf = knew<tty_file>(GFP_KERNEL);
    errno_t why = !tf                                               ? ENOMEM
                  : read_once(t->exclusive) && current()->euid != 0 ? EBUSY
                                                                    : errno_t{};
    if (why) {
        kdelete(tf);
        tty_put(t);
        return error{why};
    }
    *tf = {t, read_once(t->hangups)};
    f->private_data = tf;
    f->f_op = &tty_fops;
    return {};
}

void tty_maybe_controlling(tty_struct *t, u32 flags)
{
    signal_state *s = current()->signal;
    if ((flags & O_NOCTTY) || !s || !s->leader || s->tty || read_once(t->session))
        return;
    auto r = tty_set_controlling(t, false);
    (void)r; // somebody was faster: then it is theirs
}

namespace
{
/// open of the console's nodes and of /dev/tty. Opening the console or /dev/tty never makes it the controlling terminal.
result<void> tty_open(inode *i, file *f)
{
    tty_struct *t = the_tty;
    if (i->rdev == DEV_TTY && !(t = get_current_tty()))
        return error{ENXIO};
    if (t->link) // /dev/tty on a pty: one more file of the slave
        return pty_open_slave(t, f);
    TRY_VOID(tty_attach_file(t, f));
    if (i->rdev == DEV_TTYS0)
        tty_maybe_controlling(t, f->f_flags);
    return {};
}

void tty_release(inode *, file *f)
{
    tty_struct *t = file_tty(f);
    kdelete(static_cast<tty_file *>(f->private_data));
    if (t->link)
        pty_release(t);
    tty_put(t);
}

result<size_t> tty_read(file *f, iov_iter &to, u64 *)
{
    tty_struct *t = file_tty(f);
    if (tty_hung_up(f))
        return size_t{0};
    return t->kind == tty_kind::pty_master ? pty_master_read(t, f, to) : n_tty_read(t, f, to);
}

result<size_t> tty_write(file *f, iov_iter &from, u64 *)
{
    tty_struct *t = file_tty(f);
    if (tty_hung_up(f))
        return error{EIO};
    return t->kind == tty_kind::pty_master ? pty_master_write(t, f, from) : n_tty_write(t, f, from);
}

u32 tty_poll(file *f, poll_table *pt)
{
    tty_struct *t = file_tty(f);
    u32 mask = t->kind == tty_kind::pty_master ? pty_master_poll(t, f, pt) : n_tty_poll(t, f, pt);
    if (tty_hung_up(f))
        return POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDNORM | POLLWRNORM;
    return mask;
}

result<s64> tty_fop_ioctl(file *f, u32 cmd, u64 arg)
{
    if (tty_hung_up(f))
        return error{cmd == TIOCSPGRP ? ENOTTY : EIO};
    return tty_ioctl(file_tty(f), f, cmd, arg);
}

const file_operations tty_nodes{.open = tty_open};

/// Linux's work item of this name: from the interrupt's ring into the line discipline.
[[noreturn]] void flush_to_ldisc(void *arg)
{
    auto *t = static_cast<tty_struct *>(arg);
    for (;;) {
        tty_flush_to_ldisc(t);
        wait_queue w;
        prepare_to_wait(&t->rx_wait, &w, TASK_INTERRUPTIBLE);
        if (!t->rx.used() || !n_tty_has_room(t))
            schedule();
        finish_wait(&t->rx_wait, &w);
    }
}
} // namespace

/// O_ASYNC; a file without an owner gets the foreground group, or the current process.
static result<void> tty_fasync(int fd, file *f, bool on)
{
    tty_struct *t = static_cast<tty_file *>(f->private_data)->tty;
    TRY_VOID(fasync_helper(fd, f, on, &t->fasync));
    if (!on || f_getown(f).pid)
        return {};
    s32 pgrp = read_once(t->pgrp);
    return f_setown(f, pgrp ? F_OWNER_PGRP : F_OWNER_PID, pgrp ? pgrp : current()->tgid);
}

const file_operations tty_fops{
    .read = tty_read,
    .write = tty_write,
    .poll = tty_poll,
    .ioctl = tty_fop_ioctl,
    .release = tty_release,
    .fasync = tty_fasync,
};

tty_struct *console_tty()
{
    return the_tty;
}

tty_struct *get_current_tty()
{
    signal_state *s = current()->signal;
    rcu_read_lock();
    auto *t = s ? static_cast<tty_struct *>(read_once(s->tty)) : nullptr;
    if (t && t->link && !pty_get_unless_dead(t))
        t = nullptr;
    rcu_read_unlock();
    return t;
}

void tty_vhangup(tty_struct *t)
{
    s32 session;
    {
        spin_guard<irqsave> g{t->ctrl};
        session = t->session;
        t->session = t->pgrp = 0;
        write_once(t->hangups, t->hangups + 1);
    }
    tty_forget_session(t); // before the signal: who gets it has no terminal any more
    if (task_struct *leader = session ? find_get_task(session) : nullptr) {
        kernel_siginfo info;
        info.code = SI_KERNEL;
        (void)send_signal_info(leader, SIGHUP, info, true); // it may be gone already
        (void)send_signal_info(leader, SIGCONT, info, true);
        put_task(leader);
    }
    wake_up_all(&t->read_wait);
    wake_up_all(&t->write_wait);
}

void tty_receive(u8 c)
{
    if (the_tty->rx.push(c))
        wake_up(&the_tty->rx_wait);
}

int tty_init()
{
    auto *t = knew<tty_struct>(GFP_KERNEL);
    task_struct *worker = t && t->rx.alloc(TTY_RX_LIMIT)
                              ? kthread_create(flush_to_ldisc, t, -1, "flush_to_ldisc")
                              : nullptr;
    if (!worker) {
        kdelete(t);
        pr_err("tty: out of memory\n");
        return -ENOMEM;
    }
    t->termios = tty_std_termios;
    t->rdev = DEV_TTYS0;
    the_tty = t;
    tty_jobctrl_init();
    register_chrdev(5, 0, 1, "/dev/tty", &tty_nodes);
    register_chrdev(4, 64, 64, "ttyS", &tty_nodes);
    devtmpfs_create_node("console", 0600, DEV_CONSOLE);
    devtmpfs_create_node("tty", 0666, DEV_TTY);
    devtmpfs_create_node("ttyS0", 0660, DEV_TTYS0);
    wake_up_process(worker);
    return pty_init();
}
fs_initcall(tty_init);
