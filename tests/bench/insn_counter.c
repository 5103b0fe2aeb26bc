// SPDX-License-Identifier: MIT
// A QEMU TCG plugin that counts the guest's instructions over all CPUs and keeps these 64-bit numbers in a file:
//   TOTAL ENTRY_COUNT ENTRY_NS
// ENTRY_COUNT and ENTRY_NS are the total and CLOCK_MONOTONIC when the kernel's first instruction was reached (0: not yet): firmware runs below
// 1 MiB or at the top of memory, kernels are loaded at 1 MiB and up. The file is mapped, so readers see whole numbers.
// Build: cc -shared -fPIC -O2 -I out/qemu/include $(pkg-config --cflags glib-2.0) insn_counter.c -o insn_counter.so
// Use:   -plugin insn_counter.so,out=FILE
#include <fcntl.h>
#include <glib.h>
#include <pthread.h>
#include <qemu-plugin.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

enum { REFRESH_US = 5000 };
static const uint64_t kernel_begin = 0x100000, kernel_end = 0x8000000;

static qemu_plugin_u64 counter;
static volatile uint64_t *shown; // total, total at kernel entry, time of kernel entry

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *refresh(void *unused)
{
    for (;;) {
        shown[0] = qemu_plugin_u64_sum(counter);
        usleep(REFRESH_US);
    }
    return unused;
}

/// A block is translated just before it first runs: good enough to tell when the kernel begins.
static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    uint64_t address = qemu_plugin_tb_vaddr(tb);
    if (!shown[2] && address >= kernel_begin && address < kernel_end) {
        shown[1] = qemu_plugin_u64_sum(counter);
        shown[2] = now_ns();
    }
    qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, counter,
                                                      qemu_plugin_tb_n_insns(tb));
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
                                           char **argv)
{
    (void)info;
    const char *path = NULL;
    for (int i = 0; i < argc; i++)
        if (!strncmp(argv[i], "out=", 4))
            path = argv[i] + 4;
    int fd = path ? open(path, O_RDWR | O_CREAT, 0644) : -1;
    if (fd < 0 || ftruncate(fd, 4096) < 0) {
        fprintf(stderr, "insn_counter: needs out=FILE, a file that can be written\n");
        return -1;
    }
    shown = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shown == MAP_FAILED)
        return -1;
    counter = qemu_plugin_scoreboard_u64(qemu_plugin_scoreboard_new(sizeof(uint64_t)));
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    pthread_t thread;
    return pthread_create(&thread, NULL, refresh, NULL);
}
