// SPDX-License-Identifier: MIT
// Files and credentials that travel with messages of AF_UNIX (SCM_RIGHTS, SCM_CREDENTIALS). Linux: include/net/scm.h. Process context.
#pragma once

#include "net/core/sock.h"

constexpr int SCM_RIGHTS = 1, SCM_CREDENTIALS = 2;
/// Most files in one message.
constexpr unsigned SCM_MAX_FD = 253;

/// Of a message whose sender gave none and nobody wanted any (Linux's overflow ids).
constexpr ucred no_ucred{0, 65534, 65534};

/// Open files on their way, each with a reference.
struct scm_fp_list {
    scm_fp_list *next = nullptr; // while being freed
    unsigned count = 0;
    file *fp[];
};
/// An empty list with room for n; null: out of memory.
scm_fp_list *scm_fp_alloc(unsigned n);
/// The same files, with references of their own, into an empty list that has room. Any context.
void scm_fp_copy(scm_fp_list *to, const scm_fp_list *from);
/// Drop the references and the list. Closing a file may free messages with more files: those are put on a list and closed one after
/// another, so that a chain of sockets in sockets needs no deep stack. [P]
void scm_fp_free(scm_fp_list *l);

/// What one sendmsg or recvmsg carries besides its bytes.
struct scm_cookie : pinned {
    scm_fp_list *fp = nullptr; // owned
    ucred creds = no_ucred;
    bool creds_set = false;
    ~scm_cookie()
    {
        if (fp)
            scm_fp_free(fp);
    }
};
/// Decode a sender's control messages of level SOL_SOCKET. EINVAL, EBADF, EPERM, ESRCH, ENOMEM.
result<void> scm_send(socket *s, const msghdr *m, scm_cookie *scm);
/// Give a receiver what it asked for (SO_PASSCRED) or gets (files, as new descriptors); what does not fit is lost: MSG_CTRUNC.
void scm_recv(socket *s, msghdr *m, scm_cookie *scm, u32 flags);
