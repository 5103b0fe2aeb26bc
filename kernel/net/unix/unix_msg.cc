// SPDX-License-Identifier: MIT
// What an AF_UNIX message carries besides its bytes. Linux: unix_scm_to_skb, unix_destruct_scm of net/unix/af_unix.c. Process context.

#include "net/unix/af_unix.h"

/// The message is gone with its files still in it.
static void unix_destruct_scm(sk_buff *skb)
{
    if (scm_fp_list *l = UNIXCB(skb).fp) {
        UNIXCB(skb).fp = nullptr;
        unix_inflight_remove(l);
        scm_fp_free(l);
    }
    sock_wfree(skb);
}

void unix_scm_to_skb(scm_cookie *scm, sk_buff *skb)
{
    UNIXCB(skb) = {scm->creds, scm->creds_set, scm->fp};
    if (!scm->fp)
        return;
    unix_inflight_add(scm->fp);
    scm->fp = nullptr;
    skb->destructor = unix_destruct_scm; // instead of the sock_wfree that it calls
}

void unix_scm_from_skb(sk_buff *skb, scm_cookie *scm, bool peek)
{
    scm_fp_list *l = UNIXCB(skb).fp;
    if (!l || scm->fp)
        return;
    if (peek) {
        scm->fp = unix_inflight_dup(l);
        return;
    }
    UNIXCB(skb).fp = nullptr;
    unix_inflight_remove(l);
    scm->fp = l;
}

void unix_maybe_add_creds(sk_buff *skb, const sock *sk, const sock *other)
{
    if (UNIXCB(skb).creds_set ||
        !(sock_flag(sk, SOCK_PASSCRED_F) || sock_flag(other, SOCK_PASSCRED_F) ||
          !other->sk_socket)) // who will accept the connection may ask for them
        return;
    const task_struct *t = current();
    UNIXCB(skb).creds = {t->tgid, static_cast<u32>(t->uid), static_cast<u32>(t->gid)};
    UNIXCB(skb).creds_set = true;
}
