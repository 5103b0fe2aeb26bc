// SPDX-License-Identifier: MIT
// Terminals with the N_TTY line discipline: the console (ttyS0, which /dev/console is too) and pseudo terminals (pty.cc). Linux:
// include/linux/tty.h, tty_io.c, n_tty.c, pty.c. Process context, but for tty_receive().
//
// Way of a byte to a program: the line (hard IRQ, or a writer of the pty's master) → rx ring → tty_flush_to_ldisc() → editing, echo,
// signals → read buffer → a reader. The other way: n_tty_put() → console_write(), or the rx ring of the pty's master, where its
// readers find it. Locks: `input` (mutex) protects the line discipline's buffer and the reading side of the rx ring, `output` (mutex)
// the column and the order of what goes out, so also the writing side of the other end's rx ring; input → output. `ctrl`
// (spinlock) protects session, foreground group and packet status. Termios are changed under both mutexes.
//
// The console lives for ever. Both ends of a pty are one object (pty_pair) that lives as long as a file refers to one of them; who comes
// from signal_state.tty has no reference and must get one under RCU (get_current_tty).
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
              IMAXBEL = 020000, IUTF8 = 040000, IUCLC = 01000;
constexpr u32 OPOST = 1, OLCUC = 2, ONLCR = 4, OCRNL = 010, ONOCR = 020, ONLRET = 040,
              XTABS = 014000;
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

/// Capacity of the line discipline (Linux N_TTY_BUF_SIZE).
constexpr u32 N_TTY_BUF_SIZE = 4096;
/// Ring of bytes that the line discipline has not seen yet: what a writer may put there (Linux's limit of a pty), and the size of a
/// master's, where echo still finds room when writers have to wait.
constexpr u32 TTY_RX_LIMIT = 8192, PTY_MASTER_RING = 16384;
/// Output of one byte is at most this long (a tab as spaces).
constexpr u32 TTY_MAX_EXPANSION = 8;

enum class tty_kind : u8 { console, pty_master, pty_slave };

/// First byte of a master's read in packet mode (TIOCPKT).
constexpr u8 TIOCPKT_DATA = 0, TIOCPKT_FLUSHREAD = 1, TIOCPKT_FLUSHWRITE = 2, TIOCPKT_STOP = 4,
             TIOCPKT_START = 8, TIOCPKT_NOSTOP = 16, TIOCPKT_DOSTOP = 32;

/// Bytes from one producer to one consumer; neither needs the other's lock.
struct tty_ring : pinned {
    u8 *bytes = nullptr;
    u32 size = 0; // a power of two
    std::atomic<u32> head{0}, tail{0};
    u64 lost = 0;
    ~tty_ring() { kfree(bytes); }
    /// Get memory; false: none. [P]
    bool alloc(u32 n);
    u32 used() const
    {
        return head.load(std::memory_order_acquire) - tail.load(std::memory_order_acquire);
    }
    /// Producer: add a byte; false (and counted): full.
    bool push(u8 c);
    /// Consumer: take up to n bytes.
    size_t pop(u8 *to, size_t n);
};

struct tty_struct : pinned {
    tty_kind kind = tty_kind::console;
    u32 index = 0;              // of a pty
    u32 rdev = 0;               // device number
    tty_struct *link = nullptr; // a pty's other end
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
    struct fasync_struct *fasync = nullptr; // who wants SIGIO (fs/fasync.h)
    tty_ring rx;
    wait_queue_head rx_wait; // the console's kthread

    mutex output{"tty.output"};
    u32 column = 0, line_column = 0; // where the cursor is; where the line being typed began
    bool stopped = false;            // ^S, TCOOFF
    bool flow_stopped = false;       // TCOOFF: ^Q does not start output again
    wait_queue_head write_wait;

    spinlock ctrl{"tty.ctrl"};
    s32 session = 0, pgrp = 0;
    u32 hangups = 0;           // a file opened before the last hangup is of no use any more
    bool hung = false;         // pty slave: the master is gone for ever
    bool exclusive = false;    // TIOCEXCL
    bool packet = false;       // pty master: TIOCPKT
    u8 ctrl_status = 0;        // pty slave: TIOCPKT_* not yet told to the master
    bool locked = false;       // pty slave: not opened before TIOCSPTLCK
    bool other_closed = false; // pty master: nobody has the slave open any more
    u32 opens = 0;             // pty: open files (pty_mutex)
};

/// What an open file of a terminal has in private_data.
struct tty_file {
    tty_struct *tty;
    u32 hangups; // tty->hangups when it was opened
};
inline tty_struct *file_tty(const file *f)
{
    return static_cast<tty_file *>(f->private_data)->tty;
}
/// The line was hung up since the file was opened: reads see the end, writes and ioctls fail.
inline bool tty_hung_up(const file *f)
{
    auto *tf = static_cast<tty_file *>(f->private_data);
    return tf->hangups != read_once(tf->tty->hangups);
}

