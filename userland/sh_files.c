// SPDX-License-Identifier: MIT
// Built-in commands of sh that look at files and processes.
#include "sh.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int complain(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    return 1;
}

static int run_echo(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        printf("%s%s", i > 1 ? " " : "", argv[i]);
    putchar('\n');
    return 0;
}

static int run_cat(int argc, char **argv)
{
    static char buffer[16384];
    int result = 0;
    fflush(stdout);
    for (int i = 1; i < argc; i++) {
        int fd = open(argv[i], O_RDONLY);
        ssize_t n = fd < 0 ? -1 : 0;
        while (fd >= 0 && (n = read(fd, buffer, sizeof buffer)) > 0) {
            for (ssize_t done = 0, put; done < n; done += put) {
                put = write(STDOUT_FILENO, buffer + done, (size_t)(n - done));
                if (put < 0)
                    return complain("cat");
            }
        }
        if (n < 0)
            result = complain(argv[i]);
        if (fd >= 0)
            close(fd);
    }
    return result;
}

static char kind_letter(mode_t mode)
{
    return S_ISDIR(mode)   ? 'd'
           : S_ISLNK(mode) ? 'l'
           : S_ISCHR(mode) ? 'c'
           : S_ISBLK(mode) ? 'b'
                           : '-';
}

static int run_ls(int argc, char **argv)
{
    bool details = argc > 1 && !strcmp(argv[1], "-l");
    const char *path = argc > 1 + details ? argv[1 + details] : ".";
    struct dirent **names;
    int count = scandir(path, &names, NULL, alphasort);
    if (count < 0)
        return complain(path);
    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;
        char whole[512];
        struct stat st;
        snprintf(whole, sizeof whole, "%s/%s", path, name);
        if (name[0] == '.') {
        } else if (!details) {
            puts(name);
        } else if (lstat(whole, &st) == 0) {
            printf("%c%04o %10lld %s\n", kind_letter(st.st_mode), st.st_mode & 07777,
                   (long long)st.st_size, name);
        }
        free(names[i]);
    }
    free(names);
    return 0;
}

/// One line of a /proc/PID/NAME file, empty if there is none.
static void read_proc(const char *pid, const char *name, char *text, size_t size)
{
    char path[320];
    snprintf(path, sizeof path, "/proc/%s/%s", pid, name);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    text[strcspn(text, "\n")] = 0;
}

static int run_ps(int argc, char **argv)
{
    (void)argc, (void)argv;
    struct dirent **names;
    int count = scandir("/proc", &names, NULL, NULL);
    if (count < 0)
        return complain("/proc");
    printf("%5s %5s %s %-3s %-22s %s\n", "PID", "PPID", "S", "CPU", "WCHAN", "COMMAND");
    for (int i = 0; i < count; i++) {
        const char *pid = names[i]->d_name;
        char text[512], wchan[64];
        if (isdigit((unsigned char)pid[0])) {
            read_proc(pid, "stat", text, sizeof text);
            read_proc(pid, "wchan", wchan, sizeof wchan);
            char *name = strchr(text, '('), *end = strrchr(text, ')'), state = '?';
            int parent = 0, cpu = 0;
            if (name && end) {
                *end = 0;
                sscanf(end + 1, " %c %d", &state, &parent);
                int field = 2;
                for (char *word = strtok(end + 1, " "); word; word = strtok(NULL, " "))
                    if (++field == 39)
                        cpu = atoi(word);
                printf("%5s %5d %c %3d %-22s %s\n", pid, parent, state, cpu, wchan, name + 1);
            }
        }
        free(names[i]);
    }
    free(names);
    return 0;
}

const struct builtin file_builtins[] = {
    {"echo", "echo TEXT… [> FILE]", "print (or write to a file)", run_echo},
    {"cat", "cat FILE…", "show files", run_cat},
    {"ls", "ls [-l] [DIRECTORY]", "list a directory", run_ls},
    {"ps", "ps", "tasks, their state and where they sleep", run_ps},
    {NULL, NULL, NULL, NULL},
};
