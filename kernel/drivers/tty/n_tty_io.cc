// SPDX-License-Identifier: MIT
// The line discipline's sides towards programs: read, write, poll, and output processing. Linux: drivers/tty/n_tty.c.
// Process context. Locks: `input` for reads, `output` for writes; neither is held while sleeping.

#include "drivers/tty/tty.h"
#include "lib/string.h"

namespace
{
constexpr size_t CHUNK = 256; // bytes written to the line in one piece

/// Collects processed output and hands it to the line in chunks.
struct out_buffer {
    tty_struct *tty;
    char bytes[CHUNK];
    size_t n = 0;
    u32 total = 0;
    explicit out_buffer(tty_struct *t) : tty{t} {}
    void flush()
    {
        if (n)
            tty_emit(tty, bytes, n);
        n = 0;
    }
    void add(char c)
    {
        if (n == CHUNK)
            flush();
        bytes[n++] = c;
        total++;
    }
    ~out_buffer() { flush(); }
};

/// Follow the cursor.
void track(tty_struct *t, u8 c)
{
    if (c == '\r' || (c == '\n' && o_flag(t, ONLRET)))
        t->column = 0;
    else if (c == '\b')
        t->column -= t->column > 0;
    else if (c == '\t')
        t->column = (t->column | 7) + 1;
    else if (c >= 32 && c != 127 && !(i_flag(t, IUTF8) && (c & 0xc0) == 0x80))
        t->column++;
}

void put_processed(tty_struct *t, out_buffer &out, u8 c)
{
    if (c == '\n' && o_flag(t, ONLCR)) {
        out.add('\r');
        track(t, '\r');
    } else if (c == '\r') {
        if (o_flag(t, ONOCR) && t->column == 0)
            return;
        if (o_flag(t, OCRNL))
            c = '\n';
    } else if (c == '\t' && (t->termios.t.oflag & XTABS) == XTABS) {
        do {
            out.add(' ');
            track(t, ' ');
        } while (t->column & 7);
        return;
    }
    if (o_flag(t, OLCUC) && c >= 'a' && c <= 'z')
        c &= static_cast<u8>(~32);
    out.add(static_cast<char>(c));
    track(t, c);
}
} // namespace

size_t n_tty_put(tty_struct *t, const u8 *s, size_t n, bool limited)
{
    out_buffer out{t};
    bool process = o_flag(t, OPOST);
    u32 room = limited ? tty_write_room(t) : ~u32{0};
    size_t i = 0;
    for (; i < n && room - out.total >= TTY_MAX_EXPANSION; i++) {
        if (process) {
            put_processed(t, out, s[i]);
        } else {
            out.add(static_cast<char>(s[i]));
            track(t, s[i]);
        }
    }
    return i;
}

namespace
{
/// Sleep until output may go on, or the line is gone. 0 or -ERESTARTSYS.
[[gnu::noinline]] int wait_for_room(tty_struct *t, file *f)
{
    return wait_event_interruptible(&t->write_wait,
                                    tty_write_room(t) >= TTY_MAX_EXPANSION || tty_hung_up(f));
}

/// Write `n` bytes: how many went out. *why: what stopped it.
size_t write_chunk(tty_struct *t, file *f, const u8 *s, size_t n, errno_t *why)
{
    size_t done = 0;
    while (!*why) {
        if (tty_hung_up(f)) {
            *why = EIO;
            break;
        }
        {
            mutex_guard g{t->output};
            done += n_tty_put(t, s + done, n - done, true);
        }
        if (done == n)
            break;
        if (f->f_flags & O_NONBLOCK)
            *why = EAGAIN;
        else if (wait_for_room(t, f))
            *why = ERESTARTSYS;
    }
    return done;
}
} // namespace

result<size_t> n_tty_write(tty_struct *t, file *f, iov_iter &from)
{
    if (l_flag(t, TOSTOP))
        TRY_VOID(tty_check_background(t, SIGTTOU));
    size_t done = 0;
    errno_t why = tty_hung_up(f) ? EIO : errno_t{};
    while (from.count() && !why) {
        u8 bytes[CHUNK];
        size_t n = min(from.count(), CHUNK);
        if (!from.copy_from(bytes, n))
            why = EFAULT;
        else
            done += write_chunk(t, f, bytes, n, &why);
    }
    if (why && !done)
        return error{why};
    return done;
}

