// SPDX-License-Identifier: MIT
// The line discipline's receiving side: editing of the line being typed, echo, signals. Linux: drivers/tty/n_tty.c; POSIX chapter 11.
// Context: process (tty_flush_to_ldisc). Locks: the caller holds `input`; takes `output` for each echo.

#include "drivers/tty/tty.h"
#include "fs/fasync.h"
#include "lib/string.h"

namespace
{
bool is_control(u8 c)
{
    return c < 32 || c == 127;
}
bool is_continuation(u8 c)
{
    return (c & 0xc0) == 0x80;
} // of a UTF-8 sequence

u8 &at(tty_struct *t, u32 i)
{
    return t->buf[i % N_TTY_BUF_SIZE];
}
u8 special(const tty_struct *t, unsigned which)
{
    return t->termios.t.cc[which];
}
/// Whether c is the special character `which`; 0 means "none".
bool is_special(const tty_struct *t, u8 c, unsigned which)
{
    return special(t, which) && c == special(t, which);
}

void put(tty_struct *t, const char *s, size_t n)
{
    mutex_guard g{t->output};
    n_tty_put(t, reinterpret_cast<const u8 *>(s), n);
}

/// Echo one byte; control characters as ^X when ECHOCTL says so.
void echo(tty_struct *t, u8 c)
{
    if (l_flag(t, ECHOCTL) && is_control(c) && c != '\t' && c != '\n') {
        char two[2] = {'^', static_cast<char>(c ^ 0100)};
        put(t, two, 2);
        return;
    }
    char one = static_cast<char>(c);
    put(t, &one, 1);
}

void echo_if(tty_struct *t, u8 c)
{
    if (!l_flag(t, ECHO))
        return;
    if (t->head == t->canon_head)
        t->line_column = t->column;
    echo(t, c);
}

void wake_readers(tty_struct *t)
{
    wake_up_interruptible_sync_poll(&t->read_wait, POLLIN | POLLRDNORM);
    kill_fasync(&t->fasync, SIGIO, POLL_IN);
}

/// Store one byte of input. The last place is kept for the end of a line, so that a full buffer can still be read.
void store(tty_struct *t, u8 c, bool ends_line)
{
    u32 used = t->head - t->tail;
    if (used >= N_TTY_BUF_SIZE || (used == N_TTY_BUF_SIZE - 1 && l_flag(t, ICANON) && !ends_line)) {
        if (i_flag(t, IMAXBEL))
            put(t, "\a", 1);
        return;
    }
    at(t, t->head) = c;
    t->line_end[t->head % N_TTY_BUF_SIZE] = ends_line;
    t->head++;
    if (ends_line) {
        t->canon_head = t->head;
        t->lines++;
    }
    if (ends_line || !l_flag(t, ICANON))
        wake_readers(t);
}

/// Screen column behind the typed line's first `n` bytes.
u32 column_after(tty_struct *t, u32 n)
{
    u32 col = t->line_column;
    for (u32 i = 0; i < n; i++) {
        u8 c = at(t, t->canon_head + i);
        if (c == '\t')
            col = (col | 7) + 1;
        else if (is_control(c))
            col += l_flag(t, ECHOCTL) ? 2 : 0;
        else if (!(i_flag(t, IUTF8) && is_continuation(c)))
            col++;
    }
    return col;
}

/// Remove the last character of the typed line, from the screen too.
void erase_char(tty_struct *t)
{
    u32 before = column_after(t, t->head - t->canon_head);
    bool tab = at(t, t->head - 1) == '\t'; // leaves nothing on the screen to blank out
    do
        t->head--;
    while (t->head != t->canon_head && i_flag(t, IUTF8) && is_continuation(at(t, t->head)));
    if (!l_flag(t, ECHO))
        return;
    if (!l_flag(t, ECHOE)) {
        echo(t, special(t, VERASE));
        return;
    }
    for (u32 after = column_after(t, t->head - t->canon_head); after < before; after++)
        put(t, "\b \b", tab ? 1 : 3);
}

bool is_word(u8 c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' || c >= 128;
}

void erase_word(tty_struct *t)
{
    bool seen = false;
    while (t->head != t->canon_head) {
        bool word = is_word(at(t, t->head - 1));
        if (seen && !word)
            return;
        seen |= word;
        erase_char(t);
    }
}

void erase_line(tty_struct *t)
{
    if (l_flag(t, ECHO) && !(l_flag(t, ECHOK) && l_flag(t, ECHOKE) && l_flag(t, ECHOE))) {
        t->head = t->canon_head;
        echo(t, special(t, VKILL));
        if (l_flag(t, ECHOK))
            put(t, "\n", 1);
        return;
    }
    while (t->head != t->canon_head)
        erase_char(t);
}

/// ^R: show the line again.
void reprint(tty_struct *t)
{
    echo(t, special(t, VREPRINT));
    put(t, "\n", 1);
    t->line_column = t->column;
    for (u32 i = t->canon_head; i != t->head; i++)
        echo(t, at(t, i));
}

/// ^C, ^\, ^Z.
bool signal_char(tty_struct *t, u8 c)
{
    unsigned sig = is_special(t, c, VINTR)   ? SIGINT
                   : is_special(t, c, VQUIT) ? SIGQUIT
                   : is_special(t, c, VSUSP) ? SIGTSTP
                                             : 0;
    if (!l_flag(t, ISIG) || !sig)
        return false;
    if (!l_flag(t, NOFLSH)) {
        n_tty_flush_input(t);
        tty_packet_status(t, TIOCPKT_FLUSHWRITE);
    }
    if (i_flag(t, IXON))
        tty_start(t);
    if (l_flag(t, ECHO))
        echo(t, c);
    n_tty_isig(t, sig);
    return true;
}

/// ^S and ^Q.
bool flow_char(tty_struct *t, u8 c)
{
    if (!i_flag(t, IXON))
        return false;
    if (is_special(t, c, VSTART)) {
        tty_start(t);
        return true;
    }
    if (is_special(t, c, VSTOP)) {
        tty_stop(t);
        return true;
    }
    return false;
}

/// A key that edits the line. False: c is text.
bool edit_char(tty_struct *t, u8 c)
{
    bool typed = t->head != t->canon_head;
    if (is_special(t, c, VERASE) || (c == '\b' && special(t, VERASE) == 127)) {
        if (typed)
            erase_char(t);
        return true;
    }
    if (is_special(t, c, VKILL)) {
        if (typed)
            erase_line(t);
        return true;
    }
    if (!l_flag(t, IEXTEN))
        return false;
    if (is_special(t, c, VWERASE)) {
        erase_word(t);
        return true;
    }
    if (is_special(t, c, VREPRINT)) {
        if (l_flag(t, ECHO))
            reprint(t);
        return true;
    }
    if (is_special(t, c, VLNEXT)) {
        t->literal_next = true;
        if (l_flag(t, ECHO) && l_flag(t, ECHOCTL))
            put(t, "^\b", 2);
        return true;
    }
    return false;
}

/// A character that ends the line. False: c does not.
bool end_line(tty_struct *t, u8 c)
{
    if (c == '\n') {
        if (l_flag(t, ECHO) || l_flag(t, ECHONL))
            put(t, "\n", 1);
        store(t, c, true);
        return true;
    }
    if (is_special(t, c, VEOF)) {
        store(t, 0, true); // marked by the 0 byte: the reader leaves it out
        return true;
    }
    if (is_special(t, c, VEOL) || (l_flag(t, IEXTEN) && is_special(t, c, VEOL2))) {
        echo_if(t, c);
        store(t, c, true);
        return true;
    }
    return false;
}
} // namespace

