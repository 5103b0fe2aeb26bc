// SPDX-License-Identifier: MIT
// Completions: wait until somebody else has done it. Linux: kernel/sched/core.c. complete*(): any context.
#include "sched/mutex.h"

void complete(completion *c)
{
    spin_guard<irqsave> g{c->wait.lock};
    c->done++;
    __wake_up_common(&c->wait, TASK_NORMAL, 1, 0, nullptr);
}

void complete_all(completion *c)
{
    spin_guard<irqsave> g{c->wait.lock};
    c->done = ~0u / 2;
    __wake_up_common(&c->wait, TASK_NORMAL, 0, 0, nullptr);
}

/// Take one count if there is one. The lock makes sure that complete() has left the object when we return.
static bool take_done(completion *c)
{
    spin_guard<irqsave> g{c->wait.lock};
    if (!c->done)
        return false;
    if (c->done < ~0u / 2)
        c->done--;
    return true;
}

void wait_for_completion(completion *c)
{
    might_sleep();
    wait_queue w;
    while (!take_done(c)) {
        prepare_to_wait_exclusive(&c->wait, &w, TASK_UNINTERRUPTIBLE);
        if (!read_once(c->done))
            schedule_from(__builtin_return_address(0));
        finish_wait(&c->wait, &w);
    }
}
