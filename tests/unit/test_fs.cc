// SPDX-License-Identifier: MIT
// Files: the page tree, ramfs contents, names, text files, and archives from anybody.
#include "fs/devtmpfs.h"
#include "fs/namei.h"
#include "fs/page_tree.h"
#include "fs/pseudo.h"
#include "fs/seq_file.h"
#include "unit.h"

static void page_tree_matches_a_table(void *)
{
    static page *table[4096];
    u64 before = page_alloc_stats().free;
    {
        static page_tree tree;
        for (int op = 0; op < 8000; op++) {
            u64 i = host_random() % 4096;
            if (host_random() % 500 == 0) {
                u64 expect = 0;
                for (u64 k = i; k < 4096; k++) {
                    expect += table[k] != nullptr;
                    table[k] = nullptr;
                }
                HOST_EXPECT(tree.remove(i) == expect);
            } else if (!table[i] && host_random() % 3) {
                page *p = alloc_pages(GFP_KERNEL, 0);
                if (!p)
                    continue;
                if (tree.insert(i, p))
                    table[i] = p;
                else
                    put_page(p);
            }
            u64 probe = host_random() % 4096;
            HOST_EXPECT(tree.lookup(probe) == table[probe]);
        }
        HOST_EXPECT(!tree.lookup(~u64{0}));
        page *far = alloc_pages(GFP_KERNEL, 0);
        HOST_EXPECT(tree.insert(u64{1} << 35, far) && tree.lookup(u64{1} << 35) == far);
        HOST_EXPECT(tree.remove(u64{1} << 35) == 1);
        tree.remove(0);
        HOST_EXPECT(!tree.lookup(0));
    }
    (void)before;
}

/// Write, read and truncate a file at random next to a plain array.
static void ramfs_matches_an_array(void *)
{
    constexpr u64 SIZE = 50000;
    static u8 model[SIZE], buf[9000], back[9000];
    u64 size = 0;
    auto f = filp_open("/model", O_RDWR | O_CREAT, 0600);
    HOST_EXPECT(f);
    for (int op = 0; op < 3000; op++) {
        u64 pos = host_random() % SIZE, n = min<u64>(host_random() % sizeof buf, SIZE - pos);
        if (host_random() % 8 == 0) {
            mutex_guard g{(*f)->f_inode->i_mutex};
            HOST_EXPECT((*f)->f_inode->i_op->truncate((*f)->f_inode, pos));
            if (pos < size)
                memset(model + pos, 0, size - pos);
            size = pos;
        } else if (host_random() % 2) {
            for (u64 i = 0; i < n; i++)
                buf[i] = model[pos + i] = static_cast<u8>(host_random());
            iov_iter it = iov_iter::kernel(buf, n);
            u64 at = pos;
            auto r = vfs_write(f->get(), it, &at);
            HOST_EXPECT(r && *r == n && at == pos + n);
            size = n ? max(size, pos + n) : size;
        }
        auto r = kernel_read(f->get(), back, n, pos);
        u64 expect = pos >= size ? 0 : min(n, size - pos);
        HOST_EXPECT(r && *r == expect && memcmp(back, model + pos, expect) == 0);
        HOST_EXPECT((*f)->f_inode->size == size);
    }
    HOST_EXPECT(do_unlinkat(AT_FDCWD, "/model"));
}

static void names_and_errors(void *)
{
    HOST_EXPECT(do_mkdirat(AT_FDCWD, "/t", 0755));
    HOST_EXPECT(do_mkdirat(AT_FDCWD, "/t", 0755).err() == EEXIST);
    HOST_EXPECT(do_mkdirat(AT_FDCWD, "/t/a/b", 0755).err() == ENOENT);
    HOST_EXPECT(do_mkdirat(AT_FDCWD, "/t/a", 0755));
    HOST_EXPECT(do_symlinkat("a", AT_FDCWD, "/t/s"));
    HOST_EXPECT(do_symlinkat("loop", AT_FDCWD, "/t/loop"));
    HOST_EXPECT(do_mkdirat(AT_FDCWD, "/t/s/b", 0755));
    HOST_EXPECT(kern_path("/t/a/b/../../s/b/.", LOOKUP_FOLLOW));
    HOST_EXPECT(kern_path("/t/loop", LOOKUP_FOLLOW).err() == ELOOP);
    HOST_EXPECT(kern_path("/t/loop", 0));
    HOST_EXPECT(kern_path("/../../t", 0));
    HOST_EXPECT(do_renameat(AT_FDCWD, "/t/a", AT_FDCWD, "/t/a/b/c", false).err() == EINVAL);
    HOST_EXPECT(do_renameat(AT_FDCWD, "/t/a/b", AT_FDCWD, "/t/c", false));
    char buf[64];
    auto p = kern_path("/t/c", 0);
    HOST_EXPECT(p && strcmp(d_path(p->get(), root_path(), buf, sizeof buf), "/t/c") == 0);
    HOST_EXPECT(!d_path(p->get(), root_path(), buf, 4));
    HOST_EXPECT(do_rmdirat(AT_FDCWD, "/t/c"));
    HOST_EXPECT(strcmp(d_path(p->get(), root_path(), buf, sizeof buf), "/t/c (deleted)") == 0);
    HOST_EXPECT(do_rmdirat(AT_FDCWD, "/t").err() == ENOTEMPTY);
    HOST_EXPECT(do_unlinkat(AT_FDCWD, "/proc/stat").err() == EPERM);
    HOST_EXPECT(do_rmdirat(AT_FDCWD, "/proc").err() == EBUSY);
    for (const char *n : {"/t/s", "/t/loop"})
        HOST_EXPECT(do_unlinkat(AT_FDCWD, n));
    HOST_EXPECT(do_rmdirat(AT_FDCWD, "/t/a") && do_rmdirat(AT_FDCWD, "/t"));
}

