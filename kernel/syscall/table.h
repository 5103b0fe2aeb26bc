// SPDX-License-Identifier: MIT
// The system calls, by Linux x86_64 number. No include guard: included with SYSCALL(number, name) defined.
// The function is sys_<name>; syscall/syscall.h says how to write one. Keep the order of numbers.

