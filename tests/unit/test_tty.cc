// SPDX-License-Identifier: MIT
// Pseudo terminals and the line discipline: editing, modes, flow control, packet mode, hangups.
#include "drivers/tty/tty.h"
#include "fs/namei.h"
#include "unit.h"

namespace
{
constexpr u32 TIOCGPTN = 0x80045430, TIOCSPTLCK = 0x40045431, TIOCPKT = 0x5420, TCGETS = 0x5401,
              TCSETS = 0x5402, TIOCSWINSZ = 0x5414, TIOCGWINSZ = 0x5413, FIONREAD = 0x541B,
              TCFLSH = 0x540B, TCXONC = 0x540A;

/// What ioctls of the tests point to.
struct {
    int n;
    ktermios t;
    winsize w;
} user;

result<s64> ioctl(file *f, u32 cmd, void *arg)
{
    return f->f_op->ioctl(f, cmd, reinterpret_cast<u64>(arg));
}

/// Bytes written or -errno.
ssize_t put(file *f, const char *s, size_t n)
{
    iov_iter it = iov_iter::kernel(const_cast<char *>(s), n);
    auto r = vfs_write(f, it, nullptr);
    return r ? static_cast<ssize_t>(*r) : -r.err();
}
ssize_t put(file *f, const char *s)
{
    return put(f, s, strlen(s));
}
ssize_t get(file *f, char *buf, size_t n)
{
    iov_iter it = iov_iter::kernel(buf, n);
    auto r = vfs_read(f, it, nullptr);
    return r ? static_cast<ssize_t>(*r) : -r.err();
}
/// Whether the next read gives exactly `want`.
bool gives(file *f, const char *want)
{
    char buf[512];
    ssize_t n = get(f, buf, sizeof buf);
    bool same = n == static_cast<ssize_t>(strlen(want)) && memcmp(buf, want, strlen(want)) == 0;
    if (!same)
        pr_err("read %ld: '%.*s', want '%s'\n", static_cast<long>(n),
               static_cast<int>(max<ssize_t>(n, 0)), buf, want);
    return same;
}

/// A pair, both ends non-blocking.
struct pair : pinned {
    file_ptr master, slave;
    char name[32];

    pair()
    {
        host_user_memory(&user, sizeof user);
        auto m = filp_open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK, 0);
        HOST_EXPECT(m);
        master = m.take();
        HOST_EXPECT(ioctl(master.get(), TIOCGPTN, &user.n));
        snprintf(name, sizeof name, "/dev/pts/%d", user.n);
    }
    void unlock()
    {
        user.n = 0;
        HOST_EXPECT(ioctl(master.get(), TIOCSPTLCK, &user.n));
    }
    file_ptr open_slave()
    {
        auto s = filp_open(name, O_RDWR | O_NOCTTY | O_NONBLOCK, 0);
        HOST_EXPECT(s);
        return s.take();
    }
    void open()
    {
        unlock();
        slave = open_slave();
    }
    /// Change modes at either end: clear and set flags of lflag and iflag.
    void modes(u32 l_clear, u32 l_set, u32 i_clear = 0, u32 i_set = 0)
    {
        HOST_EXPECT(ioctl(master.get(), TCGETS, &user.t));
        user.t.lflag = (user.t.lflag & ~l_clear) | l_set;
        user.t.iflag = (user.t.iflag & ~i_clear) | i_set;
        HOST_EXPECT(ioctl(slave.get(), TCSETS, &user.t));
    }
    u32 poll_master() { return vfs_poll(master.get(), nullptr); }
    u32 poll_slave() { return vfs_poll(slave.get(), nullptr); }
};

void locked_until_told(void *)
{
    pair p;
    HOST_EXPECT(filp_open(p.name, O_RDWR, 0).err() == EIO);
    HOST_EXPECT(get(p.master.get(), p.name, 0) == 0);
    p.unlock();
    char buf[8];
    HOST_EXPECT(get(p.master.get(), buf, 8) == -EAGAIN); // no slave yet is no hangup
    p.slave = p.open_slave();
    auto at = kern_path(p.name, 0);
    HOST_EXPECT(at && s_ischr(at->ino()->mode) && dev_major(at->ino()->rdev) == 136);
    p.slave = file_ptr{};
    p.master = file_ptr{};
    HOST_EXPECT(!kern_path(p.name, 0));
}