// --- Text files -----------------------------------------------------------------------------------------------------------

static unsigned shown;
static void show_big(seq_file *m)
{
    shown++;
    for (unsigned i = 0; i < 5000; i++)
        seq_printf(m, "line %u\n", i);
}

static void text_grows_and_is_made_again(void *)
{
    static char text[70000];
    HOST_EXPECT(proc_create("unit/big", show_big) == 0);
    HOST_EXPECT(proc_create("unit/big", show_big) == -EEXIST);
    HOST_EXPECT(proc_create("unit/big/x", show_big) == -ENOTDIR);
    auto f = filp_open("/proc/unit/big", O_RDONLY, 0);
    HOST_EXPECT(f);
    auto r = kernel_read(f->get(), text, sizeof text, 0);
    HOST_EXPECT(r && *r == 48890 && memcmp(text, "line 0\nline 1\n", 14) == 0);
    HOST_EXPECT(memcmp(text + *r - 10, "line 4999\n", 10) == 0);
    unsigned before = shown;
    HOST_EXPECT(kernel_read(f->get(), text, 10, 20));
    HOST_EXPECT(shown == before);
    HOST_EXPECT(kernel_read(f->get(), text, 10, 0));
    HOST_EXPECT(shown > before);
    HOST_EXPECT(proc_remove("unit") == 0);
    HOST_EXPECT(!filp_open("/proc/unit/big", O_RDONLY, 0));
    HOST_EXPECT(kernel_read(f->get(), text, 10, 0)); // an open file outlives its name
}

static int write_text(const char *path, const char *text)
{
    auto f = filp_open(path, O_WRONLY | O_TRUNC, 0);
    if (!f)
        return f.err();
    iov_iter it = iov_iter::kernel(const_cast<char *>(text), strlen(text));
    u64 pos = 0;
    return vfs_write(f->get(), it, &pos).err();
}

static void sysctls_check_their_input(void *)
{
    static int values[2] = {1, 2};
    HOST_EXPECT(sysctl_create_ints("unit/pair", values, 2, 0, 100) == 0);
    HOST_EXPECT(write_text("/proc/sys/unit/pair", "5 \t 0x10\n") == 0 && values[0] == 5 &&
                values[1] == 16);
    HOST_EXPECT(write_text("/proc/sys/unit/pair", "7\n") == 0 && values[0] == 7 && values[1] == 16);
    for (const char *bad :
         {"", " ", "101", "-1", "5x", "x", "3 101", "99999999999999999999", "3 4x"})
        HOST_EXPECT(write_text("/proc/sys/unit/pair", bad) == (*bad ? EINVAL : 0));
    HOST_EXPECT(values[0] == 7 && values[1] == 16);
}

// --- Archives ---------------------------------------------------------------------------------------------------------------

static u8 archive[8192];
static size_t archive_len;

static void add_entry(const char *name, u32 ino, u32 mode, u32 nlink, const char *data)
{
    char head[128];
    auto n = static_cast<u32>(strlen(name) + 1), size = static_cast<u32>(strlen(data));
    snprintf(head, sizeof head, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", ino,
             mode, 0, 0, nlink, 1, size, 0, 0, 0, 0, n, 0);
    memcpy(archive + archive_len, head, 110);
    memcpy(archive + archive_len + 110, name, n);
    archive_len = align_up(archive_len + 110 + n, 4);
    memcpy(archive + archive_len, data, size);
    archive_len = align_up(archive_len + size, 4);
}

static void build_archive()
{
    archive_len = 0;
    memset(archive, 0, sizeof archive);
    add_entry("arc", 1, 0040755, 2, "");
    add_entry("./arc/file", 2, 0100640, 1, "contents");
    add_entry("arc/one", 3, 0100644, 2, "");
    add_entry("arc/two", 3, 0100644, 2, "linked");
    add_entry("arc/link", 4, 0120777, 1, "file");
    add_entry("arc/dev", 5, 0020600, 1, "");
    add_entry("TRAILER!!!", 0, 0, 1, "");
    archive_len += 512; // padding
    add_entry("/arc/second", 9, 0100600, 1, "second archive");
    add_entry("TRAILER!!!", 0, 0, 1, "");
}

static bool file_is(const char *path, const char *text)
{
    char buf[64] = {};
    auto f = filp_open(path, O_RDONLY, 0);
    return f && kernel_read(f->get(), buf, sizeof buf - 1, 0) && strcmp(buf, text) == 0;
}

