// SPDX-License-Identifier: MIT
// Sessions and foreground groups of the terminal. Linux: drivers/tty/tty_io.c (tty_jobctrl.c later); POSIX chapter 11.1.
// Process context. Locks: tty.ctrl for the terminal's session and group; signal_state.tty is set by its own process, and cleared by
// whoever ends the session (tasklist_lock).

#include "drivers/tty/tty.h"
#include "fs/proc/internal.h"
#include "sched/process.h"

namespace
{
/// Whether some process of the session is left: a terminal whose session died is free.
bool session_alive(s32 session)
{
    task_struct *leader = session ? find_get_task(session) : nullptr;
    if (!leader)
        return false;
    bool alive = task_session(leader) == session;
    put_task(leader);
    return alive;
}

bool is_mine(const tty_struct *t)
{
    const signal_state *s = current()->signal;
    return s && s->tty == t;
}

/// The session's leader gives its terminal up, or is gone: the foreground group hangs up, and the terminal is free. tasklist_lock not
/// held.
void disassociate(signal_state *s, tty_struct *t)
{
    s32 pgrp = 0;
    {
        spin_guard<irqsave> g{t->ctrl};
        if (t->session != s->session)
            return;
        pgrp = t->pgrp;
        t->session = t->pgrp = 0;
    }
    if (pgrp) {
        kill_pgrp(pgrp, SIGHUP);
        kill_pgrp(pgrp, SIGCONT);
    }
    tty_forget_session(t);
}

void session_leader_gone(signal_state *s)
{
    tty_struct *t = get_current_tty();
    if (!t)
        return;
    disassociate(s, t);
    tty_put(t);
}
} // namespace

void tty_forget_session(tty_struct *t)
{
    for_each_task(
        [](task_struct *p, void *tty) {
            if (p->signal && p->signal->tty == tty)
                p->signal->tty = nullptr;
        },
        t);
}

result<void> tty_check_background(tty_struct *t, unsigned sig)
{
    signal_state *s = current()->signal;
    if (!is_mine(t))
        return {};
    s32 pgrp, session;
    {
        spin_guard<irqsave> g{t->ctrl};
        pgrp = t->pgrp;
        session = t->session;
    }
    if (!pgrp || session != s->session || s->pgrp == pgrp)
        return {};
    if (signal_blocked_or_ignored(sig))
        return sig == SIGTTIN ? result<void>{error{EIO}} : result<void>{};
    if (is_orphaned_pgrp(s->pgrp))
        return error{EIO};
    kill_pgrp(s->pgrp, sig);
    return error{ERESTARTSYS};
}

result<void> tty_set_controlling(tty_struct *t, bool steal)
{
    signal_state *s = current()->signal;
    if (is_mine(t) && s->leader && t->session == s->session)
        return {};
    if (!s->leader || s->tty)
        return error{EPERM};
    s32 taken = read_once(t->session);
    if (taken && taken != s->session && session_alive(taken) && !(steal && current()->euid == 0))
        return error{EPERM};
    if (taken && taken != s->session)
        tty_forget_session(t);
    spin_guard<irqsave> g{t->ctrl};
    if (t->hung)
        return error{EIO};
    t->session = s->session;
    t->pgrp = s->pgrp;
    s->tty = t;
    return {};
}

namespace
{
constexpr u32 TIOCSCTTY = 0x540E, TIOCGPGRP = 0x540F, TIOCSPGRP = 0x5410, TIOCNOTTY = 0x5422,
              TIOCGSID = 0x5429;

/// Does a process of group `pgrp` exist in `session` (0: in any)?
bool group_in_session(s32 pgrp, s32 session)
{
    struct search {
        s32 pgrp, session;
        bool found;
    } s{pgrp, session, false};
    for_each_task(
        [](task_struct *t, void *arg) {
            auto *q = static_cast<search *>(arg);
            // tasklist_lock is held: the task's signal_state stays.
            if (t->signal && t->signal->pgrp == q->pgrp &&
                (!q->session || t->signal->session == q->session))
                q->found = true;
        },
        &s);
    return s.found;
}

result<s64> set_foreground(tty_struct *t, u64 arg)
{
    s32 pgrp;
    auto allowed = tty_check_background(t, SIGTTOU);
    if (!allowed)
        return error{allowed.err() == EIO ? ENOTTY : static_cast<errno_t>(allowed.err())};
    if (!is_mine(t) || t->session != current()->signal->session)
        return error{ENOTTY};
    TRY_VOID(get_user(pgrp, user_ptr<s32>{arg}));
    if (pgrp < 0)
        return error{EINVAL};
    if (!group_in_session(pgrp, 0))
        return error{ESRCH};
    if (!group_in_session(pgrp, current()->signal->session))
        return error{EPERM};
    spin_guard<irqsave> g{t->ctrl};
    t->pgrp = pgrp;
    return s64{0};
}

result<s64> give_up(tty_struct *t)
{
    if (!is_mine(t))
        return error{ENOTTY};
    if (current()->signal->leader)
        disassociate(current()->signal, t);
    current()->signal->tty = nullptr;
    return s64{0};
}
} // namespace

result<s64> tty_jobctrl_ioctl(tty_struct *t, u32 cmd, u64 arg)
{
    bool master = t->kind == tty_kind::pty_master;
    tty_struct *real = master ? t->link : t;
    switch (cmd) {
    case TIOCSCTTY:
        if (master)
            return error{ENOTTY};
        TRY_VOID(tty_set_controlling(t, arg == 1));
        return s64{0};
    case TIOCNOTTY:
        return give_up(t);
    case TIOCGPGRP:
    case TIOCGSID: {
        if (!master && !is_mine(t))
            return error{ENOTTY};
        if (cmd == TIOCGSID && !read_once(real->session))
            return error{ENOTTY};
        s32 v = cmd == TIOCGPGRP ? read_once(real->pgrp) : read_once(real->session);
        TRY_VOID(put_user(user_ptr<s32>{arg}, v));
        return s64{0};
    }
    case TIOCSPGRP:
        return set_foreground(real, arg);
    default:
        return error{ENOIOCTLCMD};
    }
}

void tty_jobctrl_init()
{
    process_tty_hangup = session_leader_gone;
    tty_foreground_pgrp = [](void *tty) { return read_once(static_cast<tty_struct *>(tty)->pgrp); };
    tty_device_number = [](void *tty) { return static_cast<tty_struct *>(tty)->rdev; };
}
