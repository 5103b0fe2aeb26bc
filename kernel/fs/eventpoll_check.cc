// SPDX-License-Identifier: MIT
// epolls that watch epolls: no circles, no deep nests, no storms (Linux fs/eventpoll.c ep_loop_check, reverse_path_check; row E-23).
// Process context, epmutex held: no item comes or goes while these walk the trees upwards and downwards.

#include "fs/eventpoll_internal.h"
#include "lib/errno.h"

namespace
{
/// Walks so far: eventpoll::visited of this walk.
u32 walk;

/// Edges of the longest chain of epolls below `ep`, or -1 when it comes by `top` (a circle) or gets too long.
int depth_below(eventpoll *ep, const eventpoll *top, unsigned depth) NO_THREAD_SAFETY_ANALYSIS
{
    if (ep == top || depth > EP_MAX_NESTS)
        return -1;
    if (ep->visited == walk)
        return 0; // seen in this walk: no circle there
    int deepest = 0;
    // Another epoll's tree: its mtx, inside those of the walk.
    ep->mtx.lock_nested(depth + 1);
    for (epitem *epi = ep->rbr.first(); epi && deepest >= 0; epi = ep->rbr.next(*epi)) {
        if (!is_file_epoll(epi->file))
            continue;
        int d = depth_below(ep_of(epi->file), top, depth + 1);
        deepest = d < 0 ? d : max(deepest, d + 1);
    }
    ep->mtx.unlock();
    ep->visited = walk;
    return deepest;
}

/// Edges of the longest chain of epolls above `ep`.
unsigned depth_above(const eventpoll *ep, unsigned depth)
{
    unsigned most = 0;
    for (epitem *epi = ep->file->f_ep_links; epi && depth <= EP_MAX_NESTS; epi = epi->fllink)
        most = max(most, depth_above(epi->ep, depth + 1) + 1);
    return most;
}

/// How many paths of each length may lead to one file.
constexpr unsigned PATH_ARR_SIZE = EP_MAX_NESTS + 1;
constexpr u32 path_limits[PATH_ARR_SIZE] = {1000, 500, 100, 50, 10};

/// Count the paths upwards of `f` by length; false: over a limit.
bool count_paths(const file *f, u32 (&count)[PATH_ARR_SIZE], unsigned length)
{
    for (epitem *epi = f->f_ep_links; epi; epi = epi->fllink) {
        const file *above = epi->ep->file;
        if (!above->f_ep_links) { // the end of a path
            // A thousand independent epolls on one file are nobody's storm.
            if (length > 0 && ++count[length] > path_limits[length])
                return false;
        } else if (length + 1 >= PATH_ARR_SIZE || !count_paths(above, count, length + 1)) {
            return false;
        }
    }
    return true;
}

/// The files that an epoll watches, directly or through others: each must stay within the limits.
bool leaves_within_limits(eventpoll *ep, unsigned depth) NO_THREAD_SAFETY_ANALYSIS
{
    if (ep->visited == walk)
        return true;
    ep->visited = walk;
    bool ok = true;
    ep->mtx.lock_nested(depth + 1);
    for (epitem *epi = ep->rbr.first(); epi && ok; epi = ep->rbr.next(*epi)) {
        u32 count[PATH_ARR_SIZE] = {};
        ok = is_file_epoll(epi->file) ? leaves_within_limits(ep_of(epi->file), depth + 1)
                                      : count_paths(epi->file, count, 0);
    }
    ep->mtx.unlock();
    return ok;
}
} // namespace

int ep_loop_check(eventpoll *ep, file *target)
{
    walk++;
    int below = depth_below(ep_of(target), ep, 0);
    return below < 0 || depth_above(ep, 0) + 1 + static_cast<unsigned>(below) > EP_MAX_NESTS
               ? -ELOOP
               : 0;
}

int ep_reverse_path_check(file *target)
{
    u32 count[PATH_ARR_SIZE] = {};
    walk++;
    bool ok = is_file_epoll(target) ? leaves_within_limits(ep_of(target), 0)
                                    : count_paths(target, count, 0);
    return ok ? 0 : -EINVAL;
}
