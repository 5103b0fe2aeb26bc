// SPDX-License-Identifier: MIT
// fallocate and holes: what takes pages, what reads as zeros, SEEK_DATA and SEEK_HOLE, errors. argv[1]: a directory of its own on tmpfs.
#include "guest_test.h"

#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

enum { PAGE = 4096, KEEP_SIZE = 1, PUNCH_HOLE = 2 };

static long blocks(int fd)
{
    struct stat st;
    fstat(fd, &st);
    return (long)st.st_blocks * 512 / PAGE;
}

static long size(int fd)
{
    struct stat st;
    fstat(fd, &st);
    return (long)st.st_size;
}

/// Whether the bytes from `from` to `to` all are `c`.
static int all(int fd, long from, long to, char c)
{
    char buf[512];
    for (; from < to; from += (long)sizeof buf) {
        long n = to - from < (long)sizeof buf ? to - from : (long)sizeof buf;
        if (pread(fd, buf, (size_t)n, from) != n)
            return 0;
        for (long i = 0; i < n; i++)
            if (buf[i] != c)
                return 0;
    }
    return 1;
}

static void check_allocation(void)
{
    int fd = open("a", O_CREAT | O_RDWR, 0600);
    check_value("allocate", fallocate(fd, 0, 0, 10 * PAGE), 0);
    check_value("size", size(fd), 10 * PAGE);
    check_value("pages", blocks(fd), 10);
    check("zeros", all(fd, 0, 10 * PAGE, 0), "others");
    check_value("behind the end", fallocate(fd, KEEP_SIZE, 20 * PAGE, 1), 0);
    check_value("size kept", size(fd), 10 * PAGE);
    check_value("one page more", blocks(fd), 11);
    check_value("within", fallocate(fd, 0, PAGE, PAGE), 0);
    check_value("no page more", blocks(fd), 11);
    pwrite(fd, "data", 4, 100);
    check_value("over data", fallocate(fd, 0, 0, 2 * PAGE), 0);
    char buf[5] = {0};
    pread(fd, buf, 4, 100);
    check("data kept", !strcmp(buf, "data"), buf);
    check_value("posix_fallocate", posix_fallocate(fd, 30 * PAGE, 2 * PAGE), 0);
    check_value("extends", size(fd), 32 * PAGE);
    ftruncate(fd, 0);
    check_value("truncated", blocks(fd), 0);
    close(fd);
}

static void check_holes(void)
{
    int fd = open("h", O_CREAT | O_RDWR, 0600);
    char page[PAGE];
    memset(page, 'x', sizeof page);
    for (int i = 0; i < 8; i++)
        write(fd, page, sizeof page);
    check_value("punch", fallocate(fd, KEEP_SIZE | PUNCH_HOLE, PAGE + 100, 3 * PAGE), 0);
    check_value("size kept", size(fd), 8 * PAGE);
    check_value("whole pages go", blocks(fd), 6);
    check("zeros", all(fd, PAGE + 100, 4 * PAGE + 100, 0), "others");
    check("before", all(fd, 0, PAGE + 100, 'x'), "changed");
    check("behind", all(fd, 4 * PAGE + 100, 8 * PAGE, 'x'), "changed");
    check_value("inside a page", fallocate(fd, KEEP_SIZE | PUNCH_HOLE, 6 * PAGE + 10, 20), 0);
    check_value("no page goes", blocks(fd), 6);
    check("its zeros", all(fd, 6 * PAGE + 10, 6 * PAGE + 30, 0), "others");
    check("around it", all(fd, 6 * PAGE + 30, 7 * PAGE, 'x'), "changed");
    char *map = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    check("mapped", map != MAP_FAILED && map[7 * PAGE] == 'x', "differs");
    check_value("punch a mapped page", fallocate(fd, KEEP_SIZE | PUNCH_HOLE, 7 * PAGE, PAGE), 0);
    check("mapping agrees", map[7 * PAGE] == 0, "old data");
    map[7 * PAGE] = 'm';
    check("file agrees", pread(fd, page, 1, 7 * PAGE) == 1 && *page == 'm', "differs");
    munmap(map, 8 * PAGE);
    check_value("beyond the end", fallocate(fd, KEEP_SIZE | PUNCH_HOLE, 100 * PAGE, PAGE), 0);
    close(fd);
}

