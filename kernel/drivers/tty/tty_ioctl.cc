// SPDX-License-Identifier: MIT
// The terminal's ioctls: modes, window size, flushing. Linux: drivers/tty/tty_ioctl.c; ioctl_tty(2). Process context.

#include "drivers/tty/tty.h"
#include "fs/ioctl.h"
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
    TIOCSTI = 0x5412,
    TIOCGWINSZ = 0x5413,
    TIOCSWINSZ = 0x5414,
    TIOCSETD = 0x5423,
    TIOCGETD = 0x5424,
    TCSBRKP = 0x5425,
    TIOCVHANGUP = 0x5437,
    TIOCGDEV = 0x80045432,
    TIOCGEXCL = 0x80045440,
    TCGETS2 = 0x802C542A,
    TCSETS2 = 0x402C542B,
    TCSETSW2 = 0x402C542C,
    TCSETSF2 = 0x402C542D,
};

/// ^S and ^Q as everybody has them: a program behind a pty in packet mode may then do the flow control itself.
bool usual_flow(const ktermios &t)
{
    return (t.iflag & IXON) && t.cc[VSTOP] == 023 && t.cc[VSTART] == 021;
}

/// Of a pty's master these are the slave's modes. Output is never held back below us (the console is polled, a pty's is in its reader's
/// hands), so it counts as drained; only a flush of the input is left to do.
result<s64> set_termios(tty_struct *file_end, tty_struct *t, u64 arg, bool with_speeds, bool flush)
{
    TRY_VOID(tty_check_background(file_end, SIGTTOU));
    ktermios2 n = t->termios;
    if (with_speeds)
        TRY_VOID(get_user(n, user_ptr<ktermios2>{arg}));
    else
        TRY_VOID(get_user(n.t, user_ptr<ktermios>{arg}));
    ktermios old;
    {
        mutex_guard in{t->input};
        mutex_guard out{t->output};
        if (flush)
            n_tty_flush_input(t);
        old = t->termios.t;
        n.t.line = old.line;
        if (t->kind == tty_kind::pty_slave) {
            constexpr u32 CSIZE = 060, CS8 = 060, CREAD = 0200, PARENB = 0400;
            n.t.cflag = (n.t.cflag & ~(CSIZE | PARENB)) | CS8 | CREAD;
        }
        t->termios = n;
        n_tty_set_termios(t, old);
    }
    if (!(n.t.iflag & IXON) && (old.iflag & IXON) && !t->flow_stopped)
        tty_start(t);
    if (usual_flow(old) != usual_flow(n.t))
        tty_packet_status(t, usual_flow(n.t) ? TIOCPKT_DOSTOP : TIOCPKT_NOSTOP,
                          TIOCPKT_DOSTOP | TIOCPKT_NOSTOP);
    tty_flush_to_ldisc(t); // the new mode may have room for more
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
    TRY_VOID(tty_check_background(t, SIGTTOU));
    if (which > 2)
        return error{EINVAL};
    if (which != 1) {
        mutex_guard g{t->input};
        u8 c;
        while (t->rx.pop(&c, 1))
            ;
        n_tty_flush_input(t);
    }
    if (which != 1)
        tty_input_taken(t);
    if (which != 0)
        tty_packet_status(t, TIOCPKT_FLUSHWRITE);
    return s64{0};
}

/// TCXONC: 0 stops output, 1 starts it; 2 and 3 would send stop and start characters.
result<s64> flow(tty_struct *t, u64 what)
{
    TRY_VOID(tty_check_background(t, SIGTTOU));
    if (what > 3)
        return error{EINVAL};
    if (what < 2) {
        write_once(t->flow_stopped, what == 0);
        what == 0 ? tty_stop(t) : tty_start(t);
        return s64{0};
    }
    u8 c = t->termios.t.cc[what == 2 ? VSTOP : VSTART];
    mutex_guard g{t->output};
    if (c)
        n_tty_put(t, &c, 1);
    return s64{0};
}

/// TIOCSTI: a byte as if it came from the line.
result<s64> simulate_input(tty_struct *t, u64 arg)
{
    u8 c;
    if ((!current()->signal || current()->signal->tty != t) && current()->euid != 0)
        return error{EPERM};
    TRY_VOID(get_user(c, user_ptr<u8>{arg}));
    if (t->kind == tty_kind::pty_master) {
        mutex_guard g{t->link->output};
        char one = static_cast<char>(c);
        tty_emit(t->link, &one, 1);
        return s64{0};
    }
    mutex_guard g{t->input};
    n_tty_receive_char(t, c);
    return s64{0};
}

result<s64> hang_up(tty_struct *t)
{
    if (current()->euid != 0)
        return error{EPERM};
    tty_vhangup(t);
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
    tty_struct *real = t->kind == tty_kind::pty_master ? t->link : t;
    switch (cmd) {
    case TCGETS:
        return give(arg, real->termios.t);
    case TCGETS2:
        return give(arg, real->termios);
    case TCSETS:
    case TCSETSW:
    case TCSETSF:
        return set_termios(t, real, arg, false, cmd == TCSETSF);
    case TCSETS2:
    case TCSETSW2:
    case TCSETSF2:
        return set_termios(t, real, arg, true, cmd == TCSETSF2);
    case TIOCGWINSZ:
        return give(arg, real->ws);
    case TIOCSWINSZ:
        return set_winsize(real, arg);
    case TCFLSH:
        return flush(t, arg);
    case TCXONC:
        return flow(t, arg);
    case FIONREAD:
        return give(arg, static_cast<int>(t == real ? n_tty_readable(t) : t->rx.used()));
    case TIOCOUTQ:
        return give(arg, 0);
    case TIOCGETD:
        return give(arg, 0); // N_TTY
    case TIOCSETD: {
        int disc;
        TRY_VOID(get_user(disc, user_ptr<int>{arg}));
        TRY_VOID(tty_check_background(t, SIGTTOU));
        return disc == 0 ? result<s64>{s64{0}} : result<s64>{error{EINVAL}};
    }
    case TIOCGDEV:
        return give(arg, real->rdev);
    case TIOCSTI:
        return simulate_input(t, arg);
    case TIOCVHANGUP:
        return hang_up(real);
    case TCSBRK:
    case TCSBRKP: // a break has no effect on the emulated line
        TRY_VOID(tty_check_background(t, SIGTTOU));
        return s64{0};
    case TIOCEXCL:
    case TIOCNXCL:
        write_once(t->exclusive, cmd == TIOCEXCL);
        return s64{0};
    case TIOCGEXCL:
        return give(arg, static_cast<int>(read_once(t->exclusive)));
    default:
        break;
    }
    auto r = pty_ioctl(t, cmd, arg);
    if (r.err() == ENOIOCTLCMD)
        return tty_jobctrl_ioctl(t, cmd, arg);
    return r;
}
