// SPDX-License-Identifier: MIT
// lib/: lists, red-black tree, formatted printing, checksums, hashes.
#include "lib/checksum.h"
#include "lib/list.h"
#include "lib/printk.h"
#include "lib/random.h"
#include "lib/rbtree.h"
#include "unit.h"

struct item {
    int value = 0;
    list_node link;
    rb_node node;
};
using item_list = list<item, &item::link>;

static void test_list_order(void **)
{
    item a{1, {}, {}}, b{2, {}, {}}, c{3, {}, {}}, d{4, {}, {}};
    item_list l, other;
    assert_true(l.empty() && !l.front());
    l.push_back(b);
    l.push_front(a);
    l.push_back(d);
    l.insert_before(d, c);
    int want = 1;
    for (item &i : l)
        assert_int_equal(i.value, want++);
    for (item &i : l) // the current element may go
        if (i.value % 2 == 0)
            item_list::erase(i);
    other.push_back(b);
    l.splice_back(other);
    assert_true(other.empty());
    assert_int_equal(l.pop_front()->value, 1);
    assert_int_equal(l.pop_front()->value, 3);
    assert_int_equal(l.pop_front()->value, 2);
    assert_null(l.pop_front());
}

struct by_value {
    bool operator()(const item &a, const item &b) const { return a.value < b.value; }
};

static void test_rbtree_random(void **)
{
    constexpr int N = 512;
    static item items[N];
    rbtree<item, &item::node, by_value> tree;
    int linked = 0;
    for (int op = 0; op < 20000; op++) {
        item &i = items[host_random() % N];
        if (i.node.linked) {
            tree.erase(i);
            linked--;
        } else {
            i.value = static_cast<int>(host_random() % 1000);
            tree.insert(i);
            linked++;
        }
        if (op % 16 == 0)
            assert_int_equal(tree.check(), linked);
    }
    int seen = 0, last = -1;
    for (item *i = tree.first(); i; i = tree.next(*i), seen++) {
        assert_true(i->value >= last);
        last = i->value;
    }
    assert_int_equal(seen, linked);
    item *at = tree.lower_bound([](const item &i) { return i.value < 500; });
    assert_true(at && at->value >= 500);
    item *before = tree.prev(*at);
    assert_true(!before || before->value < 500);
}

static void test_rbtree_equal_keys_keep_order(void **)
{
    item i[20];
    rbtree<item, &item::node, by_value> tree;
    for (item &x : i)
        tree.insert(x);
    int n = 0;
    for (item *x = tree.first(); x; x = tree.next(*x))
        assert_ptr_equal(x, &i[n++]);
}

static void check_format(const char *want, const char *fmt, ...)
{
    char buf[128];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(buf, sizeof(buf), fmt, ap);
    va_end(ap);
    assert_string_equal(buf, want);
    assert_int_equal(n, strlen(want));
}

static void test_vsnprintf(void **)
{
    check_format("a -5 005 ff 0x1f %", "%c %d %03d %x %#x %%", 'a', -5, 5, 255, 31);
    check_format("[   x][x   ][abc]", "[%4s][%-4s][%.3s]", "x", "x", "abcdef");
    check_format("18446744073709551615 -9223372036854775808", "%llu %lld", ~0ULL, INT64_MIN);
    be32 ip = htonl(0x0a090001);
    u8 mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
    check_format("10.9.0.1 52:54:00:12:34:56", "%pI4 %pM", &ip, mac);
    char small[4];
    assert_int_equal(snprintf(small, sizeof(small), "%s", "abcdef"), 6);
    assert_string_equal(small, "abc");
    assert_int_equal(snprintf(nullptr, 0, "%d", 1234), 4);
}

/// RFC 1071's definition: 16-bit big-endian words, end-around carry.
static u16 naive_checksum(const u8 *p, size_t n)
{
    u32 s = 0;
    for (size_t i = 0; i < n; i++)
        s += i & 1 ? p[i] : p[i] << 8;
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return static_cast<u16>(~s);
}

static void test_checksum(void **)
{
    static u8 buf[2048], copy[2048];
    for (int round = 0; round < 3000; round++) {
        size_t off = host_random() % 16, n = host_random() % (round < 200 ? 20 : 1600);
        for (size_t i = 0; i < n; i++)
            buf[off + i] = static_cast<u8>(round % 7 ? host_random() : 0xff);
        assert_int_equal(ntohs(ip_compute_csum(buf + off, n)), naive_checksum(buf + off, n));
        wsum sum = csum_partial_copy(copy + 3, buf + off, n, 0);
        assert_memory_equal(copy + 3, buf + off, n);
        assert_int_equal(csum_fold(sum).raw, ip_compute_csum(buf + off, n).raw);
        size_t cut = n ? host_random() % n : 0;
        wsum parts = csum_block_add(csum_partial(buf + off, cut, 0),
                                    csum_partial(buf + off + cut, n - cut, 0), cut);
        assert_int_equal(ntohs(csum_fold(parts)), naive_checksum(buf + off, n));
    }
}

static void test_checksum_pseudo_header(void **)
{
    u8 flat[12 + 5] = {10, 9, 0, 1, 10, 9, 0, 2, 0, 17, 0, 5, 'h', 'e', 'l', 'l', 'o'};
    be32 s{}, d{};
    memcpy(&s, flat, 4);
    memcpy(&d, flat + 4, 4);
    be16 got = csum_tcpudp_magic(s, d, 5, 17, csum_partial(flat + 12, 5, 0));
    assert_int_equal(ntohs(got), naive_checksum(flat, sizeof(flat)));
}

static void test_jhash_known(void **)
{
    // lookup3.c's own self-test: hashlittle() adds length and initval to 0xdeadbeef as jhash does.
    assert_int_equal(jhash("", 0, 0), 0xdeadbeef);
    assert_int_equal(jhash("", 0, 0xdeadbeef), 0xbd5b7dde);
    const char *q = "Four score and seven years ago";
    assert_int_equal(jhash(q, 30, 0), 0x17770551);
    assert_int_equal(jhash(q, 30, 1), 0xcd628161);
    u32 words[3] = {1, 2, 3};
    assert_int_equal(jhash_3words(1, 2, 3, 7), jhash(words, sizeof(words), 7));
}

static void test_siphash_known(void **)
{
    // The paper's appendix A: key 00…0f, message 00…0e.
    u8 key[16], msg[15];
    for (u8 i = 0; i < 16; i++)
        key[i] = i;
    memcpy(msg, key, sizeof(msg));
    u64 k[2];
    memcpy(k, key, sizeof(k));
    assert_true(siphash(msg, sizeof(msg), k) == 0xa129ca6149be45e5);
    assert_true(siphash(msg, 0, k) == 0x726fdb47dd0e0e31);
}

extern "C" int main()
{
    unit_main("lib",
              {UNIT(test_list_order), UNIT(test_rbtree_random),
               UNIT(test_rbtree_equal_keys_keep_order), UNIT(test_vsnprintf), UNIT(test_checksum),
               UNIT(test_checksum_pseudo_header), UNIT(test_jhash_known), UNIT(test_siphash_known)},
              0);
}
