// SPDX-License-Identifier: MIT
// The unit tests' main loop; see unit.h.
#include "unit.h"

static constexpr size_t MAX_TESTS = 64;

/// CMocka's view of one test: its state is the unit_case.
static void run_one(void **state)
{
    auto *t = static_cast<const unit_case *>(*state);
    if (t->plain) {
        void *none = nullptr;
        t->plain(&none);
        return;
    }
    unsigned before = host_failures();
    assert_true(host_run(t->kernel, nullptr));
    assert_int_equal(host_failures() - before, 0);
}

void unit_run(const char *group, const unit_case *tests, size_t n, unsigned cpus)
{
    static CMUnitTest cm[MAX_TESTS];
    assert_true(n <= MAX_TESTS);
    if (cpus)
        host_boot(cpus, 1);
    for (size_t i = 0; i < n; i++)
        cm[i] = CMUnitTest{tests[i].name, run_one, nullptr, nullptr,
                           const_cast<unit_case *>(&tests[i])};
    host_exit(_cmocka_run_group_tests(group, cm, n, nullptr, nullptr));
}
