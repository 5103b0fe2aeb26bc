// SPDX-License-Identifier: MIT
// The terminal's ioctls: modes, window size, flushing. Linux: drivers/tty/tty_ioctl.c; ioctl_tty(2). Process context.

#include "drivers/tty/tty.h"
#include "lib/string.h"

namespace
{
enum tty_cmd : u32 {
    TCGETS = 0x5401,
    TCSETS = 0x5402,
    TCSETSW = 0x5403,
    TCSETSF = 0x5404,
    TCSBRK = 0x5409,
    TCXONC = 0x540A,
    TCFLSH = 0x540B,
    TIOCEXCL = 0x540C,
    TIOCNXCL = 0x540D,
    TIOCOUTQ = 0x5411,
    TIOCSTI = 0x5412,
    TIOCGWINSZ = 0x5413,
    TIOCSWINSZ = 0x5414,
    FIONREAD = 0x541B,
    TIOCSETD = 0x5423,
    TIOCGETD = 0x5424,
    TCSBRKP = 0x5425,
    TIOCGDEV = 0x80045432,
    TCGETS2 = 0x802C542A,
    TCSETS2 = 0x402C542B,
    TCSETSW2 = 0x402C542C,
    TCSETSF2 = 0x402C542D,
};

/// Output is polled, so it is always drained; only a flush of the input is left to do.
result<s64> set_termios(tty_struct *t, u64 arg, bool with_speeds, bool flush)
{
    TRY_VOID(tty_check_background(t, SIGTTOU));
    ktermios2 n = t->termios;
    if (with_speeds)
        TRY_VOID(get_user(n, user_ptr<ktermios2>{arg}));
    else
        TRY_VOID(get_user(n.t, user_ptr<ktermios>{arg}));
    mutex_guard in{t->input};
    mutex_guard out{t->output};
    if (flush)
        n_tty_flush_input(t);
    ktermios old = t->termios.t;
    n.t.line = old.line;
    t->termios = n;
    if (!(n.t.iflag & IXON) && t->stopped) {
        t->stopped = false;
        wake_up_interruptible_all(&t->write_wait);
    }
    n_tty_set_termios(t, old);
    return s64{0};
}

result<s64> set_winsize(tty_struct *t, u64 arg)
{
    winsize w;
    TRY_VOID(get_user(w, user_ptr<winsize>{arg}));
    if (memcmp(&w, &t->ws, sizeof w) == 0)
        return s64{0};
    t->ws = w;
    if (s32 pgrp = read_once(t->pgrp))
        kill_pgrp(pgrp, SIGWINCH);
    return s64{0};
}

/// TCFLSH: 0 input, 1 output, 2 both.
result<s64> flush(tty_struct *t, u64 which)
{
    if (which > 2)
        return error{EINVAL};
    TRY_VOID(tty_check_background(t, SIGTTOU));
    if (which != 1) {
        mutex_guard g{t->input};
        n_tty_flush_input(t);
    }
    return s64{0};
}

/// TCXONC: 0 stops output, 1 starts it; 2 and 3 would send stop and start characters.
result<s64> flow(tty_struct *t, u64 what)
{
    TRY_VOID(tty_check_background(t, SIGTTOU));
    if (what > 3)
        return error{EINVAL};
    if (what < 2) {
        t->stopped = what == 0;
        wake_up_interruptible_all(&t->write_wait);
        return s64{0};
    }
    u8 c = t->termios.t.cc[what == 2 ? VSTOP : VSTART];
    mutex_guard g{t->output};
    if (c)
        n_tty_put(t, &c, 1);
    return s64{0};
}

template <class T>
result<s64> give(u64 arg, const T &v)
{
    TRY_VOID(put_user(user_ptr<T>{arg}, v));
    return s64{0};
}
} // namespace

result<s64> tty_ioctl(tty_struct *t, file *, u32 cmd, u64 arg)
{
    switch (cmd) {
    case TCGETS:
        return give(arg, t->termios.t);
    case TCGETS2:
        return give(arg, t->termios);
    case TCSETS:
    case TCSETSW:
    case TCSETSF:
        return set_termios(t, arg, false, cmd == TCSETSF);
    case TCSETS2:
    case TCSETSW2:
    case TCSETSF2:
        return set_termios(t, arg, true, cmd == TCSETSF2);
    case TIOCGWINSZ:
        return give(arg, t->ws);
    case TIOCSWINSZ:
        return set_winsize(t, arg);
    case TCFLSH:
        return flush(t, arg);
    case TCXONC:
        return flow(t, arg);
    case FIONREAD:
        return give(arg, static_cast<int>(n_tty_readable(t)));
    case TIOCOUTQ:
        return give(arg, 0);
    case TIOCGETD:
        return give(arg, 0); // N_TTY
    case TIOCSETD: {
        int disc;
        TRY_VOID(get_user(disc, user_ptr<int>{arg}));
        return disc == 0 ? result<s64>{s64{0}} : result<s64>{error{EINVAL}};
    }
    case TIOCGDEV:
        return give(arg, mkdev(4, 64));
    case TIOCSTI: {
        u8 c;
        if (current()->euid != 0)
            return error{EPERM};
        TRY_VOID(get_user(c, user_ptr<u8>{arg}));
        n_tty_receive_char(t, c);
        return s64{0};
    }
    case TCSBRK:
    case TCSBRKP: // a break has no effect on the emulated line
    case TIOCEXCL:
    case TIOCNXCL:
        return s64{0};
    default:
        return tty_jobctrl_ioctl(t, cmd, arg);
    }
}