void lines_are_edited_and_echoed(void *)
{
    pair p;
    p.open();
    HOST_EXPECT(put(p.master.get(), "helxx\177\177lo") == 9);
    HOST_EXPECT(gives(p.master.get(), "helxx\b \b\b \blo"));
    HOST_EXPECT(!(p.poll_slave() & POLLIN));
    HOST_EXPECT(put(p.master.get(), "\r") == 1);
    HOST_EXPECT(gives(p.master.get(), "\r\n"));
    HOST_EXPECT(p.poll_slave() & POLLIN);
    HOST_EXPECT(gives(p.slave.get(), "hello\n"));
    // ^W, ^U, ^V and ^D; a tab is erased as wide as it was.
    put(p.master.get(), "one two\027x\n");
    HOST_EXPECT(gives(p.slave.get(), "one x\n"));
    put(p.master.get(), "gone\025\026\003end\004");
    HOST_EXPECT(gives(p.slave.get(), "\003end"));
    put(p.master.get(), "\004");
    HOST_EXPECT(gives(p.slave.get(), ""));
    char rest[512];
    put(p.master.get(), "\n");
    HOST_EXPECT(gives(p.slave.get(), "\n"));
    while (get(p.master.get(), rest, sizeof rest) > 0)
        ;
    put(p.master.get(), "a\t\177\001\177");
    HOST_EXPECT(gives(p.master.get(), "a\t\b\b\b\b\b\b\b^A\b \b\b \b"));
    // A line in pieces stays one line, two lines are two reads.
    put(p.master.get(), "\nx\n");
    HOST_EXPECT(get(p.slave.get(), rest, 1) == 1 && rest[0] == 'a');
    HOST_EXPECT(gives(p.slave.get(), "\n"));
    HOST_EXPECT(gives(p.slave.get(), "x\n"));
}

void output_is_processed(void *)
{
    pair p;
    p.open();
    HOST_EXPECT(put(p.slave.get(), "a\nb") == 3);
    HOST_EXPECT(gives(p.master.get(), "a\r\nb"));
    HOST_EXPECT(ioctl(p.slave.get(), TCGETS, &user.t));
    user.t.oflag |= XTABS;
    HOST_EXPECT(ioctl(p.master.get(), TCSETS, &user.t)); // the master's ioctl means the slave
    HOST_EXPECT(put(p.slave.get(), "\tc") == 2);
    HOST_EXPECT(gives(p.master.get(), "       c"));
    user.t.oflag = 0;
    HOST_EXPECT(ioctl(p.slave.get(), TCSETS, &user.t));
    HOST_EXPECT(put(p.slave.get(), "\n\t") == 2);
    HOST_EXPECT(gives(p.master.get(), "\n\t"));
}

