// SPDX-License-Identifier: MIT
// FPU state handling among the files of the port; see fpu.cc.
#pragma once

#include "asm/thread.h"

void fpu_reset(thread_struct &t);
void fpu_switch_in(task_struct *next);
void fpu_sync_current();
void fpu_reload_current();
/// XCR0's features in use, 0 when the CPU has only FXSAVE.
u64 fpu_xstate_mask();
/// Make a state that came from user memory one that XRSTOR/FXRSTOR accept. `extended`: with an
/// XSAVE header of the user's.
void fpu_sanitize(thread_struct &t, bool extended);