static void check_seeking(void)
{
    int fd = open("s", O_CREAT | O_RDWR, 0600);
    pwrite(fd, "x", 1, 2 * PAGE + 5);
    pwrite(fd, "x", 1, (off_t)1 << 30);
    ftruncate(fd, ((off_t)1 << 30) + 3 * PAGE);
    check_value("data", lseek(fd, 0, SEEK_DATA), 2 * PAGE);
    check_value("in data", lseek(fd, 2 * PAGE + 7, SEEK_DATA), 2 * PAGE + 7);
    check_value("hole here", lseek(fd, 10, SEEK_HOLE), 10);
    check_value("hole behind", lseek(fd, 2 * PAGE + 5, SEEK_HOLE), 3 * PAGE);
    check_value("far data", lseek(fd, 3 * PAGE, SEEK_DATA), (off_t)1 << 30);
    check_value("position", lseek(fd, 0, SEEK_CUR), (off_t)1 << 30);
    check_errno("no more data", lseek(fd, ((off_t)1 << 30) + PAGE, SEEK_DATA), ENXIO);
    check_errno("at the end", lseek(fd, ((off_t)1 << 30) + 3 * PAGE, SEEK_HOLE), ENXIO);
    check_errno("before the start", lseek(fd, -1, SEEK_DATA), ENXIO);
    pwrite(fd, "x", 1, ((off_t)1 << 30) + 3 * PAGE - 1);
    check_value("the end is a hole", lseek(fd, ((off_t)1 << 30) + 2 * PAGE + 1, SEEK_HOLE),
                ((off_t)1 << 30) + 3 * PAGE);
    close(fd);
}

static void check_space_errors(void)
{
    int fd = open("e", O_CREAT | O_RDWR, 0600), ro = open("e", O_RDONLY), p[2], dir;
    pipe(p);
    dir = open(".", O_RDONLY | O_DIRECTORY);
    check_errno("bad descriptor", fallocate(-1, 0, 0, 1), EBADF);
    check_errno("no length", fallocate(fd, 0, 0, 0), EINVAL);
    check_errno("negative offset", fallocate(fd, 0, -1, 1), EINVAL);
    check_errno("negative length", fallocate(fd, 0, 0, -1), EINVAL);
    check_errno("unknown mode", fallocate(fd, 0x4000, 0, 1), EOPNOTSUPP);
    check_errno("punch without keeping", fallocate(fd, PUNCH_HOLE, 0, 1), EOPNOTSUPP);
    check_errno("read-only", fallocate(ro, 0, 0, 1), EBADF);
    check_errno("pipe", fallocate(p[1], 0, 0, 1), ESPIPE);
    check_errno("directory", fallocate(dir, 0, 0, 1), EBADF);
    int null = open("/dev/null", O_WRONLY);
    check_errno("device", fallocate(null, 0, 0, 1), ENODEV);
    check_errno("too far", fallocate(fd, 0, 0x7fffffffffffffff, 1), EFBIG);
    mkdir("small", 0755);
    check_value("a small tmpfs", mount("none", "small", "tmpfs", 0, "size=64k"), 0);
    int full = open("small/f", O_CREAT | O_RDWR, 0600);
    check_errno("more than there is", fallocate(full, 0, 0, 17 * PAGE), ENOSPC);
    check_value("size as before", size(full), 0);
    check_value("as much as there is", fallocate(full, 0, 0, 16 * PAGE), 0);
    check_errno("full", write(open("small/g", O_CREAT | O_RDWR, 0600), "x", 1), ENOSPC);
    check_value("punched", fallocate(full, KEEP_SIZE | PUNCH_HOLE, 0, PAGE), 0);
    struct statfs s;
    statfs("small", &s);
    check_value("gives space back", (long)s.f_bfree, 1);
    close(fd);
    close(ro);
    close(full);
    close(null);
}

int main(int argc, char **argv)
{
    line_output();
    if (argc < 2 || (mkdir(argv[1], 0755) && errno != EEXIST) || chdir(argv[1]) ||
        mount("none", argv[1], "tmpfs", 0, NULL) || chdir(argv[1])) {
        perror("directory");
        return 1;
    }
    check_allocation();
    check_holes();
    check_seeking();
    check_space_errors();
    printf(failures ? "%d checks failed\n" : "all ok\n", failures);
    return failures != 0;
}
