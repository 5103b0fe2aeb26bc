// SPDX-License-Identifier: MIT
// The clocks whose timers wake a machine that is suspended. Linux: kernel/time/alarmtimer.c. Nothing suspends here, so each is the clock
// without that power under another number.
#pragma once

#include "sched/cred.h"
#include "time/posix_timers.h"

/// Needed to set timers on them.
constexpr auto CAP_WAKE_ALARM = static_cast<capability>(35);
constexpr s32 CLOCK_REALTIME_ALARM = 8, CLOCK_BOOTTIME_ALARM = 9;

constexpr bool is_alarm_clock(s32 clock)
{
    return clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM;
}
/// The clock that an alarm clock goes by; other clocks are themselves.
constexpr s32 alarm_base(s32 clock)
{
    return clock == CLOCK_REALTIME_ALARM   ? CLOCK_REALTIME
           : clock == CLOCK_BOOTTIME_ALARM ? CLOCK_BOOTTIME
                                           : clock;
}
