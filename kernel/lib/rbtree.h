// SPDX-License-Identifier: MIT
// Typed intrusive red-black tree: the one of the kernel (timers, run queues, address spaces, eventpoll).
// The caller's lock protects it. O(log n) insert and erase, O(1) leftmost.
#pragma once

#include "lib/types.h"

/// The link embedded in an element.
struct rb_node : pinned {
    rb_node *parent = nullptr, *left = nullptr, *right = nullptr;
    bool red = false;
    bool linked = false;
};

/// Untyped tree: rebalancing and walking. Use rbtree<> below.
class rb_root
{
public:
    rb_node *root = nullptr, *leftmost = nullptr;
    /// Link `n` below `parent` (null: tree empty) on the side `as_left`, then rebalance.
    void link(rb_node *n, rb_node *parent, bool as_left);
    void erase(rb_node *n);
    static rb_node *next(rb_node *n);
    static rb_node *prev(rb_node *n);
    /// Debug: colours, black height and order of parents are right. Returns the node count, or -1.
    int check() const;

private:
    void rotate(rb_node *n, bool left);
    void insert_fixup(rb_node *n);
    void erase_fixup(rb_node *n, rb_node *parent);
};

/// Tree of T linked through T::*Member, ordered by Less(a, b). Equal keys are kept in insertion order.
template <class T, rb_node T::*Member, class Less>
class rbtree
{
public:
    bool empty() const { return !r_.root; }
    T *first() { return r_.leftmost ? item(r_.leftmost) : nullptr; }
    T *next(T &t) { return wrap(rb_root::next(&(t.*Member))); }
    T *prev(T &t) { return wrap(rb_root::prev(&(t.*Member))); }
    void insert(T &t)
    {
        rb_node *p = nullptr;
        bool as_left = false;
        for (rb_node *n = r_.root; n;) {
            p = n;
            as_left = Less{}(t, *item(n));
            n = as_left ? n->left : n->right;
        }
        r_.link(&(t.*Member), p, as_left);
    }
    void erase(T &t) { r_.erase(&(t.*Member)); }
    /// First element for which before(element) is false (elements before it answer true).
    template <class F>
    T *lower_bound(F before)
    {
        T *best = nullptr;
        for (rb_node *n = r_.root; n;) {
            if (before(*item(n))) {
                n = n->right;
            } else {
                best = item(n);
                n = n->left;
            }
        }
        return best;
    }
    int check() const { return r_.check(); }

private:
    static T *wrap(rb_node *n) { return n ? item(n) : nullptr; }
    static T *item(rb_node *n)
    {
        alignas(T) static char probe[1];
        auto *base = reinterpret_cast<T *>(probe);
        auto off = reinterpret_cast<char *>(&(base->*Member)) - probe;
        return reinterpret_cast<T *>(reinterpret_cast<char *>(n) - off);
    }
    rb_root r_;
};
