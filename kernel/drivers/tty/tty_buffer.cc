// SPDX-License-Identifier: MIT
// Between a line and its line discipline: the rx ring, room for output, stopping and starting. Linux: drivers/tty/tty_buffer.c, parts of
// tty_io.c and pty.c. Process context; tty_ring has one producer and one consumer, each under a mutex of its own (tty.h) or, for the
// console, the interrupt.

#include "drivers/tty/tty.h"

bool tty_ring::alloc(u32 n)
{
    bytes = static_cast<u8 *>(kmalloc(n, GFP_KERNEL));
    size = n;
    return bytes;
}

bool tty_ring::push(u8 c)
{
    u32 h = head.load(std::memory_order_relaxed);
    if (h - tail.load(std::memory_order_acquire) == size) {
        lost++;
        return false;
    }
    bytes[h & (size - 1)] = c;
    head.store(h + 1, std::memory_order_release);
    return true;
}

size_t tty_ring::pop(u8 *to, size_t n)
{
    u32 at = tail.load(std::memory_order_relaxed);
    n = min<size_t>(n, head.load(std::memory_order_acquire) - at);
    for (size_t i = 0; i < n; i++)
        to[i] = bytes[at++ & (size - 1)];
    tail.store(at, std::memory_order_release);
    return n;
}

void tty_flush_to_ldisc(tty_struct *t)
{
    {
        mutex_guard g{t->input};
        u8 c;
        while (n_tty_has_room(t) && t->rx.pop(&c, 1))
            n_tty_receive_char(t, c);
    }
    if (t->link && t->rx.used() < TTY_RX_LIMIT)
        wake_up_interruptible_all(&t->link->write_wait);
}

void tty_input_taken(tty_struct *t)
{
    switch (t->kind) {
    case tty_kind::console:
        if (t->rx.used())
            wake_up(&t->rx_wait);
        break;
    case tty_kind::pty_slave:
        tty_flush_to_ldisc(t);
        break;
    case tty_kind::pty_master: // the slave's writers wait for its readers
        if (tty_write_room(t->link) >= TTY_MAX_EXPANSION)
            wake_up_interruptible_all(&t->link->write_wait);
        break;
    }
}

u32 tty_write_room(const tty_struct *t)
{
    if (read_once(t->stopped))
        return 0;
    if (t->kind == tty_kind::console)
        return INT32_MAX;
    u32 used = t->link->rx.used();
    return used < TTY_RX_LIMIT ? TTY_RX_LIMIT - used : 0;
}

void tty_emit(tty_struct *t, const char *s, size_t n)
{
    if (t->kind == tty_kind::console) {
        console_write(s, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        t->link->rx.push(static_cast<u8>(s[i]));
    wake_up_interruptible_sync_poll(&t->link->read_wait, POLLIN | POLLRDNORM);
}

void tty_stop(tty_struct *t)
{
    if (t->stopped)
        return;
    write_once(t->stopped, true);
    tty_packet_status(t, TIOCPKT_STOP, TIOCPKT_START);
}

void tty_start(tty_struct *t)
{
    if (!t->stopped || t->flow_stopped)
        return;
    write_once(t->stopped, false);
    tty_packet_status(t, TIOCPKT_START, TIOCPKT_STOP);
    wake_up_interruptible_all(&t->write_wait);
}

void tty_packet_status(tty_struct *t, u8 set, u8 clear)
{
    if (t->kind != tty_kind::pty_slave || !read_once(t->link->packet))
        return;
    {
        spin_guard<irqsave> g{t->ctrl};
        t->ctrl_status = static_cast<u8>((t->ctrl_status & ~clear) | set);
    }
    wake_up_interruptible_sync_poll(&t->link->read_wait, POLLIN | POLLRDNORM | POLLPRI);
}
