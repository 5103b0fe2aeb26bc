// SPDX-License-Identifier: MIT
// /proc/<pid>/maps. Linux: fs/proc/task_mmu.c. Process context.
// Locks: the mm's lock only while areas are copied; names of files are made afterwards, as that needs the tree lock.

#include "fs/namei.h"
#include "fs/proc/internal.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "mm/vmalloc.h"

namespace
{
struct area_list {
    area_copy *area;
    unsigned n, max;
};

void copy_area(const vm_area &a, void *arg)
{
    auto *l = static_cast<area_list *>(arg);
    if (l->n == l->max)
        return;
    if (a.vm_file)
        get_file(a.vm_file);
    l->area[l->n++] = {a.start, a.end, a.pgoff, a.flags, a.vm_file};
}

} // namespace

void show_area(seq_file *m, const area_copy &a, const mm_struct *mm, const path &root, char *buf)
{
    const inode *i = a.f ? a.f->f_inode : nullptr;
    u32 dev = i && i->i_sb ? i->i_sb->dev : 0;
    seq_printf(m, "%08llx-%08llx %c%c%c%c %08llx %02x:%02x %llu ", ull(a.start), ull(a.end),
               a.flags & VM_READ ? 'r' : '-', a.flags & VM_WRITE ? 'w' : '-',
               a.flags & VM_EXEC ? 'x' : '-', a.flags & VM_SHARED ? 's' : 'p', ull(a.pgoff),
               dev_major(dev), dev_minor(dev), ull(i ? i->ino : 0));
    const char *name = nullptr;
    if (a.f)
        name = d_path({a.f->f_mnt, a.f->f_dentry}, root, buf, PATH_MAX);
    else if (a.start < mm->brk && a.end > mm->start_brk)
        name = "[heap]";
    else if (a.start <= mm->start_stack && a.end >= mm->start_stack)
        name = "[stack]";
    if (name) {
        seq_pad(m, 73);
        seq_puts(m, name);
    }
    seq_putc(m, '\n');
}

void show_pid_maps(seq_file *m, task_struct *t)
{
    mm_struct *mm = get_task_mm(t);
    if (!mm)
        return;
    area_list l{nullptr, 0, read_once(mm->map_count) + 16};
    l.area = static_cast<area_copy *>(vzalloc(l.max * sizeof(area_copy)));
    char *buf = getname_buffer();
    if (l.area && buf) {
        path root = get_fs_root();
        mm_for_each_area(mm, copy_area, &l);
        for (unsigned i = 0; i < l.n; i++) {
            show_area(m, l.area[i], mm, root, buf);
            fput(l.area[i].f);
        }
        path_put(root);
    } else {
        m->error = ENOMEM;
    }
    putname_buffer(buf);
    if (l.area)
        vfree(l.area);
    mm_put(mm);
}
