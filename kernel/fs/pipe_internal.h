// SPDX-License-Identifier: MIT
// The inside of a pipe, for fs/pipe.cc and fs/splice.cc. Linux: include/linux/pipe_fs_i.h.
//
// A pipe is a ring of buffers, each a part of a page. Data that goes from a pipe to a file, or from a file into a pipe, moves while
// pipe.lock is not held, as the file's side may sleep for long: who moves it has claimed the pipe's front (other readers wait) or
// reserved free buffers (writers see fewer).
#pragma once

#include "fs/internal.h"

/// MERGE: a later write may go behind this data in its page. PACKET: a write's data to be read at once (O_DIRECT).
constexpr u8 PIPE_BUF_MERGE = 1, PIPE_BUF_PACKET = 2;
/// Most buffers that one step of a splice moves.
constexpr unsigned PIPE_DEF_BUFFERS = 16;

/// Part of a page that holds data. It owns a reference of the page.
struct pipe_buffer {
    page *pg;
    u32 offset, len;
    u8 flags;
    u8 *data() const { return static_cast<u8 *>(page_address(pg)) + offset; }
};

struct fasync_struct;

struct pipe_inode_info : pinned {
    mutex lock{"pipe.lock"}; // everything below, but for `files`
    wait_queue_head wait;
    pipe_buffer *bufs = nullptr; // ring of `buffers`, a power of two
    unsigned buffers = 0, first = 0, nrbufs = 0;
    unsigned reserved = 0;    // free buffers that a splice will fill
    bool claimed = false;     // a splice is taking data from the front
    page *tmp_page = nullptr; // an emptied page, for the next write
    unsigned readers = 0, writers = 0;
    u32 r_opens = 0, w_opens = 0; // how often an end was opened: FIFO openers wait for a change
    unsigned files = 0;           // open files and openers; inode.i_mutex
    fasync_struct *fasync_readers = nullptr, *fasync_writers = nullptr;

    pipe_buffer &at(unsigned n) { return bufs[(first + n) & (buffers - 1)]; }
    unsigned room() const { return buffers - read_once(nrbufs) - read_once(reserved); }
    /// Nothing is there, and nothing will come.
    bool at_end() const { return !read_once(nrbufs) && !read_once(writers); }
    bool readable() const { return read_once(nrbufs) && !read_once(claimed); }
};

/// The pipe of a file that is_pipe().
pipe_inode_info *pipe_of(const file *f);
/// Take n bytes off the front. Lock held.
void pipe_consume(pipe_inode_info *p, size_t n);
/// Tell readers (writers) that there is data (room). Lock not held.
void pipe_wake_readers(pipe_inode_info *p);
void pipe_wake_writers(pipe_inode_info *p);
/// Sleep until the pipe is readable or at its end. 0 or -ERESTARTSYS. Lock not held.
int pipe_wait_readable(pipe_inode_info *p);
/// Sleep until there is a free buffer or there are no readers. 0 or -ERESTARTSYS. Lock not held.
int pipe_wait_room(pipe_inode_info *p);
