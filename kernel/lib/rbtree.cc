// SPDX-License-Identifier: MIT
// Red-black tree: rebalancing. Rules: the root is black, a red node has black children, every path from a node down to a null
// has the same number of black nodes. Any context; the caller's lock.
#include "lib/rbtree.h"

static bool is_red(const rb_node *n)
{
    return n && n->red;
}

/// The pointer that points to n: in its parent or in the root.
static rb_node *&link_to(rb_root &r, rb_node *n)
{
    if (!n->parent)
        return r.root;
    return n->parent->left == n ? n->parent->left : n->parent->right;
}

static rb_node *&child(rb_node *n, bool left)
{
    return left ? n->left : n->right;
}

/// Turn the edge between n and its child on the other side: `left` moves n down to the left.
void rb_root::rotate(rb_node *n, bool left)
{
    rb_node *up = child(n, !left);
    rb_node *middle = child(up, left);
    link_to(*this, n) = up;
    up->parent = n->parent;
    child(up, left) = n;
    n->parent = up;
    child(n, !left) = middle;
    if (middle)
        middle->parent = n;
}

void rb_root::link(rb_node *n, rb_node *parent, bool as_left)
{
    n->parent = parent;
    n->left = n->right = nullptr;
    n->red = n->linked = true;
    if (!parent)
        root = leftmost = n;
    else
        child(parent, as_left) = n;
    if (parent && as_left && parent == leftmost)
        leftmost = n;
    insert_fixup(n);
}

/// n is red; its parent may be red as well. Push the conflict up, or end it by at most two rotations.
void rb_root::insert_fixup(rb_node *n)
{
    while (is_red(n->parent)) {
        rb_node *p = n->parent, *g = p->parent; // a red node is never the root
        bool p_left = g->left == p;
        rb_node *uncle = child(g, !p_left);
        if (is_red(uncle)) {
            p->red = uncle->red = false;
            g->red = true;
            n = g;
            continue;
        }
        if (child(p, p_left) != n) {
            rotate(p, p_left);
            p = n;
        }
        p->red = false;
        g->red = true;
        rotate(g, !p_left);
        break;
    }
    root->red = false;
}

/// Put `by` (may be null) where n is in the tree; n's own links stay.
static void transplant(rb_root &r, rb_node *n, rb_node *by)
{
    link_to(r, n) = by;
    if (by)
        by->parent = n->parent;
}

void rb_root::erase(rb_node *n)
{
    if (leftmost == n)
        leftmost = next(n);
    rb_node *fill, *fill_parent; // what moves up, and below whom: a black node is missing there
    bool lost_black;
    if (!n->left || !n->right) {
        fill = n->left ? n->left : n->right;
        fill_parent = n->parent;
        lost_black = !n->red;
        transplant(*this, n, fill);
    } else {
        rb_node *s = n->right;
        while (s->left)
            s = s->left;
        fill = s->right;
        lost_black = !s->red;
        fill_parent = s->parent == n ? s : s->parent;
        if (s->parent != n) {
            transplant(*this, s, fill);
            s->right = n->right;
            s->right->parent = s;
        }
        transplant(*this, n, s);
        s->left = n->left;
        s->left->parent = s;
        s->red = n->red;
    }
    n->parent = n->left = n->right = nullptr;
    n->linked = false;
    if (lost_black)
        erase_fixup(fill, fill_parent);
}

/// The paths through n (may be null, below `parent`) have one black node too few.
void rb_root::erase_fixup(rb_node *n, rb_node *parent)
{
    while (n != root && !is_red(n)) {
        bool left = parent->left == n;
        rb_node *sib = child(parent, !left); // not null: its side has a black node more
        if (sib->red) {
            sib->red = false;
            parent->red = true;
            rotate(parent, left);
            sib = child(parent, !left);
        }
        if (!is_red(sib->left) && !is_red(sib->right)) {
            sib->red = true;
            n = parent;
            parent = n->parent;
            continue;
        }
        if (!is_red(child(sib, !left))) {
            child(sib, left)->red = false;
            sib->red = true;
            rotate(sib, !left);
            sib = child(parent, !left);
        }
        sib->red = parent->red;
        parent->red = false;
        child(sib, !left)->red = false;
        rotate(parent, left);
        n = root;
    }
    if (n)
        n->red = false;
}

static rb_node *step(rb_node *n, bool back)
{
    if (rb_node *d = child(n, back)) {
        while (rb_node *e = child(d, !back))
            d = e;
        return d;
    }
    while (n->parent && child(n->parent, back) == n)
        n = n->parent;
    return n->parent;
}

rb_node *rb_root::next(rb_node *n)
{
    return step(n, false);
}
rb_node *rb_root::prev(rb_node *n)
{
    return step(n, true);
}

/// Black height of the subtree, or -1 when a rule is broken; adds its size to *count. Depth is O(log n).
static int check_subtree(const rb_node *n, const rb_node *parent, int *count)
{
    if (!n)
        return 0;
    if (n->parent != parent || !n->linked || (n->red && is_red(parent)))
        return -1;
    int l = check_subtree(n->left, n, count);
    int r = check_subtree(n->right, n, count);
    if (l < 0 || l != r)
        return -1;
    ++*count;
    return l + !n->red;
}

int rb_root::check() const
{
    int count = 0;
    if (is_red(root) || check_subtree(root, nullptr, &count) < 0)
        return -1;
    const rb_node *first = root;
    while (first && first->left)
        first = first->left;
    return first == leftmost ? count : -1;
}
