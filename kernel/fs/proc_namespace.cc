// SPDX-License-Identifier: MIT
// The mounts as text: /proc/<pid>/mounts, mountinfo, mountstats; proc(5) describes the lines. Linux: fs/proc_namespace.c.
// Process context; takes the tree lock.

#include "fs/namei.h"
#include "fs/seq_file.h"

namespace
{
struct listing {
    seq_file *m;
    const path *root;
    char *buf;
};

/// Text without white space and backslashes: those become \ooo.
void show_escaped(seq_file *m, const char *s)
{
    for (; *s; s++) {
        if (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\\')
            seq_printf(m, "\\%03o", static_cast<unsigned char>(*s));
        else
            seq_putc(m, *s);
    }
}

void show_mount_flags(seq_file *m, const mount &mnt)
{
    static const struct {
        u64 flag;
        const char *name;
    } names[] = {{MS_NOSUID, ",nosuid"},         {MS_NODEV, ",nodev"},
                 {MS_NOEXEC, ",noexec"},         {MS_NOATIME, ",noatime"},
                 {MS_NODIRATIME, ",nodiratime"}, {MS_RELATIME, ",relatime"}};
    seq_puts(m, mnt.flags & MS_RDONLY ? "ro" : "rw");
    for (const auto &n : names)
        if (mnt.flags & n.flag)
            seq_puts(m, n.name);
}

void show_super_options(seq_file *m, const mount &mnt)
{
    if (mnt.sb->type->show_options)
        mnt.sb->type->show_options(m, mnt.sb);
}

/// Where a mount is, as seen from the listing's root; null: not below it.
const char *place(const listing &l, mount &mnt)
{
    return d_path_locked({&mnt, mnt.root}, *l.root, l.buf, PATH_MAX, false);
}

void mounts_line(mount &mnt, void *arg)
{
    auto *l = static_cast<listing *>(arg);
    const char *at = place(*l, mnt);
    if (!at)
        return;
    show_escaped(l->m, mnt.devname);
    seq_putc(l->m, ' ');
    show_escaped(l->m, at);
    seq_printf(l->m, " %s ", mnt.sb->type->name);
    show_mount_flags(l->m, mnt);
    show_super_options(l->m, mnt);
    seq_puts(l->m, " 0 0\n");
}

void mountinfo_line(mount &mnt, void *arg)
{
    auto *l = static_cast<listing *>(arg);
    u32 parent = mnt.parent ? mnt.parent->id : mnt.id;
    seq_printf(l->m, "%u %u %u:%u ", mnt.id, parent, dev_major(mnt.sb->dev),
               dev_minor(mnt.sb->dev));
    const path top{nullptr, mnt.sb->root};
    const char *inside = d_path_locked({nullptr, mnt.root}, top, l->buf, PATH_MAX, false);
    show_escaped(l->m, mnt.root == mnt.sb->root || !inside ? "/" : inside);
    seq_putc(l->m, ' ');
    const char *at = place(*l, mnt);
    show_escaped(l->m, at ? at : "/");
    seq_putc(l->m, ' ');
    show_mount_flags(l->m, mnt);
    seq_printf(l->m, " - %s ", mnt.sb->type->name);
    show_escaped(l->m, mnt.devname);
    seq_puts(l->m, mnt.flags & MS_RDONLY ? " ro" : " rw");
    show_super_options(l->m, mnt);
    seq_putc(l->m, '\n');
}

void mountstats_line(mount &mnt, void *arg)
{
    auto *l = static_cast<listing *>(arg);
    const char *at = place(*l, mnt);
    if (!at)
        return;
    seq_puts(l->m, "device ");
    show_escaped(l->m, mnt.devname);
    seq_puts(l->m, " mounted on ");
    show_escaped(l->m, at);
    seq_printf(l->m, " with fstype %s\n", mnt.sb->type->name);
}

void show_all(seq_file *m, const path &root, void (*line)(mount &, void *))
{
    char *buf = getname_buffer();
    if (!buf) {
        m->error = ENOMEM;
        return;
    }
    {
        tree_guard g;
        listing l{m, &root, buf};
        for_each_mount(line, &l);
    }
    putname_buffer(buf);
}
} // namespace

void show_mounts(seq_file *m, const path &root)
{
    show_all(m, root, mounts_line);
}

void show_mountinfo(seq_file *m, const path &root)
{
    show_all(m, root, mountinfo_line);
}

void show_mountstats(seq_file *m, const path &root)
{
    show_all(m, root, mountstats_line);
}