// tty_io.cc
/// The console's terminal; null until tty_init().
tty_struct *console_tty();
/// Bytes from the console's line. Hard IRQ; when nobody keeps up they are counted and thrown away.
void tty_receive(u8 c);
/// Boot: registers /dev/console, tty and ttyS0, starts the kthread.
int tty_init();
/// Linux's tty_std_termios.
extern const ktermios2 tty_std_termios;
/// Give file `f` the terminal `t`, whose reference it takes over (also on failure). ENOMEM, EBUSY (TIOCEXCL).
result<void> tty_attach_file(tty_struct *t, file *f);
/// Open is done: a session leader without a terminal gets this one, unless O_NOCTTY.
void tty_maybe_controlling(tty_struct *t, u32 flags);
/// The line is gone: its session gets SIGHUP and SIGCONT, open files end. [P]
void tty_vhangup(tty_struct *t);
/// The current process's controlling terminal with a reference (tty_put), or null. [P]
tty_struct *get_current_tty();
/// Reference counts; the console has none.
void tty_get(tty_struct *t);
void tty_put(tty_struct *t);
extern const file_operations tty_fops;

// tty_buffer.cc
/// Line discipline and rx ring: process what is there as far as there is room, and tell a pty's writers of new room. [P]
void tty_flush_to_ldisc(tty_struct *t);
/// Output may take so many bytes now (0 while stopped); `output` held or not.
u32 tty_write_room(const tty_struct *t);
/// Hand processed output to the line; `output` held.
void tty_emit(tty_struct *t, const char *s, size_t n);
/// A reader has made room in t's buffers: more input can come in, writers may go on. No lock held. [P]
void tty_input_taken(tty_struct *t);
/// Stop and start output (^S, ^Q, TCXONC). Any context but hard IRQ.
void tty_stop(tty_struct *t);
void tty_start(tty_struct *t);
/// Packet mode: tell the master what happened at the slave.
void tty_packet_status(tty_struct *t, u8 set, u8 clear = 0);

// pty.cc
int pty_init();
/// Reference of a pty's end (or: of both, they are one object). The second may be called under RCU without having one.
void pty_get(tty_struct *t);
bool pty_get_unless_dead(tty_struct *t);
void pty_put(tty_struct *t);
/// Open a slave for file `f`; takes over the reference, also on failure. EIO: locked, or the master is gone.
result<void> pty_open_slave(tty_struct *t, file *f);
/// A file of a pty was closed: the last of a slave's ends the master's input, the master's hangs the slave up. [P]
void pty_release(tty_struct *t);
result<size_t> pty_master_read(tty_struct *t, file *f, iov_iter &to);
result<size_t> pty_master_write(tty_struct *t, file *f, iov_iter &from);
u32 pty_master_poll(tty_struct *t, file *f, poll_table *pt);
/// TIOCGPTN, TIOCSPTLCK, TIOCPKT and their like; ENOIOCTLCMD: not one of them.
result<s64> pty_ioctl(tty_struct *t, u32 cmd, u64 arg);

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
/// One byte from the line through editing, echo and signals. `input` held.
void n_tty_receive_char(tty_struct *t, u8 c);
/// Whether another byte can be received: if not it stays in the rx ring. `input` held, or as a hint.
bool n_tty_has_room(const tty_struct *t);
/// Throw away what was not read. `input` held.
void n_tty_flush_input(tty_struct *t);
/// The mode has changed from `old`. `input` held.
void n_tty_set_termios(tty_struct *t, const ktermios &old);
// n_tty_io.cc
/// Output processing (OPOST) and writing; `output` held. Returns how many bytes were written: all, unless `limited` to what the line
/// takes now. Echo is not limited; what does not fit is lost.
size_t n_tty_put(tty_struct *t, const u8 *s, size_t n, bool limited = false);
result<size_t> n_tty_read(tty_struct *t, file *f, iov_iter &to);
result<size_t> n_tty_write(tty_struct *t, file *f, iov_iter &from);
u32 n_tty_poll(tty_struct *t, file *f, poll_table *pt);
/// Bytes that a read would get now (FIONREAD).
u32 n_tty_readable(tty_struct *t);
/// Signal `sig` to the foreground group as if its key had been typed (flushing, ISIG's rules). `input` held.
void n_tty_isig(tty_struct *t, unsigned sig);
// tty_jobctrl.cc
/// A background process of the terminal's session is stopped by `sig`: 0, EIO, ERESTARTSYS.
result<void> tty_check_background(tty_struct *t, unsigned sig);
/// Make the terminal the controlling one of the current session; `steal`: even if another has it (user 0). EPERM.
result<void> tty_set_controlling(tty_struct *t, bool steal);
/// TIOCSCTTY, TIOCNOTTY, TIOCGPGRP, TIOCSPGRP, TIOCGSID; of a pty's master they concern the slave.
result<s64> tty_jobctrl_ioctl(tty_struct *t, u32 cmd, u64 arg);
/// No process has the terminal as its controlling one any more. tasklist_lock not held.
void tty_forget_session(tty_struct *t);
void tty_jobctrl_init();
// tty_ioctl.cc
result<s64> tty_ioctl(tty_struct *t, file *f, u32 cmd, u64 arg);
