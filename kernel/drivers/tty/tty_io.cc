// SPDX-License-Identifier: MIT
// The terminal as a file: /dev/console, /dev/tty, /dev/ttyS0, and the way of received bytes to the line discipline. Linux:
// drivers/tty/tty_io.c, tty_buffer.c. Process context, except tty_receive().

#include "drivers/tty/tty.h"
#include "lib/initcall.h"
#include "lib/string.h"

namespace
{
constexpr u32 DEV_TTY = mkdev(5, 0), DEV_CONSOLE = mkdev(5, 1), DEV_TTYS0 = mkdev(4, 64);
constexpr u32 B38400 = 017, CS8 = 060, CREAD = 0200, HUPCL = 02000, CLOCAL = 04000;

tty_struct *the_tty;

/// Linux's tty_std_termios.
constexpr ktermios2 std_termios{
    {ICRNL | IXON,
     OPOST | ONLCR,
     B38400 | CS8 | CREAD | HUPCL | CLOCAL,
     ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
     0,
     {3, 034, 0177, 025, 4, 0, 1, 0, 021, 023, 032, 0, 022, 017, 027, 026, 0, 0, 0}},
    38400,
    38400,
};

result<void> tty_open(inode *i, file *f)
{
    signal_state *s = current()->signal;
    if (i->rdev == DEV_TTY && (!s || !s->tty))
        return error{ENXIO};
    f->private_data = the_tty;
    // A session leader without a terminal gets this one; opening the console or /dev/tty never does that.
    if (i->rdev == DEV_TTYS0 && s && s->leader && !s->tty && !read_once(the_tty->session) &&
        !(f->f_flags & O_NOCTTY)) {
        auto r = tty_set_controlling(the_tty, false);
        (void)r;
    }
    return {};
}

result<size_t> tty_read(file *f, iov_iter &to, u64 *)
{
    return n_tty_read(static_cast<tty_struct *>(f->private_data), f, to);
}

result<size_t> tty_write(file *f, iov_iter &from, u64 *)
{
    return n_tty_write(static_cast<tty_struct *>(f->private_data), f, from);
}

u32 tty_poll(file *f, poll_table *pt)
{
    return n_tty_poll(static_cast<tty_struct *>(f->private_data), f, pt);
}

result<s64> tty_fop_ioctl(file *f, u32 cmd, u64 arg)
{
    return tty_ioctl(static_cast<tty_struct *>(f->private_data), f, cmd, arg);
}

const file_operations tty_fops{
    .read = tty_read,
    .write = tty_write,
    .poll = tty_poll,
    .ioctl = tty_fop_ioctl,
    .open = tty_open,
};

/// Take one byte out of the interrupt's ring.
bool rx_pop(tty_struct *t, u8 *c)
{
    u32 tail = t->rx_tail.load(std::memory_order_relaxed);
    if (tail == t->rx_head.load(std::memory_order_acquire))
        return false;
    *c = t->rx[tail % TTY_RX_RING];
    t->rx_tail.store(tail + 1, std::memory_order_release);
    return true;
}

/// Linux's work item of this name: from the interrupt's ring into the line discipline.
[[noreturn]] void flush_to_ldisc(void *arg)
{
    auto *t = static_cast<tty_struct *>(arg);
    for (;;) {
        u8 c;
        while (rx_pop(t, &c))
            n_tty_receive_char(t, c);
        wait_queue w;
        prepare_to_wait(&t->rx_wait, &w, TASK_INTERRUPTIBLE);
        if (t->rx_tail.load(std::memory_order_relaxed) ==
            t->rx_head.load(std::memory_order_acquire))
            schedule();
        finish_wait(&t->rx_wait, &w);
    }
}
} // namespace

tty_struct *console_tty()
{
    return the_tty;
}

void tty_receive(u8 c)
{
    tty_struct *t = the_tty;
    u32 head = t->rx_head.load(std::memory_order_relaxed);
    if (head - t->rx_tail.load(std::memory_order_acquire) == TTY_RX_RING) {
        t->rx_lost++;
        return;
    }
    t->rx[head % TTY_RX_RING] = c;
    t->rx_head.store(head + 1, std::memory_order_release);
    wake_up(&t->rx_wait);
}

int tty_init()
{
    auto *t = knew<tty_struct>(GFP_KERNEL);
    task_struct *worker = t ? kthread_create(flush_to_ldisc, t, -1, "flush_to_ldisc") : nullptr;
    if (!worker) {
        kdelete(t);
        pr_err("tty: out of memory\n");
        return -ENOMEM;
    }
    t->termios = std_termios;
    the_tty = t;
    tty_jobctrl_init();
    register_chrdev(5, 0, 1, "/dev/tty", &tty_fops);
    register_chrdev(4, 64, 64, "ttyS", &tty_fops);
    devtmpfs_create_node("console", 0600, DEV_CONSOLE);
    devtmpfs_create_node("tty", 0666, DEV_TTY);
    devtmpfs_create_node("ttyS0", 0660, DEV_TTYS0);
    wake_up_process(worker);
    return 0;
}
fs_initcall(tty_init);
