// SPDX-License-Identifier: MIT
// Character devices by number, and special inodes. Linux: fs/char_dev.c. Process context; the table only grows, at boot.

#include "fs/internal.h"

namespace
{
struct chrdev_range {
    u32 major, first, last;
    const char *name;
    const file_operations *ops;
};
constexpr unsigned MAX_CHRDEVS = 32;
chrdev_range chrdevs[MAX_CHRDEVS];
unsigned nr_chrdevs;

result<void> chrdev_open(inode *i, file *f)
{
    u32 major = dev_major(i->rdev), minor = dev_minor(i->rdev);
    for (unsigned n = 0; n < nr_chrdevs; n++) {
        const chrdev_range &c = chrdevs[n];
        if (c.major != major || minor < c.first || minor > c.last)
            continue;
        f->f_op = c.ops;
        return c.ops->open ? c.ops->open(i, f) : result<void>{};
    }
    return error{ENXIO};
}
} // namespace

const file_operations chrdev_operations{.open = chrdev_open};
const file_operations bad_file_operations{};

void register_chrdev(u32 major, u32 first, u32 last, const char *name, const file_operations *ops)
{
    BUG_ON(nr_chrdevs == MAX_CHRDEVS);
    chrdevs[nr_chrdevs] = {major, first, last, name, ops};
    __atomic_store_n(&nr_chrdevs, nr_chrdevs + 1, __ATOMIC_RELEASE);
}

void for_each_chrdev(void (*f)(u32 major, const char *name, void *arg), void *arg)
{
    for (unsigned n = 0; n < nr_chrdevs; n++)
        f(chrdevs[n].major, chrdevs[n].name, arg);
}

void init_special_inode(inode *i, u32 mode, u32 rdev)
{
    i->rdev = rdev;
    if (s_ischr(mode))
        i->i_fop = &chrdev_operations;
    else if (s_isfifo(mode))
        i->i_fop = &fifo_operations;
}
