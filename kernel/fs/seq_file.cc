// SPDX-License-Identifier: MIT
// Text files made on demand. Linux: fs/seq_file.c. Process context.
//
// The text is made at the first read of an open file, and again at every read from position 0 (programs such as top keep the file open
// and seek back). A show function may hold spinlocks while it prints, so printing never allocates: when the buffer is
// too small the text is thrown away and made again in one of twice the size. The buffer belongs to the open file.

#include "fs/seq_file.h"
#include "fs/pseudo.h"
#include "lib/string.h"
#include "mm/vmalloc.h"

namespace
{
constexpr size_t MAX_TEXT = 64 << 20;

/// What an open text file has in private_data.
struct seq_open_file {
    mutex lock{"seq_file.lock"};
    seq_file m;
};

void free_text(seq_file &m)
{
    if (m.cap > PAGE_SIZE)
        vfree(m.buf);
    else
        kfree(m.buf);
    m.buf = nullptr;
    m.len = m.cap = 0;
}

bool alloc_text(seq_file &m, size_t cap)
{
    free_text(m);
    m.buf = static_cast<char *>(cap > PAGE_SIZE ? vzalloc(cap) : kmalloc(cap, GFP_KERNEL));
    m.cap = m.buf ? cap : 0;
    return m.buf;
}
} // namespace

result<void> seq_generate(seq_file &m, seq_show show)
{
    size_t cap = m.cap ? m.cap : PAGE_SIZE;
    if (!m.buf && !alloc_text(m, cap))
        return error{ENOMEM};
    for (;;) {
        m.len = 0;
        m.overflow = false;
        m.error = 0;
        show(&m);
        if (m.error)
            return error{static_cast<errno_t>(m.error)};
        if (!m.overflow)
            return {};
        cap *= 2;
        if (cap > MAX_TEXT || !alloc_text(m, cap))
            return error{ENOMEM};
    }
}

void seq_write(seq_file *m, const void *data, size_t n)
{
    if (m->overflow || m->cap - m->len < n) {
        m->overflow = true;
        return;
    }
    memcpy(m->buf + m->len, data, n);
    m->len += n;
}

void seq_puts(seq_file *m, const char *s)
{
    seq_write(m, s, strlen(s));
}

void seq_putc(seq_file *m, char c)
{
    seq_write(m, &c, 1);
}

void seq_printf(seq_file *m, const char *fmt, ...)
{
    if (m->overflow)
        return;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(m->buf + m->len, m->cap - m->len, fmt, ap);
    va_end(ap);
    if (n < 0 || static_cast<size_t>(n) >= m->cap - m->len)
        m->overflow = true;
    else
        m->len += static_cast<size_t>(n);
}

void seq_pad(seq_file *m, size_t col)
{
    size_t line = 0;
    while (line < m->len && m->buf[m->len - 1 - line] != '\n')
        line++;
    for (; line < col; line++)
        seq_putc(m, ' ');
}

namespace
{
result<void> seq_open(inode *i, file *f)
{
    auto *s = knew<seq_open_file>(GFP_KERNEL);
    if (!s)
        return error{ENOMEM};
    s->m.private_data = static_cast<pseudo_entry *>(i->private_data)->private_data;
    f->private_data = s;
    return {};
}

void seq_release(inode *, file *f)
{
    auto *s = static_cast<seq_open_file *>(f->private_data);
    free_text(s->m);
    kdelete(s);
}

result<size_t> seq_read(file *f, iov_iter &to, u64 *pos)
{
    auto *s = static_cast<seq_open_file *>(f->private_data);
    auto *e = static_cast<pseudo_entry *>(f->f_inode->private_data);
    if (!e->show)
        return error{EINVAL};
    mutex_guard g{s->lock};
    if (*pos == 0 || !s->m.buf)
        TRY_VOID(seq_generate(s->m, e->show));
    if (*pos >= s->m.len)
        return size_t{0};
    size_t n = min(to.count(), s->m.len - *pos);
    TRY_VOID(to.copy_to(s->m.buf + *pos, n));
    *pos += n;
    return n;
}

result<size_t> pseudo_write(file *f, iov_iter &from, u64 *pos)
{
    constexpr size_t MAX_WRITE = 4095;
    auto *e = static_cast<pseudo_entry *>(f->f_inode->private_data);
    if (!e->store)
        return error{EINVAL};
    size_t n = from.count();
    if (!n)
        return n;
    if (n > MAX_WRITE)
        return error{EINVAL};
    auto *text = static_cast<char *>(kmalloc(n + 1, GFP_KERNEL));
    if (!text)
        return error{ENOMEM};
    auto copied = from.copy_from(text, n);
    text[n] = 0;
    int r = copied ? e->store(text, n, e->private_data) : -EFAULT;
    kfree(text);
    if (r < 0)
        return error{static_cast<errno_t>(-r)};
    *pos += n;
    return n;
}
} // namespace

const file_operations seq_file_operations{
    .read = seq_read,
    .write = pseudo_write,
    .llseek = generic_file_llseek,
    .open = seq_open,
    .release = seq_release,
};
