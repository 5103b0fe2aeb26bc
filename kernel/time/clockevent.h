// SPDX-License-Identifier: MIT
// What the timer interrupt (clockevent.cc) asks of the wheel and of the hrtimers. Own CPU, IRQs off.
#pragma once

#include "lib/types.h"

/// Next expiry in ns, ~0 when there is none.
u64 wheel_next_event();
u64 hrtimer_next_event();
/// Raise TIMER_SOFTIRQ if the wheel is due.
void wheel_check(u64 now_ns);
/// Run expired hrtimers. [H]
void hrtimer_run(u64 now_ns);
