// SPDX-License-Identifier: MIT
// Known differences from Linux 3.10 (row B-01): one DEVIATION("text") a line, printed at boot and
// in /sys/kernel/debug/deviations. No include guard: included where the list is needed.
DEVIATION("the kernel is not preempted: a task leaves its CPU only in schedule() or on return to "
          "user mode")
DEVIATION("hard interrupts and softirqs run on the interrupted task's kernel stack of 16 KiB")
DEVIATION("no tick while a CPU is idle or has one task: jiffies are read from the clock")
DEVIATION("one network namespace, one user: no capabilities, all processes are root")
DEVIATION("no swap, no modules, no block devices: the root file system is the initramfs")
DEVIATION("IPv4 only")
