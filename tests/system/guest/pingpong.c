// SPDX-License-Identifier: MIT
// Two processes pass one UDP datagram back and forth over lo, each asleep in recvfrom while the other works (rows W-02, W-09,
// W-16, W-19): a lost wake-up hangs it. Prints microseconds per switch with percentiles and the waiter's switches.
// Usage: pingpong ROUNDS [CPU_A CPU_B]
#include "guest_test.h"

#include <sched.h>

static void bind_to(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) < 0)
        perror("sched_setaffinity");
}

static long switches(const char *name)
{
    char text[4096];
    int fd = open("/proc/self/status", O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    char *at = strstr(text, name);
    return at ? atol(at + strlen(name)) : -1;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 1000;
    char byte = 'x';
    line_output();
    int a = udp_socket("127.0.0.1", 0), b = udp_socket("127.0.0.1", 0);
    struct sockaddr_in to_a = address_of("127.0.0.1", port_of(a)),
                       to_b = address_of("127.0.0.1", port_of(b));
    connect(a, (struct sockaddr *)&to_b, sizeof to_b);
    connect(b, (struct sockaddr *)&to_a, sizeof to_a);
    pid_t child = fork();
    if (child == 0) {
        if (argc > 3)
            bind_to(atoi(argv[3]));
        for (int i = 0; i < rounds; i++)
            if (recv(b, &byte, 1, 0) != 1 || send(b, &byte, 1, 0) != 1)
                _exit(1);
        _exit(0);
    }
    if (argc > 2)
        bind_to(atoi(argv[2]));
    double *times = calloc((size_t)rounds, sizeof *times);
    sleep_ms(100);
    set_timeout(a, PATIENCE_MS);
    long voluntary = switches("\nvoluntary_ctxt_switches:"),
         involuntary = switches("nonvoluntary_ctxt_switches:");
    int done = 0;
    for (; done < rounds; done++) {
        double begin = now();
        if (send(a, &byte, 1, 0) != 1 || recv(a, &byte, 1, 0) != 1)
            break;
        times[done] = now() - begin;
    }
    voluntary = switches("\nvoluntary_ctxt_switches:") - voluntary;
    involuntary = switches("nonvoluntary_ctxt_switches:") - involuntary;
    int status = -1;
    if (done == rounds)
        waitpid(child, &status, 0);
    else
        kill(child, SIGKILL);
    qsort(times, (size_t)done, sizeof *times, compare);
    double sum = 0;
    for (int i = 0; i < done; i++)
        sum += times[i];
    if (done)
        printf("us per switch: mean %.2f p50 %.2f p90 %.2f p99 %.2f max %.2f (notes: 3 to 5 us)\n",
               sum / done / 2 * 1e6, times[done / 2] / 2 * 1e6, times[done * 9 / 10] / 2 * 1e6,
               times[(long)done * 99 / 100] / 2 * 1e6, times[done - 1] / 2 * 1e6);
    printf("rounds %d of %d voluntary %ld involuntary %ld status %d\n", done, rounds, voluntary,
           involuntary, status);
    free(times);
    return done != rounds || status != 0;
}