void writers_wait_when_buffers_are_full(void *)
{
    static char big[20000];
    memset(big, 'x', sizeof big);
    pair p;
    p.open();
    p.modes(ICANON | ECHO, 0);
    // Raw: what the line discipline holds and what waits before it.
    ssize_t n = put(p.master.get(), big, sizeof big);
    HOST_EXPECT(n == static_cast<ssize_t>(N_TTY_BUF_SIZE - 1 + TTY_RX_LIMIT));
    HOST_EXPECT(put(p.master.get(), big, 1) == -EAGAIN);
    HOST_EXPECT(!(p.poll_master() & POLLOUT));
    ssize_t got = 0, r;
    while ((r = get(p.slave.get(), big, 1000)) > 0)
        got += r;
    HOST_EXPECT(got == n && r == -EAGAIN && (p.poll_master() & POLLOUT));
    // The other way.
    n = put(p.slave.get(), big, sizeof big);
    HOST_EXPECT(n > static_cast<ssize_t>(TTY_RX_LIMIT - TTY_MAX_EXPANSION) &&
                n <= static_cast<ssize_t>(TTY_RX_LIMIT));
    HOST_EXPECT(!(p.poll_slave() & POLLOUT) && put(p.slave.get(), big, 1) == -EAGAIN);
    for (got = 0; (r = get(p.master.get(), big, 3000)) > 0; got += r)
        ;
    HOST_EXPECT(got == n && (p.poll_slave() & POLLOUT));
    // A canonical line of any length is received, cut, and ended.
    p.modes(0, ICANON);
    HOST_EXPECT(put(p.master.get(), big, 6000) == 6000 && put(p.master.get(), "\n") == 1);
    for (got = 0; (r = get(p.slave.get(), big, sizeof big)) > 0; got += r)
        ;
    HOST_EXPECT(got == static_cast<ssize_t>(N_TTY_BUF_SIZE));
}

void stop_and_start(void *)
{
    pair p;
    p.open();
    put(p.master.get(), "\023");
    HOST_EXPECT(put(p.slave.get(), "late") == -EAGAIN && !(p.poll_slave() & POLLOUT));
    put(p.master.get(), "\021");
    HOST_EXPECT(put(p.slave.get(), "late") == 4 && gives(p.master.get(), "late"));
    // TCOOFF is not undone by ^Q.
    HOST_EXPECT(ioctl(p.slave.get(), TCXONC, nullptr));
    put(p.master.get(), "\021");
    HOST_EXPECT(put(p.slave.get(), "x") == -EAGAIN);
    HOST_EXPECT(ioctl(p.slave.get(), TCXONC, reinterpret_cast<void *>(1)));
    HOST_EXPECT(put(p.slave.get(), "x") == 1);
}

void packet_mode_tells_what_happened(void *)
{
    pair p;
    p.open();
    user.n = 1;
    HOST_EXPECT(ioctl(p.master.get(), TIOCPKT, &user.n));
    put(p.slave.get(), "hi");
    char buf[8];
    HOST_EXPECT(get(p.master.get(), buf, 8) == 3 && buf[0] == 0 && buf[1] == 'h');
    put(p.master.get(), "\023");
    HOST_EXPECT((p.poll_master() & (POLLPRI | POLLIN)) == (POLLPRI | POLLIN));
    HOST_EXPECT(get(p.master.get(), buf, 8) == 1 && buf[0] == TIOCPKT_STOP);
    put(p.master.get(), "\021");
    HOST_EXPECT(get(p.master.get(), buf, 8) == 1 && buf[0] == TIOCPKT_START);
    p.modes(0, 0, IXON, 0);
    HOST_EXPECT(get(p.master.get(), buf, 8) == 1 && buf[0] == TIOCPKT_NOSTOP);
    HOST_EXPECT(ioctl(p.slave.get(), TCFLSH, nullptr));
    HOST_EXPECT(get(p.master.get(), buf, 8) == 1 && buf[0] == TIOCPKT_FLUSHREAD);
    HOST_EXPECT(get(p.master.get(), buf, 8) == -EAGAIN);
}

void closed_ends(void *)
{
    pair p;
    p.open();
    file_ptr second = p.open_slave();
    put(p.slave.get(), "bye");
    second = file_ptr{};
    HOST_EXPECT(!(p.poll_master() & POLLHUP));
    p.slave = file_ptr{};
    HOST_EXPECT(p.poll_master() & POLLHUP);
    HOST_EXPECT(gives(p.master.get(), "bye"));
    char buf[8];
    HOST_EXPECT(get(p.master.get(), buf, 8) == -EIO);
    // Input waits for the next one to open the slave, which ends the hangup.
    HOST_EXPECT(put(p.master.get(), "later\n") == 6);
    p.slave = p.open_slave();
    HOST_EXPECT(!(p.poll_master() & POLLHUP) && gives(p.slave.get(), "later\n"));
    p.master = file_ptr{};
    HOST_EXPECT(get(p.slave.get(), buf, 8) == 0 && put(p.slave.get(), "x") == -EIO);
    HOST_EXPECT(ioctl(p.slave.get(), TCGETS, &user.t).err() == EIO);
    HOST_EXPECT((p.poll_slave() & (POLLHUP | POLLERR)) == (POLLHUP | POLLERR));
}