namespace
{
/// Whether a read need not wait: a complete line, or `want` bytes. `input` held or not.
bool readable(tty_struct *t, u32 want)
{
    return l_flag(t, ICANON) ? read_once(t->lines) != 0
                             : read_once(t->head) - read_once(t->tail) >= want;
}

/// Sleep until readable(), the line is gone, or `timeout` jiffies are over: what is left, or -ERESTARTSYS.
[[gnu::noinline]] s64 n_tty_wait(tty_struct *t, file *f, u32 want, s64 timeout)
{
    wait_queue w;
    for (;;) {
        prepare_to_wait(&t->read_wait, &w, TASK_INTERRUPTIBLE);
        if (readable(t, want) || !timeout || tty_hung_up(f))
            break;
        if (signal_pending()) {
            timeout = -ERESTARTSYS;
            break;
        }
        timeout = schedule_timeout(timeout);
    }
    finish_wait(&t->read_wait, &w);
    return timeout;
}

/// One line, or the part of it that fits. `input` held. *eof: the line was ended by ^D.
size_t take_line(tty_struct *t, u8 *to, size_t n)
{
    size_t got = 0;
    while (got < n && t->tail != t->canon_head) {
        u32 i = t->tail++ % N_TTY_BUF_SIZE;
        bool ends = t->line_end[i];
        t->line_end[i] = false;
        if (ends)
            t->lines--;
        if (ends && t->buf[i] == 0)
            break; // ^D itself is not data
        to[got++] = t->buf[i];
        if (ends)
            break;
    }
    // A ^D right behind the bytes that just filled the buffer belongs to them, or the next read would see an end of file.
    if (got == n && n && t->tail != t->canon_head && t->line_end[t->tail % N_TTY_BUF_SIZE] &&
        t->buf[t->tail % N_TTY_BUF_SIZE] == 0 && to[n - 1] != '\n') {
        t->line_end[t->tail++ % N_TTY_BUF_SIZE] = false;
        t->lines--;
    }
    return got;
}

size_t take_raw(tty_struct *t, u8 *to, size_t n)
{
    size_t got = 0;
    while (got < n && t->tail != t->head)
        to[got++] = t->buf[t->tail++ % N_TTY_BUF_SIZE];
    t->canon_head = t->tail;
    return got;
}

/// Take what is there. False: nothing, in spite of what readable() said (another reader was faster).
bool take(tty_struct *t, u8 *to, size_t n, size_t *got)
{
    mutex_guard g{t->input};
    if (!readable(t, 1))
        return false;
    *got = l_flag(t, ICANON) ? take_line(t, to, n) : take_raw(t, to, n);
    return true;
}

/// How a raw read waits (POSIX 11.1.7): minimum count, time limit in jiffies, and whether that starts at the first byte.
struct raw_rules {
    u32 min_count;
    s64 timeout;
};
raw_rules rules_of(const tty_struct *t, size_t n)
{
    u8 vmin = t->termios.t.cc[VMIN], vtime = t->termios.t.cc[VTIME];
    s64 timeout = vtime  ? static_cast<s64>(vtime) * static_cast<s64>(HZ / 10)
                  : vmin ? MAX_SCHEDULE_TIMEOUT
                         : 0;
    return {static_cast<u32>(min<size_t>(vmin ? vmin : 1, n)), timeout};
}

/// Wait for a raw read's bytes: 0 or an errno.
errno_t wait_raw(tty_struct *t, file *f, size_t n)
{
    raw_rules r = rules_of(t, n);
    u8 vmin = t->termios.t.cc[VMIN], vtime = t->termios.t.cc[VTIME];
    if (vmin && vtime) {
        // The clock runs between bytes: wait for the first without limit, then for growth.
        if (n_tty_wait(t, f, 1, MAX_SCHEDULE_TIMEOUT) < 0)
            return ERESTARTSYS;
        for (u32 have = t->head - t->tail; have < r.min_count; have = t->head - t->tail) {
            s64 left = n_tty_wait(t, f, have + 1, r.timeout);
            if (left < 0)
                return ERESTARTSYS;
            if (t->head - t->tail <= have)
                break;
        }
        return errno_t{};
    }
    return n_tty_wait(t, f, r.min_count, r.timeout) < 0 ? ERESTARTSYS : errno_t{};
}
} // namespace

result<size_t> n_tty_read(tty_struct *t, file *f, iov_iter &to)
{
    size_t n = min<size_t>(to.count(), N_TTY_BUF_SIZE);
    if (!n)
        return size_t{0};
    auto *bytes = static_cast<u8 *>(kmalloc(n, GFP_KERNEL));
    if (!bytes)
        return error{ENOMEM};
    size_t got = 0;
    errno_t why{};
    for (;;) {
        if (auto r = tty_check_background(t, SIGTTIN); !r) {
            why = static_cast<errno_t>(r.err());
            break;
        }
        bool canon = l_flag(t, ICANON), nonblock = f->f_flags & O_NONBLOCK;
        if (!nonblock && !canon)
            why = wait_raw(t, f, n);
        else if (!nonblock && n_tty_wait(t, f, 1, MAX_SCHEDULE_TIMEOUT) < 0)
            why = ERESTARTSYS;
        if (why || take(t, bytes, n, &got) || tty_hung_up(f))
            break;
        bool no_wait = !l_flag(t, ICANON) && !t->termios.t.cc[VMIN] && !t->termios.t.cc[VTIME];
        if (nonblock)
            why = no_wait ? errno_t{} : EAGAIN;
        else if (l_flag(t, ICANON) || t->termios.t.cc[VMIN])
            continue; // another reader was faster, or the mode changed
        break;        // VMIN 0: the time is over, nothing came
    }
    if (got)
        tty_input_taken(t);
    if (!why && !to.copy_to(bytes, got))
        why = EFAULT;
    kfree(bytes);
    if (why)
        return error{why};
    return got;
}

u32 n_tty_readable(tty_struct *t)
{
    mutex_guard g{t->input};
    return (l_flag(t, ICANON) ? t->canon_head : t->head) - t->tail;
}

u32 n_tty_poll(tty_struct *t, file *f, poll_table *pt)
{
    poll_wait(f, &t->read_wait, pt);
    poll_wait(f, &t->write_wait, pt);
    u8 vmin = t->termios.t.cc[VMIN], vtime = t->termios.t.cc[VTIME];
    u32 mask = readable(t, vmin && !vtime ? vmin : 1) ? POLLIN | POLLRDNORM : 0;
    return mask | (tty_write_room(t) >= TTY_MAX_EXPANSION ? POLLOUT | POLLWRNORM : 0);
}
