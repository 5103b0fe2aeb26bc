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
DEVIATION("TCP remembers nothing about peers (no tcp_metrics): tcp_tw_recycle has no effect, and "
          "without SYN cookies no peer is proven for the last quarter of tcp_max_syn_backlog")
DEVIATION("no TCP path MTU probing, no HyStart in CUBIC, no merging of SACKed packets")
DEVIATION(
    "packets of many segments are cut before the qdisc when the device has no TSO, not behind it")
DEVIATION("no TCP Fast Open, no TCP MD5 signatures")
DEVIATION(
    "undoing a reduction of cwnd takes back CWR, not ECE (3.10's mistake); settings that nothing "
    "would follow are missing from /proc/sys/net (docs/tcp.md names them)")
DEVIATION("fragments that overlap discard their datagram; an exact duplicate is ignored")
DEVIATION("packets from the wire with our own source address or a source route are dropped")
DEVIATION("a packet is sent on the transmit queue of its CPU, as with XPS set up")
DEVIATION("igb: the 2 s watchdog interrupts only vectors with completed descriptors, not all")
DEVIATION("no IGMP reports, no multipath routes, no netfilter")
DEVIATION("/proc/net/fib_trie is missing: the tables are in debugfs net/fib")
DEVIATION("sock_diag lists TCP, UDP and AF_UNIX only, and runs no filters in byte code")
DEVIATION(
    "epoll: EPOLLEXCLUSIVE as since 4.5, the nesting of epolls counted both ways, and a look at "
    "an epoll wakes nobody who polls it, as since 5.5")
