// SPDX-License-Identifier: MIT
// Typed intrusive doubly linked list. The caller's lock protects it. A node destroyed while linked is a bug
// that debug builds report (BUG in ~list_node).
#pragma once

#include "lib/types.h"

[[noreturn]] void list_node_destroyed_while_linked(const void *node);

/// The link embedded in an element. Unlinked when next == nullptr.
struct list_node : pinned {
    list_node *next = nullptr;
    list_node *prev = nullptr;

    ~list_node()
    {
        if (next) [[unlikely]]
            list_node_destroyed_while_linked(this);
    }
    bool linked() const { return next != nullptr; }
    /// Take the node off whatever list it is on; it must be on one.
    void unlink()
    {
        prev->next = next;
        next->prev = prev;
        next = prev = nullptr;
    }
    void insert_between(list_node *p, list_node *n)
    {
        prev = p;
        next = n;
        p->next = this;
        n->prev = this;
    }
};

/// A list of T linked through `T::*Member`. Empty lists point at themselves, so a list must not move.
template <class T, list_node T::*Member>
class list
{
public:
    list() { head_.next = head_.prev = &head_; }
    ~list() { head_.next = head_.prev = nullptr; }
    list(const list &) = delete;
    list &operator=(const list &) = delete;

    bool empty() const { return head_.next == &head_; }
    T *front() { return empty() ? nullptr : item(head_.next); }
    T *back() { return empty() ? nullptr : item(head_.prev); }
    void push_front(T &t) { (t.*Member).insert_between(&head_, head_.next); }
    void push_back(T &t) { (t.*Member).insert_between(head_.prev, &head_); }
    /// Insert `t` just before `pos`, which is on this list.
    void insert_before(T &pos, T &t)
    {
        (t.*Member).insert_between((pos.*Member).prev, &(pos.*Member));
    }
    static void erase(T &t) { (t.*Member).unlink(); }
    T *pop_front()
    {
        T *t = front();
        if (t)
            erase(*t);
        return t;
    }
    T *next(T &t)
    {
        list_node *n = (t.*Member).next;
        return n == &head_ ? nullptr : item(n);
    }
    /// Move all of `o`'s elements to this list's end.
    void splice_back(list &o)
    {
        if (o.empty())
            return;
        o.head_.next->prev = head_.prev;
        head_.prev->next = o.head_.next;
        o.head_.prev->next = &head_;
        head_.prev = o.head_.prev;
        o.head_.next = o.head_.prev = &o.head_;
    }

    /// Range-for; the current element may be erased inside the loop.
    struct iterator {
        list_node *at, *after;
        T &operator*() const { return *item(at); }
        iterator &operator++()
        {
            at = after;
            after = at->next;
            return *this;
        }
        bool operator!=(const iterator &o) const { return at != o.at; }
    };
    iterator begin() { return {head_.next, head_.next->next}; }
    iterator end() { return {&head_, nullptr}; }

private:
    static T *item(list_node *n)
    {
        // The offset of a pointer-to-member of a standard-layout-like class, without an object.
        alignas(T) static char probe[1];
        auto *base = reinterpret_cast<T *>(probe);
        auto off = reinterpret_cast<char *>(&(base->*Member)) - probe;
        return reinterpret_cast<T *>(reinterpret_cast<char *>(n) - off);
    }
    mutable list_node head_;
};
