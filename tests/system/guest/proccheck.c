// SPDX-License-Identifier: MIT
// Processes, memory, files and clocks: what the test programs themselves stand on.
#include "guest_test.h"

#include <dirent.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const char pattern_file[] = "/test/pattern.bin";
enum { PATTERN_SIZE = 100003 };

static unsigned char pattern(long n)
{
    return (unsigned char)(n * 7 + (n >> 8));
}

static int matches(const unsigned char *data, long offset, long count)
{
    for (long i = 0; i < count; i++)
        if (data[i] != pattern(offset + i))
            return 0;
    return 1;
}

static void check_files(void)
{
    static unsigned char data[PATTERN_SIZE];
    struct stat st;
    int fd = open(pattern_file, O_RDONLY);
    check("open", fd >= 0, NULL);
    check_value("fstat", fstat(fd, &st), 0);
    check_value("size", st.st_size, PATTERN_SIZE);
    long total = 0;
    ssize_t n;
    while ((n = read(fd, data + total, 777)) > 0)
        total += n;
    check_value("read all", total, PATTERN_SIZE);
    check("contents", matches(data, 0, total), "differ");
    check_value("lseek", lseek(fd, -3, SEEK_END), PATTERN_SIZE - 3);
    check_value("read at the end", read(fd, data, 100), 3);
    check_value("pread", pread(fd, data, 10, 50000), 10);
    check("pread contents", matches(data, 50000, 10), "differ");
    unsigned char *map = mmap(NULL, PATTERN_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    check("mmap", map != MAP_FAILED && matches(map, 0, PATTERN_SIZE), "differ");
    map[5000] ^= 0xff;
    pread(fd, data, 1, 5000);
    check("private mapping", matches(data, 5000, 1), "the file has changed");
    check_value("munmap", munmap(map, PATTERN_SIZE), 0);
    close(fd);
    check_errno("open of nothing", open("/no/such", O_RDONLY), ENOENT);
    check_errno("file as a directory", open("/test/pattern.bin/x", O_RDONLY), ENOTDIR);
    fd = open("/test", O_RDONLY | O_DIRECTORY);
    check_errno("read of a directory", read(fd, data, 10), EISDIR);
    close(fd);
    check_errno("bad descriptor", read(999, data, 10), EBADF);
    DIR *dir = opendir("/test");
    int found = 0;
    for (struct dirent *e; dir && (e = readdir(dir));)
        found += !strcmp(e->d_name, "pattern.bin");
    check_value("readdir", found, 1);
    if (dir)
        closedir(dir);
}

static void check_processes(void)
{
    int status, value = 1;
    pid_t pid = fork();
    if (pid == 0) {
        value = 2; // copy on write: the parent's stays
        _exit(value + 40);
    }
    check_value("wait4", waitpid(pid, &status, 0), pid);
    check_value("exit status", WEXITSTATUS(status), 42);
    check_value("parent's memory", value, 1);
    check_errno("no child left", waitpid(-1, &status, 0), ECHILD);
    pid = fork();
    if (pid == 0)
        for (;;)
            sleep_ms(1000);
    check_value("not ended yet", waitpid(pid, &status, WNOHANG), 0);
    check_value("kill", kill(pid, SIGKILL), 0);
    waitpid(pid, &status, 0);
    check("killed", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "not by SIGKILL");
    pid = fork();
    if (pid == 0) {
        char *arguments[] = {"/test/proccheck", "child", NULL};
        execve(arguments[0], arguments, (char *[]){"A=b", NULL});
        _exit(1);
    }
    waitpid(pid, &status, 0);
    check_value("execve", WEXITSTATUS(status), 17);
    pid = fork();
    if (pid == 0) {
        execve("/test/pattern.bin", (char *[]){"x", NULL}, NULL);
        _exit(errno);
    }
    waitpid(pid, &status, 0);
    check("execve of what is no program",
          WEXITSTATUS(status) == ENOEXEC || WEXITSTATUS(status) == EACCES, "ran");
    int count = 0;
    for (int i = 0; i < 100; i++)
        if ((pid = fork()) == 0)
            _exit(i);
    while (wait(&status) > 0)
        count++;
    check_value("100 children", count, 100);
}

static void check_memory_and_clocks(void)
{
    char *big = malloc(20 << 20);
    int zero = 1;
    for (long i = 0; big && i < 20 << 20; i += 4096)
        zero &= big[i] == 0;
    if (big)
        memset(big, 1, 20 << 20);
    check("20 MiB", big && zero, "not zero or not there");
    free(big);
    double begin = now();
    sleep_ms(120);
    double slept = now() - begin;
    check("nanosleep", slept >= 0.12 && slept < 60, "too short or far too long");
    double last = now();
    int backwards = 0;
    for (int i = 0; i < 10000; i++) {
        double t = now();
        backwards += t < last;
        last = t;
    }
    check_value("the clock goes on", backwards, 0);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return strcmp(argv[1], "child") || !getenv("A") || strcmp(getenv("A"), "b") ? 1 : 17;
    line_output();
    check_files();
    check_processes();
    check_memory_and_clocks();
    puts(failures ? "failed" : "all ok");
    return failures != 0;
}