void window_size_is_shared(void *)
{
    pair p;
    p.open();
    user.w = {24, 80, 1, 2};
    HOST_EXPECT(ioctl(p.master.get(), TIOCSWINSZ, &user.w));
    user.w = {};
    HOST_EXPECT(ioctl(p.slave.get(), TIOCGWINSZ, &user.w) && user.w.row == 24 && user.w.col == 80);
    put(p.slave.get(), "12345");
    HOST_EXPECT(ioctl(p.master.get(), FIONREAD, &user.n) && user.n == 5);
}

/// One virtual CPU writes, another reads, with random turns.
struct crossing {
    file *from, *to;
    bool done;
};
void write_much(void *arg)
{
    auto *c = static_cast<crossing *>(arg);
    for (u32 i = 0; i < 40000;) {
        char buf[701];
        u32 n = min<u32>(sizeof buf, 40000 - i);
        for (u32 k = 0; k < n; k++)
            buf[k] = static_cast<char>('a' + (i + k) % 23);
        HOST_EXPECT(put(c->from, buf, n) == static_cast<ssize_t>(n));
        i += n;
    }
    c->done = true;
}
void nothing_is_lost_between_tasks(void *)
{
    pair p;
    p.open();
    p.modes(ICANON | ECHO | ISIG, 0, IXON | ICRNL, 0);
    p.master->f_flags &= ~O_NONBLOCK;
    p.slave->f_flags &= ~O_NONBLOCK;
    for (int way = 0; way < 2; way++) {
        crossing c{way ? p.master.get() : p.slave.get(), way ? p.slave.get() : p.master.get(),
                   false};
        host_spawn(write_much, &c, -1);
        u32 at = 0;
        while (at < 40000) {
            char buf[900];
            ssize_t n = get(c.to, buf, sizeof buf);
            HOST_EXPECT(n > 0);
            if (n <= 0)
                return;
            for (ssize_t k = 0; k < n; k++, at++)
                if (buf[k] != static_cast<char>('a' + at % 23)) {
                    HOST_EXPECT(!"the bytes in order");
                    return;
                }
        }
        while (!read_once(c.done))
            sched_yield_current();
    }
}

void devpts_options(void *)
{
    HOST_EXPECT(do_mount("devpts", "/dev/pts", "devpts", 0, "gid=5,mode=620,ptmxmode=666"));
    HOST_EXPECT(do_mount("devpts", "/dev/pts", "devpts", 0, "mode=x").err() != 0);
    pair p;
    auto at = kern_path(p.name, 0), mx = kern_path("/dev/pts/ptmx", 0);
    HOST_EXPECT(at && (at->ino()->mode & 0777) == 0620 && at->ino()->gid == 5);
    HOST_EXPECT(mx && (mx->ino()->mode & 0777) == 0666);
    HOST_EXPECT(filp_open("/dev/pts/ptmx", O_RDWR, 0));
    HOST_EXPECT(do_unlinkat(AT_FDCWD, p.name).err() == EPERM);
}
} // namespace

extern "C" int main()
{
    unit_main("tty",
              {KERNEL_UNIT(locked_until_told), KERNEL_UNIT(lines_are_edited_and_echoed),
               KERNEL_UNIT(output_is_processed), KERNEL_UNIT(writers_wait_when_buffers_are_full),
               KERNEL_UNIT(stop_and_start), KERNEL_UNIT(packet_mode_tells_what_happened),
               KERNEL_UNIT(closed_ends), KERNEL_UNIT(window_size_is_shared),
               KERNEL_UNIT(nothing_is_lost_between_tasks), KERNEL_UNIT(devpts_options)},
              2);
}
