// SPDX-License-Identifier: MIT
// /proc/<pid>/smaps and the sizes in status and statm. Linux: fs/proc/task_mmu.c. Process context; the mm's lock while pages are counted.

#include "fs/namei.h"
#include "fs/proc/internal.h"
#include "lib/string.h"
#include "mm/mm_usage.h"
#include "mm/vmalloc.h"

namespace
{
struct area_report {
    area_copy area;
    area_usage usage;
};
struct report_list {
    mm_struct *mm;
    area_report *at;
    unsigned n, max;
};

void collect(const vm_area &a, void *arg)
{
    auto *l = static_cast<report_list *>(arg);
    if (l->n == l->max)
        return;
    area_report &r = l->at[l->n++];
    if (a.vm_file)
        get_file(a.vm_file);
    r.area = {a.start, a.end, a.pgoff, a.flags, a.vm_file};
    r.usage = {};
    mm_area_usage(l->mm, a, &r.usage);
}

void row(seq_file *m, const char *name, u64 kb)
{
    seq_printf(m, "%-15s %8llu kB\n", name, ull(kb));
}

void show_report(seq_file *m, const area_report &r)
{
    constexpr u64 KB = PAGE_SIZE / 1024;
    const area_usage &u = r.usage;
    row(m, "Size:", (r.area.end - r.area.start) / 1024);
    row(m, "Rss:", u.rss * KB);
    row(m, "Pss:", u.pss_bytes / 1024);
    row(m, "Shared_Clean:", u.shared_clean * KB);
    row(m, "Shared_Dirty:", u.shared_dirty * KB);
    row(m, "Private_Clean:", u.private_clean * KB);
    row(m, "Private_Dirty:", u.private_dirty * KB);
    row(m, "Referenced:", u.rss * KB);
    row(m, "Anonymous:", u.anonymous * KB);
    row(m, "AnonHugePages:", 0);
    row(m, "Swap:", 0);
    row(m, "KernelPageSize:", KB);
    row(m, "MMUPageSize:", KB);
    u32 f = r.area.flags;
    row(m, "Locked:", f & VM_LOCKED ? u.pss_bytes / 1024 : 0);
    seq_printf(m, "VmFlags: %s%s%s%smr mw me %s%s%s%s\n", f & VM_READ ? "rd " : "",
               f & VM_WRITE ? "wr " : "", f & VM_EXEC ? "ex " : "", f & VM_SHARED ? "sh " : "",
               f & VM_SHARED ? "ms " : "", f & VM_GROWSDOWN ? "gd " : "",
               f & VM_LOCKED ? "lo " : "", f & VM_DONTCOPY ? "dc " : "");
}
} // namespace

void show_pid_smaps(seq_file *m, task_struct *t)
{
    mm_struct *mm = get_task_mm(t);
    if (!mm)
        return;
    report_list l{mm, nullptr, 0, read_once(mm->map_count) + 16};
    l.at = static_cast<area_report *>(vzalloc(l.max * sizeof(area_report)));
    char *buf = getname_buffer();
    if (l.at && buf) {
        path root = get_fs_root();
        mm_for_each_area(mm, collect, &l);
        for (unsigned i = 0; i < l.n; i++) {
            show_area(m, l.at[i].area, mm, root, buf);
            show_report(m, l.at[i]);
            fput(l.at[i].area.f);
        }
        path_put(root);
    } else {
        m->error = ENOMEM;
    }
    putname_buffer(buf);
    if (l.at)
        vfree(l.at);
    mm_put(mm);
}

void show_memory_sizes(seq_file *m, task_struct *t)
{
    mm_struct *mm = get_task_mm(t);
    if (!mm)
        return;
    constexpr u64 KB = PAGE_SIZE / 1024;
    mm_sums s;
    mm_usage_sums(mm, &s);
    u64 size = mm->total_vm;
    auto line = [&](const char *name, u64 kb) { seq_printf(m, "%s\t%8llu kB\n", name, ull(kb)); };
    line("VmPeak:", max(mm->hiwater_vm, size) * KB);
    line("VmSize:", size * KB);
    line("VmLck:", mm->locked_vm * KB);
    line("VmPin:", 0);
    line("VmHWM:", max(mm->hiwater_rss, s.rss) * KB);
    line("VmRSS:", s.rss * KB);
    line("VmData:", s.data * KB);
    line("VmStk:", s.stack * KB);
    line("VmExe:", s.exe * KB);
    line("VmLib:", s.lib * KB);
    line("VmPTE:", arch_pgd_pages(mm->pgd) * KB);
    line("VmSwap:", 0);
    mm_put(mm);
}

void show_pid_statm(seq_file *m, task_struct *t)
{
    mm_struct *mm = get_task_mm(t);
    mm_sums s;
    u64 size = 0;
    if (mm) {
        mm_usage_sums(mm, &s);
        size = mm->total_vm;
        mm_put(mm);
    }
    seq_printf(m, "%llu %llu %llu %llu 0 %llu 0\n", ull(size), ull(s.rss), ull(s.rss - s.anonymous),
               ull(s.exe), ull(s.data + s.stack));
}
