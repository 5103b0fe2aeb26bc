// SPDX-License-Identifier: MIT
// Process 1: makes the machine usable with what the kernel has not done by itself (Softnet mounts its own file systems and
// takes its address from ip=; a stock Linux does neither), starts the servers (udpecho, and what services= on the kernel's
// command line names), keeps a shell on the console, reaps orphans.
#include "net_config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DEVICE_TRIES = 200, DEVICE_WAIT_MS = 20 };

static const char module_directory[] = "/lib/modules-load";

static bool exists(const char *path)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return false;
    close(fd);
    return true;
}

static void sleep_ms(long ms)
{
    struct timespec wait = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&wait, NULL);
}

static void mount_one(const char *type, const char *where)
{
    if (mount(type, where, type, 0, NULL) < 0 && errno != EBUSY)
        perror(where);
}

/// Linux starts with an empty tree; Softnet has these mounted.
static void mount_file_systems(void)
{
    if (exists("/proc/stat"))
        return;
    mount_one("proc", "/proc");
    mount_one("sysfs", "/sys");
    mount_one("devtmpfs", "/dev");
    if (exists("/sys/kernel/debug"))
        mount_one("debugfs", "/sys/kernel/debug");
}

/// Load the kernel modules that the initramfs brings, in the order of their names. None on Softnet.
static void load_modules(void)
{
    struct dirent **names = NULL;
    int count = exists(module_directory) ? scandir(module_directory, &names, NULL, alphasort) : 0;
    for (int i = 0; i < count; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", module_directory, names[i]->d_name);
        int fd = names[i]->d_name[0] == '.' ? -1 : open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST)
                perror(path);
            close(fd);
        }
        free(names[i]);
    }
    free(names);
}

/// The kernel's command line; empty if it cannot be read.
static void read_cmdline(char *text, size_t size)
{
    int fd = open("/proc/cmdline", O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    if (fd >= 0)
        close(fd);
}

/// Bring lo and eth0 up unless the kernel has done it.
static void configure_network(const char *cmdline)
{
    struct in_addr address;
    net_set_up("lo", true);
    if (!strstr(cmdline, "ip="))
        return;
    for (int i = 0; i < DEVICE_TRIES; i++) {
        if (net_get_address("eth0", &address) == 0)
            return;
        if (errno == EADDRNOTAVAIL)
            break;
        sleep_ms(DEVICE_WAIT_MS);
    }
    net_apply_ip_word(cmdline);
}

/// Run a program: its path, its arguments, NULL.
static pid_t start(char *const arguments[])
{
    pid_t pid = fork();
    if (pid == 0) {
        char *environment[] = {"PATH=/bin:/test", "HOME=/root", "TERM=vt100", NULL};
        execve(arguments[0], arguments, environment);
        perror(arguments[0]);
        _exit(127);
    }
    return pid;
}

/// Servers that services= can name, by Debian's busybox.
static const struct service {
    const char *name;
    char *arguments[4];
} services[] = {{"telnet", {"/bin/telnetd", "-l", "/bin/ash", NULL}},
                {"http", {"/bin/httpd", "-h", "/www", NULL}}};

static void start_service(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
        if (strlen(services[i].name) == length && strncmp(services[i].name, name, length) == 0) {
            start(services[i].arguments);
            return;
        }
    }
    printf("init: no service %.*s\n", (int)length, name);
}

/// services=NAME,NAME… on the kernel's command line.
static void start_services(const char *cmdline)
{
    const char *list = strstr(cmdline, "services=");
    if (!list || (list != cmdline && list[-1] != ' '))
        return;
    list += strlen("services=");
    while (*list && *list != ' ' && *list != '\n') {
        size_t length = strcspn(list, ", \n");
        if (length)
            start_service(list, length);
        list += length + (list[length] == ',');
    }
}

int main(void)
{
    char cmdline[1024];
    setvbuf(stdout, NULL, _IOLBF, 0);
    mount_file_systems();
    load_modules();
    read_cmdline(cmdline, sizeof cmdline);
    configure_network(cmdline);
    puts("init: network is up, starting udpecho on port 7");
    start((char *[]){"/bin/udpecho", "7", NULL});
    start_services(cmdline);
    pid_t shell = start((char *[]){"/bin/sh", NULL});
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, 0);
        if (pid == shell || pid < 0) {
            sleep_ms(100); // a shell that cannot start must not make init spin
            shell = start((char *[]){"/bin/sh", NULL});
        }
    }
}
