// SPDX-License-Identifier: MIT
// The console terminal: one tty (ttyS0, which /dev/console is too) with the N_TTY line discipline. Linux: include/linux/tty.h, tty_io.c,
// n_tty.c. Process context, but for tty_receive().
//
// Way of a byte: hard IRQ → rx ring → kthread "flush_to_ldisc" → editing, echo, signals → read buffer → a reader. Locks: `input` (mutex)
// protects the line discipline's buffer, `output` (mutex) the column and the order of what goes out; input → output. `ctrl`
// (spinlock) protects the session and the foreground group. Termios are changed under both mutexes.
#pragma once

#include "fs/fs.h"
#include "mm/slab.h"
#include "sched/mutex.h"
#include "sched/signal.h"

/// struct termios of the kernel's ABI (TCGETS), and with speeds (TCGETS2).
struct ktermios {
    u32 iflag, oflag, cflag, lflag;
    u8 line;
    u8 cc[19];
};
struct ktermios2 {
    ktermios t;
    u32 ispeed, ospeed;
};
static_assert(sizeof(ktermios) == 36 && sizeof(ktermios2) == 44);
constexpr u32 IGNCR = 0200, ICRNL = 0400, INLCR = 0100, ISTRIP = 040, IXON = 02000, IXANY = 04000,
              IMAXBEL = 020000, IUTF8 = 040000;
constexpr u32 OPOST = 1, ONLCR = 4, OCRNL = 010, ONOCR = 020, ONLRET = 040, XTABS = 014000;
constexpr u32 ISIG = 1, ICANON = 2, ECHO = 010, ECHOE = 020, ECHOK = 040, ECHONL = 0100,
              NOFLSH = 0200, TOSTOP = 0400, ECHOCTL = 01000, ECHOKE = 04000, IEXTEN = 0100000;
enum : unsigned {
    VINTR,
    VQUIT,
    VERASE,
    VKILL,
    VEOF,
    VTIME,
    VMIN,
    VSWTC,
    VSTART,
    VSTOP,
    VSUSP,
    VEOL,
    VREPRINT,
    VDISCARD,
    VWERASE,
    VLNEXT,
    VEOL2,
};
struct winsize {
    u16 row, col, xpixel, ypixel;
};

/// Capacity of the line discipline (Linux N_TTY_BUF_SIZE) and of the ring that the interrupt fills.
constexpr u32 N_TTY_BUF_SIZE = 4096, TTY_RX_RING = 4096;

struct tty_struct : pinned {
    ktermios2 termios;
    winsize ws{};

    mutex input{"tty.input"};
    u8 buf[N_TTY_BUF_SIZE];
    bool line_end[N_TTY_BUF_SIZE] = {}; // the byte ends a line (canonical mode)
    u32 head = 0, canon_head = 0,
        tail = 0;  // counters: tail ≤ canon_head ≤ head; up to canon_head lines are complete
    u32 lines = 0; // complete lines not yet read
    bool literal_next = false; // ^V was typed
    wait_queue_head read_wait;

    mutex output{"tty.output"};
    u32 column = 0, line_column = 0; // where the cursor is; where the line being typed began
    bool stopped = false;            // ^S
    wait_queue_head write_wait;

    spinlock ctrl{"tty.ctrl"};
    s32 session = 0, pgrp = 0;

    // Single producer (the interrupt), single consumer (the kthread).
    std::atomic<u32> rx_head{0}, rx_tail{0};
    u8 rx[TTY_RX_RING];
    u64 rx_lost = 0;
    wait_queue_head rx_wait;
};
/// The terminal; null until tty_init().
tty_struct *console_tty();
/// Bytes from the line. Hard IRQ; when nobody keeps up they are counted and thrown away.
void tty_receive(u8 c);
/// Boot: registers /dev/console, tty and ttyS0, starts the kthread.
int tty_init();

inline bool i_flag(const tty_struct *t, u32 f)
{
    return t->termios.t.iflag & f;
}
inline bool o_flag(const tty_struct *t, u32 f)
{
    return t->termios.t.oflag & f;
}
inline bool l_flag(const tty_struct *t, u32 f)
{
    return t->termios.t.lflag & f;
}

// n_tty.cc
/// One byte from the line through editing, echo and signals. [P]
void n_tty_receive_char(tty_struct *t, u8 c);
/// Throw away what was not read. `input` held.
void n_tty_flush_input(tty_struct *t);
/// The mode has changed from `old`. `input` held.
void n_tty_set_termios(tty_struct *t, const ktermios &old);
// n_tty_io.cc
/// Output processing (OPOST) and writing; `output` held.
void n_tty_put(tty_struct *t, const u8 *s, size_t n);
result<size_t> n_tty_read(tty_struct *t, file *f, iov_iter &to);
result<size_t> n_tty_write(tty_struct *t, file *f, iov_iter &from);
u32 n_tty_poll(tty_struct *t, file *f, poll_table *pt);
/// Bytes that a read would get now (FIONREAD).
u32 n_tty_readable(tty_struct *t);
// tty_jobctrl.cc
/// A background process of the terminal's session is stopped by `sig`: 0, EIO, ERESTARTSYS.
result<void> tty_check_background(tty_struct *t, unsigned sig);
/// Make the terminal the controlling one of the current session; `steal`: even if another has it (user 0). EPERM.
result<void> tty_set_controlling(tty_struct *t, bool steal);
/// TIOCNOTTY, TIOCGPGRP, TIOCSPGRP, TIOCGSID.
result<s64> tty_jobctrl_ioctl(tty_struct *t, u32 cmd, u64 arg);
void tty_jobctrl_init();
// tty_ioctl.cc
result<s64> tty_ioctl(tty_struct *t, file *f, u32 cmd, u64 arg);
