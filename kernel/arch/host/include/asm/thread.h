// SPDX-License-Identifier: MIT
// The host port's part of a task: a fiber with a host stack of its own (sanitizers need more than THREAD_SIZE).
#pragma once

#include "arch/arch.h"
#include "asm/ptregs.h"

struct host_fiber;

struct thread_struct {
    host_fiber *fiber = nullptr;
    void (*entry)(void *) = nullptr;
    void *arg = nullptr;
    pt_regs regs{};
};
