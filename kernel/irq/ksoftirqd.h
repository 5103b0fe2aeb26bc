// SPDX-License-Identifier: MIT
// What the dispatcher (softirq.cc) and the per-CPU threads (ksoftirqd.cc) share.
#pragma once

/// Dispatch the pending word. IRQs off, not in interrupt; [S] while it runs.
void __do_softirq();
/// Wake this CPU's ksoftirqd. IRQs off.
void wakeup_softirqd();