void n_tty_isig(tty_struct *t, unsigned sig)
{
    s32 pgrp;
    {
        spin_guard<irqsave> g{t->ctrl};
        pgrp = t->pgrp;
    }
    if (pgrp)
        kill_pgrp(pgrp, sig);
}

bool n_tty_has_room(const tty_struct *t)
{
    // One place stays free for the end of a line. A line that is too long goes on being received: it can only be cut or ended.
    return read_once(t->head) - read_once(t->tail) < N_TTY_BUF_SIZE - 1 ||
           (l_flag(t, ICANON) && !read_once(t->lines));
}

void n_tty_flush_input(tty_struct *t)
{
    t->tail = t->canon_head = t->head;
    t->lines = 0;
    memset(t->line_end, 0, sizeof t->line_end);
    tty_packet_status(t, TIOCPKT_FLUSHREAD);
}

void n_tty_set_termios(tty_struct *t, const ktermios &old)
{
    if (!((old.lflag ^ t->termios.t.lflag) & ICANON))
        return;
    // What is there becomes plain input, resp. the line being typed.
    memset(t->line_end, 0, sizeof t->line_end);
    t->lines = 0;
    t->canon_head = t->tail;
    t->line_column = t->column;
    t->literal_next = false;
    wake_readers(t);
}

void n_tty_receive_char(tty_struct *t, u8 c)
{
    if (i_flag(t, ISTRIP))
        c &= 0x7f;
    if (i_flag(t, IUCLC) && l_flag(t, IEXTEN) && c >= 'A' && c <= 'Z')
        c |= 32;
    if (t->literal_next) {
        t->literal_next = false;
        echo_if(t, c);
        store(t, c, false);
        return;
    }
    if (t->stopped && i_flag(t, IXON) && i_flag(t, IXANY))
        tty_start(t);
    if (flow_char(t, c) || signal_char(t, c))
        return;
    if (c == '\r') {
        if (i_flag(t, IGNCR))
            return;
        if (i_flag(t, ICRNL))
            c = '\n';
    } else if (c == '\n' && i_flag(t, INLCR)) {
        c = '\r';
    }
    if (l_flag(t, ICANON) && (edit_char(t, c) || end_line(t, c)))
        return;
    echo_if(t, c);
    store(t, c, false);
}