static void remove_archive_tree()
{
    for (const char *n :
         {"/arc/file", "/arc/one", "/arc/two", "/arc/link", "/arc/dev", "/arc/second"})
        (void)!do_unlinkat(AT_FDCWD, n);
    (void)!do_rmdirat(AT_FDCWD, "/arc");
}

static void archives_unpack(void *)
{
    build_archive();
    HOST_EXPECT(unpack_initramfs(archive, archive_len) == 7);
    HOST_EXPECT(file_is("/arc/file", "contents") && file_is("/arc/link", "contents"));
    HOST_EXPECT(file_is("/arc/one", "linked") && file_is("/arc/two", "linked"));
    HOST_EXPECT(file_is("/arc/second", "second archive"));
    auto one = kern_path("/arc/one", 0), file = kern_path("/arc/file", 0),
         dev = kern_path("/arc/dev", 0);
    HOST_EXPECT(one && one->ino()->nlink == 2);
    HOST_EXPECT(file && (file->ino()->mode & 07777) == 0640);
    HOST_EXPECT(dev && s_ischr(dev->ino()->mode));
    remove_archive_tree();
}

/// Broken in any place, an archive costs its own entries only: no crash, nothing outside, nothing leaked (the host build
/// runs under ASan).
static void archives_of_anybody(void *)
{
    build_archive();
    add_entry("../out", 1, 0100644, 1, "x");
    add_entry("arc/../../out", 1, 0100644, 1, "x");
    size_t len = archive_len;
    unpack_initramfs(archive, len);
    HOST_EXPECT(!kern_path("/out", 0));
    remove_archive_tree();
    static u8 good[sizeof archive];
    memcpy(good, archive, sizeof archive);
    int level = console_loglevel;
    console_loglevel = 0;
    for (size_t cut = 0; cut < len; cut += 7) {
        unpack_initramfs(archive, cut);
        remove_archive_tree();
    }
    for (int round = 0; round < 1500; round++) {
        memcpy(archive, good, len);
        for (u32 k = host_random() % 4 + 1; k; k--)
            archive[host_random() % len] =
                host_random() % 3 ? static_cast<u8>("0123456789abcdef"[host_random() % 16])
                                  : static_cast<u8>(host_random());
        unpack_initramfs(archive, len);
        remove_archive_tree();
    }
    for (const char *magic : {"\x1f\x8b\x08", "BZh9",
                              "\xfd"
                              "7zXZ"})
        HOST_EXPECT(unpack_initramfs(reinterpret_cast<const u8 *>(magic), strlen(magic)) == 0);
    console_loglevel = level;
}

// --- Memory failures ----------------------------------------------------------------------------------------------------------

static u32 fail_after;
static bool fail_nth(size_t, gfp)
{
    return fail_after && --fail_after == 0;
}

/// Every allocation of a series of operations fails once: each gives an error or works, and the tree stays usable.
static void each_allocation_may_fail(void *)
{
    for (u32 n = 1; n < 60; n++) {
        fail_after = n;
        should_fail_alloc = fail_nth;
        (void)!do_mkdirat(AT_FDCWD, "/fail", 0755);
        {
            auto f = filp_open("/fail/a-name-that-is-longer-than-the-inline-forty-bytes",
                               O_RDWR | O_CREAT, 0600);
            if (f) {
                iov_iter it = iov_iter::kernel(archive, 5000);
                u64 pos = 0;
                (void)!vfs_write(f->get(), it, &pos);
            }
        }
        (void)!do_symlinkat("target", AT_FDCWD, "/fail/s");
        (void)!do_linkat(AT_FDCWD, "/fail/s", AT_FDCWD, "/fail/l", 0);
        (void)!do_renameat(AT_FDCWD, "/fail/l", AT_FDCWD,
                           "/fail/another-name-that-is-longer-than-forty-bytes", false);
        {
            auto f = filp_open("/proc/stat", O_RDONLY, 0);
            if (f)
                (void)!kernel_read(f->get(), archive, 100, 0);
        }
        should_fail_alloc = nullptr;
        for (const char *name :
             {"/fail/a-name-that-is-longer-than-the-inline-forty-bytes", "/fail/s", "/fail/l",
              "/fail/another-name-that-is-longer-than-forty-bytes"})
            (void)!do_unlinkat(AT_FDCWD, name);
        auto gone = do_rmdirat(AT_FDCWD, "/fail");
        HOST_EXPECT(gone || gone.err() == ENOENT);
    }
}

extern "C" int main()
{
    unit_main("fs",
              {KERNEL_UNIT(page_tree_matches_a_table), KERNEL_UNIT(ramfs_matches_an_array),
               KERNEL_UNIT(names_and_errors), KERNEL_UNIT(text_grows_and_is_made_again),
               KERNEL_UNIT(sysctls_check_their_input), KERNEL_UNIT(archives_unpack),
               KERNEL_UNIT(archives_of_anybody), KERNEL_UNIT(each_allocation_may_fail)},
              2);
}
